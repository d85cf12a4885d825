/* Rollouts against a simple model: random bundles, checks and reloads that fail, alarms that jump, time, restarts and kills in the middle of a change. After every
 * step the version in force is one that was taken or kept, what the agent has is what the disk has as soon as it can, and no version is taken twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/remote/rollout.h"
#include "core/file.h"
#include "tests/support/failing.h"
#include "tests/support/random.h"

#define STEPS 400
#define WINDOW_NS (100 * WR_NS_PER_S)

static struct wr_random dice;
static char store[] = "/tmp/weir-rollout-XXXXXX";
static struct wr_rollout rollout;
static struct wr_rollout_health health;
static bool check_fails, reload_fails, shadow_fails;
static uint64_t loaded, loaded_shadow; /* what the agent has */

/* What the model knows. */
static uint64_t highest, kept, trial; /* 0: none */
static unsigned starts;
static uint64_t shadow, shadow_highest; /* likewise */
static unsigned shadow_starts;

static uint64_t below(uint64_t end) {
    return wr_random_below(&dice, end);
}

static uint64_t found_in(const char *directory) {
    char path[128];
    struct wr_buf text;
    uint64_t version = 0;
    snprintf(path, sizeof path, "%s/%s/a.yaml", store, directory);
    wr_buf_init(&text, 0);
    if (wr_file_read(path, 100, &text, NULL) == WR_OK)
        assert_int_equal(sscanf(wr_buf_str(&text), "version %" SCNu64 ".", &version), 1);
    wr_buf_fini(&text);
    return version;
}

static uint64_t on_disk(void) {
    return found_in(WR_BUNDLES_CURRENT);
}

static uint64_t shadow_on_disk(void) {
    return found_in(WR_BUNDLES_SHADOW);
}

static enum wr_result check(void *user, const char *directory, struct wr_error *err) {
    (void)user, (void)directory;
    return check_fails ? wr_error_set(err, WR_INVALID, "bad rules") : WR_OK;
}

static enum wr_result reload(void *user, struct wr_context *context, struct wr_error *err) {
    (void)user, (void)context;
    if (reload_fails)
        return wr_error_set(err, WR_INVALID, "refused");
    loaded = on_disk();
    loaded_shadow = shadow_on_disk();
    return WR_OK;
}

static enum wr_result renew(void *user, struct wr_error *err) {
    (void)user;
    if (shadow_fails)
        return wr_error_set(err, WR_INVALID, "no shadow");
    loaded_shadow = shadow_on_disk();
    return WR_OK;
}

static void look_at(void *user, struct wr_rollout_health *ret_health) {
    (void)user;
    *ret_health = health;
}

static const struct wr_rollout_ops ops = {.check = check, .reload = reload, .health = look_at, .shadow = renew};

enum form { FOR_GOOD, SHADOW, SHADOW_ENDS };

static enum wr_remote_outcome take(uint64_t version, enum form form) {
    char text[40];
    struct wr_bundle *bundle = wr_bundle_new();
    assert_non_null(bundle);
    bundle->version = version;
    snprintf(text, sizeof text, "version %" PRIu64 ".", version);
    snprintf(bundle->key, sizeof bundle->key, "%" PRIu64, wr_random_u64(&dice));
    bundle->shadow = form != FOR_GOOD;
    if (form != SHADOW_ENDS)
        assert_int_equal(wr_bundle_add_file(bundle, "a.yaml", text, strlen(text), NULL), WR_OK);
    const enum wr_remote_outcome outcome = wr_rollout_take(&rollout, bundle, NULL, wr_clock_real(), NULL);
    wr_bundle_free(bundle);
    return outcome;
}

/* -- steps --------------------------------------------------------------------------------------------------------------------------------- */

static void start(void) {
    bool rolled_back;
    assert_int_equal(wr_rollout_boot(store, &rolled_back, NULL), WR_OK);
    if (trial != 0 && ++starts > WR_ROLLOUT_STARTS) {
        assert_true(rolled_back);
        trial = 0;
    } else {
        assert_false(rolled_back);
    }
    assert_int_equal(wr_rollout_boot_shadow(store, &rolled_back, NULL), WR_OK);
    assert_int_equal(rolled_back, shadow != 0 && shadow_starts == WR_ROLLOUT_STARTS);
    shadow = rolled_back ? 0 : shadow;
    shadow_starts = shadow ? shadow_starts + 1 : 0;
    memset(&rollout, 0, sizeof rollout);
    assert_int_equal(wr_rollout_init(&rollout, &ops, store, WINDOW_NS, 0, NULL), WR_OK);
    loaded = on_disk();
    loaded_shadow = shadow_on_disk();
}

static void step_shadow(void) {
    const uint64_t above = highest > shadow_highest ? highest : shadow_highest, version = 1 + below(above + 3);
    const enum form form = below(4) == 0 ? SHADOW_ENDS : SHADOW;
    check_fails = below(4) == 0;
    shadow_fails = below(4) == 0;
    const enum wr_remote_outcome outcome = take(version, form);
    if (version <= above) {
        assert_int_equal(outcome, WR_REMOTE_OLD);
        return;
    }
    const bool is_put = form == SHADOW && !check_fails;
    assert_int_equal(outcome, form == SHADOW_ENDS || (is_put && !shadow_fails) ? WR_REMOTE_DONE : WR_REMOTE_REJECTED);
    if (form == SHADOW && check_fails)
        return; /* the one before goes on */
    shadow_highest = version;
    shadow = is_put && !shadow_fails ? version : 0;
    shadow_starts = 0;
}

