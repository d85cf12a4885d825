/* From a file's records into the compiled form: what the compilers of all sections share, and the rules. Inside rules/ only. */
#ifndef WEIR_RULES_RULE_COMPILE_H
#define WEIR_RULES_RULE_COMPILE_H

#include "rules/check.h"
#include "rules/compiled.h"
#include "rules/rule_file.h"

struct wr_compile {
    struct wr_ruleset *ruleset;
    const struct wr_ruleset_options *options;
    const struct wr_yaml *yaml;
    struct wr_diagnostics *diagnostics;
    const char *file; /* in the arena */
    const char *list; /* "rules", "points" ... */
    unsigned index;
    struct wr_rule *rule;
    const char *text; /* of the expression that is being checked */
    const char *key;  /* where it stands in the record */
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
/* when, clear and deadband (rule_condition.c). */
void wr_compile_condition(struct wr_compile *compile, const struct wr_file_rule *record);

/* Warnings about a whole set that has no errors (lint.c). */
struct wr_lint;
void wr_lint_ruleset(struct wr_ruleset *ruleset, struct wr_diagnostics *diagnostics);

#endif
