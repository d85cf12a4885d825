/* `weir explain`: what a rule says now, and why: each part of its condition with its value, what its delays wait for, and the series behind it.
 *
 * Promise: nothing changes by asking, but that windows are brought to the present time, as each timer does. Rows are bounded (WR_EXPLAIN_ROWS a rule
 * instance, WR_EXPLAIN_INSTANCES instances); what is beyond is counted.
 * Threads: the evaluator's. Ownership: the text goes into the caller's buffer.
 */
#ifndef WEIR_RULES_EXPLAIN_EXPLAIN_H
#define WEIR_RULES_EXPLAIN_EXPLAIN_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/result.h"

#define WR_EXPLAIN_ROWS 300
#define WR_EXPLAIN_INSTANCES 20

struct wr_evaluator;

/* alarm: a rule or a derived point, `rule` for all its instances, or `rule{room=A1}`. Words, or one JSON array. WR_INVALID: no such form; WR_NOT_FOUND: no such
 * rule, no such alarm; WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_explain(struct wr_evaluator *evaluator, const char *alarm, const struct wr_now *now, bool json,
                                      struct wr_buf *into, struct wr_error *err);

#endif
