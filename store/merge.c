#include "store/merge.h"

#include <stdlib.h>
#include <string.h>

#include "core/intern.h"
#include "store/crc32c.h"

#define GROUPS WR_MERGE_RESULTS /* each becomes one aggregate */
#define SLOTS ((size_t)4 * GROUPS)
#define KEYS (2 * WR_MERGE_RECORDS) /* also of what is taken back; and texts: two a record */

/* Groups: what becomes one aggregate */

struct group {
    const char *key; /* interned: the same series has the same pointer */
    int64_t start_ns;
    int64_t longer_ns; /* 0: an aggregate by itself, which passes as it is */
    uint32_t length;   /* number of its length */
    uint32_t count;
    uint8_t type;
    bool late;
    bool is_longer; /* after the run */
};

struct wr_merge {
    const struct wr_lengths *lengths;
    struct wr_intern keys;
    struct wr_symbol_table *texts;
    uint32_t n; /* records */
    uint32_t n_groups;
    uint32_t begun_n; /* when the segment at hand began */
    uint32_t begun_groups;
    uint64_t lost[WR_LENGTHS_MAX]; /* by the run: readings of windows of this length that are in longer ones now */
    uint16_t slots[SLOTS];         /* number of a group and 1 */
    struct group groups[GROUPS];
    uint16_t group_of[WR_MERGE_RECORDS];
    uint16_t order[WR_MERGE_RECORDS]; /* records by group, in each by start */
    struct wr_aggregate results[GROUPS];
    struct wr_aggregate records[WR_MERGE_RECORDS];
};

_Static_assert(WR_MERGE_RECORDS <= UINT16_MAX && GROUPS < UINT16_MAX, "numbers of records and groups have 16 bits");

static void made(void *entry, uint32_t id, uint64_t hash) {
    (void)entry, (void)id, (void)hash;
}

enum wr_result wr_merge_new(const struct wr_lengths *lengths, struct wr_merge **ret_merge) {
    struct wr_merge *merge = malloc(sizeof *merge);
    if (!merge)
        return WR_NO_MEMORY;
    if (wr_intern_init(&merge->keys, KEYS, 0, made) != WR_OK) {
        free(merge);
        return WR_NO_MEMORY;
    }
    if (wr_symbol_table_new(KEYS, &merge->texts, NULL) != WR_OK) {
        wr_intern_fini(&merge->keys);
        free(merge);
        return WR_NO_MEMORY;
    }
    merge->lengths = lengths;
    merge->n = merge->n_groups = merge->begun_n = merge->begun_groups = 0;
    memset(merge->slots, 0, sizeof merge->slots);
    *ret_merge = merge;
    return WR_OK;
}

size_t wr_merge_bytes(void) {
    return sizeof(struct wr_merge);
}

void wr_merge_free(struct wr_merge *merge) {
    if (!merge)
        return;
    wr_symbol_table_free(merge->texts);
    wr_intern_fini(&merge->keys);
    free(merge);
}

static size_t slot_of(const struct group *group) {
    const uint64_t mixed =
        ((uint64_t)(uintptr_t)group->key ^ (uint64_t)group->start_ns * 31 ^ (uint64_t)group->longer_ns * 127 ^ (uint64_t)group->late) *
        UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(mixed >> 40) % SLOTS;
}

static bool same(const struct group *a, const struct group *b) {
    return a->key == b->key && a->start_ns == b->start_ns && a->longer_ns == b->longer_ns && a->type == b->type && a->late == b->late;
}

/* The slot of a group, or the free one where it belongs: there are four times as many as groups. */
static uint16_t *probe(struct wr_merge *merge, const struct group *group) {
    size_t at = slot_of(group);
    while (merge->slots[at] != 0 && !same(&merge->groups[merge->slots[at] - 1], group))
        at = (at + 1) % SLOTS;
    return &merge->slots[at];
}

void wr_merge_begin(struct wr_merge *merge) {
    merge->begun_n = merge->n;
    merge->begun_groups = merge->n_groups;
}

void wr_merge_take_back(struct wr_merge *merge) {
    merge->n = merge->begun_n;
    merge->n_groups = merge->begun_groups;
    memset(merge->slots, 0, sizeof merge->slots);
    for (uint32_t i = 0; i < merge->n_groups; i++)
        if (merge->groups[i].longer_ns > 0)
            *probe(merge, &merge->groups[i]) = (uint16_t)(i + 1);
}

static int64_t grid_start(int64_t at_ns, int64_t length_ns) {
    const int64_t rest = at_ns % length_ns;
    return at_ns - (rest < 0 ? rest + length_ns : rest);
}

/* The group that the aggregate belongs to. longer_ns 0: it passes as it is. */
static struct group group_for(const struct wr_merge *merge, const struct wr_aggregate *aggregate, const char *key) {
    const struct wr_lengths *lengths = merge->lengths;
    uint32_t number;
    struct group group = {.key = key, .start_ns = aggregate->start_ns, .type = aggregate->type};
    if ((aggregate->flags & WR_AGGREGATE_WIDENED) != 0 || !wr_lengths_find(lengths, aggregate->window_ns, &number) ||
        aggregate->start_ns % aggregate->window_ns != 0 || aggregate->start_ns < INT64_MIN / 2 || aggregate->start_ns > INT64_MAX / 2)
        return group;
    group.length = number;
    group.longer_ns = lengths->longer_ns[number];
    group.late = (aggregate->flags & WR_AGGREGATE_LATE) != 0;
    if (group.longer_ns > 0)
        group.start_ns = grid_start(aggregate->start_ns, group.longer_ns);
    return group;
}

