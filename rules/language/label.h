/* Labels of an alarm: those of its instance, and what tables say of them.
 *
 * `gw` of cold_room_warm{room=A1} is the cell gw of the row A1 of a table whose key is room. An own label goes first, then the tables in the order of the
 * files. `site` and `node` are the same for all alarms of an agent: they are there, and empty.
 * Threads: none; pure. Allocates nothing.
 */
#ifndef WEIR_RULES_LANGUAGE_LABEL_H
#define WEIR_RULES_LANGUAGE_LABEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wr_ruleset;

/* The value of a label, into[size]; false: the alarm has none. labels: as struct wr_alarm.instance. */
bool wr_label_find(const struct wr_ruleset *rules, const char *labels, const char *label, char *into, size_t size);

/* Whether an alarm with these labels of `by` could have it: for checks at load. */
bool wr_label_is_known(const struct wr_ruleset *rules, const char *const *by, uint32_t n_by, const char *label);

#endif
