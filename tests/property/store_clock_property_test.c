/* Times that leave the store against a model of what time it was: random boots, clocks that are wrong, set by hand, set right, set again; suspends, restarts of the agent,
 * kills. What a clock stamped that was never trusted leaves as it is, and says so; all else leaves with the time that a trusted clock of the same boot gives.
 *
 * A record is known by how many readings it has. Wrong clocks are decades apart, as if nobody could mistake one for another or for the truth: where they overlap, the
 * store guesses (walls.c), and so would the model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/random.h"
#include "tests/support/store_fixture.h"

#define S WR_NS_PER_S
#define RECORDS 400
#define BOOTS 12
#define STEPS 600
#define ROUNDS 25
#define CLOCKS 6 /* in a boot, before it is set right */
#define DECADE_NS (INT64_C(3652) * 86400 * S)
#define TRUTH_NS (INT64_C(1835352000) * S) /* 2028-02-28T12:00:00Z: a leap day comes */

struct record {
    int64_t start_ns; /* as stamped */
    int64_t window_ns;
    int64_t wrong_ns; /* wall - boot time of the clock that stamped it */
    int boot;
    bool trusted; /* that clock was */
    bool own;     /* the device stamped it by a clock of its own */
    bool taken;
    bool alarm;
};

static struct {
    struct wr_random dice;
    struct store_fixture fixture;
    struct record records[RECORDS + 1];
    uint64_t n;
    int boot;
    int clocks;                /* of this boot */
    int64_t truth_ns[BOOTS];   /* true time - boot time */
    bool set[BOOTS];           /* the clock was set right in that boot ... */
    bool known[BOOTS];         /* ... and the store has committed since */
    int64_t true_ns;           /* what time it is */
    uint64_t waiting[RECORDS]; /* stamped, in open windows and on their way */
    unsigned n_waiting;
    unsigned seen[3]; /* by quality */
} world;

static uint64_t below(uint64_t end) {
    return wr_random_below(&world.dice, end);
}

static struct wr_now *now(void) {
    return &world.fixture.now;
}

static void must(enum wr_result result) {
    if (result != WR_OK)
        fail_msg("%s: %s", wr_result_name(result), world.fixture.err.text);
}

/* ---- the machine ---- */

static void boot(void) {
    world.boot++;
    world.clocks = 1;
    memset(world.fixture.options.boot_id, world.boot + 1, sizeof world.fixture.options.boot_id);
    *now() = (struct wr_now){.boot_ns = (int64_t)below(100) * S};
    now()->wall_ns = now()->boot_ns + (int64_t)below(3) * S; /* in 1970 */
    world.truth_ns[world.boot] = world.true_ns - now()->boot_ns;
}

static void pass(int64_t ns) {
    now()->boot_ns += ns;
    now()->wall_ns += ns;
    world.true_ns += ns;
}

/* A clock that is set twice before the store looks cannot be known. */
static void look_at_clock(void) {
    must(wr_store_tick(world.fixture.store, now(), &world.fixture.err));
}

/* A machine without a clock that goes on wakes up with the time at which it fell asleep. A trusted one is set right at once. */
static void suspend(void) {
    const int64_t ns = (int64_t)(1 + below(5000)) * S;
    pass(ns);
    if (!now()->wall_trusted && world.clocks < CLOCKS) {
        now()->wall_ns = (16 + world.clocks) * DECADE_NS + (int64_t)below(1000) * S; /* it is told apart */
        world.clocks++;
        look_at_clock();
    }
}

static void set_by_hand(void) {
    if (now()->wall_trusted || world.clocks == CLOCKS)
        return;
    now()->wall_ns = (int64_t)(below(2) == 0 ? 9 + world.clocks : -world.clocks) * DECADE_NS + (int64_t)below(1000) * S;
    world.clocks++;
    look_at_clock();
}

static void set_right(void) {
    if (now()->wall_trusted)
        return;
    now()->wall_ns = world.true_ns;
    now()->wall_trusted = true;
    world.set[world.boot] = true;
}

/* Somebody moves a clock that was right: the truth is then another one. Not before the store knows of the first. */
static void set_again(void) {
    if (now()->wall_trusted && world.known[world.boot])
        now()->wall_ns += ((int64_t)below(7200) - 3600) * S;
}

/* ---- work ---- */

