#include "agent/receive/options.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/config/config_private.h"
#include "agent/receive/message.h"
#include "agent/receive/options_private.h"
#include "agent/receive/render.h"
#include "transport/topic.h"

#define WORDS "command line"

/* -- the words as YAML ------------------------------------------------------------------------------------------------------------------------ */

static const struct wr_yaml_field *field_named(const char *name, size_t len) {
    for (const struct wr_yaml_field *field = wr_receive_fields; field->key; field++) {
        bool same = strlen(field->key) == len;
        for (size_t i = 0; same && i < len; i++)
            same = field->key[i] == (name[i] == '-' ? '_' : name[i]);
        if (same)
            return field;
    }
    return NULL;
}

static enum wr_result put_quoted(struct wr_buf *into, const char *text, size_t len) {
    WR_TRY(wr_buf_append(into, "\"", 1));
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"' || text[i] == '\\')
            WR_TRY(wr_buf_append(into, "\\", 1));
        WR_TRY(wr_buf_append(into, text + i, 1));
    }
    return wr_buf_append(into, "\"", 1);
}

/* A list is written with commas between. */
static enum wr_result put_value(struct wr_buf *into, const struct wr_yaml_field *field, const char *value) {
    if (field->kind != WR_YAML_STRINGS)
        return put_quoted(into, value, strlen(value));
    WR_TRY(wr_buf_text(into, "["));
    for (;;) {
        const size_t len = strcspn(value, ",");
        WR_TRY(put_quoted(into, value, len));
        if (value[len] == '\0')
            return wr_buf_text(into, "]");
        WR_TRY(wr_buf_text(into, ", "));
        value += len + 1;
    }
}

/* --KEY VALUE and --KEY=VALUE as lines `KEY: "VALUE"`. */
static enum wr_result words_as_yaml(int argc, char **argv, struct wr_buf *into, struct wr_error *err) {
    WR_TRY(wr_buf_text(into, argc == 0 ? "{}\n" : ""));
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (strncmp(word, "--", 2) != 0)
            return wr_error_set(err, WR_INVALID, "'%s' is no option", word);
        const char *equals = strchr(word, '=');
        const size_t len = equals ? (size_t)(equals - word - 2) : strlen(word + 2);
        const struct wr_yaml_field *field = field_named(word + 2, len);
        if (!field)
            return wr_error_set(err, WR_INVALID, "no option '%s'", word);
        const char *value = equals ? equals + 1 : ++i < argc ? argv[i] : NULL;
        if (!value)
            return wr_error_set(err, WR_INVALID, "%s needs a value", word);
        WR_TRY(wr_buf_printf(into, "%s: ", field->key));
        WR_TRY(put_value(into, field, value));
        WR_TRY(wr_buf_text(into, "\n"));
    }
    return WR_OK;
}

/* -- putting both together ---------------------------------------------------------------------------------------------------------------------- */

static size_t bytes_of(enum wr_yaml_kind kind) {
    switch (kind) {
    case WR_YAML_BOOL:
        return sizeof(bool);
    case WR_YAML_COUNT:
        return sizeof(uint32_t);
    case WR_YAML_ENUM:
        return sizeof(int);
    case WR_YAML_STRING:
    case WR_YAML_STRINGS:
    case WR_YAML_RECORD:
    case WR_YAML_RECORDS:
        return sizeof(void *);
    case WR_YAML_INT:
    case WR_YAML_FLOAT:
    case WR_YAML_DURATION:
    case WR_YAML_SIZE:
        break;
    }
    return 8;
}

static void swap(void *a, void *b, size_t bytes) {
    char kept[sizeof(void *) > 8 ? sizeof(void *) : 8];
    memcpy(kept, a, bytes);
    memcpy(a, b, bytes);
    memcpy(b, kept, bytes);
}

/* What only the file says goes to the record of the words; in exchange, so that each tree still owns what it frees. */
static void merge(struct wr_receive_loaded *loaded) {
    for (const struct wr_yaml_field *field = wr_receive_fields; field->key; field++) {
        if (wr_yaml_present(&loaded->words, field->key) || !wr_yaml_present(&loaded->file, field->key))
            continue;
        char *words = loaded->words.record;
        char *file = loaded->file.record;
        swap(words + field->offset, file + field->offset, bytes_of(field->kind));
        if (field->kind == WR_YAML_STRINGS)
            swap(words + field->count_offset, file + field->count_offset, sizeof(unsigned));
    }
}

/* Paths of the file are relative to its directory; those of the words to where we are. */
static enum wr_result resolve(struct wr_receive_options *options, const char *directory) {
    char **const paths[] = {&options->password_file,         &options->ca,  &options->cert,  &options->key,
                            &options->key_password_file,     &options->crl, &options->state, &options->quarantine,
                            &options->postgres_password_file};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        WR_TRY(wr_config_resolve(paths[i], directory));
    if (!options->to || strncmp(options->to, "file:", 5) != 0 || options->to[5] == '/' || options->to[5] == '\0')
        return WR_OK;
    char *to;
    if (asprintf(&to, "file:%s/%s", directory, options->to + 5) < 0)
        return WR_NO_MEMORY;
    free(options->to);
    options->to = to;
    return WR_OK;
}

