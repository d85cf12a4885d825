#include "core/clock.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/random.h>
#include <sys/timex.h>

#include "core/calendar.h"

/* 2026-01-01T00:00:00Z. A wall clock before the day of this release is wrong; a later one was set by somebody. */
#define RELEASED_NS (INT64_C(1767225600) * WR_NS_PER_S)

#define SECONDS_PER_DAY INT64_C(86400)

static int64_t read_clock(clockid_t id) {
    struct timespec now;
    int failed = clock_gettime(id, &now);
    assert(failed == 0);
    (void)failed;
    return (int64_t)now.tv_sec * WR_NS_PER_S + (int64_t)now.tv_nsec;
}

static int64_t real_boot_ns(const struct wr_clock *clock) {
    (void)clock;
    return read_clock(CLOCK_BOOTTIME);
}

static int64_t real_wall_ns(const struct wr_clock *clock) {
    (void)clock;
    return read_clock(CLOCK_REALTIME);
}

static bool real_wall_trusted(const struct wr_clock *clock) {
    static _Atomic bool trusted; /* sticky: see the header */
    (void)clock;
    if (atomic_load_explicit(&trusted, memory_order_relaxed))
        return true;
    bool now = read_clock(CLOCK_REALTIME) >= RELEASED_NS;
    if (!now) {
        struct timex state = {.modes = 0}; /* asks, changes nothing */
        int answer = adjtimex(&state);
        now = answer >= 0 && answer != TIME_ERROR && !(state.status & STA_UNSYNC);
    }
    if (now)
        atomic_store_explicit(&trusted, true, memory_order_relaxed);
    return now;
}

/* SplitMix64 (Steele, Lea, Flood 2014): every seed gives a full-period sequence. */
static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}
#define GOLDEN_GAMMA UINT64_C(0x9E3779B97F4A7C15)

/* Only where a sandbox forbids getrandom: still different in every process and call. */
static uint64_t random_without_kernel(void) {
    static _Atomic uint64_t calls;
    uint64_t call = atomic_fetch_add_explicit(&calls, GOLDEN_GAMMA, memory_order_relaxed);
    uint64_t times = mix((uint64_t)read_clock(CLOCK_BOOTTIME)) ^ (uint64_t)read_clock(CLOCK_REALTIME);
    return mix(times ^ call ^ (uint64_t)(uintptr_t)&times);
}

static uint64_t real_random_u64(const struct wr_clock *clock) {
    static _Thread_local uint64_t pool[16]; /* one system call for 16 numbers */
    static _Thread_local size_t left;
    (void)clock;
    if (left == 0) {
        ssize_t got;
        do
            got = getrandom(pool, sizeof pool, 0);
        while (got < 0 && errno == EINTR);
        if (got != (ssize_t)sizeof pool)
            return random_without_kernel();
        left = sizeof pool / sizeof pool[0];
    }
    uint64_t value = pool[--left];
    pool[left] = 0; /* used once */
    return value;
}

const struct wr_clock *wr_clock_real(void) {
    static const struct wr_clock_ops ops = {real_boot_ns, real_wall_ns, real_wall_trusted, real_random_u64};
    static const struct wr_clock real = {&ops};
    return &real;
}

static const struct wr_clock_virtual *virtual_of(const struct wr_clock *clock) {
    return (const struct wr_clock_virtual *)clock;
}

static int64_t virtual_boot_ns(const struct wr_clock *clock) {
    return atomic_load(&virtual_of(clock)->boot_ns);
}

static int64_t virtual_wall_ns(const struct wr_clock *clock) {
    return wr_clock_add_ns(atomic_load(&virtual_of(clock)->boot_ns), atomic_load(&virtual_of(clock)->wall_offset_ns));
}

static bool virtual_wall_trusted(const struct wr_clock *clock) {
    return atomic_load(&virtual_of(clock)->trusted);
}

static uint64_t virtual_random_u64(const struct wr_clock *clock) {
    /* The seed is the generator's state: reading a number changes it, and nothing else of the clock. */
    struct wr_clock_virtual *own = (struct wr_clock_virtual *)clock;
    return mix(atomic_fetch_add(&own->seed, GOLDEN_GAMMA) + GOLDEN_GAMMA);
}

