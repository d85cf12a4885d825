#include "core/scheduler.h"

#include <assert.h>
#include <stdlib.h>

#define ROOM_AT_FIRST 8

/* -- the heap: queue[1] goes first; the children of i are 2 i and 2 i + 1 ------------------------------------------------------------------ */

static bool goes_before(const struct wr_scheduler_entry *a, const struct wr_scheduler_entry *b) {
    if (a->due_ns != b->due_ns)
        return a->due_ns < b->due_ns;
    if (a->plan.priority != b->plan.priority)
        return a->plan.priority < b->plan.priority;
    return a->order < b->order;
}

static void put_at(struct wr_scheduler *scheduler, size_t at, struct wr_scheduler_entry *entry) {
    scheduler->queue[at] = entry;
    entry->at = at;
}

static void sift_up(struct wr_scheduler *scheduler, struct wr_scheduler_entry *entry, size_t at) {
    for (; at > 1 && goes_before(entry, scheduler->queue[at / 2]); at /= 2)
        put_at(scheduler, at, scheduler->queue[at / 2]);
    put_at(scheduler, at, entry);
}

static void sift_down(struct wr_scheduler *scheduler, struct wr_scheduler_entry *entry, size_t at) {
    for (size_t child; (child = 2 * at) <= scheduler->n; at = child) {
        if (child < scheduler->n && goes_before(scheduler->queue[child + 1], scheduler->queue[child]))
            child++;
        if (!goes_before(scheduler->queue[child], entry))
            break;
        put_at(scheduler, at, scheduler->queue[child]);
    }
    put_at(scheduler, at, entry);
}

static void insert(struct wr_scheduler *scheduler, struct wr_scheduler_entry *entry) {
    entry->order = scheduler->orders++;
    sift_up(scheduler, entry, ++scheduler->n);
}

static void take_out(struct wr_scheduler *scheduler, struct wr_scheduler_entry *entry) {
    const size_t at = entry->at;
    struct wr_scheduler_entry *last = scheduler->queue[scheduler->n--];
    entry->at = 0;
    if (last == entry)
        return;
    if (at > 1 && goes_before(last, scheduler->queue[at / 2]))
        sift_up(scheduler, last, at);
    else
        sift_down(scheduler, last, at);
}

/* -- plans ------------------------------------------------------------------------------------------------------------------------------- */

/* The next run is the one of this time of the plan. */
static void plan_for(struct wr_scheduler *scheduler, struct wr_scheduler_entry *entry, int64_t slot_ns) {
    const int64_t jitter_ns = entry->plan.jitter_ns;
    const int64_t later_ns = jitter_ns > 0 ? (int64_t)(wr_clock_random_u64(scheduler->clock) % (uint64_t)jitter_ns) : 0;
    entry->slot_ns = slot_ns;
    entry->wanted_ns = wr_clock_add_ns(slot_ns, later_ns);
    entry->due_ns = entry->wanted_ns;
}

static int64_t grace_ns(const struct wr_scheduler_plan *plan) {
    return plan->grace_ns > 0 ? plan->grace_ns : plan->every_ns / 2;
}

/* Moves on to the run that the policy wants at now_ns, which may lie in the future. */
static void pass_missed(struct wr_scheduler *scheduler, struct wr_scheduler_entry *entry, int64_t now_ns) {
    const struct wr_scheduler_plan *plan = &entry->plan;
    if (plan->every_ns == 0 || now_ns - entry->wanted_ns <= grace_ns(plan))
        return;
    const int64_t behind_ns = now_ns - entry->slot_ns;
    const int64_t behind = behind_ns / plan->every_ns; /* times of the plan after this one that have come */
    int64_t passed = behind;
    if (plan->missed == WR_SCHEDULER_SKIP) /* to the first that is not missed: a division rounded up */
        passed = (behind_ns - grace_ns(plan) - 1) / plan->every_ns + 1;
    else if (plan->missed == WR_SCHEDULER_CATCH_UP)
        passed = behind < WR_SCHEDULER_CATCH_UP_MAX ? 0 : behind - (WR_SCHEDULER_CATCH_UP_MAX - 1);
    if (passed == 0)
        return;
    entry->missed += (uint64_t)passed;
    scheduler->missed += (uint64_t)passed;
    const int64_t slot_ns = wr_clock_add_ns(entry->slot_ns, passed * plan->every_ns);
    if (plan->missed == WR_SCHEDULER_SKIP)
        plan_for(scheduler, entry, slot_ns);
    else /* it is made up: at once, without jitter */
        entry->slot_ns = entry->wanted_ns = entry->due_ns = slot_ns;
}

