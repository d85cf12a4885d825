/* When certificates expire: read from files, told to built-in rules, and to nobody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/process/certificates.h"
#include "rules/compile/ruleset.h"
#include "rules/engine/engine.h"
#include "tests/support/broker.h"
#include "tests/support/failing.h"
#include "transport/tls_expiry.h"

#define DAY_NS (86400 * WR_NS_PER_S)

static char dir[64];

static struct wr_buf rules_for(const char *cert, int64_t warn_ns, const char *source_cert) {
    struct wr_config_uplink uplink = {.cert = (char *)(uintptr_t)cert, .expiry_warn_ns = warn_ns};
    struct wr_config_source source = {.name = (char *)(uintptr_t) "floor", .tls.cert = (char *)(uintptr_t)source_cert};
    struct wr_config config = {.uplink = cert != NULL ? &uplink : NULL, .sources = &source, .n_sources = 1};
    struct wr_buf text;
    wr_buf_init(&text, 0);
    assert_int_equal(wr_certificates_rules(&config, &text), WR_OK);
    return text;
}

/* Loads the built-in rules alone; neither errors nor warnings. */
static struct wr_ruleset *load(const struct wr_buf *text) {
    struct wr_ruleset_options options = {.builtin = wr_buf_str(text)};
    struct wr_diagnostics diagnostics;
    struct wr_ruleset *rules = NULL;
    struct wr_error err = {0};
    wr_diagnostics_init(&diagnostics);
    if (wr_ruleset_load(NULL, 0, &options, &diagnostics, &rules, &err) != WR_OK || diagnostics.n > 0)
        fail_msg("%zu problems, %s", diagnostics.n, err.text);
    wr_diagnostics_fini(&diagnostics);
    return rules;
}

static void rules_come_with_certificates(void **state) {
    (void)state;
    struct wr_buf text = rules_for(NULL, 0, NULL);
    assert_int_equal(text.len, 0);
    wr_buf_fini(&text);
    text = rules_for("node.pem", 0, NULL);
    assert_int_equal(text.len, 0);
    wr_buf_fini(&text);
    text = rules_for(NULL, 0, "server.pem"); /* a listener's is watched too */
    assert_non_null(strstr(wr_buf_str(&text), "weir.certificate_days < 30\n"));
    wr_buf_fini(&text);
    text = rules_for("node.pem", 36 * 3600 * WR_NS_PER_S, NULL);
    struct wr_ruleset *rules = load(&text);
    assert_int_equal(wr_ruleset_count(rules), 1); /* below the high one there is no other */
    assert_string_equal(wr_ruleset_info(rules, 0).name, "weir_certificate_expires");
    assert_string_equal(wr_ruleset_info(rules, 0).when, "weir.certificate_days < 1.5");
    wr_ruleset_free(rules);
    wr_buf_fini(&text);
    text = rules_for("node.pem", 30 * DAY_NS, NULL);
    rules = load(&text);
    assert_int_equal(wr_ruleset_count(rules), 2);
    assert_string_equal(wr_ruleset_info(rules, 0).when, "weir.certificate_days < 30");
    assert_int_equal(wr_ruleset_info(rules, 0).severity, WR_SEVERITY_MEDIUM);
    assert_string_equal(wr_ruleset_info(rules, 1).when, "weir.certificate_days < 7");
    assert_int_equal(wr_ruleset_info(rules, 1).severity, WR_SEVERITY_HIGH);
    wr_ruleset_free(rules);
    wr_buf_fini(&text);
}

