#include <stdlib.h>
#include <string.h>

#include "agent/receive/postgres_private.h"
#include "core/log.h"
#include "core/series.h"

#define COMPACT_EVERY_NS (3600 * WR_NS_PER_S)

/* -- the batch -------------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result no_memory(struct wr_error *err) {
    return wr_error_set(err, WR_NO_MEMORY, "no memory for a batch");
}

static bool grow(void **array, size_t *cap, size_t n, size_t element_bytes) {
    if (n < *cap)
        return true;
    const size_t wanted = *cap > 0 ? *cap * 2 : 256;
    void *grown = realloc(*array, wanted * element_bytes);
    if (grown) {
        *array = grown;
        *cap = wanted;
    }
    return grown != NULL;
}

static enum wr_result begin(void *self, const struct wr_message_origin *origin, struct wr_error *err) {
    struct wr_postgres_sink *sink = self;
    if (sink->n == 0) /* a refused message, or one that did not fit, may have filled it; no commit comes to make room */
        wr_postgres_series_trim(&sink->series);
    if (!grow((void **)&sink->entries, &sink->cap, sink->n, sizeof *sink->entries))
        return no_memory(err);
    const size_t texts = sink->texts[origin->kind].len;
    const size_t ledgers = sink->texts[WR_POSTGRES_LEDGER].len;
    sink->entries[sink->n++] = (struct wr_postgres_entry){.origin = *origin,
                                                          .row_from = sink->n_rows,
                                                          .row_to = sink->n_rows,
                                                          .text_from = texts,
                                                          .text_to = texts,
                                                          .ledger_from = ledgers,
                                                          .ledger_to = ledgers,
                                                          .symbols_from = sink->symbols.len};
    sink->last_len = 0;
    return WR_OK;
}

static enum wr_result put_symbols(struct wr_postgres_sink *sink, const struct wr_aggregate *aggregate, struct wr_postgres_row *row) {
    const char *const texts[] = {aggregate->first_text, aggregate->last_text};
    for (int i = 0; i < 2; i++) {
        row->texts[i] = (uint32_t)sink->symbols.len;
        WR_TRY(wr_buf_append(&sink->symbols, texts[i], strlen(texts[i]) + 1));
    }
    return WR_OK;
}

static void put_values(const struct wr_aggregate *aggregate, struct wr_postgres_row *row) {
    const enum wr_type type = (enum wr_type)aggregate->type;
    row->has_values = true;
    row->values[0] = wr_sum_double(&aggregate->sum);
    row->values[1] = wr_reading_number(type, aggregate->min);
    row->values[2] = wr_reading_number(type, aggregate->max);
    row->values[3] = wr_reading_number(type, aggregate->first);
    row->values[4] = wr_reading_number(type, aggregate->last);
}

static enum wr_result aggregate(void *self, const struct wr_aggregate *aggregate, struct wr_error *err) {
    struct wr_postgres_sink *sink = self;
    struct wr_postgres_entry *entry = &sink->entries[sink->n - 1];
    if (aggregate->n > INT64_MAX || aggregate->bad > INT64_MAX - aggregate->n)
        return wr_error_set(err, WR_INVALID, "an aggregate of more readings than a bigint holds");
    if (!grow((void **)&sink->rows, &sink->cap_rows, sink->n_rows, sizeof *sink->rows))
        return no_memory(err);
    struct wr_postgres_row *row = &sink->rows[sink->n_rows];
    *row = (struct wr_postgres_row){.start_ns = aggregate->start_ns,
                                    .window_ns = aggregate->window_ns,
                                    .n = (int64_t)aggregate->n,
                                    .bad = (int64_t)aggregate->bad,
                                    .time_quality = (uint8_t)entry->origin.time_quality,
                                    .texts = {WR_POSTGRES_NO_TEXT, WR_POSTGRES_NO_TEXT}};
    if (sink->last_len == aggregate->key_len && memcmp(sink->last_key, aggregate->key, aggregate->key_len) == 0) {
        row->series = sink->rows[sink->n_rows - 1].series;
    } else {
        if (wr_postgres_series_number(&sink->series, &entry->origin, aggregate->key, aggregate->key_len, &row->series) != WR_OK)
            return no_memory(err);
        sink->last_len = aggregate->key_len <= sizeof sink->last_key ? aggregate->key_len : 0;
        memcpy(sink->last_key, aggregate->key, sink->last_len);
    }
    if (aggregate->n > 0 && aggregate->type == WR_TYPE_SYMBOL) {
        if (put_symbols(sink, aggregate, row) != WR_OK)
            return no_memory(err);
    } else if (aggregate->n > 0) {
        put_values(aggregate, row);
    }
    sink->n_rows++;
    entry->readings += wr_aggregate_readings(aggregate);
    return WR_OK;
}

