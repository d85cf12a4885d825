/* The first page of the database, kept a second time in a file beside it.
 *
 * Without it SQLite knows neither the tables nor where they begin, though all of them may be whole. What changes in it with use is told by the file
 * itself (its length), or not needed for reading (free pages); the rest changes with the schema only. So the copy is written when there is none that
 * has the same tables: with a fresh store, and after they have changed. As long as such a page is in the write-ahead log only it is due, and looked for after
 * each commit. It is no promise: where it cannot be written there is none. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/aside.h"
#include "store/store_private.h"

#define PATH_BYTES 4096
#define HEADER_BYTES 100
#define PAGE_BYTES_AT 16 /* the high byte first */
#define SIZE_AT 28       /* pages of the database: 0, as the length of the file says */
#define FREE_PAGES_AT 32 /* the first one, and how many: none */
static const char magic[16] = "SQLite format 3";

/* 0: no page of ours. */
static uint32_t size_of(const uint8_t page[WR_STORE_PAGE_BYTES_MAX]) {
    const uint32_t bytes = (uint32_t)page[PAGE_BYTES_AT] << 8 | page[PAGE_BYTES_AT + 1];
    const bool good = memcmp(page, magic, sizeof magic) == 0 && (bytes == WR_STORE_PAGE_BYTES || bytes == WR_STORE_PAGE_BYTES_MAX);
    return good ? bytes : 0;
}

/* Returns its size; 0: it cannot be read. */
static uint32_t read_page(const char *path, uint8_t page[WR_STORE_PAGE_BYTES_MAX]) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    const ssize_t got = pread(fd, page, WR_STORE_PAGE_BYTES_MAX, 0);
    close(fd);
    const uint32_t bytes = got >= HEADER_BYTES ? size_of(page) : 0;
    return got >= (ssize_t)bytes ? bytes : 0;
}

/* Whatever it holds. */
static bool read_raw(const char *path, uint8_t *bytes, uint32_t n) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    const ssize_t got = pread(fd, bytes, n, 0);
    close(fd);
    return got == (ssize_t)n;
}

static bool write_page(const char *path, int flags, const uint8_t *page, uint32_t bytes) {
    int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0640);
    if (fd < 0)
        return false;
    const bool good = pwrite(fd, page, bytes, 0) == (ssize_t)bytes && fdatasync(fd) == 0;
    return (close(fd) == 0) & good;
}

static bool copy_of(const char *file, char path[PATH_BYTES]) {
    return (size_t)snprintf(path, PATH_BYTES, "%s" WR_PAGE_ONE, file) < PATH_BYTES;
}

/* What a schema says, and where its tables begin. A page without tables is one whose WAL has not reached the file yet. */
static bool is_worth_keeping(const uint8_t *page) {
    return page[HEADER_BYTES + 3] != 0 || page[HEADER_BYTES + 4] != 0;
}

/* Through SQLite's own descriptor: to close another one of the same file would end its locks (POSIX). */
static bool read_from(const struct wr_store *store, uint8_t page[WR_STORE_PAGE_BYTES_MAX]) {
    sqlite3_file *file = NULL;
    return sqlite3_file_control(store->db, "main", SQLITE_FCNTL_FILE_POINTER, &file) == SQLITE_OK && file && file->pMethods &&
           file->pMethods->xRead(file, page, (int)store->page_bytes, 0) == SQLITE_OK && size_of(page) == store->page_bytes;
}

static void keep(const struct wr_store *store, uint8_t page[WR_STORE_PAGE_BYTES_MAX]) {
    uint8_t kept[WR_STORE_PAGE_BYTES_MAX];
    char path[PATH_BYTES];
    if (!copy_of(store->file, path))
        return;
    memset(page + SIZE_AT, 0, FREE_PAGES_AT + 8 - SIZE_AT);
    if (read_page(path, kept) == store->page_bytes &&
        memcmp(kept + HEADER_BYTES, page + HEADER_BYTES, store->page_bytes - HEADER_BYTES) == 0)
        return;
    if (!write_page(path, O_CREAT | O_TRUNC, page, store->page_bytes))
        (void)unlink(path); /* half a page is worse than none */
}

void wr_page_one_save(struct wr_store *store) {
    uint8_t page[WR_STORE_PAGE_BYTES_MAX];
    store->page_one_due = !read_from(store, page) || !is_worth_keeping(page);
    if (!store->page_one_due)
        keep(store, page);
}

void wr_page_one_look(struct wr_store *store) {
    int in_wal = 0;
    int in_file = 0;
    if (!store->page_one_due)
        return;
    const int code = sqlite3_wal_checkpoint_v2(store->db, "main", SQLITE_CHECKPOINT_PASSIVE, &in_wal, &in_file);
    if (code == SQLITE_OK && in_wal == in_file)
        wr_page_one_save(store);
}

uint32_t wr_page_one_size(const char *file) {
    uint8_t page[WR_STORE_PAGE_BYTES_MAX];
    char path[PATH_BYTES];
    const uint32_t bytes = read_page(file, page);
    return bytes > 0 || !copy_of(file, path) ? bytes : read_page(path, page);
}

bool wr_page_one_is_missed(const char *file) {
    char path[PATH_BYTES];
    struct stat status;
    return stat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_size == 0 && copy_of(file, path) && access(path, F_OK) == 0;
}

enum wr_result wr_page_one_restore(const char *file) {
    uint8_t page[WR_STORE_PAGE_BYTES_MAX];
    char path[PATH_BYTES];
    const uint32_t bytes = copy_of(file, path) ? read_page(path, page) : 0;
    if (bytes == 0)
        return WR_NOT_FOUND;
    return write_page(file, 0, page, bytes) ? WR_OK : WR_IO;
}

enum wr_result wr_page_one_lend(struct wr_store *store, const char *file, uint8_t ret_before[WR_STORE_PAGE_BYTES_MAX]) {
    uint8_t page[WR_STORE_PAGE_BYTES_MAX];
    (void)sqlite3_wal_checkpoint_v2(store->db, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (wr_page_one_size(file) > 0 || !read_from(store, page) || !is_worth_keeping(page) || !read_raw(file, ret_before, store->page_bytes))
        return WR_NOT_FOUND;
    memset(page + SIZE_AT, 0, FREE_PAGES_AT + 8 - SIZE_AT);
    if (write_page(file, 0, page, store->page_bytes))
        return WR_OK;
    wr_page_one_take_back(store, file, ret_before);
    return WR_IO;
}

void wr_page_one_take_back(const struct wr_store *store, const char *file, const uint8_t before[WR_STORE_PAGE_BYTES_MAX]) {
    (void)write_page(file, 0, before, store->page_bytes); /* where that fails too nothing of this file can be written, nor was it */
}
