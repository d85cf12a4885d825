/* Any bytes as JSON by a mapping, which the first byte chooses. No crash; the same readings when the bytes come in two pieces (the second byte says
 * where they are cut); and the same when no shape is remembered, so that each record goes the long way. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/codec/json_map.h"
#include "tests/fuzz/seen.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *tags[] = {(char *)"s", (char *)"a=b.c"};
static char *root_tags[] = {(char *)"s", (char *)"dev=$.d"};
static char *fields[] = {(char *)"v", (char *)"w=l.1", (char *)"i:int", (char *)"f=x.y:float", (char *)"b:bool", (char *)"t:string"};
static const struct wr_config_json configs[] = {
    {.tags = tags, .n_tags = 1, .time = (char *)"t", .time_format = (char *)"s"},
    {.tags = tags, .n_tags = 2, .measurement_path = (char *)"m", .quality = (char *)"q"},
    {.tags = tags, .n_tags = 2, .fields = fields, .n_fields = 6, .time = (char *)"t"},
    {.records = (char *)"r.s", .tags = root_tags, .n_tags = 2, .time = (char *)"$.t", .time_format = (char *)"ms"},
};

/* What one way of reading sees. */
struct way {
    struct seen seen; /* first: what the shared sink functions take */
    struct wr_json_map *map;
    bool forgets;
};

static enum wr_result take(void *user, const struct wr_record *taken) {
    struct way *way = user;
    const enum wr_result result = record(&way->seen, taken);
    if (way->forgets)
        wr_json_shapes_init(&way->map->shapes);
    return result;
}

static void feed(const uint8_t *data, size_t size, size_t cut, bool forgets, const struct wr_config_json *config, struct way *way) {
    static struct wr_json_map map;
    struct wr_error err;
    const struct wr_sink sink = {.record = take, .refused = refused, .user = way};
    uint64_t line = 0;
    size_t from = 0;
    way->map = &map;
    way->forgets = forgets;
    must(wr_json_map_init(&map, config, "m", 65536, &err) == WR_OK);
    wr_buf_init(&way->seen.text, 0);
    for (int piece = 0; piece < 2; piece++) {
        const size_t to = piece == 0 ? cut : size;
        char *bytes = malloc(to - from + 1);
        must(bytes != NULL);
        memcpy(bytes, data + from, to - from);
        size_t consumed;
        must(wr_json_map_feed(&map, bytes, to - from, piece == 1, &line, &sink, &consumed) == WR_OK);
        must(consumed <= to - from && (piece == 0 || consumed == to - from));
        free(bytes);
        from += consumed;
    }
    wr_json_map_fini(&map);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    const struct wr_config_json *config = &configs[data[0] % (sizeof configs / sizeof configs[0])];
    const size_t cut = data[1] * (size - 2) / 256;
    struct way ways[3] = {{.map = NULL}};
    feed(data + 2, size - 2, 0, false, config, &ways[0]);
    feed(data + 2, size - 2, cut, false, config, &ways[1]);
    feed(data + 2, size - 2, 0, true, config, &ways[2]);
    for (int i = 1; i < 3; i++)
        must(ways[0].seen.refused == ways[i].seen.refused && strcmp(wr_buf_str(&ways[0].seen.text), wr_buf_str(&ways[i].seen.text)) == 0);
    for (int i = 0; i < 3; i++)
        wr_buf_fini(&ways[i].seen.text);
    return 0;
}
