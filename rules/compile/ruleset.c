#include "rules/compile/ruleset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/fingerprint.h"
#include "core/timezone.h"
#include "rules/compile/compiled.h"
#include "rules/compile/lint.h"
#include "rules/compile/rule_compile.h"
#include "rules/compile/rule_cost.h"

void wr_ruleset_free(struct wr_ruleset *ruleset) {
    if (!ruleset)
        return;
    for (uint32_t i = 0; i < ruleset->n_zones; i++)
        wr_timezone_free(ruleset->zones[i].zone);
    wr_arena_fini(&ruleset->arena);
    wr_arena_fini(&ruleset->test_arena);
    free(ruleset);
}

const char *wr_ruleset_plain_name(const char *name, char *into, size_t size) {
    size_t len = strlen(name);
    if (len < 7 || strcmp(name + len - 6, ".value") != 0)
        return name;
    snprintf(into, size, "%.*s", (int)(len - 6), name);
    return into;
}

/* -- points ------------------------------------------------------------------------------------------------------------------------------ */

static int by_point_name(const void *a, const void *b) {
    const struct wr_point *left = *(struct wr_point *const *)a;
    const struct wr_point *right = *(struct wr_point *const *)b;
    return strcmp(left->name, right->name);
}

bool wr_rule_same_by(const struct wr_rule *a, const struct wr_rule *b) {
    if (a->n_by != b->n_by)
        return false;
    for (uint32_t i = 0; i < a->n_by; i++)
        if (strcmp(a->by[i], b->by[i]) != 0)
            return false;
    return true;
}

const struct wr_point *wr_ruleset_point(const struct wr_ruleset *ruleset, const char *name) {
    const struct wr_point wanted = {.name = name};
    const struct wr_point *key = &wanted;
    if (ruleset->n_points == 0)
        return NULL;
    struct wr_point *const *found = bsearch(&key, ruleset->points, ruleset->n_points, sizeof *ruleset->points, by_point_name);
    return found ? *found : NULL;
}

static bool later_place(const struct wr_place *a, const struct wr_place *b) {
    int files = strcmp(a->file, b->file);
    return files != 0 ? files > 0 : a->at.line > b->at.line || (a->at.line == b->at.line && a->at.column > b->at.column);
}

/* Two of one name: an error at the later one that names the earlier one. */
static void refuse_twice(struct wr_diagnostics *diagnostics, unsigned code, const char *what, const char *name, const struct wr_place *a,
                         const struct wr_place *b) {
    const struct wr_place *second = later_place(a, b) ? a : b;
    const struct wr_place *first = second == a ? b : a;
    wr_diagnostics_add(diagnostics, WR_DIAGNOSTIC_ERROR, code, second->file, NULL, 0, second->at, NULL,
                       "%s '%.60s' is given twice: first at %s:%u:%u", what, name, first->file, first->at.line, first->at.column);
}

/* Sorted by name for bsearch. Of two of one name the first given stays, so that rules are not blamed for the second. */
static void sort_points(struct wr_ruleset *ruleset, struct wr_diagnostics *diagnostics) {
    if (ruleset->n_points < 2)
        return;
    qsort(ruleset->points, ruleset->n_points, sizeof *ruleset->points, by_point_name);
    uint32_t kept = 1;
    for (uint32_t i = 1; i < ruleset->n_points; i++) {
        struct wr_point *last = ruleset->points[kept - 1];
        struct wr_point *point = ruleset->points[i];
        if (strcmp(last->name, point->name) != 0) {
            ruleset->points[kept++] = point;
            continue;
        }
        refuse_twice(diagnostics, 321, "the point", point->name, &last->place, &point->place);
        if (later_place(&last->place, &point->place))
            ruleset->points[kept - 1] = point;
    }
    ruleset->n_points = kept;
}

/* -- rules ------------------------------------------------------------------------------------------------------------------------------- */

