/* Groups of alarms: first out, wait, updates, repeats, floods; and the figures of ISA-18.2. */
#include <math.h>

#include "tests/support/annunciator_fixture.h"

static const char *const rooms[] = {"line=1,room=A", "line=1,room=B", "line=1,room=C", "line=1,room=D", "line=1,room=E", "line=1,room=F",
                                    "line=1,room=G", "line=1,room=H", "line=1,room=I", "line=1,room=J", "line=1,room=K", "line=1,room=L"};

static void with_group(struct desk *desk) {
    desk_init(desk);
    desk->group[0] = (struct wr_group){.name = "group:by_line",
                                       .n_by = 2,
                                       .by = {"line", "site"},
                                       .wait_ns = 2 * DESK_SECOND,
                                       .update_ns = 30 * DESK_SECOND,
                                       .repeat_ns = 4 * DESK_HOUR,
                                       .first_out = true,
                                       .flood_start = 10,
                                       .flood_end = 5,
                                       .flood_window_ns = 10 * DESK_MINUTE};
    desk->rules.n_groups = 1;
    for (uint32_t i = 0; i < 12; i++)
        desk->alarms[i].labels = rooms[i];
    desk->alarms[20].labels = "line=2";
    desk->alarms[21].labels = "room=A"; /* of no line */
    desk_open(desk);
}

/* The last notice of a group; NULL: there was none since `from`. */
static const struct wr_alarm *notice(const struct desk *desk, uint32_t from) {
    for (uint32_t i = desk->n_log; i-- > from;)
        if (strcmp(desk->log[i].rule, "group:by_line") == 0)
            return &desk->log[i];
    return NULL;
}

static void the_first_notice_waits_and_says_what_came_first(void **state) {
    (void)state;
    struct desk desk;
    with_group(&desk);
    assert_int_equal(desk_raise(&desk, 1), 0); /* without actions of the group each alarm is told by itself, too */
    desk_wait(&desk, DESK_SECOND);
    desk.alarms[0].severity = WR_SEVERITY_MEDIUM;
    desk_raise(&desk, 0);
    desk_raise(&desk, 20);
    desk_raise(&desk, 21);
    assert_null(notice(&desk, 0));
    desk_wait(&desk, DESK_SECOND - 1);
    assert_null(notice(&desk, 0));
    desk_wait(&desk, 1);
    const struct wr_alarm *first = notice(&desk, 0);
    assert_non_null(first);
    assert_string_equal(first->instance, "line=1"); /* site is the same for everybody: left out */
    assert_int_equal(first->cause, WR_ALARM_RAISED);
    assert_int_equal(first->from, WR_ALARM_NORMAL);
    assert_int_equal(first->to, WR_ALARM_UNACK);
    assert_int_equal(first->severity, WR_SEVERITY_MEDIUM);
    assert_int_equal(first->transition, 1);
    assert_true(first->id == wr_alarm_id("group:by_line", "line=1"));
    assert_true(first->has_value && first->value == 2);
    assert_string_equal(first->message, "2 alarms active, 2 not acknowledged; first out r0{line=1,room=B} at 2026-03-02T08:00:00.000Z; "
                                        "2 new: r0{line=1,room=B}, r0{line=1,room=A}");
    uint32_t before = desk.n_log;
    desk_wait(&desk, DESK_SECOND);
    assert_string_equal(notice(&desk, before)->instance, "line=2"); /* the alarm of no line is in no group */
    desk_fini(&desk);
}

