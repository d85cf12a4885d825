#include "tests/support/receive_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "core/record_json.h"
#include "store/codec.h"
#include "transport/encode_json.h"

static struct wr_aggregate aggregate_of(unsigned message, unsigned k, char *key) {
    char texts[2][16];
    size_t len;
    snprintf(texts[0], sizeof texts[0], "%u", message);
    snprintf(texts[1], sizeof texts[1], "%03u", k);
    struct wr_tag tags[] = {{{"msg", 3}, {texts[0], strlen(texts[0])}}, {{"k", 1}, {texts[1], strlen(texts[1])}}};
    assert_int_equal(wr_series_key_make((struct wr_word){"m", 1}, (struct wr_word){"value", 5}, tags, 2, key, &len, NULL), WR_OK);
    struct wr_aggregate aggregate = {.key = key,
                                     .key_len = (uint16_t)len,
                                     .type = WR_TYPE_FLOAT,
                                     .decimals = 1,
                                     .start_ns = (int64_t)message * WR_NS_PER_S,
                                     .window_ns = WR_NS_PER_S,
                                     .n = 2,
                                     .sum = wr_sum_zero()};
    aggregate.first.f = aggregate.min.f = message + 0.5;
    aggregate.last.f = aggregate.max.f = message + 0.5 + k;
    wr_sum_add(&aggregate.sum, WR_TYPE_FLOAT, aggregate.first, 1);
    wr_sum_add(&aggregate.sum, WR_TYPE_FLOAT, aggregate.last, 1);
    return aggregate;
}

static void make_segment(struct receive_message *message, unsigned index, struct wr_encoder *encoder, struct wr_symbol_table *symbols) {
    struct wr_aggregate records[64];
    char keys[64][WR_SERIES_KEY_BYTES];
    const uint8_t *body;
    size_t len;
    assert_true(message->records <= 64);
    for (unsigned k = 0; k < message->records; k++)
        records[k] = aggregate_of(index, k, keys[k]);
    struct wr_codec_header header = {.kind = WR_SEGMENT_AGGREGATES,
                                     .lane = WR_LANE_WINDOWS,
                                     .epoch = RECEIVE_BED_EPOCH,
                                     .seq = (int64_t)index + 1,
                                     .wall_trusted = true};
    assert_int_equal(wr_encode_aggregates(encoder, &header, records, message->records, symbols, &body, &len), WR_OK);
    assert_int_equal(wr_buf_append(&message->payload, body, len), WR_OK);
    message->content_type = WR_CONTENT_SEGMENT;
}

static void make_json(struct receive_message *message, unsigned index, bool alarm) {
    struct wr_encode_json encode;
    const struct wr_segment segment = {.epoch = RECEIVE_BED_EPOCH,
                                       .seq = (int64_t)index + 1,
                                       .kind = alarm ? WR_SEGMENT_ALARMS : WR_SEGMENT_AGGREGATES,
                                       .lane = alarm ? WR_LANE_ALARMS : WR_LANE_WINDOWS,
                                       .n = message->records};
    wr_encode_json_begin(&encode, &message->payload, message->node, &segment);
    for (unsigned k = 0; k < message->records; k++) {
        char key[WR_SERIES_KEY_BYTES];
        char text[160];
        const struct wr_aggregate aggregate = aggregate_of(index, k, key);
        if (alarm)
            wr_encode_json_object(&encode, text,
                                  (size_t)snprintf(text, sizeof text,
                                                   "{\"alarm\":\"hot{msg=%u,k=%03u}\",\"rule\":\"hot\",\"time_ns\":%u,\"to\":\"unack\"}",
                                                   index, k, index));
        else
            wr_encode_json_aggregate(&encode, &aggregate);
    }
    assert_int_equal(wr_encode_json_end(&encode, NULL), WR_OK);
    message->content_type = WR_CONTENT_JSON;
}

