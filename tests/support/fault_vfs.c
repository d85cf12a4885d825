#include "tests/support/fault_vfs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "tests/support/fault_disk.h"

struct wr_fault_vfs {
    sqlite3_vfs vfs; /* first: SQLite hands it back */
    char name[32];
    struct wr_fault_disk disk;
    struct wr_fault_plan plan;
    long counted; /* of the plan */
    long calls[16];
    bool hit;
    bool dark; /* the power is off */
    long lie_every;
    long syncs;
    uint64_t limit_bytes;
    uint64_t written_bytes;
    const struct wr_fault_file *bad; /* has bad bytes; NULL: none has */
    uint64_t bad_from;
    uint64_t bad_to;
    const bool *bad_pages; /* NULL: from bad_from to bad_to */
    uint64_t n_bad_pages;
    uint64_t bad_page_bytes;
    const struct wr_fault_file *watched; /* NULL: none is */
    bool *seen;                          /* its pages */
    uint64_t n_seen;
    uint64_t page_bytes;
};

/* An open file: what SQLite sees. */
struct handle {
    sqlite3_file base;
    struct wr_fault_vfs *owner;
    struct wr_fault_file *file;
    uint64_t life; /* of the disk, when it was opened */
    int lock;
    bool keeps_wal;
};

static struct wr_fault_vfs *of(sqlite3_vfs *vfs) {
    return (struct wr_fault_vfs *)vfs;
}

/* Counting and failing */

static void count(struct wr_fault_vfs *owner, enum wr_fault_call call) {
    for (int i = 0; i < 16; i++)
        owner->calls[i] += ((unsigned)call >> i & 1) != 0;
}

/* What happens to this call; WR_FAULT_NONE: it is done. */
static enum wr_fault_kind fate(struct wr_fault_vfs *owner, enum wr_fault_call call) {
    if (owner->dark)
        return WR_FAULT_EIO;
    count(owner, call);
    if (owner->plan.at < 0 || (owner->plan.calls & (unsigned)call) == 0)
        return WR_FAULT_NONE;
    long number = owner->counted++;
    if (number != owner->plan.at && (number < owner->plan.at || !owner->plan.for_good))
        return WR_FAULT_NONE;
    owner->hit = true;
    owner->dark = owner->plan.kind == WR_FAULT_CUT;
    return owner->plan.kind;
}

/* The code that SQLite gets for a call that was not done. */
static int code_of(enum wr_fault_kind kind, int io_code) {
    if (kind == WR_FAULT_ENOMEM)
        return SQLITE_IOERR_NOMEM;
    return kind == WR_FAULT_ENOSPC ? SQLITE_FULL : io_code;
}

#define FAIL_AS(owner, call, io_code)                                                                                                      \
    do {                                                                                                                                   \
        enum wr_fault_kind fate_ = fate(owner, call);                                                                                      \
        if (fate_ != WR_FAULT_NONE)                                                                                                        \
            return code_of(fate_, io_code);                                                                                                \
    } while (0)

/* A handle of before the cut is of a machine that is gone. */
static bool stale(const struct handle *handle) {
    return handle->life != handle->owner->disk.life;
}

/* Calls on an open file */

static int do_close(sqlite3_file *base) {
    struct handle *handle = (struct handle *)base;
    if (!stale(handle))
        wr_fault_disk_unlock(handle->file, &handle->lock, SQLITE_LOCK_NONE);
    return SQLITE_OK;
}

static void watch(const struct handle *handle, uint64_t at) {
    const struct wr_fault_vfs *owner = handle->owner;
    if (handle->file == owner->watched && at / owner->page_bytes < owner->n_seen)
        owner->seen[at / owner->page_bytes] = true;
}

static bool touches_bad(const struct wr_fault_vfs *owner, uint64_t at, uint64_t len) {
    if (!owner->bad_pages)
        return at < owner->bad_to && at + len > owner->bad_from;
    for (uint64_t page = at / owner->bad_page_bytes; page < owner->n_bad_pages && page * owner->bad_page_bytes < at + len; page++)
        if (owner->bad_pages[page])
            return true;
    return false;
}

static bool is_bad(const struct handle *handle, uint64_t at, uint64_t len) {
    struct wr_fault_vfs *owner = handle->owner;
    const bool bad = handle->file == owner->bad && touches_bad(owner, at, len);
    owner->hit |= bad;
    return bad;
}

