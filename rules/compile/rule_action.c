/* then: what to do at a transition, when, and how often it is tried: checked here, carried out by the agent. */
#include "rules/compile/rule_action.h"

#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/nearest.h"
#include "rules/compile/rule_compile.h"
#include "rules/compile/rule_schema.h"

#define SECOND ((double)WR_NS_PER_S)
#define TIMEOUT_NS (10 * WR_NS_PER_S)

const char *const wr_action_kind_names[WR_ACTION_KINDS] = {"log", "exec", "mqtt", "webhook", "file"};
const char *const wr_webhook_methods[] = {"POST", "PUT", NULL};
static const char *const formats[] = {"json", "line", NULL};

/* clang-format off */
static const struct wr_yaml_field exec_fields[] = {
    {.key = "argv", .kind = WR_YAML_STRINGS, LIST(wr_file_exec, argv), .required = true,
     .help = "program and arguments; no shell; the program must be in the agent's allow-list"},
    END,
};

static const struct wr_yaml_field mqtt_fields[] = {
    STRING(wr_file_mqtt, topic, .required = true, .help = "topic, with {rule}, {site}, {node} and labels"),
    {.key = "qos", .kind = WR_YAML_INT, AT(wr_file_mqtt, qos), .fallback = "1", .min = 0, .max = 2, .help = "0, 1 or 2"},
    {.key = "retain", .kind = WR_YAML_BOOL, AT(wr_file_mqtt, retain),
     .help = "a state topic: the broker keeps the last one; without `at` each change of the alarm is published"},
    {.key = "clear", .kind = WR_YAML_BOOL, AT(wr_file_mqtt, clear), .help = "with retain: an alarm that is normal again leaves no topic behind"},
    END,
};

static const struct wr_yaml_field webhook_fields[] = {
    STRING(wr_file_webhook, url, .required = true, .help = "https://HOST[:PORT]/PATH; names in braces behind the host"),
    STRING(wr_file_webhook, secret, .help = "name of a secret of the agent's config: signs the message"),
    STRING(wr_file_webhook, token, .help = "name of a secret of the agent's config: sent as Authorization: Bearer"),
    {.key = "method", .kind = WR_YAML_ENUM, AT(wr_file_webhook, method), .fallback = "POST", .names = wr_webhook_methods, .help = "POST or PUT"},
    STRING(wr_file_webhook, ca, .help = "PEM file: who must have signed the server's certificate; relative to the rule file; the system's when not given"),
    {.key = "headers", .kind = WR_YAML_STRINGS, LIST(wr_file_webhook, headers), .help = "\"Name: value\", as they are"},
    END,
};

static const struct wr_yaml_field output_fields[] = {
    STRING(wr_file_output, path, .required = true, .help = "absolute, in a directory that the agent's config allows; names in braces"),
    {.key = "format", .kind = WR_YAML_ENUM, AT(wr_file_output, format), .fallback = "json", .names = formats, .help = "json, or line: for people"},
    {.key = "max_size", .kind = WR_YAML_SIZE, AT(wr_file_output, max_bytes), .fallback = "10MB", .min = 64e3, .max = 1e9,
     .help = "above it the file is renamed to PATH.1, and a new one begun"},
    {.key = "keep", .kind = WR_YAML_COUNT, AT(wr_file_output, keep), .fallback = "3", .min = 1, .max = WR_ACTION_FILE_KEEP_MAX,
     .help = "how many of those stay"},
    END,
};

