/* What rules cost: the evaluator alone, without engine, sources and store.
 *
 *   bench_rules quiet SERIES LIMITS READINGS    ns a reading of a value that stays between two of LIMITS limits a series, and of the look-up alone
 *   bench_rules shared RULES READINGS           ns a reading with RULES rules on one window
 *   bench_rules own RULES                       ms to load RULES rules, each for one series of a name, and to attach as many series; bytes a rule in all
 *   bench_rules rate RULES READINGS             evaluations a second when every reading crosses the limits of all rules, alternately
 *   bench_rules load INSTANCES                  ms to attach, and to migrate at a reload, so many instances; longest slice; bytes an instance
 *
 * Prints one line: numbers with names. To be built by tests/bench/CMakeLists.txt. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/series.h"
#include "core/symbol.h"
#include "rules/compile/ruleset.h"
#include "rules/evaluator/evaluator.h"

#define RUNS 5
#define WALL_NS (INT64_C(1772438400) * WR_NS_PER_S)
#define SLICE 256

struct bench {
    struct wr_ruleset *rules;
    struct wr_series_table *table;
    struct wr_symbol_table *symbols;
    struct wr_evaluator *evaluator;
    struct wr_now now;
    uint32_t n_series;
    struct wr_alarm_entry *entries;
};

static double cpu_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void must(bool ok, const char *what) {
    if (ok)
        return;
    fprintf(stderr, "bench_rules: %s failed\n", what);
    exit(2);
}

static struct wr_ruleset *load(const struct wr_buf *text) {
    const struct wr_ruleset_options options = {.max_instances = 10000000};
    struct wr_diagnostics diagnostics;
    struct wr_ruleset *rules = NULL;
    struct wr_error err = {0};
    wr_diagnostics_init(&diagnostics);
    enum wr_result result = wr_ruleset_load_text("bench.yaml", wr_buf_str(text), text->len, &options, &diagnostics, &rules, &err);
    if (result != WR_OK)
        fprintf(stderr, "%s\n", err.text);
    must(result == WR_OK, "loading the rules");
    wr_diagnostics_fini(&diagnostics);
    return rules;
}

static void make_series(struct bench *bench, uint32_t n) {
    must(wr_series_table_new(n, &bench->table, NULL) == WR_OK, "series table");
    must(wr_symbol_table_new(16, &bench->symbols, NULL) == WR_OK, "symbol table");
    bench->n_series = n;
    for (uint32_t i = 0; i < n; i++) {
        char name[32];
        char key[WR_SERIES_KEY_BYTES];
        size_t key_len;
        uint32_t id;
        int len = snprintf(name, sizeof name, "s%06u", i);
        struct wr_tag tag = {{"sensor", 6}, {name, (size_t)len}};
        must(wr_series_key_make((struct wr_word){"temp", 4}, (struct wr_word){"value", 5}, &tag, 1, key, &key_len, NULL) == WR_OK, "key");
        must(wr_series_intern(bench->table, key, key_len, &id) == WR_OK, "intern");
    }
}

static void start(struct bench *bench, uint32_t n_series, const struct wr_buf *text) {
    *bench = (struct bench){.now = {.boot_ns = 1000 * WR_NS_PER_S, .wall_ns = WALL_NS, .wall_trusted = true}};
    bench->rules = load(text);
    bench->entries = calloc(64, sizeof *bench->entries);
    must(bench->entries != NULL, "memory");
    make_series(bench, n_series);
    must(wr_evaluator_new(bench->rules, bench->table, bench->symbols, &bench->evaluator, NULL) == WR_OK, "evaluator");
}

static void stop(struct bench *bench) {
    wr_evaluator_free(bench->evaluator);
    wr_ruleset_free(bench->rules);
    wr_series_table_free(bench->table);
    wr_symbol_table_free(bench->symbols);
    free(bench->entries);
}

static void pass(struct bench *bench, int64_t ns) {
    bench->now.boot_ns += ns;
    bench->now.wall_ns += ns;
}

/* As the engine does it. */
static void feed(struct bench *bench, struct wr_evaluator_band *bands, uint32_t series, double value) {
    if (wr_evaluator_quiet(&bands[series], value, bench->now.boot_ns))
        return;
    struct wr_reading reading = {.event_ns = bench->now.wall_ns, .value.f = value, .series = series, .type = WR_TYPE_FLOAT};
    struct wr_alarm_out out = {.entries = bench->entries, .cap = 64};
    must(wr_evaluator_take(bench->evaluator, &reading, bench->now.boot_ns, &bench->now, &out) == WR_OK, "take");
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values) {
    qsort(values, RUNS, sizeof *values, ascending);
    return values[RUNS / 2];
}

