/* Files that hold every record once, whatever happens: a crash at each write and sync, each failing in turn, no memory for each allocation, several
 * instances on one directory, messages that come twice. What is there is compared with what was sent, line by line. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/receive/file_sink.h"
#include "agent/receive/key_log.h"
#include "core/log.h"
#include "tests/support/failing.h"
#include "tests/support/receive_bed.h"

#define RECORDS 3

static char directory[256];
static struct wr_random dice;

static void make_directory(void) {
    snprintf(directory, sizeof directory, "%s/weir-files-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"); /* syncs cost nothing there */
    assert_non_null(mkdtemp(directory));
}

static void remove_directory(void) {
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    assert_int_equal(system(command), 0);
}

/* Takes all that the bed has to send. */
static enum wr_result run(struct receive_bed *bed, const char *instance, struct wr_error *err) {
    char quarantine[300];
    struct wr_receive_sink sink;
    snprintf(quarantine, sizeof quarantine, "%s/.quarantine", directory);
    const struct wr_file_sink_options files = {
        .directory = directory, .instance = instance, .format = WR_RENDER_JSON, .rotate_bytes = 2000, .rotate_ns = 3600 * WR_NS_PER_S};
    WR_TRY(wr_file_sink_new(&files, &sink, err));
    return receive_bed_run(bed, sink, quarantine, 1 << 20, err);
}

/* The same in a child, which may crash. Returns its exit code. */
static int run_child(struct receive_bed *bed, const char *instance, long crash_at) {
    fflush(stdout);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct wr_error err;
        wr_failing_crash(crash_at);
        const enum wr_result result = run(bed, instance, &err);
        if (result != WR_OK)
            fprintf(stderr, "%s\n", err.text);
        _exit(result == WR_OK ? (wr_failing_hit() ? 3 : 0) : 2);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* A line of the list of segments: messages are segments 1, 2, ... */
static void count_listed(const struct receive_bed *bed, const char *line, unsigned *listed) {
    unsigned seq;
    unsigned records;
    unsigned readings;
    assert_int_equal(
        sscanf(strstr(line, "\"seq\":"), "\"seq\":%u,\"kind\":\"%*[a-z]\",\"records\":%u,\"readings\":%u}", &seq, &records, &readings), 3);
    assert_true(seq >= 1 && seq <= bed->n && records == RECORDS && (readings == 2 * RECORDS || readings == 0));
    listed[seq - 1]++;
}

static void count_file(const struct receive_bed *bed, const char *name, unsigned counts[][RECORDS], unsigned *listed) {
    char path[600];
    char line[1024];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        unsigned message;
        unsigned k;
        const char *at;
        assert_int_equal(line[strlen(line) - 1], '\n');
        assert_memory_equal(line, "{\"site\":\"riga\",\"node\":\"gw-", 26);
        if (strncmp(name, "segment-", 8) == 0) {
            count_listed(bed, line, listed);
            continue;
        }
        if ((at = strstr(line, "\"tags\":{\"k\":\"")) != NULL)
            assert_int_equal(sscanf(at, "\"tags\":{\"k\":\"%u\",\"msg\":\"%u\"", &k, &message), 2);
        else
            assert_int_equal(sscanf(strstr(line, "msg="), "msg=%u,k=%u", &message, &k), 2);
        assert_true(message < bed->n && k < RECORDS);
        counts[message][k]++;
    }
    fclose(file);
}

/* Every line of every message once, in files that are all finished; and every message in the list. */
static void check_files(const struct receive_bed *bed, bool finished) {
    static unsigned counts[RECEIVE_BED_MESSAGES][RECORDS];
    static unsigned listed[RECEIVE_BED_MESSAGES];
    memset(counts, 0, sizeof counts);
    memset(listed, 0, sizeof listed);
    DIR *listing = opendir(directory);
    assert_non_null(listing);
    for (const struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        if (finished)
            assert_null(strstr(entry->d_name, ".part"));
        count_file(bed, entry->d_name, counts, listed);
    }
    closedir(listing);
    for (unsigned i = 0; i < bed->n; i++)
        assert_int_equal(listed[i], 1);
    for (unsigned i = 0; i < bed->n; i++)
        for (unsigned k = 0; k < RECORDS; k++)
            if (counts[i][k] != 1)
                fail_msg("message %u, record %u: %u times", i, k, counts[i][k]);
    assert_true(receive_bed_all_acknowledged(bed));
}

static void start(struct receive_bed *bed, unsigned n) {
    make_directory();
    receive_bed_init(bed, n, 3, RECORDS);
}

static void finish(struct receive_bed *bed) {
    receive_bed_fini(bed);
    remove_directory();
}

static void test_all_once_and_what_comes_twice_is_dropped(void **state) {
    (void)state;
    static struct receive_bed bed;
    struct wr_error err;
    start(&bed, 100);
    receive_bed_connect(&bed, &dice, 30);
    assert_int_equal(run(&bed, "a", &err), WR_OK);
    check_files(&bed, true);
    memset((void *)bed.acknowledged, 0, bed.n); /* the broker has forgotten everything */
    receive_bed_connect(&bed, &dice, 30);
    assert_int_equal(run(&bed, "a", &err), WR_OK);
    check_files(&bed, true);
    finish(&bed);
}

