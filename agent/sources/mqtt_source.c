#include "agent/sources/mqtt_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/sources/intake.h"
#include "agent/sources/mqtt_payload.h"
#include "core/log.h"
#include "core/thread.h"
#include "transport/subscriber.h"

#define PENDING 256                        /* messages between two handovers */
#define TURN_NS WR_NS_PER_MS               /* messages that come soon after each other are taken together, so often at most */
#define ONE_ARRIVAL_NS (10 * WR_NS_PER_MS) /* readings that came within this share the arrival of the first */

struct mqtt {
    struct wr_source source; /* first */
    struct wr_intake intake;
    struct wr_mqtt_payload payload;
    const char *filters[WR_SUBSCRIBER_FILTERS];
    pthread_mutex_t lock; /* over changes of `subscriber`: a report may look at it */
    struct wr_subscriber *subscriber;
    struct wr_context *context; /* ends at the deadline of a stop */
    pthread_t thread;
    bool started;
    _Atomic bool overdue; /* the deadline has passed */
    struct wr_word topic; /* of the message at hand; for messages */
    uint64_t dropped;     /* of the subscriber, booked so far */
    uint64_t too_long;
    struct wr_subscriber_status shown;           /* what the log was told */
    struct wr_subscriber_token pending[PENDING]; /* to be acknowledged after the handover */
    size_t n_pending;
    int64_t arrival_boot_ns; /* of the first of them */
    int64_t turn_boot_ns;    /* when messages were last taken */
    bool dense;              /* they come within a turn of each other */
    bool rested;             /* slept through the turn; what came meanwhile is taken now */
};

static struct mqtt *of(struct wr_source *source) {
    return (struct mqtt *)(void *)source;
}

static void where(void *user, char *text, size_t size) {
    const struct mqtt *mqtt = user;
    (void)wr_error_escape(text, size, mqtt->topic.text, mqtt->topic.len);
}

/* -- what the subscriber says -------------------------------------------------------------------------------------------------------- */

static void tell_status(struct mqtt *mqtt) {
    struct wr_subscriber_status status;
    wr_subscriber_status(mqtt->subscriber, &status);
    const char *name = mqtt->source.env.config->name;
    const char *broker = mqtt->source.env.config->mqtt.broker;
    if (status.connected && !mqtt->shown.connected)
        WR_LOG_WITH(WR_LOG_INFO, "source", "connected to the broker", WR_LOG_STR("source", name), WR_LOG_STR("broker", broker),
                    WR_LOG_STR("mqtt", status.mqtt_version == 5 ? "5" : "3.1.1"),
                    WR_LOG_STR("session", status.session_present ? "kept" : "new"));
    else if (!status.connected && (mqtt->shown.connected || strcmp(status.cause, mqtt->shown.cause) != 0) && status.cause[0] != '\0')
        WR_LOG_WITH(WR_LOG_WARN, "source", "not connected to the broker", WR_LOG_STR("source", name), WR_LOG_STR("broker", broker),
                    WR_LOG_STR("error", status.cause));
    if (status.warning[0] != '\0' && strcmp(status.warning, mqtt->shown.warning) != 0)
        WR_LOG_WITH(WR_LOG_WARN, "source", "the broker does less than was asked", WR_LOG_STR("source", name), WR_LOG_STR("broker", broker),
                    WR_LOG_STR("error", status.warning));
    mqtt->shown = status;
}

/* Messages that found no room, or were too long, never came here: they are booked by their number. */
static void book_losses(struct mqtt *mqtt) {
    struct wr_intake_counters *counters = mqtt->source.env.counters;
    const uint64_t dropped = counters->mqtt.dropped - mqtt->dropped;
    const uint64_t too_long = counters->mqtt.too_long - mqtt->too_long;
    if (dropped > 0) {
        wr_intake_count(counters, WR_BOOK_RECEIVED, dropped);
        wr_intake_count(counters, WR_BOOK_DROPPED_OVERFLOW, dropped);
        WR_LOG_WITH(WR_LOG_WARN, "source", "messages of QoS 0 dropped: the engine is behind, and the buffer full",
                    WR_LOG_STR("source", mqtt->source.env.config->name), WR_LOG_INT("messages", dropped));
    }
    if (too_long > 0) {
        wr_intake_count(counters, WR_BOOK_REJECTED_TOO_LONG, too_long);
        WR_LOG_WITH(WR_LOG_WARN, "source", "messages longer than max_message refused", WR_LOG_STR("source", mqtt->source.env.config->name),
                    WR_LOG_INT("messages", too_long));
    }
    mqtt->dropped += dropped;
    mqtt->too_long += too_long;
}

