#include "agent/replay/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/replay/compare.h"
#include "core/json.h"
#include "core/quantity.h"
#include "rules/compile/ruleset.h"

#define DIFFERENCES_SHOWN 20 /* of a rule, unless verbose */

static char *format_length(char *text, size_t size, int64_t ns) {
    const int64_t round_ns = ns >= 10 * WR_NS_PER_S ? WR_NS_PER_S : WR_NS_PER_MS;
    return wr_quantity_format_duration(text, size, ns - ns % round_ns);
}

/* Seconds are enough where people compare days. */
static char *format_time(char *text, size_t size, int64_t ns) {
    wr_clock_format(text, size, ns);
    char *dot = strchr(text, '.');
    if (dot)
        memcpy(dot, "Z", 2);
    return text;
}

/* The rules of both sets, each name once: those of the new one first. Returns the i-th, NULL: no more. */
static const char *rule_at(const struct wr_replay_report *report, uint32_t i, enum wr_severity *ret_severity) {
    const uint32_t n = wr_ruleset_count(report->rules[0]);
    if (i < n) {
        const struct wr_rule_info rule = wr_ruleset_info(report->rules[0], i);
        *ret_severity = rule.severity;
        return rule.name;
    }
    uint32_t left = i - n;
    for (uint32_t k = 0; report->rules[1] && k < wr_ruleset_count(report->rules[1]); k++) {
        const struct wr_rule_info rule = wr_ruleset_info(report->rules[1], k);
        if (wr_ruleset_find(report->rules[0], rule.name) != UINT32_MAX)
            continue;
        *ret_severity = rule.severity;
        if (left-- == 0)
            return rule.name;
    }
    return NULL;
}

static unsigned name_width(const struct wr_replay_report *report) {
    enum wr_severity severity;
    const char *name;
    unsigned width = 16;
    for (uint32_t i = 0; (name = rule_at(report, i, &severity)); i++)
        width = strlen(name) > width ? (unsigned)strlen(name) : width;
    return width;
}

/* -- words: one rule set -------------------------------------------------------------------------------------------------------------------- */

static enum wr_result print_head(const struct wr_replay_report *report, struct wr_buf *into) {
    const struct wr_play_result *result = report->result;
    char first[32], last[32], length[32];
    char files[32] = "history"; /* no files */
    char left_out[40] = "";
    if (report->n_files > 0)
        snprintf(files, sizeof files, "%u file%s", report->n_files, report->n_files == 1 ? "" : "s");
    if (result->left_out > 0)
        snprintf(left_out, sizeof left_out, " (%u left out)", result->left_out);
    if (result->first_ns == WR_EVENT_NONE)
        return wr_buf_printf(into, "%s%s, %" PRIu64 " refused: no record with a time in %s\n", files, left_out, result->refused,
                             report->n_files > 1 ? "them" : "it");
    return wr_buf_printf(into, "%s%s, %" PRIu64 " readings of %u series, %" PRIu64 " refused\n%s to %s, %s\n\n", files, left_out,
                         result->readings, result->series, result->refused, format_time(first, sizeof first, result->first_ns),
                         format_time(last, sizeof last, result->last_ns),
                         format_length(length, sizeof length, result->last_ns - result->first_ns));
}

static enum wr_result print_sum(const struct wr_tally_sum *sum, struct wr_buf *into) {
    char first[32], last[32], active[32], longest[32];
    if (sum->raised == 0)
        return wr_buf_text(into, "\n");
    return wr_buf_printf(into, "  %-20s  %-20s  %10s  %10s%s\n", format_time(first, sizeof first, sum->first_ns),
                         format_time(last, sizeof last, sum->last_ns), format_length(active, sizeof active, sum->active_ns),
                         format_length(longest, sizeof longest, sum->longest_ns), sum->lasts ? "  still active" : "");
}

static enum wr_result print_rules(const struct wr_replay_report *report, struct wr_buf *into) {
    const struct wr_tally *tally = &report->result->tallies[0];
    const int width = (int)name_width(report);
    WR_TRY(wr_buf_printf(into, "%-*s  %-8s  %6s  %6s  %6s  %-20s  %-20s  %10s  %10s\n", width, "rule", "severity", "fired", "told",
                         "alarms", "first", "last", "active", "longest"));
    for (uint32_t i = 0; i < wr_ruleset_count(report->rules[0]); i++) {
        const struct wr_rule_info rule = wr_ruleset_info(report->rules[0], i);
        uint32_t first, n;
        const struct wr_tally_sum sum = wr_tally_rule(tally, rule.name, &first, &n);
        WR_TRY(wr_buf_printf(into, "%-*s  %-8s  %6" PRIu64 "  %6" PRIu64 "  %6u", width, rule.name, wr_severity_name(rule.severity),
                             sum.raised, sum.told, n));
        WR_TRY(print_sum(&sum, into));
        for (uint32_t k = first; report->verbose && k < first + n; k++) {
            const struct wr_tally_alarm *alarm = &tally->alarms[k];
            WR_TRY(wr_buf_printf(into, "  {%s}%*s  %6" PRIu64 "  %6" PRIu64 "  %6s", alarm->instance,
                                 width + 6 > (int)strlen(alarm->instance) ? width + 6 - (int)strlen(alarm->instance) : 0, "",
                                 alarm->sum.raised, alarm->sum.told, ""));
            WR_TRY(print_sum(&alarm->sum, into));
        }
    }
    return WR_OK;
}