static void updates_repeats_and_the_end(void **state) {
    (void)state;
    struct desk desk;
    with_group(&desk);
    desk_raise(&desk, 0);
    desk_wait(&desk, 5 * DESK_SECOND);
    uint32_t before = desk.n_log;
    desk_raise(&desk, 1);
    desk_wait(&desk, 27 * DESK_SECOND - 1); /* the first was told at 2 s: not before 32 s */
    assert_null(notice(&desk, before));
    desk_wait(&desk, 1);
    assert_int_equal(notice(&desk, before)->cause, WR_ALARM_RAISED);
    assert_int_equal(notice(&desk, before)->from, WR_ALARM_UNACK);
    before = desk.n_log;
    desk_wait(&desk, 4 * DESK_HOUR);
    assert_int_equal(notice(&desk, before)->cause, WR_ALARM_REPEATED);
    desk_ack(&desk, 0);
    desk_ack(&desk, 1);
    before = desk.n_log;
    desk_wait(&desk, 9 * DESK_HOUR); /* everybody knows: no repeats */
    assert_null(notice(&desk, before));
    desk_clear(&desk, 0);
    desk_wait(&desk, DESK_MINUTE);
    assert_null(notice(&desk, before));
    desk_clear(&desk, 1);
    desk_run(&desk);
    const struct wr_alarm *end = notice(&desk, before);
    assert_int_equal(end->cause, WR_ALARM_CLEARED);
    assert_int_equal(end->from, WR_ALARM_UNACK);
    assert_int_equal(end->to, WR_ALARM_NORMAL);
    assert_int_equal(end->transition, 4);
    /* The next one is first out anew. */
    before = desk.n_log;
    desk_raise(&desk, 2);
    desk_wait(&desk, 2 * DESK_SECOND);
    assert_non_null(strstr(notice(&desk, before)->message, "first out r0{line=1,room=C}"));
    desk_fini(&desk);
}

static void what_is_over_before_the_first_notice_is_told_all_the_same(void **state) {
    (void)state;
    struct desk desk;
    with_group(&desk);
    desk_go(&desk, 0, WR_ALARM_ACKED, WR_ALARM_RAISED);
    desk_clear(&desk, 0);
    desk_wait(&desk, 2 * DESK_SECOND);
    assert_int_equal(notice(&desk, 0)->cause, WR_ALARM_RAISED);
    assert_int_equal(notice(&desk, 0)->to, WR_ALARM_UNACK);
    desk_wait(&desk, 30 * DESK_SECOND);
    assert_int_equal(notice(&desk, 0)->cause, WR_ALARM_CLEARED);
    desk_fini(&desk);
}

static void a_group_with_actions_speaks_for_the_low_and_medium(void **state) {
    (void)state;
    struct desk desk;
    with_group(&desk);
    desk.group[0].n_actions = 1;
    desk.alarms[1].severity = WR_SEVERITY_MEDIUM;
    desk.alarms[2].severity = WR_SEVERITY_HIGH;
    desk.alarms[3].severity = WR_SEVERITY_CRITICAL;
    assert_int_equal(desk_raise(&desk, 0), WR_ALARM_SILENT_GROUPED);
    assert_int_equal(desk_raise(&desk, 1), WR_ALARM_SILENT_GROUPED);
    assert_int_equal(desk_raise(&desk, 2), 0);
    assert_int_equal(desk_raise(&desk, 3), 0);
    desk_wait(&desk, DESK_MINUTE);
    assert_int_equal(desk_told(&desk, WR_ALARM_RAISED), 3); /* two, and the notice */
    desk.alarms[1].severity = WR_SEVERITY_HIGH;
    assert_int_equal(desk_go(&desk, 1, WR_ALARM_UNACK, WR_ALARM_ESCALATED), 0);
    assert_int_equal(desk_clear(&desk, 0), WR_ALARM_SILENT_GROUPED);
    assert_int_equal(desk_clear(&desk, 1), 0);
    desk_fini(&desk);
}

