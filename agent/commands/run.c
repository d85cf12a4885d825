/* `weir run`: checks everything, then becomes the agent. */
#include <stdio.h>

#include "agent/agent.h"
#include "agent/commands/ask.h"
#include "agent/commands/commands.h"
#include "agent/config/load.h"
#include "agent/process/first_process.h"

static enum wr_result load(const char *file, const char *bundle, struct wr_loaded *loaded, struct wr_error *err) {
    struct wr_buf problems;
    wr_buf_init(&problems, 0);
    const enum wr_result result = wr_load_with(file, bundle, WR_DIAGNOSTICS_TEXT, loaded, &problems, err);
    fputs(wr_buf_str(&problems), stderr);
    wr_buf_fini(&problems);
    return result;
}

/* A bundle in force is no reason not to start: with errors in it, the agent goes without. One that let the agent start too often goes back. */
static enum wr_result load_with_bundle(const char *file, struct wr_loaded *loaded, struct wr_error *err) {
    bool rolled_back = false;
    struct wr_error why = {0};
    enum wr_result result = load(file, NULL, loaded, err);
    if (result == WR_INVALID) {
        result = load(file, "", loaded, err);
        if (result == WR_OK)
            fputs("weir run: the bundle in force has these errors: the agent runs without it\n", stderr);
        return result;
    }
    const struct wr_config_uplink *uplink = result == WR_OK ? loaded->config->uplink : NULL;
    if (!uplink || !uplink->commands || !uplink->commands->bundles)
        return result;
    if (wr_rollout_boot(loaded->config->store->path, &rolled_back, &why) != WR_OK)
        fprintf(stderr, "weir run: bundles: %s\n", why.text);
    bool ended = false;
    if (wr_rollout_boot_shadow(loaded->config->store->path, &ended, &why) != WR_OK)
        fprintf(stderr, "weir run: bundles: %s\n", why.text);
    if (ended)
        fputs("weir run: the bundle in the shadow is taken away: the agent was started too often with it\n", stderr);
    if (!rolled_back)
        return result;
    fputs("weir run: the bundle on trial is rolled back: the agent was started too often with it\n", stderr);
    wr_loaded_fini(loaded);
    return load(file, NULL, loaded, err);
}

int wr_command_run(int argc, char **argv) {
    const char *file = wr_ask_take_config(&argc, argv);
    if (argc > 1)
        return wr_command_usage("run", "unknown word '%s', or its value is missing", argv[1]);
    const int first = wr_first_process();
    if (first >= 0)
        return first;
    struct wr_loaded loaded;
    struct wr_error err = {0};
    const enum wr_result result = load_with_bundle(file, &loaded, &err);
    if (result == WR_INVALID)
        return WR_EXIT_FOUND;
    if (result != WR_OK) {
        fprintf(stderr, "weir run: %s\n", err.text);
        return WR_EXIT_CANNOT;
    }
    return wr_agent_run(loaded.config, loaded.rules);
}
