#include "agent/loops/store_loop_private.h"

#include <stdlib.h>
#include <string.h>

#include "agent/loops/store_opening.h"
#include "core/log.h"
#include "core/thread.h"

/* -- channels -------------------------------------------------------------------------------------------------------------------------- */

static void drop_request(void *element, void *user) {
    (void)user;
    wr_request_finish(*(struct wr_request **)element, WR_CLOSED);
}

static void drop_message(void *element, void *user) {
    struct wr_request *request = ((struct wr_store_message *)element)->request;
    (void)user;
    if (request)
        wr_request_finish(request, WR_CLOSED);
}

static void drop_reply(void *element, void *user) {
    (void)user;
    wr_segment_free(&((struct wr_uplink_reply *)element)->segment);
}

enum wr_result wr_store_loop_init(struct wr_store_loop *loop, uint32_t handovers, uint32_t uplink_window, struct wr_error *err) {
    const struct {
        struct wr_channel **channel;
        struct wr_channel_options options;
    } wanted[] = {
        {&loop->from_engine,
         {.name = "engine to store",
          .capacity = handovers + 16 + WR_KEPT_POOL,
          .element_bytes = sizeof(struct wr_store_message),
          .drop = drop_message}},
        {&loop->journal, {.name = "journal", .capacity = WR_STORE_JOURNAL_CAPACITY, .element_bytes = sizeof(struct wr_alarm_entry)}},
        {&loop->requests, {.name = "store requests", .capacity = 16, .element_bytes = sizeof(struct wr_request *), .drop = drop_request}},
        {&loop->from_uplink,
         {.name = "uplink to store", .capacity = WR_UPLINK_REQUESTS(uplink_window), .element_bytes = sizeof(struct wr_uplink_request)}},
        {&loop->to_uplink,
         {.name = "store to uplink",
          .capacity = WR_UPLINK_REPLIES(uplink_window),
          .element_bytes = sizeof(struct wr_uplink_reply),
          .drop = drop_reply}},
        {&loop->opened, {.name = "store opened", .capacity = 1, .element_bytes = 1}},
    };
    pthread_mutex_init(&loop->trouble_lock, NULL);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        enum wr_result result = wr_channel_new(&wanted[i].options, wanted[i].channel, err);
        if (result != WR_OK) {
            wr_store_loop_fini(loop);
            return result;
        }
    }
    const enum wr_result raw = wr_store_loop_raw_init(loop, err);
    if (raw != WR_OK) {
        wr_store_loop_fini(loop);
        return raw;
    }
    loop->state = WR_STORE_OPENING;
    return WR_OK;
}

void wr_store_loop_fini(struct wr_store_loop *loop) {
    struct wr_channel **channels[] = {&loop->from_engine, &loop->journal,   &loop->requests,
                                      &loop->from_uplink, &loop->to_uplink, &loop->opened};
    for (size_t i = 0; i < sizeof channels / sizeof channels[0]; i++) {
        wr_channel_free(*channels[i]);
        *channels[i] = NULL;
    }
    wr_raw_log_free(loop->raw);
    loop->raw = NULL;
    free(loop->restored);
    loop->restored = NULL;
    wr_buf_fini(&loop->memories);
    pthread_mutex_destroy(&loop->trouble_lock);
}

/* -- the disk refuses ------------------------------------------------------------------------------------------------------------------ */

/* One line at the first refusal, then silence until it is over; everything is tried again every second. */
void wr_store_loop_disk_result(struct wr_store_loop *loop, enum wr_result result, const char *what, const struct wr_error *err) {
    if (result == WR_OK) {
        if (wr_store_reopen_due(loop->store) != WR_NEVER_NS)
            return; /* only memory took something */
        if (loop->refusals > 0)
            WR_LOG_WITH(WR_LOG_INFO, "store", "the store takes again", WR_LOG_INT("refusals", loop->refusals));
        loop->refusals = 0;
        return;
    }
    if (loop->refusals++ == 0)
        WR_LOG_WITH(WR_LOG_ERROR, "store", "the store refuses; tried again every second", WR_LOG_STR("what", what), WR_LOG_ERR(err));
    loop->retry_boot_ns = wr_clock_boot_ns(loop->clock) + WR_STORE_RETRY_NS;
}

