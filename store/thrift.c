#include "store/thrift.h"

#include "store/store_private.h"

static bool has_budget(const struct wr_store *store) {
    return store->options.write_budget_bytes > 0;
}

static void show(struct wr_store *store) {
    const struct wr_budget *budget = &store->thrift.budget;
    atomic_store_explicit(&store->stats.write_level, budget->level, memory_order_relaxed);
    atomic_store_explicit(&store->stats.write_spent_bytes, budget->count.spent, memory_order_relaxed);
}

void wr_thrift_init(struct wr_store *store) {
    wr_budget_init(&store->thrift.budget, WR_BUDGET_DAY, store->options.write_budget_bytes, 1);
}

void wr_thrift_start(struct wr_store *store, const struct wr_now *now) {
    struct wr_thrift *thrift = &store->thrift;
    if (!has_budget(store))
        return;
    thrift->counted_bytes = atomic_load_explicit(&store->stats.written_bytes, memory_order_relaxed);
    thrift->saved_boot_ns = now->boot_ns;
    wr_budget_look(&thrift->budget, now);
    if (!thrift->began) /* else this process has gone on counting */
        wr_budget_restore(&thrift->budget, &store->counts[WR_STORE_COUNT_WRITTEN]);
    thrift->began = true;
    wr_budget_look(&thrift->budget, now);
    show(store);
}

void wr_thrift_look(struct wr_store *store, const struct wr_now *now) {
    struct wr_thrift *thrift = &store->thrift;
    if (!thrift->began)
        return;
    const uint64_t written = atomic_load_explicit(&store->stats.written_bytes, memory_order_relaxed);
    wr_budget_spend(&thrift->budget, written - thrift->counted_bytes + thrift->beside_bytes, now);
    thrift->counted_bytes = written;
    thrift->beside_bytes = 0;
    show(store);
}

void wr_store_wrote(struct wr_store *store, uint64_t bytes, const struct wr_now *now) {
    store->thrift.beside_bytes += bytes;
    wr_thrift_look(store, now);
}

bool wr_thrift_spares(const struct wr_store *store) {
    return store->thrift.budget.level >= WR_BUDGET_SPARING;
}

int64_t wr_thrift_due(const struct wr_store *store) {
    const struct wr_budget *budget = &store->thrift.budget;
    if (!store->thrift.began || budget->count.spent == 0)
        return WR_NEVER_NS;
    return wr_thrift_spares(store) ? wr_budget_next_look_ns(budget) : wr_clock_add_ns(budget->looked_boot_ns, WR_THRIFT_LOOK_NS);
}

bool wr_thrift_save(struct wr_store *store, bool must, const struct wr_now *now) {
    struct wr_thrift *thrift = &store->thrift;
    if (!thrift->began)
        return false;
    wr_thrift_look(store, now);
    store->counts[WR_STORE_COUNT_WRITTEN] = thrift->budget.count;
    return must || now->boot_ns >= wr_clock_add_ns(thrift->saved_boot_ns, WR_THRIFT_SAVE_NS);
}

void wr_thrift_saved(struct wr_store *store) {
    store->thrift.saved_boot_ns = store->thrift.budget.looked_boot_ns; /* by wr_thrift_save */
}
