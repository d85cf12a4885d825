#include "agent/loops/uplink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "store/codec.h"
#include "transport/payload.h"

/* -- other formats: here the store's codec and the transport's encoders meet --------------------------------------------------------------- */

static enum wr_result encode_records(struct wr_decoder *decoder, const struct wr_segment *segment, struct wr_payload *payload,
                                     struct wr_error *err) {
    enum wr_result result;
    if (segment->kind == WR_SEGMENT_AGGREGATES) {
        struct wr_aggregate aggregate;
        while ((result = wr_decode_aggregate(decoder, &aggregate, err)) == WR_OK)
            wr_payload_aggregate(payload, &aggregate);
    } else {
        const char *text;
        size_t len;
        while ((result = wr_decode_text(decoder, &text, &len, err)) == WR_OK)
            wr_payload_object(payload, text, len);
    }
    return result == WR_EMPTY ? WR_OK : result;
}

static enum wr_result encode(void *user, enum wr_payload_format format, const struct wr_segment *segment, struct wr_buf *into,
                             struct wr_error *err) {
    struct wr_uplink_link *link = user;
    struct wr_codec_header header;
    WR_TRY(wr_decode_begin(link->decoder, segment->body, segment->body_len, &header, err));
    struct wr_payload payload;
    wr_payload_begin(&payload, format, into, &link->place, segment);
    enum wr_result decoded = encode_records(link->decoder, segment, &payload, err);
    enum wr_result encoded = wr_payload_end(&payload, decoded == WR_OK ? err : NULL);
    return decoded != WR_OK ? decoded : encoded;
}

/* -- what it says ---------------------------------------------------------------------------------------------------------------------- */

/* A rotation of certificates that is half done: the connection stands, the next one may not. */
static void say_online(struct wr_uplink_link *link) {
    struct wr_uplink_status status;
    wr_uplink_runner_status(link->runner, &status);
    WR_LOG_WITH(WR_LOG_INFO, "uplink", "online", WR_LOG_STR("broker", wr_uplink_link_broker(link, &status)),
                WR_LOG_STR("why", link->config->n_brokers > 1 ? wr_route_why_name(status.uplink.broker_why) : "the only one"));
    if (status.session.tls_warning[0] != 0)
        WR_LOG_WITH(WR_LOG_WARN, "uplink", "new certificate files cannot be used; the last good ones are",
                    WR_LOG_STR("error", status.session.tls_warning));
}

static void say_offline(struct wr_uplink_link *link) {
    struct wr_uplink_status status;
    wr_uplink_runner_status(link->runner, &status);
    if (status.uplink.planned)
        WR_LOG_WITH(WR_LOG_INFO, "uplink", "offline", WR_LOG_STR("why", status.uplink.cause));
    else
        WR_LOG_WITH(WR_LOG_WARN, "uplink", "offline", WR_LOG_STR("error", status.uplink.cause));
}

/* What it means for the data, not the number. */
static void say_budget(struct wr_uplink_link *link, enum wr_budget_level level) {
    static const char *const effects[WR_BUDGET_LEVELS] = {[WR_BUDGET_FREE] = "everything goes again",
                                                          [WR_BUDGET_SPARING] = "windows from before this start wait",
                                                          [WR_BUDGET_SLOW] = "windows go at an even rate",
                                                          [WR_BUDGET_SPENT] = "windows wait"};
    struct wr_uplink_status status;
    wr_uplink_runner_status(link->runner, &status);
    const struct wr_uplink_budget *budgets = status.uplink.budgets;
    WR_LOG_WITH(level == WR_BUDGET_FREE ? WR_LOG_INFO : WR_LOG_WARN, "uplink", "byte budget",
                WR_LOG_STR("level", wr_budget_level_name(level)), WR_LOG_STR("effect", effects[level]),
                WR_LOG_INT("month_bytes", (int64_t)budgets[WR_BUDGET_MONTH].spent_bytes),
                WR_LOG_INT("day_bytes", (int64_t)budgets[WR_BUDGET_DAY].spent_bytes));
}

