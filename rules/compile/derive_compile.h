/* derive: points that are computed: their part of the schema, and into the rule set. Inside rules/ only. */
#ifndef WEIR_RULES_COMPILE_DERIVE_COMPILE_H
#define WEIR_RULES_COMPILE_DERIVE_COMPILE_H

#include <stdbool.h>

#include "rules/yaml/yaml.h"

struct wr_compile;
struct wr_derived;
struct wr_ruleset;

struct wr_file_derive {
    char *point;
    char *of;
    char *unit;
    char **by;
    unsigned n_by;
    char *max_age;
    char *emit;
};

extern const struct wr_yaml_field wr_derive_fields[];

/* Makes the names of one file's derived points known. What is wrong goes to diagnostics. False: no memory. */
bool wr_compile_derive_names(struct wr_compile *compile);
/* Compiles those of one file that no expression has asked for yet. */
bool wr_compile_derive(struct wr_compile *compile);

/* The node of a derived point, compiled now if it was not yet. within: the one whose expression names it; NULL: none. False: it has errors, which
 * are told, or memory ran out. */
bool wr_derive_compile(struct wr_ruleset *ruleset, struct wr_derived *derived, struct wr_derived *within);

#endif
