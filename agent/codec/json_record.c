#include "agent/codec/json_record.h"

#include <math.h>
#include <string.h>

#include "agent/codec/json_scan.h"
#include "agent/codec/number.h"

void wr_json_record_init(struct wr_json_record *record, const struct wr_json_mapping *mapping, const char *measurement) {
    record->mapping = mapping;
    record->measurement = (struct wr_word){measurement, strlen(measurement)};
    wr_buf_init(&record->origin, 0);
    wr_buf_init(&record->texts, 0);
    wr_json_record_forget_root(record);
    wr_json_record_begin(record);
}

void wr_json_record_fini(struct wr_json_record *record) {
    wr_buf_fini(&record->origin);
    wr_buf_fini(&record->texts);
}

void wr_json_record_forget_root(struct wr_json_record *record) {
    memset(record->root_words, 0, sizeof record->root_words);
    record->root_time_ns = WR_EVENT_NONE;
    record->root_quality = WR_QUALITY_GOOD;
}

void wr_json_record_keep_root(struct wr_json_record *record) {
    memcpy(record->root_words, record->words, sizeof record->root_words);
    record->root_time_ns = record->time_ns;
    record->root_quality = record->quality;
}

void wr_json_record_begin(struct wr_json_record *record) {
    for (unsigned i = 0; i < record->mapping->n_words; i++)
        record->words[i] = record->root_words[i];
    record->time_ns = record->root_time_ns;
    record->quality = record->root_quality;
    record->escapes = false;
    record->n_members = 0;
    record->n_fields = 0;
    record->problem = NULL;
}

bool wr_json_record_refuse(struct wr_json_record *record, enum wr_book reason, const char *at, const char *problem) {
    if (!record->problem) {
        record->problem = problem;
        record->problem_at = at;
        record->problem_reason = reason;
    }
    return false;
}

/* -- members ----------------------------------------------------------------------------------------------------------------------- */

static struct wr_word inside(struct wr_word quoted) {
    return (struct wr_word){quoted.text + 1, quoted.len - 2};
}

static bool is_text(struct wr_word word, const char *text) {
    return word.len == strlen(text) && strncasecmp(word.text, text, word.len) == 0;
}

static bool take_time(struct wr_json_record *record, struct wr_word word) {
    if (word.text[0] == 'n')
        return true;
    const struct wr_time_format *format = &record->mapping->time;
    const bool text = word.text[0] == '"';
    if (!text && format->kind == WR_TIME_RFC3339)
        return wr_json_record_refuse(record, WR_BOOK_REJECTED_TIME, word.text,
                                     "not an RFC 3339 time stamp (a number needs time_format: s, ms, us or ns)");
    const struct wr_word stamp = text ? inside(word) : word;
    int64_t time_ns;
    if (!wr_time_format_read(format, stamp.text, stamp.len, &time_ns) || time_ns == WR_EVENT_NONE)
        return wr_json_record_refuse(record, WR_BOOK_REJECTED_TIME, word.text, "not a time stamp of this format");
    record->time_ns = time_ns;
    return true;
}

static bool take_quality(struct wr_json_record *record, struct wr_word word) {
    if (word.text[0] == 'n')
        return true;
    if (word.text[0] == 't' || word.text[0] == 'f') {
        record->quality = word.text[0] == 't' ? WR_QUALITY_GOOD : WR_QUALITY_BAD;
        return true;
    }
    for (unsigned i = WR_QUALITY_GOOD; word.text[0] == '"' && i <= WR_QUALITY_BAD; i++) {
        if (is_text(inside(word), wr_quality_name((enum wr_quality)i))) {
            record->quality = (uint8_t)i;
            return true;
        }
    }
    return wr_json_record_refuse(record, WR_BOOK_REJECTED_SYNTAX, word.text, "not a quality (good, uncertain, bad, true, false)");
}

