#include "rules/language/template.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/nearest.h"
#include "core/quantity.h"
#include "rules/diagnostics/diagnostics.h"
#include "rules/language/table.h"

enum { LITERAL = -1, LABEL = -2, CELL = -3 };
enum { VALUE, LIMIT, UNIT, RULE, SEVERITY, LEVEL, DURATION, STATE, CAUSE, NODE, SITE, NAMES };
static const char *const names[NAMES] = {"value",    "limit", "unit",  "rule", "severity", "level",
                                         "duration", "state", "cause", "node", "site"};

struct text {
    char *into;
    size_t size;
    size_t len;
    bool cut;
};

static void put(struct text *text, const char *bytes, size_t len) {
    size_t room = text->size - 1 - text->len;
    if (len > room) {
        text->cut = true;
        len = room;
        while (len > 0 && ((unsigned char)bytes[len] & 0xC0) == 0x80)
            len--;
    }
    memcpy(text->into + text->len, bytes, len);
    text->len += len;
    text->into[text->len] = '\0';
}

bool wr_template_label(const char *instance, const char *label, char *into, size_t size) {
    size_t label_len = strlen(label);
    const char *at = instance;
    while (*at) {
        bool found = strncmp(at, label, label_len) == 0 && at[label_len] == '=';
        size_t n = 0;
        for (; *at && *at != '='; at++)
            ;
        for (at += *at == '='; *at && *at != ','; at++) {
            if (*at == '\\' && at[1])
                at++;
            if (found && n + 1 < size)
                into[n++] = *at;
        }
        if (found) {
            into[n] = '\0';
            return true;
        }
        at += *at == ',';
    }
    return false;
}

/* Six digits are enough for a sensor; larger numbers are shown whole. */
static void put_number(struct text *text, double value, const char *unit) {
    char shown[64];
    int n = snprintf(shown, sizeof shown, fabs(value) >= 1e5 && fabs(value) < 1e15 ? "%.0f" : "%.6g", value);
    put(text, shown, (size_t)n);
    if (unit[0]) {
        put(text, " ", 1);
        put(text, unit, strlen(unit));
    }
}

static void put_name(struct text *text, int name, const struct wr_alarm *alarm, int64_t duration_ns, const char *node, const char *site) {
    char shown[64];
    const char *word = "";
    switch (name) {
    case VALUE:
    case LIMIT:
        if (name == VALUE ? alarm->has_value : alarm->has_limit)
            put_number(text, name == VALUE ? alarm->value : alarm->limit, alarm->unit);
        else
            put(text, "-", 1);
        return;
    case DURATION: {
        int64_t unit = duration_ns >= INT64_C(10000000000) ? INT64_C(1000000000) : INT64_C(1000000);
        word = wr_quantity_format_duration(shown, sizeof shown, duration_ns > 0 ? duration_ns / unit * unit : 0);
        break;
    }
    case UNIT:
        word = alarm->unit;
        break;
    case RULE:
        word = alarm->rule;
        break;
    case SEVERITY:
        word = wr_severity_name((enum wr_severity)alarm->severity);
        break;
    case LEVEL:
        word = alarm->level;
        break;
    case STATE:
        word = wr_alarm_state_name((enum wr_alarm_state)alarm->to);
        break;
    case CAUSE:
        word = wr_alarm_cause_name((enum wr_alarm_cause)alarm->cause);
        break;
    case NODE:
        word = node;
        break;
    default:
        word = site;
        break;
    }
    put(text, word, strlen(word));
}

static bool is_allowed(int name, const struct wr_template_names *known) {
    return (name < NODE || known->topic) && (name != DURATION || !known->timeless);
}

static int find_name(const char *word, size_t len, const struct wr_template_names *known) {
    for (int i = 0; i < NAMES; i++)
        if (is_allowed(i, known) && strlen(names[i]) == len && memcmp(names[i], word, len) == 0)
            return i;
    return LITERAL;
}

/* The next part of a template text: literal up to a brace, "{{", or a name. False at the end, or at a brace without its pair (bad). */
static bool next_part(const char **at, const char **ret_word, size_t *ret_len, bool *ret_is_name, bool *ret_bad) {
    const char *start = *at;
    *ret_bad = false;
    *ret_is_name = false;
    if (!*start)
        return false;
    if (*start != '{') {
        *ret_word = start;
        *ret_len = strcspn(start, "{");
    } else if (start[1] == '{') {
        *ret_word = start;
        *ret_len = 1;
        *at = start + 2;
        return true;
    } else {
        const char *close = strchr(start, '}');
        if (!close) {
            *ret_bad = true;
            return false;
        }
        *ret_is_name = true;
        *ret_word = start + 1;
        *ret_len = (size_t)(close - start - 1);
        *at = close + 1;
        return true;
    }
    *at = start + *ret_len;
    return true;
}

