/* `weir replay`: what recordings do to rules on virtual time, the tally of it, and the difference between two rule sets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/replay/compare.h"
#include "agent/replay/play.h"
#include "agent/replay/report.h"
#include "core/log.h"
#include "rules/compile/ruleset.h"
#include "tests/support/failing.h"

#define FILES 2
#define MINUTE (60 * WR_NS_PER_S)

static char paths[FILES][64];
static char *files[FILES];
static unsigned n_files;
static struct wr_config_csv csv;
static struct wr_config_source source;
static struct wr_ruleset *sets[WR_PLAY_SIDES];
static struct wr_play_result result;
static struct wr_buf text;
static unsigned refused;

static int set_up(void **state) {
    (void)state;
    wr_log_configure(WR_LOG_ERROR + 1, WR_LOG_LOGFMT, 2);
    csv = (struct wr_config_csv){.time_format = (char *)"s", .measurement = (char *)"m"};
    source = (struct wr_config_source){.name = (char *)"replay", .format = WR_SOURCE_FORMAT_CSV, .replay = {.files = files, .csv = &csv}};
    n_files = refused = 0;
    wr_buf_init(&text, 0);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    wr_failing_off();
    wr_play_result_fini(&result);
    memset(&result, 0, sizeof result);
    wr_buf_fini(&text);
    for (size_t i = 0; i < WR_PLAY_SIDES; i++) {
        wr_ruleset_free(sets[i]);
        sets[i] = NULL;
    }
    for (unsigned i = 0; i < n_files; i++)
        (void)unlink(paths[i]);
    return 0;
}

static void add_file(const char *content) {
    snprintf(paths[n_files], sizeof paths[n_files], "/tmp/weir-replayed-%ld-%u.csv", (long)getpid(), n_files);
    files[n_files] = paths[n_files];
    FILE *file = fopen(paths[n_files++], "we");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
    source.replay.n_files = n_files;
}

static void load(size_t side, const char *rules) {
    struct wr_diagnostics diagnostics;
    struct wr_error err = {0};
    char whole[1024];
    snprintf(whole, sizeof whole, "weir: 1\nrules:\n%s", rules);
    wr_diagnostics_init(&diagnostics);
    if (wr_ruleset_load_text("r.yaml", whole, strlen(whole), NULL, &diagnostics, &sets[side], &err) != WR_OK)
        fail_msg("%s: %s", err.text, diagnostics.n > 0 ? diagnostics.list[0].message : "");
    wr_diagnostics_fini(&diagnostics);
}

static void count_refusal(void *user, const char *file, const struct wr_refusal *refusal) {
    (void)user;
    assert_string_equal(file, paths[0]);
    assert_true(refusal->line > 0);
    refused++;
}

static enum wr_result try_to_play(struct wr_error *err) {
    const struct wr_play_options options = {
        .source = &source, .rules = {sets[0], sets[1]}, .keep_episodes = true, .refused = count_refusal};
    return wr_play(&options, &result, err);
}

static void play(void) {
    struct wr_error err = {0};
    if (try_to_play(&err) != WR_OK)
        fail_msg("%s", err.text);
}

static struct wr_tally_sum sum_of(const char *rule) {
    uint32_t first, n;
    return wr_tally_rule(&result.tallies[0], rule, &first, &n);
}

static void has(const char *part) {
    if (!strstr(wr_buf_str(&text), part))
        fail_msg("no '%s' in:\n%s", part, wr_buf_str(&text));
}

static struct wr_replay_report report_of(bool verbose) {
    return (struct wr_replay_report){
        .result = &result, .rules = {sets[0], sets[1]}, .names = {"new.yaml", "old.yaml"}, .n_files = n_files, .verbose = verbose};
}

static void delays_run_between_records(void **state) {
    (void)state;
    load(0, "  - {rule: high, when: m.x > 5, on_delay: 90s, off_delay: 30s}\n");
    /* True from 60 s on; the delay is over at 150 s, between two records. Over at 300 s, and 30 s more. */
    add_file("t,x\n0,1\n60,6\n120,7\n200,8\n300,1\n600,1\n");
    play();
    const struct wr_tally_sum sum = sum_of("high");
    assert_int_equal(sum.raised, 1);
    assert_int_equal(sum.told, 1);
    assert_int_equal(sum.first_ns, 150 * WR_NS_PER_S);
    assert_int_equal(sum.active_ns, 180 * WR_NS_PER_S);
    assert_false(sum.lasts);
    assert_int_equal(result.readings, 6);
    assert_int_equal(result.first_ns, 0);
    assert_int_equal(result.last_ns, 600 * WR_NS_PER_S);
}

static void silence_is_noticed_without_records(void **state) {
    (void)state;
    load(0, "  - {rule: silent, when: age(m.x) > 5min}\n");
    add_file("t,x\n0,1\n100,1\n1000,1\n1001,1\n");
    play();
    assert_int_equal(sum_of("silent").raised, 1);
    assert_true(sum_of("silent").first_ns >= 400 * WR_NS_PER_S && sum_of("silent").first_ns < 401 * WR_NS_PER_S);
    assert_true(sum_of("silent").active_ns <= 600 * WR_NS_PER_S);
}

