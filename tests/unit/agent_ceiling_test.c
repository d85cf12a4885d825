/* The memory ceiling: it is the sum of its items, grows with each limit, and says what a crash may take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/config/ceiling.h"
#include "agent/control/alarm_list.h"
#include "agent/control/control_server.h"
#include "agent/http/http_gate.h"
#include "rules/compile/ruleset.h"

#define BASE                                                                                                                               \
    "node: {id: g}\nsources: [{name: a, kind: line, listen: \"tcp://127.0.0.1:1\"}]\n"                                                     \
    "windows: [{name: m1, every: 1m}, {name: m5, every: 5m, lateness: 10s}]\n"

static struct wr_ceiling ceiling_of(const char *text, const struct wr_ruleset *rules) {
    struct wr_diagnostics d;
    wr_diagnostics_init(&d);
    struct wr_config *config = NULL;
    struct wr_error err = {0};
    if (wr_config_load_text("/x/c.yaml", text, strlen(text), &d, &config, &err) != WR_OK)
        fail_msg("%s: %s", err.text, d.n > 0 ? d.list[0].message : "");
    struct wr_ceiling ceiling;
    wr_ceiling_of(config, rules, NULL, &ceiling);
    wr_config_free(config);
    wr_diagnostics_fini(&d);
    return ceiling;
}

static uint64_t item(const struct wr_ceiling *ceiling, const char *name) {
    for (uint32_t i = 0; i < ceiling->n; i++)
        if (strcmp(ceiling->items[i].name, name) == 0)
            return ceiling->items[i].bytes;
    return 0;
}

static void test_sum(void **state) {
    (void)state;
    struct wr_ceiling ceiling = ceiling_of(BASE, NULL);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < ceiling.n; i++)
        sum += ceiling.items[i].bytes;
    assert_true(ceiling.n <= WR_CEILING_ITEMS);
    assert_int_equal(sum, ceiling.total_bytes);
    assert_int_equal(ceiling.disk_bytes, 64000000);
    assert_int_equal(item(&ceiling, "uplink"), 0);
    assert_int_equal(item(&ceiling, "rules"), 0);
}

static void test_raw_readings_count_where_they_are_kept(void **state) {
    (void)state;
    const struct wr_ceiling base = ceiling_of(BASE, NULL);
    const struct wr_ceiling kept = ceiling_of("node: {id: g}\nsources: [{name: a, kind: line, listen: \"tcp://127.0.0.1:1\"}]\n"
                                              "windows: [{name: m1, every: 1m, keep: raw 24h}, {name: m5, every: 5m, lateness: 10s}]\n"
                                              "store: {raw_budget: 10MB}\n",
                                              NULL);
    assert_int_equal(item(&base, "kept"), 0);
    assert_true(item(&kept, "kept") > 0);
    assert_int_equal(kept.total_bytes - base.total_bytes, item(&kept, "kept"));
    assert_int_equal(kept.disk_bytes - base.disk_bytes, 10000000);
}

static void test_grows(void **state) {
    (void)state;
    struct wr_ceiling base = ceiling_of(BASE, NULL);
    static const struct {
        const char *more;
        const char *grows;
    } cases[] = {
        {"limits: {max_series: 20000}\n", "series"},       {"limits: {max_series: 20000}\n", "windows"},
        {"limits: {max_symbols: 20000}\n", "symbols"},     {"limits: {batches: 16}\n", "batches"},
        {"limits: {partial_lines: 2MB}\n", "connections"}, {"limits: {max_connections: 10000}\n", "connections"},
        {"uplink: {broker: \"mqtts://x\"}\n", "uplink"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1024];
        strcpy(text, BASE);
        struct wr_ceiling more = ceiling_of(strcat(text, cases[i].more), NULL);
        if (item(&more, cases[i].grows) <= item(&base, cases[i].grows))
            fail_msg("%s does not raise %s", cases[i].more, cases[i].grows);
        assert_true(more.total_bytes > base.total_bytes);
    }
    struct wr_ceiling all = ceiling_of(BASE "uplink: {broker: \"mqtts://x\", format: json}\nhttp: {listen: \"127.0.0.1:2\"}\n", NULL);
    struct wr_ceiling segments = ceiling_of(BASE "uplink: {broker: \"mqtts://x\"}\n", NULL);
    assert_true(item(&all, "uplink") > item(&segments, "uplink"));
    static const char *const formats[] = {"influx", "senml+json", "senml+cbor"};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        char text[512];
        (void)snprintf(text, sizeof text, BASE "uplink: {broker: \"mqtts://x\", format: %s}\n", formats[i]);
        struct wr_ceiling encoded = ceiling_of(text, NULL);
        assert_true(item(&encoded, "uplink") > item(&segments, "uplink") + 1000000); /* six payloads of 1024 aggregates at least */
    }
}

/* Each source with each window is an account, with some 2 KB of books: 32 windows of 20 sources are more than a megabyte. */
static void test_accounts(void **state) {
    (void)state;
    char text[8192] = "node: {id: g}\nsources:\n";
    const struct wr_ceiling base = ceiling_of(BASE, NULL);
    for (int i = 0; i < 20; i++)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "- {name: s%d, kind: line, listen: \"tcp://127.0.0.1:%d\"}\n", i,
                       100 + i);
    strcat(text, "windows:\n");
    for (int i = 1; i <= 32; i++)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "- {name: w%d, every: %dm}\n", i, i);
    const struct wr_ceiling many = ceiling_of(text, NULL);
    assert_true(item(&base, "accounts") > 4 * 1700);
    assert_true(item(&many, "accounts") > item(&base, "accounts") + 20 * (32 + 2) * 1700);
}

