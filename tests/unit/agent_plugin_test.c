/* Sources exec and execd with real programs: those that behave, and those that print for ever, ignore signals, fork, hang, crash or print rubbish. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/sources/plugin.h"
#include "agent/sources/poller.h"
#include "tests/support/failing.h"
#include "tests/support/source_bed.h"
#include "tests/support/waiting.h"

static struct wr_bed bed;
static struct wr_plugin plugin;
static char *command[3] = {(char *)"/bin/sh", (char *)"-c", NULL};
static char marker[64]; /* a file by which a program shows that it got somewhere */

static const struct wr_plugin_plan daemon_plan = {.deadline_boot_ns = WR_NEVER_NS, .stdin_pipe = true};

static int set_up(void **state) {
    (void)state;
    wr_bed_init(&bed, WR_SOURCE_EXECD);
    bed.config.program.command = command;
    bed.config.program.n_command = 3;
    bed.print = true;
    snprintf(marker, sizeof marker, "/tmp/weir-program-%ld", (long)getpid());
    (void)unlink(marker);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    wr_failing_off();
    wr_failing_no_kill(false);
    if (plugin.env)
        wr_plugin_fini(&plugin);
    memset(&plugin, 0, sizeof plugin);
    wr_bed_fini(&bed);
    (void)unlink(marker);
    return 0;
}

/* A program to be run by hand; the bed's own source is not started. */
static void make(const char *script) {
    struct wr_error err = {0};
    command[2] = (char *)script;
    if (!bed.source)
        wr_bed_create(&bed);
    if (wr_plugin_init(&plugin, &bed.env, &err) != WR_OK)
        fail_msg("%s", err.text);
}

static enum wr_plugin_end run(const char *script, int64_t timeout_ms, uint64_t max_output) {
    make(script);
    const struct wr_plugin_plan plan = {.deadline_boot_ns = wr_clock_boot_ns(wr_clock_real()) + timeout_ms * WR_NS_PER_MS,
                                        .max_output_bytes = max_output};
    return wr_plugin_run(&plugin, &plan);
}

static void takes(uint64_t readings) {
    assert_int_equal(wr_bed_take(&bed), readings);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), readings);
}

static void what_it_prints_is_taken(void **state) {
    (void)state;
    assert_int_equal(run("echo 'temp,room=A1 value=9.5 1000'; echo \"env s=\\\"$WEIR_SOURCE\\\"\"; printf 'last value=3i 5'", 10000, 0),
                     WR_PLUGIN_ENDED);
    assert_int_equal(plugin.status, 0);
    takes(3);
    const char *text = wr_buf_str(&bed.text);
    assert_non_null(
        strstr(text, "{\"measurement\":\"temp\",\"field\":\"value\",\"tags\":{\"room\":\"A1\"},\"time_ns\":1000,\"value\":9.5"));
    assert_non_null(strstr(text, "\"value\":\"test\""));
    assert_non_null(strstr(text, "\"measurement\":\"last\"")); /* ended well: the last line needs no newline */
    assert_int_equal(bed.counters.programs, 1);
    assert_int_equal(bed.counters.programs_failed, 0);
    assert_int_equal(bed.counters.connections, 0);
}

static void json_with_and_without_a_mapping(void **state) {
    (void)state;
    bed.config.format = WR_SOURCE_FORMAT_JSON;
    assert_int_equal(run("echo '{\"measurement\":\"m\",\"value\":1.5}'; printf '{\"measurement\":\"m\",\n\"value\":2}'", 10000, 0),
                     WR_PLUGIN_ENDED);
    takes(2);
    wr_plugin_fini(&plugin);
    static char *fields[] = {(char *)"temp=t.c"};
    static struct wr_config_json mapping = {.measurement = (char *)"probe", .fields = fields, .n_fields = 1};
    bed.config.json = &mapping;
    /* Killed in the middle of the second one. */
    assert_int_equal(run("echo '{\"t\":{\"c\":21.5}}'; printf '{\"t\":{\"c\":9'; exec sleep 1000", 300, 0), WR_PLUGIN_OVERRAN);
    assert_int_equal(wr_bed_take(&bed), 1);
    assert_non_null(strstr(wr_buf_str(&bed.text), "{\"measurement\":\"probe\",\"field\":\"temp\",\"tags\":{}"));
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_SYNTAX), 1);
}

