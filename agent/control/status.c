#include "agent/control/status.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/agent.h"
#include "agent/control/status_store.h"
#include "agent/control/status_uplink.h"
#include "agent/loops/store_opening.h"
#include "core/json.h"
#include "core/quantity.h"

#define ENGINE_SILENT_NS (10 * WR_NS_PER_S)

/* -- health ---------------------------------------------------------------------------------------------------------------------------- */

bool wr_agent_is_healthy(void *user, struct wr_buf *why) {
    struct wr_agent *agent = user;
    int64_t silent_ns = wr_clock_boot_ns(agent->clock) - (int64_t)agent->engine.shown.turned_boot_ns;
    if (silent_ns < ENGINE_SILENT_NS)
        return true;
    (void)!wr_buf_printf(why, "the engine has not turned for %" PRId64 " s\n", silent_ns / WR_NS_PER_S);
    return false;
}

bool wr_agent_is_ready(void *user, struct wr_buf *why) {
    struct wr_agent *agent = user;
    if (agent->ready && agent->store.state == WR_STORE_OPEN)
        return wr_agent_is_healthy(agent, why);
    char trouble[512];
    if (!agent->ready)
        (void)!wr_buf_text(why, "starting or stopping\n");
    else if (wr_store_loop_trouble(&agent->store, trouble, sizeof trouble)[0])
        (void)!wr_buf_printf(why, "the store cannot be used: %s\n", trouble);
    else
        (void)!wr_buf_text(why, "the store is not open\n");
    return false;
}

/* -- numbers --------------------------------------------------------------------------------------------------------------------------- */

struct outbox {
    uint64_t segments;
    uint64_t bytes;
    uint64_t readings;
    bool known;
};

static void count_held(struct wr_request *request, void *owner) {
    struct wr_store_loop *loop = owner;
    struct wr_account_balance *balances;
    uint32_t n;
    enum wr_result result = wr_store_balances(loop->store, &balances, &n);
    uint64_t held = 0;
    for (uint32_t i = 0; result == WR_OK && i < n; i++)
        held += wr_balance_held(&balances[i]);
    if (result == WR_OK) {
        free(balances);
        result = wr_buf_printf(&request->text, "%" PRIu64, held);
    }
    wr_request_finish(request, result);
}

/* The store's own numbers are always there; the readings only if its thread answers soon. */
static struct outbox look_at_outbox(struct wr_agent *agent) {
    struct outbox outbox = {0};
    if (agent->store.state != WR_STORE_OPEN)
        return outbox;
    for (unsigned lane = 0; lane < WR_LANES; lane++) {
        outbox.segments += agent->store.stats->unacked_segments[lane];
        outbox.bytes += agent->store.stats->unacked_bytes[lane];
    }
    struct wr_request *request;
    if (wr_request_new(count_held, NULL, NULL, &request, NULL) != WR_OK)
        return outbox;
    if (wr_request_call(request, agent->store.requests, wr_clock_boot_ns(agent->clock) + WR_NS_PER_S, NULL) == WR_OK) {
        outbox.readings = strtoull(wr_buf_str(&request->text), NULL, 10);
        outbox.known = true;
    }
    wr_request_release(request);
    return outbox;
}

/* For want of a store. */
static uint64_t dropped_readings(const struct wr_agent *agent) {
    int state = agent->store.state;
    return state == WR_STORE_OPEN || state == WR_STORE_GONE || state == WR_STORE_WITHOUT ? (uint64_t)agent->store.stats->dropped_readings
                                                                                         : 0;
}

/* Also looked at while the store opens: its numbers are not there yet. */
static uint64_t merged_readings(const struct wr_agent *agent) {
    return agent->store.state == WR_STORE_OPEN ? (uint64_t)agent->store.stats->merged_readings : 0;
}

