/* Signed commands over MQTT against a model: random commands, said once or again, also with the words of another one under their key; for other nodes and other times, badly
 * signed or not at all; with answers that nobody fetches; with a journal that is late or fails, a desk that stops, and crashes that leave the journal as far as
 * it was. After every message: a command was carried out at most once on each alarm; each message was answered once, in its order, or was none that is answered, or its answer
 * gave way to newer ones; what is answered as journalled is in the journal; all outcomes are counted. WEIR_SEED repeats a run. */
#include "tests/support/remote_bed.h"

#include <inttypes.h>
#include <sched.h>

#include "tests/support/random.h"
#include "tests/support/waiting.h"

#define MESSAGES 220
#define KEYS 24
#define DISK 4096
#define EXPECTED 64
#define LOOKS 3 /* at the journal, by which a desk that does not wait for it has answered */

enum kind { COMMAND, ELSEWHERE, AHEAD, EXPIRED, MALFORMED, FORGED, UNSIGNED, KINDS };
enum words { NEW, REPEATED, CLASH };

/* A message that is to be answered, and how. */
struct expected {
    enum kind kind;
    enum words words;
    int key;
    bool unsure; /* not journalled, or not known: the desk stopped, or the store fails */
};

static struct model {
    int variant[KEYS]; /* the words that the engine knows of a key; -1: none */
    int changed[KEYS]; /* by its first answer; -1: that was not heard */
    struct expected expected[EXPECTED];
    unsigned n_expected;
    uint64_t dropped; /* answers */
    unsigned served;  /* by this desk: it takes so many without waiting for their turns */
} model;

static struct wr_random dice;
static uint64_t seed;
static struct wr_alarm_entry disk[DISK];
static unsigned n_disk;

static bool one_of(uint64_t n) {
    return wr_random_below(&dice, n) == 0;
}

/* -- the journal --------------------------------------------------------------------------------------------------------------------------- */

/* No alarm had the same done to it twice by one command. by_whom is of a key and its words. */
static void is_done_once(const struct wr_alarm *alarm) {
    for (unsigned i = 0; alarm->by_whom[0] && i + 1 < n_disk; i++)
        if (disk[i].alarm.id == alarm->id && disk[i].alarm.cause == alarm->cause && strcmp(disk[i].alarm.by_whom, alarm->by_whom) == 0)
            fail_msg("WEIR_SEED=%" PRIu64 ": %s twice by %s", seed, wr_alarm_cause_name((enum wr_alarm_cause)alarm->cause), alarm->by_whom);
}

/* One entry more; false: there is none. */
static bool commit(void) {
    assert_true(n_disk < DISK);
    if (wr_channel_try_recv(bed.agent.engine.to_journal, &disk[n_disk]) != WR_OK)
        return false;
    n_disk++;
    is_done_once(&disk[n_disk - 1].alarm);
    bed.agent.store.journalled = disk[n_disk - 1].number;
    return true;
}

/* What a start finds: the last snapshot of each place. */
static void restore(void) {
    const struct wr_now now = wr_clock_now(&look_clock);
    for (unsigned i = 0; i < n_disk; i++) {
        bool is_last = !disk[i].note && disk[i].snap_len > 0;
        for (unsigned k = i + 1; is_last && k < n_disk; k++)
            is_last = disk[k].note || disk[k].alarm.id != disk[i].alarm.id;
        if (is_last)
            assert_int_equal(wr_evaluator_restore(wr_engine_evaluator(bed.agent.engine.engine), &disk[i], &now), WR_OK);
    }
}

static bool is_on_disk(int key) {
    char text[16];
    struct wr_command_log log = {0};
    snprintf(text, sizeof text, "k%d", key);
    for (unsigned i = 0; i < n_disk; i++)
        if (wr_command_log_is_snapshot(&disk[i]))
            assert_int_equal(wr_command_log_restore(&log, &disk[i]), WR_OK);
    const bool found = wr_command_log_find(&log, text) != NULL;
    wr_command_log_fini(&log);
    return found;
}

/* -- answers ------------------------------------------------------------------------------------------------------------------------------- */