/* A value for a series and round, between 20 and 21: no limit lies there. */
static double value_of(uint32_t series, uint64_t round) {
    return 20.1 + (double)((series * 7 + round) % 80) / 100;
}

/* -- quiet --------------------------------------------------------------------------------------------------------------------------------- */

/* The same loop with the look-up of the series alone: what is left is the rules'. */
static double lookup_ns(struct wr_evaluator_band *bands, uint32_t n_series, uint64_t readings) {
    double before = cpu_ns();
    for (uint64_t i = 0; i < readings; i++) {
        uint32_t series = (uint32_t)(i % n_series);
        bands[series].value = value_of(series, i / n_series);
        bands[series].arrival_boot_ns = (int64_t)i;
    }
    return (cpu_ns() - before) / (double)readings;
}

static double quiet_ns(struct bench *bench, uint64_t readings) {
    struct wr_evaluator_band *bands = wr_evaluator_bands(bench->evaluator);
    double before = cpu_ns();
    for (uint64_t i = 0; i < readings; i++) {
        uint32_t series = (uint32_t)(i % bench->n_series);
        bench->now.boot_ns++;
        feed(bench, bands, series, value_of(series, i / bench->n_series));
    }
    return (cpu_ns() - before) / (double)readings;
}

static int quiet(uint32_t n_series, uint32_t limits, uint64_t readings) {
    struct wr_buf text;
    struct bench bench;
    wr_buf_init(&text, 64 << 20);
    must(wr_buf_text(&text, "rules:\n") == WR_OK, "memory");
    for (uint32_t i = 0; i < limits; i++)
        must(wr_buf_printf(&text, "  - {rule: r%u, when: temp > %u, by: sensor}\n", i, i < limits / 2 ? 30 + i : 21 + i) == WR_OK,
             "memory");
    start(&bench, n_series, &text);
    must(wr_evaluator_attach(bench.evaluator, n_series, &bench.now) == n_series, "attach");
    struct wr_evaluator_band *bands = wr_evaluator_bands(bench.evaluator);
    for (uint32_t i = 0; i < n_series; i++)
        feed(&bench, bands, i, 20.5);
    double spent[RUNS], base[RUNS];
    struct wr_evaluator_stats before, after;
    wr_evaluator_stats(bench.evaluator, &before);
    for (int run = 0; run < RUNS; run++) {
        spent[run] = quiet_ns(&bench, readings);
        base[run] = lookup_ns(bands, n_series, readings);
    }
    wr_evaluator_stats(bench.evaluator, &after);
    must(before.evaluations == after.evaluations, "being quiet");
    printf("series %u limits %u reading_ns %.2f lookup_ns %.2f instances %u bytes_per_instance %.0f\n", n_series, limits, median(spent),
           median(base), after.instances, (double)after.bytes / (after.instances ? after.instances : 1));
    stop(&bench);
    wr_buf_fini(&text);
    return 0;
}

/* -- shared windows ------------------------------------------------------------------------------------------------------------------------ */

