/* Any bytes as the stream of an MQTT client, with acknowledgements in between. Whatever they are: no crash; and cut in pieces of any size the same
 * bytes leave as in one piece, as far as nothing is acknowledged. The first byte says how large the pieces are. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "transport/ack_gate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
    if (!holds)
        abort();
}

/* Returns what left; ret_result how it ended. */
static uint8_t *pass(const uint8_t *data, size_t size, size_t piece, bool acknowledges, size_t *ret_len, enum wr_result *ret_result) {
    struct wr_ack_gate gate;
    must(wr_ack_gate_init(&gate, NULL) == WR_OK);
    uint8_t *out = malloc(2 * size + 64);
    must(out != NULL);
    size_t from = 0;
    size_t len = 0;
    enum wr_result result = WR_OK;
    while (from < size && result == WR_OK) {
        size_t n = size - from < piece ? size - from : piece;
        size_t taken = 0;
        size_t put = 0;
        result = wr_ack_gate_step(&gate, data + from, n, out + len, piece + 8, &taken, &put, NULL);
        if (result != WR_OK)
            break;
        must(taken <= n && put <= piece + 8 && taken + put > 0);
        from += taken;
        len += put;
        must(len <= size + 5);
        if (acknowledges && gate.seen > 0)
            (void)!wr_ack_gate_acknowledge(&gate, data[from - 1] % (gate.seen + 2), (uint16_t)data[from / 2], NULL);
        must(gate.released <= gate.seen && gate.seen - gate.released <= WR_ACK_GATE_MAX);
    }
    wr_ack_gate_fini(&gate);
    *ret_len = len;
    *ret_result = result;
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2 || size > 4096)
        return 0;
    size_t lens[3];
    enum wr_result results[3];
    uint8_t *whole = pass(data + 1, size - 1, size, false, &lens[0], &results[0]);
    uint8_t *cut = pass(data + 1, size - 1, 1 + data[0] % 32, false, &lens[1], &results[1]);
    must(results[0] == results[1]);
    must(results[0] != WR_OK || (lens[0] == lens[1] && memcmp(whole, cut, lens[0]) == 0));
    free(pass(data + 1, size - 1, 1 + data[0] % 32, true, &lens[2], &results[2]));
    free(whole);
    free(cut);
    return 0;
}