static void stamp(bool alarm) {
    if (world.n == RECORDS)
        return;
    struct record *record = &world.records[++world.n];
    *record = (struct record){.boot = world.boot,
                              .wrong_ns = now()->wall_ns - now()->boot_ns,
                              .trusted = now()->wall_trusted,
                              .alarm = alarm,
                              .own = !alarm && below(6) == 0,
                              .window_ns = alarm || below(4) == 0 ? 0 : 60 * S};
    record->start_ns = record->own ? world.true_ns : now()->wall_ns;
    if (record->window_ns > 0)
        record->start_ns -= (record->start_ns % record->window_ns + record->window_ns) % record->window_ns;
    world.waiting[world.n_waiting++] = world.n;
}

static struct wr_aggregate aggregate_of(uint64_t number) {
    const struct record *record = &world.records[number];
    struct wr_aggregate aggregate = store_fixture_aggregate((uint32_t)number, 1);
    aggregate.start_ns = record->start_ns;
    aggregate.window_ns = record->window_ns;
    aggregate.account = record->window_ns == 0 ? 0 : 1;
    aggregate.n = number;
    if (number % 3 == 0) { /* text */
        static const char key[] = "door\0state";
        aggregate.key = key;
        aggregate.key_len = sizeof key;
        aggregate.type = WR_TYPE_SYMBOL;
        aggregate.sum = wr_sum_zero();
        must(wr_symbol_intern(world.fixture.symbols, number % 2 ? "open" : "shut", 4, &aggregate.first.symbol));
        aggregate.last = aggregate.first;
    }
    return aggregate;
}

static void hand_alarm(uint64_t number) {
    struct wr_alarm_entry entry = {.alarm = {.rule = "hot",
                                             .transition = number,
                                             .wall_ns = world.records[number].start_ns,
                                             .event_ns = world.records[number].start_ns},
                                   .number = number};
    uint32_t taken;
    must(wr_store_alarms(world.fixture.store, &entry, 1, now(), &taken, &world.fixture.err));
}

static void hand_over(void) {
    if (world.n_waiting == 0)
        return;
    const unsigned at = (unsigned)below(world.n_waiting);
    const uint64_t number = world.waiting[at];
    world.waiting[at] = world.waiting[--world.n_waiting];
    if (world.records[number].alarm) {
        hand_alarm(number);
        return;
    }
    world.fixture.handover.aggregates[0] = aggregate_of(number);
    world.fixture.handover.n = 1;
    const uint32_t account = world.fixture.handover.aggregates[0].account;
    world.fixture.taken[account] += number;
    world.fixture.counts[0] = (struct wr_account_count){account, WR_BOOK_TAKEN, world.fixture.taken[account]};
    world.fixture.handover.n_counts = 1;
    store_fixture_take(&world.fixture);
}

static void flush(void) {
    must(wr_store_flush(world.fixture.store, now(), &world.fixture.err));
}

static void stop(bool clean) {
    struct wr_store *store = world.fixture.store;
    world.fixture.store = NULL;
    world.n_waiting = 0; /* what is on its way ends with the process */
    if (!clean) {
        wr_store_abandon(store);
        return;
    }
    must(wr_store_close(store, now(), &world.fixture.err));
    world.known[world.boot] |= world.set[world.boot];
}

static void start(void) {
    must(store_fixture_open(&world.fixture));
    world.known[world.boot] |= world.set[world.boot];
}

/* ---- what leaves ---- */

static void check(uint64_t number, int64_t start_ns, enum wr_time_quality quality) {
    assert_in_range(number, 1, world.n);
    const struct record *record = &world.records[number];
    const int64_t right_ns = record->start_ns + world.truth_ns[record->boot] - record->wrong_ns;
    const bool stays = record->trusted || record->own;
    const bool knows = world.known[record->boot] || (record->boot == world.boot && now()->wall_trusted);
    world.seen[quality]++;
    bool good;
    if (quality == WR_TIME_TRUSTED)
        good = stays && start_ns == record->start_ns;
    else if (quality == WR_TIME_CORRECTED) /* not each time in such a segment was wrong */
        good = world.set[record->boot] && start_ns == (stays ? record->start_ns : right_ns);
    else /* set by hand before it was stored, perhaps: but by no trusted clock */
        good = !knows && !record->trusted && (record->own ? start_ns == record->start_ns : start_ns != right_ns);
    if (!good)
        fail_msg("record %llu of boot %d, stamped %lld by a clock off by %lld%s%s, comes as %lld, %s; right is %lld",
                 (unsigned long long)number, record->boot, (long long)record->start_ns, (long long)record->wrong_ns,
                 record->trusted ? ", trusted" : "", record->own ? ", the device's" : "", (long long)start_ns,
                 wr_time_quality_name(quality), (long long)right_ns);
}

