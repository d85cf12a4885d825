/* What store_life.c and store_life_look.c share. */
#ifndef WEIR_TESTS_SUPPORT_STORE_LIFE_PRIVATE_H
#define WEIR_TESTS_SUPPORT_STORE_LIFE_PRIVATE_H

#include "tests/support/random.h"
#include "tests/support/store_life.h"

#define STORE_LIFE_SEGMENTS 4096
#define STORE_LIFE_GIVEN 4096
#define STORE_LIFE_SNAPS 4
#define STORE_LIFE_COUNTS 1024
#define STORE_LIFE_PER_AGGREGATE 2 /* readings */

enum store_life_fate {
    UNKNOWN,
    HELD,   /* committed, nobody has said that he has it */
    PARKED, /* as HELD, but not offered again in this run */
    SAID,   /* acknowledged; that may not be on disk */
    GONE,   /* evicted */
};

struct store_life_known {
    uint8_t fate;
    uint8_t lane;
    uint32_t n;
    uint64_t hash;
    uint64_t readings; /* of aggregates */
    int64_t seen_ns; /* in true time: it was there then */
};

/* What was taken up to some time: sums of the run, by account. */
struct store_life_given {
    int64_t boot_ns;
    uint64_t sum[2];
};

/* A count of a budget that was put. */
struct store_life_count {
    int64_t boot_ns;
    uint64_t spent;
    bool urgent;
};

struct store_life {
    struct store_fixture fixture;
    struct wr_fault_vfs *disk;
    struct wr_random dice;
    char broken[512];
    struct store_life_numbers numbers;
    int64_t began_wall_ns;
    int64_t wrong_ns; /* the wall clock is wrong by so much while it is not trusted */
    const struct store_life_faults *faults; /* that may be met; NULL: none */
    bool borrowed;                          /* the directory is of another life */
    uint64_t limit;                         /* of the disk */
    bool full;                              /* somebody else takes the rest of the disk as soon as the store stands: that stops nothing */
    bool names_boots;                       /* the machine has boot ids */
    bool offline;                           /* nobody takes anything: the store runs over */

    uint64_t epoch; /* 0: no start has succeeded */
    struct store_life_known known[STORE_LIFE_SEGMENTS];
    int64_t highest;
    uint64_t said[2];    /* readings acknowledged, by account */
    uint64_t handed[2];  /* readings ever given */
    uint64_t evicted[2]; /* of segments that were seen; those that were merged are gone, too, but stand in a new one */
    uint64_t expired[2]; /* as booked, of these */
    uint64_t old[2];     /* of those that are gone, what was older than the time to live of its lane */
    uint64_t unsure[2];  /* of acknowledged segments that are gone: delivered, or evicted after a cut lost the acknowledgement */
    uint64_t journalled; /* alarm entries */
    uint64_t spent;      /* as put last: it only grows */
    uint64_t spent_kept; /* at least this is on disk */

    /* of this run */
    int64_t sent[WR_LANES]; /* the uplink's cursors */
    struct store_life_given given[STORE_LIFE_GIVEN];
    uint32_t n_given;
    uint64_t stored_at_start[2];
    uint64_t promised[2]; /* what the books call stored */
    struct store_life_count counts[STORE_LIFE_COUNTS];
    uint32_t n_counts;
    uint64_t journalled_run;
    uint64_t entries; /* alarm entries taken */
    uint64_t next_version;
    uint64_t entry_number[STORE_LIFE_SNAPS]; /* of the last entry of a key, and its version */
    uint64_t entry_version[STORE_LIFE_SNAPS];
    uint64_t version[STORE_LIFE_SNAPS]; /* at least this one must be on disk */
    uint32_t from;                      /* how much of the handover at hand is taken */
    uint64_t flushed[2];                /* given before a flush said yes */
    bool hurt;                          /* calls failed in this run: max_loss is not kept while the disk refuses */
    int64_t cut_boot_ns;
    int64_t cut_true_ns;
    bool stopped; /* cleanly: nothing at all may be missing */
};

bool store_life_break(struct store_life *life, const char *format, ...) WR_PRINTF(2, 3);
/* An error is a promise broken, unless the power is off; or a fault was met, and the error says something. */
bool store_life_fine(struct store_life *life, enum wr_result result, const char *doing);
bool store_life_is_dark(const struct store_life *life);

/* What the time really is. */
static inline int64_t store_life_true_ns(const struct store_life *life) { return life->fixture.now.wall_ns - life->wrong_ns; }

#define BREAK(...) return store_life_break(life, __VA_ARGS__)
#define TRY(call)                                                                                                                          \
    do {                                                                                                                                   \
        if (!(call))                                                                                                                       \
            return false;                                                                                                                  \
    } while (0)

/* store_life.c */
/* A new run: nothing is taken yet. */
void store_life_begin(struct store_life *life);
/* What the store says of itself, which needs no disk: true at the moment when it is said. */
void store_life_note(struct store_life *life);
/* Hands over what is left of the last handover, if anything is. */
bool store_life_give_rest(struct store_life *life);
bool store_life_pass(struct store_life *life, int64_t ns);
void store_life_work(struct store_life *life, uint64_t steps);
/* The power goes, or (keep) only the process; the store is gone. */
void store_life_cut(struct store_life *life, bool keep);
bool store_life_start(struct store_life *life, uint64_t cuts);

/* store_life_look.c */
/* A segment as it is on disk: the same as before, or new. */
bool store_life_meet(struct store_life *life, const struct wr_segment *segment);
/* Learns what the last call committed: it is promised now. */
bool store_life_learn(struct store_life *life);
/* After a start: all that was promised is there. Begins a new run. */
bool store_life_look(struct store_life *life);
uint64_t store_life_readings(const struct store_life_known *known);
/* Which of the two accounts the readings of a lane belong to. */
int store_life_account(const struct store_life_known *known);

#endif
