#include "rules/evaluator/evaluator_memory.h"

#include <stdlib.h>
#include <string.h>

#include "rules/evaluator/evaluator_private.h"
#include "rules/operators/kind.h"

/* A saved state is the block of its operator, behind a struct wr_memory_head. */
#define MEMORY_VERSION 2
#define WAIT_NS (INT64_C(86400) * WR_NS_PER_S) /* for a signal that may never come; a longer window as long as it is */
#define WAITS_MAX 16                           /* starts */
#define DROP_BUCKETS 16                        /* a call */

/* A state that waits for its signal. */
struct wr_recalled {
    uint64_t key;
    struct wr_recalled *next;
    size_t len;
    int64_t until_boot_ns; /* 0: not known yet */
    _Alignas(8) uint8_t body[];
};

/* -- keys --------------------------------------------------------------------------------------------------------------------------------- */

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len) {
    const uint8_t *at = bytes;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ at[i]) * 1099511628211u; /* FNV-1a */
    return hash;
}

static uint64_t hash_text(uint64_t hash, const char *text) {
    return hash_bytes(hash, text, strlen(text) + 1);
}

/* All that makes two specs the same. */
static uint64_t hash_spec(uint64_t hash, const struct wr_operator_spec *spec) {
    hash = hash_text(hash, spec->kind->name);
    hash = hash_bytes(hash, &spec->span_ns, sizeof spec->span_ns);
    hash = hash_bytes(hash, &spec->step_ns, sizeof spec->step_ns);
    hash = hash_bytes(hash, &spec->count, sizeof spec->count);
    hash = hash_bytes(hash, &spec->capacity, sizeof spec->capacity);
    hash = hash_bytes(hash, spec->numbers, sizeof spec->numbers);
    const double of_point[] = {spec->low, spec->high, spec->resolution, spec->wrap};
    hash = hash_bytes(hash, of_point, sizeof of_point);
    hash = hash_bytes(hash, &spec->every_ns, sizeof spec->every_ns);
    const uint8_t flags[] = {spec->counter, spec->every_sample};
    hash = hash_bytes(hash, flags, sizeof flags);
    return hash_bytes(hash, &spec->bytes, sizeof spec->bytes);
}

static uint64_t key_of(const struct wr_evaluator *evaluator, uint32_t id, const struct wr_operator_spec *spec) {
    uint64_t hash = 14695981039346656037u;
    if (id & WR_SIGNAL_NODE) {
        const struct wr_instance *owner = &evaluator->instances[wr_signal_at(evaluator, id)->owner];
        hash = hash_text(hash, wr_instance_rule(evaluator, owner)->canonical);
        hash = hash_text(hash, owner->text);
    } else {
        const struct wr_series *series = wr_series_get(evaluator->table, id);
        hash = hash_bytes(hash, series->key, series->key_len);
    }
    return hash_spec(hash, spec);
}

/* -- out ---------------------------------------------------------------------------------------------------------------------------------- */

/* What still waits for its signal is kept for another time. */
static bool next_recalled(const struct wr_evaluator *evaluator, uint32_t first, uint64_t *cursor, struct wr_evaluator_memory *ret_memory) {
    uint32_t bucket = (uint32_t)(*cursor >> 32) - first, place = (uint32_t)*cursor;
    for (; evaluator->recalled && bucket < WR_RECALLED_BUCKETS; bucket++, place = 0) {
        const struct wr_recalled *recalled = evaluator->recalled[bucket];
        for (uint32_t i = 0; recalled && i < place; i++)
            recalled = recalled->next;
        if (!recalled)
            continue;
        *cursor = (uint64_t)(first + bucket) << 32 | (place + 1);
        *ret_memory = (struct wr_evaluator_memory){.key = recalled->key, .body = recalled->body, .len = recalled->len};
        return true;
    }
    return false;
}

/* The cursor is the signal in its upper half, the operator in the lower; outputs of nodes come after the series, then what waits, by bucket. */
bool wr_evaluator_next_memory(const struct wr_evaluator *evaluator, uint64_t *cursor, struct wr_evaluator_memory *ret_memory) {
    const uint32_t n_signals = evaluator->attached + evaluator->n_outputs;
    for (;;) {
        uint32_t index = (uint32_t)(*cursor >> 32);
        uint32_t op = (uint32_t)*cursor;
        if (index >= n_signals)
            return next_recalled(evaluator, n_signals, cursor, ret_memory);
        uint32_t id = index < evaluator->attached ? index : (index - evaluator->attached) | WR_SIGNAL_NODE;
        const struct wr_signal *signal = wr_signal_at(evaluator, id);
        if (!signal || op >= signal->n_operators) {
            *cursor = (uint64_t)(index + 1) << 32;
            continue;
        }
        (*cursor)++;
        struct wr_signal_operator *kept = signal->operators[op];
        kept->head = (struct wr_memory_head){.version = MEMORY_VERSION, .bytes = kept->spec.bytes, .span_ns = kept->spec.span_ns};
        *ret_memory = (struct wr_evaluator_memory){
            .key = key_of(evaluator, id, &kept->spec), .body = (const uint8_t *)&kept->head, .len = sizeof kept->head + kept->spec.bytes};
        return true;
    }
}

