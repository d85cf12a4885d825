/* Addresses of the web: https://HOST[:443][/PATH] and http://HOST[:80][/PATH].
 *
 * Promise: what is accepted can be asked for as it stands: host and port as core/authority.h says; the path begins with / and has printable ASCII
 * only, so that nothing in it ends a request's line, and no part . or .., which a server may follow elsewhere. User names are refused by name: secrets never stand in an address; so are
 * fragments, which no server is told.
 * Threads: none; pure functions. Ownership: path points into the text. Errors: WR_INVALID with what is wrong and what is accepted.
 * Source: RFC 3986, RFC 9110 §4.2.
 */
#ifndef WEIR_CORE_WEB_URL_H
#define WEIR_CORE_WEB_URL_H

#include "core/authority.h"

#define WR_WEB_URL_BYTES 1024 /* of the whole text, its NUL counted */

struct wr_web_url {
    bool tls;
    uint16_t port;
    const char *path; /* with the query; "/" when there is none */
    char host[WR_AUTHORITY_HOST_BYTES];
};

WR_MUST_USE enum wr_result wr_web_url_parse(const char *text, struct wr_web_url *ret_url, struct wr_error *err);

#endif
