#include "rules/engine/engine_private.h"

/* Books that the engine keeps: six of a window; three of "none" and one of "intake". */
#define BOOKS_OF_WINDOW 6
#define BOOKS_OF_REST 4

uint32_t wr_engine_max_counts(uint32_t n_sources, uint32_t n_windows) {
    return n_sources * (n_windows * BOOKS_OF_WINDOW + BOOKS_OF_REST);
}

static uint32_t n_accounts(const struct wr_engine *engine) {
    return engine->n_sources * (engine->n_windows + 2);
}

static void count(struct wr_handover *handover, uint32_t account, enum wr_book book, uint64_t readings) {
    if (readings > 0 && (!handover->pool || handover->n_counts < handover->pool->max_counts))
        handover->counts[handover->n_counts++] = (struct wr_account_count){.account = account, .book = book, .readings = readings};
}

void wr_engine_counts(const struct wr_engine *engine, struct wr_handover *handover) {
    for (uint32_t i = 0; i < n_accounts(engine); i++) {
        const struct wr_engine_account *account = &engine->accounts[i];
        uint32_t id = engine->account_ids[i];
        count(handover, id, WR_BOOK_TAKEN, account->taken);
        count(handover, id, WR_BOOK_BAD, account->bad);
        count(handover, id, WR_BOOK_LATE, account->late);
        count(handover, id, WR_BOOK_WIDENED, account->widened);
        count(handover, id, WR_BOOK_DROPPED_LATE, account->dropped_late);
        count(handover, id, WR_BOOK_DROPPED_MEMORY, account->dropped_memory);
        count(handover, id, WR_BOOK_DROPPED_UNWANTED, account->dropped_unwanted);
    }
}

static uint64_t open_in(const struct wr_engine *engine, uint32_t index) {
    if (index == WR_SLAB_NONE)
        return 0;
    const struct wr_window_state *state = wr_state_at(engine, index);
    return (uint64_t)state->n + state->bad;
}

static uint32_t count_stream(const struct wr_engine *engine, uint32_t index, uint64_t *open) {
    struct wr_stream *stream = wr_stream_at(engine, index);
    uint32_t states = 1;
    for (struct wr_cell_walk at = wr_cell_walk(stream, wr_stream_windows(engine, index)); at.cell; wr_cell_walk_next(engine, &at)) {
        uint64_t readings = open_in(engine, at.cell->late);
        if (wr_cell_is_change(engine, &at))
            readings += open_in(engine, at.cell->newest);
        for (uint32_t i = at.cell->oldest; i != WR_SLAB_NONE; i = wr_state_at(engine, i)->next, states++)
            readings += open_in(engine, i);
        open[engine->account_ids[stream->source * (engine->n_windows + 2) + at.window]] += readings;
    }
    return states;
}

bool wr_engine_count_open(const struct wr_engine *engine, uint64_t *cursor, uint32_t budget, uint64_t *open) {
    uint32_t index = (uint32_t)*cursor;
    bool more = wr_stream_walk(engine, &index);
    for (uint32_t done = 0; more && done < budget; more = wr_stream_walk(engine, &index)) {
        done += count_stream(engine, index, open);
        index++;
    }
    *cursor = index;
    return more;
}

void wr_engine_stats(const struct wr_engine *engine, struct wr_engine_stats *ret_stats) {
    *ret_stats = engine->stats;
    ret_stats->open_windows = engine->states.in_use;
    ret_stats->bytes = sizeof *engine + engine->streams.bytes + engine->paces.bytes + engine->cells.bytes + engine->states.bytes +
                       (size_t)n_accounts(engine) * (sizeof(struct wr_engine_account) + sizeof(uint32_t));
}
