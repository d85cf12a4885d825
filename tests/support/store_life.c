#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/store_life_private.h"

#define DAY_NS (86400 * WR_NS_PER_S)
#define STEPS 400 /* of a run without a cut */

static uint64_t below(struct store_life *life, uint64_t end) {
    return wr_random_below(&life->dice, end);
}

bool store_life_break(struct store_life *life, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (life->broken[0] == 0)
        vsnprintf(life->broken, sizeof life->broken, format, arguments);
    va_end(arguments);
    return false;
}

bool store_life_is_dark(const struct store_life *life) {
    return wr_fault_vfs_is_dark(life->disk);
}

static bool is_hit(struct store_life *life) {
    life->hurt |= life->faults && life->faults->hit(life->faults->user);
    return life->hurt;
}

bool store_life_fine(struct store_life *life, enum wr_result result, const char *doing) {
    if (result == WR_OK || store_life_is_dark(life))
        return true;
    if (is_hit(life) && life->faults) {
        if (life->fixture.err.text[0] == 0)
            BREAK("%s: %s, and no text says why", doing, wr_result_name(result));
        return true;
    }
    BREAK("%s: %s: %s", doing, wr_result_name(result), life->fixture.err.text);
}

void store_life_note(struct store_life *life) {
    struct wr_account_balance *balances;
    uint32_t n;
    if (wr_store_balances(life->fixture.store, &balances, &n) != WR_OK) { /* no memory */
        balances = NULL;
        n = 0;
    }
    for (uint32_t i = 0; i < n; i++)
        for (int account = 0; account < 2; account++)
            if (strcmp(balances[i].account.window, store_accounts[account].window) == 0)
                life->promised[account] = balances[i].books[WR_BOOK_STORED];
    free(balances);
    uint64_t journalled = wr_store_journalled(life->fixture.store);
    life->journalled += journalled - life->journalled_run;
    life->journalled_run = journalled;
    for (int key = 0; key < STORE_LIFE_SNAPS; key++)
        if (life->entry_number[key] > 0 && life->entry_number[key] <= journalled)
            life->version[key] = life->entry_version[key];
}

/* Work */

/* The sums of what was taken up to now. */
static void note_given(struct store_life *life, uint32_t from, uint32_t taken) {
    if (life->n_given == STORE_LIFE_GIVEN)
        return;
    struct store_life_given *given = &life->given[life->n_given];
    *given = life->n_given > 0 ? given[-1] : (struct store_life_given){0};
    given->boot_ns = life->fixture.now.boot_ns;
    for (uint32_t i = from; i < from + taken; i++)
        given->sum[life->fixture.handover.aggregates[i].account] += STORE_LIFE_PER_AGGREGATE;
    life->n_given++;
}

bool store_life_give_rest(struct store_life *life) {
    struct store_fixture *fixture = &life->fixture;
    if (fixture->handover.n == 0)
        return true;
    uint32_t taken = 0;
    enum wr_result result = wr_store_take(fixture->store, &fixture->handover, life->from, &fixture->now, &taken, &fixture->err);
    note_given(life, life->from, taken);
    life->from += taken;
    if (result == WR_OK && life->from != fixture->handover.n)
        BREAK("take said yes and took %u of %u", life->from, fixture->handover.n);
    if (result == WR_OK || store_life_is_dark(life))
        fixture->handover.n = life->from = 0;
    return store_life_fine(life, result, "take");
}

static bool give(struct store_life *life) {
    struct store_fixture *fixture = &life->fixture;
    if (fixture->handover.n > 0)
        return store_life_give_rest(life);
    uint32_t account = below(life, 4) == 0 ? 0 : 1;
    uint32_t n = 1 + (uint32_t)below(life, WR_HANDOVER_AGGREGATES);
    store_fixture_fill(fixture, account, n, STORE_LIFE_PER_AGGREGATE);
    if (below(life, 3) != 0)
        store_fixture_noise(&life->fixture, 0, &life->dice);
    life->handed[account] += (uint64_t)n * STORE_LIFE_PER_AGGREGATE;
    return store_life_give_rest(life);
}

