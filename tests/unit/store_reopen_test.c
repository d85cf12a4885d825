/* A store whose handle has died is opened again: whatever call was the last, nothing that was taken is missing, and nothing is there twice. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/codec.h"
#include "tests/support/disk_bed.h"
#include "tests/support/failing.h"

#define MOST 4096 /* aggregates of a life */
#define PER_AGGREGATE 10
#define SAMPLES 25 /* calls that are the last, for each kind of cut */

static uint32_t given;     /* aggregates, each with a start of its own */
static uint32_t alarms;    /* transitions that were taken */
static uint64_t before[2]; /* readings taken by former runs */
static uint32_t from;      /* how much of the handover is taken */

static int setup(void **state) {
    given = alarms = from = 0;
    before[0] = before[1] = 0;
    return disk_bed_setup(state);
}

/* The engine: what is refused waits with it. */
static bool give_rest(void) {
    uint32_t taken = 0;
    const enum wr_result result = wr_store_take(fixture.store, &fixture.handover, from, &fixture.now, &taken, &fixture.err);
    from += taken;
    if (result != WR_OK)
        return false;
    fixture.handover.n = from = 0;
    return true;
}

static void give(uint32_t account, uint32_t n) {
    if (fixture.handover.n > 0 && !give_rest())
        return;
    store_fixture_fill(&fixture, account, n, PER_AGGREGATE);
    for (uint32_t i = 0; i < n; i++) {
        assert_true(given < MOST);
        fixture.handover.aggregates[i].start_ns = (int64_t)(++given) * 60 * WR_NS_PER_S;
    }
    (void)give_rest();
}

static void give_alarm(void) {
    const struct wr_alarm_entry entry = {.alarm = {.id = 1, .transition = alarms + 1, .rule = "hot"}, .snap_len = 4, .snap = "abc"};
    uint32_t taken = 0;
    (void)!wr_store_alarms(fixture.store, &entry, 1, &fixture.now, &taken, &fixture.err);
    alarms += taken;
}

static void acknowledge(void) {
    struct wr_segment segment;
    if (wr_store_next(fixture.store, WR_LANE_WINDOWS, 0, INT64_MAX, &fixture.now, &segment, &fixture.err) != WR_OK)
        return;
    (void)!wr_store_offer(fixture.store, WR_LANE_WINDOWS, segment.seq, &fixture.now, &fixture.err);
    (void)!wr_store_ack(fixture.store, WR_LANE_WINDOWS, segment.seq, segment.seq, &fixture.now, &fixture.err);
    wr_segment_free(&segment);
}

/* What fails is tried again later, as it always is. */
static void work(int steps) {
    for (int i = 0; i < steps; i++) {
        give(i % 3 == 0 ? CHANGES : WINDOWS, 1 + (uint32_t)wr_random_below(&dice, 20));
        if (wr_random_below(&dice, 3) == 0)
            give_alarm();
        if (wr_random_below(&dice, 4) == 0)
            acknowledge();
        store_fixture_advance(&fixture, (int64_t)wr_random_below(&dice, 1500) * WR_NS_PER_MS);
        (void)!wr_store_tick(fixture.store, &fixture.now, &fixture.err);
    }
}

static bool reads_as_aggregates(struct wr_decoder *decoder, const struct wr_segment *segment, uint8_t times[MOST + 1]) {
    struct wr_codec_header header;
    struct wr_aggregate aggregate;
    must(wr_decode_begin(decoder, segment->body, segment->body_len, &header, &fixture.err));
    if (segment->kind != WR_SEGMENT_AGGREGATES)
        return false;
    while (wr_decode_aggregate(decoder, &aggregate, &fixture.err) == WR_OK)
        times[aggregate.start_ns / (60 * WR_NS_PER_S)]++;
    return true;
}