static void a_flood_is_told_once_and_the_rest_is_quiet(void **state) {
    (void)state;
    struct desk desk;
    with_group(&desk);
    desk.alarms[11].severity = WR_SEVERITY_HIGH;
    for (uint32_t i = 0; i < 10; i++) {
        assert_int_equal(desk_raise(&desk, i), 0); /* the tenth is still told */
        desk_wait(&desk, 100 * DESK_SECOND / 10);
    }
    const struct wr_alarm *flood = notice(&desk, 0);
    assert_int_equal(flood->cause, WR_ALARM_ESCALATED);
    assert_string_equal(flood->level, "flood");
    assert_non_null(strstr(flood->message, "flood: 10 alarms active"));
    uint32_t before = desk.n_log;
    assert_int_equal(desk_raise(&desk, 10), WR_ALARM_SILENT_GROUPED);
    assert_int_equal(desk_raise(&desk, 11), 0);
    desk_wait(&desk, 5 * DESK_MINUTE);
    assert_null(notice(&desk, before)); /* no updates in a flood */
    /* Raises at 0, 10 ... 90 s and two at 100 s: at 670 s five are left in the window, just after it four. */
    desk_wait(&desk, 670 * DESK_SECOND - (desk.now.boot_ns - 1000 * DESK_SECOND));
    assert_null(notice(&desk, before));
    desk_wait(&desk, 1);
    const struct wr_alarm *over = notice(&desk, before);
    assert_non_null(over);
    assert_int_equal(over->cause, WR_ALARM_DEESCALATED);
    assert_string_equal(over->level, "");
    assert_string_equal(over->message, "12 alarms active, 12 not acknowledged; first out r0{line=1,room=A} at 2026-03-02T08:00:00.000Z; "
                                       "2 new: r0{line=1,room=K}, r0{line=1,room=L}");
    desk_wait(&desk, DESK_HOUR);
    assert_int_equal(desk_told(&desk, WR_ALARM_RAISED), 10 + 1 + 3); /* the group has spoken for the eleventh. Notices: 2 s, 32 s, 62 s */
    assert_int_equal(desk_clear(&desk, 10), WR_ALARM_SILENT_GROUPED);
    desk_ack(&desk, 10);
    assert_int_equal(desk_raise(&desk, 10), 0);
    desk_fini(&desk);
}

static void what_is_silenced_otherwise_is_in_no_group(void **state) {
    (void)state;
    struct desk desk;
    with_group(&desk);
    desk_order(&desk, 0, WR_ALARM_ORDER_SHELVE, "x", DESK_HOUR, NULL);
    desk_raise(&desk, 0);
    desk_wait(&desk, DESK_MINUTE);
    assert_null(notice(&desk, 0));
    desk_raise(&desk, 1);
    desk_order(&desk, 1, WR_ALARM_ORDER_OUT_OF_SERVICE, "x", 0, NULL);
    desk_wait(&desk, DESK_MINUTE);
    assert_true(notice(&desk, 0)->value == 0); /* it was told of, and has left */
    assert_int_equal(notice(&desk, 0)->cause, WR_ALARM_CLEARED);
    uint32_t before = desk.n_log;
    desk_wait(&desk, DESK_HOUR);
    assert_non_null(notice(&desk, before)); /* unshelved: it joins now */
    desk_fini(&desk);
}

/* Labels that need a backslash do not run into each other, and another group takes what has not all labels of the first. */
static void tuples_are_told_apart(void **state) {
    (void)state;
    struct desk desk;
    with_group(&desk);
    desk.group[1] = (struct wr_group){.name = "group:by_room", .n_by = 1, .by = {"room"}};
    desk.rules.n_groups = 2;
    desk.alarms[0].labels = "line=1\\,x\\=2\\\\";
    desk_raise(&desk, 0);
    desk_raise(&desk, 21);
    desk_run(&desk);
    assert_string_equal(desk_last(&desk)->rule, "group:by_room"); /* wait 0: at once */
    assert_string_equal(desk_last(&desk)->instance, "room=A");
    assert_null(strstr(desk_last(&desk)->message, "first out"));
    desk_wait(&desk, 2 * DESK_SECOND);
    assert_string_equal(notice(&desk, 0)->instance, "line=1\\,x\\=2\\\\");
    desk_fini(&desk);
}

