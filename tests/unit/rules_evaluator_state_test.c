/* What the evaluator keeps and what it sees of it: models over several series, functions of time and quality, labels; snapshots and memories that were
 * damaged; and that the invariants, which every test looks at, would notice. */
#include "tests/support/rules_fixture.h"

#include "rules/alarms/annunciator_private.h"
#include "rules/evaluator/evaluator_memory.h"
#include "rules/operators/kind.h"

#define S FIXTURE_SECOND
#define M FIXTURE_MINUTE

static void fixture_quality(struct rules_fixture *f, uint32_t series, double value, enum wr_quality quality) {
    const struct wr_reading reading = {
        .series = series, .type = WR_TYPE_FLOAT, .value = {.f = value}, .decimals = WR_DECIMALS_UNKNOWN, .quality = (uint8_t)quality};
    fixture_feed(f, reading, f->now.wall_ns);
}

/* -- models over several series ----------------------------------------------------------------------------------------------------------- */

/* Two numbers that follow a third; noise of its own for each. */
static void feed_vector(struct rules_fixture *f, const uint32_t *ids, int i, double off) {
    const double load = (i * 37 % 101) / 10.0;
    fixture_value(f, ids[0], load);
    fixture_value(f, ids[1], 2 * load + (i * 17 % 13) / 100.0);
    fixture_value(f, ids[2], 5 - load + (i * 29 % 11) / 100.0 + off);
    fixture_pass(f, S);
}

static void vectors(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, "rules:\n"
                     "  - {rule: odd, when: \"t2q(a, b, c, warmup=200) > 0.999\", by: machine}\n");
    uint32_t ids[3];
    const char *const names[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++)
        ids[i] = fixture_series(&f, names[i], "machine=7");
    for (int i = 0; i < 199; i++)
        feed_vector(&f, ids, i, 0);
    feed_vector(&f, ids, 199, 0); /* learned */
    for (int i = 200; i < 220; i++)
        feed_vector(&f, ids, i, 0);
    assert_string_equal(fixture_told(&f), "");
    /* Two of three have spoken: that is no vector yet. */
    fixture_value(&f, ids[0], 1);
    fixture_value(&f, ids[1], 2);
    assert_string_equal(fixture_told(&f), "");
    fixture_value(&f, ids[2], 9); /* each is what it often was, together they never were */
    assert_string_equal(fixture_told(&f), "raised unack");
    fixture_value(&f, ids[2], NAN); /* unknown: the alarm holds */
    feed_vector(&f, ids, 221, 0);
    feed_vector(&f, ids, 222, 0);
    assert_string_equal(fixture_told(&f), "cleared rtn_unack");
    assert_true(wr_evaluator_is_valid(f.evaluator));
    fixture_fini(&f);
}

/* -- quality, time, text ------------------------------------------------------------------------------------------------------------------ */

static void qualities(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, "rules:\n"
                     "  - {rule: shaky, when: \"quality(t) == \\\"uncertain\\\"\"}\n"
                     "  - {rule: broken, when: \"quality(t) == \\\"bad\\\"\"}\n");
    uint32_t t = fixture_series(&f, "t", "");
    fixture_quality(&f, t, 1, WR_QUALITY_GOOD);
    assert_string_equal(fixture_told(&f), "");
    fixture_quality(&f, t, 1, WR_QUALITY_UNCERTAIN);
    assert_int_equal(fixture_state(&f, "shaky", ""), WR_ALARM_UNACK);
    assert_string_equal(fixture_told(&f), "raised unack");
    fixture_quality(&f, t, 1, WR_QUALITY_BAD);
    assert_int_equal(fixture_state(&f, "broken", ""), WR_ALARM_UNACK);
    assert_string_equal(fixture_told(&f), "cleared rtn_unack; raised unack");
    fixture_quality(&f, t, 1, WR_QUALITY_GOOD);
    assert_string_equal(fixture_told(&f), "cleared rtn_unack");
    fixture_fini(&f);
    /* A series whose very first sample is bad has a quality, but no value. */
    fixture_init(&f, "rules:\n"
                     "  - {rule: broken, when: \"quality(t) == \\\"bad\\\"\"}\n"
                     "  - {rule: high, when: t > 0}\n");
    t = fixture_series(&f, "t", "");
    fixture_quality(&f, t, 1, WR_QUALITY_BAD);
    assert_string_equal(fixture_told(&f), "raised unack");
    assert_int_equal(fixture_state(&f, "high", ""), WR_ALARM_NORMAL);
    fixture_fini(&f);
}

