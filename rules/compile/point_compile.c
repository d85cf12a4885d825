/* points: what is known about a series. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/quantity.h"
#include "rules/compile/rule_compile.h"
#include "rules/compile/rule_schema.h"
#include "rules/language/parser.h"

/* clang-format off */
const struct wr_yaml_field wr_point_fields[] = {
    STRING(wr_file_point, point, .required = true, .help = "name of the series: measurement, or measurement.field"),
    STRING(wr_file_point, unit, .help = "unit of its values: °C, bar, L/min, % ..."),
    STRING(wr_file_point, range, .help = "sane values, as \"-40..60\" in the unit; a value outside is bad"),
    {.key = "resolution", .kind = WR_YAML_FLOAT, AT(wr_file_point, resolution), .min = 0, .max = 1e18, .help = "smallest step of the sensor"},
    {.key = "every", .kind = WR_YAML_DURATION, AT(wr_file_point, every_ns), .help = "how often a value is expected"},
    STRING(wr_file_point, lateness, .help = "how late a reading may come, instead of the window's own"),
    {.key = "counter", .kind = WR_YAML_BOOL, AT(wr_file_point, counter), .help = "counts up only: rate and delta take a fall for a reset"},
    {.key = "wrap", .kind = WR_YAML_FLOAT, AT(wr_file_point, wrap), .min = 0, .max = 1e19, .help = "a counter's value where it starts again at 0"},
    END,
};
/* clang-format on */

static void read_unit(struct wr_compile *compile, const struct wr_file_point *record, struct wr_point *point) {
    struct wr_error err;
    point->unit = wr_unit_plain();
    if (!record->unit)
        return;
    if (wr_unit_parse(record->unit, strlen(record->unit), &point->unit, &err) != WR_OK)
        WR_COMPILE_ERROR(compile, 106, "unit", NULL, "%s", err.text);
    point->unit.ambiguous_m = false; /* a point in m is in metres */
}

/* One end of a range: a number, with a unit or in the point's own. */
static bool read_end(struct wr_compile *compile, const char *text, size_t len, const struct wr_point *point, double *ret_value) {
    struct wr_complaint complaint;
    struct wr_node *node = wr_parse_expression(text, len, &compile->ruleset->arena, &complaint);
    if (!node || node->kind != WR_NODE_NUMBER)
        return false;
    if (node->unit.plain) {
        *ret_value = node->number;
        return true;
    }
    if (!wr_unit_same_dimension(&node->unit, &point->unit) || node->unit.point != point->unit.point)
        return false;
    *ret_value = wr_unit_convert(node->number, &node->unit, &point->unit);
    return true;
}

static void read_range(struct wr_compile *compile, const struct wr_file_point *record, struct wr_point *point) {
    point->low = -INFINITY;
    point->high = INFINITY;
    if (!record->range)
        return;
    const char *dots = strstr(record->range, "..");
    bool good = dots && read_end(compile, record->range, (size_t)(dots - record->range), point, &point->low) &&
                read_end(compile, dots + 2, strlen(dots + 2), point, &point->high) && point->low < point->high;
    if (!good)
        WR_COMPILE_ERROR(compile, 330, "range", NULL, "a range is two numbers in the unit of the point, the lower one first: \"-40..60\"");
}

bool wr_compile_point_name(struct wr_compile *compile, const char *name) {
    if (strlen(name) > 0 && strlen(name) < WR_SELECTOR_BYTES && !strpbrk(name, "{}*?\" "))
        return true;
    WR_COMPILE_ERROR(compile, 322, "point", NULL, "a point is the name of a series: measurement, or measurement.field");
    return false;
}

static void compile_point(struct wr_compile *compile, const struct wr_file_point *record, struct wr_point *point) {
    char plain[WR_SELECTOR_BYTES];
    struct wr_error err;
    point->place = (struct wr_place){compile->file, wr_compile_where(compile, "point")};
    (void)wr_compile_point_name(compile, record->point);
    point->name = wr_compile_copy(compile, wr_ruleset_plain_name(record->point, plain, sizeof plain));
    read_unit(compile, record, point);
    read_range(compile, record, point);
    point->resolution = record->resolution;
    point->every_ns = record->every_ns;
    point->lateness_ns = -1;
    if (record->lateness && wr_quantity_duration(record->lateness, &point->lateness_ns, &err) != WR_OK)
        WR_COMPILE_ERROR(compile, 322, "lateness", NULL, "%s", err.text);
    point->counter = record->counter;
    point->wrap = record->wrap;
    if (record->wrap > 0 && !record->counter)
        WR_COMPILE_ERROR(compile, 322, "wrap", "add counter: true", "`wrap` is for counters");
}

bool wr_compile_points(struct wr_compile *compile) {
    struct wr_ruleset *ruleset = compile->ruleset;
    const struct wr_rule_file *file = compile->yaml->record;
    compile->list = "points";
    for (unsigned i = 0; i < file->n_points; i++) {
        if (!file->points[i].point) {
            ruleset->lost = true;
            continue;
        }
        struct wr_point *point = wr_arena_take(&ruleset->arena, sizeof *point);
        if (!point)
            return false;
        compile->index = i;
        compile_point(compile, &file->points[i], point);
        if (!point->name)
            return false;
        ruleset->points[ruleset->n_points++] = point;
    }
    return true;
}
