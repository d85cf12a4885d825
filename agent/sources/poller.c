#include "agent/sources/poller.h"

/* FNV-1a (Fowler, Noll, Vo), and a last mixing: names that differ in one letter are to be far apart. */
static uint64_t hash_of(const char *name) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
    hash = (hash ^ hash >> 33) * UINT64_C(0xff51afd7ed558ccd);
    return hash ^ hash >> 33;
}

int64_t wr_poller_first_ns(const char *name, int64_t every_ns, int64_t now_boot_ns) {
    const int64_t spread_ns = every_ns < WR_POLLER_SPREAD_NS ? every_ns : WR_POLLER_SPREAD_NS;
    return wr_clock_add_ns(now_boot_ns, (int64_t)(hash_of(name) % (uint64_t)spread_ns));
}

static void run(struct wr_context *context, void *user) {
    struct wr_poller *poller = user;
    struct wr_intake_counters *counters = poller->env->counters;
    const uint64_t missed = poller->task.entry.missed;
    atomic_fetch_add_explicit(&counters->rounds_skipped, missed - poller->missed, memory_order_relaxed);
    poller->missed = missed;
    if (!wr_intake_ready(poller->intake)) {
        atomic_fetch_add_explicit(&counters->rounds_skipped, 1, memory_order_relaxed);
        return;
    }
    atomic_fetch_add_explicit(&counters->rounds, 1, memory_order_relaxed);
    poller->round(context, poller->user);
    wr_intake_hand_over(poller->intake);
}

enum wr_result wr_poller_start(struct wr_poller *poller, struct wr_intake *intake, int64_t timeout_ns,
                               void (*round)(struct wr_context *context, void *user), void *user, struct wr_error *err) {
    const struct wr_config_source *config = intake->env->config;
    *poller = (struct wr_poller){.env = intake->env, .intake = intake, .round = round, .user = user};
    poller->task.plan = (struct wr_scheduler_plan){
        .name = config->name,
        .first_boot_ns = wr_poller_first_ns(config->name, config->every_ns, wr_clock_boot_ns(wr_clock_real())),
        .every_ns = config->every_ns,
        .missed = WR_SCHEDULER_SKIP,
    };
    poller->task.run = run;
    poller->task.user = poller;
    poller->task.timeout_ns = timeout_ns;
    return wr_scheduler_loop_add(intake->env->scheduler, &poller->task, err);
}

enum wr_result wr_poller_stop(struct wr_poller *poller, int64_t deadline_boot_ns) {
    return wr_scheduler_loop_remove(&poller->task, deadline_boot_ns);
}
