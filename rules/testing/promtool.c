#include "rules/testing/promtool.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/nearest.h"
#include "core/quantity.h"
#include "core/series.h"
#include "rules/compile/rule_schema.h"
#include "rules/testing/notation.h"

/* -- the schema --------------------------------------------------------------------------------------------------------------------------- */

struct file_label {
    char *name;
    char *value;
};

struct file_alert {
    struct file_label *exp_labels;
    unsigned n_exp_labels;
    struct file_label *exp_annotations;
    unsigned n_exp_annotations;
};

struct file_alert_test {
    char *eval_time;
    char *alertname;
    struct file_alert *exp_alerts;
    unsigned n_exp_alerts;
};

struct file_sample {
    char *labels;
    char *value;
    char *histogram;
};

struct file_expr_test {
    char *expr;
    char *eval_time;
    struct file_sample *exp_samples;
    unsigned n_exp_samples;
};

struct file_series {
    char *series;
    char *values;
};

struct file_test {
    char *name;
    char *interval;
    struct file_series *input_series;
    unsigned n_input_series;
    struct file_alert_test *alert_rule_test;
    unsigned n_alert_rule_test;
    struct file_expr_test *promql_expr_test;
    unsigned n_promql_expr_test;
    struct file_label *external_labels;
    unsigned n_external_labels;
    char *external_url;
    char *start_timestamp;
};

struct file {
    char **rule_files;
    unsigned n_rule_files;
    char *evaluation_interval;
    char **group_eval_order;
    unsigned n_group_eval_order;
    char *fuzzy_compare;
    struct file_test *tests;
    unsigned n_tests;
};

