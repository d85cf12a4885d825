#include "agent/receive/decode.h"

#include <string.h>

#include "agent/codec/json_scan.h"
#include "agent/codec/number.h"
#include "agent/receive/ledger.h"
#include "transport/encode_json.h"

enum wr_result wr_receive_decoder_init(struct wr_receive_decoder *decoder, struct wr_error *err) {
    wr_buf_init(&decoder->texts, 0);
    wr_buf_init(&decoder->compact, 0);
    decoder->segments = NULL;
    decoder->turn = 0;
    return wr_decoder_new(&decoder->segments) == WR_OK ? WR_OK : wr_error_set(err, WR_NO_MEMORY, "no memory for a decoder");
}

void wr_receive_decoder_fini(struct wr_receive_decoder *decoder) {
    wr_decoder_free(decoder->segments);
    decoder->segments = NULL;
    wr_buf_fini(&decoder->texts);
    wr_buf_fini(&decoder->compact);
}

/* One decode: the sink's entry is open while `begun`. */
struct job {
    struct wr_receive_decoder *decoder;
    const struct wr_receive_sink *sink;
    struct wr_message_origin *origin;
    bool begun;
    struct wr_error *err;
};

static enum wr_result begin(struct job *job) {
    WR_TRY(job->sink->ops->begin(job->sink->self, job->origin, job->err));
    job->begun = true;
    return WR_OK;
}

/* -- segments -------------------------------------------------------------------------------------------------------------------------- */

static enum wr_message_kind kind_of(const struct wr_codec_header *header) {
    if (header->kind == WR_SEGMENT_ALARMS)
        return WR_MESSAGE_ALARM;
    if (header->kind == WR_SEGMENT_GAPS)
        return WR_MESSAGE_GAP;
    return header->lane == WR_LANE_CHANGES ? WR_MESSAGE_EVENT : WR_MESSAGE_AGG;
}

/* A ledger record is believed only if it is whole, and of the store that its key says: the audit counts by it. */
static enum wr_result check_ledger(const struct job *job, const struct wr_buf *json) {
    struct wr_receive_ledger ledger;
    const enum wr_result result = wr_receive_ledger_read((const char *)json->data, json->len, NULL, NULL, &ledger, job->err);
    if (result != WR_OK)
        return result == WR_NOT_FOUND ? WR_OK : result;
    if (ledger.epoch != job->origin->key.epoch || ledger.cut > job->origin->key.seq)
        return wr_error_set(job->err, WR_INVALID, "a ledger record that is not of the segment it came in");
    return WR_OK;
}

static enum wr_result take_text(struct job *job, struct wr_word object) {
    struct wr_buf *compact = &job->decoder->compact;
    if (object.len == 0 || object.text[0] != '{')
        return wr_error_set(job->err, WR_INVALID, "a record that is no object");
    wr_buf_clear(compact);
    if (wr_buf_reserve(compact, object.len) != WR_OK)
        return wr_error_set(job->err, WR_NO_MEMORY, "no memory for a record of %zu bytes", object.len);
    compact->len = wr_json_compact(object.text, object.len, (char *)compact->data);
    if (job->origin->kind == WR_MESSAGE_GAP)
        WR_TRY(check_ledger(job, compact));
    return job->sink->ops->text(job->sink->self, (const char *)compact->data, compact->len, job->err);
}

/* A segment's CRC shows what was damaged, not who wrote it: the text of a record is checked like any other JSON. */
static enum wr_result take_segment_text(struct job *job, const char *text, size_t len) {
    const char *end = text + len;
    struct wr_json_scan scan = wr_json_scan_begin(text, end, true);
    struct wr_word object;
    if (wr_json_scan_check(&scan, &object) != WR_JSON_FOUND || wr_json_skip_space(object.text + object.len, end) != end)
        return wr_error_set(job->err, WR_INVALID, "a record of the segment is not JSON");
    return take_text(job, object);
}

static enum wr_result walk_segment(struct job *job, const struct wr_codec_header *header) {
    const bool texts = header->kind == WR_SEGMENT_ALARMS || header->kind == WR_SEGMENT_GAPS;
    for (;;) {
        struct wr_aggregate aggregate;
        const char *text;
        size_t len;
        const enum wr_result more = texts ? wr_decode_text(job->decoder->segments, &text, &len, job->err)
                                          : wr_decode_aggregate(job->decoder->segments, &aggregate, job->err);
        if (more != WR_OK)
            return more == WR_EMPTY ? WR_OK : more;
        WR_TRY(texts ? take_segment_text(job, text, len) : job->sink->ops->aggregate(job->sink->self, &aggregate, job->err));
    }
}

