/* TLS listeners of the line source: who gets in, handshakes that hang, many at once, files that change while it runs, stop, memory. What is said over
 * an open connection is tested with all other streams, in agent_line_source_test.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/sources/line_source.h"
#include "agent/sources/line_source_private.h"
#include "tests/support/broker.h"
#include "tests/support/client.h"
#include "tests/support/failing.h"
#include "tests/support/source_bed.h"
#include "tests/support/tls_tunnel.h"

#define LONG_NS (60 * WR_NS_PER_S)

static struct wr_bed bed;
static char dir[64];
static char files[8][128];

static int set_up_all(void **state) {
    (void)state;
    static const char *const names[8] = {"ca.pem", "crl.pem", "now.pem", "now.key", "client.pem", "client.key", "server.pem", "server.key"};
    wr_test_dir_make(dir);
    for (int i = 0; i < 8; i++)
        snprintf(files[i], sizeof files[i], "%s/%s", dir, names[i]);
    return 0;
}

static int tear_down_all(void **state) {
    (void)state;
    wr_test_dir_remove(dir);
    return 0;
}

static int set_up(void **state) {
    (void)state;
    wr_bed_init(&bed, WR_SOURCE_LINE);
    bed.address.kind = WR_ADDRESS_TLS;
    bed.config.tls.cert = files[6];
    bed.config.tls.key = files[7];
    wr_line_tls_limits = (struct wr_line_tls_limits){.handshake_ns = LONG_NS, .contended_ns = LONG_NS, .handshakes = 64};
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    wr_bed_fini(&bed);
    return 0;
}

static void start(void) {
    wr_bed_start(&bed);
    wr_bed_engine_start(&bed);
}

static uint16_t port(void) {
    return wr_line_source_port(bed.source, 0);
}

/* -- clients ----------------------------------------------------------------------------------------------------------------------------- */

struct client {
    struct wr_tls_stream *stream;
    int fd;
};

/* With the certificate of this name, or none. NULL in stream: it did not get in. */
static struct client client_of(const char *name, struct wr_error *err) {
    char cert[128], key[128];
    struct wr_tls_config config = {.ca = files[0]};
    struct client client;
    if (name) {
        snprintf(cert, sizeof cert, "%s/%s.pem", dir, name);
        snprintf(key, sizeof key, "%s/%s.key", dir, name);
        config.cert = cert;
        config.key = key;
    }
    client.stream = wr_test_tls_dial(port(), &config, &client.fd, err);
    return client;
}

static void leave(struct client *client) {
    wr_tls_close(client->stream);
    close(client->fd);
}

static void say(struct client *client, const char *text) {
    if (!wr_test_tls_write(client->stream, client->fd, text, strlen(text)))
        fail_msg("the connection broke");
}

static struct client gets_in(const char *name) {
    struct wr_error err = {0};
    struct client client = client_of(name, &err);
    if (!client.stream)
        fail_msg("client: %s", err.text);
    return client;
}

/* Gets in, and one line is taken. */
static void is_served(void) {
    const uint64_t before = bed.taken;
    struct client client = gets_in(NULL);
    say(&client, "m v=1i 1\n");
    wr_bed_wait_taken(&bed, before + 1);
    leave(&client);
}

static void stays_out(const char *name, const char *cause) {
    struct wr_error err = {0};
    const uint64_t before = bed.counters.handshakes_failed;
    struct client client = client_of(name, &err);
    if (client.stream || strstr(err.text, cause) == NULL)
        fail_msg("wanted \"%s\", got \"%s\"", cause, err.text);
    close(client.fd);
    wr_bed_wait(&bed.counters.handshakes_failed, before + 1);
}

static void put(int fd, const void *bytes, size_t len) {
    assert_int_equal(sendto(fd, bytes, len, MSG_NOSIGNAL, NULL, 0), len);
}

static bool is_closed_by_peer(int fd) {
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    char bytes[256];
    while (poll(&wait, 1, 10000) == 1)
        if (recvfrom(fd, bytes, sizeof bytes, 0, NULL, NULL) <= 0)
            return true;
    return false;
}

