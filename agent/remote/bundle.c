#include "agent/remote/bundle.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "agent/codec/json_scan.h"
#include "agent/control/order_json.h"
#include "agent/control/signed_order.h"
#include "core/fingerprint.h"
#include "core/json.h"

#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

enum member { VERSION, KEY, NODES, SITE, PERCENT, SHADOW, ISSUED, EXPIRES, FILES, MEMBERS };

static const char *const names[MEMBERS] = {
    [VERSION] = "bundle", [KEY] = "key",         [NODES] = "nodes", [SITE] = "site",    [PERCENT] = "percent",
    [ISSUED] = "issued",  [EXPIRES] = "expires", [FILES] = "files", [SHADOW] = "shadow"};

/* -- made by hand ------------------------------------------------------------------------------------------------------------------------- */

struct wr_bundle *wr_bundle_new(void) {
    struct wr_bundle *bundle = calloc(1, sizeof *bundle);
    if (!bundle)
        return NULL;
    bundle->percent = 100;
    wr_buf_init(&bundle->texts, 0);
    return bundle;
}

void wr_bundle_free(struct wr_bundle *bundle) {
    if (!bundle)
        return;
    wr_buf_fini(&bundle->texts);
    free(bundle);
}

static bool is_file_name(const char *name) {
    const size_t len = strlen(name);
    const char *end = len > 5 && strcmp(name + len - 5, ".yaml") == 0 ? name + len - 5 : len > 4 ? name + len - 4 : name;
    return len < WR_BUNDLE_NAME_BYTES && name[0] != '.' && strspn(name, NAME_CHARACTERS ".") == len &&
           (strcmp(end, ".yaml") == 0 || strcmp(end, ".csv") == 0);
}

enum wr_result wr_bundle_add_file(struct wr_bundle *bundle, const char *name, const void *text, size_t len, struct wr_error *err) {
    if (!is_file_name(name) && strcmp(name, WR_BUNDLE_CONFIG) != 0)
        return wr_error_set(err, WR_INVALID,
                            "'%.80s' is no name of a file in a bundle: letters, digits, _ - and dots, .yaml or .csv at its end", name);
    for (unsigned i = 0; i < bundle->n_files; i++)
        if (strcmp(bundle->files[i].name, name) == 0)
            return wr_error_set(err, WR_EXISTS, "the file %s is there twice", name);
    if (bundle->n_files == WR_BUNDLE_FILES)
        return wr_error_set(err, WR_LIMIT, "more than %d files", WR_BUNDLE_FILES);
    struct wr_bundle_file *file = &bundle->files[bundle->n_files];
    file->at = bundle->texts.len;
    file->len = len;
    if (wr_buf_append(&bundle->texts, text, len) != WR_OK)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a bundle");
    memcpy(file->name, name, strlen(name) + 1);
    bundle->n_files++;
    return WR_OK;
}

enum wr_result wr_bundle_add_node(struct wr_bundle *bundle, const char *pattern, struct wr_error *err) {
    const size_t len = strlen(pattern);
    if (len == 0 || len >= WR_BUNDLE_NAME_BYTES || strspn(pattern, NAME_CHARACTERS ".*") != len)
        return wr_error_set(err, WR_INVALID, "'%.80s' is no node's name, in which * may stand for anything", pattern);
    if (bundle->n_nodes == WR_BUNDLE_NODES)
        return wr_error_set(err, WR_LIMIT, "more than %d names of nodes", WR_BUNDLE_NODES);
    memcpy(bundle->nodes[bundle->n_nodes++], pattern, len + 1);
    return WR_OK;
}

/* -- read --------------------------------------------------------------------------------------------------------------------------------- */

static bool is(struct wr_word quoted, const char *name) {
    return strlen(name) == quoted.len - 2 && memcmp(name, quoted.text + 1, quoted.len - 2) == 0;
}

