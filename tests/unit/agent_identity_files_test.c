/* A node's identity: what openssl makes of key and request, what is no certificate for it, and a change that ends at any call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/process/identity_files.h"
#include "tests/support/broker.h"
#include "tests/support/failing.h"
#include "transport/tls.h"

static char pki[64];
static char cert_path[80], key_path[80], ca_path[80];
static struct wr_identity_files files;
static struct wr_identity_facts facts;
static struct wr_credential ca;
static struct wr_error err;

__attribute__((format(printf, 1, 2))) static void shell(const char *format, ...) {
    char command[1200];
    va_list arguments;
    const int begun = snprintf(command, sizeof command, "exec 2>/dev/null; cd %s && ", pki);
    va_start(arguments, format);
    (void)vsnprintf(command + begun, sizeof command - (size_t)begun, format, arguments);
    va_end(arguments);
    if (system(command) != 0) /* NOLINT(cert-env33-c) */
        fail_msg("%s", command);
}

static struct wr_credential read_file(const char *name) {
    struct wr_credential file = {0};
    if (wr_credential_read(wr_test_path(pki, name), WR_TLS_FILE_BYTES, &file, &err) != WR_OK)
        fail_msg("%s", err.text);
    return file;
}

static bool there(const char *name) {
    return access(wr_test_path(pki, name), F_OK) == 0;
}

static void ask(bool made) {
    struct wr_buf request;
    bool new = !made;
    wr_buf_init(&request, 0);
    if (wr_identity_files_ask(&files, "gw-7", "riga", &request, &new, &err) != WR_OK)
        fail_msg("%s", err.text);
    assert_int_equal(new, made);
    struct wr_credential file = read_file("node.key.csr");
    assert_string_equal((char *)file.data, wr_buf_str(&request));
    wr_credential_free(&file);
    wr_buf_fini(&request);
}

/* Signs the request that waits. */
static void sign(const char *name, const char *by, int days) {
    shell("openssl x509 -req -in node.key.csr -copy_extensions copyall -days %d -CA %s.pem -CAkey %s.key -CAcreateserial -out %s", days, by,
          by, name);
}

static enum wr_result install(const char *name, const struct wr_credential *signer) {
    const struct wr_now now = wr_clock_now(wr_clock_real());
    struct wr_credential cert = read_file(name);
    memset(&err, 0, sizeof err);
    const enum wr_result result = wr_identity_files_install(&files, &cert, signer, &now, NULL, &facts, &err);
    wr_credential_free(&cert);
    return result;
}

/* As the agent would at a connect. */
static enum wr_result agent_loads(void) {
    const struct wr_tls_config config = {.ca = ca_path, .cert = cert_path, .key = key_path};
    struct wr_tls *tls;
    memset(&err, 0, sizeof err);
    assert_int_equal(wr_tls_new(&config, wr_clock_real(), &tls, &err), WR_OK);
    const enum wr_result result = wr_tls_load(tls, &err);
    wr_tls_free(tls);
    return result;
}

static int clean(void **state) {
    (void)state;
    wr_failing_off();
    shell("rm -f node.*");
    return wr_identity_files_init(&files, cert_path, key_path, pki, NULL) == WR_OK ? 0 : -1;
}

/* A pair in place, and a second one asked for and signed. */
static void begin_rotation(void) {
    (void)clean(NULL);
    ask(true);
    sign("node.first", "ca", 10);
    assert_int_equal(install("node.first", &ca), WR_OK);
    ask(true);
    sign("node.second", "ca", 300);
}

static void openssl_takes_key_and_request(void **state) {
    (void)state;
    struct stat about;
    ask(true);
    assert_int_equal(stat(files.next_key, &about), 0);
    assert_int_equal(about.st_mode & 07777, 0600);
    shell("openssl req -in node.key.csr -noout -verify");
    shell("openssl ec -in node.key.new -noout -check");
    shell("test \"$(openssl req -in node.key.csr -noout -pubkey)\" = \"$(openssl ec -in node.key.new -pubout)\"");
    shell("openssl req -in node.key.csr -noout -subject | grep -qx 'subject=CN = gw-7, OU = riga'");
    shell("openssl req -in node.key.csr -noout -text | tr -s ' \\n' ' ' | grep -q 'Key Usage: Digital Signature X509v3 Subject Alternative "
          "Name: DNS:gw-7 "
          "X509v3 Extended Key Usage: TLS Web Client Authentication'");
    ask(false); /* the same key, so the same request */
    assert_false(there("node.key"));

    struct wr_credential key = read_file("node.key.new");
    struct wr_buf request;
    char longest[65];
    memset(longest, 'n', 64);
    longest[64] = '\0';
    wr_buf_init(&request, 0);
    assert_int_equal(wr_identity_request(&key, longest, longest, &request, &err), WR_OK);
    assert_int_equal(wr_identity_request(&key, "gw-7", "-", &request, &err), WR_OK); /* no site: no OU */
    wr_test_write_file(wr_test_path(pki, "node.two"), wr_buf_str(&request));
    shell("openssl req -in node.two -noout -subject | grep -qx 'subject=CN = %s, OU = %s'", longest, longest);
    shell("sed '1,/END/d' node.two | openssl req -noout -subject | grep -qx 'subject=CN = gw-7'");
    wr_buf_fini(&request);
    wr_credential_free(&key);
}

