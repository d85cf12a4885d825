/* suppress, groups and operators' commands in rules as people write them: what is wrong with them, and what they do. */
#include "tests/support/failing.h"
#include "tests/support/rules_fixture.h"

#define S FIXTURE_SECOND
#define ROOMS "tables:\n  - {name: rooms, csv: " WEIR_SOURCE_DIR "/packaging/examples/rooms.csv, key: room}\n"
#define RULES                                                                                                                              \
    "rules:\n"                                                                                                                             \
    "  - {rule: gw_down, when: gw_age > 30, by: gw, severity: high}\n"                                                                     \
    "  - {rule: warm, when: temp > 8, by: room, severity: medium}\n"                                                                       \
    "  - {rule: fire, when: smoke > 1, by: room, severity: critical}\n"                                                                    \
    "  - {rule: spark, when: arc > 1, by: room, severity: critical, shelve_max: 10m}\n"

/* -- what is wrong ------------------------------------------------------------------------------------------------------------------------- */

static const char *complaints_of(const char *text) {
    static char shown[4096];
    struct wr_diagnostics diagnostics;
    struct wr_ruleset *rules = NULL;
    struct wr_error err;
    struct wr_buf buf;
    wr_diagnostics_init(&diagnostics);
    enum wr_result result = wr_ruleset_load_text("r.yaml", text, strlen(text), NULL, &diagnostics, &rules, &err);
    wr_buf_init(&buf, 0);
    assert_int_equal(wr_diagnostics_render(&diagnostics, false, &buf), WR_OK);
    snprintf(shown, sizeof shown, "%s%s", result == WR_OK ? "" : "refused: ", wr_buf_str(&buf));
    wr_buf_fini(&buf);
    wr_diagnostics_fini(&diagnostics);
    wr_ruleset_free(rules);
    return shown;
}

