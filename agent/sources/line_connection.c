#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/sources/line_source_private.h"
#include "core/log.h"

#define PART_BYTES_MIN 256

static void on_readable(evutil_socket_t fd, short what, void *user);
static wr_line_read read_plain;

/* -- life ------------------------------------------------------------------------------------------------------------------------ */

static bool is_pollable(int fd) {
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        return true;
    struct epoll_event event = {.events = EPOLLIN};
    const bool refused = epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0 && errno == EPERM;
    close(epoll);
    return !refused;
}

/* Readable events from now on. */
void wr_line_connection_listen(struct wr_line_connection *connection) {
    const struct timeval at_once = {0, 0};
    if (event_add(&connection->readable, connection->pollable ? NULL : &at_once) < 0) {
        WR_LOG_WITH(WR_LOG_ERROR, "line", "no event for a connection: closed",
                    WR_LOG_STR("source", connection->owner->source.env.config->name));
        wr_line_connection_close(connection);
    }
}

struct wr_line_connection *wr_line_connection_open(struct wr_line_source *source, int fd, bool is_stdin) {
    struct wr_line_connection *connection = calloc(1, sizeof *connection);
    if (!connection) {
        WR_LOG_WITH(WR_LOG_ERROR, "line", "no memory for a connection: closed", WR_LOG_STR("source", source->source.env.config->name));
        atomic_fetch_add_explicit(&source->source.env.counters->connections_refused, 1, memory_order_relaxed);
        if (!is_stdin)
            close(fd);
        return NULL;
    }
    connection->owner = source;
    connection->read = read_plain;
    connection->fd = fd;
    connection->is_stdin = is_stdin;
    connection->pollable = !is_stdin || is_pollable(fd);
    wr_link_init(&connection->all);
    wr_link_init(&connection->with_part);
    wr_link_init(&connection->put_off);
    wr_link_append(&source->connections, &connection->all);
    source->n_connections++;
    atomic_fetch_add_explicit(&source->source.env.counters->connections, 1, memory_order_relaxed);
    wr_line_connection_assign(connection);
    return connection;
}

void wr_line_connection_assign(struct wr_line_connection *connection) {
    struct event_base *base = connection->owner->base;
    if (connection->pollable)
        event_assign(&connection->readable, base, connection->fd, EV_READ | EV_PERSIST, on_readable, connection);
    else
        event_assign(&connection->readable, base, -1, 0, on_readable, connection); /* a timer that is always due */
}

static void drop_part(struct wr_line_connection *connection) {
    connection->owner->part_bytes -= connection->part_size;
    free(connection->part);
    connection->part = NULL;
    connection->part_len = 0;
    connection->part_size = 0;
    connection->part_done = false;
    connection->progress = (struct wr_json_progress){0};
    wr_link_remove(&connection->with_part);
}

void wr_line_connection_close(struct wr_line_connection *connection) {
    struct wr_line_source *source = connection->owner;
    event_del(&connection->readable);
    drop_part(connection);
    wr_link_remove(&connection->put_off);
    wr_link_remove(&connection->all);
    wr_line_tls_end(connection);
    source->n_connections--;
    atomic_fetch_sub_explicit(&source->source.env.counters->connections, 1, memory_order_relaxed);
    if (connection->is_stdin) {
        if (source->only_stdin) {
            wr_intake_hand_over(&source->intake); /* who sees the end finds all counted */
            atomic_store_explicit(&source->source.env.counters->finished, 1, memory_order_relaxed);
        }
    } else {
        close(connection->fd);
    }
    if (source->current == connection)
        source->current = NULL;
    free(connection);
}

void wr_line_connection_peer(const struct wr_line_connection *connection, char *text, size_t size) {
    union {
        struct sockaddr any;
        struct sockaddr_storage room;
    } peer = {.any.sa_family = AF_UNSPEC};
    socklen_t len = sizeof peer;
    if (connection->is_stdin)
        snprintf(text, size, "stdin");
    else if (getpeername(connection->fd, &peer.any, &len) < 0)
        snprintf(text, size, "gone");
    else
        wr_line_address_text(&peer.any, text, size);
}

