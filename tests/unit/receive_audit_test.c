/* The audit of the central side: the verdict, and the numbers from files, also where reading fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/receive/audit.h"
#include "agent/receive/key_log.h"
#include "tests/support/failing.h"

static struct wr_error err;
static char directory[64];

/* -- the verdict ------------------------------------------------------------------------------------------------------------------------------ */

static struct wr_audit_verdict judge(uint64_t stored, uint64_t arrived, uint64_t lost, uint64_t held, uint64_t absent) {
    const struct wr_audit_epoch epoch = {
        .last_cut = 9,
        .stored = stored,
        .arrived = arrived,
        .lost = lost,
        .absent = absent,
        .books = {[WR_BOOK_TAKEN] = 10000, [WR_BOOK_STORED] = 1000, [WR_BOOK_DELIVERED] = 1000 - held, [WR_BOOK_DROPPED_LATE] = 10}};
    return wr_audit_judge(&epoch);
}

static void expect(struct wr_audit_verdict verdict, uint64_t on_way, uint64_t lost, uint64_t off) {
    assert_int_equal(verdict.on_way, on_way);
    assert_int_equal(verdict.lost, lost);
    assert_int_equal(verdict.off, off);
    assert_int_equal(verdict.open, 10000 - 1000 - 10);
    assert_false(verdict.impossible);
}

static void the_verdict(void **state) {
    (void)state;
    expect(judge(100, 100, 0, 0, 0), 0, 0, 0);
    expect(judge(100, 100, 0, 50, 0), 0, 0, 0); /* acknowledged after the record */
    expect(judge(100, 70, 0, 50, 3), 30, 0, 0); /* on the way */
    expect(judge(100, 70, 30, 0, 3), 0, 30, 0); /* evicted */
    expect(judge(100, 60, 30, 50, 4), 10, 30, 0);
    expect(judge(100, 90, 30, 0, 1), 0, 10, 0);  /* evicted, and some of it arrived all the same */
    expect(judge(100, 60, 30, 0, 4), 0, 30, 10); /* delivered, and not here */
    expect(judge(100, 40, 30, 20, 6), 20, 30, 10);
    expect(judge(100, 120, 30, 20, 1), 0, 0, 20); /* more than there was */
    expect(judge(100, 90, 30, 20, 0), 0, 10, 10); /* all segments are here, and they do not hold what they should */
    const struct wr_audit_epoch wrong = {.last_cut = 9, .books = {[WR_BOOK_TAKEN] = 5, [WR_BOOK_STORED] = 4, [WR_BOOK_DROPPED_LATE] = 2}};
    assert_true(wr_audit_judge(&wrong).impossible);
}

static void merged_and_recovered(void **state) {
    (void)state;
    const uint64_t first[WR_BOOKS] = {[WR_BOOK_TAKEN] = 100, [WR_BOOK_STORED] = 100, [WR_BOOK_DELIVERED] = 70};
    struct wr_audit_epoch epoch = {
        .first_cut = 5,
        .last_cut = 9,
        .absent = 1,
        .arrived = 130,
        .books = {
            [WR_BOOK_TAKEN] = 200, [WR_BOOK_STORED] = 250, [WR_BOOK_DELIVERED] = 250, [WR_BOOK_RECOVERED] = 50, [WR_BOOK_MERGED] = 30}};
    wr_audit_between(&epoch, first);
    assert_int_equal(epoch.stored, 100); /* the recovered ones came under another epoch */
    assert_int_equal(epoch.recovered, 50);
    assert_int_equal(epoch.carried, 30);
    struct wr_audit_verdict verdict = wr_audit_judge(&epoch);
    assert_int_equal(verdict.off, 0);
    assert_int_equal(verdict.carried, 30);
    assert_int_equal(verdict.open, 0);
    assert_false(verdict.impossible);
    epoch.arrived = 131; /* more than can have been carried over the first cut */
    assert_int_equal(wr_audit_judge(&epoch).off, 1);
    epoch.arrived = 99;
    assert_int_equal(wr_audit_judge(&epoch).off, 1);
    epoch.arrived = 101;
    epoch.books[WR_BOOK_MERGED] = 0; /* who merged nothing carried nothing */
    wr_audit_between(&epoch, first);
    assert_int_equal(wr_audit_judge(&epoch).off, 1);
}

