/* Any bytes as a zone file, or (first byte odd) as the rule at the end of one. What is read answers every question within its promises. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/timezone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good) {
    if (!good)
        abort();
}

/* A zone file of version 2 without transitions, with this rule. */
static size_t rule_file(uint8_t *into, const uint8_t *rule, size_t len) {
    size_t at = 0;
    for (int block = 0; block < 2; block++) {
        memset(into + at, 0, 44);
        memcpy(into + at, "TZif2", 5);
        into[at + 20 + 19] = (uint8_t)block; /* types */
        at += 44;
    }
    memset(into + at, 0, 6);
    at += 6;
    into[at++] = '\n';
    memcpy(into + at, rule, len);
    at += len;
    into[at++] = '\n';
    return at;
}

static void ask(const struct wr_timezone *zone) {
    static const int64_t moments[] = {-9000000000, -1, 0, 1700000000, 1711846800, 1729994400, 2147483648, 4102444800, 9000000000};
    for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++) {
        const int64_t at_s = moments[i];
        const int64_t change_s = wr_timezone_next_change(zone, at_s);
        must(change_s > at_s);
        must(wr_timezone_offset(zone, at_s) >= -26 * 3600 && wr_timezone_offset(zone, at_s) <= 26 * 3600);
        (void)wr_timezone_to_utc(zone, at_s);
        const int64_t reached_s = wr_timezone_reaches(zone, at_s);
        must(reached_s + wr_timezone_offset(zone, reached_s) >= at_s);
        must(reached_s <= wr_timezone_reaches(zone, at_s + 1));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    struct wr_timezone *zone = NULL;
    struct wr_error err;
    enum wr_result result;
    if (data[0] & 1) {
        uint8_t file[512];
        const size_t len = size - 1 < 256 ? size - 1 : 256;
        result = wr_timezone_parse(file, rule_file(file, data + 1, len), &zone, &err);
    } else {
        result = wr_timezone_parse(data + 1, size - 1, &zone, &err);
    }
    if (result == WR_OK)
        ask(zone);
    else
        must(result == WR_CORRUPT || result == WR_UNSUPPORTED);
    wr_timezone_free(zone);
    return 0;
}
