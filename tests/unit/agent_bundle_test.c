/* Bundles: what is one and what is none, for whom it is; on disk at any call that fails or ends the process; at the hands of a rollout. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/remote/rollout.h"
#include "core/file.h"
#include "tests/support/failing.h"

#define TIMES "\"issued\":\"2026-03-02T08:00:00Z\",\"expires\":\"2026-03-03T08:00:00Z\""
#define HEAD "\"bundle\":7,\"key\":\"k\",\"nodes\":[\"gw-*\"],"
#define FILES "\"files\":[{\"name\":\"a.yaml\",\"text\":\"weir: 1\\n\"},{\"name\":\"t.csv\",\"text\":\"\"}]"
#define WHOLE "{" HEAD TIMES "," FILES "}"
#define MORNING_NS (INT64_C(1772438400) * WR_NS_PER_S) /* 2026-03-02T08:00:00Z */

static char store[] = "/tmp/weir-bundle-XXXXXX";
static struct wr_bundle *bundle;
static struct wr_bundle_files files;
static struct wr_error err;

static int set_up(void **state) {
    (void)state;
    bundle = wr_bundle_new();
    return bundle ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    char command[80];
    wr_failing_off();
    wr_bundle_free(bundle);
    snprintf(command, sizeof command, "rm -rf %s/bundles", store);
    return system(command); /* NOLINT(cert-env33-c) */
}

static int make_store(void **state) {
    (void)state;
    return mkdtemp(store) ? 0 : -1;
}

static int remove_store(void **state) {
    (void)state;
    return rmdir(store);
}

static enum wr_result read_text(const char *text) {
    wr_bundle_free(bundle);
    bundle = wr_bundle_new();
    memset(&err, 0, sizeof err);
    return wr_bundle_read(bundle, text, strlen(text), &err);
}

/* -- what it is ---------------------------------------------------------------------------------------------------------------------------- */

static void read_and_written(void **state) {
    (void)state;
    struct wr_buf text;
    assert_int_equal(read_text(" {" HEAD "\"site\":\"riga\",\"percent\":10," TIMES "," FILES "}\n"), WR_OK);
    for (int round = 0; round < 2; round++) {
        assert_true(bundle->version == 7 && bundle->percent == 10 && bundle->n_nodes == 1 && bundle->n_files == 2);
        assert_string_equal(bundle->key, "k");
        assert_string_equal(bundle->site, "riga");
        assert_string_equal(bundle->nodes[0], "gw-*");
        assert_string_equal(bundle->files[0].name, "a.yaml");
        assert_int_equal(bundle->files[0].len, 8);
        assert_memory_equal(bundle->texts.data, "weir: 1\n", 8);
        assert_int_equal(bundle->files[1].len, 0);
        assert_true(bundle->issued_wall_ns == MORNING_NS && bundle->expires_wall_ns == MORNING_NS + 86400 * WR_NS_PER_S);
        wr_buf_init(&text, 0);
        assert_int_equal(wr_bundle_write(bundle, &text), WR_OK);
        assert_true(wr_bundle_is(wr_buf_str(&text), text.len));
        assert_int_equal(read_text(wr_buf_str(&text)), WR_OK);
        wr_buf_fini(&text);
    }
    assert_false(wr_bundle_is("{\"command\":{\"bundle\":7}}", 24));
    assert_false(wr_bundle_is("[\"bundle\"]", 10));
    assert_false(wr_bundle_is("{\"bundle\":7", 11));
    assert_true(wr_bundle_is("{\"a\":[{}],\"bundle\":null}", 24)); /* a bad one: it is told so */
}

/* Written only where it is so: an agent that knows no shadow takes the others, and refuses these. */
static void for_the_shadow(void **state) {
    (void)state;
    struct wr_buf text;
    assert_int_equal(read_text(WHOLE), WR_OK);
    assert_false(bundle->shadow);
    assert_int_equal(read_text("{" HEAD "\"shadow\":false," TIMES "," FILES "}"), WR_OK);
    assert_false(bundle->shadow);
    wr_buf_init(&text, 0);
    assert_int_equal(wr_bundle_write(bundle, &text), WR_OK);
    assert_null(strstr(wr_buf_str(&text), "shadow"));
    wr_buf_fini(&text);
    assert_int_equal(read_text("{" HEAD "\"shadow\":true," TIMES ",\"files\":[]}"), WR_OK);
    for (int round = 0; round < 2; round++) {
        assert_true(bundle->shadow && bundle->n_files == 0);
        wr_buf_init(&text, 0);
        assert_int_equal(wr_bundle_write(bundle, &text), WR_OK);
        assert_int_equal(read_text(wr_buf_str(&text)), WR_OK);
        wr_buf_fini(&text);
    }
}