/* Too old before they were sent: known to be lost, as what was evicted. */
static void expired(void **state) {
    (void)state;
    const uint64_t first[WR_BOOKS] = {[WR_BOOK_TAKEN] = 10, [WR_BOOK_STORED] = 10, [WR_BOOK_DELIVERED] = 10};
    struct wr_audit_epoch epoch = {
        .first_cut = 5,
        .last_cut = 9,
        .absent = 1,
        .arrived = 60,
        .books = {[WR_BOOK_TAKEN] = 110, [WR_BOOK_STORED] = 110, [WR_BOOK_DELIVERED] = 70, [WR_BOOK_DROPPED_EXPIRED] = 40}};
    wr_audit_between(&epoch, first);
    assert_int_equal(epoch.lost, 40);
    const struct wr_audit_verdict verdict = wr_audit_judge(&epoch);
    assert_int_equal(verdict.off, 0);
    assert_int_equal(verdict.open, 0);
    assert_false(verdict.impossible);
    epoch.arrived = 59;
    assert_int_equal(wr_audit_judge(&epoch).off, 1);
}

/* -- files -------------------------------------------------------------------------------------------------------------------------------------- */

static int make_directory(void **state) {
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/weir-audit-XXXXXX");
    return mkdtemp(directory) ? 0 : 1;
}

static int remove_directory(void **state) {
    char command[100];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    return system(command);
}

