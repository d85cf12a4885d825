/* `then` of a rule: what is refused, what is read, and that a value cannot leave its place in an address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "rules/compile/ruleset.h"
#include "rules/language/template.h"

#define HEAD "rules:\n  - rule: r\n    when: t > 8\n    by: room\n    severity: low\n    respond: go\n    then:\n"

static const char *const programs[] = {"/bin/true"};
static const char *const directories[] = {"/var/log/weir/", "/tmp"};
static const char *const hosts[] = {"collector.example", "10.0.0.1:8080"};
static const struct wr_ruleset_secret secrets[] = {{"pager", "/etc/weir/pager.secret"}};
static const struct wr_ruleset_options allowed = {.exec_allow = programs,
                                                  .n_exec_allow = 1,
                                                  .file_allow = directories,
                                                  .n_file_allow = 2,
                                                  .http_allow = hosts,
                                                  .n_http_allow = 2,
                                                  .secrets = secrets,
                                                  .n_secrets = 1};

/* *ret_shown (if not NULL): all that is said, to be freed by the next call. */
static struct wr_ruleset *load(const char *then, const struct wr_ruleset_options *options, size_t *ret_errors, const char **ret_shown) {
    static struct wr_buf shown;
    struct wr_diagnostics diagnostics;
    struct wr_ruleset *rules = NULL;
    char text[8192];
    wr_buf_fini(&shown);
    wr_buf_init(&shown, 0);
    snprintf(text, sizeof text, "%s%s", HEAD, then);
    wr_diagnostics_init(&diagnostics);
    const enum wr_result result = wr_ruleset_load_text("rules/r.yaml", text, strlen(text), options, &diagnostics, &rules, NULL);
    assert_int_equal(result, diagnostics.errors > 0 ? WR_INVALID : WR_OK);
    assert_int_equal(wr_diagnostics_render(&diagnostics, false, &shown), WR_OK);
    *ret_errors = diagnostics.errors;
    *ret_shown = wr_buf_str(&shown);
    wr_diagnostics_fini(&diagnostics);
    return rules;
}

