/* The rule files that words of a command line name: files as they are, folders with all *.yaml and *.yml in them and below, by name, but for
 * what is something else: configs of agents, test files of promtool, manifests of Kubernetes.
 *
 * Threads: one. Ownership: caller's memory, init is all zero. Limits: WR_RULE_FILES_MAX files, folders WR_RULE_FILES_DEEP deep; hidden ones are left out.
 */
#ifndef WEIR_AGENT_COMMANDS_RULE_FILES_H
#define WEIR_AGENT_COMMANDS_RULE_FILES_H

#include <stddef.h>

#include "core/result.h"

#define WR_RULE_FILES_MAX 10000
#define WR_RULE_FILES_DEEP 8

struct wr_rule_files {
    char **files; /* in order; texts of its own */
    size_t n;
    size_t cap;
};

/* WR_NOT_FOUND: there is no such file or folder, or no rule file in the folder; WR_IO, WR_LIMIT, WR_NO_MEMORY. What was added before stays. */
WR_MUST_USE enum wr_result wr_rule_files_add(struct wr_rule_files *files, const char *path, struct wr_error *err);
void wr_rule_files_fini(struct wr_rule_files *files);

#endif
