/* `weir replay`: recordings through rules: how often would they have fired, and what would another rule set have done. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/commands/commands.h"
#include "agent/commands/decode.h"
#include "agent/commands/open_history.h"
#include "agent/commands/rule_files.h"
#include "agent/config/load.h"
#include "agent/replay/history_feed.h"
#include "agent/replay/report.h"
#include "core/log.h"
#include "core/quantity.h"
#include "store/query.h"

#define WORDS_MAX 64
#define REFUSALS_SHOWN 20

struct options {
    struct wr_rule_files rules[WR_PLAY_SIDES];
    struct wr_decode_options decode; /* how the files are read */
    char **files;                    /* words of the command line */
    unsigned n_files;
    const char *from; /* of a history, instead of files */
    const char *to;
    const char *store;
    const char *config;
    struct wr_history_feed feed;
    bool verbose;
    bool json;
};

/* -- words ------------------------------------------------------------------------------------------------------------------------------------ */

/* The format by how the first file is called. */
static const char *format_of(const char *file) {
    static const struct {
        const char *ending;
        const char *format;
    } known[] = {{".csv", "csv"},   {".lp", "influx"},  {".line", "influx"}, {".influx", "influx"},
                 {".json", "json"}, {".jsonl", "json"}, {".ndjson", "json"}};
    const char *dot = strrchr(file, '.');
    for (size_t i = 0; dot && i < sizeof known / sizeof known[0]; i++)
        if (strcmp(dot, known[i].ending) == 0)
            return known[i].format;
    return NULL;
}

/* Words that say how files are read go to where `weir decode` reads them; there line protocol is called influx. */
struct passed {
    char *words[WORDS_MAX];
    int n;
    bool format;
};

static bool pass(struct passed *passed, const char *name, char *value) {
    if (passed->n + 2 > WORDS_MAX)
        return false;
    passed->format |= strcmp(name, "--format") == 0;
    passed->words[passed->n++] = (char *)name;
    passed->words[passed->n++] = strcmp(name, "--format") == 0 && strcmp(value, "line") == 0 ? (char *)"influx" : value;
    return true;
}

static enum wr_result read_word(struct options *options, struct passed *passed, const char *name, char *value, struct wr_error *err) {
    if (strcmp(name, "--rules") == 0)
        return wr_rule_files_add(&options->rules[0], value, err);
    if (strcmp(name, "--against") == 0)
        return wr_rule_files_add(&options->rules[1], value, err);
    if (strcmp(name, "--from") == 0)
        options->from = value;
    else if (strcmp(name, "--to") == 0)
        options->to = value;
    else if (strcmp(name, "--store") == 0)
        options->store = value;
    else if (strcmp(name, "-c") == 0 || strcmp(name, "--config") == 0)
        options->config = value;
    else if (strcmp(name, "--format") == 0 || strcmp(name, "--csv") == 0 || strcmp(name, "--precision") == 0 || strcmp(name, "--map") == 0)
        return pass(passed, name, value) ? WR_OK : wr_error_set(err, WR_INVALID, "too many words");
    else
        return wr_error_set(err, WR_INVALID, "unknown word '%s'", name);
    return WR_OK;
}

/* "7d": so long before now; or a time. */
static enum wr_result read_moment(const char *text, int64_t *ret_ns, struct wr_error *err) {
    int64_t ago_ns;
    if (wr_query_time_read(text, strlen(text), ret_ns))
        return WR_OK;
    if (wr_quantity_duration(text, &ago_ns, NULL) != WR_OK)
        return wr_error_set(err, WR_INVALID, "'%.40s' is no time: write 7d, or 2026-03-02T08:00Z", text);
    *ret_ns = wr_clock_add_ns(wr_clock_wall_ns(wr_clock_real()), -ago_ns);
    return WR_OK;
}

static enum wr_result read_span(struct options *options, const struct passed *passed, struct wr_error *err) {
    options->feed.to_ns = INT64_MAX;
    if (options->n_files > 0 || passed->n > 1)
        return wr_error_set(err, WR_INVALID, "--from takes what an agent has stored: no recordings, and no words on how to read them");
    if (options->to)
        WR_TRY(read_moment(options->to, &options->feed.to_ns, err));
    return read_moment(options->from, &options->feed.from_ns, err);
}

