#include "agent/actions/action_delay.h"

#include <stdlib.h>

#include "core/clock.h"

enum wr_result wr_action_delay_init(struct wr_action_delay *delay, struct wr_error *err) {
    *delay = (struct wr_action_delay){.jobs = calloc(WR_ACTION_DELAYS, sizeof *delay->jobs)};
    return delay->jobs ? WR_OK : wr_error_set(err, WR_NO_MEMORY, "no memory for the actions");
}

void wr_action_delay_fini(struct wr_action_delay *delay) {
    for (uint32_t i = 0; i < delay->n; i++)
        free(delay->jobs[i]);
    free(delay->jobs);
    *delay = (struct wr_action_delay){0};
}

static struct wr_action_job *take(struct wr_action_delay *delay, uint32_t at) {
    struct wr_action_job *job = delay->jobs[at];
    delay->jobs[at] = delay->jobs[--delay->n];
    return job;
}

/* Of the same action of the same alarm, the one that is due last; NULL: none waits. */
static const struct wr_action_job *latest(const struct wr_action_delay *delay, const struct wr_action_job *job) {
    const struct wr_action_job *last = NULL;
    for (uint32_t i = 0; i < delay->n; i++) {
        const struct wr_action_job *other = delay->jobs[i];
        if (other->turn.alarm == job->turn.alarm && other->meaning == job->meaning &&
            (!last || other->turn.due_boot_ns >= last->turn.due_boot_ns))
            last = other;
    }
    return last;
}

enum wr_result wr_action_delay_put(struct wr_action_delay *delay, struct wr_action_job *job) {
    const struct wr_action_job *last = latest(delay, job);
    if (last && last->alarm.cause == job->alarm.cause)
        return WR_EXISTS;
    if (delay->n == WR_ACTION_DELAYS)
        return WR_FULL;
    delay->jobs[delay->n++] = job;
    return WR_OK;
}

void wr_action_delay_observe(struct wr_action_delay *delay, const struct wr_alarm *alarm) {
    for (uint32_t i = 0; i < delay->n;) {
        if (delay->jobs[i]->turn.alarm != alarm->id ||
            !wr_action_is_needless(delay->jobs[i]->spec.unless, (enum wr_alarm_state)alarm->to)) {
            i++;
            continue;
        }
        free(take(delay, i));
        delay->needless++;
    }
}

static uint32_t earliest(const struct wr_action_delay *delay) {
    uint32_t earliest_at = 0;
    for (uint32_t i = 1; i < delay->n; i++)
        if (delay->jobs[i]->turn.due_boot_ns < delay->jobs[earliest_at]->turn.due_boot_ns)
            earliest_at = i;
    return earliest_at;
}

struct wr_action_job *wr_action_delay_take(struct wr_action_delay *delay, int64_t now_boot_ns) {
    const uint32_t at = earliest(delay);
    return delay->n > 0 && delay->jobs[at]->turn.due_boot_ns <= now_boot_ns ? take(delay, at) : NULL;
}

int64_t wr_action_delay_due(const struct wr_action_delay *delay) {
    return delay->n > 0 ? delay->jobs[earliest(delay)]->turn.due_boot_ns : WR_NEVER_NS;
}
