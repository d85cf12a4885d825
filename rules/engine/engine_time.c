/* The time of a reading: without a stamp it is that of its arrival; what does not agree with the arrival is judged by its pace. */
#include "rules/engine/engine_private.h"

#define BEHIND_UNITS 64 /* of struct wr_stream.behind */

/* A mark of a second, not in turns: else a sensor that speaks once a turn would find its own mark each time, and never be looked at again. So one
 * reading in 126 does. Source: the finalizer of SplitMix64. */
static uint8_t mark_of(int64_t boot_ns) {
    uint64_t mixed = (uint64_t)boot_ns / (uint64_t)WR_NS_PER_S;
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (uint8_t)((mixed ^ (mixed >> 31)) % WR_STREAM_MARKS + 1);
}

struct wr_arrival wr_arrival_of(struct wr_engine *engine, const struct wr_batch *batch) {
    struct wr_arrival arrival = {.boot_ns = batch->arrival_boot_ns, .trusted = batch->wall_trusted, .recorded = batch->recorded};
    arrival.wall_ns = wr_clock_add_ns(batch->arrival_boot_ns, batch->wall_offset_ns);
    arrival.latest_event_ns = batch->wall_trusted ? wr_clock_add_ns(arrival.wall_ns, WR_WINDOW_CLAMP_NS) : WR_EVENT_SANE_NS;
    arrival.earliest_event_ns = batch->wall_trusted ? wr_clock_add_ns(arrival.wall_ns, -WR_PACE_OLD_NS) : -WR_EVENT_SANE_NS;
    arrival.span_ns = (uint64_t)arrival.latest_event_ns - (uint64_t)arrival.earliest_event_ns;
    arrival.second = mark_of(batch->arrival_boot_ns);
    const int64_t surely_old_ns = wr_clock_add_ns(arrival.wall_ns, -engine->old_max_ns);
    arrival.surely_old = batch->wall_trusted ? (uint64_t)surely_old_ns + (uint64_t)WR_EVENT_SANE_NS : 0;
    if (batch->wall_trusted)
        wr_pace_arrived(&engine->clock, batch->arrival_boot_ns, batch->wall_offset_ns);
    return arrival;
}

static void doubt(struct wr_reading *reading) {
    if (reading->quality == WR_QUALITY_GOOD)
        reading->quality = WR_QUALITY_UNCERTAIN;
}

/* With a trusted clock. Of a run that is under way one reading a second is looked at. */
static void judge(const struct wr_engine *engine, const struct wr_arrival *arrival, uint32_t index, struct wr_reading *reading,
                  struct wr_stamp *stamp) {
    const struct wr_stream *stream = index == WR_SLAB_NONE ? NULL : wr_stream_at(engine, index);
    int64_t old_ns = WR_PACE_OLD_NS;
    if (stream) {
        const int64_t lateness_ns = wr_stream_rule_lateness(engine, wr_stream_series(engine, index), wr_stream_windows(engine, index));
        old_ns = lateness_ns > old_ns ? lateness_ns : old_ns;
    }
    const bool ahead = reading->event_ns > arrival->latest_event_ns;
    const bool old = reading->event_ns < wr_clock_add_ns(arrival->wall_ns, -old_ns);
    if (arrival->recorded || !stream || (stream->pace == arrival->second && (ahead || old))) {
        stamp->clamped = ahead;
        stamp->historic = old;
        reading->event_ns = ahead ? arrival->wall_ns : reading->event_ns;
        return;
    }
    if (stream->pace != WR_STREAM_RIGHT)
        stamp->pace = *(const struct wr_pace *)wr_slab_at(&engine->paces, index);
    const struct wr_pace_verdict verdict = wr_pace_judge(&stamp->pace, &engine->clock, arrival->boot_ns, old_ns, reading->event_ns);
    reading->event_ns = verdict.event_ns;
    stamp->judged = true;
    stamp->old_ns = old_ns;
    stamp->clamped = verdict.ahead;
    stamp->moved = verdict.moved && !verdict.ahead;
    stamp->historic = verdict.historic;
}

