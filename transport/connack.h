/* The texts in a refusing CONNACK of MQTT 5: where to go instead, and why. paho gives its caller the reason code of a refused connect only.
 *
 * Promise: a text that is found lies within the bytes given and within its packet; anything that is not such a CONNACK, whole or cut off, has none.
 * Threads: none; pure. Source: MQTT 5.0 §2.2.2 (properties), §3.2 (CONNACK).
 */
#ifndef WEIR_TRANSPORT_CONNACK_H
#define WEIR_TRANSPORT_CONNACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wr_connack_text {
    WR_CONNACK_SERVER_REFERENCE = 0x1C,
    WR_CONNACK_REASON_STRING = 0x1F,
};

/* bytes: what the broker sent first. False: there is no such text. It is not terminated, and anything may stand in it. */
bool wr_connack_text(const uint8_t *bytes, size_t len, enum wr_connack_text which, const char **ret_text, size_t *ret_len);

#endif
