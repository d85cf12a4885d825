/* What the two files of the feed share: history_feed.c (windows, and the order of all), history_raw.c (raw readings in place of windows). */
#ifndef WEIR_AGENT_REPLAY_HISTORY_FEED_PRIVATE_H
#define WEIR_AGENT_REPLAY_HISTORY_FEED_PRIVATE_H

#include "agent/replay/history_feed.h"
#include "core/buf.h"
#include "core/series.h"
#include "core/symbol.h"
#include "store/query.h"

enum { FIRST, MIN, MAX, LAST, N_VALUES };

/* A window or change as it was stored. */
struct row {
    uint32_t series;
    uint8_t type;
    uint8_t quality;
    bool is_widened;
    bool is_replaced; /* by its raw readings */
    int64_t start_ns;
    int64_t window_ns;
    int64_t readings; /* in it, bad ones too */
    union wr_value values[N_VALUES];
};

/* A reading to be told; also one as it was kept. */
struct point {
    int64_t at_ns;
    uint64_t order;
    uint32_t series;
    uint8_t type;
    uint8_t quality;
    uint8_t state; /* of a raw reading: enum raw_state of history_raw.c */
    union wr_value value;
};

struct feed {
    struct wr_history_feed *options;
    const struct wr_sink *sink;
    struct wr_series_table *series;
    struct wr_symbol_table *texts;
    int64_t *shortest;   /* window of a series, so far; -1: none */
    int64_t *covered_ns; /* of a series: raw readings before this time have been looked at */
    struct wr_buf rows;
    struct wr_buf points;
    struct wr_buf raw;
    uint64_t order;
    int64_t first_ns; /* of all that there is */
    int64_t last_ns;
    int64_t raw_first_ns; /* of windows that may have raw readings; above raw_last_ns: there are none */
    int64_t raw_last_ns;
};

/* history_feed.c */
uint8_t wr_history_feed_type(const struct wr_query_value *value);
uint8_t wr_history_feed_quality(const struct wr_query_value *value);
WR_MUST_USE enum wr_result wr_history_feed_value(struct feed *feed, uint8_t type, const struct wr_query_value *value,
                                                 union wr_value *ret_value);
enum wr_result wr_history_feed_columns(void *user, const char *const *names, unsigned n, struct wr_error *err);
WR_MUST_USE enum wr_result wr_history_feed_ask(struct feed *feed, const char *sql, const struct wr_query_sink *sink, struct wr_error *err);
bool wr_history_feed_counts(const struct feed *feed, const struct row *row);

/* history_raw.c: the raw readings of a slice become points, in place of the rows that they make up, which are marked as replaced. */
WR_MUST_USE enum wr_result wr_history_raw_take(struct feed *feed, int64_t at_ns, int64_t end_ns, struct wr_error *err);
/* Remembers how far the rows of a slice reach: raw readings of later slices that lie in them are not told beside them. */
void wr_history_raw_cover(struct feed *feed);

#endif
