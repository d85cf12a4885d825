#include "agent/remote/remote_bundle.h"

#include <string.h>

#include "agent/agent.h"
#include "agent/config/config_diff.h"
#include "agent/config/load.h"
#include "agent/reload.h"
#include "core/fingerprint.h"
#include "core/json.h"
#include "core/log.h"

/* -- the agent as a rollout sees it ------------------------------------------------------------------------------------------------------- */

/* The first line of what `weir check` would print. */
static enum wr_result explain(const struct wr_buf *problems, enum wr_result result, struct wr_error *err) {
    const char *text = wr_buf_str(problems);
    const char *error = strstr(text, ": error");
    while (error && error > text && error[-1] != '\n')
        error--;
    if (result != WR_INVALID || !error)
        return result;
    return wr_error_set(err, result, "%.*s", (int)strcspn(error, "\n"), error);
}

static enum wr_result check(void *user, const char *directory, struct wr_error *err) {
    struct wr_agent *agent = user;
    struct wr_loaded loaded = {0};
    struct wr_config_diff diff;
    struct wr_buf problems;
    wr_buf_init(&problems, 0);
    enum wr_result result = wr_load_with(agent->first_config->file, directory, WR_DIAGNOSTICS_TEXT, &loaded, &problems, err);
    result = explain(&problems, result, err);
    wr_buf_fini(&problems);
    if (result != WR_OK)
        return result;
    pthread_mutex_lock(&agent->lock); /* a reload exchanges the present config */
    result = wr_config_compare(agent->config, loaded.config, &diff, err);
    pthread_mutex_unlock(&agent->lock);
    wr_loaded_fini(&loaded);
    return result;
}

static enum wr_result reload(void *user, struct wr_context *context, struct wr_error *err) {
    return wr_agent_reload_call(user, context, err);
}

static void health(void *user, struct wr_rollout_health *ret_health) {
    struct wr_agent *agent = user;
    ret_health->alarms = agent->engine.shown.alarms_active;
    ret_health->errors = wr_log_count(WR_LOG_ERROR);
}

static enum wr_result shadow(void *user, struct wr_error *err) {
    return wr_agent_shadow_renew(user, NULL, err);
}

enum wr_result wr_remote_bundle_open(struct wr_agent *agent, const struct wr_config *config, struct wr_error *err) {
    const struct wr_rollout_ops ops = {.user = agent, .check = check, .reload = reload, .health = health, .shadow = shadow};
    const struct wr_config_commands *commands = config->uplink ? config->uplink->commands : NULL;
    if (!commands || !commands->bundles) {
        agent->rollout_open = false;
        return WR_OK;
    }
    if (agent->rollout_open) {
        agent->rollout.window_ns = commands->health_ns;
        return WR_OK;
    }
    WR_TRY(
        wr_rollout_init(&agent->rollout, &ops, agent->first_config->store->path, commands->health_ns, wr_clock_boot_ns(agent->clock), err));
    agent->rollout_open = true;
    return WR_OK;
}

/* -- answers ------------------------------------------------------------------------------------------------------------------------------ */

/* key: "" where nobody knows it; version: 0 likewise. */
static void begin(struct wr_json *json, const struct wr_agent *agent, const char *key, uint64_t version, struct wr_buf *into) {
    const struct wr_config_node *node = agent->first_config->node;
    wr_json_begin(json, into);
    wr_json_object(json, NULL);
    wr_json_string(json, "node", node->id);
    wr_json_string(json, "site", node->site);
    if (key[0])
        wr_json_string(json, "key", key);
    if (version > 0)
        wr_json_uint(json, "bundle", version);
}

static enum wr_result end(struct wr_json *json) {
    wr_json_object_end(json);
    return wr_json_end(json);
}

static enum wr_result answer(const struct wr_agent *agent, const struct wr_bundle *bundle, enum wr_remote_outcome outcome,
                             const struct wr_error *err, struct wr_buf *into) {
    struct wr_json json;
    begin(&json, agent, bundle ? bundle->key : "", bundle ? bundle->version : 0, into);
    wr_json_string(&json, "result", wr_result_name(outcome == WR_REMOTE_DONE ? WR_OK : err->code));
    if (outcome != WR_REMOTE_DONE) {
        wr_json_string(&json, "reason", wr_remote_outcome_name(outcome));
        wr_json_string(&json, "problem", err->text);
    }
    return end(&json);
}

