/* What comes out of a broken store: as many segments as the damage left whole, each once by its key, at a fake uplink. */
#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/failing.h"
#include "tests/support/fault_memory.h"
#include "tests/support/random.h"
#include "tests/support/store_fixture.h"

#define SEGMENTS 400
#define READINGS 10
#define RECORDS 150
#define ASIDE WR_STORE_FILE ".corrupt-100"
#define PAGE 2048
#define SAMPLE 32
#define PAGES_MAX 16

static struct store_fixture fixture;
static struct wr_random random_numbers;
static uint64_t epoch;                          /* of the store that breaks */
static uint32_t pages[SEGMENTS + 1][PAGES_MAX]; /* by seq: those that its body lies on; 0: no more */
static unsigned arrived[SEGMENTS + 1];
static unsigned of_others;

static int setup(void **state) {
    (void)state;
    store_fixture_init(&fixture);
    fixture.options.budget_bytes = 6 << 20; /* filled by two thirds: half of the file is half of the data, more or less */
    random_numbers = (struct wr_random){7};
    memset(arrived, 0, sizeof arrived);
    of_others = 0;
    return 0;
}

static int teardown(void **state) {
    (void)state;
    store_fixture_fini(&fixture);
    return 0;
}

static void must(enum wr_result result) {
    if (result != WR_OK)
        fail_msg("%s: %s", wr_result_name(result), fixture.err.text);
}

static const char *file(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", fixture.directory, name);
    return path;
}

static bool exists(const char *name) {
    return access(file(name), F_OK) == 0;
}

static uint64_t stat_of(const _Atomic uint64_t *number) {
    return atomic_load(number);
}

static enum wr_salvage_state salvage_state(void) {
    return (enum wr_salvage_state)stat_of(&wr_store_stats(fixture.store)->salvage);
}

static void close_store(void) {
    struct wr_store *store = fixture.store;
    fixture.store = NULL;
    must(wr_store_close(store, &fixture.now, &fixture.err));
}

static void abandon(void) {
    wr_store_abandon(fixture.store);
    fixture.store = NULL;
}

/* One segment of about 10 KB: random values do not compress. */
static void put_segment(void) {
    store_fixture_fill(&fixture, 1, RECORDS, READINGS);
    for (uint32_t i = 0; i < RECORDS; i++) {
        struct wr_aggregate *aggregate = &fixture.handover.aggregates[i];
        union wr_value *values[] = {&aggregate->min, &aggregate->max, &aggregate->first, &aggregate->last};
        for (size_t k = 0; k < sizeof values / sizeof values[0]; k++)
            values[k]->f = (double)wr_random_u64(&random_numbers) / 1e9;
    }
    store_fixture_take(&fixture);
    must(wr_store_flush(fixture.store, &fixture.now, &fixture.err));
}

/* -- the file -------------------------------------------------------------------------------------------------------------------------------- */

static uint8_t *content;
static size_t content_len;

static void read_file(const char *name) {
    struct stat status;
    int fd = open(file(name), O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &status) == 0);
    content_len = (size_t)status.st_size;
    content = malloc(content_len);
    assert_non_null(content);
    for (size_t got = 0; got < content_len;) {
        ssize_t more = pread(fd, content + got, content_len - got, (off_t)got);
        assert_true(more > 0);
        got += (size_t)more;
    }
    close(fd);
}

static void write_file(const char *name, size_t len) {
    int fd = open(file(name), O_WRONLY | O_TRUNC);
    assert_true(fd >= 0);
    for (size_t put = 0; put < len;) {
        ssize_t more = pwrite(fd, content + put, len - put, (off_t)put);
        assert_true(more > 0);
        put += (size_t)more;
    }
    close(fd);
    free(content);
    content = NULL;
}

/* The page that some bytes of a body lie on; 0: on two. They are like no others: their values are random. */
static uint32_t page_of(const uint8_t *bytes) {
    const uint8_t *at = memmem(content, content_len, bytes, SAMPLE);
    return at ? (uint32_t)((size_t)(at - content) / PAGE) + 1 : 0;
}

