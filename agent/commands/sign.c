/* `weir sign`: a command on alarms as a signed message, made where the private key is. */
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/commands/commands.h"
#include "agent/control/order_words.h"
#include "agent/control/signed_order.h"
#include "core/quantity.h"
#include "core/utf8.h"
#include "transport/jws.h"
#include "transport/topic.h"

#define VALID_NS (300 * WR_NS_PER_S)

struct sign {
    const char *key_file;
    const char *node;
    const char *site;
    const char *valid;
};

/* Takes the options out that are of no order. NULL; or the one whose value is missing. */
static const char *take_options(struct sign *sign, int *argc, char **argv) {
    const struct {
        const char *name;
        const char **value;
    } options[] = {{"--key-file", &sign->key_file}, {"--node", &sign->node}, {"--site", &sign->site}, {"--valid", &sign->valid}};
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        const char **value = NULL;
        for (size_t o = 0; o < sizeof options / sizeof options[0]; o++)
            if (strcmp(argv[i], options[o].name) == 0)
                value = options[o].value;
        if (value && i + 1 == *argc)
            return argv[i];
        if (value) {
            *value = argv[++i];
            continue;
        }
        const bool two = wr_order_option(argv[i]) && i + 1 < *argc; /* its value may look like one of ours */
        argv[kept++] = argv[i];
        if (two)
            argv[kept++] = argv[++i];
    }
    *argc = kept;
    return NULL;
}

static void name_of_user(char *name, size_t size) {
    char scratch[1024];
    struct passwd entry, *found = NULL;
    if (getpwuid_r(getuid(), &entry, scratch, sizeof scratch, &found) == 0 && found)
        wr_utf8_copy(name, size, found->pw_name);
    else
        snprintf(name, size, "uid %u", (unsigned)getuid());
}

/* What nobody has to say: who, under which key, from when on. */
static enum wr_result fill_in(const struct sign *sign, struct wr_signed_order *message, struct wr_error *err) {
    const struct wr_clock *clock = wr_clock_real();
    struct wr_order *order = &message->order;
    struct wr_place place;
    int64_t valid_ns = VALID_NS;
    if (!sign->key_file || !sign->node)
        return wr_error_set(err, WR_INVALID, "%s is needed", sign->key_file ? "--node ID" : "--key-file FILE");
    WR_TRY(wr_place_init(&place, "weir", sign->site, sign->node, err));
    if (sign->valid && wr_quantity_duration(sign->valid, &valid_ns, err) != WR_OK)
        return wr_error_wrap(err, "--valid");
    if (valid_ns < WR_NS_PER_MS || valid_ns > WR_SIGNED_ORDER_VALID_NS)
        return wr_error_set(err, WR_INVALID, "--valid takes 1h at most, and more than nothing");
    memcpy(message->node, place.node, sizeof message->node);
    if (strcmp(place.site, "-") != 0)
        memcpy(message->site, place.site, sizeof message->site);
    if (!order->by_whom[0])
        name_of_user(order->by_whom, sizeof order->by_whom);
    if (!order->key[0])
        snprintf(order->key, sizeof order->key, "%016" PRIx64 "%016" PRIx64, wr_clock_random_u64(clock), wr_clock_random_u64(clock));
    message->issued_wall_ns = wr_clock_wall_ns(clock);
    message->expires_wall_ns = message->issued_wall_ns + valid_ns;
    return WR_OK;
}

/* As the node will read it: what it would refuse is not signed. */
static enum wr_result make(const struct sign *sign, const struct wr_signed_order *message, struct wr_buf *payload, struct wr_buf *text,
                           struct wr_error *err) {
    struct wr_jws_key *key;
    struct wr_signed_order read;
    memset(&read, 0, sizeof read);
    if (wr_signed_order_write(message, payload) != WR_OK)
        return wr_error_set(err, WR_NO_MEMORY, "no memory");
    WR_TRY(wr_signed_order_read(&read, wr_buf_str(payload), payload->len, err));
    WR_TRY(wr_jws_private_key_read(sign->key_file, &key, err));
    const enum wr_result result = wr_jws_sign(key, payload->data, payload->len, text, err);
    wr_jws_key_free(key);
    return result;
}

static int print(const struct sign *sign, const struct wr_signed_order *message) {
    struct wr_buf payload, text;
    struct wr_error err = {0};
    char until[32];
    wr_buf_init(&payload, WR_JWS_BYTES);
    wr_buf_init(&text, WR_JWS_BYTES);
    const enum wr_result result = make(sign, message, &payload, &text, &err);
    if (result == WR_OK) {
        fprintf(stderr, "weir sign: key %s, until %s, for PREFIX/%s/%s/cmd\n", message->order.key,
                wr_clock_format(until, sizeof until, message->expires_wall_ns), message->site[0] ? message->site : "-", message->node);
        puts(wr_buf_str(&text));
    } else {
        fprintf(stderr, "weir sign: %s\n", err.text[0] ? err.text : wr_result_name(result));
    }
    wr_buf_fini(&payload);
    wr_buf_fini(&text);
    return result == WR_OK ? WR_EXIT_OK : WR_EXIT_CANNOT;
}

int wr_command_sign(int argc, char **argv) {
    struct sign sign = {0};
    struct wr_signed_order message;
    struct wr_error err = {0};
    struct wr_buf problem;
    memset(&message, 0, sizeof message);
    if (argc > 1 && strcmp(argv[1], "bundle") == 0)
        return wr_command_sign_bundle(argc - 1, argv + 1);
    const char *missing = take_options(&sign, &argc, argv);
    if (missing)
        return wr_command_usage("sign", "%s needs a value", missing);
    message.order.verb = argc > 1 ? wr_order_verb_of(argv[1]) : NULL;
    if (!message.order.verb)
        return wr_command_usage("sign", "which command? ack, reset, shelve, unshelve, oos, return or bundle");
    wr_buf_init(&problem, 0);
    const bool fine = wr_order_from_words(&message.order, "sign", argc - 1, argv + 1, NULL, &problem);
    fputs(wr_buf_str(&problem), stderr);
    wr_buf_fini(&problem);
    if (!fine)
        return WR_EXIT_CANNOT;
    if (fill_in(&sign, &message, &err) != WR_OK)
        return wr_command_usage("sign", "%s", err.text);
    return print(&sign, &message);
}
