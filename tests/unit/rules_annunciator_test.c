/* The annunciator without rules in words: shelving, out of service, suppression, chattering, re-alarm, what is owed afterwards; restart and reload; no memory. */
#include "tests/support/annunciator_fixture.h"
#include "tests/support/failing.h"

#include "rules/language/selector.h"

static void an_alarm_is_told_plainly(void **state) {
    (void)state;
    struct desk desk;
    desk_init(&desk);
    desk_open(&desk);
    assert_int_equal(desk_raise(&desk, 3), 0);
    assert_int_equal(desk_ack(&desk, 3), 0);
    assert_int_equal(desk_clear(&desk, 3), 0);
    desk_wait(&desk, DESK_HOUR);
    assert_int_equal(desk.n_log, 3);
    struct wr_annunciator_stats stats;
    wr_annunciator_stats(desk.annunciator, &stats);
    assert_int_equal(stats.records, 0); /* what is over leaves nothing */
    assert_true(wr_annunciator_next_timer(desk.annunciator) == WR_NEVER_NS);
    desk_fini(&desk);
}

static void a_shelved_alarm_is_silent_until_its_time(void **state) {
    (void)state;
    struct desk desk;
    desk_init(&desk);
    desk_open(&desk);
    desk_raise(&desk, 0);
    assert_int_equal(desk_order(&desk, 0, WR_ALARM_ORDER_SHELVE, "pump is cleaned", 2 * DESK_HOUR, NULL), WR_OK);
    assert_int_equal(desk_last(&desk)->cause, WR_ALARM_SHELVED);
    assert_int_equal(desk_last(&desk)->silent, WR_ALARM_SILENT_SHELVED);
    assert_string_equal(desk_last(&desk)->by_whom, "ana");
    assert_string_equal(desk_last(&desk)->why, "pump is cleaned");
    assert_true(desk_last(&desk)->until_wall_ns == DESK_WALL + 2 * DESK_HOUR);
    assert_int_equal(desk_clear(&desk, 0), WR_ALARM_SILENT_SHELVED);
    assert_int_equal(desk_raise(&desk, 0), WR_ALARM_SILENT_SHELVED);
    desk_wait(&desk, 2 * DESK_HOUR - 1);
    uint32_t before = desk.n_log;
    desk_wait(&desk, 1);
    assert_int_equal(desk.n_log, before + 2);
    assert_int_equal(desk.log[before].cause, WR_ALARM_UNSHELVED);
    assert_int_equal(desk.log[before].silent, 0);
    assert_string_equal(desk.log[before].why, "its time is over");
    assert_int_equal(desk.log[before + 1].cause, WR_ALARM_RAISED); /* it is active, so it is told now */
    assert_int_equal(desk.log[before + 1].from, WR_ALARM_UNACK);
    assert_int_equal(desk.log[before + 1].to, WR_ALARM_UNACK);
    assert_int_equal(desk.log[before + 1].silent, 0);
    desk_fini(&desk);
}

static void what_was_cleared_meanwhile_is_told_afterwards(void **state) {
    (void)state;
    struct desk desk;
    desk_init(&desk);
    desk_open(&desk);
    desk_raise(&desk, 0);
    assert_int_equal(desk_order(&desk, 0, WR_ALARM_ORDER_SHELVE, "why", DESK_HOUR, NULL), WR_OK);
    assert_int_equal(desk_clear(&desk, 0), WR_ALARM_SILENT_SHELVED);
    assert_int_equal(desk_order(&desk, 0, WR_ALARM_ORDER_UNSHELVE, "", 0, NULL), WR_OK);
    desk_run(&desk);
    assert_int_equal(desk_last(&desk)->cause, WR_ALARM_CLEARED);
    assert_int_equal(desk_last(&desk)->to, WR_ALARM_RTN_UNACK);
    assert_int_equal(desk_told(&desk, WR_ALARM_CLEARED), 1);
    desk_fini(&desk);
}

static void who_has_acknowledged_hears_nothing_again(void **state) {
    (void)state;
    struct desk desk;
    desk_init(&desk);
    desk_open(&desk);
    desk_raise(&desk, 0);
    desk_order(&desk, 0, WR_ALARM_ORDER_OUT_OF_SERVICE, "WO-17", 0, NULL);
    desk_ack(&desk, 0);
    assert_int_equal(desk_order(&desk, 0, WR_ALARM_ORDER_RETURN, "", 0, NULL), WR_OK);
    desk_wait(&desk, DESK_HOUR);
    assert_int_equal(desk_last(&desk)->cause, WR_ALARM_RETURNED);
    assert_int_equal(desk_told(&desk, WR_ALARM_RAISED), 1);
    desk_fini(&desk);
}

