/* The aggregate: what a window of one series, of one source, says when it closes.
 *
 * `n` counts the good and uncertain readings, `bad` the bad ones; the aggregate stands for n + bad readings in the ledger. With n = 0
 * sum, min, max, first and last have no meaning and are published as null. Bool counts as 0 and 1 (sum = how often true). A symbol
 * series has only n, bad, first and last (symbol ids while live; in a decoded segment the texts stand in first_text and last_text).
 * A partial (clean stop, late readings) has the same series and start as its sibling: readers merge equal (series, window, start).
 * A change (`forward: changes`) is an aggregate with window_ns 0: last is the new value, first the previous one, n = 1 + the unchanged
 * readings since the last change.
 *
 * Ownership: `key` points into the series table, or into the decoder's memory: it lives as long as that.
 */
#ifndef WEIR_CORE_AGGREGATE_H
#define WEIR_CORE_AGGREGATE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/decimal.h"
#include "core/reading.h"

enum wr_aggregate_flags {
    WR_AGGREGATE_PARTIAL = 1,   /* written at a clean stop or reload, before its window ended */
    WR_AGGREGATE_LATE = 2,      /* late readings, after the window was closed */
    WR_AGGREGATE_WIDENED = 4,   /* window_ns is longer than configured: backpressure */
    WR_AGGREGATE_UNCERTAIN = 8, /* at least one reading had uncertain quality */
};

struct wr_aggregate {
    const char *key; /* series key, see core/series.h */
    uint16_t key_len;
    uint8_t type;     /* enum wr_type of the series */
    uint8_t decimals; /* largest of the window's readings; WR_DECIMALS_UNKNOWN */
    uint8_t quality;  /* of a change: enum wr_quality of the new value */
    uint8_t flags;
    uint32_t account; /* ledger account (source, window), see core/ledger.h */
    int64_t start_ns; /* window start, wall time; of a change: event time of the new value */
    int64_t window_ns; /* real length; 0: a change */
    uint64_t n;
    uint64_t bad;
    struct wr_sum sum;
    union wr_value min;
    union wr_value max;
    union wr_value first;
    union wr_value last;
    const char *first_text; /* decoded symbol series only, NUL-terminated */
    const char *last_text;
};

/* Folds `other` into `into`: same series, window and start. first and last are taken by the caller's order: `other` came later. */
void wr_aggregate_merge(struct wr_aggregate *into, const struct wr_aggregate *other);

/* n + bad: the readings that it stands for. */
static inline uint64_t wr_aggregate_readings(const struct wr_aggregate *aggregate) { return aggregate->n + aggregate->bad; }

#endif
