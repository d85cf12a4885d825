/* One webhook at a time against a server that says what the test wants; TLS and the rest of the world are in tests/system/actions_test.py. */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/actions/webhook.h"
#include "tests/support/failing.h"
#include "tests/support/threads.h"
#include "tests/support/waiting.h"
#include "transport/hmac.h"

static char directory[] = "/tmp/weir-webhook-XXXXXX";
static char secret_file[64], token_file[64];

/* Answers each connection with the same bytes, after it has read a whole request; NULL: never. Its calls are none of those that fail on
 * demand. */
struct server {
    const char *answer;
    int listener;
    int closed; /* readable: the end */
    pthread_t thread;
    uint16_t port;
    _Atomic unsigned requests;
    char request[8192];
};

static bool whole(const char *request) {
    const char *body = strstr(request, "\r\n\r\n"), *length = strcasestr(request, "\r\nContent-Length: ");
    return body && length && strlen(body + 4) >= strtoul(length + 18, NULL, 10);
}

static void serve_one(struct server *server, int fd) {
    size_t len = 0;
    char request[8192] = "";
    while (len + 1 < sizeof request && !whole(request)) {
        const ssize_t n = recvfrom(fd, request + len, sizeof request - 1 - len, 0, NULL, NULL);
        if (n <= 0)
            return;
        len += (size_t)n;
        request[len] = 0;
    }
    memcpy(server->request, request, sizeof request);
    server->requests++;
    eventfd_t ended;
    if (server->answer)
        (void)sendto(fd, server->answer, strlen(server->answer), MSG_NOSIGNAL, NULL, 0);
    else
        (void)eventfd_read(server->closed, &ended);
}

static void *serve(void *user) {
    struct server *server = user;
    int fd;
    while ((fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        serve_one(server, fd);
        close(fd);
    }
    return NULL;
}

static void begin(struct server *server, const char *answer) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof address;
    *server =
        (struct server){.answer = answer, .listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .closed = eventfd(0, EFD_CLOEXEC)};
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(server->listener, 16), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &len), 0);
    server->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void end(struct server *server) {
    (void)eventfd_write(server->closed, 1);
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listener);
    close(server->closed);
}

static struct wr_webhook webhook_to(const struct server *server, const char *path) {
    static char url[128];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/%s", server->port, path);
    return (struct wr_webhook){.url = url,
                               .method = "POST",
                               .delivery = "1.2.3",
                               .body = "{\"a\":1}",
                               .body_len = 7,
                               .clock = wr_clock_real(),
                               .deadline_boot_ns = wr_clock_boot_ns(wr_clock_real()) + 20 * WR_NS_PER_S,
                               .cancel_fd = -1};
}

static const char *header(const struct server *server, const char *name) {
    static char value[256];
    char wanted[64];
    snprintf(wanted, sizeof wanted, "\r\n%s: ", name);
    const char *at = strstr(server->request, wanted);
    if (!at)
        return NULL;
    at += strlen(wanted);
    snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\r"), at);
    return value;
}

static void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int make_directory(void **state) {
    (void)state;
    signal(SIGPIPE, SIG_IGN); /* as the agent does */
    if (!mkdtemp(directory))
        return -1;
    snprintf(secret_file, sizeof secret_file, "%s/secret", directory);
    snprintf(token_file, sizeof token_file, "%s/token", directory);
    write_file(secret_file, "key\n");
    write_file(token_file, "abc\n");
    return 0;
}

static int remove_directory(void **state) {
    (void)state;
    (void)unlink(secret_file);
    (void)unlink(token_file);
    return rmdir(directory);
}

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static void a_request_says_who_and_what_and_is_signed(void **state) {
    (void)state;
    static const char *const headers[] = {"X-Team", "night", NULL};
    struct server server;
    struct wr_action_end ended;
    begin(&server, OK);
    struct wr_webhook webhook = webhook_to(&server, "x?y=1");
    webhook.headers = headers;
    webhook.secret_file = secret_file;
    webhook.token_file = token_file;
    webhook.method = "PUT";
    wr_webhook_send(&webhook, &ended);
    assert_int_equal(ended.verdict, WR_ACTION_DONE);
    end(&server);
    assert_ptr_equal(strstr(server.request, "PUT /x?y=1 HTTP/1.1\r\n"), server.request);
    assert_string_equal(header(&server, "X-Team"), "night");
    assert_string_equal(header(&server, "X-Weir-Delivery"), "1.2.3");
    assert_string_equal(header(&server, "Authorization"), "Bearer abc");
    assert_string_equal(header(&server, "Content-Type"), "application/json");
    char timestamp[32], hex[WR_HMAC_HEX_BYTES];
    snprintf(timestamp, sizeof timestamp, "%s", header(&server, "X-Weir-Timestamp"));
    const struct wr_hmac_part parts[] = {{timestamp, strlen(timestamp)}, {".{\"a\":1}", 8}};
    assert_int_equal(wr_hmac_sha256("key", 3, parts, 2, hex, NULL), WR_OK);
    assert_non_null(strstr(header(&server, "X-Weir-Signature"), hex));
    assert_string_equal(strstr(server.request, "\r\n\r\n") + 4, "{\"a\":1}");
}

