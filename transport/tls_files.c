/* Credentials: read before each connect, parsed, matched, and kept as the last good set. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/calendar.h"
#include "transport/tls_private.h"

int wr_tls_random_bytes(void *user, unsigned char *into, size_t len) {
    (void)user;
    while (len > 0) {
        ssize_t n = getrandom(into, len, GRND_NONBLOCK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        into += n;
        len -= (size_t)n;
    }
    return 0;
}

void wr_tls_keys_init(struct wr_tls_keys *keys) {
    mbedtls_x509_crt_init(&keys->ca);
    mbedtls_x509_crt_init(&keys->cert);
    mbedtls_pk_init(&keys->key);
    mbedtls_x509_crl_init(&keys->crl);
}

void wr_tls_keys_free(struct wr_tls_keys *keys) {
    mbedtls_x509_crt_free(&keys->ca);
    mbedtls_x509_crt_free(&keys->cert);
    mbedtls_pk_free(&keys->key);
    mbedtls_x509_crl_free(&keys->crl);
}

static void files_free(struct wr_tls_files *files) {
    wr_credential_free(&files->ca);
    wr_credential_free(&files->cert);
    wr_credential_free(&files->key);
    wr_credential_free(&files->password);
    wr_credential_free(&files->crl);
}

static bool files_equal(const struct wr_tls_files *a, const struct wr_tls_files *b) {
    return wr_credential_equal(&a->ca, &b->ca) && wr_credential_equal(&a->cert, &b->cert) && wr_credential_equal(&a->key, &b->key) &&
           wr_credential_equal(&a->password, &b->password) && wr_credential_equal(&a->crl, &b->crl);
}

static enum wr_result read_one(const char *what, const char *path, struct wr_credential *into, struct wr_error *err) {
    if (path == NULL)
        return WR_OK;
    if (wr_credential_read(path, WR_TLS_FILE_BYTES, into, err) != WR_OK)
        return wr_error_wrap(err, "%s", what);
    return WR_OK;
}

static enum wr_result files_read(const struct wr_tls_config *config, struct wr_tls_files *files, struct wr_error *err) {
    WR_TRY(read_one("CA", config->ca, &files->ca, err));
    WR_TRY(read_one("certificate", config->cert, &files->cert, err));
    WR_TRY(read_one("key", config->key, &files->key, err));
    WR_TRY(read_one("key password", config->key_password_file, &files->password, err));
    WR_TRY(read_one("CRL", config->crl, &files->crl, err));
    wr_credential_trim(&files->password);
    return WR_OK;
}

static enum wr_result unusable(const char *what, const char *path, int result, struct wr_error *err) {
    char reason[128];
    mbedtls_strerror(result, reason, sizeof reason);
    return wr_error_set(err, WR_INVALID, "%s: %s: %s", what, path, reason);
}

static enum wr_result parse_key(const struct wr_tls_config *config, const struct wr_tls_files *files, struct wr_tls_keys *keys,
                                struct wr_error *err) {
    int result = wr_tls_compat_parse_key(&keys->key, files->key.data, files->key.len + 1, files->password.data, files->password.len,
                                         wr_tls_random_bytes);
    if (result == MBEDTLS_ERR_PK_PASSWORD_REQUIRED)
        return wr_error_set(err, WR_INVALID, "key: %s: is encrypted, and no key_password_file is given", config->key);
    if (result == MBEDTLS_ERR_PK_PASSWORD_MISMATCH)
        return wr_error_set(err, WR_INVALID, "key: %s: the password in %s does not open it", config->key,
                            config->key_password_file != NULL ? config->key_password_file : "(none)");
    if (result != 0)
        return unusable("key", config->key, result, err);
    if (wr_tls_compat_check_pair(&keys->cert.pk, &keys->key, wr_tls_random_bytes) != 0)
        return wr_error_set(err, WR_INVALID, "key %s does not belong to certificate %s", config->key, config->cert);
    return WR_OK;
}

/* PEM wants the NUL counted. A bundle of the system may hold certificates that mbedTLS does not know how to read; an own CA file may not. */
static enum wr_result files_parse(const struct wr_tls_config *config, bool system_ca, const struct wr_tls_files *files,
                                  struct wr_tls_keys *keys, struct wr_error *err) {
    int result = config->ca != NULL ? mbedtls_x509_crt_parse(&keys->ca, files->ca.data, files->ca.len + 1) : 0;
    if (result > 0 && !system_ca)
        return wr_error_set(err, WR_INVALID, "CA: %s: %d of its certificates cannot be parsed", config->ca, result);
    if (result < 0)
        return unusable("CA", config->ca, result, err);
    if (config->crl != NULL) {
        result = mbedtls_x509_crl_parse(&keys->crl, files->crl.data, files->crl.len + 1);
        if (result != 0)
            return unusable("CRL", config->crl, result, err);
    }
    if (config->cert == NULL)
        return WR_OK;
    result = mbedtls_x509_crt_parse(&keys->cert, files->cert.data, files->cert.len + 1);
    if (result > 0)
        return wr_error_set(err, WR_INVALID, "certificate: %s: %d of its certificates cannot be parsed", config->cert, result);
    if (result != 0)
        return unusable("certificate", config->cert, result, err);
    return parse_key(config, files, keys, err);
}

