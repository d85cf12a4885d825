/* The table `readings`: a row an aggregate or change. */
#include <math.h>

#include "store/query_private.h"

#define EXACT 9007199254740992.0 /* below it a double holds every integer */

enum column { N = WR_QUERY_SERIES_COLUMNS, MEAN, MIN, MAX, FIRST, LAST, SUM, BAD, QUALITY, WINDOW_NS, LATE, PARTIAL, WIDENED, LANE };

static const struct wr_query_column columns[] = {
    WR_QUERY_SERIES_DECLARED,
    [N] = {"n", "INTEGER", WR_BOUND_NONE},
    [MEAN] = {"mean", "REAL", WR_BOUND_NONE},
    [MIN] = {"min", "", WR_BOUND_NONE},
    [MAX] = {"max", "", WR_BOUND_NONE},
    [FIRST] = {"first", "", WR_BOUND_NONE},
    [LAST] = {"last", "", WR_BOUND_NONE},
    [SUM] = {"sum", "", WR_BOUND_NONE},
    [BAD] = {"bad", "INTEGER", WR_BOUND_NONE},
    [QUALITY] = {"quality", "TEXT", WR_BOUND_NONE},
    [WINDOW_NS] = {"window_ns", "INTEGER HIDDEN", WR_BOUND_NONE},
    [LATE] = {"late", "INTEGER HIDDEN", WR_BOUND_NONE},
    [PARTIAL] = {"partial", "INTEGER HIDDEN", WR_BOUND_NONE},
    [WIDENED] = {"widened", "INTEGER HIDDEN", WR_BOUND_NONE},
    [LANE] = {"lane", "TEXT HIDDEN", WR_BOUND_NONE},
};

struct cursor {
    struct wr_query_series series; /* first */
    struct wr_aggregate aggregate;
};

static enum wr_result decode(struct wr_query_cursor *base) {
    struct cursor *cursor = (struct cursor *)base;
    WR_TRY(wr_decode_aggregate(base->scan.decoder, &cursor->aggregate, &base->query->error));
    base->time_ns = cursor->aggregate.start_ns;
    (void)wr_correction_start(&base->head->correction, &base->time_ns, cursor->aggregate.window_ns);
    return wr_query_series_take(&cursor->series, cursor->aggregate.key, cursor->aggregate.key_len);
}

/* -- columns ------------------------------------------------------------------------------------------------------------------------------- */

static void put_sum(sqlite3_context *context, const struct wr_aggregate *aggregate) {
    const struct wr_sum *sum = &aggregate->sum;
    if (aggregate->type != WR_TYPE_FLOAT && sum->exact && sum->decimals == 0 && wr_i128_is_int64(sum->scaled))
        sqlite3_result_int64(context, wr_i128_low(sum->scaled));
    else
        sqlite3_result_double(context, wr_sum_double(sum));
}

/* Rounded once where the sum is exact: 60.3 of three is 20.1. */
static double mean_of(const struct wr_aggregate *aggregate) {
    const struct wr_sum *sum = &aggregate->sum;
    const double n = (double)aggregate->n;
    if (sum->exact && wr_i128_is_int64(sum->scaled) && sum->decimals <= WR_DECIMALS_MAX) {
        const double scaled = (double)wr_i128_low(sum->scaled);
        const double parts = n * wr_decimal_powers[sum->decimals];
        if (fabs(scaled) < EXACT && parts < EXACT)
            return scaled / parts;
    }
    return wr_sum_double(sum) / n;
}

/* Of what the readings said; NULL where there was no good one, or where they were texts. */
static void put_measured(sqlite3_context *context, const struct wr_aggregate *aggregate, int column) {
    const bool is_text = aggregate->type == WR_TYPE_SYMBOL;
    if (aggregate->n == 0 || (is_text && column != FIRST && column != LAST))
        return;
    if (column == MEAN)
        sqlite3_result_double(context, mean_of(aggregate));
    else if (column == SUM)
        put_sum(context, aggregate);
    else if (column == MIN)
        wr_query_put_value(context, (enum wr_type)aggregate->type, aggregate->min, NULL);
    else if (column == MAX)
        wr_query_put_value(context, (enum wr_type)aggregate->type, aggregate->max, NULL);
    else if (column == FIRST)
        wr_query_put_value(context, (enum wr_type)aggregate->type, aggregate->first, aggregate->first_text);
    else
        wr_query_put_value(context, (enum wr_type)aggregate->type, aggregate->last, aggregate->last_text);
}

/* Of a change that of its value; of a window "uncertain" if one of its readings was, "bad" if no good one was there. */
static enum wr_quality quality_of(const struct wr_aggregate *aggregate) {
    if (aggregate->quality != WR_QUALITY_GOOD)
        return (enum wr_quality)aggregate->quality;
    if (aggregate->n == 0 && aggregate->bad > 0)
        return WR_QUALITY_BAD;
    return aggregate->flags & WR_AGGREGATE_UNCERTAIN ? WR_QUALITY_UNCERTAIN : WR_QUALITY_GOOD;
}

/* What stands about the row, beside what was measured. */
static void put_about(sqlite3_context *context, const struct cursor *cursor, int column) {
    const struct wr_aggregate *aggregate = &cursor->aggregate;
    switch (column) {
    case N:
        wr_query_put_unsigned(context, aggregate->n);
        return;
    case BAD:
        wr_query_put_unsigned(context, aggregate->bad);
        return;
    case QUALITY:
        wr_query_put_text(context, wr_quality_name(quality_of(aggregate)));
        return;
    case WINDOW_NS:
        sqlite3_result_int64(context, aggregate->window_ns);
        return;
    case LATE:
        sqlite3_result_int(context, (aggregate->flags & WR_AGGREGATE_LATE) != 0);
        return;
    case PARTIAL:
        sqlite3_result_int(context, (aggregate->flags & WR_AGGREGATE_PARTIAL) != 0);
        return;
    case WIDENED:
        sqlite3_result_int(context, (aggregate->flags & WR_AGGREGATE_WIDENED) != 0);
        return;
    default: /* LANE */
        wr_query_put_text(context, wr_lane_name((enum wr_lane)cursor->series.cursor.head->lane));
        return;
    }
}

static int column(struct wr_query_cursor *base, sqlite3_context *context, int column) {
    struct cursor *cursor = (struct cursor *)base;
    if (column < WR_QUERY_SERIES_COLUMNS)
        return wr_query_series_column(&cursor->series, context, column, (enum wr_type)cursor->aggregate.type);
    if (column >= MEAN && column <= SUM)
        put_measured(context, &cursor->aggregate, column);
    else
        put_about(context, cursor, column);
    return SQLITE_OK;
}

const struct wr_query_table wr_query_readings = {.name = "readings",
                                                 .columns = columns,
                                                 .n_columns = sizeof columns / sizeof columns[0],
                                                 .lanes = 1U << WR_LANE_CHANGES | 1U << WR_LANE_WINDOWS,
                                                 .kinds = 1U << WR_SEGMENT_AGGREGATES,
                                                 .cursor_bytes = sizeof(struct cursor),
                                                 .begin = wr_query_series_begin,
                                                 .decode = decode,
                                                 .column = column,
                                                 .fini = wr_query_series_fini};
