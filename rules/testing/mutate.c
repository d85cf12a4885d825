#include "rules/testing/mutate.h"

#include <stdlib.h>
#include <string.h>

#include "rules/compile/compiled.h"
#include "rules/compile/rule_file.h"
#include "rules/testing/mutants.h"
#include "rules/testing/run.h"

#define SHOWN 60 /* characters of a change */

/* One file under way. */
struct mutating {
    const struct wr_ruleset_text *file;
    const struct wr_suite_options *options;
    const struct wr_suite_output *output;
    struct wr_ruleset_options rules;
    struct wr_ruleset *base; /* with the tests */
    struct wr_buf text;      /* of the present mutant */
    struct wr_mutate_counts *counts;
};

/* -- the mutant's rules ------------------------------------------------------------------------------------------------------------------- */

static enum wr_result write_text(struct mutating *mutating, const struct wr_mutant *mutant, struct wr_error *err) {
    const struct wr_ruleset_text *file = mutating->file;
    const size_t behind = mutant->at + mutant->len;
    wr_buf_clear(&mutating->text);
    if (wr_buf_append(&mutating->text, file->text, mutant->at) != WR_OK || wr_buf_text(&mutating->text, mutant->with) != WR_OK ||
        wr_buf_append(&mutating->text, file->text + behind, file->len - behind) != WR_OK)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a mutant");
    return WR_OK;
}

/* *ret_rules NULL: it does not load. */
static enum wr_result load(struct mutating *mutating, struct wr_ruleset **ret_rules, struct wr_error *err) {
    struct wr_diagnostics diagnostics;
    wr_diagnostics_init(&diagnostics);
    *ret_rules = NULL;
    enum wr_result result = wr_ruleset_load_text(mutating->file->name, wr_buf_str(&mutating->text), mutating->text.len, &mutating->rules,
                                                 &diagnostics, ret_rules, err);
    wr_diagnostics_fini(&diagnostics);
    return result == WR_INVALID ? WR_OK : result;
}

/* What `defaults` may change of a rule. */
static bool is_same_rule(const struct wr_rule *a, const struct wr_rule *b) {
    return a->severity == b->severity && a->on_delay_ns == b->on_delay_ns && a->off_delay_ns == b->off_delay_ns &&
           a->no_data == b->no_data && a->no_data_after_ns == b->no_data_after_ns && a->latch == b->latch && a->auto_ack == b->auto_ack &&
           a->re_alarm_ns == b->re_alarm_ns && strcmp(a->canonical, b->canonical) == 0;
}

static bool is_same(const struct wr_ruleset *a, const struct wr_ruleset *b) {
    bool same = a->n_rules == b->n_rules;
    for (uint32_t i = 0; same && i < a->n_rules; i++)
        same = is_same_rule(a->rules[i], b->rules[i]);
    return same;
}

/* -- its tests ------------------------------------------------------------------------------------------------------------------------------ */

static bool looks_at(const struct mutating *mutating, const struct wr_test *test, const char *rule) {
    if (mutating->options->pattern && !wr_glob_match(mutating->options->pattern, test->name))
        return false;
    for (uint32_t i = 0; rule && i < test->n_rules; i++)
        if (strcmp(test->rules[i], rule) == 0)
            return true;
    return !rule || test->n_rules == 0;
}

static bool is_looked_at(const struct mutating *mutating, const char *rule) {
    for (const struct wr_test *test = mutating->base->tests; test; test = test->next)
        if (looks_at(mutating, test, rule))
            return true;
    return false;
}

/* A test that cannot be run at all (too many transitions) notices too. */
static enum wr_result is_noticed(struct mutating *mutating, struct wr_ruleset *rules, const char *rule, bool *ret_noticed,
                                 struct wr_error *err) {
    const struct wr_test_options options = {.seed = mutating->options->seed};
    *ret_noticed = false;
    for (const struct wr_test *test = mutating->base->tests; test && !*ret_noticed; test = test->next) {
        uint32_t failures = 0;
        if (!looks_at(mutating, test, rule))
            continue;
        enum wr_result result = wr_test_run(rules, test, &options, &failures, err);
        if (result != WR_OK && result != WR_LIMIT)
            return result;
        *ret_noticed = failures > 0 || result == WR_LIMIT;
    }
    return WR_OK;
}

