/* `weir query`: SQL over what the store holds, of a running agent or a stopped one. The SQL runs in this process; an agent only hands out segments. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/commands/ask.h"
#include "agent/commands/commands.h"
#include "agent/commands/open_history.h"
#include "agent/query/query_print.h"
#include "core/clock.h"
#include "core/quantity.h"
#include "core/utf8.h"

#define ROWS 10000
#define PATIENCE_NS (10 * WR_NS_PER_S)
#define MEMORY_BYTES (UINT64_C(64) << 20)

struct options {
    const char *store; /* NULL: the agent of the config, or its store */
    const char *sql;
    enum wr_query_format format;
    uint64_t rows;
    uint64_t memory_bytes;
    int64_t patience_ns;
};

/* -- words ------------------------------------------------------------------------------------------------------------------------------------- */

static bool take_number(const char *text, uint64_t *ret_number) {
    char *end;
    if (text[0] < '0' || text[0] > '9')
        return false;
    *ret_number = strtoull(text, &end, 10);
    return *end == '\0' && *ret_number > 0 && *ret_number < UINT32_MAX;
}

/* An option that has a value. */
static bool take_value(struct options *options, const char *name, const char *value, struct wr_error *err) {
    if (strcmp(name, "--store") == 0) {
        options->store = value;
        return true;
    }
    if (strcmp(name, "--rows") == 0 && !take_number(value, &options->rows))
        return wr_error_set(err, WR_INVALID, "--rows '%.40s' is no number from 1 on", value) == WR_OK;
    if (strcmp(name, "--timeout") == 0 && (wr_quantity_duration(value, &options->patience_ns, err) != WR_OK || options->patience_ns == 0))
        return wr_error_set(err, WR_INVALID, "--timeout '%.40s' is no duration, as 10s", value) == WR_OK;
    if (strcmp(name, "--memory") == 0 &&
        (wr_quantity_size(value, &options->memory_bytes, err) != WR_OK || options->memory_bytes > INT64_MAX / 2))
        return wr_error_set(err, WR_INVALID, "--memory '%.40s' is no size, as 64MB", value) == WR_OK;
    return true;
}

static bool has_value(const char *word) {
    static const char *const names[] = {"--store", "--rows", "--timeout", "--memory"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(word, names[i]) == 0)
            return true;
    return false;
}

static int take_words(struct options *options, int argc, char **argv) {
    static const char *const formats[] = {
        [WR_QUERY_TABLE] = "--table", [WR_QUERY_CSV] = "--csv", [WR_QUERY_JSON] = "--json", [WR_QUERY_PLOT] = "--plot"};
    for (int i = 1; i < argc; i++) {
        struct wr_error err = {0};
        bool known = false;
        for (unsigned k = 0; k < sizeof formats / sizeof formats[0]; k++)
            if (strcmp(argv[i], formats[k]) == 0) {
                options->format = (enum wr_query_format)k;
                known = true;
            }
        if (known)
            continue;
        if (has_value(argv[i]) && i + 1 < argc) {
            if (!take_value(options, argv[i], argv[i + 1], &err))
                return wr_command_usage("query", "%s", err.text);
            i++;
        } else if (!options->sql && (argv[i][0] != '-' || strcmp(argv[i], "-") == 0)) {
            options->sql = argv[i];
        } else {
            return wr_command_usage("query", "unknown word '%s', or its value is missing", argv[i]);
        }
    }
    return options->sql ? WR_EXIT_OK : wr_command_usage("query", "what is the query?");
}

/* -- the query --------------------------------------------------------------------------------------------------------------------------------- */

static bool is_late(void *user) {
    return wr_clock_boot_ns(wr_clock_real()) > *(const int64_t *)user;
}

