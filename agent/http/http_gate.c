#include "agent/http/http_gate.h"

void wr_http_gate_init(struct wr_http_gate *gate) {
    *gate = (struct wr_http_gate){.inbox = NULL};
    pthread_mutex_init(&gate->lock, NULL);
}

void wr_http_gate_fini(struct wr_http_gate *gate) {
    pthread_mutex_destroy(&gate->lock);
}

enum wr_result wr_http_gate_open(struct wr_http_gate *gate, struct wr_http_inbox *inbox, struct wr_error *err) {
    pthread_mutex_lock(&gate->lock);
    const bool taken = gate->inbox != NULL;
    if (!taken)
        gate->inbox = inbox;
    gate->was_open = true;
    pthread_mutex_unlock(&gate->lock);
    return taken ? wr_error_set(err, WR_EXISTS, "another source takes what comes in over HTTP") : WR_OK;
}

void wr_http_gate_close(struct wr_http_gate *gate, struct wr_http_inbox *inbox) {
    pthread_mutex_lock(&gate->lock);
    if (gate->inbox == inbox)
        gate->inbox = NULL;
    pthread_mutex_unlock(&gate->lock);
}

void wr_http_gate_cancel(struct wr_http_gate *gate, struct wr_http_inbox *inbox) {
    pthread_mutex_lock(&gate->lock);
    wr_context_cancel(inbox->context);
    pthread_mutex_unlock(&gate->lock);
}

void wr_http_gate_calm(struct wr_http_gate *gate, struct wr_http_inbox *inbox, struct wr_context *context) {
    pthread_mutex_lock(&gate->lock);
    struct wr_context *old = inbox->context;
    inbox->context = context;
    pthread_mutex_unlock(&gate->lock);
    wr_context_unref(old);
}

static enum wr_http_admission ask(struct wr_http_gate *gate, const struct wr_http_head *head, int64_t now_boot_ns,
                                  struct wr_http_terms *ret_terms) {
    struct wr_http_inbox *inbox = gate->inbox;
    if (!inbox)
        return gate->was_open ? WR_HTTP_CLOSED : WR_HTTP_NOBODY;
    if (inbox->tokens) {
        wr_http_tokens_refresh(inbox->tokens, now_boot_ns);
        if (!wr_http_tokens_allow(inbox->tokens, head))
            return WR_HTTP_DENIED;
    }
    const int64_t since = atomic_load_explicit(&inbox->stalled_since_boot_ns, memory_order_relaxed);
    if (since != 0 && now_boot_ns - since > WR_HTTP_STALL_NS)
        return WR_HTTP_STALLED;
    *ret_terms =
        (struct wr_http_terms){.max_body_bytes = inbox->max_body_bytes, .bodies_bytes = inbox->bodies_bytes, .unit_ns = inbox->unit_ns};
    return WR_HTTP_ADMITTED;
}

enum wr_http_admission wr_http_gate_ask(struct wr_http_gate *gate, const struct wr_http_head *head, int64_t now_boot_ns,
                                        struct wr_http_terms *ret_terms) {
    pthread_mutex_lock(&gate->lock);
    const enum wr_http_admission admission = ask(gate, head, now_boot_ns, ret_terms);
    pthread_mutex_unlock(&gate->lock);
    return admission;
}

bool wr_http_gate_post(struct wr_http_gate *gate, struct wr_http_delivery *delivery) {
    pthread_mutex_lock(&gate->lock);
    const bool posted = gate->inbox && wr_channel_try_send(gate->inbox->channel, &delivery) == WR_OK;
    pthread_mutex_unlock(&gate->lock);
    return posted;
}

void wr_http_gate_hurry(struct wr_http_gate *gate) {
    pthread_mutex_lock(&gate->lock);
    if (gate->inbox)
        wr_context_cancel(gate->inbox->context);
    pthread_mutex_unlock(&gate->lock);
}
