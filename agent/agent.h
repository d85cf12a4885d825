/* The running agent: all parts and who owns them.
 *
 * The boot order is the list in agent/pipeline.c; a stop walks it backwards. Everything here belongs to the main thread; other threads have
 * what they were given at their start. Immutable after the start: config sections node, store, control, log. Exchanged by a reload
 * (agent/reload.c): config, sources, windows, rules, uplink, http.
 */
#ifndef WEIR_AGENT_AGENT_H
#define WEIR_AGENT_AGENT_H

#include <stdbool.h>

#include "agent/actions/actions.h"
#include "agent/config/config.h"
#include "agent/control/control_server.h"
#include "agent/control/desk.h"
#include "agent/control/remote_desk.h"
#include "agent/http/http_server.h"
#include "agent/loops/accounts.h"
#include "agent/loops/engine_loop.h"
#include "agent/loops/store_loop.h"
#include "agent/loops/uplink.h"
#include "agent/remote/rollout.h"
#include "agent/shadow.h"
#include "agent/sources/source.h"
#include "core/batch.h"
#include "core/metrics.h"
#include "core/scheduler_loop.h"
#include "rules/compile/ruleset.h"

struct event_base;
struct event;

#define WR_AGENT_HANDOVERS 48                    /* all windows of 12 k series may close at once without being widened */
#define WR_AGENT_STORE_WAIT_NS (2 * WR_NS_PER_S) /* a start waits so long for the store, then goes on without */
#define WR_AGENT_REQUEST_NS (5 * WR_NS_PER_S)

/* A source in its slot. Slots do not move: the slot's number stands in batches and in the engine. */
struct wr_agent_source {
    const struct wr_config_source *config; /* NULL: free slot */
    struct wr_source *source;
    struct wr_batch_pool pool;
    struct wr_channel *batches;
    struct wr_intake_counters counters;
    _Atomic bool started;
};

struct wr_agent {
    struct wr_config *config;             /* the present one */
    const struct wr_config *first_config; /* node, store and control: they need a restart to change */
    const struct wr_config *uplink_config;
    const struct wr_config *engine_config;                /* the engine points to its windows */
    struct wr_config *retired[WR_CONFIG_SOURCES_MAX + 4]; /* former ones that something unchanged still points into */
    unsigned n_retired;
    _Atomic uint64_t running; /* wr_running_hash of config and rules */
    const struct wr_clock *clock;
    struct wr_metrics *metrics;
    struct wr_series_table *series;
    struct wr_symbol_table *symbols;
    struct wr_accounts accounts;
    uint32_t *account_map; /* of the present engine */
    struct wr_agent_source sources[WR_CONFIG_SOURCES_MAX];
    uint32_t n_slots;

    struct wr_pool *workers; /* for work that blocks */
    struct wr_scheduler_loop *scheduler;
    struct wr_ruleset *rules;
    struct wr_store_loop store;
    struct wr_uplink_link *uplink;
    struct wr_certificates *certificates;
    struct wr_wire_bytes wire_before; /* under lock: what former uplinks have cost */
    pthread_mutex_t lock; /* what a reload exchanges while the control thread looks at it: uplink, sources, accounts, config, http */
    struct wr_actions actions;
    struct wr_engine_loop engine;
    struct wr_control_server *control;
    struct wr_http_server *http;
    struct wr_http_gate http_gate;
    struct wr_http_gate desk_gate;
    struct wr_desk *desk;          /* NULL: no commands over HTTP */
    struct wr_remote_desk *remote; /* NULL: none over MQTT */
    struct wr_remote_counters remote_counters;
    struct wr_rollout rollout; /* of the remote desk's thread; outlives the desk */
    bool rollout_open;
    struct wr_agent_shadow shadow;
    struct event_base *base;
    struct event *signals[4];
    struct event *restore_timer;
    bool restored;
    bool without_store; /* the store's metrics are there, its alarms are not yet */
    bool stopping;
    _Atomic bool ready;
    _Atomic uint64_t reloads;
    _Atomic uint64_t reload_failures;
    _Atomic uint64_t reload_asked; /* tickets of those who wait for a reload */
    uint64_t reload_served;        /* under lock, with what became of it */
    struct wr_error reload_outcome;
    int64_t started_boot_ns;
};

