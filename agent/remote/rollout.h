/* What becomes of a bundle: taken once, checked aside, put in force, watched, and taken back if it does harm.
 *
 * Promise: R1 a version is taken once, and none that is not higher than every one taken before, also after a restart. R2 nothing is in force that the agent's own check of config
 * and rules did not find good together with the rest of the config. R3 between two versions there is no moment without one: a crash finds the old or the new. R4 within the
 * health window a new version goes back to the one before (or none) when
 *     alarms jump: more than twice those that were active before, and WR_ROLLOUT_ALARMS more;
 *     errors jump: more than WR_ROLLOUT_ERRORS lines of level error in the log since it is in force;
 *     the agent was started more than WR_ROLLOUT_STARTS times meanwhile (it may not live long enough to look).
 *   A restart begins the window anew. R5 what became of it is told: at once, and at the end of the window.
 * A version that comes while one is on trial takes its place; the way back leads to the last that was kept.
 *
 * A bundle for the shadow (rollout_shadow.c) never is in force, and none of the above is said of it. R6 it is taken once, above every version taken before, in force or in the
 * shadow, but does not raise the highest in force: the same version may come for good. It ends with another shadow, with one that has no files, with a bundle in force of its version
 * or above, or when the agent was started more than WR_ROLLOUT_STARTS times without living through a health window. What it would have done is told each such window.
 *
 * Threads: one at a time; wr_rollout_shown from any. Ownership: the struct is the caller's memory. Time is an argument; the world is behind wr_rollout_ops.
 */
#ifndef WEIR_AGENT_REMOTE_ROLLOUT_H
#define WEIR_AGENT_REMOTE_ROLLOUT_H

#include <stdatomic.h>

#include "agent/remote/bundle_files.h"
#include "core/context.h"

#define WR_ROLLOUT_ALARMS 10
#define WR_ROLLOUT_ERRORS 20
#define WR_ROLLOUT_STARTS 3

struct wr_rollout_health {
    uint64_t alarms; /* active */
    uint64_t errors; /* lines logged, ever */
};

struct wr_rollout_ops {
    void *user;
    /* The config with the files of this directory in place of the bundle in force. WR_INVALID: err says what is wrong. */
    enum wr_result (*check)(void *user, const char *directory, struct wr_error *err);
    /* Takes over what is in force now. */
    enum wr_result (*reload)(void *user, struct wr_context *context, struct wr_error *err);
    void (*health)(void *user, struct wr_rollout_health *ret_health);
    /* Takes over what is in the shadow now. */
    enum wr_result (*shadow)(void *user, struct wr_error *err);
};

struct wr_rollout {
    struct wr_rollout_ops ops;
    struct wr_bundle_files files;
    int64_t window_ns;
    int64_t ends_boot_ns; /* of the trial; WR_NEVER_NS: there is none */
    struct wr_rollout_health before;
    bool reload_due;                       /* files went back, and the agent has not yet */
    char key[WR_COMMAND_KEY_BYTES];        /* of the bundle on trial, or the last one; "" after a restart */
    char why[WR_ERROR_TEXT_BYTES];         /* of what is told next */
    char shadow_key[WR_COMMAND_KEY_BYTES]; /* of the bundle in the shadow; "" after a restart */
    int64_t shadow_boot_ns;                /* when its next health window ends; WR_NEVER_NS: there is none */
    bool shadow_due;                       /* files changed, and the agent has not taken them over */
    _Atomic uint64_t shown_shadow;         /* in the shadow; 0: none */
    _Atomic uint64_t shown_version;        /* in force; 0: none */
    _Atomic bool shown_trial;
    _Atomic uint64_t kept;
    _Atomic uint64_t rolled_back;
};

enum wr_rollout_news { WR_ROLLOUT_NOTHING, WR_ROLLOUT_KEPT, WR_ROLLOUT_ROLLED_BACK, WR_ROLLOUT_SHADOW };

/* Before the first load of a config, by whoever starts the agent: counts the start if there is a trial, and rolls back after too many. *ret_rolled_back: that was done. */
WR_MUST_USE enum wr_result wr_rollout_boot(const char *store, bool *ret_rolled_back, struct wr_error *err);

/* The same for the one in the shadow. */
WR_MUST_USE enum wr_result wr_rollout_boot_shadow(const char *store, bool *ret_ended, struct wr_error *err);

/* Goes on with what is on the disk. */
WR_MUST_USE enum wr_result wr_rollout_init(struct wr_rollout *rollout, const struct wr_rollout_ops *ops, const char *store,
                                           int64_t window_ns, int64_t now_boot_ns, struct wr_error *err);
/* A bundle that is for this node, now. WR_REMOTE_DONE: it is in force, on trial, or was already under this key; OLD; REJECTED, NO_MEMORY or UNSURE with why:
 * it is not, and all is as it was. */
enum wr_remote_outcome wr_rollout_take(struct wr_rollout *rollout, const struct wr_bundle *bundle, struct wr_context *context,
                                       const struct wr_clock *clock, struct wr_error *err);
/* When to look next; WR_NEVER_NS: there is nothing to watch. */
int64_t wr_rollout_next_ns(const struct wr_rollout *rollout, int64_t now_boot_ns);
/* What is to be told, of *ret_version and rollout->key and ->why; WR_ROLLOUT_SHADOW: how the one in the shadow does. */
enum wr_rollout_news wr_rollout_look(struct wr_rollout *rollout, struct wr_context *context, int64_t now_boot_ns, uint64_t *ret_version);

/* For rollout.c: the parts of these functions that concern the shadow. */
enum wr_remote_outcome wr_rollout_take_shadow(struct wr_rollout *rollout, const struct wr_bundle *bundle, const struct wr_clock *clock,
                                              struct wr_error *err);
void wr_rollout_look_shadow(struct wr_rollout *rollout, int64_t now_boot_ns, enum wr_rollout_news *news, uint64_t *version);

#endif
