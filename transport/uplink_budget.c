/* What may be spent: the byte budgets of the link, what their level keeps back, and how their counts come to be kept. */
#include "transport/uplink_private.h"

#define URGENT_SHARE 100 /* a hundredth of a budget is told at once */

/* Where one budget has a limit the others are counted too: they may get theirs by a reload. */
bool wr_uplink_has_budget(const struct wr_uplink *uplink) {
    for (size_t i = 0; i < WR_BUDGET_PERIODS; i++)
        if (uplink->config.budget_bytes[i] > 0)
            return true;
    return false;
}

void wr_uplink_budget_begin(struct wr_uplink *uplink) {
    const struct wr_uplink_config *config = &uplink->config;
    const unsigned from_day = config->budget_from_day > 0 ? config->budget_from_day : 1;
    for (unsigned i = 0; i < WR_BUDGET_PERIODS; i++)
        wr_budget_init(&uplink->budgets[i], (enum wr_budget_period)i, config->budget_bytes[i], from_day);
    uplink->budget_look_boot_ns = wr_uplink_has_budget(uplink) ? 0 : WR_NEVER_NS;
}

/* The tightest of them decides. */
static void set_level(struct wr_uplink *uplink) {
    uplink->budget_level = WR_BUDGET_FREE;
    uplink->budget_look_boot_ns = WR_NEVER_NS;
    uint64_t even_bytes_per_s = 0;
    for (size_t i = 0; i < WR_BUDGET_PERIODS; i++) {
        const struct wr_budget *budget = &uplink->budgets[i];
        const int64_t look_boot_ns = wr_budget_next_look_ns(budget);
        if (look_boot_ns < uplink->budget_look_boot_ns)
            uplink->budget_look_boot_ns = look_boot_ns;
        if (budget->level > uplink->budget_level)
            uplink->budget_level = budget->level;
        if (budget->level < WR_BUDGET_SLOW)
            continue;
        const uint64_t rate = wr_budget_even_bytes_per_s(budget);
        if (even_bytes_per_s == 0 || rate < even_bytes_per_s)
            even_bytes_per_s = rate;
    }
    if (even_bytes_per_s == 0)
        uplink->even = (struct wr_pace_rate){0};
    uplink->even.bytes_per_s = even_bytes_per_s;
}

void wr_uplink_budget_look(struct wr_uplink *uplink, const struct wr_now *now) {
    if (now->boot_ns < uplink->budget_look_boot_ns)
        return;
    for (size_t i = 0; i < WR_BUDGET_PERIODS; i++)
        wr_budget_look(&uplink->budgets[i], now);
    set_level(uplink);
}

void wr_uplink_on_wire(struct wr_uplink *uplink, const struct wr_now *now, uint64_t bytes) {
    if (!wr_uplink_has_budget(uplink) || bytes <= uplink->wire_bytes)
        return;
    for (size_t i = 0; i < WR_BUDGET_PERIODS; i++)
        wr_budget_spend(&uplink->budgets[i], bytes - uplink->wire_bytes, now);
    uplink->wire_bytes = bytes;
    set_level(uplink);
}

/* ---- what waits (U12) ---- */

static bool is_patient(size_t lane) {
    return lane == WR_LANE_WINDOWS || lane == WR_LANE_RAW;
}

bool wr_uplink_budget_bars(const struct wr_uplink *uplink, enum wr_cursor which, size_t lane) {
    const uint8_t from = which == WR_CURSOR_BACKFILL ? WR_BUDGET_SPARING : WR_BUDGET_SPENT;
    return is_patient(lane) && uplink->budget_level >= from;
}

/* At the even rate each goes by itself, at its time. */
uint32_t wr_uplink_budget_allows(struct wr_uplink *uplink, const struct wr_now *now, uint8_t lane, uint32_t n) {
    if (n == 0 || !is_patient(lane) || uplink->budget_level < WR_BUDGET_SLOW)
        return n;
    if (wr_pace_rate_ready_ns(&uplink->even) <= now->boot_ns)
        return 1;
    uplink->even_waits = true;
    return 0;
}

void wr_uplink_budget_fetched(struct wr_uplink *uplink, const struct wr_now *now, uint8_t lane, uint32_t bytes) {
    if (is_patient(lane) && uplink->budget_level == WR_BUDGET_SLOW) /* where all is spent that rate is none: it would be owed for days */
        wr_pace_rate_sent(&uplink->even, bytes, now->boot_ns);
}

/* ---- what is kept ---- */

void wr_uplink_budget_kept(struct wr_uplink *uplink, const struct wr_now *now, const struct wr_uplink_reply *reply) {
    if (reply->lane >= WR_BUDGET_PERIODS || uplink->counts_known)
        return; /* of a store that was replaced: it has it from us */
    wr_budget_restore(&uplink->budgets[reply->lane], &reply->count);
    uplink->counts_told[reply->lane] = reply->count;
    if (reply->lane + 1 < WR_BUDGET_PERIODS)
        return;
    uplink->counts_known = true;
    if (wr_uplink_has_budget(uplink))
        uplink->budget_look_boot_ns = now->boot_ns;
}

static bool is_news(const struct wr_budget *budget, const struct wr_budget_count *told, bool *urgent) {
    const struct wr_budget_count *count = &budget->count;
    const bool other =
        count->ends_wall_ns != told->ends_wall_ns || count->begins_wall_ns != told->begins_wall_ns || count->spent < told->spent;
    if (other || (budget->limit > 0 && count->spent - told->spent >= budget->limit / URGENT_SHARE && count->spent > told->spent))
        *urgent = true;
    return other || count->spent != told->spent;
}

bool wr_uplink_next_count(struct wr_uplink *uplink, const struct wr_now *now, struct wr_uplink_request *ret_request) {
    if (!uplink->counts_known || !wr_uplink_has_budget(uplink))
        return false;
    const bool late = uplink->state == WR_UPLINK_STOPPED || now->boot_ns - uplink->count_boot_ns >= WR_UPLINK_COUNT_NS;
    for (size_t i = 0; i < WR_BUDGET_PERIODS; i++) {
        bool urgent = false;
        if (!is_news(&uplink->budgets[i], &uplink->counts_told[i], &urgent) || (!urgent && !late))
            continue;
        uplink->counts_told[i] = uplink->budgets[i].count;
        *ret_request =
            (struct wr_uplink_request){.kind = WR_UPLINK_COUNT, .lane = (uint8_t)i, .urgent = urgent, .count = uplink->budgets[i].count};
        return true;
    }
    if (late)
        uplink->count_boot_ns = now->boot_ns;
    return false;
}

int64_t wr_uplink_budget_wake_ns(const struct wr_uplink *uplink) {
    const bool rate = uplink->even_waits && uplink->even.free_boot_ns < uplink->budget_look_boot_ns;
    return rate ? uplink->even.free_boot_ns : uplink->budget_look_boot_ns;
}
