/* Checks of what a source's bytes hold: line protocol or JSON, and the mapping of JSON. */
#include <stdio.h>

#include "agent/codec/json_mapping.h"
#include "agent/config/config_private.h"

static void check_foreign(struct wr_config_load *load, unsigned index, const char *key, const char *format, const char *hint) {
    char path[WR_YAML_PATH_BYTES];
    if (wr_config_source_given(load, index, key))
        wr_config_error(load, WR_CONFIG_W_FOREIGN, wr_config_path(path, "sources", index, key, -1), hint,
                        "'%s' has no meaning for format %s", key, format);
}

void wr_config_check_mapping(struct wr_config_load *load, unsigned index) {
    const struct wr_config_json *json = load->config->sources[index].json;
    struct wr_json_mapping mapping;
    struct wr_error err = {0};
    const char *key;
    int item;
    const enum wr_result result = wr_json_mapping_init(&mapping, json, &key, &item, &err);
    if (result == WR_OK) {
        wr_json_mapping_fini(&mapping);
    } else if (result == WR_NO_MEMORY) {
        load->failed = WR_NO_MEMORY;
    } else {
        char path[WR_YAML_PATH_BYTES];
        char name[64];
        snprintf(name, sizeof name, "json.%s", key);
        wr_config_error(load, WR_CONFIG_W_MAPPING, wr_config_path(path, "sources", index, name, item), NULL, "%s", err.text);
    }
}

void wr_config_check_format(struct wr_config_load *load, unsigned index) {
    const struct wr_config_source *source = &load->config->sources[index];
    char path[WR_YAML_PATH_BYTES];
    switch ((enum wr_source_format)source->format) {
    case WR_SOURCE_FORMAT_LINE:
        check_foreign(load, index, "json", "line", "format: json");
        break;
    case WR_SOURCE_FORMAT_JSON:
        if (source->kind != WR_SOURCE_REPLAY) /* whose own check has told it */
            check_foreign(load, index, "precision", "json", "json: {time: ..., time_format: ms}");
        if (source->json)
            wr_config_check_mapping(load, index);
        break;
    case WR_SOURCE_FORMAT_CSV:
        wr_config_error(load, WR_CONFIG_W_CONFLICT, wr_config_path(path, "sources", index, "format", -1), NULL,
                        "csv is read by kind replay only: here line or json");
        break;
    case WR_SOURCE_FORMAT_VALUE:
        wr_config_error(load, WR_CONFIG_W_CONFLICT, wr_config_path(path, "sources", index, "format", -1), NULL,
                        "value is read by kind mqtt only: here line or json");
        break;
    }
}
