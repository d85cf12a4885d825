/* What a new config changes: for a reload that touches only what differs.
 *
 * Promise: sources and windows are compared by name, everything in them counted, files that a glob finds and limits that apply to them
 * included. A difference in node, store, control or the sizes of shared tables cannot be applied to a running agent: then there is no diff
 * but a reason. Rule files are compared by their list only: what stands in them is compared by the rule set.
 *
 * Threads: any; reads two immutable configs. Ownership: the names belong to the configs: a diff lives no longer than both.
 */
#ifndef WEIR_AGENT_CONFIG_CONFIG_DIFF_H
#define WEIR_AGENT_CONFIG_CONFIG_DIFF_H

#include "agent/config/config.h"

#define WR_CONFIG_NO_INDEX UINT32_MAX

enum wr_config_change { WR_CONFIG_SAME, WR_CONFIG_ADDED, WR_CONFIG_REMOVED, WR_CONFIG_CHANGED };

struct wr_config_diff_item {
    const char *name;
    enum wr_config_change change;
    uint32_t before; /* index in the old config, WR_CONFIG_NO_INDEX when it was added */
    uint32_t after;  /* index in the new config, WR_CONFIG_NO_INDEX when it is removed */
};

struct wr_config_diff {
    /* The new config's in its order, then those that are gone. */
    struct wr_config_diff_item sources[2 * WR_CONFIG_SOURCES_MAX];
    uint32_t n_sources;
    struct wr_config_diff_item windows[2 * WR_WINDOWS_MAX];
    uint32_t n_windows;
    enum wr_config_change uplink;
    enum wr_config_change http;
    bool
        rules; /* the list of files, what they are allowed, or max_instances differ; a reload adds what stands in the files, by wr_ruleset_fingerprint */
    bool log;
    bool other; /* anything else, applied by taking over the new config: stop_deadline, the order of sources or windows */
};

/* WR_DENIED: the reload is refused; the error names the key and says that it needs a restart. */
WR_MUST_USE enum wr_result wr_config_compare(const struct wr_config *before, const struct wr_config *after, struct wr_config_diff *ret_diff,
                                             struct wr_error *err);

/* True when nothing differs (rule files may still hold something else). */
bool wr_config_diff_is_empty(const struct wr_config_diff *diff);

/* "sources: +b -c ~a; windows: ~m1; uplink; rules" for the log; "nothing". Returns text. */
char *wr_config_diff_describe(char *text, size_t size, const struct wr_config_diff *diff);

#endif
