/* The annunciator against a model that knows only what a listener hears and what operators said: random transitions, orders, causes that come and go, time,
 * restarts and reloads. After every step: a raise bears exactly the silences that are in force; a listener who hears nothing of a silenced alarm believes, once
 * nothing silences it, what is so; a listener of groups hears of what a group speaks for within its times, also over a restart, that all is over, and that a group is gone;
 * a group that has lost its `then` speaks for nobody but in a flood; transitions count up; the invariants hold. A restart or a reload may bring other groups: none,
 * one that only counts floods, one with `then`. WEIR_SEED repeats a run. */
#include "tests/support/annunciator_fixture.h"
#include "tests/support/random.h"

#define STEPS 120000
#define ALARMS 24
#define LINGER (20 * DESK_SECOND)

struct model {
    int64_t shelved_until_wall[ALARMS]; /* 0: not */
    bool out_of_service[ALARMS];
    bool invalid[ALARMS];
    bool believes[ALARMS];
    uint64_t transition[ALARMS];
    int64_t linger_until[2]; /* of gateway 1 and 2, boot time */
    bool group_believes[2];
    bool group_floods[2];
    int64_t group_spoke_at[2];
    uint64_t group_transition[2];
    int64_t idle_since[2];            /* the group has had nothing in it */
    int64_t spoken_for_since[ALARMS]; /* a group alone speaks for it; WR_NEVER_NS: it does not */
    bool by_then[ALARMS];             /* since then its group has had `then` */
    bool owed[ALARMS];                /* its group had not spoken of it when the agent ended */
    struct wr_ruleset rules[2];       /* of now, and of the next reload */
    struct wr_group groups[2];
    unsigned at;
};

static const char *const labels[ALARMS] = {"gw=1",        "gw=2",        "gw=1,room=A", "gw=2,room=B", "gw=1,room=C", "gw=2,room=D",
                                           "gw=1,room=E", "gw=2,room=F", "room=G",      "gw=1,room=H", "gw=2,room=I", "gw=1,room=J",
                                           "gw=2,room=K", "gw=1,room=L", "gw=2,room=M", "gw=1,room=N", "gw=2,room=O", "gw=1,room=P",
                                           "gw=2,room=Q", "gw=1,room=R", "gw=2,room=S", "gw=1,room=T", "gw=2,room=U", "gw=1,room=V"};

static int gateway(uint32_t alarm) {
    return strncmp(labels[alarm], "gw=1", 4) == 0 ? 0 : strncmp(labels[alarm], "gw=2", 4) == 0 ? 1 : -1;
}

static bool condition(const struct desk *desk, uint32_t alarm) {
    return desk->alarms[alarm].state == WR_ALARM_UNACK || desk->alarms[alarm].state == WR_ALARM_ACKED;
}

/* Alarms 0 and 1 explain those of rule 1 on their gateway. */
static bool is_suppressed(const struct desk *desk, const struct model *model, uint32_t alarm) {
    int g = gateway(alarm);
    if (alarm < 2 || g < 0 || desk->alarms[alarm].rule != 1)
        return false;
    return condition(desk, (uint32_t)g) || desk->now.boot_ns < model->linger_until[g];
}

static uint8_t hard(const struct desk *desk, const struct model *model, uint32_t alarm) {
    return (uint8_t)((model->shelved_until_wall[alarm] > desk->now.wall_ns ? WR_ALARM_SILENT_SHELVED : 0) |
                     (model->out_of_service[alarm] ? WR_ALARM_SILENT_OUT_OF_SERVICE : 0) |
                     (model->invalid[alarm] ? WR_ALARM_SILENT_INVALID : 0) |
                     (is_suppressed(desk, model, alarm) ? WR_ALARM_SILENT_SUPPRESSED : 0));
}

#define GROUP_SPEAKS_NS (21 * DESK_SECOND) /* wait and update */
#define GROUP_ENDS_NS (120 * DESK_SECOND)  /* a flood that leaves its window, then two updates */

