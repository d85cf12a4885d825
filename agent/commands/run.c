/* `weir run`: checks everything, then becomes the agent. */
#include <stdio.h>

#include "agent/agent.h"
#include "agent/commands/ask.h"
#include "agent/commands/commands.h"
#include "agent/config/load.h"
#include "agent/process/first_process.h"

int wr_command_run(int argc, char **argv) {
    const char *file = wr_ask_take_config(&argc, argv);
    if (argc > 1)
        return wr_command_usage("run", "unknown word '%s', or its value is missing", argv[1]);
    const int first = wr_first_process();
    if (first >= 0)
        return first;
    struct wr_loaded loaded;
    struct wr_buf problems;
    struct wr_error err = {0};
    wr_buf_init(&problems, 0);
    enum wr_result result = wr_load(file, WR_DIAGNOSTICS_TEXT, &loaded, &problems, &err);
    fputs(wr_buf_str(&problems), stderr);
    wr_buf_fini(&problems);
    if (result == WR_INVALID)
        return WR_EXIT_FOUND;
    if (result != WR_OK) {
        fprintf(stderr, "weir run: %s\n", err.text);
        return WR_EXIT_CANNOT;
    }
    return wr_agent_run(loaded.config, loaded.rules);
}
