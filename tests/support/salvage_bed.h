/* A store that breaks, with a map of what lies where in its file, and a fake uplink that counts what comes out of it: for tests of store/salvage.h.
 *
 * One a program. Threads: one at a time. Errors: what fails fails the test.
 */
#ifndef WEIR_TESTS_SUPPORT_SALVAGE_BED_H
#define WEIR_TESTS_SUPPORT_SALVAGE_BED_H

#include "store/store.h"
#include "tests/support/random.h"
#include "tests/support/store_fixture.h"

#define SALVAGE_SEGMENTS 400
#define SALVAGE_READINGS 10
#define SALVAGE_RECORDS 150
#define SALVAGE_ASIDE WR_STORE_FILE ".corrupt-100"
#define SALVAGE_PAGE 2048
#define SALVAGE_PAGES 16

struct salvage_bed {
    struct store_fixture fixture;
    struct wr_random random_numbers;
    uint64_t epoch;                          /* of the store that breaks */
    uint32_t pages[SALVAGE_SEGMENTS + 1][SALVAGE_PAGES]; /* by seq: those that its body lies on; 0: no more */
    uint32_t an_overflow_page;
    size_t shortest_body;
    unsigned arrived[SALVAGE_SEGMENTS + 1]; /* at the uplink, how often */
    unsigned of_others;             /* arrived of other epochs */
    uint8_t *content;               /* of the file at hand */
    size_t content_len;
    size_t hurt_from; /* bytes that are not what they were, where segments may lie */
    size_t hurt_to;
};

extern struct salvage_bed salvage;

/* For cmocka. */
int salvage_bed_setup(void **state);
int salvage_bed_teardown(void **state);
void salvage_bed_must(enum wr_result result);

/* A path in the store's directory, until the next call. */
const char *salvage_bed_file(const char *name);
bool salvage_bed_exists(const char *name);
/* Into salvage.content, and what stands there into a file: then it is gone. */
void salvage_bed_read_file(const char *name);
void salvage_bed_write_file(const char *name, size_t len);

uint64_t salvage_bed_count(const _Atomic uint64_t *number);
enum wr_salvage_state salvage_bed_state(void);

/* One segment of about 10 KB: random values do not compress. */
void salvage_bed_put_segment(void);
/* A store of SALVAGE_SEGMENTS segments that nobody has acknowledged, and where its bodies lie; it is open. */
void salvage_bed_make_store(void);
void salvage_bed_close(void);
void salvage_bed_abandon(void);
/* The file, closed, becomes one that lies aside. */
void salvage_bed_put_aside(void);

/* Everything that waits goes, and is acknowledged by its place; the key is what a receiver sees. */
void salvage_bed_deliver(void);
/* How many segments of the broken store have arrived; that none came twice. */
unsigned salvage_bed_distinct(void);
void salvage_bed_each_once(void);

void salvage_bed_tick(void);
bool salvage_bed_is_over(void);
/* Until it is over. */
void salvage_bed_all(void);

/* Damage to salvage.content. A leaf with segments, from this byte on. */
size_t salvage_bed_a_leaf(size_t from);
void salvage_bed_noise(size_t at, size_t len);
void salvage_bed_hurt_nothing(void);
void salvage_bed_hurt_a_leaf(void);
void salvage_bed_hurt_inner_pages(void);

#endif
