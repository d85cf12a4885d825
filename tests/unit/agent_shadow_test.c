/* The shadow on the engine's thread: its share of the time, what it skips, what it is shown by the engine, what it tells, and without memory. */
#include "agent/loops/engine_loop.h"
#include "tests/support/engine_fixture.h"
#include "tests/support/failing.h"
#include "tests/support/rules_fixture.h"

static const char hot[] = "rules:\n  - {rule: hot, when: x > 50}\n  - {rule: cold, when: x < 0}\n";
static const char warm[] = "rules:\n  - {rule: hot, when: x > 20}\n  - {rule: \"late\", when: x > 30, on_delay: 10s}\n";

/* -- a clock of which each look takes time ---------------------------------------------------------------------------------------------------- */

static int64_t boot_ns, look_ns;

static int64_t look_boot_ns(const struct wr_clock *clock) {
    (void)clock;
    return boot_ns += look_ns;
}
static int64_t look_wall_ns(const struct wr_clock *clock) {
    (void)clock;
    return FIXTURE_WALL + boot_ns;
}
static bool look_trusted(const struct wr_clock *clock) {
    (void)clock;
    return true;
}
static uint64_t look_random(const struct wr_clock *clock) {
    (void)clock;
    return 4;
}
static const struct wr_clock_ops look_ops = {look_boot_ns, look_wall_ns, look_trusted, look_random};
static const struct wr_clock look_clock = {&look_ops};

/* -- a loop with nothing but a shadow --------------------------------------------------------------------------------------------------------- */

static struct rules_fixture fixture;
static struct wr_ruleset *in_shadow;
static struct wr_engine_loop loop;
static struct wr_engine_shadow *const own = &loop.shadow;
static const struct wr_evaluator *in_force; /* NULL: that of the fixture */

static enum wr_result make(struct wr_shadow **ret_shadow) {
    return wr_shadow_new(in_shadow, fixture.rules, fixture.table, fixture.symbols, &fixture.now, ret_shadow, NULL);
}

static int begin(void **state) {
    (void)state;
    struct wr_shadow *shadow;
    fixture_init(&fixture, hot);
    in_shadow = fixture_load(warm);
    boot_ns = fixture.now.boot_ns;
    look_ns = 0;
    in_force = NULL;
    memset(&loop, 0, sizeof loop);
    loop.clock = &look_clock;
    assert_int_equal(make(&shadow), WR_OK);
    assert_null(wr_engine_loop_exchange_shadow(&loop, shadow));
    assert_ptr_equal(loop.out.tap, &own->tap);
    return 0;
}

static int end(void **state) {
    (void)state;
    wr_shadow_free(wr_engine_loop_exchange_shadow(&loop, NULL));
    assert_null(loop.out.tap);
    assert_true(own->shown.rules == 0 && own->shown.differ == 0);
    wr_ruleset_free(in_shadow);
    fixture_fini(&fixture);
    return 0;
}

static void show(uint32_t series, double value, uint32_t n) {
    own->tap.n = n;
    for (uint32_t i = 0; i < n; i++)
        own->tap.readings[i] =
            (struct wr_reading){.series = series, .event_ns = fixture.now.wall_ns, .value.f = value, .type = WR_TYPE_FLOAT};
    wr_engine_shadow_feed(&loop, in_force ? in_force : fixture.evaluator, fixture.now.boot_ns, &fixture.now);
}

static int64_t turn(int64_t pass_ns) {
    fixture.now.boot_ns += pass_ns;
    fixture.now.wall_ns += pass_ns;
    boot_ns = boot_ns > fixture.now.boot_ns ? boot_ns : fixture.now.boot_ns;
    const int64_t due_ns = wr_engine_shadow_turn(&loop, fixture.evaluator, &fixture.now);
    assert_true(due_ns > fixture.now.boot_ns);
    wr_engine_shadow_show(own, boot_ns);
    return due_ns;
}

