/* Is the other end of a loopback connection a socket of this very process?
 *
 * Walks /proc/self/fd and compares the full four-tuple: some descriptor of ours has exactly our peer's address as its own and exactly our own
 * address as its peer. Comparing one half only would not do: the kernel may give the same local port to two processes whose destinations
 * differ. When /proc cannot be read the answer is no.
 * Threads: any. On a match TCP_NODELAY and close-on-exec are set on the other end: paho sets neither.
 */
#ifndef WEIR_TRANSPORT_OWN_SOCKET_H
#define WEIR_TRANSPORT_OWN_SOCKET_H

#include <stdbool.h>

/* *ret_other_fd (if not NULL): the other end. It belongs to whoever made it. */
bool wr_own_socket(int accepted_fd, int *ret_other_fd);

#endif
