/* What a clock has stamped that could not be trusted leaves the store with the right times: a boot in 1970, steps in both directions, a leap day, a suspend, restarts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/failing.h"
#include "tests/support/store_fixture.h"

#define S WR_NS_PER_S
#define PAGE 2048
#define LEAP_DAY_NS (INT64_C(1835438400) * S) /* 2028-02-29T12:00:00Z */
#define YEAR_NS (INT64_C(365) * 86400 * S)

struct bed {
    struct store_fixture fixture;
    int64_t seen[WR_LANES]; /* the last segment that was read */
};

/* The machine has been up for a minute, in 1970. */
static int setup(void **state) {
    struct bed *bed = calloc(1, sizeof *bed);
    store_fixture_init(&bed->fixture);
    memset(bed->fixture.options.boot_id, 1, sizeof bed->fixture.options.boot_id);
    bed->fixture.now = (struct wr_now){.boot_ns = 60 * S, .wall_ns = 60 * S, .wall_trusted = false};
    if (store_fixture_open(&bed->fixture) != WR_OK)
        fail_msg("%s", bed->fixture.err.text);
    *state = bed;
    return 0;
}

static int teardown(void **state) {
    store_fixture_fini(&((struct bed *)*state)->fixture);
    free(*state);
    return 0;
}

static void must(struct bed *bed, enum wr_result result) {
    if (result != WR_OK)
        fail_msg("%s: %s", wr_result_name(result), bed->fixture.err.text);
}

static void flush(struct bed *bed) {
    must(bed, wr_store_flush(bed->fixture.store, &bed->fixture.now, &bed->fixture.err));
}

static void set_clock(struct bed *bed, int64_t wall_ns, bool trusted) {
    bed->fixture.now.wall_ns = wall_ns;
    bed->fixture.now.wall_trusted = trusted;
}

static void restart(struct bed *bed) {
    struct wr_store *store = bed->fixture.store;
    bed->fixture.store = NULL;
    must(bed, wr_store_close(store, &bed->fixture.now, &bed->fixture.err));
    must(bed, store_fixture_open(&bed->fixture));
}

static void reboot(struct bed *bed, uint8_t id) {
    struct wr_store *store = bed->fixture.store;
    bed->fixture.store = NULL;
    must(bed, wr_store_close(store, &bed->fixture.now, &bed->fixture.err));
    memset(bed->fixture.options.boot_id, id, sizeof bed->fixture.options.boot_id);
    bed->fixture.now = (struct wr_now){.boot_ns = 10 * S, .wall_ns = 10 * S};
    must(bed, store_fixture_open(&bed->fixture));
}

/* An aggregate that was stamped at this time. */
static void take(struct bed *bed, int64_t start_ns, int64_t window_ns) {
    store_fixture_fill(&bed->fixture, window_ns == 0 ? 0 : 1, 1, 1);
    bed->fixture.handover.aggregates[0].start_ns = start_ns;
    bed->fixture.handover.aggregates[0].window_ns = window_ns;
    store_fixture_take(&bed->fixture);
}

static void take_now(struct bed *bed) {
    take(bed, bed->fixture.now.wall_ns, 60 * S);
}

/* The next segment of a lane, decoded: its only record starts then. */
static void comes(struct bed *bed, enum wr_lane lane, int64_t start_ns, enum wr_time_quality quality) {
    struct wr_segment segment;
    struct wr_codec_header header;
    struct wr_decoder *decoder;
    struct wr_aggregate aggregate;
    must(bed, wr_store_next(bed->fixture.store, lane, bed->seen[lane], INT64_MAX, &bed->fixture.now, &segment, &bed->fixture.err));
    bed->seen[lane] = segment.seq;
    assert_int_equal(segment.time_quality, quality);
    assert_int_equal(wr_decoder_new(&decoder), WR_OK);
    must(bed, wr_decode_begin(decoder, segment.body, segment.body_len, &header, &bed->fixture.err));
    assert_int_equal(wr_codec_time_quality(&header), quality);
    must(bed, wr_decode_aggregate(decoder, &aggregate, &bed->fixture.err));
    assert_int_equal(aggregate.start_ns, start_ns);
    assert_int_equal(segment.t0_ns, start_ns);
    assert_int_equal(header.t0_ns, start_ns);
    assert_int_equal(segment.t1_ns, start_ns + aggregate.window_ns);
    assert_int_equal(header.seq, segment.seq);
    assert_int_equal(header.n, 1);
    wr_decoder_free(decoder);
    wr_segment_free(&segment);
}

