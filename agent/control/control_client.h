/* The asking side of the control socket, for `weir status`, `alarms` and `audit`.
 *
 * Threads: one. Errors: WR_NOT_FOUND when no agent answers; the text says where it was looked for.
 */
#ifndef WEIR_AGENT_CONTROL_CONTROL_CLIENT_H
#define WEIR_AGENT_CONTROL_CONTROL_CLIENT_H

#include "agent/config/config.h"
#include "core/buf.h"
#include "core/result.h"

/* Sends the words; the answer's text is appended, its exit code set. */
WR_MUST_USE enum wr_result wr_control_client_ask(const struct wr_config_control *control, int argc, char *const *argv, int *ret_code,
                                                 struct wr_buf *answer, struct wr_error *err);

#endif
