/* The source `system`: parsers of /proc, every part on a tree of files, rates between two rounds, rubbish, the agent's own numbers. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/sources/proc.h"
#include "agent/sources/sample.h"
#include "agent/sources/system_source.h"
#include "tests/support/failing.h"
#include "tests/support/source_bed.h"
#include "tests/support/waiting.h"

static struct wr_bed bed;
static char root[64]; /* a link to the tree that is /proc and /sys now */
static char proc[80];
static char sys[80];

static void use_tree(const char *name) {
    char target[256], next[80];
    snprintf(target, sizeof target, "%s/system/%s", WEIR_TEST_DATA, name);
    snprintf(next, sizeof next, "%s.next", root);
    (void)unlink(next);
    assert_int_equal(symlink(target, next), 0);
    assert_int_equal(rename(next, root), 0);
}

static int set_up(void **state) {
    (void)state;
    wr_bed_init(&bed, WR_SOURCE_SYSTEM);
    bed.print = true;
    bed.limits.batches = 8;
    bed.config.every_ns = 100 * WR_NS_PER_MS;
    snprintf(root, sizeof root, "/tmp/weir-system-%ld", (long)getpid());
    snprintf(proc, sizeof proc, "%s/proc", root);
    snprintf(sys, sizeof sys, "%s/sys", root);
    wr_system_source_roots(proc, sys);
    use_tree("gateway");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    wr_bed_fini(&bed);
    wr_system_source_roots(NULL, NULL);
    (void)unlink(root);
    return 0;
}

static void start(uint32_t parts) {
    bed.config.system.parts = parts;
    wr_bed_start(&bed);
}

/* So many more whole rounds; their batches are taken. */
static void rounds(uint64_t n) {
    const uint64_t until = bed.counters.rounds + n + 1;
    const int64_t deadline = wr_bed_in_s(30);
    while (bed.counters.rounds < until) {
        wr_bed_take(&bed);
        assert_true(wr_clock_boot_ns(wr_clock_real()) < deadline);
        usleep(1000);
    }
    wr_bed_take(&bed);
}

static void stop(void) {
    wr_bed_stop(&bed);
    wr_bed_take(&bed);
    assert_int_equal(bed.taken, wr_bed_count(&bed, WR_BOOK_RECEIVED));
}

/* The first reading whose line begins with this, up to its tags, as a number; NAN: there is none. */
static double value_of(const char *measurement, const char *field, const char *tags) {
    char begin[256];
    snprintf(begin, sizeof begin, "{\"measurement\":\"%s\",\"field\":\"%s\",\"tags\":{%s}", measurement, field, tags);
    const char *at = strstr(wr_buf_str(&bed.text), begin);
    const char *value = at ? strstr(at, "\"value\":") : NULL;
    if (!value)
        return (double)NAN;
    return strncmp(value + 8, "true", 4) == 0 ? 1 : strtod(value + 8, NULL);
}

#define is(measurement, field, tags, value) assert_true(value_of(measurement, field, tags) == (double)(value))
#define is_absent(measurement, field, tags) assert_true(isnan(value_of(measurement, field, tags)))

/* -- parts ------------------------------------------------------------------------------------------------------------------------------ */

