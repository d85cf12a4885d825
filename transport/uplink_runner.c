#include "transport/uplink_runner.h"
#include "core/thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transport/paho.h"
#include "transport/reason.h"
#include "transport/uplink_runner_private.h"

#define TURN 64 /* messages taken from a channel before actions are carried out */
#define REQUEST_WAIT_NS WR_NS_PER_S
#define WIRE_NS (100 * WR_NS_PER_MS) /* the wire's count is read so often at most */

static uint64_t random_of(const struct wr_uplink_runner *runner) {
    return wr_clock_random_u64(runner->config.clock);
}

static void notify(struct wr_uplink_runner *runner, struct wr_uplink_notice notice) {
    if (notice.text == NULL)
        notice.text = "";
    if (runner->config.notify != NULL)
        runner->config.notify(runner->config.notify_user, &notice);
}

/* ---- actions ---- */

/* The channel cannot fill, by its size. A closed one means that the store is gone: then nothing can be booked any more. */
static void request(struct wr_uplink_runner *runner, const struct wr_uplink_request *what) {
    enum wr_result result;
    do {
        result = wr_channel_send(runner->config.requests, what, wr_clock_boot_ns(wr_clock_real()) + REQUEST_WAIT_NS);
    } while (result == WR_TIMEOUT);
    if (what->kind != WR_UPLINK_PARK)
        return;
    char text[128];
    if (what->reason == 0)
        (void)snprintf(text, sizeof text, "cannot be encoded");
    else if (what->reason == WR_UPLINK_HANGUP)
        (void)snprintf(text, sizeof text, "the broker ended the session each of the last %d times that it came",
                       WR_UPLINK_REFUSALS_TO_PARK);
    else if (what->reason == WR_UPLINK_UNANSWERED)
        (void)snprintf(text, sizeof text, "sent %d times, and never acknowledged by the broker", WR_UPLINK_REFUSALS_TO_PARK);
    else
        (void)snprintf(text, sizeof text,
                       what->reason == 0x95 ? "larger than the broker accepts (0x%02X)" : "refused by the broker (0x%02X)", what->reason);
    notify(runner, (struct wr_uplink_notice){.kind = WR_UPLINK_NOTICE_PARKED, .lane = what->lane, .seq = what->first, .text = text});
}

/* One that cannot be sent is one that was not granted: the data does not suffer for it. */
static void subscribe(struct wr_uplink_runner *runner, const struct wr_now *now, const struct wr_uplink_action *action) {
    char topic[WR_TOPIC_BYTES];
    struct wr_error err = {0};
    wr_topic_text(topic, &runner->config.place, WR_TOPIC_CMD);
    enum wr_result result = runner->config.ops->subscribe(runner->config.self, action->connection, topic, &err);
    if (result == WR_OK || result == WR_CLOSED)
        return;
    struct wr_session_event event = {.kind = WR_SESSION_SUBSCRIBED, .reason = 0x80, .connection = action->connection};
    (void)snprintf(event.text, sizeof event.text, "%s", err.text);
    wr_uplink_on_session(runner->uplink, now, random_of(runner), &event);
}

static void direct_done(struct wr_uplink_runner *runner, uint64_t id, bool delivered) {
    if ((id & WR_UPLINK_ANSWER) == 0)
        notify(runner, (struct wr_uplink_notice){.kind = WR_UPLINK_NOTICE_DIRECT_DONE, .id = id, .delivered = delivered});
}

static void act(struct wr_uplink_runner *runner, const struct wr_now *now, const struct wr_uplink_action *action) {
    const struct wr_session_ops *ops = runner->config.ops;
    switch ((enum wr_uplink_action_kind)action->kind) {
    case WR_UPLINK_ACT_CONNECT:
        if (ops->connect(runner->config.self, action->connection, action->broker) != WR_OK) {
            struct wr_session_event event = {.kind = WR_SESSION_FAILED, .connection = action->connection, .text = "the session is busy"};
            wr_uplink_on_session(runner->uplink, now, random_of(runner), &event);
        }
        break;
    case WR_UPLINK_ACT_CLOSE:
        ops->close(runner->config.self, action->connection, action->clean);
        break;
    case WR_UPLINK_ACT_SUBSCRIBE:
        subscribe(runner, now, action);
        break;
    case WR_UPLINK_ACT_BIRTH:
        wr_uplink_publish_state(runner, now, action);
        break;
    case WR_UPLINK_ACT_PUBLISH:
        wr_uplink_publish_segment(runner, now, action);
        break;
    case WR_UPLINK_ACT_DIRECT:
        wr_uplink_publish_direct(runner, now, action);
        break;
    case WR_UPLINK_ACT_REQUEST:
        request(runner, &action->request);
        break;
    case WR_UPLINK_ACT_DIRECT_DONE:
        direct_done(runner, action->id, action->delivered);
        break;
    }
}

