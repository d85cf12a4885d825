#include "agent/codec/json_shape.h"

#include <string.h>

#include "agent/codec/json_scan.h"
#include "agent/codec/number_short.h"
#include "core/clock.h"

#define SLACK 16 /* bytes behind what is compared, so that 16 may be read at once */

void wr_json_shapes_init(struct wr_json_shapes *shapes) {
    memset(shapes, 0, sizeof *shapes);
}

/* -- learning ---------------------------------------------------------------------------------------------------------------------- */

void wr_json_shapes_begin(struct wr_json_shapes *shapes, const char *object) {
    struct wr_json_shape *shape = &shapes->shapes[(shapes->learned + 1) % WR_JSON_SHAPES];
    shapes->learning = true;
    shapes->from = object;
    shape->n_steps = 0;
    shape->len = 0;
    shape->tail_len = 0;
    shape->newlines = false;
}

/* False: no room. */
static bool put_text(struct wr_json_shape *shape, const char *text, size_t len, uint16_t *ret_at) {
    if (len > (size_t)WR_JSON_SHAPE_BYTES - shape->len)
        return false;
    memcpy(shape->text + shape->len, text, len);
    *ret_at = shape->len;
    shape->len = (uint16_t)(shape->len + len);
    return true;
}

void wr_json_shapes_add(struct wr_json_shapes *shapes, const struct wr_json_mapping *mapping, uint16_t slot, struct wr_word name,
                        struct wr_word scalar) {
    struct wr_json_shape *shape = &shapes->shapes[(shapes->learned + 1) % WR_JSON_SHAPES];
    const size_t len = (size_t)(scalar.text - shapes->from);
    if (!shapes->learning)
        return;
    shapes->learning = false;
    if (shape->n_steps == WR_JSON_SHAPE_STEPS || mapping->slots[slot].next != 0) /* of two meanings: the long way */
        return;
    struct wr_json_step *step = &shape->steps[shape->n_steps++];
    *step = (struct wr_json_step){.slot = slot, .len = (uint16_t)len, .name_len = (uint16_t)name.len};
    step->role = slot != 0 ? mapping->slots[slot].role : mapping->any_field ? WR_JSON_FIELD : WR_JSON_NOTHING;
    step->type = mapping->slots[slot].type;
    step->word = mapping->slots[slot].word;
    if (!put_text(shape, shapes->from, len, &step->at) || !put_text(shape, name.text, name.len, &step->name_at))
        return;
    shape->newlines = shape->newlines || memchr(shapes->from, '\n', len);
    shapes->from = scalar.text + scalar.len;
    shapes->learning = true;
}

void wr_json_shapes_end(struct wr_json_shapes *shapes, const char *behind) {
    const uint8_t next = (uint8_t)((shapes->learned + 1) % WR_JSON_SHAPES);
    struct wr_json_shape *shape = &shapes->shapes[next];
    const size_t len = (size_t)(behind - shapes->from);
    if (!shapes->learning || !put_text(shape, shapes->from, len, &shape->tail_at))
        return;
    shape->newlines = shape->newlines || memchr(shapes->from, '\n', len);
    shape->tail_len = (uint16_t)len;
    shapes->learned = next;
    shapes->last = next;
    shapes->learning = false;
}

/* -- matching ---------------------------------------------------------------------------------------------------------------------- */

/* len bytes at p are those of text; 16 can be read behind either. */
WR_INLINE bool same_bytes(const char *p, const char *text, unsigned len) {
#if WR_SCAN_SSE2
    if (len <= 16) {
        const __m128i a = _mm_loadu_si128((const __m128i *)(const void *)p);
        const __m128i b = _mm_loadu_si128((const __m128i *)(const void *)text);
        const unsigned differs = ~(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(a, b));
        return (differs & ((1U << len) - 1)) == 0;
    }
#endif
    return memcmp(p, text, len) == 0;
}

/* The scalar at p, checked, by the scanner. NULL: not one, or not all of it is there. */
static __attribute__((noinline)) const char *take_any(struct wr_json_record *record, const struct wr_json_slot *slot, struct wr_word name,
                                                      const char *p, const char *end, bool skip) {
    struct wr_json_scan scan = wr_json_scan_begin(p, end, false);
    struct wr_word word;
    if (wr_json_scan_scalar(&scan, &word) != WR_JSON_FOUND || (!skip && !wr_json_record_take(record, slot, name, word)))
        return NULL;
    return scan.p;
}

/* The digits at p as JSON has a number: nothing like 01, .5 or 5. */
WR_INLINE const char *take_digits(const char *p, const char *end, uint64_t *ret_mantissa, unsigned *ret_decimals) {
    const char *behind = wr_number_digits_short(p, end, ret_mantissa, ret_decimals);
    if (!behind || *p == '.' || behind[-1] == '.' || (*p == '0' && (unsigned char)(p[1] - '0') < 10))
        return NULL;
    return behind;
}

