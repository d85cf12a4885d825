#include "transport/uplink.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transport/reason.h"
#include "transport/uplink_private.h"

#define BIT(state) (1u << (state))

/* The states and where each may go. */
static const struct {
    const char *name;
    unsigned next;
} states[WR_UPLINK_STATES] = {
    [WR_UPLINK_OFFLINE] = {"offline", BIT(WR_UPLINK_DIALLING) | BIT(WR_UPLINK_STOPPED)},
    [WR_UPLINK_DIALLING] = {"dialling",
                            BIT(WR_UPLINK_CONNECTING) | BIT(WR_UPLINK_ONLINE) | BIT(WR_UPLINK_OFFLINE) | BIT(WR_UPLINK_STOPPED)},
    [WR_UPLINK_CONNECTING] = {"connecting", BIT(WR_UPLINK_ONLINE) | BIT(WR_UPLINK_OFFLINE) | BIT(WR_UPLINK_STOPPED)},
    [WR_UPLINK_ONLINE] = {"online", BIT(WR_UPLINK_OFFLINE) | BIT(WR_UPLINK_DRAINING)},
    [WR_UPLINK_DRAINING] = {"draining", BIT(WR_UPLINK_OFFLINE) | BIT(WR_UPLINK_STOPPED)},
    [WR_UPLINK_STOPPED] = {"stopped", 0},
};

const char *wr_uplink_state_name(enum wr_uplink_state state) {
    return state < WR_UPLINK_STATES ? states[state].name : "unknown";
}

static void go(struct wr_uplink *uplink, enum wr_uplink_state to) {
    assert(states[uplink->state].next & BIT(to));
    uplink->state = to;
}

struct wr_uplink_config wr_uplink_defaults(void) {
    return (struct wr_uplink_config){
        .window = 32,
        .window_bytes = 1 << 20,
        .backoff_min_ns = WR_NS_PER_S,
        .backoff_max_ns = 120 * WR_NS_PER_S,
        .stable_ns = 60 * WR_NS_PER_S,
        .ack_timeout_ns = 30 * WR_NS_PER_S,
        .refusal_backoff_ns = 5 * WR_NS_PER_S,
        .subscribe_retry_ns = 300 * WR_NS_PER_S,
        .wait_ns = 30 * WR_NS_PER_S,
        .backfill_percent = 25,
        .budget_from_day = 1,
        .clock_wait_ns = 120 * WR_NS_PER_S,
    };
}

enum wr_result wr_uplink_new(const struct wr_uplink_config *config, struct wr_uplink **ret_uplink, struct wr_error *err) {
    if (config->window < 1 || config->window > WR_UPLINK_WINDOW_MAX)
        return wr_error_set(err, WR_INVALID, "the window must be 1 to %d messages", WR_UPLINK_WINDOW_MAX);
    if (config->window_bytes < 1 || config->backoff_min_ns < 1 || config->backoff_max_ns < config->backoff_min_ns ||
        config->ack_timeout_ns < 1 || config->subscribe_retry_ns < 1 || config->wait_ns < 1 || config->clock_wait_ns < 0 ||
        config->backfill_percent > 100 || config->budget_from_day > WR_BUDGET_FROM_DAY_MAX || config->refusal_backoff_ns < 1 ||
        config->refusal_backoff_ns > INT64_MAX >> 8)
        return wr_error_set(err, WR_INVALID,
                            "window bytes, backoff and time-outs must be positive, and the largest backoff not below the first");
    size_t n_items = ITEMS(config->window);
    struct wr_uplink *uplink = calloc(1, sizeof *uplink + n_items * sizeof uplink->items[0]);
    if (uplink == NULL)
        return wr_error_set(err, WR_NO_MEMORY, "uplink: no memory");
    uplink->n_items = n_items;
    uplink->config = *config;
    uplink->window = config->window;
    wr_pace_drain_begin(&uplink->pace, config->window, 0);
    uplink->rate.bytes_per_s = config->rate_bytes_per_s;
    wr_uplink_budget_begin(uplink);
    uplink->max_packet_bytes = UINT32_MAX;
    uplink->route = config->route;
    uplink->open = true; /* the first look says more */
    uplink->look_boot_ns = WR_NEVER_NS;
    if (config->route.n == 0)
        wr_route_init_one(&uplink->route);
    *ret_uplink = uplink;
    return WR_OK;
}

