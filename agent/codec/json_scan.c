#include "agent/codec/json_scan.h"

#include <stdint.h>
#include <string.h>

#include "core/scan.h"

struct wr_json_scan wr_json_scan_begin(const char *text, const char *end, bool ended) {
    return (struct wr_json_scan){.p = text, .start = text, .end = end, .ended = ended};
}

static inline bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

const char *wr_json_skip_space(const char *p, const char *end) {
    while (p < end && is_space(*p))
        p++;
    return p;
}

/* -- checking ------------------------------------------------------------------------------------------------------------------------ */

static enum wr_json_found bad(struct wr_json_scan *scan, const char *at, const char *error) {
    scan->p = at;
    scan->error = error;
    return WR_JSON_BAD;
}

/* Behind the last byte before p that is no white space: where something is missing. */
static const char *behind_last(const char *from, const char *p) {
    while (p > from && is_space(p[-1]))
        p--;
    return p;
}

static enum wr_json_found at_end(struct wr_json_scan *scan) {
    return scan->ended ? bad(scan, behind_last(scan->start, scan->end), "unexpected end") : WR_JSON_INCOMPLETE;
}

static bool is_hex(char c) {
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* Over what needs no attention inside of a string: everything but quotes, backslashes and control characters. */
static const char *skip_plain(const char *p, const char *end) {
#if WR_SCAN_SSE2
    for (; end - p >= 16; p += 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
        const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1F)), bytes);
        const __m128i found = _mm_or_si128(control, _mm_or_si128(wr_scan_equal(bytes, '"'), wr_scan_equal(bytes, '\\')));
        const unsigned mask = (unsigned)_mm_movemask_epi8(found);
        if (mask != 0)
            return p + __builtin_ctz(mask);
    }
#endif
    while (p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20)
        p++;
    return p;
}

static enum wr_json_found check_string(struct wr_json_scan *scan) {
    const char *p = scan->p + 1;
    for (;; p++) {
        p = skip_plain(p, scan->end);
        if (p == scan->end)
            return at_end(scan);
        if (*p == '"')
            break;
        if (*p != '\\')
            return bad(scan, p, "control character in a string");
        p++;
        if (p == scan->end)
            return at_end(scan);
        if (*p == 'u') {
            for (int i = 0; i < 4; i++) {
                p++;
                if (p == scan->end)
                    return at_end(scan);
                if (!is_hex(*p))
                    return bad(scan, p, "expected four hexadecimal digits");
            }
        } else if (*p == '\0' || !strchr("\"\\/bfnrt", *p)) {
            return bad(scan, p - 1, "unknown escape");
        }
    }
    scan->p = p + 1;
    return WR_JSON_FOUND;
}

