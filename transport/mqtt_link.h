/* The way to a broker, one connection after the other: name, TCP, TLS, relay; shared by the session (which sends) and the subscriber (which
 * receives).
 *
 * Promise: what wr_mqtt_link_open gives is a port on 127.0.0.1 for exactly one client of this process, behind which the broker is; a cancel ends a
 * dial at once. Byte counts go over all connections, and can be read while one lives.
 * Threads: open, close, first and broken belong to one thread; acknowledge, pause, cancel and stats to any. Ownership: caller's memory, init/fini; the strings of the
 * configuration must outlive it.
 */
#ifndef WEIR_TRANSPORT_MQTT_LINK_H
#define WEIR_TRANSPORT_MQTT_LINK_H

#include <pthread.h>

#include "transport/credential.h"
#include "transport/relay.h"
#include "transport/tls.h"
#include "transport/url.h"

struct wr_mqtt_link_stats {
    uint64_t sent_bytes; /* MQTT bytes of all connections so far, before TLS */
    uint64_t received_bytes;
    struct wr_wire_bytes wire; /* of all connections, and of handshakes that failed */
    uint64_t strangers;           /* turned away by the relay */
    uint64_t tls_full;            /* handshakes with certificates */
    uint64_t tls_resumed;         /* handshakes shortened by a ticket */
    int64_t cert_expires_wall_ns; /* WR_NEVER_NS: no certificate, or not read yet */
    uint64_t acknowledged;        /* gated: PUBACKs that left */
    uint64_t pauses;
    bool paused;           /* now */
    char tls_warning[256]; /* the last good credentials are in use because ...; "" */
};

struct wr_mqtt_link {
    struct wr_tls *tls;
    struct wr_relay *relay; /* changed by the owner's thread under `lock`, so that a report can count it while it lives */
    int wake_fd;            /* cancels a dial */
    uint64_t connection;    /* how many relays there were */
    pthread_mutex_t lock;   /* over `relay`, `connection` and `stats`; nobody calls paho with it held */
    struct wr_mqtt_link_stats stats;
};

/* On failure nothing is left, and fini is fine. */
WR_MUST_USE enum wr_result wr_mqtt_link_init(struct wr_mqtt_link *link, const struct wr_tls_config *tls, const struct wr_clock *clock,
                                             struct wr_error *err);
void wr_mqtt_link_fini(struct wr_mqtt_link *link);

/* The content of a password file without its newline; NULL: none. */
WR_MUST_USE enum wr_result wr_mqtt_link_password(const char *file, struct wr_credential *ret_password, struct wr_error *err);

/* Dials and opens the relay, gated for a client that receives (NULL: not). A black hole breaks the connection after two keepalives. */
WR_MUST_USE enum wr_result wr_mqtt_link_open(struct wr_mqtt_link *link, const struct wr_url *url, uint16_t keepalive_s,
                                             const struct wr_relay_gated *gated, int64_t deadline_boot_ns, uint16_t *ret_port,
                                             struct wr_error *err);
/* True once the relay has ended for another reason than ours: *ret_cause says which. */
bool wr_mqtt_link_broken(const struct wr_mqtt_link *link, struct wr_error *ret_cause);
/* What the broker sent first, see wr_relay_first; 0 without a relay. */
size_t wr_mqtt_link_first(const struct wr_mqtt_link *link, const uint8_t **ret_bytes);
/* Idempotent. */
void wr_mqtt_link_close(struct wr_mqtt_link *link);

/* Gated, and any thread: as wr_relay_acknowledge and wr_relay_pause; nothing happens where no relay is, or its connection is not this one. */
void wr_mqtt_link_acknowledge(struct wr_mqtt_link *link, uint64_t connection, const struct wr_relay_ack *acks, size_t n);
void wr_mqtt_link_pause(struct wr_mqtt_link *link, bool wanted);

/* Ends the dial that is under way, or the next one, with WR_CANCELED. */
void wr_mqtt_link_cancel(struct wr_mqtt_link *link);
/* Forgets a cancel: before one looks whether the connection is still wanted. */
void wr_mqtt_link_forget_cancel(struct wr_mqtt_link *link);

void wr_mqtt_link_stats(struct wr_mqtt_link *link, struct wr_mqtt_link_stats *ret_stats);

#endif
