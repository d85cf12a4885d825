/* Durations, sizes, severities and levels from a config: any text gives a value or a reason, and a duration comes back. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/alarm.h"
#include "core/log.h"
#include "core/quantity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds) {
    if (!holds)
        abort();
}

static void reason(enum wr_result result, const struct wr_error *err) {
    must(result == WR_INVALID && err->code == WR_INVALID && err->text[0] != '\0' && strlen(err->text) < sizeof err->text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    must(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';

    struct wr_error err = {0};
    int64_t ns = -1;
    enum wr_result result = wr_quantity_duration(text, &ns, &err);
    if (result == WR_OK) {
        char written[64];
        int64_t back = -1;
        must(ns >= 0);
        wr_quantity_format_duration(written, sizeof written, ns);
        must(wr_quantity_duration(written, &back, NULL) == WR_OK && back == ns);
    } else {
        reason(result, &err);
    }
    uint64_t bytes = 0;
    result = wr_quantity_size(text, &bytes, &err);
    if (result == WR_OK) {
        char written[32];
        wr_quantity_format_size(written, sizeof written, bytes);
        must(strlen(written) < 12);
    } else {
        reason(result, &err);
    }
    enum wr_severity severity;
    result = wr_severity_parse(text, &severity, &err);
    if (result != WR_OK)
        reason(result, &err);
    enum wr_log_level level;
    result = wr_log_level_parse(text, &level, &err);
    if (result != WR_OK)
        reason(result, &err);
    free(text);
    return 0;
}