/* With auto_ack a raise goes to acked at once: silent, it was never told. */
static void an_alarm_that_needs_no_acknowledgement_is_told_afterwards(void **state) {
    (void)state;
    struct desk desk;
    desk_init(&desk);
    desk_open(&desk);
    desk_order(&desk, 0, WR_ALARM_ORDER_OUT_OF_SERVICE, "WO-17", 0, NULL);
    assert_int_equal(desk_go(&desk, 0, WR_ALARM_ACKED, WR_ALARM_RAISED), WR_ALARM_SILENT_OUT_OF_SERVICE);
    desk_order(&desk, 0, WR_ALARM_ORDER_RETURN, "", 0, NULL);
    desk_run(&desk);
    assert_int_equal(desk_last(&desk)->cause, WR_ALARM_RAISED);
    assert_int_equal(desk_told(&desk, WR_ALARM_RAISED), 1);
    desk_fini(&desk);
}

static void orders_that_make_no_sense_are_refused(void **state) {
    (void)state;
    struct desk desk;
    struct wr_error err = {0};
    desk_init(&desk);
    desk.rule[1].shelve_max_ns = 0;
    desk.rule[2].shelve_max_ns = 90 * DESK_MINUTE;
    desk.alarms[1].rule = 1;
    desk.alarms[2].rule = 2;
    desk_open(&desk);
    assert_int_equal(desk_order(&desk, 0, WR_ALARM_ORDER_SHELVE, "", DESK_HOUR, &err), WR_INVALID);
    assert_string_equal(err.text, "to shelve needs a reason");
    assert_int_equal(desk_order(&desk, 0, WR_ALARM_ORDER_SHELVE, "x", 0, &err), WR_INVALID);
    assert_string_equal(err.text, "to shelve needs a time that is still to come");
    assert_int_equal(desk_order(&desk, 0, WR_ALARM_ORDER_SHELVE, "x", 8 * DESK_HOUR + 1, &err), WR_DENIED);
    assert_string_equal(err.text, "r0 may be shelved for 8h at most");
    assert_int_equal(desk_order(&desk, 2, WR_ALARM_ORDER_SHELVE, "x", 2 * DESK_HOUR, &err), WR_DENIED);
    assert_string_equal(err.text, "r2 may be shelved for 90m at most");
    assert_int_equal(desk_order(&desk, 1, WR_ALARM_ORDER_SHELVE, "x", DESK_MINUTE, &err), WR_DENIED);
    assert_string_equal(err.text, "r1 may not be shelved: its shelve_max is 0s, as of any critical alarm that gives none");
    assert_int_equal(desk_order(&desk, 0, WR_ALARM_ORDER_UNSHELVE, "", 0, &err), WR_INVALID);
    assert_string_equal(err.text, "r0 is not shelved");
    assert_int_equal(desk_order(&desk, 0, WR_ALARM_ORDER_RETURN, "", 0, &err), WR_INVALID);
    assert_string_equal(err.text, "r0 is not out of service");
    assert_int_equal(desk_order(&desk, 0, WR_ALARM_ORDER_OUT_OF_SERVICE, "", 0, &err), WR_INVALID);
    assert_string_equal(err.text, "to take out of service needs a reference: a work order, a permit");
    assert_int_equal(desk_order(&desk, 0, WR_ALARM_ORDER_OUT_OF_SERVICE, "WO-1", 0, &err), WR_OK);
    assert_int_equal(desk_order(&desk, 0, WR_ALARM_ORDER_OUT_OF_SERVICE, "WO-2", 0, &err), WR_INVALID);
    assert_string_equal(err.text, "r0 is out of service already");
    assert_int_equal(desk.n_log, 1);
    desk_fini(&desk);
}

static void a_shelving_may_be_made_longer_and_two_silences_are_two(void **state) {
    (void)state;
    struct desk desk;
    desk_init(&desk);
    desk_open(&desk);
    desk_raise(&desk, 0);
    desk_order(&desk, 0, WR_ALARM_ORDER_SHELVE, "one", DESK_HOUR, NULL);
    desk_wait(&desk, 50 * DESK_MINUTE);
    desk_order(&desk, 0, WR_ALARM_ORDER_SHELVE, "two", DESK_HOUR, NULL);
    desk_order(&desk, 0, WR_ALARM_ORDER_OUT_OF_SERVICE, "WO-3", 0, NULL);
    desk_wait(&desk, 59 * DESK_MINUTE);
    struct wr_alarm shown = {0};
    wr_annunciator_show(desk.annunciator, 0, &shown);
    assert_int_equal(shown.silent, WR_ALARM_SILENT_SHELVED | WR_ALARM_SILENT_OUT_OF_SERVICE);
    assert_string_equal(shown.why, "WO-3");
    assert_true(shown.until_wall_ns == DESK_WALL + 110 * DESK_MINUTE);
    desk_wait(&desk, DESK_MINUTE);
    assert_int_equal(desk_last(&desk)->cause, WR_ALARM_UNSHELVED);
    assert_int_equal(desk_last(&desk)->silent, WR_ALARM_SILENT_OUT_OF_SERVICE); /* the other one goes on */
    desk_order(&desk, 0, WR_ALARM_ORDER_RETURN, "", 0, NULL);
    desk_run(&desk);
    assert_int_equal(desk_last(&desk)->cause, WR_ALARM_RAISED);
    desk_fini(&desk);
}

