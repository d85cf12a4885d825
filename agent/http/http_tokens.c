#include "agent/http/http_tokens.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "agent/http/http_query.h"
#include "core/clock.h"
#include "core/log.h"

#define FILE_BYTES 32768

/* -- the file -------------------------------------------------------------------------------------------------------------------------- */

static enum wr_result add(struct wr_http_tokens *tokens, const char *path, const char *from, const char *to, unsigned line,
                          struct wr_error *err) {
    while (from < to && (*from == ' ' || *from == '\t'))
        from++;
    while (to > from && (to[-1] == ' ' || to[-1] == '\t' || to[-1] == '\r'))
        to--;
    if (from == to || *from == '#')
        return WR_OK;
    const size_t len = (size_t)(to - from);
    if (len >= WR_HTTP_TOKEN_BYTES)
        return wr_error_set(err, WR_LIMIT, "%s:%u: a token has at most %d bytes", path, line, WR_HTTP_TOKEN_BYTES - 1);
    if (tokens->n == WR_HTTP_TOKENS)
        return wr_error_set(err, WR_LIMIT, "%s:%u: more than %d tokens", path, line, WR_HTTP_TOKENS);
    for (const char *p = from; p < to; p++)
        if (*p <= ' ' || *p == 0x7f)
            return wr_error_set(err, WR_INVALID, "%s:%u: a token is one word of ASCII characters, one a line", path, line);
    struct wr_http_token *token = &tokens->list[tokens->n++];
    token->len = len;
    memcpy(token->text, from, len);
    return WR_OK;
}

static enum wr_result read_file(const char *path, char *text, size_t size, struct stat *ret_stat, size_t *ret_len, struct wr_error *err) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return wr_error_set(err, WR_IO, "%s: %s", path, strerror(errno));
    ssize_t n = -1;
    size_t len = 0;
    if (fstat(fd, ret_stat) == 0)
        while (len < size && (n = read(fd, text + len, size - len)) > 0)
            len += (size_t)n;
    const int because = errno;
    close(fd);
    if (n < 0)
        return wr_error_set(err, WR_IO, "%s: %s", path, strerror(because));
    if (len == size)
        return wr_error_set(err, WR_LIMIT, "%s: more than %d KB of tokens", path, FILE_BYTES / 1024);
    *ret_len = len;
    return WR_OK;
}

static enum wr_result read_tokens(struct wr_http_tokens *tokens, const char *path, char *text, struct wr_error *err) {
    size_t len = 0;
    WR_TRY(read_file(path, text, FILE_BYTES, &tokens->seen, &len, err));
    unsigned line = 0;
    for (const char *p = text; p < text + len;) {
        const char *newline = memchr(p, '\n', (size_t)(text + len - p));
        const char *end = newline ? newline : text + len;
        WR_TRY(add(tokens, path, p, end, ++line, err));
        p = end + 1;
    }
    return tokens->n > 0 ? WR_OK : wr_error_set(err, WR_INVALID, "%s: no token in it: write one a line", path);
}

enum wr_result wr_http_tokens_open(struct wr_http_tokens *tokens, const char *path, struct wr_error *err) {
    *tokens = (struct wr_http_tokens){.path = path};
    char *text = malloc(FILE_BYTES);
    tokens->list = calloc(WR_HTTP_TOKENS, sizeof *tokens->list);
    enum wr_result result = text && tokens->list ? WR_OK : wr_error_set(err, WR_NO_MEMORY, "%s: no memory to read it", path);
    if (result == WR_OK)
        result = read_tokens(tokens, path, text, err);
    if (text)
        explicit_bzero(text, FILE_BYTES);
    free(text);
    if (result != WR_OK)
        wr_http_tokens_close(tokens);
    return result;
}

void wr_http_tokens_close(struct wr_http_tokens *tokens) {
    if (tokens->list)
        explicit_bzero(tokens->list, WR_HTTP_TOKENS * sizeof *tokens->list);
    free(tokens->list);
    tokens->list = NULL;
    tokens->n = 0;
}

