#include "core/budget.h"

#include <assert.h>

#include "core/calendar.h"

#define DAY_NS (WR_CALENDAR_DAY_S * WR_NS_PER_S)
#define MONTH_DAYS_MAX 31
#define LOOK_AGAIN_NS WR_NS_PER_MS /* the two clocks may not quite agree on when the period ends */
#define LONGEST_NS (2 * MONTH_DAYS_MAX * DAY_NS)
#define LAST_NS (INT64_MAX - LONGEST_NS) /* in the year 2262: beyond it the end of a period could not be told */

/* Of what an even use would have left: where a level begins, and where it ends. */
static const struct {
    double begins;
    double ends;
} steps[WR_BUDGET_LEVELS - 1] = {
    [WR_BUDGET_FREE] = {0.50, 0.60},
    [WR_BUDGET_SPARING] = {0.25, 0.35},
    [WR_BUDGET_SLOW] = {0.05, 0.10},
};

const char *wr_budget_level_name(enum wr_budget_level level) {
    static const char *const names[WR_BUDGET_LEVELS] = {
        [WR_BUDGET_FREE] = "free", [WR_BUDGET_SPARING] = "sparing", [WR_BUDGET_SLOW] = "slow", [WR_BUDGET_SPENT] = "spent"};
    return level < WR_BUDGET_LEVELS ? names[level] : "unknown";
}

const char *wr_budget_period_name(enum wr_budget_period period) {
    return period == WR_BUDGET_DAY ? "day" : "month";
}

/* ---- periods ---- */

/* Of a period that nobody can name. */
static int64_t running_length_ns(const struct wr_budget *budget) {
    return (budget->period == WR_BUDGET_DAY ? 1 : MONTH_DAYS_MAX) * DAY_NS;
}

/* The first day of the month that holds this day, and of the next. */
static void month_around(int64_t day, unsigned from_day, int64_t *ret_first, int64_t *ret_next) {
    const int64_t shift = (int64_t)from_day - 1; /* as if months began on the first */
    const int year = wr_calendar_year(day - shift);
    int month = 12;
    while (month > 1 && wr_calendar_days(year, month, 1) > day - shift)
        month--;
    *ret_first = wr_calendar_days(year, month, 1) + shift;
    *ret_next = *ret_first + wr_calendar_days_in_month(year, month);
}

/* The period around this time; its count stays. */
static void set_period(struct wr_budget *budget, int64_t wall_ns) {
    int64_t first = wr_calendar_floor(wall_ns, DAY_NS);
    int64_t next = first + 1;
    if (budget->period == WR_BUDGET_MONTH)
        month_around(first, budget->from_day, &first, &next);
    budget->count.begins_wall_ns = first * DAY_NS;
    budget->count.ends_wall_ns = next * DAY_NS;
}

static int64_t sane(int64_t wall_ns) {
    return wall_ns < 0 ? 0 : wall_ns < LAST_NS ? wall_ns : LAST_NS;
}

static bool is_known(const struct wr_budget_count *count) {
    return count->ends_wall_ns != 0;
}

static void look_trusted(struct wr_budget *budget, int64_t wall_ns) {
    struct wr_budget_count *count = &budget->count;
    if (is_known(count) && wall_ns >= count->ends_wall_ns) { /* G1, G2 */
        count->spent = budget->untrusted;
        count->counted_ns = 0;
        set_period(budget, wall_ns);
    } else if (!is_known(count) || wall_ns < count->begins_wall_ns) { /* G3 */
        set_period(budget, wall_ns);
    }
    budget->untrusted = 0;
}

static void look_untrusted(struct wr_budget *budget) {
    if (budget->count.counted_ns < running_length_ns(budget))
        return;
    budget->count = (struct wr_budget_count){0}; /* G2 */
    budget->untrusted = 0;
}

/* Until the period ends, as of the last look; and how long it is. */
static int64_t rest_ns(const struct wr_budget *budget, int64_t *ret_length_ns) {
    const struct wr_budget_count *count = &budget->count;
    if (!budget->trusted || !is_known(count)) {
        *ret_length_ns = running_length_ns(budget);
        return count->counted_ns < *ret_length_ns ? *ret_length_ns - count->counted_ns : 0;
    }
    *ret_length_ns = count->ends_wall_ns - count->begins_wall_ns;
    return count->ends_wall_ns - budget->looked_wall_ns;
}

/* ---- levels ---- */

