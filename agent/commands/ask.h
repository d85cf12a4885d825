/* What the commands that ask a running agent share.
 *
 * Threads: one. Errors are printed by wr_ask_load_config itself; wr_ask_agent leaves them to its caller, who may know another way.
 */
#ifndef WEIR_AGENT_COMMANDS_ASK_H
#define WEIR_AGENT_COMMANDS_ASK_H

#include "agent/config/config.h"
#include "core/result.h"

/* Takes `-c CONFIG` out of the words and returns CONFIG, or the default; what is left goes to the agent as it is. */
const char *wr_ask_take_config(int *argc, char **argv);

/* Loads a config and prints what is wrong with it to stderr. */
WR_MUST_USE enum wr_result wr_ask_load_config(const char *file, struct wr_config **ret_config);

/* Sends the words to the agent of this config and prints the answer. WR_NOT_FOUND: no agent answers. */
WR_MUST_USE enum wr_result wr_ask_agent(const struct wr_config *config, int argc, char **argv, int *ret_code, struct wr_error *err);

/* A command that is nothing but a question to the agent of the config. Returns its exit code. */
int wr_ask(int argc, char **argv);

#endif
