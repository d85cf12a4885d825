#include "agent/shadow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/agent.h"
#include "agent/config/load.h"
#include "core/fingerprint.h"
#include "core/log.h"

void wr_agent_shadow_init(struct wr_agent_shadow *shadow) {
    pthread_mutex_init(&shadow->lock, NULL);
}

void wr_agent_shadow_fini(struct wr_agent *agent) {
    wr_shadow_free(agent->engine.shadow.shadow);
    agent->engine.shadow.shadow = NULL;
    wr_ruleset_free(agent->shadow.rules);
    agent->shadow.rules = NULL;
    pthread_mutex_destroy(&agent->shadow.lock);
}

/* -- exchanged ------------------------------------------------------------------------------------------------------------------------------ */

/* What is to be put in; once it was, what was taken out. Who claims it first decides: the engine that it is done, an asker who is out of patience that it is not. */
struct exchange {
    _Atomic bool claimed;
    struct wr_shadow *shadow; /* NULL: none */
    struct wr_ruleset *rules; /* its own */
};

static void free_exchange(void *input) {
    struct exchange *exchange = input;
    wr_shadow_free(exchange->shadow);
    wr_ruleset_free(exchange->rules);
    free(exchange);
}

static void run_exchange(struct wr_request *request, void *owner) {
    struct exchange *exchange = request->input;
    if (atomic_exchange(&exchange->claimed, true)) {
        wr_request_finish(request, WR_CANCELED);
        return;
    }
    exchange->shadow = wr_engine_loop_exchange_shadow(owner, exchange->shadow);
    wr_request_finish(request, WR_OK);
}

/* The engine has just begun with it, and does not wait in it. */
static enum wr_result await_end(struct wr_request *request, struct wr_error *err) {
    const struct timespec pause = {0, WR_NS_PER_MS};
    enum wr_result result;
    while ((result = wr_request_look(request, err)) == WR_EMPTY)
        (void)nanosleep(&pause, NULL);
    return result;
}

/* exchange: taken over. WR_TIMEOUT, WR_CANCELED: that which runs goes on, with its rules. */
static enum wr_result put_in(struct wr_agent *agent, struct exchange *exchange, struct wr_context *context, struct wr_error *err) {
    struct wr_ruleset *const old_rules = agent->shadow.rules;
    struct wr_ruleset *const new_rules = exchange->rules;
    struct wr_request *request;
    WR_TRY(wr_request_new(run_exchange, exchange, free_exchange, &request, err));
    enum wr_result result = WR_OK;
    if (agent->engine.thread) {
        result = wr_request_call_within(request, agent->engine.requests, context, WR_AGENT_REQUEST_NS, err);
        if (result != WR_OK && atomic_exchange(&exchange->claimed, true))
            result = await_end(request, err);
    } else {
        exchange->shadow = wr_engine_loop_exchange_shadow(&agent->engine, exchange->shadow);
    }
    if (result == WR_OK) {
        exchange->rules = old_rules;
        agent->shadow.rules = new_rules;
    }
    wr_request_release(request);
    return result;
}

/* -- made ----------------------------------------------------------------------------------------------------------------------------------- */

static uint64_t number_of(const struct wr_ruleset *rules, const struct wr_agent *agent) {
    const uint64_t of_rules = wr_ruleset_fingerprint(rules);
    const uint64_t in_force = wr_ruleset_fingerprint(agent->rules);
    const uint64_t instances = agent->config->limits->max_instances;
    uint64_t number = wr_fingerprint_add(WR_FINGERPRINT_START, &of_rules, sizeof of_rules);
    number = wr_fingerprint_add(number, &in_force, sizeof in_force);
    number = wr_fingerprint_add(number, &instances, sizeof instances);
    return number != 0 ? number : 1;
}

/* The first line of what was found is enough for a log. */
static void log_problems(const struct wr_buf *problems, const struct wr_error *err) {
    char line[WR_ERROR_TEXT_BYTES];
    const char *text = wr_buf_str(problems);
    (void)snprintf(line, sizeof line, "%.*s", (int)strcspn(text, "\n"), text);
    WR_LOG_WITH(WR_LOG_WARN, "shadow", "shadow rules do not run; those in force do", WR_LOG_STR("problem", line[0] ? line : err->text));
}

static void log_what_runs(const struct wr_agent_shadow *own) {
    if (own->rules)
        WR_LOG_WITH(WR_LOG_INFO, "shadow", "shadow rules run beside those in force", WR_LOG_INT("rules", wr_ruleset_count(own->rules)),
                    WR_LOG_INT("bundle", (int64_t)own->version));
    else
        WR_LOG(WR_LOG_INFO, "shadow", "no shadow rules run any more");
}

