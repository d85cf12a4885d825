/* The uplink's mind: what to ask of the store, what to publish and when, as a step function without clocks, threads, locks or I/O.
 *
 * Happy path: connect; READY names the store; GET segments; OFFER their seqs; publish within the window; ACK each on its PUBACK.
 *
 * Invariants (the code and the simulation refer to the numbers):
 *   U1  an ACK leaves only after the PUBACK of a publish of that very segment on the present connection
 *   U2  messages in flight <= window, and bytes in flight <= window_bytes unless a single message is larger than that
 *   U3  a segment is published only when offered[lane] >= seq has been committed
 *   U4  within one cursor and lane the first publish of each segment goes oldest first
 *   U5  nothing of lanes 1..3 is published while a segment of lane 0 stands ready, and a part of the window is kept for lane 0
 *   U6  a segment leaves the uplink's care only by ACK or PARK; a lost connection rewinds the cursors to the oldest unacknowledged one
 *   U7  where commands are wanted, a connection asks for them before it says that it is online; at most one SUBSCRIBE is unanswered, and no segment waits for it
 *   U8  answers to commands and direct messages have places of their own: neither keeps the other out
 *   U9  a connect goes to the broker that the route says (transport/route.h), and a connection stays with one broker
 *   U10 what is no alarm is in flight within the limit of its pace (transport/pace_drain.h), and published within the configured rate
 *   U11 outside its schedule the uplink is connected only while an alarm or a direct message waits, and WR_LINK_LINGER_NS after
 *   U12 while a byte budget is tight (core/budget.h), segments of windows and raw are fetched by its level only: no backfill; then live ones at an even rate; then none.
 *       Lanes 0 and 1, direct messages, and what is under way or was refused, go always
 *   U13 no count of a budget leaves for the store before the store has told what it keeps
 *   U14 while the wall clock cannot be trusted no windows and raw readings are fetched, for clock_wait_ns from the first connection on: the store corrects them once it
 *       can be. Alarms, gaps and changes do not wait
 *   U15 where the other side ends sessions, soon and one after the other, over messages that it has not answered, one goes at a time until a window of them was answered.
 *       What such a session ends over is as if refused, and goes alone from then on; it is parked only where no session ended over another one meanwhile, and others
 *       were acknowledged
 *
 * What goes wrong, and what happens then: the link is down or breaks: full-jitter backoff, reset only after a stable session; a reason that somebody has to do
 * something about (transport/reason.h): at least half of a longer pause; several brokers: the route says which is next, and the pause grows with each round; the broker
 * stops acknowledging, or leaves a message out while it acknowledges later ones: after ack_timeout the session is closed ("connected" proves nothing), so that
 * what was left out is sent again, and this counts as a refusal of it; one segment is refused (reason >= 0x80):
 * retried after a backoff of its own while others pass, parked after five refusals, but not for a reason that is about the node (not authorised, quota exceeded):
 * somebody will do something about that, and then it goes; a message above the server's maximum packet size: parked at once; commands are not granted: the data goes all the same, and they are asked for again after subscribe_retry_ns and with the next connection; the connection
 * ends before a subscription is answered (there are brokers that close it instead of refusing), three times in a row: the next one asks only after
 * subscribe_retry_ns; a stop: nothing new is fetched, what is in flight may finish until the deadline.
 *
 * States, with what leads out of them:
 *   OFFLINE     waits for its backoff                   → DIALLING
 *   DIALLING    address, TCP, TLS                       → CONNECTING | OFFLINE
 *   CONNECTING  MQTT                                    → ONLINE | OFFLINE
 *   ONLINE                                              → OFFLINE | DRAINING
 *   DRAINING    a stop, a return to the first choice of several brokers, or the schedule's end: what is in flight ends  → STOPPED | OFFLINE
 *   STOPPED     final
 * and from each of them → STOPPED when a stop's deadline comes, at once where there is no session.
 *
 * Threads: one at a time. Ownership: owns the bodies of segments and payloads it was given until they are published or dropped.
 * Limits: window 1..WR_UPLINK_WINDOW_MAX messages; at most WR_UPLINK_REFUSED refused segments wait for a retry, beyond that nothing new is
 * fetched; memory is bounded by window_bytes plus one segment a lane and the direct messages.
 * Source of the jitter: M. Brooker, "Exponential Backoff And Jitter", 2015 (full jitter).
 */
