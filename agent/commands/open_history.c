#include "agent/commands/open_history.h"

#include <inttypes.h>
#include <stdio.h>

#include "agent/commands/ask.h"

static enum wr_result open_store(struct wr_open_history *opened, const char *path, struct wr_error *err) {
    WR_TRY(wr_history_open(path, &opened->store, err));
    opened->history = wr_history_of_store(opened->store);
    return WR_OK;
}

enum wr_result wr_open_history(struct wr_open_history *opened, const char *store, const char *config_file, struct wr_error *err) {
    *opened = (struct wr_open_history){0};
    if (store) {
        const enum wr_result result = open_store(opened, store, err);
        return result == WR_BUSY ? wr_error_set(err, WR_BUSY, "an agent has %s open: ask it, without --store", store) : result;
    }
    WR_TRY(wr_ask_load_config(config_file, &opened->config));
    const enum wr_result asked = wr_agent_history_init(&opened->agent, opened->config->control, err);
    if (asked == WR_OK)
        opened->history = wr_agent_history_source(&opened->agent);
    if (asked != WR_NOT_FOUND)
        return asked;
    if (open_store(opened, opened->config->store->path, err) != WR_OK)
        return wr_error_wrap(err, "no agent answers, and its store cannot be read");
    return WR_OK;
}

bool wr_open_history_left_out(const char *command, uint64_t damaged, uint64_t unreadable) {
    if (damaged > 0)
        fprintf(stderr, "weir %s: %" PRIu64 " segment%s left out: damaged, or not to be read\n", command, damaged,
                damaged == 1 ? " is" : "s are");
    if (unreadable > 0)
        fprintf(stderr,
                "weir %s: %" PRIu64 " place%s of the store cannot be read: the segments there are left out, of whatever time they are\n",
                command, unreadable, unreadable == 1 ? "" : "s");
    return damaged > 0 || unreadable > 0;
}

void wr_open_history_fini(struct wr_open_history *opened) {
    wr_agent_history_fini(&opened->agent);
    wr_store_abandon(opened->store);
    wr_config_free(opened->config);
}
