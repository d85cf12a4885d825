/* The files of a node's identity: key and certificate as the config names them, and what waits beside the key while a new certificate is asked for:
 *   KEY.new   the new private key, mode 0600    KEY.csr   the request for its certificate
 *
 * Promise: a new key touches nothing that is in use. One that waits already is used again, so asking twice gives the same request. A certificate is installed only after it was found to be
 * for the key that waits (or for the one in use: a renewal), within its dates, and of the CA where one is given. Each file changes as a whole. Between the certificate and
 * the key there is a moment, in which the process may be killed or the power fail: the pair is whole nevertheless, for TLS takes KEY.new when it is the right one
 * (transport/tls.h), and whatever is done here next finishes it first.
 * A key belongs to whom the key in use belongs; the first one, made by root, to the owner of the store: so the agent can read it. A key that everybody can read is not used.
 *
 * Threads: one process at a time; a second one fails at worst. Ownership: the paths are the caller's. Errors: WR_DENIED with why; those of wr_file_write, wr_credential_read and
 * transport/identity.h.
 */
#ifndef WEIR_AGENT_PROCESS_IDENTITY_FILES_H
#define WEIR_AGENT_PROCESS_IDENTITY_FILES_H

#include <limits.h>
#include <stdbool.h>

#include "core/file.h"
#include "transport/identity.h"

struct wr_identity_files {
    const char *cert;
    const char *key;
    char next_key[PATH_MAX];
    char request[PATH_MAX];
    struct wr_file_form secret; /* of keys */
};

/* store: where the agent keeps its data; need not be there. WR_INVALID: no two files; WR_LIMIT: a path is too long. */
WR_MUST_USE enum wr_result wr_identity_files_init(struct wr_identity_files *files, const char *cert, const char *key, const char *store,
                                                  struct wr_error *err);

/* Sees to it that a key waits, and puts the request beside it, which is appended to `request` as well. *ret_made: it is a new one. */
WR_MUST_USE enum wr_result wr_identity_files_ask(struct wr_identity_files *files, const char *node, const char *site,
                                                 struct wr_buf *request, bool *ret_made, struct wr_error *err);

/* Shows the certificate to whom it is for, before anything is replaced. cert: a file of it, for as long as the call takes; its key is files->key, or the one that waits. Anything but
 * WR_OK: it is not installed. */
struct wr_identity_proof {
    enum wr_result (*prove)(void *user, const char *cert, struct wr_error *err);
    void *user;
};

/* ca without data: none; proof NULL: none. After WR_OK the new pair is in place, and nothing waits any more. After a failure the old one is, or the new one. */
WR_MUST_USE enum wr_result wr_identity_files_install(struct wr_identity_files *files, const struct wr_credential *cert,
                                                     const struct wr_credential *ca, const struct wr_now *now,
                                                     const struct wr_identity_proof *proof, struct wr_identity_facts *ret_facts,
                                                     struct wr_error *err);

#endif
