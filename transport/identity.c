#include "transport/identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mbedtls/asn1write.h>
#include <mbedtls/ecp.h>
#include <mbedtls/oid.h>

#include "transport/tls_private.h"

#define PEM_BYTES 4096 /* of a key or a request: both take less than 1 KB */

static bool is_memory(int result) {
    return result == MBEDTLS_ERR_PK_ALLOC_FAILED || result == MBEDTLS_ERR_X509_ALLOC_FAILED || result == MBEDTLS_ERR_MPI_ALLOC_FAILED ||
           result == MBEDTLS_ERR_ECP_ALLOC_FAILED || result == MBEDTLS_ERR_ASN1_ALLOC_FAILED;
}

static enum wr_result refused(int result, const char *what, struct wr_error *err) {
    char reason[128];
    mbedtls_strerror(result, reason, sizeof reason);
    return is_memory(result) ? wr_error_set(err, WR_NO_MEMORY, "%s: no memory", what) : wr_error_set(err, WR_IO, "%s: %s", what, reason);
}

/* -- the key ------------------------------------------------------------------------------------------------------------------------------ */

static enum wr_result keep(const unsigned char *pem, struct wr_credential *ret_key, struct wr_error *err) {
    const size_t len = strlen((const char *)pem);
    uint8_t *data = malloc(len + 1);
    if (data == NULL)
        return wr_error_set(err, WR_NO_MEMORY, "a key: no memory");
    memcpy(data, pem, len + 1);
    *ret_key = (struct wr_credential){data, len};
    return WR_OK;
}

enum wr_result wr_identity_key_make(struct wr_credential *ret_key, struct wr_error *err) {
    unsigned char pem[PEM_BYTES];
    mbedtls_pk_context pk;
    mbedtls_pk_init(&pk);
    int result = wr_tls_compat_start();
    if (result == 0)
        result = mbedtls_pk_setup(&pk, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    if (result == 0)
        result = mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(pk), wr_tls_random_bytes, NULL);
    if (result == 0)
        result = mbedtls_pk_write_key_pem(&pk, pem, sizeof pem);
    const enum wr_result made = result == 0 ? keep(pem, ret_key, err) : refused(result, "a key cannot be made", err);
    explicit_bzero(pem, sizeof pem);
    mbedtls_pk_free(&pk);
    return made;
}

/* PEM wants the NUL counted. */
static enum wr_result parse_key(const struct wr_credential *key, mbedtls_pk_context *pk, struct wr_error *err) {
    const int result = wr_tls_compat_parse_key(pk, key->data, key->len + 1, NULL, 0, wr_tls_random_bytes);
    if (result == 0)
        return WR_OK;
    if (is_memory(result))
        return wr_error_set(err, WR_NO_MEMORY, "the key: no memory");
    return wr_error_set(err, WR_INVALID,
                        result == MBEDTLS_ERR_PK_PASSWORD_REQUIRED ? "the key is encrypted" : "holds no private key in PEM");
}

/* -- the request -------------------------------------------------------------------------------------------------------------------------- */

#if defined(MBEDTLS_X509_CSR_WRITE_C)

#define EXTENSION_BYTES 128

/* ASN.1 is written backwards, from the end of the buffer. */

/* GeneralNames with one dNSName */
static int add_name(mbedtls_x509write_csr *request, const char *node) {
    unsigned char value[EXTENSION_BYTES], *at = value + sizeof value;
    const size_t len = strlen(node);
    int all = 0, n = mbedtls_asn1_write_raw_buffer(&at, value, (const unsigned char *)node, len);
    for (int step = 0; n >= 0 && step < 4; step++) {
        all += n;
        n = step % 2 == 0
                ? mbedtls_asn1_write_len(&at, value, (size_t)all)
                : mbedtls_asn1_write_tag(&at, value,
                                         step == 1 ? MBEDTLS_ASN1_CONTEXT_SPECIFIC | 2 : MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE);
    }
    if (n < 0)
        return n;
    return wr_tls_compat_request_extension(request, MBEDTLS_OID_SUBJECT_ALT_NAME, MBEDTLS_OID_SIZE(MBEDTLS_OID_SUBJECT_ALT_NAME), at,
                                           (size_t)(value + sizeof value - at));
}

/* SEQUENCE of one OBJECT IDENTIFIER */
static int add_purpose(mbedtls_x509write_csr *request) {
    unsigned char value[EXTENSION_BYTES], *at = value + sizeof value;
    int all = mbedtls_asn1_write_oid(&at, value, MBEDTLS_OID_CLIENT_AUTH, MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH));
    int n = all < 0 ? all : mbedtls_asn1_write_len(&at, value, (size_t)all);
    if (n >= 0)
        n = mbedtls_asn1_write_tag(&at, value, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE);
    if (n < 0)
        return n;
    return wr_tls_compat_request_extension(request, MBEDTLS_OID_EXTENDED_KEY_USAGE, MBEDTLS_OID_SIZE(MBEDTLS_OID_EXTENDED_KEY_USAGE), at,
                                           (size_t)(value + sizeof value - at));
}

