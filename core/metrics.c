#include "core/metrics.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/utf8.h"

/* One line (or, of a histogram, one group of lines) of a metric. */
struct line {
    struct line *next;
    const void *owner;
    const _Atomic uint64_t *value;
    double (*function)(void *user);
    void *user;
    const struct wr_histogram *histogram;
    char labels[]; /* "" without */
};

/* A metric: all lines of one name, which the exposition must keep together. */
struct metric {
    struct metric *next;
    struct line *lines;
    enum wr_metric_kind kind;
    char *help; /* in the same allocation, behind the name */
    char name[];
};

struct wr_metrics {
    pthread_mutex_t lock;
    struct metric *metrics; /* sorted by name; one without lines waits for new ones */
};

enum wr_result wr_metrics_new(struct wr_metrics **ret_metrics) {
    struct wr_metrics *metrics = calloc(1, sizeof *metrics);
    if (!metrics)
        return WR_NO_MEMORY;
    pthread_mutexattr_t recursive; /* for wr_metrics_hold */
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&metrics->lock, &recursive);
    pthread_mutexattr_destroy(&recursive);
    *ret_metrics = metrics;
    return WR_OK;
}

/* Unlinks and frees the lines that belong to owner, or all of them. */
static void drop_lines(struct metric *metric, const void *owner, bool all) {
    for (struct line **link = &metric->lines; *link;) {
        struct line *line = *link;
        if (all || line->owner == owner) {
            *link = line->next;
            free(line);
        } else {
            link = &line->next;
        }
    }
}

void wr_metrics_free(struct wr_metrics *metrics) {
    if (!metrics)
        return;
    for (struct metric *metric = metrics->metrics; metric;) {
        struct metric *next = metric->next;
        drop_lines(metric, NULL, true);
        free(metric);
        metric = next;
    }
    pthread_mutex_destroy(&metrics->lock);
    free(metrics);
}

void wr_metrics_drop(struct wr_metrics *metrics, const void *owner) {
    pthread_mutex_lock(&metrics->lock);
    for (struct metric *metric = metrics->metrics; metric; metric = metric->next)
        drop_lines(metric, owner, false);
    pthread_mutex_unlock(&metrics->lock);
}

void wr_metrics_hold(struct wr_metrics *metrics) {
    pthread_mutex_lock(&metrics->lock);
}

void wr_metrics_let_go(struct wr_metrics *metrics) {
    pthread_mutex_unlock(&metrics->lock);
}

/* The metric of a name, made at its place if there is none. */
static struct metric *find_or_make(struct wr_metrics *metrics, enum wr_metric_kind kind, const char *name, const char *help) {
    struct metric **link = &metrics->metrics;
    int order = 1;
    while (*link && (order = strcmp((*link)->name, name)) < 0)
        link = &(*link)->next;
    if (*link && order == 0)
        return *link;
    size_t name_bytes = strlen(name) + 1;
    size_t help_bytes = strlen(help) + 1;
    struct metric *metric = malloc(sizeof *metric + name_bytes + help_bytes);
    if (!metric)
        return NULL;
    *metric = (struct metric){.next = *link, .kind = kind};
    memcpy(metric->name, name, name_bytes);
    metric->help = metric->name + name_bytes;
    memcpy(metric->help, help, help_bytes);
    *link = metric;
    return metric;
}

static enum wr_result add(struct wr_metrics *metrics, enum wr_metric_kind kind, const char *name, const char *help, const char *labels,
                          const struct line *like) {
    size_t labels_bytes = labels ? strlen(labels) + 1 : 1;
    struct line *line = malloc(sizeof *line + labels_bytes);
    if (!line)
        return WR_NO_MEMORY;
    memcpy(line, like, sizeof *line);
    memcpy(line->labels, labels ? labels : "", labels_bytes);
    line->next = NULL;

    enum wr_result result = WR_OK;
    pthread_mutex_lock(&metrics->lock);
    struct metric *metric = find_or_make(metrics, kind, name, help);
    if (!metric) {
        result = WR_NO_MEMORY;
        goto out;
    }
    if (metric->kind != kind) {
        result = WR_INVALID;
        goto out;
    }
    struct line **link = &metric->lines;
    for (; *link; link = &(*link)->next)
        if (strcmp((*link)->labels, line->labels) == 0) {
            result = WR_EXISTS; /* the same line twice makes the whole exposition invalid */
            goto out;
        }
    *link = line;
    line = NULL;
out:
    pthread_mutex_unlock(&metrics->lock);
    free(line);
    return result;
}

