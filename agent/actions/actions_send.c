/* The actions `webhook`, `file` and `mqtt`: the first two on a pool, one at a time for each target; the last one in the uplink's hands. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/actions/action_file.h"
#include "agent/actions/actions_private.h"
#include "agent/actions/webhook.h"
#include "core/log.h"

#define MESSAGE_BYTES 16384
#define LATENCY_NS (10 * WR_NS_PER_MS) /* what waits so long gets another thread */
#define TLS_BYTES ((size_t)192 << 10)  /* certificates of the authorities, two records */

static void describe_failure(struct wr_action_end *end, enum wr_action_verdict verdict, const char *why) {
    *end = (struct wr_action_end){.verdict = verdict};
    snprintf(end->why, sizeof end->why, "%s", why);
}

/* -- webhook, file: on the pool ---------------------------------------------------------------------------------------------------------- */

static void call(struct wr_actions *actions, const struct wr_action_job *job, struct wr_action_end *end) {
    char delivery[WR_ACTION_DELIVERY_BYTES];
    const struct wr_action_webhook_spec *spec = &job->spec.webhook;
    struct wr_buf body;
    wr_buf_init(&body, MESSAGE_BYTES);
    if (wr_action_job_json(job, &actions->place, &body) != WR_OK) {
        describe_failure(end, WR_ACTION_FAILED, "no memory");
    } else {
        const struct wr_webhook webhook = {.url = job->address,
                                           .method = spec->method,
                                           .headers = spec->headers,
                                           .secret_file = spec->secret_file,
                                           .token_file = spec->token_file,
                                           .delivery = wr_action_job_delivery(delivery, job),
                                           .body = body.data,
                                           .body_len = body.len,
                                           .tls = job->tls,
                                           .clock = actions->clock,
                                           .deadline_boot_ns = wr_clock_add_ns(wr_clock_boot_ns(wr_clock_real()), job->spec.timeout_ns),
                                           .cancel_fd = actions->cancel_fd};
        wr_webhook_send(&webhook, end);
    }
    wr_buf_fini(&body);
}

static void append(struct wr_actions *actions, const struct wr_action_job *job, struct wr_action_end *end) {
    const struct wr_action_file file = {.path = job->address, .max_bytes = job->spec.file.max_bytes, .keep = job->spec.file.keep};
    struct wr_error err = {0};
    struct wr_buf line;
    wr_buf_init(&line, MESSAGE_BYTES);
    enum wr_result result = job->spec.file.line ? wr_action_job_line(job, &line) : wr_action_job_json(job, &actions->place, &line);
    if (result == WR_OK)
        result = wr_buf_text(&line, "\n");
    if (result != WR_OK)
        (void)wr_error_set(&err, result, "no memory");
    else
        result = wr_action_file_append(&file, line.data, line.len, &err);
    describe_failure(end, result == WR_OK ? WR_ACTION_DONE : WR_ACTION_FAILED, err.text);
    wr_buf_fini(&line);
}

static void run_send(struct wr_context *context, void *user) {
    (void)context;
    struct wr_action_job *job = user;
    struct wr_actions *actions = job->owner;
    struct wr_action_end end = {.verdict = WR_ACTION_FAILED};
    (job->spec.kind == WR_ACTION_FILE ? append : call)(actions, job, &end);
    wr_actions_report(actions, job, &end);
}

static void drop_send(void *user, enum wr_result why) {
    struct wr_action_job *job = user;
    struct wr_action_end end;
    describe_failure(&end, WR_ACTION_FAILED, why == WR_NO_MEMORY ? "no memory" : "no thread was free");
    wr_actions_report(job->owner, job, &end);
}

static const struct wr_pool_options options = {
    .name = "weir-send",
    .rules = {.strategy = WR_POOL_LATENCY, .threads_max = WR_ACTIONS_SENDERS, .latency_ns = LATENCY_NS},
    .queue = WR_ACTIONS_TARGETS,
    .policy = WR_CHANNEL_REJECT,
    .watch_ns = 2 * LATENCY_NS,
};

size_t wr_actions_send_bytes(void) {
    return wr_pool_bytes(&options) / WR_ACTIONS_SENDERS + wr_webhook_bytes() + TLS_BYTES + MESSAGE_BYTES;
}

void wr_actions_send(struct wr_actions *actions, struct wr_action_target *target, struct wr_action_job *job) {
    enum wr_result result = WR_NO_MEMORY;
    job->owner = actions;
    job->tls = target->tls;
    const struct wr_pool_task task = {
        .name = wr_action_kind_names[job->spec.kind], .run = run_send, .dropped = drop_send, .user = job, .deadline_boot_ns = WR_NEVER_NS};
    if (actions->senders || wr_pool_new(&options, &actions->senders, NULL) == WR_OK)
        result = wr_pool_submit(actions->senders, &task, 0);
    if (result != WR_OK)
        drop_send(job, result);
}

/* -- mqtt -------------------------------------------------------------------------------------------------------------------------------- */

/* An alarm that is normal leaves no topic behind: an empty retained message takes it away. */
static bool is_empty(const struct wr_action_job *job) {
    return job->spec.mqtt.clear && job->alarm.to == WR_ALARM_NORMAL;
}

static enum wr_result fill(struct wr_actions *actions, const struct wr_action_job *job, struct wr_uplink_direct *direct) {
    struct wr_buf payload;
    if (is_empty(job))
        return WR_OK;
    wr_buf_init(&payload, MESSAGE_BYTES);
    enum wr_result result = wr_action_job_json(job, &actions->place, &payload);
    if (result == WR_OK)
        direct->payload = wr_buf_steal(&payload, &direct->payload_len);
    wr_buf_fini(&payload);
    return result;
}

bool wr_actions_publish(struct wr_actions *actions, struct wr_action_job *job, struct wr_action_end *ret_end) {
    struct wr_uplink_direct direct = {.id = actions->direct_id + 1, .qos = job->spec.mqtt.qos, .retained = job->spec.mqtt.retain};
    snprintf(direct.topic, sizeof direct.topic, "%s", job->address);
    if (!actions->publish) {
        describe_failure(ret_end, WR_ACTION_REFUSED, "no uplink is configured");
        return false;
    }
    if (fill(actions, job, &direct) != WR_OK) {
        describe_failure(ret_end, WR_ACTION_REFUSED, "no memory");
        return false;
    }
    if (wr_channel_try_send(actions->publish, &direct) != WR_OK) { /* full: until the uplink has taken some */
        free(direct.payload);
        ret_end->verdict = WR_ACTION_PUT_OFF;
        return false;
    }
    job->published = ++actions->direct_id;
    actions->published++;
    return true;
}
