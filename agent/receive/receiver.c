#include "agent/receive/receiver.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"

#define TICK_NS WR_NS_PER_S
#define RETRY_FIRST_NS (250 * WR_NS_PER_MS)
#define WHOLE_SINK SIZE_MAX

enum wr_result wr_receiver_init(struct wr_receiver *receiver, const struct wr_receiver_options *options, struct wr_error *err) {
    *receiver = (struct wr_receiver){.options = *options, .quarantine = {.directory_fd = -1}};
    wr_buf_init(&receiver->bytes, 0);
    receiver->tokens = calloc(options->batch_messages, sizeof *receiver->tokens);
    receiver->kept = calloc(options->batch_messages, sizeof *receiver->kept);
    enum wr_result result = receiver->tokens && receiver->kept ? WR_OK : wr_error_set(err, WR_NO_MEMORY, "no memory for a batch");
    if (result == WR_OK)
        result = wr_receive_decoder_init(&receiver->decoder, err);
    if (result == WR_OK)
        result = wr_quarantine_open(&receiver->quarantine, options->quarantine, options->quarantine_max_bytes, err);
    if (result != WR_OK)
        wr_receiver_fini(receiver);
    return result;
}

void wr_receiver_fini(struct wr_receiver *receiver) {
    wr_quarantine_close(&receiver->quarantine);
    wr_receive_decoder_fini(&receiver->decoder);
    wr_buf_fini(&receiver->bytes);
    free(receiver->tokens);
    free(receiver->kept);
    receiver->tokens = NULL;
    receiver->kept = NULL;
}

void wr_receiver_stop(struct wr_receiver *receiver) {
    const uint64_t one = 1;
    receiver->stopping = true;
    if (write(receiver->options.stop_fd, &one, sizeof one) != sizeof one)
        WR_LOG(WR_LOG_DEBUG, "receive", "the stop was said before");
    receiver->options.feed->wake(receiver->options.feed_self);
}

static int64_t now_of(const struct wr_receiver *receiver) {
    return wr_clock_boot_ns(receiver->options.clock);
}

/* -- trouble ---------------------------------------------------------------------------------------------------------------------------------- */

/* Waits before the next attempt, twice as long each time, with jitter; a stop ends it. */
static void pause_for_retry(struct wr_receiver *receiver) {
    const int64_t max_ns = receiver->options.retry_max_ns;
    receiver->retry_ns = receiver->retry_ns == 0 ? RETRY_FIRST_NS : receiver->retry_ns * 2;
    if (receiver->retry_ns > max_ns)
        receiver->retry_ns = max_ns;
    const int64_t jitter_ns = (int64_t)(wr_clock_random_u64(receiver->options.clock) % (uint64_t)(receiver->retry_ns / 2 + 1));
    struct pollfd stop = {.fd = receiver->options.stop_fd, .events = POLLIN};
    (void)poll(&stop, 1, (int)((receiver->retry_ns / 2 + jitter_ns) / WR_NS_PER_MS) + 1);
}

static void say_broken(struct wr_receiver *receiver, const struct wr_error *err) {
    if (!receiver->broken)
        WR_LOG_WITH(WR_LOG_ERROR, "receive", "cannot write, nothing is acknowledged until it works again", WR_LOG_ERR(err));
    receiver->broken = true;
}

static void say_works(struct wr_receiver *receiver) {
    if (receiver->broken)
        WR_LOG(WR_LOG_INFO, "receive", "writing works again");
    receiver->broken = false;
    receiver->retry_ns = 0;
}

/* Into the quarantine, whatever it takes. False: stopped before. */
static bool set_aside(struct wr_receiver *receiver, const struct wr_subscriber_message *message, const char *reason) {
    for (;;) {
        struct wr_error err;
        char shown[160];
        if (wr_quarantine_keep(&receiver->quarantine, message, reason, &err) == WR_OK) {
            say_works(receiver);
            receiver->quarantined++;
            WR_LOG_WITH(WR_LOG_WARN, "receive", "message set aside",
                        WR_LOG_STR("topic", wr_error_escape(shown, sizeof shown, message->topic.text, message->topic.len)),
                        WR_LOG_STR("reason", reason));
            return true;
        }
        say_broken(receiver, &err);
        if (receiver->stopping)
            return false;
        pause_for_retry(receiver);
    }
}

