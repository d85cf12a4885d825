/* What weir-receive writes: lines of each format, with all that needs an escape; the quarantine; the loop with sinks that fail. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/receive/members.h"
#include "agent/receive/render.h"
#include "core/log.h"
#include "tests/support/failing.h"
#include "tests/support/receive_bed.h"

static struct wr_error err;

/* -- lines ----------------------------------------------------------------------------------------------------------------------------------- */

static enum wr_time_quality quality; /* of the next message */

static struct wr_message_origin origin_of(enum wr_message_kind kind) {
    struct wr_message_origin origin = {.site = "riga",
                                       .kind = kind,
                                       .key = {.epoch = 1, .seq = 2, .node = "gw-1"},
                                       .t0_ns = 7,
                                       .t1_ns = 9,
                                       .arrival_ns = 8,
                                       .time_quality = quality};
    return origin;
}

static void renders(enum wr_render_format format, const struct wr_aggregate *aggregate, const char *expected) {
    const struct wr_message_origin origin = origin_of(WR_MESSAGE_AGG);
    struct wr_render render;
    struct wr_buf line;
    wr_buf_init(&line, 0);
    wr_render_begin(&render, format, &line, &origin);
    assert_int_equal(wr_render_aggregate(&render, aggregate), WR_OK);
    assert_string_equal(wr_buf_str(&line), expected);
    wr_buf_fini(&line);
}

static void renders_text(enum wr_render_format format, enum wr_message_kind kind, const char *json, const char *expected) {
    const struct wr_message_origin origin = origin_of(kind);
    struct wr_render render;
    struct wr_buf line;
    wr_buf_init(&line, 0);
    wr_render_begin(&render, format, &line, &origin);
    assert_int_equal(wr_render_text(&render, json, strlen(json)), expected ? WR_OK : WR_INVALID);
    if (expected)
        assert_string_equal(wr_buf_str(&line), expected);
    wr_buf_fini(&line);
}

static void test_aggregates(void **state) {
    (void)state;
    static const char key[] = "a,\"b\"\0temp\0k\0x,y=z";
    struct wr_aggregate numbers = {.key = key,
                                   .key_len = sizeof key,
                                   .type = WR_TYPE_INT,
                                   .start_ns = 60,
                                   .window_ns = 60000000000,
                                   .n = 2,
                                   .bad = 1,
                                   .sum = wr_sum_zero(),
                                   .min.i = -1,
                                   .max.i = INT64_MAX,
                                   .first.i = -1,
                                   .last.i = INT64_MAX};
    wr_sum_add(&numbers.sum, WR_TYPE_INT, numbers.max, 0);
    wr_sum_add(&numbers.sum, WR_TYPE_INT, numbers.max, 0);
    renders(
        WR_RENDER_JSON, &numbers,
        "{\"site\":\"riga\",\"node\":\"gw-1\",\"measurement\":\"a,\\\"b\\\"\",\"field\":\"temp\",\"tags\":{\"k\":\"x,y=z\"},\"time_ns\":60,"
        "\"window_ns\":60000000000,\"n\":2,\"sum\":18446744073709551614,\"min\":-1,\"max\":9223372036854775807,\"first\":-1,"
        "\"last\":9223372036854775807,\"bad\":1}\n");
    renders(WR_RENDER_CSV, &numbers,
            "60,riga,gw-1,\"a,\"\"b\"\"\",temp,\"k=x\\,y\\=z\",60000000000,2,18446744073709551614,-1,9223372036854775807,-1,"
            "9223372036854775807,1,\n");
    struct wr_aggregate text = {.key = key,
                                .key_len = sizeof key,
                                .type = WR_TYPE_SYMBOL,
                                .start_ns = 5,
                                .n = 1,
                                .sum = wr_sum_zero(),
                                .first_text = "",
                                .last_text = "a\nb"};
    renders(WR_RENDER_CSV, &text, "5,riga,gw-1,\"a,\"\"b\"\"\",temp,\"k=x\\,y\\=z\",0,1,,,,,\"a\nb\",0,\n");
    text.n = 0;
    text.bad = 3;
    renders(WR_RENDER_CSV, &text, "5,riga,gw-1,\"a,\"\"b\"\"\",temp,\"k=x\\,y\\=z\",0,0,,,,,,3,\n");
    assert_string_equal(wr_render_header(WR_RENDER_CSV, WR_MESSAGE_EVENT),
                        "time_ns,site,node,measurement,field,tags,window_ns,n,sum,min,max,first,last,bad,time_quality\n");
    assert_string_equal(wr_render_header(WR_RENDER_JSON, WR_MESSAGE_AGG), "");
}

