#include "agent/http/http_chunks.h"

#include "core/scan.h"

/* The states are in the order in which they come; DATA_CR goes back to SIZE, and the chunk of length 0 on to the trailers. */
enum state { SIZE, SIZE_BLANK, EXTENSION, SIZE_LF, DATA, DATA_CR, DATA_LF, TRAILER, TRAILER_LINE, TRAILER_LF, END_LF, ENDED };

/* A byte of the line with the size. False: refused. */
static bool take_size(struct wr_http_chunks *chunks, char c) {
    const int digit = wr_scan_hex_digit(c);
    if (digit >= 0) {
        chunks->left = chunks->left << 4 | (uint64_t)digit;
        return ++chunks->digits <= 15;
    }
    if (chunks->digits == 0)
        return false;
    if (c == '\r')
        chunks->state = SIZE_LF;
    else if (c == ';')
        chunks->state = EXTENSION;
    else if (c == ' ' || c == '\t')
        chunks->state = SIZE_BLANK;
    else
        return false;
    return true;
}

/* Behind the size and blanks: an extension or the end, never a second number that somebody else might take for the size. */
static bool take_blank(struct wr_http_chunks *chunks, char c) {
    if (c == ' ' || c == '\t')
        return ++chunks->line_len <= WR_HTTP_CHUNKS_LINE;
    chunks->state = c == ';' ? EXTENSION : SIZE_LF;
    return c == ';' || c == '\r';
}

static bool take_line_feed(struct wr_http_chunks *chunks, char c, enum state next) {
    chunks->state = (uint8_t)next;
    return c == '\n';
}

/* A byte of a line whose words do not matter. */
static bool skip(struct wr_http_chunks *chunks, char c, enum state at_end) {
    if (c == '\r') {
        chunks->state = (uint8_t)at_end;
        return true;
    }
    return c != '\n' && c != '\0' && ++chunks->line_len <= WR_HTTP_CHUNKS_LINE;
}

static bool take_trailer(struct wr_http_chunks *chunks, char c) {
    chunks->line_len = 0;
    if (c == '\r') {
        chunks->state = END_LF;
        return true;
    }
    chunks->state = TRAILER_LINE;
    return c != '\n' && c != '\0' && ++chunks->trailers <= WR_HTTP_CHUNKS_TRAILERS;
}

/* One byte outside of data. */
static bool take(struct wr_http_chunks *chunks, char c) {
    switch ((enum state)chunks->state) {
    case SIZE:
        return take_size(chunks, c);
    case SIZE_BLANK:
        return take_blank(chunks, c);
    case EXTENSION:
        return skip(chunks, c, SIZE_LF);
    case SIZE_LF:
        return take_line_feed(chunks, c, chunks->left > 0 ? DATA : TRAILER);
    case DATA_CR:
        chunks->state = DATA_LF;
        return c == '\r';
    case DATA_LF:
        chunks->digits = 0;
        chunks->line_len = 0;
        return take_line_feed(chunks, c, SIZE);
    case TRAILER:
        return take_trailer(chunks, c);
    case TRAILER_LINE:
        return skip(chunks, c, TRAILER_LF);
    case TRAILER_LF:
        return take_line_feed(chunks, c, TRAILER);
    case END_LF:
        return take_line_feed(chunks, c, ENDED);
    case DATA:
    case ENDED:
        break;
    }
    return false;
}

enum wr_http_chunk wr_http_chunks_next(struct wr_http_chunks *chunks, const char **at, const char *end, struct wr_word *ret_data) {
    while (chunks->state != ENDED) {
        if (*at == end)
            return WR_HTTP_CHUNK_MORE;
        if (chunks->state == DATA) {
            const uint64_t there = (uint64_t)(end - *at);
            const size_t n = (size_t)(there < chunks->left ? there : chunks->left);
            *ret_data = (struct wr_word){*at, n};
            *at += n;
            chunks->left -= n;
            if (chunks->left == 0)
                chunks->state = DATA_CR;
            return WR_HTTP_CHUNK_DATA;
        }
        if (!take(chunks, *(*at)++))
            return WR_HTTP_CHUNK_BAD;
    }
    return WR_HTTP_CHUNK_END;
}
