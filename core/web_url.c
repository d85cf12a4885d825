#include "core/web_url.h"

#include <string.h>
#include <strings.h>

#include "core/path.h"

#define ACCEPTED "write https://HOST[:PORT]/PATH"

static bool skip(const char **at, const char *word) {
    const size_t len = strlen(word);
    if (strncasecmp(*at, word, len) != 0)
        return false;
    *at += len;
    return true;
}

static enum wr_result check_path(const char *path, struct wr_error *err) {
    for (const char *c = path; *c; c++) {
        if (*c == '#')
            return wr_error_set(err, WR_INVALID, "a '#' is for browsers: no server is told what stands behind it");
        if (*c <= ' ' || *c >= 0x7F || strchr("\"<>\\^`|", *c)) {
            char shown[16];
            return wr_error_set(err, WR_INVALID, "'%s' cannot stand in an address: write it as %%%02X",
                                wr_error_escape(shown, sizeof shown, c, 1), (unsigned)(unsigned char)*c);
        }
    }
    if (wr_path_has_dots(path, strcspn(path, "?")))
        return wr_error_set(err, WR_INVALID, "the path has a part . or ..: write where it leads");
    return WR_OK;
}

enum wr_result wr_web_url_parse(const char *text, struct wr_web_url *ret_url, struct wr_error *err) {
    struct wr_web_url url = {.path = "/"};
    const char *at = text;
    if (strlen(text) >= WR_WEB_URL_BYTES)
        return wr_error_set(err, WR_INVALID, "an address of more than %d characters", WR_WEB_URL_BYTES - 1);
    if (skip(&at, "https://")) {
        url.tls = true;
        url.port = 443;
    } else if (skip(&at, "http://")) {
        url.port = 80;
    } else {
        return wr_error_set(err, WR_INVALID, "no address of the web; " ACCEPTED);
    }
    if (memchr(at, '@', strcspn(at, "/?#")))
        return wr_error_set(err, WR_INVALID, "user and password do not belong into the address: use `secret`");
    WR_TRY(wr_authority_take(&at, ACCEPTED, url.host, &url.port, err));
    if (*at == '?')
        return wr_error_set(err, WR_INVALID, "a '/' stands before the '?'; " ACCEPTED);
    if (*at && *at != '/') {
        char shown[48];
        return wr_error_set(err, WR_INVALID, "unexpected '%s' behind the host; " ACCEPTED,
                            wr_error_escape(shown, sizeof shown, at, strlen(at)));
    }
    if (*at) {
        WR_TRY(check_path(at, err));
        url.path = at;
    }
    *ret_url = url;
    return WR_OK;
}
