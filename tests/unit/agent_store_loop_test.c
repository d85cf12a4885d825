/* The store's loop: a store that breaks while it runs, one that cannot be opened, and a stop with and without the engine's last word. */
#include <endian.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/agent.h"
#include "agent/loops/store_loop.h"
#include "agent/loops/store_opening.h"
#include "core/log.h"
#include "tests/support/fault_vfs.h"
#include "tests/support/store_fixture.h"
#include "tests/support/waiting.h"

#define HANDOVERS 4

static struct store_fixture fixture;
static struct wr_store_loop loop;
static struct wr_accounts accounts;
static struct wr_handover_pool pool;
static uint64_t taken;

static int set_up(void **state) {
    (void)state;
    wr_log_configure(WR_LOG_ERROR, WR_LOG_LOGFMT, 2);
    store_fixture_init(&fixture);
    memset(&loop, 0, sizeof loop);
    memcpy(accounts.list, store_accounts, sizeof store_accounts);
    accounts.n = STORE_ACCOUNTS;
    taken = 0;
    return wr_handover_pool_init(&pool, HANDOVERS, 8, NULL) == WR_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    wr_store_loop_fini(&loop);
    wr_handover_pool_fini(&pool);
    store_fixture_fini(&fixture);
    return 0;
}

static void start(const char *path) {
    loop.clock = wr_clock_real();
    loop.path = path;
    loop.options = fixture.options;
    loop.symbols = fixture.symbols;
    loop.accounts = &accounts;
    assert_int_equal(wr_store_loop_init(&loop, HANDOVERS, 16, NULL), WR_OK);
    assert_int_equal(wr_store_loop_start(&loop, NULL), WR_OK);
}

static void stop(void) {
    assert_int_equal(wr_store_loop_stop(&loop, WR_NEVER_NS), WR_OK);
}

static void hand_over(uint32_t n, bool final) {
    struct wr_handover *handover;
    assert_int_equal(wr_channel_recv(pool.free, &handover, WR_NEVER_NS), WR_OK);
    for (uint32_t i = 0; i < n; i++) {
        handover->aggregates[handover->n] = store_fixture_aggregate(i, 10);
        handover->aggregates[handover->n++].account = 1;
    }
    taken += 10 * n;
    handover->counts[handover->n_counts++] = (struct wr_account_count){1, WR_BOOK_TAKEN, taken};
    handover->final = final;
    const struct wr_store_message message = {.handover = handover};
    assert_int_equal(wr_channel_send(loop.from_engine, &message, WR_NEVER_NS), WR_OK);
}

static struct wr_uplink_reply hear(enum wr_uplink_reply_kind kind) {
    struct wr_uplink_reply reply;
    for (;;) {
        assert_int_equal(wr_channel_recv(loop.to_uplink, &reply, WR_NEVER_NS), WR_OK);
        if (reply.kind == kind)
            return reply;
        wr_segment_free(&reply.segment);
    }
}

static void ask(enum wr_uplink_request_kind kind, uint64_t epoch, uint64_t ticket, int64_t last) {
    const struct wr_uplink_request request = {
        .kind = (uint8_t)kind, .lane = WR_LANE_WINDOWS, .epoch = epoch, .ticket = ticket, .max_segments = 1, .first = 1, .last = last};
    assert_int_equal(wr_channel_send(loop.from_uplink, &request, WR_NEVER_NS), WR_OK);
}

static void journal(uint64_t number) {
    struct wr_alarm_entry entry = {.number = number, .snap_len = 4, .snap = "abc"};
    snprintf(entry.alarm.rule, sizeof entry.alarm.rule, "hot");
    entry.alarm.id = 7;
    entry.alarm.transition = number % 2; /* every other one is a snapshot alone: it has a number too */
    entry.alarm.cause = WR_ALARM_RAISED;
    assert_int_equal(wr_channel_send(loop.journal, &entry, WR_NEVER_NS), WR_OK);
    const struct timespec pause = {0, WR_NS_PER_MS};
    while (loop.journalled < number)
        (void)nanosleep(&pause, NULL);
    assert_int_equal(loop.journalled, number);
}

