/* What each kind of action needs, and what the agent's own config allows it. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/path.h"
#include "core/web_url.h"
#include "rules/compile/rule_compile.h"

#define ALLOW_HINT "the allow-list is part of the agent's own config, never of a rule file"

/* The names in an address. False: complained. */
static bool check_template(struct wr_compile *compile, const char *where, const char *text) {
    const struct wr_rule *rule = compile->rule;
    struct wr_template parsed;
    struct wr_error err;
    const char *near;
    size_t at;
    size_t len;
    char hint[120];
    if (wr_template_parse(text, true, rule->by, rule->n_by, &compile->ruleset->arena, &parsed, &at, &len, &near, &err) == WR_OK)
        return true;
    snprintf(hint, sizeof hint, "did you mean '%s'?", near ? near : "");
    wr_compile_complain(compile, WR_DIAGNOSTIC_ERROR, 327, where, text, at, len, near ? hint : NULL, "%s", err.text);
    return false;
}

/* Two words as one text in the arena; NULL: no memory, which the arena remembers. */
static const char *join(struct wr_compile *compile, const char *first, const char *second) {
    const size_t size = strlen(first) + strlen(second) + 1;
    char *text = wr_arena_take(&compile->ruleset->arena, size);
    if (text)
        snprintf(text, size, "%s%s", first, second);
    return text;
}

/* -- exec ------------------------------------------------------------------------------------------------------------------------------ */

static bool program_allowed(const struct wr_ruleset_options *options, const char *program) {
    for (size_t i = 0; options && i < options->n_exec_allow; i++)
        if (strcmp(options->exec_allow[i], program) == 0)
            return true;
    return options && options->any_action;
}

void wr_compile_exec(struct wr_compile *compile, const char *key, const struct wr_file_exec *record, struct wr_action_spec *action) {
    char where[80];
    char shown[200];
    snprintf(where, sizeof where, "%s.exec.argv", key);
    action->kind = WR_ACTION_EXEC;
    const char **argv = wr_arena_take(&compile->ruleset->arena, (record->n_argv + 1u) * sizeof *argv);
    if (!argv)
        return;
    if (record->n_argv == 0 || record->argv[0][0] != '/') {
        WR_COMPILE_ERROR(compile, 328, where, NULL, "`argv` starts with the absolute path of a program");
        return;
    }
    if (!program_allowed(compile->options, record->argv[0]))
        WR_COMPILE_ERROR(compile, 328, where, ALLOW_HINT, "'%s' is not in the allow-list for exec",
                         wr_error_escape(shown, sizeof shown, record->argv[0], strlen(record->argv[0])));
    for (unsigned i = 0; i < record->n_argv; i++)
        argv[i] = wr_compile_copy(compile, record->argv[i]);
    action->exec = (struct wr_action_exec_spec){argv, record->n_argv};
    action->target = join(compile, "exec ", record->argv[0]);
}

/* -- mqtt ------------------------------------------------------------------------------------------------------------------------------ */

void wr_compile_mqtt(struct wr_compile *compile, const char *key, const struct wr_file_mqtt *record, struct wr_action_spec *action) {
    char where[80];
    action->kind = WR_ACTION_MQTT;
    snprintf(where, sizeof where, "%s.mqtt.topic", key);
    if (check_template(compile, where, record->topic) && (!record->topic[0] || strpbrk(record->topic, "+#")))
        WR_COMPILE_ERROR(compile, 329, where, NULL, "a topic to publish on is not empty and has no + or #");
    snprintf(where, sizeof where, "%s.mqtt.clear", key);
    if (record->clear && !record->retain)
        WR_COMPILE_ERROR(compile, 329, where, "retain: true", "`clear` takes away what `retain` keeps: that is missing");
    if (compile->options && compile->options->no_uplink)
        wr_compile_complain(compile, WR_DIAGNOSTIC_WARNING, 375, key, NULL, 0, 0, NULL,
                            "no uplink is configured: nothing will be published");
    action->mqtt = (struct wr_action_mqtt_spec){
        .topic = wr_compile_copy(compile, record->topic), .qos = (uint8_t)record->qos, .retain = record->retain, .clear = record->clear};
    action->target = "mqtt";
}

/* -- webhook --------------------------------------------------------------------------------------------------------------------------- */

static bool plain_allowed(const struct wr_ruleset_options *options, const struct wr_web_url *url) {
    char authority[WR_AUTHORITY_TEXT_BYTES];
    wr_authority_text(authority, sizeof authority, url->host, url->port);
    for (size_t i = 0; options && i < options->n_http_allow; i++)
        if (strcmp(options->http_allow[i], url->host) == 0 || strcmp(options->http_allow[i], authority) == 0)
            return true;
    return wr_authority_is_loopback(url->host) || (options && options->any_action);
}

