/* Lines in datagrams.
 *
 * A datagram is a payload of its own: one or more lines, the last with or without its newline; nothing goes on in the next one. They are read
 * many at a time, into a slot each, and fed from there.
 *
 * No batch is free: what was read waits in its slots, and what comes after it in the socket's buffer, as bytes of TCP do. But nobody pushes back on
 * a sender here. So while the source is stalled, a timer looks how full that buffer is; above half, the oldest datagrams in it are read, counted
 * line by line, and booked as received and dropped(overflow), until it is below. What the kernel still had to throw away is counted in
 * datagrams, by the kernel.
 *
 * At a stop, what the socket holds is taken, or booked as dropped(stop) once the deadline has passed.
 */
#include <errno.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/sources/line_source_private.h"
#include "core/log.h"

#define SLOTS 16
#define SLOT_BYTES 64000         /* the longest datagram: 64 KB */
#define RECEIVE_BUFFER (4 << 20) /* wanted; net.core.rmem_max is what the system grants at most */
#define LOOK_US 2000             /* how often a stalled source looks at it */
#define WATCH_S 1                /* how often what the kernel dropped is asked for, while datagrams come */
#define DROP_ROUNDS 64           /* of SLOTS datagrams each, at one look */

struct wr_line_udp {
    struct wr_line_listener *listener;
    struct wr_codec dropping; /* for what is only counted: the source's own may be in the middle of a record */
    struct event look;
    struct event watch;
    uint32_t lost; /* by the kernel, as far as we know */
    unsigned n;    /* datagrams in the slots */
    unsigned at;   /* the one at hand */
    size_t fed;    /* of it, bytes that were taken */
    uint64_t line; /* of it, lines */
    bool draining;
    size_t drain_bytes;
    char *slots[SLOTS];
    struct iovec pieces[SLOTS];
    struct sockaddr_storage senders[SLOTS];
    struct mmsghdr messages[SLOTS];
    char *memory;
};

static struct wr_line_source *owner(const struct wr_line_udp *udp) {
    return udp->listener->owner;
}

void wr_line_udp_sender(const struct wr_line_udp *udp, char *text, size_t size) {
    const struct sockaddr_storage *sender = udp->messages[udp->at].msg_hdr.msg_name;
    wr_line_address_text((const struct sockaddr *)(const void *)sender, text, size);
}

/* -- the socket's buffer ------------------------------------------------------------------------------------------------------------------- */

/* What the kernel knows of the socket; zero where it does not say. */
static void ask_kernel(const struct wr_line_udp *udp, uint32_t about[SK_MEMINFO_VARS]) {
    socklen_t len = SK_MEMINFO_VARS * sizeof *about;
    memset(about, 0, len);
    (void)getsockopt(udp->listener->fd, SOL_SOCKET, SO_MEMINFO, about, &len);
}

static bool is_pressed(const struct wr_line_udp *udp) {
    uint32_t about[SK_MEMINFO_VARS];
    ask_kernel(udp, about);
    return about[SK_MEMINFO_RMEM_ALLOC] >= about[SK_MEMINFO_RCVBUF] / 2;
}

static void count_lost(struct wr_line_udp *udp) {
    uint32_t about[SK_MEMINFO_VARS];
    ask_kernel(udp, about);
    const uint32_t more = about[SK_MEMINFO_DROPS] - udp->lost;
    if (more == 0)
        return;
    udp->lost += more;
    atomic_fetch_add_explicit(&owner(udp)->source.env.counters->datagrams_lost, more, memory_order_relaxed);
    WR_LOG_WITH(WR_LOG_WARN, "line", "datagrams lost: the socket's buffer was full (net.core.rmem_max)",
                WR_LOG_STR("source", owner(udp)->source.env.config->name), WR_LOG_STR("on", udp->listener->address->text),
                WR_LOG_INT("datagrams", more), WR_LOG_INT("buffer_bytes", about[SK_MEMINFO_RCVBUF]));
}

static void on_watch(evutil_socket_t fd, short what, void *user) {
    (void)fd, (void)what;
    count_lost(user);
}

/* Reads into the slots from `first` on. Returns how many datagrams came. */
static unsigned receive(struct wr_line_udp *udp, unsigned first) {
    struct wr_line_source *source = owner(udp);
    for (unsigned i = first; i < SLOTS; i++) {
        udp->messages[i].msg_hdr.msg_namelen = sizeof udp->senders[i];
        udp->messages[i].msg_hdr.msg_flags = 0;
    }
    const int n = recvmmsg(udp->listener->fd, udp->messages + first, SLOTS - first, MSG_DONTWAIT, NULL);
    if (n <= 0)
        return 0;
    uint64_t bytes = 0;
    for (unsigned i = first; i < first + (unsigned)n; i++)
        bytes += udp->messages[i].msg_len;
    atomic_fetch_add_explicit(&source->source.env.counters->bytes, bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&source->source.env.counters->datagrams, (uint64_t)n, memory_order_relaxed);
    if (!event_pending(&udp->watch, EV_TIMEOUT, NULL)) {
        const struct timeval soon = {.tv_sec = WATCH_S};
        event_add(&udp->watch, &soon);
    }
    return (unsigned)n;
}

