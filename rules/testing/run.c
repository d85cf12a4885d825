#include "rules/testing/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "rules/testing/column.h"

/* Where a series stands: its next sample. */
struct cursor {
    const struct wr_test_series *series;
    uint32_t run;
    uint32_t i;      /* in the run */
    int64_t slot_ns; /* of the next sample; of a CSV of its first row */
    int64_t t_ns;    /* when it arrives; INT64_MAX: no more */
    int64_t late_ns;
    uint64_t random;
    struct wr_column column; /* of the CSV that is being read */
    bool open;
};

struct running {
    struct wr_world world;
    const struct wr_test *test;
    const struct wr_test_options *options;
    struct cursor *cursors;
    uint32_t *heap; /* of cursors, the next sample first; of one time in the order of the file */
    uint32_t n_heap;
    uint32_t failures;
    bool stopped;
};

/* -- failures -------------------------------------------------------------------------------------------------------------------------- */

static void tell(struct running *running, struct wr_test_failure *failure) {
    running->failures++;
    failure->test = running->test;
    failure->world = &running->world;
    if (running->options->failed)
        running->options->failed(running->options->user, failure);
    else
        running->stopped = true;
}

/* -- samples --------------------------------------------------------------------------------------------------------------------------- */

static uint64_t seed_of(uint64_t seed, const struct wr_test_series *series) {
    for (uint32_t i = 0; i < series->key_len; i++)
        seed = (seed ^ (uint8_t)series->key[i]) * UINT64_C(0x100000001b3);
    return seed;
}

static enum wr_result open_column(struct running *running, struct cursor *cursor, const struct wr_sample_run *run, struct wr_error *err) {
    struct wr_error why;
    enum wr_result result = wr_column_load(&cursor->column, running->test->file, run->text, run->column, &why);
    cursor->open = result == WR_OK;
    if (result == WR_NO_MEMORY)
        return wr_error_set(err, result, "no memory for a test");
    if (result != WR_OK) {
        struct wr_test_failure failure = {.t_ns = cursor->slot_ns, .at = run->at};
        snprintf(failure.message, sizeof failure.message, "%s", why.text);
        tell(running, &failure);
    }
    return WR_OK;
}

static void close_column(struct cursor *cursor) {
    if (cursor->open)
        wr_column_free(&cursor->column);
    cursor->open = false;
}

/* n samples later; what is beyond all time is never reached. */
static int64_t behind(int64_t t_ns, uint32_t n, int64_t every_ns) {
    int64_t length_ns;
    return __builtin_mul_overflow((int64_t)n, every_ns, &length_ns) ? INT64_MAX : wr_clock_add_ns(t_ns, length_ns);
}

/* The next row, if there is one: when it arrives and how late it is. */
static bool next_row(struct cursor *cursor) {
    const struct wr_column *column = &cursor->column;
    if (!cursor->open || cursor->i >= column->n)
        return false;
    if (!column->has_time) {
        cursor->t_ns = behind(cursor->slot_ns, cursor->i, cursor->series->every_ns);
        cursor->late_ns = 0;
        return true;
    }
    /* By its own stamps, the first at its place; an older one than before comes at once, late. */
    const int64_t event_ns = wr_clock_add_ns(cursor->slot_ns, column->rows[cursor->i].time_ns - column->rows[0].time_ns);
    if (cursor->i == 0 || event_ns > cursor->t_ns)
        cursor->t_ns = event_ns;
    cursor->late_ns = cursor->t_ns - event_ns;
    return true;
}

/* Goes to the next sample that comes at all, from the one at (run, i). */
static enum wr_result settle(struct running *running, struct cursor *cursor, struct wr_error *err) {
    const struct wr_test_series *series = cursor->series;
    for (; cursor->run < series->n_runs; cursor->run++, cursor->i = 0) {
        const struct wr_sample_run *run = &series->runs[cursor->run];
        if (run->kind == WR_SAMPLE_CSV) {
            if (cursor->i == 0 && !cursor->open)
                WR_TRY(open_column(running, cursor, run, err));
            if (next_row(cursor))
                return WR_OK;
            if (cursor->i > 0)
                cursor->slot_ns = behind(cursor->t_ns, 1, series->every_ns);
            close_column(cursor);
            continue;
        }
        if (run->kind == WR_SAMPLE_MISSING) {
            cursor->slot_ns = behind(cursor->slot_ns, run->n, series->every_ns);
            continue;
        }
        if (cursor->i < run->n) {
            cursor->t_ns = cursor->slot_ns;
            cursor->late_ns = run->late_ns;
            return WR_OK;
        }
    }
    cursor->t_ns = INT64_MAX;
    return WR_OK;
}

static struct wr_sample sample_at(struct cursor *cursor) {
    const struct wr_sample_run *run = &cursor->series->runs[cursor->run];
    if (run->kind == WR_SAMPLE_CSV)
        return cursor->column.rows[cursor->i].sample;
    return wr_notation_sample(run, cursor->i, &cursor->random);
}

static enum wr_result take_next(struct running *running, struct cursor *cursor, struct wr_error *err) {
    const struct wr_sample sample = sample_at(cursor);
    enum wr_result result = WR_OK;
    if (sample.kind != WR_SAMPLE_MISSING)
        result = wr_world_take(&running->world, cursor->series, &sample, cursor->late_ns, err);
    if (result == WR_INVALID) {
        struct wr_test_failure failure = {.t_ns = cursor->t_ns, .at = cursor->series->runs[cursor->run].at};
        snprintf(failure.message, sizeof failure.message, "%s", err ? err->text : "");
        tell(running, &failure);
        cursor->t_ns = INT64_MAX; /* the rest would only say it again */
        return WR_OK;
    }
    WR_TRY(result);
    if (cursor->series->runs[cursor->run].kind != WR_SAMPLE_CSV)
        cursor->slot_ns = behind(cursor->slot_ns, 1, cursor->series->every_ns);
    cursor->i++;
    return settle(running, cursor, err);
}

