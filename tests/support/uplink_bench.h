/* The whole uplink, thread and session, with a store in an array that the test plays: segments 1 to n of all lanes, of which it is known at each time which are
 * acknowledged. The peer is the test's: tests/support/broker.h, mqtt_peer.h.
 *
 * Threads: the test's own; on_notice runs on the uplink's. Ownership: the bench is the caller's memory, from open to close. Errors: what is asked for that cannot
 * be, and an acknowledgement that comes twice, fail the test.
 */
#ifndef WEIR_TESTS_SUPPORT_UPLINK_BENCH_H
#define WEIR_TESTS_SUPPORT_UPLINK_BENCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/channel.h"
#include "tests/support/broker.h"
#include "transport/uplink_runner.h"

#define UPLINK_BENCH_SEGMENTS 200
#define UPLINK_BENCH_WINDOW 8
#define UPLINK_BENCH_EPOCH 0xC0FFEE
#define UPLINK_BENCH_FORMAT "%t %P" /* of the subscriber that uplink_bench_has_arrived reads */

struct uplink_bench {
    struct wr_uplink_runner *runner;
    struct wr_channel *requests;
    struct wr_channel *replies;
    struct wr_channel *directs;
    int64_t committed;
    int64_t offered[WR_LANES];
    bool acked[UPLINK_BENCH_SEGMENTS + 1];
    bool parked[UPLINK_BENCH_SEGMENTS + 1];
    uint8_t park_reason[UPLINK_BENCH_SEGMENTS + 1];
    unsigned done; /* acked or parked */
    size_t body_bytes;
    _Atomic unsigned directs_delivered;
    _Atomic unsigned offline;          /* notices */
    _Atomic unsigned refusals;         /* likewise */
    char cause[WR_UPLINK_CAUSE_BYTES]; /* of the last offline notice; read when the runner is stopped */
};

/* One in ten is an alarm, one a change. */
uint8_t uplink_bench_lane(int64_t seq);

/* For "localhost" at this port, with the certificates of dir, as node gw-7; a failure is over in milliseconds. */
struct wr_uplink_runner_config uplink_bench_config(const char *dir, uint16_t port, bool tls);
/* Starts it, with segments 1 to `committed` in the store. try: where that may fail; then nothing is left to close. */
WR_MUST_USE enum wr_result uplink_bench_try_open(struct uplink_bench *bench, struct wr_uplink_runner_config *config, int64_t committed,
                                                 struct wr_error *err);
void uplink_bench_open(struct uplink_bench *bench, struct wr_uplink_runner_config *config, int64_t committed);
/* Plays the store for one request; false: none came before the deadline. */
bool uplink_bench_turn(struct uplink_bench *bench, int64_t deadline_boot_ns);
/* Plays the store until `done` segments are booked. */
void uplink_bench_serve(struct uplink_bench *bench, unsigned done);
/* Stops it, and looks whether an event was lost. */
void uplink_bench_close(struct uplink_bench *bench);

/* Reads the subscriber until each of 1 to n has come from this node. */
void uplink_bench_has_arrived(struct wr_test_subscriber *subscriber, const char *node, int64_t n);

#endif
