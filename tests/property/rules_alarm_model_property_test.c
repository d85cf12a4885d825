/* Alarms against a slow model that knows no tables, bands or timers: conditions, acknowledgements, latches, levels, shelvings, service and suppression as
 * plain facts, second by second. A million random steps: samples, time, every operator's command (with keys, said twice at times), restarts, crashes and
 * reloads. After each of them all alarms are in the same state, silent for the same reasons, and a listener who hears only what is annunciated believes what is so. WEIR_SEED
 * repeats a run. */
#include "tests/support/rules_fixture.h"
#include "tests/support/slow.h"

#include "tests/support/random.h"

#define S FIXTURE_SECOND
#define STEPS 1000000
#define RULES 8
#define ROOMS 2
#define LINGER 5

/* Rule r6 is explained by r0; %d: the limit of r1 changes with each reload. */
static const char text_of_rules[] =
    "rules:\n"
    "  - {rule: r0, when: x > 5, by: room}\n"
    "  - {rule: r1, when: x > %d, by: room, latch: true}\n"
    "  - {rule: r2, when: x > 5, by: room, on_delay: 3s, off_delay: 2s, latch: true}\n"
    "  - {rule: r3, when: x > 5, by: room, on_delay: 2s, auto_ack: true}\n"
    "  - {rule: r4, when: x > 5, by: room, off_delay: 4s, auto_ack: true, latch: true}\n"
    "  - {rule: r5, when: x > 5, by: room, severity: critical, re_alarm: 7s}\n"
    "  - {rule: r6, when: x > 5, by: room, deadband: 1, severity: medium}\n"
    "  - {rule: r7, value: x, by: room, levels: [{name: L, when: value > 5}, {name: H, when: value > 8, severity: high}]}\n"
    "suppress:\n"
    "  - {cause: r0, match: rule=r6, equal: room, linger: 5s}\n";

static const struct {
    int on;
    int off;
    bool latch;
    bool auto_ack;
} specs[RULES] = {{0, 0, false, false}, {0, 0, true, false},  {3, 2, true, false},  {2, 0, false, true},
                  {0, 4, true, true},   {0, 0, false, false}, {0, 0, false, false}, {0, 0, false, false}};

struct model_alarm {
    bool exists;
    bool touched; /* something was ever told of it */
    bool cond;
    bool acked;
    bool latched;
    int delay; /* 0 none, 1 on, 2 off */
    int elapsed;
    bool frozen;
    int level;
    int64_t shelved_until; /* 0: not; in seconds of model time */
    bool out_of_service;
    bool believes;
};

struct model {
    struct model_alarm alarms[RULES][ROOMS];
    /* What the journal has: of each alarm its newest entry, and what was so when that was told. A crash leaves nothing else. */
    struct model_alarm kept[RULES][ROOMS];
    struct wr_alarm_entry stored[RULES][ROOMS];
    int64_t now; /* seconds */
    int64_t linger_until[ROOMS];
    int limit; /* of r1 */
};

/* -- the model -------------------------------------------------------------------------------------------------------------------------------- */

static enum wr_alarm_state state_of(const struct model_alarm *alarm) {
    if (alarm->cond)
        return alarm->acked ? WR_ALARM_ACKED : WR_ALARM_UNACK;
    if (alarm->latched)
        return alarm->acked ? WR_ALARM_LATCHED_ACK : WR_ALARM_LATCHED_UNACK;
    if (!alarm->acked)
        return WR_ALARM_RTN_UNACK;
    return alarm->delay == 1 ? WR_ALARM_PENDING : WR_ALARM_NORMAL;
}

static void set_condition(struct model *m, int r, int room, bool cond, int level) {
    struct model_alarm *alarm = &m->alarms[r][room];
    alarm->delay = 0;
    alarm->cond = cond;
    alarm->touched = true;
    if (cond) {
        alarm->acked = specs[r].auto_ack;
        alarm->latched = false;
        alarm->level = level;
    } else {
        alarm->latched = specs[r].latch;
        if (r == 0)
            m->linger_until[room] = m->now + LINGER;
    }
}

/* With the first sample of a process all series that are known meet their rules. */
static void attach(struct model *m) {
    for (int r = 0; r < RULES; r++)
        for (int room = 0; room < ROOMS; room++)
            if (!m->alarms[r][room].exists)
                m->alarms[r][room] = (struct model_alarm){.exists = true, .acked = true};
}