const struct wr_yaml_field wr_action_fields[] = {
    {.key = "at", .kind = WR_YAML_STRINGS, LIST(wr_file_action, at),
     .help = "raised, escalated, deescalated, cleared, acknowledged, reset, repeated, rule_changed, data_stale, data_returned, shelved, unshelved, "
             "suppressed, unsuppressed, out_of_service, returned"},
    {.key = "log", .kind = WR_YAML_BOOL, AT(wr_file_action, log), .help = "one line in the agent's log"},
    RECORD(wr_file_action, exec, wr_file_exec, exec_fields, .help = "start a program"),
    RECORD(wr_file_action, mqtt, wr_file_mqtt, mqtt_fields, .help = "publish to a topic of your own"),
    RECORD(wr_file_action, webhook, wr_file_webhook, webhook_fields, .help = "send it to a web server"),
    RECORD(wr_file_action, file, wr_file_output, output_fields, .help = "append a line to a file"),
    {.key = "after", .kind = WR_YAML_DURATION, AT(wr_file_action, after_ns), .min = SECOND, .max = 30 * 86400 * SECOND,
     .help = "so much later"},
    {.key = "unless", .kind = WR_YAML_STRINGS, LIST(wr_file_action, unless), .help = "with after: not if it is acked, or cleared, by then"},
    STRING(wr_file_action, retry, .help = "tries, first wait, factor: \"3 1s x2\""),
    {.key = "timeout", .kind = WR_YAML_DURATION, AT(wr_file_action, timeout_ns), .min = SECOND / 10, .max = 600 * SECOND,
     .help = "of one try of a webhook or program; default 10s"},
    END,
};
/* clang-format on */

/* -- at, unless ------------------------------------------------------------------------------------------------------------------------ */

static uint32_t bit(enum wr_alarm_cause cause) {
    return UINT32_C(1) << cause;
}

#define MOMENTS WR_ALARM_ACTION_FAILED /* causes below it; a dead letter drives nothing */
#define EVERY_MOMENT ((UINT32_C(1) << MOMENTS) - 2)

/* Reports a word that is none of those known, at key.list[index]. */
static void refuse_word(struct wr_compile *compile, const char *key, const char *list, unsigned index, const char *word,
                        const char *const *names, size_t n, const char *what) {
    char hint[80];
    char shown[48];
    char where[80];
    const char *near = wr_nearest_name(word, names, n);
    snprintf(where, sizeof where, "%s.%s[%u]", key, list, index);
    snprintf(hint, sizeof hint, "did you mean '%s'?", near ? near : "");
    WR_COMPILE_ERROR(compile, 329, where, near ? hint : NULL, "%s: '%s'", what, wr_error_escape(shown, sizeof shown, word, strlen(word)));
}

static uint32_t read_moments(struct wr_compile *compile, const char *key, const struct wr_file_action *record) {
    const char *names[MOMENTS] = {"acked"};
    uint32_t at = 0;
    for (unsigned cause = 1; cause < MOMENTS; cause++)
        names[cause] = wr_alarm_cause_name((enum wr_alarm_cause)cause);
    for (unsigned i = 0; i < record->n_at; i++) {
        unsigned k = 0;
        while (k < MOMENTS && strcmp(names[k], record->at[i]) != 0)
            k++;
        if (k == MOMENTS)
            refuse_word(compile, key, "at", i, record->at[i], names, MOMENTS, "no moment of an alarm");
        else
            at |= k == 0 ? bit(WR_ALARM_ACKNOWLEDGED) : bit((enum wr_alarm_cause)k);
    }
    if (record->n_at == 0)
        at = record->mqtt && record->mqtt->retain ? EVERY_MOMENT & ~bit(WR_ALARM_REPEATED) : bit(WR_ALARM_RAISED);
    return at;
}

static uint8_t read_unless(struct wr_compile *compile, const char *key, const struct wr_file_action *record) {
    static const char *const names[] = {"acked", "cleared", "acknowledged"};
    uint8_t unless = 0;
    char where[80];
    for (unsigned i = 0; i < record->n_unless; i++) {
        size_t k = 0;
        while (k < 3 && strcmp(names[k], record->unless[i]) != 0)
            k++;
        if (k == 3)
            refuse_word(compile, key, "unless", i, record->unless[i], names, 2, "neither acked nor cleared");
        else
            unless |= k == 1 ? WR_ACTION_UNLESS_CLEARED : WR_ACTION_UNLESS_ACKED;
    }
    snprintf(where, sizeof where, "%s.unless", key);
    if (record->n_unless > 0 && record->after_ns == 0)
        WR_COMPILE_ERROR(compile, 370, where, "after: 10m", "`unless` says why not to act `after` a while: that is missing");
    return unless;
}

/* -- retry, timeout -------------------------------------------------------------------------------------------------------------------- */

