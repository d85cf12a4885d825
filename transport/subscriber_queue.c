/* The queue of a subscriber: from paho's callback, which copies a message into the ring, to whoever receives and acknowledges. */
#include <string.h>

#include "transport/subscriber_private.h"

#define ACKS 64 /* converted at a time */

/* ---- paho's side ---- */

static size_t property_bytes(const MQTTAsync_message *message, size_t *ret_n) {
    size_t len = 0;
    size_t n = 0;
    for (int i = 0; message->struct_version >= 1 && i < message->properties.count && n < WR_SUBSCRIBER_PROPERTIES; i++) {
        const MQTTProperty *property = &message->properties.array[i];
        if (property->identifier != MQTTPROPERTY_CODE_USER_PROPERTY)
            continue;
        len += 4 + (size_t)property->value.data.len + (size_t)property->value.value.len;
        n++;
    }
    *ret_n = n;
    return len;
}

static char *put_bytes(char *at, const void *bytes, size_t len) {
    if (len > 0)
        memcpy(at, bytes, len);
    return at + len;
}

static void put_properties(char *at, const MQTTAsync_message *message, size_t n) {
    for (int i = 0; n > 0; i++) {
        const MQTTProperty *property = &message->properties.array[i];
        if (property->identifier != MQTTPROPERTY_CODE_USER_PROPERTY)
            continue;
        uint16_t lens[2] = {(uint16_t)property->value.data.len, (uint16_t)property->value.value.len};
        at = put_bytes(at, lens, sizeof lens);
        at = put_bytes(at, property->value.data.data, lens[0]);
        at = put_bytes(at, property->value.value.data, lens[1]);
        n--;
    }
}

static MQTTLenString content_type_of(const MQTTAsync_message *message) {
    MQTTProperty *property = NULL;
    if (message->struct_version >= 1 && message->properties.count > 0)
        property = MQTTProperties_getProperty((MQTTProperties *)&message->properties, MQTTPROPERTY_CODE_CONTENT_TYPE);
    return property != NULL ? property->value.data : (MQTTLenString){0};
}

/* Half full: TCP shall push back on the broker. The reader takes the pause back; whoever comes second sees what the other did. */
static void pause_reading(struct wr_subscriber *subscriber) {
    (void)pthread_mutex_lock(&subscriber->pause_lock);
    subscriber->pausing = true;
    bool full = wr_message_ring_fill(&subscriber->ring) > subscriber->ring.size / 4;
    subscriber->pausing = full;
    if (full) {
        wr_mqtt_link_pause(&subscriber->link, true);
        subscriber->counters->pauses++;
    }
    (void)pthread_mutex_unlock(&subscriber->pause_lock);
}

/* It will not be taken: so the broker may forget it. */
static void acknowledge_now(struct wr_subscriber *subscriber, const struct wr_subscriber_token *token) {
    if (token->connection != 0)
        wr_subscriber_acknowledge(subscriber, token, 1);
}

static void no_room(struct wr_subscriber *subscriber, uint8_t qos) {
    if (qos == 0) {
        subscriber->counters->dropped++;
        return;
    }
    struct wr_subscriber_note note = {.kind = WR_SUBSCRIBER_OVERRUN};
    subscriber->overrun = true;
    wr_subscriber_tell(subscriber, &note);
}

void wr_subscriber_queue_put(struct wr_subscriber *subscriber, const char *topic, size_t topic_len, const MQTTAsync_message *message) {
    struct wr_subscriber_token token = {0};
    /* QoS 2 comes of a subscription that somebody else made under our client id, and that the broker still keeps. It has no PUBACK, paho answers
     * it by itself: for us it is like QoS 0. */
    const uint8_t qos = message->qos == 1;
    if (qos > 0) {
        token = (struct wr_subscriber_token){
            .connection = subscriber->connection, .number = subscriber->number++, .packet_id = (uint16_t)message->msgid};
        subscriber->qos1++;
    }
    if (subscriber->stopped)
        return;
    if (subscriber->config.skip_retained && message->retained) {
        acknowledge_now(subscriber, &token);
        return;
    }
    size_t n_properties = 0;
    size_t payload_len = (size_t)message->payloadlen;
    MQTTLenString type = content_type_of(message);
    size_t len = topic_len + (size_t)type.len + payload_len + property_bytes(message, &n_properties);
    if (len > subscriber->config.max_message_bytes || topic_len > UINT16_MAX) {
        subscriber->counters->too_long++;
        acknowledge_now(subscriber, &token);
        return;
    }
    size_t max_fill = qos > 0 ? subscriber->ring.size : subscriber->ring.size / 4 * 3;
    struct wr_subscriber_record *record = NULL;
    if (!subscriber->overrun)
        record = wr_message_ring_reserve(&subscriber->ring, sizeof *record + len, max_fill);
    if (record == NULL) {
        no_room(subscriber, qos);
        return;
    }
    *record = (struct wr_subscriber_record){.token = token,
                                            .arrival = wr_clock_now(subscriber->config.clock),
                                            .payload_len = (uint32_t)payload_len,
                                            .topic_len = (uint16_t)topic_len,
                                            .content_type_len = (uint16_t)type.len,
                                            .n_properties = (uint16_t)n_properties,
                                            .qos = qos,
                                            .retained = message->retained != 0,
                                            .dup = message->dup != 0};
    char *at = put_bytes(record->bytes, topic, topic_len);
    at = put_bytes(at, type.data, (size_t)type.len);
    at = put_bytes(at, message->payload, payload_len);
    put_properties(at, message, n_properties);
    subscriber->counters->waiting++;
    wr_message_ring_commit(&subscriber->ring);
    subscriber->counters->messages++;
    subscriber->counters->message_bytes += topic_len + payload_len;
    subscriber->counters->redelivered += message->dup != 0;
    if (!subscriber->pausing && wr_message_ring_fill(&subscriber->ring) > subscriber->ring.size / 2)
        pause_reading(subscriber);
}

