/* Checks of the uplink. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/config/config_private.h"
#include "core/clock.h"
#include "core/quantity.h"
#include "transport/jws.h"
#include "transport/route.h"
#include "transport/topic.h"
#include "transport/url.h"

#define ALPN_BYTES 255      /* RFC 7301 */
#define KEEPALIVE_BYTES 270 /* a ping, its answer and their acknowledgements, with TLS, TCP and IP */
#define DAY_NS (86400 * WR_NS_PER_S)

static void check_broker(struct wr_config_load *load, unsigned place) {
    const struct wr_config_uplink *uplink = load->config->uplink;
    struct wr_broker *broker = &uplink->brokers[place];
    struct wr_url url;
    struct wr_error err = {0};
    char path[32];
    snprintf(path, sizeof path, "uplink.broker[%u]", place);
    if (wr_url_parse(uplink->urls[place], &url, &err) != WR_OK) {
        wr_config_error(load, WR_CONFIG_W_ADDRESS, path, NULL, "%s", err.text);
        return;
    }
    for (unsigned i = 0; i < place; i++)
        if (uplink->brokers[i].host && strcasecmp(uplink->brokers[i].host, url.host) == 0 && uplink->brokers[i].port == url.port)
            wr_config_error(load, WR_CONFIG_W_ADDRESS, path, NULL, "the same broker as '%s'", uplink->urls[i]);
    broker->url = strdup(uplink->urls[place]);
    broker->host = strdup(url.host);
    broker->tls = url.tls;
    broker->port = url.port;
    if (!broker->url || !broker->host) {
        load->failed = WR_NO_MEMORY;
        return;
    }
    if (broker->tls || wr_address_is_loopback(broker->host))
        return;
    if (uplink->password_file)
        wr_config_error(load, WR_CONFIG_W_EXPOSED, path, "mqtts://", "the password would cross the network in the clear");
    else
        wr_config_warn(load, WR_CONFIG_W_EXPOSED, path, "mqtts://", "without TLS everybody on the way can read and change the data");
}

static void check_brokers(struct wr_config_load *load) {
    struct wr_config_uplink *uplink = load->config->uplink;
    if (uplink->n_brokers < 1 || uplink->n_brokers > WR_ROUTE_BROKERS) {
        wr_config_error(load, WR_CONFIG_W_LIMIT, "uplink.broker", NULL, "%u brokers: 1 to %d can be named", uplink->n_brokers,
                        WR_ROUTE_BROKERS);
        return;
    }
    uplink->brokers = calloc(uplink->n_brokers, sizeof *uplink->brokers);
    if (!uplink->brokers) {
        load->failed = WR_NO_MEMORY;
        return;
    }
    for (unsigned i = 0; i < uplink->n_brokers && load->failed == WR_OK; i++)
        check_broker(load, i);
}

static void check_credentials(struct wr_config_load *load) {
    struct wr_config_uplink *uplink = load->config->uplink;
    bool tls = false;
    for (unsigned i = 0; uplink->brokers && i < uplink->n_brokers; i++)
        tls = tls || uplink->brokers[i].tls || !uplink->brokers[i].url;
    if (uplink->cert && !uplink->key)
        wr_config_error(load, WR_CONFIG_W_NEEDED, "uplink.cert", "key: node.key", "a certificate needs its private key");
    if (uplink->key && !uplink->cert)
        wr_config_error(load, WR_CONFIG_W_NEEDED, "uplink.key", "cert: node.pem", "a private key needs its certificate");
    if (uplink->password_file && !uplink->user)
        wr_config_error(load, WR_CONFIG_W_NEEDED, "uplink.password_file", "user: NAME", "a password needs a user");
    if (uplink->alpn && (strlen(uplink->alpn) == 0 || strlen(uplink->alpn) > ALPN_BYTES))
        wr_config_error(load, WR_CONFIG_W_LIMIT, "uplink.alpn", NULL, "a protocol's name has 1 to %d bytes", ALPN_BYTES);
    if (!tls && uplink->alpn)
        wr_config_warn(load, WR_CONFIG_W_USELESS, "uplink.alpn", "mqtts://", "no broker is reached by TLS: nobody is told of it");
    if (!tls && (uplink->ca || uplink->cert || uplink->crl))
        wr_config_warn(load, WR_CONFIG_W_USELESS,
                       uplink->ca     ? "uplink.ca"
                       : uplink->cert ? "uplink.cert"
                                      : "uplink.crl",
                       "mqtts://", "no broker is reached by TLS: certificates are not used");
    wr_config_check_credential(load, "uplink.ca", &uplink->ca, false, "the uplink stays down");
    wr_config_check_credential(load, "uplink.cert", &uplink->cert, false, "the uplink stays down");
    wr_config_check_credential(load, "uplink.key", &uplink->key, true, "the uplink stays down");
    wr_config_check_credential(load, "uplink.crl", &uplink->crl, false, "the uplink stays down");
    wr_config_check_credential(load, "uplink.password_file", &uplink->password_file, true, "the uplink stays down");
}

