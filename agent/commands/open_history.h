/* What commands ask that look at the past: a running agent over its socket; without one, its store; or a store that is named.
 *
 * Threads: one. Ownership: fini also after a failure.
 */
#ifndef WEIR_AGENT_COMMANDS_OPEN_HISTORY_H
#define WEIR_AGENT_COMMANDS_OPEN_HISTORY_H

#include "agent/query/agent_history.h"

struct wr_open_history {
    struct wr_config *config; /* NULL: a store was named */
    struct wr_agent_history agent;
    struct wr_store *store; /* NULL: an agent is asked */
    struct wr_history history;
};

/* store: a directory, or NULL: the agent of the config file. Errors in the config are printed, then err has no text. */
WR_MUST_USE enum wr_result wr_open_history(struct wr_open_history *opened, const char *store, const char *config_file,
                                           struct wr_error *err);
/* Says on stderr how much of it was left out. False: nothing was. */
bool wr_open_history_left_out(const char *command, uint64_t damaged, uint64_t unreadable);
void wr_open_history_fini(struct wr_open_history *opened);

#endif
