/* Shared by subscriber.c (the thread), subscriber_paho.c (paho's functions and callbacks) and subscriber_queue.c (the ring between paho and
 * whoever receives). Nobody else includes it.
 */
#ifndef WEIR_TRANSPORT_SUBSCRIBER_PRIVATE_H
#define WEIR_TRANSPORT_SUBSCRIBER_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/backoff.h"
#include "core/channel.h"
#include "transport/message_ring.h"
#include "transport/mqtt_link.h"
#include "transport/paho.h"
#include "transport/subscriber.h"

/* What the subscriber's thread is told. */
enum wr_subscriber_note_kind {
    WR_SUBSCRIBER_CONNACK,      /* accepted */
    WR_SUBSCRIBER_REFUSED,      /* connect failed */
    WR_SUBSCRIBER_SUBACK,       /* `granted` is filled */
    WR_SUBSCRIBER_LOST,         /* the socket is gone, or a subscribe failed */
    WR_SUBSCRIBER_DISCONNECTED, /* the broker sent DISCONNECT with a reason */
    WR_SUBSCRIBER_OVERRUN,      /* a QoS 1 message found no room */
    WR_SUBSCRIBER_ROOM,         /* the ring has room again */
    WR_SUBSCRIBER_GOODBYE,      /* our DISCONNECT is out */
    WR_SUBSCRIBER_END,          /* stop or free was called */
};

struct wr_subscriber_note {
    uint8_t kind;
    uint8_t reason; /* MQTT reason code, or return code of 3.1.1; 0: none */
    bool session_present;
    bool session_kept; /* the broker keeps sessions as long as we asked */
    uint16_t keepalive_s; /* CONNACK: what the server wants, 0: nothing said */
    uint64_t connection;
    char text[96];
};

/* One record of the ring; behind it the bytes: topic, content type, payload, then each user property as two uint16_t lengths and its texts. */
struct wr_subscriber_record {
    struct wr_subscriber_token token;
    struct wr_now arrival;
    uint32_t payload_len;
    uint16_t topic_len;
    uint16_t content_type_len;
    uint16_t n_properties;
    uint8_t qos;
    bool retained;
    bool dup;
    char bytes[];
};

struct wr_subscriber {
    struct wr_subscriber_config config;
    struct wr_mqtt_link link;
    struct wr_channel *notes;
    pthread_t thread;

    /* the thread's */
    MQTTAsync paho;
    bool accepted;   /* CONNACK came */
    uint8_t version; /* of this or the next attempt: 5 or 4 */
    uint16_t keepalive_s; /* likewise */
    struct wr_backoff backoff;
    struct wr_subscriber_note subscribed;

    /* of the present connection; written by the thread before it connects, then by paho's callbacks */
    _Atomic uint64_t connection;
    _Atomic uint64_t number; /* QoS 1 messages so far */
    _Atomic bool overrun; /* one of them found no room: nothing more is taken */
    _Atomic uint64_t lost;                  /* the last one whose loss was told */
    uint8_t granted[WR_SUBSCRIBER_FILTERS]; /* QoS, or 0x80 and above: refused */

    /* the ring */
    struct wr_message_ring ring;
    bool holding;               /* the reader's: the record at the head is out */
    pthread_mutex_t pause_lock; /* over changes of `pausing` */
    _Atomic bool pausing;
    _Atomic bool wants_room;
    _Atomic bool woken;
    struct wr_subscriber_property properties[WR_SUBSCRIBER_PROPERTIES];

    _Atomic bool stopped; /* no more messages */
    _Atomic bool ending;  /* the thread is to end */

    struct wr_subscriber_counters *counters;
    struct wr_subscriber_counters own_counters; /* unless the configuration gave some */
    _Atomic uint64_t qos1;                      /* of the present connection, for `unacknowledged` */
    _Atomic uint64_t acknowledged_before;       /* of the connections before */
    pthread_mutex_t status_lock;
    struct wr_subscriber_status status;
};

/* subscriber_paho.c. Creates a handle for 127.0.0.1:port and starts its connect. On failure no handle is left. */
WR_MUST_USE enum wr_result wr_subscriber_paho_connect(struct wr_subscriber *subscriber, uint16_t port, int64_t timeout_ns,
                                                      const struct wr_credential *password, struct wr_error *err);
/* SUBACK follows, or LOST. */
WR_MUST_USE enum wr_result wr_subscriber_paho_subscribe(struct wr_subscriber *subscriber, struct wr_error *err);
/* Sends DISCONNECT; GOODBYE follows. False when it could not be started. */
bool wr_subscriber_paho_goodbye(struct wr_subscriber *subscriber);

/* subscriber_queue.c. From paho's callback: copies, counts, enqueues. */
void wr_subscriber_queue_put(struct wr_subscriber *subscriber, const char *topic, size_t topic_len, const MQTTAsync_message *message);
/* A connection begins: the pause goes on where it was on. */
void wr_subscriber_queue_renew(struct wr_subscriber *subscriber);

void wr_subscriber_tell(struct wr_subscriber *subscriber, struct wr_subscriber_note *note);

#endif