/* Of a broken store; NULL: there is none. */
static const struct wr_store_stats *salvage_of(const struct wr_agent *agent) {
    const bool open = agent->store.state == WR_STORE_OPEN;
    return open && agent->store.stats->salvage != WR_SALVAGE_NONE ? agent->store.stats : NULL;
}

static void salvage_json(const struct wr_agent *agent, struct wr_json *json) {
    const struct wr_store_stats *stats = salvage_of(agent);
    wr_json_object(json, "salvage");
    wr_json_string(json, "state", wr_salvage_state_name(stats ? (enum wr_salvage_state)stats->salvage : WR_SALVAGE_NONE));
    wr_json_uint(json, "segments", stats ? (uint64_t)stats->salvaged_segments : 0);
    wr_json_uint(json, "readings", stats ? (uint64_t)stats->salvaged_readings : 0);
    wr_json_uint(json, "damaged", stats ? (uint64_t)stats->salvage_damaged : 0);
    wr_json_object_end(json);
}

static enum wr_result salvage_text(const struct wr_agent *agent, struct wr_buf *into) {
    const struct wr_store_stats *stats = salvage_of(agent);
    if (!stats)
        return WR_OK;
    return wr_buf_printf(into,
                         "salvage  of a broken store: %s; %" PRIu64 " segments, %" PRIu64 " readings recovered, %" PRIu64 " damaged\n",
                         wr_salvage_state_name((enum wr_salvage_state)stats->salvage), (uint64_t)stats->salvaged_segments,
                         (uint64_t)stats->salvaged_readings, (uint64_t)stats->salvage_damaged);
}

static const char *store_state(const struct wr_agent *agent) {
    int state = agent->store.state;
    switch (state) {
    case WR_STORE_OPEN:
        return "open";
    case WR_STORE_OPENING:
        return "opening";
    case WR_STORE_GONE:
        return "gone";
    case WR_STORE_WITHOUT:
        return "unusable";
    default:
        return "failed";
    }
}

static uint64_t sum_of(const struct wr_intake_counters *counters, bool (*wanted)(unsigned)) {
    uint64_t sum = 0;
    for (unsigned book = 0; book < WR_BOOKS; book++)
        if (wanted(book))
            sum += wr_intake_read(counters, book);
    return sum;
}

/* -- JSON ------------------------------------------------------------------------------------------------------------------------------ */

static void shadow_json(const struct wr_engine_shadow_shown *shown, struct wr_json *json) {
    if (shown->rules == 0) {
        wr_json_null(json, "shadow");
        return;
    }
    wr_json_object(json, "shadow");
    wr_json_uint(json, "rules", shown->rules);
    wr_json_uint(json, "active", shown->active);
    wr_json_uint(json, "alarms_that_differ", shown->differ);
    wr_json_uint(json, "skipped", shown->skipped);
    wr_json_object_end(json);
}

static void messages_json(const struct wr_subscriber_counters *counters, struct wr_json *json) {
    wr_json_bool(json, "connected", counters->connected != 0);
    wr_json_uint(json, "messages", counters->messages);
    wr_json_uint(json, "redelivered", counters->redelivered);
    wr_json_uint(json, "waiting", counters->waiting);
    wr_json_uint(json, "pauses", counters->pauses);
}

static void sources_json(struct wr_agent *agent, struct wr_json *json) {
    wr_json_array(json, "sources");
    for (uint32_t slot = 0; slot < agent->n_slots; slot++) {
        const struct wr_agent_source *source = &agent->sources[slot];
        if (!source->config)
            continue;
        wr_json_object(json, NULL);
        wr_json_string(json, "name", source->config->name);
        wr_json_string(json, "kind", source->source->ops->name);
        wr_json_uint(json, "received", wr_intake_read(&source->counters, WR_BOOK_RECEIVED));
        wr_json_uint(json, "rejected", sum_of(&source->counters, wr_book_is_rejected));
        wr_json_uint(json, "dropped", sum_of(&source->counters, wr_book_is_dropped));
        wr_json_uint(json, "bytes", source->counters.bytes);
        wr_json_uint(json, "waits", source->counters.waits);
        wr_json_uint(json, "connections", source->counters.connections);
        wr_json_uint(json, "datagrams_lost", source->counters.datagrams_lost);
        wr_json_uint(json, "handshakes_failed", source->counters.handshakes_failed);
        if (source->config->kind == WR_SOURCE_MQTT)
            messages_json(&source->counters.mqtt, json);
        char trouble[256];
        wr_json_string(json, "trouble", wr_source_trouble(source->source, trouble, sizeof trouble));
        wr_json_bool(json, "running", source->started);
        wr_json_bool(json, "finished", source->counters.finished != 0);
        wr_json_object_end(json);
    }
    wr_json_array_end(json);
}

