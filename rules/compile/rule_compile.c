#include "rules/compile/rule_compile.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/nearest.h"
#include "core/quantity.h"
#include "rules/compile/rule_schema.h"

/* clang-format off */
static const struct wr_yaml_field level_fields[] = {
    STRING(wr_file_level, name, .required = true, .help = "shown with the alarm: H, HH"),
    STRING(wr_file_level, when, .required = true, .help = "its condition; the word `value` stands for the rule's `value`"),
    STRING(wr_file_level, on_delay, .help = "as in a rule; default: the rule's"),
    STRING(wr_file_level, off_delay, .help = "as in a rule; default: the rule's"),
    STRING(wr_file_level, deadband, .help = "as in a rule"),
    STRING(wr_file_level, clear, .help = "as in a rule"),
    STRING(wr_file_level, severity, .help = "of the alarm at this level; default: the rule's"),
    END,
};

static const struct wr_yaml_field step_fields[] = {
    STRING(wr_file_step, step, .required = true, .help = "the condition; the step is met when it is true"),
    STRING(wr_file_step, within, .help = "how long after the step before"),
    STRING(wr_file_step, absent, .help = "true: met when the condition has not become true within that time"),
    END,
};

const struct wr_yaml_field wr_rule_fields[] = {
    STRING(wr_file_rule, rule, .required = true, .help = "name, unique over all files"),
    STRING(wr_file_rule, when, .help = "the condition"),
    STRING(wr_file_rule, value, .help = "with levels: what the word `value` stands for in them"),
    RECORDS(wr_file_rule, levels, wr_file_level, level_fields, .help = "instead of `when`: one alarm that escalates, the lowest level first"),
    RECORDS(wr_file_rule, sequence, wr_file_step, step_fields, .help = "instead of `when`: conditions one after another"),
    {.key = "by", .kind = WR_YAML_STRINGS, LIST(wr_file_rule, by), .help = "labels: one alarm for each of their values"},
    STRING(wr_file_rule, on_delay, .help = "how long the condition must be true; default 0"),
    STRING(wr_file_rule, off_delay, .help = "how long it must be false; default 0"),
    STRING(wr_file_rule, deadband, .help = "how far the value must go back, where `when` is one comparison"),
    STRING(wr_file_rule, clear, .help = "a condition that must be true for the alarm to end"),
    STRING(wr_file_rule, valid_if, .help = "while it is not true, the alarm is not annunciated"),
    STRING(wr_file_rule, active, .help = "a schedule: outside of it the condition counts as false"),
    STRING(wr_file_rule, latch, .help = "true: stays until somebody resets it"),
    STRING(wr_file_rule, auto_ack, .help = "true: nobody needs to acknowledge it"),
    STRING(wr_file_rule, severity, .help = "low, medium, high or critical; default low"),
    STRING(wr_file_rule, no_data, .help = "hold, raise or clear: what missing data means; default hold"),
    STRING(wr_file_rule, no_data_after, .help = "how long data may be missing before that"),
    STRING(wr_file_rule, backfill, .help = "evaluate, log or ignore: what old data may raise; default log: journalled, no outputs"),
    STRING(wr_file_rule, re_alarm, .help = "rings again after so long without an acknowledgement; default never"),
    STRING(wr_file_rule, shelve_max, .help = "how long an operator may shelve it; default 8h, of a critical one 0s: not at all"),
    STRING(wr_file_rule, forget, .help = "an alarm without data for so long is forgotten; default 7d"),
    STRING(wr_file_rule, max_instances, .help = "alarms of this rule at most; default: the agent's rules.max_instances"),
    STRING(wr_file_rule, message, .help = "text with {value} {limit} {rule} {duration}, labels, and columns of tables: {rooms.hi}"),
    STRING(wr_file_rule, consequence, .help = "what happens if nobody does anything; a template too"),
    STRING(wr_file_rule, respond, .help = "what to do; a template too"),
    STRING(wr_file_rule, time_to_respond, .help = "how much time there is for it"),
    RECORDS(wr_file_rule, then, wr_file_action, wr_action_fields, .help = "actions"),
    END,
};

