/* A message of the uplink: who sent it, what it carries, and under which key.
 *
 * Topics are `PREFIX/SITE/NODE/{agg|event|alarm|gap|state}`; with MQTT 3.1.1 `/EPOCH/SEQ` is appended. With MQTT 5 epoch and seq are user properties.
 * A segment and the JSON envelope carry their key themselves: that one counts, and where another place says something else, the message is
 * refused. Who the node is the topic alone says, since that is what a broker's access list can check.
 *
 * Threads: none; plain values. Errors: WR_INVALID with what is wrong.
 */
#ifndef WEIR_AGENT_RECEIVE_MESSAGE_H
#define WEIR_AGENT_RECEIVE_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/correction.h"
#include "core/result.h"
#include "transport/subscriber.h"

#define WR_MESSAGE_NAME_BYTES 65

enum wr_message_kind {
    WR_MESSAGE_AGG,
    WR_MESSAGE_EVENT,
    WR_MESSAGE_ALARM,
    WR_MESSAGE_GAP,
    WR_MESSAGE_STATE,
    WR_MESSAGE_KINDS,
    WR_MESSAGE_LIST = WR_MESSAGE_KINDS, /* no topic: the list of segments, an output of the sink of files */
};

/* What identifies a segment for ever. */
struct wr_message_key {
    uint64_t epoch;
    int64_t seq; /* above 0 */
    char node[WR_MESSAGE_NAME_BYTES];
};

struct wr_message_origin {
    char site[WR_MESSAGE_NAME_BYTES];
    enum wr_message_kind kind;
    bool keyed; /* epoch and seq of the key are known */
    struct wr_message_key key;
    int64_t t0_ns; /* of the segment; 0: not said */
    int64_t t1_ns;
    int64_t arrival_ns; /* wall time */
    enum wr_time_quality time_quality; /* of the records' times */
};

/* "agg", "event", "alarm", "gap", "state"; "segment" is the list. */
const char *wr_message_kind_name(enum wr_message_kind kind);
/* False if there is no such kind. */
bool wr_message_kind_parse(const char *text, size_t len, enum wr_message_kind *ret_kind);

/* Takes topic and properties apart. */
WR_MUST_USE enum wr_result wr_message_origin(const struct wr_subscriber_message *message, const char *prefix,
                                             struct wr_message_origin *ret_origin, struct wr_error *err);
/* The key that stands in the payload itself. */
WR_MUST_USE enum wr_result wr_message_own_key(struct wr_message_origin *origin, uint64_t epoch, int64_t seq, struct wr_error *err);

/* 16 hex digits. */
bool wr_message_epoch(struct wr_word text, uint64_t *ret_epoch);
/* Decimal, above 0. */
bool wr_message_seq(struct wr_word text, int64_t *ret_seq);

#endif