struct named {
    const char *name;
    uint32_t rule;
};

static int by_name(const void *a, const void *b) {
    const struct named *left = a;
    const struct named *right = b;
    int names = strcmp(left->name, right->name);
    return names != 0 ? names : (left->rule > right->rule) - (left->rule < right->rule);
}

static bool sort_rules(struct wr_ruleset *ruleset, struct wr_diagnostics *diagnostics) {
    struct named *sorted = wr_arena_take(&ruleset->arena, (ruleset->n_rules + 1) * sizeof *sorted);
    ruleset->by_name = wr_arena_take(&ruleset->arena, (ruleset->n_rules + 1) * sizeof *ruleset->by_name);
    if (!sorted || !ruleset->by_name)
        return false;
    for (uint32_t i = 0; i < ruleset->n_rules; i++)
        sorted[i] = (struct named){ruleset->rules[i]->name, i};
    if (ruleset->n_rules > 1)
        qsort(sorted, ruleset->n_rules, sizeof *sorted, by_name);
    for (uint32_t i = 0; i < ruleset->n_rules; i++) {
        ruleset->by_name[i] = sorted[i].rule;
        if (i > 0 && strcmp(sorted[i - 1].name, sorted[i].name) == 0)
            refuse_twice(diagnostics, 320, "the rule", sorted[i].name, &ruleset->rules[sorted[i - 1].rule]->place,
                         &ruleset->rules[sorted[i].rule]->place);
    }
    return true;
}

