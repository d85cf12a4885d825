#include "rules/compile/test_compile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/nearest.h"
#include "core/quantity.h"
#include "core/series.h"
#include "rules/compile/rule_schema.h"
#include "rules/compile/test_expect.h"
#include "rules/evaluator/evaluator.h"
#include "rules/language/nodes.h"
#include "rules/testing/instant.h"
#include "rules/testing/notation.h"

#define WHO "test" /* whoever a command does not name */

/* clang-format off */
static const struct wr_yaml_field series_fields[] = {
    STRING(wr_file_test_series, series, .required = true, .help = "the series, as in room_temp{room=A1}"),
    STRING(wr_file_test_series, values, .required = true, .help = "its samples, as in 4.0*10 9.0*14"),
    STRING(wr_file_test_series, every, .help = "the time between two of them, where it is not the test's"),
    END,
};

static const struct wr_yaml_field do_fields[] = {
    STRING(wr_file_test_do, t, .required = true, .help = "when, since the start"),
    STRING(wr_file_test_do, cmd, .required = true, .help = "ack, reset, shelve, unshelve, oos or return; restart or reload of the agent"),
    STRING(wr_file_test_do, alarm, .help = "the alarm, as in cold_room_warm{room=A1}; restart and reload have none"),
    STRING(wr_file_test_do, who, .help = "who does it"),
    STRING(wr_file_test_do, why, .help = "the reason: shelve and oos need one"),
    {.key = "for", .kind = WR_YAML_STRING, AT(wr_file_test_do, for_time), .help = "how long: shelve"},
    END,
};

const struct wr_yaml_field wr_test_fields[] = {
    STRING(wr_file_test, test, .required = true, .help = "what is tested, in words"),
    {.key = "rules", .kind = WR_YAML_STRINGS, LIST(wr_file_test, rules), .help = "the rules that are looked at; default all"},
    STRING(wr_file_test, start, .help = "the time at which it starts; default 2026-01-05T00:00:00Z"),
    STRING(wr_file_test, every, .help = "the time between two samples; default 30s"),
    RECORDS(wr_file_test, given, wr_file_test_series, series_fields, .help = "series and their samples"),
    {.key = "do", .kind = WR_YAML_RECORDS, LIST(wr_file_test, dos), .fields = do_fields, .record_bytes = sizeof(struct wr_file_test_do), .help = "what operators do"},
    RECORDS(wr_file_test, expect, wr_file_test_expect, wr_test_expect_fields, .required = true, .help = "what must be"),
    END,
};
/* clang-format on */

char *wr_test_key(char *key, const char *list, unsigned index, const char *name) {
    snprintf(key, 64, "%s[%u].%s", list, index, name);
    return key;
}

bool wr_test_time(struct wr_test_compile *tests, const char *key, const char *text, int64_t *ret_ns) {
    struct wr_error err;
    if (wr_quantity_duration(text, ret_ns, &err) != WR_OK) {
        WR_COMPILE_ERROR(tests->compile, 361, key, NULL, "%s", err.text);
        return false;
    }
    if (*ret_ns > WR_TEST_DAYS * 86400 * WR_NS_PER_S) {
        WR_COMPILE_ERROR(tests->compile, 361, key, NULL, "more than %d days", WR_TEST_DAYS);
        return false;
    }
    return true;
}

int wr_test_word(struct wr_test_compile *tests, const char *key, const char *text, const char *const *words, size_t n) {
    char list[320] = ""; /* as many as there are causes */
    char shown[48];
    for (size_t i = 0; i < n; i++) {
        if (strcmp(words[i], text) == 0)
            return (int)i;
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i == 0 ? "" : i + 1 == n ? " or " : ", ", words[i]);
    }
    char hint[80];
    const char *near = wr_nearest_name(text, words, n);
    snprintf(hint, sizeof hint, "did you mean '%s'?", near ? near : "");
    WR_COMPILE_ERROR(tests->compile, 361, key, near ? hint : NULL, "'%s' is not %s",
                     wr_error_escape(shown, sizeof shown, text, strlen(text)), list);
    return -1;
}

