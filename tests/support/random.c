#include "tests/support/random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"

struct wr_random wr_random_begin(void) {
    const char *given = getenv("WEIR_SEED");
    struct wr_random random = {given ? strtoull(given, NULL, 0) : wr_clock_random_u64(wr_clock_real())};
    printf("WEIR_SEED=%" PRIu64 "\n", random.state);
    fflush(stdout);
    return random;
}

uint64_t wr_random_u64(struct wr_random *random) {
    random->state += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t x = random->state;
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

uint64_t wr_random_below(struct wr_random *random, uint64_t end) {
    return wr_random_u64(random) % end;
}
