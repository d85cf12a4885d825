#include "core/alarm.h"

#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "core/utf8.h"

const char *wr_alarm_state_name(enum wr_alarm_state state) {
    switch (state) {
    case WR_ALARM_NORMAL:
        return "normal";
    case WR_ALARM_PENDING:
        return "pending";
    case WR_ALARM_UNACK:
        return "unack";
    case WR_ALARM_ACKED:
        return "acked";
    case WR_ALARM_RTN_UNACK:
        return "rtn_unack";
    case WR_ALARM_LATCHED_UNACK:
        return "latched_unack";
    case WR_ALARM_LATCHED_ACK:
        return "latched_ack";
    case WR_ALARM_STATES:
        break;
    }
    return "unknown";
}

const char *wr_alarm_cause_name(enum wr_alarm_cause cause) {
    switch (cause) {
    case WR_ALARM_RAISED:
        return "raised";
    case WR_ALARM_CLEARED:
        return "cleared";
    case WR_ALARM_ACKNOWLEDGED:
        return "acknowledged";
    case WR_ALARM_RESET:
        return "reset";
    case WR_ALARM_ESCALATED:
        return "escalated";
    case WR_ALARM_REPEATED:
        return "repeated";
    case WR_ALARM_RULE_CHANGED:
        return "rule_changed";
    case WR_ALARM_DATA_STALE:
        return "data_stale";
    case WR_ALARM_DATA_RETURNED:
        return "data_returned";
    case WR_ALARM_DEESCALATED:
        return "deescalated";
    case WR_ALARM_SHELVED:
        return "shelved";
    case WR_ALARM_UNSHELVED:
        return "unshelved";
    case WR_ALARM_SUPPRESSED:
        return "suppressed";
    case WR_ALARM_UNSUPPRESSED:
        return "unsuppressed";
    case WR_ALARM_OUT_OF_SERVICE:
        return "out_of_service";
    case WR_ALARM_RETURNED:
        return "returned";
    case WR_ALARM_ACTION_FAILED:
        return "action_failed";
    case WR_ALARM_CAUSES:
        break;
    }
    return "unknown";
}

const char *wr_severity_name(enum wr_severity severity) {
    switch (severity) {
    case WR_SEVERITY_LOW:
        return "low";
    case WR_SEVERITY_MEDIUM:
        return "medium";
    case WR_SEVERITY_HIGH:
        return "high";
    case WR_SEVERITY_CRITICAL:
        return "critical";
    }
    return "unknown";
}

enum wr_result wr_severity_parse(const char *text, enum wr_severity *ret_severity, struct wr_error *err) {
    for (enum wr_severity severity = WR_SEVERITY_LOW; severity <= WR_SEVERITY_CRITICAL; severity++)
        if (strcmp(text, wr_severity_name(severity)) == 0) {
            *ret_severity = severity;
            return WR_OK;
        }
    char shown[64];
    return wr_error_set(err, WR_INVALID, "'%s' is no severity: write low, medium, high or critical",
                        wr_error_escape(shown, sizeof shown, text, strlen(text)));
}

const char *wr_alarm_silence_name(enum wr_alarm_silence bit) {
    switch (bit) {
    case WR_ALARM_SILENT_SHELVED:
        return "shelved";
    case WR_ALARM_SILENT_SUPPRESSED:
        return "suppressed";
    case WR_ALARM_SILENT_INVALID:
        return "invalid";
    case WR_ALARM_SILENT_OUT_OF_SERVICE:
        return "out_of_service";
    case WR_ALARM_SILENT_CHATTERING:
        return "chattering";
    case WR_ALARM_SILENT_GROUPED:
        return "grouped";
    }
    return "unknown";
}

bool wr_alarm_is_annunciated(const struct wr_alarm *alarm) {
    switch ((enum wr_alarm_cause)alarm->cause) {
    case WR_ALARM_ACKNOWLEDGED:
    case WR_ALARM_RESET:
    case WR_ALARM_SHELVED:
    case WR_ALARM_UNSHELVED:
    case WR_ALARM_OUT_OF_SERVICE:
    case WR_ALARM_RETURNED:
        return true;
    default:
        return alarm->silent == 0;
    }
}

