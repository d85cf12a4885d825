/* What options*.c share. */
#ifndef WEIR_AGENT_RECEIVE_OPTIONS_PRIVATE_H
#define WEIR_AGENT_RECEIVE_OPTIONS_PRIVATE_H

#include "agent/receive/options.h"

/* What a single key cannot show. Fills in what is derived; errors go to diagnostics. */
WR_MUST_USE enum wr_result wr_receive_options_check(struct wr_receive_loaded *loaded, bool connect, struct wr_diagnostics *diagnostics,
                                                    struct wr_error *err);

#endif