#ifndef WEIR_TRANSPORT_UPLINK_H
#define WEIR_TRANSPORT_UPLINK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/budget.h"
#include "core/clock.h"
#include "core/result.h"
#include "transport/link_schedule.h"
#include "transport/route.h"
#include "transport/uplink_messages.h"

#define WR_UPLINK_WINDOW_MAX 256
#define WR_UPLINK_REFUSED 16
#define WR_UPLINK_STRIDE 16
#define WR_UPLINK_REFUSALS_TO_PARK 5
#define WR_UPLINK_CAUSE_BYTES 256
#define WR_UPLINK_COUNT_NS (10 * WR_NS_PER_S) /* the store is told of what was spent so often at most, but for a hundredth of a budget */

struct wr_uplink;

struct wr_uplink_config {
    uint32_t window;            /* messages in flight */
    uint32_t window_bytes;      /* payload bytes in flight */
    int64_t backoff_min_ns;     /* cap of the first delay; doubles with each failure ... */
    int64_t backoff_max_ns;     /* ... up to this */
    int64_t stable_ns;          /* a session that lasted so long resets the backoff */
    int64_t ack_timeout_ns;     /* no PUBACK for so long with messages in flight: the session is closed */
    int64_t refusal_backoff_ns; /* first retry of a refused segment; doubles each time */
    bool commands;              /* listen to commands */
    int64_t subscribe_retry_ns; /* until they are asked for again after a refusal */
    int64_t
        wait_ns; /* cap of the first pause after a reason that somebody has to do something about; doubles likewise; at least half is waited */
    uint64_t rate_bytes_per_s;  /* of segments; alarms do not wait for it; 0: no limit */
    uint32_t backfill_percent;  /* of the segments, while live and backfill both have some */
    uint64_t budget_bytes[WR_BUDGET_PERIODS]; /* of what the link is billed for; 0: no limit */
    uint8_t budget_from_day;                  /* of months */
    int64_t clock_wait_ns;                    /* how long windows wait for a trusted clock */
    struct wr_link_schedule schedule; /* all zero: always connected */
    struct wr_route route; /* the order of the brokers; n 0: there is one */
};

/* 32 messages, 1 MB, 1 s doubling to 2 min, 60 s, 30 s, 5 s; no commands, 5 min; 30 s, no rate, 25 %, no budget, 2 min for the clock, one broker. */
struct wr_uplink_config wr_uplink_defaults(void);

enum wr_uplink_state {
    WR_UPLINK_OFFLINE,
    WR_UPLINK_DIALLING,
    WR_UPLINK_CONNECTING,
    WR_UPLINK_ONLINE,
    WR_UPLINK_DRAINING,
    WR_UPLINK_STOPPED,
    WR_UPLINK_STATES,
};

const char *wr_uplink_state_name(enum wr_uplink_state state);

/* What the session says about itself. All carry the number of the connection that they speak of; others are ignored. */
enum wr_session_event_kind {
    WR_SESSION_DIALLED,    /* TCP and TLS are up */
    WR_SESSION_CONNECTED,  /* the broker accepted the MQTT connection */
    WR_SESSION_FAILED,     /* no connection; text says why */
    WR_SESSION_LOST,       /* there was one; text says why it ended */
    WR_SESSION_DELIVERED,  /* PUBACK below 0x80, for a publish with this id */
    WR_SESSION_REFUSED,    /* PUBACK with reason >= 0x80 */
    WR_SESSION_SUBSCRIBED, /* SUBACK: reason is the QoS granted, or >= 0x80, and text says why not */
};

struct wr_session_event {
    uint8_t kind;              /* enum wr_session_event_kind */
    uint8_t reason;            /* MQTT reason code, 0 if there is none */
    uint8_t version;           /* CONNECTED: enum wr_mqtt_version, 5 or 3.1.1 */
    bool retain_available;     /* CONNECTED */
    uint16_t receive_max;      /* CONNECTED: 1..65535 */
    uint32_t max_packet_bytes; /* CONNECTED: UINT32_MAX when the server names none */
    uint64_t connection;
    uint64_t id;     /* DELIVERED, REFUSED */
    uint8_t sent_to; /* FAILED, LOST, for another server: 1 + the place of the configured broker that it names; 0: it names none of them */
    char text[WR_UPLINK_CAUSE_BYTES];
};

