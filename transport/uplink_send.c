/* What the uplink publishes next, and whether it may now. */
#include "transport/uplink_private.h"

/* The held segment that goes next: lane 0 first, then in the order in which they were fetched. */
static struct item *next_segment(struct wr_uplink *uplink) {
    struct item *next = NULL;
    for (size_t i = 0; i < uplink->n_items; i++) {
        struct item *item = &uplink->items[i];
        if (item->state != ITEM_HELD || item->seq > uplink->offered[item->lane]) /* U3 */
            continue;
        bool alarm = item->lane == WR_LANE_ALARMS;
        bool next_alarm = next != NULL && next->lane == WR_LANE_ALARMS;
        if (next == NULL || (alarm && !next_alarm) || (alarm == next_alarm && item->order < next->order))
            next = item;
    }
    return next;
}

/* As of segments: in the order in which they came, suspects last, and of these the one that has waited longest. */
static bool goes_before(const struct direct *one, const struct direct *other) {
    if (one->suspicion.stands != other->suspicion.stands)
        return !one->suspicion.stands;
    return one->suspicion.stands ? one->retry_boot_ns < other->retry_boot_ns : one->order < other->order;
}

struct direct *wr_uplink_next_direct(struct wr_uplink *uplink, const struct wr_uplink_load *load, const struct wr_now *now) {
    struct direct *next = NULL;
    const bool suspects = wr_uplink_suspect_turn(uplink, load, true);
    for (size_t i = 0; i < DIRECTS; i++) {
        struct direct *direct = &uplink->directs[i];
        if (direct->state != DIRECT_WAITING || direct->retry_boot_ns > now->boot_ns || (direct->suspicion.stands && !suspects))
            continue;
        if (next == NULL || goes_before(direct, next))
            next = direct;
    }
    return next;
}

static bool publish_segment(struct wr_uplink *uplink, const struct wr_now *now, struct item *item, struct wr_uplink_action *action) {
    wr_uplink_act(action, WR_UPLINK_ACT_PUBLISH, uplink);
    item->id = wr_uplink_id(uplink);
    item->state = ITEM_IN_FLIGHT;
    item->published_boot_ns = now->boot_ns;
    action->id = item->id;
    wr_pace_rate_sent(&uplink->rate, item->bytes, now->boot_ns);
    uplink->publishing = item->segment;
    item->segment = (struct wr_segment){0};
    action->segment = &uplink->publishing;
    uplink->stats.published++;
    return true;
}

bool wr_uplink_send_direct(struct wr_uplink *uplink, struct direct *direct, struct wr_uplink_action *action) {
    wr_uplink_act(action, WR_UPLINK_ACT_DIRECT, uplink);
    direct->id = wr_uplink_id(uplink);
    direct->state = DIRECT_IN_FLIGHT;
    action->id = direct->id;
    action->direct = &direct->message;
    return true;
}

/* U10: what is no alarm goes at the pace of the link, and of the config. */
static bool pace_lets(struct wr_uplink *uplink, const struct wr_now *now, const struct wr_uplink_load *load, size_t bytes) {
    const uint32_t window_bytes = wr_pace_drain_bytes(&uplink->pace, uplink->config.window_bytes);
    if (load->in_flight >= uplink->pace.limit || (load->in_flight_bytes > 0 && load->in_flight_bytes + bytes > window_bytes))
        return false;
    uplink->rate_waits = wr_pace_rate_ready_ns(&uplink->rate) > now->boot_ns;
    return !uplink->rate_waits;
}

/* The subscription (U7), then the birth, then alarms, then direct messages, then the rest; none of it but the first beyond the window (U2, U5). */
bool wr_uplink_next_publish(struct wr_uplink *uplink, const struct wr_now *now, struct wr_uplink_action *action) {
    struct wr_uplink_load load;
    uplink->rate_waits = false;
    wr_uplink_load(uplink, &load);
    if (load.unanswered == 0)
        uplink->progress_boot_ns = now->boot_ns;
    if (wr_uplink_commands_ask(uplink, now))
        return wr_uplink_act(action, WR_UPLINK_ACT_SUBSCRIBE, uplink);
    if (load.in_flight >= uplink->window)
        return false;
    if (uplink->birth_due) {
        uplink->birth_due = false;
        uplink->birth_id = wr_uplink_id(uplink);
        wr_uplink_act(action, WR_UPLINK_ACT_BIRTH, uplink);
        action->online = true;
        action->id = uplink->birth_id;
        return true;
    }
    struct item *item = next_segment(uplink);
    struct direct *direct = wr_uplink_next_direct(uplink, &load, now);
    bool direct_first = direct != NULL && (item == NULL || item->lane != WR_LANE_ALARMS);
    if (!direct_first && item == NULL)
        return false;
    if (!wr_uplink_suspect_lets(uplink, &load, direct_first ? direct->suspicion.stands : item->suspicion.stands))
        return false;
    size_t bytes = direct_first ? direct->message.payload_len : item->bytes;
    if (load.in_flight_bytes > 0 && load.in_flight_bytes + bytes > uplink->config.window_bytes)
        return false;
    if (!direct_first && item->lane != WR_LANE_ALARMS && !pace_lets(uplink, now, &load, bytes))
        return false;
    return direct_first ? wr_uplink_send_direct(uplink, direct, action) : publish_segment(uplink, now, item, action);
}

static uint64_t oldest_in_flight(const struct wr_uplink *uplink) {
    uint64_t oldest = uplink->birth_id > 0 ? uplink->birth_id : UINT64_MAX;
    for (size_t i = 0; i < uplink->n_items; i++)
        if (uplink->items[i].state == ITEM_IN_FLIGHT && uplink->items[i].id < oldest)
            oldest = uplink->items[i].id;
    for (size_t i = 0; i < DIRECTS; i++)
        if (uplink->directs[i].state == DIRECT_IN_FLIGHT && uplink->directs[i].id < oldest)
            oldest = uplink->directs[i].id;
    return oldest;
}

/* A broker answers in the order of the publishes (MQTT 5.0 and 3.1.1, 4.6), or nearly so (where its queues are in a cluster). */
void wr_uplink_answered(struct wr_uplink *uplink, const struct wr_now *now, uint64_t id) {
    wr_uplink_suspect_answered(uplink);
    if (id > uplink->answered_id)
        uplink->answered_id = id;
    const uint64_t oldest = oldest_in_flight(uplink);
    const uint64_t overtaken = oldest < uplink->answered_id ? oldest : 0;
    if (overtaken != uplink->overtaken_id)
        uplink->overtaken_boot_ns = now->boot_ns;
    uplink->overtaken_id = overtaken;
}
