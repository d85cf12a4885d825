/* What must be true of the world: W1 to W5 and W8 of world.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/history.h"
#include "store/store.h"
#include "tests/sim/check.h"
#include "tests/sim/world_private.h"

/* -- the books -------------------------------------------------------------------------------------------------------------------------------- */

struct sums {
    uint64_t received; /* of the intake */
    uint64_t taken;    /* of all windows */
    uint64_t held;
    uint64_t delivered;
    uint64_t crash;
    uint64_t evicted;
    uint64_t merged; /* of those that came into the windows */
};

static bool is_intake(const struct wr_account_balance *balance) {
    return strcmp(balance->account.window, WR_LEDGER_INTAKE) == 0;
}

/* W1 */
static struct sums add_up(const char *when, const struct wr_account_balance *balances, uint32_t n) {
    struct sums sums = {0};
    for (uint32_t i = 0; i < n; i++) {
        const struct wr_account_balance *balance = &balances[i];
        uint64_t left, right;
        SIM_ASSERT(wr_balance_check(balance, &left, &right), "%s: account %s/%s: %" PRIu64 " is not %" PRIu64, when,
                   balance->account.source, balance->account.window, left, right);
        sums.crash += balance->books[WR_BOOK_DROPPED_CRASH];
        if (is_intake(balance)) {
            sums.received += balance->books[WR_BOOK_RECEIVED];
            continue;
        }
        sums.taken += balance->books[WR_BOOK_TAKEN];
        sums.held += wr_balance_held(balance);
        sums.delivered += balance->books[WR_BOOK_DELIVERED];
        sums.evicted += balance->books[WR_BOOK_DROPPED_EVICTED];
        sums.merged += balance->books[WR_BOOK_MERGED];
    }
    return sums;
}

void sim_world_check_audit(struct sim_world *world, struct wr_audit *audit) {
    (void)add_up("a live audit", audit->balances, audit->n);
    wr_audit_fini(audit);
    world->outcome.audits++;
}

/* -- W4: what a kill may take ------------------------------------------------------------------------------------------------------------------- */

void sim_world_remember(struct sim_world *world, uint32_t n) {
    (void)n;
    world->past[world->n_past++ % SIM_GIVEN] = (struct sim_given){wr_clock_boot_ns(&world->clock.clock), world->given};
}

static uint64_t given_at(const struct sim_world *world, int64_t boot_ns) {
    for (uint64_t i = world->n_past; i > 0 && i + SIM_GIVEN > world->n_past; i--)
        if (world->past[(i - 1) % SIM_GIVEN].at_ns <= boot_ns)
            return world->past[(i - 1) % SIM_GIVEN].given;
    return 0;
}

static void check_received(struct sim_world *world, uint64_t received) {
    const uint64_t booked = received + world->outcome.unbooked;
    SIM_ASSERT(booked <= world->given, "%" PRIu64 " readings are booked, %" PRIu64 " were given", booked, world->given);
    const uint64_t lost = world->given - booked;
    const uint64_t may = world->killed_ns == WR_NEVER_NS ? 0 : world->given - given_at(world, world->counted_ns);
    SIM_ASSERT(lost <= may, "%" PRIu64 " readings are not booked, %" PRIu64 " may be", lost, may);
    world->outcome.unbooked += lost;
}

/* -- W2, W3: every segment ----------------------------------------------------------------------------------------------------------------------- */

static struct sim_seen *seen_at(struct sim_world *world, int64_t seq) {
    if (seq >= world->n_segments) {
        const int64_t n = 2 * seq + 64;
        world->segments = realloc(world->segments, (size_t)n * sizeof *world->segments);
        SIM_ASSERT(world->segments, "no memory");
        memset(world->segments + world->n_segments, 0, (size_t)(n - world->n_segments) * sizeof *world->segments);
        world->n_segments = n;
    }
    return &world->segments[seq];
}

/* Its readings. */
static uint64_t look_at(struct sim_world *world, const struct wr_segment *segment, bool acknowledged, uint64_t *news) {
    struct sim_seen *seen = seen_at(world, segment->seq);
    const uint64_t hash = sim_receiver_hash(segment->body, segment->body_len);
    const uint64_t there = sim_receiver_has(world->receiver, segment->epoch, segment->seq);
    SIM_ASSERT(seen->hash == 0 || seen->hash == hash, "segment %" PRId64 " is another one than before", segment->seq);
    SIM_ASSERT(!acknowledged || there != 0, "segment %" PRId64 " is acknowledged, and the receiver does not have it", segment->seq);
    SIM_ASSERT(there == 0 || there == hash, "segment %" PRId64 " is another one at the receiver", segment->seq);
    if (seen->hash == 0) {
        seen->readings = sim_receiver_readings(world->receiver, segment->body, segment->body_len);
        *news += seen->readings;
    }
    seen->hash = hash;
    seen->looked_at = world->lives;
    return seen->readings;
}

