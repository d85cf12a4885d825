#include "rules/testing/suite.h"

#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/quantity.h"
#include "rules/compile/compiled.h"
#include "rules/testing/promtool.h"
#include "rules/testing/run.h"

#define HISTORY_LINES 20

/* One file under way. */
struct telling {
    const struct wr_ruleset_text *file;
    const struct wr_suite_output *output;
    struct wr_buf failures; /* text, of the present test */
    enum wr_result result;
};

static void stick(struct telling *telling, enum wr_result result) {
    if (telling->result == WR_OK)
        telling->result = result;
}

static const char *when(char *text, size_t size, int64_t ns) {
    return wr_quantity_format_duration(text, size, ns > 0 ? ns : 0);
}

/* -- what an alarm told ------------------------------------------------------------------------------------------------------------------ */

static enum wr_result print_told(const struct wr_world *world, const struct wr_alarm *told, struct wr_buf *into) {
    char t[40], shown[300];
    WR_TRY(wr_buf_printf(into, "      | %9s  %s: %s", when(t, sizeof t, wr_world_when(world, told)),
                         wr_alarm_display(shown, sizeof shown, told), wr_alarm_cause_name((enum wr_alarm_cause)told->cause)));
    if (told->from != told->to)
        WR_TRY(wr_buf_printf(into, ", %s to %s", wr_alarm_state_name((enum wr_alarm_state)told->from),
                             wr_alarm_state_name((enum wr_alarm_state)told->to)));
    if (told->has_value)
        WR_TRY(wr_buf_printf(into, ", %.6g%s%s", told->value, told->unit[0] ? " " : "", told->unit));
    if (told->has_value && told->has_limit)
        WR_TRY(wr_buf_printf(into, " (limit %.6g)", told->limit));
    return wr_buf_text(into, "\n");
}

/* Everything of the alarms that are meant, the last lines of it if there are many. */
static enum wr_result print_history(const struct wr_test_failure *failure, struct wr_buf *into) {
    const struct wr_world *world = failure->world;
    uint32_t n = 0;
    for (uint32_t i = 0; i < world->n_told; i++)
        n += wr_evaluator_selects(failure->selector, world->told[i].rule, world->told[i].instance);
    WR_TRY(
        wr_buf_printf(into, "      | in the test '%s'%s\n", failure->test->name, n > 0 ? ", until then:" : ": it told nothing until then"));
    if (n > HISTORY_LINES)
        WR_TRY(wr_buf_printf(into, "      |      ...  %u more before\n", n - HISTORY_LINES));
    for (uint32_t i = 0; i < world->n_told; i++) {
        if (!wr_evaluator_selects(failure->selector, world->told[i].rule, world->told[i].instance))
            continue;
        if (n-- <= HISTORY_LINES)
            WR_TRY(print_told(world, &world->told[i], into));
    }
    return WR_OK;
}

static void failed_json(struct wr_json *json, const struct wr_test_failure *failure) {
    wr_json_object(json, NULL);
    wr_json_int(json, "t_ns", failure->t_ns);
    wr_json_uint(json, "line", failure->at.line);
    wr_json_uint(json, "column", failure->at.column);
    wr_json_string(json, "message", failure->message);
    wr_json_array(json, "told");
    for (uint32_t i = 0; failure->selector && failure->world && i < failure->world->n_told; i++) {
        const struct wr_alarm *told = &failure->world->told[i];
        if (!wr_evaluator_selects(failure->selector, told->rule, told->instance))
            continue;
        wr_json_object(json, NULL);
        wr_json_int(json, "t_ns", wr_world_when(failure->world, told));
        wr_json_string(json, "instance", told->instance);
        wr_json_string(json, "cause", wr_alarm_cause_name((enum wr_alarm_cause)told->cause));
        wr_json_string(json, "from", wr_alarm_state_name((enum wr_alarm_state)told->from));
        wr_json_string(json, "to", wr_alarm_state_name((enum wr_alarm_state)told->to));
        wr_json_object_end(json);
    }
    wr_json_array_end(json);
    wr_json_object_end(json);
}

