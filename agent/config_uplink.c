/* Checks of the uplink. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/config_private.h"
#include "transport/topic.h"
#include "transport/url.h"

static void check_brokers(struct wr_config_load *load) {
    struct wr_config_uplink *uplink = load->config->uplink;
    if (uplink->n_brokers != 1) { /* a list, so that several can come without another key */
        wr_config_error(load, WR_CONFIG_W_LIMIT, "uplink.broker", NULL, "%u brokers: this version sends to one", uplink->n_brokers);
        return;
    }
    uplink->brokers = calloc(uplink->n_brokers, sizeof *uplink->brokers);
    if (!uplink->brokers) {
        load->failed = WR_NO_MEMORY;
        return;
    }
    for (unsigned i = 0; i < uplink->n_brokers; i++) {
        struct wr_broker *broker = &uplink->brokers[i];
        char path[] = "uplink.broker[0]";
        path[sizeof path - 3] = (char)('0' + i);
        struct wr_url url;
        struct wr_error err = {0};
        if (wr_url_parse(uplink->urls[i], &url, &err) != WR_OK) {
            wr_config_error(load, WR_CONFIG_W_ADDRESS, path, NULL, "%s", err.text);
            continue;
        }
        broker->url = strdup(uplink->urls[i]);
        broker->host = strdup(url.host);
        broker->tls = url.tls;
        broker->port = url.port;
        if (!broker->url || !broker->host) {
            load->failed = WR_NO_MEMORY;
            return;
        }
        if (!broker->tls && !wr_address_is_loopback(broker->host)) {
            if (uplink->password_file)
                wr_config_error(load, WR_CONFIG_W_EXPOSED, path, "mqtts://", "the password would cross the network in the clear");
            else
                wr_config_warn(load, WR_CONFIG_W_EXPOSED, path, "mqtts://",
                               "without TLS everybody on the way can read and change the data");
        }
    }
}

/* A file of the uplink may be missing: the agent runs without the uplink until it is there. What is secret must not be readable for all. */
static void check_file(struct wr_config_load *load, const char *path, char **file, bool secret) {
    if (!*file)
        return;
    if (wr_config_resolve(file, load->config->directory) != WR_OK) {
        load->failed = WR_NO_MEMORY;
        return;
    }
    struct stat stat_of;
    if (access(*file, R_OK) != 0)
        wr_config_warn(load, WR_CONFIG_W_FILE, path, NULL, "%s: the uplink stays down until this file can be read", strerror(errno));
    else if (stat(*file, &stat_of) == 0 && S_ISDIR(stat_of.st_mode))
        wr_config_warn(load, WR_CONFIG_W_FILE, path, NULL, "that is a directory: the uplink stays down until it is a file");
    else if (secret && stat(*file, &stat_of) == 0 && (stat_of.st_mode & (S_IROTH | S_IWOTH)) != 0)
        wr_config_warn(load, WR_CONFIG_W_FILE, path, "chmod 600", "everybody on this machine can read this secret");
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
    if (!tls && (uplink->ca || uplink->cert || uplink->crl))
        wr_config_warn(load, WR_CONFIG_W_USELESS,
                       uplink->ca     ? "uplink.ca"
                       : uplink->cert ? "uplink.cert"
                                      : "uplink.crl",
                       "mqtts://", "no broker is reached by TLS: certificates are not used");
    check_file(load, "uplink.ca", &uplink->ca, false);
    check_file(load, "uplink.cert", &uplink->cert, false);
    check_file(load, "uplink.key", &uplink->key, true);
    check_file(load, "uplink.crl", &uplink->crl, false);
    check_file(load, "uplink.password_file", &uplink->password_file, true);
}

void wr_config_check_uplink(struct wr_config_load *load) {
    struct wr_config_uplink *uplink = load->config->uplink;
    if (!uplink || load->failed != WR_OK)
        return;
    check_brokers(load);
    check_credentials(load);
    struct wr_place place;
    struct wr_error err = {0};
    if (wr_place_init(&place, uplink->prefix, "-", "x", &err) != WR_OK)
        wr_config_error(load, WR_CONFIG_W_NAME, "uplink.prefix", NULL, "%s", err.text);
}
