#include "core/authority.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

bool wr_authority_is_numeric(const char *host) {
    struct in6_addr address;
    return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

bool wr_authority_is_loopback(const char *host) {
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    if (inet_pton(AF_INET6, host, &v6) == 1)
        return IN6_IS_ADDR_LOOPBACK(&v6);
    return strcmp(host, "localhost") == 0;
}

static bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

static enum wr_result take_host(const char **at, const char *accepted, char *host, struct wr_error *err) {
    const char *start = *at;
    const bool bracket = *start == '[';
    size_t len = 0;
    if (bracket) {
        start++;
        len = strcspn(start, "]");
        if (start[len] != ']')
            return wr_error_set(err, WR_INVALID, "'[' without ']'; %s", accepted);
        *at = start + len + 1;
    } else {
        while (is_name_char(start[len]))
            len++;
        *at = start + len;
    }
    if (len == 0)
        return wr_error_set(err, WR_INVALID, "no host; %s", accepted);
    if (len >= WR_AUTHORITY_HOST_BYTES)
        return wr_error_set(err, WR_INVALID, "the host is longer than %d characters", WR_AUTHORITY_HOST_BYTES - 1);
    memcpy(host, start, len);
    host[len] = '\0';
    struct in6_addr address;
    if (bracket && inet_pton(AF_INET6, host, &address) != 1)
        return wr_error_set(err, WR_INVALID, "brackets hold an IPv6 address; %s", accepted);
    return WR_OK;
}

enum wr_result wr_authority_take(const char **at, const char *accepted, char *host, uint16_t *port, struct wr_error *err) {
    WR_TRY(take_host(at, accepted, host, err));
    if (**at != ':')
        return WR_OK;
    uint32_t number = 0;
    const char *start = *at + 1;
    const char *digit = start;
    for (; *digit >= '0' && *digit <= '9' && number <= UINT16_MAX; digit++)
        number = number * 10 + (uint32_t)(*digit - '0');
    if (digit == start || number < 1 || number > UINT16_MAX || is_name_char(*digit))
        return wr_error_set(err, WR_INVALID, "the port must be a number from 1 to 65535");
    *port = (uint16_t)number;
    *at = digit;
    return WR_OK;
}

char *wr_authority_text(char *text, size_t size, const char *host, uint16_t port) {
    const bool v6 = strchr(host, ':') != NULL;
    (void)snprintf(text, size, "%s%s%s:%u", v6 ? "[" : "", host, v6 ? "]" : "", (unsigned)port);
    return text;
}
