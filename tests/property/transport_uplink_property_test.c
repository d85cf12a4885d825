/* Whole outages on virtual time: the uplink's step function between a fake session and a fake store that lose, refuse, delay, stall and
 * restart at random. A model of the broker and of the store checks the invariants of transport/uplink.h at each step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/random.h"
#include "transport/uplink.h"

#define ROUNDS 20
#define SEGMENTS 400
#define QUEUE 512
#define WINDOW 12
#define WINDOW_BYTES 20000u
#define LARGE 9000 /* body of a segment above the server's maximum packet size */
#define MAX_PACKET 6000u
#define SUBSCRIBE_RETRY_NS (20 * WR_NS_PER_S)
#define BROKERS 3
#define DAY_NS (86400 * WR_NS_PER_S)
#define DAYS 20000      /* since 1970 */
#define LOST_TO_DOUBT 3 /* connections in a row that end without a SUBACK */

/* What the broker makes of a subscription to commands. */
enum ear { NOT_WANTED, MIXED, HANGS_UP, EARS };
enum subscription { NOT_ASKED, ASKED, GRANTED, REFUSED };

struct stored {
    int64_t seq;
    uint8_t lane;
    uint32_t bytes;
    bool poison; /* always refused */
    bool deadly; /* the broker hangs up over it, always */
    bool acked;
    bool parked;
    bool handed;    /* given to the uplink, not yet published */
    bool at_broker; /* PUBACK sent by the fake broker */
    unsigned published;
    unsigned refused; /* since the last restart */
};

struct in_flight {
    uint64_t id;
    int64_t seq; /* 0: state or direct */
    uint32_t bytes;
    int64_t answer_ns; /* WR_NEVER_NS: the broker stays silent */
};

struct world {
    struct wr_random dice;
    struct wr_uplink *uplink;
    struct wr_now now;
    /* the store */
    struct stored stored[SEGMENTS + 1]; /* by seq */
    int64_t committed;
    int64_t start_seq;
    int64_t offered[WR_LANES];
    struct wr_uplink_request requests[QUEUE];
    size_t n_requests;
    /* the session */
    uint64_t connection;
    unsigned broker;
    unsigned dead; /* this one never answers */
    unsigned moves;
    bool scheduled;
    uint64_t day_bytes;                             /* budget; 0: none */
    struct wr_budget_count kept[WR_BUDGET_PERIODS]; /* of the store */
    uint64_t wire_bytes;                            /* of this uplink */
    bool connecting;
    bool connected;
    int64_t connect_ns;
    struct in_flight flight[WR_UPLINK_WINDOW_MAX];
    size_t n_flight;
    uint32_t flight_bytes;
    /* what was seen */
    bool online;
    unsigned losses;
    uint64_t last_ticket;
    uint64_t void_tickets; /* up to this one */
    unsigned direct_given;
    unsigned direct_done;
    /* commands */
    enum ear ear;
    enum subscription subscription; /* of this connection */
    int64_t suback_ns;
    int64_t not_before_ns; /* the next one after a refusal, or after too many ends */
    unsigned ends;         /* in a row, without a SUBACK */
    unsigned granted;
    unsigned doubted;
    unsigned answers_given; /* to this uplink */
    unsigned answers_done;
    int64_t newest[2][WR_LANES]; /* highest first publish of a connection, per cursor class */
};

static uint64_t rnd(struct world *w) {
    return wr_random_u64(&w->dice);
}

static bool chance(struct world *w, unsigned percent) {
    return rnd(w) % 100 < percent;
}

static void commit_next(struct world *w) {
    if (w->committed == SEGMENTS)
        return;
    int64_t seq = ++w->committed;
    uint8_t lane = chance(w, 15) ? WR_LANE_ALARMS : (uint8_t)(1 + rnd(w) % 3);
    w->stored[seq] =
        (struct stored){.seq = seq, .lane = lane, .bytes = chance(w, 2) ? LARGE : 1 + (uint32_t)(rnd(w) % 4000), .poison = chance(w, 2)};
    w->stored[seq].deadly = lane != WR_LANE_ALARMS && !w->stored[seq].poison && rnd(w) % 200 == 0;
}

