#include "transport/session.h"
#include "core/thread.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "transport/session_private.h"

#define NOTES 32
#define GOODBYE_NS WR_NS_PER_S

static int64_t now_ns(void) {
    return wr_clock_boot_ns(wr_clock_real());
}

void wr_session_emit(struct wr_session *session, const struct wr_session_event *event) {
    if (wr_channel_try_send(session->config.events, event) != WR_OK)
        session->events_lost++;
}

static void emit_end(struct wr_session *session, enum wr_session_event_kind kind, const struct note *note, const char *text) {
    struct wr_session_event event = {
        .kind = (uint8_t)kind, .reason = note->reason, .sent_to = note->sent_to, .connection = session->connection};
    (void)snprintf(event.text, sizeof event.text, "%s", text);
    wr_session_emit(session, &event);
}

static bool given_up(const struct wr_session *session, uint64_t connection) {
    return session->stopping || session->closed_upto >= connection;
}

/* ---- taking a connection down ---- */

/* Waits until our DISCONNECT is out, at most GOODBYE_NS. Other notes of this connection mean nothing any more, a close and a stop stand in
 * closed_upto and stopping; only the next connect must not get lost. */
static void wait_goodbye(struct wr_session *session) {
    int64_t deadline_ns = now_ns() + GOODBYE_NS;
    struct note note;
    while (wr_channel_recv(session->notes, &note, deadline_ns) == WR_OK) {
        if (note.kind == NOTE_CONNECT)
            session->deferred = note;
        if (note.kind == NOTE_GOODBYE && note.connection == session->connection)
            return;
    }
}

/* Not clean: the relay goes first, which ends the connection inside paho at once, and no DISCONNECT holds back the last will. */
static void take_down(struct wr_session *session, bool clean) {
    (void)pthread_mutex_lock(&session->publish_lock);
    session->open = NULL;
    (void)pthread_mutex_unlock(&session->publish_lock);
    if (clean && session->paho != NULL && session->accepted && wr_session_paho_goodbye(session))
        wait_goodbye(session);
    else
        wr_mqtt_link_close(&session->link);
    wr_session_paho_destroy(session);
    wr_mqtt_link_close(&session->link);
    session->accepted = false;
}

/* ---- bringing one up ---- */

/* Name, TCP, TLS, relay, and paho's connect under way. */
static enum wr_result open_link(struct wr_session *session, int64_t deadline_ns, struct wr_error *err) {
    const struct wr_session_config *config = &session->config;
    struct wr_credential password;
    WR_TRY(wr_mqtt_link_password(config->password_file, &password, err));
    uint16_t port = 0;
    enum wr_result result = wr_mqtt_link_open(&session->link, &config->brokers[session->broker], session->keepalives_s[session->broker],
                                              NULL, deadline_ns, &port, err);
    if (result == WR_OK) {
        struct wr_session_event event = {.kind = WR_SESSION_DIALLED, .connection = session->connection};
        wr_session_emit(session, &event);
        result = wr_session_paho_connect(session, port, deadline_ns - now_ns(), &password, err);
    }
    wr_credential_free(&password);
    return result;
}

/* What a note that ends a connect says about the version. The relay has its cause on record before paho can notice. */
static enum wr_mqtt_answer answer_of(const struct wr_session *session, const struct note *note) {
    struct wr_error cause;
    if (note->kind == NOTE_DISCONNECTED)
        return WR_MQTT_REFUSED;
    if (note->reason > 0)
        return wr_session_version_answer(session->speaks, note->reason);
    bool broken = wr_mqtt_link_broken(&session->link, &cause);
    return broken && (cause.code == WR_CLOSED || cause.code == WR_IO) ? WR_MQTT_CLOSED : WR_MQTT_NO_ANSWER;
}