/* Looked into here already: with a wrong key all commands would be refused, and nobody would know before the first one is needed. */
static void check_commands(struct wr_config_load *load, struct wr_config_commands *commands) {
    static const char path[] = "uplink.commands.key_file";
    const size_t errors = load->diagnostics->errors;
    struct wr_jws_key *key;
    struct wr_error err = {0};
    struct stat stat_of;
    if (wr_config_resolve(&commands->key_file, load->config->directory) != WR_OK) {
        load->failed = WR_NO_MEMORY;
        return;
    }
    wr_config_check_readable(load, path, &commands->key_file, 1);
    if (load->diagnostics->errors != errors)
        return;
    const enum wr_result result = wr_jws_key_read(commands->key_file, &key, &err);
    if (result == WR_NO_MEMORY)
        load->failed = WR_NO_MEMORY;
    else if (result != WR_OK)
        wr_config_error(load, WR_CONFIG_W_FILE, path, "openssl ec -in operators.key -pubout -out operators.pub", "%s", err.text);
    else
        wr_jws_key_free(key);
    if (stat(commands->key_file, &stat_of) == 0 && (stat_of.st_mode & S_IWOTH) != 0)
        wr_config_warn(load, WR_CONFIG_W_FILE, path, "chmod 644", "everybody on this machine can exchange this key, and so silence alarms");
}

/* Below the least, keeping the connection alone would spend it. */
static void check_budgets(struct wr_config_load *load) {
    const struct wr_config_uplink *uplink = load->config->uplink;
    const struct {
        const char *path;
        uint64_t bytes;
        int64_t days;
    } budgets[] = {{"uplink.byte_budget", uplink->byte_budget, 31}, {"uplink.byte_budget_day", uplink->byte_budget_day, 1}};
    for (size_t i = 0; i < sizeof budgets / sizeof budgets[0]; i++) {
        const double pings = (double)(budgets[i].days * DAY_NS) / (double)(uplink->keepalive_ns > 0 ? uplink->keepalive_ns : 1);
        const double alive = pings * KEEPALIVE_BYTES;
        char size[32];
        if (budgets[i].bytes > 0 && !uplink->schedule && (double)budgets[i].bytes < 2 * alive)
            wr_config_warn(load, WR_CONFIG_W_LIMIT, budgets[i].path, "keepalive: 15m",
                           "a connection that is kept alive costs %s of it: a longer keepalive or a schedule spares that",
                           wr_quantity_format_size(size, sizeof size, (uint64_t)alive));
    }
    if (uplink->byte_budget > 0 && uplink->byte_budget_day > uplink->byte_budget)
        wr_config_error(load, WR_CONFIG_W_LIMIT, "uplink.byte_budget_day", NULL, "a day's budget is larger than the month's");
    if (uplink->byte_budget == 0 && uplink->byte_budget_from != 1)
        wr_config_warn(load, WR_CONFIG_W_USELESS, "uplink.byte_budget_from", "byte_budget: 500MB", "there is no budget of a month");
}

void wr_config_check_uplink(struct wr_config_load *load) {
    struct wr_config_uplink *uplink = load->config->uplink;
    if (!uplink || load->failed != WR_OK)
        return;
    check_brokers(load);
    check_credentials(load);
    if (uplink->commands)
        check_commands(load, uplink->commands);
    check_budgets(load);
    if (uplink->schedule && uplink->schedule->open_ns >= uplink->schedule->every_ns)
        wr_config_error(load, WR_CONFIG_W_LIMIT, "uplink.schedule.open", NULL,
                        "it is connected all the time: open must be less than every");
    struct wr_place place;
    struct wr_error err = {0};
    if (wr_place_init(&place, uplink->prefix, "-", "x", &err) != WR_OK)
        wr_config_error(load, WR_CONFIG_W_NAME, "uplink.prefix", NULL, "%s", err.text);
}