static void notify(void *user, const struct wr_uplink_notice *notice) {
    struct wr_uplink_link *link = user;
    switch ((enum wr_uplink_notice_kind)notice->kind) {
    case WR_UPLINK_NOTICE_STATE:
        if (notice->to == WR_UPLINK_ONLINE) {
            link->last_cause[0] = 0;
            say_online(link);
        } else if (notice->to == WR_UPLINK_OFFLINE && strcmp(notice->text, link->last_cause) != 0) {
            snprintf(link->last_cause, sizeof link->last_cause, "%s", notice->text);
            say_offline(link);
        }
        break;
    case WR_UPLINK_NOTICE_DIRECT_DONE:
        pthread_mutex_lock(&link->lock);
        if (link->published)
            link->published(link->user, notice->id, notice->delivered);
        pthread_mutex_unlock(&link->lock);
        break;
    case WR_UPLINK_NOTICE_COMMANDS:
        if (notice->granted) {
            link->last_deafness[0] = 0;
        } else if (strcmp(notice->text, link->last_deafness) != 0) {
            snprintf(link->last_deafness, sizeof link->last_deafness, "%s", notice->text);
            WR_LOG_WITH(WR_LOG_WARN, "uplink", "commands are not heard", WR_LOG_STR("error", notice->text));
        }
        break;
    case WR_UPLINK_NOTICE_BUDGET:
        say_budget(link, (enum wr_budget_level)notice->to);
        break;
    case WR_UPLINK_NOTICE_REFUSED:
        WR_LOG_WITH(WR_LOG_WARN, "uplink", "the broker refuses messages", WR_LOG_STR("error", notice->text));
        break;
    case WR_UPLINK_NOTICE_PARKED:
        WR_LOG_WITH(WR_LOG_ERROR, "uplink", "segment parked: the broker does not take it", WR_LOG_INT("lane", notice->lane),
                    WR_LOG_INT("seq", notice->seq), WR_LOG_STR("error", notice->text));
        break;
    }
}

/* -- start and stop -------------------------------------------------------------------------------------------------------------------- */

static void drop_direct(void *element, void *user) {
    (void)user;
    free(((struct wr_uplink_direct *)element)->payload);
}

static void drop_answer(void *element, void *user) {
    (void)user;
    free(((struct wr_command_answer *)element)->payload);
}

static enum wr_result make_channels(struct wr_uplink_link *link, const struct wr_config_uplink *config, struct wr_error *err) {
    const struct wr_channel_options directs = {.name = "actions to uplink",
                                               .capacity = WR_UPLINK_DIRECT + 1, /* and a hint */
                                               .element_bytes = sizeof(struct wr_uplink_direct),
                                               .policy = WR_CHANNEL_REJECT,
                                               .drop = drop_direct};
    const struct wr_channel_options commands = {.name = "uplink to remote desk",
                                                .capacity = WR_COMMANDS,
                                                .element_bytes = sizeof(struct wr_command_message),
                                                .policy = WR_CHANNEL_REJECT};
    const struct wr_channel_options answers = {.name = "remote desk to uplink",
                                               .capacity = WR_COMMAND_ANSWERS,
                                               .element_bytes = sizeof(struct wr_command_answer),
                                               .policy = WR_CHANNEL_DROP_OLDEST,
                                               .drop = drop_answer};
    WR_TRY(wr_channel_new(&directs, &link->directs, err));
    if (!config->commands)
        return WR_OK;
    WR_TRY(wr_channel_new(&commands, &link->commands, err));
    return wr_channel_new(&answers, &link->answers, err);
}

static enum wr_result fill_session(const struct wr_config *config, struct wr_session_config *session, struct wr_error *err) {
    const struct wr_config_uplink *uplink = config->uplink;
    session->n_brokers = uplink->n_brokers;
    for (unsigned i = 0; i < uplink->n_brokers; i++)
        WR_TRY(wr_url_parse(uplink->brokers[i].url, &session->brokers[i], err));
    session->tls =
        (struct wr_tls_config){.ca = uplink->ca, .cert = uplink->cert, .key = uplink->key, .crl = uplink->crl, .alpn = uplink->alpn};
    static const uint8_t versions[] = {
        [WR_CONFIG_MQTT_AUTO] = WR_MQTT_AUTO, [WR_CONFIG_MQTT_5] = WR_MQTT_5, [WR_CONFIG_MQTT_3_1_1] = WR_MQTT_3_1_1};
    session->version = versions[uplink->version];
    session->client_id = config->node->id;
    session->user = uplink->user;
    session->password_file = uplink->password_file;
    session->keepalive_s = (uint16_t)(uplink->keepalive_ns / WR_NS_PER_S);
    session->connect_timeout_ns = uplink->connect_timeout_ns;
    return WR_OK;
}