/* -- taking -------------------------------------------------------------------------------------------------------------------------------- */

/* A datagram that was cut off is refused whole: where it was cut, nobody can tell a value from its beginning. */
static bool is_cut(struct wr_line_udp *udp) {
    if (!(udp->messages[udp->at].msg_hdr.msg_flags & MSG_TRUNC))
        return false;
    struct wr_refusal refusal;
    wr_refusal_set(&refusal, WR_BOOK_REJECTED_TOO_LONG, 1, "", "", "a datagram of more than %d bytes", SLOT_BYTES);
    wr_intake_refuse(&owner(udp)->intake, &refusal);
    return true;
}

static void next(struct wr_line_udp *udp) {
    udp->at++;
    udp->fed = 0;
    udp->line = 0;
}

/* Feeds what is in the slots. False: no batch is free; the rest waits. */
static bool take(struct wr_line_udp *udp) {
    struct wr_line_source *source = owner(udp);
    source->current_udp = udp;
    enum wr_result result = WR_OK;
    for (; udp->at < udp->n; next(udp)) {
        if (is_cut(udp))
            continue;
        size_t consumed = 0;
        result = wr_codec_feed(&source->codec, udp->slots[udp->at] + udp->fed, udp->messages[udp->at].msg_len - udp->fed, true, &udp->line,
                               &source->intake.sink, &consumed);
        udp->fed += consumed;
        if (result == WR_FULL)
            break;
    }
    source->current_udp = NULL;
    source->stalled_udp = result == WR_FULL ? udp : NULL;
    wr_intake_hand_over(&source->intake);
    return result != WR_FULL;
}

/* One read, and what it brought is taken. */
static bool receive_and_take(struct wr_line_udp *udp) {
    struct wr_line_source *source = owner(udp);
    udp->at = 0;
    udp->fed = 0;
    udp->line = 0;
    udp->n = receive(udp, 0);
    const struct wr_now now = wr_clock_now(source->source.env.clock);
    wr_intake_arrived(&source->intake, &now);
    return take(udp);
}

static void look_soon(struct wr_line_udp *udp) {
    const struct timeval soon = {.tv_usec = LOOK_US};
    event_del(&udp->listener->readable);
    event_add(&udp->look, &soon);
}

static void on_readable(evutil_socket_t fd, short what, void *user) {
    (void)fd, (void)what;
    struct wr_line_listener *listener = user;
    if (!wr_line_is_stalled(listener->owner) && receive_and_take(listener->udp))
        return;
    look_soon(listener->udp);
    if (listener->owner->stalled_udp == listener->udp)
        wr_line_source_stall(listener->owner);
}

bool wr_line_udp_resume(struct wr_line_source *source) {
    struct wr_line_udp *udp = source->stalled_udp;
    source->stalled_udp = NULL;
    if (!take(udp))
        return false;
    if (!source->stopping)
        wr_line_udp_go_on(udp->listener);
    return true;
}

void wr_line_udp_go_on(struct wr_line_listener *listener) {
    event_del(&listener->udp->look);
    event_add(&listener->readable, NULL);
}

/* -- dropping -------------------------------------------------------------------------------------------------------------------------------- */

/* The datagrams in the slots [first, n) are counted and forgotten. */
static void drop(struct wr_line_udp *udp, unsigned first, unsigned n) {
    struct wr_line_source *source = owner(udp);
    const unsigned held = udp->at;
    source->current_udp = udp;
    for (udp->at = first; udp->at < n; udp->at++) {
        size_t consumed;
        uint64_t line = 0;
        if (!is_cut(udp))
            (void)!wr_codec_feed(&udp->dropping, udp->slots[udp->at], udp->messages[udp->at].msg_len, true, &line, &source->intake.overflow,
                                 &consumed);
    }
    source->current_udp = NULL;
    udp->at = held;
}

