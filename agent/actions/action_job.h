/* One action that is to be carried out for one transition of an alarm: all that is needed for it, in one piece of memory.
 *
 * Promise: refers to nothing else: the rule set may be exchanged while it waits. Names in its address and texts are filled in; those of the address cannot leave their place.
 * Threads: one at a time; it is handed from the actions' thread to one of a pool and back. Ownership: whoever holds it; free() ends it.
 * Limits: an address of WR_ACTION_ADDRESS_BYTES. Units: CLOCK_BOOTTIME ns.
 */
#ifndef WEIR_AGENT_ACTIONS_ACTION_JOB_H
#define WEIR_AGENT_ACTIONS_ACTION_JOB_H

#include <stdatomic.h>

#include "agent/actions/action_queue.h"
#include "core/alarm.h"
#include "core/buf.h"
#include "rules/compile/ruleset.h"

#define WR_ACTION_ADDRESS_BYTES 1024
#define WR_ACTION_TOPIC_BYTES 256 /* as struct wr_uplink_direct */
#define WR_ACTION_WHY_BYTES 256
#define WR_ACTION_DELIVERY_BYTES 64

/* How a try ended. */
enum wr_action_verdict {
    WR_ACTION_DONE,
    WR_ACTION_FAILED,  /* it may work another time */
    WR_ACTION_REFUSED, /* it never will */
    WR_ACTION_PUT_OFF, /* it did not come about: no try */
};

struct wr_action_end {
    enum wr_action_verdict verdict;
    int64_t patience_ns; /* the target wants to be left alone for so long */
    char why[WR_ACTION_WHY_BYTES];
};

/* Who we are, for addresses and messages. */
struct wr_action_place {
    const char *node;
    const char *site;
};

struct wr_actions;
struct wr_tls;

struct wr_action_job {
    struct wr_action_turn turn; /* first: the queue gives it back */
    struct wr_action_spec spec; /* its texts are the job's own */
    struct wr_alarm alarm;
    uint64_t meaning;        /* which action it is, wherever it stands in its rule's `then`: a reload may have moved it */
    uint64_t number;         /* of the transition in the journal; 0: it is not there */
    const char *address;     /* topic, URL, path, or the program */
    const char *consequence; /* of the rule; NULL: not given, as respond */
    const char *respond;
    uint64_t published;       /* mqtt: the number under which the uplink has it; 0: it has not */
    bool hurried;             /* it did not wait for the journal any longer, and that was counted */
    struct wr_actions *owner; /* for those who work at it elsewhere, as what follows */
    struct wr_tls *tls;
    _Atomic uint32_t *starting; /* exec: of its target */
};

/* rule: what else a message tells; action: which of the rule's. WR_INVALID: the address is too long, or no address, or leads elsewhere. WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_action_job_new(const struct wr_action_spec *spec, uint32_t action, const struct wr_rule_info *rule,
                                             const struct wr_alarm_entry *entry, const struct wr_action_place *place,
                                             struct wr_action_job **ret_job, struct wr_error *err);
/* At most so many bytes, with texts of usual length. */
size_t wr_action_job_bytes(void);

static inline struct wr_action_job *wr_action_job_of(struct wr_action_turn *turn) {
    return (struct wr_action_job *)turn;
}

/* The alarm as one JSON object, with who tells it and what to do: for mqtt, webhook and file. */
WR_MUST_USE enum wr_result wr_action_job_json(const struct wr_action_job *job, const struct wr_action_place *place, struct wr_buf *into);
/* The same as one line for people, without its newline. */
WR_MUST_USE enum wr_result wr_action_job_line(const struct wr_action_job *job, struct wr_buf *into);

/* The same for each try of an action, and for nothing else: "alarm.transition.action". Returns text[WR_ACTION_DELIVERY_BYTES]. */
char *wr_action_job_delivery(char *text, const struct wr_action_job *job);

#endif