const struct wr_yaml_field wr_defaults_fields[] = {
    STRING(wr_file_defaults, on_delay, .help = "as in a rule"),
    STRING(wr_file_defaults, off_delay, .help = "as in a rule"),
    STRING(wr_file_defaults, latch, .help = "as in a rule"),
    STRING(wr_file_defaults, auto_ack, .help = "as in a rule"),
    STRING(wr_file_defaults, severity, .help = "as in a rule"),
    STRING(wr_file_defaults, no_data, .help = "as in a rule"),
    STRING(wr_file_defaults, no_data_after, .help = "as in a rule"),
    STRING(wr_file_defaults, backfill, .help = "as in a rule"),
    STRING(wr_file_defaults, re_alarm, .help = "as in a rule"),
    STRING(wr_file_defaults, shelve_max, .help = "as in a rule; not for critical ones"),
    STRING(wr_file_defaults, forget, .help = "as in a rule"),
    STRING(wr_file_defaults, max_instances, .help = "as in a rule"),
    END,
};
/* clang-format on */

static size_t characters(const char *text, size_t bytes) {
    size_t n = 0;
    for (size_t i = 0; i < bytes && text[i]; i++)
        n += ((unsigned char)text[i] & 0xC0) != 0x80;
    return n;
}

static char *path_of(const struct wr_compile *compile, const char *key, char *path, size_t size) {
    if (key && strncmp(key, "defaults.", 9) == 0)
        snprintf(path, size, "%s", key);
    else
        snprintf(path, size, key ? "%s[%u].%s" : "%s[%u]", compile->list, compile->index, key);
    return path;
}

void wr_compile_complain(struct wr_compile *compile, enum wr_diagnostic_level level, unsigned code, const char *key, const char *text,
                         size_t offset, size_t len, const char *hint, const char *format, ...) {
    char path[128];
    char message[400];
    if (compile->ruleset->arena.failed)
        return; /* what is missing now, memory has run out for: the file is not to blame */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (text) {
        len = characters(text + offset, len);
        offset = characters(text, offset);
        len = len > 0 ? len : 1;
    }
    wr_yaml_complain(compile->yaml, compile->diagnostics, level, code, path_of(compile, key, path, sizeof path), offset, len, hint, "%s",
                     message);
}

void wr_compile_refuse(struct wr_compile *compile, const char *path) {
    wr_yaml_complain(compile->yaml, compile->diagnostics, WR_DIAGNOSTIC_ERROR, 103, path, 0, 0, NULL,
                     "'%s' is not supported in this version", path);
}

struct wr_position wr_compile_where(const struct wr_compile *compile, const char *key) {
    char path[128];
    return wr_yaml_where(compile->yaml, path_of(compile, key, path, sizeof path), 0, 0);
}

const char *wr_compile_copy(struct wr_compile *compile, const char *text) {
    return text ? wr_arena_string(&compile->ruleset->arena, text) : NULL;
}

/* What the rule says, else what the file's defaults say; *ret_key tells where. NULL: neither. */
static const char *given(const char *text, const char *fallback, const char *key, char *ret_key, size_t size) {
    snprintf(ret_key, size, text || !fallback ? "%s" : "defaults.%s", key);
    return text ? text : fallback;
}

int64_t wr_compile_duration(struct wr_compile *compile, const char *key, const char *text, const char *fallback, int64_t otherwise) {
    char where[64];
    text = given(text, fallback, key, where, sizeof where);
    int64_t ns = otherwise;
    struct wr_error err;
    if (text && wr_quantity_duration(text, &ns, &err) != WR_OK)
        WR_COMPILE_ERROR(compile, 322, where, NULL, "%s", err.text);
    else if (ns > INT64_C(366) * 86400 * 1000000000)
        WR_COMPILE_ERROR(compile, 322, where, NULL, "more than 366 days");
    return ns;
}

int wr_compile_word(struct wr_compile *compile, const char *key, const char *text, const char *fallback, const char *const *words, size_t n,
                    int otherwise) {
    char where[64];
    text = given(text, fallback, key, where, sizeof where);
    if (!text)
        return otherwise;
    for (size_t i = 0; i < n; i++)
        if (strcmp(words[i], text) == 0)
            return (int)i;
    char list[120] = "";
    for (size_t i = 0; i < n; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i == 0 ? "" : i + 1 == n ? " or " : ", ", words[i]);
    char hint[80];
    const char *near = wr_nearest_name(text, words, n);
    snprintf(hint, sizeof hint, "did you mean '%s'?", near ? near : "");
    char shown[48];
    WR_COMPILE_ERROR(compile, 322, where, near ? hint : NULL, "'%s' is not %s", wr_error_escape(shown, sizeof shown, text, strlen(text)),
                     list);
    return otherwise;
}

