#include "tests/bench/nab_files.h"

#include <dirent.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void fail(const char *what, const char *where) {
    fprintf(stderr, "%s: %s\n", where, what);
    exit(2);
}

/* The whole of dir/name, ended with a NUL; NULL: there is no such file. */
static char *whole(const char *path) {
    FILE *file = fopen(path, "re");
    if (!file)
        return NULL;
    size_t n = 0;
    size_t cap = 1 << 16;
    char *text = malloc(cap + 1);
    for (size_t got; text && (got = fread(text + n, 1, cap - n, file)) > 0;)
        if ((n += got) == cap)
            text = realloc(text, (cap *= 2) + 1);
    if (!text || ferror(file))
        fail("cannot be read", path);
    fclose(file);
    text[n] = 0;
    return text;
}

/* dir/name, or dir/folder/name. */
static char *find(const char *dir, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    char *text = whole(path);
    DIR *folder = text ? NULL : opendir(dir);
    for (struct dirent *entry; folder && !text && (entry = readdir(folder));)
        if (entry->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s/%s", dir, entry->d_name, name);
            text = whole(path);
        }
    if (folder)
        closedir(folder);
    return text;
}

static int64_t time_of(const char *text, const char *where) {
    struct tm tm = {0};
    if (!strptime(text, "%Y-%m-%d %H:%M:%S", &tm))
        fail("not a time", where);
    return (int64_t)timegm(&tm) * 1000000000;
}

static void read_rows(struct nab_file *file, char *text) {
    size_t cap = 1;
    for (const char *at = text; *at; at++)
        cap += *at == '\n';
    int64_t *times = malloc(cap * sizeof *times);
    double *values = malloc(cap * sizeof *values);
    if (!times || !values)
        fail("no memory", file->name);
    char *line = strchr(text, '\n'); /* the first line has the names */
    for (char *end; line && *++line; line = end) {
        end = strchr(line, '\n');
        const char *comma = strchr(line, ',');
        if (!comma || (end && comma > end))
            fail("a line without a comma", file->name);
        times[file->n] = time_of(line, file->name);
        values[file->n++] = strtod(comma + 1, NULL);
    }
    file->at_ns = times;
    file->values = values;
}

/* The row of that time; where there is none the next one for the begin of a window, the one before for its end. */
static size_t row_at(const struct nab_file *file, int64_t at_ns, bool begin) {
    size_t row = 0;
    while (row < file->n && file->at_ns[row] < at_ns)
        row++;
    if (row == file->n && (begin || row == 0))
        fail("a window beyond its rows", file->name);
    return !begin && row > 0 && (row == file->n || file->at_ns[row] > at_ns) ? row - 1 : row;
}

/* The strings of windows.json in their order: the name of a file, then begin and end of each window. */
static void read_windows(struct nab_files *files, const char *dir, char *json) {
    struct nab_file *file = NULL;
    unsigned strings = 0;
    for (char *at = strtok(json, "\""); (at = strtok(NULL, "\""));) {
        const size_t len = strlen(at);
        if (len > 4 && strcmp(at + len - 4, ".csv") == 0) {
            const char *slash = strrchr(at, '/');
            const char *name = slash ? slash + 1 : at;
            char *text = find(dir, name);
            file = NULL;
            if (text && files->n == NAB_FILES_MAX)
                fail("too many files", dir);
            if (text) {
                file = &files->files[files->n++];
                *file = (struct nab_file){.name = name};
                read_rows(file, text);
                free(text);
            }
            strings = 0;
        } else if (at[0] >= '0' && at[0] <= '9' && file) {
            const size_t row = row_at(file, time_of(at, file->name), strings % 2 == 0);
            if (strings / 2 == NAB_WINDOWS_MAX)
                fail("too many windows", file->name);
            struct nab_window *window = &file->windows[strings / 2];
            *(strings % 2 ? &window->last : &window->first) = row;
            file->n_windows = ++strings / 2;
        }
    }
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct nab_file *)a)->name, ((const struct nab_file *)b)->name);
}

/* Lines `name,low,high`. */
static void read_ranges(struct nab_files *files, const char *dir) {
    char path[4096];
    snprintf(path, sizeof path, "%s/ranges.csv", dir);
    for (size_t i = 0; i < files->n; i++)
        files->low[i] = files->high[i] = NAN;
    char *text = whole(path);
    for (char *line = text ? strtok(text, "\n") : NULL; line; line = strtok(NULL, "\n"))
        for (size_t i = 0; i < files->n; i++) {
            const size_t len = strlen(files->files[i].name);
            if (strncmp(line, files->files[i].name, len) == 0 && line[len] == ',' &&
                sscanf(line + len, ",%lf,%lf", &files->low[i], &files->high[i]) != 2)
                fail(line, path);
        }
    free(text);
}

void nab_files_read(struct nab_files *files, const char *dir) {
    char path[4096];
    snprintf(path, sizeof path, "%s/windows.json", dir);
    char *json = whole(path); /* the names stay in it */
    if (!json)
        fail("cannot be read", path);
    files->n = 0;
    read_windows(files, dir, json);
    if (files->n == 0)
        fail("none of the files is there", path);
    qsort(files->files, files->n, sizeof *files->files, by_name);
    read_ranges(files, dir);
}
