/* What `weir check` says about what is good: sources, windows, rules with what they cost, the ceiling; as words, or as one JSON object. */
#include "agent/commands/check_report.h"

#include <inttypes.h>
#include <stdio.h>

#include "agent/config/ceiling.h"
#include "agent/loops/engine_loop.h"
#include "agent/sources/source.h"
#include "core/json.h"
#include "core/quantity.h"
#include "transport/route.h"

#define CLOSE_NS UINT64_C(100) /* to close a window: measured 36 to 63 ns on the test machine, a small gateway takes up to twice as long */

/* -- words ----------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result print_source(const struct wr_config_source *source, struct wr_buf *into) {
    WR_TRY(wr_buf_printf(into, "  %-16s %s", source->name, wr_source_ops((enum wr_source_kind)source->kind)->name));
    WR_TRY(wr_source_describe(source, into));
    return wr_buf_text(into, "\n");
}

static enum wr_result print_window(const struct wr_window_spec *window, const struct wr_config_window *section, struct wr_buf *into) {
    char every[32], lateness[32];
    if (window->forward == WR_FORWARD_CHANGES)
        return wr_buf_printf(into, "  %-16s changes of %s\n", window->name, section->of);
    wr_quantity_format_duration(every, sizeof every, window->every_ns);
    wr_quantity_format_duration(lateness, sizeof lateness, window->lateness_ns);
    return wr_buf_printf(into, "  %-16s every %s of %s, %s late\n", window->name, every, section->of, lateness);
}

static enum wr_result print_rule(const struct wr_rule_info *rule, struct wr_buf *into) {
    WR_TRY(wr_buf_printf(into, "  %-24s %-8s %s", rule->name, wr_severity_name(rule->severity), rule->when));
    for (uint32_t i = 0; i < rule->n_by; i++)
        WR_TRY(wr_buf_printf(into, "%s%s", i ? "," : "  by ", rule->by[i]));
    WR_TRY(wr_buf_printf(into, "  (at most %u ns a sample%s, %u B an instance", rule->cost_ns, rule->quiet ? ", quiet values free" : "",
                         rule->bytes_per_instance));
    if (rule->nodes > 0)
        WR_TRY(wr_buf_printf(into, " with the %u node%s it reads", rule->nodes, rule->nodes == 1 ? "" : "s"));
    if (rule->edge > 0)
        WR_TRY(wr_buf_printf(into, ", window edges within %.2g %%", 100 * rule->edge));
    return wr_buf_text(into, ")\n");
}

static enum wr_result print_inputs(const struct wr_config *config, struct wr_buf *into) {
    WR_TRY(wr_buf_printf(into, "node     %s, site %s\nsources\n", config->node->id, config->node->site));
    for (unsigned i = 0; i < config->n_sources; i++)
        WR_TRY(print_source(&config->sources[i], into));
    WR_TRY(wr_buf_text(into, "windows\n"));
    for (unsigned i = 0; i < config->n_windows; i++)
        WR_TRY(print_window(&config->windows[i], &config->window_sections[i], into));
    return WR_OK;
}

static enum wr_result print_rules(const struct wr_ruleset *rules, size_t n_files, struct wr_buf *into) {
    uint32_t n = wr_ruleset_count(rules);
    WR_TRY(wr_buf_printf(into, "rules    %u in %zu file%s\n", n, n_files, n_files == 1 ? "" : "s"));
    for (uint32_t i = 0; i < n; i++) {
        const struct wr_rule_info rule = wr_ruleset_info(rules, i);
        WR_TRY(print_rule(&rule, into));
    }
    return WR_OK;
}

/* Windows that end at the same instant are closed in slices, between which readings are taken: how long the last of them waits, and a reading at most. */
struct closing {
    uint64_t windows;
    uint64_t wait_ns;
    uint64_t slice_ns;
};

static struct closing closing_of(const struct wr_config *config) {
    struct closing closing = {0};
    for (unsigned i = 0; i < config->n_windows; i++)
        if (config->windows[i].forward != WR_FORWARD_CHANGES)
            closing.windows += config->limits->max_series;
    const uint64_t slice = closing.windows < WR_ENGINE_TIMER_SLICE ? closing.windows : WR_ENGINE_TIMER_SLICE;
    closing.wait_ns = closing.windows * CLOSE_NS;
    closing.slice_ns = slice * CLOSE_NS;
    return closing;
}

static enum wr_result print_closing(const struct wr_config *config, struct wr_buf *into) {
    const struct closing closing = closing_of(config);
    if (closing.windows == 0)
        return WR_OK;
    return wr_buf_printf(into,
                         "closing  %" PRIu64
                         " windows may end at one instant: the last is closed after %.3g ms at most, a reading waits for %.3g ms\n",
                         closing.windows, (double)closing.wait_ns / 1e6, (double)closing.slice_ns / 1e6);
}

/* Several brokers in the order in which this node takes them. */
static enum wr_result print_uplink(const struct wr_config *config, struct wr_buf *into) {
    const struct wr_config_uplink *uplink = config->uplink;
    if (!uplink)
        return wr_buf_text(into, "uplink   none: the store keeps the last that fits\n");
    struct wr_url urls[WR_ROUTE_BROKERS];
    struct wr_route route;
    struct wr_error err;
    for (unsigned i = 0; i < uplink->n_brokers; i++)
        WR_TRY(wr_url_parse(uplink->urls[i], &urls[i], &err));
    wr_route_init(&route, config->node->id, urls, uplink->n_brokers);
    for (unsigned i = 0; i < uplink->n_brokers; i++)
        WR_TRY(wr_buf_printf(into, "%s%s", i == 0 ? "uplink   " : ", then ", uplink->urls[route.order[i]]));
    return wr_buf_text(into, "\n");
}