static int shared(uint32_t rules, uint64_t readings) {
    struct wr_buf text;
    struct bench bench;
    wr_buf_init(&text, 64 << 20);
    must(wr_buf_text(&text, "points:\n  - {point: temp, every: 1s}\nrules:\n") == WR_OK, "memory");
    for (uint32_t i = 0; i < rules; i++)
        must(wr_buf_printf(&text, "  - {rule: r%u, when: \"avg(temp, 1m) > %u\", by: sensor}\n", i, 30 + i) == WR_OK, "memory");
    start(&bench, 10, &text);
    must(wr_evaluator_attach(bench.evaluator, 10, &bench.now) == 10, "attach");
    struct wr_evaluator_band *bands = wr_evaluator_bands(bench.evaluator);
    double spent[RUNS];
    for (int run = 0; run < RUNS; run++) {
        double before = cpu_ns();
        for (uint64_t i = 0; i < readings; i++) {
            uint32_t series = (uint32_t)(i % 10);
            pass(&bench, 100 * WR_NS_PER_MS);
            feed(&bench, bands, series, value_of(series, i / 10));
            bool more = true;
            while (more && wr_evaluator_next_timer(bench.evaluator) <= bench.now.boot_ns) {
                struct wr_alarm_out out = {.entries = bench.entries, .cap = 64};
                must(wr_evaluator_timers(bench.evaluator, &bench.now, SLICE, &out, &more) == WR_OK, "timers");
            }
        }
        spent[run] = (cpu_ns() - before) / (double)readings;
    }
    struct wr_evaluator_stats stats;
    wr_evaluator_stats(bench.evaluator, &stats);
    printf("rules %u reading_ns %.0f evaluations_per_reading %.2f\n", rules, median(spent),
           (double)stats.evaluations / (double)(readings * RUNS));
    stop(&bench);
    wr_buf_fini(&text);
    return 0;
}

/* -- load and reload ----------------------------------------------------------------------------------------------------------------------- */

static int load_and_reload(uint32_t instances) {
    struct wr_buf text;
    struct bench bench;
    wr_buf_init(&text, 1 << 20);
    must(wr_buf_text(&text, "rules:\n  - {rule: warm, when: temp > 30, by: sensor, on_delay: 5s, deadband: 1}\n") == WR_OK, "memory");
    double before = cpu_ns();
    start(&bench, instances, &text);
    double made = cpu_ns();
    must(wr_evaluator_attach(bench.evaluator, instances, &bench.now) == instances, "attach");
    double attached = cpu_ns();
    struct wr_evaluator_band *bands = wr_evaluator_bands(bench.evaluator);
    for (uint32_t i = 0; i < instances; i++)
        feed(&bench, bands, i, i % 4 == 0 ? 31 : 20);
    struct wr_evaluator_stats stats;
    wr_evaluator_stats(bench.evaluator, &stats);
    must(stats.instances == instances, "instances");
    struct wr_evaluator *fresh;
    struct wr_ruleset *again = load(&text);
    double reload = cpu_ns(), worst = 0;
    must(wr_evaluator_new(again, bench.table, bench.symbols, &fresh, NULL) == WR_OK, "evaluator");
    must(wr_evaluator_attach(fresh, instances, &bench.now) == instances, "attach");
    double ready = cpu_ns();
    for (bool more = true; more;) {
        double slice = cpu_ns();
        struct wr_alarm_out out = {.entries = bench.entries, .cap = 64};
        enum wr_result result = wr_evaluator_migrate(fresh, bench.evaluator, &bench.now, SLICE, &out, &more);
        must(result == WR_OK || result == WR_FULL, "migrate");
        slice = cpu_ns() - slice;
        worst = slice > worst ? slice : worst;
    }
    double done = cpu_ns();
    printf("instances %u series_ms %.1f load_ms %.1f reload_ms %.1f attach_ms %.1f worst_slice_us %.0f bytes_per_instance %.0f\n",
           instances, (made - before) / 1e6, (attached - made) / 1e6, (done - reload) / 1e6, (ready - reload) / 1e6, worst / 1e3,
           (double)stats.bytes / instances);
    wr_evaluator_free(fresh);
    stop(&bench);
    wr_ruleset_free(again);
    wr_buf_fini(&text);
    return 0;
}