static void tell(struct world *w, struct wr_uplink_reply *reply) {
    size_t bytes = reply->segment.body_len + 100;
    wr_uplink_on_store(w->uplink, &w->now, reply, bytes, WR_OK);
}

static void answer_get(struct world *w, const struct wr_uplink_request *get) {
    uint32_t given = 0;
    int64_t last = get->last < w->committed ? get->last : w->committed;
    for (int64_t seq = get->first; seq <= last && given < get->max_segments; seq++) {
        const struct stored *s = &w->stored[seq];
        if (s->lane != get->lane || s->acked || s->parked)
            continue;
        struct wr_uplink_reply reply = {.kind = WR_UPLINK_SEGMENT, .lane = get->lane, .cursor = get->cursor, .ticket = get->ticket};
        reply.segment =
            (struct wr_segment){.epoch = 7, .seq = seq, .lane = s->lane, .n = 1, .body = calloc(1, s->bytes), .body_len = s->bytes};
        assert_non_null(reply.segment.body);
        /* One that waits for its retry is passed over by a cursor, and a GET of an earlier connection is void. */
        bool wanted = get->ticket > w->void_tickets && ((s->refused == 0 && s->published == 0) || get->cursor == WR_CURSOR_RETRY);
        w->stored[seq].handed |= wanted && s->bytes != LARGE;
        tell(w, &reply);
        assert_null(reply.segment.body);
        given++;
    }
    tell(w, &(struct wr_uplink_reply){.kind = WR_UPLINK_DONE, .lane = get->lane, .cursor = get->cursor, .ticket = get->ticket});
}

static void store_turn(struct world *w) {
    if (w->n_requests == 0)
        return;
    struct wr_uplink_request request = w->requests[0];
    memmove(w->requests, w->requests + 1, --w->n_requests * sizeof request);
    switch ((enum wr_uplink_request_kind)request.kind) {
    case WR_UPLINK_GET:
        answer_get(w, &request);
        break;
    case WR_UPLINK_OFFER:
        assert_true(request.last > w->offered[request.lane]);
        w->offered[request.lane] = request.last;
        tell(w, &(struct wr_uplink_reply){.kind = WR_UPLINK_OFFERED, .lane = request.lane, .seq = request.last});
        break;
    case WR_UPLINK_ACK:
        assert_int_equal(request.first, request.last);
        assert_int_equal(request.lane, w->stored[request.first].lane);
        assert_true(w->stored[request.first].at_broker); /* U1 */
        w->stored[request.first].acked = true;
        break;
    case WR_UPLINK_PARK:
        assert_true(w->stored[request.first].poison || w->stored[request.first].deadly || w->stored[request.first].bytes == LARGE);
        w->stored[request.first].parked = true;
        break;
    case WR_UPLINK_COUNT:
        assert_true(w->day_bytes > 0);
        assert_true(request.count.begins_wall_ns > w->kept[request.lane].begins_wall_ns || /* U13 */
                    request.count.spent > w->kept[request.lane].spent);
        w->kept[request.lane] = request.count;
        break;
    }
}

static void session_event(struct world *w, enum wr_session_event_kind kind, uint64_t id, uint8_t reason) {
    struct wr_session_event event = {.kind = (uint8_t)kind,
                                     .reason = reason,
                                     .connection = w->connection,
                                     .id = id,
                                     .sent_to = (uint8_t)(rnd(w) % (BROKERS + 2)),
                                     .receive_max = WINDOW - 2,
                                     .max_packet_bytes = MAX_PACKET};
    wr_uplink_on_session(w->uplink, &w->now, rnd(w), &event);
}

static void forget_handed(struct world *w) {
    for (int64_t seq = 1; seq <= SEGMENTS; seq++)
        w->stored[seq].handed = false;
    w->void_tickets = w->last_ticket;
}

/* The model of what is learnt from a connection that ends. */
static void subscription_over(struct world *w) {
    if (w->subscription == ASKED) {
        w->ends += w->ends < LOST_TO_DOUBT;
        if (w->ends == LOST_TO_DOUBT) {
            w->not_before_ns = w->now.boot_ns + SUBSCRIBE_RETRY_NS;
            w->doubted++;
        }
    }
    w->subscription = NOT_ASKED;
}

