#include "agent/sources/source.h"

#include "agent/sources/exec_source.h"
#include "agent/sources/execd_source.h"
#include "agent/sources/http_source.h"
#include "agent/sources/line_source.h"
#include "agent/sources/mqtt_source.h"
#include "agent/sources/replay_source.h"
#include "agent/sources/system_source.h"

static const struct wr_source_ops *const kinds[WR_SOURCE_KINDS] = {
    [WR_SOURCE_LINE] = &wr_line_source_ops,
#if WEIR_SOURCE_REPLAY
    [WR_SOURCE_REPLAY] = &wr_replay_source_ops,
#endif
#if WEIR_SOURCE_MQTT
    [WR_SOURCE_MQTT] = &wr_mqtt_source_ops,
#endif
#if WEIR_SOURCE_EXEC
    [WR_SOURCE_EXEC] = &wr_exec_source_ops,     [WR_SOURCE_EXECD] = &wr_execd_source_ops,
#endif
#if WEIR_SOURCE_SYSTEM
    [WR_SOURCE_SYSTEM] = &wr_system_source_ops,
#endif
#if WEIR_SOURCE_HTTP
    [WR_SOURCE_HTTP] = &wr_http_source_ops,
#endif
};

const struct wr_source_ops *wr_source_ops(enum wr_source_kind kind) {
    return kinds[kind];
}

enum wr_result wr_source_create(const struct wr_source_env *env, struct wr_source **ret_source, struct wr_error *err) {
    return wr_source_ops((enum wr_source_kind)env->config->kind)->create(env, ret_source, err);
}

enum wr_result wr_source_start(struct wr_source *source, struct wr_error *err) {
    return source->ops->start(source, err);
}

void wr_source_prepare_stop(struct wr_source *source, int64_t deadline_boot_ns) {
    if (source->ops->prepare_stop)
        source->ops->prepare_stop(source, deadline_boot_ns);
}

enum wr_result wr_source_stop(struct wr_source *source, int64_t deadline_boot_ns) {
    return source->ops->stop(source, deadline_boot_ns);
}

void wr_source_free(struct wr_source *source) {
    if (source)
        source->ops->free(source);
}

const char *wr_source_trouble(struct wr_source *source, char *text, size_t size) {
    text[0] = '\0';
    if (source->ops->trouble)
        source->ops->trouble(source, text, size);
    return text;
}

enum wr_result wr_source_describe(const struct wr_config_source *config, struct wr_buf *into) {
    return wr_source_ops((enum wr_source_kind)config->kind)->describe(config, into);
}

size_t wr_source_bytes(const struct wr_config_source *config, const struct wr_config_limits *limits) {
    return wr_source_ops((enum wr_source_kind)config->kind)->bytes(config, limits);
}
