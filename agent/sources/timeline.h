/* The timeline: several recordings as one sequence of records in the order of their stamps.
 *
 * Promise: within a file the order is that of the file; between files the earliest next stamp goes first, of equal ones the file that is named first.
 * Memory: one buffer per file that the timeline is inside of.
 * Threads: one at a time; reads block. Ownership: caller's memory, init/fini; paths and options outlive it.
 */
#ifndef WEIR_AGENT_SOURCES_TIMELINE_H
#define WEIR_AGENT_SOURCES_TIMELINE_H

#include "agent/codec/codec.h"
#include "agent/codec/csv.h"
#include "agent/config/config.h"

struct wr_timeline;

/* One recording. */
struct wr_recording {
    struct wr_timeline *timeline;
    const char *path;
    char measurement[64]; /* of CSV or JSON that names none: the file's name without directory and ending */
    struct wr_codec_stream stream;
    struct wr_sink sink;
    struct wr_csv *csv; /* one of the two, while open */
    struct wr_codec codec;
    bool open;
    bool over;                             /* nothing comes from it any more */
    bool failed;                           /* it cannot be read, or no further: logged */
    bool peeking;                          /* only the first stamp is wanted */
    int64_t next_ns;                       /* stamp of its next record */
    char problem[WR_RECORD_MESSAGE_BYTES]; /* the last refusal, in case that it ends the file */
};

struct wr_timeline {
    const struct wr_config_source *config;
    size_t record_bytes_max;
    struct wr_recording *recordings;
    unsigned n;
    struct wr_recording *current; /* whose records are being taken; for messages */
    int64_t until_ns;             /* records up to this stamp are current's to give */
    /* Takes a record, or says WR_FULL: not now. */
    enum wr_result (*record)(void *user, const struct wr_record *record);
    void (*refused)(void *user, const struct wr_refusal *refusal);
    void *user;
    bool quiet; /* refusals and missing files were told already */
};

WR_MUST_USE enum wr_result wr_timeline_init(struct wr_timeline *timeline, const struct wr_config_source *config, size_t record_bytes_max,
                                            struct wr_error *err);
void wr_timeline_fini(struct wr_timeline *timeline);

/* Back to the beginning: looks for the first stamp of each file. */
void wr_timeline_rewind(struct wr_timeline *timeline);

/* Reads a piece. WR_OK: go on; WR_FULL: the taker wanted no more; WR_CLOSED: all files are at their end. */
WR_MUST_USE enum wr_result wr_timeline_step(struct wr_timeline *timeline);

/* How many recordings could not be read, or not to their end, since the last rewind. */
unsigned wr_timeline_left_out(const struct wr_timeline *timeline);

#endif
