/* Any pattern, any topic, any payload, a NUL between them. No crash; a pattern that compiles has a filter of the same levels; each reading has a
 * canonical key. The first byte chooses the format. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/sources/mqtt_payload.h"
#include "tests/fuzz/seen.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t slashes(const char *text) {
    size_t n = 0;
    for (; *text != '\0'; text++)
        n += *text == '/';
    return n;
}

/* The next part of the input, as a copy that ends where it ends. */
static char *part(const uint8_t **at, const uint8_t *end, size_t *ret_len) {
    const uint8_t *nul = memchr(*at, 0, (size_t)(end - *at));
    size_t len = (size_t)((nul ? nul : end) - *at);
    char *copy = malloc(len + 1);
    must(copy != NULL);
    memcpy(copy, *at, len);
    copy[len] = '\0';
    *at = nul ? nul + 1 : end;
    *ret_len = len;
    return copy;
}

static void feed(char *pattern, struct wr_word topic, struct wr_word payload, int format) {
    struct seen seen = {0};
    const struct wr_sink sink = {.record = record, .refused = refused, .user = &seen};
    struct wr_config_source config = {.name = (char *)(uintptr_t) "source", .kind = WR_SOURCE_MQTT, .format = format};
    config.mqtt.topics = &pattern;
    config.mqtt.n_topics = 1;
    wr_buf_init(&seen.text, 0);
    struct wr_mqtt_payload reader;
    if (wr_mqtt_payload_init(&reader, &config, 4096, &sink, NULL) == WR_OK) {
        must(slashes(reader.patterns[0].filter) == slashes(pattern));
        for (int twice = 0; twice < 2; twice++) {
            size_t from = 0;
            must(wr_mqtt_payload_feed(&reader, topic, payload, &from) == WR_OK);
        }
        wr_mqtt_payload_fini(&reader);
    }
    wr_buf_fini(&seen.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const int formats[] = {WR_SOURCE_FORMAT_LINE, WR_SOURCE_FORMAT_JSON, WR_SOURCE_FORMAT_VALUE};
    if (size < 3)
        return 0;
    const uint8_t *at = data + 1;
    size_t len, topic_len, payload_len;
    char *pattern = part(&at, data + size, &len);
    char *topic = part(&at, data + size, &topic_len);
    payload_len = (size_t)(data + size - at);
    char *payload = malloc(payload_len + 1);
    must(payload != NULL);
    memcpy(payload, at, payload_len);
    feed(pattern, (struct wr_word){topic, topic_len}, (struct wr_word){payload, payload_len}, formats[data[0] % 3]);
    free(pattern);
    free(topic);
    free(payload);
    return 0;
}
