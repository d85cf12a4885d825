/* Templates: texts with names in braces: messages, and the addresses of actions: topics, URLs, paths of files.
 *
 *   {value} {limit} {unit} {rule} {severity} {level} {duration} {state} {cause}, {node} {site} in addresses, the labels of `by`, and columns of tables
 *   by the label of their key: {rooms.hi}. {{ is a brace. {duration} is known to `message` alone: elsewhere it is refused at load.
 *
 * Promise: an unknown name is found at load. Expanding allocates nothing and cuts at a character boundary. A value stays inside its place:
 * in a topic it cannot add a level or a wildcard (/ + # and control characters become _), in a URL it is percent-encoded, and a dot at its start
 * becomes _ before the '?', in a path it can
 * neither add a directory nor hide a file (/ and control characters become _, a dot at its start too).
 * Threads: none; immutable once parsed. Ownership: parts live in the arena.
 */
#ifndef WEIR_RULES_LANGUAGE_TEMPLATE_H
#define WEIR_RULES_LANGUAGE_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/alarm.h"
#include "core/result.h"
#include "rules/language/arena.h"

#define WR_TEMPLATE_BYTES 1024

struct wr_table;

struct wr_template_part {
    int name;                     /* of the table in template.c; below zero: literal, label or cell */
    uint32_t column;              /* of a cell */
    const char *text;             /* the literal, or the label */
    const struct wr_table *table; /* of a cell */
};

/* Which names a template may hold beside those that it always may. */
struct wr_template_names {
    const char *const *labels; /* of `by` */
    size_t n_labels;
    struct wr_table *const *tables;
    size_t n_tables;
    bool topic;    /* node and site too */
    bool timeless; /* no {duration}: nobody knows it where this is filled in */
};

struct wr_template {
    uint32_t n;
    const struct wr_template_part *parts;
};

/* On error ret_at, ret_len (bytes) tell where; ret_near (may be NULL) gives the nearest known name or NULL. WR_INVALID, WR_NO_MEMORY. */
WR_MUST_USE enum wr_result wr_template_parse(const char *text, bool topic, const char *const *labels, size_t n_labels,
                                             struct wr_arena *arena, struct wr_template *ret_template, size_t *ret_at, size_t *ret_len,
                                             const char **ret_near, struct wr_error *err);

/* The same with tables. */
WR_MUST_USE enum wr_result wr_template_parse_names(const char *text, const struct wr_template_names *names, struct wr_arena *arena,
                                                   struct wr_template *ret_template, size_t *ret_at, size_t *ret_len, const char **ret_near,
                                                   struct wr_error *err);

/* A message, into[size]. duration_ns: how long the condition has been true. Returns into. */
char *wr_template_message(const struct wr_template *parsed, const struct wr_alarm *alarm, int64_t duration_ns, char *into, size_t size);

enum wr_template_use { WR_TEMPLATE_TOPIC, WR_TEMPLATE_URL, WR_TEMPLATE_PATH };

/* An address from its text, as it stands in struct wr_action_spec. WR_LIMIT: longer than size. */
WR_MUST_USE enum wr_result wr_template_expand(const char *text, enum wr_template_use use, const struct wr_alarm *alarm, const char *node,
                                              const char *site, char *into, size_t size);

/* The value of a label in alarm->instance ("room=A1,site=riga") into[size]; false: it has none. */
bool wr_template_label(const char *instance, const char *label, char *into, size_t size);

#endif