/* -- back --------------------------------------------------------------------------------------------------------------------------------- */

static bool take_over(struct wr_signal_operator *op, const uint8_t *body, size_t len) {
    struct wr_memory_head head;
    memcpy(&head, body, sizeof head);
    if (head.version != MEMORY_VERSION || head.bytes != op->spec.bytes || len != sizeof head + head.bytes ||
        !wr_operator_is_valid(&op->spec, body + sizeof head, head.bytes))
        return false;
    memcpy(op->state, body + sizeof head, head.bytes);
    return true;
}

void wr_evaluator_remember(struct wr_evaluator *evaluator, uint32_t id, struct wr_signal_operator *op) {
    if (!evaluator->recalled)
        return;
    const uint64_t key = key_of(evaluator, id, &op->spec);
    for (struct wr_recalled **at = &evaluator->recalled[key % WR_RECALLED_BUCKETS]; *at; at = &(*at)->next) {
        struct wr_recalled *recalled = *at;
        if (recalled->key != key)
            continue;
        if (take_over(op, recalled->body, recalled->len))
            (void)wr_operator_add(&op->spec, op->state, 0, NAN); /* downtime is unknown */
        else
            wr_operator_init(&op->spec, op->state);
        *at = recalled->next;
        evaluator->recalled_bytes -= recalled->len;
        free(recalled);
        return;
    }
}

enum wr_result wr_evaluator_recall(struct wr_evaluator *evaluator, uint64_t key, const uint8_t *body, size_t len) {
    if (len <= sizeof(struct wr_memory_head) || len > sizeof(struct wr_memory_head) + WR_OPERATOR_BYTES_MAX)
        return WR_CORRUPT;
    if (evaluator->recalled_bytes + len > WR_EVALUATOR_MEMORY_MAX)
        return WR_LIMIT;
    struct wr_memory_head head;
    memcpy(&head, body, sizeof head);
    head.waits++;
    if (head.version == MEMORY_VERSION && head.waits > WAITS_MAX)
        return WR_LIMIT;
    if (!evaluator->recalled)
        evaluator->recalled = calloc(WR_RECALLED_BUCKETS, sizeof(struct wr_recalled *));
    struct wr_recalled *recalled = evaluator->recalled ? malloc(sizeof *recalled + len) : NULL;
    if (!recalled)
        return WR_NO_MEMORY;
    recalled->key = key;
    recalled->len = len;
    recalled->until_boot_ns = 0;
    memcpy(recalled->body, &head, sizeof head);
    memcpy(recalled->body + sizeof head, body + sizeof head, len - sizeof head);
    recalled->next = evaluator->recalled[key % WR_RECALLED_BUCKETS];
    evaluator->recalled[key % WR_RECALLED_BUCKETS] = recalled;
    evaluator->recalled_bytes += len;
    return WR_OK;
}

/* How long one waits: of another version as long as any. */
static int64_t wait_of(const struct wr_recalled *recalled) {
    struct wr_memory_head head;
    memcpy(&head, recalled->body, sizeof head);
    return head.version == MEMORY_VERSION && head.span_ns > WAIT_NS ? head.span_ns : WAIT_NS;
}

static uint32_t drop_bucket(struct wr_evaluator *evaluator, struct wr_recalled **at, int64_t boot_ns) {
    uint32_t dropped = 0;
    while (*at) {
        struct wr_recalled *recalled = *at;
        if (recalled->until_boot_ns == 0)
            recalled->until_boot_ns = wr_clock_add_ns(boot_ns, wait_of(recalled));
        if (boot_ns < recalled->until_boot_ns) {
            at = &recalled->next;
            continue;
        }
        *at = recalled->next;
        evaluator->recalled_bytes -= recalled->len;
        free(recalled);
        dropped++;
    }
    return dropped;
}

uint32_t wr_evaluator_drop_recalled(struct wr_evaluator *evaluator, int64_t boot_ns) {
    uint32_t dropped = 0;
    for (uint32_t i = 0; evaluator->recalled && i < DROP_BUCKETS; i++) {
        dropped += drop_bucket(evaluator, &evaluator->recalled[evaluator->drop_bucket], boot_ns);
        evaluator->drop_bucket = (evaluator->drop_bucket + 1) % WR_RECALLED_BUCKETS;
    }
    return dropped;
}

void wr_evaluator_forget_recalled(struct wr_evaluator *evaluator) {
    for (uint32_t i = 0; evaluator->recalled && i < WR_RECALLED_BUCKETS; i++)
        while (evaluator->recalled[i]) {
            struct wr_recalled *next = evaluator->recalled[i]->next;
            free(evaluator->recalled[i]);
            evaluator->recalled[i] = next;
        }
    free(evaluator->recalled);
    evaluator->recalled = NULL;
    evaluator->recalled_bytes = 0;
}
