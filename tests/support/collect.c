#include "tests/support/collect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/record_json.h"

static void refused(void *user, const struct wr_refusal *refusal) {
    struct wr_collect *collect = user;
    collect->refusals++;
    assert_int_equal(wr_buf_printf(&collect->text, "!%llu:%u %s: %s\n", (unsigned long long)refusal->line, refusal->column,
                                   wr_book_name(refusal->reason), refusal->message),
                     WR_OK);
}

static enum wr_result record(void *user, const struct wr_record *taken) {
    struct wr_collect *collect = user;
    if (collect->full_every > 0 && ++collect->offers % collect->full_every == 0)
        return WR_FULL;
    for (size_t i = 0; i < taken->n_fields; i++) {
        const struct wr_field *field = &taken->fields[i];
        char key[WR_SERIES_KEY_BYTES];
        size_t len;
        struct wr_refusal refusal;
        if (wr_record_key(taken, field, key, &len, &refusal) != WR_OK) {
            refused(collect, &refusal);
            return WR_OK;
        }
        const struct wr_reading reading = wr_record_reading(taken, field, WR_EVENT_NONE);
        struct wr_json json;
        wr_json_begin(&json, &collect->text);
        wr_record_reading_json(&json, key, len, &reading, field->text.text, field->text.len);
        assert_int_equal(wr_json_end(&json), WR_OK);
        assert_int_equal(wr_buf_append(&collect->text, "\n", 1), WR_OK);
        const char digit = reading.decimals <= 15 ? "0123456789abcdef"[reading.decimals] : '-';
        assert_int_equal(wr_buf_append(&collect->decimals, &digit, 1), WR_OK);
        collect->readings++;
    }
    return WR_OK;
}

static enum wr_result object(void *user, const char *json, size_t len) {
    struct wr_collect *collect = user;
    assert_int_equal(wr_buf_append(&collect->text, json, len), WR_OK);
    assert_int_equal(wr_buf_append(&collect->text, "\n", 1), WR_OK);
    return WR_OK;
}

void wr_collect_init(struct wr_collect *collect) {
    *collect = (struct wr_collect){.sink = {.record = record, .refused = refused, .object = object, .user = collect}};
    wr_buf_init(&collect->text, 0);
    wr_buf_init(&collect->decimals, 0);
}

void wr_collect_fini(struct wr_collect *collect) {
    wr_buf_fini(&collect->text);
    wr_buf_fini(&collect->decimals);
}

void wr_collect_clear(struct wr_collect *collect) {
    wr_buf_clear(&collect->text);
    wr_buf_clear(&collect->decimals);
    collect->readings = collect->refusals = collect->offers = 0;
}

void wr_collect_feed(struct wr_collect *collect, wr_codec_stream_feed *feed, void *codec, const char *text, size_t len, size_t cut,
                     size_t step) {
    uint64_t line = 0;
    size_t from = 0;
    size_t to = cut < len ? cut : len;
    for (;;) {
        /* A copy of exactly these bytes, so that a sanitizer sees every read outside of them. */
        const size_t n = to - from;
        char *piece = malloc(n ? n : 1);
        assert_non_null(piece);
        memcpy(piece, text + from, n);
        size_t consumed = SIZE_MAX;
        const enum wr_result result =
            feed(codec, piece, n, to == len, &line, collect->around ? collect->around : &collect->sink, &consumed);
        free(piece);
        assert_true(consumed <= n);
        from += consumed;
        if (result == WR_FULL)
            continue;
        if (result != WR_OK || to == len)
            break;
        to = step == 0 || len - to < step ? len : to + step;
    }
    (void)from;
}

const char *wr_collect_without_columns(struct wr_collect *collect) {
    char *into = (char *)collect->text.data;
    for (const char *p = into; *p; p++) {
        *into++ = *p;
        if (*p == ':' && p[1] >= '1' && p[1] <= '9' && strstr(p, " rejected(") == p + 1 + strspn(p + 1, "0123456789"))
            p += strspn(p + 1, "0123456789");
    }
    *into = '\0';
    return wr_buf_str(&collect->text);
}
