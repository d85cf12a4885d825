/* Child processes of exec actions: started without a shell, never waited for, killed when they overrun.
 *
 * Promise: a child gets its argv as it stands, an environment of PATH and the given variables only, /dev/null as standard input and output,
 * our stderr, no other descriptor, default signals, and a process group of its own. After its time the whole group is killed.
 * Threads: any; a start holds up no other function. Ownership: caller's memory; children that live at the end are killed by wr_children_fini.
 * Limits: WR_CHILDREN_MAX at once: beyond that WR_LIMIT.
 */
#ifndef WEIR_AGENT_ACTIONS_CHILDREN_H
#define WEIR_AGENT_ACTIONS_CHILDREN_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/process/child.h"
#include "core/clock.h"
#include "core/result.h"

#define WR_CHILDREN_MAX 16
#define WR_CHILDREN_LOOK_NS (50 * WR_NS_PER_MS) /* how often running children are looked after */

struct wr_children_place {
    struct wr_child child; /* pid 0: free place */
    int64_t deadline_boot_ns;
    void *tag;
    bool killed;
};

/* A child has ended: status as waitpid gives it, killed if that was our doing. Called with the lock held, from whichever thread looks. */
typedef void wr_children_ended(void *user, void *tag, int status, bool killed);

struct wr_children {
    pthread_mutex_t lock; /* guards what follows */
    struct wr_children_place places[WR_CHILDREN_MAX];
    unsigned alive; /* or being started */
    uint64_t started;
    uint64_t failed; /* could not start, or ended with another code than 0 */
    uint64_t killed;
    wr_children_ended *ended; /* NULL: nobody wants to know */
    void *user;
};

void wr_children_init(struct wr_children *children, wr_children_ended *ended, void *user);

struct wr_children_start {
    char *const *argv;      /* argv[0] is an absolute path; ends with NULL, as variables */
    char *const *variables; /* "NAME=value" */
    int64_t time_ns;        /* then it is killed */
    void *tag;              /* comes back when it has ended */
};

/* Takes as long as the system needs to begin the program: a millisecond, or for ever where it lies on a file system that hangs.
 * WR_LIMIT, WR_IO: not started, nobody will tell of its end. */
WR_MUST_USE enum wr_result wr_children_start(struct wr_children *children, const struct wr_children_start *start, int64_t boot_ns,
                                             struct wr_error *err);

/* Collects what has ended and kills what overran. Returns when to call again, WR_NEVER_NS when none is alive. */
int64_t wr_children_look(struct wr_children *children, int64_t boot_ns);

/* Kills and collects what is left. */
void wr_children_fini(struct wr_children *children);

#endif
