#include "core/reading.h"

#include <math.h>

const char *wr_type_name(enum wr_type type) {
    switch (type) {
    case WR_TYPE_FLOAT:
        return "float";
    case WR_TYPE_INT:
        return "int";
    case WR_TYPE_UINT:
        return "uint";
    case WR_TYPE_BOOL:
        return "bool";
    case WR_TYPE_SYMBOL:
        return "string";
    case WR_TYPE_NONE:
        break;
    }
    return "none";
}

const char *wr_quality_name(enum wr_quality quality) {
    switch (quality) {
    case WR_QUALITY_GOOD:
        return "good";
    case WR_QUALITY_UNCERTAIN:
        return "uncertain";
    case WR_QUALITY_BAD:
        break;
    }
    return "bad";
}

double wr_reading_number(enum wr_type type, union wr_value value) {
    switch (type) {
    case WR_TYPE_FLOAT:
        return value.f;
    case WR_TYPE_INT:
        return (double)value.i;
    case WR_TYPE_UINT:
        return (double)value.u;
    case WR_TYPE_BOOL:
        return value.u != 0 ? 1.0 : 0.0;
    case WR_TYPE_SYMBOL:
    case WR_TYPE_NONE:
        break;
    }
    return NAN;
}

#define TWO_63 9223372036854775808.0
#define TWO_64 18446744073709551616.0

/* NaN fails every comparison. */
static _Bool float_to_int(double value, union wr_value *ret_value) {
    if (!(value >= -TWO_63 && value < TWO_63) || value != trunc(value))
        return 0;
    ret_value->i = (int64_t)value;
    return 1;
}

static _Bool float_to_uint(double value, union wr_value *ret_value) {
    if (!(value >= 0.0 && value < TWO_64) || value != trunc(value))
        return 0;
    ret_value->u = (uint64_t)value;
    return 1;
}

static _Bool int_to_float(int64_t value, union wr_value *ret_value) {
    double as_float = (double)value;
    if (as_float >= TWO_63 || (int64_t)as_float != value)
        return 0;
    ret_value->f = as_float;
    return 1;
}

static _Bool uint_to_float(uint64_t value, union wr_value *ret_value) {
    double as_float = (double)value;
    if (as_float >= TWO_64 || (uint64_t)as_float != value)
        return 0;
    ret_value->f = as_float;
    return 1;
}

_Bool wr_reading_convert(enum wr_type from, union wr_value value, enum wr_type to, union wr_value *ret_value) {
    if (from == to && (from == WR_TYPE_FLOAT || from == WR_TYPE_INT || from == WR_TYPE_UINT || from == WR_TYPE_BOOL)) {
        *ret_value = value;
        return 1;
    }
    if (from == WR_TYPE_FLOAT && to == WR_TYPE_INT)
        return float_to_int(value.f, ret_value);
    if (from == WR_TYPE_FLOAT && to == WR_TYPE_UINT)
        return float_to_uint(value.f, ret_value);
    if (from == WR_TYPE_INT && to == WR_TYPE_FLOAT)
        return int_to_float(value.i, ret_value);
    if (from == WR_TYPE_UINT && to == WR_TYPE_FLOAT)
        return uint_to_float(value.u, ret_value);
    if ((from == WR_TYPE_INT && to == WR_TYPE_UINT && value.i >= 0) ||
        (from == WR_TYPE_UINT && to == WR_TYPE_INT && value.u <= (uint64_t)INT64_MAX)) {
        *ret_value = value; /* the same bits */
        return 1;
    }
    return 0;
}
