/* The uplink's care for segments: cursors, GETs, offers, refusals, and the way back after a lost connection. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "transport/reason.h"
#include "transport/uplink_private.h"

#define GET_MAX 8             /* segments a GET asks for, so that lanes and cursors take turns */
#define ESTIMATE_START 65536u /* of a lane from which nothing came yet */
#define OFFER_NONE INT64_C(-1)

uint64_t wr_uplink_id(struct wr_uplink *uplink) {
    return ++uplink->next_id;
}

void wr_uplink_item_free(struct item *item) {
    wr_segment_free(&item->segment);
    memset(item, 0, sizeof *item);
}

struct item *wr_uplink_item_by_id(struct wr_uplink *uplink, uint64_t id) {
    for (size_t i = 0; i < uplink->n_items; i++) {
        if (uplink->items[i].state == ITEM_IN_FLIGHT && uplink->items[i].id == id)
            return &uplink->items[i];
    }
    return NULL;
}

static struct item *item_by_seq(struct wr_uplink *uplink, uint8_t lane, int64_t seq) {
    for (size_t i = 0; i < uplink->n_items; i++) {
        struct item *item = &uplink->items[i];
        if (item->state != ITEM_FREE && item->lane == lane && item->seq == seq)
            return item;
    }
    return NULL;
}

static struct item *item_by_ticket(struct wr_uplink *uplink, uint64_t ticket) {
    for (size_t i = 0; i < uplink->n_items; i++) {
        if (uplink->items[i].state == ITEM_ASKED && uplink->items[i].ticket == ticket)
            return &uplink->items[i];
    }
    return NULL;
}

static struct item *item_new(struct wr_uplink *uplink) {
    for (size_t i = 0; i < uplink->n_items; i++) {
        if (uplink->items[i].state == ITEM_FREE)
            return &uplink->items[i];
    }
    return NULL;
}

static bool is_put_off(const struct item *item) {
    return item->refusals > 0 || item->suspicion.stands;
}

void wr_uplink_load(const struct wr_uplink *uplink, struct wr_uplink_load *ret_load) {
    struct wr_uplink_load load = {0};
    for (size_t i = 0; i < uplink->n_items; i++) {
        const struct item *item = &uplink->items[i];
        bool waits = item->state == ITEM_REFUSED || item->state == ITEM_ASKED || item->state == ITEM_HELD || item->state == ITEM_IN_FLIGHT;
        if (waits && is_put_off(item)) {
            load.refused[item->lane != WR_LANE_ALARMS]++;
            load.refused_lanes |= 1U << item->lane;
        }
        if (item->state == ITEM_IN_FLIGHT) {
            load.suspect |= item->suspicion.stands;
            load.in_flight++;
            load.in_flight_bytes += item->bytes;
        } else if (item->state == ITEM_HELD || item->state == ITEM_ASKED) {
            load.alarms += item->lane == WR_LANE_ALARMS;
            load.occupied++;
            load.occupied_bytes += item->bytes;
        }
    }
    for (size_t i = 0; i < DIRECTS; i++) {
        const struct direct *direct = &uplink->directs[i];
        if (direct->state == DIRECT_IN_FLIGHT) {
            load.suspect |= direct->suspicion.stands;
            load.in_flight++;
            load.in_flight_bytes += (uint32_t)direct->message.payload_len;
        } else if (direct->state == DIRECT_WAITING) {
            load.direct_waiting += i < WR_UPLINK_DIRECT;
        }
    }
    load.in_flight += uplink->birth_id != 0;
    load.unanswered = load.in_flight + (uplink->commands == WR_UPLINK_COMMANDS_ASKED);
    for (size_t c = 0; c < 2; c++) {
        for (size_t lane = 0; lane < WR_LANES; lane++) {
            const struct cursor *cursor = &uplink->cursors[c][lane];
            if (cursor->asked) {
                load.alarms += lane == WR_LANE_ALARMS;
                load.occupied += cursor->asked_left;
                load.occupied_bytes += (uint64_t)cursor->asked_left * uplink->estimate_bytes[lane];
            }
        }
    }
    load.occupied += load.in_flight;
    load.occupied_bytes += load.in_flight_bytes;
    *ret_load = load;
}

