#include "tests/support/fault_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PAGE_BYTES 4096
#define ROOM_MIN_BYTES 65536
#define LOCK_SHARED 1
#define LOCK_RESERVED 2
#define LOCK_EXCLUSIVE 4

static void *take_memory(uint64_t bytes) {
    void *memory = aligned_alloc(16, (size_t)(bytes + 15) / 16 * 16);
    assert_non_null(memory);
    return memory;
}

/* Files lie in memory: so their lengths fit. */
static void copy(void *to, const void *from, uint64_t len) {
    memcpy(to, from, (size_t)len);
}

/* Images */

static void image_resize(struct wr_fault_image *image, uint64_t len) {
    if (len > image->room) {
        uint64_t room = image->room ? image->room : ROOM_MIN_BYTES;
        while (room < len)
            room *= 2;
        uint8_t *bytes = take_memory(room);
        if (image->len > 0)
            copy(bytes, image->bytes, image->len);
        free(image->bytes);
        image->bytes = bytes;
        image->room = room;
    }
    if (len > image->len)
        memset(image->bytes + image->len, 0, (size_t)(len - image->len));
    image->len = len;
}

static void image_put(struct wr_fault_image *image, uint64_t at, const uint8_t *bytes, uint64_t len) {
    if (len == 0)
        return;
    if (at + len > image->len)
        image_resize(image, at + len);
    copy(image->bytes + at, bytes, len);
}

static void image_copy(struct wr_fault_image *image, const struct wr_fault_image *other) {
    image_resize(image, other->len);
    if (other->len > 0)
        copy(image->bytes, other->bytes, other->len);
}

static void image_apply(struct wr_fault_image *image, const struct wr_fault_entry *entry) {
    if (entry->truncate)
        image_resize(image, entry->at);
    else
        image_put(image, entry->at, entry->bytes, entry->len);
}

/* The disk */

void wr_fault_disk_init(struct wr_fault_disk *disk, uint64_t seed) {
    *disk = (struct wr_fault_disk){.dice = {seed}, .life = 1};
}

static struct wr_fault_entry *append(struct wr_fault_disk *disk) {
    if (disk->n_log == disk->room_log) {
        size_t room = disk->room_log ? disk->room_log * 2 : 256;
        struct wr_fault_entry *log = take_memory(room * sizeof *log);
        if (disk->n_log > 0)
            memcpy(log, disk->log, disk->n_log * sizeof *log);
        free(disk->log);
        disk->log = log;
        disk->room_log = room;
    }
    return &disk->log[disk->n_log++];
}

static void clear_log(struct wr_fault_disk *disk) {
    for (size_t i = 0; i < disk->n_log; i++)
        free(disk->log[i].bytes);
    disk->n_log = 0;
}

static void clear_file(struct wr_fault_file *file) {
    free(file->now.bytes);
    free(file->disk.bytes);
    memset(file, 0, sizeof *file);
}

void wr_fault_disk_copy(struct wr_fault_disk *disk, const struct wr_fault_disk *other) {
    wr_fault_disk_init(disk, other->dice.state);
    for (uint32_t i = 0; i < WR_FAULT_FILES; i++) {
        disk->files[i] = other->files[i];
        disk->files[i].now = disk->files[i].disk = (struct wr_fault_image){0};
        disk->files[i].readers = 0;
        disk->files[i].strongest = 0;
        image_copy(&disk->files[i].now, &other->files[i].now);
        image_copy(&disk->files[i].disk, &other->files[i].disk);
    }
    for (size_t i = 0; i < other->n_log; i++) {
        struct wr_fault_entry *entry = append(disk);
        *entry = other->log[i];
        entry->bytes = take_memory(entry->len);
        memcpy(entry->bytes, other->log[i].bytes, entry->len);
    }
}

void wr_fault_disk_fini(struct wr_fault_disk *disk) {
    clear_log(disk);
    free(disk->log);
    for (uint32_t i = 0; i < WR_FAULT_FILES; i++)
        clear_file(&disk->files[i]);
}

