#include "transport/reason.h"

#include <stddef.h>

static const struct {
    uint8_t reason;
    uint8_t cure; /* enum wr_reason_cure */
    const char *advice;
} reasons[] = {
    {0x85, WR_REASON_WAIT, "the broker does not take node.id as a client id"},
    {0x86, WR_REASON_WAIT, "check user and password_file of the uplink, and the user at the broker"},
    {0x87, WR_REASON_WAIT, "this node needs the right to connect, and to publish below its own topics"},
    {0x8A, WR_REASON_WAIT, "the broker has banned this client: only there this can be lifted"},
    {0x8C, WR_REASON_WAIT, "the broker wants a way to log in that the uplink does not have"},
    {0x8E, WR_REASON_WAIT, "another client uses the same client id: each agent needs a node.id of its own"},
    {0x95, WR_REASON_RETRY, "the broker's maximum packet size is too small for a segment"},
    {0x96, WR_REASON_SLOWER, "the broker takes fewer messages a second; less is sent at once"},
    {0x97, WR_REASON_SLOWER, "the broker's quota for this node is used up; less is sent at once"},
    {0x9A, WR_REASON_WAIT, "the uplink needs retained messages, for its state"},
    {0x9B, WR_REASON_WAIT, "the uplink needs QoS 1"},
    {0x9C, WR_REASON_MOVE, ""},
    {0x9D, WR_REASON_MOVED, ""},
    {0x9F, WR_REASON_WAIT, "the broker takes fewer connections at a time"},
};

/* The return codes of 3.1.1 by those of 5. */
static uint8_t newer(uint8_t reason) {
    static const uint8_t codes[] = {0, 0x84, 0x85, 0x88, 0x86, 0x87};
    return reason < sizeof codes ? codes[reason] : reason;
}

enum wr_reason_cure wr_reason_cure(uint8_t reason) {
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].reason == newer(reason))
            return (enum wr_reason_cure)reasons[i].cure;
    return WR_REASON_RETRY;
}

const char *wr_reason_advice(uint8_t reason) {
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].reason == newer(reason))
            return reasons[i].advice;
    return "";
}
