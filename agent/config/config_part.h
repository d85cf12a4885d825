/* A part of a config that came in a bundle: it stands over the gateway's own config, key by key.
 *   windows: [{name: m1, every: 5m}, {name: fast, every: 10s, of: "vibration"}]
 *   sources: [{name: plant, topics: ["sensors/{site}/{room}", "extra/{room}"]}]
 *   limits: {max_instances: 20000}
 *
 * What it may hold is what a reload can change, and no more than tuning: windows; sources of the gateway by their name (new ones only of kind system); some limits. Where
 * readings come from and who may send them (listen, broker, command, files, tls, users, passwords, tokens), what rules may do, the uplink over which bundles come, and everything that needs a
 * restart stay the gateway's own: refused, with the reason.
 *
 * Promise: a record of a list is found by its name: what the part gives of it replaces what stands in the config, all else stays; one with a new name is added. Other lists are
 * replaced whole. Every error has its place in the part, or in the config, wherever the value came from.
 * Threads: immutable once merged, so any. Ownership: the config's; it keeps the part for places and for its hash.
 */
#ifndef WEIR_AGENT_CONFIG_CONFIG_PART_H
#define WEIR_AGENT_CONFIG_CONFIG_PART_H

#include "agent/config/config.h"

struct wr_config_part {
    struct wr_yaml yaml;
    struct wr_yaml_field *schema; /* that of configs, in which nothing but names is required */
    unsigned *sources_at;         /* where each of its sources is in the config; UINT_MAX: not merged */
    unsigned *windows_at;
    unsigned n_sources;
    unsigned n_windows;
};

/* name: of the file, for messages. WR_INVALID: errors, in diagnostics; WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_config_part_read(const char *name, const char *text, size_t len, struct wr_diagnostics *diagnostics,
                                               struct wr_config_part **ret_part, struct wr_error *err);
/* NULL is fine. */
void wr_config_part_free(struct wr_config_part *part);

/* Moves what the part gives into a config that is loaded and not yet checked. WR_INVALID: a new source of a kind that may not be, a kind that changes, in diagnostics; WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_config_part_merge(struct wr_config_part *part, struct wr_config *config, struct wr_diagnostics *diagnostics);

/* Which of both holds what stands at a path of the merged config, and at which path of its own. mapped[WR_YAML_PATH_BYTES]; part NULL: the config. */
const struct wr_yaml *wr_config_part_holder(const struct wr_config_part *part, const struct wr_yaml *config, const char *path,
                                            char *mapped);

#endif
