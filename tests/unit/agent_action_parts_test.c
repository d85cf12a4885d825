/* The parts of the actions: files, delays, and what a job holds; all with a time of their own. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/actions/action_delay.h"
#include "agent/actions/action_file.h"
#include "core/clock.h"
#include "tests/support/failing.h"

static char directory[] = "/tmp/weir-parts-XXXXXX";
static char path[64];
static const struct wr_action_place place = {"gw", "riga"};

static struct wr_ruleset *rules;
static struct wr_rule_info rule; /* of `r` */

/* Texts with labels and columns of a table, as rule files have them. */
static const char rule_text[] = "tables:\n  - {name: rooms, csv: rooms.csv, key: room}\n"
                                "rules:\n"
                                "  - {rule: r, when: t > 8, by: room, severity: low, respond: Close the door}\n"
                                "  - rule: told\n    when: t > 8\n    by: room\n    severity: low\n"
                                "    consequence: \"{room} is lost at {value}, {severity}\"\n"
                                "    respond: \"Move it to {rooms.spare}, {{now}\"\n";

static bool load_rules(void) {
    struct wr_diagnostics diagnostics;
    wr_diagnostics_init(&diagnostics);
    const enum wr_result result =
        wr_ruleset_load_text(WEIR_TEST_DATA "/rules/r.yaml", rule_text, strlen(rule_text), NULL, &diagnostics, &rules, NULL);
    wr_diagnostics_fini(&diagnostics);
    if (result == WR_OK)
        rule = wr_ruleset_info(rules, wr_ruleset_find(rules, "r"));
    return result == WR_OK;
}

static int make_directory(void **state) {
    (void)state;
    if (!mkdtemp(directory) || !load_rules())
        return -1;
    snprintf(path, sizeof path, "%s/a.log", directory);
    return 0;
}

static const char *older(unsigned number) {
    static char name[80];
    snprintf(name, sizeof name, "%s.%u", path, number);
    return name;
}

static int remove_files(void **state) {
    (void)state;
    (void)unlink(path);
    for (unsigned i = 1; i <= 4; i++)
        (void)unlink(older(i));
    return 0;
}

static int remove_directory(void **state) {
    (void)state;
    wr_ruleset_free(rules);
    return rmdir(directory);
}

static const char *content(const char *name) {
    static char text[4096];
    FILE *file = fopen(name, "r");
    text[0] = 0;
    if (file) {
        text[fread(text, 1, sizeof text - 1, file)] = 0;
        fclose(file);
    }
    return file ? text : "(none)";
}

/* -- file ------------------------------------------------------------------------------------------------------------------------------ */

static void append(const struct wr_action_file *file, const char *line) {
    struct wr_error err = {0};
    if (wr_action_file_append(file, line, strlen(line), &err) != WR_OK)
        fail_msg("%s", err.text);
}

static void lines_stand_behind_each_other_and_old_files_go(void **state) {
    (void)state;
    const struct wr_action_file file = {.path = path, .max_bytes = 8, .keep = 2};
    struct stat stat_of;
    append(&file, "one\n");
    append(&file, "two\n");
    assert_string_equal(content(path), "one\ntwo\n");
    assert_int_equal(stat(path, &stat_of), 0);
    assert_int_equal(stat_of.st_mode & 07777, 0640);
    append(&file, "three\n");
    assert_string_equal(content(path), "three\n");
    assert_string_equal(content(older(1)), "one\ntwo\n");
    append(&file, "four\n");
    append(&file, "more than fits into any\n"); /* a line is never cut */
    assert_string_equal(content(path), "more than fits into any\n");
    assert_string_equal(content(older(1)), "four\n");
    assert_string_equal(content(older(2)), "three\n");
    assert_string_equal(content(older(3)), "(none)");
    assert_int_equal(unlink(path), 0); /* somebody else rotates, too */
    append(&file, "five\n");
    assert_string_equal(content(path), "five\n");
}