/* Waits for the broker's answer to CONNECT. When it is not WR_MQTT_ACCEPTED, *text tells why, and is empty when nobody wants to know any more. */
static enum wr_mqtt_answer await_connack(struct wr_session *session, int64_t deadline_ns, struct note *ret_note, char *text, size_t size) {
    text[0] = '\0';
    for (;;) {
        struct note note = {0};
        enum wr_result result = wr_channel_recv(session->notes, &note, deadline_ns);
        if (given_up(session, session->connection))
            return WR_MQTT_NO_ANSWER;
        if (result != WR_OK) {
            wr_session_describe(session, &note, "the broker did not answer the MQTT CONNECT in time", text, size);
            return WR_MQTT_NO_ANSWER;
        }
        if (note.connection != session->connection || note.attempt != session->attempt)
            continue;
        switch ((enum note_kind)note.kind) {
        case NOTE_CONNACK:
            *ret_note = note;
            if (note.max_qos >= 1)
                return WR_MQTT_ACCEPTED;
            (void)snprintf(text, size, "the broker offers no QoS 1: nothing could be acknowledged");
            return WR_MQTT_REFUSED;
        case NOTE_REFUSED:
        case NOTE_LOST:
        case NOTE_DISCONNECTED:
            wr_session_describe(session, &note, note.text[0] != '\0' ? note.text : "the MQTT connection ended before it began", text, size);
            *ret_note = note;
            return answer_of(session, &note);
        default:
            break;
        }
    }
}

/* What is not accepted is taken down again. */
static enum wr_mqtt_answer try_once(struct wr_session *session, uint8_t version, int64_t deadline_ns, struct note *ret_connack, char *text,
                                    size_t size) {
    struct wr_error err = {0};
    session->speaks = version;
    *ret_connack = (struct note){0};
    enum wr_mqtt_answer answer = WR_MQTT_NO_ANSWER;
    if (open_link(session, deadline_ns, &err) == WR_OK)
        answer = await_connack(session, deadline_ns, ret_connack, text, size);
    else
        (void)snprintf(text, size, "%s", given_up(session, session->connection) ? "" : err.text);
    if (answer != WR_MQTT_ACCEPTED)
        take_down(session, false);
    return answer;
}

/* One version. A server may want a shorter keep-alive than ours (MQTT 5.0, 3.2.2.3.14), which paho passes over: so it is asked for from the beginning, in a
 * second CONNECT. Without that the server would end each session that is idle. */
static enum wr_mqtt_answer try_version(struct wr_session *session, uint8_t version, int64_t deadline_ns, struct note *ret_connack,
                                       char *text, size_t size) {
    uint16_t *keepalive_s = &session->keepalives_s[session->broker];
    const enum wr_mqtt_answer answer = try_once(session, version, deadline_ns, ret_connack, text, size);
    const bool obeyed = ret_connack->keepalive_s == 0 || ret_connack->keepalive_s >= *keepalive_s;
    if (answer != WR_MQTT_ACCEPTED || obeyed || given_up(session, session->connection))
        return answer;
    *keepalive_s = ret_connack->keepalive_s;
    session->accepted = true;
    take_down(session, true);
    return try_once(session, version, deadline_ns, ret_connack, text, size);
}

/* MQTT 5, and 3.1.1 where that is not spoken. */
static bool try_versions(struct wr_session *session, int64_t deadline_ns, struct note *ret_connack, char *text, size_t size) {
    struct wr_session_version *learnt = &session->versions[session->broker];
    uint8_t version = wr_session_version_first(learnt);
    enum wr_mqtt_answer answer = try_version(session, version, deadline_ns, ret_connack, text, size);
    if (answer == WR_MQTT_CLOSED && learnt->wanted == WR_MQTT_5)
        (void)snprintf(text, size, "the broker closed the connection instead of answering: does it speak MQTT 5?");
    if (wr_session_version_learn(learnt, version, answer) && !given_up(session, session->connection)) {
        bool closed = answer == WR_MQTT_CLOSED;
        answer = try_version(session, WR_MQTT_3_1_1, deadline_ns, ret_connack, text, size);
        (void)wr_session_version_learn(learnt, WR_MQTT_3_1_1, answer);
        if (closed && answer == WR_MQTT_CLOSED)
            (void)snprintf(text, size, "the broker closes the connection after the MQTT CONNECT, with MQTT 5 and with 3.1.1");
    }
    return answer == WR_MQTT_ACCEPTED;
}