/* rules: taken over. */
static enum wr_result replace(struct wr_agent *agent, struct wr_ruleset *rules, uint64_t version, struct wr_context *context,
                              struct wr_error *err) {
    struct wr_agent_shadow *own = &agent->shadow;
    const struct wr_now now = wr_clock_now(agent->clock);
    struct wr_error why = {0};
    const uint64_t pair = rules ? number_of(rules, agent) : 0;
    if (pair == own->pair) {
        wr_ruleset_free(rules);
        own->version = pair != 0 ? version : 0;
        return WR_OK;
    }
    struct exchange *exchange = calloc(1, sizeof *exchange);
    if (!exchange) {
        wr_ruleset_free(rules);
        return wr_error_set(err, WR_NO_MEMORY, "no memory for shadow rules");
    }
    enum wr_result made = WR_OK;
    if (rules)
        made = wr_shadow_new(rules, agent->rules, agent->series, agent->symbols, &now, &exchange->shadow, err);
    if (made == WR_OK)
        exchange->rules = rules;
    else
        wr_ruleset_free(rules);
    const enum wr_result put = put_in(agent, exchange, context, &why);
    if (put != WR_OK) {
        WR_LOG_WITH(WR_LOG_WARN, "shadow", "the engine took no other shadow rules: what ran before goes on", WR_LOG_ERR(&why));
        return wr_error_set(err, put, "%s", why.text);
    }
    own->pair = own->rules ? pair : 0;
    own->version = own->rules ? version : 0;
    own->told = 0;
    log_what_runs(own);
    return made;
}

enum wr_result wr_agent_shadow_renew(struct wr_agent *agent, struct wr_context *context, struct wr_error *err) {
    struct wr_ruleset *rules = NULL;
    struct wr_buf problems;
    struct wr_error why = {0};
    uint64_t version = 0;
    wr_buf_init(&problems, 0);
    pthread_mutex_lock(&agent->shadow.lock);
    const enum wr_result loaded = wr_load_shadow(agent->config, WR_DIAGNOSTICS_TEXT, &rules, &version, &problems, &why);
    if (loaded != WR_OK && loaded != WR_NOT_FOUND) {
        log_problems(&problems, &why);
        if (err)
            *err = why;
    }
    const enum wr_result replaced = replace(agent, rules, version, context, err);
    pthread_mutex_unlock(&agent->shadow.lock);
    wr_buf_fini(&problems);
    return loaded != WR_OK && loaded != WR_NOT_FOUND ? loaded : replaced;
}

/* -- told of -------------------------------------------------------------------------------------------------------------------------------- */

struct question {
    bool json;
    bool differs;
    uint32_t most;
    uint64_t version;
};

static enum wr_result write_json(const struct wr_shadow *shadow, const struct question *question, struct wr_buf *into) {
    struct wr_json json;
    wr_json_begin(&json, into);
    wr_json_object(&json, NULL);
    wr_json_uint(&json, "bundle", question->version);
    wr_shadow_json(shadow, question->most, &json);
    wr_json_object_end(&json);
    return wr_json_end(&json);
}

static enum wr_result write_text(const struct wr_shadow *shadow, const struct question *question, struct wr_buf *into) {
    if (question->version > 0)
        WR_TRY(wr_buf_printf(into, "bundle %llu in the shadow: ", (unsigned long long)question->version));
    else
        WR_TRY(wr_buf_text(into, "shadow_rules: "));
    return wr_shadow_text(shadow, question->most, into);
}

static void run_report(struct wr_request *request, void *owner) {
    const struct wr_engine_loop *loop = owner;
    struct question *question = request->input;
    struct wr_shadow_figures figures;
    if (!loop->shadow.shadow) {
        wr_request_finish(request, wr_error_set(&request->error, WR_NOT_FOUND, "there are no shadow rules"));
        return;
    }
    wr_shadow_figures(loop->shadow.shadow, &figures);
    question->differs = figures.differ > 0;
    wr_request_finish(request, (question->json ? write_json : write_text)(loop->shadow.shadow, question, &request->text));
}

enum wr_result wr_agent_shadow_report(struct wr_agent *agent, bool json, uint32_t most, struct wr_context *context, struct wr_buf *into,
                                      bool *ret_differs, struct wr_error *err) {
    struct wr_request *request;
    struct question *question = malloc(sizeof *question);
    if (!question)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a report");
    *question = (struct question){.json = json, .most = most, .version = agent->shadow.version};
    WR_TRY(wr_request_new(run_report, question, free, &request, err));
    enum wr_result result = wr_request_call_within(request, agent->engine.requests, context, WR_AGENT_REQUEST_NS, err);
    if (result == WR_OK) {
        *ret_differs = question->differs;
        result = wr_buf_append(into, request->text.data, request->text.len);
    }
    wr_request_release(request);
    return result;
}