static void make_a_full_store(void) {
    char path[512];
    assert_int_equal(store_fixture_open(&fixture), WR_OK);
    for (int i = 0; i < 300; i++)
        store_fixture_segment(&fixture, 1, 200, 10);
    assert_int_equal(wr_store_close(fixture.store, &fixture.now, NULL), WR_OK);
    fixture.store = NULL;
    snprintf(path, sizeof path, "%s/%s-wal", fixture.directory, WR_STORE_FILE);
    (void)unlink(path);
}

static void scribble(void) {
    static const char bytes[1 << 16];
    char path[512];
    snprintf(path, sizeof path, "%s/%s", fixture.directory, WR_STORE_FILE);
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    for (off_t at = 4096; at < 2 << 20; at += (off_t)sizeof bytes)
        assert_true(pwrite(fd, bytes, sizeof bytes, at) > 0);
    close(fd);
}

static void a_store_that_breaks_while_it_runs_is_told_of(void **state) {
    (void)state;
    make_a_full_store();
    start(fixture.directory);
    struct wr_uplink_reply ready = hear(WR_UPLINK_READY);
    uint64_t epoch = ready.epoch;
    assert_true(ready.seq >= 200);
    journal(1);
    scribble();
    while (loop.fresh_stores == 0)
        hand_over(WR_HANDOVER_AGGREGATES, false);
    ready = hear(WR_UPLINK_READY);
    assert_true(ready.epoch != epoch);
    assert_int_equal(ready.seq, 0);
    assert_int_equal(hear(WR_UPLINK_AVAILABLE).lane, WR_LANE_WINDOWS);
    /* What was asked of the former store gets no answer, and does nothing; the present one answers. */
    ask(WR_UPLINK_OFFER, epoch, 0, 1000);
    ask(WR_UPLINK_PARK, epoch, 0, 1);
    ask(WR_UPLINK_GET, epoch, 1, INT64_MAX);
    ask(WR_UPLINK_OFFER, ready.epoch, 0, 16);
    ask(WR_UPLINK_GET, ready.epoch, 2, INT64_MAX);
    assert_int_equal(hear(WR_UPLINK_OFFERED).seq, 16);
    struct wr_uplink_reply segment = hear(WR_UPLINK_SEGMENT);
    assert_int_equal(segment.ticket, 2);
    assert_true(segment.segment.epoch == ready.epoch);
    assert_int_equal(segment.segment.seq, 1);
    wr_segment_free(&segment.segment);
    assert_int_equal(hear(WR_UPLINK_DONE).ticket, 2);
    journal(2); /* numbers go on */
    journal(3);
    hand_over(0, true);
    stop();
    assert_int_equal(loop.fresh_stores, 1);
    assert_int_equal(store_fixture_open(&fixture), WR_OK);
    assert_false(fixture.report.unclean);
}

static void without_the_engines_last_word_the_stop_is_unclean(void **state) {
    (void)state;
    start(fixture.directory);
    (void)hear(WR_UPLINK_READY);
    hand_over(10, false);
    stop();
    assert_int_equal(store_fixture_open(&fixture), WR_OK);
    assert_true(fixture.report.unclean);
    assert_int_equal(fixture.report.crash_readings, 0); /* all that was handed over was committed */
}

static void finish(struct wr_request *request, void *owner) {
    (void)owner;
    wr_request_finish(request, WR_OK);
}

/* No memory for it, or a budget that is none. */
static void without_any_store_everybody_is_let_go(void **state) {
    (void)state;
    struct wr_error err = {0};
    struct wr_request *request;
    fixture.options.budget_bytes = 1;
    start(fixture.directory);
    assert_int_equal(wr_store_loop_wait_open(&loop, WR_NEVER_NS, &err), WR_INVALID);
    stop(); /* it has ended; whoever comes now is not let in */
    assert_int_equal(loop.state, WR_STORE_FAILED);
    const struct wr_store_message message = {0};
    assert_int_equal(wr_channel_try_send(loop.from_engine, &message), WR_CLOSED);
    assert_int_equal(wr_request_new(finish, NULL, NULL, &request, NULL), WR_OK);
    assert_int_equal(wr_request_call(request, loop.requests, WR_NEVER_NS, &err), WR_CLOSED);
    wr_request_release(request);
}

