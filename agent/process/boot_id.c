#include "agent/process/boot_id.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/scan.h"

#define UUID_CHARS 36

/* "3f0c6e9a-....": 32 digits, with dashes anywhere between bytes. */
static bool parse(const char *text, uint8_t id[WR_BOOT_ID_BYTES]) {
    size_t n = 0;
    for (; n < WR_BOOT_ID_BYTES; n++) {
        text += *text == '-';
        const int high = wr_scan_hex_digit(text[0]);
        const int low = high < 0 ? -1 : wr_scan_hex_digit(text[1]);
        if (low < 0)
            return false;
        id[n] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    return *text == '\0' || *text == '\n';
}

static bool is_zero(const uint8_t id[WR_BOOT_ID_BYTES]) {
    static const uint8_t zero[WR_BOOT_ID_BYTES];
    return memcmp(id, zero, sizeof zero) == 0;
}

void wr_boot_id_read(const char *file, const struct wr_clock *clock, uint8_t ret_id[WR_BOOT_ID_BYTES]) {
    char text[UUID_CHARS + 8] = "";
    FILE *stream = fopen(file, "re");
    bool known = stream && fgets(text, sizeof text, stream) && parse(text, ret_id) && !is_zero(ret_id);
    if (stream)
        fclose(stream);
    while (!known) {
        const uint64_t random[] = {wr_clock_random_u64(clock), wr_clock_random_u64(clock)};
        memcpy(ret_id, random, WR_BOOT_ID_BYTES);
        known = !is_zero(ret_id);
    }
}