/* -- tests ------------------------------------------------------------------------------------------------------------------------------------ */

static void told_as_it_is(void **state) {
    (void)state;
    struct wr_buf text;
    struct wr_json json;
    const uint32_t x = fixture_series(&fixture, "x", "");
    show(x, 40, 1);
    int64_t due_ns = turn(0);
    assert_true(own->shown.raised == 1 && own->shown.active == 1 && own->shown.differ == 1 && own->shown.rules == 2);
    assert_int_equal(due_ns, fixture.now.boot_ns + 10 * FIXTURE_SECOND); /* the delay of `late` */
    (void)turn(10 * FIXTURE_SECOND);
    assert_true(own->shown.raised == 2 && own->shown.active == 2 && own->shown.readings == 1);
    show(x, 10, 1);
    (void)turn(0);
    assert_true(own->shown.cleared == 2 && own->shown.active == 0 && own->shown.differ == 2); /* raised here, and not there */
    wr_buf_init(&text, 0);
    assert_int_equal(wr_shadow_text(own->shadow, 1, &text), WR_OK);
    assert_non_null(strstr(wr_buf_str(&text), "2 alarms differ"));
    assert_non_null(strstr(wr_buf_str(&text), "hot: in force raised 0, cleared 0, active 0; shadow raised 1, cleared 1, active 0"));
    assert_non_null(strstr(wr_buf_str(&text), "... and 1 more"));
    wr_buf_fini(&text);
    wr_buf_init(&text, 0);
    wr_json_begin(&json, &text);
    wr_json_object(&json, NULL);
    wr_shadow_json(own->shadow, 0, &json);
    wr_json_object_end(&json);
    assert_int_equal(wr_json_end(&json), WR_OK);
    assert_non_null(strstr(wr_buf_str(&text), "\"alarms\":[],\"rules_left_out\":2,\"alarms_left_out\":2}"));
    wr_buf_fini(&text);
}

/* An alarm that was active before the shadow began counts as raised. */
static void what_was_active_before(void **state) {
    (void)state;
    const uint32_t x = fixture_series(&fixture, "x", "");
    fixture_value(&fixture, x, 60);
    fixture.n_log = 0;
    (void)turn(0);
    assert_true(own->shown.in_force_active == 1 && own->shown.differ == 1);
    show(x, 60, 1);
    (void)turn(0);
    assert_int_equal(own->shown.differ, 0);
}

/* Series before their turn are skipped, and counted: many come at once into slices. */
static void slices(void **state) {
    (void)state;
    uint32_t last = 0;
    for (int i = 0; i < 5 * WR_SHADOW_SLICE_SERIES; i++) {
        char room[32];
        snprintf(room, sizeof room, "room=r%d", i);
        last = fixture_series(&fixture, "x", room);
    }
    show(last, 60, 1);
    (void)turn(0); /* the clock stands still: all slices in one turn */
    assert_true(own->shown.skipped == 1 && own->shown.readings == 0);
    show(last, 60, 1);
    (void)turn(0);
    assert_true(own->shown.skipped == 1 && own->shown.readings == 1);
}

