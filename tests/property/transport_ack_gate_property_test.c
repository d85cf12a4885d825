/* The acknowledgement gate against a model: a client that sends packets of all kinds, PUBACKs among them, cut at any byte, and somebody who
 * acknowledges in any order, also before the PUBACK came. What leaves must be what came, without the PUBACKs; and the PUBACKs, in the order in
 * which they came, each only when it and all before it were acknowledged, between two other packets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/failing.h"
#include "tests/support/random.h"
#include "transport/ack_gate.h"

#define ROUNDS 300
#define PACKETS 400
#define BYTES (PACKETS * 300)

struct stream {
    uint8_t bytes[BYTES];
    size_t len;
};

struct world {
    struct wr_random random;
    struct wr_ack_gate gate;
    struct stream in;    /* all that the client sends */
    struct stream other; /* the same without its PUBACKs */
    size_t sent;         /* of in: given to the gate */
    struct stream out;   /* what left */
    uint16_t ids[PACKETS];
    uint8_t reasons[PACKETS];
    size_t pubacks;
    size_t puback_end[PACKETS]; /* where it is whole in `in` */
    bool acknowledged[PACKETS];
};

static struct world world;

static void put(struct stream *stream, const void *bytes, size_t len) {
    assert_true(stream->len + len <= sizeof stream->bytes);
    memcpy(stream->bytes + stream->len, bytes, len);
    stream->len += len;
}

static void add_puback(void) {
    uint16_t id = (uint16_t)(1 + wr_random_below(&world.random, 65535));
    uint8_t form = (uint8_t)wr_random_below(&world.random, 4);
    uint8_t reason = form == 0 ? 0 : (uint8_t)(wr_random_below(&world.random, 2) * 0x87);
    uint8_t packet[] = {0x40, 2, (uint8_t)(id >> 8), (uint8_t)id, reason, 2, 0, 0};
    size_t len = form == 0 ? 4 : form == 1 ? 5 : 8; /* 5: with a reason; 8: and with properties */
    packet[1] = (uint8_t)(len - 2);
    put(&world.in, packet, len);
    world.ids[world.pubacks] = id;
    world.reasons[world.pubacks] = reason;
    world.puback_end[world.pubacks] = world.in.len;
    world.acknowledged[world.pubacks++] = false;
}

static void add_other(void) {
    static const uint8_t types[] = {0x10, 0x30, 0x32, 0x50, 0x62, 0x70, 0x82, 0xA2, 0xC0, 0xE0, 0xF0};
    uint8_t packet[300] = {types[wr_random_below(&world.random, sizeof types)]};
    size_t rest = wr_random_below(&world.random, 4) == 0 ? 0 : wr_random_below(&world.random, 250);
    size_t len = 1;
    packet[len++] = (uint8_t)((rest & 0x7F) | (rest > 0x7F ? 0x80 : 0));
    if (rest > 0x7F)
        packet[len++] = (uint8_t)(rest >> 7);
    for (size_t i = 0; i < rest; i++)
        packet[len++] = (uint8_t)(wr_random_below(&world.random, 3) == 0 ? 0x40 : wr_random_u64(&world.random)); /* looks like a PUBACK */
    put(&world.in, packet, len);
    put(&world.other, packet, len);
}

static void step(void) {
    size_t in_len = wr_random_below(&world.random, world.in.len - world.sent + 1);
    uint8_t out[64];
    size_t out_len = 1 + wr_random_below(&world.random, sizeof out);
    size_t taken = 0;
    size_t moved = 0;
    if (wr_random_below(&world.random, 3) == 0)
        in_len = in_len > 8 ? 8 : in_len;
    assert_int_equal(wr_ack_gate_step(&world.gate, world.in.bytes + world.sent, in_len, out, out_len, &taken, &moved, NULL), WR_OK);
    assert_true(taken <= in_len && moved <= out_len);
    assert_true(taken == in_len || moved == out_len);
    if (moved < out_len)
        assert_false(wr_ack_gate_is_ready(&world.gate));
    put(&world.out, out, moved);
    world.sent += taken;
}

/* A message can be acknowledged as soon as the client has it, a little before its PUBACK: so up to eight beyond what came. */
static void acknowledge(void) {
    size_t end = 0;
    while (end < world.pubacks && world.puback_end[end] <= world.sent)
        end++;
    end = end + 8 < world.pubacks ? end + 8 : world.pubacks;
    size_t n = wr_random_below(&world.random, 2) == 0 ? world.gate.released : wr_random_below(&world.random, end + 1);
    if (n >= end)
        return;
    world.acknowledged[n] = true;
    assert_int_equal(wr_ack_gate_acknowledge(&world.gate, n, world.ids[n], NULL), WR_OK);
}

