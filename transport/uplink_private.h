/* Shared by uplink.c (states, session, what is due), uplink_fetch.c (cursors, segments under way), uplink_send.c (what goes next), uplink_retry.c (which broker next,
 * and when) uplink_schedule.c (whether to be connected), uplink_budget.c (what may be spent), uplink_clock.c (what waits for the clock), uplink_suspect.c (what sessions end over) and uplink_commands.c (the subscription). Nobody else
 * includes it. */
#ifndef WEIR_TRANSPORT_UPLINK_PRIVATE_H
#define WEIR_TRANSPORT_UPLINK_PRIVATE_H

#include "transport/pace_drain.h"
#include "transport/uplink.h"

/* Under way at most: what the window holds, and per class (lane 0, the others) what was refused before fetching stopped, which may be a
 * whole window more than the limit. */
#define ITEMS(window) (2 * (window) + 4 * WR_UPLINK_REFUSED)

/* FREE → HELD → IN_FLIGHT → ACKED → FREE; refused: IN_FLIGHT → REFUSED → ASKED → HELD; given up: → PARKING → FREE. */
enum item_state {
    ITEM_FREE,
    ITEM_HELD,      /* body here; published once its seq is offered and the window has room */
    ITEM_IN_FLIGHT, /* published, body given up */
    ITEM_ACKED,     /* PUBACK came; the ACK has not left yet */
    ITEM_REFUSED,   /* waits until retry_boot_ns, without its body */
    ITEM_ASKED,     /* its body is asked for again */
    ITEM_PARKING,   /* the PARK has not left yet */
};

/* Whether a session ended over a message (U15): then it goes alone. */
struct suspicion {
    bool stands;
    uint8_t times;         /* so often, and none over another message meanwhile */
    uint64_t delivered;    /* by the uplink, when it began */
    uint64_t elsewhere;    /* hang-ups over others, when it was confirmed last */
};

struct item {
    uint8_t state;
    uint8_t lane;
    uint8_t cursor; /* that found it first */
    uint8_t kind;   /* of the segment */
    uint8_t reason;
    uint8_t refusals; /* above 0, or suspicion: fetched again by a GET of its own, not by a cursor */
    uint64_t passed;  /* what had passed it when it was refused first */
    uint32_t bytes;   /* payload */
    int64_t seq;
    uint64_t id;     /* of the publish */
    uint64_t order;  /* of arrival */
    uint64_t ticket; /* ASKED */
    int64_t retry_boot_ns;
    int64_t published_boot_ns; /* IN_FLIGHT */
    struct suspicion suspicion;
    struct wr_segment segment;
};

struct cursor {
    int64_t position; /* highest seq that was taken over; the next GET starts behind it */
    bool maybe_more;
    bool asked;
    uint32_t asked_left;     /* segments of the open GET that have not come */
    int64_t asked_available; /* newest seq known when it was sent */
    uint64_t ticket;
};

/* Of direct messages, then of answers (U8). */
#define DIRECTS (WR_UPLINK_DIRECT + WR_UPLINK_ANSWERS)

enum direct_state { DIRECT_FREE, DIRECT_WAITING, DIRECT_IN_FLIGHT, DIRECT_DELIVERED, DIRECT_DROPPED };

struct direct {
    uint8_t state;
    uint8_t refusals;
    uint64_t id; /* of the publish */
    uint64_t order;
    struct suspicion suspicion;
    int64_t retry_boot_ns;
    struct wr_uplink_direct message;
};

