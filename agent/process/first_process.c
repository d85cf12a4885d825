#include "agent/process/first_process.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Collects whoever has ended; whether the agent was among them. */
static bool collect(pid_t agent, int *ret_status) {
    int status;
    pid_t ended;
    while ((ended = waitpid(-1, &status, WNOHANG)) != 0) {
        if (ended == agent)
            *ret_status = status;
        if (ended == agent || (ended < 0 && errno != EINTR))
            return ended == agent;
    }
    return false;
}

static int look_after(pid_t agent, const sigset_t *watched) {
    int status = 0;
    for (;;) {
        const int number = sigwaitinfo(watched, NULL);
        if (number > 0 && number != SIGCHLD)
            (void)kill(agent, number);
        else if (number == SIGCHLD && collect(agent, &status))
            return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
}

int wr_first_process(void) {
    if (getpid() != 1)
        return -1;
    sigset_t watched, before;
    sigemptyset(&watched);
    sigaddset(&watched, SIGTERM);
    sigaddset(&watched, SIGINT);
    sigaddset(&watched, SIGHUP);
    sigaddset(&watched, SIGQUIT);
    sigaddset(&watched, SIGCHLD);
    (void)signal(SIGCHLD, SIG_DFL); /* ignored, ends would not be told */
    (void)sigprocmask(SIG_BLOCK, &watched, &before);
    const pid_t agent = fork();
    if (agent > 0)
        return look_after(agent, &watched);
    if (agent < 0)
        fprintf(stderr, "weir run: process 1 cannot fork, so zombies will stay: %s\n", strerror(errno));
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return -1;
}
