#include "transport/uplink_runner.h"
#include "core/thread.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/context.h"
#include "transport/trace.h"

#define TURN 64 /* messages taken from a channel before actions are carried out */
#define REQUEST_WAIT_NS WR_NS_PER_S

struct wr_uplink_runner {
    struct wr_uplink_runner_config config;
    struct wr_uplink *uplink;
    struct wr_session *session; /* NULL with a fake one */
    struct wr_channel *events;
    struct wr_channel *control; /* of int64_t: the deadline of a stop */
    struct wr_context *context; /* carries the trace id of direct messages */
    pthread_t thread;
    bool running;
    bool replies_over;
    bool directs_over;
    enum wr_uplink_state told; /* the state of the last notice */
    pthread_mutex_t lock;      /* over snapshot */
    struct wr_uplink_stats snapshot;
};

static struct wr_now now_of(const struct wr_uplink_runner *runner) {
    return wr_clock_now(runner->config.clock);
}

static uint64_t random_of(const struct wr_uplink_runner *runner) {
    return wr_clock_random_u64(runner->config.clock);
}

static void notify(struct wr_uplink_runner *runner, struct wr_uplink_notice notice) {
    if (notice.text == NULL)
        notice.text = "";
    if (runner->config.notify != NULL)
        runner->config.notify(runner->config.notify_user, &notice);
}

/* ---- publishing ---- */

/* The strings of a segment's publish, which must live as long as the call. */
struct envelope {
    char topic[WR_TOPIC_BYTES];
    char epoch[24];
    char seq[24];
    char t0[24];
    char t1[24];
    char n[24];
    char lane[24];
    char trace[WR_TRACE_PARENT_BYTES];
    struct wr_session_property properties[WR_SESSION_PROPERTIES];
};

/* The snapshot is written by this thread alone. */
static uint8_t version_of(const struct wr_uplink_runner *runner) {
    return runner->snapshot.mqtt_version == WR_MQTT_3_1_1 ? WR_MQTT_3_1_1 : WR_MQTT_5;
}

static void wrap(const struct wr_uplink_runner *runner, const struct wr_segment *segment, struct envelope *envelope,
                 struct wr_session_publish *ret_publish) {
    enum wr_topic topic = wr_topic_of((enum wr_lane)segment->lane, (enum wr_segment_kind)segment->kind);
    wr_topic_text(envelope->topic, &runner->config.place, topic);
    if (version_of(runner) == WR_MQTT_3_1_1)
        wr_topic_add_key(envelope->topic, segment->epoch, segment->seq);
    (void)snprintf(envelope->epoch, sizeof envelope->epoch, "%016" PRIx64, segment->epoch);
    (void)snprintf(envelope->seq, sizeof envelope->seq, "%" PRId64, segment->seq);
    (void)snprintf(envelope->t0, sizeof envelope->t0, "%" PRId64, segment->t0_ns);
    (void)snprintf(envelope->t1, sizeof envelope->t1, "%" PRId64, segment->t1_ns);
    (void)snprintf(envelope->n, sizeof envelope->n, "%" PRIu32, segment->n);
    (void)snprintf(envelope->lane, sizeof envelope->lane, "%u", (unsigned)segment->lane);
    const struct wr_session_property properties[] = {
        {"node", runner->config.place.node},
        {"epoch", envelope->epoch},
        {"seq", envelope->seq},
        {"t0_ns", envelope->t0},
        {"t1_ns", envelope->t1},
        {"n", envelope->n},
        {"lane", envelope->lane},
        {"traceparent", wr_trace_parent(envelope->trace, segment->epoch, (uint64_t)segment->seq, random_of(runner))},
    };
    static_assert(sizeof properties <= sizeof envelope->properties, "more properties than a publish takes");
    memcpy(envelope->properties, properties, sizeof properties);
    *ret_publish = (struct wr_session_publish){
        .topic = envelope->topic,
        .payload = segment->body,
        .payload_len = segment->body_len,
        .qos = 1,
        .content_type = wr_payload_content_type(wr_payload_of(runner->config.format, segment)),
        .properties = envelope->properties,
        .n_properties = sizeof properties / sizeof properties[0],
    };
}

/* WR_CLOSED is no failure: the session tells the loss itself, with its cause. */
static void publish(struct wr_uplink_runner *runner, const struct wr_now *now, const struct wr_uplink_action *action,
                    struct wr_session_publish *what) {
    struct wr_error err = {0};
    what->connection = action->connection;
    what->id = action->id;
    enum wr_result result = runner->config.ops->publish(runner->config.self, what, &err);
    if (result != WR_OK && result != WR_CLOSED)
        wr_uplink_on_publish_failed(runner->uplink, now, random_of(runner), err.text);
}

