/* Any text as a whole configuration: what loads is complete, and is no change against itself. */
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config/config.h"
#include "agent/config/config_diff.h"

/* Patterns must not walk over this machine's files. Every fourth finds something. */
int glob(const char *restrict pattern, int flags, int (*error)(const char *path, int number), glob_t *restrict found) {
    (void)flags;
    (void)error;
    found->gl_pathc = strlen(pattern) % 4 == 0;
    found->gl_pathv = NULL;
    if (found->gl_pathc == 0)
        return GLOB_NOMATCH;
    found->gl_pathv = calloc(2, sizeof *found->gl_pathv);
    found->gl_pathv[0] = strdup(pattern);
    return 0;
}

void globfree(glob_t *found) {
    if (found->gl_pathv)
        free(found->gl_pathv[0]);
    free(found->gl_pathv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct wr_diagnostics diagnostics;
    struct wr_config *config = NULL;
    wr_diagnostics_init(&diagnostics);
    enum wr_result result = wr_config_load_text("/nowhere/fuzz.yaml", (const char *)data, size, &diagnostics, &config, NULL);
    if ((result == WR_OK) != (diagnostics.errors == 0) || (result != WR_OK && result != WR_INVALID))
        abort();
    if (config) {
        struct wr_config_diff diff;
        if (wr_config_compare(config, config, &diff, NULL) != WR_OK || !wr_config_diff_is_empty(&diff))
            abort();
        if (!config->node || !config->store || !config->limits || !config->control->socket || config->n_sources == 0)
            abort();
        wr_config_free(config);
    }
    wr_diagnostics_fini(&diagnostics);
    return 0;
}
