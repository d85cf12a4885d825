/* What rules may do, which the agent's own config says: programs, directories, hosts without TLS, secrets. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/config/config_private.h"
#include "core/authority.h"
#include "core/path.h"

#define SECRET_NAME_MAX 63

static void check_exec_allow(struct wr_config_load *load) {
    const struct wr_config *config = load->config;
    for (unsigned i = 0; i < config->n_exec_allow; i++) {
        char path[32];
        struct stat stat_of;
        snprintf(path, sizeof path, "exec_allow[%u]", i);
        if (config->exec_allow[i][0] != '/')
            wr_config_error(load, WR_CONFIG_W_FILE, path, NULL, "a program is named by its absolute path");
        else if (stat(config->exec_allow[i], &stat_of) != 0 || !S_ISREG(stat_of.st_mode) || access(config->exec_allow[i], X_OK) != 0)
            wr_config_warn(load, WR_CONFIG_W_FILE, path, NULL, "no such program, or it cannot be executed");
        else if ((stat_of.st_mode & S_IWOTH) != 0)
            wr_config_error(load, WR_CONFIG_W_FILE, path, "chmod o-w", "everybody can change this program");
    }
}

static void check_file_allow(struct wr_config_load *load) {
    const struct wr_config *config = load->config;
    for (unsigned i = 0; i < config->n_file_allow; i++) {
        const char *directory = config->file_allow[i];
        char path[32];
        struct stat stat_of;
        snprintf(path, sizeof path, "file_allow[%u]", i);
        if (!wr_path_is_plain(directory) || !directory[1])
            wr_config_error(load, WR_CONFIG_W_FILE, path, NULL, "a directory is named by its absolute path, without . or ..");
        else if (stat(directory, &stat_of) != 0 || !S_ISDIR(stat_of.st_mode) || access(directory, W_OK | X_OK) != 0)
            wr_config_warn(load, WR_CONFIG_W_FILE, path, NULL, "no such directory, or it cannot be written to");
        else if ((stat_of.st_mode & (S_IWOTH | S_ISVTX)) == S_IWOTH)
            wr_config_error(load, WR_CONFIG_W_FILE, path, "chmod o-w", "everybody can put other files in place of ours there");
    }
}

static void check_http_allow(struct wr_config_load *load) {
    const struct wr_config *config = load->config;
    for (unsigned i = 0; i < config->n_http_allow; i++) {
        char path[32];
        char host[WR_AUTHORITY_HOST_BYTES];
        uint16_t port = 80;
        struct wr_error err = {0};
        const char *at = config->http_allow[i];
        snprintf(path, sizeof path, "http_allow[%u]", i);
        if (wr_authority_take(&at, "write HOST or HOST:PORT", host, &port, &err) != WR_OK)
            wr_config_error(load, WR_CONFIG_W_ADDRESS, path, NULL, "%s", err.text);
        else if (*at)
            wr_config_error(load, WR_CONFIG_W_ADDRESS, path, NULL, "write HOST or HOST:PORT");
        else
            wr_config_warn(load, WR_CONFIG_W_EXPOSED, path, NULL,
                           "alarms go to %s without TLS: everybody on the way can read and change them", host);
    }
}

static void check_secrets(struct wr_config_load *load) {
    struct wr_config *config = load->config;
    for (unsigned i = 0; i < config->n_secrets; i++) {
        struct wr_config_secret *secret = &config->secrets[i];
        char path[WR_YAML_PATH_BYTES];
        wr_config_path(path, "secrets", i, "name", -1);
        (void)wr_config_check_name(load, path, secret->name, SECRET_NAME_MAX);
        for (unsigned k = 0; k < i; k++)
            if (strcmp(config->secrets[k].name, secret->name) == 0) {
                wr_config_error(load, WR_CONFIG_W_DUPLICATE, path, NULL, "two secrets are called '%s'", secret->name);
                break;
            }
        wr_config_check_credential(load, wr_config_path(path, "secrets", i, "file", -1), &secret->file, true,
                                   "webhooks with this secret fail");
    }
}

void wr_config_check_permissions(struct wr_config_load *load) {
    check_exec_allow(load);
    check_file_allow(load);
    check_http_allow(load);
    check_secrets(load);
}
