/* What the files of the line source share: line_source.c (the loop), line_listener.c (where connections come from), line_connection.c (what
 * they send), line_tls.c (those that shake hands first), line_udp.c (datagrams). Everything here belongs to the source's thread, from start to
 * join.
 */
#ifndef WEIR_AGENT_SOURCES_LINE_SOURCE_PRIVATE_H
#define WEIR_AGENT_SOURCES_LINE_SOURCE_PRIVATE_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <sys/stat.h>

#include "agent/codec/codec.h"
#include "agent/sources/intake.h"
#include "agent/sources/line_source.h"
#include "agent/sources/link.h"
#include "transport/tls_server.h"

#define WR_LINE_READ_BYTES 65536
#define WR_LINE_LISTENERS 32
#define WR_LINE_CONNECTION_BYTES 1024 /* at most, plain and idle */

struct wr_line_connection;
struct wr_line_source;
struct wr_line_tls;
struct wr_line_tls_side;
struct wr_line_udp;

struct wr_line_listener {
    struct wr_line_source *owner;
    const struct wr_address *address;
    int fd; /* -1: closed */
    uint16_t port;
    struct wr_line_udp *udp; /* UDP: what it reads into; NULL: connections come from here */
    dev_t socket_dev;        /* UNIX: the socket file we made, so that only that one is removed */
    ino_t socket_ino;
    struct event readable;
    struct event retry; /* no descriptor was left: try again */
};

/* What one read of a connection brought: n bytes in the shared buffer, and how it goes on. */
enum wr_line_end {
    WR_LINE_GOES_ON, /* with n = 0: there is nothing now */
    WR_LINE_ENDS,
    WR_LINE_BREAKS /* what was unfinished stays so */
};
struct wr_line_got {
    size_t n;
    enum wr_line_end end;
};

/* How a connection's bytes are read: plainly, or through TLS. At most `most` bytes, or with TLS what the socket has, up to the whole shared buffer. */
typedef struct wr_line_got wr_line_read(struct wr_line_connection *connection, size_t most);

struct wr_line_connection {
    struct wr_line_source *owner;
    wr_line_read *read;
    struct wr_line_tls *tls; /* NULL: plain */
    struct event readable;
    struct wr_link all;               /* in owner->connections */
    struct wr_link with_part;         /* in owner->parts, the oldest first, while part_len > 0 */
    struct wr_link put_off;           /* in owner->put_off */
    uint64_t line;                    /* lines seen */
    char *part;                       /* the beginning of a line, or of a JSON value */
    struct wr_json_progress progress; /* in part */
    uint32_t part_len;
    uint32_t part_size;
    int fd;
    bool is_stdin;
    bool pollable;  /* a regular file is always readable, and epoll refuses it */
    bool part_done; /* the part may be whole, and is to be parsed; perhaps it waits for a batch */
    bool skipping;  /* inside a line that was refused as too long */
    bool draining;  /* the source stops: drain_bytes are still to be read */
    int drain_bytes;
};

struct wr_line_source {
    struct wr_source source; /* first */
    struct wr_intake intake;
    struct wr_codec codec;
    struct event_base *base;
    int stop_fd;
    struct event stop;
    struct event deadline;
    struct event batch_free;
    struct event pass_end; /* active: readings wait to be handed over */
    _Atomic int64_t stop_deadline_boot_ns;
    pthread_t thread;
    bool started;
    bool stopping;
    bool overdue; /* the deadline has passed */

    struct wr_line_listener listeners[WR_LINE_LISTENERS];
    unsigned n_listeners;
    uint32_t max_connections;
    uint32_t n_connections;
    bool only_stdin;
    struct wr_link connections;
    struct wr_link parts;
    struct wr_link put_off; /* became readable while the source was stalled */
    size_t part_bytes;      /* allocated for parts */

    struct wr_line_tls_side *tls; /* NULL: no tls:// address */

    struct wr_line_connection *current; /* whose bytes are being parsed; for messages */
    struct wr_line_udp *current_udp;    /* or whose datagram */
    struct wr_line_connection *stalled; /* whose bytes wait for a batch: rest, in the shared buffer */
    struct wr_line_udp *stalled_udp;    /* or whose datagram waits, in its own; never both */
    const char *rest;
    size_t rest_len;
    enum wr_line_end rest_end;
    char buffer[WR_LINE_READ_BYTES];
};

