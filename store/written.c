#include "store/written.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGE_BYTES 4096 /* of the system's cache: what it writes is whole */

struct wr_written {
    sqlite3_vfs vfs; /* first: SQLite hands it back */
    sqlite3_vfs *base;
    _Atomic uint64_t *bytes;
    char name[48];
};

/* An open file: what SQLite sees. The file of the layer below lies behind it. */
struct handle {
    sqlite3_file file;
    struct wr_written *owner;
    sqlite3_file *below;
    sqlite3_int64 dirty; /* the page written last since the last sync; -1: none */
};

_Static_assert(sizeof(struct handle) % sizeof(void *) == 0, "what lies behind it is aligned");

static sqlite3_file *below(sqlite3_file *file) {
    return ((struct handle *)file)->below;
}

static int do_close(sqlite3_file *file) {
    return below(file)->pMethods->xClose(below(file));
}

static int do_read(sqlite3_file *file, void *into, int len, sqlite3_int64 at) {
    return below(file)->pMethods->xRead(below(file), into, len, at);
}

static void count(struct handle *handle, int len, sqlite3_int64 at) {
    const sqlite3_int64 first = at / PAGE_BYTES;
    const sqlite3_int64 last = (at + len - 1) / PAGE_BYTES;
    const sqlite3_int64 pages = last - first + (first != handle->dirty);
    atomic_fetch_add_explicit(handle->owner->bytes, (uint64_t)pages * PAGE_BYTES, memory_order_relaxed);
    handle->dirty = last;
}

static int do_write(sqlite3_file *file, const void *from, int len, sqlite3_int64 at) {
    if (len > 0)
        count((struct handle *)file, len, at);
    return below(file)->pMethods->xWrite(below(file), from, len, at);
}

static int do_truncate(sqlite3_file *file, sqlite3_int64 len) {
    return below(file)->pMethods->xTruncate(below(file), len);
}

static int do_sync(sqlite3_file *file, int flags) {
    ((struct handle *)file)->dirty = -1;
    return below(file)->pMethods->xSync(below(file), flags);
}

static int do_size(sqlite3_file *file, sqlite3_int64 *ret_len) {
    return below(file)->pMethods->xFileSize(below(file), ret_len);
}

static int do_lock(sqlite3_file *file, int level) {
    return below(file)->pMethods->xLock(below(file), level);
}

static int do_unlock(sqlite3_file *file, int level) {
    return below(file)->pMethods->xUnlock(below(file), level);
}

static int do_reserved(sqlite3_file *file, int *ret_is) {
    return below(file)->pMethods->xCheckReservedLock(below(file), ret_is);
}

static int do_control(sqlite3_file *file, int operation, void *argument) {
    return below(file)->pMethods->xFileControl(below(file), operation, argument);
}

static int sector_size(sqlite3_file *file) {
    return below(file)->pMethods->xSectorSize(below(file));
}

static int characteristics(sqlite3_file *file) {
    return below(file)->pMethods->xDeviceCharacteristics(below(file));
}

/* Version 1: no shared memory and no mapping. The store wants neither (schema.c: locking_mode, mmap_size). */
static const sqlite3_io_methods methods = {.iVersion = 1,
                                           .xClose = do_close,
                                           .xRead = do_read,
                                           .xWrite = do_write,
                                           .xTruncate = do_truncate,
                                           .xSync = do_sync,
                                           .xFileSize = do_size,
                                           .xLock = do_lock,
                                           .xUnlock = do_unlock,
                                           .xCheckReservedLock = do_reserved,
                                           .xFileControl = do_control,
                                           .xSectorSize = sector_size,
                                           .xDeviceCharacteristics = characteristics};

static sqlite3_vfs *base_of(sqlite3_vfs *vfs) {
    return ((struct wr_written *)vfs)->base;
}

static int do_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *ret_flags) {
    struct handle *handle = (struct handle *)file;
    handle->owner = (struct wr_written *)vfs;
    handle->below = (sqlite3_file *)(handle + 1);
    handle->below->pMethods = NULL;
    handle->dirty = -1;
    const int code = base_of(vfs)->xOpen(base_of(vfs), path, handle->below, flags, ret_flags);
    handle->file.pMethods = handle->below->pMethods ? &methods : NULL;
    return code;
}

static int do_delete(sqlite3_vfs *vfs, const char *path, int sync) {
    return base_of(vfs)->xDelete(base_of(vfs), path, sync);
}

static int do_access(sqlite3_vfs *vfs, const char *path, int flags, int *ret_yes) {
    return base_of(vfs)->xAccess(base_of(vfs), path, flags, ret_yes);
}

static int do_path(sqlite3_vfs *vfs, const char *path, int size, char *ret_path) {
    return base_of(vfs)->xFullPathname(base_of(vfs), path, size, ret_path);
}

static int do_random(sqlite3_vfs *vfs, int len, char *bytes) {
    return base_of(vfs)->xRandomness(base_of(vfs), len, bytes);
}

static int do_sleep(sqlite3_vfs *vfs, int us) {
    return base_of(vfs)->xSleep(base_of(vfs), us);
}

static int do_time(sqlite3_vfs *vfs, double *ret_days) {
    return base_of(vfs)->xCurrentTime(base_of(vfs), ret_days);
}

static int last_error(sqlite3_vfs *vfs, int size, char *text) {
    return base_of(vfs)->xGetLastError ? base_of(vfs)->xGetLastError(base_of(vfs), size, text) : 0;
}

enum wr_result wr_written_new(const char *vfs, _Atomic uint64_t *bytes, struct wr_written **ret_written) {
    if (sqlite3_initialize() != SQLITE_OK)
        return WR_NO_MEMORY;
    sqlite3_vfs *base = sqlite3_vfs_find(vfs);
    if (!base)
        return WR_NOT_FOUND;
    struct wr_written *written = calloc(1, sizeof *written);
    if (!written)
        return WR_NO_MEMORY;
    written->base = base;
    written->bytes = bytes;
    snprintf(written->name, sizeof written->name, "weir-written-%p", (void *)written); /* nobody else has it while this one lives */
    written->vfs = (sqlite3_vfs){.iVersion = 1,
                                 .szOsFile = (int)sizeof(struct handle) + base->szOsFile,
                                 .mxPathname = base->mxPathname,
                                 .zName = written->name,
                                 .xOpen = do_open,
                                 .xDelete = do_delete,
                                 .xAccess = do_access,
                                 .xFullPathname = do_path,
                                 .xRandomness = do_random,
                                 .xSleep = do_sleep,
                                 .xCurrentTime = do_time,
                                 .xGetLastError = last_error};
    if (sqlite3_vfs_register(&written->vfs, 0) != SQLITE_OK) {
        free(written);
        return WR_NO_MEMORY;
    }
    *ret_written = written;
    return WR_OK;
}

const char *wr_written_vfs(const struct wr_written *written) {
    return written->name;
}

void wr_written_free(struct wr_written *written) {
    if (!written)
        return;
    sqlite3_vfs_unregister(&written->vfs);
    free(written);
}
