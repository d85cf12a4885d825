/* Any bytes as an operator's command over HTTP (the first says which): an order that is whole, or a reason; the same twice, and every text within its bounds. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/control/order_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds) {
    if (!holds)
        abort();
}

static enum wr_result read_order(const char *verb, const char *text, size_t len, struct wr_order *order, struct wr_error *err) {
    char *exact = malloc(len + 1); /* a byte read behind it is found */
    must(exact != NULL);
    exact = realloc(exact, len ? len : 1);
    must(exact != NULL);
    memcpy(exact, text, len);
    memset(order, 0, sizeof *order);
    order->verb = wr_order_verb_of(verb);
    must(order->verb != NULL);
    enum wr_result result = wr_order_from_json(order, exact, len, err);
    free(exact);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const verbs[] = {"ack", "reset", "shelve", "unshelve", "oos", "return"};
    static struct wr_order order, again;
    struct wr_error err = {0};
    if (size == 0)
        return 0;
    const char *verb = verbs[data[0] % 6];
    const char *text = (const char *)data + (data[0] < 6 ? 1 : 0);
    const size_t len = size - (data[0] < 6 ? 1 : 0);
    const enum wr_result result = read_order(verb, text, len, &order, &err);
    must(read_order(verb, text, len, &again, NULL) == result);
    must(result == WR_OK || (result == WR_INVALID && err.text[0] != '\0'));
    if (result != WR_OK)
        return 0;
    must(memcmp(&order, &again, sizeof order) == 0);
    must(order.alarm[0] && order.by_whom[0] && wr_order_flaw(&order) == WR_ORDER_FINE);
    must(memchr(order.alarm, 0, sizeof order.alarm) && memchr(order.by_whom, 0, sizeof order.by_whom));
    must(memchr(order.why, 0, sizeof order.why) && memchr(order.key, 0, sizeof order.key));
    for (const char *p = order.why; *p; p++)
        must((unsigned char)*p >= ' ' && *p != 0x7f);
    return 0;
}
