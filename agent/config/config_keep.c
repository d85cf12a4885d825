/* `keep: raw 24h` of windows. */
#include <string.h>

#include "agent/config/config_private.h"
#include "core/quantity.h"

#define KEEP_MIN_NS (60 * WR_NS_PER_S)
#define KEEP_MAX_NS (366 * 24 * 3600 * WR_NS_PER_S)

int64_t wr_config_keep_ns(const struct wr_config *config) {
    for (unsigned i = 0; i < config->n_windows; i++)
        if (config->windows[i].keep_ns > 0)
            return config->windows[i].keep_ns;
    return 0;
}

static bool parse(const char *text, int64_t *ret_ns, struct wr_error *err) {
    static const char raw[] = "raw ";
    if (strncmp(text, raw, sizeof raw - 1) != 0) {
        (void)wr_error_set(err, WR_INVALID, "'%.40s': what can be kept are raw readings, for some time", text);
        return false;
    }
    if (wr_quantity_duration(text + sizeof raw - 1 + strspn(text + sizeof raw - 1, " "), ret_ns, err) != WR_OK)
        return false;
    if (*ret_ns >= KEEP_MIN_NS && *ret_ns <= KEEP_MAX_NS)
        return true;
    (void)wr_error_set(err, WR_INVALID, "raw readings are kept from 1m to 366d");
    return false;
}

void wr_config_check_keep(struct wr_config_load *load, unsigned index) {
    struct wr_config *config = load->config;
    struct wr_error err = {0};
    int64_t keep_ns;
    char path[WR_YAML_PATH_BYTES];
    wr_config_path(path, "windows", index, "keep", -1);
    if (!parse(config->window_sections[index].keep, &keep_ns, &err)) {
        wr_config_error(load, WR_CONFIG_W_KEEP, path, "keep: raw 24h", "%s", err.text);
        return;
    }
    const int64_t others_ns = wr_config_keep_ns(config);
    if (others_ns > 0 && others_ns != keep_ns) {
        wr_config_error(load, WR_CONFIG_W_KEEP, path, NULL, "all windows that keep raw readings keep them equally long");
        return;
    }
    config->windows[index].keep_ns = keep_ns;
}
