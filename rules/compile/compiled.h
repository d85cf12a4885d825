/* The compiled form of a rule set: what the loader makes, the evaluator reads and nobody changes.
 *
 * Ownership: everything lives in the arena of the rule set. Inside rules/ only; others see rules/compile/ruleset.h.
 */
#ifndef WEIR_RULES_COMPILE_COMPILED_H
#define WEIR_RULES_COMPILE_COMPILED_H

#include <stdbool.h>
#include <stdint.h>

#include "core/alarm.h"
#include "rules/language/arena.h"
#include "rules/diagnostics/diagnostics.h"
#include "rules/operators/operator.h"
#include "rules/operators/t2q.h"
#include "rules/language/program.h"
#include "rules/compile/ruleset.h"
#include "rules/language/schedule.h"
#include "rules/language/selector.h"
#include "rules/language/table.h"
#include "rules/language/template.h"
#include "rules/language/units.h"

#define WR_RULE_OPERANDS 16 /* different signals in one node */
#define WR_RULE_CELLS 8
#define WR_RULE_LEVELS 8
#define WR_RULE_STEPS 8
#define WR_RULE_RANKS 8 /* nodes that read nodes that read nodes ... */
#define WR_NODE_NO UINT32_MAX
#define WR_RULE_AGES 8
#define WR_RULE_LEAVES 16
#define WR_RULE_LABELS 8 /* of `by` */
#define WR_RULE_INSTANCES_MAX 1000000
#define WR_RULE_SHELVE_NS (INT64_C(8) * 3600 * 1000000000) /* shelve_max: 8h, a shift */
#define WR_RULE_FORGET_NS (INT64_C(7) * 86400 * 1000000000) /* forget: 7d */

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

/* A number that is fixed for each instance: a constant, or what a program over table cells and constants says (WR_OP_NUMBER, WR_OP_CELL, arithmetic). */
struct wr_limit {
    double number;                   /* of a constant */
    const struct wr_program *program; /* NULL: the constant */
};

/* A signal that a node reads: the series of a selector, or another node. Thresholds are the fixed numbers it is compared with: between two neighbours
 * nothing can flip. */
struct wr_operand {
    const char *text;                   /* as written; of a node its canonical text */
    const struct wr_selector *selector; /* NULL: a node */
    uint32_t node;                      /* index in the rule set's rules; WR_NODE_NO: a series */
    const struct wr_point *point;       /* NULL: not declared */
    bool opaque;                        /* used otherwise too: every sample counts */
    uint32_t n_thresholds;
    double *thresholds;
    struct wr_limit *limits; /* the same with tables: n_limits of them beside the thresholds */
    uint32_t n_limits;
};

/* A call with memory: one state for each (signal, spec). */
struct wr_rule_operator {
    uint32_t operand;
    struct wr_operator_spec spec;
};

/* A cell of a table: the row is found by the instance's label of the table's key. */
struct wr_rule_cell {
    const struct wr_table *table; /* rules/language/table.h */
    uint32_t column;
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
    const char *unit; /* in which both are told: that in which the limit is written; from that of the programs by a factor and an addend */
    double factor;
    double addend;
};

/* What a node is. Alarms are what the user calls rules; the others are made by `derive`, by levels and sequences, and by the checker, where a function
 * with memory takes an expression (held, hits, avg(a - b, 5m)): then the expression becomes a node, shared by its canonical text and `by`. */
enum wr_rule_kind {
    WR_RULE_ALARM,
    WR_RULE_DERIVED,  /* the value or truth of `when`, after on_delay and off_delay if there are any, as a signal */
    WR_RULE_SET,      /* one number of all series that its one operand's selector takes: avg_of, count_of ... */
    WR_RULE_SEQUENCE, /* true while its steps have come in order */
    WR_RULE_VECTOR,   /* a model over all its operands together: t2q */
};

/* One step of a sequence: operand i is its condition's node. */
struct wr_rule_step {
    int64_t within_ns; /* since the step before; 0: for ever */
    bool absent;       /* met when the condition has not become true within that time */
};

/* One level of an alarm, the lowest first: operand i is its condition's node, after delays. */
struct wr_rule_level {
    const char *name;
    enum wr_severity severity;
};

