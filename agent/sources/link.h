/* A doubly linked ring whose links stand inside of their owners. A link that is in no ring points to itself.
 *
 * Threads: one at a time. Ownership: links belong to the structs around them.
 */
#ifndef WEIR_AGENT_SOURCES_LINK_H
#define WEIR_AGENT_SOURCES_LINK_H

#include <stdbool.h>
#include <stddef.h>

struct wr_link {
    struct wr_link *next;
    struct wr_link *previous;
};

#define WR_LINK_OWNER(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void wr_link_init(struct wr_link *link) { link->next = link->previous = link; }

static inline bool wr_link_alone(const struct wr_link *link) { return link->next == link; }

static inline void wr_link_remove(struct wr_link *link) {
    link->previous->next = link->next;
    link->next->previous = link->previous;
    wr_link_init(link);
}

/* Puts it at the end of the ring that head stands for, out of the one it is in. */
static inline void wr_link_append(struct wr_link *head, struct wr_link *link) {
    wr_link_remove(link);
    link->previous = head->previous;
    link->next = head;
    head->previous->next = link;
    head->previous = link;
}

#endif
