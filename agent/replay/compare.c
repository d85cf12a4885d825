#include "agent/replay/compare.h"

#include <stddef.h>
#include <string.h>

struct comparing {
    struct wr_compare_sum sum;
    wr_compare_tell *tell;
    void *user;
};

static const struct wr_tally_episode *episode_at(const struct wr_tally *tally, uint32_t index) {
    return index == WR_TALLY_NONE ? NULL : &tally->episodes[index];
}

static void tell(struct comparing *comparing, const struct wr_tally_alarm *alarm, const struct wr_tally_episode *new_one,
                 const struct wr_tally_episode *old_one) {
    if (comparing->tell)
        comparing->tell(comparing->user, alarm, new_one, old_one);
}

static void pair(struct comparing *comparing, const struct wr_tally_alarm *alarm, const struct wr_tally_episode *new_one,
                 const struct wr_tally_episode *old_one) {
    struct wr_compare_sum *sum = &comparing->sum;
    const int64_t shift_ns = new_one->start_ns - old_one->start_ns;
    const int64_t size_ns = shift_ns < 0 ? -shift_ns : shift_ns;
    const int64_t most_ns = sum->shift_most_ns < 0 ? -sum->shift_most_ns : sum->shift_most_ns;
    sum->both++;
    sum->shift_ns += shift_ns;
    if (size_ns > most_ns)
        sum->shift_most_ns = shift_ns;
    if (shift_ns == 0)
        return;
    sum->moved++;
    tell(comparing, alarm, new_one, old_one);
}

/* One alarm of both; either may be NULL. */
static void compare_alarm(struct comparing *comparing, const struct wr_tally *new_tally, const struct wr_tally_alarm *new_alarm,
                          const struct wr_tally *old_tally, const struct wr_tally_alarm *old_alarm) {
    const struct wr_tally_alarm *alarm = new_alarm ? new_alarm : old_alarm;
    const struct wr_tally_episode *mine = new_alarm ? episode_at(new_tally, new_alarm->first_episode) : NULL;
    const struct wr_tally_episode *other = old_alarm ? episode_at(old_tally, old_alarm->first_episode) : NULL;
    while (mine || other) {
        const bool both = mine && other && mine->start_ns <= other->end_ns && other->start_ns <= mine->end_ns;
        const bool mine_first = mine && (!other || mine->end_ns < other->start_ns);
        if (both) {
            pair(comparing, alarm, mine, other);
        } else if (mine_first) {
            comparing->sum.only_new++;
            tell(comparing, alarm, mine, NULL);
        } else {
            comparing->sum.only_old++;
            tell(comparing, alarm, NULL, other);
        }
        if (both || mine_first)
            mine = episode_at(new_tally, mine->next);
        if (both || !mine_first)
            other = other ? episode_at(old_tally, other->next) : NULL;
    }
}

struct wr_compare_sum wr_compare_rule(const struct wr_tally *new_tally, const struct wr_tally *old_tally, const char *rule,
                                      wr_compare_tell *told, void *user) {
    struct comparing comparing = {.tell = told, .user = user};
    uint32_t i, k, n_new, n_old;
    (void)wr_tally_rule(new_tally, rule, &i, &n_new);
    (void)wr_tally_rule(old_tally, rule, &k, &n_old);
    n_new += i;
    n_old += k;
    while (i < n_new || k < n_old) {
        const struct wr_tally_alarm *mine = i < n_new ? &new_tally->alarms[i] : NULL;
        const struct wr_tally_alarm *other = k < n_old ? &old_tally->alarms[k] : NULL;
        const int order = !mine ? 1 : !other ? -1 : strcmp(mine->instance, other->instance);
        compare_alarm(&comparing, new_tally, order <= 0 ? mine : NULL, old_tally, order >= 0 ? other : NULL);
        i += order <= 0;
        k += order >= 0;
    }
    return comparing.sum;
}