static struct wr_retry usual_retry(enum wr_action_kind kind) {
    switch (kind) {
    case WR_ACTION_WEBHOOK:
        return (struct wr_retry){.tries = 5, .wait_ns = WR_NS_PER_S, .percent = 200};
    case WR_ACTION_FILE:
        return (struct wr_retry){.tries = 3, .wait_ns = WR_NS_PER_S, .percent = 200};
    case WR_ACTION_LOG:
    case WR_ACTION_EXEC: /* who runs it twice must know that it may run twice */
    case WR_ACTION_MQTT:
    case WR_ACTION_KINDS:
        break;
    }
    return (struct wr_retry){.tries = 1, .percent = 100};
}

static void read_tries(struct wr_compile *compile, const char *key, const struct wr_file_action *record, struct wr_action_spec *action) {
    const bool runs = action->kind == WR_ACTION_EXEC || action->kind == WR_ACTION_WEBHOOK;
    struct wr_error err = {0};
    char where[80];
    action->retry = usual_retry(action->kind);
    action->timeout_ns = record->timeout_ns > 0 ? record->timeout_ns : TIMEOUT_NS;
    snprintf(where, sizeof where, "%s.timeout", key);
    if (record->timeout_ns > 0 && !runs)
        WR_COMPILE_ERROR(compile, 370, where, NULL, "only a webhook or a program has a `timeout`");
    snprintf(where, sizeof where, "%s.retry", key);
    if (record->retry && action->kind == WR_ACTION_MQTT)
        WR_COMPILE_ERROR(compile, 370, where, NULL, "a publish is always tried until the broker has it: it has no `retry`");
    else if (record->retry && action->kind == WR_ACTION_LOG)
        WR_COMPILE_ERROR(compile, 370, where, NULL, "a log line has no `retry`");
    else if (record->retry && wr_retry_parse(record->retry, &action->retry, &err) != WR_OK)
        WR_COMPILE_ERROR(compile, 370, where, NULL, "%s", err.text);
}

/* -- the whole ------------------------------------------------------------------------------------------------------------------------- */

/* Each target costs a queue, and a thread while it works. */
static void count_target(struct wr_compile *compile, const char *key, const struct wr_action_spec *action) {
    struct wr_ruleset *ruleset = compile->ruleset;
    uint32_t i = 0;
    if (!action->target)
        return;
    while (i < ruleset->n_targets && strcmp(ruleset->targets[i], action->target) != 0)
        i++;
    if (i < ruleset->n_targets)
        return;
    if (ruleset->n_targets == WR_RULESET_TARGETS)
        WR_COMPILE_ERROR(compile, 373, key, "let one program or server pass it on",
                         "more than %d different hosts, programs and directories", WR_RULESET_TARGETS);
    else
        ruleset->targets[ruleset->n_targets++] = action->target;
}

static void read_action(struct wr_compile *compile, unsigned index, const struct wr_file_action *record, struct wr_action_spec *action) {
    char key[40];
    snprintf(key, sizeof key, "then[%u]", index);
    action->at = read_moments(compile, key, record);
    action->after_ns = record->after_ns;
    action->unless = read_unless(compile, key, record);
    int kinds = record->log + (record->exec != NULL) + (record->mqtt != NULL) + (record->webhook != NULL) + (record->file != NULL);
    if (kinds != 1) {
        WR_COMPILE_ERROR(compile, 329, key, NULL, "an action is one of log: true, exec, mqtt, webhook or file");
        return;
    }
    if (record->exec)
        wr_compile_exec(compile, key, record->exec, action);
    if (record->mqtt)
        wr_compile_mqtt(compile, key, record->mqtt, action);
    if (record->webhook)
        wr_compile_webhook(compile, key, record->webhook, action);
    if (record->file)
        wr_compile_output(compile, key, record->file, action);
    read_tries(compile, key, record, action);
    count_target(compile, key, action);
}

struct wr_action_spec *wr_compile_then(struct wr_compile *compile, const struct wr_file_action *then, unsigned n) {
    struct wr_action_spec *actions = n > 0 ? wr_arena_take(&compile->ruleset->arena, n * sizeof *actions) : NULL;
    for (unsigned i = 0; actions && i < n; i++)
        read_action(compile, i, &then[i], &actions[i]);
    return actions;
}

void wr_compile_actions(struct wr_compile *compile, const struct wr_file_rule *record) {
    compile->rule->actions = wr_compile_then(compile, record->then, record->n_then);
    compile->rule->n_actions = compile->rule->actions ? record->n_then : 0;
}