static enum wr_result put_gap_or_ledger(struct wr_postgres_sink *sink, const struct wr_message_origin *origin, const char *json, size_t len,
                                        struct wr_error *err) {
    struct wr_receive_ledger ledger;
    const enum wr_result read = wr_receive_ledger_read(json, len, NULL, NULL, &ledger, err);
    if (read == WR_NOT_FOUND)
        return wr_postgres_put_gap(&sink->texts[WR_MESSAGE_GAP], origin, json, len);
    return read == WR_OK ? wr_postgres_put_ledger(&sink->texts[WR_POSTGRES_LEDGER], origin, &ledger, json, len) : read;
}

static enum wr_result text(void *self, const char *json, size_t len, struct wr_error *err) {
    struct wr_postgres_sink *sink = self;
    struct wr_postgres_entry *entry = &sink->entries[sink->n - 1];
    struct wr_buf *into = &sink->texts[entry->origin.kind];
    entry->texts++;
    const enum wr_result result = entry->origin.kind == WR_MESSAGE_ALARM ? wr_postgres_put_alarm(into, &entry->origin, json, len)
                                  : entry->origin.kind == WR_MESSAGE_GAP ? put_gap_or_ledger(sink, &entry->origin, json, len, err)
                                                                         : wr_buf_append(into, json, len);
    return result == WR_OK || result == WR_INVALID ? result : no_memory(err);
}

static void end(void *self, bool keep) {
    struct wr_postgres_sink *sink = self;
    struct wr_postgres_entry *entry = &sink->entries[sink->n - 1];
    struct wr_buf *texts = &sink->texts[entry->origin.kind];
    struct wr_buf *ledgers = &sink->texts[WR_POSTGRES_LEDGER];
    entry->row_to = sink->n_rows;
    entry->text_to = texts->len;
    entry->ledger_to = ledgers->len;
    if (keep)
        return;
    sink->n_rows = entry->row_from;
    sink->symbols.len = entry->symbols_from;
    texts->len = entry->text_from;
    ledgers->len = entry->ledger_from;
    sink->n--;
}

static size_t bytes(const void *self) {
    const struct wr_postgres_sink *sink = self;
    size_t sum = sink->n * sizeof *sink->entries + sink->n_rows * sizeof *sink->rows + sink->symbols.len;
    for (int i = 0; i < WR_POSTGRES_TEXTS; i++)
        sum += sink->texts[i].len;
    return sum;
}

static void drop(void *self, size_t entry) {
    struct wr_postgres_sink *sink = self;
    sink->entries[entry].dropped = true;
}

static void clear(void *self) {
    struct wr_postgres_sink *sink = self;
    sink->n = sink->n_rows = 0;
    sink->one_by_one = false;
    wr_buf_clear(&sink->symbols);
    for (int i = 0; i < WR_POSTGRES_TEXTS; i++)
        wr_buf_clear(&sink->texts[i]);
}

static void counts(const void *self, struct wr_sink_counts *ret_counts) {
    const struct wr_postgres_sink *sink = self;
    *ret_counts = sink->counts;
}

/* -- the commit ----------------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result connect_if_need_be(struct wr_postgres_sink *sink, struct wr_error *err) {
    PGresult *found = NULL;
    if (sink->connection.conn)
        return WR_OK;
    WR_TRY(wr_postgres_connect(&sink->connection, err));
    wr_postgres_series_forget(&sink->series);
    enum wr_result result = wr_postgres_statement(
        sink, "SELECT count(*) > 0 FROM pg_attribute WHERE attrelid = to_regclass('@.ledger') AND attname = 'time_quality'", NULL, 0,
        &found, err);
    const bool made = result == WR_OK && PQntuples(found) == 1 && PQgetvalue(found, 0, 0)[0] == 't';
    PQclear(found);
    if (result == WR_OK && !made) {
        result = wr_postgres_make_schema(&sink->connection, err);
        if (result == WR_OK)
            WR_LOG_WITH(WR_LOG_INFO, "postgres", "tables made or extended", WR_LOG_STR("schema", sink->options.schema));
        else
            result =
                wr_error_wrap(err, "no tables of this version (where this role may not make them: weir-receive --init, as their owner)");
    }
    if (result != WR_OK && sink->connection.conn)
        wr_postgres_disconnect(&sink->connection);
    return result == WR_CORRUPT ? WR_IO : result; /* no data of ours is meant */
}

