/* HMAC-SHA256: what proves to a receiver that a message comes from somebody who knows the secret.
 *
 * Threads: any; pure. Ownership: nothing is kept. Errors: WR_NO_MEMORY. Source: RFC 2104, FIPS 180-4.
 */
#ifndef WEIR_TRANSPORT_HMAC_H
#define WEIR_TRANSPORT_HMAC_H

#include <stddef.h>
#include <stdint.h>

#include "core/result.h"

#define WR_HMAC_HEX_BYTES 65 /* 64 digits and a NUL */

struct wr_hmac_part {
    const void *bytes;
    size_t len;
};

/* Of the parts, one behind the other, in lower-case hex. */
WR_MUST_USE enum wr_result wr_hmac_sha256(const void *key, size_t key_len, const struct wr_hmac_part *parts, size_t n,
                                          char ret_hex[WR_HMAC_HEX_BYTES], struct wr_error *err);

#endif