static void what_is_none(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        {"", "no JSON object"},
        {"[]", "no JSON object"},
        {WHOLE "x", "behind it"},
        {"{" HEAD TIMES "}", "files is missing"},
        {"{\"bundle\":7,\"nodes\":[\"a\"]," TIMES "," FILES "}", "key is missing"},
        {"{\"bundle\":7,\"key\":\"\",\"nodes\":[\"a\"]," TIMES "," FILES "}", "the key is empty"},
        {"{\"bundle\":7,\"key\":\"k\",\"nodes\":[]," TIMES "," FILES "}", "nodes is empty"},
        {"{\"bundle\":7,\"key\":\"k\",\"nodes\":\"a\"," TIMES "," FILES "}", "a list of names"},
        {"{\"bundle\":7,\"key\":\"k\",\"nodes\":[\"a b\"]," TIMES "," FILES "}", "no node's name"},
        {"{\"bundle\":7,\"key\":\"k\",\"nodes\":[\"[a]\"]," TIMES "," FILES "}", "no node's name"},
        {"{\"bundle\":7,\"key\":\"k\",\"nodes\":[{}]," TIMES "," FILES "}", "nodes takes a text"},
        {"{\"bundle\":0,\"key\":\"k\"}", "bundle takes a whole number from 1"},
        {"{\"bundle\":-1}", "bundle takes a whole number"},
        {"{\"bundle\":1.5}", "bundle takes a whole number"},
        {"{\"bundle\":\"7\"}", "bundle takes a whole number"},
        {"{\"bundle\":1000000000000000}", "bundle takes a whole number"},
        {"{\"bundle\":18446744073709551617}", "bundle takes a whole number"},
        {"{\"bundle\":7,\"bundle\":8}", "bundle stands there twice"},
        {"{\"bundle\":7,\"percent\":0}", "percent takes a whole number from 1 to 100"},
        {"{\"bundle\":7,\"percent\":101}", "percent takes a whole number from 1 to 100"},
        {"{\"bundle\":7,\"shadow\":1}", "shadow takes true or false"},
        {"{\"bundle\":7,\"shadow\":\"true\"}", "shadow takes true or false"},
        {"{\"bundle\":7,\"shadow\":true,\"shadow\":true}", "shadow stands there twice"},
        {"{\"bundle\":7,\"more\":1}", "'more' is no member"},
        {"{\"issued\":\"soon\"}", "issued takes a time"},
        {"{" HEAD "\"issued\":\"2026-03-02T08:00:00Z\",\"expires\":\"2026-03-02T08:00:00Z\"," FILES "}", "not behind issued"},
        {"{" HEAD "\"issued\":\"2026-03-02T08:00:00Z\",\"expires\":\"2026-04-02T08:00:00Z\"," FILES "}", "more than 30 days"},
        {"{\"files\":{}}", "files takes a list"},
        {"{\"files\":[1]}", "files takes objects"},
        {"{\"files\":[{\"name\":\"a.yaml\"}]}", "without a text"},
        {"{\"files\":[{\"text\":\"\"}]}", "no name of a file"},
        {"{\"files\":[{\"name\":\"a.yaml\",\"text\":1}]}", "a name and a text in quotes"},
        {"{\"files\":[{\"name\":\"a.yaml\",\"text\":\"\",\"mode\":7}]}", "a name and a text in quotes"},
        {"{\"files\":[{\"name\":\"a.yaml\",\"text\":\"\\u0000\"}]}", "a NUL"},
        {"{\"files\":[{\"name\":\"a.yaml\",\"text\":\"\\ud800\"}]}", "half of a surrogate pair"},
        {"{\"files\":[{\"name\":\"a.yaml\",\"text\":\"\"},{\"name\":\"a.yaml\",\"text\":\"\"}]}", "there twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (read_text(cases[i].text) != WR_INVALID && err.code != WR_EXISTS)
            fail_msg("%s: taken", cases[i].text);
        else if (!strstr(err.text, cases[i].words))
            fail_msg("%s: %s", cases[i].text, err.text);
    static const char *const names[] = {"",        ".yaml",   "a",        "a.yml",   "../a.yaml",     "a/b.yaml", "/a.yaml",
                                        ".a.yaml", "a.yaml/", "a b.yaml", "a.yaml ", "\xc3\xa9.yaml", "a.csv.txt"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (wr_bundle_add_file(bundle, names[i], "", 0, &err) != WR_INVALID)
            fail_msg("%s: taken", names[i]);
    for (size_t cut = 0; cut < sizeof WHOLE - 1; cut++) {
        char text[sizeof WHOLE] = WHOLE;
        text[cut] = '\0';
        assert_int_equal(read_text(text), WR_INVALID);
        assert_false(wr_bundle_is(text, cut));
    }
}

static void limits(void **state) {
    (void)state;
    char name[70];
    for (int i = 0; i <= WR_BUNDLE_FILES; i++) {
        snprintf(name, sizeof name, "f%d.csv", i);
        assert_int_equal(wr_bundle_add_file(bundle, name, "x", 1, &err), i < WR_BUNDLE_FILES ? WR_OK : WR_LIMIT);
    }
    for (int i = 0; i <= WR_BUNDLE_NODES; i++)
        assert_int_equal(wr_bundle_add_node(bundle, "n", &err), i < WR_BUNDLE_NODES ? WR_OK : WR_LIMIT);
    memset(name, 'a', 65);
    memcpy(name + 60, ".yaml", 6);
    assert_int_equal(wr_bundle_add_file(bundle, name, "", 0, &err), WR_INVALID);
}

static void for_whom_it_is(void **state) {
    (void)state;
    struct wr_now now = {.wall_ns = MORNING_NS, .wall_trusted = true};
    assert_int_equal(read_text(WHOLE), WR_OK);
    assert_int_equal(wr_bundle_flaw(bundle, "gw-7", "riga", &now, &err), WR_REMOTE_DONE);
    assert_int_equal(wr_bundle_flaw(bundle, "gw-7", "", &now, &err), WR_REMOTE_DONE);
    assert_int_equal(wr_bundle_flaw(bundle, "gw", "riga", &now, &err), WR_REMOTE_ELSEWHERE);
    assert_int_equal(wr_bundle_flaw(bundle, "a-gw-7", "riga", &now, &err), WR_REMOTE_ELSEWHERE);
    memcpy(bundle->site, "riga", 5);
    assert_int_equal(wr_bundle_flaw(bundle, "gw-7", "riga", &now, &err), WR_REMOTE_DONE);
    assert_int_equal(wr_bundle_flaw(bundle, "gw-7", "-", &now, &err), WR_REMOTE_ELSEWHERE);
    now.wall_ns = bundle->expires_wall_ns;
    assert_int_equal(wr_bundle_flaw(bundle, "gw-7", "riga", &now, &err), WR_REMOTE_EXPIRED);
    now.wall_ns = bundle->issued_wall_ns - 61 * WR_NS_PER_S;
    assert_int_equal(wr_bundle_flaw(bundle, "gw-7", "riga", &now, &err), WR_REMOTE_AHEAD);
    now.wall_trusted = false;
    assert_int_equal(wr_bundle_flaw(bundle, "gw-7", "riga", &now, &err), WR_REMOTE_CLOCK);
}

/* A tenth takes what is for ten percent, the same with each bundle, and more with each percent. */
static void a_percentage_of_the_nodes(void **state) {
    (void)state;
    unsigned chosen[101] = {0};
    for (int i = 0; i < 1000; i++) {
        char node[16];
        snprintf(node, sizeof node, "gw-%d", i);
        assert_true(wr_bundle_share(node) < 100);
        for (uint32_t percent = 1; percent <= 100; percent++)
            chosen[percent] += wr_bundle_share(node) < percent;
    }
    assert_true(chosen[10] > 60 && chosen[10] < 140 && chosen[50] > 420 && chosen[50] < 580 && chosen[100] == 1000);
}

static void no_memory(void **state) {
    (void)state;
    for (int writes = 0; writes < 2; writes++)
        for (long n = 0;; n++) {
            struct wr_buf text;
            assert_int_equal(read_text(WHOLE), WR_OK);
            struct wr_bundle *other = wr_bundle_new();
            wr_buf_init(&text, 0);
            wr_failing_allocations(n);
            const enum wr_result result = writes ? wr_bundle_write(bundle, &text) : wr_bundle_read(other, WHOLE, sizeof WHOLE - 1, &err);
            const bool hit = wr_failing_hit();
            wr_failing_off();
            wr_bundle_free(other);
            wr_buf_fini(&text);
            assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
            if (!hit)
                break;
        }
}

/* -- on disk ------------------------------------------------------------------------------------------------------------------------------- */

static void name_version(uint64_t version) {
    char text[32];
    wr_bundle_free(bundle);
    bundle = wr_bundle_new();
    bundle->version = version;
    snprintf(text, sizeof text, "version %" PRIu64, version);
    assert_int_equal(wr_bundle_add_file(bundle, "a.yaml", text, strlen(text), NULL), WR_OK);
    assert_int_equal(wr_bundle_add_file(bundle, "b.csv", "", 0, NULL), WR_OK);
}

static enum wr_result put(uint64_t version) {
    char path[PATH_MAX];
    name_version(version);
    WR_TRY(wr_bundle_files_stage(&files, bundle, path, &err));
    return wr_bundle_files_begin(&files, version, 3, &err);
}

static void open_files(void) {
    memset(&err, 0, sizeof err);
    if (wr_bundle_files_open(&files, store, &err) != WR_OK)
        fail_msg("%s", err.text);
}

/* The version that the agent would find; 0: none. */
static uint64_t in_force(void) {
    char path[128], text[32] = "";
    struct wr_buf read;
    uint64_t version = 0;
    snprintf(path, sizeof path, "%s/" WR_BUNDLES_CURRENT "/a.yaml", store);
    wr_buf_init(&read, 0);
    if (wr_file_read(path, 100, &read, NULL) == WR_OK) {
        snprintf(text, sizeof text, "%s", wr_buf_str(&read));
        assert_int_equal(sscanf(text, "version %" SCNu64, &version), 1);
        snprintf(path, sizeof path, "%s/" WR_BUNDLES_CURRENT "/b.csv", store);
        assert_int_equal(access(path, F_OK), 0); /* whole */
    }
    wr_buf_fini(&read);
    return version;
}

static void versions_come_and_go(void **state) {
    (void)state;
    open_files();
    assert_true(files.highest == 0 && files.current == 0 && in_force() == 0);
    assert_int_equal(put(3), WR_OK);
    assert_int_equal(in_force(), 3);
    open_files();
    assert_true(files.highest == 3 && files.current == 3 && files.previous == 0 && files.trial == 3 && files.trial_alarms == 3);
    assert_int_equal(wr_bundle_files_roll_back(&files, &err), WR_OK);
    assert_int_equal(in_force(), 0);
    assert_int_equal(put(4), WR_OK);
    assert_int_equal(wr_bundle_files_keep(&files, &err), WR_OK);
    assert_int_equal(put(5), WR_OK);
    assert_int_equal(put(6), WR_OK); /* in place of one that was never kept */
    open_files();
    assert_true(files.highest == 6 && files.current == 6 && files.previous == 4 && files.trial == 6);
    assert_int_equal(wr_bundle_files_roll_back(&files, &err), WR_OK);
    assert_int_equal(in_force(), 4);
    char command[200];
    snprintf(command, sizeof command, "test \"$(ls %s/bundles | tr '\\n' ' ')\" = '4 current highest previous '", store);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
}

static void numbers_that_are_none(void **state) {
    (void)state;
    static const char *const texts[] = {"x", "-1", "1.", "1.2.3", " 1", "1 ", "99999999999999999999", "1000000000000000", "../1"};
    char path[128], folder[64];
    snprintf(folder, sizeof folder, "%s/bundles", store);
    snprintf(path, sizeof path, "%s/current", folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(symlink(texts[i], path), 0);
        assert_int_equal(wr_bundle_files_open(&files, store, &err), WR_CORRUPT);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0600)), 0); /* no link at all */
    assert_int_equal(wr_bundle_files_open(&files, store, &err), WR_IO);
}

