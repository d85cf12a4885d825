/* A sample: a record that we make ourselves, field by field, for sources that measure instead of reading bytes.
 *
 *   wr_sample_begin(&sample, "disk"); wr_sample_tag(&sample, "path", "/"); wr_sample_uint(&sample, "free", n); wr_sample_send(&sample);
 *
 * Promise: no allocation. What does not fit (WR_SAMPLE_FIELDS, WR_SAMPLE_BYTES of measurement and tags) is left out: of a tag that does not
 * fit the whole sample. A tag without a value is left out. A sample without fields is not sent.
 * No room for it: it waits for a batch until `wait_until_boot_ns`, then it is counted in `unsent`, and so are all that follow.
 * Threads: one at a time. Ownership: caller's memory; field names must live until the send, tags are copied.
 */
#ifndef WEIR_AGENT_SOURCES_SAMPLE_H
#define WEIR_AGENT_SOURCES_SAMPLE_H

#include "agent/sources/intake.h"

#define WR_SAMPLE_FIELDS 24
#define WR_SAMPLE_BYTES 1024

struct wr_sample {
    struct wr_intake *intake;
    struct wr_context *context; /* ends the waiting too; may be NULL */
    int64_t wait_until_boot_ns;
    uint64_t unsent;
    char origin[WR_SAMPLE_BYTES]; /* measurement, then tag names and values in turn, each with its NUL */
    size_t len;
    bool too_long;
    struct wr_field fields[WR_SAMPLE_FIELDS];
    size_t n;
};

void wr_sample_begin(struct wr_sample *sample, const char *measurement);
void wr_sample_tag(struct wr_sample *sample, const char *name, const char *value);
void wr_sample_tag_word(struct wr_sample *sample, struct wr_word name, struct wr_word value);
/* Rounded to so many decimals, so that it is exact in sums and small on disk. */
void wr_sample_float(struct wr_sample *sample, const char *field, double value, uint8_t decimals);
void wr_sample_uint(struct wr_sample *sample, const char *field, uint64_t value);
void wr_sample_bool(struct wr_sample *sample, const char *field, bool value);
void wr_sample_send(struct wr_sample *sample);

#endif
