/* Files that are written whole: there with all their bytes, or as they were, whatever call fails and wherever the process ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/file.h"
#include "tests/support/failing.h"

static char directory[] = "/tmp/weir-file-XXXXXX";
static char path[64], part[64];
static const struct wr_file_form PRIVATE = {.mode = 0600, .uid = WR_FILE_KEEP, .gid = (gid_t)WR_FILE_KEEP};
static const struct wr_file_form FIRST = {.mode = 0644, .uid = WR_FILE_KEEP, .gid = (gid_t)WR_FILE_KEEP, .only_new = true};

static int set_up(void **state) {
    (void)state;
    if (!mkdtemp(directory))
        return -1;
    (void)snprintf(path, sizeof path, "%s/a", directory);
    (void)snprintf(part, sizeof part, "%s/a.part", directory);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    (void)unlink(path);
    return rmdir(directory); /* fails where anything was left behind */
}

static void write_it(const char *text, const struct wr_file_form *form) {
    struct wr_error err = {0};
    if (wr_file_write(path, text, strlen(text), form, &err) != WR_OK)
        fail_msg("%s", err.text);
}

static bool holds(const char *text) {
    struct wr_buf read;
    wr_buf_init(&read, 0);
    const bool same = wr_file_read(path, 100, &read, NULL) == WR_OK && strcmp(wr_buf_str(&read), text) == 0;
    wr_buf_fini(&read);
    return same;
}

static void mode_and_place(void **state) {
    (void)state;
    struct stat about;
    struct wr_error err = {0};
    const mode_t mask = umask(0777);
    write_it("one", &PRIVATE);
    (void)umask(mask);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 07777, 0600);
    assert_true(holds("one"));
    assert_int_equal(wr_file_write(path, "two", 3, &FIRST, &err), WR_EXISTS);
    assert_true(holds("one"));
    assert_int_not_equal(access(part, F_OK), 0);
    assert_int_equal(close(creat(part, 0644)), 0); /* of one that was killed */
    write_it("", &PRIVATE);
    assert_true(holds(""));
    assert_int_equal(unlink(path), 0);
    write_it("first", &FIRST);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 07777, 0644);
    assert_int_equal(about.st_nlink, 1);
}

static void what_cannot_be_written(void **state) {
    (void)state;
    struct wr_error err = {0};
    char long_path[PATH_MAX + 2];
    memset(long_path, 'a', sizeof long_path - 1);
    long_path[sizeof long_path - 1] = '\0';
    assert_int_equal(wr_file_write(long_path, "x", 1, &PRIVATE, &err), WR_LIMIT);
    assert_int_equal(wr_file_write("/nowhere/at/all", "x", 1, &PRIVATE, &err), WR_NOT_FOUND);
    assert_non_null(strstr(err.text, "/nowhere/at/all"));
    assert_int_equal(wr_file_write("/proc/weir", "x", 1, &PRIVATE, &err), WR_NOT_FOUND);
    assert_int_equal(symlink("/etc/passwd", part), 0); /* somebody's trap: it is not followed */
    write_it("safe", &PRIVATE);
    assert_true(holds("safe"));
}

static void any_call_fails(void **state) {
    (void)state;
    for (int only_new = 0; only_new < 2; only_new++)
        for (long n = 0;; n++) {
            (void)unlink(path);
            if (!only_new)
                write_it("old", &PRIVATE);
            wr_failing_io(n, ENOSPC);
            const enum wr_result result = wr_file_write(path, "new", 3, only_new ? &FIRST : &PRIVATE, NULL);
            const bool hit = wr_failing_hit();
            wr_failing_off();
            assert_int_equal(result, hit ? WR_IO : WR_OK);
            assert_int_not_equal(access(part, F_OK), 0);
            if (result == WR_OK)
                break;
            assert_true(holds("new") || (only_new ? access(path, F_OK) != 0 : holds("old")));
        }
}

static void it_ends_at_any_call(void **state) {
    (void)state;
    for (long n = 0;; n++) {
        int status;
        write_it("old", &PRIVATE);
        const pid_t child = fork();
        if (child == 0) {
            wr_failing_crash(n);
            _exit(wr_file_write(path, "new", 3, &PRIVATE, NULL) == WR_OK ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_true(holds("old") || holds("new"));
        if (WEXITSTATUS(status) == 0)
            break;
        assert_int_equal(WEXITSTATUS(status), WR_FAILING_CRASHED);
    }
    assert_true(holds("new"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mode_and_place),
        cmocka_unit_test(what_cannot_be_written),
        cmocka_unit_test(any_call_fails),
        cmocka_unit_test(it_ends_at_any_call),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
