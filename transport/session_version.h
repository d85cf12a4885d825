/* Which version of MQTT to speak with a broker, and what its answer to a CONNECT proves.
 *
 * Promise: MQTT 5 first, 3.1.1 at once after an answer that only a broker without MQTT 5 gives; what the broker took is remembered for this run.
 *   a CONNACK with "unsupported protocol version", or with a return code of 3.1.1: it does not speak MQTT 5
 *   any other CONNACK: it speaks the version that was tried; a refusal is one of the credentials or the like, and nothing else is tried
 *   closed without an answer: perhaps it does not (RabbitMQ 3.10 does that). 3.1.1 is tried, but remembered only after the second time in a row,
 *     since a broker that is going down does the same; and never where MQTT 5 was taken before
 *   no answer, or no network: proves nothing
 * Threads: none; plain values. Source: MQTT 5.0 3.1.2.2 and 3.2.2.2, MQTT 3.1.1 3.1.2.2 and 3.2.2.3.
 */
#ifndef WEIR_TRANSPORT_SESSION_VERSION_H
#define WEIR_TRANSPORT_SESSION_VERSION_H

#include <stdbool.h>
#include <stdint.h>

/* As the protocol level in CONNECT. */
enum wr_mqtt_version {
    WR_MQTT_AUTO = 0,
    WR_MQTT_3_1_1 = 4,
    WR_MQTT_5 = 5,
};

enum wr_mqtt_answer {
    WR_MQTT_ACCEPTED,
    WR_MQTT_REFUSED,       /* with a reason of the version that was tried */
    WR_MQTT_WRONG_VERSION,
    WR_MQTT_CLOSED,        /* the broker closed the connection instead of answering */
    WR_MQTT_NO_ANSWER,
};

struct wr_session_version {
    uint8_t wanted; /* enum wr_mqtt_version */
    uint8_t taken;  /* what the broker took; 0: not known yet */
    uint8_t signs;  /* that it does not speak MQTT 5; two are proof */
};

/* What to begin a connect with. */
uint8_t wr_session_version_first(const struct wr_session_version *version);
/* What a CONNACK with this reason or return code, above 0, means in answer to a CONNECT of version `tried`. */
enum wr_mqtt_answer wr_session_version_answer(uint8_t tried, uint8_t reason);
/* Learns from an answer. True: try 3.1.1 now. */
bool wr_session_version_learn(struct wr_session_version *version, uint8_t tried, enum wr_mqtt_answer answer);

/* "5", "3.1.1"; "" for none. */
const char *wr_session_version_name(uint8_t version);
/* The return codes of 3.1.1 in words. */
const char *wr_session_version_return_code(uint8_t code);

#endif