/* FNV-1a. */
uint64_t wr_alarm_id(const char *rule, const char *instance) {
    uint64_t hash = 14695981039346656037u;
    for (const char *c = rule; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 1099511628211u;
    hash *= 1099511628211u; /* the NUL between them */
    for (const char *c = instance; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 1099511628211u;
    return hash;
}

char *wr_alarm_display(char *text, size_t size, const struct wr_alarm *alarm) {
    char whole[WR_ALARM_NAME_BYTES + WR_ALARM_INSTANCE_BYTES + 3];
    if (alarm->instance[0] != '\0')
        snprintf(whole, sizeof whole, "%.*s{%.*s}", WR_ALARM_NAME_BYTES, alarm->rule, WR_ALARM_INSTANCE_BYTES, alarm->instance);
    else
        snprintf(whole, sizeof whole, "%.*s", WR_ALARM_NAME_BYTES, alarm->rule);
    return wr_utf8_copy(text, size, whole);
}

static void put_silences(struct wr_json *json, unsigned silent) {
    if (silent == 0)
        return;
    wr_json_array(json, "silent");
    for (unsigned bit = 1; bit <= WR_ALARM_SILENT_GROUPED; bit <<= 1)
        if (silent & bit)
            wr_json_string(json, NULL, wr_alarm_silence_name((enum wr_alarm_silence)bit));
    wr_json_array_end(json);
}

enum wr_result wr_alarm_to_json(const struct wr_alarm *alarm, struct wr_buf *into) {
    struct wr_json json;
    char text[WR_ALARM_NAME_BYTES + WR_ALARM_INSTANCE_BYTES + 3];
    wr_json_begin(&json, into);
    wr_json_object(&json, NULL);
    wr_json_string(&json, "alarm", wr_alarm_display(text, sizeof text, alarm));
    snprintf(text, sizeof text, "%016llx", (unsigned long long)alarm->id);
    wr_json_string(&json, "id", text); /* 64 bits do not fit a JSON number */
    wr_json_uint(&json, "transition", alarm->transition);
    wr_json_string(&json, "rule", alarm->rule);
    wr_json_string(&json, "instance", alarm->instance);
    wr_json_string(&json, "severity", wr_severity_name((enum wr_severity)alarm->severity));
    if (alarm->cause != 0) /* the list of alarms tells states, not transitions */
        wr_json_string(&json, "cause", wr_alarm_cause_name((enum wr_alarm_cause)alarm->cause));
    wr_json_string(&json, "from", wr_alarm_state_name((enum wr_alarm_state)alarm->from));
    wr_json_string(&json, "to", wr_alarm_state_name((enum wr_alarm_state)alarm->to));
    wr_json_time(&json, "event_ns", "event", alarm->event_ns);
    wr_json_time(&json, "time_ns", "time", alarm->wall_ns);
    if (alarm->has_value)
        wr_json_double(&json, "value", alarm->value);
    if (alarm->has_limit)
        wr_json_double(&json, "limit", alarm->limit);
    if (alarm->unit[0] != '\0')
        wr_json_string(&json, "unit", alarm->unit);
    wr_json_string(&json, "message", alarm->message);
    wr_json_string(&json, "data", alarm->data == WR_ALARM_DATA_OK ? "ok" : "stale");
    put_silences(&json, alarm->silent);
    if (alarm->level[0] != '\0')
        wr_json_string(&json, "level", alarm->level);
    if (alarm->by_whom[0] != '\0')
        wr_json_string(&json, "by", alarm->by_whom);
    if (alarm->why[0] != '\0')
        wr_json_string(&json, "why", alarm->why);
    if (alarm->until_wall_ns != 0)
        wr_json_time(&json, "until_ns", "until", alarm->until_wall_ns);
    wr_json_bool(&json, "historic", alarm->historic);
    wr_json_bool(&json, "journalled", alarm->journalled);
    if (alarm->arrival_boot_ns != 0)
        wr_json_int(&json, "decided_after_ns", alarm->decided_boot_ns - alarm->arrival_boot_ns);
    wr_json_object_end(&json);
    return wr_json_end(&json);
}
