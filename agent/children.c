#include "agent/children.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

void wr_children_init(struct wr_children *children) {
    *children = (struct wr_children){0};
}

/* Everything that a child must not inherit: descriptors above 2 (paho's sockets are not close-on-exec), blocked signals, our group. */
static int prepare(posix_spawn_file_actions_t *files, posix_spawnattr_t *attributes) {
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int failed = posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0);
    if (!failed)
        failed = posix_spawn_file_actions_addopen(files, 1, "/dev/null", O_WRONLY, 0);
    if (!failed)
        failed = posix_spawn_file_actions_addclosefrom_np(files, 3);
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

static int spawn(pid_t *ret_pid, char *const *argv, char *const *variables) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    int failed = posix_spawn_file_actions_init(&files);
    if (failed)
        return failed;
    failed = posix_spawnattr_init(&attributes);
    if (!failed) {
        failed = prepare(&files, &attributes);
        if (!failed)
            failed = posix_spawn(ret_pid, argv[0], &files, &attributes, argv, variables);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&files);
    return failed;
}

enum wr_result wr_children_start(struct wr_children *children, char *const *argv, char *const *variables, int64_t boot_ns,
                                 struct wr_error *err) {
    (void)wr_children_look(children, boot_ns);
    if (children->alive == WR_CHILDREN_MAX)
        return wr_error_set(err, WR_LIMIT, "%s not started: %d programs run already", argv[0], WR_CHILDREN_MAX);
    pid_t pid;
    int failed = spawn(&pid, argv, variables);
    if (failed) {
        children->failed++;
        return wr_error_set(err, WR_IO, "%s not started: %s", argv[0], strerror(failed));
    }
    children->started++;
    children->alive++;
    for (unsigned i = 0; i < WR_CHILDREN_MAX; i++) {
        if (children->places[i].pid == 0) {
            children->places[i] = (struct wr_child){pid, boot_ns + WR_CHILD_TIME_NS};
            break;
        }
    }
    return WR_OK;
}

int64_t wr_children_look(struct wr_children *children, int64_t boot_ns) {
    for (unsigned i = 0; i < WR_CHILDREN_MAX; i++) {
        struct wr_child *child = &children->places[i];
        if (child->pid == 0)
            continue;
        int status;
        pid_t ended = waitpid(child->pid, &status, WNOHANG);
        if (ended == child->pid || (ended < 0 && errno == ECHILD)) {
            if (ended > 0 && !(WIFEXITED(status) && WEXITSTATUS(status) == 0))
                children->failed++;
            child->pid = 0;
            children->alive--;
        } else if (boot_ns >= child->deadline_boot_ns) {
            kill(-child->pid, SIGKILL);
            children->killed++;
            child->deadline_boot_ns = WR_NEVER_NS; /* collected at the next look */
        }
    }
    return children->alive ? boot_ns + WR_CHILD_LOOK_NS : WR_NEVER_NS;
}

void wr_children_fini(struct wr_children *children) {
    for (unsigned i = 0; i < WR_CHILDREN_MAX; i++) {
        struct wr_child *child = &children->places[i];
        if (child->pid == 0)
            continue;
        kill(-child->pid, SIGKILL);
        while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR) {
        }
        child->pid = 0;
    }
    children->alive = 0;
}
