#include "transport/ack_gate.h"

#include <stdlib.h>
#include <string.h>

#define TYPE_PUBACK 4
#define LENGTH_DIGITS 4
#define FIRST_SIZE 64
#define PUBACK_IDS 2 /* bytes of the body before the reason */

enum wr_result wr_ack_gate_init(struct wr_ack_gate *gate, struct wr_error *err) {
    *gate = (struct wr_ack_gate){.size = FIRST_SIZE};
    gate->entries = calloc(gate->size, sizeof *gate->entries);
    return gate->entries != NULL ? WR_OK : wr_error_set(err, WR_NO_MEMORY, "no memory for acknowledgements");
}

void wr_ack_gate_fini(struct wr_ack_gate *gate) {
    free(gate->entries);
    gate->entries = NULL;
}

static struct wr_ack_gate_entry *entry_of(const struct wr_ack_gate *gate, uint64_t n) {
    return &gate->entries[n & (gate->size - 1)];
}

/* Room for number n. */
static enum wr_result grow_for(struct wr_ack_gate *gate, uint64_t n, struct wr_error *err) {
    if (n - gate->released < gate->size)
        return WR_OK;
    if (n - gate->released >= WR_ACK_GATE_MAX)
        return wr_error_set(err, WR_LIMIT, "more than %d messages are not acknowledged", WR_ACK_GATE_MAX);
    struct wr_ack_gate grown = {.size = gate->size};
    while (n - gate->released >= grown.size)
        grown.size *= 2;
    grown.entries = calloc(grown.size, sizeof *grown.entries);
    if (grown.entries == NULL)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for acknowledgements");
    for (uint64_t i = gate->released; i < gate->released + gate->size; i++)
        *entry_of(&grown, i) = *entry_of(gate, i);
    free(gate->entries);
    gate->entries = grown.entries;
    gate->size = grown.size;
    return WR_OK;
}

static bool head_may_go(const struct wr_ack_gate *gate) {
    const struct wr_ack_gate_entry *head = entry_of(gate, gate->released);
    return head->seen && head->acknowledged;
}

/* Between two packets of the client, as they leave. */
static bool at_boundary(const struct wr_ack_gate *gate) {
    return gate->state == WR_ACK_GATE_HEADER || gate->absorbs;
}

bool wr_ack_gate_is_ready(const struct wr_ack_gate *gate) {
    return gate->leaving_from < gate->leaving_len || (at_boundary(gate) && head_may_go(gate));
}

/* The head becomes `leaving`, and its place free. */
static void release_head(struct wr_ack_gate *gate) {
    struct wr_ack_gate_entry *head = entry_of(gate, gate->released);
    const bool with_reason = head->reason != 0;
    gate->leaving[0] = TYPE_PUBACK << 4;
    gate->leaving[1] = with_reason ? 3 : 2;
    gate->leaving[2] = (uint8_t)(head->packet_id >> 8);
    gate->leaving[3] = (uint8_t)head->packet_id;
    gate->leaving[4] = head->reason;
    gate->leaving_len = with_reason ? 5 : 4;
    gate->leaving_from = 0;
    *head = (struct wr_ack_gate_entry){0};
    gate->released++;
}

/* Puts released PUBACKs, as far as there is room. False: one is half out. */
static bool put_released(struct wr_ack_gate *gate, uint8_t *out, size_t out_len, size_t *put) {
    for (;;) {
        while (gate->leaving_from < gate->leaving_len && *put < out_len)
            out[(*put)++] = gate->leaving[gate->leaving_from++];
        if (gate->leaving_from < gate->leaving_len)
            return false;
        if (*put == out_len || !at_boundary(gate) || !head_may_go(gate))
            return true;
        release_head(gate);
    }
}

static enum wr_result mismatch(struct wr_error *err) {
    return wr_error_set(err, WR_PROTOCOL, "acknowledgements are out of step with the MQTT client");
}