/* -- parts of lines ---------------------------------------------------------------------------------------------------------------- */

static void refuse_line(struct wr_line_connection *connection, enum wr_book reason, const char *message) {
    /* What the ring of parts holds is open; the analyzer cannot see that closing takes it out. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    const char *start = connection->part ? connection->part : "";
    struct wr_refusal refusal;
    wr_refusal_set(&refusal, reason, connection->line + 1, start, start + connection->part_len, "%s", message);
    struct wr_line_connection *before = connection->owner->current;
    connection->owner->current = connection;
    wr_intake_refuse(&connection->owner->intake, &refusal);
    connection->owner->current = before;
}

/* Forgets the line and whatever of it is still to come. */
static void skip_line(struct wr_line_connection *connection, enum wr_book reason, const char *message) {
    refuse_line(connection, reason, message);
    for (uint32_t i = 0; i < connection->part_len; i++)
        connection->line += connection->part[i] == '\n'; /* a JSON value may have lines */
    drop_part(connection);
    connection->skipping = true;
}

/* Makes `grow` bytes fit into the budget, by closing connections with older parts. False: this connection's own is the oldest. */
static bool fit_budget(struct wr_line_connection *connection, size_t grow) {
    struct wr_line_source *source = connection->owner;
    while (source->part_bytes + grow > source->source.env.limits->partial_lines_bytes) {
        if (wr_link_alone(&source->parts))
            return false;
        struct wr_line_connection *oldest = WR_LINK_OWNER(source->parts.next, struct wr_line_connection, with_part);
        if (oldest == connection)
            return false;
        refuse_line(oldest, WR_BOOK_REJECTED_TOO_LONG, "unfinished line, and the budget for partial lines is used up: connection closed");
        wr_line_connection_close(oldest);
    }
    return true;
}

enum kept { KEPT, KEPT_SKIPPED, KEPT_CLOSED };

/* Adds bytes to the connection's part. */
static enum kept keep_part(struct wr_line_connection *connection, const char *bytes, size_t len) {
    struct wr_line_source *source = connection->owner;
    const size_t need = connection->part_len + len;
    if (need > source->source.env.limits->max_line_bytes) {
        skip_line(connection, WR_BOOK_REJECTED_TOO_LONG,
                  source->codec.by_lines ? "line longer than max_line" : "value longer than max_line");
        return KEPT_SKIPPED;
    }
    if (need > connection->part_size) {
        size_t size = connection->part_size ? connection->part_size : PART_BYTES_MIN;
        while (size < need)
            size *= 2;
        if (!fit_budget(connection, size - connection->part_size)) {
            refuse_line(connection, WR_BOOK_REJECTED_TOO_LONG,
                        "unfinished line, and the budget for partial lines is used up: connection closed");
            wr_line_connection_close(connection);
            return KEPT_CLOSED;
        }
        char *part = realloc(connection->part, size);
        if (!part) {
            skip_line(connection, WR_BOOK_REJECTED_MEMORY, "no memory for a partial line");
            return KEPT_SKIPPED;
        }
        source->part_bytes += size - connection->part_size;
        connection->part = part;
        connection->part_size = (uint32_t)size;
    }
    if (connection->part_len == 0)
        wr_link_append(&source->parts, &connection->with_part);
    memcpy(connection->part + connection->part_len, bytes, len);
    connection->part_len = (uint32_t)need;
    return KEPT;
}

/* -- taking bytes ---------------------------------------------------------------------------------------------------------------- */

enum taken { TAKEN_ALL, TAKEN_STALLED, TAKEN_CLOSED };

/* Parses the part. What is left of it is the beginning of a record; or, WR_FULL, a record that waits for a batch. */
static enum wr_result feed_part(struct wr_line_connection *connection, bool ended) {
    struct wr_line_source *source = connection->owner;
    size_t consumed;
    enum wr_result result =
        wr_codec_feed(&source->codec, connection->part, connection->part_len, ended, &connection->line, &source->intake.sink, &consumed);
    if (result == WR_OK)
        connection->part_done = false;
    connection->progress = (struct wr_json_progress){0};
    if (consumed == connection->part_len) {
        drop_part(connection);
    } else if (consumed > 0) {
        connection->part_len -= (uint32_t)consumed;
        memmove(connection->part, connection->part + consumed, connection->part_len);
    }
    return result;
}

/* Where the bytes end that are added to the part: behind the first newline. A JSON value may go on there: then all that there is. */
static const char *piece_end(const struct wr_line_connection *connection, const char *p, const char *end, bool again) {
    const struct wr_line_source *source = connection->owner;
    const char *newline = again ? NULL : memchr(p, '\n', (size_t)(end - p));
    const char *behind = newline ? newline + 1 : end;
    const size_t room = source->source.env.limits->max_line_bytes - connection->part_len;
    if (!source->codec.by_lines && room > 0 && (size_t)(behind - p) > room)
        behind = p + room;
    return behind;
}

static void skip_rest(struct wr_line_connection *connection, const char **p, const char *end) {
    const char *newline = memchr(*p, '\n', (size_t)(end - *p));
    *p = newline ? newline + 1 : end;
    connection->skipping = !newline;
    connection->line += newline != NULL;
}

/* The bytes that belong to a record that began earlier: p moves behind them. */
static enum taken take_head(struct wr_line_connection *connection, const char **p, const char *end, bool ended) {
    if (connection->skipping)
        skip_rest(connection, p, end);
    for (bool again = false; connection->part_len > 0; again = true) {
        if (!connection->part_done) {
            const char *from = *p;
            *p = from < end ? piece_end(connection, from, end, again) : end;
            const enum kept kept = keep_part(connection, from, (size_t)(*p - from));
            if (kept == KEPT_CLOSED)
                return TAKEN_CLOSED;
            if (kept == KEPT_SKIPPED) {
                *p = from;
                skip_rest(connection, p, end);
                return TAKEN_ALL;
            }
            connection->part_done = (ended && *p == end) || wr_codec_is_whole(&connection->owner->codec, &connection->progress,
                                                                              connection->part, connection->part_len);
        }
        if (connection->part_done && feed_part(connection, ended && *p == end) == WR_FULL)
            return TAKEN_STALLED;
        if (*p == end)
            break;
    }
    return TAKEN_ALL;
}

/* Takes bytes[len], and with WR_LINE_ENDS the end of the input. Stalled: the rest is noted in the source, and nothing is lost. */
static enum taken take(struct wr_line_connection *connection, const char *bytes, size_t len, enum wr_line_end end_of_input) {
    struct wr_line_source *source = connection->owner;
    const char *p = bytes;
    const char *end = bytes + len;
    const bool ended = end_of_input == WR_LINE_ENDS;
    source->current = connection;
    enum taken taken = take_head(connection, &p, end, ended);
    if (taken == TAKEN_ALL && p < end && !connection->skipping) {
        size_t consumed;
        if (wr_codec_feed(&source->codec, p, (size_t)(end - p), ended, &connection->line, &source->intake.sink, &consumed) == WR_FULL)
            taken = TAKEN_STALLED;
        p += consumed;
        if (taken == TAKEN_ALL && p < end && keep_part(connection, p, (size_t)(end - p)) == KEPT_CLOSED)
            return TAKEN_CLOSED;
    }
    if (taken == TAKEN_STALLED) {
        source->stalled = connection;
        source->rest = p;
        source->rest_len = (size_t)(end - p);
        source->rest_end = end_of_input;
    }
    return taken;
}

/* The input is over, and all of it taken. */
static void finish(struct wr_line_connection *connection, enum wr_line_end end) {
    if (end == WR_LINE_BREAKS && connection->part_len > 0)
        refuse_line(connection, WR_BOOK_REJECTED_SYNTAX, "the connection broke inside a line");
    wr_line_connection_close(connection);
}

static struct wr_line_got read_plain(struct wr_line_connection *connection, size_t most) {
    const ssize_t n = read(connection->fd, connection->owner->buffer, most);
    if (n > 0)
        return (struct wr_line_got){(size_t)n, WR_LINE_GOES_ON};
    if (n == 0)
        return (struct wr_line_got){0, WR_LINE_ENDS};
    return (struct wr_line_got){0, errno == EAGAIN || errno == EINTR ? WR_LINE_GOES_ON : WR_LINE_BREAKS};
}

/* One read, and what it brought is taken. */
static enum taken read_and_take(struct wr_line_connection *connection, size_t most, struct wr_line_got *ret_got) {
    struct wr_line_source *source = connection->owner;
    const struct wr_line_got got = connection->read(connection, most);
    *ret_got = got;
    if (got.n == 0 && got.end == WR_LINE_GOES_ON)
        return TAKEN_ALL;
    atomic_fetch_add_explicit(&source->source.env.counters->bytes, got.n, memory_order_relaxed);
    const struct wr_now now = wr_clock_now(source->source.env.clock);
    wr_intake_arrived(&source->intake, &now);
    return take(connection, source->buffer, got.n, got.end);
}

static void on_readable(evutil_socket_t fd, short what, void *user) {
    (void)fd, (void)what;
    struct wr_line_connection *connection = user;
    struct wr_line_source *source = connection->owner;
    if (wr_line_is_stalled(source)) { /* the buffer, or what codec and intake hold of a record, is in use */
        event_del(&connection->readable);
        wr_link_append(&source->put_off, &connection->put_off);
        return;
    }
    struct wr_line_got got;
    const enum taken taken = read_and_take(connection, sizeof source->buffer, &got);
    wr_line_source_hand_over(source);
    if (taken == TAKEN_STALLED) {
        event_del(&connection->readable);
        wr_line_source_stall(source);
    } else if (taken == TAKEN_ALL && got.end != WR_LINE_GOES_ON) {
        finish(connection, got.end);
    } else if (taken == TAKEN_ALL && !connection->pollable) {
        wr_line_connection_listen(connection);
    }
}

bool wr_line_connection_resume(struct wr_line_source *source) {
    struct wr_line_connection *connection = source->stalled;
    const enum wr_line_end end = source->rest_end;
    source->stalled = NULL;
    const enum taken taken = take(connection, source->rest, source->rest_len, end);
    wr_intake_hand_over(&source->intake);
    if (taken == TAKEN_STALLED)
        return false;
    if (taken == TAKEN_ALL && end != WR_LINE_GOES_ON)
        finish(connection, end);
    else if (taken == TAKEN_ALL && !source->stopping)
        wr_line_connection_listen(connection);
    return true;
}

bool wr_line_connection_drain(struct wr_line_connection *connection) {
    struct wr_line_source *source = connection->owner;
    if (!connection->draining) { /* what is there now, and no more: a sender that never stops must not hold up the stop */
        connection->draining = true;
        const bool readable = connection->pollable && (!connection->tls || wr_line_tls_is_open(connection->tls));
        if (!readable || ioctl(connection->fd, FIONREAD, &connection->drain_bytes) < 0)
            connection->drain_bytes = 0;
    }
    while (connection->drain_bytes > 0 && !source->overdue) {
        const size_t left = (size_t)connection->drain_bytes;
        struct wr_line_got got;
        const enum taken taken = read_and_take(connection, left < sizeof source->buffer ? left : sizeof source->buffer, &got);
        if (taken == TAKEN_CLOSED)
            return true;
        connection->drain_bytes -= (int)got.n; /* of TLS fewer than were read off the socket: so it ends a little later */
        if (taken == TAKEN_STALLED)
            return false;
        if (got.n == 0 || got.end != WR_LINE_GOES_ON)
            break;
    }
    wr_line_connection_close(connection);
    return true;
}
