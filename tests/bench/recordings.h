/* The recordings as windows of ten samples, interleaved: what the codec and the store are measured on. */
#ifndef WEIR_TESTS_BENCH_RECORDINGS_H
#define WEIR_TESTS_BENCH_RECORDINGS_H

#include <stddef.h>

#include "core/aggregate.h"

struct recordings {
    struct wr_aggregate *aggregates; /* window 0 of every series, then window 1 of every series, ... */
    size_t n;
    size_t n_series;
};

/* Called with each sample as it is read, file by file, if it is set before: key of the series, and what the file says. */
extern void (*recordings_sample)(const char *key, size_t key_len, int64_t time_ns, double value, uint8_t decimals);

/* Reads all .csv and .txt files of nab/, occupancy/ and airquality/ below dir. Ends the program when there are none. */
void recordings_read(struct recordings *recordings, const char *dir);
void recordings_free(struct recordings *recordings);

#endif