/* Worst case of one evaluation, and memory of one instance; of an alarm with all that it reads: rules/compile/rule_cost.h. */
struct wr_rule_cost {
    uint32_t ns;
    uint32_t bytes;
    uint32_t nodes;
    bool quiet; /* a value between its limits costs one compare */
    double edge;
};

enum wr_backfill { WR_BACKFILL_LOG, WR_BACKFILL_EVALUATE, WR_BACKFILL_IGNORE };

enum wr_no_data { WR_NO_DATA_HOLD, WR_NO_DATA_RAISE, WR_NO_DATA_CLEAR };

struct wr_rule {
    const char *name;
    const char *when_text;
    struct wr_place place;
    uint32_t n_by;
    const char *by[WR_RULE_LABELS];
    enum wr_severity severity;
    uint8_t kind; /* enum wr_rule_kind */
    uint8_t rank; /* one more than the highest of the nodes it reads */
    bool truth;   /* the value of a derived node is true or false */
    bool joined;       /* of a node: computed from several series, so that several samples of one time make one of its own */
    bool by_hour;      /* reads the hour or the weekday: looks again at each quarter */
    uint32_t index;    /* of a node, in the rule set's rules */
    bool every_sample; /* a derived node tells each evaluation by a sample, not only what changed */
    int64_t on_delay_ns;
    int64_t off_delay_ns;
    enum wr_no_data no_data;
    int64_t no_data_after_ns; /* 0: not given */
    bool latch;
    bool auto_ack;
    struct wr_program when;
    const char *source;           /* the text from which `when` was read; NULL: none. For `weir explain`, as parts */
    const struct wr_node **parts; /* what each of its instructions computes: wr_program_parts */
    struct wr_program clear; /* n 0: none */
    uint32_t n_operands;
    struct wr_operand operands[WR_RULE_OPERANDS];
    uint32_t n_operators;
    struct wr_rule_operator *operators;
    uint32_t n_cells;
    struct wr_rule_cell *cells; /* WR_OP_CELL a */
    uint32_t n_ages;
    struct wr_age ages[WR_RULE_AGES];
    uint32_t n_leaves;
    const struct wr_leaf *leaves;
    struct wr_template message; /* n 0: none; as the next two */
    struct wr_template consequence_text;
    struct wr_template respond_text;
    const char *consequence;
    const char *respond;
    int64_t time_to_respond_ns;
    const char *canonical; /* when, clear, deadband and every option that changes its meaning */
    const char *shape;     /* the same without numbers and delays */
    bool has_name;         /* a derived point: its text stands in no other */
    const char *own;       /* canonical and shape without what the derived points in them stand for */
    const char *own_shape;
    uint32_t walk; /* while loading: the last walk over nodes that came by (wr_ruleset.walks) */
    uint32_t n_actions;
    struct wr_action_spec *actions;
    /* alarms */
    uint32_t n_levels;
    struct wr_rule_level *levels;
    struct wr_program valid_if; /* n 0: none. False or unknown: silent (WR_ALARM_SILENT_INVALID) */
    const struct wr_schedule *active; /* rules/language/schedule.h; NULL: always. Outside of it the condition counts as false */
    enum wr_backfill backfill;
    int64_t forget_ns;
    uint32_t max_instances;
    int64_t re_alarm_ns;   /* 0: never rings again */
    int64_t shelve_max_ns; /* 0: may not be shelved */
    /* nodes */
    const struct wr_point *output; /* of a derived point: unit, range ... */
    int64_t emit_ns;               /* at most one sample in so long; 0: each */
    enum wr_function_id set;       /* WR_FUNCTION_AVG_OF ... */
    struct wr_t2q_spec vector;     /* of WR_RULE_VECTOR: its operands are the series in order */
    uint32_t n_steps;
    struct wr_rule_step *steps;
    struct wr_rule_cost cost;
};

/* One operand of one node under the name of its series and the first tag that its selector wants (`temp{pump=7}`), empty without one; sorted by these: the index
 * from series to rules. So thousands of rules of one name, each for another thing, cost a new series nothing. */
struct wr_reader {
    const char *name;
    const char *tag;
    const char *word;
    uint32_t rule;
    uint32_t operand;
};

#define WR_SELECTOR_CACHE 1024
#define WR_RULESET_TABLES 64
#define WR_RULESET_SCHEDULES 256