/* Every row: each aggregate once, but for those that are known to be lost, and each alarm once. */
static void look(uint64_t lost) {
    uint8_t times[MOST + 1] = {0};
    uint32_t found_alarms = 0;
    uint64_t missing = 0;
    struct wr_decoder *decoder;
    must(wr_decoder_new(&decoder));
    const int64_t newest[] = {wr_store_newest(fixture.store, WR_LANE_ALARMS), wr_store_newest(fixture.store, WR_LANE_CHANGES),
                              wr_store_newest(fixture.store, WR_LANE_WINDOWS)};
    for (int64_t seq = 1; seq <= newest[0] || seq <= newest[1] || seq <= newest[2]; seq++) {
        struct wr_segment segment;
        const enum wr_result result = wr_store_get(fixture.store, seq, &segment, &fixture.err);
        if (result == WR_NOT_FOUND)
            continue;
        must(result);
        if (!reads_as_aggregates(decoder, &segment, times) && segment.kind == WR_SEGMENT_ALARMS)
            found_alarms += segment.n;
        wr_segment_free(&segment);
    }
    wr_decoder_free(decoder);
    for (uint32_t i = 1; i <= given; i++) {
        if (times[i] > 1)
            fail_msg("aggregate %u is there %u times", i, times[i]);
        missing += times[i] == 0;
    }
    assert_int_equal(missing * PER_AGGREGATE, lost);
    if (lost == 0)
        assert_int_equal(found_alarms, alarms);
}

/* All is committed, and the books say so. */
static void settle(uint64_t lost) {
    assert_true(give_rest());
    must(wr_store_flush(fixture.store, &fixture.now, &fixture.err));
    uint64_t stored = 0, dropped = 0;
    for (uint32_t account = 0; account < 2; account++) {
        const struct wr_account_balance balance = store_fixture_balance(&fixture, account);
        assert_int_equal(balance.books[WR_BOOK_TAKEN], before[account] + fixture.taken[account]);
        assert_int_equal(balance.open, 0);
        stored += balance.books[WR_BOOK_STORED];
        dropped += wr_balance_dropped(&balance);
    }
    assert_int_equal(dropped, lost);
    assert_int_equal(stored + lost, (uint64_t)given * PER_AGGREGATE);
    look(lost);
}

static enum wr_result reopen(void) {
    store_fixture_advance(&fixture, WR_REOPEN_AFTER_NS);
    return wr_store_reopen(fixture.store, &fixture.now, &fixture.err);
}

static void close_and_look_again(void) {
    struct wr_account_balance balances[2];
    for (uint32_t account = 0; account < 2; account++)
        balances[account] = store_fixture_balance(&fixture, account);
    store_fixture_close(&fixture);
    must(store_fixture_open(&fixture));
    assert_false(fixture.report.unclean);
    for (uint32_t account = 0; account < 2; account++) {
        const struct wr_account_balance after = store_fixture_balance(&fixture, account);
        assert_memory_equal(after.books, balances[account].books, sizeof after.books);
    }
}

/* The power of the disk goes at the nth call, and comes back: the old handle is dead, the path is fine. False: there are not so many calls. */
static bool dies_at(const struct wr_fault_vfs *base, const struct store_fixture *as, long n, enum wr_fault_kept kept) {
    const uint32_t had[] = {given, alarms};
    const struct wr_fault_plan plan = {.kind = WR_FAULT_CUT, .calls = WR_FAULT_ANY, .at = n};
    fixture = *as;
    fixture.handover.counts = fixture.counts;
    disk = wr_fault_vfs_copy(base);
    fixture.options.vfs = wr_fault_vfs_name(disk);
    must(store_fixture_open(&fixture));
    const uint64_t epoch = wr_store_epoch(fixture.store);
    for (uint32_t account = 0; account < 2; account++)
        before[account] = store_fixture_balance(&fixture, account).books[WR_BOOK_TAKEN];
    wr_fault_vfs_plan(disk, &plan);
    work(30);
    const bool hit = wr_fault_vfs_is_dark(disk);
    if (hit) {
        wr_fault_vfs_power(disk, kept);
        give_alarm();
        assert_int_equal(wr_store_flush(fixture.store, &fixture.now, &fixture.err), WR_IO);
        assert_true(wr_store_reopen_due(fixture.store) <= fixture.now.boot_ns + WR_REOPEN_AFTER_NS);
        must(reopen());
        assert_true(wr_store_epoch(fixture.store) == epoch);
    }
    wr_fault_vfs_plan(disk, NULL);
    settle(0);
    if (hit)
        assert_true(wr_store_reopen_due(fixture.store) == WR_NEVER_NS);
    store_fixture_abandon(&fixture);
    wr_fault_vfs_free(disk);
    given = had[0];
    alarms = had[1];
    return hit;
}

