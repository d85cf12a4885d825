/* Which actions the agent would have carried out in a world: as its action thread does, with `after` and `unless`.
 *
 * Threads: one at a time; pure. Units: nanoseconds since the start of the test.
 */
#ifndef WEIR_RULES_TESTING_ACTS_H
#define WEIR_RULES_TESTING_ACTS_H

#include "rules/compile/ruleset.h"
#include "rules/testing/world.h"

/* How many actions of this kind the alarms of a selector ran at times from .. to, which is not after now. */
uint32_t wr_world_actions(const struct wr_world *world, const struct wr_selector *selector, enum wr_action_kind kind, int64_t from_ns,
                          int64_t to_ns);

#endif
