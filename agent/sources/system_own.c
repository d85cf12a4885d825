/* The agent's own numbers as series `weir.*`: what /metrics shows, and the ledger. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/sources/system_private.h"

#define LEDGER_WAIT_NS (1 * WR_NS_PER_S) /* for the store's thread; without its answer the round has no ledger */

/* Labels as the exposition writes them, name="value",...; a quote or backslash in a value (the name of a rule) stays escaped. */
static void put_labels(struct wr_sample *sample, const char *labels) {
    for (const char *at = labels; *at;) {
        const char *equals = strchr(at, '=');
        if (!equals || equals[1] != '"')
            return;
        const char *end = equals + 2;
        while (*end && *end != '"')
            end += end[0] == '\\' && end[1] ? 2 : 1;
        wr_sample_tag_word(sample, (struct wr_word){at, (size_t)(equals - at)}, (struct wr_word){equals + 2, (size_t)(end - equals - 2)});
        at = *end ? end + 1 : end;
        at += *at == ',';
    }
}

/* A reason for which nothing was ever dropped or refused is no series: there are sixteen of them a source. */
static bool is_idle(const struct wr_metric_value *value) {
    return value->kind == WR_METRIC_COUNTER && value->whole && value->count == 0 && strstr(value->labels, "reason=\"");
}

static void put_metric(void *user, const struct wr_metric_value *value) {
    struct wr_system *system = user;
    struct wr_sample *sample = &system->sample;
    const char *name = strncmp(value->name, "weir_", 5) == 0 ? value->name + 5 : value->name;
    if (is_idle(value))
        return;
    wr_sample_begin(sample, "weir");
    put_labels(sample, value->labels);
    if (value->histogram) {
        static const char *const endings[] = {"count", "p50", "p99"};
        for (size_t i = 0; i < 3; i++)
            snprintf(system->histogram_names[i], sizeof system->histogram_names[i], "%.80s_%s", name, endings[i]);
        wr_sample_uint(sample, system->histogram_names[0], value->histogram->count);
        wr_sample_float(sample, system->histogram_names[1], (double)wr_histogram_quantile(value->histogram, 0.5) / 1e9, 6);
        wr_sample_float(sample, system->histogram_names[2], (double)wr_histogram_quantile(value->histogram, 0.99) / 1e9, 6);
    } else if (value->whole) {
        wr_sample_uint(sample, name, value->count);
    } else {
        wr_sample_float(sample, name, value->number, 3);
    }
    wr_sample_send(sample);
}

/* What is open is what came in and did not go out: of an account what is in windows or on its way to the disk, of an intake account what is in the
 * channel. `weir audit` counts it. */
static void put_account(struct wr_system *system, const struct wr_account_balance *balance) {
    struct wr_sample *sample = &system->sample;
    const bool intake = strcmp(balance->account.window, WR_LEDGER_INTAKE) == 0;
    const uint64_t taken = balance->books[WR_BOOK_TAKEN];
    const uint64_t dropped = wr_balance_dropped(balance);
    const uint64_t in = intake ? balance->books[WR_BOOK_RECEIVED] : taken;
    const uint64_t out = intake ? taken : wr_balance_held(balance) + balance->books[WR_BOOK_DELIVERED];
    wr_sample_begin(sample, "weir");
    wr_sample_tag(sample, "source", balance->account.source);
    wr_sample_tag(sample, "window", balance->account.window);
    if (intake)
        wr_sample_uint(sample, "ledger_received", in);
    wr_sample_uint(sample, "ledger_taken", taken);
    wr_sample_uint(sample, "ledger_open", in > out + dropped ? in - out - dropped : 0);
    wr_sample_uint(sample, "ledger_dropped", dropped);
    if (!intake) {
        wr_sample_uint(sample, "ledger_held", wr_balance_held(balance));
        wr_sample_uint(sample, "ledger_delivered", balance->books[WR_BOOK_DELIVERED]);
        wr_sample_uint(sample, "ledger_bad", balance->books[WR_BOOK_BAD]);
    }
    wr_sample_send(sample);
}

static void put_ledger(struct wr_system *system) {
    const struct wr_source_env *env = &system->source.env;
    struct wr_account_balance *balances;
    uint32_t n;
    if (!env->balances || env->balances(env->agent, wr_clock_boot_ns(wr_clock_real()) + LEDGER_WAIT_NS, &balances, &n) != WR_OK)
        return;
    for (uint32_t i = 0; i < n; i++)
        put_account(system, &balances[i]);
    free(balances);
}

bool wr_system_own(struct wr_system *system) {
    if (!system->source.env.metrics)
        return false;
    wr_metrics_walk(system->source.env.metrics, put_metric, system);
    put_ledger(system);
    return true;
}
