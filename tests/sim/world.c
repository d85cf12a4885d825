#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/store.h"
#include "tests/sim/check.h"
#include "tests/sim/node.h"
#include "tests/sim/receiver.h"
#include "tests/sim/world_private.h"
#include "tests/support/random.h"

#define DAY_NS (24 * HOUR_NS)
#define HOUR_NS (3600 * WR_NS_PER_S)
#define MINUTE_NS (60 * WR_NS_PER_S)
#define BEGIN_WALL_NS (INT64_C(1772000000) * WR_NS_PER_S)
/* In a row, without having received anything: more is a loop that spins. The check after an unclean stop takes 16 segments a turn. */
#define IDLE_TURNS 10000
#define STEPS_AT_ONCE 100000 /* of one moment: more is a loop that does not wait */

static const struct sim_world *present; /* for sim_found */

void sim_found(const char *format, ...) {
    va_list args;
    va_start(args, format);
    const int64_t at = present ? wr_clock_boot_ns(&present->clock.clock) : 0;
    printf("FOUND seed=%" PRIu64 " after %.6f days, event %" PRIu64 ": ", present ? present->options.seed : 0, (double)at / (double)DAY_NS,
           present ? present->outcome.events : 0);
    vprintf(format, args);
    printf("\n");
    fflush(stdout);
    if (present)
        (void)rmdir(present->directory);
    _Exit(1);
}

/* -- lots and timers ---------------------------------------------------------------------------------------------------------------------- */

static bool one_in(struct sim_world *world, uint64_t n) {
    return wr_random_below(&world->dice, n) == 0;
}

static int64_t between(struct sim_world *world, int64_t least, int64_t most) {
    return least + (int64_t)wr_random_below(&world->dice, (uint64_t)(most - least + 1));
}

static int64_t now_of(const struct sim_world *world) {
    return wr_clock_boot_ns(&world->clock.clock);
}

static void set(struct sim_world *world, unsigned timer, int64_t at_ns) {
    world->timers[timer] = (struct sim_timer){.at_ns = at_ns, .tie = wr_random_u64(&world->dice)};
}

static void set_in(struct sim_world *world, unsigned timer, int64_t least, int64_t most) {
    set(world, timer, wr_clock_add_ns(now_of(world), between(world, least, most)));
}

static unsigned earliest(const struct sim_world *world) {
    unsigned first = 0;
    for (unsigned i = 1; i < TIMERS; i++) {
        const struct sim_timer *timer = &world->timers[i], *best = &world->timers[first];
        if (timer->at_ns < best->at_ns || (timer->at_ns == best->at_ns && timer->tie < best->tie))
            first = i;
    }
    return first;
}

static void note(struct sim_world *world, const char *what, uint64_t number) {
    const uint64_t words[] = {(uint64_t)now_of(world), sim_receiver_hash(what, strlen(what)), number};
    world->outcome.hash = (world->outcome.hash ^ sim_receiver_hash(words, sizeof words)) * UINT64_C(0x100000001B3);
    world->outcome.events++;
    if (world->options.trace)
        printf("%.9f %s %" PRIu64 "\n", (double)now_of(world) / 1e9, what, number);
}

static void mend_disk(struct sim_world *world) {
    set(world, TIMER_DISK, WR_NEVER_NS);
    wr_fault_vfs_plan(world->disk, NULL);
    world->disk_fails = false;
    note(world, "disk", 0);
}

/* The end comes in the middle of what the disk does then. */
static void cut_at_a_call(struct sim_world *world, int64_t most) {
    const struct wr_fault_plan plan = {.kind = WR_FAULT_CUT, .calls = WR_FAULT_ANY, .at = between(world, 0, most)};
    wr_fault_vfs_plan(world->disk, &plan);
    note(world, "cut at a call", (uint64_t)plan.at);
}

/* -- lives ------------------------------------------------------------------------------------------------------------------------------------ */

static void rest(struct sim_world *world) {
    sim_receiver_attach(world->receiver, NULL);
    world->node = NULL;
    for (unsigned loop = 0; loop < SIM_LOOPS; loop++)
        set(world, loop, WR_NEVER_NS);
    set(world, TIMER_PLANT, WR_NEVER_NS);
    set_in(world, TIMER_START, WR_NS_PER_S, one_in(world, 8) ? 2 * HOUR_NS : MINUTE_NS);
}