static void note_page(uint32_t of[PAGES_MAX], uint32_t page) {
    for (int i = 0; i < PAGES_MAX; i++) {
        if (of[i] == page)
            return;
        if (of[i] == 0) {
            of[i] = page;
            return;
        }
    }
    fail_msg("a body lies on more than %d pages", PAGES_MAX);
}

/* A whole overflow page has several samples; one that lies on two pages is moved a little. */
static void find_pages(const struct wr_segment *segment, uint32_t of[PAGES_MAX]) {
    memset(of, 0, PAGES_MAX * sizeof of[0]);
    for (size_t at = 0; at < segment->body_len; at += 1000) {
        const size_t from = at + SAMPLE <= segment->body_len ? at : segment->body_len - SAMPLE;
        uint32_t page = page_of(segment->body + from);
        if (page == 0)
            page = page_of(segment->body + (from >= SAMPLE ? from - SAMPLE : from + SAMPLE));
        assert_true(page > 0);
        note_page(of, page);
    }
    const uint32_t tail = page_of(segment->body + segment->body_len - SAMPLE);
    if (tail > 0)
        note_page(of, tail);
}

static uint32_t an_overflow_page;
static size_t shortest_body;

/* A store of SEGMENTS segments that nobody has acknowledged, closed; where its bodies lie. */
static void make_store(void) {
    struct wr_segment segment;
    must(store_fixture_open(&fixture));
    epoch = wr_store_epoch(fixture.store);
    for (int i = 0; i < SEGMENTS; i++)
        put_segment();
    close_store();
    store_fixture_forget_wal(&fixture);
    must(store_fixture_open(&fixture));
    read_file(WR_STORE_FILE);
    shortest_body = SIZE_MAX;
    for (int64_t seq = 1; seq <= SEGMENTS; seq++) {
        must(wr_store_get(fixture.store, seq, &segment, &fixture.err));
        assert_true(segment.body_len > PAGE && segment.place == 0);
        find_pages(&segment, pages[seq]);
        if (segment.body_len < shortest_body)
            shortest_body = segment.body_len;
        if (seq == SEGMENTS / 2)
            an_overflow_page = page_of(segment.body + segment.body_len - 2000);
        wr_segment_free(&segment);
    }
    free(content);
    content = NULL;
}

static void put_aside(void) {
    char to[512];
    snprintf(to, sizeof to, "%s", file(ASIDE));
    assert_int_equal(rename(file(WR_STORE_FILE), to), 0);
    snprintf(to, sizeof to, "%s", file(ASIDE ".page1"));
    if (exists(WR_STORE_FILE ".page1"))
        assert_int_equal(rename(file(WR_STORE_FILE ".page1"), to), 0);
    (void)unlink(file(WR_STORE_FILE "-wal"));
}

/* -- the fake uplink --------------------------------------------------------------------------------------------------------------------------- */

/* Everything that waits goes, and is acknowledged by its place; the key is what a receiver sees. */
static void deliver(void) {
    for (unsigned lane = 0; lane < WR_LANES; lane++) {
        struct wr_segment segment;
        int64_t after = 0;
        while (wr_store_next(fixture.store, (enum wr_lane)lane, after, INT64_MAX, &fixture.now, &segment, &fixture.err) == WR_OK) {
            struct wr_codec_header header;
            must(wr_codec_check(segment.body, segment.body_len, &header, &fixture.err));
            assert_true(header.epoch == segment.epoch && header.seq == segment.seq);
            after = wr_segment_place(&segment);
            assert_int_equal(segment.place == 0, segment.epoch == wr_store_epoch(fixture.store));
            if (segment.epoch == epoch) {
                assert_in_range(segment.seq, 1, SEGMENTS);
                arrived[segment.seq]++;
            } else {
                of_others++;
            }
            must(wr_store_offer(fixture.store, (enum wr_lane)lane, after, &fixture.now, &fixture.err));
            must(wr_store_ack(fixture.store, (enum wr_lane)lane, after, after, &fixture.now, &fixture.err));
            wr_segment_free(&segment);
        }
    }
}

