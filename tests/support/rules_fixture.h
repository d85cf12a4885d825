/* A rule set, an evaluator and a virtual time for tests: feeds samples as the engine does, keeps every entry that comes out. */
#ifndef WEIR_TESTS_SUPPORT_RULES_FIXTURE_H
#define WEIR_TESTS_SUPPORT_RULES_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/series.h"
#include "core/symbol.h"
#include "rules/compile/ruleset.h"
#include "rules/evaluator/evaluator.h"
#include "rules/evaluator/evaluator_private.h"

#define FIXTURE_ENTRIES 4096
#define FIXTURE_SECOND INT64_C(1000000000)
#define FIXTURE_MINUTE (60 * FIXTURE_SECOND)
#define FIXTURE_WALL INT64_C(1772438400000000000) /* 2026-03-02T08:00:00Z */

struct rules_fixture {
    struct wr_ruleset *rules;
    struct wr_series_table *table;
    struct wr_symbol_table *symbols;
    struct wr_evaluator *evaluator;
    struct wr_now now;
    uint32_t attached;
    uint64_t quiet; /* samples that cost one compare */
    struct wr_alarm_entry *log;
    uint32_t n_log;
    uint32_t room; /* of out per call */
    struct wr_alarm_entry *entries;
};

static inline struct wr_ruleset *fixture_load(const char *text) {
    struct wr_diagnostics diagnostics;
    struct wr_ruleset *rules = NULL;
    struct wr_error err;
    wr_diagnostics_init(&diagnostics);
    enum wr_result result = wr_ruleset_load_text("rules.yaml", text, strlen(text), NULL, &diagnostics, &rules, &err);
    if (result != WR_OK) {
        struct wr_buf shown;
        wr_buf_init(&shown, 0);
        if (wr_diagnostics_render(&diagnostics, false, &shown) == WR_OK)
            print_error("%s\n%s\n", wr_buf_str(&shown), err.text);
        wr_buf_fini(&shown);
    }
    wr_diagnostics_fini(&diagnostics);
    assert_int_equal(result, WR_OK);
    return rules;
}

static inline void fixture_init(struct rules_fixture *fixture, const char *text) {
    *fixture = (struct rules_fixture){.now = {.boot_ns = 1000 * FIXTURE_SECOND, .wall_ns = FIXTURE_WALL, .wall_trusted = true}, .room = 8};
    fixture->rules = fixture_load(text);
    fixture->log = calloc(FIXTURE_ENTRIES, sizeof *fixture->log);
    fixture->entries = calloc(64, sizeof *fixture->entries);
    assert_int_equal(wr_series_table_new(10000, &fixture->table, NULL), WR_OK);
    assert_int_equal(wr_symbol_table_new(100, &fixture->symbols, NULL), WR_OK);
    assert_int_equal(wr_evaluator_new(fixture->rules, fixture->table, fixture->symbols, &fixture->evaluator, NULL), WR_OK);
}

static inline void fixture_fini(struct rules_fixture *fixture) {
    wr_evaluator_free(fixture->evaluator);
    wr_ruleset_free(fixture->rules);
    wr_series_table_free(fixture->table);
    wr_symbol_table_free(fixture->symbols);
    free(fixture->log);
    free(fixture->entries);
}

static inline void fixture_keep(struct rules_fixture *fixture, struct wr_alarm_out *out) {
    for (uint32_t i = 0; i < out->n; i++)
        if (fixture->n_log < FIXTURE_ENTRIES)
            fixture->log[fixture->n_log++] = out->entries[i];
    out->n = 0;
}

static inline struct wr_alarm_out fixture_out(struct rules_fixture *fixture) {
    return (struct wr_alarm_out){.entries = fixture->entries, .cap = fixture->room};
}

/* Runs what is due at the present time. */
static inline void fixture_timers(struct rules_fixture *fixture) {
    bool more = true;
    for (int calls = 0; more && wr_evaluator_next_timer(fixture->evaluator) <= fixture->now.boot_ns; calls++) {
        struct wr_alarm_out out = fixture_out(fixture);
        enum wr_result result = wr_evaluator_timers(fixture->evaluator, &fixture->now, 16, &out, &more);
        assert_true(result == WR_OK || result == WR_FULL);
        fixture_keep(fixture, &out);
        assert_true(calls < 1000000);
    }
}

/* Lets time pass; each timer fires at its own time. */
static inline void fixture_pass(struct rules_fixture *fixture, int64_t ns) {
    int64_t end = fixture->now.boot_ns + ns;
    for (;;) {
        int64_t due = wr_evaluator_next_timer(fixture->evaluator);
        int64_t to = due > end ? end : due < fixture->now.boot_ns ? fixture->now.boot_ns : due;
        fixture->now.wall_ns += to - fixture->now.boot_ns;
        fixture->now.boot_ns = to;
        if (due > end)
            return;
        fixture_timers(fixture);
    }
}

/* "measurement" or "measurement.field", tags as "k=v,k=v". */
static inline uint32_t fixture_series(struct rules_fixture *fixture, const char *name, const char *tags) {
    char copy[256];
    char field[64] = "value";
    struct wr_tag list[8];
    size_t n = 0;
    snprintf(copy, sizeof copy, "%s", tags);
    for (char *at = copy[0] ? copy : NULL; at; n++) {
        char *comma = strchr(at, ',');
        char *equal = strchr(at, '=');
        if (comma)
            *comma = '\0';
        *equal = '\0';
        list[n] = (struct wr_tag){{at, strlen(at)}, {equal + 1, strlen(equal + 1)}};
        at = comma ? comma + 1 : NULL;
    }
    const char *dot = strchr(name, '.');
    if (dot)
        snprintf(field, sizeof field, "%s", dot + 1);
    char key[WR_SERIES_KEY_BYTES];
    size_t len;
    uint32_t id;
    struct wr_word measurement = {name, dot ? (size_t)(dot - name) : strlen(name)};
    assert_int_equal(wr_series_key_make(measurement, (struct wr_word){field, strlen(field)}, list, n, key, &len, NULL), WR_OK);
    assert_int_equal(wr_series_intern(fixture->table, key, len, &id), WR_OK);
    return id;
}