static void comes_again(struct bed *bed, int64_t start_ns, enum wr_time_quality quality) {
    bed->seen[WR_LANE_WINDOWS] = 0;
    comes(bed, WR_LANE_WINDOWS, start_ns, quality);
}

/* The first page is gone; `by_page`: and its copy. */
static void breaks(struct bed *bed, bool by_page) {
    struct wr_store *store = bed->fixture.store;
    char path[512];
    bed->fixture.store = NULL;
    must(bed, wr_store_close(store, &bed->fixture.now, &bed->fixture.err));
    store_fixture_forget_wal(&bed->fixture);
    store_fixture_scribble(&bed->fixture, 0, PAGE);
    snprintf(path, sizeof path, "%s/" WR_STORE_FILE ".page1", bed->fixture.directory);
    if (by_page)
        assert_int_equal(unlink(path), 0);
}

static void salvage(struct bed *bed) {
    const _Atomic uint64_t *salvaged = &wr_store_stats(bed->fixture.store)->salvage;
    for (int i = 0; i < 100 && atomic_load(salvaged) != WR_SALVAGE_DONE; i++) {
        store_fixture_advance(&bed->fixture, S);
        must(bed, wr_store_tick(bed->fixture.store, &bed->fixture.now, &bed->fixture.err));
    }
    assert_int_equal(atomic_load(salvaged), WR_SALVAGE_DONE);
}

/* A boot in 1970 leaves segments in a store that breaks later, when that boot is over: the fresh store has never seen it. */
static void out_of_a_broken_store(struct bed *bed, bool by_page) {
    take_now(bed);
    flush(bed);
    set_clock(bed, LEAP_DAY_NS, true);
    take_now(bed); /* its commit says what the clock was off */
    flush(bed);
    reboot(bed, 2);
    breaks(bed, by_page);
    must(bed, store_fixture_open(&bed->fixture));
    assert_true(bed->fixture.report.quarantined);
    salvage(bed);
    comes(bed, WR_LANE_WINDOWS, LEAP_DAY_NS, WR_TIME_CORRECTED);
    restart(bed); /* it stays known */
    comes_again(bed, LEAP_DAY_NS, WR_TIME_CORRECTED);
}

static void also_out_of_a_broken_store(void **state) {
    out_of_a_broken_store(*state, false);
}

static void also_page_by_page(void **state) {
    out_of_a_broken_store(*state, true);
}

/* In the same boot, after a restart with a clock that nobody has set again: what the broken store knew of it holds for what is cut now as well. */
static void also_of_the_present_boot(void **state) {
    struct bed *bed = *state;
    set_clock(bed, LEAP_DAY_NS, true);
    take_now(bed);
    flush(bed);
    breaks(bed, false);
    set_clock(bed, bed->fixture.now.boot_ns, false);
    must(bed, store_fixture_open(&bed->fixture));
    take_now(bed);
    flush(bed);
    comes(bed, WR_LANE_WINDOWS, 60 * S, WR_TIME_UNTRUSTED);
    salvage(bed);
    comes_again(bed, LEAP_DAY_NS, WR_TIME_CORRECTED);
}

