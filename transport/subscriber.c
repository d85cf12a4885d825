#include "transport/subscriber.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/thread.h"
#include "transport/subscriber_private.h"

#define NOTES 32
#define GOODBYE_NS WR_NS_PER_S
#define BACKOFF_MIN_NS WR_NS_PER_S
#define PACKET_MAX_BYTES (1u << 20)
#define RETURN_CODE_VERSION 1 /* of MQTT 3.1.1: unacceptable protocol version */
#define SHARED "$share/"

static int64_t now_ns(void) {
    return wr_clock_boot_ns(wr_clock_real());
}

/* ---- status ---- */

/* Of the attempt or the connection that just ended; NULL: connected. */
static void set_status(struct wr_subscriber *subscriber, const char *cause, int64_t retry_boot_ns) {
    (void)pthread_mutex_lock(&subscriber->status_lock);
    struct wr_subscriber_status *status = &subscriber->status;
    bool connected = cause == NULL;
    if (status->connected != connected || status->since_boot_ns == 0)
        status->since_boot_ns = now_ns();
    status->connected = connected;
    status->mqtt_version = connected ? subscriber->version : 0;
    status->session_present = connected && subscriber->subscribed.session_present;
    status->retry_boot_ns = retry_boot_ns;
    if (connected || cause[0] != '\0')
        (void)snprintf(status->cause, sizeof status->cause, "%s", connected ? "" : cause);
    (void)pthread_mutex_unlock(&subscriber->status_lock);
    subscriber->counters->connected = connected;
    if (subscriber->config.tell_changes)
        wr_subscriber_wake(subscriber);
}

static void set_warning(struct wr_subscriber *subscriber, const char *warning) {
    (void)pthread_mutex_lock(&subscriber->status_lock);
    (void)snprintf(subscriber->status.warning, sizeof subscriber->status.warning, "%s", warning);
    (void)pthread_mutex_unlock(&subscriber->status_lock);
}

/* ---- taking a connection down ---- */

/* Waits until our DISCONNECT is out, at most GOODBYE_NS. Other notes mean nothing any more: an end stands in `ending` as well. */
static void wait_goodbye(struct wr_subscriber *subscriber) {
    int64_t deadline_ns = now_ns() + GOODBYE_NS;
    struct wr_subscriber_note note;
    while (wr_channel_recv(subscriber->notes, &note, deadline_ns) == WR_OK) {
        if (note.kind == WR_SUBSCRIBER_GOODBYE && note.connection == subscriber->connection)
            return;
    }
}

static void take_down(struct wr_subscriber *subscriber, bool clean) {
    if (clean && subscriber->paho != NULL && subscriber->accepted && wr_subscriber_paho_goodbye(subscriber))
        wait_goodbye(subscriber);
    else
        wr_mqtt_link_close(&subscriber->link);
    wr_paho_destroy(&subscriber->paho);
    wr_mqtt_link_close(&subscriber->link);
    subscriber->accepted = false;
}

/* ---- bringing one up ---- */

/* Why the connect failed or the connection ended: the broker's word first, then what the relay saw. */
static void describe(struct wr_subscriber *subscriber, const struct wr_subscriber_note *note, const char *otherwise, char *text,
                     size_t size) {
    struct wr_error cause;
    if (note->reason >= 0x80) {
        const char *hint = note->reason == MQTTREASONCODE_SESSION_TAKEN_OVER ? ": another client uses the same client id" : "";
        (void)snprintf(text, size, "the broker %s: %s (0x%02X)%s", subscriber->accepted ? "ended the session" : "refused the connection",
                       wr_paho_reason_name(note->reason), note->reason, hint);
    } else if (note->reason > 0 && !subscriber->accepted) { /* the return codes of MQTT 3.1.1 */
        static const char *const names[] = {"",
                                            "unacceptable protocol version",
                                            "client id not allowed",
                                            "server unavailable",
                                            "bad user name or password",
                                            "not authorized"};
        const char *name = note->reason < sizeof names / sizeof names[0] ? names[note->reason] : "unknown return code";
        (void)snprintf(text, size, "the broker refused the connection: %s (%u)", name, (unsigned)note->reason);
    } else if (note->kind == WR_SUBSCRIBER_DISCONNECTED) {
        (void)snprintf(text, size, "the broker ended the session");
    } else if (wr_mqtt_link_broken(&subscriber->link, &cause)) {
        (void)snprintf(text, size, "%s", cause.text);
    } else {
        (void)snprintf(text, size, "%s", otherwise);
    }
}