static void bring_up(struct wr_session *session, uint64_t connection, unsigned broker) {
    session->broker = broker;
    session->connection = connection;
    wr_mqtt_link_forget_cancel(&session->link); /* first clear, then look: a cancel between the two is not lost */
    if (given_up(session, connection))
        return;
    struct note connack;
    char text[WR_UPLINK_CAUSE_BYTES];
    if (!try_versions(session, wr_clock_add_ns(now_ns(), session->config.connect_timeout_ns), &connack, text, sizeof text)) {
        if (text[0] != '\0')
            emit_end(session, WR_SESSION_FAILED, &connack, text);
        return;
    }
    session->accepted = true;
    (void)pthread_mutex_lock(&session->publish_lock);
    session->open = session->paho;
    (void)pthread_mutex_unlock(&session->publish_lock);
    struct wr_session_event event = {.kind = WR_SESSION_CONNECTED,
                                     .version = session->speaks,
                                     .connection = connection,
                                     .receive_max = connack.receive_max,
                                     .max_packet_bytes = connack.max_packet_bytes,
                                     .retain_available = connack.retain_available};
    wr_session_emit(session, &event);
}

static void on_end(struct wr_session *session, struct note *note) {
    char text[WR_UPLINK_CAUSE_BYTES];
    char silent[96];
    (void)snprintf(silent, sizeof silent, "the broker did not answer the keep-alive (%u s)",
                   (unsigned)session->keepalives_s[session->broker]);
    wr_session_describe(session, note, silent, text, sizeof text);
    take_down(session, false);
    emit_end(session, WR_SESSION_LOST, note, text);
}

static bool next_note(struct wr_session *session, struct note *ret_note) {
    if (session->deferred.connection != 0) {
        *ret_note = session->deferred;
        session->deferred = (struct note){0};
        return true;
    }
    return wr_channel_recv(session->notes, ret_note, WR_NEVER_NS) == WR_OK;
}

static void *session_thread(void *user) {
    struct wr_session *session = user;
    wr_thread_name("weir-session");
    struct note note;
    while (!session->stopping && next_note(session, &note)) {
        if (session->stopping)
            break;
        bool present = session->paho != NULL && note.connection == session->connection &&
                       (note.kind == NOTE_CLOSE || note.attempt == session->attempt);
        switch ((enum note_kind)note.kind) {
        case NOTE_CONNECT:
            bring_up(session, note.connection, note.broker);
            break;
        case NOTE_CLOSE:
            if (present)
                take_down(session, note.clean);
            break;
        case NOTE_LOST:
        case NOTE_DISCONNECTED:
            if (present)
                on_end(session, &note);
            break;
        case NOTE_STOP:
        case NOTE_CONNACK:
        case NOTE_REFUSED:
        case NOTE_GOODBYE:
            break;
        }
    }
    take_down(session, session->accepted);
    return NULL;
}

/* ---- for the uplink ---- */

static enum wr_result op_connect(void *self, uint64_t connection, unsigned broker) {
    struct wr_session *session = self;
    struct note note = {.kind = NOTE_CONNECT, .broker = (uint8_t)broker, .connection = connection};
    assert(broker < session->config.n_brokers);
    return wr_channel_try_send(session->notes, &note);
}

static enum wr_result op_publish(void *self, const struct wr_session_publish *publish, struct wr_error *err) {
    struct wr_session *session = self;
    (void)pthread_mutex_lock(&session->publish_lock);
    enum wr_result result = WR_CLOSED;
    if (session->open != NULL && publish->connection == session->connection)
        result = wr_session_paho_publish(session, publish, err);
    (void)pthread_mutex_unlock(&session->publish_lock);
    return result;
}

static enum wr_result op_subscribe(void *self, uint64_t connection, const char *topic, struct wr_error *err) {
    struct wr_session *session = self;
    (void)pthread_mutex_lock(&session->publish_lock);
    enum wr_result result = WR_CLOSED;
    if (session->open != NULL && connection == session->connection)
        result = wr_session_paho_subscribe(session, topic, err);
    (void)pthread_mutex_unlock(&session->publish_lock);
    return result;
}

static void op_close(void *self, uint64_t connection, bool clean) {
    struct wr_session *session = self;
    struct note note = {.kind = NOTE_CLOSE, .connection = connection, .clean = clean};
    session->closed_upto = connection;
    wr_mqtt_link_cancel(&session->link);
    if (wr_channel_try_send(session->notes, &note) != WR_OK)
        session->events_lost++;
}