static void http_json(struct wr_agent *agent, struct wr_json *json) {
    struct wr_http_status status;
    if (!agent->http) {
        wr_json_null(json, "http");
        return;
    }
    wr_http_server_status(agent->http, &status);
    wr_json_object(json, "http");
    wr_json_uint(json, "connections", status.connections);
    wr_json_uint(json, "refused", status.refused);
    wr_json_uint(json, "broken", status.broken);
    wr_json_object(json, "requests");
    for (unsigned i = 0; i < WR_HTTP_REPLY_CODES; i++) {
        char code[12];
        snprintf(code, sizeof code, "%d", wr_http_reply_codes[i]);
        if (status.replies[i] > 0)
            wr_json_uint(json, code, status.replies[i]);
    }
    wr_json_object_end(json);
    wr_json_object_end(json);
}

static void actions_json(const struct wr_agent *agent, struct wr_json *json) {
    wr_json_object(json, "actions");
    for (int kind = 0; kind < WR_ACTION_KINDS; kind++) {
        const struct wr_action_counters *counters = &agent->actions.kinds[kind];
        wr_json_object(json, wr_action_kind_names[kind]);
        wr_json_uint(json, "queued", counters->queued);
        wr_json_uint(json, "done", counters->done);
        wr_json_uint(json, "retried", counters->retried);
        wr_json_uint(json, "dead", counters->dead);
        wr_json_uint(json, "repeats_dropped", counters->repeats);
        wr_json_object_end(json);
    }
    wr_json_uint(json, "delayed", agent->actions.delayed);
    wr_json_object_end(json);
}

static void outbox_trouble_json(struct wr_agent *agent, struct wr_json *json) {
    char trouble[512];
    wr_json_string(json, "trouble", wr_store_loop_trouble(&agent->store, trouble, sizeof trouble));
    wr_json_uint(json, "dropped_readings", dropped_readings(agent));
}

/* Where windows keep raw readings. */
static void raw_json(const struct wr_agent *agent, struct wr_json *json) {
    const struct wr_raw_log_stats *raw = agent->store.raw_stats;
    if (agent->store.keep_ns == 0 || !raw)
        return;
    wr_json_object(json, "raw");
    wr_json_uint(json, "readings", raw->readings);
    wr_json_uint(json, "bytes", raw->bytes);
    wr_json_uint(json, "not_kept", raw->missed + agent->engine.shown.unkept);
    wr_json_uint(json, "removed_for_space", raw->dropped);
    wr_json_object_end(json);
}

