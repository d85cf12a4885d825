#include "tests/support/uplink_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PATIENCE_NS (30 * WR_NS_PER_S)

uint8_t uplink_bench_lane(int64_t seq) {
    return seq % 10 == 0 ? WR_LANE_ALARMS : seq % 10 == 1 ? WR_LANE_CHANGES : WR_LANE_WINDOWS;
}

static struct wr_channel *channel(const char *name, size_t capacity, size_t element_bytes) {
    struct wr_channel_options options = {.name = name, .capacity = capacity, .element_bytes = element_bytes, .policy = WR_CHANNEL_BLOCK};
    struct wr_channel *made = NULL;
    assert_int_equal(wr_channel_new(&options, &made, NULL), WR_OK);
    return made;
}

static enum wr_result as_json(void *user, enum wr_payload_format format, const struct wr_segment *segment, struct wr_buf *into,
                              struct wr_error *err) {
    (void)user;
    assert_int_equal(format, WR_PAYLOAD_JSON);
    (void)err;
    return wr_buf_printf(into, "{\"seq\":%lld}", (long long)segment->seq);
}

static void on_notice(void *user, const struct wr_uplink_notice *notice) {
    struct uplink_bench *bench = user;
    if (notice->kind == WR_UPLINK_NOTICE_DIRECT_DONE)
        bench->directs_delivered += notice->delivered;
    bench->refusals += notice->kind == WR_UPLINK_NOTICE_REFUSED;
    if (notice->kind == WR_UPLINK_NOTICE_STATE && notice->to == WR_UPLINK_OFFLINE) {
        (void)snprintf(bench->cause, sizeof bench->cause, "%s", notice->text);
        bench->offline++;
    }
}

static void reply(struct uplink_bench *bench, const struct wr_uplink_reply *what) {
    assert_int_equal(wr_channel_try_send(bench->replies, what), WR_OK); /* cannot fill */
}

static void answer_get(struct uplink_bench *bench, const struct wr_uplink_request *get) {
    uint32_t given = 0;
    for (int64_t seq = get->first; seq <= get->last && seq <= bench->committed && given < get->max_segments; seq++) {
        if (uplink_bench_lane(seq) != get->lane || bench->acked[seq] || bench->parked[seq])
            continue;
        struct wr_uplink_reply segment = {.kind = WR_UPLINK_SEGMENT, .lane = get->lane, .cursor = get->cursor, .ticket = get->ticket};
        segment.segment = (struct wr_segment){.epoch = UPLINK_BENCH_EPOCH,
                                              .seq = seq,
                                              .lane = get->lane,
                                              .kind = get->lane == WR_LANE_ALARMS ? WR_SEGMENT_ALARMS : WR_SEGMENT_AGGREGATES,
                                              .n = 3,
                                              .t0_ns = 1,
                                              .t1_ns = 2,
                                              .body = calloc(1, bench->body_bytes),
                                              .body_len = bench->body_bytes};
        assert_non_null(segment.segment.body);
        reply(bench, &segment);
        given++;
    }
    reply(bench, &(struct wr_uplink_reply){.kind = WR_UPLINK_DONE, .lane = get->lane, .cursor = get->cursor, .ticket = get->ticket});
}

bool uplink_bench_turn(struct uplink_bench *bench, int64_t deadline_boot_ns) {
    struct wr_uplink_request request;
    if (wr_channel_recv(bench->requests, &request, deadline_boot_ns) != WR_OK)
        return false;
    if (request.kind == WR_UPLINK_GET) {
        answer_get(bench, &request);
    } else if (request.kind == WR_UPLINK_OFFER) {
        bench->offered[request.lane] = request.last;
        reply(bench, &(struct wr_uplink_reply){.kind = WR_UPLINK_OFFERED, .lane = request.lane, .seq = request.last});
    } else if (request.kind == WR_UPLINK_ACK) {
        assert_int_equal(request.epoch, UPLINK_BENCH_EPOCH);
        assert_false(bench->acked[request.first]);
        bench->acked[request.first] = true;
        bench->done++;
    } else if (request.kind == WR_UPLINK_PARK) {
        bench->parked[request.first] = true;
        bench->park_reason[request.first] = request.reason;
        bench->done++;
    } else {
        fail_msg("a request of kind %u", (unsigned)request.kind);
    }
    return true;
}

void uplink_bench_serve(struct uplink_bench *bench, unsigned done) {
    const int64_t deadline_ns = wr_clock_boot_ns(wr_clock_real()) + PATIENCE_NS;
    while (bench->done < done)
        if (!uplink_bench_turn(bench, deadline_ns))
            fail_msg("only %u of %u booked: %s", bench->done, done, bench->cause);
}

