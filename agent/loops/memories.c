#include "agent/loops/memories.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "rules/evaluator/evaluator_memory.h"

/* What travels in one buffer: heads, each with its body behind it; no body: the row is to be deleted. */
struct head {
    uint64_t key;
    uint64_t len;
};

static enum wr_result put(struct wr_buf *into, uint64_t key, const uint8_t *body, size_t len) {
    const struct head head = {key, len};
    WR_TRY(wr_buf_reserve(into, sizeof head + len));
    WR_TRY(wr_buf_append(into, &head, sizeof head));
    return len > 0 ? wr_buf_append(into, body, len) : WR_OK;
}

/* Calls for each; stops at the first that is not WR_OK. */
static enum wr_result each(const struct wr_buf *buf, enum wr_result (*call)(void *user, const struct head *head, const uint8_t *body),
                           void *user) {
    for (size_t at = 0; at + sizeof(struct head) <= buf->len;) {
        struct head head;
        memcpy(&head, buf->data + at, sizeof head);
        at += sizeof head;
        WR_TRY(call(user, &head, (const uint8_t *)buf->data + at));
        at += head.len;
    }
    return WR_OK;
}

/* -- on the store's thread ---------------------------------------------------------------------------------------------------------------- */

static enum wr_result write_one(void *user, const struct head *head, const uint8_t *body) {
    struct wr_store_loop *loop = user;
    const struct wr_now now = wr_clock_now(loop->clock);
    return wr_store_snap_put(loop->store, WR_SNAP_MEMORY, head->key, body, head->len, &now);
}

static void run_write(struct wr_request *request, void *owner) {
    struct wr_store_loop *loop = owner;
    wr_request_finish(request, loop->store ? each(request->input, write_one, loop) : WR_CLOSED);
}

static void on_memory(void *user, uint64_t key, const uint8_t *body, size_t len) {
    struct wr_store_loop *loop = user;
    (void)!put(&loop->memories, key, body, len); /* without memory the operator begins anew */
}

enum wr_result wr_memories_read(struct wr_store_loop *store, struct wr_error *err) {
    wr_buf_init(&store->memories, WR_EVALUATOR_MEMORY_MAX);
    return wr_store_snaps(store->store, WR_SNAP_MEMORY, on_memory, store, err);
}

/* -- for the others ----------------------------------------------------------------------------------------------------------------------- */

static void free_buf(void *input) {
    wr_buf_fini(input);
    free(input);
}

/* A buffer that a request may own. */
static struct wr_buf *new_buf(size_t limit) {
    struct wr_buf *buf = malloc(sizeof *buf);
    if (buf)
        wr_buf_init(buf, limit);
    return buf;
}

void wr_memories_save(const struct wr_evaluator *evaluator, struct wr_store_loop *store, int64_t deadline_boot_ns) {
    if (!evaluator || store->state != WR_STORE_OPEN)
        return;
    struct wr_buf *buf = new_buf(store->options.budget_bytes / WR_MEMORIES_OF_BUDGET);
    struct wr_evaluator_memory memory;
    struct wr_request *request;
    struct wr_error err = {0};
    uint64_t cursor = 0, kept = 0, left_out = 0;
    while (buf && wr_evaluator_next_memory(evaluator, &cursor, &memory)) {
        bool fits = put(buf, memory.key, memory.body, memory.len) == WR_OK;
        kept += fits;
        left_out += !fits;
    }
    if (left_out > 0)
        WR_LOG_WITH(WR_LOG_WARN, "rules", "the store's budget has no room for all states of windows: some begin anew after the restart",
                    WR_LOG_INT("kept", (int64_t)kept), WR_LOG_INT("left_out", (int64_t)left_out));
    if (!buf || kept == 0) {
        if (buf)
            free_buf(buf);
        return;
    }
    if (wr_request_new(run_write, buf, free_buf, &request, &err) == WR_OK) {
        enum wr_result result = wr_request_call(request, store->requests, deadline_boot_ns, &err);
        if (result != WR_OK)
            WR_LOG_WITH(WR_LOG_WARN, "rules", "the states of windows are not saved: they begin anew after the restart", WR_LOG_ERR(&err));
        wr_request_release(request);
    }
}

struct recalling {
    struct wr_evaluator *evaluator;
    struct wr_buf *deleted;
    uint64_t n;
    uint64_t left_out;
};

static enum wr_result recall_one(void *user, const struct head *head, const uint8_t *body) {
    struct recalling *recalling = user;
    const bool taken = wr_evaluator_recall(recalling->evaluator, head->key, body, head->len) == WR_OK;
    recalling->n += taken;
    recalling->left_out += !taken;
    if (recalling->deleted)
        (void)!put(recalling->deleted, head->key, NULL, 0);
    return WR_OK;
}

void wr_memories_recall(struct wr_evaluator *evaluator, struct wr_store_loop *store) {
    struct recalling recalling = {.evaluator = evaluator, .deleted = new_buf(WR_EVALUATOR_MEMORY_MAX)};
    struct wr_request *request;
    if (evaluator)
        (void)!each(&store->memories, recall_one, &recalling);
    wr_buf_fini(&store->memories);
    if (recalling.n > 0)
        WR_LOG_WITH(WR_LOG_INFO, "rules", "states of windows recalled", WR_LOG_INT("states", (int64_t)recalling.n));
    if (recalling.left_out > 0)
        WR_LOG_WITH(WR_LOG_WARN, "rules", "some states of windows cannot be recalled: they begin anew",
                    WR_LOG_INT("left_out", (int64_t)recalling.left_out));
    if (!recalling.deleted || recalling.deleted->len == 0) {
        if (recalling.deleted)
            free_buf(recalling.deleted);
        return;
    }
    /* Nobody waits for it: rows that stay are read once more, and are as old then as they are now. */
    if (wr_request_new(run_write, recalling.deleted, free_buf, &request, NULL) == WR_OK) {
        (void)!wr_request_post(request, store->requests, NULL);
        wr_request_release(request);
    }
}