static int64_t member(const char *text, const char *name) {
    const char *at = strstr(text, name);
    assert_non_null(at);
    return strtoll(at + strlen(name), NULL, 10);
}

static void read_segment(struct wr_decoder *decoder, const struct wr_segment *segment) {
    struct wr_codec_header header;
    struct wr_aggregate aggregate;
    int64_t t0_ns = INT64_MAX;
    const char *text;
    size_t len;
    must(wr_decode_begin(decoder, segment->body, segment->body_len, &header, &world.fixture.err));
    assert_int_equal(wr_codec_time_quality(&header), segment->time_quality);
    assert_true(header.seq == segment->seq && header.epoch == segment->epoch && header.n == segment->n);
    if (segment->kind == WR_SEGMENT_AGGREGATES)
        while (wr_decode_aggregate(decoder, &aggregate, &world.fixture.err) == WR_OK) {
            check(aggregate.n, aggregate.start_ns, (enum wr_time_quality)segment->time_quality);
            t0_ns = aggregate.start_ns < t0_ns ? aggregate.start_ns : t0_ns;
            if (aggregate.type == WR_TYPE_SYMBOL)
                assert_string_equal(aggregate.last_text, aggregate.n % 2 ? "open" : "shut");
        }
    else if (segment->kind == WR_SEGMENT_ALARMS)
        while (wr_decode_text(decoder, &text, &len, &world.fixture.err) == WR_OK) {
            check((uint64_t)member(text, "\"transition\":"), member(text, "\"time_ns\":"), (enum wr_time_quality)segment->time_quality);
            assert_int_equal(member(text, "\"event_ns\":"), member(text, "\"time_ns\":"));
        }
    if (segment->kind == WR_SEGMENT_AGGREGATES)
        assert_true(segment->t0_ns == t0_ns && header.t0_ns == t0_ns);
}

/* All that is there, again and again: nothing is acknowledged. */
static void look(void) {
    struct wr_decoder *decoder;
    struct wr_segment segment;
    must(wr_decoder_new(&decoder));
    for (int lane = 0; lane < WR_LANES; lane++)
        for (int64_t after = 0;; after = segment.seq) {
            const enum wr_result result =
                wr_store_next(world.fixture.store, (enum wr_lane)lane, after, INT64_MAX, now(), &segment, &world.fixture.err);
            if (result == WR_EMPTY)
                break;
            must(result);
            const int64_t seq = segment.seq;
            read_segment(decoder, &segment);
            wr_segment_free(&segment);
            segment.seq = seq;
        }
    wr_decoder_free(decoder);
}

static void step(void) {
    switch (below(20)) {
    case 0:
        suspend();
        return;
    case 1:
        set_by_hand();
        return;
    case 2:
        if (below(3) == 0)
            set_right();
        return;
    case 3:
        set_again();
        return;
    case 4:
        if (below(3) == 0) {
            stop(below(2) == 0);
            if (below(2) == 0 && world.boot + 1 < BOOTS)
                boot();
            start();
        }
        return;
    case 5:
    case 6:
        look();
        return;
    case 7:
        flush();
        return;
    case 8:
        must(wr_store_tick(world.fixture.store, now(), &world.fixture.err));
        return;
    case 9:
        stamp(true);
        return;
    case 10:
    case 11:
    case 12:
        pass((int64_t)below(40 * (uint64_t)S));
        return;
    case 13:
    case 14:
    case 15:
        stamp(false);
        return;
    default:
        hand_over();
    }
}

static void times_are_right(void **state) {
    (void)state;
    unsigned seen[3] = {0};
    world.dice = wr_random_begin();
    for (int round = 0; round < ROUNDS; round++) {
        const struct wr_random dice = world.dice;
        memset(&world, 0, sizeof world);
        world.dice = dice;
        world.boot = -1;
        world.true_ns = TRUTH_NS + (int64_t)below(100000) * S;
        store_fixture_init(&world.fixture);
        boot();
        start();
        for (int i = 0; i < STEPS; i++)
            step();
        look();
        for (int i = 0; i < 3; i++)
            seen[i] += world.seen[i];
        store_fixture_fini(&world.fixture);
    }
    printf("records seen: %u trusted, %u corrected, %u untrusted\n", seen[0], seen[1], seen[2]);
    assert_true(seen[0] > 100 && seen[1] > 100 && seen[2] > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(times_are_right)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
