/* Whether an expectation is met, and what was there if it is not. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "rules/alarms/alarm_state.h"
#include "rules/compile/compiled.h"
#include "rules/testing/acts.h"
#include "rules/testing/run.h"

#define SIX_DIGITS 5e-6 /* what messages show of a value */
#define WHOSE_BYTES 300

static bool miss(struct wr_test_failure *failure, const struct wr_position *at, const char *format, ...) WR_PRINTF(3, 4);

/* Says what was there, behind what was said before; the place is that of the first. */
static bool miss(struct wr_test_failure *failure, const struct wr_position *at, const char *format, ...) {
    const size_t len = strlen(failure->message);
    va_list arguments;
    if (len > 0)
        snprintf(failure->message + len, sizeof failure->message - len, "; ");
    else if (at && at->line > 0)
        failure->at = *at;
    va_start(arguments, format);
    vsnprintf(failure->message + strlen(failure->message), sizeof failure->message - strlen(failure->message), format, arguments);
    va_end(arguments);
    return false;
}

/* "cold_room_warm{room=A1}: ", once. */
static const char *whose(const struct wr_test_expect *expect, const struct wr_test_failure *failure, char *text, size_t size) {
    snprintf(text, size, "%s%s", failure->message[0] ? "" : expect->alarm, failure->message[0] ? "" : ": ");
    return text;
}

static const char *silence_text(uint8_t silent, char *text, size_t size) {
    snprintf(text, size, "%s", silent ? "" : "none");
    for (unsigned bit = 0; bit < 6; bit++)
        if (silent >> bit & 1)
            snprintf(text + strlen(text), size - strlen(text), "%s%s", text[0] ? ", " : "",
                     wr_alarm_silence_name((enum wr_alarm_silence)(1u << bit)));
    return text;
}

static bool silence_fits(const struct wr_test_expect *expect, const struct wr_alarm *told) {
    if (!(expect->what >> WR_EXPECT_SILENT & 1))
        return true;
    return expect->silent ? (told->silent & expect->silent) == expect->silent : !told->silent;
}

static bool is_acked(enum wr_alarm_state state) {
    return state == WR_ALARM_ACKED || state == WR_ALARM_LATCHED_ACK;
}

/* One of the words of an alarm. */
static bool word_is(const struct wr_test_expect *expect, enum wr_expect_what what, struct wr_test_failure *failure, bool equal,
                    const char *name, const char *is, const char *expected) {
    if (!(expect->what >> what & 1) || equal)
        return true;
    char alarm[WHOSE_BYTES];
    return miss(failure, &expect->places[what], "%sthe %s is %s, expected %s", whose(expect, failure, alarm, sizeof alarm), name,
                is[0] ? is : "empty", expected);
}

static bool meets_value(const struct wr_test_expect *expect, const struct wr_alarm *alarm, struct wr_test_failure *failure) {
    char whole[WHOSE_BYTES];
    if (!(expect->what >> WR_EXPECT_VALUE & 1) ||
        (alarm->has_value && fabs(alarm->value - expect->value) <= SIX_DIGITS * fabs(expect->value) + 1e-12))
        return true;
    const char *alarm_text = whose(expect, failure, whole, sizeof whole);
    if (!alarm->has_value)
        return miss(failure, &expect->places[WR_EXPECT_VALUE], "%sit has no value, expected %.6g", alarm_text, expect->value);
    return miss(failure, &expect->places[WR_EXPECT_VALUE], "%sthe value is %.6g%s%s, expected %.6g", alarm_text, alarm->value,
                alarm->unit[0] ? " " : "", alarm->unit, expect->value);
}

static bool meets_alarm(const struct wr_world *world, const struct wr_test_expect *expect, struct wr_test_failure *failure) {
    static const char *const data[] = {"ok", "stale"};
    static const char *const truth[] = {"false", "true"};
    struct wr_alarm_entry entry;
    const struct wr_alarm *alarm = &entry.alarm;
    char is[120], expected[120];
    if (!wr_world_alarm(world, expect->selector, &entry))
        return miss(failure, NULL, "%s: no sample made such an alarm", expect->alarm);
    const enum wr_alarm_state state = (enum wr_alarm_state)alarm->to;
    const bool acked_so = expect->acked ? is_acked(state) : wr_alarm_state_wants_ack(state);
    bool met = true;
    met &= word_is(expect, WR_EXPECT_STATE, failure, state == expect->state, "state", wr_alarm_state_name(state),
                   wr_alarm_state_name(expect->state));
    met &= word_is(expect, WR_EXPECT_SEVERITY, failure, alarm->severity == expect->severity, "severity",
                   wr_severity_name((enum wr_severity)alarm->severity), wr_severity_name(expect->severity));
    met &= word_is(expect, WR_EXPECT_LEVEL, failure, !expect->level || strcmp(alarm->level, expect->level) == 0, "level", alarm->level,
                   expect->level);
    met &= word_is(expect, WR_EXPECT_DATA, failure, alarm->data == expect->data, "data", data[alarm->data & 1], data[expect->data & 1]);
    met &= word_is(expect, WR_EXPECT_ACKED, failure, acked_so, "state", wr_alarm_state_name(state),
                   expect->acked ? "one that is acknowledged" : "one that waits to be acknowledged");
    met &= word_is(expect, WR_EXPECT_SILENT, failure, silence_fits(expect, alarm), "silence", silence_text(alarm->silent, is, sizeof is),
                   silence_text(expect->silent, expected, sizeof expected));
    met &= word_is(expect, WR_EXPECT_HISTORIC, failure, alarm->historic == expect->historic, "mark historic", truth[alarm->historic],
                   truth[expect->historic]);
    met &= word_is(expect, WR_EXPECT_MESSAGE, failure, !expect->message || wr_glob_match(expect->message, alarm->message), "message",
                   alarm->message, expect->message);
    met &= meets_value(expect, alarm, failure);
    return met;
}