static void what_an_answer_means(void **state) {
    (void)state;
    static const struct {
        const char *answer;
        enum wr_action_verdict verdict;
        int64_t patience_s;
        const char *why;
    } table[] = {
        {"HTTP/1.1 204 No Content\r\n\r\n", WR_ACTION_DONE, 0, ""},
        {"HTTP/1.0 200 OK\r\n\r\nuntil the end", WR_ACTION_DONE, 0, ""},
        {"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\nand then nothing", WR_ACTION_DONE, 0, ""},
        {"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\na\nb\n", WR_ACTION_FAILED, 0, "the server answers 500: a\\x0ab\\x0a"},
        {"HTTP/1.1 503 Later\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", WR_ACTION_FAILED, 7, "the server answers 503"},
        {"HTTP/1.1 429 Slow\r\nRetry-After: 99999\r\nContent-Length: 0\r\n\r\n", WR_ACTION_FAILED, 600, "the server answers 429"},
        {"HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n", WR_ACTION_FAILED, 0, "408"},
        {"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", WR_ACTION_REFUSED, 0, "the server answers 404"},
        {"HTTP/1.1 308 There\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", WR_ACTION_REFUSED, 0,
         "redirects are not followed"},
        {"220 mail ESMTP\r\n", WR_ACTION_FAILED, 0, "the connection ended before there was an answer that is HTTP"},
        {"HTTP/1.1 200 OK\r\nContent-Le", WR_ACTION_FAILED, 0, "the connection ended before"},
        {"", WR_ACTION_FAILED, 0, "the connection ended before"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct server server;
        struct wr_action_end ended;
        begin(&server, table[i].answer);
        const struct wr_webhook webhook = webhook_to(&server, "");
        wr_webhook_send(&webhook, &ended);
        end(&server);
        if (ended.verdict != table[i].verdict || !strstr(ended.why, table[i].why) || ended.patience_ns != table[i].patience_s * WR_NS_PER_S)
            fail_msg("%s\nis taken for %d, %lld: %s", table[i].answer, (int)ended.verdict, (long long)ended.patience_ns, ended.why);
    }
}

static void an_answer_that_does_not_end_is_not_read_to_its_end(void **state) {
    (void)state;
    char *huge = malloc(2000000);
    assert_non_null(huge);
    memset(huge, 'x', 1999999);
    huge[1999999] = 0;
    memcpy(huge, "HTTP/1.1 200 OK\r\n\r\n", 19);
    struct server server;
    struct wr_action_end ended;
    begin(&server, huge);
    const struct wr_webhook webhook = webhook_to(&server, "");
    wr_webhook_send(&webhook, &ended);
    end(&server);
    free(huge);
    assert_int_equal(ended.verdict, WR_ACTION_DONE);
    char headers[40000]; /* and neither are headers without end */
    memset(headers, 'x', sizeof headers);
    memcpy(headers, "HTTP/1.1 200 OK\r\nX: ", 20);
    headers[sizeof headers - 1] = 0;
    begin(&server, headers);
    const struct wr_webhook again = webhook_to(&server, "");
    wr_webhook_send(&again, &ended);
    end(&server);
    assert_int_equal(ended.verdict, WR_ACTION_FAILED);
}

static void a_server_that_does_not_answer_is_given_up(void **state) {
    (void)state;
    struct server server;
    struct wr_action_end ended;
    begin(&server, NULL);
    struct wr_webhook webhook = webhook_to(&server, "");
    webhook.deadline_boot_ns = wr_clock_boot_ns(wr_clock_real()) + 100 * WR_NS_PER_MS;
    wr_webhook_send(&webhook, &ended);
    assert_int_equal(ended.verdict, WR_ACTION_FAILED);
    assert_string_equal(ended.why, "no answer in time");
    end(&server);
}

static void a_stop_gives_up_at_once(void **state) {
    (void)state;
    struct server server;
    struct wr_action_end ended;
    begin(&server, NULL);
    struct wr_webhook webhook = webhook_to(&server, "");
    webhook.deadline_boot_ns = WR_NEVER_NS;
    webhook.cancel_fd = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(eventfd_write(webhook.cancel_fd, 1), 0);
    wr_webhook_send(&webhook, &ended);
    assert_int_equal(ended.verdict, WR_ACTION_FAILED);
    close(webhook.cancel_fd);
    end(&server);
}

static void secrets_that_cannot_be_used_send_nothing(void **state) {
    (void)state;
    struct server server;
    struct wr_action_end ended;
    begin(&server, OK);
    struct wr_webhook webhook = webhook_to(&server, "");
    webhook.secret_file = "/nowhere/secret";
    wr_webhook_send(&webhook, &ended);
    assert_int_equal(ended.verdict, WR_ACTION_FAILED);
    assert_non_null(strstr(ended.why, "/nowhere/secret"));
    write_file(token_file, "two\nlines\n");
    webhook.secret_file = NULL;
    webhook.token_file = token_file;
    wr_webhook_send(&webhook, &ended);
    assert_non_null(strstr(ended.why, "more than one line"));
    write_file(token_file, "\n");
    wr_webhook_send(&webhook, &ended);
    assert_non_null(strstr(ended.why, "is empty"));
    write_file(token_file, "abc\n");
    webhook.url = "http://127.0.0.1:1/a b";
    wr_webhook_send(&webhook, &ended);
    assert_int_equal(ended.verdict, WR_ACTION_REFUSED);
    assert_int_equal(server.requests, 0);
    end(&server);
}

static void patience_is_seconds_or_a_date(void **state) {
    (void)state;
    const int64_t now_ns = INT64_C(1772438400) * WR_NS_PER_S; /* Mon, 02 Mar 2026 08:00:00 GMT */
    assert_int_equal(wr_webhook_patience_ns("120", now_ns), 120 * WR_NS_PER_S);
    assert_int_equal(wr_webhook_patience_ns("-1", now_ns), 0);
    assert_int_equal(wr_webhook_patience_ns("99999999999999999999", now_ns), WR_ACTION_PATIENCE_NS);
    assert_int_equal(wr_webhook_patience_ns("Mon, 02 Mar 2026 08:00:30 GMT", now_ns), 30 * WR_NS_PER_S);
    assert_int_equal(wr_webhook_patience_ns("Mon, 02 Mar 2026 09:00:00 GMT", now_ns), WR_ACTION_PATIENCE_NS);
    assert_int_equal(wr_webhook_patience_ns("Mon, 02 Mar 2026 07:00:00 GMT", now_ns), 0);
    assert_int_equal(wr_webhook_patience_ns("soon", now_ns), 0);
    assert_int_equal(wr_webhook_patience_ns("", now_ns), 0);
    assert_int_equal(wr_webhook_patience_ns("12 apples", now_ns), 0);
}

/* Each allocation, and each read and write, of ours: it fails, or works, and leaves neither a thread nor a descriptor behind. */
static void bad_luck_costs_a_try(void **state) {
    (void)state;
    struct server server;
    struct wr_action_end ended;
    begin(&server, OK);
    const unsigned threads = wr_threads_count();
    for (int what = 0; what < 2; what++)
        for (long n = 0;; n++) {
            struct wr_webhook webhook = webhook_to(&server, "");
            webhook.secret_file = secret_file;
            webhook.token_file = token_file;
            if (what == 0)
                wr_failing_allocations(n);
            else
                wr_failing_io(n, EIO);
            wr_webhook_send(&webhook, &ended);
            const bool hit = wr_failing_hit();
            wr_failing_off();
            assert_int_not_equal(ended.verdict, WR_ACTION_REFUSED);
            assert_true(ended.verdict == WR_ACTION_DONE || (hit && ended.why[0]));
            wr_threads_expect(threads);
            if (!hit) {
                assert_int_equal(ended.verdict, WR_ACTION_DONE);
                break;
            }
        }
    end(&server);
}

int main(void) {
    wr_waiting_watchdog(60);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_says_who_and_what_and_is_signed),
        cmocka_unit_test(what_an_answer_means),
        cmocka_unit_test(an_answer_that_does_not_end_is_not_read_to_its_end),
        cmocka_unit_test(a_server_that_does_not_answer_is_given_up),
        cmocka_unit_test(a_stop_gives_up_at_once),
        cmocka_unit_test(secrets_that_cannot_be_used_send_nothing),
        cmocka_unit_test(patience_is_seconds_or_a_date),
        cmocka_unit_test(bad_luck_costs_a_try),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
