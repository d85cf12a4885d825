/* Damage that does not show as such: numbers and letters that make sense, but another one. All that is whole is found again, and nothing a second time: not what a
 * second broken store was done with, nor what was deleted but can still be read. */
#include <dirent.h>
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

#include "store/page_scan.h"
#include "tests/support/store_fixture.h"

#define SEGMENTS 600
#define RECORDS 4
#define READINGS 10
#define PAGE 2048
#define LEAF 0x0D
#define INNER 0x05
#define ASIDE WR_STORE_FILE ".corrupt-"

static struct store_fixture fixture;
static uint64_t epoch; /* of the store that breaks first */
static unsigned arrived[SEGMENTS + 1];

static int setup(void **state) {
    (void)state;
    store_fixture_init(&fixture);
    memset(arrived, 0, sizeof arrived);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    store_fixture_fini(&fixture);
    return 0;
}

static void must(enum wr_result result) {
    store_fixture_must(&fixture, result);
}

static const char *file(const char *name) {
    return store_fixture_path(&fixture, name);
}

static void open_store(void) {
    must(store_fixture_open(&fixture));
}

static void close_store(void) {
    store_fixture_close(&fixture);
    store_fixture_forget_wal(&fixture);
}

/* Segments so small that several lie on a page, wholly. */
static void put_segments(int n) {
    for (int i = 0; i < n; i++) {
        store_fixture_segment(&fixture, 1, RECORDS, READINGS);
        store_fixture_advance(&fixture, WR_NS_PER_S);
    }
}

static void make_store(void) {
    open_store();
    epoch = wr_store_epoch(fixture.store);
    put_segments(SEGMENTS);
    close_store();
}

static void deliver(void) {
    struct wr_segment segment;
    int64_t after = 0;
    while (wr_store_next(fixture.store, WR_LANE_WINDOWS, after, INT64_MAX, &fixture.now, &segment, &fixture.err) == WR_OK) {
        after = wr_segment_place(&segment);
        if (segment.epoch == epoch)
            arrived[segment.seq]++;
        must(wr_store_offer(fixture.store, WR_LANE_WINDOWS, after, &fixture.now, &fixture.err));
        must(wr_store_ack(fixture.store, WR_LANE_WINDOWS, after, after, &fixture.now, &fixture.err));
        wr_segment_free(&segment);
    }
}

static void tick(void) {
    store_fixture_advance(&fixture, 100 * WR_NS_PER_MS);
    must(wr_store_tick(fixture.store, &fixture.now, &fixture.err));
}

static bool lies_aside(void) {
    bool found = false;
    DIR *directory = opendir(fixture.directory);
    assert_non_null(directory);
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory))
        found |= strncmp(entry->d_name, ASIDE, strlen(ASIDE)) == 0;
    closedir(directory);
    return found;
}

static void salvage_all(void) {
    for (int i = 0; i < 2000 && lies_aside(); i++) {
        tick();
        deliver();
    }
    assert_false(lies_aside());
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

/* -- a second store ------------------------------------------------------------------------------------------------------------------------------ */

/* It breaks while it salvages the first one, when it has delivered some of that and keeps no history of it. */
static void what_a_second_one_was_done_with(void **state) {
    (void)state;
    make_store();
    store_fixture_scribble(&fixture, 0, PAGE);
    fixture.options.lanes[WR_LANE_WINDOWS].quota_bytes = 16 << 10;
    open_store();
    assert_true(fixture.report.quarantined);
    for (int i = 0; i < 30; i++) {
        tick();
        deliver();
    }
    const unsigned before = distinct();
    assert_true(before > SEGMENTS / 10 && before < SEGMENTS);
    assert_true(wr_store_stats(fixture.store)->history_segments < before / 2);
    must(wr_store_flush(fixture.store, &fixture.now, &fixture.err));
    const uint64_t delivered = store_fixture_balance(&fixture, 1).books[WR_BOOK_DELIVERED];
    close_store();
    store_fixture_scribble(&fixture, 0, PAGE);
    fixture.options.lanes[WR_LANE_WINDOWS].quota_bytes = 0;
    open_store();
    assert_true(fixture.report.quarantined);
    salvage_all();
    assert_int_equal(distinct(), SEGMENTS);
    each_once();
    must(wr_store_flush(fixture.store, &fixture.now, &fixture.err));
    const struct wr_account_balance balance = store_fixture_balance(&fixture, 1);
    assert_true(delivered > 0 && delivered < balance.books[WR_BOOK_DELIVERED]); /* its books go on */
    assert_int_equal(balance.books[WR_BOOK_DELIVERED], SEGMENTS * RECORDS * READINGS);
    assert_int_equal(wr_balance_held(&balance), 0);
}

/* -- rows that were deleted ---------------------------------------------------------------------------------------------------------------------- */

static uint8_t *content;
static size_t content_len;

static void read_file(void) {
    struct stat status;
    int fd = open(file(WR_STORE_FILE), O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &status) == 0);
    content_len = (size_t)status.st_size;
    content = malloc(content_len);
    assert_true(content && read(fd, content, content_len) == (ssize_t)content_len);
    close(fd);
}