static void test_texts(void **state) {
    (void)state;
    static const char alarm[] =
        "{\"alarm\":\"hot{room=A 1}\",\"id\":\"0f\",\"transition\":3,\"rule\":\"hot\",\"instance\":\"room=A 1\",\"from\":\"normal\","
        "\"to\":\"unack\",\"time_ns\":5,\"event_ns\":4,\"value\":9.5,\"message\":\"say \\\"no\\\", \\ud800\\n\\u00b0\"}";
    renders_text(WR_RENDER_JSON, WR_MESSAGE_GAP, "{}", "{\"site\":\"riga\",\"node\":\"gw-1\",\"record\":\"gap\"}\n");
    renders_text(WR_RENDER_JSON, WR_MESSAGE_STATE, "{\"state\":\"online\"}",
                 "{\"site\":\"riga\",\"node\":\"gw-1\",\"record\":\"state\",\"state\":\"online\"}\n");
    renders_text(WR_RENDER_CSV, WR_MESSAGE_GAP, "{\"reason\":\"crash\"}", "riga,gw-1,7,9,crash,,\"{\"\"reason\"\":\"\"crash\"\"}\"\n");
    renders_text(WR_RENDER_CSV, WR_MESSAGE_STATE, "{\"state\":\"offline\",\"cause\":null}",
                 "riga,gw-1,8,,offline,,,\"{\"\"state\"\":\"\"offline\"\",\"\"cause\"\":null}\"\n");
    renders_text(
        WR_RENDER_LINE, WR_MESSAGE_ALARM, alarm,
        "weir_alarm,site=riga,node=gw-1,rule=hot,instance=room\\=A\\ 1 from=\"normal\",to=\"unack\",value=9.5,message=\"say \\\"no\\\", "
        "\xEF\xBF\xBD \xC2\xB0\" 5\n");
    renders_text(WR_RENDER_LINE, WR_MESSAGE_GAP, "{\"reason\":\"crash\"}", "weir_gap,site=riga,node=gw-1 reason=\"crash\" 7\n");
    renders_text(WR_RENDER_LINE, WR_MESSAGE_GAP, "{\"other\":1}", NULL);
    renders_text(
        WR_RENDER_LINE, WR_MESSAGE_GAP,
        "{\"cut\":1,\"epoch\":\"00000000000000aa\",\"time_ns\":5,\"of\":2,\"ledger\":[{\"source\":\"a b\",\"window\":\"m1\",\"books\":"
        "{\"taken\":9,\"dropped(late)\":1}},{\"source\":\"s\",\"window\":\"none\",\"books\":{}}]}",
        "weir_ledger,site=riga,node=gw-1,source=a\\ b,window=m1 taken=9i,dropped(late)=1i 5\n"
        "weir_ledger,site=riga,node=gw-1,source=s,window=none taken=0i 5\n");
}

/* Where nobody knew the time, each row says so. What was corrected is marked where that costs nothing. */
static void test_time_quality(void **state) {
    (void)state;
    static const char key[] = "m\0value";
    const struct wr_aggregate change = {
        .key = key, .key_len = sizeof key, .type = WR_TYPE_BOOL, .start_ns = 5, .bad = 1, .sum = wr_sum_zero()};
    quality = WR_TIME_UNTRUSTED;
    renders(WR_RENDER_JSON, &change,
            "{\"site\":\"riga\",\"node\":\"gw-1\",\"time_quality\":\"untrusted\",\"measurement\":\"m\",\"field\":\"value\",\"tags\":{},"
            "\"time_ns\":5,"
            "\"window_ns\":0,\"n\":0,\"sum\":null,\"min\":null,\"max\":null,\"first\":null,\"last\":null,\"bad\":1}\n");
    renders(WR_RENDER_CSV, &change, "5,riga,gw-1,m,value,,0,0,,,,,,1,untrusted\n");
    renders(WR_RENDER_LINE, &change, "m,node=gw-1,site=riga,time_quality=untrusted n=0i,bad=1i 5\n");
    renders_text(WR_RENDER_JSON, WR_MESSAGE_GAP, "{\"reason\":\"late\"}",
                 "{\"site\":\"riga\",\"node\":\"gw-1\",\"time_quality\":\"untrusted\",\"record\":\"gap\",\"reason\":\"late\"}\n");
    renders_text(WR_RENDER_CSV, WR_MESSAGE_ALARM, "{\"alarm\":\"hot\"}",
                 "riga,gw-1,,,hot,,,,,,,,,,,,,untrusted,\"{\"\"alarm\"\":\"\"hot\"\"}\"\n");
    renders_text(WR_RENDER_LINE, WR_MESSAGE_GAP, "{\"reason\":\"late\"}",
                 "weir_gap,site=riga,node=gw-1,time_quality=untrusted reason=\"late\" 7\n");
    quality = WR_TIME_CORRECTED;
    renders(WR_RENDER_CSV, &change, "5,riga,gw-1,m,value,,0,0,,,,,,1,corrected\n");
    renders(WR_RENDER_LINE, &change, "m,node=gw-1,site=riga n=0i,bad=1i 5\n");
    quality = WR_TIME_TRUSTED;
}