struct wr_uplink {
    struct wr_uplink_config config;
    enum wr_uplink_state state;
    uint64_t connection;
    uint64_t next_id; /* publishes, tickets, order: one counter */
    uint32_t attempts;
    int64_t retry_boot_ns;
    int64_t online_since_boot_ns;
    int64_t looked_boot_ns;   /* when nothing more could be done: what was due then waits for an event */
    int64_t progress_boot_ns; /* last PUBACK, or when something was first in flight after nothing was */
    uint64_t answered_id;      /* of the present session: the newest publish that was answered */
    uint64_t overtaken_id;     /* the oldest publish in flight, if it is older than that; 0: none */
    int64_t overtaken_boot_ns; /* since when */
    uint8_t hangups;  /* U15: sessions in a row that the other side ended, soon, over what it had not answered */
    uint64_t delivered;         /* segments and direct messages, in all */
    uint64_t passed[2];         /* segments: of lane 0, of other lanes */
    uint64_t delivered_before;  /* the present session */
    uint64_t hangups_elsewhere; /* in all, while no suspect was in flight */
    uint32_t careful; /* of the present session: so many answers to come until more than one message goes at a time */
    bool close_due;
    bool close_clean;
    uint64_t close_connection;
    bool stopping;
    uint8_t leaving; /* DRAINING: enum wr_uplink_leaving; a stop overtakes the others */
    bool open;               /* to be connected now (U11) */
    int64_t look_boot_ns;    /* when that may change by itself */
    int64_t linger_boot_ns;  /* what was urgent keeps it open until then */
    int64_t stop_boot_ns;
    struct wr_route route;
    struct wr_pace_drain pace; /* of the present session */
    struct wr_pace_rate rate;
    bool rate_waits; /* something stands ready and may not go before rate.free_boot_ns */
    struct wr_budget budgets[WR_BUDGET_PERIODS];
    struct wr_budget_count counts_told[WR_BUDGET_PERIODS]; /* to the store */
    int64_t count_boot_ns;       /* when it was told last */
    bool counts_known;           /* what the store keeps is in the budgets (U13) */
    uint8_t budget_level;        /* of the tightest */
    int64_t budget_look_boot_ns; /* when it may change by itself; WR_NEVER_NS: there is none */
    struct wr_pace_rate even;    /* of windows, while the level is WR_BUDGET_SLOW */
    bool even_waits;             /* some are wanted and may not be asked for before even.free_boot_ns */
    uint64_t wire_bytes;         /* as told last */
    bool clock_waits;            /* U14 */
    int64_t clock_until_boot_ns; /* 0: not connected yet */
    int64_t clock_look_boot_ns;
    /* of the present session */
    uint32_t window;
    uint32_t max_packet_bytes;
    bool birth_due;
    bool goodbye_sent;
    uint64_t birth_id; /* 0: none in flight */
    enum wr_uplink_commands commands;
    /* of commands, over sessions */
    int64_t subscribe_boot_ns; /* not before */
    uint8_t subscribes_lost;   /* connections in a row that ended without a SUBACK */
    /* of the store */
    bool store_ready;
    uint64_t epoch;
    int64_t start_seq; /* backfill ends here */
    int64_t available[WR_LANES];
    int64_t offered[WR_LANES];  /* committed */
    int64_t offering[WR_LANES]; /* asked for */
    struct cursor cursors[2][WR_LANES];
    int64_t balance;                   /* negative: backfill's turn */
    uint32_t estimate_bytes[WR_LANES]; /* what the next segment of a lane may take */
    struct direct directs[DIRECTS];
    struct wr_segment publishing; /* lent to the last action: freed at the next call */
    struct wr_uplink_stats stats;
    size_t n_items;
    struct item items[];
};

/* Occupancy, computed by walking: few items, no counter that can go wrong. */
struct wr_uplink_load {
    uint32_t in_flight; /* publishes without an answer, the state and direct messages included */
    uint32_t in_flight_bytes;
    uint32_t unanswered; /* what the broker owes an answer: in_flight, and a SUBSCRIBE */
    uint32_t occupied;   /* of the window: in flight, held, or asked for */
    uint64_t occupied_bytes;
    uint32_t refused[2]; /* waiting after a refusal: lane 0, other lanes */
    unsigned refused_lanes; /* a bit for each */
    uint32_t direct_waiting;
    uint32_t alarms;  /* of lane 0, held or asked for */
    bool suspect;     /* one is in flight */
};
void wr_uplink_load(const struct wr_uplink *uplink, struct wr_uplink_load *ret_load);

uint64_t wr_uplink_id(struct wr_uplink *uplink);
void wr_uplink_item_free(struct item *item);
struct item *wr_uplink_item_by_id(struct wr_uplink *uplink, uint64_t id);
/* The broker has answered the publish `id`: whether it has left out an older one. */
void wr_uplink_answered(struct wr_uplink *uplink, const struct wr_now *now, uint64_t id);
/* Puts a refused item off. Parks it at the fifth refusal. */
void wr_uplink_item_refuse(struct wr_uplink *uplink, struct item *item, uint8_t reason, int64_t now_boot_ns);
/* The connection is gone: everything unacknowledged goes back to its cursor (U6). */
void wr_uplink_rewind(struct wr_uplink *uplink);
/* Whoever ends session after session (U15): one ended after lasted_ns; one is ended since nothing was answered; one begins; a message was answered; whether it is the turn of
 * suspects; whether a message may go now. */
