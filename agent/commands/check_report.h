/* What `weir check` says about a config, or rule files, without errors: what will run and what it takes.
 *
 * Threads: one. Ownership: reads what it is given.
 */
#ifndef WEIR_AGENT_COMMANDS_CHECK_REPORT_H
#define WEIR_AGENT_COMMANDS_CHECK_REPORT_H

#include "agent/config/load.h"

struct wr_check_report {
    const struct wr_loaded *loaded;
    const char *first_file; /* of rule files without a config, as n_files */
    size_t n_files;
};

WR_MUST_USE enum wr_result wr_check_report_text(const struct wr_check_report *report, struct wr_buf *into);
/* problems: the warnings as JSON. */
WR_MUST_USE enum wr_result wr_check_report_json(const struct wr_check_report *report, const struct wr_buf *problems, struct wr_buf *into);

#endif
