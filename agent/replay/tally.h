/* The tally of a replay: for each alarm of one rule set how often, when and how long it was active.
 *
 * An alarm is active while its condition is true after its delays (unacknowledged or acknowledged): nobody acknowledges in a replay, so what an alarm does
 * after its condition has ended does not count. A span of that is an episode.
 *
 * Promise: memory grows with the alarms, and with episodes only up to WR_TALLY_EPISODES; beyond them episodes are counted and no longer kept, and the tally says so.
 * Threads: one at a time. Ownership: init/fini; texts are copied. Units: ns since 1970 (of the recording).
 */
#ifndef WEIR_AGENT_REPLAY_TALLY_H
#define WEIR_AGENT_REPLAY_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/alarm.h"
#include "core/result.h"

#define WR_TALLY_EPISODES (1u << 20)
#define WR_TALLY_NONE UINT32_MAX

struct wr_tally_episode {
    int64_t start_ns;
    int64_t end_ns; /* INT64_MAX while it lasts */
    uint32_t next;  /* of the same alarm; WR_TALLY_NONE */
};

/* What one alarm did, or all alarms of a rule together. */
struct wr_tally_sum {
    uint64_t raised; /* episodes */
    uint64_t told; /* of them those that somebody would have been told of, at once or later: neither of old data nor silent all the time */
    int64_t first_ns;
    int64_t last_ns;   /* start of the last one */
    int64_t active_ns; /* all together */
    int64_t longest_ns;
    bool lasts; /* one is active at the end */
};

struct wr_tally_alarm {
    uint64_t id;
    char *rule;
    char *instance;
    bool active;
    bool told; /* of the present episode */
    int64_t since_ns;
    struct wr_tally_sum sum;
    uint32_t first_episode;
    uint32_t last_episode;
};

struct wr_tally {
    uint32_t n;
    uint32_t cap;
    struct wr_tally_alarm *alarms; /* in the order of their first raise; sorted by rule and instance after wr_tally_close */
    uint32_t *buckets;             /* by id: open addressing, a power of two; 0: empty, else index + 1 */
    uint32_t n_buckets;
    bool keep_episodes;
    uint32_t n_episodes;
    uint32_t cap_episodes;
    struct wr_tally_episode *episodes;
    uint64_t episodes_left_out;
    bool out_of_memory;
};

void wr_tally_init(struct wr_tally *tally, bool keep_episodes);
void wr_tally_fini(struct wr_tally *tally);

/* A transition, in the order of time. */
void wr_tally_take(struct wr_tally *tally, const struct wr_alarm *alarm);
/* The recording ends: what is active has lasted until then. Sorts. WR_NO_MEMORY: some transition found none. */
WR_MUST_USE enum wr_result wr_tally_close(struct wr_tally *tally, int64_t end_ns);

/* The sum over all alarms of a rule, after close; *ret_first and *ret_n tell which they are. */
struct wr_tally_sum wr_tally_rule(const struct wr_tally *tally, const char *rule, uint32_t *ret_first, uint32_t *ret_n);

#endif
