#include "transport/topic.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/json.h"

static const char *const words[] = {
    [WR_TOPIC_AGG] = "agg", [WR_TOPIC_ALARM] = "alarm", [WR_TOPIC_EVENT] = "event", [WR_TOPIC_STATE] = "state",
    [WR_TOPIC_GAP] = "gap", [WR_TOPIC_CMD] = "cmd",     [WR_TOPIC_ACK] = "ack",
};

/* site and node: [A-Za-z0-9._-]{1,64} */
static enum wr_result take_name(char *into, size_t size, const char *what, const char *name, struct wr_error *err) {
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t len = strlen(name);
    if (len == 0 || len >= size || strspn(name, allowed) != len) {
        char shown[80];
        return wr_error_set(err, WR_INVALID, "%s '%s' must be 1 to %zu of the characters A-Z a-z 0-9 . _ -", what,
                            wr_error_escape(shown, sizeof shown, name, len), size - 1);
    }
    memcpy(into, name, len + 1);
    return WR_OK;
}

static enum wr_result take_prefix(char *into, size_t size, const char *prefix, struct wr_error *err) {
    size_t len = strlen(prefix);
    bool good = len > 0 && len < size && prefix[0] != '$';
    char before = '/';
    for (size_t i = 0; good && i <= len; i++) {
        char c = i < len ? prefix[i] : '/';
        if ((c == '/' && before == '/') || (c != '/' && (c <= ' ' || c > '~' || c == '+' || c == '#')))
            good = false;
        before = c;
    }
    if (!good) {
        char shown[160];
        return wr_error_set(err, WR_INVALID,
                            "prefix '%s' must be topic levels like weir/1, without + # $ blanks or empty levels, at most %zu "
                            "characters",
                            wr_error_escape(shown, sizeof shown, prefix, len), size - 1);
    }
    memcpy(into, prefix, len + 1);
    return WR_OK;
}

enum wr_result wr_place_init(struct wr_place *place, const char *prefix, const char *site, const char *node, struct wr_error *err) {
    struct wr_place made;
    WR_TRY(take_prefix(made.prefix, sizeof made.prefix, prefix, err));
    WR_TRY(take_name(made.site, sizeof made.site, "site", site != NULL && *site != '\0' ? site : "-", err));
    WR_TRY(take_name(made.node, sizeof made.node, "node", node, err));
    *place = made;
    return WR_OK;
}

enum wr_topic wr_topic_of(enum wr_lane lane, enum wr_segment_kind kind) {
    if (kind == WR_SEGMENT_ALARMS)
        return WR_TOPIC_ALARM;
    if (kind == WR_SEGMENT_GAPS)
        return WR_TOPIC_GAP;
    return lane == WR_LANE_CHANGES ? WR_TOPIC_EVENT : WR_TOPIC_AGG;
}

bool wr_topic_is_json(enum wr_topic topic) {
    return topic != WR_TOPIC_AGG;
}

char *wr_topic_text(char *text, const struct wr_place *place, enum wr_topic topic) {
    (void)snprintf(text, WR_TOPIC_BYTES, "%s/%s/%s/%s", place->prefix, place->site, place->node, words[topic]);
    return text;
}

char *wr_topic_add_key(char *text, uint64_t epoch, int64_t seq) {
    size_t len = strlen(text);
    (void)snprintf(text + len, WR_TOPIC_BYTES - len, "/%016" PRIx64 "/%" PRId64, epoch, seq);
    return text;
}

enum wr_result wr_state_json(struct wr_buf *into, const struct wr_place *place, const char *cause, uint64_t running,
                             const struct wr_now *now) {
    struct wr_json json;
    char hex[17];
    (void)snprintf(hex, sizeof hex, "%016" PRIx64, running);
    wr_json_begin(&json, into);
    wr_json_object(&json, NULL);
    wr_json_string(&json, "node", place->node);
    wr_json_string(&json, "state", cause == NULL ? "online" : "offline");
    if (cause == NULL)
        wr_json_string(&json, "version", WEIR_VERSION);
    else
        wr_json_string(&json, "cause", cause);
    if (cause == NULL && running != 0)
        wr_json_string(&json, "running", hex);
    if (now != NULL) {
        wr_json_int(&json, "time_ns", now->wall_ns);
        wr_json_bool(&json, "time_trusted", now->wall_trusted);
    }
    wr_json_object_end(&json);
    return wr_json_end(&json);
}
