#include "agent/control/control_orders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/commands/commands.h"
#include "agent/control/order_words.h"
#include "core/utf8.h"

/* -- the answer -------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result put_words(const struct wr_order *order, const char *unjournalled, struct wr_buf *answer) {
    const struct wr_alarm_command *command = &order->command;
    char until[32];
    WR_TRY(wr_buf_printf(answer, "%u alarm%s %s", command->changed, command->changed == 1 ? "" : "s", order->verb->done));
    if (order->verb->kind == WR_ALARM_COMMAND_SHELVE && !command->repeated)
        WR_TRY(wr_buf_printf(answer, " until %s", wr_clock_format(until, sizeof until, command->until_wall_ns)));
    if (command->repeated)
        WR_TRY(wr_buf_text(answer, " (the key is known: that was the answer, and nothing was done again)"));
    if (command->refused > 0)
        WR_TRY(wr_buf_printf(answer, "; %u refused: %s", command->refused, command->problem));
    WR_TRY(wr_buf_text(answer, "\n"));
    return unjournalled[0] ? wr_buf_printf(answer, "weir alarms: %s\n", unjournalled) : WR_OK;
}

static int put_answer(const struct wr_order *order, const struct wr_order_answer *came, bool json, struct wr_buf *answer) {
    enum wr_result put = json ? wr_order_to_json(order, came, answer)
                         : came->result == WR_OK
                             ? put_words(order, came->unjournalled, answer)
                             : wr_buf_printf(answer, "weir alarms: %s\n", came->problem[0] ? came->problem : wr_result_name(came->result));
    if (put != WR_OK || !came->journalled)
        return WR_EXIT_CANNOT;
    switch (came->result) {
    case WR_OK:
        return WR_EXIT_OK;
    case WR_NOT_FOUND:
    case WR_INVALID:
    case WR_DENIED:
    case WR_EXISTS:
        return WR_EXIT_FOUND;
    default:
        return WR_EXIT_CANNOT;
    }
}

/* -- the question ----------------------------------------------------------------------------------------------------------------------------- */

int wr_control_order(struct wr_agent *agent, int argc, char **argv, const char *by_whom, struct wr_buf *answer) {
    struct wr_request *request;
    struct wr_order_answer came;
    bool json = false;
    struct wr_order *order = calloc(1, sizeof *order);
    if (!order)
        return WR_EXIT_CANNOT;
    order->verb = wr_order_verb_of(argv[0]);
    wr_utf8_copy(order->by_whom, sizeof order->by_whom, by_whom);
    if (!order->verb || !wr_order_from_words(order, "alarms", argc, argv, &json, answer)) {
        free(order);
        return WR_EXIT_CANNOT;
    }
    if (wr_order_request(order, &request, NULL) != WR_OK)
        return WR_EXIT_CANNOT;
    wr_order_carry_out(agent, request, NULL, &came);
    int code = WR_EXIT_CANNOT;
    if (came.is_known)
        code = put_answer(order, &came, json, answer);
    else
        (void)!wr_buf_printf(answer, "weir alarms: %s\n", came.error.text[0] ? came.error.text : wr_result_name(came.result));
    wr_request_release(request);
    return code;
}
