#include "agent/sources/replay_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/sources/intake.h"
#include "agent/sources/timeline.h"
#include "core/context.h"
#include "core/log.h"
#include "core/thread.h"

/* Where the timeline is. */
struct place {
    int64_t position_ns; /* the length of what was played, gaps shortened; goes on over all passes */
    int64_t latest_ns;   /* largest stamp of this pass; WR_EVENT_NONE: none yet */
    int64_t first_ns;    /* first stamp of this pass */
    int64_t interval_ns; /* the last one that was not zero */
    uint64_t records;    /* of this pass */
};

struct replay {
    struct wr_source source; /* first */
    struct wr_intake intake;
    struct wr_timeline timeline;
    struct wr_context *context; /* ends at stop */
    pthread_t thread;
    bool started;

    double speed; /* intervals are divided by this; 0: no waiting */
    struct place at;
    int64_t moved_ns; /* what the passes before add to recorded stamps */

    struct wr_now start;
    int64_t now_boot_ns; /* read once per step, and again before sleeping */
    int64_t due_boot_ns; /* when the record that was put off is due */
};

static struct replay *of(struct wr_source *source) {
    return (struct replay *)(void *)source;
}

static const struct wr_config_replay *config_of(const struct replay *replay) {
    return &replay->source.env.config->replay;
}

static void where(void *user, char *text, size_t size) {
    const struct replay *replay = user;
    if (replay->timeline.current)
        snprintf(text, size, "%s", replay->timeline.current->path);
}

/* -- time ------------------------------------------------------------------------------------------------------------------------ */

/* What a stamp adds to the position: 0 for one that is not later than what was played. */
static int64_t step_of(const struct replay *replay, int64_t time_ns) {
    if (time_ns == WR_EVENT_NONE || replay->at.latest_ns == WR_EVENT_NONE || time_ns <= replay->at.latest_ns)
        return 0;
    int64_t step_ns;
    if (__builtin_sub_overflow(time_ns, replay->at.latest_ns, &step_ns))
        step_ns = INT64_MAX;
    const struct wr_config_replay *config = config_of(replay);
    return config->pace == WR_REPLAY_RESCALE && step_ns > config->max_gap_ns ? config->max_gap_ns : step_ns;
}

static void advance(struct replay *replay, int64_t time_ns) {
    replay->at.records++;
    if (time_ns == WR_EVENT_NONE)
        return;
    const int64_t step_ns = step_of(replay, time_ns);
    replay->at.position_ns = wr_clock_add_ns(replay->at.position_ns, step_ns);
    if (step_ns > 0)
        replay->at.interval_ns = step_ns;
    if (replay->at.latest_ns == WR_EVENT_NONE)
        replay->at.first_ns = time_ns;
    if (replay->at.latest_ns == WR_EVENT_NONE || time_ns > replay->at.latest_ns)
        replay->at.latest_ns = time_ns;
}

/* A length of the timeline as it is played. */
static int64_t played_ns(const struct replay *replay, int64_t length_ns) {
    if (replay->speed == 0 || replay->speed == 1)
        return length_ns;
    const double scaled = (double)length_ns / replay->speed;
    return scaled < 9e18 && scaled > -9e18 ? (int64_t)scaled : length_ns;
}

/* The stamp that goes into the reading, after advance. */
static int64_t stamp_of(const struct replay *replay, int64_t time_ns) {
    if (config_of(replay)->start == WR_REPLAY_AS_RECORDED)
        return time_ns == WR_EVENT_NONE ? time_ns : wr_clock_add_ns(time_ns, replay->moved_ns);
    int64_t behind_ns = 0; /* an older stamp keeps its distance */
    if (time_ns != WR_EVENT_NONE && __builtin_sub_overflow(replay->at.latest_ns, time_ns, &behind_ns))
        behind_ns = 0;
    return wr_clock_add_ns(replay->start.wall_ns, played_ns(replay, replay->at.position_ns - behind_ns));
}

