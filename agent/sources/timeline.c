#include "agent/sources/timeline.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"

/* What is left of it is left out. */
static void leave_out(struct wr_recording *recording, const struct wr_error *err) {
    recording->over = recording->failed = true;
    if (!recording->timeline->quiet)
        WR_LOG_WITH(WR_LOG_ERROR, "replay", "a recording is left out", WR_LOG_STR("source", recording->timeline->config->name),
                    WR_LOG_STR("file", recording->path), WR_LOG_ERR(err));
}

/* -- one recording ----------------------------------------------------------------------------------------------------------------- */

static enum wr_result on_record(void *user, const struct wr_record *record) {
    struct wr_recording *recording = user;
    struct wr_timeline *timeline = recording->timeline;
    if (record->time_ns != WR_EVENT_NONE)
        recording->next_ns = record->time_ns;
    if (recording->peeking || recording->next_ns > timeline->until_ns)
        return WR_FULL;
    return timeline->record(timeline->user, record);
}

static void on_refused(void *user, const struct wr_refusal *refusal) {
    struct wr_recording *recording = user;
    memcpy(recording->problem, refusal->message, sizeof recording->problem);
    if (!recording->peeking && !recording->timeline->quiet) /* what is seen while peeking is seen again */
        recording->timeline->refused(recording->timeline->user, refusal);
}

static void shut(struct wr_recording *recording) {
    if (!recording->open)
        return;
    recording->open = false;
    wr_codec_stream_close(&recording->stream);
    if (recording->csv)
        wr_csv_fini(recording->csv);
    free(recording->csv);
    recording->csv = NULL;
    wr_codec_fini(&recording->codec);
}

static enum wr_result make_codec(struct wr_recording *recording, void **ret_codec, wr_codec_stream_feed **ret_feed, struct wr_error *err) {
    const struct wr_timeline *timeline = recording->timeline;
    if (timeline->config->format == WR_SOURCE_FORMAT_CSV) {
        struct wr_csv *csv = malloc(sizeof *csv);
        if (!csv)
            return wr_error_set(err, WR_NO_MEMORY, "no memory to read it");
        recording->csv = csv;
        *ret_codec = csv;
        *ret_feed = wr_codec_stream_feed_csv;
        return wr_csv_init(csv, timeline->config->replay.csv, recording->measurement, err);
    }
    WR_TRY(wr_codec_init(&recording->codec, timeline->config, recording->measurement, timeline->record_bytes_max, err));
    *ret_codec = recording->codec.parser;
    *ret_feed = recording->codec.feed;
    return WR_OK;
}

/* From its beginning. False: told, and over. */
static bool open_recording(struct wr_recording *recording) {
    struct wr_error err = {0};
    void *codec = NULL;
    wr_codec_stream_feed *feed = NULL;
    recording->open = true;
    recording->stream = (struct wr_codec_stream){.fd = -1};
    enum wr_result result = make_codec(recording, &codec, &feed, &err);
    if (result == WR_OK)
        result = wr_codec_stream_open(&recording->stream, recording->path, feed, codec, &recording->sink,
                                      recording->timeline->record_bytes_max, &err);
    if (result == WR_OK)
        return true;
    leave_out(recording, &err);
    shut(recording);
    return false;
}

/* WR_OK, WR_FULL; WR_CLOSED: at its end, or not readable any more. */
static enum wr_result step_recording(struct wr_recording *recording) {
    struct wr_error err = {0};
    if (!recording->open && !open_recording(recording))
        return WR_CLOSED;
    enum wr_result result = wr_codec_stream_step(&recording->stream, &err);
    if (result == WR_OK || result == WR_FULL)
        return result;
    if (result == WR_INVALID)
        (void)wr_error_set(&err, result, "%s", recording->problem);
    if (result != WR_CLOSED)
        leave_out(recording, &err);
    shut(recording);
    recording->over = true;
    return WR_CLOSED;
}