static void times(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, "rules:\n"
                     "  - {rule: late, when: \"t > 5 and hour() >= 9\"}\n"
                     "  - {rule: then, when: \"t > 5 and time() > 1772442000s\"}\n" /* 09:00 */
                     "  - {rule: weekend, when: \"t > 5 and weekday() >= 6\"}\n");
    uint32_t t = fixture_series(&f, "t", "");
    fixture_value(&f, t, 9); /* Monday, 08:00 */
    assert_string_equal(fixture_told(&f), "");
    fixture_pass(&f, 60 * M - 1);
    assert_string_equal(fixture_told(&f), "");
    fixture_pass(&f, 1); /* no sample: the hour begins by itself */
    assert_int_equal(fixture_state(&f, "late", ""), WR_ALARM_UNACK);
    fixture_pass(&f, S);
    fixture_value(&f, t, 9);
    assert_int_equal(fixture_state(&f, "then", ""), WR_ALARM_UNACK);
    assert_int_equal(fixture_state(&f, "weekend", ""), WR_ALARM_NORMAL);
    fixture_pass(&f, 5 * 24 * 60 * M);
    assert_int_equal(fixture_state(&f, "weekend", ""), WR_ALARM_UNACK);
    fixture_fini(&f);
}

/* What happens at a sample: numbers and texts, from zero and from below it, and never with the first one. */
static void pulses(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, "rules:\n"
                     "  - {rule: up, when: rises(run)}\n"
                     "  - {rule: down, when: falls(run)}\n"
                     "  - {rule: other, when: changed(mode)}\n");
    uint32_t run = fixture_series(&f, "run", "");
    uint32_t mode = fixture_series(&f, "mode", "");
    fixture_value(&f, run, 1);
    fixture_text(&f, mode, "auto");
    fixture_text(&f, mode, "auto");
    assert_string_equal(fixture_told(&f), "");
    fixture_value(&f, run, 0);
    assert_string_equal(f.log[0].alarm.rule, "down");
    assert_string_equal(fixture_told(&f), "raised unack");
    fixture_value(&f, run, -1); /* not zero is true */
    assert_string_equal(fixture_told(&f), "raised unack; cleared rtn_unack");
    assert_int_equal(fixture_state(&f, "up", ""), WR_ALARM_UNACK);
    fixture_value(&f, run, 0);
    fixture_told(&f);
    assert_int_equal(fixture_state(&f, "down", ""), WR_ALARM_UNACK);
    fixture_value(&f, run, NAN); /* unknown: neither */
    fixture_value(&f, run, 0);
    fixture_text(&f, mode, "manual");
    assert_int_equal(fixture_state(&f, "other", ""), WR_ALARM_UNACK);
    fixture_fini(&f);
}

/* Values of before count on while the present one is bad, but not for longer than no_data_after. */
static void values_of_before(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, "rules:\n"
                     "  - {rule: was, when: \"last(t) > 8\", no_data: clear, no_data_after: 5m}\n"
                     "  - {rule: above, when: \"prev(t) > 8\", no_data: clear, no_data_after: 5m}\n"
                     "  - {rule: jump, when: \"delta(t) > 3\", no_data: clear, no_data_after: 5m}\n");
    uint32_t t = fixture_series(&f, "t", "");
    fixture_value(&f, t, 9);
    assert_int_equal(fixture_state(&f, "was", ""), WR_ALARM_UNACK);
    assert_int_equal(fixture_state(&f, "above", ""), WR_ALARM_NORMAL);
    fixture_value(&f, t, 13);
    assert_int_equal(fixture_state(&f, "above", ""), WR_ALARM_UNACK);
    assert_int_equal(fixture_state(&f, "jump", ""), WR_ALARM_UNACK);
    fixture_value(&f, t, NAN);
    fixture_pass(&f, 5 * M - 1);
    assert_int_equal(fixture_state(&f, "was", ""), WR_ALARM_UNACK);
    assert_int_equal(fixture_state(&f, "above", ""), WR_ALARM_UNACK);
    fixture_pass(&f, 1);
    assert_int_equal(fixture_state(&f, "was", ""), WR_ALARM_RTN_UNACK);
    assert_int_equal(fixture_state(&f, "above", ""), WR_ALARM_RTN_UNACK);
    assert_int_equal(fixture_state(&f, "jump", ""), WR_ALARM_RTN_UNACK);
    fixture_fini(&f);
}

