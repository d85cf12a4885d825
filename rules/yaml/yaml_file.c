#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "rules/yaml/yaml_private.h"

void wr_yaml_record_fini(void *record, const struct wr_yaml_field *fields) {
    for (const struct wr_yaml_field *field = fields; field->key; field++) {
        char *at = (char *)record + field->offset;
        void *held = NULL;
        unsigned n = 0;
        if (field->kind == WR_YAML_STRING || field->kind >= WR_YAML_RECORD)
            memcpy(&held, at, sizeof held);
        if (field->kind == WR_YAML_STRINGS || field->kind == WR_YAML_RECORDS)
            memcpy(&n, (char *)record + field->count_offset, sizeof n);
        if (field->kind == WR_YAML_RECORD && held)
            wr_yaml_record_fini(held, field->fields);
        for (unsigned i = 0; held && i < n; i++)
            if (field->kind == WR_YAML_RECORDS)
                wr_yaml_record_fini((char *)held + i * field->record_bytes, field->fields);
            else
                free(((char **)held)[i]);
        free(held);
    }
}

void wr_yaml_free(struct wr_yaml *yaml) {
    if (yaml->record)
        wr_yaml_record_fini(yaml->record, yaml->fields);
    free(yaml->record);
    free(yaml->places);
    free(yaml->text);
    free(yaml->file);
    *yaml = (struct wr_yaml){0};
}

static enum wr_result read_text(const char *file, struct wr_buf *text, struct wr_error *err) {
    enum wr_result result = WR_OK;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        result = wr_error_set(err, WR_IO, "%s: %s", file, strerror(errno));
    else if ((result = wr_file_read_all(fd, WR_YAML_BYTES, text, err)) != WR_OK && err)
        result = wr_error_wrap(err, "%s", file);
    if (fd >= 0)
        close(fd);
    return result;
}

enum wr_result wr_yaml_load_file(const char *file, const struct wr_yaml_field *fields, size_t record_bytes,
                                 struct wr_diagnostics *diagnostics, struct wr_yaml *ret_yaml, struct wr_error *err) {
    struct wr_buf text;
    wr_buf_init(&text, 0);
    enum wr_result result = read_text(file, &text, err);
    if (result == WR_OK)
        result = wr_yaml_load_text(file, text.data ? (char *)text.data : "", text.len, fields, record_bytes, diagnostics, ret_yaml, err);
    wr_buf_fini(&text);
    return result;
}

enum wr_result wr_yaml_load_file_parts(const char *file, const struct wr_yaml_field *fields, size_t record_bytes,
                                       struct wr_diagnostics *diagnostics, struct wr_yaml *ret_yaml, struct wr_error *err) {
    struct wr_buf text;
    wr_buf_init(&text, 0);
    enum wr_result result = read_text(file, &text, err);
    if (result == WR_OK)
        result =
            wr_yaml_load_text_parts(file, text.data ? (char *)text.data : "", text.len, fields, record_bytes, diagnostics, ret_yaml, err);
    wr_buf_fini(&text);
    return result;
}
