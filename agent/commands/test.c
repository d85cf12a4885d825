/* `weir test`: runs the tests of rule files on a virtual clock. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/commands/commands.h"
#include "core/file.h"
#include "core/json.h"
#include "rules/testing/mutate.h"
#include "rules/testing/run.h"
#include "rules/testing/suite.h"
#include "rules/yaml.h"

#define FILES_MAX 10000
#define FOLDERS_DEEP 8

struct options {
    struct wr_suite_options suite;
    bool json;
    bool mutate;
    unsigned min; /* percent of the mutants that tests must notice */
    char **files; /* what to run, in order; texts of our own */
    size_t n_files;
    size_t cap_files;
    const char **promtool; /* test files of promtool */
    size_t n_promtool;
};

/* -- which files ------------------------------------------------------------------------------------------------------------------------ */

static enum wr_result add_file(struct options *options, const char *path, struct wr_error *err) {
    if (options->n_files == FILES_MAX)
        return wr_error_set(err, WR_LIMIT, "more than %d files", FILES_MAX);
    if (options->n_files == options->cap_files) {
        size_t cap = options->cap_files > 0 ? options->cap_files * 2 : 16;
        char **files = realloc(options->files, cap * sizeof *files);
        if (!files)
            return wr_error_set(err, WR_NO_MEMORY, "no memory");
        options->files = files;
        options->cap_files = cap;
    }
    options->files[options->n_files] = strdup(path);
    if (!options->files[options->n_files])
        return wr_error_set(err, WR_NO_MEMORY, "no memory");
    options->n_files++;
    return WR_OK;
}

