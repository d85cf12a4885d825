/* From a message to the records in it, for a sink: segments as they are, and the JSON envelope of the uplink.
 *
 * Refused as a whole, with the reason: a segment with a bad CRC or that does not decode, JSON that is none, a record that is no aggregate (alarm,
 * gap, and a ledger record of another store), a key that contradicts the topic, and the formats that are made for other receivers: `influx` and `senml` carry no key by which a
 * repeated message could be told, so Telegraf and the like read them. Of a refused message the sink keeps nothing.
 *
 * Threads: one at a time. Ownership: caller's memory, init/fini. No allocation per message once the buffers have grown.
 */
#ifndef WEIR_AGENT_RECEIVE_DECODE_H
#define WEIR_AGENT_RECEIVE_DECODE_H

#include "agent/receive/message.h"
#include "agent/receive/sink.h"
#include "core/buf.h"
#include "store/codec.h"

#define WR_DECODE_BYTES_MAX (16u << 20) /* of a JSON payload */

struct wr_receive_decoder {
    struct wr_decoder *segments;
    struct wr_buf texts; /* escapes resolved, of one record */
    struct wr_buf compact;
    char keys[2][WR_SERIES_KEY_BYTES]; /* in turn: a sink may look back at the key before */
    unsigned turn;
};

WR_MUST_USE enum wr_result wr_receive_decoder_init(struct wr_receive_decoder *decoder, struct wr_error *err);
void wr_receive_decoder_fini(struct wr_receive_decoder *decoder);

/* One entry of the sink, begun and ended; *ret_origin is filled as far as the message could be read. WR_OK; WR_INVALID, WR_CORRUPT, WR_UNSUPPORTED,
 * WR_LIMIT: the message is poison; WR_NO_MEMORY: try again. WR_EMPTY: nothing in it (a retained state that was taken back), and no entry. */
WR_MUST_USE enum wr_result wr_receive_decode(struct wr_receive_decoder *decoder, const struct wr_subscriber_message *message,
                                             const char *prefix, const struct wr_receive_sink *sink, struct wr_message_origin *ret_origin,
                                             struct wr_error *err);

/* One aggregate as `weir decode` prints it. JSON has no types: all numbers whole are integers, else floats; the digits stay. `object` is checked
 * JSON, `texts` the memory of the strings of *ret_aggregate, `key` that of its key. */
WR_MUST_USE enum wr_result wr_receive_aggregate_json(struct wr_word object, struct wr_buf *texts, char key[WR_SERIES_KEY_BYTES],
                                                     struct wr_aggregate *ret_aggregate, struct wr_error *err);

#endif