static void what_is_wrong_is_refused_by_place(void **state) {
    (void)state;
    static const struct {
        const char *then;
        const char *expected;
    } table[] = {
        {"      - {at: [risen], log: true}\n", "8:15: error W329: no moment of an alarm: 'risen'"},
        {"      - {at: [action_failed], log: true}\n", "W329: no moment of an alarm: 'action_failed'"},
        {"      - {at: [raised, shelvd], log: true}\n", "did you mean 'shelved'?"},
        {"      - {log: true, exec: {argv: [/bin/true]}}\n", "W329: an action is one of"},
        {"      - {log: true, after: 10m, unless: aked}\n", "W329: neither acked nor cleared: 'aked'"},
        {"      - {log: true, unless: acked}\n", "W370: `unless` says why not to act `after` a while"},
        {"      - {log: true, after: 5}\n", "W305: "},
        {"      - {log: true, after: 31d}\n", "W306: "},
        {"      - {log: true, retry: \"3 1s\"}\n", "W370: a log line has no `retry`"},
        {"      - {mqtt: {topic: a}, retry: \"3 1s\"}\n", "W370: a publish is always tried until the broker has it"},
        {"      - {mqtt: {topic: a}, timeout: 5s}\n", "W370: only a webhook or a program has a `timeout`"},
        {"      - {exec: {argv: [/bin/true]}, retry: often}\n", "8:44: error W370: a number of tries"},
        {"      - {exec: {argv: [/bin/sh]}}\n", "W328: '/bin/sh' is not in the allow-list"},
        {"      - {mqtt: {topic: a, clear: true}}\n", "W329: `clear` takes away what `retain` keeps"},
        {"      - {webhook: {secret: pager}}\n", "W303: "},
        {"      - {webhook: {url: \"pager.example\"}}\n", "W371: no address of the web"},
        {"      - {webhook: {url: \"https://{room}.example/\"}}\n", "W371: names in braces stand behind the host only"},
        {"      - {webhook: {url: \"https://h:{room}/\"}}\n", "W371: names in braces stand behind the host only"},
        {"      - {webhook: {url: \"https://h/{rom}\"}}\n", "W327: unknown name 'rom' in a template"},
        {"      - {webhook: {url: \"https://h/{duration}\"}}\n", "W327: {duration} is known in `message` only"},
        {"      - {mqtt: {topic: \"a/{duration}\"}}\n", "W327: {duration} is known in `message` only"},
        {"      - {webhook: {url: \"https://h/a/../b\"}}\n", "W371: the path has a part . or .."},
        {"      - {webhook: {url: \"https://h/{level}../b\"}}\n", "W371: the path has a part . or .."},
        {"      - {webhook: {url: \"https://h/a/..{level}?b\"}}\n", "W371: the path has a part . or .."},
        {"      - {webhook: {url: \"http://pager.example/\"}}\n", "W371: without TLS everybody on the way"},
        {"      - {webhook: {url: \"http://10.0.0.1:8081/\"}}\n", "W371: without TLS everybody on the way"},
        {"      - {webhook: {url: \"https://me:pw@h/\"}}\n", "W371: user and password do not belong into the address"},
        {"      - {webhook: {url: \"https://h/\", secret: papers}}\n", "W372: no secret of the agent's config is called 'papers'"},
        {"      - {webhook: {url: \"https://h/\", token: papers}}\n", "W372: "},
        {"      - {webhook: {url: \"https://h/\", method: GET}}\n", "W307: "},
        {"      - {webhook: {url: \"https://h/\", headers: [\"X-Room\"]}}\n", "W371: a malformed header"},
        {"      - {webhook: {url: \"https://h/\", headers: [\"X Room: a\"]}}\n", "W371: a malformed header"},
        {"      - {webhook: {url: \"https://h/\", headers: [\"X-A: b\\r\\nX-C: d\"]}}\n", "W371: a malformed header"},
        {"      - {webhook: {url: \"https://h/\", headers: [\"Host: other\"]}}\n", "W371: this header is set by the agent itself"},
        {"      - {webhook: {url: \"https://h/\", headers: [\"x-weir-signature: 0\"]}}\n", "W371: this header is set by the agent itself"},
        {"      - {webhook: {url: \"https://h/\", headers: [\"Authorization: Basic x\"]}}\n", "W371: secrets do not stand in rule files"},
        {"      - {file: {path: alarms.jsonl}}\n", "W374: `path` is the absolute path of a file"},
        {"      - {file: {path: /var/log/weir/}}\n", "W374: "},
        {"      - {file: {path: /var/log/weir/../passwd}}\n", "W374: "},
        {"      - {file: {path: /var/log/weir/..}}\n", "W374: "},
        {"      - {file: {path: /var/log/weir/.}}\n", "W374: "},
        {"      - {file: {path: \"/tmp/x/{level}../escaped.jsonl\"}}\n", "W374: "},
        {"      - {file: {path: \"/tmp/x/..{level}/escaped.jsonl\"}}\n", "W374: "},
        {"      - {file: {path: \"/tmp/x/{level}..\"}}\n", "W374: "},
        {"      - {file: {path: /var/log/weirs/a}}\n", "W328: '/var/log/weirs/a' is in none of the directories of file_allow"},
        {"      - {file: {path: \"/var/log/{room}\"}}\n", "W328: "},
        {"      - {file: {path: /tmp/a, format: xml}}\n", "W307: "},
        {"      - {file: {path: /tmp/a, max_size: 1KB}}\n", "W306: "},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        size_t errors;
        const char *shown;
        struct wr_ruleset *rules = load(table[i].then, &allowed, &errors, &shown);
        if (rules || errors != 1 || !strstr(shown, table[i].expected))
            fail_msg("%s\ngave %zu errors:\n%sexpected:\n%s", table[i].then, errors, shown, table[i].expected);
    }
}

static const struct wr_action_spec *action_of(struct wr_ruleset *rules) {
    uint32_t n;
    const struct wr_action_spec *list = wr_ruleset_actions(rules, 0, &n);
    assert_int_equal(n, 1);
    return list;
}

