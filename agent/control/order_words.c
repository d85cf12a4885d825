#include "agent/control/order_words.h"

#include <stdio.h>
#include <string.h>

#include "core/utf8.h"

struct words {
    const char *command; /* `weir` COMMAND */
    struct wr_buf *problem;
};

static bool complain(const struct words *words, const char *what) {
    (void)!wr_buf_printf(words->problem, "weir %s: %s. Try 'weir %s --help'.\n", words->command, what, words->command);
    return false;
}

static bool take_text(char *into, size_t size, const char *text, const char *what, const struct words *words) {
    char problem[96];
    snprintf(problem, sizeof problem, "%s is longer than %zu bytes", what, size - 1);
    if (strlen(text) >= size)
        return complain(words, problem);
    snprintf(problem, sizeof problem, "%s takes plain UTF-8 text, without control characters", what);
    if (!wr_order_is_plain(text, strlen(text)))
        return complain(words, problem);
    wr_utf8_copy(into, size, text);
    return true;
}

static bool take_time(struct wr_order *order, const char *option, const char *value, const struct words *words) {
    if (strcmp(option, "--for") == 0)
        return wr_order_take_for(order, value) || complain(words, "--for takes a duration, as 90m or 2h");
    const enum wr_result result = wr_order_take_until(order, value);
    return result == WR_OK || complain(words, result == WR_NO_MEMORY ? "no memory" : "--until takes a time, as 2026-03-02T16:00:00Z");
}

/* The word behind an option. */
static bool take_option(struct wr_order *order, const char *option, const char *value, const struct words *words) {
    if (strcmp(option, "--by") == 0)
        return take_text(order->by_whom, sizeof order->by_whom, value, "the name behind --by", words);
    if (strcmp(option, "--why") == 0)
        return take_text(order->why, sizeof order->why, value, "the text behind --why", words);
    if (strcmp(option, "--key") == 0)
        return take_text(order->key, WR_COMMAND_KEY_BYTES, value, "the key", words);
    return take_time(order, option, value, words);
}

bool wr_order_option(const char *word) {
    static const char *const options[] = {"--by", "--why", "--key", "--for", "--until"};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (strcmp(word, options[i]) == 0)
            return true;
    return false;
}

static bool check(const struct wr_order *order, const struct words *words) {
    static const char *const flaws[] = {
        [WR_ORDER_WITHOUT_ALARM] = "which alarm? RULE, or RULE{room=A1}",
        [WR_ORDER_SHELVES_WITHOUT] = "to shelve needs --why TEXT, and --for 2h or --until TIME",
        [WR_ORDER_OOS_WITHOUT] = "oos needs --why with a reference: a work order, a permit",
        [WR_ORDER_TIMED] = "--for and --until go with shelve",
        [WR_ORDER_TWICE_TIMED] = "--for and --until exclude each other",
    };
    const enum wr_order_flaw flaw = wr_order_flaw(order);
    return flaw == WR_ORDER_FINE || complain(words, flaws[flaw]);
}

bool wr_order_from_words(struct wr_order *order, const char *command, int argc, char **argv, bool *ret_json, struct wr_buf *problem) {
    const struct words in = {command, problem}, *words = &in;
    for (int i = 1; i < argc; i++) {
        if (ret_json && strcmp(argv[i], "--json") == 0) {
            *ret_json = true;
        } else if (wr_order_option(argv[i])) {
            if (i + 1 == argc)
                return complain(words, "the last option needs a value");
            if (!take_option(order, argv[i], argv[i + 1], words))
                return false;
            i++;
        } else if (argv[i][0] == '-' || order->alarm[0] != '\0') {
            char what[96];
            snprintf(what, sizeof what, "'%.60s' makes no sense here", argv[i]);
            return complain(words, what);
        } else if (!take_text(order->alarm, sizeof order->alarm, argv[i], "the alarm", words)) {
            return false;
        }
    }
    return check(order, words);
}
