#include "agent/sources/intake.h"

#include <string.h>

#include "core/log.h"

#define CACHE_BYTES_MIN 65536
#define CACHE_BYTES_PER_SERIES 128 /* slots and texts at their doubled sizes; of senders with longer names fewer series fit */

static enum wr_result take_record(void *user, const struct wr_record *record);
static enum wr_result drop_record(void *user, const struct wr_record *record);
static void take_refusal(void *user, const struct wr_refusal *refusal) {
    wr_intake_refuse(user, refusal);
}

size_t wr_intake_bytes(const struct wr_config_limits *limits) {
    return CACHE_BYTES_MIN + (size_t)limits->max_series * CACHE_BYTES_PER_SERIES;
}

void wr_intake_init(struct wr_intake *intake, const struct wr_source_env *env) {
    *intake = (struct wr_intake){.env = env,
                                 .sink = {.record = take_record, .refused = take_refusal, .guess = &intake->guess, .user = intake},
                                 .overflow = {.record = drop_record, .refused = take_refusal, .user = intake}};
    wr_series_cache_init(&intake->cache, wr_intake_bytes(env->limits), wr_clock_random_u64(env->clock));
}

void wr_intake_fini(struct wr_intake *intake) {
    if (intake->batch)
        wr_batch_return(intake->batch);
    for (uint32_t i = 0; i < intake->n_full; i++)
        wr_batch_return(intake->full[i]);
    wr_series_cache_fini(&intake->cache);
}

void wr_intake_arrived(struct wr_intake *intake, const struct wr_now *now) {
    const struct wr_batch *first = intake->n_full > 0 ? intake->full[0] : intake->batch;
    if (first && now->boot_ns - first->arrival_boot_ns >= WR_INTAKE_TOGETHER_NS)
        wr_intake_hand_over(intake);
    intake->now = *now;
}

void wr_intake_forget(struct wr_intake *intake) {
    intake->fields_taken = 0;
}

void wr_intake_discard(struct wr_intake *intake) {
    intake->discarding = true;
}

void wr_intake_refuse(struct wr_intake *intake, const struct wr_refusal *refusal) {
    wr_intake_count(intake->env->counters, refusal->reason, 1);
    char where[128] = "";
    if (intake->where)
        intake->where(intake->where_user, where, sizeof where);
    WR_LOG_WITH(WR_LOG_WARN, "source", "input refused", WR_LOG_STR("source", intake->env->config->name),
                WR_LOG_STR("reason", wr_book_name(refusal->reason)), WR_LOG_STR("from", where), WR_LOG_INT("line", refusal->line),
                WR_LOG_INT("column", refusal->column), WR_LOG_STR("error", refusal->message));
    if (intake->noted)
        intake->noted(intake->noted_user, refusal);
}

/* One reading of a record that is well-formed. */
static __attribute__((noinline, cold)) void refuse_field(struct wr_intake *intake, const struct wr_record *record,
                                                         const struct wr_field *field, enum wr_book reason, const char *message) {
    char excerpt[WR_RECORD_EXCERPT_BYTES];
    struct wr_refusal refusal;
    wr_refusal_set(&refusal, reason, record->line, record->start, record->start, "%s: field '%s'", message,
                   wr_record_excerpt(excerpt, field->name.text, field->name.len));
    wr_intake_refuse(intake, &refusal);
}

/* -- batches --------------------------------------------------------------------------------------------------------------------- */

/* The batch at hand goes behind the full ones; an empty one back to its pool. */
static void put_aside(struct wr_intake *intake) {
    struct wr_batch *batch = intake->batch;
    intake->batch = NULL;
    if (batch && batch->n > 0)
        intake->full[intake->n_full++] = batch;
    else if (batch)
        wr_batch_return(batch);
}

