#include "agent/control/control_shadow.h"

#include "agent/agent.h"
#include "agent/commands/commands.h"

#define MOST 100 /* rules, and alarms, in one answer */

int wr_control_shadow(struct wr_agent *agent, bool json, struct wr_buf *answer) {
    struct wr_error err = {0};
    bool differs = false;
    enum wr_result result = wr_agent_shadow_report(agent, json, MOST, NULL, answer, &differs, &err);
    if (result == WR_OK && json)
        result = wr_buf_text(answer, "\n");
    if (result == WR_OK)
        return differs ? WR_EXIT_FOUND : WR_EXIT_OK;
    (void)!wr_buf_printf(answer, "weir shadow: %s\n", err.text[0] ? err.text : wr_result_name(result));
    return WR_EXIT_CANNOT;
}