static void nobody_is_left(void) {
    const int64_t deadline = wr_bed_in_s(10);
    while (bed.counters.connections > 0)
        if (wr_clock_boot_ns(wr_clock_real()) > deadline)
            fail_msg("%d connections are left", (int)bed.counters.connections);
}

/* -- who gets in ---------------------------------------------------------------------------------------------------------------------------- */

static void with_a_ca_only_its_senders(void **state) {
    (void)state;
    bed.config.tls.ca = files[0];
    bed.config.tls.crl = files[1];
    start();
    struct client client = gets_in("client");
    stays_out(NULL, "requires a client certificate");
    stays_out("client-other", "unknown_ca");
    stays_out("client-expired", "certificate_expired");
    stays_out("client-revoked", "certificate_revoked");
    say(&client, "m v=1i 1\n");
    wr_bed_wait_taken(&bed, 1);
    leave(&client);
    assert_int_equal(bed.counters.handshakes, 1);
    assert_int_equal(bed.counters.handshakes_failed, 4);
    nobody_is_left();
}

static void a_session_is_resumed(void **state) {
    (void)state;
    struct wr_error err = {0};
    struct wr_tls_config config = {.ca = files[0]};
    struct wr_tls *tls;
    start();
    assert_int_equal(wr_tls_new(&config, wr_clock_real(), &tls, &err), WR_OK);
    for (uint64_t i = 0; i < 3; i++) {
        struct client client = {.fd = wr_test_dial(port())};
        assert_int_equal(fcntl(client.fd, F_SETFL, O_NONBLOCK), 0);
        assert_int_equal(wr_tls_handshake(tls, client.fd, "localhost", wr_bed_in_s(20), -1, &client.stream, &err), WR_OK);
        say(&client, "m v=1i 1\n");
        wr_bed_wait_taken(&bed, i + 1);
        assert_int_equal(bed.counters.handshakes_resumed, i);
        leave(&client);
    }
    wr_tls_free(tls);
}

/* -- peers that misbehave --------------------------------------------------------------------------------------------------------------------- */

static void what_is_no_tls_is_closed_and_counted(void **state) {
    (void)state;
    start();
    char noise[3000];
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (char)(i * 131 + 7);
    const char *texts[] = {"m v=1i 1\n", "GET / HTTP/1.1\r\n\r\n", noise};
    for (uint64_t i = 0; i < 3; i++) {
        int fd = wr_test_dial(port());
        put(fd, texts[i], i < 2 ? strlen(texts[i]) : sizeof noise);
        assert_true(is_closed_by_peer(fd));
        close(fd);
        assert_int_equal(bed.counters.handshakes_failed, i + 1);
    }
    assert_int_equal(bed.taken, 0);
    is_served();
}

static const char half_a_hello[] = "\x16\x03\x01\x00\xC8\x01\x00\x00\xC4\x03\x03";

/* Silent ones, and such that stop in the middle: they are closed when their time is over, and in the meantime nobody waits for them. */
static void who_hangs_is_closed_and_others_are_served(void **state) {
    (void)state;
    enum { HANGING = 20 };
    wr_line_tls_limits.handshake_ns = 700 * WR_NS_PER_MS;
    start();
    int fds[HANGING];
    for (int i = 0; i < HANGING; i++) {
        fds[i] = wr_test_dial(port());
        if (i % 2 == 1)
            put(fds[i], half_a_hello, sizeof half_a_hello - 1);
    }
    is_served();
    for (int i = 0; i < HANGING; i++) {
        assert_true(is_closed_by_peer(fds[i]));
        close(fds[i]);
    }
    assert_int_equal(bed.counters.handshakes_failed, HANGING);
    struct client client = gets_in(NULL); /* who is in stays in, however long it is silent */
    poll(NULL, 0, 900);
    say(&client, "m v=1i 1\n");
    wr_bed_wait_taken(&bed, 2);
    leave(&client);
}

