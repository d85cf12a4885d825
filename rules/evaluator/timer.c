#include "rules/evaluator/timer.h"

#include <stdlib.h>

#include "core/clock.h"

void wr_timer_init(struct wr_timer_heap *timers) {
    *timers = (struct wr_timer_heap){0};
}

void wr_timer_fini(struct wr_timer_heap *timers) {
    free(timers->heap);
    free(timers->position);
    wr_timer_init(timers);
}

enum wr_result wr_timer_reserve(struct wr_timer_heap *timers, uint32_t ids) {
    if (ids <= timers->ids)
        return WR_OK;
    struct wr_timer *heap = realloc(timers->heap, ids * sizeof *heap);
    if (!heap)
        return WR_NO_MEMORY;
    timers->heap = heap;
    uint32_t *position = realloc(timers->position, ids * sizeof *position);
    if (!position)
        return WR_NO_MEMORY;
    timers->position = position;
    for (uint32_t id = timers->ids; id < ids; id++)
        position[id] = WR_TIMER_NONE;
    timers->ids = ids;
    return WR_OK;
}

static void place(struct wr_timer_heap *timers, uint32_t at, struct wr_timer timer) {
    timers->heap[at] = timer;
    timers->position[timer.id] = at;
}

static void sift_up(struct wr_timer_heap *timers, uint32_t at) {
    struct wr_timer timer = timers->heap[at];
    while (at > 0 && timers->heap[(at - 1) / 2].due_boot_ns > timer.due_boot_ns) {
        place(timers, at, timers->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    place(timers, at, timer);
}

static void sift_down(struct wr_timer_heap *timers, uint32_t at) {
    struct wr_timer timer = timers->heap[at];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= timers->n)
            break;
        if (child + 1 < timers->n && timers->heap[child + 1].due_boot_ns < timers->heap[child].due_boot_ns)
            child++;
        if (timers->heap[child].due_boot_ns >= timer.due_boot_ns)
            break;
        place(timers, at, timers->heap[child]);
        at = child;
    }
    place(timers, at, timer);
}

void wr_timer_arm(struct wr_timer_heap *timers, uint32_t id, int64_t due_boot_ns) {
    if (due_boot_ns == WR_NEVER_NS)
        return;
    uint32_t at = timers->position[id];
    if (at == WR_TIMER_NONE)
        at = timers->n++;
    else if (timers->heap[at].due_boot_ns <= due_boot_ns)
        return;
    timers->heap[at] = (struct wr_timer){due_boot_ns, id};
    sift_up(timers, at);
}

void wr_timer_disarm(struct wr_timer_heap *timers, uint32_t id) {
    uint32_t at = timers->position[id];
    if (at == WR_TIMER_NONE)
        return;
    timers->position[id] = WR_TIMER_NONE;
    struct wr_timer moved = timers->heap[--timers->n];
    if (moved.id == id)
        return;
    place(timers, at, moved);
    sift_up(timers, at);
    sift_down(timers, timers->position[moved.id]);
}

int64_t wr_timer_next(const struct wr_timer_heap *timers) {
    return timers->n > 0 ? timers->heap[0].due_boot_ns : WR_NEVER_NS;
}

bool wr_timer_take(struct wr_timer_heap *timers, int64_t now_boot_ns, uint32_t *ret_id) {
    if (timers->n == 0 || timers->heap[0].due_boot_ns > now_boot_ns)
        return false;
    *ret_id = timers->heap[0].id;
    wr_timer_disarm(timers, *ret_id);
    return true;
}

bool wr_timer_is_valid(const struct wr_timer_heap *timers) {
    for (uint32_t at = 0; at < timers->n; at++) {
        if (timers->position[timers->heap[at].id] != at)
            return false;
        if (at > 0 && timers->heap[(at - 1) / 2].due_boot_ns > timers->heap[at].due_boot_ns)
            return false;
    }
    return true;
}