static enum wr_result read_words(int argc, char **argv, struct options *options, struct wr_error *err) {
    struct passed passed = {.words = {argv[0]}, .n = 1};
    options->files = argv; /* the files move to the front, behind the words that were read */
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0)
            options->verbose = true;
        else if (strcmp(argv[i], "--json") == 0)
            options->json = true;
        else if (argv[i][0] != '-')
            options->files[options->n_files++] = argv[i];
        else if (++i < argc)
            WR_TRY(read_word(options, &passed, argv[i - 1], argv[i], err));
        else
            return wr_error_set(err, WR_INVALID, "unknown word '%s', or its value is missing", argv[i - 1]);
    }
    if (options->from)
        return options->rules[0].n == 0 && options->store ? wr_error_set(err, WR_INVALID, "which rules? --rules FILE")
                                                          : read_span(options, &passed, err);
    if (options->to || options->store || options->config)
        return wr_error_set(err, WR_INVALID, "--to, --store and -c go with --from");
    if (options->rules[0].n == 0 || options->n_files == 0)
        return wr_error_set(err, WR_INVALID, options->n_files == 0 ? "which recordings?" : "which rules? --rules FILE");
    const char *format = passed.format ? NULL : format_of(options->files[0]);
    if (!passed.format && !format)
        return wr_error_set(err, WR_INVALID, "which format? --format csv, line or json");
    if (format && !pass(&passed, "--format", (char *)format))
        return wr_error_set(err, WR_INVALID, "too many words");
    WR_TRY(wr_decode_options_read(passed.n, passed.words, &options->decode, err));
    return options->decode.format == WR_DECODE_WEIR ? wr_error_set(err, WR_INVALID, "recordings are csv, line or json") : WR_OK;
}

/* -- the work --------------------------------------------------------------------------------------------------------------------------------- */

struct refusals {
    uint64_t n;
};

static void print_refusal(void *user, const char *file, const struct wr_refusal *refusal) {
    struct refusals *refusals = user;
    if (++refusals->n <= REFUSALS_SHOWN)
        fprintf(stderr, "%s:%llu:%u: %s\n", file, (unsigned long long)refusal->line, refusal->column, refusal->message);
    else if (refusals->n == REFUSALS_SHOWN + 1)
        fprintf(stderr, "more records were refused: they are counted\n");
}

/* The recordings as the config of a source would name them. */
static void describe_source(struct options *options, struct wr_config_source *source) {
    static char precisions[][3] = {[WR_PRECISION_NS] = "ns", [WR_PRECISION_US] = "us", [WR_PRECISION_MS] = "ms", [WR_PRECISION_S] = "s"};
    struct wr_decode_options *decode = &options->decode;
    *source = (struct wr_config_source){.name = (char *)"replay", .precision = (int)decode->precision};
    source->format = decode->format == WR_DECODE_CSV    ? WR_SOURCE_FORMAT_CSV
                     : decode->format == WR_DECODE_JSON ? WR_SOURCE_FORMAT_JSON
                                                        : WR_SOURCE_FORMAT_LINE;
    source->json = decode->has_json ? &decode->json : NULL;
    source->replay.files = options->files;
    source->replay.n_files = options->n_files;
    source->replay.csv = &decode->csv;
    if (!decode->csv.time_format && decode->precision != WR_PRECISION_NS)
        decode->csv.time_format = precisions[decode->precision];
    if (!decode->json.time_format && decode->json.time && decode->precision != WR_PRECISION_NS)
        decode->json.time_format = precisions[decode->precision];
}

static int print_report(const struct wr_replay_report *report, bool json) {
    struct wr_buf text;
    wr_buf_init(&text, 0);
    const enum wr_result result = json ? wr_replay_report_json(report, &text) : wr_replay_report_text(report, &text);
    if (result == WR_OK)
        fputs(wr_buf_str(&text), stdout);
    else
        fprintf(stderr, "weir replay: no memory\n");
    wr_buf_fini(&text);
    return result == WR_OK ? WR_EXIT_OK : WR_EXIT_CANNOT;
}

static const char *name_of(const struct wr_rule_files *rules) {
    return rules->files ? rules->files[0] : "";
}