static void sample(struct model *m, int r, int room, double x) {
    struct model_alarm *alarm = &m->alarms[r][room];
    bool raw = x > (r == 1 ? m->limit : 5);
    int level = x > 8 ? 2 : 1;
    if (r == 6 && alarm->cond && x > 4)
        raw = true; /* within the deadband */
    if (raw != alarm->cond) {
        int needs = raw ? specs[r].on : specs[r].off;
        if (alarm->delay == 0) {
            alarm->delay = raw ? 1 : 2;
            alarm->elapsed = 0;
        }
        alarm->frozen = false;
        if (alarm->elapsed >= needs)
            set_condition(m, r, room, raw, level);
        return;
    }
    alarm->delay = 0;
    alarm->frozen = false;
    if (r == 7 && alarm->cond) {
        if (level > alarm->level)
            alarm->acked = false;
        alarm->level = level;
    }
}

static void second(struct model *m) {
    m->now++;
    for (int r = 0; r < RULES; r++)
        for (int room = 0; room < ROOMS; room++) {
            struct model_alarm *alarm = &m->alarms[r][room];
            if (alarm->delay == 0 || alarm->frozen)
                continue;
            alarm->elapsed++;
            if (alarm->elapsed >= (alarm->delay == 1 ? specs[r].on : specs[r].off))
                set_condition(m, r, room, alarm->delay == 1, 1);
        }
}

static bool is_shelved(const struct model *m, const struct model_alarm *alarm) {
    return alarm->shelved_until > m->now;
}

static bool is_suppressed(const struct model *m, int r, int room) {
    return r == 6 && (m->alarms[0][room].cond || m->linger_until[room] > m->now);
}

/* True: it was taken. */
static bool command(struct model *m, int r, int room, enum wr_alarm_command_kind kind, int seconds) {
    struct model_alarm *alarm = &m->alarms[r][room];
    enum wr_alarm_state state = state_of(alarm);
    switch (kind) {
    case WR_ALARM_COMMAND_ACK:
        if (state != WR_ALARM_UNACK && state != WR_ALARM_RTN_UNACK && state != WR_ALARM_LATCHED_UNACK)
            return false;
        alarm->acked = true;
        break;
    case WR_ALARM_COMMAND_RESET:
        if (state != WR_ALARM_LATCHED_ACK)
            return false;
        alarm->latched = false;
        break;
    case WR_ALARM_COMMAND_SHELVE:
        if (r == 5 || seconds == 0)
            return false;
        alarm->shelved_until = m->now + seconds;
        break;
    case WR_ALARM_COMMAND_UNSHELVE:
        if (!is_shelved(m, alarm))
            return false;
        alarm->shelved_until = 0;
        break;
    case WR_ALARM_COMMAND_OUT_OF_SERVICE:
        if (alarm->out_of_service)
            return false;
        alarm->out_of_service = true;
        break;
    case WR_ALARM_COMMAND_RETURN:
        if (!alarm->out_of_service)
            return false;
        alarm->out_of_service = false;
        break;
    }
    alarm->touched = true;
    return true;
}

static void keep(struct model *m, const struct wr_alarm_entry *entry, int r, int room) {
    if (entry->snap_len == 0)
        return;
    m->stored[r][room] = *entry;
    m->kept[r][room] = m->alarms[r][room];
}

/* -- comparing -------------------------------------------------------------------------------------------------------------------------------- */

static void hear(struct rules_fixture *f, struct model *m) {
    for (uint32_t i = 0; i < f->n_log; i++) {
        const struct wr_alarm *alarm = &f->log[i].alarm;
        if (alarm->rule[0] == '\0')
            continue; /* the answer to a command with a key */
        int r = alarm->rule[1] - '0', room = alarm->instance[5] - '0';
        struct model_alarm *model = &m->alarms[r][room];
        model->touched = true;
        keep(m, &f->log[i], r, room);
        if (wr_alarm_is_annunciated(alarm) && alarm->cause != WR_ALARM_SHELVED && alarm->cause != WR_ALARM_UNSHELVED &&
            alarm->cause != WR_ALARM_OUT_OF_SERVICE && alarm->cause != WR_ALARM_RETURNED)
            model->believes = alarm->to == WR_ALARM_UNACK || alarm->to == WR_ALARM_ACKED;
    }
    f->n_log = 0;
}

