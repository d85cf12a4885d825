/* What `weir replay` prints: rule by rule how often it fired, when and how long; with a second rule set the difference. Words or JSON.
 *
 * Threads: one. Ownership: reads what it is given.
 */
#ifndef WEIR_AGENT_REPLAY_REPORT_H
#define WEIR_AGENT_REPLAY_REPORT_H

#include "agent/replay/play.h"
#include "core/buf.h"

struct wr_replay_report {
    const struct wr_play_result *result;
    const struct wr_ruleset *rules[WR_PLAY_SIDES];
    const char *names[WR_PLAY_SIDES]; /* of the rule sets, as they were given */
    unsigned n_files;
    bool verbose; /* alarm by alarm; every difference */
};

WR_MUST_USE enum wr_result wr_replay_report_text(const struct wr_replay_report *report, struct wr_buf *into);
WR_MUST_USE enum wr_result wr_replay_report_json(const struct wr_replay_report *report, struct wr_buf *into);

#endif
