/* What the uplink asks of the store, and what it is told without asking. */
#include <string.h>

#include "agent/loops/store_loop_private.h"
#include "core/log.h"

_Static_assert(WR_BUDGET_PERIODS <= WR_STORE_COUNTS, "the store has a place for each budget of the uplink");

static void reply(struct wr_store_loop *loop, struct wr_uplink_reply *message) {
    if (wr_channel_try_send(loop->to_uplink, message) != WR_OK)
        wr_segment_free(&message->segment); /* there is no uplink: the channel of a running one cannot be full */
}

static void tell_counts(struct wr_store_loop *loop) {
    for (unsigned i = 0; i < WR_BUDGET_PERIODS; i++) {
        struct wr_uplink_reply counted = {.kind = WR_UPLINK_COUNTED, .lane = (uint8_t)i, .count = wr_store_count(loop->store, i)};
        reply(loop, &counted);
    }
}

/* READY makes void whatever was answered and asked before it. What lies in the channel goes, so that there is room. */
void wr_store_loop_tell_ready(struct wr_store_loop *loop) {
    struct wr_uplink_reply ready = {
        .kind = WR_UPLINK_READY, .epoch = wr_store_epoch(loop->store), .seq = wr_store_live_from(loop->store) - 1};
    struct wr_uplink_reply stale;
    while (wr_channel_try_recv(loop->to_uplink, &stale) == WR_OK)
        wr_segment_free(&stale.segment);
    memset(loop->told, 0, sizeof loop->told);
    memset(loop->offer_waits, 0, sizeof loop->offer_waits);
    loop->asked_waits = false;
    loop->unreadable_again = loop->stats->unreadable_again;
    loop->epoch = ready.epoch;
    if (wr_store_is_without(loop->store))
        return;
    tell_counts(loop);
    reply(loop, &ready);
}

/* A broken store was renamed aside while it ran, and a fresh one is in use: nobody knows anything of it yet. Or what could not be read is to be tried again: the uplink
 * has passed it. */
void wr_store_loop_look_for_fresh_store(struct wr_store_loop *loop) {
    if (wr_store_epoch(loop->store) == loop->epoch) {
        if (loop->stats->unreadable_again != loop->unreadable_again)
            wr_store_loop_tell_ready(loop);
        return;
    }
    WR_LOG(WR_LOG_ERROR, "store", "the store broke and was renamed aside; a fresh one is in use");
    wr_store_loop_tell_ready(loop);
    loop->fresh_stores++;
}

/* After commits: what is the newest of each lane. A lane that found no room is told at the next turn. */
void wr_store_loop_tell_available(struct wr_store_loop *loop) {
    for (unsigned lane = 0; lane < WR_LANES; lane++) {
        int64_t newest = wr_store_newest(loop->store, (enum wr_lane)lane);
        if (newest <= loop->told[lane])
            continue;
        struct wr_uplink_reply available = {.kind = WR_UPLINK_AVAILABLE, .lane = (uint8_t)lane, .seq = newest};
        if (wr_channel_try_send(loop->to_uplink, &available) == WR_OK)
            loop->told[lane] = newest;
    }
}

static enum wr_result answer_get(struct wr_store_loop *loop, struct wr_uplink_request *get, const struct wr_now *now,
                                 struct wr_error *err) {
    struct wr_uplink_reply answer = {.kind = WR_UPLINK_SEGMENT, .lane = get->lane, .cursor = get->cursor, .ticket = get->ticket};
    int64_t before = get->last == INT64_MAX ? INT64_MAX : get->last + 1;
    while (get->max_segments > 0) {
        enum wr_result result = wr_store_next(loop->store, (enum wr_lane)get->lane, get->first - 1, before, now, &answer.segment, err);
        if (wr_store_epoch(loop->store) != get->epoch) {
            wr_segment_free(&answer.segment);
            return WR_OK; /* READY comes in place of an answer */
        }
        if (result == WR_EMPTY)
            break;
        if (result != WR_OK)
            return result;
        get->first = wr_segment_place(&answer.segment) + 1;
        get->max_segments--;
        reply(loop, &answer);
        answer.segment = (struct wr_segment){0};
    }
    answer.kind = WR_UPLINK_DONE;
    answer.segment = (struct wr_segment){0};
    reply(loop, &answer);
    return WR_OK;
}

