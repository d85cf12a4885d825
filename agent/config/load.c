#include "agent/config/load.h"

#include <stdlib.h>

#include "agent/process/certificates.h"
#include "core/fingerprint.h"

/* As rules/ wants to see them; NULL: none, or no memory. */
static struct wr_ruleset_secret *secrets_of(const struct wr_config *config) {
    struct wr_ruleset_secret *secrets = config->n_secrets > 0 ? calloc(config->n_secrets, sizeof *secrets) : NULL;
    for (unsigned i = 0; secrets && i < config->n_secrets; i++)
        secrets[i] = (struct wr_ruleset_secret){config->secrets[i].name, config->secrets[i].file};
    return secrets;
}

static enum wr_result load_rules(const struct wr_config *config, struct wr_diagnostics *diagnostics, struct wr_ruleset **ret_rules,
                                 struct wr_error *err) {
    struct wr_buf builtin;
    wr_buf_init(&builtin, 0);
    enum wr_result result = wr_certificates_rules(config, &builtin);
    struct wr_ruleset_secret *secrets = secrets_of(config);
    const struct wr_ruleset_options options = {.exec_allow = (const char *const *)config->exec_allow,
                                               .n_exec_allow = config->n_exec_allow,
                                               .file_allow = (const char *const *)config->file_allow,
                                               .n_file_allow = config->n_file_allow,
                                               .http_allow = (const char *const *)config->http_allow,
                                               .n_http_allow = config->n_http_allow,
                                               .secrets = secrets,
                                               .n_secrets = config->n_secrets,
                                               .no_uplink = config->uplink == NULL,
                                               .max_instances = config->limits->max_instances,
                                               .builtin = wr_buf_str(&builtin)};
    if (!secrets && config->n_secrets > 0)
        result = WR_NO_MEMORY;
    if (result == WR_OK)
        result = wr_ruleset_load((const char *const *)config->rule_files, config->n_rule_files, &options, diagnostics, ret_rules, err);
    else
        (void)wr_error_set(err, result, "no memory for the rules");
    free(secrets);
    wr_buf_fini(&builtin);
    return result;
}

uint64_t wr_running_hash(const struct wr_config *config, const struct wr_ruleset *rules) {
    const uint64_t of_rules = wr_ruleset_fingerprint(rules);
    const uint64_t of_config = wr_fingerprint_add(WR_FINGERPRINT_START, config->yaml.text, config->yaml.text_len);
    const uint64_t hash = wr_fingerprint_add(of_config, &of_rules, sizeof of_rules);
    return hash != 0 ? hash : 1;
}

void wr_loaded_fini(struct wr_loaded *loaded) {
    wr_ruleset_free(loaded->rules);
    wr_config_free(loaded->config);
    *loaded = (struct wr_loaded){0};
}

/* Renders what was found on the way to `result`, and hands over what was loaded. */
static enum wr_result conclude(enum wr_result result, struct wr_diagnostics *diagnostics, enum wr_diagnostics_format format,
                               struct wr_loaded *loaded, struct wr_loaded *ret_loaded, struct wr_buf *problems, struct wr_error *err) {
    loaded->warnings = diagnostics->warnings;
    enum wr_result rendered = WR_OK;
    if (format != WR_DIAGNOSTICS_TEXT || diagnostics->n > 0)
        rendered = wr_diagnostics_render(diagnostics, format, problems);
    wr_diagnostics_fini(diagnostics);
    if (result == WR_OK && rendered != WR_OK)
        result = wr_error_set(err, rendered, "no memory");
    if (result == WR_OK)
        *ret_loaded = *loaded;
    else
        wr_loaded_fini(loaded);
    return result;
}

enum wr_result wr_load(const char *file, enum wr_diagnostics_format format, struct wr_loaded *ret_loaded, struct wr_buf *problems,
                       struct wr_error *err) {
    return wr_load_with(file, NULL, format, ret_loaded, problems, err);
}

enum wr_result wr_load_with(const char *file, const char *bundle, enum wr_diagnostics_format format, struct wr_loaded *ret_loaded,
                            struct wr_buf *problems, struct wr_error *err) {
    struct wr_diagnostics diagnostics;
    struct wr_loaded loaded = {0};
    wr_diagnostics_init(&diagnostics);
    enum wr_result result = wr_config_load_with(file, bundle, &diagnostics, &loaded.config, err);
    if (result == WR_OK)
        result = load_rules(loaded.config, &diagnostics, &loaded.rules, err);
    return conclude(result, &diagnostics, format, &loaded, ret_loaded, problems, err);
}

enum wr_result wr_load_rules(const char *const *files, size_t n, enum wr_diagnostics_format format, struct wr_loaded *ret_loaded,
                             struct wr_buf *problems, struct wr_error *err) {
    static const struct wr_ruleset_options options = {.any_action = true};
    struct wr_diagnostics diagnostics;
    struct wr_loaded loaded = {0};
    wr_diagnostics_init(&diagnostics);
    enum wr_result result = wr_ruleset_load(files, n, &options, &diagnostics, &loaded.rules, err);
    return conclude(result, &diagnostics, format, &loaded, ret_loaded, problems, err);
}
