#include "tests/support/failing_sockets.h"

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

static _Atomic long left = -1;
static _Atomic long counted;
static _Atomic(const char *) hit;
static _Atomic int armed = -1; /* enum wr_socket_fault; -1: nothing is counted */

const char *wr_socket_fault_name(enum wr_socket_fault fault) {
    static const char *const names[WR_SOCKET_FAULTS] = {"reset", "broken pipe", "no room", "interrupted", "short", "the peer's end"};
    return names[fault];
}

void wr_failing_sockets_off(void) {
    armed = -1;
    left = -1;
}

void wr_failing_sockets(long n, enum wr_socket_fault fault) {
    wr_failing_sockets_off();
    counted = 0;
    hit = NULL;
    left = n;
    armed = (int)fault;
}

bool wr_failing_sockets_hit(const char **ret_call) {
    const char *call = hit;
    if (ret_call)
        *ret_call = call;
    return call != NULL;
}

long wr_failing_sockets_count(void) {
    return counted;
}

/* What a call does when it is its turn. */
struct failure {
    enum wr_socket_fault fault;
    int error; /* errno; of getaddrinfo its result */
};

/* The failure if it is this call's turn, else NULL. */
static const struct failure *turn(const char *call, const struct failure *failures, size_t n) {
    const int fault = armed;
    const struct failure *own = NULL;
    for (size_t i = 0; i < n; i++)
        if ((int)failures[i].fault == fault)
            own = &failures[i];
    if (!own)
        return NULL;
    counted++;
    long now = left;
    while (now >= 0) {
        if (!atomic_compare_exchange_weak(&left, &now, now - 1))
            continue;
        if (now > 0)
            return NULL;
        hit = call;
        return own;
    }
    return NULL;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define N(list) (sizeof(list) / sizeof(list)[0])

/* The call, or its failure: these have no other way to fail than an error. */
#define OR_FAILURE(name, arguments, ...)                                                                                                   \
    static const struct failure failures[] = {__VA_ARGS__};                                                                                \
    const struct failure *failure = turn(#name, failures, N(failures));                                                                    \
    if (!failure)                                                                                                                          \
        return REAL(name) arguments;                                                                                                       \
    errno = failure->error;                                                                                                                \
    return -1

int socket(int domain, int type, int protocol) {
    OR_FAILURE(socket, (domain, type, protocol), {WR_SOCKET_NO_ROOM, EMFILE});
}

int bind(int fd, const struct sockaddr *address, socklen_t len) {
    OR_FAILURE(bind, (fd, address, len), {WR_SOCKET_NO_ROOM, EADDRINUSE});
}

int listen(int fd, int backlog) {
    OR_FAILURE(listen, (fd, backlog), {WR_SOCKET_NO_ROOM, EADDRINUSE});
}

int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags) {
    OR_FAILURE(accept4, (fd, address, len, flags), {WR_SOCKET_NO_ROOM, EMFILE}, {WR_SOCKET_INTERRUPTED, EINTR});
}

int getsockname(int fd, struct sockaddr *address, socklen_t *len) {
    OR_FAILURE(getsockname, (fd, address, len), {WR_SOCKET_NO_ROOM, ENOBUFS});
}

int getsockopt(int fd, int level, int option, void *value, socklen_t *len) {
    OR_FAILURE(getsockopt, (fd, level, option, value, len), {WR_SOCKET_NO_ROOM, ENOMEM});
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t len) {
    OR_FAILURE(setsockopt, (fd, level, option, value, len), {WR_SOCKET_NO_ROOM, ENOMEM});
}

int eventfd(unsigned first, int flags) {
    OR_FAILURE(eventfd, (first, flags), {WR_SOCKET_NO_ROOM, EMFILE});
}

int poll(struct pollfd *fds, nfds_t n, int timeout_ms) {
    OR_FAILURE(poll, (fds, n, timeout_ms), {WR_SOCKET_NO_ROOM, ENOMEM}, {WR_SOCKET_INTERRUPTED, EINTR});
}

/* What a fortified poll and recv are compiled to. */
int __poll_chk(struct pollfd *fds, nfds_t n, int timeout_ms, size_t fds_bytes);
int __poll_chk(struct pollfd *fds, nfds_t n, int timeout_ms, size_t fds_bytes) {
    (void)fds_bytes;
    return poll(fds, n, timeout_ms);
}

/* Interrupted, a connect goes on. */
int connect(int fd, const struct sockaddr *address, socklen_t len) {
    static const struct failure failures[] = {
        {WR_SOCKET_RESET, ECONNREFUSED}, {WR_SOCKET_NO_ROOM, EADDRNOTAVAIL}, {WR_SOCKET_INTERRUPTED, EINTR}};
    const struct failure *failure = turn("connect", failures, N(failures));
    if (failure && failure->fault != WR_SOCKET_INTERRUPTED) {
        errno = failure->error;
        return -1;
    }
    const int result = REAL(connect)(fd, address, len);
    if (failure && (result == 0 || errno == EINPROGRESS)) {
        errno = EINTR;
        return -1;
    }
    return result;
}

static const struct failure to_send[] = {{WR_SOCKET_RESET, ECONNRESET},
                                         {WR_SOCKET_PIPE, EPIPE},
                                         {WR_SOCKET_NO_ROOM, ENOBUFS},
                                         {WR_SOCKET_INTERRUPTED, EINTR},
                                         {WR_SOCKET_SHORT, 0}};

ssize_t send(int fd, const void *from, size_t len, int flags) {
    const struct failure *failure = turn("send", to_send, N(to_send));
    if (failure && failure->error) {
        errno = failure->error;
        return -1;
    }
    return REAL(send)(fd, from, failure ? (len + 1) / 2 : len, flags);
}

ssize_t writev(int fd, const struct iovec *pieces, int n) {
    const struct failure *failure = turn("writev", to_send, N(to_send));
    if (!failure)
        return REAL(writev)(fd, pieces, n);
    if (failure->error) {
        errno = failure->error;
        return -1;
    }
    const struct iovec half = {pieces[0].iov_base, (pieces[0].iov_len + 1) / 2};
    return n > 1 ? REAL(writev)(fd, pieces, n / 2) : REAL(writev)(fd, &half, 1);
}

ssize_t recv(int fd, void *into, size_t len, int flags) {
    static const struct failure failures[] = {{WR_SOCKET_RESET, ECONNRESET},
                                              {WR_SOCKET_NO_ROOM, ENOMEM},
                                              {WR_SOCKET_INTERRUPTED, EINTR},
                                              {WR_SOCKET_SHORT, 0},
                                              {WR_SOCKET_END, 0}};
    const struct failure *failure = turn("recv", failures, N(failures));
    if (failure && failure->error) {
        errno = failure->error;
        return -1;
    }
    if (failure && failure->fault == WR_SOCKET_END)
        return 0;
    return REAL(recv)(fd, into, failure && len > 1 ? 1 : len, flags);
}

ssize_t __recv_chk(int fd, void *into, size_t len, size_t into_bytes, int flags);
ssize_t __recv_chk(int fd, void *into, size_t len, size_t into_bytes, int flags) {
    (void)into_bytes;
    return recv(fd, into, len, flags);
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **ret_list) {
    static const struct failure failures[] = {{WR_SOCKET_NO_ROOM, EAI_MEMORY}, {WR_SOCKET_INTERRUPTED, EAI_AGAIN}};
    const struct failure *failure = turn("getaddrinfo", failures, N(failures));
    return failure ? failure->error : REAL(getaddrinfo)(host, service, hints, ret_list);
}
