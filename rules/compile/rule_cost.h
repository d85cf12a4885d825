/* What a rule costs, with everything that it reads: estimated once, when a rule set is loaded, for `weir check`. Inside rules/ only. */
#ifndef WEIR_RULES_COMPILE_RULE_COST_H
#define WEIR_RULES_COMPILE_RULE_COST_H

#include "rules/compile/compiled.h"

/* Fills `cost` of all nodes and rules of a rule set: of a node its own, of a rule with all nodes that it reads, itself or through others, each once. What
 * several rules share is counted with each of them: the worst case. */
void wr_rule_cost_all(struct wr_ruleset *ruleset);

#endif
