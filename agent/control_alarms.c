#include "agent/control_alarms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/commands/commands.h"

/* -- list ------------------------------------------------------------------------------------------------------------------------------ */

struct listing {
    bool json;
};

static int most_severe_first(const void *a, const void *b) {
    const struct wr_alarm *left = a, *right = b;
    if (left->severity != right->severity)
        return right->severity - left->severity;
    return left->wall_ns < right->wall_ns ? -1 : left->wall_ns > right->wall_ns;
}

static enum wr_result print_alarm(const struct wr_alarm *alarm, struct wr_buf *into) {
    char name[WR_ALARM_NAME_BYTES + WR_ALARM_INSTANCE_BYTES + 2], since[32];
    wr_alarm_display(name, sizeof name, alarm);
    wr_clock_format(since, sizeof since, alarm->wall_ns);
    WR_TRY(
        wr_buf_printf(into, "%-8s  %-14s  %s  since %s", wr_severity_name(alarm->severity), wr_alarm_state_name(alarm->to), name, since));
    if (alarm->has_value)
        WR_TRY(wr_buf_printf(into, "  at %g %s", alarm->value, alarm->unit));
    if (alarm->data == WR_ALARM_DATA_STALE_NOW)
        WR_TRY(wr_buf_text(into, "  data: stale"));
    return wr_buf_printf(into, "%s%s\n", alarm->message[0] ? "  " : "", alarm->message);
}

static enum wr_result print_list(struct wr_alarm *alarms, size_t n, bool json, struct wr_buf *into) {
    if (n == 0)
        return wr_buf_text(into, json ? "[]\n" : "no alarms\n");
    qsort(alarms, n, sizeof *alarms, most_severe_first);
    if (json)
        WR_TRY(wr_buf_text(into, "["));
    for (size_t i = 0; i < n; i++) {
        if (json && i > 0)
            WR_TRY(wr_buf_text(into, ",\n"));
        WR_TRY(json ? wr_alarm_to_json(&alarms[i], into) : print_alarm(&alarms[i], into));
    }
    return json ? wr_buf_text(into, "]\n") : WR_OK;
}

static void run_list(struct wr_request *request, void *owner) {
    struct wr_engine_loop *loop = owner;
    const struct listing *listing = request->input;
    struct wr_evaluator *evaluator = wr_engine_evaluator(loop->engine);
    struct wr_alarm *alarms = NULL;
    size_t n = 0, room = 0;
    uint32_t cursor = 0;
    struct wr_alarm_entry entry;
    enum wr_result result = WR_OK;
    while (evaluator && result == WR_OK && wr_evaluator_next_alarm(evaluator, &cursor, &entry)) {
        if (entry.alarm.to == WR_ALARM_NORMAL || entry.alarm.to == WR_ALARM_PENDING)
            continue; /* not annunciated */
        if (n == room) {
            room = room ? 2 * room : 64;
            struct wr_alarm *more = realloc(alarms, room * sizeof *more);
            if (!more) {
                result = WR_NO_MEMORY;
                break;
            }
            alarms = more;
        }
        alarms[n++] = entry.alarm;
    }
    if (result == WR_OK)
        result = print_list(alarms, n, listing->json, &request->text);
    free(alarms);
    wr_request_finish(request, result);
}

/* -- command --------------------------------------------------------------------------------------------------------------------------- */

struct command {
    enum wr_alarm_command_kind kind;
    char alarm[512];
    char by_whom[64];
};

static void run_command(struct wr_request *request, void *owner) {
    struct wr_engine_loop *loop = owner;
    const struct command *command = request->input;
    const struct wr_now now = wr_clock_now(loop->clock);
    struct wr_evaluator *evaluator = wr_engine_evaluator(loop->engine);
    uint32_t changed = 0;
    enum wr_result result = WR_NOT_FOUND;
    struct wr_alarm_command order = {.kind = command->kind, .alarm = command->alarm, .by_whom = command->by_whom, .why = "", .key = ""};
    do { /* a rule may have more alarms than there is room for transitions at once */
        if (evaluator)
            result = wr_evaluator_command(evaluator, &order, &now, &loop->out.alarms, &request->error);
        changed = order.changed;
        wr_engine_loop_drain_alarms(loop);
    } while (result == WR_FULL && loop->out.alarms.n == 0);
    if (result == WR_FULL)
        (void)wr_error_set(&request->error, WR_FULL, "%u alarms changed, more wait for the actions: say it again", changed);
    if (result == WR_OK)
        result = wr_buf_printf(&request->text, "%u alarm%s %s\n", changed, changed == 1 ? "" : "s",
                               command->kind == WR_ALARM_COMMAND_ACK ? "acknowledged" : "reset");
    wr_request_finish(request, result);
}

/* -- dispatch -------------------------------------------------------------------------------------------------------------------------- */

static int ask_engine(struct wr_agent *agent, wr_request_run *run, void *input, struct wr_buf *answer) {
    struct wr_request *request;
    struct wr_error err = {0};
    if (!input || wr_request_new(run, input, free, &request, &err) != WR_OK)
        return WR_EXIT_CANNOT;
    enum wr_result result = wr_request_call(request, agent->engine.requests, wr_clock_boot_ns(agent->clock) + WR_AGENT_REQUEST_NS, &err);
    if (result == WR_OK)
        result = wr_buf_append(answer, request->text.data, request->text.len);
    else
        (void)!wr_buf_printf(answer, "weir alarms: %s\n", err.text[0] ? err.text : wr_result_name(result));
    wr_request_release(request);
    return result == WR_OK ? WR_EXIT_OK : result == WR_NOT_FOUND || result == WR_INVALID ? WR_EXIT_FOUND : WR_EXIT_CANNOT;
}

static int usage(struct wr_buf *answer, const char *word) {
    (void)!wr_buf_printf(answer, "weir alarms: '%s' makes no sense here. Try 'weir alarms --help'.\n", word);
    return WR_EXIT_CANNOT;
}

int wr_control_alarms(struct wr_agent *agent, int argc, char **argv, const char *by_whom, struct wr_buf *answer) {
    const char *alarm = NULL, *verb = NULL;
    bool json = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--by") == 0 && i + 1 < argc)
            by_whom = argv[++i];
        else if (!verb && (strcmp(argv[i], "ack") == 0 || strcmp(argv[i], "reset") == 0))
            verb = argv[i];
        else if (verb && !alarm)
            alarm = argv[i];
        else
            return usage(answer, argv[i]);
    }
    if (!verb) {
        struct listing *listing = calloc(1, sizeof *listing);
        if (listing)
            listing->json = json;
        return ask_engine(agent, run_list, listing, answer);
    }
    if (!alarm)
        return usage(answer, verb);
    struct command *command = calloc(1, sizeof *command);
    if (command) {
        command->kind = strcmp(verb, "ack") == 0 ? WR_ALARM_COMMAND_ACK : WR_ALARM_COMMAND_RESET;
        snprintf(command->alarm, sizeof command->alarm, "%s", alarm);
        snprintf(command->by_whom, sizeof command->by_whom, "%s", by_whom);
    }
    return ask_engine(agent, run_command, command, answer);
}