static bool flush(struct store_life *life) {
    enum wr_result result = wr_store_flush(life->fixture.store, &life->fixture.now, &life->fixture.err);
    if (result == WR_OK && life->n_given > 0)
        memcpy(life->flushed, life->given[life->n_given - 1].sum, sizeof life->flushed);
    if (result == WR_OK)
        life->spent_kept = life->spent;
    return store_life_fine(life, result, "flush");
}

/* Time goes on, and the store gets its turn whenever it wants one. */
bool store_life_pass(struct store_life *life, int64_t ns) {
    struct store_fixture *fixture = &life->fixture;
    int64_t until = fixture->now.boot_ns + ns;
    for (int i = 0; !store_life_is_dark(life); i++) {
        int64_t due = wr_store_due(fixture->store);
        if (due > until)
            break;
        if (i > 10000)
            BREAK("the store is never content");
        life->fixture.err.text[0] = 0;
        if (due > fixture->now.boot_ns)
            store_fixture_advance(fixture, due - fixture->now.boot_ns);
        TRY(store_life_fine(life, wr_store_tick(fixture->store, &fixture->now, &fixture->err), "tick"));
    }
    if (!store_life_is_dark(life))
        store_fixture_advance(fixture, until - fixture->now.boot_ns);
    return true;
}

static enum wr_lane any_lane(struct store_life *life) {
    return (enum wr_lane)below(life, WR_LANE_WINDOWS + 1);
}

/* What the uplink does: the next segment, its seq on disk before it goes out, later its answer. */
static bool publish(struct store_life *life) {
    struct store_fixture *fixture = &life->fixture;
    enum wr_lane lane = any_lane(life);
    struct wr_segment segment;
    enum wr_result result = wr_store_next(fixture->store, lane, life->sent[lane], INT64_MAX, &fixture->now, &segment, &fixture->err);
    if (result == WR_EMPTY)
        return true;
    TRY(store_life_fine(life, result, "next"));
    if (result != WR_OK)
        return true;
    life->sent[lane] = segment.seq;
    bool good = store_life_meet(life, &segment);
    int64_t seq = segment.seq;
    wr_segment_free(&segment);
    TRY(good);
    return store_life_fine(life, wr_store_offer(fixture->store, lane, seq, &fixture->now, &fixture->err), "offer");
}

static bool acknowledge(struct store_life *life) {
    struct store_fixture *fixture = &life->fixture;
    enum wr_lane lane = any_lane(life);
    if (life->sent[lane] == 0)
        return true;
    int64_t last = life->sent[lane] - (int64_t)below(life, 3);
    int64_t first = below(life, 3) == 0 ? last - (int64_t)below(life, 12) : last;
    enum wr_result result = wr_store_ack(fixture->store, lane, first, last, &fixture->now, &fixture->err);
    if (result == WR_FULL)
        return true;
    TRY(store_life_fine(life, result, "ack"));
    for (int64_t seq = first > 0 ? first : 1; seq <= last; seq++) { /* also when the power went in it: perhaps it did it */
        struct store_life_known *known = &life->known[seq];
        if (known->lane != lane || (known->fate != HELD && known->fate != PARKED))
            continue;
        known->fate = SAID;
        life->said[store_life_account(known)] += store_life_readings(known);
        life->numbers.delivered += store_life_readings(known);
    }
    return true;
}

static bool park(struct store_life *life) {
    enum wr_lane lane = any_lane(life);
    int64_t seq = life->sent[lane];
    if (seq == 0 || life->known[seq].lane != lane || life->known[seq].fate != HELD)
        return true;
    if (wr_store_park(life->fixture.store, lane, seq) == WR_OK)
        life->known[seq].fate = PARKED;
    return true;
}

