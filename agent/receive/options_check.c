/* What a single key of the options cannot show. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config/config_private.h"
#include "agent/receive/message.h"
#include "agent/receive/options_private.h"
#include "agent/receive/postgres.h"
#include "agent/receive/render.h"
#include "transport/topic.h"

struct check {
    const struct wr_receive_loaded *loaded;
    struct wr_receive_options *options;
    struct wr_diagnostics *diagnostics;
};

WR_PRINTF(6, 7)
static void complain(struct check *check, enum wr_diagnostic_level level, enum wr_config_code code, const char *key, const char *hint,
                     const char *format, ...) {
    char message[WR_ERROR_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    const bool in_file =
        check->loaded->file.record && !wr_yaml_present(&check->loaded->words, key); /* a key that is missing is missed in the file */
    wr_yaml_complain(in_file ? &check->loaded->file : &check->loaded->words, check->diagnostics, level, code, key, 0, 0, hint, "%s: %s",
                     key, message);
}

static void check_broker(struct check *check, bool connect) {
    struct wr_receive_options *options = check->options;
    struct wr_error err;
    if (!options->broker) {
        if (connect)
            complain(check, WR_DIAGNOSTIC_ERROR, WR_CONFIG_W_NEEDED, "broker", "broker: mqtts://broker.example.com",
                     "where messages come from must be said");
        return;
    }
    if (wr_url_parse(options->broker, &options->url, &err) != WR_OK) {
        complain(check, WR_DIAGNOSTIC_ERROR, WR_CONFIG_W_ADDRESS, "broker", NULL, "%s", err.text);
        return;
    }
    const bool far = !options->url.tls && !wr_address_is_loopback(options->url.host);
    if (far)
        complain(check, options->password_file ? WR_DIAGNOSTIC_ERROR : WR_DIAGNOSTIC_WARNING, WR_CONFIG_W_EXPOSED, "broker", "mqtts://",
                 options->password_file ? "the password would cross the network in the clear"
                                        : "without TLS everybody on the way can read and change the data");
    if (!options->url.tls && (options->ca || options->cert || options->crl))
        complain(check, WR_DIAGNOSTIC_WARNING, WR_CONFIG_W_USELESS,
                 options->ca     ? "ca"
                 : options->cert ? "cert"
                                 : "crl",
                 "mqtts://", "the connection has no TLS");
}

static void check_credentials(struct check *check) {
    const struct wr_receive_options *options = check->options;
    if (!options->cert != !options->key)
        complain(check, WR_DIAGNOSTIC_ERROR, WR_CONFIG_W_NEEDED, options->cert ? "cert" : "key", NULL,
                 "a certificate and its private key go together");
    if (options->password_file && !options->user)
        complain(check, WR_DIAGNOSTIC_ERROR, WR_CONFIG_W_NEEDED, "password_file", "user: NAME", "a password needs a user");
}

static bool is_name(const char *name) {
    const size_t len = strlen(name);
    return len > 0 && len < WR_MESSAGE_NAME_BYTES &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == len;
}

static void check_names(struct check *check) {
    const struct wr_receive_options *options = check->options;
    struct wr_place place;
    struct wr_error err;
    if (wr_place_init(&place, options->prefix, NULL, "node", &err) != WR_OK)
        complain(check, WR_DIAGNOSTIC_ERROR, WR_CONFIG_W_NAME, "prefix", NULL, "%s", err.text);
    if (!is_name(options->instance))
        complain(check, WR_DIAGNOSTIC_ERROR, WR_CONFIG_W_NAME, "instance", NULL, "1 to 64 of the characters A-Z a-z 0-9 . _ -");
    if (options->group[0] != '\0' && !is_name(options->group))
        complain(check, WR_DIAGNOSTIC_ERROR, WR_CONFIG_W_NAME, "group", NULL, "1 to 64 of the characters A-Z a-z 0-9 . _ -, or empty");
    const size_t schema = strlen(options->schema);
    if (schema == 0 || schema > 63 || strspn(options->schema, "abcdefghijklmnopqrstuvwxyz0123456789_") != schema)
        complain(check, WR_DIAGNOSTIC_ERROR, WR_CONFIG_W_NAME, "schema", NULL, "1 to 63 of the characters a-z 0-9 _");
}

