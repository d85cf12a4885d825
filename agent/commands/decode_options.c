#include <stdlib.h>
#include <string.h>

#include "agent/codec/number.h"
#include "agent/commands/decode.h"

static enum wr_result read_format(struct wr_decode_options *options, const char *text, struct wr_error *err) {
    static const char *const names[] = {
        [WR_DECODE_INFLUX] = "influx", [WR_DECODE_JSON] = "json", [WR_DECODE_CSV] = "csv", [WR_DECODE_WEIR] = "weir"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) != 0)
            continue;
        options->format = (enum wr_decode_format)i;
        options->format_name = names[i];
        return WR_OK;
    }
    return wr_error_set(err, WR_INVALID, "no format '%s': influx, json, csv or weir", text);
}

static enum wr_result read_precision(struct wr_decode_options *options, const char *text, struct wr_error *err) {
    static const char *const names[] = {
        [WR_PRECISION_NS] = "ns", [WR_PRECISION_US] = "us", [WR_PRECISION_MS] = "ms", [WR_PRECISION_S] = "s"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) != 0)
            continue;
        options->precision = (enum wr_precision)i;
        return WR_OK;
    }
    return wr_error_set(err, WR_INVALID, "no precision '%s': s, ms, us or ns", text);
}

/* -- --csv "k=v, ..." -------------------------------------------------------------------------------------------------------------- */

/* Cuts the next item out of *at: up to a comma or semicolon that is not in quotes; trimmed, quotes taken off. NULL: no more. */
static char *next_item(char **at) {
    char *p = *at + strspn(*at, " ,;");
    if (*p == '\0')
        return NULL;
    char *item = p;
    char *into = p;
    char quote = '\0';
    for (; *p != '\0' && (quote || (*p != ',' && *p != ';')); p++) {
        if (quote ? *p == quote : *p == '"' || *p == '\'')
            quote = quote ? '\0' : *p;
        else
            *into++ = *p;
    }
    *at = *p ? p + 1 : p;
    while (into > item && into[-1] == ' ')
        into--;
    *into = '\0';
    return item;
}

struct csv_key {
    const char *name;
    char **text; /* one of the two */
    char **list;
    unsigned *n;
};

static enum wr_result add(const struct csv_key *key, char *value, struct wr_error *err) {
    if (key->text) {
        *key->text = value;
        return WR_OK;
    }
    char *item;
    while ((item = next_item(&value)) != NULL) {
        if (*key->n == WR_DECODE_LIST)
            return wr_error_set(err, WR_LIMIT, "--csv %s: more than %d", key->name, WR_DECODE_LIST);
        key->list[(*key->n)++] = item;
    }
    return WR_OK;
}

static const struct csv_key *find_key(const struct csv_key *keys, size_t n, const char *item, size_t len) {
    for (size_t i = 0; i < n; i++)
        if (strlen(keys[i].name) == len && strncmp(keys[i].name, item, len) == 0)
            return &keys[i];
    return NULL;
}

/* Lists may go on behind a comma: in "tags=site=riga, room, measurement=m" there are two tags. */
static enum wr_result read_csv(struct wr_decode_options *options, const char *text, struct wr_error *err) {
    struct wr_config_csv *csv = &options->csv;
    const struct csv_key keys[] = {
        {"time_column", &csv->time_column, NULL, NULL},
        {"time_format", &csv->time_format, NULL, NULL},
        {"tz", &csv->tz, NULL, NULL},
        {"measurement", &csv->measurement, NULL, NULL},
        {"tags", NULL, options->tags, &csv->n_tags},
        {"skip_columns", NULL, options->skip_columns, &csv->n_skip_columns},
    };
    const size_t n = sizeof keys / sizeof keys[0];
    free(options->text);
    options->text = strdup(text);
    if (!options->text)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for --csv");
    const struct csv_key *list = NULL;
    char *at = options->text;
    char *item;
    while ((item = next_item(&at)) != NULL) {
        const size_t name_len = strcspn(item, "=");
        const struct csv_key *key = item[name_len] == '=' ? find_key(keys, n, item, name_len) : NULL;
        if (!key && !list)
            return wr_error_set(err, WR_INVALID,
                                "--csv: '%s' is none of time_column=, time_format=, tz=, measurement=, tags=, skip_columns=", item);
        WR_TRY(key ? add(key, item + name_len + 1, err) : add(list, item, err));
        if (key)
            list = key->list ? key : NULL;
    }
    return WR_OK;
}

/* -- the words ----------------------------------------------------------------------------------------------------------------------- */

/* If argv[*i] is --name VALUE or --name=VALUE: moves *i to its last word and returns VALUE; NULL: another word, or no value. */
static const char *value_of(int argc, char **argv, int *i, const char *name) {
    const size_t len = strlen(name);
    const char *word = argv[*i];
    if (!word || strncmp(word, name, len) != 0)
        return NULL;
    if (word[len] == '=')
        return word + len + 1;
    if (word[len] == '\0' && *i + 1 < argc)
        return argv[++*i];
    return NULL;
}

static enum wr_result read_words(int argc, char **argv, struct wr_decode_options *options, struct wr_error *err) {
    bool only_files = false;
    for (int i = 1; i < argc; i++) {
        const char *value = NULL;
        if (!only_files && strcmp(argv[i], "--") == 0) {
            only_files = true;
        } else if (only_files || argv[i][0] != '-' || argv[i][1] == '\0') {
            if (options->file)
                return wr_error_set(err, WR_INVALID, "one file at a time: '%s' is one too many", argv[i]);
            options->file = argv[i];
        } else if ((value = value_of(argc, argv, &i, "--format")) != NULL) {
            WR_TRY(read_format(options, value, err));
        } else if ((value = value_of(argc, argv, &i, "--default-time")) != NULL) {
            options->has_default_time = wr_number_int64(value, value + strlen(value), &options->default_time_ns);
            if (!options->has_default_time)
                return wr_error_set(err, WR_INVALID, "--default-time '%s': a whole number of nanoseconds since 1970", value);
        } else if ((value = value_of(argc, argv, &i, "--precision")) != NULL) {
            WR_TRY(read_precision(options, value, err));
        } else if ((value = value_of(argc, argv, &i, "--csv")) != NULL) {
            WR_TRY(read_csv(options, value, err));
        } else {
            return wr_error_set(err, WR_INVALID, "unknown word '%s', or its value is missing", argv[i]);
        }
    }
    if (!options->format_name)
        return wr_error_set(err, WR_INVALID, "which format? --format influx, json, csv or weir");
    if (options->file && strcmp(options->file, "-") == 0)
        options->file = NULL;
    return WR_OK;
}

enum wr_result wr_decode_options_read(int argc, char **argv, struct wr_decode_options *ret_options, struct wr_error *err) {
    *ret_options = (struct wr_decode_options){.precision = WR_PRECISION_NS};
    ret_options->csv.tags = ret_options->tags;
    ret_options->csv.skip_columns = ret_options->skip_columns;
    enum wr_result result = read_words(argc, argv, ret_options, err);
    if (result != WR_OK)
        wr_decode_options_fini(ret_options);
    return result;
}

void wr_decode_options_fini(struct wr_decode_options *options) {
    free(options->text);
    options->text = NULL;
}
