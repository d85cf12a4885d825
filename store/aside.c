#include "store/aside.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store_private.h"

#define PATH_BYTES 4096
#define PIECE_BYTES (4 << 20)
#define CORRUPT WR_STORE_FILE ".corrupt-"
#define NEWER WR_STORE_FILE ".newer-"
#define MARKER ".aside" /* a link to the new name, as long as a database is being renamed with its parts */

static const char *const parts[] = {"-wal", WR_PAGE_ONE}; /* of a database, behind its name */
#define N_PARTS (sizeof parts / sizeof parts[0])

static bool begins(const char *name, const char *prefix) {
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static bool ends(const char *name, const char *suffix) {
    size_t len = strlen(name);
    return len >= strlen(suffix) && strcmp(name + len - strlen(suffix), suffix) == 0;
}

static bool join(const struct wr_store *store, const char *name, const char *suffix, char path[PATH_BYTES]) {
    return (size_t)snprintf(path, PATH_BYTES, "%s/%s%s", store->directory, name, suffix) < PATH_BYTES;
}

uint64_t wr_aside_bytes(const struct wr_store *store) {
    uint64_t bytes = 0;
    DIR *directory = opendir(store->directory);
    if (!directory)
        return 0;
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        char path[PATH_BYTES];
        struct stat status;
        if ((begins(entry->d_name, CORRUPT) || begins(entry->d_name, NEWER)) && join(store, entry->d_name, "", path) &&
            stat(path, &status) == 0)
            bytes += (uint64_t)status.st_size;
    }
    closedir(directory);
    return bytes;
}

static const char *stamp_of(const char *name) {
    return name + (begins(name, CORRUPT) ? strlen(CORRUPT) : strlen(NEWER));
}

/* When it was put aside, by its name: seconds, then number. */
static bool is_older(const char *name, const char *than) {
    char *rest, *rest_than;
    const long long seconds = strtoll(stamp_of(name), &rest, 10);
    const long long seconds_than = strtoll(stamp_of(than), &rest_than, 10);
    if (seconds != seconds_than)
        return seconds < seconds_than;
    return strtol(rest, NULL, 10) > strtol(rest_than, NULL, 10); /* -1, -2: numbers below zero */
}

/* WAL and first page go with their database. */
static bool is_part(const char *name) {
    return ends(name, "-wal") || ends(name, WR_PAGE_ONE);
}

/* How many broken ones there are, and the name of the oldest but for the one that is spared. */
static unsigned look(const struct wr_store *store, const char *spared, char oldest[256]) {
    unsigned n = 0;
    oldest[0] = 0;
    DIR *directory = opendir(store->directory);
    if (!directory)
        return 0;
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        if (!begins(entry->d_name, CORRUPT) || is_part(entry->d_name))
            continue;
        n++;
        if (strcmp(entry->d_name, spared) != 0 && (oldest[0] == 0 || is_older(entry->d_name, oldest)))
            snprintf(oldest, 256, "%s", entry->d_name);
    }
    closedir(directory);
    return n;
}

static bool remove_all(const struct wr_store *store, const char *name) {
    char path[PATH_BYTES];
    if (!join(store, name, "", path) || unlink(path) != 0)
        return false;
    for (size_t i = 0; i < N_PARTS; i++)
        if (join(store, name, parts[i], path))
            (void)unlink(path);
    return true;
}

/* The end of a file, or what is left of it: *ret_gone. False: it cannot be removed. */
static bool remove_piece(const struct wr_store *store, const char *name, bool *ret_gone) {
    char path[PATH_BYTES];
    struct stat status;
    const bool cut = join(store, name, "", path) && stat(path, &status) == 0 && status.st_size > PIECE_BYTES &&
                     truncate(path, status.st_size - PIECE_BYTES) == 0;
    *ret_gone = !cut && remove_all(store, name);
    return cut || *ret_gone;
}

bool wr_aside_shrink(const struct wr_store *store, const char *name) {
    bool gone;
    return remove_piece(store, name, &gone) && !gone;
}

static bool shrink_oldest(const struct wr_store *store, unsigned keep, const char *spared) {
    char oldest[256];
    bool gone;
    return look(store, spared, oldest) > keep && oldest[0] != 0 && remove_piece(store, oldest, &gone);
}

static bool newest(const struct wr_store *store, bool with_newer, char ret_name[WR_ASIDE_NAME_BYTES]) {
    ret_name[0] = 0;
    DIR *directory = opendir(store->directory);
    if (!directory)
        return false;
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        const bool counts = begins(entry->d_name, CORRUPT) || (with_newer && begins(entry->d_name, NEWER));
        if (counts && !is_part(entry->d_name) && strlen(entry->d_name) < WR_ASIDE_NAME_BYTES &&
            (ret_name[0] == 0 || is_older(ret_name, entry->d_name)))
            snprintf(ret_name, WR_ASIDE_NAME_BYTES, "%s", entry->d_name);
    }
    closedir(directory);
    return ret_name[0] != 0;
}

