/* Interning from many threads at once, while others read without a lock. Meant for the thread sanitizer; without it, it checks results. */
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/series.h"
#include "core/symbol.h"
#include "tests/support/random.h"

#define THREADS 4
#define KEYS 4000
#define STEPS 20000

struct world {
    struct wr_series_table *series;
    struct wr_symbol_table *symbols;
    /* The id that some thread got for key i, handed over by release and acquire; 0: none yet, else id + 1. */
    _Atomic uint32_t ids[KEYS];
    _Atomic bool failed;
    _Atomic unsigned writers;
};

struct worker {
    struct world *world;
    struct wr_random random;
};

static size_t key_of(char *key, size_t size, uint64_t i) {
    size_t len = (size_t)snprintf(key, size, "m%" PRIu64, i) + 1;
    return len + (size_t)snprintf(key + len, size - len, "value") + 1;
}

static void check(struct world *world, bool holds) {
    if (!holds)
        atomic_store(&world->failed, true);
}

static void look(struct world *world, uint64_t i) {
    char key[64];
    size_t len = key_of(key, sizeof key, i);
    uint32_t given = atomic_load_explicit(&world->ids[i], memory_order_acquire);
    if (given == 0)
        return;
    struct wr_series *series = wr_series_get(world->series, given - 1);
    check(world, series->id == given - 1 && series->key_len == len && memcmp(series->key, key, len) == 0);
    enum wr_type type = wr_series_fix_type(series, i % 2 ? WR_TYPE_INT : WR_TYPE_FLOAT);
    check(world, type == (i % 2 ? WR_TYPE_INT : WR_TYPE_FLOAT));
    check(world, wr_series_find(world->series, key, len) == given - 1);
}

static void *write_and_read(void *user) {
    struct worker *worker = user;
    struct world *world = worker->world;
    for (int step = 0; step < STEPS; step++) {
        uint64_t i = wr_random_below(&worker->random, KEYS);
        char key[64];
        size_t len = key_of(key, sizeof key, i);
        uint32_t id = 0;
        uint32_t symbol = 0;
        check(world, wr_series_intern(world->series, key, len, &id) == WR_OK);
        check(world, wr_symbol_intern(world->symbols, key, strlen(key), &symbol) == WR_OK);
        check(world, strcmp(wr_symbol_text(world->symbols, symbol, NULL), key) == 0);
        uint32_t before = atomic_exchange_explicit(&world->ids[i], id + 1, memory_order_acq_rel);
        check(world, before == 0 || before == id + 1);
        look(world, wr_random_below(&worker->random, KEYS));
    }
    atomic_fetch_sub(&world->writers, 1);
    return NULL;
}

/* As metrics and the status page do: walk everything there is, by the count alone. */
static void *walk(void *user) {
    struct worker *worker = user;
    struct world *world = worker->world;
    uint32_t before = 0;
    do {
        uint32_t count = wr_series_count(world->series);
        check(world, count >= before);
        for (uint32_t id = before; id < count; id++) {
            struct wr_series *series = wr_series_get(world->series, id);
            check(world, series->id == id && wr_series_key_valid(series->key, series->key_len));
        }
        before = count;
    } while (atomic_load(&world->writers) > 0);
    return NULL;
}

static void all_threads_agree(void **state) {
    (void)state;
    static struct world world;
    struct wr_random random = wr_random_begin();
    assert_int_equal(wr_series_table_new(KEYS, &world.series, NULL), WR_OK);
    assert_int_equal(wr_symbol_table_new(KEYS, &world.symbols, NULL), WR_OK);
    atomic_store(&world.writers, THREADS);
    struct worker workers[THREADS + 1];
    pthread_t threads[THREADS + 1];
    for (size_t t = 0; t <= THREADS; t++) {
        workers[t] = (struct worker){&world, {wr_random_u64(&random)}};
        assert_int_equal(pthread_create(&threads[t], NULL, t < THREADS ? write_and_read : walk, &workers[t]), 0);
    }
    for (size_t t = 0; t <= THREADS; t++)
        pthread_join(threads[t], NULL);
    assert_false(atomic_load(&world.failed));
    uint32_t found = 0;
    for (size_t i = 0; i < KEYS; i++)
        found += atomic_load(&world.ids[i]) > 0;
    assert_int_equal(wr_series_count(world.series), found);
    assert_int_equal(wr_symbol_count(world.symbols), found);
    wr_series_table_free(world.series);
    wr_symbol_table_free(world.symbols);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_threads_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
