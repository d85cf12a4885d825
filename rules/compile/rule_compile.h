/* From a file's records into the compiled form: what the compilers of all sections share, and the rules. Inside rules/ only. */
#ifndef WEIR_RULES_COMPILE_RULE_COMPILE_H
#define WEIR_RULES_COMPILE_RULE_COMPILE_H

#include "rules/language/check.h"
#include "rules/compile/compiled.h"
#include "rules/compile/rule_file.h"

struct wr_compile {
    struct wr_ruleset *ruleset;
    const struct wr_ruleset_options *options;
    const struct wr_yaml *yaml;
    struct wr_diagnostics *diagnostics;
    const char *file; /* in the arena */
    const char *list; /* "rules", "points" ... */
    unsigned index;
    struct wr_rule *rule;
    const char *text;   /* of the expression that is being checked */
    const char *source; /* the one that was parsed last, in the arena */
    char key[64];     /* where it stands in the record */
};

/* Reports at rules[index].key (key NULL: the record); offset and len are bytes in text (NULL: the whole scalar). */
void wr_compile_complain(struct wr_compile *compile, enum wr_diagnostic_level level, unsigned code, const char *key, const char *text,
                         size_t offset, size_t len, const char *hint, const char *format, ...) WR_PRINTF(9, 10);
#define WR_COMPILE_ERROR(compile, code, key, hint, ...)                                                                                    \
    wr_compile_complain((compile), WR_DIAGNOSTIC_ERROR, (code), (key), NULL, 0, 0, (hint), __VA_ARGS__)

/* Reports a part of the language that this version does not have; path from the top of the file. */
void wr_compile_refuse(struct wr_compile *compile, const char *path);

/* Where a value of the record stands. */
struct wr_position wr_compile_where(const struct wr_compile *compile, const char *key);

/* A copy in the arena; NULL stays NULL. */
const char *wr_compile_copy(struct wr_compile *compile, const char *text);

/* All rules of one file; what is wrong goes to diagnostics. False: no memory. */
bool wr_compile_rules(struct wr_compile *compile);
/* -- what the sections share ----------------------------------------------------------------------------------------------------------------- */

/* room, or "line, pump", or [line, pump], into labels[max]. Complains with the code at the key. Returns how many. */
uint32_t wr_compile_labels(struct wr_compile *compile, unsigned code, const char *key, char *const *list, unsigned n, const char **labels,
                           uint32_t max);
/* by: of a rule or a derived point, into compile->rule. */
void wr_compile_by(struct wr_compile *compile, char *const *list, unsigned n);
/* What the record says, else what the file's defaults say (NULL: neither), else `otherwise`. */
int64_t wr_compile_duration(struct wr_compile *compile, const char *key, const char *text, const char *fallback, int64_t otherwise);
/* The index of a word; complains and gives `otherwise` for another. */
int wr_compile_word(struct wr_compile *compile, const char *key, const char *text, const char *fallback, const char *const *words, size_t n,
                    int otherwise);
/* Whether a text can be the name of a series; complains at `point`. */
bool wr_compile_point_name(struct wr_compile *compile, const char *name);

/* Expressions (rule_expression.c): parsed text of the record's key; NULL after a complaint. */
struct wr_node *wr_compile_parse(struct wr_compile *compile, const char *key, const char *text);
/* For the checker: complaints go to the text that was parsed last. */
struct wr_scope wr_compile_scope(struct wr_compile *compile);
bool wr_compile_program(struct wr_compile *compile, const struct wr_node *node, bool truth, struct wr_program *ret_program);
/* The condition of compile->rule, with its parts. */
bool wr_compile_when(struct wr_compile *compile, const struct wr_node *node, bool truth);

/* A condition as it stands in a rule or a level. */
struct wr_condition_text {
    const char *prefix; /* of the keys, for places: "" or "levels[1]." */
    const char *when;
    const char *clear;
    const char *deadband;
    const char *value; /* what the word `value` stands for; NULL: nothing */
};
/* when, clear and deadband into compile->rule (rule_condition.c): programs, thresholds, leaves, canonical and shape. False: it has errors. */
bool wr_compile_condition(struct wr_compile *compile, const struct wr_condition_text *text);
/* The comparisons of a condition, for messages; truth_operand: the operand that says whether they hold, WR_NODE_NONE: they say it themselves. */
bool wr_compile_leaves(struct wr_compile *compile, const struct wr_node *checked, uint32_t truth_operand);
/* A condition parsed, with `value` put in. key: when, clear or deadband. */
struct wr_node *wr_compile_condition_part(struct wr_compile *compile, const struct wr_condition_text *text, const char *key,
                                          const char *part);

/* Texts one behind the other, in the arena. */
const char *wr_compile_joined(struct wr_compile *compile, const char *first, const char *word, const char *text);
/* Adds to canonical and shape of compile->rule. */
void wr_compile_append(struct wr_compile *compile, const char *word, const char *text);
/* An expression in its canonical form; NULL: no memory, or a complaint. */
const char *wr_compile_canonical(struct wr_compile *compile, const struct wr_node *node, bool shape);

/* levels (rule_level.c), sequence (rule_sequence.c); false: errors. */
bool wr_compile_levels(struct wr_compile *compile, const struct wr_file_rule *record, const struct wr_file_defaults *defaults);
bool wr_compile_sequence(struct wr_compile *compile, const struct wr_file_rule *record);
/* message, consequence and respond (rule_text.c). */
void wr_compile_texts(struct wr_compile *compile, const struct wr_file_rule *record);

#endif