static bool raise_alarm(struct store_life *life) {
    struct store_fixture *fixture = &life->fixture;
    uint64_t key = below(life, STORE_LIFE_SNAPS);
    struct wr_alarm_entry entry = {.alarm = {.id = key, .transition = (uint32_t)++life->next_version, .rule = "hot"},
                                   .snap_len = sizeof life->next_version};
    memcpy(entry.snap, &life->next_version, sizeof life->next_version);
    uint32_t taken = 0;
    TRY(store_life_fine(life, wr_store_alarms(fixture->store, &entry, 1, &fixture->now, &taken, &fixture->err), "alarms"));
    if (taken == 1) {
        life->entry_version[key] = life->next_version;
        life->entry_number[key] = ++life->entries;
    }
    return true;
}

/* What was spent of a budget. */
static bool spend(struct store_life *life) {
    if (life->n_counts == STORE_LIFE_COUNTS)
        return true;
    life->spent += 1 + below(life, 100);
    const struct wr_budget_count count = {.spent = life->spent, .counted_ns = 1};
    const bool urgent = below(life, 4) == 0;
    wr_store_count_put(life->fixture.store, 0, &count, urgent, &life->fixture.now);
    life->counts[life->n_counts++] = (struct store_life_count){life->fixture.now.boot_ns, life->spent, urgent};
    return true;
}

/* The equations hold at any time, whatever failed. */
static bool look_at_books(struct store_life *life) {
    struct wr_account_balance *balances;
    uint32_t n;
    bool good = true;
    if (wr_store_balances(life->fixture.store, &balances, &n) != WR_OK)
        return true; /* no memory */
    for (uint32_t i = 0; i < n && good; i++)
        if (!wr_balance_check(&balances[i], NULL, NULL) && life->fixture.handover.n == 0)
            good = store_life_break(life, "while it works: %s/%s does not balance", balances[i].account.source, balances[i].account.window);
    free(balances);
    return good;
}

static bool one_step(struct store_life *life) {
    uint64_t what = below(life, 26);
    if (life->offline && what >= 9 && what <= 15)
        what = 16;
    switch (what) {
    case 0:
        return flush(life);
    case 1:
        return raise_alarm(life);
    case 2:
        return park(life);
    case 3:
        return look_at_books(life);
    case 4:
        return store_life_pass(life, (int64_t)below(life, 20) * 60 * WR_NS_PER_S);
    case 5:
    case 6:
    case 7:
    case 8:
        return store_life_pass(life, (int64_t)below(life, 1500) * WR_NS_PER_MS);
    case 9:
    case 10:
    case 11:
    case 12:
        return publish(life);
    case 13:
    case 14:
    case 15:
        return acknowledge(life);
    case 24:
    case 25:
        return spend(life);
    default:
        return give(life);
    }
}

/* Runs */

void store_life_begin(struct store_life *life) {
    life->n_given = 0;
    life->n_counts = 0;
    life->hurt = false;
    life->journalled_run = life->entries = 0;
    memset(life->flushed, 0, sizeof life->flushed);
    memset(life->sent, 0, sizeof life->sent);
    memset(life->entry_number, 0, sizeof life->entry_number);
}

void store_life_work(struct store_life *life, uint64_t steps) {
    for (uint64_t i = 0; i < steps && !store_life_is_dark(life) && life->highest < STORE_LIFE_SEGMENTS - 64; i++) {
        life->fixture.err.text[0] = 0;
        bool good = one_step(life) && store_life_learn(life);
        store_life_note(life);
        if (!good)
            return;
    }
}

