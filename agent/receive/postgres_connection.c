#include "agent/receive/postgres_connection.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>

#include "agent/receive/members.h"
#include "core/clock.h"
#include "transport/credential.h"

#define PASSWORD_BYTES 4096

/* -- waiting ---------------------------------------------------------------------------------------------------------------------------------- */

/* libpq's messages have several lines; ours have one. */
static enum wr_result told(enum wr_result code, const char *what, const char *message, struct wr_error *err) {
    char text[WR_ERROR_TEXT_BYTES];
    size_t len = strlen(message);
    while (len > 0 && (message[len - 1] == '\n' || message[len - 1] == ' '))
        len--;
    wr_error_escape(text, sizeof text, message, len);
    for (char *newline; (newline = strstr(text, "\\x0a")) != NULL;)
        memcpy(newline, " :  ", 4);
    return wr_error_set(err, code, "PostgreSQL: %s: %s", what, text);
}

static enum wr_result broken(struct wr_postgres_connection *connection, enum wr_result code, const char *what, struct wr_error *err) {
    const enum wr_result result = told(code, what, PQerrorMessage(connection->conn), err);
    wr_postgres_disconnect(connection);
    return result;
}

static enum wr_result wait_for(struct wr_postgres_connection *connection, short events, int64_t deadline_ns, struct wr_error *err) {
    for (;;) {
        struct pollfd fds[] = {{.fd = PQsocket(connection->conn), .events = events},
                               {.fd = connection->options->stop_fd, .events = POLLIN}};
        const int64_t left_ns = deadline_ns - wr_clock_boot_ns(wr_clock_real());
        if (left_ns <= 0) {
            wr_postgres_disconnect(connection);
            return wr_error_set(err, WR_TIMEOUT, "PostgreSQL: no answer in time");
        }
        const int ready = poll(fds, 2, (int)(left_ns / WR_NS_PER_MS) + 1);
        if (ready > 0 && fds[1].revents != 0 && fds[0].revents == 0) {
            wr_postgres_disconnect(connection);
            return wr_error_set(err, WR_CANCELED, "PostgreSQL: stopped while waiting for an answer");
        }
        if (ready > 0 && fds[0].revents != 0)
            return WR_OK;
        if (ready < 0 && errno != EINTR)
            return broken(connection, WR_IO, "poll", err);
    }
}

static int64_t statement_deadline(const struct wr_postgres_connection *connection) {
    return wr_clock_boot_ns(wr_clock_real()) + connection->options->statement_timeout_ns;
}

/* Sends what libpq holds back; reads meanwhile, so that neither side waits for the other. */
static enum wr_result flush(struct wr_postgres_connection *connection, int64_t deadline_ns, struct wr_error *err) {
    for (;;) {
        const int left = PQflush(connection->conn);
        if (left == 0)
            return WR_OK;
        if (left < 0)
            return broken(connection, WR_IO, "send", err);
        WR_TRY(wait_for(connection, POLLIN | POLLOUT, deadline_ns, err));
        if (PQconsumeInput(connection->conn) == 0)
            return broken(connection, WR_IO, "receive", err);
    }
}

/* The next result; NULL: there is none more. */
static enum wr_result next_result(struct wr_postgres_connection *connection, int64_t deadline_ns, PGresult **ret_result,
                                  struct wr_error *err) {
    while (PQisBusy(connection->conn)) {
        WR_TRY(wait_for(connection, POLLIN, deadline_ns, err));
        if (PQconsumeInput(connection->conn) == 0)
            return broken(connection, WR_IO, "receive", err);
    }
    *ret_result = PQgetResult(connection->conn);
    return WR_OK;
}

/* What an error of the server means for us. */
static enum wr_result code_of(const PGresult *result) {
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (!state)
        return WR_IO;
    if (strncmp(state, "22", 2) == 0 || strncmp(state, "23", 2) == 0 || strncmp(state, "54", 2) == 0)
        return WR_CORRUPT;
    return strncmp(state, "28", 2) == 0 || strcmp(state, "42501") == 0 ? WR_DENIED : WR_IO;
}

static enum wr_result refused(struct wr_postgres_connection *connection, const PGresult *result, struct wr_error *err) {
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    char what[32];
    (void)snprintf(what, sizeof what, "SQLSTATE %s", state ? state : "none");
    const char *message = PQresultErrorMessage(result);
    const enum wr_result code = told(code_of(result), what, message[0] ? message : PQerrorMessage(connection->conn), err);
    if (code != WR_CORRUPT || PQstatus(connection->conn) != CONNECTION_OK)
        wr_postgres_disconnect(connection);
    return PQstatus(connection->conn) == CONNECTION_OK ? code : code == WR_CORRUPT ? WR_IO : code;
}

