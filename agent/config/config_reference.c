/* The reference of all keys, from the schema: docs/configuration.md. */
#include <ctype.h>
#include <string.h>

#include "agent/config/config_private.h"
#include "core/quantity.h"

static const char head[] =
    "# Configuration\n"
    "\n"
    "Made from `agent/config/config_schema.c`; `weir check -c FILE` says what a file means. The smallest useful file:\n"
    "\n"
    "```yaml\n"
    "node: {id: gw-7}\n"
    "sources:\n"
    "  - {name: floor, kind: line, listen: \"tcp://127.0.0.1:8094\"}\n"
    "windows:\n"
    "  - {name: m1, every: 1m}\n"
    "```\n"
    "\n"
    "- YAML with fixed keys; an unknown key is an error. No anchors, aliases or tags; one document a file, at most 4 MiB, UTF-8.\n"
    "- In `{ }` and `[ ]` a text with one of `, { } [ ]` in it needs quotes: `of: \"temp{room=A1}\"`.\n"
    "- Durations are written `250ms`, `5s`, `1m30s`, `2h`, `7d`; sizes `512kB`, `64MB` (10^6) or `1MiB` (2^20). Every one carries its "
    "unit.\n"
    "- A relative path resolves against the directory of the configuration file.\n"
    "- SIGHUP reads the file again: sources, windows, rules, uplink and http that did not change keep running. A change of `node`, "
    "`store`,\n"
    "  `control`, or of `max_series`, `max_symbols` or `worker_threads` in `limits` needs a restart; then the reload is refused and "
    "nothing\n"
    "  changes. A file with an error changes nothing.\n";

static enum wr_result write_default(struct wr_buf *into, const struct wr_yaml_field *field) {
    if (field->required)
        return wr_buf_text(into, "**needed**");
    if (field->fallback && strcmp(field->fallback, "{}") != 0)
        return wr_buf_printf(into, "`%s`", field->fallback);
    return WR_OK;
}

static enum wr_result write_table(struct wr_buf *into, const struct wr_yaml_field *fields) {
    WR_TRY(wr_buf_text(into, "\n| key | value | default | |\n|---|---|---|---|\n"));
    for (const struct wr_yaml_field *field = fields; field->key; field++) {
        WR_TRY(wr_buf_printf(into, "| `%s` | ", field->key));
        WR_TRY(wr_yaml_write_kind(field, into));
        WR_TRY(wr_buf_text(into, " | "));
        WR_TRY(write_default(into, field));
        WR_TRY(wr_buf_printf(into, " | %s |\n", field->help));
    }
    return WR_OK;
}

/* A heading for each section and list of records, with its keys; those inside it follow. */
static enum wr_result write_sections(struct wr_buf *into, const struct wr_yaml_field *fields, const char *prefix) {
    for (const struct wr_yaml_field *field = fields; field->key; field++) {
        if (field->kind != WR_YAML_RECORD && field->kind != WR_YAML_RECORDS)
            continue;
        struct wr_buf path;
        wr_buf_init(&path, 0);
        enum wr_result result = wr_buf_printf(&path, "%s%s%s", prefix, field->key, field->kind == WR_YAML_RECORDS ? "[]" : "");
        if (result == WR_OK)
            result = wr_buf_printf(into, "\n## %s\n\n%c%s.\n", wr_buf_str(&path), toupper((unsigned char)field->help[0]), field->help + 1);
        if (result == WR_OK)
            result = write_table(into, field->fields);
        if (result == WR_OK && (result = wr_buf_text(&path, ".")) == WR_OK)
            result = write_sections(into, field->fields, wr_buf_str(&path));
        wr_buf_fini(&path);
        WR_TRY(result);
    }
    return WR_OK;
}

enum wr_result wr_config_reference_markdown(struct wr_buf *into) {
    WR_TRY(wr_buf_text(into, head));
    WR_TRY(write_table(into, wr_config_fields));
    return write_sections(into, wr_config_fields, "");
}