/* -- taking messages ---------------------------------------------------------------------------------------------------------------- */

/* Hands over what is there; then the broker may forget what it came from. */
static void settle(struct mqtt *mqtt) {
    wr_intake_hand_over(&mqtt->intake);
    wr_subscriber_acknowledge(mqtt->subscriber, mqtt->pending, mqtt->n_pending);
    mqtt->n_pending = 0;
    book_losses(mqtt);
}

/* False: the deadline of a stop has passed, and the message is not taken (or not wholly). */
static bool take(struct mqtt *mqtt, const struct wr_subscriber_message *message) {
    size_t from = 0;
    mqtt->topic = message->topic;
    wr_intake_arrived(&mqtt->intake, &message->arrival);
    atomic_fetch_add_explicit(&mqtt->source.env.counters->bytes, message->topic.len + message->payload.len, memory_order_relaxed);
    while (wr_mqtt_payload_feed(&mqtt->payload, message->topic, message->payload, &from) == WR_FULL) {
        settle(mqtt);
        if (wr_intake_wait(&mqtt->intake, mqtt->context) == WR_OK)
            continue;
        if (message->qos > 0) { /* it will come again */
            wr_mqtt_payload_forget(&mqtt->payload);
            wr_intake_forget(&mqtt->intake);
            return false;
        }
        wr_intake_discard(&mqtt->intake);
    }
    return true;
}

/* The deadline has passed: of QoS 0 it is booked, else it is the broker's. */
static void leave(struct mqtt *mqtt, const struct wr_subscriber_message *message) {
    size_t from = 0;
    wr_intake_discard(&mqtt->intake);
    mqtt->topic = message->topic;
    if (message->qos == 0)
        (void)!wr_mqtt_payload_feed(&mqtt->payload, message->topic, message->payload, &from);
}

static void leave_rest(struct mqtt *mqtt) {
    struct wr_subscriber_message message;
    while (wr_subscriber_receive(mqtt->subscriber, 0, &message) == WR_OK)
        leave(mqtt, &message);
}

/* Sleeps to the end of the turn; false: it is over already. */
static bool end_turn(struct mqtt *mqtt, int64_t now_boot_ns) {
    const int64_t left_ns = mqtt->turn_boot_ns + TURN_NS - now_boot_ns;
    if (left_ns <= 0)
        return false;
    (void)nanosleep(&(struct timespec){.tv_nsec = (long)(left_ns < TURN_NS ? left_ns : TURN_NS)}, NULL);
    mqtt->turn_boot_ns = now_boot_ns + left_ns;
    return true;
}

/* The first message of a turn. Those that come soon after the last turn wait for each other, as in the relay: to wake up, and to wake the
 * engine, for each alone costs more than all else. */
static void take_turn(struct mqtt *mqtt, int64_t now_boot_ns) {
    mqtt->dense = end_turn(mqtt, now_boot_ns);
    if (!mqtt->dense)
        mqtt->turn_boot_ns = now_boot_ns;
}

/* All is taken, and more is likely to come before the turn is over: to be woken up by it, only to sleep on, would cost paho's thread as well. Once:
 * a turn in which nothing came ends with waiting. */
static bool sleeps_on(struct mqtt *mqtt) {
    return mqtt->dense && !mqtt->rested && end_turn(mqtt, wr_clock_boot_ns(wr_clock_real()));
}

