/* An explanation as words in columns, or as JSON. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "core/quantity.h"
#include "rules/diagnostics/lines.h"
#include "rules/explain/explain_private.h"

#define COLUMN_MAX 64 /* a longer text pushes its value to the right */

static unsigned characters(const char *text) {
    unsigned n = 0;
    const size_t len = strlen(text);
    for (size_t at = 0; at < len; n++)
        at += wr_lines_character(text, len, at);
    return n;
}

static const char *format_value(const struct wr_explain_row *row, char *text, size_t size) {
    switch (row->kind) {
    case WR_EXPLAIN_TRUTH:
        return isnan(row->number) ? "unknown" : row->number > 0 ? "true" : "false";
    case WR_EXPLAIN_NUMBER:
        if (isnan(row->number))
            return "missing";
        snprintf(text, size, "%.6g%s%s", row->number, row->unit[0] ? " " : "", row->unit);
        return text;
    case WR_EXPLAIN_WORD:
        snprintf(text, size, "'%.60s'", row->word);
        return text;
    default:
        return "";
    }
}

static enum wr_result write_age(const struct wr_explain_row *row, struct wr_buf *into) {
    char age[32];
    if (isnan(row->age_s))
        return WR_OK;
    if (row->age_s < 10)
        snprintf(age, sizeof age, "%.1fs", row->age_s);
    else
        wr_quantity_format_duration(age, sizeof age, (int64_t)row->age_s * WR_NS_PER_S);
    return wr_buf_printf(into, "  %s ago, %s", age, row->quality);
}

/* Labels and texts come from whoever sends readings: nothing that a terminal would obey, and no line of its own. */
static enum wr_result write_plain(const char *text, struct wr_buf *into) {
    char plain[640];
    return wr_buf_text(into, wr_error_escape(plain, sizeof plain, text, strlen(text)));
}

static enum wr_result write_row(const struct wr_explain_row *row, unsigned width, struct wr_buf *into) {
    char value[128];
    const unsigned used = 2 * row->depth + characters(row->text);
    WR_TRY(wr_buf_printf(into, "  %*s", (int)(2 * row->depth), ""));
    WR_TRY(write_plain(row->text, into));
    WR_TRY(wr_buf_printf(into, "%*s", (int)((width > used ? width - used : 0) + 2), ""));
    WR_TRY(write_plain(format_value(row, value, sizeof value), into));
    WR_TRY(write_age(row, into));
    if (row->note[0])
        WR_TRY(wr_buf_text(into, "  "));
    WR_TRY(write_plain(row->note, into));
    return wr_buf_text(into, "\n");
}

static enum wr_result write_rows(const struct wr_explanation *x, const char *title, uint32_t from, uint32_t to, struct wr_buf *into) {
    unsigned width = 0;
    for (uint32_t i = from; i < to; i++) {
        const unsigned used = 2 * x->rows[i].depth + characters(x->rows[i].text);
        width = used > width && used <= COLUMN_MAX ? used : width;
    }
    if (from < to)
        WR_TRY(wr_buf_printf(into, "%s\n", title));
    for (uint32_t i = from; i < to; i++)
        WR_TRY(write_row(&x->rows[i], width, into));
    return WR_OK;
}

/* -- the alarm ------------------------------------------------------------------------------------------------------------------------------ */

static const char *join_silences(uint8_t silent, char *text, size_t size) {
    size_t len = 0;
    text[0] = '\0';
    for (unsigned bit = 0; bit < 8; bit++)
        if ((silent & 1u << bit) != 0)
            len += (size_t)snprintf(text + len, size - len, "%s%s", len ? ", " : "",
                                    wr_alarm_silence_name((enum wr_alarm_silence)(1u << bit)));
    return text;
}

