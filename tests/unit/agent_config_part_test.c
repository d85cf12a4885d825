/* A part of the config that comes in a bundle: what it replaces, what it adds, what it may not bring, where its errors are told, and without memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "agent/config/config.h"
#include "agent/config/config_diff.h"
#include "agent/config/config_part.h"
#include "agent/config/load.h"
#include "tests/support/failing.h"

#define OWN                                                                                                                                \
    "node: {id: gw-7}\n"                                                                                                                   \
    "sources:\n"                                                                                                                           \
    "  - {name: floor, kind: line, listen: \"tcp://127.0.0.1:8094\", max_connections: 20}\n"                                               \
    "  - {name: plant, kind: mqtt, broker: \"mqtts://b\", user: ana, password_file: /etc/hostname, topics: [\"a/{x}\", \"b\"], qos: 1}\n"  \
    "windows: [{name: m1, every: 1m}, {name: m5, every: 5m, of: \"temp\", lateness: 3s}]\n"                                                \
    "limits: {max_instances: 50, max_series: 200}\n"

static struct wr_config *config;
static struct wr_buf problems;

static void drop(void) {
    wr_config_free(config);
    config = NULL;
    wr_buf_fini(&problems);
    wr_buf_init(&problems, 0);
}

static enum wr_result load(const char *part) {
    struct wr_diagnostics diagnostics;
    drop();
    wr_diagnostics_init(&diagnostics);
    const enum wr_result result =
        wr_config_load_text_with("/nowhere/weir.yaml", OWN, strlen(OWN), part, part ? strlen(part) : 0, &diagnostics, &config, NULL);
    if (wr_diagnostics_render(&diagnostics, WR_DIAGNOSTICS_TEXT, &problems) != WR_OK)
        fail();
    wr_diagnostics_fini(&diagnostics);
    return result;
}

static void good(const char *part) {
    if (load(part) != WR_OK)
        fail_msg("%s", wr_buf_str(&problems));
}

static void bad(const char *part, const char *where, const char *why) {
    if (load(part) != WR_INVALID)
        fail_msg("%s: taken", part);
    if (!strstr(wr_buf_str(&problems), where) || !strstr(wr_buf_str(&problems), why))
        fail_msg("%s: %s", part, wr_buf_str(&problems));
}

static int end(void **state) {
    (void)state;
    drop();
    return 0;
}

/* -- tests ---------------------------------------------------------------------------------------------------------------------------------- */

static void what_it_gives_replaces(void **state) {
    (void)state;
    good("windows: [{name: m5, every: 10m}]\n"
         "sources:\n"
         "  - {name: plant, topics: [\"c/{y}\"], keepalive: 77s}\n"
         "  - {name: floor, max_connections: 30}\n"
         "limits: {max_instances: 70, stop_deadline: 3s}\n");
    assert_int_equal(config->n_windows, 2);
    assert_true(config->windows[1].every_ns == 600 * WR_NS_PER_S && config->windows[1].lateness_ns == 3 * WR_NS_PER_S);
    assert_string_equal(config->window_sections[1].of, "temp");
    assert_int_equal(config->windows[0].every_ns, 60 * WR_NS_PER_S);
    assert_int_equal(config->n_sources, 2);
    const struct wr_config_mqtt *plant = &config->sources[1].mqtt;
    assert_true(plant->n_topics == 1 && strcmp(plant->topics[0], "c/{y}") == 0);
    assert_true(plant->keepalive_ns == 77 * WR_NS_PER_S && plant->qos == 1 && strcmp(plant->user, "ana") == 0);
    assert_true(config->sources[0].line.max_connections == 30 && config->sources[0].line.addresses[0].port == 8094);
    assert_true(config->limits->max_instances == 70 && config->limits->max_series == 200);
    assert_int_equal(config->limits->stop_deadline_ns, 3 * WR_NS_PER_S);
}

static void what_is_new_is_added(void **state) {
    (void)state;
    good("windows: [{name: fast, every: 10s, of: vibration}, {name: m1, lateness: 1s}]\n"
         "sources: [{name: host, kind: system, collect: [cpu], every: 30s}]\n");
    assert_true(config->n_windows == 3 && config->windows[2].every_ns == 10 * WR_NS_PER_S);
    assert_true(config->windows[2].lateness_ns == 5 * WR_NS_PER_S); /* a default */
    assert_true(config->windows[0].lateness_ns == WR_NS_PER_S && config->windows[0].every_ns == 60 * WR_NS_PER_S);
    assert_true(config->n_sources == 3 && config->sources[2].kind == WR_SOURCE_SYSTEM && config->sources[2].every_ns == 30 * WR_NS_PER_S);
    good("");
    good("{}");
    assert_true(config->n_windows == 2 && config->n_sources == 2);
}

/* A reload sees it, and the hash of what runs is another one. */
static void it_is_seen(void **state) {
    (void)state;
    struct wr_config_diff diff;
    good(NULL);
    struct wr_config *before = config;
    config = NULL;
    good("windows: [{name: m1, every: 2m}]");
    assert_int_equal(wr_config_compare(before, config, &diff, NULL), WR_OK);
    assert_true(diff.windows[0].change == WR_CONFIG_CHANGED && diff.windows[1].change == WR_CONFIG_SAME);
    wr_config_free(before);
}