static void a_boot_in_1970(void **state) {
    struct bed *bed = *state;
    take_now(bed);
    flush(bed);
    comes(bed, WR_LANE_WINDOWS, 60 * S, WR_TIME_UNTRUSTED); /* what goes now goes as it is */
    store_fixture_advance(&bed->fixture, 40 * S);
    take_now(bed);                     /* in the open segment when the clock is set */
    set_clock(bed, LEAP_DAY_NS, true); /* a minute and 40 s after the boot */
    store_fixture_advance(&bed->fixture, S);
    take(bed, 95 * S, 5 * S); /* in an open window then */
    take(bed, 95 * S, 0);     /* a change on its way */
    comes_again(bed, LEAP_DAY_NS - 40 * S, WR_TIME_CORRECTED);
    flush(bed);
    comes(bed, WR_LANE_CHANGES, LEAP_DAY_NS - 5 * S, WR_TIME_CORRECTED);
    struct wr_segment segment;
    must(bed, wr_store_next(bed->fixture.store, WR_LANE_WINDOWS, bed->seen[WR_LANE_WINDOWS], INT64_MAX, &bed->fixture.now, &segment,
                            &bed->fixture.err));
    assert_int_equal(segment.time_quality, WR_TIME_CORRECTED);
    assert_int_equal(segment.n, 2);
    assert_int_equal(segment.t0_ns, LEAP_DAY_NS - 5 * S);
    assert_int_equal(segment.t1_ns, LEAP_DAY_NS + 60 * S);
    bed->seen[WR_LANE_WINDOWS] = segment.seq;
    wr_segment_free(&segment);
    take_now(bed);
    flush(bed);
    comes(bed, WR_LANE_WINDOWS, LEAP_DAY_NS + S, WR_TIME_TRUSTED);
}

/* A device that knows the time is right all along. */
static void a_clock_of_its_own_is_left_alone(void **state) {
    struct bed *bed = *state;
    take(bed, LEAP_DAY_NS - 30 * S, 60 * S);
    flush(bed);
    set_clock(bed, LEAP_DAY_NS, true);
    take(bed, LEAP_DAY_NS - 20 * S, 60 * S);
    flush(bed);
    comes(bed, WR_LANE_WINDOWS, LEAP_DAY_NS - 30 * S, WR_TIME_CORRECTED);
    comes(bed, WR_LANE_WINDOWS, LEAP_DAY_NS - 20 * S, WR_TIME_TRUSTED);
}

/* A clock that was ahead is set back; one that is set by hand first, still wrong. */
static void steps_in_both_directions(void **state) {
    struct bed *bed = *state;
    set_clock(bed, LEAP_DAY_NS + YEAR_NS, false);
    store_fixture_advance(&bed->fixture, 10 * S);
    take_now(bed);
    flush(bed);
    store_fixture_advance(&bed->fixture, 10 * S);
    take_now(bed);
    set_clock(bed, LEAP_DAY_NS - YEAR_NS, false);      /* at boot time 80 */
    take(bed, LEAP_DAY_NS + YEAR_NS + 15 * S, 60 * S); /* of before */
    flush(bed);
    set_clock(bed, LEAP_DAY_NS, true);
    flush(bed);
    comes(bed, WR_LANE_WINDOWS, LEAP_DAY_NS - 10 * S, WR_TIME_CORRECTED);
    struct wr_segment segment;
    must(bed, wr_store_next(bed->fixture.store, WR_LANE_WINDOWS, bed->seen[WR_LANE_WINDOWS], INT64_MAX, &bed->fixture.now, &segment,
                            &bed->fixture.err));
    assert_int_equal(segment.t0_ns, LEAP_DAY_NS - 5 * S);
    assert_int_equal(segment.t1_ns, LEAP_DAY_NS + 60 * S);
    bed->seen[WR_LANE_WINDOWS] = segment.seq;
    wr_segment_free(&segment);
    take_now(bed);
    set_clock(bed, LEAP_DAY_NS - 3600 * S, true); /* a trusted clock that is set back was the truth of then */
    flush(bed);
    comes(bed, WR_LANE_WINDOWS, LEAP_DAY_NS, WR_TIME_TRUSTED);
}

