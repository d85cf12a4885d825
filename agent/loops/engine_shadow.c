#include "agent/loops/engine_shadow.h"

#include "agent/loops/engine_loop.h"
#include "core/log.h"

/* -- its share ------------------------------------------------------------------------------------------------------------------------------ */

#define SLICES 64 /* in a turn, where the clock stands still */
/* Time that it takes is paid for with WR_SHADOW_SHARE times as much in which it takes none; so much may be owed. */
#define DEBT_NS (WR_SHADOW_BURST_NS * WR_SHADOW_SHARE)
#define DEBT_WAITED_FOR_NS (WR_SHADOW_LOOK_NS * WR_SHADOW_SHARE) /* while something waits */

/* One that is under way. */
struct stretch {
    struct wr_engine_loop *loop;
    const struct wr_evaluator *in_force;
    int64_t began_ns;
    int64_t looked_ns;
    int64_t ended_ns; /* up to now */
    int64_t debt_ns;  /* that is allowed */
};

static bool may_run(const struct wr_engine_shadow *shadow, int64_t boot_ns, int64_t debt_ns) {
    return shadow->paid_boot_ns <= wr_clock_add_ns(boot_ns, debt_ns);
}

/* The rest of a batch, another batch, or a timer of the rules in force. */
static bool something_waits(const struct stretch *stretch) {
    const struct wr_engine_loop *loop = stretch->loop;
    if (stretch->in_force && wr_evaluator_next_timer(stretch->in_force) <= stretch->ended_ns)
        return true;
    for (uint32_t i = 0; i < loop->n_inputs; i++) {
        struct wr_channel_stats batches = {0};
        if (loop->inputs[i].batches)
            wr_channel_stats(loop->inputs[i].batches, &batches);
        if (batches.depth > 0 || (loop->waiting[i] && (loop->waiting_from[i] < loop->waiting[i]->n || loop->waiting[i]->next)))
            return true;
    }
    return false;
}

static void look(struct stretch *stretch) {
    stretch->looked_ns = stretch->ended_ns;
    stretch->debt_ns = something_waits(stretch) ? DEBT_WAITED_FOR_NS : DEBT_NS;
}

static struct stretch begin(struct wr_engine_loop *loop, const struct wr_evaluator *in_force) {
    const int64_t boot_ns = wr_clock_boot_ns(loop->clock);
    struct stretch stretch = {.loop = loop, .in_force = in_force, .began_ns = boot_ns, .ended_ns = boot_ns};
    look(&stretch);
    return stretch;
}

static void pay(struct wr_engine_shadow *shadow, int64_t began_ns, int64_t ended_ns) {
    if (shadow->paid_boot_ns < began_ns)
        shadow->paid_boot_ns = began_ns;
    shadow->paid_boot_ns = wr_clock_add_ns(shadow->paid_boot_ns, (ended_ns - began_ns) * WR_SHADOW_SHARE);
}

/* Before each slice: whether it may go on. */
static bool goes_on(struct stretch *stretch) {
    if (stretch->ended_ns - stretch->looked_ns >= WR_SHADOW_LOOK_NS)
        look(stretch);
    return stretch->ended_ns - stretch->began_ns < WR_SHADOW_STRETCH_NS &&
           may_run(&stretch->loop->shadow, stretch->ended_ns, stretch->debt_ns);
}

static void end_slice(struct stretch *stretch) {
    const int64_t boot_ns = wr_clock_boot_ns(stretch->loop->clock);
    pay(&stretch->loop->shadow, stretch->ended_ns, boot_ns);
    stretch->ended_ns = boot_ns;
}

/* -- what it sees --------------------------------------------------------------------------------------------------------------------------- */

void wr_engine_shadow_feed(struct wr_engine_loop *loop, const struct wr_evaluator *in_force, int64_t arrival_boot_ns,
                           const struct wr_now *now) {
    struct wr_engine_shadow *shadow = &loop->shadow;
    const struct wr_engine_tap *tap = &shadow->tap;
    if (!shadow->shadow || tap->n == 0)
        return;
    uint32_t at = 0;
    for (struct stretch stretch = begin(loop, in_force); at < tap->n && goes_on(&stretch); end_slice(&stretch)) {
        const uint32_t end = tap->n - at > WR_SHADOW_SLICE ? at + WR_SHADOW_SLICE : tap->n;
        for (; at < end; at++)
            wr_shadow_take(shadow->shadow, &tap->readings[at], arrival_boot_ns, now);
    }
    wr_shadow_skip(shadow->shadow, tap->n - at);
}