static void errors(void **state) {
    (void)state;
    static const char *const table[][2] = {
        {"suppress:\n  - {cause: gw_dwn, equal: gw}\n", "9:13: error W350: there is no rule 'gw_dwn'"},
        {"suppress:\n  - {cause: gw_down, match: \"rule!=gw\", equal: gw}\n", "W350: there is no rule 'gw'"},
        {"suppress:\n  - {cause: gw_down, match: \"rule!\"}\n", "9:34: error W351: expected != or !~"},
        {"suppress:\n  - {cause: gw_down, match: \"severity=hgih\"}\n", "W351: 'hgih' is no severity"},
        {"suppress:\n  - {cause: gw_down, equal: room}\n", "W352: alarms of gw_down have no label 'room'"},
        {"suppress:\n  - {cause: warm, equal: pump}\n", "W352: alarms of warm have no label 'pump'"},
        {"suppress:\n  - {cause: gw_down, match: \"pump=1\"}\n", "W352: no alarm of another rule can match"},
        {"suppress:\n  - {cause: warm, match: \"rule=gw_down\", equal: room}\n", "W352: no alarm of another rule can match"},
        {"suppress:\n  - {cause: gw_down, equal: gw, linger: 5}\n", "W322: "},
        {"suppress:\n  - {cause: gw_down}\n  - {cause: warm, match: \"rule=~g*\"}\n",
         "10:26: error W353: alarms of warm would suppress each other in a circle"},
        {"suppress:\n  - {cause: warm, match: \"rule=fire\"}\n  - {cause: fire, match: \"rule=spark\"}\n  - {cause: spark, match: "
         "\"severity=medium\"}\n",
         "W353: alarms of spark would suppress each other in a circle"},
        {"groups:\n  - {by: room}\n", "name"},
        {"groups:\n  - {name: g}\n", "by"},
        {"groups:\n  - {name: \"a b\", by: room}\n", "W355: no name for a group"},
        {"groups:\n  - {name: g, by: room}\n  - {name: g, by: room}\n", "W355: the group 'g' is given twice: first at r.yaml:9"},
        {"groups:\n  - {name: g, by: rom}\n", "W352: no rule has the label 'rom'"},
        {"groups:\n  - {name: g, by: \"room,,\"}\n", "W352: `by` names one or more labels"},
        {"groups:\n  - {name: g, by: room, flood_start: 10, flood_end: 11}\n", "W356: a number of alarms, 1 to flood_start (10)"},
        {"groups:\n  - {name: g, by: room, flood_end: 1}\n", "W356: a number of alarms, 1 to flood_start (0)"},
        {"groups:\n  - {name: g, by: room, flood_start: 1}\n", "W356: one alarm is no flood"},
        {"groups:\n  - {name: g, by: room, flood_start: 2, flood_window: 1ms}\n", "W356: at least 1s"},
        {"groups:\n  - {name: g, by: room, wait: long}\n", "W322: "},
        {"groups:\n  - {name: g, by: room, then: [{at: [risen], log: true}]}\n", "W329: no moment of an alarm: 'risen'"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char text[2048];
        snprintf(text, sizeof text, ROOMS RULES "%s", table[i][0]);
        const char *shown = complaints_of(text);
        if (strncmp(shown, "refused", 7) != 0 || !strstr(shown, table[i][1]))
            fail_msg("%s\ngave:\n%s\nexpected:\n%s", table[i][0], shown, table[i][1]);
    }
    /* Not in a circle: each leaves the other one out. */
    const char *fine = ROOMS RULES "suppress:\n  - {cause: gw_down, match: \"rule!=warm\"}\n  - {cause: warm, match: \"rule!=gw_down\"}\n"
                                   "groups:\n  - {name: g, by: \"gw, site, node\", flood_start: 10}\n";
    assert_null(strstr(complaints_of(fine), "refused"));
}

static void too_many(void **state) {
    (void)state;
    static char text[64 * 1024];
    size_t n = (size_t)snprintf(text, sizeof text, ROOMS RULES "suppress:\n");
    for (unsigned i = 0; i < 257; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "  - {cause: gw_down}\n");
    assert_non_null(strstr(complaints_of(text), "W354: more than 256 suppressions"));
    n = (size_t)snprintf(text, sizeof text, ROOMS RULES "groups:\n");
    for (unsigned i = 0; i < 65; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "  - {name: g%u, by: room}\n", i);
    assert_non_null(strstr(complaints_of(text), "W354: more than 64 groups"));
}

static void loading_without_memory(void **state) {
    (void)state;
    static const char text[] = ROOMS RULES "suppress:\n  - {cause: gw_down, match: \"rule!=gw_down\", equal: gw}\n"
                                           "groups:\n  - {name: g, by: gw, then: [{log: true}]}\n";
    for (long n = 0;; n++) {
        struct wr_diagnostics diagnostics;
        struct wr_ruleset *rules = NULL;
        wr_diagnostics_init(&diagnostics);
        wr_failing_allocations(n);
        enum wr_result result = wr_ruleset_load_text("r.yaml", text, strlen(text), NULL, &diagnostics, &rules, NULL);
        bool hit = wr_failing_hit();
        wr_failing_off();
        wr_diagnostics_fini(&diagnostics);
        if (result == WR_OK)
            assert_int_equal(rules->n_groups, 1);
        wr_ruleset_free(rules);
        if (!hit)
            break;
        assert_true(n < 5000);
    }
}

/* -- what it does --------------------------------------------------------------------------------------------------------------------------- */

/* The newest entry of an alarm since `from`; NULL: there is none. */
static const struct wr_alarm *newest(const struct rules_fixture *f, uint32_t from, const char *rule, const char *instance) {
    for (uint32_t i = f->n_log; i-- > from;)
        if (strcmp(f->log[i].alarm.rule, rule) == 0 && strcmp(f->log[i].alarm.instance, instance) == 0)
            return &f->log[i].alarm;
    return NULL;
}

/* As in the table: A1 and A2 hang on gw1, B1 on gw2. */
static void a_label_is_found_through_a_table(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, ROOMS RULES "suppress:\n  - {cause: gw_down, match: \"rule!=gw_down, severity!=critical\", equal: gw, linger: 60s}\n"
                                 "groups:\n  - {name: by_gw, by: \"gw, site\", wait: 2s, first_out: true}\n");
    fixture_value(&f, fixture_series(&f, "gw_age", "gw=gw1"), 99);
    fixture_timers(&f);
    fixture_value(&f, fixture_series(&f, "temp", "room=A1"), 9);
    fixture_value(&f, fixture_series(&f, "temp", "room=B1"), 9);
    fixture_value(&f, fixture_series(&f, "temp", "room=C9"), 9); /* has no row: no gw */
    fixture_value(&f, fixture_series(&f, "smoke", "room=A1"), 9);
    assert_int_equal(newest(&f, 0, "warm", "room=A1")->silent, WR_ALARM_SILENT_SUPPRESSED);
    assert_int_equal(newest(&f, 0, "warm", "room=B1")->silent, 0);
    assert_int_equal(newest(&f, 0, "warm", "room=C9")->silent, 0);
    assert_int_equal(newest(&f, 0, "fire", "room=A1")->silent, 0);
    fixture_pass(&f, 3 * S);
    assert_string_equal(newest(&f, 0, "group:by_gw", "gw=gw1")->message,
                        "2 alarms active, 2 not acknowledged; first out gw_down{gw=gw1} at 2026-03-02T08:00:00.000Z; 2 new: "
                        "gw_down{gw=gw1}, fire{room=A1}");
    assert_non_null(newest(&f, 0, "group:by_gw", "gw=gw2"));
    uint32_t from = f.n_log;
    fixture_value(&f, fixture_series(&f, "gw_age", "gw=gw1"), 1);
    fixture_pass(&f, 59 * S);
    assert_null(newest(&f, from, "warm", "room=A1"));
    fixture_pass(&f, S);
    assert_int_equal(newest(&f, from, "warm", "room=A1")->cause, WR_ALARM_RAISED);
    assert_int_equal(newest(&f, from, "warm", "room=A1")->silent, 0);
    assert_true(wr_evaluator_is_valid(f.evaluator));
    fixture_fini(&f);
}

