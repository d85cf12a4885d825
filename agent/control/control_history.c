#include "agent/control/control_history.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/commands/commands.h"
#include "store/history.h"

struct wanted {
    struct wr_history_walk walk; /* of heads */
    struct wr_segment_head head; /* of a body: lane and seq */
};

/* -- on the store's thread ----------------------------------------------------------------------------------------------------------------------- */

/* Most need no correction. */
static enum wr_result print_head(const struct wr_segment_head *head, struct wr_buf *text) {
    const struct wr_correction *correction = &head->correction;
    WR_TRY(wr_buf_printf(text, "%" PRId64 " %d %" PRIu32 " %" PRId64 " %" PRId64 " %" PRIu32 " %d %d", head->seq, head->kind, head->n,
                         head->t0_ns, head->t1_ns, head->body_bytes, head->delivered, head->time_quality));
    if (correction->move_ns != 0)
        WR_TRY(wr_buf_printf(text, " %" PRId64 " %" PRId64 " %" PRId64, correction->from_ns, correction->to_ns, correction->move_ns));
    return wr_buf_text(text, "\n");
}

static enum wr_result print_heads(struct wr_store *store, struct wr_history_walk *walk, struct wr_buf *text, struct wr_error *err) {
    struct wr_segment_head heads[WR_HISTORY_HEADS];
    uint32_t n = 0;
    WR_TRY(wr_store_heads(store, walk, heads, &n, err));
    WR_TRY(wr_buf_printf(text, "%" PRId64 " %d", walk->after, walk->is_over));
    if (walk->unreadable > 0)
        WR_TRY(wr_buf_printf(text, " %" PRIu32, walk->unreadable));
    WR_TRY(wr_buf_text(text, "\n"));
    for (uint32_t i = 0; i < n; i++)
        WR_TRY(print_head(&heads[i], text));
    return WR_OK;
}

static void run_heads(struct wr_request *request, void *owner) {
    struct wanted *wanted = request->input;
    struct wr_store_loop *loop = owner;
    wr_request_finish(request, print_heads(loop->store, &wanted->walk, &request->text, &request->error));
}

static enum wr_result print_body(struct wr_store *store, const struct wr_segment_head *head, struct wr_buf *text, struct wr_error *err) {
    const struct wr_history history = wr_history_of_store(store);
    struct wr_segment segment = {0};
    const enum wr_result result = history.body(history.user, head, 1, &segment, err);
    if (result == WR_NOT_FOUND || result == WR_CORRUPT)
        return wr_buf_printf(text, "%" PRId64 " %d\n", head->seq, result == WR_CORRUPT ? -1 : 0);
    if (result != WR_OK)
        return result;
    enum wr_result printed = wr_buf_printf(text, "%" PRId64 " %zu\n", head->seq, segment.body_len);
    if (printed == WR_OK)
        printed = wr_buf_append(text, segment.body, segment.body_len);
    wr_segment_free(&segment);
    return printed;
}

static void run_body(struct wr_request *request, void *owner) {
    const struct wanted *wanted = request->input;
    struct wr_store_loop *loop = owner;
    wr_request_finish(request, print_body(loop->store, &wanted->head, &request->text, &request->error));
}

/* -- on the thread of the socket ------------------------------------------------------------------------------------------------------------------- */

static enum wr_result ask(struct wr_agent *agent, wr_request_run *run, const struct wanted *wanted, struct wr_buf *answer,
                          struct wr_error *err) {
    struct wr_request *request;
    struct wanted *input = malloc(sizeof *input);
    if (!input)
        return wr_error_set(err, WR_NO_MEMORY, "no memory");
    *input = *wanted;
    WR_TRY(wr_request_new(run, input, free, &request, err));
    enum wr_result result = wr_request_call(request, agent->store.requests, wr_clock_boot_ns(agent->clock) + WR_AGENT_REQUEST_NS, err);
    if (result == WR_OK)
        result = wr_buf_append(answer, request->text.data, request->text.len);
    wr_request_release(request);
    return result;
}

static bool take_number(const char *text, int64_t low, int64_t high, int64_t *ret_number) {
    char *end;
    errno = 0;
    const long long number = strtoll(text, &end, 10);
    *ret_number = number;
    return end != text && *end == '\0' && errno == 0 && number >= low && number <= high;
}

static enum wr_result answer_heads(struct wr_agent *agent, int argc, char **argv, struct wr_buf *answer, struct wr_error *err) {
    struct wanted wanted = {0};
    int64_t lane;
    if (argc != 6 || !take_number(argv[2], 0, WR_LANES - 1, &lane) || !take_number(argv[3], 0, INT64_MAX, &wanted.walk.after) ||
        !take_number(argv[4], INT64_MIN, INT64_MAX, &wanted.walk.from_ns) ||
        !take_number(argv[5], INT64_MIN, INT64_MAX, &wanted.walk.to_ns))
        return wr_error_set(err, WR_INVALID, "history: these words make no sense");
    wanted.walk.lane = (enum wr_lane)lane;
    return ask(agent, run_heads, &wanted, answer, err);
}

static enum wr_result answer_bodies(struct wr_agent *agent, int argc, char **argv, struct wr_buf *answer, struct wr_error *err) {
    struct wanted wanted = {0};
    int64_t lane;
    if (argc < 4 || !take_number(argv[2], 0, WR_LANES - 1, &lane))
        return wr_error_set(err, WR_INVALID, "history: these words make no sense");
    wanted.head.lane = (uint8_t)lane;
    for (int i = 3; i < argc && answer->len < WR_CONTROL_HISTORY_BYTES; i++) {
        if (!take_number(argv[i], 1, INT64_MAX, &wanted.head.seq))
            return wr_error_set(err, WR_INVALID, "history: '%.20s' is no number of a segment", argv[i]);
        WR_TRY(ask(agent, run_body, &wanted, answer, err));
    }
    return WR_OK;
}

int wr_control_history(struct wr_agent *agent, int argc, char **argv, struct wr_buf *answer) {
    struct wr_error err = {0};
    enum wr_result result;
    if (argc == 1)
        return WR_EXIT_OK;
    if (strcmp(argv[1], "heads") == 0)
        result = answer_heads(agent, argc, argv, answer, &err);
    else if (strcmp(argv[1], "bodies") == 0)
        result = answer_bodies(agent, argc, argv, answer, &err);
    else
        result = wr_error_set(&err, WR_INVALID, "history: these words make no sense");
    if (result == WR_OK)
        return WR_EXIT_OK;
    wr_buf_clear(answer);
    (void)!wr_buf_printf(answer, "%s", err.text[0] ? err.text : wr_result_name(result));
    return WR_EXIT_CANNOT;
}
