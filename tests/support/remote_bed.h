/* A remote desk (agent/control/remote_desk.h) between two channels, on the agent of order_bed.h; and the private key that its commands are signed with. One a program.
 *
 * Threads: the test's.
 */
#ifndef WEIR_TESTS_SUPPORT_REMOTE_BED_H
#define WEIR_TESTS_SUPPORT_REMOTE_BED_H

#include "tests/support/order_bed.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/control/remote_desk.h"
#include "tests/support/failing.h"
#include "transport/command_messages.h"
#include "transport/jws.h"

#define PUBLIC WEIR_TEST_DATA "/jws/rfc7515-a3.pub"
#define PRIVATE WEIR_TEST_DATA "/jws/rfc7515-a3.key"

/* The clock of order_bed.h stands at 08:00. */
#define PLACE "\"node\":\"gw-7\",\"site\":\"riga\","
#define TIMES "\"issued\":\"2026-03-02T08:00:00Z\",\"expires\":\"2026-03-02T08:05:00Z\","
#define ACK "\"command\":{\"verb\":\"ack\",\"alarm\":\"hot\",\"by\":\"ana\",\"why\":\"seen\"}"
#define WHOLE(key) "{" PLACE TIMES "\"key\":\"" key "\"," ACK "}"

static char directory[] = "/tmp/weir-remote-XXXXXX";
static char key_file[64];
static struct wr_jws_key *private_key;
static struct wr_config_node node = {.id = (char *)"gw-7", .site = (char *)"riga"};
static const struct wr_config whole_config = {.node = &node};
static const struct wr_config_commands config = {.key_file = key_file};
static struct wr_channel *commands, *answers;
static struct wr_remote_desk *desk;
static char answer[8192];

static inline void copy_key(const char *from) {
    char command[256];
    snprintf(command, sizeof command, "install -m 600 %s %s", from, key_file);
    assert_int_equal(system(command), 0);
}

static inline int make_keys(void **state) {
    (void)state;
    if (!mkdtemp(directory))
        return -1;
    snprintf(key_file, sizeof key_file, "%s/key", directory);
    copy_key(PRIVATE);
    return wr_jws_private_key_read(key_file, &private_key, NULL) == WR_OK ? 0 : -1;
}

static inline int remove_keys(void **state) {
    (void)state;
    char command[128];
    wr_jws_key_free(private_key);
    snprintf(command, sizeof command, "rm -r %s", directory);
    return system(command);
}

static inline void drop_answer(void *element, void *user) {
    (void)user;
    free(((struct wr_command_answer *)element)->payload);
}

static inline int set_up(void **state) {
    (void)state;
    const struct wr_channel_options options = {.name = "answers",
                                               .capacity = WR_COMMAND_ANSWERS,
                                               .element_bytes = sizeof(struct wr_command_answer),
                                               .policy = WR_CHANNEL_DROP_OLDEST,
                                               .drop = drop_answer};
    begin(64);
    bed.agent.first_config = &whole_config;
    copy_key(PUBLIC);
    commands = make_channel("commands", WR_COMMANDS, sizeof(struct wr_command_message));
    return wr_channel_new(&options, &answers, NULL) == WR_OK ? 0 : -1;
}

static inline void start(void) {
    assert_int_equal(wr_remote_desk_start(&bed.agent, &config, commands, answers, &desk, NULL), WR_OK);
}

static inline void stop(void) {
    wr_remote_desk_stop(desk);
    desk = NULL;
}

static inline int tear_down(void **state) {
    (void)state;
    wr_failing_off();
    stop();
    wr_channel_free(commands);
    wr_channel_free(answers);
    end();
    return 0;
}

static inline void send_text(const char *text) {
    static struct wr_command_message message;
    memset(&message, 0, sizeof message);
    message.len = (uint32_t)strlen(text);
    assert_true(message.len <= sizeof message.bytes);
    memcpy(message.bytes, text, message.len);
    assert_int_equal(wr_channel_send(commands, &message, WR_NEVER_NS), WR_OK);
}

static inline void sign(const char *payload, struct wr_buf *into) {
    wr_buf_init(into, 0);
    assert_int_equal(wr_jws_sign(private_key, payload, strlen(payload), into, NULL), WR_OK);
}

static inline void send_signed(const char *payload) {
    struct wr_buf text;
    sign(payload, &text);
    send_text(wr_buf_str(&text));
    wr_buf_fini(&text);
}

static inline uint64_t counted(void) {
    uint64_t sum = 0;
    for (int i = 0; i < WR_REMOTE_OUTCOMES; i++)
        sum += bed.agent.remote_counters.outcomes[i];
    return sum;
}

static inline bool take(int64_t deadline_boot_ns) {
    struct wr_command_answer came;
    if (wr_channel_recv(answers, &came, deadline_boot_ns) != WR_OK)
        return false;
    assert_true(came.payload_len < sizeof answer);
    memcpy(answer, came.payload, came.payload_len);
    answer[came.payload_len] = '\0';
    free(came.payload);
    return true;
}

static inline void has(const char *text) {
    if (!strstr(answer, text))
        fail_msg("no %s in %s", text, answer);
}

#endif
