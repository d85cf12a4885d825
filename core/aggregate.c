#include "core/aggregate.h"

/* Everything that has no meaning with n = 0. */
static void take_values(struct wr_aggregate *into, const struct wr_aggregate *from) {
    into->type = from->type;
    into->decimals = from->decimals;
    into->sum = from->sum;
    into->min = from->min;
    into->max = from->max;
    into->first = from->first;
    into->first_text = from->first_text;
}

static void fold_values(struct wr_aggregate *into, const struct wr_aggregate *other) {
    enum wr_type type = (enum wr_type)into->type;
    if (other->decimals > into->decimals)
        into->decimals = other->decimals; /* unknown is the largest number */
    if (type == WR_TYPE_SYMBOL)
        return;
    wr_sum_merge(&into->sum, &other->sum);
    if (wr_reading_below(type, other->min, into->min))
        into->min = other->min;
    if (wr_reading_below(type, into->max, other->max))
        into->max = other->max;
}

void wr_aggregate_merge(struct wr_aggregate *into, const struct wr_aggregate *other) {
    if (other->n > 0) {
        if (into->n == 0)
            take_values(into, other);
        else
            fold_values(into, other);
        into->last = other->last;
        into->last_text = other->last_text;
    }
    if (wr_aggregate_readings(other) > 0)
        into->quality = other->quality; /* of the newer */
    into->n += other->n;
    into->bad += other->bad;
    into->flags |= other->flags;
    if (other->window_ns > into->window_ns)
        into->window_ns = other->window_ns;
}