/* Boot time goes on while the machine sleeps; a wall clock without a battery may not. */
static void a_suspend(void **state) {
    struct bed *bed = *state;
    take_now(bed);
    flush(bed);
    bed->fixture.now.boot_ns += 3600 * S; /* the wall clock stood still */
    take_now(bed);
    flush(bed);
    store_fixture_advance(&bed->fixture, 3600 * S); /* it did not */
    take_now(bed);
    flush(bed);
    set_clock(bed, LEAP_DAY_NS, true);
    flush(bed);
    comes(bed, WR_LANE_WINDOWS, LEAP_DAY_NS - 7200 * S, WR_TIME_CORRECTED);
    comes(bed, WR_LANE_WINDOWS, LEAP_DAY_NS - 3600 * S, WR_TIME_CORRECTED);
    comes(bed, WR_LANE_WINDOWS, LEAP_DAY_NS, WR_TIME_CORRECTED);
}

static void restarts_and_boots(void **state) {
    struct bed *bed = *state;
    take_now(bed);
    restart(bed); /* of the agent alone */
    store_fixture_advance(&bed->fixture, 10 * S);
    comes_again(bed, 60 * S, WR_TIME_UNTRUSTED);
    set_clock(bed, LEAP_DAY_NS, true);
    comes_again(bed, LEAP_DAY_NS - 10 * S, WR_TIME_CORRECTED);
    reboot(bed, 2);                                            /* in 1970 again */
    comes_again(bed, LEAP_DAY_NS - 10 * S, WR_TIME_CORRECTED); /* known of that boot */
    take_now(bed);
    flush(bed);
    comes(bed, WR_LANE_WINDOWS, 10 * S, WR_TIME_UNTRUSTED);
    const int64_t last = bed->seen[WR_LANE_WINDOWS] - 1;
    reboot(bed, 3);
    set_clock(bed, LEAP_DAY_NS + YEAR_NS, true);
    flush(bed);
    bed->seen[WR_LANE_WINDOWS] = last;
    comes(bed, WR_LANE_WINDOWS, 10 * S, WR_TIME_UNTRUSTED); /* that one was never set */
}

/* Who cannot name the boot cannot say what its clock was off. */
static void an_unknown_boot(void **state) {
    struct bed *bed = *state;
    reboot(bed, 0);
    take_now(bed);
    flush(bed);
    set_clock(bed, LEAP_DAY_NS, true);
    flush(bed);
    comes(bed, WR_LANE_WINDOWS, 10 * S, WR_TIME_UNTRUSTED);
}

static void raise_alarm(struct bed *bed, uint64_t transition, int64_t wall_ns) {
    struct wr_alarm_entry entry = {.alarm = {.rule = "hot",
                                             .transition = transition,
                                             .from = WR_ALARM_NORMAL,
                                             .to = WR_ALARM_UNACK,
                                             .wall_ns = wall_ns,
                                             .event_ns = wall_ns},
                                   .number = transition};
    uint32_t taken;
    must(bed, wr_store_alarms(bed->fixture.store, &entry, 1, &bed->fixture.now, &taken, &bed->fixture.err));
}

/* The one alarm of the next segment. */
static void alarm_comes(struct bed *bed, int64_t time_ns, enum wr_time_quality quality) {
    struct wr_segment segment;
    struct wr_codec_header header;
    struct wr_decoder *decoder;
    const char *text;
    size_t len;
    unsigned n = 0;
    must(bed, wr_store_next(bed->fixture.store, WR_LANE_ALARMS, bed->seen[0], INT64_MAX, &bed->fixture.now, &segment, &bed->fixture.err));
    bed->seen[0] = segment.seq;
    assert_int_equal(segment.time_quality, quality);
    assert_int_equal(wr_decoder_new(&decoder), WR_OK);
    must(bed, wr_decode_begin(decoder, segment.body, segment.body_len, &header, &bed->fixture.err));
    while (wr_decode_text(decoder, &text, &len, &bed->fixture.err) == WR_OK) {
        char expected[120];
        char readable[32];
        snprintf(expected, sizeof expected, "\"time_ns\":%lld,\"time\":\"%s\",", (long long)time_ns,
                 wr_clock_format(readable, sizeof readable, time_ns));
        if (!strstr(text, expected))
            fail_msg("%s is not in %s", expected, text);
        n++;
    }
    assert_int_equal(n, 1);
    assert_int_equal(segment.t0_ns, time_ns);
    wr_decoder_free(decoder);
    wr_segment_free(&segment);
}