static enum wr_result commit_one_by_one(struct wr_postgres_sink *sink, size_t *ret_poison, struct wr_error *err) {
    for (size_t i = 0; i < sink->n; i++) {
        if (!wr_postgres_is_open(&sink->entries[i]))
            continue;
        const enum wr_result result = wr_postgres_transact(sink, i, i + 1, err);
        if (result == WR_CORRUPT)
            *ret_poison = i;
        WR_TRY(result);
    }
    return WR_OK;
}

/* Old keys into ranges, once an hour. That it fails is no failure of a batch. */
static void compact(struct wr_postgres_sink *sink) {
    const int64_t now_ns = wr_clock_boot_ns(wr_clock_real());
    struct wr_error err;
    if (!sink->connection.conn || now_ns - sink->compacted_ns < COMPACT_EVERY_NS)
        return;
    sink->compacted_ns = now_ns;
    if (wr_postgres_statement(sink, "SELECT @.compact()", NULL, 0, NULL, &err) != WR_OK)
        WR_LOG_WITH(WR_LOG_WARN, "postgres", "old keys were not folded", WR_LOG_ERR(&err));
}

static enum wr_result commit(void *self, size_t *ret_poison, struct wr_error *err) {
    struct wr_postgres_sink *sink = self;
    if (sink->n == 0) {
        compact(sink);
        return WR_OK;
    }
    WR_TRY(connect_if_need_be(sink, err));
    enum wr_result result = sink->one_by_one ? WR_CORRUPT : wr_postgres_transact(sink, 0, sink->n, err);
    if (result == WR_CORRUPT) {
        sink->one_by_one = true;
        result = commit_one_by_one(sink, ret_poison, err);
    }
    if (result != WR_OK)
        return result == WR_LIMIT || result == WR_CLOSED ? WR_IO : result; /* those would end the receiver */
    clear(sink);
    wr_postgres_series_trim(&sink->series);
    compact(sink); /* also where messages never pause */
    return WR_OK;
}

/* -- life --------------------------------------------------------------------------------------------------------------------------------------------- */

static void close_sink(void *self) {
    struct wr_postgres_sink *sink = self;
    wr_postgres_disconnect(&sink->connection);
    wr_postgres_series_fini(&sink->series);
    for (int i = 0; i < WR_POSTGRES_TEXTS; i++)
        wr_buf_fini(&sink->texts[i]);
    for (int i = 0; i < WR_POSTGRES_KEY_COLUMNS; i++)
        wr_buf_fini(&sink->params[i]);
    wr_buf_fini(&sink->symbols);
    wr_buf_fini(&sink->copy);
    free(sink->entries);
    free(sink->rows);
    free(sink);
}

static const struct wr_receive_sink_ops ops = {begin, aggregate, text, end, bytes, commit, drop, clear, counts, close_sink};

enum wr_result wr_postgres_sink_new(const struct wr_postgres_options *options, struct wr_receive_sink *ret_sink, struct wr_error *err) {
    struct wr_postgres_sink *sink = calloc(1, sizeof *sink);
    if (!sink)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for PostgreSQL");
    sink->options = *options;
    sink->connection.options = &sink->options;
    sink->compacted_ns = wr_clock_boot_ns(wr_clock_real());
    for (int i = 0; i < WR_POSTGRES_TEXTS; i++)
        wr_buf_init(&sink->texts[i], 0);
    for (int i = 0; i < WR_POSTGRES_KEY_COLUMNS; i++)
        wr_buf_init(&sink->params[i], 0);
    wr_buf_init(&sink->symbols, UINT32_MAX - 1);
    wr_buf_init(&sink->copy, 0);
    const enum wr_result result = wr_postgres_series_init(&sink->series, err);
    if (result != WR_OK) {
        close_sink(sink);
        return result;
    }
    *ret_sink = (struct wr_receive_sink){&ops, sink};
    return WR_OK;
}
