/* The uplink's formats `senml+json` and `senml+cbor`: a SenML pack a segment, a record a statistic:
 *   [{"bn":"weir:gw-7/room_temp/value/room/A1/","bt":1700000000,"n":"n","u":"count","v":60},{"n":"mean","v":21.5},{"n":"min","v":21.2}, ...
 *    {"n":"bad","u":"count","v":0},{"n":"window","u":"s","v":60}, {"bn":"weir:gw-7/...
 *
 * Names are weir:{node}/{measurement}/{field}/{tag}/{value}/.../{statistic}, tags sorted. SenML allows letters, digits and - : . / _ in a name, and
 * `/` and `:` are taken: any other byte of a word stands as `:` and two hex digits, so that splitting at `/` and undoing the hex gives the words back.
 * Statistics are those of transport/statistics.h, and `window` with its length in seconds (not for changes). Numbers are `v`, texts `vs`, bool `vb`.
 * Units of values are not known here: only counts and the window have one. The base name and base time are written when they change; the base
 * time is the window's start in seconds, in JSON with all its digits, in CBOR as a double where it is no whole number.
 * SenML takes times below 2^28 s as relative to now, so a start before July 1978 (a clock that was never set) is left out: no time at all.
 *
 * Threads: one at a time. Ownership: keys of aggregates must live until the end. Errors: those of wr_buf (WR_NO_MEMORY, WR_LIMIT), WR_INVALID when
 * the number of aggregates is not the segment's.
 * Source: RFC 8428; units: the SenML Units registry.
 */
#ifndef WEIR_TRANSPORT_ENCODE_SENML_H
#define WEIR_TRANSPORT_ENCODE_SENML_H

#include <stdbool.h>
#include <stdint.h>

#include "core/aggregate.h"
#include "core/buf.h"
#include "core/json.h"
#include "core/result.h"
#include "core/segment.h"
#include "transport/cbor.h"

struct wr_encode_senml {
    bool binary; /* CBOR */
    struct wr_json json;
    struct wr_cbor cbor;
    struct wr_buf name; /* the present base name */
    const char *node;
    const char *key; /* of the aggregate before; NULL: none */
    uint16_t key_len;
    int64_t base_ns; /* 0: the pack has no base time now */
    uint32_t announced;
    uint32_t written;
    size_t records;
    enum wr_result failed;
};

/* Only the key fields of segment are read. node must live until the end. */
void wr_encode_senml_begin(struct wr_encode_senml *encode, bool binary, struct wr_buf *into, const char *node,
                           const struct wr_segment *segment);
void wr_encode_senml_aggregate(struct wr_encode_senml *encode, const struct wr_aggregate *aggregate);
/* Always to be called: it frees what begin and aggregate took. */
WR_MUST_USE enum wr_result wr_encode_senml_end(struct wr_encode_senml *encode, struct wr_error *err);

#endif
