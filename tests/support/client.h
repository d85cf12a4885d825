/* A client on a plain TCP socket.
 *
 * All of it by sendto and recvfrom: calls of the system, not of the code under test, so they do not count for wr_failing_io.
 * Threads: any. Errors: what a test cannot go on without fails it.
 */
#ifndef WEIR_TESTS_SUPPORT_CLIENT_H
#define WEIR_TESTS_SUPPORT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Connects to 127.0.0.1:port. What is sent goes at once. */
int wr_test_dial(uint16_t port);
/* Sends all of it. False: the peer has closed. */
bool wr_test_put(int fd, const char *bytes, size_t len);
/* Sends all of it, or the test fails. */
void wr_test_put_text(int fd, const char *text);
/* Reads one reply of HTTP, with its body, into text, and nothing behind it. Its status; 0: the connection ended before, or the socket's patience. */
int wr_test_get_reply(int fd, char *text, size_t size);
/* Waits for the end, ten seconds at most. False: there is none, or something was said before it. */
bool wr_test_is_closed(int fd);

#endif
