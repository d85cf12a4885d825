/* The rule set: rule files, checked whole and compiled, immutable from then on.
 *
 * Promise: all errors of all files at once, each with its place; a rule set exists only when there are none. What the language has but this
 * version cannot do is an error that says so, never ignored. Warnings (lint) do not stop anything.
 * Threads: loading runs on whichever thread asks; a loaded set may be read by all. Ownership: the caller frees it, after the evaluators made
 * for it. Limits: WR_RULESET_RULES rules, WR_RULESET_POINTS points, 8 series and 8 windows a rule.
 */
#ifndef WEIR_RULES_COMPILE_RULESET_H
#define WEIR_RULES_COMPILE_RULESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/alarm.h"
#include "core/result.h"
#include "rules/alarms/action_spec.h"
#include "rules/diagnostics/diagnostics.h"

#define WR_RULESET_RULES 100000
#define WR_RULESET_POINTS 100000
#define WR_RULESET_TARGETS 32           /* different hosts, programs and directories of actions */
#define WR_RULESET_BUILTIN "(built in)" /* stands for the file of built-in rules */
#define WR_RULESET_INSTANCES 10000      /* of one rule, unless the options say otherwise */

struct wr_ruleset;
struct wr_template;

/* A secret that rules know by name only. */
struct wr_ruleset_secret {
    const char *name;
    const char *file;
};

/* What the agent's own config allows, and a rule file never can. */
/* A rule file as it is in memory. */
struct wr_ruleset_text {
    const char *name;
    const char *text;
    size_t len;
};

struct wr_ruleset_options {
    const char *const *exec_allow; /* programs that a rule may start: argv[0], letter by letter */
    size_t n_exec_allow;
    const char *const *file_allow; /* directories that a rule may write to, absolute */
    size_t n_file_allow;
    const char *const *http_allow; /* HOST or HOST:PORT that a rule may call without TLS, beside this machine */
    size_t n_http_allow;
    const struct wr_ruleset_secret *secrets;
    size_t n_secrets;
    bool any_action;        /* the lists above are not looked at: for whoever carries out no action, as tests of rules do */
    bool no_uplink;         /* an action `mqtt` has no broker: a warning */
    uint32_t max_instances; /* of one rule; 0: WR_RULESET_INSTANCES */
    const char *builtin;    /* the text of one more file, before the others; NULL or empty: none. Only wr_ruleset_load looks at it */
    bool without_tests;     /* `tests` are not even checked */
    bool keep_tests;        /* they are kept, to be run; else they are checked, and their memory is freed */
    const struct wr_ruleset_text *others; /* files that belong to it. Only wr_ruleset_load_text looks at them */
    size_t n_others;
};

/* WR_INVALID: there are errors in diagnostics. WR_IO, WR_NO_MEMORY: in err. options may be NULL. */
WR_MUST_USE enum wr_result wr_ruleset_load(const char *const *files, size_t n_files, const struct wr_ruleset_options *options,
                                           struct wr_diagnostics *diagnostics, struct wr_ruleset **ret_ruleset, struct wr_error *err);
/* The same from one text; name stands for the file in diagnostics. */
WR_MUST_USE enum wr_result wr_ruleset_load_text(const char *name, const char *text, size_t len, const struct wr_ruleset_options *options,
                                                struct wr_diagnostics *diagnostics, struct wr_ruleset **ret_ruleset, struct wr_error *err);
/* NULL is fine. */
void wr_ruleset_free(struct wr_ruleset *ruleset);

/* -- what it says: for `weir check` and the documentation ----------------------------------------------------------------------------- */

struct wr_rule_info {
    const char *name;
    const char *file;
    uint32_t line;
    const char *when;      /* as written */
    const char *canonical; /* as compared at a reload */
    enum wr_severity severity;
    const char *const *by;
    uint32_t n_by;
    const struct wr_template *consequence; /* NULL: not given; as respond */
    const struct wr_template *respond;
    int64_t time_to_respond_ns;
    uint32_t cost_ns;            /* worst case of one evaluation with all that it reads, estimated */
    uint32_t bytes_per_instance; /* with its windows, timers and thresholds, and those of the nodes that it reads, shared or not */
    uint32_t nodes;              /* derived points and expressions with a history that it reads, at any depth */
    double edge;                 /* largest error at the edge of one of its windows, as a part of its length; 0: exact */
    uint32_t max_instances;
    bool auto_ack; /* nobody needs to acknowledge it: it is acknowledged as it is raised */
    bool quiet;    /* a value between its limits costs one compare */
};

uint32_t wr_ruleset_count(const struct wr_ruleset *ruleset);
uint32_t wr_ruleset_points(const struct wr_ruleset *ruleset);
/* The memory of the set itself: rules, tables, time zones. */
size_t wr_ruleset_bytes(const struct wr_ruleset *ruleset);
/* Of all texts that it was made from, tables included: a set with the same one says the same. */
uint64_t wr_ruleset_fingerprint(const struct wr_ruleset *ruleset);
struct wr_rule_info wr_ruleset_info(const struct wr_ruleset *ruleset, uint32_t rule);
/* The index of a rule by its name, UINT32_MAX when there is none. */
uint32_t wr_ruleset_find(const struct wr_ruleset *ruleset, const char *name);

/* -- actions: data for the agent, which carries them out --------------------------------------------------------------------------------- */

/* Who tells an alarm: the index of its rule, or for the notices of a group (group:NAME) WR_RULESET_GROUP and the group's. UINT32_MAX when there is none. Good for
 * wr_ruleset_info and wr_ruleset_actions. */
#define WR_RULESET_GROUP (UINT32_C(1) << 31)
uint32_t wr_ruleset_find_teller(const struct wr_ruleset *ruleset, const char *name);

/* The actions of a rule, in the order of the file. */
const struct wr_action_spec *wr_ruleset_actions(const struct wr_ruleset *ruleset, uint32_t rule, uint32_t *ret_n);

/* What all actions together need. */
struct wr_ruleset_actions_info {
    uint32_t targets;
    uint32_t senders; /* of them, hosts of webhooks and directories of files */
    bool delays;      /* some have `after` */
};
struct wr_ruleset_actions_info wr_ruleset_actions_info(const struct wr_ruleset *ruleset);

#endif