static unsigned distinct(void) {
    unsigned n = 0;
    for (int seq = 1; seq <= SEGMENTS; seq++)
        n += arrived[seq] > 0;
    return n;
}

static void each_once(void) {
    for (int seq = 1; seq <= SEGMENTS; seq++)
        if (arrived[seq] > 1)
            fail_msg("segment %d came %u times", seq, arrived[seq]);
}

static bool is_over(void) {
    return salvage_state() == WR_SALVAGE_DONE || salvage_state() == WR_SALVAGE_KEPT;
}

static void tick(void) {
    store_fixture_advance(&fixture, 100 * WR_NS_PER_MS);
    must(wr_store_tick(fixture.store, &fixture.now, &fixture.err));
}

static void salvage_all(void) {
    for (int i = 0; i < 20000 && !is_over(); i++) {
        tick();
        if (i % 8 == 0)
            deliver();
    }
    assert_true(is_over());
    deliver();
    (void)store_fixture_balance(&fixture, 1);
}

/* -- damage -------------------------------------------------------------------------------------------------------------------------------------- */

static size_t a_leaf(size_t from) {
    for (size_t at = from / PAGE * PAGE; at + PAGE <= content_len; at += PAGE)
        if (content[at] == 0x0D && memmem(content + at, PAGE, "WEIR", 4))
            return at;
    fail_msg("no leaf");
    return 0;
}

static size_t hurt_from, hurt_to; /* bytes that are not what they were, where segments may lie */

static unsigned left_whole(void) {
    unsigned n = 0;
    for (int seq = 1; seq <= SEGMENTS; seq++) {
        bool whole = true;
        for (int i = 0; i < PAGES_MAX && pages[seq][i] > 0; i++)
            whole &= (size_t)pages[seq][i] * PAGE <= hurt_from || (size_t)(pages[seq][i] - 1) * PAGE >= hurt_to;
        n += whole;
    }
    return n;
}

static void noise(size_t at, size_t len) {
    hurt_from = at;
    hurt_to = at + len;
    for (size_t i = 0; i < len && at + i < content_len; i++)
        content[at + i] = (uint8_t)wr_random_u64(&random_numbers);
}

static void hurt_nothing(void) {}
static void hurt_64_bytes(void) {
    noise((size_t)(an_overflow_page - 1) * PAGE + 1000, 64);
}
static void hurt_a_leaf(void) {
    hurt_from = a_leaf(content_len / 4);
    hurt_to = hurt_from + PAGE;
    memset(content + hurt_from, 0, PAGE);
}
static void hurt_64_kb(void) {
    noise(a_leaf(content_len / 4), 64 << 10);
}
static void hurt_inner_pages(void) {
    unsigned n = 0;
    for (size_t at = PAGE; at + PAGE <= content_len; at += PAGE)
        if (content[at] == 0x05) {
            memset(content + at, 0, PAGE);
            n++;
        }
    assert_true(n > 0);
}
static void hurt_page_one(void) {
    memset(content, 0, PAGE);
}
static void hurt_half(void) {
    hurt_from = content_len / 2;
    hurt_to = content_len;
    content_len /= 2;
}

