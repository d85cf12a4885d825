#include "agent/sources/mqtt_payload.h"

#include <stdlib.h>
#include <string.h>

#include "agent/codec/value.h"

/* ---- what the topic says ---- */

static void refuse(const struct wr_mqtt_payload *payload, enum wr_book reason, const char *message) {
    struct wr_refusal refusal;
    wr_refusal_set(&refusal, reason, 1, "", "", "%s", message);
    payload->sink->refused(payload->sink->user, &refusal);
}

static bool find_pattern(const struct wr_mqtt_payload *payload, struct wr_word topic, struct wr_topic_match *ret_match) {
    for (size_t i = 0; i < payload->n_patterns; i++)
        if (wr_topic_pattern_match(&payload->patterns[i], topic, ret_match))
            return true;
    return false;
}

/* False: refused. */
static bool look_at_topic(struct wr_mqtt_payload *payload, struct wr_word topic) {
    if (topic.len == payload->topic_len && memcmp(topic.text, payload->topic, topic.len) == 0)
        return true;
    struct wr_topic_match match;
    payload->topic_len = SIZE_MAX;
    if (!find_pattern(payload, topic, &match)) {
        refuse(payload, WR_BOOK_REJECTED_SYNTAX, "none of 'topics' matches this topic: an older subscription that the broker still keeps");
        return false;
    }
    if (match.field.len == 0)
        match.field = (struct wr_word){"value", strlen("value")};
    if (payload->config->format == WR_SOURCE_FORMAT_VALUE && match.measurement.len == 0)
        match.measurement = payload->measurement;
    const bool fits = match.field.len <= sizeof payload->words;
    const enum wr_result result = fits ? wr_extra_set(&payload->extra, match.measurement, match.tags, match.n_tags) : WR_LIMIT;
    if (result != WR_OK) {
        refuse(payload, result == WR_LIMIT ? WR_BOOK_REJECTED_TOO_LONG : WR_BOOK_REJECTED_MEMORY,
               result == WR_LIMIT ? "the words of this topic are too long, or too many, for a series" : "no memory for a topic");
        return false;
    }
    memcpy(payload->words, match.field.text, match.field.len);
    payload->field = (struct wr_word){payload->words, match.field.len};
    if (topic.len <= sizeof payload->topic) {
        memcpy(payload->topic, topic.text, topic.len);
        payload->topic_len = topic.len;
    }
    return true;
}

/* ---- a bare value ---- */

static enum wr_result names_of_value(const struct wr_record *record, const struct wr_field *field, struct wr_names *names,
                                     struct wr_refusal *ret_refusal) {
    (void)ret_refusal;
    const struct wr_mqtt_payload *payload = record->codec;
    names->measurement = payload->measurement;
    names->field = field->name;
    names->n_tags = 0;
    names->text_len = 0;
    return WR_OK;
}

static enum wr_result feed_value(struct wr_mqtt_payload *payload, struct wr_word bytes) {
    struct wr_field field = {.name = payload->field};
    struct wr_refusal refusal;
    if (wr_value_read(bytes.text, bytes.len, &field, &refusal) != WR_OK) {
        payload->sink->refused(payload->sink->user, &refusal);
        return WR_OK;
    }
    const struct wr_record record = {.origin = {"", 0},
                                     .time_ns = WR_EVENT_NONE,
                                     .fields = &field,
                                     .n_fields = 1,
                                     .start = bytes.text,
                                     .line = 1,
                                     .codec = payload,
                                     .names = names_of_value};
    return payload->extra.sink.record(payload->extra.sink.user, &record);
}

/* ---- feeding ---- */

enum wr_result wr_mqtt_payload_feed(struct wr_mqtt_payload *payload, struct wr_word topic, struct wr_word bytes, size_t *from) {
    if (!look_at_topic(payload, topic))
        return WR_OK;
    if (payload->config->format == WR_SOURCE_FORMAT_VALUE)
        return feed_value(payload, bytes);
    uint64_t line = 0;
    size_t consumed = 0;
    const enum wr_result result =
        wr_codec_feed(&payload->codec, bytes.text + *from, bytes.len - *from, true, &line, &payload->extra.sink, &consumed);
    *from += consumed;
    return result;
}

void wr_mqtt_payload_forget(struct wr_mqtt_payload *payload) {
    if (payload->codec.parser)
        wr_codec_forget(&payload->codec);
}

/* ---- life ---- */

enum wr_result wr_mqtt_payload_init(struct wr_mqtt_payload *payload, const struct wr_config_source *config, size_t max_bytes,
                                    const struct wr_sink *sink, struct wr_error *err) {
    *payload = (struct wr_mqtt_payload){.config = config, .sink = sink, .topic_len = SIZE_MAX};
    const char *measurement = config->mqtt.measurement ? config->mqtt.measurement : config->name;
    payload->measurement = (struct wr_word){measurement, strlen(measurement)};
    wr_extra_init(&payload->extra, sink);
    payload->patterns = calloc(config->mqtt.n_topics, sizeof *payload->patterns);
    enum wr_result result = payload->patterns ? WR_OK : wr_error_set(err, WR_NO_MEMORY, "no memory for topics");
    while (result == WR_OK && payload->n_patterns < config->mqtt.n_topics) {
        result = wr_topic_pattern_init(&payload->patterns[payload->n_patterns], config->mqtt.topics[payload->n_patterns], err);
        payload->n_patterns += result == WR_OK;
    }
    if (result == WR_OK && config->format != WR_SOURCE_FORMAT_VALUE)
        result = wr_codec_init(&payload->codec, config, config->mqtt.measurement, max_bytes, err);
    if (result != WR_OK)
        wr_mqtt_payload_fini(payload);
    return result;
}

void wr_mqtt_payload_fini(struct wr_mqtt_payload *payload) {
    for (size_t i = 0; i < payload->n_patterns; i++)
        wr_topic_pattern_fini(&payload->patterns[i]);
    free(payload->patterns);
    payload->patterns = NULL;
    payload->n_patterns = 0;
    wr_codec_fini(&payload->codec);
    payload->codec = (struct wr_codec){0};
    wr_extra_fini(&payload->extra);
}

size_t wr_mqtt_payload_bytes(const struct wr_config_source *config, size_t max_bytes) {
    const size_t patterns = config->mqtt.n_topics * (sizeof(struct wr_topic_pattern) + 2 * WR_TOPIC_PATTERN_BYTES);
    return patterns + 2 * WR_SERIES_KEY_BYTES + (config->format == WR_SOURCE_FORMAT_VALUE ? 0 : wr_codec_bytes(config, max_bytes));
}
