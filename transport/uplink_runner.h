/* The uplink's thread: the thin loop that drives the step function with channels, a session and the clock.
 *
 * Promise: agent/ only connects channels: requests and replies to the store's thread, directs to the actions, commands and answers to whoever
 * carries commands out. The loop waits in one select over all of them, with the step function's next timer as its deadline; wait and turn
 * alternate, so that a simulation can take the turns. A stop ends it by its deadline: what is in flight may finish, the retained state says
 * "offline", the broker gets a DISCONNECT.
 * Each segment is published with its key as MQTT 5 user properties: node, epoch (16 hex digits), seq, t0_ns, t1_ns, n, lane, traceparent; with
 * MQTT 3.1.1 epoch and seq stand at the end of the topic.
 *
 * Threads: one of its own, and those of the session. new, stop, free from one thread; status from any. notify is called on the uplink's
 * thread and must not block. Ownership: the channels are the caller's, made for WR_UPLINK_REQUESTS(window) and WR_UPLINK_REPLIES(window)
 * elements with policy BLOCK, and outlive the runner. What lies in them at the end is the caller's to drain (their drop callback may free bodies).
 */
#ifndef WEIR_TRANSPORT_UPLINK_RUNNER_H
#define WEIR_TRANSPORT_UPLINK_RUNNER_H

#include "core/buf.h"
#include "core/channel.h"
#include "core/clock.h"
#include "core/result.h"
#include "transport/command_messages.h"
#include "transport/payload.h"
#include "transport/session.h"
#include "transport/topic.h"
#include "transport/uplink.h"
#include "transport/uplink_messages.h"

struct wr_uplink_runner;

enum wr_uplink_notice_kind {
    WR_UPLINK_NOTICE_STATE,       /* state changed from `from` to `to`; text: why, where something failed */
    WR_UPLINK_NOTICE_DIRECT_DONE, /* direct message `id`: delivered, or given up */
    WR_UPLINK_NOTICE_PARKED,      /* segment (lane, seq) was parked; text says why */
    WR_UPLINK_NOTICE_REFUSED,     /* the broker refuses messages, for a reason that was not told in this session: text */
    WR_UPLINK_NOTICE_COMMANDS,    /* commands are heard on this connection (`granted`); or they are not: text says why */
    WR_UPLINK_NOTICE_BUDGET,      /* the byte budget is tighter (enum wr_budget_level `to`) than it was since it was free last; or free again */
};

struct wr_uplink_notice {
    uint8_t kind; /* enum wr_uplink_notice_kind */
    uint8_t from; /* enum wr_uplink_state */
    uint8_t to;   /* likewise; BUDGET: enum wr_budget_level */
    uint8_t lane;
    bool delivered;
    bool granted;
    int64_t seq;
    uint64_t id;
    const char *text; /* never NULL; valid during the call */
};

struct wr_uplink_runner_config {
    struct wr_uplink_config uplink;   /* `commands` is filled in */
    struct wr_session_config session; /* window, events, clock, will, commands are filled in by the runner */
    struct wr_place place;
    enum wr_payload_format format; /* of windows; alarms, gaps and events are always JSON */
    /* Appends the segment's payload in a format that is not SEGMENT: agent/ decodes with the store's codec and encodes with transport/payload.h. Any
     * failure but WR_NO_MEMORY parks the segment. Called on the uplink's thread. */
    enum wr_result (*encode)(void *user, enum wr_payload_format format, const struct wr_segment *segment, struct wr_buf *into,
                             struct wr_error *err);
    void *encode_user;
    void (*notify)(void *user, const struct wr_uplink_notice *notice);
    void *notify_user;
    struct wr_channel *requests; /* of struct wr_uplink_request, sent */
    struct wr_channel *replies;  /* of struct wr_uplink_reply, received */
    struct wr_channel *directs;  /* of struct wr_uplink_direct, received; NULL: none */
    struct wr_channel *commands; /* of struct wr_command_message, sent; NULL: nothing is subscribed to */
    struct wr_channel *answers;  /* of struct wr_command_answer, received; NULL: none */
    const _Atomic uint64_t *running; /* fingerprint of config and rules, which the state tells; NULL: none */
    const struct wr_clock *clock;
    const struct wr_session_ops *ops; /* NULL: a real session; else a fake one with `self`, which sends to wr_uplink_runner_events */
    void *self;
};

/* What a wait brought: the turn's from then on. */
enum wr_uplink_source {
    WR_UPLINK_FROM_NOBODY,
    WR_UPLINK_FROM_CONTROL,
    WR_UPLINK_FROM_SESSION,
    WR_UPLINK_FROM_ACTIONS,
    WR_UPLINK_FROM_COMMANDS,
    WR_UPLINK_FROM_STORE,
};
struct wr_uplink_received {
    enum wr_uplink_source from;
    bool closed; /* instead of an element */
    union {
        int64_t stop_boot_ns; /* the deadline of a stop */
        struct wr_session_event event;
        struct wr_uplink_direct direct;
        struct wr_command_answer answer;
        struct wr_uplink_reply reply;
    } as;
};

struct wr_uplink_status {
    struct wr_uplink_stats uplink;
    struct wr_session_stats session;
};

/* Makes everything but the thread. WR_INVALID for a configuration that cannot work. */
WR_MUST_USE enum wr_result wr_uplink_runner_new(const struct wr_uplink_runner_config *config, struct wr_uplink_runner **ret_runner,
                                                struct wr_error *err);
/* The channel of struct wr_session_event, for a fake session. */
struct wr_channel *wr_uplink_runner_events(struct wr_uplink_runner *runner);
/* Starts the thread, which connects at once. */
WR_MUST_USE enum wr_result wr_uplink_runner_start(struct wr_uplink_runner *runner, struct wr_error *err);

/* The two halves of the thread, for whoever takes its place. receive waits until the deadline for the one thing that the next turn shall take; a deadline that
 * has passed: it tries. turn takes it and does what is due; it never waits, and returns when it wants to run again though nothing is received. The first
 * turn has received nothing. Once it has ended there is no more turn. */
void wr_uplink_runner_receive(struct wr_uplink_runner *runner, int64_t deadline_boot_ns, struct wr_uplink_received *ret_received);
WR_MUST_USE int64_t wr_uplink_runner_turn(struct wr_uplink_runner *runner, const struct wr_now *now, struct wr_uplink_received *received);
bool wr_uplink_runner_ended(const struct wr_uplink_runner *runner);
/* Asks for the stop and waits for nothing. */
void wr_uplink_runner_ask_to_stop(struct wr_uplink_runner *runner, int64_t deadline_boot_ns);

void wr_uplink_runner_status(struct wr_uplink_runner *runner, struct wr_uplink_status *ret_status);
/* Asks for the stop and waits for the thread: returns at the latest at the deadline, plus what a close takes. */
void wr_uplink_runner_stop(struct wr_uplink_runner *runner, int64_t deadline_boot_ns);
/* Stops at once if still running; joins the session. NULL is fine. */
void wr_uplink_runner_free(struct wr_uplink_runner *runner);

#endif
