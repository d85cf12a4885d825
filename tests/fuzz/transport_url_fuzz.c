/* A broker's address: whatever is accepted is a host and a port that print and parse back to the same. */
#include <stdlib.h>
#include <string.h>

#include "transport/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    if (text == NULL)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    struct wr_url url;
    struct wr_error err;
    if (wr_url_parse(text, &url, &err) == WR_OK) {
        struct wr_url again;
        char full[WR_URL_TEXT_BYTES + 16] = "mqtts://";
        if (!url.tls)
            strcpy(full, "mqtt://");
        wr_url_authority(full + strlen(full), WR_URL_TEXT_BYTES, &url);
        if (wr_url_parse(full, &again, &err) != WR_OK || again.port != url.port || again.tls != url.tls || again.numeric != url.numeric ||
            strcmp(again.host, url.host) != 0)
            abort();
    }
    free(text);
    return 0;
}
