/* The codes of all diagnostics with what they say and what to do: the tables of docs/diagnostics.md, which is their only source
 * (rules/diagnostics/diagnostic_codes.awk reads it when the agent is built).
 *
 * Threads: any. Ownership: static.
 */
#ifndef WEIR_RULES_DIAGNOSTICS_DIAGNOSTIC_CODES_H
#define WEIR_RULES_DIAGNOSTICS_DIAGNOSTIC_CODES_H

#include <stddef.h>

#include "core/buf.h"

struct wr_diagnostic_code {
    unsigned code;
    const char *summary; /* what it says */
    const char *advice;  /* what to do; empty: the page says nothing more */
    const char *section; /* the heading that it stands under */
    const char *anchor;  /* of that heading */
};

extern const struct wr_diagnostic_code wr_diagnostic_codes[];
extern const size_t wr_diagnostic_codes_n;

/* NULL: the page does not know it. */
const struct wr_diagnostic_code *wr_diagnostic_codes_find(unsigned code);
/* The address of the page at that section; code may be NULL: the page. */
WR_MUST_USE enum wr_result wr_diagnostic_codes_address(const struct wr_diagnostic_code *code, struct wr_buf *into);

#endif
