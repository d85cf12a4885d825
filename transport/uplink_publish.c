/* What the uplink publishes: topics, keys and properties around a segment, a direct message, an answer, the state. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "transport/reason.h"
#include "transport/trace.h"
#include "transport/uplink_runner_private.h"

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
        {"traceparent",
         wr_trace_parent(envelope->trace, segment->epoch, (uint64_t)segment->seq, wr_clock_random_u64(runner->config.clock))},
        {"time_quality",
         wr_time_quality_name((enum wr_time_quality)segment->time_quality)}, /* the last: left out where there is nothing to say */
    };
    const size_t n_properties = sizeof properties / sizeof properties[0];
    static_assert(sizeof properties <= sizeof envelope->properties, "more properties than a publish takes");
    memcpy(envelope->properties, properties, sizeof properties);
    *ret_publish = (struct wr_session_publish){
        .topic = envelope->topic,
        .payload = segment->body,
        .payload_len = segment->body_len,
        .qos = 1,
        .content_type = wr_payload_content_type(wr_payload_of(runner->config.format, segment)),
        .properties = envelope->properties,
        .n_properties = n_properties - (segment->time_quality == WR_TIME_TRUSTED),
    };
}

/* What is larger than the broker takes would end the session, each time: it counts as refused by it (a segment does not come so far). */
static bool is_too_large(struct wr_uplink_runner *runner, const struct wr_now *now, const struct wr_session_publish *what) {
    if (wr_session_packet_bytes(what, version_of(runner)) <= runner->snapshot.max_packet_bytes)
        return false;
    const struct wr_session_event event = {
        .kind = WR_SESSION_REFUSED, .reason = WR_REASON_TOO_LARGE, .connection = what->connection, .id = what->id};
    wr_uplink_on_session(runner->uplink, now, wr_clock_random_u64(runner->config.clock), &event);
    wr_uplink_runner_tell_refusal(runner, WR_REASON_TOO_LARGE);
    return true;
}

/* WR_CLOSED is no failure: the session tells the loss itself, with its cause. */
static void publish(struct wr_uplink_runner *runner, const struct wr_now *now, const struct wr_uplink_action *action,
                    struct wr_session_publish *what) {
    struct wr_error err = {0};
    what->connection = action->connection;
    what->id = action->id;
    if (is_too_large(runner, now, what))
        return;
    enum wr_result result = runner->config.ops->publish(runner->config.self, what, &err);
    if (result != WR_OK && result != WR_CLOSED)
        wr_uplink_on_publish_failed(runner->uplink, now, wr_clock_random_u64(runner->config.clock), err.text);
}

void wr_uplink_publish_segment(struct wr_uplink_runner *runner, const struct wr_now *now, const struct wr_uplink_action *action) {
    struct envelope envelope;
    struct wr_session_publish what;
    wrap(runner, action->segment, &envelope, &what);
    publish(runner, now, action, &what);
}

/* Its topic is of the place, where that of a direct message is the sender's. */
static void publish_answer(struct wr_uplink_runner *runner, const struct wr_now *now, const struct wr_uplink_action *action) {
    char topic[WR_TOPIC_BYTES];
    struct wr_session_publish what = {
        .topic = wr_topic_text(topic, &runner->config.place, WR_TOPIC_ACK),
        .payload = action->direct->payload,
        .payload_len = action->direct->payload_len,
        .qos = 1,
        .content_type = WR_CONTENT_JSON,
    };
    publish(runner, now, action, &what);
}

void wr_uplink_publish_direct(struct wr_uplink_runner *runner, const struct wr_now *now, const struct wr_uplink_action *action) {
    const struct wr_uplink_direct *direct = action->direct;
    if ((direct->id & WR_UPLINK_ANSWER) != 0) {
        publish_answer(runner, now, action);
        return;
    }
    char trace[WR_TRACE_PARENT_BYTES];
    wr_trace_parent(trace, wr_context_trace_id(runner->context), direct->id, wr_clock_random_u64(runner->config.clock));
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

void wr_uplink_publish_state(struct wr_uplink_runner *runner, const struct wr_now *now, const struct wr_uplink_action *action) {
    char topic[WR_TOPIC_BYTES];
    struct wr_buf json;
    wr_buf_init(&json, 4096);
    enum wr_result result = wr_state_json(&json, &runner->config.place, action->online ? NULL : wr_uplink_leaving_name(action->leaving),
                                          wr_uplink_running(runner), now);
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
        wr_uplink_on_publish_failed(runner->uplink, now, wr_clock_random_u64(runner->config.clock), "no memory for the state message");
    }
    wr_buf_fini(&json);
}

size_t wr_uplink_publish_bytes(struct wr_uplink_runner *runner, const struct wr_segment *segment) {
    struct envelope envelope;
    struct wr_session_publish what;
    wrap(runner, segment, &envelope, &what);
    return wr_session_packet_bytes(&what, version_of(runner));
}