/* What its validity does not allow is silent, and told as soon as it does; also where both change in the same moment. */
static void validity(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, "rules:\n  - {rule: stuck, when: flow < 1, valid_if: pump > 0}\n");
    uint32_t flow = fixture_series(&f, "flow", ""), pump = fixture_series(&f, "pump", "");
    fixture_value(&f, pump, 0);
    fixture_value(&f, flow, 0);
    assert_int_equal(newest(&f, 0, "stuck", "")->silent, WR_ALARM_SILENT_INVALID);
    uint32_t from = f.n_log;
    fixture_value(&f, pump, 1);
    fixture_timers(&f);
    assert_int_equal(f.n_log, from + 2);
    assert_int_equal(f.log[from].alarm.cause, WR_ALARM_UNSUPPRESSED);
    assert_string_equal(f.log[from].alarm.why, "valid_if");
    assert_int_equal(f.log[from + 1].alarm.cause, WR_ALARM_RAISED);
    assert_int_equal(f.log[from + 1].alarm.silent, 0);
    assert_true(f.log[from + 1].alarm.transition == f.log[from].alarm.transition + 1);
    fixture_fini(&f);
}

static struct wr_alarm_command command_of(enum wr_alarm_command_kind kind, const char *alarm, const char *why, const char *key,
                                          const struct rules_fixture *f, int64_t for_ns) {
    return (struct wr_alarm_command){
        .kind = kind, .alarm = alarm, .by_whom = "ana", .why = why, .key = key, .until_wall_ns = f->now.wall_ns + for_ns};
}

static void raise_rooms(struct rules_fixture *f, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        char tags[32];
        snprintf(tags, sizeof tags, "room=%u", i);
        fixture_value(f, fixture_series(f, "temp", tags), 9);
    }
}

static void one_command_for_many(void **state) {
    (void)state;
    struct rules_fixture f;
    struct wr_error err = {0};
    fixture_init(&f, ROOMS RULES);
    f.room = 2;
    raise_rooms(&f, 9);
    fixture_value(&f, fixture_series(&f, "smoke", "room=1"), 9);
    struct wr_alarm_command command = command_of(WR_ALARM_COMMAND_SHELVE, "warm{room!=3}", "painting", "", &f, 3600 * S);
    assert_int_equal(fixture_say(&f, &command, &err), WR_OK);
    assert_int_equal(command.changed, 8);
    command = command_of(WR_ALARM_COMMAND_SHELVE, "*", "painting", "", &f, 3600 * S);
    assert_int_equal(fixture_say(&f, &command, &err), WR_OK);
    assert_int_equal(command.changed, 9); /* those again, until later, and the one that was left out */
    assert_int_equal(command.refused, 1);
    assert_string_equal(command.problem, "fire may not be shelved: its shelve_max is 0s, as of any critical alarm that gives none");
    command = command_of(WR_ALARM_COMMAND_SHELVE, "fire", "x", "", &f, 3600 * S);
    assert_int_equal(fixture_say(&f, &command, &err), WR_DENIED);
    command = command_of(WR_ALARM_COMMAND_ACK, "w*{room=~?}", "seen", "", &f, 0);
    assert_int_equal(fixture_say(&f, &command, &err), WR_OK);
    assert_int_equal(command.changed, 9);
    assert_string_equal(f.log[f.n_log - 1].alarm.why, "seen");
    assert_string_equal(f.log[f.n_log - 1].alarm.by_whom, "ana");
    command = command_of(WR_ALARM_COMMAND_ACK, "warm{room=2}", "", "", &f, 0);
    assert_int_equal(fixture_say(&f, &command, &err), WR_INVALID);
    assert_string_equal(err.text, "warm{room=2} is acked: nothing to acknowledge");
    command = command_of(WR_ALARM_COMMAND_ACK, "gw_down", "", "", &f, 0);
    assert_int_equal(fixture_say(&f, &command, &err), WR_NOT_FOUND);
    command = command_of(WR_ALARM_COMMAND_ACK, "wrm", "", "", &f, 0);
    assert_int_equal(fixture_say(&f, &command, &err), WR_NOT_FOUND);
    command = command_of(WR_ALARM_COMMAND_ACK, "warm{", "", "", &f, 0);
    assert_int_equal(fixture_say(&f, &command, &err), WR_INVALID);
    fixture_fini(&f);
}

