/* An operator's command as words of a command line: ALARM --why TEXT --for 2h | --until TIME --by NAME --key KEY.
 *
 * Promise: as strict as order_json.h: nothing is cut, nothing stands there that has no meaning, and what is wrong is said in one sentence.
 * Threads: none.
 */
#ifndef WEIR_AGENT_CONTROL_ORDER_WORDS_H
#define WEIR_AGENT_CONTROL_ORDER_WORDS_H

#include <stdbool.h>

#include "agent/control/orders.h"
#include "core/buf.h"

/* Whether the word is an option of a command that takes a value. */
bool wr_order_option(const char *word);
/* Fills in an order whose verb is set; argv[0] is the verb. command is that of `weir`, for the complaint, which goes into problem where this is false. ret_json: whether
 * --json stood there; NULL: that makes no sense here. */
bool wr_order_from_words(struct wr_order *order, const char *command, int argc, char **argv, bool *ret_json, struct wr_buf *problem);

#endif