/* -- many rules ---------------------------------------------------------------------------------------------------------------------------- */

static int own(uint32_t rules) {
    struct wr_buf text;
    struct bench bench;
    wr_buf_init(&text, 64 << 20);
    must(wr_buf_text(&text, "rules:\n") == WR_OK, "memory");
    for (uint32_t i = 0; i < rules; i++)
        must(wr_buf_printf(&text, "  - {rule: r%u, when: \"temp{sensor=s%06u} > 30\", on_delay: 5s}\n", i, i) == WR_OK, "memory");
    double before = cpu_ns();
    start(&bench, rules, &text);
    double loaded = cpu_ns();
    must(wr_evaluator_attach(bench.evaluator, rules, &bench.now) == rules, "attach");
    double attached = cpu_ns();
    struct wr_evaluator_stats stats;
    wr_evaluator_stats(bench.evaluator, &stats);
    must(stats.instances == rules, "instances");
    printf("rules %u load_ms %.1f attach_ms %.1f bytes_per_rule %.0f\n", rules, (loaded - before) / 1e6, (attached - loaded) / 1e6,
           (double)stats.bytes / rules);
    stop(&bench);
    wr_buf_fini(&text);
    return 0;
}

static int rate(uint32_t rules, uint64_t readings) {
    struct wr_buf text;
    struct bench bench;
    wr_buf_init(&text, 64 << 20);
    must(wr_buf_text(&text, "rules:\n") == WR_OK, "memory");
    for (uint32_t i = 0; i < rules; i++)
        must(wr_buf_printf(&text, "  - {rule: r%u, when: temp > 20 + 0.001 * %u and temp < 80, by: sensor, on_delay: 1h}\n", i, i) == WR_OK,
             "memory");
    start(&bench, 10, &text);
    must(wr_evaluator_attach(bench.evaluator, 10, &bench.now) == 10, "attach");
    struct wr_evaluator_band *bands = wr_evaluator_bands(bench.evaluator);
    double before = cpu_ns();
    for (uint64_t i = 0; i < readings; i++) {
        pass(&bench, WR_NS_PER_MS);
        feed(&bench, bands, (uint32_t)(i % 10), i / 10 % 2 ? 50 : 10);
    }
    double spent = cpu_ns() - before;
    struct wr_evaluator_stats stats;
    wr_evaluator_stats(bench.evaluator, &stats);
    printf("rules %u evaluations_per_s %.0f\n", rules, (double)stats.evaluations / (spent / 1e9));
    stop(&bench);
    wr_buf_fini(&text);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "own") == 0)
        return own((uint32_t)atoi(argv[2]));
    if (argc == 4 && strcmp(argv[1], "rate") == 0)
        return rate((uint32_t)atoi(argv[2]), (uint64_t)atoll(argv[3]));
    if (argc == 5 && strcmp(argv[1], "quiet") == 0)
        return quiet((uint32_t)atoi(argv[2]), (uint32_t)atoi(argv[3]), (uint64_t)atoll(argv[4]));
    if (argc == 4 && strcmp(argv[1], "shared") == 0)
        return shared((uint32_t)atoi(argv[2]), (uint64_t)atoll(argv[3]));
    if (argc == 3 && strcmp(argv[1], "load") == 0)
        return load_and_reload((uint32_t)atoi(argv[2]));
    fprintf(stderr,
            "usage: bench_rules quiet SERIES LIMITS READINGS | shared RULES READINGS | own RULES | rate RULES READINGS | load INSTANCES\n");
    return 2;
}
