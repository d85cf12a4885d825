/* What `weir decode` is told by its words, and `weir replay` about its files: the reading of them, apart from the doing, so that tests can ask for it.
 *
 * Threads: one. Ownership: the strings point into the words, or into copies that wr_decode_options_fini frees.
 */
#ifndef WEIR_AGENT_COMMANDS_DECODE_H
#define WEIR_AGENT_COMMANDS_DECODE_H

#include "agent/config/config.h"
#include "core/result.h"

#define WR_DECODE_LIST 32

enum wr_decode_format { WR_DECODE_INFLUX, WR_DECODE_JSON, WR_DECODE_CSV, WR_DECODE_WEIR };

struct wr_decode_options {
    enum wr_decode_format format;
    const char *format_name;
    const char *file; /* NULL: standard input */
    bool has_default_time;
    int64_t default_time_ns;
    enum wr_precision precision;
    struct wr_config_csv csv;
    struct wr_config_json json;
    const char *mapping; /* "--json"; of `weir replay`, whose report that is, "--map" */
    bool has_json;       /* it was given: JSON is read by this mapping */
    char *csv_text;      /* what --csv and the mapping were told, cut into pieces */
    char *json_text;
    char *csv_tags[WR_DECODE_LIST];
    char *skip_columns[WR_DECODE_LIST];
    char *json_tags[WR_DECODE_LIST];
    char *constant_tags[WR_DECODE_LIST];
    char *fields[WR_DECODE_LIST];
};

/* argv[0] is the command's name. WR_INVALID with what is wrong. */
WR_MUST_USE enum wr_result wr_decode_options_read(int argc, char **argv, struct wr_decode_options *ret_options, struct wr_error *err);
void wr_decode_options_fini(struct wr_decode_options *options);

#endif
