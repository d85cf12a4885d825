/* Checks of a source of kind mqtt: its broker, who it is there, its topics. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config/config_private.h"
#include "agent/sources/topic_pattern.h"
#include "transport/subscriber.h"

#define DOWN "the source stays down"
#define CLIENT_ID_BYTES 192

static void check_broker(struct wr_config_load *load, unsigned index) {
    struct wr_config_mqtt *mqtt = &load->config->sources[index].mqtt;
    char path[WR_YAML_PATH_BYTES];
    struct wr_error err = {0};
    wr_config_path(path, "sources", index, "broker", -1);
    if (!mqtt->broker) {
        wr_config_error(load, WR_CONFIG_W_NEEDED, path, "broker: \"mqtt://127.0.0.1:1883\"", "source '%s' needs 'broker'",
                        load->config->sources[index].name);
        return;
    }
    if (wr_url_parse(mqtt->broker, &mqtt->url, &err) != WR_OK) {
        wr_config_error(load, WR_CONFIG_W_ADDRESS, path, NULL, "%s", err.text);
        return;
    }
    if (mqtt->url.tls || wr_address_is_loopback(mqtt->url.host))
        return;
    if (mqtt->password_file)
        wr_config_error(load, WR_CONFIG_W_EXPOSED, path, "mqtts://", "the password would cross the network in the clear");
    else
        wr_config_warn(load, WR_CONFIG_W_EXPOSED, path, "mqtts://", "without TLS everybody on the way can read and change the readings");
}

static void check_credentials(struct wr_config_load *load, unsigned index) {
    struct wr_config_source *source = &load->config->sources[index];
    struct wr_config_mqtt *mqtt = &source->mqtt;
    struct wr_config_tls *tls = &source->tls;
    char path[WR_YAML_PATH_BYTES];
    if (!tls->cert != !tls->key)
        wr_config_error(load, WR_CONFIG_W_NEEDED, wr_config_path(path, "sources", index, tls->cert ? "cert" : "key", -1),
                        tls->cert ? "key: node.key" : "cert: node.pem", "a certificate and its private key go together");
    if (mqtt->password_file && !mqtt->user)
        wr_config_error(load, WR_CONFIG_W_NEEDED, wr_config_path(path, "sources", index, "password_file", -1), "user: NAME",
                        "a password needs a user");
    const struct {
        const char *key;
        char **file;
        bool secret;
    } files[] = {{"ca", &tls->ca, false},
                 {"cert", &tls->cert, false},
                 {"key", &tls->key, true},
                 {"crl", &tls->crl, false},
                 {"password_file", &mqtt->password_file, true}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        wr_config_path(path, "sources", index, files[i].key, -1);
        if (mqtt->broker && mqtt->url.host[0] != '\0' && !mqtt->url.tls && *files[i].file && files[i].file != &mqtt->password_file)
            wr_config_warn(load, WR_CONFIG_W_USELESS, path, "mqtts://", "the broker is not reached by TLS: '%s' is not used", files[i].key);
        wr_config_check_credential(load, path, files[i].file, files[i].secret, DOWN);
    }
}

static void check_topic(struct wr_config_load *load, unsigned index, unsigned at) {
    const struct wr_config_source *source = &load->config->sources[index];
    char path[WR_YAML_PATH_BYTES];
    struct wr_topic_pattern pattern;
    struct wr_error err = {0};
    wr_config_path(path, "sources", index, "topics", (int)at);
    const enum wr_result result = wr_topic_pattern_init(&pattern, source->mqtt.topics[at], &err);
    if (result == WR_NO_MEMORY) {
        load->failed = WR_NO_MEMORY;
        return;
    }
    if (result != WR_OK) {
        wr_config_error(load, WR_CONFIG_W_NAME, path, NULL, "%s", err.text);
        return;
    }
    if (pattern.has_field && source->format != WR_SOURCE_FORMAT_VALUE)
        wr_config_error(load, WR_CONFIG_W_CONFLICT, path, "format: value",
                        "{field} names a bare value: other formats have fields of their own");
    wr_topic_pattern_fini(&pattern);
    for (unsigned i = 0; i < at; i++)
        if (strcmp(source->mqtt.topics[i], source->mqtt.topics[at]) == 0)
            wr_config_error(load, WR_CONFIG_W_DUPLICATE, path, NULL, "this topic stands twice");
}

static void check_topics(struct wr_config_load *load, unsigned index) {
    const struct wr_config_mqtt *mqtt = &load->config->sources[index].mqtt;
    char path[WR_YAML_PATH_BYTES];
    wr_config_path(path, "sources", index, "topics", -1);
    if (mqtt->n_topics == 0)
        wr_config_error(load, WR_CONFIG_W_NEEDED, path, "topics: [\"sensors/{site}/{room}\"]", "source '%s' needs 'topics'",
                        load->config->sources[index].name);
    if (mqtt->n_topics > WR_SUBSCRIBER_FILTERS) {
        wr_config_error(load, WR_CONFIG_W_LIMIT, path, NULL, "%u topics: at most %d", mqtt->n_topics, WR_SUBSCRIBER_FILTERS);
        return;
    }
    for (unsigned i = 0; i < mqtt->n_topics; i++)
        check_topic(load, index, i);
}

/* Two clients with the same id at one broker throw each other out: so it is made of names that are unique. */
static void name_client(struct wr_config_load *load, unsigned index) {
    struct wr_config_source *source = &load->config->sources[index];
    char path[WR_YAML_PATH_BYTES];
    char id[CLIENT_ID_BYTES];
    wr_config_path(path, "sources", index, "client_id", -1);
    if (source->mqtt.client_id) {
        (void)wr_config_check_name(load, path, source->mqtt.client_id, CLIENT_ID_BYTES - 1);
        for (unsigned i = 0; i < index; i++) {
            const struct wr_config_source *other = &load->config->sources[i];
            if (other->kind == WR_SOURCE_MQTT && other->mqtt.client_id && strcmp(other->mqtt.client_id, source->mqtt.client_id) == 0 &&
                other->mqtt.broker && source->mqtt.broker && strcmp(other->mqtt.broker, source->mqtt.broker) == 0)
                wr_config_error(load, WR_CONFIG_W_DUPLICATE, path, NULL, "source '%s' has this client id at the same broker", other->name);
        }
        return;
    }
    (void)snprintf(id, sizeof id, "weir-%s-%s", load->config->node->id, source->name);
    source->mqtt.client_id = strdup(id);
    if (!source->mqtt.client_id)
        load->failed = WR_NO_MEMORY;
}

