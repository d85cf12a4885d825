#include "agent/http/gunzip.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define WINDOW_GZIP (15 + 16) /* the largest window; a gzip header, and no other */

struct wr_gunzip {
    z_stream stream;
    bool complete; /* the last member has ended */
};

static voidpf allocate(voidpf user, uInt n, uInt bytes) {
    (void)user;
    return calloc(n, bytes);
}

static void release(voidpf user, voidpf memory) {
    (void)user;
    free(memory);
}

enum wr_result wr_gunzip_new(struct wr_gunzip **ret_gunzip) {
    struct wr_gunzip *gunzip = calloc(1, sizeof *gunzip);
    if (!gunzip)
        return WR_NO_MEMORY;
    gunzip->stream.zalloc = allocate;
    gunzip->stream.zfree = release;
    if (inflateInit2(&gunzip->stream, WINDOW_GZIP) != Z_OK) {
        free(gunzip);
        return WR_NO_MEMORY;
    }
    *ret_gunzip = gunzip;
    return WR_OK;
}

void wr_gunzip_free(struct wr_gunzip *gunzip) {
    if (!gunzip)
        return;
    (void)inflateEnd(&gunzip->stream);
    free(gunzip);
}

enum wr_result wr_gunzip_feed(struct wr_gunzip *gunzip, const char **bytes, const char *end, char *into, size_t room, size_t *ret_len) {
    z_stream *stream = &gunzip->stream;
    stream->next_in = (z_const Bytef *)*bytes;
    stream->avail_in = (uInt)(end - *bytes);
    stream->next_out = (Bytef *)into;
    stream->avail_out = (uInt)room;
    enum wr_result result = WR_OK;
    /* With the input used up there may be output left inside: a call more, until it makes no progress. */
    for (;;) {
        if (gunzip->complete) {
            if (stream->avail_in == 0)
                break;
            (void)inflateReset(stream);
            gunzip->complete = false;
        }
        if (stream->avail_out == 0) {
            result = WR_FULL;
            break;
        }
        const int code = inflate(stream, Z_NO_FLUSH);
        gunzip->complete = code == Z_STREAM_END;
        if (code == Z_BUF_ERROR)
            break;
        if (code != Z_OK && code != Z_STREAM_END) {
            result = code == Z_MEM_ERROR ? WR_NO_MEMORY : WR_INVALID;
            break;
        }
    }
    *bytes = (const char *)stream->next_in;
    *ret_len = room - stream->avail_out;
    return result;
}

bool wr_gunzip_is_complete(const struct wr_gunzip *gunzip) {
    return gunzip->complete;
}
