/* What passes between the uplink and whoever keeps the segments: two channels of plain structs, with core nouns only.
 *
 *   requests (uplink → store)                           replies (store → uplink)
 *   GET   the next segments of a lane                   SEGMENT*  then one DONE, with the GET's ticket
 *   OFFER "up to here may be published": commit it      OFFERED   once it is committed
 *   ACK   the broker has it: book it                    –
 *   PARK  refused for good: keep, show, skip            –
 *   COUNT what was spent of a byte budget: keep it      –
 *                                                       COUNTED   what is kept of each budget, before READY
 *                                                       READY     once, before all else, and again after a fresh store was opened,
 *                                                                 and where what lies behind the cursors is to be asked for again
 *                                                       AVAILABLE after a commit: the newest seq of a lane
 *
 * Rules. The store answers in the order of the requests, so an ACK or PARK counts before the GET behind it. A GET never returns what is
 * acknowledged or parked. `offered` is the highest seq of a lane that may have been published: the uplink asks for it in strides of 16 and
 * publishes a segment only after an OFFERED that covers it. An ACK of another epoch than the present one is ignored. The same segment may be
 * acknowledged twice (its retry was answered while a cursor's GET that covers it was under way): it is booked once.
 * A COUNT replaces the one before it; it is of no epoch, and outlives a store that is replaced.
 *
 * Everything here that is a seq is one of the present store. A segment that the store salvaged out of a broken one is asked for and acknowledged by its place
 * (core/segment.h), and published under its own key.
 *
 * DONE after fewer segments than asked for means: nothing more in that range when the GET was answered; an AVAILABLE behind it tells of more.
 *
 * Neither channel can fill, if the requests channel has WR_UPLINK_REQUESTS(window) places and the replies channel WR_UPLINK_REPLIES(window):
 * a GET asks for no more than the window has room for. Only AVAILABLE is without such a bound: a store that finds the channel full when it
 * wants to send one remembers the lane and sends it in a later turn.
 *
 * Ownership: the body of a SEGMENT goes to the uplink, the payload of a direct message too. Units: deadlines in CLOCK_BOOTTIME ns.
 */
#ifndef WEIR_TRANSPORT_UPLINK_MESSAGES_H
#define WEIR_TRANSPORT_UPLINK_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/budget.h"
#include "core/segment.h"

/* Two cursors over the same lanes, and one more for a single refused segment. Backfill is what was committed before this start. */
enum wr_cursor {
    WR_CURSOR_LIVE,
    WR_CURSOR_BACKFILL,
    WR_CURSOR_RETRY,
};

#define WR_UPLINK_HANGUP 0x02     /* likewise: it ended each session in which this one came */
#define WR_UPLINK_UNANSWERED 0x01 /* no MQTT reason: the broker answered later messages, and never this one */

enum wr_uplink_request_kind {
    WR_UPLINK_GET,
    WR_UPLINK_OFFER,
    WR_UPLINK_ACK,
    WR_UPLINK_PARK,
    WR_UPLINK_COUNT,
};

struct wr_uplink_request {
    uint8_t kind;   /* enum wr_uplink_request_kind */
    uint8_t lane;   /* enum wr_lane; COUNT: enum wr_budget_period */
    uint8_t cursor; /* GET: enum wr_cursor */
    uint8_t reason; /* PARK: the MQTT reason code of the last refusal; 0x95: too large; 0: cannot be encoded; WR_UPLINK_UNANSWERED, WR_UPLINK_HANGUP */
    bool urgent;    /* COUNT: on disk within a second */
    uint32_t max_segments; /* GET */
    uint64_t epoch;
    uint64_t ticket; /* GET: comes back in the replies */
    int64_t first;   /* GET: lowest seq wanted; OFFER: –; ACK, PARK: the range first..last of this lane, today always one segment */
    int64_t last;    /* GET: highest seq wanted; OFFER: the new watermark */
    struct wr_budget_count count; /* COUNT */
};

enum wr_uplink_reply_kind {
    WR_UPLINK_READY,
    WR_UPLINK_AVAILABLE,
    WR_UPLINK_SEGMENT,
    WR_UPLINK_DONE,
    WR_UPLINK_OFFERED,
    WR_UPLINK_COUNTED,
};

struct wr_uplink_reply {
    uint8_t kind; /* enum wr_uplink_reply_kind */
    uint8_t lane;
    uint8_t cursor;            /* SEGMENT, DONE: of the GET */
    uint64_t ticket;           /* SEGMENT, DONE: of the GET */
    uint64_t epoch;            /* READY */
    int64_t seq;               /* READY: highest seq committed before this start; AVAILABLE; OFFERED: the committed watermark */
    int64_t offered[WR_LANES]; /* READY */
    struct wr_budget_count count; /* COUNTED, of the budget `lane` */
    struct wr_segment segment; /* SEGMENT */
};

#define WR_UPLINK_REQUESTS(window) (2 * (window) + 64)
#define WR_UPLINK_REPLIES(window) (2 * (window) + 64)

#define WR_UPLINK_TOPIC_BYTES 256

/* A publish that does not come from the store: an action `mqtt`. Retried until the broker has it or
 * refuses it for good. WR_UPLINK_DIRECT at once: who sends more keeps them, and decides which of them goes next. */
struct wr_uplink_direct {
    uint64_t id; /* comes back in the notice */
    char topic[WR_UPLINK_TOPIC_BYTES]; /* empty: no message, but a hint that what the retained state tells has changed */
    uint8_t *payload;                  /* NULL: none; with retained, the topic is cleared */
    size_t payload_len;
    uint8_t qos; /* 0 or 1 */
    bool retained;
};

#define WR_UPLINK_DIRECT 8

/* Answers to commands (transport/command_messages.h) go the same way, from places of their own, so that neither takes the other's: this bit in the id of a direct
 * message tells them apart. Their topic is the uplink's to write. */
#define WR_UPLINK_ANSWERS 2
#define WR_UPLINK_ANSWER (UINT64_C(1) << 63)

#endif
