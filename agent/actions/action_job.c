#include "agent/actions/action_job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/fingerprint.h"
#include "core/json.h"
#include "core/path.h"
#include "core/web_url.h"
#include "rules/language/template.h"

#define TEXTS_BYTES 1024 /* of an address, arguments, headers and what to do, usually */

/* -- all texts into one piece of memory -------------------------------------------------------------------------------------------------- */

/* Done twice: first without memory, to see how much is needed. */
struct pack {
    char *at; /* NULL: only count */
    size_t bytes;
};

static const char *pack_text(struct pack *pack, const char *text) {
    if (!text)
        return NULL;
    const size_t len = strlen(text) + 1;
    const char *copy = pack->at;
    if (pack->at) {
        memcpy(pack->at, text, len);
        pack->at += len;
    }
    pack->bytes += len;
    return copy;
}

/* Lists come before all texts: so they are aligned. */
static const char *const *pack_list(struct pack *pack, const char *const *list) {
    size_t n = 0;
    while (list && list[n])
        n++;
    const size_t bytes = (n + 1) * sizeof *list;
    char *copy = pack->at;
    if (list && pack->at) {
        memcpy(pack->at, list, bytes);
        pack->at += bytes;
    }
    pack->bytes += list ? bytes : 0;
    return list ? (const char *const *)(void *)copy : NULL;
}

static void pack_members(struct pack *pack, const char *const *original, const char *const *copy) {
    const char **list = (const char **)(uintptr_t)copy;
    for (size_t i = 0; original && original[i]; i++) {
        const char *text = pack_text(pack, original[i]);
        if (list)
            list[i] = text;
    }
}

/* What the agent needs of the spec to carry it out: not its templates. */
static void pack_spec(struct pack *pack, const struct wr_action_spec *spec, struct wr_action_spec *into) {
    const bool exec = spec->kind == WR_ACTION_EXEC;
    const char *const *list = exec ? spec->exec.argv : spec->kind == WR_ACTION_WEBHOOK ? spec->webhook.headers : NULL;
    const char *const *copy = pack_list(pack, list);
    pack_members(pack, list, copy);
    *into = *spec;
    into->target = pack_text(pack, spec->target);
    switch (spec->kind) {
    case WR_ACTION_EXEC:
        into->exec.argv = copy;
        break;
    case WR_ACTION_MQTT:
        into->mqtt.topic = NULL;
        break;
    case WR_ACTION_WEBHOOK:
        into->webhook.headers = copy;
        into->webhook.url = NULL;
        into->webhook.ca = pack_text(pack, spec->webhook.ca);
        into->webhook.secret_file = pack_text(pack, spec->webhook.secret_file);
        into->webhook.token_file = pack_text(pack, spec->webhook.token_file);
        break;
    case WR_ACTION_FILE:
        into->file.path = NULL;
        break;
    case WR_ACTION_LOG:
    case WR_ACTION_KINDS:
        break;
    }
}

static enum wr_result find_address(const struct wr_action_spec *spec, const struct wr_alarm *alarm, const struct wr_action_place *place,
                                   char *into, size_t size, struct wr_error *err) {
    const bool mqtt = spec->kind == WR_ACTION_MQTT, webhook = spec->kind == WR_ACTION_WEBHOOK;
    const enum wr_template_use use = mqtt ? WR_TEMPLATE_TOPIC : webhook ? WR_TEMPLATE_URL : WR_TEMPLATE_PATH;
    struct wr_web_url url;
    if (spec->kind == WR_ACTION_LOG || spec->kind == WR_ACTION_EXEC) {
        snprintf(into, size, "%s", spec->kind == WR_ACTION_EXEC ? spec->exec.argv[0] : "");
        return WR_OK;
    }
    const char *text = mqtt ? spec->mqtt.topic : webhook ? spec->webhook.url : spec->file.path;
    if (wr_template_expand(text, use, alarm, place->node, place->site, into, size) != WR_OK)
        return wr_error_set(err, WR_INVALID, "the %s is too long", mqtt ? "topic" : webhook ? "address" : "path");
    if (webhook)
        return wr_web_url_parse(into, &url, err);
    /* A value stays in its place, but one that is empty may leave dots alone that stand beside it in the rule. */
    if (!mqtt && (!wr_path_is_plain(into) || into[strlen(into) - 1] == '/'))
        return wr_error_set(err, WR_INVALID, "with its names filled in it is no path of a file below its directory: %s", into);
    return WR_OK;
}

