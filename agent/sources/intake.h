/* The intake: the sink of a source. Records come in, batches for the engine go out.
 *
 * It finds the series of each field (cache, else the table), fixes types and converts where that is exact, interns texts, and counts what is
 * refused. Batches are handed over by wr_intake_hand_over when the source has read what there was; full ones already when WR_INTAKE_FULL of them
 * have come together, or no other is free: waking the engine once for each costs more than the readings in it. `received` is counted before a
 * batch is sent.
 *
 * A source with many senders may let the readings of several reads come together in one batch: it bears the stamp of the first of them. How
 * wrong that may be for the last is bounded: what arrives WR_INTAKE_TOGETHER_NS later finds the batch handed over.
 *
 * No free batch: the sink says WR_FULL, and remembers how many fields of the record it has taken; offered the same record
 * again it goes on behind them. So nothing is lost or doubled when a record is longer than the room that is left.
 *
 * Threads: one at a time: the source's. Ownership: caller's memory, init/fini; the environment outlives it. No allocation per reading.
 */
#ifndef WEIR_AGENT_SOURCES_INTAKE_H
#define WEIR_AGENT_SOURCES_INTAKE_H

#include "agent/codec/record.h"
#include "agent/codec/series_cache.h"
#include "agent/sources/source.h"
#include "core/context.h"

#define WR_INTAKE_TEXTS 256
#define WR_INTAKE_FULL 4
#define WR_INTAKE_TOGETHER_NS (200 * WR_NS_PER_US)

struct wr_intake {
    const struct wr_source_env *env;
    struct wr_sink sink;     /* give this to a codec */
    struct wr_sink overflow; /* or this: what has no room and cannot wait is booked as received and dropped(overflow) */
    struct wr_series_cache cache;
    struct wr_guess guess;                     /* of the cache, after each record */
    struct wr_batch *batch;                    /* being filled, or NULL */
    struct wr_batch *full[WR_INTAKE_FULL + 1]; /* to be handed over next, and room for the one above */
    uint32_t n_full;
    struct wr_now now;   /* when the bytes at hand arrived */
    size_t fields_taken; /* of the record that found no room */
    uint64_t dropped;    /* readings booked as dropped(stop) */
    bool discarding;
    bool recorded; /* set by a source whose stamps are those of a recording: see core/batch.h */
    /* For messages: says where the bytes at hand came from. May be NULL. */
    void (*where)(void *user, char *text, size_t size);
    void *where_user;
    /* Called with each refusal, after it was counted. May be NULL. */
    void (*noted)(void *user, const struct wr_refusal *refusal);
    void *noted_user;
    uint32_t texts[WR_INTAKE_TEXTS]; /* symbols of the last texts, by hash, plus one; 0: none */
};

void wr_intake_init(struct wr_intake *intake, const struct wr_source_env *env);
/* A batch that was not handed over goes back to its pool. */
void wr_intake_fini(struct wr_intake *intake);

/* What follows arrived now: one reading of the clock per read callback. Hands over what is there if it began too long ago. */
void wr_intake_arrived(struct wr_intake *intake, const struct wr_now *now);

/* For sources that ask before they begin: whether there is a batch to put something into. */
bool wr_intake_ready(struct wr_intake *intake);

/* Sends what is there. */
void wr_intake_hand_over(struct wr_intake *intake);

/* Whether there is a full batch: nothing is gained by waiting for more. */
static inline bool wr_intake_has_full(const struct wr_intake *intake) {
    return intake->n_full > 0;
}

/* For sources that may wait: a batch to go on with after WR_FULL. WR_CANCELED, WR_TIMEOUT: the context ended; WR_CLOSED. */
WR_MUST_USE enum wr_result wr_intake_wait(struct wr_intake *intake, struct wr_context *context);

/* After WR_FULL: the record will not be offered again (the fields of it that were taken stay taken). */
void wr_intake_forget(struct wr_intake *intake);

/* From now on readings are booked as received and dropped(stop): the deadline of a stop has passed. */
void wr_intake_discard(struct wr_intake *intake);

/* Counts one refusal and logs it, rate-limited. Also for what a source itself refuses: a line that is too long. */
void wr_intake_refuse(struct wr_intake *intake, const struct wr_refusal *refusal);

/* The share of the cache in the memory ceiling. */
size_t wr_intake_bytes(const struct wr_config_limits *limits);

#endif
