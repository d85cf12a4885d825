/* Any bytes as a bundle: whole, with all that is needed, or a reason; names that lead nowhere; what was read is written and read again. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/remote/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds) {
    if (!holds)
        abort();
}

static void must_be_good(const struct wr_bundle *bundle) {
    must(bundle->version >= 1 && bundle->version <= WR_BUNDLE_VERSION_MAX && bundle->percent >= 1 && bundle->percent <= 100);
    must(bundle->n_nodes >= 1 && bundle->n_nodes <= WR_BUNDLE_NODES && bundle->n_files <= WR_BUNDLE_FILES && bundle->key[0]);
    must(bundle->expires_wall_ns > bundle->issued_wall_ns);
    for (unsigned i = 0; i < bundle->n_files; i++) {
        const struct wr_bundle_file *file = &bundle->files[i];
        must(file->name[0] != '.' && !strchr(file->name, '/') && strlen(file->name) >= 4);
        must(file->at + file->len <= bundle->texts.len && (file->len == 0 || !memchr(bundle->texts.data + file->at, 0, file->len)));
    }
}

/* But for what is finer than a millisecond, or no UTF-8. */
static void must_write(const struct wr_bundle *bundle) {
    const int64_t ms = WR_NS_PER_MS;
    struct wr_bundle *again = wr_bundle_new();
    struct wr_buf text;
    if (bundle->issued_wall_ns < 0 || bundle->issued_wall_ns / ms == bundle->expires_wall_ns / ms || bundle->issued_wall_ns % ms != 0 ||
        bundle->expires_wall_ns % ms != 0) {
        wr_bundle_free(again);
        return;
    }
    wr_buf_init(&text, 0);
    must(again && wr_bundle_write(bundle, &text) == WR_OK && wr_bundle_is(wr_buf_str(&text), text.len));
    must(wr_bundle_read(again, wr_buf_str(&text), text.len, NULL) == WR_OK);
    must(again->version == bundle->version && again->n_files == bundle->n_files && again->n_nodes == bundle->n_nodes);
    must(again->issued_wall_ns == bundle->issued_wall_ns && again->expires_wall_ns == bundle->expires_wall_ns);
    must(strcmp(again->key, bundle->key) == 0 && strcmp(again->site, bundle->site) == 0 && again->percent == bundle->percent);
    must(again->shadow == bundle->shadow);
    wr_buf_fini(&text);
    wr_bundle_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct wr_error err = {0};
    struct wr_bundle *bundle = wr_bundle_new();
    char *exact = malloc(size ? size : 1); /* a byte read behind it is found */
    must(exact && bundle);
    memcpy(exact, data, size);
    const bool is = wr_bundle_is(exact, size);
    const enum wr_result result = wr_bundle_read(bundle, exact, size, &err);
    free(exact);
    must(result == WR_OK || err.text[0]);
    if (result == WR_OK) {
        const struct wr_now now = {.wall_ns = bundle->expires_wall_ns, .wall_trusted = true};
        must(is);
        must_be_good(bundle);
        must(wr_bundle_flaw(bundle, "gw-7", "riga", &now, &err) != WR_REMOTE_DONE);
        must_write(bundle);
    }
    wr_bundle_free(bundle);
    return 0;
}
