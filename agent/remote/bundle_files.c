#include "agent/remote/bundle_files.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"

#define NUMBER_BYTES 80

static enum wr_result failed(const char *path, struct wr_error *err) {
    return wr_error_set(err, errno == ENAMETOOLONG ? WR_LIMIT : WR_IO, "%s: %s", path, strerror(errno));
}

static bool join(char *path, const char *directory, const char *name) {
    const bool fits = snprintf(path, PATH_MAX, "%s/%s", directory, name) < PATH_MAX;
    if (!fits)
        errno = ENAMETOOLONG;
    return fits;
}

/* -- numbers ------------------------------------------------------------------------------------------------------------------------------ */

/* n numbers with dots between them, and this end; those that are not there stay 0. */
enum wr_result wr_bundle_files_read_numbers(const struct wr_bundle_files *files, const char *name, const char *behind,
                                            uint64_t *const *ret_numbers, unsigned n, struct wr_error *err) {
    char path[PATH_MAX], text[NUMBER_BYTES];
    if (!join(path, files->directory, name))
        return failed(files->directory, err);
    const ssize_t len = readlink(path, text, sizeof text - 1);
    if (len < 0)
        return errno == ENOENT || errno == ENOTDIR ? WR_OK : failed(path, err);
    text[len] = '\0';
    const char *at = text;
    for (unsigned i = 0; i < n; i++) {
        char *end = text;
        errno = 0;
        const unsigned long long number = strtoull(at, &end, 10);
        if (*at < '0' || *at > '9' || errno != 0 || number > WR_BUNDLE_VERSION_MAX || (i + 1 < n ? *end != '.' : strcmp(end, behind) != 0))
            return wr_error_set(err, WR_CORRUPT, "%s: is no link to a number", path);
        *ret_numbers[i] = number;
        at = end + 1;
    }
    return WR_OK;
}

enum wr_result wr_bundle_files_write_link(const struct wr_bundle_files *files, const char *name, const char *text, struct wr_error *err) {
    char path[PATH_MAX], part[PATH_MAX];
    if (!join(path, files->directory, name) || snprintf(part, sizeof part, "%s.part", path) >= (int)sizeof part)
        return failed(files->directory, err);
    (void)unlink(part);
    if (symlink(text, part) != 0)
        return failed(path, err);
    const enum wr_result result = wr_file_rename(part, path, err);
    if (result != WR_OK)
        (void)unlink(part);
    return result;
}

enum wr_result wr_bundle_files_remove_link(const struct wr_bundle_files *files, const char *name, struct wr_error *err) {
    char path[PATH_MAX];
    if (!join(path, files->directory, name) || (unlink(path) != 0 && errno != ENOENT))
        return failed(path, err);
    return wr_file_sync_names(path, err);
}

/* 0: there is none. */
static enum wr_result write_number(const struct wr_bundle_files *files, const char *name, uint64_t number, struct wr_error *err) {
    char text[NUMBER_BYTES];
    snprintf(text, sizeof text, "%" PRIu64, number);
    return number > 0 ? wr_bundle_files_write_link(files, name, text, err) : wr_bundle_files_remove_link(files, name, err);
}

static enum wr_result write_trial(const struct wr_bundle_files *files, uint64_t version, uint64_t alarms, uint64_t starts,
                                  struct wr_error *err) {
    char text[NUMBER_BYTES];
    snprintf(text, sizeof text, "%" PRIu64 ".%" PRIu64 ".%" PRIu64, version, alarms, starts);
    return wr_bundle_files_write_link(files, "trial", text, err);
}

