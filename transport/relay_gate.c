#include "transport/relay_gate.h"

#include <stdlib.h>
#include <string.h>

enum wr_result wr_relay_gate_new(const struct wr_relay_gated *options, struct wr_relay_gate **ret_gate, struct wr_error *err) {
    struct wr_relay_gate *gate = calloc(1, sizeof *gate);
    if (gate == NULL)
        return wr_error_set(err, WR_NO_MEMORY, "relay: no memory");
    (void)pthread_mutex_init(&gate->lock, NULL);
    gate->pause_max_ns = options->pause_max_ns;
    gate->packet_max_bytes = options->packet_max_bytes;
    enum wr_result result = wr_ack_gate_init(&gate->ack, err);
    if (result != WR_OK) {
        wr_relay_gate_free(gate);
        return result;
    }
    *ret_gate = gate;
    return WR_OK;
}

void wr_relay_gate_free(struct wr_relay_gate *gate) {
    if (gate == NULL)
        return;
    wr_ack_gate_fini(&gate->ack);
    (void)pthread_mutex_destroy(&gate->lock);
    explicit_bzero(gate->bytes, sizeof gate->bytes); /* the CONNECT with its password passed through */
    free(gate);
}

enum wr_result wr_relay_gate_step(struct wr_relay_gate *gate, uint8_t *out, size_t out_len, size_t *ret_put, bool *ret_moved,
                                  struct wr_error *err) {
    size_t taken = 0;
    size_t put = 0;
    (void)pthread_mutex_lock(&gate->lock);
    enum wr_result result = gate->failure.code;
    if (result != WR_OK)
        *err = gate->failure;
    else
        result = wr_ack_gate_step(&gate->ack, gate->bytes + gate->from, gate->to - gate->from, out, out_len, &taken, &put, err);
    gate->released = gate->ack.released;
    (void)pthread_mutex_unlock(&gate->lock);
    WR_TRY(result);
    gate->from += taken;
    *ret_put = put;
    *ret_moved = taken > 0 || put > 0;
    return WR_OK;
}

enum wr_result wr_relay_gate_watch(struct wr_relay_gate *gate, const uint8_t *bytes, size_t len, struct wr_error *err) {
    for (size_t at = 0; at < len;) {
        if (gate->packet_length) {
            const uint8_t byte = bytes[at++];
            gate->packet_left |= (uint64_t)(byte & 0x7F) << (7 * gate->packet_digits++);
            gate->packet_length = (byte & 0x80) != 0;
            if (gate->packet_length && gate->packet_digits == 4)
                return wr_error_set(err, WR_PROTOCOL, "what answers there is no MQTT broker: a malformed length");
            if (!gate->packet_length && gate->packet_left > gate->packet_max_bytes)
                return wr_error_set(err, WR_LIMIT, "the broker sends a packet of %llu bytes: more than %zu are not taken",
                                    (unsigned long long)gate->packet_left, gate->packet_max_bytes);
        } else if (gate->packet_left > 0) {
            const size_t n = gate->packet_left < len - at ? (size_t)gate->packet_left : len - at;
            gate->packet_left -= n;
            at += n;
        } else {
            at++; /* the first byte of a packet */
            gate->packet_length = true;
            gate->packet_digits = 0;
        }
    }
    return WR_OK;
}

bool wr_relay_gate_acknowledge(struct wr_relay_gate *gate, const struct wr_relay_ack *acks, size_t n) {
    (void)pthread_mutex_lock(&gate->lock);
    for (size_t i = 0; i < n && gate->failure.code == WR_OK; i++)
        (void)!wr_ack_gate_acknowledge(&gate->ack, acks[i].number, acks[i].packet_id, &gate->failure);
    bool ready = gate->failure.code != WR_OK || wr_ack_gate_is_ready(&gate->ack);
    (void)pthread_mutex_unlock(&gate->lock);
    return ready;
}

static void begin_pause(struct wr_relay_gate *gate, int64_t now_boot_ns) {
    const int64_t back_ns = 2 * (now_boot_ns - gate->read_since_ns);
    gate->paused_ns = gate->paused_ns > back_ns ? gate->paused_ns - back_ns : 0;
    gate->paused_since_ns = now_boot_ns;
    gate->paused = true;
    gate->pauses++;
}

static void end_pause(struct wr_relay_gate *gate, int64_t now_boot_ns) {
    gate->paused_ns += now_boot_ns - gate->paused_since_ns;
    gate->paused_since_ns = 0;
    gate->paused = false;
    gate->read_since_ns = now_boot_ns;
}

bool wr_relay_gate_may_read(struct wr_relay_gate *gate, int64_t now_boot_ns, int64_t *ret_left_ns) {
    const bool wanted = gate->pause_wanted;
    if (gate->paused_since_ns == 0 && (!wanted || now_boot_ns < gate->read_until_ns))
        return true;
    if (gate->paused_since_ns == 0)
        begin_pause(gate, now_boot_ns);
    const int64_t left_ns = gate->pause_max_ns - gate->paused_ns - (now_boot_ns - gate->paused_since_ns);
    if (wanted && left_ns > 0) {
        *ret_left_ns = left_ns;
        return false;
    }
    end_pause(gate, now_boot_ns);
    if (left_ns <= 0)
        gate->read_until_ns = now_boot_ns + gate->pause_max_ns / 2;
    return true;
}
