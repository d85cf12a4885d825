/* The score of each detector on the Numenta Anomaly Benchmark (tests/support/nab_score.h), its bytes and its time a sample.
 *
 *   bench_nab [--files] [--only NAME] DIR
 *
 * DIR has windows.json, the recordings, and ranges.csv with the ranges that somebody who knows the quantity would declare (docs/detectors.md).
 * Files in alphabetical order: the first, third, fifth ... are the tuned half, on which settings may be chosen; the others are the kept half. Each
 * score is at the best threshold of its own files, but for `fixed`, the kept half at the threshold of the tuned half, and `limit`, all files at 0.99. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rules/operators/anomaly.h"
#include "tests/bench/nab_files.h"

#define LIMIT 0.99 /* as rules are written */

/* Yardstick: the tail of a normal distribution fitted to the last 6400 samples, moved on by 100 at a time; as published with the benchmark. */
#define GAUSSIAN_WINDOW 6400
#define GAUSSIAN_STEP 100

struct gaussian {
    double window[GAUSSIAN_WINDOW + GAUSSIAN_STEP];
    size_t n;
    double mean;
    double deviation;
};

static void gaussian_fit(struct gaussian *state) {
    const size_t n = state->n < GAUSSIAN_WINDOW ? state->n : GAUSSIAN_WINDOW;
    double sum = 0;
    double squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += state->window[i];
    state->mean = sum / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (state->window[i] - state->mean) * (state->window[i] - state->mean);
    state->deviation = squares > 0 ? sqrt(squares / (double)n) : 0.000001;
}

static double gaussian_add(const struct wr_anomaly_setup *setup, void *memory, int64_t at_ns, double value) {
    struct gaussian *state = memory;
    (void)setup, (void)at_ns;
    const double answer = state->n > 0 ? 1 - 0.5 * erfc(fabs(value - state->mean) / state->deviation / sqrt(2)) : 0;
    state->window[state->n++] = value;
    if (state->n == GAUSSIAN_WINDOW + GAUSSIAN_STEP) {
        state->n = GAUSSIAN_WINDOW;
        memmove(state->window, state->window + GAUSSIAN_STEP, GAUSSIAN_WINDOW * sizeof *state->window);
        gaussian_fit(state);
    } else if (state->n <= GAUSSIAN_WINDOW) {
        gaussian_fit(state);
    }
    return answer;
}

static bool gaussian_is_valid(const struct wr_anomaly_setup *setup, const void *memory) {
    (void)setup, (void)memory;
    return true;
}

static const struct wr_anomaly gaussian = {"gaussian", sizeof(struct gaussian), gaussian_add, gaussian_is_valid};

static const struct wr_anomaly *const detectors[] = {&gaussian,          &wr_anomaly_robust,  &wr_anomaly_cusum,
                                                     &wr_anomaly_relent, &wr_anomaly_novelty, &wr_anomaly_novelty16};

static struct nab_files all;
static double *answers[NAB_FILES_MAX];

static double cpu_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Returns ns a sample. */
static double run(const struct wr_anomaly *detector) {
    size_t rows = 0;
    void *state = malloc(detector->bytes);
    const double begin = cpu_ns();
    for (size_t i = 0; i < all.n; i++) {
        const struct nab_file *file = &all.files[i];
        const struct wr_anomaly_setup setup = {.low = all.low[i], .high = all.high[i]};
        memset(state, 0, detector->bytes);
        for (size_t row = 0; row < file->n; row++)
            answers[i][row] = detector->add(&setup, state, file->at_ns[row], file->values[row]);
        rows += file->n;
    }
    const double spent = cpu_ns() - begin;
    free(state);
    return spent / (double)rows;
}

struct part {
    struct nab_file files[NAB_FILES_MAX];
    const double *scores[NAB_FILES_MAX];
    size_t n;
};

static struct part part_of(size_t begin, size_t step) {
    struct part part = {.n = 0};
    for (size_t i = begin; i < all.n; i += step) {
        part.files[part.n] = all.files[i];
        part.scores[part.n++] = answers[i];
    }
    return part;
}

static void show(const struct wr_anomaly *detector, bool files) {
    const double ns = run(detector);
    const struct part whole = part_of(0, 1);
    const struct part tuned = part_of(0, 2);
    const struct part kept = part_of(1, 2);
    const struct nab_result on_all = nab_score_all(whole.files, whole.scores, whole.n, &nab_standard);
    const struct nab_result on_tuned = nab_score_all(tuned.files, tuned.scores, tuned.n, &nab_standard);
    const struct nab_result on_kept = nab_score_all(kept.files, kept.scores, kept.n, &nab_standard);
    const struct nab_result fixed = nab_score_at(kept.files, kept.scores, kept.n, on_tuned.threshold, &nab_standard);
    const struct nab_result limit = nab_score_at(whole.files, whole.scores, whole.n, LIMIT, &nab_standard);
    printf("%s bytes %u ns %.0f all %.1f tuned %.1f kept %.1f fixed %.1f limit %.1f threshold %.6f\n", detector->name, detector->bytes, ns,
           on_all.score, on_tuned.score, on_kept.score, fixed.score, limit.score, on_all.threshold);
    for (size_t i = 0; files && i < all.n; i++)
        printf("  %-45s windows %zu raw %.3f\n", all.files[i].name, all.files[i].n_windows,
               nab_raw(&all.files[i], answers[i], on_all.threshold, &nab_standard));
}

int main(int argc, char **argv) {
    bool files = false;
    const char *only = NULL;
    const char *dir = NULL;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--files") == 0)
            files = true;
        else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
            only = argv[++i];
        else
            dir = argv[i];
    if (!dir) {
        fputs("usage: bench_nab [--files] [--only NAME] DIR\n", stderr);
        return 2;
    }
    nab_files_read(&all, dir);
    for (size_t i = 0; i < all.n; i++)
        answers[i] = calloc(all.files[i].n + 1, sizeof *answers[i]);
    for (size_t i = 0; i < sizeof detectors / sizeof *detectors; i++)
        if (!only || strcmp(only, detectors[i]->name) == 0)
            show(detectors[i], files);
    return 0;
}