/* All places are taken by those who hang: who waits gets one when their shorter time is over, long before the other. */
static void who_hangs_gives_way_to_who_waits(void **state) {
    (void)state;
    wr_line_tls_limits.handshakes = 2;
    wr_line_tls_limits.contended_ns = 300 * WR_NS_PER_MS;
    start();
    int fds[2];
    for (int i = 0; i < 2; i++) {
        fds[i] = wr_test_dial(port());
        put(fds[i], half_a_hello, sizeof half_a_hello - 1);
    }
    is_served();
    is_served();
    for (int i = 0; i < 2; i++) {
        assert_true(is_closed_by_peer(fds[i]));
        close(fds[i]);
    }
    nobody_is_left();
}

static void stays_open(int fd) {
    char byte;
    assert_int_equal(recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

/* Clients that say nothing have all connections: each client that comes gets the place of the one that has been silent longest. */
static void silent_ones_give_way_to_who_comes(void **state) {
    (void)state;
    enum { ALL = 4 };
    bed.limits.max_connections = ALL;
    start();
    int fds[ALL];
    struct client clients[ALL];
    for (int i = 0; i < ALL; i++) {
        fds[i] = wr_test_dial(port());
        wr_bed_wait(&bed.counters.connections, (uint64_t)i + 1);
    }
    for (int i = 0; i < ALL; i++) {
        for (int j = i; j < ALL; j++)
            stays_open(fds[j]);
        clients[i] = gets_in(NULL);
        assert_true(is_closed_by_peer(fds[i]));
        assert_int_equal(bed.counters.handshakes_failed, i + 1);
        assert_int_equal(bed.counters.connections_refused, i + 1);
    }
    wr_bed_wait(&bed.counters.handshakes, ALL);
    int late = wr_test_dial(port()); /* who has got in keeps its place */
    assert_true(is_closed_by_peer(late));
    assert_int_equal(bed.counters.connections_refused, ALL + 1);
    for (int i = 0; i < ALL; i++) {
        say(&clients[i], "m v=1i 1\n");
        close(fds[i]);
    }
    wr_bed_wait_taken(&bed, ALL);
    for (int i = 0; i < ALL; i++)
        leave(&clients[i]);
    close(late);
    assert_int_equal(bed.counters.handshakes_failed, ALL);
}

/* What a client says first. */
static size_t client_hello(char *bytes, size_t size) {
    struct wr_error err = {0};
    const struct wr_tls_config config = {.ca = files[0]};
    struct wr_tls *tls;
    struct wr_tls_stream *stream = NULL;
    int ends[2];
    assert_int_equal(wr_tls_new(&config, wr_clock_real(), &tls, &err), WR_OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    assert_int_not_equal(wr_tls_handshake(tls, ends[0], "localhost", wr_bed_in_s(0), -1, &stream, &err), WR_OK);
    const ssize_t n = recvfrom(ends[1], bytes, size, 0, NULL, NULL);
    assert_true(n > 100);
    close(ends[0]);
    close(ends[1]);
    wr_tls_free(tls);
    return (size_t)n;
}

/* A connection that is in the middle of its handshake, after which the client says no more. */
static int dial_and_stop_in_the_middle(void) {
    static char hello[4096];
    const size_t len = client_hello(hello, sizeof hello);
    int fd = wr_test_dial(port());
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    put(fd, hello, len);
    assert_int_equal(poll(&wait, 1, 10000), 1);
    assert_true(recvfrom(fd, hello, sizeof hello, 0, NULL, NULL) > 0); /* it was answered */
    return fd;
}

/* Who shakes hands has some time for it, however many come: or with more clients than connections none would ever finish. */
static void who_shakes_hands_is_not_pushed_out_at_once(void **state) {
    (void)state;
    bed.limits.max_connections = 1;
    start();
    int slow = dial_and_stop_in_the_middle();
    for (uint64_t i = 0; i < 20; i++) {
        int late = wr_test_dial(port());
        assert_true(is_closed_by_peer(late));
        close(late);
    }
    assert_int_equal(bed.counters.connections_refused, 20);
    assert_int_equal(bed.counters.handshakes_failed, 0);
    close(slow);
    nobody_is_left();
    is_served();
}

static void but_after_that_time_it_gives_way(void **state) {
    (void)state;
    bed.limits.max_connections = 1;
    wr_line_tls_limits.contended_ns = 300 * WR_NS_PER_MS;
    start();
    int slow = dial_and_stop_in_the_middle();
    poll(NULL, 0, 400);
    is_served();
    assert_true(is_closed_by_peer(slow));
    close(slow);
    assert_int_equal(bed.counters.handshakes_failed, 1);
    nobody_is_left();
}

static void *one_client(void *user) {
    (void)user;
    struct wr_error err = {0};
    struct client client = client_of(NULL, &err);
    if (client.stream)
        say(&client, "m v=1i 1\nm v=1i 2\n");
    leave(&client);
    return client.stream ? NULL : (void *)"out";
}

/* After a power cut all sensors come back at once. Far more than may shake hands at the same time. */
static void all_come_at_once(void **state) {
    (void)state;
    enum { CLIENTS = 60 };
    wr_line_tls_limits.handshakes = 3;
    start();
    pthread_t threads[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, one_client, NULL), 0);
    for (int i = 0; i < CLIENTS; i++) {
        void *out = NULL;
        pthread_join(threads[i], &out);
        assert_null(out);
    }
    wr_bed_wait_taken(&bed, 2 * CLIENTS);
    nobody_is_left();
    assert_int_equal(bed.counters.handshakes, CLIENTS);
    assert_int_equal(bed.counters.handshakes_failed, 0);
}

static void *one_that_stays(void *user) {
    struct wr_error err = {0};
    *(struct client *)user = client_of(NULL, &err);
    return NULL;
}

/* However they push each other out: each connection serves somebody in the end. */
static void more_come_than_there_are_connections(void **state) {
    (void)state;
    enum { CLIENTS = 40, ALL = 8 };
    bed.limits.max_connections = ALL;
    start();
    pthread_t threads[CLIENTS];
    struct client clients[CLIENTS];
    unsigned in = 0;
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, one_that_stays, &clients[i]), 0);
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(threads[i], NULL);
        in += clients[i].stream != NULL;
    }
    assert_int_equal(in, ALL);
    wr_bed_wait(&bed.counters.handshakes, ALL); /* the client knows it a moment earlier */
    assert_int_equal(bed.counters.handshakes, ALL);
    assert_int_equal(bed.counters.connections_refused, CLIENTS - ALL);
    for (int i = 0; i < CLIENTS; i++) {
        if (clients[i].stream)
            say(&clients[i], "m v=1i 1\n");
        leave(&clients[i]);
    }
    wr_bed_wait_taken(&bed, ALL);
    nobody_is_left();
}