static int write_request(mbedtls_pk_context *pk, const char *node, const char *site, unsigned char *pem) {
    char subject[160];
    mbedtls_x509write_csr request;
    mbedtls_x509write_csr_init(&request);
    snprintf(subject, sizeof subject, *site && strcmp(site, "-") != 0 ? "CN=%s,OU=%s" : "CN=%s", node, site);
    mbedtls_x509write_csr_set_key(&request, pk);
    mbedtls_x509write_csr_set_md_alg(&request, MBEDTLS_MD_SHA256);
    int result = mbedtls_x509write_csr_set_subject_name(&request, subject);
    if (result == 0)
        result = mbedtls_x509write_csr_set_key_usage(&request, MBEDTLS_X509_KU_DIGITAL_SIGNATURE);
    if (result == 0)
        result = add_name(&request, node);
    if (result == 0)
        result = add_purpose(&request);
    if (result == 0)
        result = mbedtls_x509write_csr_pem(&request, pem, PEM_BYTES, wr_tls_random_bytes, NULL);
    mbedtls_x509write_csr_free(&request);
    return result;
}

enum wr_result wr_identity_request(const struct wr_credential *key, const char *node, const char *site, struct wr_buf *into,
                                   struct wr_error *err) {
    unsigned char pem[PEM_BYTES];
    mbedtls_pk_context pk;
    mbedtls_pk_init(&pk);
    enum wr_result result = wr_tls_compat_start() == 0 ? parse_key(key, &pk, err) : wr_error_set(err, WR_NO_MEMORY, "no memory");
    if (result == WR_OK) {
        const int written = write_request(&pk, node, site, pem);
        result = written == 0 ? WR_OK : refused(written, "a request cannot be made", err);
    }
    mbedtls_pk_free(&pk);
    if (result == WR_OK && wr_buf_text(into, (const char *)pem) != WR_OK)
        result = wr_error_set(err, WR_NO_MEMORY, "a request: no memory");
    return result;
}

#else

enum wr_result wr_identity_request(const struct wr_credential *key, const char *node, const char *site, struct wr_buf *into,
                                   struct wr_error *err) {
    (void)key, (void)node, (void)site, (void)into;
    return wr_error_set(err, WR_UNSUPPORTED, "mbedTLS was built without requests for certificates (MBEDTLS_X509_CSR_WRITE_C)");
}

#endif

/* -- the certificate ---------------------------------------------------------------------------------------------------------------------- */

/* mbedTLS passes over a last one that is cut off. */
static bool is_whole(const struct wr_credential *file, const mbedtls_x509_crt *chain) {
    static const char begin[] = "-----BEGIN CERTIFICATE-----";
    size_t begun = 0, parsed = 0;
    for (const uint8_t *at = file->data; (at = memmem(at, (size_t)(file->data + file->len - at), begin, sizeof begin - 1)) != NULL;
         at += sizeof begin - 1)
        begun++;
    for (; chain != NULL; chain = chain->next)
        parsed++;
    return begun == parsed;
}

/* Of PEM alone, all of it: the file is read by others too. */
static enum wr_result parse_chain(const struct wr_credential *file, mbedtls_x509_crt *chain, struct wr_error *err) {
    if (memmem(file->data, file->len, "PRIVATE KEY-----", 16) != NULL)
        return wr_error_set(err, WR_INVALID, "holds a private key: a file with nothing but the certificate is needed");
    if (memmem(file->data, file->len, "-----BEGIN CERTIFICATE-----", 27) == NULL)
        return wr_error_set(err, WR_INVALID, "holds no certificate in PEM");
    const int result = mbedtls_x509_crt_parse(chain, file->data, file->len + 1);
    if (is_memory(result))
        return wr_error_set(err, WR_NO_MEMORY, "a certificate: no memory");
    if (result > 0)
        return wr_error_set(err, WR_INVALID, "%d of its certificates cannot be parsed", result);
    if (result < 0)
        return wr_error_set(err, WR_INVALID, "cannot be parsed as a certificate");
    return is_whole(file, chain) ? WR_OK : wr_error_set(err, WR_INVALID, "its last certificate is cut off");
}

enum wr_result wr_identity_belongs(const struct wr_credential *cert, const struct wr_credential *key, struct wr_error *err) {
    mbedtls_x509_crt chain;
    mbedtls_pk_context pk;
    mbedtls_x509_crt_init(&chain);
    mbedtls_pk_init(&pk);
    enum wr_result result = wr_tls_compat_start() == 0 ? WR_OK : wr_error_set(err, WR_NO_MEMORY, "no memory");
    if (result == WR_OK)
        result = parse_chain(cert, &chain, err);
    if (result == WR_OK)
        result = parse_key(key, &pk, err);
    if (result == WR_OK && wr_tls_compat_check_pair(&chain.pk, &pk, wr_tls_random_bytes) != 0)
        result = wr_error_set(err, WR_DENIED, "the certificate is for another key");
    mbedtls_x509_crt_free(&chain);
    mbedtls_pk_free(&pk);
    return result;
}