static bool has_group(const struct model *model) {
    return model->rules[model->at].n_groups > 0;
}

static bool has_then(const struct model *model) {
    return has_group(model) && model->groups[model->at].n_actions > 0;
}

/* What a listener makes of a group. */
static void hear_group(struct model *model, const struct wr_alarm *alarm) {
    const int g = alarm->instance[3] - '1';
    if (alarm->transition == 0)
        return;
    assert_true(alarm->transition > model->group_transition[g]);
    model->group_transition[g] = alarm->cause == WR_ALARM_RULE_CHANGED ? 0 : alarm->transition;
    model->group_believes[g] = alarm->to != WR_ALARM_NORMAL;
    model->group_floods[g] = alarm->level[0] != '\0';
    model->group_spoke_at[g] = alarm->decided_boot_ns;
}

/* Since it speaks for this alarm; in a flood once for all. */
static bool has_spoken(const struct model *model, uint32_t alarm) {
    const int g = gateway(alarm);
    return model->group_believes[g] && (model->group_spoke_at[g] >= model->spoken_for_since[alarm] || model->group_floods[g]);
}

static void check_groups(const struct desk *desk, struct model *model) {
    bool busy[2] = {false, false};
    for (uint32_t i = 0; i < ALARMS; i++) {
        const struct wr_annunciated *record = wr_annunciated_find(desk->annunciator, i);
        const bool is_spoken_for = record && (record->silent & WR_ALARM_SILENT_GROUPED) && condition(desk, i);
        if (record && record->tuple != WR_ANNUNCIATOR_NONE)
            busy[gateway(i)] = true;
        if (!is_spoken_for)
            model->spoken_for_since[i] = WR_NEVER_NS;
        else if (model->spoken_for_since[i] == WR_NEVER_NS)
            model->spoken_for_since[i] = desk->now.boot_ns;
        model->by_then[i] = is_spoken_for && (model->by_then[i] || has_then(model));
        if (is_spoken_for) {
            assert_true(has_group(model));
            if (model->by_then[i] && !has_then(model))
                fail_msg("a group speaks for %s, and has nobody to tell any more", labels[i]);
            if (desk->now.boot_ns - model->spoken_for_since[i] > GROUP_SPEAKS_NS && !has_spoken(model, i))
                fail_msg("a group speaks for %s, and says nothing", labels[i]);
        }
    }
    for (int g = 0; g < 2; g++) {
        if (busy[g])
            model->idle_since[g] = desk->now.boot_ns;
        if (!has_group(model) || desk->now.boot_ns - model->idle_since[g] > GROUP_ENDS_NS)
            assert_false(model->group_believes[g]);
    }
}

/* What a listener makes of it. */
static void hear(struct desk *desk, struct model *model) {
    for (uint32_t i = 0; i < desk->n_log; i++) {
        const struct wr_alarm *alarm = &desk->log[i];
        if (strncmp(alarm->rule, "group:", 6) == 0) {
            hear_group(model, alarm);
            continue;
        }
        uint32_t index = 0;
        while (alarm->id != wr_alarm_id(desk->rule[desk->alarms[index].rule].name, labels[index]))
            index++;
        assert_true(alarm->transition > model->transition[index]);
        model->transition[index] = alarm->transition;
        if ((alarm->silent & WR_ALARM_SILENT_GROUPED) && (alarm->cause == WR_ALARM_RAISED || alarm->cause == WR_ALARM_ESCALATED)) {
            model->spoken_for_since[index] = desk->now.boot_ns - (desk->now.wall_ns - alarm->wall_ns);
            model->by_then[index] = has_then(model);
        }
        if (alarm->cause == WR_ALARM_RAISED)
            model->owed[index] = false;
        bool is_operators = alarm->cause == WR_ALARM_ACKNOWLEDGED;
        if (!wr_alarm_is_annunciated(alarm) || alarm->cause >= WR_ALARM_SHELVED)
            continue;
        if (!is_operators && alarm->cause != WR_ALARM_CLEARED)
            assert_true(alarm->to == WR_ALARM_UNACK || alarm->to == WR_ALARM_ACKED);
        model->believes[index] = alarm->to == WR_ALARM_UNACK || alarm->to == WR_ALARM_ACKED;
    }
    desk->n_log = 0;
}