/* -- the batch ---------------------------------------------------------------------------------------------------------------------------------- */

/* A copy of the message, as the next one of the batch; it counts only after the sink has taken it. */
static enum wr_result copy(struct wr_receiver *receiver, const struct wr_subscriber_message *message, struct wr_error *err) {
    struct wr_buf *bytes = &receiver->bytes;
    const size_t at = bytes->len;
    if (wr_buf_reserve(bytes, message->topic.len + message->content_type.len + message->payload.len) != WR_OK ||
        wr_buf_append(bytes, message->topic.text, message->topic.len) != WR_OK ||
        wr_buf_append(bytes, message->content_type.text, message->content_type.len) != WR_OK ||
        wr_buf_append(bytes, message->payload.text, message->payload.len) != WR_OK)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a message of %zu bytes", message->payload.len);
    receiver->kept[receiver->n] = (struct wr_receiver_kept){.topic_at = at,
                                                            .topic_len = message->topic.len,
                                                            .type_len = message->content_type.len,
                                                            .payload_len = message->payload.len,
                                                            .arrival_wall_ns = message->arrival.wall_ns};
    receiver->tokens[receiver->n] = message->token;
    return WR_OK;
}

static struct wr_subscriber_message kept_message(const struct wr_receiver *receiver, size_t entry) {
    const struct wr_receiver_kept *kept = &receiver->kept[entry];
    const char *text = (const char *)receiver->bytes.data + kept->topic_at;
    return (struct wr_subscriber_message){.topic = {text, kept->topic_len},
                                          .content_type = {text + kept->topic_len, kept->type_len},
                                          .payload = {text + kept->topic_len + kept->type_len, kept->payload_len},
                                          .arrival = {.wall_ns = kept->arrival_wall_ns}};
}

/* WR_OK: committed and acknowledged; WR_CANCELED: stopped before. */
static enum wr_result commit(struct wr_receiver *receiver, struct wr_error *err) {
    const struct wr_receive_sink *sink = &receiver->options.sink;
    for (;;) {
        size_t poison = WHOLE_SINK;
        const enum wr_result result = sink->ops->commit(sink->self, &poison, err);
        if (result == WR_OK)
            break;
        if (result == WR_CORRUPT && poison < receiver->n) {
            const struct wr_subscriber_message message = kept_message(receiver, poison);
            if (!set_aside(receiver, &message, err->text))
                return WR_CANCELED;
            sink->ops->drop(sink->self, poison);
            continue;
        }
        if (result == WR_CLOSED || result == WR_CORRUPT || result == WR_LIMIT)
            return result;
        say_broken(receiver, err);
        if (receiver->stopping)
            return WR_CANCELED;
        pause_for_retry(receiver);
    }
    say_works(receiver);
    if (receiver->n > 0)
        receiver->options.feed->acknowledge(receiver->options.feed_self, receiver->tokens, receiver->n);
    receiver->n = 0;
    wr_buf_clear(&receiver->bytes);
    return WR_OK;
}

static bool is_full(const struct wr_receiver *receiver) {
    const struct wr_receive_sink *sink = &receiver->options.sink;
    return receiver->n == receiver->options.batch_messages ||
           sink->ops->bytes(sink->self) + receiver->bytes.len >= receiver->options.batch_bytes;
}

