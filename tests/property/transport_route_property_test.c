/* The route against a simple model, and how it spreads nodes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/random.h"
#include "transport/route.h"

#define NODES 3000

static struct wr_url broker(unsigned number) {
    struct wr_url url = {.port = (uint16_t)(8883 + number % 2)};
    (void)snprintf(url.host, sizeof url.host, "broker-%u.example.com", number);
    return url;
}

static void name_of(char name[32], struct wr_random *random) {
    (void)snprintf(name, 32, "gw-%llu", (unsigned long long)wr_random_below(random, 1000000));
}

/* A third each, five deviations at most; who was not at the broker that goes stays where he is; the config's order plays no part. */
static void nodes_spread_and_stay(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    const struct wr_url three[] = {broker(0), broker(1), broker(2)};
    const struct wr_url turned[] = {broker(2), broker(0), broker(1)};
    unsigned at[3] = {0};
    for (int i = 0; i < NODES; i++) {
        char node[32];
        struct wr_route all, two, other;
        name_of(node, &random);
        wr_route_init(&all, node, three, 3);
        wr_route_init(&two, node, three, 2);
        wr_route_init(&other, node, turned, 3);
        assert_true(wr_route_is_valid(&all) && wr_route_is_valid(&two) && wr_route_is_valid(&other));
        at[wr_route_broker(&all)]++;
        for (unsigned place = 0; place < 3; place++)
            assert_string_equal(three[all.order[place]].host, turned[other.order[place]].host);
        if (wr_route_broker(&all) != 2)
            assert_int_equal(wr_route_broker(&two), wr_route_broker(&all));
        else
            assert_int_equal(wr_route_broker(&two), all.order[1]); /* and who was there goes to his second choice */
    }
    for (int i = 0; i < 3; i++)
        assert_in_range(at[i], NODES / 3 - 130, NODES / 3 + 130);
}

/* The model: a list of names, of which the first is the choice, and a finger on one of them. */
struct model {
    unsigned n;
    unsigned list[WR_ROUTE_BROKERS];
    unsigned finger;
    bool sent;
    unsigned short_ones;
    int64_t home_ns; /* earliest */
};

static void next(struct model *m) {
    m->finger = m->finger + 1 == m->n ? 0 : m->finger + 1;
    m->sent = false;
    m->short_ones = 0;
    m->home_ns = WR_NEVER_NS;
}

static void sent(struct model *m, int to, bool moved) {
    const unsigned here = m->list[m->finger];
    bool known = false;
    for (unsigned i = 0; i < m->n; i++)
        known |= (int)m->list[i] == to;
    if (!known || (int)here == to) {
        next(m);
        return;
    }
    if (moved) {
        unsigned kept = 0;
        for (unsigned i = 0; i < m->n; i++)
            if (m->list[i] != here)
                m->list[kept++] = m->list[i];
        m->list[kept] = here;
    }
    for (unsigned i = 0; i < m->n; i++)
        if ((int)m->list[i] == to)
            m->finger = i;
    m->sent = m->finger != 0;
    m->short_ones = 0;
    m->home_ns = WR_NEVER_NS;
}

static void step(struct wr_random *random, struct wr_route *route, struct model *m, int64_t now_ns) {
    const int64_t stable_ns = 60 * WR_NS_PER_S;
    const bool moved = wr_random_below(random, 4) == 0;
    const int to = (int)wr_random_below(random, m->n + 2) - 1;
    const int64_t lasted_ns = wr_random_below(random, 2) == 0 ? stable_ns : (int64_t)wr_random_below(random, (uint64_t)stable_ns);
    switch (wr_random_below(random, 5)) {
    case 0:
        wr_route_up(route, now_ns, wr_random_u64(random));
        m->home_ns = m->finger == 0 ? WR_NEVER_NS : now_ns + WR_ROUTE_HOME_NS;
        break;
    case 1:
        wr_route_down(route, -1, stable_ns);
        next(m);
        break;
    case 2:
        wr_route_down(route, lasted_ns, stable_ns);
        m->home_ns = WR_NEVER_NS;
        m->short_ones = lasted_ns >= stable_ns ? 0 : m->short_ones + 1;
        if (m->short_ones == 2)
            next(m);
        break;
    case 3:
        wr_route_sent(route, to, moved);
        sent(m, to, moved);
        break;
    default:
        wr_route_home(route);
        m->finger = m->short_ones = 0;
        m->sent = false;
        m->home_ns = WR_NEVER_NS;
    }
}

static void it_does_what_the_model_does(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    for (int round = 0; round < 300; round++) {
        struct wr_url urls[WR_ROUTE_BROKERS];
        struct wr_route route;
        struct model m = {.n = 1 + (unsigned)wr_random_below(&random, WR_ROUTE_BROKERS), .home_ns = WR_NEVER_NS};
        char node[32];
        for (unsigned i = 0; i < m.n; i++)
            urls[i] = broker(i);
        name_of(node, &random);
        wr_route_init(&route, node, urls, m.n);
        for (unsigned i = 0; i < m.n; i++)
            m.list[i] = route.order[i];
        for (int i = 0; i < 200; i++) {
            step(&random, &route, &m, i);
            assert_true(wr_route_is_valid(&route)); /* R1 */
            assert_int_equal(wr_route_broker(&route), m.list[m.finger]);
            assert_int_equal(route.why, m.finger == 0 ? WR_ROUTE_FIRST : m.sent ? WR_ROUTE_SENT : WR_ROUTE_FAILOVER);
            if (m.home_ns == WR_NEVER_NS)
                assert_true(route.home_boot_ns == WR_NEVER_NS);
            else
                assert_true(route.home_boot_ns >= m.home_ns && route.home_boot_ns < m.home_ns + WR_ROUTE_HOME_NS / 4); /* R4 */
        }
    }
}

/* Whatever a server names, only what is configured is found. */
static void only_what_is_configured_is_found(void **state) {
    (void)state;
    const struct wr_url urls[] = {
        {.host = "a.example.com", .port = 8883}, {.host = "a.example.com", .port = 8884}, {.host = "::1", .port = 1883}};
    static const struct {
        const char *reference;
        int present;
        int expected;
    } cases[] = {
        {"a.example.com", -1, 0},
        {"a.example.com", 0, 1}, /* not to itself while there is another */
        {"A.EXAMPLE.COM:8884", 0, 1},
        {"a.example.com:8885", 0, -1},
        {"b.example.com a.example.com:8883", -1, 0},
        {"[::1]:1883", -1, 2},
        {"[::1]", -1, 2},
        {"::1", -1, -1},
        {"", -1, -1},
        {"   ", -1, -1},
        {"a.example.com/x", -1, -1},
        {"mqtt://a.example.com", -1, -1},
        {"a.example.com:8883:8883", -1, -1},
        {"a.example.com.evil.org", -1, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(wr_route_find(urls, 3, cases[i].present, cases[i].reference, strlen(cases[i].reference)), cases[i].expected);
    assert_int_equal(wr_route_find(urls, 3, -1, "a.example.com\0:8884", 18), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_spread_and_stay),
        cmocka_unit_test(it_does_what_the_model_does),
        cmocka_unit_test(only_what_is_configured_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
