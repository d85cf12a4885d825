/* The server's side of TLS over real sockets, with real certificates: who gets in, who does not and why, resumption, files that change, and
 * clients that misbehave. The client is our own; tests/system/listen_test.py has OpenSSL's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/broker.h"
#include "tests/support/failing.h"
#include "transport/dial.h"
#include "transport/tls_server.h"

#define PATIENCE_MS 20000

static char dir[64];
static struct wr_clock_virtual look; /* moved by hand past WR_TLS_SERVER_LOOK_NS */

static int set_up_all(void **state) {
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    wr_test_dir_make(dir);
    return 0;
}

static int tear_down_all(void **state) {
    (void)state;
    wr_test_dir_remove(dir);
    return 0;
}

static int set_up(void **state) {
    (void)state;
    wr_clock_virtual_init(&look, 5 * WR_NS_PER_S, wr_clock_wall_ns(wr_clock_real()), 1);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    wr_failing_off();
    return 0;
}

static struct wr_tls_config config_of(const char *name, bool clients) {
    char file[64];
    struct wr_tls_config config = {0};
    snprintf(file, sizeof file, "%s.pem", name);
    config.cert = wr_test_path(dir, file);
    snprintf(file, sizeof file, "%s.key", name);
    config.key = wr_test_path(dir, file);
    if (clients) {
        config.ca = wr_test_path(dir, "ca.pem");
        config.crl = wr_test_path(dir, "crl.pem");
    }
    return config;
}

static struct wr_tls_server *server_of(const struct wr_tls_config *config) {
    struct wr_tls_server *server;
    struct wr_error err = {0};
    bool changed = false;
    if (wr_tls_server_new(config, &look.clock, &server, &err) != WR_OK || wr_tls_server_refresh(server, &changed, &err) != WR_OK)
        fail_msg("server: %s", err.text);
    assert_true(changed);
    return server;
}

/* -- two ends: the server's is stepped here, the client's runs in a thread of its own ------------------------------------------------------ */

struct client {
    struct wr_tls *tls;
    int fd;
    struct wr_tls_stream *stream;
    enum wr_result result;
    struct wr_error err;
    pthread_t thread;
};

static void *run_client(void *user) {
    struct client *client = user;
    client->result = wr_tls_handshake(client->tls, client->fd, "localhost", wr_clock_boot_ns(wr_clock_real()) + PATIENCE_MS * WR_NS_PER_MS,
                                      -1, &client->stream, &client->err);
    if (client->result != WR_OK)
        (void)shutdown(client->fd, SHUT_RDWR);
    return NULL;
}

static struct wr_tls *client_of(const char *name) {
    struct wr_tls_config config = {.ca = wr_test_path(dir, "ca.pem")};
    struct wr_tls *tls;
    char file[64];
    if (name) {
        snprintf(file, sizeof file, "%s.pem", name);
        config.cert = wr_test_path(dir, file);
        snprintf(file, sizeof file, "%s.key", name);
        config.key = wr_test_path(dir, file);
    }
    assert_int_equal(wr_tls_new(&config, wr_clock_real(), &tls, NULL), WR_OK);
    return tls;
}

