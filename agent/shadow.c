#include "agent/shadow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* In: the new one; out: the old one. Only the asker touches it afterwards: it waits for the end. */
static void run_exchange(struct wr_request *request, void *owner) {
    struct wr_shadow **shadow = request->input;
    *shadow = wr_engine_loop_exchange_shadow(owner, *shadow);
    wr_request_finish(request, WR_OK);
}

/* No deadline, as of a reload: the rules of the old one are freed behind it. */
static enum wr_result exchange(struct wr_agent *agent, struct wr_shadow **shadow, struct wr_error *err) {
    struct wr_request *request;
    if (!agent->engine.thread) {
        *shadow = wr_engine_loop_exchange_shadow(&agent->engine, *shadow);
        return WR_OK;
    }
    WR_TRY(wr_request_new(run_exchange, shadow, NULL, &request, err));
    const enum wr_result result = wr_request_call(request, agent->engine.requests, WR_NEVER_NS, err);
    wr_request_release(request);
    return result;
}

/* -- made ----------------------------------------------------------------------------------------------------------------------------------- */

static uint64_t number_of(const struct wr_ruleset *rules, const struct wr_ruleset *in_force) {
    const uint64_t one = wr_ruleset_fingerprint(rules), other = wr_ruleset_fingerprint(in_force);
    const uint64_t number = wr_fingerprint_add(wr_fingerprint_add(WR_FINGERPRINT_START, &one, sizeof one), &other, sizeof other);
    return number != 0 ? number : 1;
}

/* The first line of what was found is enough for a log. */
static void log_problems(const struct wr_buf *problems, const struct wr_error *err) {
    char line[WR_ERROR_TEXT_BYTES];
    const char *text = wr_buf_str(problems);
    (void)snprintf(line, sizeof line, "%.*s", (int)strcspn(text, "\n"), text);
    WR_LOG_WITH(WR_LOG_WARN, "shadow", "shadow rules do not run; those in force do", WR_LOG_STR("problem", line[0] ? line : err->text));
}

/* rules: taken over. */
static enum wr_result replace(struct wr_agent *agent, struct wr_ruleset *rules, uint64_t version, struct wr_error *err) {
    struct wr_agent_shadow *own = &agent->shadow;
    const struct wr_now now = wr_clock_now(agent->clock);
    struct wr_shadow *shadow = NULL;
    enum wr_result result = WR_OK;
    const uint64_t pair = rules ? number_of(rules, agent->rules) : 0;
    own->version = rules ? version : 0;
    if (pair == own->pair) {
        wr_ruleset_free(rules);
        return WR_OK;
    }
    if (rules)
        result = wr_shadow_new(rules, agent->rules, agent->series, agent->symbols, &now, &shadow, err);
    const enum wr_result exchanged = exchange(agent, &shadow, err);
    wr_shadow_free(shadow); /* the one that came out, or the one that did not get in */
    if (exchanged != WR_OK) {
        wr_ruleset_free(rules);
        return exchanged;
    }
    wr_ruleset_free(own->rules);
    if (result != WR_OK)
        wr_ruleset_free(rules);
    own->rules = result == WR_OK ? rules : NULL;
    own->pair = result == WR_OK ? pair : 0;
    own->told = 0;
    if (own->rules)
        WR_LOG_WITH(WR_LOG_INFO, "shadow", "shadow rules run beside those in force", WR_LOG_INT("rules", wr_ruleset_count(rules)),
                    WR_LOG_INT("bundle", (int64_t)version));
    else
        WR_LOG(WR_LOG_INFO, "shadow", "no shadow rules run any more");
    return result;
}

enum wr_result wr_agent_shadow_renew(struct wr_agent *agent, struct wr_error *err) {
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
    const enum wr_result replaced = replace(agent, rules, version, err);
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