static void an_exit_code_is_told_with_the_last_words(void **state) {
    (void)state;
    assert_int_equal(run("echo 'a value=1'; printf 'b value=12'; echo first >&2; echo 'no sensor' >&2; exit 3", 10000, 0), WR_PLUGIN_ENDED);
    char text[64];
    assert_string_equal(wr_child_status_text(text, sizeof text, plugin.status), "exit code 3");
    assert_int_equal(plugin.said_len, 9);
    assert_memory_equal(plugin.said, "no sensor", 9);
    takes(1);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_SYNTAX), 1); /* half a line of a program that failed is no reading */
    assert_int_equal(bed.counters.programs_failed, 1);
    wr_plugin_report(&plugin, WR_PLUGIN_ENDED, "nothing");
}

static void a_program_that_is_not_there(void **state) {
    (void)state;
    command[0] = (char *)"/no/such/program";
    assert_int_equal(run("", 10000, 0), WR_PLUGIN_ENDED);
    command[0] = (char *)"/bin/sh";
    assert_int_equal(plugin.status >> 8, WR_CHILD_NOT_LAUNCHED);
    assert_memory_equal(plugin.said, "cannot run /no/such/program", 27);
}

static void half_a_line_and_a_hang(void **state) {
    (void)state;
    assert_int_equal(run("echo 'a value=1'; printf 'b value=12'; sleep 1000", 300, 0), WR_PLUGIN_OVERRAN);
    takes(1);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_SYNTAX), 1);
    assert_int_equal(bed.counters.programs_killed, 1);
    wr_plugin_report(&plugin, WR_PLUGIN_OVERRAN, "nothing");
}

static void one_that_prints_for_ever_is_killed(void **state) {
    (void)state;
    bed.print = false;
    wr_bed_create(&bed);
    wr_bed_engine_start(&bed);
    assert_int_equal(run("while :; do echo 'a value=1'; done", 60000, 100000), WR_PLUGIN_TOO_MUCH);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_TOO_LONG), 1);
    const uint64_t received = wr_bed_count(&bed, WR_BOOK_RECEIVED);
    assert_in_range(received, 100000 / 10 - 1, (100000 + 65536) / 10);
    wr_bed_wait_taken(&bed, received);
}

static void garbage_is_refused_line_by_line(void **state) {
    (void)state;
    assert_int_equal(run("echo 'a value=1'; head -c 3000 /dev/zero; echo; echo '{]'; echo 'a value=2'", 10000, 0), WR_PLUGIN_ENDED);
    takes(2);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_SYNTAX), 2);
}

static void a_line_without_end_is_refused_once(void **state) {
    (void)state;
    assert_int_equal(run("echo 'a value=1'; head -c 200000 /dev/zero | tr '\\0' x; echo; echo 'a value=2'", 10000, 0), WR_PLUGIN_ENDED);
    takes(2);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_TOO_LONG), 1);
}

static void memory_is_limited(void **state) {
    (void)state;
    bed.config.program.memory_bytes = 64 << 20;
    assert_int_equal(run("echo 'a value=1'; x=0123456789abcdef; while :; do x=$x$x; done", 60000, 0), WR_PLUGIN_ENDED);
    assert_int_not_equal(plugin.status, 0);
    takes(1);
}

static void what_it_leaves_behind_holds_nobody_up(void **state) {
    (void)state;
    /* One in the group, which is killed with it; and one that left the group, which keeps the pipe open. */
    assert_int_equal(run("sleep 1000 & setsid sleep 3 & echo 'a value=1'", 60000, 0), WR_PLUGIN_ENDED);
    takes(1);
}

static void stdout_may_be_closed_early(void **state) {
    (void)state;
    assert_int_equal(run("echo 'a value=1'; exec >&- 2>&-; sleep 0.05; exit 7", 60000, 0), WR_PLUGIN_ENDED);
    assert_int_equal(plugin.status >> 8, 7);
    takes(1);
}

static void long_and_many_lines_of_stderr(void **state) {
    (void)state;
    assert_int_equal(run("i=0; while [ $i -lt 3000 ]; do echo 'some words that nobody reads' >&2; i=$((i + 1)); done;"
                         "head -c 100000 /dev/zero | tr '\\0' y >&2; echo 'a value=1'",
                         60000, 0),
                     WR_PLUGIN_ENDED);
    assert_int_equal(plugin.said_len, WR_PLUGIN_STDERR_BYTES);
    takes(1);
}