/* One reading, stamped event_ns, arriving now. Returns false when the evaluator was not even called. */
static inline bool fixture_feed(struct rules_fixture *fixture, struct wr_reading reading, int64_t event_ns) {
    if (reading.series >= fixture->attached)
        fixture->attached = wr_evaluator_attach(fixture->evaluator, wr_series_count(fixture->table), &fixture->now);
    assert_true(reading.series < fixture->attached);
    reading.event_ns = event_ns;
    if (reading.quality != WR_QUALITY_BAD &&
        wr_evaluator_quiet(&wr_evaluator_bands(fixture->evaluator)[reading.series],
                           wr_reading_number((enum wr_type)reading.type, reading.value), fixture->now.boot_ns)) {
        fixture->quiet++;
        return false;
    }
    for (;;) {
        struct wr_alarm_out out = fixture_out(fixture);
        enum wr_result result = wr_evaluator_take(fixture->evaluator, &reading, fixture->now.boot_ns, &fixture->now, &out);
        fixture_keep(fixture, &out);
        if (result == WR_OK)
            break;
        assert_int_equal(result, WR_FULL);
    }
    fixture_timers(fixture); /* what waited for room */
    return true;
}

static inline bool fixture_value(struct rules_fixture *fixture, uint32_t series, double value) {
    const struct wr_reading reading = {.series = series,
                                       .type = WR_TYPE_FLOAT,
                                       .value = {.f = value},
                                       .decimals = WR_DECIMALS_UNKNOWN,
                                       .quality = isfinite(value) ? WR_QUALITY_GOOD : WR_QUALITY_BAD};
    return fixture_feed(fixture, reading, fixture->now.wall_ns);
}

static inline void fixture_text(struct rules_fixture *fixture, uint32_t series, const char *text) {
    struct wr_reading reading = {.series = series, .type = WR_TYPE_SYMBOL, .decimals = WR_DECIMALS_UNKNOWN};
    uint32_t symbol;
    assert_int_equal(wr_symbol_intern(fixture->symbols, text, strlen(text), &symbol), WR_OK);
    reading.value.u = symbol;
    fixture_feed(fixture, reading, fixture->now.wall_ns);
}

/* n samples of one value, `every` apart, the first one now; ends at the last one. */
static inline void fixture_run(struct rules_fixture *fixture, uint32_t series, double value, unsigned n, int64_t every_ns) {
    for (unsigned i = 0; i < n; i++) {
        fixture_value(fixture, series, value);
        fixture_pass(fixture, every_ns);
    }
}

/* Puts other rules in the place of the present ones, at most slice series and alarms a call. */
static inline void fixture_reload(struct rules_fixture *fixture, struct wr_ruleset *rules, uint32_t slice) {
    struct wr_evaluator *next;
    assert_int_equal(wr_evaluator_new(rules, fixture->table, fixture->symbols, &next, NULL), WR_OK);
    for (bool more = true; more;) {
        struct wr_alarm_out out = fixture_out(fixture);
        enum wr_result result = wr_evaluator_migrate(next, fixture->evaluator, &fixture->now, slice, &out, &more);
        assert_true(result == WR_OK || result == WR_FULL);
        fixture_keep(fixture, &out);
    }
    wr_evaluator_free(fixture->evaluator);
    wr_ruleset_free(fixture->rules);
    fixture->evaluator = next;
    fixture->rules = rules;
    assert_true(wr_evaluator_is_valid(next));
}

static inline enum wr_result fixture_say(struct rules_fixture *fixture, struct wr_alarm_command *command, struct wr_error *err) {
    enum wr_result result;
    do {
        struct wr_alarm_out out = fixture_out(fixture);
        result = wr_evaluator_command(fixture->evaluator, command, &fixture->now, &out, err);
        fixture_keep(fixture, &out);
    } while (result == WR_FULL);
    return result;
}

static inline enum wr_result fixture_command(struct rules_fixture *fixture, enum wr_alarm_command_kind kind, const char *alarm,
                                             uint32_t *ret_n) {
    struct wr_alarm_command command = {.kind = kind, .alarm = alarm, .by_whom = "ana", .why = "", .key = ""};
    enum wr_result result = fixture_say(fixture, &command, NULL);
    if (ret_n)
        *ret_n = command.changed;
    return result;
}

/* "raised unack; cleared rtn_unack": everything since the last call, and forgets it. */
static inline const char *fixture_told(struct rules_fixture *fixture) {
    static char text[8192];
    size_t n = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < fixture->n_log && n < sizeof text - 200; i++) {
        const struct wr_alarm *alarm = &fixture->log[i].alarm;
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s %s", i > 0 ? "; " : "",
                              wr_alarm_cause_name((enum wr_alarm_cause)alarm->cause), wr_alarm_state_name((enum wr_alarm_state)alarm->to));
    }
    fixture->n_log = 0;
    return text;
}

static inline enum wr_alarm_state fixture_state(const struct rules_fixture *fixture, const char *rule, const char *instance) {
    uint32_t index = wr_evaluator_find(fixture->evaluator, wr_ruleset_find(fixture->rules, rule), instance);
    assert_true(index != WR_INSTANCE_NONE);
    return (enum wr_alarm_state)fixture->evaluator->instances[index].state;
}

#endif
