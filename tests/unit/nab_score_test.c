/* The score of the Numenta Anomaly Benchmark, against numbers computed by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/nab_score.h"

#define ROWS 100 /* of which 15 are probation */
#define assert_near(a, b) assert_true(fabs((a) - (b)) < 1e-6)

static double scores[2][ROWS];

static struct nab_file a_file(size_t first, size_t last) {
    for (int i = 0; i < 2; i++)
        for (int row = 0; row < ROWS; row++)
            scores[i][row] = 0;
    return (struct nab_file){.name = "a", .n = ROWS, .windows = {{first, last}}, .n_windows = 1};
}

static struct nab_result score(const struct nab_file *file) {
    const double *all[] = {scores[0]};
    return nab_score_all(file, all, 1, &nab_standard);
}

static void the_probation_is_15_percent_of_5000_rows_at_most(void **state) {
    (void)state;
    assert_int_equal(nab_probation(4032), 604);
    assert_int_equal(nab_probation(1127), 169);
    assert_int_equal(nab_probation(5000), 750);
    assert_int_equal(nab_probation(22695), 750);
}

static void the_sigmoid_is_that_of_the_paper(void **state) {
    (void)state;
    assert_near(nab_sigmoid(-1), 0.986614298);
    assert_near(nab_sigmoid(-0.5), 0.848283640);
    assert_near(nab_sigmoid(0), 0);
    assert_near(nab_sigmoid(1), -0.986614298);
    assert_near(nab_sigmoid(3), -1);
}

static void a_row_is_worth_its_place(void **state) {
    (void)state;
    const struct nab_file file = a_file(40, 49);
    int window;
    assert_near(nab_worth(&file, 20, &nab_standard, &window), -0.11); /* before the first window */
    assert_int_equal(window, -1);
    assert_near(nab_worth(&file, 40, &nab_standard, &window), 1);
    assert_int_equal(window, 0);
    assert_near(nab_worth(&file, 45, &nab_standard, &window), 0.848283640 / 0.986614298); /* five rows of ten are left */
    assert_near(nab_worth(&file, 49, &nab_standard, &window), 0.244918662 / 0.986614298); /* tanh(0.25) */
    assert_int_equal(window, 0);
    assert_near(nab_worth(&file, 58, &nab_standard, &window), -0.11 * 0.986614298); /* 9 rows behind, 10 - 1 wide */
    assert_int_equal(window, -1);
    assert_near(nab_worth(&file, 90, &nab_standard, &window), -0.11);
}

static void silence_is_nothing_and_the_first_row_alone_is_all(void **state) {
    (void)state;
    const struct nab_file file = a_file(40, 49);
    assert_near(score(&file).score, 0);
    assert_near(score(&file).raw, -1);
    assert_true(score(&file).threshold > 1);
    scores[0][40] = 0.7;
    assert_near(score(&file).score, 100);
    assert_near(score(&file).threshold, 0.7);
}

static void of_a_window_the_best_row_counts_once_and_each_false_alarm_costs(void **state) {
    (void)state;
    const struct nab_file file = a_file(40, 49);
    scores[0][45] = scores[0][46] = scores[0][47] = 0.9;
    scores[0][20] = scores[0][21] = 0.9;
    const double raw = 0.848283640 / 0.986614298 - 2 * 0.11;
    assert_near(score(&file).raw, raw);
    assert_near(score(&file).score, 100 * (raw + 1) / 2);
}

static void the_probation_counts_neither_way(void **state) {
    (void)state;
    const struct nab_file file = a_file(5, 12);
    for (int row = 0; row < 15; row++)
        scores[0][row] = 1;
    const struct nab_result result = score(&file);
    assert_near(result.raw, 0); /* and the window that lies in it is not asked for */
    assert_near(result.score, 0);
    const struct nab_file half = a_file(10, 19); /* the part behind the probation can be found */
    scores[0][15] = 1;
    assert_near(score(&half).raw, 0.848283640 / 0.986614298);
}

static void one_threshold_holds_for_all_files(void **state) {
    (void)state;
    const struct nab_file files[] = {a_file(40, 49), a_file(60, 69)};
    const double *all[] = {scores[0], scores[1]};
    scores[0][40] = 0.5; /* the first file would want 0.5, the second 0.9 */
    scores[1][60] = 0.9;
    for (int row = 20; row < 40; row++)
        scores[1][row] = 0.6;
    const struct nab_result result = nab_score_all(files, all, 2, &nab_standard);
    assert_near(result.threshold, 0.9); /* 20 false alarms cost 2.2, the other window is worth 2 */
    assert_near(result.raw, 1 - 1);
    assert_near(result.score, 50);
    assert_near(nab_score_at(files, all, 2, 0.5, &nab_standard).raw, 2 - 2.2);
    assert_near(nab_raw(&files[0], scores[0], 0.5, &nab_standard), 1);
    assert_near(nab_raw(&files[1], scores[1], 0.5, &nab_standard), 1 - 2.2);
}

static void what_is_not_a_number_is_no_detection(void **state) {
    (void)state;
    const struct nab_file file = a_file(40, 49);
    scores[0][30] = NAN;
    scores[0][40] = 1;
    assert_near(score(&file).score, 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_probation_is_15_percent_of_5000_rows_at_most),
        cmocka_unit_test(the_sigmoid_is_that_of_the_paper),
        cmocka_unit_test(a_row_is_worth_its_place),
        cmocka_unit_test(silence_is_nothing_and_the_first_row_alone_is_all),
        cmocka_unit_test(of_a_window_the_best_row_counts_once_and_each_false_alarm_costs),
        cmocka_unit_test(the_probation_counts_neither_way),
        cmocka_unit_test(one_threshold_holds_for_all_files),
        cmocka_unit_test(what_is_not_a_number_is_no_detection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
