#include "agent/control/control_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "agent/process/unix_socket.h"

#define ANSWER_TIMEOUT_S 30

static enum wr_result send_words(int fd, int argc, char *const *argv, struct wr_error *err) {
    for (int i = 0; i < argc; i++) {
        size_t len = strlen(argv[i]) + 1;
        if (send(fd, argv[i], len, MSG_NOSIGNAL) != (ssize_t)len)
            return wr_error_set(err, WR_IO, "the agent hung up: %s", strerror(errno));
    }
    shutdown(fd, SHUT_WR);
    return WR_OK;
}

static enum wr_result read_answer(int fd, struct wr_buf *raw, struct wr_error *err) {
    char chunk[4096];
    ssize_t got;
    while ((got = read(fd, chunk, sizeof chunk)) > 0)
        WR_TRY(wr_buf_append(raw, chunk, (size_t)got));
    return got == 0 ? WR_OK : wr_error_set(err, WR_TIMEOUT, "the agent did not answer within %d s", ANSWER_TIMEOUT_S);
}

static enum wr_result connect_any(const struct wr_config_control *control, int *ret_fd, struct wr_error *err) {
    enum wr_result result = wr_unix_socket_connect(control->socket, ret_fd, err);
    if (result == WR_NOT_FOUND && control->socket_of_service)
        result = wr_unix_socket_connect(control->socket_of_service, ret_fd, NULL) == WR_OK ? WR_OK : WR_NOT_FOUND;
    return result == WR_OK ? WR_OK : wr_error_wrap(err, "no agent answers");
}

enum wr_result wr_control_client_ask(const struct wr_config_control *control, int argc, char *const *argv, int *ret_code,
                                     struct wr_buf *answer, struct wr_error *err) {
    int fd;
    WR_TRY(connect_any(control, &fd, err));
    const struct timeval timeout = {.tv_sec = ANSWER_TIMEOUT_S};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    struct wr_buf raw;
    wr_buf_init(&raw, 0);
    enum wr_result result = send_words(fd, argc, argv, err);
    if (result == WR_OK)
        result = read_answer(fd, &raw, err);
    if (result == WR_OK) {
        const char *text = wr_buf_str(&raw);
        char *end;
        long code = strtol(text, &end, 10);
        if (end == text || *end != '\n')
            result = wr_error_set(err, WR_PROTOCOL, "the agent's answer makes no sense: is it another version?");
        else
            result = wr_buf_append(answer, end + 1, raw.len - (size_t)(end + 1 - text)); /* bodies of segments are no text */
        *ret_code = (int)code;
    }
    wr_buf_fini(&raw);
    close(fd);
    return result;
}
