#include "agent/replay/play.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/sources/intake.h"
#include "agent/sources/timeline.h"
#include "rules/testing/world.h"

#define SYMBOLS 4096 /* of a world */
#define BATCHES 4

/* One rule set with everything that a source and an engine have. */
struct side {
    bool used;
    bool intake_made;
    struct wr_world world;
    struct wr_tally *tally;
    struct wr_batch_pool pool;
    struct wr_channel *batches;
    struct wr_intake_counters counters;
    struct wr_source_env env;
    struct wr_intake intake;
};

struct play {
    const struct wr_play_options *options;
    struct wr_play_result *result;
    struct wr_config_limits limits;
    struct wr_timeline timeline;
    struct side sides[WR_PLAY_SIDES];
    int64_t now_ns; /* the latest stamp so far */
    enum wr_result failed;
    struct wr_error *err;
};

/* -- one side ------------------------------------------------------------------------------------------------------------------------------ */

static void hear(void *user, const struct wr_alarm *alarm) {
    wr_tally_take(user, alarm);
}

static void note_refusal(void *user, const struct wr_refusal *refusal) {
    struct play *play = user;
    const char *file = play->timeline.current ? play->timeline.current->path : "";
    play->result->refused++;
    if (play->options->refused)
        play->options->refused(play->options->user, file, refusal);
}

static enum wr_result make_side(struct play *play, struct side *side, struct wr_ruleset *rules, struct wr_tally *tally,
                                struct wr_error *err) {
    const struct wr_channel_options channel = {
        .name = "replay", .capacity = BATCHES, .element_bytes = sizeof(struct wr_batch *), .policy = WR_CHANNEL_REJECT};
    side->used = true;
    side->tally = tally;
    WR_TRY(wr_world_init(&side->world, rules, 0, WR_PLAY_SERIES, err));
    side->world.max_timers = 0; /* of a test it is the limit; here it is the recording that ends */
    side->world.hear = hear;
    side->world.hear_user = tally;
    WR_TRY(wr_batch_pool_init(&side->pool, BATCHES, 0, err));
    WR_TRY(wr_channel_new(&channel, &side->batches, err));
    side->env = (struct wr_source_env){.config = play->options->source,
                                       .limits = &play->limits,
                                       .series = side->world.series,
                                       .symbols = side->world.symbols,
                                       .clock = wr_clock_real(),
                                       .pool = &side->pool,
                                       .to_engine = side->batches,
                                       .counters = &side->counters};
    wr_intake_init(&side->intake, &side->env);
    side->intake_made = true;
    if (side == &play->sides[0]) { /* the other side refuses the same */
        side->intake.noted = note_refusal;
        side->intake.noted_user = play;
    }
    return WR_OK;
}

static void free_side(struct side *side) {
    if (!side->used)
        return;
    if (side->intake_made)
        wr_intake_fini(&side->intake);
    struct wr_batch *batch;
    while (side->batches && wr_channel_try_recv(side->batches, &batch) == WR_OK)
        wr_batch_return(batch);
    wr_channel_free(side->batches);
    if (side->pool.all)
        wr_batch_pool_fini(&side->pool);
    wr_world_fini(&side->world);
}

static enum wr_result drain(struct side *side, struct wr_error *err) {
    struct wr_batch *batch;
    wr_intake_hand_over(&side->intake);
    while (wr_channel_try_recv(side->batches, &batch) == WR_OK) {
        const enum wr_result result = wr_world_feed(&side->world, batch, err);
        wr_batch_return(batch);
        WR_TRY(result);
    }
    return WR_OK;
}

/* A record arrives; one that is longer than all batches together comes in pieces. */
static enum wr_result feed(struct side *side, const struct wr_record *record, struct wr_error *err) {
    enum wr_result taken;
    wr_intake_arrived(&side->intake, &side->world.now);
    do {
        taken = side->intake.sink.record(side->intake.sink.user, record);
        WR_TRY(drain(side, err));
    } while (taken == WR_FULL);
    return taken == WR_NO_MEMORY ? wr_error_set(err, WR_NO_MEMORY, "no memory") : WR_OK;
}

