#include "transport/jws.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <mbedtls/ecdsa.h>
#include <mbedtls/md.h>
#include <mbedtls/pem.h>

#include "core/base64url.h"
#include "transport/credential.h"
#include "transport/tls_private.h"

#define KEY_FILE_BYTES 16384
#define HALF 32 /* bytes of a number of P-256: the signature is r and s, one behind the other */
#define HEADER "{\"alg\":\"ES256\"}"
#define DIGEST_BYTES 32

struct wr_jws_key {
    mbedtls_pk_context pk;
    mbedtls_ecp_group group; /* of P-256 */
    bool is_private;
};

/* -- keys -------------------------------------------------------------------------------------------------------------------------------- */

void wr_jws_key_free(struct wr_jws_key *key) {
    if (!key)
        return;
    mbedtls_pk_free(&key->pk);
    mbedtls_ecp_group_free(&key->group);
    free(key);
}

/* mbedTLS says in its error code, among others, that it had no memory. */
static bool is_memory(int result) {
    return result == MBEDTLS_ERR_PK_ALLOC_FAILED || result == MBEDTLS_ERR_PEM_ALLOC_FAILED || result == MBEDTLS_ERR_MPI_ALLOC_FAILED ||
           result == MBEDTLS_ERR_ECP_ALLOC_FAILED || result == MBEDTLS_ERR_ASN1_ALLOC_FAILED || result == MBEDTLS_ERR_MD_ALLOC_FAILED;
}

static enum wr_result parse(struct wr_jws_key *key, const char *path, const struct wr_credential *file, struct wr_error *err) {
    const int result = key->is_private ? wr_tls_compat_parse_key(&key->pk, file->data, file->len + 1, NULL, 0, wr_tls_random_bytes)
                                       : mbedtls_pk_parse_public_key(&key->pk, file->data, file->len + 1);
    if (is_memory(result))
        return wr_error_set(err, WR_NO_MEMORY, "%s: no memory", path);
    if (result == MBEDTLS_ERR_PK_PASSWORD_REQUIRED)
        return wr_error_set(err, WR_INVALID, "%s: is encrypted; a key without a password is needed", path);
    if (!key->is_private && strstr((const char *)file->data, "PRIVATE KEY"))
        return wr_error_set(err, WR_INVALID,
                            "%s: holds a private key, which must stay with who signs; openssl ec -pubout makes the public one", path);
    if (!key->is_private && result != 0)
        return wr_error_set(err, WR_INVALID, "%s: holds no public key in PEM, as openssl ec -pubout makes it", path);
    if (result != 0)
        return wr_error_set(err, WR_INVALID, "%s: holds no private key in PEM; openssl ecparam -name prime256v1 -genkey -noout makes one",
                            path);
    if (!mbedtls_pk_can_do(&key->pk, MBEDTLS_PK_ECDSA) || mbedtls_pk_ec(key->pk)->WR_TLS_FIELD(grp).id != MBEDTLS_ECP_DP_SECP256R1)
        return wr_error_set(err, WR_INVALID, "%s: is no key on P-256 (prime256v1)", path);
    return mbedtls_ecp_group_load(&key->group, MBEDTLS_ECP_DP_SECP256R1) == 0 ? WR_OK
                                                                              : wr_error_set(err, WR_NO_MEMORY, "%s: no memory", path);
}

static enum wr_result read_key(const char *path, bool is_private, struct wr_jws_key **ret_key, struct wr_error *err) {
    struct wr_credential file;
    WR_TRY(wr_credential_read(path, KEY_FILE_BYTES, &file, err));
    struct wr_jws_key *key = calloc(1, sizeof *key);
    enum wr_result result = key ? WR_OK : wr_error_set(err, WR_NO_MEMORY, "%s: no memory", path);
    if (key) {
        mbedtls_pk_init(&key->pk);
        mbedtls_ecp_group_init(&key->group);
        key->is_private = is_private;
        result = wr_tls_compat_start() == 0 ? parse(key, path, &file, err) : wr_error_set(err, WR_NO_MEMORY, "%s: no memory", path);
    }
    wr_credential_free(&file);
    if (result != WR_OK)
        wr_jws_key_free(key);
    else
        *ret_key = key;
    return result;
}