static void direct_free(struct direct *direct) {
    free(direct->message.payload);
    memset(direct, 0, sizeof *direct);
}

void wr_uplink_free(struct wr_uplink *uplink) {
    if (uplink == NULL)
        return;
    for (size_t i = 0; i < uplink->n_items; i++)
        wr_uplink_item_free(&uplink->items[i]);
    for (size_t i = 0; i < DIRECTS; i++)
        direct_free(&uplink->directs[i]);
    wr_segment_free(&uplink->publishing);
    free(uplink);
}

/* ---- losing the session ---- */

/* From any state with a session, or the wish for one, to OFFLINE, or to STOPPED when a stop was asked for. event: what the session said; NULL: we end it. */
static void session_over(struct wr_uplink *uplink, const struct wr_now *now, uint64_t random, const char *cause,
                         const struct wr_session_event *event) {
    bool was_online = uplink->state == WR_UPLINK_ONLINE || uplink->state == WR_UPLINK_DRAINING;
    wr_uplink_retry_plan(uplink, now, random, was_online ? now->boot_ns - uplink->online_since_boot_ns : -1, event);
    (void)snprintf(uplink->stats.cause, sizeof uplink->stats.cause, "%s", cause);
    if (was_online)
        wr_uplink_suspect_ended(uplink, now, now->boot_ns - uplink->online_since_boot_ns, event);
    wr_uplink_rewind(uplink);
    for (size_t i = 0; i < DIRECTS; i++) {
        if (uplink->directs[i].state == DIRECT_IN_FLIGHT)
            uplink->directs[i].state = DIRECT_WAITING;
    }
    wr_uplink_commands_end(uplink, now);
    uplink->birth_due = false;
    uplink->birth_id = 0;
    uplink->goodbye_sent = false;
    go(uplink, uplink->stopping ? WR_UPLINK_STOPPED : WR_UPLINK_OFFLINE);
}

static void close_session(struct wr_uplink *uplink, bool clean) {
    uplink->close_due = true;
    uplink->close_clean = clean;
    uplink->close_connection = uplink->connection;
}

void wr_uplink_on_publish_failed(struct wr_uplink *uplink, const struct wr_now *now, uint64_t random, const char *cause) {
    if (uplink->state != WR_UPLINK_ONLINE && uplink->state != WR_UPLINK_DRAINING)
        return;
    close_session(uplink, false);
    session_over(uplink, now, random, cause, NULL);
}

/* ---- messages of the session ---- */

static void on_connected(struct wr_uplink *uplink, const struct wr_now *now, uint64_t random, const struct wr_session_event *event) {
    go(uplink, WR_UPLINK_ONLINE);
    uplink->online_since_boot_ns = now->boot_ns;
    uplink->progress_boot_ns = now->boot_ns;
    uplink->answered_id = uplink->overtaken_id = 0;
    uplink->window = uplink->config.window;
    if (event->receive_max > 0 && event->receive_max < uplink->window)
        uplink->window = event->receive_max;
    uplink->max_packet_bytes = event->max_packet_bytes;
    uplink->stats.mqtt_version = event->version;
    uplink->birth_due = true;
    wr_route_up(&uplink->route, now->boot_ns, random);
    wr_pace_drain_begin(&uplink->pace, uplink->window, now->boot_ns);
    wr_uplink_suspect_begin(uplink);
    wr_uplink_commands_begin(uplink, now);
}

static struct direct *direct_by_id(struct wr_uplink *uplink, uint64_t id) {
    for (size_t i = 0; i < DIRECTS; i++) {
        if (uplink->directs[i].state == DIRECT_IN_FLIGHT && uplink->directs[i].id == id)
            return &uplink->directs[i];
    }
    return NULL;
}

/* Only asked for where it matters. */
static bool is_pace_used(const struct wr_uplink *uplink) {
    if (uplink->pace.limit == uplink->window)
        return true;
    struct wr_uplink_load load;
    wr_uplink_load(uplink, &load);
    return 2 * load.in_flight >= uplink->pace.limit ||
           2 * (uint64_t)load.in_flight_bytes >= wr_pace_drain_bytes(&uplink->pace, uplink->config.window_bytes);
}

