#include "agent/process/identity_files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transport/tls.h"

#define KEY_BYTES 16384
#define SHOWN                                                                                                                              \
    ".shown" /* behind the name of the certificate, while it is shown. Not .new: that may be the very file which is installed, and it is removed */

static const struct wr_file_form PUBLIC = {.mode = 0644, .uid = WR_FILE_KEEP, .gid = (gid_t)WR_FILE_KEEP};

/* -- which files -------------------------------------------------------------------------------------------------------------------------- */

/* Whoever may read the key in use may read the next one, but for everybody. */
static struct wr_file_form form_of_key(const char *key, const char *store) {
    struct wr_file_form form = {.mode = 0600, .uid = WR_FILE_KEEP, .gid = (gid_t)WR_FILE_KEEP};
    char parent[PATH_MAX];
    struct stat found;
    const bool first = stat(key, &found) != 0;
    if (first && (geteuid() != 0 || snprintf(parent, sizeof parent, "%s/..", store) >= (int)sizeof parent ||
                  (stat(store, &found) != 0 && stat(parent, &found) != 0)))
        return form;
    if (!first)
        form.mode |= found.st_mode & S_IRGRP;
    form.uid = found.st_uid;
    form.gid = found.st_gid;
    return form;
}

enum wr_result wr_identity_files_init(struct wr_identity_files *files, const char *cert, const char *key, const char *store,
                                      struct wr_error *err) {
    *files = (struct wr_identity_files){.cert = cert, .key = key, .secret = form_of_key(key, store)};
    if (strcmp(cert, key) == 0)
        return wr_error_set(err, WR_INVALID, "%s: certificate and key are one file, and must be two: each changes by itself", key);
    if (snprintf(files->next_key, sizeof files->next_key, "%s" WR_TLS_NEXT_KEY, key) >= (int)sizeof files->next_key ||
        snprintf(files->request, sizeof files->request, "%s.csr", key) >= (int)sizeof files->request)
        return wr_error_set(err, WR_LIMIT, "%s: the path is too long", key);
    return WR_OK;
}

/* -- reading ------------------------------------------------------------------------------------------------------------------------------ */

/* WR_NOT_FOUND: there is none. */
static enum wr_result read_key(const char *path, struct wr_credential *ret_key, struct wr_error *err) {
    struct stat found;
    if (stat(path, &found) == 0 && (found.st_mode & S_IRWXO) != 0)
        return wr_error_set(
            err, WR_DENIED,
            "%s: everybody on this machine has access to this key: who knows who has read it? Remove it, and make a new one", path);
    return wr_credential_read(path, KEY_BYTES, ret_key, err);
}

/* Whether a certificate is for the key in this file. WR_DENIED: for another; WR_NOT_FOUND: there is no such file. */
static enum wr_result is_for(const struct wr_credential *cert, const char *path, struct wr_error *err) {
    struct wr_credential key = {0};
    WR_TRY(read_key(path, &key, err));
    enum wr_result result = wr_identity_belongs(cert, &key, err);
    wr_credential_free(&key);
    if ((result == WR_INVALID || result == WR_DENIED) && err)
        result = wr_error_wrap(err, "%s", path);
    return result;
}

/* Ends a change that was interrupted: the certificate in use is for the key that waits, and for no other. */
static enum wr_result settle(const struct wr_identity_files *files, struct wr_error *err) {
    struct wr_credential cert = {0};
    if (access(files->next_key, F_OK) != 0 || access(files->cert, F_OK) != 0)
        return WR_OK;
    WR_TRY(wr_credential_read(files->cert, WR_TLS_FILE_BYTES, &cert, err));
    struct wr_error why = {0};
    const enum wr_result waits = is_for(&cert, files->next_key, &why);
    const bool used = waits == WR_OK && is_for(&cert, files->key, NULL) == WR_OK;
    wr_credential_free(&cert);
    if (waits == WR_NO_MEMORY || waits == WR_IO)
        return wr_error_set(err, waits, "%s", why.text);
    if (waits != WR_OK || used)
        return WR_OK; /* what is wrong with either is said where it is needed */
    WR_TRY(wr_file_rename(files->next_key, files->key, err));
    (void)unlink(files->request);
    return WR_OK;
}

