/* What a test expects, from the file's records. */
#include "rules/compile/test_expect.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/compile/rule_schema.h"

/* clang-format off */
const struct wr_yaml_field wr_test_expect_fields[] = {
    STRING(wr_file_test_expect, t, .help = "at this time since the start"),
    STRING(wr_file_test_expect, until, .help = "from the start until this time"),
    STRING(wr_file_test_expect, alarm, .help = "one alarm, as in cold_room_warm{room=A1}"),
    STRING(wr_file_test_expect, none, .help = "a rule: none of its alarms is active"),
    STRING(wr_file_test_expect, rule, .help = "all alarms of a rule, for count and action"),
    STRING(wr_file_test_expect, series, .help = "one series of a derived point, as in dew_margin{room=A1}"),
    STRING(wr_file_test_expect, state, .help = "normal, pending, unack, acked, rtn_unack, latched_unack or latched_ack"),
    STRING(wr_file_test_expect, severity, .help = "low, medium, high or critical"),
    STRING(wr_file_test_expect, level, .help = "the name of its level"),
    STRING(wr_file_test_expect, data, .help = "ok or stale"),
    STRING(wr_file_test_expect, message, .help = "its message; * stands for anything"),
    STRING(wr_file_test_expect, value, .help = "the value that decided; of a series its value, or unknown"),
    STRING(wr_file_test_expect, within, .help = "of a series: so much more or less"),
    {.key = "silent", .kind = WR_YAML_STRINGS, LIST(wr_file_test_expect, silent), .help = "why nobody is told: none, shelved, suppressed, invalid, ..."},
    STRING(wr_file_test_expect, acked, .help = "true or false"),
    STRING(wr_file_test_expect, historic, .help = "true: it comes of old data"),
    STRING(wr_file_test_expect, count, .help = "how many transitions, or actions"),
    STRING(wr_file_test_expect, cause, .help = "of which cause; default raised"),
    STRING(wr_file_test_expect, action, .help = "an action that is run: log, mqtt, webhook ..."),
    END,
};
/* clang-format on */

static const char *const truths[] = {"false", "true"};

/* The record that is read. */
struct reader {
    struct wr_test_compile *tests;
    const struct wr_file_test_expect *record;
    struct wr_test_expect *expect;
    unsigned index;
    char key[64];
};

static const char *key_of(struct reader *reader, const char *name) {
    return wr_test_key(reader->key, "expect", reader->index, name);
}

static bool complain(struct reader *reader, const char *name, const char *hint, const char *message) {
    char record[64];
    snprintf(record, sizeof record, "expect[%u]", reader->index);
    WR_COMPILE_ERROR(reader->tests->compile, 363, name ? key_of(reader, name) : record, hint, "%s", message);
    return false;
}

/* A word that is said of the alarm. */
static int word(struct reader *reader, enum wr_expect_what what, const char *name, const char *text, const char *const *words, size_t n) {
    if (!text)
        return 0;
    int found = wr_test_word(reader->tests, key_of(reader, name), text, words, n);
    reader->expect->what |= 1u << what;
    reader->expect->places[what] = wr_compile_where(reader->tests->compile, reader->key);
    return found < 0 ? 0 : found;
}

static void text(struct reader *reader, enum wr_expect_what what, const char *name, const char *given, const char **ret_text) {
    if (!given)
        return;
    *ret_text = wr_compile_copy(reader->tests->compile, given);
    reader->expect->what |= 1u << what;
    reader->expect->places[what] = wr_compile_where(reader->tests->compile, key_of(reader, name));
}

/* NAN after a complaint. */
static double number(struct reader *reader, const char *name, const char *given, const char *hint) {
    char *end;
    const double value = strtod(given, &end);
    if (end != given && !*end && isfinite(value))
        return value;
    (void)complain(reader, name, hint, "expected a number");
    return NAN;
}

static void read_value(struct reader *reader) {
    const char *given = reader->record->value;
    if (!given)
        return;
    const bool series = reader->record->series != NULL;
    reader->expect->value =
        series && strcmp(given, "unknown") == 0
            ? (double)NAN
            : number(reader, "value", given,
                     series ? "without its unit, in the unit of the point; or unknown" : "without its unit, in the unit of the message");
    reader->expect->what |= 1u << WR_EXPECT_VALUE;
    reader->expect->places[WR_EXPECT_VALUE] = wr_compile_where(reader->tests->compile, key_of(reader, "value"));
}

