/* Bundles on disk, in a directory of their own below the store's: one directory a version, and numbers that say which of them counts. A number is a symbolic link whose
 * text is the number: it changes as a whole or not at all, and as a path it leads to its version.
 *   7/ 6/      the files        current -> 7    what is in force        previous -> 6    what was, and what a rollback comes back to
 *   trial -> 7.3.1    7 is being watched; 3 alarms were active before; it was started once meanwhile    highest -> 7    no lower one is taken any more
 *   8.shadow/       the files        shadow -> 8.shadow    what runs in the shadow        shadow-highest, shadow-starts    as highest and the last of trial
 *
 * Promise: whatever call fails and wherever the process ends, current leads to a whole version or is not there, and highest never falls. A version is on the disk before a
 * number tells of it. Nothing but `current`, `shadow` and the files behind them is read by the rest of the agent.
 * Threads: one at a time. Ownership: the struct is the caller's memory. Errors: those of wr_file_write; WR_CORRUPT: a number is none.
 */
#ifndef WEIR_AGENT_REMOTE_BUNDLE_FILES_H
#define WEIR_AGENT_REMOTE_BUNDLE_FILES_H

#include <limits.h>

#include "agent/remote/bundle.h"

#define WR_BUNDLES "bundles"                     /* below store.path */
#define WR_BUNDLES_CURRENT WR_BUNDLES "/current" /* where the config finds the rules of the bundle in force */
#define WR_BUNDLES_SHADOW WR_BUNDLES "/shadow"   /* and here those of the one in the shadow */

#define WR_BUNDLE_FILES_SHADOW ".shadow" /* behind the version: a directory's name */

struct wr_bundle_files {
    char directory[PATH_MAX];
    uint64_t highest; /* 0: none, as all that follows */
    uint64_t current;
    uint64_t previous;
    uint64_t trial;
    uint64_t trial_alarms;
    uint64_t trial_starts;
    uint64_t shadow;
    uint64_t shadow_highest;
    uint64_t shadow_starts;
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

/* bundle_files_shadow.c: the same of the shadow, which has a directory, a highest version and starts of its own. It never touches what is in force. */
WR_MUST_USE enum wr_result wr_bundle_files_stage_shadow(struct wr_bundle_files *files, const struct wr_bundle *bundle, char *path,
                                                        struct wr_error *err);
/* What is staged and not begun goes. */
void wr_bundle_files_sweep_shadows(struct wr_bundle_files *files);
/* From now on no shadow up to this version is taken; this one runs. */
WR_MUST_USE enum wr_result wr_bundle_files_begin_shadow(struct wr_bundle_files *files, uint64_t version, struct wr_error *err);
/* None runs any more; no shadow up to this version is taken. 0: as before. */
WR_MUST_USE enum wr_result wr_bundle_files_end_shadow(struct wr_bundle_files *files, uint64_t version, struct wr_error *err);
/* It has been started so often without having lived through a health window. */
WR_MUST_USE enum wr_result wr_bundle_files_shadow_starts(struct wr_bundle_files *files, uint64_t starts, struct wr_error *err);

/* -- for the files of this module alone ------------------------------------------------------------------------------------------------- */

WR_MUST_USE enum wr_result wr_bundle_files_read_numbers(const struct wr_bundle_files *files, const char *name, const char *end,
                                                        uint64_t *const *ret_numbers, unsigned n, struct wr_error *err);
WR_MUST_USE enum wr_result wr_bundle_files_write_link(const struct wr_bundle_files *files, const char *name, const char *text,
                                                      struct wr_error *err);
WR_MUST_USE enum wr_result wr_bundle_files_remove_link(const struct wr_bundle_files *files, const char *name, struct wr_error *err);
WR_MUST_USE enum wr_result wr_bundle_files_fill(const struct wr_bundle_files *files, const struct wr_bundle *bundle, const char *path,
                                                struct wr_error *err);
/* A directory, where there is none yet. */
WR_MUST_USE enum wr_result wr_bundle_files_make(const char *path, struct wr_error *err);
void wr_bundle_files_empty(const char *path);

#endif