void wr_uplink_suspect_ended(struct wr_uplink *uplink, const struct wr_now *now, int64_t lasted_ns, const struct wr_session_event *event);
void wr_uplink_suspect_silent(struct wr_uplink *uplink, const struct wr_now *now);
void wr_uplink_suspect_begin(struct wr_uplink *uplink);
void wr_uplink_suspect_answered(struct wr_uplink *uplink);
bool wr_uplink_suspect_turn(const struct wr_uplink *uplink, const struct wr_uplink_load *load, bool urgent);
bool wr_uplink_suspect_lets(const struct wr_uplink *uplink, const struct wr_uplink_load *load, bool suspect);
/* Begins an action of the present connection. True. */
bool wr_uplink_act(struct wr_uplink_action *action, enum wr_uplink_action_kind kind, const struct wr_uplink *uplink);
/* What goes next while online; the direct message whose turn it is, NULL: none; publishes it. */
bool wr_uplink_next_publish(struct wr_uplink *uplink, const struct wr_now *now, struct wr_uplink_action *action);
struct direct *wr_uplink_next_direct(struct wr_uplink *uplink, const struct wr_uplink_load *load, const struct wr_now *now);
bool wr_uplink_send_direct(struct wr_uplink *uplink, struct direct *direct, struct wr_uplink_action *action);
/* Whether to be connected now: sets `open` and `look_boot_ns`. */
void wr_uplink_look(struct wr_uplink *uplink, const struct wr_now *now);
/* A session ended after lasted_ns, or (-1) a connect failed; event: what was said of it, NULL: we ended it. Sets the next broker, and when it is tried. */
void wr_uplink_retry_plan(struct wr_uplink *uplink, const struct wr_now *now, uint64_t random, int64_t lasted_ns,
                          const struct wr_session_event *event);
/* Budgets (U12, U13): the time is right to look again; a segment was fetched; whether the level forbids a cursor to go on; how many of n segments
 * may be asked for now; what the store keeps; the next COUNT that is due; when time alone makes something due. */
void wr_uplink_budget_begin(struct wr_uplink *uplink);
void wr_uplink_budget_look(struct wr_uplink *uplink, const struct wr_now *now);
void wr_uplink_budget_fetched(struct wr_uplink *uplink, const struct wr_now *now, uint8_t lane, uint32_t bytes);
bool wr_uplink_budget_bars(const struct wr_uplink *uplink, enum wr_cursor which, size_t lane);
uint32_t wr_uplink_budget_allows(struct wr_uplink *uplink, const struct wr_now *now, uint8_t lane, uint32_t n);
void wr_uplink_budget_kept(struct wr_uplink *uplink, const struct wr_now *now, const struct wr_uplink_reply *reply);
bool wr_uplink_next_count(struct wr_uplink *uplink, const struct wr_now *now, struct wr_uplink_request *ret_request);
int64_t wr_uplink_budget_wake_ns(const struct wr_uplink *uplink);
/* The clock (U14): whether it can be trusted now; whether a lane waits for that; when to look again. */
void wr_uplink_clock_look(struct wr_uplink *uplink, const struct wr_now *now);
bool wr_uplink_clock_bars(const struct wr_uplink *uplink, size_t lane);
int64_t wr_uplink_clock_wake_ns(const struct wr_uplink *uplink);
/* Whether a cursor has something to ask for, and may. */
bool wr_uplink_cursor_wants(const struct wr_uplink *uplink, const struct wr_uplink_load *load, enum wr_cursor which, size_t lane);
/* The next request to the store that is due while online. */
bool wr_uplink_next_request(struct wr_uplink *uplink, const struct wr_now *now, struct wr_uplink_request *ret_request);
/* Commands (U7): a session begins, ends; the SUBACK comes; whether to ask now, which counts as asked; when time alone makes that due. */
void wr_uplink_commands_begin(struct wr_uplink *uplink, const struct wr_now *now);
void wr_uplink_commands_end(struct wr_uplink *uplink, const struct wr_now *now);
void wr_uplink_commands_answered(struct wr_uplink *uplink, const struct wr_now *now, const struct wr_session_event *event);
bool wr_uplink_commands_ask(struct wr_uplink *uplink, const struct wr_now *now);
int64_t wr_uplink_commands_wake_ns(const struct wr_uplink *uplink);
/* ACK and PARK, due in every state. */
bool wr_uplink_next_booking(struct wr_uplink *uplink, struct wr_uplink_request *ret_request);

#endif
