/* What comes out of a broken store: as many segments as the damage left whole, each once by its key, at a fake uplink. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/fault_memory.h"
#include "tests/support/salvage_bed.h"

/* -- damage -------------------------------------------------------------------------------------------------------------------------------------- */

static unsigned left_whole(void) {
    unsigned n = 0;
    for (int seq = 1; seq <= SALVAGE_SEGMENTS; seq++) {
        bool whole = true;
        for (int i = 0; i < SALVAGE_PAGES && salvage.pages[seq][i] > 0; i++)
            whole &= (size_t)salvage.pages[seq][i] * SALVAGE_PAGE <= salvage.hurt_from ||
                     (size_t)(salvage.pages[seq][i] - 1) * SALVAGE_PAGE >= salvage.hurt_to;
        n += whole;
    }
    return n;
}

static void hurt_64_bytes(void) {
    salvage_bed_noise((size_t)(salvage.an_overflow_page - 1) * SALVAGE_PAGE + 1000, 64);
}
static void hurt_64_kb(void) {
    salvage_bed_noise(salvage_bed_a_leaf(salvage.content_len / 4), 64 << 10);
}
static void hurt_page_one(void) {
    memset(salvage.content, 0, SALVAGE_PAGE);
}
static void hurt_half(void) {
    salvage.hurt_from = salvage.content_len / 2;
    salvage.hurt_to = salvage.content_len;
    salvage.content_len /= 2;
}

static void each_damage_leaves_what_it_can(void **state) {
    (void)state;
    static const struct {
        const char *name;
        void (*hurt)(void);
        bool page_one; /* with its copy */
        unsigned lost; /* at most, where that can be said of any store */
    } cases[] = {
        {"nothing", salvage_bed_hurt_nothing, true, 0},
        {"64 B in an overflow page", hurt_64_bytes, true, 1},
        {"a leaf", salvage_bed_hurt_a_leaf, true, 8},
        {"64 KB", hurt_64_kb, true, SALVAGE_SEGMENTS},
        {"inner pages", salvage_bed_hurt_inner_pages, true, 0},
        {"page 1, with its copy", hurt_page_one, true, 0},
        {"page 1, without", hurt_page_one, false, 0},
        {"half the file, with the copy", hurt_half, true, SALVAGE_SEGMENTS},
        {"half the file, without", hurt_half, false, SALVAGE_SEGMENTS},
    };
    salvage_bed_make_store();
    salvage_bed_close();
    salvage_bed_put_aside();
    salvage_bed_read_file(SALVAGE_ASIDE);
    uint8_t *intact = salvage.content;
    const size_t intact_len = salvage.content_len;
    uint8_t page_one[SALVAGE_PAGE];
    int fd = open(salvage_bed_file(SALVAGE_ASIDE ".page1"), O_RDONLY);
    assert_true(fd >= 0 && pread(fd, page_one, SALVAGE_PAGE, 0) == SALVAGE_PAGE);
    close(fd);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (const char *const *name = (const char *const[]){WR_STORE_FILE, WR_STORE_FILE "-wal", WR_STORE_FILE ".page1",
                                                             SALVAGE_ASIDE "-wal", SALVAGE_ASIDE ".page1", NULL};
             *name; name++)
            (void)unlink(salvage_bed_file(*name));
        salvage.content_len = intact_len;
        salvage.content = malloc(salvage.content_len);
        assert_non_null(salvage.content);
        memcpy(salvage.content, intact, salvage.content_len);
        salvage.hurt_from = salvage.hurt_to = 0;
        cases[i].hurt();
        const unsigned whole = left_whole();
        assert_true(whole > SALVAGE_SEGMENTS / 8 &&
                    (whole < SALVAGE_SEGMENTS || salvage.hurt_to == 0)); /* a case that hurts nobody says nothing */
        close(open(salvage_bed_file(SALVAGE_ASIDE), O_WRONLY | O_CREAT, 0640));
        salvage_bed_write_file(SALVAGE_ASIDE, salvage.content_len);
        if (cases[i].page_one) {
            fd = open(salvage_bed_file(SALVAGE_ASIDE ".page1"), O_WRONLY | O_CREAT, 0640);
            assert_true(fd >= 0 && pwrite(fd, page_one, SALVAGE_PAGE, 0) == SALVAGE_PAGE);
            close(fd);
        }
        memset(salvage.arrived, 0, sizeof salvage.arrived);
        salvage_bed_must(store_fixture_open(&salvage.fixture));
        assert_true(salvage.fixture.report.fresh);
        salvage_bed_all();
        const unsigned least = whole > SALVAGE_SEGMENTS - cases[i].lost ? whole : SALVAGE_SEGMENTS - cases[i].lost;
        if (salvage_bed_distinct() < least || salvage_bed_state() != WR_SALVAGE_DONE)
            fail_msg("%s: %u of %u, %s", cases[i].name, salvage_bed_distinct(), least, wr_salvage_state_name(salvage_bed_state()));
        salvage_bed_each_once();
        assert_false(salvage_bed_exists(SALVAGE_ASIDE) || salvage_bed_exists(SALVAGE_ASIDE "-wal") ||
                     salvage_bed_exists(SALVAGE_ASIDE ".page1"));
        assert_int_equal(store_fixture_balance(&salvage.fixture, 1).books[WR_BOOK_RECOVERED],
                         salvage_bed_distinct() * SALVAGE_RECORDS * SALVAGE_READINGS);
        assert_int_equal(salvage_bed_count(&wr_store_stats(salvage.fixture.store)->salvaged_segments), salvage_bed_distinct());
        salvage_bed_close();
    }
    free(intact);
}