static enum wr_result load_file(const char *file, struct wr_receive_loaded *loaded, struct wr_diagnostics *diagnostics,
                                struct wr_error *err) {
    if (!file)
        return WR_OK;
    WR_TRY(wr_yaml_load_file(file, wr_receive_fields, sizeof(struct wr_receive_options), diagnostics, &loaded->file, err));
    const char *slash = strrchr(file, '/');
    if (!slash)
        return WR_OK;
    char *directory = strndup(file, (size_t)(slash - file));
    const enum wr_result result = directory ? resolve(loaded->file.record, directory[0] ? directory : "/") : WR_NO_MEMORY;
    free(directory);
    return result == WR_OK ? WR_OK : wr_error_set(err, result, "%s: no memory", file);
}

static enum wr_result load_words(int argc, char **argv, struct wr_receive_loaded *loaded, struct wr_diagnostics *diagnostics,
                                 struct wr_error *err) {
    struct wr_buf text;
    wr_buf_init(&text, 0);
    enum wr_result result = words_as_yaml(argc, argv, &text, err);
    if (result == WR_OK)
        result = wr_yaml_load_text(WORDS, wr_buf_str(&text), text.len, wr_receive_fields, sizeof(struct wr_receive_options), diagnostics,
                                   &loaded->words, err);
    else if (result == WR_INVALID)
        wr_diagnostics_add(diagnostics, WR_DIAGNOSTIC_ERROR, WR_YAML_W_UNKNOWN_KEY, WORDS, NULL, 0, (struct wr_position){0},
                           "weir-receive --help", "%s", err->text);
    wr_buf_fini(&text);
    return result;
}

enum wr_result wr_receive_options_load(const char *file, int argc, char **argv, bool connect, struct wr_receive_loaded *ret_loaded,
                                       struct wr_buf *problems, struct wr_error *err) {
    struct wr_receive_loaded loaded = {0};
    struct wr_diagnostics diagnostics;
    wr_diagnostics_init(&diagnostics);
    enum wr_result result = load_file(file, &loaded, &diagnostics, err);
    const enum wr_result words = load_words(argc, argv, &loaded, &diagnostics, err);
    if (result == WR_OK || (result == WR_INVALID && words != WR_OK))
        result = words;
    if (result == WR_OK) {
        loaded.options = loaded.words.record;
        if (file)
            merge(&loaded);
        result = wr_receive_options_check(&loaded, connect, &diagnostics, err);
    }
    if (result == WR_OK && diagnostics.errors > 0)
        result = wr_error_set(err, WR_INVALID, "%zu errors", diagnostics.errors);
    if (diagnostics.n > 0 && wr_diagnostics_render(&diagnostics, WR_DIAGNOSTICS_TEXT, problems) != WR_OK && result == WR_OK)
        result = wr_error_set(err, WR_NO_MEMORY, "no memory");
    wr_diagnostics_fini(&diagnostics);
    if (result == WR_OK)
        *ret_loaded = loaded;
    else
        wr_receive_options_free(&loaded);
    return result;
}

void wr_receive_options_free(struct wr_receive_loaded *loaded) {
    if (loaded->words.record)
        wr_yaml_free(&loaded->words);
    if (loaded->file.record)
        wr_yaml_free(&loaded->file);
    *loaded = (struct wr_receive_loaded){0};
}

/* -- help ------------------------------------------------------------------------------------------------------------------------------------------- */

void wr_receive_options_help(FILE *to) {
    for (const struct wr_yaml_field *field = wr_receive_fields; field->key; field++) {
        char word[40];
        (void)snprintf(word, sizeof word, "--%s", field->key);
        for (char *c = word; *c; c++)
            *c = *c == '_' ? '-' : *c;
        fprintf(to, "  %-26s ", word);
        for (const char *c = field->help; *c; c++)
            if (*c != '`')
                fputc(*c, to);
        if (field->fallback && field->fallback[0])
            fprintf(to, " (%s)", field->fallback);
        fputc('\n', to);
    }
}

enum wr_result wr_receive_options_reference(struct wr_buf *into) {
    WR_TRY(wr_buf_text(into, "| key | default | |\n|---|---|---|\n"));
    for (const struct wr_yaml_field *field = wr_receive_fields; field->key; field++) {
        WR_TRY(wr_buf_printf(into, "| `%s` | ", field->key));
        if (field->fallback && field->fallback[0])
            WR_TRY(wr_buf_printf(into, "`%s` ", field->fallback));
        WR_TRY(wr_buf_printf(into, "| %s |\n", field->help));
    }
    return WR_OK;
}