static void what_lasts_to_the_end(void **state) {
    (void)state;
    load(0, "  - {rule: high, when: m.x > 5}\n");
    add_file("t,x\n0,6\n100,6\n150,7\n");
    play();
    assert_true(sum_of("high").lasts);
    assert_int_equal(sum_of("high").active_ns, 150 * WR_NS_PER_S);
}

static void files_are_one_timeline_and_tags_are_instances(void **state) {
    (void)state;
    static char *tags[] = {(char *)"room"};
    csv.tags = tags;
    csv.n_tags = 1;
    load(0, "  - {rule: high, when: m.x > 5, by: room}\n");
    add_file("t,room,x\n0,A,1\n10,A,6\n20,A,1\n30,A,6\n");
    add_file("t,room,x\n5,B,6\n15,B,1\n");
    play();
    uint32_t first, n;
    const struct wr_tally_sum sum = wr_tally_rule(&result.tallies[0], "high", &first, &n);
    assert_int_equal(n, 2);
    assert_int_equal(sum.raised, 3);
    assert_string_equal(result.tallies[0].alarms[first].instance, "room=A");
    assert_int_equal(result.tallies[0].alarms[first].sum.raised, 2);
    assert_int_equal(sum.first_ns, 5 * WR_NS_PER_S);
    const struct wr_replay_report report = report_of(true);
    assert_int_equal(wr_replay_report_text(&report, &text), WR_OK);
    has("2 files, 6 readings of 2 series, 0 refused\n1970-01-01T00:00:00Z to 1970-01-01T00:00:30Z, 30s\n");
    has("\nhigh              low            3       3       2  1970-01-01T00:00:05Z  1970-01-01T00:00:30Z");
    has("\n  {room=A}");
}

static void malformed_records_are_told(void **state) {
    (void)state;
    load(0, "  - {rule: high, when: m.x > 5}\n");
    add_file("t,x\nbad,1\n1,6\n2\n");
    play();
    assert_int_equal(refused, 2);
    assert_int_equal(result.refused, 2);
    assert_int_equal(sum_of("high").raised, 1);
}

static void stamps_that_go_back(void **state) {
    (void)state;
    load(0, "  - {rule: high, when: m.x > 5}\n");
    add_file("t,x\n1000,1\n10,6\n1001,1\n");
    play();
    assert_int_equal(result.first_ns, 1000 * WR_NS_PER_S);
    assert_int_equal(result.last_ns, 1001 * WR_NS_PER_S);
}

/* Of an alarm on old data alone nobody is told; live data that says the same tells it once. */
static void old_data_is_told_to_nobody(void **state) {
    (void)state;
    static char *tags[] = {(char *)"room"};
    csv.tags = tags;
    csv.n_tags = 1;
    load(0, "  - {rule: high, when: m.x > 5, by: room}\n");
    add_file("t,room,x\n10000,A,1\n1000,B,6\n2000,B,6\n10060,A,1\n");
    play();
    assert_int_equal(sum_of("high").raised, 1);
    assert_int_equal(sum_of("high").told, 0);
    wr_play_result_fini(&result);
    add_file("t,room,x\n10100,B,6\n10160,B,6\n10220,B,6\n10280,B,6\n10340,A,1\n");
    play();
    assert_int_equal(sum_of("high").raised, 1);
    assert_int_equal(sum_of("high").told, 1);
}

static void stamps_beyond_all_time_are_refused(void **state) {
    (void)state;
    csv.time_format = (char *)"ns";
    load(0, "  - {rule: high, when: m.x > 5}\n");
    add_file("t,x\n-9000000000000000000,6\n-4500000000000000000,6\n4500000000000000000,6\n9000000000000000000,6\n");
    play();
    assert_int_equal(result.refused, 2);
    assert_int_equal(refused, 2);
    assert_int_equal(result.readings, 2);
    assert_int_equal(result.last_ns - result.first_ns, 2 * WR_PLAY_STAMP_NS);
    assert_int_equal(sum_of("high").active_ns, 2 * WR_PLAY_STAMP_NS);
}

static void nothing_to_play(void **state) {
    (void)state;
    struct wr_error err = {0};
    load(0, "  - {rule: high, when: m.x > 5}\n");
    add_file("t,x\n");
    play();
    assert_int_equal(result.first_ns, WR_EVENT_NONE);
    const struct wr_replay_report report = report_of(false);
    assert_int_equal(wr_replay_report_text(&report, &text), WR_OK);
    has("1 file, 0 refused: no record with a time in it\n");
    wr_play_result_fini(&result);
    files[0] = (char *)"/no/such/file.csv";
    assert_int_equal(try_to_play(&err), WR_NOT_FOUND);
    assert_string_equal(err.text, "/no/such/file.csv: cannot be read");
}

