#include "agent/control/signed_order.h"

#include <string.h>

#include "agent/codec/json_scan.h"
#include "agent/control/order_json.h"
#include "core/json.h"
#include "core/quantity.h"

#define TIME_BYTES 64

enum member { NODE, SITE, KEY, ISSUED, EXPIRES, COMMAND, MEMBERS };

static const char *const names[MEMBERS] = {
    [NODE] = "node", [SITE] = "site", [KEY] = "key", [ISSUED] = "issued", [EXPIRES] = "expires", [COMMAND] = "command"};

static enum wr_result find_member(struct wr_word quoted, enum member *ret_member, struct wr_error *err) {
    const struct wr_word name = {quoted.text + 1, quoted.len - 2};
    for (int i = 0; i < MEMBERS; i++)
        if (strlen(names[i]) == name.len && memcmp(names[i], name.text, name.len) == 0) {
            *ret_member = (enum member)i;
            return WR_OK;
        }
    return wr_error_set(err, WR_INVALID, "'%.*s' is none of node, site, key, issued, expires, command", name.len < 40 ? (int)name.len : 40,
                        name.text);
}

static enum wr_result take_time(struct wr_word value, const char *name, int64_t *ret_wall_ns, struct wr_error *err) {
    char text[TIME_BYTES];
    WR_TRY(wr_order_json_text(value, name, text, sizeof text, err));
    const enum wr_result result = wr_order_read_time(text, ret_wall_ns);
    if (result == WR_NO_MEMORY)
        return wr_error_set(err, result, "no memory");
    return result == WR_OK ? WR_OK : wr_error_set(err, result, "%s takes a time, as 2026-03-02T16:00:00Z", name);
}

/* Each part of the order has its own place, so that neither the command's key nor its place in the object matters. */
static enum wr_result take_command(struct wr_order *order, struct wr_word value, struct wr_error *err) {
    char key[WR_COMMAND_KEY_BYTES];
    memcpy(key, order->key, sizeof key);
    order->key[0] = '\0';
    const enum wr_result result = wr_order_from_json(order, value.text, value.len, err);
    const bool twice = order->key[0] != '\0';
    memcpy(order->key, key, sizeof key);
    if (result != WR_OK)
        return wr_error_wrap(err, "command"), result;
    return twice ? wr_error_set(err, WR_INVALID, "the key stands beside the command, not in it") : WR_OK;
}

static enum wr_result take(struct wr_signed_order *into, enum member member, struct wr_word value, struct wr_error *err) {
    switch (member) {
    case NODE:
        return wr_order_json_text(value, "node", into->node, sizeof into->node, err);
    case SITE:
        return wr_order_json_text(value, "site", into->site, sizeof into->site, err);
    case KEY:
        return wr_order_json_text(value, "key", into->order.key, sizeof into->order.key, err);
    case ISSUED:
        return take_time(value, "issued", &into->issued_wall_ns, err);
    case EXPIRES:
        return take_time(value, "expires", &into->expires_wall_ns, err);
    default:
        return take_command(&into->order, value, err);
    }
}

static enum wr_result check(const struct wr_signed_order *read, unsigned seen, struct wr_error *err) {
    for (int i = 0; i < MEMBERS; i++)
        if (i != SITE && !(seen & 1u << i))
            return wr_error_set(err, WR_INVALID, "%s is missing", names[i]);
    if (read->order.key[0] == '\0')
        return wr_error_set(err, WR_INVALID, "the key is empty");
    if (read->expires_wall_ns <= read->issued_wall_ns)
        return wr_error_set(err, WR_INVALID, "expires is not behind issued");
    if (wr_clock_add_ns(read->issued_wall_ns, WR_SIGNED_ORDER_VALID_NS) < read->expires_wall_ns)
        return wr_error_set(err, WR_INVALID, "it is valid for more than an hour: the journal may forget its key before it expires");
    return WR_OK;
}

static enum wr_result bad(const struct wr_json_scan *scan, struct wr_error *err) {
    return wr_error_set(err, WR_INVALID, "this is no JSON object of a signed command: byte %zu: %s", (size_t)(scan->p - scan->start) + 1,
                        scan->error ? scan->error : "it is cut off");
}

