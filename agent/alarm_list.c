#include "agent/alarm_list.h"

#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"

static int most_severe_first(const void *a, const void *b) {
    const struct wr_alarm *left = a, *right = b;
    if (left->severity != right->severity)
        return right->severity - left->severity;
    return left->wall_ns < right->wall_ns ? -1 : left->wall_ns > right->wall_ns;
}

/* "  shelved until ... by ana: pump is cleaned" */
static enum wr_result print_silence(const struct wr_alarm *alarm, struct wr_buf *into) {
    char until[32];
    for (unsigned bit = 1; bit <= WR_ALARM_SILENT_GROUPED; bit <<= 1) {
        if (!(alarm->silent & bit))
            continue;
        WR_TRY(wr_buf_printf(into, "  %s", wr_alarm_silence_name((enum wr_alarm_silence)bit)));
        if (bit == WR_ALARM_SILENT_SHELVED && alarm->until_wall_ns != 0)
            WR_TRY(wr_buf_printf(into, " until %s", wr_clock_format(until, sizeof until, alarm->until_wall_ns)));
    }
    if (alarm->by_whom[0])
        WR_TRY(wr_buf_printf(into, " by %s", alarm->by_whom));
    return alarm->why[0] ? wr_buf_printf(into, ": %s", alarm->why) : WR_OK;
}

static enum wr_result print_alarm(const struct wr_alarm *alarm, struct wr_buf *into) {
    char name[WR_ALARM_NAME_BYTES + WR_ALARM_INSTANCE_BYTES + 2], since[32];
    wr_alarm_display(name, sizeof name, alarm);
    wr_clock_format(since, sizeof since, alarm->wall_ns);
    WR_TRY(
        wr_buf_printf(into, "%-8s  %-14s  %s  since %s", wr_severity_name(alarm->severity), wr_alarm_state_name(alarm->to), name, since));
    if (alarm->level[0])
        WR_TRY(wr_buf_printf(into, "  level %s", alarm->level));
    if (alarm->has_value)
        WR_TRY(wr_buf_printf(into, "  at %g %s", alarm->value, alarm->unit));
    if (alarm->data == WR_ALARM_DATA_STALE_NOW)
        WR_TRY(wr_buf_text(into, "  data: stale"));
    WR_TRY(print_silence(alarm, into));
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

/* Normal and pending ones are no alarms to people, unless they ask for all; one that somebody silenced is. */
static bool is_listed(const struct wr_alarm *alarm, const struct wr_alarm_listing *listing) {
    return listing->all || alarm->silent != 0 || (alarm->to != WR_ALARM_NORMAL && alarm->to != WR_ALARM_PENDING);
}

static void run_list(struct wr_request *request, void *owner) {
    struct wr_engine_loop *loop = owner;
    const struct wr_alarm_listing *listing = request->input;
    struct wr_evaluator *evaluator = wr_engine_evaluator(loop->engine);
    struct wr_alarm *alarms = NULL;
    size_t n = 0, room = 0;
    uint32_t cursor = 0;
    struct wr_alarm_entry entry;
    enum wr_result result = WR_OK;
    while (evaluator && result == WR_OK && wr_evaluator_next_alarm(evaluator, listing->all, &cursor, &entry)) {
        if (!is_listed(&entry.alarm, listing))
            continue;
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

enum wr_result wr_alarm_list(struct wr_agent *agent, const struct wr_alarm_listing *wanted, struct wr_context *context, struct wr_buf *into,
                             struct wr_error *err) {
    struct wr_request *request;
    struct wr_alarm_listing *listing = malloc(sizeof *listing);
    if (!listing)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the list");
    *listing = *wanted;
    WR_TRY(wr_request_new(run_list, listing, free, &request, err));
    enum wr_result result = wr_request_call_within(request, agent->engine.requests, context, WR_AGENT_REQUEST_NS, err);
    if (result == WR_OK)
        result = wr_buf_append(into, request->text.data, request->text.len);
    wr_request_release(request);
    return result;
}
