/* Bundles on disk, in a directory of their own below the store's: one directory a version, and numbers that say which of them counts. A number is a symbolic link whose
 * text is the number: it changes as a whole or not at all, and as a path it leads to its version.
 *   7/ 6/      the files        current -> 7    what is in force        previous -> 6    what was, and what a rollback comes back to
 *   trial -> 7.3.1    7 is being watched; 3 alarms were active before; it was started once meanwhile    highest -> 7    no lower one is taken any more
 *
 * Promise: whatever call fails and wherever the process ends, current leads to a whole version or is not there, and highest never falls. A version is on the disk before a
 * number tells of it. Nothing but `current` and the files behind it is read by the rest of the agent.
 * Threads: one at a time. Ownership: the struct is the caller's memory. Errors: those of wr_file_write; WR_CORRUPT: a number is none.
 */
#ifndef WEIR_AGENT_REMOTE_BUNDLE_FILES_H
#define WEIR_AGENT_REMOTE_BUNDLE_FILES_H

#include <limits.h>

#include "agent/remote/bundle.h"

#define WR_BUNDLES "bundles"                     /* below store.path */
#define WR_BUNDLES_CURRENT WR_BUNDLES "/current" /* where the config finds the rules of the bundle in force */

struct wr_bundle_files {
    char directory[PATH_MAX];
    uint64_t highest; /* 0: none, as the next three */
    uint64_t current;
    uint64_t previous;
    uint64_t trial;
    uint64_t trial_alarms;
    uint64_t trial_starts;
};

/* What is there; nothing is made before the first version. */
WR_MUST_USE enum wr_result wr_bundle_files_open(struct wr_bundle_files *files, const char *store, struct wr_error *err);
/* Writes the files of a version that is not current or previous, over what an interrupted try left. path[PATH_MAX]: where they are. */
WR_MUST_USE enum wr_result wr_bundle_files_stage(struct wr_bundle_files *files, const struct wr_bundle *bundle, char *path,
                                                 struct wr_error *err);
/* Forgets what was staged. */
void wr_bundle_files_unstage(struct wr_bundle_files *files, uint64_t version);
/* From now on no version up to this one is taken. Then it is in force, on trial. What was in force without a trial becomes previous. */
WR_MUST_USE enum wr_result wr_bundle_files_begin(struct wr_bundle_files *files, uint64_t version, uint64_t alarms, struct wr_error *err);
/* One more start during the trial. */
WR_MUST_USE enum wr_result wr_bundle_files_started(struct wr_bundle_files *files, struct wr_error *err);
/* Ends the trial: current stays, and older versions but the previous one go. */
WR_MUST_USE enum wr_result wr_bundle_files_keep(struct wr_bundle_files *files, struct wr_error *err);
/* Ends the trial: previous is in force again, or none. */
WR_MUST_USE enum wr_result wr_bundle_files_roll_back(struct wr_bundle_files *files, struct wr_error *err);

#endif