/* -- journal and handovers ------------------------------------------------------------------------------------------------------------- */

static void show_journalled(struct wr_store_loop *loop) {
    loop->journalled = wr_store_journalled(loop->store); /* entries are numbered in the order of the channel */
}

/* True when nothing of the journal waits any more. */
static bool take_alarms(struct wr_store_loop *loop, const struct wr_now *now) {
    while (loop->alarms_from < loop->n_alarms) {
        struct wr_error err = {0};
        uint32_t taken = 0;
        enum wr_result result =
            wr_store_alarms(loop->store, loop->alarms + loop->alarms_from, loop->n_alarms - loop->alarms_from, now, &taken, &err);
        loop->alarms_from += taken;
        wr_store_loop_disk_result(loop, result, "journalling alarms", &err);
        if (result != WR_OK)
            return false;
    }
    loop->n_alarms = loop->alarms_from = 0;
    show_journalled(loop);
    return true;
}

/* True when the handover is wholly taken, and returned to the engine. */
static bool take_handover(struct wr_store_loop *loop, const struct wr_now *now) {
    if (!loop->handover)
        return true;
    struct wr_error err = {0};
    uint32_t taken = 0;
    enum wr_result result = wr_store_take(loop->store, loop->handover, loop->handover_from, now, &taken, &err);
    loop->handover_from += taken;
    wr_store_loop_disk_result(loop, result, "taking windows", &err);
    if (result != WR_OK)
        return false;
    loop->counted_wall_ns = loop->handover->counted_wall_ns;
    if (loop->handover->final)
        loop->final_seen = true;
    wr_handover_return(loop->handover);
    loop->handover = NULL;
    loop->handover_from = 0;
    return true;
}

static void run_request(struct wr_store_loop *loop, struct wr_request *request) {
    request->run(request, loop);
}

enum wr_result wr_store_loop_tell_accounts(struct wr_store_loop *loop, const struct wr_accounts *accounts, struct wr_error *err) {
    WR_TRY(wr_store_accounts(loop->store, accounts->list, accounts->n, false, err));
    wr_store_lengths(loop->store, accounts->length_ns, accounts->n, &accounts->lengths);
    return WR_OK;
}

void wr_store_loop_expect(struct wr_request *request, void *owner) {
    struct wr_store_loop *loop = owner;
    const struct wr_accounts *accounts = request->input;
    wr_store_lengths(loop->store, NULL, 0, NULL); /* before anything can fail */
    wr_request_finish(request, wr_store_accounts(loop->store, accounts->list, accounts->n, false, &request->error));
}

void wr_store_loop_accounts(struct wr_request *request, void *owner) {
    struct wr_store_loop *loop = owner;
    wr_request_finish(request, wr_store_loop_tell_accounts(loop, request->input, &request->error));
}

/* -- opening ---------------------------------------------------------------------------------------------------------------------------- */

static void begin(struct wr_store_loop *loop, const struct wr_now *now) {
    enum wr_result result = wr_store_opening_begin(loop, now);
    loop->phase = result == WR_OK ? WR_STORE_RUNS : WR_STORE_ENDED;
    if (result != WR_OK)
        loop->state = WR_STORE_FAILED;
    wr_channel_close(loop->opened);
    if (result != WR_OK) { /* whoever sends or asks learns it at once, and a stop waits for nobody */
        wr_channel_close(loop->from_engine);
        wr_channel_close(loop->journal);
        wr_channel_close(loop->requests);
    }
}

/* -- turns ------------------------------------------------------------------------------------------------------------------------------- */