uint32_t wr_ruleset_find(const struct wr_ruleset *ruleset, const char *name) {
    uint32_t low = 0;
    uint32_t high = ruleset->n_rules;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = strcmp(ruleset->rules[ruleset->by_name[middle]]->name, name);
        if (order == 0)
            return ruleset->by_name[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return UINT32_MAX;
}

/* -- the index from the name of a series to its readers ------------------------------------------------------------------------------ */

static int compare_place(const struct wr_reader *left, const struct wr_reader *right) {
    int names = strcmp(left->name, right->name);
    int tags = names ? names : strcmp(left->tag, right->tag);
    return tags ? tags : strcmp(left->word, right->word);
}

static int by_reader(const void *a, const void *b) {
    const struct wr_reader *left = a;
    const struct wr_reader *right = b;
    int places = compare_place(left, right);
    if (places != 0)
        return places;
    if (left->rule != right->rule)
        return left->rule > right->rule ? 1 : -1;
    return (left->operand > right->operand) - (left->operand < right->operand);
}

/* The nodes behind the alarms: what reads them by number among themselves reads them by index from here on. */
static bool number_nodes(struct wr_ruleset *ruleset) {
    uint32_t n = wr_nodes_count(ruleset->nodes);
    ruleset->n_nodes = ruleset->n_rules + n;
    struct wr_rule **all = wr_arena_take(&ruleset->arena, (ruleset->n_nodes + 1) * sizeof *all);
    if (!all)
        return false;
    memcpy(all, ruleset->rules, ruleset->n_rules * sizeof *all);
    ruleset->rules = all;
    for (uint32_t i = 0; i < n; i++) {
        all[ruleset->n_rules + i] = wr_nodes_get(ruleset->nodes, i);
        all[ruleset->n_rules + i]->index += ruleset->n_rules;
    }
    for (uint32_t i = 0; i < ruleset->n_nodes; i++)
        for (uint32_t k = 0; k < all[i]->n_operands; k++)
            if (all[i]->operands[k].node != WR_NODE_NO)
                all[i]->operands[k].node += ruleset->n_rules;
    return true;
}

/* The first tag that a series must have for the selector. */
static void find_tag(const struct wr_selector *selector, struct wr_reader *reader) {
    reader->tag = reader->word = "";
    for (size_t i = 0; i < selector->n_matches; i++)
        if (selector->matches[i].op == WR_SELECTOR_EQUAL && selector->matches[i].word[0]) {
            reader->tag = selector->matches[i].tag;
            reader->word = selector->matches[i].word;
            return;
        }
}

static bool index_readers(struct wr_ruleset *ruleset) {
    size_t n = 0;
    for (uint32_t i = 0; i < ruleset->n_nodes; i++)
        n += ruleset->rules[i]->n_operands;
    ruleset->readers = wr_arena_take(&ruleset->arena, (n + 1) * sizeof *ruleset->readers);
    if (!ruleset->readers)
        return false;
    for (uint32_t i = 0; i < ruleset->n_nodes; i++)
        for (uint32_t k = 0; k < ruleset->rules[i]->n_operands; k++) {
            if (!ruleset->rules[i]->operands[k].selector)
                continue;
            const char *name = ruleset->rules[i]->operands[k].selector->name;
            char plain[WR_SELECTOR_BYTES];
            if (wr_ruleset_plain_name(name, plain, sizeof plain) != name)
                name = wr_arena_string(&ruleset->arena, plain);
            if (!name)
                return false;
            struct wr_reader *reader = &ruleset->readers[ruleset->n_readers++];
            *reader = (struct wr_reader){.name = name, .rule = i, .operand = k};
            find_tag(ruleset->rules[i]->operands[k].selector, reader);
        }
    if (ruleset->n_readers > 1)
        qsort(ruleset->readers, ruleset->n_readers, sizeof *ruleset->readers, by_reader);
    return true;
}

const struct wr_reader *wr_ruleset_readers(const struct wr_ruleset *ruleset, const char *name, const char *tag, const char *word,
                                           uint32_t *ret_n) {
    const struct wr_reader wanted = {.name = name, .tag = tag, .word = word};
    uint32_t low = 0;
    uint32_t high = ruleset->n_readers;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare_place(&ruleset->readers[middle], &wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    uint32_t n = 0;
    while (low + n < ruleset->n_readers && compare_place(&ruleset->readers[low + n], &wanted) == 0)
        n++;
    *ret_n = n;
    return ruleset->readers + low;
}

/* -- loading ------------------------------------------------------------------------------------------------------------------------------ */

static bool make_room(struct wr_ruleset *ruleset, const struct wr_yaml *yamls, size_t n, struct wr_diagnostics *diagnostics) {
    size_t points = 0;
    size_t rules = 0;
    for (size_t i = 0; i < n; i++) {
        const struct wr_rule_file *file = yamls[i].record;
        points += file->n_points;
        rules += file->n_rules;
        if (points > WR_RULESET_POINTS || rules > WR_RULESET_RULES) {
            wr_yaml_complain(&yamls[i], diagnostics, WR_DIAGNOSTIC_ERROR, 107, "rules", 0, 0, NULL, "more than %d points or %d rules",
                             WR_RULESET_POINTS, WR_RULESET_RULES);
            return true;
        }
    }
    ruleset->nodes = wr_nodes_new(&ruleset->arena, rules);
    ruleset->points = wr_arena_take(&ruleset->arena, (points + 1) * sizeof *ruleset->points);
    ruleset->rules = wr_arena_take(&ruleset->arena, (rules + 1) * sizeof *ruleset->rules);
    return ruleset->nodes && ruleset->points && ruleset->rules;
}

/* The sections of a file in the order in which they need each other: each of all files before the next one, so that a rule may use a point of another file. */
static const struct section {
    const char *list;
    bool (*compile)(struct wr_compile *);
    enum {
        EACH,
        WHOLE,
        DEFINES
    } damaged;  /* a record that cannot be loaded: left out alone; the section is left out; so is what needs it */
    bool needs; /* the definitions before it */
} sections[] = {
    {"tables", wr_compile_tables, DEFINES, false},   {"schedules", wr_compile_schedules, DEFINES, false},
    {"points", wr_compile_points, EACH, false},      {"derive", wr_compile_derive_names, EACH, false},
    {"derive", wr_compile_derive, EACH, true},       {"rules", wr_compile_rules, EACH, true},
    {"suppress", wr_compile_suppress, WHOLE, false}, {"groups", wr_compile_groups, WHOLE, false},
    {"tests", wr_compile_tests, WHOLE, true},
};

static bool compile_section(const struct section *section, struct wr_ruleset *ruleset, const struct wr_yaml *yamls, size_t n,
                            const struct wr_ruleset_options *options, struct wr_diagnostics *diagnostics) {
    for (size_t i = 0; i < n; i++) {
        struct wr_compile compile = {.ruleset = ruleset, .options = options, .yaml = &yamls[i], .diagnostics = diagnostics};
        compile.file = wr_arena_string(&ruleset->arena, yamls[i].file);
        bool damaged = section->damaged != EACH && wr_yaml_damaged(&yamls[i], section->list);
        ruleset->lost |= damaged && section->damaged == DEFINES;
        if (!compile.file)
            return false;
        if (!damaged && !(section->needs && ruleset->lost) && !section->compile(&compile))
            return false;
    }
    if (section->compile == wr_compile_points)
        sort_points(ruleset, diagnostics);
    return true;
}

static void check_version(const struct wr_yaml *yaml, struct wr_diagnostics *diagnostics) {
    const struct wr_rule_file *file = yaml->record;
    if (file->version != 1)
        wr_yaml_complain(yaml, diagnostics, WR_DIAGNOSTIC_ERROR, 103, "weir", 0, 0, NULL, "this version reads the rule language 1");
}

/* Everything from the loaded files; false: memory ran out. What is wrong is in diagnostics. */
static bool compile_files(struct wr_ruleset *ruleset, const struct wr_yaml *yamls, size_t n, const struct wr_ruleset_options *options,
                          struct wr_diagnostics *diagnostics) {
    size_t errors = diagnostics->errors;
    if (!make_room(ruleset, yamls, n, diagnostics))
        return false;
    if (diagnostics->errors > errors)
        return true;
    for (size_t i = 0; i < n; i++)
        check_version(&yamls[i], diagnostics);
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++)
        if (!compile_section(&sections[i], ruleset, yamls, n, options, diagnostics))
            return false;
    if (!sort_rules(ruleset, diagnostics))
        return false;
    if (diagnostics->errors > 0)
        return true;
    if (!number_nodes(ruleset))
        return false;
    wr_lint_ruleset(ruleset, yamls, n, diagnostics);
    wr_rule_cost_all(ruleset);
    return index_readers(ruleset);
}

static enum wr_result build(struct wr_yaml *yamls, size_t n, const struct wr_ruleset_options *options, struct wr_diagnostics *diagnostics,
                            struct wr_ruleset **ret_ruleset, struct wr_error *err) {
    struct wr_ruleset *ruleset = calloc(1, sizeof *ruleset);
    if (!ruleset)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the rules");
    wr_arena_init(&ruleset->arena);
    wr_arena_init(&ruleset->test_arena);
    ruleset->fingerprint = WR_FINGERPRINT_START;
    for (size_t i = 0; i < n; i++)
        ruleset->fingerprint = wr_fingerprint_add(ruleset->fingerprint, yamls[i].text, yamls[i].text_len);
    ruleset->max_instances = options && options->max_instances ? options->max_instances : WR_RULESET_INSTANCES;
    enum wr_result result = WR_OK;
    if (!compile_files(ruleset, yamls, n, options, diagnostics) || ruleset->arena.failed || diagnostics->out_of_memory)
        result = wr_error_set(err, WR_NO_MEMORY, "no memory for the rules");
    else if (diagnostics->errors > 0)
        result = wr_error_set(err, WR_INVALID, "%zu errors in the rules", diagnostics->errors);
    if (result != WR_OK) {
        wr_ruleset_free(ruleset);
        return result;
    }
    if (!options || !options->keep_tests) {
        wr_arena_fini(&ruleset->test_arena);
        ruleset->tests = NULL;
    }
    *ret_ruleset = ruleset;
    return WR_OK;
}

/* Builds from what was read, if that went well; frees it in any case. */
static enum wr_result build_and_free(enum wr_result result, struct wr_yaml *yamls, size_t n, const struct wr_ruleset_options *options,
                                     struct wr_diagnostics *diagnostics, struct wr_ruleset **ret_ruleset, struct wr_error *err) {
    if (result == WR_OK)
        result = build(yamls, n, options, diagnostics, ret_ruleset, err);
    for (size_t i = 0; i < n; i++)
        wr_yaml_free(&yamls[i]);
    free(yamls);
    return result;
}

enum wr_result wr_ruleset_load(const char *const *files, size_t n_files, const struct wr_ruleset_options *options,
                               struct wr_diagnostics *diagnostics, struct wr_ruleset **ret_ruleset, struct wr_error *err) {
    struct wr_yaml *yamls = calloc(n_files + 1, sizeof *yamls);
    if (!yamls)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the rules");
    enum wr_result result = WR_OK;
    size_t n = 0;
    const char *builtin = options && options->builtin ? options->builtin : "";
    if (builtin[0]) {
        result = wr_yaml_load_text_parts(WR_RULESET_BUILTIN, builtin, strlen(builtin), wr_rule_file_fields, sizeof(struct wr_rule_file),
                                         diagnostics, &yamls[n], err);
        n += result == WR_OK;
    }
    for (size_t i = 0; i < n_files && (result == WR_OK || result == WR_INVALID); i++) {
        enum wr_result loaded =
            wr_yaml_load_file_parts(files[i], wr_rule_file_fields, sizeof(struct wr_rule_file), diagnostics, &yamls[n], err);
        n += loaded == WR_OK;
        if (loaded != WR_OK && (result == WR_OK || loaded != WR_INVALID))
            result = loaded;
        if (loaded != WR_OK && loaded != WR_INVALID)
            break;
    }
    return build_and_free(result, yamls, n, options, diagnostics, ret_ruleset, err);
}

static enum wr_result load_texts(const struct wr_ruleset_text *first, const struct wr_ruleset_options *options,
                                 struct wr_diagnostics *diagnostics, struct wr_yaml *yamls, size_t *n, struct wr_error *err) {
    const size_t n_texts = 1 + (options ? options->n_others : 0);
    enum wr_result result = WR_OK;
    for (size_t i = 0; i < n_texts && (result == WR_OK || result == WR_INVALID); i++) {
        const struct wr_ruleset_text *text = i == 0 ? first : &options->others[i - 1];
        enum wr_result loaded = wr_yaml_load_text_parts(text->name, text->text, text->len, wr_rule_file_fields, sizeof(struct wr_rule_file),
                                                        diagnostics, &yamls[*n], err);
        *n += loaded == WR_OK;
        result = loaded != WR_OK ? loaded : result;
    }
    return result;
}

enum wr_result wr_ruleset_load_text(const char *name, const char *text, size_t len, const struct wr_ruleset_options *options,
                                    struct wr_diagnostics *diagnostics, struct wr_ruleset **ret_ruleset, struct wr_error *err) {
    const struct wr_ruleset_text first = {name, text, len};
    struct wr_yaml *yamls = calloc(1 + (options ? options->n_others : 0), sizeof *yamls);
    size_t n = 0;
    if (!yamls)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the rules");
    enum wr_result result = load_texts(&first, options, diagnostics, yamls, &n, err);
    return build_and_free(result, yamls, n, options, diagnostics, ret_ruleset, err);
}

/* -- listing ------------------------------------------------------------------------------------------------------------------------------ */

uint32_t wr_ruleset_count(const struct wr_ruleset *ruleset) {
    return ruleset->n_rules;
}

size_t wr_ruleset_bytes(const struct wr_ruleset *ruleset) {
    size_t bytes = sizeof *ruleset + ruleset->arena.bytes;
    for (uint32_t i = 0; i < ruleset->n_zones; i++)
        bytes += wr_timezone_bytes(ruleset->zones[i].zone);
    return bytes;
}

uint64_t wr_ruleset_fingerprint(const struct wr_ruleset *ruleset) {
    return ruleset->fingerprint;
}

uint32_t wr_ruleset_points(const struct wr_ruleset *ruleset) {
    return ruleset->n_points;
}

static struct wr_rule_info info_of_group(const struct wr_group *group) {
    return (struct wr_rule_info){.name = group->name,
                                 .file = group->place.file,
                                 .line = group->place.at.line,
                                 .when = "",
                                 .canonical = "",
                                 .by = group->by,
                                 .n_by = group->n_by,
                                 .max_instances = 1,
                                 .quiet = true};
}

struct wr_rule_info wr_ruleset_info(const struct wr_ruleset *ruleset, uint32_t index) {
    if (index & WR_RULESET_GROUP)
        return info_of_group(&ruleset->groups[index & ~WR_RULESET_GROUP]);
    const struct wr_rule *rule = ruleset->rules[index];
    struct wr_rule_info info = {
        .name = rule->name,
        .file = rule->place.file,
        .line = rule->place.at.line,
        .when = rule->when_text,
        .canonical = rule->canonical,
        .severity = rule->severity,
        .by = rule->by,
        .n_by = rule->n_by,
        .consequence = rule->consequence ? &rule->consequence_text : NULL,
        .respond = rule->respond ? &rule->respond_text : NULL,
        .time_to_respond_ns = rule->time_to_respond_ns,
        .cost_ns = rule->cost.ns,
        .bytes_per_instance = rule->cost.bytes,
        .nodes = rule->cost.nodes,
        .edge = rule->cost.edge,
        .max_instances = rule->n_by == 0           ? 1
                         : rule->max_instances > 0 ? rule->max_instances
                                                   : ruleset->max_instances,
        .auto_ack = rule->auto_ack,
        .quiet = rule->cost.quiet,
    };
    return info;
}

uint32_t wr_ruleset_find_teller(const struct wr_ruleset *ruleset, const char *name) {
    for (uint32_t i = 0; i < ruleset->n_groups; i++)
        if (strcmp(ruleset->groups[i].name, name) == 0)
            return WR_RULESET_GROUP | i;
    return wr_ruleset_find(ruleset, name);
}

const struct wr_action_spec *wr_ruleset_actions(const struct wr_ruleset *ruleset, uint32_t index, uint32_t *ret_n) {
    if (index & WR_RULESET_GROUP) {
        const struct wr_group *group = &ruleset->groups[index & ~WR_RULESET_GROUP];
        *ret_n = group->n_actions;
        return group->actions;
    }
    *ret_n = ruleset->rules[index]->n_actions;
    return ruleset->rules[index]->actions;
}

struct wr_ruleset_actions_info wr_ruleset_actions_info(const struct wr_ruleset *ruleset) {
    struct wr_ruleset_actions_info info = {.targets = ruleset->n_targets};
    for (uint32_t i = 0; i < ruleset->n_targets; i++)
        info.senders += strncmp(ruleset->targets[i], "webhook ", 8) == 0 || strncmp(ruleset->targets[i], "file ", 5) == 0;
    for (uint32_t i = 0; i < ruleset->n_rules; i++)
        for (uint32_t k = 0; k < ruleset->rules[i]->n_actions; k++)
            info.delays = info.delays || ruleset->rules[i]->actions[k].after_ns > 0;
    for (uint32_t i = 0; i < ruleset->n_groups; i++)
        for (uint32_t k = 0; k < ruleset->groups[i].n_actions; k++)
            info.delays = info.delays || ruleset->groups[i].actions[k].after_ns > 0;
    return info;
}
