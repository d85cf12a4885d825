/* The shadow's part of the bundles on disk. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/remote/bundle_files.h"

#define NAME_BYTES 40

static void name_of(char *name, uint64_t version) {
    snprintf(name, NAME_BYTES, "%" PRIu64 WR_BUNDLE_FILES_SHADOW, version);
}

static enum wr_result path_of(const struct wr_bundle_files *files, const char *name, char *path, struct wr_error *err) {
    if (snprintf(path, PATH_MAX, "%s/%s", files->directory, name) < PATH_MAX)
        return WR_OK;
    return wr_error_set(err, WR_LIMIT, "%s: the path is too long", files->directory);
}

static enum wr_result write_number(const struct wr_bundle_files *files, const char *name, uint64_t number, struct wr_error *err) {
    char text[NAME_BYTES];
    snprintf(text, sizeof text, "%" PRIu64, number);
    return number > 0 ? wr_bundle_files_write_link(files, name, text, err) : wr_bundle_files_remove_link(files, name, err);
}

enum wr_result wr_bundle_files_stage_shadow(struct wr_bundle_files *files, const struct wr_bundle *bundle, char *path,
                                            struct wr_error *err) {
    char name[NAME_BYTES];
    name_of(name, bundle->version);
    WR_TRY(path_of(files, name, path, err));
    return wr_bundle_files_fill(files, bundle, path, err);
}

void wr_bundle_files_sweep_shadows(struct wr_bundle_files *files) {
    char present[NAME_BYTES], path[PATH_MAX];
    DIR *directory = opendir(files->directory);
    name_of(present, files->shadow);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        const char *end = entry->d_name + strspn(entry->d_name, "0123456789");
        if (end > entry->d_name && strcmp(end, WR_BUNDLE_FILES_SHADOW) == 0 && strcmp(entry->d_name, present) != 0 &&
            path_of(files, entry->d_name, path, NULL) == WR_OK)
            wr_bundle_files_empty(path);
    }
    if (directory)
        closedir(directory);
}

static enum wr_result raise_highest(struct wr_bundle_files *files, uint64_t version, struct wr_error *err) {
    if (version <= files->shadow_highest)
        return WR_OK;
    WR_TRY(wr_bundle_files_make(files->directory, err)); /* it may be the first that is ever written */
    WR_TRY(write_number(files, "shadow-highest", version, err));
    files->shadow_highest = version;
    return WR_OK;
}

enum wr_result wr_bundle_files_begin_shadow(struct wr_bundle_files *files, uint64_t version, struct wr_error *err) {
    char name[NAME_BYTES];
    name_of(name, version);
    WR_TRY(raise_highest(files, version, err));
    WR_TRY(wr_bundle_files_shadow_starts(files, 0, err));
    WR_TRY(wr_bundle_files_write_link(files, "shadow", name, err));
    files->shadow = version;
    wr_bundle_files_sweep_shadows(files);
    return WR_OK;
}

enum wr_result wr_bundle_files_end_shadow(struct wr_bundle_files *files, uint64_t version, struct wr_error *err) {
    WR_TRY(raise_highest(files, version, err));
    if (files->shadow == 0)
        return WR_OK;
    WR_TRY(wr_bundle_files_remove_link(files, "shadow", err));
    files->shadow = 0;
    wr_bundle_files_sweep_shadows(files);
    return wr_bundle_files_shadow_starts(files, 0, err);
}

enum wr_result wr_bundle_files_shadow_starts(struct wr_bundle_files *files, uint64_t starts, struct wr_error *err) {
    if (starts == files->shadow_starts)
        return WR_OK;
    WR_TRY(write_number(files, "shadow-starts", starts, err));
    files->shadow_starts = starts;
    return WR_OK;
}
