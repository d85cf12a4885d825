#include "agent/receive/members.h"

#include <math.h>
#include <string.h>

#include "agent/codec/json_scan.h"
#include "agent/codec/number.h"
#include "core/utf8.h"

#define REPLACEMENT "\xEF\xBF\xBD"

bool wr_members_find(const char *object, size_t len, const char *name, struct wr_word *ret_value) {
    const size_t name_len = strlen(name);
    struct wr_json_scan scan = wr_json_scan_begin(object, object + len, true);
    struct wr_word member;
    struct wr_word value;
    if (!wr_json_scan_enter(&scan))
        return false;
    while (wr_json_scan_member(&scan, &member) && wr_json_scan_value(&scan, &value))
        if (member.len == name_len + 2 && memcmp(member.text + 1, name, name_len) == 0) {
            *ret_value = value;
            return value.text[0] != 'n';
        }
    return false;
}

enum wr_result wr_members_utf8(struct wr_buf *into, const char *text, size_t len) {
    for (size_t at = 0; at < len;) {
        size_t good = 0;
        size_t unit;
        while (at + good < len && text[at + good] != '\0' && (unit = wr_utf8_length(text + at + good, len - at - good)) > 0)
            good += unit;
        WR_TRY(wr_buf_append(into, text + at, good));
        at += good;
        if (at < len) {
            WR_TRY(wr_buf_text(into, REPLACEMENT));
            at++;
        }
    }
    return WR_OK;
}

enum wr_result wr_members_text(struct wr_buf *into, struct wr_word value) {
    if (value.text[0] != '"')
        return wr_buf_append(into, value.text, value.len);
    const char *inside = value.text + 1;
    const char *end = value.text + value.len - 1;
    while (inside < end) {
        struct wr_buf resolved;
        size_t len = 0;
        wr_buf_init(&resolved, 0);
        WR_TRY(wr_buf_reserve(&resolved, (size_t)(end - inside) + 1));
        const char *half = wr_json_unescape(inside, (size_t)(end - inside), (char *)resolved.data, &len);
        if (half && half > inside) /* what stands before it is good */
            (void)wr_json_unescape(inside, (size_t)(half - inside), (char *)resolved.data, &len);
        else if (half)
            len = 0;
        enum wr_result result = wr_members_utf8(into, (const char *)resolved.data, len);
        if (result == WR_OK && half)
            result = wr_buf_text(into, REPLACEMENT);
        wr_buf_fini(&resolved);
        if (result != WR_OK)
            return result;
        inside = half ? half + 6 : end; /* \uD800 */
    }
    return WR_OK;
}

int64_t wr_members_int(const char *object, size_t len, const char *name, int64_t otherwise) {
    struct wr_word value;
    int64_t number;
    return wr_members_find(object, len, name, &value) && wr_number_int64(value.text, value.text + value.len, &number) ? number : otherwise;
}

bool wr_members_number(const char *object, size_t len, const char *name, double *ret_value) {
    struct wr_word value;
    struct wr_number number;
    if (!wr_members_find(object, len, name, &value) ||
        wr_number_read(value.text, value.text + value.len, &number) != value.text + value.len || !isfinite(number.value))
        return false;
    *ret_value = number.value;
    return true;
}