/* Password, name, TCP, TLS, relay, and paho's connect under way. */
static enum wr_result open_link(struct wr_subscriber *subscriber, int64_t deadline_ns, struct wr_error *err) {
    const struct wr_subscriber_config *config = &subscriber->config;
    struct wr_credential password;
    WR_TRY(wr_mqtt_link_password(config->password_file, &password, err));
    const size_t whole = 4 * config->max_message_bytes; /* longer ones are refused one by one, up to here */
    const struct wr_relay_gated gated = {.packet_max_bytes = whole > PACKET_MAX_BYTES ? whole : PACKET_MAX_BYTES,
                                         .pause_max_ns = subscriber->keepalive_s * WR_NS_PER_S / 2};
    uint16_t port = 0;
    enum wr_result result = wr_mqtt_link_open(&subscriber->link, &config->url, subscriber->keepalive_s, &gated, deadline_ns, &port, err);
    if (result == WR_OK) {
        wr_subscriber_queue_renew(subscriber);
        result = wr_subscriber_paho_connect(subscriber, port, deadline_ns - now_ns(), &password, err);
    }
    wr_credential_free(&password);
    return result;
}

/* Waits for a note of this kind. False with *text: what happened instead; empty when the subscriber ends. */
static bool await(struct wr_subscriber *subscriber, enum wr_subscriber_note_kind kind, int64_t deadline_ns, struct wr_subscriber_note *note,
                  char *text, size_t size) {
    const char *what = kind == WR_SUBSCRIBER_CONNACK ? "MQTT CONNECT" : "MQTT SUBSCRIBE";
    char otherwise[96];
    text[0] = '\0';
    for (;;) {
        *note = (struct wr_subscriber_note){0};
        enum wr_result result = wr_channel_recv(subscriber->notes, note, deadline_ns);
        if (subscriber->ending)
            return false;
        if (result == WR_OK && note->connection != subscriber->connection)
            continue;
        if (result == WR_OK && note->kind == kind)
            return true;
        bool over = note->kind == WR_SUBSCRIBER_REFUSED || note->kind == WR_SUBSCRIBER_LOST || note->kind == WR_SUBSCRIBER_DISCONNECTED ||
                    note->kind == WR_SUBSCRIBER_OVERRUN;
        if (result == WR_OK && !over)
            continue;
        if (result == WR_OK && note->kind == WR_SUBSCRIBER_REFUSED)
            (void)snprintf(otherwise, sizeof otherwise, "what answers there is no MQTT broker (%.40s)", note->text);
        else if (result == WR_OK)
            (void)snprintf(otherwise, sizeof otherwise, "the MQTT connection ended before it began");
        else
            (void)snprintf(otherwise, sizeof otherwise, "the broker did not answer the %s in time", what);
        describe(subscriber, note, otherwise, text, size);
        return false;
    }
}

/* What the broker granted. False: nothing; the refusal is in text. */
static bool look_at_grants(struct wr_subscriber *subscriber, char *text, size_t size) {
    const struct wr_subscriber_config *config = &subscriber->config;
    char warning[WR_SUBSCRIBER_CAUSE_BYTES] = "";
    size_t refused = 0;
    for (size_t i = 0; i < config->n_filters; i++) {
        uint8_t granted = subscriber->granted[i];
        if (granted >= 0x80) {
            refused++;
            (void)snprintf(warning, sizeof warning, "the broker refused the subscription to '%.128s': %s (0x%02X)", config->filters[i],
                           subscriber->version == 5 ? wr_paho_reason_name(granted) : "failure", granted);
        } else if (granted < config->qos && warning[0] == '\0') {
            (void)snprintf(warning, sizeof warning, "the broker grants only QoS %u for '%.128s': messages can be lost", granted,
                           config->filters[i]);
        }
    }
    if (warning[0] == '\0' && config->qos > 0 && config->session_expiry_s > 0 && !subscriber->subscribed.session_kept)
        (void)snprintf(warning, sizeof warning, "the broker keeps our session for a shorter time than we asked for");
    if (warning[0] == '\0' && subscriber->version != 5 && strncmp(config->filters[0], SHARED, strlen(SHARED)) == 0)
        (void)snprintf(warning, sizeof warning,
                       "MQTT 3.1.1 has no shared subscriptions: unless this broker has them all the same, nothing comes for '%.128s'",
                       config->filters[0]);
    set_warning(subscriber, warning);
    if (refused < config->n_filters)
        return true;
    (void)snprintf(text, size, "%s", warning);
    return false;
}