/* What waits for the disk (a refused handover or journal batch) shuts its channel. */
void wr_store_loop_receive(struct wr_store_loop *loop, int64_t deadline_boot_ns, struct wr_store_received *ret_received) {
    static const enum wr_store_source sources[] = {WR_STORE_JOURNAL, WR_STORE_UPLINK, WR_STORE_ENGINE, WR_STORE_REQUEST};
    struct wr_store_received received = {0};
    struct wr_channel_case cases[] = {
        {.channel = loop->n_alarms ? NULL : loop->journal, .direction = WR_CHANNEL_RECV, .element = &loop->alarms[0]},
        {.channel = loop->asked_waits ? NULL : loop->from_uplink, .direction = WR_CHANNEL_RECV, .element = &loop->asked},
        {.channel = loop->handover ? NULL : loop->from_engine, .direction = WR_CHANNEL_RECV, .element = &received.message},
        {.channel = loop->phase == WR_STORE_STOPS ? NULL : loop->requests, .direction = WR_CHANNEL_RECV, .element = &received.request},
    };
    size_t index;
    if (wr_channel_select(cases, sizeof cases / sizeof cases[0], NULL, deadline_boot_ns, &index) == WR_OK) {
        received.from = sources[index];
        received.closed = cases[index].result != WR_OK;
    }
    *ret_received = received;
}

static void take(struct wr_store_loop *loop, const struct wr_now *now, const struct wr_store_received *received) {
    switch (received->from) {
    case WR_STORE_NOTHING:
        break;
    case WR_STORE_JOURNAL: {
        size_t more = 0;
        if (wr_channel_recv_batch(loop->journal, loop->alarms + 1, WR_STORE_JOURNAL_BATCH - 1, 0, &more) != WR_OK)
            more = 0;
        loop->n_alarms = 1 + (uint32_t)more;
        break;
    }
    case WR_STORE_UPLINK:
        wr_store_loop_answer_uplink(loop, now);
        break;
    case WR_STORE_ENGINE:
        loop->handover = received->message.handover;
        if (received->message.kept)
            wr_store_loop_keep(loop, received->message.kept, now);
        if (received->message.request)
            run_request(loop, received->message.request);
        break;
    case WR_STORE_REQUEST:
        run_request(loop, received->request);
        break;
    }
}

/* For whoever compares with a count of his own: what is booked, up to when. Every commit of the ledger, so it has no call site to be silenced. */
static void log_commits(struct wr_store_loop *loop, int64_t counted_wall_ns) {
    uint64_t commits = loop->stats->book_commits;
    if (commits == loop->commits_logged || !wr_log_enabled(WR_LOG_DEBUG))
        return;
    loop->commits_logged = commits;
    const struct wr_log_value values[] = {WR_LOG_INT("commits", commits), WR_LOG_INT("counted_ns", counted_wall_ns)};
    wr_log_write(NULL, WR_LOG_DEBUG, "store", "committed", values, sizeof values / sizeof values[0]);
}

/* A line when it begins, waits, or is over. */
static void log_salvage(struct wr_store_loop *loop) {
    static const char *const what[] = {[WR_SALVAGE_NONE] = "the broken store is gone: it made room",
                                       [WR_SALVAGE_RUNS] = "a broken store is being salvaged",
                                       [WR_SALVAGE_WAITS] = "the salvage of a broken store waits until the broker has taken more",
                                       [WR_SALVAGE_DONE] = "a broken store is salvaged, and removed",
                                       [WR_SALVAGE_KEPT] = "nothing of a broken store can be read: it is kept as it is"};
    const uint64_t state = loop->stats->salvage;
    if (state == loop->salvage_logged || state > WR_SALVAGE_KEPT)
        return;
    loop->salvage_logged = state;
    WR_LOG_WITH(state == WR_SALVAGE_KEPT ? WR_LOG_WARN : WR_LOG_INFO, "store", what[state],
                WR_LOG_INT("segments", (int64_t)loop->stats->salvaged_segments),
                WR_LOG_INT("readings", (int64_t)loop->stats->salvaged_readings),
                WR_LOG_INT("damaged", (int64_t)loop->stats->salvage_damaged));
}