/* An end that nobody announced: whole lines are taken, of the last one nobody knows whether it is whole. */
static void a_cut_connection_loses_its_last_words(void **state) {
    (void)state;
    start();
    struct client client = gets_in(NULL);
    say(&client, "m v=1i 1\nm v=12");
    wr_bed_wait(&bed.counters.bytes, 15);
    assert_int_equal(shutdown(client.fd, SHUT_WR), 0);
    assert_true(is_closed_by_peer(client.fd));
    wr_bed_wait_taken(&bed, 1);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_REJECTED_SYNTAX), 1);
    leave(&client);

    client = gets_in(NULL);
    say(&client, "m v=1i 1\n");
    put(client.fd, "\x17\x03\x03\x00\x80half a record", 18);
    wr_bed_wait_taken(&bed, 2);
    close(client.fd);
    nobody_is_left();
    wr_tls_close(client.stream);
    assert_int_equal(bed.taken, 2);
}

static void a_forged_record_closes_the_connection(void **state) {
    (void)state;
    start();
    struct client client = gets_in(NULL);
    char record[5 + 60] = "\x17\x03\x03\x00\x3C";
    put(client.fd, record, sizeof record);
    assert_true(is_closed_by_peer(client.fd));
    leave(&client);
    is_served();
}

/* -- files --------------------------------------------------------------------------------------------------------------------------------- */