/* A new store: everything known of the old one is void. */
static void on_ready(struct wr_uplink *uplink, const struct wr_uplink_reply *reply) {
    for (size_t i = 0; i < uplink->n_items; i++)
        wr_uplink_item_free(&uplink->items[i]);
    uplink->overtaken_id = 0; /* it may be one of those; the next answer says more */
    uplink->store_ready = true;
    uplink->epoch = reply->epoch;
    uplink->start_seq = reply->seq;
    uplink->balance = 0;
    for (size_t lane = 0; lane < WR_LANES; lane++) {
        uplink->available[lane] = 0;
        uplink->offered[lane] = reply->offered[lane];
        uplink->offering[lane] = reply->offered[lane];
        uplink->estimate_bytes[lane] = ESTIMATE_START;
        uplink->cursors[WR_CURSOR_LIVE][lane] = (struct cursor){.position = reply->seq, .maybe_more = true};
        uplink->cursors[WR_CURSOR_BACKFILL][lane] = (struct cursor){.position = 0, .maybe_more = reply->seq > 0};
    }
}

/* Whether a reply's ticket is still awaited. After a rewind the old ones are not. */
static bool takes_ticket(struct wr_uplink *uplink, const struct wr_uplink_reply *reply) {
    if (reply->cursor == WR_CURSOR_RETRY)
        return item_by_ticket(uplink, reply->ticket) != NULL;
    if (reply->cursor > WR_CURSOR_RETRY)
        return false;
    const struct cursor *cursor = &uplink->cursors[reply->cursor][reply->lane];
    return cursor->asked && cursor->ticket == reply->ticket;
}

/* The item that a segment belongs to, or NULL when it is not wanted. */
static struct item *item_for(struct wr_uplink *uplink, const struct wr_uplink_reply *reply) {
    const int64_t place = wr_segment_place(&reply->segment);
    if (!takes_ticket(uplink, reply))
        return NULL;
    if (reply->cursor == WR_CURSOR_RETRY) {
        struct item *item = item_by_ticket(uplink, reply->ticket);
        return item->lane == reply->lane && item->seq == place ? item : NULL;
    }
    struct cursor *cursor = &uplink->cursors[reply->cursor][reply->lane];
    if (cursor->asked_left == 0 || place <= cursor->position)
        return NULL; /* not what was asked for */
    cursor->asked_left--;
    cursor->position = place;
    if (item_by_seq(uplink, reply->lane, place) != NULL)
        return NULL; /* waits for its retry: the cursor passes over it */
    struct item *item = item_new(uplink);
    assert(item != NULL);
    *item = (struct item){.lane = reply->lane, .cursor = reply->cursor, .seq = place};
    return item;
}

static void on_segment(struct wr_uplink *uplink, const struct wr_now *now, struct wr_uplink_reply *reply, size_t packet_bytes,
                       enum wr_result encoded) {
    struct item *item = item_for(uplink, reply);
    if (item == NULL)
        return;
    item->order = wr_uplink_id(uplink);
    item->kind = (uint8_t)reply->segment.kind;
    item->bytes = (uint32_t)reply->segment.body_len;
    uplink->estimate_bytes[item->lane] = item->bytes;
    wr_uplink_budget_fetched(uplink, now, item->lane, item->bytes);
    bool too_large = packet_bytes > uplink->max_packet_bytes;
    if (encoded == WR_NO_MEMORY) { /* a passing state: the same segment may go later */
        wr_uplink_item_refuse(uplink, item, 0, now->boot_ns);
        return;
    }
    if (encoded != WR_OK || too_large) {
        item->reason = encoded == WR_OK ? WR_REASON_TOO_LARGE : 0;
        item->state = ITEM_PARKING;
        return;
    }
    item->segment = reply->segment;
    reply->segment = (struct wr_segment){0};
    item->state = ITEM_HELD;
}