static void write_file(void) {
    int fd = open(file(WR_STORE_FILE), O_WRONLY);
    assert_true(fd >= 0 && write(fd, content, content_len) == (ssize_t)content_len);
    close(fd);
    free(content);
    content = NULL;
}

static uint32_t page_of[SEGMENTS + 1]; /* by seq; 0: on none */

static enum wr_result read_page(void *user, uint32_t page, uint8_t *bytes, struct wr_error *err) {
    (void)user, (void)err;
    memcpy(bytes, content + (size_t)(page - 1) * PAGE, PAGE);
    return WR_OK;
}

static enum wr_result see_row(void *user, const struct wr_page_row *row, struct wr_error *err) {
    (void)err;
    if (row->header.epoch != epoch || row->header.lane != WR_LANE_WINDOWS)
        return WR_OK;
    assert_int_equal(page_of[row->header.seq], 0);
    page_of[row->header.seq] = *(const uint32_t *)user;
    return WR_OK;
}

static enum wr_result see_damaged(void *user) {
    (void)user;
    fail_msg("a damaged row");
    return WR_OK;
}

static enum wr_result see_account(void *user, int64_t id, const struct wr_account *name, struct wr_error *err) {
    (void)user, (void)id, (void)name, (void)err;
    return WR_OK;
}

static enum wr_result see_boot(void *user, const struct wr_page_boot *boot, struct wr_error *err) {
    (void)user, (void)boot, (void)err;
    return WR_OK;
}

/* As a salvage by pages would see them. */
static void find_pages(void) {
    uint32_t page = 1;
    const struct wr_page_visitor visitor = {&page, read_page, see_row, see_damaged, see_account, see_boot};
    struct wr_page_scan scan = {.page_bytes = PAGE};
    memset(page_of, 0, sizeof page_of);
    for (; page <= content_len / PAGE; page++)
        must(wr_page_scan_page(&scan, page, &visitor, &fixture.err));
    wr_page_scan_fini(&scan);
}

static uint8_t *bytes_of(uint32_t page) {
    assert_true(page > 1);
    return content + (size_t)(page - 1) * PAGE;
}

/* Returns the first segment on the page, and how many there are. */
static int64_t segments_on(uint32_t page, int *ret_n) {
    int64_t first = 0;
    *ret_n = 0;
    for (int64_t seq = SEGMENTS; seq > 0; seq--)
        if (page_of[seq] == page) {
            first = seq;
            ++*ret_n;
        }
    return first;
}

/* Zeros the page where this segment lies: from there on it is read by page. Returns how many are lost. */
static int hurt_page_of(int64_t seq) {
    int lost;
    (void)segments_on(page_of[seq], &lost);
    memset(bytes_of(page_of[seq]), 0, PAGE);
    return lost;
}

static int run_sql(const char *sql) {
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(file(WR_STORE_FILE), &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    const int changes = sqlite3_changes(db);
    sqlite3_close(db);
    return changes;
}

static void delete_rows(int64_t first, int n) {
    char sql[160];
    snprintf(sql, sizeof sql,
             "PRAGMA secure_delete = ON; DELETE FROM seg WHERE id & 0xffffffff BETWEEN %lld AND %lld; PRAGMA wal_checkpoint(TRUNCATE)",
             (long long)first, (long long)first + n - 1);
    assert_int_equal(run_sql(sql), n);
}

static void is_salvaged(void) {
    open_store();
    assert_true(fixture.report.quarantined);
    salvage_all();
    each_once();
}

static void breaks_and_is_salvaged(void) {
    memset(content, 0, PAGE); /* but there is the copy */
    write_file();
    is_salvaged();
}

/* As when its leaf was given up before, for others that were deleted: the page is free, and what it held was not overwritten. */
static void what_was_deleted_in_a_page_that_is_free(void **state) {
    (void)state;
    uint8_t stale[PAGE];
    int n;
    make_store();
    read_file();
    find_pages();
    const int64_t first = segments_on(page_of[SEGMENTS / 2], &n);
    assert_true(n > 1);
    memcpy(stale, bytes_of(page_of[first]), PAGE);
    free(content);
    delete_rows(first, n);
    read_file();
    find_pages();
    for (int i = 0; i < n; i++)
        assert_int_equal(page_of[first + i], 0);
    memcpy(content + content_len - PAGE, stale, PAGE);
    const int lost = hurt_page_of(SEGMENTS / 4);
    breaks_and_is_salvaged();
    for (int i = 0; i < n; i++)
        assert_int_equal(arrived[first + i], 0);
    assert_int_equal(distinct(), SEGMENTS - n - lost);
}

/* Every third way to a row in the inner pages is wrong: by its number, or (0) into the leaf of the one before or behind. */
static void mislead(int by, int other) {
    unsigned changed = 0;
    for (size_t at = PAGE; at < content_len; at += PAGE) {
        if (content[at] != INNER)
            continue;
        for (int cell = 2; cell < content[at + 3] * 256 + content[at + 4] - 1; cell += 3) {
            uint8_t *pointer = content + at + 12 + 2 * cell;
            uint8_t *child = content + at + pointer[0] * 256 + pointer[1];
            uint8_t *key = child + 4 + 8; /* an id, nine bytes long */
            pointer += 2 * other;
            memcpy(child, content + at + pointer[0] * 256 + pointer[1], 4);
            *key = (uint8_t)(*key + by);
            changed++;
        }
    }
    assert_true(changed > 10);
}

/* The way to some rows is wrong: they are not found by their ids, but they are there. */
static void what_an_inner_page_has_lost_is_not_deleted(void **state) {
    (void)state;
    static const struct {
        int by;
        int other;
    } ways[] = {{3, 0}, {-3, 0}, {0, -1}, {0, 1}};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        make_store();
        read_file();
        find_pages();
        const int lost = hurt_page_of(SEGMENTS / 4);
        mislead(ways[i].by, ways[i].other);
        breaks_and_is_salvaged();
        assert_int_equal(distinct(), SEGMENTS - lost);
        assert_int_equal(teardown(state) | setup(state), 0);
    }
}

