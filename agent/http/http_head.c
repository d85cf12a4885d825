#include "agent/http/http_head.h"

#include <string.h>
#include <strings.h>

bool wr_http_word_is(struct wr_word word, const char *text) {
    return strlen(text) == word.len && strncasecmp(word.text, text, word.len) == 0;
}

static enum wr_http_found refuse(struct wr_http_head *head, int code, const char *message) {
    head->code = code;
    head->message = message;
    return WR_HTTP_REFUSED;
}

/* RFC 9110, 5.6.2 */
static bool is_token_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(struct wr_word word) {
    for (size_t i = 0; i < word.len; i++)
        if (!is_token_char(word.text[i]))
            return false;
    return word.len > 0;
}

/* Letters, spaces, tabs and bytes above ASCII: no control characters. */
static bool is_text(struct wr_word word) {
    for (size_t i = 0; i < word.len; i++)
        if (((unsigned char)word.text[i] < ' ' && word.text[i] != '\t') || word.text[i] == 0x7f)
            return false;
    return true;
}

static struct wr_word trim(const char *from, const char *to) {
    while (from < to && (*from == ' ' || *from == '\t'))
        from++;
    while (to > from && (to[-1] == ' ' || to[-1] == '\t'))
        to--;
    return (struct wr_word){from, (size_t)(to - from)};
}

/* The next word up to a comma; false at the end of the list. */
static bool next_item(struct wr_word *list, struct wr_word *ret_item) {
    if (list->len == 0)
        return false;
    const char *end = list->text + list->len;
    const char *comma = memchr(list->text, ',', list->len);
    *ret_item = trim(list->text, comma ? comma : end);
    list->text = comma ? comma + 1 : end;
    list->len = (size_t)(end - list->text);
    return true;
}

/* -- the request line ------------------------------------------------------------------------------------------------------------------ */

/* "/path?query", or the same behind "http://host" as a proxy writes it; "*" is a path that no page has. */
static bool split_target(struct wr_word target, struct wr_http_head *head) {
    for (size_t i = 0; i < target.len; i++)
        if ((unsigned char)target.text[i] <= ' ' || target.text[i] == 0x7f)
            return false;
    const char *end = target.text + target.len;
    const char *path = target.text;
    if (target.len > 7 && strncasecmp(path, "http://", 7) == 0) {
        path = memchr(path + 7, '/', target.len - 7);
        if (!path)
            return false;
    }
    if (path == end || (*path != '/' && !wr_http_word_is(target, "*")))
        return false;
    const char *mark = memchr(path, '?', (size_t)(end - path));
    head->path = (struct wr_word){path, (size_t)((mark ? mark : end) - path)};
    head->query = mark ? (struct wr_word){mark + 1, (size_t)(end - mark - 1)} : (struct wr_word){"", 0};
    return true;
}

static enum wr_http_found read_request_line(struct wr_word line, struct wr_http_head *head, bool *ret_is_1_1) {
    const char *end = line.text + line.len;
    const char *space = memchr(line.text, ' ', line.len);
    const char *last = space ? memchr(space + 1, ' ', (size_t)(end - space - 1)) : NULL;
    if (!last)
        return refuse(head, 400, "the request line is not METHOD TARGET HTTP/1.1");
    head->method = (struct wr_word){line.text, (size_t)(space - line.text)};
    const struct wr_word target = {space + 1, (size_t)(last - space - 1)};
    const struct wr_word version = {last + 1, (size_t)(end - last - 1)};
    if (version.len != 8 || strncmp(version.text, "HTTP/", 5) != 0 || version.text[6] != '.')
        return refuse(head, 400, "the request line is not METHOD TARGET HTTP/1.1");
    if (version.text[5] != '1' || (version.text[7] != '0' && version.text[7] != '1'))
        return refuse(head, 505, "only HTTP/1.0 and HTTP/1.1");
    if (!is_token(head->method) || !split_target(target, head))
        return refuse(head, 400, "the request line is not METHOD TARGET HTTP/1.1");
    *ret_is_1_1 = version.text[7] == '1';
    return WR_HTTP_FOUND;
}

/* -- headers --------------------------------------------------------------------------------------------------------------------------- */

struct seen {
    bool host;
    bool transfer_encoding;
};

static enum wr_http_found take_once(struct wr_http_head *head, struct wr_word *into, struct wr_word value, const char *message) {
    if (into->len > 0)
        return refuse(head, 400, message);
    *into = value;
    return WR_HTTP_FOUND;
}

static enum wr_http_found take_length(struct wr_http_head *head, struct wr_word value) {
    uint64_t length = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (value.text[i] < '0' || value.text[i] > '9')
            return refuse(head, 400, "Content-Length is not a number");
        if (i >= 18)
            return refuse(head, 413, "Content-Length is beyond all measure");
        length = length * 10 + (uint64_t)(value.text[i] - '0');
    }
    if (value.len == 0)
        return refuse(head, 400, "Content-Length is not a number");
    if (head->has_length && head->length != length)
        return refuse(head, 400, "two different Content-Lengths");
    head->has_length = true;
    head->length = length;
    return WR_HTTP_FOUND;
}

