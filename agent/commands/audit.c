/* `weir audit`: asks the running agent; without one, opens the store itself. */
#include <stdio.h>
#include <string.h>

#include "agent/commands/ask.h"
#include "agent/commands/commands.h"
#include "agent/control/audit.h"

static int audit_stopped(const struct wr_config *config, bool json) {
    struct wr_audit audit;
    struct wr_error err = {0};
    if (wr_audit_stopped(config->store->path, &audit, &err) != WR_OK) {
        fprintf(stderr, "weir audit: no agent answers, and its store cannot be read: %s\n", err.text);
        return WR_EXIT_CANNOT;
    }
    struct wr_buf text;
    wr_buf_init(&text, 0);
    int code = audit.balanced ? WR_EXIT_OK : WR_EXIT_FOUND;
    if (wr_audit_print(&audit, json, &text) == WR_OK)
        fputs(wr_buf_str(&text), stdout);
    else
        code = WR_EXIT_CANNOT;
    wr_buf_fini(&text);
    wr_audit_fini(&audit);
    return code;
}

int wr_command_audit(int argc, char **argv) {
    const char *file = wr_ask_take_config(&argc, argv);
    bool json = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") != 0)
            return wr_command_usage("audit", "unknown word '%s', or its value is missing", argv[i]);
        json = true;
    }
    struct wr_config *config;
    if (wr_ask_load_config(file, &config) != WR_OK)
        return WR_EXIT_CANNOT;
    struct wr_error err = {0};
    int code = WR_EXIT_CANNOT;
    enum wr_result asked = wr_ask_agent(config, argc, argv, &code, &err);
    if (asked == WR_NOT_FOUND)
        code = audit_stopped(config, json);
    else if (asked != WR_OK)
        fprintf(stderr, "weir audit: %s\n", err.text);
    wr_config_free(config);
    return code;
}