static void whatever_call_was_the_last(void **state) {
    (void)state;
    static const enum wr_fault_kept kept[] = {WR_FAULT_ALL, WR_FAULT_NOTHING, WR_FAULT_PREFIX, WR_FAULT_SECTORS};
    must(store_fixture_open(&fixture));
    work(20);
    settle(0);
    store_fixture_close(&fixture);
    struct wr_fault_vfs *base = disk;
    const struct store_fixture as = fixture;
    long calls = 16;
    for (long step = 16; step > 0; step /= 2) /* about how many there are */
        while (dies_at(base, &as, calls, WR_FAULT_ALL))
            calls += 8 * step;
    unsigned hits = 0;
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        for (int sample = 0; sample < SAMPLES; sample++)
            hits += dies_at(base, &as, (long)wr_random_below(&dice, (uint64_t)calls), kept[i]);
    printf("about %ld calls, %u of them the last in turn\n", calls, hits);
    assert_true(hits > SAMPLES);
    disk = base;
    fixture = as;
}

/* -- one that is full: it merges and evicts ---------------------------------------------------------------------------------------------------- */

/* It is full soon; the windows are always the same, so that they find partners. */
static void put_noise(void) {
    if (fixture.handover.n == 0)
        store_fixture_fill(&fixture, WINDOWS, 64, 2);
    store_fixture_noise(&fixture, from, &dice);
    (void)give_rest();
    (void)!wr_store_flush(fixture.store, &fixture.now, &fixture.err);
}

/* What the books hold is what the rows hold, by the file alone. */
static void audit(void) {
    struct wr_account_balance *balances;
    struct wr_store_recount recount;
    uint32_t n;
    uint64_t epoch;
    bool clean;
    store_fixture_placeholder(&fixture);
    wr_fault_vfs_default(disk, true);
    must(wr_store_audit(fixture.directory, &balances, &n, &clean, &epoch, &recount, &fixture.err));
    wr_fault_vfs_default(disk, false);
    assert_true(clean && recount.damaged == 0 && recount.of_nobody == 0);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t left, right;
        if (!wr_balance_check(&balances[i], &left, &right) || balances[i].open > 0)
            fail_msg("%s: %llu is not %llu, or %llu are not held", balances[i].account.window, (unsigned long long)left,
                     (unsigned long long)right, (unsigned long long)balances[i].recount);
    }
    free(balances);
    assert_int_equal(remove(store_fixture_path(&fixture, WR_STORE_FILE)), 0);
}

static bool full_dies_at(const struct wr_fault_vfs *base, const struct store_fixture *as, unsigned calls, long n, enum wr_fault_kept kept) {
    const struct wr_fault_plan plan = {.kind = WR_FAULT_CUT, .calls = calls, .at = n};
    fixture = *as;
    fixture.handover.counts = fixture.counts;
    disk = wr_fault_vfs_copy(base);
    fixture.options.vfs = wr_fault_vfs_name(disk);
    must(store_fixture_open(&fixture));
    wr_fault_vfs_plan(disk, &plan);
    for (int i = 0; i < 12; i++) {
        put_noise();
        if (i % 3 == 0)
            acknowledge();
        store_fixture_advance(&fixture, WR_NS_PER_S);
    }
    const bool hit = wr_fault_vfs_is_dark(disk);
    if (hit) {
        wr_fault_vfs_power(disk, kept);
        must(reopen());
    }
    wr_fault_vfs_plan(disk, NULL);
    assert_true(give_rest());
    must(wr_store_flush(fixture.store, &fixture.now, &fixture.err));
    const struct wr_account_balance windows = store_fixture_balance(&fixture, WINDOWS);
    assert_int_equal(wr_balance_dropped(&windows), windows.books[WR_BOOK_DROPPED_EVICTED]);
    store_fixture_close(&fixture);
    audit();
    wr_fault_vfs_free(disk);
    return hit;
}

