#include "agent/control/alarm_list.h"

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

/* A part of the list: the request's input. */
struct slice {
    struct wr_alarm_listing wanted;
    uint32_t cursor;
    bool more;
    size_t n;
    struct wr_alarm alarms[WR_ALARM_LIST_SLICE];
};

/* On the engine's thread: no more than that at once, for alarms wait meanwhile. */
static void run_slice(struct wr_request *request, void *owner) {
    struct wr_engine_loop *loop = owner;
    struct slice *slice = request->input;
    const struct wr_evaluator *evaluator = wr_engine_evaluator(loop->engine);
    struct wr_alarm_entry entry;
    while (evaluator && slice->n < WR_ALARM_LIST_SLICE) {
        slice->more = wr_evaluator_next_alarm(evaluator, slice->wanted.all, &slice->cursor, &entry);
        if (!slice->more)
            break;
        if (is_listed(&entry.alarm, &slice->wanted))
            slice->alarms[slice->n++] = entry.alarm;
    }
    wr_request_finish(request, WR_OK);
}

/* On the asker's. */
struct alarms {
    struct wr_alarm *list;
    size_t n, room;
};

static enum wr_result take(struct alarms *alarms, const struct slice *slice, struct wr_error *err) {
    if (slice->n == 0)
        return WR_OK;
    if (slice->wanted.max > 0 && alarms->n + slice->n > slice->wanted.max)
        return wr_error_set(err, WR_LIMIT, "more than %zu alarms", slice->wanted.max);
    if (alarms->n + slice->n > alarms->room) {
        const size_t room = 2 * (alarms->n + slice->n);
        struct wr_alarm *more = realloc(alarms->list, room * sizeof *more);
        if (!more)
            return wr_error_set(err, WR_NO_MEMORY, "no memory for the list");
        alarms->list = more;
        alarms->room = room;
    }
    memcpy(alarms->list + alarms->n, slice->alarms, slice->n * sizeof slice->alarms[0]);
    alarms->n += slice->n;
    return WR_OK;
}

static enum wr_result ask(struct wr_agent *agent, const struct wr_alarm_listing *wanted, struct wr_context *context, uint32_t *cursor,
                          bool *ret_more, struct alarms *alarms, struct wr_error *err) {
    struct wr_request *request;
    struct slice *slice = malloc(sizeof *slice);
    if (!slice)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the list");
    slice->wanted = *wanted;
    slice->cursor = *cursor;
    slice->more = false;
    slice->n = 0;
    WR_TRY(wr_request_new(run_slice, slice, free, &request, err));
    enum wr_result result = wr_request_call_within(request, agent->engine.requests, context, WR_AGENT_REQUEST_NS, err);
    if (result == WR_OK) {
        *cursor = slice->cursor;
        *ret_more = slice->more;
        result = take(alarms, slice, err);
    }
    wr_request_release(request);
    return result;
}

enum wr_result wr_alarm_list(struct wr_agent *agent, const struct wr_alarm_listing *wanted, struct wr_context *context, struct wr_buf *into,
                             struct wr_error *err) {
    struct alarms alarms = {.n = 0};
    uint32_t cursor = 0;
    bool more = true;
    enum wr_result result = WR_OK;
    while (result == WR_OK && more)
        result = ask(agent, wanted, context, &cursor, &more, &alarms, err);
    if (result == WR_OK)
        result = print_list(alarms.list, alarms.n, wanted->json, into);
    free(alarms.list);
    return result;
}