static void each_damage_leaves_what_it_can(void **state) {
    (void)state;
    static const struct {
        const char *name;
        void (*hurt)(void);
        bool page_one; /* with its copy */
        unsigned lost; /* at most, where that can be said of any store */
    } cases[] = {
        {"nothing", hurt_nothing, true, 0},
        {"64 B in an overflow page", hurt_64_bytes, true, 1},
        {"a leaf", hurt_a_leaf, true, 8},
        {"64 KB", hurt_64_kb, true, SEGMENTS},
        {"inner pages", hurt_inner_pages, true, 0},
        {"page 1, with its copy", hurt_page_one, true, 0},
        {"page 1, without", hurt_page_one, false, 0},
        {"half the file, with the copy", hurt_half, true, SEGMENTS},
        {"half the file, without", hurt_half, false, SEGMENTS},
    };
    make_store();
    close_store();
    put_aside();
    read_file(ASIDE);
    uint8_t *intact = content;
    const size_t intact_len = content_len;
    uint8_t page_one[PAGE];
    int fd = open(file(ASIDE ".page1"), O_RDONLY);
    assert_true(fd >= 0 && pread(fd, page_one, PAGE, 0) == PAGE);
    close(fd);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (const char *const *name =
                 (const char *const[]){WR_STORE_FILE, WR_STORE_FILE "-wal", WR_STORE_FILE ".page1", ASIDE "-wal", ASIDE ".page1", NULL};
             *name; name++)
            (void)unlink(file(*name));
        content_len = intact_len;
        content = malloc(content_len);
        assert_non_null(content);
        memcpy(content, intact, content_len);
        hurt_from = hurt_to = 0;
        cases[i].hurt();
        const unsigned whole = left_whole();
        assert_true(whole > SEGMENTS / 8 && (whole < SEGMENTS || hurt_to == 0)); /* a case that hurts nobody says nothing */
        close(open(file(ASIDE), O_WRONLY | O_CREAT, 0640));
        write_file(ASIDE, content_len);
        if (cases[i].page_one) {
            fd = open(file(ASIDE ".page1"), O_WRONLY | O_CREAT, 0640);
            assert_true(fd >= 0 && pwrite(fd, page_one, PAGE, 0) == PAGE);
            close(fd);
        }
        memset(arrived, 0, sizeof arrived);
        must(store_fixture_open(&fixture));
        assert_true(fixture.report.fresh);
        salvage_all();
        const unsigned least = whole > SEGMENTS - cases[i].lost ? whole : SEGMENTS - cases[i].lost;
        if (distinct() < least || salvage_state() != WR_SALVAGE_DONE)
            fail_msg("%s: %u of %u, %s", cases[i].name, distinct(), least, wr_salvage_state_name(salvage_state()));
        each_once();
        assert_false(exists(ASIDE) || exists(ASIDE "-wal") || exists(ASIDE ".page1"));
        assert_int_equal(store_fixture_balance(&fixture, 1).books[WR_BOOK_RECOVERED], distinct() * RECORDS * READINGS);
        assert_int_equal(stat_of(&wr_store_stats(fixture.store)->salvaged_segments), distinct());
        close_store();
    }
    free(intact);
}

/* -- books --------------------------------------------------------------------------------------------------------------------------------------- */

/* The way of a gateway: it breaks, is told of as lost, is salvaged, and that is told too. */
static void the_books_say_what_came_back(void **state) {
    (void)state;
    make_store();
    for (int64_t seq = 1; seq <= SEGMENTS / 4; seq++)
        must(wr_store_ack(fixture.store, WR_LANE_WINDOWS, seq, seq, &fixture.now, &fixture.err));
    close_store();
    store_fixture_forget_wal(&fixture);
    store_fixture_scribble(&fixture, 0, PAGE); /* the copy of page 1 brings the acknowledgements back */
    must(store_fixture_open(&fixture));
    assert_true(fixture.report.quarantined);
    assert_true(wr_store_due(fixture.store) != WR_NEVER_NS);
    put_segment();
    salvage_all();
    assert_int_equal(distinct(), SEGMENTS - SEGMENTS / 4);
    each_once();
    for (int seq = 1; seq <= SEGMENTS / 4; seq++)
        assert_int_equal(arrived[seq], 0);
    struct wr_account_balance balance = store_fixture_balance(&fixture, 1);
    assert_int_equal(balance.books[WR_BOOK_RECOVERED], (SEGMENTS - SEGMENTS / 4) * RECORDS * READINGS);
    struct store_told told = {.after = 0};
    for (int i = 0; i < 40 && told.records == 0; i++) {
        store_fixture_advance(&fixture, 10 * WR_NS_PER_S);
        must(wr_store_tick(fixture.store, &fixture.now, &fixture.err));
        store_fixture_read_gaps(&fixture, &told);
    }
    assert_string_equal(told.reason, "recovered");
    assert_int_equal(told.readings, balance.books[WR_BOOK_RECOVERED]);
    assert_int_equal(told.total, balance.books[WR_BOOK_RECOVERED]);
    assert_true(told.from_ns >= INT64_C(1772000000) * WR_NS_PER_S && told.to_ns > told.from_ns);
    close_store();
    struct wr_account_balance *balances;
    struct wr_store_recount recount;
    uint32_t n;
    uint64_t same;
    bool clean;
    must(wr_store_audit(fixture.directory, &balances, &n, &clean, &same, &recount, &fixture.err));
    assert_true(clean && recount.damaged == 0 && recount.of_nobody == 0);
    for (uint32_t i = 0; i < n; i++)
        assert_true(wr_balance_check(&balances[i], NULL, NULL));
    free(balances);
    must(store_fixture_open(&fixture)); /* told once */
    assert_int_equal(store_fixture_balance(&fixture, 1).books[WR_BOOK_RECOVERED], balance.books[WR_BOOK_RECOVERED]);
    struct store_told again = {.after = told.after};
    store_fixture_advance(&fixture, 7200 * WR_NS_PER_S);
    must(wr_store_flush(fixture.store, &fixture.now, &fixture.err));
    store_fixture_read_gaps(&fixture, &again);
    assert_int_equal(again.records, 0);
}

