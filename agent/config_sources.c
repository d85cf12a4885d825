/* Checks of node and sources. */
#include <stdlib.h>
#include <string.h>

#include "agent/codec/time_format.h"
#include "agent/config_private.h"

#define NODE_NAME_MAX 64
#define LEDGER_NAME_MAX (WR_LEDGER_NAME_BYTES - 1)

void wr_config_check_node(struct wr_config_load *load) {
    (void)wr_config_check_name(load, "node.id", load->config->node->id, NODE_NAME_MAX);
    (void)wr_config_check_name(load, "node.site", load->config->node->site, NODE_NAME_MAX);
}

static const char *const line_keys[] = {"listen", "max_connections", NULL};
static const char *const replay_keys[] = {"files", "format", "csv", "pace", "duration", "speedup", "max_gap", "loop", "start", NULL};
static const char *const *const keys_of_kind[] = {[WR_SOURCE_LINE] = line_keys, [WR_SOURCE_REPLAY] = replay_keys};
#define KINDS (sizeof keys_of_kind / sizeof keys_of_kind[0])

static bool given(const struct wr_config_load *load, unsigned index, const char *key) {
    char path[WR_YAML_PATH_BYTES];
    return wr_yaml_present(&load->config->yaml, wr_config_path(path, "sources", index, key, -1));
}

/* Keys of another kind would do nothing: that is an error, not silence. */
static void check_foreign_keys(struct wr_config_load *load, unsigned index, int kind) {
    static const char *const kind_names[] = {[WR_SOURCE_LINE] = "line", [WR_SOURCE_REPLAY] = "replay"};
    for (unsigned other = 0; other < KINDS; other++)
        for (const char *const *key = keys_of_kind[other]; other != (unsigned)kind && *key; key++)
            if (given(load, index, *key)) {
                char path[WR_YAML_PATH_BYTES];
                wr_config_error(load, WR_CONFIG_W_FOREIGN, wr_config_path(path, "sources", index, *key, -1), NULL,
                                "'%s' is a key of kind %s, this source is of kind %s", *key, kind_names[other], kind_names[kind]);
            }
}

