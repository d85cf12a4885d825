/* Signed messages: the example of RFC 7515 A.3, what is signed here, and everything that is not quite it. */
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

#include "core/base64url.h"
#include "tests/support/failing.h"
#include "transport/jws.h"

#define PUBLIC WEIR_TEST_DATA "/jws/rfc7515-a3.pub"
#define PRIVATE WEIR_TEST_DATA "/jws/rfc7515-a3.key"
#define A3_HEADER "eyJhbGciOiJFUzI1NiJ9"
#define A3_PAYLOAD "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
#define A3_SIGNATURE "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
#define A3 A3_HEADER "." A3_PAYLOAD "." A3_SIGNATURE

static char directory[] = "/tmp/weir-jws-XXXXXX";
static struct wr_jws_key *public_key, *private_key;
static struct wr_buf payload;
static struct wr_error err;

static int set_up(void **state) {
    (void)state;
    wr_buf_init(&payload, 0);
    if (!mkdtemp(directory) || wr_jws_key_read(PUBLIC, &public_key, NULL) != WR_OK)
        return -1;
    char command[512];
    snprintf(command, sizeof command, "install -m 600 %s %s/cmd.key", PRIVATE, directory);
    if (system(command) != 0)
        return -1;
    snprintf(command, sizeof command, "%s/cmd.key", directory);
    return wr_jws_private_key_read(command, &private_key, NULL) == WR_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    char command[512];
    wr_jws_key_free(public_key);
    wr_jws_key_free(private_key);
    wr_jws_key_free(NULL);
    wr_buf_fini(&payload);
    snprintf(command, sizeof command, "rm -r %s", directory);
    return system(command);
}

static enum wr_result verify(const char *text) {
    wr_buf_clear(&payload);
    memset(&err, 0, sizeof err);
    return wr_jws_verify(public_key, text, strlen(text), &payload, &err);
}

/* A signature over this header with our own key, so that nothing but the header can be what is refused. The caller's to free. */
static void with_header(const char *header, struct wr_buf *into) {
    wr_buf_init(into, 0);
    assert_int_equal(wr_base64url_append(into, header, strlen(header)), WR_OK);
    assert_int_equal(wr_buf_text(into, "." A3_PAYLOAD "." A3_SIGNATURE), WR_OK);
}

static void the_example_of_the_rfc(void **state) {
    (void)state;
    assert_int_equal(verify(A3), WR_OK);
    assert_string_equal(wr_buf_str(&payload), "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}");
}

static void every_changed_character_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof A3 - 1; i += 3) {
        char text[] = A3;
        text[i] = text[i] == 'A' ? 'B' : 'A';
        assert_true(verify(text) == WR_DENIED || err.code == WR_INVALID);
        assert_int_equal(payload.len, 0);
    }
}

static void every_cut_is_refused(void **state) {
    (void)state;
    for (size_t len = 0; len < sizeof A3 - 1; len++)
        assert_int_equal(wr_jws_verify(public_key, A3, len, &payload, &err), WR_INVALID);
}