static void while_it_merges_and_evicts(void **state) {
    (void)state;
    static const enum wr_fault_kept kept[] = {WR_FAULT_ALL, WR_FAULT_NOTHING, WR_FAULT_PREFIX, WR_FAULT_SECTORS};
    fixture.tells_lengths = true;
    must(store_fixture_open(&fixture));
    const struct wr_store_stats *stats = wr_store_stats(fixture.store);
    struct wr_fault_vfs *base = NULL; /* some segments before the first merge */
    struct store_fixture as = fixture;
    for (int i = 0; atomic_load(&stats->merged_segments) == 0; i++) {
        assert_true(i < 2000);
        if (i % 4 == 0) {
            wr_fault_vfs_free(base);
            base = wr_fault_vfs_copy(disk);
            as = fixture;
        }
        put_noise();
        store_fixture_advance(&fixture, WR_NS_PER_S);
    }
    as.store = NULL;
    store_fixture_close(&fixture);
    wr_fault_vfs_free(disk);
    unsigned hits = 0;
    for (int sample = 0; sample < 2 * SAMPLES; sample++)
        hits += sample % 2
                    ? full_dies_at(base, &as, WR_FAULT_ANY, (long)wr_random_below(&dice, 400), kept[sample / 2 % 4])
                    : full_dies_at(base, &as, WR_FAULT_SYNC, sample / 2 % 16, WR_FAULT_ALL); /* a commit that is there all the same */
    printf("%u times the last in turn\n", hits);
    assert_true(hits > SAMPLES / 2);
    disk = base;
    fixture = as;
}

static void kill_handle(void) {
    give(WINDOWS, 1);
    wr_fault_vfs_cut(disk);
    assert_int_equal(wr_store_flush(fixture.store, &fixture.now, &fixture.err), WR_IO);
    wr_fault_vfs_power(disk, WR_FAULT_ALL);
}

static void what_it_cannot_open_it_waits_for(void **state) {
    (void)state;
    must(store_fixture_open(&fixture));
    work(10);
    give(WINDOWS, 5);
    kill_handle();
    for (long n = 0;; n++) { /* whatever the disk refuses now, memory stays as it is */
        const struct wr_fault_plan plan = {.kind = WR_FAULT_EIO, .calls = WR_FAULT_ANY, .at = n, .for_good = true};
        wr_fault_vfs_plan(disk, &plan);
        const enum wr_result result = reopen();
        wr_fault_vfs_plan(disk, NULL);
        if (result == WR_OK)
            break;
        assert_int_equal(result, WR_IO);
        assert_true(wr_store_is_gone(fixture.store));
        assert_true(wr_store_reopen_due(fixture.store) > fixture.now.boot_ns);
        (void)store_fixture_balance(&fixture, WINDOWS);
        if (n % 16 == 0) {
            give(WINDOWS, 3);
            assert_int_equal(wr_store_flush(fixture.store, &fixture.now, &fixture.err), WR_IO);
        }
    }
    assert_false(wr_store_is_gone(fixture.store));
    settle(0);
    close_and_look_again();
}

static void without_memory(void **state) {
    (void)state;
    must(store_fixture_open(&fixture));
    work(10);
    give(WINDOWS, 5);
    kill_handle();
    bool hit = true;
    for (long n = 0; hit; n++) {
        wr_failing_allocations(n);
        const enum wr_result result = reopen();
        hit = wr_failing_hit();
        wr_failing_off();
        assert_true(result == WR_OK || wr_store_is_gone(fixture.store));
        give(WINDOWS, 3);
    }
    settle(0);
    close_and_look_again();
}

/* The file with all that the WAL has, as it lies there. */
struct copy {
    uint8_t *bytes[2];
    uint64_t len[2];
};
static const char *const parts[] = {WR_STORE_FILE, WR_STORE_FILE "-wal"};

static struct copy take_copy(struct wr_fault_vfs *of) {
    struct copy copy;
    for (int i = 0; i < 2; i++) {
        const uint8_t *bytes = wr_fault_vfs_file(of, parts[i], &copy.len[i]);
        assert_non_null(bytes);
        copy.bytes[i] = malloc(copy.len[i]);
        assert_non_null(copy.bytes[i]);
        memcpy(copy.bytes[i], bytes, copy.len[i]);
    }
    return copy;
}