/* -- asking ------------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result make_key(const struct wr_identity_files *files, struct wr_credential *ret_key, struct wr_error *err) {
    struct wr_credential key = {0};
    struct wr_file_form form = files->secret;
    form.only_new = true;
    WR_TRY(wr_identity_key_make(&key, err));
    const enum wr_result result = wr_file_write(files->next_key, key.data, key.len, &form, err);
    if (result == WR_OK)
        *ret_key = key;
    else
        wr_credential_free(&key);
    return result;
}

enum wr_result wr_identity_files_ask(struct wr_identity_files *files, const char *node, const char *site, struct wr_buf *request,
                                     bool *ret_made, struct wr_error *err) {
    struct wr_credential key = {0};
    bool made = false;
    WR_TRY(settle(files, err));
    enum wr_result result = read_key(files->next_key, &key, err);
    if (result == WR_NOT_FOUND) {
        made = true;
        result = make_key(files, &key, err);
    }
    const size_t before = request->len;
    if (result == WR_OK && wr_identity_request(&key, node, site, request, err) != WR_OK)
        result = wr_error_wrap(err, "%s", files->next_key);
    wr_credential_free(&key);
    if (result == WR_OK)
        result = wr_file_write(files->request, request->data + before, request->len - before, &PUBLIC, err);
    if (result == WR_OK)
        *ret_made = made;
    return result;
}

/* -- installing --------------------------------------------------------------------------------------------------------------------------- */

/* Of which key it is: the one that waits, else the one in use. */
static enum wr_result find_key(const struct wr_identity_files *files, const struct wr_credential *cert, bool *ret_waits,
                               struct wr_error *err) {
    *ret_waits = true;
    const enum wr_result waits = is_for(cert, files->next_key, err);
    if (waits != WR_NOT_FOUND && waits != WR_DENIED)
        return waits;
    struct wr_error why = {0};
    const enum wr_result used = is_for(cert, files->key, &why);
    *ret_waits = false;
    if (used == WR_OK)
        return WR_OK;
    if (waits == WR_DENIED) /* that is what it should be for */
        return waits;
    if (used == WR_NOT_FOUND)
        return wr_error_set(err, WR_NOT_FOUND, "there is no key that it could be for, neither %s nor %s: 'weir enroll' makes one",
                            files->next_key, files->key);
    return wr_error_set(err, used, "%s", why.text);
}

static enum wr_result prove(const struct wr_identity_files *files, const struct wr_credential *cert, const struct wr_identity_proof *proof,
                            struct wr_error *err) {
    char path[PATH_MAX];
    if (!proof)
        return WR_OK;
    if (snprintf(path, sizeof path, "%s" SHOWN, files->cert) >= (int)sizeof path)
        return wr_error_set(err, WR_LIMIT, "%s: the path is too long", files->cert);
    WR_TRY(wr_file_write(path, cert->data, cert->len, &PUBLIC, err));
    const enum wr_result result = proof->prove(proof->user, path, err);
    (void)unlink(path);
    return result;
}

enum wr_result wr_identity_files_install(struct wr_identity_files *files, const struct wr_credential *cert, const struct wr_credential *ca,
                                         const struct wr_now *now, const struct wr_identity_proof *proof,
                                         struct wr_identity_facts *ret_facts, struct wr_error *err) {
    struct wr_identity_facts facts;
    bool waits;
    WR_TRY(wr_identity_check(cert, ca, now, &facts, err));
    WR_TRY(settle(files, err));
    WR_TRY(find_key(files, cert, &waits, err));
    WR_TRY(prove(files, cert, proof, err));
    WR_TRY(wr_file_write(files->cert, cert->data, cert->len, &PUBLIC, err));
    if (waits)
        WR_TRY(wr_file_rename(files->next_key, files->key, err));
    (void)unlink(files->request);
    *ret_facts = facts;
    return WR_OK;
}