static void the_first_one_and_the_next(void **state) {
    (void)state;
    begin_rotation();
    assert_string_equal(facts.name, "gw-7");
    assert_string_equal(facts.subject, "CN=gw-7, OU=riga");
    assert_true(there("node.key") && there("node.key.new") && agent_loads() == WR_OK); /* what is in use goes on */
    assert_int_equal(chmod(key_path, 0640), 0);
    assert_int_equal(wr_identity_files_init(&files, cert_path, key_path, pki, NULL), WR_OK);
    assert_int_equal(files.secret.mode, 0640); /* a group that may read it may read the next one */
    assert_int_equal(install("node.second", &ca), WR_OK);
    assert_false(there("node.key.new") || there("node.key.csr"));
    assert_int_equal(agent_loads(), WR_OK);
    assert_int_equal(install("node.second", &(struct wr_credential){0}), WR_OK); /* once more does no harm */
    assert_int_equal(install("node.first", &ca), WR_DENIED);                     /* its key is gone */
    assert_non_null(strstr(err.text, "node.key: the certificate is for another key"));
    assert_int_equal(agent_loads(), WR_OK);
}

static void a_renewal_for_the_same_key(void **state) {
    (void)state;
    begin_rotation();
    shell("cp node.key node.key.was && rm node.key.new node.key.csr");
    shell("openssl req -new -key node.key -subj /CN=gw-7 -out node.key.csr");
    sign("node.renewed", "ca", 200);
    assert_int_equal(install("node.renewed", &ca), WR_OK);
    shell("cmp node.key node.key.was && cmp node.pem node.renewed");
    assert_int_equal(agent_loads(), WR_OK);
}

