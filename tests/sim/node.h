/* A node of the simulation: the agent's engine, store and uplink, turn by turn on one thread, on the clock that it is given.
 *
 * These are the agent's own loops and all that is below them, with SQLite on a disk in memory (tests/support/fault_vfs.h); what is not there: sources (batches are put into the channel),
 * the carrying out of actions, paho and TLS (wr_session_ops is the receiver's). A node is one life of the process: it ends by a clean stop, by a kill or by a power
 * cut, and the next one begins with what the disk kept.
 *
 * Threads: one. Ownership: disk, directory and clock are the caller's and outlive it. Failures of what the agent could not start without fail the test.
 */
#ifndef WEIR_TESTS_SIM_NODE_H
#define WEIR_TESTS_SIM_NODE_H

#include "agent/control/audit.h"
#include "agent/loops/accounts.h"
#include "agent/loops/engine_loop.h"
#include "agent/loops/store_loop.h"
#include "core/clock.h"
#include "tests/support/fault_vfs.h"
#include "transport/uplink_runner.h"

#define SIM_SERIES 6
#define SIM_DOOR (SIM_SERIES - 1) /* the one whose changes are forwarded */
#define SIM_LAYOUTS 3             /* of windows; a reload goes from one to another */

enum sim_loop { SIM_ENGINE, SIM_STORE, SIM_UPLINK, SIM_LOOPS };

struct sim_node_options {
    const char *directory; /* a real one, empty: for what the store asks of the file system beside SQLite */
    struct wr_fault_vfs *disk;
    const struct wr_clock *clock;
    const struct wr_session_ops *ops;
    void *session;
    uint64_t epoch; /* of a fresh store */
    uint64_t budget_bytes;
    int64_t max_loss_ns;
    int64_t window_ns;
    uint32_t uplink_window;
    uint32_t layout;
};

struct sim_node;

/* The process starts: all of it is made; the store opens with its first step. */
struct sim_node *sim_node_new(const struct sim_node_options *options);
/* The process is killed (WR_FAULT_ALL), or the machine loses its power: the disk keeps of what was not synced what `kept` says. */
void sim_node_kill(struct sim_node *node, enum wr_fault_kept kept);
/* After a clean stop: sim_node_stopped. */
void sim_node_free(struct sim_node *node);

/* One turn of a loop: tries to receive, and takes the turn. *ret_due: when it wants to run again. True: it received something, so there may be more. */
bool sim_node_step(struct sim_node *node, enum sim_loop loop, int64_t *ret_due);
/* Goes up when something is put into a channel that the loop receives from. */
uint64_t sim_node_inputs(const struct sim_node *node, enum sim_loop loop);
/* It takes no turns: it has ended, or is not there. */
bool sim_node_ended(const struct sim_node *node, enum sim_loop loop);

/* Between the store's first step and all others: what it restored is given to the engine. */
void sim_node_restore(struct sim_node *node);
/* n readings of these series, with their event times and values; false: no batch is free, nothing was taken. Counted as received by the node. */
struct sim_reading {
    uint32_t series;
    int64_t event_ns;
    double value;
};
bool sim_node_give(struct sim_node *node, const struct sim_reading *readings, uint32_t n);

/* What takes more than one step; call go_on after every step. */
void sim_node_go_on(struct sim_node *node);
/* A clean stop, part by part in the agent's order, until sim_node_stopped. */
void sim_node_begin_stop(struct sim_node *node);
bool sim_node_stopped(const struct sim_node *node);
/* A reload to another layout of windows: the accounts to the store, then the exchange to the engine. False: the store takes no request now. */
bool sim_node_begin_reload(struct sim_node *node, uint32_t layout);
bool sim_node_reloading(const struct sim_node *node);
/* Another uplink in place of this one, as a reload makes it. The old one is stopped at once. */
void sim_node_renew_uplink(struct sim_node *node);

/* The audit that `weir audit` asks for, posted; then looked for: WR_EMPTY while it is under way, WR_BUSY: the store takes nothing now. */
bool sim_node_begin_audit(struct sim_node *node);
enum wr_result sim_node_look_for_audit(struct sim_node *node, struct wr_audit *ret_audit);
bool sim_node_auditing(const struct sim_node *node);

struct wr_store *sim_node_store(struct sim_node *node);
/* What opening the store found. */
const struct wr_store_report *sim_node_report(const struct sim_node *node);
/* NULL: there is no uplink now. */
struct wr_channel *sim_node_events(struct sim_node *node);
/* Takes what the actions were sent; returns how many transitions. */
uint32_t sim_node_take_actions(struct sim_node *node);
/* All that the sources of this life counted. */
uint64_t sim_node_received(const struct sim_node *node);
/* Up to when (boot time) the counts are complete that the store has taken; commits of the ledger so far. */
int64_t sim_node_counted(const struct sim_node *node);
uint64_t sim_node_commits(const struct sim_node *node);
uint32_t sim_node_layout(const struct sim_node *node);

#endif
