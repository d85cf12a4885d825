#include "agent/control/control_alarms.h"

#include <string.h>

#include "agent/commands/commands.h"
#include "agent/control/alarm_list.h"
#include "agent/control/control_orders.h"
#include "agent/control/order_words.h"
#include "agent/control/orders.h"

static int list(struct wr_agent *agent, const struct wr_alarm_listing *wanted, struct wr_buf *answer) {
    struct wr_error err = {0};
    const enum wr_result result = wr_alarm_list(agent, wanted, NULL, answer, &err);
    if (result == WR_OK)
        return WR_EXIT_OK;
    wr_buf_clear(answer); /* what there was room for is no list */
    (void)!wr_buf_printf(answer, "weir alarms: %s\n", err.text[0] ? err.text : wr_result_name(result));
    return result == WR_NOT_FOUND || result == WR_INVALID ? WR_EXIT_FOUND : WR_EXIT_CANNOT;
}

static bool is_only(const char *word) {
    return strcmp(word, "--only") == 0;
}

/* Where the verb of a command stands, behind options perhaps; 0: it is none. */
static int find_verb(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (wr_order_verb_of(argv[i]))
            return i;
        i += wr_order_option(argv[i]) || is_only(argv[i]);
    }
    return 0;
}

int wr_control_alarms(struct wr_agent *agent, int argc, char **argv, const char *by_whom, struct wr_buf *answer) {
    struct wr_alarm_listing wanted = {0};
    const int verb = find_verb(argc, argv);
    if (verb > 0) {
        char *word = argv[verb];
        memmove(argv + 1, argv, (size_t)verb * sizeof *argv);
        argv[1] = word;
        return wr_control_order(agent, argc - 1, argv + 1, by_whom, answer);
    }
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            wanted.json = true;
        } else if (strcmp(argv[i], "--all") == 0) {
            wanted.all = true;
        } else if (is_only(argv[i]) && i + 1 < argc) {
            wanted.only = argv[++i];
        } else {
            (void)!wr_buf_printf(answer, "weir alarms: '%s' makes no sense here. Try 'weir alarms --help'.\n", argv[i]);
            return WR_EXIT_CANNOT;
        }
    }
    return list(agent, &wanted, answer);
}
