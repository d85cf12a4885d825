/* Makes the nth call of a socket fail, wherever it is made from: our own objects, paho, mbedTLS. Linked into a program that exports it (tests/CMakeLists.txt), it
 * stands between all libraries and libc. (tests/support/failing.h sees our own objects only, and any descriptor.)
 *
 * Use: for (long n = 0;; n++) { wr_failing_sockets(n, fault); run(); if (!wr_failing_sockets_hit(&call)) break; }
 * Only calls that can fail in this way are counted; a run's number of them is not always the same, since polls are among them.
 *
 * Threads: any; counts are of this process. Ownership: names of calls are literals.
 */
#ifndef WEIR_TESTS_SUPPORT_FAILING_SOCKETS_H
#define WEIR_TESTS_SUPPORT_FAILING_SOCKETS_H

#include <stdbool.h>

enum wr_socket_fault {
    WR_SOCKET_RESET, /* send, recv, writev: ECONNRESET; connect: ECONNREFUSED */
    WR_SOCKET_PIPE,  /* send, writev: EPIPE */
    WR_SOCKET_NO_ROOM, /* every call that needs memory, a buffer, a descriptor or a port: ENOBUFS, ENOMEM, EMFILE, EADDRNOTAVAIL, EAI_MEMORY */
    WR_SOCKET_INTERRUPTED, /* send, recv, writev, connect, accept4, poll: EINTR; getaddrinfo: EAI_AGAIN */
    WR_SOCKET_SHORT,       /* send, writev: half of it is done; recv: one byte */
    WR_SOCKET_END,         /* recv: as if the peer had closed */
    WR_SOCKET_FAULTS,
};

const char *wr_socket_fault_name(enum wr_socket_fault fault);

/* The call number n (from 0) of those that can fail so fails, once; n < 0: none, they are only counted. */
void wr_failing_sockets(long n, enum wr_socket_fault fault);
void wr_failing_sockets_off(void);
/* Whether the call that was to fail has come since, and which it was; NULL: not asked. */
bool wr_failing_sockets_hit(const char **ret_call);
/* How many were counted since. */
long wr_failing_sockets_count(void);

#endif
