/* Checks of windows, rules and services. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/config/config_part.h"
#include "agent/config/config_private.h"

#define LEDGER_NAME_MAX (WR_LEDGER_NAME_BYTES - 1)
#define SERVICE_DIRECTORY "/run/weir" /* RuntimeDirectory of packaging/systemd/weir.service */
#define FORWARD_RAW 2                 /* the third name of `forward` in the schema */
#define SOCKET_PATH_BYTES sizeof(((struct sockaddr_un *)0)->sun_path)

/* ---- windows ---- */

static void check_window_name(struct wr_config_load *load, unsigned index) {
    const struct wr_config_window *windows = load->config->window_sections;
    const char *name = windows[index].name;
    char path[WR_YAML_PATH_BYTES];
    wr_config_path(path, "windows", index, "name", -1);
    if (!wr_config_check_name(load, path, name, LEDGER_NAME_MAX))
        return;
    if (strcmp(name, WR_LEDGER_NONE) == 0 || strcmp(name, WR_LEDGER_INTAKE) == 0)
        wr_config_error(load, WR_CONFIG_W_NAME, path, NULL, "'%s' is a name of the ledger's own", name);
    for (unsigned i = 0; i < index; i++)
        if (strcmp(windows[i].name, name) == 0) {
            wr_config_error(load, WR_CONFIG_W_DUPLICATE, path, NULL, "two windows are called '%s'", name);
            return;
        }
}

static void check_window_length(struct wr_config_load *load, unsigned index) {
    const struct wr_config_window *window = &load->config->window_sections[index];
    char path[WR_YAML_PATH_BYTES];
    wr_config_path(path, "windows", index, "every", -1);
    bool given = wr_config_given(load, path);
    if (window->forward == WR_FORWARD_WINDOWS && !given)
        wr_config_error(load, WR_CONFIG_W_NEEDED, path, "every: 1m", "window '%s' needs 'every'", window->name);
    if (window->forward == WR_FORWARD_CHANGES && given)
        wr_config_error(load, WR_CONFIG_W_FOREIGN, path, NULL, "'every' has no meaning with forward changes");
    if (window->forward == FORWARD_RAW)
        wr_config_error(load, WR_CONFIG_W_NOT_YET, wr_config_path(path, "windows", index, "forward", -1), "forward: windows, or changes",
                        "this version cannot forward raw readings yet");
}

static void compile_window(struct wr_config_load *load, unsigned index) {
    const struct wr_config_window *section = &load->config->window_sections[index];
    struct wr_window_spec *spec = &load->config->windows[index];
    char path[WR_YAML_PATH_BYTES];
    check_window_name(load, index);
    check_window_length(load, index);
    snprintf(spec->name, sizeof spec->name, "%s", section->name);
    spec->forward = (enum wr_window_forward)section->forward;
    spec->every_ns = section->every_ns;
    spec->lateness_ns = section->lateness_ns;
    if (section->keep)
        wr_config_check_keep(load, index);
    struct wr_error err = {0};
    size_t at = 0;
    if (wr_selector_parse(section->of, strlen(section->of), &spec->of, &at, &err) == WR_OK)
        return;
    size_t characters = 0; /* places count characters, the selector counts bytes */
    for (size_t i = 0; i < at; i++)
        characters += ((unsigned char)section->of[i] & 0xC0) != 0x80;
    char mapped[WR_YAML_PATH_BYTES];
    const struct wr_yaml *holder =
        wr_config_part_holder(load->config->part, &load->config->yaml, wr_config_path(path, "windows", index, "of", -1), mapped);
    wr_yaml_complain(holder, load->diagnostics, WR_DIAGNOSTIC_ERROR, WR_CONFIG_W_SELECTOR, mapped, characters, 1, NULL, "%s", err.text);
}

void wr_config_check_windows(struct wr_config_load *load) {
    struct wr_config *config = load->config;
    unsigned n = config->n_windows;
    if (n == 0 && config->n_rule_patterns == 0)
        wr_config_warn(load, WR_CONFIG_W_USELESS, "windows", "windows: [{name: m1, every: 1m}]",
                       "neither windows nor rules: every reading is dropped");
    if (n > WR_WINDOWS_MAX) {
        wr_config_error(load, WR_CONFIG_W_LIMIT, "windows", NULL, "%u windows: at most %d", n, WR_WINDOWS_MAX);
        return;
    }
    if (config->n_sources * (n + 2) > WR_LEDGER_ACCOUNTS_MAX)
        wr_config_error(load, WR_CONFIG_W_LIMIT, "windows", NULL, "%u sources and %u windows make more than %d accounts", config->n_sources,
                        n, WR_LEDGER_ACCOUNTS_MAX);
    if (n == 0)
        return;
    config->windows = calloc(n, sizeof *config->windows);
    if (!config->windows) {
        load->failed = WR_NO_MEMORY;
        return;
    }
    for (unsigned i = 0; i < n; i++)
        compile_window(load, i);
}

/* ---- rules ---- */

/* A list of patterns made into the files that they match. */
static void find_files(struct wr_config_load *load, const char *key, char *const *patterns, unsigned n, char ***files, unsigned *n_files) {
    if (n == 0)
        return;
    unsigned *matched = calloc(n, sizeof *matched);
    if (!matched || wr_config_glob(patterns, n, load->config->directory, files, n_files, matched) != WR_OK) {
        load->failed = WR_NO_MEMORY;
        free(matched);
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        char path[32];
        snprintf(path, sizeof path, "%s[%u]", key, i);
        if (matched[i] > 0)
            continue;
        if (strpbrk(patterns[i], "*?["))
            wr_config_warn(load, WR_CONFIG_W_USELESS, path, NULL, "no rule file matches '%s'", patterns[i]);
        else
            wr_config_error(load, WR_CONFIG_W_FILE, path, NULL, "no such file: '%s'", patterns[i]);
    }
    free(matched);
    wr_config_check_readable(load, key, *files, *n_files);
}

