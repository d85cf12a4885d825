#include "agent/commands/commands.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

const struct wr_command wr_commands[] = {
    {"run", wr_command_run, "run the agent",
     "Usage: weir run [-c CONFIG]\n"
     "\n"
     "Runs the agent in the foreground and logs to stderr. SIGTERM stops it cleanly, SIGHUP reloads the config.\n"
     "  -c CONFIG   the config file (" WR_CONFIG_DEFAULT ")\n"
     "\n"
     "Example: weir run -c weir.yaml\n"
     "Exit code: 0 stopped cleanly; 1 errors in the config; 2 could not start, or another agent owns the store.\n"},
    {"check", wr_command_check, "check a config and its rules, and say what will run",
     "Usage: weir check [-c CONFIG] [--format text|json|sarif] [--quiet] [--start]\n"
     "       weir check [--format text|json|sarif] [--quiet] RULES...\n"
     "\n"
     "Reads the config and all rules as `run` would, prints every error and warning at once, then what will run: sources, windows, rules\n"
     "with what they cost, the memory ceiling, and what a crash may take. Nothing is started or changed.\n"
     "RULES: rule files, or folders of them (*.yaml, *.yml), alone: without an agent and its config.\n"
     "  -c CONFIG   the config file (" WR_CONFIG_DEFAULT ")\n"
     "  --format text|json|sarif   words; one JSON object; or SARIF 2.1.0, which code hosts show beside the lines of a change\n"
     "  --json      the same as --format json\n"
     "  --quiet     errors and warnings only\n"
     "  --start     good is what `run` starts with: errors of shadow rules, or of a bundle in force that clashes with the config, are "
     "told, and\n"
     "              exit with 0\n"
     "\n"
     "Example: weir check -c weir.yaml\n"
     "         weir check --format sarif rules.d > weir.sarif\n"
     "Exit code: 0 good; 1 errors; 2 cannot read the file.\n"},
    {"test", wr_command_test, "run the tests of rule files",
     "Usage: weir test [OPTIONS] RULES...\n"
     "\n"
     "Runs the `tests` of rule files (of a folder: all *.yaml and *.yml in it and below) on a virtual clock; no agent is needed.\n"
     "Prints what failed, and last `N passed, N failed`.\n"
     "  --mutate        change each operator, limit and delay in turn, and show the changes that no test notices\n"
     "  --min PERCENT   so many of them must be noticed (100)\n"
     "  --promtool FILE a test file of promtool, for rules of the same names; may be given several times\n"
     "  --together      all files are one rule set, as in an agent's config; else each is one\n"
     "  --run PATTERN   only tests whose names match, * stands for anything\n"
     "  --seed N        of the noise in samples (1)\n"
     "  --verbose       list the tests that passed too\n"
     "  --json          one JSON object, for machines\n"
     "\n"
     "Example: weir test /etc/weir/rules.d\n"
     "Exit code: 0 all passed; 1 some failed, or no test matches; 2 cannot read.\n"},
    {"decode", wr_command_decode, "print a payload or recording as one JSON object a line",
     "Usage: weir decode --format influx|json|csv|weir [OPTIONS] [FILE]\n"
     "\n"
     "Reads FILE or standard input, prints one JSON object a record in input order; malformed records go to stderr.\n"
     "  --default-time NS        time of records that carry none, in ns since 1970\n"
     "  --precision s|ms|us|ns   of line-protocol stamps (ns)\n"
     "  --csv \"k=v, ...\"         time_column, time_format, tz, measurement, tags, skip_columns\n"
     "  --json \"k=v, ...\"        records, time, time_format, tz, measurement, measurement_path, quality, tags, constant_tags, fields\n"
     "\n"
     "Example: weir decode --format influx readings.lp\n"
     "Exit code: 0 good; 1 malformed records; 2 cannot read.\n"},
    {"status", wr_command_status, "what a running agent does now",
     "Usage: weir status [-c CONFIG] [--json]\n"
     "\n"
     "Asks the running agent: sources, engine, alarms, outbox, uplink.\n"
     "Exit code: 0 ready; 1 running, but not ready; 2 no agent answers.\n"},
    {"alarms", wr_command_alarms, "list alarms; acknowledge, reset, shelve, take out of service",
     "Usage: weir alarms [-c CONFIG] [--json] [--all] [--only ALARM]\n"
     "       weir alarms ack|reset|shelve|unshelve|oos|return ALARM [-c CONFIG] [OPTIONS]\n"
     "\n"
     "Lists the alarms that are not normal, and those that somebody has silenced, the most severe first, 2048 at most. Or says something\n"
     "of one, and is answered when that is on disk. ALARM is RULE for all its alarms, RULE{room=A1}, '*' for every rule.\n"
     "  ack, reset        it is seen; a latched one that is seen goes back to normal\n"
     "  shelve, unshelve  silent for a time, at most the rule's shelve_max (8h); needs --why, and --for or --until\n"
     "  oos, return       out of service until it is returned; needs --why with a reference\n"
     "  --why TEXT        the reason, for the journal\n"
     "  --for 2h          how long\n"
     "  --until TIME      or up to when, as 2026-03-02T16:00:00Z\n"
     "  --by NAME         who does it (your user name)\n"
     "  --key KEY         may be said again: the same key is the same answer, and nothing is done twice\n"
     "  --json            one JSON object, or a list of them\n"
     "  --all             pending ones too, and those that were raised before\n"
     "  --only ALARM      these alone\n"
     "\n"
     "Example: weir alarms shelve 'cold_room_warm{room=A1}' --for 2h --why \"door is being repaired\"\n"
     "Exit code: 0 fine; 1 no such alarm, or not in a state for this; 2 no agent answers, or it is not on disk.\n"},
    {"enroll", wr_command_enroll, "make a key and a request for a certificate; install the certificate",
     "Usage: weir enroll [-c CONFIG] > node.csr\n"
     "       weir enroll [-c CONFIG] --install CERT [--ca CA] [--no-try]\n"
     "\n"
     "Makes a private key (P-256) beside the one of uplink.key, in KEY.new, and prints a request for its certificate, which is also in\n"
     "KEY.csr. Said again, it is the same request. The key in use stays until the certificate comes: so the way is the same for a new\n"
     "gateway and before a certificate ends.\n"
     "  --install CERT   checks the certificate (PEM; - is standard input) and puts it and its key in place of uplink.cert and uplink.key. "
     "The\n"
     "                   agent may run: it takes them at its next connect\n"
     "  --ca CA          it must be signed by one of these (PEM)\n"
     "  --no-try         does not connect to a broker of the config with it first; else it is only installed if one takes it\n"
     "  -c CONFIG        the config file (" WR_CONFIG_DEFAULT ")\n"
     "\n"
     "Example: weir enroll --install node.pem --ca ca.pem\n"
     "Exit code: 0 done; 1 the certificate or a key is not good; 2 a file cannot be read or written, or the config is not good.\n"},
    {"sign", wr_command_sign, "sign a command on alarms, or a bundle of rules and config, to be sent to nodes over MQTT",
     "Usage: weir sign ack|reset|shelve|unshelve|oos|return ALARM --key-file FILE --node ID [OPTIONS]\n"
     "       weir sign bundle FILE... --key-file FILE --version N --nodes NAMES [OPTIONS]\n"
     "\n"
     "Prints a command of `weir alarms` as a signed message (JWS, ES256) for the topic PREFIX/SITE/NODE/cmd of a node that has the public "
     "key\n"
     "(uplink.commands.key_file); its answer comes on PREFIX/SITE/NODE/ack. Needs neither agent nor config. The message may be sent again "
     "until it\n"
     "expires, and is carried out once. Says the command's key and that end on standard error.\n"
     "  --key-file FILE   the private key: openssl ecparam -name prime256v1 -genkey -noout\n"
     "  --node ID         node.id of the node\n"
     "  --site SITE       node.site, where it has one\n"
     "  --valid 5m        how long it counts from now on, by the node's clock; at most 1h\n"
     "  --why TEXT, --for 2h, --until TIME, --by NAME   as of `weir alarms`\n"
     "  --key KEY         what the answer is known by; a random one if not given\n"
     "\n"
     "A bundle is rule files (*.yaml) and their tables (*.csv) for the nodes that take bundles (uplink.commands.bundles); at most 32 KB "
     "when signed.\n"
     "  --version N       higher than that of every bundle before: no other is taken\n"
     "  --nodes NAMES     gw-7,gw-8 or 'gw-*': it is sent to each of them on its own topic\n"
     "  --site SITE       only there; else anywhere\n"
     "  --percent 100     so many of these nodes, always the same ones\n"
     "  --valid 24h       at most 30d\n"
     "  --config FILE     a part of the config, which stands over that of the node: windows, limits, and what tunes its sources\n"
     "  --shadow          its rules run beside those in force and act on nothing; without FILE it ends them\n"
     "\n"
     "Example: weir sign ack 'warm{room=A1}' --key-file operators.key --node gw-7 --site riga | mosquitto_pub -q 1 -t weir/1/riga/gw-7/cmd "
     "-s\n"
     "         weir sign bundle rules.d/*.yaml --version 7 --nodes 'gw-*' --key-file operators.key > bundle\n"
     "Exit code: 0 signed; 2 it makes no sense, or the key cannot be used.\n"},
    {"explain", wr_command_explain, "why an alarm is in its state: each part of its condition with its value now",
     "Usage: weir explain [-c CONFIG] [--json] RULE|'RULE{label=value}'\n"
     "       weir explain --code W210\n"
     "\n"
     "Asks the running agent: the state of the alarm, which delay runs and how much of it is over, what silences it, each part of its\n"
     "condition with its value now (also of derived points and of conditions within conditions), and the series behind it with value, age\n"
     "and quality. RULE may be a derived point too.\n"
     "  --json         one JSON array\n"
     "  --code W210    what that code of an error or warning means; asks nobody\n"
     "\n"
     "Example: weir explain 'cold_room_warm{room=A1}'\n"
     "Exit code: 0 fine; 1 no such rule, alarm or code; 2 no agent answers.\n"},
    {"shadow", wr_command_shadow, "what shadow rules would have done, beside what the rules in force did",
     "Usage: weir shadow [-c CONFIG] [--json]\n"
     "\n"
     "Asks the running agent: which alarms its shadow rules (shadow_rules, or a bundle signed with --shadow) would have raised and "
     "cleared, and\n"
     "where that is not what the rules in force did.\n"
     "  --json         one JSON object\n"
     "\n"
     "Exit code: 0 no alarm differs; 1 some do; 2 no agent answers, or there are no shadow rules.\n"},
#if WEIR_SOURCE_REPLAY
    {"replay", wr_command_replay, "recordings through rules: how often they would have fired",
     "Usage: weir replay --rules RULES [--against RULES] [OPTIONS] FILE...\n"
     "       weir replay --from 7d [--to TIME] [-c CONFIG | --store DIR] [--rules RULES] [--against RULES] [OPTIONS]\n"
     "\n"
     "Feeds recordings through the rules on virtual time, as fast as it goes, and prints rule by rule how often it fired, first and last, "
     "how\n"
     "long it was active in all and at the longest. Several files are one timeline. Nothing is carried out or stored.\n"
     "  --rules RULES     rule file or folder; may stand several times\n"
     "  --against RULES   other rules, over the same readings: which alarms only one of them has, and how much earlier or later\n"
     "  --format csv|line|json   of the recordings; else by the name of the first one\n"
     "  --csv \"k=v, ...\"   time_column, time_format, tz, measurement, tags, skip_columns\n"
     "  --map \"k=v, ...\"   of JSON: records, time, time_format, tz, measurement, measurement_path, quality, tags, constant_tags, fields\n"
     "  --precision s|ms|us|ns   of stamps that are numbers (ns)\n"
     "  --from 7d         instead of files what a running agent, or the store of a stopped one, has kept since then (or since a time, as\n"
     "                    2026-03-02T08:00Z); without --rules the rules of its config\n"
     "  --to TIME         up to then\n"
     "  -c CONFIG         whose agent and store (" WR_CONFIG_DEFAULT ")\n"
     "  --store DIR       the directory of a store that no agent has open\n"
     "  --verbose         alarm by alarm, and every difference\n"
     "  --json            one JSON object\n"
     "\n"
     "Example: weir replay --rules new.yaml --against rules.d --csv \"time_column=timestamp, tags=room=A1\" march.csv\n"
     "         weir replay --from 7d --rules new.yaml --against /etc/weir/rules.d\n"
     "Exit code: 0 fine; 1 errors in rules, or malformed records; 2 cannot read.\n"},
#endif
    {"audit", wr_command_audit, "prove that no reading is missing",
     "Usage: weir audit [-c CONFIG] [--json]\n"
     "       weir audit --store DIR [--json]\n"
     "\n"
     "Counts every account of a running agent, or of the store of a stopped one, and checks: received = in channel + taken + dropped, and\n"
     "taken = open + held + delivered + dropped. In the store of a stopped one it reads every segment, checks it, and adds up what is "
     "held.\n"
     "  --store DIR    that of no running agent, or a copy; no config is needed. Nothing in it is changed\n"
     "\n"
     "Exit code: 0 balanced; 1 not, and the line of the account says what is off; 2 neither agent nor store.\n"},
    {"query", wr_command_query, "SQL over what the store holds",
     "Usage: weir query [-c CONFIG] [--store DIR] [OPTIONS] SQL\n"
     "\n"
     "Runs one SELECT over what a running agent has stored, or what the store of a stopped one holds, delivered or not: the tables "
     "readings,\n"
     "alarms, journal and segments. Nothing is changed. SQL: one word; - reads it from standard input.\n"
     "  -c CONFIG        the config file (" WR_CONFIG_DEFAULT ")\n"
     "  --store DIR      the directory of a store that no agent has open, instead of a config\n"
     "  --csv, --json    instead of a table\n"
     "  --plot           a line of bars for each series\n"
     "  --rows N         at most so many (10000)\n"
     "  --timeout 10s    it ends then\n"
     "  --memory 64MB    it may take so much for sorting and grouping\n"
     "\n"
     "Example: weir query \"SELECT time, mean FROM readings WHERE series = 'temp{room=A1}' AND time > ago('2h')\"\n"
     "Exit code: 0 fine; 1 there are more rows, or damaged or unreadable segments were left out; 2 an error in the query, or neither agent "
     "nor store.\n"},
    {"version", wr_command_version, "print the version", "Usage: weir version [--json]\n"},
    {NULL, NULL, NULL, NULL},
};

int wr_command_usage(const char *command, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "weir %s: ", command);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\nTry 'weir %s --help'.\n", command);
    va_end(args);
    return WR_EXIT_CANNOT;
}

int wr_command_version(int argc, char **argv) {
    bool json = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") != 0)
            return wr_command_usage("version", "unknown word '%s'", argv[i]);
        json = true;
    }
    printf(json ? "{\"version\":\"%s\"}\n" : "weir %s\n", WEIR_VERSION);
    return WR_EXIT_OK;
}