static enum wr_result print_outputs(const struct wr_loaded *loaded, struct wr_buf *into) {
    const struct wr_config *config = loaded->config;
    struct wr_ceiling ceiling;
    wr_ceiling_of(config, loaded->rules, loaded->shadow, &ceiling);
    if (loaded->shadow)
        WR_TRY(wr_buf_printf(into, "shadow   %u rules, which act on nothing\n", wr_ruleset_count(loaded->shadow)));
    WR_TRY(print_closing(config, into));
    WR_TRY(print_uplink(config, into));
    WR_TRY(wr_buf_printf(into, "http     %s\n\n", config->http ? config->http->listen : "none"));
    return wr_ceiling_render(&ceiling, false, into);
}

enum wr_result wr_check_report_text(const struct wr_check_report *report, struct wr_buf *into) {
    const struct wr_loaded *loaded = report->loaded;
    const struct wr_config *config = loaded->config;
    const char *what = config ? config->file : report->first_file;
    const size_t n_files = config ? config->n_rule_files : report->n_files;
    WR_TRY(wr_buf_text(into, what));
    if (!config && n_files > 1)
        WR_TRY(wr_buf_printf(into, " and %zu more", n_files - 1));
    WR_TRY(wr_buf_printf(into, ": good, %zu warning%s\n\n", loaded->warnings, loaded->warnings == 1 ? "" : "s"));
    if (config)
        WR_TRY(wr_buf_printf(into, "hash     %016" PRIx64 " of config and rules, as the node's state tells it\n",
                             wr_running_hash(config, loaded->rules)));
    if (config)
        WR_TRY(print_inputs(config, into));
    WR_TRY(print_rules(loaded->rules, n_files, into));
    return config ? print_outputs(loaded, into) : WR_OK;
}

/* -- JSON ------------------------------------------------------------------------------------------------------------------------------ */

static void rules_json(const struct wr_ruleset *rules, struct wr_json *json) {
    wr_json_array(json, "rules");
    for (uint32_t i = 0; i < wr_ruleset_count(rules); i++) {
        const struct wr_rule_info rule = wr_ruleset_info(rules, i);
        wr_json_object(json, NULL);
        wr_json_string(json, "rule", rule.name);
        wr_json_string(json, "file", rule.file);
        wr_json_uint(json, "line", rule.line);
        wr_json_string(json, "severity", wr_severity_name(rule.severity));
        wr_json_string(json, "when", rule.when);
        wr_json_uint(json, "cost_ns", rule.cost_ns);
        wr_json_uint(json, "bytes_per_instance", rule.bytes_per_instance);
        wr_json_uint(json, "nodes", rule.nodes);
        wr_json_double(json, "window_edge", rule.edge);
        wr_json_bool(json, "quiet", rule.quiet);
        wr_json_object_end(json);
    }
    wr_json_array_end(json);
}

static enum wr_result config_json(const struct wr_loaded *loaded, struct wr_json *json) {
    const struct wr_config *config = loaded->config;
    struct wr_ceiling ceiling;
    struct wr_buf table;
    wr_buf_init(&table, 0);
    wr_ceiling_of(config, loaded->rules, loaded->shadow, &ceiling);
    wr_json_uint(json, "shadow_rules", loaded->shadow ? wr_ruleset_count(loaded->shadow) : 0);
    wr_json_array(json, "sources");
    for (unsigned i = 0; i < config->n_sources; i++)
        wr_json_string(json, NULL, config->sources[i].name);
    wr_json_array_end(json);
    wr_json_array(json, "windows");
    for (unsigned i = 0; i < config->n_windows; i++)
        wr_json_string(json, NULL, config->windows[i].name);
    wr_json_array_end(json);
    const struct closing closing = closing_of(config);
    wr_json_object(json, "closing");
    wr_json_uint(json, "windows", closing.windows);
    wr_json_uint(json, "wait_ns", closing.wait_ns);
    wr_json_uint(json, "slice_ns", closing.slice_ns);
    wr_json_object_end(json);
    enum wr_result result = wr_ceiling_render(&ceiling, true, &table);
    wr_json_raw(json, "ceiling", wr_buf_str(&table), table.len);
    wr_buf_fini(&table);
    return result;
}

enum wr_result wr_check_report_json(const struct wr_check_report *report, const struct wr_buf *problems, struct wr_buf *into) {
    struct wr_json json;
    wr_json_begin(&json, into);
    wr_json_object(&json, NULL);
    wr_json_bool(&json, "good", true);
    if (report->loaded->config) {
        char running[17];
        snprintf(running, sizeof running, "%016" PRIx64, wr_running_hash(report->loaded->config, report->loaded->rules));
        wr_json_string(&json, "running", running);
    }
    wr_json_raw(&json, "diagnostics", wr_buf_str(problems), problems->len);
    rules_json(report->loaded->rules, &json);
    if (report->loaded->config)
        WR_TRY(config_json(report->loaded, &json));
    wr_json_object_end(&json);
    WR_TRY(wr_json_end(&json));
    return wr_buf_text(into, "\n");
}