void receive_bed_init(struct receive_bed *bed, unsigned n, unsigned nodes, unsigned records) {
    struct wr_encoder *encoder;
    struct wr_symbol_table *symbols;
    assert_true(n <= RECEIVE_BED_MESSAGES);
    memset(bed, 0, sizeof *bed);
    bed->n = n;
    bed->acknowledged = mmap(NULL, RECEIVE_BED_MESSAGES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(bed->acknowledged != MAP_FAILED);
    assert_int_equal(wr_encoder_new(&encoder), WR_OK);
    assert_int_equal(wr_symbol_table_new(16, &symbols, NULL), WR_OK);
    for (unsigned i = 0; i < n; i++) {
        struct receive_message *message = &bed->messages[i];
        const bool alarm = i % 7 == 6;
        message->records = records;
        wr_buf_init(&message->payload, 0);
        snprintf(message->node, sizeof message->node, "gw-%u", i % nodes);
        snprintf(message->topic, sizeof message->topic, "weir/1/riga/gw-%u/%s", i % nodes, alarm ? "alarm" : "agg");
        snprintf(message->epoch, sizeof message->epoch, "%016llx", (unsigned long long)RECEIVE_BED_EPOCH);
        snprintf(message->seq, sizeof message->seq, "%u", i + 1);
        if (alarm || i % 5 == 4)
            make_json(message, i, alarm);
        else
            make_segment(message, i, encoder, symbols);
        message->properties[0] = (struct wr_subscriber_property){{"node", 4}, {message->node, strlen(message->node)}};
        message->properties[1] = (struct wr_subscriber_property){{"epoch", 5}, {message->epoch, strlen(message->epoch)}};
        message->properties[2] = (struct wr_subscriber_property){{"seq", 3}, {message->seq, strlen(message->seq)}};
    }
    wr_encoder_free(encoder);
    wr_symbol_table_free(symbols);
}

void receive_bed_fini(struct receive_bed *bed) {
    for (unsigned i = 0; i < bed->n; i++)
        wr_buf_fini(&bed->messages[i].payload);
    munmap((void *)bed->acknowledged, RECEIVE_BED_MESSAGES);
}

void receive_bed_connect(struct receive_bed *bed, struct wr_random *random, unsigned twice) {
    bed->n_order = bed->at = 0;
    for (unsigned i = 0; i < bed->n; i++) {
        if (!bed->acknowledged[i])
            bed->order[bed->n_order++] = i;
        if (twice > 0 && wr_random_below(random, 8) == 0) {
            twice--;
            bed->order[bed->n_order++] = (unsigned)wr_random_below(random, bed->n);
        }
    }
}

struct wr_subscriber_message receive_bed_message(const struct receive_bed *bed, unsigned index) {
    const struct receive_message *message = &bed->messages[index];
    return (struct wr_subscriber_message){.topic = {message->topic, strlen(message->topic)},
                                          .payload = {(const char *)message->payload.data, message->payload.len},
                                          .content_type = {message->content_type, strlen(message->content_type)},
                                          .properties = message->properties,
                                          .n_properties = 3,
                                          .arrival = {.wall_ns = 1},
                                          .qos = 1,
                                          .token = {.connection = 1, .number = index}};
}

bool receive_bed_all_acknowledged(const struct receive_bed *bed) {
    for (unsigned i = 0; i < bed->n; i++)
        if (!bed->acknowledged[i])
            return false;
    return true;
}

static enum wr_result bed_receive(void *self, int64_t deadline_boot_ns, struct wr_subscriber_message *ret_message) {
    struct receive_bed *bed = self;
    (void)deadline_boot_ns;
    if (bed->at == bed->n_order)
        return bed->endless ? WR_TIMEOUT : WR_CLOSED;
    *ret_message = receive_bed_message(bed, bed->order[bed->at++]);
    return WR_OK;
}

static void bed_acknowledge(void *self, const struct wr_subscriber_token *tokens, size_t n) {
    struct receive_bed *bed = self;
    for (size_t i = 0; i < n; i++)
        bed->acknowledged[tokens[i].number] = 1;
}

static void bed_wake(void *self) {
    (void)self;
}

const struct wr_receive_feed_ops receive_bed_feed = {bed_receive, bed_acknowledge, bed_wake};

enum wr_result receive_bed_run(struct receive_bed *bed, struct wr_receive_sink sink, const char *quarantine, uint64_t quarantine_max_bytes,
                               struct wr_error *err) {
    struct wr_receiver receiver;
    const struct wr_receiver_options options = {.feed = &receive_bed_feed,
                                                .feed_self = bed,
                                                .sink = sink,
                                                .prefix = "weir/1",
                                                .quarantine = quarantine,
                                                .quarantine_max_bytes = quarantine_max_bytes,
                                                .batch_messages = 5,
                                                .batch_bytes = 1 << 20,
                                                .batch_delay_ns = WR_NS_PER_S,
                                                .retry_max_ns = WR_NS_PER_MS,
                                                .clock = wr_clock_real(),
                                                .stop_fd = -1};
    enum wr_result result = wr_receiver_init(&receiver, &options, err);
    if (result == WR_OK) {
        result = wr_receiver_run(&receiver, err);
        wr_receiver_fini(&receiver);
    }
    sink.ops->close(sink.self);
    return result == WR_CLOSED ? WR_OK : result;
}
