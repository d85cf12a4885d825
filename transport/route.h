/* Which of several brokers a node uses: an order of its own, and when it leaves one for another.
 *
 * Promise: the order comes from the names of node and broker alone (rendezvous hashing): nodes spread evenly over the brokers, the order does not
 * depend on how the config lists them, and where a broker leaves the list only the nodes that were at it go elsewhere.
 *   R1  the broker in use is one of the configured ones, always: a server may send us to one of them and nowhere else, for whoever can name another would
 *       get the node's password and data
 *   R2  a connect that fails moves on to the next in the order at once, from the last to the first; a session that ends before it was stable does so the
 *       second time in a row (a broker that accepts and hangs up is none); one that was stable is tried once more
 *   R3  a server that sends us to another configured broker is obeyed; "moved" makes it the last of the order for this run
 *   R4  away from the first choice, a session of WR_ROUTE_HOME_NS, and up to a quarter more so that nodes do not come back in step, ends in a return to it
 *   R5  whoever counts failures divides by wr_route.n: pauses grow with each whole round, not with each broker
 *
 * Threads: one at a time; pure: time and randomness are arguments. Limits: WR_ROUTE_BROKERS. Units: CLOCK_BOOTTIME ns.
 * Source: D. Thaler, C. Ravishankar, "Using name-based mappings to increase hit rates" (1998), highest random weight; MQTT 5.0 §4.11.
 */
#ifndef WEIR_TRANSPORT_ROUTE_H
#define WEIR_TRANSPORT_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/clock.h"
#include "transport/url.h"

#define WR_ROUTE_BROKERS 8
#define WR_ROUTE_HOME_NS (3600 * WR_NS_PER_S)

/* Why the broker in use is that one. */
enum wr_route_why {
    WR_ROUTE_FIRST,    /* the first of the order */
    WR_ROUTE_FAILOVER, /* those before it could not be used */
    WR_ROUTE_SENT,     /* another broker sent us to it */
};

struct wr_route {
    uint8_t n;
    uint8_t order[WR_ROUTE_BROKERS]; /* places in the config's list, best first */
    uint8_t at;                      /* which of the order is in use, or tried next */
    uint8_t why;                     /* enum wr_route_why */
    uint8_t faults;                  /* short sessions in a row at the broker in use */
    int64_t home_boot_ns;            /* when to return to the first choice; WR_NEVER_NS */
    uint64_t failovers;
    uint64_t redirects;
    uint64_t strange_redirects; /* to a server that is not in the config, or to none: not followed */
    uint64_t returns;
};

/* One broker, for which there is nothing to choose. */
void wr_route_init_one(struct wr_route *route);
/* n from 1 to WR_ROUTE_BROKERS. */
void wr_route_init(struct wr_route *route, const char *node, const struct wr_url *urls, unsigned n);

/* The broker in use: its place in the config's list. */
static inline unsigned wr_route_broker(const struct wr_route *route) {
    return route->order[route->at];
}

/* A session is up. */
void wr_route_up(struct wr_route *route, int64_t now_boot_ns, uint64_t random);
/* The connect failed (lasted_ns < 0), or the session ended after so long. */
void wr_route_down(struct wr_route *route, int64_t lasted_ns, int64_t stable_ns);
/* The server in use sends us to broker `to`, a place in the config's list, or anything else where its reference is none of them: that is as good as down.
 * permanent: it has moved. */
void wr_route_sent(struct wr_route *route, int to, bool permanent);
/* Back to the first choice. */
void wr_route_home(struct wr_route *route);

/* The first of a server reference (hosts with or without a port, a blank between two) that is one of the configured brokers: its place in the list; -1: none is.
 * Without a port any broker on that host will do, `present` (-1: none) last. */
int wr_route_find(const struct wr_url *urls, unsigned n, int present, const char *reference, size_t len);

bool wr_route_is_valid(const struct wr_route *route);
const char *wr_route_why_name(uint8_t why);

#endif
