/* The generated parts of docs/rules-reference.md: what may stand in a rule file, from the schema; all functions, from their table. A unit test compares.
 *
 * Threads: none; pure.
 */
#ifndef WEIR_RULES_COMPILE_RULE_REFERENCE_H
#define WEIR_RULES_COMPILE_RULE_REFERENCE_H

#include "core/buf.h"
#include "core/result.h"

/* Tables in Markdown, one a section. */
WR_MUST_USE enum wr_result wr_rule_reference_keys(struct wr_buf *into);
WR_MUST_USE enum wr_result wr_rule_reference_functions(struct wr_buf *into);

#endif
