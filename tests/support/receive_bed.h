/* Messages for weir-receive and a broker for them that keeps what is not acknowledged: a feed without a network.
 *
 * Message i is segment seq i + 1 of node gw-(i % nodes), with `records` aggregates of the series m{msg=i,k=0..}; every fifth is the JSON
 * envelope of the same, every seventh an alarm. Who is acknowledged stands in memory that children of a fork share.
 */
#ifndef WEIR_TESTS_SUPPORT_RECEIVE_BED_H
#define WEIR_TESTS_SUPPORT_RECEIVE_BED_H

#include <stdatomic.h>

#include "agent/receive/receiver.h"
#include "core/buf.h"
#include "tests/support/random.h"

#define RECEIVE_BED_MESSAGES 128
#define RECEIVE_BED_EPOCH UINT64_C(0xc0ffee0000000001)

struct receive_message {
    char topic[64];
    char epoch[17];
    char seq[24];
    char node[16];
    const char *content_type;
    struct wr_buf payload;
    struct wr_subscriber_property properties[3];
    unsigned records;
};

struct receive_bed {
    struct receive_message messages[RECEIVE_BED_MESSAGES];
    unsigned n;
    _Atomic uint8_t *acknowledged;            /* shared */
    unsigned order[4 * RECEIVE_BED_MESSAGES]; /* what comes, in this order; some of it twice */
    unsigned n_order;
    unsigned at;
    bool endless; /* WR_TIMEOUT at the end, in place of WR_CLOSED */
};

void receive_bed_init(struct receive_bed *bed, unsigned n, unsigned nodes, unsigned records);
void receive_bed_fini(struct receive_bed *bed);
/* What a broker sends after a connect: all that is not acknowledged, in order, and besides, at random, messages that it had before. */
void receive_bed_connect(struct receive_bed *bed, struct wr_random *random, unsigned twice);
struct wr_subscriber_message receive_bed_message(const struct receive_bed *bed, unsigned index);
bool receive_bed_all_acknowledged(const struct receive_bed *bed);

extern const struct wr_receive_feed_ops receive_bed_feed; /* self: struct receive_bed */
/* A receiver reads all of it into this sink, in batches of five, and closes it. WR_OK: it came to the end; prefix weir/1. */
enum wr_result receive_bed_run(struct receive_bed *bed, struct wr_receive_sink sink, const char *quarantine, uint64_t quarantine_max_bytes,
                               struct wr_error *err);

#endif
