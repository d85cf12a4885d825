/* Checks of a source of kind line: where it listens. */
#include <stdlib.h>
#include <string.h>

#include "agent/config/config_private.h"
#include "transport/tls_server.h"

#define REFUSED "TLS connections are refused"

static void check_address(struct wr_config_load *load, unsigned index, const char *path, const struct wr_address *address) {
    const bool has_port = address->kind == WR_ADDRESS_TCP || address->kind == WR_ADDRESS_TLS || address->kind == WR_ADDRESS_UDP;
    if (!has_port || wr_address_is_loopback(address->host))
        return;
    if (address->kind == WR_ADDRESS_TCP)
        wr_config_warn(load, WR_CONFIG_W_EXPOSED, path, NULL, "there are no passwords here: whoever reaches this port can write readings");
    else if (address->kind == WR_ADDRESS_UDP)
        wr_config_warn(load, WR_CONFIG_W_EXPOSED, path, NULL, "UDP has no passwords, and a sender's address is easily forged");
    else if (!load->config->sources[index].tls.ca)
        wr_config_warn(load, WR_CONFIG_W_EXPOSED, path, "ca: senders.pem",
                       "without 'ca' senders need no certificate: whoever reaches this port can write readings");
}

/* TCP and TLS share their ports, UDP has its own. */
static enum wr_address_kind namespace_of(const struct wr_address *address) {
    return address->kind == WR_ADDRESS_TLS ? WR_ADDRESS_TCP : address->kind;
}

static bool same_address(const struct wr_address *a, const struct wr_address *b) {
    if (namespace_of(a) != namespace_of(b) || !a->text || !b->text)
        return false;
    if (a->kind == WR_ADDRESS_STDIN)
        return true;
    if (a->kind == WR_ADDRESS_UNIX)
        return strcmp(a->path, b->path) == 0;
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

/* Complains if an address of an earlier source, or an earlier one of this source, is the same. */
static void check_taken(struct wr_config_load *load, unsigned index, unsigned at) {
    const struct wr_config_source *sources = load->config->sources;
    const struct wr_address *wanted = &sources[index].line.addresses[at];
    for (unsigned i = 0; i <= index; i++) {
        if (!sources[i].line.addresses)
            continue;
        for (unsigned j = 0; j < (i == index ? at : sources[i].line.n_listen); j++)
            if (same_address(&sources[i].line.addresses[j], wanted)) {
                char path[WR_YAML_PATH_BYTES];
                wr_config_error(load, WR_CONFIG_W_DUPLICATE, wr_config_path(path, "sources", index, "listen", (int)at), NULL,
                                "source '%s' listens there already", sources[i].name);
                return;
            }
    }
}

const char *wr_config_source_at(const struct wr_config *config, const struct wr_address *address) {
    for (unsigned i = 0; i < config->n_sources; i++)
        for (unsigned j = 0; config->sources[i].line.addresses && j < config->sources[i].line.n_listen; j++)
            if (same_address(&config->sources[i].line.addresses[j], address))
                return config->sources[i].name;
    return NULL;
}

static bool listens_with_tls(const struct wr_config_line *line) {
    for (unsigned i = 0; i < line->n_listen; i++)
        if (line->addresses[i].text && line->addresses[i].kind == WR_ADDRESS_TLS)
            return true;
    return false;
}

/* One of the files alone is right; together they must be, too. */
static void try_files(struct wr_config_load *load, unsigned index, const struct wr_config_tls *tls) {
    const struct wr_tls_config files = {.ca = tls->ca, .cert = tls->cert, .key = tls->key, .crl = tls->crl};
    struct wr_tls_server *server;
    struct wr_error err = {0};
    char path[WR_YAML_PATH_BYTES];
    bool changed;
    enum wr_result result = wr_tls_server_new(&files, wr_clock_real(), &server, &err);
    if (result == WR_OK) {
        result = wr_tls_server_refresh(server, &changed, &err);
        wr_tls_server_free(server);
    }
    if (result == WR_NO_MEMORY)
        load->failed = WR_NO_MEMORY;
    else if (result == WR_INVALID)
        wr_config_warn(load, WR_CONFIG_W_FILE, wr_config_path(path, "sources", index, "cert", -1), NULL,
                       "%s: " REFUSED " until this is mended", err.text);
}

static void check_tls(struct wr_config_load *load, unsigned index) {
    struct wr_config_source *source = &load->config->sources[index];
    struct wr_config_tls *tls = &source->tls;
    char path[WR_YAML_PATH_BYTES];
    const struct {
        const char *key;
        char **file;
        bool secret;
        bool needed;
        const char *hint;
    } files[] = {{"cert", &tls->cert, false, true, "cert: weir.pem"},
                 {"key", &tls->key, true, true, "key: weir.key"},
                 {"ca", &tls->ca, false, false, NULL},
                 {"crl", &tls->crl, false, false, NULL}};
    const bool listens = listens_with_tls(&source->line);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        wr_config_path(path, "sources", index, files[i].key, -1);
        if (listens && files[i].needed && !*files[i].file)
            wr_config_error(load, WR_CONFIG_W_NEEDED, path, files[i].hint, "a tls:// address needs '%s'", files[i].key);
        else if (!listens && *files[i].file)
            wr_config_warn(load, WR_CONFIG_W_USELESS, path, "tls://", "source '%s' has no tls:// address: '%s' is not used", source->name,
                           files[i].key);
        wr_config_check_credential(load, path, files[i].file, files[i].secret, REFUSED);
    }
    if (tls->crl && !tls->ca)
        wr_config_error(load, WR_CONFIG_W_NEEDED, wr_config_path(path, "sources", index, "crl", -1), "ca: senders.pem",
                        "'crl' is about certificates of senders, and without 'ca' none is asked for");
    if (listens && tls->cert && tls->key && load->failed == WR_OK)
        try_files(load, index, tls);
}

static void check(struct wr_config_load *load, unsigned index) {
    struct wr_config_source *source = &load->config->sources[index];
    struct wr_config_line *line = &source->line;
    char path[WR_YAML_PATH_BYTES];
    wr_config_check_format(load, index);
    if (line->n_listen == 0) {
        wr_config_error(load, WR_CONFIG_W_NEEDED, wr_config_path(path, "sources", index, "listen", -1), "listen: \"tcp://127.0.0.1:8094\"",
                        "source '%s' needs 'listen'", source->name);
        return;
    }
    if (!wr_config_source_given(load, index, "max_connections"))
        line->max_connections = load->config->limits->max_connections;
    line->addresses = calloc(line->n_listen, sizeof *line->addresses);
    if (!line->addresses) {
        load->failed = WR_NO_MEMORY;
        return;
    }
    for (unsigned i = 0; i < line->n_listen; i++) {
        struct wr_error err = {0};
        enum wr_result parsed = wr_address_parse(line->listen[i], load->config->directory, &line->addresses[i], &err);
        wr_config_path(path, "sources", index, "listen", (int)i);
        if (parsed == WR_NO_MEMORY)
            load->failed = WR_NO_MEMORY;
        else if (parsed != WR_OK)
            wr_config_error(load, WR_CONFIG_W_ADDRESS, path, NULL, "%s", err.text);
        else {
            check_address(load, index, path, &line->addresses[i]);
            check_taken(load, index, i);
        }
    }
    if (load->failed == WR_OK)
        check_tls(load, index);
}

static const char *const keys[] = {"listen", "format", "json", "precision", "max_connections", "cert", "key", "ca", "crl", NULL};

const struct wr_config_kind wr_config_kind_line = {.name = "line", .keys = keys, .check = check};