static void put_copy(struct copy *copy) {
    for (int i = 0; i < 2; i++) {
        wr_fault_vfs_put(disk, store_fixture_path(&fixture, parts[i]), copy->bytes[i], copy->len[i]);
        free(copy->bytes[i]);
    }
}

/* The handle is dead and closed, and the file is not where it was. */
static void pull_disk(void) {
    kill_handle();
    const struct wr_fault_plan plan = {.kind = WR_FAULT_EIO, .calls = WR_FAULT_ANY, .for_good = true};
    wr_fault_vfs_plan(disk, &plan);
    assert_int_equal(reopen(), WR_IO);
    wr_fault_vfs_plan(disk, NULL);
    for (int i = 0; i < 2; i++)
        wr_fault_vfs_remove(disk, parts[i]);
}

static void a_file_that_is_elsewhere_is_waited_for(void **state) {
    (void)state;
    must(store_fixture_open(&fixture));
    work(10);
    struct copy copy = take_copy(disk);
    pull_disk();
    uint64_t len;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(reopen(), WR_IO);
        assert_null(wr_fault_vfs_file(disk, WR_STORE_FILE, &len)); /* none was made */
        give(WINDOWS, 3);
    }
    put_copy(&copy);
    must(reopen());
    settle(0);
    close_and_look_again();
}

/* The disk had not kept its word, or somebody put a copy back. */
static void an_older_copy_is_gone_on_with(void **state) {
    (void)state;
    must(store_fixture_open(&fixture));
    work(10);
    settle(0);
    struct copy copy = take_copy(disk);
    const uint32_t had = given;
    const uint64_t epoch = wr_store_epoch(fixture.store);
    give(WINDOWS, 20);
    give(CHANGES, 7);
    must(wr_store_flush(fixture.store, &fixture.now, &fixture.err));
    const int64_t newest = wr_store_newest(fixture.store, WR_LANE_WINDOWS);
    const uint64_t lost = (uint64_t)(given - had) * PER_AGGREGATE;
    give(WINDOWS, 5); /* in memory */
    pull_disk();
    put_copy(&copy);
    must(reopen());
    assert_true(wr_store_epoch(fixture.store) == epoch);
    assert_true(wr_store_live_from(fixture.store) > newest); /* no key comes twice */
    settle(lost);
    assert_int_equal(store_fixture_balance(&fixture, WINDOWS).books[WR_BOOK_DROPPED_STORE], 20 * PER_AGGREGATE);
    close_and_look_again();
}

/* The power goes at the nth call while a fresh one is made in place of a broken one: whether its first commit came about or not, the books go on once. Returns the calls. */
static long made_anew_until(long n) {
    static const char noise[4096] = "no store";
    const struct wr_fault_plan plan = {.kind = WR_FAULT_CUT, .calls = WR_FAULT_ANY, .at = n};
    must(store_fixture_open(&fixture));
    give(WINDOWS, 5);
    must(wr_store_flush(fixture.store, &fixture.now, &fixture.err));
    give(WINDOWS, 3);
    pull_disk();
    wr_fault_vfs_put(disk, store_fixture_path(&fixture, WR_STORE_FILE), noise, sizeof noise);
    store_fixture_placeholder(&fixture); /* it is this that is renamed */
    assert_int_equal(reopen(), WR_CORRUPT);
    wr_fault_vfs_remove(disk, parts[0]);
    wr_fault_vfs_plan(disk, &plan);
    const enum wr_result result = reopen();
    const long calls = wr_fault_vfs_count(disk, WR_FAULT_ANY);
    assert_true(wr_fault_vfs_is_dark(disk) || result == WR_OK);
    if (wr_fault_vfs_is_dark(disk)) {
        wr_fault_vfs_power(disk, WR_FAULT_ALL);
        must(reopen());
    }
    wr_fault_vfs_plan(disk, NULL);
    settle(5 * PER_AGGREGATE);
    close_and_look_again();
    return calls;
}

static void a_fresh_one_that_may_have_been_committed(void **state) {
    const long calls = made_anew_until(-1);
    for (long i = 0; i < 2 * SAMPLES; i++) { /* all of the end, and some of what is before */
        assert_int_equal(disk_bed_teardown(state) | setup(state), 0);
        (void)made_anew_until(i < SAMPLES ? calls - 1 - i : (long)wr_random_below(&dice, (uint64_t)calls));
    }
}