static int label_index(const char *word, size_t len, const struct wr_template_names *known) {
    for (size_t i = 0; i < known->n_labels; i++)
        if (strlen(known->labels[i]) == len && memcmp(known->labels[i], word, len) == 0)
            return (int)i;
    return -1;
}

static const struct wr_table *find_table(const char *word, size_t len, const struct wr_template_names *known) {
    for (size_t i = 0; i < known->n_tables; i++) {
        const char *name = wr_table_name(known->tables[i]);
        if (strlen(name) == len && memcmp(name, word, len) == 0)
            return known->tables[i];
    }
    return NULL;
}

static enum wr_result refuse_name(const char *word, size_t len, const struct wr_template_names *known, const char **ret_near,
                                  struct wr_error *err) {
    char shown[64];
    wr_error_escape(shown, sizeof shown, word, len);
    const char *all[NAMES + 16];
    size_t n = 0;
    for (size_t i = 0; i < known->n_labels && i < 16; i++)
        all[n++] = known->labels[i];
    for (int i = 0; i < NAMES; i++)
        if (is_allowed(i, known))
            all[n++] = names[i];
    if (strcmp(shown, names[DURATION]) == 0)
        return wr_error_set(err, WR_INVALID, "{duration} is known in `message` only");
    *ret_near = wr_nearest_name(shown, all, n);
    return wr_error_set(err, WR_INVALID,
                        "unknown name '%s' in a template: it is none of value, limit, unit, rule, severity, level%s, state, cause%s, "
                        "no label of `by` and no column of a table",
                        shown, known->timeless ? "" : ", duration", known->topic ? ", node, site" : "");
}

/* rooms.hi */
static enum wr_result take_cell(const char *word, size_t len, const struct wr_template_names *known, struct wr_template_part *part,
                                const char **ret_near, struct wr_error *err) {
    const char *dot = memchr(word, '.', len);
    const struct wr_table *table = dot ? find_table(word, (size_t)(dot - word), known) : NULL;
    if (!table)
        return refuse_name(word, len, known, ret_near, err);
    char column[WR_TABLE_CELL_BYTES + 1];
    snprintf(column, sizeof column, "%.*s", (int)(len - (size_t)(dot + 1 - word)), dot + 1);
    const char *key = wr_table_key(table);
    part->column = wr_table_column(table, column, ret_near);
    if (part->column == WR_TABLE_NONE)
        return wr_error_set(err, WR_INVALID, "the table '%.60s' has no column '%.60s'", wr_table_name(table), column);
    if (label_index(key, strlen(key), known) < 0)
        return wr_error_set(err, WR_INVALID, "the table '%.60s' is looked up by '%.60s', which is not in `by`", wr_table_name(table), key);
    part->name = CELL;
    part->table = table;
    return WR_OK;
}

static enum wr_result take_name(const char *word, size_t len, const struct wr_template_names *known, struct wr_template_part *part,
                                const char **ret_near, struct wr_error *err) {
    int label = label_index(word, len, known);
    *part = (struct wr_template_part){.name = label >= 0 ? LABEL : find_name(word, len, known)};
    if (label >= 0)
        part->text = known->labels[label];
    return part->name == LITERAL ? take_cell(word, len, known, part, ret_near, err) : WR_OK;
}

enum wr_result wr_template_parse_names(const char *text, const struct wr_template_names *known, struct wr_arena *arena,
                                       struct wr_template *ret_template, size_t *ret_at, size_t *ret_len, const char **ret_near,
                                       struct wr_error *err) {
    const char *ignored;
    const char **near = ret_near ? ret_near : &ignored;
    *near = NULL;
    *ret_at = 0;
    *ret_len = 0;
    if (strlen(text) > WR_TEMPLATE_BYTES)
        return wr_error_set(err, WR_INVALID, "a template of more than %d bytes", WR_TEMPLATE_BYTES);
    size_t max = 1;
    for (const char *c = text; *c; c++)
        max += *c == '{' ? 2u : 0u;
    struct wr_template_part *parts = wr_arena_take(arena, max * sizeof *parts);
    if (!parts)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a template");
    struct wr_template parsed = {.parts = parts};
    const char *at = text;
    const char *word;
    size_t len;
    bool is_name;
    bool bad;
    while (next_part(&at, &word, &len, &is_name, &bad)) {
        struct wr_template_part *part = &parts[parsed.n++];
        *part = (struct wr_template_part){.name = LITERAL};
        if (is_name) {
            *ret_at = (size_t)(word - text);
            *ret_len = len;
            WR_TRY(take_name(word, len, known, part, near, err));
        } else if (!(part->text = wr_arena_text(arena, word, len))) {
            return wr_error_set(err, WR_NO_MEMORY, "no memory for a template");
        }
    }
    *ret_at = (size_t)(at - text);
    *ret_len = 1;
    if (bad)
        return wr_error_set(err, WR_INVALID, "the closing } is missing; a brace itself is written {{");
    *ret_template = parsed;
    return WR_OK;
}

