/* Unix stream sockets that listen on a path: mode 0660, a stale file replaced, a live one never.
 *
 * Threads: any. Errors name the path.
 */
#ifndef WEIR_AGENT_PROCESS_UNIX_SOCKET_H
#define WEIR_AGENT_PROCESS_UNIX_SOCKET_H

#include "core/result.h"

/* Makes the directory of the path if it is missing (one level). WR_EXISTS: somebody answers there. WR_DENIED: the path is no socket. */
WR_MUST_USE enum wr_result wr_unix_socket_listen(const char *path, int *ret_fd, struct wr_error *err);
WR_MUST_USE enum wr_result wr_unix_socket_connect(const char *path, int *ret_fd, struct wr_error *err);

#endif
