/* What everybody who uses paho shares: its global lock, its words, its numbers.
 *
 * Handles of all sessions share threads and lock inside paho, so that creating and destroying is serialised over the whole process.
 * Threads: wr_paho_create and wr_paho_destroy never from a callback; the others any.
 */
#ifndef WEIR_TRANSPORT_PAHO_H
#define WEIR_TRANSPORT_PAHO_H

#include <MQTTAsync.h>
#include <stdint.h>

#include "core/result.h"

/* A handle for 127.0.0.1:port, without persistence. paho's trace is off, unless the environment has MQTT_C_CLIENT_TRACE. */
WR_MUST_USE enum wr_result wr_paho_create(uint16_t port, const char *client_id, const MQTTAsync_createOptions *options, MQTTAsync *ret_paho,
                                          struct wr_error *err);
/* Waits for paho's threads, 100 ms as a rule, at most a second. Sets *paho to NULL; NULL in it is fine. */
void wr_paho_destroy(MQTTAsync *paho);

/* "Session taken over", ... never NULL. */
const char *wr_paho_reason_name(uint8_t reason);
/* Why the SUBSCRIBE of a single filter failed: the reason of its SUBACK, 0x80 and above, or 0: the connection ended. */
uint8_t wr_paho_unsubscribed5(const MQTTAsync_failureData5 *response);
uint8_t wr_paho_unsubscribed3(const MQTTAsync_failureData *response);
/* A number among the properties, or `otherwise` when it is not there. */
uint32_t wr_paho_number(MQTTProperties *properties, enum MQTTPropertyCodes code, uint32_t otherwise);

#endif
