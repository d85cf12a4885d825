#include "agent/control/alarm_list.h"

#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "rules/language/selector.h"

#define NOTE_BYTES 160 /* what is said of those that are left out */

/* -- what is kept ------------------------------------------------------------------------------------------------------------------------ */

/* Once it is full a heap, with the one at the top that goes next. */
struct alarms {
    struct wr_alarm *list;
    size_t n;
    size_t left_out;
};

static int most_severe_first(const void *a, const void *b) {
    const struct wr_alarm *left = a, *right = b;
    if (left->severity != right->severity)
        return right->severity - left->severity;
    return left->wall_ns < right->wall_ns ? -1 : left->wall_ns > right->wall_ns;
}

/* Lets the one at this place down to where it belongs. */
static void settle(struct wr_alarm *heap, size_t n, size_t at) {
    for (size_t child = 2 * at + 1; child < n; child = 2 * at + 1) {
        if (child + 1 < n && most_severe_first(&heap[child + 1], &heap[child]) > 0)
            child++;
        if (most_severe_first(&heap[child], &heap[at]) <= 0)
            return;
        const struct wr_alarm kept = heap[at];
        heap[at] = heap[child];
        heap[child] = kept;
        at = child;
    }
}

static void take(struct alarms *alarms, const struct wr_alarm *alarm) {
    if (alarms->n < WR_ALARM_LIST_MAX) {
        alarms->list[alarms->n++] = *alarm;
        if (alarms->n == WR_ALARM_LIST_MAX)
            for (size_t at = alarms->n / 2; at > 0; at--)
                settle(alarms->list, alarms->n, at - 1);
        return;
    }
    alarms->left_out++;
    if (most_severe_first(alarm, &alarms->list[0]) < 0) {
        alarms->list[0] = *alarm;
        settle(alarms->list, alarms->n, 0);
    }
}

/* -- what is written --------------------------------------------------------------------------------------------------------------------- */

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

/* Labels come from whoever sends readings: what a terminal would obey, and what would look like another line, is escaped. */
static enum wr_result print_alarm(const struct wr_alarm *alarm, struct wr_buf *into) {
    char display[WR_ALARM_NAME_BYTES + WR_ALARM_INSTANCE_BYTES + 3], name[4 * sizeof display], message[4 * WR_ALARM_TEXT_BYTES], since[32];
    wr_alarm_display(display, sizeof display, alarm);
    wr_error_escape(name, sizeof name, display, strlen(display));
    wr_error_escape(message, sizeof message, alarm->message, strlen(alarm->message));
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
    return wr_buf_printf(into, "%s%s\n", message[0] ? "  " : "", message);
}

/* As many as there is room for, and how many there are beside them. */
static enum wr_result print_lines(struct alarms *alarms, struct wr_buf *into) {
    for (size_t i = 0; i < alarms->n; i++) {
        const size_t before = into->len;
        const enum wr_result result = print_alarm(&alarms->list[i], into);
        if (result != WR_OK && result != WR_LIMIT)
            return result;
        if (result == WR_LIMIT || into->max - into->len < NOTE_BYTES) {
            into->len = before;
            alarms->left_out += alarms->n - i;
            break;
        }
    }
    if (alarms->left_out == 0)
        return WR_OK;
    return wr_buf_printf(into, "... and %zu more, no more severe than these: --only 'RULE{label=value}' lists some of them\n",
                         alarms->left_out);
}

static enum wr_result print_objects(const struct alarms *alarms, struct wr_buf *into) {
    if (alarms->left_out > 0)
        return WR_LIMIT;
    WR_TRY(wr_buf_text(into, "["));
    for (size_t i = 0; i < alarms->n; i++) {
        if (i > 0)
            WR_TRY(wr_buf_text(into, ",\n"));
        WR_TRY(wr_alarm_to_json(&alarms->list[i], into));
    }
    return wr_buf_text(into, "]\n");
}

