#include "agent/sources/line_source.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/sources/line_source_private.h"
#include "core/log.h"
#include "core/thread.h"

#define SOON_MS 1 /* what a stalled source waits before it sleeps */

static struct wr_line_source *of(struct wr_source *source) {
    return (struct wr_line_source *)(void *)source;
}

static void where(void *user, char *text, size_t size) {
    const struct wr_line_source *source = user;
    if (source->current_udp)
        wr_line_udp_sender(source->current_udp, text, size);
    else if (source->current)
        wr_line_connection_peer(source->current, text, size);
}

void wr_line_address_text(const struct sockaddr *address, char *text, size_t size) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
    char host[INET6_ADDRSTRLEN] = "";
    if (address->sa_family == AF_INET && inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host))
        snprintf(text, size, "%s:%u", host, (unsigned)ntohs(v4->sin_port));
    else if (address->sa_family == AF_INET6 && inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host))
        snprintf(text, size, "[%s]:%u", host, (unsigned)ntohs(v6->sin6_port));
    else
        snprintf(text, size, "unix");
}

/* -- the loop's thread ------------------------------------------------------------------------------------------------------------- */

static bool is_overdue(struct wr_line_source *source) {
    if (!source->overdue && wr_clock_boot_ns(wr_clock_real()) >= atomic_load(&source->stop_deadline_boot_ns))
        source->overdue = true;
    return source->overdue;
}

/* Datagrams have nobody who would send them again: what is in the sockets' buffers is taken, or booked as dropped. */
static void drain_datagrams(struct wr_line_source *source) {
    for (unsigned i = 0; i < source->n_listeners && !wr_line_is_stalled(source); i++) {
        if (is_overdue(source))
            wr_intake_discard(&source->intake);
        while (source->listeners[i].udp && !wr_line_is_stalled(source) && !wr_line_udp_drain(&source->listeners[i]))
            wr_line_source_stall(source);
    }
}

/* Stopping: empties one connection after the other. Ends the loop when all are closed. */
static void drain(struct wr_line_source *source) {
    drain_datagrams(source);
    while (!wr_line_is_stalled(source) && !wr_link_alone(&source->connections)) {
        (void)is_overdue(source); /* what is still in the kernel was never ours */
        struct wr_line_connection *connection = WR_LINK_OWNER(source->connections.next, struct wr_line_connection, all);
        event_del(&connection->readable);
        if (!wr_line_connection_drain(connection))
            wr_line_source_stall(source);
    }
    if (wr_line_is_stalled(source))
        return;
    wr_intake_hand_over(&source->intake);
    event_base_loopbreak(source->base);
}

/* Back to reading: those who were put off have their turn. */
static void go_on(struct wr_line_source *source) {
    if (source->stopping) {
        drain(source);
        return;
    }
    while (!wr_link_alone(&source->put_off)) {
        struct wr_line_connection *connection = WR_LINK_OWNER(source->put_off.next, struct wr_line_connection, put_off);
        wr_link_remove(&connection->put_off);
        wr_line_connection_listen(connection);
    }
    for (unsigned i = 0; i < source->n_listeners; i++)
        if (source->listeners[i].udp)
            wr_line_udp_go_on(&source->listeners[i]);
}

static bool resume_once(struct wr_line_source *source) {
    return source->stalled_udp ? wr_line_udp_resume(source) : wr_line_connection_resume(source);
}

/* True: there is one. False: the loop is to sleep until there is. Mostly the engine is only about to return one; to put off all senders, and take
 * them up again one by one, would be far more work than to wait that long. Datagrams cannot wait: nobody would look at their socket's buffer. */
static bool is_batch_free(struct wr_line_source *source) {
    struct wr_channel *batches = source->source.env.pool->free;
    if (wr_channel_arm(batches, WR_CHANNEL_RECV))
        return true;
    struct pollfd wait = {.fd = event_get_fd(&source->batch_free), .events = POLLIN};
    if (source->stalled_udp || poll(&wait, 1, SOON_MS) <= 0)
        return false;
    wr_channel_disarm(batches, WR_CHANNEL_RECV);
    return true;
}

/* True: not stalled any more. */
static bool resume(struct wr_line_source *source) {
    while (wr_line_is_stalled(source)) {
        if (resume_once(source))
            return true;
        if (!is_batch_free(source))
            return false;
    }
    return true;
}

void wr_line_source_stall(struct wr_line_source *source) {
    atomic_fetch_add_explicit(&source->source.env.counters->waits, 1, memory_order_relaxed);
    if (source->overdue) {
        wr_intake_discard(&source->intake);
        (void)resume_once(source);
        return;
    }
    if (is_batch_free(source))
        (void)resume(source);
}

