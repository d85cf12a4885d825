/* The states of an alarm: the tables of docs/alarms.md against the one in the code, cell by cell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "rules/alarms/alarm_state.h"

#define COLUMNS 8
#define CELL 128
#define NONE WR_ALARM_STATES

static char page[128 * 1024];

static int read_page(void **state) {
    (void)state;
    FILE *file = fopen(WEIR_SOURCE_DIR "/docs/alarms.md", "r");
    if (!file)
        return -1;
    size_t len = fread(page, 1, sizeof page - 1, file);
    page[len] = '\0';
    return fclose(file);
}

/* The cells of a line "| a | b |"; 0: it is none. */
static int split(const char *line, char cells[COLUMNS][CELL]) {
    int n = 0;
    if (*line != '|')
        return 0;
    for (const char *at = line + 1; *at && *at != '\n' && n < COLUMNS; n++) {
        const char *end = strchr(at, '|');
        if (!end)
            break;
        while (*at == ' ')
            at++;
        const char *last = end;
        while (last > at && last[-1] == ' ')
            last--;
        snprintf(cells[n], CELL, "%.*s", (int)(last - at), at);
        at = end + 1;
    }
    return n;
}

/* Where the rows of the table begin that has this head. */
static const char *table(const char *head) {
    const char *at = strstr(page, head);
    assert_non_null(at);
    at = strchr(at, '\n');
    return strchr(at + 1, '\n') + 1; /* behind the line of dashes */
}

static enum wr_alarm_state state_named(const char *name) {
    if (strcmp(name, "–") == 0)
        return NONE;
    for (int i = 0; i < WR_ALARM_STATES; i++)
        if (strcmp(wr_alarm_state_name((enum wr_alarm_state)i), name) == 0)
            return (enum wr_alarm_state)i;
    fail_msg("docs/alarms.md: '%s' is no state", name);
    return NONE;
}

static enum wr_alarm_state step(enum wr_alarm_state state, enum wr_alarm_event event, bool latch) {
    struct wr_alarm_step step;
    return wr_alarm_state_step(state, event, latch, false, &step) ? step.to : NONE;
}

static void where_each_event_leads(void **state) {
    (void)state;
    char cells[COLUMNS][CELL];
    int rows = 0;
    for (const char *line = table("| state | starts | holds | ends | ack | reset | level up |"); split(line, cells) > 0;
         line = strchr(line, '\n') + 1, rows++) {
        enum wr_alarm_state from = state_named(cells[0]);
        assert_int_equal(from, rows); /* every state, in the order of the code */
        for (int event = 0; event < WR_ALARM_EVENTS; event++) {
            char *latched = strstr(cells[1 + event], " / ");
            char plain[CELL];
            snprintf(plain, sizeof plain, "%s", cells[1 + event]);
            if (latched)
                plain[latched - cells[1 + event]] = '\0';
            enum wr_alarm_state expected[2] = {state_named(plain), state_named(latched ? latched + 3 : plain)};
            for (int latch = 0; latch < 2; latch++)
                if (step(from, (enum wr_alarm_event)event, latch) != expected[latch])
                    fail_msg("%s, event %d, latch %d: the code and docs/alarms.md differ", cells[0], event, latch);
        }
    }
    assert_int_equal(rows, WR_ALARM_STATES);
}

static void what_each_state_says(void **state) {
    (void)state;
    char cells[COLUMNS][CELL];
    int rows = 0;
    for (const char *line = table("| state | condition | acknowledged | leaves by |"); split(line, cells) > 0;
         line = strchr(line, '\n') + 1, rows++) {
        enum wr_alarm_state at = state_named(cells[0]);
        assert_int_equal(at, rows);
        assert_true(wr_alarm_state_is_valid(at, strcmp(cells[1], "true") == 0));
        assert_false(wr_alarm_state_is_valid(at, strcmp(cells[1], "true") != 0));
        assert_int_equal(wr_alarm_state_wants_ack(at), strcmp(cells[2], "no") == 0);
        assert_int_equal(wr_alarm_state_is_active(at), strcmp(cells[2], "–") != 0);
        /* Every state that the words name as a way out is one, and there is no other. */
        for (int to = 0; to < WR_ALARM_STATES; to++) {
            char arrow[48];
            bool leads = false;
            snprintf(arrow, sizeof arrow, "→ %s", wr_alarm_state_name((enum wr_alarm_state)to));
            const char *named = strstr(cells[3], arrow);
            while (named && named[strlen(arrow)] && !strchr(";,) ", named[strlen(arrow)]))
                named = strstr(named + 1, arrow);
            for (int event = 0; event < WR_ALARM_EVENTS; event++)
                leads = leads || step(at, (enum wr_alarm_event)event, false) == (enum wr_alarm_state)to ||
                        step(at, (enum wr_alarm_event)event, true) == (enum wr_alarm_state)to;
            if (leads != (named != NULL))
                fail_msg("%s → %s: %s", cells[0], wr_alarm_state_name((enum wr_alarm_state)to),
                         leads ? "the words leave it out" : "the code does not know it");
        }
    }
    assert_int_equal(rows, WR_ALARM_STATES);
}

/* Raise and resolve only: whatever would wait for an acknowledgement has it. */
static void auto_ack_never_waits(void **state) {
    (void)state;
    static const enum wr_alarm_state reached[] = {WR_ALARM_NORMAL, WR_ALARM_PENDING, WR_ALARM_ACKED, WR_ALARM_LATCHED_ACK};
    for (unsigned i = 0; i < 4; i++)
        for (int event = 0; event < WR_ALARM_EVENTS; event++)
            for (int latch = 0; latch < 2; latch++) {
                struct wr_alarm_step made;
                if (wr_alarm_state_step(reached[i], (enum wr_alarm_event)event, latch, true, &made))
                    assert_false(wr_alarm_state_wants_ack(made.to));
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(where_each_event_leads), cmocka_unit_test(what_each_state_says),
                                       cmocka_unit_test(auto_ack_never_waits)};
    return cmocka_run_group_tests(tests, read_page, NULL);
}
