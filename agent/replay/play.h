/* Recordings through the engine and evaluator of one or two rule sets, on virtual time, as fast as it goes.
 *
 * What the recordings say is taken as it is: a record arrives at its stamp, one that is older than what came before it arrives late, one
 * without a stamp arrives with the one before, and is refused if there was none. Between two records time passes: delays, ages, schedules and
 * windows run as they would have. Files are one timeline: agent/sources/timeline.h.
 *
 * Promise: nothing is kept of a record; memory grows with series and alarms alone. The recording is read once, whatever is compared.
 * Threads: one. Ownership: the rule sets outlive it. Limits: WR_PLAY_SERIES series a rule set; stamps from 1827 to 2112, so that the time
 * between any two of them can be said. Units: ns since 1970.
 */
#ifndef WEIR_AGENT_REPLAY_PLAY_H
#define WEIR_AGENT_REPLAY_PLAY_H

#include "agent/codec/record.h"
#include "agent/config/config.h"
#include "agent/replay/tally.h"

#define WR_PLAY_SIDES 2
#define WR_PLAY_SERIES 200000
#define WR_PLAY_STAMP_NS INT64_C(4500000000000000000)
#define WR_PLAY_RECORD_BYTES (1u << 20)

struct wr_ruleset;

/* Where records come from, if not from files: all of them, in the order of time, until the sink says anything but WR_OK. */
typedef enum wr_result wr_play_feed(void *user, const struct wr_sink *sink, struct wr_error *err);

struct wr_play_options {
    const struct wr_config_source *source; /* format and files: its section `replay` */
    wr_play_feed *feed;                    /* NULL: the files */
    void *feed_user;
    struct wr_ruleset *rules[WR_PLAY_SIDES]; /* the second may be NULL */
    bool keep_episodes;
    /* Each record that is refused; file may be empty. May be NULL. */
    void (*refused)(void *user, const char *file, const struct wr_refusal *refusal);
    void *user;
};

struct wr_play_result {
    struct wr_tally tallies[WR_PLAY_SIDES]; /* closed */
    uint64_t records;
    uint64_t readings;
    uint64_t refused; /* records, and readings of a type or series that has no place */
    uint32_t series;
    unsigned left_out; /* recordings that could not be read, or not to their end: logged */
    int64_t first_ns;  /* WR_EVENT_NONE: there was none */
    int64_t last_ns;
};

/* wr_play_result_fini in any case. WR_NOT_FOUND: a file is not there; WR_LIMIT, WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_play(const struct wr_play_options *options, struct wr_play_result *ret_result, struct wr_error *err);
void wr_play_result_fini(struct wr_play_result *result);

#endif