static void use(const char *name, const char *what) {
    char text[8192], from[160], to[160], next[168];
    snprintf(from, sizeof from, "%s/%s.%s", dir, name, what);
    snprintf(to, sizeof to, "%s/now.%s", dir, what);
    snprintf(next, sizeof next, "%s.next", to);
    FILE *in = fopen(from, "re");
    assert_non_null(in);
    text[fread(text, 1, sizeof text - 1, in)] = '\0';
    fclose(in);
    wr_test_write_file(next, text);
    assert_int_equal(rename(next, to), 0);
}

/* Tries until the listener has looked again. */
static void wait_for_cause(const char *cause) {
    const int64_t deadline = wr_bed_in_s(10);
    struct wr_error err;
    do {
        memset(&err, 0, sizeof err);
        struct client client = client_of(NULL, &err);
        leave(&client);
        if (wr_clock_boot_ns(wr_clock_real()) > deadline)
            fail_msg("wanted \"%s\", got \"%s\"", cause, err.text);
        poll(NULL, 0, 50);
    } while (cause[0] ? !strstr(err.text, cause) : err.text[0] != '\0');
}

static void new_files_are_taken_over_while_it_runs(void **state) {
    (void)state;
    unlink(files[2]);
    unlink(files[3]);
    bed.config.tls.cert = files[2];
    bed.config.tls.key = files[3];
    start(); /* nothing is there yet: that must not keep the agent from its work */
    int fd = wr_test_dial(port());
    assert_true(is_closed_by_peer(fd));
    close(fd);
    assert_true(bed.counters.connections_refused >= 1);
    use("server", "pem");
    use("server", "key");
    wait_for_cause("");
    struct client old = gets_in(NULL);
    use("server-expired", "pem"); /* half a rotation: the last good ones stay */
    poll(NULL, 0, 1100);
    is_served();
    use("server-expired", "key");
    wait_for_cause("has expired");
    const uint64_t before = bed.taken;
    say(&old, "m v=1i 1\n"); /* who is in stays in */
    wr_bed_wait_taken(&bed, before + 1);
    leave(&old);
}

/* -- backpressure and stop ------------------------------------------------------------------------------------------------------------------- */

static void say_lines(struct client *client, int n) {
    struct wr_buf text;
    wr_buf_init(&text, 0);
    for (int i = 0; i < n; i++)
        assert_int_equal(wr_buf_text(&text, "m v=1i 1\n"), WR_OK);
    say(client, wr_buf_str(&text));
    wr_buf_fini(&text);
}

/* The engine takes nothing: others may still shake hands, and at the stop all that had arrived is taken. */
static void stalled_and_then_stopped(void **state) {
    (void)state;
    enum { LINES = 2500 };
    struct wr_error err = {0};
    bed.limits.batches = 2;
    wr_bed_create(&bed);
    assert_int_equal(wr_source_start(bed.source, &err), WR_OK);
    struct client flood = gets_in(NULL);
    say_lines(&flood, LINES);
    wr_bed_wait(&bed.counters.waits, 1);
    struct client other = gets_in(NULL);
    say(&other, "m v=1i 1\nm v=unfinish");
    int silent = wr_test_dial(port());
    int half = wr_test_dial(port());
    put(half, half_a_hello, sizeof half_a_hello - 1);
    wr_bed_wait(&bed.counters.connections, 4);
    wr_bed_engine_start(&bed);
    wr_bed_stop(&bed);
    wr_bed_wait_taken(&bed, LINES + 1);
    assert_int_equal(wr_bed_count(&bed, WR_BOOK_RECEIVED), LINES + 1);
    assert_true(is_closed_by_peer(flood.fd) && is_closed_by_peer(silent) && is_closed_by_peer(half));
    leave(&flood);
    leave(&other);
    close(silent);
    close(half);
}