static void kill_node(struct sim_world *world) {
    world->layout = sim_node_layout(world->node);
    world->killed_ns = now_of(world);
    const enum wr_fault_kept kept = (enum wr_fault_kept)between(world, WR_FAULT_ALL, WR_FAULT_SECTORS);
    sim_node_kill(world->node, kept);
    world->stopping = false;
    if (kept == WR_FAULT_ALL)
        world->outcome.kills++;
    else
        world->outcome.cuts++;
    set(world, TIMER_DISK, WR_NEVER_NS);
    note(world, "kill", (uint64_t)kept);
    rest(world);
}

static void start(struct sim_world *world) {
    const struct sim_node_options options = {.directory = world->directory,
                                             .disk = world->disk,
                                             .clock = &world->clock.clock,
                                             .ops = sim_receiver_ops(),
                                             .session = world->receiver,
                                             .epoch = world->options.seed * 64 + ++world->lives,
                                             .budget_bytes = world->budget_bytes,
                                             .max_loss_ns = world->max_loss_ns,
                                             .window_ns = world->window_ns,
                                             .uplink_window = world->uplink_window,
                                             .layout = world->layout};
    int64_t due;
    mend_disk(world);
    if (one_in(world, 8) && !world->rests)
        cut_at_a_call(world, 400); /* in the middle of the opening */
    world->node = sim_node_new(&options);
    (void)sim_node_step(world->node, SIM_STORE, &due);
    note(world, "start", world->lives);
    if (wr_fault_vfs_is_dark(world->disk)) {
        kill_node(world);
        return;
    }
    mend_disk(world); /* the opening was not cut: what is read for the checks is not either */
    sim_world_check_start(world);
    sim_node_restore(world->node);
    for (unsigned loop = 0; loop < SIM_LOOPS; loop++) {
        world->seen[loop] = 0;
        world->awake[loop] = true;
        set_in(world, loop, 0, WR_NS_PER_MS);
    }
    if (!world->rests)
        set_in(world, TIMER_PLANT, 0, world->every_ns);
}

static void end_of_stop(struct sim_world *world) {
    world->layout = sim_node_layout(world->node);
    sim_node_free(world->node);
    world->outcome.stops++;
    world->killed_ns = world->disk_fails ? now_of(world) : WR_NEVER_NS; /* it could not say that it was clean */
    note(world, "stopped", world->given);
    rest(world);
}

/* -- turns ------------------------------------------------------------------------------------------------------------------------------------ */

/* A thread that was woken runs a little later; now and then the machine has other things to do. */
static int64_t latency(struct sim_world *world) {
    if (one_in(world, 500))
        return between(world, 0, 2 * WR_NS_PER_S);
    return between(world, 0, WR_NS_PER_MS);
}

/* Whoever sleeps and was sent something wakes up. */
static void wake(struct sim_world *world) {
    struct sim_node *node = world->node;
    for (unsigned loop = 0; loop < SIM_LOOPS; loop++) {
        const uint64_t inputs = sim_node_inputs(node, loop);
        if (sim_node_ended(node, loop)) {
            set(world, loop, WR_NEVER_NS);
            world->awake[loop] = false;
            world->seen[loop] = 0;
        } else if (!world->awake[loop] && inputs != world->seen[loop]) {
            const int64_t at_ns = now_of(world) + latency(world);
            if (at_ns < world->timers[loop].at_ns)
                set(world, loop, at_ns);
            world->awake[loop] = true;
        }
    }
}