/* -- the timeline ---------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result pass_time(struct play *play, int64_t to_ns, bool at) {
    for (size_t i = 0; i < WR_PLAY_SIDES; i++)
        if (play->sides[i].used)
            WR_TRY(wr_world_move(&play->sides[i].world, to_ns - play->result->first_ns, at, play->err));
    return WR_OK;
}

static void refuse(struct play *play, const struct wr_record *record, const char *message) {
    struct wr_refusal refusal;
    wr_refusal_set(&refusal, WR_BOOK_REJECTED_TIME, record->line, record->start, record->start, "%s", message);
    note_refusal(play, &refusal);
}

static enum wr_result take(struct play *play, const struct wr_record *record) {
    struct wr_play_result *result = play->result;
    if (record->time_ns != WR_EVENT_NONE && (record->time_ns > WR_PLAY_STAMP_NS || record->time_ns < -WR_PLAY_STAMP_NS)) {
        refuse(play, record, "a time before 1827 or after 2112");
        return WR_OK;
    }
    if (result->first_ns == WR_EVENT_NONE && record->time_ns == WR_EVENT_NONE) { /* before the first stamp there is no time */
        refuse(play, record, "no time, and none before it");
        return WR_OK;
    }
    if (result->first_ns == WR_EVENT_NONE) {
        result->first_ns = play->now_ns = record->time_ns;
        for (size_t i = 0; i < WR_PLAY_SIDES; i++)
            play->sides[i].world.now.wall_ns = record->time_ns;
    }
    if (record->time_ns != WR_EVENT_NONE && record->time_ns > play->now_ns) {
        play->now_ns = record->time_ns;
        WR_TRY(pass_time(play, play->now_ns, false));
    }
    result->records++;
    for (size_t i = 0; i < WR_PLAY_SIDES; i++)
        if (play->sides[i].used)
            WR_TRY(feed(&play->sides[i], record, play->err));
    return WR_OK;
}

static enum wr_result on_record(void *user, const struct wr_record *record) {
    struct play *play = user;
    play->failed = take(play, record);
    return play->failed == WR_OK ? WR_OK : WR_FULL;
}

static void on_refused(void *user, const struct wr_refusal *refusal) {
    note_refusal(user, refusal);
}

static enum wr_result run(struct play *play) {
    enum wr_result result = WR_OK;
    if (play->options->feed) {
        const struct wr_sink sink = {.user = play, .record = on_record, .refused = on_refused};
        result = play->options->feed(play->options->feed_user, &sink, play->err);
    } else {
        wr_timeline_rewind(&play->timeline);
        while (result == WR_OK && play->failed == WR_OK)
            result = wr_timeline_step(&play->timeline);
        result = WR_OK;
    }
    if (play->failed != WR_OK || result != WR_OK)
        return play->failed != WR_OK ? play->failed : result;
    if (play->result->first_ns != WR_EVENT_NONE)
        WR_TRY(pass_time(play, play->now_ns, true));
    play->result->last_ns = play->now_ns;
    play->result->left_out = wr_timeline_left_out(&play->timeline);
    play->result->readings = wr_intake_read(&play->sides[0].counters, WR_BOOK_RECEIVED);
    play->result->series = wr_series_count(play->sides[0].world.series);
    for (size_t i = 0; i < WR_PLAY_SIDES; i++)
        if (play->sides[i].used && wr_tally_close(play->sides[i].tally, play->now_ns) != WR_OK)
            return wr_error_set(play->err, WR_NO_MEMORY, "no memory for what the alarms did");
    return WR_OK;
}

static enum wr_result make(struct play *play) {
    const struct wr_play_options *options = play->options;
    for (unsigned i = 0; i < options->source->replay.n_files; i++)
        if (access(options->source->replay.files[i], R_OK) != 0)
            return wr_error_set(play->err, WR_NOT_FOUND, "%.200s: cannot be read", options->source->replay.files[i]);
    for (size_t i = 0; i < WR_PLAY_SIDES; i++) {
        wr_tally_init(&play->result->tallies[i], options->keep_episodes);
        if (options->rules[i])
            WR_TRY(make_side(play, &play->sides[i], options->rules[i], &play->result->tallies[i], play->err));
    }
    if (options->feed)
        return WR_OK;
    WR_TRY(wr_timeline_init(&play->timeline, options->source, WR_PLAY_RECORD_BYTES, play->err));
    play->timeline.record = on_record;
    play->timeline.refused = on_refused;
    play->timeline.user = play;
    return WR_OK;
}

enum wr_result wr_play(const struct wr_play_options *options, struct wr_play_result *ret_result, struct wr_error *err) {
    *ret_result = (struct wr_play_result){.first_ns = WR_EVENT_NONE};
    struct play *play = calloc(1, sizeof *play);
    if (!play)
        return wr_error_set(err, WR_NO_MEMORY, "no memory");
    play->options = options;
    play->result = ret_result;
    play->err = err;
    play->limits = (struct wr_config_limits){
        .max_series = WR_PLAY_SERIES, .max_symbols = SYMBOLS, .batches = BATCHES, .max_line_bytes = WR_PLAY_RECORD_BYTES};
    enum wr_result result = make(play);
    if (result == WR_OK)
        result = run(play);
    wr_timeline_fini(&play->timeline);
    for (size_t i = 0; i < WR_PLAY_SIDES; i++)
        free_side(&play->sides[i]);
    free(play);
    return result;
}

void wr_play_result_fini(struct wr_play_result *result) {
    for (size_t i = 0; i < WR_PLAY_SIDES; i++)
        wr_tally_fini(&result->tallies[i]);
}