/* line_listener.c */
WR_MUST_USE enum wr_result wr_line_listeners_open(struct wr_line_source *source, struct wr_error *err);
/* Removes our socket files. Datagrams that arrived are in their socket, and go with it. */
void wr_line_listeners_close(struct wr_line_source *source, bool datagrams_too);

/* line_connection.c */
/* Takes over fd, also when it fails: then it is closed, that is logged, and NULL. It does not read yet. */
struct wr_line_connection *wr_line_connection_open(struct wr_line_source *source, int fd, bool is_stdin);
/* Makes its event one that reads; it is not pending. */
void wr_line_connection_assign(struct wr_line_connection *connection);
/* Readable events from now on; closes the connection if there can be none. */
void wr_line_connection_listen(struct wr_line_connection *connection);
void wr_line_connection_close(struct wr_line_connection *connection);
/* A batch is free, or all is discarded now: goes on with the rest. True: not stalled any more. */
bool wr_line_connection_resume(struct wr_line_source *source);
/* For a stop: reads what was readable when this was first called, then closes the connection. False: stalled, call again. */
bool wr_line_connection_drain(struct wr_line_connection *connection);
/* Who sent it. */
void wr_line_connection_peer(const struct wr_line_connection *connection, char *text, size_t size);

/* line_tls.c */
/* What bounds handshakes; variable only so that tests need not wait. */
struct wr_line_tls_limits {
    int64_t handshake_ns; /* to say something; and then again, to finish */
    int64_t contended_ns; /* to finish, while others wait, or all connections are in use */
    unsigned handshakes;  /* at once; others wait */
};
extern struct wr_line_tls_limits wr_line_tls_limits;

/* Of a source that has a tls:// address: what its TLS connections share. Files that are not usable yet are logged, and looked for again. */
WR_MUST_USE enum wr_result wr_line_tls_open(struct wr_line_source *source, struct wr_error *err);
void wr_line_tls_close(struct wr_line_source *source);
/* The connection shakes hands before it is read; what goes wrong with that closes it. */
void wr_line_tls_begin(struct wr_line_connection *connection);
/* All connections are in use: closes the one that has been longest without finishing its handshake. False: there is none to close. */
bool wr_line_tls_make_room(struct wr_line_source *source);
/* Of a connection that is being closed. */
void wr_line_tls_end(struct wr_line_connection *connection);
/* Whether its handshake is over. */
bool wr_line_tls_is_open(const struct wr_line_tls *tls);
/* For the memory ceiling: of so many connections, all of them TLS. */
size_t wr_line_tls_bytes(size_t connections);

/* line_udp.c */
/* Makes the listener, whose socket is bound, one for datagrams. */
WR_MUST_USE enum wr_result wr_line_udp_open(struct wr_line_listener *listener, struct wr_error *err);
/* For a stop: takes what is in the socket's buffer now. False: stalled, call again when a batch is free. */
bool wr_line_udp_drain(struct wr_line_listener *listener);
void wr_line_udp_close(struct wr_line_listener *listener);
/* A batch is free, or all is discarded now: goes on with the datagrams that wait. True: not stalled any more. */
bool wr_line_udp_resume(struct wr_line_source *source);
/* The source is not stalled any more: reads again. */
void wr_line_udp_go_on(struct wr_line_listener *listener);
/* Who sent the datagram that is being parsed. */
void wr_line_udp_sender(const struct wr_line_udp *udp, char *text, size_t size);
/* For the memory ceiling: of one udp:// address. */
size_t wr_line_udp_bytes(const struct wr_config_source *config, const struct wr_config_limits *limits);

/* line_source.c */
static inline bool wr_line_is_stalled(const struct wr_line_source *source) {
    return source->stalled || source->stalled_udp;
}
/* "192.0.2.1:4711", "[::1]:4711", "unix", "gone". */
void wr_line_address_text(const struct sockaddr *address, char *text, size_t size);
/* The end of a read callback: its readings are handed over, with those of the other callbacks of this pass of the loop. */
void wr_line_source_hand_over(struct wr_line_source *source);
/* No batch was free: goes on at once if one came back meanwhile, else sleeps on the pool's descriptor. */
void wr_line_source_stall(struct wr_line_source *source);

#endif
