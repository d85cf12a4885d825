/* hits(c, n, m): the condition was true in at least n of its last m samples, in the order in which they came. Unknown samples do not count: they are
 * none of the m. One bit a sample. NaN before the first; samples that have not come yet are no hits.
 */
#include "rules/operators/kind.h"

#define SAMPLES_MAX 4096

struct hits {
    uint32_t next; /* where the next sample goes, over the oldest once there are m */
    uint32_t n;
    uint32_t hits;
    uint32_t unused;
    uint64_t bits[];
};

static bool hits_add(const struct wr_operator_spec *spec, void *state, int64_t at_ns, double value) {
    (void)at_ns;
    struct hits *hits = state;
    if (isnan(value))
        return false;
    const uint64_t bit = UINT64_C(1) << (hits->next % 64);
    uint64_t *word = &hits->bits[hits->next / 64];
    if (hits->n == spec->capacity)
        hits->hits -= (*word & bit) != 0;
    else
        hits->n++;
    const bool hit = value < 0 || value > 0;
    *word = hit ? *word | bit : *word & ~bit;
    hits->hits += hit;
    hits->next = hits->next + 1 == spec->capacity ? 0 : hits->next + 1;
    return false;
}

static void hits_advance(const struct wr_operator_spec *spec, void *state, int64_t now_ns) {
    (void)spec, (void)state, (void)now_ns;
}

static double hits_answer(const struct wr_operator_spec *spec, void *state, enum wr_function_id function, double number) {
    (void)function, (void)number;
    const struct hits *hits = state;
    return hits->n == 0 ? NAN : hits->hits >= spec->numbers[0];
}

static int64_t hits_next(const struct wr_operator_spec *spec, const void *state) {
    (void)spec, (void)state;
    return INT64_MAX;
}

static bool hits_is_valid(const struct wr_operator_spec *spec, const void *state) {
    const struct hits *hits = state;
    if (hits->next >= spec->capacity || hits->n > spec->capacity || (hits->n < spec->capacity && hits->next != hits->n))
        return false;
    uint32_t set = 0;
    for (uint32_t i = 0; i < hits->n; i++)
        set += (uint32_t)(hits->bits[i / 64] >> (i % 64)) & 1;
    return set == hits->hits;
}

const struct wr_operator_kind wr_hits_kind = {
    .name = "hits", .add = hits_add, .advance = hits_advance, .answer = hits_answer, .next = hits_next, .is_valid = hits_is_valid};

enum wr_result wr_hits_plan(const struct wr_operator_call *call, struct wr_operator_spec *spec, struct wr_error *err) {
    const double n = call->numbers[0];
    const double m = call->numbers[1];
    if (!(n >= 1 && m >= n && m <= SAMPLES_MAX && floor(n) >= n && floor(m) >= m))
        return wr_error_set(err, WR_INVALID,
                            "hits takes whole numbers, 1 <= n <= m <= %d: hits(c, 7, 10) is true when c was in 7 of its last 10 samples",
                            SAMPLES_MAX);
    spec->kind = &wr_hits_kind;
    spec->numbers[0] = n;
    spec->capacity = (uint32_t)m;
    spec->every_sample = true;
    spec->bytes = (uint32_t)(sizeof(struct hits) + (spec->capacity + 63) / 64 * sizeof(uint64_t));
    spec->cost_ns = 20;
    return WR_OK;
}
