#include "agent/config/ceiling.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/actions/actions.h"
#include "agent/agent.h"
#include "agent/control/alarm_list.h"
#include "agent/control/control_server.h"
#include "agent/control/desk.h"
#include "agent/control/remote_desk.h"
#include "agent/http/http_server.h"
#include "agent/loops/memories.h"
#include "agent/remote/bundle.h"
#include "agent/sources/source.h"
#include "core/intern.h"
#include "core/json.h"
#include "core/kept.h"
#include "core/quantity.h"
#include "rules/alarms/annunciator.h"
#include "rules/alarms/command_log.h"
#include "rules/compile/ruleset.h"
#include "rules/engine/engine.h"
#include "rules/evaluator/evaluator_memory.h"
#include "rules/shadow/shadow.h"
#include "store/merge.h"
#include "store/raw_log.h"
#include "store/salvage.h"
#include "store/store.h"
#include "transport/command_messages.h"
#include "transport/jws.h"
#include "transport/payload.h"
#include "transport/uplink_messages.h"

/* What cannot be counted is estimated, on the safe side. An idle agent without TLS has 4.8 MB of program and libraries resident, shared pages
 * counted in full, and 1.2 MB of its own. */
#define LIBRARIES_BYTES (UINT64_C(6) << 20) /* program, shared libraries, allocator, libevent */
#define SQLITE_BYTES (UINT64_C(1) << 20)    /* its page cache (cache_size -256), WAL index, statements */
#define CODEC_BYTES (UINT64_C(2) << 20)     /* columns of one segment before compression, zstd level 1 */
#define TLS_BYTES (UINT64_C(512) << 10)     /* certificates, two records of 16 KB, paho's threads */
#define THREAD_BYTES (UINT64_C(32) << 10)   /* of its stack, what a thread touches */
#define BUNDLE_BYTES                                                                                                                       \
    (sizeof(struct wr_bundle) + 4 * WR_JWS_BYTES) /* its rules are counted with those of a reload, which comes behind their check */
#define THREADS 8                                 /* main, engine, store, actions, uplink, control, scheduler, watcher of the workers */
#define MERGE_TEXTS_BYTES (UINT64_C(2) << 20)     /* a decoder, and keys and texts of what is being merged */
#define ACCOUNT_LISTS 4                           /* those of the process; to put back, and to tell, in a reload; in an audit */
#define OPEN_SEGMENT_LANES 2                      /* changes and windows are filled as aggregates */
#define BACKFILL_LANES WR_LANES                   /* the uplink holds one segment of each lane ready */

WR_PRINTF(4, 5)
static void add(struct wr_ceiling *ceiling, const char *name, uint64_t bytes, const char *format, ...) {
    assert(ceiling->n < WR_CEILING_ITEMS);
    struct wr_ceiling_item *item = &ceiling->items[ceiling->n++];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(item->detail, sizeof item->detail, format, arguments);
    va_end(arguments);
    item->name = name;
    item->bytes = bytes;
    ceiling->total_bytes += bytes;
}

static void add_sources(struct wr_ceiling *ceiling, const struct wr_config *config) {
    const struct wr_config_limits *limits = config->limits;
    uint64_t bytes = 0;
    for (unsigned i = 0; i < config->n_sources; i++)
        bytes += wr_source_bytes(&config->sources[i], limits);
    add(ceiling, "batches", (uint64_t)config->n_sources * wr_batch_pool_bytes(limits->batches),
        "%u source%s with %u batches of %u readings", config->n_sources, config->n_sources == 1 ? "" : "s", limits->batches,
        WR_BATCH_READINGS);
    add(ceiling, "connections", bytes, "connections, partial lines and caches of the sources");
}

static void add_tables(struct wr_ceiling *ceiling, const struct wr_config_limits *limits) {
    add(ceiling, "series", wr_series_table_bytes(limits->max_series, WR_CEILING_KEY_BYTES), "%u series with keys of %d B on average",
        limits->max_series, WR_CEILING_KEY_BYTES);
    add(ceiling, "symbols", wr_intern_bytes(limits->max_symbols, 0, WR_CEILING_SYMBOL_BYTES), "%u texts of %d B on average",
        limits->max_symbols, WR_CEILING_SYMBOL_BYTES);
}