static const char *skip_digits(const char *p, const char *end) {
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

static enum wr_json_found check_number(struct wr_json_scan *scan) {
    const char *end = scan->end;
    const char *p = scan->p + (*scan->p == '-');
    const char *digits = p;
    p = skip_digits(p, end);
    bool good = p > digits && (*digits != '0' || p == digits + 1);
    if (good && p < end && *p == '.') {
        digits = p + 1;
        p = skip_digits(digits, end);
        good = p > digits;
    }
    if (good && p < end && (*p == 'e' || *p == 'E')) {
        p++;
        p += p < end && (*p == '+' || *p == '-');
        digits = p;
        p = skip_digits(p, end);
        good = p > digits;
    }
    if (p == end && !scan->ended)
        return WR_JSON_INCOMPLETE;
    if (!good)
        return bad(scan, scan->p, "not a number");
    scan->p = p;
    return WR_JSON_FOUND;
}

static enum wr_json_found check_word(struct wr_json_scan *scan, const char *word) {
    for (const char *p = scan->p;; p++, word++) {
        if (*word == '\0') {
            scan->p = p;
            return WR_JSON_FOUND;
        }
        if (p == scan->end)
            return at_end(scan);
        if (*p != *word)
            return bad(scan, scan->p, "not a value");
    }
}

static enum wr_json_found check_scalar(struct wr_json_scan *scan) {
    switch (*scan->p) {
    case '"':
        return check_string(scan);
    case 't':
        return check_word(scan, "true");
    case 'f':
        return check_word(scan, "false");
    case 'n':
        return check_word(scan, "null");
    default:
        return *scan->p == '-' || (*scan->p >= '0' && *scan->p <= '9') ? check_number(scan) : bad(scan, scan->p, "not a value");
    }
}

/* "name" : */
static enum wr_json_found check_name(struct wr_json_scan *scan, struct wr_word *ret_name) {
    scan->p = wr_json_skip_space(scan->p, scan->end);
    if (scan->p == scan->end)
        return at_end(scan);
    if (*scan->p != '"')
        return bad(scan, scan->p, "expected a name in quotes");
    const char *from = scan->p;
    enum wr_json_found found = check_string(scan);
    if (found != WR_JSON_FOUND)
        return found;
    *ret_name = (struct wr_word){from, (size_t)(scan->p - from)};
    scan->p = wr_json_skip_space(scan->p, scan->end);
    if (scan->p == scan->end)
        return at_end(scan);
    if (*scan->p != ':')
        return bad(scan, scan->p, "expected ':'");
    scan->p++;
    return WR_JSON_FOUND;
}

/* Behind a value inside of a container: a comma, or its end, which is a token (*ret_closed). */
static inline enum wr_json_found check_next(struct wr_json_scan *scan, const char *behind, bool *ret_closed) {
    const bool object = scan->open[scan->depth - 1] == '{';
    *ret_closed = *scan->p == (object ? '}' : ']');
    if (*ret_closed || scan->opened)
        return WR_JSON_FOUND;
    if (*scan->p != ',') /* told where the line before ends, if that is where it is missing */
        return bad(scan, memchr(behind, '\n', (size_t)(scan->p - behind)) ? behind : scan->p,
                   object ? "expected ',' or '}'" : "expected ',' or ']'");
    scan->p++;
    return WR_JSON_FOUND;
}

/* The containers that are open stand in a small array, so that no input can make us recurse. */
WR_INLINE enum wr_json_found next_token(struct wr_json_scan *scan, struct wr_json_token *token) {
    const char *behind = scan->p;
    enum wr_json_found found;
    scan->p = wr_json_skip_space(scan->p, scan->end);
    if (scan->p == scan->end)
        return at_end(scan);
    token->name = (struct wr_word){NULL, 0};
    if (scan->depth > 0) {
        bool closed;
        if ((found = check_next(scan, behind, &closed)) != WR_JSON_FOUND)
            return found;
        scan->opened = false;
        if (closed) {
            token->kind = WR_JSON_CLOSE;
            token->word = (struct wr_word){scan->p++, 1};
            scan->depth--;
            return WR_JSON_FOUND;
        }
        if (scan->open[scan->depth - 1] == '{' && (found = check_name(scan, &token->name)) != WR_JSON_FOUND)
            return found;
        scan->p = wr_json_skip_space(scan->p, scan->end);
        if (scan->p == scan->end)
            return at_end(scan);
    }
    token->word = (struct wr_word){scan->p, 1};
    if (*scan->p == '{' || *scan->p == '[') {
        if (scan->depth == WR_JSON_PARSE_DEPTH)
            return bad(scan, scan->p, "nested deeper than 32 levels");
        token->kind = WR_JSON_OPEN;
        scan->open[scan->depth++] = *scan->p++;
        scan->opened = true;
        return WR_JSON_FOUND;
    }
    token->kind = WR_JSON_SCALAR;
    found = check_scalar(scan);
    token->word.len = (size_t)(scan->p - token->word.text);
    return found;
}

enum wr_json_found wr_json_scan_token(struct wr_json_scan *scan, struct wr_json_token *ret_token) {
    return next_token(scan, ret_token);
}

enum wr_json_found wr_json_scan_scalar(struct wr_json_scan *scan, struct wr_word *ret_word) {
    const char *from = scan->p;
    if (from == scan->end)
        return at_end(scan);
    enum wr_json_found found = check_scalar(scan);
    *ret_word = (struct wr_word){from, (size_t)(scan->p - from)};
    return found;
}

static enum wr_json_found check(struct wr_json_scan *scan) {
    struct wr_json_token token;
    enum wr_json_found found;
    do
        found = next_token(scan, &token);
    while (found == WR_JSON_FOUND && scan->depth > 0);
    return found;
}

enum wr_json_found wr_json_scan_check(struct wr_json_scan *scan, struct wr_word *ret_word) {
    scan->p = wr_json_skip_space(scan->p, scan->end);
    const char *from = scan->p;
    enum wr_json_found found = check(scan);
    *ret_word = (struct wr_word){from, (size_t)(scan->p - from)};
    return found;
}

_Static_assert(WR_JSON_PARSE_DEPTH <= 32, "a bit a level");

bool wr_json_scan_progress(struct wr_json_progress *progress, const char *bytes, size_t len) {
    struct wr_json_scan scan = wr_json_scan_begin(bytes, bytes + len, false);
    scan.p = bytes + progress->at;
    scan.depth = progress->depth;
    scan.opened = progress->opened;
    for (unsigned i = 0; i < scan.depth; i++)
        scan.open[i] = progress->lists >> i & 1 ? '[' : '{';
    for (;;) {
        struct wr_json_token token;
        const enum wr_json_found found = next_token(&scan, &token);
        if (found != WR_JSON_FOUND)
            return found == WR_JSON_BAD && memchr(bytes, '\n', len);
        if (token.kind == WR_JSON_OPEN) {
            const uint32_t bit = UINT32_C(1) << (scan.depth - 1);
            progress->lists = *token.word.text == '[' ? progress->lists | bit : progress->lists & ~bit;
        }
        progress->at = (uint32_t)(scan.p - bytes);
        progress->depth = (uint8_t)scan.depth;
        progress->opened = scan.opened;
        if (scan.depth == 0)
            return true;
    }
}

/* -- walking what was checked -------------------------------------------------------------------------------------------------------- */

/* Behind the string at p. */
static const char *skip_string(const char *p, const char *end) {
    p = wr_scan_any(p + 1, end, "\"\\", 2);
    while (p + 1 < end && *p == '\\')
        p = wr_scan_any(p + 2, end, "\"\\", 2);
    return p < end ? p + 1 : end;
}

static const char *skip_container(const char *p, const char *end) {
    unsigned depth = 0;
    while (p < end) {
        if (*p == '"') {
            p = skip_string(p, end);
            continue;
        }
        depth += *p == '{' || *p == '[';
        depth -= *p == '}' || *p == ']';
        p++;
        if (depth == 0)
            break;
    }
    return p;
}

static const char *skip_value(const char *p, const char *end) {
    if (p == end)
        return end;
    if (*p == '"')
        return skip_string(p, end);
    if (*p == '{' || *p == '[')
        return skip_container(p, end);
    while (p < end && !is_space(*p) && *p != ',' && *p != '}' && *p != ']')
        p++;
    return p;
}

bool wr_json_scan_enter(struct wr_json_scan *scan) {
    scan->p = wr_json_skip_space(scan->p, scan->end);
    if (scan->p == scan->end)
        return false;
    scan->p = wr_json_skip_space(scan->p + 1, scan->end);
    return scan->p < scan->end && *scan->p != '}' && *scan->p != ']';
}

bool wr_json_scan_member(struct wr_json_scan *scan, struct wr_word *ret_name) {
    scan->p = wr_json_skip_space(scan->p, scan->end);
    if (scan->p == scan->end || *scan->p != '"')
        return false;
    const char *from = scan->p;
    scan->p = skip_string(from, scan->end);
    *ret_name = (struct wr_word){from, (size_t)(scan->p - from)};
    scan->p = wr_json_skip_space(scan->p, scan->end);
    scan->p += scan->p < scan->end; /* the colon */
    return true;
}

bool wr_json_scan_value(struct wr_json_scan *scan, struct wr_word *ret_value) {
    scan->p = wr_json_skip_space(scan->p, scan->end);
    if (scan->p == scan->end || *scan->p == ']' || *scan->p == '}')
        return false;
    const char *from = scan->p;
    scan->p = skip_value(from, scan->end);
    *ret_value = (struct wr_word){from, (size_t)(scan->p - from)};
    scan->p = wr_json_skip_space(scan->p, scan->end);
    if (scan->p < scan->end && *scan->p == ',')
        scan->p++;
    return true;
}

/* -- strings ------------------------------------------------------------------------------------------------------------------------- */

static unsigned hex4(const char *p) {
    unsigned value = 0;
    for (int i = 0; i < 4; i++)
        value = value << 4 | (unsigned)(p[i] <= '9' ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
    return value;
}

static size_t put_utf8(unsigned code, char *into) {
    if (code < 0x80) {
        into[0] = (char)code;
        return 1;
    }
    const unsigned tails = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char leads[] = {0, 0xC0, 0xE0, 0xF0};
    for (unsigned i = tails; i > 0; i--) {
        into[i] = (char)(0x80 | (code & 0x3F));
        code >>= 6;
    }
    into[0] = (char)(leads[tails] | code);
    return tails + 1;
}

const char *wr_json_unescape(const char *text, size_t len, char *into, size_t *ret_len) {
    const char *end = text + len;
    char *out = into;
    for (const char *p = text; p < end; p++) {
        if (*p != '\\') {
            *out++ = *p;
            continue;
        }
        const char *escape = p++;
        static const char letters[] = "bfnrt";
        static const char meanings[] = "\b\f\n\r\t";
        if (*p != 'u') {
            const char *letter = strchr(letters, *p);
            *out++ = letter ? meanings[letter - letters] : *p;
            continue;
        }
        unsigned code = hex4(p + 1);
        p += 4;
        if (code >= 0xDC00 && code < 0xE000)
            return escape;
        if (code >= 0xD800 && code < 0xDC00) {
            if (end - p <= 6 || p[1] != '\\' || p[2] != 'u')
                return escape;
            const unsigned low = hex4(p + 3);
            if (low < 0xDC00 || low >= 0xE000)
                return escape;
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
            p += 6;
        }
        out += put_utf8(code, out);
    }
    *ret_len = (size_t)(out - into);
    return NULL;
}

size_t wr_json_compact(const char *text, size_t len, char *into) {
    const char *end = text + len;
    char *out = into;
    for (const char *p = text; p < end;) {
        const char *behind = *p == '"' ? skip_string(p, end) : p + 1;
        if (!is_space(*p)) {
            memcpy(out, p, (size_t)(behind - p));
            out += behind - p;
        }
        p = behind;
    }
    return (size_t)(out - into);
}