static void step(struct sim_world *world, enum sim_loop loop) {
    int64_t due = 0;
    const uint64_t inputs = sim_node_inputs(world->node, loop);
    const int64_t counted_ns = sim_node_counted(world->node); /* a commit inside of the next handover may hold only the one before */
    const bool more = sim_node_step(world->node, loop, &due);
    if (sim_node_commits(world->node) > world->commits && counted_ns > world->counted_ns)
        world->counted_ns = counted_ns;
    world->commits = sim_node_commits(world->node);
    note(world, loop == SIM_ENGINE ? "engine" : loop == SIM_STORE ? "store" : "uplink", (uint64_t)due * 2 + more);
    world->seen[loop] = inputs;
    world->awake[loop] = more || due <= now_of(world);
    world->idle[loop] = !more && due <= now_of(world) ? world->idle[loop] + 1 : 0;
    SIM_ASSERT(world->idle[loop] < IDLE_TURNS, "loop %u spins: it receives nothing, and wants to run at %" PRId64 " ns, which is past",
               loop, due);
    if (world->awake[loop])
        set_in(world, loop, WR_NS_PER_US, 100 * WR_NS_PER_US);
    else
        set(world, loop, due);
}

/* -- the plant -------------------------------------------------------------------------------------------------------------------------------- */

static void make_readings(struct sim_world *world) {
    struct sim_reading readings[WR_BATCH_READINGS];
    const uint32_t n = (uint32_t)between(world, 1, one_in(world, 50) ? WR_BATCH_READINGS : 8);
    const int64_t wall_ns = wr_clock_wall_ns(&world->clock.clock);
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t series = (uint32_t)between(world, 0, SIM_SERIES - 1);
        const int64_t late_ns = one_in(world, 100) ? between(world, 0, 2 * MINUTE_NS) : between(world, 0, WR_NS_PER_S);
        const double value =
            series == SIM_DOOR ? (double)between(world, 0, 1) : (double)between(world, 0, one_in(world, 30) ? 1000 : 700) / 10;
        readings[i] = (struct sim_reading){.series = series, .event_ns = wall_ns - late_ns, .value = value};
    }
    if (sim_node_give(world->node, readings, n)) {
        world->given += n;
        sim_world_remember(world, n);
    }
    note(world, "plant", n);
    set_in(world, TIMER_PLANT, world->every_ns / 2, 3 * world->every_ns / 2);
}

/* -- what goes wrong ---------------------------------------------------------------------------------------------------------------------------- */

static void change_link(struct sim_world *world) {
    world->link = world->link == SIM_LINK_UP ? (one_in(world, 4) ? SIM_LINK_HOLE : SIM_LINK_DOWN) : SIM_LINK_UP;
    sim_receiver_link(world->receiver, world->link);
    world->outcome.outages += world->link != SIM_LINK_UP;
    note(world, "link", world->link);
    if (world->link == SIM_LINK_UP)
        set_in(world, TIMER_LINK, MINUTE_NS, world->up_ns);
    else
        set_in(world, TIMER_LINK, WR_NS_PER_S, one_in(world, 6) ? world->down_ns : 10 * MINUTE_NS);
}

static void stop_node(struct sim_world *world) {
    world->stopping = true;
    set(world, TIMER_PLANT, WR_NEVER_NS);
    sim_node_begin_stop(world->node);
}

/* For a while it refuses; what it refuses is drawn. */
static void fail_disk(struct sim_world *world) {
    static const enum wr_fault_kind kinds[] = {WR_FAULT_EIO, WR_FAULT_SHORT, WR_FAULT_ENOSPC, WR_FAULT_ENOMEM};
    static const unsigned calls[] = {WR_FAULT_WRITE, WR_FAULT_WRITE | WR_FAULT_SYNC, WR_FAULT_READ | WR_FAULT_WRITE};
    const struct wr_fault_plan plan = {.kind = kinds[between(world, 0, 3)],
                                       .calls = calls[between(world, 0, 2)],
                                       .at = between(world, 0, 100),
                                       .for_good = !one_in(world, 2)};
    wr_fault_vfs_plan(world->disk, &plan);
    world->disk_fails = true;
    world->outcome.refusals++;
    note(world, "disk", plan.calls * 16 + plan.kind);
    set_in(world, TIMER_DISK, WR_NS_PER_S, one_in(world, 4) ? HOUR_NS : 2 * MINUTE_NS);
}

