#include "tests/support/fault_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sqlite3.h>

static sqlite3_mem_methods real;
static long wanted = -1;
static long counted;
static bool always;
static bool hit;

static bool refused(void) {
    long number = counted++;
    if (wanted < 0 || number < wanted || (number > wanted && !always))
        return false;
    hit = true;
    return true;
}

static void *take(int bytes) {
    return refused() ? NULL : real.xMalloc(bytes);
}

static void *take_again(void *old, int bytes) {
    return refused() ? NULL : real.xRealloc(old, bytes);
}

void wr_fault_memory_install(void) {
    assert_int_equal(sqlite3_shutdown(), SQLITE_OK);
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real), SQLITE_OK);
    sqlite3_mem_methods ours = real;
    ours.xMalloc = take;
    ours.xRealloc = take_again;
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &ours), SQLITE_OK);
    assert_int_equal(sqlite3_initialize(), SQLITE_OK);
}

void wr_fault_memory_plan(long n, bool for_good) {
    wanted = n;
    counted = 0;
    always = for_good;
    hit = false;
}

bool wr_fault_memory_hit(void) {
    return hit;
}

long wr_fault_memory_count(void) {
    return counted;
}
