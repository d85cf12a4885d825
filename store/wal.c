/* The write-ahead log as a file: how long it is, and writing it once more at the start.
 *
 * Why once more: a sync that fails has forgotten what it should have written (Linux: the pages count as clean), but readers still see it. When the
 * next owner of the store finds such frames in the WAL, SQLite takes them for committed and appends behind them; every later sync says yes.
 * After a power cut the WAL ends in front of the frames that never reached the disk, and all that was committed behind them is lost.
 * Written again, they are dirty again, and the sync that follows speaks the truth. */
#include <stdlib.h>
#include <string.h>

#include "store/store_private.h"

#define HEADER_BYTES 32
#define FRAME_HEADER_BYTES 24
#define FRAME_BYTES_MAX (FRAME_HEADER_BYTES + WR_STORE_PAGE_BYTES_MAX)
#define PAGE_IN_HEADER 8 /* bytes of a page, the high byte first */
#define SALT_BYTES 8
#define SALT_IN_HEADER 16
#define SALT_IN_FRAME 8
#define COMMIT_IN_FRAME 4 /* pages of the database after it; 0: no commit */

/* Asked of the VFS: the file need not be one of the system. NULL: there is none. */
static sqlite3_file *wal_of(sqlite3 *db) {
    sqlite3_file *wal = NULL;
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) != SQLITE_OK || !wal || !wal->pMethods)
        return NULL;
    return wal;
}

int64_t wr_wal_bytes(sqlite3 *db) {
    sqlite3_file *wal = wal_of(db);
    sqlite3_int64 bytes = 0;
    return wal && wal->pMethods->xFileSize(wal, &bytes) == SQLITE_OK ? bytes : 0;
}

/* Where the last commit ends. Frames of this round of the WAL carry its salt; those behind them are of an earlier one, and those of a transaction
 * that was rolled back have no commit. */
static int committed_bytes(sqlite3_file *wal, int64_t len, int frame_bytes, const uint8_t header[HEADER_BYTES], int64_t *ret_end) {
    static const uint8_t no_commit[4] = {0};
    *ret_end = HEADER_BYTES;
    for (int64_t at = HEADER_BYTES; at + frame_bytes <= len; at += frame_bytes) {
        uint8_t head[FRAME_HEADER_BYTES];
        int code = wal->pMethods->xRead(wal, head, FRAME_HEADER_BYTES, at);
        if (code != SQLITE_OK)
            return code;
        if (memcmp(head + SALT_IN_FRAME, header + SALT_IN_HEADER, SALT_BYTES) != 0)
            break;
        if (memcmp(head + COMMIT_IN_FRAME, no_commit, sizeof no_commit) != 0)
            *ret_end = at + frame_bytes;
    }
    return SQLITE_OK;
}

static int frame_bytes_of(const uint8_t header[HEADER_BYTES]) {
    return FRAME_HEADER_BYTES + (header[PAGE_IN_HEADER + 2] << 8 | header[PAGE_IN_HEADER + 3]);
}

static int write_again(sqlite3_file *wal, int64_t len, uint8_t frame[FRAME_BYTES_MAX]) {
    uint8_t header[HEADER_BYTES];
    int64_t end = 0;
    int code = wal->pMethods->xRead(wal, header, HEADER_BYTES, 0);
    const int frame_bytes = code == SQLITE_OK ? frame_bytes_of(header) : 0;
    if (code == SQLITE_OK && (frame_bytes <= FRAME_HEADER_BYTES || frame_bytes > FRAME_BYTES_MAX))
        return SQLITE_OK; /* no WAL: SQLite sees none either */
    if (code == SQLITE_OK)
        code = committed_bytes(wal, len, frame_bytes, header, &end);
    if (code == SQLITE_OK)
        code = wal->pMethods->xWrite(wal, header, HEADER_BYTES, 0);
    for (int64_t at = HEADER_BYTES; code == SQLITE_OK && at < end; at += frame_bytes) {
        code = wal->pMethods->xRead(wal, frame, frame_bytes, at);
        if (code == SQLITE_OK)
            code = wal->pMethods->xWrite(wal, frame, frame_bytes, at);
    }
    return code == SQLITE_OK ? wal->pMethods->xSync(wal, SQLITE_SYNC_NORMAL) : code;
}

enum wr_result wr_wal_refresh(sqlite3 *db, struct wr_error *err) {
    int64_t pages;
    WR_TRY(wr_sql_integer(db, "PRAGMA page_count", &pages, err)); /* opens the WAL */
    sqlite3_file *wal = wal_of(db);
    sqlite3_int64 len = 0;
    if (!wal)
        return WR_OK;
    int code = wal->pMethods->xFileSize(wal, &len);
    if (code == SQLITE_OK && len < HEADER_BYTES)
        return WR_OK;
    uint8_t *frame = malloc(FRAME_BYTES_MAX);
    if (!frame)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a frame of the WAL");
    if (code == SQLITE_OK)
        code = write_again(wal, len, frame);
    free(frame);
    return code == SQLITE_OK ? WR_OK : wr_sql_failed(NULL, code, "writing the WAL again", err);
}
