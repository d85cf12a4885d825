/* The payload of an MQTT message: from topic and bytes to records in a sink.
 *
 * The first of the source's patterns that matches the topic gives tags, measurement and field; the bytes are line protocol, JSON, or a bare value.
 * What the topic says wins over what the payload says: the broker's access list guards a topic.
 * Promise: no allocation per message once its topics are known; the same topic twice in a row is looked at once.
 * Threads: one at a time. Ownership: caller's memory, init/fini; config and sink outlive it.
 */
#ifndef WEIR_AGENT_SOURCES_MQTT_PAYLOAD_H
#define WEIR_AGENT_SOURCES_MQTT_PAYLOAD_H

#include "agent/codec/codec.h"
#include "agent/codec/extra.h"
#include "agent/sources/topic_pattern.h"

struct wr_mqtt_payload {
    const struct wr_config_source *config;
    const struct wr_sink *sink;
    struct wr_topic_pattern *patterns;
    size_t n_patterns;
    struct wr_extra extra;
    struct wr_codec codec;              /* format line and json */
    struct wr_word measurement;         /* format value: of topics that have none */
    struct wr_word field;               /* of the present topic */
    char topic[WR_TOPIC_PATTERN_BYTES]; /* the present one; longer ones are looked at each time */
    size_t topic_len;
    char words[WR_TOPIC_PATTERN_BYTES]; /* the field's name */
};

WR_MUST_USE enum wr_result wr_mqtt_payload_init(struct wr_mqtt_payload *payload, const struct wr_config_source *config, size_t max_bytes,
                                                const struct wr_sink *sink, struct wr_error *err);
/* One that was never initialised but is zero is fine. */
void wr_mqtt_payload_fini(struct wr_mqtt_payload *payload);

/* Hands the records in bytes[*from, len) to the sink and moves *from on. WR_OK: the whole message is done (what was wrong with it, the sink was
 * told); WR_FULL: the sink had no room, call again with the same; a failure of the sink. */
WR_MUST_USE enum wr_result wr_mqtt_payload_feed(struct wr_mqtt_payload *payload, struct wr_word topic, struct wr_word bytes, size_t *from);
/* After WR_FULL: the message will not be offered again. */
void wr_mqtt_payload_forget(struct wr_mqtt_payload *payload);

size_t wr_mqtt_payload_bytes(const struct wr_config_source *config, size_t max_bytes);

#endif