static void on_done(struct wr_uplink *uplink, const struct wr_uplink_reply *reply) {
    if (!takes_ticket(uplink, reply))
        return;
    if (reply->cursor == WR_CURSOR_RETRY) {
        /* Still waiting for its body: it is no longer in the store, evicted or parked. */
        wr_uplink_item_free(item_by_ticket(uplink, reply->ticket));
        return;
    }
    struct cursor *cursor = &uplink->cursors[reply->cursor][reply->lane];
    cursor->asked = false;
    if (cursor->asked_left > 0) /* fewer than asked for: nothing more, unless something came meanwhile */
        cursor->maybe_more = reply->cursor == WR_CURSOR_LIVE && uplink->available[reply->lane] > cursor->asked_available;
    cursor->asked_left = 0;
}

void wr_uplink_on_store(struct wr_uplink *uplink, const struct wr_now *now, struct wr_uplink_reply *reply, size_t packet_bytes,
                        enum wr_result encoded) {
    if (reply->lane < WR_LANES) {
        switch ((enum wr_uplink_reply_kind)reply->kind) {
        case WR_UPLINK_READY:
            on_ready(uplink, reply);
            break;
        case WR_UPLINK_AVAILABLE:
            if (reply->seq > uplink->available[reply->lane])
                uplink->available[reply->lane] = reply->seq;
            if (reply->seq > uplink->cursors[WR_CURSOR_LIVE][reply->lane].position)
                uplink->cursors[WR_CURSOR_LIVE][reply->lane].maybe_more = true;
            break;
        case WR_UPLINK_SEGMENT:
            on_segment(uplink, now, reply, packet_bytes, encoded);
            break;
        case WR_UPLINK_DONE:
            on_done(uplink, reply);
            break;
        case WR_UPLINK_OFFERED:
            if (reply->seq > uplink->offered[reply->lane])
                uplink->offered[reply->lane] = reply->seq;
            break;
        case WR_UPLINK_COUNTED:
            wr_uplink_budget_kept(uplink, now, reply);
            break;
        }
    }
    wr_segment_free(&reply->segment);
}

/* What the broker took of those that it may keep out: of its class; of anything where it is a gap record, whose topic is its own. */
static uint64_t passed_by(const struct wr_uplink *uplink, const struct item *item) {
    return item->kind == WR_SEGMENT_GAPS ? uplink->passed[0] + uplink->passed[1] : uplink->passed[item->lane != WR_LANE_ALARMS];
}

/* As many of its class wait as may wait, so nothing new is fetched; and since it was refused first the broker has taken others. */
static bool is_in_the_way(const struct wr_uplink *uplink, const struct item *item) {
    struct wr_uplink_load load;
    wr_uplink_load(uplink, &load);
    return load.refused[item->lane != WR_LANE_ALARMS] >= WR_UPLINK_REFUSED && passed_by(uplink, item) > item->passed;
}

/* A reason that is about the node is gone for all of them once somebody has done something, unless it is about some topics only and those keep others out; that memory is short, with time.
 * Of a few others the fifth time is enough, and a size does not change. */
static bool is_hopeless(const struct wr_uplink *uplink, const struct item *item) {
    const enum wr_reason_cure cure = wr_reason_cure(item->reason);
    if (item->reason == 0 || (item->reason >= 0x80 && cure == WR_REASON_SLOWER))
        return false;
    if (item->reason >= 0x80 && cure == WR_REASON_WAIT && !is_in_the_way(uplink, item))
        return false;
    return item->refusals >= WR_UPLINK_REFUSALS_TO_PARK || item->reason == WR_REASON_TOO_LARGE;
}

