/* Any bytes as a signed message: refused with a reason and nothing handed out, unless the key signed it. What begins with "sign" is signed first, and must be taken. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transport/jws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The key of RFC 7515 A.3. */
static const char pem[] = "-----BEGIN EC PRIVATE KEY-----\n"
                          "MHcCAQEEII6bEJ5xkJi/mASH3x9dd+nLKWBuvtImO19XwhPfhPSyoAoGCCqGSM49\n"
                          "AwEHoUQDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEXH8UTNG72b\n"
                          "focs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
                          "-----END EC PRIVATE KEY-----\n";

static void must(int holds) {
    if (!holds)
        abort();
}

static struct wr_jws_key *read_key(void) {
    char path[40];
    struct wr_jws_key *key;
    const int fd = memfd_create("key", MFD_CLOEXEC);
    must(fd >= 0 && fchmod(fd, 0600) == 0 && write(fd, pem, sizeof pem - 1) == (ssize_t)(sizeof pem - 1));
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    must(wr_jws_private_key_read(path, &key, NULL) == WR_OK);
    close(fd);
    return key;
}

static void sign_and_verify(struct wr_jws_key *key, const uint8_t *data, size_t size) {
    struct wr_buf text, payload;
    wr_buf_init(&text, 0);
    wr_buf_init(&payload, 0);
    const enum wr_result result = wr_jws_sign(key, data, size, &text, NULL);
    must(result == WR_OK || (result == WR_LIMIT && size > WR_JWS_BYTES / 2));
    if (result == WR_OK) {
        must(wr_jws_verify(key, (const char *)text.data, text.len, &payload, NULL) == WR_OK);
        must(payload.len == size && memcmp(payload.data, data, size) == 0);
    }
    wr_buf_fini(&text);
    wr_buf_fini(&payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct wr_jws_key *key;
    struct wr_error err = {0};
    struct wr_buf payload;
    if (!key)
        key = read_key();
    if (size >= 4 && memcmp(data, "sign", 4) == 0) {
        sign_and_verify(key, data + 4, size - 4);
        return 0;
    }
    char *exact = malloc(size ? size : 1); /* a byte read behind it is found */
    must(exact != NULL);
    memcpy(exact, data, size);
    wr_buf_init(&payload, 0);
    const enum wr_result result = wr_jws_verify(key, exact, size, &payload, &err);
    must(result == WR_OK || ((result == WR_INVALID || result == WR_DENIED) && err.text[0] && payload.len == 0));
    wr_buf_fini(&payload);
    free(exact);
    return 0;
}
