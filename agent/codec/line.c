#include "agent/codec/line.h"

#include <math.h>

#include "agent/codec/guess.h"
#include "agent/codec/number.h"
#include "agent/codec/number_short.h"
#include "core/scan.h"

/* The line under the parser. Every line ends with a newline before `stop`: so a loop that stops at newlines needs no other bound. */
struct line {
    struct wr_line_parser *parser;
    const char *start;
    const char *stop; /* end of the readable bytes, behind the newline */
    uint64_t number;
};

void wr_line_parser_init(struct wr_line_parser *parser, enum wr_precision precision, size_t max_line_bytes) {
    static const int64_t units_ns[] = {
        [WR_PRECISION_NS] = 1, [WR_PRECISION_US] = WR_NS_PER_US, [WR_PRECISION_MS] = WR_NS_PER_MS, [WR_PRECISION_S] = WR_NS_PER_S};
    parser->unit_ns = units_ns[precision];
    parser->max_line_bytes = max_line_bytes;
    wr_buf_init(&parser->strings, 0);
    wr_buf_init(&parser->last, 0);
}

void wr_line_parser_fini(struct wr_line_parser *parser) {
    wr_buf_fini(&parser->strings);
    wr_buf_fini(&parser->last);
}

/* Fills the refusal with a message that quotes the text from `at` to the end of its word. Returns NULL, which says "refused". */
static __attribute__((noinline, cold)) const char *refuse(const struct line *line, enum wr_book reason, const char *at,
                                                          const char *message) {
    const char *end = wr_scan_any(at, line->stop, "\n", 1);
    if (end > at && end[-1] == '\r')
        end--;
    if (at == end) {
        wr_refusal_set(&line->parser->refusal, reason, line->number, line->start, at, "%s at the end of the line", message);
        return NULL;
    }
    char excerpt[WR_RECORD_EXCERPT_BYTES];
    wr_record_excerpt(excerpt, at, (size_t)(end - at));
    wr_refusal_set(&line->parser->refusal, reason, line->number, line->start, at, "%s at '%s'", message, excerpt);
    return NULL;
}

/* Mostly there is one between sections, and none elsewhere. */
static inline const char *skip_spaces(const char *p) {
    if (*p == ' ')
        for (p++; __builtin_expect(*p == ' ', 0);)
            p++;
    return p;
}

static inline bool at_end_of_line(const char *p) {
    return *p == '\n' || (*p == '\r' && p[1] == '\n');
}
static inline bool ends_value(const char *p) {
    return *p == ',' || *p == ' ' || at_end_of_line(p);
}

/* -- values ---------------------------------------------------------------------------------------------------------------------- */

/* Resolves \" and \\ of the text [from, to) into parser->strings. False: no memory. */
static bool resolve_string(struct line *line, const char *from, const char *to, struct wr_word *ret_text) {
    struct wr_buf *strings = &line->parser->strings;
    if (strings->len == 0) { /* room for all strings of the line at once, so that none of them moves */
        const char *end = wr_scan_any(from, line->stop, "\n", 1);
        if (wr_buf_reserve(strings, (size_t)(end - line->start)) != WR_OK)
            return false;
    }
    char *text = (char *)strings->data + strings->len;
    char *into = text;
    for (const char *p = from; p < to; p++) {
        if (*p == '\\' && (p[1] == '"' || p[1] == '\\'))
            p++;
        *into++ = *p;
    }
    *ret_text = (struct wr_word){text, (size_t)(into - text)};
    strings->len += ret_text->len;
    return true;
}

/* p is behind the opening quote. Returns the byte behind the closing one. */
static const char *read_string(struct line *line, const char *p, struct wr_field *field) {
    const char *from = p;
    bool escaped = false;
    for (;; p++) {
        p = wr_scan_any(p, line->stop, "\"\\\n", 3);
        if (*p == '"')
            break;
        if (*p == '\n')
            return refuse(line, WR_BOOK_REJECTED_SYNTAX, from - 1, "text without closing quote");
        if (p[1] == '"' || p[1] == '\\') {
            escaped = true;
            p++;
        }
    }
    field->type = WR_TYPE_SYMBOL;
    field->value.u = 0;
    field->text = (struct wr_word){from, (size_t)(p - from)};
    if (escaped && !resolve_string(line, from, p, &field->text))
        return refuse(line, WR_BOOK_REJECTED_MEMORY, from - 1, "no memory for the text");
    if (!ends_value(p + 1))
        return refuse(line, WR_BOOK_REJECTED_SYNTAX, p + 1, "expected a comma or a space behind the closing quote");
    return p + 1;
}

