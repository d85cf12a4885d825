/* The uplink's `influx` format: line protocol, as Telegraf, QuestDB and InfluxDB read it; one line an aggregate:
 *   room_temp,node=gw-7,room=A1,site=riga,window=1m n=60i,mean=21.5,min=21.2,max=21.9,sum=1290,first=21.4,last=21.6,bad=0i 1700000000000000000
 *
 * Fields are the statistics of transport/statistics.h; where the field is not called `value`, its name goes before: humidity_mean. Tags are those of
 * the series and node, site (unless "-") and window; a series that has a tag of such a name keeps it, and ours is then called weir_node and so on.
 * The time is the window's start. Where the node's clock could not be trusted there is a tag time_quality=untrusted; what was corrected has none.
 * Line protocol has one row per series and time, the later one wins. So a second aggregate of a window (late readings, the part before a restart,
 * a second source) is moved by 1 to 999,999 ns, always the same for the same segment: nothing is overwritten, sums over n and sum stay right,
 * and a segment that comes twice changes nothing.
 * Names: comma, equals sign and blank are escaped; a line cannot hold control characters in names (they become blanks), nor a backslash at the end of
 * one (it is left out); a name of which nothing is left becomes "_". Bytes that are no UTF-8 become U+FFFD.
 *
 * Threads: one at a time. Ownership: keys of aggregates must live until the end. Errors: those of wr_buf (WR_NO_MEMORY, WR_LIMIT), WR_INVALID when
 * the number of records is not the segment's.
 * Source: InfluxDB line protocol reference; the escapes are those that agent/codec/line.h reads back.
 */
#ifndef WEIR_TRANSPORT_ENCODE_INFLUX_H
#define WEIR_TRANSPORT_ENCODE_INFLUX_H

#include <stdint.h>

#include "core/aggregate.h"
#include "core/buf.h"
#include "core/result.h"
#include "core/segment.h"

struct wr_encode_influx {
    struct wr_buf *into;
    const char *site;
    const char *node;
    uint64_t segment; /* mixed from epoch and seq */
    uint32_t announced;
    uint32_t written;
    uint8_t time_quality;
    enum wr_result failed;
    const char *key; /* of the aggregate before; NULL: none */
    uint16_t key_len;
    int64_t start_ns;
    int64_t window_ns;
};

/* One line with its newline, or nothing; at start_ns + shift_ns, shift_ns >= 0. */
WR_MUST_USE enum wr_result wr_encode_influx_line(struct wr_buf *into, const char *site, const char *node,
                                                 const struct wr_aggregate *aggregate, enum wr_time_quality quality, int64_t shift_ns);

/* Only the key fields of segment are read. site and node must live until the end. */
void wr_encode_influx_begin(struct wr_encode_influx *encode, struct wr_buf *into, const char *site, const char *node,
                            const struct wr_segment *segment);
void wr_encode_influx_aggregate(struct wr_encode_influx *encode, const struct wr_aggregate *aggregate);
WR_MUST_USE enum wr_result wr_encode_influx_end(struct wr_encode_influx *encode, struct wr_error *err);

#endif
