/* A session with nobody behind it: the test is its uplink, and reads its events. tests/support/mqtt_peer.h and broker.h are whom it may connect to.
 *
 * Threads: the test's. Ownership: close frees what open made. Errors: what fails, and what does not come within a time far above what it takes, fails the test.
 */
#ifndef WEIR_TESTS_SUPPORT_SESSION_ALONE_H
#define WEIR_TESTS_SUPPORT_SESSION_ALONE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "transport/session.h"

#define SESSION_ALONE_PATIENCE_NS (20 * WR_NS_PER_S)

struct session_alone {
    struct wr_session *session;
    struct wr_channel *events;
};

/* Of node gw-7, to no broker yet. */
static inline struct wr_session_config session_alone_config(void) {
    return (struct wr_session_config){
        .client_id = "gw-7", .keepalive_s = 30, .connect_timeout_ns = 15 * WR_NS_PER_S, .window = 8, .clock = wr_clock_real()};
}

/* To a port of this machine, without TLS. */
static inline struct wr_session_config session_alone_config_plain(uint16_t port, uint8_t version) {
    struct wr_session_config config = session_alone_config();
    config.version = version;
    config.n_brokers = 1;
    config.brokers[0] = (struct wr_url){.host = "127.0.0.1", .numeric = true, .port = port};
    return config;
}

static inline void session_alone_open(struct session_alone *alone, const struct wr_session_config *config) {
    struct wr_session_config with_events = *config;
    struct wr_channel_options options = {.name = "events",
                                         .capacity = WR_SESSION_EVENTS(config->window),
                                         .element_bytes = sizeof(struct wr_session_event),
                                         .policy = WR_CHANNEL_REJECT};
    assert_int_equal(wr_channel_new(&options, &alone->events, NULL), WR_OK);
    with_events.events = alone->events;
    assert_int_equal(wr_session_new(&with_events, &alone->session, NULL), WR_OK);
}

static inline void session_alone_close(struct session_alone *alone) {
    wr_session_free(alone->session);
    wr_channel_free(alone->events);
}

/* The next event but DIALLED. */
static inline struct wr_session_event session_alone_next(struct session_alone *alone) {
    struct wr_session_event event;
    do {
        if (wr_channel_recv(alone->events, &event, wr_clock_boot_ns(wr_clock_real()) + SESSION_ALONE_PATIENCE_NS) != WR_OK)
            fail_msg("no event came");
    } while (event.kind == WR_SESSION_DIALLED);
    return event;
}

#endif
