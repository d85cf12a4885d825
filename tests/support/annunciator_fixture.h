/* An annunciator with a host of a few made-up alarms and a virtual time: for tests that need no rules in words. */
#ifndef WEIR_TESTS_SUPPORT_ANNUNCIATOR_FIXTURE_H
#define WEIR_TESTS_SUPPORT_ANNUNCIATOR_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/alarms/annunciator_private.h"

#define DESK_SECOND INT64_C(1000000000)
#define DESK_MINUTE (60 * DESK_SECOND)
#define DESK_HOUR (3600 * DESK_SECOND)
#define DESK_WALL INT64_C(1772438400000000000) /* 2026-03-02T08:00:00Z */
#define DESK_ALARMS 64
#define DESK_LOG 4096

struct desk_alarm {
    uint32_t rule;
    const char *labels;
    uint8_t state;
    uint8_t severity;
    uint64_t transition;
};

struct desk {
    struct wr_ruleset rules;
    struct wr_rule rule[8];
    struct wr_rule *rule_list[8];
    struct wr_selector match[4];
    struct wr_suppress suppress[4];
    struct wr_group group[2];
    struct desk_alarm alarms[DESK_ALARMS];
    struct wr_annunciator *annunciator;
    struct wr_now now;
    struct wr_alarm log[DESK_LOG];
    uint32_t n_log;
    uint32_t room;
    struct wr_alarm_entry entries[64];
};

static inline void desk_look(void *user, uint32_t alarm, struct wr_annunciator_view *ret_view) {
    const struct desk *desk = user;
    const struct desk_alarm *at = &desk->alarms[alarm];
    *ret_view = (struct wr_annunciator_view){.rule = at->rule, .labels = at->labels, .state = at->state, .severity = at->severity};
}

static inline void desk_fill(struct desk *desk, uint32_t alarm, uint8_t from, enum wr_alarm_cause cause, struct wr_alarm_entry *entry) {
    struct desk_alarm *at = &desk->alarms[alarm];
    memset(entry, 0, sizeof *entry);
    snprintf(entry->alarm.rule, sizeof entry->alarm.rule, "%s", desk->rule[at->rule].name);
    snprintf(entry->alarm.instance, sizeof entry->alarm.instance, "%s", at->labels);
    entry->alarm.id = wr_alarm_id(entry->alarm.rule, entry->alarm.instance);
    entry->alarm.transition = ++at->transition;
    entry->alarm.from = from;
    entry->alarm.to = at->state;
    entry->alarm.severity = at->severity;
    entry->alarm.cause = (uint8_t)cause;
    entry->alarm.wall_ns = desk->now.wall_ns;
}

static inline void desk_tell(void *user, uint32_t alarm, enum wr_alarm_cause cause, const struct wr_now *now,
                             struct wr_alarm_entry *entry) {
    struct desk *desk = user;
    assert_int_equal(now->boot_ns, desk->now.boot_ns);
    desk_fill(desk, alarm, desk->alarms[alarm].state, cause, entry);
    entry->snap_len = wr_annunciator_encode(desk->annunciator, alarm, now, entry->snap);
}

static inline void desk_open(struct desk *desk) {
    const struct wr_annunciator_host host = {.user = desk, .look = desk_look, .tell = desk_tell};
    assert_int_equal(wr_annunciator_new(&desk->rules, &host, &desk->annunciator, NULL), WR_OK);
}

/* Rules r0 ... r7 that may be shelved for eight hours; everything else is for the test to set before desk_open. */
static inline void desk_init(struct desk *desk) {
    static const char *const names[] = {"r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7"};
    memset(desk, 0, sizeof *desk);
    desk->now = (struct wr_now){.boot_ns = 1000 * DESK_SECOND, .wall_ns = DESK_WALL, .wall_trusted = true};
    desk->room = 8;
    for (unsigned i = 0; i < 8; i++) {
        desk->rule[i].name = names[i];
        desk->rule[i].shelve_max_ns = 8 * DESK_HOUR;
        desk->rule_list[i] = &desk->rule[i];
    }
    desk->rules.rules = desk->rule_list;
    desk->rules.n_rules = 8;
    desk->rules.suppresses = desk->suppress;
    desk->rules.groups = desk->group;
    for (unsigned i = 0; i < DESK_ALARMS; i++)
        desk->alarms[i].labels = "";
}