void wr_config_check_rules(struct wr_config_load *load) {
    struct wr_config *config = load->config;
    find_files(load, "rules", config->rule_patterns, config->n_rule_patterns, &config->rule_files, &config->n_rule_files);
    config->n_own_rule_files = config->n_rule_files;
    find_files(load, "shadow_rules", config->shadow_patterns, config->n_shadow_patterns, &config->shadow_files, &config->n_shadow_files);
}

/* ---- services ---- */

static void check_command_tokens(struct wr_config_load *load, char **file) {
    struct stat stat_of;
    if (wr_config_resolve(file, load->config->directory) != WR_OK) {
        load->failed = WR_NO_MEMORY;
        return;
    }
    wr_config_check_readable(load, "http.command_token_file", file, 1);
    if (stat(*file, &stat_of) == 0 && (stat_of.st_mode & S_IROTH) != 0)
        wr_config_warn(load, WR_CONFIG_W_FILE, "http.command_token_file", "chmod 600", "everybody on this machine can read this secret");
    for (unsigned i = 0; i < load->config->n_sources; i++) {
        const char *writers = load->config->sources[i].http.token_file;
        if (writers && strcmp(writers, *file) == 0)
            wr_config_error(load, WR_CONFIG_W_CONFLICT, "http.command_token_file", NULL,
                            "source '%s' has the same file: whoever may write readings could silence alarms",
                            load->config->sources[i].name);
    }
}

static void check_http(struct wr_config_load *load) {
    struct wr_config_http *http = load->config->http;
    struct wr_error err = {0};
    enum wr_result parsed = wr_address_parse_tcp(http->listen, &http->address, &err);
    if (parsed == WR_NO_MEMORY)
        load->failed = WR_NO_MEMORY;
    else if (parsed != WR_OK)
        wr_config_error(load, WR_CONFIG_W_ADDRESS, "http.listen", NULL, "%s", err.text);
    else if (wr_config_source_at(load->config, &http->address))
        wr_config_error(load, WR_CONFIG_W_DUPLICATE, "http.listen", NULL, "source '%s' listens there already",
                        wr_config_source_at(load->config, &http->address));
    else if (!wr_address_is_loopback(http->address.host))
        wr_config_warn(load, WR_CONFIG_W_EXPOSED, "http.listen", NULL,
                       http->command_token_file
                           ? "HTTP has no TLS: commands and their tokens can be read on the network, and whoever reaches "
                             "this port can read the metrics"
                           : "HTTP has no passwords: whoever reaches this port can read the metrics");
    if (http->command_token_file)
        check_command_tokens(load, &http->command_token_file);
}

/* directory/{node.id}.sock; NULL: no memory. */
static char *socket_in(const struct wr_config *config, const char *directory) {
    struct wr_buf path;
    wr_buf_init(&path, 0);
    if (wr_buf_printf(&path, "%s/%s.sock", directory, config->node->id) != WR_OK) {
        wr_buf_fini(&path);
        return NULL;
    }
    return (char *)wr_buf_steal(&path, NULL);
}

/* Where the agent listens: as configured, else in the runtime directory that systemd gives, else in the store. A client of a service has no
 * runtime directory in its environment, so it looks there too. */
static void place_control_socket(struct wr_config_load *load) {
    struct wr_config *config = load->config;
    struct wr_config_control *control = config->control;
    const char *runtime = getenv("RUNTIME_DIRECTORY");
    enum wr_result result = WR_OK;
    if (control->socket && control->socket[0] == '\0') {
        wr_config_error(load, WR_CONFIG_W_FILE, "control.socket", "control: {socket: /run/weir.sock}", "the socket has no name");
        return;
    }
    if (control->socket) {
        result = wr_config_resolve(&control->socket, config->directory);
    } else if (runtime && runtime[0] == '/') {
        control->socket = socket_in(config, runtime);
    } else {
        control->socket = socket_in(config, config->store->path);
        control->socket_of_service = socket_in(config, SERVICE_DIRECTORY);
        result = control->socket_of_service ? WR_OK : WR_NO_MEMORY;
    }
    if (!control->socket || result != WR_OK)
        load->failed = WR_NO_MEMORY;
    else if (strlen(control->socket) >= SOCKET_PATH_BYTES)
        wr_config_error(load, WR_CONFIG_W_ADDRESS, "control.socket", "control: {socket: /run/weir.sock}",
                        "the path of a socket has at most %zu bytes: '%s'", SOCKET_PATH_BYTES - 1, control->socket);
}

void wr_config_check_services(struct wr_config_load *load) {
    const struct wr_config_limits *limits = load->config->limits;
    if (load->failed != WR_OK)
        return;
    if (load->config->http)
        check_http(load);
    place_control_socket(load);
    wr_config_check_permissions(load);
    if (limits->partial_lines_bytes < limits->max_line_bytes)
        wr_config_error(load, WR_CONFIG_W_CONFLICT, "limits.partial_lines", NULL,
                        "less than max_line: a long line could never be completed");
}
