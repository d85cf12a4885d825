#include "agent/control/audit.h"

#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"

#define LIVE_TRIES 50
#define LIVE_PAUSE_NS (5 * WR_NS_PER_MS)

/* What travels from the asker over the engine to the store and back. */
struct question {
    uint64_t open[WR_LEDGER_ACCOUNTS_MAX]; /* by account number: open in windows, or in channel */
    struct wr_account accounts[WR_LEDGER_ACCOUNTS_MAX];
    uint32_t n_accounts;
    struct wr_account_balance *balances;
    uint32_t n;
    uint64_t epoch;
    struct wr_store_lost_books lost;
};

static void free_question(void *input) {
    struct question *question = input;
    free(question->balances);
    free(question);
}

static bool same_account(const struct wr_account *a, const struct wr_account *b) {
    return strcmp(a->source, b->source) == 0 && strcmp(a->window, b->window) == 0;
}

/* Third step, on the store's thread: books on disk and in the store's memory, plus what the engine counted. */
static void ask_store(struct wr_request *request, void *owner) {
    struct wr_store_loop *loop = owner;
    struct question *question = request->input;
    enum wr_result result = wr_store_balances(loop->store, &question->balances, &question->n);
    question->epoch = wr_store_epoch(loop->store);
    question->lost = *wr_store_lost_books(loop->store);
    for (uint32_t i = 0; result == WR_OK && i < question->n; i++)
        for (uint32_t a = 0; a < question->n_accounts; a++)
            if (same_account(&question->balances[i].account, &question->accounts[a]))
                question->balances[i].open += question->open[a];
    wr_request_finish(request, result);
}

/* Second step, on the engine's thread: walk channels and windows, hand over, pass on. */
static void ask_engine(struct wr_request *request, void *owner) {
    struct wr_engine_loop *loop = owner;
    struct question *question = request->input;
    uint64_t in_channel[WR_ENGINE_INPUTS_MAX] = {0};
    wr_engine_loop_count_in_channel(loop, in_channel);
    for (uint32_t i = 0; i < loop->n_inputs; i++)
        if (loop->inputs[i].counters)
            question->open[loop->inputs[i].intake_account] += in_channel[i];
    uint64_t cursor = 0;
    while (wr_engine_count_open(loop->engine, &cursor, UINT32_MAX, question->open)) {
    }
    request->run = ask_store;
    const struct wr_store_message message = {.request = request};
    if (!wr_engine_loop_handover(loop) || wr_channel_try_send(loop->to_store, &message) != WR_OK) {
        (void)wr_error_set(&request->error, WR_BUSY, "the store takes nothing now");
        wr_request_finish(request, WR_BUSY);
    }
}

static int by_name(const void *a, const void *b) {
    const struct wr_account_balance *left = a, *right = b;
    int order = strcmp(left->account.source, right->account.source);
    return order ? order : strcmp(left->account.window, right->account.window);
}

static void judge(struct wr_audit *audit) {
    qsort(audit->balances, audit->n, sizeof *audit->balances, by_name);
    audit->balanced = audit->segments.damaged == 0 && audit->segments.of_nobody == 0;
    for (uint32_t i = 0; i < audit->n; i++)
        audit->balanced = audit->balanced && wr_balance_check(&audit->balances[i], NULL, NULL);
}

enum wr_result wr_audit_ask(const struct wr_accounts *accounts, struct wr_request **ret_request, struct wr_error *err) {
    struct question *question = calloc(1, sizeof *question);
    if (!question) {
        (void)wr_error_set(err, WR_NO_MEMORY, "no memory for an audit");
        return WR_NO_MEMORY;
    }
    memcpy(question->accounts, accounts->list, sizeof question->accounts);
    question->n_accounts = accounts->n;
    return wr_request_new(ask_engine, question, free_question, ret_request, err);
}

void wr_audit_answer(struct wr_request *request, struct wr_audit *ret_audit) {
    struct question *question = request->input;
    *ret_audit = (struct wr_audit){
        .balances = question->balances, .n = question->n, .live = true, .clean = true, .epoch = question->epoch, .lost = question->lost};
    question->balances = NULL;
    judge(ret_audit);
}

static enum wr_result ask_once(struct wr_agent *agent, struct wr_audit *ret_audit, struct wr_error *err) {
    struct wr_request *request = NULL;
    pthread_mutex_lock(&agent->lock);
    enum wr_result result = wr_audit_ask(&agent->accounts, &request, err);
    pthread_mutex_unlock(&agent->lock);
    if (result != WR_OK)
        return result;
    result = wr_request_call(request, agent->engine.requests, wr_clock_boot_ns(agent->clock) + WR_AGENT_REQUEST_NS, err);
    if (result == WR_OK)
        wr_audit_answer(request, ret_audit);
    wr_request_release(request);
    return result;
}

enum wr_result wr_audit_live(struct wr_agent *agent, struct wr_audit *ret_audit, struct wr_error *err) {
    for (int i = 0;; i++) {
        enum wr_result result = ask_once(agent, ret_audit, err);
        bool again = result == WR_BUSY || (result == WR_OK && !ret_audit->balanced);
        if (!again || i == LIVE_TRIES)
            return result;
        if (result == WR_OK)
            wr_audit_fini(ret_audit);
        const struct timespec pause = {0, LIVE_PAUSE_NS};
        (void)nanosleep(&pause, NULL);
    }
}

enum wr_result wr_audit_stopped(const char *store_path, struct wr_audit *ret_audit, struct wr_error *err) {
    struct wr_audit audit = {0};
    WR_TRY(wr_store_audit(store_path, &audit.balances, &audit.n, &audit.clean, &audit.epoch, &audit.segments, err));
    audit.lost = audit.segments.lost;
    judge(&audit);
    *ret_audit = audit;
    return WR_OK;
}

void wr_audit_fini(struct wr_audit *audit) {
    free(audit->balances);
    *audit = (struct wr_audit){0};
}