/* "webhook https://host:443": what shares a queue. */
static const char *target_of(struct wr_compile *compile, const struct wr_web_url *url, const char *ca) {
    char authority[WR_AUTHORITY_TEXT_BYTES];
    char text[WR_AUTHORITY_TEXT_BYTES + 32];
    snprintf(text, sizeof text, "webhook %s://%s%s", url->tls ? "https" : "http",
             wr_authority_text(authority, sizeof authority, url->host, url->port), ca ? " by " : "");
    return join(compile, text, ca ? ca : "");
}

/* Whether a brace stands where scheme, host or port do. */
static bool host_is_template(const char *text) {
    const char *authority = strstr(text, "://");
    authority = authority ? authority + 3 : text;
    const char *end = authority + strcspn(authority, "/?#");
    return memchr(text, '{', (size_t)(end - text)) != NULL;
}

/* "{level}../admin" is harmless as it stands: but a name may be empty. */
static bool is_address_without_values(const char *text, struct wr_error *err) {
    static const struct wr_alarm empty;
    struct wr_web_url url;
    char expanded[WR_WEB_URL_BYTES];
    return wr_template_expand(text, WR_TEMPLATE_URL, &empty, "", "", expanded, sizeof expanded) != WR_OK ||
           wr_web_url_parse(expanded, &url, err) == WR_OK;
}

static void check_url(struct wr_compile *compile, const char *key, const struct wr_file_webhook *record, struct wr_action_spec *action) {
    struct wr_web_url url;
    struct wr_error err = {0};
    char where[80];
    snprintf(where, sizeof where, "%s.webhook.url", key);
    if (!check_template(compile, where, record->url))
        return;
    if (host_is_template(record->url)) {
        WR_COMPILE_ERROR(compile, 371, where, NULL, "names in braces stand behind the host only: where it goes is fixed in the rule file");
        return;
    }
    if (!is_address_without_values(record->url, &err) || wr_web_url_parse(record->url, &url, &err) != WR_OK) {
        WR_COMPILE_ERROR(compile, 371, where, NULL, "%s", err.text);
        return;
    }
    if (!url.tls && !plain_allowed(compile->options, &url))
        WR_COMPILE_ERROR(compile, 371, where, "https://, or http_allow in the agent's own config",
                         "without TLS everybody on the way can read and change it");
    action->target = target_of(compile, &url, action->webhook.ca);
}

/* The file of a secret; NULL: complained, or none is wanted. */
static const char *find_secret(struct wr_compile *compile, const char *key, const char *member, const char *name) {
    const struct wr_ruleset_options *options = compile->options;
    char where[80];
    char shown[80];
    if (!name)
        return NULL;
    for (size_t i = 0; options && i < options->n_secrets; i++)
        if (strcmp(options->secrets[i].name, name) == 0)
            return wr_compile_copy(compile, options->secrets[i].file);
    if (options && options->any_action)
        return "";
    snprintf(where, sizeof where, "%s.webhook.%s", key, member);
    WR_COMPILE_ERROR(compile, 372, where, "secrets: [{name: pager, file: pager.secret}] in the agent's own config",
                     "no secret of the agent's config is called '%s'", wr_error_escape(shown, sizeof shown, name, strlen(name)));
    return NULL;
}

static bool is_token(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (!((text[i] >= '0' && text[i] <= '9') || ((text[i] | 0x20) >= 'a' && (text[i] | 0x20) <= 'z') ||
              strchr("!#$%&'*+-.^_`|~", text[i])))
            return false;
    return len > 0;
}