static void check(struct desk *desk, struct model *model) {
    hear(desk, model);
    check_groups(desk, model);
    for (uint32_t i = 0; i < ALARMS; i++) {
        struct wr_alarm shown = {0};
        wr_annunciator_show(desk->annunciator, i, &shown);
        uint8_t expected = hard(desk, model, i);
        const uint8_t said = WR_ALARM_SILENT_SHELVED | WR_ALARM_SILENT_OUT_OF_SERVICE;
        assert_int_equal(shown.silent & said, expected & said);
        if (desk->alarms[i].state != WR_ALARM_NORMAL) /* those that come and go by themselves need not be known of a normal one */
            assert_int_equal(shown.silent & WR_SILENT_HARD, expected);
        if (shown.silent == 0)
            assert_int_equal(model->believes[i], condition(desk, i));
        if (desk->alarms[i].state != WR_ALARM_UNACK || (shown.silent & ~WR_ALARM_SILENT_GROUPED) != 0)
            model->owed[i] = false; /* somebody knows, or is to be told later */
        assert_false(model->owed[i]);
        const struct wr_annunciated *record = wr_annunciated_find(desk->annunciator, i);
        if (record && shown.silent == 0 && gateway(i) >= 0 && has_group(model))
            assert_int_equal(record->tuple != WR_ANNUNCIATOR_NONE, wr_alarm_state_is_active((enum wr_alarm_state)desk->alarms[i].state));
    }
}

/* The model's gateways: the condition of alarm 0 or 1 has ended. */
static void after_transition(struct desk *desk, struct model *model, uint32_t alarm, bool held) {
    if (alarm < 2 && held && !condition(desk, alarm))
        model->linger_until[alarm] = desk->now.boot_ns + LINGER;
}

static void transition(struct desk *desk, struct model *model, struct wr_random *random, uint32_t alarm) {
    struct desk_alarm *at = &desk->alarms[alarm];
    bool held = condition(desk, alarm);
    struct wr_alarm_entry entry;
    uint8_t from = at->state;
    enum wr_alarm_cause cause;
    if (!held && wr_random_below(random, 3) > 0) {
        cause = WR_ALARM_RAISED;
        at->state = wr_random_below(random, 4) == 0 ? WR_ALARM_ACKED : WR_ALARM_UNACK;
        at->severity = (uint8_t)wr_random_below(random, 4);
    } else if (from == WR_ALARM_UNACK || from == WR_ALARM_RTN_UNACK) {
        bool ack = from == WR_ALARM_RTN_UNACK || wr_random_below(random, 2);
        cause = ack ? WR_ALARM_ACKNOWLEDGED : WR_ALARM_CLEARED;
        at->state = !ack ? WR_ALARM_RTN_UNACK : held ? WR_ALARM_ACKED : WR_ALARM_NORMAL;
    } else if (from == WR_ALARM_ACKED) {
        bool worse = at->severity < WR_SEVERITY_CRITICAL && wr_random_below(random, 2);
        cause = worse ? WR_ALARM_ESCALATED : WR_ALARM_CLEARED;
        at->severity += worse;
        at->state = worse ? WR_ALARM_UNACK : WR_ALARM_NORMAL;
    } else {
        return;
    }
    desk_fill(desk, alarm, from, cause, &entry);
    entry.alarm.silent = model->invalid[alarm] ? WR_ALARM_SILENT_INVALID : 0;
    wr_annunciator_take(desk->annunciator, alarm, at->rule, &entry, &desk->now);
    desk_log(desk, &entry.alarm);
    after_transition(desk, model, alarm, held);
    if (cause == WR_ALARM_RAISED)
        assert_int_equal(entry.alarm.silent & WR_SILENT_HARD, hard(desk, model, alarm));
    if ((entry.alarm.silent & WR_ALARM_SILENT_GROUPED) && cause == WR_ALARM_RAISED)
        assert_true(at->severity < WR_SEVERITY_HIGH);
}

