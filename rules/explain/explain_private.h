/* Between the files of explain: explain.c which instances, explain_rows.c what is known of one, explain_render.c how it is shown. */
#ifndef WEIR_RULES_EXPLAIN_EXPLAIN_PRIVATE_H
#define WEIR_RULES_EXPLAIN_EXPLAIN_PRIVATE_H

#include "rules/evaluator/evaluator_private.h"
#include "rules/explain/explain.h"

#define WR_EXPLAIN_VISITED 64

enum wr_explain_kind { WR_EXPLAIN_NONE, WR_EXPLAIN_TRUTH, WR_EXPLAIN_NUMBER, WR_EXPLAIN_WORD };

/* One part of a condition, or one series behind it. */
struct wr_explain_row {
    char text[160];
    uint8_t depth;
    uint8_t kind;  /* enum wr_explain_kind */
    double number; /* NaN: unknown, missing */
    const char *unit;
    const char *word; /* of a text */
    double age_s;     /* of a series; NaN: no sample yet */
    const char *quality;
    char note[120];
};

struct wr_explanation {
    struct wr_evaluator *evaluator;
    uint32_t index;              /* of the instance */
    struct wr_alarm_entry entry; /* as it is now */
    struct wr_explain_row rows[WR_EXPLAIN_ROWS];
    uint32_t n;
    uint32_t n_condition; /* rows of the condition; series behind them */
    uint32_t left_out;
    uint32_t visited[WR_EXPLAIN_VISITED]; /* instances that are explained already */
    uint32_t n_visited;
};

/* Fills rows. */
void wr_explain_collect(struct wr_explanation *explanation);
/* A delay that runs: "2m of 5m", into note[size]; empty: none. */
void wr_explain_delay(const struct wr_evaluator *evaluator, const struct wr_instance *instance, char *note, size_t size);

WR_MUST_USE enum wr_result wr_explain_text(const struct wr_explanation *explanation, struct wr_buf *into);
WR_MUST_USE enum wr_result wr_explain_json(const struct wr_explanation *explanation, struct wr_buf *into);

#endif