static void go_wrong(struct sim_world *world) {
    set_in(world, TIMER_TROUBLE, WR_NS_PER_S, world->trouble_ns);
    if (!world->node || world->stopping)
        return;
    switch (between(world, 0, 6)) {
    case 0:
        kill_node(world);
        break;
    case 1:
        if (!world->disk_fails)
            cut_at_a_call(world, 200);
        break;
    case 2:
        note(world, "stop", 0);
        stop_node(world);
        break;
    case 3:
        if (!sim_node_reloading(world->node) && sim_node_begin_reload(world->node, (uint32_t)between(world, 0, SIM_LAYOUTS - 1)))
            world->outcome.reloads++;
        note(world, "reload", 0);
        break;
    case 4:
        sim_node_renew_uplink(world->node);
        note(world, "new uplink", 0);
        break;
    case 5: { /* the disk takes its time */
        const int64_t at_ns = now_of(world) + between(world, WR_NS_PER_S, one_in(world, 4) ? 10 * MINUTE_NS : MINUTE_NS);
        set(world, SIM_STORE, at_ns);
        world->awake[SIM_STORE] = true;
        note(world, "stall", (uint64_t)at_ns);
        break;
    }
    case 6:
        fail_disk(world);
        break;
    }
}

static void ask_for_audit(struct sim_world *world) {
    set_in(world, TIMER_AUDIT, MINUTE_NS, 4 * HOUR_NS);
    if (world->node && !world->stopping && !sim_node_auditing(world->node))
        (void)sim_node_begin_audit(world->node);
}

/* -- the run ---------------------------------------------------------------------------------------------------------------------------------- */

static void fire(struct sim_world *world, unsigned timer) {
    switch (timer) {
    case SIM_ENGINE:
    case SIM_STORE:
    case SIM_UPLINK:
        step(world, (enum sim_loop)timer);
        break;
    case TIMER_PLANT:
        make_readings(world);
        break;
    case TIMER_RECEIVER:
        sim_receiver_step(world->receiver);
        note(world, "receiver", sim_receiver_counts(world->receiver)->segments);
        break;
    case TIMER_LINK:
        change_link(world);
        break;
    case TIMER_TROUBLE:
        go_wrong(world);
        break;
    case TIMER_AUDIT:
        ask_for_audit(world);
        break;
    case TIMER_DISK:
        mend_disk(world);
        break;
    case TIMER_START:
        set(world, TIMER_START, WR_NEVER_NS);
        start(world);
        break;
    }
}

static void go_on(struct sim_world *world) {
    struct wr_audit audit;
    if (!world->node)
        return;
    if (wr_fault_vfs_is_dark(world->disk)) {
        kill_node(world);
        return;
    }
    sim_node_go_on(world->node);
    if (sim_node_auditing(world->node) && sim_node_look_for_audit(world->node, &audit) == WR_OK)
        sim_world_check_audit(world, &audit);
    if (world->stopping && sim_node_stopped(world->node)) {
        world->stopping = false;
        end_of_stop(world);
        return;
    }
    (void)sim_node_take_actions(world->node);
    sim_receiver_attach(world->receiver, sim_node_events(world->node));
    wake(world);
}

static void run_until(struct sim_world *world, int64_t end_ns) {
    unsigned at_once = 0;
    for (;;) {
        const int64_t due = sim_receiver_due(world->receiver);
        if (due != world->timers[TIMER_RECEIVER].at_ns)
            set(world, TIMER_RECEIVER, due);
        const unsigned timer = earliest(world);
        const int64_t ahead = world->timers[timer].at_ns - now_of(world);
        if (world->timers[timer].at_ns > end_ns) {
            if (end_ns > now_of(world))
                wr_clock_virtual_advance(&world->clock, end_ns - now_of(world));
            return;
        }
        at_once = ahead > 0 ? 0 : at_once + 1;
        SIM_ASSERT(at_once < STEPS_AT_ONCE, "timer %u turns without waiting", timer);
        if (ahead > 0)
            wr_clock_virtual_advance(&world->clock, ahead);
        fire(world, timer);
        go_on(world);
    }
}

