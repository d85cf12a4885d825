#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/config/config_part.h"
#include "agent/config/config_private.h"
#include "agent/remote/bundle_files.h"
#include "core/buf.h"
#include "core/file.h"

/* directory + "/" + path, malloc'ed; NULL: no memory. */
static char *join(const char *directory, const char *path, bool quote) {
    struct wr_buf joined;
    wr_buf_init(&joined, 0);
    enum wr_result result = WR_OK;
    for (const char *c = directory; *c && result == WR_OK; c++) {
        if (quote && strchr("*?[]\\", *c)) /* the directory is meant as it stands */
            result = wr_buf_text(&joined, "\\");
        if (result == WR_OK)
            result = wr_buf_append(&joined, c, 1);
    }
    if (result == WR_OK && (joined.len == 0 || joined.data[joined.len - 1] != '/'))
        result = wr_buf_text(&joined, "/");
    if (result == WR_OK)
        result = wr_buf_text(&joined, path);
    if (result != WR_OK) {
        wr_buf_fini(&joined);
        return NULL;
    }
    return (char *)wr_buf_steal(&joined, NULL);
}

enum wr_result wr_config_resolve(char **path, const char *directory) {
    if (!*path || (*path)[0] == '/')
        return WR_OK;
    char *absolute = join(directory, *path, false);
    if (!absolute)
        return WR_NO_MEMORY;
    free(*path);
    *path = absolute;
    return WR_OK;
}

void wr_config_strings_free(char **strings, unsigned n) {
    for (unsigned i = 0; strings && i < n; i++)
        free(strings[i]);
    free(strings);
}

/* A list that grows; each string once. */
struct strings {
    char **list;
    unsigned n;
    unsigned cap;
};

static enum wr_result add_once(struct strings *strings, const char *text) {
    for (unsigned i = 0; i < strings->n; i++)
        if (strcmp(strings->list[i], text) == 0)
            return WR_OK;
    if (strings->n == strings->cap) {
        unsigned cap = strings->cap > 0 ? strings->cap * 2 : 8;
        char **list = realloc(strings->list, cap * sizeof *list);
        if (!list)
            return WR_NO_MEMORY;
        strings->list = list;
        strings->cap = cap;
    }
    strings->list[strings->n] = strdup(text);
    return strings->list[strings->n] ? (strings->n++, WR_OK) : WR_NO_MEMORY;
}

static enum wr_result add_matches(struct strings *strings, const char *pattern, const char *directory, unsigned *ret_matched) {
    char *absolute = pattern[0] == '/' ? strdup(pattern) : join(directory, pattern, true);
    if (!absolute)
        return WR_NO_MEMORY;
    glob_t found = {0};
    int globbed = glob(absolute, 0, NULL, &found);
    free(absolute);
    enum wr_result result = globbed == GLOB_NOSPACE ? WR_NO_MEMORY : WR_OK;
    *ret_matched = globbed == 0 ? (unsigned)found.gl_pathc : 0;
    for (unsigned i = 0; i < *ret_matched && result == WR_OK; i++)
        result = add_once(strings, found.gl_pathv[i]);
    globfree(&found);
    return result;
}