/* Version 1 is kept; 2 is on its way and back, or to be kept. */
static void begin_life(void) {
    (void)tear_down(NULL);
    bundle = NULL;
    open_files();
    assert_int_equal(put(1), WR_OK);
    assert_int_equal(wr_bundle_files_keep(&files, &err), WR_OK);
}

static enum wr_result live(bool keep) {
    WR_TRY(put(2));
    return keep ? wr_bundle_files_keep(&files, &err) : wr_bundle_files_roll_back(&files, &err);
}

/* Wherever it ends: one of both is in force, whole; a start puts in order what was interrupted; highest does not fall. */
static void it_ends_at_any_call(void **state) {
    (void)state;
    for (int keep = 0; keep < 2; keep++)
        for (long n = 0;; n++) {
            int status;
            bool rolled_back;
            begin_life();
            const pid_t child = fork();
            if (child == 0) {
                wr_failing_crash(n);
                _exit(live(keep) == WR_OK ? 0 : 1);
            }
            assert_int_equal(waitpid(child, &status, 0), child);
            assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == WR_FAILING_CRASHED));
            const uint64_t found = in_force();
            assert_true(found == 1 || found == 2);
            assert_int_equal(wr_rollout_boot(store, &rolled_back, &err), WR_OK);
            assert_false(rolled_back);
            open_files();
            assert_true(in_force() == found && files.current == found && (files.trial == 0 || files.trial == files.current));
            assert_true(found == 1 || files.highest == 2);
            if (WEXITSTATUS(status) == 0)
                break;
        }
}