/* -- books --------------------------------------------------------------------------------------------------------------------------------------- */

/* The way of a gateway: it breaks, is told of as lost, is salvaged, and that is told too. */
static void the_books_say_what_came_back(void **state) {
    (void)state;
    salvage_bed_make_store();
    for (int64_t seq = 1; seq <= SALVAGE_SEGMENTS / 4; seq++)
        salvage_bed_must(wr_store_ack(salvage.fixture.store, WR_LANE_WINDOWS, seq, seq, &salvage.fixture.now, &salvage.fixture.err));
    salvage_bed_close();
    store_fixture_forget_wal(&salvage.fixture);
    store_fixture_scribble(&salvage.fixture, 0, SALVAGE_PAGE); /* the copy of page 1 brings the acknowledgements back */
    salvage_bed_must(store_fixture_open(&salvage.fixture));
    assert_true(salvage.fixture.report.quarantined);
    assert_true(wr_store_due(salvage.fixture.store) != WR_NEVER_NS);
    salvage_bed_put_segment();
    salvage_bed_all();
    assert_int_equal(salvage_bed_distinct(), SALVAGE_SEGMENTS - SALVAGE_SEGMENTS / 4);
    salvage_bed_each_once();
    for (int seq = 1; seq <= SALVAGE_SEGMENTS / 4; seq++)
        assert_int_equal(salvage.arrived[seq], 0);
    struct wr_account_balance balance = store_fixture_balance(&salvage.fixture, 1);
    assert_int_equal(balance.books[WR_BOOK_RECOVERED], (SALVAGE_SEGMENTS - SALVAGE_SEGMENTS / 4) * SALVAGE_RECORDS * SALVAGE_READINGS);
    struct store_told told = {.after = 0};
    for (int i = 0; i < 40 && told.records == 0; i++) {
        store_fixture_advance(&salvage.fixture, 10 * WR_NS_PER_S);
        salvage_bed_must(wr_store_tick(salvage.fixture.store, &salvage.fixture.now, &salvage.fixture.err));
        store_fixture_read_gaps(&salvage.fixture, &told);
    }
    assert_string_equal(told.reason, "recovered");
    assert_int_equal(told.readings, balance.books[WR_BOOK_RECOVERED]);
    assert_int_equal(told.total, balance.books[WR_BOOK_RECOVERED]);
    assert_true(told.from_ns >= INT64_C(1772000000) * WR_NS_PER_S && told.to_ns > told.from_ns);
    salvage_bed_close();
    struct wr_account_balance *balances;
    struct wr_store_recount recount;
    uint32_t n;
    uint64_t same;
    bool clean;
    salvage_bed_must(wr_store_audit(salvage.fixture.directory, &balances, &n, &clean, &same, &recount, &salvage.fixture.err));
    assert_true(clean && recount.damaged == 0 && recount.of_nobody == 0);
    for (uint32_t i = 0; i < n; i++)
        assert_true(wr_balance_check(&balances[i], NULL, NULL));
    free(balances);
    salvage_bed_must(store_fixture_open(&salvage.fixture)); /* told once */
    assert_int_equal(store_fixture_balance(&salvage.fixture, 1).books[WR_BOOK_RECOVERED], balance.books[WR_BOOK_RECOVERED]);
    struct store_told again = {.after = told.after};
    store_fixture_advance(&salvage.fixture, 7200 * WR_NS_PER_S);
    salvage_bed_must(wr_store_flush(salvage.fixture.store, &salvage.fixture.now, &salvage.fixture.err));
    store_fixture_read_gaps(&salvage.fixture, &again);
    assert_int_equal(again.records, 0);
}

/* Held rows that were salvaged are audited by the same equation. */
static void a_stopped_store_with_salvaged_rows_balances(void **state) {
    (void)state;
    salvage_bed_make_store();
    salvage_bed_close();
    salvage_bed_put_aside();
    salvage_bed_must(store_fixture_open(&salvage.fixture));
    for (int i = 0; i < 30; i++)
        salvage_bed_tick();
    assert_true(salvage_bed_count(&wr_store_stats(salvage.fixture.store)->unacked_segments[WR_LANE_WINDOWS]) > 0);
    salvage_bed_close();
    struct wr_account_balance *balances;
    struct wr_store_recount recount;
    uint32_t n;
    uint64_t same;
    bool clean;
    salvage_bed_must(wr_store_audit(salvage.fixture.directory, &balances, &n, &clean, &same, &recount, &salvage.fixture.err));
    assert_true(recount.unfinished > 0 && recount.damaged == 0);
    for (uint32_t i = 0; i < n; i++)
        assert_true(wr_balance_check(&balances[i], NULL, NULL));
    free(balances);
}

