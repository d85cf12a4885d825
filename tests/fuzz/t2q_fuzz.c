/* Saved charts of T² and Q: any bytes are refused, or used like a chart that grew here. The input: how many series, the state, then vectors. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rules/operators/t2q.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds) {
    if (!holds)
        abort();
}

static int is_part(double x) {
    return x >= 0 && x <= 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct wr_t2q chart = {0};
    struct wr_t2q_answer answer;
    double vector[WR_T2Q_SERIES_MAX];
    if (size < 1)
        return 0;
    const struct wr_t2q_spec spec = {.series = 2 + data[0] % 15, .warmup = 20};
    const size_t given = size - 1 < sizeof chart ? size - 1 : sizeof chart;
    must(wr_t2q_check(&spec, NULL) == WR_OK);
    memcpy(&chart, data + 1, given);
    if (!wr_t2q_is_valid(&spec, &chart))
        chart = (struct wr_t2q){0}; /* as a restart does */
    data += 1 + given;
    size -= 1 + given;
    for (; size >= spec.series * sizeof *vector; data += spec.series * sizeof *vector, size -= spec.series * sizeof *vector) {
        memcpy(vector, data, spec.series * sizeof *vector);
        if (wr_t2q_add(&spec, &chart, vector, &answer))
            must(is_part(answer.t2_part) && is_part(answer.q_part) && is_part(answer.part) && answer.t2 >= 0 && answer.q >= 0);
        must(wr_t2q_is_valid(&spec, &chart));
    }
    return 0;
}