static struct wr_ruleset *good(const char *then) {
    size_t errors;
    const char *shown;
    struct wr_ruleset *rules = load(then, &allowed, &errors, &shown);
    if (!rules)
        fail_msg("%s", shown);
    return rules;
}

static void a_webhook_is_read_whole(void **state) {
    (void)state;
    struct wr_ruleset *rules =
        good("      - at: [raised, escalated]\n        after: 10m\n        unless: [acked, cleared]\n        retry: \"7 2s x1.5\"\n"
             "        timeout: 3s\n        webhook:\n          url: \"https://pager.example:8443/x/{room}?s={severity}\"\n"
             "          secret: pager\n          method: PUT\n          ca: ca.pem\n          headers: [\"X-Team:  night \"]\n");
    const struct wr_action_spec *action = action_of(rules);
    assert_int_equal(action->kind, WR_ACTION_WEBHOOK);
    assert_true(wr_action_wants(action, WR_ALARM_RAISED) && wr_action_wants(action, WR_ALARM_ESCALATED));
    assert_false(wr_action_wants(action, WR_ALARM_CLEARED));
    assert_int_equal(action->after_ns, 600 * WR_NS_PER_S);
    assert_int_equal(action->unless, WR_ACTION_UNLESS_ACKED | WR_ACTION_UNLESS_CLEARED);
    assert_int_equal(action->retry.tries, 7);
    assert_int_equal(action->retry.percent, 150);
    assert_int_equal(action->timeout_ns, 3 * WR_NS_PER_S);
    assert_string_equal(action->webhook.method, "PUT");
    assert_string_equal(action->webhook.secret_file, "/etc/weir/pager.secret");
    assert_null(action->webhook.token_file);
    assert_string_equal(action->webhook.ca, "rules/ca.pem");
    assert_string_equal(action->webhook.headers[0], "X-Team");
    assert_string_equal(action->webhook.headers[1], "night ");
    assert_null(action->webhook.headers[2]);
    assert_string_equal(action->target, "webhook https://pager.example:8443 by rules/ca.pem");
    wr_ruleset_free(rules);
}

static void what_is_left_out_has_a_useful_default(void **state) {
    (void)state;
    struct wr_ruleset *rules = good("      - {webhook: {url: \"http://127.0.0.1:9/\"}}\n");
    const struct wr_action_spec *action = action_of(rules);
    assert_int_equal(action->at, 1u << WR_ALARM_RAISED);
    assert_int_equal(action->retry.tries, 5);
    assert_int_equal(action->timeout_ns, 10 * WR_NS_PER_S);
    assert_string_equal(action->webhook.method, "POST");
    wr_ruleset_free(rules);
    rules = good("      - {exec: {argv: [/bin/true]}}\n");
    assert_int_equal(action_of(rules)->retry.tries, 1);
    wr_ruleset_free(rules);
    rules = good("      - {file: {path: \"/tmp/x/{room}.jsonl\"}}\n");
    assert_string_equal(action_of(rules)->target, "file /tmp/x/");
    assert_int_equal(action_of(rules)->file.keep, 3);
    assert_int_equal(action_of(rules)->file.max_bytes, 10000000);
    wr_ruleset_free(rules);
    rules = good("      - {mqtt: {topic: \"state/{rule}/{room}\", retain: true}}\n"); /* a state topic hears of every change */
    assert_true(wr_action_wants(action_of(rules), WR_ALARM_CLEARED) && wr_action_wants(action_of(rules), WR_ALARM_RETURNED));
    assert_false(wr_action_wants(action_of(rules), WR_ALARM_REPEATED) || wr_action_wants(action_of(rules), WR_ALARM_ACTION_FAILED));
    wr_ruleset_free(rules);
    rules = good("      - {webhook: {url: \"http://collector.example:99/x\"}}\n"); /* the host is allowed, at any port */
    wr_ruleset_free(rules);
    rules = good("      - {webhook: {url: \"http://10.0.0.1:8080/x\"}}\n");
    wr_ruleset_free(rules);
}

