/* paho for the subscriber: its calls and callbacks, for MQTT 5 and 3.1.1. See session_paho.c and paho.h for the traps.
 *
 * Callbacks run on paho's threads (or on the one that destroys) with its global lock held: they only copy and enqueue.
 */
#include <stdio.h>
#include <string.h>

#include "transport/subscriber_private.h"

#define RETAINED_IF_NEW 1 /* of MQTT 5's retain handling */
#define RETAINED_NEVER 2
#define PACKET_HEAD_BYTES                                                                                                                  \
    32 /* of a PUBLISH, beside topic, properties and payload: the broker is told a little more than max_message_bytes */

void wr_subscriber_tell(struct wr_subscriber *subscriber, struct wr_subscriber_note *note) {
    note->connection = subscriber->connection;
    /* The thread takes notes all the time, and a connection makes a handful: full cannot be. A lost one ends in the connect's deadline, or
     * in the keep-alive's. */
    (void)!wr_channel_try_send(subscriber->notes, note);
}

/* Whose callback it is. Everything that was written before its connect is seen: the number of the connection was stored after it. */
static struct wr_subscriber *of(void *user) {
    struct wr_subscriber *subscriber = user;
    (void)atomic_load(&subscriber->connection);
    return subscriber;
}

static void tell_refused(struct wr_subscriber *subscriber, int code, int reason, const char *message) {
    struct wr_subscriber_note note = {.kind = WR_SUBSCRIBER_REFUSED};
    if (code > 0)
        note.reason = (uint8_t)code;
    else if (code == 0)
        note.reason = (uint8_t)reason;
    (void)snprintf(note.text, sizeof note.text, "%s", message != NULL ? message : "");
    wr_subscriber_tell(subscriber, &note);
}

static void on_connect5(void *user, MQTTAsync_successData5 *response) {
    struct wr_subscriber *subscriber = of(user);
    uint32_t asked = subscriber->config.session_expiry_s;
    struct wr_subscriber_note note = {.kind = WR_SUBSCRIBER_CONNACK, .session_present = response->alt.connect.sessionPresent != 0};
    note.session_kept = wr_paho_number(&response->properties, MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL, asked) >= asked;
    note.keepalive_s = (uint16_t)wr_paho_number(&response->properties, MQTTPROPERTY_CODE_SERVER_KEEP_ALIVE, 0);
    wr_subscriber_tell(subscriber, &note);
}

static void on_connect4(void *user, MQTTAsync_successData *response) {
    struct wr_subscriber_note note = {
        .kind = WR_SUBSCRIBER_CONNACK, .session_present = response->alt.connect.sessionPresent != 0, .session_kept = true};
    wr_subscriber_tell(of(user), &note);
}

/* Only code, message and, with code 0, reasonCode are sure to be initialised by paho. A CONNACK's return code comes as a positive code. */
static void on_connect_failure5(void *user, MQTTAsync_failureData5 *response) {
    tell_refused(of(user), response->code, response->code == 0 ? (int)response->reasonCode : 0, response->message);
}

static void on_connect_failure4(void *user, MQTTAsync_failureData *response) {
    tell_refused(of(user), response->code, 0, response->message);
}

static void tell_lost(struct wr_subscriber *subscriber) {
    struct wr_subscriber_note note = {.kind = WR_SUBSCRIBER_LOST};
    if (atomic_exchange(&subscriber->lost, subscriber->connection) != subscriber->connection)
        wr_subscriber_tell(subscriber, &note);
}

static void on_lost(void *user, char *cause) {
    (void)cause; /* always NULL; the relay knows */
    tell_lost(of(user));
}

/* paho does not call connectionLost for a DISCONNECT of the broker. */
static void on_disconnected(void *user, MQTTProperties *properties, enum MQTTReasonCodes reason) {
    (void)properties;
    struct wr_subscriber_note note = {.kind = WR_SUBSCRIBER_DISCONNECTED, .reason = (uint8_t)reason};
    wr_subscriber_tell(of(user), &note);
}

static void tell_goodbye(struct wr_subscriber *subscriber) {
    struct wr_subscriber_note note = {.kind = WR_SUBSCRIBER_GOODBYE};
    wr_subscriber_tell(subscriber, &note);
}

