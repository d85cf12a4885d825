#include "tests/sim/central.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/receive/ledger.h"
#include "tests/sim/check.h"

struct sim_central {
    uint64_t epoch;     /* there is one: the store of the simulation never breaks */
    uint64_t *readings; /* by seq */
    int64_t room;
    struct wr_receive_ledger *cuts; /* rising */
    size_t n_cuts, room_cuts;
};

struct sim_central *sim_central_new(void) {
    struct sim_central *central = calloc(1, sizeof *central);
    SIM_ASSERT(central, "no memory");
    return central;
}

void sim_central_free(struct sim_central *central) {
    free(central->readings);
    free(central->cuts);
    free(central);
}

void sim_central_segment(struct sim_central *central, uint64_t epoch, int64_t seq, uint64_t readings) {
    SIM_ASSERT(central->epoch == 0 || central->epoch == epoch, "a segment of another epoch");
    central->epoch = epoch;
    if (seq >= central->room) {
        const int64_t room = 2 * seq + 64;
        central->readings = realloc(central->readings, (size_t)room * sizeof *central->readings);
        SIM_ASSERT(central->readings, "no memory");
        memset(central->readings + central->room, 0, (size_t)(room - central->room) * sizeof *central->readings);
        central->room = room;
    }
    central->readings[seq] = readings;
}

/* Another part of a cut that is known is added to it. */
static void put_cut(struct sim_central *central, const struct wr_receive_ledger *ledger) {
    size_t at = central->n_cuts;
    while (at > 0 && central->cuts[at - 1].cut > ledger->cut)
        at--;
    if (at > 0 && central->cuts[at - 1].cut == ledger->cut) {
        struct wr_receive_ledger *known = &central->cuts[at - 1];
        known->n += ledger->n;
        for (unsigned book = 0; book < WR_BOOKS; book++)
            known->books[book] += ledger->books[book];
        return;
    }
    if (central->n_cuts == central->room_cuts) {
        central->room_cuts = 2 * central->room_cuts + 64;
        central->cuts = realloc(central->cuts, central->room_cuts * sizeof *central->cuts);
        SIM_ASSERT(central->cuts, "no memory");
    }
    memmove(central->cuts + at + 1, central->cuts + at, (central->n_cuts - at) * sizeof *central->cuts);
    central->cuts[at] = *ledger;
    central->n_cuts++;
}

void sim_central_record(struct sim_central *central, const char *json, size_t len) {
    struct wr_receive_ledger ledger;
    struct wr_error err;
    const enum wr_result result = wr_receive_ledger_read(json, len, NULL, NULL, &ledger, &err);
    if (result == WR_NOT_FOUND)
        return;
    SIM_ASSERT(result == WR_OK, "%s", err.text);
    put_cut(central, &ledger);
}

static uint64_t lost_of(const uint64_t *books) {
    uint64_t lost = 0;
    for (unsigned book = 0; book < WR_BOOKS; book++)
        lost += wr_book_leaves_store(book) ? books[book] : 0;
    return lost;
}

static uint64_t held_of(const uint64_t *books) {
    return books[WR_BOOK_STORED] - books[WR_BOOK_DELIVERED] - lost_of(books);
}

/* arrived: under the seqs from the first cut to this one. */
static void check_cut(const struct wr_receive_ledger *first, const struct wr_receive_ledger *cut, uint64_t arrived) {
    const uint64_t stored = cut->books[WR_BOOK_STORED] - first->books[WR_BOOK_STORED];
    const uint64_t carried = cut->books[WR_BOOK_MERGED] > first->books[WR_BOOK_MERGED] ? held_of(first->books) : 0;
    const uint64_t excused = lost_of(cut->books) - lost_of(first->books) + held_of(cut->books);
    SIM_ASSERT(arrived <= stored + carried,
               "%" PRIu64 " readings came between the cuts %" PRId64 " and %" PRId64 ", %" PRIu64 " were stored", arrived, first->cut,
               cut->cut, stored);
    SIM_ASSERT(stored <= arrived + excused,
               "%" PRIu64 " readings were stored between the cuts %" PRId64 " and %" PRId64 ", %" PRIu64 " came, %" PRIu64
               " are lost or held",
               stored, first->cut, cut->cut, arrived, excused);
}

uint64_t sim_central_check(const struct sim_central *central) {
    const struct wr_receive_ledger *first = NULL;
    uint64_t arrived = 0;
    uint64_t checked = 0;
    int64_t seq = 0;
    for (size_t i = 0; i < central->n_cuts; i++) {
        const struct wr_receive_ledger *cut = &central->cuts[i];
        if (cut->n < cut->of)
            continue;
        if (!first) {
            first = cut;
            seq = cut->cut;
        }
        for (; seq <= cut->cut && seq < central->room; seq++)
            arrived += central->readings[seq];
        check_cut(first, cut, arrived);
        checked++;
    }
    return checked;
}
