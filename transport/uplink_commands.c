/* The uplink's ear: when to subscribe to commands, and what the broker's answer means. The data never waits for any of it. */
#include <stdio.h>

#include "transport/uplink_private.h"

/* Connections: a bad link loses one, or two, at this very moment; a broker that hangs up instead of refusing loses each. */
#define LOST_TO_DOUBT 3

static bool is_due_at_all(const struct wr_uplink *uplink) {
    return uplink->config.commands && (uplink->commands == WR_UPLINK_COMMANDS_OFF || uplink->commands == WR_UPLINK_COMMANDS_REFUSED);
}

static void refuse(struct wr_uplink *uplink, const struct wr_now *now, const char *why) {
    uplink->commands = WR_UPLINK_COMMANDS_REFUSED;
    uplink->subscribe_boot_ns = wr_clock_add_ns(now->boot_ns, uplink->config.subscribe_retry_ns);
    uplink->stats.commands_refused++;
    (void)snprintf(uplink->stats.commands_cause, sizeof uplink->stats.commands_cause, "%s", why);
}

void wr_uplink_commands_begin(struct wr_uplink *uplink, const struct wr_now *now) {
    if (!uplink->config.commands)
        return;
    if (uplink->subscribes_lost >= LOST_TO_DOUBT)
        uplink->commands = WR_UPLINK_COMMANDS_REFUSED;
    else
        uplink->subscribe_boot_ns = now->boot_ns;
}

void wr_uplink_commands_end(struct wr_uplink *uplink, const struct wr_now *now) {
    if (uplink->commands == WR_UPLINK_COMMANDS_ASKED && !uplink->stopping) {
        if (uplink->subscribes_lost < LOST_TO_DOUBT)
            uplink->subscribes_lost++;
        if (uplink->subscribes_lost >= LOST_TO_DOUBT)
            refuse(uplink, now, "connections ended, one after the other, before the subscription to commands was answered");
    }
    uplink->commands = WR_UPLINK_COMMANDS_OFF;
}

void wr_uplink_commands_answered(struct wr_uplink *uplink, const struct wr_now *now, const struct wr_session_event *event) {
    if (uplink->commands != WR_UPLINK_COMMANDS_ASKED)
        return;
    uplink->progress_boot_ns = now->boot_ns;
    uplink->subscribes_lost = 0;
    if (event->reason >= 0x80)
        refuse(uplink, now, event->text);
    else
        uplink->commands = WR_UPLINK_COMMANDS_HEARD;
}

bool wr_uplink_commands_ask(struct wr_uplink *uplink, const struct wr_now *now) {
    if (!is_due_at_all(uplink) || now->boot_ns < uplink->subscribe_boot_ns)
        return false;
    uplink->commands = WR_UPLINK_COMMANDS_ASKED;
    return true;
}

int64_t wr_uplink_commands_wake_ns(const struct wr_uplink *uplink) {
    return uplink->state == WR_UPLINK_ONLINE && is_due_at_all(uplink) ? uplink->subscribe_boot_ns : WR_NEVER_NS;
}
