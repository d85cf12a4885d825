#include "agent/process/child.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define DESCRIPTORS 1024 /* what programs expect; ours may be raised, and select(2) cannot use higher ones */
#define OOM_SCORE "500"
#define LIFE_FD 3 /* of a launcher */

/* -- spawn ----------------------------------------------------------------------------------------------------------------------------- */

/* Both ends of the pipes; -1 where there is none. */
struct pipes {
    int in[2];
    int out[2];
    int err[2];
    int life[2]; /* ends when we do */
};

static void close_one(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void close_pipes(struct pipes *pipes) {
    close_one(&pipes->in[0]);
    close_one(&pipes->in[1]);
    close_one(&pipes->out[0]);
    close_one(&pipes->out[1]);
    close_one(&pipes->err[0]);
    close_one(&pipes->err[1]);
    close_one(&pipes->life[0]);
    close_one(&pipes->life[1]);
}

static int open_pipes(const struct wr_child_plan *plan, struct pipes *pipes) {
    *pipes = (struct pipes){{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}};
    if ((plan->bound && pipe2(pipes->life, O_CLOEXEC) < 0) || (plan->stdin_pipe && pipe2(pipes->in, O_CLOEXEC) < 0) ||
        (plan->output_pipes && (pipe2(pipes->out, O_CLOEXEC) < 0 || pipe2(pipes->err, O_CLOEXEC) < 0))) {
        const int failed = errno;
        close_pipes(pipes);
        return failed;
    }
    return 0;
}

/* A pipe's end, or else /dev/null, as descriptor `as` of the child. */
static int give(posix_spawn_file_actions_t *files, int fd, int as, int flags) {
    return fd >= 0 ? posix_spawn_file_actions_adddup2(files, fd, as) : posix_spawn_file_actions_addopen(files, as, "/dev/null", flags, 0);
}

/* What a child must not inherit: descriptors above 2 (paho's sockets are not close-on-exec), blocked or ignored signals, our group. */
static int prepare(const struct pipes *pipes, posix_spawn_file_actions_t *files, posix_spawnattr_t *attributes) {
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int failed = give(files, pipes->in[0], 0, O_RDONLY);
    if (!failed)
        failed = give(files, pipes->out[1], 1, O_WRONLY);
    if (!failed && pipes->err[1] >= 0)
        failed = give(files, pipes->err[1], 2, O_WRONLY);
    if (!failed && pipes->life[0] >= 0)
        failed = posix_spawn_file_actions_adddup2(files, pipes->life[0], LIFE_FD);
    if (!failed)
        failed = posix_spawn_file_actions_addclosefrom_np(files, pipes->life[0] >= 0 ? LIFE_FD + 1 : LIFE_FD);
    if (!failed)
        failed = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    if (!failed)
        failed = posix_spawnattr_setsigmask(attributes, &none);
    if (!failed)
        failed = posix_spawnattr_setsigdefault(attributes, &all);
    if (!failed)
        failed = posix_spawnattr_setpgroup(attributes, 0);
    return failed;
}

static int spawn(pid_t *ret_pid, const char *path, char *const *argv, char *const *variables, const struct pipes *pipes) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    int failed = posix_spawn_file_actions_init(&files);
    if (failed)
        return failed;
    failed = posix_spawnattr_init(&attributes);
    if (!failed) {
        failed = prepare(pipes, &files, &attributes);
        if (!failed)
            failed = posix_spawn(ret_pid, path, &files, &attributes, argv, variables);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&files);
    return failed;
}

static int spawn_bound(pid_t *ret_pid, const struct wr_child_plan *plan, const struct pipes *pipes) {
    char memory[24];
    char *argv[WR_CHILD_ARGUMENTS + 4] = {(char *)"weir", (char *)WR_CHILD_LAUNCH, memory};
    size_t n = 0;
    while (plan->argv[n])
        n++;
    if (n > WR_CHILD_ARGUMENTS)
        return E2BIG;
    memcpy(argv + 3, plan->argv, n * sizeof *argv);
    snprintf(memory, sizeof memory, "%" PRIu64, plan->memory_bytes);
    return spawn(ret_pid, "/proc/self/exe", argv, plan->variables, pipes);
}

