/* Commands of operators that come over the uplink's MQTT connection, and the answers that go back: two channels of plain structs between the session and whoever
 * carries the commands out.
 *
 *   commands (session → agent)   what was published to {prefix}/{site}/{node}/cmd, as it came: nobody has looked at a byte of it
 *   answers (agent → uplink)     published to {prefix}/{site}/{node}/ack, QoS 1, not retained, in their order
 *
 * Promise: a command is copied and enqueued, or counted and forgotten: never does one wait for room, and never does the data wait for one. What is forgotten is
 * not answered: its sender says it again, under the same key. Refused here are retained messages (they would come again with each connection, to whoever connects)
 * and those larger than WR_COMMAND_BYTES. The subscription goes out before the retained state "online", on the same connection: who has seen that one is heard.
 * The broker has its PUBACK as soon as a command is enqueued: what a crash takes is not answered either.
 *
 * Threads: put from paho's callback; the channels as their users like. Ownership: a message is its receiver's; the payload of an answer goes to the uplink
 * (its channel's drop function frees it). Limits: WR_COMMANDS commands wait, WR_COMMAND_ANSWERS answers, of these WR_UPLINK_ANSWERS more in the uplink's hands.
 * Source: MQTT 5.0 3.8.3.1 (retain handling), 3.3.1.3; MQTT 3.1.1 3.3.1.3.
 */
#ifndef WEIR_TRANSPORT_COMMAND_MESSAGES_H
#define WEIR_TRANSPORT_COMMAND_MESSAGES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/channel.h"

#define WR_COMMAND_BYTES 32768 /* of a message; WR_JWS_BYTES, too */
#define WR_COMMANDS 16        /* capacity of the channel of commands, policy REJECT */
#define WR_COMMAND_ANSWERS 16 /* of the channel of answers, policy DROP_OLDEST */

struct wr_command_message {
    uint32_t len;
    uint8_t bytes[WR_COMMAND_BYTES];
};

struct wr_command_answer {
    uint8_t *payload; /* JSON; from malloc */
    size_t payload_len;
};

/* Written by paho's thread, read by anybody: each number is exact, a set of them is not a moment in time. */
struct wr_command_counters {
    _Atomic uint64_t received;  /* enqueued */
    _Atomic uint64_t too_large; /* not enqueued, as the next two */
    _Atomic uint64_t retained;
    _Atomic uint64_t full; /* no room, or nobody takes commands any more */
};

/* The same, read. */
struct wr_command_counts {
    uint64_t received;
    uint64_t too_large;
    uint64_t retained;
    uint64_t full;
};

/* Copies and enqueues, or counts: never waits, never allocates. */
void wr_command_messages_put(struct wr_channel *commands, struct wr_command_counters *counters, const void *payload, size_t len,
                             bool retained);
void wr_command_messages_counts(const struct wr_command_counters *counters, struct wr_command_counts *ret_counts);

#endif
