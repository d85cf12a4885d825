#include "agent/control/control_orders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/commands/commands.h"
#include "agent/control/orders.h"
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

/* -- words ------------------------------------------------------------------------------------------------------------------------------- */

static bool complain(struct wr_buf *answer, const char *what) {
    (void)!wr_buf_printf(answer, "weir alarms: %s. Try 'weir alarms --help'.\n", what);
    return false;
}

static bool take_text(char *into, size_t size, const char *text, const char *what, struct wr_buf *answer) {
    char problem[96];
    snprintf(problem, sizeof problem, "%s is longer than %zu bytes", what, size - 1);
    if (strlen(text) >= size)
        return complain(answer, problem);
    snprintf(problem, sizeof problem, "%s takes plain UTF-8 text, without control characters", what);
    if (!wr_order_is_plain(text, strlen(text)))
        return complain(answer, problem);
    wr_utf8_copy(into, size, text);
    return true;
}

static bool take_time(struct wr_order *order, const char *option, const char *value, struct wr_buf *answer) {
    if (strcmp(option, "--for") == 0)
        return wr_order_take_for(order, value) || complain(answer, "--for takes a duration, as 90m or 2h");
    const enum wr_result result = wr_order_take_until(order, value);
    return result == WR_OK || complain(answer, result == WR_NO_MEMORY ? "no memory" : "--until takes a time, as 2026-03-02T16:00:00Z");
}

/* The word behind an option. */
static bool take_option(struct wr_order *order, const char *option, const char *value, struct wr_buf *answer) {
    if (strcmp(option, "--by") == 0)
        return take_text(order->by_whom, sizeof order->by_whom, value, "the name behind --by", answer);
    if (strcmp(option, "--why") == 0)
        return take_text(order->why, sizeof order->why, value, "the text behind --why", answer);
    if (strcmp(option, "--key") == 0)
        return take_text(order->key, WR_COMMAND_KEY_BYTES, value, "the key", answer);
    return take_time(order, option, value, answer);
}

bool wr_order_option(const char *word) {
    static const char *const options[] = {"--by", "--why", "--key", "--for", "--until"};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (strcmp(word, options[i]) == 0)
            return true;
    return false;
}

static bool check(const struct wr_order *order, struct wr_buf *answer) {
    static const char *const flaws[] = {
        [WR_ORDER_WITHOUT_ALARM] = "which alarm? RULE, or RULE{room=A1}",
        [WR_ORDER_SHELVES_WITHOUT] = "to shelve needs --why TEXT, and --for 2h or --until TIME",
        [WR_ORDER_OOS_WITHOUT] = "oos needs --why with a reference: a work order, a permit",
        [WR_ORDER_TIMED] = "--for and --until go with shelve",
        [WR_ORDER_TWICE_TIMED] = "--for and --until exclude each other",
    };
    const enum wr_order_flaw flaw = wr_order_flaw(order);
    return flaw == WR_ORDER_FINE || complain(answer, flaws[flaw]);
}

static bool read_words(struct wr_order *order, int argc, char **argv, bool *ret_json, struct wr_buf *answer) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            *ret_json = true;
        } else if (wr_order_option(argv[i])) {
            if (i + 1 == argc)
                return complain(answer, "the last option needs a value");
            if (!take_option(order, argv[i], argv[i + 1], answer))
                return false;
            i++;
        } else if (argv[i][0] == '-' || order->alarm[0] != '\0') {
            char problem[96];
            snprintf(problem, sizeof problem, "'%.60s' makes no sense here", argv[i]);
            return complain(answer, problem);
        } else if (!take_text(order->alarm, sizeof order->alarm, argv[i], "the alarm", answer)) {
            return false;
        }
    }
    return check(order, answer);
}

int wr_control_order(struct wr_agent *agent, int argc, char **argv, const char *by_whom, struct wr_buf *answer) {
    struct wr_request *request;
    struct wr_order_answer came;
    bool json = false;
    struct wr_order *order = calloc(1, sizeof *order);
    if (!order)
        return WR_EXIT_CANNOT;
    order->verb = wr_order_verb_of(argv[0]);
    wr_utf8_copy(order->by_whom, sizeof order->by_whom, by_whom);
    if (!order->verb || !read_words(order, argc, argv, &json, answer)) {
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