enum wr_result wr_bundle_files_open(struct wr_bundle_files *files, const char *store, struct wr_error *err) {
    *files = (struct wr_bundle_files){0};
    if (!join(files->directory, store, WR_BUNDLES))
        return failed(store, err);
    uint64_t *const trial[] = {&files->trial, &files->trial_alarms, &files->trial_starts};
    const struct {
        const char *name;
        const char *end;
        uint64_t *number;
    } numbers[] = {{"highest", "", &files->highest},
                   {"current", "", &files->current},
                   {"previous", "", &files->previous},
                   {"shadow", WR_BUNDLE_FILES_SHADOW, &files->shadow},
                   {"shadow-highest", "", &files->shadow_highest},
                   {"shadow-starts", "", &files->shadow_starts}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        WR_TRY(wr_bundle_files_read_numbers(files, numbers[i].name, numbers[i].end, &numbers[i].number, 1, err));
    return wr_bundle_files_read_numbers(files, "trial", "", trial, 3, err);
}

/* -- versions ----------------------------------------------------------------------------------------------------------------------------- */

static bool version_path(const struct wr_bundle_files *files, uint64_t version, char *path) {
    char name[NUMBER_BYTES];
    snprintf(name, sizeof name, "%" PRIu64, version);
    return join(path, files->directory, name);
}

void wr_bundle_files_empty(const char *path) {
    char file[PATH_MAX];
    DIR *directory = opendir(path);
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        if (entry->d_name[0] != '.' && join(file, path, entry->d_name))
            (void)unlink(file);
    if (directory)
        closedir(directory);
    (void)rmdir(path);
}

void wr_bundle_files_unstage(struct wr_bundle_files *files, uint64_t version) {
    char path[PATH_MAX];
    if (version != files->current && version != files->previous && version_path(files, version, path))
        wr_bundle_files_empty(path);
}

enum wr_result wr_bundle_files_make(const char *path, struct wr_error *err) {
    if (mkdir(path, 0750) != 0 && errno != EEXIST)
        return failed(path, err);
    return wr_file_sync_names(path, err);
}

static enum wr_result write_files(const struct wr_bundle *bundle, const char *path, struct wr_error *err) {
    static const struct wr_file_form form = {.mode = 0640, .uid = WR_FILE_KEEP, .gid = (gid_t)WR_FILE_KEEP};
    char file[PATH_MAX];
    WR_TRY(wr_bundle_files_make(path, err));
    for (unsigned i = 0; i < bundle->n_files; i++) {
        if (!join(file, path, bundle->files[i].name))
            return failed(path, err);
        WR_TRY(wr_file_write(file, wr_buf_str(&bundle->texts) + bundle->files[i].at, bundle->files[i].len, &form, err));
    }
    return WR_OK;
}

enum wr_result wr_bundle_files_fill(const struct wr_bundle_files *files, const struct wr_bundle *bundle, const char *path,
                                    struct wr_error *err) {
    WR_TRY(wr_bundle_files_make(files->directory, err));
    wr_bundle_files_empty(path);
    const enum wr_result result = write_files(bundle, path, err);
    if (result != WR_OK)
        wr_bundle_files_empty(path);
    return result;
}

enum wr_result wr_bundle_files_stage(struct wr_bundle_files *files, const struct wr_bundle *bundle, char *path, struct wr_error *err) {
    return version_path(files, bundle->version, path) ? wr_bundle_files_fill(files, bundle, path, err) : failed(files->directory, err);
}

enum wr_result wr_bundle_files_begin(struct wr_bundle_files *files, uint64_t version, uint64_t alarms, struct wr_error *err) {
    WR_TRY(write_number(files, "highest", version, err));
    files->highest = version;
    if (files->trial == 0) {
        WR_TRY(write_number(files, "previous", files->current, err));
        files->previous = files->current;
    }
    WR_TRY(write_trial(files, version, alarms, 0, err));
    files->trial = version;
    files->trial_alarms = alarms;
    files->trial_starts = 0;
    WR_TRY(write_number(files, "current", version, err));
    files->current = version;
    return WR_OK;
}

enum wr_result wr_bundle_files_started(struct wr_bundle_files *files, struct wr_error *err) {
    WR_TRY(write_trial(files, files->trial, files->trial_alarms, files->trial_starts + 1, err));
    files->trial_starts++;
    return WR_OK;
}

/* Whatever is neither current nor previous. */
static void sweep(struct wr_bundle_files *files) {
    DIR *directory = opendir(files->directory);
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
            wr_bundle_files_unstage(files, strtoull(entry->d_name, NULL, 10));
    if (directory)
        closedir(directory);
}

static enum wr_result end_trial(struct wr_bundle_files *files, struct wr_error *err) {
    WR_TRY(write_number(files, "trial", 0, err));
    files->trial = files->trial_alarms = files->trial_starts = 0;
    sweep(files);
    return WR_OK;
}

enum wr_result wr_bundle_files_keep(struct wr_bundle_files *files, struct wr_error *err) {
    return end_trial(files, err);
}

enum wr_result wr_bundle_files_roll_back(struct wr_bundle_files *files, struct wr_error *err) {
    WR_TRY(write_number(files, "current", files->previous, err));
    files->current = files->previous;
    return end_trial(files, err);
}
