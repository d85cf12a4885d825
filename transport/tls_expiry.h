/* When a certificate file expires: for metrics and alarms, without a connection.
 *
 * Promise: the earliest end of all certificates of the file, so an intermediate that ends first counts.
 * Threads: any. Errors: those of wr_credential_read, WR_INVALID for what does not parse; the path is named.
 */
#ifndef WEIR_TRANSPORT_TLS_EXPIRY_H
#define WEIR_TRANSPORT_TLS_EXPIRY_H

#include <stdint.h>

#include "core/result.h"

WR_MUST_USE enum wr_result wr_tls_expiry(const char *path, int64_t *ret_wall_ns, struct wr_error *err);

#endif
