/* then: what to do at a transition: checked here, carried out by the agent. */
#include <stdio.h>
#include <string.h>

#include "rules/rule_compile.h"
#include "rules/rule_schema.h"

/* clang-format off */
static const struct wr_yaml_field exec_fields[] = {
    {.key = "argv", .kind = WR_YAML_STRINGS, LIST(wr_file_exec, argv), .required = true,
     .help = "program and arguments; no shell; the program must be in the agent's allow-list"},
    END,
};

static const struct wr_yaml_field mqtt_fields[] = {
    STRING(wr_file_mqtt, topic, .required = true, .help = "topic, with {rule}, {site}, {node} and labels"),
    {.key = "qos", .kind = WR_YAML_INT, AT(wr_file_mqtt, qos), .fallback = "1", .min = 0, .max = 2, .help = "0, 1 or 2"},
    {.key = "retain", .kind = WR_YAML_BOOL, AT(wr_file_mqtt, retain), .help = "the broker keeps the last one"},
    END,
};

static const struct wr_yaml_field webhook_fields[] = {
    STRING(wr_file_webhook, url, .help = "not in this version"),
    STRING(wr_file_webhook, secret, .help = "not in this version"),
    STRING(wr_file_webhook, method, .help = "not in this version"),
    STRING(wr_file_webhook, ca, .help = "not in this version"),
    END,
};

const struct wr_yaml_field wr_action_fields[] = {
    {.key = "at", .kind = WR_YAML_STRINGS, LIST(wr_file_action, at),
     .help = "raised, cleared, acknowledged, reset, escalated, repeated, rule_changed, data_stale, data_returned"},
    {.key = "log", .kind = WR_YAML_BOOL, AT(wr_file_action, log), .help = "one line in the agent's log"},
    RECORD(wr_file_action, exec, wr_file_exec, exec_fields, .help = "start a program"),
    RECORD(wr_file_action, mqtt, wr_file_mqtt, mqtt_fields, .help = "publish to a topic of your own"),
    RECORD(wr_file_action, webhook, wr_file_webhook, webhook_fields, .help = "not in this version"),
    STRING(wr_file_action, after, .help = "not in this version"),
    STRING(wr_file_action, unless, .help = "not in this version"),
    STRING(wr_file_action, retry, .help = "not in this version"),
    END,
};
/* clang-format on */

static const struct {
    const char *name;
    enum wr_alarm_cause cause;
} moments[] = {
    {"raised", WR_ALARM_RAISED},
    {"cleared", WR_ALARM_CLEARED},
    {"acknowledged", WR_ALARM_ACKNOWLEDGED},
    {"acked", WR_ALARM_ACKNOWLEDGED},
    {"reset", WR_ALARM_RESET},
    {"escalated", WR_ALARM_ESCALATED},
    {"repeated", WR_ALARM_REPEATED},
    {"rule_changed", WR_ALARM_RULE_CHANGED},
    {"data_stale", WR_ALARM_DATA_STALE},
    {"data_returned", WR_ALARM_DATA_RETURNED},
};
#define N_MOMENTS (sizeof moments / sizeof moments[0])

static uint32_t read_moments(struct wr_compile *compile, const char *key, const struct wr_file_action *record) {
    uint32_t at = record->n_at == 0 ? 1u << WR_ALARM_RAISED : 0;
    for (unsigned i = 0; i < record->n_at; i++) {
        size_t k = 0;
        while (k < N_MOMENTS && strcmp(moments[k].name, record->at[i]) != 0)
            k++;
        if (k < N_MOMENTS) {
            at |= 1u << moments[k].cause;
            continue;
        }
        const char *names[N_MOMENTS];
        for (size_t m = 0; m < N_MOMENTS; m++)
            names[m] = moments[m].name;
        const char *near = wr_diagnostics_nearest(record->at[i], names, N_MOMENTS);
        char hint[80];
        char shown[48];
        char where[64];
        snprintf(where, sizeof where, "%s.at[%u]", key, i);
        snprintf(hint, sizeof hint, "did you mean '%s'?", near ? near : "");
        WR_COMPILE_ERROR(compile, 329, where, near ? hint : NULL, "no moment of an alarm: '%s'",
                         wr_error_escape(shown, sizeof shown, record->at[i], strlen(record->at[i])));
    }
    return at;
}

