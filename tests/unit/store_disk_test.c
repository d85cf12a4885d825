/* The store on a bad day: killed at random points, and on a disk that somebody else fills. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/fault_vfs.h"
#include "tests/support/store_fixture.h"

#define KILLS 25

/* The child: appends and acknowledges until it is killed; after each commit it says through the pipe how many readings are on disk. */
static void work_until_killed(struct store_fixture *fixture, int pipe_fd) {
    if (store_fixture_open(fixture) != WR_OK)
        _exit(3);
    uint64_t stored = 0;
    for (int64_t i = 0;; i++) {
        uint32_t n = 1 + (uint32_t)(i * 37 % 256);
        uint32_t taken;
        store_fixture_fill(fixture, 1, n, 3);
        if (wr_store_take(fixture->store, &fixture->handover, 0, &fixture->now, &taken, &fixture->err) != WR_OK)
            _exit(4);
        fixture->handover.n = 0;
        stored += 3 * n;
        if (i % 3 != 0)
            continue;
        struct wr_segment segment;
        if (wr_store_next(fixture->store, WR_LANE_WINDOWS, 0, INT64_MAX, &fixture->now, &segment, &fixture->err) == WR_OK) {
            if (wr_store_ack(fixture->store, WR_LANE_WINDOWS, segment.seq, segment.seq, &fixture->now, &fixture->err) != WR_OK)
                _exit(5);
            wr_segment_free(&segment);
        }
        if (wr_store_flush(fixture->store, &fixture->now, &fixture->err) != WR_OK)
            _exit(6);
        if (write(pipe_fd, &stored, sizeof stored) != sizeof stored)
            _exit(7);
    }
}

static void test_nothing_committed_is_lost_by_kill(void **state) {
    (void)state;
    struct store_fixture fixture;
    store_fixture_init(&fixture);
    store_fixture_must(&fixture, store_fixture_open(&fixture));
    store_fixture_must(&fixture, wr_store_close(fixture.store, &fixture.now, &fixture.err));
    fixture.store = NULL;
    uint64_t stored_before = 0;
    for (int k = 0; k < KILLS; k++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(ends[0]);
            work_until_killed(&fixture, ends[1]);
        }
        close(ends[1]);
        uint64_t said = 0; /* by the last message; between messages is where the kill comes */
        uint64_t message;
        for (int i = 0; i <= k && read(ends[0], &message, sizeof message) == sizeof message; i++)
            said = message;
        kill(child, SIGKILL);
        while (read(ends[0], &message, sizeof message) == sizeof message)
            said = message;
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        close(ends[0]);
        store_fixture_must(&fixture, store_fixture_open(&fixture));
        assert_true(fixture.report.unclean && !fixture.report.quarantined);
        while (wr_store_due(fixture.store) == 0)
            store_fixture_must(&fixture, wr_store_tick(fixture.store, &fixture.now, &fixture.err));
        assert_int_equal(atomic_load(&wr_store_stats(fixture.store)->bad_segments), 0);
        struct wr_account_balance balance = store_fixture_balance(&fixture, 1);
        assert_true(balance.books[WR_BOOK_STORED] >= stored_before + said);
        assert_true(balance.books[WR_BOOK_TAKEN] >= balance.books[WR_BOOK_STORED]);
        stored_before = balance.books[WR_BOOK_STORED];
        store_fixture_must(&fixture, wr_store_close(fixture.store, &fixture.now, &fixture.err));
        fixture.store = NULL;
    }
    store_fixture_fini(&fixture);
}

/* A small file system of our own: as root, or as root of a user namespace. */
static bool mount_small(const char *directory) {
    if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) != 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return false;
    return mount("weir-test", directory, "tmpfs", 0, "size=8m") == 0;
}

static void fill_disk(const char *directory) {
    char path[512];
    static char bytes[4096];
    snprintf(path, sizeof path, "%s/somebody-else", directory);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_true(fd >= 0);
    while (write(fd, bytes, sizeof bytes) > 0)
        ;
    assert_int_equal(errno, ENOSPC);
    close(fd);
}

