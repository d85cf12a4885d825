/* Series meet rules: which instances a new series belongs to, made where they do not exist yet. The only place that allocates. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/evaluator_private.h"

/* -- instances by (rule, text) --------------------------------------------------------------------------------------------------------- */

/* FNV-1a: the alarm's id, stable across restarts and versions. */
static uint64_t hash_of(const char *rule, const char *text) {
    uint64_t hash = 14695981039346656037u;
    for (const char *c = rule; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 1099511628211u;
    hash *= 1099511628211u; /* the NUL between them */
    for (const char *c = text; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 1099511628211u;
    return hash;
}

static uint32_t *bucket_of(const struct wr_evaluator *evaluator, uint32_t rule, const char *text, uint64_t hash) {
    uint32_t mask = evaluator->n_buckets - 1;
    uint32_t at = (uint32_t)(hash ^ hash >> 32) & mask;
    for (;; at = (at + 1) & mask) {
        uint32_t index = evaluator->buckets[at];
        if (index == WR_INSTANCE_NONE)
            return &evaluator->buckets[at];
        const struct wr_instance *instance = &evaluator->instances[index];
        if (instance->id == hash && instance->rule == rule && strcmp(instance->text, text) == 0)
            return &evaluator->buckets[at];
    }
}

uint32_t wr_evaluator_find(const struct wr_evaluator *evaluator, uint32_t rule, const char *text) {
    if (evaluator->n_buckets == 0)
        return WR_INSTANCE_NONE;
    return *bucket_of(evaluator, rule, text, hash_of(evaluator->rules->rules[rule]->name, text));
}

/* Room for one more: instances, timers and buckets, all or nothing. */
static bool grow_instances(struct wr_evaluator *evaluator) {
    if (evaluator->n_instances < evaluator->cap_instances)
        return true;
    uint32_t cap = evaluator->cap_instances ? evaluator->cap_instances * 2 : 16;
    uint32_t n_buckets = cap * 2;
    uint32_t *buckets = malloc(n_buckets * sizeof *buckets);
    if (!buckets)
        return false;
    struct wr_instance *instances = realloc(evaluator->instances, cap * sizeof *instances);
    if (instances)
        evaluator->instances = instances;
    if (!instances || wr_timer_reserve(&evaluator->timers, cap) != WR_OK) {
        free(buckets);
        return false;
    }
    evaluator->bytes += (cap - evaluator->cap_instances) * (sizeof *instances + sizeof(struct wr_timer) + 3 * sizeof(uint32_t));
    evaluator->cap_instances = cap;
    free(evaluator->buckets);
    evaluator->buckets = buckets;
    evaluator->n_buckets = n_buckets;
    memset(buckets, 0xFF, n_buckets * sizeof *buckets);
    for (uint32_t i = 0; i < evaluator->n_instances; i++)
        *bucket_of(evaluator, instances[i].rule, instances[i].text, instances[i].id) = i;
    return true;
}

enum wr_result wr_evaluator_instance(struct wr_evaluator *evaluator, uint32_t rule, const char *text, int64_t boot_ns,
                                     uint32_t *ret_index) {
    uint32_t known = wr_evaluator_find(evaluator, rule, text);
    if (known != WR_INSTANCE_NONE) {
        *ret_index = known;
        return WR_OK;
    }
    const char *name = evaluator->rules->rules[rule]->name;
    if (evaluator->per_rule[rule] >= evaluator->rules->max_instances) {
        evaluator->stats.instances_refused++;
        snprintf(evaluator->stats.problem, sizeof evaluator->stats.problem, "%s{%s}: the rule has %u instances already: max_instances",
                 name, text, evaluator->per_rule[rule]);
        return WR_LIMIT;
    }
    char *copy = strdup(text);
    if (!copy || !grow_instances(evaluator)) {
        free(copy);
        evaluator->stats.no_memory++;
        return WR_NO_MEMORY;
    }
    struct wr_instance *instance = &evaluator->instances[evaluator->n_instances];
    *instance =
        (struct wr_instance){.rule = rule, .text = copy, .made_boot_ns = boot_ns, .true_boot_ns = boot_ns, .next = WR_INSTANCE_NONE};
    instance->id = hash_of(name, text);
    for (uint32_t i = 0; i < WR_RULE_OPERANDS; i++)
        instance->series[i] = WR_SERIES_NONE;
    *bucket_of(evaluator, rule, text, instance->id) = evaluator->n_instances;
    evaluator->per_rule[rule]++;
    evaluator->bytes += strlen(text) + 1;
    *ret_index = evaluator->n_instances++;
    return WR_OK;
}

bool wr_evaluator_text_fits(const struct wr_rule *rule, const char *text) {
    char value[WR_ALARM_INSTANCE_BYTES];
    uint32_t labels = text[0] != '\0';
    for (const char *c = text; *c; c++) {
        if (*c == '\\' && c[1])
            c++;
        else
            labels += *c == ',';
    }
    for (uint32_t i = 0; i < rule->n_by; i++)
        if (!wr_template_label(text, rule->by[i], value, sizeof value))
            return false;
    return labels == rule->n_by;
}

/* "room=A1,site=riga"; commas and backslashes in a value are escaped. False: a label is missing, or it is too long (*ret_long). */
static bool tuple_text(const struct wr_rule *rule, const struct wr_series *series, char *text, size_t size, bool *ret_long) {
    size_t n = 0;
    *ret_long = false;
    for (uint32_t i = 0; i < rule->n_by; i++) {
        const char *value = wr_series_tag(series->key, series->key_len, rule->by[i]);
        if (!value)
            return false;
        const char *pieces[] = {i > 0 ? "," : "", rule->by[i], "="};
        for (size_t k = 0; k < 3; k++)
            for (const char *c = pieces[k]; *c && n < size; c++)
                text[n++] = *c;
        for (const char *c = value; *c && n < size; c++) {
            if ((*c == ',' || *c == '\\') && n < size)
                text[n++] = '\\';
            if (n < size)
                text[n++] = *c;
        }
    }
    *ret_long = n >= size;
    text[*ret_long ? size - 1 : n] = '\0';
    return !*ret_long;
}

/* -- series ------------------------------------------------------------------------------------------------------------------------------- */

static struct wr_sliding *window_of(struct wr_evaluator *evaluator, struct wr_series_state *series, const struct wr_rule_window *spec) {
    for (uint32_t i = 0; i < series->n_windows; i++) {
        struct wr_sliding *window = series->windows[i];
        if (window->span_ns == spec->span_ns && (spec->span_ns > 0 || window->capacity == spec->capacity)) {
            window->users++;
            return window;
        }
    }
    struct wr_sliding **windows = realloc(series->windows, (series->n_windows + 1) * sizeof(struct wr_sliding *));
    if (windows)
        series->windows = windows;
    struct wr_sliding *window = NULL;
    if (!windows || wr_sliding_new(spec->span_ns, spec->capacity, &window) != WR_OK) {
        evaluator->stats.no_memory++;
        return NULL;
    }
    window->users = 1;
    series->windows[series->n_windows++] = window;
    evaluator->bytes += wr_sliding_bytes(spec->capacity);
    return window;
}

static void refuse_join(struct wr_evaluator *evaluator, const struct wr_instance *instance, const struct wr_operand *operand,
                        uint32_t second) {
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    const struct wr_series *first_series = wr_series_get(evaluator->table, instance->series[operand - rule->operands]);
    const struct wr_series *second_series = wr_series_get(evaluator->table, second);
    char first_name[180];
    char second_name[180];
    evaluator->stats.joins_refused++;
    snprintf(evaluator->stats.problem, sizeof evaluator->stats.problem,
             "rule %.63s: '%.60s' is both %s and %s: add a label to `by` or to the selector", rule->name, operand->text,
             wr_series_display(first_name, sizeof first_name, first_series->key, first_series->key_len),
             wr_series_display(second_name, sizeof second_name, second_series->key, second_series->key_len));
}

/* An operand of an instance gets its series. The arrays of `series` have room. */
static void bind(struct wr_evaluator *evaluator, uint32_t index, uint32_t operand_index, uint32_t id, struct wr_series_state *series,
                 int64_t boot_ns) {
    struct wr_instance *instance = &evaluator->instances[index];
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    const struct wr_operand *operand = &rule->operands[operand_index];
    if (instance->series[operand_index] != WR_SERIES_NONE) {
        refuse_join(evaluator, instance, operand, id);
        return;
    }
    if (instance->operand == operand_index)
        wr_instance_freeze(evaluator, instance, boot_ns);
    instance->series[operand_index] = id;
    series->links[series->n_links++] = (struct wr_link){index, operand_index};
    for (uint32_t i = 0; i < operand->n_thresholds; i++)
        series->thresholds[series->n_thresholds++] = (struct wr_threshold){operand->thresholds[i], index};
    if (operand->opaque || instance->waking)
        series->wakes[series->n_wakes++] = index;
    for (uint32_t i = 0; i < rule->n_windows; i++)
        if (rule->windows[i].operand == operand_index)
            instance->windows[i] = window_of(evaluator, series, &rule->windows[i]);
}

static int by_threshold(const void *a, const void *b) {
    double left = ((const struct wr_threshold *)a)->at;
    double right = ((const struct wr_threshold *)b)->at;
    return (left > right) - (left < right);
}

/* The arrays of a series, long enough for all readers that select it. */
static bool make_room(struct wr_evaluator *evaluator, struct wr_series_state *series, const struct wr_reader *readers, uint32_t n) {
    size_t thresholds = 0;
    for (uint32_t i = 0; i < n; i++)
        thresholds += evaluator->rules->rules[readers[i].rule]->operands[readers[i].operand].n_thresholds;
    series->links = malloc((n + 1) * sizeof *series->links);
    series->wakes = malloc((n + 1) * sizeof *series->wakes);
    series->thresholds = malloc((thresholds + 1) * sizeof *series->thresholds);
    evaluator->bytes += n * (sizeof *series->links + sizeof *series->wakes) + thresholds * sizeof *series->thresholds;
    return series->links && series->wakes && series->thresholds;
}

static void join_rules(struct wr_evaluator *evaluator, uint32_t id, struct wr_series_state *series, const struct wr_reader *readers,
                       uint32_t n, const struct wr_now *now) {
    const struct wr_series *entry = wr_series_get(evaluator->table, id);
    for (uint32_t i = 0; i < n; i++) {
        const struct wr_rule *rule = evaluator->rules->rules[readers[i].rule];
        char text[WR_ALARM_INSTANCE_BYTES];
        bool too_long;
        uint32_t index;
        if (!wr_selector_matches(rule->operands[readers[i].operand].selector, entry->key, entry->key_len))
            continue;
        if (!tuple_text(rule, entry, text, sizeof text, &too_long)) {
            evaluator->stats.instances_refused += too_long;
            if (too_long)
                snprintf(evaluator->stats.problem, sizeof evaluator->stats.problem, "rule %s: labels longer than %d bytes: %s", rule->name,
                         WR_ALARM_INSTANCE_BYTES - 1, text);
            continue;
        }
        if (wr_evaluator_instance(evaluator, readers[i].rule, text, now->boot_ns, &index) == WR_OK)
            bind(evaluator, index, readers[i].operand, id, series, now->boot_ns);
    }
    if (series->n_thresholds > 1)
        qsort(series->thresholds, series->n_thresholds, sizeof *series->thresholds, by_threshold);
}

/* `measurement`, or `measurement.field`. */
static void plain_name(const struct wr_series *entry, char *into, size_t size) {
    const char *field = wr_series_field(entry->key);
    bool value = strcmp(field, "value") == 0;
    snprintf(into, size, "%s%s%s", wr_series_measurement(entry->key), value ? "" : ".", value ? "" : field);
}

static void attach_one(struct wr_evaluator *evaluator, uint32_t id, const struct wr_now *now) {
    char name[WR_SERIES_KEY_BYTES];
    uint32_t n;
    evaluator->series[id] = NULL;
    evaluator->bands[id] = (struct wr_evaluator_band){.low = -HUGE_VAL, .high = HUGE_VAL, .arrival_boot_ns = now->boot_ns};
    plain_name(wr_series_get(evaluator->table, id), name, sizeof name);
    const struct wr_reader *readers = wr_ruleset_readers(evaluator->rules, name, &n);
    const struct wr_point *point = wr_ruleset_point(evaluator->rules, name);
    if (n == 0 && !point)
        return;
    struct wr_series_state *series = calloc(1, sizeof *series);
    evaluator->series[id] = series;
    if (!series) {
        evaluator->stats.no_memory++;
        return;
    }
    evaluator->bytes += sizeof *series;
    series->point = point;
    series->fresh = true;
    if (make_room(evaluator, series, readers, n))
        join_rules(evaluator, id, series, readers, n, now);
    else
        evaluator->stats.no_memory++;
    wr_evaluator_refresh_band(evaluator, id);
    evaluator->at = (struct wr_trigger){.series = id, .boot_ns = now->boot_ns, .now = *now};
    for (uint32_t i = 0; i < series->n_links; i++)
        wr_instance_settle(evaluator, &evaluator->instances[series->links[i].instance]);
}

static bool grow_series(struct wr_evaluator *evaluator, uint32_t count) {
    if (count <= evaluator->cap_series)
        return true;
    uint32_t cap = evaluator->cap_series ? evaluator->cap_series : 64;
    while (cap < count)
        cap = cap > UINT32_MAX / 2 ? UINT32_MAX : cap * 2;
    struct wr_evaluator_band *bands = realloc(evaluator->bands, cap * sizeof *bands);
    if (!bands)
        return false;
    evaluator->bands = bands;
    struct wr_series_state **series = realloc(evaluator->series, cap * sizeof(struct wr_series_state *));
    if (!series)
        return false;
    evaluator->series = series;
    evaluator->bytes += (cap - evaluator->cap_series) * (sizeof *bands + sizeof(struct wr_series_state *));
    evaluator->cap_series = cap;
    return true;
}

uint32_t wr_evaluator_attach(struct wr_evaluator *evaluator, uint32_t series_count, const struct wr_now *now) {
    const struct wr_trigger kept = evaluator->at; /* what waits in the queue belongs to it */
    if (!grow_series(evaluator, series_count)) {
        evaluator->stats.no_memory++;
        if (!grow_series(evaluator, evaluator->attached + 1)) /* all at once is too much: at least one */
            return evaluator->attached;
        series_count = evaluator->cap_series < series_count ? evaluator->cap_series : series_count;
    }
    while (evaluator->attached < series_count)
        attach_one(evaluator, evaluator->attached++, now);
    evaluator->at = kept;
    return evaluator->attached;
}
