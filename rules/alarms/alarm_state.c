#include "rules/alarms/alarm_state.h"

#define NONE WR_ALARM_STATES

/* clang-format off */
static const struct row {
    bool condition; /* what the state says of it */
    bool wants_ack;
    bool active;
    struct cell {
        enum wr_alarm_state plain;
        enum wr_alarm_state latched;
    } on[WR_ALARM_EVENTS]; /* START, TRUE, FALSE, ACK, RESET, ESCALATE */
} table[WR_ALARM_STATES] = {
    [WR_ALARM_NORMAL] = {false, false, false, {
        {WR_ALARM_PENDING, WR_ALARM_PENDING}, {WR_ALARM_UNACK, WR_ALARM_UNACK}, {NONE, NONE}, {NONE, NONE}, {NONE, NONE}, {NONE, NONE}}},
    [WR_ALARM_PENDING] = {false, false, false, {
        {NONE, NONE}, {WR_ALARM_UNACK, WR_ALARM_UNACK}, {WR_ALARM_NORMAL, WR_ALARM_NORMAL}, {NONE, NONE}, {NONE, NONE}, {NONE, NONE}}},
    [WR_ALARM_UNACK] = {true, true, true, {
        {NONE, NONE}, {NONE, NONE}, {WR_ALARM_RTN_UNACK, WR_ALARM_LATCHED_UNACK}, {WR_ALARM_ACKED, WR_ALARM_ACKED}, {NONE, NONE},
        {NONE, NONE}}},
    [WR_ALARM_ACKED] = {true, false, true, {
        {NONE, NONE}, {NONE, NONE}, {WR_ALARM_NORMAL, WR_ALARM_LATCHED_ACK}, {NONE, NONE}, {NONE, NONE},
        {WR_ALARM_UNACK, WR_ALARM_UNACK}}},
    [WR_ALARM_RTN_UNACK] = {false, true, true, {
        {NONE, NONE}, {WR_ALARM_UNACK, WR_ALARM_UNACK}, {NONE, NONE}, {WR_ALARM_NORMAL, WR_ALARM_NORMAL}, {NONE, NONE}, {NONE, NONE}}},
    [WR_ALARM_LATCHED_UNACK] = {false, true, true, {
        {NONE, NONE}, {WR_ALARM_UNACK, WR_ALARM_UNACK}, {NONE, NONE}, {WR_ALARM_LATCHED_ACK, WR_ALARM_LATCHED_ACK}, {NONE, NONE},
        {NONE, NONE}}},
    [WR_ALARM_LATCHED_ACK] = {false, false, true, {
        {NONE, NONE}, {WR_ALARM_UNACK, WR_ALARM_UNACK}, {NONE, NONE}, {NONE, NONE}, {WR_ALARM_NORMAL, WR_ALARM_NORMAL}, {NONE, NONE}}},
};
/* clang-format on */

static enum wr_alarm_cause cause_of(enum wr_alarm_state state, enum wr_alarm_event event) {
    switch (event) {
    case WR_ALARM_EVENT_TRUE:
        return WR_ALARM_RAISED;
    case WR_ALARM_EVENT_FALSE:
        return state == WR_ALARM_PENDING ? 0 : WR_ALARM_CLEARED;
    case WR_ALARM_EVENT_ACK:
        return WR_ALARM_ACKNOWLEDGED;
    case WR_ALARM_EVENT_RESET:
        return WR_ALARM_RESET;
    case WR_ALARM_EVENT_ESCALATE:
        return WR_ALARM_ESCALATED;
    default:
        return 0;
    }
}

bool wr_alarm_state_step(enum wr_alarm_state state, enum wr_alarm_event event, bool latch, bool auto_ack, struct wr_alarm_step *ret_step) {
    enum wr_alarm_state to = latch ? table[state].on[event].latched : table[state].on[event].plain;
    if (to == NONE || (auto_ack && event == WR_ALARM_EVENT_ESCALATE))
        return false;
    if (auto_ack && to == WR_ALARM_UNACK)
        to = WR_ALARM_ACKED;
    *ret_step = (struct wr_alarm_step){to, cause_of(state, event)};
    return true;
}

bool wr_alarm_state_is_valid(enum wr_alarm_state state, bool condition) {
    return state < WR_ALARM_STATES && table[state].condition == condition;
}

bool wr_alarm_state_wants_ack(enum wr_alarm_state state) {
    return table[state].wants_ack;
}

bool wr_alarm_state_is_active(enum wr_alarm_state state) {
    return table[state].active;
}