/* -- handing over -------------------------------------------------------------------------------------------------------------------- */

/* Each hand-over wakes the engine, and takes a batch. With thousands of senders of one line each that would be most of the work, and all batches
 * would be on their way with one reading in each. So the first callback of a pass appends an event to those that are active: it runs behind
 * the callbacks of all sockets that this pass found readable. A lone reading has nobody to wait for; a long pass is cut by the intake. */
void wr_line_source_hand_over(struct wr_line_source *source) {
    if (wr_intake_has_full(&source->intake))
        wr_intake_hand_over(&source->intake);
    else if (source->intake.batch)
        event_active(&source->pass_end, EV_TIMEOUT, 0);
}

static void on_pass_end(evutil_socket_t fd, short what, void *user) {
    (void)fd, (void)what;
    struct wr_line_source *source = user;
    wr_intake_hand_over(&source->intake);
}

/* -- the loop's events ---------------------------------------------------------------------------------------------------------------- */

static void on_batch_free(evutil_socket_t fd, short what, void *user) {
    (void)fd, (void)what;
    struct wr_line_source *source = user;
    wr_channel_disarm(source->source.env.pool->free, WR_CHANNEL_RECV);
    if (resume(source))
        go_on(source);
}

static void on_deadline(evutil_socket_t fd, short what, void *user) {
    (void)fd, (void)what;
    struct wr_line_source *source = user;
    source->overdue = true;
    wr_intake_discard(&source->intake);
    if (resume(source))
        drain(source);
}

static void on_stop(evutil_socket_t fd, short what, void *user) {
    (void)fd, (void)what;
    struct wr_line_source *source = user;
    event_del(&source->stop);
    int64_t left_ns = atomic_load(&source->stop_deadline_boot_ns) - wr_clock_boot_ns(wr_clock_real());
    source->stopping = true;
    wr_line_listeners_close(source, false);
    if (left_ns < 0)
        left_ns = 0;
    const struct timeval left = {.tv_sec = (time_t)(left_ns / WR_NS_PER_S), .tv_usec = (suseconds_t)(left_ns % WR_NS_PER_S / WR_NS_PER_US)};
    event_add(&source->deadline, &left);
    drain(source);
}

