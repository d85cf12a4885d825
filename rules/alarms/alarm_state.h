/* The states of an alarm: one const table. Source: ISA-18.2 / IEC 62682; docs/alarms.md shows it.
 *
 * "Condition" is the rule's condition after on_delay and off_delay. Pending is only shown on the way from normal and is not annunciated: going
 * in and out of it is no transition that anybody is told.
 *
 *          START         TRUE                    FALSE                     ACK             RESET    ESCALATE
 *   normal  pending       unack                   -                         -               -        -
 *   pending -             unack                   normal                    -               -        -
 *   unack   -             -                       rtn_unack|latched_unack   acked           -        -
 *   acked   -             -                       normal|latched_ack        -               -        unack
 *   rtn_unack -           unack                   -                         normal          -        -
 *   latched_unack -       unack                   -                         latched_ack     -        -
 *   latched_ack -         unack                   -                         -               normal   -
 * (with `latch` on the right of |). With auto_ack every arrival in unack goes on to acked at once: raise and resolve only.
 *
 * Threads: none; pure.
 */
#ifndef WEIR_RULES_ALARMS_ALARM_STATE_H
#define WEIR_RULES_ALARMS_ALARM_STATE_H

#include <stdbool.h>

#include "core/alarm.h"

enum wr_alarm_event {
    WR_ALARM_EVENT_START,    /* the raw condition is true, its delay runs */
    WR_ALARM_EVENT_TRUE,     /* the condition is true, delay over */
    WR_ALARM_EVENT_FALSE,    /* the condition is false */
    WR_ALARM_EVENT_ACK,      /* operator */
    WR_ALARM_EVENT_RESET,    /* operator */
    WR_ALARM_EVENT_ESCALATE, /* a higher level */
    WR_ALARM_EVENTS,
};

struct wr_alarm_step {
    enum wr_alarm_state to;
    enum wr_alarm_cause cause; /* 0: not annunciated */
};

/* False: nothing happens in this state. */
bool wr_alarm_state_step(enum wr_alarm_state state, enum wr_alarm_event event, bool latch, bool auto_ack, struct wr_alarm_step *ret_step);

/* Whether state and condition (after delays) belong together: the invariant after every step. */
bool wr_alarm_state_is_valid(enum wr_alarm_state state, bool condition);

/* Unack, rtn_unack or latched_unack: somebody has to acknowledge it. */
bool wr_alarm_state_wants_ack(enum wr_alarm_state state);
/* Neither normal nor pending. */
bool wr_alarm_state_is_active(enum wr_alarm_state state);

#endif