static void put(const char *name, const char *text) {
    char path[200];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

#define EPOCH "c0ffee0000000001"
#define RECORD(cut, time, of, books)                                                                                                       \
    "{\"site\":\"riga\",\"node\":\"gw-1\",\"record\":\"gap\",\"cut\":" #cut ",\"epoch\":\"" EPOCH "\",\"time_ns\":" #time ",\"of\":" #of   \
    ",\"ledger\":[{\"source\":\"floor\",\"window\":\"m1\",\"books\":{" books "}}]}\n"
#define SEGMENT(seq, readings)                                                                                                             \
    "{\"site\":\"riga\",\"node\":\"gw-1\",\"epoch\":\"" EPOCH "\",\"seq\":" #seq ",\"kind\":\"agg\",\"records\":1,\"readings\":" #readings \
    "}\n"

#define LATE(from, to, n)                                                                                                                  \
    "{\"site\":\"riga\",\"node\":\"gw-1\",\"record\":\"gap\",\"reason\":\"late\",\"from_ns\":" #from ",\"to_ns\":" #to ",\"accounts\":["   \
    "{\"source\":\"floor\",\"window\":\"m1\",\"readings\":" #n ",\"total\":" #n "}]}\n"

static void write_files(void) {
    put("gap-a-000001.jsonl", RECORD(1, 100, 1, "\"taken\":50,\"stored\":50,\"delivered\":50"));
    put("gap-a-000001.jsonl", LATE(7, 9, 3));
    put("gap-b-000001.jsonl", LATE(5, 8, 2));
    put("gap-b-000001.jsonl", RECORD(6, 200, 1, "\"taken\":160,\"stored\":150,\"delivered\":150,\"dropped(late)\":5"));
    put("gap-b-000001.jsonl", RECORD(9, 300, 2, "\"taken\":900,\"stored\":900")); /* half of it is on its way */
    put("gap-a-000002.jsonl.part", "half a li");                                  /* what nobody committed does not count */
    put("segment-a-000001.jsonl", SEGMENT(1, 0) SEGMENT(2, 40) SEGMENT(4, 30) SEGMENT(6, 0));
    put("segment-b-000001.jsonl", SEGMENT(5, 10) SEGMENT(7, 11));
    put("agg-a-000001.jsonl", "not read\n");
}

static void from_files(void **state) {
    (void)state;
    struct wr_audit audit;
    struct wr_buf text;
    write_files();
    wr_audit_init(&audit);
    wr_buf_init(&text, 0);
    assert_int_equal(wr_audit_files(directory, NULL, &audit, &err), WR_OK);
    assert_int_equal(wr_audit_print(&audit, &text), WR_OK);
    assert_string_equal(wr_buf_str(&text),
                        "riga/gw-1: took 160 = stored 150 + open 5 + dropped 5 (late 5), as of 1970-01-01T00:00:00.000Z\n"
                        "  epoch " EPOCH ", segments 1 to 6: stored 100 = arrived 80 + on the way 0 + lost 0\n"
                        "  OFF BY 20: the node knows them as delivered; not here: segments 3 to 3\n"
                        "  told: late, floor/m1: 5, between 1970-01-01T00:00:00.000Z and 1970-01-01T00:00:00.000Z\n"
                        "1 epochs are off or cannot be checked\n");
    assert_int_equal(audit.epochs[0].newer, 1);
    assert_int_equal(audit.losses[0].from_ns, 5);
    assert_int_equal(audit.losses[0].to_ns, 9);
    assert_false(wr_audit_balances(&audit));
    wr_audit_fini(&audit);
    put("segment-b-000002.jsonl", SEGMENT(3, 20));
    put("segment-c-000001.jsonl", SEGMENT(2, 40)); /* of another directory that has all, gathered here */
    wr_buf_clear(&text);
    assert_int_equal(wr_audit_files(directory, NULL, &audit, &err), WR_OK);
    assert_true(wr_audit_balances(&audit));
    assert_int_equal(wr_audit_print_json(&audit, &text), WR_OK);
    assert_non_null(
        strstr(wr_buf_str(&text), "{\"balanced\":true,\"epochs\":[{\"site\":\"riga\",\"node\":\"gw-1\",\"epoch\":\"" EPOCH "\""));
    assert_non_null(strstr(wr_buf_str(&text), "\"losses\":[{\"node\":\"gw-1\",\"reason\":\"late\""));
    wr_audit_fini(&audit);
    put("segment-b-000002.jsonl", "{\"node\":\"gw-9\",\"epoch\":\"" EPOCH "\",\"seq\":1,\"readings\":1}\n");
    wr_buf_clear(&text);
    assert_int_equal(wr_audit_files(directory, NULL, &audit, &err), WR_OK);
    assert_false(wr_audit_balances(&audit));
    assert_int_equal(wr_audit_print(&audit, &text), WR_OK);
    assert_non_null(strstr(wr_buf_str(&text), "-/gw-9:\n  epoch " EPOCH ": 1 segments, and no ledger record: CANNOT BE CHECKED\n"));
    wr_audit_fini(&audit);
    put("segment-b-000002.jsonl", "nonsense\n");
    assert_int_equal(wr_audit_files(directory, NULL, &audit, &err), WR_INVALID);
    assert_non_null(strstr(err.text, "segment-b-000002.jsonl:3"));
    wr_audit_fini(&audit);
    assert_int_equal(wr_audit_files("/nowhere", NULL, &audit, &err), WR_NOT_FOUND);
    wr_audit_fini(&audit);
    wr_buf_fini(&text);
}

/* The record of the last cut is here, its segment and the one before it are not; nor are those behind the first cut. */
static void holes_at_the_cuts(void **state) {
    struct wr_audit audit;
    struct wr_buf text;
    (void)state;
    put("gap-a-000001.jsonl", RECORD(1, 100, 1, "\"taken\":50,\"stored\":50,\"delivered\":50")
                                  RECORD(9, 200, 1, "\"taken\":150,\"stored\":150,\"delivered\":150"));
    put("segment-a-000001.jsonl", SEGMENT(3, 10) SEGMENT(4, 10) SEGMENT(6, 10) SEGMENT(7, 10) SEGMENT(11, 5));
    wr_audit_init(&audit);
    wr_buf_init(&text, 0);
    assert_int_equal(wr_audit_files(directory, NULL, &audit, &err), WR_OK);
    assert_int_equal(wr_audit_print(&audit, &text), WR_OK);
    assert_non_null(strstr(wr_buf_str(&text), "; not here: segments 1 to 2, 5 to 5, 8 to 9\n"));
    wr_audit_fini(&audit);
    wr_buf_fini(&text);
}

#define BOOT_1970(epoch, quality, time, taken)                                                                                             \
    "{\"site\":\"riga\",\"node\":\"gw-1\"," quality "\"record\":\"gap\",\"cut\":1,\"epoch\":\"c0ffee000000000" #epoch                      \
    "\",\"time_ns\":" #time ",\"of\":1,\"ledger\":[{\"source\":\"floor\",\"window\":\"m1\",\"books\":{\"taken\":" #taken "}}]}\n"
#define UNTRUSTED "\"time_quality\":\"untrusted\","

/* The store broke, and then the machine was started without a clock: the newest books are those of 1970. */
static void the_newest_epoch(void **state) {
    static const uint64_t order[] = {5, 2, 1, 4, 3};
    struct wr_audit audit;
    struct wr_buf text;
    (void)state;
    put("gap-a-000001.jsonl",
        BOOT_1970(3, UNTRUSTED, 7000000000, 90) BOOT_1970(1, "", 1000000000000000000, 80) BOOT_1970(2, "", 900000000000000000, 70)
            BOOT_1970(4, "\"time_quality\":\"corrected\",", 1100000000000000000, 85) BOOT_1970(5, UNTRUSTED, 9000000000, 10));
    wr_audit_init(&audit);
    wr_buf_init(&text, 0);
    assert_int_equal(wr_audit_files(directory, NULL, &audit, &err), WR_OK);
    assert_int_equal(audit.n, 5);
    for (size_t i = 0; i < 5; i++)
        assert_true(audit.epochs[i].epoch == UINT64_C(0xc0ffee0000000000) + order[i]);
    assert_int_equal(wr_audit_print(&audit, &text), WR_OK);
    assert_non_null(strstr(wr_buf_str(&text), "riga/gw-1: took 90 "));
    wr_audit_fini(&audit);
    wr_buf_fini(&text);
}

/* Receivers go on while their files are read: what they wrote and finished since the key log was read is for the next audit. */
static void as_of_the_key_log(void **state) {
    static const char record[] = RECORD(1, 100, 1, "\"taken\":50");
    static const char segment[] = SEGMENT(1, 0);
    const struct wr_key_file files[] = {{.instance = "a", .kind = WR_MESSAGE_GAP, .number = 2, .length = sizeof record - 1},
                                        {.instance = "a", .kind = WR_MESSAGE_LIST, .number = 7, .length = sizeof segment - 1}};
    char keys[100];
    struct wr_key_log log;
    struct wr_audit audit;
    (void)state;
    snprintf(keys, sizeof keys, "%s/.keys", directory);
    assert_int_equal(wr_key_log_open(&log, keys, &err), WR_OK);
    assert_int_equal(wr_key_log_lock(&log, &err), WR_OK);
    assert_int_equal(wr_key_log_commit(&log, NULL, 0, files, 2, &err), WR_OK);
    wr_key_log_unlock(&log);
    wr_key_log_close(&log);
    put("gap-a-000001.jsonl", LATE(5, 8, 2));
    put("gap-a-000002.jsonl", record);
    put("gap-a-000002.jsonl", RECORD(6, 200, 1, "\"taken\":160,\"stored\":150,\"delivered\":150"));
    put("gap-a-000003.jsonl", RECORD(9, 300, 1, "\"taken\":260,\"stored\":250,\"delivered\":250"));
    put("gap-a-1-000009.jsonl", LATE(5, 8, 3)); /* instance a-1, of which the key log knows nothing */
    put("segment-a-000007.jsonl.part", segment);
    put("segment-a-000007.jsonl.part", "half a li");
    wr_audit_init(&audit);
    assert_int_equal(wr_audit_files(directory, NULL, &audit, &err), WR_OK);
    assert_true(wr_audit_balances(&audit));
    assert_int_equal(audit.n, 1);
    assert_int_equal(audit.epochs[0].last_cut, 1);
    assert_int_equal(audit.losses[0].readings, 5);
    wr_audit_fini(&audit);
}

static void no_memory_is_said(void **state) {
    (void)state;
    write_files();
    long n = 0;
    for (;; n++) {
        struct wr_audit audit;
        wr_audit_init(&audit);
        wr_failing_allocations(n);
        const enum wr_result result = wr_audit_files(directory, NULL, &audit, &err);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        if (hit && result == WR_OK)
            assert_int_equal(audit.n, 1); /* one that the C library can do without */
        else
            assert_true(hit ? result == WR_NO_MEMORY || result == WR_IO : result == WR_OK);
        wr_audit_fini(&audit);
        if (!hit)
            break;
    }
    assert_true(n > 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_verdict),
        cmocka_unit_test(merged_and_recovered),
        cmocka_unit_test(expired),
        cmocka_unit_test_setup_teardown(from_files, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(holes_at_the_cuts, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(the_newest_epoch, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(as_of_the_key_log, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(no_memory_is_said, make_directory, remove_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