/* -- what survived -------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result tell_json(const struct mutating *mutating, const struct wr_mutant *mutant) {
    struct wr_json *json = mutating->output->json;
    wr_json_object(json, NULL);
    wr_json_string(json, "file", mutating->file->name);
    wr_json_uint(json, "line", mutant->place.line);
    wr_json_uint(json, "column", mutant->place.column);
    if (mutant->rule)
        wr_json_string(json, "rule", mutant->rule);
    wr_json_bytes(json, "was", mutating->file->text + mutant->at, mutant->len);
    wr_json_string(json, "became", mutant->with);
    wr_json_object_end(json);
    return WR_OK;
}

static enum wr_result tell(const struct mutating *mutating, const struct wr_mutant *mutant) {
    struct wr_diagnostics diagnostics;
    char was[SHOWN + 4], became[SHOWN + 4];
    if (mutating->output->json)
        return tell_json(mutating, mutant);
    wr_error_escape(was, sizeof was, mutating->file->text + mutant->at, mutant->len);
    wr_error_escape(became, sizeof became, mutant->with, strlen(mutant->with));
    wr_diagnostics_init(&diagnostics);
    wr_diagnostics_add(&diagnostics, WR_DIAGNOSTIC_WARNING, 368, mutating->file->name, mutating->file->text, mutating->file->len,
                       mutant->place, NULL,
                       mutant->with[0] ? "no test notices when '%s' becomes '%s'" : "no test notices when '%s' is left out%s", was, became);
    enum wr_result result = diagnostics.out_of_memory ? WR_NO_MEMORY : wr_diagnostics_render(&diagnostics, false, mutating->output->words);
    wr_diagnostics_fini(&diagnostics);
    return result;
}

/* -- all ---------------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result try_mutant(struct mutating *mutating, const struct wr_mutant *mutant, struct wr_error *err) {
    struct wr_ruleset *rules;
    bool noticed = false;
    if (mutating->options->pattern && !is_looked_at(mutating, mutant->rule))
        return WR_OK;
    WR_TRY(write_text(mutating, mutant, err));
    WR_TRY(load(mutating, &rules, err));
    if (!rules)
        return WR_OK;
    enum wr_result result = WR_OK;
    if (!mutant->fallback || !is_same(mutating->base, rules)) {
        result = is_noticed(mutating, rules, mutant->rule, &noticed, err);
        mutating->counts->mutants++;
        mutating->counts->killed += noticed;
        if (result == WR_OK && !noticed && (result = tell(mutating, mutant)) != WR_OK)
            (void)wr_error_set(err, result, "no memory for a mutant");
    }
    wr_ruleset_free(rules);
    return result;
}

static enum wr_result try_all(struct mutating *mutating, const struct wr_yaml *yaml, struct wr_error *err) {
    struct wr_arena arena;
    struct wr_mutants mutants;
    wr_arena_init(&arena);
    enum wr_result result = wr_mutants_find(yaml, &arena, &mutants, err);
    for (uint32_t i = 0; result == WR_OK && i < mutants.n; i++)
        result = try_mutant(mutating, &mutants.list[i], err);
    wr_arena_fini(&arena);
    return result;
}

enum wr_result wr_mutate_run(const struct wr_ruleset_text *file, const struct wr_suite_options *options,
                             const struct wr_suite_output *output, struct wr_mutate_counts *counts, struct wr_error *err) {
    struct mutating mutating = {.file = file, .options = options, .output = output, .counts = counts};
    struct wr_diagnostics diagnostics;
    struct wr_yaml yaml;
    if (options->rules)
        mutating.rules = *options->rules;
    mutating.rules.keep_tests = true;
    wr_buf_init(&mutating.text, 0);
    wr_diagnostics_init(&diagnostics);
    enum wr_result result = wr_ruleset_load_text(file->name, file->text, file->len, &mutating.rules, &diagnostics, &mutating.base, err);
    mutating.rules.without_tests = true;
    if (result == WR_OK && mutating.base->tests) {
        result = wr_yaml_load_text(file->name, file->text, file->len, wr_rule_file_fields, sizeof(struct wr_rule_file), &diagnostics, &yaml,
                                   err);
        if (result == WR_OK) {
            result = try_all(&mutating, &yaml, err);
            wr_yaml_free(&yaml);
        }
    }
    wr_ruleset_free(mutating.base);
    wr_diagnostics_fini(&diagnostics);
    wr_buf_fini(&mutating.text);
    return result;
}
