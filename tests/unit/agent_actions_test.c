/* The actions' thread: what is logged by default, programs that run and overrun, publishes that wait for the journal, a queue that is full. */
#include <sched.h>
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

#include "agent/actions/actions.h"
#include "core/log.h"
#include "tests/support/failing.h"
#include "tests/support/threads.h"
#include "tests/support/waiting.h"

static struct wr_actions actions;
static struct wr_ruleset *rules;
static struct wr_channel *publish;
static struct wr_channel *journal;
static char directory[] = "/tmp/weir-actions-XXXXXX";
static _Atomic uint64_t journalled; /* numbers up to this one are on disk */
static _Atomic uint64_t asked;      /* how often that was asked for */

static bool is_journalled(void *user, uint64_t number) {
    (void)user;
    asked++;
    return number <= journalled;
}

static void drop_direct(void *element, void *user) {
    (void)user;
    free(((struct wr_uplink_direct *)element)->payload);
}

static const char *file_in(const char *name) {
    static char path[2][128];
    static unsigned turn;
    turn ^= 1;
    snprintf(path[turn], sizeof path[turn], "%s/%s", directory, name);
    return path[turn];
}

static void write_script(const char *name, const char *body) {
    FILE *file = fopen(file_in(name), "w");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\n%s", body);
    fclose(file);
    assert_int_equal(chmod(file_in(name), 0700), 0);
}

static int make_directory(void **state) {
    (void)state;
    wr_log_configure(WR_LOG_ERROR, WR_LOG_LOGFMT, 2);
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state) {
    (void)state;
    static const char *const names[] = {"told.sh", "told", "told.new", "fails.sh", "lines"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)unlink(file_in(names[i]));
    return rmdir(directory);
}

static struct wr_ruleset *load(const char *text) {
    static char allowed[2][128];
    snprintf(allowed[0], sizeof allowed[0], "%s/told.sh", directory);
    snprintf(allowed[1], sizeof allowed[1], "%s/fails.sh", directory);
    const char *const list[] = {allowed[0], allowed[1]};
    const char *const directories[] = {directory};
    const struct wr_ruleset_options options = {.exec_allow = list, .n_exec_allow = 2, .file_allow = directories, .n_file_allow = 1};
    struct wr_diagnostics diagnostics;
    struct wr_ruleset *loaded = NULL;
    wr_diagnostics_init(&diagnostics);
    assert_int_equal(wr_ruleset_load_text("rules.yaml", text, strlen(text), &options, &diagnostics, &loaded, NULL), WR_OK);
    wr_diagnostics_fini(&diagnostics);
    return loaded;
}

/* A rule `hot` with these actions; nothing runs yet. */
static void prepare(const char *then) {
    char text[1024];
    const struct wr_channel_options options = {.name = "publish",
                                               .capacity = 4,
                                               .element_bytes = sizeof(struct wr_uplink_direct),
                                               .policy = WR_CHANNEL_REJECT,
                                               .drop = drop_direct};
    snprintf(text, sizeof text, "rules:\n  - rule: hot\n    when: temp > 50\n    severity: low\n    respond: go\n%s%s",
             *then ? "    then:\n" : "", then);
    rules = load(text);
    const struct wr_channel_options letters = {
        .name = "journal", .capacity = 64, .element_bytes = sizeof(struct wr_alarm_entry), .policy = WR_CHANNEL_REJECT};
    assert_int_equal(wr_channel_new(&options, &publish, NULL), WR_OK);
    assert_int_equal(wr_channel_new(&letters, &journal, NULL), WR_OK);
    journalled = asked = 0;
    actions = (struct wr_actions){.clock = wr_clock_real(), .place = {"gw", "riga"}, .journalled = is_journalled, .journal = journal};
    assert_int_equal(wr_actions_init(&actions, NULL), WR_OK);
    wr_actions_use(&actions, rules, 0);
    wr_actions_publish_to(&actions, publish);
}

static void start(void) {
    assert_int_equal(wr_actions_start(&actions, NULL), WR_OK);
}

static void begin(const char *then) {
    prepare(then);
    start();
}

static void end(void) {
    assert_int_equal(wr_actions_stop(&actions, WR_NEVER_NS), WR_OK);
}

static int tear_down(void **state) {
    (void)state;
    wr_actions_fini(&actions);
    wr_channel_free(publish);
    wr_channel_free(journal);
    wr_ruleset_free(rules);
    return 0;
}

