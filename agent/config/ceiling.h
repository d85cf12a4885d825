/* The memory ceiling: what the agent may occupy at most, known before it starts, item by item; and what a crash may take.
 *
 * Promise: each item is what its module allocates at most under this config, or the documented estimate where a library allocates. A number
 * grows with nothing but the config: not with traffic, and not with the time for which the link is down.
 * Limits: keys of series and text values count with an average length (WR_CEILING_KEY_BYTES, WR_CEILING_SYMBOL_BYTES): senders with longer
 * ones raise the ceiling by the difference. Memory that the allocator keeps between its blocks is part of `libraries`.
 *
 * Threads: any; pure. Ownership: a plain value. Units: bytes of memory and disk; ns.
 */
#ifndef WEIR_AGENT_CONFIG_CEILING_H
#define WEIR_AGENT_CONFIG_CEILING_H

#include "agent/config/config.h"
#include "core/buf.h"

#define WR_CEILING_ITEMS 26 /* at least one for each part that there can be, the optional ones included */
#define WR_CEILING_KEY_BYTES 96
#define WR_CEILING_SYMBOL_BYTES 48

struct wr_ruleset;

struct wr_ceiling_item {
    const char *name;
    char detail[160]; /* what it is made of: "2 sources with 8 batches of 512 readings" */
    uint64_t bytes;
};

struct wr_ceiling {
    struct wr_ceiling_item items[WR_CEILING_ITEMS];
    uint32_t n;
    uint64_t total_bytes;
    uint64_t disk_bytes;
    /* A crash may take the readings of open windows, and closed windows that are not on disk yet. */
    int64_t open_ns;   /* the longest window with its lateness; 0: no windows */
    int64_t closed_ns; /* max_loss */
    bool changes;      /* a window forwards changes: how often an unchanged value was repeated since its last change is lost too */
};

/* rules, and those in the shadow, may be NULL: none. */
void wr_ceiling_of(const struct wr_config *config, const struct wr_ruleset *rules, const struct wr_ruleset *shadow,
                   struct wr_ceiling *ret_ceiling);

/* The table that `weir check` prints, or one JSON object. */
WR_MUST_USE enum wr_result wr_ceiling_render(const struct wr_ceiling *ceiling, bool json, struct wr_buf *into);

#endif
