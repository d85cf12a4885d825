#include "agent/receive/key_set.h"

#include <stdlib.h>
#include <string.h>

void wr_key_set_init(struct wr_key_set *set) {
    *set = (struct wr_key_set){0};
}

void wr_key_set_fini(struct wr_key_set *set) {
    for (size_t i = 0; i < set->n; i++)
        free(set->streams[i].ranges);
    free(set->streams);
    wr_key_set_init(set);
}

static int compare(const struct wr_key_stream *stream, const char *node, uint64_t epoch) {
    const int by_node = strcmp(stream->node, node);
    return by_node != 0 ? by_node : stream->epoch < epoch ? -1 : stream->epoch > epoch;
}

/* Where the stream is, or would be. */
static size_t place_of(const struct wr_key_set *set, const char *node, uint64_t epoch, bool *ret_found) {
    size_t low = 0;
    size_t high = set->n;
    *ret_found = false;
    while (low < high && !*ret_found) {
        const size_t middle = low + (high - low) / 2;
        const int order = compare(&set->streams[middle], node, epoch);
        *ret_found = order == 0;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return *ret_found ? high : low;
}

/* The first range whose end is at or behind seq. */
static size_t range_of(const struct wr_key_stream *stream, int64_t seq) {
    size_t low = 0;
    size_t high = stream->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (stream->ranges[middle].last < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool wr_key_set_has(const struct wr_key_set *set, const char *node, uint64_t epoch, int64_t seq) {
    bool found;
    const size_t at = place_of(set, node, epoch, &found);
    if (!found)
        return false;
    const struct wr_key_stream *stream = &set->streams[at];
    const size_t range = range_of(stream, seq);
    return range < stream->n && stream->ranges[range].first <= seq;
}

/* Room for one more element. */
static enum wr_result grow(void **array, size_t *cap, size_t n, size_t element_bytes) {
    if (n < *cap)
        return WR_OK;
    const size_t wanted = *cap > 0 ? *cap * 2 : 4;
    void *grown = realloc(*array, wanted * element_bytes);
    if (!grown)
        return WR_NO_MEMORY;
    *array = grown;
    *cap = wanted;
    return WR_OK;
}

static enum wr_result add_range(struct wr_key_set *set, struct wr_key_stream *stream, int64_t first, int64_t last) {
    /* from: the first range that overlaps or touches; to: behind the last one. */
    const size_t from = range_of(stream, first == INT64_MIN ? first : first - 1);
    size_t to = from;
    while (to < stream->n && (last == INT64_MAX || stream->ranges[to].first <= last + 1)) {
        first = stream->ranges[to].first < first ? stream->ranges[to].first : first;
        last = stream->ranges[to].last > last ? stream->ranges[to].last : last;
        to++;
    }
    if (from == to) {
        if (set->n_ranges == WR_KEY_SET_RANGES)
            return WR_LIMIT;
        WR_TRY(grow((void **)&stream->ranges, &stream->cap, stream->n, sizeof *stream->ranges));
        memmove(&stream->ranges[from + 1], &stream->ranges[from], (stream->n - from) * sizeof *stream->ranges);
        stream->n++;
        set->n_ranges++;
    } else {
        memmove(&stream->ranges[from + 1], &stream->ranges[to], (stream->n - to) * sizeof *stream->ranges);
        stream->n -= to - from - 1;
        set->n_ranges -= to - from - 1;
    }
    stream->ranges[from] = (struct wr_key_range){first, last};
    return WR_OK;
}

enum wr_result wr_key_set_add(struct wr_key_set *set, const char *node, uint64_t epoch, int64_t first, int64_t last) {
    bool found;
    const size_t at = place_of(set, node, epoch, &found);
    if (found)
        return add_range(set, &set->streams[at], first, last);
    struct wr_key_stream stream = {.epoch = epoch};
    const size_t len = strnlen(node, sizeof stream.node);
    if (len == sizeof stream.node)
        return WR_LIMIT;
    memcpy(stream.node, node, len);
    WR_TRY(grow((void **)&set->streams, &set->cap, set->n, sizeof *set->streams));
    WR_TRY(add_range(set, &stream, first, last));
    memmove(&set->streams[at + 1], &set->streams[at], (set->n - at) * sizeof *set->streams);
    set->streams[at] = stream;
    set->n++;
    return WR_OK;
}

bool wr_key_set_valid(const struct wr_key_set *set) {
    size_t n_ranges = 0;
    for (size_t i = 0; i < set->n; i++) {
        const struct wr_key_stream *stream = &set->streams[i];
        if (stream->n == 0 || (i > 0 && compare(&set->streams[i - 1], stream->node, stream->epoch) >= 0))
            return false;
        for (size_t r = 0; r < stream->n; r++)
            if (stream->ranges[r].first > stream->ranges[r].last || (r > 0 && stream->ranges[r - 1].last >= stream->ranges[r].first - 1))
                return false;
        n_ranges += stream->n;
    }
    return n_ranges == set->n_ranges;
}