/* What is different from seed to seed, beside the lots. */
static void draw_temper(struct sim_world *world) {
    static const uint64_t budgets[] = {UINT64_C(4) << 20, UINT64_C(8) << 20, UINT64_C(32) << 20};
    static const uint32_t windows[] = {1, 4, 32};
    world->budget_bytes = budgets[between(world, 0, 2)];
    world->max_loss_ns = between(world, 1, 15) * WR_NS_PER_S;
    world->window_ns = between(world, 2, 60) * WR_NS_PER_S;
    world->uplink_window = windows[between(world, 0, 2)];
    world->every_ns = between(world, 1, 20) * WR_NS_PER_S;
    world->up_ns = (one_in(world, 2) ? between(world, 2, 30) : between(world, 30, 600)) * MINUTE_NS;
    world->down_ns = between(world, 1, 12) * HOUR_NS;
    world->trouble_ns = (one_in(world, 2) ? between(world, 4, 30) : between(world, 30, 600)) * MINUTE_NS;
    world->layout = (uint32_t)between(world, 0, SIM_LAYOUTS - 1);
    if (one_in(world, 6)) { /* much data and little disk, so that a long outage fills it */
        world->budget_bytes = budgets[0];
        world->max_loss_ns = WR_NS_PER_S;
        world->window_ns = 2 * WR_NS_PER_S;
        world->every_ns = WR_NS_PER_S;
        world->down_ns = 24 * HOUR_NS;
    }
}

static void until_it_runs(struct sim_world *world) {
    while (!world->node || world->stopping)
        run_until(world, now_of(world) + MINUTE_NS);
}

/* The plant rests, the link is up, nothing goes wrong any more. A stop closes what is open, the next life delivers it. */
static void let_it_end(struct sim_world *world) {
    world->rests = true;
    set(world, TIMER_PLANT, WR_NEVER_NS);
    set(world, TIMER_TROUBLE, WR_NEVER_NS);
    set(world, TIMER_LINK, WR_NEVER_NS);
    mend_disk(world);
    if (world->link != SIM_LINK_UP)
        sim_receiver_link(world->receiver, world->link = SIM_LINK_UP);
    until_it_runs(world);
    stop_node(world);
    until_it_runs(world);
    run_until(world, now_of(world) + 10 * MINUTE_NS);
    for (int i = 0; i < 24 * 60 && !sim_world_all_is_delivered(world); i++)
        run_until(world, now_of(world) + MINUTE_NS);
    stop_node(world);
    while (world->node)
        run_until(world, now_of(world) + WR_NS_PER_S);
    start(world);
    sim_world_check_end(world);
    sim_node_kill(world->node, WR_FAULT_ALL);
}

void sim_run(const struct sim_options *options, struct sim_outcome *ret_outcome) {
    struct sim_world *world = calloc(1, sizeof *world);
    SIM_ASSERT(world, "no memory");
    world->options = *options;
    world->dice = (struct wr_random){options->seed};
    world->killed_ns = WR_NEVER_NS;
    present = world;
    wr_clock_virtual_init(&world->clock, WR_NS_PER_S, BEGIN_WALL_NS, options->seed);
    snprintf(world->directory, sizeof world->directory, "/tmp/weir-sim-XXXXXX");
    SIM_ASSERT(mkdtemp(world->directory), "cannot make a directory in /tmp");
    world->disk = wr_fault_vfs_new(options->seed);
    if (options->plant == SIM_PLANT_LOST_SYNC)
        wr_fault_vfs_lie(world->disk, 3);
    world->receiver = sim_receiver_new(&world->clock.clock, &world->dice);
    if (options->plant == SIM_PLANT_EARLY_ACK)
        sim_receiver_plant_early_ack(world->receiver);
    draw_temper(world);
    for (unsigned timer = 0; timer < TIMERS; timer++)
        set(world, timer, WR_NEVER_NS);
    set(world, TIMER_START, now_of(world));
    set_in(world, TIMER_LINK, MINUTE_NS, world->up_ns);
    set_in(world, TIMER_TROUBLE, MINUTE_NS, world->trouble_ns);
    set_in(world, TIMER_AUDIT, MINUTE_NS, HOUR_NS);
    run_until(world, now_of(world) + (int64_t)(options->days * (double)DAY_NS));
    let_it_end(world);
    *ret_outcome = world->outcome;
    present = NULL;
    sim_receiver_free(world->receiver);
    wr_fault_vfs_free(world->disk);
    (void)rmdir(world->directory);
    sim_world_forget(world);
    free(world);
}