static int play(struct options *options, const struct wr_loaded *loaded) {
    struct refusals refusals = {0};
    struct wr_config_source source;
    struct wr_play_result result;
    struct wr_error err = {0};
    describe_source(options, &source);
    const struct wr_play_options how = {.source = &source,
                                        .feed = options->from ? wr_history_feed : NULL,
                                        .feed_user = &options->feed,
                                        .rules = {loaded[0].rules, loaded[1].rules},
                                        .keep_episodes = loaded[1].rules != NULL,
                                        .refused = print_refusal,
                                        .user = &refusals};
    int code = WR_EXIT_CANNOT;
    if (wr_play(&how, &result, &err) != WR_OK) {
        fprintf(stderr, "weir replay: %s\n", err.text);
    } else {
        const struct wr_replay_report report = {.result = &result,
                                                .rules = {loaded[0].rules, loaded[1].rules},
                                                .names = {name_of(&options->rules[0]), name_of(&options->rules[1])},
                                                .n_files = options->n_files,
                                                .verbose = options->verbose};
        code = print_report(&report, options->json);
        if (code == WR_EXIT_OK && refusals.n > 0)
            code = WR_EXIT_FOUND;
        if (wr_open_history_left_out("replay", options->feed.damaged, options->feed.unreadable) && code == WR_EXIT_OK)
            code = WR_EXIT_FOUND;
        if (result.left_out > 0) { /* which and why was logged */
            fprintf(stderr, "weir replay: %u of %u recordings left out, or not read to the end\n", result.left_out, options->n_files);
            code = WR_EXIT_CANNOT;
        }
    }
    wr_play_result_fini(&result);
    return code;
}

/* WR_EXIT_OK: loaded. Warnings are for `weir check`. */
static int load(const struct wr_rule_files *files, struct wr_loaded *loaded) {
    struct wr_buf problems;
    struct wr_error err = {0};
    wr_buf_init(&problems, 0);
    const enum wr_result result = wr_load_rules((const char *const *)files->files, files->n, WR_DIAGNOSTICS_TEXT, loaded, &problems, &err);
    if (result == WR_INVALID)
        fputs(wr_buf_str(&problems), stderr);
    else if (result != WR_OK)
        fprintf(stderr, "weir replay: %s\n", err.text);
    wr_buf_fini(&problems);
    return result == WR_OK ? WR_EXIT_OK : result == WR_INVALID ? WR_EXIT_FOUND : WR_EXIT_CANNOT;
}

/* The agent or store that is asked; without --rules its config says which. */
static int open_history(struct options *options, struct wr_open_history *opened) {
    struct wr_error err = {0};
    enum wr_result result = wr_open_history(opened, options->store, options->config ? options->config : WR_CONFIG_DEFAULT, &err);
    options->feed.history = opened->history;
    const bool needs_rules = result == WR_OK && options->rules[0].n == 0;
    for (unsigned i = 0; needs_rules && result == WR_OK && i < opened->config->n_rule_files; i++)
        result = wr_rule_files_add(&options->rules[0], opened->config->rule_files[i], &err);
    if (result == WR_OK && options->rules[0].n == 0)
        result = wr_error_set(&err, WR_NOT_FOUND, "the config names no rules: which? --rules FILE");
    if (result != WR_OK && err.text[0])
        fprintf(stderr, "weir replay: %s\n", err.text);
    return result == WR_OK ? WR_EXIT_OK : WR_EXIT_CANNOT;
}

int wr_command_replay(int argc, char **argv) {
    struct options options = {0};
    struct wr_loaded loaded[WR_PLAY_SIDES] = {{0}};
    struct wr_open_history opened = {0};
    struct wr_error err = {0};
    int code = WR_EXIT_OK;
    wr_log_configure(WR_LOG_ERROR, WR_LOG_LOGFMT, 2); /* what is refused is printed here */
    if (read_words(argc, argv, &options, &err) != WR_OK)
        code = wr_command_usage("replay", "%s", err.text);
    else if (options.from)
        code = open_history(&options, &opened);
    for (size_t i = 0; code == WR_EXIT_OK && i < WR_PLAY_SIDES; i++)
        if (options.rules[i].n > 0)
            code = load(&options.rules[i], &loaded[i]);
    if (code == WR_EXIT_OK)
        code = play(&options, loaded);
    for (size_t i = 0; i < WR_PLAY_SIDES; i++) {
        wr_loaded_fini(&loaded[i]);
        wr_rule_files_fini(&options.rules[i]);
    }
    wr_open_history_fini(&opened);
    wr_decode_options_fini(&options.decode);
    return code;
}
