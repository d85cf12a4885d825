/* Any bytes as snapshots of alarms, groups and answers to commands, as a damaged store might give them: what is restored must keep the invariants, and run. Each snapshot
 * is a length of two bytes and so many bytes. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/series.h"
#include "rules/compile/ruleset.h"
#include "rules/evaluator/evaluator.h"
#include "rules/evaluator/evaluator_private.h"

static const char text[] =
    "rules:\n"
    "  - {rule: a, when: x > 5, by: room, on_delay: 5s, off_delay: 3s, latch: true, re_alarm: 1m}\n"
    "  - {rule: b, when: x > 5, by: room, severity: critical}\n"
    "  - {rule: c, value: x, by: room, levels: [{name: L, when: value > 5}, {name: H, when: value > 8, severity: high}]}\n"
    "suppress:\n  - {cause: b, match: rule!=b, equal: room, linger: 1m}\n"
    "groups:\n  - {name: g, by: room, flood_start: 4}\n";

static void run(struct wr_evaluator *evaluator, struct wr_now *now) {
    static struct wr_alarm_entry entries[4];
    for (unsigned i = 0; i < 200; i++) {
        struct wr_alarm_out out = {.entries = entries, .cap = 4};
        bool more;
        (void)!wr_evaluator_timers(evaluator, now, 16, &out, &more);
        if (!more) {
            now->boot_ns += 30000000000;
            now->wall_ns += 30000000000;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct wr_ruleset *rules;
    struct wr_now now = {.boot_ns = 1000000000000, .wall_ns = 1772438400000000000, .wall_trusted = true};
    struct wr_series_table *table = NULL;
    struct wr_symbol_table *symbols = NULL;
    struct wr_evaluator *evaluator = NULL;
    if (!rules) {
        struct wr_diagnostics diagnostics;
        wr_diagnostics_init(&diagnostics);
        if (wr_ruleset_load_text("r.yaml", text, sizeof text - 1, NULL, &diagnostics, &rules, NULL) != WR_OK)
            abort();
        wr_diagnostics_fini(&diagnostics);
    }
    if (wr_series_table_new(16, &table, NULL) != WR_OK || wr_symbol_table_new(16, &symbols, NULL) != WR_OK ||
        wr_evaluator_new(rules, table, symbols, &evaluator, NULL) != WR_OK)
        abort();
    for (size_t at = 0; at + 2 <= size;) {
        struct wr_alarm_entry entry = {.snap_len = 0};
        size_t len = (size_t)data[at] | (size_t)data[at + 1] << 8;
        at += 2;
        len = len > size - at ? size - at : len;
        len = len > sizeof entry.snap ? sizeof entry.snap : len;
        memcpy(entry.snap, data + at, len);
        entry.snap_len = (uint16_t)len;
        at += len;
        (void)!wr_evaluator_restore(evaluator, &entry, &now);
        if (!wr_evaluator_is_valid(evaluator))
            abort();
    }
    run(evaluator, &now);
    if (!wr_evaluator_is_valid(evaluator))
        abort();
    wr_evaluator_free(evaluator);
    wr_symbol_table_free(symbols);
    wr_series_table_free(table);
    return 0;
}
