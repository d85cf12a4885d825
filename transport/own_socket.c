#include "transport/own_socket.h"

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

static bool same(const struct sockaddr_in *a, const struct sockaddr_in *b) {
    return a->sin_family == AF_INET && b->sin_family == AF_INET && a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
}

static bool ends(int fd, struct sockaddr_in *ret_own, struct sockaddr_in *ret_peer) {
    socklen_t own_len = sizeof *ret_own;
    socklen_t peer_len = sizeof *ret_peer;
    return getsockname(fd, (struct sockaddr *)ret_own, &own_len) == 0 && own_len == sizeof *ret_own &&
           getpeername(fd, (struct sockaddr *)ret_peer, &peer_len) == 0 && peer_len == sizeof *ret_peer;
}

bool wr_own_socket(int accepted_fd, int *ret_other_fd) {
    struct sockaddr_in own = {0};
    struct sockaddr_in peer = {0};
    if (!ends(accepted_fd, &own, &peer))
        return false;
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL)
        return false;
    bool found = false;
    for (struct dirent *entry = readdir(directory); entry != NULL && !found; entry = readdir(directory)) {
        char *end = NULL;
        long fd = strtol(entry->d_name, &end, 10);
        struct sockaddr_in other_own = {0};
        struct sockaddr_in other_peer = {0};
        if (end == entry->d_name || *end != '\0' || fd < 0 || fd > INT32_MAX || !ends((int)fd, &other_own, &other_peer))
            continue;
        if (same(&other_own, &peer) && same(&other_peer, &own)) {
            int one = 1;
            (void)setsockopt((int)fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            (void)fcntl((int)fd, F_SETFD, FD_CLOEXEC);
            if (ret_other_fd != NULL)
                *ret_other_fd = (int)fd;
            found = true;
        }
    }
    (void)closedir(directory);
    return found;
}
