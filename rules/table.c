#include "rules/table.h"

struct wr_table {
    const char *name;
};

const char *wr_table_name(const struct wr_table *table) {
    return table->name;
}
