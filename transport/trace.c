#include "transport/trace.h"

#include <inttypes.h>
#include <stdio.h>

char *wr_trace_parent(char text[WR_TRACE_PARENT_BYTES], uint64_t trace_high, uint64_t trace_low, uint64_t span) {
    if (trace_high == 0 && trace_low == 0)
        trace_low = 1;
    (void)snprintf(text, WR_TRACE_PARENT_BYTES, "00-%016" PRIx64 "%016" PRIx64 "-%016" PRIx64 "-01", trace_high, trace_low,
                   span != 0 ? span : 1);
    return text;
}