/* All results of what was sent. The last good one is *ret_result, or the first error counts. */
static enum wr_result drain(struct wr_postgres_connection *connection, int64_t deadline_ns, ExecStatusType wanted, PGresult **ret_result,
                            struct wr_error *err) {
    PGresult *kept = NULL;
    PGresult *failed = NULL;
    for (;;) {
        PGresult *result = NULL;
        const enum wr_result got = next_result(connection, deadline_ns, &result, err);
        if (got != WR_OK) {
            PQclear(kept);
            PQclear(failed);
            return got;
        }
        if (!result)
            break;
        const ExecStatusType status = PQresultStatus(result);
        const bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == wanted;
        PGresult **place = good ? &kept : &failed;
        if (!good && failed) {
            PQclear(result);
        } else {
            PQclear(*place);
            *place = result;
        }
        if (status == PGRES_COPY_IN)
            break;
    }
    enum wr_result result = WR_OK;
    if (failed)
        result = refused(connection, failed, err);
    PQclear(failed);
    if (result == WR_OK && ret_result)
        *ret_result = kept;
    else
        PQclear(kept);
    return result;
}

/* -- life ----------------------------------------------------------------------------------------------------------------------------------------- */

enum wr_result wr_postgres_check(const char *url, struct wr_error *err) {
    char *message = NULL;
    PQconninfoOption *parsed = PQconninfoParse(url, &message);
    enum wr_result result = WR_OK;
    if (!parsed)
        result = told(WR_INVALID, "address", message ? message : "no memory", err);
    for (const PQconninfoOption *option = parsed; option && option->keyword && result == WR_OK; option++)
        if (option->val && option->val[0] && (strcmp(option->keyword, "password") == 0 || strcmp(option->keyword, "sslpassword") == 0))
            result = wr_error_set(err, WR_INVALID, "a password has no place in an address: give a file with postgres_password_file");
    PQfreemem(message);
    PQconninfoFree(parsed);
    return result;
}

/* Notices are for people at a terminal; what ends a connection comes as an error, too. */
static void ignore_notice(void *user, const PGresult *notice) {
    (void)user, (void)notice;
}

static enum wr_result poll_connect(struct wr_postgres_connection *connection, struct wr_error *err) {
    const int64_t deadline_ns = wr_clock_boot_ns(wr_clock_real()) + connection->options->connect_timeout_ns;
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    for (;;) {
        if (state == PGRES_POLLING_OK)
            return WR_OK;
        if (state == PGRES_POLLING_FAILED)
            return broken(connection, WR_IO, "connect", err);
        WR_TRY(wait_for(connection, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline_ns, err));
        state = PQconnectPoll(connection->conn);
    }
}

/* What we left waiting or open when we gave a connection up must not hold locks: the server would notice only when TCP does, after hours, and
 * each of our attempts with the same keys would leave one more process waiting. */
static enum wr_result set_up(struct wr_postgres_connection *connection, struct wr_error *err) {
    char sql[256];
    const int64_t timeout_ms = connection->options->statement_timeout_ns / WR_NS_PER_MS;
    (void)snprintf(sql, sizeof sql,
                   "SET synchronous_commit TO on; SET client_min_messages TO warning; SET lock_timeout TO %" PRId64
                   "; SET idle_in_transaction_session_timeout TO %" PRId64,
                   timeout_ms, timeout_ms);
    return wr_postgres_exec(connection, sql, NULL, 0, NULL, err);
}

enum wr_result wr_postgres_connect(struct wr_postgres_connection *connection, struct wr_error *err) {
    struct wr_credential password = {0};
    const char *names[] = {"dbname", "fallback_application_name", "client_encoding", "password", NULL};
    const char *values[] = {connection->options->url, "weir-receive", "UTF8", NULL, NULL};
    if (connection->options->password_file) {
        WR_TRY(wr_credential_read(connection->options->password_file, PASSWORD_BYTES, &password, err));
        wr_credential_trim(&password);
        values[3] = (const char *)password.data;
    } else {
        names[3] = NULL;
    }
    connection->conn = PQconnectStartParams(names, values, 1);
    wr_credential_free(&password);
    if (!connection->conn)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a connection to PostgreSQL");
    if (PQstatus(connection->conn) == CONNECTION_BAD)
        return broken(connection, WR_IO, "connect", err);
    (void)PQsetNoticeReceiver(connection->conn, ignore_notice, NULL);
    WR_TRY(poll_connect(connection, err));
    if (PQsetnonblocking(connection->conn, 1) != 0)
        return broken(connection, WR_IO, "connect", err);
    return set_up(connection, err);
}