/* The next pass begins one interval behind the end of this one. */
static void next_pass(struct replay *replay) {
    if (replay->at.latest_ns != WR_EVENT_NONE) {
        int64_t length_ns;
        if (__builtin_sub_overflow(replay->at.latest_ns, replay->at.first_ns, &length_ns))
            length_ns = 0;
        replay->moved_ns = wr_clock_add_ns(replay->moved_ns, wr_clock_add_ns(length_ns, replay->at.interval_ns));
    }
    replay->at.position_ns = wr_clock_add_ns(replay->at.position_ns, replay->at.interval_ns);
    replay->at.latest_ns = WR_EVENT_NONE;
    replay->at.records = 0;
}

/* -- playing ------------------------------------------------------------------------------------------------------------------------- */

/* Takes a record that is due; it is offered again after WR_FULL. */
static enum wr_result play(void *user, const struct wr_record *record) {
    struct replay *replay = user;
    if (replay->speed > 0) {
        const int64_t position_ns = wr_clock_add_ns(replay->at.position_ns, step_of(replay, record->time_ns));
        replay->due_boot_ns = wr_clock_add_ns(replay->start.boot_ns, played_ns(replay, position_ns));
        if (replay->due_boot_ns > replay->now_boot_ns)
            return WR_FULL;
    }
    const struct place before = replay->at;
    advance(replay, record->time_ns);
    struct wr_record moved = *record;
    moved.time_ns = stamp_of(replay, record->time_ns);
    const enum wr_result result = replay->intake.sink.record(replay->intake.sink.user, &moved);
    if (result == WR_FULL) { /* not taken, or not wholly: the same again, at the same place */
        replay->at = before;
        replay->due_boot_ns = 0;
    }
    return result;
}

static void refused(void *user, const struct wr_refusal *refusal) {
    struct replay *replay = user;
    replay->intake.sink.refused(replay->intake.sink.user, refusal);
}

/* One clock reading per step: what is due now arrives now. */
static void look_at_clock(struct replay *replay) {
    const struct wr_now now = wr_clock_now(replay->source.env.clock);
    replay->now_boot_ns = now.boot_ns;
    wr_intake_arrived(&replay->intake, &now);
}

/* One pass over all files. False: it was stopped. */
static bool play_once(struct replay *replay) {
    for (;;) {
        if (wr_context_state(replay->context) != WR_OK)
            return false;
        look_at_clock(replay);
        replay->due_boot_ns = 0;
        const enum wr_result result = wr_timeline_step(&replay->timeline);
        wr_intake_hand_over(&replay->intake);
        if (result == WR_CLOSED)
            return true;
        if (result != WR_FULL)
            continue;
        if (replay->due_boot_ns > replay->now_boot_ns) {
            if (wr_context_sleep_until(replay->context, replay->due_boot_ns) != WR_OK)
                return false;
        } else if (wr_intake_wait(&replay->intake, replay->context) != WR_OK) {
            return false;
        }
    }
}

/* -- how long it is -------------------------------------------------------------------------------------------------------------------- */

static enum wr_result measure_record(void *user, const struct wr_record *record) {
    advance(user, record->time_ns);
    return WR_OK;
}

/* Reads all files once, to divide the intervals so that the whole takes the duration. False: stopped. */
static bool measure(struct replay *replay) {
    replay->timeline.record = measure_record;
    replay->timeline.quiet = true;
    wr_timeline_rewind(&replay->timeline);
    enum wr_result result = WR_OK;
    while (result == WR_OK && wr_context_state(replay->context) == WR_OK)
        result = wr_timeline_step(&replay->timeline);
    const int64_t length_ns = replay->at.position_ns;
    replay->timeline.record = play;
    replay->timeline.quiet = false;
    replay->at = (struct place){.latest_ns = WR_EVENT_NONE};
    const int64_t duration_ns = config_of(replay)->duration_ns;
    replay->speed = length_ns > 0 && duration_ns > 0 ? (double)length_ns / (double)duration_ns : 1;
    return result == WR_CLOSED;
}