static void pair(int fds[2]) {
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

static void wait_fd(int fd, short events) {
    struct pollfd wait = {.fd = fd, .events = events};
    if (poll(&wait, 1, PATIENCE_MS) != 1)
        fail_msg("nothing comes");
}

static int patience_ms = PATIENCE_MS; /* of the server with its client */

/* The whole handshake of the server's side. */
static enum wr_result shake(struct wr_tls_stream *stream, int fd, struct wr_error *err) {
    for (;;) {
        const enum wr_result result = wr_tls_accept_step(stream, err);
        struct pollfd wait = {.fd = fd, .events = result == WR_EMPTY ? POLLIN : POLLOUT};
        if (result != WR_EMPTY && result != WR_FULL && result != WR_BUSY)
            return result;
        if (result != WR_BUSY && poll(&wait, 1, patience_ms) != 1)
            return wr_error_set(err, WR_TIMEOUT, "nothing comes");
    }
}

struct link {
    int fds[2];
    struct wr_tls_stream *server;
    struct client client;
    enum wr_result result; /* of the server's side */
    struct wr_error err;
};

static void meet(struct link *link, struct wr_tls_server *server, struct wr_tls *tls) {
    memset(link, 0, sizeof *link);
    pair(link->fds);
    link->client = (struct client){.tls = tls, .fd = link->fds[1]};
    assert_int_equal(pthread_create(&link->client.thread, NULL, run_client, &link->client), 0);
    assert_int_equal(wr_tls_accept(server, link->fds[0], &link->server, &link->err), WR_OK);
    link->result = shake(link->server, link->fds[0], &link->err);
    if (link->result != WR_OK) {
        wr_tls_close(link->server);
        link->server = NULL;
        close(link->fds[0]);
        link->fds[0] = -1;
    } else if (wr_failing_hit()) { /* it may have been our last send: the client would wait for it */
        (void)shutdown(link->fds[0], SHUT_WR);
    }
    pthread_join(link->client.thread, NULL);
}

static void part(struct link *link) {
    wr_tls_close(link->server);
    wr_tls_close(link->client.stream);
    for (int i = 0; i < 2; i++)
        if (link->fds[i] >= 0)
            close(link->fds[i]);
}

static void gets_in(struct wr_tls_server *server, struct wr_tls *tls, bool resumed) {
    struct link link;
    struct wr_tls_info info;
    meet(&link, server, tls);
    if (link.result != WR_OK || link.client.result != WR_OK)
        fail_msg("server: %s; client: %s", link.err.text, link.client.err.text);
    wr_tls_info(link.server, &info);
    assert_int_equal(info.resumed, resumed);
    assert_non_null(strstr(info.cipher, "ECDHE"));
    part(&link);
}

static void stays_out(struct wr_tls_server *server, const char *name, enum wr_result result, const char *ours, const char *theirs) {
    struct link link;
    struct wr_tls *tls = client_of(name);
    meet(&link, server, tls);
    if (link.result != result || strstr(link.err.text, ours) == NULL)
        fail_msg("wanted \"%s\", got %s \"%s\"", ours, wr_result_name(link.result), link.err.text);
    /* With TLS 1.2 the client learns of it before its handshake ends. */
    if (strstr(link.client.err.text, theirs) == NULL)
        fail_msg("the client was to read \"%s\", and read \"%s\"", theirs, link.client.err.text);
    part(&link);
    wr_tls_free(tls);
}

/* -- who gets in -------------------------------------------------------------------------------------------------------------------------- */

static void anonymous_clients_where_no_ca_is_given(void **state) {
    (void)state;
    struct wr_tls_config config = config_of("server", false);
    struct wr_tls_server *server = server_of(&config);
    struct wr_tls *tls = client_of(NULL);
    gets_in(server, tls, false);
    gets_in(server, tls, true);
    wr_tls_free(tls);
    tls = client_of("client-other"); /* nobody asks it */
    gets_in(server, tls, false);
    wr_tls_free(tls);
    wr_tls_server_free(server);
}

static void with_a_ca_only_its_clients(void **state) {
    (void)state;
    struct wr_tls_config config = config_of("server", true);
    struct wr_tls_server *server = server_of(&config);
    struct wr_tls *tls = client_of("client");
    gets_in(server, tls, false);
    gets_in(server, tls, true);
    wr_tls_free(tls);
    stays_out(server, NULL, WR_DENIED, "shows no certificate", "requires a client certificate");
    stays_out(server, "client-other", WR_DENIED, "the client's certificate (CN=gw-7) is not signed by a CA in ", "unknown_ca");
    stays_out(server, "client-expired", WR_DENIED, "the client's certificate (CN=gw-7) has expired on ", "certificate_expired");
    stays_out(server, "client-revoked", WR_DENIED, "the client's certificate (CN=gw-8) is revoked", "certificate_revoked");
    stays_out(server, "client-purpose", WR_DENIED, "the client's certificate (CN=gw-9) is for another purpose", "unsupported_certificate");
    wr_tls_server_free(server);
    config = config_of("server", true);
    config.crl = wr_test_path(dir, "crl-other.pem"); /* somebody else's list says nothing of our senders */
    server = server_of(&config);
    stays_out(server, "client", WR_DENIED, "the CRL has no list of the CA that signed the client's certificate (CN=gw-7)",
              "certificate_unknown");
    wr_tls_server_free(server);
    config = config_of("server", true);
    config.crl = wr_test_path(dir, "crl-expired.pem");
    server = server_of(&config);
    stays_out(server, "client", WR_DENIED, "the CRL for the client's certificate has expired", "certificate_unknown");
    wr_tls_server_free(server);
}

static void a_client_that_does_not_trust_us_says_so(void **state) {
    (void)state;
    struct wr_tls_config config = config_of("server-elsewhere", false);
    struct wr_tls_server *server = server_of(&config);
    stays_out(server, NULL, WR_DENIED, "the client refused our certificate", "is not for host 'localhost'");
    wr_tls_server_free(server);
}

/* -- bytes -------------------------------------------------------------------------------------------------------------------------------- */

static void all_that_is_readable_comes_out_of_one_read(void **state) {
    (void)state;
    enum { AHEAD = 48 << 10, INTO = AHEAD + WR_TLS_RECORD_BYTES };
    static char ahead[AHEAD], into[INTO], sent[INTO];
    struct wr_tls_config config = config_of("server", false);
    struct wr_tls_server *server = server_of(&config);
    struct wr_tls *tls = client_of(NULL);
    struct link link;
    struct wr_error err = {0};
    size_t n, got = 0, all = 0;
    meet(&link, server, tls);
    assert_int_equal(wr_tls_read_all(link.server, ahead, sizeof ahead, into, sizeof into, &n, &err), WR_EMPTY);
    for (size_t len = 1; len < 9000; len += 700) { /* records of many lengths */
        memset(sent + all, (int)('a' + len % 26), len);
        assert_int_equal(wr_tls_write(link.client.stream, sent + all, len, &n, &err), WR_OK);
        all += n;
    }
    while (got < all) { /* the kernel may cut a socket's bytes anywhere, a record too */
        wait_fd(link.fds[0], POLLIN);
        assert_int_equal(wr_tls_read_all(link.server, ahead, sizeof ahead, into + got, sizeof into, &n, &err), WR_EMPTY);
        got += n;
    }
    assert_int_equal(got, all);
    assert_memory_equal(into, sent, all);
    struct pollfd idle = {.fd = link.fds[0], .events = POLLIN};
    assert_int_equal(poll(&idle, 1, 0), 0);

    assert_int_equal(wr_tls_write(link.server, "ok", 2, &n, &err), WR_OK); /* and the other way */
    wait_fd(link.fds[1], POLLIN);
    assert_int_equal(wr_tls_read(link.client.stream, into, sizeof into, &n, &err), WR_OK);
    assert_int_equal(n, 2);

    assert_int_equal(wr_tls_write(link.client.stream, "last", 4, &n, &err), WR_OK);
    wr_tls_close(link.client.stream);
    link.client.stream = NULL;
    assert_int_equal(wr_tls_read_all(link.server, ahead, sizeof ahead, into, sizeof into, &n, &err), WR_CLOSED);
    assert_int_equal(n, 4); /* what came before the end is there */
    assert_true(wr_tls_said_goodbye(link.server));
    part(&link);
    wr_tls_free(tls);
    wr_tls_server_free(server);
}

/* The end of a stream that nobody announced may be somebody's who cut it. */
static void a_cut_is_no_goodbye(void **state) {
    (void)state;
    static char ahead[WR_TLS_RECORD_BYTES], into[2 * WR_TLS_RECORD_BYTES + 1024];
    struct wr_tls_config config = config_of("server", false);
    struct wr_tls_server *server = server_of(&config);
    struct wr_tls *tls = client_of(NULL);
    struct link link;
    struct wr_error err = {0};
    size_t n;
    meet(&link, server, tls);
    assert_int_equal(wr_tls_write(link.client.stream, "value=12", 8, &n, &err), WR_OK);
    const char half_a_record[] = {0x17, 3, 3, 0, 100, 1, 2, 3};
    assert_int_equal(send(link.fds[1], half_a_record, sizeof half_a_record, 0), sizeof half_a_record);
    assert_int_equal(shutdown(link.fds[1], SHUT_WR), 0);
    assert_int_equal(wr_tls_read_all(link.server, ahead, sizeof ahead, into, sizeof into, &n, &err), WR_EMPTY);
    assert_int_equal(n, 8);
    assert_int_equal(wr_tls_read_all(link.server, ahead, sizeof ahead, into, sizeof into, &n, &err), WR_CLOSED);
    assert_int_equal(n, 0);
    assert_false(wr_tls_said_goodbye(link.server));
    part(&link);
    wr_tls_free(tls);
    wr_tls_server_free(server);
}

static void a_forged_record_ends_the_stream(void **state) {
    (void)state;
    static char ahead[WR_TLS_RECORD_BYTES], into[2 * WR_TLS_RECORD_BYTES + 1024];
    struct wr_tls_config config = config_of("server", false);
    struct wr_tls_server *server = server_of(&config);
    struct wr_tls *tls = client_of(NULL);
    struct link link;
    struct wr_error err = {0};
    size_t n;
    meet(&link, server, tls);
    char record[5 + 40] = {0x17, 3, 3, 0, 40};
    assert_int_equal(send(link.fds[1], record, sizeof record, 0), sizeof record);
    assert_int_equal(wr_tls_read_all(link.server, ahead, sizeof ahead, into, sizeof into, &n, &err), WR_PROTOCOL);
    assert_int_equal(n, 0);
    part(&link);
    wr_tls_free(tls);
    wr_tls_server_free(server);
}

/* -- clients that speak no TLS ---------------------------------------------------------------------------------------------------------------- */

static void says(const void *bytes, size_t len, bool closes, enum wr_result result, const char *cause) {
    struct wr_tls_config config = config_of("server", true);
    struct wr_tls_server *server = server_of(&config);
    struct wr_tls_stream *stream;
    struct wr_error err = {0};
    int fds[2];
    pair(fds);
    assert_int_equal(wr_tls_accept(server, fds[0], &stream, &err), WR_OK);
    assert_int_equal(send(fds[1], bytes, len, 0), len);
    if (closes)
        assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
    enum wr_result got;
    while ((got = wr_tls_accept_step(stream, &err)) == WR_BUSY)
        ;
    if (got != result || strstr(err.text, cause) == NULL)
        fail_msg("wanted \"%s\", got %s \"%s\"", cause, wr_result_name(got), err.text);
    wr_tls_close(stream);
    close(fds[0]);
    close(fds[1]);
    wr_tls_server_free(server);
}

static void what_is_no_tls_is_told(void **state) {
    (void)state;
    const char *text = "room_temp,room=A1 value=21.5\n";
    says(text, strlen(text), false, WR_PROTOCOL, "the client does not speak TLS: this is a TLS port");
    says("", 0, true, WR_PROTOCOL, "closed the connection before it had said hello in TLS");
    says("\x16\x03", 2, true, WR_PROTOCOL, "closed the connection before it had said hello in TLS");
    says("\x16\x03\x01\x00\x40half", 9, false, WR_EMPTY, ""); /* held for ever, as far as we know */
    char noise[4096];
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (char)(i * 167 + 13);
    says(noise, sizeof noise, false, WR_PROTOCOL, "the client does not speak TLS");
    /* TLS 1.1 at most: a ClientHello that is whole, with one cipher of ours. */
    static const unsigned char old[] = {0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,    0,    0, 0,
                                        0,    0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0xcc, 0xa9, 1, 0};
    says(old, sizeof old, false, WR_PROTOCOL, "no TLS version or cipher in common with the client");
}

/* -- files that change ---------------------------------------------------------------------------------------------------------------------- */

static void copy(const char *from, const char *to) {
    char text[8192], next[160];
    FILE *in = fopen(wr_test_path(dir, from), "re");
    assert_non_null(in);
    const size_t n = fread(text, 1, sizeof text - 1, in);
    fclose(in);
    text[n] = '\0';
    snprintf(next, sizeof next, "%s.next", wr_test_path(dir, to));
    wr_test_write_file(next, text);
    assert_int_equal(rename(next, wr_test_path(dir, to)), 0);
}

static void later(void) {
    wr_clock_virtual_advance(&look, WR_TLS_SERVER_LOOK_NS);
}

static void refreshes(struct wr_tls_server *server, bool changed) {
    bool did;
    struct wr_error err = {0};
    if (wr_tls_server_refresh(server, &did, &err) != WR_OK)
        fail_msg("refresh: %s", err.text);
    assert_int_equal(did, changed);
}

static void refuses_files(struct wr_tls_server *server, const char *cause) {
    bool did;
    struct wr_error err = {0};
    assert_int_not_equal(wr_tls_server_refresh(server, &did, &err), WR_OK);
    if (strstr(err.text, cause) == NULL)
        fail_msg("wanted \"%s\", got \"%s\"", cause, err.text);
    assert_false(did);
}

static void new_files_are_taken_over_whole_or_not_at_all(void **state) {
    (void)state;
    copy("server.pem", "now.pem");
    copy("server.key", "now.key");
    struct wr_tls_config config = config_of("now", false);
    struct wr_tls_server *server = server_of(&config);
    struct wr_tls *tls = client_of(NULL);
    struct link old;
    meet(&old, server, tls);
    assert_int_equal(old.result, WR_OK);
    const int64_t expires_ns = wr_tls_server_expires_wall_ns(server);

    refreshes(server, false);
    copy("server-next.pem", "now.pem");
    refreshes(server, false); /* not more often than once a second */
    later();
    refuses_files(server, "does not belong to certificate"); /* half a rotation */
    gets_in(server, tls, true);                              /* with the last good set, tickets and all */
    later();
    refreshes(server, false); /* the same fault is told once */
    copy("server-next.key", "now.key");
    later();
    refreshes(server, true);
    gets_in(server, tls, false); /* tickets of the old files are worth nothing */
    assert_true(wr_tls_server_expires_wall_ns(server) >= expires_ns);

    assert_int_equal(unlink(wr_test_path(dir, "now.key")), 0);
    later();
    refuses_files(server, "now.key");
    gets_in(server, tls, true);
    copy("server-next.key", "now.key");
    later();
    refreshes(server, true);

    size_t n; /* a connection keeps the set it began with */
    char byte;
    struct wr_error err;
    assert_int_equal(wr_tls_write(old.client.stream, "x", 1, &n, &err), WR_OK);
    wait_fd(old.fds[0], POLLIN);
    assert_int_equal(wr_tls_read(old.server, &byte, 1, &n, &err), WR_OK);
    wr_tls_server_free(server);
    assert_int_equal(wr_tls_write(old.client.stream, "x", 1, &n, &err), WR_OK);
    wait_fd(old.fds[0], POLLIN);
    assert_int_equal(wr_tls_read(old.server, &byte, 1, &n, &err), WR_OK);
    part(&old);
    wr_tls_free(tls);
}

static void a_revocation_reaches_those_who_would_resume(void **state) {
    (void)state;
    struct wr_tls_config config = config_of("server", true);
    copy("ca.pem", "now-ca.pem");
    config.crl = NULL;
    config.ca = wr_test_path(dir, "now-ca.pem");
    struct wr_tls_server *server = server_of(&config);
    struct wr_tls *tls = client_of("client");
    gets_in(server, tls, false);
    gets_in(server, tls, true);
    copy("other-ca.pem", "now-ca.pem"); /* a CA that no longer holds is the same to it as a revocation */
    later();
    refreshes(server, true);
    struct link link;
    meet(&link, server, tls);
    assert_int_equal(link.result, WR_DENIED);
    part(&link);
    wr_tls_free(tls);
    wr_tls_server_free(server);
}

static void refuses(const struct wr_tls_config *config, enum wr_result result, const char *cause) {
    struct wr_tls_server *server;
    struct wr_tls_stream *stream;
    struct wr_error err = {0};
    bool changed;
    assert_int_equal(wr_tls_server_new(config, &look.clock, &server, &err), WR_OK);
    assert_int_equal(wr_tls_server_refresh(server, &changed, &err), result);
    if (strstr(err.text, cause) == NULL)
        fail_msg("wanted \"%s\", got \"%s\"", cause, err.text);
    assert_int_equal(wr_tls_accept(server, 0, &stream, &err), WR_NOT_FOUND);
    assert_false(wr_tls_server_is_ready(server));
    wr_tls_server_free(server);
}

static void files_that_do_not_go_together_are_refused(void **state) {
    (void)state;
    struct wr_tls_server *server;
    struct wr_error err = {0};
    struct wr_tls_config config = config_of("server", false);
    config.key = wr_test_path(dir, "client.key");
    refuses(&config, WR_INVALID, "does not belong to certificate");
    config.key = NULL;
    assert_int_equal(wr_tls_server_new(&config, &look.clock, &server, &err), WR_INVALID);
    config = config_of("server", true);
    config.crl = wr_test_path(dir, "ca.pem");
    refuses(&config, WR_INVALID, "CRL");
}

/* A gateway that is set up while it runs: the files come later. */
static void files_may_come_after_the_start(void **state) {
    (void)state;
    (void)unlink(wr_test_path(dir, "later.key"));
    copy("server.pem", "later.pem");
    struct wr_tls_config config = config_of("later", false);
    refuses(&config, WR_NOT_FOUND, "later.key");
    struct wr_tls_server *server;
    struct wr_error err = {0};
    bool changed;
    assert_int_equal(wr_tls_server_new(&config, &look.clock, &server, &err), WR_OK);
    refuses_files(server, "later.key");
    copy("server.key", "later.key");
    later();
    refreshes(server, true);
    assert_int_equal(wr_tls_server_refresh(server, &changed, &err), WR_OK);
    wr_tls_server_free(server);
}

/* -- failing calls -------------------------------------------------------------------------------------------------------------------------- */

static void every_allocation_may_fail(void **state) {
    (void)state;
    struct wr_tls_config config = config_of("server", true);
    for (long n = 0;; n++) {
        struct wr_tls_server *server = NULL;
        struct wr_tls_stream *stream = NULL;
        struct wr_error err = {0};
        int fds[2];
        pair(fds);
        wr_failing_allocations(n);
        bool changed;
        enum wr_result result = wr_tls_server_new(&config, &look.clock, &server, &err);
        if (result == WR_OK)
            result = wr_tls_server_refresh(server, &changed, &err);
        if (result == WR_OK) {
            result = wr_tls_accept(server, fds[0], &stream, &err);
            if (result == WR_OK)
                wr_tls_close(stream);
        }
        wr_tls_server_free(server);
        server = NULL;
        const bool hit = wr_failing_hit();
        wr_failing_off();
        close(fds[0]);
        close(fds[1]);
        assert_int_equal(result == WR_OK, !hit);
        if (!hit)
            break;
        assert_int_equal(result, WR_NO_MEMORY);
    }
}

/* Whatever send, recv or read fails: either side ends with a cause, or nothing was lost. */
static void every_call_may_fail(void **state) {
    (void)state;
    struct wr_tls_config config = config_of("server", true);
    struct wr_tls_server *server = server_of(&config);
    patience_ms = 300; /* a send of ours that failed counts as sent: the client may wait for it */
    for (long n = 0;; n++) {
        struct wr_tls *tls = client_of("client");
        struct link link;
        wr_failing_io(n, ECONNRESET);
        meet(&link, server, tls);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        if (link.result != WR_OK)
            assert_true(link.err.text[0] != '\0');
        if (!hit) {
            assert_int_equal(link.result, WR_OK);
            assert_int_equal(link.client.result, WR_OK);
        }
        part(&link);
        wr_tls_free(tls);
        if (!hit)
            break;
    }
    patience_ms = PATIENCE_MS;
    wr_tls_server_free(server);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(anonymous_clients_where_no_ca_is_given, set_up, tear_down),
        cmocka_unit_test_setup_teardown(with_a_ca_only_its_clients, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_client_that_does_not_trust_us_says_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_that_is_readable_comes_out_of_one_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_cut_is_no_goodbye, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_forged_record_ends_the_stream, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_tls_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(new_files_are_taken_over_whole_or_not_at_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_revocation_reaches_those_who_would_resume, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_that_do_not_go_together_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_may_come_after_the_start, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_call_may_fail, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
