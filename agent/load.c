#include "agent/load.h"

#include "agent/certificates.h"

static enum wr_result load_rules(const struct wr_config *config, struct wr_diagnostics *diagnostics, struct wr_ruleset **ret_rules,
                                 struct wr_error *err) {
    struct wr_buf builtin;
    wr_buf_init(&builtin, 0);
    enum wr_result result = wr_certificates_rules(config, &builtin);
    const struct wr_ruleset_options options = {.exec_allow = (const char *const *)config->exec_allow,
                                               .n_exec_allow = config->n_exec_allow,
                                               .max_instances = config->limits->max_instances,
                                               .builtin = wr_buf_str(&builtin)};
    if (result == WR_OK)
        result = wr_ruleset_load((const char *const *)config->rule_files, config->n_rule_files, &options, diagnostics, ret_rules, err);
    else
        (void)wr_error_set(err, result, "no memory for the built-in rules");
    wr_buf_fini(&builtin);
    return result;
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