/* Whether MQTT 3.1.1 is worth a try after an attempt with 5 that failed so, or the reverse: the broker named the version as the reason, or
 * closed the connection without an answer, as old ones do. */
static bool other_version_may_do(const struct wr_subscriber *subscriber, const struct wr_subscriber_note *note) {
    struct wr_error cause;
    if (subscriber->config.protocol != WR_SUBSCRIBER_AUTO || subscriber->accepted)
        return false;
    if (note->kind == WR_SUBSCRIBER_REFUSED && note->reason > 0)
        return note->reason == MQTTREASONCODE_UNSUPPORTED_PROTOCOL_VERSION || note->reason == RETURN_CODE_VERSION;
    return (note->kind == WR_SUBSCRIBER_REFUSED || note->kind == WR_SUBSCRIBER_LOST) && wr_mqtt_link_broken(&subscriber->link, &cause) &&
           cause.code == WR_CLOSED;
}

/* One attempt. True: subscribed. False with *text, empty when the subscriber ends. *ret_other: try the other version. */
static bool bring_up(struct wr_subscriber *subscriber, char *text, size_t size, bool *ret_other) {
    *ret_other = false;
    int64_t deadline_ns = wr_clock_add_ns(now_ns(), subscriber->config.connect_timeout_ns);
    struct wr_error err = {0};
    struct wr_subscriber_note note;
    if (open_link(subscriber, deadline_ns, &err) != WR_OK) {
        (void)snprintf(text, size, "%s", err.text);
        return false;
    }
    if (!await(subscriber, WR_SUBSCRIBER_CONNACK, deadline_ns, &note, text, size)) {
        *ret_other = text[0] != '\0' && other_version_may_do(subscriber, &note);
        return false;
    }
    subscriber->accepted = true;
    subscriber->subscribed = note;
    if (note.keepalive_s > 0 && note.keepalive_s < subscriber->keepalive_s)
        subscriber->keepalive_s =
            note.keepalive_s; /* from the next connection on: paho takes it in the CONNECT only, and to connect twice would bring messages twice */
    if (wr_subscriber_paho_subscribe(subscriber, &err) != WR_OK) {
        (void)snprintf(text, size, "%s", err.text);
        return false;
    }
    return await(subscriber, WR_SUBSCRIBER_SUBACK, deadline_ns, &note, text, size) && look_at_grants(subscriber, text, size);
}

/* ---- the thread ---- */

/* Until the time of the next attempt, and until the ring has room. */
static void pause_between(struct wr_subscriber *subscriber, const char *text, int64_t lived_ns) {
    uint64_t random = wr_clock_random_u64(subscriber->config.clock);
    int64_t retry_ns = wr_clock_add_ns(now_ns(), wr_backoff_ended(&subscriber->backoff, lived_ns, random));
    set_status(subscriber, text, retry_ns);
    struct wr_subscriber_note note;
    while (!subscriber->ending && !subscriber->stopped) {
        bool full = false;
        if (subscriber->overrun) { /* first say that one waits, then look */
            subscriber->wants_room = true;
            full = wr_message_ring_fill(&subscriber->ring) > subscriber->ring.size / 4;
        }
        if (!full && now_ns() >= retry_ns)
            break;
        (void)!wr_channel_recv(subscriber->notes, &note, now_ns() >= retry_ns ? WR_NEVER_NS : retry_ns);
    }
    subscriber->wants_room = false;
}

/* Until the connection ends, with its cause in text, or the subscriber does, with none. */
static void stay(struct wr_subscriber *subscriber, char *text, size_t size) {
    struct wr_subscriber_note note;
    text[0] = '\0';
    while (!subscriber->ending && wr_channel_recv(subscriber->notes, &note, WR_NEVER_NS) == WR_OK) {
        if (note.connection != subscriber->connection)
            continue;
        if (note.kind == WR_SUBSCRIBER_OVERRUN) {
            (void)snprintf(text, size,
                           "more unacknowledged messages than the buffer holds: the broker sends them again when there is room");
            return;
        }
        if (note.kind == WR_SUBSCRIBER_LOST || note.kind == WR_SUBSCRIBER_DISCONNECTED) {
            char silent[96];
            (void)snprintf(silent, sizeof silent, "the broker did not answer the keep-alive (%u s)", (unsigned)subscriber->keepalive_s);
            describe(subscriber, &note, silent, text, size);
            return;
        }
    }
}

