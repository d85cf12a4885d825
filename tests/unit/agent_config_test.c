/* The configuration: what is loaded, every complaint in words, what a reload may change. */
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

#include "agent/config/config.h"
#include "agent/config/config_diff.h"
#include "tests/support/failing.h"

static char directory[] = "/tmp/weir-config-XXXXXX";

static int make_directory(void **state) {
    (void)state;
    unsetenv("RUNTIME_DIRECTORY");
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", directory);
    return system(command);
}

static const char *in_directory(const char *name) {
    static char paths[4][256];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static void make_file(const char *name, mode_t mode) {
    int fd = open(in_directory(name), O_CREAT | O_WRONLY, mode);
    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

/* Loads a text as if it stood in the directory; the diagnostics as text in *ret_said (freed by the caller of free). */
static struct wr_config *load(const char *text, char *said, size_t size) {
    struct wr_diagnostics d;
    wr_diagnostics_init(&d);
    struct wr_config *config = NULL;
    struct wr_error err;
    enum wr_result result = wr_config_load_text(in_directory("weir.yaml"), text, strlen(text), &d, &config, &err);
    assert_int_equal(result, d.errors > 0 ? WR_INVALID : WR_OK);
    struct wr_buf out;
    wr_buf_init(&out, 0);
    assert_int_equal(wr_diagnostics_render(&d, WR_DIAGNOSTICS_TEXT, &out), WR_OK);
    snprintf(said, size, "%s", wr_buf_str(&out));
    wr_buf_fini(&out);
    wr_diagnostics_fini(&d);
    return config;
}

static struct wr_config *loads(const char *text) {
    char said[8192];
    struct wr_config *config = load(text, said, sizeof said);
    assert_string_equal(said, "");
    return config;
}

#define NODE "node: {id: gw-7}\n"
#define FLOOR "sources: [{name: floor, kind: line, listen: \"tcp://127.0.0.1:8094\"}]\n"
#define M1 "windows: [{name: m1, every: 1m}]\n"

/* One complaint at line:column, of this level, with this text in it. */
static void complains(const char *text, const char *place, const char *words) {
    char said[8192];
    struct wr_config *config = load(text, said, sizeof said);
    wr_config_free(config);
    char start[512];
    snprintf(start, sizeof start, "%s:%s", in_directory("weir.yaml"), place);
    const char *line = strstr(said, start);
    const char *end = line ? strchr(line, '\n') : NULL;
    const char *found = line ? strstr(line, words) : NULL;
    if (!found || found > end)
        fail_msg("expected '%s ... %s', got:\n%s", place, words, said);
}

static void test_the_smallest(void **state) {
    (void)state;
    struct wr_diagnostics d;
    wr_diagnostics_init(&d);
    struct wr_config *config;
    struct wr_error err;
    assert_int_equal(wr_config_load(WEIR_SOURCE_DIR "/packaging/configs/smallest.yaml", &d, &config, &err), WR_OK);
    assert_int_equal(d.errors + d.warnings, 0);
    assert_string_equal(config->node->id, "gw-7");
    assert_string_equal(config->node->site, "-");
    assert_int_equal(config->sources[0].kind, WR_SOURCE_LINE);
    assert_int_equal(config->sources[0].line.addresses[0].port, 8094);
    assert_int_equal(config->sources[0].line.max_connections, 1000);
    assert_int_equal(config->windows[0].every_ns, 60000000000);
    assert_int_equal(config->windows[0].lateness_ns, 5000000000);
    assert_string_equal(config->windows[0].of.name, "*");
    assert_string_equal(config->store->path, WEIR_SOURCE_DIR "/packaging/configs/data");
    assert_int_equal(config->store->budget_bytes, 64000000);
    assert_int_equal(config->store->max_loss_ns, 15000000000);
    assert_null(config->uplink);
    assert_null(config->http);
    assert_string_equal(config->control->socket, WEIR_SOURCE_DIR "/packaging/configs/data/gw-7.sock");
    assert_string_equal(config->control->socket_of_service, "/run/weir/gw-7.sock");
    assert_int_equal(config->log->level, WR_LOG_INFO);
    assert_int_equal(config->limits->max_line_bytes, 64000);
    wr_config_free(config);
    wr_diagnostics_fini(&d);
}

static void test_the_shipped_default(void **state) {
    (void)state;
    struct wr_diagnostics d;
    wr_diagnostics_init(&d);
    struct wr_config *config;
    struct wr_error err;
    assert_int_equal(wr_config_load(WEIR_SOURCE_DIR "/packaging/weir.yaml", &d, &config, &err), WR_OK);
    assert_int_equal(d.errors, 0);
    assert_string_equal(config->store->path, "/var/lib/weir");
    assert_string_equal(config->control->socket, "/run/weir/weir.sock");
    assert_null(config->control->socket_of_service);
    wr_config_free(config);
    wr_diagnostics_fini(&d);
}

static void test_everything(void **state) {
    (void)state;
    make_file("ca.pem", 0644);
    make_file("node.pem", 0644);
    make_file("node.key", 0600);
    make_file("pw", 0600);
    make_file("b.csv", 0644);
    make_file("a.csv", 0644);
    assert_int_equal(mkdir(in_directory("rules.d"), 0755), 0);
    make_file("rules.d/x.yaml", 0644);
    struct wr_config *config =
        loads("node: {id: gw-7, site: riga}\n"
              "sources:\n"
              "  - {name: floor, kind: line, listen: [\"tcp://localhost:8094\", \"unix://line.sock\", stdin, \"tcp://[::1]:9\"],\n"
              "     precision: ms, max_connections: 5}\n"
              "  - {name: old, kind: replay, files: [b.csv, \"*.csv\"], pace: rescale, duration: 25s, loop: true,\n"
              "     csv: {time_column: date, time_format: \"%Y\", tags: [room, \"site=riga\"], skip_columns: [no]}}\n"
              "  - {name: fast, kind: replay, files: a.csv, pace: fast, format: line, precision: s}\n"
              "windows:\n"
              "  - {name: m1, every: 1m, of: \"temp{room=A1}\", lateness: 2s}\n"
              "  - {name: states, forward: changes, of: \"door_*\"}\n"
              "rules: [\"rules.d/*.yaml\"]\n"
              "store: {path: data, budget: 32MB, max_loss: 1s}\n"
              "uplink: {broker: \"mqtts://[::1]:9999\", ca: ca.pem, cert: node.pem, key: node.key, user: u,\n"
              "         password_file: pw, format: json, window: 8}\n"
              "http: {listen: \"127.0.0.1:8470\"}\n"
              "control: {socket: run/c.sock}\n"
              "log: {level: warn, format: json}\n"
              "limits: {max_series: 5, batches: 2}\n"
              "exec_allow: /bin/sh\n");
    const struct wr_config_line *line = &config->sources[0].line;
    assert_string_equal(line->addresses[0].host, "localhost");
    assert_string_equal(line->addresses[0].text, "tcp://localhost:8094");
    assert_int_equal(line->addresses[1].kind, WR_ADDRESS_UNIX);
    assert_string_equal(line->addresses[1].path, in_directory("line.sock"));
    assert_int_equal(line->addresses[2].kind, WR_ADDRESS_STDIN);
    assert_string_equal(line->addresses[3].host, "::1");
    assert_int_equal(line->max_connections, 5);
    assert_int_equal(config->sources[0].precision, WR_PRECISION_MS);
    const struct wr_config_replay *replay = &config->sources[1].replay;
    assert_int_equal(replay->n_files, 2);
    assert_string_equal(replay->files[0], in_directory("a.csv"));
    assert_string_equal(replay->files[1], in_directory("b.csv"));
    assert_int_equal(replay->pace, WR_REPLAY_RESCALE);
    assert_int_equal(replay->duration_ns, 25000000000);
    assert_int_equal(replay->max_gap_ns, 3600000000000);
    assert_int_equal(replay->start, WR_REPLAY_NOW);
    assert_true(replay->loop);
    assert_string_equal(replay->csv->tags[1], "site=riga");
    assert_string_equal(replay->csv->tz, "UTC");
    assert_int_equal(config->sources[2].replay.start, WR_REPLAY_AS_RECORDED);
    assert_int_equal(config->windows[0].of.n_matches, 1);
    assert_int_equal(config->windows[1].forward, WR_FORWARD_CHANGES);
    assert_int_equal(config->n_rule_files, 1);
    assert_string_equal(config->rule_files[0], in_directory("rules.d/x.yaml"));
    assert_int_equal(config->uplink->n_brokers, 1);
    assert_string_equal(config->uplink->brokers[0].host, "::1");
    assert_int_equal(config->uplink->brokers[0].port, 9999);
    assert_true(config->uplink->brokers[0].tls);
    assert_string_equal(config->uplink->key, in_directory("node.key"));
    assert_string_equal(config->uplink->prefix, "weir/1");
    assert_int_equal(config->http->address.port, 8470);
    assert_string_equal(config->control->socket, in_directory("run/c.sock"));
    assert_null(config->control->socket_of_service);
    assert_int_equal(config->log->level, WR_LOG_WARN);
    assert_true(wr_config_exec_allowed(config, "/bin/sh"));
    assert_false(wr_config_exec_allowed(config, "/bin/ls"));
    wr_config_free(config);
}

static void test_runtime_directory(void **state) {
    (void)state;
    setenv("RUNTIME_DIRECTORY", "/run/weir", 1);
    struct wr_config *config = loads(NODE FLOOR M1);
    unsetenv("RUNTIME_DIRECTORY");
    assert_string_equal(config->control->socket, "/run/weir/gw-7.sock");
    assert_null(config->control->socket_of_service);
    wr_config_free(config);
}

static void test_node_and_names(void **state) {
    (void)state;
    complains("node: {id: \"gw 7\"}\n" FLOOR M1, "1:12: error W500", "1 to 64 of the characters");
    complains("node: {id: \"\"}\n" FLOOR M1, "1:12: error W500", "1 to 64");
    complains("node: {id: g, site: \"a/b\"}\n" FLOOR M1, "1:21: error W500", "1 to 64");
    complains(NODE "sources: []\n" M1, "2:1: error W503", "no source");
    complains(NODE "sources: [{name: \"a b\", kind: line, listen: stdin}]\n" M1, "2:18: error W500", "1 to 63");
    complains(NODE "sources: [{name: a, kind: line, listen: stdin}, {name: a, kind: line, listen: \"tcp://127.0.0.1:1\"}]\n" M1,
              "2:56: error W501", "two sources are called 'a'");
    complains(NODE "sources: [{name: a, kind: mqtp}]\n" M1, "2:27: error W307", "unknown kind 'mqtp'");
    complains(NODE FLOOR "windows: [{name: none, every: 1m}]\n", "3:18: error W500", "ledger's own");
    complains(NODE FLOOR "windows: [{name: intake, every: 1m}]\n", "3:18: error W500", "ledger's own");
    complains(NODE FLOOR "windows: [{name: a, every: 1m}, {name: a, every: 2m}]\n", "3:40: error W501", "two windows are called 'a'");
}

static void test_line_sources(void **state) {
    (void)state;
    complains(NODE "sources: [{name: a, kind: line}]\n" M1, "2:11: error W503", "source 'a' needs 'listen'");
    complains(NODE "sources: [{name: a, kind: line, listen: \"sctp://x:1\"}]\n" M1, "2:41: error W505", "'sctp://x:1' is no address");
    complains(NODE "sources: [{name: a, kind: line, listen: \"tcp://127.0.0.1\"}]\n" M1, "2:41: error W505", "has no port");
    complains(NODE "sources: [{name: a, kind: line, listen: \"tcp://::1:80\"}]\n" M1, "2:41: error W505", "in brackets");
    complains(NODE "sources: [{name: a, kind: line, listen: \"tcp://[::1:80\"}]\n" M1, "2:41: error W505", "unfinished [address]");
    complains(NODE "sources: [{name: a, kind: line, listen: \"tcp://a b:80\"}]\n" M1, "2:41: error W505", "a host has no ' '");
    complains(NODE "sources: [{name: a, kind: line, listen: \"tcp://a:65536\"}]\n" M1, "2:41: error W505", "1 to 65535");
    complains(NODE "sources: [{name: a, kind: line, listen: \"unix://\"}]\n" M1, "2:41: error W505", "has no path");
    complains(NODE "sources: [{name: a, kind: line, listen: \"tcp://0.0.0.0:80\"}]\n" M1, "2:41: warning W509", "no passwords");
    complains(NODE "sources: [{name: a, kind: line, listen: \"tcp://:80\"}]\n" M1, "2:41: warning W509", "no passwords");
    complains(NODE "sources: [{name: a, kind: line, listen: [stdin, stdin]}]\n" M1, "2:49: error W501", "'a' listens there already");
    complains(NODE "sources: [{name: a, kind: line, listen: stdin, pace: fast}]\n" M1, "2:54: error W502", "a key of kind replay");
    char text[512];
    snprintf(text, sizeof text, NODE "sources: [{name: a, kind: line, listen: \"unix:///%0200d\"}]\n" M1, 0);
    complains(text, "2:41: error W505", "at most 107 bytes");
}

#define MQTT "sources: [{name: a, kind: mqtt, broker: \"mqtt://127.0.0.1\", topics: t/#"

static void test_mqtt_sources(void **state) {
    (void)state;
    complains(NODE "sources: [{name: a, kind: mqtt, topics: t}]\n" M1, "2:11: error W503", "source 'a' needs 'broker'");
    complains(NODE "sources: [{name: a, kind: mqtt, broker: \"mqtt://h\"}]\n" M1, "2:11: error W503", "needs 'topics'");
    complains(NODE "sources: [{name: a, kind: mqtt, broker: \"tcp://h\", topics: t}]\n" M1, "2:41: error W505", "mqtt://HOST");
    complains(NODE "sources: [{name: a, kind: mqtt, broker: \"mqtt://u@h\", topics: t}]\n" M1, "2:41: error W505", "password_file");
    complains(NODE "sources: [{name: a, kind: mqtt, broker: \"mqtt://h\", topics: t}]\n" M1, "2:41: warning W509", "without TLS");
    complains(NODE "sources: [{name: a, kind: mqtt, broker: \"mqtt://h\", topics: t, user: u, password_file: p}]\n" M1, "2:41: error W509",
              "in the clear");
    complains(NODE "sources: [{name: a, kind: mqtt, broker: \"mqtt://127.0.0.1\", topics: [t, \"a/#/b\"]}]\n" M1, "2:73: error W500",
              "only at the end");
    complains(NODE "sources: [{name: a, kind: mqtt, broker: \"mqtt://127.0.0.1\", topics: [t, t]}]\n" M1, "2:73: error W501", "twice");
    complains(NODE "sources: [{name: a, kind: mqtt, broker: \"mqtt://127.0.0.1\", topics: \"a/{field}\"}]\n" M1, "2:69: error W504",
              "{field} names a bare value");
    complains(NODE MQTT ", format: csv}]\n" M1, "2:82: error W504", "csv is read by kind replay only");
    complains(NODE MQTT ", format: value, precision: s}]\n" M1, "2:100: error W502", "no meaning for format value");
    complains(NODE MQTT ", measurement: m}]\n" M1, "2:87: error W502", "measurements of its own");
    complains(NODE MQTT ", qos: 2}]\n" M1, "2:79: error W306", "between 0 and 1");
    complains(NODE MQTT ", cert: c.pem}]\n" M1, "2:80: error W503", "go together");
    complains(NODE MQTT ", password_file: p}]\n" M1, "2:89: error W503", "a password needs a user");
    complains(NODE MQTT ", session_expiry: 0s}]\n" M1, "2:90: warning W510", "is lost");
    complains(NODE MQTT ", max_message: 1MB}]\n" M1, "2:87: error W504", "four messages");
    complains(NODE MQTT ", client_id: \"a b\"}]\n" M1, "2:85: error W500", "1 to");
    complains(NODE MQTT ", listen: stdin}]\n" M1, "2:82: error W502", "a key of kind");
    complains(NODE "sources: [{name: a, kind: line, listen: stdin, format: value}]\n" M1, "2:56: error W504", "kind mqtt only");
}

static void test_replay_sources(void **state) {
    (void)state;
    make_file("r.csv", 0644);
    complains(NODE "sources: [{name: a, kind: replay}]\n" M1, "2:11: error W503", "needs 'files'");
    complains(NODE "sources: [{name: a, kind: replay, files: no.csv}]\n" M1, "2:42: error W507", "no such file: 'no.csv'");
    complains(NODE "sources: [{name: a, kind: replay, files: r.csv, listen: stdin}]\n" M1, "2:57: error W502", "a key of kind line");
    complains(NODE "sources: [{name: a, kind: replay, files: r.csv, pace: rescale}]\n" M1, "2:55: error W503", "'duration' or 'speedup'");
    complains(NODE "sources: [{name: a, kind: replay, files: r.csv, pace: rescale, duration: 1s, speedup: 2}]\n" M1, "2:87: error W504",
              "exclude each other");
    complains(NODE "sources: [{name: a, kind: replay, files: r.csv, max_gap: 1s}]\n" M1, "2:58: error W504", "goes with pace rescale");
    complains(NODE "sources: [{name: a, kind: replay, files: r.csv, pace: fast, start: now}]\n" M1, "2:68: error W504", "in the future");
    complains(NODE "sources: [{name: a, kind: replay, files: r.csv, precision: s}]\n" M1, "2:60: error W502",
              "no meaning for files of format csv");
    complains(NODE "sources: [{name: a, kind: replay, files: r.csv, format: line, csv: {tz: UTC}}]\n" M1, "2:63: error W502",
              "no meaning for files of format line");
    complains(NODE "sources: [{name: a, kind: replay, files: \".\"}]\n" M1, "2:42: error W507", "that is a directory");
    complains(NODE "sources: [{name: a, kind: replay, files: r.csv, csv: {tz: Mars/Phobos}}]\n" M1, "2:59: error W512", "no time zone");
    complains(NODE "sources: [{name: a, kind: replay, files: r.csv, csv: {tz: ../x}}]\n" M1, "2:59: error W512",
              "not the name of a time zone");
    complains(NODE "sources: [{name: a, kind: replay, files: r.csv, csv: {time_format: \"%Q\"}}]\n" M1, "2:68: error W512", "unknown '%Q'");
    complains(NODE "sources: [{name: a, kind: replay, files: r.csv, csv: {measurement: \"\"}}]\n" M1, "2:68: error W500", "no name");
    complains(NODE "sources: [{name: a, kind: replay, files: r.csv, csv: {tags: [b, \"=x\"]}}]\n" M1, "2:65: error W500", "name=value");
}

static void test_json_sources(void **state) {
    (void)state;
#define JSON(more) NODE "sources: [{name: a, kind: line, listen: stdin, format: json, " more "}]\n" M1
    complains(JSON("precision: ms"), "2:73: error W502", "'precision' has no meaning for format json");
    complains(NODE "sources: [{name: a, kind: line, listen: stdin, json: {}}]\n" M1, "2:48: error W502", "no meaning for format line");
    complains(NODE "sources: [{name: a, kind: line, listen: stdin, format: csv}]\n" M1, "2:56: error W504", "csv is read by kind replay");
    complains(JSON("json: {time: t, time_format: \"%Q\"}"), "2:91: error W514", "unknown '%Q'");
    complains(JSON("json: {time: t, tz: Mars/Phobos}"), "2:82: error W514", "no time zone");
    complains(JSON("json: {time_format: s}"), "2:82: error W514", "'time_format' needs 'time'");
    complains(JSON("json: {tags: [a, b=c.d, a=e]}"), "2:86: error W514", "two tags are called 'a'");
    complains(JSON("json: {fields: [a..b]}"), "2:78: error W514", "a name is empty");
    complains(JSON("json: {constant_tags: a}"), "2:84: error W514", "a constant tag is name=value");
    complains(JSON("json: {tag: a}"), "2:69: error W301", "unknown key 'tag'");
#undef JSON
    make_file("r.csv", 0644);
#define REPLAY(more) NODE "sources: [{name: a, kind: replay, files: r.csv, " more "}]\n" M1
    complains(REPLAY("format: json, csv: {tz: UTC}"), "2:63: error W502", "'csv' has no meaning for files of format json");
    complains(REPLAY("format: json, precision: s"), "2:74: error W502", "'precision' has no meaning for files of format json");
    complains(REPLAY("json: {}"), "2:49: error W502", "'json' has no meaning for files of format csv");
    complains(REPLAY("format: json, json: {fields: [\"x=\"]}"), "2:79: error W514", "is no path");
#undef REPLAY
}

static void test_program_sources(void **state) {
    (void)state;
    struct wr_config *config =
        loads(NODE "sources: [{name: a, kind: exec, command: [/bin/sh, -c, \"echo x\"]}, {name: b, kind: execd, command: /bin/sh}]\n" M1);
    assert_int_equal(config->sources[0].every_ns, 10 * WR_NS_PER_S);
    assert_int_equal(config->sources[0].program.timeout_ns, 5 * WR_NS_PER_S);
    assert_int_equal(config->sources[0].program.memory_bytes, 256000000);
    assert_int_equal(config->sources[0].program.max_output_bytes, 1000000);
    assert_int_equal(config->sources[0].program.n_command, 3);
    assert_int_equal(config->sources[1].program.n_command, 1);
    wr_config_free(config);
    config = loads(NODE "sources: [{name: a, kind: exec, command: /bin/sh, every: 1s, memory: 0B}]\n" M1);
    assert_int_equal(config->sources[0].program.timeout_ns, WR_NS_PER_S);
    assert_int_equal(config->sources[0].program.memory_bytes, 0);
    wr_config_free(config);
    make_file("plain", 0644);
    make_file("open", 0777);
    char text[512];
    complains(NODE "sources: [{name: a, kind: exec}]\n" M1, "2:11: error W503", "source 'a' needs 'command'");
    complains(NODE "sources: [{name: a, kind: execd, command: no/such}]\n" M1, "2:43: error W507", "absolute path");
    complains(NODE "sources: [{name: a, kind: execd, command: \"/bin/sh -c x\"}]\n" M1, "2:43: error W507",
              "no such program: '/bin/sh -c x'");
    complains(NODE "sources: [{name: a, kind: execd, command: [/no/such]}]\n" M1, "2:44: error W507", "no such program: '/no/such'");
    complains(NODE "sources: [{name: a, kind: execd, command: /bin}]\n" M1, "2:43: error W507", "'/bin' is no file");
    snprintf(text, sizeof text, NODE "sources: [{name: a, kind: execd, command: %s}]\n" M1, in_directory("plain"));
    complains(text, "2:43: error W507", "is not executable");
    snprintf(text, sizeof text, NODE "sources: [{name: a, kind: execd, command: %s}]\n" M1, in_directory("open"));
    complains(text, "2:43: warning W507", "whoever does runs as weir");
    complains(NODE "sources: [{name: a, kind: execd, command: /bin/sh, every: 1s}]\n" M1, "2:59: error W502", "a key of kind exec");
    complains(NODE "sources: [{name: a, kind: exec, command: /bin/sh, format: csv}]\n" M1, "2:59: error W504",
              "csv is read by kind replay only");
    complains(NODE "sources: [{name: a, kind: exec, command: /bin/sh, timeout: 1m}]\n" M1, "2:60: warning W510", "longer than 'every'");
    complains(NODE "sources: [{name: a, kind: exec, command: /bin/sh, every: 1ms}]\n" M1, "2:58: error", "100ms");
    char words[600] = "";
    for (size_t i = 0; i < 64; i++)
        strcat(words, ", x");
    char many[1024];
    snprintf(many, sizeof many, NODE "sources: [{name: a, kind: exec, command: [/bin/sh%s]}]\n" M1, words);
    complains(many, "2:33: error W511", "65 words: at most 64");
}

static void test_windows_and_rules(void **state) {
    (void)state;
    complains(NODE FLOOR "windows: [{name: a}]\n", "3:11: error W503", "window 'a' needs 'every'");
    complains(NODE FLOOR "windows: [{name: a, every: 1m, forward: changes}]\n", "3:28: error W502", "no meaning with forward changes");
    complains(NODE FLOOR "windows: [{name: a, forward: raw}]\n", "3:30: error W508", "cannot forward raw readings yet");
    complains(NODE FLOOR "windows: [{name: a, every: 1m, of: \"\xC2\xB0{a\"}]\n", "3:40: error W506", "expected =, !=");
    complains(NODE FLOOR, "1:1: warning W510", "neither windows nor rules");
    complains(NODE FLOOR M1 "rules: no.yaml\n", "4:8: error W507", "no such file: 'no.yaml'");
    complains(NODE FLOOR M1 "rules: \"no/*.yaml\"\n", "4:8: warning W510", "no rule file matches");
    complains(NODE FLOOR M1 "rules: /tmp\n", "4:8: error W507", "that is a directory");
    assert_int_equal(mkfifo(in_directory("pipe.yaml"), 0600), 0);
    complains(NODE FLOOR M1 "rules: pipe.yaml\n", "4:8: error W507", "no regular file");
}

static void test_uplink(void **state) {
    (void)state;
    make_file("open.key", 0644);
    complains(NODE FLOOR M1 "uplink: {broker: \"http://x\"}\n", "4:18: error W505", "not a broker address");
    complains(NODE FLOOR M1 "uplink: {broker: []}\n", "4:10: error W511", "0 brokers");
    complains(NODE FLOOR M1 "uplink: {broker: [\"mqtts://a\", \"mqtts://A:8883\"]}\n", "4:32: error W505",
              "the same broker as 'mqtts://a'");
    complains(NODE FLOOR M1 "uplink: {broker: [\"mqtts://a\", \"mqtts://\"]}\n", "4:32: error W505", "no host");
    complains(NODE FLOOR M1 "uplink: {broker: [\"mqtts://a\", b, c, d, e, f, g, h, i]}\n", "4:10: error W511", "9 brokers: 1 to 8");
    complains(NODE FLOOR M1 "uplink: {broker: \"mqtt://a\"}\n", "4:18: warning W509", "without TLS");
    complains(NODE FLOOR M1 "uplink: {broker: \"mqtts://a\", schedule: {open: 1h}}\n", "4:48: error W511", "all the time");
    complains(NODE FLOOR M1 "uplink: {broker: \"mqtt://127.0.0.1\", alpn: mqtt}\n", "4:44: warning W510", "nobody is told");
    complains(NODE FLOOR M1 "uplink: {broker: \"mqtts://a\", alpn: \"\"}\n", "4:37: error W511", "1 to 255 bytes");
    complains(NODE FLOOR M1 "uplink: {broker: \"mqtts://a\", backfill_share: 101}\n", "4:47: error W306", "");
    complains(NODE FLOOR M1 "uplink: {broker: \"mqtt://a\", user: u, password_file: x}\n", "4:18: error W509", "in the clear");
    complains(NODE FLOOR M1 "uplink: {broker: \"mqtts://a\", cert: x}\n", "4:37: error W503", "private key");
    complains(NODE FLOOR M1 "uplink: {broker: \"mqtts://a\", key: x}\n", "4:36: error W503", "its certificate");
    complains(NODE FLOOR M1 "uplink: {broker: \"mqtts://a\", password_file: x}\n", "4:46: error W503", "a password needs a user");
    complains(NODE FLOOR M1 "uplink: {broker: \"mqtts://a\", ca: nothere}\n", "4:35: warning W507", "No such file");
    complains(NODE FLOOR M1 "uplink: {broker: \"mqtts://a\", ca: /tmp}\n", "4:35: warning W507", "a directory");
    complains(NODE FLOOR M1 "uplink: {broker: \"mqtts://a\", cert: open.key, key: open.key}\n", "4:52: warning W507",
              "can read this secret");
    complains(NODE FLOOR M1 "uplink: {broker: \"mqtt://127.0.0.1\", ca: open.key}\n", "4:42: warning W510", "not used");
    complains(NODE FLOOR M1 "uplink: {broker: \"mqtts://a\", prefix: \"a/#\"}\n", "4:39: error W500", "topic levels");
    complains(NODE FLOOR M1 "uplink: {broker: \"mqtts://a\", keepalive: 1s}\n", "4:42: error W306", "not between 10s and 1h");
    complains(NODE FLOOR M1 "uplink: {broker: \"mqtts://a\", window_bytes: 2MB}\n", "4:45: error W306", "not between");
}

static void test_services(void **state) {
    (void)state;
    make_file("tool", 0777);
    complains(NODE FLOOR M1 "http: {listen: \"0.0.0.0:80\"}\n", "4:16: warning W509", "no passwords");
    complains(NODE FLOOR M1 "http: {listen: \"80\"}\n", "4:16: error W505", "has no port");
    complains(NODE FLOOR M1 "http: {listen: \"127.0.0.1:8094\"}\n", "4:16: error W501", "listens there already");
    complains(NODE FLOOR M1 "control: {socket: \"\"}\n", "4:19: error W507", "has no name");
    complains(NODE FLOOR M1 "store: {path: tool}\n", "4:15: error W507", "no directory");
    complains(NODE FLOOR M1 "exec_allow: [/tmp]\n", "4:14: warning W507", "no such program");
    complains(NODE FLOOR M1 "exec_allow: [sh]\n", "4:14: error W507", "absolute path");
    complains(NODE FLOOR M1 "exec_allow: [/nowhere/x]\n", "4:14: warning W507", "no such program");
    char text[512];
    snprintf(text, sizeof text, NODE FLOOR M1 "exec_allow: [%s]\n", in_directory("tool"));
    complains(text, "4:14: error W507", "everybody can change");
    complains(NODE FLOOR M1 "limits: {max_line: 1MB, partial_lines: 1kB}\n", "4:40: error W504", "less than max_line");
    complains(NODE FLOOR M1 "store: {path: \"\"}\n", "4:15: error W507", "has no name");
    snprintf(text, sizeof text, NODE FLOOR M1 "control: {socket: /%0200d}\n", 0);
    complains(text, "4:19: error W505", "at most 107 bytes");
}

static void test_permissions_of_rules(void **state) {
    (void)state;
    char text[512];
    make_file("tool", 0700);
    make_file("open.secret", 0644);
    complains(NODE FLOOR M1 "file_allow: [logs]\n", "4:14: error W507", "absolute path");
    complains(NODE FLOOR M1 "file_allow: [/]\n", "4:14: error W507", "absolute path");
    complains(NODE FLOOR M1 "file_allow: [/var/../etc]\n", "4:14: error W507", "without . or ..");
    complains(NODE FLOOR M1 "file_allow: [/var/log/..]\n", "4:14: error W507", "without . or ..");
    complains(NODE FLOOR M1 "file_allow: [/var/log/.]\n", "4:14: error W507", "without . or ..");
    complains(NODE FLOOR M1 "file_allow: [/nowhere]\n", "4:14: warning W507", "no such directory");
    snprintf(text, sizeof text, NODE FLOOR M1 "file_allow: [%s]\n", in_directory("tool"));
    complains(text, "4:14: warning W507", "no such directory");
    complains(NODE FLOOR M1 "http_allow: [\"http://a\"]\n", "4:14: error W505", "the port must be a number");
    complains(NODE FLOOR M1 "http_allow: [\"a/b\"]\n", "4:14: error W505", "write HOST or HOST:PORT");
    complains(NODE FLOOR M1 "http_allow: [\"a:80\"]\n", "4:14: warning W509", "alarms go to a without TLS");
    complains(NODE FLOOR M1 "secrets: [{name: \"a b\", file: open.secret}]\n", "4:18: error W500", "");
    complains(NODE FLOOR M1 "secrets: [{name: a, file: nowhere}]\n", "4:27: warning W507", "webhooks with this secret fail until");
    complains(NODE FLOOR M1 "secrets: [{name: a, file: open.secret}]\n", "4:27: warning W507", "can read this secret");
    complains(NODE FLOOR M1 "secrets: [{name: a, file: tool}, {name: a, file: tool}]\n", "4:41: error W501", "two secrets are called 'a'");
}

static void test_many(void **state) {
    (void)state;
    struct wr_buf text;
    wr_buf_init(&text, 0);
    assert_int_equal(wr_buf_text(&text, NODE FLOOR "windows:\n"), WR_OK);
    for (int i = 0; i <= WR_WINDOWS_MAX; i++)
        assert_int_equal(wr_buf_printf(&text, "  - {name: w%d, every: 1m}\n", i), WR_OK);
    complains(wr_buf_str(&text), "3:1: error W511", "33 windows: at most 32");
    wr_buf_clear(&text);
    assert_int_equal(wr_buf_text(&text, NODE M1 "sources:\n"), WR_OK);
    for (int i = 0; i <= WR_CONFIG_SOURCES_MAX; i++)
        assert_int_equal(wr_buf_printf(&text, "  - {name: s%d, kind: line, listen: \"tcp://127.0.0.1:%d\"}\n", i, i + 1), WR_OK);
    complains(wr_buf_str(&text), "3:1: error W511", "65 sources: at most 64");
    wr_buf_fini(&text);
}

static void test_missing_file(void **state) {
    (void)state;
    struct wr_diagnostics d;
    wr_diagnostics_init(&d);
    struct wr_config *config = NULL;
    struct wr_error err;
    assert_int_equal(wr_config_load(in_directory("none.yaml"), &d, &config, &err), WR_IO);
    assert_non_null(strstr(err.text, "No such file"));
    assert_null(config);
    wr_diagnostics_fini(&d);
}

static void test_each_allocation_may_fail(void **state) {
    (void)state;
    make_file("f.csv", 0644);
    static const char text[] = NODE "sources:\n  - {name: a, kind: line, listen: [\"tcp://127.0.0.1:1\", \"unix://x\", stdin]}\n"
                                    "  - {name: b, kind: replay, files: \"f.c*\", csv: {tz: Europe/Riga}}\n" M1 "rules: \"*.csv\"\n"
                                    "uplink: {broker: \"mqtts://a\", ca: f.csv, commands: {key_file: " WEIR_TEST_DATA
                                    "/jws/rfc7515-a3.pub}}\nhttp: {listen: \"127.0.0.1:2\"}\n";
    for (long n = 0;; n++) {
        struct wr_diagnostics d;
        wr_diagnostics_init(&d);
        struct wr_config *config = NULL;
        struct wr_error err;
        const char *file = in_directory("weir.yaml");
        wr_failing_allocations(n);
        enum wr_result result = wr_config_load_text(file, text, strlen(text), &d, &config, &err);
        bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        wr_config_free(config);
        wr_diagnostics_fini(&d);
        if (!hit)
            break;
        assert_true(n < 2000);
    }
}

static void test_the_reference_is_fresh(void **state) {
    (void)state;
    struct wr_buf made;
    wr_buf_init(&made, 0);
    assert_int_equal(wr_config_reference_markdown(&made), WR_OK);
    const char *update = getenv("WEIR_UPDATE_DOCS"); /* set it to write the file anew */
    FILE *file = fopen(WEIR_SOURCE_DIR "/docs/configuration.md", update ? "w+" : "r");
    assert_non_null(file);
    if (update) {
        assert_int_equal(fwrite(made.data, 1, made.len, file), made.len);
        rewind(file);
    }
    char *checked_in = calloc(1, made.len + 2);
    size_t len = fread(checked_in, 1, made.len + 1, file);
    fclose(file);
    if (len != made.len || memcmp(checked_in, made.data, len) != 0)
        fail_msg("docs/configuration.md is not what the schema says: run this test with WEIR_UPDATE_DOCS=1");
    free(checked_in);
    wr_buf_fini(&made);
}

/* ---- where a source of kind line listens ---- */

static void test_tls_and_udp_addresses(void **state) {
    (void)state;
    struct wr_config *config = loads(
        NODE M1 "sources: [{name: a, kind: line, listen: [\"udp://127.0.0.1:8094\", \"tcp://127.0.0.1:8094\", \"udp://[::1]:8094\"]}]\n");
    assert_int_equal(config->sources[0].line.addresses[0].kind, WR_ADDRESS_UDP);
    assert_int_equal(config->sources[0].line.addresses[0].port, 8094);
    assert_string_equal(config->sources[0].line.addresses[2].host, "::1");
    assert_null(config->sources[0].tls.cert);
    wr_config_free(config);
#define TLS(keys) NODE M1 "sources: [{name: a, kind: line, listen: \"tls://127.0.0.1:8095\"" keys "}]\n"
    make_file("weir.key", 0644);
    make_file("other.key", 0600);
    complains(TLS(", key: other.key"), "3:11: error W503", "a tls:// address needs 'cert'");
    complains(TLS(", cert: weir.pem"), "3:11: error W503", "a tls:// address needs 'key'");
    complains(TLS(", cert: no.pem, key: other.key"), "3:71: warning W507", "TLS connections are refused until this file can be read");
    complains(TLS(", cert: weir.key, key: weir.key"), "3:86: warning W507", "everybody on this machine can read this secret");
    complains(TLS(", cert: other.key, key: other.key"), "3:71: warning W507", "TLS connections are refused until this is mended");
    complains(TLS(", cert: no.pem, key: other.key, crl: no.pem"), "3:100: error W503", "without 'ca' none is asked for");
    complains(NODE M1 "sources: [{name: a, kind: line, listen: \"tcp://127.0.0.1:1\", cert: no.pem}]\n", "3:68: warning W510",
              "has no tls:// address: 'cert' is not used");
    complains(NODE M1 "sources: [{name: a, kind: line, listen: [\"tcp://127.0.0.1:1\", \"tls://127.0.0.1:1\"]}]\n", "3:63: error W501",
              "listens there already");
    complains(NODE M1 "sources: [{name: a, kind: line, listen: \"udp://0.0.0.0:1\"}]\n", "3:41: warning W509", "easily forged");
    complains(NODE M1 "sources: [{name: a, kind: line, listen: \"tls://0.0.0.0:1\", cert: no.pem, key: other.key}]\n", "3:41: warning W509",
              "without 'ca' senders need no certificate");
    complains(NODE M1 "sources: [{name: a, kind: line, listen: \"tls://0.0.0.0:1\"}]\nhttp: {listen: \"0.0.0.0:1\"}\n", "4:16: error W501",
              "source 'a' listens there already");
#undef TLS
}

/* ---- the diff ---- */

static struct wr_config *quietly(const char *text) {
    char said[8192];
    struct wr_config *config = load(text, said, sizeof said);
    if (!config)
        fail_msg("%s", said);
    return config;
}

static void expect_diff(const char *before, const char *after, const char *words) {
    struct wr_config *a = quietly(before);
    struct wr_config *b = quietly(after);
    struct wr_config_diff diff;
    struct wr_error err = {0};
    char text[256];
    if (wr_config_compare(a, b, &diff, &err) == WR_OK)
        assert_string_equal(wr_config_diff_describe(text, sizeof text, &diff), words);
    else
        assert_string_equal(err.text, words);
    if (err.code == WR_OK)
        assert_int_equal(wr_config_diff_is_empty(&diff), strcmp(words, "nothing") == 0);
    wr_config_free(a);
    wr_config_free(b);
}

static void test_limits_of_the_store(void **state) {
    (void)state;
    struct wr_config *config = quietly(
        NODE FLOOR M1 "store: {budget: 50MB, write_budget: 200MB/day, lanes: {alarms: {quota: 1MB}, windows: {quota: 30%, ttl: 7d}}}\n");
    assert_int_equal(config->store->write_budget_bytes, 200000000);
    assert_int_equal(config->store->lanes->alarms->quota_bytes, 1000000);
    assert_int_equal(config->store->lanes->alarms->ttl_ns, 0);
    assert_null(config->store->lanes->changes);
    assert_int_equal(config->store->lanes->windows->quota_bytes, 15000000);
    assert_int_equal(config->store->lanes->windows->ttl_ns, 7 * 86400 * WR_NS_PER_S);
    wr_config_free(config);
    config = quietly(NODE FLOOR M1);
    assert_int_equal(config->store->write_budget_bytes, 0);
    assert_null(config->store->lanes);
    wr_config_free(config);
    static const struct {
        const char *store;
        const char *place;
        const char *words;
    } wrong[] = {
        {"write_budget: 200MB", "4:23: error W511", "'200MB' is no size a day: write for example 200MB/day"},
        {"write_budget: /day", "4:23: error W511", "no size a day"},
        {"write_budget: 200/day", "4:23: error W511", "has no unit"},
        {"write_budget: 100kB/day", "4:23: error W511", "less than 1 MB"},
        {"write_budget: 20MB/day", "4:23: warning W511", "write up to 57.6 MB a day"},
        {"lanes: {windows: {quota: 0%}}", "4:34: error W511", "no part of the budget"},
        {"lanes: {windows: {quota: 101%}}", "4:34: error W511", "no part of the budget"},
        {"lanes: {windows: {quota: 5%%}}", "4:34: error W511", "no part of the budget"},
        {"lanes: {windows: {quota: much}}", "4:34: error W511", "or a part of the budget"},
        {"lanes: {changes: {quota: 100kB}}", "4:34: error W511", "at least 512 kB"},
        {"lanes: {alarms: {quota: 0.1%}}", "4:33: error W511", "at least 512 kB"},
        {"lanes: {windows: {quota: 1GB}}", "4:34: warning W510", "nothing is limited"},
        {"lanes: {windows: {ttl: 10s}}", "4:32: error W306", "not between"},
        {"lanes: {raw: {ttl: 1h}}", "4:17: error", "raw"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[512];
        snprintf(text, sizeof text, NODE FLOOR M1 "store: {%s}\n", wrong[i].store);
        complains(text, wrong[i].place, wrong[i].words);
    }
    expect_diff(NODE FLOOR M1 "store: {lanes: {windows: {ttl: 1d}}}\n", NODE FLOOR M1 "store: {lanes: {windows: {ttl: 2d}}}\n",
                "store.lanes needs a restart to change");
    expect_diff(NODE FLOOR M1 "store: {write_budget: 200MB/day}\n", NODE FLOOR M1 "store: {write_budget: 300MB/day}\n",
                "store.write_budget needs a restart to change");
}

static void test_diff(void **state) {
    (void)state;
#define REST M1 "uplink: {broker: \"mqtts://a\"}\n"
#define BASE NODE FLOOR REST
    expect_diff(BASE, BASE, "nothing");
    expect_diff(BASE, "node: {id: gw-8}\n" FLOOR REST, "node.id needs a restart to change");
    expect_diff(BASE, BASE "store: {budget: 32MB}\n", "store.budget needs a restart to change");
    expect_diff(BASE, BASE "control: {socket: /tmp/x}\n", "control.socket needs a restart to change");
    expect_diff(BASE, BASE "limits: {max_series: 1}\n", "limits.max_series needs a restart to change");
    expect_diff(BASE, BASE "limits: {max_symbols: 1}\n", "limits.max_symbols needs a restart to change");
    expect_diff(BASE, BASE "limits: {worker_threads: 1}\n", "limits.worker_threads needs a restart to change");
    expect_diff(BASE, BASE "limits: {batches: 4}\n", "sources: ~floor");
    expect_diff(BASE, BASE "limits: {max_connections: 4}\n", "sources: ~floor");
    expect_diff(BASE, BASE "limits: {max_instances: 4}\n", "rules");
    expect_diff(BASE, BASE "limits: {stop_deadline: 4s}\n", "order or limits");
    expect_diff(BASE, BASE "log: {level: debug}\nhttp: {listen: \"127.0.0.1:1\"}\n", "http; log");
    expect_diff(BASE, NODE FLOOR M1, "uplink");
    expect_diff(BASE, NODE FLOOR M1 "uplink: {broker: \"mqtts://b\"}\n", "uplink");
    expect_diff(BASE, BASE "secrets: [{name: a, file: tool}]\n", "rules");
    expect_diff(BASE "secrets: [{name: a, file: tool}]\n", BASE "secrets: [{name: a, file: other}]\n", "rules");
    expect_diff(BASE, BASE "file_allow: [/tmp]\n", "rules");
    expect_diff(BASE, BASE "http_allow: [a]\n", "rules");
    expect_diff(BASE, BASE "exec_allow: /bin/sh\n", "rules");
    expect_diff(NODE "sources: [{name: a, kind: line, listen: stdin}, {name: b, kind: line, listen: \"tcp://127.0.0.1:1\"}]\n" REST,
                NODE "sources: [{name: b, kind: line, listen: \"tcp://127.0.0.1:2\"}, {name: c, kind: line, listen: stdin}]\n"
                     "windows: [{name: m1, every: 2m}, {name: m2, every: 1m}]\nuplink: {broker: \"mqtts://a\"}\n",
                "sources: ~b +c -a; windows: ~m1 +m2; order or limits");
}

static void test_diff_sees_new_recordings(void **state) {
    (void)state;
    static const char text[] = NODE "sources: [{name: r, kind: replay, files: \"q*.csv\"}]\n" M1;
    make_file("q1.csv", 0644);
    struct wr_config *before = loads(text);
    make_file("q2.csv", 0644);
    struct wr_config *after = loads(text);
    struct wr_config_diff diff;
    assert_int_equal(wr_config_compare(before, after, &diff, NULL), WR_OK);
    assert_int_equal(diff.sources[0].change, WR_CONFIG_CHANGED);
    char small[12];
    assert_string_equal(wr_config_diff_describe(small, sizeof small, &diff), "sources: ~r");
    char tiny[5];
    assert_string_equal(wr_config_diff_describe(tiny, sizeof tiny, &diff), "sour");
    wr_config_free(before);
    wr_config_free(after);
}

/* ---- kind http ---- */

#define HTTP "http: {listen: \"127.0.0.1:8470\"}\n"

static void test_the_source_http(void **state) {
    (void)state;
    make_file("tokens", 0600);
    make_file("open", 0644);
    struct wr_config *config =
        loads(NODE M1 HTTP "sources: [{name: web, kind: http, token_file: tokens, max_body: 100KB, precision: s}]\n");
    assert_string_equal(config->sources[0].http.token_file, in_directory("tokens"));
    assert_int_equal(config->sources[0].http.max_body_bytes, 100000);
    assert_int_equal(config->sources[0].http.bodies_bytes, 8000000);
    assert_int_equal(config->http->max_connections, 100);
    wr_config_free(config);
    config = loads(NODE M1 HTTP
                   "sources: [{name: web, kind: http, json: {time: at, time_format: ms, tags: [id]}}]\n"); /* loopback: no warning */
    assert_non_null(config->sources[0].json);
    wr_config_free(config);

    complains(NODE M1 "sources: [{name: web, kind: http}]\n", "3:29: error", "needs the section 'http'");
    complains(NODE M1 HTTP "sources: [{name: web, kind: http}, {name: w2, kind: http}]\n", "4:53: error",
              "source 'web' takes what comes in over HTTP already");
    complains(NODE M1 HTTP "sources: [{name: web, kind: http, token_file: gone}]\n", "4:47: error", "gone");
    complains(NODE M1 HTTP "sources: [{name: web, kind: http, token_file: open}]\n", "4:47: warning",
              "everybody on this machine can read this secret");
    complains(NODE M1 HTTP "sources: [{name: web, kind: http, max_body: 9MB}]\n", "4:11: error", "less than max_body");
    complains(NODE M1 HTTP "sources: [{name: web, kind: http, listen: stdin}]\n", "4:43: error", "'listen' is a key of kind line");
    complains(NODE M1 HTTP "sources: [{name: web, kind: http, json: {tags: [\"=\"]}}]\n", "4:49: error", "");
    complains(NODE M1 "sources: [{name: web, kind: http}]\nhttp: {listen: \"0.0.0.0:8470\"}\n", "3:18: warning",
              "without tokens whoever reaches http.listen can write readings");
}

#define DESK(file) NODE M1 FLOOR "http: {listen: \"127.0.0.1:8470\", command_token_file: " file "}\n"

static void test_commands_over_http(void **state) {
    (void)state;
    make_file("operators", 0600);
    make_file("open", 0644);
    make_file("tokens", 0600);
    struct wr_config *config = loads(DESK("operators"));
    assert_string_equal(config->http->command_token_file, in_directory("operators"));
    wr_config_free(config);
    complains(DESK("gone"), "4:54: error", "gone");
    complains(DESK("open"), "4:54: warning", "everybody on this machine can read this secret");
    complains(NODE M1 "sources: [{name: web, kind: http, token_file: tokens}]\n"
                      "http: {listen: \"127.0.0.1:8470\", command_token_file: tokens}\n",
              "4:54: error", "source 'web' has the same file: whoever may write readings could silence alarms");
    complains(NODE M1 FLOOR "http: {listen: \"0.0.0.0:8470\", command_token_file: operators}\n", "4:16: warning",
              "commands and their tokens can be read on the network");
    expect_diff(DESK("operators"), DESK("tokens"), "http");
}

#define COMMANDS(file) NODE M1 FLOOR "uplink: {broker: \"mqtts://x\", commands: {key_file: " file "}}\n"

static void test_commands_over_mqtt(void **state) {
    (void)state;
    char command[512];
    snprintf(command, sizeof command, "install -m 644 %s/jws/rfc7515-a3.pub %s; install -m 600 %s/jws/rfc7515-a3.key %s", WEIR_TEST_DATA,
             in_directory("pinned.pub"), WEIR_TEST_DATA, in_directory("pinned.key"));
    assert_int_equal(system(command), 0);
    struct wr_config *config = loads(COMMANDS("pinned.pub"));
    assert_string_equal(config->uplink->commands->key_file, in_directory("pinned.pub"));
    wr_config_free(config);
    config = loads(NODE M1 FLOOR "uplink: {broker: \"mqtts://x\"}\n");
    assert_null(config->uplink->commands);
    wr_config_free(config);
    make_file("empty", 0644);
    complains(COMMANDS("missing"), "4:52: error", "missing: No such file");
    complains(COMMANDS("."), "4:52: error", "that is a directory");
    complains(COMMANDS("empty"), "4:52: error", "the file is empty");
    complains(COMMANDS("pinned.key"), "4:52: error", "holds a private key, which must stay with who signs");
    complains(NODE M1 FLOOR "uplink: {broker: \"mqtts://x\", commands: {}}\n", "4:41: error", "missing key 'key_file'");
    assert_int_equal(chmod(in_directory("pinned.pub"), 0666), 0);
    complains(COMMANDS("pinned.pub"), "4:52: warning", "everybody on this machine can exchange this key");
    assert_int_equal(chmod(in_directory("pinned.pub"), 0644), 0);
    expect_diff(COMMANDS("pinned.pub"), COMMANDS("./pinned.pub"), "uplink");
    expect_diff(COMMANDS("pinned.pub"), NODE M1 FLOOR "uplink: {broker: \"mqtts://x\"}\n", "uplink");
    expect_diff(COMMANDS("pinned.pub"), COMMANDS("pinned.pub"), "nothing");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_smallest),
        cmocka_unit_test(test_the_shipped_default),
        cmocka_unit_test(test_everything),
        cmocka_unit_test(test_commands_over_http),
        cmocka_unit_test(test_commands_over_mqtt),
        cmocka_unit_test(test_runtime_directory),
        cmocka_unit_test(test_node_and_names),
        cmocka_unit_test(test_line_sources),
        cmocka_unit_test(test_mqtt_sources),
        cmocka_unit_test(test_replay_sources),
        cmocka_unit_test(test_json_sources),
        cmocka_unit_test(test_program_sources),
        cmocka_unit_test(test_windows_and_rules),
        cmocka_unit_test(test_uplink),
        cmocka_unit_test(test_services),
        cmocka_unit_test(test_limits_of_the_store),
        cmocka_unit_test(test_limits_of_the_store),
        cmocka_unit_test(test_permissions_of_rules),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_missing_file),
        cmocka_unit_test(test_each_allocation_may_fail),
        cmocka_unit_test(test_the_reference_is_fresh),
        cmocka_unit_test(test_the_source_http),
        cmocka_unit_test(test_tls_and_udp_addresses),
        cmocka_unit_test(test_diff),
        cmocka_unit_test(test_diff_sees_new_recordings),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
