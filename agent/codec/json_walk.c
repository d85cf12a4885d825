#include "agent/codec/json_walk.h"

#include <stdio.h>
#include <string.h>

/* A container that is open. */
struct level {
    uint16_t node;       /* of the mapping, or 0 */
    uint32_t elements;   /* seen so far */
    struct wr_word name; /* joined, if fields are named by their paths */
};

struct walk {
    struct wr_json_map *map;
    struct wr_json_scan *scan;
    bool of_record;
    bool named; /* fields are named by their paths */
    struct level levels[WR_JSON_PARSE_DEPTH + 1];
    struct wr_word records;
    unsigned records_depth; /* while inside of the records */
};

/* The name of a member or element below a level, joined, into map->names. False: refused. */
static bool join_name(struct walk *walk, const struct level *level, const struct wr_json_token *token, struct wr_word *ret_name) {
    struct wr_json_map *map = walk->map;
    char number[16];
    struct wr_word last = {number, 0};
    if (token->name.text)
        last = (struct wr_word){token->name.text + 1, token->name.len - 2};
    else
        last.len = (size_t)snprintf(number, sizeof number, "%u", (unsigned)level->elements - 1);
    if (map->names_len + level->name.len + 1 + last.len > sizeof map->names)
        return wr_json_record_refuse(&map->record, WR_BOOK_REJECTED_TOO_LONG, token->word.text, "the names of the fields are too long");
    char *name = map->names + map->names_len;
    char *into = name;
    if (level->name.len > 0) {
        memcpy(into, level->name.text, level->name.len);
        into += level->name.len;
        *into++ = '_';
    }
    if (!memchr(last.text, '\\', last.len)) {
        memcpy(into, last.text, last.len);
    } else {
        const char *half = wr_json_unescape(last.text, last.len, into, &last.len);
        if (half)
            return wr_json_record_refuse(&map->record, WR_BOOK_REJECTED_SYNTAX, half, "half of a surrogate pair");
    }
    *ret_name = (struct wr_word){name, (size_t)(into - name) + last.len};
    map->names_len += ret_name->len;
    return true;
}

static void take_meanings(struct walk *walk, uint16_t number, struct wr_word word) {
    struct wr_json_map *map = walk->map;
    for (; number != 0; number = map->mapping.slots[number].next) {
        if (map->been[number])
            (void)wr_json_record_refuse(&map->record, WR_BOOK_REJECTED_SYNTAX, word.text, "the same member twice");
        else
            (void)wr_json_record_take(&map->record, &map->mapping.slots[number], (struct wr_word){NULL, 0}, word);
        map->been[number] = true;
    }
}

static void take_scalar(struct walk *walk, const struct level *level, uint16_t node, const struct wr_json_token *token) {
    struct wr_json_map *map = walk->map;
    const uint16_t slot = node != 0 ? map->mapping.nodes[node].slot : 0;
    struct wr_word name = {"", 0};
    if (slot != 0)
        take_meanings(walk, slot, token->word);
    else if (walk->named && join_name(walk, level, token, &name))
        (void)wr_json_record_take(&map->record, NULL, name, token->word);
    if (walk->of_record)
        wr_json_shapes_add(&map->shapes, &map->mapping, slot, name, token->word);
}

/* A container at `node`, whose bracket is the token. */
static void open_level(struct walk *walk, const struct level *above, uint16_t node, const struct wr_json_token *token) {
    struct wr_json_map *map = walk->map;
    struct level *level = &walk->levels[walk->scan->depth];
    *level = (struct level){.node = node, .name = {"", 0}};
    if (!above)
        return;
    if (node != 0 && map->mapping.nodes[node].slot != 0)
        (void)wr_json_record_refuse(&map->record, WR_BOOK_REJECTED_TYPE, token->word.text,
                                    "an object or list where the mapping has a value");
    if (node != 0 && map->mapping.nodes[node].records && !walk->records.text) {
        walk->records.text = token->word.text;
        walk->records_depth = walk->scan->depth;
        level->node = 0;
    }
    if (walk->named)
        (void)join_name(walk, above, token, &level->name);
}

static enum wr_json_found walk_value(struct walk *walk, uint16_t start) {
    struct wr_json_map *map = walk->map;
    struct wr_json_scan *scan = walk->scan;
    memset(map->been, 0, (size_t)map->mapping.n_slots + 1);
    do {
        struct level *level = scan->depth > 0 ? &walk->levels[scan->depth] : NULL;
        struct wr_json_token token;
        const enum wr_json_found found = wr_json_scan_token(scan, &token);
        if (found != WR_JSON_FOUND)
            return found;
        if (token.kind == WR_JSON_CLOSE) {
            if (walk->records_depth == scan->depth + 1) {
                walk->records.len = (size_t)(scan->p - walk->records.text);
                walk->records_depth = 0;
            }
            continue;
        }
        uint16_t node = start;
        if (level)
            node = token.name.text ? wr_json_mapping_member(&map->mapping, level->node, token.name)
                                   : wr_json_mapping_element(&map->mapping, level->node, level->elements++);
        if (token.kind == WR_JSON_OPEN)
            open_level(walk, level, node, &token);
        else if (level)
            take_scalar(walk, level, node, &token);
    } while (scan->depth > 0);
    return WR_JSON_FOUND;
}

enum wr_json_found wr_json_walk_record(struct wr_json_map *map, struct wr_json_scan *scan) {
    struct walk walk = {.map = map, .scan = scan, .of_record = true, .named = map->mapping.any_field};
    wr_json_record_begin(&map->record);
    map->names_len = 0;
    wr_json_shapes_begin(&map->shapes, scan->p);
    const enum wr_json_found found = walk_value(&walk, map->mapping.record);
    if (found == WR_JSON_FOUND && !map->record.problem)
        wr_json_shapes_end(&map->shapes, scan->p);
    return found;
}

enum wr_json_found wr_json_walk_envelope(struct wr_json_map *map, struct wr_json_scan *scan, struct wr_word *ret_records) {
    struct walk walk = {.map = map, .scan = scan};
    wr_json_record_forget_root(&map->record);
    wr_json_record_begin(&map->record);
    const enum wr_json_found found = walk_value(&walk, map->mapping.root);
    *ret_records = walk.records;
    return found;
}