/* -- labels ------------------------------------------------------------------------------------------------------------------------------- */

static uint32_t tagged(struct rules_fixture *f, const char *name, const char *tag, const char *value) {
    char key[WR_SERIES_KEY_BYTES];
    size_t len;
    uint32_t id;
    struct wr_tag tags[] = {{{"a", 1}, {"1", 1}}, {{tag, strlen(tag)}, {value, strlen(value)}}};
    assert_int_equal(wr_series_key_make((struct wr_word){name, strlen(name)}, (struct wr_word){"value", 5}, tags, 2, key, &len, NULL),
                     WR_OK);
    assert_int_equal(wr_series_intern(f->table, key, len, &id), WR_OK);
    return id;
}

/* Commas and backslashes in a label are its own; a node gives it on as it is; one that is too long for a name is refused, and counted. */
static void labels(void **state) {
    (void)state;
    struct rules_fixture f;
    char room[WR_ALARM_INSTANCE_BYTES + 8];
    fixture_init(&f, "derive:\n"
                     "  - {point: warmest, of: \"max_of(t)\", by: \"a, room\"}\n"
                     "rules:\n"
                     "  - {rule: hot, when: warmest > 8, by: \"a, room\", message: \"{room}\"}\n");
    fixture_value(&f, tagged(&f, "t", "room", "a,b\\c"), 9);
    assert_string_equal(f.log[0].alarm.message, "a,b\\c");
    assert_string_equal(f.log[0].alarm.instance, "a=1,room=a\\,b\\\\c");
    assert_string_equal(fixture_told(&f), "raised unack");
    struct wr_evaluator_stats stats;
    uint64_t refused = 0;
    for (size_t len = WR_ALARM_INSTANCE_BYTES - 24; len < WR_ALARM_INSTANCE_BYTES; len++) {
        memset(room, ',', len); /* two bytes each */
        room[len] = '\0';
        fixture_value(&f, tagged(&f, "t", "room", room), 9);
        wr_evaluator_stats(f.evaluator, &stats);
        assert_true(stats.instances_refused > refused);
        refused = stats.instances_refused;
    }
    assert_string_equal(fixture_told(&f), "");
    assert_true(strstr(stats.problem, "labels longer than ") != NULL);
    fixture_value(&f, fixture_series(&f, "t", "room=b"), 9); /* no label `a`: not meant */
    assert_string_equal(fixture_told(&f), "");
    fixture_fini(&f);
}

/* -- damage ------------------------------------------------------------------------------------------------------------------------------- */

static const char rich[] = "points:\n"
                           "  - {point: t, unit: °C, range: \"-40..60\", every: 30s}\n"
                           "rules:\n"
                           "  - {rule: open, when: \"held(door, 2m)\", by: room}\n"
                           "  - {rule: slow, when: t > 8°C, by: room, on_delay: 5m, off_delay: 5m, latch: true}\n"
                           "  - {rule: fast, when: t > 8°C, by: room}\n"
                           "  - rule: warm\n"
                           "    value: t\n"
                           "    by: room\n"
                           "    levels:\n"
                           "      - {name: H, when: value > 8°C, on_delay: 3m}\n"
                           "      - {name: HH, when: value > 20°C, off_delay: 3m}\n"
                           "  - rule: no_flow\n"
                           "    by: room\n"
                           "    sequence:\n"
                           "      - {step: rises(pump)}\n"
                           "      - {step: flow > 5, within: 4m, absent: true}\n";