static bool is_name(const char *text, size_t max) {
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr("_-.", text[i]))
            return false;
    return len > 0 && len < max;
}

static void check_name(struct wr_compile *compile, const char *name) {
    if (!is_name(name, WR_ALARM_NAME_BYTES))
        WR_COMPILE_ERROR(compile, 322, "rule", NULL, "the name of a rule is 1 to %d letters, digits, _ - or .", WR_ALARM_NAME_BYTES - 1);
    compile->rule->name = wr_compile_copy(compile, name);
}

uint32_t wr_compile_labels(struct wr_compile *compile, unsigned code, const char *key, char *const *list, unsigned n, const char **labels,
                           uint32_t max) {
    uint32_t count = 0;
    for (unsigned i = 0; i < n; i++)
        for (const char *at = list[i]; at;) {
            const char *comma = strchr(at, ',');
            size_t len = comma ? (size_t)(comma - at) : strlen(at);
            while (len > 0 && *at == ' ')
                at++, len--;
            while (len > 0 && at[len - 1] == ' ')
                len--;
            if (len == 0 || len > 64) {
                WR_COMPILE_ERROR(compile, code, key, NULL, "`%s` names one or more labels, as in %s: \"line, pump\"", key, key);
                return count;
            }
            if (count == max) {
                WR_COMPILE_ERROR(compile, code, key, NULL, "more than %u labels in `%s`", max, key);
                return count;
            }
            const char *label = wr_arena_text(&compile->ruleset->arena, at, len);
            for (uint32_t k = 0; label && k < count; k++)
                if (strcmp(labels[k], label) == 0)
                    WR_COMPILE_ERROR(compile, code, key, NULL, "the label '%s' stands twice in `%s`", label, key);
            labels[count++] = label ? label : "";
            at = comma ? comma + 1 : NULL;
        }
    return count;
}

void wr_compile_by(struct wr_compile *compile, char *const *list, unsigned n) {
    compile->rule->n_by = wr_compile_labels(compile, 326, "by", list, n, compile->rule->by, WR_RULE_LABELS);
}

/* -- options ----------------------------------------------------------------------------------------------------------------------------- */

static uint32_t read_max_instances(struct wr_compile *compile, const char *text, const char *fallback) {
    char where[64];
    char *end;
    text = given(text, fallback, "max_instances", where, sizeof where);
    if (!text)
        return 0; /* the rule set's */
    unsigned long n = strtoul(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || n < 1 || n > WR_RULE_INSTANCES_MAX)
        WR_COMPILE_ERROR(compile, 322, where, NULL, "a number of alarms, 1 to %d", WR_RULE_INSTANCES_MAX);
    return (uint32_t)(n < WR_RULE_INSTANCES_MAX ? n : WR_RULE_INSTANCES_MAX);
}

