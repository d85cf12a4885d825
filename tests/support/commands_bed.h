/* What the tests of commands over MQTT share: channels, waiting for another thread, and what a command must be.
 *
 * Threads: one at a time. Errors: what does not come within a time far above what it takes fails the test.
 */
#ifndef WEIR_TESTS_SUPPORT_COMMANDS_BED_H
#define WEIR_TESTS_SUPPORT_COMMANDS_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sched.h>

#include "core/clock.h"
#include "transport/command_messages.h"

#define PATIENCE_NS (20 * WR_NS_PER_S)
#define WINDOW 8
#define CMD "weir/1/riga/gw-7/cmd"
#define ACK "weir/1/riga/gw-7/ack"

static inline int64_t soon(void) {
    return wr_clock_boot_ns(wr_clock_real()) + PATIENCE_NS;
}

static inline struct wr_channel *channel(const char *name, size_t capacity, size_t element_bytes, enum wr_channel_policy policy) {
    struct wr_channel_options options = {.name = name, .capacity = capacity, .element_bytes = element_bytes, .policy = policy};
    struct wr_channel *made = NULL;
    assert_int_equal(wr_channel_new(&options, &made, NULL), WR_OK);
    return made;
}

static inline struct wr_channel *command_channel(void) {
    return channel("commands", WR_COMMANDS, sizeof(struct wr_command_message), WR_CHANNEL_REJECT);
}

static inline void command_is(struct wr_channel *commands, const void *bytes, size_t len) {
    struct wr_command_message message;
    if (wr_channel_recv(commands, &message, soon()) != WR_OK)
        fail_msg("no command came");
    assert_int_equal(message.len, len);
    assert_memory_equal(message.bytes, bytes, len);
}

/* For what another thread counts. */
#define until(condition)                                                                                                                   \
    do {                                                                                                                                   \
        int64_t end_ns = soon();                                                                                                           \
        while (!(condition)) {                                                                                                             \
            if (wr_clock_boot_ns(wr_clock_real()) > end_ns)                                                                                \
                fail_msg("not so: %s", #condition);                                                                                        \
            sched_yield();                                                                                                                 \
        }                                                                                                                                  \
    } while (0)

#endif
