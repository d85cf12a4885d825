/* The options of weir-receive: words, a file, both; errors with their place; the table in docs/receive.md is the schema's.
 * WEIR_WRITE_REFERENCE=1 writes that table anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/receive/message.h"
#include "agent/receive/options.h"
#include "core/clock.h"
#include "tests/support/failing.h"

#define DOCS WEIR_SOURCE_DIR "/docs/receive.md"
#define BEGIN "<!-- made from agent/receive/options_schema.c -->\n"
#define END "<!-- end -->\n"

static struct wr_receive_loaded loaded;
static struct wr_buf problems;
static struct wr_error err;

static enum wr_result load(const char *file, const char *const *words) {
    int n = 0;
    while (words[n])
        n++;
    wr_buf_fini(&problems);
    wr_buf_init(&problems, 0);
    return wr_receive_options_load(file, n, (char **)(uintptr_t)words, true, &loaded, &problems, &err);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_words(void **state) {
    (void)state;
    assert_int_equal(load(NULL, WORDS("--broker", "mqtts://b.example.com", "--to=file:/data", "--kinds", "agg,alarm", "--batch-delay", "1s",
                                      "--quarantine-max=1MB", "--user", "a \"b\" \\c", "--batch", "12")),
                     WR_OK);
    const struct wr_receive_options *options = loaded.options;
    assert_true(options->url.tls && options->url.port == 8883);
    assert_int_equal(options->target, WR_TARGET_FILES);
    assert_string_equal(options->directory, "/data");
    assert_int_equal(options->kind_set, 1U << WR_MESSAGE_AGG | 1U << WR_MESSAGE_ALARM);
    assert_int_equal(options->batch_delay_ns, WR_NS_PER_S);
    assert_int_equal(options->quarantine_max_bytes, 1000000);
    assert_string_equal(options->user, "a \"b\" \\c");
    assert_int_equal(options->batch, 12);
    assert_string_equal(options->quarantine, "/data/.quarantine");
    assert_string_equal(options->client_id, "weir-receive-1");
    assert_string_equal(options->prefix, "weir/1");
    wr_receive_options_free(&loaded);
}

static void test_a_file_and_words_that_win(void **state) {
    (void)state;
    char path[] = "/tmp/weir-options-XXXXXX";
    char expected[80];
    const int fd = mkstemp(path);
    static const char text[] = "broker: mqtt://127.0.0.1\nca: pki/ca.pem\nto: file:out\nkinds: [agg, gap]\ninstance: x\nformat: csv\n";
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    assert_int_equal(load(path, WORDS("--instance", "y", "--password-file", "pw", "--user", "u")), WR_OK);
    assert_string_equal(loaded.options->instance, "y");
    assert_string_equal(loaded.options->directory, "/tmp/out"); /* of the file: beside it */
    assert_string_equal(loaded.options->ca, "/tmp/pki/ca.pem");
    assert_string_equal(loaded.options->password_file, "pw"); /* of the words: here */
    assert_int_equal(loaded.options->kind_set, 1U << WR_MESSAGE_AGG | 1U << WR_MESSAGE_GAP);
    wr_receive_options_free(&loaded);
    assert_int_equal(load(path, WORDS("--to", "nonsense", "--format", "line")), WR_INVALID);
    assert_non_null(strstr(wr_buf_str(&problems), "command line:1:"));
    assert_int_equal(load(path, WORDS("--cert", "c.pem")), WR_INVALID);
    assert_int_equal(load(path, WORDS("--to", "stdout")), WR_INVALID); /* csv of two kinds, said by the file */
    snprintf(expected, sizeof expected, "%s:6:", path);
    assert_non_null(strstr(wr_buf_str(&problems), expected));
    unlink(path);
}

static void refuses(const char *const *words, const char *expected) {
    assert_int_equal(load(NULL, words), WR_INVALID);
    if (!strstr(wr_buf_str(&problems), expected))
        fail_msg("'%s' does not say '%s'", wr_buf_str(&problems), expected);
}

static void test_words_that_are_wrong(void **state) {
    (void)state;
    refuses(WORDS("--to", "stdout"), "where messages come from must be said");
    refuses(WORDS("--nonsense", "1"), "no option '--nonsense'");
    refuses(WORDS("broker"), "'broker' is no option");
    refuses(WORDS("--broker"), "--broker needs a value");
    refuses(WORDS("--broker", "tcp://x"), "mqtts://");
    refuses(WORDS("--broker", "mqtt://far.example.com", "--user", "u", "--password-file", "f"), "in the clear");
    refuses(WORDS("--broker", "mqtt://127.0.0.1", "--password-file", "f"), "a password needs a user");
    refuses(WORDS("--broker", "mqtts://b", "--key", "k"), "go together");
    refuses(WORDS("--broker", "mqtts://b", "--prefix", "a/#"), "prefix");
    refuses(WORDS("--broker", "mqtts://b", "--instance", "a b"), "instance");
    refuses(WORDS("--broker", "mqtts://b", "--group", "a/b"), "group");
    refuses(WORDS("--broker", "mqtts://b", "--schema", "a;b"), "schema");
    refuses(WORDS("--broker", "mqtts://b", "--kinds", "agg,no"), "no kind 'no'");
    refuses(WORDS("--broker", "mqtts://b", "--format", "csb"), "csv");
    refuses(WORDS("--broker", "mqtts://b", "--batch", "0"), "batch");
    refuses(WORDS("--broker", "mqtts://b", "--broker", "mqtts://c"), "broker");
    refuses(WORDS("--broker", "mqtts://b", "--to", "postgresql://a:secret@h/d"), "postgres_password_file");
    refuses(WORDS("--broker", "mqtts://b", "--to", "file:"), "file:DIRECTORY");
}

static void test_no_memory(void **state) {
    (void)state;
    bool hit = true;
    for (long n = 0; hit; n++) {
        wr_failing_allocations(n);
        const enum wr_result result = load(NULL, WORDS("--broker", "mqtts://b", "--kinds", "agg,gap", "--to", "file:/out"));
        hit = wr_failing_hit();
        wr_failing_off();
        assert_true(result == WR_OK || result == WR_NO_MEMORY);
        assert_true(result == WR_OK ? true : hit);
        if (result == WR_OK)
            wr_receive_options_free(&loaded);
    }
}

static char *read_docs(void) {
    static char text[1 << 16];
    FILE *file = fopen(DOCS, "r");
    assert_non_null(file);
    const size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = '\0';
    return text;
}

static void test_the_table_in_the_docs_is_the_schema(void **state) {
    (void)state;
    struct wr_buf table;
    char *docs = read_docs();
    char *begin = strstr(docs, BEGIN);
    assert_non_null(begin);
    begin += strlen(BEGIN);
    char *end = strstr(begin, END);
    assert_non_null(end);
    wr_buf_init(&table, 0);
    assert_int_equal(wr_receive_options_reference(&table), WR_OK);
    if (getenv("WEIR_WRITE_REFERENCE")) {
        FILE *file = fopen(DOCS, "w");
        assert_non_null(file);
        char *rest = strdup(end);
        fprintf(file, "%.*s%s%s", (int)(begin - docs), docs, wr_buf_str(&table), rest);
        free(rest);
        fclose(file);
    } else {
        *end = '\0';
        assert_string_equal(begin, wr_buf_str(&table));
    }
    wr_buf_fini(&table);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_a_file_and_words_that_win),
        cmocka_unit_test(test_words_that_are_wrong),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_the_table_in_the_docs_is_the_schema),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    wr_buf_fini(&problems);
    return failed;
}
