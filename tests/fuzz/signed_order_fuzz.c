/* Any bytes as the envelope of a signed command: whole, with all that is needed, or a reason; the same twice. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/control/signed_order.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds) {
    if (!holds)
        abort();
}

static void must_end(const char *text, size_t size) {
    must(memchr(text, 0, size) != NULL);
}

static struct wr_signed_order read, again;

/* What was read is written, and read again, but for what is finer than a millisecond. */
static void must_write(void) {
    struct wr_buf text;
    const int64_t ms = WR_NS_PER_MS;
    if (read.issued_wall_ns < 0 || read.issued_wall_ns / ms == read.expires_wall_ns / ms)
        return;
    if (read.order.until_wall_ns != 0 && read.order.until_wall_ns < ms)
        return;
    wr_buf_init(&text, 0);
    memset(&again, 0, sizeof again);
    must(wr_signed_order_write(&read, &text) == WR_OK);
    must(wr_signed_order_read(&again, (const char *)text.data, text.len, NULL) == WR_OK);
    wr_buf_fini(&text);
    must(again.issued_wall_ns / ms == read.issued_wall_ns / ms && again.expires_wall_ns / ms == read.expires_wall_ns / ms);
    must(again.order.until_wall_ns / ms == read.order.until_wall_ns / ms);
    again.issued_wall_ns = read.issued_wall_ns;
    again.expires_wall_ns = read.expires_wall_ns;
    again.order.until_wall_ns = read.order.until_wall_ns;
    must(memcmp(&read, &again, sizeof read) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct wr_error err = {0};
    char *exact = malloc(size ? size : 1); /* a byte read behind it is found */
    must(exact != NULL);
    memcpy(exact, data, size);
    memset(&read, 0, sizeof read);
    memset(&again, 0, sizeof again);
    const enum wr_result result = wr_signed_order_read(&read, exact, size, &err);
    must(wr_signed_order_read(&again, exact, size, NULL) == result);
    free(exact);
    must(result == WR_OK || (result == WR_INVALID && err.text[0]));
    must_end(read.node, sizeof read.node);
    must_end(read.site, sizeof read.site);
    must_end(read.order.key, sizeof read.order.key);
    if (result != WR_OK)
        return 0;
    must(memcmp(&read, &again, sizeof read) == 0);
    must(read.order.verb && read.order.key[0] && read.order.by_whom[0] && wr_order_flaw(&read.order) == WR_ORDER_FINE);
    must(read.expires_wall_ns > read.issued_wall_ns);
    const struct wr_now now = {.wall_ns = read.expires_wall_ns, .wall_trusted = true};
    must(wr_signed_order_flaw(&read, read.node, read.site, &now, &err) == WR_SIGNED_ORDER_EXPIRED);
    must_write();
    return 0;
}