static void test_members(void **state) {
    (void)state;
    static const char json[] = "{\"a\":1,\"b\":null,\"c\":\"x\",\"d\":1.5,\"e\":1e999}";
    struct wr_word value;
    double number;
    assert_true(wr_members_find(json, sizeof json - 1, "c", &value) && value.len == 3);
    assert_false(wr_members_find(json, sizeof json - 1, "b", &value) || wr_members_find(json, sizeof json - 1, "f", &value));
    assert_int_equal(wr_members_int(json, sizeof json - 1, "a", 7), 1);
    assert_int_equal(wr_members_int(json, sizeof json - 1, "d", 7), 7);
    assert_true(wr_members_number(json, sizeof json - 1, "d", &number) && number > 1.4);
    assert_false(wr_members_number(json, sizeof json - 1, "e", &number) || wr_members_number(json, sizeof json - 1, "c", &number));
    struct wr_buf text;
    wr_buf_init(&text, 0);
    assert_int_equal(wr_members_utf8(&text, "a\0\xff\xC3\xA4\xC3", 6), WR_OK);
    assert_string_equal(wr_buf_str(&text), "a\xEF\xBF\xBD\xEF\xBF\xBD\xC3\xA4\xEF\xBF\xBD");
    wr_buf_fini(&text);
}

/* -- the quarantine -------------------------------------------------------------------------------------------------------------------------------- */

static char directory[64];

static int make_directory(void **state) {
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/weir-output-XXXXXX");
    return mkdtemp(directory) ? 0 : 1;
}

static int remove_directory(void **state) {
    char command[100];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    return system(command);
}

static unsigned files_in(const char *path) {
    unsigned n = 0;
    DIR *listing = opendir(path);
    for (const struct dirent *entry; listing && (entry = readdir(listing)) != NULL;)
        n += entry->d_name[0] != '.';
    if (listing)
        closedir(listing);
    return n;
}

static const struct wr_subscriber_message poison = {.topic = {"t", 1}, .payload = {"\0\xff", 2}, .content_type = {"x/y", 3}};

