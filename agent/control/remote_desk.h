/* The remote desk: operators' commands over MQTT, each signed with the key of `uplink.commands.key_file`.
 *
 * Promise: what is not signed with this key changes nothing and is told nothing: it is counted, logged at a bounded rate, and not answered. What is signed is carried out, or
 * refused with its reason (remote_order.h), one after the other, and answered when it is on disk. Signatures are checked at most WR_REMOTE_RATE times a second, after a
 * burst of as many commands as can wait: whoever may publish there costs this machine no more than that. The rest waits, and what does not fit is counted
 * (transport/command_messages.h). A command that was not answered, for whatever reason, is said again under the same key.
 *
 * Threads: start, stop and reread from the main thread; one of its own, `weir-remote`. Ownership: the channels are the uplink's (agent/loops/uplink.h), which must not stop
 * before. Limits: one command at a time; the next waits at most what an order may take (orders.h).
 */
#ifndef WEIR_AGENT_CONTROL_REMOTE_DESK_H
#define WEIR_AGENT_CONTROL_REMOTE_DESK_H

#include <stdatomic.h>
#include <stdint.h>

#include "agent/config/config.h"
#include "agent/control/remote_order.h"
#include "core/channel.h"

#define WR_REMOTE_RATE 5

struct wr_remote_desk;

/* Outlive the desk, as metrics must. */
struct wr_remote_counters {
    _Atomic uint64_t outcomes[WR_REMOTE_OUTCOMES];
    _Atomic uint64_t unanswered; /* signed commands whose answer found no memory */
};

/* commands: of struct wr_command_message, received; answers: of struct wr_command_answer, sent. Counts into agent->remote_counters. config need not outlive the call.
 * Errors of wr_jws_key_read; WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_remote_desk_start(struct wr_agent *agent, const struct wr_config_commands *config,
                                                struct wr_channel *commands, struct wr_channel *answers, struct wr_remote_desk **ret_desk,
                                                struct wr_error *err);
/* Reads the file of the key again. After a failure the key stays as it was. */
WR_MUST_USE enum wr_result wr_remote_desk_reread(struct wr_remote_desk *desk, struct wr_error *err);
/* What it is at is answered, what waits is not. NULL is fine. */
void wr_remote_desk_stop(struct wr_remote_desk *desk);

/* With all that waits in its channels and at the uplink. */
size_t wr_remote_desk_bytes(void);

#endif
