/* The subscriber: an MQTT session that receives, keeps itself up, and acknowledges a message only when it is told to.
 *
 * Promise: it connects through the relay (plain or TLS), subscribes, and connects again after every loss, with full jitter; the backoff starts
 * anew only after a connection that lived for WR_SUBSCRIBER_STABLE_NS. Starting offline is normal; why it is offline is in the status. MQTT 5,
 * and 3.1.1 with a broker that speaks nothing newer.
 * Messages wait in one ring of fixed size (buffer_bytes), in the order in which they arrived, until wr_subscriber_receive hands them out.
 * QoS 1: the PUBACK is held back in the relay until wr_subscriber_acknowledge, and PUBACKs leave in the order of arrival (MQTT-4.6.0-2). What is
 * not acknowledged when the connection ends, or the process, is sent again by the broker, with `dup` set: so a message may come twice, and
 * none is lost, as long as the broker keeps the session (session_expiry_s > 0) and its queue.
 * When the ring is half full the relay stops reading and TCP pushes back on the broker, for at most half a keepalive at a time: then it reads
 * for a quarter, so that the answer to a PINGREQ comes through. What arrives meanwhile and finds no room: QoS 0 is dropped and counted;
 * for QoS 1 the connection is given up and comes back when the ring has room: the broker sends again what was not acknowledged.
 *
 * QoS 2 is never asked for; where a broker sends it for a subscription of somebody else under our client id, it is handed out as QoS 0.
 *
 * Threads: one of its own (the only one that creates and destroys paho handles), paho's two, the relay's. receive from one thread at a time;
 * acknowledge, wake, stats, status from any. paho's callback only copies into the ring.
 * Ownership: the strings of the configuration must outlive the subscriber. A message points into the ring, until the next receive (or
 * free); its token is a value, good for ever: of a connection that is over it means nothing, and is ignored.
 * Limits: WR_SUBSCRIBER_FILTERS filters; receive_max unacknowledged messages, which a broker of MQTT 5 should keep to (mosquitto 2.0.11 does not,
 * once a PUBACK came; with 3.1.1 a broker has a limit of its own, as a rule 20): nothing relies on it but the speed; a message of more than max_message_bytes is not taken (MQTT 5: the broker is told so and
 * does not send it; with 3.1.1 it is acknowledged, dropped and counted as too long).
 * Secrets come from files, are wiped after use and never stand in a text.
 * Source: MQTT 5.0 and 3.1.1 (OASIS), 4.3.2, 4.4, 4.6, 4.9.
 */
#ifndef WEIR_TRANSPORT_SUBSCRIBER_H
#define WEIR_TRANSPORT_SUBSCRIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/result.h"
#include "core/series.h"
#include "transport/subscriber_counters.h"
#include "transport/tls.h"
#include "transport/url.h"

#define WR_SUBSCRIBER_FILTERS 64
#define WR_SUBSCRIBER_PROPERTIES 16
#define WR_SUBSCRIBER_CAUSE_BYTES 256
#define WR_SUBSCRIBER_STABLE_NS (60 * WR_NS_PER_S)
#define WR_SUBSCRIBER_BUFFER_MIN (512u << 10) /* bytes of the ring: what a pause cannot stop any more must fit into its other half */

struct wr_subscriber;

enum wr_subscriber_protocol { WR_SUBSCRIBER_AUTO, WR_SUBSCRIBER_MQTT5, WR_SUBSCRIBER_MQTT311 };

struct wr_subscriber_config {
    struct wr_url url;
    struct wr_tls_config tls;
    const char *client_id;      /* one client a broker: two with the same id throw each other out */
    const char *user;           /* NULL: none */
    const char *password_file;  /* NULL: none. One trailing newline is ignored */
    const char *const *filters; /* as in SUBSCRIBE: "sensors/+/temp", "$share/group/weir/1/#" */
    size_t n_filters;
    uint8_t qos;        /* 0 or 1, asked for all filters */
    bool skip_retained; /* messages that the broker kept from before: not wanted */
    enum wr_subscriber_protocol protocol;
    uint32_t session_expiry_s;               /* how long the broker keeps our session while we are away; 0: clean start, nothing is kept */
    uint16_t keepalive_s;                    /* 30; below 10 only for tests */
    int64_t connect_timeout_ns;              /* over name, TCP, TLS and MQTT */
    int64_t retry_max_ns;                    /* longest pause between two attempts */
    uint16_t receive_max;                    /* unacknowledged at a time, > 0 */
    size_t buffer_bytes;                     /* of the ring, >= WR_SUBSCRIBER_BUFFER_MIN */
    size_t max_message_bytes;                /* topic, properties and payload; <= buffer_bytes / 4 */
    const struct wr_clock *clock;            /* whether the wall clock is trusted, and randomness */
    struct wr_subscriber_counters *counters; /* counts here; outlives the subscriber. NULL: in its own */
    bool tell_changes;                       /* receive also returns WR_CANCELED when the status has changed */
};

