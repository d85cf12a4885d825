/* What really goes to the device: a layer between SQLite and the system that counts the bytes of all writes.
 *
 * SQLite says how many pages it wrote to the WAL, and not what its checkpoints write, which is about as much again. And the system writes whole pages of 4 KiB: the
 * frames of the WAL lie across them, so that a small commit writes its first and its last page once more. Pages are counted, once between two syncs
 * where writes follow one another. Nothing is changed on the way; a write that fails counts as well. The file system's own journal is not seen.
 *
 * Threads: made and freed by the store's thread; SQLite calls it there.
 */
#ifndef WEIR_STORE_WRITTEN_H
#define WEIR_STORE_WRITTEN_H

#include <stdatomic.h>
#include <stdint.h>

#include "core/result.h"

struct wr_written;

/* Over the VFS of this name (NULL: the system's own); adds to *bytes. WR_NOT_FOUND: there is none. WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_written_new(const char *vfs, _Atomic uint64_t *bytes, struct wr_written **ret_written);
/* The name by which databases are opened. */
const char *wr_written_vfs(const struct wr_written *written);
/* No file is open by it any more. NULL is fine. */
void wr_written_free(struct wr_written *written);

#endif
