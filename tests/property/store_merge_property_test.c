/* Merging against the readings themselves: whatever is merged, each longer window says what all its readings say; nothing of two windows comes together; and
 * lengths always tell windows apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "store/codec.h"
#include "store/merge.h"
#include "tests/support/random.h"

#define ROUNDS 120
#define SERIES 12
#define INPUTS WR_MERGE_RECORDS
#define VALUES 5 /* readings of one aggregate, at most */
#define MINUTE_NS (60 * WR_NS_PER_S)

static struct wr_random dice;

static uint32_t below(uint32_t n) {
    return (uint32_t)wr_random_below(&dice, n);
}

/* One aggregate that goes in, with the readings that it is made of. */
struct input {
    uint32_t series;
    uint8_t flags;
    int64_t start_ns;
    int64_t window_ns;
    uint32_t n;
    uint32_t bad;
    int64_t values[VALUES];
};

struct bed {
    struct wr_lengths lengths;
    struct wr_merge *merge;
    uint32_t n;
    struct input inputs[INPUTS];
    bool seen[INPUTS]; /* part of a result that was looked at */
};

static const char *const words[] = {"open", "shut", "ajar", "gone"};

static enum wr_type type_of(uint32_t series) {
    return (enum wr_type)(WR_TYPE_FLOAT + series % 5);
}

static size_t key_of(uint32_t series, char key[16]) {
    memcpy(key, "m\0value", 8);
    key[0] = (char)('a' + series);
    return 8;
}

static union wr_value value_of(enum wr_type type, int64_t value) {
    switch (type) {
    case WR_TYPE_FLOAT:
        return (union wr_value){.f = (double)value / 10};
    case WR_TYPE_INT:
        return (union wr_value){.i = value};
    case WR_TYPE_UINT:
        return (union wr_value){.u = (uint64_t)value};
    case WR_TYPE_BOOL:
        return (union wr_value){.u = (uint64_t)value % 2};
    case WR_TYPE_NONE:
    case WR_TYPE_SYMBOL:
        break;
    }
    return (union wr_value){.symbol = (uint32_t)value % 4};
}

/* An aggregate of the values, as the decoder gives it. */
static struct wr_aggregate aggregate_of(const struct input *input, const int64_t *values, size_t n, char key[16]) {
    const enum wr_type type = type_of(input->series);
    struct wr_aggregate aggregate = {.key = key,
                                     .key_len = (uint16_t)key_of(input->series, key),
                                     .type = (uint8_t)type,
                                     .decimals = 1,
                                     .flags = input->flags,
                                     .start_ns = input->start_ns,
                                     .window_ns = input->window_ns,
                                     .n = n,
                                     .bad = input->bad,
                                     .sum = wr_sum_zero()};
    for (size_t i = 0; i < n; i++) {
        const union wr_value value = value_of(type, values[i]);
        if (type != WR_TYPE_SYMBOL)
            wr_sum_add(&aggregate.sum, type, value, 1);
        if (i == 0)
            aggregate.min = aggregate.max = aggregate.first = value;
        if (type != WR_TYPE_SYMBOL && wr_reading_below(type, value, aggregate.min))
            aggregate.min = value;
        if (type != WR_TYPE_SYMBOL && wr_reading_below(type, aggregate.max, value))
            aggregate.max = value;
        aggregate.last = value;
    }
    if (type == WR_TYPE_SYMBOL && n > 0) {
        aggregate.first_text = words[aggregate.first.symbol];
        aggregate.last_text = words[aggregate.last.symbol];
    }
    return aggregate;
}

static struct input random_input(int64_t now_ns) {
    static const int64_t lengths_ns[] = {MINUTE_NS, MINUTE_NS, MINUTE_NS, 5 * MINUTE_NS, 2 * MINUTE_NS, 60 * MINUTE_NS};
    struct input input = {.series = below(SERIES), .window_ns = lengths_ns[below(6)], .n = below(VALUES + 1), .bad = below(3)};
    const int64_t at_ns = now_ns - (int64_t)below(4) * MINUTE_NS;
    input.start_ns = at_ns - at_ns % input.window_ns;
    if (below(10) == 0)
        input.flags |= WR_AGGREGATE_LATE;
    if (below(10) == 0)
        input.flags |= WR_AGGREGATE_PARTIAL;
    if (below(10) == 0)
        input.flags |= WR_AGGREGATE_UNCERTAIN;
    if (below(8) == 0)
        input.flags |= WR_AGGREGATE_WIDENED;
    if (below(20) == 0)
        input.start_ns += WR_NS_PER_S; /* off the grid */
    for (uint32_t i = 0; i < input.n; i++)
        input.values[i] = below(2000);
    return input;
}