static void what_stays_the_gateways(void **state) {
    (void)state;
    static const struct {
        const char *part;
        const char *words;
    } cases[] = {
        {"node: {id: other}", "'node' cannot come in a bundle"},
        {"store: {budget: 1GB}", "'store' cannot"},
        {"uplink: {rate: 10KB}", "'uplink' cannot"},
        {"uplink: {commands: {bundles: false}}", "'uplink' cannot"},
        {"http: {listen: \"0.0.0.0:80\"}", "'http' cannot"},
        {"control: {socket: /tmp/x}", "'control' cannot"},
        {"log: {level: debug}", "'log' cannot"},
        {"exec_allow: [/bin/sh]", "'exec_allow' cannot"},
        {"file_allow: [/tmp]", "'file_allow' cannot"},
        {"http_allow: [x]", "'http_allow' cannot"},
        {"secrets: [{name: a, file: /b}]", "'secrets' cannot"},
        {"rules: [x.yaml]", "'rules' cannot"},
        {"shadow_rules: [x.yaml]", "'shadow_rules' cannot"},
        {"limits: {max_series: 10}", "'limits.max_series' cannot come in a bundle: it needs a restart"},
        {"limits: {worker_threads: 1}", "needs a restart"},
        {"sources: [{name: floor, listen: \"tcp://0.0.0.0:1\"}]", "'sources[0].listen' cannot"},
        {"sources: [{name: plant, broker: \"mqtt://evil\"}]", "'sources[0].broker' cannot"},
        {"sources: [{name: plant, password_file: /b}]", "'sources[0].password_file' cannot"},
        {"sources: [{name: plant, user: eve}]", "'sources[0].user' cannot"},
        {"sources: [{name: plant, key: /b}]", "'sources[0].key' cannot"},
        {"sources: [{name: new, kind: exec, command: [/bin/sh]}]", "'sources[0].command' cannot"},
        {"sources: [{name: new, kind: exec}]", "a new one may only be of kind system"},
        {"sources: [{name: new}]", "a new one may only be of kind system"},
        {"sources: [{name: new, kind: http}]", "a new one may only be of kind system"},
        {"sources: [{name: floor, kind: system}]", "of another kind"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        bad(cases[i].part, "error W516", cases[i].words);
}

/* In the part, at the line of the part; what clashes with the config is told where its value stands. */
static void where_its_errors_are(void **state) {
    (void)state;
    bad("\nwindows: [{name: m1, every: soon}]", "weir.config:2:29", "duration");
    bad("window: []", "weir.config:1:1", "windows");
    bad("windows: [{every: 1m}]", "weir.config:1:", "name");
    bad("\n\nwindows: [{name: m1, of: \"{\"}]", "weir.config:3:", "error");
    bad("windows:\n  - {name: m9, of: temp}", "weir.config:2:", "needs 'every'");
    bad("windows:\n  - {name: m9, every: 1m}\n  - {name: m9, every: 2m}", "weir.config:3:", "two are called 'm9'");
    bad("sources: [{name: floor, collect: [cpu]}]", "weir.config:1:", "is a key of kind system");
    bad("limits: {partial_lines: 1KB, max_line: 1MB}", "weir.config:1:", "partial_lines");
    bad("limits: {max_line: 1MB, partial_lines: 2MB}\nwindows: [{name: none, every: 1m}]", "weir.config:2:", "ledger's own");
    bad("a: &x b", "weir.config:1:", "error");
}

static void no_memory(void **state) {
    (void)state;
    static const char part[] = "windows: [{name: m5, every: 10m}, {name: new, every: 1m}]\n"
                               "sources: [{name: plant, topics: [\"c/{y}\"]}, {name: host, kind: system, collect: [cpu]}]\n"
                               "limits: {max_instances: 70}\n";
    for (int pieces = 0; pieces < 2; pieces++)
        for (long n = 0;; n++) {
            struct wr_diagnostics diagnostics;
            drop();
            wr_diagnostics_init(&diagnostics);
            if (pieces)
                wr_failing_pieces(n);
            else
                wr_failing_allocations(n);
            const enum wr_result result =
                wr_config_load_text_with("/nowhere/weir.yaml", OWN, strlen(OWN), part, sizeof part - 1, &diagnostics, &config, NULL);
            const bool hit = wr_failing_hit();
            wr_failing_off();
            wr_diagnostics_fini(&diagnostics);
            assert_true(result == WR_OK || (hit && result == WR_NO_MEMORY));
            if (!hit)
                break;
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_gives_replaces),  cmocka_unit_test(what_is_new_is_added), cmocka_unit_test(it_is_seen),
        cmocka_unit_test(what_stays_the_gateways), cmocka_unit_test(where_its_errors_are), cmocka_unit_test(no_memory),
    };
    wr_buf_init(&problems, 0);
    return cmocka_run_group_tests(tests, NULL, end);
}