enum wr_result wr_jws_key_read(const char *path, struct wr_jws_key **ret_key, struct wr_error *err) {
    return read_key(path, false, ret_key, err);
}

enum wr_result wr_jws_private_key_read(const char *path, struct wr_jws_key **ret_key, struct wr_error *err) {
    struct stat stat_of;
    if (stat(path, &stat_of) == 0 && (stat_of.st_mode & S_IRWXO) != 0)
        return wr_error_set(err, WR_DENIED, "%s: everybody on this machine has access to this key: chmod 600", path);
    return read_key(path, true, ret_key, err);
}

/* -- the header ------------------------------------------------------------------------------------------------------------------------------ */

struct words {
    const char *at;
    const char *end;
};

static bool take(struct words *words, char c) {
    while (words->at < words->end && strchr(" \t\r\n", *words->at) && *words->at)
        words->at++;
    if (words->at == words->end || *words->at != c)
        return false;
    words->at++;
    return true;
}

/* A text without escapes, of printable ASCII. */
static bool take_text(struct words *words, struct words *ret_text) {
    if (!take(words, '"'))
        return false;
    ret_text->at = words->at;
    while (words->at < words->end && *words->at >= ' ' && *words->at <= '~' && *words->at != '"' && *words->at != '\\')
        words->at++;
    ret_text->end = words->at;
    return words->at < words->end && *words->at++ == '"';
}

static bool is(struct words text, const char *word) {
    return (size_t)(text.end - text.at) == strlen(word) && memcmp(text.at, word, strlen(word)) == 0;
}

static enum wr_result check_header(const char *header, size_t len, struct wr_error *err) {
    struct words words = {header, header + len}, name, value;
    unsigned n_alg = 0;
    bool more = take(&words, '{'), fits = more;
    while (fits && more) {
        fits = take_text(&words, &name) && take(&words, ':');
        if (fits && is(name, "crit"))
            return wr_error_set(err, WR_INVALID, "the header has crit: extensions are not taken");
        fits = fits && take_text(&words, &value);
        if (fits && is(name, "alg") && (n_alg++ > 0 || !is(value, "ES256")))
            return wr_error_set(err, WR_INVALID, "the header's alg is not ES256, once");
        more = fits && take(&words, ',');
    }
    fits = fits && take(&words, '}') && !take(&words, '}') && words.at == words.end; /* the second one passes over white space */
    if (!fits)
        return wr_error_set(err, WR_INVALID, "the header is no flat JSON object of plain texts");
    return n_alg == 1 ? WR_OK : wr_error_set(err, WR_INVALID, "the header has no alg: ES256 is needed");
}

/* -- verify ---------------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result digest_of(const char *text, size_t len, unsigned char *digest, struct wr_error *err) {
    return mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), (const unsigned char *)text, len, digest) == 0
               ? WR_OK
               : wr_error_set(err, WR_NO_MEMORY, "no memory for a digest");
}

static enum wr_result check_signature(struct wr_jws_key *key, const char *text, size_t len, const uint8_t *signature,
                                      struct wr_error *err) {
    unsigned char digest[DIGEST_BYTES];
    mbedtls_mpi r, s;
    WR_TRY(digest_of(text, len, digest, err));
    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    int failed = mbedtls_mpi_read_binary(&r, signature, HALF);
    if (failed == 0)
        failed = mbedtls_mpi_read_binary(&s, signature + HALF, HALF);
    if (failed == 0)
        failed = mbedtls_ecdsa_verify(&key->group, digest, sizeof digest, &mbedtls_pk_ec(key->pk)->WR_TLS_FIELD(Q), &r, &s);
    mbedtls_mpi_free(&r);
    mbedtls_mpi_free(&s);
    if (is_memory(failed))
        return wr_error_set(err, WR_NO_MEMORY, "no memory to check a signature");
    return failed == 0 ? WR_OK : wr_error_set(err, WR_DENIED, "the signature is not of the pinned key");
}

/* The parts, still as text: each ends where the next one's dot stands. */
static bool split(const char *text, size_t len, const char **ret_payload, const char **ret_signature) {
    const char *first = memchr(text, '.', len);
    const char *second = first ? memchr(first + 1, '.', (size_t)(text + len - first - 1)) : NULL;
    if (!second || memchr(second + 1, '.', (size_t)(text + len - second - 1)))
        return false;
    *ret_payload = first + 1;
    *ret_signature = second + 1;
    return true;
}