/* Whether operators' commands are listened to. */
enum wr_uplink_commands {
    WR_UPLINK_COMMANDS_OFF,   /* not wanted, or no session */
    WR_UPLINK_COMMANDS_ASKED, /* the subscription waits for its SUBACK */
    WR_UPLINK_COMMANDS_HEARD,
    WR_UPLINK_COMMANDS_REFUSED, /* the broker does not grant the subscription: asked for again after subscribe_retry_ns */
};

/* Why we end a session ourselves. */
enum wr_uplink_leaving {
    WR_UPLINK_STAYS,
    WR_UPLINK_LEAVES,    /* a stop */
    WR_UPLINK_GOES_HOME, /* to the first choice of several brokers */
    WR_UPLINK_CLOSES,    /* the schedule says so */
};

/* What the state says of it: "stop", "move", "schedule". */
const char *wr_uplink_leaving_name(uint8_t leaving);

/* What happens to the outside world. */
enum wr_uplink_action_kind {
    WR_UPLINK_ACT_CONNECT,     /* open connection number `connection` to `broker` */
    WR_UPLINK_ACT_CLOSE,       /* close it; clean: say goodbye, so that the last will is not published */
    WR_UPLINK_ACT_SUBSCRIBE,   /* ask for commands; WR_SESSION_SUBSCRIBED follows, or the end of the connection */
    WR_UPLINK_ACT_BIRTH,       /* publish the retained state; `online` says which */
    WR_UPLINK_ACT_PUBLISH,     /* publish `segment` under `id`; its body stays owned by the uplink, valid until the next call */
    WR_UPLINK_ACT_DIRECT,      /* publish `direct` under `id`, likewise */
    WR_UPLINK_ACT_REQUEST,     /* send `request` to the store */
    WR_UPLINK_ACT_DIRECT_DONE, /* direct message `id`: `delivered`, or given up after refusals */
};

struct wr_uplink_action {
    uint8_t kind; /* enum wr_uplink_action_kind */
    bool clean;
    bool online;
    bool delivered;
    uint8_t leaving; /* BIRTH, offline: enum wr_uplink_leaving */
    uint8_t broker; /* CONNECT: its place in the config's list */
    uint64_t connection;
    uint64_t id;
    const struct wr_segment *segment;
    const struct wr_uplink_direct *direct;
    struct wr_uplink_request request;
};

/* A budget, to be shown. */
struct wr_uplink_budget {
    uint64_t limit_bytes; /* 0: none */
    uint64_t spent_bytes;
    int64_t ends_wall_ns; /* 0: not known, the wall clock was never trusted in this period */
};