static void what_does_not_do(void **state) {
    (void)state;
    begin_rotation();
    shell("cat node.second node.key.new > node.both && head -c 300 node.second > node.half && cat node.second node.half > node.more");
    shell("openssl x509 -in node.second -outform DER -out node.der && : > node.empty");
    sign("node.foreign", "other-ca", 300);
    sign("node.over", "ca", -1);
    static const struct {
        const char *name;
        enum wr_result result;
        const char *words;
    } cases[] = {
        {"client.pem", WR_DENIED, "node.key.new: the certificate is for another key"},
        {"node.over", WR_DENIED, "has expired on 20"},
        {"node.foreign", WR_DENIED, "is not signed by this CA"},
        {"client-purpose.pem", WR_DENIED, "for another purpose"},
        {"server-future.pem", WR_DENIED, "is not valid before 2040-01-01"},
        {"node.both", WR_INVALID, "holds a private key"},
        {"node.half", WR_INVALID, "cannot be parsed"},
        {"node.more", WR_INVALID, "cut off"},
        {"node.der", WR_INVALID, "no certificate in PEM"},
        {"node.key.csr", WR_INVALID, "no certificate in PEM"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (install(cases[i].name, &ca) != cases[i].result || !strstr(err.text, cases[i].words))
            fail_msg("%s: %d %s", cases[i].name, err.code, err.text);
        shell("cmp node.pem node.first && test -f node.key.new");
    }
    struct wr_credential no_ca = read_file("node.key.csr");
    assert_int_equal(install("node.second", &no_ca), WR_INVALID);
    assert_non_null(strstr(err.text, "the CA's file"));
    wr_credential_free(&no_ca);
    assert_int_equal(agent_loads(), WR_OK);
}

/* Signed by one that the CA has signed: with it in the file it is good. */
static void a_chain(void **state) {
    (void)state;
    begin_rotation();
    shell("openssl ecparam -name prime256v1 -genkey -noout -out node.mid.key && openssl req -new -key node.mid.key -subj /CN=mid -out "
          "node.mid.csr && "
          "printf 'basicConstraints=critical,CA:TRUE\\nkeyUsage=critical,keyCertSign' > node.ext && openssl x509 -req -in node.mid.csr "
          "-days 9 -CA ca.pem "
          "-CAkey ca.key -CAcreateserial -extfile node.ext -out node.mid.pem");
    sign("node.leaf", "node.mid", 300);
    shell("cat node.leaf node.mid.pem > node.chain");
    assert_int_equal(install("node.leaf", &ca), WR_DENIED);
    assert_int_equal(install("node.chain", &ca), WR_OK);
    assert_true(facts.expires_wall_ns <
                wr_clock_wall_ns(wr_clock_real()) + INT64_C(10) * 86400 * WR_NS_PER_S); /* the first of them to end */
}

/* A clock in 1970 knows no future; what has ended has ended. */
static void a_clock_that_is_not_set(void **state) {
    (void)state;
    begin_rotation();
    struct wr_now now = {.wall_ns = WR_NS_PER_S};
    struct wr_credential cert = read_file("node.second"), none = {0};
    assert_int_equal(wr_identity_check(&cert, &none, &now, &facts, &err), WR_OK);
    now.wall_trusted = true;
    assert_int_equal(wr_identity_check(&cert, &none, &now, &facts, &err), WR_DENIED);
    wr_credential_free(&cert);
}

static void keys_that_others_know(void **state) {
    (void)state;
    struct wr_buf request;
    bool made;
    begin_rotation();
    wr_buf_init(&request, 0);
    assert_int_equal(chmod(files.next_key, 0604), 0);
    assert_int_equal(install("node.second", &ca), WR_DENIED);
    assert_non_null(strstr(err.text, "node.key"));
    assert_int_equal(wr_identity_files_ask(&files, "gw-7", "riga", &request, &made, &err), WR_DENIED);
    assert_non_null(strstr(err.text, "node.key.new: everybody on this machine"));
    assert_int_equal(chmod(files.next_key, 0600), 0);
    wr_test_write_file(files.next_key, "no key");
    assert_int_equal(chmod(files.next_key, 0600), 0);
    assert_int_equal(wr_identity_files_ask(&files, "gw-7", "riga", &request, &made, &err), WR_INVALID);
    assert_int_equal(install("node.second", &ca), WR_INVALID);
    assert_non_null(strstr(err.text, "node.key.new: holds no private key"));
    assert_int_equal(wr_identity_files_init(&files, key_path, key_path, pki, &err), WR_INVALID);
    wr_buf_fini(&request);
}

static void nothing_was_asked_for(void **state) {
    (void)state;
    assert_int_equal(install("client.pem", &ca), WR_NOT_FOUND);
    assert_non_null(strstr(err.text, "'weir enroll' makes one"));
}

/* ---- bad luck ---- */

static void install_or_crash(long n) {
    int status;
    const pid_t child = fork();
    if (child == 0) {
        wr_failing_crash(n);
        const enum wr_result result = install("node.second", &ca);
        _exit(result == WR_OK && !wr_failing_hit() ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == WR_FAILING_CRASHED || WEXITSTATUS(status) == 0));
}

static bool installed(void) {
    return !there("node.key.new");
}

/* The agent has a pair that works wherever the change ends, and the same command, or the next request, ends it. */
static void it_ends_at_any_call(void **state) {
    (void)state;
    bool half = false;
    begin_rotation();
    shell("mkdir -p node.d && cp -p node.pem node.key node.key.new node.key.csr node.d");
    for (long n = 0;; n++) {
        shell("cp -p node.d/* .");
        install_or_crash(n);
        if (agent_loads() != WR_OK)
            fail_msg("after call %ld: %s", n, err.text);
        if (installed())
            break;
        struct wr_credential cert = read_file("node.pem"), key = read_file("node.key");
        if (wr_identity_belongs(&cert, &key, NULL) == WR_DENIED) {
            half = true;
            ask(true); /* ends the change first, so that this is a third key */
            shell("cmp node.pem node.second && cmp node.key node.d/node.key.new && ! cmp -s node.key.new node.d/node.key.new");
        } else {
            assert_int_equal(install("node.second", &ca), WR_OK);
        }
        assert_int_equal(agent_loads(), WR_OK);
        wr_credential_free(&cert);
        wr_credential_free(&key);
    }
    assert_true(half); /* the moment that this is about was among them */
    shell("rm -r node.d");
}

static enum wr_result proven;
static unsigned proofs;

/* What is shown: a file of the new certificate, for which there is a key, while the old pair is in use. */
static enum wr_result look_at_it(void *user, const char *cert, struct wr_error *why) {
    const struct wr_tls_config config = {.ca = ca_path, .cert = cert, .key = key_path};
    struct wr_tls *tls;
    (void)user;
    proofs++;
    if (proven != WR_OK)
        return wr_error_set(why, proven, "the broker does not want it");
    WR_TRY(wr_tls_new(&config, wr_clock_real(), &tls, why));
    const enum wr_result result = wr_tls_load(tls, why);
    wr_tls_free(tls);
    return result;
}

static const struct wr_identity_proof proof = {.prove = look_at_it};

static void shown_first(void **state) {
    (void)state;
    begin_rotation();
    const struct wr_now now = wr_clock_now(wr_clock_real());
    shell(
        "mkdir node.d && cp -p node.pem node.key node.key.new node.d && cp node.second node.pem.new"); /* as it came, beside node.key.new */
    struct wr_credential cert = read_file("node.pem.new");
    proven = WR_DENIED;
    assert_int_equal(wr_identity_files_install(&files, &cert, &ca, &now, &proof, &facts, &err), WR_DENIED);
    assert_string_equal(err.text, "the broker does not want it");
    shell("for file in pem key key.new; do cmp node.$file node.d/node.$file || exit 1; done");
    shell("cmp node.pem.new node.second"); /* it may be installed later */
    assert_false(there("node.pem.shown"));
    proven = WR_OK;
    assert_int_equal(wr_identity_files_install(&files, &cert, &ca, &now, &proof, &facts, &err), WR_OK);
    shell("cmp node.pem node.second && rm -r node.d");
    assert_true(proofs == 2 && there("node.pem.new") && !there("node.pem.shown") && !there("node.key.new"));
    wr_credential_free(&cert);
}

/* Of whom no call fails. */
static enum wr_result take_it(void *user, const char *cert, struct wr_error *why) {
    (void)user, (void)why;
    return access(cert, R_OK) == 0 ? WR_OK : WR_NOT_FOUND;
}

static void any_call_fails(void **state) {
    (void)state;
    static const struct wr_identity_proof taken = {.prove = take_it};
    begin_rotation();
    shell("mkdir -p node.d && cp -p node.pem node.key node.key.new node.key.csr node.d");
    for (int memory = 0; memory < 2; memory++)
        for (long n = 0;; n++) {
            shell("cp -p node.d/* .");
            struct wr_credential cert = read_file("node.second");
            const struct wr_now now = wr_clock_now(wr_clock_real());
            memory ? wr_failing_allocations(n) : wr_failing_io(n, EIO);
            const enum wr_result result = wr_identity_files_install(&files, &cert, &ca, &now, &taken, &facts, &err);
            const bool hit = wr_failing_hit();
            wr_failing_off();
            wr_credential_free(&cert);
            if (agent_loads() != WR_OK)
                fail_msg("after call %ld: %s", n, err.text);
            if (!hit) {
                assert_int_equal(result, WR_OK);
                break;
            }
            assert_int_not_equal(result, WR_OK);
        }
    shell("rm -r node.d");
}

static void any_call_of_asking_fails(void **state) {
    (void)state;
    for (int memory = 0; memory < 2; memory++)
        for (long n = 0;; n++) {
            struct wr_buf request;
            bool made = false;
            (void)clean(NULL);
            wr_buf_init(&request, 0);
            memory ? wr_failing_allocations(n) : wr_failing_io(n, EIO);
            const enum wr_result result = wr_identity_files_ask(&files, "gw-7", "riga", &request, &made, &err);
            const bool hit = wr_failing_hit();
            wr_failing_off();
            wr_buf_fini(&request);
            assert_int_equal(result, !hit ? WR_OK : memory ? WR_NO_MEMORY : WR_IO);
            assert_false(there("node.key.new.part") || there("node.key.csr.part") || there("node.key"));
            if (!hit)
                break;
            bool waits = there("node.key.new");
            ask(!waits); /* what waits is a whole key */
        }
}

static int start(void **state) {
    (void)state;
    wr_test_dir_make(pki);
    (void)snprintf(cert_path, sizeof cert_path, "%s/node.pem", pki);
    (void)snprintf(key_path, sizeof key_path, "%s/node.key", pki);
    (void)snprintf(ca_path, sizeof ca_path, "%s/ca.pem", pki);
    ca = read_file("ca.pem");
    return 0;
}

static int stop(void **state) {
    (void)state;
    wr_credential_free(&ca);
    wr_test_dir_remove(pki);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(openssl_takes_key_and_request, clean),
        cmocka_unit_test_setup(the_first_one_and_the_next, clean),
        cmocka_unit_test_setup(a_renewal_for_the_same_key, clean),
        cmocka_unit_test_setup(what_does_not_do, clean),
        cmocka_unit_test_setup(a_chain, clean),
        cmocka_unit_test_setup(a_clock_that_is_not_set, clean),
        cmocka_unit_test_setup(keys_that_others_know, clean),
        cmocka_unit_test_setup(nothing_was_asked_for, clean),
        cmocka_unit_test_setup(it_ends_at_any_call, clean),
        cmocka_unit_test_setup(shown_first, clean),
        cmocka_unit_test_setup(any_call_fails, clean),
        cmocka_unit_test_setup(any_call_of_asking_fails, clean),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
