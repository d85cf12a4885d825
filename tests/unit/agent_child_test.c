/* A child process: what it is given, how it ends, and that nothing of it is left. The launcher is this very program. */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/process/child.h"
#include "tests/support/waiting.h"

static char *const variables[] = {(char *)"PATH=/usr/bin:/bin", (char *)"WEIR_SOURCE=test", NULL};

/* Everything that comes out of a pipe until its end. */
static char *slurp(int fd) {
    static char text[8192];
    size_t len = 0;
    ssize_t n;
    while (len < sizeof text - 1 && (n = read(fd, text + len, sizeof text - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    return text;
}

static int wait_for_end(struct wr_child *child) {
    int status = -1;
    assert_true(child->pidfd >= 0);
    while (!wr_child_ended(child, &status))
        assert_true(poll(&(struct pollfd){child->pidfd, POLLIN, 0}, 1, 10000) == 1);
    return status;
}

static struct wr_child spawn_with(const char *script, struct wr_child_plan plan) {
    char *const argv[] = {(char *)"/bin/sh", (char *)"-c", (char *)script, NULL};
    struct wr_child child;
    struct wr_error err = {0};
    plan.argv = argv;
    plan.variables = variables;
    if (wr_child_spawn(&child, &plan, &err) != WR_OK)
        fail_msg("%s", err.text);
    return child;
}

static struct wr_child spawn_bound(const char *script, uint64_t memory_bytes) {
    return spawn_with(script, (struct wr_child_plan){.bound = true, .memory_bytes = memory_bytes, .output_pipes = true});
}

static void words_variables_and_streams_are_as_planned(void **state) {
    (void)state;
    const int stray = dup(2); /* not close-on-exec */
    struct wr_child child =
        spawn_bound("echo \"$WEIR_SOURCE $PATH ${HOME-none}\"; cat; ls /proc/self/fd | wc -l; ulimit -n; echo oops >&2", 0);
    /* ls has its own descriptor for the directory: 0, 1, 2 and that. */
    assert_string_equal(slurp(child.out), "test /usr/bin:/bin none\n4\n1024\n");
    assert_string_equal(slurp(child.err), "oops\n");
    assert_int_equal(wait_for_end(&child), 0);
    wr_child_close(&child);
    close(stray);
}

static void stdin_is_a_pipe_when_wanted(void **state) {
    (void)state;
    struct wr_child child = spawn_with("cat; echo end", (struct wr_child_plan){.bound = true, .stdin_pipe = true, .output_pipes = true});
    assert_int_equal(write(child.in, "x\n", 2), 2);
    close(child.in);
    child.in = -1;
    assert_string_equal(slurp(child.out), "x\nend\n");
    assert_int_equal(wait_for_end(&child), 0);
    wr_child_close(&child);
}

static void the_end_is_told_in_words(void **state) {
    (void)state;
    char text[64];
    struct wr_child child = spawn_bound("exit 3", 0);
    assert_string_equal(wr_child_status_text(text, sizeof text, wait_for_end(&child)), "exit code 3");
    wr_child_close(&child);
    child = spawn_bound("kill -KILL $$", 0);
    assert_string_equal(wr_child_status_text(text, sizeof text, wait_for_end(&child)), "signal 9 (Killed)");
    wr_child_close(&child);
}

static void a_program_that_is_not_there(void **state) {
    (void)state;
    struct wr_child child;
    struct wr_error err = {0};
    char *const argv[] = {(char *)"/no/such/program", NULL};
    struct wr_child_plan plan = {.argv = argv, .variables = variables, .output_pipes = true};
    assert_int_equal(wr_child_spawn(&child, &plan, &err), WR_IO);
    assert_string_equal(err.text, "/no/such/program not started: No such file or directory");
    plan.bound = true;
    assert_int_equal(wr_child_spawn(&child, &plan, &err), WR_OK);
    assert_string_equal(slurp(child.err), "cannot run /no/such/program: No such file or directory\n");
    assert_int_equal(WEXITSTATUS(wait_for_end(&child)), WR_CHILD_NOT_LAUNCHED);
    wr_child_close(&child);
}

static void too_many_words_are_refused(void **state) {
    (void)state;
    char *argv[WR_CHILD_ARGUMENTS + 2] = {0};
    for (size_t i = 0; i <= WR_CHILD_ARGUMENTS; i++)
        argv[i] = (char *)"/bin/true";
    struct wr_child child;
    struct wr_error err = {0};
    const struct wr_child_plan plan = {.argv = argv, .variables = variables, .bound = true};
    assert_int_equal(wr_child_spawn(&child, &plan, &err), WR_IO);
}

static void memory_is_limited_from_the_first_instruction(void **state) {
    (void)state;
    struct wr_child child = spawn_bound("ulimit -v; x=0123456789abcdef; while :; do x=$x$x; done", 64 << 20);
    const char *said = slurp(child.out);
    assert_string_equal(said, "65536\n");
    assert_true(wait_for_end(&child) != 0);
    wr_child_close(&child);
}

/* A process that is gone, or is only waiting to be reaped by whoever reaps orphans here. */
static bool is_gone(pid_t pid) {
    char path[64], line[512] = "";
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return true;
    char *read = fgets(line, sizeof line, file);
    fclose(file);
    const char *state = read ? strrchr(line, ')') : NULL;
    return !state || state[2] == 'Z' || state[2] == 'X';
}

static void wait_until_gone(pid_t pid) {
    for (int i = 0; i < 2000 && !is_gone(pid); i++)
        usleep(5000);
    assert_true(is_gone(pid));
}

static pid_t read_pid(int fd) {
    char text[32] = "";
    size_t len = 0;
    while (len < sizeof text - 1 && read(fd, text + len, 1) == 1 && text[len] != '\n')
        len++;
    return (pid_t)atol(text);
}

static void the_rest_of_the_group_goes_with_the_program(void **state) {
    (void)state;
    struct wr_child child = spawn_bound("sleep 1000 & echo $!", 0);
    const pid_t grandchild = read_pid(child.out);
    assert_true(grandchild > 0);
    assert_int_equal(wait_for_end(&child), 0);
    wait_until_gone(grandchild);
    wr_child_close(&child);
}

static void close_kills_what_ignores_everything(void **state) {
    (void)state;
    struct wr_child child = spawn_bound("trap '' TERM INT HUP; sleep 1000 & echo $!; while :; do sleep 1; done", 0);
    const pid_t pid = child.pid;
    const pid_t grandchild = read_pid(child.out);
    wr_child_signal(&child, SIGTERM);
    int status;
    assert_false(wr_child_ended(&child, &status));
    wr_child_close(&child);
    assert_int_equal(child.pid, 0);
    assert_int_equal(kill(pid, 0), -1);
    wait_until_gone(grandchild);
    wr_child_signal(&child, SIGTERM); /* nobody there */
}

/* The agent dies by kill -9: a process of its own stands in for it here. The program ignores what can be ignored, and has a child. */
static void a_bound_child_does_not_outlive_us(void **state) {
    (void)state;
    int tell[2];
    assert_int_equal(pipe(tell), 0);
    const pid_t agent = fork();
    assert_true(agent >= 0);
    if (agent == 0) {
        struct wr_child child = spawn_bound("trap '' TERM HUP PIPE; sleep 1000 & echo $!; echo $$; while :; do sleep 1; done", 0);
        const int grandchild = read_pid(child.out);
        dprintf(tell[1], "%d\n%d\n", grandchild, read_pid(child.out));
        pause();
        _exit(0);
    }
    const pid_t grandchild = read_pid(tell[0]);
    const pid_t child = read_pid(tell[0]);
    assert_true(child > 0 && grandchild > 0 && !is_gone(child) && !is_gone(grandchild));
    kill(agent, SIGKILL);
    waitpid(agent, NULL, 0);
    wait_until_gone(child);
    wait_until_gone(grandchild);
    close(tell[0]);
    close(tell[1]);
}

static void the_launcher_is_for_us_alone(void **state) {
    (void)state;
    char *argv[] = {(char *)WR_CHILD_LAUNCH, (char *)"0", (char *)"/bin/true", NULL};
    const pid_t pid = fork();
    if (pid == 0) { /* in our group, as if somebody typed it */
        (void)!freopen("/dev/null", "w", stderr);
        _exit(wr_child_launch(3, argv));
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), WR_CHILD_NOT_LAUNCHED);
}

static bool is_guard(pid_t pid, pid_t group) {
    char path[64], name[32] = "";
    snprintf(path, sizeof path, "/proc/%ld/comm", (long)pid);
    FILE *file = fopen(path, "re");
    const bool guard =
        file && fgets(name, sizeof name, file) && strcmp(name, "weir-guard\n") == 0 && getpgid(pid) == group && !is_gone(pid);
    if (file)
        fclose(file);
    return guard;
}

static unsigned guards_of(pid_t group) {
    unsigned n = 0;
    DIR *processes = opendir("/proc");
    assert_non_null(processes);
    for (const struct dirent *entry = readdir(processes); entry; entry = readdir(processes)) {
        const long pid = strtol(entry->d_name, NULL, 10);
        n += pid > 0 && is_guard((pid_t)pid, group);
    }
    closedir(processes);
    return n;
}

/* A guard takes its name on its own: perhaps a little after the program has begun. */
static void wait_for_guards(pid_t group, unsigned n) {
    for (int i = 0; i < 2000 && guards_of(group) != n; i++)
        usleep(1000);
    assert_int_equal(guards_of(group), n);
}

/* SIGTERM to the group is for the program; its guard stays until the end. */
static void the_guard_stays_until_the_end(void **state) {
    (void)state;
    struct wr_child child = spawn_bound("trap 'echo term' TERM; echo ready; while :; do sleep 0.01; done", 0);
    const pid_t pid = child.pid;
    char word[6] = "";
    assert_int_equal(read(child.out, word, 6), 6);
    wait_for_guards(pid, 1);
    wr_child_signal(&child, SIGTERM);
    assert_int_equal(read(child.out, word, 5), 5);
    assert_int_equal(guards_of(pid), 1);
    wr_child_close(&child);
    wait_for_guards(pid, 0);
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], WR_CHILD_LAUNCH) == 0)
        return wr_child_launch(argc - 1, argv + 1);
    if (getenv("WEIR_EMULATED")) {
        puts("skipped: under an emulator /proc/self/exe is the emulator");
        return 0;
    }
    wr_waiting_watchdog(120);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_variables_and_streams_are_as_planned),
        cmocka_unit_test(stdin_is_a_pipe_when_wanted),
        cmocka_unit_test(the_end_is_told_in_words),
        cmocka_unit_test(a_program_that_is_not_there),
        cmocka_unit_test(too_many_words_are_refused),
        cmocka_unit_test(memory_is_limited_from_the_first_instruction),
        cmocka_unit_test(the_rest_of_the_group_goes_with_the_program),
        cmocka_unit_test(close_kills_what_ignores_everything),
        cmocka_unit_test(a_bound_child_does_not_outlive_us),
        cmocka_unit_test(the_launcher_is_for_us_alone),
        cmocka_unit_test(the_guard_stays_until_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
