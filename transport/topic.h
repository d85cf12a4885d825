/* Topics `{prefix}/{site}/{node}/{agg|alarm|event|state|gap|cmd|ack}` and the words that stand on them.
 *
 * Promise: what a segment carries decides its topic: kind alarms `alarm`, kind gaps `gap`, lane changes `event`, everything else `agg`.
 * All but `agg` are always JSON. A place (prefix, site, node) is checked once, at wr_place_init, so that no wildcard, empty level or
 * control character can reach a topic.
 * With MQTT 3.1.1 the key of a segment follows: `{prefix}/{site}/{node}/agg/{epoch}/{seq}`.
 * The retained `state` tells who is there: a birth when the link is up, a last will that the broker publishes when the link is lost, and
 * an "offline" with cause "stop" at a clean stop, with cause "move" where the node goes on at another broker, "schedule" where its
 * schedule says so.
 * Threads: none; plain values. Limits: prefix 128 bytes, site and node 64.
 */
#ifndef WEIR_TRANSPORT_TOPIC_H
#define WEIR_TRANSPORT_TOPIC_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/result.h"
#include "core/segment.h"

#define WR_TOPIC_BYTES 320

struct wr_place {
    char prefix[129];
    char site[65];
    char node[65];
};

enum wr_topic {
    WR_TOPIC_AGG,
    WR_TOPIC_ALARM,
    WR_TOPIC_EVENT,
    WR_TOPIC_STATE,
    WR_TOPIC_GAP,
    WR_TOPIC_CMD, /* listened to */
    WR_TOPIC_ACK,
};

/* site NULL or empty: "-". WR_INVALID with the name that is wrong: site and node are [A-Za-z0-9._-]{1,64}; prefix is levels of printable
 * characters without '+', '#', an empty level, or a leading '$'. */
WR_MUST_USE enum wr_result wr_place_init(struct wr_place *place, const char *prefix, const char *site, const char *node,
                                         struct wr_error *err);

enum wr_topic wr_topic_of(enum wr_lane lane, enum wr_segment_kind kind);

/* True for topics that carry JSON whatever the uplink's format is. */
bool wr_topic_is_json(enum wr_topic topic);

/* Writes the topic to text[WR_TOPIC_BYTES]; never cut. Returns text. */
char *wr_topic_text(char *text, const struct wr_place *place, enum wr_topic topic);

/* Appends "/{epoch}/{seq}", 16 hex digits and a number, to a topic of wr_topic_text: where there are no user properties (MQTT 3.1.1), the key of a
 * segment stands there. Never cut. Returns text. */
char *wr_topic_add_key(char *text, uint64_t epoch, int64_t seq);

/* The payload of `state`: {"node":"gw-7","state":"online","version":"0.1.0","running":"00000000000000ff","time_ns":1,"time_trusted":true} for a birth (cause NULL),
 * {"node":"gw-7","state":"offline","cause":"stop","time_ns":1,"time_trusted":true} otherwise. A last will has no time (now NULL): the broker
 * publishes it later. running: the fingerprint of config and rules that a birth tells; 0: it tells none. */
WR_MUST_USE enum wr_result wr_state_json(struct wr_buf *into, const struct wr_place *place, const char *cause, uint64_t running,
                                         const struct wr_now *now);

#endif
