#include "rules/alarms/command_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION 0xE2 /* no version of an alarm's snapshot, nor of a group's */

/* A snapshot: the struct, then key and text, each with its NUL. */
struct part {
    uint8_t version;
    uint8_t result;
    uint8_t reserved[2];
    uint32_t changed;
    uint32_t refused;
    uint32_t reserved_too;
    uint64_t number;
    uint64_t fingerprint;
};
_Static_assert(sizeof(struct part) + WR_COMMAND_KEY_BYTES + WR_COMMAND_TEXT_BYTES <= WR_ALARM_SNAP_BYTES, "an answer fits its entry");

void wr_command_log_fini(struct wr_command_log *log) {
    free(log->records);
    *log = (struct wr_command_log){0};
}

const struct wr_command_record *wr_command_log_find(const struct wr_command_log *log, const char *key) {
    for (unsigned i = 0; log->records && i < WR_COMMAND_KEYS; i++)
        if (log->records[i].number != 0 && strcmp(log->records[i].key, key) == 0)
            return &log->records[i];
    return NULL;
}

static void encode(const struct wr_command_record *record, struct wr_alarm_entry *entry) {
    const struct part part = {.version = VERSION,
                              .result = record->result,
                              .changed = record->changed,
                              .refused = record->refused,
                              .number = record->number,
                              .fingerprint = record->fingerprint};
    size_t key = strlen(record->key) + 1, text = strlen(record->text) + 1;
    char place[16];
    memset(entry, 0, sizeof *entry);
    memcpy(entry->snap, &part, sizeof part);
    memcpy(entry->snap + sizeof part, record->key, key);
    memcpy(entry->snap + sizeof part + key, record->text, text);
    entry->snap_len = (uint16_t)(sizeof part + key + text);
    snprintf(place, sizeof place, "%u", (unsigned)(record->number % WR_COMMAND_KEYS));
    entry->alarm.id = wr_alarm_id("\x01key", place);
}

static bool is_ready(struct wr_command_log *log) {
    if (!log->records)
        log->records = calloc(WR_COMMAND_KEYS, sizeof *log->records);
    return log->records != NULL;
}

enum wr_result wr_command_log_put(struct wr_command_log *log, const struct wr_command_record *record, struct wr_alarm_entry *entry) {
    if (!is_ready(log))
        return WR_NO_MEMORY;
    struct wr_command_record *place = &log->records[++log->number % WR_COMMAND_KEYS];
    *place = *record;
    place->number = log->number;
    encode(place, entry);
    return WR_OK;
}

bool wr_command_log_next_snapshot(const struct wr_command_log *log, uint32_t *cursor, struct wr_alarm_entry *ret_entry) {
    while (log->records && *cursor < WR_COMMAND_KEYS) {
        const struct wr_command_record *record = &log->records[(*cursor)++];
        if (record->number == 0)
            continue;
        encode(record, ret_entry);
        return true;
    }
    return false;
}

bool wr_command_log_is_snapshot(const struct wr_alarm_entry *entry) {
    return entry->snap_len > 0 && entry->snap[0] == VERSION;
}

enum wr_result wr_command_log_restore(struct wr_command_log *log, const struct wr_alarm_entry *entry) {
    struct part part;
    if (entry->snap_len < sizeof part + 2 || entry->snap_len > sizeof entry->snap || entry->snap[entry->snap_len - 1] != 0)
        return WR_CORRUPT;
    memcpy(&part, entry->snap, sizeof part);
    const char *key = (const char *)entry->snap + sizeof part;
    const char *text = key + strlen(key) + 1; /* the last byte is a NUL */
    size_t at = sizeof part + strlen(key) + 1;
    if (part.version != VERSION || part.number == 0 || strlen(key) == 0 || strlen(key) >= WR_COMMAND_KEY_BYTES || at >= entry->snap_len ||
        at + strlen(text) + 1 != entry->snap_len || strlen(text) >= WR_COMMAND_TEXT_BYTES)
        return WR_CORRUPT;
    if (!is_ready(log))
        return WR_NO_MEMORY;
    struct wr_command_record *place = &log->records[part.number % WR_COMMAND_KEYS];
    *place = (struct wr_command_record){
        .number = part.number, .fingerprint = part.fingerprint, .changed = part.changed, .refused = part.refused, .result = part.result};
    snprintf(place->key, sizeof place->key, "%s", key);
    snprintf(place->text, sizeof place->text, "%s", text);
    log->number = part.number > log->number ? part.number : log->number;
    return WR_OK;
}