/* However slow: a fifth of the time and no more, and every reading is either seen or counted as skipped. */
static void its_share(void **state) {
    (void)state;
    const uint32_t x = fixture_series(&fixture, "x", "");
    show(x, 1, 1);
    (void)turn(0);
    const int64_t began_ns = fixture.now.boot_ns;
    int64_t spent_ns = 0, longest_ns = 0;
    uint64_t shown = 1;
    look_ns = 300 * (WR_NS_PER_MS / 1000); /* a slice of readings takes 300 us */
    for (int i = 0; i < 20000; i++) {
        const int64_t before_ns = boot_ns;
        show(x, i % 2 ? 60 : 1, WR_BATCH_READINGS);
        shown += WR_BATCH_READINGS;
        const int64_t took_ns = boot_ns - before_ns;
        spent_ns += took_ns - look_ns; /* the first look is no work */
        longest_ns = took_ns > longest_ns ? took_ns : longest_ns;
        fixture.now.boot_ns = boot_ns += WR_NS_PER_MS;
        wr_engine_shadow_show(own, boot_ns);
    }
    const int64_t passed_ns = fixture.now.boot_ns - began_ns;
    assert_int_equal(own->shown.readings + own->shown.skipped, shown);
    assert_true(own->shown.skipped > shown / 10 && own->shown.readings > shown / 100);
    assert_true(spent_ns <= passed_ns / WR_SHADOW_SHARE + 2 * WR_SHADOW_BURST_NS && spent_ns > passed_ns / WR_SHADOW_SHARE / 2);
    assert_true(longest_ns <= WR_SHADOW_STRETCH_NS + 2 * look_ns);
}

/* Batches one behind the other, each with a tenth of a millisecond of the engine's own work, and a slice that takes 20 us: what the shadow takes of a time in which something
 * waits all along. Returns that of it which it took. */
static int64_t took_of(int batches, int64_t *ret_passed_ns) {
    const uint32_t x = fixture_series(&fixture, "x", "");
    const int64_t began_ns = boot_ns;
    int64_t took_ns = 0;
    look_ns = WR_NS_PER_MS / 50;
    for (int i = 0; i < batches; i++) {
        const int64_t before_ns = boot_ns;
        show(x, i % 2 ? 60 : 1, WR_BATCH_READINGS);
        took_ns += boot_ns - before_ns - look_ns; /* the first look is no work */
        fixture.now.boot_ns = boot_ns += WR_NS_PER_MS / 10;
        if (i + 1 < batches && i % 2)
            (void)turn(0);
    }
    look_ns = 0;
    *ret_passed_ns = boot_ns - began_ns;
    fixture.now.boot_ns = boot_ns += WR_NS_PER_S; /* everything is paid for */
    return took_ns;
}

/* However many batches are before it, an alarm waits for the shadow a fifth of a millisecond, a slice, and its share of the time: be it in a batch, behind others, or of a timer. */
static void what_waits_waits_no_longer(void **state) {
    (void)state;
    const struct wr_channel_options options = {.name = "batches", .capacity = 1, .element_bytes = sizeof(struct wr_batch *)};
    static struct wr_batch batch;
    struct wr_batch *one = &batch;
    struct wr_channel *batches;
    int64_t passed_ns;
    assert_int_equal(wr_channel_new(&options, &batches, NULL), WR_OK);
    loop.inputs[0].batches = batches;
    loop.n_inputs = 1;
    show(fixture_series(&fixture, "x", ""), 1, 1);
    (void)turn(0);
    const int64_t alone_ns = took_of(40, &passed_ns); /* nothing waits: all are seen */
    assert_true(own->shown.skipped == 0 && alone_ns > 20 * WR_NS_PER_MS);
    for (int what = 0; what < 3; what++) {
        struct wr_evaluator *delayed = NULL;
        if (what == 0)
            assert_int_equal(wr_channel_try_send(batches, &one), WR_OK);
        loop.waiting[0] = what == 1 ? &batch : NULL;
        batch.n = 2;
        loop.waiting_from[0] = 1;
        if (what == 2) { /* `late` is raised at once, if somebody looked */
            struct wr_reading reading = {.series = fixture_series(&fixture, "x", ""), .value.f = 40, .type = WR_TYPE_FLOAT};
            struct wr_alarm_entry room[4];
            struct wr_alarm_out out = {.entries = room, .cap = 4};
            assert_int_equal(wr_evaluator_new(in_shadow, fixture.table, fixture.symbols, &delayed, NULL), WR_OK);
            assert_true(wr_evaluator_attach(delayed, wr_series_count(fixture.table), &fixture.now) > 0);
            reading.event_ns = fixture.now.wall_ns;
            assert_int_equal(wr_evaluator_take(delayed, &reading, boot_ns, &fixture.now, &out), WR_OK);
            fixture.now.boot_ns = boot_ns += 11 * FIXTURE_SECOND;
            in_force = delayed;
        }
        const uint64_t seen = own->shown.readings;
        const int64_t took_ns = took_of(40, &passed_ns);
        assert_true(took_ns <= WR_SHADOW_LOOK_NS + WR_NS_PER_MS / 50 + passed_ns / WR_SHADOW_SHARE);
        assert_true(own->shown.readings > seen); /* but it is not starved */
        struct wr_batch *back;
        (void)!wr_channel_try_recv(batches, &back);
        in_force = NULL;
        wr_evaluator_free(delayed);
    }
    wr_channel_free(batches);
    loop.inputs[0].batches = NULL;
    loop.n_inputs = 0;
}