static void on_goodbye5(void *user, MQTTAsync_successData5 *response) {
    (void)response;
    tell_goodbye(of(user));
}

static void on_goodbye_failure5(void *user, MQTTAsync_failureData5 *response) {
    (void)response;
    tell_goodbye(of(user));
}

static void on_goodbye4(void *user, MQTTAsync_successData *response) {
    (void)response;
    tell_goodbye(of(user));
}

static void on_goodbye_failure4(void *user, MQTTAsync_failureData *response) {
    (void)response;
    tell_goodbye(of(user));
}

static int on_message(void *user, char *topic, int topic_len, MQTTAsync_message *message) {
    wr_subscriber_queue_put(of(user), topic, topic_len > 0 ? (size_t)topic_len : strlen(topic), message);
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1; /* 0 would queue it without bound */
}

/* What the broker granted, filter by filter. */
static void tell_suback(struct wr_subscriber *subscriber) {
    struct wr_subscriber_note note = {.kind = WR_SUBSCRIBER_SUBACK};
    wr_subscriber_tell(subscriber, &note);
}

/* Of a single filter paho fills reasonCode only, of several the list only. */
static void on_subscribe5(void *user, MQTTAsync_successData5 *response) {
    struct wr_subscriber *subscriber = of(user);
    size_t n = subscriber->config.n_filters;
    for (size_t i = 0; i < n; i++) {
        bool listed = n > 1 && (int)i < response->alt.sub.reasonCodeCount;
        subscriber->granted[i] = (uint8_t)(listed ? response->alt.sub.reasonCodes[i] : response->reasonCode);
    }
    tell_suback(subscriber);
}

static void on_subscribe4(void *user, MQTTAsync_successData *response) {
    struct wr_subscriber *subscriber = of(user);
    size_t n = subscriber->config.n_filters;
    for (size_t i = 0; i < n; i++)
        subscriber->granted[i] = (uint8_t)(n == 1 ? response->alt.qos : response->alt.qosList[i]);
    tell_suback(subscriber);
}

/* A refusal of the only filter comes here, and so does the end of the connection. */
static void subscribe_failed(struct wr_subscriber *subscriber, uint8_t reason) {
    if (reason < 0x80) {
        tell_lost(subscriber);
        return;
    }
    memset(subscriber->granted, reason, subscriber->config.n_filters);
    tell_suback(subscriber);
}

static void on_subscribe_failure5(void *user, MQTTAsync_failureData5 *response) {
    subscribe_failed(of(user), wr_paho_unsubscribed5(response));
}

static void on_subscribe_failure4(void *user, MQTTAsync_failureData *response) {
    subscribe_failed(of(user), wr_paho_unsubscribed3(response));
}

static void property_number(MQTTProperties *properties, enum MQTTPropertyCodes code, uint32_t value) {
    MQTTProperty property = {.identifier = code};
    if (code == MQTTPROPERTY_CODE_RECEIVE_MAXIMUM)
        property.value.integer2 = (unsigned short)value;
    else
        property.value.integer4 = value;
    (void)MQTTProperties_add(properties, &property); /* fails without memory only: then the broker's own limits hold */
}

static int connect5(struct wr_subscriber *subscriber, MQTTAsync_connectOptions *options) {
    const struct wr_subscriber_config *config = &subscriber->config;
    MQTTProperties properties = MQTTProperties_initializer;
    property_number(&properties, MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL, config->session_expiry_s);
    property_number(&properties, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM, config->receive_max);
    property_number(&properties, MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE, (uint32_t)config->max_message_bytes + PACKET_HEAD_BYTES);
    options->connectProperties = &properties;
    options->cleanstart = config->session_expiry_s == 0;
    options->onSuccess5 = on_connect5;
    options->onFailure5 = on_connect_failure5;
    int code = MQTTAsync_connect(subscriber->paho, options);
    MQTTProperties_free(&properties);
    return code;
}

static int connect4(struct wr_subscriber *subscriber, MQTTAsync_connectOptions *options) {
    options->MQTTVersion = MQTTVERSION_3_1_1;
    options->cleansession = subscriber->config.session_expiry_s == 0;
    options->onSuccess = on_connect4;
    options->onFailure = on_connect_failure4;
    return MQTTAsync_connect(subscriber->paho, options);
}

