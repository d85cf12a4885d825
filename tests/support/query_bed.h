/* Asks a question of a history and keeps the answer as a text: cells joined by '|', a line a row, NULL as nothing. */
#ifndef WEIR_TESTS_SUPPORT_QUERY_BED_H
#define WEIR_TESTS_SUPPORT_QUERY_BED_H

#include "core/buf.h"
#include "store/query.h"

struct query_bed {
    struct wr_query_options options;
    struct wr_query_report report;
    struct wr_error err;
    struct wr_buf names;
    struct wr_buf rows;
};

/* 1000 rows, 16 MB. */
void query_bed_init(struct query_bed *bed, struct wr_history history);
void query_bed_fini(struct query_bed *bed);
enum wr_result query_bed_ask(struct query_bed *bed, const char *sql);

#endif