static void compare_one(const struct rules_fixture *f, const struct model *m, int step, int r, int room) {
    const struct model_alarm *alarm = &m->alarms[r][room];
    char text[16];
    snprintf(text, sizeof text, "room=%d", room);
    uint32_t index = wr_evaluator_find(f->evaluator, (uint32_t)r, text);
    if (index == WR_INSTANCE_NONE) {
        assert_false(alarm->exists);
        return;
    }
    const struct wr_instance *instance = &f->evaluator->instances[index];
    struct wr_alarm shown = {0};
    wr_annunciator_show(f->evaluator->annunciator, index, &shown);
    unsigned said = shown.silent & (WR_ALARM_SILENT_SHELVED | WR_ALARM_SILENT_OUT_OF_SERVICE);
    unsigned expected = (is_shelved(m, alarm) ? WR_ALARM_SILENT_SHELVED : 0) | (alarm->out_of_service ? WR_ALARM_SILENT_OUT_OF_SERVICE : 0);
    bool suppressed = (shown.silent & WR_ALARM_SILENT_SUPPRESSED) != 0;
    bool is_active = wr_alarm_state_is_active((enum wr_alarm_state)instance->state);
    if (instance->state != state_of(alarm) || instance->condition != alarm->cond || said != expected ||
        (is_active && suppressed != is_suppressed(m, r, room)) || (r == 7 && alarm->cond && instance->level != alarm->level))
        fail_msg("step %d r%d{room=%d}: %s, silent %x, level %u; the model says %s, silent %x%s, level %d", step, r, room,
                 wr_alarm_state_name((enum wr_alarm_state)instance->state), shown.silent, instance->level,
                 wr_alarm_state_name(state_of(alarm)), expected, is_suppressed(m, r, room) ? " and suppressed" : "", alarm->level);
    if (shown.silent == 0 && alarm->believes != alarm->cond)
        fail_msg("step %d r%d{room=%d} is %s, and nobody knows", step, r, room, wr_alarm_state_name((enum wr_alarm_state)instance->state));
}

static void compare(struct rules_fixture *f, struct model *m, int step) {
    fixture_timers(f);
    hear(f, m);
    for (int r = 0; r < RULES; r++)
        for (int room = 0; room < ROOMS; room++)
            compare_one(f, m, step, r, room);
    if (step % 4096 == 0)
        assert_true(wr_evaluator_is_valid(f->evaluator));
}

/* -- both ------------------------------------------------------------------------------------------------------------------------------------- */

static struct wr_ruleset *rules_with(int limit) {
    char text[2048];
    snprintf(text, sizeof text, text_of_rules, limit);
    return fixture_load(text);
}

/* A clean stop: all of it is journalled as of now. */
static void stop(struct rules_fixture *f, struct model *m) {
    struct wr_alarm_entry entry;
    uint32_t cursor = 0;
    struct wr_alarm_out out = fixture_out(f);
    bool more;
    assert_int_equal(wr_evaluator_timers(f->evaluator, &f->now, 1, &out, &more), WR_OK);
    while (wr_evaluator_next_snapshot(f->evaluator, &cursor, &entry))
        if (entry.alarm.rule[0] != '\0')
            keep(m, &entry, entry.alarm.rule[1] - '0', entry.alarm.instance[5] - '0');
}

/* A new process: what the journal has comes back; values are unknown until the next sample, and delays stand still. What listeners believe is theirs. */
static void start(struct rules_fixture *f, struct model *m, int step) {
    struct wr_ruleset *rules = rules_with(m->limit);
    struct wr_evaluator *next;
    assert_int_equal(wr_evaluator_new(rules, f->table, f->symbols, &next, NULL), WR_OK);
    for (int r = 0; r < RULES; r++)
        for (int room = 0; room < ROOMS; room++) {
            bool believes = m->alarms[r][room].believes;
            enum wr_result result = m->stored[r][room].snap_len > 0 ? wr_evaluator_restore(next, &m->stored[r][room], &f->now) : WR_OK;
            if (result != WR_OK)
                fail_msg("step %d r%d{room=%d}: what was journalled as %s is %s", step, r, room,
                         wr_alarm_state_name(state_of(&m->kept[r][room])), wr_result_name(result));
            m->alarms[r][room] = m->kept[r][room];
            m->alarms[r][room].believes = believes;
        }
    wr_evaluator_free(f->evaluator);
    wr_ruleset_free(f->rules);
    f->evaluator = next;
    f->rules = rules;
    f->attached = 0;
    memset(m->linger_until, 0, sizeof m->linger_until);
    for (int r = 0; r < RULES; r++)
        for (int room = 0; room < ROOMS; room++) {
            struct model_alarm *alarm = &m->alarms[r][room];
            alarm->frozen = alarm->delay != 0;
        }
}