bool wr_aside_newest(const struct wr_store *store, char ret_name[WR_ASIDE_NAME_BYTES]) {
    return newest(store, false, ret_name);
}

bool wr_aside_last(const struct wr_store *store, char ret_name[WR_ASIDE_NAME_BYTES]) {
    return newest(store, true, ret_name);
}

bool wr_aside_is_newer(const char *name) {
    return begins(name, NEWER);
}

bool wr_aside_shrink_oldest(const struct wr_store *store, unsigned keep) {
    return shrink_oldest(store, keep, "");
}

/* A name that nobody has, and that is later than all others: where the clock is behind it has their second. */
static enum wr_result new_name(const struct wr_store *store, const char *prefix, int64_t wall_s, char name[WR_ASIDE_NAME_BYTES]) {
    long number = -1; /* the highest there is; 0: without one */
    if (newest(store, true, name)) {
        char *rest;
        const long long seconds = strtoll(stamp_of(name), &rest, 10);
        number = seconds >= wall_s ? -strtol(rest, NULL, 10) : number;
        wall_s = seconds >= wall_s ? seconds : wall_s;
    }
    snprintf(name, WR_ASIDE_NAME_BYTES, "%s%lld", prefix, (long long)wall_s);
    DIR *directory = opendir(store->directory);
    if (!directory)
        return WR_IO;
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        const char *rest = entry->d_name + strlen(name);
        if (!begins(entry->d_name, name) || (*rest != '-' && *rest != 0))
            continue;
        const long taken = *rest == '-' ? strtol(rest + 1, NULL, 10) : 0; /* -wal has none */
        number = taken > number ? taken : number;
    }
    closedir(directory);
    if (number >= 0)
        snprintf(name + strlen(name), WR_ASIDE_NAME_BYTES - strlen(name), "-%ld", number + 1);
    return WR_OK;
}

bool wr_aside_has_room(const struct wr_store *store) {
    char oldest[256];
    return look(store, "", oldest) < WR_ASIDE_KEEP;
}

/* The database last: until then it is known as what it is. */
static enum wr_result remove_blank(const struct wr_store *store, struct wr_error *err) {
    char path[PATH_BYTES];
    for (size_t i = 0; i <= N_PARTS; i++) {
        const char *part = i < N_PARTS ? parts[i] : "";
        if (join(store, WR_STORE_FILE, part, path) && unlink(path) != 0 && errno != ENOENT)
            return wr_error_set(err, WR_IO, "cannot remove %s%s, which is empty: %s", store->file, part, strerror(errno));
    }
    return WR_OK;
}

/* Neither WAL nor first page must ever be used with another database. */
static void rename_parts(const struct wr_store *store, const char *name) {
    char from[PATH_BYTES];
    char to[PATH_BYTES];
    for (size_t i = 0; i < N_PARTS; i++)
        if (join(store, WR_STORE_FILE, parts[i], from) && (!join(store, name, parts[i], to) || rename(from, to) != 0))
            (void)unlink(from);
}

void wr_aside_finish(const struct wr_store *store) {
    char name[WR_ASIDE_NAME_BYTES];
    char marker[PATH_BYTES];
    char to[PATH_BYTES];
    const ssize_t len = join(store, WR_STORE_FILE, MARKER, marker) ? readlink(marker, name, sizeof name - 1) : -1;
    if (len < 0)
        return;
    name[len] = 0;
    const bool is_name = (begins(name, CORRUPT) || begins(name, NEWER)) && !strchr(name, '/') && join(store, name, "", to);
    if (is_name && (access(to, F_OK) == 0 || rename(store->file, to) == 0))
        rename_parts(store, name);
    (void)unlink(marker);
}

enum wr_result wr_aside_put(const struct wr_store *store, bool newer, const struct wr_now *now, char ret_name[WR_ASIDE_NAME_BYTES],
                            struct wr_error *err) {
    char name[WR_ASIDE_NAME_BYTES];
    char marker[PATH_BYTES];
    char to[PATH_BYTES];
    ret_name[0] = 0;
    if (!newer && wr_reopen_is_blank(store))
        return remove_blank(store, err);
    if (new_name(store, newer ? NEWER : CORRUPT, now->wall_ns / WR_NS_PER_S, name) != WR_OK || !join(store, name, "", to) ||
        !join(store, WR_STORE_FILE, MARKER, marker))
        return wr_error_set(err, WR_IO, "cannot rename %s aside: %s", store->file, strerror(errno));
    (void)!symlink(name, marker); /* where it cannot be a kill costs what it did */
    if (rename(store->file, to) != 0) {
        (void)wr_error_set(err, WR_IO, "cannot rename %s to %s: %s", store->file, name, strerror(errno));
        (void)unlink(marker);
        return WR_IO;
    }
    rename_parts(store, name);
    (void)unlink(marker);
    while (!newer && shrink_oldest(store, WR_ASIDE_KEEP, name)) { /* not this one, in any case */
    }
    snprintf(ret_name, WR_ASIDE_NAME_BYTES, "%s", name);
    return WR_OK;
}
