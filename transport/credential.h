/* Small secret files, read whole: passwords, keys, certificates.
 *
 * Promise: the bytes are followed by a NUL that is not counted, lie in memory once, and are wiped when freed. No text names their content.
 * Threads: any. Ownership: the caller's, until wr_credential_free. Errors: the path and the cause.
 */
#ifndef WEIR_TRANSPORT_CREDENTIAL_H
#define WEIR_TRANSPORT_CREDENTIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/result.h"

struct wr_credential {
    uint8_t *data; /* NULL: none */
    size_t len;
};

/* WR_NOT_FOUND, WR_DENIED, WR_IO, WR_LIMIT above max bytes, WR_INVALID for an empty file or one that is not regular. */
WR_MUST_USE enum wr_result wr_credential_read(const char *path, size_t max, struct wr_credential *ret_credential, struct wr_error *err);
/* Takes one newline (or CR LF) off the end: editors put it there, passwords have none. */
void wr_credential_trim(struct wr_credential *credential);
bool wr_credential_equal(const struct wr_credential *a, const struct wr_credential *b);
void wr_credential_free(struct wr_credential *credential);

#endif
