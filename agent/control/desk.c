#include "agent/control/desk.h"

#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/control/alarm_list.h"
#include "agent/control/order_json.h"
#include "agent/control/orders.h"
#include "agent/http/http_reply.h"
#include "core/log.h"
#include "core/thread.h"

struct wr_desk {
    struct wr_agent *agent;
    struct wr_http_gate *gate;
    struct wr_http_tokens tokens;
    struct wr_http_inbox inbox;
    char *token_file;
    pthread_t thread;
};

/* -- answers ----------------------------------------------------------------------------------------------------------------------------- */

static void answer_error(struct wr_http_delivery *delivery, int code, const char *message) {
    wr_buf_clear(&delivery->reply);
    delivery->code = wr_http_reply_error(WR_HTTP_API_OWN, code, message, 0, &delivery->reply) == WR_OK ? code : 0;
}

static int code_of(const struct wr_order *order, const struct wr_order_answer *answer) {
    if (!answer->journalled)
        return 504;
    switch (answer->result) {
    case WR_OK:
        return 200;
    case WR_NOT_FOUND:
        return 404;
    case WR_DENIED:
        return 403;
    case WR_EXISTS:
        return 409;
    case WR_INVALID: /* the alarm is not in a state that takes it, or its name makes no sense */
        return order->command.refused > 0 ? 409 : 400;
    default:
        return 503;
    }
}

/* -- one delivery ------------------------------------------------------------------------------------------------------------------------ */

static void list(struct wr_desk *desk, struct wr_http_delivery *delivery) {
    const struct wr_alarm_listing wanted = {.json = true};
    struct wr_error err = {0};
    const enum wr_result result = wr_alarm_list(desk->agent, &wanted, desk->inbox.context, &delivery->reply, &err);
    delivery->code = 200;
    if (result == WR_TIMEOUT || result == WR_CANCELED || result == WR_CLOSED)
        answer_error(delivery, 504, "the engine did not answer in time");
    else if (result != WR_OK)
        answer_error(delivery, 503,
                     result == WR_LIMIT || result == WR_FULL ? "the list is too long for HTTP: see 'weir alarms'"
                                                             : "no memory for the list");
}

static void carry_out(struct wr_desk *desk, struct wr_http_delivery *delivery) {
    struct wr_error err = {0};
    struct wr_request *request;
    struct wr_order_answer answer;
    struct wr_order *order = calloc(1, sizeof *order);
    if (!order) {
        answer_error(delivery, 503, "no memory for the command: nothing was done");
        return;
    }
    order->verb = wr_order_verb_of(delivery->verb);
    const enum wr_result read = wr_order_from_json(order, delivery->body.data ? delivery->body.data : "", delivery->body.len, &err);
    if (read != WR_OK) {
        free(order);
        answer_error(delivery, read == WR_NO_MEMORY ? 503 : 400, err.text);
        return;
    }
    if (wr_order_request(order, &request, &err) != WR_OK) {
        answer_error(delivery, 503, "no memory for the command: nothing was done");
        return;
    }
    wr_order_carry_out(desk->agent, request, desk->inbox.context, &answer);
    if (!answer.is_known) {
        answer_error(delivery, 504, "the engine did not answer in time: this may still be done; ask again with the same key");
    } else {
        delivery->code = code_of(order, &answer);
        if (wr_order_to_json(order, &answer, &delivery->reply) != WR_OK)
            answer_error(delivery, 504, "no memory for the answer: this may have been done; ask again with the same key");
    }
    wr_request_release(request);
}

static void serve(struct wr_desk *desk, struct wr_http_delivery *delivery) {
    wr_buf_init(&delivery->reply, WR_HTTP_LIST_BYTES);
    delivery->outcome = WR_HTTP_ANSWERED;
    const bool late = wr_clock_boot_ns(wr_clock_real()) - delivery->posted_boot_ns > WR_DESK_QUEUE_NS;
    if (wr_context_state(desk->inbox.context) != WR_OK)
        delivery->outcome = WR_HTTP_STOPPING;
    else if (late)
        answer_error(delivery, 503, "others are waited for: nothing of this was done, send it again");
    else if (delivery->verb[0])
        carry_out(desk, delivery);
    else
        list(desk, delivery);
    (void)!wr_channel_send(delivery->answers, &delivery, 0); /* has room for all that there can be */
}

static void *run(void *user) {
    struct wr_desk *desk = user;
    struct wr_http_delivery *delivery;
    wr_thread_name("weir-desk");
    while (wr_channel_recv(desk->inbox.channel, &delivery, WR_NEVER_NS) == WR_OK)
        serve(desk, delivery);
    return NULL;
}

/* -- life -------------------------------------------------------------------------------------------------------------------------------- */

static void free_desk(struct wr_desk *desk) {
    wr_http_tokens_close(&desk->tokens);
    wr_channel_free(desk->inbox.channel);
    wr_context_unref(desk->inbox.context);
    free(desk->token_file);
    free(desk);
}

static enum wr_result prepare(struct wr_desk *desk, const struct wr_config_http *config, struct wr_error *err) {
    const struct wr_channel_options options = {
        .name = "desk", .capacity = WR_DESK_WAITING, .element_bytes = sizeof(struct wr_http_delivery *), .policy = WR_CHANNEL_REJECT};
    desk->token_file = strdup(config->command_token_file);
    if (!desk->token_file)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the desk");
    WR_TRY(wr_http_tokens_open(&desk->tokens, desk->token_file, err));
    WR_TRY(wr_channel_new(&options, &desk->inbox.channel, err));
    WR_TRY(wr_context_new(NULL, WR_NEVER_NS, 0, &desk->inbox.context, err));
    desk->inbox.max_body_bytes = WR_DESK_BODY_BYTES;
    desk->inbox.bodies_bytes = WR_DESK_BODIES_BYTES;
    desk->inbox.tokens = &desk->tokens;
    return WR_OK;
}

enum wr_result wr_desk_start(struct wr_agent *agent, const struct wr_config_http *config, struct wr_http_gate *gate,
                             struct wr_desk **ret_desk, struct wr_error *err) {
    struct wr_desk *desk = calloc(1, sizeof *desk);
    if (!desk)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the desk");
    desk->agent = agent;
    desk->gate = gate;
    enum wr_result result = prepare(desk, config, err);
    if (result == WR_OK)
        result = wr_thread_start(&desk->thread, run, desk, "desk", err);
    if (result != WR_OK) {
        free_desk(desk);
        return result;
    }
    result = wr_http_gate_open(gate, &desk->inbox, err);
    if (result == WR_OK)
        *ret_desk = desk;
    else
        wr_desk_stop(desk);
    return result;
}

void wr_desk_stop(struct wr_desk *desk) {
    if (!desk)
        return;
    wr_http_gate_close(desk->gate, &desk->inbox);
    wr_channel_close(desk->inbox.channel);
    (void)!wr_thread_join(desk->thread, WR_NEVER_NS);
    free_desk(desk);
}

size_t wr_desk_bytes(void) {
    return sizeof(struct wr_desk) + WR_HTTP_TOKENS * sizeof(struct wr_http_token) + WR_DESK_BODIES_BYTES +
           WR_HTTP_LIST_BYTES * 3 / 2 + /* the text, and what it grew out of */
           wr_alarm_list_bytes() + sizeof(struct wr_order);
}
