#include "transport/connack.h"

#define CONNACK 0x20

struct reader {
    const uint8_t *at;
    size_t left;
};

static bool skip(struct reader *reader, size_t n) {
    if (n > reader->left)
        return false;
    reader->at += n;
    reader->left -= n;
    return true;
}

static bool take_number(struct reader *reader, size_t bytes, size_t *ret_number) {
    size_t number = 0;
    if (bytes > reader->left)
        return false;
    for (size_t i = 0; i < bytes; i++)
        number = number << 8 | reader->at[i];
    *ret_number = number;
    return skip(reader, bytes);
}

static bool take_varint(struct reader *reader, size_t *ret_number) {
    size_t number = 0;
    for (unsigned shift = 0; shift < 28; shift += 7) {
        size_t byte = 0;
        if (!take_number(reader, 1, &byte))
            return false;
        number |= (byte & 0x7F) << shift;
        if ((byte & 0x80) == 0) {
            *ret_number = number;
            return true;
        }
    }
    return false;
}

static bool take_text(struct reader *reader, const char **ret_text, size_t *ret_len) {
    size_t len = 0;
    if (!take_number(reader, 2, &len))
        return false;
    *ret_text = (const char *)reader->at;
    *ret_len = len;
    return skip(reader, len);
}

/* Steps over the value of a property. False: it is cut off, or none of CONNACK. */
static bool skip_value(struct reader *reader, size_t id) {
    const char *text;
    size_t len;
    switch (id) {
    case 0x24: /* maximum QoS */
    case 0x25: /* retain available */
    case 0x28: /* wildcards */
    case 0x29: /* subscription identifiers */
    case 0x2A: /* shared subscriptions */
        return skip(reader, 1);
    case 0x13: /* server keep alive */
    case 0x21: /* receive maximum */
    case 0x22: /* topic alias maximum */
        return skip(reader, 2);
    case 0x11: /* session expiry */
    case 0x27: /* maximum packet size */
        return skip(reader, 4);
    case 0x12: /* assigned client identifier */
    case 0x15: /* authentication method */
    case 0x16: /* authentication data */
    case 0x1A: /* response information */
    case 0x1C: /* server reference */
    case 0x1F: /* reason string */
        return take_text(reader, &text, &len);
    case 0x26: /* user property: a name and a value */
        if (!take_text(reader, &text, &len))
            return false;
        return take_text(reader, &text, &len);
    default:
        return false;
    }
}

bool wr_connack_text(const uint8_t *bytes, size_t len, enum wr_connack_text which, const char **ret_text, size_t *ret_len) {
    struct reader reader = {.at = bytes, .left = len};
    size_t type = 0;
    size_t rest = 0;
    if (!take_number(&reader, 1, &type) || type != CONNACK || !take_varint(&reader, &rest))
        return false;
    if (rest < reader.left)
        reader.left = rest;
    if (!skip(&reader, 2) || !take_varint(&reader, &rest)) /* flags and reason code */
        return false;
    if (rest < reader.left)
        reader.left = rest;
    while (reader.left > 0) {
        size_t id = 0;
        if (!take_number(&reader, 1, &id))
            return false;
        if (id == (size_t)which)
            return take_text(&reader, ret_text, ret_len);
        if (!skip_value(&reader, id))
            return false;
    }
    return false;
}