void wr_intake_hand_over(struct wr_intake *intake) {
    put_aside(intake);
    if (intake->n_full == 0)
        return;
    struct wr_intake_counters *counters = intake->env->counters;
    uint64_t readings = 0;
    for (uint32_t i = 0; i < intake->n_full; i++)
        readings += intake->full[i]->n;
    wr_intake_count(counters, WR_BOOK_RECEIVED, readings);
    atomic_fetch_add_explicit(&counters->batches, intake->n_full, memory_order_relaxed);
    size_t sent = 0;
    if (wr_channel_send_batch(intake->env->to_engine, intake->full, intake->n_full, 0, &sent) != WR_OK)
        for (; sent < intake->n_full; sent++) { /* closed: the engine is gone */
            wr_intake_count(counters, WR_BOOK_DROPPED_STOP, intake->full[sent]->n);
            intake->dropped += intake->full[sent]->n;
            wr_batch_return(intake->full[sent]);
        }
    intake->n_full = 0;
}

static struct wr_batch *batch_with_room(struct wr_intake *intake) {
    if (intake->batch && intake->batch->n < WR_BATCH_READINGS)
        return intake->batch;
    put_aside(intake);
    if (intake->n_full >= WR_INTAKE_FULL)
        wr_intake_hand_over(intake);
    if (wr_batch_take(intake->env->pool, &intake->batch) != WR_OK) {
        intake->batch = NULL;
        wr_intake_hand_over(intake);
        return NULL;
    }
    wr_batch_stamp(intake->batch, &intake->now);
    intake->batch->recorded = intake->recorded;
    return intake->batch;
}

bool wr_intake_ready(struct wr_intake *intake) {
    const bool ready = batch_with_room(intake) != NULL;
    if (ready && intake->batch->n == 0) { /* back: its stamp is to be that of the answer, and nobody else takes it meanwhile */
        wr_batch_return(intake->batch);
        intake->batch = NULL;
    }
    return ready;
}

enum wr_result wr_intake_wait(struct wr_intake *intake, struct wr_context *context) {
    atomic_fetch_add_explicit(&intake->env->counters->waits, 1, memory_order_relaxed);
    struct wr_batch *batch;
    WR_TRY(wr_channel_recv_context(intake->env->pool->free, &batch, context));
    wr_batch_stamp(batch, &intake->now);
    batch->recorded = intake->recorded;
    intake->batch = batch;
    return WR_OK;
}

/* -- series, types, texts ---------------------------------------------------------------------------------------------------------- */

/* A series that the cache does not know. False: refused and counted. */
static __attribute__((noinline)) bool learn_series(struct wr_intake *intake, const struct wr_record *record, const struct wr_field *field,
                                                   struct wr_series_cursor *cursor, struct wr_series_hit *ret_hit) {
    char key[WR_SERIES_KEY_BYTES];
    size_t len;
    struct wr_refusal refusal;
    if (wr_record_key(record, field, key, &len, &refusal) != WR_OK) {
        wr_intake_refuse(intake, &refusal);
        return false;
    }
    uint32_t id;
    enum wr_result result = wr_series_intern(intake->env->series, key, len, &id);
    if (result != WR_OK) {
        const bool limit = result == WR_LIMIT;
        refuse_field(intake, record, field, limit ? WR_BOOK_REJECTED_SERIES : WR_BOOK_REJECTED_MEMORY,
                     limit ? "one more series than max_series" : "no memory for a new series");
        return false;
    }
    struct wr_series *series = wr_series_get(intake->env->series, id);
    const enum wr_type type = wr_series_fix_type(series, (enum wr_type)field->type);
    *ret_hit = (struct wr_series_hit){.series = id, .type = (uint8_t)type};
    wr_series_cache_put(&intake->cache, cursor, field->name, *ret_hit);
    return true;
}

/* The value in the type of its series. False: it has none. */
static bool fit_type(struct wr_reading *reading, enum wr_type type) {
    if (type == WR_TYPE_SYMBOL || reading->type == WR_TYPE_SYMBOL)
        return false;
    const enum wr_type from = (enum wr_type)reading->type;
    reading->type = (uint8_t)type;
    reading->decimals = WR_DECIMALS_UNKNOWN;
    if (reading->quality == WR_QUALITY_BAD) {
        reading->value.u = 0;
        return true;
    }
    const union wr_value value = reading->value;
    if (!wr_reading_convert(from, value, type, &reading->value))
        return false;
    if (type == WR_TYPE_FLOAT && reading->value.f < 1e15 && reading->value.f > -1e15)
        reading->decimals = 0; /* it was whole */
    return true;
}

