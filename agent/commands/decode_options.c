#include <stdio.h>
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

/* -- --csv "k=v, ...", --json "k=v, ..." ------------------------------------------------------------------------------------------ */

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

/* A key of --csv or --json. */
struct key {
    const char *name;
    char **text; /* one of the two */
    char **list;
    unsigned *n;
};

struct keys {
    const char *option;
    const struct key *keys;
    size_t n;
};

static enum wr_result add(const struct keys *keys, const struct key *key, char *value, struct wr_error *err) {
    if (key->text) {
        *key->text = value;
        return WR_OK;
    }
    char *item;
    while ((item = next_item(&value)) != NULL) {
        if (*key->n == WR_DECODE_LIST)
            return wr_error_set(err, WR_LIMIT, "%s %s: more than %d", keys->option, key->name, WR_DECODE_LIST);
        key->list[(*key->n)++] = item;
    }
    return WR_OK;
}

static const struct key *find_key(const struct keys *keys, const char *item, size_t len) {
    for (size_t i = 0; i < keys->n; i++)
        if (strlen(keys->keys[i].name) == len && strncmp(keys->keys[i].name, item, len) == 0)
            return &keys->keys[i];
    return NULL;
}

static enum wr_result refuse_key(const struct keys *keys, const char *item, struct wr_error *err) {
    char names[256] = "";
    for (size_t i = 0, len = 0; i < keys->n && len < sizeof names; i++)
        len += (size_t)snprintf(names + len, sizeof names - len, "%s%s=", i ? ", " : "", keys->keys[i].name);
    return wr_error_set(err, WR_INVALID, "%s: '%s' is none of %s", keys->option, item, names);
}

/* Lists may go on behind a comma: in "tags=site=riga, room, measurement=m" there are two tags. */
static enum wr_result read_keys(const struct keys *keys, const char *text, char **copy, struct wr_error *err) {
    free(*copy);
    *copy = strdup(text);
    if (!*copy)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for %s", keys->option);
    const struct key *list = NULL;
    char *at = *copy;
    char *item;
    while ((item = next_item(&at)) != NULL) {
        const size_t name_len = strcspn(item, "=");
        const struct key *key = item[name_len] == '=' ? find_key(keys, item, name_len) : NULL;
        if (!key && !list)
            return refuse_key(keys, item, err);
        WR_TRY(key ? add(keys, key, item + name_len + 1, err) : add(keys, list, item, err));
        if (key)
            list = key->list ? key : NULL;
    }
    return WR_OK;
}

static enum wr_result read_csv(struct wr_decode_options *options, const char *text, struct wr_error *err) {
    struct wr_config_csv *csv = &options->csv;
    *csv = (struct wr_config_csv){.tags = options->csv_tags, .skip_columns = options->skip_columns};
    const struct key keys[] = {
        {"time_column", &csv->time_column, NULL, NULL},
        {"time_format", &csv->time_format, NULL, NULL},
        {"tz", &csv->tz, NULL, NULL},
        {"measurement", &csv->measurement, NULL, NULL},
        {"tags", NULL, options->csv_tags, &csv->n_tags},
        {"skip_columns", NULL, options->skip_columns, &csv->n_skip_columns},
    };
    return read_keys(&(struct keys){"--csv", keys, sizeof keys / sizeof keys[0]}, text, &options->csv_text, err);
}

static enum wr_result read_json(struct wr_decode_options *options, const char *text, struct wr_error *err) {
    struct wr_config_json *json = &options->json;
    *json = (struct wr_config_json){.tags = options->json_tags, .constant_tags = options->constant_tags, .fields = options->fields};
    const struct key keys[] = {
        {"records", &json->records, NULL, NULL},
        {"time", &json->time, NULL, NULL},
        {"time_format", &json->time_format, NULL, NULL},
        {"tz", &json->tz, NULL, NULL},
        {"measurement", &json->measurement, NULL, NULL},
        {"measurement_path", &json->measurement_path, NULL, NULL},
        {"quality", &json->quality, NULL, NULL},
        {"tags", NULL, options->json_tags, &json->n_tags},
        {"constant_tags", NULL, options->constant_tags, &json->n_constant_tags},
        {"fields", NULL, options->fields, &json->n_fields},
    };
    options->has_json = true;
    return read_keys(&(struct keys){options->mapping, keys, sizeof keys / sizeof keys[0]}, text, &options->json_text, err);
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
        } else if ((value = value_of(argc, argv, &i, options->mapping)) != NULL) {
            WR_TRY(read_json(options, value, err));
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
    ret_options->mapping = strcmp(argv[0], "replay") == 0 ? "--map" : "--json";
    enum wr_result result = read_words(argc, argv, ret_options, err);
    if (result != WR_OK)
        wr_decode_options_fini(ret_options);
    return result;
}

void wr_decode_options_fini(struct wr_decode_options *options) {
    free(options->csv_text);
    free(options->json_text);
    options->csv_text = NULL;
    options->json_text = NULL;
}
