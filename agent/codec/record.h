/* The record: what every codec makes of its input, and the sink that takes it.
 *
 * A record is what one device says at one time: measurement and tags, a time, and one or more fields. It points into the codec's input
 * and is good only during the call that hands it over. A codec knows nothing of series ids, batches or printing: a source puts records into batches
 * (agent/sources/intake.h), `weir decode` prints them, and both see the same readings and the same errors.
 *
 * `origin` is measurement and tags as written: equal bytes mean the same series for the same field, so that a cache can tell a known
 * series without taking anything apart. wr_record_key takes it apart, into the canonical key of core/series.h.
 *
 * Errors: a malformed record is refused whole (a line of several fields, one of them bad, gives no reading), with its line, its column, a
 * reason of the ledger and a message; then the codec goes on behind it.
 */
#ifndef WEIR_AGENT_CODEC_RECORD_H
#define WEIR_AGENT_CODEC_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/ledger.h"
#include "core/reading.h"
#include "core/result.h"
#include "core/series.h"

#define WR_RECORD_MESSAGE_BYTES 256
#define WR_RECORD_EXCERPT_BYTES 48

struct wr_field {
    struct wr_word name;  /* as written */
    union wr_value value; /* symbols: none yet, see text */
    struct wr_word text;  /* WR_TYPE_SYMBOL: the text, escapes resolved */
    uint8_t type;         /* enum wr_type */
    uint8_t quality;      /* enum wr_quality */
    uint8_t decimals;
};

struct wr_names;
struct wr_refusal;
struct wr_guess;

struct wr_record {
    struct wr_word origin;
    int64_t time_ns; /* WR_EVENT_NONE: none was given */
    const struct wr_field *fields;
    size_t n_fields;
    const char *start; /* first byte of the record's line, to tell columns */
    uint64_t line;     /* counted from 1 */
    bool guessed;      /* origin and the first field's name are those of the sink's guess */
    void *codec;
    /* Takes origin and field name apart. A failure fills ret_refusal. */
    enum wr_result (*names)(const struct wr_record *record, const struct wr_field *field, struct wr_names *names,
                            struct wr_refusal *ret_refusal);
};

/* The words of a series key, pointing into the record, or into `text` where an escape had to be resolved. */
struct wr_names {
    struct wr_word measurement;
    struct wr_word field;
    struct wr_tag tags[WR_SERIES_TAGS];
    size_t n_tags;
    size_t text_len;
    char text[WR_SERIES_KEY_BYTES];
};

/* Why a record, or one reading of it, is not taken. */
struct wr_refusal {
    enum wr_book reason; /* WR_BOOK_REJECTED_... */
    uint64_t line;
    uint32_t column; /* counted in bytes from 1 */
    char message[WR_RECORD_MESSAGE_BYTES];
};

struct wr_sink {
    /* WR_OK: taken, or refused by the sink itself. WR_FULL: no room now; the codec stops before this record and offers it again. Any
     * other failure ends the reading, and the codec returns it. */
    enum wr_result (*record)(void *user, const struct wr_record *record);
    void (*refused)(void *user, const struct wr_refusal *refusal);
    /* Optional: a JSON object that is a record of another kind (an aggregate, an alarm), without white space. Results as those of record. */
    enum wr_result (*object)(void *user, const char *json, size_t len);
    const struct wr_guess *guess; /* optional: how the next record begins; it changes with each record */
    void *user;
};

/* The canonical key of one field, into key[WR_SERIES_KEY_BYTES]. A failure fills ret_refusal. */
WR_MUST_USE enum wr_result wr_record_key(const struct wr_record *record, const struct wr_field *field, char *key, size_t *ret_len,
                                         struct wr_refusal *ret_refusal);

/* Fills in the reading of a field, all but its series. Of a symbol the value is left to the caller; without a time it carries default_time_ns.
 * Member by member: who copies several at once, right behind the codec's stores of each, waits until all of them are in the cache. */
static inline void wr_record_put_reading(const struct wr_record *record, const struct wr_field *field, int64_t default_time_ns,
                                         struct wr_reading *ret_reading) {
    ret_reading->event_ns = record->time_ns == WR_EVENT_NONE ? default_time_ns : record->time_ns;
    ret_reading->value = field->value;
    ret_reading->type = field->type;
    ret_reading->quality = field->quality;
    ret_reading->decimals = field->decimals;
    ret_reading->flags = 0;
}

/* The same, of no series yet. */
static inline struct wr_reading wr_record_reading(const struct wr_record *record, const struct wr_field *field, int64_t default_time_ns) {
    struct wr_reading reading = {.series = WR_SERIES_NONE};
    wr_record_put_reading(record, field, default_time_ns, &reading);
    return reading;
}

/* Fills a refusal. `at` is the offending byte, `start` the first byte of its line. */
void wr_refusal_set(struct wr_refusal *refusal, enum wr_book reason, uint64_t line, const char *start, const char *at, const char *format,
                    ...) WR_PRINTF(6, 7);

/* Text from outside for a message: escaped, and cut to WR_RECORD_EXCERPT_BYTES. Returns into. */
char *wr_record_excerpt(char into[static WR_RECORD_EXCERPT_BYTES], const char *text, size_t len);

#endif