/* A user's rule of the same name is a mistake that is named with both places. */
static void a_name_is_taken_once(void **state) {
    (void)state;
    struct wr_buf text = rules_for("node.pem", 30 * DAY_NS, NULL);
    wr_test_write_file(wr_test_path(dir, "mine.yaml"), "weir: 1\nrules:\n  - {rule: weir_certificate_expires, when: x > 1}\n");
    const char *files[] = {wr_test_path(dir, "mine.yaml")};
    struct wr_ruleset_options options = {.builtin = wr_buf_str(&text)};
    struct wr_diagnostics diagnostics;
    struct wr_buf said;
    struct wr_ruleset *rules = NULL;
    wr_diagnostics_init(&diagnostics);
    wr_buf_init(&said, 0);
    assert_int_equal(wr_ruleset_load(files, 1, &options, &diagnostics, &rules, NULL), WR_INVALID);
    assert_int_equal(wr_diagnostics_render(&diagnostics, WR_DIAGNOSTICS_TEXT, &said), WR_OK);
    assert_non_null(strstr(wr_buf_str(&said), "mine.yaml:3"));
    assert_non_null(strstr(wr_buf_str(&said), "(built in)"));
    wr_diagnostics_fini(&diagnostics);
    wr_buf_fini(&said);
    wr_buf_fini(&text);
}

/* The built-in rule of high severity does not count against the user, who has just as many as he may have. */
static void urgency_is_judged_without_them(void **state) {
    (void)state;
    struct wr_buf builtin = rules_for("node.pem", 30 * DAY_NS, NULL);
    struct wr_buf own;
    wr_buf_init(&own, 0);
    assert_int_equal(wr_buf_text(&own, "weir: 1\nrules:\n"), WR_OK);
    for (int i = 0; i < 20; i++)
        assert_int_equal(wr_buf_printf(&own,
                                       "  - {rule: r%d, when: x > %d, respond: go, consequence: bad, time_to_respond: 1h, severity: %s}\n",
                                       i, i, i == 0 ? "high" : "low"),
                         WR_OK);
    wr_test_write_file(wr_test_path(dir, "own.yaml"), wr_buf_str(&own));
    const char *files[] = {wr_test_path(dir, "own.yaml")};
    for (int with = 0; with < 2; with++) {
        struct wr_ruleset_options options = {.builtin = with ? wr_buf_str(&builtin) : NULL};
        struct wr_diagnostics diagnostics;
        struct wr_ruleset *rules = NULL;
        wr_diagnostics_init(&diagnostics);
        assert_int_equal(wr_ruleset_load(files, 1, &options, &diagnostics, &rules, NULL), WR_OK);
        assert_int_equal(wr_ruleset_count(rules), with ? 22 : 20);
        assert_int_equal(diagnostics.n, 0);
        wr_diagnostics_fini(&diagnostics);
        wr_ruleset_free(rules);
    }
    wr_buf_fini(&own);
    wr_buf_fini(&builtin);
}

static void the_engine_shows_it_to_the_rules_alone(void **state) {
    (void)state;
    struct wr_buf text = rules_for("node.pem", 30 * DAY_NS, NULL);
    struct wr_ruleset *rules = load(&text);
    struct wr_series_table *series = NULL;
    struct wr_symbol_table *symbols = NULL;
    struct wr_evaluator *evaluator = NULL;
    struct wr_engine *engine = NULL;
    const uint32_t accounts[] = {0, 1};
    char key[WR_SERIES_KEY_BYTES];
    size_t len;
    uint32_t id;
    struct wr_tag tag = {{"certificate", 11}, {"uplink", 6}};
    assert_int_equal(wr_series_table_new(8, &series, NULL), WR_OK);
    assert_int_equal(wr_symbol_table_new(8, &symbols, NULL), WR_OK);
    assert_int_equal(wr_evaluator_new(rules, series, symbols, &evaluator, NULL), WR_OK);
    struct wr_engine_options options = {
        .series = series, .symbols = symbols, .max_series = 8, .n_sources = 1, .accounts = accounts, .evaluator = evaluator};
    assert_int_equal(wr_engine_new(&options, &engine, NULL), WR_OK);
    assert_int_equal(wr_series_key_make((struct wr_word){"weir", 4}, (struct wr_word){"certificate_days", 16}, &tag, 1, key, &len, NULL),
                     WR_OK);
    assert_int_equal(wr_series_intern(series, key, len, &id), WR_OK);

    static const struct {
        double days;
        uint32_t transitions;
    } steps[] = {{400, 0}, {29.9, 1}, {20, 0}, {6.9, 1}, {-1, 0}, {365, 2}, {364, 0}};
    struct wr_now now = {.boot_ns = 1000 * WR_NS_PER_S, .wall_ns = INT64_C(1700000000) * WR_NS_PER_S, .wall_trusted = true};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct wr_alarm_entry entries[4];
        struct wr_alarm_out out = {.entries = entries, .cap = 4};
        struct wr_reading reading = {.event_ns = now.wall_ns, .value.f = steps[i].days, .series = id, .type = WR_TYPE_FLOAT};
        assert_int_equal(wr_engine_tell(engine, &reading, &now, &out), WR_OK);
        assert_int_equal(out.n, steps[i].transitions);
        now.boot_ns += WR_CERTIFICATES_EVERY_NS;
        now.wall_ns += WR_CERTIFICATES_EVERY_NS;
    }
    struct wr_engine_stats stats;
    wr_engine_stats(engine, &stats);
    assert_int_equal(stats.taken, 0);
    assert_int_equal(stats.open_windows, 0);

    (void)wr_engine_swap_evaluator(engine, NULL);
    struct wr_reading reading = {.value.f = 1, .series = id, .type = WR_TYPE_FLOAT};
    assert_int_equal(wr_engine_tell(engine, &reading, &now, NULL), WR_OK); /* no rules at all */
    wr_engine_free(engine);
    wr_evaluator_free(evaluator);
    wr_ruleset_free(rules);
    wr_series_table_free(series);
    wr_symbol_table_free(symbols);
    wr_buf_fini(&text);
}