static void any_call_fails(void **state) {
    (void)state;
    for (int keep = 0; keep < 2; keep++)
        for (long n = 0;; n++) {
            begin_life();
            wr_failing_io(n, ENOSPC);
            const enum wr_result result = live(keep);
            const bool hit = wr_failing_hit();
            wr_failing_off();
            const uint64_t found = in_force(), highest = files.highest;
            assert_true(found == 1 || found == 2);
            assert_int_equal(result, hit ? WR_IO : WR_OK);
            open_files();
            assert_true(files.highest >= highest && files.current == found);
            if (!hit)
                break;
        }
}

/* A shadow comes, and another in its place: at any call that fails one of both is there, whole, or none; what is in force is never touched. */
static enum wr_result live_in_shadow(void) {
    char path[PATH_MAX];
    for (uint64_t version = 7; version <= 8; version++) {
        name_version(version);
        WR_TRY(wr_bundle_files_stage_shadow(&files, bundle, path, &err));
        WR_TRY(wr_bundle_files_begin_shadow(&files, version, &err));
    }
    WR_TRY(wr_bundle_files_shadow_starts(&files, 1, &err));
    return wr_bundle_files_end_shadow(&files, 9, &err);
}

static void any_call_of_a_shadow_fails(void **state) {
    (void)state;
    for (long n = 0;; n++) {
        char path[128];
        begin_life();
        wr_failing_io(n, ENOSPC);
        const enum wr_result result = live_in_shadow();
        const bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_IO : WR_OK);
        const struct wr_bundle_files known = files;
        open_files();
        assert_true(in_force() == 1 && files.highest == 1 && files.current == 1);
        assert_true(files.shadow_highest >= known.shadow_highest && (files.shadow == 0 || files.shadow == 7 || files.shadow == 8));
        snprintf(path, sizeof path, "%s/" WR_BUNDLES_SHADOW "/b.csv", store);
        assert_int_equal(access(path, F_OK) == 0, files.shadow != 0);
        wr_bundle_files_sweep_shadows(&files);
        assert_int_equal(access(path, F_OK) == 0, files.shadow != 0);
        if (hit)
            continue;
        assert_true(files.shadow == 0 && files.shadow_highest == 9 && files.shadow_starts == 0);
        char command[200];
        snprintf(command, sizeof command, "test \"$(ls %s/bundles | tr '\\n' ' ')\" = '1 current highest shadow-highest '", store);
        assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
        break;
    }
}