static void tests_of_rules_need_no_allow_list(void **state) {
    (void)state;
    static const struct wr_ruleset_options any = {.any_action = true};
    size_t errors;
    const char *shown;
    struct wr_ruleset *rules = load("      - {exec: {argv: [/bin/sh]}}\n      - {file: {path: /etc/passwd}}\n"
                                    "      - {webhook: {url: \"http://far.example/\", secret: unknown}}\n",
                                    &any, &errors, &shown);
    assert_non_null(rules);
    wr_ruleset_free(rules);
    rules = load("      - {exec: {argv: [/bin/sh]}}\n", NULL, &errors, &shown);
    assert_null(rules); /* without options nothing is allowed */
}

static void without_an_uplink_a_publish_is_a_warning(void **state) {
    (void)state;
    static const struct wr_ruleset_options offline = {.no_uplink = true};
    size_t errors;
    const char *shown;
    struct wr_ruleset *rules = load("      - {mqtt: {topic: a}}\n", &offline, &errors, &shown);
    assert_non_null(rules);
    assert_non_null(strstr(shown, "warning W375: no uplink is configured"));
    wr_ruleset_free(rules);
}

static void the_number_of_targets_is_limited(void **state) {
    (void)state;
    char then[4096] = "";
    size_t errors;
    const char *shown;
    for (int i = 0; i <= WR_RULESET_TARGETS; i++)
        snprintf(then + strlen(then), sizeof then - strlen(then), "      - {webhook: {url: \"https://h%d/a\"}}\n", i);
    assert_null(load(then, &allowed, &errors, &shown));
    assert_int_equal(errors, 1);
    assert_non_null(strstr(shown, "W373: more than 32 different hosts"));
    then[0] = 0;
    for (int i = 0; i <= WR_RULESET_TARGETS; i++) /* one host is one target, whatever is asked of it */
        snprintf(then + strlen(then), sizeof then - strlen(then), "      - {webhook: {url: \"https://h/a%d\"}}\n", i);
    struct wr_ruleset *rules = load(then, &allowed, &errors, &shown);
    assert_non_null(rules);
    const struct wr_ruleset_actions_info info = wr_ruleset_actions_info(rules);
    assert_int_equal(info.targets, 1);
    assert_int_equal(info.senders, 1);
    assert_false(info.delays);
    wr_ruleset_free(rules);
}

static void a_value_stays_in_its_place(void **state) {
    (void)state;
    struct wr_alarm alarm = {.rule = "r", .instance = "room=../a b\\,c/+\xC3\xA4"};
    char text[128];
    assert_int_equal(wr_template_expand("x/{room}/y", WR_TEMPLATE_TOPIC, &alarm, "n", "s", text, sizeof text), WR_OK);
    assert_string_equal(text, "x/.._a b,c__\xC3\xA4/y");
    assert_int_equal(wr_template_expand("x/{room}?{site}", WR_TEMPLATE_URL, &alarm, "n", "s", text, sizeof text), WR_OK);
    assert_string_equal(text, "x/_.%2Fa%20b%2Cc%2F%2B%C3%A4?s");
    assert_int_equal(wr_template_expand("x?r={room}", WR_TEMPLATE_URL, &alarm, "n", "s", text, sizeof text), WR_OK);
    assert_string_equal(text, "x?r=..%2Fa%20b%2Cc%2F%2B%C3%A4"); /* nobody follows dots there */
    assert_int_equal(wr_template_expand("/var/{room}/{rule}", WR_TEMPLATE_PATH, &alarm, "n", "s", text, sizeof text), WR_OK);
    assert_string_equal(text, "/var/_._a b,c_+\xC3\xA4/r");
    assert_int_equal(wr_template_expand("/var/{room}", WR_TEMPLATE_PATH, &alarm, "n", "s", text, 8), WR_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_is_refused_by_place),
        cmocka_unit_test(a_webhook_is_read_whole),
        cmocka_unit_test(what_is_left_out_has_a_useful_default),
        cmocka_unit_test(tests_of_rules_need_no_allow_list),
        cmocka_unit_test(without_an_uplink_a_publish_is_a_warning),
        cmocka_unit_test(the_number_of_targets_is_limited),
        cmocka_unit_test(a_value_stays_in_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
