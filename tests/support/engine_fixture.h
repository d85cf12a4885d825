/* An engine with its series, a clock that only moves when told, and a store that keeps every aggregate: for tests of rules/engine/engine.h.
 *
 * Promise: every step checks the ledger's equation for every account; a mistake of the engine fails the test at the step that made it.
 * Ownership: the struct is the test's memory; stop frees what start made.
 */
#ifndef WEIR_TESTS_SUPPORT_ENGINE_FIXTURE_H
#define WEIR_TESTS_SUPPORT_ENGINE_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/batch.h"
#include "rules/engine/engine.h"

#define WR_TEST_S WR_NS_PER_S
#define WR_TEST_WALL_NS (INT64_C(1700000040) * WR_NS_PER_S) /* a whole minute */
#define WR_TEST_BOOT_NS (INT64_C(1000) * WR_NS_PER_S)
#define WR_TEST_WINDOWS 4
#define WR_TEST_SOURCES 3
#define WR_TEST_ACCOUNT_BASE 7

struct wr_test_engine {
    /* Set before start; zero means the default. */
    struct wr_window_spec windows[WR_TEST_WINDOWS];
    uint32_t n_windows;
    uint32_t n_sources;  /* 1 */
    uint32_t max_series; /* 64 */
    uint32_t max_open_windows;
    struct wr_evaluator *evaluator;
    const struct wr_lengths *lengths;

    struct wr_engine *engine;
    struct wr_series_table *series;
    struct wr_now now;
    bool room;      /* whether the store takes anything; true after start */
    bool unchecked; /* the equation is not checked at every step, for speed */
    uint32_t alarm_cap;
    struct wr_engine_out out;
    struct wr_alarm_entry alarms[4];
    struct wr_handover *handover;
    struct wr_account_count counts[256];
    struct wr_batch batch;
    struct wr_aggregate *got; /* all aggregates, in order */
    uint32_t n_got;
    uint32_t cap_got;
    uint64_t handed[256]; /* readings in them, by account */
};

/* A window of all series (of NULL), or of those that a selector names. */
void wr_test_engine_window(struct wr_test_engine *test, int64_t every_ns, int64_t lateness_ns, const char *of);
void wr_test_engine_changes(struct wr_test_engine *test, const char *of);
void wr_test_engine_start(struct wr_test_engine *test);
/* WR_NO_MEMORY as it came; for tests that make allocations fail. */
enum wr_result wr_test_engine_try_start(struct wr_test_engine *test);
void wr_test_engine_stop(struct wr_test_engine *test);

/* The i-th aggregate that came. */
void wr_test_engine_expect(const struct wr_test_engine *test, uint32_t i, int64_t start_ns, int64_t window_ns, uint64_t n, unsigned flags);

/* The id of measurement `name`, field value, no tags. */
uint32_t wr_test_engine_series(struct wr_test_engine *test, const char *name);

/* A good float with one decimal; event times relative to WR_TEST_WALL_NS in the tests. */
struct wr_reading wr_test_reading(uint32_t series, int64_t event_ns, double value);
/* Takes one reading of a source, at the present time, wholly. */
void wr_test_engine_take(struct wr_test_engine *test, uint32_t source, struct wr_reading reading);
void wr_test_engine_take_all(struct wr_test_engine *test, uint32_t source, const struct wr_reading *readings, uint32_t n);
/* Time passes; then what is due is done. */
void wr_test_engine_advance(struct wr_test_engine *test, int64_t ns);
void wr_test_engine_timers(struct wr_test_engine *test);
void wr_test_engine_flush(struct wr_test_engine *test);

uint32_t wr_test_engine_account(const struct wr_test_engine *test, uint32_t source, uint32_t window);
/* A book of the account of (source, window), as the counts say. */
uint64_t wr_test_engine_book(struct wr_test_engine *test, uint32_t source, uint32_t window, enum wr_book book);
uint64_t wr_test_engine_open(struct wr_test_engine *test, uint32_t source, uint32_t window);
/* taken = open + handed over + dropped, for every account; intake taken = all. */
void wr_test_engine_check(struct wr_test_engine *test);

#endif
