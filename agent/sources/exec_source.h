/* The source `exec`: a program once per interval that prints records and ends.
 *
 * One round: agent/sources/plugin.h. A program that does not end within `timeout`, or prints more than `max_output`, is killed; one that ends with
 * another exit code than 0 is reported with its last words; what it printed before is taken all the same. A round in which the program of the
 * round before still runs is skipped (agent/sources/poller.h).
 */
#ifndef WEIR_AGENT_SOURCES_EXEC_SOURCE_H
#define WEIR_AGENT_SOURCES_EXEC_SOURCE_H

#include "agent/sources/source.h"

extern const struct wr_source_ops wr_exec_source_ops;

#endif