static int do_read(sqlite3_file *base, void *into, int len, sqlite3_int64 at) {
    struct handle *handle = (struct handle *)base;
    if (stale(handle))
        return SQLITE_IOERR_READ;
    FAIL_AS(handle->owner, WR_FAULT_READ, SQLITE_IOERR_READ);
    watch(handle, (uint64_t)at);
    if (is_bad(handle, (uint64_t)at, (uint64_t)len))
        return SQLITE_IOERR_READ;
    return wr_fault_disk_read(handle->file, into, (uint64_t)len, (uint64_t)at) ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int do_write(sqlite3_file *base, const void *from, int len, sqlite3_int64 at) {
    struct handle *handle = (struct handle *)base;
    struct wr_fault_vfs *owner = handle->owner;
    if (stale(handle))
        return SQLITE_IOERR_WRITE;
    uint64_t bytes = (uint64_t)len;
    enum wr_fault_kind kind = fate(owner, WR_FAULT_WRITE);
    if (kind == WR_FAULT_SHORT)
        bytes = bytes / 2;
    else if (kind != WR_FAULT_NONE && (kind != WR_FAULT_CUT))
        return code_of(kind, SQLITE_IOERR_WRITE);
    if (owner->limit_bytes > 0 && wr_fault_disk_bytes_with(&owner->disk, handle->file, (uint64_t)at + bytes) > owner->limit_bytes)
        return SQLITE_FULL;
    wr_fault_disk_write(&owner->disk, handle->file, from, bytes, (uint64_t)at);
    owner->written_bytes += bytes;
    return kind == WR_FAULT_NONE ? SQLITE_OK : SQLITE_IOERR_WRITE;
}

static int do_truncate(sqlite3_file *base, sqlite3_int64 len) {
    struct handle *handle = (struct handle *)base;
    if (stale(handle))
        return SQLITE_IOERR_TRUNCATE;
    FAIL_AS(handle->owner, WR_FAULT_TRUNCATE, SQLITE_IOERR_TRUNCATE);
    wr_fault_disk_truncate(&handle->owner->disk, handle->file, (uint64_t)len);
    return SQLITE_OK;
}

static bool lies(struct wr_fault_vfs *owner) {
    return owner->lie_every > 0 && ++owner->syncs % owner->lie_every == 0;
}

/* A sync that fails has thrown the pages' dirty marks away; at a cut everything is still on its way. */
static int do_sync(sqlite3_file *base, int flags) {
    (void)flags;
    struct handle *handle = (struct handle *)base;
    if (stale(handle))
        return SQLITE_IOERR_FSYNC;
    enum wr_fault_kind kind = fate(handle->owner, WR_FAULT_SYNC);
    switch (kind) {
    case WR_FAULT_NONE:
        if (!lies(handle->owner))
            wr_fault_disk_sync(&handle->owner->disk, handle->file);
        return SQLITE_OK;
    case WR_FAULT_EIO:
    case WR_FAULT_SHORT:
    case WR_FAULT_ENOSPC:
        if (!handle->owner->dark)
            wr_fault_disk_sync_lost(&handle->owner->disk, handle->file);
        return SQLITE_IOERR_FSYNC;
    default:
        return code_of(kind, SQLITE_IOERR_FSYNC);
    }
}

static int do_size(sqlite3_file *base, sqlite3_int64 *ret_len) {
    struct handle *handle = (struct handle *)base;
    if (stale(handle))
        return SQLITE_IOERR_FSTAT;
    FAIL_AS(handle->owner, WR_FAULT_SIZE, SQLITE_IOERR_FSTAT);
    *ret_len = (sqlite3_int64)wr_fault_disk_size(handle->file);
    return SQLITE_OK;
}

static int do_lock(sqlite3_file *base, int level) {
    struct handle *handle = (struct handle *)base;
    if (stale(handle))
        return SQLITE_IOERR_LOCK;
    FAIL_AS(handle->owner, WR_FAULT_LOCK, SQLITE_IOERR_LOCK);
    return wr_fault_disk_lock(handle->file, &handle->lock, level) ? SQLITE_OK : SQLITE_BUSY;
}

static int do_unlock(sqlite3_file *base, int level) {
    struct handle *handle = (struct handle *)base;
    if (!stale(handle))
        wr_fault_disk_unlock(handle->file, &handle->lock, level);
    return SQLITE_OK;
}

static int do_reserved(sqlite3_file *base, int *ret_is) {
    struct handle *handle = (struct handle *)base;
    *ret_is = !stale(handle) && handle->file->strongest >= SQLITE_LOCK_RESERVED;
    return SQLITE_OK;
}

/* Whether the WAL outlives a clean stop is asked of the VFS, as by SQLite's own. */
static int do_control(sqlite3_file *base, int operation, void *argument) {
    struct handle *handle = (struct handle *)base;
    int *value = argument;
    if (operation != SQLITE_FCNTL_PERSIST_WAL)
        return SQLITE_NOTFOUND;
    if (*value < 0)
        *value = handle->keeps_wal;
    else
        handle->keeps_wal = *value != 0;
    return SQLITE_OK;
}

static int sector_size(sqlite3_file *base) {
    (void)base;
    return 4096; /* as SQLite's own says of Linux */
}

static int characteristics(sqlite3_file *base) {
    (void)base;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

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

/* Calls on the directory */

static int do_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *base, int flags, int *ret_flags) {
    struct handle *handle = (struct handle *)base;
    struct wr_fault_vfs *owner = of(vfs);
    handle->base.pMethods = NULL;
    FAIL_AS(owner, WR_FAULT_OPEN, SQLITE_CANTOPEN);
    struct wr_fault_file *file = wr_fault_disk_find(&owner->disk, path);
    if (!file && (flags & SQLITE_OPEN_CREATE) != 0)
        file = wr_fault_disk_create(&owner->disk, path, (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL)) != 0);
    if (!file)
        return SQLITE_CANTOPEN;
    *handle = (struct handle){.base = {&methods}, .owner = owner, .file = file, .life = owner->disk.life};
    if (ret_flags)
        *ret_flags = flags;
    return SQLITE_OK;
}