static void add_engine(struct wr_ceiling *ceiling, const struct wr_config *config) {
    const struct wr_engine_options options = {.max_series = config->limits->max_series,
                                              .n_sources = config->n_sources,
                                              .windows = config->windows,
                                              .n_windows = config->n_windows};
    add(ceiling, "windows", wr_engine_bytes(&options), "open windows of %u series in %u window%s", config->limits->max_series,
        config->n_windows, config->n_windows == 1 ? "" : "s");
    add(ceiling, "handovers", wr_handover_pool_bytes(WR_AGENT_HANDOVERS, wr_agent_max_counts(config->n_sources, config->n_windows, 0)),
        "%d handovers of %d aggregates to the store", WR_AGENT_HANDOVERS, WR_HANDOVER_AGGREGATES);
}

/* The store keeps books of windows and sources that are configured no more. */
static void add_accounts(struct wr_ceiling *ceiling, const struct wr_config *config) {
    const uint32_t n = config->n_sources * (config->n_windows + 2);
    const uint64_t books = WR_BOOKS * sizeof(uint64_t); /* of engines that a reload has ended */
    add(ceiling, "accounts",
        wr_store_accounts_bytes(2 * n) + 2 * n * (books + sizeof(struct wr_account_balance)) + ACCOUNT_LISTS * sizeof(struct wr_accounts),
        "%u accounts of the ledger, with as many of before; lists of them for a reload and an audit", n);
}

/* A rule has one instance for each distinct tuple of its `by`: never more than there are series. */
static uint64_t bytes_of_rules(const struct wr_config *config, const struct wr_ruleset *rules) {
    uint32_t n = rules ? wr_ruleset_count(rules) : 0;
    uint64_t bytes = n > 0 ? (uint64_t)config->limits->max_series * sizeof(struct wr_evaluator_band) : 0;
    bytes += rules ? (uint64_t)wr_ruleset_bytes(rules) : 0;
    for (uint32_t i = 0; i < n; i++) {
        struct wr_rule_info info = wr_ruleset_info(rules, i);
        uint32_t instances = info.n_by == 0 ? 1 : info.max_instances;
        if (instances > config->limits->max_series)
            instances = config->limits->max_series;
        bytes += (uint64_t)instances * info.bytes_per_instance;
    }
    return bytes;
}

/* A reload has two sets for a moment, each with all its instances. */
static void add_rules(struct wr_ceiling *ceiling, const struct wr_config *config, const struct wr_ruleset *rules) {
    const uint32_t n = rules ? wr_ruleset_count(rules) : 0;
    const uint64_t bytes = bytes_of_rules(config, rules);
    add(ceiling, "rules", 2 * bytes, "%u rule%s and their tables, with all the instances that max_instances allows, twice for a reload", n,
        n == 1 ? "" : "s");
    uint64_t saved = config->store->budget_bytes / WR_MEMORIES_OF_BUDGET;
    saved = saved < WR_EVALUATOR_MEMORY_MAX ? saved : WR_EVALUATOR_MEMORY_MAX;
    add(ceiling, "restart", n > 0 ? 2 * saved : 0, "states of windows from before a restart, as read and as they wait for their series");
}

static void add_shadow(struct wr_ceiling *ceiling, const struct wr_config *config, const struct wr_ruleset *rules,
                       const struct wr_ruleset *shadow) {
    if (!shadow)
        return;
    const uint32_t n = wr_ruleset_count(shadow);
    const uint64_t bytes =
        bytes_of_rules(config, shadow) + wr_annunciator_bytes(shadow) + wr_shadow_bytes(n + (rules ? wr_ruleset_count(rules) : 0));
    add(ceiling, "shadow", 2 * bytes, "%u rule%s in the shadow, likewise, and %d alarms to compare", n, n == 1 ? "" : "s",
        WR_SHADOW_ALARMS);
}

