#include "agent/codec/json.h"

#include <math.h>
#include <string.h>

#include "agent/codec/number.h"

/* The members of a record that matter, as written. text NULL: not there. */
struct members {
    struct wr_word measurement; /* strings with their quotes */
    struct wr_word field;
    struct wr_word tags;
    struct wr_word time_ns;
    struct wr_word value;
    struct wr_word type;
    struct wr_word quality;
    struct wr_word window_ns; /* an aggregate */
    struct wr_word rule;      /* an alarm */
    struct wr_word reason;    /* a gap */
    struct wr_word records;   /* the envelope */
};

/* One top-level value under the reader. */
struct value {
    struct wr_json_reader *reader;
    struct wr_json_scan scan;
    const char *start;
    uint64_t line;
    const struct wr_sink *sink;
};

void wr_json_reader_init(struct wr_json_reader *reader) {
    reader->taken = 0;
    reader->seen = 0;
    wr_buf_init(&reader->texts, 0);
    wr_buf_init(&reader->origin, 0);
    wr_buf_init(&reader->compact, 0);
}

void wr_json_reader_fini(struct wr_json_reader *reader) {
    wr_buf_fini(&reader->texts);
    wr_buf_fini(&reader->origin);
    wr_buf_fini(&reader->compact);
}

/* The line and the start of the line in which `at` stands. */
static const char *line_of(const struct value *value, const char *at, uint64_t *ret_line) {
    const char *start = value->start;
    *ret_line = value->line;
    for (const char *p = start; p < at && (p = memchr(p, '\n', (size_t)(at - p))) != NULL;) {
        start = ++p;
        (*ret_line)++;
    }
    return start;
}

static enum wr_result refuse(struct value *value, enum wr_book reason, const char *at, const char *message) {
    uint64_t line;
    const char *start = line_of(value, at, &line);
    const char *end = at < value->scan.end ? memchr(at, '\n', (size_t)(value->scan.end - at)) : NULL;
    const size_t len = (size_t)((end ? end : value->scan.end) - at);
    char excerpt[WR_RECORD_EXCERPT_BYTES];
    if (len > 0)
        wr_refusal_set(&value->reader->refusal, reason, line, start, at, "%s at '%s'", message, wr_record_excerpt(excerpt, at, len));
    else
        wr_refusal_set(&value->reader->refusal, reason, line, start, at, "%s at the end of the line", message);
    return WR_INVALID;
}

/* -- the members of a record ------------------------------------------------------------------------------------------------------- */

static bool is_text(struct wr_word word, const char *text) {
    return word.len == strlen(text) + 2 && word.text[0] == '"' && memcmp(word.text + 1, text, word.len - 2) == 0;
}

