#include "rules/rule_compile.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/quantity.h"
#include "rules/rule_schema.h"

/* clang-format off */
static const struct wr_yaml_field level_fields[] = {
    STRING(wr_file_level, name, .help = "not in this version"),
    STRING(wr_file_level, when, .help = "not in this version"),
    STRING(wr_file_level, on_delay, .help = "not in this version"),
    STRING(wr_file_level, off_delay, .help = "not in this version"),
    STRING(wr_file_level, deadband, .help = "not in this version"),
    STRING(wr_file_level, clear, .help = "not in this version"),
    STRING(wr_file_level, severity, .help = "not in this version"),
    END,
};

static const struct wr_yaml_field step_fields[] = {
    STRING(wr_file_step, step, .help = "not in this version"),
    STRING(wr_file_step, within, .help = "not in this version"),
    STRING(wr_file_step, absent, .help = "not in this version"),
    STRING(wr_file_step, after, .help = "not in this version"),
    END,
};

const struct wr_yaml_field wr_rule_fields[] = {
    STRING(wr_file_rule, rule, .required = true, .help = "name, unique over all files"),
    STRING(wr_file_rule, when, .help = "the condition"),
    {.key = "by", .kind = WR_YAML_STRINGS, LIST(wr_file_rule, by), .help = "labels: one alarm for each of their values"},
    STRING(wr_file_rule, on_delay, .help = "how long the condition must be true; default 0"),
    STRING(wr_file_rule, off_delay, .help = "how long it must be false; default 0"),
    STRING(wr_file_rule, deadband, .help = "how far the value must go back, where `when` is one comparison"),
    STRING(wr_file_rule, clear, .help = "a condition that must be true for the alarm to end"),
    STRING(wr_file_rule, latch, .help = "true: stays until somebody resets it"),
    STRING(wr_file_rule, auto_ack, .help = "true: nobody needs to acknowledge it"),
    STRING(wr_file_rule, severity, .help = "low, medium, high or critical; default low"),
    STRING(wr_file_rule, no_data, .help = "hold, raise or clear: what missing data means; default hold"),
    STRING(wr_file_rule, no_data_after, .help = "how long data may be missing before that"),
    STRING(wr_file_rule, message, .help = "text with {value} {limit} {rule} {duration} and labels"),
    STRING(wr_file_rule, consequence, .help = "what happens if nobody does anything"),
    STRING(wr_file_rule, respond, .help = "what to do"),
    STRING(wr_file_rule, time_to_respond, .help = "how much time there is for it"),
    RECORDS(wr_file_rule, then, wr_file_action, wr_action_fields, .help = "actions"),
    STRING(wr_file_rule, value, .help = "not in this version"),
    RECORDS(wr_file_rule, levels, wr_file_level, level_fields, .help = "not in this version"),
    RECORDS(wr_file_rule, sequence, wr_file_step, step_fields, .help = "not in this version"),
    STRING(wr_file_rule, valid_if, .help = "not in this version"),
    STRING(wr_file_rule, active, .help = "not in this version"),
    STRING(wr_file_rule, backfill, .help = "not in this version"),
    STRING(wr_file_rule, forget, .help = "not in this version"),
    STRING(wr_file_rule, max_instances, .help = "not in this version"),
    STRING(wr_file_rule, re_alarm, .help = "not in this version"),
    STRING(wr_file_rule, shelve_max, .help = "not in this version"),
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
    STRING(wr_file_defaults, shelve_max, .help = "not in this version"),
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

static int64_t read_duration(struct wr_compile *compile, const char *key, const char *text, const char *fallback) {
    char where[64];
    text = given(text, fallback, key, where, sizeof where);
    int64_t ns = 0;
    struct wr_error err;
    if (text && wr_quantity_duration(text, &ns, &err) != WR_OK)
        WR_COMPILE_ERROR(compile, 322, where, NULL, "%s", err.text);
    else if (ns > INT64_C(366) * 86400 * 1000000000)
        WR_COMPILE_ERROR(compile, 322, where, NULL, "more than 366 days");
    return ns;
}

/* The index of a word; complains and gives 0 for another. */
static int read_word(struct wr_compile *compile, const char *key, const char *text, const char *fallback, const char *const *words,
                     size_t n, int otherwise) {
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
    const char *near = wr_diagnostics_nearest(text, words, n);
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

/* by: room, or by: "line, pump", or by: [line, pump] */
static void read_by(struct wr_compile *compile, const struct wr_file_rule *record) {
    struct wr_rule *rule = compile->rule;
    for (unsigned i = 0; i < record->n_by; i++) {
        for (const char *at = record->by[i]; at;) {
            const char *comma = strchr(at, ',');
            size_t len = comma ? (size_t)(comma - at) : strlen(at);
            while (len > 0 && *at == ' ')
                at++, len--;
            while (len > 0 && at[len - 1] == ' ')
                len--;
            if (len == 0 || len > 64) {
                WR_COMPILE_ERROR(compile, 326, "by", NULL, "`by` names one or more labels, as in by: \"line, pump\"");
                return;
            }
            if (rule->n_by == WR_RULE_LABELS) {
                WR_COMPILE_ERROR(compile, 326, "by", NULL, "more than %d labels in `by`", WR_RULE_LABELS);
                return;
            }
            const char *label = wr_arena_text(&compile->ruleset->arena, at, len);
            for (uint32_t k = 0; label && k < rule->n_by; k++)
                if (strcmp(rule->by[k], label) == 0)
                    WR_COMPILE_ERROR(compile, 326, "by", NULL, "the label '%s' stands twice in `by`", label);
            rule->by[rule->n_by++] = label;
            at = comma ? comma + 1 : NULL;
        }
    }
}

/* Nothing of the language is ignored: what this version cannot do is an error. */
static void refuse_later(struct wr_compile *compile, const struct wr_file_rule *record) {
    const struct {
        const char *key;
        bool present;
    } later[] = {
        {"value", record->value},
        {"levels", record->n_levels > 0},
        {"sequence", record->n_sequence > 0},
        {"valid_if", record->valid_if},
        {"active", record->active},
        {"backfill", record->backfill},
        {"forget", record->forget},
        {"max_instances", record->max_instances},
        {"re_alarm", record->re_alarm},
        {"shelve_max", record->shelve_max},
    };
    bool any = false;
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++)
        if (later[i].present) {
            WR_COMPILE_ERROR(compile, 103, later[i].key, NULL, "'%s' is not supported in this version", later[i].key);
            any = true;
        }
    if (!record->when && !any)
        WR_COMPILE_ERROR(compile, 331, NULL, "add when: room_temp > 8°C", "the rule has no `when`");
}

static void read_message(struct wr_compile *compile, const struct wr_file_rule *record) {
    struct wr_rule *rule = compile->rule;
    size_t at;
    size_t len;
    const char *near;
    struct wr_error err;
    if (!record->message || wr_template_parse(record->message, false, rule->by, rule->n_by, &compile->ruleset->arena, &rule->message, &at,
                                              &len, &near, &err) == WR_OK)
        return;
    char hint[120];
    snprintf(hint, sizeof hint, "did you mean '%s'?", near ? near : "");
    if (err.code != WR_NO_MEMORY)
        wr_compile_complain(compile, WR_DIAGNOSTIC_ERROR, 327, "message", record->message, at, len, near ? hint : NULL, "%s", err.text);
}

static void compile_rule(struct wr_compile *compile, const struct wr_file_rule *record, const struct wr_file_defaults *defaults) {
    static const struct wr_file_defaults none = {0};
    static const char *const severities[] = {"low", "medium", "high", "critical"};
    static const char *const no_data[] = {"hold", "raise", "clear"};
    static const char *const truth[] = {"false", "true"};
    const struct wr_file_defaults *other = defaults ? defaults : &none;
    struct wr_rule *rule = compile->rule;
    rule->place = (struct wr_place){compile->file, wr_compile_where(compile, "rule")};
    check_name(compile, record->rule);
    refuse_later(compile, record);
    read_by(compile, record);
    rule->severity = (enum wr_severity)read_word(compile, "severity", record->severity, other->severity, severities, 4, WR_SEVERITY_LOW);
    rule->no_data = (enum wr_no_data)read_word(compile, "no_data", record->no_data, other->no_data, no_data, 3, WR_NO_DATA_HOLD);
    rule->latch = read_word(compile, "latch", record->latch, other->latch, truth, 2, 0) == 1;
    rule->auto_ack = read_word(compile, "auto_ack", record->auto_ack, other->auto_ack, truth, 2, 0) == 1;
    rule->on_delay_ns = read_duration(compile, "on_delay", record->on_delay, other->on_delay);
    rule->off_delay_ns = read_duration(compile, "off_delay", record->off_delay, other->off_delay);
    rule->no_data_after_ns = read_duration(compile, "no_data_after", record->no_data_after, other->no_data_after);
    rule->time_to_respond_ns = read_duration(compile, "time_to_respond", record->time_to_respond, NULL);
    if (rule->no_data != WR_NO_DATA_HOLD && rule->no_data_after_ns == 0)
        WR_COMPILE_ERROR(compile, 325, record->no_data ? "no_data" : NULL, "add no_data_after: 10m", "`no_data: %s` needs `no_data_after`",
                         no_data[rule->no_data]);
    rule->consequence = wr_compile_copy(compile, record->consequence);
    rule->respond = wr_compile_copy(compile, record->respond);
    read_message(compile, record);
    if (record->when)
        wr_compile_condition(compile, record);
    wr_compile_actions(compile, record);
}

bool wr_compile_rules(struct wr_compile *compile) {
    struct wr_ruleset *ruleset = compile->ruleset;
    const struct wr_rule_file *file = compile->yaml->record;
    compile->list = "rules";
    if (file->defaults && file->defaults->shelve_max)
        wr_compile_refuse(compile, "defaults.shelve_max");
    for (unsigned i = 0; i < file->n_rules; i++) {
        struct wr_rule *rule = wr_arena_take(&ruleset->arena, sizeof *rule);
        if (!rule)
            return false;
        compile->index = i;
        compile->rule = rule;
        compile_rule(compile, &file->rules[i], file->defaults);
        if (ruleset->arena.failed)
            return false;
        ruleset->rules[ruleset->n_rules++] = rule;
        ruleset->n_nodes = ruleset->n_rules;
    }
    return true;
}