static void publish_segment(struct wr_uplink_runner *runner, const struct wr_now *now, const struct wr_uplink_action *action) {
    struct envelope envelope;
    struct wr_session_publish what;
    wrap(runner, action->segment, &envelope, &what);
    publish(runner, now, action, &what);
}

static void publish_direct(struct wr_uplink_runner *runner, const struct wr_now *now, const struct wr_uplink_action *action) {
    const struct wr_uplink_direct *direct = action->direct;
    char trace[WR_TRACE_PARENT_BYTES];
    wr_trace_parent(trace, wr_context_trace_id(runner->context), direct->id, random_of(runner));
    const struct wr_session_property property = {"traceparent", trace};
    struct wr_session_publish what = {
        .topic = direct->topic,
        .payload = direct->payload,
        .payload_len = direct->payload_len,
        .qos = direct->qos,
        .retained = direct->retained,
        .properties = &property,
        .n_properties = 1,
    };
    publish(runner, now, action, &what);
}

static void publish_state(struct wr_uplink_runner *runner, const struct wr_now *now, const struct wr_uplink_action *action) {
    char topic[WR_TOPIC_BYTES];
    struct wr_buf json;
    wr_buf_init(&json, 4096);
    enum wr_result result = wr_state_json(&json, &runner->config.place, action->online ? NULL : "stop", now);
    if (result == WR_OK) {
        struct wr_session_publish what = {
            .topic = wr_topic_text(topic, &runner->config.place, WR_TOPIC_STATE),
            .payload = json.data,
            .payload_len = json.len,
            .qos = 1,
            .retained = true,
            .content_type = WR_CONTENT_JSON,
        };
        publish(runner, now, action, &what);
    } else {
        wr_uplink_on_publish_failed(runner->uplink, now, random_of(runner), "no memory for the state message");
    }
    wr_buf_fini(&json);
}

/* ---- actions ---- */

/* The channel cannot fill, by its size. A closed one means that the store is gone: then nothing can be booked any more. */
static void request(struct wr_uplink_runner *runner, const struct wr_uplink_request *what) {
    enum wr_result result;
    do {
        result = wr_channel_send(runner->config.requests, what, wr_clock_boot_ns(wr_clock_real()) + REQUEST_WAIT_NS);
    } while (result == WR_TIMEOUT);
    if (what->kind != WR_UPLINK_PARK)
        return;
    char text[128];
    if (what->reason == 0)
        (void)snprintf(text, sizeof text, "cannot be encoded");
    else
        (void)snprintf(text, sizeof text,
                       what->reason == 0x95 ? "larger than the broker accepts (0x%02X)" : "refused by the broker (0x%02X)", what->reason);
    notify(runner, (struct wr_uplink_notice){.kind = WR_UPLINK_NOTICE_PARKED, .lane = what->lane, .seq = what->first, .text = text});
}

static void act(struct wr_uplink_runner *runner, const struct wr_now *now, const struct wr_uplink_action *action) {
    const struct wr_session_ops *ops = runner->config.ops;
    switch ((enum wr_uplink_action_kind)action->kind) {
    case WR_UPLINK_ACT_CONNECT:
        if (ops->connect(runner->config.self, action->connection) != WR_OK) {
            struct wr_session_event event = {.kind = WR_SESSION_FAILED, .connection = action->connection, .text = "the session is busy"};
            wr_uplink_on_session(runner->uplink, now, random_of(runner), &event);
        }
        break;
    case WR_UPLINK_ACT_CLOSE:
        ops->close(runner->config.self, action->connection, action->clean);
        break;
    case WR_UPLINK_ACT_BIRTH:
        publish_state(runner, now, action);
        break;
    case WR_UPLINK_ACT_PUBLISH:
        publish_segment(runner, now, action);
        break;
    case WR_UPLINK_ACT_DIRECT:
        publish_direct(runner, now, action);
        break;
    case WR_UPLINK_ACT_REQUEST:
        request(runner, &action->request);
        break;
    case WR_UPLINK_ACT_DIRECT_DONE:
        notify(runner, (struct wr_uplink_notice){.kind = WR_UPLINK_NOTICE_DIRECT_DONE, .id = action->id, .delivered = action->delivered});
        break;
    }
}

static void tell_state(struct wr_uplink_runner *runner) {
    struct wr_uplink_stats stats;
    wr_uplink_stats(runner->uplink, &stats);
    (void)pthread_mutex_lock(&runner->lock);
    runner->snapshot = stats;
    (void)pthread_mutex_unlock(&runner->lock);
    enum wr_uplink_state state = (enum wr_uplink_state)stats.state;
    if (state == runner->told)
        return;
    bool failed = state == WR_UPLINK_OFFLINE;
    struct wr_uplink_notice notice = {
        .kind = WR_UPLINK_NOTICE_STATE, .from = (uint8_t)runner->told, .to = (uint8_t)state, .text = failed ? stats.cause : ""};
    runner->told = state;
    notify(runner, notice);
}