static void *run(void *user) {
    struct wr_line_source *source = user;
    char name[16];
    snprintf(name, sizeof name, "line %.10s", source->source.env.config->name);
    wr_thread_name(name);
    (void)event_base_loop(source->base, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

/* -- life ------------------------------------------------------------------------------------------------------------------------ */

static enum wr_result create(const struct wr_source_env *env, struct wr_source **ret_source, struct wr_error *err) {
    struct wr_line_source *source = calloc(1, sizeof *source);
    if (!source)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for source %s", env->config->name);
    const enum wr_result result = wr_codec_init(&source->codec, env->config, NULL, env->limits->max_line_bytes, err);
    if (result != WR_OK) {
        free(source);
        return wr_error_wrap(err, "source %s", env->config->name);
    }
    source->source = (struct wr_source){.ops = &wr_line_source_ops, .env = *env};
    wr_intake_init(&source->intake, &source->source.env);
    source->intake.where = where;
    source->intake.where_user = source;
    wr_link_init(&source->connections);
    wr_link_init(&source->parts);
    wr_link_init(&source->put_off);
    source->stop_fd = -1;
    const struct wr_config_line *config = &env->config->line;
    source->max_connections = config->max_connections ? config->max_connections : env->limits->max_connections;
    source->only_stdin = true;
    for (unsigned i = 0; i < config->n_listen; i++)
        source->only_stdin = source->only_stdin && config->addresses[i].kind == WR_ADDRESS_STDIN;
    *ret_source = &source->source;
    return WR_OK;
}

/* Half of a start, or all of it: back to what create made. */
static void undo_start(struct wr_line_source *source) {
    wr_line_listeners_close(source, true);
    while (!wr_link_alone(&source->connections))
        wr_line_connection_close(WR_LINK_OWNER(source->connections.next, struct wr_line_connection, all));
    wr_line_tls_close(source);
    if (source->base) {
        if (event_initialized(&source->stop))
            event_del(&source->stop);
        if (event_initialized(&source->batch_free))
            event_del(&source->batch_free);
        if (event_initialized(&source->deadline))
            event_del(&source->deadline);
        if (event_initialized(&source->pass_end))
            event_del(&source->pass_end);
        event_base_free(source->base);
    }
    source->base = NULL;
    if (source->stop_fd >= 0)
        close(source->stop_fd);
    source->stop_fd = -1;
}

static enum wr_result prepare_loop(struct wr_line_source *source, struct wr_error *err) {
    const char *name = source->source.env.config->name;
    source->base = event_base_new();
    if (!source->base)
        return wr_error_set(err, WR_NO_MEMORY, "source %s: no event loop", name);
    source->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (source->stop_fd < 0)
        return wr_error_set(err, WR_IO, "source %s: no eventfd: %s", name, strerror(errno));
    int free_fd;
    WR_TRY(wr_channel_descriptor(source->source.env.pool->free, WR_CHANNEL_RECV, &free_fd, err));
    event_assign(&source->stop, source->base, source->stop_fd, EV_READ, on_stop, source);
    event_assign(&source->batch_free, source->base, free_fd, EV_READ | EV_PERSIST, on_batch_free, source);
    event_assign(&source->deadline, source->base, -1, 0, on_deadline, source);
    event_assign(&source->pass_end, source->base, -1, 0, on_pass_end, source);
    if (event_add(&source->stop, NULL) < 0 || event_add(&source->batch_free, NULL) < 0)
        return wr_error_set(err, WR_IO, "source %s: no events", name);
    return wr_line_listeners_open(source, err);
}

static enum wr_result start(struct wr_source *base, struct wr_error *err) {
    struct wr_line_source *source = of(base);
    enum wr_result result = prepare_loop(source, err);
    if (result == WR_OK)
        result = wr_thread_start(&source->thread, run, source, source->source.env.config->name, err);
    if (result != WR_OK) {
        undo_start(source);
        return result;
    }
    source->started = true;
    return WR_OK;
}

static enum wr_result stop(struct wr_source *base, int64_t deadline_boot_ns) {
    struct wr_line_source *source = of(base);
    atomic_store(&source->stop_deadline_boot_ns, deadline_boot_ns);
    (void)eventfd_write(source->stop_fd, 1);
    pthread_join(source->thread, NULL);
    source->started = false;
    undo_start(source);
    return source->intake.dropped > 0 ? WR_TIMEOUT : WR_OK;
}

static void release(struct wr_source *base) {
    struct wr_line_source *source = of(base);
    if (source->started)
        (void)stop(base, 0);
    wr_intake_fini(&source->intake);
    wr_codec_fini(&source->codec);
    free(source);
}

static enum wr_result describe(const struct wr_config_source *config, struct wr_buf *into) {
    for (unsigned i = 0; i < config->line.n_listen; i++) {
        WR_TRY(wr_buf_printf(into, " %s", config->line.listen[i]));
        if (config->line.addresses[i].kind == WR_ADDRESS_TLS)
            WR_TRY(wr_buf_printf(into, " (%s, at most %u connections of %d KB)",
                                 config->tls.ca ? "senders need a certificate" : "any sender", config->line.max_connections,
                                 (WR_TLS_SERVER_STREAM_BYTES + WR_LINE_CONNECTION_BYTES) / 1000));
    }
    return config->format == WR_SOURCE_FORMAT_JSON ? wr_buf_text(into, config->json ? ", JSON by a mapping" : ", JSON") : WR_OK;
}

static unsigned count(const struct wr_config_line *config, enum wr_address_kind kind) {
    unsigned n = 0;
    for (unsigned i = 0; i < config->n_listen; i++)
        n += config->addresses[i].kind == kind;
    return n;
}

/* An address without a host, or a name, may open two sockets: IPv4 and IPv6. */
static size_t bytes(const struct wr_config_source *config, const struct wr_config_limits *limits) {
    const size_t connections = config->line.max_connections ? config->line.max_connections : limits->max_connections;
    const size_t tls = count(&config->line, WR_ADDRESS_TLS) > 0 ? wr_line_tls_bytes(connections) : 0;
    return sizeof(struct wr_line_source) + wr_intake_bytes(limits) + limits->partial_lines_bytes +
           wr_codec_bytes(config, limits->max_line_bytes) + connections * WR_LINE_CONNECTION_BYTES + tls +
           (size_t)2 * count(&config->line, WR_ADDRESS_UDP) * wr_line_udp_bytes(config, limits);
}

const struct wr_source_ops wr_line_source_ops = {.kind = WR_SOURCE_LINE,
                                                 .name = "line",
                                                 .create = create,
                                                 .start = start,
                                                 .stop = stop,
                                                 .free = release,
                                                 .describe = describe,
                                                 .bytes = bytes};

uint16_t wr_line_source_port(const struct wr_source *source, unsigned i) {
    const struct wr_line_source *line = (const struct wr_line_source *)(const void *)source;
    return i < line->n_listeners ? line->listeners[i].port : 0;
}
