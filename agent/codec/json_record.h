/* A record being put together from the members of a JSON object, and handed to the sink when all of them are there.
 *
 * The members come one by one, each a scalar that was checked, as written; what they mean tells the slot of the mapping. Nothing is copied but what
 * `origin` needs: the words of measurement and tags as written, a NUL behind each, so that equal bytes mean equal series.
 * Values: a number is a float; a whole number that no float holds exactly is an int or uint. With a type: exactly that type, or refused; a text that
 * holds a number is one. A number out of the range of a float, and a null with a type, is a reading of bad quality; a null without a type is none.
 * Tags: texts, numbers as written, true, false; null and "" are no tag. Quality: good, uncertain, bad (in any case), true (good), false (bad), for all
 * fields of the record.
 *
 * Threads: one at a time. Ownership: caller's memory, init/fini; the mapping outlives it. Limits: WR_JSON_RECORD_FIELDS fields.
 */
#ifndef WEIR_AGENT_CODEC_JSON_RECORD_H
#define WEIR_AGENT_CODEC_JSON_RECORD_H

#include "agent/codec/json_mapping.h"
#include "agent/codec/record.h"
#include "core/buf.h"

#define WR_JSON_RECORD_FIELDS 1024

struct wr_json_record {
    const struct wr_json_mapping *mapping;
    struct wr_word measurement;                  /* when the mapping and the object have none */
    struct wr_word words[WR_JSON_MAPPING_WORDS]; /* as written; text NULL: not there */
    struct wr_word root_words[WR_JSON_MAPPING_WORDS];
    int64_t time_ns;
    int64_t root_time_ns;
    uint8_t quality;
    uint8_t root_quality;
    bool escapes;       /* some text of a field has a backslash */
    uint32_t n_members; /* fields that were there, nulls too */
    uint32_t n_fields;
    const char *problem; /* why the record cannot be taken; NULL: it can */
    const char *problem_at;
    enum wr_book problem_reason;
    struct wr_buf origin;
    struct wr_buf texts;
    struct wr_refusal refusal;
    struct wr_field fields[WR_JSON_RECORD_FIELDS];
};

/* measurement: the caller's, outlives the record. */
void wr_json_record_init(struct wr_json_record *record, const struct wr_json_mapping *mapping, const char *measurement);
void wr_json_record_fini(struct wr_json_record *record);

/* Forgets what stands beside the records too: before each whole value. */
void wr_json_record_forget_root(struct wr_json_record *record);
/* What was put together so far stands beside the records: it is the beginning of each from now on. */
void wr_json_record_keep_root(struct wr_json_record *record);
/* Begins the next record. */
void wr_json_record_begin(struct wr_json_record *record);

/* Takes a scalar, as written. name: of the field, if it is one of no slot (slot NULL). False: problem is set. */
bool wr_json_record_take(struct wr_json_record *record, const struct wr_json_slot *slot, struct wr_word name, struct wr_word word);
/* Notes why the record cannot be taken, if it is the first reason. Returns false. */
bool wr_json_record_refuse(struct wr_json_record *record, enum wr_book reason, const char *at, const char *problem);

/* Hands the record to the sink, or its problem. object: what it was read from; start, line: where. WR_OK, also for a refusal; WR_FULL or a failure of
 * the sink. */
WR_MUST_USE enum wr_result wr_json_record_emit(struct wr_json_record *record, struct wr_word object, const char *start, uint64_t line,
                                               const struct wr_sink *sink);

/* -- the hot path, inline ------------------------------------------------------------------------------------------------------------ */

/* The next field; NULL: there are too many, and that is noted. */
static inline struct wr_field *wr_json_record_field(struct wr_json_record *record, struct wr_word name, const char *at) {
    record->n_members++;
    if (__builtin_expect(record->n_fields == WR_JSON_RECORD_FIELDS, 0)) {
        (void)wr_json_record_refuse(record, WR_BOOK_REJECTED_TOO_LONG, at, "more than 1024 fields");
        return NULL;
    }
    struct wr_field *field = &record->fields[record->n_fields++];
    field->name = name;
    return field;
}

#endif