static int do_delete(sqlite3_vfs *vfs, const char *path, int sync) {
    FAIL_AS(of(vfs), WR_FAULT_DELETE, SQLITE_IOERR_DELETE);
    struct wr_fault_file *file = wr_fault_disk_find(&of(vfs)->disk, path);
    if (!file)
        return SQLITE_IOERR_DELETE_NOENT;
    wr_fault_disk_remove(&of(vfs)->disk, file, sync != 0);
    return SQLITE_OK;
}

static int do_access(sqlite3_vfs *vfs, const char *path, int flags, int *ret_yes) {
    (void)flags;
    FAIL_AS(of(vfs), WR_FAULT_ACCESS, SQLITE_IOERR_ACCESS);
    struct wr_fault_file *file = wr_fault_disk_find(&of(vfs)->disk, path);
    *ret_yes = file && (flags != SQLITE_ACCESS_EXISTS || wr_fault_disk_size(file) > 0); /* as SQLite's own: an empty file is none */
    return SQLITE_OK;
}

static int do_path(sqlite3_vfs *vfs, const char *path, int size, char *ret_path) {
    (void)vfs;
    return snprintf(ret_path, (size_t)size, "%s", path) < size ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int do_random(sqlite3_vfs *vfs, int len, char *bytes) {
    for (int i = 0; i < len; i++)
        bytes[i] = (char)wr_random_u64(&of(vfs)->disk.dice);
    return len;
}

static int do_sleep(sqlite3_vfs *vfs, int us) {
    (void)vfs;
    return us;
}

static int do_time(sqlite3_vfs *vfs, double *ret_days) {
    (void)vfs;
    *ret_days = 2461000.5;
    return SQLITE_OK;
}

static int last_error(sqlite3_vfs *vfs, int size, char *text) {
    (void)vfs, (void)size, (void)text;
    return 0;
}

/* The disk */

static struct wr_fault_vfs *make(void) {
    static unsigned number;
    struct wr_fault_vfs *owner = calloc(1, sizeof *owner);
    assert_non_null(owner);
    snprintf(owner->name, sizeof owner->name, "weir-fault-%u", ++number);
    owner->vfs = (sqlite3_vfs){.iVersion = 1,
                               .szOsFile = sizeof(struct handle),
                               .mxPathname = WR_FAULT_NAME_BYTES - 1,
                               .zName = owner->name,
                               .xOpen = do_open,
                               .xDelete = do_delete,
                               .xAccess = do_access,
                               .xFullPathname = do_path,
                               .xRandomness = do_random,
                               .xSleep = do_sleep,
                               .xCurrentTime = do_time,
                               .xGetLastError = last_error};
    owner->plan.at = -1;
    assert_int_equal(sqlite3_vfs_register(&owner->vfs, 0), SQLITE_OK);
    return owner;
}

struct wr_fault_vfs *wr_fault_vfs_new(uint64_t seed) {
    struct wr_fault_vfs *owner = make();
    wr_fault_disk_init(&owner->disk, seed);
    return owner;
}

struct wr_fault_vfs *wr_fault_vfs_copy(const struct wr_fault_vfs *other) {
    struct wr_fault_vfs *owner = make();
    wr_fault_disk_copy(&owner->disk, &other->disk);
    owner->limit_bytes = other->limit_bytes;
    return owner;
}

void wr_fault_vfs_free(struct wr_fault_vfs *owner) {
    if (!owner)
        return;
    sqlite3_vfs_unregister(&owner->vfs);
    wr_fault_disk_fini(&owner->disk);
    free(owner);
}

const char *wr_fault_vfs_name(const struct wr_fault_vfs *owner) {
    return owner->name;
}

void wr_fault_vfs_default(struct wr_fault_vfs *owner, bool on) {
    assert_int_equal(sqlite3_vfs_register(on ? &owner->vfs : sqlite3_vfs_find("unix"), 1), SQLITE_OK);
}

void wr_fault_vfs_plan(struct wr_fault_vfs *owner, const struct wr_fault_plan *plan) {
    owner->plan = plan ? *plan : (struct wr_fault_plan){.at = -1};
    owner->counted = 0;
    owner->hit = false;
    memset(owner->calls, 0, sizeof owner->calls);
}

bool wr_fault_vfs_hit(const struct wr_fault_vfs *owner) {
    return owner->hit;
}

long wr_fault_vfs_count(const struct wr_fault_vfs *owner, unsigned calls) {
    long sum = 0;
    for (int i = 0; i < 16; i++)
        if (calls >> i & 1)
            sum += owner->calls[i];
    return sum;
}

void wr_fault_vfs_limit(struct wr_fault_vfs *owner, uint64_t bytes) {
    owner->limit_bytes = bytes;
}

uint64_t wr_fault_vfs_bytes(const struct wr_fault_vfs *owner) {
    return wr_fault_disk_bytes_with(&owner->disk, NULL, 0);
}

void wr_fault_vfs_lie(struct wr_fault_vfs *owner, long every) {
    owner->lie_every = every;
    owner->syncs = 0;
}

void wr_fault_vfs_cut(struct wr_fault_vfs *owner) {
    owner->dark = true;
}

void wr_fault_vfs_bad(struct wr_fault_vfs *owner, const char *ending, uint64_t from, uint64_t len) {
    owner->bad = ending ? wr_fault_disk_find_ending(&owner->disk, ending) : NULL;
    owner->bad_from = from;
    owner->bad_to = from + len;
    owner->bad_pages = NULL;
}

void wr_fault_vfs_bad_pages(struct wr_fault_vfs *owner, const char *ending, const bool *bad, uint64_t n_pages, uint64_t page_bytes) {
    owner->bad = wr_fault_disk_find_ending(&owner->disk, ending);
    owner->bad_pages = bad;
    owner->n_bad_pages = n_pages;
    owner->bad_page_bytes = page_bytes;
}

void wr_fault_vfs_watch(struct wr_fault_vfs *owner, const char *ending, bool *seen, uint64_t n_pages, uint64_t page_bytes) {
    owner->watched = wr_fault_disk_find_ending(&owner->disk, ending);
    owner->seen = seen;
    owner->n_seen = n_pages;
    owner->page_bytes = page_bytes;
}

bool wr_fault_vfs_is_dark(const struct wr_fault_vfs *owner) {
    return owner->dark;
}

void wr_fault_vfs_power(struct wr_fault_vfs *owner, enum wr_fault_kept kept) {
    wr_fault_disk_settle(&owner->disk, kept);
    wr_fault_vfs_plan(owner, NULL);
    owner->dark = false;
}

void wr_fault_vfs_put(struct wr_fault_vfs *owner, const char *path, const void *bytes, uint64_t len) {
    struct wr_fault_file *file = wr_fault_disk_create(&owner->disk, path, true);
    assert_non_null(file);
    wr_fault_disk_write(&owner->disk, file, bytes, len, 0);
    wr_fault_disk_sync(&owner->disk, file);
}

void wr_fault_vfs_remove(struct wr_fault_vfs *owner, const char *ending) {
    struct wr_fault_file *file = wr_fault_disk_find_ending(&owner->disk, ending);
    assert_non_null(file);
    wr_fault_disk_remove(&owner->disk, file, true);
}

uint8_t *wr_fault_vfs_file(struct wr_fault_vfs *owner, const char *ending, uint64_t *ret_len) {
    struct wr_fault_file *file = wr_fault_disk_find_ending(&owner->disk, ending);
    if (!file)
        return NULL;
    *ret_len = wr_fault_disk_size(file);
    return file->now.bytes;
}

uint64_t wr_fault_vfs_written(const struct wr_fault_vfs *owner) {
    return owner->written_bytes;
}
