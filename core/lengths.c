#include "core/lengths.h"

#include <stddef.h>
#include <string.h>

/* Multiples to try: the usual one, then those whose grid meets the full hour, then others. */
static const int8_t multiples[] = {WR_LENGTHS_TIMES, 6, 10, 4, 12, 3, 15, 20, 30, 7, 8, 9, 11, 13, 14};

/* The place of a length, or that where it belongs. */
static uint32_t place(const struct wr_lengths *lengths, int64_t length_ns) {
    uint32_t at = 0;
    while (at < lengths->n && lengths->length_ns[at] < length_ns)
        at++;
    return at;
}

/* Whether another window than number `own` has this length, or becomes as long; shorter ones have chosen before. */
static bool is_taken(const struct wr_lengths *lengths, uint32_t own, int64_t longer_ns) {
    for (uint32_t i = 0; i < lengths->n; i++)
        if (lengths->length_ns[i] == longer_ns || (i < own && lengths->longer_ns[i] == longer_ns))
            return true;
    return false;
}

static void choose(struct wr_lengths *lengths, uint32_t own) {
    const int64_t length_ns = lengths->length_ns[own];
    lengths->longer_ns[own] = 0;
    for (size_t i = 0; i < sizeof multiples && lengths->longer_ns[own] == 0; i++)
        if (length_ns <= INT64_MAX / multiples[i] && !is_taken(lengths, own, length_ns * multiples[i]))
            lengths->longer_ns[own] = length_ns * multiples[i];
}

void wr_lengths_add(struct wr_lengths *lengths, int64_t length_ns) {
    const uint32_t at = place(lengths, length_ns);
    if (length_ns <= 0 || (at < lengths->n && lengths->length_ns[at] == length_ns))
        return;
    if (lengths->n == WR_LENGTHS_MAX) {
        lengths->too_many = true;
        return;
    }
    memmove(&lengths->length_ns[at + 1], &lengths->length_ns[at], (lengths->n - at) * sizeof lengths->length_ns[0]);
    lengths->length_ns[at] = length_ns;
    lengths->n++;
    for (uint32_t i = 0; i < lengths->n; i++)
        choose(lengths, i);
}

bool wr_lengths_find(const struct wr_lengths *lengths, int64_t length_ns, uint32_t *ret_number) {
    const uint32_t at = place(lengths, length_ns);
    if (at == lengths->n || lengths->length_ns[at] != length_ns)
        return false;
    *ret_number = at;
    return true;
}
