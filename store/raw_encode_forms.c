/* Which integers suit the values of a run: its grid, a form and a code for each value, and the constant. All of it is a guess at what is shortest; that a value comes back is
 * checked one by one. */
#include <math.h>

#include "store/grid.h"
#include "store/raw_encode_private.h"

#define SAMPLE 64      /* readings of a run that are looked at */
#define LONG_SAMPLE 32 /* of those with many decimals */
#define FAILURES_MAX 8 /* of them that are no fractions, until the run is taken to have none */
#define GUESSES 5      /* looked at where decimals are not known */
#define FEW_DECIMALS 3 /* tried where a run has many: a third among round numbers makes them look long */
#define ALWAYS_SHORT 6 /* decimals of which no other form is shorter */
#define SWITCH_BITS 10 /* what another form than the usual one costs, about */

static bool is_long(uint8_t decimals) {
    return decimals > WR_GRID_SHORT && decimals <= WR_DECIMALS_MAX;
}

/* -- the grid ------------------------------------------------------------------------------------------------------------------------------ */

/* What all codes of a sample in this form are multiples of. Those with as many decimals decide, and may be few: they are looked for. */
static uint64_t sample_step(const struct wr_raw_encoder *encoder, const struct wr_grid *grid, unsigned places) {
    const uint32_t stride = (encoder->count + SAMPLE - 1) / SAMPLE;
    uint64_t step = 0;
    uint32_t looked = 0;
    for (uint32_t i = 0; i < encoder->count && step != 1 && looked < 2 * SAMPLE; i++) {
        const unsigned decimals = encoder->decimals[i];
        struct wr_code code;
        if ((decimals != places && (decimals > places || i % stride != 0)) || !wr_form_code(grid, places, encoder->values[i].f, &code))
            continue;
        step = wr_grid_divisor(step, code.code);
        looked++;
    }
    return step == 0 ? 1 : step;
}

/* Of those with few decimals: the most, or fewer, so that some switch to a form of their own, if that saves more. -1: there are none. */
static int usual_decimals(const struct wr_raw_encoder *encoder, const struct wr_grid *grid, const uint32_t counts[WR_GRID_SHORT + 1]) {
    double least = INFINITY;
    int best = -1;
    int most = WR_GRID_SHORT;
    while (most >= 0 && counts[most] == 0)
        most--;
    uint32_t above = 0; /* readings with more decimals */
    for (int places = most; places >= 0 && 4 * above < encoder->count; above += counts[places--]) {
        if (counts[places] == 0)
            continue;
        if (above + counts[places] == encoder->count && best < 0)
            return places; /* all have so many */
        const double steps = wr_decimal_powers[places] / (double)sample_step(encoder, grid, (unsigned)places);
        const double bits = log2(steps) * (double)(encoder->count - above) + (log2(wr_decimal_powers[most]) + SWITCH_BITS) * above;
        if (bits < least) {
            least = bits;
            best = places;
        }
    }
    return best;
}

/* The fewest places with which a value can be written: exactly if possible, else with neighbours. */
static unsigned detect_decimals(const struct wr_grid *grid, double value, bool *ret_exact) {
    unsigned found = WR_FORM_DOUBLE;
    for (unsigned places = 0; places <= WR_FORM_DECIMALS_MAX; places++) {
        struct wr_code code;
        if (!wr_form_code(grid, places, value, &code))
            continue;
        *ret_exact = code.ulps == 0;
        if (*ret_exact)
            return places;
        if (found == WR_FORM_DOUBLE)
            found = places;
    }
    return found;
}

/* Of a run whose decimals are not known: the most of a few readings, of which some may end with a zero. */
static uint8_t guess_decimals(const struct wr_raw_encoder *encoder, const struct wr_grid *grid) {
    bool exact = false;
    unsigned most = detect_decimals(grid, encoder->values[0].f, &exact);
    for (uint32_t i = 1; i < GUESSES && i < encoder->count; i++) {
        bool other_exact = false;
        const unsigned other = detect_decimals(grid, encoder->values[i].f, &other_exact);
        if (other_exact && (!exact || other > most)) {
            most = other;
            exact = true;
        }
    }
    return (uint8_t)most;
}

