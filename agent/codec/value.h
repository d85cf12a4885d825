/* A bare value: a payload that is a number, true or false, or a text, and nothing else; what most sensors publish on a topic of their own.
 *
 * White space around it is passed over. A number is a float, so that 21 and 21.5 are of one series (exact up to 2^53; its decimals are kept).
 * true and false (True, TRUE, ...) are bool. nan, null and an infinite number are a reading of bad quality. Everything else that is UTF-8
 * without control characters is a text. An empty payload is refused: in MQTT it takes back a retained message.
 * Threads: any; pure. Limits: WR_VALUE_TEXT_BYTES of text.
 */
#ifndef WEIR_AGENT_CODEC_VALUE_H
#define WEIR_AGENT_CODEC_VALUE_H

#include "agent/codec/record.h"

#define WR_VALUE_TEXT_BYTES 1024

/* Fills value, text, type, quality and decimals; the name is the caller's. A failure fills ret_refusal. */
WR_MUST_USE enum wr_result wr_value_read(const char *bytes, size_t len, struct wr_field *ret_field, struct wr_refusal *ret_refusal);

#endif