static enum wr_result print_json(struct wr_agent *agent, const struct outbox *outbox, struct wr_buf *into) {
    struct wr_json json;
    char running[17];
    const struct wr_engine_stats_shown *engine = &agent->engine.shown;
    wr_json_begin(&json, into);
    wr_json_object(&json, NULL);
    wr_json_string(&json, "node", agent->config->node->id);
    wr_json_string(&json, "site", agent->config->node->site);
    wr_json_string(&json, "version", WEIR_VERSION);
    snprintf(running, sizeof running, "%016" PRIx64, (uint64_t)agent->running);
    wr_json_string(&json, "running", running);
    wr_json_bool(&json, "ready", agent->ready && agent->store.state == WR_STORE_OPEN);
    wr_json_int(&json, "uptime_s", (wr_clock_boot_ns(agent->clock) - agent->started_boot_ns) / WR_NS_PER_S);
    wr_json_bool(&json, "clock_trusted", wr_clock_wall_trusted(agent->clock));
    sources_json(agent, &json);
    wr_json_object(&json, "engine");
    wr_json_uint(&json, "series", wr_series_count(agent->series));
    wr_json_uint(&json, "taken", engine->taken);
    wr_json_uint(&json, "late", engine->late);
    wr_json_uint(&json, "clamped", engine->clamped);
    wr_json_uint(&json, "bad", engine->bad);
    wr_json_uint(&json, "historic", engine->historic);
    wr_json_uint(&json, "skewed_streams", engine->skewed);
    wr_json_uint(&json, "open_windows", engine->open_windows);
    wr_json_uint(&json, "aggregates", engine->aggregates);
    wr_json_uint(&json, "widened", engine->widened);
    wr_json_object_end(&json);
    wr_json_object(&json, "alarms");
    wr_json_uint(&json, "rules", wr_ruleset_count(agent->rules));
    wr_json_uint(&json, "instances", engine->instances);
    wr_json_uint(&json, "active", engine->alarms_active);
    wr_json_uint(&json, "unacked", engine->alarms_unacked);
    wr_json_uint(&json, "transitions", engine->transitions);
    wr_json_int(&json, "latency_p99_us", wr_histogram_quantile(&agent->actions.latency, 0.99) / WR_NS_PER_US);
    wr_json_object_end(&json);
    shadow_json(&agent->engine.shadow.shown, &json);
    actions_json(agent, &json);
    wr_json_object(&json, "outbox");
    wr_json_string(&json, "state", store_state(agent));
    wr_json_uint(&json, "segments", outbox->segments);
    wr_json_uint(&json, "bytes", outbox->bytes);
    if (outbox->known)
        wr_json_uint(&json, "readings", outbox->readings);
    else
        wr_json_null(&json, "readings");
    wr_json_bool(&json, "high_water", (agent->store.high_water & WR_STORE_PRESSURE_ROOM) != 0);
    wr_json_string(&json, "ladder", wr_ladder_step_name((enum wr_ladder_step)agent->store.ladder));
    wr_json_uint(&json, "merged_readings", merged_readings(agent));
    wr_status_store_json(agent, &json);
    outbox_trouble_json(agent, &json);
    salvage_json(agent, &json);
    wr_json_object_end(&json);
    raw_json(agent, &json);
    wr_status_uplink_json(agent, &json);
    http_json(agent, &json);
    wr_json_object_end(&json);
    WR_TRY(wr_json_end(&json));
    return wr_buf_text(into, "\n");
}