static void act_all(struct wr_uplink_runner *runner) {
    struct wr_now now = now_of(runner);
    struct wr_uplink_action action;
    while (wr_uplink_next(runner->uplink, &now, random_of(runner), &action)) {
        act(runner, &now, &action);
        if (action.kind == WR_UPLINK_ACT_CONNECT || action.kind == WR_UPLINK_ACT_CLOSE)
            tell_state(runner);
    }
    tell_state(runner);
}

/* ---- messages in ---- */

static void take_event(struct wr_uplink_runner *runner, const struct wr_session_event *event) {
    struct wr_now now = now_of(runner);
    wr_uplink_on_session(runner->uplink, &now, random_of(runner), event);
    if (event->kind != WR_SESSION_DELIVERED && event->kind != WR_SESSION_REFUSED)
        tell_state(runner);
}

/* Replaces the body by what is sent, where that is not the body itself. */
static enum wr_result encode(struct wr_uplink_runner *runner, struct wr_segment *segment) {
    enum wr_payload_format format = wr_payload_of(runner->config.format, segment);
    if (format == WR_PAYLOAD_SEGMENT)
        return WR_OK;
    struct wr_buf payload;
    wr_buf_init(&payload, WR_PAYLOAD_BYTES_MAX);
    enum wr_result result = runner->config.encode(runner->config.encode_user, format, segment, &payload, NULL);
    if (result == WR_OK) {
        free(segment->body);
        segment->body = wr_buf_steal(&payload, &segment->body_len);
    }
    wr_buf_fini(&payload);
    return result;
}

static void take_reply(struct wr_uplink_runner *runner, struct wr_uplink_reply *reply) {
    struct wr_now now = now_of(runner);
    enum wr_result encoded = WR_OK;
    size_t packet_bytes = 0;
    if (reply->kind == WR_UPLINK_SEGMENT) {
        encoded = encode(runner, &reply->segment);
        struct envelope envelope;
        struct wr_session_publish what;
        wrap(runner, &reply->segment, &envelope, &what);
        packet_bytes = wr_session_packet_bytes(&what, version_of(runner));
    }
    wr_uplink_on_store(runner->uplink, &now, reply, packet_bytes, encoded);
}

static void take_direct(struct wr_uplink_runner *runner, struct wr_uplink_direct *direct) {
    if (!wr_uplink_on_direct(runner->uplink, direct)) {
        free(direct->payload);
        notify(runner, (struct wr_uplink_notice){.kind = WR_UPLINK_NOTICE_DIRECT_DONE, .id = direct->id, .delivered = false});
    }
}

static void take_stop(struct wr_uplink_runner *runner, int64_t deadline_boot_ns) {
    struct wr_now now = now_of(runner);
    wr_uplink_on_stop(runner->uplink, &now, deadline_boot_ns);
}

/* The messages of one turn: the one that woke us is taken by select; what else lies there is taken with it. */
static void drain(struct wr_uplink_runner *runner) {
    struct wr_session_event event;
    for (int i = 0; i < TURN && wr_channel_try_recv(runner->events, &event) == WR_OK; i++)
        take_event(runner, &event);
    struct wr_uplink_reply reply;
    for (int i = 0; i < TURN && !runner->replies_over && wr_channel_try_recv(runner->config.replies, &reply) == WR_OK; i++)
        take_reply(runner, &reply);
}

static void *runner_thread(void *user) {
    struct wr_uplink_runner *runner = user;
    wr_thread_name("weir-uplink");
    act_all(runner);
    while (wr_uplink_state(runner->uplink) != WR_UPLINK_STOPPED) {
        struct wr_session_event event;
        struct wr_uplink_reply reply;
        struct wr_uplink_direct direct;
        int64_t stop_boot_ns = 0;
        bool room = !runner->directs_over && wr_uplink_direct_room(runner->uplink);
        struct wr_channel_case cases[] = {
            {.channel = runner->control, .direction = WR_CHANNEL_RECV, .element = &stop_boot_ns},
            {.channel = runner->events, .direction = WR_CHANNEL_RECV, .element = &event},
            {.channel = room ? runner->config.directs : NULL, .direction = WR_CHANNEL_RECV, .element = &direct},
            {.channel = runner->replies_over ? NULL : runner->config.replies, .direction = WR_CHANNEL_RECV, .element = &reply},
        };
        size_t index = 0;
        if (wr_channel_select(cases, 4, NULL, wr_uplink_wake_ns(runner->uplink), &index) == WR_OK) {
            bool over = cases[index].result != WR_OK;
            if (index == 0)
                take_stop(runner, over ? 0 : stop_boot_ns);
            else if (index == 1 && !over)
                take_event(runner, &event);
            else if (index == 2 && over)
                runner->directs_over = true;
            else if (index == 2)
                take_direct(runner, &direct);
            else if (index == 3 && over)
                runner->replies_over = true;
            else if (index == 3)
                take_reply(runner, &reply);
            drain(runner);
        }
        act_all(runner);
    }
    return NULL;
}

