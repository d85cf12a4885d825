#include "agent/http/http_body.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES 16384
#define DIRECT_BYTES 65536 /* as much as one read should bring */

enum wr_result wr_http_body_begin(struct wr_http_body *body, struct wr_http_budget *budget, const struct wr_http_head *head, bool gzip,
                                  size_t max_bytes) {
    wr_http_body_pass_over(body, head);
    body->discarding = false;
    body->max_bytes = max_bytes;
    body->budget = budget;
    if (!gzip)
        return WR_OK;
    if (budget->used + WR_GUNZIP_BYTES > budget->max)
        return WR_FULL;
    WR_TRY(wr_gunzip_new(&body->gunzip));
    budget->used += WR_GUNZIP_BYTES;
    return WR_OK;
}

void wr_http_body_pass_over(struct wr_http_body *body, const struct wr_http_head *head) {
    *body = (struct wr_http_body){.chunked = head->chunked, .claim = head->length, .left = head->length, .discarding = true};
}

static void end_gunzip(struct wr_http_body *body) {
    if (!body->gunzip)
        return;
    wr_gunzip_free(body->gunzip);
    body->gunzip = NULL;
    body->budget->used -= WR_GUNZIP_BYTES;
}

void wr_http_body_fini(struct wr_http_body *body) {
    end_gunzip(body);
    if (body->budget)
        body->budget->used -= body->size;
    free(body->data);
    *body = (struct wr_http_body){.budget = NULL};
}

/* Room for one byte more, at least. */
static enum wr_result grow(struct wr_http_body *body) {
    if (body->len < body->size)
        return WR_OK;
    if (body->size >= body->max_bytes)
        return WR_LIMIT;
    size_t size = body->size ? body->size * 2 : FIRST_BYTES;
    if (!body->gunzip && !body->chunked && size > body->claim)
        size = (size_t)body->claim;
    if (size > body->max_bytes)
        size = body->max_bytes;
    if (body->budget->used + (size - body->size) > body->budget->max)
        return WR_FULL;
    char *data = realloc(body->data, size);
    if (!data)
        return WR_NO_MEMORY;
    body->budget->used += size - body->size;
    body->data = data;
    body->size = size;
    return WR_OK;
}

/* Unpacks all of it. One byte of room beyond the limit's last tells a body that just fits from one that does not. */
static enum wr_result unpack(struct wr_http_body *body, const char *bytes, size_t len) {
    const char *end = bytes + len;
    for (;;) {
        size_t wrote;
        char past_limit;
        const bool full = body->len == body->size;
        enum wr_result room = full ? grow(body) : WR_OK;
        if (room != WR_OK && room != WR_LIMIT)
            return room;
        char *into = room == WR_LIMIT ? &past_limit : body->data + body->len;
        enum wr_result result = wr_gunzip_feed(body->gunzip, &bytes, end, into, room == WR_LIMIT ? 1 : body->size - body->len, &wrote);
        if (result == WR_INVALID || result == WR_NO_MEMORY)
            return result;
        if (room == WR_LIMIT && wrote > 0)
            return WR_LIMIT;
        body->len += wrote;
        if (result == WR_OK)
            return WR_OK;
    }
}

static enum wr_result keep(struct wr_http_body *body, const char *bytes, size_t len) {
    if (body->discarding)
        return WR_OK;
    if (body->gunzip)
        return unpack(body, bytes, len);
    while (len > 0) {
        WR_TRY(grow(body));
        const size_t n = len < body->size - body->len ? len : body->size - body->len;
        memcpy(body->data + body->len, bytes, n);
        body->len += n;
        bytes += n;
        len -= n;
    }
    return WR_OK;
}

static enum wr_result complete(struct wr_http_body *body) {
    const bool cut = body->gunzip && !wr_gunzip_is_complete(body->gunzip);
    end_gunzip(body);
    return cut ? WR_INVALID : WR_OK;
}

static enum wr_result feed_chunks(struct wr_http_body *body, const char *bytes, size_t len, size_t *ret_consumed) {
    const char *p = bytes;
    for (;;) {
        struct wr_word data;
        switch (wr_http_chunks_next(&body->chunks, &p, bytes + len, &data)) {
        case WR_HTTP_CHUNK_DATA:
            WR_TRY(keep(body, data.text, data.len));
            break;
        case WR_HTTP_CHUNK_MORE:
            *ret_consumed = len;
            return WR_EMPTY;
        case WR_HTTP_CHUNK_END:
            *ret_consumed = (size_t)(p - bytes);
            return complete(body);
        default:
            return WR_INVALID;
        }
    }
}

enum wr_result wr_http_body_feed(struct wr_http_body *body, const char *bytes, size_t len, size_t *ret_consumed) {
    *ret_consumed = 0;
    if (body->chunked)
        return feed_chunks(body, bytes, len, ret_consumed);
    const size_t n = body->left < len ? (size_t)body->left : len;
    WR_TRY(keep(body, bytes, n));
    body->left -= n;
    *ret_consumed = n;
    return body->left == 0 ? complete(body) : WR_EMPTY;
}

char *wr_http_body_room(struct wr_http_body *body, size_t *ret_room) {
    if (body->chunked || body->gunzip || body->discarding || body->left == 0 || grow(body) != WR_OK)
        return NULL;
    size_t room = body->size - body->len;
    if (room > body->left)
        room = (size_t)body->left;
    *ret_room = room < DIRECT_BYTES ? room : DIRECT_BYTES;
    return body->data + body->len;
}

enum wr_result wr_http_body_filled(struct wr_http_body *body, size_t n) {
    body->len += n;
    body->left -= n;
    return body->left == 0 ? WR_OK : WR_EMPTY;
}
