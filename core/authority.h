/* HOST[:PORT], as it stands in addresses behind the scheme; an IPv6 address in brackets.
 *
 * Promise: what is taken can be dialled as it stands: host is a name of letters, digits, '-', '_' and '.', or a numeric address without its brackets;
 * the port is 1..65535. Threads: none; pure functions.
 * Errors: WR_INVALID with what is wrong, and `accepted`, which says what is right. Source: RFC 3986 §3.2.2, §3.2.3.
 */
#ifndef WEIR_CORE_AUTHORITY_H
#define WEIR_CORE_AUTHORITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/result.h"

#define WR_AUTHORITY_HOST_BYTES 254 /* a DNS name has at most 253 characters */
#define WR_AUTHORITY_TEXT_BYTES (WR_AUTHORITY_HOST_BYTES + 16)

/* Takes it off *at, which is left at what follows. Without a port *port stays as it was. host has WR_AUTHORITY_HOST_BYTES. */
WR_MUST_USE enum wr_result wr_authority_take(const char **at, const char *accepted, char *host, uint16_t *port, struct wr_error *err);

/* Whether a host is an IP address. */
bool wr_authority_is_numeric(const char *host);
/* True for 127.0.0.0/8, ::1 and localhost. */
bool wr_authority_is_loopback(const char *host);

/* "host:port" or "[address]:port", for messages. Returns text. */
char *wr_authority_text(char *text, size_t size, const char *host, uint16_t port);

#endif