static void beside_another_agent_it_touches_nothing(void **state) {
    (void)state;
    struct wr_error err = {0};
    assert_int_equal(store_fixture_open(&fixture), WR_OK);
    start(fixture.directory);
    assert_int_equal(wr_store_loop_wait_open(&loop, WR_NEVER_NS, &err), WR_BUSY);
    stop();
    store_fixture_segment(&fixture, 1, 10, 10);
}

/* -- turns on the test's thread, on a clock of its own --------------------------------------------------------------------------------------- */

static struct wr_clock_virtual own_clock;

/* All turns of this moment; when the loop wants to run again. */
static int64_t turn(void) {
    struct wr_store_received received = {0};
    for (;;) {
        const struct wr_now now = wr_clock_now(&own_clock.clock);
        const int64_t due = wr_store_loop_turn(&loop, &now, &received);
        if (loop.phase == WR_STORE_ENDED)
            return WR_NEVER_NS;
        wr_store_loop_receive(&loop, 0, &received);
        if (received.from == WR_STORE_NOTHING && due > now.boot_ns)
            return due;
    }
}

static void init_on_own_clock(const char *path) {
    wr_clock_virtual_init(&own_clock, WR_NS_PER_S, INT64_C(1700000000) * WR_NS_PER_S, 1);
    loop.clock = &own_clock.clock;
    loop.path = path;
    loop.options = fixture.options;
    loop.symbols = fixture.symbols;
    loop.accounts = &accounts;
    assert_int_equal(wr_store_loop_init(&loop, HANDOVERS, 16, NULL), WR_OK);
}

static void send_alarm(uint64_t number) {
    struct wr_alarm_entry entry = {.number = number, .snap_len = 4, .snap = "abc"};
    entry.alarm.id = 7;
    assert_int_equal(wr_channel_try_send(loop.journal, &entry), WR_OK);
}

static void what_cannot_be_opened_is_tried_again(void **state) {
    (void)state;
    char parent[300], path[512], trouble[512];
    snprintf(parent, sizeof parent, "%s/disk", fixture.directory);
    snprintf(path, sizeof path, "%s/store", parent);
    init_on_own_clock(path);
    const int64_t pauses_s[] = {1, 2, 4, 8, 16, 32, 60, 60};
    for (size_t i = 0; i < sizeof pauses_s / sizeof pauses_s[0]; i++) {
        const int64_t now_ns = wr_clock_boot_ns(&own_clock.clock);
        assert_int_equal(turn() - now_ns, pauses_s[i] * WR_NS_PER_S);
        assert_int_equal(loop.state, WR_STORE_WITHOUT);
        assert_int_equal(loop.open_failures, i + 1);
        hand_over(8, false); /* comes back at once: windows do not wait for it */
        send_alarm(i + 1);
        assert_int_equal(turn() - now_ns, pauses_s[i] * WR_NS_PER_S);
        assert_int_equal(loop.stats->dropped_readings, 80 * (i + 1));
        assert_int_equal(loop.journalled, 0);
        wr_clock_virtual_advance(&own_clock, pauses_s[i] * WR_NS_PER_S - (i == 7));
    }
    struct wr_error err = {0};
    assert_int_equal(wr_store_loop_wait_open(&loop, WR_NEVER_NS, &err), WR_IO);
    assert_non_null(strstr(wr_store_loop_trouble(&loop, trouble, sizeof trouble), "make this directory"));
    ask(WR_UPLINK_GET, 0, 1, INT64_MAX); /* nobody does before READY; it would not be answered */
    (void)turn();
    struct wr_uplink_reply reply;
    assert_int_equal(wr_channel_try_recv(loop.to_uplink, &reply), WR_EMPTY);

    assert_int_equal(mkdir(parent, 0700), 0);
    assert_int_equal(turn() - wr_clock_boot_ns(&own_clock.clock), 1); /* not before its time */
    wr_clock_virtual_advance(&own_clock, 1);
    (void)turn();
    assert_int_equal(loop.state, WR_STORE_OPEN);
    assert_int_equal(loop.fresh_stores, 1);
    assert_string_equal(wr_store_loop_trouble(&loop, trouble, sizeof trouble), "");
    assert_true(hear(WR_UPLINK_READY).epoch != 0);
    send_alarm(9);
    (void)turn();
    wr_channel_close(loop.requests);
    hand_over(4, true);
    assert_int_equal(turn(), WR_NEVER_NS);
    memcpy(fixture.directory, path, sizeof fixture.directory);
    assert_int_equal(store_fixture_open(&fixture), WR_OK);
    const struct wr_account_balance balance = store_fixture_balance(&fixture, 1);
    assert_int_equal(balance.books[WR_BOOK_DROPPED_STORE], 640);
    assert_int_equal(wr_balance_held(&balance), 40);
    *strrchr(fixture.directory, '/') = 0;
    *strrchr(fixture.directory, '/') = 0; /* all of it is removed */
}

