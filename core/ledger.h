/* The ledger's nouns: accounts and what is booked in them. The unit is the reading; an aggregate counts the readings in it.
 *
 *   intake account of a source:   received = in_channel + taken + dropped(reason)       (rejected is counted before received)
 *   account (source, window):     taken + recovered = open + held + delivered + dropped(reason)
 *   account (source, "none"):     the same, for readings that no window wants; they are dropped(unwanted) at once
 *
 * A reading counts once in each account that wants it. `bad` is a column of its own: how many of taken had bad quality. `open` and
 * `in_channel` are counted by walking the state, never derived. Accounts go by name and outlive the config; the numbers of enum wr_book
 * stand in the store and are never given to another meaning.
 */
#ifndef WEIR_CORE_LEDGER_H
#define WEIR_CORE_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#define WR_LEDGER_NAME_BYTES 64
#define WR_LEDGER_INTAKE "intake" /* window name of the intake account */
#define WR_LEDGER_NONE "none"     /* window name for readings that no window wants */
#define WR_LEDGER_ACCOUNTS_MAX 1024

enum wr_book {
    WR_BOOK_RECEIVED = 1,  /* intake only */
    WR_BOOK_TAKEN = 2,     /* by the engine, into this account */
    WR_BOOK_BAD = 3,       /* memo: of taken */
    WR_BOOK_STORED = 4,    /* committed in a segment: held = stored - delivered - evicted - expired - corrupt */
    WR_BOOK_DELIVERED = 5, /* PUBACK booked */
    WR_BOOK_WIDENED = 6,   /* memo: readings in windows that were widened: resolution lost, nothing else */
    WR_BOOK_LATE = 7,      /* memo: readings that went into a late partial */
    WR_BOOK_MERGED = 8,    /* memo: readings whose windows the store merged into longer ones: resolution lost, nothing else */
    WR_BOOK_RECOVERED = 9, /* salvaged out of a broken store, and stored anew: most were dropped(store) before */
    /* dropped(reason) */
    WR_BOOK_DROPPED_LATE = 16,
    WR_BOOK_DROPPED_CRASH = 17,    /* open or on the way at an unclean stop: at least so many */
    WR_BOOK_DROPPED_EVICTED = 18,  /* the disk budget, or the quota of its lane */
    WR_BOOK_DROPPED_CORRUPT = 19,  /* a segment that fails its CRC */
    WR_BOOK_DROPPED_OVERFLOW = 20, /* no free batch, and the source cannot wait */
    WR_BOOK_DROPPED_MEMORY = 21,
    WR_BOOK_DROPPED_UNWANTED = 22, /* no window wants the series */
    WR_BOOK_DROPPED_STOP = 23,     /* a stop that ran out of its deadline */
    WR_BOOK_DROPPED_STORE = 24,    /* the store was broken and quarantined, or there was none that could be used */
    WR_BOOK_DROPPED_EXPIRED = 25,  /* older than the time to live of its lane */
    /* rejected(reason): before received */
    WR_BOOK_REJECTED_SYNTAX = 32,
    WR_BOOK_REJECTED_TIME = 33,     /* a malformed or impossible time stamp */
    WR_BOOK_REJECTED_TYPE = 34,     /* not exactly convertible to the type of its series */
    WR_BOOK_REJECTED_SERIES = 35,   /* max_series */
    WR_BOOK_REJECTED_SYMBOLS = 36,  /* max_symbols */
    WR_BOOK_REJECTED_TOO_LONG = 37, /* max_line, or the budget for partial lines */
    WR_BOOK_REJECTED_MEMORY = 38,
    WR_BOOKS = 40,
};

/* Name as in metrics, audit and gap records: "received", "dropped(late)", "rejected(syntax)". NULL for a number with no meaning. */
const char *wr_book_name(enum wr_book book);
static inline bool wr_book_is_dropped(unsigned book) {
    return book >= 16 && book < 32;
}
/* Dropped after it was stored: these are no longer held. */
static inline bool wr_book_leaves_store(unsigned book) {
    return book == WR_BOOK_DROPPED_EVICTED || book == WR_BOOK_DROPPED_CORRUPT || book == WR_BOOK_DROPPED_EXPIRED;
}
static inline bool wr_book_is_rejected(unsigned book) {
    return book >= 32 && book < 40;
}

/* Who an account belongs to. Its index in the table that the agent makes from the config is the `account` of aggregates and counts. */
struct wr_account {
    char source[WR_LEDGER_NAME_BYTES];
    char window[WR_LEDGER_NAME_BYTES];
};

/* A cumulative count since this process started. */
struct wr_account_count {
    uint32_t account;
    uint32_t book; /* enum wr_book */
    uint64_t readings;
};

/* One account as audit shows it. `open` or `in_channel` are filled by whoever walks the state. */
struct wr_account_balance {
    struct wr_account account;
    uint64_t books[WR_BOOKS];
    uint64_t open;    /* of an intake account: in_channel */
    bool recounted;   /* somebody has added up what its segments hold: */
    uint64_t recount; /* it must be what the books hold */
    bool doubted;     /* the books were changed on the disk by something else */
};

/* stored - delivered - evicted - expired - corrupt. */
uint64_t wr_balance_held(const struct wr_account_balance *balance);
uint64_t wr_balance_dropped(const struct wr_account_balance *balance);
/* Both sides of the account's equation; true when they are equal, what was recounted is held, and nothing is doubted. ret_left and ret_right may be NULL. */
bool wr_balance_check(const struct wr_account_balance *balance, uint64_t *ret_left, uint64_t *ret_right);

#endif
