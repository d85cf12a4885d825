#include "transport/statistics.h"

#include <math.h>

struct list {
    struct wr_statistic *at;
    size_t n;
};

static void add(struct list *list, const char *name, enum wr_type type, union wr_value value) {
    if (type == WR_TYPE_FLOAT && !isfinite(value.f))
        return;
    list->at[list->n++] = (struct wr_statistic){.name = name, .type = type, .value = value};
}

static void add_text(struct list *list, const char *name, const char *text) {
    if (text != NULL)
        list->at[list->n++] = (struct wr_statistic){.name = name, .type = WR_TYPE_SYMBOL, .text = text};
}

static void add_count(struct list *list, const char *name, uint64_t count) {
    add(list, name, WR_TYPE_INT, (union wr_value){.i = count > INT64_MAX ? INT64_MAX : (int64_t)count});
}

static void add_sum(struct list *list, enum wr_type type, const struct wr_sum *sum) {
    if (type == WR_TYPE_FLOAT) {
        add(list, "sum", WR_TYPE_FLOAT, (union wr_value){.f = wr_sum_double(sum)});
        return;
    }
    if (!sum->exact || sum->decimals != 0)
        return;
    if (type == WR_TYPE_UINT && !wr_i128_negative(sum->scaled) && wr_u128_high(wr_i128_size(sum->scaled)) == 0)
        add(list, "sum", WR_TYPE_UINT, (union wr_value){.u = (uint64_t)wr_i128_low(sum->scaled)});
    else if (type != WR_TYPE_UINT && wr_i128_is_int64(sum->scaled))
        add(list, "sum", WR_TYPE_INT, (union wr_value){.i = wr_i128_low(sum->scaled)});
}

size_t wr_statistics_of(const struct wr_aggregate *aggregate, struct wr_statistic ret_list[WR_STATISTICS_MAX]) {
    struct list list = {.at = ret_list};
    enum wr_type type = aggregate->n > 0 ? (enum wr_type)aggregate->type : WR_TYPE_NONE;
    add_count(&list, "n", aggregate->n);
    if (type == WR_TYPE_SYMBOL) {
        add_text(&list, "first", aggregate->first_text);
        add_text(&list, "last", aggregate->last_text);
    } else if (type != WR_TYPE_NONE) {
        add(&list, "mean", WR_TYPE_FLOAT, (union wr_value){.f = wr_sum_double(&aggregate->sum) / (double)aggregate->n});
        add(&list, "min", type, aggregate->min);
        add(&list, "max", type, aggregate->max);
        add_sum(&list, type, &aggregate->sum);
        add(&list, "first", type, aggregate->first);
        add(&list, "last", type, aggregate->last);
    }
    add_count(&list, "bad", aggregate->bad);
    return list.n;
}
