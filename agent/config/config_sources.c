/* Checks of node and sources: what all kinds share. Each kind has a file of its own, config_source_KIND.c. */
#include <stdio.h>
#include <string.h>

#include "agent/config/config_private.h"

#define NODE_NAME_MAX 64
#define LEDGER_NAME_MAX (WR_LEDGER_NAME_BYTES - 1)

void wr_config_check_node(struct wr_config_load *load) {
    (void)wr_config_check_name(load, "node.id", load->config->node->id, NODE_NAME_MAX);
    (void)wr_config_check_name(load, "node.site", load->config->node->site, NODE_NAME_MAX);
}

static const struct wr_config_kind *const kinds[WR_SOURCE_KINDS] = {
    [WR_SOURCE_LINE] = &wr_config_kind_line, [WR_SOURCE_REPLAY] = &wr_config_kind_replay, [WR_SOURCE_MQTT] = &wr_config_kind_mqtt,
    [WR_SOURCE_EXEC] = &wr_config_kind_exec, [WR_SOURCE_EXECD] = &wr_config_kind_execd,   [WR_SOURCE_SYSTEM] = &wr_config_kind_system,
    [WR_SOURCE_HTTP] = &wr_config_kind_http};

const char *const wr_config_kind_names[WR_SOURCE_KINDS + 1] = {
    [WR_SOURCE_LINE] = "line",   [WR_SOURCE_REPLAY] = "replay", [WR_SOURCE_MQTT] = "mqtt", [WR_SOURCE_EXEC] = "exec",
    [WR_SOURCE_EXECD] = "execd", [WR_SOURCE_SYSTEM] = "system", [WR_SOURCE_HTTP] = "http"};

bool wr_config_source_given(const struct wr_config_load *load, unsigned index, const char *key) {
    char path[WR_YAML_PATH_BYTES];
    return wr_config_given(load, wr_config_path(path, "sources", index, key, -1));
}

static bool has_key(const struct wr_config_kind *kind, const char *name) {
    for (const char *const *key = kind->keys; *key; key++)
        if (strcmp(*key, name) == 0)
            return true;
    return false;
}

/* "line and replay": the kinds that have this key. */
static void name_owners(const char *key, char *text, size_t size) {
    const struct wr_config_kind *owners[WR_SOURCE_KINDS];
    unsigned n = 0;
    for (unsigned i = 0; i < WR_SOURCE_KINDS; i++)
        if (has_key(kinds[i], key))
            owners[n++] = kinds[i];
    size_t len = 0;
    for (unsigned i = 0; i < n && len < size; i++)
        len += (size_t)snprintf(text + len, size - len, "%s%s", i == 0 ? "" : i + 1 == n ? " and " : ", ", owners[i]->name);
}

/* Keys of another kind would do nothing: that is an error, not silence. */
static void check_foreign_keys(struct wr_config_load *load, unsigned index, const struct wr_config_kind *kind) {
    for (const struct wr_yaml_field *field = wr_config_source_fields; field->key; field++) {
        if (strcmp(field->key, "name") == 0 || strcmp(field->key, "kind") == 0 || has_key(kind, field->key) ||
            !wr_config_source_given(load, index, field->key))
            continue;
        char path[WR_YAML_PATH_BYTES];
        char owners[128] = "";
        name_owners(field->key, owners, sizeof owners);
        wr_config_error(load, WR_CONFIG_W_FOREIGN, wr_config_path(path, "sources", index, field->key, -1), NULL,
                        "'%s' is a key of kind %s, this source is of kind %s", field->key, owners, kind->name);
    }
}

static void check_source_name(struct wr_config_load *load, unsigned index) {
    const struct wr_config_source *sources = load->config->sources;
    char path[WR_YAML_PATH_BYTES];
    wr_config_path(path, "sources", index, "name", -1);
    if (!wr_config_check_name(load, path, sources[index].name, LEDGER_NAME_MAX))
        return;
    for (unsigned i = 0; i < index; i++)
        if (strcmp(sources[i].name, sources[index].name) == 0) {
            wr_config_error(load, WR_CONFIG_W_DUPLICATE, path, NULL, "two sources are called '%s'", sources[index].name);
            return;
        }
}

static void check_kind(struct wr_config_load *load, unsigned index, const struct wr_config_kind *kind) {
    char path[WR_YAML_PATH_BYTES];
    if (kind->left_out)
        wr_config_error(load, WR_CONFIG_W_LEFT_OUT, wr_config_path(path, "sources", index, "kind", -1), NULL,
                        "this build of weir has no sources of kind %s", kind->name);
    else
        kind->check(load, index);
}

void wr_config_check_sources(struct wr_config_load *load) {
    const struct wr_config *config = load->config;
    if (config->n_sources == 0)
        wr_config_error(load, WR_CONFIG_W_NEEDED, "sources", NULL, "no source: there is nothing to do");
    if (config->n_sources > WR_CONFIG_SOURCES_MAX) {
        wr_config_error(load, WR_CONFIG_W_LIMIT, "sources", NULL, "%u sources: at most %d", config->n_sources, WR_CONFIG_SOURCES_MAX);
        return;
    }
    for (unsigned i = 0; i < config->n_sources && load->failed == WR_OK; i++) {
        check_source_name(load, i);
        check_foreign_keys(load, i, kinds[config->sources[i].kind]);
        check_kind(load, i, kinds[config->sources[i].kind]);
    }
}