static void there_is_an_end_to_groups(void **state) {
    (void)state;
    struct desk desk;
    static char labels[2][32];
    with_group(&desk);
    for (uint32_t i = 0; i < WR_ANNUNCIATOR_TUPLES; i++) {
        desk.n_log = 0;
        snprintf(labels[0], sizeof labels[0], "line=%u", 100 + i);
        desk.alarms[30].labels = labels[0];
        wr_annunciator_forget(desk.annunciator, 30, &desk.now);
        struct wr_alarm_entry entry;
        desk.alarms[30].state = WR_ALARM_UNACK;
        desk_fill(&desk, 30, WR_ALARM_NORMAL, WR_ALARM_RAISED, &entry);
        wr_annunciator_take(desk.annunciator, 30, 0, &entry, &desk.now);
    }
    struct wr_annunciator_stats stats;
    wr_annunciator_stats(desk.annunciator, &stats);
    assert_int_equal(stats.tuples, WR_ANNUNCIATOR_TUPLES);
    assert_int_equal(stats.refused, 0);
    desk.group[0].n_actions = 1;
    assert_int_equal(desk_raise(&desk, 0), 0); /* nobody speaks for it: it is told */
    wr_annunciator_stats(desk.annunciator, &stats);
    assert_int_equal(stats.refused, 1);
    wr_annunciator_free(desk.annunciator);
}

static void places_become_free_after_a_week(void **state) {
    (void)state;
    struct desk desk;
    with_group(&desk);
    desk_raise(&desk, 0);
    desk_ack(&desk, 0);
    desk_clear(&desk, 0);
    desk_wait(&desk, DESK_HOUR);
    uint32_t before = desk.n_log;
    desk_wait(&desk, 7 * 24 * DESK_HOUR);
    assert_int_equal(desk.n_log, before + 1);
    assert_int_equal(desk_last(&desk)->transition, 0); /* no transition: only its snapshot is forgotten */
    struct wr_annunciator_stats stats;
    wr_annunciator_stats(desk.annunciator, &stats);
    assert_int_equal(stats.tuples, 0);
    desk_raise(&desk, 0);
    desk_wait(&desk, 2 * DESK_SECOND);
    assert_int_equal(notice(&desk, 0)->transition, 1);
    desk_fini(&desk);
}

static void groups_survive_a_restart_and_a_reload(void **state) {
    (void)state;
    struct desk desk;
    with_group(&desk);
    for (uint32_t i = 0; i < 3; i++)
        desk_raise(&desk, i);
    desk_wait(&desk, DESK_MINUTE);
    uint8_t parts[3][WR_ANNUNCIATOR_PART_BYTES];
    struct wr_alarm_entry group;
    uint32_t cursor = 0;
    assert_true(wr_annunciator_next_snapshot(desk.annunciator, &cursor, &group));
    struct wr_alarm_entry again = group;
    assert_false(wr_annunciator_next_snapshot(desk.annunciator, &cursor, &again));
    struct wr_annunciator *old = desk.annunciator;
    desk_open(&desk);
    assert_int_equal(wr_annunciator_restore_group(desk.annunciator, &group, &desk.now), WR_OK);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(
            wr_annunciator_restore(desk.annunciator, i, parts[i], wr_annunciator_encode(old, i, &desk.now, parts[i]), &desk.now), WR_OK);
    wr_annunciator_free(old);
    uint32_t before = desk.n_log;
    desk_raise(&desk, 3);
    desk_wait(&desk, DESK_MINUTE);
    assert_int_equal(notice(&desk, before)->transition, 2);
    assert_string_equal(notice(&desk, before)->message, "4 alarms active, 4 not acknowledged; first out r0{line=1,room=A} at "
                                                        "2026-03-02T08:00:00.000Z; 1 new: r0{line=1,room=D}");
    /* A reload in a flood. */
    for (uint32_t i = 4; i < 12; i++)
        desk_raise(&desk, i);
    desk_clear(&desk, 0);
    desk_raise(&desk, 0); /* the tenth since the restart */
    desk_run(&desk);
    old = desk.annunciator;
    desk_open(&desk);
    for (uint32_t i = 0; i < 12; i++)
        assert_int_equal(wr_annunciator_take_over(desk.annunciator, i, old, i, &desk.now), WR_OK);
    wr_annunciator_inherit(desk.annunciator, old, &desk.now);
    wr_annunciator_free(old);
    desk_clear(&desk, 11);
    assert_int_equal(desk_raise(&desk, 11), WR_ALARM_SILENT_GROUPED);
    /* A reload without the group: its notice is closed. */
    const struct wr_annunciator_host host = {.user = &desk, .look = desk_look, .tell = desk_tell};
    struct wr_ruleset without = desk.rules;
    without.n_groups = 0;
    old = desk.annunciator;
    assert_int_equal(wr_annunciator_new(&without, &host, &desk.annunciator, NULL), WR_OK);
    for (uint32_t i = 0; i < 12; i++)
        assert_int_equal(wr_annunciator_take_over(desk.annunciator, i, old, i, &desk.now), WR_OK);
    wr_annunciator_inherit(desk.annunciator, old, &desk.now);
    wr_annunciator_free(old);
    before = desk.n_log;
    desk_run(&desk);
    assert_int_equal(notice(&desk, before)->cause, WR_ALARM_RULE_CHANGED);
    desk_fini(&desk);
}