#define TEXT(type, member, must)                                                                                                           \
    { .key = #member, .kind = WR_YAML_STRING, AT(type, member), .required = must }
#define TEXTS(type, member)                                                                                                                \
    { .key = #member, .kind = WR_YAML_STRINGS, LIST(type, member) }
#define LABELS(type, member) RECORDS(type, member, file_label, label_fields, .free_keys = true)

/* clang-format off */
static const struct wr_yaml_field label_fields[] = {TEXT(file_label, name, false), TEXT(file_label, value, false), END};
static const struct wr_yaml_field alert_fields[] = {LABELS(file_alert, exp_labels), LABELS(file_alert, exp_annotations), END};
static const struct wr_yaml_field alert_test_fields[] = {
    TEXT(file_alert_test, eval_time, true),
    TEXT(file_alert_test, alertname, true),
    RECORDS(file_alert_test, exp_alerts, file_alert, alert_fields, .required = false),
    END,
};
static const struct wr_yaml_field sample_fields[] = {
    TEXT(file_sample, labels, false), TEXT(file_sample, value, false), TEXT(file_sample, histogram, false), END,
};
static const struct wr_yaml_field expr_test_fields[] = {
    TEXT(file_expr_test, expr, false), TEXT(file_expr_test, eval_time, false), RECORDS(file_expr_test, exp_samples, file_sample, sample_fields, .required = false), END,
};
static const struct wr_yaml_field series_fields[] = {
    TEXT(file_series, series, true), TEXT(file_series, values, true), END,
};
static const struct wr_yaml_field test_fields[] = {
    TEXT(file_test, name, false),
    TEXT(file_test, interval, false),
    RECORDS(file_test, input_series, file_series, series_fields, .required = false),
    RECORDS(file_test, alert_rule_test, file_alert_test, alert_test_fields, .required = false),
    RECORDS(file_test, promql_expr_test, file_expr_test, expr_test_fields, .required = false),
    LABELS(file_test, external_labels),
    TEXT(file_test, external_url, false),
    TEXT(file_test, start_timestamp, false),
    END,
};
static const struct wr_yaml_field file_fields[] = {
    TEXTS(file, rule_files),
    TEXT(file, evaluation_interval, false),
    TEXTS(file, group_eval_order),
    TEXT(file, fuzzy_compare, false),
    RECORDS(file, tests, file_test, test_fields, .required = true),
    END,
};
/* clang-format on */

/* -- one file under way --------------------------------------------------------------------------------------------------------------------- */

struct reader {
    const struct wr_yaml *yaml;
    const struct wr_ruleset *rules;
    struct wr_arena *arena;
    struct wr_diagnostics *diagnostics;
    const struct file_test *record;
    struct wr_test *test;
    char path[64]; /* "tests[3]" */
};

#define PATH_BYTES 200

static char *path_of(const struct reader *reader, char *path, const char *rest) {
    snprintf(path, PATH_BYTES, "%s.%s", reader->path, rest);
    return path;
}

/* offset and len are bytes in text (NULL: the whole value). */
static void complain(const struct reader *reader, enum wr_diagnostic_level level, const char *path, const char *hint, const char *format,
                     ...) WR_PRINTF(5, 6);

static void complain(const struct reader *reader, enum wr_diagnostic_level level, const char *path, const char *hint, const char *format,
                     ...) {
    char message[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    wr_yaml_complain(reader->yaml, reader->diagnostics, level, 367, path, 0, 0, hint, "%s", message);
}

static struct wr_position where(const struct reader *reader, const char *path) {
    return wr_yaml_where(reader->yaml, path, 0, 0);
}

static bool read_time(const struct reader *reader, const char *path, const char *text, int64_t *ret_ns) {
    struct wr_error err;
    if (wr_quantity_duration(text, ret_ns, &err) != WR_OK) {
        complain(reader, WR_DIAGNOSTIC_ERROR, path, NULL, "%s", err.text);
        return false;
    }
    if (*ret_ns <= WR_TEST_DAYS * 86400 * WR_NS_PER_S)
        return true;
    complain(reader, WR_DIAGNOSTIC_ERROR, path, NULL, "more than %d days", WR_TEST_DAYS);
    return false;
}

/* -- series ------------------------------------------------------------------------------------------------------------------------------- */

static bool read_key(struct reader *reader, const char *path, const char *text, struct wr_test_series *series) {
    struct wr_selector selector;
    struct wr_error err;
    struct wr_tag tags[WR_SELECTOR_MATCHES];
    char key[WR_SERIES_KEY_BYTES];
    size_t len;
    if (wr_selector_parse(text, strlen(text), &selector, NULL, &err) != WR_OK) {
        complain(reader, WR_DIAGNOSTIC_ERROR, path, "as in up{job=\"a\", instance=\"b\"}", "%s", err.text);
        return false;
    }
    for (size_t i = 0; i < selector.n_matches; i++) {
        const struct wr_selector_match *match = &selector.matches[i];
        tags[i] = (struct wr_tag){{match->tag, strlen(match->tag)}, {match->word, strlen(match->word)}};
        if (match->op != WR_SELECTOR_EQUAL || selector.name_is_glob) {
            complain(reader, WR_DIAGNOSTIC_ERROR, path, NULL, "one series is meant: a name, and labels with =");
            return false;
        }
    }
    if (wr_series_key_make((struct wr_word){selector.name, strlen(selector.name)}, (struct wr_word){"value", 5}, tags, selector.n_matches,
                           key, &len, &err) != WR_OK) {
        complain(reader, WR_DIAGNOSTIC_ERROR, path, NULL, "%s", err.text);
        return false;
    }
    series->shown = wr_arena_string(reader->arena, text);
    series->key = wr_arena_text(reader->arena, key, len);
    series->key_len = (uint32_t)len;
    return true;
}

static bool read_series(struct reader *reader, int64_t every_ns) {
    const struct file_test *record = reader->record;
    struct wr_test *test = reader->test;
    char path[PATH_BYTES], rest[64];
    uint64_t samples = 0;
    if (record->n_input_series > WR_TEST_SERIES) {
        complain(reader, WR_DIAGNOSTIC_ERROR, path_of(reader, path, "input_series"), NULL, "a test has at most %d series", WR_TEST_SERIES);
        return true;
    }
    test->given = wr_arena_take(reader->arena, (record->n_input_series + 1) * sizeof *test->given);
    if (!test->given)
        return false;
    for (unsigned i = 0; i < record->n_input_series; i++) {
        struct wr_test_series *series = &test->given[test->n_given];
        struct wr_complaint complaint;
        snprintf(rest, sizeof rest, "input_series[%u].series", i);
        if (!read_key(reader, path_of(reader, path, rest), record->input_series[i].series, series))
            continue;
        snprintf(rest, sizeof rest, "input_series[%u].values", i);
        path_of(reader, path, rest);
        series->every_ns = every_ns;
        series->at = where(reader, path);
        if (!wr_notation_parse_prometheus(record->input_series[i].values, reader->arena, &series->runs, &series->n_runs, &complaint)) {
            if (complaint.code) /* values are ASCII here: what is none stands behind the place */
                wr_yaml_complain(reader->yaml, reader->diagnostics, WR_DIAGNOSTIC_ERROR, complaint.code, path, complaint.offset,
                                 complaint.len, complaint.hint[0] ? complaint.hint : NULL, "%s", complaint.text);
            continue;
        }
        for (uint32_t k = 0; k < series->n_runs; k++)
            samples += series->runs[k].n;
        test->n_given++;
    }
    if (samples > WR_TEST_SAMPLES)
        complain(reader, WR_DIAGNOSTIC_ERROR, path_of(reader, path, "input_series"), NULL, "a test makes at most %d samples",
                 WR_TEST_SAMPLES);
    return true;
}

/* -- alerts ------------------------------------------------------------------------------------------------------------------------------- */

static const struct wr_rule *find_rule(const struct reader *reader, const char *path, const char *name) {
    const uint32_t rule = wr_ruleset_find(reader->rules, name);
    if (rule != UINT32_MAX)
        return reader->rules->rules[rule];
    struct wr_nearest nearest;
    const char *near = NULL;
    char hint[100];
    char shown[80];
    wr_nearest_init(&nearest, name);
    for (uint32_t i = 0; i < reader->rules->n_rules; i++)
        if (wr_nearest_take(&nearest, reader->rules->rules[i]->name))
            near = reader->rules->rules[i]->name;
    snprintf(hint, sizeof hint, "did you mean '%s'?", near ? near : "");
    complain(reader, WR_DIAGNOSTIC_ERROR, path, near ? hint : "a Weir rule of the alert's name is tested", "there is no rule '%s'",
             wr_error_escape(shown, sizeof shown, name, strlen(name)));
    return NULL;
}

static bool is_by(const struct wr_rule *rule, const char *label) {
    for (uint32_t i = 0; i < rule->n_by; i++)
        if (strcmp(rule->by[i], label) == 0)
            return true;
    return false;
}

/* A label of an alert: part of which alarm is meant, its severity, or nothing that a rule has. */
static void read_label(const struct reader *reader, const char *path, const struct wr_rule *rule, const struct file_label *label,
                       struct wr_buf *selector, struct wr_test_firing *firing) {
    struct wr_error err;
    if (is_by(rule, label->name)) {
        const enum wr_result result = strchr(label->value, '"')
                                          ? WR_INVALID
                                          : wr_buf_printf(selector, "%s%s=\"%s\"", selector->len > 0 ? "," : "", label->name, label->value);
        if (result == WR_NO_MEMORY)
            reader->arena->failed = true;
        else if (result != WR_OK)
            complain(reader, WR_DIAGNOSTIC_ERROR, path, NULL, "a label that is too long, or with a quote in it, cannot be named here");
    } else if (strcmp(label->name, "severity") == 0 && wr_severity_parse(label->value, &firing->severity, &err) == WR_OK) {
        firing->has_severity = true;
    } else if (strcmp(label->name, "alertname") != 0) {
        complain(reader, WR_DIAGNOSTIC_WARNING, path, NULL, "not compared: the rule '%s' is not by '%.60s'", rule->name, label->name);
    }
}

static bool read_alert(struct reader *reader, const char *list, unsigned index, const struct wr_rule *rule, const struct file_alert *record,
                       struct wr_test_firing *firing) {
    char path[PATH_BYTES], rest[120];
    char shown[WR_SELECTOR_BYTES];
    struct wr_buf labels;
    struct wr_error err;
    wr_buf_init(&labels, WR_SELECTOR_BYTES);
    snprintf(rest, sizeof rest, "%s[%u]", list, index);
    firing->at = where(reader, path_of(reader, path, rest));
    for (unsigned i = 0; i < record->n_exp_labels; i++) {
        snprintf(rest, sizeof rest, "%s[%u].exp_labels[%u]", list, index, i);
        read_label(reader, path_of(reader, path, rest), rule, &record->exp_labels[i], &labels, firing);
    }
    if (record->n_exp_annotations > 0) {
        snprintf(rest, sizeof rest, "%s[%u].exp_annotations", list, index);
        complain(reader, WR_DIAGNOSTIC_WARNING, path_of(reader, path, rest), NULL,
                 "annotations are not compared: a rule has `message` in their place");
    }
    const bool fits =
        snprintf(shown, sizeof shown, labels.len > 0 ? "%s{%s}" : "%s%s", rule->name, wr_buf_str(&labels)) < (int)sizeof shown;
    wr_buf_fini(&labels);
    struct wr_selector *selector = wr_arena_take(reader->arena, sizeof *selector);
    firing->shown = wr_arena_string(reader->arena, shown);
    firing->selector = selector;
    if (!selector || !firing->shown)
        return false;
    if (!fits || wr_selector_parse(shown, strlen(shown), selector, NULL, &err) != WR_OK)
        complain(reader, WR_DIAGNOSTIC_ERROR, path, NULL, "labels that cannot be named here");
    return true;
}

static bool read_alert_test(struct reader *reader, unsigned index, struct wr_test_expect *expect) {
    const struct file_alert_test *record = &reader->record->alert_rule_test[index];
    char path[PATH_BYTES], rest[64];
    snprintf(rest, sizeof rest, "alert_rule_test[%u]", index);
    expect->kind = WR_EXPECT_FIRING;
    expect->at = where(reader, path_of(reader, path, rest));
    snprintf(rest, sizeof rest, "alert_rule_test[%u].eval_time", index);
    (void)read_time(reader, path_of(reader, path, rest), record->eval_time, &expect->t_ns);
    snprintf(rest, sizeof rest, "alert_rule_test[%u].alertname", index);
    const struct wr_rule *rule = find_rule(reader, path_of(reader, path, rest), record->alertname);
    if (!rule)
        return true;
    struct wr_selector *selector = wr_arena_take(reader->arena, sizeof *selector);
    struct wr_test_firing *firing = wr_arena_take(reader->arena, (record->n_exp_alerts + 1) * sizeof *firing);
    expect->alarm = rule->name;
    expect->selector = selector;
    expect->firing = firing;
    if (!selector || !firing || wr_selector_parse(rule->name, strlen(rule->name), selector, NULL, NULL) != WR_OK)
        return false;
    snprintf(rest, sizeof rest, "alert_rule_test[%u].exp_alerts", index);
    for (unsigned i = 0; i < record->n_exp_alerts; i++)
        if (!read_alert(reader, rest, i, rule, &record->exp_alerts[i], &firing[expect->n_firing++]))
            return false;
    return true;
}

/* -- tests -------------------------------------------------------------------------------------------------------------------------------- */

static int by_time(const void *a, const void *b) {
    const struct wr_test_expect *left = a;
    const struct wr_test_expect *right = b;
    if (left->t_ns != right->t_ns)
        return left->t_ns > right->t_ns ? 1 : -1;
    return (left->at.line > right->at.line) - (left->at.line < right->at.line);
}

static bool read_test(struct reader *reader, unsigned index, int64_t every_ns) {
    const struct file_test *record = reader->record;
    struct wr_test *test = reader->test;
    char path[PATH_BYTES], name[80];
    snprintf(name, sizeof name, "tests[%u]", index);
    test->name = wr_arena_string(reader->arena, record->name && record->name[0] ? record->name : name);
    test->file = wr_arena_string(reader->arena, reader->yaml->file);
    test->at = where(reader, reader->path);
    test->start_ns = 0; /* Prometheus' tests begin in 1970 */
    if (record->interval)
        (void)read_time(reader, path_of(reader, path, "interval"), record->interval, &every_ns);
    if (every_ns == 0)
        complain(reader, WR_DIAGNOSTIC_ERROR, path_of(reader, path, "interval"), NULL, "the time between two samples is more than 0");
    if (record->n_promql_expr_test > 0)
        complain(reader, WR_DIAGNOSTIC_ERROR, path_of(reader, path, "promql_expr_test"), "leave it out",
                 "tests of PromQL expressions have no counterpart here");
    if (record->start_timestamp)
        complain(reader, WR_DIAGNOSTIC_ERROR, path_of(reader, path, "start_timestamp"), "leave it out", "a start has no counterpart here");
    if (!test->name || !test->file || !read_series(reader, every_ns))
        return false;
    test->expects = wr_arena_take(reader->arena, (record->n_alert_rule_test + 1) * sizeof *test->expects);
    if (!test->expects)
        return false;
    for (unsigned i = 0; i < record->n_alert_rule_test; i++)
        if (!read_alert_test(reader, i, &test->expects[test->n_expects++]))
            return false;
    if (test->n_expects > 1)
        qsort(test->expects, test->n_expects, sizeof *test->expects, by_time);
    return true;
}

static bool read_tests(struct reader *reader, struct wr_test **ret_tests) {
    const struct file *file = reader->yaml->record;
    int64_t every_ns = 60 * WR_NS_PER_S;
    if (file->evaluation_interval)
        (void)read_time(reader, "evaluation_interval", file->evaluation_interval, &every_ns);
    struct wr_test **last = ret_tests;
    for (unsigned i = 0; i < file->n_tests; i++) {
        struct wr_test *test = wr_arena_take(reader->arena, sizeof *test);
        if (!test)
            return false;
        reader->record = &file->tests[i];
        reader->test = test;
        snprintf(reader->path, sizeof reader->path, "tests[%u]", i);
        if (!read_test(reader, i, every_ns))
            return false;
        *last = test;
        last = &test->next;
    }
    return !reader->arena->failed;
}

enum wr_result wr_promtool_load(const char *name, const char *text, size_t len, const struct wr_ruleset *rules, struct wr_arena *arena,
                                struct wr_diagnostics *diagnostics, struct wr_test **ret_tests, struct wr_error *err) {
    struct wr_yaml yaml;
    const size_t before = diagnostics->errors;
    *ret_tests = NULL;
    WR_TRY(wr_yaml_load_text(name, text, len, file_fields, sizeof(struct file), diagnostics, &yaml, err));
    struct reader reader = {.yaml = &yaml, .rules = rules, .arena = arena, .diagnostics = diagnostics};
    const bool good = read_tests(&reader, ret_tests);
    wr_yaml_free(&yaml);
    if (!good || diagnostics->out_of_memory)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for %s", name);
    if (diagnostics->errors > before)
        return wr_error_set(err, WR_INVALID, "%zu errors in %s", diagnostics->errors - before, name);
    return WR_OK;
}

enum wr_result wr_promtool_rule_files(const char *name, const char *text, size_t len, struct wr_arena *arena,
                                      struct wr_diagnostics *diagnostics, const char *const **ret_files, size_t *ret_n,
                                      struct wr_error *err) {
    struct wr_yaml yaml;
    const char *slash = strrchr(name, '/');
    const int folder = slash ? (int)(slash - name) + 1 : 0;
    WR_TRY(wr_yaml_load_text(name, text, len, file_fields, sizeof(struct file), diagnostics, &yaml, err));
    const struct file *file = yaml.record;
    const char **files = wr_arena_take(arena, (file->n_rule_files + 1) * sizeof *files);
    for (unsigned i = 0; files && i < file->n_rule_files; i++) {
        const char *path = file->rule_files[i];
        char full[4096];
        snprintf(full, sizeof full, "%.*s%s", path[0] == '/' ? 0 : folder, name, path);
        files[i] = wr_arena_string(arena, full);
    }
    *ret_n = file->n_rule_files;
    *ret_files = files;
    wr_yaml_free(&yaml);
    return arena->failed ? wr_error_set(err, WR_NO_MEMORY, "no memory for %s", name) : WR_OK;
}
