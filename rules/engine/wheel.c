#include "rules/engine/wheel.h"

#include <assert.h>
#include <string.h>

#define SLOT_BITS 6

static struct wr_wheel_node *node_at(const struct wr_wheel *wheel, uint32_t index) {
    return (struct wr_wheel_node *)(void *)((char *)wr_slab_at(wheel->slab, index) + wheel->node_offset);
}

void wr_wheel_init(struct wr_wheel *wheel, const struct wr_slab *slab, size_t node_offset) {
    *wheel = (struct wr_wheel){.slab = slab, .node_offset = node_offset};
    memset(wheel->slots, 0xff, sizeof wheel->slots);
}

void wr_wheel_node_init(struct wr_wheel_node *node) {
    *node = (struct wr_wheel_node){.next = WR_SLAB_NONE, .prev = WR_WHEEL_IDLE};
}

/* A timer's level is that of the highest digit (base 64) in which it differs from elapsed: in the levels below it the wheel turns round
 * at least once before it is due. So a slot never holds timers of two rounds, and the next one is found by the lowest bit at or above
 * the hand. Invariants: every armed timer stands at or after elapsed, or in the slot of elapsed at level 0 (due at once). */
static void locate(const struct wr_wheel *wheel, uint32_t tick, unsigned *ret_level, unsigned *ret_slot) {
    int32_t ahead = (int32_t)(tick - (uint32_t)wheel->elapsed);
    uint64_t when = ahead > 0 ? wheel->elapsed + (uint32_t)ahead : wheel->elapsed;
    uint64_t differs = (when ^ wheel->elapsed) | 1;
    *ret_level = (63 - (unsigned)__builtin_clzll(differs)) / SLOT_BITS;
    assert(*ret_level < WR_WHEEL_LEVELS);
    *ret_slot = (unsigned)(when >> (*ret_level * SLOT_BITS)) & (WR_WHEEL_SLOTS - 1);
}

static void link_in(struct wr_wheel *wheel, uint32_t index, struct wr_wheel_node *node) {
    unsigned level;
    unsigned slot;
    locate(wheel, node->tick, &level, &slot);
    uint32_t *head = &wheel->slots[level][slot];
    node->next = *head;
    node->prev = WR_SLAB_NONE;
    if (*head != WR_SLAB_NONE)
        node_at(wheel, *head)->prev = index;
    *head = index;
    wheel->occupied[level] |= UINT64_C(1) << slot;
}

/* Takes the first element of a slot out. */
static uint32_t unlink_head(struct wr_wheel *wheel, unsigned level, unsigned slot) {
    uint32_t index = wheel->slots[level][slot];
    uint32_t next = node_at(wheel, index)->next;
    wheel->slots[level][slot] = next;
    if (next == WR_SLAB_NONE)
        wheel->occupied[level] &= ~(UINT64_C(1) << slot);
    else
        node_at(wheel, next)->prev = WR_SLAB_NONE;
    return index;
}

/* The slot of which this element is the first. At each level that can only be the slot of the timer's own digit; at level 0 also that of
 * the hand, where what was overdue when it was armed stands. */
static void find_head(const struct wr_wheel *wheel, uint32_t index, uint32_t tick, unsigned *ret_level, unsigned *ret_slot) {
    uint64_t when = wheel->elapsed + (uint64_t)(int64_t)(int32_t)(tick - (uint32_t)wheel->elapsed);
    bool found = wheel->slots[0][wheel->elapsed & (WR_WHEEL_SLOTS - 1)] == index;
    *ret_level = 0;
    *ret_slot = (unsigned)wheel->elapsed & (WR_WHEEL_SLOTS - 1);
    for (unsigned level = 0; level < WR_WHEEL_LEVELS && !found; level++) {
        *ret_level = level;
        *ret_slot = (unsigned)(when >> (level * SLOT_BITS)) & (WR_WHEEL_SLOTS - 1);
        found = wheel->slots[level][*ret_slot] == index;
    }
    assert(found);
}

static void unlink_node(struct wr_wheel *wheel, uint32_t index, struct wr_wheel_node *node) {
    if (node->prev == WR_SLAB_NONE) {
        unsigned level;
        unsigned slot;
        find_head(wheel, index, node->tick, &level, &slot);
        (void)unlink_head(wheel, level, slot);
        return;
    }
    node_at(wheel, node->prev)->next = node->next;
    if (node->next != WR_SLAB_NONE)
        node_at(wheel, node->next)->prev = node->prev;
}

void wr_wheel_arm(struct wr_wheel *wheel, uint32_t index, uint32_t tick, uint64_t now_tick) {
    struct wr_wheel_node *node = node_at(wheel, index);
    if (node->prev != WR_WHEEL_IDLE) {
        if (node->tick == tick)
            return;
        unlink_node(wheel, index, node);
        wheel->armed--;
    }
    if (wheel->armed == 0 && wheel->elapsed < now_tick)
        wheel->elapsed = now_tick;
    node->tick = tick;
    link_in(wheel, index, node);
    wheel->armed++;
}

void wr_wheel_disarm(struct wr_wheel *wheel, uint32_t index) {
    struct wr_wheel_node *node = node_at(wheel, index);
    if (node->prev == WR_WHEEL_IDLE)
        return;
    unlink_node(wheel, index, node);
    wr_wheel_node_init(node);
    wheel->armed--;
}

/* The occupied slot that begins first; of two that begin together the lower level, whose timers are due. */
static bool first_slot(const struct wr_wheel *wheel, unsigned *ret_level, unsigned *ret_slot, uint64_t *ret_begin) {
    bool found = false;
    for (unsigned level = 0; level < WR_WHEEL_LEVELS; level++) {
        if (!wheel->occupied[level])
            continue;
        unsigned shift = level * SLOT_BITS;
        unsigned hand = (unsigned)(wheel->elapsed >> shift) & (WR_WHEEL_SLOTS - 1);
        uint64_t ahead = wheel->occupied[level] >> hand;
        assert(ahead); /* no timer stands behind the hand */
        unsigned slot = hand + (unsigned)__builtin_ctzll(ahead);
        uint64_t begin = ((wheel->elapsed >> shift >> SLOT_BITS << SLOT_BITS) + slot) << shift;
        if (!found || begin < *ret_begin) {
            *ret_level = level;
            *ret_slot = slot;
            *ret_begin = begin;
            found = true;
        }
    }
    return found;
}

uint32_t wr_wheel_pop(struct wr_wheel *wheel, uint64_t now_tick, uint32_t *budget, bool *ret_more) {
    unsigned level = 0;
    unsigned slot = 0;
    uint64_t begin = 0;
    *ret_more = false;
    while (first_slot(wheel, &level, &slot, &begin) && begin <= now_tick) {
        if (*budget == 0) {
            *ret_more = true;
            return WR_SLAB_NONE;
        }
        (*budget)--;
        if (wheel->elapsed < begin)
            wheel->elapsed = begin;
        uint32_t index = unlink_head(wheel, level, slot);
        struct wr_wheel_node *node = node_at(wheel, index);
        if (level == 0) {
            wr_wheel_node_init(node);
            wheel->armed--;
            return index;
        }
        link_in(wheel, index, node); /* its digit at this level equals that of elapsed now: it goes down */
    }
    if (wheel->elapsed < now_tick)
        wheel->elapsed = now_tick;
    return WR_SLAB_NONE;
}

uint64_t wr_wheel_next(const struct wr_wheel *wheel) {
    unsigned level = 0;
    unsigned slot = 0;
    uint64_t begin = 0;
    return first_slot(wheel, &level, &slot, &begin) ? begin : UINT64_MAX;
}
