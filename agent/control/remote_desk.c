#include "agent/control/remote_desk.h"

#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/remote/remote_bundle.h"
#include "core/limiter.h"
#include "core/log.h"
#include "core/thread.h"
#include "transport/command_messages.h"
#include "transport/jws.h"
#include "transport/session.h"
#include "transport/uplink_messages.h"

#define ANSWER_BYTES 8192 /* every text of an order and of its problem, escaped, takes less */

struct wr_remote_desk {
    struct wr_agent *agent;
    struct wr_channel *commands;
    struct wr_channel *answers;
    struct wr_context *context;
    struct wr_limiter limiter;
    struct wr_command_message message; /* the one it is at: too large for a stack */
    char *key_file;
    pthread_mutex_t lock; /* over the key */
    struct wr_jws_key *key;
    pthread_t thread;
};

/* -- one message -------------------------------------------------------------------------------------------------------------------------- */

/* Waits for its turn. False: the desk stops. */
static bool await_turn(struct wr_remote_desk *desk) {
    static const struct wr_limiter_rate rate = {.tokens = WR_REMOTE_RATE, .burst = WR_COMMANDS, .per_ns = WR_NS_PER_S};
    const struct wr_clock *clock = wr_clock_real();
    while (!wr_limiter_take(&desk->limiter, &rate, 1, wr_clock_boot_ns(clock)))
        if (wr_context_sleep_until(desk->context, wr_limiter_ready(&desk->limiter, &rate, 1, wr_clock_boot_ns(clock))) != WR_OK)
            return false;
    return wr_context_state(desk->context) == WR_OK;
}

/* A newline behind it is none of the message: so a file, or the output of `weir sign`, can be sent as it is. */
static enum wr_result verify(struct wr_remote_desk *desk, struct wr_buf *payload, struct wr_error *err) {
    const char *text = (const char *)desk->message.bytes;
    size_t len = desk->message.len;
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        len--;
    pthread_mutex_lock(&desk->lock);
    const enum wr_result result = wr_jws_verify(desk->key, text, len, payload, err);
    pthread_mutex_unlock(&desk->lock);
    return result;
}

static void send_answer(struct wr_remote_desk *desk, struct wr_buf *text) {
    struct wr_command_answer answer = {.payload_len = text->len};
    answer.payload = wr_buf_steal(text, NULL);
    if (wr_channel_try_send(desk->answers, &answer) != WR_OK) /* closed: the uplink stops */
        free(answer.payload);
}

/* Lines of their own, so that whoever has no key cannot silence what is said of those who have. */
static void log_outcome(enum wr_remote_outcome outcome, const struct wr_error *err) {
    const char *name = wr_remote_outcome_name(outcome);
    if (outcome == WR_REMOTE_UNSIGNED || outcome == WR_REMOTE_SIGNATURE)
        WR_LOG_WITH(WR_LOG_WARN, "commands", "a message that the pinned key has not signed is ignored", WR_LOG_STR("reason", name),
                    WR_LOG_ERR(err));
    else if (outcome != WR_REMOTE_DONE)
        WR_LOG_WITH(WR_LOG_WARN, "commands", "a command over MQTT is not done, or not surely", WR_LOG_STR("reason", name), WR_LOG_ERR(err));
}

static void log_news(enum wr_rollout_news news, uint64_t version, const char *why) {
    if (news == WR_ROLLOUT_ROLLED_BACK)
        WR_LOG_WITH(WR_LOG_WARN, "commands", "a bundle is rolled back", WR_LOG_INT("version", (int64_t)version), WR_LOG_STR("reason", why));
    else
        WR_LOG_WITH(WR_LOG_INFO, "commands", "a bundle is kept: its time of watching is over", WR_LOG_INT("version", (int64_t)version));
}

/* What the one in the shadow would have done, where that has changed. */
static void tell_of_shadow(struct wr_remote_desk *desk, uint64_t version) {
    struct wr_buf answer;
    bool is_news = false;
    wr_buf_init(&answer, ANSWER_BYTES);
    const enum wr_result result = wr_remote_bundle_shadow(desk->agent, version, desk->context, &answer, &is_news);
    if (result == WR_OK && is_news)
        send_answer(desk, &answer);
    else if (result != WR_OK)
        desk->agent->remote_counters.unanswered++;
    wr_buf_fini(&answer);
}

/* A bundle on trial may come to its end. */
static void watch(struct wr_remote_desk *desk) {
    struct wr_rollout *rollout = &desk->agent->rollout;
    struct wr_buf answer;
    uint64_t version;
    const enum wr_rollout_news news = wr_rollout_look(rollout, desk->context, wr_clock_boot_ns(desk->agent->clock), &version);
    if (news == WR_ROLLOUT_SHADOW)
        tell_of_shadow(desk, version);
    if (news == WR_ROLLOUT_NOTHING || news == WR_ROLLOUT_SHADOW)
        return;
    log_news(news, version, rollout->why);
    wr_buf_init(&answer, ANSWER_BYTES);
    if (wr_remote_bundle_news(desk->agent, news, version, &answer) == WR_OK)
        send_answer(desk, &answer);
    else
        desk->agent->remote_counters.unanswered++;
    wr_buf_fini(&answer);
}