/* The engine shows what the rules in force were shown, and as it was before they found it bad. */
static void the_tap(void **state) {
    (void)state;
    static struct wr_test_engine test;
    static struct wr_engine_tap tap;
    static const char ranged[] = "points:\n  - {point: x, range: 0..10}\nrules:\n  - {rule: hot, when: x > 5}\n";
    struct wr_ruleset *rules = fixture_load(ranged);
    memset(&test, 0, sizeof test);
    wr_test_engine_window(&test, 60 * WR_TEST_S, 5 * WR_TEST_S, NULL);
    wr_test_engine_start(&test);
    struct wr_symbol_table *symbols;
    struct wr_evaluator *evaluator;
    assert_int_equal(wr_symbol_table_new(16, &symbols, NULL), WR_OK);
    assert_int_equal(wr_evaluator_new(rules, test.series, symbols, &evaluator, NULL), WR_OK);
    assert_null(wr_engine_swap_evaluator(test.engine, evaluator));
    const uint32_t x = wr_test_engine_series(&test, "x");
    test.out.tap = &tap;
    wr_test_engine_take(&test, 0, wr_test_reading(x, WR_TEST_WALL_NS, 7));
    assert_true(tap.n == 1 && tap.readings[0].value.f == 7);
    tap.n = 0;
    wr_test_engine_take(&test, 0, wr_test_reading(x, WR_TEST_WALL_NS + 400 * WR_TEST_S, 99)); /* out of its range, and from the future */
    assert_int_equal(tap.n, 1);
    assert_true(tap.readings[0].quality != WR_QUALITY_BAD && tap.readings[0].event_ns <= test.now.wall_ns);
    wr_evaluator_free(wr_engine_swap_evaluator(test.engine, NULL));
    wr_test_engine_stop(&test);
    wr_symbol_table_free(symbols);
    wr_ruleset_free(rules);
}

static void no_memory(void **state) {
    (void)state;
    for (long n = 0;; n++) {
        struct wr_shadow *shadow = NULL;
        wr_failing_allocations(n);
        const enum wr_result result = make(&shadow);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        wr_shadow_free(shadow);
        if (!hit)
            break;
    }
    /* A series that finds none is skipped, and comes later. */
    for (long n = 0;; n++) {
        char room[32];
        snprintf(room, sizeof room, "room=m%ld", n);
        const uint32_t x = fixture_series(&fixture, "x", room);
        wr_failing_allocations(n);
        show(x, 60, 1);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        if (!hit)
            break;
    }
    (void)turn(0);
    const uint32_t x = fixture_series(&fixture, "x", "room=m0");
    const uint64_t seen = own->shown.readings;
    show(x, 60, 1);
    (void)turn(0);
    assert_int_equal(own->shown.readings, seen + 1);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(told_as_it_is), TEST(what_was_active_before), TEST(slices), TEST(its_share), TEST(what_waits_waits_no_longer), TEST(the_tap),
        TEST(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