static bool is_ours(const char *name, size_t len) {
    static const char *const ours[] = {"host", "content-length", "content-type", "connection", "transfer-encoding", "expect"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (strlen(ours[i]) == len && strncasecmp(ours[i], name, len) == 0)
            return true;
    return len >= 7 && strncasecmp(name, "x-weir-", 7) == 0;
}

/* "Name: value" into two texts. False: complained. */
static bool read_header(struct wr_compile *compile, const char *where, const char *text, const char **ret_pair) {
    const size_t len = strcspn(text, ":");
    const char *value = text + len + (text[len] == ':');
    value += strspn(value, " ");
    bool clean = *value != 0;
    for (const char *c = value; *c; c++)
        clean = clean && (unsigned char)*c >= 0x20 && *c != 0x7F;
    if (!is_token(text, len) || text[len] != ':' || !clean) {
        WR_COMPILE_ERROR(compile, 371, where, "\"Name: value\"", "a malformed header");
        return false;
    }
    if (is_ours(text, len)) {
        WR_COMPILE_ERROR(compile, 371, where, NULL, "this header is set by the agent itself");
        return false;
    }
    if (len == 13 && strncasecmp(text, "authorization", len) == 0) {
        WR_COMPILE_ERROR(compile, 371, where, "token: NAME", "secrets do not stand in rule files");
        return false;
    }
    ret_pair[0] = wr_arena_text(&compile->ruleset->arena, text, len);
    ret_pair[1] = wr_compile_copy(compile, value);
    return true;
}

static const char *const *read_headers(struct wr_compile *compile, const char *key, const struct wr_file_webhook *record) {
    const char **pairs = wr_arena_take(&compile->ruleset->arena, (2u * record->n_headers + 1) * sizeof *pairs);
    size_t n = 0;
    char where[80];
    for (unsigned i = 0; pairs && i < record->n_headers; i++) {
        snprintf(where, sizeof where, "%s.webhook.headers[%u]", key, i);
        n += read_header(compile, where, record->headers[i], pairs + n) ? 2 : 0;
    }
    return pairs;
}

/* Relative to the rule file. */
static const char *find_ca(struct wr_compile *compile, const char *key, const char *ca) {
    char where[80];
    char directory[512] = "";
    const char *slash = strrchr(compile->file, '/');
    if (!ca)
        return NULL;
    if (ca[0] != '/' && slash && (size_t)(slash - compile->file) + 2 <= sizeof directory)
        snprintf(directory, sizeof directory, "%.*s", (int)(slash - compile->file + 1), compile->file);
    const char *path = join(compile, directory, ca);
    snprintf(where, sizeof where, "%s.webhook.ca", key);
    if (path && !(compile->options && compile->options->any_action) && access(path, R_OK) != 0)
        wr_compile_complain(compile, WR_DIAGNOSTIC_WARNING, 371, where, NULL, 0, 0, NULL, "nothing is sent until this file can be read");
    return path;
}

void wr_compile_webhook(struct wr_compile *compile, const char *key, const struct wr_file_webhook *record, struct wr_action_spec *action) {
    action->kind = WR_ACTION_WEBHOOK;
    action->webhook = (struct wr_action_webhook_spec){
        .url = wr_compile_copy(compile, record->url),
        .method = wr_webhook_methods[record->method],
        .ca = find_ca(compile, key, record->ca),
        .secret_file = find_secret(compile, key, "secret", record->secret),
        .token_file = find_secret(compile, key, "token", record->token),
        .headers = read_headers(compile, key, record),
    };
    check_url(compile, key, record, action);
}

/* -- file ------------------------------------------------------------------------------------------------------------------------------ */

/* Whether what stands before the first name is in one of the directories. */
static bool place_allowed(const struct wr_ruleset_options *options, const char *path) {
    const size_t literal = strcspn(path, "{");
    for (size_t i = 0; options && i < options->n_file_allow; i++) {
        size_t len = strlen(options->file_allow[i]);
        while (len > 1 && options->file_allow[i][len - 1] == '/')
            len--;
        if (literal > len && strncmp(options->file_allow[i], path, len) == 0 && path[len] == '/')
            return true;
    }
    return options && options->any_action;
}

void wr_compile_output(struct wr_compile *compile, const char *key, const struct wr_file_output *record, struct wr_action_spec *action) {
    char where[80];
    char shown[200];
    const char *path = record->path;
    action->kind = WR_ACTION_FILE;
    snprintf(where, sizeof where, "%s.file.path", key);
    if (!check_template(compile, where, path))
        return;
    const size_t len = strlen(path);
    if (!wr_path_is_plain(path) || path[len - 1] == '/' || strstr(path, "..")) { /* "{level}.." too: a name may be empty */
        WR_COMPILE_ERROR(compile, 374, where, "/var/log/weir/alarms.jsonl", "`path` is the absolute path of a file, without . or ..");
        return;
    }
    if (!place_allowed(compile->options, path))
        WR_COMPILE_ERROR(compile, 328, where, ALLOW_HINT ": file_allow: [/var/log/weir]",
                         "'%s' is in none of the directories of file_allow", wr_error_escape(shown, sizeof shown, path, len));
    action->file = (struct wr_action_file_spec){
        .path = wr_compile_copy(compile, path), .line = record->format == 1, .max_bytes = record->max_bytes, .keep = record->keep};
    size_t directory = strcspn(path, "{");
    while (directory > 1 && path[directory - 1] != '/')
        directory--;
    const char *literal = wr_arena_text(&compile->ruleset->arena, path, directory);
    action->target = literal ? join(compile, "file ", literal) : NULL;
}
