#include "agent/control/remote_order.h"

#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/control/signed_order.h"

static const char *const names[WR_REMOTE_OUTCOMES] = {
    [WR_REMOTE_DONE] = "done",           [WR_REMOTE_REFUSED] = "refused",       [WR_REMOTE_UNSURE] = "unsure",
    [WR_REMOTE_UNSIGNED] = "unsigned",   [WR_REMOTE_SIGNATURE] = "signature",   [WR_REMOTE_MALFORMED] = "malformed",
    [WR_REMOTE_ELSEWHERE] = "elsewhere", [WR_REMOTE_CLOCK] = "clock",           [WR_REMOTE_AHEAD] = "ahead",
    [WR_REMOTE_EXPIRED] = "expired",     [WR_REMOTE_NOT_CHOSEN] = "not_chosen", [WR_REMOTE_OLD] = "old",
    [WR_REMOTE_REJECTED] = "rejected",   [WR_REMOTE_NO_MEMORY] = "no_memory",
};

const char *wr_remote_outcome_name(enum wr_remote_outcome outcome) {
    return names[outcome];
}

/* -- the answer -------------------------------------------------------------------------------------------------------------------------- */

static void begin(struct wr_json *json, const struct wr_agent *agent, struct wr_buf *into) {
    const struct wr_config_node *node = agent->first_config->node;
    wr_json_begin(json, into);
    wr_json_object(json, NULL);
    wr_json_string(json, "node", node->id);
    wr_json_string(json, "site", node->site);
}

static enum wr_result end(struct wr_json *json) {
    wr_json_object_end(json);
    return wr_json_end(json);
}

/* key: "" where nobody knows it. */
static enum wr_result answer_refusal(const struct wr_agent *agent, const char *key, enum wr_remote_outcome outcome,
                                     const struct wr_error *err, struct wr_buf *into) {
    struct wr_json json;
    begin(&json, agent, into);
    if (key[0])
        wr_json_string(&json, "key", key);
    wr_json_string(&json, "result", wr_result_name(err->code));
    wr_json_string(&json, "reason", names[outcome]);
    wr_json_string(&json, "problem", err->text);
    return end(&json);
}

static enum wr_result answer_order(const struct wr_agent *agent, const struct wr_order *order, const struct wr_order_answer *answer,
                                   struct wr_buf *into) {
    struct wr_json json;
    begin(&json, agent, into);
    wr_order_to_members(order, answer, &json);
    return end(&json);
}

/* -- what is done ------------------------------------------------------------------------------------------------------------------------- */

static enum wr_remote_outcome outcome_of(const struct wr_order_answer *answer, struct wr_error *err) {
    if (!answer->is_known)
        return wr_error_set(err, answer->result,
                            "the engine did not answer in time: this may still be done; say it again with the same key"),
               WR_REMOTE_UNSURE;
    if (!answer->journalled)
        return wr_error_set(err, WR_IO, "%s", answer->unjournalled), WR_REMOTE_UNSURE;
    if (answer->result != WR_OK)
        return wr_error_set(err, answer->result, "%s", answer->problem), WR_REMOTE_REFUSED;
    return WR_REMOTE_DONE;
}

static enum wr_remote_outcome carry_out(struct wr_agent *agent, const struct wr_order *order, struct wr_context *context,
                                        struct wr_buf *into, enum wr_result *ret_answered, struct wr_error *err) {
    struct wr_request *request = NULL;
    struct wr_order_answer answer;
    struct wr_order *own = malloc(sizeof *own);
    if (own)
        *own = *order;
    if (!own || wr_order_request(own, &request, NULL) != WR_OK) {
        (void)wr_error_set(err, WR_NO_MEMORY, "no memory for the command: nothing was done");
        *ret_answered = answer_refusal(agent, order->key, WR_REMOTE_NO_MEMORY, err, into);
        return WR_REMOTE_NO_MEMORY;
    }
    wr_order_carry_out(agent, request, context, &answer);
    const enum wr_remote_outcome outcome = outcome_of(&answer, err);
    *ret_answered = answer.is_known ? answer_order(agent, own, &answer, into) : answer_refusal(agent, order->key, outcome, err, into);
    wr_request_release(request);
    return outcome;
}

static enum wr_remote_outcome outcome_of_flaw(enum wr_signed_order_flaw flaw) {
    static const enum wr_remote_outcome outcomes[] = {
        [WR_SIGNED_ORDER_ELSEWHERE] = WR_REMOTE_ELSEWHERE,
        [WR_SIGNED_ORDER_CLOCK] = WR_REMOTE_CLOCK,
        [WR_SIGNED_ORDER_AHEAD] = WR_REMOTE_AHEAD,
        [WR_SIGNED_ORDER_EXPIRED] = WR_REMOTE_EXPIRED,
    };
    return outcomes[flaw];
}

enum wr_remote_outcome wr_remote_order(struct wr_agent *agent, const char *payload, size_t len, struct wr_context *context,
                                       struct wr_buf *into, enum wr_result *ret_answered, struct wr_error *err) {
    const struct wr_config_node *node = agent->first_config->node;
    const struct wr_now now = wr_clock_now(agent->clock);
    struct wr_signed_order read;
    enum wr_remote_outcome outcome;
    memset(&read, 0, sizeof read);
    const enum wr_result result = wr_signed_order_read(&read, payload, len, err);
    if (result != WR_OK) {
        outcome = result == WR_NO_MEMORY ? WR_REMOTE_NO_MEMORY : WR_REMOTE_MALFORMED;
    } else {
        const enum wr_signed_order_flaw flaw = wr_signed_order_flaw(&read, node->id, node->site, &now, err);
        if (flaw == WR_SIGNED_ORDER_FINE)
            return carry_out(agent, &read.order, context, into, ret_answered, err);
        outcome = outcome_of_flaw(flaw);
    }
    *ret_answered = answer_refusal(agent, read.order.key, outcome, err, into);
    return outcome;
}
