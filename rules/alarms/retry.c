#include "rules/alarms/retry.h"

#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/quantity.h"

#define ACCEPTED "write tries, wait and factor, as \"3 1s x2\""
#define PERCENT_MAX 1000

/* The next word into word[size]; NULL: there is none. */
static const char *next_word(const char **at, char *word, size_t size) {
    *at += strspn(*at, " ");
    const size_t len = strcspn(*at, " ");
    if (len == 0)
        return NULL;
    (void)snprintf(word, size, "%.*s", (int)(len < size ? len : size - 1), *at); /* what is cut is too long to be right */
    *at += len;
    return word;
}

static enum wr_result read_tries(const char *word, uint32_t *ret_tries, struct wr_error *err) {
    uint32_t tries = 0;
    const char *c = word;
    for (; *c >= '0' && *c <= '9' && tries <= WR_RETRY_TRIES; c++)
        tries = tries * 10 + (uint32_t)(*c - '0');
    if (*c || tries < 1 || tries > WR_RETRY_TRIES)
        return wr_error_set(err, WR_INVALID, "a number of tries from 1 to %d comes first; " ACCEPTED, WR_RETRY_TRIES);
    *ret_tries = tries;
    return WR_OK;
}

/* "x2", "x1.5". */
static enum wr_result read_factor(const char *word, uint32_t *ret_percent, struct wr_error *err) {
    uint32_t percent = 0, digits = 0;
    const char *c = word + (*word == 'x');
    for (; *c >= '0' && *c <= '9' && percent <= PERCENT_MAX; c++, digits++)
        percent = percent * 10 + (uint32_t)(*c - '0');
    percent *= 100;
    if (digits > 0 && *c == '.' && c[1]) {
        c++;
        for (uint32_t unit = 10; *c >= '0' && *c <= '9' && unit > 0; c++, unit /= 10)
            percent += unit * (uint32_t)(*c - '0');
    }
    if (*word != 'x' || digits == 0 || *c || percent < 100 || percent > PERCENT_MAX)
        return wr_error_set(err, WR_INVALID, "a factor from x1 to x10 comes last; " ACCEPTED);
    *ret_percent = percent;
    return WR_OK;
}

enum wr_result wr_retry_parse(const char *text, struct wr_retry *ret_retry, struct wr_error *err) {
    struct wr_retry retry = {.percent = 100};
    char word[32];
    const char *at = text;
    if (!next_word(&at, word, sizeof word))
        return wr_error_set(err, WR_INVALID, "nothing; " ACCEPTED);
    WR_TRY(read_tries(word, &retry.tries, err));
    if (next_word(&at, word, sizeof word)) {
        struct wr_error wrong = {0};
        if (wr_quantity_duration(word, &retry.wait_ns, &wrong) != WR_OK || retry.wait_ns < WR_NS_PER_MS ||
            retry.wait_ns > WR_RETRY_WAIT_MAX_NS)
            return wr_error_set(err, WR_INVALID, "a wait from 1ms to 10m comes second; " ACCEPTED);
        if (next_word(&at, word, sizeof word))
            WR_TRY(read_factor(word, &retry.percent, err));
        if (next_word(&at, word, sizeof word))
            return wr_error_set(err, WR_INVALID, "more than three words; " ACCEPTED);
    } else if (retry.tries > 1) {
        return wr_error_set(err, WR_INVALID, "more than one try needs a wait; " ACCEPTED);
    }
    *ret_retry = retry;
    return WR_OK;
}

int64_t wr_retry_wait_ns(const struct wr_retry *retry, uint32_t tried) {
    int64_t wait_ns = retry->wait_ns;
    for (uint32_t i = 1; i < tried && wait_ns < WR_RETRY_WAIT_MAX_NS && retry->percent > 100; i++)
        wait_ns = wait_ns / 100 * retry->percent + wait_ns % 100 * retry->percent / 100;
    return wait_ns < WR_RETRY_WAIT_MAX_NS ? wait_ns : WR_RETRY_WAIT_MAX_NS;
}
