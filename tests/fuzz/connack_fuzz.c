/* What a broker sends first, and where it says to go: a text that is found lies in the bytes; a server that is found is one of ours. */
#include <stdlib.h>
#include <string.h>

#include "transport/connack.h"
#include "transport/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_for(const uint8_t *data, size_t size, enum wr_connack_text which) {
    static const struct wr_url urls[] = {
        {.host = "a", .port = 1883}, {.host = "a", .port = 1884}, {.host = "::1", .port = 8883, .tls = true}};
    const char *text = NULL;
    size_t len = 0;
    if (!wr_connack_text(data, size, which, &text, &len))
        return;
    if ((const uint8_t *)text < data || (const uint8_t *)text + len > data + size)
        abort();
    const int found = wr_route_find(urls, 3, -1, text, len);
    if (found < -1 || found > 2)
        abort();
    if (found == 2 && memmem(text, len, "[", 1) == NULL)
        abort(); /* an IPv6 address stands in brackets */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *exact = malloc(size + 1); /* so that a sanitizer sees a byte too many */
    if (exact == NULL)
        return 0;
    if (size > 0)
        memcpy(exact, data, size);
    uint8_t *fitted = realloc(exact, size > 0 ? size : 1);
    if (fitted == NULL)
        fitted = exact;
    look_for(fitted, size, WR_CONNACK_SERVER_REFERENCE);
    look_for(fitted, size, WR_CONNACK_REASON_STRING);
    (void)wr_route_find(&(struct wr_url){.host = "a", .port = 1}, 1, 0, (const char *)fitted, size);
    free(fitted);
    return 0;
}