/* A whole number beyond 2^53 that a float would change. */
static void keep_exact(const char *text, const char *end, struct wr_field *field) {
    int64_t whole;
    uint64_t large;
    if (wr_number_int64(text, end, &whole)) {
        if (field->value.f >= -0x1p63 && field->value.f < 0x1p63 && (int64_t)field->value.f == whole)
            return;
        field->type = WR_TYPE_INT;
        field->value.i = whole;
    } else if (wr_number_uint64(text, end, &large)) {
        if (field->value.f < 0x1p64 && (uint64_t)field->value.f == large)
            return;
        field->type = WR_TYPE_UINT;
        field->value.u = large;
    }
}

static bool read_integer(const char *text, const char *end, const struct wr_number *number, struct wr_field *field) {
    if (field->type == WR_TYPE_INT ? wr_number_int64(text, end, &field->value.i) : wr_number_uint64(text, end, &field->value.u))
        return true;
    const union wr_value exact = {.f = number->value};
    return !number->whole && wr_reading_convert(WR_TYPE_FLOAT, exact, (enum wr_type)field->type, &field->value);
}

/* [text, end) is a number as JSON has it, or the inside of a text that may hold one. */
static bool take_number(struct wr_json_record *record, const char *text, const char *end, enum wr_type type, struct wr_field *field) {
    struct wr_number number;
    if (wr_number_read(text, end, &number) != end)
        return wr_json_record_refuse(record, WR_BOOK_REJECTED_TYPE, text, "not a number");
    field->type = (uint8_t)(type == WR_TYPE_NONE ? WR_TYPE_FLOAT : type);
    if (field->type != WR_TYPE_FLOAT)
        return read_integer(text, end, &number, field) ||
               wr_json_record_refuse(record, WR_BOOK_REJECTED_TYPE, text, "not an integer of 64 bits");
    field->value.f = number.value;
    field->decimals = number.decimals;
    if (!isfinite(number.value))
        field->quality = WR_QUALITY_BAD;
    if (type == WR_TYPE_NONE && number.whole && number.decimals == WR_DECIMALS_UNKNOWN)
        keep_exact(text, end, field);
    return true;
}

static bool take_bool(struct wr_json_record *record, struct wr_word word, struct wr_field *field) {
    const struct wr_word bare = word.text[0] == '"' ? inside(word) : word;
    field->type = WR_TYPE_BOOL;
    field->value.u = is_text(bare, "true") || is_text(bare, "1");
    return field->value.u || is_text(bare, "false") || is_text(bare, "0") ||
           wr_json_record_refuse(record, WR_BOOK_REJECTED_TYPE, word.text, "not a bool (true, false, 1, 0)");
}

static void take_text(struct wr_json_record *record, struct wr_word word, struct wr_field *field) {
    field->type = WR_TYPE_SYMBOL;
    field->text = word.text[0] == '"' ? inside(word) : word;
    record->escapes = record->escapes || memchr(field->text.text, '\\', field->text.len);
}

static void take_null(struct wr_json_record *record, enum wr_type type, struct wr_field *field) {
    field->type = (uint8_t)type;
    field->quality = WR_QUALITY_BAD;
    field->text = (struct wr_word){"", 0};
    if (type == WR_TYPE_FLOAT)
        field->value.f = (double)NAN;
    record->n_fields -= type == WR_TYPE_NONE;
}

static bool take_field(struct wr_json_record *record, enum wr_type type, struct wr_word name, struct wr_word word) {
    struct wr_field *field = wr_json_record_field(record, name, word.text);
    if (!field)
        return false;
    const char first = word.text[0];
    field->quality = WR_QUALITY_GOOD;
    field->decimals = WR_DECIMALS_UNKNOWN;
    field->value.u = 0;
    if (first == 'n') {
        take_null(record, type, field);
        return true;
    }
    if (type == WR_TYPE_SYMBOL || (type == WR_TYPE_NONE && first == '"')) {
        take_text(record, word, field);
        return true;
    }
    if (type == WR_TYPE_BOOL || (type == WR_TYPE_NONE && (first == 't' || first == 'f')))
        return take_bool(record, word, field);
    const struct wr_word number = first == '"' ? inside(word) : word;
    return take_number(record, number.text, number.text + number.len, type, field);
}