static void a_critical_rule_may_allow_it(void **state) {
    (void)state;
    struct rules_fixture f;
    struct wr_error err = {0};
    fixture_init(&f, ROOMS RULES);
    fixture_value(&f, fixture_series(&f, "arc", "room=1"), 9);
    struct wr_alarm_command command = command_of(WR_ALARM_COMMAND_SHELVE, "spark", "welding", "", &f, 11 * 60 * S);
    assert_int_equal(fixture_say(&f, &command, &err), WR_DENIED);
    assert_string_equal(err.text, "spark may be shelved for 10m at most");
    command = command_of(WR_ALARM_COMMAND_SHELVE, "spark", "welding", "", &f, 10 * 60 * S);
    assert_int_equal(fixture_say(&f, &command, &err), WR_OK);
    fixture_fini(&f);
}

/* Everything that is kept, into a new process. */
static void restart(struct rules_fixture *f, const char *text) {
    struct rules_fixture next;
    struct wr_alarm_entry entry;
    uint32_t cursor = 0;
    fixture_init(&next, text);
    next.now = f->now;
    next.now.boot_ns = 50 * S;
    while (wr_evaluator_next_snapshot(f->evaluator, &cursor, &entry))
        assert_true(wr_evaluator_restore(next.evaluator, &entry, &next.now) != WR_CORRUPT); /* rules may be gone */
    assert_true(wr_evaluator_is_valid(next.evaluator));
    fixture_fini(f);
    *f = next;
}

static void a_key_is_answered_once(void **state) {
    (void)state;
    struct rules_fixture f;
    struct wr_error err = {0};
    fixture_init(&f, ROOMS RULES);
    raise_rooms(&f, 3);
    struct wr_alarm_command command = command_of(WR_ALARM_COMMAND_ACK, "warm", "seen", "k1", &f, 0);
    assert_int_equal(fixture_say(&f, &command, &err), WR_OK);
    assert_int_equal(command.changed, 3);
    uint32_t before = f.n_log;
    for (int i = 0; i < 2; i++) {
        command = command_of(WR_ALARM_COMMAND_ACK, "warm", "seen", "k1", &f, 0);
        assert_int_equal(fixture_say(&f, &command, &err), WR_OK);
        assert_int_equal(command.changed, 3);
        assert_true(command.repeated);
        assert_int_equal(f.n_log, before);
        command = command_of(WR_ALARM_COMMAND_RESET, "warm", "seen", "k1", &f, 0);
        assert_int_equal(fixture_say(&f, &command, &err), WR_EXISTS);
        assert_string_equal(err.text, "the key k1 was used for another command");
        if (i == 0) {
            restart(&f, ROOMS RULES);
            before = 0;
        }
    }
    /* An error is an answer, too. */
    command = command_of(WR_ALARM_COMMAND_ACK, "fire", "", "k2", &f, 0);
    assert_int_equal(fixture_say(&f, &command, &err), WR_NOT_FOUND);
    fixture_value(&f, fixture_series(&f, "smoke", "room=1"), 9);
    command = command_of(WR_ALARM_COMMAND_ACK, "fire", "", "k2", &f, 0);
    assert_int_equal(fixture_say(&f, &command, &err), WR_NOT_FOUND);
    assert_string_equal(err.text, "there is no alarm fire");
    command = command_of(WR_ALARM_COMMAND_ACK, "fire", "", "0123456789012345678901234567890123456789012345678901234567890123", &f, 0);
    assert_int_equal(fixture_say(&f, &command, &err), WR_INVALID);
    fixture_fini(&f);
}

/* A crash after the first alarms of a command, before its answer: said again with the same key, the rest is done, and none twice. */
static void a_command_goes_on_after_a_crash(void **state) {
    (void)state;
    struct rules_fixture f;
    struct wr_error err = {0};
    fixture_init(&f, ROOMS RULES);
    raise_rooms(&f, 5);
    struct wr_alarm_out out = {.entries = f.entries, .cap = 2};
    struct wr_alarm_command command = command_of(WR_ALARM_COMMAND_SHELVE, "warm", "x", "k", &f, 3600 * S);
    assert_int_equal(wr_evaluator_command(f.evaluator, &command, &f.now, &out, &err), WR_FULL);
    assert_int_equal(command.changed, 2);
    restart(&f, ROOMS RULES);
    command = command_of(WR_ALARM_COMMAND_SHELVE, "warm", "x", "k", &f, 3600 * S);
    assert_int_equal(fixture_say(&f, &command, &err), WR_OK);
    assert_int_equal(command.changed, 5);
    assert_int_equal(command.refused, 0);
    unsigned shelved = 0;
    for (uint32_t i = 0; i < f.n_log; i++)
        shelved += f.log[i].alarm.cause == WR_ALARM_SHELVED;
    assert_int_equal(shelved, 3);
    fixture_fini(&f);
}

