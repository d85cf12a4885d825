/* Checks of a source of kind http: the section it lives on, its tokens, its memory. */
#include <string.h>
#include <sys/stat.h>

#include "agent/config/config_private.h"

static void check_section(struct wr_config_load *load, unsigned index) {
    const struct wr_config *config = load->config;
    char path[WR_YAML_PATH_BYTES];
    if (!config->http)
        wr_config_error(load, WR_CONFIG_W_NEEDED, wr_config_path(path, "sources", index, "kind", -1), "http: {listen: \"127.0.0.1:8470\"}",
                        "source '%s' of kind http needs the section 'http'", config->sources[index].name);
    for (unsigned i = 0; i < index; i++)
        if (config->sources[i].kind == WR_SOURCE_HTTP)
            wr_config_error(load, WR_CONFIG_W_DUPLICATE, wr_config_path(path, "sources", index, "kind", -1), NULL,
                            "source '%s' takes what comes in over HTTP already", config->sources[i].name);
}

static void check_token_file(struct wr_config_load *load, unsigned index) {
    struct wr_config_http_in *http = &load->config->sources[index].http;
    char path[WR_YAML_PATH_BYTES];
    wr_config_path(path, "sources", index, "token_file", -1);
    struct stat stat_of;
    if (!http->token_file)
        return;
    if (wr_config_resolve(&http->token_file, load->config->directory) != WR_OK) {
        load->failed = WR_NO_MEMORY;
        return;
    }
    wr_config_check_readable(load, path, &http->token_file, 1);
    if (stat(http->token_file, &stat_of) == 0 && (stat_of.st_mode & S_IROTH) != 0)
        wr_config_warn(load, WR_CONFIG_W_FILE, path, "chmod 600", "everybody on this machine can read this secret");
}

/* Without tokens: said where the address is seen, which has been checked as text only. */
static void check_exposure(struct wr_config_load *load, unsigned index) {
    const struct wr_config *config = load->config;
    struct wr_address address;
    char path[WR_YAML_PATH_BYTES];
    if (!config->http || config->sources[index].http.token_file || wr_address_parse_tcp(config->http->listen, &address, NULL) != WR_OK)
        return;
    if (!wr_address_is_loopback(address.host))
        wr_config_warn(load, WR_CONFIG_W_EXPOSED, wr_config_path(path, "sources", index, "name", -1), "token_file: tokens",
                       "without tokens whoever reaches http.listen can write readings");
    wr_address_fini(&address);
}

static void check(struct wr_config_load *load, unsigned index) {
    const struct wr_config_http_in *http = &load->config->sources[index].http;
    char path[WR_YAML_PATH_BYTES];
    check_section(load, index);
    check_token_file(load, index);
    check_exposure(load, index);
    if (load->config->sources[index].json)
        wr_config_check_mapping(load, index);
    if (http->bodies_bytes < http->max_body_bytes)
        wr_config_error(load, WR_CONFIG_W_CONFLICT, wr_config_path(path, "sources", index, "bodies", -1), NULL,
                        "less than max_body: a large body could never be taken");
}

static const char *const keys[] = {"token_file", "max_body", "bodies", "precision", "json", NULL};

const struct wr_config_kind wr_config_kind_http = {.name = "http", .keys = keys, .left_out = !WEIR_SOURCE_HTTP, .check = check};
