/* What a TCP connection has cost on the wire so far, as the kernel counts it: TLS, its handshake, what was sent twice, and the headers of TCP and IP.
 *
 * Promise: what a metered link is billed for, but for the SYNs of connects that find nobody and the farewell at the end (some 150 bytes). Link layers add
 * their own. Threads: any; the descriptor must stay open during the call. Source: tcp(7), TCP_INFO.
 */
#ifndef WEIR_TRANSPORT_WIRE_BYTES_H
#define WEIR_TRANSPORT_WIRE_BYTES_H

#include <stdbool.h>
#include <stdint.h>

struct wr_wire_bytes {
    uint64_t sent;
    uint64_t received;
};

/* False, and nothing set, where it is no TCP connection or the kernel does not count (before Linux 4.19). */
bool wr_wire_bytes_of(int fd, struct wr_wire_bytes *ret_bytes);
/* Adds it; nothing where it is not known. */
void wr_wire_bytes_add(struct wr_wire_bytes *sum, int fd);

#endif
