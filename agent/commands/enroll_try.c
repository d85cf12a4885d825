#include "agent/commands/enroll_try.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "transport/session.h"

#define CLIENT_BYTES 128
#define PATIENCE_NS (2 * WR_NS_PER_S) /* beyond the session's own time-out */

static enum wr_result open_session(const struct wr_config *config, const char *cert, const char *client, struct wr_channel *events,
                                   struct wr_session **ret_session, struct wr_error *err) {
    const struct wr_config_uplink *uplink = config->uplink;
    static const uint8_t versions[] = {
        [WR_CONFIG_MQTT_AUTO] = WR_MQTT_AUTO, [WR_CONFIG_MQTT_5] = WR_MQTT_5, [WR_CONFIG_MQTT_3_1_1] = WR_MQTT_3_1_1};
    struct wr_session_config session = {
        .n_brokers = uplink->n_brokers,
        .tls = {.ca = uplink->ca, .cert = cert, .key = uplink->key, .crl = uplink->crl, .alpn = uplink->alpn},
        .client_id = client,
        .user = uplink->user,
        .password_file = uplink->password_file,
        .keepalive_s = (uint16_t)(uplink->keepalive_ns / WR_NS_PER_S),
        .connect_timeout_ns = uplink->connect_timeout_ns,
        .window = 1,
        .version = versions[uplink->version],
        .events = events,
        .clock = wr_clock_real()};
    for (unsigned i = 0; i < uplink->n_brokers; i++)
        WR_TRY(wr_url_parse(uplink->brokers[i].url, &session.brokers[i], err));
    return wr_session_new(&session, ret_session, err);
}

/* The end of one connect: true if the broker took it; else why not. */
static bool ask(struct wr_session *session, struct wr_channel *events, uint64_t connection, unsigned broker, int64_t patience_ns,
                struct wr_session_event *ret_event) {
    const int64_t deadline_ns = wr_clock_add_ns(wr_clock_boot_ns(wr_clock_real()), patience_ns);
    snprintf(ret_event->text, sizeof ret_event->text, "no answer");
    if (wr_session_ops()->connect(session, connection, broker) != WR_OK)
        return false;
    while (wr_channel_recv(events, ret_event, deadline_ns) == WR_OK)
        if (ret_event->connection == connection && (ret_event->kind == WR_SESSION_CONNECTED || ret_event->kind == WR_SESSION_FAILED))
            break;
    const bool taken = ret_event->kind == WR_SESSION_CONNECTED;
    wr_session_ops()->close(session, connection, taken);
    return taken;
}

static enum wr_result ask_all(const struct wr_config_uplink *uplink, struct wr_session *session, struct wr_channel *events,
                              struct wr_error *err) {
    bool any = false;
    for (unsigned i = 0; i < uplink->n_brokers; i++) {
        struct wr_session_event event = {.kind = WR_SESSION_FAILED};
        if (!uplink->brokers[i].tls)
            continue;
        any = true;
        if (ask(session, events, i + 1, i, wr_clock_add_ns(uplink->connect_timeout_ns, PATIENCE_NS), &event))
            return WR_OK;
        (void)wr_error_set(err, WR_DENIED, "%s: %s", uplink->urls[i], event.text);
    }
    return any ? WR_DENIED : WR_OK;
}

enum wr_result wr_enroll_try(const struct wr_config *config, const char *cert, struct wr_error *err) {
    const struct wr_channel_options options = {.name = "events of a try",
                                               .capacity = WR_SESSION_EVENTS(1),
                                               .element_bytes = sizeof(struct wr_session_event),
                                               .policy = WR_CHANNEL_REJECT};
    char client[CLIENT_BYTES];
    struct wr_channel *events;
    struct wr_session *session = NULL;
    snprintf(client, sizeof client, "%s-enroll", config->node->id);
    (void)signal(SIGPIPE, SIG_IGN);
    WR_TRY(wr_channel_new(&options, &events, err));
    enum wr_result result = open_session(config, cert, client, events, &session, err);
    if (result == WR_OK)
        result = ask_all(config->uplink, session, events, err);
    wr_session_free(session);
    wr_channel_free(events);
    return result;
}
