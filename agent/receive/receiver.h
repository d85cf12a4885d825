/* The loop of weir-receive: takes messages, decodes them into the sink's batch, commits, and only then acknowledges.
 *
 * Promise: a message is acknowledged when its records are safe in the sink, when its key was known already, or when it lies in the quarantine:
 * never before. A sink that fails is tried again with a growing pause (retry_max); meanwhile nothing is acknowledged, and no more is
 * taken than the batch, so the broker keeps the rest: memory is bounded by batch_bytes, the subscriber's ring and one message.
 * A batch is committed when it holds batch_messages or batch_bytes, or batch_delay after its first message.
 *
 * Threads: run blocks in one; stop from any, also from a signal handler's thread. Ownership: caller's memory; feed and sink are the caller's.
 */
#ifndef WEIR_AGENT_RECEIVE_RECEIVER_H
#define WEIR_AGENT_RECEIVE_RECEIVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/receive/decode.h"
#include "agent/receive/quarantine.h"
#include "agent/receive/sink.h"
#include "core/result.h"
#include "transport/subscriber.h"

#define WR_RECEIVER_BATCH_MAX 4096

/* Where messages come from: transport/subscriber.h, or a test's fake. As the functions there. */
struct wr_receive_feed_ops {
    enum wr_result (*receive)(void *self, int64_t deadline_boot_ns, struct wr_subscriber_message *ret_message);
    void (*acknowledge)(void *self, const struct wr_subscriber_token *tokens, size_t n);
    void (*wake)(void *self);
};

struct wr_receiver_options {
    const struct wr_receive_feed_ops *feed;
    void *feed_self;
    struct wr_receive_sink sink;
    const char *prefix;
    const char *quarantine; /* directory */
    uint64_t quarantine_max_bytes;
    size_t batch_messages; /* <= WR_RECEIVER_BATCH_MAX */
    size_t batch_bytes;
    int64_t batch_delay_ns;
    int64_t retry_max_ns;
    int64_t report_every_ns; /* a line in the log; 0: none */
    const struct wr_clock *clock;
    int stop_fd; /* an eventfd, readable from the moment of stop on; the caller's */
};

/* A message of the batch, copied, since the sink may refuse it only at the commit. */
struct wr_receiver_kept {
    size_t topic_at;
    size_t topic_len;
    size_t type_len;
    size_t payload_len;
    int64_t arrival_wall_ns;
};

struct wr_receiver {
    struct wr_receiver_options options;
    struct wr_receive_decoder decoder;
    struct wr_quarantine quarantine;
    struct wr_subscriber_token *tokens; /* of the batch */
    struct wr_receiver_kept *kept;      /* the same, numbered as the sink's entries are */
    size_t n;
    struct wr_buf bytes; /* of what is kept */
    int64_t batch_began_ns;
    int64_t retry_ns; /* the present pause; 0: all is well */
    int64_t reported_ns;
    uint64_t reported_messages;
    uint64_t messages;
    uint64_t quarantined;
    bool broken; /* the sink: said once */
    _Atomic bool stopping;
};

WR_MUST_USE enum wr_result wr_receiver_init(struct wr_receiver *receiver, const struct wr_receiver_options *options, struct wr_error *err);
void wr_receiver_fini(struct wr_receiver *receiver);

/* Until stop: the batch at hand is committed first, if the sink takes it. WR_OK: stopped; WR_CLOSED: the feed ended, or standard output is
 * closed; WR_CORRUPT, WR_LIMIT: the sink can never go on, said in err. */
WR_MUST_USE enum wr_result wr_receiver_run(struct wr_receiver *receiver, struct wr_error *err);
void wr_receiver_stop(struct wr_receiver *receiver);

#endif
