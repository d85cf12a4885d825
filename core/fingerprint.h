/* A number for a text, or for several one behind another: equal texts have equal numbers, others nearly always different ones. Not for
 * keeping out who wants two texts to have the same number.
 *
 * Source: FNV-1a, 64 bits (draft-eastlake-fnv). Threads: any; pure.
 */
#ifndef WEIR_CORE_FINGERPRINT_H
#define WEIR_CORE_FINGERPRINT_H

#include <stddef.h>
#include <stdint.h>

#define WR_FINGERPRINT_START UINT64_C(14695981039346656037)

/* so_far: WR_FINGERPRINT_START, or what came before. */
static inline uint64_t wr_fingerprint_add(uint64_t so_far, const void *bytes, size_t len) {
    const unsigned char *at = bytes;
    for (size_t i = 0; i < len; i++)
        so_far = (so_far ^ at[i]) * UINT64_C(1099511628211);
    return so_far;
}

#endif