/* Held rows that were salvaged are audited by the same equation. */
static void a_stopped_store_with_salvaged_rows_balances(void **state) {
    (void)state;
    make_store();
    close_store();
    put_aside();
    must(store_fixture_open(&fixture));
    for (int i = 0; i < 30; i++)
        tick();
    assert_true(stat_of(&wr_store_stats(fixture.store)->unacked_segments[WR_LANE_WINDOWS]) > 0);
    close_store();
    struct wr_account_balance *balances;
    struct wr_store_recount recount;
    uint32_t n;
    uint64_t same;
    bool clean;
    must(wr_store_audit(fixture.directory, &balances, &n, &clean, &same, &recount, &fixture.err));
    assert_true(recount.unfinished > 0 && recount.damaged == 0);
    for (uint32_t i = 0; i < n; i++)
        assert_true(wr_balance_check(&balances[i], NULL, NULL));
    free(balances);
}

/* -- the write-ahead log ------------------------------------------------------------------------------------------------------------------------ */

static void copy_file(const char *from, const char *to) {
    read_file(from);
    close(open(file(to), O_WRONLY | O_CREAT, 0640));
    write_file(to, content_len);
}

/* Frames of the present round of the WAL: docs of SQLite's file format, section 4.1. */
static unsigned wal_frames(void) {
    unsigned n = 0;
    read_file(WR_STORE_FILE "-wal");
    for (size_t at = 32; at + 24 + PAGE <= content_len && memcmp(content + at + 8, content + 16, 8) == 0; at += 24 + PAGE)
        n++;
    free(content);
    content = NULL;
    return n;
}

/* As after a power cut: the newest segments are in the WAL only. Returns the last one. */
static int64_t break_off(const char *as) {
    static const char *const parts[] = {"", "-wal", ".page1"};
    char from[64];
    char to[64];
    must(store_fixture_open(&fixture));
    epoch = wr_store_epoch(fixture.store);
    for (int i = 0; i < SEGMENTS && (i < SEGMENTS / 2 || wal_frames() < 150); i++)
        put_segment();
    const int64_t newest = wr_store_newest(fixture.store, WR_LANE_WINDOWS);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        snprintf(from, sizeof from, WR_STORE_FILE "%s", parts[i]);
        snprintf(to, sizeof to, "kept%s", parts[i]);
        copy_file(from, to);
    }
    abandon();
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        snprintf(from, sizeof from, WR_STORE_FILE "%s", parts[i]);
        (void)unlink(file(from));
        snprintf(from, sizeof from, "kept%s", parts[i]);
        snprintf(to, sizeof to, "%s%s", as, parts[i]);
        copy_file(from, to);
        (void)unlink(file(from));
    }
    return newest;
}

static void what_only_the_wal_holds_comes_too(void **state) {
    (void)state;
    const int64_t newest = break_off(ASIDE);
    read_file(ASIDE);
    hurt_a_leaf(); /* behind it nothing is found by id */
    write_file(ASIDE, content_len);
    must(store_fixture_open(&fixture));
    salvage_all();
    assert_true(distinct() >= newest - 8);
    assert_int_equal(arrived[newest], 1);
    each_once();
}