static void on_delivered(struct wr_uplink *uplink, const struct wr_now *now, const struct wr_session_event *event) {
    uplink->progress_boot_ns = now->boot_ns;
    uplink->stats.last_ack_boot_ns = now->boot_ns;
    struct item *item = wr_uplink_item_by_id(uplink, event->id);
    struct direct *direct = direct_by_id(uplink, event->id);
    uplink->delivered += item != NULL || direct != NULL;
    if (item != NULL) { /* U1 */
        wr_pace_drain_acknowledged(&uplink->pace, item->published_boot_ns, is_pace_used(uplink), now->boot_ns);
        item->state = ITEM_ACKED;
        uplink->passed[item->lane != WR_LANE_ALARMS]++;
        uplink->stats.acknowledged++;
        uplink->stats.bytes_acknowledged += item->bytes;
    } else if (direct != NULL) {
        direct->state = DIRECT_DELIVERED;
    } else if (event->id == uplink->birth_id) {
        uplink->birth_id = 0;
    }
    wr_uplink_answered(uplink, now, event->id);
}

/* A refusal is an answer too: it is progress. */
static void on_refused(struct wr_uplink *uplink, const struct wr_now *now, const struct wr_session_event *event) {
    uplink->progress_boot_ns = now->boot_ns;
    struct item *item = wr_uplink_item_by_id(uplink, event->id);
    struct direct *direct = direct_by_id(uplink, event->id);
    if (item != NULL) {
        if (wr_reason_cure(event->reason) == WR_REASON_SLOWER)
            wr_pace_drain_enough(&uplink->pace, item->published_boot_ns, now->boot_ns);
        wr_uplink_item_refuse(uplink, item, event->reason, now->boot_ns);
    } else if (direct != NULL) {
        direct->refusals++;
        const bool hopeless = direct->refusals >= WR_UPLINK_REFUSALS_TO_PARK || event->reason == WR_REASON_TOO_LARGE;
        direct->state = hopeless ? DIRECT_DROPPED : DIRECT_WAITING;
        direct->retry_boot_ns = wr_clock_add_ns(now->boot_ns, uplink->config.refusal_backoff_ns << (direct->refusals - 1u));
    } else if (event->id == uplink->birth_id) {
        uplink->birth_id = 0; /* a broker may forbid retained messages: the data goes all the same */
    }
    wr_uplink_answered(uplink, now, event->id);
}

void wr_uplink_on_session(struct wr_uplink *uplink, const struct wr_now *now, uint64_t random, const struct wr_session_event *event) {
    bool opening = uplink->state == WR_UPLINK_DIALLING || uplink->state == WR_UPLINK_CONNECTING;
    bool open = uplink->state == WR_UPLINK_ONLINE || uplink->state == WR_UPLINK_DRAINING;
    if (event->connection != uplink->connection || (!opening && !open))
        return; /* of a connection that was given up */
    switch ((enum wr_session_event_kind)event->kind) {
    case WR_SESSION_DIALLED:
        if (uplink->state == WR_UPLINK_DIALLING)
            go(uplink, WR_UPLINK_CONNECTING);
        break;
    case WR_SESSION_CONNECTED:
        if (opening)
            on_connected(uplink, now, random, event);
        break;
    case WR_SESSION_FAILED:
    case WR_SESSION_LOST:
        session_over(uplink, now, random, event->text, event);
        break;
    case WR_SESSION_DELIVERED:
        on_delivered(uplink, now, event);
        break;
    case WR_SESSION_REFUSED:
        on_refused(uplink, now, event);
        break;
    case WR_SESSION_SUBSCRIBED:
        wr_uplink_commands_answered(uplink, now, event);
        break;
    }
}

/* ---- direct messages ---- */

static bool is_answer(uint64_t id) {
    return (id & WR_UPLINK_ANSWER) != 0;
}

