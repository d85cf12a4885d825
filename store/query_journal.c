/* The table `journal`: a row an alarm entry or gap, as the JSON that it is; and the view `alarms` over it. */
#include <stdlib.h>
#include <string.h>

#include "store/query_private.h"

enum { TIME, JSON, KIND, TIME_NS, SEQ, TIME_QUALITY };

static const struct wr_query_column columns[] = {
    [TIME] = {"time", "TEXT COLLATE time", WR_BOUND_TIME},
    [JSON] = {"json", "TEXT", WR_BOUND_NONE},
    [KIND] = {"kind", "TEXT", WR_BOUND_NONE},
    [TIME_NS] = {"time_ns", "INTEGER HIDDEN", WR_BOUND_TIME_NS},
    [SEQ] = {"seq", "INTEGER HIDDEN", WR_BOUND_NONE},
    [TIME_QUALITY] = {"time_quality", "TEXT HIDDEN", WR_BOUND_NONE},
};

const char wr_query_views[] =
    "CREATE TEMP VIEW alarms AS SELECT time, json->>'alarm' AS alarm, json->>'severity' AS severity, json->>'cause' AS cause,"
    " json->>'from' AS from_state, json->>'to' AS to_state, json->>'value' AS value, json->>'limit' AS limit_value, json->>'unit' AS unit,"
    " json->>'message' AS message, json->>'level' AS level, json->>'by' AS by_whom, json->>'why' AS why, json->>'rule' AS rule,"
    " json->>'instance' AS instance, json->>'transition' AS transition, json->>'event' AS event, json->>'historic' AS historic,"
    " time_ns, json, time_quality FROM journal WHERE kind = 'alarms'";

struct cursor {
    struct wr_query_cursor common; /* first */
    const char *text;              /* the record */
    size_t len;
    struct wr_buf moved; /* the same with other times */
};

/* Within a text of JSON a quote stands behind a backslash, so this can only be the member itself. */
static bool time_of(const char *text, int64_t *ret_ns) {
    static const char member[] = "\"time_ns\":";
    const char *at = strstr(text, member);
    if (!at)
        return false;
    *ret_ns = strtoll(at + sizeof member - 1, NULL, 10);
    return true;
}

static enum wr_result move(struct cursor *cursor, const struct wr_correction *correction) {
    if (!cursor->moved.data)
        wr_buf_init(&cursor->moved, WR_CODEC_RAW_MAX);
    wr_buf_clear(&cursor->moved);
    WR_TRY(wr_correction_json(correction, cursor->text, cursor->len, &cursor->moved));
    cursor->text = wr_buf_str(&cursor->moved);
    cursor->len = cursor->moved.len;
    return WR_OK;
}

static enum wr_result decode(struct wr_query_cursor *base) {
    struct cursor *cursor = (struct cursor *)base;
    WR_TRY(wr_decode_text(base->scan.decoder, &cursor->text, &cursor->len, &base->query->error));
    if (base->head->correction.move_ns != 0)
        WR_TRY(move(cursor, &base->head->correction));
    if (!time_of(cursor->text, &base->time_ns))
        base->time_ns = base->head->t0_ns;
    return WR_OK;
}

static void fini(struct wr_query_cursor *base) {
    wr_buf_fini(&((struct cursor *)base)->moved);
}

static int column(struct wr_query_cursor *base, sqlite3_context *context, int column) {
    const struct cursor *cursor = (const struct cursor *)base;
    if (column == TIME)
        wr_query_put_time(context, base->time_ns);
    else if (column == JSON)
        sqlite3_result_text(context, cursor->text, (int)cursor->len, SQLITE_TRANSIENT);
    else if (column == KIND)
        wr_query_put_text(context, wr_segment_kind_name((enum wr_segment_kind)base->head->kind));
    else if (column == TIME_NS)
        sqlite3_result_int64(context, base->time_ns);
    else if (column == SEQ)
        sqlite3_result_int64(context, base->head->seq);
    else
        wr_query_put_time_quality(context, base->head);
    return SQLITE_OK;
}

const struct wr_query_table wr_query_journal = {.name = "journal",
                                                .columns = columns,
                                                .n_columns = sizeof columns / sizeof columns[0],
                                                .lanes = 1U << WR_LANE_ALARMS,
                                                .kinds = 1U << WR_SEGMENT_ALARMS | 1U << WR_SEGMENT_GAPS,
                                                .cursor_bytes = sizeof(struct cursor),
                                                .decode = decode,
                                                .column = column,
                                                .fini = fini};