/* Delays under way, a latched alarm, a level, a sequence at its first step. */
static uint32_t make_rich(struct rules_fixture *f, struct wr_alarm_entry *kept, uint32_t max) {
    uint32_t n = 0;
    fixture_init(f, rich);
    const uint32_t t = fixture_series(f, "t", "room=A"), b = fixture_series(f, "t", "room=B"), door = fixture_series(f, "door", "room=A");
    const uint32_t pump = fixture_series(f, "pump", "room=A"), flow = fixture_series(f, "flow", "room=A");
    fixture_value(f, b, 25);
    fixture_pass(f, 6 * M);
    fixture_value(f, b, 5); /* its way back is under way */
    fixture_value(f, flow, 0);
    fixture_value(f, pump, 0);
    fixture_value(f, pump, 1);
    fixture_value(f, door, 1);
    fixture_value(f, t, 9);
    fixture_pass(f, M);
    for (uint32_t cursor = 0; n < max && wr_evaluator_next_snapshot(f->evaluator, &cursor, &kept[n]);)
        n++;
    return n;
}

/* One word of a snapshot at a time becomes what no run would write: it is refused, or what it makes is sound. */
static void damaged_snapshots(void **state) {
    (void)state;
    static struct wr_alarm_entry kept[64];
    static const uint64_t words[] = {
        0, 1, UINT64_MAX, INT64_MAX, UINT64_C(1) << 63, UINT64_C(4000000000000000001), UINT64_C(0x0101010101010101)};
    struct rules_fixture f;
    const uint32_t n = make_rich(&f, kept, 64);
    uint32_t refused = 0;
    assert_true(n >= 8);
    for (uint32_t i = 0; i < n; i++) {
        struct wr_evaluator *evaluator;
        assert_int_equal(wr_evaluator_new(f.rules, f.table, f.symbols, &evaluator, NULL), WR_OK);
        for (uint16_t at = 0; at < kept[i].snap_len; at++)
            for (size_t k = 0; k < sizeof words / sizeof words[0]; k++) {
                struct wr_alarm_entry damaged = kept[i];
                const size_t width = at % 8 == 0 && at + 8 <= kept[i].snap_len ? 8 : 1;
                memcpy(damaged.snap + at, &words[k], width);
                const enum wr_result result = wr_evaluator_restore(evaluator, &damaged, &f.now);
                assert_true(result == WR_OK || result == WR_CORRUPT || result == WR_NOT_FOUND);
                refused += result != WR_OK;
                assert_true(wr_evaluator_is_valid(evaluator));
            }
        for (uint16_t len = 0; len < kept[i].snap_len; len++) { /* cut */
            struct wr_alarm_entry damaged = kept[i];
            damaged.snap_len = len;
            refused += wr_evaluator_restore(evaluator, &damaged, &f.now) != WR_OK;
        }
        struct wr_alarm_entry damaged = kept[i]; /* longer than there is room */
        damaged.snap_len = sizeof damaged.snap + 1;
        assert_int_equal(wr_evaluator_restore(evaluator, &damaged, &f.now), WR_CORRUPT);
        assert_true(wr_evaluator_is_valid(evaluator));
        assert_int_equal(wr_evaluator_restore(evaluator, &kept[i], &f.now), WR_OK); /* whole */
        wr_evaluator_free(evaluator);
    }
    assert_true(refused > 500);
    fixture_fini(&f);
}

