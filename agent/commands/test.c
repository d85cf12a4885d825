/* `weir test`: runs the tests of rule files on a virtual clock. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/commands/commands.h"
#include "agent/commands/rule_files.h"
#include "core/file.h"
#include "core/json.h"
#include "rules/testing/mutate.h"
#include "rules/testing/run.h"
#include "rules/testing/suite.h"
#include "rules/yaml/yaml.h"

struct options {
    struct wr_suite_options suite;
    bool json;
    bool together;
    bool mutate;
    bool has_min;
    unsigned min; /* percent of the mutants that tests must notice */
    struct wr_rule_files files;
    const char **promtool; /* test files of promtool */
    size_t n_promtool;
};

/* -- running ---------------------------------------------------------------------------------------------------------------------------- */

struct counts {
    struct wr_suite_counts tests;
    struct wr_mutate_counts mutants;
};

typedef enum wr_result run_text(const struct wr_ruleset_text *file, const struct options *options, const struct wr_suite_output *output,
                                struct counts *counts, struct wr_error *err);

static enum wr_result run_tests(const struct wr_ruleset_text *file, const struct options *options, const struct wr_suite_output *output,
                                struct counts *counts, struct wr_error *err) {
    return wr_suite_run(file, &options->suite, output, &counts->tests, err);
}

static enum wr_result run_mutants(const struct wr_ruleset_text *file, const struct options *options, const struct wr_suite_output *output,
                                  struct counts *counts, struct wr_error *err) {
    return wr_mutate_run(file, &options->suite, output, &counts->mutants, err);
}

static enum wr_result run_promtool(const struct wr_ruleset_text *file, const struct options *options, const struct wr_suite_output *output,
                                   struct counts *counts, struct wr_error *err) {
    return wr_suite_run_promtool(file, (const char *const *)options->files.files, options->files.n, &options->suite, output, &counts->tests,
                                 err);
}

/* All files as they are in memory: `--together` needs each beside all others. */
struct texts {
    struct wr_buf *bytes;
    struct wr_ruleset_text *list;
    size_t n;
};

static void texts_fini(struct texts *texts) {
    for (size_t i = 0; i < texts->n; i++)
        wr_buf_fini(&texts->bytes[i]);
    free(texts->bytes);
    free(texts->list);
}

