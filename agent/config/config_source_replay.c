/* Checks of a source of kind replay: its files, its pace, how they are read. */
#include <stdlib.h>
#include <string.h>

#include "agent/codec/time_format.h"
#include "agent/config/config_private.h"

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
    bool duration = wr_config_source_given(load, index, "duration");
    bool speedup = wr_config_source_given(load, index, "speedup");
    if (replay->pace == WR_REPLAY_RESCALE && !duration && !speedup)
        wr_config_error(load, WR_CONFIG_W_NEEDED, wr_config_path(path, "sources", index, "pace", -1), "duration: 25s, or speedup: 60",
                        "pace rescale needs 'duration' or 'speedup'");
    if (duration && speedup)
        wr_config_error(load, WR_CONFIG_W_CONFLICT, wr_config_path(path, "sources", index, "speedup", -1), NULL,
                        "'duration' and 'speedup' exclude each other");
    static const char *const rescale_keys[] = {"duration", "speedup", "max_gap"};
    for (unsigned i = 0; replay->pace != WR_REPLAY_RESCALE && i < sizeof rescale_keys / sizeof rescale_keys[0]; i++)
        if (wr_config_source_given(load, index, rescale_keys[i]))
            wr_config_error(load, WR_CONFIG_W_CONFLICT, wr_config_path(path, "sources", index, rescale_keys[i], -1), "pace: rescale",
                            "'%s' goes with pace rescale only", rescale_keys[i]);
    if (replay->pace == WR_REPLAY_FAST && wr_config_source_given(load, index, "start") && replay->start == WR_REPLAY_NOW)
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

static void check(struct wr_config_load *load, unsigned index) {
    struct wr_config_source *source = &load->config->sources[index];
    const struct wr_config_replay *replay = &source->replay;
    char path[WR_YAML_PATH_BYTES];
    find_files(load, index);
    check_pace(load, index);
    check_csv(load, index, replay->csv);
    if (!wr_config_source_given(load, index, "format"))
        source->format = WR_SOURCE_FORMAT_CSV;
    static const char *const names[] = {[WR_SOURCE_FORMAT_LINE] = "line",
                                        [WR_SOURCE_FORMAT_CSV] = "csv",
                                        [WR_SOURCE_FORMAT_JSON] = "json",
                                        [WR_SOURCE_FORMAT_VALUE] = "value"};
    static const struct {
        const char *key;
        enum wr_source_format format;
    } owned[] = {{"precision", WR_SOURCE_FORMAT_LINE}, {"csv", WR_SOURCE_FORMAT_CSV}, {"json", WR_SOURCE_FORMAT_JSON}};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++)
        if ((int)owned[i].format != source->format && wr_config_source_given(load, index, owned[i].key))
            wr_config_error(load, WR_CONFIG_W_FOREIGN, wr_config_path(path, "sources", index, owned[i].key, -1), NULL,
                            "'%s' has no meaning for files of format %s", owned[i].key, names[source->format]);
    if (source->format == WR_SOURCE_FORMAT_JSON || source->format == WR_SOURCE_FORMAT_VALUE)
        wr_config_check_format(load, index);
}

static const char *const keys[] = {"files",    "format",  "csv",     "json", "precision", "pace",
                                   "duration", "speedup", "max_gap", "loop", "start",     NULL};

const struct wr_config_kind wr_config_kind_replay = {.name = "replay", .keys = keys, .left_out = !WEIR_SOURCE_REPLAY, .check = check};