/* What some file systems make of a file after a power cut. */
static void an_empty_file_is_no_fresh_store(void **state) {
    (void)state;
    const int64_t newest = break_off(WR_STORE_FILE);
    assert_int_equal(truncate(file(WR_STORE_FILE), 0), 0);
    must(store_fixture_open(&fixture));
    assert_true(fixture.report.quarantined);
    salvage_all();
    assert_true(distinct() > 20 && distinct() < newest);
    assert_int_equal(arrived[newest], 1);
    each_once();
}

/* A store of an earlier version has larger pages; how large they are, nobody says where the first is gone. */
static void larger_pages_are_read_too(void **state) {
    (void)state;
    static const bool first_is_gone[] = {true, false};
    static uint8_t bytes[1 << 16];
    for (size_t i = 0; i < 2; i++) {
        FILE *old = fopen(WEIR_TEST_DATA "/store/outbox-v1.db", "r");
        assert_non_null(old);
        const size_t len = fread(bytes, 1, sizeof bytes, old);
        fclose(old);
        if (first_is_gone[i])
            memset(bytes, 0, 4096);
        (void)unlink(file(WR_STORE_FILE));
        FILE *aside = fopen(file(ASIDE), "w");
        assert_non_null(aside);
        assert_int_equal(fwrite(bytes, 1, len, aside), len);
        fclose(aside);
        memset(arrived, 0, sizeof arrived);
        epoch = 0x7e57da7a;
        must(store_fixture_open(&fixture));
        salvage_all();
        assert_int_equal(distinct(), first_is_gone[i] ? 12 : 8); /* four were acknowledged, as far as that is known */
        each_once();
        close_store();
    }
}

/* -- bad luck ---------------------------------------------------------------------------------------------------------------------------------- */

static void interrupted(void (*hurt)(void)) {
    make_store();
    close_store();
    put_aside();
    read_file(ASIDE);
    hurt();
    write_file(ASIDE, content_len);
    must(store_fixture_open(&fixture));
    for (int kills = 0; kills < 400 && !is_over(); kills++) {
        for (int i = (int)wr_random_below(&random_numbers, 30); i >= 0 && !is_over(); i--)
            tick();
        if (wr_random_below(&random_numbers, 2) == 0) {
            deliver();
            must(wr_store_flush(fixture.store, &fixture.now, &fixture.err)); /* an acknowledgement that a kill takes is a repetition */
        }
        if (!is_over()) {
            abandon();
            must(store_fixture_open(&fixture));
        }
    }
    salvage_all();
    assert_int_equal(distinct(), SEGMENTS);
    each_once();
    assert_int_equal(store_fixture_balance(&fixture, 1).books[WR_BOOK_RECOVERED], SEGMENTS * RECORDS * READINGS);
    assert_false(exists(ASIDE));
}

static void a_kill_costs_nothing(void **state) {
    (void)state;
    interrupted(hurt_nothing);
}

static void a_kill_costs_nothing_by_pages(void **state) {
    (void)state;
    interrupted(hurt_inner_pages);
}

static void what_cannot_be_read_is_kept(void **state) {
    (void)state;
    make_store();
    close_store();
    put_aside();
    (void)unlink(file(ASIDE ".page1"));
    read_file(ASIDE);
    noise(0, content_len);
    write_file(ASIDE, content_len);
    for (int i = 0; i < 2; i++) {
        must(store_fixture_open(&fixture));
        salvage_all();
        assert_int_equal(salvage_state(), WR_SALVAGE_KEPT);
        assert_true(exists(ASIDE));
        assert_int_equal(distinct(), 0);
        tick();
        assert_true(wr_store_due(fixture.store) > fixture.now.boot_ns); /* not again and again */
        close_store();
    }
}