/* All turns until then. */
static void pass(int64_t ns) {
    const int64_t end = wr_clock_boot_ns(&own_clock.clock) + ns;
    for (int64_t due = turn(); due <= end && loop.phase != WR_STORE_ENDED; due = turn())
        wr_clock_virtual_advance(&own_clock, due - wr_clock_boot_ns(&own_clock.clock));
    wr_clock_virtual_advance(&own_clock, end - wr_clock_boot_ns(&own_clock.clock));
}

static struct wr_fault_vfs *init_on_faulty_disk(void) {
    struct wr_fault_vfs *disk = wr_fault_vfs_new(1);
    fixture.options.vfs = wr_fault_vfs_name(disk);
    init_on_own_clock(fixture.directory);
    return disk;
}

static void remove_disk(struct wr_fault_vfs *disk) {
    wr_store_abandon(fixture.store);
    fixture.store = NULL;
    wr_fault_vfs_free(disk);
}

/* The disk is pulled, and comes back after some minutes: what was under way waits, nobody is told of another store, and the uplink begins again. */
static void one_whose_handle_died_is_opened_again(void **state) {
    (void)state;
    char trouble[512];
    struct wr_fault_vfs *disk = init_on_faulty_disk();
    hand_over(10, false);
    send_alarm(1);
    pass(2 * WR_NS_PER_S);
    const uint64_t epoch = hear(WR_UPLINK_READY).epoch;
    assert_true(hear(WR_UPLINK_AVAILABLE).seq > 0);

    wr_fault_vfs_cut(disk);
    hand_over(10, false);
    send_alarm(2);
    ask(WR_UPLINK_GET, epoch, 1, INT64_MAX);
    pass(WR_REOPEN_AFTER_NS - WR_NS_PER_S);
    assert_int_equal(loop.state, WR_STORE_OPEN); /* it may pass */
    pass(3 * WR_NS_PER_S);
    assert_true(wr_store_loop_trouble(&loop, trouble, sizeof trouble)[0] != 0);
    for (uint64_t number = 3; number < 15; number++, pass(60 * WR_NS_PER_S))
        send_alarm(number);
    assert_int_equal(loop.state, WR_STORE_GONE);
    assert_int_equal(loop.journalled, 1);
    assert_int_equal(loop.stats->dropped_readings, 0);

    wr_fault_vfs_power(disk, WR_FAULT_NOTHING); /* what was synced */
    pass(WR_REOPEN_AFTER_NS + 3 * WR_NS_PER_S);
    assert_string_equal(wr_store_loop_trouble(&loop, trouble, sizeof trouble), "");
    assert_int_equal(loop.stats->reopens, 1);
    assert_int_equal(loop.fresh_stores, 1); /* the states of all alarms, once more */
    assert_int_equal(loop.journalled, 14);
    const struct wr_uplink_reply ready = hear(WR_UPLINK_READY);
    assert_true(ready.epoch == epoch && ready.seq > 0);
    ask(WR_UPLINK_GET, epoch, 2, INT64_MAX);
    (void)turn();
    struct wr_uplink_reply segment = hear(WR_UPLINK_SEGMENT);
    assert_int_equal(segment.ticket, 2);
    wr_segment_free(&segment.segment);
    wr_channel_close(loop.requests);
    hand_over(10, true);
    assert_int_equal(turn(), WR_NEVER_NS);
    assert_int_equal(store_fixture_open(&fixture), WR_OK);
    assert_false(fixture.report.unclean);
    const struct wr_account_balance balance = store_fixture_balance(&fixture, 1);
    assert_int_equal(wr_balance_held(&balance), 300);
    remove_disk(disk);
}