static void serve(struct wr_remote_desk *desk) {
    struct wr_remote_counters *counters = &desk->agent->remote_counters;
    struct wr_error err = {0};
    struct wr_buf payload, answer;
    enum wr_remote_outcome outcome;
    wr_buf_init(&payload, WR_COMMAND_BYTES);
    wr_buf_init(&answer, ANSWER_BYTES);
    const enum wr_result result = verify(desk, &payload, &err);
    if (result == WR_OK) {
        enum wr_result answered;
        outcome = (wr_bundle_is(wr_buf_str(&payload), payload.len) ? wr_remote_bundle : wr_remote_order)(
            desk->agent, wr_buf_str(&payload), payload.len, desk->context, &answer, &answered, &err);
        if (answered == WR_OK)
            send_answer(desk, &answer);
        else
            counters->unanswered++;
    } else {
        outcome = result == WR_NO_MEMORY || result == WR_LIMIT ? WR_REMOTE_NO_MEMORY
                  : result == WR_DENIED                        ? WR_REMOTE_SIGNATURE
                                                               : WR_REMOTE_UNSIGNED;
    }
    counters->outcomes[outcome]++;
    log_outcome(outcome, &err);
    wr_buf_fini(&payload);
    wr_buf_fini(&answer);
}

/* The next message. WR_TIMEOUT: it is time to look after a bundle. */
static enum wr_result receive(struct wr_remote_desk *desk) {
    struct wr_context *context;
    const int64_t now_ns = wr_clock_boot_ns(desk->agent->clock);
    const int64_t next_ns = desk->agent->rollout_open ? wr_rollout_next_ns(&desk->agent->rollout, now_ns) : WR_NEVER_NS;
    if (next_ns == WR_NEVER_NS || wr_context_new(desk->context, next_ns, 0, &context, NULL) != WR_OK)
        return wr_channel_recv_context(desk->commands, &desk->message, desk->context);
    enum wr_result result = wr_channel_recv_context(desk->commands, &desk->message, context);
    wr_context_unref(context);
    if (result != WR_OK && wr_context_state(desk->context) == WR_OK && !wr_channel_is_closed(desk->commands))
        result = WR_TIMEOUT;
    return result;
}

static void *run(void *user) {
    struct wr_remote_desk *desk = user;
    wr_thread_name("weir-remote");
    for (;;) {
        const enum wr_result result = receive(desk);
        if (result == WR_OK && await_turn(desk))
            serve(desk);
        else if (result != WR_TIMEOUT)
            return NULL;
        if (desk->agent->rollout_open)
            watch(desk);
    }
}

/* -- life --------------------------------------------------------------------------------------------------------------------------------- */

static void free_desk(struct wr_remote_desk *desk) {
    wr_jws_key_free(desk->key);
    wr_context_unref(desk->context);
    pthread_mutex_destroy(&desk->lock);
    free(desk->key_file);
    free(desk);
}

static enum wr_result prepare(struct wr_remote_desk *desk, const struct wr_config_commands *config, struct wr_error *err) {
    desk->key_file = strdup(config->key_file);
    if (!desk->key_file)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for commands over MQTT");
    WR_TRY(wr_jws_key_read(desk->key_file, &desk->key, err));
    WR_TRY(wr_context_new(NULL, WR_NEVER_NS, 0, &desk->context, err));
    return wr_thread_start(&desk->thread, run, desk, "remote desk", err);
}

enum wr_result wr_remote_desk_start(struct wr_agent *agent, const struct wr_config_commands *config, struct wr_channel *commands,
                                    struct wr_channel *answers, struct wr_remote_desk **ret_desk, struct wr_error *err) {
    struct wr_remote_desk *desk = calloc(1, sizeof *desk);
    if (!desk)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for commands over MQTT");
    desk->agent = agent;
    desk->commands = commands;
    desk->answers = answers;
    pthread_mutex_init(&desk->lock, NULL);
    const enum wr_result result = prepare(desk, config, err);
    if (result == WR_OK)
        *ret_desk = desk;
    else
        free_desk(desk);
    return result;
}

enum wr_result wr_remote_desk_reread(struct wr_remote_desk *desk, struct wr_error *err) {
    struct wr_jws_key *key;
    WR_TRY(wr_jws_key_read(desk->key_file, &key, err));
    pthread_mutex_lock(&desk->lock);
    struct wr_jws_key *old = desk->key;
    desk->key = key;
    pthread_mutex_unlock(&desk->lock);
    wr_jws_key_free(old);
    return WR_OK;
}

void wr_remote_desk_stop(struct wr_remote_desk *desk) {
    if (!desk)
        return;
    wr_context_cancel(desk->context);
    (void)!wr_thread_join(desk->thread, WR_NEVER_NS);
    free_desk(desk);
}

size_t wr_remote_desk_bytes(void) {
    const size_t waiting = WR_COMMANDS * sizeof(struct wr_command_message) +
                           (WR_COMMAND_ANSWERS + WR_UPLINK_ANSWERS) * (sizeof(struct wr_command_answer) + ANSWER_BYTES);
    return sizeof(struct wr_remote_desk) + WR_COMMAND_BYTES + ANSWER_BYTES + sizeof(struct wr_order) + waiting + WR_SESSION_RECEIVED_BYTES;
}