static void memory_load_and_network(void **state) {
    (void)state;
    start(1u << WR_SYSTEM_MEMORY | 1u << WR_SYSTEM_LOAD | 1u << WR_SYSTEM_NETWORK);
    rounds(1);
    stop();
    is("mem", "total", "", 1024000.0 * 1024);
    is("mem", "available", "", 614400.0 * 1024);
    is("mem", "used", "", 409600.0 * 1024);
    is("mem", "used_percent", "", 40);
    is("mem", "available_percent", "", 60);
    is("mem", "cached", "", 307200.0 * 1024);
    is("swap", "used", "", 51200.0 * 1024);
    is("swap", "used_percent", "", 50);
    is("system", "load1", "", 0.52);
    is("system", "load15", "", 0.59);
    is("system", "n_cpus", "", 2);
    is("system", "threads", "", 133);
    is("system", "running", "", 2);
    is("system", "blocked", "", 1);
    is("system", "forks", "", 4321);
    assert_true(value_of("system", "uptime", "") > 0);
    is("net", "bytes_recv", "\"interface\":\"eth0\"", 5000000);
    is("net", "err_in", "\"interface\":\"eth0\"", 3);
    is("net", "drop_out", "\"interface\":\"eth0\"", 4);
    is("net", "bytes_sent", "\"interface\":\"wwan0\"", 34);
    is_absent("net", "bytes_recv", "\"interface\":\"lo\"");
    is_absent("cpu", "usage_user", "");
}

static void shares_are_those_between_two_rounds(void **state) {
    (void)state;
    start(1u << WR_SYSTEM_CPU | 1u << WR_SYSTEM_DISKIO);
    rounds(2);
    is_absent("cpu", "usage_user", ""); /* nothing moved yet */
    use_tree("later");
    rounds(3);
    stop();
    /* 100 of user, 50 of system, 800 idle, 40 waiting, 10 each of softirq and steal: 1010 in all. */
    is("cpu", "usage_user", "", 9.9);
    is("cpu", "usage_system", "", 5);
    is("cpu", "usage_idle", "", 79.2);
    is("cpu", "usage_iowait", "", 4);
    is("cpu", "usage_active", "", 16.8);
    is("cpu", "usage_nice", "", 0);
    const double busy = value_of("diskio", "io_util", "\"name\":\"mmcblk0\"");
    assert_true(busy >= 0 && busy <= 100);
    is("diskio", "reads", "\"name\":\"mmcblk0\"", 1000);
    is("diskio", "read_bytes", "\"name\":\"mmcblk0\"", 20000 * 512);
    is("diskio", "write_time", "\"name\":\"mmcblk0\"", 600);
    is("diskio", "iops_in_progress", "\"name\":\"mmcblk0\"", 1);
    is("diskio", "reads", "\"name\":\"sda\"", 5);
    is_absent("diskio", "reads", "\"name\":\"mmcblk0p1\""); /* a partition */
    is_absent("diskio", "reads", "\"name\":\"loop0\"");     /* never used */
}

static void file_systems_count_once(void **state) {
    (void)state;
    start(1u << WR_SYSTEM_DISK);
    rounds(1);
    stop();
    const char *root_tags = "\"device\":\"mmcblk0p2\",\"fstype\":\"ext4\",\"path\":\"/\"";
    assert_true(value_of("disk", "total", root_tags) > 0);
    assert_true(value_of("disk", "used_percent", root_tags) >= 0 && value_of("disk", "used_percent", root_tags) <= 100);
    assert_null(strstr(wr_buf_str(&bed.text), "/var"));
    assert_null(strstr(wr_buf_str(&bed.text), "squashfs"));
    assert_null(strstr(wr_buf_str(&bed.text), "tmpfs"));
    assert_null(strstr(wr_buf_str(&bed.text), "nfs4"));
}

static void sensors_of_both_kinds(void **state) {
    (void)state;
    start(1u << WR_SYSTEM_TEMPERATURE);
    rounds(1);
    stop();
    is("hwmon", "temp", "\"chip\":\"soc\",\"sensor\":\"Core 0\"", 48.3);
    is("hwmon", "temp", "\"chip\":\"soc\",\"sensor\":\"temp3\"", -5);
    is("thermal", "temp", "\"zone\":\"cpu-thermal\"", 51);
    assert_null(strstr(wr_buf_str(&bed.text), "fan"));
}

static void the_clock_says_whether_it_is_right(void **state) {
    (void)state;
    start(1u << WR_SYSTEM_CLOCK);
    rounds(1);
    stop();
    is("clock", "trusted", "", 1);
}

