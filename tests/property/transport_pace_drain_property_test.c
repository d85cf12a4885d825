/* The pace of the drain on links of all kinds, as a queue and a delay: it fills a fast one, keeps the queue of a slow one short without leaving it idle, and finds
 * its way when the link changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/random.h"
#include "transport/pace_drain.h"

#define WINDOW 32
#define WINDOW_BYTES 1000000u

/* A link that carries bytes_per_ms, one message after the other, and answers rtt_ns later. */
struct link {
    double bytes_per_ns;
    int64_t rtt_ns;
    int64_t busy_until_ns;
    int64_t busy_ns; /* in all */
};

struct flight {
    int64_t published_ns[WINDOW];
    int64_t answered_ns[WINDOW];
    uint32_t bytes[WINDOW];
    unsigned from, n;
};

static uint32_t bytes_in_flight(const struct flight *flight) {
    uint32_t sum = 0;
    for (unsigned i = 0; i < flight->n; i++)
        sum += flight->bytes[(flight->from + i) % WINDOW];
    return sum;
}

static void publish(struct flight *flight, struct link *link, uint32_t bytes, int64_t now_ns) {
    const unsigned place = (flight->from + flight->n++) % WINDOW;
    const int64_t takes_ns = (int64_t)(bytes / link->bytes_per_ns);
    link->busy_until_ns = (link->busy_until_ns > now_ns ? link->busy_until_ns : now_ns) + takes_ns;
    link->busy_ns += takes_ns;
    flight->published_ns[place] = now_ns;
    flight->answered_ns[place] = link->busy_until_ns + link->rtt_ns;
    flight->bytes[place] = bytes;
}

/* A drain that always has something to send. Returns the worst latency after settle_ns. */
static int64_t drain(struct wr_pace_drain *pace, struct link *link, uint32_t bytes, int64_t *now_ns, int64_t settle_ns, int64_t end_ns) {
    struct flight flight = {0};
    int64_t worst_ns = 0;
    while (*now_ns < end_ns) {
        while (flight.n < pace->limit && (flight.n == 0 || bytes_in_flight(&flight) + bytes <= wr_pace_drain_bytes(pace, WINDOW_BYTES)))
            publish(&flight, link, bytes, *now_ns);
        const bool used = 2 * flight.n >= pace->limit || 2 * bytes_in_flight(&flight) >= wr_pace_drain_bytes(pace, WINDOW_BYTES);
        const unsigned place = flight.from;
        if (flight.answered_ns[place] > *now_ns)
            *now_ns = flight.answered_ns[place];
        flight.from = (flight.from + 1) % WINDOW;
        flight.n--;
        if (*now_ns >= settle_ns && *now_ns - flight.published_ns[place] > worst_ns)
            worst_ns = *now_ns - flight.published_ns[place];
        wr_pace_drain_acknowledged(pace, flight.published_ns[place], used, *now_ns);
        assert_true(wr_pace_drain_is_valid(pace)); /* P1 */
    }
    return worst_ns;
}

static void the_queue_is_short_and_the_link_is_busy(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    for (int round = 0; round < 200; round++) {
        const uint32_t bytes = 500 + (uint32_t)wr_random_below(&random, 60000);
        const double per_s = 5000.0 * (double)(UINT64_C(1) << wr_random_below(&random, 14)); /* 5 kB/s to 40 MB/s */
        struct link link = {.bytes_per_ns = per_s / 1e9, .rtt_ns = (int64_t)(1 + wr_random_below(&random, 600)) * WR_NS_PER_MS};
        struct wr_pace_drain pace = {0};
        int64_t now_ns = WR_NS_PER_S;
        wr_pace_drain_begin(&pace, WINDOW, now_ns);
        const int64_t one_ns = (int64_t)(bytes / link.bytes_per_ns);
        const int64_t start_ns = now_ns;
        const int64_t settle_ns = start_ns + 60 * WR_NS_PER_S;
        const int64_t end_ns = settle_ns + 200 * one_ns + 60 * WR_NS_PER_S;
        const int64_t worst_ns = drain(&pace, &link, bytes, &now_ns, settle_ns, end_ns);
        /* What a link needs for one, the queue, and what was under way when it was noticed: as much again, and the least that can be: four. */
        assert_true(worst_ns <= link.rtt_ns + 4 * one_ns + 2 * WR_PACE_QUEUE_NS);
        /* Of the time it could be busy: a window may be smaller than what the link holds. */
        const double holds = (double)WINDOW_BYTES < (double)bytes * WINDOW ? (double)WINDOW_BYTES - bytes : (double)bytes * WINDOW;
        const double best = holds / (double)(link.rtt_ns + one_ns) / link.bytes_per_ns;
        const double alone =
            (double)one_ns / (double)(one_ns + link.rtt_ns); /* one at a time, where a single one takes longer than the queue may be */
        const double busy = (double)link.busy_ns / (double)(now_ns - start_ns);
        const double could = best < 1 ? best : 1;
        assert_true(busy >= 0.6 * could || busy >= 0.95 * alone);
    }
}

