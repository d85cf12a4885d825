#include "tests/support/nab_score.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define NOBODY 1.1 /* a threshold that no score reaches */

const struct nab_profile nab_standard = {.tp = 1, .fp = 0.11, .fn = 1};

size_t nab_probation(size_t n) {
    return n * 15 / 100 < 750 ? n * 15 / 100 : 750;
}

double nab_sigmoid(double position) {
    return position >= 3 ? -1 : 2 / (1 + exp(5 * position)) - 1;
}

double nab_worth(const struct nab_file *file, size_t row, const struct nab_profile *profile, int *ret_window) {
    *ret_window = -1;
    double behind = 3;
    for (size_t i = 0; i < file->n_windows && file->windows[i].first <= row; i++) {
        const size_t last = file->windows[i].last;
        const double width = (double)(last - file->windows[i].first + 1);
        if (row <= last) {
            *ret_window = (int)i;
            return profile->tp * nab_sigmoid(-(double)(last - row + 1) / width) / nab_sigmoid(-1);
        }
        behind = width > 1 ? (double)(row - last) / (width - 1) : 3;
    }
    return profile->fp * nab_sigmoid(behind);
}

/* A row as the sweep sees it. */
struct mark {
    double score;
    double worth;
    size_t slot; /* of its window in the array of what each has won; SIZE_MAX: none */
};

struct sweep {
    struct mark *marks;
    size_t n;
    double *won; /* by each window */
    size_t n_windows;
    double raw;
};

static int by_score(const void *a, const void *b) {
    const double x = ((const struct mark *)a)->score;
    const double y = ((const struct mark *)b)->score;
    return (x < y) - (x > y);
}

static void *memory(size_t n, size_t size) {
    void *block = calloc(n + 1, size);
    if (!block) {
        fputs("no memory\n", stderr);
        exit(2);
    }
    return block;
}

static void sweep_begin(struct sweep *sweep, const struct nab_file *files, const double *const *scores, size_t n_files,
                        const struct nab_profile *profile) {
    size_t rows = 0;
    size_t windows = 0;
    for (size_t i = 0; i < n_files; i++)
        rows += files[i].n, windows += files[i].n_windows;
    *sweep = (struct sweep){.marks = memory(rows, sizeof *sweep->marks), .won = memory(windows, sizeof *sweep->won)};
    for (size_t i = 0; i < n_files; i++) {
        const size_t start = nab_probation(files[i].n);
        for (size_t row = start; row < files[i].n; row++) {
            int window;
            const double score = scores[i][row];
            struct mark *mark = &sweep->marks[sweep->n++];
            mark->worth = nab_worth(&files[i], row, profile, &window);
            mark->score = isnan(score) ? 0 : score;
            mark->slot = window < 0 ? SIZE_MAX : sweep->n_windows + (size_t)window;
        }
        /* A window that lies in the probation asks for nothing. */
        for (size_t window = 0; window < files[i].n_windows; window++) {
            const bool counts = files[i].windows[window].last >= start;
            sweep->won[sweep->n_windows++] = counts ? -profile->fn : NAN;
            sweep->raw -= counts ? profile->fn : 0;
        }
    }
    qsort(sweep->marks, sweep->n, sizeof *sweep->marks, by_score);
}

static void sweep_end(struct sweep *sweep) {
    free(sweep->marks);
    free(sweep->won);
}

static void take(struct sweep *sweep, const struct mark *mark) {
    if (mark->slot == SIZE_MAX) {
        sweep->raw += mark->worth;
    } else if (mark->worth > sweep->won[mark->slot]) {
        sweep->raw += mark->worth - sweep->won[mark->slot];
        sweep->won[mark->slot] = mark->worth;
    }
}

/* Between the detector that says nothing and the perfect one. */
static double normal(double raw, const struct nab_file *files, size_t n_files, const struct nab_profile *profile) {
    double windows = 0;
    for (size_t i = 0; i < n_files; i++)
        for (size_t window = 0; window < files[i].n_windows; window++)
            windows += files[i].windows[window].last >= nab_probation(files[i].n);
    const double null = -profile->fn * windows;
    const double perfect = profile->tp * windows;
    return windows > 0 ? 100 * (raw - null) / (perfect - null) : 0;
}

struct nab_result nab_score_all(const struct nab_file *files, const double *const *scores, size_t n_files,
                                const struct nab_profile *profile) {
    struct sweep sweep;
    sweep_begin(&sweep, files, scores, n_files, profile);
    struct nab_result best = {.threshold = NOBODY, .raw = sweep.raw};
    for (size_t i = 0; i < sweep.n; i++) {
        take(&sweep, &sweep.marks[i]);
        const bool last_of_its_score = i + 1 == sweep.n || sweep.marks[i + 1].score < sweep.marks[i].score;
        if (last_of_its_score && sweep.raw > best.raw)
            best = (struct nab_result){.threshold = sweep.marks[i].score, .raw = sweep.raw};
    }
    sweep_end(&sweep);
    best.score = normal(best.raw, files, n_files, profile);
    return best;
}

struct nab_result nab_score_at(const struct nab_file *files, const double *const *scores, size_t n_files, double threshold,
                               const struct nab_profile *profile) {
    struct sweep sweep;
    sweep_begin(&sweep, files, scores, n_files, profile);
    for (size_t i = 0; i < sweep.n && sweep.marks[i].score >= threshold; i++)
        take(&sweep, &sweep.marks[i]);
    const struct nab_result result = {.threshold = threshold, .raw = sweep.raw, .score = normal(sweep.raw, files, n_files, profile)};
    sweep_end(&sweep);
    return result;
}

double nab_raw(const struct nab_file *file, const double *scores, double threshold, const struct nab_profile *profile) {
    return nab_score_at(file, &scores, 1, threshold, profile).raw;
}