/* consequence or respond, its names filled in; NULL: the rule has none. */
static const char *fill_text(const struct wr_template *text, const struct wr_alarm *alarm, char *into, size_t size) {
    return text ? wr_template_message(text, alarm, 0, into, size) : NULL;
}

static enum wr_action_importance importance_of(enum wr_alarm_cause cause) {
    if (cause == WR_ALARM_REPEATED)
        return WR_ACTION_REPEAT;
    return cause == WR_ALARM_RAISED || cause == WR_ALARM_ESCALATED ? WR_ACTION_RAISE : WR_ACTION_NEWS;
}

/* A state topic keeps the last message that it gets: so they come one behind another. */
static uint64_t line_of(const struct wr_action_spec *spec, const char *address) {
    const bool state = spec->kind == WR_ACTION_MQTT && spec->mqtt.retain;
    return state ? wr_fingerprint_add(WR_FINGERPRINT_START, address, strlen(address)) | 1 : 0;
}

static uint64_t add_text(uint64_t so_far, const char *text) {
    return text ? wr_fingerprint_add(so_far, text, strlen(text) + 1) : wr_fingerprint_add(so_far, "\1", 1);
}

static uint64_t add_number(uint64_t so_far, uint64_t number) {
    return wr_fingerprint_add(so_far, &number, sizeof number);
}

static uint64_t add_list(uint64_t so_far, const char *const *list) {
    for (size_t i = 0; list && list[i]; i++)
        so_far = add_text(so_far, list[i]);
    return so_far;
}

/* What the rule says of it, but for how often it is tried. */
static uint64_t meaning_of(const struct wr_action_spec *spec) {
    uint64_t meaning = add_number(add_number(WR_FINGERPRINT_START, spec->kind), spec->at);
    meaning = add_number(add_number(meaning, (uint64_t)spec->after_ns), spec->unless);
    meaning = add_text(meaning, spec->target);
    switch (spec->kind) {
    case WR_ACTION_EXEC:
        return add_list(meaning, spec->exec.argv);
    case WR_ACTION_MQTT:
        meaning = wr_fingerprint_add(meaning, spec->mqtt.retain ? "r" : "e", 1);
        return add_text(meaning, spec->mqtt.topic);
    case WR_ACTION_WEBHOOK:
        /* With others it is another account at the same address. */
        meaning = add_text(add_text(meaning, spec->webhook.secret_file), spec->webhook.token_file);
        return add_list(add_text(add_text(meaning, spec->webhook.method), spec->webhook.url), spec->webhook.headers);
    case WR_ACTION_FILE:
        return add_text(wr_fingerprint_add(meaning, spec->file.line ? "l" : "j", 1), spec->file.path);
    case WR_ACTION_LOG:
    case WR_ACTION_KINDS:
        break;
    }
    return meaning;
}

enum wr_result wr_action_job_new(const struct wr_action_spec *spec, uint32_t action, const struct wr_rule_info *rule,
                                 const struct wr_alarm_entry *entry, const struct wr_action_place *place, struct wr_action_job **ret_job,
                                 struct wr_error *err) {
    char address[WR_ACTION_ADDRESS_BYTES], consequence[WR_TEMPLATE_BYTES], respond[WR_TEMPLATE_BYTES];
    WR_TRY(find_address(spec, &entry->alarm, place, address, spec->kind == WR_ACTION_MQTT ? WR_ACTION_TOPIC_BYTES : sizeof address, err));
    const char *consequence_text = fill_text(rule->consequence, &entry->alarm, consequence, sizeof consequence);
    const char *respond_text = fill_text(rule->respond, &entry->alarm, respond, sizeof respond);
    struct wr_action_job *job = NULL;
    struct wr_action_spec own;
    struct pack pack = {0};
    for (int pass = 0; pass < 2; pass++) {
        pack_spec(&pack, spec, &own);
        const char *texts[] = {pack_text(&pack, address), pack_text(&pack, consequence_text), pack_text(&pack, respond_text)};
        if (pass == 0) {
            job = calloc(1, sizeof *job + pack.bytes);
            if (!job)
                return wr_error_set(err, WR_NO_MEMORY, "no memory");
            pack = (struct pack){.at = (char *)(job + 1)};
            continue;
        }
        job->address = texts[0];
        job->consequence = texts[1];
        job->respond = texts[2];
    }
    job->spec = own;
    job->alarm = entry->alarm;
    job->number = entry->number;
    job->meaning = meaning_of(spec);
    job->turn = (struct wr_action_turn){.alarm = entry->alarm.id,
                                        .action = action,
                                        .line = line_of(spec, address),
                                        .importance = (uint8_t)importance_of((enum wr_alarm_cause)entry->alarm.cause),
                                        .retry = spec->retry};
    *ret_job = job;
    return WR_OK;
}