struct wr_test;

/* suppress: alarms that the alarms of one rule explain. */
struct wr_suppress {
    uint32_t cause;                  /* index of an alarm rule */
    const struct wr_selector *match; /* its matches: rule, severity and labels; NULL: every alarm of another rule */
    const char *match_text;
    uint32_t n_equal;
    const char *equal[WR_RULE_LABELS];
    int64_t linger_ns;
    struct wr_place place;
};

/* groups: alarms with the same labels are told together. */
struct wr_group {
    const char *name; /* "group:by_line": as its notices are called */
    uint32_t n_by;
    const char *by[WR_RULE_LABELS];
    int64_t wait_ns;
    int64_t update_ns;
    int64_t repeat_ns; /* 0: never */
    bool first_out;
    uint32_t flood_start; /* 0: never in flood */
    uint32_t flood_end;
    int64_t flood_window_ns;
    uint32_t n_actions; /* with any it speaks for its low and medium alarms */
    struct wr_action_spec *actions;
    struct wr_place place;
};

/* A time zone that schedules share. */
struct wr_ruleset_zone {
    const char *name;
    struct wr_timezone *zone; /* freed with the rule set; NULL: UTC */
};

struct wr_ruleset {
    struct wr_arena arena;
    const struct wr_selector *selectors[WR_SELECTOR_CACHE]; /* while loading: the same text is one selector, by hash of its text */
    struct wr_nodes *nodes; /* while loading: rules/language/nodes.h */
    bool lost;              /* while loading: a definition could not be read: what may need it is not blamed */
    uint32_t walks;         /* while loading: walks over nodes that come by each node once */
    uint64_t fingerprint; /* of the texts of files and tables */
    uint32_t max_instances;
    uint32_t n_points;
    uint32_t cap_points;
    struct wr_point **points; /* sorted by name once loaded */
    uint32_t n_rules; /* alarms: the first so many */
    uint32_t n_nodes; /* all */
    uint32_t cap_rules;
    struct wr_rule **rules; /* alarms in the order of the files, then the other nodes: each after those that it reads */
    uint32_t *by_name;   /* indexes of alarms, sorted by name */
    uint32_t n_readers;
    struct wr_reader *readers;
    uint32_t n_tables;
    struct wr_table *tables[WR_RULESET_TABLES];
    uint32_t n_schedules;
    struct wr_schedule *schedules[WR_RULESET_SCHEDULES];
    uint32_t n_zones;
    struct wr_ruleset_zone zones[WR_RULESET_SCHEDULES];
    struct wr_test *tests; /* rules/testing/scenario.h: a list in the order of the files; NULL unless the options keep them */
    struct wr_arena test_arena;
    uint32_t n_suppresses;
    struct wr_suppress *suppresses;
    uint32_t n_groups;
    struct wr_group *groups;
    uint32_t n_targets;
    const char *targets[WR_RULESET_TARGETS]; /* of actions, each once */
};

/* "measurement.value" is "measurement". Returns a text that lives as long as `name` or into[size]. */
const char *wr_ruleset_plain_name(const char *name, char *into, size_t size);

/* Whether two rules make their instances by the same labels, in the same order. */
bool wr_rule_same_by(const struct wr_rule *a, const struct wr_rule *b);

const struct wr_point *wr_ruleset_point(const struct wr_ruleset *ruleset, const char *name);

/* NULL: there is none; *ret_near (may be NULL) is then the nearest name, or NULL. */
const struct wr_table *wr_ruleset_table(const struct wr_ruleset *ruleset, const char *name, const char **ret_near);
const struct wr_schedule *wr_ruleset_schedule(const struct wr_ruleset *ruleset, const char *name, const char **ret_near);
/* While loading: the time zone of a name, read once a rule set. *ret_zone NULL: UTC. WR_INVALID, WR_NOT_FOUND: err names the nearest zone; WR_LIMIT,
 * WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_ruleset_zone(struct wr_ruleset *ruleset, const char *name, const struct wr_timezone **ret_zone, struct wr_error *err);

/* The readers of a series' name that want this tag; with two empty texts those that want none: first and count. */
const struct wr_reader *wr_ruleset_readers(const struct wr_ruleset *ruleset, const char *name, const char *tag, const char *word, uint32_t *ret_n);

#endif