static void *subscriber_thread(void *user) {
    struct wr_subscriber *subscriber = user;
    wr_thread_name("weir-subscribe");
    char text[WR_SUBSCRIBER_CAUSE_BYTES];
    bool other = false;
    bool tried_other = false;
    while (!subscriber->ending && !subscriber->stopped) {
        int64_t lived_ns = 0;
        if (bring_up(subscriber, text, sizeof text, &other)) {
            int64_t since_ns = now_ns();
            subscriber->counters->connects++;
            set_status(subscriber, NULL, 0);
            stay(subscriber, text, sizeof text);
            lived_ns = now_ns() - since_ns;
        }
        take_down(subscriber, subscriber->ending);
        if (subscriber->ending || subscriber->stopped || text[0] == '\0')
            break;
        const bool goes_on = other && !tried_other; /* with the other version, at once: an older broker is no failure */
        if (other)
            subscriber->version = subscriber->version == 5 ? 4 : 5;
        if (!goes_on) {
            set_status(subscriber, text, 0);
            subscriber->counters->failures++; /* behind its cause: who sees the count may ask for that */
            pause_between(subscriber, text, lived_ns);
        }
        tried_other = goes_on;
    }
    take_down(subscriber, true);
    set_status(subscriber, "", 0);
    return NULL;
}

/* ---- life ---- */

static void release(struct wr_subscriber *subscriber) {
    wr_mqtt_link_fini(&subscriber->link);
    wr_channel_free(subscriber->notes);
    if (subscriber->counters != NULL)
        subscriber->counters->waiting -= wr_message_ring_depth(&subscriber->ring);
    wr_message_ring_fini(&subscriber->ring);
    (void)pthread_mutex_destroy(&subscriber->pause_lock);
    (void)pthread_mutex_destroy(&subscriber->status_lock);
    free(subscriber);
}

static enum wr_result check(const struct wr_subscriber_config *config, struct wr_error *err) {
    if (config->n_filters < 1 || config->n_filters > WR_SUBSCRIBER_FILTERS)
        return wr_error_set(err, WR_INVALID, "subscriber: 1 to %d topic filters", WR_SUBSCRIBER_FILTERS);
    if (config->qos > 1 || config->receive_max < 1 || config->client_id == NULL || config->connect_timeout_ns <= 0 ||
        config->retry_max_ns <= 0 || config->keepalive_s < 1)
        return wr_error_set(err, WR_INVALID, "subscriber: QoS 0 or 1, receive maximum, client id, keepalive and time-outs are needed");
    if (config->buffer_bytes < WR_SUBSCRIBER_BUFFER_MIN || config->max_message_bytes > config->buffer_bytes / 4)
        return wr_error_set(err, WR_INVALID, "subscriber: a buffer of at least %u bytes, and four times the largest message",
                            (unsigned)WR_SUBSCRIBER_BUFFER_MIN);
    return WR_OK;
}

static enum wr_result prepare(struct wr_subscriber *subscriber, struct wr_error *err) {
    const struct wr_subscriber_config *config = &subscriber->config;
    WR_TRY(wr_message_ring_init(&subscriber->ring, config->buffer_bytes, err));
    WR_TRY(wr_mqtt_link_init(&subscriber->link, &config->tls, config->clock, err));
    struct wr_channel_options notes = {
        .name = "subscriber notes", .capacity = NOTES, .element_bytes = sizeof(struct wr_subscriber_note), .policy = WR_CHANNEL_REJECT};
    WR_TRY(wr_channel_new(&notes, &subscriber->notes, err));
    return wr_thread_start(&subscriber->thread, subscriber_thread, subscriber, "subscriber", err);
}

