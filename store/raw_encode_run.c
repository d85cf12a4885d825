/* The times of one run into the columns, and the scale of numbers of any kind. */
#include "store/raw_encode_private.h"

/* -- numbers ------------------------------------------------------------------------------------------------------------------------------- */

#define FEW 64 /* of so few numbers it is not worth while to say another scale than the run before has, if it is near */

static uint32_t apart(unsigned a, unsigned b) {
    return a > b ? a - b : b - a;
}

/* The one scale for all, unless their widths change so much that it had better follow them. The first one, which may be expected from another run, is not asked. */
static uint8_t find_scale(const uint64_t *numbers, uint32_t n, uint8_t scale_before) {
    const uint32_t skip = n > 1;
    uint32_t sum = 0;
    for (uint32_t i = skip; i < n; i++)
        sum += wr_width(numbers[i]);
    const unsigned usual = (2 * sum + n - skip) / (2 * (n - skip));
    if (n < FEW)
        return (uint8_t)(apart(wr_raw_scale_of(usual), scale_before) <= 1 ? scale_before : wr_raw_scale_of(usual));
    uint32_t off_usual = 0;
    uint32_t off_average = 0;
    struct wr_average average = {0};
    for (uint32_t i = skip; i < n; i++) {
        const unsigned width = wr_width(numbers[i]);
        off_usual += apart(width, usual);
        off_average += apart(width, wr_average_expect(&average));
        wr_average_learn(&average, width);
    }
    return (uint8_t)(10 * off_average < 9 * off_usual ? WR_RAW_ADAPTS : wr_raw_scale_of(usual));
}

struct wr_raw_scale wr_raw_encode_scale(struct wr_raw_encoder *encoder, uint32_t n) {
    if (n == 0)
        return (struct wr_raw_scale){.scale = encoder->scale};
    const struct wr_raw_scale scale = {.scale = find_scale(encoder->numbers, n, encoder->scale)};
    if (scale.scale != WR_RAW_ADAPTS)
        encoder->scale = scale.scale;
    return scale;
}

/* -- times --------------------------------------------------------------------------------------------------------------------------------- */

static int64_t time_at(const struct wr_raw_encoder *encoder, const struct wr_run *run, const struct wr_reading *readings, uint32_t i) {
    return readings[encoder->order[run->at + i]].event_ns;
}

static bool has_times(const struct wr_raw_encoder *encoder, const struct wr_run *run, const uint64_t *times, uint32_t n,
                      const struct wr_reading *readings) {
    if (run->count != n)
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (time_at(encoder, run, readings, i) != (int64_t)times[i])
            return false;
    return true;
}

/* A run before the one at `place` that was measured at the same times: fields of one device are. How many runs before; 0: there is none. */
static uint32_t find_times(struct wr_raw_encoder *encoder, uint32_t place, const uint64_t *times, uint32_t n,
                           const struct wr_reading *readings) {
    uint64_t hash = n;
    for (uint32_t i = 0; i < n; i++)
        hash = (hash ^ times[i]) * UINT64_C(0x9E3779B97F4A7C15);
    size_t slot = (size_t)(hash >> 40) % WR_RAW_SLOTS;
    for (; encoder->slots[slot] != 0; slot = (slot + 1) % WR_RAW_SLOTS) {
        const uint32_t other = encoder->slots[slot] - 1U;
        if (has_times(encoder, &encoder->runs[encoder->sorted[other]], times, n, readings))
            return place - other;
    }
    encoder->slots[slot] = (uint16_t)(place + 1);
    return 0;
}

static unsigned common_unit(const uint64_t *times, uint32_t n) {
    unsigned unit = WR_TIME_UNITS - 1;
    for (uint32_t i = 0; i < n && unit > 0; i++)
        while ((int64_t)times[i] % wr_time_units[unit] != 0)
            unit--; /* ends at 1 ns */
    return unit;
}

/* Bits that steps leave to write beside a period. */
static uint64_t bits_beside(const uint64_t *steps, uint32_t n, int64_t period) {
    uint64_t bits = 0;
    for (uint32_t i = 0; i < n; i++)
        bits += wr_width(wr_zigzag(wr_minus((int64_t)steps[i], period)));
    return bits;
}

/* What a step mostly is: the one that most have, if more than half do, else their mean; whichever leaves less to write. Or that of the run before, if
 * that is not much more. */
static int64_t find_period(const uint64_t *steps, uint32_t n, int64_t period_before) {
    uint64_t sum = 0;
    int64_t usual = 0;
    uint32_t votes = 0;
    for (uint32_t i = 0; i < n; i++) {
        const int64_t step = (int64_t)steps[i];
        sum += steps[i];
        if (votes == 0)
            usual = step;
        votes = step == usual ? votes + 1 : votes - 1;
    }
    const int64_t mean = (int64_t)sum / (int64_t)n;
    const uint64_t with_usual = bits_beside(steps, n, usual);
    if (with_usual == 0)
        return usual;
    const uint64_t with_mean = bits_beside(steps, n, mean);
    const uint64_t with_best = with_usual <= with_mean ? with_usual : with_mean;
    if (bits_beside(steps, n, period_before) <= with_best + wr_width(wr_zigzag(mean)))
        return period_before;
    return with_usual <= with_mean ? usual : mean;
}

/* Times become steps, in units. Returns the first time. */
static int64_t take_steps(uint64_t *times, uint32_t n, int64_t unit) {
    const int64_t start_ns = (int64_t)times[0];
    int64_t before = start_ns / unit;
    for (uint32_t i = 0; i + 1 < n; i++) {
        const int64_t at = (int64_t)times[i + 1] / unit;
        times[i] = (uint64_t)wr_minus(at, before);
        before = at;
    }
    return start_ns;
}

void wr_raw_encode_times(struct wr_raw_encoder *encoder, uint32_t place, const struct wr_reading *readings) {
    const struct wr_run *run = &encoder->runs[encoder->sorted[place]];
    uint64_t *numbers = encoder->numbers; /* first the times, then the steps, then what they are beside the period */
    for (uint32_t i = 0; i < run->count; i++)
        numbers[i] = (uint64_t)time_at(encoder, run, readings, i);
    const uint32_t back = find_times(encoder, place, numbers, run->count, readings);
    wr_raw_varint(encoder, WR_RAW_RUN_TIMES, back);
    if (back > 0)
        return;
    const unsigned unit_index = common_unit(numbers, run->count);
    const int64_t unit = wr_time_units[unit_index];
    const int64_t start_ns = take_steps(numbers, run->count, unit);
    const uint32_t n = run->count - 1;
    if (n > 0)
        encoder->period = find_period(numbers, n, encoder->period);
    for (uint32_t i = 0; i < n; i++)
        numbers[i] = wr_zigzag(wr_minus((int64_t)numbers[i], encoder->period));
    struct wr_raw_scale scale = wr_raw_encode_scale(encoder, n);
    wr_raw_byte(encoder, WR_RAW_RUN_TIMES, (uint8_t)unit_index);
    wr_raw_zigzag(encoder, WR_RAW_RUN_TIMES, encoder->period);
    wr_raw_byte(encoder, WR_RAW_RUN_TIMES, scale.scale);
    wr_raw_zigzag(encoder, WR_RAW_RUN_TIMES, wr_minus(start_ns / unit, encoder->times_start_ns / unit));
    encoder->times_start_ns = start_ns;
    for (uint32_t i = 0; i < n; i++) {
        wr_raw_number(encoder, WR_RAW_TIME, numbers[i], wr_raw_scale_now(&scale));
        wr_raw_scale_learn(&scale, numbers[i]);
    }
}
