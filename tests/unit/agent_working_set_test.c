/* What a start needed is given back, and comes again when it is asked for. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "agent/process/working_set.h"

#define TABLE_BYTES (1 << 20)
#define PAGE_BYTES 4096

/* A megabyte of constants, which is in the process once it has been read. */
static const uint8_t table[TABLE_BYTES] = {[0] = 1, [PAGE_BYTES] = 2, [TABLE_BYTES - 1] = 3};

static unsigned sum(void) {
    const volatile uint8_t *at = table;
    unsigned n = 0;
    for (size_t i = 0; i < TABLE_BYTES; i += PAGE_BYTES)
        n += at[i];
    return n + at[TABLE_BYTES - 1];
}

/* Pages of files in this process. */
static long file_pages(void) {
    long pages = -1;
    FILE *file = fopen("/proc/self/statm", "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*d %*d %ld", &pages), 1);
    fclose(file);
    return pages;
}

/* Whether the kernel says which pages have been written to: an emulator's may not, nor a sandbox. */
static bool kernel_tells(void) {
    const int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        close(fd);
    return fd >= 0 && !getenv("WEIR_EMULATED");
}

static void what_is_not_in_use_leaves(void **state) {
    (void)state;
    assert_int_equal(sum(), 6);
    const long before = file_pages();
    wr_working_set_trim();
    if (kernel_tells())
        assert_true(file_pages() < before - TABLE_BYTES / PAGE_BYTES / 2);
    assert_int_equal(sum(), 6);
}

/* As a loader does that relocates text: a page is written to, and can only be read from then on. */
static void what_was_written_to_stays(void **state) {
    (void)state;
    char path[] = "/tmp/weir-working-set-XXXXXX";
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const int fd = mkstemp(path);
    assert_true(fd >= 0 && unlink(path) == 0 && ftruncate(fd, (off_t)(3 * page)) == 0);
    char *at = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    assert_true(at != MAP_FAILED);
    assert_int_equal(*(volatile char *)at, 0);
    assert_int_equal(mprotect(at, 3 * page, PROT_READ), 0);
    const bool told = wr_working_set_forget((uintptr_t)at, (uintptr_t)at + 3 * page);
    if (kernel_tells())
        assert_true(told);
    assert_int_equal(mprotect(at, 3 * page, PROT_READ | PROT_WRITE), 0);
    at[page + 1] = 7;
    assert_int_equal(mprotect(at, 3 * page, PROT_READ), 0);
    assert_false(wr_working_set_forget((uintptr_t)at, (uintptr_t)at + 3 * page));
    assert_int_equal(((volatile char *)at)[page + 1], 7);
    assert_int_equal(munmap(at, 3 * page), 0);
    close(fd);
}

static void it_is_done_in_a_while(void **state) {
    (void)state;
    struct event_base *base = event_base_new();
    assert_non_null(base);
    wr_working_set_trim_later(base);
    assert_int_equal(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 1);
    assert_int_equal(event_base_loop(base, EVLOOP_NONBLOCK), 0);
    assert_int_equal(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 1); /* not yet */
    event_base_free(base);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_not_in_use_leaves), cmocka_unit_test(what_was_written_to_stays),
                                       cmocka_unit_test(it_is_done_in_a_while)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
