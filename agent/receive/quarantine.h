/* The quarantine: messages that can never be written, kept aside byte for byte, so that they may be acknowledged and block nothing.
 *
 * Each is two files: NAME.payload as it came, and NAME.json with topic, content type, user properties and the reason. NAME is the hash of
 * topic and payload, so that a message that comes again is not kept twice. Both are synced before the message is acknowledged.
 * Limits: max_bytes in the directory; beyond it WR_FULL, and nothing more is acknowledged until somebody has looked: to drop silently what
 * an agent believes delivered would be a loss that nobody sees.
 * Several instances may share a directory: one at a time writes, under its lock.
 * Threads: one at a time. Ownership: caller's memory, open/close.
 */
#ifndef WEIR_AGENT_RECEIVE_QUARANTINE_H
#define WEIR_AGENT_RECEIVE_QUARANTINE_H

#include <stdint.h>

#include "core/result.h"
#include "transport/subscriber.h"

struct wr_quarantine {
    char *directory;
    int directory_fd; /* -1: not made yet */
    uint64_t max_bytes;
    uint64_t kept; /* messages of this process */
};

WR_MUST_USE enum wr_result wr_quarantine_open(struct wr_quarantine *quarantine, const char *directory, uint64_t max_bytes,
                                              struct wr_error *err);
void wr_quarantine_close(struct wr_quarantine *quarantine);

/* WR_FULL, WR_IO, WR_NO_MEMORY: the message is not kept, and must not be acknowledged. */
WR_MUST_USE enum wr_result wr_quarantine_keep(struct wr_quarantine *quarantine, const struct wr_subscriber_message *message,
                                              const char *reason, struct wr_error *err);

#endif