static void alarms(void **state) {
    struct bed *bed = *state;
    raise_alarm(bed, 1, 60 * S); /* in the journal at once */
    alarm_comes(bed, 60 * S, WR_TIME_UNTRUSTED);
    bed->seen[0] = 0;
    store_fixture_advance(&bed->fixture, WR_NS_PER_MS);
    raise_alarm(bed, 2, 60 * S + WR_NS_PER_MS); /* waits for others, while the clock is set */
    set_clock(bed, LEAP_DAY_NS, true);
    raise_alarm(bed, 3, LEAP_DAY_NS);
    flush(bed);
    raise_alarm(bed, 4, 60 * S); /* decided before that */
    flush(bed);
    alarm_comes(bed, LEAP_DAY_NS - WR_NS_PER_MS, WR_TIME_CORRECTED);
    alarm_comes(bed, LEAP_DAY_NS, WR_TIME_CORRECTED);
    alarm_comes(bed, LEAP_DAY_NS, WR_TIME_TRUSTED);
    alarm_comes(bed, LEAP_DAY_NS - WR_NS_PER_MS, WR_TIME_CORRECTED);
}

/* What is lost in 1970 and told later. */
static void gaps(void **state) {
    struct bed *bed = *state;
    struct store_told told = {0};
    take_now(bed);
    flush(bed);
    store_fixture_advance(&bed->fixture, 10 * S);
    wr_store_book(bed->fixture.store, 1, WR_BOOK_DROPPED_STOP, 5);
    bed->fixture.taken[1] += 5;
    take_now(bed);
    flush(bed);
    set_clock(bed, LEAP_DAY_NS, true);
    flush(bed);
    store_fixture_advance(&bed->fixture, 120 * S);
    must(bed, wr_store_tick(bed->fixture.store, &bed->fixture.now, &bed->fixture.err));
    store_fixture_read_gaps(&bed->fixture, &told);
    assert_int_equal(told.readings, 5);
    assert_int_equal(told.from_ns, LEAP_DAY_NS - 10 * S);
    assert_int_equal(told.to_ns, LEAP_DAY_NS);
}

/* Without memory nothing is sent that would be as wrong as it need not be; it is asked for again. */
static void without_memory(void **state) {
    struct bed *bed = *state;
    unsigned failed = 0;
    take_now(bed);
    flush(bed);
    set_clock(bed, LEAP_DAY_NS, true);
    flush(bed);
    for (long n = 0;; n++) {
        struct wr_segment segment;
        wr_failing_allocations(n);
        const enum wr_result result =
            wr_store_next(bed->fixture.store, WR_LANE_WINDOWS, 0, INT64_MAX, &bed->fixture.now, &segment, &bed->fixture.err);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        if (result == WR_OK) {
            assert_int_equal(segment.time_quality, WR_TIME_CORRECTED);
            wr_segment_free(&segment);
        } else {
            assert_int_equal(result, WR_NO_MEMORY);
            failed++;
        }
        if (!hit)
            break;
    }
    assert_true(failed > 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_boot_in_1970, setup, teardown),
        cmocka_unit_test_setup_teardown(a_clock_of_its_own_is_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(steps_in_both_directions, setup, teardown),
        cmocka_unit_test_setup_teardown(a_suspend, setup, teardown),
        cmocka_unit_test_setup_teardown(restarts_and_boots, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unknown_boot, setup, teardown),
        cmocka_unit_test_setup_teardown(also_out_of_a_broken_store, setup, teardown),
        cmocka_unit_test_setup_teardown(also_page_by_page, setup, teardown),
        cmocka_unit_test_setup_teardown(also_of_the_present_boot, setup, teardown),
        cmocka_unit_test_setup_teardown(alarms, setup, teardown),
        cmocka_unit_test_setup_teardown(gaps, setup, teardown),
        cmocka_unit_test_setup_teardown(without_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