static void lose(struct world *w) {
    forget_handed(w);
    subscription_over(w);
    if (chance(w, 50)) { /* some acknowledgements were on their way and are lost with it */
        for (size_t i = 0; i < w->n_flight; i++) {
            if (w->flight[i].seq != 0 && chance(w, 50))
                w->stored[w->flight[i].seq].published++;
        }
    }
    session_event(w, WR_SESSION_LOST, 0, 0);
    w->connected = false;
    w->connecting = false;
    w->n_flight = 0;
    w->flight_bytes = 0;
    w->losses++;
}

static void suback_turn(struct world *w, bool quiet) {
    if (w->subscription != ASKED || w->now.boot_ns < w->suback_ns)
        return;
    if (w->ear == HANGS_UP || (!quiet && chance(w, 10))) {
        lose(w);
        return;
    }
    bool refuse = !quiet && chance(w, 30);
    w->ends = 0;
    w->granted += !refuse;
    w->subscription = refuse ? REFUSED : GRANTED;
    w->not_before_ns = refuse ? w->now.boot_ns + SUBSCRIBE_RETRY_NS : 0;
    session_event(w, WR_SESSION_SUBSCRIBED, 0, refuse ? 0x87 : (uint8_t)(rnd(w) % 2));
}

/* U7: at the latest before the birth, and never twice at once. */
static void subscribe(struct world *w, bool quiet) {
    assert_true(w->connected && w->ear != NOT_WANTED);
    assert_true(w->subscription == NOT_ASKED || w->subscription == REFUSED);
    assert_true((w->subscription == NOT_ASKED && w->ends < LOST_TO_DOUBT) || w->now.boot_ns >= w->not_before_ns);
    w->subscription = ASKED;
    w->suback_ns = !quiet && chance(w, 2) ? WR_NEVER_NS : w->now.boot_ns + (int64_t)(rnd(w) % (80 * WR_NS_PER_MS));
}

static bool asked_or_in_doubt(const struct world *w) {
    return w->ear == NOT_WANTED || w->subscription != NOT_ASKED || (w->ends == LOST_TO_DOUBT && w->now.boot_ns < w->not_before_ns);
}

static void broker_turn(struct world *w, bool quiet) {
    suback_turn(w, quiet);
    if (w->connecting && w->now.boot_ns >= w->connect_ns) {
        w->connecting = false;
        if (w->broker == w->dead || (!quiet && chance(w, 40))) {
            session_event(w, WR_SESSION_FAILED, 0, chance(w, 20) ? 0x9C : 0);
            return;
        }
        session_event(w, WR_SESSION_DIALLED, 0, 0);
        session_event(w, WR_SESSION_CONNECTED, 0, 0);
        w->connected = true;
        memset(w->newest, 0, sizeof w->newest);
    }
    for (size_t i = 0; w->connected && i < w->n_flight;) {
        struct in_flight f = w->flight[i];
        if (f.answer_ns > w->now.boot_ns) {
            i++;
            continue;
        }
        w->flight[i] = w->flight[--w->n_flight];
        w->flight_bytes -= f.bytes;
        if (w->stored[f.seq].deadly) {
            w->stored[f.seq].refused++;
            lose(w);
            return;
        }
        bool refuse = f.seq != 0 && (w->stored[f.seq].poison || (!quiet && chance(w, 3)));
        if (refuse && !w->stored[f.seq].poison && w->stored[f.seq].refused > 2)
            refuse = false; /* only poison is refused five times */
        if (f.seq != 0 && !refuse)
            w->stored[f.seq].at_broker = true;
        if (refuse)
            assert_true(++w->stored[f.seq].refused <= WR_UPLINK_REFUSALS_TO_PARK + 1); /* one more when a GET overtook the PARK */
        const uint8_t reason = w->stored[f.seq].poison ? 0x99 : chance(w, 50) ? 0x97 : 0x83;
        session_event(w, refuse ? WR_SESSION_REFUSED : WR_SESSION_DELIVERED, f.id, refuse ? reason : chance(w, 10) ? 0x10 : 0);
    }
    if (w->connected && !quiet && chance(w, 1))
        lose(w);
}