static const char *read_bool(struct line *line, const char *p, struct wr_field *field) {
    static const struct {
        const char *text;
        uint8_t len;
        uint8_t value;
    } words[] = {{"t", 1, 1},    {"T", 1, 1},    {"f", 1, 0},     {"F", 1, 0},     {"true", 4, 1},
                 {"True", 4, 1}, {"TRUE", 4, 1}, {"false", 5, 0}, {"False", 5, 0}, {"FALSE", 5, 0}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if ((size_t)(line->stop - p) > words[i].len && memcmp(p, words[i].text, words[i].len) == 0 && ends_value(p + words[i].len)) {
            field->type = WR_TYPE_BOOL;
            field->value.u = words[i].value;
            return p + words[i].len;
        }
    }
    return refuse(line, WR_BOOK_REJECTED_SYNTAX, p, "not a value (text needs quotes)");
}

/* A number that the short way did not take: signs apart, long ones, exponents, integers, nan and inf. */
static __attribute__((noinline)) const char *read_number(struct line *line, const char *p, struct wr_field *field) {
    struct wr_number number;
    const char *behind = wr_number_read(p, line->stop, &number);
    if (!behind) {
        behind = wr_number_read_nonfinite(p, line->stop, &field->value.f);
        if (!behind || !ends_value(behind))
            return refuse(line, WR_BOOK_REJECTED_SYNTAX, p, "not a value (text needs quotes)");
        field->type = WR_TYPE_FLOAT;
        field->quality = WR_QUALITY_BAD;
        return behind;
    }
    if (ends_value(behind)) {
        field->type = WR_TYPE_FLOAT;
        field->value.f = number.value;
        field->decimals = number.decimals;
        if (!isfinite(number.value))
            field->quality = WR_QUALITY_BAD;
        return behind;
    }
    if ((*behind != 'i' && *behind != 'u') || !ends_value(behind + 1))
        return refuse(line, WR_BOOK_REJECTED_SYNTAX, p, "not a number");
    const bool is_signed = *behind == 'i';
    field->type = is_signed ? WR_TYPE_INT : WR_TYPE_UINT;
    if (!number.whole || !(is_signed ? wr_number_int64(p, behind, &field->value.i) : wr_number_uint64(p, behind, &field->value.u)))
        return refuse(line, WR_BOOK_REJECTED_SYNTAX, p, is_signed ? "not a 64-bit integer" : "not an unsigned 64-bit integer");
    return behind + 1;
}

/* Of a good value. Side by side, so that the compiler makes one store of them: the sink loads them together, and of several it would have to wait. */
static inline void put_kind(struct wr_field *field, enum wr_type type, uint8_t decimals) {
    field->type = (uint8_t)type;
    field->quality = WR_QUALITY_GOOD;
    field->decimals = decimals;
}

static inline const char *read_value(struct line *line, const char *p, struct wr_field *field) {
    const bool negative = *p == '-';
    double value;
    uint8_t decimals;
    const char *behind = wr_number_read_short(p + negative, line->stop, &value, &decimals);
    if (behind && ends_value(behind)) {
        field->value.f = negative ? -value : value;
        put_kind(field, WR_TYPE_FLOAT, decimals);
        return behind;
    }
    put_kind(field, WR_TYPE_NONE, WR_DECIMALS_UNKNOWN);
    if (behind && *behind == 'i' && behind[-1] != '.' && decimals == 0 && ends_value(behind + 1)) {
        field->type = WR_TYPE_INT;
        field->value.i = negative ? -(int64_t)value : (int64_t)value;
        return behind + 1;
    }
    switch (*p) {
    case '"':
        return read_string(line, p + 1, field);
    case 't':
    case 'T':
    case 'f':
    case 'F':
        return read_bool(line, p, field);
    case ',':
    case ' ':
    case '\n':
    case '\r':
        return refuse(line, WR_BOOK_REJECTED_SYNTAX, p, "missing value");
    default:
        return read_number(line, p, field);
    }
}

/* -- the line -------------------------------------------------------------------------------------------------------------------- */

