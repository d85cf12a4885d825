#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "agent/config/config_private.h"
#include "core/authority.h"

#define FORMS "write tcp://127.0.0.1:8094, tls://0.0.0.0:8095, udp://127.0.0.1:8089, unix:///run/weir/line.sock or stdin"
#define UNIX_PATH_BYTES sizeof(((struct sockaddr_un *)0)->sun_path)

void wr_address_fini(struct wr_address *address) {
    free(address->text);
    free(address->host);
    free(address->path);
    *address = (struct wr_address){0};
}

/* Splits "host:port" or "[v6]:port"; the port is 1..65535. */
static enum wr_result split(const char *text, const char **ret_host, size_t *ret_len, uint16_t *ret_port, struct wr_error *err) {
    const char *colon = strrchr(text, ':');
    if (!colon)
        return wr_error_set(err, WR_INVALID, "'%s' has no port: write for example 127.0.0.1:8094", text);
    const char *host = text;
    size_t len = (size_t)(colon - text);
    if (host[0] == '[') {
        if (len < 2 || host[len - 1] != ']')
            return wr_error_set(err, WR_INVALID, "'%s' has an unfinished [address]", text);
        host++;
        len -= 2;
    } else if (memchr(host, ':', len)) {
        return wr_error_set(err, WR_INVALID, "'%s': an IPv6 address stands in brackets, as in [::1]:8094", text);
    }
    unsigned long port = 0;
    const char *digit = colon + 1;
    for (; *digit >= '0' && *digit <= '9' && port <= 65535; digit++)
        port = port * 10 + (unsigned long)(*digit - '0');
    if (*digit != '\0' || port == 0 || port > 65535)
        return wr_error_set(err, WR_INVALID, "'%s': the port must be 1 to 65535", colon + 1);
    *ret_host = host;
    *ret_len = len;
    *ret_port = (uint16_t)port;
    return WR_OK;
}

/* shown: how it stands in the file, with its scheme. */
static enum wr_result parse_port(enum wr_address_kind kind, const char *shown, const char *text, struct wr_address *ret_address,
                                 struct wr_error *err) {
    const char *host = "";
    size_t len = 0;
    struct wr_address address = {.kind = kind};
    WR_TRY(split(text, &host, &len, &address.port, err));
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)host[i] <= ' ' || strchr("/@?#[]", host[i]))
            return wr_error_set(err, WR_INVALID, "'%s': a host has no '%c' in it", text, host[i]);
    address.text = strdup(shown);
    address.host = strndup(host, len);
    if (!address.text || !address.host) {
        wr_address_fini(&address);
        return wr_error_set(err, WR_NO_MEMORY, "no memory");
    }
    *ret_address = address;
    return WR_OK;
}

enum wr_result wr_address_parse_tcp(const char *text, struct wr_address *ret_address, struct wr_error *err) {
    return parse_port(WR_ADDRESS_TCP, text, text, ret_address, err);
}

static enum wr_result parse_unix(const char *text, const char *path, const char *directory, struct wr_address *ret_address,
                                 struct wr_error *err) {
    if (path[0] == '\0')
        return wr_error_set(err, WR_INVALID, "'%s' has no path: write unix:///run/weir/line.sock", text);
    struct wr_address address = {.kind = WR_ADDRESS_UNIX, .text = strdup(text), .path = strdup(path)};
    enum wr_result result = WR_OK;
    if (!address.text || !address.path || wr_config_resolve(&address.path, directory) != WR_OK)
        result = wr_error_set(err, WR_NO_MEMORY, "no memory");
    else if (strlen(address.path) >= UNIX_PATH_BYTES)
        result = wr_error_set(err, WR_INVALID, "the path of a socket has at most %zu bytes: '%s'", UNIX_PATH_BYTES - 1, address.path);
    if (result != WR_OK) {
        wr_address_fini(&address);
        return result;
    }
    *ret_address = address;
    return WR_OK;
}

enum wr_result wr_address_parse(const char *text, const char *directory, struct wr_address *ret_address, struct wr_error *err) {
    if (strcmp(text, "stdin") == 0) {
        struct wr_address address = {.kind = WR_ADDRESS_STDIN, .text = strdup(text)};
        if (!address.text)
            return wr_error_set(err, WR_NO_MEMORY, "no memory");
        *ret_address = address;
        return WR_OK;
    }
    if (strncmp(text, "unix://", 7) == 0)
        return parse_unix(text, text + 7, directory, ret_address, err);
    static const struct {
        const char *scheme;
        enum wr_address_kind kind;
    } ports[] = {{"tcp://", WR_ADDRESS_TCP}, {"tls://", WR_ADDRESS_TLS}, {"udp://", WR_ADDRESS_UDP}};
    for (size_t i = 0; i < sizeof ports / sizeof ports[0]; i++)
        if (strncmp(text, ports[i].scheme, 6) == 0)
            return parse_port(ports[i].kind, text, text + 6, ret_address, err);
    return wr_error_set(err, WR_INVALID, "'%s' is no address: %s", text, FORMS);
}

bool wr_address_is_loopback(const char *host) {
    return wr_authority_is_loopback(host);
}
