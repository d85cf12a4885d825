/* The key log: which segments were written, and how far the output files are valid. One file, shared by all instances on one directory.
 *
 * How a batch comes to be there exactly once (the sink of files does 1, 2 and 4):
 *   1. its lines are appended to the output files, and these are synced;
 *   2. under the lock, one record is appended here and synced: the keys, and the new length of each output file. This is the commit;
 *   3. only then is it acknowledged.
 *   4. At a start, and after a failure, every output file is cut back to its length in the last record.
 * So a crash before 2 has written nothing: the lines are cut off, and the broker sends the messages again. A crash behind 2 has written all:
 * the messages come again, their keys are known, they are dropped and acknowledged. A crash inside 2 leaves a record that is not whole: its
 * CRC says so, and it is cut off; that is the first case. Records of others are read under the lock before every batch, so a message that the
 * broker gives to another instance is known there, too.
 *
 * A key is (node, epoch, seq), without the site: the epoch is 64 random bits drawn when a store is made (store/store.h), so two nodes of one name at
 * two sites do not share one; and a node that is moved to another site stays the same stream.
 *
 * `keys` is magic "WEIRKEY1", then records: length (4, little endian), CRC-32C of the payload (4), payload (agent/receive/key_record.h). When it
 * has grown well beyond what it says, it is written anew beside and renamed over; who had it open notices at the next lock. A record that is not
 * whole can only be the last one: whoever appends holds the lock, and mends the tail first. Damage before the tail (a disk that lies) ends the
 * reading with WR_CORRUPT: dropping keys there would double readings in silence.
 *
 * Invariants: K1 the set holds exactly the keys of the records before `offset`; K2 nobody reads or writes the file without the lock.
 *
 * Threads: one at a time; other processes by flock on `lock`: a local file system, or an NFS whose locks work. Ownership: open/close.
 * Limits: those of key_set.h; WR_KEY_LOG_FILES output files of all instances together; a record of WR_KEY_RECORD_BYTES.
 */
#ifndef WEIR_AGENT_RECEIVE_KEY_LOG_H
#define WEIR_AGENT_RECEIVE_KEY_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/receive/key_record.h"
#include "agent/receive/key_set.h"
#include "core/buf.h"
#include "core/result.h"

#define WR_KEY_LOG_FILES 1024
#define WR_KEY_RECORD_BYTES (1u << 20)
#define WR_KEY_LOG_SLACK_BYTES (256u << 10) /* as much may be superfluous before it is written anew */

struct wr_key_log {
    char *directory;
    int directory_fd;
    int lock_fd;
    int fd; /* of `keys`; -1: to be opened at the next lock */
    bool locked;
    uint64_t offset;    /* K1 */
    uint64_t compacted; /* its length when it was last written anew */
    struct wr_key_set set;
    struct wr_key_file *files;
    size_t n_files;
    struct wr_buf buffer;
};

/* Makes the directory (0750) if need be, and reads what is there. WR_CORRUPT, WR_IO, WR_NO_MEMORY, WR_BUSY. */
WR_MUST_USE enum wr_result wr_key_log_open(struct wr_key_log *log, const char *directory, struct wr_error *err);
/* Twice is fine, and after an open that failed. */
void wr_key_log_close(struct wr_key_log *log);

/* Waits at most ten seconds for the others (WR_BUSY), then takes up what they wrote. */
WR_MUST_USE enum wr_result wr_key_log_lock(struct wr_key_log *log, struct wr_error *err);
void wr_key_log_unlock(struct wr_key_log *log);

/* With the lock held. */
bool wr_key_log_has(const struct wr_key_log *log, const struct wr_message_key *key);
/* The last length of a file of this instance and kind; NULL: none yet. */
const struct wr_key_file *wr_key_log_file(const struct wr_key_log *log, const char *instance, enum wr_message_kind kind);
/* Commits keys (in any order) and files together. After a failure nothing was committed, or the next lock finds that it was. */
WR_MUST_USE enum wr_result wr_key_log_commit(struct wr_key_log *log, const struct wr_message_key *keys, size_t n,
                                             const struct wr_key_file *files, size_t n_files, struct wr_error *err);

#endif