/* Where the body of the segment with this seq is in the file: the last place, for pages that are free now may have it too. */
static uint64_t place_of(struct wr_fault_vfs *disk, uint64_t epoch, uint64_t seq) {
    const uint64_t key[] = {htole64(epoch), htole64(seq)};
    uint64_t len, place = 0;
    const uint8_t *file = wr_fault_vfs_file(disk, WR_STORE_FILE, &len);
    assert_non_null(file);
    for (const uint8_t *at = file; (at = memmem(at, len - (uint64_t)(at - file), key, sizeof key)) != NULL; at++)
        place = (uint64_t)(at - file);
    assert_true(place > 0);
    return place;
}

#define BAD_SEQ 50

/* From that one on. */
static int64_t first_that_leaves(uint64_t epoch, uint64_t ticket) {
    const struct wr_uplink_request get = {.kind = WR_UPLINK_GET,
                                          .lane = WR_LANE_WINDOWS,
                                          .epoch = epoch,
                                          .ticket = ticket,
                                          .max_segments = 1,
                                          .first = BAD_SEQ,
                                          .last = INT64_MAX};
    assert_int_equal(wr_channel_send(loop.from_uplink, &get, WR_NEVER_NS), WR_OK);
    (void)turn();
    struct wr_uplink_reply reply = {.kind = WR_UPLINK_DONE};
    int64_t seq = 0;
    for (int i = 0; reply.kind != WR_UPLINK_SEGMENT || reply.ticket != ticket; i++) {
        assert_true(i < 20);
        if (wr_channel_try_recv(loop.to_uplink, &reply) == WR_OK) {
            seq = reply.segment.seq;
            wr_segment_free(&reply.segment);
            continue;
        }
        hand_over(1, false); /* what cannot be read is passed over once the disk took something */
        pass(3 * WR_NS_PER_S);
    }
    return seq;
}

/* The uplink has passed it, and would not come back to it by itself. */
static void what_could_not_be_read_is_asked_for_again(void **state) {
    (void)state;
    struct wr_fault_vfs *disk = wr_fault_vfs_new(1);
    fixture.options.vfs = wr_fault_vfs_name(disk);
    assert_int_equal(store_fixture_open(&fixture), WR_OK);
    const uint64_t epoch = wr_store_epoch(fixture.store);
    for (int i = 0; i < 100; i++)
        store_fixture_segment(&fixture, 1, 200, 10);
    store_fixture_close(&fixture);
    wr_fault_vfs_remove(disk, WR_STORE_FILE "-wal"); /* it has copies of pages, all of which are in the file by now */
    wr_fault_vfs_bad(disk, WR_STORE_FILE, place_of(disk, epoch, BAD_SEQ), 1);
    init_on_own_clock(fixture.directory);
    (void)turn();
    assert_true(hear(WR_UPLINK_READY).epoch == epoch);
    assert_true(first_that_leaves(epoch, 1) > BAD_SEQ);
    wr_fault_vfs_bad(disk, NULL, 0, 0);
    assert_true(first_that_leaves(epoch, 2) > BAD_SEQ);
    pass(3600 * WR_NS_PER_S);
    hand_over(1, false);
    pass(5 * WR_NS_PER_S);
    assert_true(hear(WR_UPLINK_READY).epoch == epoch);
    assert_true(hear(WR_UPLINK_AVAILABLE).seq > 100);
    assert_int_equal(first_that_leaves(epoch, 3), BAD_SEQ);
    wr_channel_close(loop.requests);
    hand_over(1, true);
    assert_int_equal(turn(), WR_NEVER_NS);
    remove_disk(disk);
}