enum wr_result wr_metrics_add(struct wr_metrics *metrics, const void *owner, enum wr_metric_kind kind, const char *name, const char *help,
                              const char *labels, const _Atomic uint64_t *value) {
    assert(kind != WR_METRIC_HISTOGRAM);
    return add(metrics, kind, name, help, labels, &(struct line){.owner = owner, .value = value});
}

enum wr_result wr_metrics_add_function(struct wr_metrics *metrics, const void *owner, enum wr_metric_kind kind, const char *name,
                                       const char *help, const char *labels, double (*value)(void *user), void *user) {
    assert(kind != WR_METRIC_HISTOGRAM);
    return add(metrics, kind, name, help, labels, &(struct line){.owner = owner, .function = value, .user = user});
}

enum wr_result wr_metrics_add_rows(struct wr_metrics *metrics, const void *owner, const char *labels, const struct wr_metric_row *rows,
                                   size_t n, void *user) {
    for (size_t i = 0; i < n; i++) {
        const struct wr_metric_row *row = &rows[i];
        if (row->function)
            WR_TRY(wr_metrics_add_function(metrics, owner, row->kind, row->name, row->help, labels, row->function, user));
        else
            WR_TRY(wr_metrics_add(metrics, owner, row->kind, row->name, row->help, labels, row->value));
    }
    return WR_OK;
}

enum wr_result wr_metrics_add_histogram(struct wr_metrics *metrics, const void *owner, const char *name, const char *help,
                                        const char *labels, const struct wr_histogram *histogram) {
    return add(metrics, WR_METRIC_HISTOGRAM, name, help, labels, &(struct line){.owner = owner, .histogram = histogram});
}

char *wr_metrics_label(char *text, size_t size, const char *name, const char *value) {
    int begun = snprintf(text, size, "%s=\"", name);
    size_t at = begun > 0 ? (size_t)begun : 0;
    if (at + 2 > size) { /* not even an empty value fits */
        if (size > 0)
            text[0] = '\0';
        return text;
    }
    for (size_t len = strlen(value), from = 0; from < len;) {
        const char *unit = value + from;
        size_t taken = wr_utf8_length(unit, len - from);
        size_t unit_len = taken;
        if (taken == 0) {
            unit = "\xEF\xBF\xBD"; /* U+FFFD */
            unit_len = 3;
            taken = 1;
        } else if (*unit == '"' || *unit == '\\' || *unit == '\n') {
            unit = *unit == '"' ? "\\\"" : *unit == '\\' ? "\\\\" : "\\n";
            unit_len = 2;
        }
        if (at + unit_len + 2 > size)
            break;
        memcpy(text + at, unit, unit_len);
        at += unit_len;
        from += taken;
    }
    text[at++] = '"';
    text[at] = '\0';
    return text;
}

static enum wr_result put_number(struct wr_buf *into, double value) {
    char text[32];
    if (isnan(value))
        return wr_buf_text(into, "NaN\n");
    if (isinf(value))
        return wr_buf_text(into, value > 0 ? "+Inf\n" : "-Inf\n");
    size_t len = wr_json_format_double(text, value);
    WR_TRY(wr_buf_append(into, text, len));
    return wr_buf_text(into, "\n");
}

/* `name_suffix{labels,le="..."} ` without what is empty. */
static enum wr_result put_name(struct wr_buf *into, const char *name, const char *suffix, const char *labels, const char *le) {
    WR_TRY(wr_buf_printf(into, "%s%s", name, suffix));
    if (labels[0] != '\0' || le)
        WR_TRY(wr_buf_printf(into, "{%s%s%s%s%s}", labels, labels[0] != '\0' && le ? "," : "", le ? "le=\"" : "", le ? le : "",
                             le ? "\"" : ""));
    return wr_buf_text(into, " ");
}