/* At some sync, some write, or any call. */
static void plan_a_cut(struct store_life *life, uint64_t shorter) {
    static const struct {
        unsigned calls;
        uint64_t within;
    } plans[] = {{WR_FAULT_SYNC, 150}, {WR_FAULT_SYNC, 400}, {WR_FAULT_WRITE, 2000}, {WR_FAULT_ANY, 6000}};
    uint64_t which = below(life, 4);
    wr_fault_vfs_plan(
        life->disk,
        &(struct wr_fault_plan){.kind = WR_FAULT_CUT, .calls = plans[which].calls, .at = (long)below(life, plans[which].within / shorter)});
}

static void power(struct store_life *life) {
    static const enum wr_fault_kept ways[] = {WR_FAULT_SECTORS, WR_FAULT_SECTORS, WR_FAULT_SECTORS, WR_FAULT_PREFIX,
                                              WR_FAULT_PREFIX,  WR_FAULT_NOTHING, WR_FAULT_ALL};
    wr_fault_vfs_power(life->disk, ways[below(life, sizeof ways / sizeof ways[0])]);
    life->numbers.cuts++;
    int64_t away_ns = below(life, 8) == 0 ? (int64_t)below(life, 90) * DAY_NS : (int64_t)below(life, 3600) * WR_NS_PER_S;
    life->fixture.now.wall_ns += away_ns - life->wrong_ns;
    life->fixture.now.boot_ns = (int64_t)below(life, 120) * WR_NS_PER_S; /* another boot */
    life->fixture.now.wall_trusted = below(life, 2) == 0;
    life->wrong_ns = life->fixture.now.wall_trusted ? 0 : ((int64_t)below(life, 7300) - 3650) * DAY_NS;
    life->fixture.now.wall_ns += life->wrong_ns;
    if (life->names_boots)
        for (size_t i = 0; i < sizeof life->fixture.options.boot_id; i++)
            life->fixture.options.boot_id[i] = (uint8_t)below(life, 256);
}

static bool stop_cleanly(struct store_life *life) {
    struct store_fixture *fixture = &life->fixture;
    struct wr_store *store = fixture->store;
    fixture->store = NULL;
    enum wr_result result = wr_store_close(store, &fixture->now, &fixture->err);
    TRY(store_life_fine(life, result, "close"));
    life->stopped = result == WR_OK;
    life->numbers.clean_stops += life->stopped;
    return true;
}

void store_life_cut(struct store_life *life, bool keep) {
    life->cut_boot_ns = life->fixture.now.boot_ns;
    life->cut_true_ns = store_life_true_ns(life);
    wr_fault_vfs_cut(life->disk);
    wr_store_abandon(life->fixture.store);
    life->fixture.store = NULL;
    life->fixture.handover.n = life->from = 0;
    if (keep)
        wr_fault_vfs_power(life->disk, WR_FAULT_ALL);
    else
        power(life);
    life->numbers.kills += keep;
}

/* The store is gone afterwards, one way or another. */
static bool end(struct store_life *life) {
    uint64_t way = below(life, 4);
    bool good = true;
    life->stopped = false;
    if (way == 0 && !store_life_is_dark(life))
        good = stop_cleanly(life);
    if (life->stopped && !store_life_is_dark(life)) {
        life->cut_boot_ns = life->fixture.now.boot_ns;
        life->cut_true_ns = store_life_true_ns(life);
        wr_fault_vfs_plan(life->disk, NULL);
    } else {
        store_life_cut(life, way == 1 && !store_life_is_dark(life));
    }
    return good;
}

bool store_life_start(struct store_life *life, uint64_t cuts) {
    struct store_fixture *fixture = &life->fixture;
    fixture->store = NULL;
    for (;; cuts--) {
        if (cuts > 0)
            plan_a_cut(life, 4);
        fixture->err.text[0] = 0;
        enum wr_result result = store_fixture_open(fixture);
        if (result == WR_OK && life->epoch == 0)
            life->epoch = wr_store_epoch(fixture->store);
        if (!store_life_is_dark(life)) {
            wr_fault_vfs_plan(life->disk, NULL);
            if (result != WR_OK)
                BREAK("a start is refused: %s: %s", wr_result_name(result), fixture->err.text);
            TRY(store_life_look(life));
            store_life_begin(life);
            if (life->full && wr_fault_vfs_bytes(life->disk) > life->limit)
                life->limit = wr_fault_vfs_bytes(life->disk);
            wr_fault_vfs_limit(life->disk, life->limit);
            return true;
        }
        wr_store_abandon(fixture->store);
        fixture->store = NULL;
        life->numbers.cuts_at_start++;
        life->stopped = false;
        power(life);
    }
}

