#include "rules/engine/pace.h"

#include "rules/engine/window.h"

#define FOLLOW_SHIFT 4 /* the offset goes a 16th of the way to each reading: so it follows a clock that drifts */

static int64_t distance(int64_t a, int64_t b) {
    return a > b ? wr_clock_add_ns(a, -b) : wr_clock_add_ns(b, -a);
}

void wr_pace_arrived(struct wr_pace_clock *clock, int64_t arrival_boot_ns, int64_t wall_offset_ns) {
    if (clock->known && distance(wall_offset_ns, clock->wall_offset_ns) > WR_PACE_STEP_NS) {
        clock->before_offset_ns = clock->wall_offset_ns;
        clock->after_offset_ns = wall_offset_ns;
        clock->stepped_ns = arrival_boot_ns;
        clock->stepped = true;
    }
    clock->wall_offset_ns = wall_offset_ns;
    clock->known = true;
}

/* Whether a stamp that is so much behind its arrival agrees with it. */
static bool is_right(int64_t behind_ns, int64_t old_ns) {
    return behind_ns >= -WR_WINDOW_CLAMP_NS && behind_ns <= old_ns;
}
static bool is_well_right(int64_t behind_ns) {
    return behind_ns >= -WR_PACE_WELL_NS / 2 && behind_ns <= WR_PACE_WELL_NS;
}

/* One more reading of a run, or the first of another one. True: it is steady. */
static bool run(struct wr_pace *pace, int64_t arrival_boot_ns, int64_t offset_ns) {
    if (pace->run_n == 0 || distance(offset_ns, pace->run_offset_ns) > WR_PACE_STEADY_NS) {
        pace->run_offset_ns = offset_ns;
        pace->run_since_ns = arrival_boot_ns;
        pace->run_n = 1;
        return false;
    }
    if (pace->run_n < UINT32_MAX)
        pace->run_n++;
    const int64_t span_ns = arrival_boot_ns - pace->run_since_ns;
    return (pace->run_n >= WR_PACE_READINGS && span_ns >= WR_PACE_SPAN_NS) ||
           (pace->run_n >= WR_PACE_FEW_READINGS && span_ns >= WR_PACE_FEW_SPAN_NS);
}

static void skew(struct wr_pace *pace, int64_t offset_ns) {
    *pace = (struct wr_pace){.offset_ns = offset_ns, .skewed = true};
}

/* It was right before our own clock was set; or is not known to have been otherwise. By a little step nothing is explained: what is right before and what is
 * right after it can be the same. */
static bool was_right(const struct wr_pace *pace, const struct wr_pace_clock *clock, int64_t arrival_boot_ns, int64_t old_ns,
                      int64_t offset_ns) {
    if (!clock->stepped || arrival_boot_ns - clock->stepped_ns > WR_PACE_STEP_AGE_NS ||
        (pace->run_n > 0 && pace->run_since_ns < clock->stepped_ns))
        return false;
    return distance(clock->before_offset_ns, clock->after_offset_ns) > wr_clock_add_ns(old_ns, WR_WINDOW_CLAMP_NS) &&
           is_right(wr_clock_add_ns(offset_ns, clock->before_offset_ns), old_ns);
}

/* Of a skewed stream: late_ns behind what is live there. */
static struct wr_pace_verdict judge_skewed(struct wr_pace *pace, int64_t arrival_wall_ns, int64_t arrival_boot_ns, int64_t old_ns,
                                           int64_t offset_ns) {
    int64_t late_ns = wr_clock_add_ns(offset_ns, -pace->offset_ns);
    if (late_ns >= -WR_PACE_STEADY_NS && late_ns <= WR_PACE_STEADY_NS) {
        pace->offset_ns += late_ns / (1 << FOLLOW_SHIFT);
        pace->run_n = 0;
    } else if (run(pace, arrival_boot_ns, offset_ns)) {
        skew(pace, offset_ns);
        late_ns = 0;
    } else if (late_ns < 0) {
        late_ns = 0; /* newer than can be: its clock was set on */
    }
    return (struct wr_pace_verdict){.event_ns = wr_clock_add_ns(arrival_wall_ns, -late_ns), .moved = true, .historic = late_ns > old_ns};
}

struct wr_pace_verdict wr_pace_judge(struct wr_pace *pace, const struct wr_pace_clock *clock, int64_t arrival_boot_ns, int64_t old_ns,
                                     int64_t event_ns) {
    const int64_t arrival_wall_ns = wr_clock_add_ns(arrival_boot_ns, clock->wall_offset_ns);
    const int64_t offset_ns = wr_clock_add_ns(arrival_boot_ns, -event_ns);
    const int64_t behind_ns = wr_clock_add_ns(arrival_wall_ns, -event_ns);
    if (pace->skewed ? is_well_right(behind_ns) : is_right(behind_ns, old_ns)) {
        *pace = (struct wr_pace){0};
        return (struct wr_pace_verdict){.event_ns = event_ns};
    }
    if (pace->skewed)
        return judge_skewed(pace, arrival_wall_ns, arrival_boot_ns, old_ns, offset_ns);
    if (was_right(pace, clock, arrival_boot_ns, old_ns, offset_ns) || run(pace, arrival_boot_ns, offset_ns)) {
        skew(pace, offset_ns);
        return (struct wr_pace_verdict){.event_ns = arrival_wall_ns, .moved = true};
    }
    if (behind_ns < 0)
        return (struct wr_pace_verdict){.event_ns = arrival_wall_ns, .moved = true, .ahead = true};
    return (struct wr_pace_verdict){.event_ns = event_ns, .historic = true};
}
