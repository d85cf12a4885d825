#include "rules/language/label.h"

#include <stdio.h>
#include <string.h>

#include "core/alarm.h"
#include "rules/compile/compiled.h"
#include "rules/language/table.h"
#include "rules/language/template.h"

static bool is_agents(const char *label) {
    return strcmp(label, "site") == 0 || strcmp(label, "node") == 0;
}

/* The cell of the label's column in the row that the alarm's own label names. */
static const char *cell_of(const struct wr_table *table, const char *labels, const char *label) {
    char key[WR_ALARM_INSTANCE_BYTES];
    uint32_t column = wr_table_column(table, label, NULL);
    if (column == WR_TABLE_NONE || !wr_template_label(labels, wr_table_key(table), key, sizeof key))
        return NULL;
    return wr_table_text(table, wr_table_row(table, key, strlen(key)), column);
}

bool wr_label_find(const struct wr_ruleset *rules, const char *labels, const char *label, char *into, size_t size) {
    if (wr_template_label(labels, label, into, size))
        return true;
    for (uint32_t i = 0; i < rules->n_tables; i++) {
        const char *cell = cell_of(rules->tables[i], labels, label);
        if (cell) {
            snprintf(into, size, "%s", cell);
            return true;
        }
    }
    into[0] = '\0';
    return is_agents(label);
}

static bool is_among(const char *const *by, uint32_t n_by, const char *label) {
    for (uint32_t i = 0; i < n_by; i++)
        if (strcmp(by[i], label) == 0)
            return true;
    return false;
}

bool wr_label_is_known(const struct wr_ruleset *rules, const char *const *by, uint32_t n_by, const char *label) {
    if (is_among(by, n_by, label) || is_agents(label))
        return true;
    for (uint32_t i = 0; i < rules->n_tables; i++)
        if (wr_table_column(rules->tables[i], label, NULL) != WR_TABLE_NONE && is_among(by, n_by, wr_table_key(rules->tables[i])))
            return true;
    return false;
}