static void operators_may_silence_so_many(void **state) {
    (void)state;
    struct desk desk;
    struct wr_error err = {0};
    desk_init(&desk);
    desk_open(&desk);
    desk.annunciator->n_notes = WR_ANNUNCIATOR_NOTES;
    const struct wr_alarm_order order = {
        .kind = WR_ALARM_ORDER_SHELVE, .by_whom = "ana", .why = "x", .until_wall_ns = desk.now.wall_ns + DESK_HOUR};
    struct wr_alarm_entry entry;
    assert_int_equal(wr_annunciator_order(desk.annunciator, 0, &order, &desk.now, &entry, &err), WR_LIMIT);
    assert_string_equal(err.text, "4096 alarms are shelved or out of service already");
    desk.annunciator->n_notes = 0;
    struct wr_annunciator_stats before, after;
    wr_annunciator_stats(desk.annunciator, &before);
    assert_int_equal(desk_order(&desk, 0, WR_ALARM_ORDER_SHELVE, "x", DESK_HOUR, &err), WR_OK);
    wr_annunciator_stats(desk.annunciator, &after);
    assert_true(after.bytes > before.bytes && after.bytes < wr_annunciator_bytes(&desk.rules) + 1000 * wr_annunciator_bytes_per_alarm());
    desk_fini(&desk);
}

/* -- suppress ---------------------------------------------------------------------------------------------------------------------------- */

static void with_suppress(struct desk *desk, const char *match, int64_t linger_ns) {
    desk_init(desk);
    assert_int_equal(wr_selector_parse(match, strlen(match), &desk->match[0], NULL, NULL), WR_OK);
    desk->suppress[0] = (struct wr_suppress){.cause = 0, .match = &desk->match[0], .n_equal = 1, .equal = {"gw"}, .linger_ns = linger_ns};
    desk->rules.n_suppresses = 1;
    desk->alarms[0] = (struct desk_alarm){.rule = 0, .labels = "gw=1"};
    desk->alarms[1] = (struct desk_alarm){.rule = 1, .labels = "gw=1,room=A1"};
    desk->alarms[2] = (struct desk_alarm){.rule = 1, .labels = "gw=2,room=A2"};
    desk->alarms[3] = (struct desk_alarm){.rule = 2, .labels = "room=A1"};
    desk->alarms[4] = (struct desk_alarm){.rule = 1, .labels = "gw=1,room=B1"};
    desk->alarms[5] = (struct desk_alarm){.rule = 0, .labels = "gw=1,port=2"};
    desk_open(desk);
}

static void what_an_alarm_explains_is_silent(void **state) {
    (void)state;
    struct desk desk;
    with_suppress(&desk, "x{rule!=r0,room=~A*}", 60 * DESK_SECOND);
    assert_int_equal(desk_raise(&desk, 1), 0); /* before its cause */
    assert_int_equal(desk_raise(&desk, 0), 0);
    desk_run(&desk);
    assert_int_equal(desk_last(&desk)->cause, WR_ALARM_SUPPRESSED);
    assert_string_equal(desk_last(&desk)->instance, "gw=1,room=A1");
    assert_string_equal(desk_last(&desk)->why, "r0");
    assert_int_equal(desk_last(&desk)->silent, WR_ALARM_SILENT_SUPPRESSED);
    assert_int_equal(desk_raise(&desk, 2), 0); /* of another gateway */
    assert_int_equal(desk_raise(&desk, 3), 0); /* a label that is missing never matches */
    assert_int_equal(desk_raise(&desk, 4), 0); /* B1 is no A* */
    assert_int_equal(desk_clear(&desk, 1), WR_ALARM_SILENT_SUPPRESSED);
    assert_int_equal(desk_raise(&desk, 1), WR_ALARM_SILENT_SUPPRESSED); /* no entry `suppressed` on top */
    uint32_t before = desk.n_log;
    desk_clear(&desk, 0);
    desk_wait(&desk, 60 * DESK_SECOND - 1);
    assert_int_equal(desk.n_log, before + 1); /* lingers */
    desk_wait(&desk, 1);
    assert_int_equal(desk.n_log, before + 3);
    assert_int_equal(desk.log[before + 1].cause, WR_ALARM_UNSUPPRESSED);
    assert_int_equal(desk.log[before + 2].cause, WR_ALARM_RAISED);
    assert_int_equal(desk.log[before + 2].silent, 0);
    struct wr_annunciator_stats stats;
    wr_annunciator_stats(desk.annunciator, &stats);
    assert_int_equal(stats.causes, 0);
    desk_fini(&desk);
}