/* Starts everything in order, runs until SIGTERM or SIGINT, stops everything in reverse. Returns an exit code of agent/commands. */
int wr_agent_run(struct wr_config *config, struct wr_ruleset *rules);

/* -- what the files of the agent share ------------------------------------------------------------------------------------------------- */

/* The pool and its scheduler: threads that live as long as all other parts. */
WR_MUST_USE enum wr_result wr_agent_workers_start(struct wr_agent *agent, struct wr_error *err);
/* WR_TIMEOUT: err names what still runs and uses memory of other parts. */
WR_MUST_USE enum wr_result wr_agent_workers_stop(struct wr_agent *agent, int64_t deadline_boot_ns, struct wr_error *err);
size_t wr_agent_workers_bytes(const struct wr_config_limits *limits);

/* One source of a config, which it points into from now on: its pool, channel and thread. */
WR_MUST_USE enum wr_result wr_agent_source_open(struct wr_agent *agent, uint32_t slot, const struct wr_config *config, uint32_t index,
                                                struct wr_error *err);
WR_MUST_USE enum wr_result wr_agent_source_start(struct wr_agent *agent, uint32_t slot, struct wr_error *err);
/* Stops taking and hands over what was read; the channel stays open. */
void wr_agent_source_halt(struct wr_agent *agent, uint32_t slot, int64_t deadline_boot_ns);
/* After a halt: a new source in place of the old one, with the same batches, channel and counters. A replay begins anew. */
WR_MUST_USE enum wr_result wr_agent_source_restart(struct wr_agent *agent, uint32_t slot, struct wr_error *err);
/* Halts, and closes the channel: nothing more will come. The engine still may hold its batches. */
void wr_agent_source_stop(struct wr_agent *agent, uint32_t slot, int64_t deadline_boot_ns);
/* Frees it; every batch must be back. */
void wr_agent_source_close(struct wr_agent *agent, uint32_t slot);

/* An engine for this config. Its accounts and lengths stay in agent->accounts, also where it is not used: put back what was there. */
WR_MUST_USE enum wr_result wr_agent_make_engine(struct wr_agent *agent, const struct wr_config *config, struct wr_evaluator *evaluator,
                                                struct wr_engine **ret_engine, uint32_t **ret_map, struct wr_error *err);

/* Room for the counts of an engine, of the sources' intake, and of n_base accounts of former engines. */
uint32_t wr_agent_max_counts(uint32_t n_slots, uint32_t n_windows, uint32_t n_base);

/* Frees former configs into which nothing points any more, or all. */
void wr_agent_retire_configs(struct wr_agent *agent, bool all);

/* The HTTP server of a config, which need not outlive the call. WR_OK also when there is none. */
WR_MUST_USE enum wr_result wr_agent_http_start(struct wr_agent *agent, const struct wr_config *config, struct wr_error *err);
/* None is fine. */
void wr_agent_http_stop(struct wr_agent *agent, int64_t deadline_boot_ns);

/* Commands over MQTT, if the config has them and its uplink runs. It need not outlive the call. */
WR_MUST_USE enum wr_result wr_agent_remote_start(struct wr_agent *agent, const struct wr_config *config, struct wr_error *err);
/* Before the uplink. None is fine. */
void wr_agent_remote_stop(struct wr_agent *agent);

/* All that the config says of it; the boot id is not there. */
struct wr_store_options wr_agent_store_options(const struct wr_config *config);

/* Metrics of all parts. */
WR_MUST_USE enum wr_result wr_agent_metrics(struct wr_agent *agent);
WR_MUST_USE enum wr_result wr_agent_metrics_of_source(struct wr_agent *agent, uint32_t slot);
WR_MUST_USE enum wr_result wr_agent_metrics_of_input(struct wr_agent *agent, uint32_t slot);
WR_MUST_USE enum wr_result wr_agent_metrics_inside(struct wr_agent *agent);
/* Of the store's limits, once it is open or unusable. */
WR_MUST_USE enum wr_result wr_agent_metrics_limits(struct wr_agent *agent);

/* The handler of the control socket. */
wr_control_handler wr_agent_control;
bool wr_agent_is_healthy(void *agent, struct wr_buf *why);
bool wr_agent_is_ready(void *agent, struct wr_buf *why);

#endif
