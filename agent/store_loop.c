#include "agent/store_loop.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/thread.h"

/* -- channels -------------------------------------------------------------------------------------------------------------------------- */

static void drop_request(void *element, void *user) {
    (void)user;
    wr_request_finish(*(struct wr_request **)element, WR_CLOSED);
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
        {&loop->from_engine, {.name = "engine to store", .capacity = handovers + 16, .element_bytes = sizeof(struct wr_store_message)}},
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
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        enum wr_result result = wr_channel_new(&wanted[i].options, wanted[i].channel, err);
        if (result != WR_OK) {
            wr_store_loop_fini(loop);
            return result;
        }
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
    free(loop->restored);
    loop->restored = NULL;
}

/* -- the disk refuses ------------------------------------------------------------------------------------------------------------------ */

/* One line at the first refusal, then silence until it is over; everything is tried again every second. */
static void disk_result(struct wr_store_loop *loop, enum wr_result result, const char *what, const struct wr_error *err) {
    if (result == WR_OK) {
        if (loop->refusals > 0)
            WR_LOG_WITH(WR_LOG_INFO, "store", "the store takes again", WR_LOG_INT("refusals", loop->refusals));
        loop->refusals = 0;
        return;
    }
    if (loop->refusals++ == 0)
        WR_LOG_WITH(WR_LOG_ERROR, "store", "the store refuses; tried again every second", WR_LOG_STR("what", what), WR_LOG_ERR(err));
    loop->retry_boot_ns = wr_clock_boot_ns(loop->clock) + WR_STORE_RETRY_NS;
}

/* -- the uplink ------------------------------------------------------------------------------------------------------------------------ */

static void reply(struct wr_store_loop *loop, struct wr_uplink_reply *message) {
    if (wr_channel_try_send(loop->to_uplink, message) != WR_OK)
        wr_segment_free(&message->segment); /* there is no uplink: the channel of a running one cannot be full */
}

static void tell_ready(struct wr_store_loop *loop) {
    struct wr_uplink_reply ready = {
        .kind = WR_UPLINK_READY, .epoch = wr_store_epoch(loop->store), .seq = wr_store_live_from(loop->store) - 1};
    memset(loop->told, 0, sizeof loop->told);
    loop->uplink_told_ready = true;
    reply(loop, &ready);
}

/* After commits: what is the newest of each lane. A lane that found no room is told at the next turn. */
static void tell_available(struct wr_store_loop *loop) {
    for (unsigned lane = 0; loop->uplink_told_ready && lane < WR_LANES; lane++) {
        int64_t newest = wr_store_newest(loop->store, (enum wr_lane)lane);
        if (newest <= loop->told[lane])
            continue;
        struct wr_uplink_reply available = {.kind = WR_UPLINK_AVAILABLE, .lane = (uint8_t)lane, .seq = newest};
        if (wr_channel_try_send(loop->to_uplink, &available) == WR_OK)
            loop->told[lane] = newest;
    }
}

static void answer_get(struct wr_store_loop *loop, const struct wr_uplink_request *get, const struct wr_now *now) {
    struct wr_uplink_reply answer = {.kind = WR_UPLINK_SEGMENT, .lane = get->lane, .cursor = get->cursor, .ticket = get->ticket};
    int64_t after = get->first - 1;
    for (uint32_t i = 0; i < get->max_segments; i++) {
        struct wr_error err = {0};
        int64_t before = get->last == INT64_MAX ? INT64_MAX : get->last + 1;
        enum wr_result result = wr_store_next(loop->store, (enum wr_lane)get->lane, after, before, now, &answer.segment, &err);
        if (result != WR_OK) {
            if (result != WR_EMPTY)
                disk_result(loop, result, "reading a segment", &err);
            break;
        }
        after = answer.segment.seq;
        reply(loop, &answer);
        answer.segment = (struct wr_segment){0};
    }
    answer.kind = WR_UPLINK_DONE;
    answer.segment = (struct wr_segment){0};
    reply(loop, &answer);
}