/* ---- life ---- */

static enum wr_result prepare_session(struct wr_uplink_runner *runner, struct wr_error *err) {
    struct wr_uplink_runner_config *config = &runner->config;
    if (config->ops != NULL)
        return WR_OK;
    struct wr_session_config session = config->session;
    session.window = config->uplink.window;
    session.events = runner->events;
    session.clock = config->clock;
    wr_topic_text(session.will_topic, &config->place, WR_TOPIC_STATE);
    struct wr_buf will;
    wr_buf_init(&will, sizeof session.will - 1);
    enum wr_result result = wr_state_json(&will, &config->place, "connection lost", NULL);
    if (result == WR_OK)
        memcpy(session.will, wr_buf_str(&will), will.len + 1);
    wr_buf_fini(&will);
    if (result != WR_OK)
        return wr_error_set(err, result, "uplink: the last will: %s", wr_result_name(result));
    WR_TRY(wr_session_new(&session, &runner->session, err));
    config->ops = wr_session_ops();
    config->self = runner->session;
    return WR_OK;
}

static enum wr_result prepare(struct wr_uplink_runner *runner, struct wr_error *err) {
    struct wr_channel_options events = {.name = "session events",
                                        .capacity = WR_SESSION_EVENTS(runner->config.uplink.window),
                                        .element_bytes = sizeof(struct wr_session_event),
                                        .policy = WR_CHANNEL_REJECT};
    struct wr_channel_options control = {
        .name = "uplink control", .capacity = 1, .element_bytes = sizeof(int64_t), .policy = WR_CHANNEL_REJECT};
    WR_TRY(wr_uplink_new(&runner->config.uplink, &runner->uplink, err));
    WR_TRY(wr_channel_new(&events, &runner->events, err));
    WR_TRY(wr_channel_new(&control, &runner->control, err));
    WR_TRY(wr_context_new(NULL, WR_NEVER_NS, random_of(runner), &runner->context, err));
    WR_TRY(prepare_session(runner, err));
    wr_uplink_stats(runner->uplink, &runner->snapshot);
    return WR_OK;
}

static void release(struct wr_uplink_runner *runner) {
    wr_session_free(runner->session);
    wr_context_unref(runner->context);
    wr_channel_free(runner->control);
    wr_channel_free(runner->events);
    wr_uplink_free(runner->uplink);
    (void)pthread_mutex_destroy(&runner->lock);
    free(runner);
}

enum wr_result wr_uplink_runner_new(const struct wr_uplink_runner_config *config, struct wr_uplink_runner **ret_runner,
                                    struct wr_error *err) {
    struct wr_uplink_runner *runner = calloc(1, sizeof *runner);
    if (runner == NULL)
        return wr_error_set(err, WR_NO_MEMORY, "uplink: no memory");
    runner->config = *config;
    runner->directs_over = config->directs == NULL;
    (void)pthread_mutex_init(&runner->lock, NULL);
    enum wr_result result = prepare(runner, err);
    if (result != WR_OK) {
        release(runner);
        return result;
    }
    *ret_runner = runner;
    return WR_OK;
}

enum wr_result wr_uplink_runner_start(struct wr_uplink_runner *runner, struct wr_error *err) {
    WR_TRY(wr_thread_start(&runner->thread, runner_thread, runner, "uplink", err));
    runner->running = true;
    return WR_OK;
}

struct wr_channel *wr_uplink_runner_events(struct wr_uplink_runner *runner) {
    return runner->events;
}

void wr_uplink_runner_status(struct wr_uplink_runner *runner, struct wr_uplink_status *ret_status) {
    (void)pthread_mutex_lock(&runner->lock);
    ret_status->uplink = runner->snapshot;
    (void)pthread_mutex_unlock(&runner->lock);
    ret_status->session = (struct wr_session_stats){.cert_expires_wall_ns = WR_NEVER_NS};
    if (runner->session != NULL)
        wr_session_stats(runner->session, &ret_status->session);
}

void wr_uplink_runner_stop(struct wr_uplink_runner *runner, int64_t deadline_boot_ns) {
    if (!runner->running)
        return;
    if (wr_channel_try_send(runner->control, &deadline_boot_ns) != WR_OK)
        wr_channel_close(runner->control);
    (void)pthread_join(runner->thread, NULL);
    runner->running = false;
}

void wr_uplink_runner_free(struct wr_uplink_runner *runner) {
    if (runner == NULL)
        return;
    wr_uplink_runner_stop(runner, 0);
    release(runner);
}