struct wr_uplink_runner_config uplink_bench_config(const char *dir, uint16_t port, bool tls) {
    char text[64];
    struct wr_uplink_runner_config config = {
        .uplink = wr_uplink_defaults(),
        .session = {.client_id = "gw-7",
                    .keepalive_s = 30,
                    .connect_timeout_ns = 15 * WR_NS_PER_S,
                    .tls = {.ca = wr_test_path(dir, "ca.pem")}},
        .encode = as_json,
        .clock = wr_clock_real(),
    };
    config.uplink.window = UPLINK_BENCH_WINDOW;
    config.uplink.backoff_min_ns = 10 * WR_NS_PER_MS;
    config.uplink.backoff_max_ns = 50 * WR_NS_PER_MS;
    config.uplink.refusal_backoff_ns = 5 * WR_NS_PER_MS;
    (void)snprintf(text, sizeof text, "%s://localhost:%u", tls ? "mqtts" : "mqtt", (unsigned)port);
    assert_int_equal(wr_url_parse(text, &config.session.brokers[0], NULL), WR_OK);
    config.session.n_brokers = 1;
    assert_int_equal(wr_place_init(&config.place, "weir/1", "riga", "gw-7", NULL), WR_OK);
    if (tls) {
        config.session.tls.cert = wr_test_path(dir, "client.pem");
        config.session.tls.key = wr_test_path(dir, "client.key");
    }
    return config;
}

static void release(struct uplink_bench *bench) {
    wr_uplink_runner_free(bench->runner);
    struct wr_uplink_reply left;
    while (wr_channel_try_recv(bench->replies, &left) == WR_OK)
        wr_segment_free(&left.segment);
    wr_channel_free(bench->requests);
    wr_channel_free(bench->replies);
    wr_channel_free(bench->directs);
}

enum wr_result uplink_bench_try_open(struct uplink_bench *bench, struct wr_uplink_runner_config *config, int64_t committed,
                                     struct wr_error *err) {
    *bench = (struct uplink_bench){.committed = committed, .body_bytes = 500};
    bench->requests = channel("requests", WR_UPLINK_REQUESTS(UPLINK_BENCH_WINDOW), sizeof(struct wr_uplink_request));
    bench->replies = channel("replies", WR_UPLINK_REPLIES(UPLINK_BENCH_WINDOW), sizeof(struct wr_uplink_reply));
    bench->directs = channel("directs", 4, sizeof(struct wr_uplink_direct));
    config->requests = bench->requests;
    config->replies = bench->replies;
    config->directs = bench->directs;
    config->notify = on_notice;
    config->notify_user = bench;
    enum wr_result result = wr_uplink_runner_new(config, &bench->runner, err);
    if (result == WR_OK)
        result = wr_uplink_runner_start(bench->runner, err);
    if (result != WR_OK) {
        release(bench);
        return result;
    }
    reply(bench, &(struct wr_uplink_reply){.kind = WR_UPLINK_READY, .epoch = UPLINK_BENCH_EPOCH, .seq = committed / 2});
    for (uint8_t lane = 0; lane < WR_LANES; lane++)
        reply(bench, &(struct wr_uplink_reply){.kind = WR_UPLINK_AVAILABLE, .lane = lane, .seq = committed});
    return WR_OK;
}

void uplink_bench_open(struct uplink_bench *bench, struct wr_uplink_runner_config *config, int64_t committed) {
    struct wr_error err;
    if (uplink_bench_try_open(bench, config, committed, &err) != WR_OK)
        fail_msg("%s", err.text);
}

void uplink_bench_close(struct uplink_bench *bench) {
    wr_uplink_runner_stop(bench->runner, wr_clock_boot_ns(wr_clock_real()) + 5 * WR_NS_PER_S);
    struct wr_uplink_status status;
    wr_uplink_runner_status(bench->runner, &status);
    assert_int_equal(status.session.events_lost, 0);
    release(bench);
}

/* The number of the segment that a line tells of, 0: of none of this node. With MQTT 3.1.1 the key stands in the topic. */
static int64_t seq_of(const char *line, const char *node) {
    char of_node[64];
    (void)snprintf(of_node, sizeof of_node, "weir/1/riga/%s/", node);
    if (strncmp(line, of_node, strlen(of_node)) != 0)
        return 0;
    const char *leaf = line + strlen(of_node);
    const char *properties = strchr(leaf, ' ');
    const char *at = properties != NULL ? strstr(properties, " seq:") : NULL;
    const char *key = at != NULL ? strstr(properties, " epoch:0000000000c0ffee") : strstr(leaf, "/0000000000c0ffee/");
    if (key == NULL)
        return 0;
    const int64_t seq = at != NULL ? atoll(at + strlen(" seq:")) : atoll(key + strlen("/0000000000c0ffee/"));
    const char *kind = uplink_bench_lane(seq) == WR_LANE_ALARMS ? "alarm" : uplink_bench_lane(seq) == WR_LANE_CHANGES ? "event" : "agg";
    assert_memory_equal(leaf, kind, strlen(kind));
    return seq;
}

void uplink_bench_has_arrived(struct wr_test_subscriber *subscriber, const char *node, int64_t n) {
    bool seen[UPLINK_BENCH_SEGMENTS + 1] = {false};
    int64_t missing = n;
    while (missing > 0) {
        const char *line = wr_test_subscriber_line(subscriber, 10000);
        if (line == NULL)
            fail_msg("%lld segments did not reach the subscriber", (long long)missing);
        const int64_t seq = seq_of(line, node);
        if (seq < 1 || seq > n)
            continue;
        missing -= !seen[seq];
        seen[seq] = true;
    }
}
