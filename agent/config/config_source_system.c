/* Checks of a source of kind system: what it collects. */
#include <string.h>

#include "agent/config/config_private.h"
#include "core/clock.h"

#define EVERY_NS (10 * WR_NS_PER_S)

const char *const wr_system_part_names[WR_SYSTEM_PARTS] = {"cpu",         "memory",  "load",  "disk", "diskio",
                                                           "temperature", "network", "clock", "weir"};

static void check(struct wr_config_load *load, unsigned index) {
    struct wr_config_source *source = &load->config->sources[index];
    struct wr_config_system *system = &source->system;
    if (!wr_config_source_given(load, index, "every"))
        source->every_ns = EVERY_NS;
    for (unsigned i = 0; i < system->n_collect; i++) {
        unsigned part = 0;
        while (part < WR_SYSTEM_PARTS && strcmp(system->collect[i], wr_system_part_names[part]) != 0)
            part++;
        char path[WR_YAML_PATH_BYTES];
        wr_config_path(path, "sources", index, "collect", (int)i);
        if (part == WR_SYSTEM_PARTS)
            wr_config_error(load, WR_CONFIG_W_NAME, path, "cpu, memory, load, disk, diskio, temperature, network, clock, weir",
                            "there is no '%s' to collect", system->collect[i]);
        else if (system->parts & 1u << part)
            wr_config_error(load, WR_CONFIG_W_DUPLICATE, path, NULL, "'%s' stands there already", system->collect[i]);
        else
            system->parts |= 1u << part;
    }
    if (system->n_collect == 0)
        system->parts = (1u << WR_SYSTEM_PARTS) - 1;
}

static const char *const keys[] = {"every", "collect", NULL};

const struct wr_config_kind wr_config_kind_system = {.name = "system", .keys = keys, .left_out = !WEIR_SOURCE_SYSTEM, .check = check};
