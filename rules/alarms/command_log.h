/* The answers to operators' commands by their idempotency key: the same key again is the same answer, and nothing is done twice.
 *
 * Promise: the last WR_COMMAND_KEYS commands with a key are known, also after a restart: each is a snapshot in the journal, under an id of its own place, so that
 * the store holds no more of them either.
 * Threads: the engine's. Memory: allocated with the first key; sizeof(struct wr_command_record) each.
 */
#ifndef WEIR_RULES_ALARMS_COMMAND_LOG_H
#define WEIR_RULES_ALARMS_COMMAND_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "core/alarm.h"
#include "core/result.h"

#define WR_COMMAND_KEYS 256
#define WR_COMMAND_KEY_BYTES 64
#define WR_COMMAND_TEXT_BYTES 224

struct wr_command_record {
    uint64_t number;      /* counts up; 0: a free place */
    uint64_t fingerprint; /* of the whole command: the same key for another one is an error */
    uint32_t changed;
    uint32_t refused;
    uint8_t result; /* enum wr_result */
    char key[WR_COMMAND_KEY_BYTES];
    char text[WR_COMMAND_TEXT_BYTES]; /* of an error */
};

struct wr_command_log {
    struct wr_command_record *records; /* NULL: none yet */
    uint64_t number;
};

void wr_command_log_fini(struct wr_command_log *log);

/* NULL: the key is new, or too long ago. */
const struct wr_command_record *wr_command_log_find(const struct wr_command_log *log, const char *key);
/* Keeps the answer; number is given here. The entry is its snapshot, for the journal. WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_command_log_put(struct wr_command_log *log, const struct wr_command_record *record,
                                              struct wr_alarm_entry *entry);

/* Snapshots: *cursor starts at 0; false at the end. */
bool wr_command_log_next_snapshot(const struct wr_command_log *log, uint32_t *cursor, struct wr_alarm_entry *ret_entry);
bool wr_command_log_is_snapshot(const struct wr_alarm_entry *entry);
/* WR_CORRUPT, WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_command_log_restore(struct wr_command_log *log, const struct wr_alarm_entry *entry);

#endif
