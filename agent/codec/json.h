/* JSON records: what `weir decode` prints and the uplink's `json` format carries, read back.
 *
 *   {"measurement":"m","field":"f","tags":{"t":"v"},"time_ns":1,"value":1.5,"type":"float","quality":"good"}
 *
 * measurement and value must be there; field is "value" when it is left out, tags are none, time_ns is the arrival, quality is good. Without
 * a type a number is a float, true and false are bool, a text is a string. A null value is a reading of bad quality. The keys may come in any
 * order; keys that are not known are passed over. Integers are exact.
 * Also taken: an array of such objects, and the uplink's envelope: an object with "records". An object that is no reading but an aggregate (it has
 * "window_ns") or an alarm or gap (neither measurement nor records) goes to sink->object as it stands, without the white space between its
 * parts; where there is no sink->object it is refused.
 * Values may follow each other in lines or without them. After an error the reading goes on with the line behind the one in which
 * the bad value began, so that good lines behind a broken one are kept.
 * Source: RFC 8259; a lone surrogate (\uD800) is refused. Limits: WR_JSON_PARSE_DEPTH levels.
 *
 * Threads: one at a time. Ownership: caller's memory, init/fini.
 */
#ifndef WEIR_AGENT_CODEC_JSON_H
#define WEIR_AGENT_CODEC_JSON_H

#include "agent/codec/json_scan.h"
#include "agent/codec/record.h"
#include "core/buf.h"

struct wr_json_reader {
    uint64_t taken; /* records of the present top-level value that the sink has: offered again, they are passed over */
    uint64_t seen;
    struct wr_buf texts; /* escapes resolved, of the present record */
    struct wr_buf origin;
    struct wr_buf compact;
    struct wr_refusal refusal;
    struct wr_field field;
};

void wr_json_reader_init(struct wr_json_reader *reader);
void wr_json_reader_fini(struct wr_json_reader *reader);

/* As wr_line_feed, for top-level values. */
WR_MUST_USE enum wr_result wr_json_feed(struct wr_json_reader *reader, const char *bytes, size_t len, bool ended, uint64_t *line,
                                        const struct wr_sink *sink, size_t *ret_consumed);

#endif