static void read_options(struct wr_compile *compile, const struct wr_file_rule *record, const struct wr_file_defaults *other) {
    static const char *const severities[] = {"low", "medium", "high", "critical"};
    static const char *const no_data[] = {"hold", "raise", "clear"};
    static const char *const truth[] = {"false", "true"};
    static const char *const backfill[] = {"log", "evaluate", "ignore"};
    struct wr_rule *rule = compile->rule;
    rule->severity =
        (enum wr_severity)wr_compile_word(compile, "severity", record->severity, other->severity, severities, 4, WR_SEVERITY_LOW);
    rule->no_data = (enum wr_no_data)wr_compile_word(compile, "no_data", record->no_data, other->no_data, no_data, 3, WR_NO_DATA_HOLD);
    rule->latch = wr_compile_word(compile, "latch", record->latch, other->latch, truth, 2, 0) == 1;
    rule->auto_ack = wr_compile_word(compile, "auto_ack", record->auto_ack, other->auto_ack, truth, 2, 0) == 1;
    rule->backfill =
        (enum wr_backfill)wr_compile_word(compile, "backfill", record->backfill, other->backfill, backfill, 3, WR_BACKFILL_LOG);
    rule->on_delay_ns = wr_compile_duration(compile, "on_delay", record->on_delay, other->on_delay, 0);
    rule->off_delay_ns = wr_compile_duration(compile, "off_delay", record->off_delay, other->off_delay, 0);
    rule->no_data_after_ns = wr_compile_duration(compile, "no_data_after", record->no_data_after, other->no_data_after, 0);
    rule->time_to_respond_ns = wr_compile_duration(compile, "time_to_respond", record->time_to_respond, NULL, 0);
    rule->re_alarm_ns = wr_compile_duration(compile, "re_alarm", record->re_alarm, other->re_alarm, 0);
    rule->forget_ns = wr_compile_duration(compile, "forget", record->forget, other->forget, WR_RULE_FORGET_NS);
    rule->max_instances = read_max_instances(compile, record->max_instances, other->max_instances);
    if (rule->no_data != WR_NO_DATA_HOLD && rule->no_data_after_ns == 0)
        WR_COMPILE_ERROR(compile, 325, record->no_data ? "no_data" : NULL, "add no_data_after: 10m", "`no_data: %s` needs `no_data_after`",
                         no_data[rule->no_data]);
    if (rule->forget_ns == 0)
        WR_COMPILE_ERROR(compile, 322, record->forget ? "forget" : "defaults.forget", NULL, "`forget` is a time above zero");
}

/* -- conditions ---------------------------------------------------------------------------------------------------------------------------- */

/* when, levels and sequence exclude each other, and what goes with one of them does not go with another. */
static bool check_kind(struct wr_compile *compile, const struct wr_file_rule *record) {
    const struct {
        const char *key;
        bool present;
        bool alone; /* only with `when` */
    } keys[] = {{"when", record->when, false},
                {"levels", record->n_levels > 0, false},
                {"sequence", record->n_sequence > 0, false},
                {"deadband", record->deadband, true},
                {"clear", record->clear, true}};
    size_t errors = compile->diagnostics->errors;
    const char *first = NULL;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (keys[i].present && keys[i].alone && first && strcmp(first, "when") != 0)
            WR_COMPILE_ERROR(compile, 333, keys[i].key, strcmp(first, "levels") == 0 ? "it belongs to a level" : NULL,
                             "`%s` goes with `when`, not with `%s`", keys[i].key, first);
        else if (keys[i].present && !keys[i].alone && first)
            WR_COMPILE_ERROR(compile, 333, keys[i].key, NULL, "`%s` and `%s` exclude each other", first, keys[i].key);
        else if (keys[i].present && !keys[i].alone)
            first = keys[i].key;
    }
    if (!first)
        WR_COMPILE_ERROR(compile, 331, NULL, "add when: room_temp > 8°C", "the rule has no `when`, no `levels` and no `sequence`");
    if (record->value && record->n_levels == 0)
        WR_COMPILE_ERROR(compile, 333, "value", NULL, "`value` goes with `levels`");
    return compile->diagnostics->errors == errors;
}

static void read_valid_if(struct wr_compile *compile, const struct wr_file_rule *record) {
    struct wr_rule *rule = compile->rule;
    struct wr_node *node = record->valid_if ? wr_compile_parse(compile, "valid_if", record->valid_if) : NULL;
    if (!node)
        return;
    struct wr_scope scope = wr_compile_scope(compile);
    const char *canonical = wr_compile_canonical(compile, node, false);
    struct wr_node *checked = wr_check_condition(&scope, node);
    if (checked && wr_check_thresholds(&scope, checked, true) && wr_compile_program(compile, checked, true, &rule->valid_if))
        wr_compile_append(compile, " valid_if ", canonical);
}

static void read_active(struct wr_compile *compile, const struct wr_file_rule *record) {
    const char *near = NULL;
    char hint[120];
    if (!record->active)
        return;
    compile->rule->active = wr_ruleset_schedule(compile->ruleset, record->active, &near);
    snprintf(hint, sizeof hint, "did you mean '%s'?", near ? near : "");
    if (!compile->rule->active)
        WR_COMPILE_ERROR(compile, 349, "active", near ? hint : NULL, "there is no schedule '%.60s'", record->active);
    wr_compile_append(compile, " active ", record->active);
}