static void only_so_many_keys_are_known(void **state) {
    (void)state;
    struct rules_fixture f;
    struct wr_alarm_command command;
    char key[16];
    fixture_init(&f, ROOMS RULES);
    raise_rooms(&f, 1);
    for (unsigned i = 0; i <= WR_COMMAND_KEYS; i++) {
        snprintf(key, sizeof key, "k%u", i);
        command = command_of(WR_ALARM_COMMAND_SHELVE, "warm", "x", key, &f, 3600 * S);
        assert_int_equal(fixture_say(&f, &command, NULL), WR_OK);
        f.n_log = 0;
    }
    restart(&f, ROOMS RULES);
    command = command_of(WR_ALARM_COMMAND_SHELVE, "warm", "x", "k1", &f, 3600 * S);
    assert_int_equal(fixture_say(&f, &command, NULL), WR_OK);
    assert_true(command.repeated);
    command = command_of(WR_ALARM_COMMAND_SHELVE, "warm", "x", "k0", &f, 3600 * S);
    assert_int_equal(fixture_say(&f, &command, NULL), WR_OK);
    assert_false(command.repeated);
    fixture_fini(&f);
}

static void damaged_answers_are_refused(void **state) {
    (void)state;
    struct wr_command_log log = {0};
    struct wr_command_record record = {.result = WR_INVALID, .key = "k", .text = "no"};
    struct wr_alarm_entry entry;
    assert_int_equal(wr_command_log_put(&log, &record, &entry), WR_OK);
    assert_true(wr_command_log_is_snapshot(&entry));
    assert_int_equal(wr_command_log_restore(&log, &entry), WR_OK);
    for (uint16_t cut = 0; cut < entry.snap_len; cut++) {
        struct wr_alarm_entry damaged = entry;
        damaged.snap_len = cut;
        assert_int_equal(wr_command_log_restore(&log, &damaged), WR_CORRUPT);
    }
    wr_command_log_fini(&log);
    wr_failing_allocations(0);
    assert_int_equal(wr_command_log_put(&log, &record, &entry), WR_NO_MEMORY);
    wr_failing_off();
}

static uint8_t silences_of(const struct rules_fixture *f, const char *rule) {
    struct wr_alarm_entry entry;
    uint32_t cursor = 0;
    while (wr_evaluator_next_alarm(f->evaluator, false, &cursor, &entry))
        if (strcmp(entry.alarm.rule, rule) == 0)
            return entry.alarm.silent;
    return 0xFF;
}

/* With other limits everything that was said is kept; with another condition the alarm is another one. */
static void what_operators_said_survives_a_reload(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, "rules:\n  - {rule: a, when: x > 8}\n  - {rule: b, when: x > 8}\n");
    fixture_value(&f, fixture_series(&f, "x", ""), 9);
    struct wr_alarm_command command = command_of(WR_ALARM_COMMAND_SHELVE, "*", "x", "", &f, 3600 * S);
    assert_int_equal(fixture_say(&f, &command, NULL), WR_OK);
    assert_int_equal(command.changed, 2);
    fixture_reload(&f, fixture_load("rules:\n  - {rule: a, when: x > 7}\n  - {rule: b, when: x < 8}\n"), 3);
    assert_int_equal(silences_of(&f, "a"), WR_ALARM_SILENT_SHELVED);
    assert_int_equal(silences_of(&f, "b"), 0xFF); /* closed: it means something else now */
    assert_int_equal(newest(&f, 0, "b", "")->cause, WR_ALARM_RULE_CHANGED);
    restart(&f, "rules:\n  - {rule: a, when: x > 7}\n");
    assert_int_equal(silences_of(&f, "a"), WR_ALARM_SILENT_SHELVED);
    /* Shelved and normal: it is shown, and not forgotten. */
    fixture_value(&f, fixture_series(&f, "x", ""), 1);
    assert_int_equal(fixture_command(&f, WR_ALARM_COMMAND_ACK, "a", NULL), WR_OK);
    assert_int_equal(silences_of(&f, "a"), WR_ALARM_SILENT_SHELVED);
    fixture_fini(&f);
}

/* Rules whose group speaks for the low and medium ones; `more` is what the group has besides. */
#define PUMPS(more) "rules:\n  - {rule: hot, when: temp > 80, by: \"line, pump\", severity: medium}\n" more
#define LINES "groups:\n  - {name: by_line, by: line, wait: 2s, then: [{log: true}]}\n"

static uint32_t told_of(const struct rules_fixture *f, uint32_t from, const char *rule) {
    uint32_t n = 0;
    for (uint32_t i = from; i < f->n_log; i++)
        n += strcmp(f->log[i].alarm.rule, rule) == 0 && f->log[i].alarm.cause == WR_ALARM_RAISED &&
             wr_alarm_is_annunciated(&f->log[i].alarm);
    return n;
}

