/* Any text through the schema of the config: libyaml, the check, the normal form and libcyaml; what loads is looked up and freed. */
#include <stdlib.h>

#include "agent/config/config_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct wr_diagnostics diagnostics;
    struct wr_yaml yaml;
    wr_diagnostics_init(&diagnostics);
    enum wr_result result =
        wr_yaml_load_text("fuzz.yaml", (const char *)data, size, wr_config_fields, sizeof(struct wr_config), &diagnostics, &yaml, NULL);
    if (result == WR_OK) {
        static const char *const paths[] = {"node.id", "sources[0].files[1]", "windows[0].of", "uplink.broker", "nothing.there", ""};
        for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
            wr_yaml_complain(&yaml, &diagnostics, WR_DIAGNOSTIC_WARNING, 1, paths[i], size % 7, size % 5, NULL, "here");
        wr_yaml_free(&yaml);
    } else if (result != WR_INVALID || diagnostics.errors == 0) {
        abort(); /* refused without a word, or refused by libcyaml what the check let pass */
    }
    struct wr_buf out;
    wr_buf_init(&out, 0);
    if (wr_diagnostics_render(&diagnostics, (enum wr_diagnostics_format)(size % 3), &out) != WR_OK)
        abort();
    wr_buf_fini(&out);
    wr_diagnostics_fini(&diagnostics);
    return 0;
}