/* Segments until no more fit; some are taken back. */
static void fill(struct bed *bed) {
    int64_t now_ns = INT64_C(29533333) * MINUTE_NS + (int64_t)below(600) * MINUTE_NS;
    const uint32_t segments = 2 + below(40);
    bed->n = 0;
    for (uint32_t i = 0; i < segments; i++) {
        const uint32_t begun = bed->n;
        enum wr_result result = WR_OK;
        wr_merge_begin(bed->merge);
        for (uint32_t k = 1 + below(below(8) == 0 ? 1024 : 60); k > 0 && result == WR_OK && bed->n < INPUTS; k--) {
            char key[16];
            struct input *input = &bed->inputs[bed->n];
            *input = random_input(now_ns);
            const struct wr_aggregate aggregate = aggregate_of(input, input->values, input->n, key);
            result = wr_merge_add(bed->merge, &aggregate);
            bed->n += result == WR_OK;
        }
        assert_true(result == WR_OK || result == WR_FULL);
        if (result == WR_FULL || below(6) == 0) {
            wr_merge_take_back(bed->merge);
            bed->n = begun;
        }
        if (result == WR_FULL)
            break;
        now_ns += (int64_t)below(3) * MINUTE_NS;
    }
}

static bool may_be_merged(const struct bed *bed, const struct input *input) {
    for (uint32_t i = 0; i < bed->lengths.n; i++)
        if (bed->lengths.length_ns[i] == input->window_ns)
            return bed->lengths.longer_ns[i] > 0 && (input->flags & WR_AGGREGATE_WIDENED) == 0 && input->start_ns % input->window_ns == 0;
    return false;
}

static int64_t longer(const struct bed *bed, int64_t length_ns) {
    for (uint32_t i = 0; i < bed->lengths.n; i++)
        if (bed->lengths.length_ns[i] == length_ns)
            return bed->lengths.longer_ns[i];
    return 0;
}

static bool belong_together(const struct bed *bed, const struct input *a, const struct input *b) {
    if (!may_be_merged(bed, a) || !may_be_merged(bed, b))
        return a == b;
    const int64_t grid_ns = longer(bed, a->window_ns);
    return a->series == b->series && a->window_ns == b->window_ns && ((a->flags ^ b->flags) & WR_AGGREGATE_LATE) == 0 &&
           a->start_ns / grid_ns == b->start_ns / grid_ns;
}

/* What the inputs that belong to number `first` come to, by their readings, in the order of time. */
static struct wr_aggregate expected(struct bed *bed, uint32_t first, char key[16]) {
    static int64_t values[INPUTS * VALUES];
    static uint32_t members[INPUTS];
    size_t n_values = 0;
    uint32_t n = 0;
    struct input all = bed->inputs[first];
    all.flags = 0;
    all.bad = 0;
    for (uint32_t i = first; i < bed->n; i++) {
        if (bed->seen[i] || !belong_together(bed, &bed->inputs[first], &bed->inputs[i]))
            continue;
        uint32_t at = n++;
        for (; at > 0 && bed->inputs[members[at - 1]].start_ns > bed->inputs[i].start_ns; at--)
            members[at] = members[at - 1];
        members[at] = i;
        bed->seen[i] = true;
    }
    for (uint32_t i = 0; i < n; i++) {
        const struct input *input = &bed->inputs[members[i]];
        memcpy(&values[n_values], input->values, input->n * sizeof values[0]);
        n_values += input->n;
        all.bad += input->bad;
        all.flags |= input->flags;
    }
    all.start_ns = bed->inputs[members[0]].start_ns;
    if (bed->inputs[members[n - 1]].start_ns != all.start_ns) {
        all.window_ns = longer(bed, all.window_ns);
        all.start_ns -= all.start_ns % all.window_ns;
        all.flags |= WR_AGGREGATE_WIDENED;
    }
    return aggregate_of(&all, values, n_values, key);
}

