#include "store/store_private.h"

static int64_t distance(int64_t a, int64_t b) {
    int64_t d;
    if (__builtin_sub_overflow(a > b ? a : b, a > b ? b : a, &d))
        return INT64_MAX;
    return d;
}

static struct wr_correction correction_of(const struct wr_store *store, const struct wr_wall *wall) {
    return (struct wr_correction){.from_ns = wr_clock_add_ns(wall->from_boot_ns, wall->offset_ns),
                                  .to_ns = wr_clock_add_ns(wall->to_boot_ns, wall->offset_ns),
                                  .move_ns = store->walls.present.offset_ns - wall->offset_ns};
}

static void keep(struct wr_walls *walls) {
    if (walls->n == WR_STORE_WALLS) {
        for (uint32_t i = 1; i < walls->n; i++)
            walls->before[i - 1] = walls->before[i];
        walls->n--;
    }
    walls->before[walls->n++] = walls->present;
}

/* What is in the open segments is of the clock that was the present one until now, also where that one did not stamp it: back to the boot. */
static void move_open(struct wr_store *store, const struct wr_wall *wall) {
    struct wr_correction correction = correction_of(store, wall);
    correction.from_ns = wall->offset_ns;
    for (int lane = 0; lane < WR_LANES; lane++) {
        struct wr_open_segment *open = &store->lanes[lane].open;
        for (uint32_t i = 0; i < open->n; i++)
            open->moved |= wr_correction_start(&correction, &open->records[i].start_ns, open->records[i].window_ns);
    }
}

static bool is_same(const struct wr_wall *a, const struct wr_wall *b) {
    return a->trusted == b->trusted && distance(a->offset_ns, b->offset_ns) <= WR_STORE_WALL_STEP_NS;
}

bool wr_walls_is_present(const struct wr_store *store, const struct wr_wall *wall) {
    return is_same(&store->walls.present, wall);
}

void wr_walls_look(struct wr_store *store, const struct wr_now *now) {
    struct wr_walls *walls = &store->walls;
    const int64_t offset_ns = now->wall_ns - now->boot_ns;
    const struct wr_wall present = {
        .offset_ns = offset_ns, .from_boot_ns = walls->known ? now->boot_ns : 0, .to_boot_ns = now->boot_ns, .trusted = now->wall_trusted};
    const bool same = walls->known && is_same(&walls->present, &present);
    if (same || !walls->known) {
        walls->present = same ? walls->present : present;
        walls->present.to_boot_ns = now->boot_ns;
        walls->known = true;
        return;
    }
    walls->present.to_boot_ns = now->boot_ns;
    const struct wr_wall before = walls->present;
    if (!before.trusted)
        keep(walls);
    walls->present = present;
    if (!before.trusted)
        move_open(store, &before);
}

/* The latest clock that can have stamped it counts: one that stood still in a suspend shows some times twice. */
bool wr_walls_start(const struct wr_store *store, int64_t *start_ns, int64_t window_ns) {
    const struct wr_walls *walls = &store->walls;
    const struct wr_correction present = correction_of(store, &walls->present);
    if (*start_ns >= present.from_ns && *start_ns <= present.to_ns)
        return false;
    for (uint32_t i = walls->n; i > 0; i--) {
        const struct wr_correction correction = correction_of(store, &walls->before[i - 1]);
        if (wr_correction_start(&correction, start_ns, window_ns))
            return true;
    }
    return false;
}

bool wr_walls_alarm(const struct wr_store *store, struct wr_alarm *alarm) {
    const int64_t wall_ns = alarm->wall_ns;
    const bool moved = wr_walls_start(store, &alarm->wall_ns, 0);
    if (moved && alarm->until_wall_ns != 0)
        alarm->until_wall_ns = wr_clock_add_ns(alarm->until_wall_ns, alarm->wall_ns - wall_ns);
    return wr_walls_start(store, &alarm->event_ns, 0) || moved;
}