/* -- the write-ahead log ------------------------------------------------------------------------------------------------------------------------ */

static void copy_file(const char *from, const char *to) {
    salvage_bed_read_file(from);
    close(open(salvage_bed_file(to), O_WRONLY | O_CREAT, 0640));
    salvage_bed_write_file(to, salvage.content_len);
}

/* Frames of the present round of the WAL: docs of SQLite's file format, section 4.1. */
static unsigned wal_frames(void) {
    unsigned n = 0;
    salvage_bed_read_file(WR_STORE_FILE "-wal");
    for (size_t at = 32; at + 24 + SALVAGE_PAGE <= salvage.content_len && memcmp(salvage.content + at + 8, salvage.content + 16, 8) == 0;
         at += 24 + SALVAGE_PAGE)
        n++;
    free(salvage.content);
    salvage.content = NULL;
    return n;
}

/* As after a power cut: the newest segments are in the WAL only. Returns the last one. */
static int64_t break_off(const char *as) {
    static const char *const parts[] = {"", "-wal", ".page1"};
    char from[64];
    char to[64];
    salvage_bed_must(store_fixture_open(&salvage.fixture));
    salvage.epoch = wr_store_epoch(salvage.fixture.store);
    for (int i = 0; i < SALVAGE_SEGMENTS && (i < SALVAGE_SEGMENTS / 2 || wal_frames() < 150); i++)
        salvage_bed_put_segment();
    const int64_t newest = wr_store_newest(salvage.fixture.store, WR_LANE_WINDOWS);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        snprintf(from, sizeof from, WR_STORE_FILE "%s", parts[i]);
        snprintf(to, sizeof to, "kept%s", parts[i]);
        copy_file(from, to);
    }
    salvage_bed_abandon();
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        snprintf(from, sizeof from, WR_STORE_FILE "%s", parts[i]);
        (void)unlink(salvage_bed_file(from));
        snprintf(from, sizeof from, "kept%s", parts[i]);
        snprintf(to, sizeof to, "%s%s", as, parts[i]);
        copy_file(from, to);
        (void)unlink(salvage_bed_file(from));
    }
    return newest;
}

static void what_only_the_wal_holds_comes_too(void **state) {
    (void)state;
    const int64_t newest = break_off(SALVAGE_ASIDE);
    salvage_bed_read_file(SALVAGE_ASIDE);
    salvage_bed_hurt_a_leaf(); /* behind it nothing is found by id */
    salvage_bed_write_file(SALVAGE_ASIDE, salvage.content_len);
    salvage_bed_must(store_fixture_open(&salvage.fixture));
    salvage_bed_all();
    assert_true(salvage_bed_distinct() >= newest - 8);
    assert_int_equal(salvage.arrived[newest], 1);
    salvage_bed_each_once();
}

/* What some file systems make of a file after a power cut. */
static void an_empty_file_is_no_fresh_store(void **state) {
    (void)state;
    const int64_t newest = break_off(WR_STORE_FILE);
    assert_int_equal(truncate(salvage_bed_file(WR_STORE_FILE), 0), 0);
    salvage_bed_must(store_fixture_open(&salvage.fixture));
    assert_true(salvage.fixture.report.quarantined);
    salvage_bed_all();
    assert_true(salvage_bed_distinct() > 20 && salvage_bed_distinct() < newest);
    assert_int_equal(salvage.arrived[newest], 1);
    salvage_bed_each_once();
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
        (void)unlink(salvage_bed_file(WR_STORE_FILE));
        FILE *aside = fopen(salvage_bed_file(SALVAGE_ASIDE), "w");
        assert_non_null(aside);
        assert_int_equal(fwrite(bytes, 1, len, aside), len);
        fclose(aside);
        memset(salvage.arrived, 0, sizeof salvage.arrived);
        salvage.epoch = 0x7e57da7a;
        salvage_bed_must(store_fixture_open(&salvage.fixture));
        salvage_bed_all();
        assert_int_equal(salvage_bed_distinct(), first_is_gone[i] ? 12 : 8); /* four were acknowledged, as far as that is known */
        salvage_bed_each_once();
        salvage_bed_close();
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, salvage_bed_setup, salvage_bed_teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_damage_leaves_what_it_can),    TEST(the_books_say_what_came_back),    TEST(a_stopped_store_with_salvaged_rows_balances),
        TEST(what_only_the_wal_holds_comes_too), TEST(an_empty_file_is_no_fresh_store), TEST(larger_pages_are_read_too),
    };
    wr_fault_memory_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