static bool is_allowed(const struct wr_ruleset_options *options, const char *program) {
    for (size_t i = 0; options && i < options->n_exec_allow; i++)
        if (strcmp(options->exec_allow[i], program) == 0)
            return true;
    return false;
}

static void read_exec(struct wr_compile *compile, const char *key, const struct wr_file_exec *record, struct wr_action_spec *action) {
    char where[64];
    char shown[200];
    snprintf(where, sizeof where, "%s.exec.argv", key);
    const char **argv = wr_arena_take(&compile->ruleset->arena, (record->n_argv + 1u) * sizeof *argv);
    if (!argv)
        return;
    if (record->n_argv == 0 || record->argv[0][0] != '/') {
        WR_COMPILE_ERROR(compile, 328, where, NULL, "`argv` starts with the absolute path of a program");
        return;
    }
    if (!is_allowed(compile->options, record->argv[0]))
        WR_COMPILE_ERROR(compile, 328, where, "the allow-list is part of the agent's own config, never of a rule file",
                         "'%s' is not in the allow-list for exec",
                         wr_error_escape(shown, sizeof shown, record->argv[0], strlen(record->argv[0])));
    for (unsigned i = 0; i < record->n_argv; i++)
        argv[i] = wr_compile_copy(compile, record->argv[i]);
    action->kind = WR_ACTION_EXEC;
    action->argv = argv;
    action->argc = record->n_argv;
}

static void read_mqtt(struct wr_compile *compile, const char *key, const struct wr_file_mqtt *record, struct wr_action_spec *action) {
    char where[64];
    snprintf(where, sizeof where, "%s.mqtt.topic", key);
    struct wr_template parsed;
    struct wr_error err;
    const char *near;
    size_t at;
    size_t len;
    const struct wr_rule *rule = compile->rule;
    enum wr_result result =
        wr_template_parse(record->topic, true, rule->by, rule->n_by, &compile->ruleset->arena, &parsed, &at, &len, &near, &err);
    char hint[120];
    snprintf(hint, sizeof hint, "did you mean '%s'?", near ? near : "");
    if (result != WR_OK)
        wr_compile_complain(compile, WR_DIAGNOSTIC_ERROR, 327, where, record->topic, at, len, near ? hint : NULL, "%s", err.text);
    else if (!record->topic[0] || strpbrk(record->topic, "+#"))
        WR_COMPILE_ERROR(compile, 329, where, NULL, "a topic to publish on is not empty and has no + or #");
    action->kind = WR_ACTION_MQTT;
    action->topic = wr_compile_copy(compile, record->topic);
    action->qos = (uint8_t)record->qos;
    action->retain = record->retain;
}

static void read_action(struct wr_compile *compile, unsigned index, const struct wr_file_action *record, struct wr_action_spec *action) {
    char key[40];
    char where[64];
    snprintf(key, sizeof key, "then[%u]", index);
    action->at = read_moments(compile, key, record);
    const struct {
        const char *name;
        bool present;
    } later[] = {{"webhook", record->webhook}, {"after", record->after}, {"unless", record->unless}, {"retry", record->retry}};
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++)
        if (later[i].present) {
            snprintf(where, sizeof where, "%s.%s", key, later[i].name);
            WR_COMPILE_ERROR(compile, 103, where, NULL, "'%s' is not supported in this version", later[i].name);
        }
    int kinds = record->log + (record->exec != NULL) + (record->mqtt != NULL);
    if (kinds != 1 && !record->webhook)
        WR_COMPILE_ERROR(compile, 329, key, NULL, "an action is one of log: true, exec or mqtt");
    if (record->exec)
        read_exec(compile, key, record->exec, action);
    if (record->mqtt)
        read_mqtt(compile, key, record->mqtt, action);
}

void wr_compile_actions(struct wr_compile *compile, const struct wr_file_rule *record) {
    if (record->n_then == 0)
        return;
    struct wr_action_spec *actions = wr_arena_take(&compile->ruleset->arena, record->n_then * sizeof *actions);
    if (!actions)
        return;
    for (unsigned i = 0; i < record->n_then; i++)
        read_action(compile, i, &record->then[i], &actions[i]);
    compile->rule->actions = actions;
    compile->rule->n_actions = record->n_then;
}
