#include "tests/support/waiting.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/channel_private.h"

size_t wr_waiting_count(struct wr_channel *channel, enum wr_channel_direction direction) {
    size_t n = 0;
    wr_channel_lock(channel);
    for (struct wr_channel_entry *entry = channel->waiting[direction].first; entry; entry = entry->next)
        n += atomic_load(&entry->waiter->state) == WR_WAITER_WAITING;
    wr_channel_unlock(channel);
    return n;
}

void wr_waiting_until(struct wr_channel *channel, enum wr_channel_direction direction, size_t n) {
    while (wr_waiting_count(channel, direction) < n)
        (void)sched_yield();
}

static void give_up(int signal_number) {
    static const char text[] = "watchdog: the test hangs: a wake-up was lost\n";
    const ssize_t n = write(2, text, sizeof text - 1);
    (void)n;
    (void)signal_number;
    abort();
}

void wr_waiting_watchdog(unsigned seconds) {
    (void)signal(SIGALRM, give_up);
    (void)alarm(seconds);
}