bool wr_json_record_take(struct wr_json_record *record, const struct wr_json_slot *slot, struct wr_word name, struct wr_word word) {
    if (!slot)
        return take_field(record, WR_TYPE_NONE, name, word);
    switch ((enum wr_json_role)slot->role) {
    case WR_JSON_TIME:
        return take_time(record, word);
    case WR_JSON_QUALITY:
        return take_quality(record, word);
    case WR_JSON_WORD:
        record->words[slot->word] = word.text[0] == 'n' ? (struct wr_word){NULL, 0} : word;
        return true;
    case WR_JSON_FIELD:
        return take_field(record, (enum wr_type)slot->type, slot->name, word);
    case WR_JSON_NOTHING:
        break;
    }
    return true;
}

/* -- names: only for series that are not known yet ------------------------------------------------------------------------------------ */

static enum wr_result refuse_names(const struct wr_record *record, enum wr_book reason, const char *message,
                                   struct wr_refusal *ret_refusal) {
    wr_refusal_set(ret_refusal, reason, record->line, record->start, record->start, "%s", message);
    return reason == WR_BOOK_REJECTED_TOO_LONG ? WR_LIMIT : WR_INVALID;
}

/* A measurement or tag as written. Not there, null and "" give an empty word. */
static enum wr_result resolve_word(const struct wr_record *record, struct wr_word word, struct wr_names *names, struct wr_word *ret_word,
                                   struct wr_refusal *ret_refusal) {
    *ret_word = word;
    if (!word.text || word.text[0] != '"')
        return WR_OK;
    *ret_word = inside(word);
    if (!memchr(ret_word->text, '\\', ret_word->len))
        return WR_OK;
    if (ret_word->len > sizeof names->text - names->text_len)
        return refuse_names(record, WR_BOOK_REJECTED_TOO_LONG, "measurement and tags are too long", ret_refusal);
    char *text = names->text + names->text_len;
    size_t len;
    if (wr_json_unescape(ret_word->text, ret_word->len, text, &len))
        return refuse_names(record, WR_BOOK_REJECTED_SYNTAX, "half of a surrogate pair in a tag", ret_refusal);
    names->text_len += len;
    *ret_word = (struct wr_word){text, len};
    return WR_OK;
}

static enum wr_result names(const struct wr_record *record, const struct wr_field *field, struct wr_names *into,
                            struct wr_refusal *ret_refusal) {
    const struct wr_json_record *json = record->codec;
    const struct wr_json_mapping *mapping = json->mapping;
    const struct wr_config_json *config = mapping->config;
    into->field = field->name;
    WR_TRY(resolve_word(record, json->words[0], into, &into->measurement, ret_refusal));
    if (into->measurement.len == 0)
        into->measurement = config->measurement ? (struct wr_word){config->measurement, strlen(config->measurement)} : json->measurement;
    for (unsigned i = 0; i < config->n_constant_tags; i++) {
        const char *tag = config->constant_tags[i];
        const size_t name = strcspn(tag, "=");
        into->tags[into->n_tags++] = (struct wr_tag){{tag, name}, {tag + name + 1, strlen(tag + name + 1)}};
    }
    for (unsigned i = 1; i <= mapping->n_slots; i++) {
        const struct wr_json_slot *slot = &mapping->slots[i];
        if (slot->role != WR_JSON_WORD || slot->word == 0)
            continue;
        struct wr_tag *tag = &into->tags[into->n_tags];
        tag->name = slot->name;
        WR_TRY(resolve_word(record, json->words[slot->word], into, &tag->value, ret_refusal));
        into->n_tags += tag->value.len > 0;
    }
    return WR_OK;
}

/* -- the whole record ---------------------------------------------------------------------------------------------------------------- */