/* All readings of it. As a query, not as an uplink: what an uplink was given is never merged. */
static uint64_t look_at_what_is_to_be_sent(struct sim_world *world, struct wr_store *store, uint64_t *news) {
    uint64_t readings = 0;
    for (unsigned lane = 0; lane < WR_LANES; lane++) {
        struct wr_history_walk walk = {.lane = (enum wr_lane)lane, .from_ns = INT64_MIN, .to_ns = INT64_MAX};
        while (!walk.is_over) {
            struct wr_segment_head heads[WR_HISTORY_HEADS];
            uint32_t n;
            SIM_MUST(wr_store_heads(store, &walk, heads, &n, NULL));
            for (uint32_t i = 0; i < n; i++) {
                struct wr_segment segment;
                if (heads[i].delivered)
                    continue;
                SIM_MUST(wr_store_get(store, heads[i].seq, &segment, NULL));
                readings += look_at(world, &segment, false, news);
                wr_segment_free(&segment);
            }
        }
    }
    return readings;
}

static int64_t newest(const struct wr_store *store) {
    int64_t seq = 0;
    for (unsigned lane = 0; lane < WR_LANES; lane++)
        if (wr_store_newest(store, (enum wr_lane)lane) > seq)
            seq = wr_store_newest(store, (enum wr_lane)lane);
    return seq;
}

/* What is gone since the last check is booked as evicted, or is part of a segment that was not there before, or that came and was delivered meanwhile; what is there is
 * what the books hold. */
static void check_segments(struct sim_world *world, struct wr_store *store, const struct sums *sums) {
    uint64_t gone = 0;
    uint64_t news = 0;
    const uint64_t held = look_at_what_is_to_be_sent(world, store, &news);
    SIM_ASSERT(held == sums->held, "the segments hold %" PRIu64 " readings, the books %" PRIu64, held, sums->held);
    const int64_t last = newest(store);
    for (int64_t seq = 1; seq <= last || seq < world->n_segments; seq++) {
        struct wr_segment segment;
        struct sim_seen *seen = seen_at(world, seq);
        if (seen->looked_at == world->lives)
            continue;
        if (wr_store_get(store, seq, &segment, NULL) == WR_OK) {
            (void)look_at(world, &segment, true, &news);
            wr_segment_free(&segment);
        } else if (seen->hash != 0 && !seen->is_gone && sim_receiver_has(world->receiver, world->epoch, seq) == 0) {
            seen->is_gone = true;
            gone += seen->readings;
        }
    }
    const uint64_t evicted = sums->evicted - world->evicted;
    const uint64_t merged = sums->merged > 0 ? news + sums->delivered - world->delivered : 0; /* at most */
    SIM_ASSERT(gone <= evicted + merged,
               "%" PRIu64 " readings of committed segments are gone, %" PRIu64 " are booked as evicted, %" PRIu64 " may be merged", gone,
               evicted, merged);
    world->evicted = sums->evicted;
    world->delivered = sums->delivered;
}

/* -- when ------------------------------------------------------------------------------------------------------------------------------------- */

static struct sums sums_of(const struct wr_store *store) {
    struct wr_account_balance *balances;
    uint32_t n;
    SIM_MUST(wr_store_balances(store, &balances, &n));
    const struct sums sums = add_up("at a start", balances, n);
    free(balances);
    return sums;
}

void sim_world_check_start(struct sim_world *world) {
    struct wr_store *store = sim_node_store(world->node);
    const struct wr_store_report *report = sim_node_report(world->node);
    SIM_ASSERT(store, "the store does not open");
    SIM_ASSERT(!report->quarantined, "the store was broken and is renamed aside");
    SIM_ASSERT(world->killed_ns != WR_NEVER_NS || !report->unclean, "a clean stop is not clean");
    SIM_ASSERT(world->epoch == 0 || wr_store_epoch(store) == world->epoch, "the store was begun anew");
    world->epoch = wr_store_epoch(store);
    const struct sums sums = sums_of(store);
    check_received(world, sums.received);
    check_segments(world, store, &sums);
    (void)sim_central_check(sim_receiver_central(world->receiver));
    world->counted_ns = wr_clock_boot_ns(&world->clock.clock);
    world->commits = 0;
}

bool sim_world_all_is_delivered(struct sim_world *world) {
    const struct wr_store_stats *stats = wr_store_stats(sim_node_store(world->node));
    uint64_t left = 0;
    for (unsigned lane = 0; lane < WR_LANES; lane++)
        left += stats->unacked_segments[lane];
    return left == 0;
}

/* W5 */
void sim_world_check_end(struct sim_world *world) {
    const struct sums sums = sums_of(sim_node_store(world->node));
    const struct sim_receiver_counts *there = sim_receiver_counts(world->receiver);
    SIM_ASSERT(sums.held == 0, "%" PRIu64 " readings were not delivered in a day", sums.held);
    SIM_ASSERT(sums.delivered <= there->readings && there->readings <= sums.delivered + sums.evicted,
               "%" PRIu64 " readings are booked as delivered, %" PRIu64 " as evicted, the receiver has %" PRIu64, sums.delivered,
               sums.evicted, there->readings);
    SIM_ASSERT(sim_central_check(sim_receiver_central(world->receiver)) > 0, "no ledger record came");
    world->outcome.given = world->given;
    world->outcome.delivered = sums.delivered;
    world->outcome.crash = sums.crash;
    world->outcome.evicted = sums.evicted;
    world->outcome.merged = sums.merged;
    world->outcome.segments = there->segments;
    world->outcome.twice = there->twice;
}

void sim_world_forget(struct sim_world *world) {
    free(world->segments);
}