static void add_alarms(struct wr_ceiling *ceiling, const struct wr_ruleset *rules) {
    unsigned threads;
    uint64_t bytes = wr_actions_bytes(rules, &threads) + threads * THREAD_BYTES +
                     (uint64_t)(WR_STORE_JOURNAL_CAPACITY + WR_STORE_JOURNAL_BATCH + WR_ENGINE_ALARM_ROOM) * sizeof(struct wr_alarm_entry);
    if (rules)
        bytes += wr_annunciator_bytes(rules) + WR_COMMAND_KEYS * sizeof(struct wr_command_record);
    add(ceiling, "alarms", bytes, "%d on their way to actions, %d to the journal; %d for each target; what operators said of them",
        WR_ACTIONS_CAPACITY, WR_STORE_JOURNAL_CAPACITY, WR_ACTIONS_QUEUE);
}

static void add_store(struct wr_ceiling *ceiling) {
    uint64_t open = (uint64_t)OPEN_SEGMENT_LANES * WR_SEGMENT_RECORDS * sizeof(struct wr_aggregate);
    uint64_t correction = WR_SEGMENT_RECORDS * (sizeof(struct wr_aggregate) + 2 * WR_CEILING_SYMBOL_BYTES) + CODEC_BYTES;
    add(ceiling, "store", open + SQLITE_BYTES + CODEC_BYTES + correction + WR_SALVAGE_MEMORY_BYTES + wr_merge_bytes() + MERGE_TEXTS_BYTES,
        "segments being filled, their codec, one whose times are corrected, SQLite, the salvage of a broken store; windows being merged "
        "when it is full");
}

static void add_kept(struct wr_ceiling *ceiling, const struct wr_config *config) {
    if (wr_config_keep_ns(config) == 0)
        return;
    ceiling->disk_bytes += config->store->raw_budget_bytes;
    add(ceiling, "kept", wr_kept_pool_bytes() + wr_raw_log_memory(),
        "raw readings on their way to the disk, %d segments of %d, and their codec", WR_KEPT_POOL, WR_SEGMENT_READINGS);
}

/* paho keeps a copy of what is in flight. */
static void add_uplink(struct wr_ceiling *ceiling, const struct wr_config_uplink *uplink) {
    if (!uplink)
        return;
    uint64_t bytes = 2 * uplink->window_bytes + (uint64_t)BACKFILL_LANES * WR_SEGMENT_BODY_BYTES + TLS_BYTES +
                     (uint64_t)WR_UPLINK_DIRECT * sizeof(struct wr_uplink_direct) +
                     (uint64_t)WR_UPLINK_REQUESTS(WR_UPLINK_WINDOW_MAX) * sizeof(struct wr_uplink_request) +
                     (uint64_t)WR_UPLINK_REPLIES(WR_UPLINK_WINDOW_MAX) * sizeof(struct wr_uplink_reply);
    if (uplink->format != WR_PAYLOAD_SEGMENT) {
        /* A segment is decoded and written again: into a buffer that doubles, and what is held ready is larger by as much. */
        uint64_t encoded = WR_SEGMENT_RECORDS * wr_payload_record_bytes((enum wr_payload_format)uplink->format, WR_CEILING_KEY_BYTES);
        bytes += CODEC_BYTES + (BACKFILL_LANES + 2) * encoded;
    }
    add(ceiling, "uplink", bytes, "%u messages in flight, TLS", uplink->window);
    if (uplink->commands)
        add(ceiling, "remote", wr_remote_desk_bytes() + THREAD_BYTES + (uplink->commands->bundles ? BUNDLE_BYTES : 0),
            "operators' commands over MQTT, %d at once", WR_COMMANDS);
}

static void add_control(struct wr_ceiling *ceiling) {
    add(ceiling, "control", wr_control_server_bytes() + wr_alarm_list_bytes(),
        "an answer of 'weir status' and the like; %d alarms in a list", WR_ALARM_LIST_MAX);
}

static void add_http(struct wr_ceiling *ceiling, const struct wr_config_http *http) {
    if (http && http->command_token_file)
        add(ceiling, "desk", wr_desk_bytes() + THREAD_BYTES, "operators' commands over HTTP, %d at once", WR_DESK_WAITING);
    if (http)
        add(ceiling, "http", wr_http_server_bytes(http) + THREAD_BYTES, "%u connections, replies", http->max_connections);
}

static void find_losses(struct wr_ceiling *ceiling, const struct wr_config *config) {
    for (unsigned i = 0; i < config->n_windows; i++) {
        const struct wr_window_spec *window = &config->windows[i];
        if (window->forward == WR_FORWARD_CHANGES)
            ceiling->changes = true;
        else if (window->every_ns + window->lateness_ns > ceiling->open_ns)
            ceiling->open_ns = window->every_ns + window->lateness_ns;
    }
    ceiling->closed_ns = config->store->max_loss_ns;
}