static void what_is_no_file_is_refused(void **state) {
    (void)state;
    const struct wr_action_file file = {.path = path, .max_bytes = 1000, .keep = 1};
    struct wr_error err = {0};
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(wr_action_file_append(&file, "x\n", 2, &err), WR_IO);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0); /* without a reader, opening it does not wait */
    assert_int_equal(wr_action_file_append(&file, "x\n", 2, &err), WR_IO);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(wr_action_file_append(&file, "x\n", 2, &err), WR_IO);
    assert_int_equal(rmdir(path), 0);
    const struct wr_action_file nowhere = {.path = "/nowhere/a", .max_bytes = 1000, .keep = 1};
    assert_int_equal(wr_action_file_append(&nowhere, "x\n", 2, &err), WR_IO);
    assert_string_equal(err.text, "opening /nowhere/a: No such file or directory");
}

static void a_write_that_fails_leaves_no_trace(void **state) {
    (void)state;
    const struct wr_action_file file = {.path = path, .max_bytes = 1000, .keep = 1};
    struct wr_error err = {0};
    append(&file, "one\n");
    wr_failing_io(0, ENOSPC);
    assert_int_equal(wr_action_file_append(&file, "two\n", 4, &err), WR_IO);
    wr_failing_off();
    assert_non_null(strstr(err.text, "No space left on device"));
    append(&file, "three\n");
    assert_string_equal(content(path), "one\nthree\n");
}

/* -- jobs ------------------------------------------------------------------------------------------------------------------------------ */

static const char *const argv[] = {"/bin/true", "a", NULL};
static const char *const headers[] = {"X-A", "1", "X-B", "2", NULL};

static struct wr_alarm_entry entry_of(enum wr_alarm_cause cause) {
    struct wr_alarm_entry entry = {.number = 7};
    entry.alarm = (struct wr_alarm){.rule = "r",
                                    .instance = "room=A/1",
                                    .id = 0xABC,
                                    .transition = 4,
                                    .cause = (uint8_t)cause,
                                    .to = WR_ALARM_UNACK,
                                    .wall_ns = INT64_C(1772438400) * WR_NS_PER_S,
                                    .message = "two\nlines",
                                    .by_whom = "ana"};
    return entry;
}

static struct wr_action_spec spec_of(enum wr_action_kind kind) {
    struct wr_action_spec spec = {.kind = kind, .target = "t", .retry = {.tries = 2, .percent = 100, .wait_ns = 1}};
    if (kind == WR_ACTION_EXEC)
        spec.exec = (struct wr_action_exec_spec){argv, 2};
    else if (kind == WR_ACTION_MQTT)
        spec.mqtt = (struct wr_action_mqtt_spec){.topic = "a/{room}", .qos = 1};
    else if (kind == WR_ACTION_WEBHOOK)
        spec.webhook = (struct wr_action_webhook_spec){
            .url = "https://h/{room}", .method = "POST", .ca = "ca.pem", .secret_file = "s", .token_file = "k", .headers = headers};
    else if (kind == WR_ACTION_FILE)
        spec.file = (struct wr_action_file_spec){.path = "/tmp/{room}", .max_bytes = 5, .keep = 1};
    return spec;
}

