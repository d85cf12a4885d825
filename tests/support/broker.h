/* Real peers for tests on 127.0.0.1: mosquitto with real certificates on a free port, a subscriber that reports what arrives, and listeners
 * that misbehave.
 *
 * Promise: a started broker accepts connections; whatever was started is killed at stop, and by the kernel should the test die.
 * Threads: one at a time. Errors: a failed start fails the test with a message.
 */
#ifndef WEIR_TESTS_SUPPORT_BROKER_H
#define WEIR_TESTS_SUPPORT_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* A directory of its own below /tmp, holding all certificates of tests/support/make-certs. */
void wr_test_dir_make(char dir[64]);
void wr_test_dir_remove(const char *dir);
/* "DIR/name" in a ring of static buffers. */
const char *wr_test_path(const char *dir, const char *name);
void wr_test_write_file(const char *path, const char *text);

uint16_t wr_test_free_port(void);

struct wr_test_broker_options {
    const char *dir;         /* of wr_test_dir_make */
    const char *server_cert; /* "server", "server-expired", ...; NULL: no TLS */
    bool client_cert;        /* require one */
    const char *user;        /* NULL: anonymous */
    const char *password;
    const char *more;        /* further lines of its configuration, or NULL */
    uint16_t port;           /* 0: a free one */
};

struct wr_test_broker {
    struct wr_test_broker_options options;
    uint16_t port;
    pid_t pid;
};

/* max_queued_messages 0 and max_inflight_messages 0: it drops nothing of its own. */
void wr_test_broker_start(struct wr_test_broker *broker, const struct wr_test_broker_options *options);
/* Starts it again on the same port after a kill. */
void wr_test_broker_restart(struct wr_test_broker *broker);
void wr_test_broker_signal(struct wr_test_broker *broker, int signal);
/* SIGKILL, and waits. Idempotent. */
void wr_test_broker_kill(struct wr_test_broker *broker);

/* mosquitto_sub on every topic of a plain broker: one line a message, as "topic retained length user-properties". */
struct wr_test_subscriber {
    pid_t pid;
    FILE *lines;
};
void wr_test_subscriber_start(struct wr_test_subscriber *subscriber, uint16_t port, const char *format);
/* The next line within ms, without its newline; NULL when none comes. */
const char *wr_test_subscriber_line(struct wr_test_subscriber *subscriber, int ms);
void wr_test_subscriber_stop(struct wr_test_subscriber *subscriber);

/* A listening socket that accepts nothing and answers nothing: the kernel completes connections, bytes vanish. */
int wr_test_silent_listener(uint16_t *ret_port);
/* The same with its backlog full: further connects get no answer. *ret_fds[3] hold it; close all. */
void wr_test_black_hole(int ret_fds[4], uint16_t *ret_port);

#endif
