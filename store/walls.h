/* Walls: which wall clock has stamped what comes in, and what is made of it where that one could not be trusted.
 *
 * A segment has one clock, that of its header. While a clock cannot be trusted it may be set at any time, and what it has stamped is still on its way: in open windows, in
 * handovers, in the open segments here. All that is moved to the present clock before it is in a segment (walls.c); what already is in one stays, and is corrected when
 * it is sent, if what that clock was off has become known since (correct.c). What a trusted clock has stamped is never moved: it was the truth of then.
 *
 * Threads: the store's. Limits: WR_STORE_WALLS clocks a process, the latest; one that is set twice between two looks is not seen.
 */
#ifndef WEIR_STORE_WALLS_H
#define WEIR_STORE_WALLS_H

#include "core/alarm.h"
#include "core/clock.h"
#include "core/segment.h"
#include "store/codec.h"

struct wr_store;

/* A wall clock as it was set from one boot time to another: those that could not be trusted, and the present one. */
#define WR_STORE_WALLS 8
#define WR_STORE_WALL_STEP_NS (1 * WR_NS_PER_S) /* less is how a clock is slewed */
struct wr_wall {
    int64_t offset_ns; /* wall - boot time */
    int64_t from_boot_ns;
    int64_t to_boot_ns;
    bool trusted;
};
struct wr_walls {
    bool known;
    uint32_t n;
    struct wr_wall present;
    struct wr_wall before[WR_STORE_WALLS]; /* oldest first */
};

/* At the start, at each tick, and before anything is taken or committed: whether the clock was set. */
void wr_walls_look(struct wr_store *store, const struct wr_now *now);
/* Moves what a former clock has stamped to the present one: true. */
bool wr_walls_start(const struct wr_store *store, int64_t *start_ns, int64_t window_ns);
bool wr_walls_is_present(const struct wr_store *store, const struct wr_wall *wall);
bool wr_walls_alarm(const struct wr_store *store, struct wr_alarm *alarm);

/* What moves the times of a segment with this header, which could not trust its clock, if the right one was so far ahead of boot time. */
struct wr_correction wr_correction_of(const struct wr_codec_header *header, int64_t offset_ns);
/* Moves the times of a segment that was cut while the clock could not be trusted, if it is known what that was off. WR_NO_MEMORY; the segment is unchanged then. */
WR_MUST_USE enum wr_result wr_correct_segment(struct wr_store *store, const struct wr_now *now, struct wr_segment *segment,
                                              struct wr_error *err);

#endif
