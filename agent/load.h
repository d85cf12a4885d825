/* A config with its rules, read and checked whole: what run, check and a reload begin with.
 *
 * Promise: all errors and warnings of all files at once, rendered; nothing is left behind when there are errors.
 * Threads: any. Ownership: config and rules are the caller's.
 */
#ifndef WEIR_AGENT_LOAD_H
#define WEIR_AGENT_LOAD_H

#include <stdbool.h>

#include "agent/config.h"
#include "core/buf.h"
#include "core/result.h"
#include "rules/ruleset.h"

struct wr_loaded {
    struct wr_config *config;
    struct wr_ruleset *rules;
    size_t warnings;
};

/* problems: errors and warnings as text or JSON, empty when there are none. WR_INVALID: errors; anything else in err. */
WR_MUST_USE enum wr_result wr_load(const char *file, bool json, struct wr_loaded *ret_loaded, struct wr_buf *problems, struct wr_error *err);

#endif
