/* What the control socket answers to. */
#include <string.h>

#include "agent/agent.h"
#include "agent/commands/commands.h"
#include "agent/control/audit.h"
#include "agent/control/control_alarms.h"
#include "agent/control/control_explain.h"
#include "agent/control/control_history.h"
#include "agent/control/control_shadow.h"
#include "agent/control/status.h"

static int only_json(int argc, char **argv, bool *ret_json, struct wr_buf *answer) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") != 0) {
            (void)!wr_buf_printf(answer, "weir %s: unknown word '%s'. Try 'weir %s --help'.\n", argv[0], argv[i], argv[0]);
            return WR_EXIT_CANNOT;
        }
        *ret_json = true;
    }
    return WR_EXIT_OK;
}

static int answer_status(struct wr_agent *agent, int argc, char **argv, struct wr_buf *answer) {
    bool json = false;
    int code = only_json(argc, argv, &json, answer);
    if (code != WR_EXIT_OK || wr_status_print(agent, json, answer) != WR_OK)
        return WR_EXIT_CANNOT;
    return agent->ready && agent->store.state == WR_STORE_OPEN ? WR_EXIT_OK : WR_EXIT_FOUND;
}

static int answer_audit(struct wr_agent *agent, int argc, char **argv, struct wr_buf *answer) {
    bool json = false;
    int code = only_json(argc, argv, &json, answer);
    if (code != WR_EXIT_OK)
        return code;
    struct wr_audit audit;
    struct wr_error err = {0};
    if (wr_audit_live(agent, &audit, &err) != WR_OK) {
        (void)!wr_buf_printf(answer, "weir audit: %s\n", err.text);
        return WR_EXIT_CANNOT;
    }
    code = wr_audit_print(&audit, json, answer) != WR_OK ? WR_EXIT_CANNOT : audit.balanced ? WR_EXIT_OK : WR_EXIT_FOUND;
    wr_audit_fini(&audit);
    return code;
}

static int answer_shadow(struct wr_agent *agent, int argc, char **argv, struct wr_buf *answer) {
    bool json = false;
    const int code = only_json(argc, argv, &json, answer);
    return code == WR_EXIT_OK ? wr_control_shadow(agent, json, answer) : code;
}

int wr_agent_control(void *user, int argc, char **argv, const char *by_whom, struct wr_buf *answer) {
    struct wr_agent *agent = user;
    const char *name = argc > 0 ? argv[0] : "";
    if (strcmp(name, "status") == 0)
        return answer_status(agent, argc, argv, answer);
    if (strcmp(name, "alarms") == 0)
        return wr_control_alarms(agent, argc, argv, by_whom, answer);
    if (strcmp(name, "explain") == 0)
        return wr_control_explain(agent, argc, argv, answer);
    if (strcmp(name, "shadow") == 0)
        return answer_shadow(agent, argc, argv, answer);
    if (strcmp(name, "history") == 0)
        return wr_control_history(agent, argc, argv, answer);
    if (strcmp(name, "audit") == 0)
        return answer_audit(agent, argc, argv, answer);
    (void)!wr_buf_printf(answer, "weir: the agent knows no '%s': is it another version?\n", name);
    return WR_EXIT_CANNOT;
}
