#include "transport/route.h"

#include <string.h>
#include <strings.h>

#include "core/fingerprint.h"

#define FAULTS_TO_MOVE 2

/* ---- the order ---- */

/* Names that differ in one letter are to be far apart: the finalizer of SplitMix64. */
static uint64_t mix(uint64_t hash) {
    hash = (hash ^ hash >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    hash = (hash ^ hash >> 27) * UINT64_C(0x94d049bb133111eb);
    return hash ^ hash >> 31;
}

static uint64_t weight(const char *node, const struct wr_url *url) {
    uint64_t hash = wr_fingerprint_add(WR_FINGERPRINT_START, node, strlen(node) + 1);
    for (const char *at = url->host; *at != '\0'; at++) {
        const char lower = *at >= 'A' && *at <= 'Z' ? (char)(*at - 'A' + 'a') : *at;
        hash = wr_fingerprint_add(hash, &lower, 1);
    }
    const uint8_t port[2] = {(uint8_t)(url->port >> 8), (uint8_t)url->port};
    return mix(wr_fingerprint_add(hash, port, sizeof port));
}

void wr_route_init_one(struct wr_route *route) {
    *route = (struct wr_route){.n = 1, .home_boot_ns = WR_NEVER_NS};
}

void wr_route_init(struct wr_route *route, const char *node, const struct wr_url *urls, unsigned n) {
    uint64_t weights[WR_ROUTE_BROKERS];
    wr_route_init_one(route);
    route->n = (uint8_t)(n < 1 ? 1 : n > WR_ROUTE_BROKERS ? WR_ROUTE_BROKERS : n);
    for (unsigned i = 0; i < n && i < WR_ROUTE_BROKERS; i++) { /* insertion: heaviest first */
        const uint64_t mine = weight(node, &urls[i]);
        unsigned place = i;
        for (; place > 0 && weights[place - 1] < mine; place--) {
            weights[place] = weights[place - 1];
            route->order[place] = route->order[place - 1];
        }
        weights[place] = mine;
        route->order[place] = (uint8_t)i;
    }
}

/* ---- leaving one for another ---- */

static void use(struct wr_route *route, unsigned at, enum wr_route_why why) {
    route->at = (uint8_t)at;
    route->why = (uint8_t)(at == 0 ? WR_ROUTE_FIRST : why);
    route->faults = 0;
    route->home_boot_ns = WR_NEVER_NS;
}

static void move_on(struct wr_route *route) {
    if (route->n > 1)
        route->failovers++;
    use(route, route->at + 1u < route->n ? route->at + 1u : 0, WR_ROUTE_FAILOVER);
}

void wr_route_up(struct wr_route *route, int64_t now_boot_ns, uint64_t random) {
    route->home_boot_ns = WR_NEVER_NS;
    if (route->at != 0)
        route->home_boot_ns = wr_clock_add_ns(now_boot_ns, WR_ROUTE_HOME_NS + (int64_t)(random % (WR_ROUTE_HOME_NS / 4)));
}

void wr_route_down(struct wr_route *route, int64_t lasted_ns, int64_t stable_ns) {
    route->home_boot_ns = WR_NEVER_NS;
    if (lasted_ns >= stable_ns)
        route->faults = 0;
    else if (lasted_ns < 0 || ++route->faults >= FAULTS_TO_MOVE)
        move_on(route);
}

static void put_last(struct wr_route *route, unsigned at) {
    const uint8_t moved = route->order[at];
    for (; at + 1 < route->n; at++)
        route->order[at] = route->order[at + 1];
    route->order[at] = moved;
}

void wr_route_sent(struct wr_route *route, int to, bool permanent) {
    const unsigned from = route->at;
    unsigned target = 0;
    while (target < route->n && route->order[target] != to)
        target++;
    if (target == route->n || target == from) {
        route->strange_redirects++;
        move_on(route);
        return;
    }
    route->redirects++;
    if (permanent) {
        put_last(route, from);
        target -= target > from;
    }
    use(route, target, WR_ROUTE_SENT);
}

void wr_route_home(struct wr_route *route) {
    route->returns++;
    use(route, 0, WR_ROUTE_FIRST);
}

/* ---- a server's reference ---- */

static int find_one(const struct wr_url *urls, unsigned n, int present, const char *text) {
    char host[WR_AUTHORITY_HOST_BYTES];
    uint16_t port = 0;
    struct wr_error err = {0};
    if (wr_authority_take(&text, "HOST[:PORT]", host, &port, &err) != WR_OK || *text != '\0')
        return -1;
    int found = -1;
    for (unsigned i = 0; i < n; i++) {
        const bool same = strcasecmp(urls[i].host, host) == 0 && (port == 0 || urls[i].port == port);
        if (same && (found < 0 || found == present))
            found = (int)i;
    }
    return found;
}

int wr_route_find(const struct wr_url *urls, unsigned n, int present, const char *reference, size_t len) {
    int found = -1;
    size_t at = 0;
    while (at < len && found < 0) {
        char one[WR_AUTHORITY_TEXT_BYTES];
        size_t end = at;
        while (end < len && reference[end] != ' ')
            end++;
        const size_t size = end - at;
        if (size > 0 && size < sizeof one && memchr(reference + at, '\0', size) == NULL) {
            memcpy(one, reference + at, size);
            one[size] = '\0';
            found = find_one(urls, n, present, one);
        }
        at = end + 1;
    }
    return found;
}

/* ---- for others ---- */

bool wr_route_is_valid(const struct wr_route *route) {
    unsigned seen = 0;
    for (unsigned i = 0; i < route->n; i++)
        seen |= 1u << route->order[i];
    return route->n >= 1 && route->n <= WR_ROUTE_BROKERS && seen == (1u << route->n) - 1 && route->at < route->n &&
           route->faults < FAULTS_TO_MOVE && (route->at == 0) == (route->why == WR_ROUTE_FIRST);
}

const char *wr_route_why_name(uint8_t why) {
    static const char *const names[] = {
        [WR_ROUTE_FIRST] = "first choice", [WR_ROUTE_FAILOVER] = "failover", [WR_ROUTE_SENT] = "sent by another broker"};
    return why < sizeof names / sizeof names[0] ? names[why] : "unknown";
}