/* -- which alarm ---------------------------------------------------------------------------------------------------------------------- */

static const struct wr_rule *find_rule(struct wr_test_compile *tests, const char *key, const char *name) {
    const struct wr_ruleset *ruleset = tests->compile->ruleset;
    for (uint32_t i = 0; i < ruleset->n_rules; i++)
        if (ruleset->rules[i]->name && strcmp(ruleset->rules[i]->name, name) == 0)
            return ruleset->rules[i];
    struct wr_nearest nearest;
    const char *near = NULL;
    wr_nearest_init(&nearest, name);
    for (uint32_t i = 0; i < ruleset->n_rules; i++)
        if (ruleset->rules[i]->name && wr_nearest_take(&nearest, ruleset->rules[i]->name))
            near = ruleset->rules[i]->name;
    char hint[100];
    char shown[80];
    snprintf(hint, sizeof hint, "did you mean '%s'?", near ? near : "");
    WR_COMPILE_ERROR(tests->compile, 362, key, near ? hint : NULL, "there is no rule '%s'",
                     wr_error_escape(shown, sizeof shown, name, strlen(name)));
    return NULL;
}

/* group:NAME: what a group of any file says. One of this file with errors was told of already. */
static bool is_group(struct wr_test_compile *tests, const char *name) {
    const struct wr_rule_file *file = tests->compile->yaml->record;
    const struct wr_ruleset *ruleset = tests->compile->ruleset;
    if (strncmp(name, "group:", 6) != 0)
        return false;
    for (uint32_t i = 0; i < ruleset->n_groups; i++)
        if (strcmp(ruleset->groups[i].name, name) == 0)
            return true;
    for (unsigned i = 0; i < file->n_groups; i++)
        if (file->groups[i].name && strcmp(file->groups[i].name, name + 6) == 0)
            return true;
    return false;
}

static bool is_looked_at(const struct wr_test *test, const char *rule) {
    for (uint32_t i = 0; i < test->n_rules; i++)
        if (strcmp(test->rules[i], rule) == 0)
            return true;
    return test->n_rules == 0;
}

/* The labels that are given are those of `by`. */
static bool check_labels(struct wr_test_compile *tests, const char *key, const struct wr_rule *rule, const struct wr_selector *selector,
                         bool one) {
    const char *kind = rule->kind == WR_RULE_ALARM ? "rule" : "derived point";
    for (size_t i = 0; i < selector->n_matches; i++) {
        const struct wr_selector_match *match = &selector->matches[i];
        bool known = false;
        for (uint32_t k = 0; k < rule->n_by; k++)
            known |= rule->by[k] && strcmp(rule->by[k], match->tag) == 0;
        if (!known) {
            const char *near = wr_nearest_name(match->tag, rule->by, rule->n_by);
            char hint[100];
            snprintf(hint, sizeof hint, "did you mean '%s'?", near ? near : "");
            WR_COMPILE_ERROR(tests->compile, 362, key, near ? hint : NULL, "the %s '%s' is not by '%.60s'", kind, rule->name, match->tag);
            return false;
        }
        if (one && match->op != WR_SELECTOR_EQUAL) {
            WR_COMPILE_ERROR(tests->compile, 362, key, NULL, "one %s is meant: write label=value",
                             rule->kind == WR_RULE_ALARM ? "alarm" : "series");
            return false;
        }
    }
    for (uint32_t k = 0; one && k < rule->n_by; k++) {
        bool given = false;
        for (size_t i = 0; rule->by[k] && i < selector->n_matches; i++)
            given |= strcmp(selector->matches[i].tag, rule->by[k]) == 0;
        if (!given && rule->by[k]) {
            WR_COMPILE_ERROR(tests->compile, 362, key, NULL, "which one? The %s '%s' is by '%s': write %s{%s=...}", kind, rule->name,
                             rule->by[k], rule->name, rule->by[k]);
            return false;
        }
    }
    return true;
}

