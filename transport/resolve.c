#include "transport/resolve.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/clock.h"
#include "transport/dial.h"

#define LOOKUP_STACK_BYTES ((size_t)256 * 1024) /* what resolver modules need, not what threads get by default */

/* Shared by the thread that looks up and the one that waits; the last of them frees it. */
struct lookup {
    _Atomic int owners;
    int done_fd;
    _Atomic bool done; /* what follows is written */
    int result;
    int system_errno;
    struct addrinfo *list;
    struct lookup *next; /* of those under way */
    char host[WR_URL_HOST_BYTES];
    char port[8];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* over what follows, and their `next` */
static struct lookup *under_way;
static unsigned lookups;

unsigned wr_dial_lookups(void) {
    pthread_mutex_lock(&lock);
    const unsigned n = lookups;
    pthread_mutex_unlock(&lock);
    return n;
}

/* One more, unless there are too many: in all, or of one host, so that a name that is never answered takes no place of others. */
static enum wr_result enter(struct lookup *lookup, struct wr_error *err) {
    unsigned of_host = 0;
    pthread_mutex_lock(&lock);
    for (const struct lookup *other = under_way; other; other = other->next)
        of_host += strcmp(other->host, lookup->host) == 0;
    const bool refused = lookups >= WR_DIAL_LOOKUPS || of_host >= WR_DIAL_LOOKUPS_OF_HOST;
    if (!refused) {
        lookup->next = under_way;
        under_way = lookup;
        lookups++;
    }
    pthread_mutex_unlock(&lock);
    return refused ? wr_error_set(err, WR_LIMIT, "looking up '%s': the name service answers none of %u earlier requests", lookup->host,
                                  of_host >= WR_DIAL_LOOKUPS_OF_HOST ? of_host : WR_DIAL_LOOKUPS)
                   : WR_OK;
}

static void leave(const struct lookup *lookup) {
    pthread_mutex_lock(&lock);
    struct lookup **link = &under_way;
    while (*link != lookup)
        link = &(*link)->next;
    *link = lookup->next;
    lookups--;
    pthread_mutex_unlock(&lock);
}

static void lookup_release(struct lookup *lookup) {
    if (atomic_fetch_sub(&lookup->owners, 1) > 1)
        return;
    if (lookup->list != NULL)
        freeaddrinfo(lookup->list);
    if (lookup->done_fd >= 0)
        (void)close(lookup->done_fd);
    free(lookup);
}

static int look_up(const char *host, const char *port, int flags, struct addrinfo **ret_list) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | flags};
    return getaddrinfo(host, port, &hints, ret_list);
}

static void *lookup_thread(void *user) {
    struct lookup *lookup = user;
    lookup->result = look_up(lookup->host, lookup->port, AI_ADDRCONFIG, &lookup->list);
    if (lookup->result == EAI_NONAME || lookup->result == EAI_ADDRFAMILY || lookup->result == EAI_NODATA)
        lookup->result =
            look_up(lookup->host, lookup->port, 0, &lookup->list); /* only the loopback interface is up: "localhost" all the same */
    lookup->system_errno = errno;
    leave(lookup);
    lookup->done = true;
    (void)eventfd_write(lookup->done_fd, 1);
    lookup_release(lookup);
    return NULL;
}

enum wr_result wr_resolve_wait(int fd, short events, int64_t deadline_boot_ns, int cancel_fd) {
    for (;;) {
        int64_t left_ns = deadline_boot_ns - wr_clock_boot_ns(wr_clock_real());
        if (left_ns <= 0)
            return WR_TIMEOUT;
        int64_t left_ms = left_ns / WR_NS_PER_MS + 1;
        struct pollfd fds[2] = {{.fd = fd, .events = events}, {.fd = cancel_fd, .events = POLLIN}};
        int n = poll(fds, 2, left_ms > 60000 ? 60000 : (int)left_ms);
        if (n < 0 && errno != EINTR)
            return WR_IO;
        if (n > 0 && fds[1].revents != 0)
            return WR_CANCELED;
        if (n > 0 && fds[0].revents != 0)
            return WR_OK;
    }
}

static enum wr_result no_address(const struct wr_url *url, int result, int system_errno, struct wr_error *err) {
    enum wr_result code = result == EAI_MEMORY ? WR_NO_MEMORY : WR_NOT_FOUND;
    return wr_error_set(err, code, "no address for '%s': %s", url->host,
                        result == EAI_SYSTEM ? strerror(system_errno) : gai_strerror(result));
}

static enum wr_result start(struct lookup *lookup, struct wr_error *err) {
    WR_TRY(enter(lookup, err));
    pthread_attr_t attributes;
    pthread_t thread;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attributes, LOOKUP_STACK_BYTES);
    lookup->owners = 2;
    int failed = pthread_create(&thread, &attributes, lookup_thread, lookup);
    (void)pthread_attr_destroy(&attributes);
    if (failed == 0)
        return WR_OK;
    lookup->owners = 1;
    leave(lookup);
    return wr_error_set(err, WR_NO_MEMORY, "looking up '%s': no thread: %s", lookup->host, strerror(failed));
}

enum wr_result wr_resolve(const struct wr_url *url, int64_t deadline_boot_ns, int cancel_fd, struct addrinfo **ret_list,
                          struct wr_error *err) {
    char port[8];
    (void)snprintf(port, sizeof port, "%u", (unsigned)url->port);
    if (url->numeric) {
        int result = look_up(url->host, port, AI_NUMERICHOST, ret_list);
        return result == 0 ? WR_OK : no_address(url, result, errno, err);
    }
    struct lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup == NULL)
        return wr_error_set(err, WR_NO_MEMORY, "looking up '%s': no memory", url->host);
    lookup->owners = 1;
    memcpy(lookup->host, url->host, sizeof lookup->host);
    memcpy(lookup->port, port, sizeof lookup->port);
    lookup->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    enum wr_result result =
        lookup->done_fd < 0 ? wr_error_set(err, WR_IO, "looking up '%s': %s", url->host, strerror(errno)) : start(lookup, err);
    if (result == WR_OK) {
        result = wr_resolve_wait(lookup->done_fd, POLLIN, deadline_boot_ns, cancel_fd);
        if (result != WR_OK || !lookup->done) {
            (void)wr_error_set(err, result, "looking up '%s': %s", url->host,
                               result == WR_TIMEOUT ? "no answer in time" : wr_result_name(result));
        } else if (lookup->result != 0) {
            result = no_address(url, lookup->result, lookup->system_errno, err);
        } else {
            *ret_list = lookup->list;
            lookup->list = NULL;
        }
    }
    lookup_release(lookup);
    return result;
}