/* Shelved, it is none of its group's; unacknowledged it is in the group's next notice, acknowledged in the group without news. */
static void a_silence_that_ends_brings_an_alarm_back_into_its_group(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, PUMPS(LINES));
    fixture_value(&f, fixture_series(&f, "temp", "line=3,pump=a"), 99);
    fixture_value(&f, fixture_series(&f, "temp", "line=3,pump=b"), 99);
    fixture_pass(&f, 60 * S);
    assert_int_equal(told_of(&f, 0, "hot"), 0);
    assert_int_equal(told_of(&f, 0, "group:by_line"), 1);
    assert_int_equal(fixture_command(&f, WR_ALARM_COMMAND_ACK, "hot{pump=b}", NULL), WR_OK);
    struct wr_alarm_command command = command_of(WR_ALARM_COMMAND_SHELVE, "hot", "painting", "", &f, 600 * S);
    assert_int_equal(fixture_say(&f, &command, NULL), WR_OK);
    assert_int_equal(newest(&f, 0, "hot", "line=3,pump=a")->silent, WR_ALARM_SILENT_SHELVED);
    fixture_pass(&f, 60 * S);
    assert_int_equal(newest(&f, 0, "group:by_line", "line=3")->cause, WR_ALARM_CLEARED);
    uint32_t from = f.n_log;
    command = command_of(WR_ALARM_COMMAND_UNSHELVE, "hot", "", "", &f, 0);
    assert_int_equal(fixture_say(&f, &command, NULL), WR_OK);
    fixture_pass(&f, 60 * S);
    assert_int_equal(told_of(&f, from, "hot"), 0);
    assert_string_equal(newest(&f, from, "group:by_line", "line=3")->message,
                        "2 alarms active, 1 not acknowledged; 1 new: hot{line=3,pump=a}");
    assert_true(wr_evaluator_is_valid(f.evaluator));
    fixture_fini(&f);
}

/* Before its group has said a word the agent ends: it is in the first notice after. */
static void a_restart_loses_none_that_a_group_has_not_told(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, PUMPS(LINES));
    fixture_value(&f, fixture_series(&f, "temp", "line=3,pump=a"), 99);
    assert_int_equal(newest(&f, 0, "hot", "line=3,pump=a")->silent, WR_ALARM_SILENT_GROUPED);
    fixture_pass(&f, 1 * S);
    assert_int_equal(told_of(&f, 0, "group:by_line"), 0);
    restart(&f, PUMPS(LINES));
    fixture_pass(&f, 60 * S);
    assert_int_equal(told_of(&f, 0, "hot"), 0);
    assert_int_equal(told_of(&f, 0, "group:by_line"), 1);
    fixture_fini(&f);
}

/* It was acknowledged, so who listens knows of it; that it has become worse is what its group still has to tell. */
static void a_restart_loses_no_escalation_that_a_group_has_not_told(void **state) {
    (void)state;
    static const char text[] = "rules:\n  - rule: hot\n    value: temp\n    by: \"line, pump\"\n    levels:\n"
                               "      - {name: H, when: value > 80, severity: low}\n"
                               "      - {name: HH, when: value > 90, severity: medium}\n" LINES;
    struct rules_fixture f;
    fixture_init(&f, text);
    const uint32_t temp = fixture_series(&f, "temp", "line=3,pump=a");
    fixture_value(&f, temp, 85);
    fixture_pass(&f, 60 * S);
    assert_int_equal(told_of(&f, 0, "group:by_line"), 1);
    assert_int_equal(fixture_command(&f, WR_ALARM_COMMAND_ACK, "hot", NULL), WR_OK);
    fixture_value(&f, temp, 95);
    const struct wr_alarm *worse = newest(&f, 0, "hot", "line=3,pump=a");
    assert_true(worse->cause == WR_ALARM_ESCALATED && worse->silent == WR_ALARM_SILENT_GROUPED);
    fixture_pass(&f, 1 * S);
    assert_int_equal(told_of(&f, 0, "group:by_line"), 1);
    restart(&f, text);
    fixture_pass(&f, 60 * S);
    assert_int_equal(told_of(&f, 0, "hot"), 0);
    assert_int_equal(told_of(&f, 0, "group:by_line"), 1);
    assert_int_equal(fixture_command(&f, WR_ALARM_COMMAND_ACK, "hot", NULL), WR_OK);
    restart(&f, text); /* what is acknowledged is no news */
    fixture_pass(&f, 60 * S);
    assert_int_equal(told_of(&f, 0, "group:by_line"), 0);
    fixture_fini(&f);
}