/* A free place, or DIRECTS: answers have the last ones for themselves (U8). */
static size_t direct_place(const struct wr_uplink *uplink, bool answer) {
    size_t end = answer ? DIRECTS : WR_UPLINK_DIRECT;
    for (size_t i = answer ? WR_UPLINK_DIRECT : 0; i < end; i++)
        if (uplink->directs[i].state == DIRECT_FREE)
            return i;
    return DIRECTS;
}

bool wr_uplink_direct_room(const struct wr_uplink *uplink) {
    return direct_place(uplink, false) < DIRECTS;
}

bool wr_uplink_answer_room(const struct wr_uplink *uplink) {
    return direct_place(uplink, true) < DIRECTS;
}

bool wr_uplink_on_direct(struct wr_uplink *uplink, struct wr_uplink_direct *message) {
    size_t place = direct_place(uplink, is_answer(message->id));
    if (place == DIRECTS)
        return false;
    uplink->directs[place] = (struct direct){.state = DIRECT_WAITING, .order = wr_uplink_id(uplink), .message = *message};
    message->payload = NULL;
    message->payload_len = 0;
    return true;
}

/* ---- stop ---- */

void wr_uplink_on_stop(struct wr_uplink *uplink, const struct wr_now *now, int64_t deadline_boot_ns) {
    if (uplink->stopping)
        return;
    uplink->stopping = true;
    uplink->stop_boot_ns = deadline_boot_ns;
    if (uplink->state == WR_UPLINK_ONLINE)
        go(uplink, WR_UPLINK_DRAINING);
    if (uplink->state == WR_UPLINK_DRAINING)
        return;
    if (uplink->state != WR_UPLINK_OFFLINE)
        close_session(uplink, false);
    (void)now;
    go(uplink, WR_UPLINK_STOPPED);
}

/* ---- actions ---- */

bool wr_uplink_act(struct wr_uplink_action *action, enum wr_uplink_action_kind kind, const struct wr_uplink *uplink) {
    *action = (struct wr_uplink_action){.kind = (uint8_t)kind, .connection = uplink->connection};
    return true;
}

/* What the broker never answers would end one session after the other: each time counts as a refusal. The pause before the next session is pause enough. */
static void blame_left_out(struct wr_uplink *uplink, const struct wr_now *now) {
    struct item *item = wr_uplink_item_by_id(uplink, uplink->overtaken_id);
    struct direct *direct = direct_by_id(uplink, uplink->overtaken_id);
    if (item != NULL) {
        wr_uplink_item_refuse(uplink, item, WR_UPLINK_UNANSWERED, now->boot_ns);
        item->retry_boot_ns = now->boot_ns;
    } else if (direct != NULL) {
        direct->refusals++;
        direct->state = direct->refusals >= WR_UPLINK_REFUSALS_TO_PARK ? DIRECT_DROPPED : DIRECT_WAITING;
    }
}

/* Whatever time alone decides. */
static void expire(struct wr_uplink *uplink, const struct wr_now *now, uint64_t random) {
    bool open = uplink->state == WR_UPLINK_ONLINE || uplink->state == WR_UPLINK_DRAINING;
    if (!open)
        return;
    struct wr_uplink_load load;
    wr_uplink_load(uplink, &load);
    if (uplink->state == WR_UPLINK_DRAINING && now->boot_ns >= uplink->stop_boot_ns) {
        close_session(uplink, true);
        session_over(uplink, now, random, "stopped before everything in flight was acknowledged", NULL);
        return;
    }
    const bool home = now->boot_ns >= uplink->route.home_boot_ns;
    if (uplink->state == WR_UPLINK_ONLINE && (home || !uplink->open)) {
        uplink->leaving = home ? WR_UPLINK_GOES_HOME : WR_UPLINK_CLOSES;
        uplink->stop_boot_ns = wr_clock_add_ns(now->boot_ns, uplink->config.ack_timeout_ns);
        go(uplink, WR_UPLINK_DRAINING);
    }
    if (load.unanswered == 0) {
        uplink->progress_boot_ns = now->boot_ns;
    } else if (now->boot_ns - uplink->progress_boot_ns >= uplink->config.ack_timeout_ns) {
        char cause[WR_UPLINK_CAUSE_BYTES];
        (void)snprintf(cause, sizeof cause, "the broker acknowledged nothing for %" PRId64 " ms with %" PRIu32 " messages in flight",
                       uplink->config.ack_timeout_ns / WR_NS_PER_MS, load.unanswered);
        wr_uplink_suspect_silent(uplink, now);
        close_session(uplink, false);
        session_over(uplink, now, random, cause, NULL);
    } else if (uplink->overtaken_id > 0 && now->boot_ns - uplink->overtaken_boot_ns >= uplink->config.ack_timeout_ns) {
        char cause[WR_UPLINK_CAUSE_BYTES];
        (void)snprintf(cause, sizeof cause, "the broker acknowledged later messages, and for %" PRId64 " ms not the one before them",
                       uplink->config.ack_timeout_ns / WR_NS_PER_MS);
        blame_left_out(uplink, now);
        close_session(uplink, false);
        session_over(uplink, now, random, cause, NULL);
    }
}

