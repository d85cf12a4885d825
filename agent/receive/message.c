#include "agent/receive/message.h"

#include <inttypes.h>
#include <string.h>

#include "agent/codec/number.h"

static const char *const kind_names[WR_MESSAGE_KINDS + 1] = {
    [WR_MESSAGE_AGG] = "agg", [WR_MESSAGE_EVENT] = "event", [WR_MESSAGE_ALARM] = "alarm",
    [WR_MESSAGE_GAP] = "gap", [WR_MESSAGE_STATE] = "state", [WR_MESSAGE_LIST] = "segment",
};

const char *wr_message_kind_name(enum wr_message_kind kind) {
    return kind_names[kind];
}

bool wr_message_kind_parse(const char *text, size_t len, enum wr_message_kind *ret_kind) {
    for (int i = 0; i < WR_MESSAGE_KINDS; i++)
        if (strlen(kind_names[i]) == len && memcmp(kind_names[i], text, len) == 0) {
            *ret_kind = (enum wr_message_kind)i;
            return true;
        }
    return false;
}

bool wr_message_epoch(struct wr_word text, uint64_t *ret_epoch) {
    uint64_t epoch = 0;
    if (text.len != 16)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.text[i];
        const unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0') : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10) : 16U;
        if (digit == 16)
            return false;
        epoch = epoch << 4 | digit;
    }
    *ret_epoch = epoch;
    return true;
}

bool wr_message_seq(struct wr_word text, int64_t *ret_seq) {
    return text.len > 0 && wr_number_int64(text.text, text.text + text.len, ret_seq) && *ret_seq > 0;
}

static bool equals(struct wr_word word, const char *text) {
    return word.len == strlen(text) && memcmp(word.text, text, word.len) == 0;
}

/* The next level of a topic; false behind the last one. */
static bool next_level(const char **at, const char *end, struct wr_word *ret_level) {
    if (*at == NULL)
        return false;
    const char *slash = memchr(*at, '/', (size_t)(end - *at));
    const char *stop = slash ? slash : end;
    *ret_level = (struct wr_word){*at, (size_t)(stop - *at)};
    *at = slash ? slash + 1 : NULL;
    return true;
}

static bool take_name(char *into, struct wr_word level) {
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    if (level.len == 0 || level.len >= WR_MESSAGE_NAME_BYTES)
        return false;
    for (size_t i = 0; i < level.len; i++)
        if (level.text[i] == '\0' || !strchr(allowed, level.text[i]))
            return false;
    memcpy(into, level.text, level.len);
    into[level.len] = '\0';
    return true;
}

static bool read_topic(struct wr_word topic, const char *prefix, struct wr_message_origin *origin) {
    const size_t prefix_len = strlen(prefix);
    if (topic.len <= prefix_len || memcmp(topic.text, prefix, prefix_len) != 0 || topic.text[prefix_len] != '/')
        return false;
    const char *end = topic.text + topic.len;
    const char *at = topic.text + prefix_len + 1;
    struct wr_word site;
    struct wr_word node;
    struct wr_word kind;
    struct wr_word epoch;
    struct wr_word seq;
    if (!next_level(&at, end, &site) || !take_name(origin->site, site) || !next_level(&at, end, &node) ||
        !take_name(origin->key.node, node) || !next_level(&at, end, &kind) || !wr_message_kind_parse(kind.text, kind.len, &origin->kind))
        return false;
    if (!next_level(&at, end, &epoch))
        return true;
    origin->keyed =
        next_level(&at, end, &seq) && at == NULL && wr_message_epoch(epoch, &origin->key.epoch) && wr_message_seq(seq, &origin->key.seq);
    return origin->keyed;
}

static bool read_properties(const struct wr_subscriber_message *message, struct wr_message_origin *origin) {
    struct wr_word epoch = {NULL, 0};
    struct wr_word seq = {NULL, 0};
    for (size_t i = 0; i < message->n_properties; i++) {
        const struct wr_subscriber_property *property = &message->properties[i];
        if (equals(property->name, "epoch"))
            epoch = property->value;
        else if (equals(property->name, "seq"))
            seq = property->value;
        else if (equals(property->name, "node") && !equals(property->value, origin->key.node))
            return false;
    }
    if (!epoch.text || !seq.text)
        return !epoch.text && !seq.text;
    origin->keyed = wr_message_epoch(epoch, &origin->key.epoch) && wr_message_seq(seq, &origin->key.seq);
    return origin->keyed;
}

enum wr_result wr_message_origin(const struct wr_subscriber_message *message, const char *prefix, struct wr_message_origin *ret_origin,
                                 struct wr_error *err) {
    struct wr_message_origin origin = {.arrival_ns = message->arrival.wall_ns};
    char shown[160];
    if (!read_topic(message->topic, prefix, &origin))
        return wr_error_set(err, WR_INVALID, "topic '%s' is not %s/SITE/NODE/agg|event|alarm|gap|state",
                            wr_error_escape(shown, sizeof shown, message->topic.text, message->topic.len), prefix);
    if (!origin.keyed && !read_properties(message, &origin))
        return wr_error_set(err, WR_INVALID, "topic '%s': user properties node, epoch, seq are not those of one segment of this node",
                            wr_error_escape(shown, sizeof shown, message->topic.text, message->topic.len));
    *ret_origin = origin;
    return WR_OK;
}

enum wr_result wr_message_own_key(struct wr_message_origin *origin, uint64_t epoch, int64_t seq, struct wr_error *err) {
    if (seq <= 0)
        return wr_error_set(err, WR_INVALID, "seq %" PRId64 " is not above 0", seq);
    if (origin->keyed && (origin->key.epoch != epoch || origin->key.seq != seq))
        return wr_error_set(err, WR_INVALID, "its payload is segment %016" PRIx64 "/%" PRId64 ", the message says %016" PRIx64 "/%" PRId64,
                            epoch, seq, origin->key.epoch, origin->key.seq);
    origin->key.epoch = epoch;
    origin->key.seq = seq;
    origin->keyed = true;
    return WR_OK;
}
