#include "agent/children.h"

#include <signal.h>

void wr_children_init(struct wr_children *children) {
    *children = (struct wr_children){0};
}

enum wr_result wr_children_start(struct wr_children *children, char *const *argv, char *const *variables, int64_t boot_ns,
                                 struct wr_error *err) {
    (void)wr_children_look(children, boot_ns);
    if (children->alive == WR_CHILDREN_MAX)
        return wr_error_set(err, WR_LIMIT, "%s not started: %d programs run already", argv[0], WR_CHILDREN_MAX);
    struct wr_child child;
    if (wr_child_spawn(&child, &(struct wr_child_plan){.argv = argv, .variables = variables}, err) != WR_OK) {
        children->failed++;
        return WR_IO;
    }
    children->started++;
    children->alive++;
    for (unsigned i = 0; i < WR_CHILDREN_MAX; i++) {
        if (children->places[i].child.pid == 0) {
            children->places[i] = (struct wr_children_place){child, boot_ns + WR_CHILDREN_TIME_NS};
            break;
        }
    }
    return WR_OK;
}

int64_t wr_children_look(struct wr_children *children, int64_t boot_ns) {
    for (unsigned i = 0; i < WR_CHILDREN_MAX; i++) {
        struct wr_children_place *place = &children->places[i];
        int status;
        if (place->child.pid == 0)
            continue;
        if (wr_child_ended(&place->child, &status)) {
            if (status != 0)
                children->failed++;
            children->alive--;
        } else if (boot_ns >= place->deadline_boot_ns) {
            wr_child_signal(&place->child, SIGKILL);
            children->killed++;
            place->deadline_boot_ns = WR_NEVER_NS; /* collected at the next look */
        }
    }
    return children->alive ? boot_ns + WR_CHILDREN_LOOK_NS : WR_NEVER_NS;
}

void wr_children_fini(struct wr_children *children) {
    for (unsigned i = 0; i < WR_CHILDREN_MAX; i++)
        if (children->places[i].child.pid != 0)
            wr_child_close(&children->places[i].child);
    children->alive = 0;
}