void wr_uplink_item_refuse(struct wr_uplink *uplink, struct item *item, uint8_t reason, int64_t now_boot_ns) {
    wr_segment_free(&item->segment);
    if (item->refusals == 0)
        item->passed = passed_by(uplink, item);
    if (item->refusals < WR_UPLINK_REFUSALS_TO_PARK)
        item->refusals++;
    item->reason = reason;
    uplink->stats.refused++;
    if (is_hopeless(uplink, item)) {
        item->state = ITEM_PARKING;
        return;
    }
    item->state = ITEM_REFUSED;
    item->retry_boot_ns = wr_clock_add_ns(now_boot_ns, uplink->config.refusal_backoff_ns << (item->refusals - 1u));
}

void wr_uplink_rewind(struct wr_uplink *uplink) {
    for (size_t i = 0; i < uplink->n_items; i++) {
        struct item *item = &uplink->items[i];
        if (item->state != ITEM_HELD && item->state != ITEM_IN_FLIGHT && item->state != ITEM_ASKED)
            continue;
        uplink->stats.resent += item->state == ITEM_IN_FLIGHT;
        if (is_put_off(item)) { /* its refusals must not be forgotten */
            wr_segment_free(&item->segment);
            item->state = ITEM_REFUSED;
            continue;
        }
        struct cursor *cursor = &uplink->cursors[item->cursor][item->lane];
        if (item->seq - 1 < cursor->position)
            cursor->position = item->seq - 1;
        cursor->maybe_more = true;
        wr_uplink_item_free(item);
    }
    for (size_t c = 0; c < 2; c++) {
        for (size_t lane = 0; lane < WR_LANES; lane++) {
            uplink->cursors[c][lane].asked = false; /* maybe_more stands since it was asked */
            uplink->cursors[c][lane].asked_left = 0;
        }
    }
}

/* ---- requests ---- */

static void request_get(struct wr_uplink *uplink, struct wr_uplink_request *request, enum wr_cursor which, uint8_t lane, int64_t first,
                        int64_t last, uint32_t n) {
    *request = (struct wr_uplink_request){
        .kind = WR_UPLINK_GET,
        .lane = lane,
        .cursor = (uint8_t)which,
        .max_segments = n,
        .epoch = uplink->epoch,
        .ticket = wr_uplink_id(uplink),
        .first = first,
        .last = last,
    };
}

/* While too many wait of a class none of it is fetched; but of another lane than theirs a few at a time, for all of them may be of one topic that the broker forbids. */
static bool may_fetch(const struct wr_uplink_load *load, size_t lane) {
    return load->refused[lane != WR_LANE_ALARMS] < WR_UPLINK_REFUSED || ((load->refused_lanes >> lane & 1) == 0 && load->occupied == 0);
}

bool wr_uplink_cursor_wants(const struct wr_uplink *uplink, const struct wr_uplink_load *load, enum wr_cursor which, size_t lane) {
    const struct cursor *cursor = &uplink->cursors[which][lane];
    return cursor->maybe_more && !cursor->asked && (which == WR_CURSOR_LIVE || cursor->position < uplink->start_seq) &&
           may_fetch(load, lane) && !wr_uplink_budget_bars(uplink, which, lane) && !wr_uplink_clock_bars(uplink, lane);
}

/* How many segments of a lane the window has room for. A part of it is kept for lane 0 (U5). */
static uint32_t room_in_window(const struct wr_uplink *uplink, const struct wr_uplink_load *load, uint8_t lane) {
    uint32_t messages = uplink->window;
    uint64_t bytes = uplink->config.window_bytes;
    if (lane != WR_LANE_ALARMS && messages > 1) {
        messages -= messages >= 8 ? messages / 8 : 1;
        bytes -= bytes / 8;
    }
    if (lane != WR_LANE_ALARMS && uplink->pace.limit < messages) { /* U10: what cannot go is not asked for */
        messages = uplink->pace.limit;
        bytes = wr_pace_drain_bytes(&uplink->pace, uplink->config.window_bytes);
    }
    if (load->occupied >= messages)
        return 0;
    uint32_t n = messages - load->occupied;
    if (n > GET_MAX)
        n = GET_MAX;
    uint64_t each = uplink->estimate_bytes[lane] > 0 ? uplink->estimate_bytes[lane] : 1;
    uint64_t left = bytes > load->occupied_bytes ? bytes - load->occupied_bytes : 0;
    if (left / each < n)
        n = (uint32_t)(left / each);
    return n == 0 && load->occupied == 0 ? 1 : n; /* one that is larger than the window still goes, alone */
}