/* The end of a word that ends with one of the n characters of set, the backslash and the newline among them. */
WR_INLINE const char *scan_word(const char *p, const char *stop, const char *set, unsigned n) {
    for (;;) {
        p = wr_scan_any(p, stop, set, n);
        if (__builtin_expect(*p != '\\', 1))
            return p;
        p++;
        if (*p == ',' || *p == '=' || *p == ' ' || *p == '\\')
            p++;
    }
}

/* Any stamp: a sign, up to 19 digits, scaled to nanoseconds. */
static __attribute__((noinline)) const char *read_any_time(struct line *line, const char *p, int64_t *ret_ns) {
    const char *from = p;
    const bool negative = *p == '-';
    p += negative;
    uint64_t value = 0;
    const char *most = p + 19; /* 19 digits fit into 64 bits */
    while (p < most && *p >= '0' && *p <= '9')
        value = value * 10 + (unsigned)(*p++ - '0');
    if (p == from + negative || !(at_end_of_line(p) || *p == ' '))
        return refuse(line, WR_BOOK_REJECTED_TIME, from, "not a time stamp");
    int64_t scaled;
    if (value > (uint64_t)INT64_MAX ||
        __builtin_mul_overflow(negative ? -(int64_t)value : (int64_t)value, line->parser->unit_ns, &scaled) || scaled == WR_EVENT_NONE)
        return refuse(line, WR_BOOK_REJECTED_TIME, from, "time stamp out of range (is the precision right?)");
    *ret_ns = scaled;
    return p;
}

/* The 19 digits of nanoseconds between 2001 and 2262 without a loop; all others the long way. */
static inline const char *read_time(struct line *line, const char *p, int64_t *ret_ns) {
    if (line->stop - p < 20 || !wr_scan_16_digits(p) || !wr_scan_16_digits(p + 3) || !at_end_of_line(p + 19) || line->parser->unit_ns != 1)
        return read_any_time(line, p, ret_ns);
    const unsigned last = (unsigned)(p[16] - '0') * 100 + (unsigned)(p[17] - '0') * 10 + (unsigned)(p[18] - '0');
    const uint64_t value = wr_scan_digits16(p) * 1000 + last;
    if (value > (uint64_t)INT64_MAX)
        return read_any_time(line, p, ret_ns);
    *ret_ns = (int64_t)value;
    return p + 19;
}

/* The name of the nth field. Returns its equals sign. */
static inline const char *read_name(const struct line *line, const char *name, size_t n) {
    const char *p = scan_word(name, line->stop, "=\\, \n", 5);
    if (*p != '=')
        return refuse(line, WR_BOOK_REJECTED_SYNTAX, name, n == 0 && *p == '\n' ? "no fields" : "expected field=value");
    if (p == name)
        return refuse(line, WR_BOOK_REJECTED_SYNTAX, name, "missing field name");
    if (n == WR_LINE_FIELDS)
        return refuse(line, WR_BOOK_REJECTED_TOO_LONG, name, "more than 1024 fields");
    return p;
}

/* The fields; how long the name of the first one is may be known (else 0). Returns the byte behind the last one. */
static inline const char *read_fields(struct line *line, const char *p, size_t name_len, struct wr_record *record) {
    struct wr_field *fields = line->parser->fields;
    size_t n = 0;
    for (;; p++) {
        const char *name = p;
        p = name_len > 0 ? name + name_len : read_name(line, name, n);
        if (!p)
            return NULL;
        name_len = 0;
        fields[n].name = (struct wr_word){name, (size_t)(p - name)};
        p = read_value(line, p + 1, &fields[n]);
        if (!p)
            return NULL;
        n++;
        if (*p != ',')
            break;
    }
    record->fields = fields;
    record->n_fields = n;
    return p;
}

static enum wr_result split(const struct wr_record *record, const struct wr_field *field, struct wr_names *names,
                            struct wr_refusal *ret_refusal);

enum outcome { LINE_RECORD, LINE_NOTHING, LINE_REFUSED };