static void check_format(struct wr_config_load *load, unsigned index) {
    const struct wr_config_source *source = &load->config->sources[index];
    char path[WR_YAML_PATH_BYTES];
    static const char *const useless[] = {"json", "precision"};
    if (source->format != WR_SOURCE_FORMAT_VALUE)
        wr_config_check_format(load, index);
    for (size_t i = 0; source->format == WR_SOURCE_FORMAT_VALUE && i < sizeof useless / sizeof useless[0]; i++)
        if (wr_config_source_given(load, index, useless[i]))
            wr_config_error(load, WR_CONFIG_W_FOREIGN, wr_config_path(path, "sources", index, useless[i], -1), NULL,
                            "'%s' has no meaning for format value", useless[i]);
    if (source->mqtt.measurement && source->format == WR_SOURCE_FORMAT_LINE)
        wr_config_error(load, WR_CONFIG_W_FOREIGN, wr_config_path(path, "sources", index, "measurement", -1), "{measurement}",
                        "line protocol has measurements of its own; the topic can replace them");
    if (source->mqtt.measurement && source->mqtt.measurement[0] == '\0')
        wr_config_error(load, WR_CONFIG_W_NAME, wr_config_path(path, "sources", index, "measurement", -1), NULL,
                        "the measurement has no name");
}

static void check(struct wr_config_load *load, unsigned index) {
    struct wr_config_mqtt *mqtt = &load->config->sources[index].mqtt;
    char path[WR_YAML_PATH_BYTES];
    check_broker(load, index);
    check_credentials(load, index);
    check_topics(load, index);
    check_format(load, index);
    name_client(load, index);
    if (mqtt->max_message_bytes > mqtt->buffer_bytes / 4)
        wr_config_error(load, WR_CONFIG_W_CONFLICT, wr_config_path(path, "sources", index, "max_message", -1), NULL,
                        "'buffer' must hold four messages of this size");
    if (mqtt->qos > 0 && mqtt->session_expiry_ns == 0)
        wr_config_warn(load, WR_CONFIG_W_USELESS, wr_config_path(path, "sources", index, "session_expiry", -1), "session_expiry: 1h",
                       "the broker forgets this client at once: what comes while it is away is lost, with QoS 1, too");
}

static const char *const keys[] = {"broker",
                                   "user",
                                   "password_file",
                                   "ca",
                                   "cert",
                                   "key",
                                   "crl",
                                   "topics",
                                   "qos",
                                   "format",
                                   "json",
                                   "precision",
                                   "client_id",
                                   "protocol",
                                   "keepalive",
                                   "session_expiry",
                                   "connect_timeout",
                                   "retry_max",
                                   "receive_max",
                                   "buffer",
                                   "max_message",
                                   "retained",
                                   "measurement",
                                   NULL};

const struct wr_config_kind wr_config_kind_mqtt = {.name = "mqtt", .keys = keys, .left_out = !WEIR_SOURCE_MQTT, .check = check};
