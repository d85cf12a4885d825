/* Any text as a part of a config: refused with its reasons, or merged into a config that is whole, and no change against itself. */
#include <stdlib.h>
#include <string.h>

#include "agent/config/config.h"
#include "agent/config/config_diff.h"
#include "agent/config/config_part.h"

static const char own[] = "node: {id: gw-7}\n"
                          "sources:\n"
                          "  - {name: floor, kind: line, listen: \"tcp://127.0.0.1:8094\", max_connections: 20}\n"
                          "  - {name: plant, kind: mqtt, broker: \"mqtt://b\", topics: [\"a/{x}\", \"b\"], qos: 1}\n"
                          "windows: [{name: m1, every: 1m}, {name: m5, every: 5m, of: \"temp\", lateness: 3s}]\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds) {
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct wr_diagnostics diagnostics;
    struct wr_config *config = NULL;
    wr_diagnostics_init(&diagnostics);
    char *exact = malloc(size ? size : 1); /* a byte read behind it is found */
    must(exact != NULL);
    memcpy(exact, data, size);
    const enum wr_result result =
        wr_config_load_text_with("/nowhere/fuzz.yaml", own, sizeof own - 1, exact, size, &diagnostics, &config, NULL);
    free(exact);
    must((result == WR_OK) == (diagnostics.errors == 0) && (result == WR_OK || result == WR_INVALID));
    if (config) {
        struct wr_config_diff diff;
        must(wr_config_compare(config, config, &diff, NULL) == WR_OK && wr_config_diff_is_empty(&diff));
        must(config->part && config->n_sources >= 2 && config->n_windows >= 2 && config->limits);
        must(strcmp(config->node->id, "gw-7") == 0 && strcmp(config->sources[0].line.listen[0], "tcp://127.0.0.1:8094") == 0);
        must(config->sources[0].kind == WR_SOURCE_LINE && strcmp(config->sources[1].mqtt.broker, "mqtt://b") == 0 && !config->uplink &&
             !config->http);
        for (unsigned i = 2; i < config->n_sources; i++)
            must(config->sources[i].kind == WR_SOURCE_SYSTEM);
        wr_config_free(config);
    }
    wr_diagnostics_fini(&diagnostics);
    return 0;
}
