/* paho, and nothing else: its calls, its callbacks, and what is known about their traps.
 *
 * Callbacks run on paho's threads (or on the one that destroys) with its global lock held: they only copy and enqueue.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "transport/session_private.h"

#define RETAINED_NEVER 2 /* of MQTT 5's retain handling */

static void tell(struct wr_session *session, struct note *note) {
    note->connection = session->connection;
    note->attempt = session->attempt;
    /* A full channel cannot be: the thread takes notes all the time, and a connection makes a handful. Losing one would be healed by the
     * uplink's acknowledgement time-out or the connect's deadline. */
    if (wr_channel_try_send(session->notes, note) != WR_OK)
        session->events_lost++;
}

static void on_connect(void *user, MQTTAsync_successData5 *response) {
    struct note note = {.kind = NOTE_CONNACK};
    MQTTProperties *properties = &response->properties;
    uint32_t receive_max = wr_paho_number(properties, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM, UINT16_MAX);
    note.receive_max = receive_max > UINT16_MAX ? UINT16_MAX : (uint16_t)receive_max;
    note.keepalive_s = (uint16_t)wr_paho_number(properties, MQTTPROPERTY_CODE_SERVER_KEEP_ALIVE, 0);
    note.max_packet_bytes = wr_paho_number(properties, MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE, UINT32_MAX);
    note.retain_available = wr_paho_number(properties, MQTTPROPERTY_CODE_RETAIN_AVAILABLE, 1) != 0;
    note.max_qos = (uint8_t)wr_paho_number(properties, MQTTPROPERTY_CODE_MAXIMUM_QOS, 2);
    tell(user, &note);
}

/* MQTT 3.1.1 has no limits to announce. */
static void on_connect_3(void *user, MQTTAsync_successData *response) {
    (void)response;
    struct note note = {
        .kind = NOTE_CONNACK, .receive_max = UINT16_MAX, .max_packet_bytes = UINT32_MAX, .retain_available = true, .max_qos = 2};
    tell(user, &note);
}

static void on_connect_failure_3(void *user, MQTTAsync_failureData *response) {
    struct note note = {.kind = NOTE_REFUSED, .code = response->code};
    if (response->code > 0)
        note.reason = (uint8_t)response->code;
    (void)snprintf(note.text, sizeof note.text, "%s", response->message != NULL ? response->message : "");
    tell(user, &note);
}

/* Only code, message and, with code 0, reasonCode are sure to be initialised by paho. A CONNACK's return code comes as a positive code. */
static void on_connect_failure(void *user, MQTTAsync_failureData5 *response) {
    struct note note = {.kind = NOTE_REFUSED, .code = response->code};
    if (response->code > 0)
        note.reason = (uint8_t)response->code;
    else if (response->code == 0)
        note.reason = (uint8_t)response->reasonCode;
    (void)snprintf(note.text, sizeof note.text, "%s", response->message != NULL ? response->message : "");
    tell(user, &note);
}

/* Once a handle: each publish in flight fails, and then the connection is lost. */
static void tell_lost(struct wr_session *session) {
    struct note note = {.kind = NOTE_LOST};
    if (atomic_exchange(&session->lost, session->attempt) != session->attempt)
        tell(session, &note);
}

static void on_lost(void *user, char *cause) {
    (void)cause; /* always NULL; the relay knows */
    tell_lost(user);
}

/* paho does not call connectionLost for a DISCONNECT of the broker. */
static void on_disconnected(void *user, MQTTProperties *properties, enum MQTTReasonCodes reason) {
    struct note note = {.kind = NOTE_DISCONNECTED, .reason = (uint8_t)reason};
    const MQTTProperty *why = MQTTProperties_getProperty(properties, MQTTPROPERTY_CODE_REASON_STRING);
    const MQTTProperty *server = MQTTProperties_getProperty(properties, MQTTPROPERTY_CODE_SERVER_REFERENCE);
    if (why != NULL && why->value.data.len > 0)
        (void)wr_error_escape(note.text, sizeof note.text, why->value.data.data, (size_t)why->value.data.len);
    if (server != NULL && server->value.data.len > 0)
        wr_session_note_sent(user, &note, server->value.data.data, (size_t)server->value.data.len);
    tell(user, &note);
}

