/* `weir check`: says what is wrong, and what would run. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/ceiling.h"
#include "agent/commands/ask.h"
#include "agent/commands/commands.h"
#include "agent/load.h"
#include "agent/sources/source.h"
#include "core/json.h"
#include "core/quantity.h"

struct check_options {
    bool json;
    bool quiet;
};

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
    return wr_buf_printf(into, "  (at most %u ns a sample%s, %u B an instance)\n", rule->cost_ns, rule->quiet ? ", quiet values free" : "",
                         rule->bytes_per_instance);
}

static enum wr_result print_text(const struct wr_loaded *loaded, const struct wr_ceiling *ceiling, struct wr_buf *into) {
    const struct wr_config *config = loaded->config;
    WR_TRY(wr_buf_printf(into, "%s: good, %zu warning%s\n\n", config->file, loaded->warnings, loaded->warnings == 1 ? "" : "s"));
    WR_TRY(wr_buf_printf(into, "node     %s, site %s\nsources\n", config->node->id, config->node->site));
    for (unsigned i = 0; i < config->n_sources; i++)
        WR_TRY(print_source(&config->sources[i], into));
    WR_TRY(wr_buf_text(into, "windows\n"));
    for (unsigned i = 0; i < config->n_windows; i++)
        WR_TRY(print_window(&config->windows[i], &config->window_sections[i], into));
    uint32_t n_rules = wr_ruleset_count(loaded->rules);
    WR_TRY(wr_buf_printf(into, "rules    %u in %u file%s\n", n_rules, config->n_rule_files, config->n_rule_files == 1 ? "" : "s"));
    for (uint32_t i = 0; i < n_rules; i++) {
        const struct wr_rule_info rule = wr_ruleset_info(loaded->rules, i);
        WR_TRY(print_rule(&rule, into));
    }
    WR_TRY(wr_buf_printf(into, "uplink   %s\n", config->uplink ? config->uplink->urls[0] : "none: the store keeps the last that fits"));
    WR_TRY(wr_buf_printf(into, "http     %s\n\n", config->http ? config->http->listen : "none"));
    return wr_ceiling_render(ceiling, false, into);
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
        wr_json_object_end(json);
    }
    wr_json_array_end(json);
}

static enum wr_result print_json(const struct wr_loaded *loaded, const struct wr_ceiling *ceiling, const struct wr_buf *problems,
                                 struct wr_buf *into) {
    const struct wr_config *config = loaded->config;
    struct wr_buf table;
    struct wr_json json;
    wr_buf_init(&table, 0);
    enum wr_result result = wr_ceiling_render(ceiling, true, &table);
    wr_json_begin(&json, into);
    wr_json_object(&json, NULL);
    wr_json_bool(&json, "good", true);
    wr_json_raw(&json, "diagnostics", wr_buf_str(problems), problems->len);
    wr_json_array(&json, "sources");
    for (unsigned i = 0; i < config->n_sources; i++)
        wr_json_string(&json, NULL, config->sources[i].name);
    wr_json_array_end(&json);
    wr_json_array(&json, "windows");
    for (unsigned i = 0; i < config->n_windows; i++)
        wr_json_string(&json, NULL, config->windows[i].name);
    wr_json_array_end(&json);
    rules_json(loaded->rules, &json);
    wr_json_raw(&json, "ceiling", wr_buf_str(&table), table.len);
    wr_json_object_end(&json);
    if (result == WR_OK)
        result = wr_json_end(&json);
    wr_buf_fini(&table);
    return result == WR_OK ? wr_buf_text(into, "\n") : result;
}

/* -- the command ----------------------------------------------------------------------------------------------------------------------- */

static int report(const struct wr_loaded *loaded, const struct check_options *options, const struct wr_buf *problems) {
    struct wr_ceiling ceiling;
    struct wr_buf text;
    wr_ceiling_of(loaded->config, loaded->rules, &ceiling);
    wr_buf_init(&text, 0);
    enum wr_result result = WR_OK;
    if (options->json)
        result = print_json(loaded, &ceiling, problems, &text);
    else if (!options->quiet)
        result = print_text(loaded, &ceiling, &text);
    if (result == WR_OK)
        fputs(wr_buf_str(&text), stdout);
    wr_buf_fini(&text);
    return result == WR_OK ? WR_EXIT_OK : WR_EXIT_CANNOT;
}

static int check(const char *file, const struct check_options *options) {
    struct wr_loaded loaded;
    struct wr_buf problems;
    struct wr_error err = {0};
    wr_buf_init(&problems, 0);
    enum wr_result result = wr_load(file, options->json, &loaded, &problems, &err);
    int code = WR_EXIT_OK;
    if (result == WR_OK) {
        if (!options->json)
            fputs(wr_buf_str(&problems), stderr);
        code = report(&loaded, options, &problems);
        wr_ruleset_free(loaded.rules);
        wr_config_free(loaded.config);
    } else if (result == WR_INVALID) {
        if (options->json)
            printf("{\"good\":false,\"diagnostics\":%s}\n", wr_buf_str(&problems));
        else
            fputs(wr_buf_str(&problems), stderr);
        code = WR_EXIT_FOUND;
    } else {
        fprintf(stderr, "weir check: %s\n", err.text);
        code = WR_EXIT_CANNOT;
    }
    wr_buf_fini(&problems);
    return code;
}

int wr_command_check(int argc, char **argv) {
    const char *file = wr_ask_take_config(&argc, argv);
    struct check_options options = {0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            options.json = true;
        else if (strcmp(argv[i], "--quiet") == 0)
            options.quiet = true;
        else
            return wr_command_usage("check", "unknown word '%s', or its value is missing", argv[i]);
    }
    return check(file, &options);
}