struct wr_fault_file *wr_fault_disk_find(struct wr_fault_disk *disk, const char *name) {
    for (uint32_t i = 0; i < WR_FAULT_FILES; i++)
        if (disk->files[i].used && !disk->files[i].removed && strcmp(disk->files[i].name, name) == 0)
            return &disk->files[i];
    return NULL;
}

struct wr_fault_file *wr_fault_disk_find_ending(struct wr_fault_disk *disk, const char *ending) {
    for (uint32_t i = 0; i < WR_FAULT_FILES; i++) {
        struct wr_fault_file *file = &disk->files[i];
        size_t len = strlen(file->name);
        if (file->used && !file->removed && len >= strlen(ending) && strcmp(file->name + len - strlen(ending), ending) == 0)
            return file;
    }
    return NULL;
}

struct wr_fault_file *wr_fault_disk_create(struct wr_fault_disk *disk, const char *name, bool syncs_directory) {
    for (uint32_t i = 0; i < WR_FAULT_FILES; i++) {
        struct wr_fault_file *file = &disk->files[i];
        if (file->used)
            continue;
        *file = (struct wr_fault_file){.used = true, .syncs_directory = syncs_directory};
        strncpy(file->name, name, sizeof file->name - 1);
        return file;
    }
    return NULL;
}

static uint32_t number_of(const struct wr_fault_disk *disk, const struct wr_fault_file *file) {
    return (uint32_t)(file - disk->files);
}

/* Takes the entries of a file out of the log; those that are not lost go to the disk, if that is wanted. */
static void drain(struct wr_fault_disk *disk, struct wr_fault_file *file, bool to_disk) {
    size_t kept = 0;
    for (size_t i = 0; i < disk->n_log; i++) {
        struct wr_fault_entry *entry = &disk->log[i];
        if (entry->file != number_of(disk, file) || (to_disk && entry->lost)) {
            disk->log[kept++] = *entry;
            continue;
        }
        if (to_disk)
            image_apply(&file->disk, entry);
        free(entry->bytes); /* NOLINT(clang-analyzer-unix.Malloc): it leaves the log below, which the analyzer cannot see */
    }
    disk->n_log = kept;
}

static void forget(struct wr_fault_disk *disk, struct wr_fault_file *file) {
    drain(disk, file, false);
    clear_file(file);
}

static void sync_directory(struct wr_fault_disk *disk) {
    for (uint32_t i = 0; i < WR_FAULT_FILES; i++) {
        if (disk->files[i].removed)
            forget(disk, &disk->files[i]);
        disk->files[i].named = disk->files[i].used;
    }
}

void wr_fault_disk_remove(struct wr_fault_disk *disk, struct wr_fault_file *file, bool sync) {
    if (file->named)
        file->removed = true;
    else
        forget(disk, file);
    if (sync)
        sync_directory(disk);
}

/* Files */

uint64_t wr_fault_disk_size(const struct wr_fault_file *file) {
    return file->now.len;
}

bool wr_fault_disk_read(const struct wr_fault_file *file, void *into, uint64_t len, uint64_t at) {
    uint64_t there = at < file->now.len ? file->now.len - at : 0;
    if (there > len)
        there = len;
    if (there > 0)
        copy(into, file->now.bytes + at, there);
    memset((uint8_t *)into + there, 0, (size_t)(len - there));
    return there == len;
}

/* A page that is written to again is dirty again, with all that is in it. */
static void find_lost(struct wr_fault_disk *disk, uint32_t file, uint64_t at) {
    for (size_t i = 0; i < disk->n_log; i++)
        if (disk->log[i].file == file && disk->log[i].at / PAGE_BYTES == at / PAGE_BYTES)
            disk->log[i].lost = false;
}

void wr_fault_disk_write(struct wr_fault_disk *disk, struct wr_fault_file *file, const void *from, uint64_t len, uint64_t at) {
    const uint8_t *bytes = from;
    image_put(&file->now, at, bytes, len);
    while (len > 0) {
        uint64_t piece = PAGE_BYTES - at % PAGE_BYTES;
        if (piece > len)
            piece = len;
        find_lost(disk, number_of(disk, file), at);
        struct wr_fault_entry *entry = append(disk);
        *entry = (struct wr_fault_entry){.file = number_of(disk, file), .at = at, .len = (uint32_t)piece, .bytes = take_memory(piece)};
        copy(entry->bytes, bytes, piece);
        bytes += piece;
        at += piece;
        len -= piece;
    }
}