void wr_engine_fix_time(const struct wr_engine *engine, const struct wr_arrival *arrival, uint32_t index, struct wr_reading *reading,
                        struct wr_stamp *ret_stamp) {
    struct wr_stamp stamp = {.judged = false};
    const bool missing = reading->event_ns == WR_EVENT_NONE;
    if (missing || reading->event_ns < -WR_EVENT_SANE_NS || reading->event_ns > WR_EVENT_SANE_NS) {
        stamp.clamped = !missing;
        reading->event_ns = arrival->wall_ns;
    } else if (arrival->trusted) {
        judge(engine, arrival, index, reading, &stamp);
    }
    if (stamp.clamped || stamp.moved)
        doubt(reading);
    if (stamp.historic)
        reading->flags |= WR_READING_HISTORIC;
    *ret_stamp = stamp;
}

static void keep_pace(struct wr_engine *engine, const struct wr_arrival *arrival, uint32_t index, const struct wr_pace *pace) {
    struct wr_stream *stream = wr_stream_at(engine, index);
    const bool was_skewed = stream->pace == WR_STREAM_SKEWED;
    const bool idle = wr_pace_is_idle(pace);
    if (!idle && wr_slab_ensure(&engine->paces, index) != WR_OK)
        return; /* without memory for it the stream stays as it is: its old data is old, and is clamped */
    if (!idle || stream->pace != WR_STREAM_RIGHT)
        *(struct wr_pace *)wr_slab_at(&engine->paces, index) = *pace;
    stream->pace = idle ? WR_STREAM_RIGHT : pace->skewed ? WR_STREAM_SKEWED : arrival->second & 127u;
    engine->stats.skewed += pace->skewed;
    engine->stats.skewed -= was_skewed;
    if (pace->skewed && !was_skewed) {
        engine->stats.skewed_series = wr_stream_series(engine, index);
        engine->stats.skew_ns = wr_clock_add_ns(pace->offset_ns, engine->clock.wall_offset_ns);
    }
}

void wr_engine_settle_time(struct wr_engine *engine, const struct wr_arrival *arrival, uint32_t index, const struct wr_stamp *stamp) {
    engine->stats.clamped += stamp->clamped;
    engine->stats.moved += stamp->moved;
    engine->stats.historic += stamp->historic;
    if (!stamp->judged)
        return;
    if (stamp->old_ns > engine->old_max_ns)
        engine->old_max_ns = stamp->old_ns;
    keep_pace(engine, arrival, index, &stamp->pace);
}

/* The watermark starts over when it lies in the future (the clock was set back), or when all readings have been late for about a minute (the device's
 * clock was, by less than makes it skewed, or while ours is not trusted). */
bool wr_engine_is_late(struct wr_engine *engine, const struct wr_arrival *arrival, uint32_t index, int64_t event_ns) {
    struct wr_stream *stream = wr_stream_at(engine, index);
    uint32_t windows = wr_stream_windows(engine, index);
    if (arrival->trusted && stream->max_event_ns > arrival->latest_event_ns) {
        wr_stream_rewind(engine, index, event_ns);
        return false;
    }
    int64_t lateness_ns = wr_stream_rule_lateness(engine, wr_stream_series(engine, index), windows);
    if (event_ns >= wr_clock_add_ns(stream->max_event_ns, -lateness_ns)) {
        stream->behind = 0;
        return false;
    }
    const unsigned turn = (unsigned)((uint64_t)arrival->boot_ns >> WR_STREAM_BEHIND_SHIFT) % BEHIND_UNITS;
    const unsigned unit = turn ? turn : 1;
    if (!stream->behind)
        stream->behind = unit & (BEHIND_UNITS - 1);
    if ((unit - stream->behind) % BEHIND_UNITS < WR_STREAM_BEHIND_UNITS)
        return true;
    wr_stream_rewind(engine, index, event_ns);
    return false;
}
