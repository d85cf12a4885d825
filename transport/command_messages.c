#include "transport/command_messages.h"

#include <assert.h>
#include <string.h>

#include "transport/jws.h"

static_assert(WR_COMMAND_BYTES == WR_JWS_BYTES, "what may be signed can be sent");

void wr_command_messages_put(struct wr_channel *commands, struct wr_command_counters *counters, const void *payload, size_t len,
                             bool retained) {
    if (retained) {
        counters->retained++;
        return;
    }
    if (len > WR_COMMAND_BYTES) {
        counters->too_large++;
        return;
    }
    struct wr_command_message message;
    message.len = (uint32_t)len;
    if (len > 0)
        memcpy(message.bytes, payload, len);
    memset(message.bytes + len, 0, sizeof message.bytes - len); /* the channel copies the whole of it */
    if (wr_channel_try_send(commands, &message) == WR_OK)
        counters->received++;
    else
        counters->full++;
}

void wr_command_messages_counts(const struct wr_command_counters *counters, struct wr_command_counts *ret_counts) {
    *ret_counts = (struct wr_command_counts){
        .received = counters->received, .too_large = counters->too_large, .retained = counters->retained, .full = counters->full};
}