/* True if most readings are fractions. */
static bool find_fractions(const struct wr_raw_encoder *encoder, struct wr_grid *grid, uint32_t n_long) {
    const uint32_t stride = (n_long + LONG_SAMPLE - 1) / LONG_SAMPLE;
    uint32_t n = 0;
    uint32_t failures = 0;
    for (uint32_t i = 0; i < encoder->count && failures < FAILURES_MAX; i++) {
        const double value = encoder->values[i].f;
        struct wr_code code;
        if (is_long(encoder->decimals[i]) && n++ % stride == 0)
            failures += !wr_form_code(grid, WR_FORM_FRACTION, value, &code) && !wr_grid_refine(grid, value);
    }
    if (failures == FAILURES_MAX)
        grid->parts = 0;
    return grid->parts > 0 && 2 * n_long > encoder->count;
}

/* True if most readings are fractions. */
static bool find_grid(const struct wr_raw_encoder *encoder, struct wr_grid *grid) {
    uint32_t counts[UINT8_MAX + 1] = {0};
    uint8_t most = 0;
    for (uint32_t i = 0; i < encoder->count; i++)
        counts[encoder->decimals[i]]++;
    uint32_t n_long = 0;
    for (uint8_t places = WR_GRID_SHORT + 1; places <= WR_DECIMALS_MAX; places++)
        if (counts[places] > 0) {
            n_long += counts[places];
            most = places;
        }
    const int usual = usual_decimals(encoder, grid, counts);
    if (usual >= 0)
        grid->decimals = (uint8_t)usual;
    else
        grid->decimals = 2 * n_long > encoder->count ? most : guess_decimals(encoder, grid);
    return n_long > 0 && find_fractions(encoder, grid, n_long);
}

/* -- forms --------------------------------------------------------------------------------------------------------------------------------- */

static unsigned cost(const struct wr_grid *grid, unsigned form, const struct wr_code *code, const struct wr_raw_before *before) {
    return wr_width(wr_zigzag(wr_minus(code->code, wr_raw_before_code(before, grid, form)))) + (code->ulps == 0 ? 0 : 8) +
           (form == before->form ? 0 : SWITCH_BITS);
}

static unsigned choose_form(const struct wr_grid *grid, bool fractions, double value, uint8_t decimals, const struct wr_raw_before *before,
                            struct wr_code *ret_code) {
    if (grid->parts > 0 && (fractions || is_long(decimals)) && wr_form_code(grid, WR_FORM_FRACTION, value, ret_code))
        return WR_FORM_FRACTION;
    unsigned form = grid->decimals;
    bool found = form <= WR_FORM_DECIMALS_MAX && wr_form_code_near(form, value, WR_RAW_ULPS_BELOW, ret_code);
    if (found && form <= ALWAYS_SHORT)
        return form;
    if (!found && decimals != form && decimals <= WR_DECIMALS_MAX) {
        form = decimals;
        found = wr_form_code(grid, form, value, ret_code);
    }
    static const uint8_t others[] = {FEW_DECIMALS, WR_FORM_FLOAT, WR_FORM_DOUBLE};
    for (size_t i = 0; i < sizeof others; i++) {
        struct wr_code other;
        if (wr_form_code(grid, others[i], value, &other) &&
            (!found || cost(grid, others[i], &other, before) < cost(grid, form, ret_code, before))) {
            *ret_code = other;
            form = others[i];
            found = true;
        }
    }
    return form;
}

