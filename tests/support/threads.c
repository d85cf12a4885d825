#include "tests/support/threads.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/clock.h"

static void *nothing(void *user) {
    return user;
}

unsigned wr_threads_count(void) {
    static bool warm; /* with the first thread a sanitizer starts one of its own, for good */
    pthread_t thread;
    if (!warm && pthread_create(&thread, NULL, nothing, NULL) == 0)
        warm = pthread_join(thread, NULL) == 0;
    unsigned n = 0;
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    for (const struct dirent *entry; (entry = readdir(tasks));)
        n += entry->d_name[0] != '.';
    closedir(tasks);
    return n;
}

void wr_threads_expect(unsigned n) {
    const int64_t until_ns = wr_clock_boot_ns(wr_clock_real()) + 5 * WR_NS_PER_S;
    while (wr_threads_count() > n && wr_clock_boot_ns(wr_clock_real()) < until_ns)
        (void)sched_yield();
    assert_true(wr_threads_count() <= n);
}