/* A memory that is not what the window wrote: the window begins anew, and nothing else is lost. */
static void damaged_memories(void **state) {
    (void)state;
    struct rules_fixture f, next;
    static const char text[] = "rules:\n  - {rule: high, when: \"avg(t, 5m) > 8\"}\n";
    struct wr_evaluator_memory memory;
    const size_t head_bytes = sizeof(struct wr_memory_head);
    fixture_init(&f, text);
    fixture_run(&f, fixture_series(&f, "t", ""), 20, 5, 10 * S);
    uint64_t cursor = 0;
    assert_true(wr_evaluator_next_memory(f.evaluator, &cursor, &memory));
    uint8_t *body = malloc(memory.len + 8);
    assert_non_null(body);
    assert_int_equal(wr_evaluator_recall(f.evaluator, 1, memory.body, head_bytes), WR_CORRUPT);
    assert_int_equal(wr_evaluator_recall(f.evaluator, 1, memory.body, head_bytes + 1 + WR_OPERATOR_BYTES_MAX), WR_CORRUPT);
    for (unsigned how = 0; how < 5; how++) {
        size_t len = memory.len;
        memcpy(body, memory.body, len);
        memset(body + len, 0, 8);
        body[offsetof(struct wr_memory_head, version)] ^= how == 1; /* of another version */
        body[offsetof(struct wr_memory_head, bytes)] ^= how == 2;   /* of another length than it says */
        len += how == 3 ? 8 : 0;                                    /* than it is */
        if (how == 4)
            memset(body + head_bytes, 0xff, len - head_bytes); /* no state */
        fixture_init(&next, text);
        assert_int_equal(wr_evaluator_recall(next.evaluator, memory.key ^ 1, body, len), WR_OK); /* of somebody else: waits */
        assert_int_equal(wr_evaluator_recall(next.evaluator, memory.key ^ WR_RECALLED_BUCKETS, body, len), WR_OK);
        assert_int_equal(wr_evaluator_recall(next.evaluator, memory.key, body, len), WR_OK);
        next.now = f.now;
        fixture_value(&next, fixture_series(&next, "t", ""), 0);
        /* Five of 20 and one of 0: above 8 only where the memory came back. */
        assert_string_equal(fixture_told(&next), how == 0 ? "raised unack" : "");
        fixture_fini(&next);
    }
    free(body);
    fixture_fini(&f);
}

/* More than is kept for a restart is refused, and what waits is freed with the evaluator. */
static void many_memories(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, "rules:\n  - {rule: high, when: \"avg(t, 5m) > 8\"}\n");
    const size_t len = WR_OPERATOR_BYTES_MAX;
    uint8_t *body = calloc(1, len);
    assert_non_null(body);
    enum wr_result result = WR_OK;
    uint32_t n = 0;
    for (; result == WR_OK && n < 1000; n++)
        result = wr_evaluator_recall(f.evaluator, n, body, len);
    assert_int_equal(result, WR_LIMIT);
    assert_int_equal(n - 1, WR_EVALUATOR_MEMORY_MAX / len);
    free(body);
    fixture_fini(&f);
}

/* -- the invariants ----------------------------------------------------------------------------------------------------------------------- */

/* Something is changed, must be noticed, and is put back. */
#define NOTICED(place, wrong)                                                                                                              \
    do {                                                                                                                                   \
        const __typeof__(place) saved_ = (place);                                                                                          \
        assert_true(wr_evaluator_is_valid(f.evaluator));                                                                                   \
        (place) = (wrong);                                                                                                                 \
        assert_false(wr_evaluator_is_valid(f.evaluator));                                                                                  \
        (place) = saved_;                                                                                                                  \
    } while (0)

#define NOTICED_FLAG(place)                                                                                                                \
    do {                                                                                                                                   \
        assert_true(wr_evaluator_is_valid(f.evaluator));                                                                                   \
        (place) = !(place);                                                                                                                \
        assert_false(wr_evaluator_is_valid(f.evaluator));                                                                                  \
        (place) = !(place);                                                                                                                \
    } while (0)