static void two_alarms_hold_one_cause_up(void **state) {
    (void)state;
    struct desk desk;
    with_suppress(&desk, "x{rule=r1}", 0);
    desk_raise(&desk, 0);
    desk_raise(&desk, 5);
    desk_raise(&desk, 1);
    desk_ack(&desk, 0); /* acknowledged is still active */
    desk_clear(&desk, 0);
    desk_run(&desk);
    struct wr_alarm shown = {0};
    wr_annunciator_show(desk.annunciator, 1, &shown);
    assert_int_equal(shown.silent, WR_ALARM_SILENT_SUPPRESSED);
    desk_clear(&desk, 5); /* returned, though not acknowledged: explains nothing any more */
    desk_run(&desk);
    assert_int_equal(desk_last(&desk)->cause, WR_ALARM_RAISED);
    desk_fini(&desk);
}

/* The cause ends when its alarm is forgotten, too. */
static void a_forgotten_cause_suppresses_nothing(void **state) {
    (void)state;
    struct desk desk;
    with_suppress(&desk, "x{severity=low,rule=~r1*,rule!~r0*}", 0);
    desk_raise(&desk, 0);
    assert_int_equal(desk_raise(&desk, 1), WR_ALARM_SILENT_SUPPRESSED);
    desk.alarms[2].labels = "gw=1";
    desk.alarms[2].severity = WR_SEVERITY_MEDIUM;
    assert_int_equal(desk_raise(&desk, 2), 0);
    assert_int_equal(desk_go(&desk, 0, WR_ALARM_NORMAL, WR_ALARM_RULE_CHANGED), 0);
    desk_run(&desk);
    assert_int_equal(desk_last(&desk)->cause, WR_ALARM_RAISED);
    wr_annunciator_forget(desk.annunciator, 2, &desk.now);
    wr_annunciator_forget(desk.annunciator, 63, &desk.now); /* nothing is known of it */
    desk_fini(&desk);
}

static void valid_if_silences(void **state) {
    (void)state;
    struct desk desk;
    desk_init(&desk);
    desk_open(&desk);
    struct wr_alarm_entry entry;
    desk.alarms[0].state = WR_ALARM_UNACK;
    desk_fill(&desk, 0, WR_ALARM_NORMAL, WR_ALARM_RAISED, &entry);
    entry.alarm.silent = WR_ALARM_SILENT_INVALID;
    wr_annunciator_take(desk.annunciator, 0, 0, &entry, &desk.now);
    assert_int_equal(entry.alarm.silent, WR_ALARM_SILENT_INVALID);
    desk_run(&desk);
    assert_int_equal(desk.n_log, 0);
    wr_annunciator_invalid(desk.annunciator, 0, false, &desk.now);
    desk_run(&desk);
    assert_int_equal(desk.n_log, 2);
    assert_int_equal(desk.log[0].cause, WR_ALARM_UNSUPPRESSED);
    assert_string_equal(desk.log[0].why, "valid_if");
    assert_int_equal(desk.log[1].cause, WR_ALARM_RAISED);
    wr_annunciator_invalid(desk.annunciator, 0, true, &desk.now);
    wr_annunciator_invalid(desk.annunciator, 9, true, &desk.now); /* an alarm that was never raised */
    desk_run(&desk);
    assert_int_equal(desk_last(&desk)->cause, WR_ALARM_SUPPRESSED);
    desk_fini(&desk);
}

/* -- chattering and re-alarm --------------------------------------------------------------------------------------------------------------- */

static void flap(struct desk *desk, uint32_t alarm, int64_t ns) {
    desk_raise(desk, alarm);
    desk_wait(desk, ns / 2);
    desk_clear(desk, alarm);
    desk_wait(desk, ns - ns / 2);
}