/* The datagram that waits for a batch is moved into the first slot; those behind it are dropped. Returns how many slots are in use. */
static unsigned make_room(struct wr_line_udp *udp) {
    if (owner(udp)->stalled_udp != udp)
        return 0;
    drop(udp, udp->at + 1, udp->n);
    if (udp->at > 0) {
        char *slot = udp->slots[0];
        const struct mmsghdr message = udp->messages[0];
        udp->slots[0] = udp->slots[udp->at];
        udp->messages[0] = udp->messages[udp->at];
        udp->slots[udp->at] = slot;
        udp->messages[udp->at] = message;
    }
    udp->at = 0;
    udp->n = 1;
    return 1;
}

static void on_look(evutil_socket_t fd, short what, void *user) {
    (void)fd, (void)what;
    struct wr_line_udp *udp = user;
    if (is_pressed(udp)) {
        const unsigned used = make_room(udp);
        for (int i = 0; i < DROP_ROUNDS && is_pressed(udp); i++) {
            const unsigned n = receive(udp, used);
            if (n == 0)
                break;
            drop(udp, used, used + n);
        }
        WR_LOG_WITH(WR_LOG_WARN, "line", "datagrams dropped: the engine does not take readings fast enough",
                    WR_LOG_STR("source", owner(udp)->source.env.config->name), WR_LOG_STR("on", udp->listener->address->text));
    }
    look_soon(udp);
}

/* -- life ----------------------------------------------------------------------------------------------------------------------------------- */

bool wr_line_udp_drain(struct wr_line_listener *listener) {
    struct wr_line_udp *udp = listener->udp;
    event_del(&listener->readable);
    event_del(&udp->look);
    if (!udp->draining) { /* what is there now; it counts more bytes than are in the datagrams */
        uint32_t about[SK_MEMINFO_VARS];
        ask_kernel(udp, about);
        udp->draining = true;
        udp->drain_bytes = about[SK_MEMINFO_RMEM_ALLOC];
    }
    while (udp->drain_bytes > 0) {
        const uint64_t before = owner(udp)->source.env.counters->bytes;
        const bool taken = receive_and_take(udp);
        const size_t got = (size_t)(owner(udp)->source.env.counters->bytes - before) + udp->n; /* empty ones count, too */
        udp->drain_bytes = got > 0 && got < udp->drain_bytes ? udp->drain_bytes - got : 0;
        if (!taken)
            return false;
    }
    count_lost(udp);
    return true;
}

enum wr_result wr_line_udp_open(struct wr_line_listener *listener, struct wr_error *err) {
    struct wr_line_source *source = listener->owner;
    const struct wr_source_env *env = &source->source.env;
    struct wr_line_udp *udp = calloc(1, sizeof *udp);
    if (!udp)
        return wr_error_set(err, WR_NO_MEMORY, "%s: no memory for datagrams", listener->address->text);
    event_del(&listener->readable); /* it is none for connections */
    udp->listener = listener;
    listener->udp = udp;
    event_assign(&listener->readable, source->base, listener->fd, EV_READ | EV_PERSIST, on_readable, listener);
    event_assign(&udp->look, source->base, -1, 0, on_look, udp);
    event_assign(&udp->watch, source->base, -1, 0, on_watch, udp);
    WR_TRY(wr_codec_init(&udp->dropping, env->config, NULL, env->limits->max_line_bytes, err));
    udp->memory = calloc(SLOTS, SLOT_BYTES); /* fresh pages: those that are never written cost nothing */
    if (!udp->memory)
        return wr_error_set(err, WR_NO_MEMORY, "%s: no memory for datagrams", listener->address->text);
    for (unsigned i = 0; i < SLOTS; i++) {
        udp->slots[i] = udp->memory + (size_t)i * SLOT_BYTES;
        udp->pieces[i] = (struct iovec){udp->slots[i], SLOT_BYTES};
        udp->messages[i].msg_hdr = (struct msghdr){.msg_name = &udp->senders[i], .msg_iov = &udp->pieces[i], .msg_iovlen = 1};
    }
    const int wanted = RECEIVE_BUFFER;
    (void)setsockopt(listener->fd, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof wanted);
    if (event_add(&listener->readable, NULL) < 0)
        return wr_error_set(err, WR_IO, "%s: no event for the socket", listener->address->text);
    return WR_OK;
}

void wr_line_udp_close(struct wr_line_listener *listener) {
    struct wr_line_udp *udp = listener->udp;
    if (event_initialized(&udp->look))
        event_del(&udp->look);
    if (event_initialized(&udp->watch))
        event_del(&udp->watch);
    wr_codec_fini(&udp->dropping);
    free(udp->memory);
    free(udp);
    listener->udp = NULL;
}

size_t wr_line_udp_bytes(const struct wr_config_source *config, const struct wr_config_limits *limits) {
    return sizeof(struct wr_line_udp) + (size_t)SLOTS * SLOT_BYTES + wr_codec_bytes(config, limits->max_line_bytes);
}
