/* A tiny MQTT server, of version 5 or 3.1.1, on 127.0.0.1 for what a real broker does not do on command: refusing a publish or a subscription, limits in CONNACK,
 * a DISCONNECT with a reason. It serves one connection after the other and speaks just enough of the protocol.
 *
 * Threads: one of its own; `on_publish` and `on_subscribe` are called there. Ownership: caller's memory, from start to stop.
 */
#ifndef WEIR_TESTS_SUPPORT_MQTT_PEER_H
#define WEIR_TESTS_SUPPORT_MQTT_PEER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WR_TEST_PEER_SILENT 0x100      /* no PUBACK */
#define WR_TEST_PEER_DISCONNECT 0x200  /* instead of a PUBACK: DISCONNECT with the low byte as its reason */
#define WR_TEST_PEER_CLOSE 0x400       /* instead of a PUBACK: close the socket */
#define WR_TEST_PEER_BABBLE 0x800      /* the PUBACK twice, and one for what was never published */

/* How a peer that speaks 3.1.1 only answers a CONNECT of MQTT 5. */
enum wr_test_peer_old {
    WR_TEST_PEER_NOT_OLD, /* it speaks 5 */
    WR_TEST_PEER_OLD_CODE,   /* return code 1, as 3.1.1 has it */
    WR_TEST_PEER_OLD_REASON, /* reason 0x84, as 5 has it */
    WR_TEST_PEER_OLD_CLOSES, /* not at all */
};

/* A PUBLISH of the peer's own. */
struct wr_test_peer_message {
    uint8_t flags; /* of the fixed header: 0x01 retained, 0x02 QoS 1 */
    const char *topic;
    const void *payload;
    size_t payload_len;
};

struct wr_test_peer {
    enum wr_test_peer_old old;
    bool closes_all; /* no CONNECT is answered */
    _Atomic unsigned connects[6]; /* by version */
    _Atomic unsigned keepalive_s; /* of the last CONNECT */
    const uint8_t *connack_properties; /* NULL: none */
    size_t connack_properties_len;
    uint8_t connack_reason;
    uint8_t connack_flags; /* 1: it says that it has kept a session */
    int disconnect_after_connack; /* its reason; 0: none */
    const uint8_t *disconnect_properties; /* of that one; NULL: none */
    size_t disconnect_properties_len;
    /* The PUBACK's reason, or one of the above. packet is the whole PUBLISH behind its fixed header. */
    unsigned (*on_publish)(void *user, const uint8_t *packet, size_t len);
    /* The SUBACK's reason, or WR_TEST_PEER_SILENT or WR_TEST_PEER_CLOSE. packet is the whole SUBSCRIBE behind its fixed header. NULL: it closes. */
    unsigned (*on_subscribe)(void *user, const uint8_t *packet, size_t len);
    const struct wr_test_peer_message *messages; /* sent behind each SUBACK that grants */
    size_t n_messages;
    _Atomic unsigned pubacks; /* to these */
    void *user;
    uint16_t port;
    int listen_fd;
    int stop_fd;
    pthread_t thread;
};

/* Fills port and starts. */
void wr_test_peer_start(struct wr_test_peer *peer);
void wr_test_peer_stop(struct wr_test_peer *peer);

#endif
