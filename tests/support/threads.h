/* How many threads this process has, for tests that no thread is left behind.
 *
 * Threads: any. Linux only: counts /proc/self/task.
 */
#ifndef WEIR_TESTS_SUPPORT_THREADS_H
#define WEIR_TESTS_SUPPORT_THREADS_H

unsigned wr_threads_count(void);

/* Fails the test when there are more than n threads: a joined one may take the kernel a moment to leave the list. Fewer are none left behind: when n
 * was counted, one that had been joined was still in the list, or an emulator's own has ended since. */
void wr_threads_expect(unsigned n);

#endif
