/* Results and error texts.
 *
 * Every function that can fail returns an enum wr_result that the compiler does not let the caller drop. The detail goes into a
 * fixed error buffer that the caller passes (or NULL), and is wrapped with context on the way up: no allocation on an error path.
 *
 * Threads: a wr_error belongs to its caller; the functions touch nothing else.
 * Limits: a text longer than WR_ERROR_TEXT_BYTES is cut at its end.
 */
#ifndef WEIR_CORE_RESULT_H
#define WEIR_CORE_RESULT_H

#include <stddef.h>

#define WR_MUST_USE __attribute__((warn_unused_result))
#define WR_PRINTF(text_at, first) __attribute__((format(printf, text_at, first)))
#define WR_ERROR_TEXT_BYTES 512

enum wr_result {
    WR_OK = 0,
    WR_NO_MEMORY,   /* an allocation failed */
    WR_INVALID,     /* input from outside does not have the form it must have */
    WR_LIMIT,       /* a configured or documented limit is reached */
    WR_NOT_FOUND,   /* no such thing */
    WR_EXISTS,      /* there is one already */
    WR_FULL,        /* no room now; try later or apply the policy */
    WR_EMPTY,       /* nothing there now */
    WR_CLOSED,      /* the other side is closed, or the end of the input is reached */
    WR_TIMEOUT,     /* the deadline passed */
    WR_CANCELED,    /* the context was cancelled */
    WR_BUSY,        /* somebody else owns it */
    WR_DENIED,      /* not allowed */
    WR_IO,          /* the operating system or a device refused */
    WR_CORRUPT,     /* stored data is damaged */
    WR_UNSUPPORTED, /* known, but not available here */
    WR_PROTOCOL,    /* the peer broke its protocol */
};

struct wr_error {
    enum wr_result code;
    char text[WR_ERROR_TEXT_BYTES];
};

/* The short name of a result, for logs: "no memory", "invalid", ... Never NULL. */
const char *wr_result_name(enum wr_result code);

/* Sets code and text, returns code, so that a failure is one line: return wr_error_set(err, WR_INVALID, "..."). err may be NULL. */
enum wr_result wr_error_set(struct wr_error *err, enum wr_result code, const char *format, ...) WR_PRINTF(3, 4);

/* Puts "context: " before the text and returns the code it holds. err may be NULL (then WR_IO). */
enum wr_result wr_error_wrap(struct wr_error *err, const char *format, ...) WR_PRINTF(2, 3);

/* Copies text to into[size] for display: control and non-UTF-8 bytes escaped as \xNN, cut to fit with "..." at the end. Returns into. */
char *wr_error_escape(char *into, size_t size, const char *text, size_t len);

/* Returns the failure of an expression to the caller at once. Only where nothing needs cleaning up. */
#define WR_TRY(expression)                     \
    do {                                       \
        enum wr_result wr_try_ = (expression); \
        if (wr_try_ != WR_OK)                  \
            return wr_try_;                    \
    } while (0)

#endif
