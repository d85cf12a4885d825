/* Segments one behind the other, as a file of outbox bodies or of raw readings or a payload of the uplink holds them, as records for `weir decode`.
 *
 * Aggregates and raw readings go to sink->object as their JSON, alarms and gaps as the JSON that they are. A damaged segment is refused once; then the reading
 * goes on with the next place that looks like a segment. In refusals the line is the number of the segment, counted from 1, and the
 * column is 1.
 *
 * Threads: one at a time. Ownership: caller's memory, init/fini.
 */
#ifndef WEIR_AGENT_CODEC_SEGMENT_READER_H
#define WEIR_AGENT_CODEC_SEGMENT_READER_H

#include "agent/codec/record.h"
#include "agent/codec/stream.h"
#include "core/buf.h"
#include "store/codec.h"
#include "store/raw_codec.h"

struct wr_segment_reader {
    struct wr_decoder *decoder;
    struct wr_raw_decoder *raw; /* NULL until there are raw readings */
    struct wr_buf json;
    struct wr_refusal refusal;
};

WR_MUST_USE enum wr_result wr_segment_reader_init(struct wr_segment_reader *reader, struct wr_error *err);
void wr_segment_reader_fini(struct wr_segment_reader *reader);

/* As wr_line_feed, for segments. The sink takes all: WR_FULL is no answer here. */
extern wr_codec_stream_feed wr_codec_stream_feed_segment; /* codec: struct wr_segment_reader */

#endif
