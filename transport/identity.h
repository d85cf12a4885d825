/* A node's identity: its private key, the request for a certificate (CSR), and whether the certificate that comes back is the one that was asked for.
 *
 * Promise: a key is P-256, drawn from the kernel's random numbers, and leaves only as the PEM text that the caller gets, in memory that is wiped. A request names the node
 * as a client: subject CN=node, OU=site, subjectAltName DNS:node, keyUsage digitalSignature, extendedKeyUsage clientAuth, signed with the key (SHA-256).
 * What wr_identity_check takes would be taken by TLS: every certificate of the file parses, the first one is for the key, none has ended, it may be a client's, and it
 * chains to the CA where one is given.
 *
 * Threads: any. Ownership: texts are the caller's. Limits: those of wr_credential_read. Nothing here reads or writes a file.
 * Errors: WR_INVALID: no PEM of this kind; WR_DENIED: a certificate that does not do, with why; WR_NO_MEMORY; WR_IO: no random numbers; WR_UNSUPPORTED: mbedTLS was
 * built without requests.
 * Source: RFC 2986 (PKCS #10), RFC 5280 4.2.1, RFC 5915 (the key's form).
 */
#ifndef WEIR_TRANSPORT_IDENTITY_H
#define WEIR_TRANSPORT_IDENTITY_H

#include <stdint.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/result.h"
#include "transport/credential.h"

WR_MUST_USE enum wr_result wr_identity_key_make(struct wr_credential *ret_key, struct wr_error *err);
/* Appends PEM. node and site as wr_place_init takes them; site "-" or "": none. */
WR_MUST_USE enum wr_result wr_identity_request(const struct wr_credential *key, const char *node, const char *site, struct wr_buf *into,
                                               struct wr_error *err);

/* WR_DENIED: the certificate is for another key. */
WR_MUST_USE enum wr_result wr_identity_belongs(const struct wr_credential *cert, const struct wr_credential *key, struct wr_error *err);

struct wr_identity_facts {
    char subject[256];       /* "CN=gw-7, OU=riga" */
    char name[65];           /* its CN; "" without one */
    int64_t expires_wall_ns; /* the earliest of the file; WR_NEVER_NS beyond 2262 */
};

/* ca without data: whoever signed it. A start in the future is no error while the wall clock is not trusted. */
WR_MUST_USE enum wr_result wr_identity_check(const struct wr_credential *cert, const struct wr_credential *ca, const struct wr_now *now,
                                             struct wr_identity_facts *ret_facts, struct wr_error *err);

#endif