static enum wr_result write_silence(const struct wr_alarm *alarm, struct wr_buf *into) {
    char text[256], until[32] = "";
    if (!alarm->silent)
        return WR_OK;
    if (alarm->until_wall_ns != 0)
        wr_clock_format(until, sizeof until, alarm->until_wall_ns);
    return wr_buf_printf(into, "  silent: %s%s%s%s%s%s%s\n", join_silences(alarm->silent, text, sizeof text),
                         alarm->by_whom[0] ? " by " : "", alarm->by_whom, until[0] ? " until " : "", until, alarm->why[0] ? ": " : "",
                         alarm->why);
}

static enum wr_result write_text(const char *what, const char *text, struct wr_buf *into) {
    char plain[2 * WR_TEMPLATE_BYTES];
    return wr_buf_printf(into, "  %s: %s\n", what, wr_error_escape(plain, sizeof plain, text, strlen(text)));
}

static enum wr_result write_texts(const struct wr_rule *rule, const struct wr_alarm *alarm, int64_t true_ns, struct wr_buf *into) {
    char text[WR_TEMPLATE_BYTES];
    if (alarm->message[0])
        WR_TRY(write_text("message", alarm->message, into));
    if (rule->consequence)
        WR_TRY(write_text("consequence", wr_template_message(&rule->consequence_text, alarm, true_ns, text, sizeof text), into));
    if (rule->respond)
        WR_TRY(write_text("respond", wr_template_message(&rule->respond_text, alarm, true_ns, text, sizeof text), into));
    return WR_OK;
}

static enum wr_result write_alarm(const struct wr_explanation *x, struct wr_buf *into) {
    const struct wr_instance *instance = &x->evaluator->instances[x->index];
    const struct wr_rule *rule = wr_instance_rule(x->evaluator, instance);
    const struct wr_alarm *alarm = &x->entry.alarm;
    char text[256];
    WR_TRY(wr_buf_printf(into, ", %s%s%s: %s", wr_severity_name((enum wr_severity)alarm->severity), alarm->level[0] ? ", level " : "",
                         alarm->level, wr_alarm_state_name((enum wr_alarm_state)alarm->to)));
    if (instance->changed_wall_ns != 0)
        WR_TRY(wr_buf_printf(into, " since %s", wr_clock_format(text, sizeof text, instance->changed_wall_ns)));
    WR_TRY(wr_buf_printf(into, "\n  %s:%u\n", rule->place.file, rule->place.at.line));
    if (alarm->has_value && alarm->has_limit)
        WR_TRY(wr_buf_printf(into, "  %.6g %s, limit %.6g %s\n", alarm->value, alarm->unit, alarm->limit, alarm->unit));
    if (alarm->data == WR_ALARM_DATA_STALE_NOW)
        WR_TRY(wr_buf_printf(into, "  data: stale%s\n", instance->no_data ? ", for longer than no_data_after" : ""));
    wr_explain_delay(x->evaluator, instance, text, sizeof text);
    if (text[0])
        WR_TRY(wr_buf_printf(into, "  delay: %s\n", text));
    WR_TRY(write_silence(alarm, into));
    return write_texts(rule, alarm, x->evaluator->at.boot_ns - instance->true_boot_ns, into);
}

enum wr_result wr_explain_text(const struct wr_explanation *x, struct wr_buf *into) {
    const struct wr_instance *instance = &x->evaluator->instances[x->index];
    const struct wr_rule *rule = wr_instance_rule(x->evaluator, instance);
    char name[WR_ALARM_NAME_BYTES + WR_ALARM_INSTANCE_BYTES + 3];
    WR_TRY(write_plain(wr_alarm_display(name, sizeof name, &x->entry.alarm), into));
    if (rule->kind == WR_RULE_ALARM)
        WR_TRY(write_alarm(x, into));
    else
        WR_TRY(wr_buf_printf(into, ", derived\n  %s:%u\n", rule->place.file, rule->place.at.line));
    WR_TRY(write_rows(x, "condition", 0, x->n_condition, into));
    WR_TRY(write_rows(x, "series", x->n_condition, x->n, into));
    return x->left_out > 0 ? wr_buf_printf(into, "  ... and %u more lines\n", x->left_out) : WR_OK;
}