static void a_group_that_a_reload_takes_away_is_closed(void **state) {
    (void)state;
    struct desk desk;
    with_group(&desk);
    desk_raise(&desk, 0);
    desk_wait(&desk, DESK_MINUTE);
    struct wr_alarm_entry group;
    uint32_t cursor = 0;
    assert_true(wr_annunciator_next_snapshot(desk.annunciator, &cursor, &group));
    wr_annunciator_free(desk.annunciator);
    desk.rules.n_groups = 0;
    desk_open(&desk);
    assert_int_equal(wr_annunciator_restore_group(desk.annunciator, &group, &desk.now), WR_OK);
    desk_run(&desk);
    assert_int_equal(desk_last(&desk)->cause, WR_ALARM_RULE_CHANGED);
    assert_string_equal(desk_last(&desk)->rule, "group:by_line");
    assert_int_equal(desk_last(&desk)->transition, 2);
    assert_int_equal(desk_last(&desk)->to, WR_ALARM_NORMAL);
    for (uint16_t cut = 0; cut < group.snap_len; cut++) {
        struct wr_alarm_entry damaged = group;
        damaged.snap_len = cut;
        assert_int_equal(wr_annunciator_restore_group(desk.annunciator, &damaged, &desk.now), WR_CORRUPT);
    }
    desk_fini(&desk);
}

/* -- figures ----------------------------------------------------------------------------------------------------------------------------- */

static struct wr_alarm_kpis measure(struct desk *desk) {
    struct wr_alarm_kpis kpis;
    uint32_t cursor = 0;
    while (wr_annunciator_measure(desk->annunciator, &cursor, 3, &desk->now, &kpis))
        ;
    return kpis;
}