/* -- memory and failing calls ----------------------------------------------------------------------------------------------------------------- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

static size_t allocated(void) {
    const struct mallinfo2 now = mallinfo2();
    return now.uordblks + now.hblkhd;
}

/* What the memory ceiling counts is true. Of open connections the clients' ends are in the same process, and as large or larger. */
static void a_connection_takes_what_the_ceiling_says(void **state) {
    (void)state;
#ifdef SANITIZED
    skip();
#endif
    enum { CLIENTS = 40 };
    struct client clients[CLIENTS];
    start();
    is_served();
    nobody_is_left();
    size_t before = allocated();
    for (int i = 0; i < CLIENTS; i++)
        clients[i].fd = wr_test_dial(port());
    wr_bed_wait(&bed.counters.connections, CLIENTS);
    assert_true((allocated() - before) / CLIENTS <= WR_LINE_CONNECTION_BYTES); /* they have said nothing yet */
    for (int i = 0; i < CLIENTS; i++)
        put(clients[i].fd, half_a_hello, sizeof half_a_hello - 1);
    struct client last = gets_in(NULL); /* all before it have been seen */
    leave(&last);
    wr_bed_wait(&bed.counters.handshakes, 2);
    const size_t shaking = (allocated() - before) / CLIENTS;
    assert_true(shaking <= WR_TLS_SERVER_STREAM_BYTES + WR_TLS_SERVER_HANDSHAKE_BYTES + WR_LINE_CONNECTION_BYTES);
    for (int i = 0; i < CLIENTS; i++)
        close(clients[i].fd);
    nobody_is_left();

    before = allocated();
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = gets_in(NULL);
    wr_bed_wait(&bed.counters.handshakes, 2 + CLIENTS);
    const size_t both = (allocated() - before) / CLIENTS;
    assert_true(both / 2 <= WR_TLS_SERVER_STREAM_BYTES + WR_LINE_CONNECTION_BYTES);
    for (int i = 0; i < CLIENTS; i++)
        leave(&clients[i]);
    print_message("bytes a connection: %zu while it shakes hands, %zu open (half of both ends)\n", shaking, both / 2);
}

/* Whatever call fails, ours or the client's: one connection is lost at most, and the next one is served. */
static void every_call_may_fail(void **state) {
    (void)state;
    start();
    wr_test_tls_patience_ns = 60 * WR_NS_PER_MS; /* a send that failed counts as sent: the other side waits for it */
    for (long n = 0;; n++) {
        struct wr_error err = {0};
        wr_failing_io(n, ECONNRESET);
        struct client client = client_of(NULL, &err);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        leave(&client);
        nobody_is_left();
        if (!hit)
            break;
    }
    wr_test_tls_patience_ns = LONG_NS;
    is_served();
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    start();
    for (long n = 0;; n++) {
        struct wr_error err = {0};
        struct client client = {.fd = wr_test_dial(port())};
        assert_int_equal(fcntl(client.fd, F_SETFL, O_NONBLOCK), 0);
        wr_bed_wait(&bed.counters.connections, 1);
        struct wr_tls_config config = {.ca = files[0]};
        struct wr_tls *tls;
        assert_int_equal(wr_tls_new(&config, wr_clock_real(), &tls, &err), WR_OK);
        wr_failing_allocations(n);
        (void)!wr_tls_handshake(tls, client.fd, "localhost", wr_bed_in_s(20), -1, &client.stream, &err);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        wr_tls_free(tls);
        leave(&client);
        nobody_is_left();
        if (!hit)
            break;
    }
    is_served();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(with_a_ca_only_its_senders, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_session_is_resumed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_tls_is_closed_and_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_hangs_is_closed_and_others_are_served, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_hangs_gives_way_to_who_waits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(silent_ones_give_way_to_who_comes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_shakes_hands_is_not_pushed_out_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(but_after_that_time_it_gives_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_come_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_come_than_there_are_connections, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_cut_connection_loses_its_last_words, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_forged_record_closes_the_connection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(new_files_are_taken_over_while_it_runs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stalled_and_then_stopped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_connection_takes_what_the_ceiling_says, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_call_may_fail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
