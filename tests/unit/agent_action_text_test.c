/* What stands in an action as text: how often it is tried, addresses of the web, signatures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/web_url.h"
#include "rules/alarms/retry.h"
#include "transport/hmac.h"

static void refuses_retry(const char *text, const char *why) {
    struct wr_retry retry;
    struct wr_error err = {0};
    assert_int_equal(wr_retry_parse(text, &retry, &err), WR_INVALID);
    if (!strstr(err.text, why))
        fail_msg("'%s': %s", text, err.text);
}

static void retry_is_tries_wait_and_factor(void **state) {
    (void)state;
    struct wr_retry retry;
    assert_int_equal(wr_retry_parse("3 1s x2", &retry, NULL), WR_OK);
    assert_int_equal(retry.tries, 3);
    assert_int_equal(wr_retry_wait_ns(&retry, 1), WR_NS_PER_S);
    assert_int_equal(wr_retry_wait_ns(&retry, 2), 2 * WR_NS_PER_S);
    assert_int_equal(wr_retry_parse(" 10  250ms ", &retry, NULL), WR_OK);
    assert_int_equal(wr_retry_wait_ns(&retry, 9), 250 * WR_NS_PER_MS);
    assert_int_equal(wr_retry_parse("4 100s x1.25", &retry, NULL), WR_OK);
    assert_int_equal(wr_retry_wait_ns(&retry, 3), 15625 * WR_NS_PER_S / 100);
    assert_int_equal(wr_retry_parse("1", &retry, NULL), WR_OK);
    assert_int_equal(retry.tries, 1);
    assert_int_equal(wr_retry_parse("1000 10m x10", &retry, NULL), WR_OK);
    assert_int_equal(wr_retry_wait_ns(&retry, UINT32_MAX), WR_RETRY_WAIT_MAX_NS);
}

static void a_retry_that_means_nothing_is_refused(void **state) {
    (void)state;
    refuses_retry("", "nothing");
    refuses_retry("0 1s", "tries");
    refuses_retry("1001 1s", "tries");
    refuses_retry("99999999999999999999 1s", "tries");
    refuses_retry("three 1s", "tries");
    refuses_retry("3", "needs a wait");
    refuses_retry("3 1", "a wait");
    refuses_retry("3 0s", "a wait");
    refuses_retry("3 11m", "a wait");
    refuses_retry("3 1s 2", "a factor");
    refuses_retry("3 1s x", "a factor");
    refuses_retry("3 1s x0.5", "a factor");
    refuses_retry("3 1s x10.01", "a factor");
    refuses_retry("3 1s x2.", "a factor");
    refuses_retry("3 1s x1.234", "a factor");
    refuses_retry("3 1s x2 x2", "three words");
}

static void refuses_url(const char *text, const char *why) {
    struct wr_web_url url;
    struct wr_error err = {0};
    assert_int_equal(wr_web_url_parse(text, &url, &err), WR_INVALID);
    if (!strstr(err.text, why))
        fail_msg("'%s': %s", text, err.text);
}

static void an_address_has_scheme_host_port_and_path(void **state) {
    (void)state;
    struct wr_web_url url;
    assert_int_equal(wr_web_url_parse("https://pager.example/x/{room}?a=1", &url, NULL), WR_OK);
    assert_true(url.tls);
    assert_int_equal(url.port, 443);
    assert_string_equal(url.host, "pager.example");
    assert_string_equal(url.path, "/x/{room}?a=1");
    assert_int_equal(wr_web_url_parse("HTTP://[::1]:8080", &url, NULL), WR_OK);
    assert_false(url.tls);
    assert_int_equal(url.port, 8080);
    assert_string_equal(url.host, "::1");
    assert_string_equal(url.path, "/");
    assert_true(wr_authority_is_loopback(url.host));
    assert_false(wr_authority_is_loopback("pager.example"));
    char text[WR_AUTHORITY_TEXT_BYTES];
    assert_string_equal(wr_authority_text(text, sizeof text, url.host, url.port), "[::1]:8080");
}

static void an_address_that_cannot_be_asked_for_is_refused(void **state) {
    (void)state;
    char longest[WR_WEB_URL_BYTES + 1];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    memcpy(longest, "https://h/", 10);
    refuses_url("ftp://h/", "no address of the web");
    refuses_url("https:///x", "no host");
    refuses_url("https://u:p@h/x", "use `secret`");
    refuses_url("https://h?x", "a '/' stands before");
    refuses_url("https://h:0/", "1 to 65535");
    refuses_url("https://h:80x/", "1 to 65535");
    refuses_url("https://h!/", "unexpected '!/'");
    refuses_url("https://h/a b", "%20");
    refuses_url("https://h/\r\nX: y", "%0D");
    refuses_url("https://h/#top", "no server is told");
    refuses_url("https://h/\xC3\xA4", "%C3");
    refuses_url("https://h/..", "a part . or ..");
    refuses_url("https://h/a/./b?c", "a part . or ..");
    refuses_url(longest, "more than");
    struct wr_web_url url;
    assert_int_equal(wr_web_url_parse("https://h/.a/..b/c..?x=/../", &url, NULL), WR_OK);
    assert_int_equal(wr_web_url_parse("https://h/x@y", &url, NULL), WR_OK); /* behind the host it is just a character */
}

/* RFC 4231, test cases 2 and 6; the parts make no difference. */
static void signatures_are_those_of_the_standard(void **state) {
    (void)state;
    char hex[WR_HMAC_HEX_BYTES];
    const struct wr_hmac_part parts[] = {{"what do ya want ", 16}, {"for nothing?", 12}};
    assert_int_equal(wr_hmac_sha256("Jefe", 4, parts, 2, hex, NULL), WR_OK);
    assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    unsigned char key[131];
    memset(key, 0xaa, sizeof key);
    const char *text = "Test Using Larger Than Block-Size Key - Hash Key First";
    const struct wr_hmac_part one = {text, strlen(text)};
    assert_int_equal(wr_hmac_sha256(key, sizeof key, &one, 1, hex, NULL), WR_OK);
    assert_string_equal(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retry_is_tries_wait_and_factor),           cmocka_unit_test(a_retry_that_means_nothing_is_refused),
        cmocka_unit_test(an_address_has_scheme_host_port_and_path), cmocka_unit_test(an_address_that_cannot_be_asked_for_is_refused),
        cmocka_unit_test(signatures_are_those_of_the_standard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
