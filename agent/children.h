/* Child processes of exec actions: started without a shell, never waited for, killed when they overrun.
 *
 * Promise: a child gets its argv as it stands, an environment of PATH and the given variables only, /dev/null as standard input and output,
 * our stderr, no other descriptor, default signals, and a process group of its own. After WR_CHILDREN_TIME_NS the whole group is killed.
 * Threads: any; a start holds up no other function. Ownership: caller's memory; children that live at the end are killed by wr_children_fini.
 * Limits: WR_CHILDREN_MAX at once: beyond that WR_LIMIT.
 */
#ifndef WEIR_AGENT_CHILDREN_H
#define WEIR_AGENT_CHILDREN_H

#include <pthread.h>
#include <stdint.h>

#include "agent/child.h"
#include "core/clock.h"
#include "core/result.h"

#define WR_CHILDREN_MAX 16
#define WR_CHILDREN_TIME_NS (10 * WR_NS_PER_S)
#define WR_CHILDREN_LOOK_NS (50 * WR_NS_PER_MS) /* how often running children are looked after */

struct wr_children_place {
    struct wr_child child; /* pid 0: free place */
    int64_t deadline_boot_ns;
};

struct wr_children {
    pthread_mutex_t lock; /* guards what follows */
    struct wr_children_place places[WR_CHILDREN_MAX];
    unsigned alive; /* or being started */
    uint64_t started;
    uint64_t failed; /* could not start, or ended with another code than 0 */
    uint64_t killed;
};

void wr_children_init(struct wr_children *children);

/* argv[0] is an absolute path; both lists end with NULL; variables are "NAME=value". Takes as long as the system needs to begin the program: a
 * millisecond, or for ever where it lies on a file system that hangs. */
WR_MUST_USE enum wr_result wr_children_start(struct wr_children *children, char *const *argv, char *const *variables, int64_t boot_ns,
                                             struct wr_error *err);

/* Collects what has ended and kills what overran. Returns when to call again, WR_NEVER_NS when none is alive. */
int64_t wr_children_look(struct wr_children *children, int64_t boot_ns);

/* Kills and collects what is left. */
void wr_children_fini(struct wr_children *children);

#endif
