/* An operator's command as JSON: {"alarm": "warm{room=A1}", "by": "ana", "why": "...", "for": "2h" or "until": "2026-03-02T16:00:00Z", "key": "..."}.
 *
 * Promise: one flat object of strings, each member once, nothing else in it or behind it; texts are UTF-8 without control characters and are never cut:
 * what a text is too long for is refused. `alarm` and `by` are needed; key makes it safe to say again.
 * Threads: none. Source: RFC 8259.
 */
#ifndef WEIR_AGENT_CONTROL_ORDER_JSON_H
#define WEIR_AGENT_CONTROL_ORDER_JSON_H

#include <stddef.h>

#include "agent/control/orders.h"
#include "core/series.h"

/* Fills in an order whose rest is zero: one whose verb is set, or else the object must have that too ("verb": "ack"). WR_INVALID, with what to mend in err; WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_order_from_json(struct wr_order *order, const char *text, size_t len, struct wr_error *err);
/* A checked JSON value that must be such a text, into text[size]; name is what errors call it. WR_INVALID. */
WR_MUST_USE enum wr_result wr_order_json_text(struct wr_word value, const char *name, char *text, size_t size, struct wr_error *err);

#endif
