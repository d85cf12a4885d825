/* A disk in memory that fails on demand, as an SQLite VFS: what a test of power cuts and of failing system calls needs.
 *
 * Promise: files behave as on a disk behind a page cache. What was written is read back at once, but is on the disk only after a sync. At a power
 * cut each sector of 512 bytes that was written since may be as it was, as any write left it, or torn: its first bytes new, the others old. So
 * may the length of a file; a new file may have no name yet, a removed one may be back. A sync that fails leaves what it should have written
 * "clean": no later sync writes it either, unless its page is written again (what Linux does). Bytes that nobody wrote to are never changed by
 * a cut: power-safe overwrite, as SQLite assumes too.
 * The same calls with the same seeds do the same.
 *
 * Use: the calls of chosen kinds are counted; the one with number `at` (from 0) fails, or all from there on, or the power is cut there: then
 * every call fails until wr_fault_vfs_power says what the disk kept. Connections of before must be closed, they see errors only.
 *
 * Threads: one. Ownership: the name belongs to the disk; no connection may be open when it is freed.
 * Limits: no shared memory, so WAL works with locking_mode EXCLUSIVE only; WR_FAULT_FILES files.
 */
#ifndef WEIR_TESTS_SUPPORT_FAULT_VFS_H
#define WEIR_TESTS_SUPPORT_FAULT_VFS_H

#include <stdbool.h>
#include <stdint.h>

#define WR_FAULT_FILES 8
#define WR_FAULT_SECTOR_BYTES 512

struct wr_fault_vfs;

enum wr_fault_call {
    WR_FAULT_OPEN = 1,
    WR_FAULT_READ = 2,
    WR_FAULT_WRITE = 4,
    WR_FAULT_SYNC = 8,
    WR_FAULT_TRUNCATE = 16,
    WR_FAULT_DELETE = 32,
    WR_FAULT_SIZE = 64,
    WR_FAULT_LOCK = 128,
    WR_FAULT_ACCESS = 256,
    WR_FAULT_ANY = 511,
};

enum wr_fault_kind {
    WR_FAULT_NONE,
    WR_FAULT_EIO,    /* nothing is done */
    WR_FAULT_SHORT,  /* half of a write is done, then as EIO */
    WR_FAULT_ENOSPC, /* a write, a new file: the disk is full */
    WR_FAULT_ENOMEM, /* the kernel has no memory for the call */
    WR_FAULT_CUT,    /* the power goes; a write or a sync may be done in part */
};

/* What fails. The counter starts at zero with it. */
struct wr_fault_plan {
    enum wr_fault_kind kind;
    unsigned calls; /* enum wr_fault_call, these are counted */
    long at;        /* the first to fail; below 0: none */
    bool for_good;  /* so do all after it, until there is another plan */
};

/* What the disk kept of what was not synced. */
enum wr_fault_kept {
    WR_FAULT_ALL, /* a kill of the process, not of the machine */
    WR_FAULT_NOTHING,
    WR_FAULT_PREFIX,  /* the writes up to some moment, the last one torn */
    WR_FAULT_SECTORS, /* each sector on its own */
};

/* Registers the VFS. Fails the test when there is no memory. */
struct wr_fault_vfs *wr_fault_vfs_new(uint64_t seed);
/* Another disk with the same files, synced or not; no connections, no plan. */
struct wr_fault_vfs *wr_fault_vfs_copy(const struct wr_fault_vfs *disk);
void wr_fault_vfs_free(struct wr_fault_vfs *disk);
/* For sqlite3_open_v2; unique while the disk lives. */
const char *wr_fault_vfs_name(const struct wr_fault_vfs *disk);
/* SQLite's default from now on, for what takes no name; false: the system's own is. */
void wr_fault_vfs_default(struct wr_fault_vfs *disk, bool on);

void wr_fault_vfs_plan(struct wr_fault_vfs *disk, const struct wr_fault_plan *plan); /* NULL: nothing fails */
/* Whether the call that was to fail has come since. */
bool wr_fault_vfs_hit(const struct wr_fault_vfs *disk);
/* How many calls of these kinds there were since the plan was made. */
long wr_fault_vfs_count(const struct wr_fault_vfs *disk, unsigned calls);
/* All files together; 0: no limit. */
void wr_fault_vfs_limit(struct wr_fault_vfs *disk, uint64_t bytes);
/* All files together, as they are now. */
uint64_t wr_fault_vfs_bytes(const struct wr_fault_vfs *disk);

/* Every nth sync from now on says yes and does nothing; 0: none. A test that expects nothing lost must fail with it. */
void wr_fault_vfs_lie(struct wr_fault_vfs *disk, long every);

/* A bad sector: from now on each read that touches one of these bytes of the file fails, and nothing else. The name is matched at the end; NULL: all sectors are good. */
void wr_fault_vfs_bad(struct wr_fault_vfs *disk, const char *ending, uint64_t from, uint64_t len);

/* The same for many sectors: those pages that bad[] says, which must live as long. */
void wr_fault_vfs_bad_pages(struct wr_fault_vfs *disk, const char *ending, const bool *bad, uint64_t n_pages, uint64_t page_bytes);

/* From now on seen[page] is set for each page of the file that is read. The name is matched at the end. */
void wr_fault_vfs_watch(struct wr_fault_vfs *disk, const char *ending, bool *seen, uint64_t n_pages, uint64_t page_bytes);

/* The power goes now. */
void wr_fault_vfs_cut(struct wr_fault_vfs *disk);
bool wr_fault_vfs_is_dark(const struct wr_fault_vfs *disk);
/* The power is back: what was kept is all there is, and on the disk. No plan. */
void wr_fault_vfs_power(struct wr_fault_vfs *disk, enum wr_fault_kept kept);

/* A file with these bytes, on the disk already; there must be none of that name. */
void wr_fault_vfs_put(struct wr_fault_vfs *disk, const char *path, const void *bytes, uint64_t len);
/* The file is gone, also from the disk. No connection may have it open. The name is matched at the end. */
void wr_fault_vfs_remove(struct wr_fault_vfs *disk, const char *ending);
/* The bytes of a file as a reader would see them, until the next call; NULL: no such file. The name is matched at the end. */
uint8_t *wr_fault_vfs_file(struct wr_fault_vfs *disk, const char *ending, uint64_t *ret_len);
/* Bytes written since the disk was made. */
uint64_t wr_fault_vfs_written(const struct wr_fault_vfs *disk);

#endif
