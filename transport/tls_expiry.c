#include "transport/tls_expiry.h"

#include "transport/credential.h"
#include "transport/tls_private.h"

enum wr_result wr_tls_expiry(const char *path, int64_t *ret_wall_ns, struct wr_error *err) {
    struct wr_credential file = {0};
    WR_TRY(wr_credential_read(path, WR_TLS_FILE_BYTES, &file, err));
    mbedtls_x509_crt chain;
    mbedtls_x509_crt_init(&chain);
    int parsed = mbedtls_x509_crt_parse(&chain, file.data, file.len + 1); /* PEM wants the NUL counted */
    enum wr_result result = parsed == 0 ? WR_OK : parsed == MBEDTLS_ERR_X509_ALLOC_FAILED ? WR_NO_MEMORY : WR_INVALID;
    if (result != WR_OK)
        (void)wr_error_set(err, result, "%s: cannot be parsed as certificates", path);
    int64_t earliest_ns = WR_NEVER_NS;
    for (const mbedtls_x509_crt *cert = &chain; result == WR_OK && cert != NULL; cert = cert->next) {
        int64_t ends_ns = wr_tls_time_ns(&cert->valid_to);
        earliest_ns = ends_ns < earliest_ns ? ends_ns : earliest_ns;
    }
    mbedtls_x509_crt_free(&chain);
    wr_credential_free(&file);
    if (result == WR_OK)
        *ret_wall_ns = earliest_ns;
    return result;
}
