/* The far side of the simulation: a link with moods, a broker that acknowledges what it has, and a receiver that keeps every key.
 *
 * It is the session of the node (wr_session_ops) and all that is behind it. A publish is on its way for a while, then it is there: its key is kept with a hash of
 * its body and the number of its readings; its PUBACK is on its way for a while again. A link that goes down takes along what is on its way, in both directions.
 * The same key with another body is a finding at once.
 *
 * Threads: one. Units: ns of the clock given.
 */
#ifndef WEIR_TESTS_SIM_RECEIVER_H
#define WEIR_TESTS_SIM_RECEIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/channel.h"
#include "core/clock.h"
#include "core/segment.h"
#include "tests/sim/central.h"
#include "tests/support/random.h"
#include "transport/session.h"

enum sim_link {
    SIM_LINK_UP,
    SIM_LINK_DOWN, /* connections fail; the one there is ends some time later */
    SIM_LINK_HOLE, /* everything is swallowed, and nobody says so */
};

struct sim_receiver;

struct sim_receiver_counts {
    uint64_t segments; /* distinct */
    uint64_t twice;
    uint64_t readings; /* in distinct segments of aggregates */
    uint64_t alarms;   /* records of distinct segments of alarms */
    uint64_t refused;
};

struct sim_receiver *sim_receiver_new(const struct wr_clock *clock, struct wr_random *dice);
void sim_receiver_free(struct sim_receiver *receiver);

const struct wr_session_ops *sim_receiver_ops(void);
/* Where events go: of the node that lives now. NULL: there is none; what is on its way to it is gone, what is on its way from it may still arrive. */
void sim_receiver_attach(struct sim_receiver *receiver, struct wr_channel *events);
void sim_receiver_link(struct sim_receiver *receiver, enum sim_link link);

/* When something arrives next; WR_NEVER_NS. */
int64_t sim_receiver_due(const struct sim_receiver *receiver);
void sim_receiver_step(struct sim_receiver *receiver);

/* 0: the key never came; else the hash of its body. */
uint64_t sim_receiver_has(const struct sim_receiver *receiver, uint64_t epoch, int64_t seq);
uint64_t sim_receiver_hash(const void *body, size_t len);
/* Readings in a segment of aggregates, 0 in others. */
uint64_t sim_receiver_readings(struct sim_receiver *receiver, const void *body, size_t len);
/* What can be known of the node by what arrived: tests/sim/central.h. */
const struct sim_central *sim_receiver_central(const struct sim_receiver *receiver);
const struct sim_receiver_counts *sim_receiver_counts(const struct sim_receiver *receiver);

/* Plants a bug: the node's side says DELIVERED as soon as it was asked to publish. */
void sim_receiver_plant_early_ack(struct sim_receiver *receiver);

#endif
