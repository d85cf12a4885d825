/* What render*.c share: each format has a file. */
#ifndef WEIR_AGENT_RECEIVE_RENDER_PRIVATE_H
#define WEIR_AGENT_RECEIVE_RENDER_PRIVATE_H

#include "agent/receive/message.h"
#include "core/aggregate.h"
#include "core/buf.h"

const char *wr_render_csv_header(enum wr_message_kind kind);
enum wr_result wr_render_csv_aggregate(struct wr_buf *into, const struct wr_message_origin *origin, const struct wr_aggregate *aggregate);
enum wr_result wr_render_csv_text(struct wr_buf *into, const struct wr_message_origin *origin, const char *json, size_t len);

enum wr_result wr_render_line_text(struct wr_buf *into, const struct wr_message_origin *origin, const char *json, size_t len);

#endif
