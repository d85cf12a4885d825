/* The cache of series ids. */
#include <stdlib.h>
#include <string.h>

#include "agent/receive/members.h"
#include "agent/receive/postgres_private.h"
#include "core/json.h"
#include "core/series.h"

enum { KEY, SITE, NODE, MEASUREMENT, FIELD, TAGS, PARAMS };

static const char insert[] = "INSERT INTO @.series (key, site, node, measurement, field, tags) "
                             "SELECT * FROM unnest($1::bytea[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[]::jsonb[]) "
                             "AS k (key, site, node, measurement, field, tags) "
                             "WHERE NOT EXISTS (SELECT FROM @.series AS s WHERE s.key = k.key) ORDER BY key ON CONFLICT DO NOTHING";
static const char ask[] =
    "SELECT s.id FROM unnest($1::bytea[]) WITH ORDINALITY AS k (key, i) LEFT JOIN @.series AS s ON s.key = k.key ORDER BY k.i";

static void made(void *entry, uint32_t id, uint64_t hash) {
    (void)entry, (void)id, (void)hash;
}

enum wr_result wr_postgres_series_init(struct wr_postgres_series *series, struct wr_error *err) {
    *series = (struct wr_postgres_series){0};
    for (int i = 0; i < PARAMS; i++)
        wr_buf_init(&series->params[i], 0);
    wr_buf_init(&series->name, UINT16_MAX);
    if (wr_intern_init(&series->names, WR_POSTGRES_SERIES, 0, made) == WR_OK)
        return WR_OK;
    series->names = (struct wr_intern){0}; /* number tries again */
    return wr_error_set(err, WR_NO_MEMORY, "no memory for the series");
}

void wr_postgres_series_fini(struct wr_postgres_series *series) {
    if (series->names.max > 0)
        wr_intern_fini(&series->names);
    series->names = (struct wr_intern){0};
    free(series->ids);
    series->ids = NULL;
    series->cap = 0;
    for (int i = 0; i < PARAMS; i++)
        wr_buf_fini(&series->params[i]);
    wr_buf_fini(&series->name);
}

void wr_postgres_series_forget(struct wr_postgres_series *series) {
    if (series->cap > 0)
        memset(series->ids, 0, series->cap * sizeof *series->ids);
}

void wr_postgres_series_trim(struct wr_postgres_series *series) {
    if (wr_intern_count(&series->names) >= WR_POSTGRES_SERIES / 8 * 7)
        wr_postgres_series_fini(series); /* number begins anew */
}

/* FNV-1a. */
static uint64_t hash_of(const uint8_t *bytes, size_t len) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 32;
}

enum wr_result wr_postgres_series_number(struct wr_postgres_series *series, const struct wr_message_origin *origin, const char *key,
                                         size_t len, uint32_t *ret_number) {
    struct wr_buf *name = &series->name;
    if (series->names.max == 0)
        WR_TRY(wr_postgres_series_init(series, NULL));
    wr_buf_clear(name);
    WR_TRY(wr_buf_append(name, origin->site, strlen(origin->site) + 1));
    WR_TRY(wr_buf_append(name, origin->key.node, strlen(origin->key.node) + 1));
    WR_TRY(wr_buf_append(name, key, len));
    uint32_t number;
    if (wr_intern_put(&series->names, (const char *)name->data, name->len, hash_of(name->data, name->len), &number) != WR_OK)
        return WR_NO_MEMORY; /* also when it is full: a commit makes room */
    if (number >= series->cap) {
        const size_t cap = series->cap > 0 ? series->cap * 2 : 1024;
        int32_t *ids = realloc(series->ids, cap * sizeof *ids);
        if (!ids)
            return WR_NO_MEMORY;
        memset(ids + series->cap, 0, (cap - series->cap) * sizeof *ids);
        series->ids = ids;
        series->cap = cap;
    }
    *ret_number = number;
    return WR_OK;
}

/* -- the database ------------------------------------------------------------------------------------------------------------------------------- */

/* A name as interned, in front of which stands its length. */
static const char *name_at(const struct wr_postgres_series *series, uint32_t number, size_t *ret_len) {
    const char *entry = wr_intern_get(&series->names, number);
    uint16_t len;
    memcpy(&len, entry, sizeof len);
    *ret_len = len;
    return entry + sizeof len;
}

