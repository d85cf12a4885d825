/* Signed commands over MQTT without a broker: the desk between two channels, an engine and a journal that a test holds back; failing calls. */
#include "tests/support/remote_bed.h"
#include "tests/support/waiting.h"

static void ask(const char *payload) {
    send_signed(payload);
    assert_true(take(WR_NEVER_NS));
}

/* -- tests -------------------------------------------------------------------------------------------------------------------------------- */

static void a_command_is_answered_when_it_is_on_disk(void **state) {
    (void)state;
    bed.commit_after = 50;
    start();
    ask(WHOLE("k1"));
    assert_true(bed.looks >= 50);
    assert_string_equal(answer,
                        "{\"node\":\"gw-7\",\"site\":\"riga\",\"command\":\"ack\",\"alarm\":\"hot\",\"result\":\"ok\",\"changed\":3,"
                        "\"refused\":0,\"by\":\"ana\",\"why\":\"seen\",\"key\":\"k1\",\"repeated\":false,\"journalled\":true}");
    ask(WHOLE("k1")); /* recorded and sent again, or sent again since the answer was lost */
    has("\"changed\":3,");
    has("\"repeated\":true,\"journalled\":true}");
    wr_waiting_until(commands, WR_CHANNEL_RECV, 1);
    assert_int_equal(bed.agent.remote_counters.outcomes[WR_REMOTE_DONE], 2);
    assert_int_equal(counted(), 2);
}

static void each_refusal_has_its_reason(void **state) {
    (void)state;
    static const struct {
        const char *payload, *text;
        enum wr_remote_outcome outcome;
    } list[] = {
        {"{" PLACE TIMES "\"key\":\"k\",\"command\":{\"verb\":\"ack\",\"alarm\":\"cold\",\"by\":\"a\"}}",
         "\"result\":\"not found\",\"changed\":0,\"refused\":0,\"by\":\"a\",\"key\":\"k\",\"repeated\":false,\"journalled\":true,"
         "\"problem\":\"there is no rule 'cold'",
         WR_REMOTE_REFUSED},
        {"hello",
         "{\"node\":\"gw-7\",\"site\":\"riga\",\"result\":\"invalid\",\"reason\":\"malformed\",\"problem\":\"this is no JSON object",
         WR_REMOTE_MALFORMED},
        {"{\"key\":\"k9\",\"force\":\"yes\"}",
         "\"key\":\"k9\",\"result\":\"invalid\",\"reason\":\"malformed\",\"problem\":\"'force' is none of", WR_REMOTE_MALFORMED},
        {"{\"node\":\"gw-8\",\"site\":\"riga\"," TIMES "\"key\":\"k\"," ACK "}",
         "{\"node\":\"gw-7\",\"site\":\"riga\",\"key\":\"k\",\"result\":\"denied\",\"reason\":\"elsewhere\"", WR_REMOTE_ELSEWHERE},
        {"{\"node\":\"gw-7\"," TIMES "\"key\":\"k\"," ACK "}", "it names no site, and this node has one", WR_REMOTE_ELSEWHERE},
        {"{" PLACE "\"issued\":\"2026-03-02T08:01:01Z\",\"expires\":\"2026-03-02T08:05:00Z\",\"key\":\"k\"," ACK "}",
         "\"reason\":\"ahead\",\"problem\":\"it was issued in the future", WR_REMOTE_AHEAD},
        {"{" PLACE "\"issued\":\"2026-03-02T07:55:00Z\",\"expires\":\"2026-03-02T08:00:00Z\",\"key\":\"k\"," ACK "}",
         "\"reason\":\"expired\",\"problem\":\"it has expired\"}", WR_REMOTE_EXPIRED},
    };
    bed.agent.store.journalled = UINT64_MAX;
    start();
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        const uint64_t before = bed.agent.remote_counters.outcomes[list[i].outcome];
        ask(list[i].payload);
        has(list[i].text);
        wr_waiting_until(commands, WR_CHANNEL_RECV, 1);
        assert_int_equal(bed.agent.remote_counters.outcomes[list[i].outcome], before + 1);
    }
    ask(WHOLE("k1"));
    has("\"changed\":3,"); /* nothing of all that has changed anything */
}

