/* Quantities as people write them: every duration, size and rate carries its unit.
 *
 * Threads: none; pure functions. Errors: WR_INVALID with a text that says what is accepted ("'5' has no unit: write 5s, 5m or 5h").
 */
#ifndef WEIR_CORE_QUANTITY_H
#define WEIR_CORE_QUANTITY_H

#include <stddef.h>
#include <stdint.h>

#include "core/result.h"

/* "250ms", "5s", "1m30s", "2h", "7d", also "us" and "ns"; "0" alone is zero. Not negative. */
WR_MUST_USE enum wr_result wr_quantity_duration(const char *text, int64_t *ret_ns, struct wr_error *err);
/* "64MB" (10^6), "1MiB" (2^20), "512kB", "4KB", "100B". Not negative. */
WR_MUST_USE enum wr_result wr_quantity_size(const char *text, uint64_t *ret_bytes, struct wr_error *err);

/* The shortest form that reads back: 90000000000 -> "1m30s". Returns text. */
char *wr_quantity_format_duration(char *text, size_t size, int64_t ns);
/* For people, one decimal: "12.4 MB". Returns text. */
char *wr_quantity_format_size(char *text, size_t size, uint64_t bytes);

#endif
