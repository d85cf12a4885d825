/* The compiled form of a rule set: what the loader makes, the evaluator reads and nobody changes.
 *
 * Ownership: everything lives in the arena of the rule set. Inside rules/ only; others see rules/ruleset.h.
 */
#ifndef WEIR_RULES_COMPILED_H
#define WEIR_RULES_COMPILED_H

#include <stdbool.h>
#include <stdint.h>

#include "core/alarm.h"
#include "rules/arena.h"
#include "rules/diagnostics.h"
#include "rules/program.h"
#include "rules/ruleset.h"
#include "rules/selector.h"
#include "rules/template.h"
#include "rules/units.h"

#define WR_RULE_OPERANDS 8 /* different series in one rule */
#define WR_RULE_WINDOWS 8
#define WR_RULE_AGES 8
#define WR_RULE_LEAVES 16
#define WR_RULE_LABELS 8 /* of `by` */

/* Where a name was given, for "first given at". */
struct wr_place {
    const char *file;
    struct wr_position at;
};

struct wr_point {
    const char *name; /* measurement, or measurement.field */
    struct wr_unit unit;
    double low; /* the declared range; infinite when there is none */
    double high;
    double resolution; /* 0: not declared */
    int64_t every_ns;  /* 0: not declared */
    int64_t lateness_ns; /* -1: the window's own */
    bool counter;
    double wrap; /* 0: none */
    struct wr_place place;
};

/* A series that a rule reads. Thresholds are the constants it is compared with: between two neighbours nothing can flip. */
struct wr_operand {
    const char *text;
    const struct wr_selector *selector;
    const struct wr_point *point; /* NULL: not declared */
    bool opaque;                  /* used otherwise too: every sample counts */
    uint32_t n_thresholds;
    double *thresholds;
};

struct wr_rule_window {
    uint32_t operand;
    int64_t span_ns; /* 0: by count */
    uint32_t capacity;
};

/* age(operand) compared with a constant flips this long after the last arrival. */
struct wr_age {
    uint32_t operand;
    int64_t after_ns;
};

/* A comparison of the condition: tells the value that decided and its limit. */
struct wr_leaf {
    struct wr_program truth;
    struct wr_program value;
    struct wr_program low;
    struct wr_program high; /* n 0: a comparison, else a range */
    const char *unit;
};

enum wr_no_data { WR_NO_DATA_HOLD, WR_NO_DATA_RAISE, WR_NO_DATA_CLEAR };

struct wr_rule {
    const char *name;
    const char *when_text;
    struct wr_place place;
    uint32_t n_by;
    const char *by[WR_RULE_LABELS];
    enum wr_severity severity;
    int64_t on_delay_ns;
    int64_t off_delay_ns;
    enum wr_no_data no_data;
    int64_t no_data_after_ns; /* 0: not given */
    bool latch;
    bool auto_ack;
    struct wr_program when;
    struct wr_program clear; /* n 0: none */
    uint32_t n_operands;
    struct wr_operand operands[WR_RULE_OPERANDS];
    uint32_t n_windows;
    struct wr_rule_window windows[WR_RULE_WINDOWS];
    uint32_t n_ages;
    struct wr_age ages[WR_RULE_AGES];
    uint32_t n_leaves;
    const struct wr_leaf *leaves;
    struct wr_template message; /* n 0: none */
    const char *consequence;
    const char *respond;
    int64_t time_to_respond_ns;
    const char *canonical; /* when, clear, deadband and every option that changes its meaning */
    const char *shape;     /* the same without numbers and delays */
    uint32_t n_actions;
    struct wr_action_spec *actions;
};

/* One operand of one rule under the name of its series, sorted by name: the index from series to rules. */
struct wr_reader {
    const char *name;
    uint32_t rule;
    uint32_t operand;
};

#define WR_SELECTOR_CACHE 1024

struct wr_ruleset {
    struct wr_arena arena;
    const struct wr_selector *selectors[WR_SELECTOR_CACHE]; /* while loading: the same text is one selector, by hash of its text */
    uint32_t max_instances;
    uint32_t n_points;
    uint32_t cap_points;
    struct wr_point **points; /* sorted by name once loaded */
    uint32_t n_rules;
    uint32_t cap_rules;
    struct wr_rule **rules; /* in the order of the files */
    uint32_t *by_name;   /* indexes of rules, sorted by name */
    uint32_t n_readers;
    struct wr_reader *readers;
};

/* "measurement.value" is "measurement". Returns a text that lives as long as `name` or into[size]. */
const char *wr_ruleset_plain_name(const char *name, char *into, size_t size);

/* Whether two rules make their instances by the same labels, in the same order. */
bool wr_rule_same_by(const struct wr_rule *a, const struct wr_rule *b);

const struct wr_point *wr_ruleset_point(const struct wr_ruleset *ruleset, const char *name);

/* The readers of a series' name: first and count. */
const struct wr_reader *wr_ruleset_readers(const struct wr_ruleset *ruleset, const char *name, uint32_t *ret_n);

#endif