static void chattering_backs_off_and_doubles(void **state) {
    (void)state;
    struct desk desk;
    desk_init(&desk);
    desk_open(&desk);
    flap(&desk, 0, 10 * DESK_SECOND);
    flap(&desk, 0, 10 * DESK_SECOND);
    assert_int_equal(desk_told(&desk, WR_ALARM_RAISED), 2);
    assert_int_equal(desk_raise(&desk, 0), WR_ALARM_SILENT_CHATTERING); /* the third within a minute */
    assert_int_equal(desk_clear(&desk, 0), WR_ALARM_SILENT_CHATTERING);
    int64_t last = desk.now.boot_ns;
    desk_wait(&desk, 10 * DESK_SECOND);
    unsigned n = 0;
    for (int i = 0; i < 24 * 360; i++) { /* a day */
        desk.n_log = 0;
        flap(&desk, 0, 10 * DESK_SECOND);
        if (desk_told(&desk, WR_ALARM_RAISED) == 0)
            continue;
        int64_t expected = n < 6 ? DESK_MINUTE << n : DESK_HOUR; /* 1, 2, 4 ... 32 minutes, then an hour */
        assert_in_range(desk.now.boot_ns - last, expected - 20 * DESK_SECOND, expected + 30 * DESK_SECOND);
        last = desk.now.boot_ns;
        n++;
    }
    assert_in_range(n, 6 + 22, 6 + 23);
    /* A quiet hour ends it. */
    desk_wait(&desk, 2 * DESK_HOUR);
    assert_int_equal(desk_raise(&desk, 0), 0);
    desk_fini(&desk);
}

static void an_alarm_that_stays_is_told_when_the_back_off_is_over(void **state) {
    (void)state;
    struct desk desk;
    desk_init(&desk);
    desk_open(&desk);
    flap(&desk, 0, 10 * DESK_SECOND);
    flap(&desk, 0, 10 * DESK_SECOND);
    desk_raise(&desk, 0);
    desk_wait(&desk, DESK_MINUTE - 1);
    assert_int_equal(desk_told(&desk, WR_ALARM_RAISED), 2);
    desk_wait(&desk, 1);
    assert_int_equal(desk_told(&desk, WR_ALARM_RAISED), 3);
    assert_int_equal(desk_last(&desk)->silent, 0); /* nothing has come since: it chatters no more */
    desk_fini(&desk);
}

static void three_raises_in_more_than_a_minute_do_not_chatter(void **state) {
    (void)state;
    struct desk desk;
    desk_init(&desk);
    desk_open(&desk);
    for (int i = 0; i < 10; i++)
        flap(&desk, 0, 31 * DESK_SECOND);
    assert_int_equal(desk_told(&desk, WR_ALARM_RAISED), 10);
    desk_fini(&desk);
}

static void what_becomes_worse_is_told_though_it_chatters(void **state) {
    (void)state;
    struct desk desk;
    desk_init(&desk);
    desk_open(&desk);
    for (int i = 0; i < 3; i++)
        flap(&desk, 0, 10 * DESK_SECOND);
    desk_raise(&desk, 0);
    desk.alarms[0].severity = WR_SEVERITY_CRITICAL;
    assert_int_equal(desk_go(&desk, 0, WR_ALARM_UNACK, WR_ALARM_ESCALATED), 0);
    assert_int_equal(desk_go(&desk, 0, WR_ALARM_UNACK, WR_ALARM_ESCALATED), WR_ALARM_SILENT_CHATTERING); /* once */
    desk_fini(&desk);
}

static void it_rings_again_until_somebody_acknowledges(void **state) {
    (void)state;
    struct desk desk;
    desk_init(&desk);
    desk.rule[0].re_alarm_ns = 30 * DESK_MINUTE;
    desk_open(&desk);
    desk_raise(&desk, 0);
    desk_wait(&desk, 95 * DESK_MINUTE);
    assert_int_equal(desk_told(&desk, WR_ALARM_REPEATED), 3);
    assert_int_equal(desk_last(&desk)->from, WR_ALARM_UNACK);
    desk_order(&desk, 0, WR_ALARM_ORDER_SHELVE, "x", DESK_HOUR, NULL);
    desk_wait(&desk, DESK_HOUR - 1);
    assert_int_equal(desk_told(&desk, WR_ALARM_REPEATED), 3);
    desk_wait(&desk, 1); /* told again with the end of the shelving, and from then on */
    assert_int_equal(desk_told(&desk, WR_ALARM_RAISED), 2);
    desk_wait(&desk, 30 * DESK_MINUTE);
    assert_int_equal(desk_told(&desk, WR_ALARM_REPEATED), 4);
    desk_ack(&desk, 0);
    desk_wait(&desk, 5 * DESK_HOUR);
    assert_int_equal(desk_told(&desk, WR_ALARM_REPEATED), 4);
    desk_fini(&desk);
}

/* -- room, restart, reload, memory ---------------------------------------------------------------------------------------------------------- */