void wr_fault_disk_truncate(struct wr_fault_disk *disk, struct wr_fault_file *file, uint64_t len) {
    image_resize(&file->now, len);
    *append(disk) = (struct wr_fault_entry){.file = number_of(disk, file), .truncate = true, .at = len, .bytes = take_memory(16)};
}

void wr_fault_disk_sync(struct wr_fault_disk *disk, struct wr_fault_file *file) {
    drain(disk, file, true);
    if (file->syncs_directory)
        sync_directory(disk);
    file->syncs_directory = false;
}

void wr_fault_disk_sync_lost(struct wr_fault_disk *disk, struct wr_fault_file *file) {
    for (size_t i = 0; i < disk->n_log; i++)
        disk->log[i].lost |= disk->log[i].file == number_of(disk, file);
}

uint64_t wr_fault_disk_bytes_with(const struct wr_fault_disk *disk, const struct wr_fault_file *file, uint64_t end) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < WR_FAULT_FILES; i++)
        if (disk->files[i].used && !disk->files[i].removed)
            sum += &disk->files[i] == file && end > file->now.len ? end : disk->files[i].now.len;
    return sum;
}

/* Locks */

bool wr_fault_disk_lock(struct wr_fault_file *file, int *mine, int level) {
    if (level <= *mine)
        return true;
    bool owner = *mine >= LOCK_RESERVED;
    unsigned others = file->readers - (*mine >= LOCK_SHARED);
    if (!owner && (file->strongest >= LOCK_EXCLUSIVE || (level >= LOCK_RESERVED && file->strongest >= LOCK_RESERVED)))
        return false;
    if (level >= LOCK_EXCLUSIVE && others > 0)
        return false;
    if (*mine < LOCK_SHARED)
        file->readers++;
    *mine = level;
    if (level > file->strongest)
        file->strongest = level;
    return true;
}

void wr_fault_disk_unlock(struct wr_fault_file *file, int *mine, int level) {
    if (level >= *mine)
        return;
    if (*mine >= LOCK_RESERVED)
        file->strongest = LOCK_SHARED;
    if (level < LOCK_SHARED && --file->readers == 0)
        file->strongest = 0;
    *mine = level;
}

/* Power cut */

static bool coin(struct wr_fault_disk *disk) {
    return wr_random_below(&disk->dice, 2) == 1;
}

/* The writes up to some moment; of the one at that moment only the first bytes. */
static void settle_prefix(struct wr_fault_disk *disk) {
    size_t n = (size_t)wr_random_below(&disk->dice, disk->n_log + 1);
    for (size_t i = 0; i < n; i++)
        image_apply(&disk->files[disk->log[i].file].disk, &disk->log[i]);
    if (n < disk->n_log && !disk->log[n].truncate)
        image_put(&disk->files[disk->log[n].file].disk, disk->log[n].at, disk->log[n].bytes,
                  wr_random_below(&disk->dice, disk->log[n].len + 1));
}

/* A sector on its way: after so many of its writes the power goes. */
struct sector {
    uint32_t writes;
    uint32_t kept;
    bool ended;
};

/* Up to which byte a write of from..to reaches the sector. */
static uint64_t reaches(struct wr_fault_disk *disk, struct sector *sector, uint64_t from, uint64_t to) {
    if (sector->ended)
        return from;
    if (sector->kept > 0) {
        sector->kept--;
        return to;
    }
    sector->ended = true;
    return coin(disk) ? from + wr_random_below(&disk->dice, to - from) : from;
}

