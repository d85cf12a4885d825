#include "agent/remote/rollout.h"

#include <inttypes.h>
#include <string.h>

#define LOOK_NS WR_NS_PER_S

static void show(struct wr_rollout *rollout) {
    rollout->shown_version = rollout->files.current;
    rollout->shown_trial = rollout->files.trial != 0;
    rollout->shown_shadow = rollout->files.shadow;
}

enum wr_result wr_rollout_boot(const char *store, bool *ret_rolled_back, struct wr_error *err) {
    struct wr_bundle_files files;
    *ret_rolled_back = false;
    WR_TRY(wr_bundle_files_open(&files, store, err));
    if (files.trial == 0)
        return WR_OK;
    if (files.trial == files.current && files.trial_starts < WR_ROLLOUT_STARTS)
        return wr_bundle_files_started(&files, err);
    const bool was_in_force = files.trial == files.current; /* else a change was interrupted, on the way there or back */
    WR_TRY(wr_bundle_files_roll_back(&files, err));
    *ret_rolled_back = was_in_force;
    return WR_OK;
}

enum wr_result wr_rollout_init(struct wr_rollout *rollout, const struct wr_rollout_ops *ops, const char *store, int64_t window_ns,
                               int64_t now_boot_ns, struct wr_error *err) {
    rollout->ops = *ops;
    rollout->window_ns = window_ns;
    rollout->ends_boot_ns = WR_NEVER_NS;
    rollout->shadow_boot_ns = WR_NEVER_NS;
    WR_TRY(wr_bundle_files_open(&rollout->files, store, err));
    show(rollout);
    if (rollout->files.shadow != 0)
        rollout->shadow_boot_ns = wr_clock_add_ns(now_boot_ns, window_ns);
    if (rollout->files.trial == 0)
        return WR_OK;
    rollout->ops.health(rollout->ops.user, &rollout->before);
    rollout->before.alarms = rollout->files.trial_alarms;
    rollout->ends_boot_ns = wr_clock_add_ns(now_boot_ns, window_ns);
    return WR_OK;
}

/* -- taking ------------------------------------------------------------------------------------------------------------------------------- */

/* In force, on trial. Whatever fails, the old one is in force again. */
static enum wr_result put(struct wr_rollout *rollout, uint64_t version, struct wr_context *context, struct wr_error *err) {
    struct wr_error why = {0};
    rollout->ops.health(rollout->ops.user, &rollout->before);
    enum wr_result result = wr_bundle_files_begin(&rollout->files, version, rollout->before.alarms, err);
    if (result == WR_OK && rollout->files.shadow != 0 && rollout->files.shadow <= version) { /* it has been looked at: the reload ends it */
        result = wr_bundle_files_end_shadow(&rollout->files, 0, err);
        rollout->shadow_boot_ns = WR_NEVER_NS;
    }
    if (result == WR_OK)
        result = rollout->ops.reload(rollout->ops.user, context, err);
    if (result == WR_OK)
        return WR_OK;
    const bool was_taken = rollout->files.trial == version;
    if (was_taken && wr_bundle_files_roll_back(&rollout->files, &why) != WR_OK)
        return wr_error_set(err, WR_IO, "it cannot be put in force, and what was cannot be put back (%s): it comes back after %d starts",
                            why.text, WR_ROLLOUT_STARTS);
    if (was_taken) {
        rollout->ends_boot_ns = WR_NEVER_NS; /* of one that it was to replace, too: the last that was kept is in force */
        rollout->reload_due = true;
    }
    wr_bundle_files_unstage(&rollout->files, version);
    return result;
}

