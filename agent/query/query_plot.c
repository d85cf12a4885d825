/* An answer as lines of bars: one a series. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/query/query_print.h"
#include "core/json.h"

#define BARS 60
#define LEVELS 8
#define FLAT 3 /* where nothing goes up or down */

/* -- rows -------------------------------------------------------------------------------------------------------------------------------------- */

static bool number_of(const struct wr_query_value *value, double *ret_number) {
    *ret_number = value->kind == WR_QUERY_INTEGER ? (double)value->integer : value->real;
    return (value->kind == WR_QUERY_INTEGER || value->kind == WR_QUERY_REAL) && isfinite(*ret_number);
}

/* By name, or the last that holds a number. */
static int column_to_draw(const struct wr_query_print *print, const struct wr_query_value *values, unsigned n) {
    static const char *const names[] = {"mean", "value"};
    double number;
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
        for (unsigned i = 0; i < n; i++)
            if (strcmp(wr_query_print_name(print, i), names[k]) == 0)
                return (int)i;
    for (unsigned i = n; i > 0; i--)
        if (number_of(&values[i - 1], &number))
            return (int)i - 1;
    return -1;
}

/* The number of a label, made if it is new. Rows of one series mostly follow each other. */
static enum wr_result find_label(struct wr_query_print *print, size_t at, uint32_t *ret_label) {
    const char *text = (const char *)print->texts.data + at;
    const size_t *labels = (const size_t *)(const void *)print->labels.data;
    const uint32_t n = (uint32_t)(print->labels.len / sizeof(size_t));
    for (uint32_t i = n; i > 0; i--)
        if (strcmp((const char *)print->texts.data + labels[i - 1], text) == 0) {
            print->texts.len = at;
            *ret_label = i - 1;
            return WR_OK;
        }
    *ret_label = n;
    return wr_buf_append(&print->labels, &at, sizeof at);
}

enum wr_result wr_query_plot_row(struct wr_query_print *print, const struct wr_query_value *values, unsigned n) {
    if (print->drawn < 0)
        print->drawn = column_to_draw(print, values, n);
    struct wr_query_point point = {.order = print->n_rows, .at_ns = print->n_rows};
    if (print->drawn < 0 || !number_of(&values[print->drawn], &point.value))
        return WR_OK;
    const size_t at = print->texts.len;
    bool has_time = false;
    bool has_label = false;
    for (unsigned i = 0; i < n; i++) {
        if (values[i].kind != WR_QUERY_TEXT)
            continue;
        if (!has_time && wr_query_time_read(values[i].text, values[i].len, &point.at_ns)) {
            has_time = true;
            continue;
        }
        if (has_label)
            print->texts.data[print->texts.len - 1] = ' ';
        WR_TRY(wr_query_print_text(&print->texts, &values[i], true));
        has_label = true;
    }
    if (!has_label)
        WR_TRY(wr_buf_append(&print->texts, "", 1));
    print->has_times |= has_time;
    WR_TRY(find_label(print, at, &point.label));
    return wr_buf_append(&print->points, &point, sizeof point);
}

/* -- lines ------------------------------------------------------------------------------------------------------------------------------------- */

static int by_label_and_time(const void *a, const void *b) {
    const struct wr_query_point *one = a;
    const struct wr_query_point *other = b;
    if (one->label != other->label)
        return one->label < other->label ? -1 : 1;
    if (one->at_ns != other->at_ns)
        return one->at_ns < other->at_ns ? -1 : 1;
    return (one->order > other->order) - (one->order < other->order);
}

struct axis {
    int64_t from;
    int64_t to;
};