static enum wr_result failed_words(struct telling *telling, const struct wr_test_failure *failure) {
    struct wr_diagnostics diagnostics;
    char t[40];
    wr_diagnostics_init(&diagnostics);
    wr_diagnostics_add(&diagnostics, WR_DIAGNOSTIC_ERROR, 365, failure->test->file, telling->file->text, telling->file->len, failure->at,
                       NULL, "at %s: %s", when(t, sizeof t, failure->t_ns), failure->message);
    enum wr_result result = diagnostics.out_of_memory ? WR_NO_MEMORY : wr_diagnostics_render(&diagnostics, false, &telling->failures);
    wr_diagnostics_fini(&diagnostics);
    return result == WR_OK && failure->selector ? print_history(failure, &telling->failures) : result;
}

static void failed(void *user, const struct wr_test_failure *failure) {
    struct telling *telling = user;
    if (telling->output->json)
        failed_json(telling->output->json, failure);
    else
        stick(telling, failed_words(telling, failure));
}

/* -- tests ------------------------------------------------------------------------------------------------------------------------------- */

static void begin_json(struct wr_json *json, const struct wr_test *test) {
    wr_json_object(json, NULL);
    wr_json_string(json, "file", test->file);
    wr_json_uint(json, "line", test->at.line);
    wr_json_string(json, "test", test->name);
    wr_json_array(json, "failures");
}

static void end_json(struct wr_json *json, bool passed) {
    wr_json_array_end(json);
    wr_json_bool(json, "passed", passed);
    wr_json_object_end(json);
}

/* A test that went beyond a limit failed, at its name. */
static struct wr_test_failure too_much(const struct wr_test *test, const struct wr_error *err) {
    struct wr_test_failure failure = {.test = test, .at = test->at};
    snprintf(failure.message, sizeof failure.message, "%s", err->text);
    return failure;
}

static enum wr_result run_test(struct telling *telling, struct wr_ruleset *rules, const struct wr_test *test,
                               const struct wr_suite_options *options, struct wr_suite_counts *counts, struct wr_error *err) {
    const struct wr_test_options running = {.seed = options->seed, .failed = failed, .user = telling};
    struct wr_json *json = telling->output->json;
    uint32_t failures = 0;
    wr_buf_clear(&telling->failures);
    if (json)
        begin_json(json, test);
    enum wr_result result = wr_test_run(rules, test, &running, &failures, err);
    if (result == WR_LIMIT) {
        const struct wr_test_failure failure = too_much(test, err);
        failed(telling, &failure);
        failures++;
    } else if (result != WR_OK) {
        return result;
    }
    if (telling->result != WR_OK)
        return wr_error_set(err, telling->result, "no memory for a test");
    counts->passed += failures == 0;
    counts->failed += failures > 0;
    if (json)
        end_json(json, failures == 0);
    else if ((failures > 0 || options->verbose) &&
             wr_buf_printf(telling->output->words, "%s: %s: %s\n%s", test->file, test->name, failures > 0 ? "failed" : "passed",
                           wr_buf_str(&telling->failures)) != WR_OK)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a test");
    return WR_OK;
}

static enum wr_result tell_errors(const struct telling *telling, struct wr_diagnostics *diagnostics) {
    struct wr_json *json = telling->output->json;
    if (!json)
        return diagnostics->n > 0 ? wr_diagnostics_render(diagnostics, false, telling->output->words) : WR_OK;
    struct wr_buf list;
    wr_buf_init(&list, 0);
    enum wr_result result = wr_diagnostics_render(diagnostics, true, &list);
    wr_json_object(json, NULL);
    wr_json_string(json, "file", telling->file->name);
    if (result == WR_OK)
        wr_json_raw(json, "errors", wr_buf_str(&list), list.len - 1);
    wr_json_bool(json, "passed", false);
    wr_json_object_end(json);
    wr_buf_fini(&list);
    return result;
}

