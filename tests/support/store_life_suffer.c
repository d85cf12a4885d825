/* A run in which calls fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/store_life_private.h"

#define RECOVERY_NS (5 * WR_NS_PER_S) /* the store tries again after a second */

bool store_life_rest(struct store_life *life) {
    store_life_cut(life, true);
    if (!store_life_start(life, 0))
        return false;
    store_life_cut(life, true);
    store_life_begin(life);
    return true;
}

struct store_life *store_life_copy(const struct store_life *other) {
    struct store_life *life = malloc(sizeof *life);
    assert_non_null(life);
    assert_null(other->fixture.store);
    *life = *other;
    life->borrowed = true; /* the directory and the symbols: names of files stand on the disk */
    life->fixture.handover.counts = life->fixture.counts;
    life->disk = wr_fault_vfs_copy(other->disk);
    life->fixture.options.vfs = wr_fault_vfs_name(life->disk);
    return life;
}

/* A start; when it fails, the error says why, and without the fault it succeeds. */
static bool open_it(struct store_life *life) {
    struct store_fixture *fixture = &life->fixture;
    fixture->err.text[0] = 0;
    enum wr_result result = store_fixture_open(fixture);
    if (result == WR_OK)
        return true;
    TRY(store_life_fine(life, result, "open"));
    wr_store_abandon(fixture->store);
    fixture->store = NULL;
    life->faults->off(life->faults->user);
    result = store_fixture_open(fixture);
    if (result != WR_OK)
        BREAK("open, after a fault: %s: %s", wr_result_name(result), fixture->err.text);
    return true;
}

/* Nothing fails any more: what is in memory can be committed. */
static bool recover(struct store_life *life) {
    struct store_fixture *fixture = &life->fixture;
    life->faults->off(life->faults->user);
    life->faults = NULL; /* from here on an error is a promise broken */
    TRY(store_life_pass(life, RECOVERY_NS));
    TRY(store_life_give_rest(life));
    TRY(store_life_pass(life, RECOVERY_NS + life->fixture.options.max_loss_ns));
    enum wr_result result = wr_store_flush(fixture->store, &fixture->now, &fixture->err);
    if (result != WR_OK)
        BREAK("flush, after a fault: %s: %s", wr_result_name(result), fixture->err.text);
    TRY(store_life_learn(life));
    store_life_note(life);
    if (life->n_given > 0)
        memcpy(life->flushed, life->given[life->n_given - 1].sum, sizeof life->flushed);
    return true;
}

bool store_life_suffer(struct store_life *life, const struct store_life_faults *faults, uint64_t steps) {
    life->faults = faults;
    life->stopped = false;
    bool good = open_it(life);
    if (good) {
        store_life_work(life, steps);
        good = life->broken[0] == 0;
        if (good && wr_random_below(&life->dice, 4) != 0) /* else the power goes while it is ill */
            good = recover(life);
    }
    faults->off(faults->user);
    life->faults = NULL;
    store_life_cut(life, false);
    return good && store_life_start(life, 0);
}
