#include "transport/relay.h"
#include "core/thread.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "transport/own_socket.h"
#include "transport/relay_gate.h"

#define BACKLOG 4
#define GATED_BUFFER_BYTES 32768   /* of the sockets between us and a client that receives: what a pause cannot stop any more */
#define GATED_TURN_NS WR_NS_PER_MS /* a client that receives is served so often at most: many small messages then share a turn */
#define FLUSH_NS WR_NS_PER_S       /* for what is still on its way when one end goes */

/* Bytes on their way in one direction. */
struct pipe {
    uint8_t bytes[WR_RELAY_BYTES];
    size_t from; /* first byte not yet passed on */
    size_t to;
};

struct wr_relay {
    pthread_t thread;
    int listen_fd;
    int local_fd; /* paho's connection */
    int wake_fd;  /* a stop, or something that the gate released */
    _Atomic bool stopping;
    struct wr_stream stream;
    struct wr_relay_gate *gate; /* NULL: not gated */
    int64_t turn_boot_ns;       /* gated: when its last turn began */
    bool dense;                 /* gated: so it did in the turn before, just past */
    bool carried;               /* gated: the broker sent something in this turn */
    bool local_drained;         /* the last read emptied the socket */
    bool broker_drained;
    int64_t accept_deadline_boot_ns;
    bool wants_write; /* TLS cannot go on before the socket is writable */
    struct pipe up;   /* paho → broker */
    struct pipe down;
    _Atomic uint64_t sent_bytes;
    _Atomic uint64_t received_bytes;
    _Atomic uint32_t strangers;
    uint8_t first[WR_RELAY_FIRST_BYTES]; /* of the broker */
    _Atomic size_t first_len;            /* grows behind what it counts */
    pthread_mutex_t wire_lock;           /* over the next two: the descriptor is asked by others while it is open */
    bool wire_over;
    struct wr_wire_bytes wire;
    struct wr_error cause; /* written before `ended` is */
    _Atomic bool ended;
};

static bool pipe_is_empty(const struct pipe *pipe) {
    return pipe->from == pipe->to;
}

/* What a direction can do now. */
enum move { MOVED, STUCK, OVER };

/* What paho wrote, into an empty buffer. */
static enum move take_local(struct wr_relay *relay, uint8_t *bytes, size_t *from, size_t *to) {
    ssize_t n = recv(relay->local_fd, bytes, WR_RELAY_BYTES, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
        (void)wr_error_set(&relay->cause, WR_OK, "closed on our side");
        return OVER;
    }
    relay->local_drained = n < WR_RELAY_BYTES;
    if (n < 0)
        return STUCK;
    *from = 0;
    *to = (size_t)n;
    return MOVED;
}

/* The same through the gate. MOVED with an empty pipe: all of it was held back. */
static enum move take_gated(struct wr_relay *relay) {
    struct wr_relay_gate *gate = relay->gate;
    if (gate->from == gate->to && take_local(relay, gate->bytes, &gate->from, &gate->to) == OVER)
        return OVER;
    size_t put = 0;
    bool moved = false;
    if (wr_relay_gate_step(gate, relay->up.bytes, sizeof relay->up.bytes, &put, &moved, &relay->cause) != WR_OK)
        return OVER;
    relay->up.from = 0;
    relay->up.to = put;
    return moved ? MOVED : STUCK;
}

/* paho → broker: one read or one write. */
static enum move move_up(struct wr_relay *relay) {
    struct pipe *up = &relay->up;
    if (pipe_is_empty(up)) {
        enum move taken = relay->gate != NULL ? take_gated(relay) : take_local(relay, up->bytes, &up->from, &up->to);
        if (taken != MOVED || pipe_is_empty(up))
            return taken;
    }
    size_t n = 0;
    enum wr_result result = wr_stream_write(&relay->stream, up->bytes + up->from, up->to - up->from, &n, &relay->cause);
    if (result == WR_EMPTY || result == WR_FULL) {
        relay->wants_write = true;
        return STUCK;
    }
    if (result != WR_OK)
        return OVER;
    relay->wants_write = false;
    up->from += n;
    relay->sent_bytes += n;
    return MOVED;
}

/* Whether the broker is to be read now; if not, for how long at most. */
static bool may_read(struct wr_relay *relay, int64_t *ret_left_ns) {
    return relay->gate == NULL || wr_relay_gate_may_read(relay->gate, wr_clock_boot_ns(wr_clock_real()), ret_left_ns);
}

/* On record before paho gets it. */
static void keep_first(struct wr_relay *relay, const uint8_t *bytes, size_t n) {
    size_t len = relay->first_len;
    if (relay->gate != NULL || len == sizeof relay->first)
        return;
    if (n > sizeof relay->first - len)
        n = sizeof relay->first - len;
    memcpy(relay->first + len, bytes, n);
    relay->first_len = len + n;
}