/* Walks what left, packet by packet. */
static void check_out(void) {
    struct stream passed = {.len = 0};
    size_t next = 0;
    size_t at = 0;
    while (at < world.out.len) {
        size_t start = at;
        size_t rest = 0;
        unsigned shift = 0;
        uint8_t byte = 0x80;
        for (at++; (byte & 0x80) != 0 && at < world.out.len; shift += 7) {
            byte = world.out.bytes[at++];
            rest |= (size_t)(byte & 0x7F) << shift;
        }
        at = at + rest < world.out.len ? at + rest : world.out.len; /* the last may be half out */
        if (world.out.bytes[start] != 0x40) {
            put(&passed, world.out.bytes + start, at - start);
            continue;
        }
        assert_true(next < world.pubacks && world.acknowledged[next]);
        const uint8_t whole[] = {0x40, world.reasons[next] != 0 ? 3 : 2, (uint8_t)(world.ids[next] >> 8), (uint8_t)world.ids[next],
                                 world.reasons[next]};
        assert_memory_equal(world.out.bytes + start, whole, at - start);
        next++;
    }
    assert_true(passed.len <= world.other.len);
    assert_memory_equal(passed.bytes, world.other.bytes, passed.len);
}

static void what_leaves_is_what_was_released(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    for (unsigned round = 0; round < ROUNDS; round++) {
        memset(&world, 0, sizeof world);
        world.random = (struct wr_random){.state = wr_random_u64(&random)};
        assert_int_equal(wr_ack_gate_init(&world.gate, NULL), WR_OK);
        uint64_t share = 1 + wr_random_below(&world.random, 4);
        for (unsigned i = 0; i < PACKETS; i++) {
            if (wr_random_below(&world.random, share) == 0)
                add_puback();
            else
                add_other();
        }
        while (world.sent < world.in.len) {
            step();
            if (wr_random_below(&world.random, 3) == 0)
                acknowledge();
        }
        check_out();
        for (size_t n = world.pubacks; n-- > 0;) { /* the rest, the last first */
            world.acknowledged[n] = true;
            assert_int_equal(wr_ack_gate_acknowledge(&world.gate, n, world.ids[n], NULL), WR_OK);
        }
        while (wr_ack_gate_is_ready(&world.gate))
            step();
        check_out();
        assert_int_equal(world.gate.released, world.pubacks);
        wr_ack_gate_fini(&world.gate);
    }
}

static enum wr_result feed(struct wr_ack_gate *gate, const void *bytes, size_t len) {
    uint8_t out[64];
    size_t taken;
    size_t moved;
    return wr_ack_gate_step(gate, bytes, len, out, sizeof out, &taken, &moved, NULL);
}

static void what_does_not_fit_ends_the_connection(void **state) {
    (void)state;
    struct wr_ack_gate gate;
    assert_int_equal(wr_ack_gate_init(&gate, NULL), WR_OK);
    assert_int_equal(feed(&gate, "\x40\x02\x00\x07", 4), WR_OK);
    assert_int_equal(wr_ack_gate_acknowledge(&gate, 0, 8, NULL), WR_PROTOCOL); /* another message */
    assert_int_equal(wr_ack_gate_acknowledge(&gate, 1, 9, NULL), WR_OK);       /* early */
    assert_int_equal(feed(&gate, "\x40\x02\x00\x0A", 4), WR_PROTOCOL);         /* but that is not it */
    assert_int_equal(wr_ack_gate_acknowledge(&gate, WR_ACK_GATE_MAX, 1, NULL), WR_LIMIT);
    wr_ack_gate_fini(&gate);
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {{"\x00", 1}, {"\x40\x01\x00", 3}, {"\x40\x00", 2}, {"\x30\xff\xff\xff\xff", 5}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(wr_ack_gate_init(&gate, NULL), WR_OK);
        assert_int_equal(feed(&gate, bad[i].bytes, bad[i].len), WR_PROTOCOL);
        wr_ack_gate_fini(&gate);
    }
}

/* All the packet identifiers there are, unacknowledged; then one more. */
static void it_grows_to_its_limit(void **state) {
    (void)state;
    struct wr_ack_gate gate;
    assert_int_equal(wr_ack_gate_init(&gate, NULL), WR_OK);
    for (uint32_t i = 0; i < WR_ACK_GATE_MAX; i++) {
        const uint8_t packet[] = {0x40, 2, (uint8_t)(i >> 8), (uint8_t)i};
        assert_int_equal(feed(&gate, packet, sizeof packet), WR_OK);
    }
    assert_int_equal(feed(&gate, "\x40\x02\x00\x00", 4), WR_LIMIT);
    wr_ack_gate_fini(&gate);
    for (long n = 0; n < 2; n++) {
        wr_failing_allocations(n);
        enum wr_result result = wr_ack_gate_init(&gate, NULL);
        assert_int_equal(result, n == 0 ? WR_NO_MEMORY : WR_OK);
        if (result == WR_OK)
            assert_int_equal(wr_ack_gate_acknowledge(&gate, 1000, 1, NULL), WR_NO_MEMORY);
        wr_failing_off();
        wr_ack_gate_fini(&gate);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_leaves_is_what_was_released),
        cmocka_unit_test(what_does_not_fit_ends_the_connection),
        cmocka_unit_test(it_grows_to_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