struct wr_uplink_stats {
    uint8_t state; /* enum wr_uplink_state */
    uint8_t budget_level;     /* enum wr_budget_level: of the tightest */
    struct wr_uplink_budget budgets[WR_BUDGET_PERIODS];
    bool store_ready;
    bool clock_waits;     /* windows wait for the clock to be set */
    uint8_t mqtt_version; /* enum wr_mqtt_version of the present or last session; 0: none yet */
    uint32_t in_flight;
    uint32_t in_flight_bytes;
    uint32_t window; /* what the broker left of it */
    uint32_t max_packet_bytes; /* what it takes; UINT32_MAX: anything */
    uint32_t pace;         /* how much of the window is used */
    int64_t latency_ns;    /* from publish to PUBACK, smoothed; 0: none yet */
    uint64_t pace_cuts;
    uint32_t waiting_refused;
    uint32_t direct_waiting;
    uint32_t attempts;            /* failed connections in a row */
    int64_t retry_boot_ns;        /* OFFLINE: when the next attempt is due */
    int64_t online_since_boot_ns; /* ONLINE */
    int64_t last_ack_boot_ns;     /* 0: none yet */
    uint64_t connections;         /* attempts, in all */
    uint64_t published;
    uint64_t acknowledged;
    uint64_t refused;
    uint64_t parked;
    uint64_t resent; /* taken back from a lost connection */
    uint64_t direct_dropped;
    uint64_t bytes_acknowledged;
    uint8_t commands;                           /* enum wr_uplink_commands */
    uint64_t commands_refused;                  /* subscriptions that the broker did not grant */
    uint64_t answers;                           /* answers to commands that the broker has */
    uint64_t answers_dropped;                   /* refused by it; those that gave way to newer ones are the channel's dropped_oldest */
    char commands_cause[WR_UPLINK_CAUSE_BYTES]; /* why the last subscription was not granted; "" before the first time */
    uint8_t reason;                             /* of the last end: an MQTT reason code, 0: none */
    uint8_t broker;                             /* in use, or tried next: its place in the config's list */
    bool planned;                               /* the last end was our own: a move, or the schedule's */
    int64_t opens_boot_ns;                      /* OFFLINE by schedule: until then, or until an alarm waits; WR_NEVER_NS: not */
    uint8_t broker_why;                         /* enum wr_route_why */
    int64_t home_boot_ns;                       /* when it returns to the first choice; WR_NEVER_NS */
    uint64_t failovers;
    uint64_t redirects;
    uint64_t strange_redirects; /* to servers that are not configured: not followed */
    uint64_t returns;
    char cause[WR_UPLINK_CAUSE_BYTES]; /* why the last connection failed or ended; "" before the first failure */
};

WR_MUST_USE enum wr_result wr_uplink_new(const struct wr_uplink_config *config, struct wr_uplink **ret_uplink, struct wr_error *err);
void wr_uplink_free(struct wr_uplink *uplink);

/* ---- messages in. After each of them, and when wr_uplink_wake_ns has come: call wr_uplink_next until it returns false. ---- */

void wr_uplink_on_session(struct wr_uplink *uplink, const struct wr_now *now, uint64_t random, const struct wr_session_event *event);
/* Takes the body of a SEGMENT, which is what will be published: encoded tells whether making it succeeded (WR_NO_MEMORY: asked for again later,
 * as if refused; any other failure: parked), packet_bytes how large the MQTT packet will be. */
void wr_uplink_on_store(struct wr_uplink *uplink, const struct wr_now *now, struct wr_uplink_reply *reply, size_t packet_bytes,
                        enum wr_result encoded);
/* Takes the payload. False, and nothing taken, when there is no room: ask wr_uplink_direct_room first, or wr_uplink_answer_room for one whose id has
 * WR_UPLINK_ANSWER. */
bool wr_uplink_on_direct(struct wr_uplink *uplink, struct wr_uplink_direct *direct);
/* What the link has cost since this uplink began. Only asked for where wr_uplink_has_budget. */
void wr_uplink_on_wire(struct wr_uplink *uplink, const struct wr_now *now, uint64_t bytes);
bool wr_uplink_has_budget(const struct wr_uplink *uplink);
/* Stops: WR_UPLINK_STOPPED at the latest at deadline_boot_ns. */
void wr_uplink_on_stop(struct wr_uplink *uplink, const struct wr_now *now, int64_t deadline_boot_ns);
/* The session could not take a publish that an action asked for: the connection is closed, everything unacknowledged goes back. */
void wr_uplink_on_publish_failed(struct wr_uplink *uplink, const struct wr_now *now, uint64_t random, const char *cause);

/* ---- actions out ---- */

/* The next action that is due, or false. */
bool wr_uplink_next(struct wr_uplink *uplink, const struct wr_now *now, uint64_t random, struct wr_uplink_action *ret_action);
/* When time alone makes something due; WR_NEVER_NS. */
int64_t wr_uplink_wake_ns(const struct wr_uplink *uplink);

/* Whether a direct message would find a place. */
bool wr_uplink_direct_room(const struct wr_uplink *uplink);
bool wr_uplink_answer_room(const struct wr_uplink *uplink);
enum wr_uplink_state wr_uplink_state(const struct wr_uplink *uplink);
void wr_uplink_stats(const struct wr_uplink *uplink, struct wr_uplink_stats *ret_stats);
/* Invariants that can be checked at rest, for tests and assertions. */
bool wr_uplink_is_valid(const struct wr_uplink *uplink);

#endif