static void step_take(void) {
    const uint64_t version = 1 + below(highest + 3);
    check_fails = below(4) == 0;
    reload_fails = below(4) == 0;
    const enum wr_remote_outcome outcome = take(version, FOR_GOOD);
    if (version <= highest) {
        assert_int_equal(outcome, WR_REMOTE_OLD);
        return;
    }
    assert_int_equal(outcome, check_fails || reload_fails ? WR_REMOTE_REJECTED : WR_REMOTE_DONE);
    if (check_fails)
        return;
    highest = version; /* was put in force, if only for a moment */
    shadow = shadow <= version ? 0 : shadow;
    trial = reload_fails ? 0 : version;
    starts = 0;
}

static void step_look(void) {
    uint64_t version;
    const bool over = below(3) == 0;
    health.alarms = below(4) == 0 ? 1000 : 0;
    reload_fails = below(3) == 0;
    shadow_fails = below(3) == 0;
    const bool watched = rollout.shadow_boot_ns != WR_NEVER_NS;
    const bool ill = trial != 0 && health.alarms > 2 * rollout.before.alarms + WR_ROLLOUT_ALARMS;
    const enum wr_rollout_news news = wr_rollout_look(&rollout, NULL, over ? WR_NEVER_NS - 1 : 0, &version);
    const bool told = shadow != 0 && watched && over;
    assert_int_equal(news, ill                  ? WR_ROLLOUT_ROLLED_BACK
                           : trial != 0 && over ? WR_ROLLOUT_KEPT
                           : told               ? WR_ROLLOUT_SHADOW
                                                : WR_ROLLOUT_NOTHING);
    assert_true(news == WR_ROLLOUT_NOTHING || version == (news == WR_ROLLOUT_SHADOW ? shadow : trial));
    if (news == WR_ROLLOUT_SHADOW) {
        shadow_starts = 0;
        return;
    }
    if (news == WR_ROLLOUT_KEPT)
        kept = trial;
    if (news != WR_ROLLOUT_NOTHING)
        trial = 0;
}

/* Ends in the middle of a change; the model learns from the disk which side of it was reached. */
static void step_kill(void) {
    int status;
    const uint64_t version = (highest > shadow_highest ? highest : shadow_highest) + 1;
    const uint64_t was = trial ? trial : kept;
    const enum form form = below(2) ? FOR_GOOD : below(2) ? SHADOW : SHADOW_ENDS;
    const uint64_t was_shadow = shadow;
    check_fails = reload_fails = shadow_fails = false;
    const pid_t child = fork();
    if (child == 0) {
        wr_failing_crash((long)below(24));
        (void)take(version, form);
        _exit(0);
    }
    (void)wr_random_u64(&dice); /* what the child drew */
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    struct wr_bundle_files files;
    assert_int_equal(wr_bundle_files_open(&files, store, NULL), WR_OK);
    const uint64_t found = on_disk();
    shadow = shadow_on_disk();
    assert_true(shadow == was_shadow || (form == SHADOW && shadow == version) || (form != SHADOW && shadow == 0));
    assert_true(files.shadow == shadow && (files.shadow_highest == shadow_highest || files.shadow_highest == version));
    assert_true(shadow != version || files.shadow_highest == version);
    shadow_highest = files.shadow_highest;
    shadow_starts = (unsigned)files.shadow_starts;
    assert_true(form == FOR_GOOD || (files.current == was && files.highest == highest));
    assert_true(found == files.current && (found == was || found == version));
    assert_true(files.highest == highest || files.highest == version);
    assert_true(found != version || files.highest == version);
    highest = files.highest;
    if (found == version) {
        trial = version;
        starts = 0;
    } else if (files.trial == version) {
        trial = 0; /* half done: it goes back to what was kept */
    }
    start();
}

static void holds(void) {
    const uint64_t now = trial ? trial : kept;
    assert_int_equal(on_disk(), now);
    assert_int_equal(rollout.files.highest, highest);
    assert_int_equal(rollout.shown_version, now);
    assert_int_equal(rollout.shown_trial, trial != 0);
    assert_true(loaded == now || rollout.reload_due);
    assert_true((wr_rollout_next_ns(&rollout, 0) != WR_NEVER_NS) ==
                (trial != 0 || rollout.reload_due || rollout.shadow_due || rollout.shadow_boot_ns != WR_NEVER_NS));
    assert_int_equal(shadow_on_disk(), shadow);
    assert_true(rollout.files.shadow_highest == shadow_highest && rollout.shown_shadow == shadow);
    assert_true(loaded_shadow == shadow || rollout.reload_due || rollout.shadow_due);
    assert_true(shadow != 0 || rollout.shadow_boot_ns == WR_NEVER_NS);
}

static void as_the_model_says(void **state) {
    (void)state;
    dice = wr_random_begin();
    start();
    for (int i = 0; i < STEPS; i++) {
        const uint64_t kind = below(12);
        if (kind >= 10)
            step_shadow();
        else if (kind < 4)
            step_take();
        else if (kind < 8)
            step_look();
        else if (kind < 9)
            start();
        else
            step_kill();
        holds();
    }
}

static int set_up(void **state) {
    (void)state;
    return mkdtemp(store) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    char command[80];
    snprintf(command, sizeof command, "rm -r %s", store);
    return system(command); /* NOLINT(cert-env33-c) */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_the_model_says)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
