#include "core/segment.h"

#include <stdlib.h>
#include <string.h>

const char *wr_segment_kind_name(enum wr_segment_kind kind) {
    switch (kind) {
    case WR_SEGMENT_AGGREGATES:
        return "aggregates";
    case WR_SEGMENT_ALARMS:
        return "alarms";
    case WR_SEGMENT_GAPS:
        return "gaps";
    case WR_SEGMENT_RAW:
        return "raw";
    }
    return "unknown";
}

const char *wr_lane_name(enum wr_lane lane) {
    switch (lane) {
    case WR_LANE_ALARMS:
        return "alarms";
    case WR_LANE_CHANGES:
        return "changes";
    case WR_LANE_WINDOWS:
        return "windows";
    case WR_LANE_RAW:
        return "raw";
    case WR_LANES:
        break;
    }
    return "unknown";
}

void wr_segment_free(struct wr_segment *segment) {
    if (!segment)
        return;
    free(segment->body);
    memset(segment, 0, sizeof *segment);
}
