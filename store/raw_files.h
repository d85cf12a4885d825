/* The files of kept raw readings, for whoever reads them: segments of kind 4, one after the other, in DIRECTORY/raw/NNNNNNNN.weir.
 *
 * Promise: what a writer has not finished (a torn end after a power cut) is not seen; a damaged segment is told by its CRC; where a length is damaged the rest of that
 * file is not seen. Nothing is changed. A file may go while it is read: WR_NOT_FOUND.
 *
 * Segments have seqs of their own: the bit WR_RAW_SEQ, the number of the file, the byte that it begins at.
 * Threads: any; the writer (store/raw_log.h) may append meanwhile. Ownership: bodies are the caller's. Limits: WR_RAW_FILES files.
 */
#ifndef WEIR_STORE_RAW_FILES_H
#define WEIR_STORE_RAW_FILES_H

#include "store/codec.h"
#include "store/history.h"

#define WR_RAW_DIRECTORY "raw"
#define WR_RAW_FILES 256
#define WR_RAW_FILE_NUMBER_MAX ((UINT32_C(1) << 26) - 1)
#define WR_RAW_PATH_BYTES 4096

#define WR_RAW_SEQ (INT64_C(1) << 55)
#define WR_RAW_OFFSET_BITS 24

static inline int64_t wr_raw_seq(uint32_t number, uint64_t offset) {
    return WR_RAW_SEQ | (int64_t)number << WR_RAW_OFFSET_BITS | (int64_t)offset;
}
static inline bool wr_raw_is_seq(int64_t seq) {
    return seq >= WR_RAW_SEQ;
}
static inline uint32_t wr_raw_seq_number(int64_t seq) {
    return (uint32_t)((seq & ~WR_RAW_SEQ) >> WR_RAW_OFFSET_BITS);
}
static inline uint64_t wr_raw_seq_offset(int64_t seq) {
    return (uint64_t)seq & ((UINT64_C(1) << WR_RAW_OFFSET_BITS) - 1);
}

/* False: the path is too long. */
bool wr_raw_files_path(char path[WR_RAW_PATH_BYTES], const char *directory, uint32_t number);
/* The numbers of the files that there are, ascending; of more than WR_RAW_FILES the newest. None is fine. */
uint32_t wr_raw_files_list(const char *directory, uint32_t numbers[WR_RAW_FILES]);
/* The header of the segment that begins at this byte of a file; false: there is none. */
bool wr_raw_files_head(int fd, uint64_t offset, struct wr_codec_header *ret_header);

struct wr_heads; /* store/heads.h */

/* As wr_store_heads and wr_store_get, of the readings kept in the store of this directory. times NULL: they stay as they stand in the bodies. */
WR_MUST_USE enum wr_result wr_raw_files_heads(const char *directory, struct wr_heads *times, struct wr_history_walk *walk,
                                              struct wr_segment_head *heads, uint32_t *ret_n, struct wr_error *err);
WR_MUST_USE enum wr_result wr_raw_files_body(const char *directory, int64_t seq, struct wr_segment *ret_segment, struct wr_error *err);

#endif
