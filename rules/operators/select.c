#include "rules/operators/select.h"

#include <math.h>

static void swap(double *a, double *b) {
    double kept = *a;
    *a = *b;
    *b = kept;
}

static void sink(double *heap, uint32_t n, uint32_t at) {
    for (uint32_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && heap[child + 1] > heap[child])
            child++;
        if (heap[at] >= heap[child])
            return;
        swap(&heap[at], &heap[child]);
    }
}

static void heapsort(double *values, uint32_t n) {
    for (uint32_t i = n / 2; i-- > 0;)
        sink(values, n, i);
    for (uint32_t end = n; end > 1; end--) {
        swap(&values[0], &values[end - 1]);
        sink(values, end - 1, 0);
    }
}

/* The middle of the first, the middle and the last value, put at the middle. */
static double middle_of_three(double *values, uint32_t n) {
    double *a = values;
    double *b = values + n / 2;
    double *c = values + n - 1;
    if (*b < *a)
        swap(a, b);
    if (*c < *b)
        swap(b, c);
    if (*b < *a)
        swap(a, b);
    return *b;
}

/* Puts the value of this rank at its index, the smaller ones before it, the larger ones behind. */
static void place(double *values, uint32_t n, uint32_t rank) {
    uint32_t cuts = 0;
    for (uint32_t left = n; left > 0; left >>= 1)
        cuts += 2;
    while (n > 8 && cuts-- > 0) {
        double pivot = middle_of_three(values, n);
        uint32_t i = 0;
        uint32_t j = n - 1;
        for (;;) { /* the outer two are guards */
            while (values[i] < pivot)
                i++;
            while (values[j] > pivot)
                j--;
            if (i >= j)
                break;
            swap(&values[i++], &values[j--]);
        }
        uint32_t left = j + 1; /* [0, left) <= pivot <= [left, n) */
        if (rank < left) {
            n = left;
        } else {
            values += left;
            n -= left;
            rank -= left;
        }
    }
    heapsort(values, n);
}

double wr_select_quantile(double *values, uint32_t n, double q) {
    if (n == 0)
        return NAN;
    double at = q * (n - 1);
    uint32_t rank = at <= 0 ? 0 : at >= n - 1 ? n - 1 : (uint32_t)at;
    place(values, n, rank);
    double low = values[rank];
    if (rank + 1 == n)
        return low;
    double high = values[rank + 1];
    for (uint32_t i = rank + 2; i < n; i++)
        high = values[i] < high ? values[i] : high;
    return low + (high - low) * (at - rank);
}