/* -- backpressure and stop: the run on a thread of its own ------------------------------------------------------------------------------- */

static enum wr_plugin_end ended;
static void *run_daemon(void *user) {
    ended = wr_plugin_run(&plugin, user);
    return NULL;
}

static pthread_t begin(const char *script) {
    pthread_t thread;
    make(script);
    assert_int_equal(pthread_create(&thread, NULL, run_daemon, (void *)(uintptr_t)&daemon_plan), 0);
    return thread;
}

static void wait_for_marker(void) {
    struct stat there;
    for (int i = 0; i < 2000 && stat(marker, &there) < 0; i++)
        usleep(5000);
    assert_int_equal(stat(marker, &there), 0);
}

static void without_a_batch_it_is_not_read(void **state) {
    (void)state;
    bed.print = false;
    bed.limits.batches = 2;
    pthread_t thread = begin("i=0; while [ $i -lt 20000 ]; do echo \"a value=$i\"; i=$((i + 1)); done; cat");
    wr_bed_wait(&bed.counters.waits, 1);
    assert_in_range(wr_bed_count(&bed, WR_BOOK_RECEIVED), 2, 2 * WR_BATCH_READINGS); /* two batches, and no more until they are taken */
    wr_bed_engine_start(&bed);
    wr_bed_wait_taken(&bed, 20000);
    wr_plugin_stop(&plugin, wr_bed_in_s(10));
    pthread_join(thread, NULL);
    assert_int_equal(ended, WR_PLUGIN_STOPPED);
    assert_int_equal(bed.taken, 20000);
}

static void a_stop_lets_it_say_goodbye(void **state) {
    (void)state;
    static char script[256];
    snprintf(script, sizeof script, "trap '' TERM; : > %s; cat; echo 'bye value=1'", marker);
    pthread_t thread = begin(script);
    wait_for_marker();
    wr_plugin_stop(&plugin, wr_bed_in_s(10));
    pthread_join(thread, NULL);
    assert_int_equal(ended, WR_PLUGIN_STOPPED);
    takes(1);
    assert_int_equal(wr_plugin_run(&plugin, &daemon_plan), WR_PLUGIN_STOPPED); /* for good */
    assert_false(wr_plugin_sleep(&plugin, WR_NEVER_NS));
}

static void a_stop_waits_no_longer_than_its_deadline(void **state) {
    (void)state;
    static char script[256];
    snprintf(script, sizeof script, "trap '' TERM; : > %s; while :; do sleep 1; done", marker);
    pthread_t thread = begin(script);
    wait_for_marker();
    wr_plugin_stop(&plugin, 0);
    pthread_join(thread, NULL);
    assert_int_equal(ended, WR_PLUGIN_STOPPED);
}

static void a_stop_leaves_behind_what_cannot_be_killed(void **state) {
    (void)state;
    static char script[512];
    snprintf(script, sizeof script, "trap '' TERM; echo 'a value=1'; echo $$ > %s.new; mv %s.new %s; while :; do sleep 1; done", marker,
             marker, marker);
    pthread_t thread = begin(script);
    wait_for_marker();
    wr_failing_no_kill(true);
    long pid = 0;
    FILE *file = fopen(marker, "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld", &pid), 1);
    fclose(file);
    wr_plugin_stop(&plugin, 0);
    pthread_join(thread, NULL);
    wr_failing_no_kill(false);
    assert_int_equal(ended, WR_PLUGIN_STOPPED);
    takes(1);
    assert_int_equal(waitpid((pid_t)pid, NULL, 0), pid); /* its guard saw our end of the pipe close */
}

static void a_stop_books_what_finds_no_batch(void **state) {
    (void)state;
    bed.print = false;
    bed.limits.batches = 2;
    /* More than two batches hold, in however few pieces it comes. */
    static char script[128];
    snprintf(script, sizeof script, "i=0; while [ $i -lt %d ]; do echo \"a value=$i\"; i=$((i + 1)); done; exec cat",
             3 * WR_BATCH_READINGS);
    pthread_t thread = begin(script);
    wr_bed_wait(&bed.counters.waits, 1);
    wr_plugin_stop(&plugin, 0);
    pthread_join(thread, NULL);
    const uint64_t dropped = wr_bed_count(&bed, WR_BOOK_DROPPED_STOP);
    assert_true(dropped > 0);
    assert_int_equal(plugin.intake.dropped, dropped);
    assert_int_equal(wr_bed_take(&bed) + dropped, wr_bed_count(&bed, WR_BOOK_RECEIVED));
}