static struct wr_alarm_entry transition(enum wr_alarm_cause cause, uint64_t number) {
    struct wr_alarm_entry entry = {.number = number};
    struct wr_alarm *alarm = &entry.alarm;
    snprintf(alarm->rule, sizeof alarm->rule, "hot");
    alarm->cause = (uint8_t)cause;
    alarm->to = WR_ALARM_UNACK;
    alarm->transition = number ? number : 1;
    alarm->has_value = true;
    alarm->value = 61.5;
    alarm->decided_boot_ns = wr_clock_boot_ns(wr_clock_real());
    snprintf(alarm->message, sizeof alarm->message, "too hot; $(touch /tmp/x)");
    return entry;
}

static void send(enum wr_alarm_cause cause, uint64_t number) {
    const struct wr_alarm_entry entry = transition(cause, number);
    assert_int_equal(wr_channel_send(actions.transitions, &entry, WR_NEVER_NS), WR_OK);
}

static struct wr_uplink_direct receive(void) {
    struct wr_uplink_direct direct;
    assert_int_equal(wr_channel_recv(publish, &direct, WR_NEVER_NS), WR_OK);
    return direct;
}

static bool says(const struct wr_uplink_direct *direct, const char *text) {
    return memmem(direct->payload, direct->payload_len, text, strlen(text)) != NULL;
}

static void wait_for(const _Atomic uint64_t *counter, uint64_t value) {
    const struct timespec pause = {0, WR_NS_PER_MS};
    while (*counter < value)
        (void)nanosleep(&pause, NULL);
}

/* -- log ------------------------------------------------------------------------------------------------------------------------------- */

static void a_rule_without_actions_is_logged(void **state) {
    (void)state;
    begin("");
    send(WR_ALARM_RAISED, 1);
    send(WR_ALARM_REPEATED, 2); /* not by default */
    send(WR_ALARM_ACKNOWLEDGED, 3);
    send(WR_ALARM_CLEARED, 4);
    struct wr_alarm_entry historic = transition(WR_ALARM_RAISED, 5);
    historic.alarm.historic = true; /* drives nothing */
    assert_int_equal(wr_channel_send(actions.transitions, &historic, WR_NEVER_NS), WR_OK);
    end();
    assert_int_equal(actions.logged, 3);
}

static void actions_go_by_cause(void **state) {
    (void)state;
    begin("      - {at: [cleared], log: true}\n");
    send(WR_ALARM_RAISED, 1);
    send(WR_ALARM_CLEARED, 2);
    end();
    assert_int_equal(actions.logged, 1);
}

/* A reload: what was made before it is still on its way to the actions, what the new rules make comes right behind. */
static void each_transition_finds_the_rules_that_made_it(void **state) {
    (void)state;
    prepare("      - {at: [raised, rule_changed], log: true}\n");
    struct wr_ruleset *former = rules;
    char text[256];
    snprintf(text, sizeof text,
             "rules:\n  - {rule: cold, when: temp < 5, severity: low, respond: go, then: [{at: [raised], file: {path: \"%s/lines\"}}]}\n",
             directory);
    struct wr_alarm_entry cold = transition(WR_ALARM_RAISED, 4);
    snprintf(cold.alarm.rule, sizeof cold.alarm.rule, "cold");
    send(WR_ALARM_RAISED, 1);
    send(WR_ALARM_REPEATED, 2); /* nobody asks for it */
    rules = load(text);
    wr_actions_use(&actions, rules, 3);
    send(WR_ALARM_RULE_CHANGED, 3);
    assert_int_equal(wr_channel_send(actions.transitions, &cold, WR_NEVER_NS), WR_OK);
    assert_ptr_equal(actions.rules, former);
    start();
    wr_actions_await_use(&actions);
    wr_ruleset_free(former); /* in use no more */
    wait_for(&actions.kinds[WR_ACTION_FILE].done, 1);
    assert_int_equal(actions.logged, 2);
    wr_actions_use(&actions, rules, 4); /* nothing is on its way: at once */
    assert_null(actions.next_rules);
    wr_actions_await_use(&actions);
    end();
    assert_int_equal(actions.failed, 0);
}

/* -- exec ------------------------------------------------------------------------------------------------------------------------------ */