static void nothing_is_left_out_silently(void **state) {
    (void)state;
    load(0, "  - {rule: high, when: m.x > 5}\n");
    add_file("t,x\nbad,6\nworse,6\n"); /* no stamp in it: it is not over after the search for the first one */
    play();
    assert_int_equal(refused, 2);
    assert_int_equal(result.refused, 2);
    assert_int_equal(result.left_out, 0);
    wr_play_result_fini(&result);

    csv.time_column = (char *)"nope";
    add_file("t,x\n1,6\n");
    play();
    assert_int_equal(result.left_out, 2);
    assert_int_equal(result.first_ns, WR_EVENT_NONE);
    const struct wr_replay_report report = report_of(false);
    assert_int_equal(wr_replay_report_text(&report, &text), WR_OK);
    has("2 files (2 left out), 0 refused: no record with a time in them\n");
    wr_play_result_fini(&result);

    csv.time_column = NULL;
    files[0] = (char *)"/tmp"; /* can be opened, and not read */
    play();
    assert_int_equal(result.left_out, 1);
    assert_int_equal(sum_of("high").raised, 1);
    files[0] = paths[0];
}

static void a_record_before_the_first_stamp(void **state) {
    (void)state;
    load(0, "  - {rule: high, when: m.x > 5}\n");
    source.format = WR_SOURCE_FORMAT_LINE;
    add_file("m x=6\nm x=7 1000000000\nm x=1\n");
    play();
    assert_int_equal(refused, 1);
    assert_int_equal(result.refused, 1);
    assert_int_equal(result.records, 2);
    assert_int_equal(result.readings, 2);
}

static void two_rule_sets(void **state) {
    (void)state;
    load(0, "  - {rule: high, when: m.x > 5, on_delay: 20s}\n  - {rule: fresh, when: m.x > 8}\n");
    load(1, "  - {rule: high, when: m.x > 5, on_delay: 10s}\n  - {rule: gone, when: m.x > 100}\n");
    /* Once for 60 s (both), once for 15 s (the old one alone). */
    add_file("t,x\n0,1\n100,6\n160,1\n200,9\n215,1\n300,1\n");
    play();
    const struct wr_compare_sum sum = wr_compare_rule(&result.tallies[0], &result.tallies[1], "high", NULL, NULL);
    assert_int_equal(sum.both, 1);
    assert_int_equal(sum.only_new, 0);
    assert_int_equal(sum.only_old, 1);
    assert_int_equal(sum.shift_ns, 10 * WR_NS_PER_S);
    const struct wr_replay_report report = report_of(false);
    assert_int_equal(wr_replay_report_text(&report, &text), WR_OK);
    has("new: new.yaml, old: old.yaml\n");
    has("\nhigh                   1       2       1         0         1  10s later\n");
    has("\nfresh                  1       0       0         1         0");
    has("\ngone                   0       0       0         0         0");
    has("  moved     1970-01-01T00:02:00Z  high  10s later\n  only old  1970-01-01T00:03:30Z  high  for 5s\n  only new  "
        "1970-01-01T00:03:20Z  fresh  for 15s\n");
    wr_buf_clear(&text);
    assert_int_equal(wr_replay_report_json(&report, &text), WR_OK);
    has("{\"rule\":\"high\",\"severity\":\"low\",\"fired\":1,\"told\":1,\"first_ns\":120000000000,");
    has("\"both\":1,\"only_new\":0,\"only_old\":1,\"moved\":1,\"shift_mean_ns\":10000000000,\"shift_most_ns\":10000000000,\"differences\":["
        "{"
        "\"instance\":\"\",\"new_ns\":120000000000,\"old_ns\":110000000000},{\"instance\":\"\",\"old_ns\":210000000000}]");
}

static void each_allocation_may_fail(void **state) {
    (void)state;
    load(0, "  - {rule: high, when: m.x > 5}\n");
    load(1, "  - {rule: high, when: m.x > 6}\n");
    add_file("t,x\n0,1\n10,7\n20,1\n");
    for (long n = 0;; n++) {
        struct wr_error err = {0};
        wr_failing_allocations(n);
        const enum wr_result played = try_to_play(&err);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        if (played == WR_OK && !hit)
            assert_int_equal(sum_of("high").raised, 1);
        wr_play_result_fini(&result);
        assert_true(played == WR_OK || (hit && err.text[0]));
        if (!hit)
            break;
        assert_true(n < 1000);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(delays_run_between_records, set_up, tear_down),
        cmocka_unit_test_setup_teardown(silence_is_noticed_without_records, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_lasts_to_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_are_one_timeline_and_tags_are_instances, set_up, tear_down),
        cmocka_unit_test_setup_teardown(malformed_records_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stamps_that_go_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(old_data_is_told_to_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stamps_beyond_all_time_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_to_play, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_left_out_silently, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_record_before_the_first_stamp, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_rule_sets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_allocation_may_fail, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
