#include "agent/control_orders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/agent.h"
#include "agent/codec/time_format.h"
#include "agent/commands/commands.h"
#include "core/json.h"
#include "core/quantity.h"
#include "core/utf8.h"
#include "rules/alarms/command_log.h"

#define LOOK_NS (1 * WR_NS_PER_MS)

static const struct verb {
    const char *name;
    enum wr_alarm_command_kind kind;
    const char *done; /* "3 alarms shelved" */
} verbs[] = {
    {"ack", WR_ALARM_COMMAND_ACK, "acknowledged"},
    {"reset", WR_ALARM_COMMAND_RESET, "reset"},
    {"shelve", WR_ALARM_COMMAND_SHELVE, "shelved"},
    {"unshelve", WR_ALARM_COMMAND_UNSHELVE, "unshelved"},
    {"oos", WR_ALARM_COMMAND_OUT_OF_SERVICE, "taken out of service"},
    {"return", WR_ALARM_COMMAND_RETURN, "returned to service"},
};

static const struct verb *find_verb(const char *name) {
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

bool wr_order_kind(const char *verb, enum wr_alarm_command_kind *ret_kind) {
    const struct verb *found = find_verb(verb);
    if (found)
        *ret_kind = found->kind;
    return found != NULL;
}

/* What is asked, and what came of it: the request's input, which outlives an asker that gives up. */
struct order {
    const struct verb *verb;
    char alarm[512];
    char by_whom[64];
    char why[WR_ALARM_WHY_BYTES];
    char key[WR_COMMAND_KEY_BYTES + 1];
    int64_t for_ns;        /* 0: until */
    int64_t until_wall_ns; /* 0: for; both 0: none was given */
    bool json;
    struct wr_alarm_command command;
    uint64_t number; /* of the last entry in the journal */
    bool is_lost;    /* the journal had no room for all of them */
};

/* -- on the engine's thread ------------------------------------------------------------------------------------------------------------- */

static void run_order(struct wr_request *request, void *owner) {
    struct wr_engine_loop *loop = owner;
    struct order *order = request->input;
    struct wr_alarm_command *command = &order->command;
    struct wr_evaluator *evaluator = wr_engine_evaluator(loop->engine);
    const struct wr_now now = wr_clock_now(loop->clock);
    const uint64_t unjournalled = loop->shown.unjournalled;
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
    order->is_lost = loop->shown.unjournalled != unjournalled || loop->out.alarms.n > 0 || loop->resnapshot;
    wr_request_finish(request, result);
}

/* -- the answer -------------------------------------------------------------------------------------------------------------------------- */

/* False: the store does not write, or not in time. */
static bool wait_for_journal(struct wr_agent *agent, const struct order *order) {
    const int64_t deadline_boot_ns = wr_clock_boot_ns(agent->clock) + WR_ORDER_JOURNAL_NS;
    if (order->is_lost)
        return false;
    while (agent->store.state == WR_STORE_OPEN && agent->store.journalled < order->number) {
        if (wr_clock_boot_ns(agent->clock) >= deadline_boot_ns)
            return false;
        const struct timespec pause = {.tv_nsec = LOOK_NS};
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    }
    return agent->store.state == WR_STORE_OPEN;
}

static enum wr_result put_json(const struct order *order, enum wr_result result, bool journalled, const char *problem,
                               struct wr_buf *answer) {
    const struct wr_alarm_command *command = &order->command;
    struct wr_json json;
    char until[32];
    wr_json_begin(&json, answer);
    wr_json_object(&json, NULL);
    wr_json_string(&json, "command", order->verb->name);
    wr_json_string(&json, "alarm", order->alarm);
    wr_json_string(&json, "result", wr_result_name(result));
    wr_json_uint(&json, "changed", command->changed);
    wr_json_uint(&json, "refused", command->refused);
    wr_json_string(&json, "by", order->by_whom);
    if (order->why[0])
        wr_json_string(&json, "why", order->why);
    if (order->verb->kind == WR_ALARM_COMMAND_SHELVE && command->until_wall_ns != 0 && !command->repeated)
        wr_json_string(&json, "until", wr_clock_format(until, sizeof until, command->until_wall_ns));
    if (order->key[0])
        wr_json_string(&json, "key", order->key);
    wr_json_bool(&json, "repeated", command->repeated);
    wr_json_bool(&json, "journalled", journalled);
    if (problem[0])
        wr_json_string(&json, "problem", problem);
    wr_json_object_end(&json);
    WR_TRY(wr_json_end(&json));
    return wr_buf_text(answer, "\n");
}

static enum wr_result put_words(const struct order *order, bool journalled, struct wr_buf *answer) {
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
    if (!journalled)
        WR_TRY(wr_buf_text(answer, "weir alarms: the store does not write: after a crash this would be forgotten\n"));
    return WR_OK;
}

static int put_answer(struct wr_agent *agent, const struct order *order, enum wr_result result, const char *problem,
                      struct wr_buf *answer) {
    const bool something = order->command.changed > 0 || order->key[0];
    const bool journalled = !something || wait_for_journal(agent, order);
    enum wr_result put = order->json       ? put_json(order, result, journalled, problem, answer)
                         : result == WR_OK ? put_words(order, journalled, answer)
                                           : wr_buf_printf(answer, "weir alarms: %s\n", problem[0] ? problem : wr_result_name(result));
    if (put != WR_OK || !journalled)
        return WR_EXIT_CANNOT;
    switch (result) {
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
    wr_utf8_copy(into, size, text);
    return true;
}

static bool take_time(struct order *order, const char *option, const char *value, struct wr_buf *answer) {
    struct wr_time_format format;
    struct wr_error err = {0};
    if (strcmp(option, "--for") == 0) {
        if (wr_quantity_duration(value, &order->for_ns, &err) == WR_OK && order->for_ns > 0)
            return true;
        return complain(answer, "--for takes a duration, as 90m or 2h");
    }
    if (wr_time_format_init(&format, NULL, NULL, &err) != WR_OK)
        return complain(answer, "no memory");
    bool is_time = wr_time_format_read(&format, value, strlen(value), &order->until_wall_ns);
    wr_time_format_fini(&format);
    return is_time || complain(answer, "--until takes a time, as 2026-03-02T16:00:00Z");
}

/* The word behind an option. */
static bool take_option(struct order *order, const char *option, const char *value, struct wr_buf *answer) {
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

static bool check(const struct order *order, struct wr_buf *answer) {
    const bool timed = order->for_ns != 0 || order->until_wall_ns != 0;
    if (order->alarm[0] == '\0')
        return complain(answer, "which alarm? RULE, or RULE{room=A1}");
    if (order->verb->kind == WR_ALARM_COMMAND_SHELVE && (!timed || order->why[0] == '\0'))
        return complain(answer, "to shelve needs --why TEXT, and --for 2h or --until TIME");
    if (order->verb->kind == WR_ALARM_COMMAND_OUT_OF_SERVICE && order->why[0] == '\0')
        return complain(answer, "oos needs --why with a reference: a work order, a permit");
    if (order->verb->kind != WR_ALARM_COMMAND_SHELVE && timed)
        return complain(answer, "--for and --until go with shelve");
    if (order->for_ns != 0 && order->until_wall_ns != 0)
        return complain(answer, "--for and --until exclude each other");
    return true;
}

static bool read_words(struct order *order, int argc, char **argv, struct wr_buf *answer) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            order->json = true;
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
    struct wr_error err = {0};
    struct order *order = calloc(1, sizeof *order);
    if (!order)
        return WR_EXIT_CANNOT;
    order->verb = find_verb(argv[0]);
    wr_utf8_copy(order->by_whom, sizeof order->by_whom, by_whom);
    if (!order->verb || !read_words(order, argc, argv, answer)) {
        free(order);
        return WR_EXIT_CANNOT;
    }
    if (wr_request_new(run_order, order, free, &request, &err) != WR_OK)
        return WR_EXIT_CANNOT;
    const int64_t deadline_boot_ns = wr_clock_boot_ns(agent->clock) + WR_AGENT_REQUEST_NS;
    enum wr_result result = wr_request_call(request, agent->engine.requests, deadline_boot_ns, &err);
    int code = WR_EXIT_CANNOT;
    if (result == WR_TIMEOUT || result == WR_CLOSED) /* nobody knows what came of it */
        (void)!wr_buf_printf(answer, "weir alarms: %s\n", err.text[0] ? err.text : wr_result_name(result));
    else
        code = put_answer(agent, order, result, result == WR_OK ? order->command.problem : err.text, answer);
    wr_request_release(request);
    return code;
}