static void order(struct desk *desk, struct model *model, struct wr_random *random, uint32_t alarm) {
    int64_t for_ns = (int64_t)wr_random_below(random, 400) * DESK_SECOND;
    enum wr_alarm_order_kind kind = (enum wr_alarm_order_kind)wr_random_below(random, 4);
    enum wr_result result = desk_order(desk, alarm, kind, "why", for_ns, NULL);
    bool shelved = model->shelved_until_wall[alarm] > desk->now.wall_ns;
    switch (kind) {
    case WR_ALARM_ORDER_SHELVE:
        assert_int_equal(result, for_ns > 0 ? WR_OK : WR_INVALID);
        if (for_ns > 0)
            model->shelved_until_wall[alarm] = desk->now.wall_ns + for_ns;
        break;
    case WR_ALARM_ORDER_UNSHELVE:
        assert_int_equal(result, shelved ? WR_OK : WR_INVALID);
        model->shelved_until_wall[alarm] = 0;
        break;
    case WR_ALARM_ORDER_OUT_OF_SERVICE:
        assert_int_equal(result, model->out_of_service[alarm] ? WR_INVALID : WR_OK);
        model->out_of_service[alarm] = true;
        break;
    case WR_ALARM_ORDER_RETURN:
        assert_int_equal(result, model->out_of_service[alarm] ? WR_OK : WR_INVALID);
        model->out_of_service[alarm] = false;
        break;
    }
}

/* The rules as they are written at the next start or reload. */
static void write_rules(const struct desk *desk, struct model *model, struct wr_random *random) {
    const uint64_t what = wr_random_below(random, 6);
    const unsigned next = 1 - model->at;
    model->groups[next] = model->groups[model->at];
    model->rules[next] = desk->rules;
    model->rules[next].groups = &model->groups[next];
    model->rules[next].n_groups = what == 0 ? 0 : what < 5 ? model->rules[model->at].n_groups : 1;
    if (what >= 4)
        model->groups[next].n_actions = what == 4;
    model->at = next;
}

static void open_desk(struct desk *desk, const struct model *model) {
    const struct wr_annunciator_host host = {.user = desk, .look = desk_look, .tell = desk_tell};
    assert_int_equal(wr_annunciator_new(&model->rules[model->at], &host, &desk->annunciator, NULL), WR_OK);
}

static void restart(struct desk *desk, struct model *model) {
    static uint8_t parts[ALARMS][WR_ANNUNCIATOR_PART_BYTES];
    struct wr_alarm_entry groups[4];
    uint16_t lens[ALARMS];
    uint32_t n = 0;
    for (uint32_t i = 0; i < ALARMS; i++) {
        lens[i] = wr_annunciator_encode(desk->annunciator, i, &desk->now, parts[i]);
        model->owed[i] = model->spoken_for_since[i] != WR_NEVER_NS && !has_spoken(model, i);
    }
    for (uint32_t cursor = 0; wr_annunciator_next_snapshot(desk->annunciator, &cursor, &groups[n]);)
        n++;
    wr_annunciator_free(desk->annunciator);
    open_desk(desk, model);
    for (uint32_t i = 0; i < n; i++) {
        const bool is_forgotten = wr_annunciator_restore_group(desk->annunciator, &groups[i], &desk->now) == WR_NOT_FOUND;
        const int g = groups[i].alarm.instance[3] - '1';
        assert_true(!is_forgotten || (!has_group(model) && !model->group_believes[g]));
        if (is_forgotten)
            model->group_transition[g] = 0;
    }
    for (uint32_t i = 0; i < ALARMS; i++)
        if (lens[i] > 0 || desk->alarms[i].state != WR_ALARM_NORMAL)
            assert_int_equal(wr_annunciator_restore(desk->annunciator, i, parts[i], lens[i], &desk->now), WR_OK);
    memset(model->linger_until, 0, sizeof model->linger_until); /* not kept over a restart */
}