/* It comes back just before the stop: that is the last moment. */
static void a_stop_tries_once_more(void **state) {
    (void)state;
    struct wr_fault_vfs *disk = init_on_faulty_disk();
    (void)turn();
    wr_fault_vfs_cut(disk);
    hand_over(10, false);
    pass(90 * WR_NS_PER_S);
    assert_int_equal(loop.state, WR_STORE_GONE);
    wr_fault_vfs_power(disk, WR_FAULT_ALL);
    wr_channel_close(loop.requests);
    hand_over(10, true);
    assert_int_equal(turn(), WR_NEVER_NS);
    assert_int_equal(store_fixture_open(&fixture), WR_OK);
    assert_false(fixture.report.unclean);
    const struct wr_account_balance balance = store_fixture_balance(&fixture, 1);
    assert_int_equal(wr_balance_held(&balance), 200);
    remove_disk(disk);
}

static void turns_need_no_thread_and_no_real_time(void **state) {
    (void)state;
    init_on_own_clock(fixture.directory);
    assert_int_equal(turn(), WR_NEVER_NS); /* opened; nothing is due */
    assert_int_equal(loop.state, WR_STORE_OPEN);
    const struct wr_uplink_reply ready = hear(WR_UPLINK_READY);
    hand_over(10, false);
    int64_t due = turn(), end = wr_clock_boot_ns(&own_clock.clock) + fixture.options.max_loss_ns;
    assert_true(due > wr_clock_boot_ns(&own_clock.clock) && due <= end);
    struct wr_channel_stats told;
    for (wr_channel_stats(loop.to_uplink, &told); told.depth == 0; wr_channel_stats(loop.to_uplink, &told)) {
        assert_true(due <= end);
        wr_clock_virtual_advance(&own_clock, due - wr_clock_boot_ns(&own_clock.clock));
        due = turn();
    }
    assert_int_equal(hear(WR_UPLINK_AVAILABLE).seq, 1);
    struct wr_request *request;
    assert_int_equal(wr_request_new(finish, NULL, NULL, &request, NULL), WR_OK);
    assert_int_equal(wr_request_post(request, loop.requests, NULL), WR_OK);
    ask(WR_UPLINK_GET, ready.epoch, 1, INT64_MAX);
    (void)turn();
    assert_int_equal(wr_request_look(request, NULL), WR_OK);
    wr_request_release(request);
    struct wr_uplink_reply segment = hear(WR_UPLINK_SEGMENT);
    assert_int_equal(segment.segment.n, 10);
    wr_segment_free(&segment.segment);
    /* A stop takes what is on its way, whether it came before or behind it. */
    wr_channel_close(loop.requests);
    hand_over(10, true);
    assert_int_equal(turn(), WR_NEVER_NS);
    assert_int_equal(loop.phase, WR_STORE_ENDED);
    assert_int_equal(store_fixture_open(&fixture), WR_OK);
    assert_false(fixture.report.unclean);
}

static struct wr_uplink_reply counted(enum wr_budget_period period) {
    struct wr_uplink_reply reply;
    do
        reply = hear(WR_UPLINK_COUNTED);
    while (reply.lane != period);
    return reply;
}