static enum wr_result run_tests(struct telling *telling, struct wr_ruleset *rules, const struct wr_test *first,
                                const struct wr_suite_options *options, struct wr_suite_counts *counts, struct wr_error *err) {
    for (const struct wr_test *test = first; test; test = test->next) {
        if (strcmp(test->file, telling->file->name) != 0)
            continue;
        if (options->pattern && !wr_glob_match(options->pattern, test->name))
            counts->left_out++;
        else
            WR_TRY(run_test(telling, rules, test, options, counts, err));
    }
    return WR_OK;
}

/* A file that does not load. */
static enum wr_result fail_file(struct telling *telling, struct wr_diagnostics *diagnostics, struct wr_suite_counts *counts,
                                struct wr_error *err) {
    counts->failed++;
    counts->broken++;
    enum wr_result result = tell_errors(telling, diagnostics);
    return result == WR_OK ? WR_OK : wr_error_set(err, result, "no memory for a test");
}

enum wr_result wr_suite_run(const struct wr_ruleset_text *file, const struct wr_suite_options *options,
                            const struct wr_suite_output *output, struct wr_suite_counts *counts, struct wr_error *err) {
    struct telling telling = {.file = file, .output = output};
    struct wr_diagnostics diagnostics;
    struct wr_ruleset *rules = NULL;
    wr_buf_init(&telling.failures, 0);
    wr_diagnostics_init(&diagnostics);
    struct wr_ruleset_options keep = options->rules ? *options->rules : (struct wr_ruleset_options){0};
    keep.keep_tests = true;
    enum wr_result result = wr_ruleset_load_text(file->name, file->text, file->len, &keep, &diagnostics, &rules, err);
    if (result == WR_INVALID)
        result = fail_file(&telling, &diagnostics, counts, err);
    else if (result == WR_OK)
        result = run_tests(&telling, rules, rules->tests, options, counts, err);
    wr_ruleset_free(rules);
    wr_diagnostics_fini(&diagnostics);
    wr_buf_fini(&telling.failures);
    return result;
}

/* The rules that are named, else those that the file names itself. */
static enum wr_result load_rules(const struct wr_ruleset_text *file, const char *const *rule_files, size_t n_rule_files,
                                 const struct wr_suite_options *options, struct wr_arena *arena, struct wr_diagnostics *diagnostics,
                                 struct wr_ruleset **ret_rules, struct wr_error *err) {
    if (n_rule_files == 0)
        WR_TRY(wr_promtool_rule_files(file->name, file->text, file->len, arena, diagnostics, &rule_files, &n_rule_files, err));
    WR_TRY(wr_ruleset_load(rule_files, n_rule_files, options->rules, diagnostics, ret_rules, err));
    wr_diagnostics_fini(diagnostics); /* advice about the rules is for weir check */
    return WR_OK;
}

enum wr_result wr_suite_run_promtool(const struct wr_ruleset_text *file, const char *const *rule_files, size_t n_rule_files,
                                     const struct wr_suite_options *options, const struct wr_suite_output *output,
                                     struct wr_suite_counts *counts, struct wr_error *err) {
    struct telling telling = {.file = file, .output = output};
    struct wr_diagnostics diagnostics;
    struct wr_arena arena;
    struct wr_ruleset *rules = NULL;
    struct wr_test *tests = NULL;
    wr_buf_init(&telling.failures, 0);
    wr_diagnostics_init(&diagnostics);
    wr_arena_init(&arena);
    enum wr_result result = load_rules(file, rule_files, n_rule_files, options, &arena, &diagnostics, &rules, err);
    if (result == WR_OK)
        result = wr_promtool_load(file->name, file->text, file->len, rules, &arena, &diagnostics, &tests, err);
    if (result == WR_INVALID)
        result = fail_file(&telling, &diagnostics, counts, err);
    else if (result == WR_OK && !output->json && diagnostics.n > 0)
        result = wr_diagnostics_render(&diagnostics, false, output->words);
    if (result == WR_OK && tests && diagnostics.errors == 0)
        result = run_tests(&telling, rules, tests, options, counts, err);
    wr_ruleset_free(rules);
    wr_arena_fini(&arena);
    wr_diagnostics_fini(&diagnostics);
    wr_buf_fini(&telling.failures);
    return result;
}
