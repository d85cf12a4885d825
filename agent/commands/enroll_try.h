/* A new certificate shown to the brokers of the config before it takes the place of the old one: one MQTT connect under a client id of its own (NODE-enroll), so that a running
 * agent keeps its connection, and a clean goodbye.
 *
 * Threads: the caller's; waits for `connect_timeout` a broker at most, and two seconds at the end. Ownership: none is kept.
 */
#ifndef WEIR_AGENT_COMMANDS_ENROLL_TRY_H
#define WEIR_AGENT_COMMANDS_ENROLL_TRY_H

#include "agent/config/config.h"

/* cert: its file; the key is the one of uplink.key, or the one that waits beside it, whichever it is for. WR_OK: a broker took it, or none of them speaks TLS.
 * WR_DENIED: none did, and why; WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_enroll_try(const struct wr_config *config, const char *cert, struct wr_error *err);

#endif