/* The group, or its voice, is gone: each of its alarms is told by itself. With it nothing is told twice. */
static void a_reload_that_takes_the_group_away_tells_each(void **state) {
    (void)state;
    static const char *const after[] = {PUMPS(""), PUMPS("groups:\n  - {name: by_line, by: line, wait: 2s}\n"), PUMPS(LINES)};
    for (unsigned i = 0; i < 3; i++) {
        struct rules_fixture f;
        fixture_init(&f, PUMPS(LINES));
        fixture_value(&f, fixture_series(&f, "temp", "line=3,pump=a"), 99);
        fixture_pass(&f, 60 * S);
        uint32_t from = f.n_log;
        fixture_reload(&f, fixture_load(after[i]), 3);
        fixture_pass(&f, 60 * S);
        assert_int_equal(told_of(&f, from, "hot"), i < 2 ? 1 : 0);
        assert_int_equal(silences_of(&f, "hot"), i < 2 ? 0 : WR_ALARM_SILENT_GROUPED);
        fixture_fini(&f);
    }
}

static void out_of_service_is_not_forgotten(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, "rules:\n  - {rule: a, when: x > 8, by: room, forget: 1h}\n");
    fixture_value(&f, fixture_series(&f, "x", "room=1"), 1);
    fixture_value(&f, fixture_series(&f, "x", "room=2"), 1);
    struct wr_alarm_command command = command_of(WR_ALARM_COMMAND_OUT_OF_SERVICE, "a{room=1}", "WO-1", "", &f, 0);
    assert_int_equal(fixture_say(&f, &command, NULL), WR_OK);
    fixture_pass(&f, 5 * 3600 * S);
    assert_int_equal(silences_of(&f, "a"), WR_ALARM_SILENT_OUT_OF_SERVICE);
    command = command_of(WR_ALARM_COMMAND_RETURN, "a{room=2}", "", "", &f, 0);
    assert_int_equal(fixture_say(&f, &command, NULL), WR_NOT_FOUND);
    command = command_of(WR_ALARM_COMMAND_RETURN, "a", "", "", &f, 0);
    assert_int_equal(fixture_say(&f, &command, NULL), WR_OK);
    fixture_pass(&f, 3 * 3600 * S);
    command = command_of(WR_ALARM_COMMAND_RETURN, "a", "", "", &f, 0);
    assert_int_equal(fixture_say(&f, &command, NULL), WR_NOT_FOUND);
    fixture_fini(&f);
}

/* -- damage, and no memory ------------------------------------------------------------------------------------------------------------------- */

static const char rich[] =
    "rules:\n"
    "  - {rule: a, when: x > 5, by: room, latch: true, re_alarm: 1m, off_delay: 3s}\n"
    "  - {rule: b, when: x > 5, by: room}\n"
    "  - {rule: c, value: x, by: room, levels: [{name: L, when: value > 5}, {name: H, when: value > 8, severity: high}]}\n"
    "suppress:\n  - {cause: b, match: rule=c, equal: room, linger: 1m}\n"
    "groups:\n  - {name: g, by: room, flood_start: 4}\n";

/* Alarms that chatter, are shelved, out of service, suppressed and grouped, and a command with a key. Returns what is kept of them. */
static uint32_t make_rich(struct rules_fixture *f, struct wr_alarm_entry *kept, uint32_t max) {
    uint32_t n = 0;
    fixture_init(f, rich);
    uint32_t x = fixture_series(f, "x", "room=1");
    for (unsigned i = 0; i < 9; i++) {
        fixture_value(f, x, i % 2 ? 1 : 9);
        fixture_pass(f, 5 * S);
    }
    struct wr_alarm_command command = command_of(WR_ALARM_COMMAND_SHELVE, "a", "why", "k1", f, 3600 * S);
    assert_int_equal(fixture_say(f, &command, NULL), WR_OK);
    command = command_of(WR_ALARM_COMMAND_OUT_OF_SERVICE, "*", "WO", "k2", f, 0);
    assert_int_equal(fixture_say(f, &command, NULL), WR_OK);
    for (uint32_t cursor = 0; n < max && wr_evaluator_next_snapshot(f->evaluator, &cursor, &kept[n]);)
        n++;
    return n;
}

static void damaged_snapshots_do_no_harm(void **state) {
    (void)state;
    static struct wr_alarm_entry kept[32];
    struct rules_fixture f;
    uint32_t n = make_rich(&f, kept, 32);
    assert_true(n >= 6);
    for (uint32_t i = 0; i < n; i++)
        for (uint16_t at = 0; at < kept[i].snap_len; at++)
            for (unsigned flip = 0; flip < 3; flip++) {
                static const uint8_t flips[] = {0xFF, 0x80, 0x01};
                struct wr_alarm_entry damaged = kept[i];
                struct wr_evaluator *evaluator;
                damaged.snap[at] ^= flips[flip];
                assert_int_equal(wr_evaluator_new(f.rules, f.table, f.symbols, &evaluator, NULL), WR_OK);
                (void)!wr_evaluator_restore(evaluator, &damaged, &f.now);
                assert_true(wr_evaluator_is_valid(evaluator));
                (void)!wr_evaluator_restore(evaluator, &kept[i], &f.now); /* the same alarm once more, whole */
                assert_true(wr_evaluator_is_valid(evaluator));
                wr_evaluator_free(evaluator);
            }
    fixture_fini(&f);
}