struct wr_subscriber_token {
    uint64_t connection; /* 0: nothing to acknowledge (QoS 0) */
    uint64_t number;     /* which of the QoS 1 messages of this connection, from 0 */
    uint16_t packet_id;
};

struct wr_subscriber_property {
    struct wr_word name;
    struct wr_word value;
};

struct wr_subscriber_message {
    struct wr_word topic;
    struct wr_word payload;
    struct wr_word content_type;                     /* len 0: none */
    const struct wr_subscriber_property *properties; /* user properties; of more than WR_SUBSCRIBER_PROPERTIES the first ones */
    size_t n_properties;
    struct wr_now arrival; /* when it came out of the socket */
    uint8_t qos;
    bool retained;
    bool dup; /* sent before; of our acknowledgement the broker knows nothing */
    struct wr_subscriber_token token;
};

struct wr_subscriber_stats {
    uint64_t messages;       /* taken into the ring */
    uint64_t message_bytes;  /* topic and payload of these */
    uint64_t redelivered;    /* of these: dup */
    uint64_t dropped;        /* QoS 0 without room */
    uint64_t too_long;       /* more than max_message_bytes */
    uint64_t acknowledged;   /* PUBACKs that have left for the broker */
    uint64_t unacknowledged; /* now: QoS 1 messages of this connection without one */
    uint64_t depth;          /* messages in the ring now */
    uint64_t depth_bytes;
    uint64_t pauses;     /* times that the relay stopped reading */
    uint64_t connects;   /* connections that got as far as subscribed */
    uint64_t failures;   /* attempts that did not, and connections that were lost */
    uint64_t sent_bytes; /* MQTT bytes of all connections so far, before TLS */
    uint64_t received_bytes;
    uint64_t tls_resumed;
    int64_t cert_expires_wall_ns; /* WR_NEVER_NS: no certificate, or not read yet */
};

struct wr_subscriber_status {
    bool connected; /* subscribed, too */
    bool paused;
    bool session_present;                    /* the broker had kept our session: what came while we were away follows */
    uint8_t mqtt_version;                    /* 5 or 4 (3.1.1) of the present connection; 0 while there is none */
    int64_t since_boot_ns;                   /* connected, or not, since then */
    int64_t retry_boot_ns;                   /* the next attempt; 0: connected, or under way */
    char cause[WR_SUBSCRIBER_CAUSE_BYTES];   /* why it is not connected; "" when it is, or before the first attempt ended */
    char warning[WR_SUBSCRIBER_CAUSE_BYTES]; /* the last good credentials are in use because ..., the broker granted only QoS 0 ...; "" */
};

/* Checks the configuration, starts the thread; reads no file yet. WR_INVALID, WR_NO_MEMORY, WR_IO. */
WR_MUST_USE enum wr_result wr_subscriber_new(const struct wr_subscriber_config *config, struct wr_subscriber **ret_subscriber,
                                             struct wr_error *err);

/* The next message, whether connected or not. The message before it goes out of reach. WR_OK; WR_TIMEOUT; WR_CANCELED: wr_subscriber_wake
 * was called (or the status changed, with tell_changes); WR_CLOSED: wr_subscriber_stop was called and the ring is empty. */
WR_MUST_USE enum wr_result wr_subscriber_receive(struct wr_subscriber *subscriber, int64_t deadline_boot_ns,
                                                 struct wr_subscriber_message *ret_message);
/* The messages of these tokens are safe: their PUBACKs may go. Any order, any thread; never blocks on the network. Those of QoS 0 and of
 * connections that are over are passed over. */
void wr_subscriber_acknowledge(struct wr_subscriber *subscriber, const struct wr_subscriber_token *tokens, size_t n);
/* Makes the present or the next receive return WR_CANCELED once. */
void wr_subscriber_wake(struct wr_subscriber *subscriber);

void wr_subscriber_stats(struct wr_subscriber *subscriber, struct wr_subscriber_stats *ret_stats);
void wr_subscriber_status(struct wr_subscriber *subscriber, struct wr_subscriber_status *ret_status);

/* No new messages from now on; what is in the ring can still be received and acknowledged. Does not wait. Idempotent. */
void wr_subscriber_stop(struct wr_subscriber *subscriber);
/* Stops if need be; PUBACKs that may go are sent, then a DISCONNECT; joins its thread. At most about two seconds: paho sleeps.
 * NULL is fine. */
void wr_subscriber_free(struct wr_subscriber *subscriber);

/* Memory of one subscriber, paho's own not counted. */
size_t wr_subscriber_bytes(const struct wr_subscriber_config *config);

#endif