enum wr_result wr_template_parse(const char *text, bool topic, const char *const *labels, size_t n_labels, struct wr_arena *arena,
                                 struct wr_template *ret_template, size_t *ret_at, size_t *ret_len, const char **ret_near,
                                 struct wr_error *err) {
    const struct wr_template_names known = {.labels = labels, .n_labels = n_labels, .topic = topic, .timeless = topic};
    return wr_template_parse_names(text, &known, arena, ret_template, ret_at, ret_len, ret_near, err);
}

/* The cell in the row of the instance; "-": there is none. */
static void put_cell(struct text *text, const struct wr_template_part *part, const struct wr_alarm *alarm) {
    char key[WR_ALARM_INSTANCE_BYTES];
    const char *cell = NULL;
    if (wr_template_label(alarm->instance, wr_table_key(part->table), key, sizeof key))
        cell = wr_table_text(part->table, wr_table_row(part->table, key, strlen(key)), part->column);
    put(text, cell ? cell : "-", cell ? strlen(cell) : 1);
    uint32_t n;
    const struct wr_table_column *column = &wr_table_columns(part->table, &n)[part->column];
    if (cell && column->number && column->unit.text[0]) {
        put(text, " ", 1);
        put(text, column->unit.text, strlen(column->unit.text));
    }
}

char *wr_template_message(const struct wr_template *parsed, const struct wr_alarm *alarm, int64_t duration_ns, char *into, size_t size) {
    struct text text = {.into = into, .size = size};
    into[0] = '\0';
    for (uint32_t i = 0; i < parsed->n; i++) {
        const struct wr_template_part *part = &parsed->parts[i];
        char label[WR_ALARM_INSTANCE_BYTES];
        if (part->name >= 0)
            put_name(&text, part->name, alarm, duration_ns, "", "");
        else if (part->name == LITERAL)
            put(&text, part->text, strlen(part->text));
        else if (part->name == CELL)
            put_cell(&text, part, alarm);
        else if (wr_template_label(alarm->instance, part->text, label, sizeof label))
            put(&text, label, strlen(label));
    }
    return into;
}

/* Behind the '?' of an address a dot is just a character. */
static bool is_in_path(const struct text *out, enum wr_template_use use) {
    return use == WR_TEMPLATE_PATH || (use == WR_TEMPLATE_URL && !strchr(out->into, '?'));
}

/* Makes a value harmless where it stands. */
static void put_value(struct text *out, const char *value, enum wr_template_use use) {
    static const char digits[] = "0123456789ABCDEF";
    for (const char *c = value; *c; c++) {
        const unsigned char byte = (unsigned char)*c;
        const bool control = byte < 0x20 || byte == 0x7F;
        const bool plain = (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z') || strchr("-._~", *c);
        const bool dot = *c == '.' && c == value && is_in_path(out, use);
        const char encoded[3] = {'%', digits[byte >> 4], digits[byte & 15]};
        if (use == WR_TEMPLATE_URL && !plain)
            put(out, encoded, sizeof encoded);
        else if (dot || (use != WR_TEMPLATE_URL && (control || *c == '/' || strchr(use == WR_TEMPLATE_TOPIC ? "+#" : "", *c))))
            put(out, "_", 1);
        else
            put(out, c, 1);
    }
}

enum wr_result wr_template_expand(const char *text, enum wr_template_use use, const struct wr_alarm *alarm, const char *node,
                                  const char *site, char *into, size_t size) {
    static const struct wr_template_names address = {.topic = true, .timeless = true};
    struct text out = {.into = into, .size = size};
    into[0] = '\0';
    const char *at = text;
    const char *word;
    size_t len;
    bool is_name;
    bool bad;
    while (next_part(&at, &word, &len, &is_name, &bad)) {
        char name[WR_ALARM_INSTANCE_BYTES];
        char shown[WR_TEMPLATE_BYTES] = "";
        struct text value = {.into = shown, .size = sizeof shown};
        if (!is_name) {
            put(&out, word, len);
            continue;
        }
        snprintf(name, sizeof name, "%.*s", (int)(len < sizeof name ? len : sizeof name - 1), word);
        int known = find_name(word, len, &address);
        if (!wr_template_label(alarm->instance, name, shown, sizeof shown) && known >= 0)
            put_name(&value, known, alarm, 0, node, site);
        put_value(&out, shown, use);
    }
    return out.cut ? WR_LIMIT : WR_OK;
}
