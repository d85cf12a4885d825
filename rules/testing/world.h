/* The world of one test: the real engine and evaluator of a rule set, on a clock that the test moves.
 *
 * Promise: nothing waits and no clock is read: the same test gives the same transitions on every machine. A timer fires at its own instant.
 * Threads: one at a time. Ownership: the rule set stays the caller's and must outlive the world.
 * Limits: WR_WORLD_TRANSITIONS transitions, WR_WORLD_TIMERS instants at which timers fire. Units: nanoseconds since the start of the test.
 */
#ifndef WEIR_RULES_TESTING_WORLD_H
#define WEIR_RULES_TESTING_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "core/alarm.h"
#include "core/result.h"
#include "rules/engine/engine.h"
#include "rules/testing/notation.h"
#include "rules/testing/scenario.h"

#define WR_WORLD_TRANSITIONS 100000
#define WR_WORLD_TIMERS 20000000

struct wr_world {
    struct wr_ruleset *rules;
    struct wr_series_table *series;
    struct wr_symbol_table *symbols;
    struct wr_engine *engine;
    struct wr_batch *batch;
    struct wr_alarm_entry *entries; /* what one call may give */
    uint32_t max_series;
    int64_t start_boot_ns;
    struct wr_now now;
    void (*hear)(void *user, const struct wr_alarm *alarm); /* NULL: transitions are kept in told, else they go there */
    void *hear_user;
    struct wr_alarm *told; /* every transition so far */
    uint32_t n_told;
    uint32_t cap_told;
    uint32_t timers;
    uint32_t max_timers; /* WR_WORLD_TIMERS, unless the caller sets it after init; 0: without end */
};

/* wr_world_fini in any case. */
WR_MUST_USE enum wr_result wr_world_init(struct wr_world *world, struct wr_ruleset *rules, int64_t start_wall_ns, uint32_t max_series,
                                         struct wr_error *err);
void wr_world_fini(struct wr_world *world);

/* Moves the clock to t; timers on the way fire, those due at t itself only with `at` too. WR_LIMIT: too many transitions. */
WR_MUST_USE enum wr_result wr_world_move(struct wr_world *world, int64_t t_ns, bool at, struct wr_error *err);

/* One sample that arrives now, stamped late_ns ago. WR_INVALID: the series has had samples of another sort. */
WR_MUST_USE enum wr_result wr_world_take(struct wr_world *world, const struct wr_test_series *series, const struct wr_sample *sample,
                                         int64_t late_ns, struct wr_error *err);

/* Readings that arrive now, of series and symbols of this world. */
WR_MUST_USE enum wr_result wr_world_feed(struct wr_world *world, struct wr_batch *batch, struct wr_error *err);

/* What an operator does now. WR_NOT_FOUND, WR_INVALID: the alarm does not take it. */
WR_MUST_USE enum wr_result wr_world_command(struct wr_world *world, const struct wr_test_do *todo, struct wr_error *err);

/* The agent stops and starts now, at once: a new engine and evaluator, which know what a clean stop keeps. WR_NO_MEMORY: the old ones go on. */
WR_MUST_USE enum wr_result wr_world_restart(struct wr_world *world, struct wr_error *err);
/* The same rules are loaded anew, and take over as in a reload of the agent. */
WR_MUST_USE enum wr_result wr_world_reload(struct wr_world *world, struct wr_error *err);

/* When a transition was, since the start. */
int64_t wr_world_when(const struct wr_world *world, const struct wr_alarm *told);

/* The alarm as it is now, its state in alarm.to. False: no sample ever made one. */
bool wr_world_alarm(const struct wr_world *world, const struct wr_selector *selector, struct wr_alarm_entry *ret_entry);

/* The value of one series of a derived point as it is now, NaN unknown, and its unit. False: no sample ever made one. */
bool wr_world_point(const struct wr_world *world, const struct wr_selector *selector, double *ret_value, const char **ret_unit);

/* Walks those of a selector that are active, neither normal nor pending: *cursor starts at 0; false at the end. */
bool wr_world_next_active(const struct wr_world *world, const struct wr_selector *selector, uint32_t *cursor,
                          struct wr_alarm_entry *ret_entry);

#endif
