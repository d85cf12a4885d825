/* The alarm transition: one step of one alarm's state machine, as actions, journal and receivers see it.
 *
 * Source: ISA-18.2 / IEC 62682 for the states; docs/alarms.md has the table.
 * Ownership: plain value, no pointers: copied through channels.
 * Limits: texts are cut to their arrays, at a character boundary.
 */
#ifndef WEIR_CORE_ALARM_H
#define WEIR_CORE_ALARM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/result.h"

enum wr_alarm_state {
    WR_ALARM_NORMAL = 0,
    WR_ALARM_PENDING = 1, /* not annunciated */
    WR_ALARM_UNACK = 2,
    WR_ALARM_ACKED = 3,
    WR_ALARM_RTN_UNACK = 4,
    WR_ALARM_LATCHED_UNACK = 5,
    WR_ALARM_LATCHED_ACK = 6,
    WR_ALARM_STATES = 7,
};

enum wr_severity {
    WR_SEVERITY_LOW = 0,
    WR_SEVERITY_MEDIUM = 1,
    WR_SEVERITY_HIGH = 2,
    WR_SEVERITY_CRITICAL = 3,
};

/* What made the transition: the `at` of actions. */
enum wr_alarm_cause {
    WR_ALARM_RAISED = 1,
    WR_ALARM_CLEARED = 2, /* the condition ended */
    WR_ALARM_ACKNOWLEDGED = 3,
    WR_ALARM_RESET = 4,
    WR_ALARM_ESCALATED = 5,
    WR_ALARM_REPEATED = 6,     /* re-alarm: the only one that may be dropped */
    WR_ALARM_RULE_CHANGED = 7, /* closed by a reload */
    WR_ALARM_DATA_STALE = 8,   /* shown on the alarm, no change of state */
    WR_ALARM_DATA_RETURNED = 9,
    WR_ALARM_DEESCALATED = 10, /* a lower level */
    WR_ALARM_SHELVED = 11,     /* these six: no change of state, who is told changes */
    WR_ALARM_UNSHELVED = 12,
    WR_ALARM_SUPPRESSED = 13,
    WR_ALARM_UNSUPPRESSED = 14,
    WR_ALARM_OUT_OF_SERVICE = 15,
    WR_ALARM_RETURNED = 16,
    WR_ALARM_ACTION_FAILED = 17, /* a dead letter: what was to be done at a transition, and was not. In the journal only */
    WR_ALARM_CAUSES = 18,
};

/* Why an alarm is evaluated and journalled but not annunciated: one bit each. */
enum wr_alarm_silence {
    WR_ALARM_SILENT_SHELVED = 1 << 0,        /* by an operator, for a time */
    WR_ALARM_SILENT_SUPPRESSED = 1 << 1,     /* its cause is another alarm (`suppress`) */
    WR_ALARM_SILENT_INVALID = 1 << 2,        /* its valid_if is not true */
    WR_ALARM_SILENT_OUT_OF_SERVICE = 1 << 3, /* maintenance */
    WR_ALARM_SILENT_CHATTERING = 1 << 4,     /* backed off: the alarm stays visible */
    WR_ALARM_SILENT_GROUPED = 1 << 5,        /* its group speaks for it, or is in flood */
};

enum wr_alarm_data {
    WR_ALARM_DATA_OK = 0,
    WR_ALARM_DATA_STALE_NOW = 1,
};

#define WR_ALARM_NAME_BYTES 64      /* rule name */
#define WR_ALARM_INSTANCE_BYTES 192 /* "room=A1,site=riga": values of `by`, in its order */
#define WR_ALARM_TEXT_BYTES 256
#define WR_ALARM_LEVEL_BYTES 16
#define WR_ALARM_WHY_BYTES 128

struct wr_alarm {
    char rule[WR_ALARM_NAME_BYTES];
    char instance[WR_ALARM_INSTANCE_BYTES]; /* empty without `by` */
    uint64_t id;                            /* hash of rule and instance: stable across restarts */
    uint64_t transition;                    /* counts up per alarm, for deduplication; survives a restart */
    uint8_t from;                           /* enum wr_alarm_state */
    uint8_t to;
    uint8_t cause;    /* enum wr_alarm_cause */
    uint8_t severity; /* enum wr_severity */
    uint8_t data;     /* enum wr_alarm_data */
    uint8_t silent;   /* enum wr_alarm_silence, bits: not annunciated for these reasons */
    bool historic;    /* on old data: journalled, drives no output */
    bool journalled;  /* set by the agent before a network action */
    bool has_value;
    double value; /* of the series that decided, in its unit */
    bool has_limit;
    double limit;
    char unit[16];
    int64_t event_ns;        /* event time of the reading or timer that caused it, wall */
    int64_t wall_ns;         /* wall time of the decision */
    int64_t arrival_boot_ns; /* boot time at which the cause became readable here: latency = action - arrival; 0: a timer */
    int64_t decided_boot_ns;
    int64_t until_wall_ns;            /* of a shelving: its end; 0: none */
    char by_whom[64];                 /* of an operator command */
    char why[WR_ALARM_WHY_BYTES];     /* of an operator command: the reason, the reference */
    char level[WR_ALARM_LEVEL_BYTES]; /* of a rule with levels: the present one; empty: none */
    char message[WR_ALARM_TEXT_BYTES];
};

#define WR_ALARM_SNAP_BYTES 832

/* A transition together with the alarm's state after it: the store commits both in one transaction, so that a restart finds them equal.
 * The snapshot is opaque to everybody but rules/. Without a transition (alarm.transition == 0) only the snapshot is stored. */
struct wr_alarm_entry {
    struct wr_alarm alarm;
    uint64_t number;   /* in the order of the journal, set by the agent; 0: it is not journalled */
    bool note;         /* a record only: without number, and the snapshot stays as it is */
    uint16_t snap_len; /* 0: forget the snapshot */
    uint8_t snap[WR_ALARM_SNAP_BYTES];
};

const char *wr_alarm_state_name(enum wr_alarm_state state);
const char *wr_alarm_cause_name(enum wr_alarm_cause cause);
const char *wr_severity_name(enum wr_severity severity);
WR_MUST_USE enum wr_result wr_severity_parse(const char *text, enum wr_severity *ret_severity, struct wr_error *err);

/* The name of a silence by its bit: "shelved", ... */
const char *wr_alarm_silence_name(enum wr_alarm_silence bit);

/* Whether somebody is to be told, so that actions run: nothing silences it, or an operator did it (acknowledged, reset, shelved, unshelved,
 * out_of_service, returned). What keeps a state (a retained topic, a list) takes every transition; what notifies, these alone. */
bool wr_alarm_is_annunciated(const struct wr_alarm *alarm);

/* The id of an alarm: a hash of rule and instance, the same across restarts and versions. */
uint64_t wr_alarm_id(const char *rule, const char *instance);

/* `rule{room=A1}` or `rule`. Returns text. */
char *wr_alarm_display(char *text, size_t size, const struct wr_alarm *alarm);

/* Appends the alarm as one JSON object, as `…/alarm`, the journal and `weir alarms --json` show it. */
WR_MUST_USE enum wr_result wr_alarm_to_json(const struct wr_alarm *alarm, struct wr_buf *into);

#endif