/* The line of the SQL, and a mark under the place. */
static void show_place(const char *sql, int at) {
    char line[1024];
    const char *begin = sql + at;
    while (begin > sql && begin[-1] != '\n')
        begin--;
    const size_t before = (size_t)(sql + at - begin);
    if (at < 0 || before > 200)
        return;
    const size_t len = wr_utf8_cut(begin, strcspn(begin, "\n"), before + 60);
    fprintf(stderr, "  %s\n", wr_error_escape(line, sizeof line, begin, len));
    wr_error_escape(line, sizeof line, begin, before);
    int column = 0;
    for (const char *p = line; *p; p++)
        column += ((uint8_t)*p & 0xC0) != 0x80;
    fprintf(stderr, "  %*s^\n", column, "");
}

static int tell(const struct options *options, const struct wr_query_report *report) {
    const bool left_out = wr_open_history_left_out("query", report->damaged, report->unreadable);
    if (report->cut)
        fprintf(stderr, "weir query: only the first %llu rows; more with --rows\n", (unsigned long long)options->rows);
    return left_out || report->cut ? WR_EXIT_FOUND : WR_EXIT_OK;
}

static int run(const struct options *options, struct wr_history history) {
    struct wr_error err = {0};
    struct wr_query_report report;
    struct wr_query_print print;
    const int64_t deadline = wr_clock_add_ns(wr_clock_boot_ns(wr_clock_real()), options->patience_ns);
    const struct wr_query_options query = {.history = history,
                                           .now_wall_ns = wr_clock_wall_ns(wr_clock_real()),
                                           .rows_max = options->rows,
                                           .memory_bytes = options->memory_bytes,
                                           .stop = is_late,
                                           .stop_user = (void *)&deadline};
    int code = WR_EXIT_CANNOT;
    wr_query_print_init(&print, options->format, isatty(STDOUT_FILENO), stdout);
    const struct wr_query_sink sink = wr_query_print_sink(&print);
    enum wr_result result = wr_query_run(options->sql, &query, &sink, &report, &err);
    if (result == WR_OK)
        result = wr_query_print_end(&print, &err);
    if (result == WR_TIMEOUT && report.error_at < 0 && is_late((void *)&deadline)) {
        char patience[32];
        (void)wr_error_set(&err, WR_TIMEOUT, "not done within %s: ask for less time, or for more with --timeout",
                           wr_quantity_format_duration(patience, sizeof patience, options->patience_ns));
    }
    if (result != WR_OK) {
        fflush(stdout);
        fprintf(stderr, "weir query: %s\n", err.text);
        if (report.error_at >= 0)
            show_place(options->sql, report.error_at);
    } else {
        code = tell(options, &report);
    }
    wr_query_print_fini(&print);
    return code;
}

static char *read_all(FILE *in) {
    struct wr_buf text;
    char chunk[4096];
    size_t got;
    wr_buf_init(&text, WR_QUERY_SQL_BYTES + 1);
    enum wr_result result = wr_buf_append(&text, "", 1);
    text.len = 0;
    while (result == WR_OK && (got = fread(chunk, 1, sizeof chunk, in)) > 0)
        result = wr_buf_append(&text, chunk, got);
    if (result == WR_OK && strlen(wr_buf_str(&text)) == text.len)
        return (char *)wr_buf_steal(&text, NULL);
    wr_buf_fini(&text);
    return NULL;
}

int wr_command_query(int argc, char **argv) {
    const char *file = wr_ask_take_config(&argc, argv);
    struct options options = {.rows = ROWS, .memory_bytes = MEMORY_BYTES, .patience_ns = PATIENCE_NS};
    char *read = NULL;
    int code = take_words(&options, argc, argv);
    if (code != WR_EXIT_OK || !options.sql)
        return code;
    if (strcmp(options.sql, "-") == 0) {
        options.sql = read = read_all(stdin);
        if (!read)
            return wr_command_usage("query", "the query on standard input is too long, or no text");
    }
    struct wr_open_history opened;
    struct wr_error err = {0};
    code = WR_EXIT_CANNOT;
    if (wr_open_history(&opened, options.store, file, &err) == WR_OK)
        code = run(&options, opened.history);
    else if (err.text[0])
        fprintf(stderr, "weir query: %s\n", err.text);
    wr_open_history_fini(&opened);
    free(read);
    return code;
}