/* U12: what a tight budget keeps back is not asked for. */
static void check_get(const struct world *w, const struct wr_uplink_request *get) {
    struct wr_uplink_stats stats;
    wr_uplink_stats(w->uplink, &stats);
    if (get->lane <= WR_LANE_CHANGES || get->cursor == WR_CURSOR_RETRY)
        return;
    assert_true(stats.budget_level < WR_BUDGET_SPENT);
    assert_true(stats.budget_level < WR_BUDGET_SPARING || get->cursor == WR_CURSOR_LIVE);
    assert_true(stats.budget_level < WR_BUDGET_SLOW || get->max_segments == 1);
}

static void publish(struct world *w, uint64_t id, const struct wr_segment *segment, uint32_t bytes, bool quiet) {
    assert_true(w->connected);
    w->flight[w->n_flight++] = (struct in_flight){
        .id = id,
        .seq = segment != NULL ? segment->seq : 0,
        .bytes = bytes,
        .answer_ns = !quiet && chance(w, 1) ? WR_NEVER_NS : wr_clock_add_ns(w->now.boot_ns, (int64_t)(rnd(w) % (80 * WR_NS_PER_MS))),
    };
    w->flight_bytes += bytes;
    w->wire_bytes += bytes + 100;
    assert_true(w->n_flight <= WINDOW - 2); /* U2: the server's receive maximum */
    assert_true(w->flight_bytes <= WINDOW_BYTES || w->n_flight == 1 || w->flight_bytes == bytes);
    if (segment == NULL)
        return;
    struct stored *s = &w->stored[segment->seq];
    assert_false((s->acked || s->parked) &&
                 s->refused == 0); /* its retry ended while a cursor's GET that covers it was under way: once more (uplink_messages.h) */
    assert_true(s->bytes != LARGE);
    assert_true(segment->seq <= w->offered[s->lane]); /* U3 */
    s->handed = false;
    for (int64_t seq = 1; s->lane != WR_LANE_ALARMS && seq <= w->offered[WR_LANE_ALARMS] && seq <= SEGMENTS; seq++)
        assert_false(w->stored[seq].handed && w->stored[seq].lane == WR_LANE_ALARMS); /* U5 */
    bool live = segment->seq > w->start_seq;
    if (s->published++ == 0) {
        assert_true(segment->seq > w->newest[live][s->lane]); /* U4 */
        w->newest[live][s->lane] = segment->seq;
    }
}

static void take_actions(struct world *w, bool quiet) {
    struct wr_uplink_action action;
    unsigned guard = 0;
    while (wr_uplink_next(w->uplink, &w->now, rnd(w), &action)) {
        assert_true(guard++ < 10000);
        switch ((enum wr_uplink_action_kind)action.kind) {
        case WR_UPLINK_ACT_CONNECT:
            assert_false(w->connected || w->connecting);
            w->moves += action.broker != w->broker;
            w->broker = action.broker;
            assert_true(w->broker < BROKERS);
            w->connection = action.connection;
            w->connecting = true;
            w->connect_ns = w->now.boot_ns + (int64_t)(rnd(w) % (200 * WR_NS_PER_MS));
            break;
        case WR_UPLINK_ACT_CLOSE:
            forget_handed(w);
            subscription_over(w);
            w->connected = false;
            w->connecting = false;
            w->n_flight = 0;
            w->flight_bytes = 0;
            w->losses++;
            break;
        case WR_UPLINK_ACT_SUBSCRIBE:
            subscribe(w, quiet);
            break;
        case WR_UPLINK_ACT_BIRTH:
            assert_true(!action.online || asked_or_in_doubt(w));
            publish(w, action.id, NULL, 0, quiet);
            break;
        case WR_UPLINK_ACT_PUBLISH:
            publish(w, action.id, action.segment, (uint32_t)action.segment->body_len, quiet);
            break;
        case WR_UPLINK_ACT_DIRECT:
            publish(w, action.id, NULL, (uint32_t)action.direct->payload_len, quiet);
            break;
        case WR_UPLINK_ACT_DIRECT_DONE:
            if ((action.id & WR_UPLINK_ANSWER) != 0)
                w->answers_done++;
            else
                w->direct_done++;
            break;
        case WR_UPLINK_ACT_REQUEST:
            assert_true(w->n_requests < WR_UPLINK_REQUESTS(WINDOW));
            w->requests[w->n_requests++] = action.request;
            if (action.request.kind == WR_UPLINK_GET) {
                check_get(w, &action.request);
                w->last_ticket = action.request.ticket;
            }
            break;
        }
        assert_true(wr_uplink_is_valid(w->uplink));
    }
}