static void find_float_codes(struct wr_raw_encoder *encoder, struct wr_raw_forms *forms) {
    struct wr_raw_before before = {0};
    uint32_t counts[WR_FORM_INTEGER] = {0};
    const bool fractions = find_grid(encoder, &forms->grid);
    for (uint32_t i = 0; i < encoder->count; i++) {
        const union wr_value value = encoder->values[i];
        const unsigned form = choose_form(&forms->grid, fractions, value.f, encoder->decimals[i], &before, &encoder->codes[i]);
        encoder->forms[i] = (uint8_t)form;
        counts[form]++;
        wr_raw_before_learn(&before, form, encoder->codes[i].code, value);
    }
    for (uint8_t form = 0; form < WR_FORM_INTEGER; form++)
        if (counts[form] > counts[forms->usual])
            forms->usual = form;
}

/* -- the constant -------------------------------------------------------------------------------------------------------------------------- */

#define CONSTANT_BITS 80 /* what it costs to have one */

static int64_t width_between(const struct wr_raw_encoder *encoder, const struct wr_grid *grid, uint32_t a, uint32_t b) {
    struct wr_raw_before before = {0};
    wr_raw_before_learn(&before, encoder->forms[a], encoder->codes[a].code, encoder->values[a]);
    return wr_width(wr_zigzag(wr_minus(encoder->codes[b].code, wr_raw_before_code(&before, grid, encoder->forms[b]))));
}

/* True if it saves more than it costs that this value is not written as a number: for each stretch of it the ways there and back. */
static bool is_worth(const struct wr_raw_encoder *encoder, const struct wr_grid *grid, union wr_value value) {
    int64_t saved = -CONSTANT_BITS;
    uint32_t before = encoder->count; /* the last one that was something else */
    for (uint32_t i = 0; i < encoder->count; i++) {
        if (encoder->values[i].u == value.u)
            continue;
        if (before + 1 < i)
            saved += width_between(encoder, grid, before, before + 1) + width_between(encoder, grid, i - 1, i) -
                     width_between(encoder, grid, before, i);
        before = i;
    }
    return saved > 0;
}

static bool is_less(uint8_t type, union wr_value a, union wr_value b) {
    return type == WR_TYPE_FLOAT ? a.f < b.f : a.i < b.i;
}

/* Of a run the smallest or the largest value, if it comes again and again from afar, as -200 for "no value", or 0 at night. */
static bool find_constant(const struct wr_raw_encoder *encoder, struct wr_raw_forms *forms) {
    union wr_value least = encoder->values[0];
    union wr_value most = least;
    uint32_t n_least = 0;
    uint32_t n_most = 0;
    for (uint32_t i = 0; i < encoder->count; i++) {
        const union wr_value value = encoder->values[i];
        if (is_less(encoder->type, value, least)) {
            least = value;
            n_least = 0;
        } else if (is_less(encoder->type, most, value)) {
            most = value;
            n_most = 0;
        }
        n_least += value.u == least.u;
        n_most += value.u == most.u;
    }
    if (n_least == encoder->count)
        return false;
    forms->constant = n_most > n_least ? most : least;
    if (n_least + n_most > 2 && is_worth(encoder, &forms->grid, forms->constant))
        return true;
    forms->constant = n_most > n_least ? least : most;
    return n_least > 1 && n_most > 1 && is_worth(encoder, &forms->grid, forms->constant);
}

void wr_raw_encode_forms(struct wr_raw_encoder *encoder, struct wr_raw_forms *forms) {
    *forms = (struct wr_raw_forms){.grid = {.step = 1, .decimals = WR_FORM_DOUBLE, .digits = WR_GRID_DIGITS_MIN}};
    if (encoder->type == WR_TYPE_FLOAT) {
        find_float_codes(encoder, forms);
    } else {
        forms->usual = WR_FORM_INTEGER;
        for (uint32_t i = 0; i < encoder->count; i++) {
            encoder->forms[i] = WR_FORM_INTEGER;
            encoder->codes[i] = (struct wr_code){.code = encoder->values[i].i};
        }
    }
    forms->has_constant = find_constant(encoder, forms);
    for (uint32_t i = 0; i < encoder->count && forms->has_constant; i++)
        if (encoder->values[i].u == forms->constant.u) {
            encoder->forms[i] = WR_RAW_CONSTANT;
            encoder->codes[i].ulps = 0;
        }
}
