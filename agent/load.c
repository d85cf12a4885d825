#include "agent/load.h"

static enum wr_result load_rules(const struct wr_config *config, struct wr_diagnostics *diagnostics, struct wr_ruleset **ret_rules,
                                 struct wr_error *err) {
    const struct wr_ruleset_options options = {.exec_allow = (const char *const *)config->exec_allow,
                                               .n_exec_allow = config->n_exec_allow,
                                               .max_instances = config->limits->max_instances};
    return wr_ruleset_load((const char *const *)config->rule_files, config->n_rule_files, &options, diagnostics, ret_rules, err);
}

enum wr_result wr_load(const char *file, bool json, struct wr_loaded *ret_loaded, struct wr_buf *problems, struct wr_error *err) {
    struct wr_diagnostics diagnostics;
    struct wr_loaded loaded = {0};
    wr_diagnostics_init(&diagnostics);
    enum wr_result result = wr_config_load(file, &diagnostics, &loaded.config, err);
    if (result == WR_OK) {
        result = load_rules(loaded.config, &diagnostics, &loaded.rules, err);
        if (result != WR_OK)
            wr_config_free(loaded.config);
    }
    loaded.warnings = diagnostics.warnings;
    enum wr_result rendered = WR_OK;
    if (json || diagnostics.n > 0)
        rendered = wr_diagnostics_render(&diagnostics, json, problems);
    wr_diagnostics_fini(&diagnostics);
    if (result == WR_OK && rendered != WR_OK) {
        wr_ruleset_free(loaded.rules);
        wr_config_free(loaded.config);
        return wr_error_set(err, rendered, "no memory");
    }
    if (result == WR_OK)
        *ret_loaded = loaded;
    return result;
}
