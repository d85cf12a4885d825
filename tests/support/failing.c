#include "tests/support/failing.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include "core/buf.h"
#include "rules/language/arena.h"
#include "rules/yaml/yaml_private.h"

static _Atomic long allocations_left = -1;
static _Atomic long pieces_left = -1;
static _Atomic long io_left = -1;
static _Atomic long counted;
static _Atomic bool hit;
static _Atomic int io_errno;
static _Atomic bool crashes;

void wr_failing_off(void) {
    allocations_left = -1;
    pieces_left = -1;
    io_left = -1;
    counted = 0;
    hit = false;
    crashes = false;
}

void wr_failing_allocations(long n) {
    wr_failing_off();
    allocations_left = n;
}

void wr_failing_pieces(long n) {
    wr_failing_off();
    pieces_left = n;
}

void wr_failing_io(long n, int with_errno) {
    wr_failing_off();
    io_errno = with_errno;
    io_left = n;
}

void wr_failing_crash(long n) {
    wr_failing_io(n, 0);
    crashes = true;
}

bool wr_failing_hit(void) {
    return hit;
}
long wr_failing_count(void) {
    return counted;
}

static bool is_any_armed(void) {
    return allocations_left >= 0 || pieces_left >= 0 || io_left >= 0;
}

/* Counts down; true for the one call that must fail. */
static bool fails(_Atomic long *left) {
    long now = *left;
    counted += now >= 0 || !is_any_armed();
    while (now >= 0) {
        if (atomic_compare_exchange_weak(left, &now, now - 1)) {
            if (now != 0)
                return false;
            hit = true;
            return true;
        }
    }
    return false;
}

/* The names are the linker's. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
ssize_t __real_read(int fd, void *into, size_t len);
ssize_t __real_write(int fd, const void *from, size_t len);
ssize_t __real_send(int fd, const void *from, size_t len, int flags);
ssize_t __real_recv(int fd, void *into, size_t len, int flags);
int __real_recvmmsg(int fd, struct mmsghdr *into, unsigned n, int flags, struct timespec *timeout);
int __real_fdatasync(int fd);
int __real_rename(const char *from, const char *to);
int __real_link(const char *from, const char *to);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
ssize_t __wrap_read(int fd, void *into, size_t len);
ssize_t __wrap_write(int fd, const void *from, size_t len);
ssize_t __wrap_send(int fd, const void *from, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *into, size_t len, int flags);
int __wrap_recvmmsg(int fd, struct mmsghdr *into, unsigned n, int flags, struct timespec *timeout);
int __wrap_fdatasync(int fd);
int __wrap_rename(const char *from, const char *to);
int __wrap_link(const char *from, const char *to);

#define OR_NO_MEMORY(call) (fails(&allocations_left) ? (errno = ENOMEM, NULL) : (call))
#define OR_IO_ERROR(call) (fails(&io_left) ? (crashes ? _exit(WR_FAILING_CRASHED) : (void)0, errno = io_errno, -1) : (call))

void *__wrap_malloc(size_t size) {
    return OR_NO_MEMORY(__real_malloc(size));
}
void *__wrap_calloc(size_t n, size_t size) {
    return OR_NO_MEMORY(__real_calloc(n, size));
}
void *__wrap_realloc(void *old, size_t size) {
    return OR_NO_MEMORY(__real_realloc(old, size));
}
char *__wrap_strdup(const char *text) {
    return OR_NO_MEMORY(__real_strdup(text));
}

void *__real_wr_arena_take(struct wr_arena *arena, size_t bytes);
char *__real_wr_arena_text(struct wr_arena *arena, const char *text, size_t len);
char *__real_wr_arena_string(struct wr_arena *arena, const char *text);
void *__real_wr_yaml_arena_take(struct wr_yaml_arena *arena, size_t bytes);
void *__wrap_wr_arena_take(struct wr_arena *arena, size_t bytes);
char *__wrap_wr_arena_text(struct wr_arena *arena, const char *text, size_t len);
char *__wrap_wr_arena_string(struct wr_arena *arena, const char *text);
void *__wrap_wr_yaml_arena_take(struct wr_yaml_arena *arena, size_t bytes);

/* Pieces are counted only while one is to fail: they are no allocations. */
static bool piece_fails(void) {
    return pieces_left >= 0 && fails(&pieces_left);
}

#define OR_NO_PIECE(call) (piece_fails() ? (arena->failed = true, NULL) : (call))