_Static_assert(offsetof(struct wr_clock_virtual, clock) == 0, "a virtual clock starts with its wr_clock");

void wr_clock_virtual_init(struct wr_clock_virtual *clock, int64_t boot_ns, int64_t wall_ns, uint64_t seed) {
    static const struct wr_clock_ops ops = {virtual_boot_ns, virtual_wall_ns, virtual_wall_trusted, virtual_random_u64};
    clock->clock.ops = &ops;
    int64_t offset;
    if (__builtin_sub_overflow(wall_ns, boot_ns, &offset))
        offset = wall_ns < 0 ? INT64_MIN : INT64_MAX;
    atomic_init(&clock->boot_ns, boot_ns);
    atomic_init(&clock->wall_offset_ns, offset);
    atomic_init(&clock->trusted, true);
    atomic_init(&clock->seed, seed);
}

void wr_clock_virtual_advance(struct wr_clock_virtual *clock, int64_t ns) {
    assert(ns >= 0);
    atomic_store(&clock->boot_ns, wr_clock_add_ns(atomic_load(&clock->boot_ns), ns));
}

void wr_clock_virtual_step_wall(struct wr_clock_virtual *clock, int64_t ns) {
    atomic_store(&clock->wall_offset_ns, wr_clock_add_ns(atomic_load(&clock->wall_offset_ns), ns));
}

int64_t wr_clock_boot_ns(const struct wr_clock *clock) {
    return clock->ops->boot_ns(clock);
}

int64_t wr_clock_wall_ns(const struct wr_clock *clock) {
    return clock->ops->wall_ns(clock);
}

bool wr_clock_wall_trusted(const struct wr_clock *clock) {
    return clock->ops->wall_trusted(clock);
}

uint64_t wr_clock_random_u64(const struct wr_clock *clock) {
    return clock->ops->random_u64(clock);
}

struct wr_now wr_clock_now(const struct wr_clock *clock) {
    struct wr_now now;
    /* Trust first: when the clock is set between these lines, a right time is called untrusted, never a wrong one trusted. */
    now.wall_trusted = clock->ops->wall_trusted(clock);
    now.boot_ns = clock->ops->boot_ns(clock);
    now.wall_ns = clock->ops->wall_ns(clock);
    return now;
}

int64_t wr_clock_add_ns(int64_t a, int64_t b) {
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return b < 0 ? INT64_MIN : INT64_MAX;
    return sum;
}

/* Writes value with n digits, zeros in front. */
static char *put_digits(char *at, int64_t value, int n) {
    for (int i = n - 1; i >= 0; i--) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + n;
}

char *wr_clock_format(char *text, size_t size, int64_t wall_ns) {
    assert(size >= 32);
    (void)size;
    int64_t ms = wr_calendar_floor(wall_ns, WR_NS_PER_MS);
    int64_t seconds = wr_calendar_floor(ms, 1000);
    int64_t days = wr_calendar_floor(seconds, SECONDS_PER_DAY);
    int64_t second_of_day = seconds - days * SECONDS_PER_DAY;

    /* Days to a date: Howard Hinnant, "chrono-compatible low-level date algorithms", civil_from_days. An int64_t of nanoseconds ends in
     * 1677 and 2262: the year always has four digits, and the era is never negative. */
    int64_t shifted = days + 719468; /* days since 0000-03-01 */
    int64_t era = shifted / 146097;
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    int64_t day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    int64_t year = year_of_era + era * 400 + (month <= 2);

    char *at = put_digits(text, year, 4);
    *at++ = '-';
    at = put_digits(at, month, 2);
    *at++ = '-';
    at = put_digits(at, day, 2);
    *at++ = 'T';
    at = put_digits(at, second_of_day / 3600, 2);
    *at++ = ':';
    at = put_digits(at, second_of_day / 60 % 60, 2);
    *at++ = ':';
    at = put_digits(at, second_of_day % 60, 2);
    *at++ = '.';
    at = put_digits(at, ms - seconds * 1000, 3);
    *at++ = 'Z';
    *at = '\0';
    return text;
}
