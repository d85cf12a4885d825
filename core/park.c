#include "core/park.h"

#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"

_Static_assert(sizeof(_Atomic uint32_t) == sizeof(uint32_t), "the kernel reads the word as a plain 32-bit integer");

static void futex(_Atomic uint32_t *word, int operation, uint32_t value, const struct timespec *timeout) {
#ifdef SYS_futex_time64
    /* 32-bit machines whose timespec has 64 bits need the newer call. */
    if (sizeof(time_t) > sizeof(long)) {
        (void)syscall(SYS_futex_time64, word, operation, value, timeout, NULL, 0);
        return;
    }
#endif
    (void)syscall(SYS_futex, word, operation, value, timeout, NULL, 0);
}

bool wr_park(_Atomic uint32_t *word, uint32_t expected, int64_t deadline_boot_ns) {
    if (atomic_load_explicit(word, memory_order_acquire) != expected)
        return true;
    if (deadline_boot_ns == WR_NEVER_NS) {
        futex(word, FUTEX_WAIT_PRIVATE, expected, NULL);
        return true;
    }
    const int64_t now_ns = wr_clock_boot_ns(wr_clock_real());
    if (now_ns >= deadline_boot_ns)
        return false;
    int64_t left_ns = deadline_boot_ns - now_ns;
    if (left_ns > WR_PARK_SLICE_NS)
        left_ns = WR_PARK_SLICE_NS;
    const struct timespec timeout = {.tv_sec = (time_t)(left_ns / WR_NS_PER_S), .tv_nsec = (long)(left_ns % WR_NS_PER_S)};
    futex(word, FUTEX_WAIT_PRIVATE, expected, &timeout);
    return true;
}

void wr_unpark(_Atomic uint32_t *word) {
    futex(word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL);
}
