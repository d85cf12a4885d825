#include "agent/commands/rule_files.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/file.h"
#include "rules/yaml/yaml.h"

static enum wr_result add_file(struct wr_rule_files *files, const char *path, struct wr_error *err) {
    if (files->n == WR_RULE_FILES_MAX)
        return wr_error_set(err, WR_LIMIT, "more than %d files", WR_RULE_FILES_MAX);
    if (files->n == files->cap) {
        size_t cap = files->cap > 0 ? files->cap * 2 : 16;
        char **more = realloc(files->files, cap * sizeof *more);
        if (!more)
            return wr_error_set(err, WR_NO_MEMORY, "no memory");
        files->files = more;
        files->cap = cap;
    }
    files->files[files->n] = strdup(path);
    if (!files->files[files->n])
        return wr_error_set(err, WR_NO_MEMORY, "no memory");
    files->n++;
    return WR_OK;
}

static int is_wanted(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static bool is_yaml(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

/* A config of an agent, a test file of promtool, a manifest of Kubernetes: told by a key at the beginning of a line that no rule file has. What cannot be read
 * is left to whoever reads it, and says so. */
static enum wr_result find_out(const char *path, bool *ret_else, struct wr_error *err) {
    static const char *const keys[] = {"node:", "rule_files:", "apiVersion:"};
    struct wr_buf text;
    *ret_else = false;
    wr_buf_init(&text, 0);
    const enum wr_result result = wr_file_read(path, WR_YAML_BYTES, &text, err);
    for (const char *line = result == WR_OK ? wr_buf_str(&text) : NULL; line && !*ret_else;
         line = strchr(line, '\n'), line = line ? line + 1 : NULL)
        for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
            *ret_else |= strncmp(line, keys[i], strlen(keys[i])) == 0;
    wr_buf_fini(&text);
    return result == WR_NO_MEMORY ? result : WR_OK;
}

static enum wr_result add_folder(struct wr_rule_files *files, const char *path, unsigned depth, struct wr_error *err);

static enum wr_result add_entry(struct wr_rule_files *files, const char *folder, const char *name, unsigned depth, struct wr_error *err) {
    char path[4096];
    struct stat found;
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return wr_error_set(err, WR_LIMIT, "%.200s/...: the path is too long", folder);
    if (stat(path, &found) != 0)
        return WR_OK; /* gone meanwhile, or a link to nowhere */
    if (S_ISDIR(found.st_mode))
        return add_folder(files, path, depth + 1, err);
    bool something_else = !is_yaml(name);
    if (!something_else)
        WR_TRY(find_out(path, &something_else, err));
    return something_else ? WR_OK : add_file(files, path, err);
}

static enum wr_result add_folder(struct wr_rule_files *files, const char *path, unsigned depth, struct wr_error *err) {
    struct dirent **entries;
    if (depth == WR_RULE_FILES_DEEP)
        return wr_error_set(err, WR_LIMIT, "%.200s: more than %d folders in each other", path, WR_RULE_FILES_DEEP);
    int n = scandir(path, &entries, is_wanted, alphasort);
    if (n < 0)
        return wr_error_set(err, WR_IO, "%.200s: cannot be read", path);
    enum wr_result result = WR_OK;
    for (int i = 0; i < n; i++) {
        if (result == WR_OK)
            result = add_entry(files, path, entries[i]->d_name, depth, err);
        free(entries[i]);
    }
    free(entries);
    return result;
}

enum wr_result wr_rule_files_add(struct wr_rule_files *files, const char *path, struct wr_error *err) {
    struct stat found;
    size_t before = files->n;
    if (stat(path, &found) != 0)
        return wr_error_set(err, WR_NOT_FOUND, "%.200s: there is no such file or folder", path);
    if (!S_ISDIR(found.st_mode))
        return add_file(files, path, err);
    WR_TRY(add_folder(files, path, 0, err));
    return files->n > before ? WR_OK : wr_error_set(err, WR_NOT_FOUND, "%.200s: no rule file (*.yaml) in this folder", path);
}

void wr_rule_files_fini(struct wr_rule_files *files) {
    for (size_t i = 0; i < files->n; i++)
        free(files->files[i]);
    free(files->files);
    *files = (struct wr_rule_files){0};
}
