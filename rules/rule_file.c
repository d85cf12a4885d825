#include "rules/rule_file.h"

#include <stddef.h>

/* clang-format off */
#define AT(type, member) .offset = offsetof(struct type, member)
#define LIST(type, member) .offset = offsetof(struct type, member), .count_offset = offsetof(struct type, n_##member)
#define STRING(type, member, ...) {.key = #member, .kind = WR_YAML_STRING, AT(type, member), __VA_ARGS__}
#define LATER(i, name) {.key = name, .kind = WR_YAML_STRING, .offset = offsetof(struct wr_file_later, any) + (i) * sizeof(char *)}
#define END {.key = NULL}

static const struct wr_yaml_field point_fields[] = {
    STRING(wr_file_point, point, .required = true, .help = "name of the series: measurement, or measurement.field"),
    STRING(wr_file_point, unit, .help = "unit of its values: °C, bar, L/min, % ..."),
    STRING(wr_file_point, range, .help = "sane values, as \"-40..60\" in the unit; a value outside is bad"),
    {.key = "resolution", .kind = WR_YAML_FLOAT, AT(wr_file_point, resolution), .min = 0, .max = 1e18, .help = "smallest step of the sensor"},
    {.key = "every", .kind = WR_YAML_DURATION, AT(wr_file_point, every_ns), .help = "how often a value is expected"},
    STRING(wr_file_point, lateness, .help = "how late a reading may come, instead of the window's own"),
    {.key = "counter", .kind = WR_YAML_BOOL, AT(wr_file_point, counter), .help = "counts up only: rate and delta take a fall for a reset"},
    {.key = "wrap", .kind = WR_YAML_FLOAT, AT(wr_file_point, wrap), .min = 0, .max = 1e19, .help = "a counter's value where it starts again at 0"},
    END,
};

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

static const struct wr_yaml_field webhook_fields[] = {LATER(0, "url"), LATER(1, "secret"), LATER(2, "method"), LATER(3, "ca"), END};

static const struct wr_yaml_field action_fields[] = {
    {.key = "at", .kind = WR_YAML_STRINGS, LIST(wr_file_action, at),
     .help = "raised, cleared, acknowledged, reset, escalated, repeated, rule_changed, data_stale, data_returned"},
    {.key = "log", .kind = WR_YAML_BOOL, AT(wr_file_action, log), .help = "one line in the agent's log"},
    {.key = "exec", .kind = WR_YAML_RECORD, AT(wr_file_action, exec), .fields = exec_fields, .record_bytes = sizeof(struct wr_file_exec),
     .help = "start a program"},
    {.key = "mqtt", .kind = WR_YAML_RECORD, AT(wr_file_action, mqtt), .fields = mqtt_fields, .record_bytes = sizeof(struct wr_file_mqtt),
     .help = "publish to a topic of your own"},
    {.key = "webhook", .kind = WR_YAML_RECORD, AT(wr_file_action, webhook), .fields = webhook_fields,
     .record_bytes = sizeof(struct wr_file_later), .help = "not in this version"},
    STRING(wr_file_action, after, .help = "not in this version"),
    STRING(wr_file_action, unless, .help = "not in this version"),
    STRING(wr_file_action, retry, .help = "not in this version"),
    END,
};

static const struct wr_yaml_field level_fields[] = {LATER(0, "name"), LATER(1, "when"), LATER(2, "on_delay"), LATER(3, "off_delay"), LATER(4, "deadband"),
                                                    LATER(5, "clear"), LATER(6, "severity"), END};
static const struct wr_yaml_field step_fields[] = {LATER(0, "step"), LATER(1, "within"), LATER(2, "absent"), LATER(3, "after"), END};

#define LATER_LIST(type, member, list) \
    {.key = #member, .kind = WR_YAML_RECORDS, LIST(type, member), .fields = list, .record_bytes = sizeof(struct wr_file_later), \
     .help = "not in this version"}

static const struct wr_yaml_field rule_fields[] = {
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
    {.key = "then", .kind = WR_YAML_RECORDS, LIST(wr_file_rule, then), .fields = action_fields,
     .record_bytes = sizeof(struct wr_file_action), .help = "actions"},
    STRING(wr_file_rule, value, .help = "not in this version"),
    LATER_LIST(wr_file_rule, levels, level_fields),
    LATER_LIST(wr_file_rule, sequence, step_fields),
    STRING(wr_file_rule, valid_if, .help = "not in this version"),
    STRING(wr_file_rule, active, .help = "not in this version"),
    STRING(wr_file_rule, backfill, .help = "not in this version"),
    STRING(wr_file_rule, forget, .help = "not in this version"),
    STRING(wr_file_rule, max_instances, .help = "not in this version"),
    STRING(wr_file_rule, re_alarm, .help = "not in this version"),
    STRING(wr_file_rule, shelve_max, .help = "not in this version"),
    END,
};

static const struct wr_yaml_field defaults_fields[] = {
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

static const struct wr_yaml_field table_fields[] = {LATER(0, "name"), LATER(1, "csv"), LATER(2, "key"), END};
static const struct wr_yaml_field schedule_fields[] = {LATER(0, "name"), LATER(1, "tz"), LATER(2, "days"), LATER(3, "from"), LATER(4, "to"), END};
static const struct wr_yaml_field derive_fields[] = {LATER(0, "point"), LATER(1, "of"), LATER(2, "unit"), LATER(3, "by"), LATER(4, "max_age"), LATER(5, "emit"), END};
static const struct wr_yaml_field suppress_fields[] = {LATER(0, "cause"), LATER(1, "match"), LATER(2, "equal"), LATER(3, "linger"), END};
static const struct wr_yaml_field group_fields[] = {LATER(0, "name"), LATER(1, "by"), LATER(2, "wait"), LATER(3, "update"), LATER(4, "repeat"), LATER(5, "first_out"),
                                                    LATER(6, "flood_start"), LATER(7, "flood_end"), LATER(8, "flood_window"), END};
static const struct wr_yaml_field test_fields[] = {LATER(0, "test"), LATER(1, "start"), LATER(2, "every"), END};

const struct wr_yaml_field wr_rule_file_fields[] = {
    {.key = "weir", .kind = WR_YAML_INT, AT(wr_rule_file, version), .fallback = "1", .min = 1, .max = 1000, .help = "version of the language: 1"},
    {.key = "points", .kind = WR_YAML_RECORDS, LIST(wr_rule_file, points), .fields = point_fields,
     .record_bytes = sizeof(struct wr_file_point), .help = "what is known about series: unit, range, period"},
    {.key = "defaults", .kind = WR_YAML_RECORD, AT(wr_rule_file, defaults), .fields = defaults_fields,
     .record_bytes = sizeof(struct wr_file_defaults), .help = "for the rules of this file"},
    {.key = "rules", .kind = WR_YAML_RECORDS, LIST(wr_rule_file, rules), .fields = rule_fields,
     .record_bytes = sizeof(struct wr_file_rule), .help = "the rules"},
    LATER_LIST(wr_rule_file, tables, table_fields),
    LATER_LIST(wr_rule_file, schedules, schedule_fields),
    LATER_LIST(wr_rule_file, derive, derive_fields),
    LATER_LIST(wr_rule_file, suppress, suppress_fields),
    LATER_LIST(wr_rule_file, groups, group_fields),
    LATER_LIST(wr_rule_file, tests, test_fields),
    END,
};
/* clang-format on */
