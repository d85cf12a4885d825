#include "agent/config/load.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/config/config_part.h"
#include "agent/config/config_private.h"
#include "agent/process/certificates.h"
#include "agent/remote/bundle_files.h"
#include "core/fingerprint.h"

/* As rules/ wants to see them; NULL: none, or no memory. */
static struct wr_ruleset_secret *secrets_of(const struct wr_config *config) {
    struct wr_ruleset_secret *secrets = config->n_secrets > 0 ? calloc(config->n_secrets, sizeof *secrets) : NULL;
    for (unsigned i = 0; secrets && i < config->n_secrets; i++)
        secrets[i] = (struct wr_ruleset_secret){config->secrets[i].name, config->secrets[i].file};
    return secrets;
}

static enum wr_result load_rules(const struct wr_config *config, const char *const *files, size_t n, struct wr_diagnostics *diagnostics,
                                 struct wr_ruleset **ret_rules, struct wr_error *err) {
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
        result = wr_ruleset_load(files, n, &options, diagnostics, ret_rules, err);
    else
        (void)wr_error_set(err, result, "no memory for the rules");
    free(secrets);
    wr_buf_fini(&builtin);
    return result;
}

uint64_t wr_running_hash(const struct wr_config *config, const struct wr_ruleset *rules) {
    const uint64_t of_rules = wr_ruleset_fingerprint(rules);
    uint64_t of_config = wr_fingerprint_add(WR_FINGERPRINT_START, config->yaml.text, config->yaml.text_len);
    if (config->part)
        of_config = wr_fingerprint_add(of_config, config->part->yaml.text, config->part->yaml.text_len);
    const uint64_t hash = wr_fingerprint_add(of_config, &of_rules, sizeof of_rules);
    return hash != 0 ? hash : 1;
}

void wr_loaded_fini(struct wr_loaded *loaded) {
    wr_ruleset_free(loaded->rules);
    wr_ruleset_free(loaded->shadow);
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
        result = load_rules(loaded.config, (const char *const *)loaded.config->rule_files, loaded.config->n_rule_files, &diagnostics,
                            &loaded.rules, err);
    return conclude(result, &diagnostics, format, &loaded, ret_loaded, problems, err);
}

/* -- shadow rules ------------------------------------------------------------------------------------------------------------------------- */

/* Files of a config, and of a bundle. */
struct shadow_files {
    const char **files;
    size_t n;
    char **bundle;
    unsigned n_bundle;
};

static enum wr_result find_shadow(const struct wr_config *config, struct shadow_files *found, uint64_t *ret_version, struct wr_error *err) {
    struct wr_bundle_files bundles = {0};
    char *pattern[] = {NULL};
    char path[PATH_MAX];
    unsigned matched;
    if (config->uplink && config->uplink->commands && config->uplink->commands->bundles)
        WR_TRY(wr_bundle_files_open(&bundles, config->store->path, err));
    *ret_version = bundles.shadow;
    if (bundles.shadow == 0 && config->n_shadow_files == 0)
        return WR_NOT_FOUND;
    pattern[0] = (char *)(uintptr_t) "*.yaml";
    snprintf(path, sizeof path, "%s/" WR_BUNDLES_SHADOW, config->store->path);
    if (bundles.shadow != 0 && wr_config_glob(pattern, 1, path, &found->bundle, &found->n_bundle, &matched) != WR_OK)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for shadow rules");
    const bool own = config->n_shadow_files > 0;
    char *const *files = own ? config->shadow_files : config->rule_files;
    const unsigned n = own ? config->n_shadow_files : config->n_own_rule_files;
    const unsigned n_behind = bundles.shadow != 0 ? found->n_bundle : config->n_rule_files - config->n_own_rule_files;
    char *const *behind = bundles.shadow != 0 ? found->bundle : config->rule_files + config->n_own_rule_files;
    found->files = calloc((size_t)n + n_behind + 1, sizeof *found->files);
    if (!found->files)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for shadow rules");
    for (unsigned i = 0; i < n; i++)
        found->files[found->n++] = files[i];
    for (unsigned i = 0; i < n_behind; i++)
        found->files[found->n++] = behind[i];
    return WR_OK;
}

enum wr_result wr_load_shadow(const struct wr_config *config, enum wr_diagnostics_format format, struct wr_ruleset **ret_rules,
                              uint64_t *ret_version, struct wr_buf *problems, struct wr_error *err) {
    struct wr_diagnostics diagnostics;
    struct shadow_files found = {0};
    struct wr_loaded loaded = {0}, kept = {0};
    wr_diagnostics_init(&diagnostics);
    enum wr_result result = find_shadow(config, &found, ret_version, err);
    if (result == WR_OK)
        result = load_rules(config, found.files, found.n, &diagnostics, &loaded.rules, err);
    result = conclude(result, &diagnostics, format, &loaded, &kept, problems, err);
    wr_config_strings_free(found.bundle, found.n_bundle);
    free(found.files);
    if (result == WR_OK)
        *ret_rules = kept.rules;
    return result;
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