/* -- words ----------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result sources_text(struct wr_agent *agent, struct wr_buf *into) {
    for (uint32_t slot = 0; slot < agent->n_slots; slot++) {
        const struct wr_agent_source *source = &agent->sources[slot];
        if (!source->config)
            continue;
        WR_TRY(wr_buf_printf(into, "source   %s (%s): %" PRIu64 " received, %" PRIu64 " rejected, %" PRIu64 " dropped",
                             source->config->name, source->source->ops->name, wr_intake_read(&source->counters, WR_BOOK_RECEIVED),
                             sum_of(&source->counters, wr_book_is_rejected), sum_of(&source->counters, wr_book_is_dropped)));
        if (source->counters.connections)
            WR_TRY(wr_buf_printf(into, ", %" PRIu64 " connections", (uint64_t)source->counters.connections));
        if (source->counters.datagrams_lost)
            WR_TRY(wr_buf_printf(into, ", %" PRIu64 " datagrams lost by the kernel", (uint64_t)source->counters.datagrams_lost));
        if (source->counters.handshakes_failed)
            WR_TRY(wr_buf_printf(into, ", %" PRIu64 " TLS handshakes failed", (uint64_t)source->counters.handshakes_failed));
        char trouble[256];
        if (wr_source_trouble(source->source, trouble, sizeof trouble)[0] != '\0')
            WR_TRY(wr_buf_printf(into, ", %s", trouble));
        WR_TRY(wr_buf_text(into, !source->started ? ", NOT RUNNING: see the log\n" : source->counters.finished ? ", at its end\n" : "\n"));
    }
    return WR_OK;
}

/* Which device should have its clock set. */
static enum wr_result skew_text(const struct wr_agent *agent, struct wr_buf *into) {
    const struct wr_engine_stats_shown *engine = &agent->engine.shown;
    const uint64_t skewed = engine->skewed;
    const struct wr_series *series = skewed > 0 ? wr_series_get(agent->series, (uint32_t)engine->skewed_series) : NULL;
    if (!series)
        return WR_OK;
    char name[128];
    char by[32];
    const int64_t behind_ns = engine->skew_ns;
    const int64_t seconds = (behind_ns < 0 ? -(behind_ns / WR_NS_PER_S) : behind_ns / WR_NS_PER_S);
    wr_series_display(name, sizeof name, series->key, series->key_len);
    wr_quantity_format_duration(by, sizeof by, seconds * WR_NS_PER_S);
    return wr_buf_printf(into, "         %" PRIu64 " series of devices whose clocks are off, %s by %s %s\n", skewed, name, by,
                         behind_ns < 0 ? "ahead" : "behind");
}

static enum wr_result http_text(struct wr_agent *agent, struct wr_buf *into) {
    struct wr_http_status status;
    if (!agent->http)
        return WR_OK;
    wr_http_server_status(agent->http, &status);
    WR_TRY(wr_buf_printf(into, "http     %" PRIu64 " connections; answered:", status.connections));
    bool any = false;
    for (unsigned i = 0; i < WR_HTTP_REPLY_CODES; i++)
        if (status.replies[i] > 0) {
            WR_TRY(wr_buf_printf(into, "%s %" PRIu64 " with %d", any ? "," : "", status.replies[i], wr_http_reply_codes[i]));
            any = true;
        }
    return wr_buf_text(into, any ? "\n" : " none\n");
}

/* Nothing while all goes well. */
static enum wr_result actions_text(const struct wr_agent *agent, struct wr_buf *into) {
    uint64_t waiting = 0, dead = 0;
    for (int kind = 0; kind < WR_ACTION_KINDS; kind++) {
        waiting += agent->actions.kinds[kind].queued;
        dead += agent->actions.kinds[kind].dead;
    }
    if (waiting + dead == 0)
        return WR_OK;
    return wr_buf_printf(into, "actions  %" PRIu64 " wait or are under way, %" PRIu64 " given up\n", waiting, dead);
}

static enum wr_result raw_text(const struct wr_agent *agent, struct wr_buf *into) {
    const struct wr_raw_log_stats *raw = agent->store.raw_stats;
    char bytes[32];
    if (agent->store.keep_ns == 0 || !raw)
        return WR_OK;
    wr_quantity_format_size(bytes, sizeof bytes, raw->bytes);
    WR_TRY(wr_buf_printf(into, "raw      %" PRIu64 " readings kept, %s on disk", (uint64_t)raw->readings, bytes));
    const uint64_t missed = raw->missed + agent->engine.shown.unkept;
    if (missed > 0)
        WR_TRY(wr_buf_printf(into, ", %" PRIu64 " not kept", missed));
    return wr_buf_text(into, "\n");
}

