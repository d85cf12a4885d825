/* How far nodes have come, for a restart: the running delay of a level or a held condition, the step of a sequence. In the same snapshots as the states
 * of alarms, so that no more than the last minute of them is lost by a crash; downtime does not count. */
#include <stdlib.h>
#include <string.h>

#include "rules/evaluator/evaluator_private.h"

/* Told from an alarm's snapshot by its first byte. A new version gets a new number. */
#define PROGRESS_VERSION 129

struct progress {
    uint8_t version;
    uint8_t delay;
    uint8_t condition;
    uint8_t step;
    uint8_t reserved[4];
    int64_t elapsed_ns;      /* of the delay */
    int64_t true_ns;         /* how long the condition has been true */
    int64_t step_elapsed_ns; /* since the last step was met */
    uint64_t meaning;        /* hash of the node's canonical text */
};
_Static_assert(sizeof(struct progress) + WR_ALARM_INSTANCE_BYTES <= WR_ALARM_SNAP_BYTES, "a node's snapshot fits its entry");

static uint64_t meaning_of(const struct wr_rule *rule) {
    return wr_alarm_id(rule->canonical, "");
}

static int64_t step_elapsed(const struct wr_evaluator *evaluator, const struct wr_instance *instance) {
    if (instance->more->step_waits) /* no sample since the last restart: what had passed then */
        return -instance->more->step_since_ns;
    return wr_node_step_clock(evaluator, instance) - instance->more->step_since_ns;
}

bool wr_node_encode(struct wr_evaluator *evaluator, struct wr_instance *instance, struct wr_alarm_entry *ret_entry) {
    const bool stepping = instance->more && instance->more->step > 0;
    const bool going = instance->delay != WR_DELAY_NONE || instance->condition || stepping;
    if (!going && !instance->kept)
        return false;
    memset(ret_entry, 0, sizeof *ret_entry);
    ret_entry->alarm.id = instance->id;
    instance->kept = going;
    if (!going)
        return true; /* its snapshot goes */
    const struct progress progress = {
        .version = PROGRESS_VERSION,
        .delay = instance->delay,
        .condition = instance->condition,
        .step = stepping ? (uint8_t)instance->more->step : 0,
        .elapsed_ns = instance->delay == WR_DELAY_NONE ? 0 : wr_instance_elapsed(evaluator, instance, evaluator->at.boot_ns),
        .true_ns = evaluator->at.boot_ns - instance->true_boot_ns,
        .step_elapsed_ns = stepping ? step_elapsed(evaluator, instance) : 0,
        .meaning = meaning_of(wr_instance_rule(evaluator, instance)),
    };
    const size_t len = strlen(instance->text) + 1;
    memcpy(ret_entry->snap, &progress, sizeof progress);
    memcpy(ret_entry->snap + sizeof progress, instance->text, len);
    ret_entry->snap_len = (uint16_t)(sizeof progress + len);
    return true;
}

bool wr_node_is_snapshot(const struct wr_alarm_entry *entry) {
    return entry->snap_len > 0 && entry->snap[0] == PROGRESS_VERSION;
}

static int by_meaning(const void *a, const void *b) {
    const uint64_t left = ((const struct wr_node_meaning *)a)->meaning, right = ((const struct wr_node_meaning *)b)->meaning;
    return left < right ? -1 : left > right;
}

/* Nodes by their meaning, for a start with many snapshots: made when the first one comes. */
static bool learn_meanings(struct wr_evaluator *evaluator) {
    const struct wr_ruleset *rules = evaluator->rules;
    const uint32_t n = rules->n_nodes - rules->n_rules;
    if (evaluator->meanings)
        return true;
    evaluator->meanings = malloc((n + 1) * sizeof *evaluator->meanings);
    for (uint32_t i = 0; evaluator->meanings && i < n; i++)
        evaluator->meanings[i] = (struct wr_node_meaning){meaning_of(rules->rules[rules->n_rules + i]), rules->n_rules + i};
    if (evaluator->meanings)
        qsort(evaluator->meanings, n, sizeof *evaluator->meanings, by_meaning);
    return evaluator->meanings != NULL;
}

static uint32_t node_of(const struct wr_evaluator *evaluator, uint64_t meaning, const char *text) {
    const struct wr_ruleset *rules = evaluator->rules;
    uint32_t low = 0, high = rules->n_nodes - rules->n_rules;
    const uint32_t n = high;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (evaluator->meanings[middle].meaning < meaning)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < n && evaluator->meanings[low].meaning == meaning; low++)
        if (wr_evaluator_text_fits(rules->rules[evaluator->meanings[low].node], text))
            return evaluator->meanings[low].node;
    return WR_NODE_NO;
}

static bool is_time(int64_t ns) {
    return ns >= -WR_EVALUATOR_TIME_MAX_NS && ns <= WR_EVALUATOR_TIME_MAX_NS;
}

enum wr_result wr_node_restore(struct wr_evaluator *evaluator, const struct wr_alarm_entry *entry, const struct wr_now *now) {
    struct progress progress;
    uint32_t index;
    if (entry->snap_len <= sizeof progress || entry->snap_len > sizeof entry->snap || entry->snap[entry->snap_len - 1] != 0)
        return WR_CORRUPT;
    memcpy(&progress, entry->snap, sizeof progress);
    const char *text = (const char *)entry->snap + sizeof progress;
    bool fits = strlen(text) + 1 == entry->snap_len - sizeof progress && strlen(text) < WR_ALARM_INSTANCE_BYTES &&
                progress.delay <= WR_DELAY_OFF && progress.condition <= 1 && is_time(progress.elapsed_ns) && is_time(progress.true_ns) &&
                is_time(progress.step_elapsed_ns) && (progress.delay != WR_DELAY_ON || !progress.condition) &&
                (progress.delay != WR_DELAY_OFF || progress.condition);
    if (!fits)
        return WR_CORRUPT;
    if (!learn_meanings(evaluator))
        return WR_NO_MEMORY;
    uint32_t node = node_of(evaluator, progress.meaning, text);
    if (node == WR_NODE_NO)
        return WR_NOT_FOUND;
    WR_TRY(wr_evaluator_instance(evaluator, node, text, now->boot_ns, &index));
    struct wr_instance *instance = &evaluator->instances[index];
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    instance->condition = progress.condition;
    instance->delay = progress.delay;
    instance->frozen = progress.delay != WR_DELAY_NONE; /* downtime is unknown: neither true nor false */
    instance->since_ns = progress.elapsed_ns;
    instance->true_boot_ns = now->boot_ns - progress.true_ns;
    instance->kept = true;
    if (instance->more && progress.step <= rule->n_steps) {
        instance->more->step = progress.step;
        instance->more->step_since_ns = -progress.step_elapsed_ns;
        instance->more->step_waits = progress.step > 0;
    }
    for (uint32_t i = 0; i < rule->n_operands; i++) {
        struct wr_signal *signal = wr_instance_signal(evaluator, instance, i);
        if (!signal)
            continue;
        signal->fresh = true; /* the store opened late: the next sample decides, quiet or not */
        wr_evaluator_refresh_band(evaluator, instance->signals[i]);
    }
    return WR_OK;
}
