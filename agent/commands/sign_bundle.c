/* `weir sign bundle`: rule files as a signed message for many nodes, made where the private key is. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/commands/commands.h"
#include "agent/config/config_part.h"
#include "agent/config/load.h"
#include "agent/remote/bundle.h"
#include "core/file.h"
#include "core/quantity.h"
#include "core/utf8.h"
#include "transport/jws.h"
#include "transport/topic.h"

#define VALID_NS (86400 * WR_NS_PER_S)

struct sign_bundle {
    const char *key_file;
    const char *version;
    const char *percent;
    const char *valid;
    const char *site;
    const char *key;
    const char *nodes;  /* comma between them */
    const char *config; /* a part of it; NULL: none */
    const char *rules[WR_BUNDLE_FILES];
    size_t n_rules;
    size_t n_files;
    bool shadow;
};

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool is_text(const char *text, size_t len) {
    for (size_t at = 0; at < len;) {
        const size_t n = text[at] ? wr_utf8_length(text + at, len - at) : 0;
        if (n == 0)
            return false;
        at += n;
    }
    return true;
}

static enum wr_result add_file(struct sign_bundle *sign, struct wr_bundle *bundle, const char *path, struct wr_error *err) {
    struct wr_buf text;
    const char *name = base_name(path);
    wr_buf_init(&text, 0);
    enum wr_result result = wr_file_read(path, WR_JWS_BYTES, &text, err);
    if (result == WR_OK && !is_text(wr_buf_str(&text), text.len))
        result = wr_error_set(err, WR_INVALID, "%s: is no UTF-8 text", path);
    if (result == WR_OK)
        result = wr_bundle_add_file(bundle, name, wr_buf_str(&text), text.len, err);
    sign->n_files++;
    if (result == WR_OK && strcmp(name + strlen(name) - 5, ".yaml") == 0)
        sign->rules[sign->n_rules++] = path;
    wr_buf_fini(&text);
    return result;
}

/* What a node would refuse for the part alone is not signed; the rest depends on its own config. */
static enum wr_result add_part(struct wr_bundle *bundle, const char *path, struct wr_error *err) {
    struct wr_diagnostics diagnostics;
    struct wr_config_part *part = NULL;
    struct wr_buf text, problems;
    wr_buf_init(&text, 0);
    wr_buf_init(&problems, 0);
    wr_diagnostics_init(&diagnostics);
    enum wr_result result = wr_file_read(path, WR_JWS_BYTES, &text, err);
    if (result == WR_OK && !is_text(wr_buf_str(&text), text.len))
        result = wr_error_set(err, WR_INVALID, "%s: is no UTF-8 text", path);
    if (result == WR_OK)
        result = wr_config_part_read(path, wr_buf_str(&text), text.len, &diagnostics, &part, err);
    if (diagnostics.n > 0 && wr_diagnostics_render(&diagnostics, WR_DIAGNOSTICS_TEXT, &problems) == WR_OK)
        fputs(wr_buf_str(&problems), stderr);
    if (result == WR_OK)
        result = wr_bundle_add_file(bundle, WR_BUNDLE_CONFIG, wr_buf_str(&text), text.len, err);
    wr_config_part_free(part);
    wr_diagnostics_fini(&diagnostics);
    wr_buf_fini(&problems);
    wr_buf_fini(&text);
    return result;
}

static const char **option_of(struct sign_bundle *sign, const char *word) {
    const struct {
        const char *name;
        const char **value;
    } options[] = {{"--key-file", &sign->key_file}, {"--version", &sign->version}, {"--percent", &sign->percent},
                   {"--valid", &sign->valid},       {"--site", &sign->site},       {"--key", &sign->key},
                   {"--nodes", &sign->nodes},       {"--config", &sign->config}};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (strcmp(word, options[i].name) == 0)
            return options[i].value;
    return NULL;
}

static enum wr_result read_words(struct sign_bundle *sign, struct wr_bundle *bundle, int argc, char **argv, struct wr_error *err) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--shadow") == 0) {
            sign->shadow = true;
            continue;
        }
        const char **value = option_of(sign, argv[i]);
        if (!value && argv[i][0] == '-')
            return wr_error_set(err, WR_INVALID, "unknown word '%s'", argv[i]);
        if (value && i + 1 == argc)
            return wr_error_set(err, WR_INVALID, "%s needs a value", argv[i]);
        if (value)
            *value = argv[++i];
        else
            WR_TRY(add_file(sign, bundle, argv[i], err));
    }
    return WR_OK;
}

static enum wr_result number(const char *text, const char *option, uint64_t max, uint64_t *ret_number, struct wr_error *err) {
    char *end;
    const unsigned long long read = strtoull(text, &end, 10);
    if (strlen(text) > 15 || text[0] < '0' || text[0] > '9' || *end || read < 1 || read > max)
        return wr_error_set(err, WR_INVALID, "%s takes a whole number from 1 to %" PRIu64, option, max);
    *ret_number = read;
    return WR_OK;
}

static enum wr_result add_nodes(const char *list, struct wr_bundle *bundle, struct wr_error *err) {
    for (const char *at = list; *at; at += *at == ',') {
        char pattern[2 * WR_BUNDLE_NAME_BYTES];
        const size_t len = strcspn(at, ",");
        snprintf(pattern, sizeof pattern, "%.*s", (int)(len < sizeof pattern ? len : sizeof pattern - 1), at);
        WR_TRY(wr_bundle_add_node(bundle, pattern, err));
        at += len;
    }
    return WR_OK;
}

