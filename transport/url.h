/* Broker addresses: mqtt://host[:1883] and mqtts://host[:8883]; an IPv6 address stands in brackets, as in RFC 3986.
 *
 * Promise: what is accepted can be dialled as it stands: host is a name of letters, digits, '-', '_' and '.', or a numeric address without
 * its brackets; the port is 1..65535. User names, paths and queries are refused by name: secrets never stand in an address.
 * Threads: none; pure functions. Errors: WR_INVALID with what is wrong and what is accepted.
 */
#ifndef WEIR_TRANSPORT_URL_H
#define WEIR_TRANSPORT_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/authority.h"
#include "core/result.h"

#define WR_URL_HOST_BYTES WR_AUTHORITY_HOST_BYTES
#define WR_URL_TEXT_BYTES WR_AUTHORITY_TEXT_BYTES

struct wr_url {
    bool tls;
    bool numeric; /* host is an IP address */
    uint16_t port;
    char host[WR_URL_HOST_BYTES];
};

WR_MUST_USE enum wr_result wr_url_parse(const char *text, struct wr_url *ret_url, struct wr_error *err);

/* "host:port" or "[address]:port", for messages. Returns text. */
char *wr_url_authority(char *text, size_t size, const struct wr_url *url);

#endif