static void count_direct_done(struct wr_uplink_stats *stats, bool answer, bool delivered) {
    if (answer) {
        stats->answers += delivered;
        stats->answers_dropped += !delivered;
    } else {
        stats->direct_dropped += !delivered;
    }
}

static bool next_direct_done(struct wr_uplink *uplink, struct wr_uplink_action *action) {
    for (size_t i = 0; i < DIRECTS; i++) {
        struct direct *direct = &uplink->directs[i];
        if (direct->state != DIRECT_DELIVERED && direct->state != DIRECT_DROPPED)
            continue;
        wr_uplink_act(action, WR_UPLINK_ACT_DIRECT_DONE, uplink);
        action->id = direct->message.id;
        action->delivered = direct->state == DIRECT_DELIVERED;
        count_direct_done(&uplink->stats, is_answer(action->id), action->delivered);
        direct_free(direct);
        return true;
    }
    return false;
}

/* The end of a clean stop, or of a session that goes on elsewhere: direct messages go, for nobody keeps them; when nothing is in flight, the state goes offline; when that is acknowledged, the session closes. */
static bool next_goodbye(struct wr_uplink *uplink, const struct wr_now *now, uint64_t random, struct wr_uplink_action *action) {
    struct wr_uplink_load load;
    wr_uplink_load(uplink, &load);
    struct direct *direct = wr_uplink_next_direct(uplink, &load, now);
    if (direct != NULL && !uplink->goodbye_sent && load.in_flight < uplink->window)
        return wr_uplink_send_direct(uplink, direct, action);
    if (load.in_flight > 0)
        return false;
    if (uplink->goodbye_sent) {
        uint64_t connection = uplink->connection;
        session_over(uplink, now, random,
                     uplink->stopping                         ? "stopped"
                     : uplink->leaving == WR_UPLINK_GOES_HOME ? "goes back to the first choice of its brokers"
                                                              : "the time of its schedule is over",
                     NULL);
        wr_uplink_act(action, WR_UPLINK_ACT_CLOSE, uplink);
        action->connection = connection;
        action->clean = true;
        return true;
    }
    uplink->goodbye_sent = true;
    uplink->birth_id = wr_uplink_id(uplink);
    wr_uplink_act(action, WR_UPLINK_ACT_BIRTH, uplink);
    action->online = false;
    action->leaving = uplink->stopping ? (uint8_t)WR_UPLINK_LEAVES : uplink->leaving;
    action->id = uplink->birth_id;
    return true;
}

static bool next_connect(struct wr_uplink *uplink, struct wr_uplink_action *action) {
    go(uplink, WR_UPLINK_DIALLING);
    uplink->connection++;
    uplink->stats.connections++;
    wr_uplink_act(action, WR_UPLINK_ACT_CONNECT, uplink);
    action->broker = (uint8_t)wr_route_broker(&uplink->route);
    return true;
}