static void rubbish_gives_no_readings(void **state) {
    (void)state;
    use_tree("garbled");
    start(((1u << WR_SYSTEM_PARTS) - 1) & ~(1u << WR_SYSTEM_CLOCK));
    rounds(3);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), 0);
    use_tree("empty");
    rounds(2);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), 0);
    use_tree("gateway"); /* and it goes on when the files are back */
    rounds(2);
    stop();
    is("mem", "used_percent", "", 40);
}

static void the_real_machine(void **state) {
    (void)state;
    wr_system_source_roots(NULL, NULL);
    start(((1u << WR_SYSTEM_PARTS) - 1) & ~(1u << WR_SYSTEM_OWN));
    rounds(3);
    stop();
    assert_true(value_of("mem", "total", "") > 0);
    assert_true(value_of("system", "load1", "") >= 0);
    assert_true(value_of("cpu", "usage_active", "") >= 0);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_SYNTAX) + wr_bed_count(&bed, WR_BOOK_REJECTED_TYPE), 0);
}

/* -- the agent's own numbers -------------------------------------------------------------------------------------------------------------- */

static struct wr_account_balance balances_given[2];

static enum wr_result give_balances(void *agent, int64_t deadline_boot_ns, struct wr_account_balance **ret_balances, uint32_t *ret_n) {
    assert_ptr_equal(agent, &bed);
    assert_true(deadline_boot_ns > 0);
    *ret_balances = malloc(sizeof balances_given);
    assert_non_null(*ret_balances);
    memcpy(*ret_balances, balances_given, sizeof balances_given);
    *ret_n = 2;
    return WR_OK;
}

static double half(void *user) {
    (void)user;
    return 0.5;
}

static void metrics_and_ledger_are_series(void **state) {
    (void)state;
    static _Atomic uint64_t received = 7, dropped = 0, late = 3;
    static struct wr_histogram latency;
    struct wr_metrics *metrics;
    struct wr_error err = {0};
    assert_int_equal(wr_metrics_new(&metrics), WR_OK);
    wr_histogram_add(&latency, WR_NS_PER_MS);
    assert_int_equal(
        wr_metrics_add(metrics, NULL, WR_METRIC_COUNTER, "weir_source_received_total", "R.", "source=\"a \\\"b\\\"\"", &received), WR_OK);
    assert_int_equal(
        wr_metrics_add(metrics, NULL, WR_METRIC_COUNTER, "weir_source_dropped_total", "D.", "source=\"f\",reason=\"stop\"", &dropped),
        WR_OK);
    assert_int_equal(
        wr_metrics_add(metrics, NULL, WR_METRIC_COUNTER, "weir_source_dropped_total", "D.", "source=\"f\",reason=\"late\"", &late), WR_OK);
    assert_int_equal(wr_metrics_add_function(metrics, NULL, WR_METRIC_GAUGE, "process_load", "L.", NULL, half, NULL), WR_OK);
    assert_int_equal(wr_metrics_add_histogram(metrics, NULL, "weir_wait_seconds", "W.", NULL, &latency), WR_OK);
    strcpy(balances_given[0].account.source, "f");
    strcpy(balances_given[0].account.window, "m1");
    balances_given[0].books[WR_BOOK_TAKEN] = 100;
    balances_given[0].books[WR_BOOK_STORED] = 80;
    balances_given[0].books[WR_BOOK_DELIVERED] = 50;
    balances_given[0].books[WR_BOOK_DROPPED_LATE] = 5;
    strcpy(balances_given[1].account.source, "f");
    strcpy(balances_given[1].account.window, WR_LEDGER_INTAKE);
    balances_given[1].books[WR_BOOK_RECEIVED] = 1000;
    balances_given[1].books[WR_BOOK_TAKEN] = 900;
    balances_given[1].books[WR_BOOK_DROPPED_STOP] = 40;
    bed.config.system.parts = 1u << WR_SYSTEM_OWN;
    wr_bed_create(&bed);
    wr_source_free(bed.source);
    bed.env.metrics = metrics;
    bed.env.balances = give_balances;
    bed.env.agent = &bed;
    assert_int_equal(wr_source_create(&bed.env, &bed.source, &err), WR_OK);
    assert_int_equal(wr_source_start(bed.source, &err), WR_OK);
    rounds(1);
    stop();
    is("weir", "source_received_total", "\"source\":\"a \\\\\\\"b\\\\\\\"\"", 7);
    is("weir", "source_dropped_total", "\"reason\":\"late\",\"source\":\"f\"", 3);
    is_absent("weir", "source_dropped_total", "\"reason\":\"stop\",\"source\":\"f\"");
    is("weir", "process_load", "", 0.5);
    is("weir", "wait_seconds_count", "", 1);
    assert_true(value_of("weir", "wait_seconds_p99", "") >= 0.001);
    const char *m1 = "\"source\":\"f\",\"window\":\"m1\"";
    is("weir", "ledger_taken", m1, 100);
    is("weir", "ledger_open", m1, 15);
    is("weir", "ledger_held", m1, 30);
    is("weir", "ledger_delivered", m1, 50);
    is("weir", "ledger_dropped", m1, 5);
    const char *intake = "\"source\":\"f\",\"window\":\"intake\"";
    is("weir", "ledger_received", intake, 1000);
    is("weir", "ledger_taken", intake, 900);
    is("weir", "ledger_open", intake, 60);
    is("weir", "ledger_dropped", intake, 40);
    is_absent("weir", "ledger_held", intake);
    wr_metrics_free(metrics);
}

