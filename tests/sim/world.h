/* The world of the simulation: one node after the other on one disk, a plant that makes readings, a link and a receiver, and what goes wrong.
 *
 * Everything that happens is a timer on one virtual clock; of several that are due at the same moment one is drawn by lot. All lots come from the seed, so a seed
 * replays exactly: the hash over all events says whether it did.
 *
 * What is checked, at every start of a node, at every audit, and at the end:
 *   W1  the ledger balances, account by account, whenever `weir audit` would be asked
 *   W2  what the store holds to be acknowledged is at the receiver, under its key, with the same body
 *   W3  a segment that was committed is never gone, but acknowledged, booked as evicted, or merged into another
 *   W4  what a commit booked is never gone, whether the process is killed, the power is cut, or the disk fails
 *   W5  at the end, the link up again: everything is delivered, and what the receiver has is what the ledger says was delivered, to the reading
 *   W6  the same key never has two bodies (receiver.h)
 *   W7  no loop spins: one that receives nothing wants to run later, not at once
 *   W8  at every ledger record that came, what arrived, what the node says it holds and what it says is lost is all that it stored (central.h)
 *
 * Threads: one. A finding ends the process (check.h).
 */
#ifndef WEIR_TESTS_SIM_WORLD_H
#define WEIR_TESTS_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

enum sim_plant {
    SIM_PLANT_NONE,
    SIM_PLANT_EARLY_ACK, /* acknowledged before the broker has it */
    SIM_PLANT_LOST_SYNC, /* a disk that says yes to a sync and does nothing, each third time */
    SIM_PLANTS,
};

struct sim_options {
    uint64_t seed;
    double days;
    enum sim_plant plant;
    bool trace; /* every event on stdout */
};

struct sim_outcome {
    uint64_t hash; /* over all events */
    uint64_t events;
    uint64_t given;     /* readings */
    uint64_t delivered; /* readings, counted once in each window that takes them */
    uint64_t crash;     /* of these, booked as dropped(crash) */
    uint64_t evicted;
    uint64_t merged;
    uint64_t unbooked; /* readings that kills took before they were booked */
    uint64_t segments;
    uint64_t twice;
    unsigned kills;
    unsigned cuts;     /* of the power */
    unsigned refusals; /* times that the disk began to fail */
    unsigned stops;
    unsigned reloads;
    unsigned outages;
    unsigned audits;
};

void sim_run(const struct sim_options *options, struct sim_outcome *ret_outcome);

#endif