static struct wr_selector *read_selector(struct wr_test_compile *tests, const char *key, const char *text) {
    struct wr_compile *compile = tests->compile;
    struct wr_selector *selector = wr_arena_take(&compile->ruleset->arena, sizeof *selector);
    size_t at = 0;
    struct wr_error err;
    if (!selector || wr_selector_parse(text, strlen(text), selector, &at, &err) == WR_OK)
        return selector;
    wr_compile_complain(compile, WR_DIAGNOSTIC_ERROR, 362, key, text, at < strlen(text) ? at : 0, 1, NULL, "%s", err.text);
    return NULL;
}

const struct wr_selector *wr_test_point(struct wr_test_compile *tests, const char *key, const char *text) {
    const struct wr_rule_file *file = tests->compile->yaml->record;
    struct wr_selector *selector = read_selector(tests, key, text);
    if (!selector)
        return NULL;
    const struct wr_derived *derived = wr_nodes_derived(tests->compile->ruleset->nodes, selector->name);
    if (derived)
        return derived->node && check_labels(tests, key, derived->node, selector, true) ? selector : NULL; /* one with errors was told of */
    struct wr_nearest nearest;
    const char *near = NULL;
    wr_nearest_init(&nearest, selector->name);
    for (unsigned i = 0; i < file->n_derive; i++)
        if (file->derive[i].point && wr_nearest_take(&nearest, file->derive[i].point))
            near = file->derive[i].point;
    char hint[100];
    char shown[80];
    snprintf(hint, sizeof hint, "did you mean '%.60s'?", near ? near : "");
    WR_COMPILE_ERROR(tests->compile, 362, key, near ? hint : "what is given need not be asked for", "there is no derived point '%s'",
                     wr_error_escape(shown, sizeof shown, selector->name, strlen(selector->name)));
    return NULL;
}

const struct wr_selector *wr_test_alarm(struct wr_test_compile *tests, const char *key, const char *text, bool one) {
    struct wr_compile *compile = tests->compile;
    struct wr_selector *selector = read_selector(tests, key, text);
    if (!selector)
        return NULL;
    if (is_group(tests, selector->name))
        return selector;
    const struct wr_rule *rule = find_rule(tests, key, selector->name);
    if (!rule)
        return NULL;
    if (!is_looked_at(tests->test, rule->name)) {
        WR_COMPILE_ERROR(compile, 362, key, "add it to `rules`, or leave `rules` out", "the rule '%s' is not among those of this test",
                         rule->name);
        return NULL;
    }
    return check_labels(tests, key, rule, selector, one) ? selector : NULL;
}

/* -- given ---------------------------------------------------------------------------------------------------------------------------- */

