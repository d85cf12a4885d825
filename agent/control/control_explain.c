#include "agent/control/control_explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/commands/commands.h"
#include "rules/explain/explain.h"

struct question {
    char alarm[512];
    bool json;
};

static void run_explain(struct wr_request *request, void *owner) {
    struct wr_engine_loop *loop = owner;
    const struct question *question = request->input;
    const struct wr_now now = wr_clock_now(loop->clock);
    struct wr_evaluator *evaluator = wr_engine_evaluator(loop->engine);
    enum wr_result result = evaluator ? wr_explain(evaluator, question->alarm, &now, question->json, &request->text, &request->error)
                                      : wr_error_set(&request->error, WR_NOT_FOUND, "the agent has no rules");
    wr_request_finish(request, result);
}

static int ask_engine(struct wr_agent *agent, const struct question *question, struct wr_buf *answer) {
    struct wr_request *request;
    struct wr_error err = {0};
    struct question *input = malloc(sizeof *input);
    if (input)
        *input = *question;
    if (!input || wr_request_new(run_explain, input, free, &request, &err) != WR_OK)
        return WR_EXIT_CANNOT;
    enum wr_result result = wr_request_call(request, agent->engine.requests, wr_clock_boot_ns(agent->clock) + WR_AGENT_REQUEST_NS, &err);
    if (result == WR_OK)
        result = wr_buf_append(answer, request->text.data, request->text.len);
    else
        (void)!wr_buf_printf(answer, "weir explain: %s\n", err.text[0] ? err.text : wr_result_name(result));
    wr_request_release(request);
    return result == WR_OK ? WR_EXIT_OK : result == WR_NOT_FOUND || result == WR_INVALID ? WR_EXIT_FOUND : WR_EXIT_CANNOT;
}

int wr_control_explain(struct wr_agent *agent, int argc, char **argv, struct wr_buf *answer) {
    struct question question = {0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            question.json = true;
        } else if (!question.alarm[0] && argv[i][0] != '-' && strlen(argv[i]) < sizeof question.alarm) {
            snprintf(question.alarm, sizeof question.alarm, "%s", argv[i]);
        } else {
            (void)!wr_buf_printf(answer, "weir explain: '%.60s' makes no sense here. Try 'weir explain --help'.\n", argv[i]);
            return WR_EXIT_CANNOT;
        }
    }
    if (!question.alarm[0]) {
        (void)!wr_buf_text(answer, "weir explain: which rule? Try 'weir explain --help'.\n");
        return WR_EXIT_CANNOT;
    }
    return ask_engine(agent, &question, answer);
}
