/* Readings and aggregates as one JSON object each, exactly as `weir decode` prints them and the uplink's `json` format carries them:
 *   {"measurement":"m","field":"f","tags":{"t":"v"},"time_ns":1,"value":1.5,"type":"float","quality":"good"}
 *   {"measurement":"m","field":"f","tags":{"t":"v"},"time_ns":1,"window_ns":1000000000,"n":10,"sum":1,"min":1,"max":1,"first":1,"last":1,"bad":0}
 * time_ns of an aggregate is its window start. With n = 0 sum ... last are null; a symbol series has null for sum, min and max.
 * Bool first/last/min/max are true/false, their sum is an integer.
 *
 * Threads: none; pure functions. Errors: those of wr_buf.
 */
#ifndef WEIR_CORE_RECORD_JSON_H
#define WEIR_CORE_RECORD_JSON_H

#include "core/aggregate.h"
#include "core/buf.h"
#include "core/json.h"
#include "core/reading.h"

/* text is the value of a symbol reading, else ignored. Appends one object as an element of the open array or at the top of json. */
void wr_record_reading_json(struct wr_json *json, const char *key, size_t key_len, const struct wr_reading *reading, const char *text,
                            size_t text_len);
void wr_record_aggregate_json(struct wr_json *json, const struct wr_aggregate *aggregate);

#endif
