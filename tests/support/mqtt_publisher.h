/* A publisher for tests: MQTT 3.1.1 over plain TCP to 127.0.0.1, as fast as the broker takes it. What it counts is what was sent.
 *
 * Promise: a publish waits for nothing until WR_TEST_PUBLISHER_WINDOW QoS 1 messages are unanswered; flush returns when all are. Any failure
 * fails the test.
 * Threads: one at a time. Ownership: caller's memory, open/close.
 */
#ifndef WEIR_TESTS_SUPPORT_MQTT_PUBLISHER_H
#define WEIR_TESTS_SUPPORT_MQTT_PUBLISHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WR_TEST_PUBLISHER_WINDOW 100

struct wr_test_publisher {
    int fd;
    uint16_t next_id;
    unsigned unanswered;
    uint64_t sent;
    size_t len;
    uint8_t bytes[1 << 17];
};

void wr_test_publisher_open(struct wr_test_publisher *publisher, uint16_t port);
void wr_test_publisher_publish(struct wr_test_publisher *publisher, const char *topic, const void *payload, size_t len, uint8_t qos,
                               bool retained);
/* Everything sent has left, and each QoS 1 message has its PUBACK. */
void wr_test_publisher_flush(struct wr_test_publisher *publisher);
void wr_test_publisher_close(struct wr_test_publisher *publisher);

#endif