/* -- JSON ----------------------------------------------------------------------------------------------------------------------------------- */

static void row_json(const struct wr_explain_row *row, bool series, struct wr_json *json) {
    wr_json_object(json, NULL);
    wr_json_string(json, series ? "series" : "text", row->text);
    if (!series)
        wr_json_uint(json, "depth", row->depth);
    if (row->kind == WR_EXPLAIN_TRUTH && !isnan(row->number))
        wr_json_bool(json, "value", row->number > 0);
    else if (row->kind == WR_EXPLAIN_WORD)
        wr_json_string(json, "value", row->word);
    else if (row->kind == WR_EXPLAIN_NUMBER && !isnan(row->number))
        wr_json_double(json, "value", row->number);
    else
        wr_json_null(json, "value");
    if (row->unit[0])
        wr_json_string(json, "unit", row->unit);
    if (!isnan(row->age_s)) {
        wr_json_double(json, "age_s", row->age_s);
        wr_json_string(json, "quality", row->quality);
    }
    if (row->note[0])
        wr_json_string(json, "note", row->note);
    wr_json_object_end(json);
}

static void rows_json(const struct wr_explanation *x, const char *name, uint32_t from, uint32_t to, struct wr_json *json) {
    wr_json_array(json, name);
    for (uint32_t i = from; i < to; i++)
        row_json(&x->rows[i], from > 0 || x->n_condition == 0, json);
    wr_json_array_end(json);
}

static void delay_json(const struct wr_explanation *x, const struct wr_instance *instance, const struct wr_rule *rule,
                       struct wr_json *json) {
    if (instance->delay == WR_DELAY_NONE)
        return;
    const int64_t whole_ns = instance->delay == WR_DELAY_ON ? rule->on_delay_ns : rule->off_delay_ns;
    const int64_t left_ns = whole_ns - wr_instance_elapsed(x->evaluator, instance, x->evaluator->at.boot_ns);
    wr_json_object(json, "delay");
    wr_json_string(json, "which", instance->delay == WR_DELAY_ON ? "on_delay" : "off_delay");
    wr_json_int(json, "of_ns", whole_ns);
    wr_json_int(json, "left_ns", left_ns > 0 ? left_ns : 0);
    wr_json_bool(json, "frozen", instance->frozen);
    wr_json_object_end(json);
}

enum wr_result wr_explain_json(const struct wr_explanation *x, struct wr_buf *into) {
    const struct wr_instance *instance = &x->evaluator->instances[x->index];
    const struct wr_rule *rule = wr_instance_rule(x->evaluator, instance);
    struct wr_buf alarm;
    struct wr_json json;
    wr_buf_init(&alarm, 0);
    const enum wr_result written = rule->kind == WR_RULE_ALARM ? wr_alarm_to_json(&x->entry.alarm, &alarm) : WR_OK;
    wr_json_begin(&json, into);
    wr_json_object(&json, NULL);
    wr_json_string(&json, "rule", rule->name);
    wr_json_string(&json, "instance", instance->text);
    wr_json_string(&json, "file", rule->place.file);
    wr_json_uint(&json, "line", rule->place.at.line);
    if (rule->kind == WR_RULE_ALARM) {
        wr_json_raw(&json, "alarm", wr_buf_str(&alarm), alarm.len);
        delay_json(x, instance, rule, &json);
    }
    rows_json(x, "condition", 0, x->n_condition, &json);
    rows_json(x, "series", x->n_condition, x->n, &json);
    wr_json_uint(&json, "left_out", x->left_out);
    wr_json_object_end(&json);
    wr_buf_fini(&alarm);
    WR_TRY(written);
    return wr_json_end(&json);
}
