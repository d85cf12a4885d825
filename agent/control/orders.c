#include "agent/control/orders.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/agent.h"
#include "agent/codec/time_format.h"
#include "core/json.h"
#include "core/quantity.h"
#include "core/utf8.h"

#define LOOK_NS (1 * WR_NS_PER_MS)

static const struct wr_order_verb verbs[] = {
    {"ack", WR_ALARM_COMMAND_ACK, "acknowledged"},
    {"reset", WR_ALARM_COMMAND_RESET, "reset"},
    {"shelve", WR_ALARM_COMMAND_SHELVE, "shelved"},
    {"unshelve", WR_ALARM_COMMAND_UNSHELVE, "unshelved"},
    {"oos", WR_ALARM_COMMAND_OUT_OF_SERVICE, "taken out of service"},
    {"return", WR_ALARM_COMMAND_RETURN, "returned to service"},
};

const struct wr_order_verb *wr_order_verb_of(const char *name) {
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

/* -- what is asked ----------------------------------------------------------------------------------------------------------------------- */

bool wr_order_is_plain(const char *text, size_t len) {
    for (size_t at = 0; at < len;) {
        const size_t unit = wr_utf8_length(text + at, len - at);
        const unsigned char first = (unsigned char)text[at];
        const bool c1 = unit == 2 && first == 0xc2 && (unsigned char)text[at + 1] < 0xa0; /* U+009B begins a command, as ESC [ does */
        if (unit == 0 || first < ' ' || first == 0x7f || c1)
            return false;
        at += unit;
    }
    return true;
}

bool wr_order_take_for(struct wr_order *order, const char *text) {
    return wr_quantity_duration(text, &order->for_ns, NULL) == WR_OK && order->for_ns > 0;
}

enum wr_result wr_order_read_time(const char *text, int64_t *ret_wall_ns) {
    struct wr_time_format format;
    WR_TRY(wr_time_format_init(&format, NULL, NULL, NULL));
    const bool is_time = wr_time_format_read(&format, text, strlen(text), ret_wall_ns);
    wr_time_format_fini(&format);
    return is_time ? WR_OK : WR_INVALID;
}

enum wr_result wr_order_take_until(struct wr_order *order, const char *text) {
    return wr_order_read_time(text, &order->until_wall_ns);
}

enum wr_order_flaw wr_order_flaw(const struct wr_order *order) {
    const bool timed = order->for_ns != 0 || order->until_wall_ns != 0;
    if (order->alarm[0] == '\0')
        return WR_ORDER_WITHOUT_ALARM;
    if (order->verb->kind == WR_ALARM_COMMAND_SHELVE && (!timed || order->why[0] == '\0'))
        return WR_ORDER_SHELVES_WITHOUT;
    if (order->verb->kind == WR_ALARM_COMMAND_OUT_OF_SERVICE && order->why[0] == '\0')
        return WR_ORDER_OOS_WITHOUT;
    if (order->verb->kind != WR_ALARM_COMMAND_SHELVE && timed)
        return WR_ORDER_TIMED;
    if (order->for_ns != 0 && order->until_wall_ns != 0)
        return WR_ORDER_TWICE_TIMED;
    return WR_ORDER_FINE;
}

/* -- on the engine's thread ------------------------------------------------------------------------------------------------------------- */

static void run_order(struct wr_request *request, void *owner) {
    struct wr_engine_loop *loop = owner;
    struct wr_order *order = request->input;
    struct wr_alarm_command *command = &order->command;
    struct wr_evaluator *evaluator = wr_engine_evaluator(loop->engine);
    const struct wr_now now = wr_clock_now(loop->clock);
    const uint64_t missed = loop->journal_missed;
    *command = (struct wr_alarm_command){
        .kind = order->verb->kind, .alarm = order->alarm, .by_whom = order->by_whom, .why = order->why, .key = order->key};
    command->until_wall_ns = order->for_ns > 0 ? wr_clock_add_ns(now.wall_ns, order->for_ns) : order->until_wall_ns;
    enum wr_result result = WR_NOT_FOUND;
    if (!evaluator)
        (void)wr_error_set(&request->error, WR_NOT_FOUND, "there are no rules");
    do { /* a command may take more alarms than there is room for transitions at once */
        if (evaluator)
            result = wr_evaluator_command(evaluator, command, &now, &loop->out.alarms, &request->error);
        wr_engine_loop_drain_alarms(loop);
    } while (result == WR_FULL && loop->out.alarms.n == 0);
    if (result == WR_FULL)
        (void)wr_error_set(&request->error, WR_FULL, "%u alarms changed, more wait for the actions: say it again", command->changed);
    order->number = loop->journal_number;
    order->is_behind = loop->journal_missed != missed || loop->out.alarms.n > 0 || (command->repeated && loop->journal_behind);
    wr_request_finish(request, result);
}

/* -- on the asker's ---------------------------------------------------------------------------------------------------------------------- */

enum wr_result wr_order_request(struct wr_order *order, struct wr_request **ret_request, struct wr_error *err) {
    return wr_request_new(run_order, order, free, ret_request, err);
}

/* Until the journal has it all; or why it has not. A store that is being opened takes what waits when it is open. */
static const char *wait_for_journal(struct wr_agent *agent, const struct wr_order *order, struct wr_context *context) {
    const int64_t deadline_boot_ns = wr_clock_boot_ns(agent->clock) + WR_ORDER_JOURNAL_NS;
    if (order->is_behind)
        return "too many changes at once: not all of this is on disk yet; say it again with the same key in a while";
    for (;;) {
        const int store = agent->store.state;
        if (store == WR_STORE_OPEN && agent->store.journalled >= order->number)
            return "";
        if (wr_context_state(context) != WR_OK)
            return "the agent stops: this may not be on disk";
        if (store == WR_STORE_WITHOUT)
            return "no store can be used now: after a restart this would be forgotten";
        if (store == WR_STORE_FAILED || wr_clock_boot_ns(agent->clock) >= deadline_boot_ns)
            return store == WR_STORE_OPENING ? "the store is not open yet: after a crash now this would be forgotten"
                                             : "the store does not write: after a crash this would be forgotten";
        const struct timespec pause = {.tv_nsec = LOOK_NS};
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    }
}

void wr_order_carry_out(struct wr_agent *agent, struct wr_request *request, struct wr_context *context,
                        struct wr_order_answer *ret_answer) {
    const struct wr_order *order = request->input;
    struct wr_order_answer *answer = ret_answer;
    *answer = (struct wr_order_answer){.unjournalled = ""};
    answer->result = wr_request_call_within(request, agent->engine.requests, context, WR_AGENT_REQUEST_NS, &answer->error);
    if (answer->result == WR_TIMEOUT || answer->result == WR_CLOSED || answer->result == WR_CANCELED)
        return; /* nobody knows what came of it */
    answer->is_known = true;
    const bool something = order->command.changed > 0 || order->key[0];
    answer->unjournalled = something ? wait_for_journal(agent, order, context) : "";
    answer->journalled = answer->unjournalled[0] == '\0';
    answer->problem = answer->result == WR_OK ? order->command.problem : answer->error.text;
}

void wr_order_to_members(const struct wr_order *order, const struct wr_order_answer *answer, struct wr_json *json) {
    const struct wr_alarm_command *command = &order->command;
    char until[32];
    wr_json_string(json, "command", order->verb->name);
    wr_json_string(json, "alarm", order->alarm);
    wr_json_string(json, "result", wr_result_name(answer->result));
    wr_json_uint(json, "changed", command->changed);
    wr_json_uint(json, "refused", command->refused);
    wr_json_string(json, "by", order->by_whom);
    if (order->why[0])
        wr_json_string(json, "why", order->why);
    if (order->verb->kind == WR_ALARM_COMMAND_SHELVE && command->until_wall_ns != 0 && !command->repeated)
        wr_json_string(json, "until", wr_clock_format(until, sizeof until, command->until_wall_ns));
    if (order->key[0])
        wr_json_string(json, "key", order->key);
    wr_json_bool(json, "repeated", command->repeated);
    wr_json_bool(json, "journalled", answer->journalled);
    if (answer->problem[0])
        wr_json_string(json, "problem", answer->problem);
    else if (!answer->journalled)
        wr_json_string(json, "problem", answer->unjournalled);
}

enum wr_result wr_order_to_json(const struct wr_order *order, const struct wr_order_answer *answer, struct wr_buf *into) {
    struct wr_json json;
    wr_json_begin(&json, into);
    wr_json_object(&json, NULL);
    wr_order_to_members(order, answer, &json);
    wr_json_object_end(&json);
    WR_TRY(wr_json_end(&json));
    return wr_buf_text(into, "\n");
}
