#include "agent/replay/tally.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_BUCKETS 256

void wr_tally_init(struct wr_tally *tally, bool keep_episodes) {
    *tally = (struct wr_tally){.keep_episodes = keep_episodes};
}

void wr_tally_fini(struct wr_tally *tally) {
    for (uint32_t i = 0; i < tally->n; i++) {
        free(tally->alarms[i].rule);
        free(tally->alarms[i].instance);
    }
    free(tally->alarms);
    free(tally->buckets);
    free(tally->episodes);
    *tally = (struct wr_tally){0};
}

/* -- alarms by id -------------------------------------------------------------------------------------------------------------------------- */

static uint32_t *bucket_of(const struct wr_tally *tally, uint64_t id) {
    uint32_t at = (uint32_t)(id ^ id >> 32) & (tally->n_buckets - 1);
    while (tally->buckets[at] != 0 && tally->alarms[tally->buckets[at] - 1].id != id)
        at = (at + 1) & (tally->n_buckets - 1);
    return &tally->buckets[at];
}

static bool grow_buckets(struct wr_tally *tally) {
    if (tally->n_buckets > 2 * tally->n)
        return true;
    const uint32_t n = tally->n_buckets > 0 ? 2 * tally->n_buckets : FIRST_BUCKETS;
    uint32_t *buckets = calloc(n, sizeof *buckets);
    if (!buckets)
        return false;
    free(tally->buckets);
    tally->buckets = buckets;
    tally->n_buckets = n;
    for (uint32_t i = 0; i < tally->n; i++)
        *bucket_of(tally, tally->alarms[i].id) = i + 1;
    return true;
}

static bool grow_alarms(struct wr_tally *tally) {
    if (tally->n < tally->cap)
        return true;
    const uint32_t cap = tally->cap > 0 ? 2 * tally->cap : 64;
    struct wr_tally_alarm *alarms = realloc(tally->alarms, cap * sizeof *alarms);
    if (!alarms)
        return false;
    tally->alarms = alarms;
    tally->cap = cap;
    return true;
}

/* NULL: no memory. */
static struct wr_tally_alarm *find_alarm(struct wr_tally *tally, const struct wr_alarm *alarm) {
    if (!grow_buckets(tally))
        return NULL;
    uint32_t *bucket = bucket_of(tally, alarm->id);
    if (*bucket != 0)
        return &tally->alarms[*bucket - 1];
    struct wr_tally_alarm fresh = {.id = alarm->id,
                                   .rule = strdup(alarm->rule),
                                   .instance = strdup(alarm->instance),
                                   .first_episode = WR_TALLY_NONE,
                                   .last_episode = WR_TALLY_NONE};
    if (!fresh.rule || !fresh.instance || !grow_alarms(tally)) {
        free(fresh.rule);
        free(fresh.instance);
        return NULL;
    }
    tally->alarms[tally->n] = fresh;
    *bucket = tally->n + 1;
    return &tally->alarms[tally->n++];
}

/* -- episodes ------------------------------------------------------------------------------------------------------------------------------ */

static void add_episode(struct wr_tally *tally, struct wr_tally_alarm *alarm, int64_t start_ns) {
    if (!tally->keep_episodes)
        return;
    if (tally->n_episodes == WR_TALLY_EPISODES) {
        tally->episodes_left_out++;
        return;
    }
    if (tally->n_episodes == tally->cap_episodes) {
        const uint32_t cap = tally->cap_episodes > 0 ? 2 * tally->cap_episodes : 256;
        struct wr_tally_episode *episodes = realloc(tally->episodes, cap * sizeof *episodes);
        if (!episodes) {
            tally->out_of_memory = true;
            return;
        }
        tally->episodes = episodes;
        tally->cap_episodes = cap;
    }
    tally->episodes[tally->n_episodes] = (struct wr_tally_episode){start_ns, INT64_MAX, WR_TALLY_NONE};
    if (alarm->last_episode == WR_TALLY_NONE)
        alarm->first_episode = tally->n_episodes;
    else
        tally->episodes[alarm->last_episode].next = tally->n_episodes;
    alarm->last_episode = tally->n_episodes++;
}

