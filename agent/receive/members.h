/* Members of a JSON object that is known to be well-formed: alarms, gaps and states, of which a receiver shows some members as columns.
 *
 * Threads: none; pure functions.
 */
#ifndef WEIR_AGENT_RECEIVE_MEMBERS_H
#define WEIR_AGENT_RECEIVE_MEMBERS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/series.h"

/* The value as written, strings with their quotes; false: not there, or null. */
bool wr_members_find(const char *object, size_t len, const char *name, struct wr_word *ret_value);
/* Appends a string with its escapes resolved, NUL and half surrogate pairs as U+FFFD; anything else as written. */
WR_MUST_USE enum wr_result wr_members_text(struct wr_buf *into, struct wr_word value);
/* A whole number; `otherwise` if the member is not there or is none. */
int64_t wr_members_int(const char *object, size_t len, const char *name, int64_t otherwise);
/* False if it is not there or no number. */
bool wr_members_number(const char *object, size_t len, const char *name, double *ret_value);

/* Appends text with what is no UTF-8, and NUL, as U+FFFD. */
WR_MUST_USE enum wr_result wr_members_utf8(struct wr_buf *into, const char *text, size_t len);

#endif
