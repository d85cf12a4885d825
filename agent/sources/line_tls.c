/* Connections that shake hands before they are read.
 *
 *   SILENT ── first bytes ──► SHAKING ── done ──► OPEN
 *      └───── no place free ──► WAITING ──► SHAKING
 * SILENT: accepted, costs as little as a plain connection. WAITING: has said something, but as many others shake hands as may at once. SHAKING: has its memory
 * of mbedTLS. OPEN: line_connection.c reads from it, through the table of functions that it has for every connection.
 *
 * A handshake is some milliseconds of computing. So it is done in steps, one in each pass of the loop, in turn: between two steps everybody
 * else is read. None of them is waited for: who does not come on in ten seconds, or in two when others wait for its place, is closed.
 *
 * When the source has no connection left, one that has not finished gives way to the newcomer, or silent clients could keep all others out. Who
 * shakes hands has two seconds for it even then: else, with more clients than connections, each would push out the one before it, and none get in.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/sources/line_source_private.h"
#include "core/log.h"

#define AHEAD_BYTES (WR_LINE_READ_BYTES - WR_TLS_RECORD_BYTES)

struct wr_line_tls_limits wr_line_tls_limits = {.handshake_ns = 10 * WR_NS_PER_S, .contended_ns = 2 * WR_NS_PER_S, .handshakes = 64};

enum state { SILENT, WAITING, SHAKING, OPEN };

struct wr_line_tls {
    struct wr_line_connection *connection;
    struct wr_tls_stream *stream; /* SHAKING and OPEN */
    enum state state;
    int64_t since_boot_ns;   /* in this state */
    struct wr_link in_state; /* the ring of its state, the oldest first */
    struct wr_link in_turn;  /* SHAKING, and can go on */
};

struct wr_line_tls_side {
    struct wr_line_source *source;
    struct wr_tls_server *server;
    struct wr_link rings[OPEN];
    struct wr_link turns;
    unsigned n_shaking;
    struct event turn;
    struct event deadline;
    char ahead[AHEAD_BYTES];
};

static struct wr_line_tls_side *side_of(const struct wr_line_tls *tls) {
    return tls->connection->owner->tls;
}

static struct wr_intake_counters *counters_of(const struct wr_line_tls_side *side) {
    return side->source->source.env.counters;
}