static void headers(void **state) {
    (void)state;
    static const struct {
        const char *header;
        enum wr_result result; /* DENIED: the header is fine, though it is not the one that was signed */
    } cases[] = {
        {"{\"alg\":\"ES256\",\"typ\":\"JWT\"}", WR_DENIED},
        {" {\"kid\" : \"a\" ,\"alg\":\t\"ES256\"\r\n}\n", WR_DENIED},
        {"{\"alg\":\"none\"}", WR_INVALID},
        {"{\"alg\":\"HS256\"}", WR_INVALID},
        {"{\"alg\":\"es256\"}", WR_INVALID},
        {"{\"alg\":\"ES256K\"}", WR_INVALID},
        {"{\"alg\":\"ES2\\u00356\"}", WR_INVALID},
        {"{\"alg\":\"ES256\",\"alg\":\"none\"}", WR_INVALID},
        {"{\"alg\":\"ES256\",\"alg\":\"ES256\"}", WR_INVALID},
        {"{\"alg\":\"ES256\",\"crit\":[\"exp\"]}", WR_INVALID},
        {"{\"crit\":\"b64\",\"alg\":\"ES256\"}", WR_INVALID},
        {"{\"alg\":\"ES256\",\"b64\":false}", WR_INVALID},
        {"{\"alg\":\"ES256\",\"jwk\":{\"kty\":\"EC\"}}", WR_INVALID},
        {"{\"typ\":\"JWT\"}", WR_INVALID},
        {"{}", WR_INVALID},
        {"", WR_INVALID},
        {"{\"alg\":\"ES256\"", WR_INVALID},
        {"{\"alg\":\"ES256\",}", WR_INVALID},
        {"{\"alg\":\"ES256\"}}", WR_INVALID},
        {"{\"alg\":\"ES256\"} x", WR_INVALID},
        {"{\"alg", WR_INVALID},
        {"[\"alg\",\"ES256\"]", WR_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct wr_buf text;
        with_header(cases[i].header, &text);
        if (verify(wr_buf_str(&text)) != cases[i].result)
            fail_msg("%s: %s", cases[i].header, err.text);
        wr_buf_fini(&text);
    }
}

static void forms_that_are_none(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        ".",
        "..",
        "...",
        A3 ".",
        A3 "\n",
        " " A3,
        A3_HEADER "." A3_PAYLOAD,
        A3_HEADER "." A3_PAYLOAD ".",
        A3_HEADER "=." A3_PAYLOAD "." A3_SIGNATURE,
        A3_HEADER "." A3_PAYLOAD "." A3_SIGNATURE "==",
        A3_HEADER "." A3_PAYLOAD "." A3_SIGNATURE "AA",
        /* the same signature in DER */
        A3_HEADER "." A3_PAYLOAD ".MEUCIA7RIVN5Y2xIPC9_FVgH1AKjsigDOvl8fheBmsMWnqZlAiEAxQoH04w8cOXY8S2vCEpUgKZlkMXyk1Caj"
                  "z9_ioOjVNU",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (verify(texts[i]) != WR_INVALID)
            fail_msg("%s: taken, or: %s", texts[i], err.text);
    /* r and s of zero would verify where nobody looks */
    char zeros[87];
    memset(zeros, 'A', 86);
    zeros[86] = '\0';
    char text[512];
    snprintf(text, sizeof text, A3_HEADER "." A3_PAYLOAD ".%s", zeros);
    assert_int_equal(verify(text), WR_DENIED);
    char *big = malloc(WR_JWS_BYTES + 2);
    assert_non_null(big);
    memset(big, 'A', WR_JWS_BYTES + 1);
    big[WR_JWS_BYTES + 1] = '\0';
    assert_int_equal(verify(big), WR_INVALID);
    assert_string_equal(err.text, "longer than 32768 bytes");
    free(big);
}

static void what_is_signed_is_taken(void **state) {
    (void)state;
    char bytes[4000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 7);
    for (size_t len = 0; len <= sizeof bytes; len = len < 6 ? len + 1 : len * 9) {
        struct wr_buf text;
        wr_buf_init(&text, 0);
        assert_int_equal(wr_jws_sign(private_key, bytes, len, &text, &err), WR_OK);
        assert_int_equal(verify(wr_buf_str(&text)), WR_OK);
        assert_int_equal(payload.len, len);
        assert_memory_equal(wr_buf_str(&payload), bytes, len);
        wr_buf_fini(&text);
    }
    static const char large[WR_JWS_BYTES - 4000];
    assert_int_equal(wr_jws_sign(private_key, large, sizeof large, &payload, &err), WR_LIMIT);
    assert_int_equal(wr_jws_sign(public_key, bytes, 1, &payload, &err), WR_INVALID);
}

/* Signed, and larger than what the caller has room for: that is said, and nothing is left in it. */
static void a_payload_without_room_is_told(void **state) {
    (void)state;
    struct wr_buf text, small;
    static const char bytes[300];
    wr_buf_init(&text, 0);
    wr_buf_init(&small, 64);
    assert_int_equal(wr_jws_sign(private_key, bytes, sizeof bytes, &text, NULL), WR_OK);
    memset(&err, 0, sizeof err);
    assert_int_equal(wr_jws_verify(public_key, wr_buf_str(&text), text.len, &small, &err), WR_LIMIT);
    assert_string_equal(err.text, "the payload is too long");
    assert_int_equal(small.len, 0);
    wr_buf_fini(&text);
    wr_buf_fini(&small);
}

/* Makes a file by a shell command that knows it as $F, reads it as a key, and tells what is said of it. */
static const char *read_made(const char *command, bool is_private) {
    char path[256], whole[1024];
    struct wr_jws_key *key = NULL;
    snprintf(path, sizeof path, "%s/made", directory);
    snprintf(whole, sizeof whole, "F=%s; umask 077; rm -f $F; %s", path, command);
    memset(&err, 0, sizeof err);
    assert_int_equal(system(whole), 0);
    const enum wr_result result = is_private ? wr_jws_private_key_read(path, &key, &err) : wr_jws_key_read(path, &key, &err);
    if (result == WR_OK)
        assert_int_equal(wr_jws_verify(key, A3, sizeof A3 - 1, &payload, NULL), WR_DENIED); /* another key than the pinned one */
    wr_jws_key_free(key);
    return result == WR_OK ? "" : err.text + strlen(path);
}

#define GENERATE "openssl ecparam -name prime256v1 -genkey -noout -out $F"

static void keys(void **state) {
    (void)state;
    assert_string_equal(read_made(GENERATE ".key && openssl ec -in $F.key -pubout -out $F 2>/dev/null", false), "");
    assert_string_equal(read_made(GENERATE, true), "");
    assert_string_equal(read_made("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $F", true), "");
    assert_non_null(strstr(read_made(GENERATE, false), "holds a private key"));
    assert_non_null(strstr(read_made(GENERATE "; openssl ec -in $F -pubout 2>/dev/null >>$F", false), "holds a private key"));
    assert_non_null(strstr(read_made("cp " PUBLIC " $F", true), "holds no private key"));
    assert_non_null(strstr(read_made("openssl ecparam -name secp384r1 -genkey -noout -out $F", true), "no key on P-256"));
    assert_non_null(
        strstr(read_made("openssl genrsa 2048 2>/dev/null | openssl rsa -pubout -out $F 2>/dev/null", false), "no key on P-256"));
    assert_non_null(strstr(read_made("echo rubbish >$F", false), "holds no public key"));
    assert_non_null(strstr(read_made(GENERATE "; chmod 604 $F", true), "chmod 600"));
    assert_non_null(strstr(read_made("true", false), "No such file"));
    assert_int_equal(err.code, WR_NOT_FOUND);
    assert_string_equal(read_made("true >$F", false), ": the file is empty");
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    char path[256];
    snprintf(path, sizeof path, "%s/cmd.key", directory);
    bool done = false;
    for (long n = 0; !done; n++) {
        struct wr_jws_key *key = NULL;
        struct wr_buf text, back;
        wr_buf_init(&text, 0);
        wr_buf_init(&back, 0);
        wr_failing_allocations(n);
        enum wr_result result = wr_jws_private_key_read(path, &key, &err);
        if (result == WR_OK)
            result = wr_jws_sign(key, "what", 4, &text, &err);
        if (result == WR_OK)
            result = wr_jws_verify(key, wr_buf_str(&text), text.len, &back, &err);
        done = !wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, done ? WR_OK : WR_NO_MEMORY);
        wr_jws_key_free(key);
        wr_buf_fini(&text);
        wr_buf_fini(&back);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_rfc),
        cmocka_unit_test(every_changed_character_is_refused),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(headers),
        cmocka_unit_test(forms_that_are_none),
        cmocka_unit_test(what_is_signed_is_taken),
        cmocka_unit_test(a_payload_without_room_is_told),
        cmocka_unit_test(keys),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
