/* The source `mqtt`: messages of a broker, over transport/subscriber.h.
 *
 * The happy path: a message is taken from the subscriber's ring, its topic gives tags, its payload records; when the ring is empty, or enough have
 * come together, the batches are handed over, and then the messages acknowledged: the broker forgets a QoS 1 message only when
 * the engine has its readings. What can go otherwise:
 *   - No batch is free: what was taken so far is acknowledged, and the source waits. Behind it the ring fills, the relay pauses, TCP pushes back;
 *     what then finds no room is dropped and booked if it is QoS 0, and left to the broker if it is QoS 1.
 *   - A payload is malformed: refused and counted, and acknowledged: it would not be better the next time.
 *   - The broker goes away: the subscriber connects again. What was not acknowledged comes again, and so may be counted twice.
 *
 * Stop: no new messages; those in the ring are taken and acknowledged until the deadline; what is left of QoS 1 comes again at the next start, of
 * QoS 0 it is booked as dropped(stop).
 */
#ifndef WEIR_AGENT_SOURCES_MQTT_SOURCE_H
#define WEIR_AGENT_SOURCES_MQTT_SOURCE_H

#include "agent/sources/source.h"

extern const struct wr_source_ops wr_mqtt_source_ops;

#endif