static void ready(struct world *w) {
    struct wr_uplink_reply reply = {.kind = WR_UPLINK_READY, .epoch = 7, .seq = w->committed};
    memcpy(reply.offered, w->offered, sizeof w->offered);
    w->start_seq = w->committed;
    for (uint8_t i = 0; i < WR_BUDGET_PERIODS; i++)
        tell(w, &(struct wr_uplink_reply){.kind = WR_UPLINK_COUNTED, .lane = i, .count = w->kept[i]});
    tell(w, &reply);
}

static void start(struct world *w) {
    struct wr_uplink_config config = wr_uplink_defaults();
    config.window = WINDOW;
    config.window_bytes = WINDOW_BYTES;
    config.commands = w->ear != NOT_WANTED;
    config.subscribe_retry_ns = SUBSCRIBE_RETRY_NS;
    wr_route_init(&config.route, "gw-7", (struct wr_url[BROKERS]){{.host = "a"}, {.host = "b"}, {.host = "c"}}, BROKERS);
    w->dead = config.route.order[rnd(w) % BROKERS];
    if (w->scheduled)
        wr_link_schedule_init(&config.schedule, "gw-7", 60 * WR_NS_PER_S, 20 * WR_NS_PER_S);
    config.schedule.start_boot_ns = w->now.boot_ns;
    config.budget_bytes[WR_BUDGET_DAY] = w->day_bytes;
    w->wire_bytes = 0;
    assert_int_equal(wr_uplink_new(&config, &w->uplink, NULL), WR_OK);
}

static void restart(struct world *w) {
    for (int64_t seq = 1; seq <= SEGMENTS; seq++)
        w->stored[seq].refused = 0;
    wr_uplink_free(w->uplink);
    forget_handed(w);
    w->connected = w->connecting = false;
    w->n_flight = 0;
    w->flight_bytes = 0;
    w->n_requests = 0;
    w->last_ticket = w->void_tickets = 0;
    w->connection = 0;
    w->subscription = NOT_ASKED;
    w->ends = 0;
    w->direct_given = w->direct_done = w->answers_given = w->answers_done = 0;
    start(w);
    ready(w);
}

/* What the broker hangs up over is only parked while others go: the last of it may be tried for ever. */
static bool all_done(const struct world *w, bool deadly) {
    for (int64_t seq = 1; seq <= SEGMENTS; seq++) {
        if (!w->stored[seq].acked && !w->stored[seq].parked && w->stored[seq].deadly == deadly)
            return false;
    }
    return true;
}

/* U8: each sort finds its own places, whatever the other holds. */
static void give_directs(struct world *w) {
    bool answer = chance(w, 50);
    unsigned open = answer ? w->answers_given - w->answers_done : w->direct_given - w->direct_done;
    bool room = answer ? wr_uplink_answer_room(w->uplink) : wr_uplink_direct_room(w->uplink);
    assert_int_equal(room, open < (answer ? WR_UPLINK_ANSWERS : WR_UPLINK_DIRECT));
    uint64_t id = answer ? WR_UPLINK_ANSWER | (w->answers_given + 1) : w->direct_given + 1;
    struct wr_uplink_direct direct = {.id = id, .topic = "t", .payload = malloc(10), .payload_len = 10, .qos = 1};
    assert_non_null(direct.payload);
    assert_int_equal(wr_uplink_on_direct(w->uplink, &direct), room);
    free(direct.payload);
    w->answers_given += room && answer;
    w->direct_given += room && !answer;
}

static void directs_are_counted(const struct world *w) {
    struct wr_uplink_stats stats;
    wr_uplink_stats(w->uplink, &stats);
    assert_int_equal(stats.answers + stats.answers_dropped, w->answers_done);
    assert_int_equal(stats.direct_dropped, 0);
}

static void pass(struct world *w, int64_t ns) {
    w->now.boot_ns += ns;
    w->now.wall_ns += ns;
}