static void read_silent(struct reader *reader) {
    const char *names[] = {"none",
                           wr_alarm_silence_name(WR_ALARM_SILENT_SHELVED),
                           wr_alarm_silence_name(WR_ALARM_SILENT_SUPPRESSED),
                           wr_alarm_silence_name(WR_ALARM_SILENT_INVALID),
                           wr_alarm_silence_name(WR_ALARM_SILENT_OUT_OF_SERVICE),
                           wr_alarm_silence_name(WR_ALARM_SILENT_CHATTERING),
                           wr_alarm_silence_name(WR_ALARM_SILENT_GROUPED)};
    for (unsigned i = 0; i < reader->record->n_silent; i++) {
        int found = word(reader, WR_EXPECT_SILENT, "silent", reader->record->silent[i], names, sizeof names / sizeof names[0]);
        if (found == 0 && reader->record->n_silent > 1) {
            (void)complain(reader, "silent", NULL, "`none` stands alone: somebody is told, or there is a reason why not");
            return;
        }
        if (found > 0)
            reader->expect->silent |= (uint8_t)(1u << (found - 1));
    }
}

static void read_what(struct reader *reader) {
    const struct wr_file_test_expect *record = reader->record;
    struct wr_test_expect *expect = reader->expect;
    static const char *const data[] = {"ok", "stale"};
    static const char *const severities[] = {"low", "medium", "high", "critical"};
    const char *states[WR_ALARM_STATES];
    for (int i = 0; i < WR_ALARM_STATES; i++)
        states[i] = wr_alarm_state_name((enum wr_alarm_state)i);
    expect->state = (enum wr_alarm_state)word(reader, WR_EXPECT_STATE, "state", record->state, states, WR_ALARM_STATES);
    expect->severity = (enum wr_severity)word(reader, WR_EXPECT_SEVERITY, "severity", record->severity, severities, 4);
    expect->data = (enum wr_alarm_data)word(reader, WR_EXPECT_DATA, "data", record->data, data, 2);
    expect->acked = word(reader, WR_EXPECT_ACKED, "acked", record->acked, truths, 2) == 1;
    expect->historic = word(reader, WR_EXPECT_HISTORIC, "historic", record->historic, truths, 2) == 1;
    text(reader, WR_EXPECT_LEVEL, "level", record->level, &expect->level);
    text(reader, WR_EXPECT_MESSAGE, "message", record->message, &expect->message);
    read_value(reader);
    read_silent(reader);
}

/* The key that names the alarm. False after a complaint. */
static bool read_alarm(struct reader *reader) {
    const struct wr_file_test_expect *record = reader->record;
    struct wr_test_expect *expect = reader->expect;
    if (expect->kind == WR_EXPECT_POINT) {
        expect->alarm = wr_compile_copy(reader->tests->compile, record->series);
        expect->selector = wr_test_point(reader->tests, key_of(reader, "series"), record->series);
        return expect->selector != NULL;
    }
    const char *name = record->none ? "none" : record->alarm ? "alarm" : "rule";
    const char *given = record->none ? record->none : record->alarm ? record->alarm : record->rule;
    if (!given)
        return complain(reader, NULL, "as in {t: 10m, alarm: \"cold_room_warm{room=A1}\", state: unack}",
                        "an expectation names an alarm, `none: rule`, or `rule` with a count");
    if ((record->none != NULL) + (record->alarm != NULL) + (record->rule != NULL) > 1)
        return complain(reader, NULL, NULL, "`alarm`, `none` and `rule` exclude each other");
    const bool one = expect->kind == WR_EXPECT_ALARM;
    expect->alarm = wr_compile_copy(reader->tests->compile, given);
    expect->selector = wr_test_alarm(reader->tests, key_of(reader, name), given, one);
    return expect->selector != NULL;
}

static bool read_count(struct reader *reader) {
    const char *given = reader->record->count;
    char *end;
    errno = 0;
    unsigned long n = strtoul(given, &end, 10);
    reader->expect->count_at = wr_compile_where(reader->tests->compile, key_of(reader, "count"));
    if (end == given || *end || given[0] == '-' || errno || n > WR_TEST_SAMPLES)
        return complain(reader, "count", NULL, "expected a number of 0 or more");
    reader->expect->count = (uint32_t)n;
    return true;
}

static bool read_cause(struct reader *reader) {
    reader->expect->cause = WR_ALARM_RAISED;
    if (!reader->record->cause)
        return true;
    const char *causes[WR_ALARM_CAUSES - 1];
    for (int i = 1; i < WR_ALARM_CAUSES; i++)
        causes[i - 1] = wr_alarm_cause_name((enum wr_alarm_cause)i);
    int found = wr_test_word(reader->tests, key_of(reader, "cause"), reader->record->cause, causes, WR_ALARM_CAUSES - 1);
    reader->expect->cause = (enum wr_alarm_cause)(found + 1);
    return found >= 0;
}

static bool read_action(struct reader *reader) {
    int found = wr_test_word(reader->tests, key_of(reader, "action"), reader->record->action, wr_action_kind_names, WR_ACTION_KINDS);
    reader->expect->action = found;
    return found >= 0;
}

