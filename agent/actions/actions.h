/* Actions: what happens when an alarm makes a transition: a log line, a program, a publish, a web server that is called, a line in a file.
 *
 * Promise: one thread decides what is to be done, at once, and never waits. Each place that actions go to (a host, a program, a directory, the
 * broker) has a queue of its own (agent/actions/action_queue.h) and does its work elsewhere: none holds up another. Local actions need neither network
 * nor disk; those that go out (mqtt, webhook) wait for the journal at most 50 ms and then go, marked `journalled: false`. To begin a program may
 * take a while, or hang: that is done by a small pool of the actions' own, so that no source that polls can stand in its way; another pool sends and writes.
 * What cannot be done after all its tries is a dead letter: one line in the log, one record in the journal, one count. Repeats are dropped
 * first, a raise never while something less waits.
 * A rule without `then` is logged when it is raised, cleared or acknowledged. Historic alarms drive nothing; silenced ones (wr_alarm_is_annunciated)
 * only state topics, which keep what is, and what asks for the moment of the suppression itself.
 *
 * Threads: one of its own, fed by a channel of struct wr_alarm_entry from one sender, and those of its pools; wr_actions_use is for that sender, or before the start.
 * Ownership: the rule set belongs to the caller and must live until wr_actions_await_use after another one. Caller's memory.
 */
#ifndef WEIR_AGENT_ACTIONS_ACTIONS_H
#define WEIR_AGENT_ACTIONS_ACTIONS_H

#include <pthread.h>
#include <stdatomic.h>

#include "agent/actions/action_delay.h"
#include "agent/actions/action_job.h"
#include "agent/actions/children.h"
#include "core/alarm.h"
#include "core/channel.h"
#include "core/clock.h"
#include "core/metrics.h"
#include "core/pool.h"
#include "rules/compile/ruleset.h"
#include "transport/tls.h"
#include "transport/uplink_messages.h"

#define WR_ACTIONS_CAPACITY 1024
#define WR_ACTIONS_QUEUE 128  /* actions that wait for one target */
#define WR_ACTIONS_TARGETS 64 /* twice what a rule set may have: those of the former one may still be at work */
#define WR_ACTIONS_STARTERS 4 /* threads at most that start programs */
#define WR_ACTIONS_SENDERS 32 /* threads at most that send and write: one a target */
#define WR_ACTIONS_JOURNAL_WAIT_NS (50 * WR_NS_PER_MS)
#define WR_ACTIONS_DRAIN_NS (1 * WR_NS_PER_S) /* what a stop gives to actions under way */

/* Counted for each kind of action. */
struct wr_action_counters {
    _Atomic uint64_t queued; /* now */
    _Atomic uint64_t done;
    _Atomic uint64_t retried; /* tries that failed and were not the last */
    _Atomic uint64_t dead;
    _Atomic uint64_t repeats;    /* dropped, as states are that a newer one replaced */
    struct wr_histogram latency; /* from the decision to the end of the try that worked */
};

/* A place that actions go to. */
struct wr_action_target {
    char *name; /* NULL: free */
    struct wr_action_queue queue;
    struct wr_tls *tls;        /* of webhooks: credentials and session tickets */
    bool complained;           /* a failure was logged, and nothing has worked since */
    _Atomic uint32_t starting; /* programs whose start has not come back yet */
};

/* What comes back from the pools, the children and the uplink. */
struct wr_action_result {
    struct wr_action_job *job; /* NULL: of a publish, known by its number */
    uint64_t published;
    struct wr_action_end end;
};

struct wr_actions {
    /* Set by the agent before the start. */
    const struct wr_clock *clock;
    struct wr_action_place place;
    /* Whether the transition is on disk; NULL: there is no journal to wait for. */
    bool (*journalled)(void *user, uint64_t number);
    void *journalled_user;
    struct wr_channel *journal; /* struct wr_alarm_entry, for dead letters; NULL: they are only logged */

    /* Made by init. */
    struct wr_channel *transitions; /* struct wr_alarm_entry; with cause 0: an alarm as it was before a restart */
    struct wr_channel *results;     /* struct wr_action_result */

    struct wr_action_counters kinds[WR_ACTION_KINDS];
    _Atomic uint64_t delayed;  /* now */
    _Atomic uint64_t needless; /* delayed ones, that the alarm's end or acknowledgement came before */
    _Atomic uint64_t logged;
    _Atomic uint64_t programs_started;
    _Atomic uint64_t programs_failed;
    _Atomic uint64_t programs_killed;
    _Atomic uint64_t published;
    _Atomic uint64_t failed;       /* dead letters of all kinds */
    _Atomic uint64_t unjournalled; /* actions that did not wait for the journal any longer */
    struct wr_histogram latency;   /* arrival of the reading to just before the first action */

    pthread_mutex_t lock; /* guards what follows: held while one transition is worked on, never while waiting */
    pthread_cond_t exchanged;
    struct wr_ruleset *rules;
    struct wr_ruleset *next_rules;   /* NULL: rules are for all that comes */
    uint64_t next_from;              /* for what comes behind so many transitions */
    uint64_t taken;                  /* so many were worked on */
    struct wr_channel *publish;      /* struct wr_uplink_direct, or NULL: no uplink */
    bool published_anew;             /* another uplink: what the former one had is lost */
    int64_t no_uplink_since_boot_ns; /* 0: there is one, or nothing waits for it */

    /* The thread's own. */
    struct wr_action_delay delay;
    struct wr_action_target targets[WR_ACTIONS_TARGETS];
    struct wr_children children;
    struct wr_pool *starters; /* made with the first program */
    struct wr_pool *senders;  /* made with the first webhook or file */
    int cancel_fd;            /* readable: what is sent is given up */
    uint32_t programs;        /* started or running */
    uint32_t sending;         /* on the pool */
    uint64_t direct_id;
    _Atomic int64_t drain_until_boot_ns; /* set by a stop */
    pthread_t thread;
};

/* Upper bound of its memory with this rule set (NULL: none) but for the stacks of the threads, *ret_threads at most. */
size_t wr_actions_bytes(const struct wr_ruleset *rules, unsigned *ret_threads);

WR_MUST_USE enum wr_result wr_actions_init(struct wr_actions *actions, struct wr_error *err);
WR_MUST_USE enum wr_result wr_actions_start(struct wr_actions *actions, struct wr_error *err);
/* Closes the channel, works off what is in it, gives what is under way WR_ACTIONS_DRAIN_NS, joins. The rest is dead letters. */
WR_MUST_USE enum wr_result wr_actions_stop(struct wr_actions *actions, int64_t deadline_boot_ns);
void wr_actions_fini(struct wr_actions *actions);

/* Another rule set, for what is sent behind the first `from` transitions ever sent, those of alarms that were there before a restart counted: each
 * transition finds the rules that made it, wherever it is on its way. One exchange at a time. */
void wr_actions_use(struct wr_actions *actions, struct wr_ruleset *rules, uint64_t from);
/* Waits until that is so: then the former rule set is in use no more. Any thread; the actions' own must run, or nothing may be under way to it. Without a deadline: that thread
 * waits for nobody, and what it may still use cannot be freed. */
void wr_actions_await_use(struct wr_actions *actions);
/* Where mqtt actions go; NULL: there is no uplink now. */
void wr_actions_publish_to(struct wr_actions *actions, struct wr_channel *publish);
/* The uplink has delivered, or given up, a publish. Any thread. */
void wr_actions_published(void *actions, uint64_t id, bool delivered);

#endif
