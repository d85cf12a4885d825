/* Alarms, gaps and states as line protocol. In names `,`, `=` and blanks get a backslash, in texts `"` and `\`; what cannot stand there at all, a newline, becomes a blank. */
#include <inttypes.h>
#include <string.h>

#include "agent/receive/ledger.h"
#include "agent/receive/members.h"
#include "agent/receive/render_private.h"

static enum wr_result put_name(struct wr_buf *into, const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        const char c = text[i] == '\n' || text[i] == '\r' ? ' ' : text[i];
        if (strchr(",= \\", c) || (i == 0 && c == '#'))
            WR_TRY(wr_buf_append(into, "\\", 1));
        WR_TRY(wr_buf_append(into, &c, 1));
    }
    return WR_OK;
}

static enum wr_result put_string(struct wr_buf *into, const char *text, size_t len) {
    WR_TRY(wr_buf_append(into, "\"", 1));
    for (size_t i = 0; i < len; i++) {
        const char c = text[i] == '\n' || text[i] == '\r' ? ' ' : text[i];
        if (c == '"' || c == '\\')
            WR_TRY(wr_buf_append(into, "\\", 1));
        WR_TRY(wr_buf_append(into, &c, 1));
    }
    return wr_buf_append(into, "\"", 1);
}

/* A member as a tag or field, if it is there and not empty. */
static enum wr_result put_member(struct wr_buf *into, const char *json, size_t len, const char *name, bool tag, const char *before,
                                 bool *ret_put) {
    struct wr_word value;
    struct wr_buf text;
    if (!wr_members_find(json, len, name, &value))
        return WR_OK;
    wr_buf_init(&text, 0);
    enum wr_result result = wr_members_text(&text, value);
    if (result == WR_OK && text.len > 0) {
        result = wr_buf_printf(into, "%s%s=", before, name);
        if (result == WR_OK)
            result = tag                    ? put_name(into, wr_buf_str(&text), text.len)
                     : value.text[0] == '"' ? put_string(into, wr_buf_str(&text), text.len)
                                            : wr_buf_append(into, value.text, value.len);
        *ret_put = true;
    }
    wr_buf_fini(&text);
    return result;
}

struct ledger_line {
    struct wr_buf *into;
    const struct wr_message_origin *origin;
    int64_t time_ns;
};

static enum wr_result put_account(void *user, const struct wr_account *account, const uint64_t *books) {
    const struct ledger_line *line = user;
    const char *before = " ";
    WR_TRY(wr_buf_printf(line->into, "weir_ledger,site=%s,node=%s,source=", line->origin->site, line->origin->key.node));
    WR_TRY(put_name(line->into, account->source, strlen(account->source)));
    WR_TRY(wr_buf_text(line->into, ",window="));
    WR_TRY(put_name(line->into, account->window, strlen(account->window)));
    for (unsigned book = 0; book < WR_BOOKS; book++) {
        if (books[book] == 0)
            continue;
        WR_TRY(wr_buf_printf(line->into, "%s%s=%" PRIu64 "i", before, wr_book_name((enum wr_book)book), books[book]));
        before = ",";
    }
    return wr_buf_printf(line->into, "%s %" PRId64 "\n", before[0] == ' ' ? " taken=0i" : "", line->time_ns);
}

enum wr_result wr_render_line_text(struct wr_buf *into, const struct wr_message_origin *origin, const char *json, size_t len) {
    static const char *const tags[] = {"rule", "instance", NULL};
    static const char *const fields[] = {"severity", "cause", "from", "to", "state", "reason", "value", "limit", "message", NULL};
    struct wr_receive_ledger ledger;
    struct ledger_line line = {into, origin, wr_members_int(json, len, "time_ns", origin->arrival_ns)};
    struct wr_error ignored;
    const enum wr_result told =
        origin->kind == WR_MESSAGE_GAP ? wr_receive_ledger_read(json, len, put_account, &line, &ledger, &ignored) : WR_NOT_FOUND;
    if (told != WR_NOT_FOUND)
        return told;
    bool put = false;
    WR_TRY(wr_buf_printf(into, "weir_%s,site=%s,node=%s", wr_message_kind_name(origin->kind), origin->site, origin->key.node));
    for (const char *const *tag = tags; *tag; tag++)
        WR_TRY(put_member(into, json, len, *tag, true, ",", &put));
    if (origin->time_quality == WR_TIME_UNTRUSTED)
        WR_TRY(wr_buf_text(into, ",time_quality=untrusted"));
    put = false;
    for (const char *const *field = fields; *field; field++)
        WR_TRY(put_member(into, json, len, *field, false, put ? "," : " ", &put));
    if (!put)
        return WR_INVALID;
    const int64_t otherwise = origin->kind == WR_MESSAGE_GAP && origin->t0_ns != 0 ? origin->t0_ns : origin->arrival_ns;
    return wr_buf_printf(into, " %" PRId64 "\n", wr_members_int(json, len, "time_ns", otherwise));
}