static void a_job_needs_nothing_but_itself(void **state) {
    (void)state;
    static const char *const addresses[WR_ACTION_KINDS] = {"", "/bin/true", "a/A_1", "https://h/A%2F1", "/tmp/A_1"};
    for (int kind = 0; kind < WR_ACTION_KINDS; kind++)
        for (long n = 0;; n++) {
            struct wr_alarm_entry entry = entry_of(WR_ALARM_RAISED);
            struct wr_action_spec spec = spec_of((enum wr_action_kind)kind);
            struct wr_action_job *job = NULL;
            wr_failing_allocations(n);
            const enum wr_result result = wr_action_job_new(&spec, 3, &rule, &entry, &place, &job, NULL);
            const bool hit = wr_failing_hit();
            wr_failing_off();
            assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
            if (hit)
                continue;
            memset(&spec, 0xEE, sizeof spec);
            memset(&entry, 0xEE, sizeof entry);
            char delivery[WR_ACTION_DELIVERY_BYTES];
            assert_string_equal(job->address, addresses[kind]);
            assert_string_equal(job->respond, "Close the door");
            assert_null(job->consequence);
            assert_int_equal(job->turn.importance, WR_ACTION_RAISE);
            assert_int_equal(job->number, 7);
            assert_string_equal(wr_action_job_delivery(delivery, job), "0000000000000abc.4.3");
            if (kind == WR_ACTION_EXEC) {
                assert_true(job->spec.exec.argv != argv && job->spec.exec.argv[1] != argv[1]);
                assert_string_equal(job->spec.exec.argv[1], "a");
                assert_null(job->spec.exec.argv[2]);
            }
            if (kind == WR_ACTION_WEBHOOK) {
                assert_string_equal(job->spec.webhook.headers[3], "2");
                assert_null(job->spec.webhook.headers[4]);
                assert_string_equal(job->spec.webhook.ca, "ca.pem");
                assert_string_equal(job->spec.webhook.token_file, "k");
            }
            free(job);
            break;
        }
}

/* What to do and what happens else are told as they are for this alarm: by its label, and the table's row of that. */
static void names_in_the_rules_texts_are_filled_in(void **state) {
    (void)state;
    const struct wr_rule_info told = wr_ruleset_info(rules, wr_ruleset_find(rules, "told"));
    struct wr_alarm_entry entry = entry_of(WR_ALARM_RAISED);
    const struct wr_action_spec spec = spec_of(WR_ACTION_FILE);
    struct wr_action_job *job;
    snprintf(entry.alarm.instance, sizeof entry.alarm.instance, "room=A2");
    entry.alarm.has_value = true;
    entry.alarm.value = 9.5;
    assert_int_equal(wr_action_job_new(&spec, 0, &told, &entry, &place, &job, NULL), WR_OK);
    assert_string_equal(job->consequence, "A2 is lost at 9.5, low");
    assert_string_equal(job->respond, "Move it to B2, {now}");
    free(job);
}

