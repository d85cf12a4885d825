/* A preloaded shim for the release build: dies, hangs or waits at chosen system calls of SQLite's write-ahead log; and sets the wall clock of one process.
 *
 *   WEIR_SHIM_KILL_SYNC=N          SIGKILL before the Nth fdatasync or fsync of a *-wal file (from 1)
 *   WEIR_SHIM_KILL_AFTER_PUBACK=N  SIGKILL at the first write to a *-wal file after the MQTT client has read its Nth PUBACK
 *   WEIR_SHIM_HANG_WHILE=FILE      writes and syncs of *-wal files wait as long as FILE exists: a disk that stands still
 *   WEIR_SHIM_WALL=FILE            the wall clock is off by the nanoseconds in FILE (eight bytes, native; changes take effect at once), and the kernel calls it unsynchronised
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define PUBACK 0x40
#define FDS 65536

static _Atomic long syncs;
static _Atomic long pubacks;
static _Atomic signed char is_wal[FDS]; /* 0 unknown, 1 yes, -1 no; a descriptor is looked up once after it was opened */

static bool wal(int fd) {
    if (fd < 0 || fd >= FDS)
        return false;
    if (is_wal[fd] == 0) {
        char link[64], path[4096];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t len = readlink(link, path, sizeof path);
        is_wal[fd] = len >= 4 && memcmp(path + len - 4, "-wal", 4) == 0 ? 1 : -1;
    }
    return is_wal[fd] == 1;
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

static void before_write(int fd) {
    const char *hang = getenv("WEIR_SHIM_HANG_WHILE");
    const char *nth_puback = getenv("WEIR_SHIM_KILL_AFTER_PUBACK");
    bool after_puback = nth_puback && pubacks >= atol(nth_puback);
    if ((!hang && !after_puback) || !wal(fd))
        return;
    if (after_puback)
        die();
    while (access(hang, F_OK) == 0) {
        const struct timespec pause_for = {0, 1000000};
        nanosleep(&pause_for, NULL);
    }
}

static void before_sync(int fd) {
    before_write(fd);
    const char *nth = getenv("WEIR_SHIM_KILL_SYNC");
    if (nth && wal(fd) && ++syncs == atol(nth))
        die();
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int close(int fd) {
    if (fd >= 0 && fd < FDS)
        is_wal[fd] = 0;
    return REAL(close)(fd);
}

ssize_t pwrite64(int fd, const void *from, size_t len, off64_t at) {
    before_write(fd);
    return REAL(pwrite64)(fd, from, len, at);
}

ssize_t pwrite(int fd, const void *from, size_t len, off_t at) {
    before_write(fd);
    return REAL(pwrite)(fd, from, len, at);
}

int fdatasync(int fd) {
    before_sync(fd);
    return REAL(fdatasync)(fd);
}

int fsync(int fd) {
    before_sync(fd);
    return REAL(fsync)(fd);
}

/* paho reads the first byte of each packet on its own. */
ssize_t recv(int fd, void *into, size_t len, int flags) {
    ssize_t got = REAL(recv)(fd, into, len, flags);
    if (got >= 1 && (*(unsigned char *)into & 0xf0) == PUBACK)
        pubacks++;
    return got;
}

static const _Atomic int64_t *wall_offset(void) {
    static const _Atomic int64_t *mapped;
    const char *file = getenv("WEIR_SHIM_WALL");
    if (mapped || !file)
        return mapped;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    void *map = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *mapped, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        abort();
    REAL(close)(fd);
    mapped = map;
    return mapped;
}

int clock_gettime(clockid_t id, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real)
        real = REAL(clock_gettime);
    const int result = real(id, now);
    const _Atomic int64_t *offset = id == CLOCK_REALTIME ? wall_offset() : NULL;
    if (result != 0 || !offset)
        return result;
    const int64_t ns = (int64_t)now->tv_sec * 1000000000 + now->tv_nsec + *offset;
    *now = (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    return 0;
}

int adjtimex(struct timex *state) {
    return getenv("WEIR_SHIM_WALL") ? TIME_ERROR : REAL(adjtimex)(state);
}