static void op_wire(void *self, struct wr_wire_bytes *ret_bytes) {
    struct wr_session *session = self;
    struct wr_mqtt_link_stats link;
    wr_mqtt_link_stats(&session->link, &link);
    *ret_bytes = link.wire;
}

const struct wr_session_ops *wr_session_ops(void) {
    static const struct wr_session_ops ops = {
        .connect = op_connect, .publish = op_publish, .subscribe = op_subscribe, .close = op_close, .wire = op_wire};
    return &ops;
}

void wr_session_stats(struct wr_session *session, struct wr_session_stats *ret_stats) {
    struct wr_mqtt_link_stats link;
    wr_mqtt_link_stats(&session->link, &link);
    *ret_stats = (struct wr_session_stats){.sent_bytes = link.sent_bytes,
                                           .received_bytes = link.received_bytes,
                                           .wire = link.wire,
                                           .strangers = link.strangers,
                                           .tls_full = link.tls_full,
                                           .tls_resumed = link.tls_resumed,
                                           .cert_expires_wall_ns = link.cert_expires_wall_ns};
    (void)snprintf(ret_stats->tls_warning, sizeof ret_stats->tls_warning, "%s", link.tls_warning);
    ret_stats->events_lost = session->events_lost;
    wr_command_messages_counts(&session->commands, &ret_stats->commands);
}

/* ---- life ---- */

static void session_release(struct wr_session *session) {
    wr_mqtt_link_fini(&session->link);
    wr_channel_free(session->notes);
    free(session->slots);
    (void)pthread_mutex_destroy(&session->publish_lock);
    free(session);
}

static enum wr_result prepare(struct wr_session *session, struct wr_error *err) {
    const struct wr_session_config *config = &session->config;
    session->slots = calloc(config->window, sizeof *session->slots);
    if (session->slots == NULL)
        return wr_error_set(err, WR_NO_MEMORY, "session: no memory");
    for (uint32_t i = 0; i < config->window; i++)
        session->slots[i].session = session;
    WR_TRY(wr_mqtt_link_init(&session->link, &config->tls, config->clock, err));
    struct wr_channel_options notes = {
        .name = "session notes", .capacity = NOTES, .element_bytes = sizeof(struct note), .policy = WR_CHANNEL_REJECT};
    WR_TRY(wr_channel_new(&notes, &session->notes, err));
    return wr_thread_start(&session->thread, session_thread, session, "session", err);
}

enum wr_result wr_session_new(const struct wr_session_config *config, struct wr_session **ret_session, struct wr_error *err) {
    if (config->window < 1 || config->window > WR_UPLINK_WINDOW_MAX || config->connect_timeout_ns <= 0 || config->client_id == NULL)
        return wr_error_set(err, WR_INVALID, "session: window, connect time-out and client id are needed");
    if (config->n_brokers < 1 || config->n_brokers > WR_ROUTE_BROKERS)
        return wr_error_set(err, WR_INVALID, "session: 1 to %d brokers", WR_ROUTE_BROKERS);
    struct wr_session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return wr_error_set(err, WR_NO_MEMORY, "session: no memory");
    session->config = *config;
    for (unsigned i = 0; i < WR_ROUTE_BROKERS; i++) {
        session->versions[i].wanted = config->version;
        session->keepalives_s[i] = config->keepalive_s;
    }
    session->link.wake_fd = -1;
    (void)pthread_mutex_init(&session->publish_lock, NULL);
    enum wr_result result = prepare(session, err);
    if (result != WR_OK) {
        session_release(session);
        return result;
    }
    *ret_session = session;
    return WR_OK;
}

void wr_session_free(struct wr_session *session) {
    if (session == NULL)
        return;
    session->stopping = true;
    wr_mqtt_link_cancel(&session->link);
    struct note note = {.kind = NOTE_STOP};
    if (wr_channel_try_send(session->notes, &note) != WR_OK)
        wr_channel_close(session->notes); /* full of others, each of which finds `stopping` */
    (void)pthread_join(session->thread, NULL);
    session_release(session);
}