static void little_room_loses_nothing(void **state) {
    (void)state;
    struct desk desk;
    with_suppress(&desk, "x{rule=r1}", 0);
    desk.room = 1;
    for (uint32_t i = 10; i < 40; i++) {
        desk.alarms[i] = (struct desk_alarm){.rule = 1, .labels = "gw=1"};
        desk_raise(&desk, i);
    }
    desk_raise(&desk, 0);
    desk_run(&desk);
    uint32_t n = 0;
    for (uint32_t i = 0; i < desk.n_log; i++)
        n += desk.log[i].cause == WR_ALARM_SUPPRESSED;
    assert_int_equal(n, 30);
    desk_clear(&desk, 0);
    desk_run(&desk);
    assert_int_equal(desk_told(&desk, WR_ALARM_UNSUPPRESSED), 30);
    assert_int_equal(desk_told(&desk, WR_ALARM_RAISED), 61);
    desk_fini(&desk);
}

struct kept {
    uint8_t bytes[WR_ANNUNCIATOR_PART_BYTES];
    size_t len;
};

/* As a crash and a start: only what was written last is there. */
static void restart(struct desk *desk, int64_t down_ns) {
    struct kept kept[DESK_ALARMS];
    struct wr_alarm_entry groups[8];
    uint32_t n_groups = 0;
    for (uint32_t i = 0; i < DESK_ALARMS; i++)
        kept[i].len = wr_annunciator_encode(desk->annunciator, i, &desk->now, kept[i].bytes);
    for (uint32_t cursor = 0; wr_annunciator_next_snapshot(desk->annunciator, &cursor, &groups[n_groups]);)
        n_groups++;
    wr_annunciator_free(desk->annunciator);
    desk->now.boot_ns = 5 * DESK_SECOND; /* the machine was started anew, too */
    desk->now.wall_ns += down_ns;
    desk_open(desk);
    for (uint32_t i = 0; i < DESK_ALARMS; i++)
        if (kept[i].len > 0)
            assert_int_equal(wr_annunciator_restore(desk->annunciator, i, kept[i].bytes, kept[i].len, &desk->now), WR_OK);
    for (uint32_t i = 0; i < n_groups; i++) {
        assert_true(wr_annunciator_is_group_snapshot(&groups[i]));
        assert_int_equal(wr_annunciator_restore_group(desk->annunciator, &groups[i], &desk->now), WR_OK);
    }
    assert_true(wr_annunciator_is_valid(desk->annunciator));
}

static void silences_survive_a_restart(void **state) {
    (void)state;
    struct desk desk;
    with_suppress(&desk, "x{rule=r1}", 0);
    desk.rule[4].re_alarm_ns = DESK_HOUR;
    desk.alarms[20].rule = 4;
    desk_raise(&desk, 0);
    desk_raise(&desk, 1);
    desk_raise(&desk, 20);
    for (int i = 0; i < 3; i++)
        flap(&desk, 6, 10 * DESK_SECOND);
    desk_order(&desk, 7, WR_ALARM_ORDER_SHELVE, "valve", 2 * DESK_HOUR, NULL);
    desk_order(&desk, 8, WR_ALARM_ORDER_OUT_OF_SERVICE, "WO-9", 0, NULL);
    wr_annunciator_set_key(desk.annunciator, 9, 4711, &desk.now);
    int64_t until = desk.now.wall_ns + 2 * DESK_HOUR;
    desk_wait(&desk, 20 * DESK_SECOND);
    restart(&desk, 30 * DESK_MINUTE);
    desk_run(&desk);
    static const struct {
        uint32_t alarm;
        uint8_t silent;
    } expected[] = {{0, 0},
                    {1, WR_ALARM_SILENT_SUPPRESSED},
                    {6, WR_ALARM_SILENT_CHATTERING},
                    {7, WR_ALARM_SILENT_SHELVED},
                    {8, WR_ALARM_SILENT_OUT_OF_SERVICE},
                    {20, 0}};
    for (unsigned i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        struct wr_alarm shown = {0};
        wr_annunciator_show(desk.annunciator, expected[i].alarm, &shown);
        assert_int_equal(shown.silent, expected[i].silent);
        if (expected[i].alarm == 7) {
            assert_string_equal(shown.by_whom, "ana");
            assert_string_equal(shown.why, "valve");
            assert_true(shown.until_wall_ns == until);
        }
    }
    assert_true(wr_annunciator_has_key(desk.annunciator, 9, 4711));
    assert_false(wr_annunciator_has_key(desk.annunciator, 9, 4712));
    assert_false(wr_annunciator_has_key(desk.annunciator, 10, 0));
    desk_wait(&desk, until - desk.now.wall_ns - 1);
    assert_int_equal(desk_told(&desk, WR_ALARM_UNSHELVED), 0);
    desk_wait(&desk, 1); /* the end is a time of day: the downtime has counted */
    assert_int_equal(desk_told(&desk, WR_ALARM_UNSHELVED), 1);
    assert_int_equal(desk_told(&desk, WR_ALARM_REPEATED), 1); /* the rest of its hour was kept; the downtime is none of it */
    desk_clear(&desk, 0);
    desk_run(&desk);
    assert_int_equal(desk_last(&desk)->cause, WR_ALARM_RAISED); /* the cause is known after the restart, too */
    desk_fini(&desk);
}