static void invariants_notice(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, "rules:\n"
                     "  - {rule: a, when: t > 8, on_delay: 5m}\n"
                     "  - {rule: b, when: \"t > 20 or u > 3\"}\n"
                     "  - {rule: c, when: u > 1}\n");
    const uint32_t t = fixture_series(&f, "t", ""), u = fixture_series(&f, "u", "");
    fixture_value(&f, t, 5);
    fixture_value(&f, u, 2);
    struct wr_evaluator *e = f.evaluator;
    struct wr_instance *a = &e->instances[wr_evaluator_find(e, wr_ruleset_find(f.rules, "a"), "")];
    struct wr_instance *c = &e->instances[wr_evaluator_find(e, wr_ruleset_find(f.rules, "c"), "")];
    /* V1 */
    NOTICED(a->state, WR_ALARM_UNACK);
    NOTICED(a->state, WR_ALARM_PENDING);
    NOTICED(a->delay, WR_DELAY_ON);
    NOTICED_FLAG(c->condition);
    NOTICED(e->stats.active, 2);
    NOTICED(e->stats.unacked, 0);
    /* V2, V3 */
    struct wr_signal *signal = e->series[t];
    assert_true(signal->n_thresholds >= 2);
    NOTICED(signal->thresholds[0].at, 1e9);
    NOTICED(signal->thresholds[0].at, 6);
    NOTICED(e->bands[t].high, 1e9);
    NOTICED_FLAG(signal->good);
    NOTICED_FLAG(signal->fresh);
    NOTICED(signal->n_wakes, 1);
    /* V4 */
    NOTICED_FLAG(a->queued);
    NOTICED(e->n_queued, 1);
    NOTICED(e->queues[0].head, (uint32_t)(a - e->instances));
    e->n_queued = 1;
    c->queued = true;
    assert_false(wr_evaluator_is_valid(e)); /* it stands in no queue */
    e->queues[WR_RULE_RANKS].head = (uint32_t)(a - e->instances);
    assert_false(wr_evaluator_is_valid(e)); /* another one than says so */
    e->queues[WR_RULE_RANKS].head = (uint32_t)(c - e->instances);
    c->next = WR_INSTANCE_NONE;
    assert_false(wr_evaluator_is_valid(e)); /* in the queue of another rank */
    e->queues[WR_RULE_RANKS].head = WR_INSTANCE_NONE;
    e->n_queued = 0;
    c->queued = false;
    assert_true(wr_evaluator_is_valid(e));
    fixture_fini(&f);
}

/* The annunciator's: A1, A2, A3, A6. */
static void invariants_of_the_annunciator_notice(void **state) {
    (void)state;
    struct rules_fixture f;
    fixture_init(&f, "groups:\n"
                     "  - {name: g, by: room}\n"
                     "rules:\n"
                     "  - {rule: a, when: t > 8, by: room}\n"
                     "  - {rule: b, when: t > 8, by: room}\n");
    fixture_value(&f, fixture_series(&f, "t", "room=A"), 9);
    fixture_pass(&f, S);
    struct wr_annunciator *announced = f.evaluator->annunciator;
    assert_int_equal(announced->records.in_use, 2);
    assert_int_equal(announced->n_tuples, 1);
    struct wr_annunciated *record = wr_annunciated_at(announced, 0);
    assert_int_equal(record->tuple, 0);
    struct wr_note note = {0};
    NOTICED(record->alarm, announced->cap_alarms);
    NOTICED(announced->record_of[record->alarm], 1);
    NOTICED(record->silent, record->silent | WR_ALARM_SILENT_SHELVED);
    NOTICED(record->silent, record->silent | WR_ALARM_SILENT_OUT_OF_SERVICE);
    NOTICED(record->silent, record->silent | WR_ALARM_SILENT_CHATTERING);
    NOTICED(record->silent, record->silent | WR_ALARM_SILENT_SUPPRESSED); /* and still in its group */
    NOTICED(record->shelved, &note);
    NOTICED(record->out_of_service, &note);
    NOTICED(record->chatter_until_boot_ns, 1);
    NOTICED_FLAG(record->causing);
    NOTICED(announced->n_notes, 1);
    NOTICED(announced->tuples[0]->index, 1);
    NOTICED(announced->tuples[0]->active, 1);
    NOTICED(announced->tuples[0]->unacked, 1);
    NOTICED_FLAG(announced->tuples[0]->in_use);
    const uint8_t severity = record->severity;
    record->severity = WR_SEVERITY_CRITICAL;
    NOTICED(record->silent, record->silent | WR_ALARM_SILENT_GROUPED);
    record->severity = severity;
    assert_true(wr_annunciator_is_valid(announced));
    fixture_fini(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(qualities),
        cmocka_unit_test(times),
        cmocka_unit_test(pulses),
        cmocka_unit_test(values_of_before),
        cmocka_unit_test(labels),
        cmocka_unit_test(damaged_snapshots),
        cmocka_unit_test(damaged_memories),
        cmocka_unit_test(many_memories),
        cmocka_unit_test(invariants_notice),
        cmocka_unit_test(invariants_of_the_annunciator_notice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
