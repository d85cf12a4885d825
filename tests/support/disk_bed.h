/* A store on a disk that fails when it is told to, with dice: what tests of a store that outlives its disk have in common.
 *
 * As statics, one a program; main begins the dice. Threads: one. Errors: what fails fails the test.
 */
#ifndef WEIR_TESTS_SUPPORT_DISK_BED_H
#define WEIR_TESTS_SUPPORT_DISK_BED_H

#include "tests/support/fault_vfs.h"
#include "tests/support/random.h"
#include "tests/support/store_fixture.h"

#define CHANGES 0 /* accounts of the fixture */
#define WINDOWS 1

static struct store_fixture fixture;
static struct wr_fault_vfs *disk;
static struct wr_random dice;

/* For cmocka: the disk is empty, nothing is opened; and their end. */
static inline int disk_bed_setup(void **state) {
    (void)state;
    store_fixture_init(&fixture);
    disk = wr_fault_vfs_new(wr_random_u64(&dice));
    fixture.options.vfs = wr_fault_vfs_name(disk);
    return 0;
}

static inline int disk_bed_teardown(void **state) {
    (void)state;
    store_fixture_fini(&fixture);
    wr_fault_vfs_free(disk);
    return 0;
}

static inline void must(enum wr_result result) {
    store_fixture_must(&fixture, result);
}

#endif
