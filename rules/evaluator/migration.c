#include "rules/evaluator/migration.h"

static enum wr_result step(const struct wr_migration *migration, uint32_t max, bool *ret_more) {
    const struct wr_now now = migration->now(migration->user);
    const enum wr_result result = wr_evaluator_migrate(migration->to, migration->from, &now, max, migration->out, ret_more);
    migration->drain(migration->user);
    return result;
}

enum wr_result wr_migration_prepare(const struct wr_migration *migration) {
    enum wr_result result = WR_FULL;
    bool more;
    while (result == WR_FULL)
        result = step(migration, 0, &more);
    return result;
}

void wr_migration_run(const struct wr_migration *migration) {
    for (bool more = true; more;)
        (void)!step(migration, WR_MIGRATION_SLICE, &more); /* full at most: it goes on */
}