/* Names that are empty: of a rule without levels, or that the rule file lies about. */
static void a_path_never_leads_out_of_its_directory(void **state) {
    (void)state;
    static const struct {
        const char *path;
        const char *expected; /* NULL: refused */
    } table[] = {
        {"/tmp/x/{level}../escaped", NULL}, {"/tmp/x/..{level}/escaped", NULL},
        {"/tmp/x/{level}..", NULL},         {"/tmp/x/.{level}./escaped", NULL},
        {"/tmp/x/{level}./a", NULL},        {"/tmp/x/{level}/a", NULL},
        {"/tmp/x/{level}", NULL},           {"/tmp/x/{room}../a", "/tmp/x/_.../a"},
        {"/tmp/x/{room}", "/tmp/x/_."},     {"/tmp/x/{rule}{level}", "/tmp/x/r"},
        {"/tmp/x/.{level}a", "/tmp/x/.a"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct wr_alarm_entry entry = entry_of(WR_ALARM_RAISED);
        struct wr_action_spec spec = spec_of(WR_ACTION_FILE);
        struct wr_action_job *job = NULL;
        struct wr_error err = {0};
        spec.file.path = table[i].path;
        snprintf(entry.alarm.instance, sizeof entry.alarm.instance, "room=..");
        const enum wr_result result = wr_action_job_new(&spec, 0, &rule, &entry, &place, &job, &err);
        if (result != (table[i].expected ? WR_OK : WR_INVALID) || (job && strcmp(job->address, table[i].expected) != 0))
            fail_msg("%s: %s", table[i].path, job ? job->address : err.text);
        free(job);
    }
}

static void an_address_that_is_too_long_is_refused(void **state) {
    (void)state;
    struct wr_alarm_entry entry = entry_of(WR_ALARM_RAISED);
    struct wr_action_spec spec = spec_of(WR_ACTION_MQTT);
    struct wr_action_job *job;
    struct wr_error err = {0};
    spec.mqtt.topic = "{room}/{room}/{room}/{room}/{room}";
    memset(entry.alarm.instance + 5, 'x', 100);
    assert_int_equal(wr_action_job_new(&spec, 0, &rule, &entry, &place, &job, &err), WR_INVALID);
    assert_string_equal(err.text, "the topic is too long");
}

static void what_it_says(void **state) {
    (void)state;
    struct wr_alarm_entry entry = entry_of(WR_ALARM_ACKNOWLEDGED);
    const struct wr_action_spec spec = spec_of(WR_ACTION_FILE);
    struct wr_action_job *job;
    assert_int_equal(wr_action_job_new(&spec, 0, &rule, &entry, &place, &job, NULL), WR_OK);
    for (long n = 0;; n++) {
        struct wr_buf json, line;
        wr_buf_init(&json, 0);
        wr_buf_init(&line, 0);
        wr_failing_allocations(n);
        const enum wr_result first = wr_action_job_json(job, &place, &json);
        const enum wr_result second = wr_action_job_line(job, &line);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        assert_true(hit ? first == WR_NO_MEMORY || second == WR_NO_MEMORY : first == WR_OK && second == WR_OK);
        if (!hit) {
            const char *start =
                "{\"node\":\"gw\",\"site\":\"riga\",\"respond\":\"Close the door\",\"alarm\":\"r{room=A/1}\",\"id\":\"0000000000000abc\"";
            assert_ptr_equal(strstr(wr_buf_str(&json), start), wr_buf_str(&json));
            assert_int_equal(wr_buf_str(&json)[json.len - 1], '}');
            assert_string_equal(wr_buf_str(&line), "2026-03-02T08:00:00.000Z low acknowledged r{room=A/1}: two\\x0alines (by ana)");
        }
        wr_buf_fini(&json);
        wr_buf_fini(&line);
        if (!hit)
            break;
    }
    free(job);
}

static uint64_t meaning_of(const struct wr_action_spec *spec) {
    const struct wr_alarm_entry entry = entry_of(WR_ALARM_RAISED);
    struct wr_action_job *job;
    assert_int_equal(wr_action_job_new(spec, 0, &rule, &entry, &place, &job, NULL), WR_OK);
    const uint64_t meaning = job->meaning;
    free(job);
    return meaning;
}

/* Two of one `then` that differ in anything by which somebody else is told are two: with one meaning the second would pass for one that waits already. */
static void actions_that_tell_others_are_not_the_same(void **state) {
    (void)state;
    const struct wr_action_spec hook = spec_of(WR_ACTION_WEBHOOK), file = spec_of(WR_ACTION_FILE), topic = spec_of(WR_ACTION_MQTT);
    struct wr_action_spec others[9];
    for (unsigned i = 0; i < 5; i++)
        others[i] = hook;
    others[0].webhook.token_file = "another";
    others[1].webhook.secret_file = "another";
    others[2].webhook.token_file = NULL;
    others[3].webhook.url = "https://h/b/{room}";
    others[4].webhook.headers = NULL;
    others[5] = others[6] = file;
    others[5].file.path = "/tmp/b/{room}";
    others[6].file.line = true;
    others[7] = others[8] = topic;
    others[7].mqtt.topic = "b/{room}";
    others[8].mqtt.retain = true;
    for (unsigned i = 0; i < 9; i++)
        for (unsigned k = 0; k < i; k++)
            assert_true(meaning_of(&others[i]) != meaning_of(&others[k]));
    struct wr_action_spec tried = hook;
    tried.retry.tries++;
    tried.timeout_ns++;
    assert_true(meaning_of(&tried) == meaning_of(&hook)); /* the same, however often it is tried */
    for (unsigned i = 0; i < 5; i++)
        assert_true(meaning_of(&others[i]) != meaning_of(&hook));
}

static void a_label_is_no_other_line(void **state) {
    (void)state;
    struct wr_alarm_entry entry = entry_of(WR_ALARM_RAISED);
    const struct wr_action_spec spec = spec_of(WR_ACTION_FILE);
    struct wr_action_job *job;
    struct wr_buf line;
    snprintf(entry.alarm.instance, sizeof entry.alarm.instance, "room=a\nb");
    assert_int_equal(wr_action_job_new(&spec, 0, &rule, &entry, &place, &job, NULL), WR_OK);
    wr_buf_init(&line, 0);
    assert_int_equal(wr_action_job_line(job, &line), WR_OK);
    assert_string_equal(wr_buf_str(&line), "2026-03-02T08:00:00.000Z low raised r{room=a\\x0ab}: two\\x0alines (by ana)");
    wr_buf_fini(&line);
    free(job);
}

/* -- delays ---------------------------------------------------------------------------------------------------------------------------- */

static struct wr_action_job *later(uint64_t alarm, uint32_t action, uint8_t unless, int64_t due_ns) {
    struct wr_action_job *job = calloc(1, sizeof *job);
    assert_non_null(job);
    job->turn.alarm = alarm;
    job->turn.action = action;
    job->meaning = action;
    job->turn.due_boot_ns = due_ns;
    job->spec.unless = unless;
    return job;
}

static void observe(struct wr_action_delay *delay, uint64_t alarm, enum wr_alarm_state to) {
    const struct wr_alarm transition = {.id = alarm, .to = (uint8_t)to};
    wr_action_delay_observe(delay, &transition);
}

static void later_unless_somebody_knows(void **state) {
    (void)state;
    struct wr_action_delay delay;
    assert_int_equal(wr_action_delay_init(&delay, NULL), WR_OK);
    assert_int_equal(wr_action_delay_due(&delay), WR_NEVER_NS);
    assert_null(wr_action_delay_take(&delay, WR_NEVER_NS));
    assert_int_equal(wr_action_delay_put(&delay, later(1, 0, WR_ACTION_UNLESS_ACKED, 300)), WR_OK);
    assert_int_equal(wr_action_delay_put(&delay, later(1, 1, WR_ACTION_UNLESS_CLEARED, 200)), WR_OK);
    assert_int_equal(wr_action_delay_put(&delay, later(2, 0, 0, 100)), WR_OK);
    struct wr_action_job *second = later(1, 0, WR_ACTION_UNLESS_ACKED, 900);
    assert_int_equal(wr_action_delay_put(&delay, second), WR_EXISTS); /* raised again: the first one stands */
    free(second);
    observe(&delay, 1, WR_ALARM_UNACK); /* the raise itself */
    assert_int_equal(delay.n, 3);
    observe(&delay, 1, WR_ALARM_RTN_UNACK); /* over, and nobody knows */
    assert_int_equal(delay.n, 2);
    observe(&delay, 2, WR_ALARM_NORMAL); /* in any case */
    assert_int_equal(delay.n, 2);
    assert_int_equal(wr_action_delay_due(&delay), 100);
    struct wr_action_job *due = wr_action_delay_take(&delay, 100);
    assert_int_equal(due->turn.alarm, 2);
    free(due);
    assert_null(wr_action_delay_take(&delay, 299));
    observe(&delay, 1, WR_ALARM_ACKED);
    assert_int_equal(delay.n, 0);
    assert_int_equal(delay.needless, 2);
    for (uint32_t i = 0; i < WR_ACTION_DELAYS; i++)
        assert_int_equal(wr_action_delay_put(&delay, later(i, 0, 0, i)), WR_OK);
    struct wr_action_job *more = later(WR_ACTION_DELAYS, 0, 0, 0);
    assert_int_equal(wr_action_delay_put(&delay, more), WR_FULL);
    free(more);
    wr_action_delay_fini(&delay);
}

/* `at: [raised, cleared]` with `after`: each is told, in their order; the same once more is not. */
static void each_moment_waits_for_its_own_time(void **state) {
    (void)state;
    static const enum wr_alarm_cause causes[] = {WR_ALARM_RAISED, WR_ALARM_RAISED, WR_ALARM_CLEARED, WR_ALARM_CLEARED, WR_ALARM_RAISED};
    static const enum wr_alarm_cause told[] = {WR_ALARM_RAISED, WR_ALARM_CLEARED, WR_ALARM_RAISED};
    struct wr_action_delay delay;
    assert_int_equal(wr_action_delay_init(&delay, NULL), WR_OK);
    for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++) {
        struct wr_action_job *job = later(1, 0, 0, (int64_t)i);
        job->alarm.cause = (uint8_t)causes[i];
        const bool again = i > 0 && causes[i] == causes[i - 1];
        assert_int_equal(wr_action_delay_put(&delay, job), again ? WR_EXISTS : WR_OK);
        if (again)
            free(job);
    }
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
        struct wr_action_job *job = wr_action_delay_take(&delay, WR_NEVER_NS);
        assert_int_equal(job->alarm.cause, told[i]);
        free(job);
    }
    assert_int_equal(delay.n, 0);
    wr_action_delay_fini(&delay);
}

