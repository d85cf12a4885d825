/* A test of rules as it is compiled: what is given, done and expected, each with its place in the file.
 *
 * Ownership: everything lives in the arena of the rule set (or of whoever made it), and is read only.
 * Units: times are nanoseconds since the start of the test. Limits: WR_TEST_SAMPLES samples and WR_TEST_SERIES series in one test, WR_TEST_DAYS days.
 */
#ifndef WEIR_RULES_TESTING_SCENARIO_H
#define WEIR_RULES_TESTING_SCENARIO_H

#include <stdbool.h>
#include <stdint.h>

#include "core/alarm.h"
#include "rules/diagnostics/diagnostics.h"
#include "rules/language/selector.h"

#define WR_TEST_SAMPLES 5000000
#define WR_TEST_SERIES 2000
#define WR_TEST_DAYS 3660
#define WR_TEST_EVERY_NS (30 * INT64_C(1000000000))   /* unless the test says otherwise */
#define WR_TEST_START_NS INT64_C(1767571200000000000) /* 2026-01-05T00:00:00Z, a Monday */

/* -- given ---------------------------------------------------------------------------------------------------------------------------- */

enum wr_sample_kind {
    WR_SAMPLE_MISSING, /* nothing comes */
    WR_SAMPLE_NUMBER,  /* from .. to in even steps */
    WR_SAMPLE_TRUTH,
    WR_SAMPLE_TEXT,
    WR_SAMPLE_NAN,
    WR_SAMPLE_BAD, /* a number that its source marks as bad */
    WR_SAMPLE_CSV, /* a column of a file */
};

/* One word of the notation: n samples of one sort. */
struct wr_sample_run {
    enum wr_sample_kind kind;
    uint32_t n; /* of a CSV 0: its rows */
    double from;
    double to;
    double noise; /* at most so much more or less */
    uint8_t decimals;
    bool truth;
    int64_t late_ns;  /* stamped so long before it arrives */
    const char *text; /* a text; of a CSV its file */
    const char *column;
    uint32_t offset; /* where it stands in the values, in bytes */
    uint32_t len;
    struct wr_position at;
};

struct wr_test_series {
    const char *shown; /* as written */
    const char *key;   /* core/series.h */
    uint32_t key_len;
    int64_t every_ns;
    uint32_t n_runs;
    struct wr_sample_run *runs;
    struct wr_position at;
};

/* -- do ------------------------------------------------------------------------------------------------------------------------------- */

/* What happens to the agent, beside what operators do. */
enum wr_test_event { WR_TEST_RESTART = 64, WR_TEST_RELOAD };

struct wr_test_do {
    int64_t t_ns;
    int kind;          /* enum wr_alarm_command_kind, or wr_test_event */
    const char *alarm; /* as written; NULL: an event */
    const char *who;
    const char *why;
    int64_t for_ns;
    struct wr_position at;
};

/* -- expect --------------------------------------------------------------------------------------------------------------------------- */

enum wr_expect_kind {
    WR_EXPECT_ALARM,  /* what one alarm is like at t */
    WR_EXPECT_NONE,   /* no alarm of a rule is active at t */
    WR_EXPECT_COUNT,  /* how many transitions until t */
    WR_EXPECT_ACTION, /* an action is run at t, or so many until t */
    WR_EXPECT_POINT,  /* the value of a derived point at t */
    WR_EXPECT_FIRING, /* exactly these alarms of a rule are active at t */
};

/* What is said of an alarm: one bit each; also the index of its place. */
enum wr_expect_what {
    WR_EXPECT_STATE,
    WR_EXPECT_SEVERITY,
    WR_EXPECT_LEVEL,
    WR_EXPECT_DATA,
    WR_EXPECT_MESSAGE,
    WR_EXPECT_VALUE,
    WR_EXPECT_SILENT,
    WR_EXPECT_ACKED,
    WR_EXPECT_HISTORIC,
    WR_EXPECT_WHATS,
};

struct wr_test_expect {
    enum wr_expect_kind kind;
    int64_t t_ns;
    bool exact; /* of an action: at t, not up to it */
    /* Which alarm: a rule's name, with labels or without; or which series of a derived point. */
    const char *alarm;
    const struct wr_selector *selector;
    uint32_t what; /* 1u << enum wr_expect_what */
    enum wr_alarm_state state;
    enum wr_severity severity;
    const char *level;
    enum wr_alarm_data data;
    const char *message; /* a glob */
    double value;        /* of a point NaN: unknown */
    double within;       /* of a point: so much more or less; below 0: to six digits */
    uint8_t silent;      /* enum wr_alarm_silence, the bits that are set */
    bool acked;
    bool historic;
    uint32_t count;
    enum wr_alarm_cause cause;
    int action; /* enum wr_action_kind */
    /* WR_EXPECT_FIRING */
    uint32_t n_firing;
    const struct wr_test_firing *firing;
    struct wr_position at;
    struct wr_position places[WR_EXPECT_WHATS];
    struct wr_position count_at;
};

struct wr_test_firing {
    const struct wr_selector *selector;
    const char *shown;
    bool has_severity;
    enum wr_severity severity;
    struct wr_position at;
};

/* -- all ------------------------------------------------------------------------------------------------------------------------------ */

struct wr_test {
    struct wr_test *next; /* in the order of the files */
    const char *name;
    const char *file;
    struct wr_position at;
    uint32_t n_rules; /* 0: all */
    const char **rules;
    int64_t start_ns; /* wall time */
    uint32_t n_given;
    struct wr_test_series *given;
    uint32_t n_dos; /* sorted by time */
    struct wr_test_do *dos;
    uint32_t n_expects; /* sorted by time */
    struct wr_test_expect *expects;
};

#endif
