/* `weir audit`: asks the running agent; without one, or with --store, reads the store itself. */
#include <stdio.h>
#include <string.h>

#include "agent/commands/ask.h"
#include "agent/commands/commands.h"
#include "agent/control/audit.h"

static int audit_stopped(const char *store, const char *front, bool json) {
    struct wr_audit audit;
    struct wr_error err = {0};
    enum wr_result result = wr_audit_stopped(store, &audit, &err);
    if (result != WR_OK) {
        fprintf(stderr, "weir audit: %s%s%s\n", front, err.text, result == WR_BUSY ? ": ask it, by weir audit without --store" : "");
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
    const char *store = NULL;
    bool json = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--store") == 0 && i + 1 < argc)
            store = argv[++i];
        else if (strcmp(argv[i], "--json") == 0)
            json = true;
        else
            return wr_command_usage("audit", "unknown word '%s', or its value is missing", argv[i]);
    }
    if (store)
        return audit_stopped(store, "", json);
    struct wr_config *config;
    if (wr_ask_load_config(file, &config) != WR_OK)
        return WR_EXIT_CANNOT;
    struct wr_error err = {0};
    int code = WR_EXIT_CANNOT;
    enum wr_result asked = wr_ask_agent(config, argc, argv, &code, &err);
    if (asked == WR_NOT_FOUND)
        code = audit_stopped(config->store->path, "no agent answers, and its store cannot be read: ", json);
    else if (asked != WR_OK)
        fprintf(stderr, "weir audit: %s\n", err.text);
    wr_config_free(config);
    return code;
}
