/* Signals meet nodes: which instances a new series, or a new output of a node, belongs to; made where they do not exist yet. The only place that
 * allocates. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/evaluator/evaluator_private.h"

/* Where labels come from: the tags of a series, or the tuple of a node's instance. */
struct labels {
    const struct wr_series *series; /* or NULL */
    const char *text;
};

static const char *label_of(const struct labels *labels, const char *label, char *into, size_t size) {
    if (labels->series)
        return wr_series_tag(labels->series->key, labels->series->key_len, label);
    return wr_template_label(labels->text, label, into, size) ? into : NULL;
}

/* "room=A1,site=riga"; commas and backslashes in a value are escaped. False: a label is missing, or it is too long (*ret_long). */
static bool tuple_text(const struct wr_rule *rule, const struct labels *labels, char *text, size_t size, bool *ret_long) {
    size_t n = 0;
    char own[WR_ALARM_INSTANCE_BYTES];
    *ret_long = false;
    for (uint32_t i = 0; i < rule->n_by; i++) {
        const char *value = label_of(labels, rule->by[i], own, sizeof own);
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

/* -- signals ------------------------------------------------------------------------------------------------------------------------------ */

static const char *signal_name(const struct wr_evaluator *evaluator, uint32_t id, char *into, size_t size) {
    if (id & WR_SIGNAL_NODE) {
        const struct wr_instance *owner = &evaluator->instances[evaluator->outputs[id & ~WR_SIGNAL_NODE]->owner];
        snprintf(into, size, "%s{%s}", wr_instance_rule(evaluator, owner)->name, owner->text);
        return into;
    }
    const struct wr_series *series = wr_series_get(evaluator->table, id);
    return wr_series_display(into, size, series->key, series->key_len);
}

static void refuse_join(struct wr_evaluator *evaluator, const struct wr_instance *instance, const struct wr_operand *operand,
                        uint32_t second) {
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    char first_name[180];
    char second_name[180];
    evaluator->stats.joins_refused++;
    snprintf(evaluator->stats.problem, sizeof evaluator->stats.problem,
             "rule %.63s: '%.60s' is both %s and %s: add a label to `by` or to the selector", rule->name, operand->text,
             signal_name(evaluator, instance->signals[operand - rule->operands], first_name, sizeof first_name),
             signal_name(evaluator, second, second_name, sizeof second_name));
}

static bool add_member(struct wr_evaluator *evaluator, struct wr_instance *instance, uint32_t id) {
    struct wr_instance_more *more = instance->more;
    if (more->n_members == WR_SET_MEMBERS) {
        evaluator->stats.joins_refused++;
        snprintf(evaluator->stats.problem, sizeof evaluator->stats.problem, "%.120s{%.60s}: more than %d series",
                 wr_instance_rule(evaluator, instance)->name, instance->text, WR_SET_MEMBERS);
        return false;
    }
    if (more->n_members == more->cap_members) {
        uint32_t cap = more->cap_members ? 2 * more->cap_members : 4;
        uint32_t *members = realloc(more->members, cap * sizeof *members);
        if (!members) {
            evaluator->stats.no_memory++;
            return false;
        }
        evaluator->bytes += (cap - more->cap_members) * sizeof *members;
        more->members = members;
        more->cap_members = cap;
    }
    more->members[more->n_members++] = id;
    return true;
}

static void add_thresholds(struct wr_evaluator *evaluator, uint32_t index, const struct wr_operand *operand, struct wr_signal *signal) {
    for (uint32_t i = 0; i < operand->n_thresholds; i++)
        signal->thresholds[signal->n_thresholds++] = (struct wr_threshold){operand->thresholds[i], index};
    struct wr_view view = wr_view_of(evaluator, &evaluator->instances[index]);
    for (uint32_t i = 0; i < operand->n_limits; i++) {
        double at = operand->limits[i].program ? wr_view_run(&view, operand->limits[i].program) : operand->limits[i].number;
        if (isfinite(at)) /* without a row nothing is ever known */
            signal->thresholds[signal->n_thresholds++] = (struct wr_threshold){at, index};
    }
}

/* An operand of an instance gets its signal. */
static void bind(struct wr_evaluator *evaluator, uint32_t index, uint32_t operand_index, uint32_t id, struct wr_signal *signal,
                 int64_t boot_ns) {
    struct wr_instance *instance = &evaluator->instances[index];
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    const struct wr_operand *operand = &rule->operands[operand_index];
    const uint32_t thresholds = operand->n_thresholds + operand->n_limits;
    if (!wr_signal_grow(evaluator, signal, signal->n_links + 1, signal->n_thresholds + thresholds)) {
        evaluator->stats.no_memory++;
        return;
    }
    signal->fresh = true; /* who is new has to look at the next sample */
    if (rule->kind == WR_RULE_SET) {
        if (!add_member(evaluator, instance, id))
            return;
    } else if (instance->signals[operand_index] != WR_SERIES_NONE) {
        refuse_join(evaluator, instance, operand, id);
        return;
    } else {
        if (instance->operand == operand_index)
            wr_instance_freeze(evaluator, instance, boot_ns);
        instance->signals[operand_index] = id;
    }
    signal->links[signal->n_links++] = (struct wr_link){index, operand_index};
    if (instance->output != WR_INSTANCE_NONE) {
        const struct wr_link first = signal->links[signal->n_node_links];
        signal->links[signal->n_node_links++] = signal->links[signal->n_links - 1];
        signal->links[signal->n_links - 1] = first;
    }
    add_thresholds(evaluator, index, operand, signal);
    if (wr_operand_is_opaque(rule, operand_index) || instance->waking)
        signal->wakes[signal->n_wakes++] = index;
    for (uint32_t i = 0; i < rule->n_operators; i++)
        if (rule->operators[i].operand == operand_index)
            wr_signal_want(evaluator, id, signal, &rule->operators[i].spec);
}

static uint32_t thresholds_of(const struct wr_evaluator *evaluator, uint32_t rule, uint32_t operand) {
    const struct wr_operand *wanted = &evaluator->rules->rules[rule]->operands[operand];
    return wanted->n_thresholds + wanted->n_limits;
}

/* -- series meet nodes -------------------------------------------------------------------------------------------------------------------- */

/* After some of its instances were forgotten a signal meets all its rules again. */
static bool is_linked(const struct wr_signal *signal, uint32_t index, uint32_t operand) {
    for (uint32_t i = 0; signal->unlinked && i < signal->n_links; i++)
        if (signal->links[i].instance == index && signal->links[i].operand == operand)
            return true;
    return false;
}

/* The instance of a rule for these labels gets a signal for one of its operands. */
static void join(struct wr_evaluator *evaluator, uint32_t rule_index, uint32_t operand, const struct labels *labels, uint32_t id,
                 struct wr_signal *signal, int64_t boot_ns) {
    const struct wr_rule *rule = evaluator->rules->rules[rule_index];
    char text[WR_ALARM_INSTANCE_BYTES];
    bool too_long;
    uint32_t index;
    if (!tuple_text(rule, labels, text, sizeof text, &too_long)) {
        evaluator->stats.instances_refused += too_long;
        if (too_long)
            snprintf(evaluator->stats.problem, sizeof evaluator->stats.problem, "rule %s: labels longer than %d bytes: %s", rule->name,
                     WR_ALARM_INSTANCE_BYTES - 1, text);
        return;
    }
    if (wr_evaluator_instance(evaluator, rule_index, text, boot_ns, &index) == WR_OK && !is_linked(signal, index, operand))
        bind(evaluator, index, operand, id, signal, boot_ns);
}

bool wr_node_make_output(struct wr_evaluator *evaluator, struct wr_instance *instance) {
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    if (rule->kind == WR_RULE_ALARM)
        return true;
    const bool reuse = evaluator->free_outputs != WR_INSTANCE_NONE;
    if (!reuse && evaluator->n_outputs == evaluator->cap_outputs) {
        uint32_t cap = evaluator->cap_outputs ? 2 * evaluator->cap_outputs : 16;
        struct wr_evaluator_band *bands = realloc(evaluator->output_bands, cap * sizeof *bands);
        if (bands)
            evaluator->output_bands = bands;
        struct wr_signal **outputs = realloc(evaluator->outputs, cap * sizeof(struct wr_signal *));
        if (outputs)
            evaluator->outputs = outputs;
        if (!bands || !outputs)
            return false;
        evaluator->bytes += (cap - evaluator->cap_outputs) * (sizeof *bands + sizeof(struct wr_signal *));
        evaluator->cap_outputs = cap;
    }
    uint32_t first = evaluator->node_first[instance->rule];
    uint32_t n = evaluator->node_first[instance->rule + 1] - first;
    uint32_t thresholds = 0;
    for (uint32_t i = 0; i < n; i++)
        thresholds += thresholds_of(evaluator, evaluator->node_readers[first + i].rule, evaluator->node_readers[first + i].operand);
    struct wr_signal *signal = wr_signal_new(evaluator, rule->output);
    if (!signal || !wr_signal_reserve(evaluator, signal, n, thresholds)) {
        free(signal);
        return false;
    }
    uint32_t output = reuse ? (uint32_t)evaluator->free_outputs : evaluator->n_outputs++;
    if (reuse)
        evaluator->free_outputs = evaluator->output_bands[output].arrival_boot_ns;
    evaluator->output_bands[output] = (struct wr_evaluator_band){.low = 1, .high = -1, .arrival_boot_ns = instance->made_boot_ns};
    evaluator->outputs[output] = signal;
    instance->output = output;
    return true;
}

/* Whether the node's labels are fewer than the rule's: then one instance of it is for several of the rule's. */
static bool is_wider(const struct wr_evaluator *evaluator, uint32_t node, uint32_t rule) {
    return evaluator->rules->rules[node]->n_by < evaluator->rules->rules[rule]->n_by;
}

/* The instances of a rule that have the labels of a node's. */
static void join_projected(struct wr_evaluator *evaluator, const struct wr_node_reader *reader, uint32_t node, uint32_t index,
                           int64_t boot_ns) {
    const struct wr_rule *rule = evaluator->rules->rules[node];
    const uint32_t output = evaluator->instances[index].output;
    char text[WR_ALARM_INSTANCE_BYTES];
    bool too_long;
    for (uint32_t i = 0; i < evaluator->n_instances; i++) {
        const struct labels labels = {.text = evaluator->instances[i].text};
        if (evaluator->instances[i].rule == reader->rule && evaluator->instances[i].text &&
            !is_linked(evaluator->outputs[output], i, reader->operand) && tuple_text(rule, &labels, text, sizeof text, &too_long) &&
            strcmp(text, evaluator->instances[index].text) == 0)
            bind(evaluator, i, reader->operand, output | WR_SIGNAL_NODE, evaluator->outputs[output], boot_ns);
    }
}

void wr_node_join_readers(struct wr_evaluator *evaluator, uint32_t index, int64_t boot_ns) {
    const uint32_t node = evaluator->instances[index].rule;
    const uint32_t output = evaluator->instances[index].output;
    struct wr_signal *signal = evaluator->outputs[output];
    const struct labels labels = {.text = evaluator->instances[index].text};
    for (uint32_t i = evaluator->node_first[node]; i < evaluator->node_first[node + 1]; i++) {
        const struct wr_node_reader reader = evaluator->node_readers[i];
        if (is_wider(evaluator, node, reader.rule))
            join_projected(evaluator, &reader, node, index, boot_ns);
        else
            join(evaluator, reader.rule, reader.operand, &labels, output | WR_SIGNAL_NODE, signal, boot_ns);
    }
    wr_signal_sort(signal);
}

void wr_instance_join_wider(struct wr_evaluator *evaluator, uint32_t index, int64_t boot_ns) {
    const struct wr_rule *rule = wr_instance_rule(evaluator, &evaluator->instances[index]);
    char text[WR_ALARM_INSTANCE_BYTES];
    bool too_long;
    for (uint32_t i = 0; i < rule->n_operands; i++) {
        const uint32_t node = rule->operands[i].node;
        const struct labels labels = {.text = evaluator->instances[index].text};
        if (node == WR_NODE_NO || !is_wider(evaluator, node, evaluator->instances[index].rule) ||
            !tuple_text(evaluator->rules->rules[node], &labels, text, sizeof text, &too_long))
            continue;
        uint32_t found = wr_evaluator_find(evaluator, node, text);
        if (found == WR_INSTANCE_NONE)
            continue;
        const uint32_t output = evaluator->instances[found].output;
        struct wr_signal *signal = evaluator->outputs[output];
        const uint32_t before = signal->n_thresholds;
        bind(evaluator, index, i, output | WR_SIGNAL_NODE, signal, boot_ns);
        wr_signal_insert(signal, before);
    }
}

/* `measurement`, or `measurement.field`. */
static void plain_name(const struct wr_series *entry, char *into, size_t size) {
    const char *field = wr_series_field(entry->key);
    bool value = strcmp(field, "value") == 0;
    snprintf(into, size, "%s%s%s", wr_series_measurement(entry->key), value ? "" : ".", value ? "" : field);
}

/* What a walk over the readers of a series does with each that takes it. */
typedef void reader_callback(void *user, const struct wr_reader *reader);

static void each_match(const struct wr_evaluator *evaluator, const struct wr_series *series, const char *name, const char *tag,
                       const char *word, reader_callback *callback, void *user) {
    uint32_t n;
    const struct wr_reader *readers = wr_ruleset_readers(evaluator->rules, name, tag, word, &n);
    for (uint32_t i = 0; i < n; i++) {
        const struct wr_operand *operand = &evaluator->rules->rules[readers[i].rule]->operands[readers[i].operand];
        if (wr_selector_matches(operand->selector, series->key, series->key_len))
            callback(user, &readers[i]);
    }
}

/* All operands whose selector takes a series. */
static void each_reader(const struct wr_evaluator *evaluator, uint32_t id, reader_callback *callback, void *user) {
    const struct wr_series *series = wr_series_get(evaluator->table, id);
    char name[WR_SERIES_KEY_BYTES];
    const char *tag;
    const char *word;
    plain_name(series, name, sizeof name);
    each_match(evaluator, series, name, "", "", callback, user);
    for (const char *cursor = NULL; wr_series_next_tag(series->key, series->key_len, &cursor, &tag, &word);)
        each_match(evaluator, series, name, tag, word, callback, user);
}

struct room {
    const struct wr_evaluator *evaluator;
    uint32_t links;
    uint32_t thresholds;
};

static void count_room(void *user, const struct wr_reader *reader) {
    struct room *room = user;
    room->links++;
    room->thresholds += thresholds_of(room->evaluator, reader->rule, reader->operand);
}

struct joining {
    struct wr_evaluator *evaluator;
    uint32_t id;
    int64_t boot_ns;
};

static void join_reader(void *user, const struct wr_reader *reader) {
    const struct joining *joining = user;
    struct wr_evaluator *evaluator = joining->evaluator;
    const struct labels labels = {.series = wr_series_get(evaluator->table, joining->id)};
    join(evaluator, reader->rule, reader->operand, &labels, joining->id, evaluator->series[joining->id], joining->boot_ns);
}

static void join_rules(struct wr_evaluator *evaluator, uint32_t id, int64_t boot_ns) {
    struct joining joining = {evaluator, id, boot_ns};
    each_reader(evaluator, id, join_reader, &joining);
    wr_signal_sort(evaluator->series[id]);
}

/* New instances say what they wait for: those that read the signal, and those that read what is computed from it. */
static void settle_links(struct wr_evaluator *evaluator, const struct wr_signal *signal, unsigned depth) {
    for (uint32_t i = 0; i < signal->n_links; i++) {
        struct wr_instance *instance = &evaluator->instances[signal->links[i].instance];
        wr_instance_settle(evaluator, instance);
        if (instance->output != WR_INSTANCE_NONE && depth < WR_RULE_RANKS)
            settle_links(evaluator, evaluator->outputs[instance->output], depth + 1);
    }
}

static void attach_one(struct wr_evaluator *evaluator, uint32_t id, const struct wr_now *now) {
    char name[WR_SERIES_KEY_BYTES];
    struct room room = {.evaluator = evaluator};
    evaluator->series[id] = NULL;
    evaluator->bands[id] = (struct wr_evaluator_band){.low = -HUGE_VAL, .high = HUGE_VAL, .arrival_boot_ns = now->boot_ns};
    plain_name(wr_series_get(evaluator->table, id), name, sizeof name);
    const struct wr_point *point = wr_ruleset_point(evaluator->rules, name);
    each_reader(evaluator, id, count_room, &room);
    if (room.links == 0 && !point)
        return;
    struct wr_signal *signal = wr_signal_new(evaluator, point);
    evaluator->series[id] = signal;
    if (!signal)
        return;
    wr_evaluator_set_now(evaluator, now);
    evaluator->at.series = id;
    if (wr_signal_reserve(evaluator, signal, room.links, room.thresholds))
        join_rules(evaluator, id, now->boot_ns);
    else
        evaluator->stats.no_memory++;
    wr_evaluator_refresh_band(evaluator, id);
    settle_links(evaluator, signal, 0);
}

void wr_evaluator_rejoin(struct wr_evaluator *evaluator, uint32_t id) {
    struct wr_signal *signal = evaluator->series[id];
    join_rules(evaluator, id, evaluator->at.boot_ns);
    signal->unlinked = false;
    settle_links(evaluator, signal, 0);
}

void wr_node_rejoin(struct wr_evaluator *evaluator, uint32_t index) {
    const uint32_t output = evaluator->instances[index].output;
    wr_node_join_readers(evaluator, index, evaluator->at.boot_ns);
    evaluator->outputs[output]->unlinked = false;
    settle_links(evaluator, evaluator->outputs[output], 0);
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
    struct wr_signal **series = realloc(evaluator->series, cap * sizeof(struct wr_signal *));
    if (!series)
        return false;
    evaluator->series = series;
    evaluator->bytes += (cap - evaluator->cap_series) * (sizeof *bands + sizeof(struct wr_signal *));
    evaluator->cap_series = cap;
    return true;
}

uint32_t wr_evaluator_attach(struct wr_evaluator *evaluator, uint32_t series_count, const struct wr_now *now) {
    const struct wr_trigger kept = evaluator->at; /* what waits in the queue belongs to it */
    const uint64_t trigger = evaluator->trigger;
    if (!grow_series(evaluator, series_count)) {
        evaluator->stats.no_memory++;
        if (!grow_series(evaluator, evaluator->attached + 1)) /* all at once is too much: at least one */
            return evaluator->attached;
        series_count = evaluator->cap_series < series_count ? evaluator->cap_series : series_count;
    }
    while (evaluator->attached < series_count)
        attach_one(evaluator, evaluator->attached++, now);
    evaluator->at = kept;
    evaluator->trigger = trigger;
    return evaluator->attached;
}