static void a_shelving_that_ended_meanwhile_is_over(void **state) {
    (void)state;
    struct desk desk;
    desk_init(&desk);
    desk_open(&desk);
    desk_raise(&desk, 7);
    desk_order(&desk, 7, WR_ALARM_ORDER_SHELVE, "valve", DESK_HOUR, NULL);
    restart(&desk, 3 * DESK_HOUR);
    desk_run(&desk);
    assert_int_equal(desk_told(&desk, WR_ALARM_UNSHELVED), 1);
    assert_int_equal(desk_told(&desk, WR_ALARM_RAISED), 2);
    /* A clock that stands in 1970 keeps it for shelve_max, not for fifty years. */
    desk_order(&desk, 7, WR_ALARM_ORDER_SHELVE, "valve", DESK_HOUR, NULL);
    int64_t wall = desk.now.wall_ns;
    restart(&desk, -wall);
    desk_wait(&desk, 8 * DESK_HOUR);
    assert_int_equal(desk_told(&desk, WR_ALARM_UNSHELVED), 2);
    desk_fini(&desk);
}

static void damaged_snapshots_are_refused(void **state) {
    (void)state;
    struct desk desk;
    desk_init(&desk);
    desk_open(&desk);
    uint8_t bytes[WR_ANNUNCIATOR_PART_BYTES + 1] = {0};
    desk_order(&desk, 7, WR_ALARM_ORDER_SHELVE, "valve", DESK_HOUR, NULL);
    size_t len = wr_annunciator_encode(desk.annunciator, 7, &desk.now, bytes);
    for (size_t cut = 1; cut < len; cut++)
        assert_int_equal(wr_annunciator_restore(desk.annunciator, 9, bytes, cut, &desk.now), WR_CORRUPT);
    assert_int_equal(wr_annunciator_restore(desk.annunciator, 9, bytes, len + 1, &desk.now), WR_CORRUPT);
    bytes[0] = 77;
    assert_int_equal(wr_annunciator_restore(desk.annunciator, 9, bytes, len, &desk.now), WR_CORRUPT);
    assert_int_equal(wr_annunciator_restore(desk.annunciator, 9, bytes, 0, &desk.now), WR_OK); /* nothing was said of it */
    /* An alarm that is active is annunciated though its part is damaged. */
    desk.alarms[9].state = WR_ALARM_UNACK;
    assert_int_equal(wr_annunciator_restore(desk.annunciator, 9, bytes, len, &desk.now), WR_CORRUPT);
    assert_int_equal(desk_clear(&desk, 9), 0);
    assert_int_equal(desk_told(&desk, WR_ALARM_CLEARED), 1);
    desk_fini(&desk);
}

static void a_reload_takes_everything_over(void **state) {
    (void)state;
    struct desk desk;
    with_suppress(&desk, "x{rule=r1}", 10 * DESK_MINUTE);
    desk_raise(&desk, 0);
    desk_raise(&desk, 1);
    desk_clear(&desk, 0); /* lingers */
    desk_order(&desk, 7, WR_ALARM_ORDER_SHELVE, "valve", 4 * DESK_HOUR, NULL);
    desk_order(&desk, 8, WR_ALARM_ORDER_OUT_OF_SERVICE, "WO-9", 0, NULL);
    struct wr_annunciator *old = desk.annunciator;
    desk_open(&desk);
    desk.rule[0].shelve_max_ns = DESK_HOUR; /* of alarm 7, in the new rules */
    for (uint32_t i = 0; i < DESK_ALARMS; i++)
        assert_int_equal(wr_annunciator_take_over(desk.annunciator, i, old, i, &desk.now), WR_OK);
    wr_annunciator_inherit(desk.annunciator, old, &desk.now);
    wr_annunciator_free(old);
    struct wr_alarm shown = {0};
    desk_run(&desk);
    wr_annunciator_show(desk.annunciator, 1, &shown);
    assert_int_equal(shown.silent, WR_ALARM_SILENT_SUPPRESSED);
    desk_wait(&desk, 10 * DESK_MINUTE);
    assert_int_equal(desk_told(&desk, WR_ALARM_RAISED), 2);
    desk_wait(&desk, 50 * DESK_MINUTE);
    assert_int_equal(desk_last(&desk)->cause, WR_ALARM_UNSHELVED);
    assert_int_equal(desk_order(&desk, 8, WR_ALARM_ORDER_RETURN, "", 0, NULL), WR_OK);
    desk_fini(&desk);
}