static void restart_and_reload_without_memory(void **state) {
    (void)state;
    static struct wr_alarm_entry kept[32];
    struct rules_fixture f;
    uint32_t n = make_rich(&f, kept, 32);
    for (long fail = 0;; fail++) {
        struct wr_evaluator *restored = NULL, *next = NULL;
        struct wr_alarm_entry entries[64];
        wr_failing_allocations(fail);
        if (wr_evaluator_new(f.rules, f.table, f.symbols, &restored, NULL) == WR_OK)
            for (uint32_t i = 0; i < n; i++)
                (void)!wr_evaluator_restore(restored, &kept[i], &f.now);
        assert_true(!restored || wr_evaluator_is_valid(restored));
        if (restored && wr_evaluator_new(f.rules, f.table, f.symbols, &next, NULL) == WR_OK) {
            bool more = true;
            for (unsigned turns = 0; more && turns < 1000; turns++) {
                struct wr_alarm_out out = {.entries = entries, .cap = 64};
                if (wr_evaluator_migrate(next, restored, &f.now, 16, &out, &more) == WR_NO_MEMORY)
                    break;
            }
        }
        bool hit = wr_failing_hit();
        wr_failing_off();
        assert_true(!next || wr_evaluator_is_valid(next)); /* the old one is on its way out: alarms without an heir are closed in it */
        wr_evaluator_free(next);
        wr_evaluator_free(restored);
        if (!hit)
            break;
        assert_true(fail < 2000);
    }
    fixture_fini(&f);
}

/* With max 0 a reload has all the memory that it cannot do without, or the old rules go on as they were. */
static void a_reload_lacks_memory_before_it_begins_or_not_at_all(void **state) {
    (void)state;
    static struct wr_alarm_entry kept[32];
    struct rules_fixture f;
    (void)make_rich(&f, kept, 32);
    const enum wr_alarm_state before = fixture_state(&f, "a", "room=1");
    bool hit = true;
    for (long fail = 0; hit; fail++) {
        struct wr_evaluator *next;
        struct wr_alarm_entry entries[64];
        struct wr_alarm_out out = {.entries = entries, .cap = 64};
        bool more = true;
        assert_int_equal(wr_evaluator_new(f.rules, f.table, f.symbols, &next, NULL), WR_OK);
        wr_failing_allocations(fail);
        enum wr_result result = wr_evaluator_migrate(next, f.evaluator, &f.now, 0, &out, &more);
        hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        assert_int_equal(out.n, 0);
        assert_int_equal(fixture_state(&f, "a", "room=1"), before);
        assert_true(wr_evaluator_is_valid(f.evaluator));
        while (result == WR_OK && more) {
            wr_failing_allocations(0);
            assert_int_equal(wr_evaluator_migrate(next, f.evaluator, &f.now, 16, &out, &more), WR_OK);
            wr_failing_off();
        }
        wr_evaluator_free(next);
        assert_true(fail < 2000);
    }
    fixture_fini(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors),
        cmocka_unit_test(too_many),
        cmocka_unit_test(loading_without_memory),
        cmocka_unit_test(a_label_is_found_through_a_table),
        cmocka_unit_test(validity),
        cmocka_unit_test(one_command_for_many),
        cmocka_unit_test(a_critical_rule_may_allow_it),
        cmocka_unit_test(a_key_is_answered_once),
        cmocka_unit_test(a_command_goes_on_after_a_crash),
        cmocka_unit_test(only_so_many_keys_are_known),
        cmocka_unit_test(damaged_answers_are_refused),
        cmocka_unit_test(what_operators_said_survives_a_reload),
        cmocka_unit_test(a_silence_that_ends_brings_an_alarm_back_into_its_group),
        cmocka_unit_test(a_restart_loses_none_that_a_group_has_not_told),
        cmocka_unit_test(a_restart_loses_no_escalation_that_a_group_has_not_told),
        cmocka_unit_test(a_reload_that_takes_the_group_away_tells_each),
        cmocka_unit_test(out_of_service_is_not_forgotten),
        cmocka_unit_test(damaged_snapshots_do_no_harm),
        cmocka_unit_test(restart_and_reload_without_memory),
        cmocka_unit_test(a_reload_lacks_memory_before_it_begins_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
