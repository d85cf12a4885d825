/* The recordings of the Numenta Anomaly Benchmark with their labelled windows. */
#ifndef WEIR_TESTS_BENCH_NAB_FILES_H
#define WEIR_TESTS_BENCH_NAB_FILES_H

#include "tests/support/nab_score.h"

#define NAB_FILES_MAX 128

struct nab_files {
    struct nab_file files[NAB_FILES_MAX]; /* by name */
    double low[NAB_FILES_MAX];            /* the declared range; NaN: none */
    double high[NAB_FILES_MAX];
    size_t n;
};

/* Reads the files named in dir/windows.json that are in dir or a folder of it (a name with folders counts by its last part), and dir/ranges.csv if
 * there is one. Ends the program when something is wrong. */
void nab_files_read(struct nab_files *files, const char *dir);

#endif