/* Nothing gives itself away: some rows are passed by. But they were counted. */
static void what_is_not_found_by_id_is_looked_for(void **state) {
    (void)state;
    make_store();
    read_file();
    mislead(-3, 0);
    breaks_and_is_salvaged();
    assert_int_equal(distinct(), SEGMENTS);
}

/* The store is in use: neither the uplink nor the check after an unclean stop may go in a circle. */
static void nobody_is_led_in_a_circle(void **state) {
    (void)state;
    static const bool is_checked[] = {false, true};
    for (int i = 0; i < 2; i++) {
        make_store();
        if (is_checked[i]) { /* also what is finished is passed */
            open_store();
            must(wr_store_ack(fixture.store, WR_LANE_WINDOWS, 1, SEGMENTS / 2, &fixture.now, &fixture.err));
            close_store();
        }
        if (is_checked[i])
            (void)run_sql("UPDATE meta SET value = 0 WHERE key = 'clean'; PRAGMA wal_checkpoint(TRUNCATE)");
        read_file();
        mislead(3, 0);
        write_file();
        open_store();
        assert_false(fixture.report.quarantined);
        for (int k = 0; k < 100 && is_checked[i] && wr_store_stats(fixture.store)->quarantines == 0; k++)
            tick();
        if (!is_checked[i])
            deliver();
        assert_int_equal(wr_store_stats(fixture.store)->quarantines, 1);
        salvage_all();
        assert_int_equal(distinct(), is_checked[i] ? SEGMENTS / 2 : SEGMENTS);
        assert_int_equal(teardown(state) | setup(state), 0);
    }
}

/* -- the first page -------------------------------------------------------------------------------------------------------------------------------- */

/* SQLite would not write it, would not read it, would move its pages, or it would be one of a later version. */
static void a_header_that_makes_no_sense(void **state) {
    (void)state;
    static const struct {
        int at;
        uint8_t byte;
    } damages[] = {{18, 3}, {47, 5}, {55, 1}, {60, 2}, {60, 0x80}};
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        make_store();
        read_file();
        content[damages[i].at] = damages[i].byte;
        write_file();
        is_salvaged();
        assert_int_equal(distinct(), SEGMENTS);
        assert_int_equal(teardown(state) | setup(state), 0);
    }
}

/* A wrong letter, and `id` is no longer the number of the row: it reads as nothing. */
static void a_definition_that_is_another(void **state) {
    (void)state;
    make_store();
    read_file();
    char *type = memmem(content, PAGE, "seg(id INTEGER PRIMARY KEY", 26);
    assert_non_null(type);
    type[19] = 'E'; /* a type of four words, to SQLite */
    write_file();
    is_salvaged();
    assert_int_equal(distinct(), SEGMENTS);
}

/* With tables of these names, or none, or the number of a version that it is not. */
static void another_database_is_no_store(void **state) {
    (void)state;
    static const char *const changes[] = {
        "DROP TABLE snap",
        "PRAGMA user_version = 1",
        "DROP TABLE meta; CREATE TABLE meta(a)",
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        make_store();
        (void)run_sql(changes[i]);
        (void)run_sql("PRAGMA wal_checkpoint(TRUNCATE)");
        is_salvaged();
        assert_int_equal(distinct(), SEGMENTS);
        assert_int_equal(teardown(state) | setup(state), 0);
    }
    (void)run_sql("PRAGMA page_size = 2048; PRAGMA user_version = 2; CREATE TABLE other(a)");
    open_store();
    assert_true(fixture.report.quarantined && fixture.report.fresh);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_a_second_one_was_done_with),
        TEST(what_was_deleted_in_a_page_that_is_free),
        TEST(what_an_inner_page_has_lost_is_not_deleted),
        TEST(what_is_not_found_by_id_is_looked_for),
        TEST(nobody_is_led_in_a_circle),
        TEST(a_header_that_makes_no_sense),
        TEST(a_definition_that_is_another),
        TEST(another_database_is_no_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