void wr_ceiling_of(const struct wr_config *config, const struct wr_ruleset *rules, const struct wr_ruleset *shadow,
                   struct wr_ceiling *ret_ceiling) {
    struct wr_ceiling ceiling = {.disk_bytes = config->store->budget_bytes};
    uint64_t threads = THREADS + config->n_sources;
    add_sources(&ceiling, config);
    add_tables(&ceiling, config->limits);
    add_engine(&ceiling, config);
    add_accounts(&ceiling, config);
    add_rules(&ceiling, config, rules);
    add_shadow(&ceiling, config, rules, shadow);
    add_alarms(&ceiling, rules);
    add_store(&ceiling);
    add_kept(&ceiling, config);
    add_uplink(&ceiling, config->uplink);
    add(&ceiling, "workers", wr_agent_workers_bytes(config->limits) + config->limits->worker_threads * THREAD_BYTES,
        "%u threads at most for sources that poll", config->limits->worker_threads);
    add_control(&ceiling);
    add_http(&ceiling, config->http);
    add(&ceiling, "libraries", LIBRARIES_BYTES + threads * THREAD_BYTES, "program, libraries, %" PRIu64 " threads", threads);
    find_losses(&ceiling, config);
    *ret_ceiling = ceiling;
}

static enum wr_result render_text(const struct wr_ceiling *ceiling, struct wr_buf *into) {
    char size[32];
    char open[32];
    char closed[32];
    WR_TRY(wr_buf_text(into, "memory, at most\n"));
    for (uint32_t i = 0; i < ceiling->n; i++)
        WR_TRY(wr_buf_printf(into, "  %-12s %9s  %s\n", ceiling->items[i].name,
                             wr_quantity_format_size(size, sizeof size, ceiling->items[i].bytes), ceiling->items[i].detail));
    WR_TRY(wr_buf_printf(into, "  %-12s %9s\n", "in all", wr_quantity_format_size(size, sizeof size, ceiling->total_bytes)));
    WR_TRY(wr_buf_printf(into, "disk, at most  %9s\n", wr_quantity_format_size(size, sizeof size, ceiling->disk_bytes)));
    wr_quantity_format_duration(open, sizeof open, ceiling->open_ns);
    wr_quantity_format_duration(closed, sizeof closed, ceiling->closed_ns);
    WR_TRY(wr_buf_text(into, "a crash may take "));
    if (ceiling->open_ns > 0)
        WR_TRY(wr_buf_printf(into, "the readings of open windows (%s at most) and ", open));
    WR_TRY(wr_buf_printf(into, "closed windows of the last %s", closed));
    return wr_buf_text(into, ceiling->changes ? ", and how often an unchanged value came again since its last change\n" : "\n");
}

static enum wr_result render_json(const struct wr_ceiling *ceiling, struct wr_buf *into) {
    struct wr_json json;
    wr_json_begin(&json, into);
    wr_json_object(&json, NULL);
    wr_json_array(&json, "memory");
    for (uint32_t i = 0; i < ceiling->n; i++) {
        wr_json_object(&json, NULL);
        wr_json_string(&json, "name", ceiling->items[i].name);
        wr_json_uint(&json, "bytes", ceiling->items[i].bytes);
        wr_json_string(&json, "detail", ceiling->items[i].detail);
        wr_json_object_end(&json);
    }
    wr_json_array_end(&json);
    wr_json_uint(&json, "memory_bytes", ceiling->total_bytes);
    wr_json_uint(&json, "disk_bytes", ceiling->disk_bytes);
    wr_json_int(&json, "crash_open_ns", ceiling->open_ns);
    wr_json_int(&json, "crash_closed_ns", ceiling->closed_ns);
    wr_json_object_end(&json);
    WR_TRY(wr_json_end(&json));
    return wr_buf_text(into, "\n");
}

enum wr_result wr_ceiling_render(const struct wr_ceiling *ceiling, bool json, struct wr_buf *into) {
    return json ? render_json(ceiling, into) : render_text(ceiling, into);
}