enum wr_remote_outcome wr_rollout_take(struct wr_rollout *rollout, const struct wr_bundle *bundle, struct wr_context *context,
                                       const struct wr_clock *clock, struct wr_error *err) {
    char path[PATH_MAX];
    if (bundle->shadow) {
        const enum wr_remote_outcome outcome = wr_rollout_take_shadow(rollout, bundle, clock, err);
        show(rollout);
        return outcome;
    }
    if (bundle->version == rollout->files.current && bundle->version == rollout->files.highest && strcmp(bundle->key, rollout->key) == 0)
        return WR_REMOTE_DONE;
    if (bundle->version <= rollout->files.highest) {
        (void)wr_error_set(err, WR_DENIED, "version %" PRIu64 " is not above %" PRIu64 ", the highest that this node has taken",
                           bundle->version, rollout->files.highest);
        return WR_REMOTE_OLD;
    }
    enum wr_result result = wr_bundle_files_stage(&rollout->files, bundle, path, err);
    if (result == WR_OK) {
        result = rollout->ops.check(rollout->ops.user, path, err);
        if (result == WR_OK)
            result = put(rollout, bundle->version, context, err);
        else
            wr_bundle_files_unstage(&rollout->files, bundle->version);
    }
    show(rollout);
    if (result != WR_OK)
        return result == WR_NO_MEMORY                          ? WR_REMOTE_NO_MEMORY
               : result == WR_CANCELED || result == WR_TIMEOUT ? WR_REMOTE_UNSURE
                                                               : WR_REMOTE_REJECTED;
    memcpy(rollout->key, bundle->key, sizeof rollout->key);
    rollout->ends_boot_ns = wr_clock_add_ns(wr_clock_boot_ns(clock), rollout->window_ns);
    return WR_REMOTE_DONE;
}

/* -- watching ----------------------------------------------------------------------------------------------------------------------------- */

int64_t wr_rollout_next_ns(const struct wr_rollout *rollout, int64_t now_boot_ns) {
    if (rollout->ends_boot_ns == WR_NEVER_NS && !rollout->reload_due && !rollout->shadow_due)
        return rollout->shadow_boot_ns;
    return now_boot_ns + LOOK_NS;
}

static bool is_ill(struct wr_rollout *rollout) {
    struct wr_rollout_health now, *before = &rollout->before;
    struct wr_error why;
    rollout->ops.health(rollout->ops.user, &now);
    if (now.alarms > 2 * before->alarms && now.alarms > before->alarms + WR_ROLLOUT_ALARMS)
        (void)wr_error_set(&why, WR_OK, "%" PRIu64 " alarms are active, and before it %" PRIu64 " were", now.alarms, before->alarms);
    else if (now.errors > before->errors + WR_ROLLOUT_ERRORS)
        (void)wr_error_set(&why, WR_OK, "%" PRIu64 " errors were logged since it is in force", now.errors - before->errors);
    else
        return false;
    memcpy(rollout->why, why.text, sizeof rollout->why);
    return true;
}

enum wr_rollout_news wr_rollout_look(struct wr_rollout *rollout, struct wr_context *context, int64_t now_boot_ns, uint64_t *ret_version) {
    enum wr_rollout_news news = WR_ROLLOUT_NOTHING;
    *ret_version = rollout->files.trial;
    if (rollout->ends_boot_ns != WR_NEVER_NS && is_ill(rollout)) {
        if (wr_bundle_files_roll_back(&rollout->files, NULL) == WR_OK) { /* else it is tried again at the next look */
            rollout->ends_boot_ns = WR_NEVER_NS;
            rollout->reload_due = true;
            rollout->rolled_back++;
            news = WR_ROLLOUT_ROLLED_BACK;
        }
    } else if (rollout->ends_boot_ns <= now_boot_ns && wr_bundle_files_keep(&rollout->files, NULL) == WR_OK) {
        rollout->ends_boot_ns = WR_NEVER_NS;
        rollout->kept++;
        news = WR_ROLLOUT_KEPT;
    }
    if (rollout->reload_due && rollout->ops.reload(rollout->ops.user, context, NULL) == WR_OK)
        rollout->reload_due = false;
    wr_rollout_look_shadow(rollout, now_boot_ns, &news, ret_version);
    show(rollout);
    return news;
}
