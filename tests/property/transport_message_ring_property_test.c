/* The message ring: against a list of records on one thread, with random lengths and fills; and between two threads that sleep and wake each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "core/clock.h"
#include "tests/support/failing.h"
#include "tests/support/random.h"
#include "transport/message_ring.h"

#define STEPS 200000
#define RECORDS 300000

/* A record is its length, then bytes that follow from its number. */
static void fill(uint8_t *record, uint32_t number, uint32_t len) {
    memcpy(record, &len, sizeof len);
    for (uint32_t i = sizeof len; i < len; i++)
        record[i] = (uint8_t)(number + i);
}

static uint32_t check(const uint8_t *record, uint32_t number) {
    uint32_t len;
    memcpy(&len, record, sizeof len);
    for (uint32_t i = sizeof len; i < len; i++)
        assert_int_equal(record[i], (uint8_t)(number + i));
    return len;
}

static void records_come_out_as_they_went_in(void **state) {
    (void)state;
    struct wr_random random = wr_random_begin();
    struct wr_message_ring ring;
    uint32_t lens[1024];
    uint32_t put = 0;
    uint32_t taken = 0;
    size_t refused = 0;
    assert_int_equal(wr_message_ring_init(&ring, 4000, NULL), WR_OK);
    for (unsigned i = 0; i < STEPS; i++) {
        if (wr_random_below(&random, 2) == 0) {
            uint32_t len = 4 + (uint32_t)wr_random_below(&random, wr_random_below(&random, 8) == 0 ? 1900 : 60);
            size_t max_fill = wr_random_below(&random, 4) == 0 ? 2000 : 4000;
            uint8_t *record = wr_message_ring_reserve(&ring, len, max_fill);
            if (record == NULL) {
                assert_true(wr_message_ring_fill(&ring) + 2 * (len + 16) > max_fill || len > 2000);
                refused++;
                continue;
            }
            assert_int_equal((uintptr_t)record % WR_MESSAGE_RING_ALIGN, 0);
            fill(record, put, len);
            if (wr_random_below(&random, 16) == 0)
                continue; /* not committed: as if it had never been */
            wr_message_ring_commit(&ring);
            lens[put++ % 1024] = len;
            assert_true(wr_message_ring_fill(&ring) <= max_fill);
        } else {
            const uint8_t *record = wr_message_ring_peek(&ring);
            assert_int_equal(record != NULL, put != taken);
            assert_ptr_equal(record, wr_message_ring_peek(&ring));
            if (record == NULL)
                continue;
            assert_int_equal(check(record, taken), lens[taken % 1024]);
            wr_message_ring_release(&ring);
            taken++;
        }
        assert_int_equal(wr_message_ring_depth(&ring), put - taken);
    }
    assert_true(put > 1000 && refused > 100);
    wr_message_ring_fini(&ring);
}

static void *writer(void *user) {
    struct wr_message_ring *ring = user;
    for (uint32_t number = 0; number < RECORDS;) {
        uint32_t len = 4 + number % 57;
        uint8_t *record = wr_message_ring_reserve(ring, len, SIZE_MAX);
        if (record == NULL)
            continue; /* spins: in the program the writer never waits */
        fill(record, number++, len);
        wr_message_ring_commit(ring);
    }
    return NULL;
}

static void a_reader_that_sleeps_is_woken(void **state) {
    (void)state;
    struct wr_message_ring ring;
    pthread_t thread;
    const int64_t deadline_ns = wr_clock_boot_ns(wr_clock_real()) + 120 * WR_NS_PER_S;
    assert_int_equal(wr_message_ring_init(&ring, 1 << 16, NULL), WR_OK);
    assert_int_equal(pthread_create(&thread, NULL, writer, &ring), 0);
    for (uint32_t number = 0; number < RECORDS;) {
        uint32_t bell = ring.bell;
        const uint8_t *record = wr_message_ring_peek(&ring);
        if (record != NULL) {
            (void)check(record, number++);
            wr_message_ring_release(&ring);
        } else {
            assert_true(wr_message_ring_wait(&ring, bell, deadline_ns));
        }
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(wr_message_ring_depth(&ring), 0);
    assert_false(wr_message_ring_wait(&ring, ring.bell, 0));
    wr_message_ring_fini(&ring);
}

static void no_memory_is_an_error(void **state) {
    (void)state;
    struct wr_message_ring ring;
    wr_failing_allocations(0);
    assert_int_equal(wr_message_ring_init(&ring, 4000, NULL), WR_NO_MEMORY);
    wr_failing_off();
    wr_message_ring_fini(&ring);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_out_as_they_went_in),
        cmocka_unit_test(a_reader_that_sleeps_is_woken),
        cmocka_unit_test(no_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
