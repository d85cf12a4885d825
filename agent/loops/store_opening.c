#include "agent/loops/store_opening.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/loops/memories.h"
#include "agent/loops/store_loop_private.h"
#include "core/log.h"

/* -- what is found in it ------------------------------------------------------------------------------------------------------------------ */

struct restoring {
    struct wr_store_loop *loop;
    uint32_t room;
};

static void on_snapshot(void *user, uint64_t key, const uint8_t *body, size_t len) {
    struct restoring *restoring = user;
    struct wr_store_loop *loop = restoring->loop;
    (void)key;
    if (len == 0 || len > WR_ALARM_SNAP_BYTES)
        return;
    if (loop->n_restored == restoring->room) {
        uint32_t room = restoring->room ? 2 * restoring->room : 64;
        struct wr_alarm_entry *more = realloc(loop->restored, room * sizeof *more);
        if (!more)
            return; /* an alarm that is not restored is raised anew by its next reading */
        loop->restored = more;
        restoring->room = room;
    }
    struct wr_alarm_entry *entry = &loop->restored[loop->n_restored++];
    memset(entry, 0, sizeof *entry);
    entry->snap_len = (uint16_t)len;
    memcpy(entry->snap, body, len);
}

static enum wr_result read_states(struct wr_store_loop *loop, struct wr_error *err) {
    struct restoring restoring = {.loop = loop};
    WR_TRY(wr_store_snaps(loop->store, WR_SNAP_ALARM, on_snapshot, &restoring, err));
    return wr_memories_read(loop, err);
}

/* -- why not ------------------------------------------------------------------------------------------------------------------------------- */

static const char *advice(const struct wr_store_loop *loop, enum wr_result result) {
    char file[4096];
    struct stat status;
    snprintf(file, sizeof file, "%s/%s", loop->path, WR_STORE_FILE);
    if (result == WR_BUSY)
        return "stop the other agent, or give this one a store.path of its own";
    if (result == WR_FULL)
        return "make room on that disk, or lower store.budget";
    if (stat(loop->path, &status) < 0)
        return "make this directory, writable for the user of the agent, or mount its disk";
    if (!S_ISDIR(status.st_mode))
        return "store.path must be a directory";
    if (wr_store_is_gone(loop->store) && access(file, F_OK) < 0)
        return "its file is not there: mount its disk; a restart makes a fresh one";
    if (lstat(file, &status) == 0 && !S_ISREG(status.st_mode))
        return WR_STORE_FILE " there must be a file: move away what has its name";
    if (access(loop->path, W_OK | X_OK) < 0 || (access(file, F_OK) == 0 && access(file, R_OK | W_OK) < 0))
        return errno == EROFS ? "mount the disk for writing" : "let the user of the agent write there, and own what is in it";
    return "look at the disk (dmesg, fsck), and at \"The disk\" in docs/troubleshooting.md";
}

const char *wr_store_loop_trouble(struct wr_store_loop *loop, char *text, size_t bytes) {
    pthread_mutex_lock(&loop->trouble_lock);
    snprintf(text, bytes, "%s", loop->trouble);
    pthread_mutex_unlock(&loop->trouble_lock);
    return text;
}

/* True when it is another trouble than before. */
static bool set_trouble(struct wr_store_loop *loop, const char *error, const char *todo) {
    char text[sizeof loop->trouble];
    snprintf(text, sizeof text, "%s%s%s", error, todo[0] ? "; " : "", todo);
    pthread_mutex_lock(&loop->trouble_lock);
    bool other = strcmp(text, loop->trouble) != 0;
    memcpy(loop->trouble, text, sizeof text);
    pthread_mutex_unlock(&loop->trouble_lock);
    return other;
}

/* -- attempts ------------------------------------------------------------------------------------------------------------------------------ */

/* Nothing of an attempt that fails is left. */
static enum wr_result attempt(struct wr_store_loop *loop, const struct wr_now *now, struct wr_error *err) {
    free(loop->restored);
    loop->restored = NULL;
    loop->n_restored = 0;
    wr_buf_fini(&loop->memories);
    if (mkdir(loop->path, 0750) < 0 && errno != EEXIST)
        return wr_error_set(err, WR_IO, "store %s: %s", loop->path, strerror(errno));
    WR_TRY(wr_store_attach(loop->store, now, &loop->report, err));
    if (loop->report.doubted_accounts > 0)
        WR_LOG_WITH(WR_LOG_ERROR, "store", "books are not what was written, something has changed them: `weir audit` names them",
                    WR_LOG_INT("accounts", loop->report.doubted_accounts));
    if (read_states(loop, err) != WR_OK) { /* what could not be read comes as if it were new; the store is there */
        WR_LOG_WITH(WR_LOG_ERROR, "store", "not all states of alarms and windows can be read: they begin anew", WR_LOG_ERR(err));
        *err = (struct wr_error){0};
    }
    wr_store_loop_tell_ready(loop);
    wr_store_loop_tell_available(loop);
    return WR_OK;
}