/* -- backpressure, life --------------------------------------------------------------------------------------------------------------------- */

static void a_round_without_a_batch_is_skipped(void **state) {
    (void)state;
    struct wr_error err = {0};
    bed.limits.batches = 2;
    bed.config.system.parts = 1u << WR_SYSTEM_LOAD;
    wr_bed_create(&bed);
    assert_int_equal(wr_source_start(bed.source, &err), WR_OK);
    wr_bed_wait(&bed.counters.rounds_skipped, 2);
    assert_int_equal(bed.counters.rounds, 2);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), 2 * 9);
    wr_bed_take_until(&bed, 3 * 9);
}

/* A disk that is dead: asking it takes until the test lets go. */
static int dead_disk[2];
static _Atomic int asked;

static int ask_dead_disk(const char *path, struct statvfs *ret_space) {
    char nothing;
    (void)path;
    memset(ret_space, 0, sizeof *ret_space);
    asked++;
    return read(dead_disk[0], &nothing, 1) == 1 ? 0 : -1;
}

static void a_dead_disk_does_not_hold_up_a_stop(void **state) {
    (void)state;
    static struct wr_source *left_behind; /* what leaks on purpose stays in sight */
    assert_int_equal(pipe(dead_disk), 0);
    wr_system_source_space(ask_dead_disk);
    asked = 0;
    start(1u << WR_SYSTEM_DISK | 1u << WR_SYSTEM_MEMORY);
    while (asked == 0)
        usleep(1000);
    assert_int_equal(wr_source_stop(bed.source, 0), WR_OK);
    left_behind = bed.source;
    wr_source_free(bed.source);
    bed.source = NULL;
    wr_bed_take(&bed);
    const uint64_t received = wr_bed_count(&bed, WR_BOOK_RECEIVED);
    close(dead_disk[1]); /* it comes back, too late: nothing is touched any more */
    wr_bed_fini(&bed);
    assert_int_equal(received, 0);
    assert_non_null(left_behind);
    close(dead_disk[0]);
    wr_system_source_space(NULL);
}