static enum wr_result texts_read(struct texts *texts, const char *const *names, size_t n, struct wr_error *err) {
    *texts = (struct texts){.bytes = calloc(n + 1, sizeof *texts->bytes), .list = calloc(n + 1, sizeof *texts->list)};
    if (!texts->bytes || !texts->list)
        return wr_error_set(err, WR_NO_MEMORY, "no memory");
    for (size_t i = 0; i < n; i++) {
        struct wr_buf *bytes = &texts->bytes[i];
        wr_buf_init(bytes, 0);
        texts->n++;
        WR_TRY(wr_file_read(names[i], WR_YAML_BYTES, bytes, err));
        const size_t mark =
            bytes->len >= 3 && memcmp(bytes->data, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0; /* so that places are those of the text */
        texts->list[i] = (struct wr_ruleset_text){names[i], wr_buf_str(bytes) + mark, bytes->len - mark};
    }
    return WR_OK;
}

/* Each file, beside all others if they belong together. */
static enum wr_result run_each(const struct texts *texts, run_text *how, const struct options *options,
                               const struct wr_suite_output *output, struct counts *counts, struct wr_error *err) {
    struct wr_ruleset_text *others = calloc(texts->n + 1, sizeof *others);
    if (!others)
        return wr_error_set(err, WR_NO_MEMORY, "no memory");
    enum wr_result result = WR_OK;
    for (size_t i = 0; i < texts->n && result == WR_OK && !(options->together && counts->tests.broken > 0); i++) {
        struct wr_ruleset_options rules = *options->suite.rules;
        struct options with = *options;
        rules.others = others;
        for (size_t k = 0; options->together && k < texts->n; k++)
            if (k != i)
                others[rules.n_others++] = texts->list[k];
        with.suite.rules = &rules;
        result = how(&texts->list[i], &with, output, counts, err);
    }
    free(others);
    return result;
}

static enum wr_result run_all_tests(const struct options *options, const struct texts *files, const struct texts *promtool,
                                    const struct wr_suite_output *output, struct counts *counts, struct wr_error *err) {
    WR_TRY(run_each(files, run_tests, options, output, counts, err));
    for (size_t i = 0; i < promtool->n; i++)
        WR_TRY(run_promtool(&promtool->list[i], options, output, counts, err));
    return WR_OK;
}

static unsigned percent(const struct wr_mutate_counts *mutants) {
    return mutants->mutants > 0 ? (unsigned)((uint64_t)mutants->killed * 100 / mutants->mutants) : 100;
}

static enum wr_result run_json(const struct options *options, const struct texts *files, const struct texts *promtool, struct wr_buf *text,
                               struct counts *counts, struct wr_error *err) {
    struct wr_json json;
    const struct wr_suite_output output = {.words = text, .json = &json};
    wr_json_begin(&json, text);
    wr_json_object(&json, NULL);
    wr_json_array(&json, "tests");
    WR_TRY(run_all_tests(options, files, promtool, &output, counts, err));
    wr_json_array_end(&json);
    if (options->mutate && counts->tests.failed == 0) {
        wr_json_array(&json, "survivors");
        WR_TRY(run_each(files, run_mutants, options, &output, counts,
                        err)); /* only where all tests passed: else everything would be noticed */
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

static enum wr_result run_words(const struct options *options, const struct texts *files, const struct texts *promtool, struct wr_buf *text,
                                struct counts *counts, struct wr_error *err) {
    const struct wr_suite_output output = {.words = text};
    enum wr_result printed = WR_OK;
    WR_TRY(run_all_tests(options, files, promtool, &output, counts, err));
    if (options->mutate && counts->tests.failed == 0) {
        WR_TRY(run_each(files, run_mutants, options, &output, counts,
                        err)); /* only where all tests passed: else everything would be noticed */
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
    struct texts files;
    struct texts promtool = {0};
    enum wr_result result = texts_read(&files, (const char *const *)options->files.files, options->files.n, &err);
    if (result == WR_OK)
        result = texts_read(&promtool, options->promtool, options->n_promtool, &err);
    if (result == WR_OK)
        result = (options->json ? run_json : run_words)(options, &files, &promtool, &text, &counts, &err);
    if (result == WR_OK)
        fputs(wr_buf_str(&text), stdout);
    else
        fprintf(stderr, "weir test: %s\n", err.text);
    wr_buf_fini(&text);
    texts_fini(&files);
    texts_fini(&promtool);
    if (result != WR_OK)
        return WR_EXIT_CANNOT;
    if (options->suite.pattern && counts.tests.passed + counts.tests.failed == 0) {
        fprintf(stderr, "weir test: no test matches '%s': %u left out\n", options->suite.pattern, counts.tests.left_out);
        return WR_EXIT_FOUND;
    }
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
        const bool more = i + 1 < argc;
        if (strcmp(argv[i], "--json") == 0) {
            options->json = true;
        } else if (strcmp(argv[i], "--verbose") == 0) {
            options->suite.verbose = true;
        } else if (strcmp(argv[i], "--run") == 0 && more) {
            options->suite.pattern = argv[++i];
        } else if (strcmp(argv[i], "--seed") == 0 && more) {
            if (!read_number(argv[++i], UINT64_MAX, &options->suite.seed))
                return wr_command_usage("test", "--seed takes a number, not '%s'", argv[i]);
        } else if (strcmp(argv[i], "--together") == 0) {
            options->together = true;
        } else if (strcmp(argv[i], "--mutate") == 0) {
            options->mutate = true;
        } else if (strcmp(argv[i], "--min") == 0 && more) {
            if (!read_number(argv[++i], 100, &min))
                return wr_command_usage("test", "--min takes a number of percent, not '%s'", argv[i]);
            options->min = (unsigned)min;
            options->has_min = true;
        } else if (strcmp(argv[i], "--promtool") == 0 && more) {
            options->promtool[options->n_promtool++] = argv[++i];
        } else if (argv[i][0] == '-') {
            return wr_command_usage("test", "unknown word '%s', or its value is missing", argv[i]);
        } else if (wr_rule_files_add(&options->files, argv[i], &err) != WR_OK) {
            fprintf(stderr, "weir test: %s\n", err.text);
            return WR_EXIT_CANNOT;
        }
    }
    if (options->has_min && !options->mutate)
        return wr_command_usage("test", "--min goes with --mutate");
    return options->files.n > 0 || options->n_promtool > 0 ? 0 : wr_command_usage("test", "which rule files?");
}

int wr_command_test(int argc, char **argv) {
    const struct wr_ruleset_options rules = {.any_action = true};
    struct options options = {.suite = {.rules = &rules, .seed = WR_TEST_SEED}, .min = 100};
    options.promtool = calloc((size_t)argc + 1, sizeof *options.promtool);
    int code = options.promtool ? read_words(argc, argv, &options) : wr_command_usage("test", "no memory");
    if (code == 0)
        code = run(&options);
    wr_rule_files_fini(&options.files);
    free(options.promtool);
    return code;
}
