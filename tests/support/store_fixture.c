#include "tests/support/store_fixture.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

const struct wr_account store_accounts[STORE_ACCOUNTS] = {{"floor", "states"}, {"floor", "m1"}, {"floor", WR_LEDGER_INTAKE}};

#define OFF_GRID_NS (200 * WR_NS_PER_S) /* so much later than the grid of five minutes is the first start */

static const int64_t lengths_ns[STORE_ACCOUNTS] = {0, 60 * WR_NS_PER_S, 0};

static const char keys[8][24] = {"temp\0value\0room\0A0", "temp\0value\0room\0A1", "temp\0value\0room\0A2", "temp\0value\0room\0A3",
                                 "temp\0value\0room\0A4", "temp\0value\0room\0A5", "temp\0value\0room\0A6", "temp\0value\0room\0A7"};

void store_fixture_init(struct store_fixture *fixture) {
    *fixture =
        (struct store_fixture){.options = {.budget_bytes = 4 << 20, .max_loss_ns = WR_NS_PER_S, .node = "gw-7"},
                               .now = {.boot_ns = 1000 * WR_NS_PER_S, .wall_ns = INT64_C(1772000000) * WR_NS_PER_S, .wall_trusted = true}};
    const char *base = getenv("WEIR_TEST_DISK"); /* a real disk; memory is enough for all but power loss, and fast */
    if (!base)
        base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(fixture->directory, sizeof fixture->directory, "%s/weir-store-XXXXXX", base);
    assert_non_null(mkdtemp(fixture->directory));
    assert_int_equal(wr_symbol_table_new(64, &fixture->symbols, &fixture->err), WR_OK);
    fixture->handover.counts = fixture->counts;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *at) {
    (void)status, (void)kind, (void)at;
    return remove(path);
}