/* Reads one line at *at. *at moves behind the newline, but for LINE_REFUSED. */
static inline enum outcome read_line(struct line *line, const struct wr_guess *guess, const char **at, struct wr_record *record) {
    const char *p = *at;
    size_t name_len = 0;
    record->guessed = wr_guess_is_right(guess, p, line->stop);
    if (record->guessed) {
        record->origin = (struct wr_word){p, guess->origin_len};
        name_len = guess->field_len;
        p += guess->origin_len + 1;
    } else {
        p = skip_spaces(p);
        if (__builtin_expect(*p == '#' || at_end_of_line(p), 0)) {
            *at = wr_scan_any(p, line->stop, "\n", 1) + 1;
            return LINE_NOTHING;
        }
        const char *origin = p;
        p = scan_word(p, line->stop, " \\\n", 3);
        record->origin = (struct wr_word){origin, (size_t)(p - origin)};
        p = skip_spaces(p);
    }
    p = read_fields(line, p, name_len, record);
    if (!p)
        return LINE_REFUSED;
    p = skip_spaces(p);
    record->time_ns = WR_EVENT_NONE;
    if (!at_end_of_line(p)) {
        p = read_time(line, p, &record->time_ns);
        if (!p)
            return LINE_REFUSED;
        p = skip_spaces(p);
        if (!at_end_of_line(p)) {
            refuse(line, WR_BOOK_REJECTED_SYNTAX, p, "text behind the time stamp");
            return LINE_REFUSED;
        }
    }
    record->start = line->start;
    record->line = line->number;
    record->codec = line->parser;
    record->names = split;
    *at = p + 1 + (*p == '\r');
    return LINE_RECORD;
}

/* Lines in [p, stop), each with its newline. Returns how far it came. */
static enum wr_result feed_lines(struct wr_line_parser *parser, const char **at, const char *stop, uint64_t *number,
                                 const struct wr_sink *sink) {
    static const struct wr_guess none = {.len = 0};
    const struct wr_guess *guess = sink->guess ? sink->guess : &none;
    const char *p = *at;
    enum wr_result result = WR_OK;
    while (p < stop) {
        struct line line = {.parser = parser, .start = p, .stop = stop, .number = *number + 1};
        struct wr_record record;
        const char *next = p;
        parser->strings.len = 0;
        enum outcome outcome = read_line(&line, guess, &next, &record);
        if (__builtin_expect(outcome == LINE_RECORD && (size_t)(next - p) > parser->max_line_bytes, 0)) {
            refuse(&line, WR_BOOK_REJECTED_TOO_LONG, p, "line longer than max_line");
            outcome = LINE_REFUSED;
        }
        if (outcome == LINE_REFUSED) {
            next = wr_scan_any(p, stop, "\n", 1) + 1;
            sink->refused(sink->user, &parser->refusal);
        } else if (outcome == LINE_RECORD) {
            result = sink->record(sink->user, &record);
        }
        if (result != WR_OK)
            break;
        p = next;
        *number = line.number;
    }
    *at = p;
    return result;
}

enum wr_result wr_line_feed(struct wr_line_parser *parser, const char *bytes, size_t len, bool ended, uint64_t *line,
                            const struct wr_sink *sink, size_t *ret_consumed) {
    const char *newline = len > 0 ? memrchr(bytes, '\n', len) : NULL;
    const char *stop = newline ? newline + 1 : bytes;
    const char *p = bytes;
    enum wr_result result = feed_lines(parser, &p, stop, line, sink);
    *ret_consumed = (size_t)(p - bytes);
    const size_t rest = len - (size_t)(stop - bytes);
    if (result != WR_OK || !ended || rest == 0)
        return result;

    wr_buf_clear(&parser->last);
    if (wr_buf_append(&parser->last, stop, rest) != WR_OK || wr_buf_append(&parser->last, "\n", 1) != WR_OK) {
        wr_refusal_set(&parser->refusal, WR_BOOK_REJECTED_MEMORY, ++*line, stop, stop, "no memory for the last line");
        sink->refused(sink->user, &parser->refusal);
    } else {
        p = (const char *)parser->last.data;
        WR_TRY(feed_lines(parser, &p, p + rest + 1, line, sink));
    }
    *ret_consumed = len;
    return WR_OK;
}

/* -- taking measurement and tags apart: only for series that are not known yet ------------------------------------------------------ */

struct splitter {
    const struct wr_record *record;
    struct wr_names *names;
    struct wr_refusal *refusal;
};