static enum wr_result outbox_text(struct wr_agent *agent, const struct outbox *outbox, struct wr_buf *into) {
    static const char *const ladder[] = {[WR_LADDER_NONE] = "\n",
                                         [WR_LADDER_WIDENS] = "; above the high-water mark, windows are widened\n",
                                         [WR_LADDER_MERGES] = "; full, windows are widened and merged\n",
                                         [WR_LADDER_EVICTS] = "; FULL, the oldest is evicted\n"};
    char bytes[32], trouble[512];
    wr_quantity_format_size(bytes, sizeof bytes, outbox->bytes);
    if (wr_store_loop_trouble(&agent->store, trouble, sizeof trouble)[0]) {
        if (agent->store.state == WR_STORE_GONE)
            WR_TRY(wr_buf_text(into,
                               "outbox   GONE: its disk does not answer, windows stay open, nothing is sent; tried again each minute\n"));
        else
            WR_TRY(wr_buf_printf(into,
                                 "outbox   UNUSABLE: nothing is kept or sent, %" PRIu64 " readings dropped; tried again each minute\n",
                                 dropped_readings(agent)));
        return wr_buf_printf(into, "         %s\n", trouble);
    }
    WR_TRY(wr_buf_printf(into, "outbox   %s; %" PRIu64 " segments wait, %s", store_state(agent), outbox->segments, bytes));
    if (outbox->known)
        WR_TRY(wr_buf_printf(into, ", %" PRIu64 " readings", outbox->readings));
    WR_TRY(wr_buf_text(into, ladder[agent->store.ladder]));
    WR_TRY(wr_status_store_text(agent, into));
    return salvage_text(agent, into);
}

static enum wr_result shadow_text(const struct wr_engine_shadow_shown *shown, struct wr_buf *into) {
    if (shown->rules == 0)
        return WR_OK;
    return wr_buf_printf(into, "shadow   %" PRIu64 " rules, %" PRIu64 " active, %" PRIu64 " alarms differ, %" PRIu64 " readings skipped\n",
                         (uint64_t)shown->rules, (uint64_t)shown->active, (uint64_t)shown->differ, (uint64_t)shown->skipped);
}

static enum wr_result print_text(struct wr_agent *agent, const struct outbox *outbox, struct wr_buf *into) {
    const struct wr_engine_stats_shown *engine = &agent->engine.shown;
    char uptime[32];
    int64_t up_ns = wr_clock_boot_ns(agent->clock) - agent->started_boot_ns;
    wr_quantity_format_duration(uptime, sizeof uptime, up_ns / WR_NS_PER_S * WR_NS_PER_S);
    WR_TRY(wr_buf_printf(into, "weir %s, node %s, up %s%s\n", WEIR_VERSION, agent->config->node->id, uptime,
                         agent->ready && agent->store.state == WR_STORE_OPEN ? "" : ", NOT READY"));
    WR_TRY(sources_text(agent, into));
    WR_TRY(wr_buf_printf(into,
                         "engine   %u series, %" PRIu64 " readings taken, %" PRIu64 " windows open, %" PRIu64 " late, %" PRIu64 " bad\n",
                         wr_series_count(agent->series), (uint64_t)engine->taken, (uint64_t)engine->open_windows, (uint64_t)engine->late,
                         (uint64_t)engine->bad));
    WR_TRY(skew_text(agent, into));
    WR_TRY(wr_buf_printf(into, "alarms   %u rules, %" PRIu64 " active, %" PRIu64 " not acknowledged\n", wr_ruleset_count(agent->rules),
                         (uint64_t)engine->alarms_active, (uint64_t)engine->alarms_unacked));
    WR_TRY(shadow_text(&agent->engine.shadow.shown, into));
    WR_TRY(actions_text(agent, into));
    WR_TRY(outbox_text(agent, outbox, into));
    WR_TRY(raw_text(agent, into));
    WR_TRY(wr_status_uplink_text(agent, into));
    return http_text(agent, into);
}

enum wr_result wr_status_print(struct wr_agent *agent, bool json, struct wr_buf *into) {
    const struct outbox outbox = look_at_outbox(agent);
    pthread_mutex_lock(&agent->lock);
    enum wr_result result = json ? print_json(agent, &outbox, into) : print_text(agent, &outbox, into);
    pthread_mutex_unlock(&agent->lock);
    return result;
}