/* -- words: two ----------------------------------------------------------------------------------------------------------------------------- */

struct differences {
    struct wr_buf *into;
    uint32_t left; /* room for so many more */
    uint64_t more;
    enum wr_result failed;
};

static const char *format_shift(char *text, size_t size, int64_t shift_ns) {
    char length[32];
    snprintf(text, size, "%s %s", format_length(length, sizeof length, shift_ns < 0 ? -shift_ns : shift_ns),
             shift_ns < 0 ? "earlier" : "later");
    return text;
}

static void print_difference(void *user, const struct wr_tally_alarm *alarm, const struct wr_tally_episode *new_one,
                             const struct wr_tally_episode *old_one) {
    struct differences *differences = user;
    const struct wr_tally_episode *shown = new_one ? new_one : old_one;
    char start[32], shift[64], length[32];
    if (differences->failed != WR_OK || differences->left == 0) {
        differences->more++;
        return;
    }
    differences->left--;
    if (new_one && old_one)
        format_shift(shift, sizeof shift, new_one->start_ns - old_one->start_ns);
    else
        snprintf(shift, sizeof shift, "for %s", format_length(length, sizeof length, shown->end_ns - shown->start_ns));
    differences->failed = wr_buf_printf(differences->into, "  %-8s  %s  %s%s%s%s  %s\n",
                                        !old_one   ? "only new"
                                        : !new_one ? "only old"
                                                   : "moved",
                                        format_time(start, sizeof start, shown->start_ns), alarm->rule, alarm->instance[0] ? "{" : "",
                                        alarm->instance, alarm->instance[0] ? "}" : "", shift);
}

static enum wr_result print_compared(const struct wr_replay_report *report, const char *name, int width, struct wr_buf *into) {
    const struct wr_play_result *result = report->result;
    uint32_t first, n;
    char shift[64] = "";
    const struct wr_tally_sum mine = wr_tally_rule(&result->tallies[0], name, &first, &n);
    const struct wr_tally_sum other = wr_tally_rule(&result->tallies[1], name, &first, &n);
    const struct wr_compare_sum sum = wr_compare_rule(&result->tallies[0], &result->tallies[1], name, NULL, NULL);
    if (sum.moved > 0)
        format_shift(shift, sizeof shift, sum.shift_ns / (int64_t)sum.both);
    return wr_buf_printf(into, "%-*s  %6" PRIu64 "  %6" PRIu64 "  %6" PRIu64 "  %8" PRIu64 "  %8" PRIu64 "  %s%s\n", width, name,
                         mine.raised, other.raised, sum.both, sum.only_new, sum.only_old, shift,
                         sum.moved > 0 && sum.both > 1 ? " on average" : "");
}

static enum wr_result print_differences(const struct wr_replay_report *report, struct wr_buf *into) {
    const int width = (int)name_width(report);
    enum wr_severity severity;
    const char *name;
    WR_TRY(wr_buf_printf(into, "\nnew: %s, old: %s\n%-*s  %6s  %6s  %6s  %8s  %8s  raised\n", report->names[0], report->names[1], width,
                         "rule", "new", "old", "both", "only new", "only old"));
    for (uint32_t i = 0; (name = rule_at(report, i, &severity)); i++)
        WR_TRY(print_compared(report, name, width, into));
    for (uint32_t i = 0; (name = rule_at(report, i, &severity)); i++) {
        struct differences differences = {.into = into, .left = report->verbose ? UINT32_MAX : DIFFERENCES_SHOWN};
        (void)wr_compare_rule(&report->result->tallies[0], &report->result->tallies[1], name, print_difference, &differences);
        WR_TRY(differences.failed);
        if (differences.more > 0)
            WR_TRY(wr_buf_printf(into, "  ... and %" PRIu64 " more of %s: --verbose shows all\n", differences.more, name));
    }
    const uint64_t left_out = report->result->tallies[0].episodes_left_out + report->result->tallies[1].episodes_left_out;
    return left_out > 0 ? wr_buf_printf(into, "  %" PRIu64 " more alarms were counted, but not compared\n", left_out) : WR_OK;
}

