/* Any bytes against a TLS server that wants client certificates. The first byte says how: as they are; or as changes to what a real client sends,
 * triples of (offset, offset, xor), so that a fault may come at any depth of the handshake, with a certificate or without one. After it, if
 * it ended well, the rest of the bytes comes as records. Whatever they are: no crash, no endless loop, a cause for each failure.
 */
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mbedtls/ecp.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>

#include "transport/tls_server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_at(int ok, int line) {
    if (ok)
        return;
    fprintf(stderr, "tls_server_fuzz.c:%d: that must not be\n", line);
    abort();
}
#define must(ok) must_at((ok), __LINE__)

/* -- one certificate for all ----------------------------------------------------------------------------------------------------------------- */

static char directory[] = "/tmp/weir-fuzz-XXXXXX", cert_file[64], key_file[64];
static struct wr_tls_server *server;
static mbedtls_x509_crt cert;
static mbedtls_pk_context key;

static int numbers(void *user, unsigned char *into, size_t len) { /* the same in each run */
    static uint32_t state = 1;
    (void)user;
    for (size_t i = 0; i < len; i++)
        into[i] = (unsigned char)((state = state * 1103515245 + 12345) >> 16);
    return 0;
}

static void save(const char *path, const unsigned char *pem) {
    FILE *file = fopen(path, "w");
    must(file && fputs((const char *)pem, file) >= 0 && fclose(file) == 0);
}

static void clean_up(void) {
    unlink(cert_file);
    unlink(key_file);
    rmdir(directory);
}

static void make_certificate(void) {
    static unsigned char pem[4096];
    mbedtls_x509write_cert write;
    mbedtls_mpi serial;
    must(mkdtemp(directory) != NULL);
    snprintf(cert_file, sizeof cert_file, "%s/c.pem", directory);
    snprintf(key_file, sizeof key_file, "%s/k.pem", directory);
    atexit(clean_up);
    mbedtls_pk_init(&key);
    mbedtls_x509_crt_init(&cert);
    mbedtls_x509write_crt_init(&write);
    mbedtls_mpi_init(&serial);
    must(mbedtls_pk_setup(&key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)) == 0);
    must(mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(key), numbers, NULL) == 0);
    must(mbedtls_mpi_lset(&serial, 1) == 0);
    mbedtls_x509write_crt_set_version(&write, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&write, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&write, &key);
    mbedtls_x509write_crt_set_issuer_key(&write, &key);
    must(mbedtls_x509write_crt_set_subject_name(&write, "CN=fuzz") == 0 && mbedtls_x509write_crt_set_issuer_name(&write, "CN=fuzz") == 0);
    must(mbedtls_x509write_crt_set_serial(&write, &serial) == 0);
    must(mbedtls_x509write_crt_set_validity(&write, "20200101000000", "20990101000000") == 0);
    must(mbedtls_x509write_crt_set_basic_constraints(&write, 1, -1) == 0);
    must(mbedtls_x509write_crt_pem(&write, pem, sizeof pem, numbers, NULL) == 0);
    must(mbedtls_x509_crt_parse(&cert, pem, strlen((char *)pem) + 1) == 0);
    save(cert_file, pem);
    must(mbedtls_pk_write_key_pem(&key, pem, sizeof pem) == 0);
    save(key_file, pem);
    mbedtls_x509write_crt_free(&write);
    mbedtls_mpi_free(&serial);
}

static void start(void) {
    const struct wr_tls_config config = {.cert = cert_file, .key = key_file, .ca = cert_file};
    bool changed;
    make_certificate();
    must(wr_tls_server_new(&config, wr_clock_real(), &server, NULL) == WR_OK);
    must(wr_tls_server_refresh(server, &changed, NULL) == WR_OK && changed);
}

/* -- a client whose bytes are changed on the way ------------------------------------------------------------------------------------------------ */

struct client {
    int fd;
    size_t sent;
    const uint8_t *changes;
    size_t n_changes;
    mbedtls_ssl_config config;
    mbedtls_ssl_context ssl;
};

