/* Operators: a command on one alarm, or on all that a selector takes. */
#include <stdio.h>
#include <string.h>

#include "core/utf8.h"
#include "rules/evaluator/evaluator_private.h"

bool wr_evaluator_selects(const struct wr_selector *selector, const char *rule, const char *instance) {
    if (selector->name_is_glob ? !wr_glob_match(selector->name, rule) : strcmp(selector->name, rule) != 0)
        return false;
    for (size_t i = 0; i < selector->n_matches; i++) {
        const struct wr_selector_match *match = &selector->matches[i];
        char value[WR_ALARM_INSTANCE_BYTES];
        const bool has = wr_template_label(instance, match->tag, value, sizeof value);
        if (!wr_selector_tag_matches(match, has ? value : NULL))
            return false;
    }
    return true;
}

/* -- one alarm ------------------------------------------------------------------------------------------------------------------------------ */

static uint64_t hash_of(const char *key) {
    uint64_t hash = key[0] ? wr_alarm_id("key", key) : 0;
    return hash == 0 && key[0] ? 1 : hash;
}

/* acknowledge, reset: events of the state machine. */
static enum wr_result put_event(struct wr_evaluator *evaluator, uint32_t index, const struct wr_alarm_command *command,
                                struct wr_alarm_out *out, struct wr_error *err) {
    struct wr_instance *instance = &evaluator->instances[index];
    const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
    const bool ack = command->kind == WR_ALARM_COMMAND_ACK;
    const enum wr_alarm_event event = ack ? WR_ALARM_EVENT_ACK : WR_ALARM_EVENT_RESET;
    struct wr_alarm_step step;
    if (!wr_alarm_state_step((enum wr_alarm_state)instance->state, event, rule->latch, rule->auto_ack, &step))
        return wr_error_set(err, WR_INVALID, "%s%s%s%s is %s: nothing to %s", rule->name, instance->text[0] ? "{" : "", instance->text,
                            instance->text[0] ? "}" : "", wr_alarm_state_name((enum wr_alarm_state)instance->state),
                            ack ? "acknowledge" : "reset");
    if (command->key[0])
        wr_annunciator_set_key(evaluator->annunciator, index, hash_of(command->key), &evaluator->at.now);
    struct wr_alarm_entry *entry = &out->entries[out->n];
    if (wr_instance_command(evaluator, instance, event, command->by_whom, out))
        wr_utf8_copy(entry->alarm.why, sizeof entry->alarm.why, command->why);
    return WR_OK;
}

/* Shelve and the like: they leave the state alone. */
static enum wr_result give_order(struct wr_evaluator *evaluator, uint32_t index, const struct wr_alarm_command *command,
                                 struct wr_alarm_out *out, struct wr_error *err) {
    const struct wr_alarm_order order = {
        .kind = command->kind == WR_ALARM_COMMAND_SHELVE           ? WR_ALARM_ORDER_SHELVE
                : command->kind == WR_ALARM_COMMAND_UNSHELVE       ? WR_ALARM_ORDER_UNSHELVE
                : command->kind == WR_ALARM_COMMAND_OUT_OF_SERVICE ? WR_ALARM_ORDER_OUT_OF_SERVICE
                                                                   : WR_ALARM_ORDER_RETURN,
        .by_whom = command->by_whom,
        .why = command->why,
        .until_wall_ns = command->until_wall_ns,
        .key = hash_of(command->key),
    };
    WR_TRY(wr_annunciator_order(evaluator->annunciator, index, &order, &evaluator->at.now, &out->entries[out->n], err));
    out->n++;
    return WR_OK;
}

static enum wr_result do_one(struct wr_evaluator *evaluator, uint32_t index, struct wr_alarm_command *command, struct wr_alarm_out *out,
                             struct wr_error *err) {
    if (command->key[0] && wr_annunciator_has_key(evaluator->annunciator, index, hash_of(command->key))) {
        command->changed++; /* a crash came between this and the answer */
        return WR_OK;
    }
    const bool event = command->kind == WR_ALARM_COMMAND_ACK || command->kind == WR_ALARM_COMMAND_RESET;
    enum wr_result result = event ? put_event(evaluator, index, command, out, err) : give_order(evaluator, index, command, out, err);
    if (result == WR_OK)
        command->changed++;
    if (result != WR_INVALID && result != WR_DENIED)
        return result;
    command->refused++;
    command->refusal = result;
    snprintf(command->problem, sizeof command->problem, "%s", err->text);
    return WR_OK;
}