static void put_off(struct wr_store_loop *loop, const struct wr_now *now) {
    loop->open_failures++;
    loop->reopen_after_ns = loop->reopen_after_ns == 0 ? WR_STORE_REOPEN_MIN_NS : 2 * loop->reopen_after_ns;
    if (loop->reopen_after_ns > WR_STORE_REOPEN_MAX_NS)
        loop->reopen_after_ns = WR_STORE_REOPEN_MAX_NS;
    loop->reopen_boot_ns = wr_clock_add_ns(now->boot_ns, loop->reopen_after_ns);
}

static void failed(struct wr_store_loop *loop, const struct wr_now *now, const struct wr_error *err) {
    const char *todo = advice(loop, err->code);
    put_off(loop, now);
    if (set_trouble(loop, err->text, todo))
        WR_LOG_WITH(WR_LOG_ERROR, "store",
                    "cannot be used, the agent runs without: alarms and actions go on, nothing is kept or sent; tried again each minute",
                    WR_LOG_ERR(err), WR_LOG_STR("todo", todo));
}

enum wr_result wr_store_opening_begin(struct wr_store_loop *loop, const struct wr_now *now) {
    struct wr_error *err = &loop->open_error;
    WR_TRY(wr_store_open_without(loop->path, &loop->options, now, loop->symbols, &loop->store, err));
    enum wr_result result = wr_store_loop_tell_accounts(loop, loop->accounts, err);
    if (result != WR_OK) {
        wr_store_abandon(loop->store);
        loop->store = NULL;
        return result;
    }
    loop->stats = wr_store_stats(loop->store);
    result = attempt(loop, now, err);
    if (result != WR_OK && result != WR_BUSY)
        failed(loop, now, err);
    else if (result != WR_OK)
        put_off(loop, now); /* whoever waits for the start says it, and ends; if he waits no more, the next attempt says it */
    loop->state = result == WR_OK ? WR_STORE_OPEN : WR_STORE_WITHOUT;
    return WR_OK;
}

/* -- one that does not answer any more ---------------------------------------------------------------------------------------------------- */

static void is_gone(struct wr_store_loop *loop, const struct wr_error *err) {
    const char *todo = advice(loop, err->code);
    loop->state = WR_STORE_GONE;
    loop->open_failures++;
    if (set_trouble(loop, err->text, todo))
        WR_LOG_WITH(WR_LOG_ERROR, "store",
                    "does not answer, and cannot be opened again: windows stay open, alarms and actions go on; tried again each minute",
                    WR_LOG_ERR(err), WR_LOG_STR("todo", todo));
}

/* With another epoch the rest is done by whoever finds that it is another store. */
static void reopen(struct wr_store_loop *loop, const struct wr_now *now) {
    struct wr_error err = {0};
    if (wr_store_reopen(loop->store, now, &err) != WR_OK) {
        is_gone(loop, &err);
        return;
    }
    (void)set_trouble(loop, "", "");
    WR_LOG(WR_LOG_WARN, "store", "did not answer any more, and was opened again");
    loop->state = WR_STORE_OPEN;
    if (wr_store_epoch(loop->store) != loop->epoch)
        return;
    wr_store_loop_tell_ready(loop);
    loop->fresh_stores++; /* the states of all alarms, as they are now */
}

void wr_store_opening_turn(struct wr_store_loop *loop, const struct wr_now *now, bool now_or_never) {
    struct wr_error err = {0};
    if (loop->state == WR_STORE_GONE && !wr_store_is_gone(loop->store) && wr_store_reopen_due(loop->store) == WR_NEVER_NS) {
        loop->state = WR_STORE_OPEN; /* a commit made a fresh one */
        (void)set_trouble(loop, "", "");
    }
    if (wr_store_reopen_due(loop->store) <= now->boot_ns || (now_or_never && wr_store_is_gone(loop->store)))
        reopen(loop, now);
    if (loop->state != WR_STORE_WITHOUT || now->boot_ns < loop->reopen_boot_ns)
        return;
    if (attempt(loop, now, &err) != WR_OK) {
        failed(loop, now, &err);
        return;
    }
    (void)set_trouble(loop, "", "");
    WR_LOG_WITH(WR_LOG_INFO, "store", "can be used now: readings are kept again", WR_LOG_INT("attempts", (int64_t)loop->open_failures + 1),
                WR_LOG_INT("dropped_readings", (int64_t)loop->stats->dropped_readings));
    if (loop->report.quarantined)
        WR_LOG_WITH(WR_LOG_ERROR, "store", "what could not be used was renamed aside, a fresh one is in use",
                    WR_LOG_STR("aside", loop->report.aside));
    loop->state = WR_STORE_OPEN;
    loop->fresh_stores++; /* the states of all alarms, as they are now */
}

int64_t wr_store_opening_due(const struct wr_store_loop *loop) {
    return loop->state == WR_STORE_WITHOUT ? loop->reopen_boot_ns : wr_store_reopen_due(loop->store);
}