static void tell_link(struct wr_uplink_runner *runner, const struct wr_uplink_stats *stats) {
    enum wr_uplink_state state = (enum wr_uplink_state)stats->state;
    if (state == runner->told)
        return;
    bool failed = state == WR_UPLINK_OFFLINE;
    struct wr_uplink_notice notice = {
        .kind = WR_UPLINK_NOTICE_STATE, .from = (uint8_t)runner->told, .to = (uint8_t)state, .text = failed ? stats->cause : ""};
    runner->told = state;
    if (failed)
        memset(runner->told_refusals, 0, sizeof runner->told_refusals);
    notify(runner, notice);
}

void wr_uplink_runner_tell_refusal(struct wr_uplink_runner *runner, uint8_t reason) {
    uint64_t *told = &runner->told_refusals[reason / 64 % 2];
    const uint64_t bit = UINT64_C(1) << reason % 64;
    if ((*told & bit) != 0)
        return;
    *told |= bit;
    char text[160];
    const char *advice = wr_reason_advice(reason);
    (void)snprintf(text, sizeof text, "%s (0x%02X)%s%s", wr_paho_reason_name(reason), reason, advice[0] != '\0' ? ": " : "", advice);
    notify(runner, (struct wr_uplink_notice){.kind = WR_UPLINK_NOTICE_REFUSED, .text = text});
}

/* Told when it is known: a subscription under way is no news. */
static void tell_commands(struct wr_uplink_runner *runner, const struct wr_uplink_stats *stats) {
    enum wr_uplink_commands commands = (enum wr_uplink_commands)stats->commands;
    bool granted = commands == WR_UPLINK_COMMANDS_HEARD;
    bool known = granted || commands == WR_UPLINK_COMMANDS_REFUSED;
    bool news = known && commands != runner->told_commands;
    runner->told_commands = commands;
    if (news)
        notify(runner, (struct wr_uplink_notice){
                           .kind = WR_UPLINK_NOTICE_COMMANDS, .granted = granted, .text = granted ? "" : stats->commands_cause});
}

/* Once on the way down, once when it is over: not each time that what is left recovers for a while. */
static void tell_budget(struct wr_uplink_runner *runner, const struct wr_uplink_stats *stats) {
    const bool over = stats->budget_level == WR_BUDGET_FREE && runner->told_budget > WR_BUDGET_FREE;
    if (!over && stats->budget_level <= runner->told_budget)
        return;
    const struct wr_uplink_notice notice = {.kind = WR_UPLINK_NOTICE_BUDGET, .from = runner->told_budget, .to = stats->budget_level};
    runner->told_budget = stats->budget_level;
    notify(runner, notice);
}

static void tell_state(struct wr_uplink_runner *runner) {
    struct wr_uplink_stats stats;
    wr_uplink_stats(runner->uplink, &stats);
    (void)pthread_mutex_lock(&runner->lock);
    runner->snapshot = stats;
    (void)pthread_mutex_unlock(&runner->lock);
    tell_link(runner, &stats);
    tell_commands(runner, &stats);
    tell_budget(runner, &stats);
}

static void act_all(struct wr_uplink_runner *runner, const struct wr_now *now) {
    struct wr_uplink_action action;
    while (wr_uplink_next(runner->uplink, now, random_of(runner), &action)) {
        act(runner, now, &action);
        if (action.kind == WR_UPLINK_ACT_CONNECT || action.kind == WR_UPLINK_ACT_CLOSE)
            tell_state(runner);
    }
    tell_state(runner);
}

/* ---- messages in ---- */

static void take_event(struct wr_uplink_runner *runner, const struct wr_now *now, const struct wr_session_event *event) {
    wr_uplink_on_session(runner->uplink, now, random_of(runner), event);
    if (event->kind == WR_SESSION_REFUSED)
        wr_uplink_runner_tell_refusal(runner, event->reason);
    if (event->kind != WR_SESSION_DELIVERED && event->kind != WR_SESSION_REFUSED)
        tell_state(runner);
}