/* The crash comes at every call in turn, then the next start finishes the work. */
static void test_a_crash_at_every_write_doubles_and_loses_nothing(void **state) {
    (void)state;
    static struct receive_bed bed;
    int code = WR_FAILING_CRASHED;
    long n;
    for (n = 0; code == WR_FAILING_CRASHED; n++) {
        start(&bed, 23);
        receive_bed_connect(&bed, &dice, 3);
        code = run_child(&bed, "a", n);
        assert_true(code == WR_FAILING_CRASHED || code == 0);
        receive_bed_connect(&bed, &dice, 3);
        assert_int_equal(run_child(&bed, "a", -1), 0);
        check_files(&bed, true);
        finish(&bed);
    }
    assert_true(n > 30);
}

/* Crash after crash on one directory, of two instances in turn; a message may go to either. */
static void test_crashes_of_several_instances_in_a_row(void **state) {
    (void)state;
    static struct receive_bed bed;
    static const char *const names[] = {"a", "b", "c"};
    for (int round = 0; round < 10; round++) {
        start(&bed, 60);
        for (int i = 0; i < 15; i++) {
            receive_bed_connect(&bed, &dice, 10);
            const int code = run_child(&bed, names[wr_random_below(&dice, 3)], (long)wr_random_below(&dice, 60));
            assert_true(code == WR_FAILING_CRASHED || code == 0);
        }
        for (int i = 0; i < 3; i++) {
            receive_bed_connect(&bed, &dice, 10);
            assert_int_equal(run_child(&bed, names[i], -1), 0);
        }
        check_files(&bed, true);
        finish(&bed);
    }
}

/* Three at the same time, each with all messages, as with a broker that does not share. */
static void test_instances_side_by_side_divide_nothing_twice(void **state) {
    (void)state;
    static struct receive_bed bed;
    static const char *const names[] = {"a", "b", "c"};
    pid_t children[3];
    start(&bed, 120);
    for (int i = 0; i < 3; i++) {
        receive_bed_connect(&bed, &dice, 40);
        fflush(stdout);
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            struct wr_error err;
            _exit(run(&bed, names[i], &err) == WR_OK ? 0 : 2);
        }
    }
    for (int i = 0; i < 3; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    check_files(&bed, true);
    finish(&bed);
}

/* The call that fails, fails once: the batch is tried again. At a start it may be refused, and the next start works. */
static void fail_each(void (*arm)(long n)) {
    static struct receive_bed bed;
    bool hit = true;
    for (long n = 0; hit; n++) {
        struct wr_error err;
        start(&bed, 23);
        receive_bed_connect(&bed, &dice, 3);
        arm(n);
        enum wr_result result = run(&bed, "a", &err);
        hit = wr_failing_hit();
        wr_failing_off();
        if (result != WR_OK) {
            receive_bed_connect(&bed, &dice, 3);
            assert_int_equal(run(&bed, "a", &err), WR_OK);
        }
        check_files(&bed, false);
        finish(&bed);
    }
}

static void arm_io(long n) {
    wr_failing_io(n, n % 2 ? ENOSPC : EIO);
}

static void test_every_failing_call_is_survived(void **state) {
    (void)state;
    fail_each(arm_io);
}

static void test_every_failing_allocation_is_survived(void **state) {
    (void)state;
    fail_each(wr_failing_allocations);
}

static void test_one_name_runs_once(void **state) {
    (void)state;
    static struct receive_bed bed;
    struct wr_error err;
    struct wr_receive_sink one;
    struct wr_receive_sink two;
    start(&bed, 1);
    struct wr_file_sink_options options = {.directory = directory, .instance = "a", .rotate_bytes = 1000, .rotate_ns = WR_NS_PER_S};
    assert_int_equal(wr_file_sink_new(&options, &one, &err), WR_OK);
    assert_int_equal(wr_file_sink_new(&options, &two, &err), WR_BUSY);
    assert_non_null(strstr(err.text, "another weir-receive runs as instance 'a'"));
    options.instance = "b";
    assert_int_equal(wr_file_sink_new(&options, &two, &err), WR_OK);
    one.ops->close(one.self);
    two.ops->close(two.self);
    finish(&bed);
}

int main(void) {
    dice = wr_random_begin();
    wr_log_configure(WR_LOG_ERROR + 1, WR_LOG_LOGFMT, STDERR_FILENO);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_once_and_what_comes_twice_is_dropped),
        cmocka_unit_test(test_a_crash_at_every_write_doubles_and_loses_nothing),
        cmocka_unit_test(test_crashes_of_several_instances_in_a_row),
        cmocka_unit_test(test_instances_side_by_side_divide_nothing_twice),
        cmocka_unit_test(test_every_failing_call_is_survived),
        cmocka_unit_test(test_every_failing_allocation_is_survived),
        cmocka_unit_test(test_one_name_runs_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