static enum wr_result split_refuse(struct splitter *splitter, enum wr_book reason, const char *at, const char *message) {
    const char *end = splitter->record->origin.text + splitter->record->origin.len;
    char excerpt[WR_RECORD_EXCERPT_BYTES];
    if (at < end)
        wr_refusal_set(splitter->refusal, reason, splitter->record->line, splitter->record->start, at, "%s at '%s'", message,
                       wr_record_excerpt(excerpt, at, (size_t)(end - at)));
    else
        wr_refusal_set(splitter->refusal, reason, splitter->record->line, splitter->record->start, at, "%s at the end of the tags",
                       message);
    return reason == WR_BOOK_REJECTED_TOO_LONG ? WR_LIMIT : WR_INVALID;
}

/* The word [from, to) with its escapes resolved. */
static enum wr_result resolve_word(struct splitter *splitter, const char *from, const char *to, struct wr_word *ret_word) {
    if (!memchr(from, '\\', (size_t)(to - from))) {
        *ret_word = (struct wr_word){from, (size_t)(to - from)};
        return WR_OK;
    }
    struct wr_names *names = splitter->names;
    char *text = names->text + names->text_len;
    size_t len = 0;
    for (const char *p = from; p < to; p++) {
        if (*p == '\\' && p + 1 < to && (p[1] == ',' || p[1] == '=' || p[1] == ' ' || p[1] == '\\'))
            p++;
        if (names->text_len + len == sizeof names->text)
            return split_refuse(splitter, WR_BOOK_REJECTED_TOO_LONG, from, "measurement and tags are too long");
        text[len++] = *p;
    }
    names->text_len += len;
    *ret_word = (struct wr_word){text, len};
    return WR_OK;
}

/* Finds the end of a word in [p, end): a comma, or an equals sign if that ends it too, not escaped. */
static const char *word_end(const char *p, const char *end, bool at_equals) {
    for (; p < end && *p != ',' && !(at_equals && *p == '='); p++)
        if (*p == '\\' && p + 1 < end && (p[1] == ',' || p[1] == '=' || p[1] == ' ' || p[1] == '\\'))
            p++;
    return p < end ? p : end;
}

static enum wr_result split_tag(struct splitter *splitter, const char **at, const char *end) {
    struct wr_names *names = splitter->names;
    const char *name = *at;
    const char *equals = word_end(name, end, true);
    if (equals == end || *equals != '=' || equals == name)
        return split_refuse(splitter, WR_BOOK_REJECTED_SYNTAX, name, "expected tag=value");
    const char *value = equals + 1;
    const char *behind = word_end(value, end, true);
    if (behind == value)
        return split_refuse(splitter, WR_BOOK_REJECTED_SYNTAX, name, "tag without a value");
    if (behind < end && *behind == '=')
        return split_refuse(splitter, WR_BOOK_REJECTED_SYNTAX, name, "'=' in a tag value needs a backslash");
    if (names->n_tags == WR_SERIES_TAGS)
        return split_refuse(splitter, WR_BOOK_REJECTED_TOO_LONG, name, "more than 32 tags");
    struct wr_tag *tag = &names->tags[names->n_tags];
    WR_TRY(resolve_word(splitter, name, equals, &tag->name));
    WR_TRY(resolve_word(splitter, value, behind, &tag->value));
    for (size_t i = 0; i < names->n_tags; i++)
        if (names->tags[i].name.len == tag->name.len && memcmp(names->tags[i].name.text, tag->name.text, tag->name.len) == 0)
            return split_refuse(splitter, WR_BOOK_REJECTED_SYNTAX, name, "tag twice");
    names->n_tags++;
    *at = behind;
    return WR_OK;
}

static enum wr_result split(const struct wr_record *record, const struct wr_field *field, struct wr_names *names,
                            struct wr_refusal *ret_refusal) {
    struct splitter splitter = {record, names, ret_refusal};
    const char *p = record->origin.text;
    const char *end = p + record->origin.len;
    const char *comma = word_end(p, end, false);
    if (comma == p)
        return split_refuse(&splitter, WR_BOOK_REJECTED_SYNTAX, p, "missing measurement");
    WR_TRY(resolve_word(&splitter, p, comma, &names->measurement));
    WR_TRY(resolve_word(&splitter, field->name.text, field->name.text + field->name.len, &names->field));
    for (p = comma; p < end;) {
        p++;
        WR_TRY(split_tag(&splitter, &p, end));
    }
    return WR_OK;
}