static enum wr_result make_runner(struct wr_uplink_link *link, const struct wr_config *config, const struct wr_clock *clock,
                                  struct wr_channel *requests, struct wr_channel *replies, struct wr_error *err) {
    struct wr_uplink_runner_config runner = {.uplink = wr_uplink_defaults(),
                                             .encode = encode,
                                             .encode_user = link,
                                             .notify = notify,
                                             .notify_user = link,
                                             .requests = requests,
                                             .replies = replies,
                                             .directs = link->directs,
                                             .commands = link->commands,
                                             .answers = link->answers,
                                             .running = link->running,
                                             .clock = clock};
    runner.uplink.window = config->uplink->window;
    runner.uplink.rate_bytes_per_s = config->uplink->rate;
    runner.uplink.backfill_percent = config->uplink->backfill_share;
    runner.uplink.budget_bytes[WR_BUDGET_MONTH] = config->uplink->byte_budget;
    runner.uplink.budget_bytes[WR_BUDGET_DAY] = config->uplink->byte_budget_day;
    runner.uplink.budget_from_day = (uint8_t)config->uplink->byte_budget_from;
    runner.uplink.window_bytes = (uint32_t)config->uplink->window_bytes;
    runner.uplink.backoff_max_ns = config->uplink->retry_max_ns;
    if (runner.uplink.backoff_min_ns > runner.uplink.backoff_max_ns)
        runner.uplink.backoff_min_ns = runner.uplink.backoff_max_ns;
    runner.format = (enum wr_payload_format)config->uplink->format;
    WR_TRY(fill_session(config, &runner.session, err));
    if (config->uplink->schedule) {
        wr_link_schedule_init(&runner.uplink.schedule, config->node->id, config->uplink->schedule->every_ns,
                              config->uplink->schedule->open_ns);
        runner.uplink.schedule.start_boot_ns = wr_clock_boot_ns(clock);
    }
    wr_route_init(&runner.uplink.route, config->node->id, runner.session.brokers, runner.session.n_brokers);
    WR_TRY(wr_place_init(&link->place, config->uplink->prefix, config->node->site, config->node->id, err));
    runner.place = link->place;
    WR_TRY(wr_uplink_runner_new(&runner, &link->runner, err));
    return wr_uplink_runner_start(link->runner, err);
}

void wr_uplink_link_renew_state(struct wr_uplink_link *link) {
    const struct wr_uplink_direct hint = {.topic = ""};
    (void)!wr_channel_try_send(link->directs,
                               &hint); /* full: one waits there already, or eight messages, and then the next connection tells it */
}

enum wr_result wr_uplink_link_start(const struct wr_config *config, const _Atomic uint64_t *running, const struct wr_clock *clock,
                                    struct wr_channel *requests, struct wr_channel *replies, struct wr_uplink_link **ret_link,
                                    struct wr_error *err) {
    struct wr_uplink_link *link = calloc(1, sizeof *link);
    if (!link)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the uplink");
    pthread_mutex_init(&link->lock, NULL);
    link->config = config->uplink;
    link->running = running;
    enum wr_result result = make_channels(link, config->uplink, err);
    if (result == WR_OK)
        result = wr_decoder_new(&link->decoder);
    if (result == WR_OK)
        result = make_runner(link, config, clock, requests, replies, err);
    if (result != WR_OK) {
        wr_uplink_link_stop(link, 0);
        return wr_error_wrap(err, "uplink");
    }
    *ret_link = link;
    return WR_OK;
}

void wr_uplink_link_tell(struct wr_uplink_link *link, void (*published)(void *user, uint64_t id, bool delivered), void *user) {
    pthread_mutex_lock(&link->lock);
    link->published = published;
    link->user = user;
    pthread_mutex_unlock(&link->lock);
}

const char *wr_uplink_link_broker(const struct wr_uplink_link *link, const struct wr_uplink_status *status) {
    return link->config->urls[status->uplink.broker < link->config->n_brokers ? status->uplink.broker : 0];
}

struct wr_wire_bytes wr_uplink_link_wire(struct wr_uplink_link *link) {
    struct wr_uplink_status status = {0};
    if (link && link->runner)
        wr_uplink_runner_status(link->runner, &status);
    return status.session.wire;
}

struct wr_wire_bytes wr_uplink_link_stop(struct wr_uplink_link *link, int64_t deadline_boot_ns) {
    if (!link)
        return (struct wr_wire_bytes){0};
    if (link->runner)
        wr_uplink_runner_stop(link->runner, deadline_boot_ns);
    const struct wr_wire_bytes wire = wr_uplink_link_wire(link);
    wr_uplink_runner_free(link->runner);
    wr_channel_free(link->directs);
    wr_channel_free(link->commands);
    wr_channel_free(link->answers);
    wr_decoder_free(link->decoder);
    pthread_mutex_destroy(&link->lock);
    free(link);
    return wire;
}