static void *run(void *user) {
    struct replay *replay = user;
    const struct wr_config_replay *config = config_of(replay);
    char name[16];
    snprintf(name, sizeof name, "replay %.8s", replay->source.env.config->name);
    wr_thread_name(name);
    replay->speed = config->pace == WR_REPLAY_FAST ? 0 : config->pace == WR_REPLAY_RESCALE ? config->speedup : 1;
    if (config->pace == WR_REPLAY_RESCALE && config->duration_ns > 0 && !measure(replay))
        return NULL;
    replay->start = wr_clock_now(replay->source.env.clock);
    for (;;) {
        wr_timeline_rewind(&replay->timeline);
        if (!play_once(replay))
            return NULL;
        if (!config->loop || replay->at.records == 0)
            break;
        next_pass(replay);
    }
    atomic_store_explicit(&replay->source.env.counters->finished, 1, memory_order_relaxed);
    WR_LOG_WITH(WR_LOG_INFO, "replay", "the recording is at its end", WR_LOG_STR("source", replay->source.env.config->name),
                WR_LOG_INT("received", wr_intake_read(replay->source.env.counters, WR_BOOK_RECEIVED)));
    return NULL;
}

/* -- life ------------------------------------------------------------------------------------------------------------------------ */

static enum wr_result create(const struct wr_source_env *env, struct wr_source **ret_source, struct wr_error *err) {
    struct replay *replay = calloc(1, sizeof *replay);
    if (!replay)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for source %s", env->config->name);
    replay->source = (struct wr_source){.ops = &wr_replay_source_ops, .env = *env};
    replay->at.latest_ns = WR_EVENT_NONE;
    wr_intake_init(&replay->intake, &replay->source.env);
    replay->intake.where = where;
    replay->intake.where_user = replay;
    replay->intake.recorded = env->config->replay.start == WR_REPLAY_AS_RECORDED;
    enum wr_result result = wr_timeline_init(&replay->timeline, env->config, env->limits->max_line_bytes, err);
    if (result == WR_OK)
        result = wr_context_new(NULL, WR_NEVER_NS, 0, &replay->context, err);
    if (result != WR_OK) {
        wr_timeline_fini(&replay->timeline);
        wr_intake_fini(&replay->intake);
        free(replay);
        return result;
    }
    replay->timeline.record = play;
    replay->timeline.refused = refused;
    replay->timeline.user = replay;
    *ret_source = &replay->source;
    return WR_OK;
}

static enum wr_result start(struct wr_source *source, struct wr_error *err) {
    struct replay *replay = of(source);
    if (replay->timeline.n == 0)
        return wr_error_set(err, WR_NOT_FOUND, "no file to replay");
    WR_TRY(wr_thread_start(&replay->thread, run, replay, source->env.config->name, err));
    replay->started = true;
    return WR_OK;
}

/* What was not played yet is not lost: it is in the files. */
static enum wr_result stop(struct wr_source *source, int64_t deadline_boot_ns) {
    (void)deadline_boot_ns;
    struct replay *replay = of(source);
    wr_context_cancel(replay->context);
    pthread_join(replay->thread, NULL);
    replay->started = false;
    return WR_OK;
}

static void release(struct wr_source *source) {
    struct replay *replay = of(source);
    if (replay->started)
        (void)stop(source, 0);
    wr_timeline_fini(&replay->timeline);
    wr_intake_fini(&replay->intake);
    wr_context_unref(replay->context);
    free(replay);
}

static enum wr_result describe(const struct wr_config_source *config, struct wr_buf *into) {
    return wr_buf_printf(into, " of %u file%s", config->replay.n_files, config->replay.n_files == 1 ? "" : "s");
}

static size_t bytes(const struct wr_config_source *config, const struct wr_config_limits *limits) {
    const size_t buffer = limits->max_line_bytes > 65536 ? limits->max_line_bytes : 65536;
    const size_t codec =
        config->format == WR_SOURCE_FORMAT_CSV ? sizeof(struct wr_csv) + 4 * buffer : wr_codec_bytes(config, buffer) + buffer;
    return sizeof(struct replay) + wr_intake_bytes(limits) + config->replay.n_files * (sizeof(struct wr_recording) + codec);
}

const struct wr_source_ops wr_replay_source_ops = {.kind = WR_SOURCE_REPLAY,
                                                   .name = "replay",
                                                   .create = create,
                                                   .start = start,
                                                   .stop = stop,
                                                   .free = release,
                                                   .describe = describe,
                                                   .bytes = bytes};