enum wr_result wr_subscriber_paho_connect(struct wr_subscriber *subscriber, uint16_t port, int64_t timeout_ns,
                                          const struct wr_credential *password, struct wr_error *err) {
    const struct wr_subscriber_config *config = &subscriber->config;
    bool five = subscriber->version == 5;
    MQTTAsync_createOptions create5 = MQTTAsync_createOptions_initializer5;
    MQTTAsync_createOptions create4 = MQTTAsync_createOptions_initializer;
    create4.MQTTVersion = MQTTVERSION_3_1_1;
    WR_TRY(wr_paho_create(port, config->client_id, five ? &create5 : &create4, &subscriber->paho, err));
    (void)MQTTAsync_setCallbacks(subscriber->paho, subscriber, on_lost, on_message, NULL);
    (void)MQTTAsync_setDisconnected(subscriber->paho, subscriber, on_disconnected);
    MQTTAsync_connectOptions options5 = MQTTAsync_connectOptions_initializer5;
    MQTTAsync_connectOptions options4 = MQTTAsync_connectOptions_initializer;
    MQTTAsync_connectOptions *options = five ? &options5 : &options4;
    options->keepAliveInterval = subscriber->keepalive_s;
    options->connectTimeout = (int)(timeout_ns / WR_NS_PER_S) + 2; /* ours comes first, and says more */
    options->username = config->user;
    options->binarypwd.data = password->data;
    options->binarypwd.len = (int)password->len;
    options->context = subscriber;
    int code = five ? connect5(subscriber, options) : connect4(subscriber, options);
    if (code == MQTTASYNC_SUCCESS)
        return WR_OK;
    wr_paho_destroy(&subscriber->paho);
    return wr_error_set(err, code == MQTTASYNC_BAD_UTF8_STRING ? WR_INVALID : WR_IO, "MQTT client: connect: code %d", code);
}

enum wr_result wr_subscriber_paho_subscribe(struct wr_subscriber *subscriber, struct wr_error *err) {
    const struct wr_subscriber_config *config = &subscriber->config;
    char *filters[WR_SUBSCRIBER_FILTERS];
    int qos[WR_SUBSCRIBER_FILTERS];
    MQTTSubscribe_options list[WR_SUBSCRIBER_FILTERS];
    for (size_t i = 0; i < config->n_filters; i++) {
        filters[i] = (char *)config->filters[i];
        qos[i] = config->qos;
        list[i] = (MQTTSubscribe_options)MQTTSubscribe_options_initializer;
        list[i].retainHandling = config->skip_retained ? RETAINED_NEVER : RETAINED_IF_NEW;
    }
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    options.context = subscriber;
    if (subscriber->version == 5) {
        options.onSuccess5 = on_subscribe5;
        options.onFailure5 = on_subscribe_failure5;
        options.subscribeOptions = list[0];
        options.subscribeOptionsCount = (int)config->n_filters;
        options.subscribeOptionsList = list;
    } else {
        options.onSuccess = on_subscribe4;
        options.onFailure = on_subscribe_failure4;
    }
    int code = MQTTAsync_subscribeMany(subscriber->paho, (int)config->n_filters, filters, qos, &options);
    if (code == MQTTASYNC_SUCCESS)
        return WR_OK;
    return wr_error_set(err, code == MQTTASYNC_BAD_UTF8_STRING ? WR_INVALID : WR_IO, "MQTT client: subscribe: code %d", code);
}

bool wr_subscriber_paho_goodbye(struct wr_subscriber *subscriber) {
    MQTTAsync_disconnectOptions options5 = MQTTAsync_disconnectOptions_initializer5;
    MQTTAsync_disconnectOptions options4 = MQTTAsync_disconnectOptions_initializer;
    bool five = subscriber->version == 5;
    MQTTAsync_disconnectOptions *options = five ? &options5 : &options4;
    options->context = subscriber;
    options->onSuccess5 = five ? on_goodbye5 : NULL;
    options->onFailure5 = five ? on_goodbye_failure5 : NULL;
    options->onSuccess = five ? NULL : on_goodbye4;
    options->onFailure = five ? NULL : on_goodbye_failure4;
    return MQTTAsync_disconnect(subscriber->paho, options) == MQTTASYNC_SUCCESS;
}