static void the_figures_of_the_standard(void **state) {
    (void)state;
    struct desk desk;
    desk_init(&desk);
    desk_open(&desk);
    struct wr_alarm_kpis kpis = measure(&desk);
    assert_int_equal(kpis.rate_10m, 0);
    assert_true(kpis.flood_pct == 0 && kpis.top10_share == 0 && kpis.unacked_max_age_s == 0);
    for (uint32_t i = 0; i < 20; i++) { /* twenty alarms, one of them five times: eleven of 24 are the ten most frequent ... */
        desk.alarms[i].labels = rooms[i % 12];
        desk.alarms[i].rule = i % 8;
        desk.alarms[i].severity = (uint8_t)(i < 16 ? WR_SEVERITY_LOW : i < 19 ? WR_SEVERITY_MEDIUM : WR_SEVERITY_HIGH);
        desk_raise(&desk, i);
    }
    for (int i = 0; i < 4; i++) {
        desk_wait(&desk, 61 * DESK_SECOND);
        desk_raise(&desk, 0);
    }
    kpis = measure(&desk);
    assert_int_equal(kpis.rate_10m, 24);
    assert_true(kpis.flood_pct == 100); /* more than ten in the only period there was */
    assert_true(fabs(kpis.priority_mix[WR_SEVERITY_LOW] - 100.0 * 20 / 24) < 0.2);
    assert_true(fabs(kpis.priority_mix[WR_SEVERITY_MEDIUM] - 100.0 * 3 / 24) < 0.2);
    assert_true(fabs(kpis.priority_mix[WR_SEVERITY_HIGH] - 100.0 / 24) < 0.2);
    assert_true(fabs(kpis.top10_share - 100.0 * 14 / 24) < 0.5);
    assert_true(fabs(kpis.unacked_max_age_s - 244) < 0.001);
    desk_order(&desk, 1, WR_ALARM_ORDER_SHELVE, "x", DESK_HOUR, NULL);
    desk_order(&desk, 2, WR_ALARM_ORDER_OUT_OF_SERVICE, "x", 0, NULL);
    kpis = measure(&desk);
    assert_int_equal(kpis.shelved, 1);
    assert_int_equal(kpis.out_of_service, 1);
    desk_wait(&desk, 10 * DESK_MINUTE + 10 * DESK_SECOND);
    kpis = measure(&desk);
    assert_int_equal(kpis.rate_10m, 0);
    assert_true(kpis.flood_pct == 50);
    assert_int_equal(kpis.stale, 0);
    desk_wait(&desk, 24 * DESK_HOUR);
    kpis = measure(&desk);
    assert_int_equal(kpis.stale, 20);
    assert_true(kpis.flood_pct == 0); /* a day ago */
    for (uint32_t i = 1; i < 20; i++)
        desk_clear(&desk, i);
    assert_int_equal(measure(&desk).stale, 1);
    for (int i = 0; i < 3; i++) {
        desk_raise(&desk, 30);
        desk_clear(&desk, 30);
    }
    assert_int_equal(measure(&desk).chattering, 1);
    desk_fini(&desk);
}

/* The counters are few: what comes often is found all the same. */
static void frequent_alarms_are_found_among_thousands(void **state) {
    (void)state;
    struct wr_alarm_kpi kpi;
    struct wr_alarm_kpis kpis = {0};
    int64_t now = 5 * DESK_SECOND;
    wr_alarm_kpi_init(&kpi, now);
    for (uint64_t i = 0; i < 20000; i++) {
        now += DESK_SECOND / 10;
        wr_alarm_kpi_told(&kpi, i % 2 ? i % 20 / 2 : 1000 + i, WR_SEVERITY_LOW, now); /* half of all are of ten alarms */
    }
    wr_alarm_kpi_read(&kpi, now, &kpis);
    assert_true(kpis.top10_share >= 49 && kpis.top10_share <= 50 + 10 * 100.0 / WR_KPI_COUNTERS);
    assert_in_range(kpis.rate_10m, 5900, 6000); /* exact to ten seconds */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_notice_waits_and_says_what_came_first),
        cmocka_unit_test(updates_repeats_and_the_end),
        cmocka_unit_test(what_is_over_before_the_first_notice_is_told_all_the_same),
        cmocka_unit_test(a_group_with_actions_speaks_for_the_low_and_medium),
        cmocka_unit_test(a_flood_is_told_once_and_the_rest_is_quiet),
        cmocka_unit_test(what_is_silenced_otherwise_is_in_no_group),
        cmocka_unit_test(tuples_are_told_apart),
        cmocka_unit_test(there_is_an_end_to_groups),
        cmocka_unit_test(places_become_free_after_a_week),
        cmocka_unit_test(groups_survive_a_restart_and_a_reload),
        cmocka_unit_test(a_group_that_a_reload_takes_away_is_closed),
        cmocka_unit_test(the_figures_of_the_standard),
        cmocka_unit_test(frequent_alarms_are_found_among_thousands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
