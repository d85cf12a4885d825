/* Any bytes as the JSON of an alarm or gap whose times are moved: nothing is read outside, and what has no time of the clock stays byte for byte. */
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/correction.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BOOT_NS (1000 * WR_NS_PER_S)
#define MOVE_NS (INT64_C(1835438400) * WR_NS_PER_S)

static void move(const struct wr_correction *correction, const void *text, size_t len, struct wr_buf *into) {
    wr_buf_init(into, 0);
    if (wr_correction_json(correction, text, len, into) != WR_OK)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct wr_correction nowhere = {.from_ns = 1, .to_ns = 0, .move_ns = MOVE_NS};
    const struct wr_correction there = {.from_ns = 0, .to_ns = BOOT_NS, .move_ns = MOVE_NS};
    const struct wr_correction back = {.from_ns = MOVE_NS, .to_ns = MOVE_NS + BOOT_NS, .move_ns = -MOVE_NS};
    struct wr_buf same;
    struct wr_buf moved;
    struct wr_buf returned;
    char *text = malloc(size + 1); /* not NULL where there is nothing */
    if (!text)
        abort();
    memcpy(text, data, size);
    move(&nowhere, text, size, &same);
    if (same.len != size || (size > 0 && memcmp(same.data, text, size) != 0))
        abort();
    wr_buf_fini(&same);
    move(&there, text, size, &moved);
    move(&back, wr_buf_str(&moved), moved.len, &returned);
    wr_buf_fini(&moved);
    wr_buf_fini(&returned);
    free(text);
    return 0;
}