static uint8_t level_now(const struct wr_budget *budget) {
    if (budget->limit == 0)
        return WR_BUDGET_FREE;
    if (wr_budget_left(budget) == 0)
        return WR_BUDGET_SPENT;
    int64_t length_ns;
    const int64_t until_end_ns = rest_ns(budget, &length_ns);
    const double left = (double)wr_budget_left(budget) / (double)budget->limit * (double)length_ns;
    const double even = until_end_ns > 0 ? (double)until_end_ns : 1;
    uint8_t level = budget->level;
    while (level < WR_BUDGET_SPENT && left < even * steps[level].begins)
        level++;
    while (level > WR_BUDGET_FREE && left >= even * steps[level - 1].ends)
        level--;
    return level;
}

uint64_t wr_budget_left(const struct wr_budget *budget) {
    return budget->count.spent < budget->limit ? budget->limit - budget->count.spent : 0;
}

uint64_t wr_budget_even_bytes_per_s(const struct wr_budget *budget) {
    int64_t length_ns;
    const int64_t until_end_ns = rest_ns(budget, &length_ns);
    const uint64_t seconds = until_end_ns > WR_NS_PER_S ? (uint64_t)(until_end_ns / WR_NS_PER_S) : 1;
    const uint64_t rate = wr_budget_left(budget) / seconds;
    return rate > 0 ? rate : 1;
}

int64_t wr_budget_next_look_ns(const struct wr_budget *budget) {
    int64_t length_ns;
    int64_t wait_ns = rest_ns(budget, &length_ns);
    if (wait_ns < LOOK_AGAIN_NS)
        wait_ns = LOOK_AGAIN_NS;
    return wr_clock_add_ns(budget->looked_boot_ns, wait_ns < WR_BUDGET_LOOK_NS ? wait_ns : WR_BUDGET_LOOK_NS);
}

/* ---- counting ---- */

void wr_budget_init(struct wr_budget *budget, enum wr_budget_period period, uint64_t limit, unsigned from_day) {
    assert(from_day >= 1 && from_day <= WR_BUDGET_FROM_DAY_MAX);
    *budget = (struct wr_budget){.period = (uint8_t)period, .limit = limit, .from_day = (uint8_t)from_day};
}

static uint64_t sum_of(uint64_t a, uint64_t b) {
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

bool wr_budget_count_is_valid(const struct wr_budget_count *count) {
    if (count->counted_ns < 0 || (count->begins_wall_ns != 0 && !is_known(count)))
        return false;
    return !is_known(count) || (count->begins_wall_ns < count->ends_wall_ns && count->begins_wall_ns >= -LONGEST_NS &&
                                count->ends_wall_ns <= wr_clock_add_ns(count->begins_wall_ns, LONGEST_NS));
}

void wr_budget_restore(struct wr_budget *budget, const struct wr_budget_count *before) {
    struct wr_budget_count *count = &budget->count;
    const bool over = is_known(before) && is_known(count) && before->ends_wall_ns <= count->begins_wall_ns;
    if (!wr_budget_count_is_valid(before) || over)
        return;
    count->spent = sum_of(count->spent, before->spent);
    count->counted_ns = wr_clock_add_ns(count->counted_ns, before->counted_ns);
    if (!is_known(count)) {
        count->begins_wall_ns = before->begins_wall_ns;
        count->ends_wall_ns = before->ends_wall_ns;
    }
    if (budget->looked)
        budget->level = level_now(budget);
}

void wr_budget_look(struct wr_budget *budget, const struct wr_now *now) {
    if (budget->looked && now->boot_ns > budget->looked_boot_ns)
        budget->count.counted_ns = wr_clock_add_ns(budget->count.counted_ns, now->boot_ns - budget->looked_boot_ns);
    budget->looked = true;
    budget->looked_boot_ns = now->boot_ns;
    budget->looked_wall_ns = sane(now->wall_ns);
    budget->trusted = now->wall_trusted;
    if (now->wall_trusted)
        look_trusted(budget, budget->looked_wall_ns);
    else
        look_untrusted(budget);
    budget->level = level_now(budget);
}

void wr_budget_spend(struct wr_budget *budget, uint64_t bytes, const struct wr_now *now) {
    wr_budget_look(budget, now);
    if (bytes == 0)
        return;
    budget->count.spent = sum_of(budget->count.spent, bytes);
    if (!now->wall_trusted)
        budget->untrusted = sum_of(budget->untrusted, bytes);
    budget->level = level_now(budget);
}

bool wr_budget_is_valid(const struct wr_budget *budget) {
    return wr_budget_count_is_valid(&budget->count) && budget->level < WR_BUDGET_LEVELS && budget->untrusted <= budget->count.spent &&
           (budget->limit > 0 || budget->level == WR_BUDGET_FREE) &&
           (budget->limit == 0 || wr_budget_left(budget) > 0 || budget->level == WR_BUDGET_SPENT || !budget->looked);
}