static void reload(struct rules_fixture *f, struct model *m) {
    m->limit = 11 - m->limit; /* 5, 6, 5 ... */
    fixture_reload(f, rules_with(m->limit), 7);
}

static void pass(struct rules_fixture *f, struct model *m, int seconds) {
    for (int i = 0; i < seconds; i++) {
        second(m);
        fixture_pass(f, S);
        hear(f, m); /* what is journalled is as of this second */
    }
}

static void say(struct rules_fixture *f, struct model *m, struct wr_random *random, int step) {
    int r = (int)wr_random_below(random, RULES), room = (int)wr_random_below(random, ROOMS);
    int seconds = (int)wr_random_below(random, 40);
    enum wr_alarm_command_kind kind = (enum wr_alarm_command_kind)wr_random_below(random, 6);
    char name[32], key[16] = "";
    snprintf(name, sizeof name, "r%d{room=%d}", r, room);
    if (wr_random_below(random, 2))
        snprintf(key, sizeof key, "%d", step);
    struct wr_alarm_command said = {
        .kind = kind, .alarm = name, .by_whom = "ana", .why = "why", .key = key, .until_wall_ns = f->now.wall_ns + seconds * S};
    struct wr_alarm_command again = said;
    bool exists = m->alarms[r][room].exists;
    enum wr_result result = fixture_say(f, &said, NULL);
    bool taken = exists && command(m, r, room, kind, seconds);
    if ((result == WR_OK) != taken || (!exists && result != WR_NOT_FOUND))
        fail_msg("step %d: command %d on %s is %s, the model %s it", step, kind, name, wr_result_name(result), taken ? "takes" : "refuses");
    if (key[0] && wr_random_below(random, 2)) {
        hear(f, m);
        assert_int_equal(fixture_say(f, &again, NULL), result);
        assert_true(again.repeated);
        assert_int_equal(f->n_log, 0);
    }
}

static bool is_command(uint64_t what) {
    return what >= 700 && what < 995;
}

static void a_million_steps(void **state) {
    (void)state;
    static const double values[] = {0, 3, 4.5, 5.5, 6.5, 9};
    struct wr_random random = wr_random_begin();
    struct rules_fixture f;
    static struct model m;
    char text[2048];
    m.limit = 5;
    snprintf(text, sizeof text, text_of_rules, m.limit);
    fixture_init(&f, text);
    uint32_t series[ROOMS] = {fixture_series(&f, "x", "room=0"), fixture_series(&f, "x", "room=1")};
    const int steps = wr_test_steps(STEPS);
    for (int step = 0; step < steps; step++) {
        uint64_t what = wr_random_below(&random, 1000);
        f.room = 1 + (uint32_t)wr_random_below(&random, 8);
        if (what < 450) {
            int room = (int)wr_random_below(&random, ROOMS);
            double x = values[wr_random_below(&random, sizeof values / sizeof values[0])];
            attach(&m);
            for (int r = 0; r < RULES; r++)
                sample(&m, r, room, x);
            fixture_value(&f, series[room], x);
        } else if (what < 700) {
            pass(&f, &m, what < 690 ? 1 + (int)wr_random_below(&random, 4) : 90);
        } else if (is_command(what)) {
            say(&f, &m, &random, step);
        } else if (what < 998) {
            reload(&f, &m);
        } else {
            stop(&f, &m);
            start(&f, &m, step);
        }
        compare(&f, &m, step);
        if (wr_random_below(&random, is_command(what) ? 32 : 1000) == 0) { /* a crash, most often behind an answer */
            start(&f, &m, step);
            compare(&f, &m, step);
        }
    }
    fixture_fini(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_million_steps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