enum wr_result wr_subscriber_new(const struct wr_subscriber_config *config, struct wr_subscriber **ret_subscriber, struct wr_error *err) {
    WR_TRY(check(config, err));
    struct wr_subscriber *subscriber = calloc(1, sizeof *subscriber);
    if (subscriber == NULL)
        return wr_error_set(err, WR_NO_MEMORY, "subscriber: no memory");
    subscriber->config = *config;
    subscriber->counters = config->counters != NULL ? config->counters : &subscriber->own_counters;
    subscriber->link.wake_fd = -1;
    subscriber->keepalive_s = config->keepalive_s;
    subscriber->backoff = (struct wr_backoff){.min_ns = BACKOFF_MIN_NS < config->retry_max_ns ? BACKOFF_MIN_NS : config->retry_max_ns,
                                              .max_ns = config->retry_max_ns,
                                              .stable_ns = WR_SUBSCRIBER_STABLE_NS};
    subscriber->version = config->protocol == WR_SUBSCRIBER_MQTT311 ? 4 : 5;
    (void)pthread_mutex_init(&subscriber->pause_lock, NULL);
    (void)pthread_mutex_init(&subscriber->status_lock, NULL);
    enum wr_result result = prepare(subscriber, err);
    if (result != WR_OK) {
        release(subscriber);
        return result;
    }
    *ret_subscriber = subscriber;
    return WR_OK;
}

static void tell_end(struct wr_subscriber *subscriber) {
    struct wr_subscriber_note note = {.kind = WR_SUBSCRIBER_END};
    if (wr_channel_try_send(subscriber->notes, &note) != WR_OK && subscriber->ending)
        wr_channel_close(subscriber->notes); /* full of others, each of which finds `ending` */
}

void wr_subscriber_stop(struct wr_subscriber *subscriber) {
    subscriber->stopped = true;
    wr_mqtt_link_cancel(&subscriber->link);
    wr_message_ring_wake(&subscriber->ring);
    tell_end(subscriber);
}

void wr_subscriber_free(struct wr_subscriber *subscriber) {
    if (subscriber == NULL)
        return;
    subscriber->stopped = true;
    subscriber->ending = true;
    wr_mqtt_link_cancel(&subscriber->link);
    tell_end(subscriber);
    (void)pthread_join(subscriber->thread, NULL);
    release(subscriber);
}

/* ---- for reports ---- */

void wr_subscriber_stats(struct wr_subscriber *subscriber, struct wr_subscriber_stats *ret_stats) {
    struct wr_mqtt_link_stats link;
    wr_mqtt_link_stats(&subscriber->link, &link);
    uint64_t qos1 = subscriber->qos1;
    uint64_t acknowledged = link.acknowledged - subscriber->acknowledged_before;
    *ret_stats = (struct wr_subscriber_stats){.messages = subscriber->counters->messages,
                                              .message_bytes = subscriber->counters->message_bytes,
                                              .redelivered = subscriber->counters->redelivered,
                                              .dropped = subscriber->counters->dropped,
                                              .too_long = subscriber->counters->too_long,
                                              .acknowledged = link.acknowledged,
                                              .depth = wr_message_ring_depth(&subscriber->ring),
                                              .depth_bytes = wr_message_ring_fill(&subscriber->ring),
                                              .pauses = subscriber->counters->pauses,
                                              .connects = subscriber->counters->connects,
                                              .failures = subscriber->counters->failures,
                                              .sent_bytes = link.sent_bytes,
                                              .received_bytes = link.received_bytes,
                                              .tls_resumed = link.tls_resumed,
                                              .cert_expires_wall_ns = link.cert_expires_wall_ns};
    ret_stats->unacknowledged = qos1 > acknowledged ? qos1 - acknowledged : 0;
}

void wr_subscriber_status(struct wr_subscriber *subscriber, struct wr_subscriber_status *ret_status) {
    struct wr_mqtt_link_stats link;
    wr_mqtt_link_stats(&subscriber->link, &link);
    (void)pthread_mutex_lock(&subscriber->status_lock);
    *ret_status = subscriber->status;
    (void)pthread_mutex_unlock(&subscriber->status_lock);
    ret_status->paused = link.paused;
    if (link.tls_warning[0] != '\0')
        (void)snprintf(ret_status->warning, sizeof ret_status->warning, "%s", link.tls_warning);
}

size_t wr_subscriber_bytes(const struct wr_subscriber_config *config) {
    return sizeof(struct wr_subscriber) + config->buffer_bytes + wr_relay_gated_bytes();
}