/* The meaning of `unless`, state by state. */
static void each_state_is_acked_or_cleared_or_not(void **state) {
    (void)state;
    static const struct {
        bool acked;
        bool cleared;
    } table[WR_ALARM_STATES] = {
        [WR_ALARM_NORMAL] = {true, true},      [WR_ALARM_PENDING] = {false, true},   [WR_ALARM_UNACK] = {false, false},
        [WR_ALARM_ACKED] = {true, false},      [WR_ALARM_RTN_UNACK] = {false, true}, [WR_ALARM_LATCHED_UNACK] = {false, true},
        [WR_ALARM_LATCHED_ACK] = {true, true},
    };
    for (int to = 0; to < WR_ALARM_STATES; to++) {
        assert_false(wr_action_is_needless(0, (enum wr_alarm_state)to));
        assert_int_equal(wr_action_is_needless(WR_ACTION_UNLESS_ACKED, (enum wr_alarm_state)to), table[to].acked);
        assert_int_equal(wr_action_is_needless(WR_ACTION_UNLESS_CLEARED, (enum wr_alarm_state)to), table[to].cleared);
        assert_int_equal(wr_action_is_needless(WR_ACTION_UNLESS_ACKED | WR_ACTION_UNLESS_CLEARED, (enum wr_alarm_state)to),
                         table[to].acked || table[to].cleared);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(lines_stand_behind_each_other_and_old_files_go, remove_files),
        cmocka_unit_test_teardown(what_is_no_file_is_refused, remove_files),
        cmocka_unit_test_teardown(a_write_that_fails_leaves_no_trace, remove_files),
        cmocka_unit_test(a_job_needs_nothing_but_itself),
        cmocka_unit_test(names_in_the_rules_texts_are_filled_in),
        cmocka_unit_test(a_path_never_leads_out_of_its_directory),
        cmocka_unit_test(an_address_that_is_too_long_is_refused),
        cmocka_unit_test(what_it_says),
        cmocka_unit_test(actions_that_tell_others_are_not_the_same),
        cmocka_unit_test(a_label_is_no_other_line),
        cmocka_unit_test(later_unless_somebody_knows),
        cmocka_unit_test(each_moment_waits_for_its_own_time),
        cmocka_unit_test(each_state_is_acked_or_cleared_or_not),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
