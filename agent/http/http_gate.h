/* The gate between the HTTP server and the source of kind http: where a write is asked for, and where its body goes in.
 *
 * There is another one, of the same kind, where operators' commands go in: there the desk is the source (agent/control/desk.h).
 *
 * The server asks the gate when it has read the head of a request (before it takes the body: whoever may not write, or comes when there is no
 * room, costs no memory), and posts a delivery when the body is complete. The source takes deliveries one after the other, fills in what became of
 * each, and sends it back through the channel that it names. So server and source start, stop and are reloaded each by itself.
 *
 * Promise: every delivery that was posted comes back, also when the source stops. A delivery is taken from its first record to its last, or
 * nothing of it is: BUSY and STOPPING mean that a client may send it again without doubling anything; but PARTLY, where a stop's deadline cut
 * it, and the client that sends it again doubles some.
 *
 * Threads: any, all functions; the lock is held for a look or a send, once a request. Ownership: the gate outlives both; an inbox belongs to
 * its source; a delivery to whoever has it in hand.
 */
#ifndef WEIR_AGENT_HTTP_HTTP_GATE_H
#define WEIR_AGENT_HTTP_HTTP_GATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "agent/http/http_body.h"
#include "agent/http/http_tokens.h"
#include "core/buf.h"
#include "core/channel.h"
#include "core/context.h"

#define WR_HTTP_STALL_NS (INT64_C(250) * 1000000)     /* no free batch for so long: no new request is let in */
#define WR_HTTP_PATIENCE_NS (INT64_C(2) * 1000000000) /* a request that could not be begun for so long is sent back */
#define WR_HTTP_MESSAGE_BYTES 1024
#define WR_HTTP_LIST_BYTES (1u << 19) /* of a reply that a delivery brings */

enum wr_http_format { WR_HTTP_LINE, WR_HTTP_JSON };
enum wr_http_outcome {
    WR_HTTP_TAKEN,    /* to its end; records may have been refused */
    WR_HTTP_BUSY,     /* nothing was taken: no free batch */
    WR_HTTP_STOPPING, /* nothing was taken */
    WR_HTTP_PARTLY,   /* a stop came in the middle */
    WR_HTTP_ANSWERED, /* code and reply say what came of it */
};

struct wr_http_delivery {
    /* The server's words. */
    enum wr_http_format format;
    int64_t unit_ns; /* of time stamps in line protocol */
    struct wr_http_body body;
    int64_t posted_boot_ns;
    struct wr_channel *answers; /* of struct wr_http_delivery *; has room */
    void *connection;
    const char *peer; /* for messages */
    const char *verb; /* of a command; "": the list is asked for; of a write "" too */
    /* The source's. */
    enum wr_http_outcome outcome;
    uint64_t refused;                    /* records, or single readings of them */
    uint64_t line;                       /* of the first refusal */
    char message[WR_HTTP_MESSAGE_BYTES]; /* the first few refusals in words */
    int code;                            /* ANSWERED: the status, 0: there was no memory for an answer */
    struct wr_buf reply;                 /* ANSWERED: JSON */
};

/* What a source opens the gate with. */
struct wr_http_inbox {
    size_t max_body_bytes;
    size_t bodies_bytes;                   /* all bodies under way together */
    int64_t unit_ns;                       /* where a request names no precision */
    struct wr_channel *channel;            /* of struct wr_http_delivery * */
    struct wr_http_tokens *tokens;         /* NULL: anybody may write */
    struct wr_context *context;            /* ends when all shall be answered at once; exchanged under the gate's lock */
    _Atomic int64_t stalled_since_boot_ns; /* 0: there are free batches */
};

struct wr_http_gate {
    pthread_mutex_t lock;
    struct wr_http_inbox *inbox; /* NULL: closed */
    bool was_open;
};

void wr_http_gate_init(struct wr_http_gate *gate);
void wr_http_gate_fini(struct wr_http_gate *gate);

/* -- for the source -- */
/* WR_EXISTS: another source has it. */
WR_MUST_USE enum wr_result wr_http_gate_open(struct wr_http_gate *gate, struct wr_http_inbox *inbox, struct wr_error *err);
/* From now on nothing more is posted into this inbox. Not opened is fine. */
void wr_http_gate_close(struct wr_http_gate *gate, struct wr_http_inbox *inbox);
/* Cancels the inbox's context, also when the gate is closed already. */
void wr_http_gate_cancel(struct wr_http_gate *gate, struct wr_http_inbox *inbox);
/* After that, when all is answered: on as before with this one, which the inbox takes over. */
void wr_http_gate_calm(struct wr_http_gate *gate, struct wr_http_inbox *inbox, struct wr_context *context);

/* -- for the server -- */
enum wr_http_admission {
    WR_HTTP_ADMITTED,
    WR_HTTP_NOBODY, /* nobody has ever opened it: it is not configured */
    WR_HTTP_CLOSED, /* there was one, and maybe will be again */
    WR_HTTP_DENIED, /* no token, or a wrong one */
    WR_HTTP_STALLED,
};
struct wr_http_terms {
    size_t max_body_bytes;
    size_t bodies_bytes;
    int64_t unit_ns;
};
/* May this request write, and how much? Time: boot. */
enum wr_http_admission wr_http_gate_ask(struct wr_http_gate *gate, const struct wr_http_head *head, int64_t now_boot_ns,
                                        struct wr_http_terms *ret_terms);
/* Whether it was posted; else the gate was closed meanwhile, or is full. */
bool wr_http_gate_post(struct wr_http_gate *gate, struct wr_http_delivery *delivery);
/* The source shall answer now, whatever it waits for. */
void wr_http_gate_hurry(struct wr_http_gate *gate);

#endif