enum wr_result wr_child_spawn(struct wr_child *child, const struct wr_child_plan *plan, struct wr_error *err) {
    struct pipes pipes;
    pid_t pid = 0;
    int failed = open_pipes(plan, &pipes);
    if (!failed) {
        failed = plan->bound ? spawn_bound(&pid, plan, &pipes) : spawn(&pid, plan->argv[0], plan->argv, plan->variables, &pipes);
        if (failed)
            close_pipes(&pipes);
    }
    if (failed)
        return wr_error_set(err, WR_IO, "%s not started: %s", plan->argv[0], strerror(failed));
    close_one(&pipes.in[0]);
    close_one(&pipes.out[1]);
    close_one(&pipes.err[1]);
    close_one(&pipes.life[0]);
    *child = (struct wr_child){.pid = pid,
                               .bound = plan->bound,
                               .pidfd = (int)syscall(SYS_pidfd_open, pid, 0),
                               .in = pipes.in[1],
                               .out = pipes.out[0],
                               .life = pipes.life[1],
                               .err = pipes.err[0]};
    return WR_OK;
}

/* -- end ------------------------------------------------------------------------------------------------------------------------------- */

void wr_child_signal(const struct wr_child *child, int number) {
    if (child->pid > 0)
        kill(-child->pid, number);
}

/* Only looked at, not reaped yet: so its number, which is the group's, cannot belong to somebody else when the group is killed. */
static bool has_ended(const struct wr_child *child, int options) {
    siginfo_t info = {.si_pid = 0};
    int answer;
    do
        answer = waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOWAIT | options);
    while (answer < 0 && errno == EINTR);
    return answer < 0 || info.si_pid == child->pid;
}

static int reap(struct wr_child *child) {
    int status = 0;
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR) {
    }
    child->pid = 0;
    close_one(&child->pidfd);
    close_one(&child->life);
    return status;
}

bool wr_child_ended(struct wr_child *child, int *ret_status) {
    if (!has_ended(child, WNOHANG))
        return false;
    if (child->bound)
        kill(-child->pid, SIGKILL);
    *ret_status = reap(child);
    return true;
}

void wr_child_abandon(struct wr_child *child) {
    child->pid = 0;
    close_one(&child->pidfd);
    close_one(&child->life);
}

void wr_child_close(struct wr_child *child) {
    if (child->pid > 0) {
        kill(-child->pid, SIGKILL);
        (void)has_ended(child, 0);
        (void)reap(child);
    }
    close_one(&child->in);
    close_one(&child->out);
    close_one(&child->err);
}

char *wr_child_status_text(char *text, size_t size, int status) {
    if (WIFSIGNALED(status))
        snprintf(text, size, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(text, size, "exit code %d", WEXITSTATUS(status));
    return text;
}

/* -- launcher: a process of its own from here on ---------------------------------------------------------------------------------------- */

/* Leaves a process in the group that waits for the end of the agent, and then kills the group. Forked twice, so that the program does not find a
 * child that it did not make. */
static bool leave_guard(void) {
    const pid_t pid = fork();
    if (pid < 0)
        return false;
    if (pid > 0) {
        int status = -1;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
        close(LIFE_FD);
        return status == 0;
    }
    const pid_t guard = fork();
    if (guard != 0)
        _exit(guard < 0);
    (void)prctl(PR_SET_NAME, "weir-guard");
    for (int number = 1; number < NSIG; number++)
        (void)signal(number, SIG_IGN);
    for (int fd = 0; fd < LIFE_FD; fd++)
        close(fd);
    char nothing;
    while (read(LIFE_FD, &nothing, 1) < 0 && errno == EINTR) {
    }
    kill(0, SIGKILL);
    _exit(0);
}

static bool limit_itself(uint64_t memory_bytes) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > DESCRIPTORS) {
        files.rlim_cur = DESCRIPTORS;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t ignored = write(fd, OOM_SCORE, sizeof OOM_SCORE - 1);
        (void)ignored;
        close(fd);
    }
    const rlim_t most = memory_bytes > RLIM_INFINITY ? RLIM_INFINITY : (rlim_t)memory_bytes;
    const struct rlimit memory = {most, most};
    return memory_bytes == 0 || setrlimit(RLIMIT_AS, &memory) == 0;
}

int wr_child_launch(int argc, char **argv) {
    if (argc < 3 || getpgrp() != getpid()) { /* not in a group of its own: the guard would kill whoever is in it */
        fprintf(stderr, "weir " WR_CHILD_LAUNCH ": used by the agent itself, see agent/process/child.h\n");
        return WR_CHILD_NOT_LAUNCHED;
    }
    if (!leave_guard() || !limit_itself(strtoull(argv[1], NULL, 10))) {
        fprintf(stderr, "cannot guard or limit %s: %s\n", argv[2], strerror(errno));
        return WR_CHILD_NOT_LAUNCHED;
    }
    execv(argv[2], argv + 2);
    fprintf(stderr, "cannot run %s: %s\n", argv[2], strerror(errno));
    return WR_CHILD_NOT_LAUNCHED;
}