static bool same_file(const struct stat *a, const struct stat *b) {
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

void wr_http_tokens_refresh(struct wr_http_tokens *tokens, int64_t now_boot_ns) {
    if (now_boot_ns < tokens->look_again_boot_ns)
        return;
    tokens->look_again_boot_ns = now_boot_ns + WR_NS_PER_S;
    struct stat now = {0};
    if (stat(tokens->path, &now) < 0)
        memset(&now, 0, sizeof now); /* gone: said once, until something is there again */
    if (same_file(&now, &tokens->seen))
        return;
    struct wr_http_tokens again;
    struct wr_error err = {0};
    if (wr_http_tokens_open(&again, tokens->path, &err) != WR_OK) {
        tokens->seen = now;
        WR_LOG_WITH(WR_LOG_ERROR, "http", "the tokens cannot be read again; the ones known before stay", WR_LOG_ERR(&err));
        return;
    }
    again.look_again_boot_ns = tokens->look_again_boot_ns;
    wr_http_tokens_close(tokens);
    *tokens = again;
    WR_LOG_WITH(WR_LOG_INFO, "http", "tokens read again", WR_LOG_INT("tokens", tokens->n));
}

/* -- the request ----------------------------------------------------------------------------------------------------------------------- */

static bool matches(const struct wr_http_tokens *tokens, const char *secret, size_t len) {
    char padded[WR_HTTP_TOKEN_BYTES] = {0};
    if (len >= sizeof padded)
        return false;
    memcpy(padded, secret, len);
    bool found = false;
    for (unsigned i = 0; i < tokens->n; i++) {
        volatile unsigned char differs = (unsigned char)(len ^ tokens->list[i].len);
        for (size_t at = 0; at < sizeof padded; at++)
            differs = (unsigned char)(differs | (padded[at] ^ tokens->list[i].text[at]));
        found |= differs == 0;
    }
    explicit_bzero(padded, sizeof padded);
    return found;
}

/* The whole of it, or what stands behind its first colon. */
static bool is_secret(const struct wr_http_tokens *tokens, const char *text, size_t len) {
    const char *colon = memchr(text, ':', len);
    const bool whole = matches(tokens, text, len);
    const bool behind = colon && matches(tokens, colon + 1, (size_t)(text + len - colon - 1));
    return whole || behind;
}

static int base64_digit(char c) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* RFC 4648, 4. False: that is not base64, or longer than size. */
static bool base64(struct wr_word text, char *into, size_t size, size_t *ret_len) {
    uint32_t bits = 0;
    unsigned n_bits = 0;
    size_t len = 0;
    while (text.len > 0 && text.text[text.len - 1] == '=')
        text.len--;
    for (size_t i = 0; i < text.len; i++) {
        const int digit = base64_digit(text.text[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        n_bits += 6;
        if (n_bits < 8)
            continue;
        n_bits -= 8;
        if (len == size)
            return false;
        into[len++] = (char)(bits >> n_bits & 0xff);
    }
    *ret_len = len;
    return true;
}

/* The words behind "Scheme "; false: another scheme. */
static bool behind_scheme(struct wr_word header, const char *scheme, struct wr_word *ret_rest) {
    const size_t len = strlen(scheme);
    if (header.len <= len || strncasecmp(header.text, scheme, len) != 0 || header.text[len] != ' ')
        return false;
    *ret_rest = (struct wr_word){header.text + len, header.len - len};
    while (ret_rest->len > 0 && ret_rest->text[0] == ' ') {
        ret_rest->text++;
        ret_rest->len--;
    }
    return true;
}

bool wr_http_tokens_allow(const struct wr_http_tokens *tokens, const struct wr_http_head *head) {
    char secret[2 * WR_HTTP_TOKEN_BYTES];
    size_t len;
    struct wr_word rest;
    bool allowed = false;
    if (behind_scheme(head->authorization, "Token", &rest) || behind_scheme(head->authorization, "Bearer", &rest))
        allowed = is_secret(tokens, rest.text, rest.len);
    else if (behind_scheme(head->authorization, "Basic", &rest))
        allowed = base64(rest, secret, sizeof secret, &len) && is_secret(tokens, secret, len);
    else if (head->authorization.len == 0 && wr_http_query_find(head->query, "p", secret, sizeof secret) == WR_OK)
        allowed = matches(tokens, secret, strlen(secret));
    explicit_bzero(secret, sizeof secret);
    return allowed;
}
