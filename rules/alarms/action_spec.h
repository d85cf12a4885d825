/* What a rule's `then` says, compiled: data for the agent, which carries it out.
 *
 * Ownership: everything lives in the arena of the rule set. Texts marked as templates are expanded with wr_template_expand.
 */
#ifndef WEIR_RULES_ALARMS_ACTION_SPEC_H
#define WEIR_RULES_ALARMS_ACTION_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "core/alarm.h"
#include "rules/alarms/retry.h"

enum wr_action_kind { WR_ACTION_LOG, WR_ACTION_EXEC, WR_ACTION_MQTT, WR_ACTION_WEBHOOK, WR_ACTION_FILE, WR_ACTION_KINDS };
extern const char *const wr_action_kind_names[WR_ACTION_KINDS];

/* What makes an action with `after` needless. */
enum wr_action_unless {
    WR_ACTION_UNLESS_ACKED = 1 << 0,   /* nobody needs to acknowledge it any more */
    WR_ACTION_UNLESS_CLEARED = 1 << 1, /* its condition has ended */
};

#define WR_ACTION_FILE_KEEP_MAX 20

struct wr_action_exec_spec {
    const char *const *argv; /* NULL-terminated; no shell, texts as they are */
    uint32_t argc;
};

struct wr_action_mqtt_spec {
    const char *topic; /* template */
    uint8_t qos;
    bool retain; /* a state topic: the broker keeps the last one */
    bool clear;  /* with retain: normal is an empty message, which takes the topic away */
};

struct wr_action_webhook_spec {
    const char *url;            /* template behind the host */
    const char *method;         /* "POST" or "PUT" */
    const char *ca;             /* NULL: the system's authorities */
    const char *secret_file;    /* NULL: not signed */
    const char *token_file;     /* NULL: none; sent as Authorization: Bearer */
    const char *const *headers; /* name, value, name, value ..., NULL */
};

struct wr_action_file_spec {
    const char *path;   /* template */
    bool line;          /* for people; else JSON */
    uint64_t max_bytes; /* then it is renamed to path.1 */
    uint32_t keep;      /* so many of those */
};

struct wr_action_spec {
    enum wr_action_kind kind;
    uint32_t at;           /* 1u << enum wr_alarm_cause */
    int64_t after_ns;      /* 0: at once */
    uint8_t unless;        /* enum wr_action_unless; 0: in any case */
    int64_t timeout_ns;    /* exec, webhook: of one try */
    struct wr_retry retry; /* exec, webhook, file */
    const char *target;    /* actions of one kind and target share a queue; NULL: log */
    union {
        struct wr_action_exec_spec exec;
        struct wr_action_mqtt_spec mqtt;
        struct wr_action_webhook_spec webhook;
        struct wr_action_file_spec file;
    };
};

/* Whether an action with `after` has become needless: its alarm is in this state. */
static inline bool wr_action_is_needless(uint8_t unless, enum wr_alarm_state state) {
    const bool acked = state == WR_ALARM_NORMAL || state == WR_ALARM_ACKED || state == WR_ALARM_LATCHED_ACK;
    const bool cleared = state != WR_ALARM_UNACK && state != WR_ALARM_ACKED;
    return ((unless & WR_ACTION_UNLESS_ACKED) && acked) || ((unless & WR_ACTION_UNLESS_CLEARED) && cleared);
}

static inline bool wr_action_wants(const struct wr_action_spec *action, enum wr_alarm_cause cause) {
    return action->at >> cause & 1u;
}

/* What keeps a state takes every change of it; what notifies, those that somebody is to be told of: and who asks for the moment of the
 * suppression itself wants to know. */
static inline bool wr_action_is_wanted(const struct wr_action_spec *action, const struct wr_alarm *alarm) {
    const enum wr_alarm_cause cause = (enum wr_alarm_cause)alarm->cause;
    const bool keeps = action->kind == WR_ACTION_MQTT && action->mqtt.retain;
    const bool asked = cause == WR_ALARM_SUPPRESSED || cause == WR_ALARM_UNSUPPRESSED;
    return wr_action_wants(action, cause) && (keeps || asked || wr_alarm_is_annunciated(alarm));
}

#endif
