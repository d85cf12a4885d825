#include "agent/codec/extra.h"

#include <string.h>

static bool same_word(struct wr_word a, struct wr_word b) {
    return a.len == b.len && memcmp(a.text, b.text, a.len) == 0;
}

/* -- names: only for series that are not known yet ------------------------------------------------------------------------------------ */

static enum wr_result put_tag(struct wr_names *names, const struct wr_tag *tag, const struct wr_record *record,
                              struct wr_refusal *ret_refusal) {
    for (size_t i = 0; i < names->n_tags; i++) {
        if (same_word(names->tags[i].name, tag->name)) {
            names->tags[i].value = tag->value;
            return WR_OK;
        }
    }
    if (names->n_tags == WR_SERIES_TAGS) {
        wr_refusal_set(ret_refusal, WR_BOOK_REJECTED_TOO_LONG, record->line, record->start, record->start,
                       "more than 32 tags, those of the source counted");
        return WR_LIMIT;
    }
    names->tags[names->n_tags++] = *tag;
    return WR_OK;
}

static enum wr_result names(const struct wr_record *record, const struct wr_field *field, struct wr_names *into,
                            struct wr_refusal *ret_refusal) {
    const struct wr_extra *extra = record->codec;
    WR_TRY(extra->inner->names(extra->inner, field, into, ret_refusal));
    if (extra->measurement.len > 0)
        into->measurement = extra->measurement;
    for (size_t i = 0; i < extra->n_tags; i++)
        WR_TRY(put_tag(into, &extra->tags[i], record, ret_refusal));
    return WR_OK;
}

/* -- the sink ------------------------------------------------------------------------------------------------------------------------ */

static enum wr_result take_record(void *user, const struct wr_record *record) {
    struct wr_extra *extra = user;
    struct wr_buf *origin = &extra->origin;
    if (extra->prefix == 0)
        return extra->to->record(extra->to->user, record);
    origin->len = extra->prefix;
    if (wr_buf_append(origin, record->origin.text, record->origin.len) != WR_OK) {
        struct wr_refusal refusal;
        wr_refusal_set(&refusal, WR_BOOK_REJECTED_MEMORY, record->line, record->start, record->start, "no memory for the record");
        extra->to->refused(extra->to->user, &refusal);
        return WR_OK;
    }
    struct wr_record outer = *record;
    outer.origin = (struct wr_word){(const char *)origin->data, origin->len};
    outer.codec = extra;
    outer.names = names;
    extra->inner = record;
    return extra->to->record(extra->to->user, &outer);
}

static void take_refusal(void *user, const struct wr_refusal *refusal) {
    struct wr_extra *extra = user;
    extra->to->refused(extra->to->user, refusal);
}

static enum wr_result take_object(void *user, const char *json, size_t len) {
    struct wr_extra *extra = user;
    return extra->to->object(extra->to->user, json, len);
}

/* -- life ---------------------------------------------------------------------------------------------------------------------------- */

void wr_extra_init(struct wr_extra *extra, const struct wr_sink *to) {
    extra->to = to;
    extra->sink =
        (struct wr_sink){.record = take_record, .refused = take_refusal, .object = to->object ? take_object : NULL, .user = extra};
    extra->measurement = (struct wr_word){"", 0};
    extra->n_tags = 0;
    extra->prefix = 0;
    wr_buf_init(&extra->origin, 0);
}

void wr_extra_fini(struct wr_extra *extra) {
    wr_buf_fini(&extra->origin);
}

/* Copies a word into extra->words, a NUL behind it. */
static bool copy_word(struct wr_extra *extra, size_t *used, struct wr_word word, struct wr_word *ret_copy) {
    if (word.len >= sizeof extra->words - *used)
        return false;
    char *into = extra->words + *used;
    if (word.len > 0)
        memcpy(into, word.text, word.len);
    into[word.len] = '\0';
    *used += word.len + 1;
    *ret_copy = (struct wr_word){into, word.len};
    return true;
}

static bool copy_words(struct wr_extra *extra, struct wr_word measurement, const struct wr_tag *tags, size_t n_tags, size_t *ret_used) {
    size_t used = 0;
    if (!copy_word(extra, &used, measurement, &extra->measurement))
        return false;
    for (size_t i = 0; i < n_tags; i++) {
        if (tags[i].value.len == 0)
            continue;
        struct wr_tag *copy = &extra->tags[extra->n_tags];
        if (extra->n_tags == WR_SERIES_TAGS || !copy_word(extra, &used, tags[i].name, &copy->name) ||
            !copy_word(extra, &used, tags[i].value, &copy->value))
            return false;
        extra->n_tags++;
    }
    *ret_used = used;
    return true;
}

enum wr_result wr_extra_set(struct wr_extra *extra, struct wr_word measurement, const struct wr_tag *tags, size_t n_tags) {
    size_t used = 0;
    extra->n_tags = 0;
    extra->prefix = 0;
    enum wr_result result = copy_words(extra, measurement, tags, n_tags, &used) ? WR_OK : WR_LIMIT;
    /* The words, then a NUL: an empty name, which no tag has. So where the words end and the record's own origin begins is never in doubt. */
    extra->origin.len = 0;
    if (result == WR_OK)
        result = wr_buf_append(&extra->origin, extra->words, used);
    if (result == WR_OK)
        result = wr_buf_append(&extra->origin, "", 1);
    if (result == WR_OK) {
        extra->prefix = extra->origin.len;
        return WR_OK;
    }
    extra->measurement = (struct wr_word){"", 0};
    extra->n_tags = 0;
    return result;
}
