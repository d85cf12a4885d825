/* Checks of a source of kind line: where it listens. */
#include <stdlib.h>
#include <string.h>

#include "agent/config_private.h"

static void check_address(struct wr_config_load *load, const char *path, const struct wr_address *address) {
    if (address->kind == WR_ADDRESS_TCP && !wr_address_is_loopback(address->host))
        wr_config_warn(load, WR_CONFIG_W_EXPOSED, path, NULL, "there are no passwords here: whoever reaches this port can write readings");
}

static bool same_address(const struct wr_address *a, const struct wr_address *b) {
    if (a->kind != b->kind || !a->text || !b->text)
        return false;
    if (a->kind == WR_ADDRESS_TCP)
        return a->port == b->port && strcmp(a->host, b->host) == 0;
    return a->kind == WR_ADDRESS_STDIN || strcmp(a->path, b->path) == 0;
}

/* Complains if an address of an earlier source, or an earlier one of this source, is the same. */
static void check_taken(struct wr_config_load *load, unsigned index, unsigned at) {
    const struct wr_config_source *sources = load->config->sources;
    const struct wr_address *wanted = &sources[index].line.addresses[at];
    for (unsigned i = 0; i <= index; i++) {
        if (!sources[i].line.addresses)
            continue;
        for (unsigned j = 0; j < (i == index ? at : sources[i].line.n_listen); j++)
            if (same_address(&sources[i].line.addresses[j], wanted)) {
                char path[WR_YAML_PATH_BYTES];
                wr_config_error(load, WR_CONFIG_W_DUPLICATE, wr_config_path(path, "sources", index, "listen", (int)at), NULL,
                                "source '%s' listens there already", sources[i].name);
                return;
            }
    }
}

const char *wr_config_source_at(const struct wr_config *config, const struct wr_address *address) {
    for (unsigned i = 0; i < config->n_sources; i++)
        for (unsigned j = 0; config->sources[i].line.addresses && j < config->sources[i].line.n_listen; j++)
            if (same_address(&config->sources[i].line.addresses[j], address))
                return config->sources[i].name;
    return NULL;
}

static void check(struct wr_config_load *load, unsigned index) {
    struct wr_config_source *source = &load->config->sources[index];
    struct wr_config_line *line = &source->line;
    char path[WR_YAML_PATH_BYTES];
    wr_config_check_format(load, index);
    if (line->n_listen == 0) {
        wr_config_error(load, WR_CONFIG_W_NEEDED, wr_config_path(path, "sources", index, "listen", -1), "listen: \"tcp://127.0.0.1:8094\"",
                        "source '%s' needs 'listen'", source->name);
        return;
    }
    if (!wr_config_source_given(load, index, "max_connections"))
        line->max_connections = load->config->limits->max_connections;
    line->addresses = calloc(line->n_listen, sizeof *line->addresses);
    if (!line->addresses) {
        load->failed = WR_NO_MEMORY;
        return;
    }
    for (unsigned i = 0; i < line->n_listen; i++) {
        struct wr_error err = {0};
        enum wr_result parsed = wr_address_parse(line->listen[i], load->config->directory, &line->addresses[i], &err);
        wr_config_path(path, "sources", index, "listen", (int)i);
        if (parsed == WR_NO_MEMORY)
            load->failed = WR_NO_MEMORY;
        else if (parsed != WR_OK)
            wr_config_error(load, WR_CONFIG_W_ADDRESS, path, NULL, "%s", err.text);
        else {
            check_address(load, path, &line->addresses[i]);
            check_taken(load, index, i);
        }
    }
}

static const char *const keys[] = {"listen", "format", "json", "precision", "max_connections", NULL};

const struct wr_config_kind wr_config_kind_line = {.name = "line", .keys = keys, .check = check};
