/* What the files of the line source share: line_source.c (the loop), line_listener.c (where connections come from), line_connection.c (what
 * they send). Everything here belongs to the source's thread, from start to join.
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

#define WR_LINE_READ_BYTES 65536
#define WR_LINE_LISTENERS 32

struct wr_line_source;

struct wr_line_listener {
    struct wr_line_source *owner;
    const struct wr_address *address;
    int fd; /* -1: closed */
    uint16_t port;
    dev_t socket_dev; /* UNIX: the socket file we made, so that only that one is removed */
    ino_t socket_ino;
    struct event readable;
    struct event retry; /* no descriptor was left: try again */
};

struct wr_line_connection {
    struct wr_line_source *owner;
    struct event readable;
    struct wr_link all;       /* in owner->connections */
    struct wr_link with_part; /* in owner->parts, the oldest first, while part_len > 0 */
    struct wr_link put_off;   /* in owner->put_off */
    uint64_t line;            /* lines seen */
    char *part;               /* the beginning of a line, or of a JSON value */
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

    struct wr_line_connection *current; /* whose bytes are being parsed; for messages */
    struct wr_line_connection *stalled; /* whose bytes wait for a batch: rest, in the shared buffer */
    const char *rest;
    size_t rest_len;
    bool rest_ended;
    char buffer[WR_LINE_READ_BYTES];
};

/* line_listener.c */
WR_MUST_USE enum wr_result wr_line_listeners_open(struct wr_line_source *source, struct wr_error *err);
/* Removes our socket files. */
void wr_line_listeners_close(struct wr_line_source *source);

/* line_connection.c */
/* Takes over fd, also when it fails: then it is closed, and that is logged. */
void wr_line_connection_open(struct wr_line_source *source, int fd, bool is_stdin);
/* Readable events from now on; closes the connection if there can be none. */
void wr_line_connection_listen(struct wr_line_connection *connection);
void wr_line_connection_close(struct wr_line_connection *connection);
/* A batch is free, or all is discarded now: goes on with the rest. True: not stalled any more. */
bool wr_line_connection_resume(struct wr_line_source *source);
/* For a stop: reads what was readable when this was first called, then closes the connection. False: stalled, call again. */
bool wr_line_connection_drain(struct wr_line_connection *connection);
/* Who sent it. */
void wr_line_connection_peer(const struct wr_line_connection *connection, char *text, size_t size);

/* line_source.c */
/* No batch was free: goes on at once if one came back meanwhile, else sleeps on the pool's descriptor. */
void wr_line_source_stall(struct wr_line_source *source);

#endif