void wr_engine_shadow_tell(struct wr_engine_shadow *shadow, const struct wr_reading *reading, const struct wr_now *now) {
    if (shadow->shadow)
        wr_shadow_take(shadow->shadow, reading, now->boot_ns, now);
}

int64_t wr_engine_shadow_turn(struct wr_engine_loop *loop, const struct wr_evaluator *in_force, const struct wr_now *now) {
    struct wr_engine_shadow *shadow = &loop->shadow;
    if (!shadow->shadow)
        return WR_NEVER_NS;
    struct stretch stretch = begin(loop, in_force);
    bool more = true;
    for (int slices = 0; more && slices < SLICES && goes_on(&stretch); slices++) {
        more = wr_shadow_prepare(shadow->shadow, in_force, now);
        if (wr_shadow_next_timer(shadow->shadow) <= now->boot_ns)
            more |= wr_shadow_timers(shadow->shadow, now, WR_SHADOW_TIMERS);
        end_slice(&stretch);
    }
    /* Never at once: what is overdue here must not make the loop spin. */
    const int64_t soon_ns = wr_clock_add_ns(now->boot_ns, WR_NS_PER_MS);
    const int64_t allowed_ns = may_run(shadow, stretch.ended_ns, stretch.debt_ns) ? soon_ns : shadow->paid_boot_ns - stretch.debt_ns;
    const int64_t timer_ns = more ? soon_ns : wr_shadow_next_timer(shadow->shadow);
    const int64_t due_ns = timer_ns > allowed_ns ? timer_ns : allowed_ns;
    return due_ns > soon_ns ? due_ns : soon_ns;
}

/* -- what it tells -------------------------------------------------------------------------------------------------------------------------- */

static void say(struct wr_engine_shadow *shadow, const struct wr_shadow_figures *figures, int64_t boot_ns) {
    if (figures->differ == shadow->said || figures->differ == 0 || figures->preparing || boot_ns < shadow->say_boot_ns)
        return;
    shadow->said = figures->differ;
    shadow->say_boot_ns = wr_clock_add_ns(boot_ns, WR_SHADOW_SAY_NS);
    WR_LOG_WITH(WR_LOG_INFO, "shadow", "shadow rules do not do what the rules in force do: see weir shadow",
                WR_LOG_INT("alarms_that_differ", figures->differ),
                WR_LOG_INT("would_have_raised", (int64_t)figures->sums[WR_SHADOW_BESIDE].raised),
                WR_LOG_INT("raised_in_force", (int64_t)figures->sums[WR_SHADOW_IN_FORCE].raised));
}

void wr_engine_shadow_show(struct wr_engine_shadow *shadow, int64_t boot_ns) {
    struct wr_shadow_figures now = {0}, *before = &shadow->before;
    struct wr_engine_shadow_shown *shown = &shadow->shown;
    if (!shadow->shadow)
        return;
    wr_shadow_figures(shadow->shadow, &now);
    shown->rules = now.rules;
    shown->active = now.sums[WR_SHADOW_BESIDE].active;
    shown->in_force_active = now.sums[WR_SHADOW_IN_FORCE].active;
    shown->differ = now.differ;
    shown->readings += now.readings - before->readings;
    shown->skipped += now.skipped - before->skipped;
    shown->refused += now.refused - before->refused;
    shown->raised += now.sums[WR_SHADOW_BESIDE].raised - before->sums[WR_SHADOW_BESIDE].raised;
    shown->cleared += now.sums[WR_SHADOW_BESIDE].cleared - before->sums[WR_SHADOW_BESIDE].cleared;
    *before = now;
    say(shadow, &now, boot_ns);
}

struct wr_shadow *wr_engine_loop_exchange_shadow(struct wr_engine_loop *loop, struct wr_shadow *next) {
    struct wr_engine_shadow *shadow = &loop->shadow;
    struct wr_shadow *present = shadow->shadow;
    wr_engine_shadow_show(shadow, wr_clock_boot_ns(loop->clock));
    shadow->shadow = next;
    shadow->before = (struct wr_shadow_figures){0};
    shadow->said = 0;
    shadow->say_boot_ns = 0;
    shadow->shown.rules = shadow->shown.active = shadow->shown.in_force_active = shadow->shown.differ = 0;
    loop->out.tap = next ? &shadow->tap : NULL;
    loop->figures.shadow = next ? shadow : NULL;
    return present;
}