void *__wrap_wr_arena_take(struct wr_arena *arena, size_t bytes) {
    return OR_NO_PIECE(__real_wr_arena_take(arena, bytes));
}
char *__wrap_wr_arena_text(struct wr_arena *arena, const char *text, size_t len) {
    return OR_NO_PIECE(__real_wr_arena_text(arena, text, len));
}
char *__wrap_wr_arena_string(struct wr_arena *arena, const char *text) {
    return OR_NO_PIECE(__real_wr_arena_string(arena, text));
}
void *__wrap_wr_yaml_arena_take(struct wr_yaml_arena *arena, size_t bytes) {
    return piece_fails() ? NULL : __real_wr_yaml_arena_take(arena, bytes);
}

enum wr_result __real_wr_buf_append(struct wr_buf *buf, const void *bytes, size_t len);
enum wr_result __real_wr_buf_text(struct wr_buf *buf, const char *text);
enum wr_result __wrap_wr_buf_append(struct wr_buf *buf, const void *bytes, size_t len);
enum wr_result __wrap_wr_buf_text(struct wr_buf *buf, const char *text);
enum wr_result __wrap_wr_buf_printf(struct wr_buf *buf, const char *format, ...) WR_PRINTF(2, 3);

enum wr_result __wrap_wr_buf_append(struct wr_buf *buf, const void *bytes, size_t len) {
    return piece_fails() ? WR_NO_MEMORY : __real_wr_buf_append(buf, bytes, len);
}
enum wr_result __wrap_wr_buf_text(struct wr_buf *buf, const char *text) {
    return piece_fails() ? WR_NO_MEMORY : __real_wr_buf_text(buf, text);
}

/* The real one cannot be handed these arguments on. */
enum wr_result __wrap_wr_buf_printf(struct wr_buf *buf, const char *format, ...) {
    if (piece_fails())
        return WR_NO_MEMORY;
    va_list arguments;
    va_start(arguments, format);
    const enum wr_result result = wr_buf_vprintf(buf, format, arguments);
    va_end(arguments);
    return result;
}

ssize_t __wrap_read(int fd, void *into, size_t len) {
    return OR_IO_ERROR(__real_read(fd, into, len));
}
ssize_t __wrap_write(int fd, const void *from, size_t len) {
    if (!fails(&io_left))
        return __real_write(fd, from, len);
    if (crashes) {
        (void)!__real_write(fd, from, len / 2);
        _exit(WR_FAILING_CRASHED);
    }
    errno = io_errno;
    return -1;
}
ssize_t __wrap_send(int fd, const void *from, size_t len, int flags) {
    return OR_IO_ERROR(__real_send(fd, from, len, flags));
}
ssize_t __wrap_recv(int fd, void *into, size_t len, int flags) {
    return OR_IO_ERROR(__real_recv(fd, into, len, flags));
}
int __wrap_recvmmsg(int fd, struct mmsghdr *into, unsigned n, int flags, struct timespec *timeout) {
    return OR_IO_ERROR(__real_recvmmsg(fd, into, n, flags, timeout));
}
int __wrap_fdatasync(int fd) {
    return OR_IO_ERROR(__real_fdatasync(fd));
}
int __wrap_rename(const char *from, const char *to) {
    return OR_IO_ERROR(__real_rename(from, to));
}
int __wrap_link(const char *from, const char *to) {
    return OR_IO_ERROR(__real_link(from, to));
}

static const char *_Atomic spawn_held;

void wr_failing_hold_spawn(const char *program) {
    spawn_held = program;
}

static bool is_held(const char *program) {
    const char *held = spawn_held;
    return held && strcmp(program, held) == 0;
}

int __real_posix_spawn(pid_t *ret_pid, const char *path, const posix_spawn_file_actions_t *files, const posix_spawnattr_t *attributes,
                       char *const argv[], char *const variables[]);
int __wrap_posix_spawn(pid_t *ret_pid, const char *path, const posix_spawn_file_actions_t *files, const posix_spawnattr_t *attributes,
                       char *const argv[], char *const variables[]);

int __wrap_posix_spawn(pid_t *ret_pid, const char *path, const posix_spawn_file_actions_t *files, const posix_spawnattr_t *attributes,
                       char *const argv[], char *const variables[]) {
    while (is_held(argv[0]))
        (void)sched_yield();
    return __real_posix_spawn(ret_pid, path, files, attributes, argv, variables);
}

static _Atomic bool kill_is_void;

void wr_failing_no_kill(bool immune) {
    kill_is_void = immune;
}

int __real_kill(pid_t pid, int number);
int __wrap_kill(pid_t pid, int number);

int __wrap_kill(pid_t pid, int number) {
    return kill_is_void && number == SIGKILL ? 0 : __real_kill(pid, number);
}
