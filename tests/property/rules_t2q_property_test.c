/* T² and Q on random vectors: against the quadratic form with the inverse of the covariance, which Gauss finds; invariant to units; and with bytes that
 * were not written by us. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rules/operators/t2q.h"
#include "tests/support/random.h"

#define ROUNDS 200

static double uniform(struct wr_random *random) {
    return (double)(wr_random_u64(random) >> 11) / 9007199254740992.0 - 0.5;
}

struct mixer {
    uint32_t n;
    double mix[WR_T2Q_SERIES_MAX][WR_T2Q_SERIES_MAX];
};

static void draw(struct wr_random *random, const struct mixer *mixer, double *vector) {
    double source[WR_T2Q_SERIES_MAX];
    for (uint32_t i = 0; i < mixer->n; i++)
        source[i] = uniform(random) + uniform(random) + uniform(random);
    for (uint32_t i = 0; i < mixer->n; i++) {
        vector[i] = 10.0 * i;
        for (uint32_t j = 0; j < mixer->n; j++)
            vector[i] += mixer->mix[i][j] * source[j];
    }
}

/* x' C^-1 x by elimination. */
static double quadratic_form(uint32_t n, double c[WR_T2Q_SERIES_MAX][WR_T2Q_SERIES_MAX], const double *x) {
    double rows[WR_T2Q_SERIES_MAX][WR_T2Q_SERIES_MAX + 1];
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        memcpy(rows[i], c[i], n * sizeof c[i][0]);
        rows[i][n] = x[i];
    }
    for (uint32_t p = 0; p < n; p++)
        for (uint32_t i = 0; i < n; i++) {
            const double by = i == p ? 0 : rows[i][p] / rows[p][p];
            for (uint32_t k = 0; k <= n; k++)
                rows[i][k] -= by * rows[p][k];
        }
    for (uint32_t i = 0; i < n; i++)
        sum += x[i] * rows[i][n] / rows[i][i];
    return sum;
}

static struct mixer random_mixer(struct wr_random *random) {
    struct mixer mixer = {.n = 2 + (uint32_t)wr_random_below(random, WR_T2Q_SERIES_MAX - 1)};
    const double share = uniform(random) + 0.5; /* of what all have in common */
    for (uint32_t i = 0; i < mixer.n; i++)
        for (uint32_t j = 0; j < mixer.n; j++)
            mixer.mix[i][j] = uniform(random) * share + (i == j ? 1 : 0);
    return mixer;
}

/* T² of all components would be the quadratic form; what is not kept of it is Q, each component over its own variance. */
static void it_splits_the_quadratic_form(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    for (int round = 0; round < ROUNDS; round++) {
        const struct mixer mixer = random_mixer(&random);
        const struct wr_t2q_spec spec = {.series = mixer.n, .warmup = 60 + (uint32_t)wr_random_below(&random, 100)};
        static double vectors[160][WR_T2Q_SERIES_MAX];
        struct wr_t2q chart = {0};
        struct wr_t2q_answer answer;
        double c[WR_T2Q_SERIES_MAX][WR_T2Q_SERIES_MAX] = {{0}};
        double mean[WR_T2Q_SERIES_MAX] = {0};
        for (uint32_t i = 0; i < spec.warmup; i++) {
            draw(&random, &mixer, vectors[i]);
            assert_true(!wr_t2q_add(&spec, &chart, vectors[i], &answer));
            assert_true(wr_t2q_is_valid(&spec, &chart));
            for (uint32_t k = 0; k < spec.series; k++)
                mean[k] += vectors[i][k] / spec.warmup;
        }
        for (uint32_t i = 0; i < spec.warmup; i++)
            for (uint32_t j = 0; j < spec.series; j++)
                for (uint32_t k = 0; k < spec.series; k++)
                    c[j][k] += (vectors[i][j] - mean[j]) * (vectors[i][k] - mean[k]) / (spec.warmup - 1);
        double vector[WR_T2Q_SERIES_MAX];
        double off[WR_T2Q_SERIES_MAX];
        draw(&random, &mixer, vector);
        assert_true(wr_t2q_add(&spec, &chart, vector, &answer));
        double whole = answer.t2;
        double rest = 0;
        for (uint32_t component = chart.kept; component < spec.series; component++) {
            double along = 0;
            for (uint32_t k = 0; k < spec.series; k++)
                along += chart.matrix[component * spec.series + k] * (vector[k] - mean[k]) / chart.deviation[k];
            whole += along * along / chart.variance[component];
            rest += along * along;
        }
        for (uint32_t k = 0; k < spec.series; k++)
            off[k] = vector[k] - mean[k];
        const double expected = quadratic_form(spec.series, c, off);
        /* Some mixtures nearly lie in a plane: dividing by their least variance magnifies what both ways have rounded. */
        const double rounded = 1e-14 * chart.variance[0] / chart.variance[spec.series - 1];
        assert_true(fabs(whole - expected) <= (1e-6 + rounded) * (1 + expected));
        assert_true(fabs(rest - answer.q) <= 1e-9 * (1 + rest));
        assert_true(answer.t2_part >= 0 && answer.t2_part <= 1 && answer.q_part >= 0 && answer.q_part <= 1);
    }
}

