#include "agent/process/working_set.h"

#include <event2/event.h>
#include <link.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* Segments that nobody writes to: of a writable one the copies would be lost. */
static int forget_unwritten(struct dl_phdr_info *object, size_t size, void *user) {
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    (void)size, (void)user;
    for (unsigned i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W))
            continue;
        const uintptr_t begin = (object->dlpi_addr + segment->p_vaddr) & ~(page - 1);
        const uintptr_t end = (object->dlpi_addr + segment->p_vaddr + segment->p_memsz + page - 1) & ~(page - 1);
        (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
    }
    return 0;
}

void wr_working_set_trim(void) {
    (void)dl_iterate_phdr(forget_unwritten, NULL);
}

static void on_time(evutil_socket_t fd, short what, void *user) {
    (void)fd, (void)what, (void)user;
    wr_working_set_trim();
}

void wr_working_set_trim_later(struct event_base *base) {
    const struct timeval after = {.tv_sec = WR_WORKING_SET_AFTER_NS / WR_NS_PER_S};
    (void)event_base_once(base, -1, EV_TIMEOUT, on_time, NULL, &after);
}
