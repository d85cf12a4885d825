/* The known keys: ranges against a table of booleans; the key log cut off, and damaged, at every byte. The seed is printed. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/receive/key_log.h"
#include "tests/support/failing.h"
#include "tests/support/random.h"

#define NODES 3
#define EPOCHS 2
#define SEQS 200

static struct wr_random dice;
static bool model[NODES][EPOCHS][SEQS + 1];
static const char *const nodes[NODES] = {"gw-1", "gw-10", "a-node-with-a-name-of-sixty-four-characters-in-all-0123456789012"};
static const uint64_t epochs[EPOCHS] = {1, UINT64_MAX};

static unsigned below(unsigned n) {
    return (unsigned)wr_random_below(&dice, n);
}

static void expect_same(const struct wr_key_set *set) {
    assert_true(wr_key_set_valid(set));
    for (unsigned n = 0; n < NODES; n++)
        for (unsigned e = 0; e < EPOCHS; e++)
            for (int64_t seq = 1; seq <= SEQS; seq++)
                assert_int_equal(wr_key_set_has(set, nodes[n], epochs[e], seq), model[n][e][seq]);
    assert_false(wr_key_set_has(set, "gw-2", 1, 1));
}

static void test_ranges_are_a_table_of_booleans(void **state) {
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct wr_key_set set;
        memset(model, 0, sizeof model);
        wr_key_set_init(&set);
        for (int step = 0; step < 150; step++) {
            const unsigned n = below(NODES);
            const unsigned e = below(EPOCHS);
            const int64_t first = 1 + below(SEQS);
            const int64_t last = first + below(below(10) ? 3 : 60);
            assert_int_equal(wr_key_set_add(&set, nodes[n], epochs[e], first, last < SEQS ? last : SEQS), WR_OK);
            for (int64_t seq = first; seq <= last && seq <= SEQS; seq++)
                model[n][e][seq] = true;
            if (step % 10 == 0)
                expect_same(&set);
        }
        expect_same(&set);
        wr_key_set_fini(&set);
    }
}

static void test_the_ends_of_what_a_seq_can_be(void **state) {
    (void)state;
    struct wr_key_set set;
    wr_key_set_init(&set);
    assert_int_equal(wr_key_set_add(&set, "a", 1, INT64_MAX - 1, INT64_MAX), WR_OK);
    assert_int_equal(wr_key_set_add(&set, "a", 1, 1, 1), WR_OK);
    assert_int_equal(wr_key_set_add(&set, "a", 1, INT64_MAX - 2, INT64_MAX - 2), WR_OK);
    assert_int_equal(set.n_ranges, 2);
    assert_true(wr_key_set_has(&set, "a", 1, INT64_MAX) && !wr_key_set_has(&set, "a", 1, 2));
    assert_true(wr_key_set_valid(&set));
    wr_key_set_fini(&set);
}

static void test_a_set_without_memory_changes_nothing(void **state) {
    (void)state;
    bool hit = true;
    for (long n = 0; hit; n++) {
        struct wr_key_set set;
        wr_key_set_init(&set);
        wr_failing_allocations(n);
        for (int64_t i = 0; i < 40; i++) {
            const size_t before = set.n_ranges;
            const enum wr_result result = wr_key_set_add(&set, i % 2 ? "a" : "b", (uint64_t)i % 3, 2 * i + 1, 2 * i + 1);
            assert_true(result == WR_OK || (result == WR_NO_MEMORY && set.n_ranges == before));
            assert_true(wr_key_set_valid(&set));
        }
        hit = wr_failing_hit();
        wr_failing_off();
        wr_key_set_fini(&set);
    }
}

/* -- the log ------------------------------------------------------------------------------------------------------------------------------- */

#define BATCHES 12

static char directory[64];
static char keys_path[96];