static void *run(void *user) {
    struct mqtt *mqtt = user;
    char name[16];
    (void)snprintf(name, sizeof name, "mqtt %.10s", mqtt->source.env.config->name);
    wr_thread_name(name);
    for (;;) {
        struct wr_subscriber_message message;
        const enum wr_result result =
            wr_subscriber_receive(mqtt->subscriber, mqtt->n_pending > 0 || mqtt->rested ? 0 : WR_NEVER_NS, &message);
        if (result == WR_OK) {
            if (mqtt->n_pending == PENDING || (mqtt->n_pending > 0 && message.arrival.boot_ns - mqtt->arrival_boot_ns > ONE_ARRIVAL_NS))
                settle(mqtt);
            if (mqtt->n_pending == 0 && !mqtt->rested)
                take_turn(mqtt, message.arrival.boot_ns);
            mqtt->rested = false;
            const bool overdue = mqtt->overdue;
            if (overdue)
                leave(mqtt, &message);
            if (overdue || !take(mqtt, &message))
                break;
            if (mqtt->n_pending == 0)
                mqtt->arrival_boot_ns = message.arrival.boot_ns;
            mqtt->pending[mqtt->n_pending++] = message.token;
        } else {
            settle(mqtt);
            if (result == WR_CLOSED)
                break;
            if (result == WR_CANCELED)
                tell_status(mqtt);
            mqtt->rested = result == WR_TIMEOUT && sleeps_on(mqtt);
        }
    }
    settle(mqtt);
    if (mqtt->overdue)
        leave_rest(mqtt);
    mqtt->topic = (struct wr_word){"", 0};
    return NULL;
}

/* -- life ------------------------------------------------------------------------------------------------------------------------ */

static void release(struct wr_source *source);

static enum wr_result create(const struct wr_source_env *env, struct wr_source **ret_source, struct wr_error *err) {
    struct mqtt *mqtt = calloc(1, sizeof *mqtt);
    if (!mqtt)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for source %s", env->config->name);
    mqtt->source = (struct wr_source){.ops = &wr_mqtt_source_ops, .env = *env};
    mqtt->topic = (struct wr_word){"", 0};
    (void)pthread_mutex_init(&mqtt->lock, NULL);
    wr_intake_init(&mqtt->intake, &mqtt->source.env);
    mqtt->intake.where = where;
    mqtt->intake.where_user = mqtt;
    enum wr_result result = wr_mqtt_payload_init(&mqtt->payload, env->config, env->config->mqtt.max_message_bytes, &mqtt->intake.sink, err);
    if (result == WR_OK)
        result = wr_context_new(NULL, WR_NEVER_NS, 0, &mqtt->context, err);
    if (result != WR_OK) {
        release(&mqtt->source);
        return result;
    }
    *ret_source = &mqtt->source;
    return WR_OK;
}

/* What a subscriber needs to know. */
static struct wr_subscriber_config session_of(const struct wr_config_source *config, const char *const *filters) {
    const struct wr_config_mqtt *mqtt = &config->mqtt;
    return (struct wr_subscriber_config){
        .url = mqtt->url,
        .tls = {.ca = config->tls.ca, .cert = config->tls.cert, .key = config->tls.key, .crl = config->tls.crl},
        .client_id = mqtt->client_id,
        .user = mqtt->user,
        .password_file = mqtt->password_file,
        .filters = filters,
        .n_filters = mqtt->n_topics,
        .qos = (uint8_t)mqtt->qos,
        .skip_retained = !mqtt->retained,
        .protocol = (enum wr_subscriber_protocol)mqtt->protocol,
        .session_expiry_s = (uint32_t)(mqtt->session_expiry_ns / WR_NS_PER_S),
        .keepalive_s = (uint16_t)(mqtt->keepalive_ns / WR_NS_PER_S),
        .connect_timeout_ns = mqtt->connect_timeout_ns,
        .retry_max_ns = mqtt->retry_max_ns,
        .receive_max = (uint16_t)mqtt->receive_max,
        .buffer_bytes = mqtt->buffer_bytes,
        .max_message_bytes = mqtt->max_message_bytes,
        .tell_changes = true,
    };
}