static bool meets_none(const struct wr_world *world, const struct wr_test_expect *expect, struct wr_test_failure *failure) {
    struct wr_alarm_entry entry;
    uint32_t cursor = 0;
    char shown[300];
    if (!wr_world_next_active(world, expect->selector, &cursor, &entry))
        return true;
    return miss(failure, NULL, "%s is %s, expected none", wr_alarm_display(shown, sizeof shown, &entry.alarm),
                wr_alarm_state_name((enum wr_alarm_state)entry.alarm.to));
}

/* `silent: none` counts those that somebody is told of: of old data nobody is. */
static bool is_counted(const struct wr_test_expect *expect, const struct wr_alarm *told) {
    const bool spoken = (expect->what >> WR_EXPECT_SILENT & 1) && !expect->silent;
    return silence_fits(expect, told) && !(spoken && told->historic);
}

static bool meets_count(const struct wr_world *world, const struct wr_test_expect *expect, struct wr_test_failure *failure) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < world->n_told; i++) {
        const struct wr_alarm *told = &world->told[i];
        n += told->cause == expect->cause && is_counted(expect, told) && wr_evaluator_selects(expect->selector, told->rule, told->instance);
    }
    return n == expect->count || miss(failure, &expect->count_at, "%s: %u times %s, expected %u", expect->alarm, n,
                                      wr_alarm_cause_name(expect->cause), expect->count);
}

static bool meets_action(const struct wr_world *world, const struct wr_test_expect *expect, struct wr_test_failure *failure) {
    const uint32_t n =
        wr_world_actions(world, expect->selector, (enum wr_action_kind)expect->action, expect->exact ? expect->t_ns : 0, expect->t_ns);
    if (expect->count == UINT32_MAX)
        return n > 0 || miss(failure, NULL, "%s: no such action was run%s", expect->alarm, expect->exact ? " at this time" : "");
    return n == expect->count || miss(failure, &expect->count_at, "%s: %u actions were run, expected %u", expect->alarm, n, expect->count);
}

/* Prometheus fires while the condition is true, whoever has acknowledged it. */
static bool is_firing(const struct wr_alarm *alarm) {
    return alarm->to == WR_ALARM_UNACK || alarm->to == WR_ALARM_ACKED;
}

static bool meets_firing(const struct wr_world *world, const struct wr_test_expect *expect, struct wr_test_failure *failure) {
    struct wr_alarm_entry entry;
    char shown[300];
    uint32_t n = 0;
    for (uint32_t cursor = 0; wr_world_next_active(world, expect->selector, &cursor, &entry);) {
        bool expected = false;
        for (uint32_t i = 0; i < expect->n_firing; i++)
            expected |= wr_evaluator_selects(expect->firing[i].selector, entry.alarm.rule, entry.alarm.instance);
        if (!is_firing(&entry.alarm))
            continue;
        if (!expected)
            return miss(failure, NULL, "%s fires, expected not to", wr_alarm_display(shown, sizeof shown, &entry.alarm));
        n++;
    }
    for (uint32_t i = 0; i < expect->n_firing; i++) {
        const struct wr_test_firing *firing = &expect->firing[i];
        bool found = false;
        for (uint32_t cursor = 0; !found && wr_world_next_active(world, firing->selector, &cursor, &entry);)
            found = is_firing(&entry.alarm);
        if (!found)
            return miss(failure, &firing->at, "%s does not fire", firing->shown);
        if (firing->has_severity && entry.alarm.severity != firing->severity)
            return miss(failure, &firing->at, "%s: the severity is %s, expected %s", firing->shown,
                        wr_severity_name((enum wr_severity)entry.alarm.severity), wr_severity_name(firing->severity));
    }
    return n == expect->n_firing || miss(failure, NULL, "%s: %u fire, expected %u", expect->alarm, n, expect->n_firing);
}

static bool meets_point(const struct wr_world *world, const struct wr_test_expect *expect, struct wr_test_failure *failure) {
    const char *unit;
    double value;
    char expected[40] = "unknown";
    if (!wr_world_point(world, expect->selector, &value, &unit))
        return miss(failure, NULL, "%s: no sample made such a series", expect->alarm);
    const double within = expect->within >= 0 ? expect->within : SIX_DIGITS * fabs(expect->value) + 1e-12;
    if (isnan(value) ? isnan(expect->value) : fabs(value - expect->value) <= within * (1 + 1e-12))
        return true;
    if (!isnan(expect->value))
        snprintf(expected, sizeof expected, "%.6g", expect->value);
    if (isnan(value))
        return miss(failure, &expect->places[WR_EXPECT_VALUE], "%s is unknown, expected %s", expect->alarm, expected);
    return miss(failure, &expect->places[WR_EXPECT_VALUE], "%s is %.6g%s%s, expected %s", expect->alarm, value, unit[0] ? " " : "", unit,
                expected);
}

bool wr_test_met(const struct wr_world *world, const struct wr_test *test, const struct wr_test_expect *expect,
                 struct wr_test_failure *failure) {
    (void)test;
    switch (expect->kind) {
    case WR_EXPECT_ALARM:
        return meets_alarm(world, expect, failure);
    case WR_EXPECT_NONE:
        return meets_none(world, expect, failure);
    case WR_EXPECT_COUNT:
        return meets_count(world, expect, failure);
    case WR_EXPECT_ACTION:
        return meets_action(world, expect, failure);
    case WR_EXPECT_POINT:
        return meets_point(world, expect, failure);
    case WR_EXPECT_FIRING:
        return meets_firing(world, expect, failure);
    }
    return false;
}