/* -- the interface ----------------------------------------------------------------------------------------------------------------------- */

void wr_scheduler_init(struct wr_scheduler *scheduler, const struct wr_clock *clock) {
    *scheduler = (struct wr_scheduler){.clock = clock};
}

void wr_scheduler_fini(struct wr_scheduler *scheduler) {
    free(scheduler->queue);
    scheduler->queue = NULL;
}

/* A place for every member, so that planning again cannot fail. */
static enum wr_result make_room(struct wr_scheduler *scheduler, struct wr_error *err) {
    if (scheduler->members < scheduler->room)
        return WR_OK;
    const size_t room = scheduler->room ? 2 * scheduler->room : ROOM_AT_FIRST;
    struct wr_scheduler_entry **queue = realloc(scheduler->queue, (room + 1) * sizeof(struct wr_scheduler_entry *));
    if (!queue)
        return wr_error_set(err, WR_NO_MEMORY, "no memory to schedule %zu tasks", room);
    scheduler->queue = queue;
    scheduler->room = room;
    return WR_OK;
}

enum wr_result wr_scheduler_add(struct wr_scheduler *scheduler, struct wr_scheduler_entry *entry, struct wr_error *err) {
    const struct wr_scheduler_plan *plan = &entry->plan;
    if (plan->first_boot_ns < 0 || plan->every_ns < 0 || plan->jitter_ns < 0 || plan->grace_ns < 0)
        return wr_error_set(err, WR_INVALID, "%s: a time to run at is not negative", plan->name);
    if (plan->every_ns > 0 && plan->jitter_ns >= plan->every_ns)
        return wr_error_set(err, WR_INVALID, "%s: the jitter must be shorter than the interval", plan->name);
    WR_TRY(make_room(scheduler, err));
    scheduler->members++;
    entry->runs = 0;
    entry->missed = 0;
    entry->taken = false;
    plan_for(scheduler, entry, plan->first_boot_ns);
    insert(scheduler, entry);
    return WR_OK;
}

void wr_scheduler_remove(struct wr_scheduler *scheduler, struct wr_scheduler_entry *entry) {
    if (entry->at > 0)
        take_out(scheduler, entry);
    else if (!entry->taken)
        return; /* it ran its one time */
    entry->taken = false;
    scheduler->members--;
}

int64_t wr_scheduler_next(const struct wr_scheduler *scheduler) {
    return scheduler->n > 0 ? scheduler->queue[1]->due_ns : WR_NEVER_NS;
}

struct wr_scheduler_entry *wr_scheduler_take(struct wr_scheduler *scheduler, int64_t now_ns) {
    while (wr_scheduler_next(scheduler) <= now_ns && scheduler->n > 0) {
        struct wr_scheduler_entry *entry = scheduler->queue[1];
        take_out(scheduler, entry);
        pass_missed(scheduler, entry, now_ns);
        if (entry->due_ns <= now_ns) {
            entry->taken = true;
            return entry;
        }
        insert(scheduler, entry);
    }
    return NULL;
}

void wr_scheduler_done(struct wr_scheduler *scheduler, struct wr_scheduler_entry *entry) {
    assert(entry->taken);
    entry->taken = false;
    entry->runs++;
    if (entry->plan.every_ns == 0) {
        scheduler->members--;
        return;
    }
    plan_for(scheduler, entry, wr_clock_add_ns(entry->slot_ns, entry->plan.every_ns));
    insert(scheduler, entry);
}

void wr_scheduler_put_off(struct wr_scheduler *scheduler, struct wr_scheduler_entry *entry, int64_t at_ns) {
    assert(entry->taken);
    entry->taken = false;
    entry->due_ns = at_ns > entry->due_ns ? at_ns : entry->due_ns;
    insert(scheduler, entry);
}

bool wr_scheduler_is_valid(const struct wr_scheduler *scheduler) {
    if (scheduler->n > scheduler->members || scheduler->members > scheduler->room)
        return false;
    for (size_t at = 1; at <= scheduler->n; at++) {
        const struct wr_scheduler_entry *entry = scheduler->queue[at];
        if (entry->at != at || entry->taken || (at > 1 && goes_before(entry, scheduler->queue[at / 2])))
            return false;
    }
    return true;
}