static enum wr_result find_group(struct wr_merge *merge, const struct group *group, uint16_t *ret_number) {
    uint16_t *slot = group->longer_ns > 0 ? probe(merge, group) : NULL;
    if (slot && *slot != 0) {
        *ret_number = (uint16_t)(*slot - 1);
        return WR_OK;
    }
    if (merge->n_groups == GROUPS)
        return WR_FULL;
    merge->groups[merge->n_groups++] = *group;
    if (slot)
        *slot = (uint16_t)merge->n_groups;
    *ret_number = (uint16_t)(merge->n_groups - 1);
    return WR_OK;
}

static enum wr_result keep_text(struct wr_merge *merge, const char **text, union wr_value *value) {
    uint32_t symbol;
    if (!*text)
        return WR_INVALID;
    const size_t len = strlen(*text);
    const enum wr_result result = wr_symbol_intern(merge->texts, *text, len, &symbol);
    if (result != WR_OK)
        return result == WR_LIMIT && len <= WR_SYMBOL_BYTES ? WR_FULL : result;
    *value = (union wr_value){.symbol = symbol};
    *text = wr_symbol_text(merge->texts, symbol, NULL);
    return WR_OK;
}

enum wr_result wr_merge_add(struct wr_merge *merge, const struct wr_aggregate *aggregate) {
    uint32_t key;
    uint16_t number;
    if (aggregate->window_ns <= 0)
        return WR_INVALID;
    if (merge->n == WR_MERGE_RECORDS)
        return WR_FULL;
    const enum wr_result result =
        wr_intern_put(&merge->keys, aggregate->key, aggregate->key_len, wr_crc32c(0, aggregate->key, aggregate->key_len), &key);
    if (result != WR_OK)
        return result == WR_LIMIT ? WR_FULL : result;
    struct wr_aggregate *record = &merge->records[merge->n];
    *record = *aggregate;
    record->key = (const char *)wr_intern_get(&merge->keys, key) + sizeof(uint16_t);
    if (record->type == WR_TYPE_SYMBOL && record->n > 0) {
        WR_TRY(keep_text(merge, &record->first_text, &record->first));
        WR_TRY(keep_text(merge, &record->last_text, &record->last));
    }
    const struct group group = group_for(merge, record, record->key);
    WR_TRY(find_group(merge, &group, &number));
    merge->group_of[merge->n++] = number;
    return WR_OK;
}

/* Merging */

/* Records by group; in a group by start, those with the same start in the order in which they came. */
static void sort_records(struct wr_merge *merge) {
    uint32_t at = 0;
    for (uint32_t i = 0; i < merge->n_groups; i++)
        merge->groups[i].count = 0;
    for (uint32_t i = 0; i < merge->n; i++)
        merge->groups[merge->group_of[i]].count++;
    for (uint32_t i = 0; i < merge->n_groups; i++) {
        merge->slots[i] = (uint16_t)at; /* no longer a hash table: where the group's next record goes */
        at += merge->groups[i].count;
    }
    for (uint32_t i = 0; i < merge->n; i++)
        merge->order[merge->slots[merge->group_of[i]]++] = (uint16_t)i;
}

static int by_start(const void *left, const void *right, void *user) {
    const struct wr_aggregate *records = user;
    const uint16_t a = *(const uint16_t *)left;
    const uint16_t b = *(const uint16_t *)right;
    if (records[a].start_ns != records[b].start_ns)
        return records[a].start_ns < records[b].start_ns ? -1 : 1;
    return (a > b) - (a < b);
}

static void fold(struct wr_merge *merge, struct group *group, uint16_t *order, struct wr_aggregate *result) {
    const struct wr_aggregate *records = merge->records;
    qsort_r(order, group->count, sizeof *order, by_start, merge->records);
    *result = records[order[0]];
    for (uint32_t i = 1; i < group->count; i++)
        wr_aggregate_merge(result, &records[order[i]]);
    if (records[order[group->count - 1]].start_ns == records[order[0]].start_ns)
        return;
    result->start_ns = group->start_ns;
    result->window_ns = group->longer_ns;
    result->flags |= WR_AGGREGATE_WIDENED;
    group->is_longer = true;
    merge->lost[group->length] += wr_aggregate_readings(result);
}

void wr_merge_run(struct wr_merge *merge, const struct wr_aggregate **ret_records, uint32_t *ret_n) {
    memset(merge->lost, 0, sizeof merge->lost);
    sort_records(merge);
    uint32_t at = 0;
    for (uint32_t i = 0; i < merge->n_groups; i++) {
        fold(merge, &merge->groups[i], &merge->order[at], &merge->results[i]);
        at += merge->groups[i].count;
    }
    *ret_records = merge->results;
    *ret_n = merge->n_groups;
}

uint64_t wr_merge_lost(const struct wr_merge *merge, uint32_t length) {
    return merge->lost[length];
}

uint32_t wr_merge_results(const struct wr_merge *merge) {
    return merge->n_groups;
}

uint32_t wr_merge_candidates(const struct wr_merge *merge) {
    uint32_t n = 0;
    for (uint32_t i = merge->begun_n; i < merge->n; i++)
        n += merge->groups[merge->group_of[i]].longer_ns > 0;
    return n;
}

void wr_merge_sum(const struct wr_merge *merge, uint32_t first, uint32_t n, wr_merge_sum_callback *callback, void *user) {
    for (uint32_t i = 0; i < merge->n; i++) {
        const uint32_t group = merge->group_of[i];
        if (group >= first && group < first + n)
            callback(user, merge->records[i].account, wr_aggregate_readings(&merge->records[i]), merge->groups[group].is_longer);
    }
}

const struct wr_symbol_table *wr_merge_texts(const struct wr_merge *merge) {
    return merge->texts;
}