/* No queue that can be seen: after five round trips the whole window is used. */
static void a_fast_link_has_the_whole_window(void **state) {
    (void)state;
    struct link link = {.bytes_per_ns = 1, .rtt_ns = 100000};
    struct wr_pace_drain pace = {0};
    int64_t now_ns = WR_NS_PER_S;
    wr_pace_drain_begin(&pace, WINDOW, now_ns);
    (void)drain(&pace, &link, 1000, &now_ns, 0, now_ns + 8 * (link.rtt_ns + 32 * 1000));
    assert_int_equal(pace.limit, WINDOW);
    assert_int_equal(pace.cuts, 0);
}

/* To a route that takes a second and a half more for everything: what the link needs is learnt again. */
static void another_route_is_learnt(void **state) {
    (void)state;
    struct link link = {.bytes_per_ns = 0.001, .rtt_ns = 20 * WR_NS_PER_MS};
    struct wr_pace_drain pace = {0};
    int64_t now_ns = WR_NS_PER_S;
    wr_pace_drain_begin(&pace, WINDOW, now_ns);
    (void)drain(&pace, &link, 1000, &now_ns, 0, now_ns + 60 * WR_NS_PER_S);
    assert_int_equal(pace.limit, WINDOW);
    link.rtt_ns += 1500 * WR_NS_PER_MS;
    (void)drain(&pace, &link, 1000, &now_ns, 0, now_ns + 60 * WR_NS_PER_S);
    assert_int_equal(pace.limit, 1);
    (void)drain(&pace, &link, 1000, &now_ns, 0, now_ns + 2 * WR_PACE_BASE_NS + 1000 * WR_NS_PER_S);
    assert_int_equal(pace.limit, WINDOW);
}

static void what_is_not_used_does_not_grow(void **state) {
    (void)state;
    struct wr_pace_drain pace = {0};
    wr_pace_drain_begin(&pace, WINDOW, 0);
    for (int64_t i = 1; i < 1000; i++)
        wr_pace_drain_acknowledged(&pace, i, false, i + 1);
    assert_int_equal(pace.limit, WR_PACE_START); /* P4 */
    wr_pace_drain_enough(&pace, 2000, 2001);
    wr_pace_drain_enough(&pace, 1999, 2002);
    assert_int_equal(pace.limit, WR_PACE_START / 2); /* P3 */
    wr_pace_drain_begin(&pace, 2, 0);
    assert_int_equal(pace.limit, 2);
}

/* P5, at random sizes and times: never more than the rate gives in the time and a second, and one message; and what may go is not held back for long. */
static void a_rate_is_kept(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    for (int round = 0; round < 100; round++) {
        struct wr_pace_rate rate = {.bytes_per_s = 1000 + wr_random_below(&random, 1000000)};
        const int64_t start_ns = 5 * WR_NS_PER_S;
        int64_t now_ns = start_ns;
        uint64_t sent = 0;
        for (int i = 0; i < 500; i++) {
            const uint64_t bytes = 1 + wr_random_below(&random, 65536);
            if (wr_pace_rate_ready_ns(&rate) > now_ns)
                now_ns = wr_pace_rate_ready_ns(&rate);
            if (wr_random_below(&random, 10) == 0)
                now_ns += (int64_t)wr_random_below(&random, 10 * WR_NS_PER_S);
            const double may = (double)rate.bytes_per_s * ((double)(now_ns - start_ns) / 1e9 + 1);
            assert_true((double)sent <= may + 1);
            wr_pace_rate_sent(&rate, bytes, now_ns);
            sent += bytes;
        }
    }
    struct wr_pace_rate none = {0};
    wr_pace_rate_sent(&none, 1000, 1);
    assert_int_equal(wr_pace_rate_ready_ns(&none), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_queue_is_short_and_the_link_is_busy),
        cmocka_unit_test(a_fast_link_has_the_whole_window),
        cmocka_unit_test(another_route_is_learnt),
        cmocka_unit_test(what_is_not_used_does_not_grow),
        cmocka_unit_test(a_rate_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