static int is_wanted(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static bool is_yaml(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

static enum wr_result add_path(struct options *options, const char *path, unsigned depth, struct wr_error *err);

/* Its rule files and those of the folders in it, by name. */
static enum wr_result add_folder(struct options *options, const char *path, unsigned depth, struct wr_error *err) {
    struct dirent **entries;
    if (depth == FOLDERS_DEEP)
        return wr_error_set(err, WR_LIMIT, "%s: more than %d folders in each other", path, FOLDERS_DEEP);
    int n = scandir(path, &entries, is_wanted, alphasort);
    if (n < 0)
        return wr_error_set(err, WR_IO, "%s: cannot be read", path);
    enum wr_result result = WR_OK;
    for (int i = 0; i < n; i++) {
        char full[4096];
        struct stat stat_of;
        const bool fits = snprintf(full, sizeof full, "%s/%s", path, entries[i]->d_name) < (int)sizeof full;
        if (result == WR_OK && fits && stat(full, &stat_of) == 0 && (S_ISDIR(stat_of.st_mode) || is_yaml(full)))
            result = add_path(options, full, depth + 1, err);
        free(entries[i]);
    }
    free(entries);
    return result;
}

static enum wr_result add_path(struct options *options, const char *path, unsigned depth, struct wr_error *err) {
    struct stat stat_of;
    if (stat(path, &stat_of) != 0)
        return wr_error_set(err, WR_NOT_FOUND, "%s: there is no such file or folder", path);
    return S_ISDIR(stat_of.st_mode) ? add_folder(options, path, depth, err) : add_file(options, path, err);
}

/* -- running ---------------------------------------------------------------------------------------------------------------------------- */

struct counts {
    struct wr_suite_counts tests;
    struct wr_mutate_counts mutants;
};

typedef enum wr_result run_text(const struct wr_suite_file *file, const struct options *options, const struct wr_suite_output *output,
                                struct counts *counts, struct wr_error *err);

static enum wr_result run_tests(const struct wr_suite_file *file, const struct options *options, const struct wr_suite_output *output,
                                struct counts *counts, struct wr_error *err) {
    return wr_suite_run(file, &options->suite, output, &counts->tests, err);
}

static enum wr_result run_mutants(const struct wr_suite_file *file, const struct options *options, const struct wr_suite_output *output,
                                  struct counts *counts, struct wr_error *err) {
    return wr_mutate_run(file, &options->suite, output, &counts->mutants, err);
}

static enum wr_result run_promtool(const struct wr_suite_file *file, const struct options *options, const struct wr_suite_output *output,
                                   struct counts *counts, struct wr_error *err) {
    return wr_suite_run_promtool(file, (const char *const *)options->files, options->n_files, &options->suite, output, &counts->tests, err);
}

static enum wr_result run_file(const struct options *options, const char *name, run_text *how, const struct wr_suite_output *output,
                               struct counts *counts, struct wr_error *err) {
    struct wr_buf text;
    wr_buf_init(&text, 0);
    enum wr_result result = wr_file_read(name, WR_YAML_BYTES, &text, err);
    const size_t mark = text.len >= 3 && memcmp(text.data, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0; /* so that places are those of the text */
    const struct wr_suite_file file = {name, wr_buf_str(&text) + mark, text.len - mark};
    if (result == WR_OK)
        result = how(&file, options, output, counts, err);
    wr_buf_fini(&text);
    return result;
}

static enum wr_result run_all_tests(const struct options *options, const struct wr_suite_output *output, struct counts *counts,
                                    struct wr_error *err) {
    for (size_t i = 0; i < options->n_files; i++)
        WR_TRY(run_file(options, options->files[i], run_tests, output, counts, err));
    for (size_t i = 0; i < options->n_promtool; i++)
        WR_TRY(run_file(options, options->promtool[i], run_promtool, output, counts, err));
    return WR_OK;
}

/* After all tests, and only where all of them passed: else everything would be noticed. */
static enum wr_result run_all_mutants(const struct options *options, const struct wr_suite_output *output, struct counts *counts,
                                      struct wr_error *err) {
    for (size_t i = 0; i < options->n_files; i++)
        WR_TRY(run_file(options, options->files[i], run_mutants, output, counts, err));
    return WR_OK;
}

static unsigned percent(const struct wr_mutate_counts *mutants) {
    return mutants->mutants > 0 ? (unsigned)((uint64_t)mutants->killed * 100 / mutants->mutants) : 100;
}

static enum wr_result run_json(const struct options *options, struct wr_buf *text, struct counts *counts, struct wr_error *err) {
    struct wr_json json;
    const struct wr_suite_output output = {.words = text, .json = &json};
    wr_json_begin(&json, text);
    wr_json_object(&json, NULL);
    wr_json_array(&json, "tests");
    WR_TRY(run_all_tests(options, &output, counts, err));
    wr_json_array_end(&json);
    if (options->mutate && counts->tests.failed == 0) {
        wr_json_array(&json, "survivors");
        WR_TRY(run_all_mutants(options, &output, counts, err));
        wr_json_array_end(&json);
        wr_json_uint(&json, "mutants", counts->mutants.mutants);
        wr_json_uint(&json, "killed", counts->mutants.killed);
    }
    wr_json_uint(&json, "passed", counts->tests.passed);
    wr_json_uint(&json, "failed", counts->tests.failed);
    wr_json_object_end(&json);
    if (wr_json_end(&json) != WR_OK || wr_buf_text(text, "\n") != WR_OK)
        return wr_error_set(err, WR_NO_MEMORY, "no memory");
    return WR_OK;
}

static enum wr_result run_words(const struct options *options, struct wr_buf *text, struct counts *counts, struct wr_error *err) {
    const struct wr_suite_output output = {.words = text};
    enum wr_result printed = WR_OK;
    WR_TRY(run_all_tests(options, &output, counts, err));
    if (options->mutate && counts->tests.failed == 0) {
        WR_TRY(run_all_mutants(options, &output, counts, err));
        printed = wr_buf_printf(text, "%u mutants, %u killed (%u %%)\n", counts->mutants.mutants, counts->mutants.killed,
                                percent(&counts->mutants));
    } else if (options->mutate) {
        printed = wr_buf_text(text, "no mutants: first all tests must pass\n");
    }
    if (printed != WR_OK || wr_buf_printf(text, "%u passed, %u failed\n", counts->tests.passed, counts->tests.failed) != WR_OK)
        return wr_error_set(err, WR_NO_MEMORY, "no memory");
    return WR_OK;
}

static int run(const struct options *options) {
    struct counts counts = {0};
    struct wr_buf text;
    struct wr_error err = {0};
    wr_buf_init(&text, 0);
    enum wr_result result = options->json ? run_json(options, &text, &counts, &err) : run_words(options, &text, &counts, &err);
    if (result == WR_OK)
        fputs(wr_buf_str(&text), stdout);
    else
        fprintf(stderr, "weir test: %s\n", err.text);
    wr_buf_fini(&text);
    if (result != WR_OK)
        return WR_EXIT_CANNOT;
    const bool enough = (uint64_t)counts.mutants.killed * 100 >= (uint64_t)counts.mutants.mutants * options->min;
    return counts.tests.failed > 0 || !enough ? WR_EXIT_FOUND : WR_EXIT_OK;
}

/* -- the command ------------------------------------------------------------------------------------------------------------------------ */

static bool read_number(const char *text, uint64_t max, uint64_t *ret_number) {
    char *end;
    errno = 0;
    *ret_number = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && *ret_number <= max;
}

/* 0: go on; else the exit code. */
static int read_words(int argc, char **argv, struct options *options) {
    for (int i = 1; i < argc; i++) {
        struct wr_error err;
        uint64_t min;
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--json") == 0) {
            options->json = true;
        } else if (strcmp(argv[i], "--verbose") == 0) {
            options->suite.verbose = true;
        } else if (strcmp(argv[i], "--run") == 0 && value) {
            options->suite.pattern = argv[++i];
        } else if (strcmp(argv[i], "--seed") == 0 && value) {
            if (!read_number(argv[++i], UINT64_MAX, &options->suite.seed))
                return wr_command_usage("test", "--seed takes a number, not '%s'", argv[i]);
        } else if (strcmp(argv[i], "--mutate") == 0) {
            options->mutate = true;
        } else if (strcmp(argv[i], "--min") == 0 && value) {
            if (!read_number(argv[++i], 100, &min))
                return wr_command_usage("test", "--min takes a number of percent, not '%s'", argv[i]);
            options->min = (unsigned)min;
        } else if (strcmp(argv[i], "--promtool") == 0 && value) {
            options->promtool[options->n_promtool++] = argv[++i];
        } else if (argv[i][0] == '-') {
            return wr_command_usage("test", "unknown word '%s', or its value is missing", argv[i]);
        } else if (add_path(options, argv[i], 0, &err) != WR_OK) {
            fprintf(stderr, "weir test: %s\n", err.text);
            return WR_EXIT_CANNOT;
        }
    }
    return options->n_files > 0 ? 0 : wr_command_usage("test", "which rule files?");
}

int wr_command_test(int argc, char **argv) {
    const struct wr_ruleset_options rules = {.any_action = true};
    struct options options = {.suite = {.rules = &rules, .seed = WR_TEST_SEED}, .min = 100};
    options.promtool = calloc((size_t)argc + 1, sizeof *options.promtool);
    int code = options.promtool ? read_words(argc, argv, &options) : wr_command_usage("test", "no memory");
    if (code == 0)
        code = run(&options);
    for (size_t i = 0; i < options.n_files; i++)
        free(options.files[i]);
    free(options.files);
    free(options.promtool);
    return code;
}
