#include "core/thread.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"

/* The thread sanitizer knows the join by the wall clock alone, and takes any other for a race with whatever is freed after it. */
#ifdef __SANITIZE_THREAD__
#define JOIN_CLOCK CLOCK_REALTIME
#define TIMED_JOIN(thread, until) pthread_timedjoin_np((thread), NULL, (until))
#else
#define JOIN_CLOCK CLOCK_MONOTONIC
#define TIMED_JOIN(thread, until) pthread_clockjoin_np((thread), NULL, JOIN_CLOCK, (until))
#endif

enum wr_result wr_thread_start(pthread_t *ret_thread, void *(*run)(void *), void *user, const char *what, struct wr_error *err) {
    pthread_attr_t attributes;
    int failed = pthread_attr_init(&attributes);
    if (failed)
        return wr_error_set(err, WR_NO_MEMORY, "cannot start the %s thread: %s", what, strerror(failed));
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_attr_setstacksize(&attributes, WR_THREAD_STACK_BYTES);
    if (!failed)
        failed = pthread_create(ret_thread, &attributes, run, user);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return failed ? wr_error_set(err, WR_NO_MEMORY, "cannot start the %s thread: %s", what, strerror(failed)) : WR_OK;
}

enum wr_result wr_thread_join(pthread_t thread, int64_t deadline_boot_ns) {
    /* pthread_clockjoin_np knows only the wall and the monotonic clock; what is left of the deadline is the same on both. */
    int64_t left_ns = deadline_boot_ns == WR_NEVER_NS ? WR_NEVER_NS : deadline_boot_ns - wr_clock_boot_ns(wr_clock_real());
    if (left_ns == WR_NEVER_NS)
        return pthread_join(thread, NULL) == 0 ? WR_OK : WR_IO;
    struct timespec until;
    clock_gettime(JOIN_CLOCK, &until);
    int64_t end_ns = until.tv_sec * WR_NS_PER_S + until.tv_nsec + (left_ns > 0 ? left_ns : 0);
    until.tv_sec = end_ns / WR_NS_PER_S;
    until.tv_nsec = end_ns % WR_NS_PER_S;
    int failed = TIMED_JOIN(thread, &until);
    return failed == 0 ? WR_OK : failed == ETIMEDOUT ? WR_TIMEOUT : WR_IO;
}

void wr_thread_name(const char *name) {
    (void)pthread_setname_np(pthread_self(), name);
}
