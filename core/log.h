/* The log: one line per event, logfmt or JSON, on a descriptor (stderr), rate-limited per call site.
 *
 * Promise: a line is written with one write(2), never interleaved, never blocks longer than that, never allocates, and its values are
 * escaped: nothing from outside can forge a line. A call site may log WR_LOG_BURST lines at once, and as many in WR_LOG_WINDOW_S seconds,
 * evenly; what it logs beyond that is held back, and its next line carries suppressed=N. Secrets are never passed here.
 * Law: only agent/ logs above debug: one failure, one line.
 * Threads: any. Limits: a line of at most WR_LOG_LINE_BYTES bytes, cut with "...".
 *
 * Use: WR_LOG(WR_LOG_INFO, "line", "ready");
 *      WR_LOG_WITH(WR_LOG_INFO, "line", "client connected", WR_LOG_STR("peer", peer), WR_LOG_INT("clients", n));
 */
#ifndef WEIR_CORE_LOG_H
#define WEIR_CORE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/limiter.h"
#include "core/result.h"

#define WR_LOG_LINE_BYTES 2048
#define WR_LOG_BURST 10
#define WR_LOG_WINDOW_S 10

enum wr_log_level { WR_LOG_DEBUG, WR_LOG_INFO, WR_LOG_WARN, WR_LOG_ERROR };
enum wr_log_format { WR_LOG_LOGFMT, WR_LOG_JSON };

struct wr_log_value {
    const char *name;
    enum { WR_LOG_VALUE_TEXT, WR_LOG_VALUE_INT, WR_LOG_VALUE_DOUBLE } kind;
    const char *text;
    int64_t integer;
    double number;
};

/* One per call site, zero at start. */
struct wr_log_site {
    struct wr_limiter limiter;
    _Atomic uint32_t suppressed;
};

#define WR_LOG_STR(name, value) ((struct wr_log_value){(name), WR_LOG_VALUE_TEXT, (value), 0, 0})
#define WR_LOG_INT(name, value) ((struct wr_log_value){(name), WR_LOG_VALUE_INT, NULL, (int64_t)(value), 0})
#define WR_LOG_NUM(name, value) ((struct wr_log_value){(name), WR_LOG_VALUE_DOUBLE, NULL, 0, (value)})
#define WR_LOG_ERR(err) ((struct wr_log_value){"error", WR_LOG_VALUE_TEXT, (err)->text, 0, 0})

#define WR_LOG(level, component, message)                                             \
    do {                                                                              \
        static struct wr_log_site wr_log_site_;                                       \
        wr_log_write(&wr_log_site_, (level), (component), (message), NULL, 0);        \
    } while (0)

#define WR_LOG_WITH(level, component, message, ...)                                   \
    do {                                                                              \
        static struct wr_log_site wr_log_site_;                                       \
        const struct wr_log_value wr_log_values_[] = {__VA_ARGS__};                   \
        wr_log_write(&wr_log_site_, (level), (component), (message), wr_log_values_,  \
                     sizeof wr_log_values_ / sizeof wr_log_values_[0]);               \
    } while (0)

/* Process-wide; call before other threads start. Default: info, logfmt, descriptor 2. */
void wr_log_configure(enum wr_log_level level, enum wr_log_format format, int fd);
bool wr_log_enabled(enum wr_log_level level);
/* Lines of this level so far, those that were silenced too. Threads: any. */
uint64_t wr_log_count(enum wr_log_level level);
WR_MUST_USE enum wr_result wr_log_level_parse(const char *text, enum wr_log_level *ret_level, struct wr_error *err);

/* What the macros call. Without a site (NULL) the line is never silenced: for the action `log`, whose alarms must all be seen. */
void wr_log_write(struct wr_log_site *site, enum wr_log_level level, const char *component, const char *message,
                  const struct wr_log_value *values, size_t n);

#endif
