#include "transport/url.h"

#include <string.h>

#define ACCEPTED "write mqtt://HOST[:PORT] or mqtts://HOST[:PORT]"

static bool skip(const char **at, const char *word) {
    size_t len = strlen(word);
    if (strncmp(*at, word, len) != 0)
        return false;
    *at += len;
    return true;
}

enum wr_result wr_url_parse(const char *text, struct wr_url *ret_url, struct wr_error *err) {
    struct wr_url url = {0};
    const char *at = text;
    if (skip(&at, "mqtts://")) {
        url.tls = true;
        url.port = 8883;
    } else if (skip(&at, "mqtt://")) {
        url.port = 1883;
    } else {
        return wr_error_set(err, WR_INVALID, "not a broker address; " ACCEPTED);
    }
    if (strchr(at, '@') != NULL)
        return wr_error_set(err, WR_INVALID, "user and password do not belong into the address: use user and password_file");
    WR_TRY(wr_authority_take(&at, ACCEPTED, url.host, &url.port, err));
    if (*at != '\0') {
        char shown[48];
        return wr_error_set(err, WR_INVALID, "unexpected '%s' behind the host; " ACCEPTED,
                            wr_error_escape(shown, sizeof shown, at, strlen(at)));
    }
    url.numeric = wr_authority_is_numeric(url.host);
    *ret_url = url;
    return WR_OK;
}

char *wr_url_authority(char *text, size_t size, const struct wr_url *url) {
    return wr_authority_text(text, size, url->host, url->port);
}