/* Replaces the body by what is sent, where that is not the body itself. */
static enum wr_result encode(struct wr_uplink_runner *runner, struct wr_segment *segment) {
    enum wr_payload_format format = wr_payload_of(runner->config.format, segment);
    if (format == WR_PAYLOAD_SEGMENT)
        return WR_OK;
    struct wr_buf payload;
    wr_buf_init(&payload, WR_PAYLOAD_BYTES_MAX);
    enum wr_result result = runner->config.encode(runner->config.encode_user, format, segment, &payload, NULL);
    if (result == WR_OK) {
        free(segment->body);
        segment->body = wr_buf_steal(&payload, &segment->body_len);
    }
    wr_buf_fini(&payload);
    return result;
}

static void take_reply(struct wr_uplink_runner *runner, const struct wr_now *now, struct wr_uplink_reply *reply) {
    enum wr_result encoded = WR_OK;
    size_t packet_bytes = 0;
    if (reply->kind == WR_UPLINK_SEGMENT) {
        encoded = encode(runner, &reply->segment);
        packet_bytes = wr_uplink_publish_bytes(runner, &reply->segment);
    }
    wr_uplink_on_store(runner->uplink, now, reply, packet_bytes, encoded);
}

static void take_direct(struct wr_uplink_runner *runner, struct wr_uplink_direct *direct) {
    if (direct->topic[0] == '\0') {
        runner->state_due = true;
        return;
    }
    if (!wr_uplink_on_direct(runner->uplink, direct)) {
        free(direct->payload);
        notify(runner, (struct wr_uplink_notice){.kind = WR_UPLINK_NOTICE_DIRECT_DONE, .id = direct->id, .delivered = false});
    }
}

/* There is room: only then the channel is looked at. */
static void take_answer(struct wr_uplink_runner *runner, const struct wr_command_answer *answer) {
    struct wr_uplink_direct direct = {
        .id = WR_UPLINK_ANSWER | ++runner->answer, .payload = answer->payload, .payload_len = answer->payload_len, .qos = 1};
    if (!wr_uplink_on_direct(runner->uplink, &direct))
        free(direct.payload);
}

/* The state once more, as a message like others: behind any older one that is still on its way. While nobody is connected it can wait: the birth tells it, too. */
static void renew_state(struct wr_uplink_runner *runner, const struct wr_now *now) {
    if (!runner->state_due || wr_uplink_state(runner->uplink) != WR_UPLINK_ONLINE || !wr_uplink_direct_room(runner->uplink))
        return;
    struct wr_uplink_direct direct = {.qos = 1, .retained = true};
    struct wr_buf json;
    wr_buf_init(&json, 4096);
    if (wr_state_json(&json, &runner->config.place, NULL, wr_uplink_running(runner), now) == WR_OK) {
        (void)wr_topic_text(direct.topic, &runner->config.place, WR_TOPIC_STATE);
        direct.payload = wr_buf_steal(&json, &direct.payload_len);
        if (wr_uplink_on_direct(runner->uplink, &direct))
            runner->state_due = false;
        else
            free(direct.payload);
    }
    wr_buf_fini(&json);
}

/* ---- turns ---- */

void wr_uplink_runner_receive(struct wr_uplink_runner *runner, int64_t deadline_boot_ns, struct wr_uplink_received *ret_received) {
    static const enum wr_uplink_source sources[] = {WR_UPLINK_FROM_CONTROL, WR_UPLINK_FROM_SESSION, WR_UPLINK_FROM_ACTIONS,
                                                    WR_UPLINK_FROM_COMMANDS, WR_UPLINK_FROM_STORE};
    bool room = !runner->directs_over && wr_uplink_direct_room(runner->uplink);
    bool answer_room = !runner->answers_over && wr_uplink_answer_room(runner->uplink);
    struct wr_channel_case cases[] = {
        {.channel = runner->control, .direction = WR_CHANNEL_RECV, .element = &ret_received->as.stop_boot_ns},
        {.channel = runner->events, .direction = WR_CHANNEL_RECV, .element = &ret_received->as.event},
        {.channel = room ? runner->config.directs : NULL, .direction = WR_CHANNEL_RECV, .element = &ret_received->as.direct},
        {.channel = answer_room ? runner->config.answers : NULL, .direction = WR_CHANNEL_RECV, .element = &ret_received->as.answer},
        {.channel = runner->replies_over ? NULL : runner->config.replies, .direction = WR_CHANNEL_RECV, .element = &ret_received->as.reply},
    };
    size_t index;
    ret_received->from = WR_UPLINK_FROM_NOBODY;
    if (wr_channel_select(cases, sizeof cases / sizeof cases[0], NULL, deadline_boot_ns, &index) != WR_OK)
        return;
    ret_received->from = sources[index];
    ret_received->closed = cases[index].result != WR_OK;
}