/* `room_temp{room=A1}` as the key of one series. */
static bool read_series(struct wr_test_compile *tests, unsigned index, struct wr_test_series *series) {
    struct wr_compile *compile = tests->compile;
    const char *text = tests->record->given[index].series;
    char where[64];
    wr_test_key(where, "given", index, "series");
    struct wr_selector selector;
    struct wr_error err;
    size_t at = 0;
    if (wr_selector_parse(text, strlen(text), &selector, &at, &err) != WR_OK) {
        wr_compile_complain(compile, WR_DIAGNOSTIC_ERROR, 361, where, text, at < strlen(text) ? at : 0, 1, NULL, "%s", err.text);
        return false;
    }
    struct wr_tag tags[WR_SELECTOR_MATCHES];
    bool one = !selector.name_is_glob;
    for (size_t i = 0; i < selector.n_matches; i++) {
        const struct wr_selector_match *match = &selector.matches[i];
        tags[i] = (struct wr_tag){{match->tag, strlen(match->tag)}, {match->word, strlen(match->word)}};
        one = one && match->op == WR_SELECTOR_EQUAL;
    }
    if (!one) {
        WR_COMPILE_ERROR(compile, 361, where, NULL, "one series is meant: a name, and labels with =");
        return false;
    }
    const char *dot = strchr(selector.name, '.');
    const struct wr_word measurement = {selector.name, dot ? (size_t)(dot - selector.name) : strlen(selector.name)};
    const struct wr_word field = {dot ? dot + 1 : "value", strlen(dot ? dot + 1 : "value")};
    char key[WR_SERIES_KEY_BYTES];
    size_t len;
    if (wr_series_key_make(measurement, field, tags, selector.n_matches, key, &len, &err) != WR_OK) {
        WR_COMPILE_ERROR(compile, 361, where, NULL, "%s", err.text);
        return false;
    }
    series->shown = wr_compile_copy(compile, text);
    series->key = wr_arena_text(&compile->ruleset->arena, key, len);
    series->key_len = (uint32_t)len;
    for (unsigned i = 0; i < index; i++) {
        const struct wr_test_series *other = &tests->test->given[i];
        if (series->key && other->key && other->key_len == len && memcmp(other->key, series->key, len) == 0) {
            WR_COMPILE_ERROR(compile, 361, where, NULL, "the series is given twice");
            return false;
        }
    }
    return true;
}

/* Numbers, true and false, texts: one sort in one series. */
static const struct wr_sample_run *find_other_sort(const struct wr_test_series *series) {
    enum { NONE, NUMBERS, TRUTHS, TEXTS };
    int sort = NONE;
    for (uint32_t i = 0; i < series->n_runs; i++) {
        int now = NONE;
        switch (series->runs[i].kind) {
        case WR_SAMPLE_MISSING:
        case WR_SAMPLE_CSV:
            continue;
        case WR_SAMPLE_NUMBER:
        case WR_SAMPLE_NAN:
        case WR_SAMPLE_BAD:
            now = NUMBERS;
            break;
        case WR_SAMPLE_TRUTH:
            now = TRUTHS;
            break;
        case WR_SAMPLE_TEXT:
            now = TEXTS;
            break;
        }
        if (sort != NONE && now != sort)
            return &series->runs[i];
        sort = now;
    }
    return NULL;
}

static bool read_values(struct wr_test_compile *tests, unsigned index, struct wr_test_series *series) {
    struct wr_compile *compile = tests->compile;
    const char *text = tests->record->given[index].values;
    struct wr_complaint complaint;
    char where[64];
    wr_test_key(where, "given", index, "values");
    series->at = wr_compile_where(compile, where);
    if (!wr_notation_parse(text, &compile->ruleset->arena, &series->runs, &series->n_runs, &complaint)) {
        if (complaint.code)
            wr_compile_complain(compile, WR_DIAGNOSTIC_ERROR, complaint.code, where, text, complaint.offset, complaint.len,
                                complaint.hint[0] ? complaint.hint : NULL, "%s", complaint.text);
        return false;
    }
    const struct wr_sample_run *other = find_other_sort(series);
    if (other) {
        wr_compile_complain(compile, WR_DIAGNOSTIC_ERROR, 360, where, text, other->offset, other->len, NULL,
                            "a series has numbers, or true and false, or texts: not several of these");
        return false;
    }
    for (uint32_t i = 0; i < series->n_runs; i++)
        series->runs[i].at = series->at;
    return true;
}

