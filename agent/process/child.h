/* A child process: started without a shell, in a process group of its own, and never left behind.
 *
 * Promise: the program gets its argv as it stands, an environment of the given variables only, default signals, none of our descriptors, and
 * a process group of its own, so that it is stopped together with whatever it started. What it is given for its standard streams the plan says.
 * With `bound` it also
 *   - has at most memory_bytes of address space, from its first instruction on (RLIMIT_AS; children of its own inherit it);
 *   - is killed with its whole group when the agent ends in any way, kill -9 included;
 *   - is what the kernel prefers when memory runs out (oom_score_adj), and has the usual 1024 descriptors.
 *
 * How: posix_spawn alone can do none of that, and to set limits from outside afterwards comes too late for a program that is quick. So a bound
 * child begins as this very program (/proc/self/exe, the same also after an upgrade) with the word WR_CHILD_LAUNCH: it leaves a guard behind,
 * limits itself, and becomes the program. The guard is a process of the same group that holds one end of a pipe; we hold the other; when that
 * ends, it kills the group. It goes with the group when we kill that. `main` must hand the word to wr_child_launch.
 * Out of reach is a process that leaves the group (setsid): systemd ends it with the unit.
 *
 * Threads: one at a time. Ownership: caller's memory; wr_child_close after wr_child_spawn succeeded.
 * Source: posix_spawn(3), setrlimit(2), pidfd_open(2).
 */
#ifndef WEIR_AGENT_PROCESS_CHILD_H
#define WEIR_AGENT_PROCESS_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/result.h"

#define WR_CHILD_LAUNCH "launch-child" /* the word that makes the agent's program a launcher */
#define WR_CHILD_ARGUMENTS 64          /* of a bound child, its own name counted */
#define WR_CHILD_NOT_LAUNCHED 127      /* exit code of a bound child whose program could not be run; why is on its stderr */

struct wr_child_plan {
    char *const *argv;      /* argv[0]: absolute path; ends with NULL */
    char *const *variables; /* "NAME=value"; ends with NULL */
    bool bound;
    uint64_t memory_bytes; /* 0: no limit; only with bound */
    bool stdin_pipe;       /* else /dev/null */
    bool output_pipes;     /* stdout and stderr; else stdout is /dev/null and stderr ours */
};

struct wr_child {
    pid_t pid; /* 0: none */
    bool bound;
    int pidfd; /* readable once it has ended; -1: the kernel has none, ask wr_child_ended now and then */
    int in;    /* our ends of the pipes; -1: none */
    int out;
    int err;
    int life; /* of a bound child: its guard waits for the end of this */
};

/* WR_IO: not started, and why. A bound child whose program cannot be run starts, and ends with WR_CHILD_NOT_LAUNCHED. */
WR_MUST_USE enum wr_result wr_child_spawn(struct wr_child *child, const struct wr_child_plan *plan, struct wr_error *err);

/* Sends a signal to the whole group. Nothing happens once it was reaped. */
void wr_child_signal(const struct wr_child *child, int number);

/* Whether the program has ended: then it is reaped, with *ret_status as waitpid gives it, and what is left of a bound child's group is killed. */
bool wr_child_ended(struct wr_child *child, int *ret_status);

/* Gives up on one that not even SIGKILL ends (a device or a network file system that hangs in the kernel): it is not waited for. */
void wr_child_abandon(struct wr_child *child);

/* Kills and reaps what still lives, waits for that, closes the descriptors. */
void wr_child_close(struct wr_child *child);

/* "exit code 3", "signal 9 (Killed)". Returns text. */
char *wr_child_status_text(char *text, size_t size, int status);

/* The launcher: argv is WR_CHILD_LAUNCH, memory in bytes, and the program's argv; its descriptor 3 the pipe. Returns only when it cannot. */
int wr_child_launch(int argc, char **argv);

#endif