/* What nobody has to say, and what was said. */
static enum wr_result fill_in(const struct sign_bundle *sign, struct wr_bundle *bundle, struct wr_error *err) {
    const struct wr_clock *clock = wr_clock_real();
    struct wr_place place;
    uint64_t percent = 100;
    int64_t valid_ns = VALID_NS;
    bundle->shadow = sign->shadow;
    if (sign->config)
        WR_TRY(add_part(bundle, sign->config, err));
    if (!sign->key_file || !sign->version || !sign->nodes || (bundle->n_files == 0 && !sign->shadow))
        return wr_error_set(err, WR_INVALID, "%s is needed",
                            !sign->key_file  ? "--key-file FILE"
                            : !sign->version ? "--version N"
                            : !sign->nodes   ? "--nodes NAMES"
                                             : "at least one FILE");
    WR_TRY(number(sign->version, "--version", WR_BUNDLE_VERSION_MAX, &bundle->version, err));
    if (sign->percent)
        WR_TRY(number(sign->percent, "--percent", 100, &percent, err));
    bundle->percent = (uint32_t)percent;
    WR_TRY(add_nodes(sign->nodes, bundle, err));
    WR_TRY(wr_place_init(&place, "weir", sign->site, "x", err));
    if (sign->site)
        memcpy(bundle->site, place.site, sizeof bundle->site);
    if (sign->valid && wr_quantity_duration(sign->valid, &valid_ns, err) != WR_OK)
        return wr_error_wrap(err, "--valid");
    if (valid_ns < WR_NS_PER_MS || valid_ns > WR_BUNDLE_VALID_NS)
        return wr_error_set(err, WR_INVALID, "--valid takes 30d at most, and more than nothing");
    if (sign->key && strlen(sign->key) >= sizeof bundle->key)
        return wr_error_set(err, WR_INVALID, "--key takes %zu bytes at most", sizeof bundle->key - 1);
    if (sign->key)
        memcpy(bundle->key, sign->key, strlen(sign->key) + 1);
    else
        snprintf(bundle->key, sizeof bundle->key, "%016" PRIx64 "%016" PRIx64, wr_clock_random_u64(clock), wr_clock_random_u64(clock));
    bundle->issued_wall_ns = wr_clock_wall_ns(clock);
    bundle->expires_wall_ns = wr_clock_add_ns(bundle->issued_wall_ns, valid_ns);
    return WR_OK;
}

/* As `weir check RULES` would. */
static enum wr_result check_rules(const struct sign_bundle *sign, struct wr_error *err) {
    struct wr_loaded loaded = {0};
    struct wr_buf problems;
    if (sign->shadow && sign->n_files == 0)
        return WR_OK; /* it ends the shadow */
    if (sign->config && sign->n_files == 0)
        return WR_OK;
    if (sign->n_rules == 0)
        return wr_error_set(err, WR_INVALID, "no rule file (*.yaml) among the files");
    wr_buf_init(&problems, 0);
    enum wr_result result = wr_load_rules(sign->rules, sign->n_rules, WR_DIAGNOSTICS_TEXT, &loaded, &problems, err);
    fputs(wr_buf_str(&problems), stderr);
    wr_buf_fini(&problems);
    wr_loaded_fini(&loaded);
    return result == WR_INVALID ? wr_error_set(err, result, "the rules have errors: nothing is signed") : result;
}

/* As a node will read it: what it would refuse is not signed. */
static enum wr_result make(const struct sign_bundle *sign, const struct wr_bundle *bundle, struct wr_buf *text, struct wr_error *err) {
    struct wr_jws_key *key;
    struct wr_buf payload;
    struct wr_bundle *read = wr_bundle_new();
    wr_buf_init(&payload, 0);
    enum wr_result result = read && wr_bundle_write(bundle, &payload) == WR_OK ? WR_OK : wr_error_set(err, WR_NO_MEMORY, "no memory");
    if (result == WR_OK)
        result = wr_bundle_read(read, wr_buf_str(&payload), payload.len, err);
    if (result == WR_OK)
        result = wr_jws_private_key_read(sign->key_file, &key, err);
    if (result == WR_OK) {
        result = wr_jws_sign(key, payload.data, payload.len, text, err);
        wr_jws_key_free(key);
    }
    wr_bundle_free(read);
    wr_buf_fini(&payload);
    return result;
}

int wr_command_sign_bundle(int argc, char **argv) {
    struct sign_bundle sign = {0};
    struct wr_error err = {0};
    struct wr_buf text;
    char until[32];
    struct wr_bundle *bundle = wr_bundle_new();
    if (!bundle) {
        fputs("weir sign bundle: no memory\n", stderr);
        return WR_EXIT_CANNOT;
    }
    wr_buf_init(&text, 0);
    enum wr_result result = read_words(&sign, bundle, argc, argv, &err);
    if (result == WR_OK)
        result = fill_in(&sign, bundle, &err);
    if (result == WR_OK)
        result = check_rules(&sign, &err);
    if (result == WR_OK)
        result = make(&sign, bundle, &text, &err);
    if (result == WR_OK) {
        fprintf(stderr, "weir sign: bundle %" PRIu64 ", key %s, until %s, %zu of %d bytes\n", bundle->version, bundle->key,
                wr_clock_format(until, sizeof until, bundle->expires_wall_ns), text.len, WR_JWS_BYTES);
        puts(wr_buf_str(&text));
    } else {
        fprintf(stderr, "weir sign bundle: %s\n", err.text[0] ? err.text : wr_result_name(result));
    }
    wr_buf_fini(&text);
    wr_bundle_free(bundle);
    return result == WR_OK ? WR_EXIT_OK : WR_EXIT_CANNOT;
}