void wr_postgres_disconnect(struct wr_postgres_connection *connection) {
    PQfinish(connection->conn);
    connection->conn = NULL;
}

/* -- use -------------------------------------------------------------------------------------------------------------------------------------------- */

enum wr_result wr_postgres_exec(struct wr_postgres_connection *connection, const char *sql, const char *const *params, int n,
                                PGresult **ret_result, struct wr_error *err) {
    const int64_t deadline_ns = statement_deadline(connection);
    const int sent = n > 0 ? PQsendQueryParams(connection->conn, sql, n, NULL, params, NULL, NULL, 0) : PQsendQuery(connection->conn, sql);
    if (sent == 0)
        return broken(connection, WR_IO, "send", err);
    WR_TRY(flush(connection, deadline_ns, err));
    return drain(connection, deadline_ns, PGRES_TUPLES_OK, ret_result, err);
}

enum wr_result wr_postgres_copy_begin(struct wr_postgres_connection *connection, const char *sql, struct wr_error *err) {
    const int64_t deadline_ns = statement_deadline(connection);
    if (PQsendQuery(connection->conn, sql) == 0)
        return broken(connection, WR_IO, "send", err);
    WR_TRY(flush(connection, deadline_ns, err));
    return drain(connection, deadline_ns, PGRES_COPY_IN, NULL, err);
}

enum wr_result wr_postgres_copy_put(struct wr_postgres_connection *connection, const void *bytes, size_t len, struct wr_error *err) {
    const int64_t deadline_ns = statement_deadline(connection);
    for (;;) {
        const int put = PQputCopyData(connection->conn, bytes, (int)len);
        if (put > 0)
            return flush(connection, deadline_ns, err);
        if (put < 0)
            return broken(connection, WR_IO, "copy", err);
        WR_TRY(flush(connection, deadline_ns, err));
    }
}

enum wr_result wr_postgres_copy_end(struct wr_postgres_connection *connection, struct wr_error *err) {
    const int64_t deadline_ns = statement_deadline(connection);
    int put;
    while ((put = PQputCopyEnd(connection->conn, NULL)) == 0)
        WR_TRY(flush(connection, deadline_ns, err));
    if (put < 0)
        return broken(connection, WR_IO, "copy", err);
    WR_TRY(flush(connection, deadline_ns, err));
    return drain(connection, deadline_ns, PGRES_COMMAND_OK, NULL, err);
}

/* -- arrays ------------------------------------------------------------------------------------------------------------------------------------------ */

enum wr_result wr_postgres_array_begin(struct wr_buf *into) {
    wr_buf_clear(into);
    return wr_buf_text(into, "{");
}

static enum wr_result comma(struct wr_buf *into) {
    return into->len > 1 ? wr_buf_text(into, ",") : WR_OK;
}

enum wr_result wr_postgres_array_text(struct wr_buf *into, const char *text, size_t len) {
    WR_TRY(comma(into));
    WR_TRY(wr_buf_text(into, "\""));
    for (const char *end = text + len; text < end;) {
        size_t run = 0;
        while (text + run < end && text[run] != '"' && text[run] != '\\')
            run++;
        WR_TRY(wr_members_utf8(into, text, run));
        text += run;
        if (text < end) {
            WR_TRY(wr_buf_text(into, "\\"));
            WR_TRY(wr_buf_append(into, text++, 1));
        }
    }
    return wr_buf_text(into, "\"");
}

enum wr_result wr_postgres_array_bytes(struct wr_buf *into, const void *bytes, size_t len) {
    static const char hex[] = "0123456789abcdef";
    WR_TRY(comma(into));
    WR_TRY(wr_buf_reserve(into, 2 * len + 8));
    WR_TRY(wr_buf_text(into, "\"\\\\x"));
    for (size_t i = 0; i < len; i++) {
        const uint8_t byte = ((const uint8_t *)bytes)[i];
        const char digits[2] = {hex[byte >> 4], hex[byte & 15]};
        WR_TRY(wr_buf_append(into, digits, 2));
    }
    return wr_buf_text(into, "\"");
}

enum wr_result wr_postgres_array_int(struct wr_buf *into, int64_t value) {
    WR_TRY(comma(into));
    return wr_buf_printf(into, "%" PRId64, value);
}

enum wr_result wr_postgres_array_end(struct wr_buf *into) {
    return wr_buf_text(into, "}");
}
