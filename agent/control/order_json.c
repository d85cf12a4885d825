#include "agent/control/order_json.h"

#include <string.h>

#include "agent/codec/json_scan.h"

#define TEXT_BYTES WR_ORDER_ALARM_BYTES /* the longest of them */

enum member { ALARM, BY, WHY, KEY, FOR, UNTIL, VERB, MEMBERS };

static const struct {
    const char *name;
    size_t bytes; /* with the NUL */
} members[MEMBERS] = {
    [ALARM] = {"alarm", WR_ORDER_ALARM_BYTES},
    [BY] = {"by", WR_ORDER_BY_BYTES},
    [WHY] = {"why", WR_ALARM_WHY_BYTES},
    [KEY] = {"key", WR_COMMAND_KEY_BYTES},
    [FOR] = {"for", 32},
    [UNTIL] = {"until", 64},
    [VERB] = {"verb", 16},
};

/* verb: whether it may be one of them. */
static enum wr_result find_member(struct wr_word quoted, bool verb, enum member *ret_member, struct wr_error *err) {
    const struct wr_word name = {quoted.text + 1, quoted.len - 2};
    for (int i = 0; i < (verb ? MEMBERS : VERB); i++)
        if (strlen(members[i].name) == name.len && memcmp(members[i].name, name.text, name.len) == 0) {
            *ret_member = (enum member)i;
            return WR_OK;
        }
    return wr_error_set(err, WR_INVALID, "'%.*s' is none of %salarm, by, why, for, until, key", name.len < 40 ? (int)name.len : 40,
                        name.text, verb ? "verb, " : "");
}

enum wr_result wr_order_json_text(struct wr_word value, const char *name, char *text, size_t size, struct wr_error *err) {
    char resolved[6 * TEXT_BYTES]; /* an escape is up to six times as long as what it stands for */
    size_t len = 0;
    if (value.text[0] != '"')
        return wr_error_set(err, WR_INVALID, "%s takes a text in quotes", name);
    if (value.len - 2 <= sizeof resolved && wr_json_unescape(value.text + 1, value.len - 2, resolved, &len) != NULL)
        return wr_error_set(err, WR_INVALID, "%s has half of a surrogate pair in it", name);
    if (value.len - 2 > sizeof resolved || len >= size)
        return wr_error_set(err, WR_INVALID, "%s is longer than %zu bytes", name, size - 1);
    if (!wr_order_is_plain(resolved, len))
        return wr_error_set(err, WR_INVALID, "%s takes plain UTF-8 text, without control characters", name);
    memcpy(text, resolved, len);
    text[len] = '\0';
    return WR_OK;
}

static enum wr_result take_verb(struct wr_order *order, const char *text, struct wr_error *err) {
    order->verb = wr_order_verb_of(text);
    return order->verb ? WR_OK : wr_error_set(err, WR_INVALID, "verb takes ack, reset, shelve, unshelve, oos or return");
}

static enum wr_result take(struct wr_order *order, enum member member, const char *text, struct wr_error *err) {
    char *const into[MEMBERS] = {[ALARM] = order->alarm, [BY] = order->by_whom, [WHY] = order->why, [KEY] = order->key};
    if (into[member]) {
        memcpy(into[member], text, strlen(text) + 1);
        return WR_OK;
    }
    if (member == VERB)
        return take_verb(order, text, err);
    if (member == FOR)
        return wr_order_take_for(order, text) ? WR_OK : wr_error_set(err, WR_INVALID, "for takes a duration, as 90m or 2h");
    const enum wr_result result = wr_order_take_until(order, text);
    return result == WR_OK ? WR_OK
                           : wr_error_set(err, result, result == WR_INVALID ? "until takes a time, as 2026-03-02T16:00:00Z" : "no memory");
}

static enum wr_result check(const struct wr_order *order, struct wr_error *err) {
    static const char *const flaws[] = {
        [WR_ORDER_WITHOUT_ALARM] = "which alarm? \"alarm\": RULE, or RULE{room=A1}",
        [WR_ORDER_SHELVES_WITHOUT] = "to shelve needs why, and for (2h) or until (a time)",
        [WR_ORDER_OOS_WITHOUT] = "oos needs why with a reference: a work order, a permit",
        [WR_ORDER_TIMED] = "for and until go with shelve",
        [WR_ORDER_TWICE_TIMED] = "for and until exclude each other",
    };
    if (!order->verb)
        return wr_error_set(err, WR_INVALID, "which command? \"verb\": ack, reset, shelve, unshelve, oos or return");
    const enum wr_order_flaw flaw = wr_order_flaw(order);
    if (flaw != WR_ORDER_FINE)
        return wr_error_set(err, WR_INVALID, "%s", flaws[flaw]);
    return order->by_whom[0] ? WR_OK : wr_error_set(err, WR_INVALID, "who says it? \"by\": a name");
}

/* Bytes behind the start, counted from 1. */
static enum wr_result bad(const struct wr_json_scan *scan, struct wr_error *err) {
    return wr_error_set(err, WR_INVALID, "this is no JSON object of a command: byte %zu: %s", (size_t)(scan->p - scan->start) + 1,
                        scan->error ? scan->error : "it is cut off");
}

enum wr_result wr_order_from_json(struct wr_order *order, const char *text, size_t len, struct wr_error *err) {
    const char *begin = wr_json_skip_space(text, text + len);
    struct wr_json_scan scan = wr_json_scan_begin(begin, text + len, true);
    struct wr_word whole, name, value;
    const bool verb = order->verb == NULL;
    unsigned seen = 0;
    if (wr_json_scan_check(&scan, &whole) != WR_JSON_FOUND)
        return bad(&scan, err);
    if (whole.text[0] != '{')
        return wr_error_set(err, WR_INVALID, "a command is a JSON object: {\"alarm\": \"RULE\", \"by\": \"NAME\"}");
    if (wr_json_skip_space(whole.text + whole.len, text + len) != text + len)
        return wr_error_set(err, WR_INVALID, "something stands behind the object: one command at a time");
    scan = wr_json_scan_begin(whole.text, whole.text + whole.len, true);
    for (bool more = wr_json_scan_enter(&scan); more && wr_json_scan_member(&scan, &name);) {
        enum member member = ALARM; /* gcc does not see that it is set */
        char one[TEXT_BYTES];
        WR_TRY(find_member(name, verb, &member, err));
        if (seen & 1u << member)
            return wr_error_set(err, WR_INVALID, "%s stands there twice", members[member].name);
        seen |= 1u << member;
        if (!wr_json_scan_value(&scan, &value))
            return bad(&scan, err);
        WR_TRY(wr_order_json_text(value, members[member].name, one, members[member].bytes, err));
        WR_TRY(take(order, member, one, err));
    }
    return check(order, err);
}
