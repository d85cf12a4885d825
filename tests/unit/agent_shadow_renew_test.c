/* Other shadow rules for the engine: what makes them others, and an engine that does not answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/agent.h"
#include "core/log.h"
#include "tests/support/failing.h"

static const char hot[] = "rules:\n  - {rule: hot, when: x > 50}\n";
static const char warm[] = "rules:\n  - {rule: hot, when: x > 20, by: room}\n";

static struct wr_agent agent;
static struct wr_config_limits limits;
static struct wr_config_store store = {.path = "/nowhere"};
static struct wr_config config;
static char file[64];
static char *files[] = {file};

static int begin(void **state) {
    (void)state;
    const struct wr_channel_options options = {.name = "engine", .capacity = 2, .element_bytes = sizeof(struct wr_request *)};
    struct wr_diagnostics diagnostics;
    wr_log_configure(WR_LOG_ERROR, WR_LOG_LOGFMT, 2);
    memset(&agent, 0, sizeof agent);
    snprintf(file, sizeof file, "/tmp/weir-shadow-XXXXXX");
    const int fd = mkstemp(file);
    assert_true(fd >= 0 && write(fd, warm, strlen(warm)) == (ssize_t)strlen(warm) && close(fd) == 0);
    limits = (struct wr_config_limits){.max_instances = 10};
    config = (struct wr_config){.limits = &limits, .store = &store, .shadow_files = files, .n_shadow_files = 1};
    agent.config = &config;
    agent.clock = agent.engine.clock = wr_clock_real();
    wr_diagnostics_init(&diagnostics);
    assert_int_equal(wr_ruleset_load_text("rules.yaml", hot, strlen(hot), NULL, &diagnostics, &agent.rules, NULL), WR_OK);
    wr_diagnostics_fini(&diagnostics);
    assert_int_equal(wr_series_table_new(8, &agent.series, NULL), WR_OK);
    assert_int_equal(wr_symbol_table_new(8, &agent.symbols, NULL), WR_OK);
    assert_int_equal(wr_channel_new(&options, &agent.engine.requests, NULL), WR_OK);
    wr_agent_shadow_init(&agent.shadow);
    return 0;
}

static int end(void **state) {
    (void)state;
    wr_agent_shadow_fini(&agent);
    wr_channel_free(agent.engine.requests);
    wr_ruleset_free(agent.rules);
    wr_series_table_free(agent.series);
    wr_symbol_table_free(agent.symbols);
    (void)unlink(file);
    return 0;
}

static const struct wr_shadow *present(void) {
    return agent.engine.shadow.shadow;
}

/* No engine runs: it is exchanged at once. */
static void renew(void) {
    agent.engine.thread = 0;
    assert_int_equal(wr_agent_shadow_renew(&agent, NULL, NULL), WR_OK);
}

static void max_instances_make_another(void **state) {
    (void)state;
    renew();
    const struct wr_shadow *before = present();
    const uint64_t pair = agent.shadow.pair;
    assert_non_null(before);
    renew();
    assert_ptr_equal(present(), before);
    limits.max_instances = 3;
    renew();
    assert_true(present() != before && agent.shadow.pair != pair && wr_ruleset_info(agent.shadow.rules, 0).max_instances == 3);
    config.n_shadow_files = 0;
    renew();
    assert_true(!present() && !agent.shadow.rules && agent.shadow.pair == 0);
}

/* What the engine was asked to do until the asker gave up: a patience that is over before it was asked at all, on a busy machine, is doubled. */
static struct wr_request *asked_in_vain(void) {
    struct wr_request *request = NULL;
    agent.engine.thread = pthread_self();
    for (int64_t patience_ns = WR_NS_PER_MS; !request; patience_ns *= 2) {
        struct wr_context *soon;
        assert_true(patience_ns < 10 * WR_NS_PER_S);
        assert_int_equal(wr_context_new(NULL, wr_clock_boot_ns(wr_clock_real()) + patience_ns, 0, &soon, NULL), WR_OK);
        assert_int_equal(wr_agent_shadow_renew(&agent, soon, NULL), WR_TIMEOUT);
        wr_context_unref(soon);
        (void)!wr_channel_try_recv(agent.engine.requests, &request);
    }
    return request;
}

/* An engine that takes no requests holds up nobody for long; it does not do later what was given up, and what ran before goes on. */
static void what_was_given_up_is_not_done(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++) { /* the first, another one, and none */
        const struct wr_ruleset *rules = agent.shadow.rules;
        const struct wr_shadow *before = present();
        const uint64_t pair = agent.shadow.pair;
        struct wr_request *request = asked_in_vain();
        request->run(request, &agent.engine); /* later */
        assert_true(present() == before && agent.shadow.rules == rules && agent.shadow.pair == pair);
        renew();
        assert_true(present() != before && (agent.shadow.rules != NULL) == (i < 2));
        limits.max_instances++;
        config.n_shadow_files = i == 0;
    }
}

static void without_memory_it_goes_on_or_ends(void **state) {
    (void)state;
    for (long n = 0;; n++) {
        renew();
        limits.max_instances++;
        wr_failing_allocations(n);
        const enum wr_result result = wr_agent_shadow_renew(&agent, NULL, NULL);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result == WR_OK, !hit);
        assert_int_equal(present() != NULL, agent.shadow.rules != NULL);
        assert_int_equal(present() != NULL, agent.shadow.pair != 0);
        if (!hit)
            break;
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(max_instances_make_another), TEST(what_was_given_up_is_not_done),
                                       TEST(without_memory_it_goes_on_or_ends)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
