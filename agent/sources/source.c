#include "agent/sources/source.h"

#include <assert.h>

#include "agent/sources/line_source.h"
#include "agent/sources/replay_source.h"

static const struct wr_source_ops *const kinds[] = {&wr_line_source_ops, &wr_replay_source_ops};

const struct wr_source_ops *wr_source_ops(enum wr_source_kind kind) {
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i]->kind == kind)
            return kinds[i];
    assert(false); /* the config knows a kind that has no functions */
    return kinds[0];
}

enum wr_result wr_source_create(const struct wr_source_env *env, struct wr_source **ret_source, struct wr_error *err) {
    return wr_source_ops((enum wr_source_kind)env->config->kind)->create(env, ret_source, err);
}

enum wr_result wr_source_start(struct wr_source *source, struct wr_error *err) {
    return source->ops->start(source, err);
}

enum wr_result wr_source_stop(struct wr_source *source, int64_t deadline_boot_ns) {
    return source->ops->stop(source, deadline_boot_ns);
}

void wr_source_free(struct wr_source *source) {
    if (source)
        source->ops->free(source);
}

size_t wr_source_bytes(const struct wr_config_source *config, const struct wr_config_limits *limits) {
    return wr_source_ops((enum wr_source_kind)config->kind)->bytes(config, limits);
}