/* The first stamp of the file. One that has none is not over: what is refused in it has still to be told. */
static void peek(struct wr_recording *recording) {
    recording->over = recording->failed = false;
    recording->next_ns = INT64_MIN; /* a file that begins without stamps goes first */
    recording->peeking = true;
    while (step_recording(recording) == WR_OK)
        ;
    recording->peeking = false;
    recording->over = recording->failed;
    shut(recording);
}

/* -- all of them --------------------------------------------------------------------------------------------------------------------- */

static void name_after_file(struct wr_recording *recording) {
    const char *slash = strrchr(recording->path, '/');
    const char *base = slash ? slash + 1 : recording->path;
    const char *dot = strrchr(base, '.');
    size_t len = dot && dot > base ? (size_t)(dot - base) : strlen(base);
    if (len >= sizeof recording->measurement)
        len = sizeof recording->measurement - 1;
    memcpy(recording->measurement, base, len);
    recording->measurement[len] = '\0';
}

enum wr_result wr_timeline_init(struct wr_timeline *timeline, const struct wr_config_source *config, size_t record_bytes_max,
                                struct wr_error *err) {
    *timeline = (struct wr_timeline){.config = config, .record_bytes_max = record_bytes_max};
    timeline->recordings = calloc(config->replay.n_files ? config->replay.n_files : 1, sizeof *timeline->recordings);
    if (!timeline->recordings)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for %u recordings", config->replay.n_files);
    timeline->n = config->replay.n_files;
    for (unsigned i = 0; i < timeline->n; i++) {
        struct wr_recording *recording = &timeline->recordings[i];
        recording->timeline = timeline;
        recording->path = config->replay.files[i];
        recording->over = true;
        recording->sink = (struct wr_sink){.record = on_record, .refused = on_refused, .user = recording};
        name_after_file(recording);
    }
    return WR_OK;
}

void wr_timeline_fini(struct wr_timeline *timeline) {
    for (unsigned i = 0; i < timeline->n; i++)
        shut(&timeline->recordings[i]);
    free(timeline->recordings);
    *timeline = (struct wr_timeline){0};
}

void wr_timeline_rewind(struct wr_timeline *timeline) {
    for (unsigned i = 0; i < timeline->n; i++) {
        shut(&timeline->recordings[i]);
        peek(&timeline->recordings[i]);
    }
    timeline->current = NULL;
}

unsigned wr_timeline_left_out(const struct wr_timeline *timeline) {
    unsigned n = 0;
    for (unsigned i = 0; i < timeline->n; i++)
        n += timeline->recordings[i].failed;
    return n;
}

/* The file with the earliest next stamp becomes current, and may go on up to the stamp of the next one. */
static bool choose(struct wr_timeline *timeline) {
    struct wr_recording *first = NULL;
    for (unsigned i = 0; i < timeline->n; i++)
        if (!timeline->recordings[i].over && (!first || timeline->recordings[i].next_ns < first->next_ns))
            first = &timeline->recordings[i];
    timeline->current = first;
    timeline->until_ns = INT64_MAX;
    for (unsigned i = 0; i < timeline->n; i++) {
        const struct wr_recording *other = &timeline->recordings[i];
        if (other == first || other->over)
            continue;
        /* Of equal stamps the file that is named first goes first. */
        const int64_t until_ns = other < first && other->next_ns > INT64_MIN ? other->next_ns - 1 : other->next_ns;
        if (until_ns < timeline->until_ns)
            timeline->until_ns = until_ns;
    }
    return first != NULL;
}

enum wr_result wr_timeline_step(struct wr_timeline *timeline) {
    if (!choose(timeline))
        return WR_CLOSED;
    struct wr_recording *recording = timeline->current;
    const enum wr_result result = step_recording(recording);
    /* Full because another file is earlier now is no reason to stop. */
    if (result == WR_CLOSED || (result == WR_FULL && recording->next_ns > timeline->until_ns))
        return WR_OK;
    return result;
}
