#include "rules/sliding.h"

#include <math.h>
#include <stdlib.h>

size_t wr_sliding_bytes(uint32_t capacity) {
    return sizeof(struct wr_sliding) + capacity * sizeof(struct wr_sliding_sample);
}

enum wr_result wr_sliding_new(int64_t span_ns, uint32_t capacity, struct wr_sliding **ret_window) {
    struct wr_sliding *window = calloc(1, wr_sliding_bytes(capacity));
    if (!window)
        return WR_NO_MEMORY;
    window->span_ns = span_ns;
    window->capacity = capacity;
    *ret_window = window;
    return WR_OK;
}

void wr_sliding_free(struct wr_sliding *window) {
    free(window);
}

static struct wr_sliding_sample *at(struct wr_sliding *window, uint32_t i) {
    uint32_t index = window->first + i;
    return &window->ring[index < window->capacity ? index : index - window->capacity];
}

static void drop_oldest(struct wr_sliding *window) {
    window->first = window->first + 1 == window->capacity ? 0 : window->first + 1;
    window->n--;
    window->cached = false;
}

void wr_sliding_advance(struct wr_sliding *window, int64_t now_ns) {
    while (window->span_ns > 0 && window->n > 0 && now_ns - at(window, 0)->at_ns >= window->span_ns)
        drop_oldest(window);
}

bool wr_sliding_add(struct wr_sliding *window, int64_t at_ns, double value) {
    bool pushed = false;
    if (window->n == window->capacity) {
        if (at_ns < at(window, 0)->at_ns)
            return window->span_ns > 0; /* older than all of a full window: this one is what is pushed out */
        pushed = window->span_ns > 0;
        drop_oldest(window);
    }
    uint32_t i = window->n++;
    for (; i > 0 && at(window, i - 1)->at_ns > at_ns; i--)
        *at(window, i) = *at(window, i - 1);
    *at(window, i) = (struct wr_sliding_sample){at_ns, value};
    window->cached = false;
    return pushed;
}

int64_t wr_sliding_next_leave(const struct wr_sliding *window) {
    if (window->span_ns == 0 || window->n == 0)
        return INT64_MAX;
    int64_t oldest = window->ring[window->first].at_ns;
    return oldest > INT64_MAX - window->span_ns ? INT64_MAX : oldest + window->span_ns;
}

static void compute(struct wr_sliding *window) {
    window->sum = 0;
    window->min = INFINITY;
    window->max = -INFINITY;
    for (uint32_t i = 0; i < window->n; i++) {
        double value = at(window, i)->value;
        window->sum += value;
        window->min = value < window->min ? value : window->min;
        window->max = value > window->max ? value : window->max;
    }
    window->cached = true;
}

/* What a counter went up by, resets and wraps taken out. */
static double counted(struct wr_sliding *window, double wrap) {
    double increase = 0;
    for (uint32_t i = 1; i < window->n; i++) {
        double before = at(window, i - 1)->value;
        double after = at(window, i)->value;
        if (after >= before)
            increase += after - before;
        else
            increase += wrap > before ? wrap - before + after : after;
    }
    return increase;
}

double wr_sliding_answer(struct wr_sliding *window, enum wr_function_id function, bool counter, double wrap) {
    if (function == WR_FUNCTION_COUNT)
        return window->n;
    if (function == WR_FUNCTION_SUM && window->n == 0)
        return 0;
    if (window->n == 0)
        return NAN;
    const struct wr_sliding_sample *first = at(window, 0);
    const struct wr_sliding_sample *last = at(window, window->n - 1);
    if (function == WR_FUNCTION_RATE || function == WR_FUNCTION_DELTA) {
        if (window->n < 2 || last->at_ns <= first->at_ns)
            return NAN;
        double change = counter ? counted(window, wrap) : last->value - first->value;
        return function == WR_FUNCTION_DELTA ? change : change / ((double)(last->at_ns - first->at_ns) / 1e9);
    }
    if (!window->cached)
        compute(window);
    switch (function) {
    case WR_FUNCTION_AVG:
        return window->sum / window->n;
    case WR_FUNCTION_MIN:
        return window->min;
    case WR_FUNCTION_MAX:
        return window->max;
    default:
        return window->sum;
    }
}
