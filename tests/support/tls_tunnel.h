/* A tunnel for tests that know only of sockets: what is written into one end comes out of a TLS connection, and the other way.
 *
 * Threads: any; each tunnel has one of its own until wr_test_tunnels_close. Errors: a failed start fails the test with a message.
 * Limits: 128 tunnels. Closing the end says goodbye in TLS; a TLS side that ends closes the end.
 */
#ifndef WEIR_TESTS_SUPPORT_TLS_TUNNEL_H
#define WEIR_TESTS_SUPPORT_TLS_TUNNEL_H

#include "transport/tls.h"

/* How long a handshake may take. */
extern int64_t wr_test_tls_patience_ns;

/* Connects to 127.0.0.1:port as "localhost"; the handshake is over when this returns. */
int wr_test_tunnel(uint16_t port, const struct wr_tls_config *config);
/* The connection alone: its descriptor is *ret_fd, close both. NULL: the handshake failed, as err says. */
struct wr_tls_stream *wr_test_tls_dial(uint16_t port, const struct wr_tls_config *config, int *ret_fd, struct wr_error *err);
/* Writes all of it, and waits where it must. False: the connection broke. */
bool wr_test_tls_write(struct wr_tls_stream *stream, int fd, const char *bytes, size_t len);
/* Waits until all tunnels have ended; the ends, or the other side, are closed by then. */
void wr_test_tunnels_close(void);

#endif
