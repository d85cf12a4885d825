#include "agent/process/working_set.h"

#include <event2/event.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define IS_PRESENT (UINT64_C(1) << 63)
#define IS_SWAPPED (UINT64_C(1) << 62)
#define IS_OF_FILE (UINT64_C(1) << 61)
#define AT_ONCE 128

static uintptr_t page_bytes(void) {
    return (uintptr_t)sysconf(_SC_PAGESIZE);
}

/* Whether each page that is there is the file's own: a copy that somebody has written to would be lost. */
static bool is_as_in_file(uintptr_t begin, uintptr_t end) {
    uint64_t entries[AT_ONCE];
    size_t left = (end - begin) / page_bytes();
    const int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    bool fine = fd >= 0;
    for (off_t at = (off_t)(begin / page_bytes()); fine && left > 0;) {
        const size_t n = left < AT_ONCE ? left : AT_ONCE;
        fine = pread(fd, entries, n * sizeof entries[0], at * (off_t)sizeof entries[0]) == (ssize_t)(n * sizeof entries[0]);
        for (size_t i = 0; fine && i < n; i++)
            fine = !(entries[i] & (IS_PRESENT | IS_SWAPPED)) || (entries[i] & IS_OF_FILE);
        at += (off_t)n;
        left -= n;
    }
    if (fd >= 0)
        close(fd);
    return fine;
}

bool wr_working_set_forget(uintptr_t begin, uintptr_t end) {
    return is_as_in_file(begin, end) && madvise((void *)begin, end - begin, MADV_DONTNEED) == 0;
}

/* Segments that nobody writes to. The loader's lock is held: none of them is unloaded meanwhile. */
static int forget_unwritten(struct dl_phdr_info *object, size_t size, void *user) {
    const uintptr_t page = page_bytes();
    (void)size, (void)user;
    for (unsigned i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W))
            continue;
        const uintptr_t begin = (object->dlpi_addr + segment->p_vaddr) & ~(page - 1);
        const uintptr_t end = (object->dlpi_addr + segment->p_vaddr + segment->p_memsz + page - 1) & ~(page - 1);
        (void)wr_working_set_forget(begin, end);
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
