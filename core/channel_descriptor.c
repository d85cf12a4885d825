/* The channel seen from an event loop: an eventfd per direction, written only while the loop is declared asleep. */
#include "core/channel_private.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum wr_result wr_channel_descriptor(struct wr_channel *channel, enum wr_channel_direction direction, int *ret_fd, struct wr_error *err) {
    wr_channel_lock(channel);
    if (channel->fd[direction] < 0)
        channel->fd[direction] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    const int fd = channel->fd[direction];
    const int because = errno;
    wr_channel_unlock(channel);
    if (fd < 0)
        return wr_error_set(err, WR_IO, "%s: no descriptor: %s", channel->name, strerror(because));
    *ret_fd = fd;
    return WR_OK;
}

/* The condition a loop sleeps for: its next try may give something else than full or empty. */
static bool is_ready(struct wr_channel *channel, enum wr_channel_direction direction) {
    if (atomic_load_explicit(&channel->closed, memory_order_relaxed))
        return true;
    if (direction == WR_CHANNEL_RECV)
        return channel->depth > 0 || wr_channel_has_waiter(channel, WR_CHANNEL_SEND);
    return channel->depth < channel->capacity || wr_channel_has_waiter(channel, WR_CHANNEL_RECV);
}

bool wr_channel_arm(struct wr_channel *channel, enum wr_channel_direction direction) {
    wr_channel_lock(channel);
    const bool ready = is_ready(channel, direction); /* C5 */
    channel->armed[direction] = !ready;
    wr_channel_unlock(channel);
    return ready;
}

void wr_channel_disarm(struct wr_channel *channel, enum wr_channel_direction direction) {
    wr_channel_lock(channel);
    channel->armed[direction] = false;
    if (channel->fd[direction] >= 0) {
        /* C6. The write was made under this lock, so none is still on its way. Nothing to read is fine. */
        uint64_t count = 0;
        const ssize_t n = read(channel->fd[direction], &count, sizeof count);
        (void)n;
    }
    wr_channel_unlock(channel);
}

void wr_channel_signal(struct wr_channel *channel, enum wr_channel_direction direction) {
    if (!channel->armed[direction] || channel->fd[direction] < 0)
        return;
    /* I6. A write that fails leaves the loop armed, so that the next change tries again. */
    const uint64_t one = 1;
    if (write(channel->fd[direction], &one, sizeof one) == (ssize_t)sizeof one)
        channel->armed[direction] = false;
}