/* In a child, because a mount namespace is for the rest of a process's life. */
static void live_on_a_full_disk(bool merges) {
    struct store_fixture fixture;
    store_fixture_init(&fixture);
    fixture.tells_lengths = merges;
    if (!mount_small(fixture.directory)) {
        store_fixture_fini(&fixture);
        _exit(77);
    }
    store_fixture_must(&fixture, store_fixture_open(&fixture));
    fill_disk(fixture.directory);
    const struct wr_store_stats *stats = wr_store_stats(fixture.store);
    for (int i = 0; i < 3000; i++) {
        store_fixture_fill(&fixture, 1, 256, 3);
        for (uint32_t k = 0; k < 256; k++)
            fixture.handover.aggregates[k].max.f = 1.0 / (i * 256.0 + k + 1);
        store_fixture_take(&fixture);
        struct wr_segment segment;
        if (i % 10 == 0 && wr_store_next(fixture.store, WR_LANE_WINDOWS, 0, INT64_MAX, &fixture.now, &segment, &fixture.err) == WR_OK) {
            store_fixture_must(&fixture,
                               wr_store_ack(fixture.store, WR_LANE_WINDOWS, segment.seq, segment.seq, &fixture.now, &fixture.err));
            wr_segment_free(&segment);
        }
    }
    assert_int_equal(atomic_load(&stats->commit_failures), 0);
    assert_true(merges ? atomic_load(&stats->merged_segments) > 100 : atomic_load(&stats->evicted_segments) > 100);
    struct wr_account_balance balance = store_fixture_balance(&fixture, 1);
    store_fixture_must(&fixture, wr_store_close(fixture.store, &fixture.now, &fixture.err));
    fixture.store = NULL;
    store_fixture_must(&fixture, store_fixture_open(&fixture)); /* also the start needs no room */
    assert_true(store_fixture_balance(&fixture, 1).books[WR_BOOK_TAKEN] == balance.books[WR_BOOK_TAKEN]);
    wr_store_abandon(fixture.store);
    fixture.store = NULL;
    umount(fixture.directory);
    store_fixture_fini(&fixture);
    _exit(0);
}

/* The clock of now is behind that of the older one: it is the older one that makes room, not that whose books are still to be taken over. */
static void break_on_a_full_disk(bool unused) {
    struct store_fixture fixture;
    static const char older[1 << 20];
    (void)unused;
    store_fixture_init(&fixture);
    if (!mount_small(fixture.directory)) {
        store_fixture_fini(&fixture);
        _exit(77);
    }
    store_fixture_must(&fixture, store_fixture_open(&fixture));
    store_fixture_segment(&fixture, 1, 10, 3);
    store_fixture_must(&fixture, wr_store_close(fixture.store, &fixture.now, &fixture.err));
    fixture.store = NULL;
    store_fixture_forget_wal(&fixture);
    store_fixture_scribble(&fixture, 0, 2048);
    FILE *file = fopen(store_fixture_path(&fixture, WR_STORE_FILE ".corrupt-9999999999"), "w");
    assert_true(file && fwrite(older, sizeof older, 1, file) == 1);
    assert_int_equal(fclose(file), 0);
    fill_disk(fixture.directory);
    fixture.now.wall_ns = 12 * WR_NS_PER_S;
    store_fixture_must(&fixture, store_fixture_open(&fixture));
    assert_string_equal(fixture.report.aside, WR_STORE_FILE ".corrupt-9999999999-1");
    assert_true(fixture.report.books_kept);
    assert_int_equal(wr_store_lost_books(fixture.store)->n, 0);
    assert_int_equal(store_fixture_balance(&fixture, 1).books[WR_BOOK_TAKEN], 30);
    wr_store_abandon(fixture.store);
    fixture.store = NULL;
    umount(fixture.directory);
    store_fixture_fini(&fixture);
    _exit(0);
}

