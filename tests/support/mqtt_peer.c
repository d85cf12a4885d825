#include "tests/support/mqtt_peer.h"

#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/broker.h"

/* Reads exactly len bytes; false at the end, or when the stop came. */
static bool take(const struct wr_test_peer *peer, int fd, uint8_t *into, size_t len) {
    while (len > 0) {
        struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = peer->stop_fd, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 || fds[1].revents != 0)
            return false;
        ssize_t n = recv(fd, into, len, 0);
        if (n <= 0)
            return false;
        into += n;
        len -= (size_t)n;
    }
    return true;
}

static void give(int fd, const uint8_t *bytes, size_t len) {
    (void)send(fd, bytes, len, MSG_NOSIGNAL);
}

static void give_connack(const struct wr_test_peer *peer, int fd) {
    uint8_t packet[128] = {0x20, (uint8_t)(3 + peer->connack_properties_len), peer->connack_flags, peer->connack_reason,
                           (uint8_t)peer->connack_properties_len};
    if (peer->connack_properties_len > 0)
        memcpy(packet + 5, peer->connack_properties, peer->connack_properties_len);
    give(fd, packet, 5 + peer->connack_properties_len);
}

/* The answer to a CONNECT of MQTT `version`. False: the connection is over. */
static bool answer_connect(struct wr_test_peer *peer, int fd, uint8_t version) {
    peer->connects[version < 6 ? version : 0]++;
    if (peer->closes_all)
        return false;
    if (version == 5 && peer->old != WR_TEST_PEER_NOT_OLD) {
        if (peer->old == WR_TEST_PEER_OLD_CODE)
            give(fd, (const uint8_t[]){0x20, 2, 0, 1}, 4);
        if (peer->old == WR_TEST_PEER_OLD_REASON)
            give(fd, (const uint8_t[]){0x20, 3, 0, 0x84, 0}, 5);
        return false;
    }
    if (version == 5)
        give_connack(peer, fd);
    else
        give(fd, (const uint8_t[]){0x20, 2, 0, peer->connack_reason}, 4);
    return peer->connack_reason == 0;
}

static void give_disconnect(const struct wr_test_peer *peer, int fd, uint8_t reason) {
    uint8_t packet[128] = {0xE0, (uint8_t)(2 + peer->disconnect_properties_len), reason, (uint8_t)peer->disconnect_properties_len};
    if (peer->disconnect_properties_len > 0)
        memcpy(packet + 4, peer->disconnect_properties, peer->disconnect_properties_len);
    give(fd, packet, 4 + peer->disconnect_properties_len);
}

/* False: the connection is over. */
static bool answer_publish(const struct wr_test_peer *peer, int fd, uint8_t version, uint8_t header, const uint8_t *packet, size_t len) {
    if ((header & 0x06) == 0)
        return true; /* QoS 0 */
    unsigned answer = peer->on_publish != NULL ? peer->on_publish(peer->user, packet, len) : 0;
    size_t id_at = 2 + ((size_t)packet[0] << 8 | packet[1]);
    if (answer & WR_TEST_PEER_DISCONNECT)
        give_disconnect(peer, fd, (uint8_t)answer);
    else if (version < 5 && (answer & (WR_TEST_PEER_SILENT | WR_TEST_PEER_CLOSE)) == 0)
        give(fd, (const uint8_t[]){0x40, 2, packet[id_at], packet[id_at + 1]}, 4);
    else if ((answer & (WR_TEST_PEER_SILENT | WR_TEST_PEER_CLOSE)) == 0)
        give(fd, (const uint8_t[]){0x40, 3, packet[id_at], packet[id_at + 1], (uint8_t)answer}, 5);
    if (answer & WR_TEST_PEER_BABBLE)
        give(fd, (const uint8_t[]){0x40, 2, packet[id_at], packet[id_at + 1], 0x40, 2, 0xEE, 0xEE}, 8);
    return (answer & (WR_TEST_PEER_DISCONNECT | WR_TEST_PEER_CLOSE)) == 0;
}

