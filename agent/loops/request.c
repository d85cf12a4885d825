#include "agent/loops/request.h"

#include <stdlib.h>

#include "core/clock.h"

#define WR_REQUEST_TEXT_MAX (16u << 20)

enum wr_result wr_request_new(wr_request_run *run, void *input, void (*free_input)(void *), struct wr_request **ret_request,
                              struct wr_error *err) {
    struct wr_request *request = calloc(1, sizeof *request);
    const struct wr_channel_options options = {
        .name = "request", .capacity = 1, .element_bytes = sizeof(char), .policy = WR_CHANNEL_REJECT};
    if (!request || wr_channel_new(&options, &request->done, err) != WR_OK) {
        free(request);
        if (free_input)
            free_input(input);
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a request");
    }
    request->holders = 1;
    request->run = run;
    request->input = input;
    request->free_input = free_input;
    wr_buf_init(&request->text, WR_REQUEST_TEXT_MAX);
    *ret_request = request;
    return WR_OK;
}

static enum wr_result did_not_take(struct wr_request *request, struct wr_channel *owner, enum wr_result result, struct wr_error *err) {
    request->holders--;
    return wr_error_set(err, result, "%s does not answer: %s", wr_channel_name(owner), wr_result_name(result));
}

static enum wr_result answer_of(const struct wr_request *request, struct wr_error *err) {
    if (request->result != WR_OK && err)
        *err = request->error;
    return request->result;
}

static enum wr_result conclude(const struct wr_request *request, const struct wr_channel *owner, enum wr_result received,
                               struct wr_error *err) {
    if (received != WR_OK)
        return wr_error_set(err, received, "%s did not answer in time", wr_channel_name(owner));
    return answer_of(request, err);
}

enum wr_result wr_request_call(struct wr_request *request, struct wr_channel *owner, int64_t deadline_boot_ns, struct wr_error *err) {
    char done;
    request->holders++;
    enum wr_result sent = wr_channel_send(owner, &request, deadline_boot_ns);
    if (sent != WR_OK)
        return did_not_take(request, owner, sent, err);
    return conclude(request, owner, wr_channel_recv(request->done, &done, deadline_boot_ns), err);
}

enum wr_result wr_request_call_within(struct wr_request *request, struct wr_channel *owner, struct wr_context *context, int64_t patience_ns,
                                      struct wr_error *err) {
    char done;
    struct wr_context *wait;
    WR_TRY(wr_context_new(context, wr_clock_boot_ns(wr_clock_real()) + patience_ns, 0, &wait, err));
    request->holders++;
    enum wr_result result = wr_channel_send_context(owner, &request, wait);
    result = result != WR_OK ? did_not_take(request, owner, result, err)
                             : conclude(request, owner, wr_channel_recv_context(request->done, &done, wait), err);
    wr_context_unref(wait);
    return result;
}

enum wr_result wr_request_post(struct wr_request *request, struct wr_channel *owner, struct wr_error *err) {
    request->holders++;
    enum wr_result sent = wr_channel_try_send(owner, &request);
    return sent == WR_OK ? WR_OK : did_not_take(request, owner, sent, err);
}

enum wr_result wr_request_look(struct wr_request *request, struct wr_error *err) {
    char done;
    if (wr_channel_try_recv(request->done, &done) != WR_OK)
        return WR_EMPTY;
    return answer_of(request, err);
}

void wr_request_finish(struct wr_request *request, enum wr_result result) {
    request->result = result;
    if (result != WR_OK && request->error.code == WR_OK)
        request->error.code = result;
    char done = 1;
    if (wr_channel_try_send(request->done, &done) != WR_OK) {
        /* Nobody waits any more; letting go is all that is left. */
    }
    wr_request_release(request);
}

void wr_request_release(struct wr_request *request) {
    if (!request || --request->holders > 0)
        return;
    if (request->free_input)
        request->free_input(request->input);
    wr_buf_fini(&request->text);
    wr_channel_free(request->done);
    free(request);
}