static void answer_uplink(struct wr_store_loop *loop, const struct wr_uplink_request *request, const struct wr_now *now) {
    struct wr_error err = {0};
    enum wr_result result = WR_OK;
    switch ((enum wr_uplink_request_kind)request->kind) {
    case WR_UPLINK_GET:
        answer_get(loop, request, now);
        return;
    case WR_UPLINK_OFFER:
        result = wr_store_offer(loop->store, (enum wr_lane)request->lane, request->last, now, &err);
        if (result == WR_OK) {
            struct wr_uplink_reply offered = {.kind = WR_UPLINK_OFFERED, .lane = request->lane, .seq = request->last};
            reply(loop, &offered);
        }
        break;
    case WR_UPLINK_ACK:
        if (request->epoch == wr_store_epoch(loop->store))
            result = wr_store_ack(loop->store, (enum wr_lane)request->lane, request->first, request->last, now, &err);
        break;
    case WR_UPLINK_PARK:
        for (int64_t seq = request->first; result == WR_OK && seq <= request->last; seq++)
            result = wr_store_park(loop->store, (enum wr_lane)request->lane, seq);
        break;
    }
    if (result != WR_OK)
        disk_result(loop, result, "booking for the uplink", &err);
}

/* -- journal and handovers ------------------------------------------------------------------------------------------------------------- */

static void show_journalled(struct wr_store_loop *loop) {
    loop->journalled = loop->journal_base + wr_store_journalled(loop->store);
}

