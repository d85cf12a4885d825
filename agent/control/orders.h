/* Operators' commands on alarms, however they come: over the control socket (control_orders.h), over HTTP (desk.h) or, signed, over MQTT (remote_desk.h).
 *
 * Promise: what is answered as journalled is on disk: the answer waits until the journal has every transition that the command made, at most
 * WR_ORDER_JOURNAL_NS; where the store cannot write, or the journal had no room for so much at once, it says so, though the alarms have changed. With a key the same command may be said again: it is
 * answered the same, and done once, also over a crash (rules/alarms/command_log.h).
 *
 * Threads: any that may wait; the command itself is a request on the engine's. Ownership: an order belongs to its request, which outlives an asker
 * that gives up.
 */
#ifndef WEIR_AGENT_CONTROL_ORDERS_H
#define WEIR_AGENT_CONTROL_ORDERS_H

#include <stdbool.h>

#include "agent/loops/request.h"
#include "core/clock.h"
#include "core/context.h"
#include "core/json.h"
#include "rules/alarms/command_log.h"
#include "rules/evaluator/evaluator.h"

#define WR_ORDER_JOURNAL_NS (5 * WR_NS_PER_S)
#define WR_ORDER_ALARM_BYTES 512
#define WR_ORDER_BY_BYTES 64

struct wr_agent;

struct wr_order_verb {
    const char *name;
    enum wr_alarm_command_kind kind;
    const char *done; /* "3 alarms shelved" */
};

/* What is asked, and what came of it. Texts are cut nowhere: who fills them in refuses longer ones. */
struct wr_order {
    const struct wr_order_verb *verb;
    char alarm[WR_ORDER_ALARM_BYTES];
    char by_whom[WR_ORDER_BY_BYTES];
    char why[WR_ALARM_WHY_BYTES];
    char key[WR_COMMAND_KEY_BYTES];
    int64_t for_ns;        /* 0: until */
    int64_t until_wall_ns; /* 0: for; both 0: none was given */
    struct wr_alarm_command command;
    uint64_t number; /* of the last entry in the journal */
    bool is_behind;  /* the journal had no room for all of them: it will have their states in a while */
};

struct wr_order_answer {
    bool is_known; /* else the engine did not answer in time: it may still be done. The rest means nothing then, but for result and error */
    bool journalled;
    const char *unjournalled; /* why not, in words, or "" */
    enum wr_result result;    /* as of wr_evaluator_command */
    const char *problem;      /* in words, or ""; as long as the request and this are there */
    struct wr_error error;
};

/* NULL: there is none of that name. */
const struct wr_order_verb *wr_order_verb_of(const char *name);

/* Names and reasons go into the journal, logs and terminals: false for control characters, which a terminal would obey, and for what is no UTF-8. */
bool wr_order_is_plain(const char *text, size_t len);
/* "90m"; false: that is none. */
bool wr_order_take_for(struct wr_order *order, const char *text);
/* "2026-03-02T16:00:00Z". WR_INVALID, WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_order_take_until(struct wr_order *order, const char *text);

/* The same form, for any time. WR_INVALID, WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_order_read_time(const char *text, int64_t *ret_wall_ns);

/* What an order lacks, or has too much: each side says it in words of its own. */
enum wr_order_flaw {
    WR_ORDER_FINE,
    WR_ORDER_WITHOUT_ALARM,
    WR_ORDER_SHELVES_WITHOUT, /* a reason, or an end */
    WR_ORDER_OOS_WITHOUT,     /* a reference */
    WR_ORDER_TIMED,           /* what is no shelving has an end */
    WR_ORDER_TWICE_TIMED,
};
enum wr_order_flaw wr_order_flaw(const struct wr_order *order);

/* A request for the order (malloc'ed, owned from now on, also when this fails): its input. */
WR_MUST_USE enum wr_result wr_order_request(struct wr_order *order, struct wr_request **ret_request, struct wr_error *err);
/* Lets the engine do it, and waits for that and for the journal, or until the context ends (NULL: it does not). */
void wr_order_carry_out(struct wr_agent *agent, struct wr_request *request, struct wr_context *context, struct wr_order_answer *ret_answer);
/* Into an object that is open. */
void wr_order_to_members(const struct wr_order *order, const struct wr_order_answer *answer, struct wr_json *json);
/* One object and a newline. */
WR_MUST_USE enum wr_result wr_order_to_json(const struct wr_order *order, const struct wr_order_answer *answer, struct wr_buf *into);

#endif