void wr_subscriber_queue_renew(struct wr_subscriber *subscriber) {
    subscriber->connection = subscriber->link.connection;
    subscriber->number = 0;
    subscriber->qos1 = 0;
    struct wr_mqtt_link_stats link;
    wr_mqtt_link_stats(&subscriber->link, &link);
    subscriber->acknowledged_before = link.acknowledged;
    subscriber->overrun = false;
    (void)pthread_mutex_lock(&subscriber->pause_lock);
    if (subscriber->pausing)
        wr_mqtt_link_pause(&subscriber->link, true);
    (void)pthread_mutex_unlock(&subscriber->pause_lock);
}

/* ---- the receiver's side ---- */

static void let_go(struct wr_subscriber *subscriber) {
    if (!subscriber->holding)
        return;
    subscriber->holding = false;
    wr_message_ring_release(&subscriber->ring);
    subscriber->counters->waiting--;
    if (!subscriber->pausing && !subscriber->wants_room)
        return;
    if (wr_message_ring_fill(&subscriber->ring) > subscriber->ring.size / 4)
        return;
    (void)pthread_mutex_lock(&subscriber->pause_lock);
    if (subscriber->pausing)
        wr_mqtt_link_pause(&subscriber->link, false);
    subscriber->pausing = false;
    (void)pthread_mutex_unlock(&subscriber->pause_lock);
    struct wr_subscriber_note note = {.kind = WR_SUBSCRIBER_ROOM};
    if (atomic_exchange(&subscriber->wants_room, false))
        wr_subscriber_tell(subscriber, &note);
}

static const char *word(const char *at, size_t len, struct wr_word *ret_word) {
    *ret_word = (struct wr_word){at, len};
    return at + len;
}

static void view(struct wr_subscriber *subscriber, const struct wr_subscriber_record *record, struct wr_subscriber_message *ret_message) {
    *ret_message = (struct wr_subscriber_message){.properties = subscriber->properties,
                                                  .n_properties = record->n_properties,
                                                  .arrival = record->arrival,
                                                  .qos = record->qos,
                                                  .retained = record->retained,
                                                  .dup = record->dup,
                                                  .token = record->token};
    const char *at = word(record->bytes, record->topic_len, &ret_message->topic);
    at = word(at, record->content_type_len, &ret_message->content_type);
    at = word(at, record->payload_len, &ret_message->payload);
    for (size_t i = 0; i < record->n_properties; i++) {
        uint16_t lens[2];
        memcpy(lens, at, sizeof lens);
        at = word(at + sizeof lens, lens[0], &subscriber->properties[i].name);
        at = word(at, lens[1], &subscriber->properties[i].value);
    }
}

enum wr_result wr_subscriber_receive(struct wr_subscriber *subscriber, int64_t deadline_boot_ns,
                                     struct wr_subscriber_message *ret_message) {
    let_go(subscriber);
    for (;;) {
        uint32_t bell = subscriber->ring.bell;
        if (subscriber->woken && atomic_exchange(&subscriber->woken, false))
            return WR_CANCELED;
        const struct wr_subscriber_record *record = wr_message_ring_peek(&subscriber->ring);
        if (record != NULL) {
            subscriber->holding = true;
            view(subscriber, record, ret_message);
            return WR_OK;
        }
        if (subscriber->stopped)
            return WR_CLOSED;
        if (!wr_message_ring_wait(&subscriber->ring, bell, deadline_boot_ns))
            return WR_TIMEOUT;
    }
}

void wr_subscriber_wake(struct wr_subscriber *subscriber) {
    subscriber->woken = true;
    wr_message_ring_wake(&subscriber->ring);
}

void wr_subscriber_acknowledge(struct wr_subscriber *subscriber, const struct wr_subscriber_token *tokens, size_t n) {
    struct wr_relay_ack acks[ACKS];
    size_t n_acks = 0;
    uint64_t connection = 0;
    for (size_t i = 0; i <= n; i++) {
        bool ends = i == n || n_acks == ACKS || (n_acks > 0 && tokens[i].connection != connection);
        if (ends && n_acks > 0) {
            wr_mqtt_link_acknowledge(&subscriber->link, connection, acks, n_acks);
            n_acks = 0;
        }
        if (i == n || tokens[i].connection == 0)
            continue;
        connection = tokens[i].connection;
        acks[n_acks++] = (struct wr_relay_ack){.number = tokens[i].number, .packet_id = tokens[i].packet_id};
    }
}