static bool next_action(struct wr_uplink *uplink, const struct wr_now *now, uint64_t random, struct wr_uplink_action *ret_action) {
    wr_segment_free(&uplink->publishing);
    wr_uplink_look(uplink, now);
    wr_uplink_budget_look(uplink, now);
    expire(uplink, now, random);
    if (uplink->close_due) {
        uplink->close_due = false;
        wr_uplink_act(ret_action, WR_UPLINK_ACT_CLOSE, uplink);
        ret_action->connection = uplink->close_connection;
        ret_action->clean = uplink->close_clean;
        return true;
    }
    struct wr_uplink_request request;
    if (wr_uplink_next_booking(uplink, &request) || wr_uplink_next_count(uplink, now, &request)) {
        wr_uplink_act(ret_action, WR_UPLINK_ACT_REQUEST, uplink);
        ret_action->request = request;
        return true;
    }
    if (next_direct_done(uplink, ret_action))
        return true;
    if (uplink->state == WR_UPLINK_OFFLINE && !uplink->stopping && now->boot_ns >= uplink->retry_boot_ns && uplink->open)
        return next_connect(uplink, ret_action);
    if (uplink->state == WR_UPLINK_ONLINE && wr_uplink_next_publish(uplink, now, ret_action))
        return true;
    if (uplink->state == WR_UPLINK_DRAINING)
        return next_goodbye(uplink, now, random, ret_action);
    if (wr_uplink_next_request(uplink, now, &request)) {
        wr_uplink_act(ret_action, WR_UPLINK_ACT_REQUEST, uplink);
        ret_action->request = request;
        return true;
    }
    return false;
}

bool wr_uplink_next(struct wr_uplink *uplink, const struct wr_now *now, uint64_t random, struct wr_uplink_action *ret_action) {
    if (next_action(uplink, now, random, ret_action))
        return true;
    uplink->looked_boot_ns = now->boot_ns;
    return false;
}

/* The earlier of both. A retry that was due at the last look and did not go waits for room, which comes with an event: to wake for it would be to spin. */
static int64_t or_retry(const struct wr_uplink *uplink, int64_t wake, int64_t retry_boot_ns) {
    return retry_boot_ns > uplink->looked_boot_ns && retry_boot_ns < wake ? retry_boot_ns : wake;
}

int64_t wr_uplink_wake_ns(const struct wr_uplink *uplink) {
    if (uplink->state == WR_UPLINK_OFFLINE)
        return uplink->open ? uplink->retry_boot_ns : uplink->look_boot_ns;
    if (uplink->state != WR_UPLINK_ONLINE && uplink->state != WR_UPLINK_DRAINING)
        return WR_NEVER_NS;
    int64_t wake = uplink->state == WR_UPLINK_DRAINING ? uplink->stop_boot_ns : uplink->route.home_boot_ns;
    if (uplink->state == WR_UPLINK_ONLINE && uplink->look_boot_ns < wake)
        wake = uplink->look_boot_ns;
    if (uplink->state == WR_UPLINK_ONLINE && uplink->rate_waits && uplink->rate.free_boot_ns < wake)
        wake = uplink->rate.free_boot_ns;
    struct wr_uplink_load load;
    wr_uplink_load(uplink, &load);
    int64_t silent = wr_clock_add_ns(uplink->progress_boot_ns, uplink->config.ack_timeout_ns);
    if (load.unanswered > 0 && silent < wake)
        wake = silent;
    silent = wr_clock_add_ns(uplink->overtaken_boot_ns, uplink->config.ack_timeout_ns);
    if (uplink->overtaken_id > 0 && silent < wake)
        wake = silent;
    if (wr_uplink_commands_wake_ns(uplink) < wake)
        wake = wr_uplink_commands_wake_ns(uplink);
    if (uplink->state == WR_UPLINK_ONLINE && wr_uplink_budget_wake_ns(uplink) < wake)
        wake = wr_uplink_budget_wake_ns(uplink);
    if (uplink->state == WR_UPLINK_ONLINE && wr_uplink_clock_wake_ns(uplink) < wake)
        wake = wr_uplink_clock_wake_ns(uplink);
    for (size_t i = 0; i < uplink->n_items; i++) {
        if (uplink->items[i].state == ITEM_REFUSED)
            wake = or_retry(uplink, wake, uplink->items[i].retry_boot_ns);
    }
    for (size_t i = 0; i < DIRECTS; i++) {
        if (uplink->directs[i].state == DIRECT_WAITING && uplink->directs[i].retry_boot_ns > 0)
            wake = or_retry(uplink, wake, uplink->directs[i].retry_boot_ns);
    }
    return wake;
}
