/* What sessions end over: MQTT 3.1.1 has no word for "this one I do not take", and brokers of 5 do not always use theirs. They close the connection, each time it comes. */
#include "transport/reason.h"
#include "transport/uplink_private.h"

#define HANGUPS_TO_DOUBT 2
#define SHUTTING_DOWN 0x8B
#define CAREFUL_MORE 16 /* beside a window: the birth, alarms and others that go first */

/* By the other side, while it owed us an answer, and not for a reason that has to do with the node or the server as a whole. */
static bool is_hangup(const struct wr_uplink_load *load, const struct wr_session_event *event) {
    return event != NULL && event->kind == WR_SESSION_LOST && event->reason != SHUTTING_DOWN &&
           wr_reason_cure(event->reason) == WR_REASON_RETRY && load->in_flight > 0 &&
           load->unanswered == load->in_flight; /* a SUBSCRIBE may be what it ended over, too */
}

/* One more session ended over it. True: that is enough. A link that breaks, or a broker that is ill, ends sessions over anything: so it begins anew where one ended over something
 * else meanwhile, and is never enough where no others got through. */
static bool convicts(const struct wr_uplink *uplink, struct suspicion *suspicion) {
    if (!suspicion->stands || suspicion->elsewhere != uplink->hangups_elsewhere)
        *suspicion = (struct suspicion){.stands = true, .delivered = uplink->delivered, .elsewhere = uplink->hangups_elsewhere};
    if (suspicion->times < WR_UPLINK_REFUSALS_TO_PARK)
        suspicion->times++;
    return suspicion->times == WR_UPLINK_REFUSALS_TO_PARK && uplink->delivered > suspicion->delivered;
}

static int64_t retry_ns(const struct wr_uplink *uplink, const struct wr_now *now, const struct suspicion *suspicion) {
    return wr_clock_add_ns(now->boot_ns, uplink->config.refusal_backoff_ns << (suspicion->times - 1u));
}

static void blame_item(struct wr_uplink *uplink, const struct wr_now *now, struct item *item) {
    item->state = convicts(uplink, &item->suspicion) ? ITEM_PARKING : ITEM_REFUSED;
    item->reason = WR_UPLINK_HANGUP;
    item->retry_boot_ns = retry_ns(uplink, now, &item->suspicion);
    uplink->stats.refused++;
}

static void blame_direct(struct wr_uplink *uplink, const struct wr_now *now, struct direct *direct) {
    direct->state = convicts(uplink, &direct->suspicion) ? DIRECT_DROPPED : DIRECT_WAITING;
    direct->retry_boot_ns = retry_ns(uplink, now, &direct->suspicion);
}

/* What was alone in flight is what it ended over. */
static void blame(struct wr_uplink *uplink, const struct wr_now *now) {
    for (size_t i = 0; i < uplink->n_items; i++)
        if (uplink->items[i].state == ITEM_IN_FLIGHT)
            blame_item(uplink, now, &uplink->items[i]);
    for (size_t i = 0; i < DIRECTS; i++)
        if (uplink->directs[i].state == DIRECT_IN_FLIGHT)
            blame_direct(uplink, now, &uplink->directs[i]);
}

void wr_uplink_suspect_ended(struct wr_uplink *uplink, const struct wr_now *now, int64_t lasted_ns, const struct wr_session_event *event) {
    struct wr_uplink_load load;
    wr_uplink_load(uplink, &load);
    if (lasted_ns >= uplink->config.stable_ns || event == NULL) /* ended by us: it is not the other side that hangs up */
        uplink->hangups = 0;
    if (!is_hangup(&load, event))
        return;
    if (uplink->hangups < HANGUPS_TO_DOUBT)
        uplink->hangups++;
    uplink->hangups_elsewhere += !load.suspect;
    if (load.in_flight == 1 && (uplink->careful > 0 || load.suspect))
        blame(uplink, now);
}

void wr_uplink_suspect_silent(struct wr_uplink *uplink, const struct wr_now *now) {
    struct wr_uplink_load load;
    wr_uplink_load(uplink, &load);
    uplink->hangups_elsewhere += !load.suspect && load.in_flight > 0;
    if (load.suspect && load.in_flight == 1 && load.unanswered == 1)
        blame(uplink, now);
}

void wr_uplink_suspect_begin(struct wr_uplink *uplink) {
    uplink->delivered_before = uplink->delivered;
    uplink->careful = uplink->hangups >= HANGUPS_TO_DOUBT ? uplink->window + CAREFUL_MORE : 0;
}

void wr_uplink_suspect_answered(struct wr_uplink *uplink) {
    if (uplink->careful > 0 && --uplink->careful == 0)
        uplink->hangups = 0;
}

/* Whether what is no suspect has all gone, as far as it may go: else a session would end over the same message before anything else went. What is urgent waits for one other. */
bool wr_uplink_suspect_turn(const struct wr_uplink *uplink, const struct wr_uplink_load *load, bool urgent) {
    if (urgent && uplink->delivered > uplink->delivered_before)
        return true;
    for (size_t c = 0; c < 2; c++)
        for (size_t lane = 0; lane < WR_LANES; lane++)
            if (uplink->cursors[c][lane].asked || wr_uplink_cursor_wants(uplink, load, (enum wr_cursor)c, lane))
                return false;
    return load->occupied == 0 && !uplink->birth_due;
}

bool wr_uplink_suspect_lets(const struct wr_uplink *uplink, const struct wr_uplink_load *load, bool suspect) {
    return load->in_flight == 0 || (uplink->careful == 0 && !suspect && !load->suspect);
}
