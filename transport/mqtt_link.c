#include "transport/mqtt_link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "transport/dial.h"

#define PASSWORD_BYTES 65535 /* of MQTT */

enum wr_result wr_mqtt_link_init(struct wr_mqtt_link *link, const struct wr_tls_config *tls, const struct wr_clock *clock,
                                 struct wr_error *err) {
    *link = (struct wr_mqtt_link){.wake_fd = -1, .stats.cert_expires_wall_ns = WR_NEVER_NS};
    (void)pthread_mutex_init(&link->lock, NULL);
    link->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    enum wr_result result =
        link->wake_fd < 0 ? wr_error_set(err, WR_IO, "eventfd: %s", strerror(errno)) : wr_tls_new(tls, clock, &link->tls, err);
    if (result != WR_OK)
        wr_mqtt_link_fini(link);
    return result;
}

void wr_mqtt_link_fini(struct wr_mqtt_link *link) {
    if (link->wake_fd < 0)
        return;
    wr_mqtt_link_close(link);
    (void)close(link->wake_fd);
    link->wake_fd = -1;
    wr_tls_free(link->tls);
    link->tls = NULL;
    (void)pthread_mutex_destroy(&link->lock);
}

enum wr_result wr_mqtt_link_password(const char *file, struct wr_credential *ret_password, struct wr_error *err) {
    *ret_password = (struct wr_credential){0};
    if (file == NULL)
        return WR_OK;
    if (wr_credential_read(file, PASSWORD_BYTES, ret_password, err) != WR_OK)
        return wr_error_wrap(err, "password");
    wr_credential_trim(ret_password);
    return WR_OK;
}

static void note_tls(struct wr_mqtt_link *link, const struct wr_stream *stream, const struct wr_wire_bytes *failed) {
    struct wr_tls_info info = {0};
    if (stream != NULL && stream->tls != NULL)
        wr_tls_info(stream->tls, &info);
    (void)pthread_mutex_lock(&link->lock);
    link->stats.wire.sent += failed->sent;
    link->stats.wire.received += failed->received;
    link->stats.tls_full += info.version != NULL && !info.resumed;
    link->stats.tls_resumed += info.resumed;
    link->stats.cert_expires_wall_ns = wr_tls_expires_wall_ns(link->tls);
    (void)snprintf(link->stats.tls_warning, sizeof link->stats.tls_warning, "%s", wr_tls_load_error(link->tls));
    (void)pthread_mutex_unlock(&link->lock);
}

enum wr_result wr_mqtt_link_open(struct wr_mqtt_link *link, const struct wr_url *url, uint16_t keepalive_s,
                                 const struct wr_relay_gated *gated, int64_t deadline_boot_ns, uint16_t *ret_port, struct wr_error *err) {
    struct wr_stream stream = {.fd = -1};
    struct wr_wire_bytes failed = {0};
    struct wr_dial dial = {.url = url,
                           .tls = link->tls,
                           .deadline_boot_ns = deadline_boot_ns,
                           .user_timeout_ns = 2 * (int64_t)keepalive_s * WR_NS_PER_S,
                           .cancel_fd = link->wake_fd,
                           .failed = &failed};
    enum wr_result result = wr_dial(&dial, &stream, err);
    note_tls(link, result == WR_OK ? &stream : NULL, &failed);
    WR_TRY(result);
    struct wr_relay *relay = NULL;
    WR_TRY(wr_relay_open_gated(&stream, deadline_boot_ns, gated, &relay, ret_port, err));
    (void)pthread_mutex_lock(&link->lock);
    link->relay = relay;
    link->connection++;
    (void)pthread_mutex_unlock(&link->lock);
    return WR_OK;
}

bool wr_mqtt_link_broken(const struct wr_mqtt_link *link, struct wr_error *ret_cause) {
    return link->relay != NULL && wr_relay_end(link->relay, ret_cause) && ret_cause->code != WR_OK;
}

size_t wr_mqtt_link_first(const struct wr_mqtt_link *link, const uint8_t **ret_bytes) {
    *ret_bytes = NULL;
    return link->relay != NULL ? wr_relay_first(link->relay, ret_bytes) : 0;
}

static void add_relay(struct wr_relay *from, struct wr_mqtt_link_stats *stats) {
    struct wr_relay_stats relay;
    wr_relay_stats(from, &relay);
    stats->sent_bytes += relay.sent_bytes;
    stats->received_bytes += relay.received_bytes;
    stats->wire.sent += relay.wire.sent;
    stats->wire.received += relay.wire.received;
    stats->strangers += relay.strangers;
    stats->acknowledged += relay.acknowledged;
    stats->pauses += relay.pauses;
    stats->paused = relay.paused;
}

void wr_mqtt_link_close(struct wr_mqtt_link *link) {
    struct wr_relay *relay = link->relay;
    if (relay == NULL)
        return;
    (void)pthread_mutex_lock(&link->lock);
    add_relay(relay, &link->stats);
    link->relay = NULL;
    link->stats.paused = false;
    (void)pthread_mutex_unlock(&link->lock);
    wr_relay_close(relay);
}

void wr_mqtt_link_acknowledge(struct wr_mqtt_link *link, uint64_t connection, const struct wr_relay_ack *acks, size_t n) {
    (void)pthread_mutex_lock(&link->lock);
    if (link->relay != NULL && link->connection == connection)
        wr_relay_acknowledge(link->relay, acks, n);
    (void)pthread_mutex_unlock(&link->lock);
}

void wr_mqtt_link_pause(struct wr_mqtt_link *link, bool wanted) {
    (void)pthread_mutex_lock(&link->lock);
    if (link->relay != NULL)
        wr_relay_pause(link->relay, wanted);
    (void)pthread_mutex_unlock(&link->lock);
}

void wr_mqtt_link_cancel(struct wr_mqtt_link *link) {
    (void)eventfd_write(link->wake_fd, 1);
}

void wr_mqtt_link_forget_cancel(struct wr_mqtt_link *link) {
    eventfd_t stale;
    (void)eventfd_read(link->wake_fd, &stale);
}

void wr_mqtt_link_stats(struct wr_mqtt_link *link, struct wr_mqtt_link_stats *ret_stats) {
    (void)pthread_mutex_lock(&link->lock);
    *ret_stats = link->stats;
    if (link->relay != NULL)
        add_relay(link->relay, ret_stats);
    (void)pthread_mutex_unlock(&link->lock);
}
