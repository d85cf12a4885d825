/* Records as text: JSON lines, CSV, or line protocol. One line a record.
 *
 *   json  the record as `weir decode` prints it, with site and node in front: {"site":"riga","node":"gw-7","measurement":"m",...}, and time_quality, where
 *         its times are not trusted ones. Alarms, gaps and
 *         states are the JSON that they are, with "record":"alarm" (gap, state) in front as well
 *   csv   RFC 4180, a header line at the top of each file; the columns are in wr_render_header
 *   line  line protocol as the uplink's format `influx` has it (transport/encode_influx.h): so it does not matter on which side it is made. Alarms,
 *         gaps and states are the measurements weir_alarm, weir_gap, weir_state; a ledger record is a line an account, weir_ledger
 *
 * Threads: one at a time. Errors: those of wr_buf; WR_INVALID for a record of which the format has nothing to show.
 */
#ifndef WEIR_AGENT_RECEIVE_RENDER_H
#define WEIR_AGENT_RECEIVE_RENDER_H

#include "agent/receive/message.h"
#include "core/aggregate.h"
#include "core/buf.h"
#include "transport/encode_influx.h"

enum wr_render_format { WR_RENDER_JSON, WR_RENDER_CSV, WR_RENDER_LINE };

/* "jsonl", "csv", "lp": the ending of a file's name. */
const char *wr_render_ending(enum wr_render_format format);
/* The first line of a file with records of this kind, with its newline; "": none. agg and event share one. */
const char *wr_render_header(enum wr_render_format format, enum wr_message_kind kind);

/* One message. */
struct wr_render {
    enum wr_render_format format;
    struct wr_buf *into;
    const struct wr_message_origin *origin;
    struct wr_encode_influx influx;
};

/* into and origin must outlive it. */
void wr_render_begin(struct wr_render *render, enum wr_render_format format, struct wr_buf *into, const struct wr_message_origin *origin);
/* Its key must live until the next one was rendered. */
WR_MUST_USE enum wr_result wr_render_aggregate(struct wr_render *render, const struct wr_aggregate *aggregate);
/* An alarm, gap or state: origin->kind says which. */
WR_MUST_USE enum wr_result wr_render_text(struct wr_render *render, const char *json, size_t len);

/* A line of the list of segments: {"site":"riga","node":"gw-7","epoch":"...","seq":5,"kind":"agg","records":1024,"readings":10240}. JSON in any format. */
WR_MUST_USE enum wr_result wr_render_list(struct wr_buf *into, const struct wr_message_origin *origin, uint64_t records, uint64_t readings);

#endif
