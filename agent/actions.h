/* Actions: what happens when an alarm makes a transition: a log line, a program, a publish.
 *
 * Promise: local actions (log, exec) run at once, without network or disk. Network actions (mqtt) wait for the journal at most 50 ms and then
 * go, marked `journalled: false`. To begin a program may take a while, or hang; so that no other alarm waits for it, that is done by a small pool
 * of the actions' own: no source that polls can stand in its way. A rule without `then` is logged when it is raised, cleared or acknowledged. Historic alarms drive nothing.
 * An action that fails is logged and counted; it never holds up another.
 *
 * Threads: one of its own, fed by a channel of struct wr_alarm_entry, and those that start programs; the rule set is exchanged by wr_actions_use, from any thread.
 * Ownership: the rule set belongs to the caller and must live until another one is in use. Caller's memory.
 */
#ifndef WEIR_AGENT_ACTIONS_H
#define WEIR_AGENT_ACTIONS_H

#include <pthread.h>
#include <stdatomic.h>

#include "agent/children.h"
#include "core/alarm.h"
#include "core/channel.h"
#include "core/clock.h"
#include "core/metrics.h"
#include "core/pool.h"
#include "rules/ruleset.h"
#include "transport/uplink_messages.h"

#define WR_ACTIONS_CAPACITY 1024
#define WR_ACTIONS_PENDING 64 /* publishes that wait for the journal; beyond that they go without */
#define WR_ACTIONS_STARTERS 4 /* threads at most that start programs */
#define WR_ACTIONS_JOURNAL_WAIT_NS (50 * WR_NS_PER_MS)

/* A publish that waits for its transition to be on disk. */
struct wr_actions_pending {
    struct wr_alarm alarm;
    uint64_t number;
    int64_t deadline_boot_ns;
    char topic[WR_UPLINK_TOPIC_BYTES];
    uint8_t qos;
    bool retain;
};

struct wr_actions {
    /* Set by the agent before the start. */
    const struct wr_clock *clock;
    const char *site; /* for topics */
    const char *node;
    /* Whether the transition is on disk; NULL: there is no journal to wait for. */
    bool (*journalled)(void *user, uint64_t number);
    void *journalled_user;

    /* Made by init. */
    struct wr_channel *transitions; /* struct wr_alarm_entry */

    _Atomic uint64_t logged;
    _Atomic uint64_t programs_started;
    _Atomic uint64_t programs_failed;
    _Atomic uint64_t programs_killed;
    _Atomic uint64_t published;
    _Atomic uint64_t failed;
    _Atomic uint64_t unjournalled; /* publishes that did not wait any longer */
    struct wr_histogram latency;   /* arrival of the reading to just before the first action */

    pthread_mutex_t lock; /* guards rules and publish: held while one transition is worked on, never while waiting */
    struct wr_ruleset *rules;
    struct wr_channel *publish; /* struct wr_uplink_direct, or NULL: no uplink */
    struct wr_children children;
    struct wr_pool *starters; /* made with the first program */
    _Atomic unsigned starting; /* programs on their way through it */
    struct wr_actions_pending *pending;
    unsigned n_pending;
    uint64_t direct_id;
    pthread_t thread;
};

/* Upper bound of its memory but for the stacks of the threads that start programs, WR_ACTIONS_STARTERS at most. */
size_t wr_actions_bytes(void);

WR_MUST_USE enum wr_result wr_actions_init(struct wr_actions *actions, struct wr_error *err);
WR_MUST_USE enum wr_result wr_actions_start(struct wr_actions *actions, struct wr_error *err);
/* Closes the channel, works off what is in it, joins. */
WR_MUST_USE enum wr_result wr_actions_stop(struct wr_actions *actions, int64_t deadline_boot_ns);
void wr_actions_fini(struct wr_actions *actions);

/* From the next transition on. When it returns, the former rule set is in use no more. */
void wr_actions_use(struct wr_actions *actions, struct wr_ruleset *rules);
/* Where mqtt actions go; NULL: there is no uplink now. */
void wr_actions_publish_to(struct wr_actions *actions, struct wr_channel *publish);

#endif