static void reload(struct desk *desk, struct model *model) {
    struct wr_annunciator *old = desk->annunciator;
    open_desk(desk, model);
    for (uint32_t i = 0; i < ALARMS; i++)
        assert_int_equal(wr_annunciator_take_over(desk->annunciator, i, old, i, &desk->now), WR_OK);
    wr_annunciator_inherit(desk->annunciator, old, &desk->now);
    wr_annunciator_free(old);
    for (int g = 0; g < 2; g++) /* a group at rest that is gone is forgotten without a word */
        if (!has_group(model) && !model->group_believes[g])
            model->group_transition[g] = 0;
}

static void random_days_at_the_desk(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    struct desk desk;
    struct model model;
    memset(&model, 0, sizeof model);
    desk_init(&desk);
    assert_int_equal(wr_selector_parse("x{rule=r1}", 10, &desk.match[0], NULL, NULL), WR_OK);
    desk.suppress[0] = (struct wr_suppress){.cause = 0, .match = &desk.match[0], .n_equal = 1, .equal = {"gw"}, .linger_ns = LINGER};
    desk.rules.n_suppresses = 1;
    desk.group[0] = (struct wr_group){.name = "group:g",
                                      .n_by = 1,
                                      .by = {"gw"},
                                      .wait_ns = DESK_SECOND,
                                      .update_ns = 20 * DESK_SECOND,
                                      .repeat_ns = 300 * DESK_SECOND,
                                      .flood_start = 8,
                                      .flood_end = 3,
                                      .flood_window_ns = 60 * DESK_SECOND};
    desk.rules.n_groups = 1;
    for (uint32_t i = 0; i < ALARMS; i++) {
        desk.alarms[i] = (struct desk_alarm){.rule = i < 2 ? 0 : 1 + i % 4, .labels = labels[i]};
        desk.rule[i % 8].re_alarm_ns = i % 2 ? 40 * DESK_SECOND : 0;
    }
    model.groups[0] = desk.group[0];
    model.rules[0] = desk.rules;
    model.rules[0].groups = &model.groups[0];
    for (uint32_t i = 0; i < ALARMS; i++)
        model.spoken_for_since[i] = WR_NEVER_NS;
    open_desk(&desk, &model);
    for (int step = 0; step < STEPS; step++) {
        uint32_t alarm = (uint32_t)wr_random_below(&random, ALARMS);
        desk.room = 1 + (uint32_t)wr_random_below(&random, 8);
        uint64_t what = wr_random_below(&random, 1000);
        if (what < 550) {
            transition(&desk, &model, &random, alarm);
        } else if (what < 650) {
            order(&desk, &model, &random, alarm);
        } else if (what < 700) {
            model.invalid[alarm] = !model.invalid[alarm];
            wr_annunciator_invalid(desk.annunciator, alarm, model.invalid[alarm], &desk.now);
        } else if (what < 703) {
            write_rules(&desk, &model, &random);
            restart(&desk, &model);
        } else if (what < 706) {
            write_rules(&desk, &model, &random);
            reload(&desk, &model);
        } else {
            desk_wait(&desk, (int64_t)wr_random_below(&random, what < 980 ? 5 : 4000) * DESK_SECOND);
        }
        desk_run(&desk);
        check(&desk, &model);
    }
    desk_fini(&desk);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_days_at_the_desk)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
