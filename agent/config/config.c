#include "agent/config/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/config/config_part.h"
#include "agent/config/config_private.h"

WR_PRINTF(6, 0)
static void complain(struct wr_config_load *load, enum wr_diagnostic_level level, enum wr_config_code code, const char *path,
                     const char *hint, const char *format, va_list arguments) {
    char message[WR_ERROR_TEXT_BYTES];
    vsnprintf(message, sizeof message, format, arguments);
    char mapped[WR_YAML_PATH_BYTES];
    const struct wr_yaml *holder = wr_config_part_holder(load->config->part, &load->config->yaml, path, mapped);
    wr_yaml_complain(holder, load->diagnostics, level, code, mapped, 0, 0, hint, "%s", message);
}

bool wr_config_given(const struct wr_config_load *load, const char *path) {
    char mapped[WR_YAML_PATH_BYTES];
    return wr_yaml_present(&load->config->yaml, path) ||
           wr_yaml_present(wr_config_part_holder(load->config->part, &load->config->yaml, path, mapped), mapped);
}

void wr_config_error(struct wr_config_load *load, enum wr_config_code code, const char *path, const char *hint, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    complain(load, WR_DIAGNOSTIC_ERROR, code, path, hint, format, arguments);
    va_end(arguments);
}

void wr_config_warn(struct wr_config_load *load, enum wr_config_code code, const char *path, const char *hint, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    complain(load, WR_DIAGNOSTIC_WARNING, code, path, hint, format, arguments);
    va_end(arguments);
}

char *wr_config_path(char *text, const char *list, unsigned index, const char *key, int index2) {
    int at = snprintf(text, WR_YAML_PATH_BYTES, "%s[%u].%s", list, index, key);
    if (index2 >= 0)
        snprintf(text + at, WR_YAML_PATH_BYTES - (size_t)at, "[%d]", index2);
    return text;
}

bool wr_config_check_name(struct wr_config_load *load, const char *path, const char *name, size_t max) {
    size_t len = strlen(name);
    bool good = len >= 1 && len <= max && strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == len;
    if (!good)
        wr_config_error(load, WR_CONFIG_W_NAME, path, NULL, "a name here is 1 to %zu of the characters A-Z a-z 0-9 . _ -", max);
    return good;
}

/* The absolute directory of a file, lexically. NULL: no memory. */
static char *directory_of(const char *file) {
    const char *slash = strrchr(file, '/');
    char *directory = slash == file ? strdup("/") : slash ? strndup(file, (size_t)(slash - file)) : strdup(".");
    if (!directory || directory[0] == '/')
        return directory;
    char here[4096];
    if (!getcwd(here, sizeof here))
        return directory;
    if (strcmp(directory, ".") == 0) {
        free(directory);
        return strdup(here);
    }
    if (wr_config_resolve(&directory, here) == WR_OK)
        return directory;
    free(directory);
    return NULL;
}

static void check_all(struct wr_config_load *load) {
    wr_config_add_part(load);
    if (load->failed != WR_OK)
        return;
    wr_config_check_node(load);
    wr_config_check_sources(load);
    wr_config_check_windows(load);
    wr_config_check_rules(load);
    wr_config_check_store(load);
    wr_config_check_uplink(load);
    wr_config_add_bundle(load);
    wr_config_check_services(load);
}

/* Takes over yaml, whose record is the config to be. */
static enum wr_result finish(struct wr_yaml *yaml, const char *file, const struct wr_config_load *wanted,
                             struct wr_diagnostics *diagnostics, struct wr_config **ret_config, struct wr_error *err) {
    struct wr_config *config = yaml->record;
    config->yaml = *yaml;
    size_t errors_before = diagnostics->errors;
    struct wr_config_load load = *wanted;
    load.config = config;
    load.diagnostics = diagnostics;
    config->file = strdup(file);
    config->directory = directory_of(file);
    if (!config->file || !config->directory)
        load.failed = WR_NO_MEMORY;
    else
        check_all(&load);
    if (load.failed == WR_OK && diagnostics->errors == errors_before) {
        *ret_config = config;
        return WR_OK;
    }
    wr_config_free(config);
    if (load.failed != WR_OK)
        return wr_error_set(err, load.failed, "%s: %s", file, wr_result_name(load.failed));
    return wr_error_set(err, WR_INVALID, "%s: %zu error%s", file, diagnostics->errors - errors_before,
                        diagnostics->errors - errors_before == 1 ? "" : "s");
}

enum wr_result wr_config_load_with(const char *file, const char *bundle, struct wr_diagnostics *diagnostics, struct wr_config **ret_config,
                                   struct wr_error *err) {
    struct wr_yaml yaml;
    WR_TRY(wr_yaml_load_file(file, wr_config_fields, sizeof(struct wr_config), diagnostics, &yaml, err));
    const struct wr_config_load wanted = {.bundle = bundle};
    return finish(&yaml, file, &wanted, diagnostics, ret_config, err);
}

enum wr_result wr_config_load(const char *file, struct wr_diagnostics *diagnostics, struct wr_config **ret_config, struct wr_error *err) {
    return wr_config_load_with(file, NULL, diagnostics, ret_config, err);
}

enum wr_result wr_config_load_text(const char *file, const char *text, size_t len, struct wr_diagnostics *diagnostics,
                                   struct wr_config **ret_config, struct wr_error *err) {
    return wr_config_load_text_with(file, text, len, NULL, 0, diagnostics, ret_config, err);
}

enum wr_result wr_config_load_text_with(const char *file, const char *text, size_t len, const char *part, size_t part_len,
                                        struct wr_diagnostics *diagnostics, struct wr_config **ret_config, struct wr_error *err) {
    const struct wr_config_load wanted = {.part = part, .part_len = part_len};
    struct wr_yaml yaml;
    WR_TRY(wr_yaml_load_text(file, text, len, wr_config_fields, sizeof(struct wr_config), diagnostics, &yaml, err));
    return finish(&yaml, file, &wanted, diagnostics, ret_config, err);
}

static void free_source(struct wr_config_source *source) {
    for (unsigned i = 0; source->line.addresses && i < source->line.n_listen; i++)
        wr_address_fini(&source->line.addresses[i]);
    free(source->line.addresses);
    wr_config_strings_free(source->replay.files, source->replay.n_files);
}

static void free_uplink(struct wr_config_uplink *uplink) {
    for (unsigned i = 0; uplink->brokers && i < uplink->n_brokers; i++) {
        free(uplink->brokers[i].url);
        free(uplink->brokers[i].host);
    }
    free(uplink->brokers);
}

void wr_config_free(struct wr_config *config) {
    if (!config)
        return;
    /* First what was derived, then the tree that YAML loaded, which the config itself is the root of. */
    for (unsigned i = 0; i < config->n_sources; i++)
        free_source(&config->sources[i]);
    free(config->windows);
    wr_config_strings_free(config->rule_files, config->n_rule_files);
    wr_config_strings_free(config->shadow_files, config->n_shadow_files);
    if (config->uplink)
        free_uplink(config->uplink);
    if (config->http)
        wr_address_fini(&config->http->address);
    free(config->control->socket_of_service);
    free(config->file);
    free(config->directory);
    wr_config_part_free(config->part);
    struct wr_yaml yaml = config->yaml;
    wr_yaml_free(&yaml);
}

bool wr_config_exec_allowed(const struct wr_config *config, const char *program) {
    for (unsigned i = 0; i < config->n_exec_allow; i++)
        if (strcmp(config->exec_allow[i], program) == 0)
            return true;
    return false;
}
