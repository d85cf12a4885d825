/* Extra tags: a sink before a sink, which gives each record what the codec cannot know: tags and measurement from an MQTT topic, the address of a
 * sender.
 *
 * Promise: works with every codec, and keeps the series cache hot: the record that is passed on has an origin of its own, equal exactly when extra words
 * and the record's own origin are equal. An extra tag replaces one of the same name in the record (a topic is guarded by the broker's
 * access list, a payload is not); an extra measurement replaces the record's.
 * Cost: the origin is copied, no allocation but when a buffer grows. Results of the inner sink are passed on.
 * Threads: one at a time. Ownership: caller's memory, init/fini; the inner sink outlives it; all words are copied. Limits: WR_SERIES_TAGS tags,
 * WR_SERIES_KEY_BYTES of words.
 */
#ifndef WEIR_AGENT_CODEC_EXTRA_H
#define WEIR_AGENT_CODEC_EXTRA_H

#include "agent/codec/record.h"
#include "core/buf.h"

struct wr_extra {
    struct wr_sink sink; /* give this to the codec */
    const struct wr_sink *to;
    struct wr_word measurement; /* empty: the record's own */
    struct wr_tag tags[WR_SERIES_TAGS];
    size_t n_tags;
    struct wr_buf origin; /* the extra words, then the origin of the present record */
    size_t prefix;        /* bytes of the extra words */
    const struct wr_record *inner;
    char words[WR_SERIES_KEY_BYTES];
};

/* No extra words yet: records go through as they are. */
void wr_extra_init(struct wr_extra *extra, const struct wr_sink *to);
void wr_extra_fini(struct wr_extra *extra);

/* For the records from now on. measurement may be empty. Tags with an empty value are none. WR_LIMIT: too many or too long; WR_NO_MEMORY. After a failure
 * there are no extra words. */
WR_MUST_USE enum wr_result wr_extra_set(struct wr_extra *extra, struct wr_word measurement, const struct wr_tag *tags, size_t n_tags);

#endif