/* True when nothing of the journal waits any more. */
static bool take_alarms(struct wr_store_loop *loop, const struct wr_now *now) {
    while (loop->alarms_from < loop->n_alarms) {
        struct wr_error err = {0};
        uint32_t taken = 0;
        enum wr_result result =
            wr_store_alarms(loop->store, loop->alarms + loop->alarms_from, loop->n_alarms - loop->alarms_from, now, &taken, &err);
        loop->alarms_from += taken;
        disk_result(loop, result, "journalling alarms", &err);
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
    disk_result(loop, result, "taking windows", &err);
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

void wr_store_loop_new_uplink(struct wr_request *request, void *owner) {
    struct wr_store_loop *loop = owner;
    struct wr_uplink_reply stale;
    struct wr_uplink_request old;
    while (wr_channel_try_recv(loop->to_uplink, &stale) == WR_OK)
        wr_segment_free(&stale.segment);
    while (wr_channel_try_recv(loop->from_uplink, &old) == WR_OK)
        if (old.kind == WR_UPLINK_ACK || old.kind == WR_UPLINK_PARK) {
            const struct wr_now now = wr_clock_now(loop->clock);
            answer_uplink(loop, &old, &now);
        }
    tell_ready(loop);
    tell_available(loop);
    wr_request_finish(request, WR_OK);
}

void wr_store_loop_accounts(struct wr_request *request, void *owner) {
    struct wr_store_loop *loop = owner;
    const struct wr_accounts *accounts = request->input;
    wr_request_finish(request, wr_store_accounts(loop->store, accounts->list, accounts->n, false, &request->error));
}

/* -- the thread ------------------------------------------------------------------------------------------------------------------------ */

struct restoring {
    struct wr_store_loop *loop;
    uint32_t room;
};

static void on_snapshot(void *user, uint64_t key, const uint8_t *body, size_t len) {
    struct restoring *restoring = user;
    struct wr_store_loop *loop = restoring->loop;
    (void)key;
    if (len == 0 || len > WR_ALARM_SNAP_BYTES)
        return;
    if (loop->n_restored == restoring->room) {
        uint32_t room = restoring->room ? 2 * restoring->room : 64;
        struct wr_alarm_entry *more = realloc(loop->restored, room * sizeof *more);
        if (!more)
            return; /* an alarm that is not restored is raised anew by its next reading */
        loop->restored = more;
        restoring->room = room;
    }
    struct wr_alarm_entry *entry = &loop->restored[loop->n_restored++];
    memset(entry, 0, sizeof *entry);
    entry->snap_len = (uint16_t)len;
    memcpy(entry->snap, body, len);
}

static enum wr_result open_store(struct wr_store_loop *loop) {
    const struct wr_now now = wr_clock_now(loop->clock);
    WR_TRY(wr_store_open(loop->path, &loop->options, &now, loop->symbols, &loop->store, &loop->report, &loop->open_error));
    enum wr_result result = wr_store_accounts(loop->store, loop->accounts->list, loop->accounts->n, false, &loop->open_error);
    struct restoring restoring = {.loop = loop};
    if (result == WR_OK)
        result = wr_store_snaps(loop->store, WR_SNAP_ALARM, on_snapshot, &restoring, &loop->open_error);
    if (result != WR_OK) {
        (void)!wr_store_close(loop->store, &now, NULL);
        loop->store = NULL;
        return result;
    }
    loop->stats = wr_store_stats(loop->store);
    tell_ready(loop);
    tell_available(loop);
    return WR_OK;
}

/* Takes one thing, or waits until one is there. What waits for the disk (a refused handover or journal batch) shuts its channel. */
static bool take_one(struct wr_store_loop *loop, int64_t deadline_boot_ns) {
    struct wr_store_message message;
    struct wr_uplink_request uplink;
    struct wr_request *request;
    struct wr_channel_case cases[] = {
        {.channel = loop->n_alarms ? NULL : loop->journal, .direction = WR_CHANNEL_RECV, .element = &loop->alarms[0]},
        {.channel = loop->from_uplink, .direction = WR_CHANNEL_RECV, .element = &uplink},
        {.channel = loop->handover ? NULL : loop->from_engine, .direction = WR_CHANNEL_RECV, .element = &message},
        {.channel = loop->requests, .direction = WR_CHANNEL_RECV, .element = &request},
    };
    size_t index;
    if (wr_channel_select(cases, sizeof cases / sizeof cases[0], NULL, deadline_boot_ns, &index) != WR_OK)
        return true;
    if (cases[index].result != WR_OK)
        return index != 3; /* the requests are closed last: a stop */
    const struct wr_now now = wr_clock_now(loop->clock);
    if (index == 0) {
        size_t more = 0;
        if (wr_channel_recv_batch(loop->journal, loop->alarms + 1, WR_STORE_JOURNAL_BATCH - 1, 0, &more) != WR_OK)
            more = 0;
        loop->n_alarms = 1 + (uint32_t)more;
    } else if (index == 1) {
        answer_uplink(loop, &uplink, &now);
    } else if (index == 2) {
        loop->handover = message.handover;
        if (message.request)
            run_request(loop, message.request);
    } else {
        run_request(loop, request);
    }
    return true;
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

/* Does what waits or is due. Nothing is tried while the disk refuses, before its time. */
static void work(struct wr_store_loop *loop) {
    const struct wr_now now = wr_clock_now(loop->clock);
    if (now.boot_ns < loop->retry_boot_ns)
        return;
    int64_t counted_before = loop->counted_wall_ns; /* a commit inside of the next handover may hold only the one before */
    if (take_alarms(loop, &now))
        (void)take_handover(loop, &now);
    if (wr_store_due(loop->store) <= now.boot_ns && now.boot_ns >= loop->retry_boot_ns) {
        struct wr_error err = {0};
        disk_result(loop, wr_store_tick(loop->store, &now, &err), "committing", &err);
    }
    log_commits(loop, counted_before);
    show_journalled(loop);
    tell_available(loop);
}

static int64_t next_deadline(const struct wr_store_loop *loop) {
    int64_t due = wr_store_due(loop->store);
    bool waits = loop->handover || loop->n_alarms;
    if (loop->refusals > 0 && (waits || due < loop->retry_boot_ns))
        return loop->retry_boot_ns;
    return waits ? 0 : due;
}

/* What is in the channels at a stop. */
static void take_rest(struct wr_store_loop *loop) {
    for (int idle = 0; idle < 2;) {
        work(loop);
        struct wr_channel_stats journal, handovers, uplink;
        wr_channel_stats(loop->journal, &journal);
        wr_channel_stats(loop->from_engine, &handovers);
        wr_channel_stats(loop->from_uplink, &uplink);
        bool stuck = loop->refusals > 3;
        bool empty = journal.depth + handovers.depth + uplink.depth == 0 && !loop->handover && !loop->n_alarms;
        if (empty || stuck) {
            idle++;
            continue;
        }
        (void)take_one(loop, loop->refusals ? loop->retry_boot_ns : 0);
    }
}

static void *run(void *user) {
    struct wr_store_loop *loop = user;
    wr_thread_name("weir-store");
    enum wr_result result = open_store(loop);
    loop->state = result == WR_OK ? WR_STORE_OPEN : WR_STORE_FAILED;
    wr_channel_close(loop->opened);
    if (result != WR_OK)
        return NULL;
    while (take_one(loop, next_deadline(loop)))
        work(loop);
    take_rest(loop);
    const struct wr_now now = wr_clock_now(loop->clock);
    struct wr_error err = {0};
    if (!loop->final_seen) {
        /* The engine did not hand over everything: the next start must book what is missing, so this is no clean close. */
        if (wr_store_flush(loop->store, &now, &err) != WR_OK)
            WR_LOG_WITH(WR_LOG_ERROR, "store", "last commit failed", WR_LOG_ERR(&err));
        wr_store_abandon(loop->store);
    } else if (wr_store_close(loop->store, &now, &err) != WR_OK) {
        WR_LOG_WITH(WR_LOG_ERROR, "store", "not closed cleanly", WR_LOG_ERR(&err));
    }
    loop->store = NULL;
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