static void without_memory_alarms_are_told_plainly(void **state) {
    (void)state;
    for (long n = 0;; n++) {
        struct desk desk;
        with_suppress(&desk, "x{rule=r1}", 0);
        desk.group[0] =
            (struct wr_group){.name = "group:g", .n_by = 1, .by = {"gw"}, .flood_start = 3, .flood_end = 2, .flood_window_ns = DESK_HOUR};
        desk.rules.n_groups = 1;
        wr_annunciator_free(desk.annunciator);
        wr_failing_allocations(n);
        const struct wr_annunciator_host host = {.user = &desk, .look = desk_look, .tell = desk_tell};
        bool made = wr_annunciator_new(&desk.rules, &host, &desk.annunciator, NULL) == WR_OK;
        if (!made) {
            wr_failing_off();
            continue;
        }
        for (uint32_t i = 0; i < 5; i++)
            desk_raise(&desk, i);
        enum wr_result shelved = desk_order(&desk, 3, WR_ALARM_ORDER_SHELVE, "x", DESK_HOUR, NULL);
        assert_true(shelved == WR_OK || shelved == WR_NO_MEMORY);
        desk_run(&desk);
        assert_true(desk_told(&desk, WR_ALARM_RAISED) >= 3);
        bool hit = wr_failing_hit();
        wr_failing_off();
        if (shelved == WR_NO_MEMORY)
            assert_int_equal(desk_order(&desk, 3, WR_ALARM_ORDER_SHELVE, "x", DESK_HOUR, NULL), WR_OK);
        desk_fini(&desk);
        if (!hit)
            break;
        assert_true(n < 200);
    }
}

/* The invariants see what they promise to see: a cause that is held up by too many or none, and a timer that is missing. */
static void what_does_not_agree_is_seen(void **state) {
    (void)state;
    struct desk desk;
    with_suppress(&desk, "x{rule!=r0}", 60 * DESK_SECOND);
    desk_raise(&desk, 0);
    desk_run(&desk);
    struct wr_cause *cause = wr_cause_at(desk.annunciator, 0);
    cause->active++;
    assert_false(wr_annunciator_is_valid(desk.annunciator));
    cause->active = 0;
    assert_false(wr_annunciator_is_valid(desk.annunciator));
    cause->active = 1;
    assert_true(wr_annunciator_is_valid(desk.annunciator));
    assert_int_equal(desk_order(&desk, 0, WR_ALARM_ORDER_SHELVE, "why", DESK_HOUR, NULL), WR_OK);
    wr_timer_disarm(&desk.annunciator->timers, desk.annunciator->record_of[0]);
    assert_false(wr_annunciator_is_valid(desk.annunciator));
    wr_timer_arm(&desk.annunciator->timers, desk.annunciator->record_of[0], desk.now.boot_ns);
    desk_fini(&desk);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_alarm_is_told_plainly),
        cmocka_unit_test(a_shelved_alarm_is_silent_until_its_time),
        cmocka_unit_test(what_was_cleared_meanwhile_is_told_afterwards),
        cmocka_unit_test(who_has_acknowledged_hears_nothing_again),
        cmocka_unit_test(an_alarm_that_needs_no_acknowledgement_is_told_afterwards),
        cmocka_unit_test(orders_that_make_no_sense_are_refused),
        cmocka_unit_test(a_shelving_may_be_made_longer_and_two_silences_are_two),
        cmocka_unit_test(operators_may_silence_so_many),
        cmocka_unit_test(what_an_alarm_explains_is_silent),
        cmocka_unit_test(two_alarms_hold_one_cause_up),
        cmocka_unit_test(a_forgotten_cause_suppresses_nothing),
        cmocka_unit_test(valid_if_silences),
        cmocka_unit_test(chattering_backs_off_and_doubles),
        cmocka_unit_test(an_alarm_that_stays_is_told_when_the_back_off_is_over),
        cmocka_unit_test(three_raises_in_more_than_a_minute_do_not_chatter),
        cmocka_unit_test(what_becomes_worse_is_told_though_it_chatters),
        cmocka_unit_test(it_rings_again_until_somebody_acknowledges),
        cmocka_unit_test(little_room_loses_nothing),
        cmocka_unit_test(silences_survive_a_restart),
        cmocka_unit_test(a_shelving_that_ended_meanwhile_is_over),
        cmocka_unit_test(damaged_snapshots_are_refused),
        cmocka_unit_test(a_reload_takes_everything_over),
        cmocka_unit_test(without_memory_alarms_are_told_plainly),
        cmocka_unit_test(what_does_not_agree_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
