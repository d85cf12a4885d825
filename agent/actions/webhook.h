/* The action `webhook`: one request to a web server, over a connection of its own.
 *
 * Promise: the server's certificate and name are always verified where the address says https. The message is signed where there is a secret:
 *   X-Weir-Timestamp: 1772438400                      seconds since 1970, as sent
 *   X-Weir-Delivery:  6f1c….7.0                        the same for each try of the same action: a receiver drops what it knows
 *   X-Weir-Signature: sha256=HEX                       HMAC-SHA256 of timestamp, ".", and the body
 * Nothing is followed: a redirect is refused, since the rule file says where messages go. Of an answer at most WR_WEBHOOK_ANSWER_BYTES are
 * read, and once its status is known it is waited for no longer than a second.
 * What an answer means: 2xx done; 408, 425, 429 and 5xx another time, after Retry-After where it is given; anything else never. Names, connections, TLS,
 * secrets that cannot be read, an answer that does not come: another time.
 *
 * How: the dialler of transport/ connects and does TLS, its relay gives that to libevent's HTTP client on a port of 127.0.0.1 for exactly one
 * socket of this process. libevent 2.1 can speak HTTP only over a socket that it connects itself.
 *
 * Threads: wr_webhook_send may block until the deadline; any thread, one a wr_tls. Ownership: everything is the caller's.
 * Source: RFC 9110, RFC 9112, RFC 6750 (Bearer).
 */
#ifndef WEIR_AGENT_ACTIONS_WEBHOOK_H
#define WEIR_AGENT_ACTIONS_WEBHOOK_H

#include "agent/actions/action_job.h"
#include "core/clock.h"
#include "transport/tls.h"

#define WR_WEBHOOK_ANSWER_BYTES 65536
#define WR_WEBHOOK_HEADER_BYTES 16384

struct wr_webhook {
    const char *url;
    const char *method;         /* "POST" or "PUT" */
    const char *const *headers; /* name, value, ..., NULL */
    const char *secret_file;    /* NULL: not signed */
    const char *token_file;     /* NULL: none */
    const char *delivery;
    const void *body; /* JSON */
    size_t body_len;
    struct wr_tls *tls; /* for https */
    const struct wr_clock *clock;
    int64_t deadline_boot_ns;
    int cancel_fd; /* readable: give up; -1: none */
};

void wr_webhook_send(const struct wr_webhook *webhook, struct wr_action_end *ret_end);

/* "120" or an HTTP date, as it stands in Retry-After; 0: neither, or past. */
int64_t wr_webhook_patience_ns(const char *retry_after, int64_t now_wall_ns);

/* Memory of one request under way, TLS and its thread not counted. */
size_t wr_webhook_bytes(void);

#endif