enum wr_result wr_remote_bundle_news(struct wr_agent *agent, enum wr_rollout_news news, uint64_t version, struct wr_buf *into) {
    const struct wr_rollout *rollout = &agent->rollout;
    struct wr_json json;
    begin(&json, agent, rollout->key, version, into);
    wr_json_string(&json, "result", news == WR_ROLLOUT_KEPT ? "kept" : "rolled back");
    if (news == WR_ROLLOUT_ROLLED_BACK) {
        wr_json_uint(&json, "now", rollout->shown_version);
        wr_json_string(&json, "problem", rollout->why);
    }
    return end(&json);
}

static uint64_t add(uint64_t so_far, uint64_t number) {
    return wr_fingerprint_add(so_far, &number, sizeof number);
}

/* A number that is another one when there is something new to tell: the counts of readings are not. */
static uint64_t told(const struct wr_agent *agent) {
    const struct wr_engine_shadow_shown *shown = &agent->engine.shadow.shown;
    uint64_t number = add(add(WR_FINGERPRINT_START, agent->shadow.pair), agent->shadow.version); /* the same rules may come again */
    number = add(add(number, shown->raised), shown->cleared);
    number = add(add(number, shown->differ), shown->active);
    number = add(add(number, shown->in_force_active), shown->skipped != 0);
    return number != 0 ? number : 1;
}

static enum wr_result write_shadow(struct wr_agent *agent, uint64_t version, uint32_t most, struct wr_context *context,
                                   struct wr_buf *into) {
    struct wr_json json;
    struct wr_buf report;
    bool differs;
    wr_buf_init(&report, 0);
    enum wr_result result = wr_agent_shadow_report(agent, true, most, context, &report, &differs, NULL);
    if (result == WR_OK || result == WR_NOT_FOUND) {
        begin(&json, agent, agent->rollout.shadow_key, version, into);
        wr_json_string(&json, "result", "shadow");
        if (result == WR_OK)
            wr_json_raw(&json, "shadow", wr_buf_str(&report), report.len);
        else
            wr_json_string(&json, "problem", "its rules do not run together with the present config: weir check says why");
        result = end(&json);
    }
    wr_buf_fini(&report);
    return result;
}

enum wr_result wr_remote_bundle_shadow(struct wr_agent *agent, uint64_t version, struct wr_context *context, struct wr_buf *into,
                                       bool *ret_news) {
    const uint64_t number = told(agent);
    *ret_news = number != agent->shadow.told;
    if (!*ret_news)
        return WR_OK;
    enum wr_result result = WR_LIMIT;
    for (uint32_t most = 16; result == WR_LIMIT && most > 0; most /= 2) {
        into->len = 0;
        result = write_shadow(agent, version, most, context, into);
    }
    if (result == WR_OK)
        agent->shadow.told = number;
    return result;
}

/* -- taking ------------------------------------------------------------------------------------------------------------------------------- */

static enum wr_remote_outcome take(struct wr_agent *agent, struct wr_bundle *bundle, const char *payload, size_t len,
                                   struct wr_context *context, struct wr_error *err) {
    const struct wr_config_node *node = agent->first_config->node;
    const struct wr_now now = wr_clock_now(agent->clock);
    const enum wr_result read = wr_bundle_read(bundle, payload, len, err);
    if (read != WR_OK)
        return read == WR_NO_MEMORY ? WR_REMOTE_NO_MEMORY : WR_REMOTE_MALFORMED;
    if (!agent->rollout_open)
        return wr_error_set(err, WR_DENIED, "this node takes no bundles: uplink.commands.bundles is false"), WR_REMOTE_REFUSED;
    const enum wr_remote_outcome flaw = wr_bundle_flaw(bundle, node->id, node->site, &now, err);
    return flaw == WR_REMOTE_DONE ? wr_rollout_take(&agent->rollout, bundle, context, agent->clock, err) : flaw;
}

enum wr_remote_outcome wr_remote_bundle(struct wr_agent *agent, const char *payload, size_t len, struct wr_context *context,
                                        struct wr_buf *into, enum wr_result *ret_answered, struct wr_error *err) {
    struct wr_bundle *bundle = wr_bundle_new();
    enum wr_remote_outcome outcome = WR_REMOTE_NO_MEMORY;
    if (bundle)
        outcome = take(agent, bundle, payload, len, context, err);
    else
        (void)wr_error_set(err, WR_NO_MEMORY, "no memory for a bundle");
    *ret_answered = answer(agent, bundle, outcome, err, into);
    if (outcome == WR_REMOTE_DONE)
        WR_LOG_WITH(WR_LOG_INFO, "commands", bundle->shadow ? "a bundle is in the shadow" : "a bundle is in force, and watched",
                    WR_LOG_INT("version", (int64_t)bundle->version));
    wr_bundle_free(bundle);
    return outcome;
}