bool store_life_leg(struct store_life *life) {
    plan_a_cut(life, 1);
    store_life_work(life, below(life, STEPS));
    bool good = life->broken[0] == 0;
    good &= end(life);
    return good && store_life_start(life, below(life, 3));
}

/* Some have quotas, times to live, a write budget; alarms none: they are all looked for. */
static void limit(struct store_life *life) {
    struct wr_store_options *options = &life->fixture.options;
    for (int lane = WR_LANE_CHANGES; lane <= WR_LANE_WINDOWS; lane++) {
        options->lanes[lane].quota_bytes = below(life, 2) == 0 ? 0 : 300000 + below(life, 900000);
        options->lanes[lane].ttl_ns = below(life, 2) == 0 ? 0 : (int64_t)(1 + below(life, 40)) * DAY_NS;
    }
    options->write_budget_bytes = below(life, 2) == 0 ? 0 : 1000000 + below(life, 30000000);
    life->names_boots = below(life, 4) != 0;
    if (life->names_boots)
        memset(options->boot_id, 1, sizeof options->boot_id);
}

struct store_life *store_life_new(uint64_t seed) {
    struct store_life *life = calloc(1, sizeof *life);
    assert_non_null(life);
    store_fixture_init(&life->fixture);
    life->dice.state = seed;
    life->disk = wr_fault_vfs_new(wr_random_u64(&life->dice));
    life->fixture.options.vfs = wr_fault_vfs_name(life->disk);
    life->offline = below(life, 3) == 0;
    life->full = below(life, 2) == 0;
    life->fixture.tells_lengths = below(life, 2) == 0;
    life->fixture.options.budget_bytes = UINT64_C(4) << (20 + (life->offline ? 0 : below(life, 3)));
    life->fixture.options.max_loss_ns = (int64_t)(1 + below(life, 15)) * WR_NS_PER_S;
    limit(life);
    life->began_wall_ns = life->fixture.now.wall_ns;
    (void)store_life_start(life, below(life, 3));
    return life;
}

void store_life_free(struct store_life *life) {
    if (!life)
        return;
    wr_store_abandon(life->fixture.store);
    life->fixture.store = NULL;
    if (!life->borrowed)
        store_fixture_fini(&life->fixture);
    wr_fault_vfs_free(life->disk);
    free(life);
}

struct wr_fault_vfs *store_life_disk(struct store_life *life) {
    return life->disk;
}

const char *store_life_broken(const struct store_life *life) {
    return life->broken;
}

void store_life_count(const struct store_life *life, struct store_life_numbers *sum) {
    const struct store_life_numbers *of = &life->numbers;
    sum->cuts += of->cuts;
    sum->cuts_at_start += of->cuts_at_start;
    sum->kills += of->kills;
    sum->clean_stops += of->clean_stops;
    sum->segments += of->segments;
    sum->merged += of->merged;
    sum->delivered += of->delivered;
    sum->evicted += life->evicted[0] + life->evicted[1];
    sum->expired += of->expired;
    sum->lost += of->lost;
    sum->resent += of->resent;
    sum->alarms += life->journalled;
    if (of->oldest_lost_ns > sum->oldest_lost_ns)
        sum->oldest_lost_ns = of->oldest_lost_ns;
    sum->days += (store_life_true_ns(life) - life->began_wall_ns) / DAY_NS;
}