static enum wr_result print_list(struct alarms *alarms, bool json, struct wr_buf *into, struct wr_error *err) {
    if (alarms->n == 0)
        return wr_buf_text(into, json ? "[]\n" : "no alarms\n");
    qsort(alarms->list, alarms->n, sizeof *alarms->list, most_severe_first);
    const enum wr_result result = json ? print_objects(alarms, into) : print_lines(alarms, into);
    if (result == WR_LIMIT)
        return wr_error_set(err, WR_LIMIT, "%zu alarms do not fit into one answer: --only 'RULE{label=value}' lists some of them",
                            alarms->n + alarms->left_out);
    return result;
}

/* -- asked of the engine ----------------------------------------------------------------------------------------------------------------- */

/* Normal and pending ones are no alarms to people, unless they ask for all; one that somebody silenced is. */
static bool is_listed(const struct wr_alarm *alarm, bool all) {
    return all || alarm->silent != 0 || (alarm->to != WR_ALARM_NORMAL && alarm->to != WR_ALARM_PENDING);
}

/* A part of the list: the request's input. */
struct slice {
    bool all;
    bool has_only;
    struct wr_selector only;
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
    const struct wr_selector *only = slice->has_only ? &slice->only : NULL;
    struct wr_alarm_entry entry;
    enum wr_evaluator_look look = evaluator ? WR_EVALUATOR_PASSED : WR_EVALUATOR_END;
    if (only && !only->name_is_glob && !(evaluator && wr_evaluator_has_rule(evaluator, only->name))) {
        wr_request_finish(request, wr_error_set(&request->error, WR_NOT_FOUND, "there is no rule '%.63s'", only->name));
        return;
    }
    for (unsigned i = 0; i < WR_ALARM_LIST_LOOKS && slice->n < WR_ALARM_LIST_SLICE && look != WR_EVALUATOR_END; i++) {
        look = wr_evaluator_look_alarm(evaluator, slice->all, only, &slice->cursor, &entry);
        if (look == WR_EVALUATOR_ALARM && is_listed(&entry.alarm, slice->all))
            slice->alarms[slice->n++] = entry.alarm;
    }
    slice->more = look != WR_EVALUATOR_END;
    wr_request_finish(request, WR_OK);
}

static enum wr_result begin_slice(struct slice *slice, const struct wr_alarm_listing *wanted, uint32_t cursor, struct wr_error *err) {
    slice->all = wanted->all;
    slice->has_only = wanted->only != NULL;
    slice->cursor = cursor;
    slice->more = false;
    slice->n = 0;
    return wanted->only ? wr_selector_parse(wanted->only, strlen(wanted->only), &slice->only, NULL, err) : WR_OK;
}

static enum wr_result ask(struct wr_agent *agent, const struct wr_alarm_listing *wanted, struct wr_context *context, uint32_t *cursor,
                          bool *ret_more, struct alarms *alarms, struct wr_error *err) {
    struct wr_request *request;
    struct slice *slice = malloc(sizeof *slice);
    if (!slice)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the list");
    enum wr_result result = begin_slice(slice, wanted, *cursor, err);
    if (result != WR_OK) {
        free(slice);
        return result;
    }
    WR_TRY(wr_request_new(run_slice, slice, free, &request, err));
    result = wr_request_call_within(request, agent->engine.requests, context, WR_AGENT_REQUEST_NS, err);
    if (result == WR_OK) {
        *cursor = slice->cursor;
        *ret_more = slice->more;
        for (size_t i = 0; i < slice->n; i++)
            take(alarms, &slice->alarms[i]);
    }
    wr_request_release(request);
    return result;
}

enum wr_result wr_alarm_list(struct wr_agent *agent, const struct wr_alarm_listing *wanted, struct wr_context *context, struct wr_buf *into,
                             struct wr_error *err) {
    struct alarms alarms = {.list = malloc(WR_ALARM_LIST_MAX * sizeof *alarms.list)}; /* pages are had when they are written to */
    uint32_t cursor = 0;
    bool more = true;
    if (!alarms.list)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for the list");
    enum wr_result result = WR_OK;
    while (result == WR_OK && more)
        result = ask(agent, wanted, context, &cursor, &more, &alarms, err);
    if (result == WR_OK)
        result = print_list(&alarms, wanted->json, into, err);
    free(alarms.list);
    return result;
}

size_t wr_alarm_list_bytes(void) {
    return WR_ALARM_LIST_MAX * sizeof(struct wr_alarm) + sizeof(struct slice);
}
