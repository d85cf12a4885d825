/* How many threads this process has, for tests that no thread is left behind.
 *
 * Threads: any. Linux only: counts /proc/self/task.
 */
#ifndef WEIR_TESTS_SUPPORT_THREADS_H
#define WEIR_TESTS_SUPPORT_THREADS_H

unsigned wr_threads_count(void);

/* Fails the test unless there are n threads; a joined one may take the kernel a moment to leave the list. */
void wr_threads_expect(unsigned n);

#endif