static void take(struct wr_uplink_runner *runner, const struct wr_now *now, struct wr_uplink_received *received) {
    const bool over = received->closed;
    switch (received->from) {
    case WR_UPLINK_FROM_NOBODY:
        break;
    case WR_UPLINK_FROM_CONTROL:
        wr_uplink_on_stop(runner->uplink, now, over ? 0 : received->as.stop_boot_ns);
        break;
    case WR_UPLINK_FROM_SESSION:
        if (!over)
            take_event(runner, now, &received->as.event);
        break;
    case WR_UPLINK_FROM_ACTIONS:
        runner->directs_over = over;
        if (!over)
            take_direct(runner, &received->as.direct);
        break;
    case WR_UPLINK_FROM_COMMANDS:
        runner->answers_over = over;
        if (!over)
            take_answer(runner, &received->as.answer);
        break;
    case WR_UPLINK_FROM_STORE:
        runner->replies_over = over;
        if (!over)
            take_reply(runner, now, &received->as.reply);
        break;
    }
}

/* What else lies there is taken with the one that woke us. */
static void drain(struct wr_uplink_runner *runner, const struct wr_now *now) {
    struct wr_session_event event;
    for (int i = 0; i < TURN && wr_channel_try_recv(runner->events, &event) == WR_OK; i++)
        take_event(runner, now, &event);
    struct wr_uplink_reply reply;
    for (int i = 0; i < TURN && !runner->replies_over && wr_channel_try_recv(runner->config.replies, &reply) == WR_OK; i++)
        take_reply(runner, now, &reply);
}

/* The end of a session is counted to the last byte that can be. */
static void count_wire(struct wr_uplink_runner *runner, const struct wr_now *now) {
    struct wr_wire_bytes bytes;
    const bool ends = wr_uplink_state(runner->uplink) == WR_UPLINK_DRAINING;
    if (runner->config.ops->wire == NULL || !wr_uplink_has_budget(runner->uplink) || (now->boot_ns < runner->wire_boot_ns && !ends))
        return;
    runner->wire_boot_ns = wr_clock_add_ns(now->boot_ns, WIRE_NS);
    runner->config.ops->wire(runner->config.self, &bytes);
    wr_uplink_on_wire(runner->uplink, now, bytes.sent + bytes.received);
}

int64_t wr_uplink_runner_turn(struct wr_uplink_runner *runner, const struct wr_now *now, struct wr_uplink_received *received) {
    take(runner, now, received);
    if (received->from != WR_UPLINK_FROM_NOBODY)
        drain(runner, now);
    renew_state(runner, now);
    received->from = WR_UPLINK_FROM_NOBODY;
    count_wire(runner, now);
    act_all(runner, now);
    return wr_uplink_wake_ns(runner->uplink);
}

bool wr_uplink_runner_ended(const struct wr_uplink_runner *runner) {
    return wr_uplink_state(runner->uplink) == WR_UPLINK_STOPPED;
}

static void *runner_thread(void *user) {
    struct wr_uplink_runner *runner = user;
    struct wr_uplink_received received = {.from = WR_UPLINK_FROM_NOBODY};
    wr_thread_name("weir-uplink");
    for (;;) {
        const struct wr_now now = wr_clock_now(runner->config.clock);
        const int64_t wake_boot_ns = wr_uplink_runner_turn(runner, &now, &received);
        if (wr_uplink_runner_ended(runner))
            return NULL;
        wr_uplink_runner_receive(runner, wake_boot_ns, &received);
    }
}

/* ---- life ---- */