/* One place of a line is the mean of what falls there. */
static void draw(FILE *out, const struct wr_query_point *points, size_t n, const struct axis *axis, unsigned bars) {
    static const char *const levels[LEVELS] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    double sums[BARS] = {0};
    unsigned counts[BARS] = {0};
    const double span = (double)axis->to - (double)axis->from;
    for (size_t i = 0; i < n; i++) {
        const double place = span > 0 ? ((double)points[i].at_ns - (double)axis->from) / span * bars : 0;
        const unsigned k = place >= bars ? bars - 1 : (unsigned)place;
        sums[k] += points[i].value;
        counts[k]++;
    }
    double low = INFINITY;
    double high = -INFINITY;
    for (unsigned k = 0; k < bars; k++)
        if (counts[k] > 0) {
            sums[k] /= counts[k];
            low = fmin(low, sums[k]);
            high = fmax(high, sums[k]);
        }
    for (unsigned k = 0; k < bars; k++) {
        const double level = high > low ? (sums[k] - low) / (high - low) * (LEVELS - 1) : FLAT;
        fputs(counts[k] > 0 ? levels[(unsigned)(level + 0.5)] : " ", out);
    }
}

static void put_number(FILE *out, const char *name, double value) {
    char text[32];
    const size_t len = wr_json_format_double(text, value);
    fprintf(out, "  %s %.*s", name, (int)len, text);
}

static void print_series(const struct wr_query_print *print, const struct wr_query_point *points, size_t n, const struct axis *axis,
                         unsigned bars, int label_width) {
    const size_t *labels = (const size_t *)(const void *)print->labels.data;
    const char *label = (const char *)print->texts.data + labels[points->label];
    double low = points[0].value;
    double high = points[0].value;
    for (size_t i = 1; i < n; i++) {
        low = fmin(low, points[i].value);
        high = fmax(high, points[i].value);
    }
    int width = 0;
    for (const char *at = label; *at; at++)
        width += ((uint8_t)*at & 0xC0) != 0x80;
    if (label_width > 0)
        fprintf(print->out, "%s%*s  ", label, label_width - width, "");
    draw(print->out, points, n, axis, bars);
    put_number(print->out, "min", low);
    put_number(print->out, "max", high);
    put_number(print->out, "last", points[n - 1].value);
    fputc('\n', print->out);
}

static void print_axis(const struct wr_query_print *print, const struct axis *axis) {
    char from[WR_QUERY_TIME_BYTES];
    char to[WR_QUERY_TIME_BYTES];
    wr_query_time_print(from, axis->from);
    wr_query_time_print(to, axis->to);
    fprintf(print->out, "%s from %s to %s\n", wr_query_print_name(print, (unsigned)print->drawn), from, to);
}

enum wr_result wr_query_plot_end(struct wr_query_print *print, struct wr_error *err) {
    struct wr_query_point *points = (struct wr_query_point *)(void *)print->points.data;
    const size_t n = print->points.len / sizeof *points;
    if (n == 0)
        return print->n_rows > 0 ? wr_error_set(err, WR_INVALID, "no column of the answer holds numbers: there is nothing to draw") : WR_OK;
    const size_t *labels = (const size_t *)(const void *)print->labels.data;
    int width = 0;
    for (size_t i = 0; i < print->labels.len / sizeof *labels; i++) {
        int w = 0;
        for (const char *at = (const char *)print->texts.data + labels[i]; *at; at++)
            w += ((uint8_t)*at & 0xC0) != 0x80;
        width = w > width ? w : width;
    }
    qsort(points, n, sizeof *points, by_label_and_time);
    struct axis axis = {points[0].at_ns, points[0].at_ns};
    size_t most = 0;
    for (size_t i = 0, begin = 0; i < n; i++) {
        axis.from = points[i].at_ns < axis.from ? points[i].at_ns : axis.from;
        axis.to = points[i].at_ns > axis.to ? points[i].at_ns : axis.to;
        if (points[i].label != points[begin].label)
            begin = i;
        most = i - begin + 1 > most ? i - begin + 1 : most;
    }
    const unsigned bars = most < BARS ? (unsigned)most : BARS;
    for (size_t i = 0; i < n;) {
        size_t end = i + 1;
        while (end < n && points[end].label == points[i].label)
            end++;
        print_series(print, points + i, end - i, &axis, bars, width);
        i = end;
    }
    if (print->has_times)
        print_axis(print, &axis);
    return WR_OK;
}
