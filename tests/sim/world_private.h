/* What world.c (what happens) and world_check.c (what must be true) share. */
#ifndef WEIR_TESTS_SIM_WORLD_PRIVATE_H
#define WEIR_TESTS_SIM_WORLD_PRIVATE_H

#include "core/clock.h"
#include "tests/sim/node.h"
#include "tests/sim/receiver.h"
#include "tests/sim/world.h"
#include "tests/support/random.h"

/* The loops' timers come first: enum sim_loop. */
enum { TIMER_PLANT = SIM_LOOPS, TIMER_RECEIVER, TIMER_LINK, TIMER_TROUBLE, TIMER_AUDIT, TIMER_DISK, TIMER_START, TIMERS };

struct sim_timer {
    int64_t at_ns;
    uint64_t tie;
};

/* So many readings were given up to then: for what a kill may take. */
struct sim_given {
    int64_t at_ns;
    uint64_t given;
};

struct sim_seen {
    uint64_t hash; /* 0: not seen in the store */
    uint64_t readings;
    uint64_t looked_at; /* in which life */
    bool is_gone;       /* known since a former check */
};

#define SIM_GIVEN 4096

struct sim_world {
    struct sim_options options;
    struct wr_random dice;
    struct wr_clock_virtual clock;
    char directory[64];
    struct wr_fault_vfs *disk;
    struct sim_receiver *receiver;
    struct sim_node *node; /* NULL: the machine is off */
    struct sim_timer timers[TIMERS];
    bool awake[SIM_LOOPS];
    unsigned idle[SIM_LOOPS]; /* turns in a row that received nothing and want to run again at once */
    uint64_t seen[SIM_LOOPS]; /* inputs at the last turn */
    uint64_t lives;
    bool stopping;
    bool disk_fails;
    bool rests; /* the plant: no more readings */
    enum sim_link link;
    int64_t killed_ns; /* WR_NEVER_NS: the last life ended by a clean stop, or there was none */

    uint64_t budget_bytes;
    int64_t max_loss_ns;
    int64_t window_ns;
    uint32_t uplink_window;
    int64_t every_ns;
    int64_t up_ns;
    int64_t down_ns;
    int64_t trouble_ns;
    uint32_t layout;

    uint64_t given;                   /* readings, over all lives */
    uint64_t commits;                 /* of the ledger, in this life */
    int64_t counted_ns;               /* all that was given up to then is in one of them */
    struct sim_given past[SIM_GIVEN]; /* a ring */
    uint64_t n_past;
    struct sim_seen *segments; /* by seq, of the epoch below */
    int64_t n_segments;
    uint64_t epoch;
    uint64_t evicted; /* at the last check */
    uint64_t delivered;

    struct sim_outcome outcome;
};

void sim_world_remember(struct sim_world *world, uint32_t n);
void sim_world_forget(struct sim_world *world);
/* The store has opened, nothing else has run. */
void sim_world_check_start(struct sim_world *world);
void sim_world_check_audit(struct sim_world *world, struct wr_audit *audit);
bool sim_world_all_is_delivered(struct sim_world *world);
/* The store has opened for the last time. */
void sim_world_check_end(struct sim_world *world);

#endif