static void on_goodbye(void *user, MQTTAsync_successData5 *response) {
    (void)response;
    struct note note = {.kind = NOTE_GOODBYE};
    tell(user, &note);
}

static void on_goodbye_failure(void *user, MQTTAsync_failureData5 *response) {
    (void)response;
    struct note note = {.kind = NOTE_GOODBYE};
    tell(user, &note);
}

static void on_goodbye_3(void *user, MQTTAsync_successData *response) {
    (void)response;
    on_goodbye(user, NULL);
}

static void on_goodbye_failure_3(void *user, MQTTAsync_failureData *response) {
    (void)response;
    on_goodbye(user, NULL);
}

static int on_message(void *user, char *topic, int topic_len, MQTTAsync_message *message) {
    struct wr_session *session = user;
    (void)topic_len;
    if (session->config.commands != NULL && message->payloadlen >= 0)
        wr_command_messages_put(session->config.commands, &session->commands, message->payload, (size_t)message->payloadlen,
                                message->retained != 0);
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1; /* 0 would queue it without bound */
}

static void answer(struct slot *slot, enum wr_session_event_kind kind, uint8_t reason) {
    if (!slot->busy) /* and with it everything written before it was set */
        return;
    struct wr_session_event event = {.kind = (uint8_t)kind, .reason = reason, .connection = slot->connection, .id = slot->id};
    struct wr_session *session = slot->session;
    slot->busy = false;
    wr_session_emit(session, &event);
}

static void on_delivered(void *user, MQTTAsync_successData5 *response) {
    answer(user, WR_SESSION_DELIVERED, response != NULL ? (uint8_t)response->reasonCode : 0);
}

static void on_not_delivered(void *user, MQTTAsync_failureData5 *response) {
    struct slot *slot = user;
    if (response->code == 0 && response->reasonCode >= MQTTREASONCODE_UNSPECIFIED_ERROR) {
        answer(slot, WR_SESSION_REFUSED, (uint8_t)response->reasonCode);
        return;
    }
    /* Not sent, or sent without an answer: as a rule the connection is gone, and this comes just before connectionLost. */
    struct wr_session *session = slot->session;
    slot->busy = false;
    tell_lost(session);
}

static void on_delivered_3(void *user, MQTTAsync_successData *response) {
    (void)response;
    answer(user, WR_SESSION_DELIVERED, 0);
}

static void on_not_delivered_3(void *user, MQTTAsync_failureData *response) {
    struct slot *slot = user;
    (void)response;
    struct wr_session *session = slot->session;
    slot->busy = false;
    tell_lost(session);
}

/* -- the subscription to commands: the SUBACK goes to the uplink as it is, since CONNECTED went before the SUBSCRIBE -- */

static void tell_subscribed(struct wr_session *session, uint8_t reason) {
    struct wr_session_event event = {.kind = WR_SESSION_SUBSCRIBED, .reason = reason, .connection = session->connection};
    if (reason >= 0x80 && session->speaks == WR_MQTT_5)
        (void)snprintf(event.text, sizeof event.text, "the broker refuses the subscription to commands: %s (0x%02X)",
                       wr_paho_reason_name(reason), reason);
    else if (reason >= 0x80)
        (void)snprintf(event.text, sizeof event.text, "the broker refuses the subscription to commands");
    wr_session_emit(session, &event);
}

static void on_subscribe(void *user, MQTTAsync_successData5 *response) {
    tell_subscribed(user, (uint8_t)response->reasonCode);
}

static void on_subscribe_3(void *user, MQTTAsync_successData *response) {
    tell_subscribed(user, (uint8_t)response->alt.qos);
}

/* A refusal comes here, and so does the end of the connection. */
static void not_subscribed(struct wr_session *session, uint8_t reason) {
    if (reason >= 0x80)
        tell_subscribed(session, reason);
    else
        tell_lost(session);
}

static void on_subscribe_failure(void *user, MQTTAsync_failureData5 *response) {
    not_subscribed(user, wr_paho_unsubscribed5(response));
}

static void on_subscribe_failure_3(void *user, MQTTAsync_failureData *response) {
    not_subscribed(user, wr_paho_unsubscribed3(response));
}

