#include "agent/control/control_server.h"

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/process/unix_socket.h"
#include "core/thread.h"

#define ACCEPT_PAUSE_MS 100

struct wr_control_server {
    char *path;
    int listener;
    int stop; /* eventfd */
    pthread_t thread;
    wr_control_handler *handler;
    void *user;
};

/* Waits until fd can be read or written. False: time is up, or a stop is asked for. */
static bool wait_for(const struct wr_control_server *server, int fd, short events, int64_t deadline_boot_ns) {
    int64_t left_ns = deadline_boot_ns - wr_clock_boot_ns(wr_clock_real());
    struct pollfd wanted[] = {{.fd = fd, .events = events}, {.fd = server->stop, .events = POLLIN}};
    int milliseconds = left_ns < 0 ? 0 : (int)(left_ns / WR_NS_PER_MS) + 1;
    return poll(wanted, 2, milliseconds) > 0 && (wanted[1].revents & POLLIN) == 0;
}

/* Reads all words up to the end of the stream. The last byte of request is kept free for a NUL. */
static size_t read_request(const struct wr_control_server *server, int fd, char *request, size_t size, int64_t deadline_boot_ns) {
    size_t len = 0;
    while (len < size - 1 && wait_for(server, fd, POLLIN, deadline_boot_ns)) {
        ssize_t got = read(fd, request + len, size - 1 - len);
        if (got == 0)
            return len;
        if (got < 0 && errno != EAGAIN && errno != EINTR)
            return 0;
        if (got > 0)
            len += (size_t)got;
    }
    return 0;
}

static int split_words(char *request, size_t len, char **argv) {
    int argc = 0;
    request[len] = 0;
    for (size_t at = 0; at < len && argc < WR_CONTROL_WORDS; at += strlen(request + at) + 1)
        argv[argc++] = request + at;
    return argc;
}

static void name_of_peer(int fd, char *name, size_t size) {
    struct ucred peer;
    socklen_t len = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0) {
        snprintf(name, size, "unknown");
        return;
    }
    char scratch[1024];
    struct passwd entry, *found = NULL;
    if (getpwuid_r(peer.uid, &entry, scratch, sizeof scratch, &found) == 0 && found)
        snprintf(name, size, "%s", found->pw_name);
    else
        snprintf(name, size, "uid %u", (unsigned)peer.uid);
}

static void write_all(const struct wr_control_server *server, int fd, const void *bytes, size_t len, int64_t deadline_boot_ns) {
    const char *at = bytes;
    while (len > 0 && wait_for(server, fd, POLLOUT, deadline_boot_ns)) {
        ssize_t sent = send(fd, at, len, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return;
        if (sent > 0) {
            at += sent;
            len -= (size_t)sent;
        }
    }
}

static void serve(const struct wr_control_server *server, int fd) {
    char request[WR_CONTROL_REQUEST_BYTES];
    char *argv[WR_CONTROL_WORDS];
    char by_whom[64];
    size_t len = read_request(server, fd, request, sizeof request, wr_clock_boot_ns(wr_clock_real()) + WR_CONTROL_TIMEOUT_NS);
    if (len == 0)
        return;
    name_of_peer(fd, by_whom, sizeof by_whom);
    struct wr_buf answer;
    wr_buf_init(&answer, WR_CONTROL_ANSWER_BYTES);
    int argc = split_words(request, len, argv);
    int code = server->handler(server->user, argc, argv, by_whom, &answer);
    char head[16];
    int head_len = snprintf(head, sizeof head, "%d\n", code);
    int64_t deadline = wr_clock_boot_ns(wr_clock_real()) + WR_CONTROL_TIMEOUT_NS;
    write_all(server, fd, head, (size_t)head_len, deadline);
    write_all(server, fd, wr_buf_str(&answer), answer.len, deadline);
    wr_buf_fini(&answer);
}

static void *run(void *user) {
    struct wr_control_server *server = user;
    wr_thread_name("weir-control");
    struct pollfd wanted[] = {{.fd = server->listener, .events = POLLIN}, {.fd = server->stop, .events = POLLIN}};
    for (;;) {
        if (poll(wanted, 2, -1) < 0 && errno != EINTR)
            break;
        if (wanted[1].revents & POLLIN)
            break;
        int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
                (void)poll(&wanted[1], 1, ACCEPT_PAUSE_MS); /* no descriptor is free: the listener stays readable meanwhile */
            continue;
        }
        serve(server, fd);
        close(fd);
    }
    return NULL;
}

static void free_server(struct wr_control_server *server) {
    if (server->listener >= 0)
        close(server->listener);
    if (server->stop >= 0)
        close(server->stop);
    free(server->path);
    free(server);
}

enum wr_result wr_control_server_start(const char *path, wr_control_handler *handler, void *user, struct wr_control_server **ret_server,
                                       struct wr_error *err) {
    struct wr_control_server *server = calloc(1, sizeof *server);
    if (!server)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the control socket");
    *server = (struct wr_control_server){.listener = -1, .stop = -1, .handler = handler, .user = user};
    enum wr_result result;
    server->path = strdup(path);
    server->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!server->path || server->stop < 0) {
        result = wr_error_set(err, WR_NO_MEMORY, "cannot make the control socket");
        goto fail;
    }
    result = wr_unix_socket_listen(path, &server->listener, err);
    if (result != WR_OK)
        goto fail;
    result = wr_thread_start(&server->thread, run, server, "control", err);
    if (result != WR_OK) {
        unlink(path);
        goto fail;
    }
    *ret_server = server;
    return WR_OK;
fail:
    free_server(server);
    return result;
}

void wr_control_server_stop(struct wr_control_server *server) {
    if (!server)
        return;
    uint64_t one = 1;
    (void)!write(server->stop, &one, sizeof one);
    (void)!wr_thread_join(server->thread, WR_NEVER_NS);
    unlink(server->path);
    free_server(server);
}

size_t wr_control_server_bytes(void) {
    return sizeof(struct wr_control_server) + WR_CONTROL_ANSWER_BYTES * 3 / 2; /* the text, and what it grew out of */
}