static void answer_is(const struct expected *expected) {
    static const char *const reasons[KINDS] = {
        [ELSEWHERE] = "\"reason\":\"elsewhere\"",
        [AHEAD] = "\"reason\":\"ahead\"",
        [EXPIRED] = "\"reason\":\"expired\"",
        [MALFORMED] = "\"reason\":\"malformed\"",
    };
    char text[64];
    snprintf(text, sizeof text, "\"key\":\"k%d\"", expected->key);
    has(text);
    if (expected->kind != COMMAND) {
        has(reasons[expected->kind]);
        return;
    }
    if (expected->unsure) { /* not the answer that stays: that of the next time is */
        assert_null(strstr(answer, "\"journalled\":true"));
        return;
    }
    has("\"journalled\":true");
    assert_true(is_on_disk(expected->key));
    if (expected->words == CLASH) {
        has("was used for another command");
        return;
    }
    has(expected->words == REPEATED ? "\"repeated\":true" : "\"repeated\":false");
    const int changed = atoi(strstr(answer, "\"changed\":") + 10);
    if (expected->words == REPEATED && model.changed[expected->key] >= 0)
        assert_int_equal(changed, model.changed[expected->key]);
    model.changed[expected->key] = changed;
}

/* All that have come, but for those that gave way. */
static void fetch_answers(void) {
    struct wr_channel_stats stats;
    wr_channel_stats(answers, &stats);
    unsigned at = (unsigned)(stats.dropped_oldest - model.dropped);
    model.dropped = stats.dropped_oldest;
    assert_true(at == 0 || model.n_expected == at + WR_COMMAND_ANSWERS);
    for (; at < model.n_expected; at++) {
        if (!take(0))
            fail_msg("WEIR_SEED=%" PRIu64 ": a message is not answered", seed);
        answer_is(&model.expected[at]);
    }
    assert_false(take(0));
    model.n_expected = 0;
}

/* -- messages ------------------------------------------------------------------------------------------------------------------------------ */

/* A command is what its key and one of two variants say. */
static void write_payload(enum kind kind, int key, int variant, char *into, size_t size) {
    static const char *const verbs[] = {"\"verb\":\"ack\"",      "\"verb\":\"shelve\",\"for\":\"1h\"",
                                        "\"verb\":\"oos\"",      "\"verb\":\"shelve\",\"for\":\"2h\"",
                                        "\"verb\":\"unshelve\"", "\"verb\":\"return\""};
    static const char *const alarms[] = {"hot", "hot{room=A}", "hot{room=B}", "h*{room=~[BC]}"};
    const char *times = kind == AHEAD     ? "\"issued\":\"2026-03-02T08:01:01Z\",\"expires\":\"2026-03-02T08:05:00Z\","
                        : kind == EXPIRED ? "\"issued\":\"2026-03-02T07:01:00Z\",\"expires\":\"2026-03-02T08:00:00Z\","
                                          : TIMES;
    snprintf(into, size,
             "{\"node\":\"%s\",\"site\":\"riga\",%s\"key\":\"k%d\",%s\"command\":{%s,\"alarm\":\"%s\",\"by\":\"k%dv%d\",\"why\":\"v%d\"}}",
             kind == ELSEWHERE ? "gw-8" : "gw-7", times, key, kind == MALFORMED ? "\"force\":true," : "",
             verbs[(size_t)(key + variant) % (sizeof verbs / sizeof verbs[0])], alarms[key % 4], key, variant, variant);
}

static void send_message(enum kind kind, const char *payload) {
    struct wr_buf text;
    if (kind == UNSIGNED) {
        send_text(payload);
        return;
    }
    sign(payload, &text);
    if (kind == FORGED) {
        char *changed = (char *)text.data + wr_random_below(&dice, text.len);
        *changed = *changed == 'A' ? 'B' : 'A';
    }
    send_text(wr_buf_str(&text));
    wr_buf_fini(&text);
}

static void expect(enum kind kind, enum words words, int key, bool unsure) {
    assert_true(model.n_expected < EXPECTED);
    if (kind < FORGED)
        model.expected[model.n_expected++] = (struct expected){kind, words, key, unsure};
}

/* What a message is counted as, but for how the engine took it. */
static bool is_outcome(enum kind kind, bool unsure, enum wr_remote_outcome outcome) {
    static const enum wr_remote_outcome outcomes[KINDS] = {
        [ELSEWHERE] = WR_REMOTE_ELSEWHERE, [AHEAD] = WR_REMOTE_AHEAD,       [EXPIRED] = WR_REMOTE_EXPIRED,
        [MALFORMED] = WR_REMOTE_MALFORMED, [UNSIGNED] = WR_REMOTE_UNSIGNED,
    };
    if (kind == FORGED)
        return outcome == WR_REMOTE_SIGNATURE || outcome == WR_REMOTE_UNSIGNED;
    if (kind != COMMAND)
        return outcome == outcomes[kind];
    return unsure ? outcome == WR_REMOTE_UNSURE : outcome == WR_REMOTE_DONE || outcome == WR_REMOTE_REFUSED;
}

static void begin_desk(void) {
    start();
    model.served = 0;
}