/* -- execd ------------------------------------------------------------------------------------------------------------------------------- */

static void execd_starts_it_again(void **state) {
    (void)state;
    struct wr_error err = {0};
    command[2] = (char *)"echo 'a value=1'; exit 1";
    wr_bed_create(&bed);
    assert_int_equal(wr_source_start(bed.source, &err), WR_OK);
    wr_bed_wait(&bed.counters.books[WR_BOOK_RECEIVED], 2);
    wr_bed_stop(&bed);
    assert_true(bed.counters.programs >= 2);
}

static void execd_is_stopped_by_free(void **state) {
    (void)state;
    struct wr_error err = {0};
    command[2] = (char *)"echo 'a value=1'; exec sleep 1000";
    wr_bed_create(&bed);
    assert_int_equal(wr_source_start(bed.source, &err), WR_OK);
    wr_bed_take_until(&bed, 1);
    assert_int_equal(bed.counters.connections, 1);
}

static void what_check_says(void **state) {
    (void)state;
    struct wr_buf text;
    wr_buf_init(&text, 0);
    bed.config.program.memory_bytes = 256000000;
    assert_int_equal(wr_source_describe(&bed.config, &text), WR_OK);
    assert_string_equal(wr_buf_str(&text), " /bin/sh in at most 256.0 MB, kept running");
    wr_buf_fini(&text);
    assert_true(wr_source_bytes(&bed.config, &bed.limits) > sizeof(struct wr_plugin));
}

/* -- exec -------------------------------------------------------------------------------------------------------------------------------- */

static void use_exec(const char *script, int64_t every_ms, int64_t timeout_ms) {
    struct wr_error err = {0};
    command[2] = (char *)script;
    bed.config.kind = WR_SOURCE_EXEC;
    bed.config.every_ns = every_ms * WR_NS_PER_MS;
    bed.config.program.timeout_ns = timeout_ms * WR_NS_PER_MS;
    bed.config.program.max_output_bytes = 100000;
    wr_bed_create(&bed);
    if (wr_source_start(bed.source, &err) != WR_OK)
        fail_msg("%s", err.text);
}

static void exec_runs_once_per_round(void **state) {
    (void)state;
    use_exec("echo 'a value=1'", 100, 10000);
    wr_bed_take_until(&bed, 3);
    wr_bed_stop(&bed);
    wr_bed_take(&bed);
    assert_int_equal(bed.counters.programs, bed.counters.rounds);
    assert_int_equal(bed.counters.programs_failed, 0);
    assert_true(bed.taken >= 3);
}

static void exec_skips_rounds_while_it_runs(void **state) {
    (void)state;
    use_exec("echo 'a value=1'; sleep 0.5", 100, 10000);
    wr_bed_take_until(&bed, 2);
    wr_bed_wait(&bed.counters.rounds_skipped, 3);
    wr_bed_stop(&bed);
    assert_true(bed.counters.programs <= 3);
}

static void exec_goes_on_after_one_that_hangs(void **state) {
    (void)state;
    use_exec("echo 'a value=1'; exec sleep 1000", 100, 50);
    wr_bed_wait(&bed.counters.programs_killed, 3);
    wr_bed_stop(&bed);
    assert_in_range(bed.counters.programs - bed.counters.programs_failed, 0, 1); /* one may have been stopped */
}

static void exec_skips_rounds_without_a_batch(void **state) {
    (void)state;
    bed.limits.batches = 2;
    use_exec("echo 'a value=1'", 100, 10000);
    wr_bed_wait(&bed.counters.books[WR_BOOK_RECEIVED], 2); /* all batches are on their way */
    wr_bed_wait(&bed.counters.rounds_skipped, 2);
    assert_int_equal(bed.counters.programs, 2);
    wr_bed_take_until(&bed, 3);
}

