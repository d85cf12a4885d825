/* Makes the nth allocation, or the nth read/write/send/recv/recvmmsg/fdatasync/rename/link, of the code under test fail.
 *
 * Use: count a run, then fail each call in turn:
 *   for (long n = 0;; n++) { wr_failing_allocations(n); run(); if (!wr_failing_hit()) break; }
 * An arena or a buffer asks for memory once in many pieces: wr_failing_pieces makes the nth piece fail instead.
 * Counts are of this process, all threads. Calls from shared libraries (SQLite, paho, libc) are not seen.
 */
#ifndef WEIR_TESTS_SUPPORT_FAILING_H
#define WEIR_TESTS_SUPPORT_FAILING_H

#include <stdbool.h>

/* The allocation number n (from 0) fails, once; n < 0: none. */
void wr_failing_allocations(long n);
/* The piece number n (from 0) that is taken of an arena (which stays failed) or put into a wr_buf fails, as without memory, once; n < 0: none. */
void wr_failing_pieces(long n);
/* The I/O call number n (from 0) fails with this errno, once; n < 0: none. */
void wr_failing_io(long n, int with_errno);
/* At the I/O call number n (from 0) the process ends at once, as by kill -9; a write is done by half before. With WR_FAILING_CRASHED. */
#define WR_FAILING_CRASHED 77
void wr_failing_crash(long n);
/* Whether the call that was to fail has come since. */
bool wr_failing_hit(void);
/* How many calls of the kind that was armed came since; of all kinds where none is. */
long wr_failing_count(void);
void wr_failing_off(void);

/* From now on a posix_spawn of this program (a text that must live on) by the code under test does not return, as where it lies on a file system that hangs;
 * NULL: it does again, those that wait too. */
void wr_failing_hold_spawn(const char *program);
/* From now on the SIGKILL of the code under test has no effect, as on a process that hangs in the kernel. */
void wr_failing_no_kill(bool immune);

#endif