static enum wr_result take_number(struct wr_word value, const char *name, uint64_t min, uint64_t max, uint64_t *ret_number,
                                  struct wr_error *err) {
    uint64_t number = 0;
    bool digits = value.len <= 15;
    for (size_t i = 0; i < value.len && digits; i++) {
        digits = value.text[i] >= '0' && value.text[i] <= '9';
        number = number * 10 + (uint64_t)(value.text[i] - '0');
    }
    if (!digits || number < min || number > max)
        return wr_error_set(err, WR_INVALID, "%s takes a whole number from %llu to %llu", name, (unsigned long long)min,
                            (unsigned long long)max);
    *ret_number = number;
    return WR_OK;
}

static enum wr_result take_bool(struct wr_word value, const char *name, bool *ret_is, struct wr_error *err) {
    const bool is = value.len == 4 && memcmp(value.text, "true", 4) == 0;
    if (!is && (value.len != 5 || memcmp(value.text, "false", 5) != 0))
        return wr_error_set(err, WR_INVALID, "%s takes true or false", name);
    *ret_is = is;
    return WR_OK;
}

static enum wr_result take_time(struct wr_word value, const char *name, int64_t *ret_wall_ns, struct wr_error *err) {
    char text[64];
    WR_TRY(wr_order_json_text(value, name, text, sizeof text, err));
    const enum wr_result result = wr_order_read_time(text, ret_wall_ns);
    return result == WR_OK          ? WR_OK
           : result == WR_NO_MEMORY ? wr_error_set(err, result, "no memory")
                                    : wr_error_set(err, result, "%s takes a time, as 2026-03-02T16:00:00Z", name);
}

static enum wr_result take_nodes(struct wr_bundle *bundle, struct wr_word list, struct wr_error *err) {
    struct wr_json_scan scan = wr_json_scan_begin(list.text, list.text + list.len, true);
    struct wr_word value;
    char pattern[WR_BUNDLE_NAME_BYTES];
    if (list.text[0] != '[')
        return wr_error_set(err, WR_INVALID, "nodes takes a list of names");
    for (bool more = wr_json_scan_enter(&scan); more && wr_json_scan_value(&scan, &value);) {
        WR_TRY(wr_order_json_text(value, "nodes", pattern, sizeof pattern, err));
        WR_TRY(wr_bundle_add_node(bundle, pattern, err));
    }
    return WR_OK;
}

/* Whatever stands in the file: the loader of rules is the judge. Only a NUL it could not see. */
static enum wr_result add_text(struct wr_bundle *bundle, const char *name, struct wr_word quoted, struct wr_error *err) {
    size_t len = 0;
    char *text = malloc(quoted.len);
    if (!text)
        return wr_error_set(err, WR_NO_MEMORY, "no memory for a bundle");
    enum wr_result result = WR_OK;
    if (wr_json_unescape(quoted.text + 1, quoted.len - 2, text, &len) != NULL || memchr(text, 0, len))
        result = wr_error_set(err, WR_INVALID, "%s: half of a surrogate pair, or a NUL", name);
    if (result == WR_OK)
        result = wr_bundle_add_file(bundle, name, text, len, err);
    free(text);
    return result;
}

static enum wr_result take_file(struct wr_bundle *bundle, struct wr_word object, struct wr_error *err) {
    struct wr_json_scan scan = wr_json_scan_begin(object.text, object.text + object.len, true);
    struct wr_word member, value, text = {0};
    char name[WR_BUNDLE_NAME_BYTES] = "";
    if (object.text[0] != '{')
        return wr_error_set(err, WR_INVALID, "files takes objects of name and text");
    for (bool more = wr_json_scan_enter(&scan); more && wr_json_scan_member(&scan, &member) && wr_json_scan_value(&scan, &value);) {
        if (is(member, "name") && !name[0])
            WR_TRY(wr_order_json_text(value, "name", name, sizeof name, err));
        else if (is(member, "text") && !text.text && value.text[0] == '"')
            text = value;
        else
            return wr_error_set(err, WR_INVALID, "a file has a name and a text in quotes, once each, and nothing else");
    }
    return text.text ? add_text(bundle, name, text, err) : wr_error_set(err, WR_INVALID, "a file without a text");
}