/* The value of a derived point. */
static bool read_point(struct reader *reader) {
    const struct wr_file_test_expect *record = reader->record;
    struct wr_test_expect *expect = reader->expect;
    const bool more = record->alarm || record->none || record->rule || record->count || record->cause || record->action;
    expect->kind = WR_EXPECT_POINT;
    if (expect->what != 1u << WR_EXPECT_VALUE || more)
        return complain(reader, "series", "{t: 10m, series: \"dew_margin{room=A1}\", value: 4.2, within: 0.1}",
                        "`series` goes with `value` and `within` only");
    expect->within = record->within ? number(reader, "within", record->within, "without its unit, in the unit of the point") : -1;
    return !record->within || expect->within >= 0 || isnan(expect->within) ||
           complain(reader, "within", NULL, "so much more or less: not below 0");
}

/* What is counted, or asked: what excludes what. */
static bool read_kind(struct reader *reader) {
    const struct wr_file_test_expect *record = reader->record;
    struct wr_test_expect *expect = reader->expect;
    if (record->series)
        return read_point(reader);
    if (record->within)
        return complain(reader, "within", NULL, "`within` goes with `series` and `value`");
    if (record->none) {
        expect->kind = WR_EXPECT_NONE;
        return (!record->count && !record->action && expect->what == 0) ||
               complain(reader, "none", NULL, "`none` stands alone: no alarm of the rule is active");
    }
    if (record->action) {
        expect->kind = WR_EXPECT_ACTION;
        if (expect->what != 0 || record->cause)
            return complain(reader, "action", "{t: 10m, action: mqtt, alarm: ...}",
                            "`action` goes with `alarm` or `rule` and `count` only");
        return read_action(reader) && (!record->count || read_count(reader));
    }
    if (record->count || record->cause) {
        expect->kind = WR_EXPECT_COUNT;
        if ((expect->what & ~(1u << WR_EXPECT_SILENT)) != 0)
            return complain(reader, NULL, NULL, "`count` goes with `cause` and `silent` only");
        if (!record->count || !record->until)
            return complain(reader, record->count ? "count" : "cause", "{until: 16m, count: 2, rule: cold_room_warm}",
                            "transitions are counted with `until` and `count`");
        return read_count(reader) && read_cause(reader);
    }
    expect->kind = WR_EXPECT_ALARM;
    if (expect->what == 0)
        return complain(reader, NULL, "add state: unack", "what is expected of the alarm?");
    return record->alarm != NULL || complain(reader, NULL, "alarm: \"cold_room_warm{room=A1}\"", "say which alarm is meant");
}

static bool read_time(struct reader *reader) {
    const struct wr_file_test_expect *record = reader->record;
    const char *name = record->t ? "t" : "until";
    if (!record->t == !record->until)
        return complain(reader, NULL, NULL, "an expectation has one of `t` and `until`");
    if (record->until && reader->expect->kind != WR_EXPECT_COUNT && reader->expect->kind != WR_EXPECT_ACTION)
        return complain(reader, "until", NULL, "`until` goes with `count` or `action`: at one time it is `t`");
    reader->expect->exact = record->t != NULL;
    return wr_test_time(reader->tests, key_of(reader, name), record->t ? record->t : record->until, &reader->expect->t_ns);
}

static int by_time(const void *a, const void *b) {
    const struct wr_test_expect *left = a;
    const struct wr_test_expect *right = b;
    if (left->t_ns != right->t_ns)
        return left->t_ns > right->t_ns ? 1 : -1;
    if (left->at.line != right->at.line)
        return left->at.line > right->at.line ? 1 : -1;
    return (left->at.column > right->at.column) - (left->at.column < right->at.column);
}

bool wr_test_compile_expects(struct wr_test_compile *tests) {
    struct wr_test *test = tests->test;
    const struct wr_file_test *record = tests->record;
    test->expects = wr_arena_take(&tests->compile->ruleset->arena, (record->n_expect + 1) * sizeof *test->expects);
    if (!test->expects)
        return false;
    if (record->n_expect == 0)
        WR_COMPILE_ERROR(tests->compile, 363, "expect", NULL, "a test expects something");
    for (unsigned i = 0; i < record->n_expect; i++) {
        struct wr_test_expect *expect = &test->expects[test->n_expects];
        struct reader reader = {.tests = tests, .record = &record->expect[i], .expect = expect, .index = i};
        char key[64];
        snprintf(key, sizeof key, "expect[%u]", i);
        *expect = (struct wr_test_expect){.at = wr_compile_where(tests->compile, key), .count = UINT32_MAX};
        read_what(&reader);
        if (read_kind(&reader) && read_alarm(&reader) && read_time(&reader))
            test->n_expects++;
    }
    if (test->n_expects > 1)
        qsort(test->expects, test->n_expects, sizeof *test->expects, by_time);
    return true;
}