static bool read_given(struct wr_test_compile *tests, int64_t every_ns) {
    struct wr_test *test = tests->test;
    const struct wr_file_test *record = tests->record;
    test->given = wr_arena_take(&tests->compile->ruleset->arena, (record->n_given + 1) * sizeof *test->given);
    if (!test->given)
        return false;
    uint64_t samples = 0;
    if (record->n_given > WR_TEST_SERIES) {
        WR_COMPILE_ERROR(tests->compile, 366, "given", NULL, "a test has at most %d series", WR_TEST_SERIES);
        return true;
    }
    for (unsigned i = 0; i < record->n_given; i++) {
        struct wr_test_series *series = &test->given[i];
        char where[64];
        series->every_ns = every_ns;
        const char *every = record->given[i].every;
        if (every && wr_test_time(tests, wr_test_key(where, "given", i, "every"), every, &series->every_ns) && series->every_ns == 0)
            WR_COMPILE_ERROR(tests->compile, 361, where, NULL, "the time between two samples is more than 0");
        if (!read_series(tests, i, series) || !read_values(tests, i, series))
            continue;
        for (uint32_t k = 0; k < series->n_runs; k++)
            samples += series->runs[k].n;
        test->n_given++;
    }
    if (samples > WR_TEST_SAMPLES)
        WR_COMPILE_ERROR(tests->compile, 366, "given", NULL, "a test makes at most %d samples", WR_TEST_SAMPLES);
    return true;
}

/* -- do ------------------------------------------------------------------------------------------------------------------------------- */

static int by_do_time(const void *a, const void *b) {
    const struct wr_test_do *left = a;
    const struct wr_test_do *right = b;
    if (left->t_ns != right->t_ns)
        return left->t_ns > right->t_ns ? 1 : -1;
    return left->at.line != right->at.line ? (left->at.line > right->at.line ? 1 : -1)
                                           : (left->at.column > right->at.column) - (left->at.column < right->at.column);
}

/* A restart or a reload is of the whole agent, and nobody's. */
static bool is_event_alone(struct wr_test_compile *tests, const struct wr_file_test_do *record, const char *where) {
    if (!record->alarm && !record->who && !record->why && !record->for_time)
        return true;
    WR_COMPILE_ERROR(tests->compile, 361, where, NULL, "'%s' is of the whole agent: `t` and `cmd` are all that it has", record->cmd);
    return false;
}

static bool read_dos(struct wr_test_compile *tests) {
    static const char *const commands[] = {"ack", "reset", "shelve", "unshelve", "oos", "return", "restart", "reload"};
    static const int kinds[] = {WR_ALARM_COMMAND_ACK,
                                WR_ALARM_COMMAND_RESET,
                                WR_ALARM_COMMAND_SHELVE,
                                WR_ALARM_COMMAND_UNSHELVE,
                                WR_ALARM_COMMAND_OUT_OF_SERVICE,
                                WR_ALARM_COMMAND_RETURN,
                                WR_TEST_RESTART,
                                WR_TEST_RELOAD};
    struct wr_compile *compile = tests->compile;
    struct wr_test *test = tests->test;
    test->dos = wr_arena_take(&compile->ruleset->arena, (tests->record->n_dos + 1) * sizeof *test->dos);
    if (!test->dos)
        return false;
    for (unsigned i = 0; i < tests->record->n_dos; i++) {
        const struct wr_file_test_do *record = &tests->record->dos[i];
        struct wr_test_do *todo = &test->dos[test->n_dos];
        char where[64];
        if (!wr_test_time(tests, wr_test_key(where, "do", i, "t"), record->t, &todo->t_ns))
            continue;
        int command = wr_test_word(tests, wr_test_key(where, "do", i, "cmd"), record->cmd, commands, sizeof commands / sizeof commands[0]);
        todo->at = wr_compile_where(compile, where);
        if (command < 0)
            continue;
        todo->kind = kinds[command];
        if (todo->kind >= WR_TEST_RESTART) {
            test->n_dos += is_event_alone(tests, record, where);
            continue;
        }
        if (!record->alarm) {
            WR_COMPILE_ERROR(compile, 361, where, NULL, "'%s' needs an `alarm`", record->cmd);
            continue;
        }
        if (!wr_test_alarm(tests, wr_test_key(where, "do", i, "alarm"), record->alarm, false))
            continue;
        todo->alarm = wr_compile_copy(compile, record->alarm);
        todo->who = wr_compile_copy(compile, record->who ? record->who : WHO);
        todo->why = wr_compile_copy(compile, record->why);
        if (record->for_time && kinds[command] != WR_ALARM_COMMAND_SHELVE)
            WR_COMPILE_ERROR(compile, 361, wr_test_key(where, "do", i, "for"), NULL, "`for` goes with shelve: nothing else ends by itself");
        else if (record->for_time)
            (void)wr_test_time(tests, wr_test_key(where, "do", i, "for"), record->for_time, &todo->for_ns);
        test->n_dos++;
    }
    if (test->n_dos > 1)
        qsort(test->dos, test->n_dos, sizeof *test->dos, by_do_time);
    return true;
}