static void log_unreadable(struct wr_store_loop *loop) {
    if (loop->unreadable_logged || loop->stats->unreadable_places == 0)
        return;
    loop->unreadable_logged = true;
    WR_LOG_WITH(WR_LOG_ERROR, "store", "a part of the store cannot be read: it is passed over, and tried again each hour",
                WR_LOG_STR("todo", "look at the disk (dmesg), and replace it"));
}

/* Does what waits or is due. Nothing is tried while the disk refuses, before its time. */
static void work(struct wr_store_loop *loop, const struct wr_now *now) {
    if (now->boot_ns < loop->retry_boot_ns)
        return;
    if (loop->phase == WR_STORE_RUNS)
        wr_store_opening_turn(loop, now, false);
    int64_t counted_before = loop->counted_wall_ns; /* a commit inside of the next handover may hold only the one before */
    if (take_alarms(loop, now))
        (void)take_handover(loop, now);
    if (now->boot_ns >= loop->retry_boot_ns)
        wr_store_loop_commit_offers(loop, now);
    if (wr_store_due(loop->store) <= now->boot_ns && now->boot_ns >= loop->retry_boot_ns) {
        struct wr_error err = {0};
        wr_store_loop_disk_result(loop, wr_store_tick(loop->store, now, &err), "committing", &err);
    }
    if (loop->asked_waits &&
        now->boot_ns >= loop->retry_boot_ns) /* behind the commit: a row that cannot be read must not keep that from its turn */
        wr_store_loop_answer_uplink(loop, now);
    wr_store_loop_raw_turn(loop, now);
    log_commits(loop, counted_before);
    log_salvage(loop);
    log_unreadable(loop);
    wr_store_loop_climb(loop, now);
    show_journalled(loop);
    wr_store_loop_look_for_fresh_store(loop);
    wr_store_loop_tell_available(loop);
}

/* A line for each change. */
static void log_write_level(struct wr_store_loop *loop) {
    const uint64_t level = loop->stats->write_level;
    if (level == loop->write_level)
        return;
    const bool tighter = level > loop->write_level;
    loop->write_level = level;
    WR_LOG_WITH(tighter ? WR_LOG_WARN : WR_LOG_INFO, "store", tighter ? "the write budget grows tight" : "the write budget has room again",
                WR_LOG_STR("level", wr_budget_level_name((enum wr_budget_level)level)),
                WR_LOG_INT("written_bytes", loop->stats->write_spent_bytes), WR_LOG_INT("budget_bytes", loop->options.write_budget_bytes));
}

static uint64_t pressure(const struct wr_store_loop *loop) {
    if (!loop->store)
        return 0;
    return (loop->stats->high_water != 0 ? WR_STORE_PRESSURE_ROOM : 0) |
           (loop->stats->write_level >= WR_BUDGET_SLOW ? WR_STORE_PRESSURE_WRITES : 0);
}

static int64_t next_deadline(const struct wr_store_loop *loop) {
    int64_t due = wr_store_due(loop->store);
    if (due > wr_store_opening_due(loop))
        due = wr_store_opening_due(loop);
    if (due > loop->raw_due_boot_ns)
        due = loop->raw_due_boot_ns;
    bool waits = loop->handover || loop->n_alarms || loop->asked_waits || wr_store_loop_offers_wait(loop);
    if (loop->refusals > 0 && (waits || due < loop->retry_boot_ns))
        return loop->retry_boot_ns;
    return waits ? 0 : due;
}

static void end(struct wr_store_loop *loop, const struct wr_now *now) {
    struct wr_error err = {0};
    if (loop->state == WR_STORE_WITHOUT && loop->stats->dropped_readings > 0)
        WR_LOG_WITH(WR_LOG_WARN, "store", "stopped without a store: what it dropped stands in no books",
                    WR_LOG_INT("dropped_readings", (int64_t)loop->stats->dropped_readings));
    if (!loop->final_seen) {
        /* The engine did not hand over everything: the next start must book what is missing, so this is no clean close. */
        if (wr_store_flush(loop->store, now, &err) != WR_OK)
            WR_LOG_WITH(WR_LOG_ERROR, "store", "last commit failed", WR_LOG_ERR(&err));
        wr_store_abandon(loop->store);
    } else if (wr_store_close(loop->store, now, &err) != WR_OK) {
        WR_LOG_WITH(WR_LOG_ERROR, "store", "not closed cleanly", WR_LOG_ERR(&err));
    }
    loop->store = NULL;
    loop->phase = WR_STORE_ENDED;
}

