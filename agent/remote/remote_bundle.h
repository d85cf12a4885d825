/* A bundle at the desk, from the payload whose signature is right to what is answered; and the agent as a rollout sees it.
 *
 * Promise: as remote_order.h, of bundles. The answer is one JSON object: node, site, key, bundle (the version), result, and reason and problem where it was refused. What
 * comes of a bundle in the end is told by a second one, result "kept" or "rolled back".
 * Threads: that of the remote desk; open on the main thread before it. Ownership: the answer is its caller's.
 */
#ifndef WEIR_AGENT_REMOTE_REMOTE_BUNDLE_H
#define WEIR_AGENT_REMOTE_REMOTE_BUNDLE_H

#include "agent/remote/rollout.h"

struct wr_agent;
struct wr_config;

/* agent->rollout, once, if the config takes bundles. */
WR_MUST_USE enum wr_result wr_remote_bundle_open(struct wr_agent *agent, const struct wr_config *config, struct wr_error *err);

enum wr_remote_outcome wr_remote_bundle(struct wr_agent *agent, const char *payload, size_t len, struct wr_context *context,
                                        struct wr_buf *into, enum wr_result *ret_answered, struct wr_error *err);

WR_MUST_USE enum wr_result wr_remote_bundle_news(struct wr_agent *agent, enum wr_rollout_news news, uint64_t version, struct wr_buf *into);
/* What the bundle in the shadow would have done up to now: result "shadow", and the object of `weir shadow --json` with as many rules and alarms as fit. Where its rules do not run now, problem says so. *ret_news: it is something
 * else than was told last; else into is empty. */
WR_MUST_USE enum wr_result wr_remote_bundle_shadow(struct wr_agent *agent, uint64_t version, struct wr_context *context,
                                                   struct wr_buf *into, bool *ret_news);

#endif
