/* The source `execd`: a program that runs as long as the agent and prints records.
 *
 * Whatever language it is written in: it writes line protocol to its stdout and flushes; what it says on stderr is logged. It is isolated: it may
 * crash, hang, eat memory or print rubbish, and nothing else notices. When it ends, for whatever reason, it is started again after a pause
 * (core/backoff.h: at most 1 s at first, at most 2 minutes at last), which begins anew once it has run for a minute. Its stdin is an empty pipe
 * that ends when it is to stop, so that it needs no signal handler.
 */
#ifndef WEIR_AGENT_SOURCES_EXECD_SOURCE_H
#define WEIR_AGENT_SOURCES_EXECD_SOURCE_H

#include "agent/sources/source.h"

extern const struct wr_source_ops wr_execd_source_ops;

#endif
