/* What the evaluator calls and is still being built: each function here gives way to the real one (weak), and the file goes with the last. */
#include <math.h>

#include "rules/operator.h"
#include "rules/schedule.h"
#include "rules/table.h"
#include "rules/zone.h"

#define WEAK __attribute__((weak))

WEAK struct wr_zone_time wr_zone_local(const struct wr_zone *zone, int64_t wall_ns) {
    (void)zone;
    return (struct wr_zone_time){(int)(wall_ns / 3600000000000 % 24), 1};
}
WEAK bool wr_schedule_active(const struct wr_schedule *s, int64_t w) {
    (void)s;
    (void)w;
    return true;
}
WEAK int64_t wr_schedule_next_edge(const struct wr_schedule *s, int64_t w) {
    (void)s;
    return w;
}
WEAK bool wr_operator_same(const struct wr_operator_spec *a, const struct wr_operator_spec *b) {
    return a->kind == b->kind;
}
WEAK void wr_operator_init(const struct wr_operator_spec *s, void *st) {
    (void)s;
    (void)st;
}
WEAK bool wr_operator_add(const struct wr_operator_spec *s, void *st, int64_t at, double v) {
    (void)s;
    (void)st;
    (void)at;
    (void)v;
    return false;
}
WEAK void wr_operator_advance(const struct wr_operator_spec *s, void *st, int64_t at) {
    (void)s;
    (void)st;
    (void)at;
}
WEAK double wr_operator_answer(const struct wr_operator_spec *s, void *st, enum wr_function_id f, double n) {
    (void)s;
    (void)st;
    (void)f;
    (void)n;
    return NAN;
}
WEAK int64_t wr_operator_next(const struct wr_operator_spec *s, const void *st) {
    (void)s;
    (void)st;
    return INT64_MAX;
}
WEAK const char *wr_table_key(const struct wr_table *t) {
    (void)t;
    return "";
}
WEAK uint32_t wr_table_row(const struct wr_table *t, const char *k, size_t l) {
    (void)t;
    (void)k;
    (void)l;
    return 0;
}
WEAK double wr_table_number(const struct wr_table *t, uint32_t r, uint32_t c) {
    (void)t;
    (void)r;
    (void)c;
    return NAN;
}