/* -- all of them ---------------------------------------------------------------------------------------------------------------------------- */

/* The same command is known by its key: what it did then is the answer now. */
static bool is_repeated(const struct wr_evaluator *evaluator, struct wr_alarm_command *command, uint64_t fingerprint,
                        enum wr_result *ret_result, struct wr_error *err) {
    const struct wr_command_record *record = command->key[0] ? wr_command_log_find(&evaluator->commands, command->key) : NULL;
    if (!record || command->begun)
        return false;
    if (record->fingerprint != fingerprint) {
        *ret_result = wr_error_set(err, WR_EXISTS, "the key %s was used for another command", command->key);
        return true;
    }
    command->repeated = true;
    command->changed = record->changed;
    command->refused = record->refused;
    snprintf(command->problem, sizeof command->problem, "%s", record->text);
    *ret_result = (enum wr_result)record->result;
    if (record->result != WR_OK)
        *ret_result = wr_error_set(err, (enum wr_result)record->result, "%s", record->text);
    return true;
}

/* How long a shelving is meant to last does not count: said again, the same words mean a later time. */
static uint64_t fingerprint_of(const struct wr_alarm_command *command) {
    const char kind[] = {(char)('0' + command->kind), '\0'};
    return wr_alarm_id(kind, command->alarm) ^ wr_alarm_id("why", command->why) * 31;
}

static enum wr_result result_of(const struct wr_alarm_command *command, struct wr_error *err) {
    if (command->changed > 0)
        return WR_OK;
    if (command->refused > 0)
        return wr_error_set(err, command->refusal, "%s", command->problem);
    return wr_error_set(err, WR_NOT_FOUND, "there is no alarm %.191s", command->alarm);
}

/* Keeps the answer under its key. */
static enum wr_result keep(struct wr_evaluator *evaluator, const struct wr_alarm_command *command, uint64_t fingerprint,
                           enum wr_result result, struct wr_alarm_out *out, struct wr_error *err) {
    struct wr_command_record record = {
        .fingerprint = fingerprint, .changed = command->changed, .refused = command->refused, .result = (uint8_t)result};
    snprintf(record.key, sizeof record.key, "%s", command->key);
    wr_utf8_copy(record.text, sizeof record.text, result == WR_OK ? command->problem : err->text);
    if (wr_command_log_put(&evaluator->commands, &record, &out->entries[out->n]) != WR_OK)
        return wr_error_set(err, WR_NO_MEMORY, "no memory to remember the key");
    out->n++;
    return result;
}

enum wr_result wr_evaluator_command(struct wr_evaluator *evaluator, struct wr_alarm_command *command, const struct wr_now *now,
                                    struct wr_alarm_out *out, struct wr_error *err) {
    const uint64_t fingerprint = fingerprint_of(command);
    struct wr_error scratch = {0};
    struct wr_selector selector;
    enum wr_result result;
    err = err ? err : &scratch;
    if (strlen(command->key) >= WR_COMMAND_KEY_BYTES)
        return wr_error_set(err, WR_INVALID, "a key has at most %d bytes", WR_COMMAND_KEY_BYTES - 1);
    if (is_repeated(evaluator, command, fingerprint, &result, err))
        return result;
    WR_TRY(wr_selector_parse(command->alarm, strlen(command->alarm), &selector, NULL, err));
    if (!selector.name_is_glob && !wr_evaluator_has_rule(evaluator, selector.name))
        return wr_error_set(err, WR_NOT_FOUND, "there is no rule '%.63s'", selector.name);
    command->begun = true;
    if (!wr_evaluator_run_queue(evaluator, out))
        return WR_FULL;
    wr_evaluator_set_now(evaluator, now);
    for (; command->from < evaluator->n_instances; command->from++) {
        const struct wr_instance *instance = &evaluator->instances[command->from];
        if (instance->rule == WR_INSTANCE_NONE)
            continue;
        const struct wr_rule *rule = wr_instance_rule(evaluator, instance);
        if (rule->kind != WR_RULE_ALARM || !wr_evaluator_selects(&selector, rule->name, instance->text))
            continue;
        if (out->n >= out->cap)
            return wr_error_set(err, WR_FULL, "more alarms than there is room for: call again");
        WR_TRY(do_one(evaluator, command->from, command, out, err));
    }
    result = result_of(command, err);
    if (command->key[0] == '\0')
        return result;
    return out->n < out->cap ? keep(evaluator, command, fingerprint, result, out, err) : WR_FULL;
}