static enum wr_result take_files(struct wr_bundle *bundle, struct wr_word list, struct wr_error *err) {
    struct wr_json_scan scan = wr_json_scan_begin(list.text, list.text + list.len, true);
    struct wr_word value;
    if (list.text[0] != '[')
        return wr_error_set(err, WR_INVALID, "files takes a list");
    for (bool more = wr_json_scan_enter(&scan); more && wr_json_scan_value(&scan, &value);)
        WR_TRY(take_file(bundle, value, err));
    return WR_OK;
}

static enum wr_result take(struct wr_bundle *bundle, enum member member, struct wr_word value, struct wr_error *err) {
    uint64_t percent;
    switch (member) {
    case VERSION:
        return take_number(value, "bundle", 1, WR_BUNDLE_VERSION_MAX, &bundle->version, err);
    case KEY:
        return wr_order_json_text(value, "key", bundle->key, sizeof bundle->key, err);
    case NODES:
        return take_nodes(bundle, value, err);
    case SITE:
        return wr_order_json_text(value, "site", bundle->site, sizeof bundle->site, err);
    case PERCENT:
        WR_TRY(take_number(value, "percent", 1, 100, &percent, err));
        bundle->percent = (uint32_t)percent;
        return WR_OK;
    case SHADOW:
        return take_bool(value, "shadow", &bundle->shadow, err);
    case ISSUED:
        return take_time(value, "issued", &bundle->issued_wall_ns, err);
    case EXPIRES:
        return take_time(value, "expires", &bundle->expires_wall_ns, err);
    default:
        return take_files(bundle, value, err);
    }
}

static enum wr_result check(const struct wr_bundle *read, unsigned seen, struct wr_error *err) {
    for (int i = 0; i < MEMBERS; i++)
        if (i != SITE && i != PERCENT && i != SHADOW && !(seen & 1u << i))
            return wr_error_set(err, WR_INVALID, "%s is missing", names[i]);
    if (read->key[0] == '\0')
        return wr_error_set(err, WR_INVALID, "the key is empty");
    if (read->n_nodes == 0)
        return wr_error_set(err, WR_INVALID, "nodes is empty: it is for nobody");
    if (read->expires_wall_ns <= read->issued_wall_ns)
        return wr_error_set(err, WR_INVALID, "expires is not behind issued");
    if (wr_clock_add_ns(read->issued_wall_ns, WR_BUNDLE_VALID_NS) < read->expires_wall_ns)
        return wr_error_set(err, WR_INVALID, "it is valid for more than 30 days");
    return WR_OK;
}

/* The object alone, checked whole. */
static bool find_object(const char *text, size_t len, struct wr_word *ret_object) {
    const char *begin = wr_json_skip_space(text, text + len);
    struct wr_json_scan scan = wr_json_scan_begin(begin, text + len, true);
    return wr_json_scan_check(&scan, ret_object) == WR_JSON_FOUND && ret_object->text[0] == '{' &&
           wr_json_skip_space(ret_object->text + ret_object->len, text + len) == text + len;
}

bool wr_bundle_is(const char *text, size_t len) {
    struct wr_word object, name, value;
    if (!find_object(text, len, &object))
        return false;
    struct wr_json_scan scan = wr_json_scan_begin(object.text, object.text + object.len, true);
    for (bool more = wr_json_scan_enter(&scan); more && wr_json_scan_member(&scan, &name) && wr_json_scan_value(&scan, &value);)
        if (is(name, names[VERSION]))
            return true;
    return false;
}

enum wr_result wr_bundle_read(struct wr_bundle *bundle, const char *text, size_t len, struct wr_error *err) {
    struct wr_word object, name, value;
    unsigned seen = 0;
    if (!find_object(text, len, &object))
        return wr_error_set(err, WR_INVALID, "this is no JSON object, or something stands behind it");
    struct wr_json_scan scan = wr_json_scan_begin(object.text, object.text + object.len, true);
    for (bool more = wr_json_scan_enter(&scan); more && wr_json_scan_member(&scan, &name) && wr_json_scan_value(&scan, &value);) {
        int member = 0;
        while (member < MEMBERS && !is(name, names[member]))
            member++;
        if (member == MEMBERS)
            return wr_error_set(err, WR_INVALID, "'%.*s' is no member of a bundle", name.len < 42 ? (int)name.len - 2 : 40, name.text + 1);
        if (seen & 1u << member)
            return wr_error_set(err, WR_INVALID, "%s stands there twice", names[member]);
        seen |= 1u << member;
        WR_TRY(take(bundle, (enum member)member, value, err));
    }
    return check(bundle, seen, err);
}