static struct wr_word *member_named(struct members *members, struct wr_word name) {
    static const struct {
        const char *name; /* with its quotes */
        size_t len;
        size_t offset;
    } known[] = {
#define KNOWN(member) {"\"" #member "\"", sizeof #member + 1, offsetof(struct members, member)}
        KNOWN(measurement), KNOWN(field),     KNOWN(tags), KNOWN(time_ns), KNOWN(value),   KNOWN(type),
        KNOWN(quality),     KNOWN(window_ns), KNOWN(rule), KNOWN(reason),  KNOWN(records),
#undef KNOWN
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (name.len == known[i].len && memcmp(name.text, known[i].name, name.len) == 0)
            return (struct wr_word *)(void *)((char *)members + known[i].offset);
    return NULL;
}

/* Resolves the escapes of a string (given with its quotes) into `into`, which has room for it: see reserve_texts. Returns NULL, or where
 * half of a surrogate pair stands. */
static const char *resolve(struct wr_word quoted, struct wr_buf *into, struct wr_word *ret_text) {
    const struct wr_word inside = {quoted.text + 1, quoted.len - 2};
    if (!memchr(inside.text, '\\', inside.len)) {
        *ret_text = inside;
        return NULL;
    }
    char *text = (char *)into->data + into->len;
    size_t len;
    const char *bad = wr_json_unescape(inside.text, inside.len, text, &len);
    if (bad)
        return bad;
    into->len += len;
    *ret_text = (struct wr_word){text, len};
    return NULL;
}

static enum wr_result want_string(struct value *value, struct wr_word word, const char *message) {
    return word.text[0] == '"' ? WR_OK : refuse(value, WR_BOOK_REJECTED_SYNTAX, word.text, message);
}

/* {"name":"value",...}, which is known to be well-formed. */
static bool next_tag(struct wr_json_scan *scan, struct wr_word *ret_name, struct wr_word *ret_value) {
    return wr_json_scan_member(scan, ret_name) && wr_json_scan_value(scan, ret_value);
}

static enum wr_result refuse_names(const struct wr_record *record, enum wr_book reason, const char *message,
                                   struct wr_refusal *ret_refusal) {
    wr_refusal_set(ret_refusal, reason, record->line, record->start, record->start, "%s", message);
    return reason == WR_BOOK_REJECTED_TOO_LONG ? WR_LIMIT : WR_INVALID;
}

/* origin is the measurement with its quotes, NUL, the object of tags; a copy, so no place in it is a place in the input. */
static enum wr_result names(const struct wr_record *record, const struct wr_field *field, struct wr_names *into,
                            struct wr_refusal *ret_refusal) {
    struct wr_json_reader *reader = record->codec;
    const char *tags = (const char *)memchr(record->origin.text, '\0', record->origin.len) + 1;
    const struct wr_word measurement = {record->origin.text, (size_t)(tags - 1 - record->origin.text)};
    struct wr_json_scan scan = wr_json_scan_begin(tags, record->origin.text + record->origin.len, true);
    bool good = !resolve(measurement, &reader->texts, &into->measurement) && !resolve(field->name, &reader->texts, &into->field);
    struct wr_word name;
    struct wr_word text;
    for (bool more = wr_json_scan_enter(&scan); good && more && next_tag(&scan, &name, &text);) {
        if (into->n_tags == WR_SERIES_TAGS)
            return refuse_names(record, WR_BOOK_REJECTED_TOO_LONG, "more than 32 tags", ret_refusal);
        struct wr_tag *tag = &into->tags[into->n_tags++];
        good = !resolve(name, &reader->texts, &tag->name) && !resolve(text, &reader->texts, &tag->value);
    }
    return good ? WR_OK : refuse_names(record, WR_BOOK_REJECTED_SYNTAX, "half of a surrogate pair in a name", ret_refusal);
}

/* -- the value --------------------------------------------------------------------------------------------------------------------- */

static enum wr_result read_number(struct value *value, struct wr_word word, enum wr_type type, struct wr_field *field) {
    const char *end = word.text + word.len;
    struct wr_number number;
    if (wr_number_read(word.text, end, &number) != end)
        return refuse(value, WR_BOOK_REJECTED_SYNTAX, word.text, "not a number");
    field->type = (uint8_t)type;
    if (type == WR_TYPE_FLOAT) {
        field->value.f = number.value;
        field->decimals = number.decimals;
        if (!isfinite(number.value))
            field->quality = WR_QUALITY_BAD;
        return WR_OK;
    }
    if (type == WR_TYPE_INT ? wr_number_int64(word.text, end, &field->value.i) : wr_number_uint64(word.text, end, &field->value.u))
        return WR_OK;
    const union wr_value exact = {.f = number.value};
    if (number.whole || !wr_reading_convert(WR_TYPE_FLOAT, exact, type, &field->value))
        return refuse(value, WR_BOOK_REJECTED_TYPE, word.text, "not an integer of 64 bits");
    return WR_OK;
}

/* type NONE: what the value looks like. */
static enum wr_result read_value(struct value *value, struct wr_word word, enum wr_type type, struct wr_field *field) {
    const char first = word.text[0];
    field->value.u = 0;
    field->decimals = WR_DECIMALS_UNKNOWN;
    if (first == 'n') { /* null */
        field->type = (uint8_t)(type == WR_TYPE_NONE ? WR_TYPE_FLOAT : type);
        field->quality = WR_QUALITY_BAD;
        if (field->type == WR_TYPE_FLOAT)
            field->value.f = (double)NAN;
        field->text = (struct wr_word){"", 0};
        return WR_OK;
    }
    if (first == 't' || first == 'f') {
        if (type != WR_TYPE_NONE && type != WR_TYPE_BOOL)
            return refuse(value, WR_BOOK_REJECTED_TYPE, word.text, "not a value of this type");
        field->type = WR_TYPE_BOOL;
        field->value.u = first == 't';
        return WR_OK;
    }
    if (first == '"') {
        if (type != WR_TYPE_NONE && type != WR_TYPE_SYMBOL)
            return refuse(value, WR_BOOK_REJECTED_TYPE, word.text, "not a value of this type");
        field->type = WR_TYPE_SYMBOL;
        const char *half = resolve(word, &value->reader->texts, &field->text);
        return half ? refuse(value, WR_BOOK_REJECTED_SYNTAX, half, "half of a surrogate pair") : WR_OK;
    }
    if (first == '{' || first == '[' || type == WR_TYPE_BOOL || type == WR_TYPE_SYMBOL)
        return refuse(value, WR_BOOK_REJECTED_TYPE, word.text, "not a value of this type");
    return read_number(value, word, type == WR_TYPE_NONE ? WR_TYPE_FLOAT : type, field);
}

static enum wr_result read_type(struct value *value, struct wr_word word, enum wr_type *ret_type) {
    static const enum wr_type types[] = {WR_TYPE_FLOAT, WR_TYPE_INT, WR_TYPE_UINT, WR_TYPE_BOOL, WR_TYPE_SYMBOL};
    *ret_type = WR_TYPE_NONE;
    if (!word.text)
        return WR_OK;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (is_text(word, wr_type_name(types[i])))
            *ret_type = types[i];
    return *ret_type != WR_TYPE_NONE ? WR_OK
                                     : refuse(value, WR_BOOK_REJECTED_SYNTAX, word.text, "not a type (float, int, uint, bool, string)");
}

static enum wr_result read_quality(struct value *value, struct wr_word word, uint8_t *ret_quality) {
    *ret_quality = WR_QUALITY_GOOD;
    if (!word.text)
        return WR_OK;
    for (unsigned i = WR_QUALITY_GOOD; i <= WR_QUALITY_BAD; i++) {
        if (is_text(word, wr_quality_name((enum wr_quality)i))) {
            *ret_quality = (uint8_t)i;
            return WR_OK;
        }
    }
    return refuse(value, WR_BOOK_REJECTED_SYNTAX, word.text, "not a quality (good, uncertain, bad)");
}

static enum wr_result read_time(struct value *value, struct wr_word word, int64_t *ret_ns) {
    *ret_ns = WR_EVENT_NONE;
    if (!word.text || word.text[0] == 'n')
        return WR_OK;
    if (!wr_number_int64(word.text, word.text + word.len, ret_ns) || *ret_ns == WR_EVENT_NONE)
        return refuse(value, WR_BOOK_REJECTED_TIME, word.text, "not a time in nanoseconds");
    return WR_OK;
}

static enum wr_result check_tags(struct value *value, struct wr_word tags) {
    if (tags.text[0] != '{')
        return refuse(value, WR_BOOK_REJECTED_SYNTAX, tags.text, "tags are an object of strings");
    struct wr_json_scan scan = wr_json_scan_begin(tags.text, tags.text + tags.len, true);
    struct wr_word name;
    struct wr_word text;
    if (wr_json_scan_enter(&scan))
        while (next_tag(&scan, &name, &text))
            WR_TRY(want_string(value, text, "the value of a tag is a string"));
    return WR_OK;
}

/* -- objects ----------------------------------------------------------------------------------------------------------------------- */

/* Room for all texts of the object at once, so that none of them moves; resolved they are not longer than written. */
static enum wr_result reserve_texts(struct value *value, struct wr_word object) {
    struct wr_json_reader *reader = value->reader;
    wr_buf_clear(&reader->texts);
    wr_buf_clear(&reader->origin);
    if (wr_buf_reserve(&reader->texts, 2 * object.len + 1) != WR_OK || wr_buf_reserve(&reader->origin, object.len + 16) != WR_OK)
        return refuse(value, WR_BOOK_REJECTED_MEMORY, object.text, "no memory for the record");
    return WR_OK;
}

static enum wr_result take_reading(struct value *value, struct wr_word object, struct members *m) {
    struct wr_json_reader *reader = value->reader;
    static const struct wr_word no_tags = {"{}", 2};
    static const struct wr_word value_field = {"\"value\"", 7};
    if (!m->value.text)
        return refuse(value, WR_BOOK_REJECTED_SYNTAX, object.text, "record without a value");
    WR_TRY(want_string(value, m->measurement, "measurement is a string"));
    if (!m->field.text)
        m->field = value_field;
    WR_TRY(want_string(value, m->field, "field is a string"));
    if (!m->tags.text)
        m->tags = no_tags;
    WR_TRY(check_tags(value, m->tags));
    WR_TRY(reserve_texts(value, object));