static void give_message(int fd, uint8_t version, uint16_t id, const struct wr_test_peer_message *message) {
    bool acknowledged = (message->flags & 0x06) != 0;
    size_t topic_len = strlen(message->topic);
    size_t rest = 2 + topic_len + (acknowledged ? 2u : 0u) + (version == 5 ? 1u : 0u) + message->payload_len;
    uint8_t head[320] = {(uint8_t)(0x30 | message->flags)};
    size_t n = 1;
    for (size_t left = rest; n == 1 || left > 0; left >>= 7)
        head[n++] = (uint8_t)((left & 0x7F) | (left > 0x7F ? 0x80 : 0));
    head[n++] = (uint8_t)(topic_len >> 8);
    head[n++] = (uint8_t)topic_len;
    memcpy(head + n, message->topic, topic_len);
    n += topic_len;
    if (acknowledged) {
        head[n++] = (uint8_t)(id >> 8);
        head[n++] = (uint8_t)id;
    }
    if (version == 5)
        head[n++] = 0; /* no properties */
    give(fd, head, n);
    give(fd, message->payload, message->payload_len);
}

/* False: the connection is over. */
static bool answer_subscribe(const struct wr_test_peer *peer, int fd, uint8_t version, const uint8_t *packet, size_t len) {
    unsigned answer = peer->on_subscribe != NULL ? peer->on_subscribe(peer->user, packet, len) : WR_TEST_PEER_CLOSE;
    if (answer & (WR_TEST_PEER_SILENT | WR_TEST_PEER_CLOSE))
        return (answer & WR_TEST_PEER_CLOSE) == 0;
    if (version == 5)
        give(fd, (const uint8_t[]){0x90, 4, packet[0], packet[1], 0, (uint8_t)answer}, 6);
    else
        give(fd, (const uint8_t[]){0x90, 3, packet[0], packet[1], (uint8_t)answer}, 5);
    for (size_t i = 0; answer < 0x80 && i < peer->n_messages; i++)
        give_message(fd, version, (uint16_t)(i + 1), &peer->messages[i]);
    return true;
}

static void serve(struct wr_test_peer *peer, int fd) {
    uint8_t version = 0;
    static const size_t max = 1 << 21;
    uint8_t *packet = malloc(max);
    bool more = packet != NULL;
    while (more) {
        uint8_t header = 0;
        uint8_t byte = 0x80;
        size_t len = 0;
        more = take(peer, fd, &header, 1);
        for (unsigned shift = 0; more && (byte & 0x80) != 0; shift += 7) {
            more = shift < 28 && take(peer, fd, &byte, 1);
            len |= (size_t)(byte & 0x7F) << shift;
        }
        more = more && len < max && take(peer, fd, packet, len);
        if (!more)
            break;
        if (header == 0x10) {
            version = len > 6 ? packet[6] : 0;
            peer->keepalive_s = len > 9 ? (unsigned)packet[8] << 8 | packet[9] : 0;
            more = answer_connect(peer, fd, version);
            if (more && peer->disconnect_after_connack != 0)
                give_disconnect(peer, fd, (uint8_t)peer->disconnect_after_connack);
            more = more && peer->disconnect_after_connack == 0;
        } else if ((header & 0xF0) == 0x30) {
            more = answer_publish(peer, fd, version, header, packet, len);
        } else if (header == 0x82) {
            more = answer_subscribe(peer, fd, version, packet, len);
        } else if (header == 0x40) {
            peer->pubacks++;
        } else if (header == 0xC0) {
            give(fd, (const uint8_t[]){0xD0, 0}, 2);
        } else {
            more = false;
        }
    }
    free(packet);
    (void)close(fd);
}

static void *peer_thread(void *user) {
    struct wr_test_peer *peer = user;
    for (;;) {
        struct pollfd fds[2] = {{.fd = peer->listen_fd, .events = POLLIN}, {.fd = peer->stop_fd, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 || fds[1].revents != 0)
            return NULL;
        int fd = accept(peer->listen_fd, NULL, NULL);
        if (fd >= 0)
            serve(peer, fd);
    }
}

void wr_test_peer_start(struct wr_test_peer *peer) {
    peer->listen_fd = wr_test_silent_listener(&peer->port);
    peer->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (peer->stop_fd < 0 || pthread_create(&peer->thread, NULL, peer_thread, peer) != 0)
        abort();
}

void wr_test_peer_stop(struct wr_test_peer *peer) {
    (void)eventfd_write(peer->stop_fd, 1);
    (void)pthread_join(peer->thread, NULL);
    (void)close(peer->listen_fd);
    (void)close(peer->stop_fd);
}
