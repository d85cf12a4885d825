#include "core/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/json.h"
#include "core/utf8.h"

static _Atomic int least_level = WR_LOG_INFO;
static _Atomic int line_format = WR_LOG_LOGFMT;
static _Atomic int descriptor = STDERR_FILENO;

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static _Atomic uint64_t counts[WR_LOG_ERROR + 1];

void wr_log_configure(enum wr_log_level level, enum wr_log_format format, int fd) {
    atomic_store(&least_level, (int)level);
    atomic_store(&line_format, (int)format);
    atomic_store(&descriptor, fd);
}

bool wr_log_enabled(enum wr_log_level level) {
    return (int)level >= atomic_load_explicit(&least_level, memory_order_relaxed);
}

enum wr_result wr_log_level_parse(const char *text, enum wr_log_level *ret_level, struct wr_error *err) {
    for (enum wr_log_level level = WR_LOG_DEBUG; level <= WR_LOG_ERROR; level++)
        if (strcmp(text, level_names[level]) == 0) {
            *ret_level = level;
            return WR_OK;
        }
    char shown[64];
    return wr_error_set(err, WR_INVALID, "'%s' is no log level: write debug, info, warn or error",
                        wr_error_escape(shown, sizeof shown, text, strlen(text)));
}

/* What is always kept free for the end of a line: dots, quote, suppressed=N, brace, newline. */
#define TAIL_BYTES 48

struct line {
    char text[WR_LOG_LINE_BYTES];
    size_t len;
    bool json;
    bool cut; /* something did not fit: nothing more is written but the tail */
};

static bool fits(const struct line *line, size_t more) {
    return line->len + more <= sizeof line->text - TAIL_BYTES;
}

/* Only for what is known to fit: the tail, and what was asked for with fits(). */
static void put(struct line *line, const char *text, size_t len) {
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

/* One character of a value, safe inside quotes of either format. Returns the bytes taken from text. */
static size_t put_character(struct line *line, const char *text, size_t len) {
    char escaped[8];
    size_t n = wr_utf8_length(text, len);
    unsigned char first = (unsigned char)text[0];
    if (n == 0) {
        put(line, "\xEF\xBF\xBD", 3); /* U+FFFD */
        return 1;
    }
    bool control = first < 0x20 || first == 0x7F;
    bool control_c1 = n == 2 && first == 0xC2 && (unsigned char)text[1] < 0xA0;
    if (first == '"' || first == '\\') {
        put(line, "\\", 1);
        put(line, text, 1);
    } else if (first == '\n' || first == '\t' || first == '\r') {
        put(line, first == '\n' ? "\\n" : first == '\t' ? "\\t" : "\\r", 2);
    } else if (control || control_c1) {
        unsigned code = control ? first : (unsigned char)text[1];
        put(line, escaped, (size_t)snprintf(escaped, sizeof escaped, "\\u%04x", code));
    } else {
        put(line, text, n);
    }
    return n;
}

static bool needs_quotes(const char *text) {
    if (*text == '\0')
        return true;
    for (; *text != '\0'; text++)
        if ((unsigned char)*text <= ' ' || (unsigned char)*text >= 0x7F || strchr("=\"\\", *text))
            return true;
    return false;
}

static void put_text(struct line *line, const char *text) {
    bool quotes = line->json || needs_quotes(text);
    if (quotes)
        put(line, "\"", 1);
    for (size_t len = strlen(text), at = 0; at < len;) {
        if (!fits(line, 6)) {
            put(line, "...", 3);
            line->cut = true;
            break;
        }
        at += put_character(line, text + at, len - at);
    }
    if (quotes)
        put(line, "\"", 1);
}

/* `name=` or `"name":`, with what parts it from the field before. False: there is no room for it. */
static bool put_name(struct line *line, const char *name) {
    size_t len = strlen(name);
    if (line->cut || !fits(line, len + 16)) {
        line->cut = true;
        return false;
    }
    if (line->len > 0)
        put(line, line->json ? "," : " ", 1);
    else if (line->json)
        put(line, "{", 1);
    if (line->json)
        put(line, "\"", 1);
    put(line, name, len);
    put(line, line->json ? "\":" : "=", line->json ? 2 : 1);
    return true;
}

static void put_field(struct line *line, const char *name, const char *text) {
    if (put_name(line, name))
        put_text(line, text ? text : "");
}

static void put_value(struct line *line, const struct wr_log_value *value) {
    char number[32];
    if (value->kind == WR_LOG_VALUE_TEXT) {
        put_field(line, value->name, value->text);
        return;
    }
    if (!put_name(line, value->name))
        return;
    size_t len = value->kind == WR_LOG_VALUE_INT ? (size_t)snprintf(number, sizeof number, "%lld", (long long)value->integer)
                                                 : wr_json_format_double(number, value->number);
    if (fits(line, len))
        put(line, number, len);
    else
        put(line, "null", 4);
}

/* The tail was kept free. */
static void put_end(struct line *line, uint32_t suppressed) {
    char number[32];
    if (suppressed > 0)
        put(line, number,
            (size_t)snprintf(number, sizeof number, line->json ? ",\"suppressed\":%u" : " suppressed=%u", (unsigned)suppressed));
    if (line->json)
        put(line, "}", 1);
    put(line, "\n", 1);
}

/* False: silence. */
static bool may_speak(struct wr_log_site *site, int64_t now_ns, uint32_t *ret_suppressed) {
    static const struct wr_limiter_rate rate = {WR_LOG_BURST, WR_LOG_BURST, WR_LOG_WINDOW_S * WR_NS_PER_S};
    if (!wr_limiter_take(&site->limiter, &rate, 1, now_ns)) {
        atomic_fetch_add_explicit(&site->suppressed, 1, memory_order_relaxed);
        return false;
    }
    *ret_suppressed = atomic_exchange_explicit(&site->suppressed, 0, memory_order_relaxed);
    return true;
}

uint64_t wr_log_count(enum wr_log_level level) {
    return atomic_load_explicit(&counts[level], memory_order_relaxed);
}

void wr_log_write(struct wr_log_site *site, enum wr_log_level level, const char *component, const char *message,
                  const struct wr_log_value *values, size_t n) {
    uint32_t suppressed = 0;
    const struct wr_clock *clock = wr_clock_real();
    if (!wr_log_enabled(level))
        return;
    atomic_fetch_add_explicit(&counts[level], 1, memory_order_relaxed);
    if (site && !may_speak(site, wr_clock_boot_ns(clock), &suppressed))
        return;
    int errno_before = errno;
    struct line line;
    line.len = 0;
    line.json = atomic_load_explicit(&line_format, memory_order_relaxed) == WR_LOG_JSON;
    line.cut = false;
    char time[32];
    put_field(&line, "time", wr_clock_format(time, sizeof time, wr_clock_wall_ns(clock)));
    put_field(&line, "level", level_names[level]);
    put_field(&line, "component", component);
    put_field(&line, "msg", message);
    for (size_t i = 0; i < n; i++)
        put_value(&line, &values[i]);
    put_end(&line, suppressed);
    /* One attempt: when nobody takes the log, the agent's work goes on. */
    ssize_t written = write(atomic_load_explicit(&descriptor, memory_order_relaxed), line.text, line.len);
    (void)written;
    errno = errno_before;
}