int64_t wr_tls_time_ns(const mbedtls_x509_time *time) {
    /* Not timegm: where time_t has 32 bits, what is valid beyond 2038 would have expired in 1969. */
    const int64_t days = wr_calendar_days(time->year, time->mon, time->day);
    const int64_t seconds = days * WR_CALENDAR_DAY_S + (int64_t)time->hour * 3600 + (int64_t)time->min * 60 + time->sec;
    return seconds > INT64_MAX / WR_NS_PER_S ? WR_NEVER_NS : seconds * WR_NS_PER_S;
}

/* Makes `fresh` the good set, if it differs. */
static void adopt(struct wr_tls *tls, struct wr_tls_files *fresh, const struct wr_tls_keys *keys) {
    if (tls->good && files_equal(&tls->files, fresh))
        return;
    files_free(&tls->files);
    tls->files = *fresh;
    *fresh = (struct wr_tls_files){0};
    tls->good = true;
    tls->expires_wall_ns = tls->config.cert != NULL ? wr_tls_time_ns(&keys->cert.valid_to) : WR_NEVER_NS;
    wr_tls_drop_session(tls);
}

static enum wr_result files_load(const struct wr_tls_config *config, bool system_ca, struct wr_tls_files *files, struct wr_tls_keys *keys,
                                 struct wr_error *err) {
    WR_TRY(files_read(config, files, err));
    return files_parse(config, system_ca, files, keys, err);
}

/* The same with the key that waits beside the configured one. Leaves the files and keys empty if that is none. */
static bool load_with_next_key(const struct wr_tls *tls, struct wr_tls_files *files, struct wr_tls_keys *keys) {
    char path[PATH_MAX];
    struct wr_tls_config config = tls->config;
    if (config.key == NULL || snprintf(path, sizeof path, "%s" WR_TLS_NEXT_KEY, config.key) >= (int)sizeof path || access(path, F_OK) != 0)
        return false;
    config.key = path;
    files_free(files);
    wr_tls_keys_free(keys);
    wr_tls_keys_init(keys);
    if (files_load(&config, tls->system_ca, files, keys, NULL) == WR_OK)
        return true;
    files_free(files);
    wr_tls_keys_free(keys);
    wr_tls_keys_init(keys);
    return false;
}

enum wr_result wr_tls_keys_load(struct wr_tls *tls, struct wr_tls_keys *keys, struct wr_error *err) {
    struct wr_tls_files fresh = {0};
    struct wr_error why = {0};
    enum wr_result result = files_load(&tls->config, tls->system_ca, &fresh, keys, &why);
    if (result != WR_OK && load_with_next_key(tls, &fresh, keys))
        result = WR_OK;
    tls->load_error[0] = '\0';
    if (result == WR_OK) {
        adopt(tls, &fresh, keys);
    } else if (tls->good) {
        memcpy(tls->load_error, why.text, sizeof tls->load_error);
        wr_tls_keys_free(keys);
        wr_tls_keys_init(keys);
        result = files_parse(&tls->config, tls->system_ca, &tls->files, keys, err);
    } else {
        result = wr_error_set(err, result, "%s", why.text);
    }
    files_free(&fresh);
    return result;
}

void wr_tls_drop_session(struct wr_tls *tls) {
    if (tls->has_session)
        mbedtls_ssl_session_free(&tls->session);
    tls->has_session = false;
}

enum wr_result wr_tls_new(const struct wr_tls_config *config, const struct wr_clock *clock, struct wr_tls **ret_tls, struct wr_error *err) {
    if ((config->cert == NULL) != (config->key == NULL))
        return wr_error_set(err, WR_INVALID, "certificate and key go together: %s is missing", config->cert == NULL ? "cert" : "key");
    if (wr_tls_compat_start() != 0)
        return wr_error_set(err, WR_NO_MEMORY, "the TLS library does not start");
    struct wr_tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL)
        return wr_error_set(err, WR_NO_MEMORY, "TLS: no memory");
    tls->config = *config;
    tls->system_ca = config->ca == NULL;
    if (tls->system_ca)
        tls->config.ca = WR_TLS_SYSTEM_CA;
    tls->clock = clock;
    tls->expires_wall_ns = WR_NEVER_NS;
    *ret_tls = tls;
    return WR_OK;
}

enum wr_result wr_tls_load(struct wr_tls *tls, struct wr_error *err) {
    struct wr_tls_keys keys;
    wr_tls_keys_init(&keys);
    enum wr_result result = wr_tls_keys_load(tls, &keys, err);
    wr_tls_keys_free(&keys);
    if (result == WR_OK && tls->load_error[0] != '\0')
        result = wr_error_set(err, WR_INVALID, "%s", tls->load_error);
    return result;
}

const char *wr_tls_load_error(const struct wr_tls *tls) {
    return tls->load_error;
}

int64_t wr_tls_expires_wall_ns(const struct wr_tls *tls) {
    return tls->expires_wall_ns;
}

void wr_tls_free(struct wr_tls *tls) {
    if (tls == NULL)
        return;
    wr_tls_drop_session(tls);
    files_free(&tls->files);
    free(tls);
}
