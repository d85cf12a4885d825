#include "transport/wire_bytes.h"

#include <linux/tcp.h> /* glibc's own struct tcp_info ends before the counts of bytes */
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

#define IPV4_BYTES 20u
#define IPV6_BYTES 40u
#define TCP_BYTES 20u
#define TIMESTAMPS_BYTES 12u

/* Of each segment, acknowledgements without data too. */
static uint64_t header_bytes(int fd, const struct tcp_info *info) {
    struct sockaddr_storage peer = {0};
    socklen_t len = sizeof peer;
    const bool v6 = getpeername(fd, (struct sockaddr *)&peer, &len) == 0 && peer.ss_family == AF_INET6;
    return (v6 ? IPV6_BYTES : IPV4_BYTES) + TCP_BYTES + ((info->tcpi_options & TCPI_OPT_TIMESTAMPS) != 0 ? TIMESTAMPS_BYTES : 0u);
}

bool wr_wire_bytes_of(int fd, struct wr_wire_bytes *ret_bytes) {
    struct tcp_info info = {0};
    socklen_t len = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 ||
        len < offsetof(struct tcp_info, tcpi_bytes_sent) + sizeof info.tcpi_bytes_sent)
        return false;
    const uint64_t header = header_bytes(fd, &info);
    ret_bytes->sent = info.tcpi_bytes_sent + header * info.tcpi_segs_out;
    ret_bytes->received = info.tcpi_bytes_received + header * info.tcpi_segs_in;
    return true;
}

void wr_wire_bytes_add(struct wr_wire_bytes *sum, int fd) {
    struct wr_wire_bytes bytes;
    if (!wr_wire_bytes_of(fd, &bytes))
        return;
    sum->sent += bytes.sent;
    sum->received += bytes.received;
}
