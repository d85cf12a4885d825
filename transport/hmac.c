#include "transport/hmac.h"

#include <stdio.h>

#include <mbedtls/md.h>

#define SHA256_BYTES 32

enum wr_result wr_hmac_sha256(const void *key, size_t key_len, const struct wr_hmac_part *parts, size_t n, char ret_hex[WR_HMAC_HEX_BYTES],
                              struct wr_error *err) {
    unsigned char digest[SHA256_BYTES];
    mbedtls_md_context_t md;
    mbedtls_md_init(&md);
    int failed = mbedtls_md_setup(&md, mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), 1);
    if (failed == 0)
        failed = mbedtls_md_hmac_starts(&md, key, key_len);
    for (size_t i = 0; i < n && failed == 0; i++)
        failed = mbedtls_md_hmac_update(&md, parts[i].bytes, parts[i].len);
    if (failed == 0)
        failed = mbedtls_md_hmac_finish(&md, digest);
    mbedtls_md_free(&md);
    if (failed != 0)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a signature");
    for (size_t i = 0; i < SHA256_BYTES; i++)
        (void)snprintf(ret_hex + 2 * i, 3, "%02x", digest[i]);
    return WR_OK;
}
