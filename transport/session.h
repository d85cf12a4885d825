/* One MQTT session after the other over paho, through the relay, behind a table of functions so that the uplink can be driven by a fake.
 *
 * Promise: connect and publish never block; what happens comes as struct wr_session_event through the events channel, each with the number of
 * the connection that it speaks of. A connect ends with exactly one CONNECTED or FAILED, within connect_timeout (a wrong password, a
 * refused certificate, silence: each with its cause); a connected one with LOST, unless it was closed by us. A publish is answered by at most one
 * DELIVERED or REFUSED, a subscribe by at most one SUBSCRIBED; none means that the connection ends. Nothing is kept over a connection: clean start, session expiry 0, no
 * persistence, a new paho handle and a new relay port each time (the store is the truth).
 * MQTT 5, or 3.1.1 where the broker takes nothing newer (transport/session_version.h): CONNECTED tells which. With 3.1.1 a publish has no content
 * type and no properties, and is never refused: such a broker takes it or closes the connection.
 * Several brokers: each connect names one of the list, and what it speaks is remembered for each. A server that sends us elsewhere (reasons 0x9C, 0x9D)
 * is told with the place of the broker that it names in `sent_to`: where to connect next the uplink says, and only ever to one of the list.
 * A broker that offers no QoS 1 is refused with that cause. No automaticReconnect, no sendWhileDisconnected.
 *
 * With `commands`: what arrives for a subscription goes into that channel (transport/command_messages.h). MQTT 5 is told that packets above
 * WR_SESSION_RECEIVED_BYTES are not wanted; 3.1.1 has no way to say so.
 *
 * Threads: one of its own, the only one that creates, connects and destroys paho handles; paho's two; the relay's. connect, publish, subscribe
 * and close are called from one thread (the uplink's). paho's callbacks only copy and enqueue.
 * Ownership: the caller owns the channel, which must have WR_SESSION_EVENTS(window) places and policy REJECT, and outlive the session.
 * Limits: at most `window` publishes in flight. Secrets come from files, are wiped after use and never stand in an event.
 */
#ifndef WEIR_TRANSPORT_SESSION_H
#define WEIR_TRANSPORT_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "core/channel.h"
#include "core/clock.h"
#include "core/result.h"
#include "transport/command_messages.h"
#include "transport/route.h"
#include "transport/session_version.h"
#include "transport/tls.h"
#include "transport/topic.h"
#include "transport/uplink.h"
#include "transport/url.h"
#include "transport/wire_bytes.h"

#define WR_SESSION_EVENTS(window) (2 * (window) + 16)
#define WR_SESSION_PROPERTIES 9
#define WR_SESSION_WILL_BYTES 256
#define WR_SESSION_RECEIVED_BYTES                                                                                                          \
    (2 * WR_COMMAND_BYTES) /* a packet from the broker: far above a command, so that one a little too large is still counted */

struct wr_session;

struct wr_session_config {
    struct wr_url brokers[WR_ROUTE_BROKERS];
    unsigned n_brokers;
    struct wr_tls_config tls; /* the strings must outlive the session, as all below */
    const char *client_id;
    const char *user;           /* NULL: none */
    const char *password_file;  /* NULL: none. One trailing newline is ignored */
    uint16_t keepalive_s;       /* 30; below 10 only for tests. Where the server wants a shorter one, that is used */
    int64_t connect_timeout_ns; /* over name, TCP, TLS and MQTT */
    uint32_t window;
    uint8_t version;                 /* enum wr_mqtt_version; WR_MQTT_AUTO: what the broker takes */
    char will_topic[WR_TOPIC_BYTES]; /* "": no will */
    char will[WR_SESSION_WILL_BYTES];
    struct wr_channel *events;    /* of struct wr_session_event */
    const struct wr_clock *clock; /* only for whether the wall clock is trusted */
    struct wr_channel *commands;  /* of struct wr_command_message, WR_COMMANDS of them, policy REJECT; NULL: nothing is to arrive */
};

struct wr_session_property {
    const char *name;
    const char *value;
};

struct wr_session_publish {
    uint64_t connection;
    uint64_t id;
    const char *topic;
    const void *payload;
    size_t payload_len;
    uint8_t qos;
    bool retained;
    const char *content_type;                     /* NULL: none */
    const struct wr_session_property *properties; /* those of MQTT 5; not sent with 3.1.1 */
    size_t n_properties;                          /* <= WR_SESSION_PROPERTIES */
};

/* `self` is whatever the implementation is. */
struct wr_session_ops {
    /* To the broker at this place in the list. WR_FULL when too many commands wait. */
    enum wr_result (*connect)(void *self, uint64_t connection, unsigned broker);
    /* WR_CLOSED: that connection is over (LOST follows or came); anything else is a failure with a text. Copies the payload. */
    enum wr_result (*publish)(void *self, const struct wr_session_publish *publish, struct wr_error *err);
    /* QoS 1, without retained messages. Results as of publish. */
    enum wr_result (*subscribe)(void *self, uint64_t connection, const char *topic, struct wr_error *err);
    /* Gives a connection up; no event of it matters any more. clean: a DISCONNECT goes first, so that the broker keeps the will back. */
    void (*close)(void *self, uint64_t connection, bool clean);
    /* What all connections have cost on the wire so far. NULL: nobody counts. */
    void (*wire)(void *self, struct wr_wire_bytes *ret_bytes);
};

struct wr_session_stats {
    uint64_t sent_bytes; /* MQTT bytes of all connections so far, before TLS */
    uint64_t received_bytes;
    struct wr_wire_bytes wire; /* TLS and TCP, of all connections so far */
    uint64_t strangers;           /* turned away by the relay */
    uint64_t events_lost;         /* the events channel was full: the acknowledgement time-out heals it */
    uint64_t tls_full;            /* handshakes with certificates */
    uint64_t tls_resumed;         /* handshakes shortened by a ticket */
    int64_t cert_expires_wall_ns; /* WR_NEVER_NS: no certificate, or not read yet */
    char tls_warning[256];        /* the last good credentials are in use because ...; "" */
    struct wr_command_counts commands;
};

/* The size of the packet that a publish makes in this version of MQTT, for the server's maximum packet size. */
size_t wr_session_packet_bytes(const struct wr_session_publish *publish, uint8_t version);

/* Checks the configuration and starts the thread; reads no file yet. */
WR_MUST_USE enum wr_result wr_session_new(const struct wr_session_config *config, struct wr_session **ret_session, struct wr_error *err);
/* The table for a struct wr_session as self. */
const struct wr_session_ops *wr_session_ops(void);
void wr_session_stats(struct wr_session *session, struct wr_session_stats *ret_stats);
/* Ends what is up (a connect that waits is cancelled), joins the thread. At most about two seconds: paho sleeps. NULL is fine. */
void wr_session_free(struct wr_session *session);

#endif
