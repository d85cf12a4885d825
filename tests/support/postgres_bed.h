/* A real PostgreSQL for tests of weir-receive: tests/support/postgres.py as a child, with the tables made, and a connection to ask by.
 *
 * One a program. Threads: one at a time.
 */
#ifndef WEIR_TESTS_SUPPORT_POSTGRES_BED_H
#define WEIR_TESTS_SUPPORT_POSTGRES_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/receive/postgres_connection.h"

static char postgres_bed_url[300];
static struct wr_postgres_options postgres_bed = {.url = postgres_bed_url,
                                                  .schema = "weir",
                                                  .connect_timeout_ns = 10 * WR_NS_PER_S,
                                                  .statement_timeout_ns = 20 * WR_NS_PER_S,
                                                  .stop_fd = -1};
static struct wr_postgres_connection postgres_bed_asking = {.options = &postgres_bed};
static pid_t postgres_bed_server;
static int postgres_bed_stdin;

/* Fails the test where PostgreSQL refuses. Gives the first column of the first row, "" without one; into NULL: it is not wanted. */
static void postgres_bed_query(const char *sql, char *into, size_t size) {
    struct wr_error err;
    PGresult *result = NULL;
    if (!postgres_bed_asking.conn)
        assert_int_equal(wr_postgres_connect(&postgres_bed_asking, &err), WR_OK);
    if (wr_postgres_exec(&postgres_bed_asking, sql, NULL, 0, &result, &err) != WR_OK)
        fail_msg("%s: %s", sql, err.text);
    if (into)
        snprintf(into, size, "%s", PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
}

/* Closes the connection by which is asked; the next question makes it anew. */
static void postgres_bed_let_go(void) {
    if (postgres_bed_asking.conn)
        wr_postgres_disconnect(&postgres_bed_asking);
}

/* Setup and teardown of a group of tests. */
static int postgres_bed_start(void **state) {
    int in[2];
    int out[2];
    (void)state;
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    fflush(stdout);
    postgres_bed_server = fork();
    if (postgres_bed_server == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        close(out[0]);
        execl("/usr/bin/python3", "python3", WEIR_SOURCE_DIR "/tests/support/postgres.py", (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    postgres_bed_stdin = in[1];
    FILE *lines = fdopen(out[0], "r");
    assert_non_null(fgets(postgres_bed_url, sizeof postgres_bed_url, lines));
    postgres_bed_url[strcspn(postgres_bed_url, "\n")] = '\0';
    fclose(lines);
    struct wr_error err;
    if (wr_postgres_init(&postgres_bed, &err) != WR_OK)
        fail_msg("%s", err.text);
    return 0;
}

static int postgres_bed_stop(void **state) {
    (void)state;
    int status;
    postgres_bed_let_go();
    close(postgres_bed_stdin);
    waitpid(postgres_bed_server, &status, 0);
    return 0;
}

#endif