static void what_check_says(void **state) {
    (void)state;
    struct wr_buf text;
    wr_buf_init(&text, 0);
    bed.config.every_ns = 10 * WR_NS_PER_S;
    bed.config.system.parts = 1u << WR_SYSTEM_CPU | 1u << WR_SYSTEM_OWN;
    assert_int_equal(wr_source_describe(&bed.config, &text), WR_OK);
    assert_string_equal(wr_buf_str(&text), " every 10s: cpu, weir");
    wr_buf_fini(&text);
    assert_true(wr_source_bytes(&bed.config, &bed.limits) > WR_SYSTEM_FILE_BYTES);
}

static void no_memory_loses_the_source_alone(void **state) {
    (void)state;
    struct wr_error err = {0};
    wr_bed_create(&bed);
    for (long n = 0;; n++) {
        struct wr_source *source = NULL;
        wr_failing_allocations(n);
        enum wr_result result = wr_source_create(&bed.env, &source, &err);
        if (result == WR_OK && wr_source_start(source, &err) != WR_OK)
            result = WR_NO_MEMORY;
        const bool hit = wr_failing_hit();
        wr_failing_off();
        if (result != WR_OK)
            assert_true(hit);
        wr_source_free(source);
        if (!hit)
            break;
        assert_true(n < 1000);
    }
}

static void reads_that_fail_lose_a_part_of_a_round(void **state) {
    (void)state;
    start(1u << WR_SYSTEM_MEMORY);
    for (long n = 0; n < 6; n++) {
        wr_failing_io(n, EIO);
        rounds(1);
        wr_failing_off();
    }
    stop();
    assert_true(wr_bed_count(&bed, WR_BOOK_RECEIVED) > 0);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED) % 12, 0); /* a round is whole, or not there */
}

/* -- samples -------------------------------------------------------------------------------------------------------------------------------- */

static void samples_are_rounded_and_bounded(void **state) {
    (void)state;
    static struct wr_intake intake;
    static struct wr_sample sample;
    char long_value[WR_SAMPLE_BYTES];
    memset(long_value, 'x', sizeof long_value - 1);
    long_value[sizeof long_value - 1] = '\0';
    wr_bed_create(&bed);
    wr_intake_init(&intake, &bed.env);
    sample.intake = &intake;
    wr_sample_begin(&sample, "m");
    wr_sample_send(&sample); /* without fields */
    wr_sample_tag(&sample, "empty", "");
    wr_sample_tag(&sample, "t", "v");
    wr_sample_float(&sample, "third", 1.0 / 3, 2);
    wr_sample_float(&sample, "nan", (double)NAN, 2);
    wr_sample_float(&sample, "huge", 1e300, 2);
    wr_sample_uint(&sample, "max", UINT64_MAX);
    wr_sample_bool(&sample, "yes", true);
    wr_sample_send(&sample);
    wr_sample_begin(&sample, "m");
    wr_sample_tag(&sample, "long", long_value);
    wr_sample_uint(&sample, "lost", 1);
    wr_sample_send(&sample);
    wr_sample_begin(&sample, "many");
    for (unsigned i = 0; i < WR_SAMPLE_FIELDS + 3; i++)
        wr_sample_uint(&sample, "f", i);
    wr_sample_send(&sample);
    wr_intake_hand_over(&intake);
    assert_int_equal(wr_bed_take(&bed), 5 + WR_SAMPLE_FIELDS);
    is("m", "third", "\"t\":\"v\"", 0.33);
    is("m", "huge", "\"t\":\"v\"", 1e300);
    is("m", "yes", "\"t\":\"v\"", 1);
    assert_non_null(strstr(wr_buf_str(&bed.text), "18446744073709551615"));
    assert_non_null(strstr(wr_buf_str(&bed.text), "\"quality\":\"bad\""));
    assert_null(strstr(wr_buf_str(&bed.text), "lost"));
    assert_int_equal(sample.unsent, 0);
    wr_intake_fini(&intake);
}