/* An alarm that comes meanwhile waits for one slice. */
static void one_slice_is_short(void **state) {
    (void)state;
    make_store();
    close_store();
    put_aside();
    must(store_fixture_open(&fixture));
    uint64_t before = 0;
    for (int i = 0; i < 20000 && !is_over(); i++) {
        tick();
        const uint64_t segments = stat_of(&wr_store_stats(fixture.store)->salvaged_segments);
        assert_true(segments - before <= (64 << 10) / shortest_body + 1);
        before = segments;
        if (i % 8 == 0)
            deliver();
    }
    assert_int_equal(before, SEGMENTS);
}

/* As when space is needed for what comes. */
/* Its row may be the newest, and was cut long before the commit that brought it in. */
static void the_last_commit_is_not_that_of_the_broken_store(void **state) {
    (void)state;
    make_store();
    close_store();
    put_aside();
    store_fixture_advance(&fixture, 86400 * WR_NS_PER_S);
    const int64_t opened_wall_ns = fixture.now.wall_ns;
    must(store_fixture_open(&fixture));
    for (int i = 0; i < 16; i++)
        tick();
    assert_true(stat_of(&wr_store_stats(fixture.store)->salvaged_segments) > 0);
    abandon();
    must(store_fixture_open(&fixture));
    assert_true(fixture.report.last_wall_ns >= opened_wall_ns);
}

/* It would be deleted as soon as its turn came, and until then live among younger ones. */
static void what_is_too_old_is_not_taken(void **state) {
    (void)state;
    const int64_t ttl_ns = 3600 * WR_NS_PER_S;
    fixture.options.lanes[WR_LANE_WINDOWS].ttl_ns = ttl_ns;
    make_store();
    close_store();
    put_aside();
    store_fixture_advance(&fixture, 2 * ttl_ns);
    must(store_fixture_open(&fixture));
    salvage_all();
    assert_int_equal(salvage_state(), WR_SALVAGE_DONE);
    assert_int_equal(distinct(), 0);
    assert_int_equal(store_fixture_balance(&fixture, 1).books[WR_BOOK_RECOVERED], 0);
    assert_false(exists(ASIDE));
}

static void the_file_may_go_meanwhile(void **state) {
    (void)state;
    make_store();
    close_store();
    put_aside();
    must(store_fixture_open(&fixture));
    for (int i = 0; i < 13; i++)
        tick();
    assert_int_equal(salvage_state(), WR_SALVAGE_RUNS);
    assert_int_equal(unlink(file(ASIDE)), 0);
    for (int i = 0; i < 16; i++)
        tick();
    assert_int_equal(salvage_state(), WR_SALVAGE_NONE);
    deliver();
    assert_true(distinct() > 0 && distinct() < SEGMENTS);
    each_once();
    put_segment();
}

/* Nothing that nobody has is evicted for it: it waits until the broker has taken enough. */
static void it_waits_for_room(void **state) {
    (void)state;
    make_store();
    close_store();
    put_aside();
    must(store_fixture_open(&fixture)); /* the broken one takes most of the budget */
    for (int i = 0; i < 300 && salvage_state() != WR_SALVAGE_WAITS; i++)
        tick();
    assert_int_equal(salvage_state(), WR_SALVAGE_WAITS);
    assert_int_equal(stat_of(&wr_store_stats(fixture.store)->evicted_unacked_segments), 0);
    salvage_all();
    assert_int_equal(distinct(), SEGMENTS);
    each_once();
    assert_int_equal(stat_of(&wr_store_stats(fixture.store)->evicted_unacked_segments), 0);
}

static void try_to_tick(void) {
    store_fixture_advance(&fixture, 6 * WR_NS_PER_S);
    const enum wr_result result = wr_store_tick(fixture.store, &fixture.now, &fixture.err);
    assert_true(result == WR_OK || result == WR_NO_MEMORY || result == WR_IO || result == WR_FULL);
}

