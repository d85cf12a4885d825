#include "agent/sources/http_source.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/codec/codec.h"
#include "agent/codec/line.h"
#include "agent/http/http_gate.h"
#include "agent/sources/intake.h"
#include "core/log.h"
#include "core/thread.h"

#define NAMED 5      /* refusals that an answer puts into words */
#define WAITING 1024 /* deliveries: the connections of the server are fewer, or the rest is told to come again */

struct wr_http_source {
    struct wr_source source; /* first */
    struct wr_intake intake;
    struct wr_line_parser lines;
    struct wr_codec json;
    struct wr_http_tokens tokens;
    struct wr_http_inbox inbox;
    pthread_t thread;
    bool started;
    bool cut; /* a delivery was left in the middle */
    struct wr_http_delivery *current;
    size_t message_len;
};

static struct wr_http_source *of(struct wr_source *source) {
    return (struct wr_http_source *)(void *)source;
}

/* -- one delivery ---------------------------------------------------------------------------------------------------------------------- */

static void where(void *user, char *text, size_t size) {
    const struct wr_http_source *source = user;
    snprintf(text, size, "%s", source->current ? source->current->peer : "");
}

/* Every refusal comes by here, the parser's and the intake's: for the answer. */
static void note_refusal(void *user, const struct wr_refusal *refusal) {
    struct wr_http_source *source = user;
    struct wr_http_delivery *delivery = source->current;
    if (!delivery)
        return;
    if (delivery->refused++ == 0)
        delivery->line = refusal->line;
    const size_t room = sizeof delivery->message - source->message_len;
    if (delivery->refused > NAMED || room < 2)
        return;
    const int n = snprintf(delivery->message + source->message_len, room, "%sline %" PRIu64 ", column %" PRIu32 ": %s",
                           source->message_len ? "; " : "", refusal->line, refusal->column, refusal->message);
    source->message_len += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
}

static enum wr_result feed(struct wr_http_source *source, const char *bytes, size_t len, uint64_t *line, size_t *ret_consumed) {
    const struct wr_sink *sink = &source->intake.sink;
    if (source->current->format == WR_HTTP_JSON)
        return wr_codec_feed(&source->json, bytes, len, true, line, sink, ret_consumed);
    return wr_line_feed(&source->lines, bytes, len, true, line, sink, ret_consumed);
}

/* A free batch, now or as soon as there is one. */
static enum wr_result wait_for_batch(struct wr_http_source *source, struct wr_context *context) {
    atomic_store(&source->inbox.stalled_since_boot_ns, wr_clock_boot_ns(wr_clock_real()));
    const enum wr_result result = wr_intake_wait(&source->intake, context);
    atomic_store(&source->inbox.stalled_since_boot_ns, 0);
    return result;
}

/* Before the first record: there must be room for it, within the patience that is left. */
static enum wr_http_outcome begin(struct wr_http_source *source, const struct wr_http_delivery *delivery) {
    struct wr_context *patience;
    if (wr_intake_ready(&source->intake))
        return WR_HTTP_TAKEN;
    if (wr_context_new(source->inbox.context, delivery->posted_boot_ns + WR_HTTP_PATIENCE_NS, 0, &patience, NULL) != WR_OK)
        return WR_HTTP_BUSY;
    const enum wr_result result = wait_for_batch(source, patience);
    wr_context_unref(patience);
    return result == WR_OK ? WR_HTTP_TAKEN : result == WR_TIMEOUT ? WR_HTTP_BUSY : WR_HTTP_STOPPING;
}

/* All records of the current delivery. */
static enum wr_http_outcome take(struct wr_http_source *source) {
    struct wr_http_delivery *delivery = source->current;
    const char *p = delivery->body.data;
    const char *end = p + delivery->body.len;
    uint64_t line = 0;
    while (p < end) {
        size_t consumed;
        const enum wr_result result = feed(source, p, (size_t)(end - p), &line, &consumed);
        p += consumed;
        wr_intake_hand_over(&source->intake);
        if (result != WR_FULL)
            break;
        if (wait_for_batch(source, source->inbox.context) != WR_OK) {
            wr_intake_forget(&source->intake);
            wr_codec_forget(&source->json);
            source->cut = true;
            return WR_HTTP_PARTLY;
        }
    }
    return WR_HTTP_TAKEN;
}

