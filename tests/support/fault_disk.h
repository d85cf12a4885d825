/* What lies on a disk and what is only on its way there: the memory behind fault_vfs.h, without SQLite.
 *
 * Each file has two images: `now`, which readers see, and `disk`, which a power cut leaves. Between them stands one log of the writes of all
 * files, in their order, cut at pages of 4096 bytes: a sync of a file applies its entries to `disk`.
 *
 * Threads: one. Memory comes from aligned_alloc, which failing.h does not make fail. */
#ifndef WEIR_TESTS_SUPPORT_FAULT_DISK_H
#define WEIR_TESTS_SUPPORT_FAULT_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/support/fault_vfs.h"
#include "tests/support/random.h"

#define WR_FAULT_NAME_BYTES 512

struct wr_fault_image {
    uint8_t *bytes;
    uint64_t len;
    uint64_t room;
};

struct wr_fault_file {
    char name[WR_FAULT_NAME_BYTES];
    bool used;
    bool removed;         /* but its name is still on the disk */
    bool named;           /* its name is on the disk */
    bool syncs_directory; /* with its first sync, as SQLite does for a journal that it made */
    struct wr_fault_image now;
    struct wr_fault_image disk;
    unsigned readers; /* that hold a lock of any strength */
    int strongest;    /* lock */
};

/* A write that is not on the disk. */
struct wr_fault_entry {
    uint32_t file;
    bool truncate; /* at `at` */
    bool lost;     /* by a sync that failed: no sync writes it */
    uint32_t len;
    uint64_t at;
    uint8_t *bytes;
};

struct wr_fault_disk {
    struct wr_fault_file files[WR_FAULT_FILES];
    struct wr_fault_entry *log;
    size_t n_log;
    size_t room_log;
    struct wr_random dice;
    uint64_t life; /* goes up with every power cut */
};

void wr_fault_disk_init(struct wr_fault_disk *disk, uint64_t seed);
void wr_fault_disk_copy(struct wr_fault_disk *disk, const struct wr_fault_disk *other);
void wr_fault_disk_fini(struct wr_fault_disk *disk);

/* NULL: there is none. */
struct wr_fault_file *wr_fault_disk_find(struct wr_fault_disk *disk, const char *name);
struct wr_fault_file *wr_fault_disk_find_ending(struct wr_fault_disk *disk, const char *ending);
/* NULL: too many files. */
struct wr_fault_file *wr_fault_disk_create(struct wr_fault_disk *disk, const char *name, bool syncs_directory);
void wr_fault_disk_remove(struct wr_fault_disk *disk, struct wr_fault_file *file, bool sync);

uint64_t wr_fault_disk_size(const struct wr_fault_file *file);
/* False: the file is too short, what is missing is zero. */
bool wr_fault_disk_read(const struct wr_fault_file *file, void *into, uint64_t len, uint64_t at);
void wr_fault_disk_write(struct wr_fault_disk *disk, struct wr_fault_file *file, const void *from, uint64_t len, uint64_t at);
void wr_fault_disk_truncate(struct wr_fault_disk *disk, struct wr_fault_file *file, uint64_t len);
void wr_fault_disk_sync(struct wr_fault_disk *disk, struct wr_fault_file *file);
void wr_fault_disk_sync_lost(struct wr_fault_disk *disk, struct wr_fault_file *file);
/* All files, if this one ended there. */
uint64_t wr_fault_disk_bytes_with(const struct wr_fault_disk *disk, const struct wr_fault_file *file, uint64_t end);

/* SQLite's lock levels, 0 to 4. *mine is what this handle holds. False: somebody else is in the way. */
bool wr_fault_disk_lock(struct wr_fault_file *file, int *mine, int level);
void wr_fault_disk_unlock(struct wr_fault_file *file, int *mine, int level);

/* Power cut and power back: the log becomes what the disk kept of it, and all locks are gone. */
void wr_fault_disk_settle(struct wr_fault_disk *disk, enum wr_fault_kept kept);

#endif