/* -- all ------------------------------------------------------------------------------------------------------------------------------ */

static bool read_rules(struct wr_test_compile *tests) {
    struct wr_test *test = tests->test;
    test->rules = wr_arena_take(&tests->compile->ruleset->arena, (tests->record->n_rules + 1) * sizeof *test->rules);
    if (!test->rules)
        return false;
    for (unsigned i = 0; i < tests->record->n_rules; i++) {
        char where[64];
        snprintf(where, sizeof where, "rules[%u]", i);
        if (tests->record->n_rules == 1 && !wr_yaml_present(tests->compile->yaml, where))
            snprintf(where, sizeof where, "rules");
        const struct wr_rule *rule = find_rule(tests, where, tests->record->rules[i]);
        if (rule)
            test->rules[test->n_rules++] = rule->name;
    }
    return true;
}

static bool compile_test(struct wr_test_compile *tests) {
    struct wr_test *test = tests->test;
    const struct wr_file_test *record = tests->record;
    struct wr_error err;
    int64_t every_ns = WR_TEST_EVERY_NS;
    test->name = wr_compile_copy(tests->compile, record->test);
    test->file = tests->compile->file;
    test->at = wr_compile_where(tests->compile, "test");
    test->start_ns = WR_TEST_START_NS;
    if (record->start && wr_instant_parse(record->start, strlen(record->start), &test->start_ns, &err) != WR_OK)
        WR_COMPILE_ERROR(tests->compile, 361, "start", NULL, "%s", err.text);
    if (record->every && wr_test_time(tests, "every", record->every, &every_ns) && every_ns == 0)
        WR_COMPILE_ERROR(tests->compile, 361, "every", NULL, "the time between two samples is more than 0");
    return test->name && read_rules(tests) && read_given(tests, every_ns) && read_dos(tests) && wr_test_compile_expects(tests);
}

static bool compile_tests(struct wr_compile *compile) {
    const struct wr_rule_file *file = compile->yaml->record;
    struct wr_ruleset *ruleset = compile->ruleset;
    struct wr_test **last = &ruleset->tests;
    compile->list = "tests";
    while (*last)
        last = &(*last)->next;
    for (unsigned i = 0; i < file->n_tests; i++) {
        struct wr_test *test = wr_arena_take(&ruleset->arena, sizeof *test);
        if (!test)
            return false;
        compile->index = i;
        struct wr_test_compile tests = {.compile = compile, .test = test, .record = &file->tests[i]};
        if (!compile_test(&tests) || ruleset->arena.failed)
            return false;
        *last = test;
        last = &test->next;
    }
    return true;
}

bool wr_compile_tests(struct wr_compile *compile) {
    struct wr_ruleset *ruleset = compile->ruleset;
    if (compile->options && compile->options->without_tests)
        return true;
    if (wr_yaml_damaged(compile->yaml, "rules") || wr_yaml_damaged(compile->yaml, "groups"))
        return true; /* told already; who needs them is not blamed */
    /* Meanwhile the arena of the rule set is that of its tests: an agent, which only checks them, frees them alone. */
    const struct wr_arena arena = ruleset->arena;
    ruleset->arena = ruleset->test_arena;
    const bool good = compile_tests(compile);
    ruleset->test_arena = ruleset->arena;
    ruleset->arena = arena;
    return good;
}