static enum wr_result take_segment(struct job *job, struct wr_word payload) {
    struct wr_codec_header header;
    struct wr_message_origin *origin = job->origin;
    if (origin->kind == WR_MESSAGE_STATE)
        return wr_error_set(job->err, WR_INVALID, "a segment on the topic of states");
    WR_TRY(wr_decode_begin(job->decoder->segments, (const uint8_t *)payload.text, payload.len, &header, job->err));
    WR_TRY(wr_message_own_key(origin, header.epoch, header.seq, job->err));
    origin->kind = kind_of(&header);
    origin->t0_ns = header.t0_ns;
    origin->t1_ns = header.t1_ns;
    origin->time_quality = wr_codec_time_quality(&header);
    WR_TRY(begin(job));
    return walk_segment(job, &header);
}

/* -- JSON -------------------------------------------------------------------------------------------------------------------------------- */

struct envelope {
    struct wr_word node; /* strings with their quotes */
    struct wr_word epoch;
    struct wr_word seq;
    struct wr_word t0_ns;
    struct wr_word t1_ns;
    struct wr_word time_quality;
    struct wr_word records;
};

static void gather(struct wr_word object, struct envelope *envelope) {
    const struct {
        const char *name;
        struct wr_word *into;
    } members[] = {{"\"node\"", &envelope->node},
                   {"\"epoch\"", &envelope->epoch},
                   {"\"seq\"", &envelope->seq},
                   {"\"t0_ns\"", &envelope->t0_ns},
                   {"\"t1_ns\"", &envelope->t1_ns},
                   {"\"records\"", &envelope->records},
                   {"\"time_quality\"", &envelope->time_quality}};
    struct wr_json_scan scan = wr_json_scan_begin(object.text, object.text + object.len, true);
    struct wr_word name;
    struct wr_word value;
    if (!wr_json_scan_enter(&scan))
        return;
    while (wr_json_scan_member(&scan, &name) && wr_json_scan_value(&scan, &value))
        for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
            if (name.len == strlen(members[i].name) && memcmp(name.text, members[i].name, name.len) == 0)
                *members[i].into = value;
}

static bool is_quoted(struct wr_word word, const char *text) {
    return word.text && word.len == strlen(text) + 2 && word.text[0] == '"' && memcmp(word.text + 1, text, word.len - 2) == 0;
}

static int64_t time_or_zero(struct wr_word word) {
    int64_t ns;
    return word.text && wr_number_int64(word.text, word.text + word.len, &ns) ? ns : 0;
}

/* Not said: trusted. A word that this version does not know is no trust. */
static enum wr_time_quality quality_of(struct wr_word word) {
    enum wr_time_quality quality;
    if (!word.text)
        return WR_TIME_TRUSTED;
    return word.len >= 2 && wr_time_quality_parse(word.text + 1, word.len - 2, &quality) ? quality : WR_TIME_UNTRUSTED;
}

static enum wr_result take_record(struct job *job, struct wr_word object) {
    if (job->origin->kind == WR_MESSAGE_ALARM || job->origin->kind == WR_MESSAGE_GAP)
        return take_text(job, object);
    struct wr_aggregate aggregate;
    char *key = job->decoder->keys[job->decoder->turn ^= 1U];
    WR_TRY(wr_receive_aggregate_json(object, &job->decoder->texts, key, &aggregate, job->err));
    return job->sink->ops->aggregate(job->sink->self, &aggregate, job->err);
}