/* Each allocation in turn, of ours and of SQLite. */
static void without_memory_it_goes_on_later(void **state) {
    (void)state;
    make_store();
    close_store();
    put_aside();
    read_file(ASIDE);
    hurt_a_leaf(); /* by id, then by page */
    write_file(ASIDE, content_len);
    must(store_fixture_open(&fixture));
    for (long n = 0; n < 400 && !is_over(); n++) {
        wr_failing_allocations(n % 20);
        try_to_tick();
        wr_failing_off();
        wr_fault_memory_plan(n, false);
        try_to_tick();
        wr_fault_memory_plan(-1, false);
        deliver();
    }
    salvage_all();
    assert_true(distinct() >= SEGMENTS - 8);
    each_once();
    assert_int_equal(wr_store_epoch(fixture.store) == epoch, 0);
    assert_int_equal(stat_of(&wr_store_stats(fixture.store)->quarantines), 0);
    assert_int_equal(store_fixture_balance(&fixture, 1).books[WR_BOOK_RECOVERED], distinct() * RECORDS * READINGS);
}

/* Rows of `salvaged`, in a store that is closed. */
static int keys(void) {
    sqlite3 *db = NULL;
    sqlite3_stmt *row = NULL;
    assert_int_equal(sqlite3_open_v2(file(WR_STORE_FILE), &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM salvaged", -1, &row, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    const int n = sqlite3_column_int(row, 0);
    sqlite3_finalize(row);
    sqlite3_close(db);
    return n;
}

static unsigned before[SEGMENTS + 1]; /* what had arrived when the second one broke */

/* A store that breaks while it salvages another, when some of what it took is delivered. */
static void break_a_second_one(bool with_copy) {
    make_store();
    close_store();
    put_aside();
    must(store_fixture_open(&fixture));
    for (int i = 0; i < 16; i++)
        tick();
    deliver();
    memcpy(before, arrived, sizeof before);
    for (int i = 0; i < 2; i++)
        tick();
    assert_true(exists(ASIDE) && distinct() > 0);
    assert_true(stat_of(&wr_store_stats(fixture.store)->salvaged_segments) > distinct());
    close_store();
    store_fixture_forget_wal(&fixture);
    store_fixture_scribble(&fixture, 0, PAGE);
    if (!with_copy)
        (void)unlink(file(WR_STORE_FILE ".page1"));
    must(store_fixture_open(&fixture));
    assert_true(fixture.report.quarantined);
    for (int i = 0; i < 4000 && (!is_over() || exists(ASIDE)); i++) {
        tick();
        deliver();
    }
    assert_int_equal(distinct(), SEGMENTS);
    assert_false(exists(ASIDE));
    (void)store_fixture_balance(&fixture, 1);
    close_store();
    assert_int_equal(keys(), 0);
}

/* What came out of the first comes out of the second, under its first key; and not out of the first again, delivered or not. */
static void a_second_one_breaks(void **state) {
    (void)state;
    fixture.options.budget_bytes *= 2; /* so that it keeps what it delivered */
    break_a_second_one(true);
    each_once();
}

/* Nobody can say what it had delivered: that comes again, by the same key, and nothing else does. */
static void the_acknowledgements_of_a_second_one_break_too(void **state) {
    (void)state;
    break_a_second_one(false);
    for (int seq = 1; seq <= SEGMENTS; seq++)
        if (arrived[seq] > before[seq] + 1)
            fail_msg("segment %d came %u times, %u of them before", seq, arrived[seq], before[seq]);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_damage_leaves_what_it_can),
        TEST(the_books_say_what_came_back),
        TEST(a_stopped_store_with_salvaged_rows_balances),
        TEST(what_only_the_wal_holds_comes_too),
        TEST(an_empty_file_is_no_fresh_store),
        TEST(one_slice_is_short),
        TEST(larger_pages_are_read_too),
        TEST(a_kill_costs_nothing),
        TEST(a_kill_costs_nothing_by_pages),
        TEST(what_cannot_be_read_is_kept),
        TEST(the_last_commit_is_not_that_of_the_broken_store),
        TEST(what_is_too_old_is_not_taken),
        TEST(the_file_may_go_meanwhile),
        TEST(it_waits_for_room),
        TEST(without_memory_it_goes_on_later),
        TEST(a_second_one_breaks),
        TEST(the_acknowledgements_of_a_second_one_break_too),
    };
    wr_fault_memory_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
