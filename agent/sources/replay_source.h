/* The source `replay`: recordings (CSV or line protocol) played again, as fast or as slow as wanted.
 *
 * All files are one timeline: whichever file has the earliest next stamp is read on, so files that follow each other are played one after
 * the other, and files that overlap are merged. A file is open only while the timeline is inside of it. A record without a stamp belongs to
 * the one before it; one that is older than what was played goes at once.
 *   pace recorded: records come at the intervals of the recording;
 *   pace fast: as fast as the engine takes them;
 *   pace rescale: intervals above max_gap are shortened to it, then all are divided, by `speedup`, or so that the whole takes `duration`.
 * With start: now the stamps are moved along: the first one becomes the time of the start, and the distances shrink as the intervals do (with
 * pace fast they stay). loop: at the end it begins again; stamps and intervals go on from the end, one last interval later.
 *
 * With `duration` the files are read once before the first record, to know how long the timeline is. A file that cannot be opened or read is
 * logged and left out; what in it is malformed is refused and counted like any input.
 */
#ifndef WEIR_AGENT_SOURCES_REPLAY_SOURCE_H
#define WEIR_AGENT_SOURCES_REPLAY_SOURCE_H

#include "agent/sources/source.h"

extern const struct wr_source_ops wr_replay_source_ops;

#endif