/* A text without escapes that ends within 15 bytes. */
WR_INLINE const char *take_short_text(const char *p) {
#if WR_SCAN_SSE2
    const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(p + 1));
    const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1F)), bytes);
    const __m128i found = _mm_or_si128(control, _mm_or_si128(wr_scan_equal(bytes, '"'), wr_scan_equal(bytes, '\\')));
    const unsigned mask = (unsigned)_mm_movemask_epi8(found) | 0x10000U;
    const char *behind = p + 1 + __builtin_ctz(mask);
    return *p == '"' && mask != 0x10000U && *behind == '"' ? behind + 1 : NULL;
#else
    (void)p;
    return NULL;
#endif
}

WR_INLINE const char *take_field(struct wr_json_record *record, const struct wr_json_step *step, struct wr_word name, const char *p,
                                 const char *end) {
    const bool negative = *p == '-';
    uint64_t mantissa;
    unsigned decimals;
    const char *behind = step->type <= WR_TYPE_FLOAT ? take_digits(p + negative, end, &mantissa, &decimals) : NULL;
    if (!behind)
        return NULL;
    struct wr_field *field = wr_json_record_field(record, name, p);
    if (!field)
        return NULL;
    const double value = (double)(int64_t)mantissa / wr_number_powers[decimals];
    field->type = WR_TYPE_FLOAT;
    field->quality = WR_QUALITY_GOOD;
    field->decimals = (uint8_t)decimals;
    field->value.f = negative ? -value : value;
    return behind;
}

/* A number of seconds, milliseconds, ... since 1970. */
WR_INLINE const char *take_time(struct wr_json_record *record, const char *p, const char *end) {
    static const int64_t powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000};
    const struct wr_json_mapping *mapping = record->mapping;
    uint64_t mantissa;
    unsigned decimals;
    const char *behind = mapping->time.kind == WR_TIME_UNIX ? take_digits(p, end, &mantissa, &decimals) : NULL;
    if (!behind || decimals > mapping->time_digits ||
        __builtin_mul_overflow((int64_t)mantissa, powers[mapping->time_digits - decimals], &record->time_ns))
        return NULL;
    return behind;
}

WR_INLINE const char *take_scalar(struct wr_json_record *record, const struct wr_json_shape *shape, const struct wr_json_step *step,
                                  const char *p, const char *end) {
    const struct wr_json_slot *slot = step->slot ? &record->mapping->slots[step->slot] : NULL;
    const struct wr_word name = slot ? slot->name : (struct wr_word){shape->text + step->name_at, step->name_len};
    const char *behind = NULL;
    switch ((enum wr_json_role)step->role) {
    case WR_JSON_FIELD:
        behind = take_field(record, step, name, p, end);
        break;
    case WR_JSON_WORD:
        behind = take_short_text(p);
        if (behind)
            record->words[step->word] = (struct wr_word){p, (size_t)(behind - p)};
        break;
    case WR_JSON_TIME:
        behind = take_time(record, p, end);
        break;
    case WR_JSON_NOTHING:
    case WR_JSON_QUALITY:
        break;
    }
    return behind ? behind : take_any(record, slot, name, p, end, step->role == WR_JSON_NOTHING);
}

static const char *match(const struct wr_json_shape *shape, struct wr_json_record *record, const char *p, const char *end) {
    if (shape->tail_len == 0)
        return NULL;
    wr_json_record_begin(record);
    const struct wr_json_step *behind_last = &shape->steps[shape->n_steps];
    for (const struct wr_json_step *step = shape->steps; step < behind_last; step++) {
        if ((size_t)(end - p) < step->len + 2U * SLACK || !same_bytes(p, shape->text + step->at, step->len))
            return NULL;
        p = take_scalar(record, shape, step, p + step->len, end);
        if (!p)
            return NULL;
    }
    const size_t left = (size_t)(end - p);
    const char *tail = shape->text + shape->tail_at;
    const bool same = left >= SLACK + (size_t)shape->tail_len ? same_bytes(p, tail, shape->tail_len)
                                                              : left >= shape->tail_len && memcmp(p, tail, shape->tail_len) == 0;
    return same ? p + shape->tail_len : NULL;
}

const char *wr_json_shapes_match(struct wr_json_shapes *shapes, struct wr_json_record *record, const char *p, const char *end,
                                 bool *ret_newlines) {
    for (unsigned i = 0; i < WR_JSON_SHAPES; i++) {
        const uint8_t at = (uint8_t)((shapes->last + i) % WR_JSON_SHAPES);
        const char *behind = match(&shapes->shapes[at], record, p, end);
        if (!behind)
            continue;
        shapes->last = at;
        *ret_newlines = shapes->shapes[at].newlines;
        return behind;
    }
    return NULL;
}