enum wr_result wr_session_paho_subscribe(struct wr_session *session, const char *topic, struct wr_error *err) {
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    options.context = session;
    if (session->speaks == WR_MQTT_5) {
        options.subscribeOptions.retainHandling = RETAINED_NEVER;
        options.onSuccess5 = on_subscribe;
        options.onFailure5 = on_subscribe_failure;
    } else {
        options.onSuccess = on_subscribe_3;
        options.onFailure = on_subscribe_failure_3;
    }
    int code = MQTTAsync_subscribe(session->open, topic, 1, &options);
    if (code == MQTTASYNC_SUCCESS)
        return WR_OK;
    if (code == MQTTASYNC_DISCONNECTED)
        return WR_CLOSED;
    return wr_error_set(err, code == MQTTASYNC_BAD_UTF8_STRING ? WR_INVALID : WR_IO, "MQTT client: subscribe to '%s': code %d", topic,
                        code);
}

/* paho takes the options of one version only with the handle and the callbacks of that version. */
static MQTTAsync_connectOptions connect_options(struct wr_session *session) {
    MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer5;
    if (session->speaks == WR_MQTT_5) {
        options.cleanstart = 1;
        options.onSuccess5 = on_connect;
        options.onFailure5 = on_connect_failure;
    } else {
        options = (MQTTAsync_connectOptions)MQTTAsync_connectOptions_initializer;
        options.MQTTVersion = MQTTVERSION_3_1_1;
        options.cleansession = 1;
        options.onSuccess = on_connect_3;
        options.onFailure = on_connect_failure_3;
    }
    options.context = session;
    return options;
}

static enum wr_result create(struct wr_session *session, uint16_t port, struct wr_error *err) {
    MQTTAsync_createOptions options = MQTTAsync_createOptions_initializer5;
    options.MQTTVersion = session->speaks == WR_MQTT_5 ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
    options.maxBufferedMessages = (int)session->config.window + 16;
    session->attempt++;
    return wr_paho_create(port, session->config.client_id, &options, &session->paho, err);
}

enum wr_result wr_session_paho_connect(struct wr_session *session, uint16_t port, int64_t timeout_ns, const struct wr_credential *password,
                                       struct wr_error *err) {
    const struct wr_session_config *config = &session->config;
    WR_TRY(create(session, port, err));
    (void)MQTTAsync_setCallbacks(session->paho, session, on_lost, on_message, NULL);
    (void)MQTTAsync_setDisconnected(session->paho, session, on_disconnected);
    MQTTAsync_connectOptions options = connect_options(session);
    MQTTAsync_willOptions will = MQTTAsync_willOptions_initializer;
    if (config->will_topic[0] != '\0') {
        will.topicName = config->will_topic;
        will.message = config->will;
        will.qos = 1;
        will.retained = 1;
        options.will = &will;
    }
    MQTTProperty limit = {.identifier = MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE, .value.integer4 = WR_SESSION_RECEIVED_BYTES};
    MQTTProperties limits = {.count = 1, .max_count = 1, .length = 5, .array = &limit}; /* paho copies them in the call */
    if (config->commands != NULL && session->speaks == WR_MQTT_5)
        options.connectProperties = &limits;
    options.keepAliveInterval = session->keepalives_s[session->broker];
    options.connectTimeout = (int)(timeout_ns / WR_NS_PER_S) + 2; /* ours comes first, and says more */
    options.maxInflight = (int)config->window;
    options.username = config->user;
    options.binarypwd.data = password->data;
    options.binarypwd.len = (int)password->len;
    int code = MQTTAsync_connect(session->paho, &options);
    if (code == MQTTASYNC_SUCCESS)
        return WR_OK;
    wr_session_paho_destroy(session);
    return wr_error_set(err, code == MQTTASYNC_BAD_UTF8_STRING ? WR_INVALID : WR_IO, "MQTT client: connect: code %d", code);
}