static void on_a_disk_of_its_own(void (*live)(bool merges), bool merges) {
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        live(merges);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        printf("skipped: mounting a small tmpfs needs root or user namespaces\n");
        skip();
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_a_full_disk_stops_nothing(void **state) {
    (void)state;
    on_a_disk_of_its_own(live_on_a_full_disk, false);
}

static void test_on_a_full_disk_windows_are_merged(void **state) {
    (void)state;
    on_a_disk_of_its_own(live_on_a_full_disk, true);
}

static void test_the_one_that_broke_does_not_make_room(void **state) {
    (void)state;
    on_a_disk_of_its_own(break_on_a_full_disk, false);
}

static void test_no_room_from_the_start(void **state) {
    (void)state;
    struct store_fixture fixture;
    store_fixture_init(&fixture);
    fixture.options.free_floor_bytes = UINT64_MAX / 2; /* everything is below the floor: nothing is reserved */
    store_fixture_must(&fixture, store_fixture_open(&fixture));
    assert_true(fixture.report.reserved_bytes < fixture.options.budget_bytes);
    uint32_t taken;
    store_fixture_fill(&fixture, 1, 256, 3);
    store_fixture_must(&fixture, wr_store_take(fixture.store, &fixture.handover, 0, &fixture.now, &taken, &fixture.err));
    assert_int_equal(wr_store_flush(fixture.store, &fixture.now, &fixture.err), WR_FULL); /* said, not lost */
    assert_int_equal(store_fixture_balance(&fixture, 1).open, 768);
    wr_store_abandon(fixture.store);
    fixture.store = NULL;
    fixture.options.free_floor_bytes = 0;
    store_fixture_must(&fixture, store_fixture_open(&fixture)); /* there is room now */
    assert_true(fixture.report.reserved_bytes + 65536 > fixture.options.budget_bytes);
    store_fixture_fini(&fixture);
}

static bool has_copy_of_page_one(const struct store_fixture *fixture) {
    char path[512];
    snprintf(path, sizeof path, "%s/" WR_STORE_FILE ".page1", fixture->directory);
    return access(path, F_OK) == 0;
}

/* Also where nothing could be reserved, so that nothing brought the first page into the file; and where the disk refuses just then, with the next commit. */
static void test_a_fresh_store_has_a_copy_of_its_first_page(void **state) {
    (void)state;
    unsigned later = 0;
    bool hit = true;
    for (long n = -1; hit || n <= 0; n++) {
        struct store_fixture fixture;
        store_fixture_init(&fixture);
        struct wr_fault_vfs *disk = wr_fault_vfs_new(1);
        fixture.options.vfs = wr_fault_vfs_name(disk);
        fixture.options.free_floor_bytes = UINT64_MAX / 2;
        wr_fault_vfs_plan(disk, &(struct wr_fault_plan){WR_FAULT_EIO, WR_FAULT_WRITE | WR_FAULT_SYNC, n, false});
        const enum wr_result opened = store_fixture_open(&fixture);
        hit = wr_fault_vfs_hit(disk);
        if (opened == WR_OK && !has_copy_of_page_one(&fixture)) {
            assert_true(hit);
            later++;
            fixture.counts[0] = (struct wr_account_count){1, WR_BOOK_TAKEN, 1};
            fixture.counts[1] = (struct wr_account_count){1, WR_BOOK_DROPPED_LATE, 1};
            fixture.handover.n_counts = 2;
            store_fixture_take(&fixture);
            store_fixture_must(&fixture, wr_store_flush(fixture.store, &fixture.now, &fixture.err));
        }
        assert_true(opened != WR_OK || has_copy_of_page_one(&fixture));
        store_fixture_fini(&fixture);
        wr_fault_vfs_free(disk);
    }
    assert_true(later > 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_committed_is_lost_by_kill),          cmocka_unit_test(test_a_full_disk_stops_nothing),
        cmocka_unit_test(test_on_a_full_disk_windows_are_merged),          cmocka_unit_test(test_no_room_from_the_start),
        cmocka_unit_test(test_a_fresh_store_has_a_copy_of_its_first_page), cmocka_unit_test(test_the_one_that_broke_does_not_make_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