/* Readings that came too late, and a gap record of them. */
static void tell_of_late(uint64_t readings) {
    const int64_t newest = wr_store_newest(fixture.store, WR_LANE_ALARMS);
    wr_store_book(fixture.store, WINDOWS, WR_BOOK_TAKEN, readings);
    wr_store_book(fixture.store, WINDOWS, WR_BOOK_DROPPED_LATE, readings);
    must(wr_store_flush(fixture.store, &fixture.now, &fixture.err));
    store_fixture_advance(&fixture, (3600 * WR_NS_PER_S));
    must(wr_store_tick(fixture.store, &fixture.now, &fixture.err));
    assert_true(wr_store_newest(fixture.store, WR_LANE_ALARMS) > newest);
}

static void another_store_in_its_place(void **state) {
    (void)state;
    must(store_fixture_open(&fixture)); /* the other one, in which readings were open */
    store_fixture_segment(&fixture, WINDOWS, 4, PER_AGGREGATE);
    fixture.taken[WINDOWS] += 30;
    fixture.taken[2] += 30;
    store_fixture_segment(&fixture, CHANGES, 1, PER_AGGREGATE);
    struct copy copy = take_copy(disk);
    const uint64_t epoch = wr_store_epoch(fixture.store);
    store_fixture_abandon(&fixture);
    for (int i = 0; i < 2; i++)
        wr_fault_vfs_remove(disk, parts[i]);

    must(store_fixture_open(&fixture));
    store_fixture_segment(&fixture, WINDOWS, 7, PER_AGGREGATE);
    give(WINDOWS, 5); /* in memory */
    pull_disk();
    put_copy(&copy);
    must(reopen());
    assert_true(wr_store_epoch(fixture.store) == epoch);
    must(wr_store_flush(fixture.store, &fixture.now, &fixture.err));
    const struct wr_account_balance windows = store_fixture_balance(&fixture, WINDOWS);
    assert_int_equal(windows.books[WR_BOOK_TAKEN], 40 + 30 + 70 + 60);
    assert_int_equal(windows.books[WR_BOOK_DROPPED_CRASH], 30);
    assert_int_equal(windows.books[WR_BOOK_DROPPED_STORE], 70);
    assert_int_equal(wr_balance_held(&windows), 40 + 60);
    close_and_look_again();
}

/* What was told of both is told: the books on the disk say so, and nobody doubts them. */
static void what_was_told_of_two_stores(void **state) {
    (void)state;
    must(store_fixture_open(&fixture)); /* the other one */
    tell_of_late(5);
    struct copy copy = take_copy(disk);
    store_fixture_abandon(&fixture);
    for (int i = 0; i < 2; i++)
        wr_fault_vfs_remove(disk, parts[i]);

    must(store_fixture_open(&fixture));
    tell_of_late(7);
    pull_disk();
    put_copy(&copy);
    must(reopen());
    must(wr_store_flush(fixture.store, &fixture.now, &fixture.err));
    assert_int_equal(store_fixture_balance(&fixture, WINDOWS).books[WR_BOOK_DROPPED_LATE], 5 + 7);
    close_and_look_again();
    assert_int_equal(fixture.report.doubted_accounts, 0);
    const int64_t newest = wr_store_newest(fixture.store, WR_LANE_ALARMS);
    store_fixture_advance(&fixture, 2 * (3600 * WR_NS_PER_S));
    must(wr_store_tick(fixture.store, &fixture.now, &fixture.err));
    assert_int_equal(wr_store_newest(fixture.store, WR_LANE_ALARMS), newest); /* nothing is told again */
}

/* Every descriptor of the store becomes this one. */
static void exchange_descriptors(int by) {
    unsigned n = 0;
    for (int fd = 0; fd < 256; fd++) {
        char link[64], path[512];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        const ssize_t len = readlink(link, path, sizeof path - 1);
        if (len <= 0)
            continue;
        path[len] = 0;
        if (!strstr(path, fixture.directory) || !strstr(path, WR_STORE_FILE))
            continue;
        assert_int_equal(dup2(by, fd), fd);
        n++;
    }
    assert_true(n >= 2);
    close(by);
}