static inline void desk_fini(struct desk *desk) {
    assert_true(wr_annunciator_is_valid(desk->annunciator));
    wr_annunciator_free(desk->annunciator);
}

static inline void desk_log(struct desk *desk, const struct wr_alarm *alarm) {
    assert_true(desk->n_log < DESK_LOG);
    desk->log[desk->n_log++] = *alarm;
}

/* Everything that is due now. */
static inline void desk_run(struct desk *desk) {
    for (bool more = true; more;) {
        struct wr_alarm_out out = {.entries = desk->entries, .cap = desk->room};
        enum wr_result result = wr_annunciator_timers(desk->annunciator, &desk->now, 4, &out, &more);
        assert_true(result == WR_OK || (result == WR_FULL && out.n == out.cap && more));
        for (uint32_t i = 0; i < out.n; i++)
            desk_log(desk, &out.entries[i].alarm);
    }
    assert_true(wr_annunciator_next_timer(desk->annunciator) > desk->now.boot_ns);
    assert_true(wr_annunciator_is_valid(desk->annunciator));
}

/* Time passes, timer by timer. */
static inline void desk_wait(struct desk *desk, int64_t ns) {
    int64_t until = desk->now.boot_ns + ns;
    desk_run(desk);
    for (;;) {
        int64_t next = wr_annunciator_next_timer(desk->annunciator);
        if (next > until)
            break;
        desk->now.wall_ns += next - desk->now.boot_ns;
        desk->now.boot_ns = next;
        desk_run(desk);
    }
    desk->now.wall_ns += until - desk->now.boot_ns;
    desk->now.boot_ns = until;
}

/* A transition of the evaluator's. Returns its silent bits. */
static inline uint8_t desk_go(struct desk *desk, uint32_t alarm, enum wr_alarm_state to, enum wr_alarm_cause cause) {
    struct wr_alarm_entry entry;
    uint8_t from = desk->alarms[alarm].state;
    desk->alarms[alarm].state = (uint8_t)to;
    desk_fill(desk, alarm, from, cause, &entry);
    wr_annunciator_take(desk->annunciator, alarm, desk->alarms[alarm].rule, &entry, &desk->now);
    desk_log(desk, &entry.alarm);
    assert_true(wr_annunciator_is_valid(desk->annunciator));
    return entry.alarm.silent;
}

static inline uint8_t desk_raise(struct desk *desk, uint32_t alarm) {
    return desk_go(desk, alarm, WR_ALARM_UNACK, WR_ALARM_RAISED);
}
static inline uint8_t desk_ack(struct desk *desk, uint32_t alarm) {
    bool condition = wr_annunciated_condition(desk->alarms[alarm].state);
    return desk_go(desk, alarm, condition ? WR_ALARM_ACKED : WR_ALARM_NORMAL, WR_ALARM_ACKNOWLEDGED);
}
static inline uint8_t desk_clear(struct desk *desk, uint32_t alarm) {
    return desk_go(desk, alarm, desk->alarms[alarm].state == WR_ALARM_ACKED ? WR_ALARM_NORMAL : WR_ALARM_RTN_UNACK, WR_ALARM_CLEARED);
}

static inline enum wr_result desk_order(struct desk *desk, uint32_t alarm, enum wr_alarm_order_kind kind, const char *why, int64_t for_ns,
                                        struct wr_error *err) {
    const struct wr_alarm_order order = {.kind = kind, .by_whom = "ana", .why = why, .until_wall_ns = desk->now.wall_ns + for_ns};
    struct wr_alarm_entry entry;
    enum wr_result result = wr_annunciator_order(desk->annunciator, alarm, &order, &desk->now, &entry, err);
    if (result == WR_OK)
        desk_log(desk, &entry.alarm);
    assert_true(wr_annunciator_is_valid(desk->annunciator));
    return result;
}

/* How many entries of this cause (of the whole log) were to be told. */
static inline uint32_t desk_told(const struct desk *desk, enum wr_alarm_cause cause) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < desk->n_log; i++)
        n += desk->log[i].cause == cause && wr_alarm_is_annunciated(&desk->log[i]);
    return n;
}

static inline const struct wr_alarm *desk_last(const struct desk *desk) {
    assert_true(desk->n_log > 0);
    return &desk->log[desk->n_log - 1];
}

#endif