/* The symbol of a text; WR_LIMIT, WR_NO_MEMORY. Texts of sensors are few and come again: one look at the last one with this hash. */
static enum wr_result find_symbol(struct wr_intake *intake, struct wr_word text, uint32_t *ret_symbol) {
    uint32_t hash = (uint32_t)text.len;
    for (size_t i = 0; i < text.len && i < 16; i++)
        hash = hash * 31 + (uint8_t)text.text[i];
    uint32_t *last = &intake->texts[(hash ^ hash >> 8) % WR_INTAKE_TEXTS];
    if (*last != 0) {
        size_t len;
        const char *known = wr_symbol_text(intake->env->symbols, *last - 1, &len);
        if (len == text.len && memcmp(known, text.text, len) == 0) {
            *ret_symbol = *last - 1;
            return WR_OK;
        }
    }
    WR_TRY(wr_symbol_intern(intake->env->symbols, text.text, text.len, ret_symbol));
    *last = *ret_symbol + 1;
    return WR_OK;
}

static __attribute__((noinline)) bool put_symbol(struct wr_intake *intake, const struct wr_record *record, const struct wr_field *field,
                                                 struct wr_reading *reading) {
    uint32_t symbol;
    enum wr_result result = find_symbol(intake, field->text, &symbol);
    if (result == WR_OK) {
        reading->value.u = symbol;
        return true;
    }
    const bool limit = result == WR_LIMIT;
    refuse_field(intake, record, field, limit ? WR_BOOK_REJECTED_SYMBOLS : WR_BOOK_REJECTED_MEMORY,
                 limit ? "one more text than max_symbols, or longer than 1024 bytes" : "no memory for a new text");
    return false;
}

/* -- the sink -------------------------------------------------------------------------------------------------------------------- */

/* Takes the fields of a record from fields_taken on. WR_FULL: it is to be offered again. */
static inline enum wr_result take_fields(struct wr_intake *intake, const struct wr_record *record) {
    if (__builtin_expect(intake->discarding, 0)) {
        const uint64_t left = record->n_fields - intake->fields_taken;
        intake->fields_taken = 0;
        wr_intake_count(intake->env->counters, WR_BOOK_RECEIVED, left);
        wr_intake_count(intake->env->counters, WR_BOOK_DROPPED_STOP, left);
        intake->dropped += left;
        return WR_OK;
    }
    struct wr_series_cursor cursor = wr_series_cache_begin(record->origin);
    for (size_t i = intake->fields_taken; i < record->n_fields; i++) {
        const struct wr_field *field = &record->fields[i];
        struct wr_batch *batch = batch_with_room(intake);
        if (!batch) {
            intake->fields_taken = i;
            return WR_FULL;
        }
        struct wr_series_hit hit;
        if (i == 0 && record->guessed)
            hit = wr_series_cache_follow(&intake->cache);
        else if (!wr_series_cache_find(&intake->cache, &cursor, field->name, &hit) && !learn_series(intake, record, field, &cursor, &hit))
            continue;
        struct wr_reading *reading = &batch->readings[batch->n];
        wr_record_put_reading(record, field, WR_EVENT_NONE, reading);
        reading->series = hit.series;
        if (reading->type != hit.type && !fit_type(reading, (enum wr_type)hit.type)) {
            refuse_field(intake, record, field, WR_BOOK_REJECTED_TYPE, "not the type that the series began with");
            continue;
        }
        if (reading->type == WR_TYPE_SYMBOL && !put_symbol(intake, record, field, reading))
            continue;
        batch->n++;
    }
    intake->fields_taken = 0;
    return WR_OK;
}

static enum wr_result take_record(void *user, const struct wr_record *record) {
    struct wr_intake *intake = user;
    const enum wr_result result = take_fields(intake, record);
    intake->guess = wr_series_cache_guess(&intake->cache);
    return result;
}

/* Types and limits are not looked at: nothing of it goes anywhere. */
static enum wr_result drop_record(void *user, const struct wr_record *record) {
    const struct wr_intake *intake = user;
    wr_intake_count(intake->env->counters, WR_BOOK_RECEIVED, record->n_fields);
    wr_intake_count(intake->env->counters, WR_BOOK_DROPPED_OVERFLOW, record->n_fields);
    return WR_OK;
}
