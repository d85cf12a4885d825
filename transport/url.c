#include "transport/url.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define ACCEPTED "write mqtt://HOST[:PORT] or mqtts://HOST[:PORT]"

static bool skip(const char **at, const char *word) {
    size_t len = strlen(word);
    if (strncmp(*at, word, len) != 0)
        return false;
    *at += len;
    return true;
}

static bool is_numeric(const char *host) {
    struct in6_addr address;
    return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

static bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

/* Copies the host and leaves *at behind it. */
static enum wr_result take_host(const char **at, char *host, struct wr_error *err) {
    const char *start = *at;
    size_t len = 0;
    if (*start == '[') {
        start++;
        len = strcspn(start, "]");
        if (start[len] != ']')
            return wr_error_set(err, WR_INVALID, "'[' without ']'; " ACCEPTED);
        *at = start + len + 1;
    } else {
        while (is_name_char(start[len]))
            len++;
        *at = start + len;
    }
    if (len == 0)
        return wr_error_set(err, WR_INVALID, "no host; " ACCEPTED);
    if (len >= WR_URL_HOST_BYTES)
        return wr_error_set(err, WR_INVALID, "the host is longer than %d characters", WR_URL_HOST_BYTES - 1);
    memcpy(host, start, len);
    host[len] = '\0';
    struct in6_addr address;
    if (start[-1] == '[' && inet_pton(AF_INET6, host, &address) != 1)
        return wr_error_set(err, WR_INVALID, "brackets hold an IPv6 address; " ACCEPTED);
    return WR_OK;
}

/* Takes an optional ":PORT" up to the end. */
static enum wr_result take_port(const char *at, uint16_t *port, struct wr_error *err) {
    if (*at == '\0')
        return WR_OK;
    if (*at != ':') {
        char shown[48];
        return wr_error_set(err, WR_INVALID, "unexpected '%s' behind the host; " ACCEPTED,
                            wr_error_escape(shown, sizeof shown, at, strlen(at)));
    }
    uint32_t number = 0;
    const char *digit = at + 1;
    for (; *digit >= '0' && *digit <= '9' && number <= UINT16_MAX; digit++)
        number = number * 10 + (uint32_t)(*digit - '0');
    if (*digit != '\0' || digit == at + 1 || number < 1 || number > UINT16_MAX)
        return wr_error_set(err, WR_INVALID, "the port must be a number from 1 to 65535");
    *port = (uint16_t)number;
    return WR_OK;
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
    WR_TRY(take_host(&at, url.host, err));
    WR_TRY(take_port(at, &url.port, err));
    url.numeric = is_numeric(url.host);
    *ret_url = url;
    return WR_OK;
}

char *wr_url_authority(char *text, size_t size, const struct wr_url *url) {
    bool v6 = strchr(url->host, ':') != NULL;
    (void)snprintf(text, size, "%s%s%s:%u", v6 ? "[" : "", url->host, v6 ? "]" : "", (unsigned)url->port);
    return text;
}