static void one_more(_Atomic uint64_t *counter) {
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* -- reading an open one -------------------------------------------------------------------------------------------------------------------- */

/* Takes all that the socket has, so that nothing stays in mbedTLS where no event would tell of it. */
static struct wr_line_got read_tls(struct wr_line_connection *connection, size_t most) {
    (void)most;
    struct wr_line_source *source = connection->owner;
    struct wr_tls_stream *stream = connection->tls->stream;
    struct wr_line_got got = {0, WR_LINE_GOES_ON};
    struct wr_error err = {0};
    const enum wr_result result =
        wr_tls_read_all(stream, source->tls->ahead, AHEAD_BYTES, source->buffer, sizeof source->buffer, &got.n, &err);
    if (result == WR_EMPTY)
        return got;
    got.end = result == WR_CLOSED && wr_tls_said_goodbye(stream) ? WR_LINE_ENDS : WR_LINE_BREAKS;
    if (result != WR_CLOSED) {
        char peer[64];
        wr_line_connection_peer(connection, peer, sizeof peer);
        WR_LOG_WITH(WR_LOG_WARN, "line", "TLS connection broken", WR_LOG_STR("source", source->source.env.config->name),
                    WR_LOG_STR("from", peer), WR_LOG_ERR(&err));
    }
    return got;
}

/* -- deadlines ------------------------------------------------------------------------------------------------------------------------------- */

static struct wr_line_tls *oldest(struct wr_line_tls_side *side, enum state state) {
    struct wr_link *ring = &side->rings[state];
    return wr_link_alone(ring) ? NULL : WR_LINK_OWNER(ring->next, struct wr_line_tls, in_state);
}

static int64_t allowed_ns(struct wr_line_tls_side *side, enum state state) {
    const bool contended = state == SHAKING && !wr_link_alone(&side->rings[WAITING]);
    return contended ? wr_line_tls_limits.contended_ns : wr_line_tls_limits.handshake_ns;
}

/* Sets the timer to the first deadline that there is. */
static void arm(struct wr_line_tls_side *side) {
    int64_t first_ns = WR_NEVER_NS;
    for (enum state state = SILENT; state <= SHAKING; state++) {
        const struct wr_line_tls *tls = state == WAITING ? NULL : oldest(side, state);
        if (tls && tls->since_boot_ns + allowed_ns(side, state) < first_ns)
            first_ns = tls->since_boot_ns + allowed_ns(side, state);
    }
    if (first_ns == WR_NEVER_NS)
        return;
    int64_t left_us = (first_ns - wr_clock_boot_ns(wr_clock_real())) / WR_NS_PER_US + 1;
    if (left_us < 0)
        left_us = 0;
    const struct timeval left = {.tv_sec = (time_t)(left_us / 1000000), .tv_usec = (suseconds_t)(left_us % 1000000)};
    event_add(&side->deadline, &left);
}

static void enter(struct wr_line_tls *tls, enum state state) {
    struct wr_line_tls_side *side = side_of(tls);
    if (tls->state == SHAKING && state != SHAKING)
        side->n_shaking--;
    else if (tls->state != SHAKING && state == SHAKING)
        side->n_shaking++;
    tls->state = state;
    tls->since_boot_ns = wr_clock_boot_ns(wr_clock_real());
    wr_link_remove(&tls->in_turn);
    if (state == OPEN)
        wr_link_remove(&tls->in_state);
    else
        wr_link_append(&side->rings[state], &tls->in_state);
    if (state == WAITING || !event_pending(&side->deadline, EV_TIMEOUT, NULL))
        arm(side); /* one that waits shortens the time of others */
}

/* -- shaking hands ---------------------------------------------------------------------------------------------------------------------------- */

static void on_event(evutil_socket_t fd, short what, void *user);
static void start(struct wr_line_tls *tls);

/* Those that wait have the places that are free now. */
static void start_waiting(struct wr_line_tls_side *side) {
    while (side->n_shaking < wr_line_tls_limits.handshakes && oldest(side, WAITING))
        start(oldest(side, WAITING));
}

static void fail(struct wr_line_tls *tls, const struct wr_error *err) {
    struct wr_line_tls_side *side = side_of(tls);
    char peer[64];
    wr_line_connection_peer(tls->connection, peer, sizeof peer);
    one_more(&counters_of(side)->handshakes_failed);
    WR_LOG_WITH(WR_LOG_WARN, "line", "TLS handshake failed", WR_LOG_STR("source", side->source->source.env.config->name),
                WR_LOG_STR("from", peer), WR_LOG_ERR(err));
    wr_line_connection_close(tls->connection);
}

static void wait_for(struct wr_line_tls *tls, short events) {
    struct wr_line_connection *connection = tls->connection;
    event_assign(&connection->readable, connection->owner->base, connection->fd, events, on_event, tls);
    if (event_add(&connection->readable, NULL) < 0) {
        struct wr_error err;
        (void)wr_error_set(&err, WR_NO_MEMORY, "no event for a connection");
        fail(tls, &err);
    }
}

static void next_turn(struct wr_line_tls_side *side) {
    const struct timeval at_once = {0, 0};
    if (!wr_link_alone(&side->turns))
        event_add(&side->turn, &at_once); /* a timer, so that sockets are looked at before */
}

static void start(struct wr_line_tls *tls) {
    struct wr_line_tls_side *side = side_of(tls);
    struct wr_error err = {0};
    if (wr_tls_accept(side->server, tls->connection->fd, &tls->stream, &err) != WR_OK) {
        fail(tls, &err);
        return;
    }
    enter(tls, SHAKING);
    wr_link_append(&side->turns, &tls->in_turn);
    next_turn(side);
}

static void on_event(evutil_socket_t fd, short what, void *user) {
    (void)fd, (void)what;
    struct wr_line_tls *tls = user;
    struct wr_line_tls_side *side = side_of(tls);
    if (tls->state == SHAKING) {
        wr_link_append(&side->turns, &tls->in_turn);
        next_turn(side);
    } else if (side->n_shaking < wr_line_tls_limits.handshakes && wr_link_alone(&side->rings[WAITING])) {
        start(tls);
    } else {
        enter(tls, WAITING);
    }
}

static void open_stream(struct wr_line_tls *tls) {
    struct wr_line_tls_side *side = side_of(tls);
    struct wr_tls_info info;
    wr_tls_info(tls->stream, &info);
    one_more(&counters_of(side)->handshakes);
    if (info.resumed)
        one_more(&counters_of(side)->handshakes_resumed);
    enter(tls, OPEN);
    wr_line_connection_assign(tls->connection);
    wr_line_connection_listen(tls->connection);
}

static void step(struct wr_line_tls *tls) {
    struct wr_error err = {0};
    switch (wr_tls_accept_step(tls->stream, &err)) {
    case WR_OK:
        open_stream(tls);
        break;
    case WR_BUSY:
        wr_link_append(&side_of(tls)->turns, &tls->in_turn);
        break;
    case WR_EMPTY:
        wait_for(tls, EV_READ);
        break;
    case WR_FULL:
        wait_for(tls, EV_WRITE);
        break;
    default:
        fail(tls, &err);
    }
}

static void on_turn(evutil_socket_t fd, short what, void *user) {
    (void)fd, (void)what;
    struct wr_line_tls_side *side = user;
    wr_intake_hand_over(&side->source->intake); /* what this pass has read does not wait for the computing */
    if (!wr_link_alone(&side->turns)) {
        struct wr_line_tls *tls = WR_LINK_OWNER(side->turns.next, struct wr_line_tls, in_turn);
        wr_link_remove(&tls->in_turn);
        step(tls);
    }
    start_waiting(side);
    next_turn(side);
}

static void on_deadline(evutil_socket_t fd, short what, void *user) {
    (void)fd, (void)what;
    struct wr_line_tls_side *side = user;
    const int64_t now_ns = wr_clock_boot_ns(wr_clock_real());
    for (enum state state = SILENT; state <= SHAKING; state++) {
        struct wr_line_tls *tls;
        while (state != WAITING && (tls = oldest(side, state)) && tls->since_boot_ns + allowed_ns(side, state) <= now_ns) {
            struct wr_error err;
            (void)wr_error_set(&err, WR_TIMEOUT,
                               state == SILENT ? "the client has said nothing for %d s"
                                               : "the client did not finish the TLS handshake in %d s",
                               (int)(allowed_ns(side, state) / WR_NS_PER_S));
            fail(tls, &err);
        }
    }
    start_waiting(side);
    arm(side);
}

static int64_t age_ns(const struct wr_line_tls *tls) {
    return tls ? wr_clock_boot_ns(wr_clock_real()) - tls->since_boot_ns : -1;
}

bool wr_line_tls_make_room(struct wr_line_source *source) {
    struct wr_line_tls_side *side = source->tls;
    if (!side)
        return false;
    struct wr_line_tls *silent = oldest(side, SILENT);
    struct wr_line_tls *waiting = oldest(side, WAITING);
    struct wr_line_tls *tls = oldest(side, SHAKING);
    if (age_ns(tls) < wr_line_tls_limits.contended_ns)
        tls = age_ns(silent) > age_ns(waiting) ? silent : waiting;
    if (!tls)
        return false;
    struct wr_error err;
    (void)wr_error_set(&err, WR_LIMIT, "max_connections are in use, and another client needs the place of one that has not finished");
    one_more(&counters_of(side)->connections_refused);
    fail(tls, &err);
    start_waiting(side);
    return true;
}

/* -- life ----------------------------------------------------------------------------------------------------------------------------------- */

/* Takes over what has changed in the files. */
static void refresh(struct wr_line_tls_side *side) {
    const char *name = side->source->source.env.config->name;
    const int64_t wall_ns = wr_clock_wall_ns(side->source->source.env.clock);
    struct wr_error err = {0};
    bool changed = false;
    if (wr_tls_server_refresh(side->server, &changed, &err) != WR_OK) {
        const bool usable = wr_tls_server_is_ready(side->server);
        WR_LOG_WITH(WR_LOG_ERROR, "line",
                    usable ? "the TLS files are not usable: the last good ones stay in use"
                           : "the TLS files are not usable: TLS connections are refused until they are",
                    WR_LOG_STR("source", name), WR_LOG_ERR(&err));
    }
    if (!changed)
        return;
    const int64_t expires_ns = wr_tls_server_expires_wall_ns(side->server);
    WR_LOG_WITH(expires_ns <= wall_ns ? WR_LOG_WARN : WR_LOG_INFO, "line",
                expires_ns <= wall_ns ? "the TLS certificate has expired: clients will refuse it" : "TLS certificate loaded",
                WR_LOG_STR("source", name), WR_LOG_INT("days_left", (expires_ns - wall_ns) / (86400 * WR_NS_PER_S)));
}

enum wr_result wr_line_tls_open(struct wr_line_source *source, struct wr_error *err) {
    const struct wr_config_tls *files = &source->source.env.config->tls;
    const struct wr_tls_config config = {.ca = files->ca, .cert = files->cert, .key = files->key, .crl = files->crl};
    struct wr_line_tls_side *side = calloc(1, sizeof *side);
    if (!side)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for TLS");
    const enum wr_result result = wr_tls_server_new(&config, source->source.env.clock, &side->server, err);
    if (result != WR_OK) {
        free(side);
        return result;
    }
    side->source = source;
    for (enum state state = SILENT; state < OPEN; state++)
        wr_link_init(&side->rings[state]);
    wr_link_init(&side->turns);
    event_assign(&side->turn, source->base, -1, 0, on_turn, side);
    event_assign(&side->deadline, source->base, -1, 0, on_deadline, side);
    source->tls = side;
    refresh(side);
    return WR_OK;
}

void wr_line_tls_close(struct wr_line_source *source) {
    struct wr_line_tls_side *side = source->tls;
    if (!side)
        return;
    event_del(&side->turn);
    event_del(&side->deadline);
    wr_tls_server_free(side->server);
    free(side);
    source->tls = NULL;
}

void wr_line_tls_begin(struct wr_line_connection *connection) {
    struct wr_line_tls_side *side = connection->owner->tls;
    struct wr_line_tls *tls = calloc(1, sizeof *tls);
    refresh(side);
    if (!tls || !wr_tls_server_is_ready(side->server)) {
        one_more(&counters_of(side)->connections_refused);
        free(tls);
        wr_line_connection_close(connection);
        return;
    }
    tls->connection = connection;
    tls->state = SILENT;
    wr_link_init(&tls->in_state);
    wr_link_init(&tls->in_turn);
    connection->tls = tls;
    connection->read = read_tls;
    enter(tls, SILENT);
    wait_for(tls, EV_READ);
}

void wr_line_tls_end(struct wr_line_connection *connection) {
    struct wr_line_tls *tls = connection->tls;
    if (!tls)
        return;
    if (tls->state == SHAKING)
        side_of(tls)->n_shaking--;
    wr_link_remove(&tls->in_state);
    wr_link_remove(&tls->in_turn);
    wr_tls_close(tls->stream);
    free(tls);
    connection->tls = NULL;
}

bool wr_line_tls_is_open(const struct wr_line_tls *tls) {
    return tls->state == OPEN;
}

size_t wr_line_tls_bytes(size_t connections) {
    const size_t shaking = connections < wr_line_tls_limits.handshakes ? connections : wr_line_tls_limits.handshakes;
    return sizeof(struct wr_line_tls_side) + WR_TLS_SERVER_BYTES + connections * (sizeof(struct wr_line_tls) + WR_TLS_SERVER_STREAM_BYTES) +
           shaking * WR_TLS_SERVER_HANDSHAKE_BYTES;
}
