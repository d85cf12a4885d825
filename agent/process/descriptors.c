#include "agent/process/descriptors.h"

#include <sys/resource.h>

void wr_descriptors_raise(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= WR_DESCRIPTORS_WANTED)
        return;
    limit.rlim_cur = limit.rlim_max < WR_DESCRIPTORS_WANTED ? limit.rlim_max : WR_DESCRIPTORS_WANTED;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

bool wr_descriptors_spare(int fd) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return true;
    const rlim_t kept = limit.rlim_cur < 2 * WR_DESCRIPTORS_KEPT ? limit.rlim_cur / 2 : WR_DESCRIPTORS_KEPT;
    return (rlim_t)fd < limit.rlim_cur - kept;
}