void store_fixture_fini(struct store_fixture *fixture) {
    wr_store_abandon(fixture->store);
    wr_symbol_table_free(fixture->symbols);
    nftw(fixture->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void store_fixture_lengths(struct store_fixture *fixture, const int64_t *length_ns) {
    for (int i = 0; i < STORE_ACCOUNTS; i++)
        wr_lengths_add(&fixture->lengths, length_ns[i]);
    wr_store_lengths(fixture->store, length_ns, STORE_ACCOUNTS, &fixture->lengths);
}

enum wr_result store_fixture_open(struct store_fixture *fixture) {
    memset(fixture->taken, 0, sizeof fixture->taken);
    fixture->lengths = (struct wr_lengths){0};
    WR_TRY(wr_store_open(fixture->directory, &fixture->options, &fixture->now, fixture->symbols, &fixture->store, &fixture->report,
                         &fixture->err));
    WR_TRY(wr_store_accounts(fixture->store, store_accounts, STORE_ACCOUNTS, false, &fixture->err));
    if (fixture->tells_lengths)
        store_fixture_lengths(fixture, lengths_ns);
    return WR_OK;
}

int store_fixture_setup(void **state) {
    struct store_fixture *fixture = malloc(sizeof *fixture);
    store_fixture_init(fixture);
    *state = fixture;
    return 0;
}

int store_fixture_teardown(void **state) {
    store_fixture_fini(*state);
    free(*state);
    return 0;
}

void store_fixture_must(struct store_fixture *fixture, enum wr_result result) {
    if (result != WR_OK)
        fail_msg("%s: %s", wr_result_name(result), fixture->err.text);
}

void store_fixture_close(struct store_fixture *fixture) {
    struct wr_store *store = fixture->store;
    fixture->store = NULL;
    store_fixture_must(fixture, wr_store_close(store, &fixture->now, &fixture->err));
}

void store_fixture_abandon(struct store_fixture *fixture) {
    wr_store_abandon(fixture->store);
    fixture->store = NULL;
}

struct wr_aggregate store_fixture_aggregate(uint32_t i, uint64_t n) {
    struct wr_aggregate aggregate = {.key = keys[i % 8],
                                     .key_len = 19,
                                     .type = WR_TYPE_FLOAT,
                                     .decimals = 1,
                                     .start_ns = INT64_C(1772000000) * WR_NS_PER_S + (int64_t)(i / 8) * 60 * WR_NS_PER_S,
                                     .window_ns = 60 * WR_NS_PER_S,
                                     .n = n,
                                     .sum = wr_sum_zero()};
    int64_t tenths = 200 + (int64_t)(i * 7 % 13);
    for (uint64_t k = 0; k < n; k++) {
        union wr_value value = {.f = (double)(tenths + (int64_t)k) / 10};
        wr_sum_add(&aggregate.sum, WR_TYPE_FLOAT, value, 1);
        if (k == 0)
            aggregate.min = aggregate.first = value;
        aggregate.max = aggregate.last = value;
    }
    return aggregate;
}

void store_fixture_fill(struct store_fixture *fixture, uint32_t account, uint32_t n, uint64_t readings) {
    struct wr_handover *handover = &fixture->handover;
    assert_true(handover->n + n <= WR_HANDOVER_AGGREGATES);
    for (uint32_t i = 0; i < n; i++) {
        struct wr_aggregate *aggregate = &handover->aggregates[handover->n++];
        *aggregate = store_fixture_aggregate(i, readings);
        aggregate->account = account;
        if (fixture->tells_lengths)
            aggregate->start_ns -= OFF_GRID_NS; /* what lies on no grid is not merged */
        if (account == 0)
            aggregate->window_ns = 0;
        fixture->taken[account] += readings;
        fixture->taken[2] += readings;
    }
    fixture->counts[0] = (struct wr_account_count){0, WR_BOOK_TAKEN, fixture->taken[0]};
    fixture->counts[1] = (struct wr_account_count){1, WR_BOOK_TAKEN, fixture->taken[1]};
    fixture->counts[2] = (struct wr_account_count){2, WR_BOOK_RECEIVED, fixture->taken[2]};
    fixture->counts[3] = (struct wr_account_count){2, WR_BOOK_TAKEN, fixture->taken[2]};
    handover->n_counts = 4;
}

void store_fixture_noise(struct store_fixture *fixture, uint32_t from, struct wr_random *dice) {
    for (uint32_t i = from; i < fixture->handover.n; i++) {
        struct wr_aggregate *aggregate = &fixture->handover.aggregates[i];
        aggregate->min.f = (double)wr_random_u64(dice) / 3;
        aggregate->max.f = aggregate->first.f = (double)wr_random_u64(dice) * 7;
        aggregate->last.f = (double)wr_random_u64(dice) * 11;
        aggregate->sum = (struct wr_sum){.approx = (double)wr_random_u64(dice)};
    }
}

void store_fixture_take(struct store_fixture *fixture) {
    uint32_t taken = 0;
    store_fixture_must(fixture, wr_store_take(fixture->store, &fixture->handover, 0, &fixture->now, &taken, &fixture->err));
    assert_int_equal(taken, fixture->handover.n);
    fixture->handover.n = 0;
}

void store_fixture_segment(struct store_fixture *fixture, uint32_t account, uint32_t n, uint64_t readings) {
    store_fixture_fill(fixture, account, n, readings);
    store_fixture_take(fixture);
    store_fixture_must(fixture, wr_store_flush(fixture->store, &fixture->now, &fixture->err));
}

const char *store_fixture_path(const struct store_fixture *fixture, const char *name) {
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", fixture->directory, name);
    return path;
}

void store_fixture_placeholder(const struct store_fixture *fixture) {
    FILE *file = fopen(store_fixture_path(fixture, WR_STORE_FILE), "w");
    assert_non_null(file);
    fputs("not empty: that would be a damaged one", file);
    fclose(file);
}

void store_fixture_forget_wal(struct store_fixture *fixture) {
    assert_int_equal(unlink(store_fixture_path(fixture, WR_STORE_FILE "-wal")), 0);
}

void store_fixture_scribble(struct store_fixture *fixture, off_t at, size_t len) {
    char bytes[4096];
    int fd = open(store_fixture_path(fixture, WR_STORE_FILE), O_WRONLY);
    assert_true(fd >= 0);
    memset(bytes, 0xA5, sizeof bytes);
    for (; len > 0; len -= len < sizeof bytes ? len : sizeof bytes) {
        assert_true(pwrite(fd, bytes, len < sizeof bytes ? len : sizeof bytes, at) > 0);
        at += (off_t)sizeof bytes;
    }
    close(fd);
}

void store_fixture_advance(struct store_fixture *fixture, int64_t ns) {
    fixture->now.boot_ns += ns;
    fixture->now.wall_ns += ns;
}

struct wr_account_balance store_fixture_balance(struct store_fixture *fixture, uint32_t account) {
    struct wr_account_balance *balances;
    struct wr_account_balance found = {0};
    uint32_t n;
    assert_int_equal(wr_store_balances(fixture->store, &balances, &n), WR_OK);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t left;
        uint64_t right;
        if (!wr_balance_check(&balances[i], &left, &right))
            fail_msg("%s/%s: %llu is not %llu", balances[i].account.source, balances[i].account.window, (unsigned long long)left,
                     (unsigned long long)right);
        if (strcmp(balances[i].account.source, store_accounts[account].source) == 0 &&
            strcmp(balances[i].account.window, store_accounts[account].window) == 0)
            found = balances[i];
    }
    free(balances);
    return found;
}

static uint64_t number(const char *json, const char *name) {
    char member[32];
    snprintf(member, sizeof member, "\"%s\":", name);
    const char *at = strstr(json, member);
    assert_non_null(at);
    return strtoull(at + strlen(member), NULL, 10);
}

static void see(struct store_told *told, const char *text, size_t len) {
    char json[16384];
    assert_true(len < sizeof json);
    memcpy(json, text, len);
    json[len] = '\0';
    if (strncmp(json, "{\"cut\":", 7) == 0)
        return; /* a ledger record */
    assert_int_equal(sscanf(json, "{\"reason\":\"%15[a-z]\"", told->reason), 1);
    told->records++;
    told->readings += number(json, "readings");
    told->total = number(json, "total"); /* of the first account */
    told->from_ns = (int64_t)number(json, "from_ns");
    told->to_ns = (int64_t)number(json, "to_ns");
    told->at_least = strstr(json, "\"at_least\":true") != NULL;
}

void store_fixture_read_gaps(struct store_fixture *fixture, struct store_told *told) {
    struct wr_decoder *decoder;
    struct wr_segment segment;
    enum wr_result result;
    assert_int_equal(wr_decoder_new(&decoder), WR_OK);
    while ((result = wr_store_next(fixture->store, WR_LANE_ALARMS, told->after, INT64_MAX, &fixture->now, &segment, &fixture->err)) ==
           WR_OK) {
        struct wr_codec_header header;
        const char *text;
        size_t len;
        told->after = segment.seq;
        if (segment.kind != WR_SEGMENT_GAPS) {
            wr_segment_free(&segment);
            continue;
        }
        assert_int_equal(wr_decode_begin(decoder, segment.body, segment.body_len, &header, &fixture->err), WR_OK);
        while ((result = wr_decode_text(decoder, &text, &len, &fixture->err)) == WR_OK)
            see(told, text, len);
        assert_int_equal(result, WR_EMPTY);
        wr_segment_free(&segment);
    }
    assert_int_equal(result, WR_EMPTY);
    wr_decoder_free(decoder);
}
