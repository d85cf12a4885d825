/* A request: a function that another thread is asked to run on what it owns, and whose answer the asker waits for.
 *
 * This is how everybody else reads or changes what belongs to the engine or to the store: no locks around their state, no second owner.
 * Promise: the owner runs it between two steps. An asker that gives up at its deadline leaves the request to the owner: the memory is
 * counted, and freed by whoever lets go last; so a request must not point into the asker's stack.
 *
 * Threads: made and waited for by the asker; run and finished by the owner; a request may be passed on (engine -> store) before it is done.
 */
#ifndef WEIR_AGENT_LOOPS_REQUEST_H
#define WEIR_AGENT_LOOPS_REQUEST_H

#include <stdatomic.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/channel.h"
#include "core/context.h"
#include "core/result.h"

struct wr_request;

typedef void wr_request_run(struct wr_request *request, void *owner);

struct wr_request {
    _Atomic int holders;
    struct wr_channel *done; /* capacity 1 */
    wr_request_run *run;
    enum wr_result result;
    struct wr_error error;
    struct wr_buf text; /* an answer in words */
    void *input;        /* freed with the request by free_input, if that is set */
    void (*free_input)(void *input);
};

/* A request with its input (owned from now on, also when making it fails). */
WR_MUST_USE enum wr_result wr_request_new(wr_request_run *run, void *input, void (*free_input)(void *), struct wr_request **ret_request,
                                          struct wr_error *err);

/* Puts it into the owner's channel and waits. WR_TIMEOUT: the owner is too busy, the request may still be run later. The caller still
 * holds the request afterwards and reads result, error and text from it after WR_OK. */
WR_MUST_USE enum wr_result wr_request_call(struct wr_request *request, struct wr_channel *owner, int64_t deadline_boot_ns,
                                           struct wr_error *err);

/* The same, but it also ends with the context (NULL: none): WR_CANCELED, the request may still be run later, too. */
WR_MUST_USE enum wr_result wr_request_call_within(struct wr_request *request, struct wr_channel *owner, struct wr_context *context,
                                                  int64_t patience_ns, struct wr_error *err);

/* Puts it into the owner's channel and does not wait: WR_FULL, WR_CLOSED. For askers that want no answer, or look for it from time to time. */
WR_MUST_USE enum wr_result wr_request_post(struct wr_request *request, struct wr_channel *owner, struct wr_error *err);
/* What became of a request that was posted: WR_EMPTY while it is not finished; else its result, once. Never waits. */
WR_MUST_USE enum wr_result wr_request_look(struct wr_request *request, struct wr_error *err);

/* The owner's side: says that the answer is there and lets go. */
void wr_request_finish(struct wr_request *request, enum wr_result result);

/* Lets go. NULL is fine. */
void wr_request_release(struct wr_request *request);

#endif