/* Every part that is optional, at once: each has its line, and the list has room for all. */
static void test_all_parts(void **state) {
    (void)state;
    struct wr_ceiling all = ceiling_of(BASE "uplink: {broker: \"mqtts://x\", commands: {key_file: " WEIR_TEST_DATA
                                            "/jws/rfc7515-a3.pub}}\nhttp: {listen: \"127.0.0.1:2\", command_token_file: " WEIR_TEST_DATA
                                            "/jws/rfc7515-a3.pub}\n",
                                       NULL);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < all.n && i < WR_CEILING_ITEMS; i++)
        sum += all.items[i].bytes;
    assert_true(all.n <= WR_CEILING_ITEMS);
    assert_int_equal(sum, all.total_bytes);
    assert_true(item(&all, "uplink") > 0 && item(&all, "http") > 0 && item(&all, "desk") > 0 && item(&all, "remote") > 130000);
    assert_true(item(&all, "control") > WR_CONTROL_ANSWER_BYTES + wr_alarm_list_bytes());
    assert_true(item(&all, "desk") > WR_HTTP_LIST_BYTES + wr_alarm_list_bytes());
    assert_string_equal(all.items[all.n - 1].name, "libraries");
}

/* What a source listens on counts: TLS by connection, UDP by address. */
static void test_listeners(void **state) {
    (void)state;
#define AT(listen, more)                                                                                                                   \
    "node: {id: g}\nsources: [{name: a, kind: line, listen: \"" listen "\"" more "}]\nwindows: [{name: m, every: 1m}]\n"
    struct wr_ceiling tcp = ceiling_of(AT("tcp://127.0.0.1:1", ", max_connections: 500"), NULL);
    struct wr_ceiling udp = ceiling_of(AT("udp://127.0.0.1:1", ", max_connections: 500"), NULL);
    struct wr_ceiling tls = ceiling_of(AT("tls://127.0.0.1:1", ", cert: a, key: b, max_connections: 500"), NULL);
    struct wr_ceiling few = ceiling_of(AT("tls://127.0.0.1:1", ", cert: a, key: b, max_connections: 100"), NULL);
    assert_true(item(&udp, "connections") >= item(&tcp, "connections") + 2000000);
    assert_true(item(&tls, "connections") >= item(&tcp, "connections") + 500 * 40000);
    assert_true(item(&tls, "connections") >= item(&few, "connections") + 400 * 41000);
#undef AT
}

static void test_rules(void **state) {
    (void)state;
    static const char text[] = "weir: 1\npoints: [{point: t, unit: °C}]\nrules:\n"
                               "  - {rule: hot, when: t > 8°C, by: room, severity: low}\n  - {rule: one, when: t > 9°C, severity: low}\n";
    struct wr_diagnostics d;
    wr_diagnostics_init(&d);
    struct wr_ruleset *rules = NULL;
    struct wr_error err = {0};
    if (wr_ruleset_load_text("r.yaml", text, strlen(text), NULL, &d, &rules, &err) != WR_OK)
        fail_msg("%s: %s", err.text, d.n > 0 ? d.list[0].message : "");
    struct wr_ceiling few = ceiling_of(BASE "limits: {max_series: 10}\n", rules);
    struct wr_ceiling many = ceiling_of(BASE "limits: {max_series: 1000}\n", rules);
    const uint64_t set = 2 * (uint64_t)wr_ruleset_bytes(rules); /* itself, and the one that a reload puts in its place */
    assert_true(item(&few, "rules") > set && set > 4096);
    assert_true(item(&many, "rules") - set > 50 * (item(&few, "rules") - set));
    wr_ruleset_free(rules);
    wr_diagnostics_fini(&d);
}

static void test_losses(void **state) {
    (void)state;
    struct wr_ceiling ceiling = ceiling_of(BASE "store: {max_loss: 2s}\n", NULL);
    assert_int_equal(ceiling.open_ns, 310000000000);
    assert_int_equal(ceiling.closed_ns, 2000000000);
    assert_false(ceiling.changes);
    ceiling = ceiling_of("node: {id: g}\nsources: [{name: a, kind: line, listen: stdin}]\nwindows: [{name: s, forward: changes}]\n", NULL);
    assert_int_equal(ceiling.open_ns, 0);
    assert_true(ceiling.changes);
}

static void test_render(void **state) {
    (void)state;
    struct wr_ceiling ceiling = ceiling_of(BASE, NULL);
    struct wr_buf out;
    wr_buf_init(&out, 0);
    assert_int_equal(wr_ceiling_render(&ceiling, false, &out), WR_OK);
    assert_non_null(strstr(wr_buf_str(&out), "memory, at most\n  batches "));
    assert_non_null(strstr(wr_buf_str(&out), "\ndisk, at most    64.0 MB\n"));
    assert_non_null(
        strstr(wr_buf_str(&out), "\na crash may take the readings of open windows (5m10s at most) and closed windows of the last 15s\n"));
    wr_buf_clear(&out);
    assert_int_equal(wr_ceiling_render(&ceiling, true, &out), WR_OK);
    assert_non_null(strstr(wr_buf_str(&out), "\"disk_bytes\":64000000,\"crash_open_ns\":310000000000,\"crash_closed_ns\":15000000000}\n"));
    wr_buf_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sum),       cmocka_unit_test(test_raw_readings_count_where_they_are_kept),
        cmocka_unit_test(test_grows),     cmocka_unit_test(test_accounts),
        cmocka_unit_test(test_all_parts), cmocka_unit_test(test_rules),
        cmocka_unit_test(test_losses),    cmocka_unit_test(test_render),
        cmocka_unit_test(test_listeners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
