/* Runs a command of the agent in this process, and keeps what it says: stdout, then stderr.
 *
 * As statics, one a program. Threads: one, with nobody else who writes there.
 */
#ifndef WEIR_TESTS_SUPPORT_SAID_H
#define WEIR_TESTS_SUPPORT_SAID_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char said[65536];

/* The words end with NULL; the first is the command's name. Returns its exit code. */
static inline int say(int (*command)(int argc, char **argv), char **words) {
    int argc = 0;
    while (words[argc])
        argc++;
    FILE *out = tmpfile();
    FILE *err = tmpfile();
    assert_true(out && err);
    fflush(stdout);
    fflush(stderr);
    const int old_out = dup(1);
    const int old_err = dup(2);
    dup2(fileno(out), 1);
    dup2(fileno(err), 2);
    const int code = command(argc, words);
    fflush(stdout);
    fflush(stderr);
    dup2(old_out, 1);
    dup2(old_err, 2);
    close(old_out);
    close(old_err);
    rewind(out);
    rewind(err);
    const size_t len = fread(said, 1, sizeof said - 1, out);
    said[len + fread(said + len, 1, sizeof said - 1 - len, err)] = '\0';
    fclose(out);
    fclose(err);
    return code;
}

static inline void expect(int code, int wanted, const char *words) {
    if (code != wanted || !strstr(said, words))
        fail_msg("%d: %s", code, said);
}

#endif
