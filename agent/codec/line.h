/* The Influx line protocol:
 *
 *   measurement[,tag=value...] field=value[,field=value...] [time]
 *
 * Values: 12.5 (float), 12i (int), 12u (uint), t T true True TRUE f F false False FALSE (bool), "text". nan and inf (with sign, in any case,
 * also "infinity") and floats out of range become a reading of bad quality. Escapes: `\,` `\=` `\ ` `\\` outside of strings, `\"` `\\` in them;
 * before any other character a backslash stands for itself. A newline ends the line also inside a string. Lines may end with CR LF;
 * empty lines and lines that begin with # are skipped; sections may be separated by more than one space.
 * A line is taken or refused whole: one bad field, and none of its fields is taken, as InfluxDB does. A tag or a field name needs a value;
 * a tag name occurs once. A field that occurs twice in a line gives two readings.
 * Source: docs.influxdata.com, "Line protocol reference" (v2).
 *
 * Threads: one at a time. Ownership: caller's memory, init/fini. Limits: WR_LINE_FIELDS fields and max_line_bytes a line.
 */
#ifndef WEIR_AGENT_CODEC_LINE_H
#define WEIR_AGENT_CODEC_LINE_H

#include "agent/codec/record.h"
#include "agent/config/config.h"
#include "core/buf.h"

#define WR_LINE_FIELDS 1024

struct wr_line_parser {
    int64_t unit_ns;       /* of time stamps */
    size_t max_line_bytes; /* newline counted */
    struct wr_buf strings; /* texts whose escapes were resolved, of the present line */
    struct wr_buf last;    /* the last line of the input, if it has no newline */
    struct wr_refusal refusal;
    struct wr_field fields[WR_LINE_FIELDS];
};

void wr_line_parser_init(struct wr_line_parser *parser, enum wr_precision precision, size_t max_line_bytes);
void wr_line_parser_fini(struct wr_line_parser *parser);

/* Hands the lines in bytes[len] to the sink. *ret_consumed tells how far it came, always behind a newline: the rest is a partial line, which the caller
 * offers again with what follows; or, with `ended`, there is none. *line is the number of the line before, and moves on.
 * WR_OK; WR_FULL: the sink had no room, the rest begins with the record it did not take; a failure of the sink. */
WR_MUST_USE enum wr_result wr_line_feed(struct wr_line_parser *parser, const char *bytes, size_t len, bool ended, uint64_t *line,
                                        const struct wr_sink *sink, size_t *ret_consumed);

#endif
