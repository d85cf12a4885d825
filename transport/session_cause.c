/* Why a connect failed or a connection ended: the broker's word first, then what the relay saw; and what to do about it. */
#include <stdio.h>

#include "transport/connack.h"
#include "transport/reason.h"
#include "transport/session_private.h"

/* The texts of a CONNACK that refuses: paho gives the reason code only. Those of a DISCONNECT stand in the note already. */
static void take_connack(const struct wr_session *session, struct note *note) {
    const uint8_t *bytes = NULL;
    const size_t len = wr_mqtt_link_first(&session->link, &bytes);
    const char *text = NULL;
    size_t text_len = 0;
    if (wr_connack_text(bytes, len, WR_CONNACK_REASON_STRING, &text, &text_len))
        (void)wr_error_escape(note->text, sizeof note->text, text, text_len);
    if (wr_connack_text(bytes, len, WR_CONNACK_SERVER_REFERENCE, &text, &text_len))
        wr_session_note_sent(session, note, text, text_len);
}

void wr_session_note_sent(const struct wr_session *session, struct note *note, const char *reference, size_t len) {
    const int found = wr_route_find(session->config.brokers, session->config.n_brokers, (int)session->broker, reference, len);
    note->sent_to = (uint8_t)(found + 1);
    (void)wr_error_escape(note->reference, sizeof note->reference, reference, len);
}

static bool sends_away(uint8_t reason) {
    const enum wr_reason_cure cure = wr_reason_cure(reason);
    return cure == WR_REASON_MOVE || cure == WR_REASON_MOVED;
}

static void add_reference(const struct note *note, char *text, size_t size) {
    if (note->reference[0] == '\0')
        (void)snprintf(text, size, ", and does not say which");
    else if (note->sent_to == 0)
        (void)snprintf(text, size, ": '%s', which is none of the configured brokers: not followed", note->reference);
    else
        (void)snprintf(text, size, ": '%s'", note->reference);
}

static void describe_reason(const struct wr_session *session, const struct note *note, char *text, size_t size) {
    const char *advice = wr_reason_advice(note->reason);
    const bool told = note->text[0] != '\0';
    int n = snprintf(text, size, "the broker %s: %s (0x%02X)%s%s%s", session->accepted ? "ended the session" : "refused the connection",
                     wr_paho_reason_name(note->reason), note->reason, told ? ", '" : "", note->text, told ? "'" : "");
    if (n < 0 || (size_t)n >= size)
        return;
    if (sends_away(note->reason))
        add_reference(note, text + n, size - (size_t)n);
    else if (advice[0] != '\0')
        (void)snprintf(text + n, size - (size_t)n, ": %s", advice);
}

static void describe_return_code(const struct note *note, char *text, size_t size) {
    const char *advice = wr_reason_advice(note->reason);
    (void)snprintf(text, size, "the broker refused the connection: %s (MQTT 3.1.1 return code %u)%s%s",
                   wr_session_version_return_code(note->reason), (unsigned)note->reason, advice[0] != '\0' ? ": " : "", advice);
}

void wr_session_describe(struct wr_session *session, struct note *note, const char *otherwise, char *text, size_t size) {
    struct wr_error cause;
    const bool old_code = note->reason > 0 && note->reason < 0x80 && !session->accepted;
    if (note->kind == NOTE_REFUSED && note->reason >= 0x80) {
        note->text[0] = '\0'; /* paho's own: it says no more than the reason */
        if (session->speaks == WR_MQTT_5)
            take_connack(session, note);
    }
    if (note->reason >= 0x80)
        describe_reason(session, note, text, size);
    else if (old_code && session->speaks == WR_MQTT_5)
        (void)snprintf(text, size, "the broker does not speak MQTT 5 (return code %u)", (unsigned)note->reason);
    else if (old_code)
        describe_return_code(note, text, size);
    else if (note->kind == NOTE_DISCONNECTED)
        (void)snprintf(text, size, "the broker ended the session");
    else if (wr_mqtt_link_broken(&session->link, &cause))
        (void)snprintf(text, size, "%s", cause.text);
    else
        (void)snprintf(text, size, "%s", otherwise);
}