static enum wr_http_found take_header(struct wr_http_head *head, struct seen *seen, struct wr_word name, struct wr_word value) {
    if (wr_http_word_is(name, "content-length"))
        return take_length(head, value);
    if (wr_http_word_is(name, "transfer-encoding")) {
        if (seen->transfer_encoding || !wr_http_word_is(value, "chunked"))
            return refuse(head, 501, "the only Transfer-Encoding is chunked");
        seen->transfer_encoding = head->chunked = true;
    } else if (wr_http_word_is(name, "host")) {
        if (seen->host)
            return refuse(head, 400, "Host twice");
        seen->host = true;
    } else if (wr_http_word_is(name, "connection")) {
        struct wr_word item;
        while (next_item(&value, &item)) {
            if (wr_http_word_is(item, "close"))
                head->keep_alive = false;
            else if (wr_http_word_is(item, "keep-alive"))
                head->keep_alive = true;
        }
    } else if (wr_http_word_is(name, "expect")) {
        if (!wr_http_word_is(value, "100-continue"))
            return refuse(head, 417, "the only expectation that is known is 100-continue");
        head->expects_continue = true;
    } else if (wr_http_word_is(name, "content-type")) {
        return take_once(head, &head->content_type, value, "Content-Type twice");
    } else if (wr_http_word_is(name, "content-encoding")) {
        return take_once(head, &head->content_encoding, value, "Content-Encoding twice");
    } else if (wr_http_word_is(name, "authorization")) {
        return take_once(head, &head->authorization, value, "Authorization twice");
    }
    return WR_HTTP_FOUND;
}

static enum wr_http_found read_header(struct wr_word line, struct wr_http_head *head, struct seen *seen) {
    const char *end = line.text + line.len;
    const char *colon = memchr(line.text, ':', line.len);
    if (!colon)
        return refuse(head, 400, "a header without a colon");
    const struct wr_word name = {line.text, (size_t)(colon - line.text)};
    if (!is_token(name))
        return refuse(head, 400, "a header whose name is none, or that is folded");
    return take_header(head, seen, name, trim(colon + 1, end));
}

/* -- the whole ------------------------------------------------------------------------------------------------------------------------- */

/* The next line of a head that ends before `end`, without its CR LF. False: it does not end so. */
static bool next_line(const char **at, const char *end, struct wr_word *ret_line) {
    const char *newline = memchr(*at, '\n', (size_t)(end - *at));
    if (!newline || newline == *at || newline[-1] != '\r')
        return false;
    *ret_line = (struct wr_word){*at, (size_t)(newline - 1 - *at)};
    *at = newline + 1;
    return is_text(*ret_line);
}

static enum wr_http_found read_lines(const char *p, const char *end, struct wr_http_head *head) {
    struct wr_word line;
    struct seen seen = {0};
    bool is_1_1 = true;
    if (!next_line(&p, end, &line))
        return refuse(head, 400, "a line with control characters, or without CR LF at its end");
    enum wr_http_found found = read_request_line(line, head, &is_1_1);
    head->keep_alive = is_1_1;
    while (found == WR_HTTP_FOUND && p < end) {
        if (!next_line(&p, end, &line))
            return refuse(head, 400, "a line with control characters, or without CR LF at its end");
        found = read_header(line, head, &seen);
    }
    if (found != WR_HTTP_FOUND)
        return found;
    if (is_1_1 && !seen.host)
        return refuse(head, 400, "HTTP/1.1 without a Host header");
    if (head->chunked && (head->has_length || !is_1_1))
        return refuse(head, 400, "Transfer-Encoding beside a Content-Length, or in HTTP/1.0");
    head->expects_continue = head->expects_continue && is_1_1;
    return WR_HTTP_FOUND;
}

enum wr_http_found wr_http_head_read(const char *bytes, size_t len, struct wr_http_head *ret_head) {
    *ret_head = (struct wr_http_head){.query = {"", 0}};
    const char *p = bytes;
    const char *most = bytes + (len < WR_HTTP_HEAD_BYTES ? len : WR_HTTP_HEAD_BYTES);
    while (most - p >= 2 && p[0] == '\r' && p[1] == '\n') /* RFC 9112, 2.2: empty lines before a request */
        p += 2;
    if (p < most && *p != '\r' && !is_token_char(*p)) /* TLS, or garbage: not worth the wait */
        return refuse(ret_head, 400, "this is not HTTP");
    const char *blank = memmem(p, (size_t)(most - p), "\r\n\r\n", 4);
    if (!blank)
        return len < WR_HTTP_HEAD_BYTES ? WR_HTTP_INCOMPLETE : refuse(ret_head, 431, "the head of the request has more than 8 KB");
    ret_head->bytes = (size_t)(blank + 4 - bytes);
    return read_lines(p, blank + 2, ret_head);
}