static enum wr_result render_histogram(struct wr_buf *into, const char *name, const struct line *line) {
    /* Every second power of two is an edge of ours, so that each count is exact: 4 us, 16 us, ... 17 s, 69 s. */
    uint64_t below = 0;
    uint64_t count;
    char text[32];
    unsigned bucket = 0;
    for (unsigned power = 12; power <= 36; power += 2) {
        for (; bucket < 1 + (power - 10) * 4; bucket++)
            below += atomic_load_explicit(&line->histogram->buckets[bucket], memory_order_relaxed);
        wr_json_format_double(text, (double)(UINT64_C(1) << power) / 1e9);
        WR_TRY(put_name(into, name, "_bucket", line->labels, text));
        WR_TRY(wr_buf_printf(into, "%llu\n", (unsigned long long)below));
    }
    count = below;
    for (; bucket < WR_HISTOGRAM_BUCKETS; bucket++)
        count += atomic_load_explicit(&line->histogram->buckets[bucket], memory_order_relaxed);
    WR_TRY(put_name(into, name, "_bucket", line->labels, "+Inf"));
    WR_TRY(wr_buf_printf(into, "%llu\n", (unsigned long long)count));
    WR_TRY(put_name(into, name, "_sum", line->labels, NULL));
    WR_TRY(put_number(into, (double)atomic_load_explicit(&line->histogram->sum_ns, memory_order_relaxed) / 1e9));
    WR_TRY(put_name(into, name, "_count", line->labels, NULL));
    return wr_buf_printf(into, "%llu\n", (unsigned long long)count);
}

static enum wr_result render_line(struct wr_buf *into, const char *name, const struct line *line) {
    if (line->histogram)
        return render_histogram(into, name, line);
    WR_TRY(put_name(into, name, "", line->labels, NULL));
    if (line->function)
        return put_number(into, line->function(line->user));
    return wr_buf_printf(into, "%llu\n", (unsigned long long)atomic_load_explicit(line->value, memory_order_relaxed));
}

/* In a help text only the backslash and the end of a line are special. */
static enum wr_result put_help(struct wr_buf *into, const char *help) {
    for (; *help != '\0'; help++) {
        if (*help == '\n')
            WR_TRY(wr_buf_text(into, "\\n"));
        else if (*help == '\\')
            WR_TRY(wr_buf_text(into, "\\\\"));
        else
            WR_TRY(wr_buf_append(into, help, 1));
    }
    return WR_OK;
}

static enum wr_result render_metric(struct wr_buf *into, const struct metric *metric) {
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    WR_TRY(wr_buf_printf(into, "# HELP %s ", metric->name));
    WR_TRY(put_help(into, metric->help));
    WR_TRY(wr_buf_printf(into, "\n# TYPE %s %s\n", metric->name, kinds[metric->kind]));
    for (const struct line *line = metric->lines; line; line = line->next)
        WR_TRY(render_line(into, metric->name, line));
    return WR_OK;
}

enum wr_result wr_metrics_render(struct wr_metrics *metrics, struct wr_buf *into) {
    enum wr_result result = WR_OK;
    pthread_mutex_lock(&metrics->lock);
    for (const struct metric *metric = metrics->metrics; metric && result == WR_OK; metric = metric->next)
        if (metric->lines)
            result = render_metric(into, metric);
    pthread_mutex_unlock(&metrics->lock);
    return result;
}

void wr_metrics_walk(struct wr_metrics *metrics, void (*each)(void *user, const struct wr_metric_value *value), void *user) {
    pthread_mutex_lock(&metrics->lock);
    for (const struct metric *metric = metrics->metrics; metric; metric = metric->next)
        for (const struct line *line = metric->lines; line; line = line->next) {
            struct wr_metric_value value = {
                .kind = metric->kind, .name = metric->name, .labels = line->labels, .histogram = line->histogram};
            value.whole = line->value != NULL;
            if (line->value)
                value.count = atomic_load_explicit(line->value, memory_order_relaxed);
            else if (line->function)
                value.number = line->function(line->user);
            each(user, &value);
        }
    pthread_mutex_unlock(&metrics->lock);
}