enum wr_result wr_jws_verify(struct wr_jws_key *key, const char *text, size_t len, struct wr_buf *into, struct wr_error *err) {
    char header[WR_JWS_HEADER_BYTES];
    uint8_t signature[2 * HALF];
    const char *payload, *end;
    size_t n;
    if (len > WR_JWS_BYTES)
        return wr_error_set(err, WR_INVALID, "longer than %d bytes", WR_JWS_BYTES);
    if (!split(text, len, &payload, &end))
        return wr_error_set(err, WR_INVALID, "this is no header.payload.signature");
    if (!wr_base64url_decode(text, (size_t)(payload - text) - 1, header, sizeof header, &n))
        return wr_error_set(err, WR_INVALID, "the header is no base64url, or longer than %d bytes", WR_JWS_HEADER_BYTES);
    WR_TRY(check_header(header, n, err));
    if (!wr_base64url_decode(end, (size_t)(text + len - end), signature, sizeof signature, &n) || n != sizeof signature)
        return wr_error_set(err, WR_INVALID, "the signature is not 64 bytes (r and s, not DER) in base64url");
    WR_TRY(check_signature(key, text, (size_t)(end - text) - 1, signature, err));
    const size_t before = into->len, encoded = (size_t)(end - payload) - 1;
    const enum wr_result room = wr_buf_reserve(into, encoded);
    if (room != WR_OK)
        return wr_error_set(err, room, room == WR_LIMIT ? "the payload is too long" : "no memory for the payload");
    if (!wr_base64url_decode(payload, encoded, into->data + before, encoded, &n))
        return wr_error_set(err, WR_INVALID, "the payload is no base64url");
    into->len = before + n;
    into->data[into->len] = '\0';
    return WR_OK;
}

/* -- sign ------------------------------------------------------------------------------------------------------------------------------------ */

/* k is drawn from the kernel's random numbers. */
static enum wr_result make_signature(struct wr_jws_key *key, const unsigned char *digest, uint8_t *signature, struct wr_error *err) {
    mbedtls_mpi r, s;
    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    int failed =
        mbedtls_ecdsa_sign(&key->group, &r, &s, &mbedtls_pk_ec(key->pk)->WR_TLS_FIELD(d), digest, DIGEST_BYTES, wr_tls_random_bytes, NULL);
    if (failed == 0)
        failed = mbedtls_mpi_write_binary(&r, signature, HALF);
    if (failed == 0)
        failed = mbedtls_mpi_write_binary(&s, signature + HALF, HALF);
    mbedtls_mpi_free(&r);
    mbedtls_mpi_free(&s);
    return failed == 0 ? WR_OK : wr_error_set(err, WR_NO_MEMORY, "cannot sign: no memory, or no random numbers");
}

enum wr_result wr_jws_sign(struct wr_jws_key *key, const void *payload, size_t len, struct wr_buf *into, struct wr_error *err) {
    unsigned char digest[DIGEST_BYTES];
    uint8_t signature[2 * HALF];
    struct wr_buf text;
    if (!key->is_private)
        return wr_error_set(err, WR_INVALID, "a public key cannot sign");
    wr_buf_init(&text, WR_JWS_BYTES);
    enum wr_result result = wr_base64url_append(&text, HEADER, sizeof HEADER - 1);
    if (result == WR_OK)
        result = wr_buf_append(&text, ".", 1);
    if (result == WR_OK)
        result = wr_base64url_append(&text, payload, len);
    if (result == WR_OK)
        result = digest_of(wr_buf_str(&text), text.len, digest, err);
    if (result == WR_OK)
        result = make_signature(key, digest, signature, err);
    if (result == WR_OK)
        result = wr_buf_append(&text, ".", 1);
    if (result == WR_OK)
        result = wr_base64url_append(&text, signature, sizeof signature);
    if (result == WR_OK)
        result = wr_buf_append(into, text.data, text.len);
    wr_buf_fini(&text);
    if (result == WR_LIMIT)
        return wr_error_set(err, WR_LIMIT, "the message would be longer than %d bytes", WR_JWS_BYTES);
    return result;
}