/* What is held for its rate, or its turn, must not keep an alarm out where the window has no part to keep for it. */
static uint32_t room_for(const struct wr_uplink *uplink, const struct wr_uplink_load *load, uint8_t lane) {
    const uint32_t n = room_in_window(uplink, load, lane);
    return n == 0 && lane == WR_LANE_ALARMS && load->alarms == 0 && load->in_flight < uplink->window ? 1 : n;
}

static bool get_cursor(struct wr_uplink *uplink, const struct wr_uplink_load *load, const struct wr_now *now, enum wr_cursor which,
                       uint8_t lane, struct wr_uplink_request *request) {
    if (!wr_uplink_cursor_wants(uplink, load, which, lane))
        return false;
    uint32_t n = wr_uplink_budget_allows(uplink, now, lane, room_for(uplink, load, lane));
    if (n == 0)
        return false;
    struct cursor *cursor = &uplink->cursors[which][lane];
    request_get(uplink, request, which, lane, cursor->position + 1, which == WR_CURSOR_LIVE ? INT64_MAX : uplink->start_seq, n);
    cursor->asked = true;
    cursor->asked_left = n;
    cursor->asked_available = uplink->available[lane];
    cursor->ticket = request->ticket;
    return true;
}

/* Lane 0, then what is no suspect, by age; of suspects the one that has waited longest: the same one first, each time, would end the session before any other is tried. */
static bool goes_before(const struct item *one, const struct item *other) {
    const bool alarm = one->lane == WR_LANE_ALARMS;
    if (alarm != (other->lane == WR_LANE_ALARMS))
        return alarm;
    if (one->suspicion.stands != other->suspicion.stands)
        return !one->suspicion.stands;
    return one->suspicion.stands ? one->retry_boot_ns < other->retry_boot_ns : one->seq < other->seq;
}

/* There are brokers that also end the session over a refusal: what has little hope goes when others have gone, or the session is stable, or none would get beyond it. */
static bool goes_last(const struct wr_uplink *uplink, const struct wr_now *now, const struct item *item) {
    const bool young = now->boot_ns - uplink->online_since_boot_ns < uplink->config.stable_ns;
    return item->suspicion.stands || (item->refusals >= WR_UPLINK_REFUSALS_TO_PARK && young);
}

/* Segments that were refused and may be tried again. */
static bool get_retry(struct wr_uplink *uplink, const struct wr_uplink_load *load, const struct wr_now *now,
                      struct wr_uplink_request *request) {
    const bool suspects[] = {wr_uplink_suspect_turn(uplink, load, false), wr_uplink_suspect_turn(uplink, load, true)};
    struct item *due = NULL;
    for (size_t i = 0; i < uplink->n_items; i++) {
        struct item *item = &uplink->items[i];
        if (item->state != ITEM_REFUSED || item->retry_boot_ns > now->boot_ns ||
            (goes_last(uplink, now, item) && !suspects[item->lane == WR_LANE_ALARMS]))
            continue;
        bool before = due == NULL || goes_before(item, due);
        if (before)
            due = item;
    }
    if (due == NULL || room_for(uplink, load, due->lane) == 0)
        return false;
    request_get(uplink, request, WR_CURSOR_RETRY, due->lane, due->seq, due->seq, 1);
    due->state = ITEM_ASKED;
    due->ticket = request->ticket;
    return true;
}

static bool wants_any(const struct wr_uplink *uplink, const struct wr_uplink_load *load, enum wr_cursor which) {
    for (size_t lane = WR_LANE_CHANGES; lane < WR_LANES; lane++) {
        if (wr_uplink_cursor_wants(uplink, load, which, lane))
            return true;
    }
    return false;
}

