/* The uplink's state machine with nobody behind it: the test is its clock, its session and its store. tests/support/uplink_bench.h has the whole uplink.
 *
 * Threads: the test's. Ownership: who makes the uplink frees it.
 */
#ifndef WEIR_TESTS_SUPPORT_UPLINK_ALONE_H
#define WEIR_TESTS_SUPPORT_UPLINK_ALONE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "transport/uplink.h"

struct uplink_alone {
    struct wr_uplink *uplink;
    struct wr_now now;
    struct wr_uplink_action action; /* the last */
    uint64_t connection;
};

static inline void uplink_alone_init(struct uplink_alone *alone, const struct wr_uplink_config *config, struct wr_now now) {
    *alone = (struct uplink_alone){.now = now};
    assert_int_equal(wr_uplink_new(config, &alone->uplink, NULL), WR_OK);
}

/* False: there is nothing to do now. */
static inline bool uplink_alone_next(struct uplink_alone *alone) {
    return wr_uplink_next(alone->uplink, &alone->now, 0, &alone->action);
}

static inline void uplink_alone_session(struct uplink_alone *alone, enum wr_session_event_kind kind, uint64_t id) {
    const struct wr_session_event event = {
        .kind = (uint8_t)kind, .connection = alone->connection, .id = id, .receive_max = 65535, .max_packet_bytes = UINT32_MAX};
    wr_uplink_on_session(alone->uplink, &alone->now, 0, &event);
}

static inline void uplink_alone_tell(struct uplink_alone *alone, struct wr_uplink_reply reply) {
    wr_uplink_on_store(alone->uplink, &alone->now, &reply, 100, WR_OK);
}

/* The store has no more for this GET. */
static inline void uplink_alone_done(struct uplink_alone *alone, const struct wr_uplink_request *get) {
    uplink_alone_tell(alone,
                      (struct wr_uplink_reply){.kind = WR_UPLINK_DONE, .lane = get->lane, .cursor = get->cursor, .ticket = get->ticket});
}

/* It wants to connect; from then until its birth has arrived. */
static inline void uplink_alone_connect(struct uplink_alone *alone) {
    assert_true(uplink_alone_next(alone));
    assert_int_equal(alone->action.kind, WR_UPLINK_ACT_CONNECT);
    alone->connection = alone->action.connection;
    uplink_alone_session(alone, WR_SESSION_DIALLED, 0);
    uplink_alone_session(alone, WR_SESSION_CONNECTED, 0);
    assert_true(uplink_alone_next(alone));
    assert_int_equal(alone->action.kind, WR_UPLINK_ACT_BIRTH);
    uplink_alone_session(alone, WR_SESSION_DELIVERED, alone->action.id);
}

#endif