static void a_sample_waits_only_so_long(void **state) {
    (void)state;
    static struct wr_intake intake;
    static struct wr_sample sample;
    bed.limits.batches = 2;
    wr_bed_create(&bed);
    wr_intake_init(&intake, &bed.env);
    sample = (struct wr_sample){.intake = &intake};
    for (unsigned i = 0; i < 100; i++) { /* 2400 readings, and room for two batches */
        wr_sample_begin(&sample, "m");
        for (unsigned k = 0; k < WR_SAMPLE_FIELDS; k++)
            wr_sample_uint(&sample, "f", i);
        wr_sample_send(&sample);
    }
    assert_int_equal(sample.unsent, 100 - 2 * WR_BATCH_READINGS / WR_SAMPLE_FIELDS);
    wr_intake_hand_over(&intake);
    assert_int_equal(wr_bed_take(&bed), 2 * WR_BATCH_READINGS);
    sample.unsent = 0;
    wr_sample_begin(&sample, "m"); /* the next one is whole again */
    wr_sample_uint(&sample, "f", 1);
    wr_sample_send(&sample);
    wr_intake_hand_over(&intake);
    assert_int_equal(wr_bed_take(&bed), 1);
    wr_intake_fini(&intake);
}

/* -- parsers -------------------------------------------------------------------------------------------------------------------------------- */

static struct wr_proc_text text_of(const char *text) {
    return (struct wr_proc_text){text, text + strlen(text)};
}

static void old_and_odd_kernels(void **state) {
    (void)state;
    struct wr_proc_stat stat;
    struct wr_proc_memory memory;
    struct wr_proc_mount mount;
    struct wr_proc_load load;
    int64_t value;
    assert_true(wr_proc_stat(text_of("cpu 1 2 3 4"), &stat));
    assert_int_equal(stat.ticks[WR_PROC_IDLE], 4);
    assert_int_equal(stat.ticks[WR_PROC_STEAL], 0);
    assert_false(wr_proc_stat(text_of("cpu 1 2 3"), &stat));
    assert_true(wr_proc_memory(text_of("MemTotal: 100 kB\nMemFree: 10 kB\nBuffers: 5 kB\nCached: 20 kB\n"), &memory));
    assert_int_equal(memory.available, 35 * 1024);
    assert_false(wr_proc_memory(text_of("MemTotal: 10 kB\nMemFree: 20 kB\n"), &memory));
    assert_false(wr_proc_load(text_of("0.1 0.2 0.3 5 6"), &load));
    assert_false(wr_proc_load(text_of("0.1 1.2.3 0.3 1/5 6"), &load));
    struct wr_proc_text text = text_of("1 2 8:1 / /a\\040b\\134 rw - ext4 /dev/x rw\n");
    assert_true(wr_proc_next_mount(&text, &mount));
    assert_string_equal(mount.path, "/a b\\");
    assert_int_equal(mount.minor, 1);
    assert_false(wr_proc_next_mount(&text, &mount));
    assert_true(wr_proc_value(text_of("-9223372036854775807\n"), &value));
    assert_int_equal(value, -INT64_MAX);
    assert_false(wr_proc_value(text_of("9223372036854775808\n"), &value));
    assert_false(wr_proc_value(text_of("--5"), &value));
    assert_false(wr_proc_value(text_of("\n5"), &value));
}

int main(void) {
    wr_waiting_watchdog(240);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(memory_load_and_network),
        TEST(shares_are_those_between_two_rounds),
        TEST(file_systems_count_once),
        TEST(sensors_of_both_kinds),
        TEST(the_clock_says_whether_it_is_right),
        TEST(rubbish_gives_no_readings),
        TEST(the_real_machine),
        TEST(metrics_and_ledger_are_series),
        TEST(a_round_without_a_batch_is_skipped),
        TEST(a_dead_disk_does_not_hold_up_a_stop),
        TEST(what_check_says),
        TEST(no_memory_loses_the_source_alone),
        TEST(reads_that_fail_lose_a_part_of_a_round),
        TEST(samples_are_rounded_and_bounded),
        TEST(a_sample_waits_only_so_long),
        cmocka_unit_test(old_and_odd_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
