#include "core/nearest.h"

#include <string.h>

static unsigned least(unsigned a, unsigned b) {
    return a < b ? a : b;
}

/* Edit distance with swaps of neighbours (Damerau-Levenshtein, optimal string alignment), three rows. Both words fit WR_NEAREST_BYTES. */
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len) {
    unsigned rows[3][WR_NEAREST_BYTES + 1];
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i + 2) % 3];
        const unsigned *two_above = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned best = least(above[j], row[j - 1]) + 1;
            best = least(best, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = least(best, two_above[j - 2] + 1);
            row[j] = best;
        }
    }
    return rows[a_len % 3][b_len];
}

void wr_nearest_init(struct wr_nearest *nearest, const char *word) {
    const size_t len = strlen(word);
    const bool possible = len > 0 && len <= WR_NEAREST_BYTES;
    *nearest = (struct wr_nearest){word, len, possible ? least((unsigned)(len + 2) / 3, 3) + 1 : 0};
}

bool wr_nearest_take(struct wr_nearest *nearest, const char *name) {
    const size_t len = strlen(name);
    if (nearest->best == 0 || len == 0 || len > WR_NEAREST_BYTES)
        return false;
    const unsigned now = distance(nearest->word, nearest->len, name, len);
    if (now >= nearest->best || now >= len)
        return false;
    nearest->best = now;
    return true;
}

const char *wr_nearest_name(const char *word, const char *const *names, size_t n) {
    struct wr_nearest nearest;
    const char *found = NULL;
    wr_nearest_init(&nearest, word);
    for (size_t i = 0; i < n; i++)
        if (names[i] && wr_nearest_take(&nearest, names[i]))
            found = names[i];
    return found;
}