/* The PUBACK at hand is whole. */
static enum wr_result take_puback(struct wr_ack_gate *gate, struct wr_error *err) {
    gate->state = WR_ACK_GATE_HEADER;
    gate->absorbs = false;
    if (gate->at < PUBACK_IDS)
        return wr_error_set(err, WR_PROTOCOL, "a PUBACK without a packet identifier");
    WR_TRY(grow_for(gate, gate->seen, err));
    struct wr_ack_gate_entry *entry = entry_of(gate, gate->seen);
    if (entry->acknowledged && entry->packet_id != gate->packet_id)
        return mismatch(err);
    entry->packet_id = gate->packet_id;
    entry->reason = gate->reason;
    entry->seen = true;
    gate->seen++;
    return WR_OK;
}

/* One byte of a fixed header; what passes goes into *ret_passes. */
static enum wr_result take_header(struct wr_ack_gate *gate, uint8_t byte, bool *ret_passes, struct wr_error *err) {
    if (gate->state == WR_ACK_GATE_HEADER) {
        if (byte >> 4 == 0)
            return wr_error_set(err, WR_PROTOCOL, "the MQTT client sent a packet of type 0");
        gate->absorbs = byte >> 4 == TYPE_PUBACK;
        gate->state = WR_ACK_GATE_LENGTH;
        gate->digits = 0;
        gate->left = 0;
        *ret_passes = !gate->absorbs;
        return WR_OK;
    }
    *ret_passes = !gate->absorbs;
    gate->left |= (uint32_t)(byte & 0x7F) << (7 * gate->digits++);
    if ((byte & 0x80) != 0)
        return gate->digits < LENGTH_DIGITS ? WR_OK : wr_error_set(err, WR_PROTOCOL, "the MQTT client sent a malformed length");
    gate->at = 0;
    gate->packet_id = 0;
    gate->reason = 0;
    gate->state = gate->absorbs ? WR_ACK_GATE_PUBACK : WR_ACK_GATE_BODY;
    if (gate->left > 0)
        return WR_OK;
    if (gate->absorbs)
        return take_puback(gate, err);
    gate->state = WR_ACK_GATE_HEADER;
    return WR_OK;
}

/* One byte of a PUBACK's body. Its properties are of no use to a broker and are left out. */
static enum wr_result take_puback_byte(struct wr_ack_gate *gate, uint8_t byte, struct wr_error *err) {
    if (gate->at < PUBACK_IDS)
        gate->packet_id = (uint16_t)(gate->packet_id << 8 | byte);
    else if (gate->at == PUBACK_IDS)
        gate->reason = byte;
    gate->at++;
    gate->left--;
    return gate->left == 0 ? take_puback(gate, err) : WR_OK;
}

enum wr_result wr_ack_gate_step(struct wr_ack_gate *gate, const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len, size_t *ret_taken,
                                size_t *ret_put, struct wr_error *err) {
    size_t taken = 0;
    size_t put = 0;
    while (put_released(gate, out, out_len, &put) && put < out_len && taken < in_len) {
        if (gate->state == WR_ACK_GATE_BODY) {
            size_t n = gate->left;
            n = n < in_len - taken ? n : in_len - taken;
            n = n < out_len - put ? n : out_len - put;
            memcpy(out + put, in + taken, n);
            taken += n;
            put += n;
            gate->left -= (uint32_t)n;
            if (gate->left == 0)
                gate->state = WR_ACK_GATE_HEADER;
        } else if (gate->state == WR_ACK_GATE_PUBACK) {
            WR_TRY(take_puback_byte(gate, in[taken++], err));
        } else {
            bool passes = false;
            uint8_t byte = in[taken++];
            WR_TRY(take_header(gate, byte, &passes, err));
            if (passes)
                out[put++] = byte;
        }
    }
    *ret_taken = taken;
    *ret_put = put;
    return WR_OK;
}

enum wr_result wr_ack_gate_acknowledge(struct wr_ack_gate *gate, uint64_t n, uint16_t packet_id, struct wr_error *err) {
    if (n < gate->released)
        return WR_OK;
    WR_TRY(grow_for(gate, n, err));
    struct wr_ack_gate_entry *entry = entry_of(gate, n);
    if (entry->seen && entry->packet_id != packet_id)
        return mismatch(err);
    entry->packet_id = packet_id;
    entry->acknowledged = true;
    return WR_OK;
}