/* -- a rollout ----------------------------------------------------------------------------------------------------------------------------- */

static struct wr_rollout rollout;
static struct wr_rollout_health healthy;
static enum wr_result checks, reloads;
static uint64_t loaded; /* what the agent has */

static enum wr_result check_it(void *user, const char *directory, struct wr_error *why) {
    (void)user;
    assert_non_null(strstr(directory, "/bundles/"));
    return checks == WR_OK ? WR_OK : wr_error_set(why, checks, "bad rules");
}

static enum wr_result reload_it(void *user, struct wr_context *context, struct wr_error *why) {
    (void)user, (void)context;
    if (reloads != WR_OK)
        return wr_error_set(why, reloads, "refused");
    loaded = in_force();
    return WR_OK;
}

static void look_at_it(void *user, struct wr_rollout_health *ret_health) {
    (void)user;
    *ret_health = healthy;
}

static void start(int64_t now_ns) {
    static const struct wr_rollout_ops ops = {.check = check_it, .reload = reload_it, .health = look_at_it};
    bool rolled_back;
    assert_int_equal(wr_rollout_boot(store, &rolled_back, &err), WR_OK);
    memset(&rollout, 0, sizeof rollout);
    assert_int_equal(wr_rollout_init(&rollout, &ops, store, 300 * WR_NS_PER_S, now_ns, &err), WR_OK);
    loaded = in_force();
}