static void a_program_learns_of_the_alarm_in_its_environment(void **state) {
    (void)state;
    char then[256], body[512], text[512] = "";
    snprintf(then, sizeof then, "      - {at: [raised], exec: {argv: [%s/told.sh, \"{value}\"]}}\n", directory);
    snprintf(body, sizeof body,
             "echo \"$#|$1|$WEIR_RULE|$WEIR_CAUSE|$WEIR_VALUE|$WEIR_MESSAGE|$HOME|$(ls /proc/$$/fd | tr '\\n' ' ')\" > %s/told.new\n"
             "mv %s/told.new %s/told\n",
             directory, directory, directory);
    write_script("told.sh", body);
    begin(then);
    send(WR_ALARM_RAISED, 1);
    wait_for(&actions.programs_started, 1);
    const struct timespec pause = {0, WR_NS_PER_MS};
    while (access(file_in("told"), F_OK) < 0)
        (void)nanosleep(&pause, NULL);
    end();
    FILE *file = fopen(file_in("told"), "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    fclose(file);
    /* Texts as they are; no descriptor but 0 to 2 and the script's own. */
    assert_ptr_equal(strstr(text, "1|{value}|hot|raised|61.5|too hot; $(touch /tmp/x)||0 1 "), text);
    assert_int_equal(actions.failed, 0);
}

/* As long as a rule may make them, and not cut within a character. */
static void a_program_gets_long_texts_whole(void **state) {
    (void)state;
    char rule[1400], long_text[601], body[256], text[2048] = "";
    for (size_t i = 0; i + 1 < sizeof long_text; i += 2)
        memcpy(long_text + i, "\xC3\xA4", 3);
    snprintf(rule, sizeof rule,
             "rules:\n  - {rule: hot, when: temp > 50, severity: low, respond: \"%s\", consequence: \"%s.\", then: [{exec: {argv: "
             "[%s/told.sh]}}]}\n",
             long_text, long_text, directory);
    snprintf(body, sizeof body, "echo \"$WEIR_RESPOND$WEIR_CONSEQUENCE$WEIR_WHY$WEIR_LIMIT\" > %s/told\n", directory);
    write_script("told.sh", body);
    prepare("");
    wr_ruleset_free(rules);
    rules = load(rule);
    wr_actions_use(&actions, rules, 0);
    start();
    struct wr_alarm_entry entry = transition(WR_ALARM_RAISED, 1);
    snprintf(entry.alarm.why, sizeof entry.alarm.why, "ticket 7");
    entry.alarm.has_limit = true; /* the last of all */
    entry.alarm.limit = 50;
    assert_int_equal(wr_channel_send(actions.transitions, &entry, WR_NEVER_NS), WR_OK);
    wait_for(&actions.kinds[WR_ACTION_EXEC].done, 1);
    end();
    FILE *file = fopen(file_in("told"), "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    fclose(file);
    snprintf(rule, sizeof rule, "%s%s.ticket 750\n", long_text, long_text);
    assert_string_equal(text, rule);
}

static void a_program_that_fails_is_counted(void **state) {
    (void)state;
    char then[256];
    snprintf(then, sizeof then, "      - {at: [raised], exec: {argv: [%s/fails.sh]}}\n", directory);
    write_script("fails.sh", "exit 3\n");
    begin(then);
    send(WR_ALARM_RAISED, 1);
    wait_for(&actions.programs_failed, 1);
    assert_int_equal(unlink(file_in("fails.sh")), 0);
    send(WR_ALARM_RAISED, 2); /* not there any more: it cannot be started */
    wait_for(&actions.programs_failed, 2);
    end();
    const bool emulated = getenv("WEIR_EMULATED") != NULL; /* qemu-user starts what is not there, and it ends with 127 */
    assert_int_equal(actions.programs_started, emulated ? 2 : 1);
    assert_int_equal(actions.failed, 2);
    assert_int_equal(actions.kinds[WR_ACTION_EXEC].dead, 2);
}

static long number_in(const char *path) {
    long number = 0;
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld", &number), 1);
    fclose(file);
    return number;
}

/* One that was killed and that nobody has collected yet is alive no more. */
static bool is_alive(long pid) {
    char path[64], state = 'Z';
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    bool known = fscanf(file, "%*d %*s %c", &state) == 1;
    fclose(file);
    return known && state != 'Z' && state != 'X';
}

#define TIME_NS (10 * WR_NS_PER_S)

static void was_killed(void *user, void *tag, int status, bool killed) {
    assert_non_null(user);
    assert_true(killed);
    assert_true(WIFSIGNALED(status));
    *(bool *)tag = true;
}

/* A group of two: a shell, and what it waits for. The clock is an argument, so ten seconds pass at once. */
static void a_program_that_overruns_is_killed_with_its_children(void **state) {
    (void)state;
    char script[256];
    snprintf(script, sizeof script, "sleep 1000 & echo $! > %s/told.new && mv %s/told.new %s/told; wait", directory, directory, directory);
    char *const argv[] = {"/bin/sh", "-c", script, NULL};
    char *const variables[] = {"PATH=/usr/bin:/bin", NULL};
    struct wr_children children;
    bool told = false;
    wr_children_init(&children, was_killed, &children);
    (void)unlink(file_in("told"));
    const struct wr_children_start start = {.argv = argv, .variables = variables, .time_ns = TIME_NS, .tag = &told};
    assert_int_equal(wr_children_start(&children, &start, 0, NULL), WR_OK);
    const struct timespec pause = {0, WR_NS_PER_MS};
    while (access(file_in("told"), F_OK) < 0)
        (void)nanosleep(&pause, NULL);
    long sleeper = number_in(file_in("told"));
    assert_int_equal(wr_children_look(&children, TIME_NS - 1), TIME_NS - 1 + WR_CHILDREN_LOOK_NS);
    assert_int_equal(children.killed, 0);
    (void)wr_children_look(&children, TIME_NS);
    assert_int_equal(children.killed, 1);
    while (wr_children_look(&children, TIME_NS) != WR_NEVER_NS) {
    }
    assert_int_equal(children.failed, 1);
    assert_int_equal(children.killed, 1);
    assert_true(told);
    while (is_alive(sleeper))
        (void)nanosleep(&pause, NULL);
}

/* A program that does not begin, as on a file system that hangs: other actions go on, and other programs begin. */
static void a_program_that_does_not_begin_holds_up_nothing(void **state) {
    (void)state;
    char then[384], hangs[128];
    const unsigned threads = wr_threads_count();
    const uint64_t n = WR_CHILDREN_MAX + 3; /* more than can run: they wait, the rest goes on */
    snprintf(hangs, sizeof hangs, "%s/fails.sh", directory);
    snprintf(then, sizeof then,
             "      - {at: [raised], exec: {argv: [%s]}}\n      - {at: [raised], log: true}\n      - {at: [cleared], exec: {argv: "
             "[%s/told.sh]}}\n",
             hangs, directory);
    write_script("fails.sh", "exit 0\n");
    write_script("told.sh", "exit 0\n");
    begin(then);
    wr_failing_hold_spawn(hangs);
    for (uint64_t i = 1; i <= n; i++) {
        send(WR_ALARM_RAISED, i);
        wait_for(&actions.logged, i);
    }
    while (wr_pool_counters(actions.starters)->busy < WR_ACTIONS_STARTERS / 2) /* each has its own thread */
        (void)sched_yield();
    for (uint64_t i = 1; i <= n; i++)
        send(WR_ALARM_CLEARED, n + i);
    wait_for(&actions.kinds[WR_ACTION_EXEC].done, n);
    assert_int_equal(wr_pool_counters(actions.starters)->busy, WR_ACTIONS_STARTERS / 2);
    assert_int_equal(actions.kinds[WR_ACTION_EXEC].queued, n);
    wr_failing_hold_spawn(NULL);
    wait_for(&actions.kinds[WR_ACTION_EXEC].done, 2 * n);
    end();
    assert_int_equal(actions.failed, 0);
    assert_int_equal(actions.programs_failed, 0);
    (void)tear_down(NULL);
    wr_threads_expect(threads);
}

static void a_start_without_memory_fails_and_the_next_one_works(void **state) {
    (void)state;
    char then[256];
    snprintf(then, sizeof then, "      - {at: [raised], exec: {argv: [%s/fails.sh, one, two]}}\n", directory);
    write_script("fails.sh", "exit 0\n");
    for (long n = 0;; n++) {
        begin(then);
        wr_failing_allocations(n);
        send(WR_ALARM_RAISED, 1);
        while (actions.programs_started + actions.failed < 1)
            (void)sched_yield();
        const bool hit = wr_failing_hit();
        wr_failing_off();
        assert_true(actions.failed <= hit);
        send(WR_ALARM_RAISED, 2);
        while (actions.programs_started + actions.failed < 2)
            (void)sched_yield();
        end();
        assert_true(actions.programs_started >= 1);
        (void)tear_down(NULL);
        if (!hit)
            return;
    }
}

static void at_most_so_many_run_at_once(void **state) {
    (void)state;
    char *const argv[] = {"/bin/sleep", "1000", NULL};
    char *const variables[] = {NULL};
    struct wr_children children;
    struct wr_error err = {0};
    const struct wr_children_start start = {.argv = argv, .variables = variables, .time_ns = TIME_NS};
    wr_children_init(&children, NULL, NULL);
    for (int i = 0; i < WR_CHILDREN_MAX; i++)
        assert_int_equal(wr_children_start(&children, &start, 0, NULL), WR_OK);
    assert_int_equal(wr_children_start(&children, &start, 0, &err), WR_LIMIT);
    wr_children_fini(&children); /* none is left */
    assert_int_equal(children.alive, 0);
}

/* -- mqtt ------------------------------------------------------------------------------------------------------------------------------ */

#define MQTT "      - {at: [raised, cleared], mqtt: {topic: \"alarm/{site}/{rule}\", qos: 1}}\n"

static void a_publish_waits_for_the_journal(void **state) {
    (void)state;
    begin(MQTT);
    journalled = 1;
    send(WR_ALARM_RAISED, 1);
    struct wr_uplink_direct direct = receive();
    assert_string_equal(direct.topic, "alarm/riga/hot");
    assert_int_equal(direct.qos, 1);
    assert_true(says(&direct, "\"journalled\":true"));
    free(direct.payload);
    end();
    assert_int_equal(actions.unjournalled, 0);
    assert_int_equal(actions.published, 1);
}

static void a_journal_that_does_not_come_is_not_waited_for_for_ever(void **state) {
    (void)state;
    begin(MQTT);
    send(WR_ALARM_RAISED, 1);
    struct wr_uplink_direct direct = receive();
    assert_true(says(&direct, "\"journalled\":false"));
    assert_true(asked > 1); /* it was looked at more than once before that */
    free(direct.payload);
    send(WR_ALARM_RAISED, 0); /* the journal had no room for it: there is nothing to wait for */
    direct = receive();
    assert_true(says(&direct, "\"journalled\":false"));
    free(direct.payload);
    end();
    assert_int_equal(actions.unjournalled, 2);
}

static void what_a_stop_leaves_undone_is_a_dead_letter(void **state) {
    (void)state;
    begin(MQTT);
    wr_actions_publish_to(&actions, NULL);
    for (uint64_t i = 1; i <= 20; i++)
        send(WR_ALARM_RAISED, i);
    end();
    assert_int_equal(actions.failed, 20);
    assert_int_equal(actions.unjournalled, 20);
    assert_int_equal(actions.kinds[WR_ACTION_MQTT].dead, 20);
    assert_int_equal(actions.kinds[WR_ACTION_MQTT].queued, 0);
    struct wr_alarm_entry entry;
    for (uint64_t i = 0; i < 20; i++) {
        assert_int_equal(wr_channel_try_recv(journal, &entry), WR_OK);
        assert_true(entry.note);
        assert_int_equal(entry.alarm.cause, WR_ALARM_ACTION_FAILED);
        assert_non_null(strstr(entry.alarm.message, "mqtt alarm/riga/hot of raised: "));
    }
    assert_int_equal(wr_channel_try_recv(journal, &entry), WR_EMPTY);
}

static void an_uplink_that_takes_nothing_holds_up_nothing(void **state) {
    (void)state;
    begin("      - {at: [raised], log: true}\n      - {at: [raised], mqtt: {topic: \"a\"}}\n");
    journalled = 100;
    for (uint64_t i = 1; i <= 10; i++)
        send(WR_ALARM_RAISED, i);
    wait_for(&actions.logged, 10);
    wait_for(&actions.published, 4); /* the channel has no more room */
    free(receive().payload);
    wait_for(&actions.published, 5);
    end();
    assert_int_equal(actions.published, 5);
    assert_int_equal(actions.failed, 5);
    assert_int_equal(actions.kinds[WR_ACTION_MQTT].done, 0); /* it never said that it has them */
}

static void the_uplink_tells_what_became_of_it(void **state) {
    (void)state;
    begin(MQTT);
    journalled = 100;
    send(WR_ALARM_RAISED, 1);
    send(WR_ALARM_RAISED, 2);
    struct wr_uplink_direct first = receive(), second = receive();
    wr_actions_published(&actions, first.id, true);
    wr_actions_published(&actions, second.id, false);
    wait_for(&actions.kinds[WR_ACTION_MQTT].done, 1);
    wait_for(&actions.kinds[WR_ACTION_MQTT].dead, 1);
    free(first.payload);
    free(second.payload);
    end();
}

static void another_uplink_gets_what_the_former_one_had_not_delivered(void **state) {
    (void)state;
    begin(MQTT);
    journalled = 100;
    send(WR_ALARM_RAISED, 1);
    struct wr_uplink_direct before = receive();
    wr_actions_publish_to(&actions, NULL);
    wr_actions_publish_to(&actions, publish);
    struct wr_uplink_direct after = receive();
    assert_string_equal(before.topic, after.topic);
    wr_actions_published(&actions, before.id, true); /* too late: nobody waits for that one */
    wr_actions_published(&actions, after.id, true);
    wait_for(&actions.kinds[WR_ACTION_MQTT].done, 1);
    free(before.payload);
    free(after.payload);
    end();
    assert_int_equal(actions.kinds[WR_ACTION_MQTT].done, 1);
    assert_int_equal(actions.failed, 0);
}

static void a_state_topic_is_taken_away_when_the_alarm_is_normal(void **state) {
    (void)state;
    begin("      - {mqtt: {topic: \"state/{rule}\", retain: true, clear: true}}\n");
    journalled = 100;
    send(WR_ALARM_RAISED, 1);
    struct wr_alarm_entry normal = transition(WR_ALARM_CLEARED, 2);
    normal.alarm.to = WR_ALARM_NORMAL;
    normal.alarm.silent = WR_ALARM_SILENT_SHELVED; /* silence does not leave a state behind that is over */
    assert_int_equal(wr_channel_send(actions.transitions, &normal, WR_NEVER_NS), WR_OK);
    struct wr_uplink_direct raised = receive();
    wait_for(&actions.kinds[WR_ACTION_MQTT].queued,
             2); /* one behind the other: else a broker that refuses the first for a while has them in the wrong order */
    assert_int_equal(actions.published, 1);
    wr_actions_published(&actions, raised.id, true);
    struct wr_uplink_direct cleared = receive();
    assert_true(raised.retained && raised.payload_len > 0);
    assert_true(says(&raised, "\"node\":\"gw\",\"site\":\"riga\",\"respond\":\"go\",\"alarm\":\"hot\""));
    assert_true(cleared.retained && cleared.payload_len == 0);
    free(raised.payload);
    end();
}

/* While there is no uplink, as in a reload: the order stays, and a state topic is told only what is. */
static void what_waits_for_an_uplink_keeps_its_order(void **state) {
    (void)state;
    prepare(MQTT "      - {mqtt: {topic: \"state/{rule}\", retain: true}}\n");
    wr_actions_publish_to(&actions, NULL);
    start();
    send(WR_ALARM_RAISED, 1); /* not journalled: counted once, however often it is looked at */
    wait_for(&actions.unjournalled, 1);
    send(WR_ALARM_CLEARED, 0);
    wait_for(&actions.kinds[WR_ACTION_MQTT].repeats, 1);
    wait_for(&actions.kinds[WR_ACTION_MQTT].queued, 3);
    wr_actions_publish_to(&actions, publish);
    static const char *const expected[][2] = {{"alarm/riga/hot", "raised"}, {"alarm/riga/hot", "cleared"}, {"state/hot", "cleared"}};
    for (size_t i = 0; i < 3; i++) {
        struct wr_uplink_direct direct = receive();
        assert_string_equal(direct.topic, expected[i][0]);
        assert_true(says(&direct, expected[i][1]));
        free(direct.payload);
    }
    end();
    assert_int_equal(actions.unjournalled, 3);
    assert_int_equal(actions.failed, 0);
}

static void a_silenced_alarm_drives_only_what_asks_for_that(void **state) {
    (void)state;
    begin("      - {at: [raised, shelved, cleared], log: true}\n");
    struct wr_alarm_entry entry = transition(WR_ALARM_RAISED, 1);
    entry.alarm.silent = WR_ALARM_SILENT_SHELVED;
    assert_int_equal(wr_channel_send(actions.transitions, &entry, WR_NEVER_NS), WR_OK);
    entry.alarm.cause = WR_ALARM_CLEARED;
    assert_int_equal(wr_channel_send(actions.transitions, &entry, WR_NEVER_NS), WR_OK);
    entry.alarm.cause = WR_ALARM_SHELVED;
    assert_int_equal(wr_channel_send(actions.transitions, &entry, WR_NEVER_NS), WR_OK);
    end();
    assert_int_equal(actions.logged, 1);
}

static void without_an_uplink_a_publish_fails(void **state) {
    (void)state;
    begin(MQTT);
    wr_actions_publish_to(&actions, NULL);
    journalled = 1;
    send(WR_ALARM_RAISED, 1);
    end();
    assert_int_equal(actions.published, 0);
    assert_int_equal(actions.failed, 1);
}

/* -- tries and files ------------------------------------------------------------------------------------------------------------------- */

static void a_program_is_tried_again_as_the_rule_says(void **state) {
    (void)state;
    char then[256], body[256];
    snprintf(then, sizeof then, "      - {at: [raised], exec: {argv: [%s/fails.sh]}, retry: \"4 10ms x2\"}\n", directory);
    snprintf(body, sizeof body, "echo x >> %s/told\n[ $(wc -l < %s/told) -ge 3 ]\n", directory, directory);
    (void)unlink(file_in("told"));
    write_script("fails.sh", body);
    begin(then);
    send(WR_ALARM_RAISED, 1);
    wait_for(&actions.kinds[WR_ACTION_EXEC].done, 1);
    end();
    assert_int_equal(actions.kinds[WR_ACTION_EXEC].retried, 2);
    assert_int_equal(actions.programs_started, 3);
    assert_int_equal(actions.failed, 0);
}

static void a_line_without_memory_is_a_dead_letter_and_the_next_one_is_written(void **state) {
    (void)state;
    char then[256];
    snprintf(then, sizeof then, "      - {at: [raised], file: {path: \"%s/lines\"}, retry: \"1\"}\n", directory);
    for (long n = 0;; n++) {
        begin(then);
        wr_failing_allocations(n);
        send(WR_ALARM_RAISED, 1);
        while (actions.kinds[WR_ACTION_FILE].done + actions.failed < 1)
            (void)sched_yield();
        const bool hit = wr_failing_hit();
        wr_failing_off();
        assert_true(actions.failed <= hit);
        send(WR_ALARM_RAISED, 2);
        while (actions.kinds[WR_ACTION_FILE].done + actions.failed < 2)
            (void)sched_yield();
        end();
        assert_true(actions.kinds[WR_ACTION_FILE].done >= 1);
        assert_int_equal(actions.kinds[WR_ACTION_FILE].queued, 0);
        (void)tear_down(NULL);
        if (!hit)
            return;
    }
}

/* -- after a restart ------------------------------------------------------------------------------------------------------------------- */

static void resume(enum wr_alarm_state state, int64_t since_s) {
    struct wr_alarm_entry entry = transition((enum wr_alarm_cause)0, 0);
    entry.alarm.to = (uint8_t)state;
    entry.alarm.wall_ns = wr_clock_wall_ns(wr_clock_real()) - since_s * WR_NS_PER_S;
    assert_int_equal(wr_channel_send(actions.transitions, &entry, WR_NEVER_NS), WR_OK);
}

static void what_waited_before_a_restart_waits_on(void **state) {
    (void)state;
    begin("      - {after: 10m, unless: acked, log: true}\n      - {after: 10m, log: true}\n      - {log: true}\n");
    resume(WR_ALARM_PENDING, 60);
    resume(WR_ALARM_ACKED, 3600);
    resume(WR_ALARM_UNACK, 3600); /* its time came meanwhile, and nobody has acknowledged it */
    wait_for(&actions.logged, 1);
    resume(WR_ALARM_UNACK, 60);
    wait_for(&actions.delayed, 2);
    end();
    assert_int_equal(actions.logged, 1);
    assert_int_equal(actions.failed, 0);
}

/* It was raised some time before it ended: what was to follow the raise in any case has been done, or not; nobody knows. */
static void what_a_raise_made_wait_is_not_told_anew_of_an_alarm_that_ended(void **state) {
    (void)state;
    begin("      - {after: 10m, log: true}\n      - {after: 10m, unless: acked, log: true}\n");
    resume(WR_ALARM_RTN_UNACK, 60);
    wait_for(&actions.delayed, 1);
    end();
    assert_int_equal(actions.delay.n, 1); /* somebody still needs to acknowledge it */
    assert_int_equal(actions.delay.jobs[0]->turn.action, 1);
}

/* A reload that puts another action before one that waits: the new one waits too, and the old one is not told twice. */
static void what_waits_is_known_wherever_it_stands_in_then(void **state) {
    (void)state;
    static const char text[] =
        "rules:\n  - {rule: hot, when: temp > 50, severity: low, respond: go, then: [%s{after: 10m, unless: acked, log: true}]}\n";
    char before[512], after[512];
    snprintf(before, sizeof before, text, "");
    snprintf(after, sizeof after, text, "{after: 20m, log: true}, ");
    prepare("");
    wr_ruleset_free(rules);
    rules = load(before);
    wr_actions_use(&actions, rules, 0);
    start();
    struct wr_alarm_entry entry = transition(WR_ALARM_RAISED, 1);
    assert_int_equal(wr_channel_send(actions.transitions, &entry, WR_NEVER_NS), WR_OK);
    wait_for(&actions.delayed, 1);
    struct wr_ruleset *moved = load(after);
    wr_actions_use(&actions, moved, 1);
    wr_actions_await_use(&actions);
    wr_ruleset_free(rules);
    rules = moved;
    entry = transition(WR_ALARM_RAISED, 2);
    assert_int_equal(wr_channel_send(actions.transitions, &entry, WR_NEVER_NS), WR_OK);
    wait_for(&actions.delayed, 2);
    end();
    assert_int_equal(actions.delay.n, 2);
    assert_int_equal(actions.delay.jobs[0]->spec.after_ns, 600 * WR_NS_PER_S);
    assert_int_equal(actions.delay.jobs[1]->spec.after_ns, 1200 * WR_NS_PER_S);
}

/* Acknowledged as it was raised: that says nothing about who knows. */
static void of_an_alarm_that_nobody_acknowledges_it_waits_on(void **state) {
    (void)state;
    static const char text[] =
        "rules:\n  - {rule: hot, when: temp > 50, severity: low, respond: go, auto_ack: true, then: [{after: 10m, log: true}]}\n";
    prepare("");
    wr_ruleset_free(rules);
    rules = load(text);
    wr_actions_use(&actions, rules, 0);
    start();
    resume(WR_ALARM_ACKED, 60);
    wait_for(&actions.delayed, 1);
    end();
    assert_int_equal(actions.delay.n, 1);
}

/* -- memory ---------------------------------------------------------------------------------------------------------------------------- */

static void init_without_memory_leaves_nothing_behind(void **state) {
    (void)state;
    for (long n = 0;; n++) {
        struct wr_error err = {0};
        actions = (struct wr_actions){.clock = wr_clock_real()};
        wr_failing_allocations(n);
        enum wr_result result = wr_actions_init(&actions, &err);
        bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        wr_actions_fini(&actions);
        if (!hit)
            return;
    }
}

static void an_action_without_memory_fails_and_the_next_one_works(void **state) {
    (void)state;
    for (long n = 0;; n++) {
        begin(MQTT);
        journalled = 100;
        wr_failing_allocations(n);
        send(WR_ALARM_RAISED, 1);
        while (actions.published + actions.failed < 1)
            (void)sched_yield();
        bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(actions.failed, hit ? 1 : 0);
        send(WR_ALARM_RAISED, 2);
        for (int i = hit; i < 2; i++)
            free(receive().payload);
        end();
        (void)tear_down(NULL);
        if (!hit)
            return;
    }
}

int main(void) {
    wr_waiting_watchdog(60);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_rule_without_actions_is_logged, tear_down),
        cmocka_unit_test_teardown(actions_go_by_cause, tear_down),
        cmocka_unit_test_teardown(each_transition_finds_the_rules_that_made_it, tear_down),
        cmocka_unit_test_teardown(a_program_learns_of_the_alarm_in_its_environment, tear_down),
        cmocka_unit_test_teardown(a_program_gets_long_texts_whole, tear_down),
        cmocka_unit_test_teardown(a_program_that_fails_is_counted, tear_down),
        cmocka_unit_test(a_program_that_does_not_begin_holds_up_nothing),
        cmocka_unit_test(a_start_without_memory_fails_and_the_next_one_works),
        cmocka_unit_test(a_program_that_overruns_is_killed_with_its_children),
        cmocka_unit_test(at_most_so_many_run_at_once),
        cmocka_unit_test_teardown(a_publish_waits_for_the_journal, tear_down),
        cmocka_unit_test_teardown(a_journal_that_does_not_come_is_not_waited_for_for_ever, tear_down),
        cmocka_unit_test_teardown(what_a_stop_leaves_undone_is_a_dead_letter, tear_down),
        cmocka_unit_test_teardown(an_uplink_that_takes_nothing_holds_up_nothing, tear_down),
        cmocka_unit_test_teardown(the_uplink_tells_what_became_of_it, tear_down),
        cmocka_unit_test_teardown(another_uplink_gets_what_the_former_one_had_not_delivered, tear_down),
        cmocka_unit_test_teardown(a_state_topic_is_taken_away_when_the_alarm_is_normal, tear_down),
        cmocka_unit_test_teardown(what_waits_for_an_uplink_keeps_its_order, tear_down),
        cmocka_unit_test_teardown(a_silenced_alarm_drives_only_what_asks_for_that, tear_down),
        cmocka_unit_test_teardown(without_an_uplink_a_publish_fails, tear_down),
        cmocka_unit_test_teardown(a_program_is_tried_again_as_the_rule_says, tear_down),
        cmocka_unit_test(a_line_without_memory_is_a_dead_letter_and_the_next_one_is_written),
        cmocka_unit_test_teardown(what_waited_before_a_restart_waits_on, tear_down),
        cmocka_unit_test_teardown(what_a_raise_made_wait_is_not_told_anew_of_an_alarm_that_ended, tear_down),
        cmocka_unit_test_teardown(of_an_alarm_that_nobody_acknowledges_it_waits_on, tear_down),
        cmocka_unit_test_teardown(what_waits_is_known_wherever_it_stands_in_then, tear_down),
        cmocka_unit_test(init_without_memory_leaves_nothing_behind),
        cmocka_unit_test(an_action_without_memory_fails_and_the_next_one_works),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
