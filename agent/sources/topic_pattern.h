/* Topic patterns: what to subscribe to, and what a topic says about its readings.
 *
 *   sensors/{site}/{room}/#      a level in braces is a tag; + is any level, # any number of them at the end, as in MQTT
 *   home/{room}/{measurement}    {measurement} and {field} name the series instead
 *   $share/group/sensors/{site}  a shared subscription: several clients with the same group share the messages
 *
 * Promise: the filter of a pattern matches exactly the topics that the pattern does. A topic that begins with $ is not matched by a pattern that
 * begins with a wildcard. A placeholder is a whole level; each name stands once.
 * Threads: any; immutable after init. Ownership: caller's memory, init/fini; a match points into the topic and the pattern.
 * Limits: WR_TOPIC_PATTERN_BYTES bytes, WR_TOPIC_PATTERN_LEVELS levels. Errors: WR_INVALID with what is wrong; WR_NO_MEMORY.
 * Source: MQTT 5.0, 4.7 and 4.8.2.
 */
#ifndef WEIR_AGENT_SOURCES_TOPIC_PATTERN_H
#define WEIR_AGENT_SOURCES_TOPIC_PATTERN_H

#include <stdbool.h>

#include "core/result.h"
#include "core/series.h"

#define WR_TOPIC_PATTERN_LEVELS 32
#define WR_TOPIC_PATTERN_BYTES 512

enum wr_topic_level_kind {
    WR_TOPIC_LITERAL,
    WR_TOPIC_ANY,  /* + */
    WR_TOPIC_REST, /* # */
    WR_TOPIC_TAG,
    WR_TOPIC_MEASUREMENT,
    WR_TOPIC_FIELD,
};

struct wr_topic_level {
    enum wr_topic_level_kind kind;
    struct wr_word word; /* the literal, or the tag's name */
};

struct wr_topic_pattern {
    char *text;
    char *filter; /* for SUBSCRIBE */
    struct wr_topic_level levels[WR_TOPIC_PATTERN_LEVELS];
    size_t n_levels;
    bool has_measurement;
    bool has_field;
};

struct wr_topic_match {
    struct wr_word measurement; /* empty: the topic has none */
    struct wr_word field;
    struct wr_tag tags[WR_TOPIC_PATTERN_LEVELS];
    size_t n_tags;
};

/* On failure there is nothing to free. */
WR_MUST_USE enum wr_result wr_topic_pattern_init(struct wr_topic_pattern *pattern, const char *text, struct wr_error *err);
/* A pattern that was never initialised but is zero is fine. */
void wr_topic_pattern_fini(struct wr_topic_pattern *pattern);

/* False: it does not match; then *ret_match is not set. */
bool wr_topic_pattern_match(const struct wr_topic_pattern *pattern, struct wr_word topic, struct wr_topic_match *ret_match);

#endif
