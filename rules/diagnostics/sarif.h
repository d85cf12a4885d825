/* Diagnostics as SARIF, the format in which code hosts take findings and show them beside the lines of a change.
 *
 * Promise: one run with the codes that occur as its rules, each with its address in the documentation, and a result a finding; columns count characters. Text
 * comes escaped from the list.
 * Threads: one at a time. Source: SARIF 2.1.0 (OASIS, 2020), and what GitHub's code scanning asks beyond it: a start line in each result.
 */
#ifndef WEIR_RULES_DIAGNOSTICS_SARIF_H
#define WEIR_RULES_DIAGNOSTICS_SARIF_H

#include "rules/diagnostics/diagnostics.h"

/* In the order of the list. */
WR_MUST_USE enum wr_result wr_sarif_render(const struct wr_diagnostics *diagnostics, struct wr_buf *into);

#endif
