/* The words in which the tables of the schema are written. Only agent/config/config_schema*.c include it. */
#ifndef WEIR_AGENT_CONFIG_CONFIG_SCHEMA_H
#define WEIR_AGENT_CONFIG_CONFIG_SCHEMA_H

#include "agent/config/config_private.h"
#include "core/clock.h"

#define AT(type, member) .offset = offsetof(struct type, member)
#define LIST_AT(type, member, count) .offset = offsetof(struct type, member), .count_offset = offsetof(struct type, count)
#define RECORD_OF(type, table) .fields = (table), .record_bytes = sizeof(struct type)

#define MS ((double)WR_NS_PER_MS)
#define S ((double)WR_NS_PER_S)
#define MINUTE (60 * S)
#define HOUR (3600 * S)
#define DAY (24 * HOUR)

#endif
