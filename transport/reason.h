/* What a broker's reason means for us: how long to wait, and what somebody should do about it.
 *
 * Promise: codes of MQTT 5 (0x80 and above) and the return codes of 3.1.1 (1 to 5) have the same answers. Threads: none; pure functions.
 * Source: MQTT 5.0 §2.4, MQTT 3.1.1 §3.2.2.3.
 */
#ifndef WEIR_TRANSPORT_REASON_H
#define WEIR_TRANSPORT_REASON_H

#include <stdint.h>

#define WR_REASON_TOO_LARGE 0x95

enum wr_reason_cure {
    WR_REASON_RETRY,  /* may be gone in a moment */
    WR_REASON_WAIT,   /* will not be gone in a moment: somebody has to do something, or the broker wants less of us */
    WR_REASON_SLOWER, /* the broker has enough: publish less at once */
    WR_REASON_MOVE,   /* another server, for now */
    WR_REASON_MOVED,  /* another server, for good */
};

enum wr_reason_cure wr_reason_cure(uint8_t reason);
/* What to do about it, as the end of a sentence; "" where there is nothing to be done. */
const char *wr_reason_advice(uint8_t reason);

#endif