/* What one uplink has spent the next one is told, after a reload and after a restart; it belongs to no epoch, and a lane that there is not is none. */
static void counts_of_budgets_come_back(void **state) {
    (void)state;
    struct wr_uplink_request count = {.kind = WR_UPLINK_COUNT, .lane = WR_BUDGET_DAY, .count = {.spent = 4711, .counted_ns = 5}};
    init_on_own_clock(fixture.directory);
    (void)turn();
    assert_int_equal(counted(WR_BUDGET_DAY).count.spent, 0);
    (void)hear(WR_UPLINK_READY); /* behind it: U13 */
    assert_int_equal(wr_channel_send(loop.from_uplink, &count, WR_NEVER_NS), WR_OK);
    (void)turn();
    count.lane = WR_BUDGET_PERIODS;
    assert_int_equal(wr_channel_send(loop.from_uplink, &count, WR_NEVER_NS), WR_OK);
    (void)turn();
    count.lane = WR_BUDGET_MONTH;
    count.count.spent = 9;
    assert_int_equal(wr_channel_send(loop.from_uplink, &count, WR_NEVER_NS), WR_OK); /* the last word of an uplink that is replaced */
    struct wr_request *request;
    assert_int_equal(wr_request_new(wr_store_loop_new_uplink, NULL, NULL, &request, NULL), WR_OK);
    assert_int_equal(wr_request_post(request, loop.requests, NULL), WR_OK);
    (void)turn();
    assert_int_equal(wr_request_look(request, NULL), WR_OK);
    wr_request_release(request);
    assert_int_equal(counted(WR_BUDGET_MONTH).count.spent, 9);
    assert_int_equal(counted(WR_BUDGET_DAY).count.spent, 4711);
    wr_channel_close(loop.requests);
    hand_over(0, true);
    assert_int_equal(turn(), WR_NEVER_NS);
    assert_int_equal(store_fixture_open(&fixture), WR_OK);
    assert_int_equal(wr_store_count(fixture.store, WR_BUDGET_DAY).spent, 4711);
    assert_int_equal(wr_store_count(fixture.store, WR_BUDGET_DAY).counted_ns, 5);
}

/* A tight write budget widens windows as a full outbox does, and ends by itself. */
static void a_tight_write_budget_is_felt(void **state) {
    (void)state;
    fixture.options.write_budget_bytes = 2000000;
    init_on_own_clock(fixture.directory);
    int64_t due = turn();
    assert_int_equal(loop.high_water, 0);
    for (int i = 0; loop.high_water == 0; i++) {
        assert_true(i < 1000);
        hand_over(8, false);
        (void)turn();
        wr_clock_virtual_advance(&own_clock, fixture.options.max_loss_ns);
        due = turn();
    }
    assert_int_equal(loop.high_water, WR_STORE_PRESSURE_WRITES);
    assert_int_equal(loop.stats->write_level, WR_BUDGET_SLOW);
    assert_int_equal(loop.write_level, WR_BUDGET_SLOW);
    const int64_t end = wr_clock_boot_ns(&own_clock.clock) + 2 * 86400 * WR_NS_PER_S;
    while (loop.high_water != 0) {
        assert_true(due <= end);
        wr_clock_virtual_advance(&own_clock, due - wr_clock_boot_ns(&own_clock.clock));
        due = turn();
    }
    assert_true(loop.stats->write_level < WR_BUDGET_SLOW);
    wr_channel_close(loop.requests);
    hand_over(1, true);
    assert_int_equal(turn(), WR_NEVER_NS);
    assert_int_equal(store_fixture_open(&fixture), WR_OK);
}