/* A command is at the journal, which has not got all of it: it is not answered. */
static void is_not_answered_yet(void) {
    struct wr_channel_stats before, after;
    wr_channel_stats(answers, &before);
    const uint64_t looks = bed.looks;
    while (bed.looks < looks + LOOKS)
        sched_yield();
    wr_channel_stats(answers, &after);
    assert_true(after.accepted == before.accepted);
}

/* A new command reaches the journal bit by bit. A desk that stops does so with part of it there. */
static void write_journal(uint64_t before, bool stops) {
    struct wr_channel_stats stats;
    unsigned left;
    do { /* all at once: the engine's thread answers when its entries are there */
        wr_channel_stats(bed.agent.engine.to_journal, &stats);
        sched_yield();
    } while (stats.depth == 0 && counted() == before);
    is_not_answered_yet();
    wr_channel_stats(bed.agent.engine.to_journal, &stats);
    for (left = (unsigned)stats.depth; left > 1 && !(stops && one_of(2)); left--)
        assert_true(commit());
    is_not_answered_yet();
    if (stops)
        stop();
    else
        assert_true(commit());
}

/* Says it, and lets the desk do it. False: the desk stopped in the middle of it. */
static bool say(enum kind kind, int key, int variant) {
    char payload[1024];
    uint64_t outcomes[WR_REMOTE_OUTCOMES];
    const uint64_t before = counted();
    const enum words words = model.variant[key] < 0 ? NEW : model.variant[key] == variant ? REPEATED : CLASH;
    const bool fails = kind == COMMAND && words != NEW && one_of(8), stops = kind == COMMAND && words == NEW && one_of(6);
    if (model.served++ == WR_COMMANDS) {
        stop();
        begin_desk();
    }
    write_payload(kind, key, variant, payload, sizeof payload);
    for (int i = 0; i < WR_REMOTE_OUTCOMES; i++)
        outcomes[i] = bed.agent.remote_counters.outcomes[i];
    if (fails)
        bed.agent.store.state = WR_STORE_FAILED;
    send_message(kind, payload);
    if (kind == COMMAND && words == NEW) {
        write_journal(before, stops);
        model.variant[key] = variant;
        model.changed[key] = -1;
    }
    while (counted() == before) {
        sched_yield();
        if (!fails && !stops)
            (void)commit(); /* what is still on its way from before */
    }
    assert_int_equal(counted(), before + 1);
    for (int i = 0; i < WR_REMOTE_OUTCOMES; i++)
        if (bed.agent.remote_counters.outcomes[i] != outcomes[i])
            assert_true(is_outcome(kind, fails || stops, (enum wr_remote_outcome)i));
    bed.agent.store.state = WR_STORE_OPEN;
    expect(kind, words, key, fails || stops);
    if (stops)
        begin_desk();
    else
        wr_waiting_until(commands, WR_CHANNEL_RECV, 1); /* it has sent its answer, too */
    return !stops;
}

/* -- crashes ------------------------------------------------------------------------------------------------------------------------------- */

/* The journal is all that is left. What was in the answers' channel is gone with the process; the test hears it before. */
static void crash(void) {
    fetch_answers();
    stop();
    end();
    begin(64);
    bed.agent.first_config = &whole_config;
    restore();
    begin_desk();
    for (int k = 0; k < KEYS; k++) {
        if (is_on_disk(k))
            continue;
        /* Who had no answer says it again, before anybody else speaks. */
        const int variant = model.variant[k];
        model.variant[k] = -1;
        if (variant >= 0)
            (void)say(COMMAND, k, variant);
    }
}

static void against_the_model(void **state) {
    (void)state;
    dice = wr_random_begin();
    seed = dice.state;
    n_disk = 0;
    memset(&model, 0, sizeof model);
    for (int k = 0; k < KEYS; k++)
        model.variant[k] = model.changed[k] = -1;
    begin_desk();
    for (int i = 0; i < MESSAGES; i++) {
        const enum kind kind = one_of(3) ? (enum kind)wr_random_below(&dice, KINDS) : COMMAND;
        const int key = (int)wr_random_below(&dice, KEYS);
        const int variant = model.variant[key] >= 0 && !one_of(5) ? model.variant[key] : (int)wr_random_below(&dice, 2);
        const bool whole = say(kind, key, variant);
        if (one_of(12) || model.n_expected > EXPECTED - KEYS - 2)
            fetch_answers();
        if (one_of(whole ? 40 : 2))
            crash();
        else if (one_of(4))
            while (commit())
                continue;
    }
    fetch_answers();
}

int main(void) {
    wr_waiting_watchdog(240);
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(against_the_model, set_up, tear_down)};
    return cmocka_run_group_tests(tests, make_keys, remove_keys);
}
