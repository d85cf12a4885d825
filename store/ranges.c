#include "store/ranges.h"

#include <string.h>

const struct wr_range *wr_ranges_find(const struct wr_ranges *ranges, int64_t seq) {
    for (uint32_t i = 0; i < ranges->n; i++)
        if (seq >= ranges->at[i].first && seq <= ranges->at[i].last)
            return &ranges->at[i];
    return NULL;
}

void wr_ranges_remove(struct wr_ranges *ranges, uint32_t index) {
    ranges->n--;
    memmove(&ranges->at[index], &ranges->at[index + 1], (ranges->n - index) * sizeof ranges->at[0]);
}

static bool touch(int64_t a, int64_t b, wr_ranges_between *between, void *user) {
    return a >= b || a + 1 == b || !between(user, a, b);
}

enum wr_result wr_ranges_add(struct wr_ranges *ranges, int64_t first, int64_t last, wr_ranges_between *between, void *user) {
    uint32_t from = 0; /* first range that is not wholly before, and does not touch */
    while (from < ranges->n && ranges->at[from].last < first && !touch(ranges->at[from].last, first, between, user))
        from++;
    uint32_t to = from; /* behind the last one that overlaps or touches */
    while (to < ranges->n && (ranges->at[to].first <= last || touch(last, ranges->at[to].first, between, user))) {
        if (ranges->at[to].first < first)
            first = ranges->at[to].first;
        if (ranges->at[to].last > last)
            last = ranges->at[to].last;
        to++;
    }
    if (to == from) {
        if (ranges->n == WR_STORE_RANGES)
            return WR_FULL;
        memmove(&ranges->at[from + 1], &ranges->at[from], (ranges->n - from) * sizeof ranges->at[0]);
        ranges->n++;
    } else {
        memmove(&ranges->at[from + 1], &ranges->at[to], (ranges->n - to) * sizeof ranges->at[0]);
        ranges->n -= to - from - 1;
    }
    ranges->at[from] = (struct wr_range){first, last};
    return WR_OK;
}

bool wr_ranges_valid(const struct wr_ranges *ranges) {
    for (uint32_t i = 0; i < ranges->n; i++)
        if (ranges->at[i].first > ranges->at[i].last || (i > 0 && ranges->at[i - 1].last >= ranges->at[i].first))
            return false;
    return ranges->n <= WR_STORE_RANGES;
}