enum wr_result wr_signed_order_read(struct wr_signed_order *signed_order, const char *text, size_t len, struct wr_error *err) {
    const char *begin = wr_json_skip_space(text, text + len);
    struct wr_json_scan scan = wr_json_scan_begin(begin, text + len, true);
    struct wr_word whole, name, value;
    unsigned seen = 0;
    if (wr_json_scan_check(&scan, &whole) != WR_JSON_FOUND)
        return bad(&scan, err);
    if (whole.text[0] != '{')
        return wr_error_set(err, WR_INVALID, "a signed command is a JSON object");
    if (wr_json_skip_space(whole.text + whole.len, text + len) != text + len)
        return wr_error_set(err, WR_INVALID, "something stands behind the object: one command at a time");
    scan = wr_json_scan_begin(whole.text, whole.text + whole.len, true);
    for (bool more = wr_json_scan_enter(&scan); more && wr_json_scan_member(&scan, &name);) {
        enum member member = NODE; /* gcc does not see that it is set */
        WR_TRY(find_member(name, &member, err));
        if (seen & 1u << member)
            return wr_error_set(err, WR_INVALID, "%s stands there twice", names[member]);
        seen |= 1u << member;
        if (!wr_json_scan_value(&scan, &value))
            return bad(&scan, err);
        WR_TRY(take(signed_order, member, value, err));
    }
    return check(signed_order, seen, err);
}

static void write_command(struct wr_json *json, const struct wr_order *order) {
    char text[64];
    wr_json_object(json, "command");
    wr_json_string(json, "verb", order->verb->name);
    wr_json_string(json, "alarm", order->alarm);
    wr_json_string(json, "by", order->by_whom);
    if (order->why[0])
        wr_json_string(json, "why", order->why);
    if (order->for_ns != 0)
        wr_json_string(json, "for", wr_quantity_format_duration(text, sizeof text, order->for_ns));
    if (order->until_wall_ns != 0)
        wr_json_string(json, "until", wr_clock_format(text, sizeof text, order->until_wall_ns));
    wr_json_object_end(json);
}

enum wr_result wr_signed_order_write(const struct wr_signed_order *signed_order, struct wr_buf *into) {
    struct wr_json json;
    char text[32];
    wr_json_begin(&json, into);
    wr_json_object(&json, NULL);
    wr_json_string(&json, "node", signed_order->node);
    if (signed_order->site[0])
        wr_json_string(&json, "site", signed_order->site);
    wr_json_string(&json, "key", signed_order->order.key);
    wr_json_string(&json, "issued", wr_clock_format(text, sizeof text, signed_order->issued_wall_ns));
    wr_json_string(&json, "expires", wr_clock_format(text, sizeof text, signed_order->expires_wall_ns));
    write_command(&json, &signed_order->order);
    wr_json_object_end(&json);
    return wr_json_end(&json);
}

static enum wr_signed_order_flaw flaw(enum wr_signed_order_flaw which, struct wr_error *err, enum wr_result code, const char *why) {
    (void)wr_error_set(err, code, "%s", why);
    return which;
}

enum wr_signed_order_flaw wr_signed_order_flaw(const struct wr_signed_order *signed_order, const char *node, const char *site,
                                               const struct wr_now *now, struct wr_error *err) {
    const char *our_site = strcmp(site, "-") == 0 ? "" : site;
    const char *its_site = strcmp(signed_order->site, "-") == 0 ? "" : signed_order->site;
    if (strcmp(signed_order->node, node) != 0)
        return flaw(WR_SIGNED_ORDER_ELSEWHERE, err, WR_DENIED, "it is for another node");
    if (strcmp(its_site, our_site) != 0)
        return flaw(WR_SIGNED_ORDER_ELSEWHERE, err, WR_DENIED,
                    its_site[0] ? "it is for another site" : "it names no site, and this node has one");
    if (!now->wall_trusted)
        return flaw(WR_SIGNED_ORDER_CLOCK, err, WR_BUSY, "the clock of this node is not set yet: nobody knows whether it has expired");
    if (wr_clock_add_ns(now->wall_ns, WR_SIGNED_ORDER_AHEAD_NS) < signed_order->issued_wall_ns)
        return flaw(WR_SIGNED_ORDER_AHEAD, err, WR_DENIED,
                    "it was issued in the future: the clock of the sender, or of this node, is wrong");
    if (now->wall_ns >= signed_order->expires_wall_ns)
        return flaw(WR_SIGNED_ORDER_EXPIRED, err, WR_DENIED, "it has expired");
    return WR_SIGNED_ORDER_FINE;
}
