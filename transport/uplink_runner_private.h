/* Shared by uplink_runner.c (the loop) and uplink_publish.c (what a publish carries). Nobody else includes it. */
#ifndef WEIR_TRANSPORT_UPLINK_RUNNER_PRIVATE_H
#define WEIR_TRANSPORT_UPLINK_RUNNER_PRIVATE_H

#include <pthread.h>

#include "core/context.h"
#include "transport/uplink_runner.h"

struct wr_uplink_runner {
    struct wr_uplink_runner_config config;
    struct wr_uplink *uplink;
    struct wr_session *session; /* NULL with a fake one */
    struct wr_channel *events;
    struct wr_channel *control; /* of int64_t: the deadline of a stop */
    struct wr_context *context; /* carries the trace id of direct messages */
    pthread_t thread;
    bool running;
    bool replies_over;
    bool directs_over;
    bool answers_over;
    bool state_due;  /* what the state tells has changed */
    uint64_t answer; /* number of the last one taken */
    enum wr_uplink_state told; /* the state of the last notice */
    enum wr_uplink_commands told_commands;
    uint64_t told_refusals[2]; /* a bit for each reason from 0x80 on that was told in this session */
    uint8_t told_budget;   /* the tightest level told since it was free last */
    int64_t wire_boot_ns;  /* when the wire's count is read next */
    pthread_mutex_t lock;      /* over snapshot */
    struct wr_uplink_stats snapshot;
};

/* Each hands one publish to the session, under the action's id and connection. A session that cannot take it is told to the step function. */
void wr_uplink_publish_segment(struct wr_uplink_runner *runner, const struct wr_now *now, const struct wr_uplink_action *action);
void wr_uplink_publish_direct(struct wr_uplink_runner *runner, const struct wr_now *now, const struct wr_uplink_action *action);
void wr_uplink_publish_state(struct wr_uplink_runner *runner, const struct wr_now *now, const struct wr_uplink_action *action);
/* What the state tells of config and rules; 0: nothing. */
static inline uint64_t wr_uplink_running(const struct wr_uplink_runner *runner) {
    return runner->config.running != NULL ? *runner->config.running : 0;
}
/* In the log, each reason once in a session. */
void wr_uplink_runner_tell_refusal(struct wr_uplink_runner *runner, uint8_t reason);
/* Of the packet that the publish of a segment makes. */
size_t wr_uplink_publish_bytes(struct wr_uplink_runner *runner, const struct wr_segment *segment);

#endif