/* Watermarks, the latest of each lane. They do not hold up what the uplink says behind them: acknowledgements may be what makes the room. */
void wr_store_loop_commit_offers(struct wr_store_loop *loop, const struct wr_now *now) {
    for (unsigned lane = 0; lane < WR_LANES; lane++) {
        struct wr_error err = {0};
        struct wr_uplink_reply offered = {.kind = WR_UPLINK_OFFERED, .lane = (uint8_t)lane, .seq = loop->offer_waits[lane]};
        if (offered.seq == 0)
            continue;
        enum wr_result result = wr_store_offer(loop->store, (enum wr_lane)lane, offered.seq, now, &err);
        if (result != WR_OK) {
            wr_store_loop_disk_result(loop, result, "booking for the uplink", &err);
            return;
        }
        wr_store_loop_disk_result(loop, WR_OK, NULL, NULL);
        loop->offer_waits[lane] = 0;
        if (wr_store_epoch(loop->store) != loop->epoch)
            return;
        reply(loop, &offered);
    }
}

static enum wr_result answer_asked(struct wr_store_loop *loop, const struct wr_now *now, struct wr_error *err) {
    struct wr_uplink_request *asked = &loop->asked;
    enum wr_result result = WR_OK;
    switch ((enum wr_uplink_request_kind)asked->kind) {
    case WR_UPLINK_GET:
        return answer_get(loop, asked, now, err);
    case WR_UPLINK_OFFER:
        if (asked->lane < WR_LANES && asked->last > loop->offer_waits[asked->lane])
            loop->offer_waits[asked->lane] = asked->last;
        if (now->boot_ns >= loop->retry_boot_ns)
            wr_store_loop_commit_offers(loop, now);
        return WR_OK;
    case WR_UPLINK_ACK:
        return wr_store_ack(loop->store, (enum wr_lane)asked->lane, asked->first, asked->last, now, err);
    case WR_UPLINK_PARK:
        for (int64_t seq = asked->first; result == WR_OK && seq <= asked->last; seq++)
            result = wr_store_park(loop->store, (enum wr_lane)asked->lane, seq);
        return result;
    case WR_UPLINK_COUNT:
        if (asked->lane < WR_BUDGET_PERIODS)
            wr_store_count_put(loop->store, asked->lane, &asked->count, asked->urgent, now);
        return WR_OK;
    }
    return WR_OK;
}

/* What was asked of a former store is void: its READY is under way. A disk that refuses is asked again; tables that are full are not, since
 * what makes room in them comes behind. */
void wr_store_loop_answer_uplink(struct wr_store_loop *loop, const struct wr_now *now) {
    struct wr_error err = {0};
    loop->asked_waits = false;
    if (loop->phase == WR_STORE_STOPS && loop->asked.kind == WR_UPLINK_GET)
        return; /* the uplink has stopped before, and a row that cannot be read must not hold up what comes in */
    const bool any_store = loop->asked.kind == WR_UPLINK_COUNT;
    if ((loop->asked.epoch != wr_store_epoch(loop->store) && !any_store) || wr_store_is_without(loop->store))
        return;
    enum wr_result result = answer_asked(loop, now, &err);
    if (result == WR_FULL) {
        WR_LOG_WITH(WR_LOG_WARN, "store", "not booked for the uplink; it will be sent again", WR_LOG_ERR(&err));
        if (loop->asked.kind == WR_UPLINK_GET) {
            struct wr_uplink_reply done = {
                .kind = WR_UPLINK_DONE, .lane = loop->asked.lane, .cursor = loop->asked.cursor, .ticket = loop->asked.ticket};
            reply(loop, &done);
        }
    } else if (result != WR_OK) {
        wr_store_loop_disk_result(loop, result, "answering the uplink", &err);
        loop->asked_waits = true;
    }
}

bool wr_store_loop_offers_wait(const struct wr_store_loop *loop) {
    for (unsigned lane = 0; lane < WR_LANES; lane++)
        if (loop->offer_waits[lane] > 0)
            return true;
    return false;
}

void wr_store_loop_new_uplink(struct wr_request *request, void *owner) {
    struct wr_store_loop *loop = owner;
    const struct wr_now now = wr_clock_now(loop->clock);
    if (loop->asked_waits)
        wr_store_loop_answer_uplink(loop, &now);
    while (wr_channel_try_recv(loop->from_uplink, &loop->asked) == WR_OK)
        if (loop->asked.kind != WR_UPLINK_GET && loop->asked.kind != WR_UPLINK_OFFER)
            wr_store_loop_answer_uplink(loop, &now);
    wr_store_loop_tell_ready(loop);
    wr_store_loop_tell_available(loop);
    wr_request_finish(request, WR_OK);
}