static void serve(struct wr_http_source *source, struct wr_http_delivery *delivery) {
    const struct wr_now now = wr_clock_now(source->source.env.clock);
    wr_intake_arrived(&source->intake, &now);
    source->lines.unit_ns = delivery->unit_ns;
    source->message_len = 0;
    source->current = delivery;
    delivery->outcome = wr_context_state(source->inbox.context) == WR_OK ? begin(source, delivery) : WR_HTTP_STOPPING;
    if (delivery->outcome == WR_HTTP_TAKEN && delivery->body.len > 0) {
        atomic_fetch_add_explicit(&source->source.env.counters->bytes, delivery->body.len, memory_order_relaxed);
        delivery->outcome = take(source);
    }
    if (delivery->refused > NAMED && source->message_len + 64 < sizeof delivery->message)
        snprintf(delivery->message + source->message_len, sizeof delivery->message - source->message_len, "; and %" PRIu64 " more;",
                 delivery->refused - NAMED);
    source->current = NULL;
    (void)!wr_channel_send(delivery->answers, &delivery, 0); /* has room for all that there can be */
}

/* -- the thread ------------------------------------------------------------------------------------------------------------------------ */

/* The server was in a hurry, and has its answers: on as before. */
static void calm_down(struct wr_http_source *source) {
    struct wr_context *context;
    if (wr_context_state(source->inbox.context) != WR_OK && wr_context_new(NULL, WR_NEVER_NS, 0, &context, NULL) == WR_OK)
        wr_http_gate_calm(source->source.env.http, &source->inbox, context);
}

static void *run(void *user) {
    struct wr_http_source *source = user;
    char name[16];
    snprintf(name, sizeof name, "http %.10s", source->source.env.config->name);
    wr_thread_name(name);
    for (;;) {
        struct wr_http_delivery *delivery;
        enum wr_result result = wr_channel_try_recv(source->inbox.channel, &delivery);
        if (result == WR_EMPTY) {
            calm_down(source);
            result = wr_channel_recv(source->inbox.channel, &delivery, WR_NEVER_NS);
        }
        if (result != WR_OK)
            return NULL;
        serve(source, delivery);
    }
}

/* -- life ------------------------------------------------------------------------------------------------------------------------------ */

static void release(struct wr_source *base);

static enum wr_result create(const struct wr_source_env *env, struct wr_source **ret_source, struct wr_error *err) {
    static const int64_t units_ns[] = {
        [WR_PRECISION_NS] = 1, [WR_PRECISION_US] = WR_NS_PER_US, [WR_PRECISION_MS] = WR_NS_PER_MS, [WR_PRECISION_S] = WR_NS_PER_S};
    struct wr_http_source *source = calloc(1, sizeof *source);
    if (!source)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for source %s", env->config->name);
    source->source = (struct wr_source){.ops = &wr_http_source_ops, .env = *env};
    wr_intake_init(&source->intake, &source->source.env);
    source->intake.where = where;
    source->intake.where_user = source;
    source->intake.noted = note_refusal;
    source->intake.noted_user = source;
    wr_line_parser_init(&source->lines, (enum wr_precision)env->config->precision, env->limits->max_line_bytes);
    source->inbox = (struct wr_http_inbox){
        .max_body_bytes = (size_t)env->config->http.max_body_bytes,
        .bodies_bytes = (size_t)env->config->http.bodies_bytes,
        .unit_ns = units_ns[env->config->precision],
    };
    struct wr_config_source json = *env->config;
    json.format = WR_SOURCE_FORMAT_JSON;
    if (wr_codec_init(&source->json, &json, NULL, source->inbox.max_body_bytes, err) != WR_OK) {
        release(&source->source);
        return wr_error_wrap(err, "source %s", env->config->name);
    }
    *ret_source = &source->source;
    return WR_OK;
}