static void the_earliest_of_a_chain_counts(void **state) {
    (void)state;
    int64_t soon_ns = 0, late_ns = 0, chain_ns = 0;
    char command[400];
    (void)snprintf(command, sizeof command,
                   "cat %s/client.pem %s/client-5-days.pem > %s/chain.pem && head -c 400 %s/client.pem > %s/half.pem", dir, dir, dir, dir,
                   dir);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
    assert_int_equal(wr_tls_expiry(wr_test_path(dir, "client-5-days.pem"), &soon_ns, NULL), WR_OK);
    assert_int_equal(wr_tls_expiry(wr_test_path(dir, "client.pem"), &late_ns, NULL), WR_OK);
    assert_int_equal(wr_tls_expiry(wr_test_path(dir, "chain.pem"), &chain_ns, NULL), WR_OK);
    assert_true(soon_ns < late_ns && chain_ns == soon_ns);
    int64_t left_ns = soon_ns - wr_clock_wall_ns(wr_clock_real());
    assert_true(left_ns > 4 * DAY_NS && left_ns <= 5 * DAY_NS);

    struct wr_error err = {0};
    int64_t untouched_ns = 7;
    assert_int_equal(wr_tls_expiry(wr_test_path(dir, "missing.pem"), &untouched_ns, &err), WR_NOT_FOUND);
    assert_non_null(strstr(err.text, "missing.pem"));
    assert_int_equal(wr_tls_expiry(wr_test_path(dir, "half.pem"), &untouched_ns, &err), WR_INVALID);
    assert_non_null(strstr(err.text, "half.pem: cannot be parsed"));
    for (long n = 0;; n++) { /* our own allocations; those of mbedTLS are not ours to count */
        wr_failing_allocations(n);
        enum wr_result result = wr_tls_expiry(wr_test_path(dir, "client.pem"), &chain_ns, &err);
        bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        if (!hit)
            break;
    }
    for (long n = 0;; n++) {
        wr_failing_io(n, EIO);
        enum wr_result result = wr_tls_expiry(wr_test_path(dir, "client.pem"), &chain_ns, &err);
        bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_IO : WR_OK);
        if (!hit)
            break;
    }
    assert_int_equal(untouched_ns, 7);
}

static int start(void **state) {
    (void)state;
    wr_test_dir_make(dir);
    return 0;
}

static int stop(void **state) {
    (void)state;
    wr_test_dir_remove(dir);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_come_with_certificates),   cmocka_unit_test(a_name_is_taken_once),
        cmocka_unit_test(urgency_is_judged_without_them), cmocka_unit_test(the_engine_shows_it_to_the_rules_alone),
        cmocka_unit_test(the_earliest_of_a_chain_counts),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