static enum wr_result check_dates(const mbedtls_x509_crt *chain, const struct wr_now *now, int64_t *ret_expires_ns, struct wr_error *err) {
    int64_t earliest_ns = WR_NEVER_NS;
    for (const mbedtls_x509_crt *cert = chain; cert != NULL; cert = cert->next) {
        const int64_t ends_ns = wr_tls_time_ns(&cert->valid_to);
        char day[32];
        if (ends_ns <= now->wall_ns)
            return wr_error_set(err, WR_DENIED, "has expired on %.10s", wr_clock_format(day, sizeof day, ends_ns));
        if (now->wall_trusted && wr_tls_time_ns(&cert->valid_from) > now->wall_ns)
            return wr_error_set(err, WR_DENIED, "is not valid before %.16s: is the clock right?",
                                wr_clock_format(day, sizeof day, wr_tls_time_ns(&cert->valid_from)));
        earliest_ns = ends_ns < earliest_ns ? ends_ns : earliest_ns;
    }
    *ret_expires_ns = earliest_ns;
    return WR_OK;
}

/* Dates of the chain have been looked at; those of the CA count too, but a clock that is not set judges no start. */
static enum wr_result check_signers(mbedtls_x509_crt *chain, const struct wr_credential *ca_file, const struct wr_now *now,
                                    struct wr_error *err) {
    uint32_t flags = 0;
    char why[256];
    mbedtls_x509_crt ca;
    mbedtls_x509_crt_init(&ca);
    const enum wr_result parsed = parse_chain(ca_file, &ca, err);
    const int verified = parsed == WR_OK ? mbedtls_x509_crt_verify(chain, &ca, NULL, NULL, &flags, NULL, NULL) : 0;
    mbedtls_x509_crt_free(&ca);
    if (parsed != WR_OK)
        return wr_error_wrap(err, "the CA's file"), parsed;
    if (!now->wall_trusted)
        flags &= ~(uint32_t)MBEDTLS_X509_BADCERT_FUTURE;
    if (verified != 0 && verified != MBEDTLS_ERR_X509_CERT_VERIFY_FAILED)
        return refused(verified, "the certificate cannot be verified", err);
    if (flags == 0)
        return WR_OK;
    if (flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED)
        return wr_error_set(err, WR_DENIED, "is not signed by this CA, nor by one that it has signed and that is in the file");
    if (mbedtls_x509_crt_verify_info(why, sizeof why, "", flags) <= 0)
        snprintf(why, sizeof why, "it does not verify");
    why[strcspn(why, "\n")] = '\0';
    return wr_error_set(err, WR_DENIED, "is refused with this CA: %s", why);
}

static void describe(const mbedtls_x509_crt *cert, struct wr_identity_facts *facts) {
    char text[sizeof facts->subject];
    if (mbedtls_x509_dn_gets(text, sizeof text, &cert->subject) < 0)
        snprintf(text, sizeof text, "a subject that is too long to show");
    wr_error_escape(facts->subject, sizeof facts->subject, text, strlen(text));
    for (const mbedtls_x509_name *part = &cert->subject; part != NULL; part = part->next)
        if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &part->oid) == 0)
            wr_error_escape(facts->name, sizeof facts->name, (const char *)part->val.p, part->val.len);
}

enum wr_result wr_identity_check(const struct wr_credential *cert, const struct wr_credential *ca, const struct wr_now *now,
                                 struct wr_identity_facts *ret_facts, struct wr_error *err) {
    struct wr_identity_facts facts = {.expires_wall_ns = WR_NEVER_NS};
    mbedtls_x509_crt chain;
    mbedtls_x509_crt_init(&chain);
    enum wr_result result = wr_tls_compat_start() == 0 ? parse_chain(cert, &chain, err) : wr_error_set(err, WR_NO_MEMORY, "no memory");
    if (result == WR_OK)
        result = check_dates(&chain, now, &facts.expires_wall_ns, err);
    if (result == WR_OK &&
        mbedtls_x509_crt_check_extended_key_usage(&chain, MBEDTLS_OID_CLIENT_AUTH, MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH)) != 0)
        result = wr_error_set(err, WR_DENIED, "is for another purpose: its extendedKeyUsage has no clientAuth");
    if (result == WR_OK && ca->data != NULL)
        result = check_signers(&chain, ca, now, err);
    if (result == WR_OK) {
        describe(&chain, &facts);
        *ret_facts = facts;
    }
    mbedtls_x509_crt_free(&chain);
    return result;
}