/* ... on which nothing can be read, written or locked. */
static void kill_descriptors(void) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    exchange_descriptors(ends[0]);
    close(ends[1]);
}

static void with_files_of_the_system(void **state) {
    (void)state;
    fixture.options.vfs = NULL;
    must(store_fixture_open(&fixture));
    const uint64_t epoch = wr_store_epoch(fixture.store);
    for (int i = 0; i < 3; i++) {
        work(10);
        kill_descriptors();
        give(WINDOWS, 5);
        give_alarm();
        assert_int_equal(wr_store_flush(fixture.store, &fixture.now, &fixture.err), WR_IO);
        must(reopen());
        assert_true(wr_store_epoch(fixture.store) == epoch);
        settle(0);
    }
    struct wr_store *second = NULL;
    struct wr_store_report report;
    assert_int_equal(wr_store_open(fixture.directory, &fixture.options, &fixture.now, fixture.symbols, &second, &report, &fixture.err),
                     WR_BUSY);
    close_and_look_again();
}

/* A disk that is gone may still read, from what memory has of it: nonsense. That says nothing about the file. */
static void what_a_dead_handle_reads_is_not_believed(void **state) {
    (void)state;
    fixture.options.vfs = NULL;
    must(store_fixture_open(&fixture));
    work(10);
    const uint64_t epoch = wr_store_epoch(fixture.store);
    const int zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    assert_true(zeros >= 0);
    exchange_descriptors(zeros);
    bool looked_broken = false;
    for (int i = 0; i < 5; i++) {
        give(WINDOWS, 5);
        assert_int_equal(wr_store_flush(fixture.store, &fixture.now, &fixture.err), WR_IO);
        looked_broken |= strstr(fixture.err.text, "not believed") != NULL;
        acknowledge(); /* reads, what is not in memory */
    }
    assert_true(looked_broken);
    must(reopen());
    assert_true(wr_store_epoch(fixture.store) == epoch);
    assert_int_equal(atomic_load(&wr_store_stats(fixture.store)->quarantines), 0);
    settle(0);
    close_and_look_again();
}

/* What has failed for a moment is not opened again, nor what is only full. */
static void only_what_is_ill_for_long(void **state) {
    (void)state;
    must(store_fixture_open(&fixture));
    work(5);
    assert_true(wr_store_reopen_due(fixture.store) == WR_NEVER_NS);
    const struct wr_fault_plan refuses = {.kind = WR_FAULT_EIO, .calls = WR_FAULT_ANY, .for_good = true};
    const struct wr_fault_plan full = {.kind = WR_FAULT_ENOSPC, .calls = WR_FAULT_WRITE, .for_good = true};
    wr_fault_vfs_plan(disk, &full);
    give(WINDOWS, 5);
    assert_int_equal(wr_store_flush(fixture.store, &fixture.now, &fixture.err), WR_FULL);
    assert_true(wr_store_reopen_due(fixture.store) == WR_NEVER_NS);
    wr_fault_vfs_plan(disk, &refuses);
    assert_int_equal(wr_store_flush(fixture.store, &fixture.now, &fixture.err), WR_IO);
    assert_true(wr_store_reopen_due(fixture.store) == fixture.now.boot_ns + WR_REOPEN_AFTER_NS);
    wr_fault_vfs_plan(disk, NULL);
    must(wr_store_flush(fixture.store, &fixture.now, &fixture.err));
    assert_true(wr_store_reopen_due(fixture.store) == WR_NEVER_NS);
    settle(0);
}

int main(void) {
    dice = wr_random_begin();
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, disk_bed_teardown)
    const struct CMUnitTest tests[] = {
        TEST(whatever_call_was_the_last),
        TEST(while_it_merges_and_evicts),
        TEST(what_it_cannot_open_it_waits_for),
        TEST(without_memory),
        TEST(a_file_that_is_elsewhere_is_waited_for),
        TEST(an_older_copy_is_gone_on_with),
        TEST(another_store_in_its_place),
        TEST(what_was_told_of_two_stores),
        TEST(a_fresh_one_that_may_have_been_committed),
        TEST(with_files_of_the_system),
        TEST(what_a_dead_handle_reads_is_not_believed),
        TEST(only_what_is_ill_for_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