static void begin(struct wr_tally *tally, struct wr_tally_alarm *alarm, int64_t at_ns) {
    if (alarm->sum.raised++ == 0)
        alarm->sum.first_ns = at_ns;
    alarm->sum.last_ns = at_ns;
    alarm->active = true;
    alarm->told = false;
    alarm->since_ns = at_ns;
    add_episode(tally, alarm, at_ns);
}

static void end(struct wr_tally *tally, struct wr_tally_alarm *alarm, int64_t at_ns) {
    const int64_t length_ns = at_ns > alarm->since_ns ? at_ns - alarm->since_ns : 0;
    alarm->active = false;
    alarm->sum.active_ns += length_ns;
    if (length_ns > alarm->sum.longest_ns)
        alarm->sum.longest_ns = length_ns;
    if (alarm->last_episode != WR_TALLY_NONE && tally->episodes[alarm->last_episode].start_ns == alarm->since_ns)
        tally->episodes[alarm->last_episode].end_ns = at_ns;
}

/* Whether somebody hears that the alarm is there: at its raise, or later when a silence ends or live data follows old data. */
static bool is_told(const struct wr_alarm *alarm) {
    const bool calls = alarm->cause == WR_ALARM_RAISED || alarm->cause == WR_ALARM_ESCALATED || alarm->cause == WR_ALARM_REPEATED;
    return calls && !alarm->historic && wr_alarm_is_annunciated(alarm);
}

void wr_tally_take(struct wr_tally *tally, const struct wr_alarm *alarm) {
    const bool active = alarm->to == WR_ALARM_UNACK || alarm->to == WR_ALARM_ACKED;
    struct wr_tally_alarm *known = find_alarm(tally, alarm);
    if (!known) {
        tally->out_of_memory = true;
        return;
    }
    if (active && !known->active)
        begin(tally, known, alarm->wall_ns);
    else if (!active && known->active)
        end(tally, known, alarm->wall_ns);
    if (active && !known->told && is_told(alarm)) {
        known->told = true;
        known->sum.told++;
    }
}

/* -- the end ------------------------------------------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b) {
    const struct wr_tally_alarm *left = a;
    const struct wr_tally_alarm *right = b;
    const int rules = strcmp(left->rule, right->rule);
    return rules != 0 ? rules : strcmp(left->instance, right->instance);
}

enum wr_result wr_tally_close(struct wr_tally *tally, int64_t end_ns) {
    for (uint32_t i = 0; i < tally->n; i++)
        if (tally->alarms[i].active) {
            end(tally, &tally->alarms[i], end_ns);
            tally->alarms[i].sum.lasts = true;
        }
    if (tally->n > 1)
        qsort(tally->alarms, tally->n, sizeof *tally->alarms, by_name);
    free(tally->buckets); /* they name places that are others' now */
    tally->buckets = NULL;
    tally->n_buckets = 0;
    return tally->out_of_memory ? WR_NO_MEMORY : WR_OK;
}

static void add_sum(struct wr_tally_sum *sum, const struct wr_tally_sum *more) {
    if (more->raised == 0)
        return;
    if (sum->raised == 0 || more->first_ns < sum->first_ns)
        sum->first_ns = more->first_ns;
    if (sum->raised == 0 || more->last_ns > sum->last_ns)
        sum->last_ns = more->last_ns;
    sum->raised += more->raised;
    sum->told += more->told;
    sum->active_ns += more->active_ns;
    sum->longest_ns = more->longest_ns > sum->longest_ns ? more->longest_ns : sum->longest_ns;
    sum->lasts |= more->lasts;
}

struct wr_tally_sum wr_tally_rule(const struct wr_tally *tally, const char *rule, uint32_t *ret_first, uint32_t *ret_n) {
    struct wr_tally_sum sum = {0};
    uint32_t low = 0;
    uint32_t high = tally->n;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (strcmp(tally->alarms[middle].rule, rule) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_first = low;
    while (low < tally->n && strcmp(tally->alarms[low].rule, rule) == 0)
        add_sum(&sum, &tally->alarms[low++].sum);
    *ret_n = low - *ret_first;
    return sum;
}