static void set_subscriber(struct mqtt *mqtt, struct wr_subscriber *subscriber) {
    (void)pthread_mutex_lock(&mqtt->lock);
    mqtt->subscriber = subscriber;
    (void)pthread_mutex_unlock(&mqtt->lock);
}

static void end_subscriber(struct mqtt *mqtt) {
    struct wr_subscriber *subscriber = mqtt->subscriber;
    set_subscriber(mqtt, NULL);
    wr_subscriber_free(subscriber);
}

static enum wr_result start(struct wr_source *source, struct wr_error *err) {
    struct mqtt *mqtt = of(source);
    for (size_t i = 0; i < mqtt->payload.n_patterns; i++)
        mqtt->filters[i] = mqtt->payload.patterns[i].filter;
    struct wr_subscriber_config config = session_of(source->env.config, mqtt->filters);
    config.clock = source->env.clock;
    config.counters = &source->env.counters->mqtt;
    mqtt->dropped = source->env.counters->mqtt.dropped;
    mqtt->too_long = source->env.counters->mqtt.too_long;
    struct wr_subscriber *subscriber;
    WR_TRY(wr_subscriber_new(&config, &subscriber, err));
    set_subscriber(mqtt, subscriber);
    const enum wr_result result = wr_thread_start(&mqtt->thread, run, mqtt, source->env.config->name, err);
    mqtt->started = result == WR_OK;
    if (result != WR_OK)
        end_subscriber(mqtt);
    return result;
}

static enum wr_result stop(struct wr_source *source, int64_t deadline_boot_ns) {
    struct mqtt *mqtt = of(source);
    wr_subscriber_stop(mqtt->subscriber);
    if (wr_thread_join(mqtt->thread, deadline_boot_ns) != WR_OK) {
        mqtt->overdue = true;
        wr_context_cancel(mqtt->context);
        pthread_join(mqtt->thread, NULL);
    }
    mqtt->started = false;
    end_subscriber(mqtt);
    return mqtt->intake.dropped > 0 ? WR_TIMEOUT : WR_OK;
}

static void release(struct wr_source *source) {
    struct mqtt *mqtt = of(source);
    if (mqtt->started)
        (void)stop(source, 0);
    wr_mqtt_payload_fini(&mqtt->payload);
    wr_intake_fini(&mqtt->intake);
    wr_context_unref(mqtt->context);
    (void)pthread_mutex_destroy(&mqtt->lock);
    free(mqtt);
}

static void trouble(struct wr_source *source, char *text, size_t size) {
    struct mqtt *mqtt = of(source);
    (void)pthread_mutex_lock(&mqtt->lock);
    if (mqtt->subscriber) {
        struct wr_subscriber_status status;
        wr_subscriber_status(mqtt->subscriber, &status);
        (void)snprintf(text, size, "%s", status.connected ? status.warning : status.cause[0] != '\0' ? status.cause : "connecting");
    }
    (void)pthread_mutex_unlock(&mqtt->lock);
}

static enum wr_result describe(const struct wr_config_source *config, struct wr_buf *into) {
    WR_TRY(wr_buf_printf(into, " from %s", config->mqtt.broker));
    for (unsigned i = 0; i < config->mqtt.n_topics; i++)
        WR_TRY(wr_buf_printf(into, "%s %s", i == 0 ? ", topics" : "", config->mqtt.topics[i]));
    return wr_buf_printf(into, ", QoS %u", (unsigned)config->mqtt.qos);
}

static size_t bytes(const struct wr_config_source *config, const struct wr_config_limits *limits) {
    const struct wr_subscriber_config session = session_of(config, NULL);
    return sizeof(struct mqtt) + wr_intake_bytes(limits) + wr_mqtt_payload_bytes(config, config->mqtt.max_message_bytes) +
           wr_subscriber_bytes(&session) + 2 * WR_THREAD_STACK_BYTES;
}

const struct wr_source_ops wr_mqtt_source_ops = {.kind = WR_SOURCE_MQTT,
                                                 .name = "mqtt",
                                                 .create = create,
                                                 .start = start,
                                                 .stop = stop,
                                                 .free = release,
                                                 .trouble = trouble,
                                                 .describe = describe,
                                                 .bytes = bytes};