static bool get_any(struct wr_uplink *uplink, const struct wr_uplink_load *load, const struct wr_now *now, enum wr_cursor which,
                    struct wr_uplink_request *request) {
    for (unsigned lane = WR_LANE_CHANGES; lane < WR_LANES; lane++) {
        if (get_cursor(uplink, load, now, which, (uint8_t)lane, request))
            return true;
    }
    return false;
}

/* Live before backfill, but backfill keeps its share while both want. */
static bool get_fair(struct wr_uplink *uplink, const struct wr_uplink_load *load, const struct wr_now *now,
                     struct wr_uplink_request *request) {
    bool both = wants_any(uplink, load, WR_CURSOR_LIVE) && wants_any(uplink, load, WR_CURSOR_BACKFILL);
    enum wr_cursor first = both && uplink->balance < 0 ? WR_CURSOR_BACKFILL : WR_CURSOR_LIVE;
    bool found = get_any(uplink, load, now, first, request) ||
                 get_any(uplink, load, now, first == WR_CURSOR_LIVE ? WR_CURSOR_BACKFILL : WR_CURSOR_LIVE, request);
    if (found && both)
        uplink->balance += request->cursor == WR_CURSOR_LIVE ? -(int64_t)uplink->config.backfill_percent * request->max_segments
                                                             : (100 - (int64_t)uplink->config.backfill_percent) * request->max_segments;
    return found;
}

/* A held segment beyond the watermark: the store commits a higher one before anything of it is published (U3). */
static bool next_offer(struct wr_uplink *uplink, struct wr_uplink_request *request) {
    int64_t beyond[WR_LANES] = {OFFER_NONE, OFFER_NONE, OFFER_NONE, OFFER_NONE};
    for (size_t i = 0; i < uplink->n_items; i++) {
        const struct item *item = &uplink->items[i];
        if (item->state == ITEM_HELD && item->seq > uplink->offering[item->lane] && item->seq > beyond[item->lane])
            beyond[item->lane] = item->seq;
    }
    for (unsigned lane = 0; lane < WR_LANES; lane++) {
        if (beyond[lane] == OFFER_NONE)
            continue;
        uplink->offering[lane] = beyond[lane] + WR_UPLINK_STRIDE - 1;
        *request = (struct wr_uplink_request){
            .kind = WR_UPLINK_OFFER, .lane = (uint8_t)lane, .epoch = uplink->epoch, .last = uplink->offering[lane]};
        return true;
    }
    return false;
}

bool wr_uplink_next_request(struct wr_uplink *uplink, const struct wr_now *now, struct wr_uplink_request *ret_request) {
    uplink->even_waits = false;
    if (!uplink->store_ready)
        return false;
    if (next_offer(uplink, ret_request))
        return true;
    if (uplink->state != WR_UPLINK_ONLINE)
        return false;
    wr_uplink_clock_look(uplink, now);
    struct wr_uplink_load load;
    wr_uplink_load(uplink, &load);
    return get_cursor(uplink, &load, now, WR_CURSOR_LIVE, WR_LANE_ALARMS, ret_request) ||
           get_cursor(uplink, &load, now, WR_CURSOR_BACKFILL, WR_LANE_ALARMS, ret_request) || get_retry(uplink, &load, now, ret_request) ||
           get_fair(uplink, &load, now, ret_request);
}

bool wr_uplink_next_booking(struct wr_uplink *uplink, struct wr_uplink_request *ret_request) {
    for (size_t i = 0; i < uplink->n_items; i++) {
        struct item *item = &uplink->items[i];
        if (item->state != ITEM_ACKED && item->state != ITEM_PARKING)
            continue;
        *ret_request = (struct wr_uplink_request){
            .kind = item->state == ITEM_ACKED ? WR_UPLINK_ACK : WR_UPLINK_PARK,
            .lane = item->lane,
            .reason = item->reason,
            .epoch = uplink->epoch,
            .first = item->seq,
            .last = item->seq,
        };
        uplink->stats.parked += item->state == ITEM_PARKING;
        wr_uplink_item_free(item);
        return true;
    }
    return false;
}