static struct wr_message_key key_of(unsigned node, unsigned epoch, int64_t seq) {
    struct wr_message_key key = {.epoch = epochs[epoch], .seq = seq};
    snprintf(key.node, sizeof key.node, "%s", nodes[node]);
    return key;
}

static size_t read_file(uint8_t *into, size_t size) {
    const int fd = open(keys_path, O_RDONLY);
    assert_true(fd >= 0);
    const ssize_t n = read(fd, into, size);
    assert_true(n >= 0);
    close(fd);
    return (size_t)n;
}

static void write_file(const uint8_t *bytes, size_t len) {
    const int fd = open(keys_path, O_WRONLY | O_TRUNC | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    close(fd);
}

static void make_directory(void) {
    snprintf(directory, sizeof directory, "%s/weir-keys-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"); /* syncs cost nothing there */
    assert_non_null(mkdtemp(directory));
    snprintf(keys_path, sizeof keys_path, "%s/keys", directory);
}

static void remove_directory(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    assert_int_equal(system(command), 0);
}

/* A log of BATCHES batches; ends[i] is its length behind batch i, and model after all of them is filled. */
static void make_log(size_t *ends, struct wr_message_key batches[BATCHES][8], size_t *sizes) {
    struct wr_key_log log;
    struct wr_error err;
    memset(model, 0, sizeof model);
    assert_int_equal(wr_key_log_open(&log, directory, &err), WR_OK);
    for (unsigned b = 0; b < BATCHES; b++) {
        sizes[b] = 1 + below(8);
        for (size_t i = 0; i < sizes[b]; i++)
            batches[b][i] = key_of(below(NODES), below(EPOCHS), 1 + below(SEQS));
        const struct wr_key_file file = {.instance = "a", .kind = (uint8_t)below(WR_MESSAGE_KINDS), .number = b, .length = 100 * b};
        assert_int_equal(wr_key_log_lock(&log, &err), WR_OK);
        assert_int_equal(wr_key_log_commit(&log, batches[b], sizes[b], &file, 1, &err), WR_OK);
        wr_key_log_unlock(&log);
        ends[b] = log.offset;
    }
    wr_key_log_close(&log);
}

static void expect_batches(const struct wr_key_log *log, struct wr_message_key batches[BATCHES][8], const size_t *sizes, unsigned n) {
    for (unsigned b = 0; b < BATCHES; b++)
        for (size_t i = 0; i < sizes[b]; i++) {
            bool known = false;
            for (unsigned before = 0; before < n && !known; before++)
                for (size_t k = 0; k < sizes[before]; k++)
                    known = known || (strcmp(batches[before][k].node, batches[b][i].node) == 0 &&
                                      batches[before][k].epoch == batches[b][i].epoch && batches[before][k].seq == batches[b][i].seq);
            assert_int_equal(wr_key_log_has(log, &batches[b][i]), known);
        }
}

static void test_a_log_cut_off_anywhere_is_a_beginning_of_it(void **state) {
    (void)state;
    static uint8_t bytes[65536];
    static struct wr_message_key batches[BATCHES][8];
    size_t ends[BATCHES];
    size_t sizes[BATCHES];
    make_directory();
    make_log(ends, batches, sizes);
    const size_t len = read_file(bytes, sizeof bytes);
    assert_int_equal(len, ends[BATCHES - 1]);
    for (size_t cut = 8; cut <= len; cut++) {
        struct wr_key_log log;
        struct wr_error err;
        unsigned whole = 0;
        while (whole < BATCHES && ends[whole] <= cut)
            whole++;
        write_file(bytes, cut);
        assert_int_equal(wr_key_log_open(&log, directory, &err), WR_OK);
        expect_batches(&log, batches, sizes, whole);
        assert_int_equal(log.offset, whole > 0 ? ends[whole - 1] : 8);
        /* It goes on behind the cut. */
        const struct wr_message_key next = key_of(0, 0, 5000);
        assert_int_equal(wr_key_log_lock(&log, &err), WR_OK);
        assert_int_equal(wr_key_log_commit(&log, &next, 1, NULL, 0, &err), WR_OK);
        wr_key_log_unlock(&log);
        wr_key_log_close(&log);
        assert_int_equal(wr_key_log_open(&log, directory, &err), WR_OK);
        assert_true(wr_key_log_has(&log, &next));
        expect_batches(&log, batches, sizes, whole);
        wr_key_log_close(&log);
    }
    remove_directory();
}

/* A wrong byte in the last record is a cut; before it, it is damage that is told. */
static void test_damage_before_the_tail_is_told(void **state) {
    (void)state;
    static uint8_t bytes[65536];
    static struct wr_message_key batches[BATCHES][8];
    size_t ends[BATCHES];
    size_t sizes[BATCHES];
    make_directory();
    make_log(ends, batches, sizes);
    const size_t len = read_file(bytes, sizeof bytes);
    for (size_t at = 0; at < len; at++) {
        struct wr_key_log log;
        struct wr_error err;
        bytes[at] ^= 0x55;
        write_file(bytes, len);
        bytes[at] ^= 0x55;
        const enum wr_result result = wr_key_log_open(&log, directory, &err);
        assert_int_equal(result, at < ends[BATCHES - 2] ? WR_CORRUPT : WR_OK);
        if (result == WR_OK)
            expect_batches(&log, batches, sizes, BATCHES - 1);
        else
            assert_non_null(strstr(err.text, "docs/receive.md"));
        wr_key_log_close(&log);
    }
    remove_directory();
}

/* Written anew under others that have it open, again and again. */
static void test_a_log_that_is_written_anew_stays_short_and_whole(void **state) {
    (void)state;
    struct wr_key_log logs[2];
    struct wr_error err;
    make_directory();
    for (int i = 0; i < 2; i++)
        assert_int_equal(wr_key_log_open(&logs[i], directory, &err), WR_OK);
    enum { KEYS = 40000, PIECE = 8 };
    for (int64_t seq = 1; seq <= KEYS; seq += PIECE) {
        struct wr_key_log *log = &logs[below(2)];
        struct wr_message_key keys[PIECE];
        const struct wr_key_file file = {.instance = "a", .kind = 0, .number = 1, .length = (uint64_t)seq};
        for (int i = 0; i < PIECE; i++)
            keys[i] = key_of((unsigned)i % NODES, 0, seq + i);
        assert_int_equal(wr_key_log_lock(log, &err), WR_OK);
        assert_false(wr_key_log_has(log, &keys[0]));
        assert_true(seq == 1 || wr_key_log_has(log, &(struct wr_message_key){.epoch = 1, .seq = seq - PIECE, .node = "gw-1"}));
        assert_int_equal(wr_key_log_commit(log, keys, PIECE, &file, 1, &err), WR_OK);
        wr_key_log_unlock(log);
    }
    /* Every third seq of a node is there: nothing touches, each is a range of its own, some three bytes. */
    assert_true(logs[0].offset < 3 * WR_KEY_LOG_SLACK_BYTES);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(wr_key_log_lock(&logs[i], &err), WR_OK);
        wr_key_log_unlock(&logs[i]);
        assert_int_equal(logs[i].set.n_ranges, KEYS);
        assert_int_equal(wr_key_log_file(&logs[i], "a", WR_MESSAGE_AGG)->length, KEYS - PIECE + 1);
        wr_key_log_close(&logs[i]);
    }
    remove_directory();
}

int main(void) {
    dice = wr_random_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges_are_a_table_of_booleans),
        cmocka_unit_test(test_the_ends_of_what_a_seq_can_be),
        cmocka_unit_test(test_a_set_without_memory_changes_nothing),
        cmocka_unit_test(test_a_log_cut_off_anywhere_is_a_beginning_of_it),
        cmocka_unit_test(test_damage_before_the_tail_is_told),
        cmocka_unit_test(test_a_log_that_is_written_anew_stays_short_and_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
