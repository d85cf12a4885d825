/* Topic patterns against a model that splits both into levels and compares them one by one, over random patterns and topics of few words, so that
 * they often match. The filter of a pattern has to match what the pattern does, by the rules of MQTT 4.7. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "agent/sources/topic_pattern.h"
#include "tests/support/random.h"

#define ROUNDS 200000
#define LEVELS 6
#define TEXT_BYTES 128

/* Splits at '/'. */
static size_t split(const char *text, char words[][TEXT_BYTES], size_t max) {
    size_t n = 0;
    for (const char *at = text;; at++) {
        size_t len = strcspn(at, "/");
        assert_true(n < max);
        (void)snprintf(words[n++], TEXT_BYTES, "%.*s", (int)len, at);
        at += len;
        if (*at == '\0')
            return n;
    }
}

/* MQTT's filter matching, written as recursion over the levels. */
static bool filter_matches(char filter[][TEXT_BYTES], size_t n_filter, char topic[][TEXT_BYTES], size_t n_topic) {
    if (n_filter == 0)
        return n_topic == 0;
    if (strcmp(filter[0], "#") == 0)
        return true;
    if (n_topic == 0)
        return false;
    return (strcmp(filter[0], "+") == 0 || strcmp(filter[0], topic[0]) == 0) &&
           filter_matches(filter + 1, n_filter - 1, topic + 1, n_topic - 1);
}

static bool model_matches(const char *filter, const char *topic) {
    char filter_words[LEVELS + 1][TEXT_BYTES];
    char topic_words[LEVELS + 1][TEXT_BYTES];
    if (topic[0] == '$' && (filter[0] == '+' || filter[0] == '#'))
        return false;
    size_t n_filter = split(filter, filter_words, LEVELS + 1);
    size_t n_topic = split(topic, topic_words, LEVELS + 1);
    return filter_matches(filter_words, n_filter, topic_words, n_topic);
}

static void make(struct wr_random *random, const char *const *words, size_t n_words, char *text) {
    size_t n = 1 + wr_random_below(random, LEVELS);
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(text + len, TEXT_BYTES - len, "%s%s", i == 0 ? "" : "/", words[wr_random_below(random, n_words)]);
}

static void patterns_do_as_their_filters(void **state) {
    (void)state;
    static const char *const pattern_words[] = {"a", "b", "", "$x", "+", "{p}", "{q}", "{measurement}", "{field}", "#"};
    static const char *const topic_words[] = {"a", "b", "", "$x", "c"};
    struct wr_random random = wr_random_begin();
    unsigned matched = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        char text[TEXT_BYTES];
        char topic[TEXT_BYTES];
        struct wr_topic_pattern pattern;
        make(&random, pattern_words, sizeof pattern_words / sizeof pattern_words[0], text);
        make(&random, topic_words, sizeof topic_words / sizeof topic_words[0], topic);
        if (wr_topic_pattern_init(&pattern, text, NULL) != WR_OK)
            continue; /* a name twice, # inside, nothing at all */
        struct wr_topic_match match;
        bool matches = wr_topic_pattern_match(&pattern, (struct wr_word){topic, strlen(topic)}, &match);
        if (matches != model_matches(pattern.filter, topic))
            fail_msg("'%s' %s '%s'", text, matches ? "matches" : "does not match", topic);
        if (matches) { /* each placeholder holds the word that stands at its level */
            char words[LEVELS + 1][TEXT_BYTES];
            char levels[LEVELS + 1][TEXT_BYTES];
            (void)split(topic, words, LEVELS + 1);
            size_t n = split(text, levels, LEVELS + 1);
            size_t tags = 0;
            for (size_t at = 0; at < n; at++) {
                struct wr_word found = {"", 0};
                bool is_tag = strcmp(levels[at], "{p}") == 0 || strcmp(levels[at], "{q}") == 0;
                if (is_tag)
                    found = match.tags[tags++].value;
                else if (strcmp(levels[at], "{measurement}") == 0)
                    found = match.measurement;
                else if (strcmp(levels[at], "{field}") == 0)
                    found = match.field;
                else
                    continue;
                assert_int_equal(found.len, strlen(words[at]));
                assert_memory_equal(found.text, words[at], found.len);
            }
            assert_int_equal(match.n_tags, tags);
        }
        matched += matches;
        wr_topic_pattern_fini(&pattern);
    }
    assert_true(matched > ROUNDS / 100);
}

static void refused(const char *text, const char *part) {
    struct wr_topic_pattern pattern;
    struct wr_error err = {0};
    assert_int_equal(wr_topic_pattern_init(&pattern, text, &err), WR_INVALID);
    if (strstr(err.text, part) == NULL)
        fail_msg("'%s': '%s' has no '%s'", text, err.text, part);
}

static void what_is_no_pattern_is_refused(void **state) {
    (void)state;
    refused("", "empty");
    refused("a/#/b", "only at the end");
    refused("a/b+", "whole level");
    refused("a/x{b}", "whole level");
    refused("a/{b", "whole level");
    refused("a/{}", "whole level");
    refused("a/{b c}", "whole level");
    refused("{a}/{a}", "{a} stands twice");
    refused("{field}/{field}", "{field} stands twice");
    refused("{measurement}/{measurement}", "twice");
    refused("$share/group", "$share/GROUP/TOPIC");
    refused("$share//a", "$share/GROUP/TOPIC");
    refused("$share/g+/a", "$share/GROUP/TOPIC");
    refused("a\nb", "control");
    refused("a\xff", "UTF-8");
    refused("1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2/3", "levels");
}

static void a_shared_subscription_is_no_part_of_the_topic(void **state) {
    (void)state;
    struct wr_topic_pattern pattern;
    struct wr_topic_match match;
    assert_int_equal(wr_topic_pattern_init(&pattern, "$share/weir/s/{room}/#", NULL), WR_OK);
    assert_string_equal(pattern.filter, "$share/weir/s/+/#");
    assert_true(wr_topic_pattern_match(&pattern, (struct wr_word){"s/A1/x/y", 8}, &match));
    assert_int_equal(match.n_tags, 1);
    assert_memory_equal(match.tags[0].name.text, "room", 4);
    assert_memory_equal(match.tags[0].value.text, "A1", 2);
    assert_false(wr_topic_pattern_match(&pattern, (struct wr_word){"$share/weir/s/A1", 16}, &match));
    wr_topic_pattern_fini(&pattern);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_do_as_their_filters),
        cmocka_unit_test(what_is_no_pattern_is_refused),
        cmocka_unit_test(a_shared_subscription_is_no_part_of_the_topic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
