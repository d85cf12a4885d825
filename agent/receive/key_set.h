/* The set of known keys: per (node, epoch) the seqs as disjoint, sorted ranges, so that a node that sent a million segments costs sixteen bytes.
 *
 * Promise: add either takes a range whole or changes nothing. Ranges that touch become one.
 * Threads: one at a time. Ownership: caller's memory, init/fini.
 * Limits: WR_KEY_SET_RANGES ranges in all (64 MB). Seqs that never come leave holes; each costs a range.
 */
#ifndef WEIR_AGENT_RECEIVE_KEY_SET_H
#define WEIR_AGENT_RECEIVE_KEY_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/receive/message.h"
#include "core/result.h"

#define WR_KEY_SET_RANGES (4u << 20)

struct wr_key_range {
    int64_t first;
    int64_t last;
};

/* The segments of one store. */
struct wr_key_stream {
    char node[WR_MESSAGE_NAME_BYTES];
    uint64_t epoch;
    struct wr_key_range *ranges;
    size_t n;
    size_t cap;
};

struct wr_key_set {
    struct wr_key_stream *streams; /* sorted by node, then epoch */
    size_t n;
    size_t cap;
    size_t n_ranges;
};

void wr_key_set_init(struct wr_key_set *set);
void wr_key_set_fini(struct wr_key_set *set);

bool wr_key_set_has(const struct wr_key_set *set, const char *node, uint64_t epoch, int64_t seq);
/* first..last, both counted in. WR_LIMIT, WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_key_set_add(struct wr_key_set *set, const char *node, uint64_t epoch, int64_t first, int64_t last);

/* Sorted, disjoint, nothing touching, the counts right. */
bool wr_key_set_valid(const struct wr_key_set *set);

#endif
