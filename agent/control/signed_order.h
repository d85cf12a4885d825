/* An operator's command as it stands in a signed message: whom it is for, for how long, and the order itself.
 *   {"node": "gw-7", "site": "riga", "key": "...", "issued": "2026-03-02T16:00:00Z", "expires": "2026-03-02T16:05:00Z",
 *    "command": {"verb": "ack", "alarm": "warm{room=A1}", "by": "ana", "why": "..."}}
 *
 * Promise: one JSON object, each member once and nothing else in it; strict as order_json.h, which reads the command. site may be left out where the node has none;
 * all others are needed, also the key: with it the command may be said again, and is done once. A signature proves who wrote this, not when: so it counts only
 * for its node, and between issued (a clock may be WR_SIGNED_ORDER_AHEAD_NS ahead of ours) and expires, at most WR_SIGNED_ORDER_VALID_NS later: the journal knows
 * the last WR_COMMAND_KEYS keys, not all that there ever were. While our own wall clock is not trusted nobody can tell, and nothing is taken.
 * Threads: none; plain values. Source: RFC 8259, RFC 3339.
 */
#ifndef WEIR_AGENT_CONTROL_SIGNED_ORDER_H
#define WEIR_AGENT_CONTROL_SIGNED_ORDER_H

#include <stddef.h>
#include <stdint.h>

#include "agent/control/orders.h"
#include "core/buf.h"
#include "core/clock.h"

#define WR_SIGNED_ORDER_VALID_NS (3600 * WR_NS_PER_S)
#define WR_SIGNED_ORDER_AHEAD_NS (60 * WR_NS_PER_S)
#define WR_SIGNED_ORDER_PLACE_BYTES 65 /* of node and site */

struct wr_signed_order {
    char node[WR_SIGNED_ORDER_PLACE_BYTES];
    char site[WR_SIGNED_ORDER_PLACE_BYTES]; /* "": none */
    int64_t issued_wall_ns;
    int64_t expires_wall_ns;
    struct wr_order order;
};

enum wr_signed_order_flaw {
    WR_SIGNED_ORDER_FINE,
    WR_SIGNED_ORDER_ELSEWHERE, /* for another node, or site */
    WR_SIGNED_ORDER_CLOCK,     /* ours is not trusted */
    WR_SIGNED_ORDER_AHEAD,     /* issued in the future */
    WR_SIGNED_ORDER_EXPIRED,
};

/* Fills in one that is zero. WR_INVALID, with what to mend in err: the key is there if it was read before; WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_signed_order_read(struct wr_signed_order *signed_order, const char *text, size_t len, struct wr_error *err);
/* Appends one that wr_signed_order_read takes, with times as exact as milliseconds. */
WR_MUST_USE enum wr_result wr_signed_order_write(const struct wr_signed_order *signed_order, struct wr_buf *into);
/* Whether it is for this node, now. site: "-" or "" where there is none. err says why not. */
enum wr_signed_order_flaw wr_signed_order_flaw(const struct wr_signed_order *signed_order, const char *node, const char *site,
                                               const struct wr_now *now, struct wr_error *err);

#endif