static enum wr_result add_tags(struct wr_postgres_series *series, const char *key, size_t len) {
    struct wr_buf text;
    struct wr_json json;
    const char *cursor = NULL;
    const char *name;
    const char *value;
    wr_buf_init(&text, 0);
    wr_json_begin(&json, &text);
    wr_json_object(&json, NULL);
    while (wr_series_next_tag(key, len, &cursor, &name, &value))
        wr_json_string(&json, name, value);
    wr_json_object_end(&json);
    enum wr_result result = wr_json_end(&json);
    if (result == WR_OK)
        result = wr_postgres_array_text(&series->params[TAGS], wr_buf_str(&text), text.len);
    wr_buf_fini(&text);
    return result;
}

static enum wr_result add_params(struct wr_postgres_series *series, uint32_t number) {
    size_t len;
    const char *site = name_at(series, number, &len);
    const char *node = site + strlen(site) + 1;
    const char *key = node + strlen(node) + 1;
    const char *measurement = wr_series_measurement(key);
    const char *field = wr_series_field(key);
    struct wr_buf *params = series->params;
    WR_TRY(wr_postgres_array_bytes(&params[KEY], site, len));
    WR_TRY(wr_postgres_array_text(&params[SITE], site, strlen(site)));
    WR_TRY(wr_postgres_array_text(&params[NODE], node, strlen(node)));
    WR_TRY(wr_postgres_array_text(&params[MEASUREMENT], measurement, strlen(measurement)));
    WR_TRY(wr_postgres_array_text(&params[FIELD], field, strlen(field)));
    return add_tags(series, key, len - (size_t)(key - site));
}

/* The series that have no id into the parameters; their numbers into asked. -1 in ids: among them already. */
static enum wr_result gather(struct wr_postgres_series *series, const struct wr_postgres_row *rows, size_t n, struct wr_buf *asked) {
    for (int i = 0; i < PARAMS; i++)
        WR_TRY(wr_postgres_array_begin(&series->params[i]));
    for (size_t i = 0; i < n; i++) {
        const uint32_t number = rows[i].series;
        if (series->ids[number] != 0)
            continue;
        WR_TRY(wr_buf_append(asked, &number, sizeof number));
        series->ids[number] = -1;
        WR_TRY(add_params(series, number));
    }
    for (int i = 0; i < PARAMS; i++)
        WR_TRY(wr_postgres_array_end(&series->params[i]));
    return WR_OK;
}

static enum wr_result run(struct wr_postgres_series *series, struct wr_postgres_connection *connection, const char *statement, int n,
                          PGresult **ret_result, struct wr_error *err) {
    const char *params[PARAMS];
    struct wr_buf text;
    for (int i = 0; i < PARAMS; i++)
        params[i] = wr_buf_str(&series->params[i]);
    wr_buf_init(&text, 0);
    enum wr_result result = wr_postgres_put_sql(&text, statement, connection->options->schema);
    result = result == WR_OK ? wr_postgres_exec(connection, wr_buf_str(&text), params, n, ret_result, err)
                             : wr_error_set(err, WR_NO_MEMORY, "no memory for a statement");
    wr_buf_fini(&text);
    return result;
}

static enum wr_result ask_ids(struct wr_postgres_series *series, struct wr_postgres_connection *connection, const uint32_t *asked, size_t n,
                              struct wr_error *err) {
    PGresult *ids = NULL;
    WR_TRY(run(series, connection, insert, PARAMS, NULL, err));
    WR_TRY(run(series, connection, ask, 1, &ids, err));
    enum wr_result result = WR_OK;
    for (size_t i = 0; i < n; i++) {
        const long id = (int)i < PQntuples(ids) ? strtol(PQgetvalue(ids, (int)i, 0), NULL, 10) : 0;
        series->ids[asked[i]] = (int32_t)id;
        if (id <= 0)
            result = wr_error_set(err, WR_IO, "PostgreSQL: a series that was made is not there");
    }
    PQclear(ids);
    return result;
}

enum wr_result wr_postgres_series_resolve(struct wr_postgres_series *series, struct wr_postgres_connection *connection,
                                          const struct wr_postgres_row *rows, size_t n, struct wr_error *err) {
    struct wr_buf asked;
    wr_buf_init(&asked, 0);
    enum wr_result result = gather(series, rows, n, &asked);
    const uint32_t *numbers = (const uint32_t *)(const void *)asked.data;
    const size_t n_asked = asked.len / sizeof *numbers;
    if (result != WR_OK)
        result = wr_error_set(err, WR_NO_MEMORY, "no memory for the names of %zu series", n_asked);
    else if (n_asked > 0)
        result = ask_ids(series, connection, numbers, n_asked, err);
    for (size_t i = 0; i < n_asked; i++)
        if (series->ids[numbers[i]] < 0)
            series->ids[numbers[i]] = 0;
    wr_buf_fini(&asked);
    return result;
}
