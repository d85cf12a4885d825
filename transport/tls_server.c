#include "transport/tls_server.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "transport/tls_private.h"

#define FILES 5
#define UNREAD_BYTES (256 << 10)

/* What tells that a file was changed. All zero: it is not there. */
struct stamp {
    dev_t dev;
    ino_t ino;
    off_t size;
    int64_t changed_ns;
};

struct wr_tls_server {
    struct wr_tls *files;
    struct wr_tls_set *set; /* the newest good one */
    struct stamp stamps[FILES];
    int64_t look_boot_ns; /* not before; 0: at once */
    char told[WR_ERROR_TEXT_BYTES];
};

/* -- the files --------------------------------------------------------------------------------------------------------------------------- */

static void take_stamps(const struct wr_tls_config *config, struct stamp stamps[FILES]) {
    const char *const paths[FILES] = {config->ca, config->cert, config->key, config->key_password_file, config->crl};
    memset(stamps, 0, FILES * sizeof *stamps);
    for (int i = 0; i < FILES; i++) {
        struct stat now;
        if (paths[i] == NULL || stat(paths[i], &now) != 0)
            continue;
        stamps[i].dev = now.st_dev;
        stamps[i].ino = now.st_ino;
        stamps[i].size = now.st_size;
        stamps[i].changed_ns = (int64_t)now.st_ctim.tv_sec * WR_NS_PER_S + now.st_ctim.tv_nsec;
    }
}

/* Reads the files and makes the set that new streams use. The stamps are older than what is read: a change in between is seen next time. */
static enum wr_result load(struct wr_tls_server *server, struct wr_error *err) {
    struct wr_tls_set *set;
    take_stamps(&server->files->config, server->stamps);
    WR_TRY(wr_tls_set_new(server->files, MBEDTLS_SSL_IS_SERVER, &set, err));
    enum wr_result result = WR_OK;
    if (wr_tls_load_error(server->files)[0] != '\0')
        result = wr_error_set(err, WR_INVALID, "%s", wr_tls_load_error(server->files));
    else if (mbedtls_ssl_ticket_setup(&set->tickets, wr_tls_random_bytes, NULL, MBEDTLS_CIPHER_AES_256_GCM, WR_TLS_SERVER_TICKET_S) != 0)
        result = wr_error_set(err, WR_NO_MEMORY, "TLS: no keys for tickets");
    if (result != WR_OK) {
        wr_tls_set_release(set);
        return result;
    }
    mbedtls_ssl_conf_session_tickets_cb(&set->config, mbedtls_ssl_ticket_write, mbedtls_ssl_ticket_parse, &set->tickets);
    wr_tls_set_release(server->set);
    server->set = set;
    return WR_OK;
}

enum wr_result wr_tls_server_new(const struct wr_tls_config *config, const struct wr_clock *clock, struct wr_tls_server **ret_server,
                                 struct wr_error *err) {
    if (config->cert == NULL || config->key == NULL)
        return wr_error_set(err, WR_INVALID, "a TLS server needs a certificate and its key");
    struct wr_tls_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return wr_error_set(err, WR_NO_MEMORY, "TLS: no memory");
    enum wr_result result = wr_tls_new(config, clock, &server->files, err);
    if (result != WR_OK) {
        wr_tls_server_free(server);
        return result;
    }
    server->files->config.ca = config->ca; /* of clients; the system's bundle has no say in that */
    server->files->system_ca = false;
    *ret_server = server;
    return WR_OK;
}

enum wr_result wr_tls_server_refresh(struct wr_tls_server *server, bool *ret_changed, struct wr_error *err) {
    *ret_changed = false;
    const int64_t now_ns = wr_clock_boot_ns(server->files->clock);
    if (now_ns < server->look_boot_ns)
        return WR_OK;
    server->look_boot_ns = now_ns + WR_TLS_SERVER_LOOK_NS;
    struct stamp stamps[FILES];
    take_stamps(&server->files->config, stamps);
    if (server->set != NULL && memcmp(stamps, server->stamps, sizeof stamps) == 0 && server->told[0] == '\0')
        return WR_OK;
    struct wr_error why = {0};
    enum wr_result result = load(server, &why);
    *ret_changed = result == WR_OK;
    const bool again = strcmp(server->told, why.text) == 0; /* a success has no text */
    memcpy(server->told, why.text, sizeof server->told);
    return result == WR_OK || again ? WR_OK : wr_error_set(err, result, "%s", why.text);
}

bool wr_tls_server_is_ready(const struct wr_tls_server *server) {
    return server->set != NULL;
}

int64_t wr_tls_server_expires_wall_ns(const struct wr_tls_server *server) {
    return wr_tls_expires_wall_ns(server->files);
}

void wr_tls_server_free(struct wr_tls_server *server) {
    if (server == NULL)
        return;
    wr_tls_set_release(server->set);
    wr_tls_free(server->files);
    free(server);
}

/* -- the handshake ------------------------------------------------------------------------------------------------------------------------ */

enum wr_result wr_tls_accept(struct wr_tls_server *server, int fd, struct wr_tls_stream **ret_stream, struct wr_error *err) {
    struct wr_tls_stream *stream;
    if (server->set == NULL)
        return wr_error_set(err, WR_NOT_FOUND, "TLS: no usable certificate yet");
    WR_TRY(wr_tls_stream_new(server->set, fd, server->files->clock, &stream, err));
    stream->server = true;
    stream->has_cert = true;
    stream->resumed = true; /* until our certificate is asked for */
    *ret_stream = stream;
    return WR_OK;
}

/* Bytes that were never read would make the kernel answer the close with a reset, and the alert that says why could be lost. */
static void read_away(int fd) {
    char bytes[4096];
    for (size_t n = 0; n < UNREAD_BYTES; n += sizeof bytes)
        if (recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) <= 0)
            return;
}

enum wr_result wr_tls_accept_step(struct wr_tls_stream *stream, struct wr_error *err) {
    if (wr_tls_compat_at_server_certificate(&stream->ssl))
        stream->resumed = false;
    int failure = mbedtls_ssl_handshake_step(&stream->ssl);
    if (failure != 0 && !wr_tls_compat_is_ticket(failure)) {
        enum wr_result result = wr_tls_stream_result(stream, failure, err);
        if (failure == MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE) /* of all failures, mbedTLS keeps this one for itself */
            (void)mbedtls_ssl_send_alert_message(&stream->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL, MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE);
        if (result != WR_EMPTY && result != WR_FULL)
            read_away(stream->fd);
        return result;
    }
    if (!wr_tls_compat_handshake_over(&stream->ssl))
        return WR_BUSY;
    stream->handshaking = false;
    return WR_OK;
}
