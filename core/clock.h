/* Time and randomness behind one table, so that a test or a simulation can own both.
 *
 * Promise: boot time (CLOCK_BOOTTIME) never steps and counts sleep: every delay, deadline and arrival uses it. Wall time may be wrong:
 * the machine may have no battery clock. It is used only for what people and receivers read, together with whether it is trusted:
 * the kernel says it is synchronised, or it is later than the day this program was released. Once trusted it stays so until a restart.
 *
 * Threads: any thread may read any clock. A virtual clock is moved by one thread; readers see either the old or the new time.
 * Ownership: wr_clock_real() is static. A virtual clock is caller's memory.
 * Units: nanoseconds; wall time counts from 1970-01-01T00:00:00Z.
 */
#ifndef WEIR_CORE_CLOCK_H
#define WEIR_CORE_CLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define WR_NS_PER_US INT64_C(1000)
#define WR_NS_PER_MS INT64_C(1000000)
#define WR_NS_PER_S INT64_C(1000000000)
#define WR_NEVER_NS INT64_MAX /* a time that does not come */

struct wr_clock;

struct wr_clock_ops {
    int64_t (*boot_ns)(const struct wr_clock *clock);
    int64_t (*wall_ns)(const struct wr_clock *clock);
    bool (*wall_trusted)(const struct wr_clock *clock);
    uint64_t (*random_u64)(const struct wr_clock *clock);
};

struct wr_clock {
    const struct wr_clock_ops *ops;
};

/* One reading of the clock, handed to step functions: they never read a clock themselves. */
struct wr_now {
    int64_t boot_ns;
    int64_t wall_ns;
    bool wall_trusted;
};

struct wr_clock_virtual {
    struct wr_clock clock;
    _Atomic int64_t boot_ns;
    _Atomic int64_t wall_offset_ns; /* wall = boot + offset */
    _Atomic bool trusted;
    _Atomic uint64_t seed;
};

/* The machine's clocks and the kernel's random numbers. */
const struct wr_clock *wr_clock_real(void);

/* A clock that stands at (boot_ns, wall_ns), trusted, with reproducible random numbers. */
void wr_clock_virtual_init(struct wr_clock_virtual *clock, int64_t boot_ns, int64_t wall_ns, uint64_t seed);
/* Moves boot and wall time forward by ns >= 0. */
void wr_clock_virtual_advance(struct wr_clock_virtual *clock, int64_t ns);
/* Steps the wall time only, by ns of any sign, as a clock that is set does. */
void wr_clock_virtual_step_wall(struct wr_clock_virtual *clock, int64_t ns);

int64_t wr_clock_boot_ns(const struct wr_clock *clock);
int64_t wr_clock_wall_ns(const struct wr_clock *clock);
bool wr_clock_wall_trusted(const struct wr_clock *clock);
uint64_t wr_clock_random_u64(const struct wr_clock *clock);
struct wr_now wr_clock_now(const struct wr_clock *clock);

/* a + b, held at INT64_MAX or INT64_MIN instead of overflowing. */
int64_t wr_clock_add_ns(int64_t a, int64_t b);

/* wall_ns as 2026-03-02T08:00:00.123Z into text[size], size >= 32. Any int64_t is accepted. Returns text. */
char *wr_clock_format(char *text, size_t size, int64_t wall_ns);

#endif