static void units_do_not_matter(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    for (int round = 0; round < ROUNDS; round++) {
        const struct mixer mixer = random_mixer(&random);
        const struct wr_t2q_spec spec = {.series = mixer.n, .warmup = 80};
        struct wr_t2q one = {0};
        struct wr_t2q other = {0};
        struct wr_t2q_answer answer;
        struct wr_t2q_answer converted_answer;
        for (uint32_t i = 0; i < spec.warmup + 20; i++) {
            double vector[WR_T2Q_SERIES_MAX];
            double converted[WR_T2Q_SERIES_MAX];
            draw(&random, &mixer, vector);
            for (uint32_t k = 0; k < spec.series; k++)
                converted[k] = vector[k] * (1 + k) - 7.0 * k;
            const bool known = wr_t2q_add(&spec, &one, vector, &answer);
            assert_true(known == wr_t2q_add(&spec, &other, converted, &converted_answer));
            if (known && one.kept == other.kept) {
                assert_true(fabs(answer.t2 - converted_answer.t2) <= 1e-6 * (1 + answer.t2));
                assert_true(fabs(answer.part - converted_answer.part) <= 1e-6);
            }
        }
    }
}

static void any_bytes_do_no_harm(void **state) {
    (void)state;
    static const double wild[] = {0, 1e100, -1e100, 1e308, 5e-324, NAN, INFINITY, 1, -1, 1e-200};
    struct wr_random random = wr_random_begin();
    for (int round = 0; round < 20000; round++) {
        const struct wr_t2q_spec spec = {.series = 2 + (uint32_t)wr_random_below(&random, 15), .warmup = 20};
        const struct mixer mixer = {.n = spec.series};
        struct wr_t2q chart = {0};
        struct wr_t2q_answer answer;
        double vector[WR_T2Q_SERIES_MAX];
        const bool tame = wr_random_below(&random, 2);
        for (int i = 0; i < 40; i++) {
            draw(&random, &mixer, vector);
            for (uint32_t k = 0; k < spec.series; k++)
                vector[k] = tame ? vector[k] + uniform(&random) : wild[wr_random_below(&random, sizeof wild / sizeof wild[0])];
            if (i == 30)
                for (uint64_t n = wr_random_below(&random, 4); n > 0; n--)
                    ((unsigned char *)&chart)[wr_random_below(&random, sizeof chart)] = (unsigned char)wr_random_u64(&random);
            if (!wr_t2q_is_valid(&spec, &chart)) {
                assert_true(i >= 30);
                break;
            }
            if (wr_t2q_add(&spec, &chart, vector, &answer))
                assert_true(answer.part >= 0 && answer.part <= 1 && answer.t2_part >= 0 && answer.t2_part <= 1 && answer.q_part >= 0 &&
                            answer.q_part <= 1 && answer.t2 >= 0 && answer.q >= 0);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_splits_the_quadratic_form),
        cmocka_unit_test(units_do_not_matter),
        cmocka_unit_test(any_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
