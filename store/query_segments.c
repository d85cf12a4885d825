/* The table `segments`: a row a stored segment, of its head alone: what there is, how much, and whether the broker has it. */
#include "store/query_private.h"

enum { LANE, SEQ, KIND, N, BYTES, FIRST_TIME, LAST_TIME, DELIVERED, FIRST_NS, LAST_NS, TIME_QUALITY };

static const struct wr_query_column columns[] = {
    [LANE] = {"lane", "TEXT", WR_BOUND_NONE},
    [SEQ] = {"seq", "INTEGER", WR_BOUND_NONE},
    [KIND] = {"kind", "TEXT", WR_BOUND_NONE},
    [N] = {"n", "INTEGER", WR_BOUND_NONE},
    [BYTES] = {"bytes", "INTEGER", WR_BOUND_NONE},
    [FIRST_TIME] = {"first_time", "TEXT COLLATE time", WR_BOUND_NONE},
    [LAST_TIME] = {"last_time", "TEXT COLLATE time", WR_BOUND_NONE},
    [DELIVERED] = {"delivered", "INTEGER", WR_BOUND_NONE},
    [FIRST_NS] = {"first_ns", "INTEGER HIDDEN", WR_BOUND_NONE},
    [LAST_NS] = {"last_ns", "INTEGER HIDDEN", WR_BOUND_NONE},
    [TIME_QUALITY] = {"time_quality", "TEXT HIDDEN", WR_BOUND_NONE},
};

static int column(struct wr_query_cursor *cursor, sqlite3_context *context, int column) {
    const struct wr_segment_head *head = cursor->head;
    switch (column) {
    case LANE:
        wr_query_put_text(context, wr_lane_name((enum wr_lane)head->lane));
        break;
    case SEQ:
        sqlite3_result_int64(context, head->seq);
        break;
    case KIND:
        wr_query_put_text(context, wr_segment_kind_name((enum wr_segment_kind)head->kind));
        break;
    case N:
        sqlite3_result_int64(context, head->n);
        break;
    case BYTES:
        sqlite3_result_int64(context, head->body_bytes);
        break;
    case FIRST_TIME:
        wr_query_put_time(context, head->t0_ns);
        break;
    case LAST_TIME:
        wr_query_put_time(context, head->t1_ns);
        break;
    case DELIVERED:
        sqlite3_result_int(context, head->delivered);
        break;
    case FIRST_NS:
        sqlite3_result_int64(context, head->t0_ns);
        break;
    case LAST_NS:
        sqlite3_result_int64(context, head->t1_ns);
        break;
    default:
        wr_query_put_time_quality(context, head);
        break;
    }
    return SQLITE_OK;
}

const struct wr_query_table wr_query_segments = {.name = "segments",
                                                 .columns = columns,
                                                 .n_columns = sizeof columns / sizeof columns[0],
                                                 .lanes = (1U << WR_LANES) - 1,
                                                 .cursor_bytes = sizeof(struct wr_query_cursor),
                                                 .column = column};
