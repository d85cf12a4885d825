/* A bundle: rule files, and the tables that they read, for many nodes, as it stands in a signed message.
 *   {"bundle": 7, "key": "...", "nodes": ["gw-*"], "site": "riga", "percent": 10, "shadow": false, "issued": "2026-03-02T16:00:00Z", "expires": "2026-03-03T16:00:00Z",
 *    "files": [{"name": "cold.yaml", "text": "weir: 1\n..."}]}
 *
 * Promise: one JSON object, each member once and nothing else in it. bundle is its version, which only grows (rollout.h); nodes are names in which * stands for anything; without
 * site it is for all of them; percent (100) of the nodes it names take it, always the same ones: more of them with a higher number, never others.
 * shadow (false): its rules are to run in the shadow (rollout_shadow.h), and are not in force. Without files it takes away what is in force, or in the shadow.
 * A name of a file leads nowhere: [A-Za-z0-9_-] first, then with dots, and .yaml or .csv at its end; or it is WR_BUNDLE_CONFIG.
 * Threads: none; plain values. Ownership: the texts are the bundle's, until wr_bundle_free. Limits: as below; at most WR_BUNDLE_VALID_NS between issued and expires.
 * Source: RFC 8259, RFC 3339.
 */
#ifndef WEIR_AGENT_REMOTE_BUNDLE_H
#define WEIR_AGENT_REMOTE_BUNDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/control/remote_order.h"
#include "core/buf.h"
#include "core/clock.h"

#define WR_BUNDLE_CONFIG "weir.config" /* the name of its part of the config: agent/config/config_part.h */
#define WR_BUNDLE_NODES 16
#define WR_BUNDLE_FILES 32
#define WR_BUNDLE_NAME_BYTES 65
#define WR_BUNDLE_VERSION_MAX UINT64_C(999999999999999) /* any reader of JSON has it exactly */
#define WR_BUNDLE_VALID_NS (30 * 86400 * WR_NS_PER_S)

struct wr_bundle_file {
    char name[WR_BUNDLE_NAME_BYTES];
    size_t at; /* in texts */
    size_t len;
};

struct wr_bundle {
    uint64_t version;
    char key[WR_COMMAND_KEY_BYTES];
    char site[WR_BUNDLE_NAME_BYTES]; /* "": any */
    char nodes[WR_BUNDLE_NODES][WR_BUNDLE_NAME_BYTES];
    unsigned n_nodes;
    uint32_t percent;
    bool shadow;
    int64_t issued_wall_ns;
    int64_t expires_wall_ns;
    struct wr_bundle_file files[WR_BUNDLE_FILES];
    unsigned n_files;
    struct wr_buf texts;
};

/* With percent 100, else zero. NULL: no memory. */
struct wr_bundle *wr_bundle_new(void);
/* NULL is fine. */
void wr_bundle_free(struct wr_bundle *bundle);
/* WR_INVALID: the name; WR_LIMIT: too many; WR_EXISTS: one of that name; WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_bundle_add_file(struct wr_bundle *bundle, const char *name, const void *text, size_t len,
                                              struct wr_error *err);
WR_MUST_USE enum wr_result wr_bundle_add_node(struct wr_bundle *bundle, const char *pattern, struct wr_error *err);

/* Whether the payload of a signed message is a bundle, good or bad, and no command. */
bool wr_bundle_is(const char *text, size_t len);
/* Fills in a new one. WR_INVALID, with what to mend in err: the key is there if it was read before; WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_bundle_read(struct wr_bundle *bundle, const char *text, size_t len, struct wr_error *err);
/* Appends one that wr_bundle_read takes, with times as exact as milliseconds. */
WR_MUST_USE enum wr_result wr_bundle_write(const struct wr_bundle *bundle, struct wr_buf *into);

/* 0 to 99: a node takes a bundle whose percent is above that. FNV-1a of its id, both halves mixed. */
uint32_t wr_bundle_share(const char *node);
/* Whether it is for this node, now: WR_REMOTE_DONE, or why not. site: "-" or "" where there is none. */
enum wr_remote_outcome wr_bundle_flaw(const struct wr_bundle *bundle, const char *node, const char *site, const struct wr_now *now,
                                      struct wr_error *err);

#endif
