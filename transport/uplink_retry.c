/* After a connection: which broker comes next, and when. */
#include "core/backoff.h"
#include "transport/reason.h"
#include "transport/uplink_private.h"

/* What somebody has to do something about is not gone in a second: at least half of the cap. */
static int64_t wait_ns(const struct wr_uplink_config *config, uint32_t failures, uint64_t random) {
    const struct wr_backoff backoff = {.min_ns = config->wait_ns < config->backoff_max_ns ? config->wait_ns : config->backoff_max_ns,
                                       .max_ns = config->backoff_max_ns,
                                       .failures = failures};
    const int64_t half_ns = wr_backoff_cap_ns(&backoff) / 2;
    return half_ns + (int64_t)(random % ((uint64_t)half_ns + 1));
}

/* A quota that ends the session is no matter of pace any more. */
static bool has_to_wait(enum wr_reason_cure cure) {
    return cure == WR_REASON_WAIT || cure == WR_REASON_SLOWER;
}

void wr_uplink_retry_plan(struct wr_uplink *uplink, const struct wr_now *now, uint64_t random, int64_t lasted_ns,
                          const struct wr_session_event *event) {
    const struct wr_uplink_config *config = &uplink->config;
    const enum wr_reason_cure cure = event != NULL ? wr_reason_cure(event->reason) : WR_REASON_RETRY;
    uplink->stats.reason = event != NULL ? event->reason : 0;
    if (lasted_ns >= config->stable_ns)
        uplink->attempts = 0;
    uplink->stats.planned = uplink->leaving != WR_UPLINK_STAYS;
    if (uplink->leaving != WR_UPLINK_STAYS) {
        uplink->attempts = 0;
        uplink->retry_boot_ns = now->boot_ns;
        if (uplink->leaving == WR_UPLINK_GOES_HOME)
            wr_route_home(&uplink->route);
        uplink->leaving = WR_UPLINK_STAYS;
        return;
    }
    struct wr_backoff backoff = {.min_ns = config->backoff_min_ns,
                                 .max_ns = config->backoff_max_ns,
                                 .stable_ns = WR_NEVER_NS,
                                 .failures = uplink->attempts / uplink->route.n}; /* R5 */
    const int64_t pause_ns = has_to_wait(cure) ? wait_ns(config, backoff.failures, random) : wr_backoff_ended(&backoff, -1, random);
    uplink->retry_boot_ns = wr_clock_add_ns(now->boot_ns, pause_ns);
    if (uplink->attempts < UINT32_MAX)
        uplink->attempts++;
    if (cure == WR_REASON_MOVE || cure == WR_REASON_MOVED)
        wr_route_sent(&uplink->route, (int)event->sent_to - 1, cure == WR_REASON_MOVED);
    else
        wr_route_down(&uplink->route, lasted_ns, config->stable_ns);
}