enum wr_result wr_replay_report_text(const struct wr_replay_report *report, struct wr_buf *into) {
    WR_TRY(print_head(report, into));
    if (report->result->first_ns == WR_EVENT_NONE)
        return WR_OK;
    WR_TRY(print_rules(report, into));
    return report->rules[1] ? print_differences(report, into) : WR_OK;
}

/* -- JSON ------------------------------------------------------------------------------------------------------------------------------------ */

static void sum_json(const struct wr_tally_sum *sum, struct wr_json *json) {
    wr_json_uint(json, "fired", sum->raised);
    wr_json_uint(json, "told", sum->told);
    if (sum->raised == 0)
        return;
    wr_json_int(json, "first_ns", sum->first_ns);
    wr_json_int(json, "last_ns", sum->last_ns);
    wr_json_int(json, "active_ns", sum->active_ns);
    wr_json_int(json, "longest_ns", sum->longest_ns);
    wr_json_bool(json, "still_active", sum->lasts);
}

static void difference_json(void *user, const struct wr_tally_alarm *alarm, const struct wr_tally_episode *new_one,
                            const struct wr_tally_episode *old_one) {
    struct wr_json *json = user;
    wr_json_object(json, NULL);
    wr_json_string(json, "instance", alarm->instance);
    if (new_one)
        wr_json_int(json, "new_ns", new_one->start_ns);
    if (old_one)
        wr_json_int(json, "old_ns", old_one->start_ns);
    wr_json_object_end(json);
}

static void compared_json(const struct wr_replay_report *report, const char *name, struct wr_json *json) {
    const struct wr_tally *mine = &report->result->tallies[0];
    const struct wr_tally *other = &report->result->tallies[1];
    uint32_t first, n;
    const struct wr_tally_sum old_sum = wr_tally_rule(other, name, &first, &n);
    const struct wr_compare_sum sum = wr_compare_rule(mine, other, name, NULL, NULL);
    wr_json_object(json, "old");
    sum_json(&old_sum, json);
    wr_json_object_end(json);
    wr_json_uint(json, "both", sum.both);
    wr_json_uint(json, "only_new", sum.only_new);
    wr_json_uint(json, "only_old", sum.only_old);
    wr_json_uint(json, "moved", sum.moved);
    wr_json_int(json, "shift_mean_ns", sum.both > 0 ? sum.shift_ns / (int64_t)sum.both : 0);
    wr_json_int(json, "shift_most_ns", sum.shift_most_ns);
    wr_json_array(json, "differences");
    (void)wr_compare_rule(mine, other, name, difference_json, json);
    wr_json_array_end(json);
}

static void rule_json(const struct wr_replay_report *report, const char *name, enum wr_severity severity, struct wr_json *json) {
    const struct wr_tally *tally = &report->result->tallies[0];
    uint32_t first, n;
    const struct wr_tally_sum sum = wr_tally_rule(tally, name, &first, &n);
    wr_json_object(json, NULL);
    wr_json_string(json, "rule", name);
    wr_json_string(json, "severity", wr_severity_name(severity));
    sum_json(&sum, json);
    wr_json_array(json, "alarms");
    for (uint32_t k = first; k < first + n; k++) {
        wr_json_object(json, NULL);
        wr_json_string(json, "instance", tally->alarms[k].instance);
        sum_json(&tally->alarms[k].sum, json);
        wr_json_object_end(json);
    }
    wr_json_array_end(json);
    if (report->rules[1])
        compared_json(report, name, json);
    wr_json_object_end(json);
}

enum wr_result wr_replay_report_json(const struct wr_replay_report *report, struct wr_buf *into) {
    const struct wr_play_result *result = report->result;
    enum wr_severity severity;
    const char *name;
    struct wr_json json;
    wr_json_begin(&json, into);
    wr_json_object(&json, NULL);
    wr_json_uint(&json, "files", report->n_files);
    wr_json_uint(&json, "left_out", result->left_out);
    wr_json_uint(&json, "records", result->records);
    wr_json_uint(&json, "readings", result->readings);
    wr_json_uint(&json, "refused", result->refused);
    wr_json_uint(&json, "series", result->series);
    if (result->first_ns != WR_EVENT_NONE) {
        wr_json_int(&json, "first_ns", result->first_ns);
        wr_json_int(&json, "last_ns", result->last_ns);
    }
    wr_json_array(&json, "rules");
    for (uint32_t i = 0; (name = rule_at(report, i, &severity)); i++)
        rule_json(report, name, severity, &json);
    wr_json_array_end(&json);
    wr_json_uint(&json, "not_compared", result->tallies[0].episodes_left_out + result->tallies[1].episodes_left_out);
    wr_json_object_end(&json);
    WR_TRY(wr_json_end(&json));
    return wr_buf_text(into, "\n");
}