static void expect_equal(const struct wr_aggregate *got, const struct wr_aggregate *wanted) {
    assert_int_equal(got->key_len, wanted->key_len);
    assert_memory_equal(got->key, wanted->key, wanted->key_len);
    assert_int_equal(got->type, wanted->type);
    assert_int_equal(got->flags, wanted->flags);
    assert_true(got->start_ns == wanted->start_ns && got->window_ns == wanted->window_ns);
    assert_true(got->n == wanted->n && got->bad == wanted->bad);
    if (wanted->n == 0)
        return;
    if (wanted->type == WR_TYPE_SYMBOL) {
        assert_string_equal(got->first_text, wanted->first_text);
        assert_string_equal(got->last_text, wanted->last_text);
        return;
    }
    assert_true(got->sum.exact && wr_sum_double(&got->sum) == wr_sum_double(&wanted->sum));
    assert_true(got->min.u == wanted->min.u && got->max.u == wanted->max.u);
    assert_true(got->first.u == wanted->first.u && got->last.u == wanted->last.u);
}

static void check_lost(const struct bed *bed, const struct wr_aggregate *results, uint32_t n) {
    for (uint32_t i = 0; i < bed->lengths.n; i++) {
        uint64_t lost = 0; /* what is longer now */
        for (uint32_t k = 0; k < n; k++)
            if (results[k].window_ns == bed->lengths.longer_ns[i] && (results[k].flags & WR_AGGREGATE_WIDENED) != 0)
                lost += wr_aggregate_readings(&results[k]);
        assert_int_equal(wr_merge_lost(bed->merge, i), lost);
    }
}

/* In segments, it comes back. */
static void check_as_segments(const struct bed *bed, const struct wr_aggregate *results, uint32_t n) {
    struct wr_encoder *encoder;
    struct wr_decoder *decoder;
    struct wr_codec_header header = {.kind = WR_SEGMENT_AGGREGATES, .lane = WR_LANE_WINDOWS, .epoch = 1, .seq = 1};
    struct wr_aggregate back;
    const uint8_t *body;
    size_t len;
    uint64_t readings = 0;
    uint32_t records = 0;
    assert_int_equal(wr_encoder_new(&encoder), WR_OK);
    assert_int_equal(wr_decoder_new(&decoder), WR_OK);
    for (uint32_t at = 0; at < n; at += WR_SEGMENT_RECORDS) {
        const uint32_t part = n - at < WR_SEGMENT_RECORDS ? n - at : WR_SEGMENT_RECORDS;
        assert_int_equal(wr_encode_aggregates(encoder, &header, results + at, part, wr_merge_texts(bed->merge), &body, &len), WR_OK);
        assert_int_equal(wr_decode_begin(decoder, body, len, &header, NULL), WR_OK);
        for (; wr_decode_aggregate(decoder, &back, NULL) == WR_OK; records++)
            readings += wr_aggregate_readings(&back);
    }
    assert_int_equal(records, n);
    for (uint32_t i = 0; i < bed->n; i++)
        readings -= bed->inputs[i].n + bed->inputs[i].bad;
    assert_int_equal(readings, 0);
    wr_decoder_free(decoder);
    wr_encoder_free(encoder);
}

static void test_longer_windows_say_what_their_readings_say(void **state) {
    (void)state;
    static struct bed bed;
    uint64_t in = 0, out = 0;
    for (int round = 0; round < ROUNDS; round++) {
        memset(&bed.lengths, 0, sizeof bed.lengths);
        wr_lengths_add(&bed.lengths, MINUTE_NS);
        if (below(2))
            wr_lengths_add(&bed.lengths, 5 * MINUTE_NS);
        if (below(2))
            wr_lengths_add(&bed.lengths, 60 * MINUTE_NS);
        assert_int_equal(wr_merge_new(&bed.lengths, &bed.merge), WR_OK);
        fill(&bed);
        if (bed.n > 0) {
            const struct wr_aggregate *results;
            uint32_t n;
            uint32_t looked = 0;
            wr_merge_run(bed.merge, &results, &n);
            assert_int_equal(n, wr_merge_results(bed.merge));
            memset(bed.seen, 0, sizeof bed.seen);
            for (uint32_t i = 0; i < bed.n; i++) { /* results come in the order of their first members */
                char key[16];
                if (bed.seen[i])
                    continue;
                assert_true(looked < n);
                const struct wr_aggregate wanted = expected(&bed, i, key);
                expect_equal(&results[looked++], &wanted);
            }
            assert_int_equal(looked, n);
            check_as_segments(&bed, results, n);
            in += bed.n;
            out += n;
        }
        wr_merge_free(bed.merge);
    }
    printf("%llu aggregates became %llu\n", (unsigned long long)in, (unsigned long long)out);
    assert_true(out < in);
}

