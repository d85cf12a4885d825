/* A sink around another one, that guesses how the next record begins, as an intake does, and checks what a codec makes of it. What the inner sink
 * sees must be the same as without guesses. Aborts when a guess was said to be right and is not. */
#ifndef WEIR_TESTS_SUPPORT_GUESSING_H
#define WEIR_TESTS_SUPPORT_GUESSING_H

#include <stdlib.h>
#include <string.h>

#include "agent/codec/record.h"
#include "agent/codec/series_cache.h"

struct wr_guessing {
    struct wr_sink sink; /* give this to the codec */
    const struct wr_sink *inner;
    struct wr_series_cache cache;
    struct wr_guess guess;
    uint32_t n_series;
    uint64_t n_right;
};

static inline void wr_guessing_check(const struct wr_guessing *guessing, const struct wr_record *record) {
    const struct wr_guess *guess = &guessing->guess;
    const struct wr_word *name = &record->fields[0].name;
    const char *field = guess->text + guess->origin_len + 1;
    if (record->origin.len != guess->origin_len || memcmp(record->origin.text, guess->text, guess->origin_len) != 0 ||
        name->len != guess->field_len || memcmp(name->text, field, name->len) != 0)
        abort();
}

static inline enum wr_result wr_guessing_record(void *user, const struct wr_record *record) {
    struct wr_guessing *guessing = user;
    if (record->guessed)
        wr_guessing_check(guessing, record);
    const enum wr_result result = guessing->inner->record(guessing->inner->user, record);
    if (result != WR_OK)
        return result;
    guessing->n_right += record->guessed;
    struct wr_series_cursor cursor = wr_series_cache_begin(record->origin);
    for (size_t i = 0; i < record->n_fields; i++) {
        struct wr_series_hit hit;
        if (record->guessed && i == 0)
            (void)wr_series_cache_follow(&guessing->cache);
        else if (!wr_series_cache_find(&guessing->cache, &cursor, record->fields[i].name, &hit))
            wr_series_cache_put(&guessing->cache, &cursor, record->fields[i].name, (struct wr_series_hit){guessing->n_series++, 1});
    }
    guessing->guess = wr_series_cache_guess(&guessing->cache);
    return WR_OK;
}

static inline void wr_guessing_refused(void *user, const struct wr_refusal *refusal) {
    struct wr_guessing *guessing = user;
    guessing->inner->refused(guessing->inner->user, refusal);
}

/* Remembers series in at most max_bytes. */
static inline void wr_guessing_init(struct wr_guessing *guessing, const struct wr_sink *inner, size_t max_bytes) {
    *guessing = (struct wr_guessing){
        .sink = {.record = wr_guessing_record, .refused = wr_guessing_refused, .guess = &guessing->guess, .user = guessing},
        .inner = inner};
    wr_series_cache_init(&guessing->cache, max_bytes, 1);
}

static inline void wr_guessing_fini(struct wr_guessing *guessing) {
    wr_series_cache_fini(&guessing->cache);
}

#endif
