/* Name look-up that can be given up: see transport/dial.h, the only one that includes this. */
#ifndef WEIR_TRANSPORT_RESOLVE_H
#define WEIR_TRANSPORT_RESOLVE_H

#include <netdb.h>
#include <stdint.h>

#include "core/result.h"
#include "transport/url.h"

/* Addresses for a TCP connection to url. Free *ret_list with freeaddrinfo. */
WR_MUST_USE enum wr_result wr_resolve(const struct wr_url *url, int64_t deadline_boot_ns, int cancel_fd, struct addrinfo **ret_list,
                                      struct wr_error *err);

/* poll() on one descriptor and the cancel descriptor until the deadline: WR_OK, WR_TIMEOUT, WR_CANCELED, WR_IO; sets no text. */
WR_MUST_USE enum wr_result wr_resolve_wait(int fd, short events, int64_t deadline_boot_ns, int cancel_fd);

#endif