/* -- the heap -------------------------------------------------------------------------------------------------------------------------- */

static bool before(const struct running *running, uint32_t a, uint32_t b) {
    const int64_t left = running->cursors[a].t_ns;
    const int64_t right = running->cursors[b].t_ns;
    return left != right ? left < right : a < b;
}

static void sink(struct running *running, uint32_t at) {
    for (;;) {
        uint32_t least = at;
        for (uint32_t child = 2 * at + 1; child <= 2 * at + 2 && child < running->n_heap; child++)
            if (before(running, running->heap[child], running->heap[least]))
                least = child;
        if (least == at)
            return;
        const uint32_t moved = running->heap[at];
        running->heap[at] = running->heap[least];
        running->heap[least] = moved;
        at = least;
    }
}

static enum wr_result make_heap(struct running *running, struct wr_error *err) {
    const struct wr_test *test = running->test;
    running->cursors = calloc(test->n_given + 1, sizeof *running->cursors);
    running->heap = calloc(test->n_given + 1, sizeof *running->heap);
    if (!running->cursors || !running->heap)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a test");
    for (uint32_t i = 0; i < test->n_given; i++) {
        struct cursor *cursor = &running->cursors[i];
        *cursor = (struct cursor){.series = &test->given[i], .random = seed_of(running->options->seed, &test->given[i])};
        running->heap[i] = i;
        WR_TRY(settle(running, cursor, err));
    }
    running->n_heap = test->n_given;
    for (uint32_t i = running->n_heap; i-- > 0;)
        sink(running, i);
    return WR_OK;
}

/* -- the run --------------------------------------------------------------------------------------------------------------------------- */

static int64_t next_sample(const struct running *running) {
    return running->n_heap > 0 ? running->cursors[running->heap[0]].t_ns : INT64_MAX;
}

/* Samples until t, and the timers between them. */
static enum wr_result run_until(struct running *running, int64_t t_ns, struct wr_error *err) {
    while (next_sample(running) <= t_ns) {
        struct cursor *cursor = &running->cursors[running->heap[0]];
        WR_TRY(wr_world_move(&running->world, cursor->t_ns, false, err));
        WR_TRY(take_next(running, cursor, err));
        sink(running, 0);
    }
    return wr_world_move(&running->world, t_ns, true, err);
}

static enum wr_result carry_out(struct wr_world *world, const struct wr_test_do *todo, struct wr_error *why) {
    switch (todo->kind) {
    case WR_TEST_RESTART:
        return wr_world_restart(world, why);
    case WR_TEST_RELOAD:
        return wr_world_reload(world, why);
    default:
        return wr_world_command(world, todo, why);
    }
}

static enum wr_result do_next(struct running *running, const struct wr_test_do *todo, struct wr_error *err) {
    struct wr_test_failure failure = {.t_ns = todo->t_ns, .at = todo->at};
    struct wr_error why;
    enum wr_result result = carry_out(&running->world, todo, &why);
    if (result == WR_NO_MEMORY || result == WR_LIMIT)
        return wr_error_set(err, result, "%s", why.text);
    if (result == WR_OK)
        return WR_OK;
    snprintf(failure.message, sizeof failure.message, "%s", why.text);
    tell(running, &failure);
    return WR_OK;
}

/* The commands until t. */
static enum wr_result do_until(struct running *running, int64_t t_ns, uint32_t *done, struct wr_error *err) {
    const struct wr_test *test = running->test;
    for (; *done < test->n_dos && test->dos[*done].t_ns <= t_ns && !running->stopped; ++*done) {
        WR_TRY(run_until(running, test->dos[*done].t_ns, err));
        WR_TRY(do_next(running, &test->dos[*done], err));
    }
    return WR_OK;
}

static enum wr_result run(struct running *running, struct wr_error *err) {
    const struct wr_test *test = running->test;
    uint32_t done = 0;
    for (uint32_t i = 0; i < test->n_expects && !running->stopped; i++) {
        const struct wr_test_expect *expect = &test->expects[i];
        WR_TRY(do_until(running, expect->t_ns, &done, err));
        if (running->stopped)
            break;
        WR_TRY(run_until(running, expect->t_ns, err));
        struct wr_test_failure failure = {.t_ns = expect->t_ns, .at = expect->at, .selector = expect->selector};
        if (!wr_test_met(&running->world, test, expect, &failure))
            tell(running, &failure);
    }
    return do_until(running, INT64_MAX, &done, err); /* also behind the last expectation: it may be refused */
}

enum wr_result wr_test_run(struct wr_ruleset *rules, const struct wr_test *test, const struct wr_test_options *options,
                           uint32_t *ret_failures, struct wr_error *err) {
    struct running running = {.test = test, .options = options};
    enum wr_result result = wr_world_init(&running.world, rules, test->start_ns, test->n_given, err);
    if (options->max_timers > 0)
        running.world.max_timers = options->max_timers;
    if (result == WR_OK)
        result = make_heap(&running, err);
    if (result == WR_OK)
        result = run(&running, err);
    for (uint32_t i = 0; running.cursors && i < test->n_given; i++)
        close_column(&running.cursors[i]);
    free(running.cursors);
    free(running.heap);
    wr_world_fini(&running.world);
    if (result == WR_OK)
        *ret_failures = running.failures;
    return result;
}
