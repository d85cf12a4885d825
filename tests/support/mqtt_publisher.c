#include "tests/support/mqtt_publisher.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static _Noreturn void die(const char *what) {
    perror(what);
    abort();
}

static void send_all(struct wr_test_publisher *publisher) {
    for (size_t from = 0; from < publisher->len;) {
        ssize_t n = send(publisher->fd, publisher->bytes + from, publisher->len - from, MSG_NOSIGNAL);
        if (n <= 0)
            die("publisher: send");
        from += (size_t)n;
    }
    publisher->len = 0;
}

/* Reads answers until at most `left` are missing. */
static void await(struct wr_test_publisher *publisher, unsigned left) {
    send_all(publisher);
    while (publisher->unanswered > left) {
        uint8_t packet[4];
        for (size_t got = 0; got < sizeof packet;) {
            ssize_t n = recv(publisher->fd, packet + got, sizeof packet - got, 0);
            if (n <= 0)
                die("publisher: recv");
            got += (size_t)n;
        }
        if (packet[0] != 0x40 && packet[0] != 0x20)
            die("publisher: not an answer");
        publisher->unanswered--;
    }
}

void wr_test_publisher_open(struct wr_test_publisher *publisher, uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    *publisher = (struct wr_test_publisher){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .unanswered = 1};
    if (publisher->fd < 0 || connect(publisher->fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("publisher: connect");
    static const uint8_t hello[] = {0x10, 12, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 0};
    memcpy(publisher->bytes, hello, sizeof hello);
    publisher->len = sizeof hello;
    await(publisher, 0);
}

void wr_test_publisher_publish(struct wr_test_publisher *publisher, const char *topic, const void *payload, size_t len, uint8_t qos,
                               bool retained) {
    size_t topic_len = strlen(topic);
    size_t rest = 2 + topic_len + (qos > 0 ? 2 : 0) + len;
    if (publisher->len + rest + 5 > sizeof publisher->bytes)
        send_all(publisher);
    if (rest + 5 > sizeof publisher->bytes)
        die("publisher: too long");
    uint8_t *at = publisher->bytes + publisher->len;
    *at++ = (uint8_t)(0x30 | qos << 1 | retained);
    for (size_t left = rest; left > 0 || at == publisher->bytes + publisher->len + 1; left >>= 7)
        *at++ = (uint8_t)((left & 0x7F) | (left > 0x7F ? 0x80 : 0));
    *at++ = (uint8_t)(topic_len >> 8);
    *at++ = (uint8_t)topic_len;
    memcpy(at, topic, topic_len);
    at += topic_len;
    if (qos > 0) {
        publisher->next_id = publisher->next_id == UINT16_MAX ? 1 : publisher->next_id + 1;
        *at++ = (uint8_t)(publisher->next_id >> 8);
        *at++ = (uint8_t)publisher->next_id;
        publisher->unanswered++;
    }
    if (len > 0)
        memcpy(at, payload, len);
    publisher->len = (size_t)(at + len - publisher->bytes);
    publisher->sent++;
    if (publisher->unanswered >= WR_TEST_PUBLISHER_WINDOW)
        await(publisher, WR_TEST_PUBLISHER_WINDOW / 2);
}

void wr_test_publisher_flush(struct wr_test_publisher *publisher) {
    await(publisher, 0);
}

void wr_test_publisher_close(struct wr_test_publisher *publisher) {
    send_all(publisher);
    (void)close(publisher->fd);
    publisher->fd = -1;
}