bool wr_session_paho_goodbye(struct wr_session *session) {
    MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer5;
    if (session->speaks == WR_MQTT_5) {
        options.onSuccess5 = on_goodbye;
        options.onFailure5 = on_goodbye_failure;
    } else {
        options = (MQTTAsync_disconnectOptions)MQTTAsync_disconnectOptions_initializer;
        options.onSuccess = on_goodbye_3;
        options.onFailure = on_goodbye_failure_3;
    }
    options.context = session;
    return MQTTAsync_disconnect(session->paho, &options) == MQTTASYNC_SUCCESS;
}

void wr_session_paho_destroy(struct wr_session *session) {
    if (session->paho == NULL)
        return;
    wr_paho_destroy(&session->paho);
    for (uint32_t i = 0; i < session->config.window; i++) /* tokens that were still queued inside paho get no callback */
        session->slots[i].busy = false;
}

/* paho copies properties in the call: so they may point into the caller's strings. */
static int property_list(const struct wr_session_publish *publish, MQTTProperty *array) {
    int n = 0;
    if (publish->content_type != NULL) {
        array[n] = (MQTTProperty){.identifier = MQTTPROPERTY_CODE_CONTENT_TYPE};
        array[n].value.data.data = (char *)publish->content_type;
        array[n++].value.data.len = (int)strlen(publish->content_type);
    }
    for (size_t i = 0; i < publish->n_properties; i++) {
        array[n] = (MQTTProperty){.identifier = MQTTPROPERTY_CODE_USER_PROPERTY};
        array[n].value.data.data = (char *)publish->properties[i].name;
        array[n].value.data.len = (int)strlen(publish->properties[i].name);
        array[n].value.value.data = (char *)publish->properties[i].value;
        array[n++].value.value.len = (int)strlen(publish->properties[i].value);
    }
    return n;
}

static size_t property_bytes(const struct wr_session_publish *publish) {
    size_t len = publish->content_type != NULL ? 3 + strlen(publish->content_type) : 0;
    for (size_t i = 0; i < publish->n_properties; i++)
        len += 5 + strlen(publish->properties[i].name) + strlen(publish->properties[i].value);
    return len;
}

static size_t varint_bytes(size_t value) {
    return value < 128 ? 1 : value < 16384 ? 2 : value < 2097152 ? 3 : 4;
}

size_t wr_session_packet_bytes(const struct wr_session_publish *publish, uint8_t version) {
    size_t rest = 2 + strlen(publish->topic) + (publish->qos > 0 ? 2u : 0u) + publish->payload_len;
    if (version == WR_MQTT_5) {
        size_t properties = property_bytes(publish);
        rest += varint_bytes(properties) + properties;
    }
    return 1 + varint_bytes(rest) + rest;
}

static struct slot *take_slot(struct wr_session *session) {
    for (uint32_t i = 0; i < session->config.window; i++) {
        if (!session->slots[i].busy)
            return &session->slots[i];
    }
    return NULL;
}

enum wr_result wr_session_paho_publish(struct wr_session *session, const struct wr_session_publish *publish, struct wr_error *err) {
    struct slot *slot = take_slot(session);
    if (slot == NULL)
        return wr_error_set(err, WR_FULL, "%" PRIu32 " publishes are in flight already", session->config.window);
    slot->connection = publish->connection;
    slot->id = publish->id;
    slot->busy = true;
    MQTTProperty array[WR_SESSION_PROPERTIES + 1];
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    options.context = slot;
    if (session->speaks == WR_MQTT_5) {
        int n = property_list(publish, array);
        options.properties = (MQTTProperties){.count = n, .max_count = n, .length = (int)property_bytes(publish), .array = array};
        options.onSuccess5 = on_delivered;
        options.onFailure5 = on_not_delivered;
    } else {
        options.onSuccess = on_delivered_3;
        options.onFailure = on_not_delivered_3;
    }
    int code = MQTTAsync_send(session->open, publish->topic, (int)publish->payload_len, publish->payload, publish->qos, publish->retained,
                              &options);
    if (code == MQTTASYNC_SUCCESS)
        return WR_OK;
    slot->busy = false;
    if (code == MQTTASYNC_DISCONNECTED)
        return WR_CLOSED;
    return wr_error_set(err, code == MQTTASYNC_BAD_UTF8_STRING ? WR_INVALID : WR_IO, "MQTT client: publish to '%s': code %d",
                        publish->topic, code);
}
