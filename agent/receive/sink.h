/* The sink: where received segments go, behind a table so that files, PostgreSQL and a test's fake are driven alike.
 *
 * Promise: what `commit` has answered WR_OK for is safe, each key of it once, whatever was handed over before by this or another instance. A
 * commit that failed may or may not have happened: committing the same batch again gives the same result. Nothing is lost by a failure:
 * the batch stays until `commit` succeeds or `clear` drops it.
 *
 * An entry is one message: begin, then aggregates or texts, then end. `end(keep = false)` takes back what its begin, aggregates and texts added.
 * Results of begin, aggregate and text: WR_OK; WR_NO_MEMORY; WR_LIMIT or WR_INVALID: this message can never be taken (it is quarantined).
 * Results of commit: WR_OK; WR_CORRUPT with *ret_poison: that entry can never be written, take it out with `drop` and commit again; anything else:
 * try later.
 *
 * Threads: one at a time. Ownership: what is handed over is copied; only the key of an aggregate must live until the next one was handed over.
 */
#ifndef WEIR_AGENT_RECEIVE_SINK_H
#define WEIR_AGENT_RECEIVE_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/receive/message.h"
#include "core/aggregate.h"
#include "core/result.h"

struct wr_sink_counts {
    uint64_t segments;   /* committed, for the first time */
    uint64_t known;      /* dropped: their keys were known */
    uint64_t aggregates; /* in the committed segments */
    uint64_t texts;      /* alarms, gaps, states */
    uint64_t readings;   /* n + bad of the aggregates */
};

struct wr_receive_sink_ops {
    enum wr_result (*begin)(void *self, const struct wr_message_origin *origin, struct wr_error *err);
    enum wr_result (*aggregate)(void *self, const struct wr_aggregate *aggregate, struct wr_error *err);
    enum wr_result (*text)(void *self, const char *json, size_t len, struct wr_error *err); /* one JSON object, without white space */
    void (*end)(void *self, bool keep);
    /* Bytes that the batch holds: the loop commits before they become too many. */
    size_t (*bytes)(const void *self);
    enum wr_result (*commit)(void *self, size_t *ret_poison, struct wr_error *err);
    /* Forgets the entry with this number, counted from 0 in the order of begin; the numbers of the others stay. */
    void (*drop)(void *self, size_t entry);
    /* Forgets the batch. */
    void (*clear)(void *self);
    void (*counts)(const void *self, struct wr_sink_counts *ret_counts);
    /* What is open is finished cleanly. */
    void (*close)(void *self);
};

struct wr_receive_sink {
    const struct wr_receive_sink_ops *ops;
    void *self;
};

#endif