/* broker → paho. */
static enum move move_down(struct wr_relay *relay, int64_t *ret_paused_ns) {
    struct pipe *down = &relay->down;
    if (pipe_is_empty(down)) {
        if (!may_read(relay, ret_paused_ns))
            return STUCK;
        size_t n = 0;
        enum wr_result result = wr_stream_read(&relay->stream, down->bytes, sizeof down->bytes, &n, &relay->cause);
        relay->broker_drained = relay->stream.tls == NULL && n < sizeof down->bytes; /* TLS may hold more than the socket shows */
        if (result == WR_EMPTY || result == WR_FULL)
            return STUCK;
        if (result != WR_OK)
            return OVER;
        relay->received_bytes += n;
        relay->carried = true;
        keep_first(relay, down->bytes, n);
        if (relay->gate != NULL && wr_relay_gate_watch(relay->gate, down->bytes, n, &relay->cause) != WR_OK)
            return OVER;
        down->from = 0;
        down->to = n;
    }
    ssize_t n = send(relay->local_fd, down->bytes + down->from, down->to - down->from, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return STUCK;
    if (n < 0) {
        (void)wr_error_set(&relay->cause, WR_OK, "closed on our side");
        return OVER;
    }
    down->from += (size_t)n;
    return MOVED;
}

static void clear_wake(struct wr_relay *relay, short revents) {
    eventfd_t woken;
    if (revents != 0)
        (void)eventfd_read(relay->wake_fd, &woken);
}

/* Passes on what one end left behind, as far as the other end takes it within FLUSH_NS. */
static void flush(struct wr_relay *relay) {
    int64_t deadline_ns = wr_clock_boot_ns(wr_clock_real()) + FLUSH_NS;
    struct wr_error ignored = {0};
    bool to_broker = relay->cause.code == WR_OK;
    struct pipe *pipe = to_broker ? &relay->up : &relay->down;
    while (!pipe_is_empty(pipe)) {
        size_t n = 0;
        enum wr_result result = WR_OK;
        if (to_broker) {
            result = wr_stream_write(&relay->stream, pipe->bytes + pipe->from, pipe->to - pipe->from, &n, &ignored);
        } else {
            ssize_t sent = send(relay->local_fd, pipe->bytes + pipe->from, pipe->to - pipe->from, MSG_NOSIGNAL);
            result = sent >= 0 ? WR_OK : errno == EAGAIN ? WR_FULL : WR_IO;
            n = sent >= 0 ? (size_t)sent : 0;
        }
        pipe->from += n;
        int64_t left_ns = deadline_ns - wr_clock_boot_ns(wr_clock_real());
        if ((result != WR_OK && result != WR_FULL && result != WR_EMPTY) || left_ns <= 0)
            return;
        struct pollfd fds[2] = {{.fd = to_broker ? relay->stream.fd : relay->local_fd, .events = POLLOUT},
                                {.fd = relay->wake_fd, .events = POLLIN}};
        if (result != WR_OK && (poll(fds, 2, (int)(left_ns / WR_NS_PER_MS) + 1) < 0 || relay->stopping))
            return;
        clear_wake(relay, fds[1].revents);
    }
}

/* Sleeps to the end of the turn; false: it is over already. */
static bool end_turn(struct wr_relay *relay, int64_t now_ns) {
    int64_t left_ns = relay->turn_boot_ns + GATED_TURN_NS - now_ns;
    if (left_ns <= 0)
        return false;
    (void)nanosleep(&(struct timespec){.tv_nsec = (long)left_ns}, NULL);
    relay->turn_boot_ns = now_ns + left_ns;
    relay->dense = relay->carried;
    relay->carried = false;
    return true;
}

/* Woken up. A broker writes each message by itself, and paho each acknowledgement: to wake up for each costs more than all else. The first
 * message waits for nothing; those that come soon after it wait for each other, and so do the acknowledgements of all of them. */
static void take_turn(struct wr_relay *relay, bool message) {
    int64_t now_ns = wr_clock_boot_ns(wr_clock_real());
    if (end_turn(relay, now_ns) || !message)
        return;
    relay->turn_boot_ns = now_ns;
    relay->dense = false;
    relay->carried = false;
}

/* While messages come densely, it sleeps through the turn at once: a poll would only be woken up to do the same, by paho's first acknowledgement.
 * A turn in which nothing came ends that. */
static bool sleeps_on(struct wr_relay *relay) {
    return relay->gate != NULL && relay->dense && relay->carried && !relay->stopping && end_turn(relay, wr_clock_boot_ns(wr_clock_real()));
}

/* A client that receives: nothing is under way, and both sockets were emptied, so that asking them again would be for nothing. */
static bool is_settled(const struct wr_relay *relay) {
    return relay->gate != NULL && relay->local_drained && relay->broker_drained && pipe_is_empty(&relay->up) &&
           pipe_is_empty(&relay->down) && relay->gate->from == relay->gate->to;
}

/* Carries bytes until one end goes or a stop comes. Everything that can move is moved before it sleeps. */
static void carry(struct wr_relay *relay) {
    for (;;) {
        int64_t paused_ns = WR_NEVER_NS;
        enum move up = move_up(relay);
        enum move down = up == OVER ? STUCK : move_down(relay, &paused_ns);
        if (up == OVER || down == OVER) {
            flush(relay);
            return;
        }
        if (((up == MOVED || down == MOVED) && !is_settled(relay)) || sleeps_on(relay))
            continue;
        bool up_waits = !pipe_is_empty(&relay->up);
        bool down_waits = !pipe_is_empty(&relay->down);
        short up_events = (short)((up_waits ? 0 : POLLIN) | (down_waits ? POLLOUT : 0));
        bool paused = paused_ns != WR_NEVER_NS;
        short down_events = (short)((down_waits || paused ? 0 : POLLIN) | (relay->wants_write ? POLLOUT : 0));
        struct pollfd fds[3] = {
            {.fd = relay->local_fd, .events = up_events},
            {.fd = down_events != 0 ? relay->stream.fd : -1, .events = down_events}, /* its end is found when its bytes are taken */
            {.fd = relay->wake_fd, .events = POLLIN},
        };
        if (poll(fds, 3, paused ? (int)(paused_ns / WR_NS_PER_MS) + 1 : -1) < 0 && errno != EINTR) {
            (void)wr_error_set(&relay->cause, WR_IO, "relay: poll: %s", strerror(errno));
            return;
        }
        bool local_gone = up_waits && (fds[0].revents & (POLLERR | POLLHUP)) != 0;
        clear_wake(relay, fds[2].revents);
        if (relay->gate != NULL && !relay->stopping)
            take_turn(relay, fds[1].revents != 0);
        if (relay->stopping || local_gone) {
            while (move_up(relay) == MOVED) /* a DISCONNECT may still be on its way */
                ;
            (void)wr_error_set(&relay->cause, WR_OK, "closed on our side");
            flush(relay);
            return;
        }
    }
}

/* Waits for our own client. Strangers are turned away, and the wait goes on. */
static bool accept_own(struct wr_relay *relay) {
    for (;;) {
        enum wr_result result = WR_OK;
        int64_t left_ns = relay->accept_deadline_boot_ns - wr_clock_boot_ns(wr_clock_real());
        struct pollfd fds[2] = {{.fd = relay->listen_fd, .events = POLLIN}, {.fd = relay->wake_fd, .events = POLLIN}};
        if (left_ns <= 0)
            result = wr_error_set(&relay->cause, WR_TIMEOUT, "relay: the MQTT client did not connect in time");
        else if (poll(fds, 2, left_ns / WR_NS_PER_MS > 60000 ? 60000 : (int)(left_ns / WR_NS_PER_MS) + 1) < 0 && errno != EINTR)
            result = wr_error_set(&relay->cause, WR_IO, "relay: poll: %s", strerror(errno));
        else if (fds[1].revents != 0)
            return false;
        if (result != WR_OK)
            return false;
        int fd = accept4(relay->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)) {
            (void)wr_error_set(&relay->cause, WR_IO, "relay: accept: %s", strerror(errno));
            return false;
        }
        if (fd < 0)
            continue; /* gone again */
        int other_fd = -1;
        if (wr_own_socket(fd, &other_fd)) {
            int one = 1;
            (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            if (relay->gate != NULL) {
                int bytes = GATED_BUFFER_BYTES;
                (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
                (void)setsockopt(other_fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
            }
            relay->local_fd = fd;
            return true;
        }
        relay->strangers++;
        (void)close(fd);
    }
}

static void *relay_thread(void *user) {
    struct wr_relay *relay = user;
    wr_thread_name("weir-relay");
    bool accepted = accept_own(relay);
    (void)close(relay->listen_fd);
    relay->listen_fd = -1;
    if (accepted)
        carry(relay);
    relay->ended = true; /* before paho's socket closes, so that whoever is told finds the cause */
    if (relay->local_fd >= 0)
        (void)close(relay->local_fd);
    relay->local_fd = -1;
    (void)pthread_mutex_lock(&relay->wire_lock);
    (void)wr_wire_bytes_of(relay->stream.fd, &relay->wire);
    relay->wire_over = true;
    (void)pthread_mutex_unlock(&relay->wire_lock);
    wr_stream_close(&relay->stream);
    return NULL;
}

static enum wr_result listen_locally(int *ret_fd, uint16_t *ret_port, struct wr_error *err) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return wr_error_set(err, WR_IO, "relay: socket: %s", strerror(errno));
    if (bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        int error = errno;
        (void)close(fd);
        return wr_error_set(err, WR_IO, "relay: listen on 127.0.0.1: %s", strerror(error));
    }
    *ret_fd = fd;
    *ret_port = ntohs(address.sin_port);
    return WR_OK;
}

static void relay_free(struct wr_relay *relay) {
    if (relay->listen_fd >= 0)
        (void)close(relay->listen_fd);
    if (relay->wake_fd >= 0)
        (void)close(relay->wake_fd);
    wr_stream_close(&relay->stream);
    wr_relay_gate_free(relay->gate);
    (void)pthread_mutex_destroy(&relay->wire_lock);
    explicit_bzero(relay, sizeof *relay); /* the CONNECT with its password passed through */
    free(relay);
}

enum wr_result wr_relay_open(struct wr_stream *stream, int64_t accept_deadline_boot_ns, struct wr_relay **ret_relay, uint16_t *ret_port,
                             struct wr_error *err) {
    return wr_relay_open_gated(stream, accept_deadline_boot_ns, NULL, ret_relay, ret_port, err);
}

enum wr_result wr_relay_open_gated(struct wr_stream *stream, int64_t accept_deadline_boot_ns, const struct wr_relay_gated *gated,
                                   struct wr_relay **ret_relay, uint16_t *ret_port, struct wr_error *err) {
    struct wr_relay *relay = calloc(1, sizeof *relay);
    if (relay == NULL) {
        wr_stream_close(stream);
        return wr_error_set(err, WR_NO_MEMORY, "relay: no memory");
    }
    relay->stream = *stream;
    *stream = (struct wr_stream){.fd = -1};
    (void)pthread_mutex_init(&relay->wire_lock, NULL);
    relay->listen_fd = relay->local_fd = -1;
    relay->accept_deadline_boot_ns = accept_deadline_boot_ns;
    relay->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    uint16_t port = 0;
    enum wr_result result = relay->wake_fd < 0 ? wr_error_set(err, WR_IO, "relay: eventfd: %s", strerror(errno))
                                               : listen_locally(&relay->listen_fd, &port, err);
    if (result == WR_OK && gated != NULL)
        result = wr_relay_gate_new(gated, &relay->gate, err);
    if (result == WR_OK)
        result = wr_thread_start(&relay->thread, relay_thread, relay, "relay", err);
    if (result != WR_OK) {
        relay_free(relay);
        return result;
    }
    *ret_relay = relay;
    *ret_port = port;
    return WR_OK;
}

bool wr_relay_end(const struct wr_relay *relay, struct wr_error *ret_cause) {
    if (!relay->ended)
        return false;
    if (ret_cause != NULL)
        *ret_cause = relay->cause;
    return true;
}

void wr_relay_stats(struct wr_relay *relay, struct wr_relay_stats *ret_stats) {
    *ret_stats =
        (struct wr_relay_stats){.sent_bytes = relay->sent_bytes, .received_bytes = relay->received_bytes, .strangers = relay->strangers};
    (void)pthread_mutex_lock(&relay->wire_lock);
    if (!relay->wire_over)
        (void)wr_wire_bytes_of(relay->stream.fd, &relay->wire);
    ret_stats->wire = relay->wire;
    (void)pthread_mutex_unlock(&relay->wire_lock);
    if (relay->gate != NULL) {
        ret_stats->acknowledged = relay->gate->released;
        ret_stats->pauses = relay->gate->pauses;
        ret_stats->paused = relay->gate->paused;
    }
}

size_t wr_relay_first(const struct wr_relay *relay, const uint8_t **ret_bytes) {
    *ret_bytes = relay->first;
    return relay->first_len;
}

void wr_relay_acknowledge(struct wr_relay *relay, const struct wr_relay_ack *acks, size_t n) {
    if (wr_relay_gate_acknowledge(relay->gate, acks, n))
        (void)eventfd_write(relay->wake_fd, 1);
}

void wr_relay_pause(struct wr_relay *relay, bool wanted) {
    if (atomic_exchange(&relay->gate->pause_wanted, wanted) && !wanted)
        (void)eventfd_write(relay->wake_fd, 1);
}

void wr_relay_close(struct wr_relay *relay) {
    if (relay == NULL)
        return;
    relay->stopping = true;
    (void)eventfd_write(relay->wake_fd, 1);
    (void)pthread_join(relay->thread, NULL);
    relay_free(relay);
}

size_t wr_relay_gated_bytes(void) {
    return sizeof(struct wr_relay) + sizeof(struct wr_relay_gate) + WR_ACK_GATE_MAX * sizeof(struct wr_ack_gate_entry);
}
