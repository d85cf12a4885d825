/* Rule files by the words of a command line: files, folders, and what is in the way. */
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

#include "agent/commands/rule_files.h"
#include "tests/support/failing.h"

static char folder[64];
static struct wr_rule_files files;

static void make(const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (name[strlen(name) - 1] == '/') {
        assert_int_equal(mkdir(path, 0755), 0);
        return;
    }
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fclose(file);
}

static int set_up(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/weir-rule-files-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    char command[128];
    wr_failing_off();
    wr_rule_files_fini(&files);
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

static enum wr_result add(const char *name, struct wr_error *err) {
    char path[512];
    snprintf(path, sizeof path, "%s%s%s", folder, name[0] ? "/" : "", name);
    return wr_rule_files_add(&files, path, err);
}

static void is(size_t i, const char *name) {
    assert_true(i < files.n);
    assert_string_equal(files.files[i] + strlen(folder) + 1, name);
}

static void folders_by_name(void **state) {
    (void)state;
    struct wr_error err = {0};
    make("b.yaml");
    make("a.yml");
    make(".hidden.yaml");
    make("c.csv");
    make("d/");
    make("d/e.yaml");
    assert_int_equal(add("c.csv", &err), WR_OK); /* named: as it is */
    assert_int_equal(add("", &err), WR_OK);
    assert_int_equal(files.n, 4);
    is(0, "c.csv");
    is(1, "a.yml");
    is(2, "b.yaml");
    is(3, "d/e.yaml");
}

static void what_is_not_there(void **state) {
    (void)state;
    struct wr_error err = {0};
    assert_int_equal(add("none.yaml", &err), WR_NOT_FOUND);
    assert_non_null(strstr(err.text, "none.yaml: there is no such file or folder"));
    assert_int_equal(add("", &err), WR_NOT_FOUND);
    assert_non_null(strstr(err.text, "no rule file (*.yaml) in this folder"));
}

static void folders_in_each_other_without_end(void **state) {
    (void)state;
    struct wr_error err = {0};
    char path[512];
    make("a.yaml");
    snprintf(path, sizeof path, "%s/loop", folder);
    assert_int_equal(symlink(folder, path), 0);
    assert_int_equal(add("", &err), WR_LIMIT);
}

static void each_allocation_may_fail(void **state) {
    (void)state;
    make("a.yaml");
    make("b.yaml");
    for (long n = 0;; n++) {
        struct wr_error err = {0};
        wr_failing_allocations(n);
        const enum wr_result result = add("", &err);
        const bool hit = wr_failing_hit();
        wr_failing_off();
        assert_int_equal(result, hit ? WR_NO_MEMORY : WR_OK);
        wr_rule_files_fini(&files);
        if (!hit)
            break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(folders_by_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(folders_in_each_other_without_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_allocation_may_fail, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
