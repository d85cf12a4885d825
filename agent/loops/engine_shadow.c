#include "agent/loops/engine_shadow.h"

#include "agent/loops/engine_loop.h"
#include "core/log.h"

/* -- its share ------------------------------------------------------------------------------------------------------------------------------ */

#define SLICES 64 /* in a turn, where the clock stands still */
/* Time that it takes is paid for with WR_SHADOW_SHARE times as much in which it takes none; so much may be owed. */
#define DEBT_NS (WR_SHADOW_BURST_NS * WR_SHADOW_SHARE)

static bool may_run(const struct wr_engine_shadow *shadow, int64_t boot_ns) {
    return shadow->paid_boot_ns <= wr_clock_add_ns(boot_ns, DEBT_NS);
}

static void pay(struct wr_engine_shadow *shadow, int64_t began_ns, int64_t ended_ns) {
    if (shadow->paid_boot_ns < began_ns)
        shadow->paid_boot_ns = began_ns;
    shadow->paid_boot_ns = wr_clock_add_ns(shadow->paid_boot_ns, (ended_ns - began_ns) * WR_SHADOW_SHARE);
}

/* -- what it sees --------------------------------------------------------------------------------------------------------------------------- */

void wr_engine_shadow_feed(struct wr_engine_shadow *shadow, const struct wr_clock *clock, int64_t arrival_boot_ns,
                           const struct wr_now *now) {
    const struct wr_engine_tap *tap = &shadow->tap;
    if (!shadow->shadow || tap->n == 0)
        return;
    const int64_t began_ns = wr_clock_boot_ns(clock);
    int64_t ended_ns = began_ns;
    uint32_t at = 0;
    if (may_run(shadow, began_ns))
        while (at < tap->n && ended_ns - began_ns < WR_SHADOW_STRETCH_NS) {
            const uint32_t end = tap->n - at > WR_SHADOW_SLICE ? at + WR_SHADOW_SLICE : tap->n;
            for (; at < end; at++)
                wr_shadow_take(shadow->shadow, &tap->readings[at], arrival_boot_ns, now);
            ended_ns = wr_clock_boot_ns(clock);
        }
    wr_shadow_skip(shadow->shadow, tap->n - at);
    pay(shadow, began_ns, ended_ns);
}

void wr_engine_shadow_tell(struct wr_engine_shadow *shadow, const struct wr_reading *reading, const struct wr_now *now) {
    if (shadow->shadow)
        wr_shadow_take(shadow->shadow, reading, now->boot_ns, now);
}

int64_t wr_engine_shadow_turn(struct wr_engine_shadow *shadow, const struct wr_clock *clock, const struct wr_evaluator *in_force,
                              const struct wr_now *now) {
    if (!shadow->shadow)
        return WR_NEVER_NS;
    const int64_t began_ns = wr_clock_boot_ns(clock);
    int64_t ended_ns = began_ns;
    bool more = true;
    if (may_run(shadow, began_ns))
        for (int slices = 0; more && slices < SLICES && ended_ns - began_ns < WR_SHADOW_STRETCH_NS; slices++) {
            more = wr_shadow_prepare(shadow->shadow, in_force, now);
            if (wr_shadow_next_timer(shadow->shadow) <= now->boot_ns)
                more |= wr_shadow_timers(shadow->shadow, now, WR_SHADOW_TIMERS);
            ended_ns = wr_clock_boot_ns(clock);
        }
    pay(shadow, began_ns, ended_ns);
    /* Never at once: what is overdue here must not make the loop spin. */
    const int64_t soon_ns = wr_clock_add_ns(now->boot_ns, WR_NS_PER_MS);
    const int64_t allowed_ns = may_run(shadow, ended_ns) ? soon_ns : shadow->paid_boot_ns - DEBT_NS;
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