static int compare(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

enum wr_result wr_config_glob(char *const *patterns, unsigned n_patterns, const char *directory, char ***ret_files, unsigned *ret_n,
                              unsigned *ret_matched) {
    struct strings strings = {0};
    for (unsigned i = 0; i < n_patterns; i++)
        if (add_matches(&strings, patterns[i], directory, &ret_matched[i]) != WR_OK) {
            wr_config_strings_free(strings.list, strings.n);
            return WR_NO_MEMORY;
        }
    if (strings.n > 0)
        qsort(strings.list, strings.n, sizeof *strings.list, compare);
    *ret_files = strings.list;
    *ret_n = strings.n;
    return WR_OK;
}

static enum wr_result add_bundle(struct wr_config *config, const char *directory) {
    char *const pattern = (char *)(uintptr_t) "*.yaml";
    char **files;
    unsigned n, matched;
    WR_TRY(wr_config_glob(&pattern, 1, directory, &files, &n, &matched));
    char **all = realloc(config->rule_files, (config->n_rule_files + n + 1) * sizeof *all);
    if (!all) {
        wr_config_strings_free(files, n);
        return WR_NO_MEMORY;
    }
    for (unsigned i = 0; i < n; i++)
        all[config->n_rule_files++] = files[i];
    config->rule_files = all;
    free(files);
    return WR_OK;
}

/* Whether rules and config come from a bundle, too. */
static bool takes_bundle(const struct wr_config_load *load) {
    const struct wr_config *config = load->config;
    return config->uplink && config->uplink->commands && config->uplink->commands->bundles && (!load->bundle || load->bundle[0]);
}

/* "": it has none. */
static enum wr_result read_part(const struct wr_config_load *load, char *path, struct wr_buf *text, struct wr_error *err) {
    const struct wr_config *config = load->config;
    char *store = strdup(config->store->path);
    if (!store || wr_config_resolve(&store, config->directory) != WR_OK) {
        free(store);
        return WR_NO_MEMORY;
    }
    snprintf(path, PATH_MAX, "%s%s/" WR_BUNDLE_CONFIG, load->bundle ? load->bundle : store, load->bundle ? "" : "/" WR_BUNDLES_CURRENT);
    free(store);
    if (access(path, F_OK) != 0) {
        path[0] = '\0';
        return WR_OK;
    }
    return wr_file_read(path, WR_YAML_BYTES, text, err);
}

void wr_config_add_part(struct wr_config_load *load) {
    struct wr_buf text;
    struct wr_error err = {0};
    char path[PATH_MAX] = WR_BUNDLE_CONFIG;
    wr_buf_init(&text, 0);
    enum wr_result result = WR_OK;
    if (load->part)
        result = wr_buf_append(&text, load->part, load->part_len);
    else if (takes_bundle(load))
        result = read_part(load, path, &text, &err);
    else
        path[0] = '\0';
    if (result == WR_OK && path[0] && (load->part || !load->bundle || load->bundle[0]))
        result = wr_config_part_read(path, wr_buf_str(&text), text.len, load->diagnostics, &load->config->part, &err);
    if (result == WR_OK && load->config->part)
        result = wr_config_part_merge(load->config->part, load->config, load->diagnostics);
    if (result == WR_NO_MEMORY)
        load->failed = result;
    else if (result != WR_OK && result != WR_INVALID)
        wr_config_error(load, WR_CONFIG_W_FILE, "uplink.commands.bundles", NULL, "%s", err.text);
    wr_buf_fini(&text);
}

void wr_config_add_bundle(struct wr_config_load *load) {
    const struct wr_config *config = load->config;
    if (load->failed != WR_OK || !takes_bundle(load))
        return;
    char *current = load->bundle ? strdup(load->bundle) : join(config->store->path, WR_BUNDLES_CURRENT, false);
    if (!current || add_bundle(load->config, current) != WR_OK)
        load->failed = WR_NO_MEMORY;
    free(current);
}

void wr_config_check_readable(struct wr_config_load *load, const char *path, char *const *files, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        struct stat stat_of;
        if (stat(files[i], &stat_of) != 0 || access(files[i], R_OK) != 0)
            wr_config_error(load, WR_CONFIG_W_FILE, path, NULL, "%s: %s", files[i], strerror(errno));
        else if (!S_ISREG(stat_of.st_mode)) /* a pipe, too: it could be read only once, and opening it may wait for ever */
            wr_config_error(load, WR_CONFIG_W_FILE, path, NULL, "%s: %s", files[i],
                            S_ISDIR(stat_of.st_mode) ? "that is a directory" : "that is no regular file");
    }
}

void wr_config_check_credential(struct wr_config_load *load, const char *path, char **file, bool secret, const char *without) {
    if (!*file)
        return;
    if (wr_config_resolve(file, load->config->directory) != WR_OK) {
        load->failed = WR_NO_MEMORY;
        return;
    }
    struct stat stat_of;
    if (access(*file, R_OK) != 0)
        wr_config_warn(load, WR_CONFIG_W_FILE, path, NULL, "%s: %s until this file can be read", strerror(errno), without);
    else if (stat(*file, &stat_of) == 0 && S_ISDIR(stat_of.st_mode))
        wr_config_warn(load, WR_CONFIG_W_FILE, path, NULL, "that is a directory: %s until it is a file", without);
    else if (secret && stat(*file, &stat_of) == 0 && (stat_of.st_mode & (S_IROTH | S_IWOTH)) != 0)
        wr_config_warn(load, WR_CONFIG_W_FILE, path, "chmod 600", "everybody on this machine can read this secret");
}