static void read_conditions(struct wr_compile *compile, const struct wr_file_rule *record, const struct wr_file_defaults *other) {
    struct wr_rule *rule = compile->rule;
    size_t errors = compile->diagnostics->errors;
    const struct wr_condition_text text = {"", record->when, record->clear, record->deadband, NULL};
    rule->canonical = rule->shape = "";
    bool good = true;
    if (record->n_levels > 0)
        good = wr_compile_levels(compile, record, other);
    else if (record->n_sequence > 0)
        good = wr_compile_sequence(compile, record);
    else if (record->when)
        good = wr_compile_condition(compile, &text);
    read_valid_if(compile, record);
    read_active(compile, record);
    struct wr_scope scope = wr_compile_scope(compile);
    if (rule->canonical && rule->shape && wr_check_spell(&scope, rule) == WR_LIMIT && compile->diagnostics->errors == errors)
        WR_COMPILE_ERROR(compile, 107, record->when ? "when" : NULL, NULL, WR_CHECK_SPELL_LONG, WR_CHECK_SPELL_BYTES);
    rule->rank = (uint8_t)wr_nodes_rank(compile->ruleset->nodes, rule);
    if (good && compile->diagnostics->errors == errors && rule->n_operands == 0)
        WR_COMPILE_ERROR(compile, 332, record->when ? "when" : NULL, NULL, "it reads no series: nothing would ever evaluate it");
}

/* Once the levels are known: with one that is critical the alarm is. */
static void read_shelve_max(struct wr_compile *compile, const struct wr_file_rule *record, const struct wr_file_defaults *other) {
    struct wr_rule *rule = compile->rule;
    bool critical = rule->n_levels == 0 && rule->severity == WR_SEVERITY_CRITICAL;
    for (uint32_t i = 0; i < rule->n_levels; i++)
        critical = critical || rule->levels[i].severity == WR_SEVERITY_CRITICAL;
    rule->shelve_max_ns = wr_compile_duration(compile, "shelve_max", record->shelve_max, critical ? NULL : other->shelve_max,
                                              critical ? 0 : WR_RULE_SHELVE_NS);
}

/* As written; of levels and sequences what they are. */
static const char *when_text(struct wr_compile *compile, const struct wr_file_rule *record) {
    return wr_compile_copy(compile, record->when ? record->when : record->n_levels > 0 ? "levels" : "sequence");
}

static void compile_rule(struct wr_compile *compile, const struct wr_file_rule *record, const struct wr_file_defaults *defaults) {
    static const struct wr_file_defaults none = {0};
    const struct wr_file_defaults *other = defaults ? defaults : &none;
    struct wr_rule *rule = compile->rule;
    char path[64];
    rule->kind = WR_RULE_ALARM;
    rule->place = (struct wr_place){compile->file, wr_compile_where(compile, "rule")};
    rule->when_text = when_text(compile, record);
    check_name(compile, record->rule);
    wr_compile_by(compile, record->by, record->n_by);
    snprintf(path, sizeof path, "rules[%u]", compile->index);
    if (wr_yaml_damaged(compile->yaml, path))
        return; /* something of it could not be read: it is known by its name only */
    read_options(compile, record, other);
    if (check_kind(compile, record))
        read_conditions(compile, record, other);
    read_shelve_max(compile, record, other);
    wr_compile_texts(compile, record);
    wr_compile_actions(compile, record);
}

bool wr_compile_rules(struct wr_compile *compile) {
    struct wr_ruleset *ruleset = compile->ruleset;
    const struct wr_rule_file *file = compile->yaml->record;
    compile->list = "rules";
    for (unsigned i = 0; i < file->n_rules; i++) {
        if (!file->rules[i].rule)
            continue;
        struct wr_rule *rule = wr_arena_take(&ruleset->arena, sizeof *rule);
        if (!rule)
            return false;
        compile->index = i;
        compile->rule = rule;
        compile_rule(compile, &file->rules[i], file->defaults);
        if (ruleset->arena.failed)
            return false;
        ruleset->rules[ruleset->n_rules++] = rule;
    }
    return true;
}