static enum wr_result prepare_session(struct wr_uplink_runner *runner, struct wr_error *err) {
    struct wr_uplink_runner_config *config = &runner->config;
    if (config->ops != NULL)
        return WR_OK;
    struct wr_session_config session = config->session;
    session.window = config->uplink.window;
    session.events = runner->events;
    session.clock = config->clock;
    session.commands = config->commands;
    wr_topic_text(session.will_topic, &config->place, WR_TOPIC_STATE);
    struct wr_buf will;
    wr_buf_init(&will, sizeof session.will - 1);
    enum wr_result result = wr_state_json(&will, &config->place, "connection lost", 0, NULL);
    if (result == WR_OK)
        memcpy(session.will, wr_buf_str(&will), will.len + 1);
    wr_buf_fini(&will);
    if (result != WR_OK)
        return wr_error_set(err, result, "uplink: the last will: %s", wr_result_name(result));
    WR_TRY(wr_session_new(&session, &runner->session, err));
    config->ops = wr_session_ops();
    config->self = runner->session;
    return WR_OK;
}

static enum wr_result prepare(struct wr_uplink_runner *runner, struct wr_error *err) {
    struct wr_channel_options events = {.name = "session events",
                                        .capacity = WR_SESSION_EVENTS(runner->config.uplink.window),
                                        .element_bytes = sizeof(struct wr_session_event),
                                        .policy = WR_CHANNEL_REJECT};
    struct wr_channel_options control = {
        .name = "uplink control", .capacity = 1, .element_bytes = sizeof(int64_t), .policy = WR_CHANNEL_REJECT};
    WR_TRY(wr_uplink_new(&runner->config.uplink, &runner->uplink, err));
    WR_TRY(wr_channel_new(&events, &runner->events, err));
    WR_TRY(wr_channel_new(&control, &runner->control, err));
    WR_TRY(wr_context_new_on(runner->config.clock, WR_NEVER_NS, random_of(runner), &runner->context, err));
    WR_TRY(prepare_session(runner, err));
    wr_uplink_stats(runner->uplink, &runner->snapshot);
    return WR_OK;
}

static void release(struct wr_uplink_runner *runner) {
    wr_session_free(runner->session);
    wr_context_unref(runner->context);
    wr_channel_free(runner->control);
    wr_channel_free(runner->events);
    wr_uplink_free(runner->uplink);
    (void)pthread_mutex_destroy(&runner->lock);
    free(runner);
}

enum wr_result wr_uplink_runner_new(const struct wr_uplink_runner_config *config, struct wr_uplink_runner **ret_runner,
                                    struct wr_error *err) {
    struct wr_uplink_runner *runner = calloc(1, sizeof *runner);
    if (runner == NULL)
        return wr_error_set(err, WR_NO_MEMORY, "uplink: no memory");
    runner->config = *config;
    runner->config.uplink.commands = config->commands != NULL;
    runner->directs_over = config->directs == NULL;
    runner->answers_over = config->answers == NULL;
    (void)pthread_mutex_init(&runner->lock, NULL);
    enum wr_result result = prepare(runner, err);
    if (result != WR_OK) {
        release(runner);
        return result;
    }
    *ret_runner = runner;
    return WR_OK;
}

enum wr_result wr_uplink_runner_start(struct wr_uplink_runner *runner, struct wr_error *err) {
    WR_TRY(wr_thread_start(&runner->thread, runner_thread, runner, "uplink", err));
    runner->running = true;
    return WR_OK;
}

struct wr_channel *wr_uplink_runner_events(struct wr_uplink_runner *runner) {
    return runner->events;
}

void wr_uplink_runner_status(struct wr_uplink_runner *runner, struct wr_uplink_status *ret_status) {
    (void)pthread_mutex_lock(&runner->lock);
    ret_status->uplink = runner->snapshot;
    (void)pthread_mutex_unlock(&runner->lock);
    ret_status->session = (struct wr_session_stats){.cert_expires_wall_ns = WR_NEVER_NS};
    if (runner->session != NULL)
        wr_session_stats(runner->session, &ret_status->session);
}

void wr_uplink_runner_ask_to_stop(struct wr_uplink_runner *runner, int64_t deadline_boot_ns) {
    if (wr_channel_try_send(runner->control, &deadline_boot_ns) != WR_OK)
        wr_channel_close(runner->control);
}

void wr_uplink_runner_stop(struct wr_uplink_runner *runner, int64_t deadline_boot_ns) {
    if (!runner->running)
        return;
    wr_uplink_runner_ask_to_stop(runner, deadline_boot_ns);
    (void)pthread_join(runner->thread, NULL);
    runner->running = false;
}

void wr_uplink_runner_free(struct wr_uplink_runner *runner) {
    if (runner == NULL)
        return;
    wr_uplink_runner_stop(runner, 0);
    release(runner);
}
