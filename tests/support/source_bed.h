/* A bed for source tests: tables, pool and channel as the pipeline makes them, and an "engine" that takes batches when it is told to.
 *
 * Threads: the test's; wr_bed_engine_start makes one that takes until the channel is closed.
 */
#ifndef WEIR_TESTS_SUPPORT_SOURCE_BED_H
#define WEIR_TESTS_SUPPORT_SOURCE_BED_H

#include <pthread.h>

#include "agent/http/http_gate.h"
#include "agent/sources/source.h"
#include "core/buf.h"

struct wr_bed {
    struct wr_config_limits limits;
    struct wr_config_source config;
    struct wr_address address;
    struct wr_config_csv csv;
    struct wr_series_table *series;
    struct wr_symbol_table *symbols;
    struct wr_batch_pool pool;
    struct wr_channel *to_engine;
    struct wr_intake_counters counters;
    struct wr_pool *workers; /* of pollers alone */
    struct wr_scheduler_loop *scheduler;
    struct wr_source_env env;
    struct wr_http_gate gate;     /* open while a source of kind http runs */
    const struct wr_clock *clock; /* NULL: the real one */
    struct wr_source *source;
    pthread_t engine;
    _Atomic uint64_t taken; /* readings */
    _Atomic uint64_t batches;
    _Atomic int64_t value_sum; /* of readings that are whole numbers */
    bool print;                /* taken readings go to text as JSON lines; else they are only counted */
    struct wr_buf text;
};

/* A config of its kind with small limits; the test may change limits and config before wr_bed_create. Nothing is logged from now on, and a broken pipe is an error,
 * no signal. */
void wr_bed_init(struct wr_bed *bed, enum wr_source_kind kind);
/* Tables, pool, channel; and the source, not started. */
void wr_bed_create(struct wr_bed *bed);
/* The same, and starts it. */
void wr_bed_start(struct wr_bed *bed);
/* Makes, starts and stops the source while each allocation fails in turn, until none does: every failure has its words. The bed has no source afterwards. */
void wr_bed_start_without_memory(struct wr_bed *bed);
/* A connection to the first address of a source of kind line: tests/support/client.h. */
int wr_bed_dial(const struct wr_bed *bed);
/* Stops the source, which must have been able to hand everything over. */
void wr_bed_stop(struct wr_bed *bed);
/* Takes what is in the channel now; returns the readings. */
uint64_t wr_bed_take(struct wr_bed *bed);
/* Takes until `readings` in all were taken, or none has come for ten seconds (then the test fails). */
void wr_bed_take_until(struct wr_bed *bed, uint64_t readings);
void wr_bed_engine_start(struct wr_bed *bed);
/* Waits until the engine thread has taken this many, or took none for ten seconds (then the test fails). */
void wr_bed_wait_taken(struct wr_bed *bed, uint64_t readings);
/* Waits until a counter has reached a value, or stood still for ten seconds (then the test fails). */
void wr_bed_wait(const _Atomic uint64_t *counter, uint64_t value);
uint64_t wr_bed_count(const struct wr_bed *bed, enum wr_book book);
/* Stops and frees everything that is there; no call fails any more. */
void wr_bed_fini(struct wr_bed *bed);

/* Deadline in so many seconds. */
int64_t wr_bed_in_s(int64_t seconds);

#endif