/* -- written ------------------------------------------------------------------------------------------------------------------------------ */

enum wr_result wr_bundle_write(const struct wr_bundle *bundle, struct wr_buf *into) {
    struct wr_json json;
    char text[32];
    wr_json_begin(&json, into);
    wr_json_object(&json, NULL);
    wr_json_uint(&json, names[VERSION], bundle->version);
    wr_json_string(&json, names[KEY], bundle->key);
    wr_json_array(&json, names[NODES]);
    for (unsigned i = 0; i < bundle->n_nodes; i++)
        wr_json_string(&json, NULL, bundle->nodes[i]);
    wr_json_array_end(&json);
    if (bundle->site[0])
        wr_json_string(&json, names[SITE], bundle->site);
    wr_json_uint(&json, names[PERCENT], bundle->percent);
    if (bundle->shadow) /* left out else: an agent that knows no shadow takes the others */
        wr_json_bool(&json, names[SHADOW], true);
    wr_json_string(&json, names[ISSUED], wr_clock_format(text, sizeof text, bundle->issued_wall_ns));
    wr_json_string(&json, names[EXPIRES], wr_clock_format(text, sizeof text, bundle->expires_wall_ns));
    wr_json_array(&json, names[FILES]);
    for (unsigned i = 0; i < bundle->n_files; i++) {
        wr_json_object(&json, NULL);
        wr_json_string(&json, "name", bundle->files[i].name);
        wr_json_bytes(&json, "text", wr_buf_str(&bundle->texts) + bundle->files[i].at, bundle->files[i].len);
        wr_json_object_end(&json);
    }
    wr_json_array_end(&json);
    wr_json_object_end(&json);
    return wr_json_end(&json);
}

/* -- for whom ----------------------------------------------------------------------------------------------------------------------------- */

uint32_t wr_bundle_share(const char *node) {
    const uint64_t hash = wr_fingerprint_add(WR_FINGERPRINT_START, node, strlen(node));
    return (uint32_t)((hash ^ hash >> 32) % 100);
}

static enum wr_remote_outcome flaw(enum wr_remote_outcome which, struct wr_error *err, enum wr_result code, const char *why) {
    (void)wr_error_set(err, code, "%s", why);
    return which;
}

enum wr_remote_outcome wr_bundle_flaw(const struct wr_bundle *bundle, const char *node, const char *site, const struct wr_now *now,
                                      struct wr_error *err) {
    unsigned i = 0;
    while (i < bundle->n_nodes && fnmatch(bundle->nodes[i], node, 0) != 0)
        i++;
    if (i == bundle->n_nodes)
        return flaw(WR_REMOTE_ELSEWHERE, err, WR_DENIED, "it is for other nodes");
    if (bundle->site[0] && strcmp(bundle->site, site[0] ? site : "-") != 0)
        return flaw(WR_REMOTE_ELSEWHERE, err, WR_DENIED, "it is for another site");
    if (!now->wall_trusted)
        return flaw(WR_REMOTE_CLOCK, err, WR_BUSY, "the clock of this node is not set yet: nobody knows whether it has expired");
    if (wr_clock_add_ns(now->wall_ns, WR_SIGNED_ORDER_AHEAD_NS) < bundle->issued_wall_ns)
        return flaw(WR_REMOTE_AHEAD, err, WR_DENIED, "it was issued in the future: the clock of the sender, or of this node, is wrong");
    if (now->wall_ns >= bundle->expires_wall_ns)
        return flaw(WR_REMOTE_EXPIRED, err, WR_DENIED, "it has expired");
    if (wr_bundle_share(node) >= bundle->percent)
        return flaw(WR_REMOTE_NOT_CHOSEN, err, WR_DENIED, "this node is not among the percentage that takes it");
    return WR_REMOTE_DONE;
}