/* What engine and store are told after a reload: also what a dropped window was, and after a refused one what was put back. */
static void lengths_of_dropped_windows_stay(void **state) {
    (void)state;
    static struct wr_accounts all, before;
    static const struct wr_window_spec both[] = {{.name = "m1", .every_ns = 60 * WR_NS_PER_S},
                                                 {.name = "m5", .every_ns = 300 * WR_NS_PER_S},
                                                 {.name = "states", .forward = WR_FORWARD_CHANGES}};
    static const struct wr_window_spec other = {.name = "m1", .every_ns = 360 * WR_NS_PER_S};
    const char *const names[] = {"floor"};
    uint32_t *map, number = 0;
    assert_int_equal(wr_accounts_map(&all, names, 1, both, 3, &map, NULL), WR_OK);
    free(map);
    assert_int_equal(wr_accounts_map(&all, names, 1, both, 1, &map, NULL), WR_OK);
    assert_int_equal(all.lengths.n, 2);
    assert_true(wr_lengths_find(&all.lengths, 60 * WR_NS_PER_S, &number));
    assert_true(all.lengths.longer_ns[number] == 360 * WR_NS_PER_S && all.length_ns[map[0]] == 60 * WR_NS_PER_S);
    before = all;
    free(map);
    assert_int_equal(wr_accounts_map(&all, names, 1, &other, 1, &map, NULL), WR_OK);
    assert_true(all.lengths.n == 3 && all.length_ns[map[0]] == 360 * WR_NS_PER_S);
    free(map);
    assert_int_equal(wr_accounts_map(&before, NULL, 0, &other, 1, &map, NULL), WR_OK); /* also of one that no source has yet */
    assert_true(memcmp(&before.lengths, &all.lengths, sizeof all.lengths) == 0);
    free(map);
}

/* The engine of a config that has dropped a window of five minutes: one of a minute becomes six, as in the store. */
static void an_engine_is_given_former_lengths(void **state) {
    (void)state;
    static struct wr_agent agent;
    static struct wr_batch batch;
    struct wr_config_limits limits = {.max_series = 8};
    struct wr_config_source source = {.name = (char *)(uintptr_t) "floor"};
    struct wr_window_spec m1 = {.name = "m1", .every_ns = 60 * WR_NS_PER_S};
    const struct wr_config config = {.limits = &limits, .sources = &source, .n_sources = 1, .windows = &m1, .n_windows = 1};
    const struct wr_now now = {.boot_ns = WR_NS_PER_S, .wall_ns = INT64_C(1772000000) * WR_NS_PER_S, .wall_trusted = true};
    struct wr_engine_out out = {0};
    struct wr_engine *engine;
    uint32_t *map, series;
    assert_int_equal(wr_selector_parse("*", 1, &m1.of, NULL, NULL), WR_OK);
    assert_int_equal(wr_series_table_new(8, &agent.series, NULL), WR_OK);
    assert_int_equal(wr_series_intern(agent.series, "a\0value", 8, &series), WR_OK);
    agent.symbols = fixture.symbols;
    agent.n_slots = 1;
    agent.sources[0].config = &source;
    wr_lengths_add(&agent.accounts.lengths, 300 * WR_NS_PER_S);
    assert_int_equal(wr_agent_make_engine(&agent, &config, NULL, &engine, &map, NULL), WR_OK);
    wr_engine_widen(engine, true);
    assert_int_equal(wr_channel_recv(pool.free, &out.handover, WR_NEVER_NS), WR_OK);
    wr_batch_stamp(&batch, &now);
    for (int i = 0; i < 2; i++)
        batch.readings[batch.n++] = (struct wr_reading){
            .series = series, .event_ns = now.wall_ns - (1 - i) * 900 * WR_NS_PER_S, .value.f = 1, .type = WR_TYPE_FLOAT};
    assert_int_equal(wr_engine_take(engine, &batch, 0, &now, &out), 2);
    assert_int_equal(out.handover->n, 1);
    assert_int_equal(out.handover->aggregates[0].window_ns, 360 * WR_NS_PER_S);
    wr_handover_return(out.handover);
    wr_engine_free(engine);
    free(map);
    wr_series_table_free(agent.series);
}

int main(void) {
    wr_waiting_watchdog(60);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_store_that_breaks_while_it_runs_is_told_of, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_the_engines_last_word_the_stop_is_unclean, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_any_store_everybody_is_let_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(beside_another_agent_it_touches_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_opened_is_tried_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_whose_handle_died_is_opened_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_could_not_be_read_is_asked_for_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stop_tries_once_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(turns_need_no_thread_and_no_real_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(counts_of_budgets_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_tight_write_budget_is_felt, set_up, tear_down),
        cmocka_unit_test(lengths_of_dropped_windows_stay),
        cmocka_unit_test_setup_teardown(an_engine_is_given_former_lengths, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