static void test_what_lost_resolution_is_counted(void **state) {
    (void)state;
    static struct bed bed;
    for (int round = 0; round < ROUNDS; round++) {
        const struct wr_aggregate *results;
        uint32_t n;
        memset(&bed.lengths, 0, sizeof bed.lengths);
        wr_lengths_add(&bed.lengths, MINUTE_NS);
        wr_lengths_add(&bed.lengths, 5 * MINUTE_NS);
        assert_int_equal(wr_merge_new(&bed.lengths, &bed.merge), WR_OK);
        bed.n = 0;
        wr_merge_begin(bed.merge);
        for (uint32_t i = 0; i < 400; i++) {
            char key[16];
            struct input *input = &bed.inputs[bed.n++];
            *input = random_input(INT64_C(29533333) * MINUTE_NS);
            input->flags &= (uint8_t)~WR_AGGREGATE_WIDENED;
            const struct wr_aggregate aggregate = aggregate_of(input, input->values, input->n, key);
            assert_int_equal(wr_merge_add(bed.merge, &aggregate), WR_OK);
        }
        wr_merge_run(bed.merge, &results, &n);
        check_lost(&bed, results, n);
        wr_merge_free(bed.merge);
    }
}

static void test_a_length_tells_the_window(void **state) {
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct wr_lengths lengths = {0};
        for (uint32_t i = below(WR_LENGTHS_MAX + 10); i > 0; i--)
            wr_lengths_add(&lengths, (int64_t)(1 + below(90)) * (below(2) ? WR_NS_PER_S : MINUTE_NS));
        for (uint32_t i = 0; i < lengths.n; i++) {
            assert_true(i == 0 || lengths.length_ns[i] > lengths.length_ns[i - 1]);
            if (lengths.longer_ns[i] == 0)
                continue;
            assert_true(lengths.longer_ns[i] > lengths.length_ns[i] && lengths.longer_ns[i] % lengths.length_ns[i] == 0);
            for (uint32_t k = 0; k < lengths.n; k++) {
                assert_true(lengths.longer_ns[i] != lengths.length_ns[k]);
                assert_true(i == k || lengths.longer_ns[i] != lengths.longer_ns[k]);
            }
        }
    }
    struct wr_lengths few = {0};
    wr_lengths_add(&few, 5 * MINUTE_NS);
    wr_lengths_add(&few, 0);
    wr_lengths_add(&few, MINUTE_NS);
    wr_lengths_add(&few, MINUTE_NS);
    assert_int_equal(few.n, 2);
    assert_true(few.longer_ns[0] == 6 * MINUTE_NS && few.longer_ns[1] == 25 * MINUTE_NS);
    struct wr_lengths one = {0};
    wr_lengths_add(&one, MINUTE_NS);
    assert_true(one.longer_ns[0] == 5 * MINUTE_NS);
    wr_lengths_add(&one, INT64_MAX / 2);
    assert_true(one.longer_ns[1] == 0);
}

static void test_changes_and_nonsense_are_refused(void **state) {
    (void)state;
    struct wr_lengths lengths = {0};
    struct wr_merge *merge;
    struct input input = {.series = 0, .window_ns = 0, .n = 1};
    char key[16];
    char text[WR_SYMBOL_BYTES + 2];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    wr_lengths_add(&lengths, MINUTE_NS);
    assert_int_equal(wr_merge_new(&lengths, &merge), WR_OK);
    struct wr_aggregate aggregate = aggregate_of(&input, input.values, 1, key);
    wr_merge_begin(merge);
    assert_int_equal(wr_merge_add(merge, &aggregate), WR_INVALID);
    input = (struct input){.series = 4, .window_ns = MINUTE_NS, .n = 1};
    aggregate = aggregate_of(&input, input.values, 1, key);
    aggregate.last_text = text;
    assert_int_equal(wr_merge_add(merge, &aggregate), WR_LIMIT);
    for (int i = 0; i < WR_MERGE_RESULTS; i++) { /* nothing has a partner */
        input = (struct input){.series = 0, .window_ns = 3 * MINUTE_NS, .start_ns = i, .n = 1};
        aggregate = aggregate_of(&input, input.values, 1, key);
        assert_int_equal(wr_merge_add(merge, &aggregate), WR_OK);
    }
    assert_int_equal(wr_merge_add(merge, &aggregate), WR_FULL);
    wr_merge_free(merge);
    wr_merge_free(NULL);
}

static int setup(void **state) {
    (void)state;
    dice = wr_random_begin();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_length_tells_the_window),
        cmocka_unit_test(test_changes_and_nonsense_are_refused),
        cmocka_unit_test(test_longer_windows_say_what_their_readings_say),
        cmocka_unit_test(test_what_lost_resolution_is_counted),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