/* What another has signed, or nobody, is not answered: the next answer is that of the next command. */
static void without_the_key_nothing_is_told(void **state) {
    (void)state;
    struct wr_buf text;
    bed.agent.store.journalled = UINT64_MAX;
    start();
    sign(WHOLE("k1"), &text);
    char *changed = (char *)text.data + text.len - 20;
    *changed = *changed == 'A' ? 'B' : 'A';
    send_text(wr_buf_str(&text));
    wr_buf_fini(&text);
    send_text("");
    send_text("\n\n");
    send_text(WHOLE("k2"));
    send_text("a.b.c");
    static struct wr_command_message zeros = {.len = WR_COMMAND_BYTES};
    assert_int_equal(wr_channel_send(commands, &zeros, WR_NEVER_NS), WR_OK);
    sign(WHOLE("k3"), &text);
    assert_int_equal(wr_buf_text(&text, "\r\n"), WR_OK); /* as from a file */
    send_text(wr_buf_str(&text));
    wr_buf_fini(&text);
    assert_true(take(WR_NEVER_NS));
    has("\"changed\":3,");
    has("\"key\":\"k3\"");
    wr_waiting_until(commands, WR_CHANNEL_RECV, 1);
    assert_int_equal(bed.agent.remote_counters.outcomes[WR_REMOTE_SIGNATURE], 1);
    assert_int_equal(bed.agent.remote_counters.outcomes[WR_REMOTE_UNSIGNED], 5);
    assert_int_equal(counted(), 7);
    assert_false(take(0));
}

static bool never_trusted(const struct wr_clock *clock) {
    (void)clock;
    return false;
}

static void while_the_clock_is_not_set_nothing_is_taken(void **state) {
    (void)state;
    static const struct wr_clock_ops ops = {look_boot_ns, look_wall_ns, never_trusted, look_random};
    static const struct wr_clock clock = {&ops};
    bed.agent.clock = &clock;
    start();
    ask(WHOLE("k1"));
    has("\"key\":\"k1\",\"result\":\"busy\",\"reason\":\"clock\",\"problem\":\"the clock of this node is not set yet");
}

static void a_store_that_does_not_write_is_told(void **state) {
    (void)state;
    bed.agent.store.state = WR_STORE_FAILED;
    start();
    ask(WHOLE("k1"));
    has("\"changed\":3");
    has("\"journalled\":false,\"problem\":\"the store does not write");
    wr_waiting_until(commands, WR_CHANNEL_RECV, 1);
    assert_int_equal(bed.agent.remote_counters.outcomes[WR_REMOTE_UNSURE], 1);
}

static struct wr_channel *release;

static void run_hold(struct wr_request *request, void *owner) {
    char word;
    (void)owner;
    (void)!wr_channel_recv(release, &word, WR_NEVER_NS);
    wr_request_finish(request, WR_OK);
}

static void a_stop_does_not_wait_for_the_engine(void **state) {
    (void)state;
    struct wr_request *request;
    struct wr_channel_stats stats;
    release = make_channel("release", 1, 1);
    assert_int_equal(wr_request_new(run_hold, NULL, NULL, &request, NULL), WR_OK);
    assert_int_equal(wr_channel_send(bed.agent.engine.requests, &request, WR_NEVER_NS), WR_OK);
    wr_waiting_until(release, WR_CHANNEL_RECV, 1);
    start();
    send_signed(WHOLE("k1"));
    do /* until it waits for the engine */
        wr_channel_stats(bed.agent.engine.requests, &stats);
    while (stats.depth == 0);
    send_signed(WHOLE("k2"));
    stop();
    assert_true(take(0));
    has("\"key\":\"k1\"");
    has("\"reason\":\"unsure\",\"problem\":\"the engine did not answer in time: this may still be done");
    assert_false(take(0)); /* the second one was not begun */
    assert_int_equal(counted(), 1);
    wr_channel_close(release);
    wr_waiting_until(bed.agent.engine.requests, WR_CHANNEL_RECV, 1);
    wr_channel_free(release);
}

static void a_flood_is_looked_at_slowly(void **state) {
    (void)state;
    const int64_t before = wr_clock_boot_ns(wr_clock_real());
    start();
    for (int i = 0; i < WR_COMMANDS + 3; i++)
        send_text("a.b.c");
    wr_waiting_until(commands, WR_CHANNEL_RECV, 1);
    assert_int_equal(bed.agent.remote_counters.outcomes[WR_REMOTE_UNSIGNED], WR_COMMANDS + 3);
    assert_true(wr_clock_boot_ns(wr_clock_real()) - before >= 3 * WR_NS_PER_S / WR_REMOTE_RATE - WR_NS_PER_MS);
    for (int i = 0; i < WR_COMMANDS; i++)
        send_text("a.b.c");
    stop(); /* does not wait for their turn */
    assert_true(counted() < 2 * WR_COMMANDS + 3);
}