static void test_quarantine(void **state) {
    (void)state;
    char path[100];
    struct wr_quarantine quarantine;
    snprintf(path, sizeof path, "%s/aside", directory);
    assert_int_equal(wr_quarantine_open(&quarantine, path, 4000, &err), WR_OK);
    assert_int_equal(files_in(path), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(wr_quarantine_keep(&quarantine, &poison, "because", &err), WR_OK);
    assert_int_equal(files_in(path), 2); /* what comes again is there */
    struct wr_subscriber_message large = poison;
    static char bytes[4000];
    large.payload = (struct wr_word){bytes, sizeof bytes};
    assert_int_equal(wr_quarantine_keep(&quarantine, &large, "because", &err), WR_FULL);
    assert_non_null(strstr(err.text, "quarantine_max"));
    wr_quarantine_close(&quarantine);
}

enum { INSTANCES = 4, KEPT = 15 };

/* In a process of its own: messages of sizes that no other has. */
static int keep_many(const char *path, size_t instance) {
    static char bytes[INSTANCES * KEPT];
    struct wr_quarantine quarantine;
    if (wr_quarantine_open(&quarantine, path, 1 << 20, &err) != WR_OK)
        return 1;
    for (size_t i = 0; i < KEPT; i++) {
        struct wr_subscriber_message message = poison;
        message.payload = (struct wr_word){bytes, i * INSTANCES + instance};
        if (wr_quarantine_keep(&quarantine, &message, "because", &err) != WR_OK)
            return 1;
    }
    wr_quarantine_close(&quarantine);
    return 0;
}

static void test_quarantine_of_several_instances(void **state) {
    (void)state;
    char path[100];
    char file[200];
    pid_t instances[INSTANCES];
    snprintf(path, sizeof path, "%s/shared", directory);
    for (size_t i = 0; i < INSTANCES; i++) {
        instances[i] = fork();
        if (instances[i] == 0)
            _exit(keep_many(path, i));
    }
    for (size_t i = 0; i < INSTANCES; i++) {
        int status;
        assert_int_equal(waitpid(instances[i], &status, 0), instances[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(files_in(path), 2 * INSTANCES * KEPT);
    DIR *listing = opendir(path);
    for (const struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        const char *size = strchr(entry->d_name, '-');
        struct stat status;
        if (!size || !strstr(size, ".payload"))
            continue;
        snprintf(file, sizeof file, "%s/%.90s", path, entry->d_name);
        assert_int_equal(stat(file, &status), 0);
        assert_int_equal(status.st_size, atol(size + 1)); /* its name says how long it is */
    }
    closedir(listing);
}

static void test_quarantine_without_memory_or_disk(void **state) {
    (void)state;
    for (int io = 0; io < 2; io++) {
        bool hit = true;
        for (long n = 0; hit; n++) {
            char path[100];
            struct wr_quarantine quarantine;
            snprintf(path, sizeof path, "%s/%d-%ld", directory, io, n);
            assert_int_equal(wr_quarantine_open(&quarantine, path, 1 << 20, &err), WR_OK);
            if (io)
                wr_failing_io(n, ENOSPC);
            else
                wr_failing_allocations(n);
            const enum wr_result result = wr_quarantine_keep(&quarantine, &poison, "because", &err);
            hit = wr_failing_hit();
            wr_failing_off();
            assert_true(result == WR_OK ? !hit : hit);
            assert_int_equal(wr_quarantine_keep(&quarantine, &poison, "because", &err), WR_OK);
            assert_int_equal(files_in(path), 2);
            wr_quarantine_close(&quarantine);
        }
    }
}

/* -- the loop ------------------------------------------------------------------------------------------------------------------------------------------ */

/* A sink that counts, and whose commit answers what the test says. */
struct fake {
    unsigned entries;
    unsigned commits;
    unsigned dropped;
    enum wr_result answers[8]; /* one a commit, then WR_OK */
    size_t poison;
    struct wr_receiver *receiver;
    unsigned stop_at; /* at this commit */
};

static enum wr_result fake_begin(void *self, const struct wr_message_origin *origin, struct wr_error *error) {
    struct fake *fake = self;
    (void)origin, (void)error;
    fake->entries++;
    return WR_OK;
}

static enum wr_result fake_aggregate(void *self, const struct wr_aggregate *aggregate, struct wr_error *error) {
    (void)self, (void)aggregate, (void)error;
    return WR_OK;
}

static enum wr_result fake_text(void *self, const char *json, size_t len, struct wr_error *error) {
    (void)self, (void)json, (void)len, (void)error;
    return WR_OK;
}

static void fake_end(void *self, bool keep) {
    (void)self, (void)keep;
}

static size_t fake_bytes(const void *self) {
    (void)self;
    return 0;
}

static enum wr_result fake_commit(void *self, size_t *ret_poison, struct wr_error *error) {
    struct fake *fake = self;
    const unsigned commit = fake->commits++;
    if (fake->stop_at == fake->commits)
        wr_receiver_stop(fake->receiver);
    const enum wr_result answer = commit < 8 ? fake->answers[commit] : WR_OK;
    if (answer == WR_CORRUPT)
        *ret_poison = fake->poison;
    return answer == WR_OK ? WR_OK : wr_error_set(error, answer, "as the test says");
}

static void fake_drop(void *self, size_t entry) {
    struct fake *fake = self;
    fake->dropped += entry == fake->poison;
}

static void fake_clear(void *self) {
    (void)self;
}

static const struct wr_receive_sink_ops fake_ops = {.begin = fake_begin,
                                                    .aggregate = fake_aggregate,
                                                    .text = fake_text,
                                                    .end = fake_end,
                                                    .bytes = fake_bytes,
                                                    .commit = fake_commit,
                                                    .drop = fake_drop,
                                                    .clear = fake_clear};

static enum wr_result run_loop(struct receive_bed *bed, struct fake *fake) {
    char path[100];
    struct wr_receiver receiver;
    snprintf(path, sizeof path, "%s/loop", directory);
    const struct wr_receiver_options options = {.feed = &receive_bed_feed,
                                                .feed_self = bed,
                                                .sink = {&fake_ops, fake},
                                                .prefix = "weir/1",
                                                .quarantine = path,
                                                .quarantine_max_bytes = 1 << 20,
                                                .batch_messages = 4,
                                                .batch_bytes = 1 << 20,
                                                .batch_delay_ns = WR_NS_PER_S,
                                                .retry_max_ns = WR_NS_PER_MS,
                                                .clock = wr_clock_real(),
                                                .stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    fake->receiver = &receiver;
    assert_int_equal(wr_receiver_init(&receiver, &options, &err), WR_OK);
    const enum wr_result result = wr_receiver_run(&receiver, &err);
    wr_receiver_fini(&receiver);
    close(options.stop_fd);
    return result;
}

static void start(struct receive_bed *bed) {
    struct wr_random none = {0};
    receive_bed_init(bed, 8, 1, 2);
    receive_bed_connect(bed, &none, 0);
}

static void test_a_sink_that_fails_is_tried_again(void **state) {
    (void)state;
    static struct receive_bed bed;
    struct fake fake = {.answers = {WR_IO, WR_FULL, WR_TIMEOUT, WR_DENIED, WR_OK, WR_BUSY}};
    start(&bed);
    assert_int_equal(run_loop(&bed, &fake), WR_CLOSED);
    assert_int_equal(fake.entries, 8);
    assert_true(fake.commits >= 7 && receive_bed_all_acknowledged(&bed));
    receive_bed_fini(&bed);
}

static void test_nothing_is_acknowledged_before_the_commit(void **state) {
    (void)state;
    static struct receive_bed bed;
    struct fake fake = {.answers = {WR_OK, WR_IO, WR_IO, WR_IO, WR_IO, WR_IO, WR_IO}, .stop_at = 5};
    start(&bed);
    assert_int_equal(run_loop(&bed, &fake), WR_OK); /* stopped: the second batch stays with the broker */
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(bed.acknowledged[i], i < 4);
    receive_bed_fini(&bed);
}

static void test_poison_that_only_the_sink_sees(void **state) {
    (void)state;
    static struct receive_bed bed;
    char path[100];
    struct fake fake = {.answers = {WR_CORRUPT}, .poison = 2};
    start(&bed);
    assert_int_equal(run_loop(&bed, &fake), WR_CLOSED);
    assert_int_equal(fake.dropped, 1);
    assert_true(receive_bed_all_acknowledged(&bed));
    snprintf(path, sizeof path, "%s/loop", directory);
    assert_int_equal(files_in(path), 2);
    receive_bed_fini(&bed);
}

static void test_what_can_never_work_ends_it(void **state) {
    (void)state;
    static const enum wr_result results[] = {WR_CORRUPT, WR_LIMIT, WR_CLOSED};
    for (size_t i = 0; i < 3; i++) {
        static struct receive_bed bed;
        struct fake fake = {.answers = {results[i]}, .poison = SIZE_MAX};
        start(&bed);
        assert_int_equal(run_loop(&bed, &fake), results[i]);
        assert_string_equal(err.text, "as the test says");
        assert_false(bed.acknowledged[0]);
        receive_bed_fini(&bed);
    }
}

int main(void) {
    wr_log_configure(WR_LOG_ERROR + 1, WR_LOG_LOGFMT, STDERR_FILENO);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aggregates),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_time_quality),
        cmocka_unit_test(test_members),
        cmocka_unit_test_setup_teardown(test_quarantine, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(test_quarantine_of_several_instances, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(test_quarantine_without_memory_or_disk, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(test_a_sink_that_fails_is_tried_again, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(test_nothing_is_acknowledged_before_the_commit, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(test_poison_that_only_the_sink_sees, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(test_what_can_never_work_ends_it, make_directory, remove_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