static int client_send(void *user, const unsigned char *from, size_t len) {
    struct client *client = user;
    static unsigned char bytes[32768];
    len = len < sizeof bytes ? len : sizeof bytes;
    memcpy(bytes, from, len);
    for (size_t i = 0; i < client->n_changes; i++) {
        const uint8_t *change = client->changes + 3 * i;
        const size_t at = (size_t)change[0] << 8 | change[1];
        if (at >= client->sent && at < client->sent + len)
            bytes[at - client->sent] ^= change[2];
    }
    const ssize_t n = send(client->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n <= 0)
        return MBEDTLS_ERR_SSL_WANT_WRITE;
    client->sent += (size_t)n;
    return (int)n;
}

static int client_recv(void *user, unsigned char *into, size_t len) {
    const ssize_t n = recv(((struct client *)user)->fd, into, len, MSG_DONTWAIT);
    return n > 0 ? (int)n : n == 0 ? MBEDTLS_ERR_SSL_CONN_EOF : MBEDTLS_ERR_SSL_WANT_READ;
}

static void client_start(struct client *client, int with_certificate) {
    mbedtls_ssl_config_init(&client->config);
    mbedtls_ssl_init(&client->ssl);
    must(mbedtls_ssl_config_defaults(&client->config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT) ==
         0);
    mbedtls_ssl_conf_rng(&client->config, numbers, NULL);
    mbedtls_ssl_conf_authmode(&client->config, MBEDTLS_SSL_VERIFY_NONE);
    if (with_certificate)
        must(mbedtls_ssl_conf_own_cert(&client->config, &cert, &key) == 0);
    must(mbedtls_ssl_setup(&client->ssl, &client->config) == 0);
    mbedtls_ssl_set_bio(&client->ssl, client, client_send, client_recv, NULL);
}

/* -- the two together ---------------------------------------------------------------------------------------------------------------------------- */

/* As far as the server comes. client may be NULL: all its bytes are there already. */
static enum wr_result shake(struct wr_tls_stream *stream, struct client *client) {
    struct wr_error err = {0};
    enum wr_result result = WR_BUSY;
    int waits = 0;
    for (int steps = 0; result == WR_BUSY || ((result == WR_EMPTY || result == WR_FULL) && waits < 2); steps++) {
        must(steps < 1000);
        if (client && result == WR_EMPTY)
            (void)mbedtls_ssl_handshake(&client->ssl);
        result = wr_tls_accept_step(stream, &err);
        waits = result == WR_BUSY ? 0 : waits + 1;
    }
    must(result == WR_OK || result == WR_EMPTY || result == WR_FULL || err.text[0] != '\0');
    return result;
}

static void read_records(struct wr_tls_stream *stream) {
    static char ahead[16384], into[2 * 16384 + 1];
    struct wr_error err = {0};
    enum wr_result result;
    size_t n, reads = 0;
    do {
        result = wr_tls_read_all(stream, ahead, sizeof ahead, into, sizeof into, &n, &err);
        must(n <= sizeof into && ++reads < 1000);
    } while (n > 0 && result == WR_EMPTY);
    must(result == WR_EMPTY || err.text[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || size > 32768)
        return 0;
    if (!server)
        start();
    int fds[2];
    struct wr_tls_stream *stream;
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    must(wr_tls_accept(server, fds[0], &stream, NULL) == WR_OK);
    const uint8_t how = data[0];
    data++;
    size--;
    if (how & 1) {
        const size_t n = how >> 4 < size / 3 ? how >> 4 : size / 3;
        struct client client = {.fd = fds[1], .changes = data, .n_changes = n};
        client_start(&client, how & 2);
        const enum wr_result result = shake(stream, &client);
        (void)!send(fds[1], data + 3 * n, size - 3 * n, MSG_NOSIGNAL);
        if (result == WR_OK)
            read_records(stream);
        mbedtls_ssl_free(&client.ssl);
        mbedtls_ssl_config_free(&client.config);
    } else {
        (void)!send(fds[1], data, size, MSG_NOSIGNAL);
        (void)shake(stream, NULL);
    }
    wr_tls_close(stream);
    close(fds[0]);
    close(fds[1]);
    return 0;
}