static void undo_start(struct wr_http_source *source) {
    wr_http_gate_close(source->source.env.http, &source->inbox);
    wr_channel_free(source->inbox.channel);
    wr_context_unref(source->inbox.context);
    wr_http_tokens_close(&source->tokens);
    source->inbox.channel = NULL;
    source->inbox.context = NULL;
    source->inbox.tokens = NULL;
}

static enum wr_result prepare(struct wr_http_source *source, struct wr_error *err) {
    const char *token_file = source->source.env.config->http.token_file;
    const struct wr_channel_options options = {.name = source->source.env.config->name,
                                               .capacity = WAITING,
                                               .element_bytes = sizeof(struct wr_http_delivery *),
                                               .policy = WR_CHANNEL_REJECT};
    if (token_file) {
        WR_TRY(wr_http_tokens_open(&source->tokens, token_file, err));
        source->inbox.tokens = &source->tokens;
    }
    WR_TRY(wr_context_new(NULL, WR_NEVER_NS, 0, &source->inbox.context, err));
    return wr_channel_new(&options, &source->inbox.channel, err);
}

static enum wr_result start(struct wr_source *base, struct wr_error *err) {
    struct wr_http_source *source = of(base);
    enum wr_result result = prepare(source, err);
    if (result == WR_OK)
        result = wr_thread_start(&source->thread, run, source, source->source.env.config->name, err);
    if (result == WR_OK) {
        source->started = true;
        result = wr_http_gate_open(source->source.env.http, &source->inbox, err);
        if (result == WR_OK)
            return WR_OK;
        wr_channel_close(source->inbox.channel);
        pthread_join(source->thread, NULL);
        source->started = false;
    }
    undo_start(source);
    return result;
}

static enum wr_result stop(struct wr_source *base, int64_t deadline_boot_ns) {
    struct wr_http_source *source = of(base);
    wr_http_gate_close(source->source.env.http, &source->inbox);
    wr_channel_close(source->inbox.channel); /* what lies in it is still served */
    if (wr_thread_join(source->thread, deadline_boot_ns) != WR_OK) {
        wr_http_gate_cancel(source->source.env.http, &source->inbox);
        (void)!wr_thread_join(source->thread, WR_NEVER_NS);
    }
    source->started = false;
    undo_start(source);
    return source->cut ? WR_TIMEOUT : WR_OK;
}

static void release(struct wr_source *base) {
    struct wr_http_source *source = of(base);
    if (source->started)
        (void)stop(base, 0);
    wr_intake_fini(&source->intake);
    wr_line_parser_fini(&source->lines);
    wr_codec_fini(&source->json);
    free(source);
}

static enum wr_result describe(const struct wr_config_source *config, struct wr_buf *into) {
    return wr_buf_printf(into, " on http.listen, %s", config->http.token_file ? "with tokens" : "without tokens");
}

/* Escapes are resolved in copies, which the parsers keep: at most as long as a body. */
static size_t bytes(const struct wr_config_source *config, const struct wr_config_limits *limits) {
    const size_t copies = 3 * (size_t)config->http.max_body_bytes;
    return sizeof(struct wr_http_source) + wr_intake_bytes(limits) + (size_t)config->http.bodies_bytes + copies +
           wr_codec_bytes(config, 0) + WR_HTTP_TOKENS * sizeof(struct wr_http_token) + WAITING * sizeof(void *);
}

const struct wr_source_ops wr_http_source_ops = {.kind = WR_SOURCE_HTTP,
                                                 .name = "http",
                                                 .create = create,
                                                 .start = start,
                                                 .stop = stop,
                                                 .free = release,
                                                 .describe = describe,
                                                 .bytes = bytes};
