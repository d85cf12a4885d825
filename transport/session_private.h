/* Shared by session.c (the thread), session_cause.c (why it ended) and session_paho.c (paho's functions and callbacks). Nobody else includes it. */
#ifndef WEIR_TRANSPORT_SESSION_PRIVATE_H
#define WEIR_TRANSPORT_SESSION_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "transport/mqtt_link.h"
#include "transport/paho.h"
#include "transport/session.h"
#include "transport/session_version.h"

/* What the session's thread is told: by the uplink (commands) and by paho's callbacks. */
enum note_kind {
    NOTE_CONNECT,
    NOTE_CLOSE,
    NOTE_STOP,
    NOTE_CONNACK,      /* accepted */
    NOTE_REFUSED,      /* connect failed */
    NOTE_LOST,         /* the socket is gone, or a publish failed */
    NOTE_DISCONNECTED, /* the broker sent DISCONNECT with a reason */
    NOTE_GOODBYE,      /* our DISCONNECT is out */
};

struct note {
    uint8_t kind;
    uint8_t reason; /* MQTT reason code, 0: none */
    bool clean;     /* CLOSE */
    bool retain_available;
    uint8_t max_qos;
    uint16_t receive_max;
    uint16_t keepalive_s; /* CONNACK: what the server wants, 0: nothing said */
    uint32_t max_packet_bytes;
    int code; /* of paho, negative */
    uint64_t connection;
    uint64_t attempt; /* of paho's callbacks: which of its handles speaks */
    char text[96];
    uint8_t broker;     /* CONNECT */
    uint8_t sent_to;    /* REFUSED, DISCONNECTED: as in struct wr_session_event */
    char reference[96]; /* the server's, as it may be shown */
};

/* A publish in flight: paho hands it back to the callbacks. */
struct slot {
    struct wr_session *session;
    _Atomic bool busy;
    uint64_t connection;
    uint64_t id;
};

struct wr_session {
    struct wr_session_config config;
    struct wr_mqtt_link link; /* the thread's */
    struct wr_channel *notes;
    pthread_t thread;
    _Atomic uint64_t closed_upto; /* connections up to this number are given up */
    _Atomic bool stopping;
    _Atomic uint64_t connection; /* the present one; read by callbacks */
    _Atomic uint64_t attempt;    /* counts paho's handles: a connect may take two, one for each version */
    _Atomic uint64_t lost;       /* the last attempt whose loss was told: each publish in flight would tell it again */
    unsigned broker;             /* the thread's: of the present connection; written before paho's handle is made, which reads it */
    struct wr_session_version versions[WR_ROUTE_BROKERS]; /* the thread's: what was learnt */
    uint16_t keepalives_s[WR_ROUTE_BROKERS];              /* likewise: what is used with each */
    _Atomic uint8_t speaks;                               /* version of the present handle */
    MQTTAsync paho;                                       /* the thread's */
    bool accepted;                                        /* CONNACK came */
    struct note deferred;         /* a connect that came while another connection said goodbye; connection 0: none */
    pthread_mutex_t publish_lock; /* over `open`: never taken by a callback, so it may be held while calling paho */
    MQTTAsync open;               /* the handle that takes publishes; NULL while there is none */
    _Atomic uint64_t events_lost;
    struct wr_command_counters commands;
    struct slot *slots;
};

void wr_session_emit(struct wr_session *session, const struct wr_session_event *event);

/* In words why the connect failed or the connection ended, with what to do about it; adds to the note what else the broker said. */
void wr_session_describe(struct wr_session *session, struct note *note, const char *otherwise, char *text, size_t size);
/* The server names others. Also called in paho's callbacks. */
void wr_session_note_sent(const struct wr_session *session, struct note *note, const char *reference, size_t len);

/* Creates a handle for 127.0.0.1:port and starts its connect. On failure no handle is left. */
WR_MUST_USE enum wr_result wr_session_paho_connect(struct wr_session *session, uint16_t port, int64_t timeout_ns,
                                                   const struct wr_credential *password, struct wr_error *err);
/* Sends DISCONNECT; NOTE_GOODBYE follows. False when it could not be started. */
bool wr_session_paho_goodbye(struct wr_session *session);
void wr_session_paho_destroy(struct wr_session *session);
/* SUBSCRIBED follows, or NOTE_LOST. */
WR_MUST_USE enum wr_result wr_session_paho_subscribe(struct wr_session *session, const char *topic, struct wr_error *err);
enum wr_result wr_session_paho_publish(struct wr_session *session, const struct wr_session_publish *publish, struct wr_error *err);

#endif
