#include "agent/sources/sample.h"

#include <math.h>
#include <string.h>

static void put_word(struct wr_sample *sample, const char *text, size_t len) {
    if (sample->too_long || len + 1 > sizeof sample->origin - sample->len) {
        sample->too_long = true;
        return;
    }
    memcpy(sample->origin + sample->len, text, len);
    sample->origin[sample->len + len] = '\0';
    sample->len += len + 1;
}

void wr_sample_begin(struct wr_sample *sample, const char *measurement) {
    sample->len = 0;
    sample->n = 0;
    sample->too_long = false;
    put_word(sample, measurement, strlen(measurement));
}

void wr_sample_tag_word(struct wr_sample *sample, struct wr_word name, struct wr_word value) {
    if (name.len == 0 || value.len == 0)
        return;
    put_word(sample, name.text, name.len);
    put_word(sample, value.text, value.len);
}

void wr_sample_tag(struct wr_sample *sample, const char *name, const char *value) {
    wr_sample_tag_word(sample, (struct wr_word){name, strlen(name)}, (struct wr_word){value, strlen(value)});
}

static void put_field(struct wr_sample *sample, const char *name, const struct wr_field *field) {
    if (sample->n == WR_SAMPLE_FIELDS)
        return;
    sample->fields[sample->n] = *field;
    sample->fields[sample->n++].name = (struct wr_word){name, strlen(name)};
}

void wr_sample_float(struct wr_sample *sample, const char *field, double value, uint8_t decimals) {
    static const double scales[] = {1, 10, 100, 1000, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
    struct wr_field it = {.type = WR_TYPE_FLOAT, .decimals = WR_DECIMALS_UNKNOWN};
    if (!isfinite(value)) {
        it.quality = WR_QUALITY_BAD;
    } else if (decimals < sizeof scales / sizeof scales[0] && fabs(value) < 1e15 / scales[decimals]) {
        it.value.f = round(value * scales[decimals]) / scales[decimals];
        it.decimals = decimals;
    } else {
        it.value.f = value;
    }
    put_field(sample, field, &it);
}

void wr_sample_uint(struct wr_sample *sample, const char *field, uint64_t value) {
    put_field(sample, field, &(struct wr_field){.type = WR_TYPE_UINT, .value.u = value, .decimals = WR_DECIMALS_UNKNOWN});
}

void wr_sample_bool(struct wr_sample *sample, const char *field, bool value) {
    put_field(sample, field, &(struct wr_field){.type = WR_TYPE_BOOL, .value.u = value, .decimals = WR_DECIMALS_UNKNOWN});
}

static struct wr_word next_word(const char **at) {
    const struct wr_word word = {*at, strlen(*at)};
    *at += word.len + 1;
    return word;
}

static enum wr_result names(const struct wr_record *record, const struct wr_field *field, struct wr_names *into,
                            struct wr_refusal *refusal) {
    const char *at = record->origin.text;
    const char *end = at + record->origin.len;
    into->measurement = next_word(&at);
    into->field = field->name;
    into->n_tags = 0;
    while (at < end) {
        const struct wr_word name = next_word(&at);
        const struct wr_word value = next_word(&at);
        if (into->n_tags == WR_SERIES_TAGS) {
            wr_refusal_set(refusal, WR_BOOK_REJECTED_SYNTAX, 0, "", "", "more than %d tags", WR_SERIES_TAGS);
            return WR_LIMIT;
        }
        into->tags[into->n_tags++] = (struct wr_tag){name, value};
    }
    return WR_OK;
}

/* The intake knows how far it came with a record that found no room. */
void wr_sample_send(struct wr_sample *sample) {
    const struct wr_record record = {.origin = {sample->origin, sample->len},
                                     .time_ns = WR_EVENT_NONE,
                                     .fields = sample->fields,
                                     .n_fields = sample->n,
                                     .start = sample->origin,
                                     .names = names};
    if (sample->n == 0)
        return;
    if (sample->too_long || sample->unsent > 0) {
        sample->unsent += sample->unsent > 0;
        return;
    }
    struct wr_intake *intake = sample->intake;
    while (intake->sink.record(intake->sink.user, &record) == WR_FULL) {
        struct wr_context *context;
        enum wr_result waited = wr_context_new(sample->context, sample->wait_until_boot_ns, 0, &context, NULL);
        if (waited == WR_OK) {
            waited = wr_intake_wait(intake, context);
            wr_context_unref(context);
        }
        if (waited != WR_OK) {
            intake->fields_taken = 0;
            sample->unsent++;
            return;
        }
    }
}
