/* Any bytes as the pages of a database that is broken. What the scan shows must be readable, and each page must come to an end. */
#include <stdlib.h>
#include <string.h>

#include "store/page_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t size;
    unsigned reads;
    uint32_t page_bytes;
};

static volatile uint64_t sink;

static void touch(const uint8_t *bytes, size_t len) {
    for (size_t i = 0; i < len; i++)
        sink += bytes[i];
}

static enum wr_result read_page(void *user, uint32_t page, uint8_t *bytes, struct wr_error *err) {
    struct input *input = user;
    (void)err;
    if (page == 0 || (size_t)(page - 1) * input->page_bytes >= input->size)
        return WR_EMPTY;
    if (input->reads++ > 4096)
        return WR_LIMIT; /* many cells, one long chain: slow, not endless */
    const size_t at = (size_t)(page - 1) * input->page_bytes;
    const size_t len = input->size - at < input->page_bytes ? input->size - at : input->page_bytes;
    memset(bytes, 0, input->page_bytes);
    memcpy(bytes, input->data + at, len);
    return WR_OK;
}

static enum wr_result on_row(void *user, const struct wr_page_row *row, struct wr_error *err) {
    (void)user, (void)err;
    touch(row->body, row->body_len);
    touch(row->accounts, row->accounts_len);
    return WR_OK;
}

static enum wr_result on_damaged(void *user) {
    (void)user;
    return WR_OK;
}

static enum wr_result on_account(void *user, int64_t id, const struct wr_account *name, struct wr_error *err) {
    (void)user, (void)err;
    sink += (uint64_t)id + strlen(name->source) + strlen(name->window);
    return WR_OK;
}

static enum wr_result on_boot(void *user, const struct wr_page_boot *boot, struct wr_error *err) {
    (void)user, (void)err;
    touch(boot->id, sizeof boot->id);
    sink += (uint64_t)boot->offset_ns + (uint64_t)boot->trusted_ns;
    return WR_OK;
}

static void scan(const uint8_t *data, size_t size, uint32_t page_bytes) {
    struct input input = {data, size, 0, page_bytes};
    const struct wr_page_visitor visitor = {&input, read_page, on_row, on_damaged, on_account, on_boot};
    struct wr_page_scan scan = {.page_bytes = page_bytes};
    enum wr_result result = WR_OK;
    for (uint32_t page = 1; result == WR_OK; page++)
        result = wr_page_scan_page(&scan, page, &visitor, NULL);
    if (result != WR_EMPTY && result != WR_LIMIT)
        abort();
    wr_page_scan_fini(&scan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    scan(data, size, 2048);
    scan(data, size, 4096);
    return 0;
}