/* Decodes a message into the batch. A failure leaves the batch as it was. */
static enum wr_result add(struct wr_receiver *receiver, const struct wr_subscriber_message *message, struct wr_error *err) {
    struct wr_message_origin origin;
    const size_t before = receiver->bytes.len;
    enum wr_result result = copy(receiver, message, err);
    if (result == WR_OK)
        result = wr_receive_decode(&receiver->decoder, message, receiver->options.prefix, &receiver->options.sink, &origin, err);
    if (result != WR_OK) {
        receiver->bytes.len = before;
        return result;
    }
    if (receiver->n++ == 0)
        receiver->batch_began_ns = now_of(receiver);
    return WR_OK;
}

/* One message into the batch. Poison is set aside and acknowledged at once. */
static enum wr_result take(struct wr_receiver *receiver, const struct wr_subscriber_message *message, struct wr_error *err) {
    for (;;) {
        const enum wr_result result = add(receiver, message, err);
        if (result == WR_OK)
            return WR_OK;
        if (result != WR_NO_MEMORY) {
            if (result != WR_EMPTY && !set_aside(receiver, message, err->text))
                return WR_CANCELED;
            receiver->options.feed->acknowledge(receiver->options.feed_self, &message->token, 1);
            return WR_OK;
        }
        if (receiver->n > 0) { /* a commit gives memory back */
            WR_TRY(commit(receiver, err));
            continue;
        }
        say_broken(receiver, err);
        if (receiver->stopping)
            return WR_CANCELED;
        pause_for_retry(receiver);
    }
}

/* -- the loop ----------------------------------------------------------------------------------------------------------------------------------- */

static void report(struct wr_receiver *receiver, int64_t now_ns) {
    if (receiver->options.report_every_ns == 0 || now_ns - receiver->reported_ns < receiver->options.report_every_ns)
        return;
    receiver->reported_ns = now_ns;
    if (receiver->messages == receiver->reported_messages)
        return;
    receiver->reported_messages = receiver->messages;
    struct wr_sink_counts counts;
    receiver->options.sink.ops->counts(receiver->options.sink.self, &counts);
    WR_LOG_WITH(WR_LOG_INFO, "receive", "received so far", WR_LOG_INT("messages", receiver->messages),
                WR_LOG_INT("segments", counts.segments), WR_LOG_INT("known", counts.known), WR_LOG_INT("aggregates", counts.aggregates),
                WR_LOG_INT("readings", counts.readings), WR_LOG_INT("texts", counts.texts), WR_LOG_INT("set_aside", receiver->quarantined));
}

static enum wr_result step(struct wr_receiver *receiver, struct wr_error *err) {
    const int64_t now_ns = now_of(receiver);
    const int64_t deadline_ns = receiver->n > 0 ? receiver->batch_began_ns + receiver->options.batch_delay_ns : now_ns + TICK_NS;
    struct wr_subscriber_message message;
    enum wr_result result = receiver->options.feed->receive(receiver->options.feed_self, deadline_ns, &message);
    if (result == WR_OK) {
        receiver->messages++;
        WR_TRY(take(receiver, &message, err));
        if (!is_full(receiver) && (receiver->n == 0 || now_of(receiver) < deadline_ns || receiver->n == 1))
            return WR_OK;
    } else if (result == WR_CANCELED) {
        return WR_OK;
    } else if (result != WR_TIMEOUT) {
        WR_TRY(commit(receiver, err));
        return wr_error_set(err, result, "no more messages: %s", wr_result_name(result));
    }
    WR_TRY(commit(receiver, err));
    report(receiver, now_of(receiver));
    return WR_OK;
}

enum wr_result wr_receiver_run(struct wr_receiver *receiver, struct wr_error *err) {
    enum wr_result result = WR_OK;
    receiver->reported_ns = now_of(receiver);
    while (result == WR_OK && !receiver->stopping)
        result = step(receiver, err);
    if (result == WR_OK && receiver->n > 0)
        result = commit(receiver, err);
    if (result == WR_CANCELED) {
        WR_LOG_WITH(WR_LOG_WARN, "receive", "stopped with messages that could not be written: the broker keeps them",
                    WR_LOG_INT("messages", receiver->n));
        return WR_OK;
    }
    return result;
}