static enum wr_result take_envelope(struct job *job, struct wr_word object) {
    struct envelope envelope = {0};
    uint64_t epoch;
    int64_t seq;
    gather(object, &envelope);
    if (!envelope.records.text || envelope.records.text[0] != '[')
        return wr_error_set(job->err, WR_INVALID, "JSON, but not the envelope of Weir's uplink: it has no list of records");
    if (!is_quoted(envelope.node, job->origin->key.node))
        return wr_error_set(job->err, WR_INVALID, "the envelope is not of node %s, on whose topic it came", job->origin->key.node);
    const struct wr_word inside = {envelope.epoch.text ? envelope.epoch.text + 1 : "",
                                   envelope.epoch.len >= 2 ? envelope.epoch.len - 2 : 0};
    if (!wr_message_epoch(inside, &epoch) || !envelope.seq.text || !wr_message_seq(envelope.seq, &seq))
        return wr_error_set(job->err, WR_INVALID, "the envelope has no epoch of 16 hex digits, or no seq above 0");
    WR_TRY(wr_message_own_key(job->origin, epoch, seq, job->err));
    job->origin->t0_ns = time_or_zero(envelope.t0_ns);
    job->origin->t1_ns = time_or_zero(envelope.t1_ns);
    job->origin->time_quality = quality_of(envelope.time_quality);
    WR_TRY(begin(job));
    struct wr_json_scan scan = wr_json_scan_begin(envelope.records.text, envelope.records.text + envelope.records.len, true);
    struct wr_word record;
    if (wr_json_scan_enter(&scan))
        while (wr_json_scan_value(&scan, &record))
            WR_TRY(take_record(job, record));
    return WR_OK;
}

static enum wr_result take_json(struct job *job, struct wr_word payload) {
    const char *end = payload.text + payload.len;
    struct wr_json_scan scan = wr_json_scan_begin(wr_json_skip_space(payload.text, end), end, true);
    struct wr_word object;
    if (payload.len > WR_DECODE_BYTES_MAX)
        return wr_error_set(job->err, WR_LIMIT, "a JSON payload of %zu bytes: at most %u are read", payload.len, WR_DECODE_BYTES_MAX);
    if (wr_json_scan_check(&scan, &object) != WR_JSON_FOUND)
        return wr_error_set(job->err, WR_INVALID, "not JSON: %s at byte %zu", scan.error ? scan.error : "it is cut off",
                            (size_t)(scan.p - payload.text));
    if (wr_json_skip_space(object.text + object.len, end) != end)
        return wr_error_set(job->err, WR_INVALID, "something stands behind the JSON");
    if (object.text[0] != '{')
        return wr_error_set(job->err, WR_INVALID, "JSON, but no object");
    if (job->origin->kind != WR_MESSAGE_STATE)
        return take_envelope(job, object);
    WR_TRY(begin(job));
    return take_text(job, object);
}

/* -- which it is ------------------------------------------------------------------------------------------------------------------------- */

static bool is(struct wr_word word, const char *text) {
    return word.len == strlen(text) && memcmp(word.text, text, word.len) == 0;
}

static enum wr_result take(struct job *job, const struct wr_subscriber_message *message) {
    const struct wr_word payload = message->payload;
    const struct wr_word type = message->content_type;
    if (payload.len >= 4 && memcmp(payload.text, "WEIR", 4) == 0)
        return take_segment(job, payload);
    if (type.len > 0 && !is(type, WR_CONTENT_JSON) && !is(type, WR_CONTENT_SEGMENT)) {
        char shown[80];
        return wr_error_set(job->err, WR_UNSUPPORTED,
                            "content type '%s' is for other receivers, such as Telegraf: set `uplink.format` of node %s to segment or json",
                            wr_error_escape(shown, sizeof shown, type.text, type.len), job->origin->key.node);
    }
    const char *first = wr_json_skip_space(payload.text, payload.text + payload.len);
    if (is(type, WR_CONTENT_SEGMENT) || first == payload.text + payload.len || *first != '{')
        return wr_error_set(job->err, WR_INVALID,
                            "neither a segment nor the JSON of Weir's uplink; what is meant for other receivers (influx, "
                            "senml) is not read here: set `uplink.format` of node %s to segment or json",
                            job->origin->key.node);
    return take_json(job, payload);
}

enum wr_result wr_receive_decode(struct wr_receive_decoder *decoder, const struct wr_subscriber_message *message, const char *prefix,
                                 const struct wr_receive_sink *sink, struct wr_message_origin *ret_origin, struct wr_error *err) {
    *ret_origin = (struct wr_message_origin){0};
    WR_TRY(wr_message_origin(message, prefix, ret_origin, err));
    if (ret_origin->kind == WR_MESSAGE_STATE && message->payload.len == 0)
        return WR_EMPTY;
    struct job job = {.decoder = decoder, .sink = sink, .origin = ret_origin, .err = err};
    const enum wr_result result = take(&job, message);
    if (job.begun)
        sink->ops->end(sink->self, result == WR_OK);
    return result;
}