static void check_kinds(struct check *check) {
    struct wr_receive_options *options = check->options;
    options->kind_set = options->n_kinds == 0 ? (1U << WR_MESSAGE_KINDS) - 1 : 0;
    for (unsigned i = 0; i < options->n_kinds; i++) {
        enum wr_message_kind kind;
        if (wr_message_kind_parse(options->kinds[i], strlen(options->kinds[i]), &kind))
            options->kind_set |= 1U << kind;
        else
            complain(check, WR_DIAGNOSTIC_ERROR, WR_CONFIG_W_NAME, "kinds", "agg, event, alarm, gap, state", "no kind '%s'",
                     options->kinds[i]);
    }
    const unsigned aggregates = 1U << WR_MESSAGE_AGG | 1U << WR_MESSAGE_EVENT;
    const unsigned tables = (unsigned)__builtin_popcount(options->kind_set & ~aggregates) + ((options->kind_set & aggregates) != 0);
    if (options->target == WR_TARGET_STDOUT && options->format == WR_RENDER_CSV && tables > 1)
        complain(check, WR_DIAGNOSTIC_ERROR, WR_CONFIG_W_CONFLICT, "format", "kinds: [agg, event]",
                 "CSV has one kind of line: with stdout, choose one kind of record by `kinds`, or write to files");
}

static void check_target(struct check *check) {
    struct wr_receive_options *options = check->options;
    struct wr_error err;
    if (strcmp(options->to, "stdout") == 0) {
        options->target = WR_TARGET_STDOUT;
    } else if (strncmp(options->to, "file:", 5) == 0 && options->to[5] != '\0') {
        options->target = WR_TARGET_FILES;
        options->directory = options->to + 5;
    } else if (strncmp(options->to, "postgresql://", 13) == 0 || strncmp(options->to, "postgres://", 11) == 0) {
        options->target = WR_TARGET_POSTGRES;
        if (wr_postgres_check(options->to, &err) != WR_OK)
            complain(check, WR_DIAGNOSTIC_ERROR, WR_CONFIG_W_ADDRESS, "to", NULL, "%s", err.text);
    } else {
        complain(check, WR_DIAGNOSTIC_ERROR, WR_CONFIG_W_ADDRESS, "to", NULL,
                 "must be stdout, file:DIRECTORY or postgresql://[user@]host[:port]/database");
    }
}

static enum wr_result fill_in(struct wr_receive_options *options) {
    if (!options->client_id && asprintf(&options->client_id, "weir-receive-%s", options->instance) < 0)
        options->client_id = NULL;
    if (!options->quarantine && asprintf(&options->quarantine, options->target == WR_TARGET_FILES ? "%s/.quarantine" : "%s",
                                         options->target == WR_TARGET_FILES ? options->directory : "weir-receive-quarantine") < 0)
        options->quarantine = NULL;
    return options->client_id && options->quarantine ? WR_OK : WR_NO_MEMORY;
}

enum wr_result wr_receive_options_check(struct wr_receive_loaded *loaded, bool connect, struct wr_diagnostics *diagnostics,
                                        struct wr_error *err) {
    struct check check = {.loaded = loaded, .options = loaded->options, .diagnostics = diagnostics};
    check_broker(&check, connect);
    check_credentials(&check);
    check_names(&check);
    check_target(&check);
    check_kinds(&check);
    return fill_in(loaded->options) == WR_OK ? WR_OK : wr_error_set(err, WR_NO_MEMORY, "no memory for the options");
}
