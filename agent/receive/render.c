#include "agent/receive/render.h"

#include <inttypes.h>

#include "agent/receive/render_private.h"
#include "core/json.h"
#include "core/record_json.h"
#include "core/series.h"

const char *wr_render_ending(enum wr_render_format format) {
    return format == WR_RENDER_JSON ? "jsonl" : format == WR_RENDER_CSV ? "csv" : "lp";
}

const char *wr_render_header(enum wr_render_format format, enum wr_message_kind kind) {
    return format == WR_RENDER_CSV ? wr_render_csv_header(kind) : "";
}

/* -- JSON ---------------------------------------------------------------------------------------------------------------------------------- */

/* site and node are names that need no escapes. */
static enum wr_result json_front(struct wr_buf *into, const struct wr_message_origin *origin) {
    WR_TRY(wr_buf_printf(into, "{\"site\":\"%s\",\"node\":\"%s\",", origin->site, origin->key.node));
    if (origin->time_quality == WR_TIME_TRUSTED)
        return WR_OK;
    return wr_buf_printf(into, "\"time_quality\":\"%s\",", wr_time_quality_name(origin->time_quality));
}

static enum wr_result json_aggregate(struct wr_buf *into, const struct wr_message_origin *origin, const struct wr_aggregate *aggregate) {
    struct wr_json json;
    WR_TRY(json_front(into, origin));
    const size_t brace = into->len - 1; /* the record's own brace comes there, and gives its place to the comma */
    into->len = brace;
    wr_json_begin(&json, into);
    wr_record_aggregate_json(&json, aggregate);
    WR_TRY(wr_json_end(&json));
    into->data[brace] = ',';
    return wr_buf_append(into, "\n", 1);
}

static enum wr_result json_text(struct wr_buf *into, const struct wr_message_origin *origin, const char *object, size_t len) {
    WR_TRY(json_front(into, origin));
    WR_TRY(wr_buf_printf(into, "\"record\":\"%s\"%s", wr_message_kind_name(origin->kind), len > 2 ? "," : ""));
    WR_TRY(wr_buf_append(into, object + 1, len - 1));
    return wr_buf_append(into, "\n", 1);
}

/* -- all ------------------------------------------------------------------------------------------------------------------------------------- */

void wr_render_begin(struct wr_render *render, enum wr_render_format format, struct wr_buf *into, const struct wr_message_origin *origin) {
    const struct wr_segment segment = {.epoch = origin->key.epoch, .seq = origin->key.seq, .time_quality = (uint8_t)origin->time_quality};
    *render = (struct wr_render){.format = format, .into = into, .origin = origin};
    wr_encode_influx_begin(&render->influx, into, origin->site, origin->key.node, &segment);
}

enum wr_result wr_render_aggregate(struct wr_render *render, const struct wr_aggregate *aggregate) {
    switch (render->format) {
    case WR_RENDER_JSON:
        return json_aggregate(render->into, render->origin, aggregate);
    case WR_RENDER_CSV:
        return wr_render_csv_aggregate(render->into, render->origin, aggregate);
    case WR_RENDER_LINE:
        break;
    }
    wr_encode_influx_aggregate(&render->influx, aggregate);
    return render->influx.failed;
}

enum wr_result wr_render_text(struct wr_render *render, const char *json, size_t len) {
    switch (render->format) {
    case WR_RENDER_JSON:
        return json_text(render->into, render->origin, json, len);
    case WR_RENDER_CSV:
        return wr_render_csv_text(render->into, render->origin, json, len);
    case WR_RENDER_LINE:
        break;
    }
    return wr_render_line_text(render->into, render->origin, json, len);
}

enum wr_result wr_render_list(struct wr_buf *into, const struct wr_message_origin *origin, uint64_t records, uint64_t readings) {
    return wr_buf_printf(into,
                         "{\"site\":\"%s\",\"node\":\"%s\",\"epoch\":\"%016" PRIx64 "\",\"seq\":%" PRId64
                         ",\"kind\":\"%s\",\"records\":%" PRIu64 ",\"readings\":%" PRIu64 "}\n",
                         origin->site, origin->key.node, origin->key.epoch, origin->key.seq, wr_message_kind_name(origin->kind), records,
                         readings);
}