static void pass_until(struct world *w, int64_t boot_ns) {
    if (boot_ns != WR_NEVER_NS && boot_ns > w->now.boot_ns)
        pass(w, boot_ns - w->now.boot_ns);
}

static void run(uint64_t seed, bool restarts, enum ear ear) {
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->dice.state = seed;
    w->ear = ear;
    w->scheduled = chance(w, 30);
    w->day_bytes = chance(w, 40) ? 200000 + rnd(w) % 600000 : 0;
    w->now = (struct wr_now){.boot_ns = WR_NS_PER_S, .wall_ns = DAYS * DAY_NS + (int64_t)(rnd(w) % DAY_NS), .wall_trusted = true};
    start(w);
    for (int i = 0; i < SEGMENTS / 3; i++)
        commit_next(w);
    ready(w);
    for (unsigned step = 0; step < 400000 && !(w->committed == SEGMENTS && all_done(w, false)); step++) {
        bool quiet = w->committed == SEGMENTS && step > 20000; /* in the end the world heals */
        if (chance(w, 1))                                      /* an imprecise one does no harm */
            tell(w, &(struct wr_uplink_reply){.kind = WR_UPLINK_AVAILABLE, .lane = (uint8_t)(rnd(w) % WR_LANES), .seq = w->committed});
        if (chance(w, 3)) {
            commit_next(w);
            tell(w, &(struct wr_uplink_reply){.kind = WR_UPLINK_AVAILABLE, .lane = w->stored[w->committed].lane, .seq = w->committed});
        }
        if (chance(w, 70))
            store_turn(w);
        broker_turn(w, quiet);
        if (!quiet && restarts && rnd(w) % 2000 == 0)
            restart(w);
        if (chance(w, 1) && w->connection > 1) { /* echoes of a connection that was given up */
            struct wr_session_event echo = {.kind = (uint8_t)(rnd(w) % 7), .connection = w->connection - 1, .id = rnd(w) % 1000};
            wr_uplink_on_session(w->uplink, &w->now, rnd(w), &echo);
        }
        if (chance(w, 1))
            give_directs(w);
        wr_uplink_on_wire(w->uplink, &w->now, w->wire_bytes);
        take_actions(w, quiet);
        pass(w, (int64_t)(rnd(w) % (10 * WR_NS_PER_MS)));
        if (chance(w, 1)) /* and now and then straight to the next timer */
            pass_until(w, wr_uplink_wake_ns(w->uplink));
        if (w->day_bytes > 0 && rnd(w) % 1000 == 0) /* a tight budget needs its time */
            pass(w, (int64_t)(rnd(w) % DAY_NS));
    }
    assert_true(all_done(w, false)); /* U6 */
    assert_true(w->moves > 0);
    assert_true(ear != MIXED || w->granted > 0);
    assert_true(ear != HANGS_UP || w->doubted > 0);
    for (int64_t seq = 1; seq <= SEGMENTS; seq++) {
        const struct stored *s = &w->stored[seq];
        assert_true(s->acked ? s->at_broker : s->poison || s->deadly || s->bytes == LARGE);
        assert_false((s->poison || s->deadly) && s->acked);
    }
    for (int i = 0; i < 50; i++) { /* whatever was under way */
        take_actions(w, true);
        store_turn(w);
    }
    assert_true(w->n_requests == 0 || !all_done(w, true)); /* an idle uplink asks for nothing */
    wr_uplink_on_stop(w->uplink, &w->now, w->now.boot_ns + WR_NS_PER_S);
    for (int i = 0; i < 1000 && wr_uplink_state(w->uplink) != WR_UPLINK_STOPPED; i++) {
        take_actions(w, true);
        broker_turn(w, true);
        store_turn(w);
        w->now.boot_ns += 10 * WR_NS_PER_MS;
    }
    assert_int_equal(wr_uplink_state(w->uplink), WR_UPLINK_STOPPED);
    directs_are_counted(w);
    wr_uplink_free(w->uplink);
    free(w);
}

static void outages_lose_nothing(void **state) {
    (void)state;
    struct wr_random dice = wr_random_begin();
    for (unsigned round = 0; round < ROUNDS; round++)
        run(wr_random_u64(&dice), round % 4 == 0, (enum ear)(round % EARS));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(outages_lose_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