size_t wr_action_job_bytes(void) {
    return sizeof(struct wr_action_job) + TEXTS_BYTES;
}

/* -- in words -------------------------------------------------------------------------------------------------------------------------- */

/* What chat servers show of a message. */
static enum wr_result put_text(const struct wr_action_job *job, struct wr_json *json) {
    struct wr_buf line;
    wr_buf_init(&line, 0);
    const enum wr_result result = wr_action_job_line(job, &line);
    if (result == WR_OK)
        wr_json_bytes(json, "text", (const char *)line.data, line.len);
    wr_buf_fini(&line);
    return result;
}

enum wr_result wr_action_job_json(const struct wr_action_job *job, const struct wr_action_place *place, struct wr_buf *into) {
    struct wr_buf alarm;
    struct wr_json json;
    wr_buf_init(&alarm, 0);
    enum wr_result result = wr_alarm_to_json(&job->alarm, &alarm);
    wr_json_begin(&json, into);
    wr_json_object(&json, NULL);
    wr_json_string(&json, "node", place->node);
    wr_json_string(&json, "site", place->site);
    if (job->consequence)
        wr_json_string(&json, "consequence", job->consequence);
    if (job->respond)
        wr_json_string(&json, "respond", job->respond);
    if (result == WR_OK && job->spec.kind == WR_ACTION_WEBHOOK)
        result = put_text(job, &json);
    wr_json_object_end(&json);
    if (result == WR_OK)
        result = wr_json_end(&json);
    if (result == WR_OK) { /* two objects into one: the end of the first and the start of the second become a comma */
        into->len--;
        result = wr_buf_text(into, ",");
    }
    if (result == WR_OK)
        result = wr_buf_append(into, alarm.data + 1, alarm.len - 1);
    wr_buf_fini(&alarm);
    return result;
}

enum wr_result wr_action_job_line(const struct wr_action_job *job, struct wr_buf *into) {
    const struct wr_alarm *alarm = &job->alarm;
    char time[40];
    char display[WR_ALARM_NAME_BYTES + WR_ALARM_INSTANCE_BYTES + 3], name[4 * sizeof display];
    char message[4 * WR_ALARM_TEXT_BYTES];
    wr_alarm_display(display, sizeof display, alarm);
    wr_error_escape(name, sizeof name, display, strlen(display)); /* a label with a newline in it is no other line */
    wr_clock_format(time, sizeof time, alarm->wall_ns);
    WR_TRY(wr_buf_printf(into, "%s %s %s %s", time, wr_severity_name((enum wr_severity)alarm->severity),
                         wr_alarm_cause_name((enum wr_alarm_cause)alarm->cause), name));
    if (alarm->message[0])
        WR_TRY(wr_buf_printf(into, ": %s", wr_error_escape(message, sizeof message, alarm->message, strlen(alarm->message))));
    return alarm->by_whom[0]
               ? wr_buf_printf(into, " (by %s)", wr_error_escape(message, sizeof message, alarm->by_whom, strlen(alarm->by_whom)))
               : WR_OK;
}

char *wr_action_job_delivery(char *text, const struct wr_action_job *job) {
    snprintf(text, WR_ACTION_DELIVERY_BYTES, "%016llx.%llu.%u", (unsigned long long)job->alarm.id,
             (unsigned long long)job->alarm.transition, job->turn.action);
    return text;
}