static void the_key_may_be_exchanged(void **state) {
    (void)state;
    struct wr_error err = {0};
    char command[256];
    bed.agent.store.journalled = UINT64_MAX;
    start();
    snprintf(command, sizeof command, "echo nonsense >%s", key_file);
    assert_int_equal(system(command), 0);
    assert_int_equal(wr_remote_desk_reread(desk, &err), WR_INVALID);
    assert_non_null(strstr(err.text, "holds no public key in PEM"));
    ask(WHOLE("k1")); /* the old one stays */
    has("\"changed\":3,");
    snprintf(command, sizeof command, "openssl ecparam -name prime256v1 -genkey -noout 2>&1 | openssl ec -pubout -out %s 2>&1", key_file);
    if (system(command) != 0)
        skip();
    assert_int_equal(wr_remote_desk_reread(desk, &err), WR_OK);
    send_signed(WHOLE("k1"));
    wr_waiting_until(commands, WR_CHANNEL_RECV, 1);
    assert_int_equal(bed.agent.remote_counters.outcomes[WR_REMOTE_SIGNATURE], 1);
    copy_key(PUBLIC);
    assert_int_equal(wr_remote_desk_reread(desk, &err), WR_OK);
    ask(WHOLE("k1"));
    has("\"repeated\":true");
}

static void a_bad_key_file_is_told(void **state) {
    (void)state;
    struct wr_error err = {0};
    assert_int_equal(unlink(key_file), 0);
    assert_int_not_equal(wr_remote_desk_start(&bed.agent, &config, commands, answers, &desk, &err), WR_OK);
    assert_non_null(strstr(err.text, key_file));
    assert_null(desk);
}

/* Whatever fails: each message has its outcome, and an answer unless even that has no memory; the next one is served. */
static void when_allocations_fail(void **state) {
    (void)state;
    bed.agent.store.journalled = UINT64_MAX;
    for (long n = 0;; n++) {
        wr_failing_allocations(n);
        const enum wr_result result = wr_remote_desk_start(&bed.agent, &config, commands, answers, &desk, NULL);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        if (result == WR_OK && !hit)
            break;
        assert_true(result == WR_NO_MEMORY && desk == NULL);
    }
    bool done = false;
    for (long n = 0; !done; n++) {
        struct wr_buf text;
        char payload[512];
        const uint64_t before = counted(), unanswered = bed.agent.remote_counters.unanswered;
        snprintf(payload, sizeof payload, "{" PLACE TIMES "\"key\":\"n%ld\"," ACK "}", n);
        sign(payload, &text);
        wr_waiting_until(commands, WR_CHANNEL_RECV, 1);
        wr_failing_allocations(n);
        send_text(wr_buf_str(&text));
        while (counted() == before) {
        }
        wr_waiting_until(commands, WR_CHANNEL_RECV, 1);
        done = !wr_failing_hit();
        wr_failing_off();
        wr_buf_fini(&text);
        assert_int_equal(counted(), before + 1);
        const bool answered = take(0), lost = bed.agent.remote_counters.unanswered > unanswered;
        assert_true(answered || !done);
        assert_false(answered && lost);
        if (n % WR_COMMANDS == WR_COMMANDS - 1) { /* a fresh one need not wait for its turns */
            stop();
            start();
        }
        assert_true(n < 200);
    }
    has("\"journalled\":true");
    assert_true(bed.agent.remote_counters.outcomes[WR_REMOTE_NO_MEMORY] > 0 && bed.agent.remote_counters.unanswered > 0);
}

int main(void) {
    wr_waiting_watchdog(120);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_command_is_answered_when_it_is_on_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_refusal_has_its_reason, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_the_key_nothing_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(while_the_clock_is_not_set_nothing_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_store_that_does_not_write_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stop_does_not_wait_for_the_engine, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_flood_is_looked_at_slowly, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_key_may_be_exchanged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bad_key_file_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(when_allocations_fail, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, make_keys, remove_keys);
}
