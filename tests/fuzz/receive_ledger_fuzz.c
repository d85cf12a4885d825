/* A ledger record, at the central side: any JSON object. What is taken has books that add up to those of the record. */
#include <stdlib.h>
#include <string.h>

#include "agent/codec/json_scan.h"
#include "agent/receive/ledger.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
    if (!holds)
        abort();
}

struct sums {
    uint32_t n;
    uint64_t books[WR_BOOKS];
};

static enum wr_result add(void *user, const struct wr_account *account, const uint64_t *books) {
    struct sums *sums = user;
    must(memchr(account->source, '\0', sizeof account->source) && memchr(account->window, '\0', sizeof account->window));
    sums->n++;
    for (unsigned book = 0; book < WR_BOOKS && strcmp(account->window, WR_LEDGER_INTAKE) != 0; book++)
        sums->books[book] += books[book];
    return WR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *copy = malloc(size + 1); /* so that a step behind the end is seen */
    must(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    struct wr_json_scan scan = wr_json_scan_begin(copy, copy + size, true);
    struct wr_word object;
    struct wr_receive_ledger ledger;
    struct sums sums = {0};
    struct wr_error err;
    if (size > 0 && wr_json_scan_check(&scan, &object) == WR_JSON_FOUND && object.text[0] == '{') {
        const enum wr_result result = wr_receive_ledger_read(object.text, object.len, add, &sums, &ledger, &err);
        must(result == WR_OK || result == WR_NOT_FOUND || result == WR_INVALID);
        if (result == WR_OK)
            must(ledger.cut > 0 && ledger.n == sums.n && memcmp(ledger.books, sums.books, sizeof sums.books) == 0);
    }
    free(copy);
    return 0;
}
