/* `weir check`: says what is wrong, and what would run. */
#include <stdio.h>
#include <string.h>

#include "agent/commands/ask.h"
#include "agent/commands/check_report.h"
#include "agent/commands/commands.h"
#include "agent/commands/rule_files.h"

struct check_options {
    const char *config;         /* NULL: rule files alone */
    struct wr_rule_files files; /* those */
    enum wr_diagnostics_format format;
    bool quiet;
    bool start; /* what `weir run` starts without is no error */
};

/* What is good. SARIF has said all that it can. */
static enum wr_result print_report(const struct check_options *options, const struct wr_loaded *loaded, const struct wr_buf *problems) {
    const struct wr_check_report report = {
        .loaded = loaded, .first_file = options->files.n > 0 ? options->files.files[0] : "", .n_files = options->files.n};
    struct wr_buf text;
    wr_buf_init(&text, 0);
    enum wr_result result = WR_OK;
    if (options->format == WR_DIAGNOSTICS_JSON)
        result = wr_check_report_json(&report, problems, &text);
    else if (options->format == WR_DIAGNOSTICS_TEXT && !options->quiet)
        result = wr_check_report_text(&report, &text);
    if (result == WR_OK)
        fputs(wr_buf_str(&text), stdout);
    wr_buf_fini(&text);
    return result;
}

/* Errors and warnings go where the format is read: words to stderr; JSON waits for the report. */
static void print_problems(const struct check_options *options, const struct wr_buf *problems, bool good) {
    if (options->format == WR_DIAGNOSTICS_TEXT)
        fputs(wr_buf_str(problems), stderr);
    else if (options->format == WR_DIAGNOSTICS_SARIF)
        fputs(wr_buf_str(problems), stdout);
    else if (!good)
        printf("{\"good\":false,\"diagnostics\":%s}\n", wr_buf_str(problems));
}

/* What `weir run` can do without, when it has errors: the shadow, or the bundle in force. Says so. True: it then runs with `loaded`. */
static bool runs_without(const struct check_options *options, bool shadow, struct wr_loaded *loaded) {
    static const struct wr_loaded none;
    struct wr_buf ignored;
    struct wr_error err = {0};
    if (!options->config)
        return false;
    if (shadow) {
        fputs("weir check: these errors are in shadow rules: the agent runs without them\n", stderr);
        return true;
    }
    wr_buf_init(&ignored, 0);
    *loaded = none;
    const bool runs = wr_load_with(options->config, "", WR_DIAGNOSTICS_TEXT, loaded, &ignored, &err) == WR_OK;
    wr_buf_fini(&ignored);
    if (runs)
        fputs("weir check: these errors come from the bundle in force together with this config: the agent starts without the bundle, and "
              "refuses to\n"
              "            reload. Undo the change of the config, or send a bundle that fits to it\n",
              stderr);
    return runs;
}

/* The shadow has a word of its own: its errors, or nothing. */
static enum wr_result load_shadow(const struct check_options *options, struct wr_loaded *loaded, struct wr_buf *problems, bool *ret_shadow,
                                  struct wr_error *err) {
    struct wr_buf found;
    uint64_t version;
    wr_buf_init(&found, 0);
    enum wr_result result = wr_load_shadow(loaded->config, options->format, &loaded->shadow, &version, &found, err);
    *ret_shadow = result == WR_INVALID;
    if (*ret_shadow) {
        wr_buf_fini(problems);
        *problems = found;
        return result;
    }
    wr_buf_fini(&found);
    return result == WR_NOT_FOUND ? WR_OK : result;
}

static int check(const struct check_options *options) {
    struct wr_loaded loaded = {0};
    struct wr_buf problems;
    struct wr_error err = {0};
    bool shadow = false;
    wr_buf_init(&problems, 0);
    enum wr_result result = options->config ? wr_load(options->config, options->format, &loaded, &problems, &err)
                                            : wr_load_rules((const char *const *)options->files.files, options->files.n, options->format,
                                                            &loaded, &problems, &err);
    if (result == WR_OK && loaded.config)
        result = load_shadow(options, &loaded, &problems, &shadow, &err);
    int code = result == WR_OK ? WR_EXIT_OK : result == WR_INVALID ? WR_EXIT_FOUND : WR_EXIT_CANNOT;
    if (code == WR_EXIT_CANNOT)
        fprintf(stderr, "weir check: %s\n", err.text);
    else
        print_problems(options, &problems, result == WR_OK);
    if (result == WR_INVALID && runs_without(options, shadow, &loaded) && options->start)
        code = WR_EXIT_OK;
    if (result == WR_OK && print_report(options, &loaded, &problems) != WR_OK)
        code = WR_EXIT_CANNOT;
    wr_loaded_fini(&loaded);
    wr_buf_fini(&problems);
    return code;
}

/* -- the command ----------------------------------------------------------------------------------------------------------------------- */

static bool read_format(const char *word, enum wr_diagnostics_format *ret_format) {
    static const char *const names[] = {"text", "json", "sarif"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(word, names[i]) == 0) {
            *ret_format = (enum wr_diagnostics_format)i;
            return true;
        }
    return false;
}

/* WR_EXIT_OK: go on. */
static int read_words(int argc, char **argv, struct check_options *options) {
    struct wr_error err = {0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            options->format = WR_DIAGNOSTICS_JSON;
        else if (strcmp(argv[i], "--quiet") == 0)
            options->quiet = true;
        else if (strcmp(argv[i], "--start") == 0)
            options->start = true;
        else if (strcmp(argv[i], "--format") == 0 && i + 1 < argc && read_format(argv[i + 1], &options->format))
            i++;
        else if (argv[i][0] == '-')
            return wr_command_usage("check", "unknown word '%s', or its value is missing or unknown", argv[i]);
        else if (wr_rule_files_add(&options->files, argv[i], &err) != WR_OK)
            return wr_command_usage("check", "%s", err.text);
    }
    return WR_EXIT_OK;
}

int wr_command_check(int argc, char **argv) {
    const int words = argc;
    struct check_options options = {.config = wr_ask_take_config(&argc, argv)};
    int code = read_words(argc, argv, &options);
    if (code == WR_EXIT_OK && options.files.n > 0 && argc < words)
        code = wr_command_usage("check", "either the config, which names its rules, or rule files alone");
    if (options.files.n > 0)
        options.config = NULL;
    if (code == WR_EXIT_OK)
        code = check(&options);
    wr_rule_files_fini(&options.files);
    return code;
}