#define STUCK_REFUSALS 3

/* The requests are closed last. A disk that refused is tried once more, and at once: it may be well again, and what is on its way is lost without it. */
static void begin_stop(struct wr_store_loop *loop, const struct wr_now *now) {
    if (loop->state == WR_STORE_GONE)
        wr_store_opening_turn(loop, now, true);
    loop->phase = WR_STORE_STOPS;
    loop->retry_boot_ns = 0;
    if (loop->refusals > STUCK_REFUSALS)
        loop->refusals = STUCK_REFUSALS;
}

/* What is in the channels at a stop, until nothing is left in two turns, or the disk goes on refusing. */
static int64_t stop_turn(struct wr_store_loop *loop, const struct wr_now *now) {
    work(loop, now);
    struct wr_channel_stats journal, handovers, uplink;
    wr_channel_stats(loop->journal, &journal);
    wr_channel_stats(loop->from_engine, &handovers);
    wr_channel_stats(loop->from_uplink, &uplink);
    bool stuck = loop->refusals > STUCK_REFUSALS;
    bool empty = journal.depth + handovers.depth + uplink.depth == 0 && !loop->handover && !loop->n_alarms && !loop->asked_waits;
    if (!empty && !stuck)
        return loop->refusals ? loop->retry_boot_ns : 0;
    if (++loop->idle == 2)
        end(loop, now);
    return 0;
}

int64_t wr_store_loop_turn(struct wr_store_loop *loop, const struct wr_now *now, const struct wr_store_received *received) {
    if (loop->phase == WR_STORE_BEGINS) {
        begin(loop, now);
        return loop->phase == WR_STORE_RUNS ? next_deadline(loop) : 0;
    }
    if (received->from == WR_STORE_REQUEST && received->closed)
        begin_stop(loop, now);
    if (!received->closed)
        take(loop, now, received);
    if (loop->phase == WR_STORE_STOPS)
        return stop_turn(loop, now);
    work(loop, now);
    log_write_level(loop);
    loop->high_water = pressure(loop);
    return next_deadline(loop);
}

static void *run(void *user) {
    struct wr_store_loop *loop = user;
    struct wr_store_received received = {0};
    wr_thread_name("weir-store");
    while (loop->phase != WR_STORE_ENDED) {
        const struct wr_now now = wr_clock_now(loop->clock);
        const int64_t due_boot_ns = wr_store_loop_turn(loop, &now, &received);
        if (loop->phase != WR_STORE_ENDED)
            wr_store_loop_receive(loop, due_boot_ns, &received);
    }
    return NULL;
}

enum wr_result wr_store_loop_start(struct wr_store_loop *loop, struct wr_error *err) {
    return wr_thread_start(&loop->thread, run, loop, "store", err);
}

enum wr_result wr_store_loop_wait_open(struct wr_store_loop *loop, int64_t deadline_boot_ns, struct wr_error *err) {
    char nothing;
    enum wr_result waited = wr_channel_recv(loop->opened, &nothing, deadline_boot_ns);
    if (waited == WR_TIMEOUT)
        return wr_error_set(err, WR_TIMEOUT, "the store is still being opened");
    if (loop->state == WR_STORE_OPEN)
        return WR_OK;
    *err = loop->open_error;
    return err->code ? err->code : WR_IO;
}

enum wr_result wr_store_loop_stop(struct wr_store_loop *loop, int64_t deadline_boot_ns) {
    wr_channel_close(loop->requests);
    return wr_thread_join(loop->thread, deadline_boot_ns);
}
