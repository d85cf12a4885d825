/* A config with its rules, read and checked whole: what run, check and a reload begin with.
 *
 * Promise: all errors and warnings of all files at once, rendered; nothing is left behind when there are errors.
 * Threads: any. Ownership: config and rules are the caller's.
 */
#ifndef WEIR_AGENT_CONFIG_LOAD_H
#define WEIR_AGENT_CONFIG_LOAD_H

#include "agent/config/config.h"
#include "core/buf.h"
#include "core/result.h"
#include "rules/compile/ruleset.h"

struct wr_loaded {
    struct wr_config *config; /* NULL: rule files alone */
    struct wr_ruleset *rules;
    struct wr_ruleset *shadow; /* by wr_load_shadow; NULL: none was asked for, or there is none */
    size_t warnings;
};

/* problems: errors and warnings; as text it is empty when there are none. WR_INVALID: errors; anything else in err. */
WR_MUST_USE enum wr_result wr_load(const char *file, enum wr_diagnostics_format format, struct wr_loaded *ret_loaded,
                                   struct wr_buf *problems, struct wr_error *err);
/* The same with the rules of this directory in place of the bundle in force (agent/remote/); NULL: that one; "": none. */
WR_MUST_USE enum wr_result wr_load_with(const char *file, const char *bundle, enum wr_diagnostics_format format,
                                        struct wr_loaded *ret_loaded, struct wr_buf *problems, struct wr_error *err);
/* The rules that are to run in the shadow of a config: its shadow_rules (or its rules), with the bundle in the shadow (or the one in force; *ret_version: the former's, or 0).
 * problems as above. WR_NOT_FOUND: neither is there; WR_INVALID: errors, which are no matter to the rules in force. */
WR_MUST_USE enum wr_result wr_load_shadow(const struct wr_config *config, enum wr_diagnostics_format format, struct wr_ruleset **ret_rules,
                                          uint64_t *ret_version, struct wr_buf *problems, struct wr_error *err);
/* The same for rule files without an agent: what a config would have to allow is taken for allowed, and nothing is built in. */
WR_MUST_USE enum wr_result wr_load_rules(const char *const *files, size_t n, enum wr_diagnostics_format format,
                                         struct wr_loaded *ret_loaded, struct wr_buf *problems, struct wr_error *err);
/* A number for what was loaded: the bytes of the config's file, of its rule files in their order, and of their tables. Never 0. */
uint64_t wr_running_hash(const struct wr_config *config, const struct wr_ruleset *rules);
/* Frees both. */
void wr_loaded_fini(struct wr_loaded *loaded);

#endif