static enum wr_remote_outcome take(uint64_t version) {
    name_version(version);
    snprintf(bundle->key, sizeof bundle->key, "k%" PRIu64, version);
    memset(&err, 0, sizeof err);
    return wr_rollout_take(&rollout, bundle, NULL, wr_clock_real(), &err);
}

static int begin_rollout(void **state) {
    healthy = (struct wr_rollout_health){.alarms = 2, .errors = 100};
    checks = reloads = WR_OK;
    start(0);
    return set_up(state);
}

static enum wr_rollout_news look(int64_t now_ns, uint64_t *ret_version) {
    return wr_rollout_look(&rollout, NULL, now_ns, ret_version);
}

static void kept_after_the_window(void **state) {
    (void)state;
    uint64_t version;
    assert_int_equal(wr_rollout_next_ns(&rollout, 5), WR_NEVER_NS);
    assert_int_equal(take(1), WR_REMOTE_DONE);
    const int64_t ends_ns = rollout.ends_boot_ns;
    assert_true(loaded == 1 && rollout.shown_version == 1 && rollout.shown_trial);
    assert_true(wr_rollout_next_ns(&rollout, 5) > 5);
    healthy = (struct wr_rollout_health){.alarms = 2 + WR_ROLLOUT_ALARMS, .errors = 100 + WR_ROLLOUT_ERRORS}; /* just not too many */
    assert_int_equal(look(ends_ns - 1, &version), WR_ROLLOUT_NOTHING);
    assert_int_equal(look(ends_ns, &version), WR_ROLLOUT_KEPT);
    assert_true(version == 1 && rollout.kept == 1 && !rollout.shown_trial && wr_rollout_next_ns(&rollout, 5) == WR_NEVER_NS);
    assert_int_equal(look(ends_ns + 1, &version), WR_ROLLOUT_NOTHING);
    assert_int_equal(take(1), WR_REMOTE_DONE); /* said again */
    rollout.key[0] = '\0';
    assert_int_equal(take(1), WR_REMOTE_OLD);
}

