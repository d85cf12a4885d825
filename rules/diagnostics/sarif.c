#include "rules/diagnostics/sarif.h"

#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "rules/diagnostics/diagnostic_codes.h"

#define SCHEMA "https://json.schemastore.org/sarif-2.1.0.json"
#define ADDRESS_BYTES 512

/* The codes that occur, each once, in the order in which they do. */
struct codes {
    unsigned list[WR_DIAGNOSTICS_MAX];
    size_t n;
};

static size_t index_of(const struct codes *codes, unsigned code) {
    size_t i = 0;
    while (i < codes->n && codes->list[i] != code)
        i++;
    return i;
}

static void collect(const struct wr_diagnostics *diagnostics, struct codes *codes) {
    codes->n = 0;
    for (size_t i = 0; i < diagnostics->n; i++)
        if (index_of(codes, diagnostics->list[i].code) == codes->n)
            codes->list[codes->n++] = diagnostics->list[i].code;
}

static const char *level_name(enum wr_diagnostic_level level) {
    return level == WR_DIAGNOSTIC_ERROR ? "error" : "warning";
}

static void write_text(struct wr_json *json, const char *name, const char *text) {
    wr_json_object(json, name);
    wr_json_string(json, "text", text);
    wr_json_object_end(json);
}

static void write_address(struct wr_json *json, const char *name, const struct wr_diagnostic_code *known) {
    struct wr_buf address;
    wr_buf_init(&address, ADDRESS_BYTES);
    if (wr_diagnostic_codes_address(known, &address) != WR_OK)
        json->failed = WR_NO_MEMORY;
    wr_json_string(json, name, wr_buf_str(&address));
    wr_buf_fini(&address);
}

static void write_rule(struct wr_json *json, unsigned code) {
    const struct wr_diagnostic_code *known = wr_diagnostic_codes_find(code);
    char id[16];
    snprintf(id, sizeof id, "W%03u", code);
    wr_json_object(json, NULL);
    wr_json_string(json, "id", id);
    write_text(json, "shortDescription", known ? known->summary : id);
    if (known && known->advice[0])
        write_text(json, "help", known->advice);
    write_address(json, "helpUri", known);
    wr_json_object_end(json);
}

static void write_driver(struct wr_json *json, const struct codes *codes) {
    wr_json_object(json, "tool");
    wr_json_object(json, "driver");
    wr_json_string(json, "name", "weir check");
    wr_json_string(json, "semanticVersion", WEIR_VERSION);
    write_address(json, "informationUri", NULL);
    wr_json_array(json, "rules");
    for (size_t i = 0; i < codes->n; i++)
        write_rule(json, codes->list[i]);
    wr_json_array_end(json);
    wr_json_object_end(json);
    wr_json_object_end(json);
}

/* A path as a URI reference; one from the root as an address. */
static void write_uri(struct wr_json *json, const char *path) {
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
    struct wr_buf uri;
    wr_buf_init(&uri, 0);
    enum wr_result result = path[0] == '/' ? wr_buf_text(&uri, "file://") : WR_OK;
    for (const char *c = path; *c && result == WR_OK; c++)
        result = strchr(plain, *c) ? wr_buf_append(&uri, c, 1) : wr_buf_printf(&uri, "%%%02X", (unsigned)(unsigned char)*c);
    if (result != WR_OK)
        json->failed = result;
    wr_json_string(json, "uri", wr_buf_str(&uri));
    wr_buf_fini(&uri);
}

/* What concerns a file as a whole is shown at its first line. */
static void write_region(struct wr_json *json, const struct wr_position *at) {
    wr_json_object(json, "region");
    wr_json_uint(json, "startLine", at->line > 0 ? at->line : 1);
    if (at->line > 0 && at->column > 0)
        wr_json_uint(json, "startColumn", at->column);
    if (at->line > 0 && at->column > 0 && at->length > 0)
        wr_json_uint(json, "endColumn", at->column + at->length); /* the character behind it */
    wr_json_object_end(json);
}

static void write_result(struct wr_json *json, const struct wr_diagnostic *entry, size_t rule) {
    char id[16], message[2 * WR_ERROR_TEXT_BYTES + 4];
    snprintf(id, sizeof id, "W%03u", entry->code);
    snprintf(message, sizeof message, "%s%s%s", entry->message, entry->hint ? ": " : "", entry->hint ? entry->hint : "");
    wr_json_object(json, NULL);
    wr_json_string(json, "ruleId", id);
    wr_json_uint(json, "ruleIndex", rule);
    wr_json_string(json, "level", level_name(entry->level));
    write_text(json, "message", message);
    wr_json_array(json, "locations");
    wr_json_object(json, NULL);
    wr_json_object(json, "physicalLocation");
    wr_json_object(json, "artifactLocation");
    write_uri(json, entry->file);
    wr_json_object_end(json);
    write_region(json, &entry->at);
    wr_json_object_end(json);
    wr_json_object_end(json);
    wr_json_array_end(json);
    wr_json_object_end(json);
}

/* That the run came to its end, and what the list had no room for. */
static void write_invocation(struct wr_json *json, const struct wr_diagnostics *diagnostics) {
    size_t more = diagnostics->errors + diagnostics->warnings - diagnostics->n;
    char text[80];
    snprintf(text, sizeof text, "%zu more findings are not listed", more);
    wr_json_array(json, "invocations");
    wr_json_object(json, NULL);
    wr_json_bool(json, "executionSuccessful", true);
    if (more > 0) {
        wr_json_array(json, "toolExecutionNotifications");
        wr_json_object(json, NULL);
        wr_json_string(json, "level", "warning");
        write_text(json, "message", text);
        wr_json_object_end(json);
        wr_json_array_end(json);
    }
    wr_json_object_end(json);
    wr_json_array_end(json);
}

enum wr_result wr_sarif_render(const struct wr_diagnostics *diagnostics, struct wr_buf *into) {
    struct codes codes;
    struct wr_json json;
    collect(diagnostics, &codes);
    wr_json_begin(&json, into);
    wr_json_object(&json, NULL);
    wr_json_string(&json, "$schema", SCHEMA);
    wr_json_string(&json, "version", "2.1.0");
    wr_json_array(&json, "runs");
    wr_json_object(&json, NULL);
    write_driver(&json, &codes);
    write_invocation(&json, diagnostics);
    wr_json_string(&json, "columnKind", "unicodeCodePoints");
    wr_json_array(&json, "results");
    for (size_t i = 0; i < diagnostics->n; i++)
        write_result(&json, &diagnostics->list[i], index_of(&codes, diagnostics->list[i].code));
    wr_json_array_end(&json);
    wr_json_object_end(&json);
    wr_json_array_end(&json);
    wr_json_object_end(&json);
    WR_TRY(wr_json_end(&json));
    return wr_buf_text(into, "\n");
}
