/* Metrics: counters, gauges and latency histograms, shown in the Prometheus text format.
 *
 * Promise: counting is one relaxed atomic add on memory of the owner: no lock, no look-up. The registry only remembers where the numbers
 * are, and reads them when it renders. Names follow Prometheus: weir_<what>_<unit>[_total].
 * Threads: any, all functions. Ownership: values belong to the caller, alive until unregistered.
 * Source: Prometheus text exposition format 0.0.4.
 */
#ifndef WEIR_CORE_METRICS_H
#define WEIR_CORE_METRICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/result.h"

struct wr_metrics;

enum wr_metric_kind { WR_METRIC_COUNTER, WR_METRIC_GAUGE, WR_METRIC_HISTOGRAM };

/* Log-linear buckets of a latency in ns: 4 per power of two, 1 us to 68 s; error of a quantile at most 25 %. */
#define WR_HISTOGRAM_BUCKETS 112
struct wr_histogram {
    _Atomic uint64_t buckets[WR_HISTOGRAM_BUCKETS];
    _Atomic uint64_t count;
    _Atomic uint64_t sum_ns;
    _Atomic uint64_t max_ns;
};
void wr_histogram_add(struct wr_histogram *histogram, int64_t ns);
/* Upper edge of the bucket that holds quantile q in 0..1; 0 when empty. */
int64_t wr_histogram_quantile(const struct wr_histogram *histogram, double q);

WR_MUST_USE enum wr_result wr_metrics_new(struct wr_metrics **ret_metrics);
void wr_metrics_free(struct wr_metrics *metrics);

/* name, help and labels are copied. labels is the inside of {}: `source="floor"`, or NULL; use wr_metrics_label to build it. The same name
 * with other labels is another line of the same metric. owner groups lines for wr_metrics_drop. */
WR_MUST_USE enum wr_result wr_metrics_add(struct wr_metrics *metrics, const void *owner, enum wr_metric_kind kind, const char *name,
                                          const char *help, const char *labels, const _Atomic uint64_t *value);
/* A value that is computed when it is shown. */
WR_MUST_USE enum wr_result wr_metrics_add_function(struct wr_metrics *metrics, const void *owner, enum wr_metric_kind kind,
                                                   const char *name, const char *help, const char *labels, double (*value)(void *user),
                                                   void *user);
WR_MUST_USE enum wr_result wr_metrics_add_histogram(struct wr_metrics *metrics, const void *owner, const char *name, const char *help,
                                                    const char *labels, const struct wr_histogram *histogram);
/* A table of them, all with the same labels. */
struct wr_metric_row {
    enum wr_metric_kind kind; /* no histogram */
    const char *name;
    const char *help;
    const _Atomic uint64_t *value;
    double (*function)(void *user); /* in place of value */
};
#define WR_METRICS_ADD_ALL(metrics, owner, labels, rows, user)                                                                             \
    wr_metrics_add_rows(metrics, owner, labels, rows, sizeof(rows) / sizeof((rows)[0]), user)
/* Stops at the first that cannot be added; those before it stay. user: of the functions. */
WR_MUST_USE enum wr_result wr_metrics_add_rows(struct wr_metrics *metrics, const void *owner, const char *labels,
                                               const struct wr_metric_row *rows, size_t n, void *user);
/* Forgets every line of an owner. */
void wr_metrics_drop(struct wr_metrics *metrics, const void *owner);

/* Between the two nobody sees the registry: lines may be dropped and added again without a gap in between. The thread that holds may call all
 * functions. */
void wr_metrics_hold(struct wr_metrics *metrics);
void wr_metrics_let_go(struct wr_metrics *metrics);

/* Writes name="value" with the value escaped. Returns text. */
char *wr_metrics_label(char *text, size_t size, const char *name, const char *value);

/* One line as a number. */
struct wr_metric_value {
    enum wr_metric_kind kind;
    const char *name;
    const char *labels; /* "" without */
    bool whole;         /* count is exact; else number */
    uint64_t count;
    double number;
    const struct wr_histogram *histogram; /* or NULL */
};
/* Calls `each` for every line, in the order of the exposition, with the registry locked: it must not call wr_metrics_*. */
void wr_metrics_walk(struct wr_metrics *metrics, void (*each)(void *user, const struct wr_metric_value *value), void *user);

/* The whole exposition. */
WR_MUST_USE enum wr_result wr_metrics_render(struct wr_metrics *metrics, struct wr_buf *into);

#endif