static void exec_is_stopped_in_the_middle(void **state) {
    (void)state;
    struct wr_buf text;
    wr_buf_init(&text, 0);
    use_exec("echo 'a value=1'; exec sleep 1000", 60000, 60000);
    assert_int_equal(wr_source_describe(&bed.config, &text), WR_OK);
    assert_non_null(strstr(wr_buf_str(&text), "every 1m, killed after 1m"));
    wr_buf_fini(&text);
    wr_bed_take_until(&bed, 1);
    wr_bed_stop(&bed);
    assert_int_equal(bed.counters.programs_failed, 0);
    assert_int_equal(bed.counters.connections, 0);
}

static void first_rounds_are_spread_by_name(void **state) {
    (void)state;
    unsigned in_half = 0;
    for (unsigned i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof name, "probe%u", i);
        const int64_t first_ns = wr_poller_first_ns(name, 3600 * WR_NS_PER_S, 1000);
        assert_in_range(first_ns, 1000, 1000 + WR_POLLER_SPREAD_NS - 1);
        assert_int_equal(first_ns, wr_poller_first_ns(name, 3600 * WR_NS_PER_S, 1000));
        in_half += first_ns < 1000 + WR_POLLER_SPREAD_NS / 2;
        assert_in_range(wr_poller_first_ns(name, 100, 1000), 1000, 1099);
    }
    assert_in_range(in_half, 430, 570);
}

static void no_memory_loses_the_source_alone(void **state) {
    (void)state;
    struct wr_error err = {0};
    command[2] = (char *)"echo 'a value=1'";
    wr_bed_create(&bed);
    for (long n = 0;; n++) {
        struct wr_source *source = NULL;
        wr_failing_allocations(n);
        const enum wr_result result = wr_source_create(&bed.env, &source, &err);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result == WR_OK, source != NULL);
        wr_source_free(source);
        if (!hit)
            break;
    }
    make("echo 'a value=1'");
    for (long n = 0;; n++) {
        wr_failing_allocations(n);
        const enum wr_plugin_end end = wr_plugin_run(&plugin, &daemon_plan);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        assert_true(end == WR_PLUGIN_NOT_STARTED || end == WR_PLUGIN_ENDED);
        wr_bed_take(&bed);
        if (!hit)
            break;
    }
}

static void reads_that_fail_end_the_run(void **state) {
    (void)state;
    make("echo 'a value=1'; echo oops >&2");
    for (long n = 0; n < 20; n++) {
        wr_failing_io(n, EIO);
        const enum wr_plugin_end end = wr_plugin_run(&plugin, &daemon_plan);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(end, WR_PLUGIN_ENDED);
        wr_bed_take(&bed);
        if (!hit)
            break;
    }
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], WR_CHILD_LAUNCH) == 0)
        return wr_child_launch(argc - 1, argv + 1);
    if (getenv("WEIR_EMULATED")) {
        puts("skipped: under an emulator /proc/self/exe is the emulator");
        return 0;
    }
    wr_waiting_watchdog(240);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_it_prints_is_taken),
        TEST(json_with_and_without_a_mapping),
        TEST(an_exit_code_is_told_with_the_last_words),
        TEST(a_program_that_is_not_there),
        TEST(half_a_line_and_a_hang),
        TEST(one_that_prints_for_ever_is_killed),
        TEST(garbage_is_refused_line_by_line),
        TEST(a_line_without_end_is_refused_once),
        TEST(memory_is_limited),
        TEST(what_it_leaves_behind_holds_nobody_up),
        TEST(stdout_may_be_closed_early),
        TEST(long_and_many_lines_of_stderr),
        TEST(without_a_batch_it_is_not_read),
        TEST(a_stop_lets_it_say_goodbye),
        TEST(a_stop_waits_no_longer_than_its_deadline),
        TEST(a_stop_leaves_behind_what_cannot_be_killed),
        TEST(a_stop_books_what_finds_no_batch),
        TEST(execd_starts_it_again),
        TEST(execd_is_stopped_by_free),
        TEST(what_check_says),
        TEST(exec_runs_once_per_round),
        TEST(exec_skips_rounds_while_it_runs),
        TEST(exec_goes_on_after_one_that_hangs),
        TEST(exec_skips_rounds_without_a_batch),
        TEST(exec_is_stopped_in_the_middle),
        TEST(first_rounds_are_spread_by_name),
        TEST(no_memory_loses_the_source_alone),
        TEST(reads_that_fail_end_the_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