static void taken_back(void **state) {
    (void)state;
    uint64_t version;
    const struct wr_rollout_health before = healthy;
    for (int errors = 0; errors < 2; errors++) {
        const uint64_t next = rollout.files.highest + 1;
        assert_int_equal(take(next), WR_REMOTE_DONE);
        assert_int_equal(look(rollout.ends_boot_ns, &version), WR_ROLLOUT_KEPT);
        assert_int_equal(take(next + 1), WR_REMOTE_DONE);
        if (errors)
            healthy.errors += WR_ROLLOUT_ERRORS + 1;
        else
            healthy.alarms = 3 + WR_ROLLOUT_ALARMS;
        reloads = WR_IO; /* the files go back first, the agent as soon as it can */
        assert_int_equal(look(0, &version), WR_ROLLOUT_ROLLED_BACK);
        assert_true(version == next + 1 && in_force() == next && loaded == next + 1 && rollout.shown_version == next);
        assert_non_null(strstr(rollout.why, errors ? "21 errors" : "13 alarms"));
        assert_true(wr_rollout_next_ns(&rollout, 5) > 5);
        reloads = WR_OK;
        assert_int_equal(look(0, &version), WR_ROLLOUT_NOTHING);
        assert_int_equal(loaded, next);
        assert_int_equal(take(next + 1), WR_REMOTE_OLD);
        healthy = before;
    }
    assert_int_equal(rollout.rolled_back, 2);
}

static void what_is_not_good_changes_nothing(void **state) {
    (void)state;
    uint64_t version;
    assert_int_equal(take(1), WR_REMOTE_DONE);
    const int64_t ends_ns = rollout.ends_boot_ns;
    checks = WR_INVALID;
    assert_int_equal(take(2), WR_REMOTE_REJECTED);
    assert_string_equal(err.text, "bad rules");
    checks = WR_NO_MEMORY;
    assert_int_equal(take(2), WR_REMOTE_NO_MEMORY);
    assert_true(in_force() == 1 && loaded == 1 && rollout.files.highest == 1 && rollout.ends_boot_ns == ends_ns);
    assert_int_equal(look(ends_ns, &version), WR_ROLLOUT_KEPT);
    checks = WR_OK;
    reloads = WR_INVALID;
    assert_int_equal(take(2), WR_REMOTE_REJECTED); /* good alone, refused by the reload */
    assert_true(in_force() == 1 && loaded == 1 && rollout.files.highest == 2 && rollout.files.trial == 0);
    reloads = WR_TIMEOUT;
    assert_int_equal(take(3), WR_REMOTE_UNSURE);
    assert_int_equal(in_force(), 1);
    reloads = WR_OK;
    assert_int_equal(look(0, &version), WR_ROLLOUT_NOTHING); /* the agent, too, in any case */
    assert_true(loaded == 1 && wr_rollout_next_ns(&rollout, 5) == WR_NEVER_NS);
}

static void a_restart_goes_on(void **state) {
    (void)state;
    uint64_t version;
    assert_int_equal(take(1), WR_REMOTE_DONE);
    for (int i = 0; i < WR_ROLLOUT_STARTS; i++) {
        start(1000);
        assert_true(loaded == 1 && rollout.shown_trial && rollout.ends_boot_ns == 1000 + 300 * WR_NS_PER_S);
        assert_true(rollout.before.alarms == 2 && rollout.before.errors == healthy.errors);
    }
    start(1000);
    assert_true(loaded == 0 && !rollout.shown_trial && rollout.files.highest == 1);
    assert_int_equal(take(1), WR_REMOTE_OLD);
    assert_int_equal(take(2), WR_REMOTE_DONE);
    start(2000);
    healthy.alarms = 100;
    assert_int_equal(look(2000, &version), WR_ROLLOUT_ROLLED_BACK);
    assert_int_equal(loaded, 0);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define ROLLOUT(f) cmocka_unit_test_setup_teardown(f, begin_rollout, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(read_and_written),
        TEST(for_the_shadow),
        TEST(what_is_none),
        TEST(limits),
        TEST(for_whom_it_is),
        TEST(a_percentage_of_the_nodes),
        TEST(no_memory),
        TEST(versions_come_and_go),
        TEST(numbers_that_are_none),
        TEST(it_ends_at_any_call),
        TEST(any_call_fails),
        TEST(any_call_of_a_shadow_fails),
        ROLLOUT(kept_after_the_window),
        ROLLOUT(taken_back),
        ROLLOUT(what_is_not_good_changes_nothing),
        ROLLOUT(a_restart_goes_on),
    };
    return cmocka_run_group_tests(tests, make_store, remove_store);
}
