#include "agent/actions/children.h"

#include <signal.h>

void wr_children_init(struct wr_children *children, wr_children_ended *ended, void *user) {
    *children = (struct wr_children){.ended = ended, .user = user};
    pthread_mutex_init(&children->lock, NULL);
}

static void look(struct wr_children *children, int64_t boot_ns) {
    for (unsigned i = 0; i < WR_CHILDREN_MAX; i++) {
        struct wr_children_place *place = &children->places[i];
        int status;
        if (place->child.pid == 0)
            continue;
        if (wr_child_ended(&place->child, &status)) {
            if (status != 0)
                children->failed++;
            children->alive--;
            if (children->ended)
                children->ended(children->user, place->tag, status, place->killed);
        } else if (boot_ns >= place->deadline_boot_ns) {
            wr_child_signal(&place->child, SIGKILL);
            children->killed++;
            place->killed = true;
            place->deadline_boot_ns = WR_NEVER_NS; /* collected at the next look */
        }
    }
}

/* Whoever is alive, or being started, has a place. */
static bool take_place(struct wr_children *children, int64_t boot_ns) {
    pthread_mutex_lock(&children->lock);
    look(children, boot_ns);
    const bool free = children->alive < WR_CHILDREN_MAX;
    children->alive += free;
    pthread_mutex_unlock(&children->lock);
    return free;
}

static void put_into_place(struct wr_children *children, const struct wr_child *child, int64_t deadline_boot_ns, void *tag) {
    unsigned i = 0;
    while (children->places[i].child.pid != 0)
        i++;
    children->places[i] = (struct wr_children_place){.child = *child, .deadline_boot_ns = deadline_boot_ns, .tag = tag};
}

enum wr_result wr_children_start(struct wr_children *children, const struct wr_children_start *start, int64_t boot_ns,
                                 struct wr_error *err) {
    if (!take_place(children, boot_ns))
        return wr_error_set(err, WR_LIMIT, "%s not started: %d programs run already", start->argv[0], WR_CHILDREN_MAX);
    struct wr_child child;
    const enum wr_result result = wr_child_spawn(&child, &(struct wr_child_plan){.argv = start->argv, .variables = start->variables}, err);
    pthread_mutex_lock(&children->lock);
    if (result == WR_OK) {
        children->started++;
        put_into_place(children, &child, wr_clock_add_ns(boot_ns, start->time_ns), start->tag);
    } else {
        children->failed++;
        children->alive--;
    }
    pthread_mutex_unlock(&children->lock);
    return result == WR_OK ? WR_OK : WR_IO;
}

int64_t wr_children_look(struct wr_children *children, int64_t boot_ns) {
    pthread_mutex_lock(&children->lock);
    look(children, boot_ns);
    const unsigned alive = children->alive;
    pthread_mutex_unlock(&children->lock);
    return alive ? boot_ns + WR_CHILDREN_LOOK_NS : WR_NEVER_NS;
}

void wr_children_fini(struct wr_children *children) {
    for (unsigned i = 0; i < WR_CHILDREN_MAX; i++)
        if (children->places[i].child.pid != 0)
            wr_child_close(&children->places[i].child);
    children->alive = 0;
    pthread_mutex_destroy(&children->lock);
}
