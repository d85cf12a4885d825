/* The shadow's part of a rollout: taken and checked as a bundle is, and never in force. */
#include <inttypes.h>
#include <string.h>

#include "agent/remote/rollout.h"

enum wr_result wr_rollout_boot_shadow(const char *store, bool *ret_ended, struct wr_error *err) {
    struct wr_bundle_files files;
    *ret_ended = false;
    WR_TRY(wr_bundle_files_open(&files, store, err));
    if (files.shadow == 0)
        return WR_OK;
    if (files.shadow_starts < WR_ROLLOUT_STARTS)
        return wr_bundle_files_shadow_starts(&files, files.shadow_starts + 1, err);
    WR_TRY(wr_bundle_files_end_shadow(&files, 0, err));
    *ret_ended = true;
    return WR_OK;
}

/* Whatever fails, there is no shadow then. */
static enum wr_result put(struct wr_rollout *rollout, const struct wr_bundle *bundle, struct wr_error *err) {
    char path[PATH_MAX];
    struct wr_bundle_files *files = &rollout->files;
    WR_TRY(wr_bundle_files_stage_shadow(files, bundle, path, err));
    enum wr_result result = rollout->ops.check(rollout->ops.user, path, err);
    if (result != WR_OK) {
        wr_bundle_files_sweep_shadows(files); /* the one before goes on */
        return result;
    }
    result = wr_bundle_files_begin_shadow(files, bundle->version, err);
    if (result == WR_OK)
        result = rollout->ops.shadow(rollout->ops.user, err);
    if (result != WR_OK && files->shadow == bundle->version) {
        rollout->shadow_due = true; /* none is in the agent either, as soon as it can */
        (void)!wr_bundle_files_end_shadow(files, 0, NULL);
    }
    return result;
}

enum wr_remote_outcome wr_rollout_take_shadow(struct wr_rollout *rollout, const struct wr_bundle *bundle, const struct wr_clock *clock,
                                              struct wr_error *err) {
    struct wr_bundle_files *files = &rollout->files;
    const uint64_t highest = files->shadow_highest > files->highest ? files->shadow_highest : files->highest;
    if (bundle->version == files->shadow_highest && bundle->key[0] && strcmp(bundle->key, rollout->shadow_key) == 0)
        return WR_REMOTE_DONE;
    if (bundle->version <= highest) {
        (void)wr_error_set(err, WR_DENIED, "version %" PRIu64 " is not above %" PRIu64 ", the highest that this node has taken",
                           bundle->version, highest);
        return WR_REMOTE_OLD;
    }
    enum wr_result result;
    if (bundle->n_files == 0) {
        result = wr_bundle_files_end_shadow(files, bundle->version, err);
        rollout->shadow_due = rollout->shadow_due || files->shadow == 0;
        if (result == WR_OK && rollout->ops.shadow(rollout->ops.user, NULL) == WR_OK)
            rollout->shadow_due = false;
    } else {
        result = put(rollout, bundle, err);
    }
    rollout->shadow_boot_ns = files->shadow != 0 ? wr_clock_add_ns(wr_clock_boot_ns(clock), rollout->window_ns) : WR_NEVER_NS;
    if (result != WR_OK)
        return result == WR_NO_MEMORY ? WR_REMOTE_NO_MEMORY : result == WR_CANCELED ? WR_REMOTE_UNSURE : WR_REMOTE_REJECTED;
    memcpy(rollout->shadow_key, bundle->key, sizeof rollout->shadow_key);
    return WR_REMOTE_DONE;
}

void wr_rollout_look_shadow(struct wr_rollout *rollout, int64_t now_boot_ns, enum wr_rollout_news *news, uint64_t *version) {
    if (rollout->shadow_due && rollout->ops.shadow(rollout->ops.user, NULL) == WR_OK)
        rollout->shadow_due = false;
    if (rollout->shadow_boot_ns > now_boot_ns || *news != WR_ROLLOUT_NOTHING)
        return;
    (void)!wr_bundle_files_shadow_starts(&rollout->files, 0, NULL); /* else at the next look */
    rollout->shadow_boot_ns = wr_clock_add_ns(now_boot_ns, rollout->window_ns);
    *news = WR_ROLLOUT_SHADOW;
    *version = rollout->files.shadow;
}