static enum wr_result refuse(struct wr_json_record *record, struct wr_word object, const char *start, uint64_t line,
                             const struct wr_sink *sink) {
    const char *at = record->problem_at;
    for (const char *p = start; p < at && (p = memchr(p, '\n', (size_t)(at - p))) != NULL;) {
        start = ++p;
        line++;
    }
    const char *end = object.text + object.len;
    const char *newline = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
    char excerpt[WR_RECORD_EXCERPT_BYTES];
    wr_refusal_set(&record->refusal, record->problem_reason, line, start, at, "%s at '%s'", record->problem,
                   wr_record_excerpt(excerpt, at, (size_t)((newline ? newline : end) - at)));
    sink->refused(sink->user, &record->refusal);
    return WR_OK;
}

/* Texts with escapes are resolved now that the length of all of them is known, so that none moves. */
static bool resolve_texts(struct wr_json_record *record, struct wr_word object) {
    wr_buf_clear(&record->texts);
    if (wr_buf_reserve(&record->texts, object.len) != WR_OK)
        return wr_json_record_refuse(record, WR_BOOK_REJECTED_MEMORY, object.text, "no memory for the record");
    for (uint32_t i = 0; i < record->n_fields; i++) {
        struct wr_field *field = &record->fields[i];
        if (field->type != WR_TYPE_SYMBOL || !memchr(field->text.text, '\\', field->text.len))
            continue;
        char *text = (char *)record->texts.data + record->texts.len;
        size_t len;
        const char *half = wr_json_unescape(field->text.text, field->text.len, text, &len);
        if (half)
            return wr_json_record_refuse(record, WR_BOOK_REJECTED_SYNTAX, half, "half of a surrogate pair");
        record->texts.len += len;
        field->text = (struct wr_word){text, len};
    }
    return true;
}

/* One word alone is its own origin; several are put one behind the other. */
static bool make_origin(struct wr_json_record *record, struct wr_word object, struct wr_word *ret_origin) {
    const unsigned n = record->mapping->n_words;
    if (n == 1 || (n == 2 && !record->words[0].text)) {
        const struct wr_word word = record->words[n - 1];
        *ret_origin = word.text ? word : (struct wr_word){"", 0};
        return true;
    }
    struct wr_buf *origin = &record->origin;
    size_t bytes = n;
    for (unsigned i = 0; i < n; i++)
        bytes += record->words[i].len;
    origin->len = 0;
    if (bytes > origin->cap && wr_buf_reserve(origin, bytes) != WR_OK)
        return wr_json_record_refuse(record, WR_BOOK_REJECTED_MEMORY, object.text, "no memory for the record");
    char *into = (char *)origin->data;
    for (unsigned i = 0; i < n; i++) {
        if (record->words[i].text)
            memcpy(into, record->words[i].text, record->words[i].len);
        into += record->words[i].len;
        *into++ = '\0';
    }
    *ret_origin = (struct wr_word){(const char *)origin->data, bytes};
    return true;
}

static bool is_complete(struct wr_json_record *record, struct wr_word object) {
    if (record->n_members == 0)
        return wr_json_record_refuse(record, WR_BOOK_REJECTED_SYNTAX, object.text,
                                     record->mapping->any_field ? "record without a value" : "record without any of its fields");
    const struct wr_config_json *config = record->mapping->config;
    if (config->measurement_path && !config->measurement && (!record->words[0].text || is_text(record->words[0], "\"\"")))
        return wr_json_record_refuse(record, WR_BOOK_REJECTED_SYNTAX, object.text, "record without a measurement");
    return true;
}

enum wr_result wr_json_record_emit(struct wr_json_record *record, struct wr_word object, const char *start, uint64_t line,
                                   const struct wr_sink *sink) {
    struct wr_record whole = {
        .time_ns = record->time_ns, .fields = record->fields, .n_fields = record->n_fields, .start = start, .line = line, .codec = record};
    whole.names = names;
    if (record->problem || !is_complete(record, object) || !make_origin(record, object, &whole.origin) ||
        (record->escapes && !resolve_texts(record, object)))
        return refuse(record, object, start, line, sink);
    if (record->quality != WR_QUALITY_GOOD)
        for (uint32_t i = 0; i < record->n_fields; i++)
            if (record->fields[i].quality < record->quality)
                record->fields[i].quality = record->quality;
    return record->n_fields > 0 ? sink->record(sink->user, &whole) : WR_OK;
}