/* Cuts a write at sectors. counting: notes that each has one write more; else the write is done as far as it reached them. */
static void by_sector(struct wr_fault_disk *disk, const struct wr_fault_entry *entry, struct sector *sectors, bool counting) {
    uint64_t end = entry->at + entry->len;
    for (uint64_t from = entry->at; from < end;) {
        struct sector *sector = &sectors[from / WR_FAULT_SECTOR_BYTES];
        uint64_t to = (from / WR_FAULT_SECTOR_BYTES + 1) * WR_FAULT_SECTOR_BYTES;
        if (to > end)
            to = end;
        if (counting)
            sector->writes++;
        else
            image_put(&disk->files[entry->file].disk, from, entry->bytes + (from - entry->at), reaches(disk, sector, from, to) - from);
        from = to;
    }
}

static void settle_file(struct wr_fault_disk *disk, uint32_t number) {
    struct wr_fault_image *image = &disk->files[number].disk;
    const uint64_t old_len = image->len;
    uint64_t longest = 0;
    for (size_t i = 0; i < disk->n_log; i++)
        if (disk->log[i].file == number && disk->log[i].at + disk->log[i].len > longest)
            longest = disk->log[i].at + disk->log[i].len;
    const size_t n = (size_t)(longest / WR_FAULT_SECTOR_BYTES) + 1;
    struct sector *sectors = take_memory(n * sizeof *sectors);
    memset(sectors, 0, n * sizeof *sectors);
    for (size_t i = 0; i < disk->n_log; i++)
        if (disk->log[i].file == number)
            by_sector(disk, &disk->log[i], sectors, true);
    for (size_t i = 0; i < n; i++)
        sectors[i].kept = (uint32_t)wr_random_below(&disk->dice, sectors[i].writes + 1);
    for (size_t i = 0; i < disk->n_log; i++) {
        if (disk->log[i].file != number)
            continue;
        if (!disk->log[i].truncate)
            by_sector(disk, &disk->log[i], sectors, false);
        else if (coin(disk))
            image_resize(image, disk->log[i].at);
    }
    free(sectors);
    if (image->len > old_len && coin(disk)) /* the data is there, the new length is not; or the length without the data */
        image_resize(image, coin(disk) || disk->files[number].now.len < image->len ? old_len : disk->files[number].now.len);
}

static void settle_log(struct wr_fault_disk *disk, enum wr_fault_kept kept) {
    for (size_t i = 0; i < disk->n_log && kept == WR_FAULT_ALL; i++)
        image_apply(&disk->files[disk->log[i].file].disk, &disk->log[i]);
    if (kept == WR_FAULT_PREFIX)
        settle_prefix(disk);
    for (uint32_t i = 0; i < WR_FAULT_FILES && kept == WR_FAULT_SECTORS; i++)
        if (disk->files[i].used)
            settle_file(disk, i);
    clear_log(disk);
}

/* New names may be missing, removed ones may be back; never two files of one name. */
static void settle_names(struct wr_fault_disk *disk, enum wr_fault_kept kept) {
    for (uint32_t i = 0; i < WR_FAULT_FILES; i++) {
        struct wr_fault_file *file = &disk->files[i];
        bool by_chance = kept == WR_FAULT_ALL || (kept != WR_FAULT_NOTHING && coin(disk));
        if (file->used && !file->removed && !file->named && !by_chance)
            clear_file(file);
    }
    for (uint32_t i = 0; i < WR_FAULT_FILES; i++) {
        struct wr_fault_file *file = &disk->files[i];
        if (!file->used || !file->removed)
            continue;
        bool gone = kept == WR_FAULT_ALL || (kept != WR_FAULT_NOTHING && coin(disk));
        if (gone || wr_fault_disk_find(disk, file->name))
            clear_file(file);
        else
            file->removed = false;
    }
}

void wr_fault_disk_settle(struct wr_fault_disk *disk, enum wr_fault_kept kept) {
    settle_log(disk, kept);
    settle_names(disk, kept);
    for (uint32_t i = 0; i < WR_FAULT_FILES; i++) {
        struct wr_fault_file *file = &disk->files[i];
        if (!file->used)
            continue;
        image_copy(&file->now, &file->disk);
        file->named = true;
        file->syncs_directory = false;
        file->readers = 0;
        file->strongest = 0;
    }
    disk->life++;
}