    struct wr_field *field = &reader->field;
    uint64_t line;
    struct wr_record record = {.fields = field, .n_fields = 1, .codec = reader, .names = names};
    record.start = line_of(value, object.text, &line);
    record.line = line;
    WR_TRY(read_time(value, m->time_ns, &record.time_ns));
    WR_TRY(read_quality(value, m->quality, &field->quality));
    enum wr_type type;
    WR_TRY(read_type(value, m->type, &type));
    WR_TRY(read_value(value, m->value, type, field));
    field->name = m->field;
    /* There is room: see reserve_texts. */
    if (wr_buf_append(&reader->origin, m->measurement.text, m->measurement.len) != WR_OK ||
        wr_buf_append(&reader->origin, "", 1) != WR_OK || wr_buf_append(&reader->origin, m->tags.text, m->tags.len) != WR_OK)
        return refuse(value, WR_BOOK_REJECTED_MEMORY, object.text, "no memory for the record");
    record.origin = (struct wr_word){(const char *)reader->origin.data, reader->origin.len};
    return value->sink->record(value->sink->user, &record);
}

/* An aggregate, an alarm, a gap: as it stands, without white space between its parts. */
static enum wr_result pass_on(struct value *value, struct wr_word object) {
    struct wr_buf *compact = &value->reader->compact;
    if (!value->sink->object)
        return refuse(value, WR_BOOK_REJECTED_SYNTAX, object.text, "not a reading");
    wr_buf_clear(compact);
    if (wr_buf_reserve(compact, object.len) != WR_OK)
        return refuse(value, WR_BOOK_REJECTED_MEMORY, object.text, "no memory for the record");
    compact->len = wr_json_compact(object.text, object.len, (char *)compact->data);
    return value->sink->object(value->sink->user, (const char *)compact->data, compact->len);
}

static enum wr_result take_array(struct value *value, struct wr_word array);

static enum wr_result gather(struct value *value, struct wr_word object, struct members *members) {
    struct wr_json_scan scan = wr_json_scan_begin(object.text, object.text + object.len, true);
    struct wr_word name;
    struct wr_word text;
    if (!wr_json_scan_enter(&scan))
        return WR_OK;
    while (next_tag(&scan, &name, &text)) {
        struct wr_word *member = member_named(members, name);
        if (member && member->text)
            return refuse(value, WR_BOOK_REJECTED_SYNTAX, name.text, "the same key twice");
        if (member)
            *member = text;
    }
    return WR_OK;
}

static enum wr_result take_one(struct value *value, struct wr_word object, struct members *members) {
    if (members->window_ns.text || members->rule.text || members->reason.text)
        return pass_on(value, object);
    if (!members->measurement.text)
        return refuse(value, WR_BOOK_REJECTED_SYNTAX, object.text, "record without a measurement");
    return take_reading(value, object, members);
}

static enum wr_result take_object(struct value *value, struct wr_word object) {
    struct members members = {0};
    enum wr_result result = gather(value, object, &members);
    if (result == WR_OK && members.records.text && members.records.text[0] == '[')
        return take_array(value, members.records);
    if (value->reader->seen++ < value->reader->taken)
        return WR_OK;
    if (result == WR_OK)
        result = take_one(value, object, &members);
    if (result == WR_INVALID) {
        value->sink->refused(value->sink->user, &value->reader->refusal);
        result = WR_OK;
    }
    value->reader->taken += result == WR_OK;
    return result;
}

static enum wr_result take_array(struct value *value, struct wr_word array) {
    struct wr_json_scan scan = wr_json_scan_begin(array.text, array.text + array.len, true);
    struct wr_word element;
    if (!wr_json_scan_enter(&scan))
        return WR_OK;
    while (wr_json_scan_value(&scan, &element)) {
        if (element.text[0] == '{') {
            WR_TRY(take_object(value, element));
        } else if (value->reader->seen++ >= value->reader->taken) {
            (void)refuse(value, WR_BOOK_REJECTED_SYNTAX, element.text, "not a record");
            value->sink->refused(value->sink->user, &value->reader->refusal);
            value->reader->taken++;
        }
    }
    return WR_OK;
}

/* -- top-level values -------------------------------------------------------------------------------------------------------------- */

static enum wr_result take_value(struct value *value, struct wr_word word) {
    if (word.text[0] == '{')
        return take_object(value, word);
    if (word.text[0] == '[')
        return take_array(value, word);
    (void)refuse(value, WR_BOOK_REJECTED_SYNTAX, word.text, "not a record");
    value->sink->refused(value->sink->user, &value->reader->refusal);
    return WR_OK;
}

/* Moves on to `to`, counting lines. */
static const char *move_on(const char *p, const char *to, uint64_t *line, const char **line_start) {
    while (p < to) {
        const char *newline = memchr(p, '\n', (size_t)(to - p));
        if (!newline)
            break;
        p = newline + 1;
        *line_start = p;
        (*line)++;
    }
    return to;
}

enum wr_result wr_json_feed(struct wr_json_reader *reader, const char *bytes, size_t len, bool ended, uint64_t *line,
                            const struct wr_sink *sink, size_t *ret_consumed) {
    const char *p = bytes;
    const char *end = bytes + len;
    const char *line_start = bytes;
    enum wr_result result = WR_OK;
    while (result == WR_OK) {
        p = move_on(p, wr_json_skip_space(p, end), line, &line_start);
        if (p == end)
            break;
        struct value value = {
            .reader = reader, .scan = wr_json_scan_begin(p, end, ended), .start = line_start, .line = *line + 1, .sink = sink};
        struct wr_word word;
        reader->seen = 0;
        const enum wr_json_found found = wr_json_scan_check(&value.scan, &word);
        if (found == WR_JSON_INCOMPLETE)
            break;
        const char *behind = word.text + word.len;
        if (found == WR_JSON_FOUND) {
            result = take_value(&value, word);
        } else {
            const char *newline = memchr(p, '\n', (size_t)(end - p));
            if (!newline && !ended)
                break; /* the line is not whole yet */
            behind = newline ? newline : end;
            (void)refuse(&value, WR_BOOK_REJECTED_SYNTAX, value.scan.p, value.scan.error);
            sink->refused(sink->user, &reader->refusal);
        }
        if (result == WR_OK) {
            reader->taken = 0;
            p = move_on(p, behind, line, &line_start);
        }
    }
    *ret_consumed = (size_t)(p - bytes);
    return result;
}