static void check_address(struct wr_config_load *load, const char *path, const struct wr_address *address) {
    if (address->kind == WR_ADDRESS_TCP && !wr_address_is_loopback(address->host))
        wr_config_warn(load, WR_CONFIG_W_EXPOSED, path, NULL,
                       "line protocol has no passwords: whoever reaches this port can write readings");
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

static void check_line(struct wr_config_load *load, unsigned index) {
    struct wr_config_source *source = &load->config->sources[index];
    struct wr_config_line *line = &source->line;
    char path[WR_YAML_PATH_BYTES];
    if (line->n_listen == 0) {
        wr_config_error(load, WR_CONFIG_W_NEEDED, wr_config_path(path, "sources", index, "listen", -1), "listen: \"tcp://127.0.0.1:8094\"",
                        "source '%s' needs 'listen'", source->name);
        return;
    }
    if (!given(load, index, "max_connections"))
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

static void find_files(struct wr_config_load *load, unsigned index) {
    struct wr_config_replay *replay = &load->config->sources[index].replay;
    char path[WR_YAML_PATH_BYTES];
    if (replay->n_patterns == 0) {
        wr_config_error(load, WR_CONFIG_W_NEEDED, wr_config_path(path, "sources", index, "files", -1), "files: recording.csv",
                        "source '%s' needs 'files'", load->config->sources[index].name);
        return;
    }
    unsigned *matched = calloc(replay->n_patterns, sizeof *matched);
    if (!matched ||
        wr_config_glob(replay->patterns, replay->n_patterns, load->config->directory, &replay->files, &replay->n_files, matched) != WR_OK) {
        load->failed = WR_NO_MEMORY;
    } else {
        for (unsigned i = 0; i < replay->n_patterns; i++)
            if (matched[i] == 0)
                wr_config_error(load, WR_CONFIG_W_FILE, wr_config_path(path, "sources", index, "files", (int)i), NULL, "no such file: '%s'",
                                replay->patterns[i]);
        wr_config_check_readable(load, wr_config_path(path, "sources", index, "files", -1), replay->files, replay->n_files);
    }
    free(matched);
}

static void check_pace(struct wr_config_load *load, unsigned index) {
    struct wr_config_replay *replay = &load->config->sources[index].replay;
    char path[WR_YAML_PATH_BYTES];
    bool duration = given(load, index, "duration");
    bool speedup = given(load, index, "speedup");
    if (replay->pace == WR_REPLAY_RESCALE && !duration && !speedup)
        wr_config_error(load, WR_CONFIG_W_NEEDED, wr_config_path(path, "sources", index, "pace", -1), "duration: 25s, or speedup: 60",
                        "pace rescale needs 'duration' or 'speedup'");
    if (duration && speedup)
        wr_config_error(load, WR_CONFIG_W_CONFLICT, wr_config_path(path, "sources", index, "speedup", -1), NULL,
                        "'duration' and 'speedup' exclude each other");
    static const char *const rescale_keys[] = {"duration", "speedup", "max_gap"};
    for (unsigned i = 0; replay->pace != WR_REPLAY_RESCALE && i < sizeof rescale_keys / sizeof rescale_keys[0]; i++)
        if (given(load, index, rescale_keys[i]))
            wr_config_error(load, WR_CONFIG_W_CONFLICT, wr_config_path(path, "sources", index, rescale_keys[i], -1), "pace: rescale",
                            "'%s' goes with pace rescale only", rescale_keys[i]);
    if (replay->pace == WR_REPLAY_FAST && given(load, index, "start") && replay->start == WR_REPLAY_NOW)
        wr_config_error(load, WR_CONFIG_W_CONFLICT, wr_config_path(path, "sources", index, "start", -1), NULL,
                        "with pace fast the time stamps stay as recorded: moved to now they would lie in the future");
    if (replay->pace == WR_REPLAY_FAST)
        replay->start = WR_REPLAY_AS_RECORDED;
}

static void check_time(struct wr_config_load *load, unsigned index, const char *key, const char *time_format, const char *tz) {
    char path[WR_YAML_PATH_BYTES];
    struct wr_time_format format;
    struct wr_error err = {0};
    enum wr_result result = wr_time_format_init(&format, time_format, tz, &err);
    if (result == WR_OK)
        wr_time_format_fini(&format);
    else if (result == WR_NO_MEMORY)
        load->failed = WR_NO_MEMORY;
    else
        wr_config_error(load, WR_CONFIG_W_TIME, wr_config_path(path, "sources", index, key, -1), NULL, "%s", err.text);
}

/* What can be known of the CSV keys without a file: else each row would be refused, one by one. */
static void check_csv(struct wr_config_load *load, unsigned index, const struct wr_config_csv *csv) {
    char path[WR_YAML_PATH_BYTES];
    check_time(load, index, "csv.time_format", csv->time_format, NULL);
    check_time(load, index, "csv.tz", NULL, csv->tz);
    if (csv->measurement && csv->measurement[0] == '\0')
        wr_config_error(load, WR_CONFIG_W_NAME, wr_config_path(path, "sources", index, "csv.measurement", -1), NULL,
                        "the measurement has no name");
    for (unsigned i = 0; i < csv->n_tags; i++)
        if (csv->tags[i][0] == '\0' || csv->tags[i][0] == '=')
            wr_config_error(load, WR_CONFIG_W_NAME, wr_config_path(path, "sources", index, "csv.tags", (int)i), NULL,
                            "a tag is the name of a column, or name=value");
}

static void check_replay(struct wr_config_load *load, unsigned index) {
    const struct wr_config_replay *replay = &load->config->sources[index].replay;
    char path[WR_YAML_PATH_BYTES];
    find_files(load, index);
    check_pace(load, index);
    check_csv(load, index, replay->csv);
    const char *useless = replay->format == WR_REPLAY_CSV ? "precision" : "csv";
    if (given(load, index, useless))
        wr_config_error(load, WR_CONFIG_W_FOREIGN, wr_config_path(path, "sources", index, useless, -1), NULL,
                        "'%s' has no meaning for files of format %s", useless, replay->format == WR_REPLAY_CSV ? "csv" : "line");
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
        check_foreign_keys(load, i, config->sources[i].kind);
        if (config->sources[i].kind == WR_SOURCE_LINE)
            check_line(load, i);
        else
            check_replay(load, i);
    }
}
