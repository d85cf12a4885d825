#include "tests/bench/recordings.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SAMPLES 10
#define COLUMNS_MAX 20
#define SERIES_MAX 256

struct series {
    char *key;
    size_t key_len;
    struct wr_aggregate *windows;
    size_t n;
    size_t cap;
    int64_t step_ns;
    int64_t before_ns;
};

void (*recordings_sample)(const char *key, size_t key_len, int64_t time_ns, double value, uint8_t decimals);

static struct series all[SERIES_MAX];
static size_t n_all;

static struct series *series_new(const char *measurement, const char *field) {
    struct series *series = &all[n_all++];
    char key[256];
    int len = snprintf(key, sizeof key, "%s%c%s%csite%criga", measurement, 0, field, 0, 0) + 1;
    *series = (struct series){.key = malloc((size_t)len), .key_len = (size_t)len};
    memcpy(series->key, key, (size_t)len);
    return series;
}

/* Digits after the point, if the number is written with at most 15 significant digits and no exponent. */
static uint8_t decimals_of(const char *text) {
    unsigned digits = 0;
    unsigned places = 0;
    bool point = false;
    for (; *text; text++) {
        if (*text == '.')
            point = true;
        else if (*text >= '0' && *text <= '9')
            digits += digits > 0 || *text != '0', places += point;
        else if (*text != '-')
            return WR_DECIMALS_UNKNOWN;
    }
    return digits <= 15 && places <= WR_DECIMALS_MAX ? (uint8_t)places : WR_DECIMALS_UNKNOWN;
}

static void series_add(struct series *series, int64_t time_ns, const char *text, size_t sample) {
    union wr_value value = {.f = strtod(text, NULL)};
    uint8_t decimals = decimals_of(text);
    if (recordings_sample)
        recordings_sample(series->key, series->key_len, time_ns, value.f, decimals);
    if (series->before_ns && !series->step_ns)
        series->step_ns = time_ns - series->before_ns;
    series->before_ns = time_ns;
    if (sample % SAMPLES == 0) {
        if (series->n == series->cap)
            series->windows = realloc(series->windows, (series->cap = series->cap * 2 + 64) * sizeof *series->windows);
        series->windows[series->n++] = (struct wr_aggregate){.key = series->key,
                                                             .key_len = (uint16_t)series->key_len,
                                                             .type = WR_TYPE_FLOAT,
                                                             .start_ns = time_ns / 60000000000 * 60000000000,
                                                             .sum = wr_sum_zero(),
                                                             .min = value,
                                                             .max = value,
                                                             .first = value};
    }
    struct wr_aggregate *window = &series->windows[series->n - 1];
    window->n++;
    window->last = value;
    if (value.f < window->min.f)
        window->min = value;
    if (value.f > window->max.f)
        window->max = value;
    if (decimals > window->decimals)
        window->decimals = decimals;
    wr_sum_add(&window->sum, WR_TYPE_FLOAT, value, decimals);
}

/* Splits a line at commas, without quotes. */
static size_t split(char *line, char **cells) {
    size_t n = 0;
    for (char *at = line; at && n < COLUMNS_MAX;) {
        char *end = strchr(at, ',');
        if (end)
            *end++ = 0;
        if (*at == '"')
            at++;
        at[strcspn(at, "\"\r\n")] = 0;
        cells[n++] = at;
        at = end;
    }
    return n;
}

static int64_t time_of(const char *date, const char *clock) {
    char text[64];
    snprintf(text, sizeof text, "%s %s", date, clock);
    struct tm tm = {0};
    if (!strptime(text, "%Y-%m-%d %H:%M:%S", &tm))
        return 0;
    return (int64_t)timegm(&tm) * 1000000000;
}

/* A column of times, then values; air quality has date and time apart; occupancy has a row number before. */
static void read_file(const char *path, const char *name) {
    FILE *file = fopen(path, "r");
    char line[1024];
    char head[1024];
    char *names[COLUMNS_MAX];
    char *cells[COLUMNS_MAX];
    if (!file || !fgets(head, sizeof head, file))
        exit(2);
    char measurement[64];
    snprintf(measurement, sizeof measurement, "%.*s", (int)strcspn(name, "."), name);
    size_t n_names = split(head, names);
    bool apart = strcmp(names[0], "Date") == 0;
    struct series *first = NULL;
    for (size_t row = 0; fgets(line, sizeof line, file); row++) {
        size_t n = split(line, cells);
        bool numbered = n == n_names + 1;
        size_t skip = apart ? 2 : numbered ? 2 : 1;
        int64_t time_ns = apart ? time_of(cells[0], cells[1]) : time_of(cells[numbered ? 1 : 0], "");
        if (!time_ns) {
            char copy[64];
            snprintf(copy, sizeof copy, "%s", cells[numbered ? 1 : 0]);
            char *space = strchr(copy, ' ');
            if (!space)
                continue;
            *space = 0;
            time_ns = time_of(copy, space + 1);
        }
        if (!first) {
            first = &all[n_all];
            for (size_t i = skip; i < n; i++)
                (void)series_new(measurement, names[numbered ? i - 1 : i]);
        }
        for (size_t i = skip; i < n; i++)
            series_add(&first[i - skip], time_ns, cells[i], row);
    }
    fclose(file);
}

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

void recordings_read(struct recordings *recordings, const char *dir) {
    static const char *const folders[] = {"nab", "occupancy", "airquality"};
    n_all = 0;
    for (size_t f = 0; f < 3; f++) {
        char folder[512];
        snprintf(folder, sizeof folder, "%s/%s", dir, folders[f]);
        struct dirent **entries;
        int n = scandir(folder, &entries, NULL, by_name);
        for (int i = 0; i < n; i++) {
            const char *name = entries[i]->d_name;
            const char *dot = strrchr(name, '.');
            char path[1024];
            snprintf(path, sizeof path, "%s/%s", folder, name);
            if (dot && strcmp(name, "LICENSE.txt") != 0 && (strcmp(dot, ".csv") == 0 || strcmp(dot, ".txt") == 0))
                read_file(path, name);
            free(entries[i]);
        }
        if (n >= 0)
            free(entries);
    }
    if (n_all == 0) {
        fprintf(stderr, "no recordings below %s\n", dir);
        exit(2);
    }
    size_t total = 0;
    for (size_t s = 0; s < n_all; s++)
        total += all[s].n;
    *recordings = (struct recordings){.aggregates = malloc(total * sizeof(struct wr_aggregate)), .n_series = n_all};
    for (size_t w = 0; recordings->n < total; w++)
        for (size_t s = 0; s < n_all; s++)
            if (w < all[s].n) {
                struct wr_aggregate *to = &recordings->aggregates[recordings->n++];
                *to = all[s].windows[w];
                to->window_ns = SAMPLES * all[s].step_ns;
            }
}

void recordings_free(struct recordings *recordings) {
    free(recordings->aggregates);
    for (size_t s = 0; s < n_all; s++) {
        free(all[s].key);
        free(all[s].windows);
    }
    n_all = 0;
}
